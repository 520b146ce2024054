//! Many changes of a zone's records at once: what is asked for, what it comes to, and how it is worked off.

use super::{BatchSize, Batches, DnsName, RecordId, RecordType};
use crate::{AnyRef, Data, Error, ErrorKind, Kind as _, Managed as _, Reason, RecordSet, RecordSetSpec, Violation, kinds::api_enum};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

api_enum! {
    /// What becomes of the others where one change is refused.
    ChangeMode {
        /// Nothing at all: all of it has to be one change of the vendor.
        Atomic = "ATOMIC",
        /// They are done, but those of the same name.
        BestEffort = "BEST_EFFORT",
    }
}

/// Changes of record sets in one zone.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordChanges {
    /// Atomic where it is left open.
    pub mode: ChangeMode,
    /// Each of another record set. Those of one name stay together.
    pub changes: Vec<RecordChange>,
    /// How many of them remove something: has to be said where that is more than a share of the zone. Those that find nothing any more may be counted or not,
    /// so that what was said stays right when the same is asked for again after a part of it is done.
    pub deletes: Option<u32>,
    /// That share in percent, from the engine.
    pub most_deleted_percent: u32,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordChange {
    /// Which.
    pub id: RecordId,
    /// What it should be; None to remove it. What is so already is done without a call.
    pub desired: Option<RecordSetSpec>,
    /// Is it ours? From the engine, which alone knows; what is not, and is there, is refused.
    #[serde(default)]
    pub owned: bool,
}

/// What the changes came to, in their order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RecordOutcomes(pub Vec<RecordOutcome>);
/// What one came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordOutcome {
    /// Of which.
    pub id: RecordId,
    /// Was it to be there afterwards?
    pub wanted: bool,
    /// Why it is not as it should be.
    pub error: Option<Error>,
}

/// At most this many changes in one request: ten times what Route 53 takes in one of its own.
const MAX_CHANGES: usize = 10_000;
/// So few may always be removed.
const FEW: usize = 3;

impl RecordChanges {
    /// Brings every value into its canonical form, and tells what is wrong on any cloud.
    pub fn canonical(&mut self) -> Vec<Violation> {
        let mut out = Vec::new();
        if self.changes.is_empty() || self.changes.len() > MAX_CHANGES {
            out.push(Violation::new("changes", format!("1 to {MAX_CHANGES} changes, got {}", self.changes.len())));
            return out;
        }
        let mut seen = BTreeSet::new();
        for (i, change) in self.changes.iter_mut().enumerate() {
            if !seen.insert(change.id.clone()) {
                out.push(Violation::new(format!("changes[{i}].record_set_id"), format!("{} is there twice", change.id)));
            }
            let Some(spec) = &mut change.desired else { continue };
            let mut wrong = RecordSet::canonical(&change.id, spec);
            let further = RecordSet::violations(spec);
            wrong.extend(further.into_iter().filter(|v| !wrong.contains(v)).collect::<Vec<_>>());
            out.extend(wrong.into_iter().map(|v| Violation::new(format!("changes[{i}].record_set.{}", v.field), v.description)));
        }
        out
    }
    /// Every load balancer that one of them leads to.
    pub(crate) fn refs(&mut self) -> Vec<AnyRef<'_>> {
        let desired = self.changes.iter_mut().enumerate().filter_map(|(i, change)| Some((i, change.desired.as_mut()?)));
        desired.flat_map(|(i, spec)| RecordSet::refs(spec).into_iter().map(move |r| AnyRef { path: format!("changes[{i}].record_set.{}", r.path).into(), ..r })).collect()
    }
    fn removals(&self) -> impl Iterator<Item = &RecordChange> {
        self.changes.iter().filter(|c| c.desired.is_none())
    }
    /// Does a driver have to know how many record sets the zone has?
    #[must_use]
    pub fn needs_total(&self) -> bool {
        self.removals().count() > FEW
    }
    /// The names that they are about.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&DnsName> {
        self.changes.iter().map(|c| &c.id.name).collect()
    }
}

