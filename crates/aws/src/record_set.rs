//! Record sets of Route 53. They carry no mark, so what there is counts by what it says alone.
//!
//! The zone is called by the vendor's id in every name that gets here. A list of a zone's records is current, even of what its name servers do not know
//! yet (<https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html>), a change is done as a whole or not at all, CREATE is
//! refused where something is there, and DELETE where it is not exactly what is said
//! (<https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html>). So a write whose fate is unknown may be sent again: whichever
//! of the two comes second is refused.

mod alias;
mod item;

use crate::{
    Aws,
    client::{GLOBAL, Global},
    dns_zone::{GONE, bare_id},
    error,
    step::{answered, now_ms, pace, told, unresolved_ms},
};
use alias::{Known, Leads, referred};
use async_trait::async_trait;
use aws_sdk_route53::types::{Change as Written, ChangeAction, ChangeBatch, ResourceRecordSet, RrType};
use item::{Row, Spelled, check_told, id_of, rows, sets, too_long};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};
use welkin_core::{
    BatchSize, Change, ChangeMode, Cursor, Cx, DnsName, DnsZone, Driver, Effect, Error, ErrorKind, FieldPath, Kind as _, LocationName, Name, NoAction, Object, Page, Query, Reader,
    Reason, RecordChanges, RecordEdit, RecordId, RecordOutcomes, RecordSet, RecordSetSpec, RecordType, RecordWork, RecordsThere, ResourceId, Result, Resume, Retry, Shard, Step,
    Target, Verb, Violation,
};

/// What one change holds (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html#limits-api-requests-changeresourcerecordsets>). What replaces
/// something counts twice because it is a DELETE and a CREATE.
const CHANGE: BatchSize = BatchSize { values: 1000, characters: 32_000 };
/// The most that one list shows.
const WHOLE: i32 = 300;
/// So many names are read one by one; of more the whole zone is listed.
const FEW_NAMES: usize = 4;
/// Zones that a list of all zones' records finds at once.
const ZONES: i32 = 10;
/// What Route 53 answers to what it will not have, and nothing of the change is done; of an alias Elastic Load Balancing says first that it leads nowhere.
const REFUSED: &[&str] = &["InvalidChangeBatch", "InvalidInput", "NoSuchHealthCheck", "InvalidDomainName", "LoadBalancerNotFound"];
/// What is wrong with a DELETE of what is not there.
const NOT_FOUND: &str = "was not found";

/// Where a list begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Start {
    name: String,
    /// The first of the name where it is left open.
    record_type: Option<String>,
}
/// Where a list goes on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct At {
    /// The zones whose records come next.
    zones: VecDeque<String>,
    /// Where in the first of them.
    start: Option<Start>,
    /// Where the list of zones goes on. None where no further zone is looked for.
    more: Option<More>,
}
/// After the marker, or at the beginning.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct More {
    marker: Option<String>,
}

/// A change that the name servers have to learn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Learning {
    learning: String,
    since_ms: u64,
}
/// The same of a delete. A create's must not be taken for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Forgetting {
    forgetting: String,
    since_ms: u64,
}

/// What a batch keeps beside its plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Beside {
    /// By record set.
    spelled: BTreeMap<String, Spelled>,
    /// Where its aliases lead, in Route 53's spelling, by record set.
    aliases: BTreeMap<String, Leads>,
    /// Where new ones have to lead.
    leads: Leads,
    /// The last change.
    last: Option<Learning>,
}

