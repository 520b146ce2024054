//! Disks of their own: one object of the vendor, made under an idempotency token where the cloud knows them, and what it is attached to.

use crate::{
    Sim, mark,
    resource::{Begun, Found, Fragment, Kept, Rows, by_vendor_id, expected, of_instance, or_gone, rows},
    vendor::{self, Action, Answer, Cloud, Code, DEFAULT_PERFORMANCE, DEFAULT_TYPE, DiskEdit, DiskRequest, Filter, NewDisk, Shown, Tags},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};
use welkin_core::{Change, Cx, Disk, DiskSpec, DiskState, DiskStatus, Driver, Error, FieldPath, LocationName, NoAction, Object, Ref, Result, Resume, Step, Target, Verb};

type Row = Shown<vendor::Disk>;

/// What a create has made so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    disk: String,
}

#[async_trait]
impl Kept for Disk {
    type Row = Row;
    const READ: Action = Action::DescribeDisks;
    const REMOVE: Action = Action::DeleteDisk;
    const UNKNOWN: Code = Code::DiskNotFound;

    async fn one(cloud: &Cloud, region: &str, id: &str) -> Answer<Option<Row>> {
        cloud.disk(region, id).await
    }
    async fn many(cloud: &Cloud, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Answer<Rows<Row>> {
        cloud.disks(region, filter, after, size).await.map(rows)
    }
    async fn remove(cloud: &Cloud, region: &str, id: &str) -> Answer<()> {
        cloud.delete_disk(region, id).await
    }
    async fn free(sim: &Sim, cx: &Cx, region: &str, row: &Row) -> Result<()> {
        if row.body().attachment.is_some() {
            let free = sim.call(cx, Action::DetachDisk, region, sim.cloud.detach_disk(region, row.id(), None)).await;
            free.map(drop).or_else(|e| if crate::error::is(&e, Self::UNKNOWN) { Ok(()) } else { Err(e) })?;
        }
        Ok(())
    }
    fn is_leaving(_: &Row) -> bool {
        false
    }
    async fn shows_parts(_: &Sim, _: &Cx, _: &str, _: &Row) -> Result<bool> {
        Ok(true)
    }
    async fn fragments(_: &Sim, _: &Cx, _: &str, _: &[(&str, &str)]) -> Result<Vec<Fragment>> {
        Ok(Vec::new())
    }
    async fn remove_fragment(_: &Sim, _: &Cx, _: &str, _: &str) -> Result<()> {
        Ok(())
    }
    fn incomplete() -> DiskStatus {
        DiskStatus { state: DiskState::Incomplete, ..DiskStatus::default() }
    }
    fn told(location: &LocationName, row: &Row, tags: &Tags) -> Result<(DiskSpec, DiskStatus)> {
        let body = row.body();
        // A default is shown only where it was asked for.
        let shown = |field: &str, is_default: bool| !is_default || mark::is_asked(tags, field);
        let (iops, throughput) = body.performance.map(|p| (p.iops, p.throughput_mibps)).unzip();
        let spec = DiskSpec {
            zone: Some(body.zone.clone()),
            size_gib: Some(body.size_gib),
            disk_type: Some(body.disk_type.clone()).filter(|t| shown("disk_type", t == DEFAULT_TYPE)),
            iops: iops.filter(|n| shown("iops", *n == DEFAULT_PERFORMANCE.iops)),
            throughput_mibps: throughput.filter(|n| shown("throughput_mibps", *n == DEFAULT_PERFORMANCE.throughput_mibps)),
            encrypted: Some(body.encrypted).filter(|yes| shown("encrypted", !yes)),
            encryption_key: body.encryption_key.clone(),
            snapshot: None,
            instance: body.attachment.as_ref().map(|at| by_vendor_id(location, &at.instance)).transpose()?,
            labels: mark::labels(tags),
            provider_config: None,
        };
        let state = if body.attachment.is_some() { DiskState::InUse } else { DiskState::Available };
        let device = body.attachment.as_ref().map(|at| at.device.clone()).unwrap_or_default();
        Ok((spec, DiskStatus { state, state_reason: String::new(), device }))
    }
    fn place(_: &LocationName, row: &Row) -> String {
        row.body().zone.clone()
    }
}

/// The fields that are shown only where they were asked for or differ from the default.
fn asked(spec: &DiskSpec) -> Vec<&'static str> {
    let fields =
        [("disk_type", spec.disk_type.is_some()), ("iops", spec.iops.is_some()), ("throughput_mibps", spec.throughput_mibps.is_some()), ("encrypted", spec.encrypted.is_some())];
    fields.into_iter().filter(|(_, is_set)| *is_set).map(|(field, _)| field).collect()
}
fn edit(spec: &DiskSpec) -> DiskEdit {
    DiskEdit { disk_type: spec.disk_type.clone(), iops: spec.iops, throughput_mibps: spec.throughput_mibps }
}
fn size(spec: &DiskSpec) -> Result<u32> {
    spec.size_gib.ok_or_else(|| Error::invalid("size_gib", "a disk needs a size"))
}
fn wanted(cx: &Cx, change: &Change<Disk>, spec: &DiskSpec) -> Result<NewDisk> {
    Ok(NewDisk {
        zone: spec.zone.clone().ok_or_else(|| Error::invalid("zone", "this cloud's disks lie in a zone"))?,
        size_gib: size(spec)?,
        edit: edit(spec),
        encrypted: spec.encrypted,
        encryption_key: spec.encryption_key.clone(),
        tags: mark::main_tags(cx, change, &spec.labels, &[mark::asked(&asked(spec))])?,
    })
}

