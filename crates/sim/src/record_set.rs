//! Record sets: unmarked, so what there is counts by what it says alone.
//!
//! The zone is called by the vendor's id in every name that gets here. Each change is one call, and made against exactly what was read before it.

use crate::{
    Sim,
    error::is,
    resource::all_pages,
    vendor::{Action, AtName, Code, GLOBAL, MOST_VALUES, RecordChange},
};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use welkin_core::{
    BatchSize, Change, ChangeMode, Cursor, Cx, DnsName, DnsZone, Driver, Effect, Error, ErrorKind, FieldPath, Name, NoAction, Object, Page, Query, Reader, Reason, RecordChanges,
    RecordEdit, RecordId, RecordOutcomes, RecordSet, RecordSetSpec, RecordWork, RecordsThere, Result, Resume, Retry, Shard, Step, Target, Verb,
};

/// So many names are read one by one; of more the whole zone is listed.
const FEW_NAMES: usize = 4;

fn object(zone: &Name<DnsZone>, id: RecordId, spec: RecordSetSpec) -> Result<Object<RecordSet>> {
    RecordSet::shown("sim", GLOBAL, zone, id, spec)
}
impl Sim {
    /// What there is at a name; None where there is not even the zone.
    async fn at(&self, cx: &Cx, zone: &str, id: &RecordId) -> Result<Option<AtName>> {
        match self.call(cx, Action::DescribeRecords, GLOBAL, self.cloud.records_at(zone, &id.name)).await {
            Err(e) if is(&e, Code::ZoneNotFound) => Ok(None),
            found => found.map(Some),
        }
    }
    async fn record_set(&self, cx: &Cx, target: &Target<RecordSet>) -> Result<Option<RecordSetSpec>> {
        let (zone, id) = RecordSet::addressed(target)?;
        Ok(self.at(cx, &zone, &id).await?.and_then(|mut at| at.sets.remove(&id.record_type)))
    }
    async fn change_records(&self, cx: &Cx, zone: &str, changes: &[RecordChange]) -> Result<()> {
        self.call(cx, Action::ChangeRecords, GLOBAL, self.cloud.change_records(zone, changes)).await
    }
    /// The one it has to be changed from, refused where it is another than expected.
    async fn expected_set(&self, cx: &Cx, change: &Change<RecordSet>) -> Result<RecordSetSpec> {
        let there = self.record_set(cx, &change.target).await?.ok_or_else(|| Error::not_found(&change.target))?;
        RecordSet::check_expected(change, &there)?;
        Ok(there)
    }
}

/// The vendor's form: what has to go first.
pub(crate) fn record_changes(edits: &[RecordEdit]) -> Vec<RecordChange> {
    let gone = edits.iter().filter_map(|e| Some(RecordChange::Delete(e.id.clone(), e.from.clone()?)));
    gone.chain(edits.iter().filter_map(|e| Some(RecordChange::Create(e.id.clone(), e.to.clone()?)))).collect()
}