/// One change of Route 53's.
fn written(action: ChangeAction, set: ResourceRecordSet) -> Result<Written> {
    Written::builder().action(action).resource_record_set(set).build().map_err(|e| Error::internal("a change cannot be built").with_source(e))
}
fn removed(row: &Row) -> Result<Vec<Written>> {
    row.items.iter().map(|set| written(ChangeAction::Delete, set.clone())).collect()
}
fn created(id: &RecordId, spec: &RecordSetSpec, leads: &Leads) -> Result<Vec<Written>> {
    sets(id, spec, &Spelled::new(), leads)?.into_iter().map(|set| written(ChangeAction::Create, set)).collect()
}
/// What has to go, first.
fn edited(edits: &[RecordEdit], beside: &Beside) -> Result<Vec<Written>> {
    let (mut all, as_ours, nowhere) = (Vec::new(), Spelled::new(), Leads::new());
    for edit in edits {
        let id = edit.id.to_string();
        let (spelled, leads) = (beside.spelled.get(&id).unwrap_or(&as_ours), beside.aliases.get(&id).unwrap_or(&nowhere));
        let from = edit.from.as_ref().map(|from| sets(&edit.id, from, spelled, leads)).transpose()?;
        all.extend(from.into_iter().flatten().map(|set| written(ChangeAction::Delete, set)).collect::<Result<Vec<_>>>()?);
    }
    for edit in edits {
        all.extend(edit.to.as_ref().map(|to| created(&edit.id, to, &beside.leads)).transpose()?.into_iter().flatten());
    }
    Ok(all)
}
/// What `InvalidChangeBatch` is about, as Route 53 says it: <https://github.com/kubernetes-sigs/external-dns/issues/732>,
/// <https://repost.aws/knowledge-center/route-53-error-already-exists>, <https://github.com/aws/aws-cli/issues/4687> (of an alias).
fn judged(refusal: Error) -> Error {
    if refusal.effect() != Effect::None || !error::is(&refusal, &["InvalidChangeBatch"]) {
        return refusal;
    }
    let says = |what: &str| refusal.message().contains(what);
    let (kind, reason, field) = if says("Tried to create an alias") {
        // It "was not found", as what a DELETE speaks of can be, or is not where we were told that it is.
        (ErrorKind::FailedPrecondition, Reason::ReferenceNotFound, "alias.load_balancer")
    } else if says("already exists") {
        (ErrorKind::FailedPrecondition, Reason::NotOwned, "record_set_id")
    } else if is_other(&refusal) {
        (ErrorKind::Aborted, Reason::EtagMismatch, "record_set_id")
    } else if says("conflicts with other records") {
        (ErrorKind::FailedPrecondition, Reason::InUse, "record_set_id")
    } else {
        return refusal;
    };
    let judged = Error::new(kind, reason, refusal.message().to_owned()).with_effect(Effect::None).with_field(field);
    match refusal.vendor() {
        Some(vendor) => judged.with_vendor(vendor.clone()),
        None => judged,
    }
}
/// What a DELETE said was not there.
fn is_other(refusal: &Error) -> bool {
    [NOT_FOUND, "do not match the current values"].iter().any(|what| refusal.message().contains(what))
}
/// Has somebody been faster, if only an earlier try of ours?
fn is_late(refusal: &Error) -> bool {
    error::is(refusal, &["InvalidChangeBatch"]) && matches!(refusal.reason(), Reason::NotOwned | Reason::EtagMismatch)
}
fn look_again<T>(resume: &Resume) -> Step<T> {
    Step::look_again(pace(unresolved_ms(resume)), "looking for what an interrupted call has changed")
}
fn object(zone: &Name<DnsZone>, id: RecordId, spec: RecordSetSpec) -> Result<Object<RecordSet>> {
    RecordSet::shown("aws", GLOBAL, zone, id, spec)
}
fn check_sayable(target: &Target<RecordSet>, row: &Row) -> Result<()> {
    let Some(beyond) = &row.beyond else { return Ok(()) };
    let why = format!("{} has what no specification here says ({beyond}), so it is neither changed nor removed", row.id);
    Err(Error::new(ErrorKind::FailedPrecondition, Reason::WrongState, why).with_resource(target.to_string()))
}

/// Of a delete, which says exactly what is there.
fn check_removable(target: &Target<RecordSet>, row: &Row) -> Result<()> {
    if row.dangles { Ok(()) } else { check_sayable(target, row) }
}

