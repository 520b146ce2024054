//! Record sets: unmarked, so what there is counts by what it says alone.
//!
//! The zone is called by the vendor's id in every name that gets here. Each change is one call, and made against exactly what was read before it.

use crate::{
    Sim,
    error::is,
    vendor::{Action, AtName, Code, GLOBAL, RecordChange},
};
use async_trait::async_trait;
use std::collections::BTreeSet;
use welkin_core::{
    Change, Cursor, Cx, DnsZone, Driver, Error, ErrorKind, FieldPath, Managed, Name, NoAction, Object, Page, ProviderId, Query, Reader, Reason, RecordId, RecordSet, RecordSetSpec,
    RecordSetStatus, Result, Resume, Shard, Step, Target, Verb, Violation,
};

/// Whom a target means: the zone's vendor id and the record set's own.
fn addressed(target: &Target<RecordSet>) -> Result<(String, RecordId)> {
    let id = match target {
        Target::Named { name, .. } => name.id.clone(),
        Target::Vendor { vendor_id, .. } => RecordId::of_vendor(vendor_id.as_str())?,
    };
    Ok((target.parent().id.decoded(), id))
}
fn object(zone: &Name<DnsZone>, id: RecordId, spec: RecordSetSpec) -> Result<Object<RecordSet>> {
    Ok(Object {
        vendor_id: id.to_string().parse()?,
        provider_id: ProviderId::new("sim", "", &[GLOBAL.to_owned(), zone.id.decoded(), id.to_string()])?,
        mark: None,
        revision: RecordSet::version(&spec),
        created_ms: None,
        status: RecordSetStatus::of(&id),
        name: Name::new(zone.clone(), id),
        spec,
    })
}
/// Apex and delegation, and a CNAME beside another type.
fn check_place(id: &RecordId, at: &AtName) -> Result<()> {
    let field = "record_set_id";
    if let Some(why) = id.record_type.misplaced(&id.name, &at.zone) {
        return Err(Error::violated(Reason::InvalidField, vec![Violation::new(field, why)]));
    }
    match at.sets.keys().find(|t| !t.goes_with(id.record_type)) {
        Some(other) => {
            Err(Error::new(ErrorKind::FailedPrecondition, Reason::InUse, format!("{} has records of type {other}: a CNAME is alone at its name", id.name)).with_field(field))
        }
        None => Ok(()),
    }
}
fn changed_meanwhile(target: &Target<RecordSet>) -> Error {
    Error::new(ErrorKind::Aborted, Reason::EtagMismatch, format!("{target} is not as it was: somebody else has changed it")).with_resource(target.to_string())
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
        let (zone, id) = addressed(target)?;
        Ok(self.at(cx, &zone, &id).await?.and_then(|mut at| at.sets.remove(&id.record_type)))
    }
    async fn change_records(&self, cx: &Cx, zone: &str, changes: &[RecordChange]) -> Result<()> {
        self.call(cx, Action::ChangeRecords, GLOBAL, self.cloud.change_records(zone, changes)).await
    }
    /// The one it has to be changed from, refused where it is another than expected.
    async fn expected_set(&self, cx: &Cx, change: &Change<RecordSet>) -> Result<RecordSetSpec> {
        let there = self.record_set(cx, &change.target).await?.ok_or_else(|| Error::not_found(&change.target))?;
        if change.expect.is_some() && RecordSet::version(&there) != change.expect { Err(changed_meanwhile(&change.target)) } else { Ok(there) }
    }
}

#[async_trait]
impl Reader<RecordSet> for Sim {
    fn shards(&self, query: &Query<RecordSet>) -> Vec<Shard> {
        let is_here = query.parent.as_ref().is_none_or(|zone| zone.parent.id.as_str() == GLOBAL);
        if is_here { vec![Shard(GLOBAL.to_owned())] } else { Vec::new() }
    }
    async fn get(&self, cx: &Cx, target: &Target<RecordSet>) -> Result<Object<RecordSet>> {
        let (_, id) = addressed(target)?;
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
        let (zone, id) = addressed(&change.target)?;
        let changes = match &change.verb {
            Verb::Create { spec, .. } => vec![RecordChange::Create(id, spec.clone())],
            Verb::Update { desired, .. } => vec![RecordChange::Delete(id.clone(), self.expected_set(cx, change).await?), RecordChange::Create(id, desired.clone())],
            Verb::Delete => vec![RecordChange::Delete(id, self.expected_set(cx, change).await?)],
            Verb::Act(action) => match *action {},
        };
        self.call(cx, Action::DryRun, GLOBAL, self.cloud.dry_change_records(&zone, &changes)).await
    }

    async fn create(&self, cx: &Cx, change: &Change<RecordSet>, spec: &RecordSetSpec, resume: &Resume) -> Result<Step<Object<RecordSet>>> {
        let (zone, id) = addressed(&change.target)?;
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
        check_place(&id, &at)?;
        self.change_records(cx, &zone, &[RecordChange::Create(id.clone(), spec.clone())]).await?;
        Ok(Step::Done(object(change.target.parent(), id, spec.clone())?))
    }

    async fn update(&self, cx: &Cx, change: &Change<RecordSet>, desired: &RecordSetSpec, _: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<RecordSet>>> {
        let (zone, id) = addressed(&change.target)?;
        let there = self.record_set(cx, &change.target).await?.ok_or_else(|| Error::not_found(&change.target))?;
        let done = || Ok(Step::Done(object(change.target.parent(), id.clone(), desired.clone())?));
        if there == *desired {
            return done();
        }
        if change.expect.is_some() && RecordSet::version(&there) != change.expect {
            return Err(changed_meanwhile(&change.target));
        }
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
        let (zone, id) = addressed(&change.target)?;
        let Some(there) = self.record_set(cx, &change.target).await? else {
            let is_over = !resume.is_unresolved() || resume.is_past(self.horizon());
            return Ok(if is_over { Step::Done(()) } else { Step::look_again(self.pause(), "waiting until nothing of it can appear any more") });
        };
        if change.expect.is_some() && RecordSet::version(&there) != change.expect {
            return if resume.cleans_up { Ok(Step::Done(())) } else { Err(changed_meanwhile(&change.target)) };
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
