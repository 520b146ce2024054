//! Locations are the configured regions with the zones that the account can use.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAvailabilityZones.html>

use crate::{Aws, client::Region, mark::filter, page::At, step::told};
use async_trait::async_trait;
use aws_sdk_ec2::types::AvailabilityZone;
use welkin_core::{Cursor, Cx, Error, ErrorKind, Location, LocationSpec, LocationStatus, Object, Page, ProviderId, Query, Reader, Reason, Result, Shard, Target};

#[async_trait]
impl Reader<Location> for Aws {
    fn shards(&self, query: &Query<Location>) -> Vec<Shard> {
        let wanted = |region: &&str| query.vendor_ids.is_empty() || query.vendor_ids.iter().any(|v| v.as_str() == *region);
        self.regions().filter(wanted).map(|r| Shard(r.into())).collect()
    }
    async fn get(&self, cx: &Cx, target: &Target<Location>) -> Result<Object<Location>> {
        let id = match target {
            Target::Named { name, .. } => name.id.as_str(),
            Target::Vendor { vendor_id, .. } => vendor_id.as_str(),
        };
        let known = self.regions().collect::<Vec<_>>().join(", ");
        let unknown = || Error::new(ErrorKind::NotFound, Reason::LocationUnknown, format!("this cloud has no location {id}; its locations are {known}"));
        location(self.regions.get(id).ok_or_else(unknown)?, cx).await
    }
    async fn list(&self, cx: &Cx, _: &Query<Location>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<Location>> {
        At::read(from)?;
        Ok(Page { items: vec![location(self.shard(shard)?, cx).await?], next: None, unreachable: Vec::new() })
    }
}

async fn location(region: &Region, cx: &Cx) -> Result<Object<Location>> {
    let usable = [filter("opt-in-status", ["opt-in-not-required", "opted-in"]), filter("zone-type", ["availability-zone"]), filter("state", ["available"])];
    let call = region.ec2.describe_availability_zones().set_filters(Some(usable.into()));
    let answer = region.ec2.read(cx, "DescribeAvailabilityZones", call.send()).await?;
    Ok(Object {
        name: region.name.clone(),
        vendor_id: region.id().parse()?,
        provider_id: ProviderId::new("aws", "", &[region.id()])?,
        mark: None,
        revision: None,
        created_ms: None,
        spec: LocationSpec {},
        status: status(answer.availability_zones()),
    })
}

fn status(zones: &[AvailabilityZone]) -> LocationStatus {
    // An emulator may ignore the filters; a zone that names no state is taken as it is.
    let usable = |z: &&AvailabilityZone| z.opt_in_status().is_none_or(|s| s.as_str() != "not-opted-in") && z.zone_type().is_none_or(|t| t == "availability-zone");
    let mut names: Vec<String> = zones.iter().filter(usable).filter_map(|z| told(z.zone_name())).map(ToOwned::to_owned).collect();
    names.sort_unstable();
    // The zones of a region form one group, named after it and numbered: "Europe (Ireland) 1".
    let group = zones.iter().find_map(|z| z.group_long_name()).unwrap_or_default();
    LocationStatus { display_name: group.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ').to_owned(), zones: names }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::AvailabilityZoneOptInStatus as OptIn;

    #[test]
    fn only_zones_that_can_be_used() {
        let zone =
            |name: &str, opt: OptIn, kind: &str| AvailabilityZone::builder().zone_name(name).opt_in_status(opt).zone_type(kind).group_long_name("Europe (Ireland) 1").build();
        let zones = [
            zone("eu-west-1b", OptIn::OptInNotRequired, "availability-zone"),
            zone("eu-west-1a", OptIn::OptedIn, "availability-zone"),
            zone("eu-west-1-x-1a", OptIn::OptedIn, "local-zone"),
            zone("eu-west-1c", OptIn::NotOptedIn, "availability-zone"),
            AvailabilityZone::builder().build(),
            AvailabilityZone::builder().zone_name("").build(),
        ];
        let status = status(&zones);
        assert_eq!((status.display_name.as_str(), status.zones), ("Europe (Ireland)", vec!["eu-west-1a".to_owned(), "eu-west-1b".to_owned()]));
    }
}