/// Many changes at once: an action of the zone.
impl Sim {
    /// What has to be done in a zone, compared with what is there now.
    pub(crate) async fn planned(&self, cx: &Cx, zone: &str, changes: &RecordChanges, unresolved: bool) -> Result<RecordWork> {
        let limit = BatchSize { values: MOST_VALUES.try_into().unwrap_or(u64::MAX), characters: u64::MAX };
        let begins = self.zone_name(cx, zone).await?;
        let (there, total) = self.there(cx, zone, &changes.names(), changes.needs_total()).await?;
        RecordWork::plan(&begins, &there, total, changes, limit, unresolved, &BTreeMap::new())
    }
    /// Every record set of these names, and how many the zone has where it was listed as a whole: for many names, and where that number is needed.
    async fn there(&self, cx: &Cx, zone: &str, names: &BTreeSet<&DnsName>, needs_total: bool) -> Result<(RecordsThere, Option<usize>)> {
        let mut there = RecordsThere::new();
        if !needs_total && names.len() <= FEW_NAMES {
            for name in names.iter().copied() {
                let at = self.call(cx, Action::DescribeRecords, GLOBAL, self.cloud.records_at(zone, name)).await?;
                there.extend(at.sets.into_iter().map(|(record_type, says)| (RecordId { name: name.clone(), record_type }, says)));
            }
            return Ok((there, None));
        }
        let all = all_pages(async |after| self.call(cx, Action::DescribeRecords, GLOBAL, self.cloud.records(Some(zone), after.as_deref(), usize::MAX)).await).await?;
        let total = all.len();
        there.extend(all.into_iter().filter(|(_, id, _)| names.contains(&id.name)).map(|(_, id, says)| (id, says)));
        Ok((there, Some(total)))
    }
    async fn zone_name(&self, cx: &Cx, zone: &str) -> Result<DnsName> {
        let row = self.call(cx, Action::DescribeZones, GLOBAL, self.cloud.zone(GLOBAL, zone)).await?;
        row.map_or_else(|| Err(Error::internal(format!("{zone} is not shown"))), |row| row.body().dns_name.parse())
    }
    /// One of the vendor's changes a step.
    pub(crate) async fn changed_records(&self, cx: &Cx, zone: &str, changes: &RecordChanges, resume: &Resume) -> Result<Step<RecordOutcomes>> {
        let (planned, resume) = resume.read::<RecordWork>();
        let must_look = self.must_look(&resume);
        let is_planned = planned.is_some();
        let mut work = match planned {
            Some(work) => work,
            None if must_look && !resume.is_past(self.horizon()) => {
                return Ok(Step::look_again(self.pause(), "looking for what an interrupted call has changed"));
            }
            None => self.planned(cx, zone, changes, must_look).await?,
        };
        let Some(edits) = work.next(changes) else { return Ok(Step::Done(work.outcomes(changes))) };
        if must_look && is_planned {
            if self.are_made(cx, zone, &edits).await? {
                work.done();
                return Step::wait(&work, Duration::ZERO, "an interrupted call has changed them");
            }
            if !resume.is_past(self.horizon()) {
                return Ok(Step::look_again(self.pause(), "looking for what an interrupted call has changed"));
            }
        }
        match self.change_records(cx, zone, &record_changes(&edits)).await {
            Ok(()) => work.done(),
            // Refused for what it says, and nothing of it is done.
            Err(e) if changes.mode == ChangeMode::BestEffort && e.effect() == Effect::None && e.retry() == Retry::Never => work.refused(&e),
            Err(e) => return Err(e),
        }
        Step::wait(&work, Duration::ZERO, "changed")
    }
    /// Is all of it as it was to be? A call does all of it or nothing.
    async fn are_made(&self, cx: &Cx, zone: &str, edits: &[RecordEdit]) -> Result<bool> {
        let (there, _) = self.there(cx, zone, &edits.iter().map(|e| &e.id.name).collect(), false).await?;
        Ok(edits.iter().all(|e| there.get(&e.id) == e.to.as_ref()))
    }
}

#[async_trait]
impl Reader<RecordSet> for Sim {
    fn shards(&self, query: &Query<RecordSet>) -> Vec<Shard> {
        let is_here = query.parent.as_ref().is_none_or(|zone| zone.parent.id.as_str() == GLOBAL);
        if is_here { vec![Shard(GLOBAL.to_owned())] } else { Vec::new() }
    }
    async fn get(&self, cx: &Cx, target: &Target<RecordSet>) -> Result<Object<RecordSet>> {
        let (_, id) = RecordSet::addressed(target)?;
        let spec = self.record_set(cx, target).await?.ok_or_else(|| Error::not_found(target))?;
        object(target.parent(), id, spec)
    }
    async fn list(&self, cx: &Cx, query: &Query<RecordSet>, _: &Shard, from: Option<&Cursor>) -> Result<Page<RecordSet>> {
        // Nothing carries a mark: what is ours alone is not known here.
        let zone = query.parent.as_ref().map(|zone| zone.id.decoded());
        let call = self.cloud.records(zone.as_deref(), from.map(|c| c.0.as_str()), query.page_size.max(1));
        let (rows, next) = self.call(cx, Action::DescribeRecords, GLOBAL, call).await?;
        let mut items = Vec::with_capacity(rows.len());
        for (zone, id, spec) in rows {
            let zone = Name::new(welkin_core::LocationName::of(GLOBAL)?, welkin_core::ResourceId::of_vendor(&zone)?);
            items.push(object(&zone, id, spec)?);
        }
        items.retain(|o| query.vendor_ids.is_empty() || query.vendor_ids.contains(&o.vendor_id));
        Ok(Page { items, next: next.map(Cursor), unreachable: Vec::new() })
    }
}