/// What is there in a zone, as far as the changes are about it: every record set of their names.
pub type RecordsThere = BTreeMap<RecordId, RecordSetSpec>;

/// What it should be, as drivers show it.
fn wanted(change: &RecordChange) -> Option<RecordSetSpec> {
    change.desired.as_ref().map(RecordSet::as_shown)
}
fn size(spec: &RecordSetSpec) -> BatchSize {
    let values = || spec.values.iter().chain(spec.items.iter().flat_map(|i| &i.values));
    let characters: usize = values().map(String::len).sum();
    let count = values().count().saturating_add(spec.aliases().count());
    BatchSize { values: count.try_into().unwrap_or(u64::MAX), characters: characters.try_into().unwrap_or(u64::MAX) }
}

/// One item of a vendor's change.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordEdit {
    /// Which record set.
    pub id: RecordId,
    /// Exactly what is there, and is removed; None where nothing is.
    pub from: Option<RecordSetSpec>,
    /// What is there afterwards, as drivers show it; None for nothing.
    pub to: Option<RecordSetSpec>,
}

/// The changes of one request on their way to the vendor. A driver keeps it in its handle, so that every change is made against what was there when
/// it was planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordWork {
    batches: Batches,
    /// Which change each item of the batches is.
    places: Vec<usize>,
    from: BTreeMap<usize, RecordSetSpec>,
    /// What was known at once.
    early: BTreeMap<usize, Option<Error>>,
    /// What the driver keeps beside it.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    kept: serde_json::Value,
}
impl RecordWork {
    /// What the driver keeps with it, as [`Self::keep`] left it.
    #[must_use]
    pub fn kept<T: Data + Default>(&self) -> T {
        serde_json::from_value(self.kept.clone()).unwrap_or_default()
    }
    /// Keeps this with it.
    ///
    /// # Errors
    /// `Internal` where the data does not serialise.
    pub fn keep(&mut self, data: &impl Data) -> Result<(), Error> {
        self.kept = serde_json::to_value(data).map_err(|e| Error::internal("what a driver keeps does not serialise").with_source(e))?;
        Ok(())
    }
    /// Compares what is wanted with what is there. `total`: how many record sets the zone has, where that was needed. `unresolved`: an earlier write of
    /// these changes may have made what is exactly as wanted. `longer`: how many characters more than here the vendor's own spelling of what is there has,
    /// where a removal says it.
    ///
    /// # Errors
    /// `FailedPrecondition` (`DELETES_NOT_STATED`) where too much would be removed; of atomic changes whatever keeps one of them from being made.
    pub fn plan(
        zone: &DnsName,
        there: &RecordsThere,
        total: Option<usize>,
        changes: &RecordChanges,
        limit: BatchSize,
        unresolved: bool,
        longer: &BTreeMap<RecordId, u64>,
    ) -> Result<Self, Error> {
        guard(there, total, changes)?;
        let types = after(there, changes);
        let (mut early, mut from, mut places, mut items) = (BTreeMap::new(), BTreeMap::new(), Vec::new(), Vec::new());
        for (i, change) in changes.changes.iter().enumerate() {
            let now = there.get(&change.id);
            if now == wanted(change).as_ref() && (now.is_none() || change.owned || unresolved) {
                early.insert(i, None);
            } else if let Some(refusal) = refusal(zone, change, there, &types) {
                early.insert(i, Some(refusal));
            } else {
                from.extend(now.map(|now| (i, now.clone())));
                let more = BatchSize { values: 0, characters: longer.get(&change.id).copied().unwrap_or_default() };
                let sum = [now, change.desired.as_ref()].into_iter().flatten().map(size).fold(more, BatchSize::and);
                places.push(i);
                items.push((change.id.name.clone(), sum));
            }
        }
        let batches = Batches::packed(items, limit);
        let too_large = Error::invalid("changes", "the records of one name are more than one change of the cloud can hold");
        early.extend(batches.too_large().iter().filter_map(|item| Some((*places.get(*item)?, Some(too_large.clone())))));
        if changes.mode != ChangeMode::BestEffort {
            if let Some((i, Some(error))) = early.iter().find(|(_, e)| e.is_some()) {
                return Err(error.clone().with_field(format!("changes[{i}]")));
            }
            if !batches.is_one() {
                let why = format!("they are more than one change of the cloud can hold ({} values, {} characters): nothing else is all or nothing", limit.values, limit.characters);
                return Err(Error::invalid("changes", why));
            }
        }
        Ok(Self { batches, places, from, early, kept: serde_json::Value::Null })
    }
    /// The vendor's next change, the same until it is told what came of it; None when nothing is left.
    pub fn next(&mut self, changes: &RecordChanges) -> Option<Vec<RecordEdit>> {
        let items = self.batches.next()?;
        let edit = |item: usize| {
            let i = *self.places.get(item)?;
            let change = changes.changes.get(i)?;
            Some(RecordEdit { id: change.id.clone(), from: self.from.get(&i).cloned(), to: wanted(change) })
        };
        Some(items.into_iter().filter_map(edit).collect())
    }
    /// The vendor did it.
    pub fn done(&mut self) {
        self.batches.done();
    }
    /// The vendor refused it for what it says, and did nothing of it.
    pub fn refused(&mut self, error: &Error) {
        self.batches.refused(error);
    }
    /// What has come of the changes so far.
    #[must_use]
    pub fn outcomes(&self, changes: &RecordChanges) -> RecordOutcomes {
        let later = self.batches.outcomes().iter().filter_map(|(item, error)| Some((*self.places.get(*item)?, error)));
        let known: BTreeMap<usize, &Option<Error>> = self.early.iter().map(|(i, e)| (*i, e)).chain(later).collect();
        let outcome = |(i, error): (usize, &Option<Error>)| {
            let change = changes.changes.get(i)?;
            Some(RecordOutcome { id: change.id.clone(), wanted: change.desired.is_some(), error: error.clone() })
        };
        RecordOutcomes(known.into_iter().filter_map(outcome).collect())
    }
}