impl Global {
    /// What a zone is called, which never changes; None where there is no such zone.
    async fn begins(&self, cx: &Cx, zone: &str) -> Result<Option<DnsName>> {
        let known = self.zone_names.lock().get(zone).cloned();
        if known.is_some() {
            return Ok(known);
        }
        self.zone_name(cx, zone).await
    }
    /// The ids of some zones, and where the next ones begin.
    async fn zones_from(&self, cx: &Cx, size: i32, marker: Option<String>) -> Result<(VecDeque<String>, Option<String>)> {
        let (zones, next) = self.zones_page(cx, size, marker).await?;
        Ok((zones.iter().map(|z| bare_id(z.id()).to_owned()).collect(), next))
    }
    /// From `start`, and where it goes on: what belongs to one name and type is never cut.
    async fn records_page(&self, cx: &Cx, zone: &str, start: Option<&Start>, size: i32) -> Result<(Vec<ResourceRecordSet>, Option<Start>)> {
        let (mut all, mut start, mut identifier, mut size) = (Vec::<ResourceRecordSet>::new(), start.cloned(), None, size.clamp(1, WHOLE));
        loop {
            let call = self.route53.list_resource_record_sets().hosted_zone_id(zone).max_items(size).set_start_record_identifier(identifier.take());
            let call = call.set_start_record_name(start.as_ref().map(|s| s.name.clone()));
            let call = call.set_start_record_type(start.as_ref().and_then(|s| s.record_type.as_deref()).map(RrType::from));
            let answer = self.route53.read(cx, "ListResourceRecordSets", call.send()).await?;
            answer.resource_record_sets().iter().try_for_each(check_told)?;
            all.extend_from_slice(answer.resource_record_sets());
            // Where a next one is named there is one, whatever else is not told.
            if !answer.is_truncated() && told(answer.next_record_name()).is_none() {
                return Ok((all, None));
            }
            let name = answered(told(answer.next_record_name()), "NextRecordName")?.to_owned();
            let record_type = answered(answer.next_record_type(), "NextRecordType")?.as_str().to_owned();
            let is_next = |set: &ResourceRecordSet| set.name() == name && set.r#type().as_str() == record_type;
            let next = Start { name: name.clone(), record_type: Some(record_type.clone()) };
            match all.iter().position(is_next) {
                None => return Ok((all, Some(next))),
                // Its beginning is the next page's.
                Some(at) if at > 0 => {
                    all.truncate(at);
                    return Ok((all, Some(next)));
                }
                Some(_) if size < WHOLE => {
                    all.clear();
                    size = WHOLE;
                }
                Some(_) => identifier = answer.next_record_identifier().map(ToOwned::to_owned),
            }
            start = Some(next);
        }
    }
    /// Where the zone begins, and its record sets of one name; None where there is no such zone.
    async fn at_name(&self, cx: &Cx, zone: &str, name: &DnsName) -> Result<Option<(DnsName, Vec<Row>)>> {
        let Some(begins) = self.begins(cx, zone).await? else { return Ok(None) };
        let first = Start { name: name.to_string(), record_type: None };
        let (mut all, mut known, mut start) = (Vec::new(), Known::default(), None::<Start>);
        loop {
            let from = start.as_ref().unwrap_or(&first);
            let (sets, next) = match self.records_page(cx, zone, Some(from), WHOLE).await {
                Err(e) if error::is(&e, GONE) => return Ok(None),
                page => page?,
            };
            let is_over = |of: &str| of.parse().is_ok_and(|n: DnsName| n != *name);
            let sets: Vec<_> = sets.into_iter().filter(|set| id_of(set).is_some_and(|id| id.name == *name)).collect();
            self.look_for(cx, sets.iter(), &mut known).await?;
            all.extend(rows(sets, &known).into_iter().filter(|row| !is_own(&begins, &row.id)));
            start = next.filter(|n| !is_over(&n.name));
            if start.is_none() {
                return Ok(Some((begins, all)));
            }
        }
    }
    /// Where the aliases of a specification have to lead.
    async fn leads_of(&self, cx: &Cx, spec: &RecordSetSpec) -> Result<Leads> {
        let mut leads = Leads::new();
        self.find_leads(cx, referred(RecordSet::refs(&mut spec.clone())), &mut leads).await?;
        Ok(leads)
    }
    async fn change_records(&self, cx: &Cx, zone: &str, changes: Vec<Written>) -> Result<String> {
        let batch = ChangeBatch::builder().set_changes(Some(changes)).build().map_err(|e| Error::internal("a change cannot be built").with_source(e))?;
        let call = self.route53.change_resource_record_sets().hosted_zone_id(zone).change_batch(batch);
        let answer = self.route53.write(cx, "ChangeResourceRecordSets", call.send()).await.map_err(judged)?;
        let id = answer.change_info().map(|info| bare_id(info.id()).to_owned());
        answered(id.filter(|id| !id.is_empty()), "ChangeInfo.Id").map_err(|e| e.with_effect(Effect::Unknown))
    }
    /// Every record set of these names as it is and as Route 53 spells it, and how many the zone has where it was listed as a whole: for many names,
    /// and where that number is needed.
    async fn there(&self, cx: &Cx, zone: &str, names: &BTreeSet<&DnsName>, needs_total: bool) -> Result<(Vec<Row>, Option<usize>)> {
        let mut there = Vec::new();
        if !needs_total && names.len() <= FEW_NAMES {
            for name in names.iter().copied() {
                there.extend(self.at_name(cx, zone, name).await?.map(|(_, rows)| rows).unwrap_or_default());
            }
            return Ok((there, None));
        }
        let begins = self.begins(cx, zone).await?.ok_or_else(|| no_zone(zone))?;
        let (mut total, mut known, mut start) = (0, Known::default(), None);
        loop {
            let (sets, next) = self.records_page(cx, zone, start.as_ref(), WHOLE).await?;
            self.look_for(cx, sets.iter().filter(|set| id_of(set).is_some_and(|id| names.contains(&id.name))), &mut known).await?;
            let found = rows(sets, &known).into_iter().filter(|row| !is_own(&begins, &row.id));
            there.extend(found.inspect(|_| total += 1).filter(|row| names.contains(&row.id.name)));
            start = next;
            if start.is_none() {
                return Ok((there, Some(total)));
            }
        }
    }
}
/// The name servers of a zone where it begins: Route 53's own, as its SOA is.
fn is_own(begins: &DnsName, id: &RecordId) -> bool {
    id.record_type == RecordType::Ns && id.name == *begins
}
fn no_zone(zone: &str) -> Error {
    Error::new(ErrorKind::FailedPrecondition, Reason::ReferenceNotFound, format!("there is no zone {zone}")).with_field("parent")
}

