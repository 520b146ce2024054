//! Subnets: one object of the vendor, in one zone.

use crate::{
    Sim, mark,
    resource::{Begun, Found, Fragment, Kept, Rows, expected, or_gone},
    vendor::{self, Action, Answer, Cloud, Code, Filter, NewSubnet, RESERVED, Shown, Tags},
};
use async_trait::async_trait;
use std::collections::BTreeSet;
use welkin_core::{
    Change, Cx, Driver, Error, FieldPath, Kind, LocationName, Name, Network, NoAction, Object, Ref, ResourceId, Result, Resume, Step, Subnet, SubnetSpec, SubnetState,
    SubnetStatus, Target, Verb,
};

#[async_trait]
impl Kept for Subnet {
    type Row = (Shown<vendor::Subnet>, usize);
    const READ: Action = Action::DescribeSubnets;
    const REMOVE: Action = Action::DeleteSubnet;
    const UNKNOWN: Code = Code::SubnetNotFound;

    async fn one(cloud: &Cloud, region: &str, id: &str) -> Answer<Option<Self::Row>> {
        cloud.subnet(region, id).await
    }
    async fn many(cloud: &Cloud, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Answer<Rows<Self::Row>> {
        cloud.subnets(region, filter, after, size).await
    }
    async fn remove(cloud: &Cloud, region: &str, id: &str) -> Answer<()> {
        cloud.delete_subnet(region, id).await
    }
    async fn free(_: &Sim, _: &Cx, _: &str, _: &Self::Row) -> Result<()> {
        Ok(())
    }
    fn is_leaving(_: &Self::Row) -> bool {
        false
    }
    async fn shows_parts(_: &Sim, _: &Cx, _: &str, _: &Self::Row) -> Result<bool> {
        Ok(true)
    }
    async fn fragments(_: &Sim, _: &Cx, _: &str, _: &[(&str, &str)]) -> Result<Vec<Fragment>> {
        Ok(Vec::new())
    }
    async fn remove_fragment(_: &Sim, _: &Cx, _: &str, _: &str) -> Result<()> {
        Ok(())
    }
    fn incomplete() -> SubnetStatus {
        SubnetStatus { state: SubnetState::Incomplete, ..SubnetStatus::default() }
    }
    fn told(location: &LocationName, (row, used): &Self::Row, tags: &Tags) -> Result<(SubnetSpec, SubnetStatus)> {
        let body = row.body();
        let network = match tags.get(mark::NETWORK).and_then(|id| id.parse::<ResourceId>().ok()) {
            Some(id) => id,
            None => Network::foreign_id(&body.network)?,
        };
        let spec = SubnetSpec {
            network: Some(Ref::resolved(Name::new(location.clone(), network), body.network.parse()?)),
            cidrs: body.cidrs.clone(),
            assign_ipv6_cidr: body.assigned.is_some(),
            zone: Some(body.zone.clone()),
            assign_public_ip: body.public_ips,
            labels: mark::labels(tags),
            provider_config: None,
        };
        let size = body.ranges().find(|r| r.addr().is_ipv4()).map(|r| 1_u64 << (32 - r.prefix_len()));
        let free = size.map(|n| n.saturating_sub(RESERVED).saturating_sub(u64::try_from(*used).unwrap_or(u64::MAX)));
        Ok((spec, SubnetStatus { state: SubnetState::Available, cidrs: body.ranges().copied().collect(), available_ipv4_addresses: free }))
    }
    fn place(_: &LocationName, (row, _): &Self::Row) -> String {
        row.body().zone.clone()
    }
}

fn wanted(cx: &Cx, change: &Change<Subnet>, spec: &SubnetSpec) -> Result<NewSubnet> {
    let network = spec.network.as_ref().ok_or_else(|| Error::invalid("network", "a subnet needs the network that it is part of"))?;
    let zone = spec.zone.clone().ok_or_else(|| Error::invalid("zone", "this cloud's subnets lie in a zone"))?;
    let tags = mark::main_tags(cx, change, &spec.labels, &[(mark::NETWORK, network.name.id.to_string())])?;
    let (network, cidrs) = (network.vendor_id()?.to_string(), spec.cidrs.clone());
    Ok(NewSubnet { network, zone, cidrs, assign_ipv6: spec.assign_ipv6_cidr, public_ips: spec.assign_public_ip, tags })
}

#[async_trait]
impl Driver<Subnet> for Sim {
    async fn check(&self, cx: &Cx, change: &Change<Subnet>) -> Result<()> {
        let region = change.target.parent().id.as_str();
        match &change.verb {
            Verb::Create { spec, .. } => self.call(cx, Action::DryRun, region, self.cloud.dry_create_subnet(region, wanted(cx, change, spec)?)).await,
            Verb::Update { .. } => self.present(cx, change).await?.map(drop).ok_or_else(|| Error::not_found(&change.target)),
            Verb::Delete => match self.present(cx, change).await? {
                Some((row, _)) => self.call(cx, Action::DryRun, region, self.cloud.dry_delete_subnet(region, row.id())).await,
                None => Ok(()),
            },
            Verb::Act(action) => match *action {},
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<Subnet>, spec: &SubnetSpec, resume: &Resume) -> Result<Step<Object<Subnet>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let new = wanted(cx, change, spec)?;
        let tags = new.tags.clone();
        let row = match self.begun(cx, change, None, false, resume, "subnet").await? {
            Begun::Here(row) => row,
            Begun::NotYet(why) => return Ok(Step::look_again(self.pause(), why)),
            Begun::Nothing => (self.call(cx, Action::CreateSubnet, region, self.cloud.create_subnet(region, new)).await?, 0),
        };
        Ok(Step::Done(Self::object::<Subnet>(cx, location, &row, Some(&tags))?))
    }

    async fn update(&self, cx: &Cx, change: &Change<Subnet>, desired: &SubnetSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<Subnet>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let (row, _) = match self.located(cx, change, resume).await? {
            Found::Here(row) => row,
            Found::NotYet(looking) => return Step::wait(&looking, self.pause(), "waiting for the cloud to show the subnet"),
            Found::Gone => return Err(Error::not_found(&change.target)),
        };
        let (id, none) = (row.id(), Tags::new());
        let mut expect = expected(change, resume);
        if paths.contains(&FieldPath::from("assign_public_ip")) && row.body().public_ips != desired.assign_public_ip {
            let call = self.cloud.modify_subnet(region, id, desired.assign_public_ip, expect.take());
            or_gone(&change.target, self.call(cx, Action::ModifySubnet, region, call).await)?;
        }
        let tags = mark::relabelled(row.tags().unwrap_or(&none), &desired.labels);
        if paths.contains(&FieldPath::from("labels")) && row.tags() != Some(&tags) {
            or_gone(&change.target, self.call(cx, Action::TagSubnet, region, self.cloud.tag_subnet(region, id, tags.clone(), expect)).await)?;
        }
        let now = self.call(cx, Action::DescribeSubnets, region, self.cloud.subnet(region, id)).await?;
        let row = now.ok_or_else(|| Error::not_found(&change.target))?;
        Ok(Step::Done(Self::object::<Subnet>(cx, location, &row, None)?))
    }

    async fn delete(&self, cx: &Cx, change: &Change<Subnet>, resume: &Resume) -> Result<Step<()>> {
        self.erased(cx, change, resume).await
    }

    async fn act(&self, _: &Cx, _: &Change<Subnet>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }

    async fn ask(&self, _: &Cx, _: &Target<Subnet>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}
