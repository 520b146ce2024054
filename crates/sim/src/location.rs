//! Locations: the configured regions.

use crate::{Sim, vendor::Action};
use async_trait::async_trait;
use welkin_core::{Cursor, Cx, Error, Kind, Location, LocationName, LocationSpec, LocationStatus, Name, Object, Page, ProviderId, Query, Reader, Result, Shard, Target};

fn object((region, zones): &(String, Vec<String>)) -> Result<Object<Location>> {
    let name: Name<Location> = LocationName::of(region)?;
    Ok(Object {
        name,
        vendor_id: region.parse()?,
        provider_id: ProviderId::new("sim", "", &[region])?,
        mark: None,
        revision: None,
        created_ms: None,
        spec: LocationSpec {},
        status: LocationStatus { display_name: format!("Simulated region {region}"), zones: zones.clone() },
    })
}

#[async_trait]
impl Reader<Location> for Sim {
    fn shards(&self, _: &Query<Location>) -> Vec<Shard> {
        vec![Shard("global".into())]
    }
    async fn get(&self, cx: &Cx, target: &Target<Location>) -> Result<Object<Location>> {
        let id = match target {
            Target::Named { name, .. } => name.id.as_str(),
            Target::Vendor { vendor_id, .. } => vendor_id.as_str(),
        };
        let all = self.call(cx, Action::DescribeRegions, "global", self.cloud.describe_regions()).await?;
        all.iter().find(|(region, _)| region == id).map(object).ok_or_else(|| Error::not_found(target))?
    }
    async fn list(&self, cx: &Cx, query: &Query<Location>, _: &Shard, from: Option<&Cursor>) -> Result<Page<Location>> {
        let all = self.call(cx, Action::DescribeRegions, "global", self.cloud.describe_regions()).await?;
        let wanted = |region: &str| query.vendor_ids.is_empty() || query.vendor_ids.iter().any(|v| v.as_str() == region);
        let rows: Vec<_> = all.iter().filter(|(region, _)| wanted(region)).collect();
        paged(&rows, |r| r.0.as_str(), query.page_size.min(self.config().page_size), from, |r| object(r))
    }
}

/// One page of what the vendor answers whole, in the order of ids.
pub(crate) fn paged<T, K: Kind>(rows: &[T], id: impl Fn(&T) -> &str, size: usize, from: Option<&Cursor>, object: impl Fn(&T) -> Result<Object<K>>) -> Result<Page<K>> {
    let mut left = rows.iter().filter(|r| from.is_none_or(|after| id(r) > after.0.as_str()));
    let items: Vec<&T> = left.by_ref().take(size.max(1)).collect();
    let next = left.next().and(items.last()).map(|last| Cursor(id(last).to_owned()));
    Ok(Page { items: items.into_iter().map(object).collect::<Result<_>>()?, next, unreachable: Vec::new() })
}
