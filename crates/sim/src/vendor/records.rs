//! What is answered in a zone: modelled on Route 53's record sets, but that the items of a routing policy are one set here, as on Cloud DNS. Reads show
//! every change at once, as Route 53's list does, and what is removed has to be named exactly as it is.

use super::{
    cloud::{Action, Cloud, GLOBAL},
    refusal::{Code, Refusal},
    state::{Edit, Region},
    zones::zone_of,
};
use std::{collections::BTreeMap, ops::Bound};
use welkin_core::{DnsName, RecordId, RecordSetSpec, RecordType};

/// How many values one call can carry.
pub(crate) const MOST_VALUES: usize = 1000;

/// One change of a call, which are all done or none.
#[derive(Debug, Clone)]
pub(crate) enum RecordChange {
    /// Refused where there are records of the name and type.
    Create(RecordId, RecordSetSpec),
    /// Refused where they are not exactly so.
    Delete(RecordId, RecordSetSpec),
}
impl RecordChange {
    fn says(&self) -> &RecordSetSpec {
        match self {
            Self::Create(_, says) | Self::Delete(_, says) => says,
        }
    }
}

/// What a zone has at one name.
#[derive(Debug, Clone)]
pub(crate) struct AtName {
    /// Where the zone begins.
    pub(crate) zone: DnsName,
    pub(crate) sets: BTreeMap<RecordType, RecordSetSpec>,
}

/// A page of the records of one zone or of all, and where it goes on.
pub(crate) type RecordPage = (Vec<(String, RecordId, RecordSetSpec)>, Option<String>);

impl Cloud {
    pub(crate) async fn records_at(&self, zone: &str, name: &DnsName) -> Result<AtName, Refusal> {
        self.read(Action::DescribeRecords, GLOBAL, |r, _| at(r, zone, name)).await
    }
    /// Those of a zone, or of all, from after `after` on.
    pub(crate) async fn records(&self, zone: Option<&str>, after: Option<&str>, size: usize) -> Result<RecordPage, Refusal> {
        let size = size.min(self.config().page_size);
        self.read(Action::DescribeRecords, GLOBAL, |r, _| {
            zone.map_or(Ok(()), |id| zone_of(r, id).map(drop))?;
            let bad = || Refusal::new(Code::InvalidNextToken, "this is no token of this list");
            let after = after.map(|text| text.split_once('/').and_then(|(zone, id)| Some((zone.to_owned(), id.parse::<RecordId>().ok()?))).ok_or_else(bad)).transpose()?;
            let from = zone.map(str::to_owned).or_else(|| after.as_ref().map(|(zone, _)| zone.clone()));
            let zones = r.records.range((from.map_or(Bound::Unbounded, Bound::Included), Bound::Unbounded)).take_while(|(id, _)| zone.is_none_or(|only| only == **id));
            let mut page = Vec::new();
            for (id, records) in zones {
                let first = after.as_ref().filter(|(zone, _)| zone == id).map_or(Bound::Unbounded, |(_, last)| Bound::Excluded(last.clone()));
                for (record, says) in records.range((first, Bound::Unbounded)) {
                    if page.len() == size {
                        let next = page.last().map(|(zone, id, _): &(String, RecordId, RecordSetSpec)| format!("{zone}/{id}"));
                        return Ok((page, next));
                    }
                    page.push((id.clone(), record.clone(), says.clone()));
                }
            }
            Ok((page, None))
        })
        .await
    }
    pub(crate) async fn change_records(&self, zone: &str, changes: &[RecordChange]) -> Result<(), Refusal> {
        let known = self.known_targets(changes);
        self.write(Action::ChangeRecords, GLOBAL, |r, _| zone_of(r, zone).and(known).and_then(|()| changed(r, zone, changes))).await
    }
    pub(crate) async fn dry_change_records(&self, zone: &str, changes: &[RecordChange]) -> Result<(), Refusal> {
        let known = self.known_targets(changes);
        self.dry_run_global(|r, _| zone_of(r, zone).and(known).and_then(|()| changed(r, zone, changes))).await
    }
    /// Records lie in no region, load balancers do: this is looked at before the call takes the table of records. One that goes afterwards leaves its
    /// aliases behind, as with Route 53, which answers nothing to them.
    fn known_targets(&self, changes: &[RecordChange]) -> Result<(), Refusal> {
        let created = changes.iter().filter_map(|change| if let RecordChange::Create(_, says) = change { Some(says) } else { None });
        for target in created.flat_map(RecordSetSpec::aliases).filter_map(|alias| alias.load_balancer.as_ref()) {
            let (region, id) = (target.name.parent.id.as_str(), target.vendor_id.as_ref().map_or("", |id| id.as_str()));
            if !self.has_load_balancer(region, id) {
                return Err(Refusal::new(Code::AliasTargetNotFound, format!("there is no load balancer {id:?} in {region}")));
            }
        }
        Ok(())
    }
    pub(crate) fn plant_records(&self, zone: &str, id: RecordId, says: RecordSetSpec) -> Result<String, Refusal> {
        let planted = format!("{zone}/{id}");
        self.plant(GLOBAL, |r, _| changed(r, zone, &[RecordChange::Create(id, says)]))?;
        Ok(planted)
    }
}