/// Many changes at once: an action of the zone.
impl Global {
    /// What has to be done in a zone, compared with what is there now.
    async fn planned(&self, cx: &Cx, zone: &str, changes: &RecordChanges, unresolved: bool) -> Result<RecordWork> {
        let begins = self.begins(cx, zone).await?.ok_or_else(|| no_zone(zone))?;
        let (found, total) = self.there(cx, zone, &changes.names(), changes.needs_total()).await?;
        let mut changes = changes.clone();
        // What cannot be said cannot be written, whosever it is.
        let unsayable: BTreeSet<&RecordId> = found.iter().filter(|row| row.beyond.is_some()).map(|row| &row.id).collect();
        changes.changes.iter_mut().filter(|c| unsayable.contains(&c.id)).for_each(|c| c.owned = false);
        let spelled = found.iter().map(|row| (row.id.to_string(), row.spelled())).filter(|(_, s)| !s.is_empty()).collect();
        let longer = found.iter().map(|row| (row.id.clone(), row.longer())).collect();
        let aliases = found.iter().filter(|row| !row.leads.is_empty()).map(|row| (row.id.to_string(), row.leads.clone())).collect();
        let there: RecordsThere = found.into_iter().map(|row| (row.id, row.spec)).collect();
        let mut work = RecordWork::plan(&begins, &there, total, &changes, CHANGE, unresolved, &longer)?;
        work.keep(&Beside { spelled, aliases, ..Beside::default() })?;
        Ok(work)
    }
    /// For a check: everything but what Route 53 itself says.
    pub(crate) async fn check_changes(&self, cx: &Cx, zone: &str, changes: &RecordChanges) -> Result<()> {
        self.planned(cx, zone, changes, false).await.map(drop)
    }
    /// One of Route 53's changes a step.
    pub(crate) async fn changed_records(&self, cx: &Cx, zone: &str, changes: &RecordChanges, resume: &Resume) -> Result<Step<RecordOutcomes>> {
        let (planned, resume) = resume.read::<RecordWork>();
        let is_planned = planned.is_some();
        let mut work = match planned {
            Some(work) => work,
            None => Box::pin(self.planned(cx, zone, changes, resume.is_unresolved())).await?,
        };
        let mut beside: Beside = work.kept();
        let Some(edits) = work.next(changes) else {
            return match beside.last {
                Some(last) if !self.is_in_sync(cx, &last.learning).await? => Step::wait(&work, pace(last.since_ms), "the name servers are learning it"),
                _ => Ok(Step::Done(work.outcomes(changes))),
            };
        };
        if resume.is_unresolved() && is_planned && self.are_made(cx, zone, &edits).await? {
            work.done();
            return Step::wait(&work, Duration::ZERO, "an interrupted call has changed them");
        }
        match Box::pin(self.change_all(cx, zone, changes, &edits, &mut beside)).await {
            Ok(change) => {
                beside.last = Some(Learning { learning: change, since_ms: now_ms() });
                work.done();
                work.keep(&beside)?;
            }
            Err(e) if resume.is_unresolved() && is_late(&e) => return Ok(look_again(&resume)),
            Err(e) if changes.mode == ChangeMode::BestEffort && e.effect() == Effect::None && e.retry() == Retry::Never && error::is(&e, REFUSED) => {
                work.refused(&e);
                work.keep(&beside)?;
            }
            Err(e) => return Err(e),
        }
        Step::wait(&work, Duration::ZERO, "changed")
    }
    async fn change_all(&self, cx: &Cx, zone: &str, changes: &RecordChanges, edits: &[RecordEdit], beside: &mut Beside) -> Result<String> {
        let place = |id: &RecordId| changes.changes.iter().position(|c| c.id == *id).unwrap_or_default();
        for (i, mut to) in edits.iter().filter_map(|edit| Some((place(&edit.id), edit.to.clone()?))) {
            let wanted = referred(RecordSet::refs(&mut to)).into_iter().map(|(id, field)| (id, format!("changes[{i}].record_set.{field}"))).collect();
            self.find_leads(cx, wanted, &mut beside.leads).await?;
        }
        self.change_records(cx, zone, edited(edits, beside)?).await
    }
    /// Is all of it as it was to be? A call does all of it or nothing.
    async fn are_made(&self, cx: &Cx, zone: &str, edits: &[RecordEdit]) -> Result<bool> {
        let (there, _) = self.there(cx, zone, &edits.iter().map(|e| &e.id.name).collect(), false).await?;
        Ok(edits.iter().all(|e| there.iter().find(|row| row.id == e.id).map(|row| &row.spec) == e.to.as_ref()))
    }
}