/// Refuses to empty a zone by mistake.
fn guard(there: &RecordsThere, total: Option<usize>, changes: &RecordChanges) -> Result<(), Error> {
    let removed = changes.removals().filter(|c| c.owned && there.contains_key(&c.id)).count();
    let Some(total) = total.filter(|_| removed > FEW) else { return Ok(()) };
    // What is gone was removed by an earlier try, of which nothing may be known here.
    let asked = changes.removals().count();
    let is_stated = changes.deletes.and_then(|n| usize::try_from(n).ok()).is_some_and(|n| (removed..=asked).contains(&n));
    let is_much = removed.saturating_mul(100) > total.saturating_mul(usize::try_from(changes.most_deleted_percent).unwrap_or(100));
    if !is_much || is_stated {
        return Ok(());
    }
    let why = format!("{removed} of the zone's {total} record sets would be removed, which is more than {} %: say deletes = {removed}", changes.most_deleted_percent);
    Err(Error::new(ErrorKind::FailedPrecondition, Reason::DeletesNotStated, why).with_field("deletes"))
}
/// The types of record that each name has once all changes are made.
fn after(there: &RecordsThere, changes: &RecordChanges) -> BTreeMap<DnsName, BTreeSet<RecordType>> {
    let mut types: BTreeMap<DnsName, BTreeSet<RecordType>> = BTreeMap::new();
    for id in there.keys() {
        types.entry(id.name.clone()).or_default().insert(id.record_type);
    }
    for change in &changes.changes {
        let of_name = types.entry(change.id.name.clone()).or_default();
        if change.desired.is_some() {
            of_name.insert(change.id.record_type);
        } else if change.owned {
            of_name.remove(&change.id.record_type);
        }
    }
    types
}
fn refusal(zone: &DnsName, change: &RecordChange, there: &RecordsThere, after: &BTreeMap<DnsName, BTreeSet<RecordType>>) -> Option<Error> {
    let id = &change.id;
    let is_there = |record_type| there.contains_key(&RecordId { name: id.name.clone(), record_type });
    if is_there(id.record_type) && !change.owned {
        return Some(id.not_ours());
    }
    change.desired.as_ref()?;
    // What is side by side already can go on so.
    let beside = after.get(&id.name).into_iter().flatten().filter(|other| !is_there(id.record_type) || !is_there(**other));
    id.check_place(zone, beside).err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RecordAlias, Ref, Routing};

    const NO_LIMIT: BatchSize = BatchSize { values: u64::MAX, characters: u64::MAX };

    fn says(value: &str) -> RecordSetSpec {
        RecordSetSpec { values: vec![value.into()], ..RecordSetSpec::default() }
    }
    fn change(id: &str, value: Option<&str>, owned: bool) -> RecordChange {
        RecordChange { id: format!("{id}.example~A").parse().unwrap(), desired: value.map(says), owned }
    }
    fn changes(mode: ChangeMode, changes: Vec<RecordChange>) -> RecordChanges {
        let mut all = RecordChanges { mode, changes, deletes: None, most_deleted_percent: 50 };
        assert_eq!(all.canonical(), []);
        all
    }
    fn zone_of(records: &[&str]) -> RecordsThere {
        if records.is_empty() {
            return RecordsThere::new();
        }
        let all = changes(ChangeMode::Atomic, records.iter().map(|r| change(r, Some("192.0.2.9"), true)).collect());
        all.changes.into_iter().filter_map(|c| Some((c.id, c.desired?))).collect()
    }
    fn plan(there: &RecordsThere, all: &RecordChanges, limit: BatchSize) -> Result<RecordWork, Error> {
        RecordWork::plan(&"example".parse().unwrap(), there, Some(there.len()), all, limit, false, &BTreeMap::new())
    }
    fn errors(work: &RecordWork, all: &RecordChanges) -> Vec<Option<Reason>> {
        work.outcomes(all).0.iter().map(|o| o.error.as_ref().map(Error::reason)).collect()
    }

    #[test]
    fn each_change_is_made_against_what_was_there() {
        let there = zone_of(&["same", "other", "gone", "foreign"]);
        let all = changes(
            ChangeMode::BestEffort,
            vec![
                change("same", Some("192.0.2.9"), true),
                change("other", Some("192.0.2.1"), true),
                change("gone", None, true),
                change("never", None, false),
                change("new", Some("192.0.2.1"), false),
                change("foreign", Some("192.0.2.9"), false),
            ],
        );
        let mut work = plan(&there, &all, NO_LIMIT).unwrap();
        let edits = work.next(&all).unwrap();
        let shape = |e: &RecordEdit| (e.id.to_string(), e.from.is_some(), e.to.is_some());
        let expected = [("other", true, true), ("gone", true, false), ("new", false, true)].map(|(id, from, to)| (format!("{id}.example~A"), from, to));
        assert_eq!(edits.iter().map(shape).collect::<Vec<_>>(), expected);
        work.done();
        assert_eq!(work.next(&all), None);
        assert_eq!(errors(&work, &all), [None, None, None, None, None, Some(Reason::NotOwned)]);
        // After a write of unknown fate what is exactly so may be ours.
        let again = RecordWork::plan(&"example".parse().unwrap(), &there, None, &all, NO_LIMIT, true, &BTreeMap::new()).unwrap();
        assert_eq!(again.early.get(&5), Some(&None));
    }
    #[test]
    fn an_alias_is_the_same_whatever_its_load_balancer_is_called() {
        let of = |name: &str, id: &str| {
            let name = format!("locations/r/loadBalancers/{name}").parse().unwrap();
            RecordSetSpec { alias: RecordAlias::of(Ref { name, vendor_id: id.parse().ok() }), routing: Routing::Simple, ..RecordSetSpec::default() }
        };
        let alias = |id: &str, name: &str, vendor_id: &str| RecordChange { desired: Some(of(name, vendor_id)), ..change(id, None, true) };
        let there = RecordsThere::from([("same", "lb-1"), ("other", "lb-2")].map(|(id, lb)| (change(id, None, true).id, of(lb, lb))));
        let all = changes(ChangeMode::Atomic, vec![alias("same", "web", "lb-1"), alias("other", "web", "lb-1"), alias("new", "web", "lb-1")]);
        let paths: Vec<_> = all.clone().refs().iter().map(|r| r.path.to_string()).collect();
        assert_eq!(paths, [0, 1, 2].map(|i| format!("changes[{i}].record_set.alias.load_balancer")));
        let mut work = plan(&there, &all, BatchSize { values: 3, characters: 0 }).unwrap();
        let to: Vec<_> = work.next(&all).unwrap().into_iter().map(|e| (e.id.to_string(), e.to)).collect();
        assert_eq!(to, ["other", "new"].map(|id| (format!("{id}.example~A"), Some(of("lb-1", "lb-1")))));
        assert!(plan(&there, &all, BatchSize { values: 2, characters: 0 }).is_err(), "an alias counts as a value");
    }
    #[test]
    fn all_or_nothing_is_one_change_of_the_vendor() {
        let all = changes(ChangeMode::Atomic, (0..3).map(|n| change(&format!("r{n}"), Some("192.0.2.1"), false)).collect());
        assert!(plan(&zone_of(&[]), &all, BatchSize { values: 3, characters: 100 }).is_ok());
        for limit in [BatchSize { values: 2, characters: 100 }, BatchSize { values: 3, characters: 20 }] {
            assert_eq!(plan(&zone_of(&[]), &all, limit).unwrap_err().violations()[0].field, "changes");
        }
        // What is there counts as the vendor spells it.
        let (there, removal) = (zone_of(&["a"]), changes(ChangeMode::Atomic, vec![change("a", None, true)]));
        let limit = BatchSize { values: 1, characters: 11 };
        let spelled = |more| RecordWork::plan(&"example".parse().unwrap(), &there, None, &removal, limit, false, &[(removal.changes[0].id.clone(), more)].into());
        assert!(spelled(2).is_ok() && spelled(3).is_err());
        let refused = plan(&zone_of(&["r1"]), &all, NO_LIMIT).unwrap_err();
        assert_eq!((refused.reason(), refused.violations().iter().any(|v| v.field == "changes[1]")), (Reason::NotOwned, true));
    }
    #[test]
    fn a_name_that_no_change_can_have_is_refused_alone() {
        let mut all = changes(ChangeMode::BestEffort, vec![change("a", Some("192.0.2.1"), false), change("b", Some("192.0.2.1"), false)]);
        all.changes.push(RecordChange { id: "a.example~CNAME".parse().unwrap(), desired: Some(says("b.example")), owned: false });
        all.changes.push(RecordChange { id: "elsewhere~A".parse().unwrap(), desired: Some(says("192.0.2.1")), owned: false });
        assert_eq!(all.canonical(), []);
        let mut work = plan(&zone_of(&[]), &all, NO_LIMIT).unwrap();
        assert_eq!(work.next(&all).unwrap().len(), 1);
        work.done();
        assert_eq!(errors(&work, &all), [Some(Reason::InUse), None, Some(Reason::InUse), Some(Reason::InvalidField)]);
        // The same of what is handed on: both ways, and what is so already can be changed.
        let of = |id: &str, value: &str, owned| RecordChange { id: format!("a.example~{id}").parse().unwrap(), desired: Some(says(value)), owned };
        let (ns, txt, a) = (|owned| of("NS", "ns.example", owned), |owned| of("TXT", "\"x\"", owned), of("A", "192.0.2.1", false));
        let there = |of: &RecordChange| RecordsThere::from([(of.id.clone(), says("old"))]);
        for (there, asked, refused) in [
            (there(&ns(true)), vec![txt(false)], vec![Some(Reason::InUse)]),
            (there(&txt(true)), vec![ns(false)], vec![Some(Reason::InUse)]),
            (zone_of(&[]), vec![ns(false), txt(false)], vec![Some(Reason::InUse); 2]),
            (there(&ns(true)), vec![a], vec![]),
            ([there(&ns(true)), there(&txt(true))].into_iter().flatten().collect(), vec![ns(true), txt(true)], vec![]),
        ] {
            let asked = changes(ChangeMode::BestEffort, asked);
            assert_eq!(errors(&plan(&there, &asked, NO_LIMIT).unwrap(), &asked), refused, "{asked:?}");
        }
        // From one to the other at once.
        let there = zone_of(&["a"]);
        let mut swap = changes(ChangeMode::Atomic, vec![change("a", None, true)]);
        swap.changes.push(RecordChange { id: "a.example~CNAME".parse().unwrap(), desired: Some(says("b.example")), owned: false });
        assert_eq!((swap.canonical(), plan(&there, &swap, NO_LIMIT).unwrap().next(&swap).unwrap().len()), (vec![], 2));
    }
    #[test]
    fn a_zone_is_not_emptied_by_mistake() {
        let records: Vec<String> = (0..10).map(|n| format!("r{n}")).collect();
        let there = zone_of(&records.iter().map(String::as_str).collect::<Vec<_>>());
        let of = |n: usize, deletes| RecordChanges { deletes, ..changes(ChangeMode::BestEffort, records.iter().take(n).map(|r| change(r, None, true)).collect()) };
        for (n, deletes, is_refused) in [(3, None, false), (5, None, false), (6, None, true), (6, Some(5), true), (6, Some(6), false), (10, Some(10), false)] {
            let planned = plan(&there, &of(n, deletes), NO_LIMIT);
            assert_eq!(planned.as_ref().is_err_and(|e| e.reason() == Reason::DeletesNotStated), is_refused, "{n}, {deletes:?}: {planned:?}");
        }
        assert!(!of(3, None).needs_total() && of(4, None).needs_total());
    }
    #[test]
    fn what_was_stated_stays_right_when_a_part_is_gone() {
        let records: Vec<String> = (0..10).map(|n| format!("r{n}")).collect();
        let there = zone_of(&records.iter().skip(3).map(String::as_str).collect::<Vec<_>>());
        // Three of eight are gone, which the engine knows, or not yet where only a handle was lost.
        for owned in [true, false] {
            let removals = |deletes| {
                let gone = records.iter().take(3).map(|r| change(r, None, owned));
                let left = records.iter().take(8).skip(3).map(|r| change(r, None, true));
                RecordChanges { deletes, ..changes(ChangeMode::BestEffort, gone.chain(left).collect()) }
            };
            for (deletes, is_refused) in [(None, true), (Some(4), true), (Some(5), false), (Some(7), false), (Some(8), false), (Some(9), true)] {
                let planned = plan(&there, &removals(deletes), NO_LIMIT);
                assert_eq!(planned.as_ref().is_err_and(|e| e.reason() == Reason::DeletesNotStated), is_refused, "{deletes:?}: {planned:?}");
            }
        }
    }
    #[test]
    fn what_is_wrong_with_one_names_it() {
        let mut all =
            RecordChanges { changes: vec![change("a", Some("nowhere"), false), change("b", None, false), change("a", Some("192.0.2.1"), false)], ..RecordChanges::default() };
        assert_eq!(all.canonical().iter().map(|v| v.field.as_str()).collect::<Vec<_>>(), ["changes[0].record_set.values[0]", "changes[2].record_set_id"]);
        assert_eq!(RecordChanges::default().canonical()[0].field, "changes");
    }
}