impl Sim {
    /// The disk, attached as it should be. It does not move from one instance to another by itself: that could take data away from under a machine.
    async fn in_place(&self, cx: &Cx, change: &Change<Disk>, spec: &DiskSpec, row: Row, expect: &mut Option<u64>) -> Result<Row> {
        let region = change.target.parent().id.as_str();
        let answer = match &spec.instance {
            Some(instance) => {
                let call = self.cloud.attach_disk(region, row.id(), instance.vendor_id()?.as_str(), expect.take());
                self.call(cx, Action::AttachDisk, region, call).await.map_err(of_instance)
            }
            None if row.body().attachment.is_none() => return Ok(row),
            None => self.call(cx, Action::DetachDisk, region, self.cloud.detach_disk(region, row.id(), expect.take())).await,
        };
        or_gone(&change.target, answer)
    }
}

#[async_trait]
impl Driver<Disk> for Sim {
    async fn check(&self, cx: &Cx, change: &Change<Disk>) -> Result<()> {
        let region = change.target.parent().id.as_str();
        match &change.verb {
            Verb::Create { spec, .. } => {
                let instance = spec.instance.as_ref().map(Ref::vendor_id).transpose()?;
                let call = self.cloud.dry_create_disk(region, wanted(cx, change, spec)?, instance.map(welkin_core::VendorId::as_str));
                self.call(cx, Action::DryRun, region, call).await.map_err(of_instance)
            }
            Verb::Update { .. } => self.present(cx, change).await?.map(drop).ok_or_else(|| Error::not_found(&change.target)),
            Verb::Delete => match self.present(cx, change).await? {
                Some(row) => self.call(cx, Action::DryRun, region, self.cloud.dry_delete_disk(region, row.id())).await,
                None => Ok(()),
            },
            Verb::Act(action) => match *action {},
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<Disk>, spec: &DiskSpec, resume: &Resume) -> Result<Step<Object<Disk>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let (made, resume) = resume.read::<Made>();
        let new = wanted(cx, change, spec)?;
        let tags = new.tags.clone();
        let token = self.config().client_tokens.then(|| change.token.clone());
        let found = match self.begun(cx, change, made.as_ref().map(|m| m.disk.as_str()), token.is_some(), &resume, "disk").await? {
            Begun::Here(row) => Some(row),
            Begun::Nothing => None,
            Begun::NotYet(why) => return Ok(Step::look_again(self.pause(), why)),
        };
        let row = match found {
            Some(row) => row,
            None => {
                let is_keyed = token.is_some();
                let row = self.call(cx, Action::CreateDisk, region, self.cloud.create_disk(region, DiskRequest { new, token })).await?;
                // Without a token it is this step's one write.
                if !is_keyed && spec.instance.is_some() {
                    return Step::wait(&Made { disk: row.id().to_owned() }, Duration::ZERO, "made the disk");
                }
                row
            }
        };
        let row = self.in_place(cx, change, spec, row, &mut None).await?;
        Ok(Step::Done(Self::object::<Disk>(cx, location, &row, Some(&tags))?))
    }

    async fn update(&self, cx: &Cx, change: &Change<Disk>, desired: &DiskSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<Disk>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let mut row = match self.located(cx, change, resume).await? {
            Found::Here(row) => row,
            Found::NotYet(looking) => return Step::wait(&looking, self.pause(), "waiting for the cloud to show the disk"),
            Found::Gone => return Err(Error::not_found(&change.target)),
        };
        let mut expect = expected(change, resume);
        let has = |path: &str| paths.contains(&FieldPath::from(path));
        if ["size_gib", "disk_type", "iops", "throughput_mibps"].into_iter().any(has) {
            let call = self.cloud.modify_disk(region, row.id(), size(desired)?, edit(desired), expect.take());
            row = or_gone(&change.target, self.call(cx, Action::ModifyDisk, region, call).await)?;
        }
        if has("instance") {
            row = self.in_place(cx, change, desired, row, &mut expect).await?;
        }
        let now = row.tags().cloned().unwrap_or_default();
        let labels = if has("labels") { desired.labels.clone() } else { mark::labels(&now) };
        let tags = mark::retagged(&now, &labels, &asked(desired));
        if tags != now {
            row = or_gone(&change.target, self.call(cx, Action::TagDisk, region, self.cloud.tag_disk(region, row.id(), tags, expect)).await)?;
        }
        Ok(Step::Done(Self::object::<Disk>(cx, location, &row, None)?))
    }

    async fn delete(&self, cx: &Cx, change: &Change<Disk>, resume: &Resume) -> Result<Step<()>> {
        self.erased(cx, change, resume).await
    }

    async fn act(&self, _: &Cx, _: &Change<Disk>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }

    async fn ask(&self, _: &Cx, _: &Target<Disk>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}