impl Aws {
    /// Where a target's zone is served, the zone's own id, and the record set's.
    fn addressed(&self, target: &Target<RecordSet>) -> Result<(&Global, String, RecordId)> {
        let (zone, id) = RecordSet::addressed(target)?;
        Ok((self.zones(&target.parent().parent)?, zone, id))
    }
    /// What is there of it; None where there is nothing.
    async fn record_set(&self, cx: &Cx, target: &Target<RecordSet>) -> Result<Option<Row>> {
        let (global, zone, id) = self.addressed(target)?;
        let at = global.at_name(cx, &zone, &id.name).await?;
        Ok(at.and_then(|(_, rows)| rows.into_iter().find(|row| row.id == id)))
    }
    /// What a change is to be made from: refused where it is another than expected, or more than can be said.
    async fn expected_set(&self, cx: &Cx, change: &Change<RecordSet>) -> Result<Row> {
        let row = self.record_set(cx, &change.target).await?.ok_or_else(|| Error::not_found(&change.target))?;
        if matches!(change.verb, Verb::Delete) { check_removable(&change.target, &row) } else { check_sayable(&change.target, &row) }?;
        RecordSet::check_expected(change, &row.spec)?;
        Ok(row)
    }
    /// Done once the name servers know it.
    async fn learned(&self, cx: &Cx, change: &Change<RecordSet>, spec: &RecordSetSpec, learning: &Learning) -> Result<Step<Object<RecordSet>>> {
        let (global, _, id) = self.addressed(&change.target)?;
        if global.is_in_sync(cx, &learning.learning).await? {
            return Ok(Step::Done(object(change.target.parent(), id, spec.clone())?));
        }
        Step::wait(learning, pace(learning.since_ms), "the name servers are learning it")
    }
}