fn at(region: &Region, zone: &str, name: &DnsName) -> Result<AtName, Refusal> {
    let begins = dns_name(&zone_of(region, zone)?.body.dns_name)?;
    let of_name = |record_type| RecordId { name: name.clone(), record_type };
    let records = region.records.get(zone);
    let sets = RecordType::ALL.iter().filter_map(|t| Some((*t, records?.get(&of_name(*t))?.clone()))).collect();
    Ok(AtName { zone: begins, sets })
}
fn dns_name(text: &str) -> Result<DnsName, Refusal> {
    text.parse().map_err(|_| Refusal::new(Code::StorageFailure, format!("{text:?} is no name")))
}

fn changed(region: &Region, zone: &str, changes: &[RecordChange]) -> Result<((), Vec<Edit>), Refusal> {
    let begins = dns_name(&zone_of(region, zone)?.body.dns_name)?;
    let count = |says: &RecordSetSpec| says.values.len() + says.items.iter().map(|i| i.values.len()).sum::<usize>() + says.aliases().count();
    let values: usize = changes.iter().map(|c| count(c.says())).sum();
    if values > MOST_VALUES {
        return Err(Refusal::new(Code::TooManyValues, format!("a call carries at most {MOST_VALUES} values, got {values}")));
    }
    // What the changes before this one have made of it; None where they have removed it.
    let mut now: BTreeMap<RecordId, Option<RecordSetSpec>> = BTreeMap::new();
    for change in changes {
        let of = |id: &RecordId, now: &BTreeMap<_, Option<RecordSetSpec>>| match now.get(id) {
            Some(changed) => changed.clone(),
            None => region.records.get(zone).and_then(|all| all.get(id)).cloned(),
        };
        match change {
            RecordChange::Create(id, says) => {
                if let Some(why) = id.record_type.misplaced(&id.name, &begins) {
                    return Err(Refusal::new(Code::RecordMisplaced, why));
                }
                if of(id, &now).is_some() {
                    return Err(Refusal::new(Code::RecordExists, format!("{zone} has records {id} already")));
                }
                let at = |of: RecordType| RecordId { name: id.name.clone(), record_type: of };
                let beside = RecordType::ALL.iter().filter_map(|t| Some((at(*t), t.clash(id.record_type)?))).find(|(other, _)| of(other, &now).is_some());
                if let Some((other, why)) = beside {
                    return Err(Refusal::new(Code::RecordConflict, format!("{zone} has {other}: {why}")));
                }
                now.insert(id.clone(), Some(says.clone()));
            }
            RecordChange::Delete(id, says) => match of(id, &now) {
                None => return Err(Refusal::new(Code::RecordNotFound, format!("{zone} has no records {id}"))),
                Some(there) if there != *says => return Err(Refusal::new(Code::RecordMismatch, format!("the records {id} of {zone} are not as they were named"))),
                Some(_) => _ = now.insert(id.clone(), None),
            },
        }
    }
    let edit = |(id, says): (RecordId, Option<RecordSetSpec>)| match says {
        Some(says) => Edit::PutRecords(zone.to_owned(), id, Box::new(says)),
        None => Edit::RemoveRecords(zone.to_owned(), id),
    };
    Ok(((), now.into_iter().map(edit).collect()))
}
/// A test's own removal, of `zone-1/www.example.com~A`.
pub(super) fn removed(region: &Region, which: &str) -> Result<((), Vec<Edit>), Refusal> {
    let gone = || Refusal::new(Code::RecordNotFound, format!("there are no records {which:?}"));
    let (zone, id) = which.split_once('/').ok_or_else(gone)?;
    let id: RecordId = id.parse().map_err(|_| gone())?;
    let is_there = region.records.get(zone).is_some_and(|all| all.contains_key(&id));
    if is_there { Ok(((), vec![Edit::RemoveRecords(zone.to_owned(), id)])) } else { Err(gone()) }
}
