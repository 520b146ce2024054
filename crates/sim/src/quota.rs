//! Quotas: what the configuration allows a region to hold, and what it holds.

use crate::{
    Sim,
    location::paged,
    vendor::{self, Action, GLOBAL},
};
use async_trait::async_trait;
use welkin_core::{
    Address, Cursor, Cx, Disk, DnsZone, Error, Instance, InstanceGroup, Kind, LoadBalancer, LocationName, Name, NatGateway, Network, Object, Page, ProviderId, Query, Quota,
    QuotaSpec, QuotaStatus, Reader, ResourceId, Result, RouteTable, SecurityGroup, Shard, Subnet, Target,
};

/// What the vendor calls what it bounds, and the kind that it is.
const COLLECTIONS: &[(&str, &str)] = &[
    ("addresses", Address::COLLECTION),
    ("disks", Disk::COLLECTION),
    ("dns-zones", DnsZone::COLLECTION),
    ("instance-groups", InstanceGroup::COLLECTION),
    ("instances", Instance::COLLECTION),
    ("load-balancers", LoadBalancer::COLLECTION),
    ("nat-gateways", NatGateway::COLLECTION),
    ("networks", Network::COLLECTION),
    ("route-tables", RouteTable::COLLECTION),
    ("security-groups", SecurityGroup::COLLECTION),
    ("subnets", Subnet::COLLECTION),
];

fn object(location: &LocationName, quota: &vendor::Quota) -> Result<Object<Quota>> {
    let collection = COLLECTIONS.iter().find(|(name, _)| *name == quota.name).map_or("", |(_, collection)| collection);
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    Ok(Object {
        name: Name::new(location.clone(), ResourceId::of_vendor(quota.name)?),
        vendor_id: quota.name.parse()?,
        provider_id: ProviderId::new("sim", "", &[location.id.as_str(), quota.name])?,
        mark: None,
        revision: None,
        created_ms: None,
        spec: QuotaSpec {},
        status: QuotaStatus {
            display_name: format!("Simulated {}", quota.name.replace('-', " ")),
            service: "sim".into(),
            collection: collection.into(),
            limit: quota.limit.map(number),
            used: Some(number(quota.used)),
            ..QuotaStatus::default()
        },
    })
}

#[async_trait]
impl Reader<Quota> for Sim {
    fn shards(&self, query: &Query<Quota>) -> Vec<Shard> {
        let mut shards = self.regions::<Quota>(query.parent.as_ref());
        if query.parent.is_none() {
            shards.push(Shard(GLOBAL.to_owned()));
        }
        shards
    }
    async fn get(&self, cx: &Cx, target: &Target<Quota>) -> Result<Object<Quota>> {
        let location = target.parent();
        let id = match target {
            Target::Named { name, .. } => name.id.decoded(),
            Target::Vendor { vendor_id, .. } => vendor_id.to_string(),
        };
        let all = self.call(cx, Action::DescribeQuotas, location.id.as_str(), self.cloud.describe_quotas(location.id.as_str())).await?;
        all.iter().find(|q| q.name == id).map(|q| object(location, q)).ok_or_else(|| Error::not_found(target))?
    }
    async fn list(&self, cx: &Cx, query: &Query<Quota>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<Quota>> {
        let location = LocationName::of(&shard.0)?;
        let all = self.call(cx, Action::DescribeQuotas, &shard.0, self.cloud.describe_quotas(&shard.0)).await?;
        let rows: Vec<_> = all.iter().filter(|q| query.vendor_ids.is_empty() || query.vendor_ids.iter().any(|v| v.as_str() == q.name)).collect();
        paged(&rows, |q| q.name, query.page_size.min(self.config().page_size), from, |q| object(&location, q))
    }
}