#[async_trait]
impl Driver<RecordSet> for Sim {
    async fn check(&self, cx: &Cx, change: &Change<RecordSet>) -> Result<()> {
        let (zone, id) = RecordSet::addressed(&change.target)?;
        let changes = match &change.verb {
            Verb::Create { spec, .. } => vec![RecordChange::Create(id, RecordSet::as_shown(spec))],
            Verb::Update { desired, .. } => vec![RecordChange::Delete(id.clone(), self.expected_set(cx, change).await?), RecordChange::Create(id, RecordSet::as_shown(desired))],
            Verb::Delete => vec![RecordChange::Delete(id, self.expected_set(cx, change).await?)],
            Verb::Act(action) => match *action {},
        };
        self.call(cx, Action::DryRun, GLOBAL, self.cloud.dry_change_records(&zone, &changes)).await
    }

    async fn create(&self, cx: &Cx, change: &Change<RecordSet>, spec: &RecordSetSpec, resume: &Resume) -> Result<Step<Object<RecordSet>>> {
        let (zone, id) = RecordSet::addressed(&change.target)?;
        let spec = &RecordSet::as_shown(spec);
        let Some(at) = self.at(cx, &zone, &id).await? else {
            return Err(Error::new(ErrorKind::FailedPrecondition, Reason::ReferenceNotFound, format!("there is no zone {zone}")).with_field("parent"));
        };
        let there = at.sets.get(&id.record_type);
        if self.must_look(resume) {
            // Without a mark it is what it says that tells whose it is.
            if there == Some(spec) {
                return Ok(Step::Done(object(change.target.parent(), id, spec.clone())?));
            }
            if there.is_none() && !resume.is_past(self.horizon()) {
                return Ok(Step::look_again(self.pause(), "looking for what an interrupted call has made"));
            }
        }
        id.check_place(&at.zone, at.sets.keys())?;
        self.change_records(cx, &zone, &[RecordChange::Create(id.clone(), spec.clone())]).await?;
        Ok(Step::Done(object(change.target.parent(), id, spec.clone())?))
    }

    async fn update(&self, cx: &Cx, change: &Change<RecordSet>, desired: &RecordSetSpec, _: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<RecordSet>>> {
        let (zone, id) = RecordSet::addressed(&change.target)?;
        let desired = &RecordSet::as_shown(desired);
        let there = self.record_set(cx, &change.target).await?.ok_or_else(|| Error::not_found(&change.target))?;
        let done = || Ok(Step::Done(object(change.target.parent(), id.clone(), desired.clone())?));
        if there == *desired {
            return done();
        }
        RecordSet::check_expected(change, &there)?;
        if self.must_look(resume) && !resume.is_past(self.horizon()) {
            return Ok(Step::look_again(self.pause(), "looking for what an interrupted call has changed"));
        }
        self.change_records(cx, &zone, &[RecordChange::Delete(id.clone(), there), RecordChange::Create(id.clone(), desired.clone())]).await?;
        done()
    }

    async fn delete(&self, cx: &Cx, change: &Change<RecordSet>, resume: &Resume) -> Result<Step<()>> {
        if resume.cleans_up && !resume.is_unresolved() {
            // Every call of the create was refused: what is there is somebody else's, whatever it says.
            return Ok(Step::Done(()));
        }
        let (zone, id) = RecordSet::addressed(&change.target)?;
        let Some(there) = self.record_set(cx, &change.target).await? else {
            let is_over = !resume.is_unresolved() || resume.is_past(self.horizon());
            return Ok(if is_over { Step::Done(()) } else { Step::look_again(self.pause(), "waiting until nothing of it can appear any more") });
        };
        if let Err(other) = RecordSet::check_expected(change, &there) {
            return if resume.cleans_up { Ok(Step::Done(())) } else { Err(other) };
        }
        match self.change_records(cx, &zone, &[RecordChange::Delete(id, there)]).await {
            Err(e) if is(&e, Code::RecordNotFound) || is(&e, Code::ZoneNotFound) => Ok(Step::Done(())),
            done => done.map(Step::Done),
        }
    }

    async fn act(&self, _: &Cx, _: &Change<RecordSet>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }

    async fn ask(&self, _: &Cx, _: &Target<RecordSet>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}
