//! Aliases to load balancers. Route 53 knows a load balancer by the name that it is reached under and the hosted zone that this name lies in, which Elastic
//! Load Balancing tells as DNSName and CanonicalHostedZoneId (<https://docs.aws.amazon.com/Route53/latest/APIReference/API_AliasTarget.html>); we know it by its ARN.

use crate::{
    client::{Global, Region},
    error,
    load_balancer::{GONE, WHOLE},
    single::by_vendor_id,
    step::{answered, told},
};
use aws_sdk_elasticloadbalancingv2::types::{LoadBalancer as Balancer, LoadBalancerTypeEnum};
use aws_sdk_route53::types::{AliasTarget, ResourceRecordSet};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use welkin_core::{AnyRef, Cx, Error, LoadBalancer, Ref, Result, VendorId};

/// Where an alias leads, as Route 53 says it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Lead {
    pub(super) hosted_zone: String,
    pub(super) dns_name: String,
}
/// Where aliases lead, by the load balancer's ARN.
pub(super) type Leads = BTreeMap<String, Lead>;

impl Lead {
    pub(super) fn of(target: &AliasTarget) -> Self {
        Self { hosted_zone: target.hosted_zone_id().to_owned(), dns_name: target.dns_name().to_owned() }
    }
    fn to(balancer: &Balancer) -> Option<Self> {
        Some(Self { hosted_zone: told(balancer.canonical_hosted_zone_id())?.to_owned(), dns_name: told(balancer.dns_name())?.to_owned() })
    }
    /// One spelling of it: Route 53 shows names in lower case and with a last dot, and its console puts `dualstack.` before those of load balancers
    /// (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-alias-common.html>).
    fn plain(&self) -> Self {
        let lower = self.dns_name.trim_end_matches('.').to_ascii_lowercase();
        Self { hosted_zone: self.hosted_zone.clone(), dns_name: lower.strip_prefix("dualstack.").unwrap_or(&lower).to_owned() }
    }
    /// That of a load balancer's name: `web-0123.elb.eu-west-1.amazonaws.com`; of other types of load balancers, and of all on an emulator,
    /// `web-0123.eu-west-1.elb.amazonaws.com`. In China there is a last `.cn`.
    fn region(&self) -> Option<&str> {
        let place = self.dns_name.trim_end_matches('.');
        let place = place.strip_suffix(".cn").unwrap_or(place).strip_suffix(".amazonaws.com")?;
        match place.rsplit('.').collect::<Vec<_>>().as_slice() {
            [region, "elb", _, ..] | ["elb", region, _, ..] => Some(region),
            _ => None,
        }
    }
}

/// The load balancers that aliases lead to, as far as they were looked for, and where nothing was found.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<Lead, Option<Ref<LoadBalancer>>>, BTreeSet<Lead>);
impl Known {
    /// Was it looked for, and there is no such load balancer?
    pub(super) fn is_gone(&self, target: &AliasTarget) -> bool {
        self.1.contains(&Lead::of(target).plain())
    }
    pub(super) fn get(&self, target: &AliasTarget) -> Option<&Ref<LoadBalancer>> {
        self.0.get(&Lead::of(target).plain())?.as_ref()
    }
    /// Notes where these lead, and answers by region what has to be looked for.
    fn open<'a>(&mut self, sets: impl Iterator<Item = &'a ResourceRecordSet>) -> BTreeMap<String, BTreeSet<Lead>> {
        let mut open: BTreeMap<String, BTreeSet<Lead>> = BTreeMap::new();
        for lead in sets.filter_map(ResourceRecordSet::alias_target).map(|target| Lead::of(target).plain()) {
            if self.0.contains_key(&lead) {
                continue;
            }
            if let Some(region) = lead.region() {
                open.entry(region.to_owned()).or_default().insert(lead.clone());
            }
            self.0.insert(lead, None);
        }
        open
    }
}