#[async_trait]
impl Reader<RecordSet> for Aws {
    fn shards(&self, query: &Query<RecordSet>) -> Vec<Shard> {
        let is_here = query.parent.as_ref().is_none_or(|zone| zone.parent.id.as_str() == GLOBAL);
        if is_here { vec![Shard(GLOBAL.to_owned())] } else { Vec::new() }
    }
    async fn get(&self, cx: &Cx, target: &Target<RecordSet>) -> Result<Object<RecordSet>> {
        let row = self.record_set(cx, target).await?.ok_or_else(|| Error::not_found(target))?;
        object(target.parent(), row.id, row.spec)
    }
    async fn list(&self, cx: &Cx, query: &Query<RecordSet>, _: &Shard, from: Option<&Cursor>) -> Result<Page<RecordSet>> {
        // Nothing carries a mark: what is ours alone is not known here.
        let global = &self.global;
        let wrong = |_| Error::new(ErrorKind::InvalidArgument, Reason::InvalidPageToken, "this page token is not one of this list").with_field("page_token");
        let mut at: At = match (from, &query.parent) {
            (Some(cursor), _) => serde_json::from_str(&cursor.0).map_err(wrong)?,
            (None, Some(zone)) => At { zones: [zone.id.decoded()].into(), ..At::default() },
            (None, None) => At { more: Some(More::default()), ..At::default() },
        };
        if let (true, Some(more)) = (at.zones.is_empty(), at.more.take()) {
            let (zones, marker) = global.zones_from(cx, ZONES, more.marker).await?;
            at = At { zones, start: None, more: marker.map(|marker| More { marker: Some(marker) }) };
        }
        let mut items = Vec::new();
        if let Some(zone) = at.zones.front() {
            let size = i32::try_from(query.page_size).unwrap_or(WHOLE);
            let page = match global.begins(cx, zone).await? {
                Some(begins) => Some((begins, global.records_page(cx, zone, at.start.as_ref(), size).await)),
                None => None,
            };
            let (begins, sets) = match page {
                Some((begins, Ok((sets, next)))) => {
                    at.start = next;
                    (Some(begins), sets)
                }
                // It went between the two reads.
                Some((_, Err(e))) if !error::is(&e, GONE) => return Err(e),
                _ => {
                    at.start = None;
                    (None, Vec::new())
                }
            };
            let name = query.parent.clone().map_or_else(|| Ok(Name::new(LocationName::of(GLOBAL)?, ResourceId::of_vendor(zone)?)), Ok::<_, Error>)?;
            let mut known = Known::default();
            global.look_for(cx, sets.iter(), &mut known).await?;
            let shown = rows(sets, &known).into_iter().filter(|row| begins.as_ref().is_none_or(|begins| !is_own(begins, &row.id)));
            items = shown.map(|row| object(&name, row.id, row.spec)).collect::<Result<Vec<_>>>()?;
        }
        items.retain(|o| query.vendor_ids.is_empty() || query.vendor_ids.contains(&o.vendor_id));
        if at.start.is_none() {
            at.zones.pop_front();
        }
        let is_over = at.zones.is_empty() && at.more.is_none();
        let next = if is_over { None } else { Some(Cursor(serde_json::to_string(&at).map_err(|e| Error::internal("a cursor does not serialise").with_source(e))?)) };
        Ok(Page { items, next, unreachable: Vec::new() })
    }
}