/// The load balancers that something refers to, each with the field that does so first.
pub(super) fn referred(refs: Vec<AnyRef<'_>>) -> BTreeMap<VendorId, String> {
    let mut all = BTreeMap::new();
    for r in refs {
        if let Some(id) = r.vendor_id.clone() {
            all.entry(id).or_insert_with(|| r.path.into_owned());
        }
    }
    all
}

impl Global {
    /// Looks for the load balancers that these lead to: a region's list tells of all of them at once, and nothing is asked where there are no aliases. What
    /// lies in a region that is not configured, and what is no network load balancer, is none of ours.
    pub(super) async fn look_for(&self, cx: &Cx, sets: impl Iterator<Item = &ResourceRecordSet>, known: &mut Known) -> Result<()> {
        for (id, mut wanted) in known.open(sets) {
            let Some(region) = self.regions.get(&id) else { continue };
            let mut marker = None;
            while !wanted.is_empty() {
                let (balancers, next) = region.balancers(cx, WHOLE, marker.take()).await?;
                for balancer in &balancers {
                    let Some(lead) = Lead::to(balancer).map(|lead| lead.plain()).filter(|lead| wanted.remove(lead)) else { continue };
                    if balancer.r#type() == Some(&LoadBalancerTypeEnum::Network) {
                        let arn = answered(told(balancer.load_balancer_arn()), "LoadBalancerArn")?;
                        known.0.insert(lead, Some(by_vendor_id(region, arn)?));
                    }
                }
                marker = next;
                if marker.is_none() {
                    break;
                }
            }
            known.1.extend(wanted);
        }
        Ok(())
    }
    /// Adds where an alias of each of these has to lead, unless that is known already.
    pub(super) async fn find_leads(&self, cx: &Cx, wanted: BTreeMap<VendorId, String>, leads: &mut Leads) -> Result<()> {
        for (id, field) in wanted {
            if leads.contains_key(id.as_str()) {
                continue;
            }
            let region = self.region_of(&id).ok_or_else(|| Error::invalid(&field, format!("{id} lies in no region of this cloud")))?;
            let call = region.elb.describe_load_balancers().load_balancer_arns(id.as_str());
            let answer = region.elb.read(cx, "DescribeLoadBalancers", call.send()).await.map_err(|e| if error::is(&e, GONE) { e.with_field(&field) } else { e })?;
            let lead = answer.load_balancers().first().and_then(Lead::to);
            leads.insert(id.to_string(), answered(lead, "DNSName and CanonicalHostedZoneId")?);
        }
        Ok(())
    }
    /// `arn:aws:elasticloadbalancing:REGION:...`
    fn region_of(&self, arn: &VendorId) -> Option<&Region> {
        self.regions.get(arn.as_str().split(':').nth(3)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_balancer_is_found_by_its_name_however_it_is_spelled() {
        let lead = |dns_name: &str| Lead { hosted_zone: "Z1".into(), dns_name: dns_name.into() };
        for (name, region) in [
            ("Web-0123.elb.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("dualstack.web-0123.elb.eu-west-1.amazonaws.com.", Some("eu-west-1")),
            ("web-0123.eu-west-1.elb.amazonaws.com.", Some("eu-west-1")),
            ("web-0123.elb.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("web-0123.cn-north-1.elb.amazonaws.com.cn.", Some("cn-north-1")),
            ("d111111abcdef8.cloudfront.net.", None),
            ("s3-website-eu-west-1.amazonaws.com.", None),
            ("elb.eu-west-1.amazonaws.com", None),
            ("vpce-0123.elasticloadbalancing.eu-west-1.vpce.amazonaws.com", None),
            ("www.example.com.", None),
        ] {
            assert_eq!(lead(name).plain().region(), region, "{name}");
        }
        assert_eq!(lead("dualstack.Web-1.elb.r.amazonaws.com.").plain(), lead("web-1.elb.r.amazonaws.com"));
    }
}