#[async_trait]
impl Driver<RecordSet> for Aws {
    /// Route 53 has no dry run: what it would refuse itself is not told here, but for values that are too long.
    async fn check(&self, cx: &Cx, change: &Change<RecordSet>) -> Result<()> {
        if let Verb::Create { spec, .. } | Verb::Update { desired: spec, .. } = &change.verb {
            refused(too_long(spec))?;
        }
        match &change.verb {
            Verb::Create { .. } => {
                let (global, zone, id) = self.addressed(&change.target)?;
                let (begins, there) = global.at_name(cx, &zone, &id.name).await?.ok_or_else(|| no_zone(&zone))?;
                check_free(&begins, &there, &id)
            }
            Verb::Update { .. } | Verb::Delete => self.expected_set(cx, change).await.map(drop),
            Verb::Act(action) => match *action {},
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<RecordSet>, spec: &RecordSetSpec, resume: &Resume) -> Result<Step<Object<RecordSet>>> {
        let (learning, resume) = resume.read::<Learning>();
        let spec = &RecordSet::as_shown(spec);
        if let Some(learning) = learning {
            return self.learned(cx, change, spec, &learning).await;
        }
        let (global, zone, id) = self.addressed(&change.target)?;
        let (begins, there) = global.at_name(cx, &zone, &id.name).await?.ok_or_else(|| no_zone(&zone))?;
        // Without a mark it is what it says that tells whose it is.
        if resume.is_unresolved() && there.iter().any(|row| row.id == id && row.beyond.is_none() && row.spec == *spec) {
            return Ok(Step::Done(object(change.target.parent(), id, spec.clone())?));
        }
        check_free(&begins, &there, &id)?;
        let leads = global.leads_of(cx, spec).await?;
        match global.change_records(cx, &zone, created(&id, spec, &leads)?).await {
            Ok(learning) => Step::wait(&Learning { learning, since_ms: now_ms() }, Duration::ZERO, "the record set is made"),
            Err(e) if resume.is_unresolved() && is_late(&e) => Ok(look_again(&resume)),
            Err(e) => Err(e),
        }
    }

    async fn update(&self, cx: &Cx, change: &Change<RecordSet>, desired: &RecordSetSpec, _: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<RecordSet>>> {
        let (learning, resume) = resume.read::<Learning>();
        let desired = &RecordSet::as_shown(desired);
        if let Some(learning) = learning {
            return self.learned(cx, change, desired, &learning).await;
        }
        let (global, zone, id) = self.addressed(&change.target)?;
        let row = self.record_set(cx, &change.target).await?.ok_or_else(|| Error::not_found(&change.target))?;
        if matches!(change.verb, Verb::Delete) { check_removable(&change.target, &row) } else { check_sayable(&change.target, &row) }?;
        if row.spec == *desired {
            return Ok(Step::Done(object(change.target.parent(), id, desired.clone())?));
        }
        RecordSet::check_expected(change, &row.spec)?;
        let leads = global.leads_of(cx, desired).await?;
        let changes = [removed(&row)?, created(&id, desired, &leads)?].concat();
        match global.change_records(cx, &zone, changes).await {
            Ok(learning) => Step::wait(&Learning { learning, since_ms: now_ms() }, Duration::ZERO, "the record set is changed"),
            Err(e) if resume.is_unresolved() && is_late(&e) => Ok(look_again(&resume)),
            Err(e) => Err(e),
        }
    }

    async fn delete(&self, cx: &Cx, change: &Change<RecordSet>, resume: &Resume) -> Result<Step<()>> {
        let (global, zone, _) = self.addressed(&change.target)?;
        if let Some(Forgetting { forgetting, since_ms }) = resume.data() {
            let is_over = global.is_in_sync(cx, &forgetting).await?;
            return if is_over { Ok(Step::Done(())) } else { Step::wait(&Forgetting { forgetting, since_ms }, pace(since_ms), "the name servers are learning it") };
        }
        let (made, resume) = resume.read::<Learning>();
        if resume.cleans_up && made.is_none() && !resume.is_unresolved() {
            // Every call of the create was refused: what is there is somebody else's, whatever it says.
            return Ok(Step::Done(()));
        }
        let Some(row) = self.record_set(cx, &change.target).await? else {
            // A CREATE on its way may still arrive; a change of what was there cannot.
            let is_over = !resume.cleans_up || resume.is_past(self.horizon);
            return Ok(if is_over { Step::Done(()) } else { look_again(&resume) });
        };
        if let Err(other) = check_removable(&change.target, &row).and_then(|()| RecordSet::check_expected(change, &row.spec)) {
            return if resume.cleans_up { Ok(Step::Done(())) } else { Err(other) };
        }
        match global.change_records(cx, &zone, removed(&row)?).await {
            Ok(forgetting) => Step::wait(&Forgetting { forgetting, since_ms: now_ms() }, Duration::ZERO, "the record set is removed"),
            Err(e) if error::is(&e, GONE) => Ok(Step::Done(())),
            // It went a moment ago, or a part of it: the next look tells which.
            Err(e) if is_late(&e) && e.message().contains(NOT_FOUND) => Ok(Step::look_again(pace(now_ms()), "looking whether it went")),
            Err(e) => Err(e),
        }
    }

    async fn act(&self, _: &Cx, _: &Change<RecordSet>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }

    async fn ask(&self, _: &Cx, _: &Target<RecordSet>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}

/// Of many changes, before anything is asked of Route 53.
pub(crate) fn check_lengths(changes: &RecordChanges) -> Result<()> {
    let desired = changes.changes.iter().enumerate().filter_map(|(i, change)| Some((i, change.desired.as_ref()?)));
    let wrong = desired.flat_map(|(i, spec)| too_long(spec).into_iter().map(move |v| Violation::new(format!("changes[{i}].record_set.{}", v.field), v.description)));
    refused(wrong.collect())
}
fn refused(wrong: Vec<Violation>) -> Result<()> {
    if wrong.is_empty() { Ok(()) } else { Err(Error::violated(Reason::InvalidField, wrong)) }
}

/// Is there a place for it, and nothing in it?
fn check_free(begins: &DnsName, there: &[Row], id: &RecordId) -> Result<()> {
    id.check_place(begins, there.iter().map(|row| &row.id.record_type))?;
    if there.iter().any(|row| row.id == *id) { Err(id.not_ours()) } else { Ok(()) }
}
