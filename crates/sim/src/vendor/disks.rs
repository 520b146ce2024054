use super::{
    cloud::{Action, Cloud, Draw, changed},
    instances::instance_of,
    item::{Attachment, Condition, Disk, Item, Performance, Shown, Tags},
    networks::expect_version,
    quotas,
    refusal::{Code, Refusal},
    state::{Edit, Region},
    table::{Filter, Listed},
};
use crate::Config;
use std::sync::Arc;

/// The type of a disk for which none is named; it has a performance that cannot be chosen.
pub(crate) const DEFAULT_TYPE: &str = "standard";
/// The type whose performance is in numbers.
const FAST_TYPE: &str = "fast";
/// What it has where none are named.
pub(crate) const DEFAULT_PERFORMANCE: Performance = Performance { iops: 3000, throughput_mibps: 125 };
/// What disks are called in an instance, which so can have as many of them.
const DEVICES: std::ops::RangeInclusive<char> = 'f'..='p';

/// What a new disk should be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewDisk {
    pub(crate) zone: String,
    pub(crate) size_gib: u32,
    pub(crate) edit: DiskEdit,
    pub(crate) encrypted: Option<bool>,
    pub(crate) encryption_key: Option<String>,
    pub(crate) tags: Tags,
}
/// With an idempotency token, where the cloud knows them.
#[derive(Debug, Clone)]
pub(crate) struct DiskRequest {
    pub(crate) new: NewDisk,
    pub(crate) token: Option<String>,
}
/// What a disk is to be from now on: without a word the default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DiskEdit {
    pub(crate) disk_type: Option<String>,
    pub(crate) iops: Option<u32>,
    pub(crate) throughput_mibps: Option<u32>,
}
impl DiskEdit {
    /// The type and the performance that this comes to.
    pub(crate) fn settled(&self) -> Result<(&str, Option<Performance>), Refusal> {
        let disk_type = self.disk_type.as_deref().unwrap_or(DEFAULT_TYPE);
        let Performance { iops, throughput_mibps } = DEFAULT_PERFORMANCE;
        match disk_type {
            FAST_TYPE => Ok((disk_type, Some(Performance { iops: self.iops.unwrap_or(iops), throughput_mibps: self.throughput_mibps.unwrap_or(throughput_mibps) }))),
            DEFAULT_TYPE if self.iops.or(self.throughput_mibps).is_some() => {
                Err(Refusal::new(Code::DiskNumbersNotTaken, format!("operations and throughput are numbers of {FAST_TYPE} disks only")))
            }
            DEFAULT_TYPE => Ok((disk_type, None)),
            _ => Err(Refusal::new(Code::DiskTypeNotFound, format!("there is no disk type {disk_type:?}; there are {FAST_TYPE} and {DEFAULT_TYPE}"))),
        }
    }
}

fn disk_of<'a>(region: &'a Region, id: &str) -> Result<&'a Arc<Item<Disk>>, Refusal> {
    region.disks.get(id).ok_or_else(|| Refusal::new(Code::DiskNotFound, format!("there is no disk {id:?}")))
}
/// An item with the edit that keeps it.
fn put(item: Item<Disk>, now_ms: u64) -> (Shown<Disk>, Vec<Edit>) {
    (Shown::written(Arc::new(item.clone()), now_ms), vec![Edit::PutDisk(Box::new(item))])
}

impl Cloud {
    pub(crate) async fn create_disk(&self, region: &str, request: DiskRequest) -> Result<Shown<Disk>, Refusal> {
        self.write(Action::CreateDisk, region, |r, draw| created(r, draw, request)).await
    }
    /// With the instance that it is to be attached to.
    pub(crate) async fn dry_create_disk(&self, region: &str, new: NewDisk, instance: Option<&str>) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| {
            if let Some(instance) = instance {
                device(r, draw.now_ms, &new.zone, instance)?;
            }
            created(r, draw, DiskRequest { new, token: None })
        })
        .await
    }
    pub(crate) fn plant_disk(&self, region: &str, new: NewDisk) -> Result<String, Refusal> {
        self.plant(region, |r, draw| {
            let (_, mut edits) = created(r, draw, DiskRequest { new, token: None })?;
            let Some(Edit::PutDisk(item)) = edits.first_mut() else { return Ok((String::new(), edits)) };
            (item.visible_ms, item.tagged_ms) = (draw.now_ms, draw.now_ms);
            Ok((item.id.clone(), edits))
        })
    }
    pub(crate) async fn disk(&self, region: &str, id: &str) -> Result<Option<Shown<Disk>>, Refusal> {
        self.read(Action::DescribeDisks, region, |r, now| Ok(r.disks.show(id, now))).await
    }
    pub(crate) async fn disks(&self, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Result<Listed<Disk>, Refusal> {
        let size = size.min(self.config().page_size);
        self.read(Action::DescribeDisks, region, |r, now| r.disks.list(&filter, after, size, now, |_| true)).await
    }
    /// It grows and does not shrink.
    pub(crate) async fn modify_disk(&self, region: &str, id: &str, size_gib: u32, edit: DiskEdit, expect: Option<u64>) -> Result<Shown<Disk>, Refusal> {
        self.write(Action::ModifyDisk, region, |r, draw| {
            let item = disk_of(r, id)?;
            expect_version(item, expect)?;
            if size_gib < item.body.size_gib {
                return Err(Refusal::new(Code::DiskShrinks, format!("{id} has {} GiB and cannot become smaller", item.body.size_gib)));
            }
            let (disk_type, performance) = edit.settled()?;
            let body = Disk { size_gib, disk_type: disk_type.to_owned(), performance, ..item.body.clone() };
            Ok(put(changed(item, body), draw.now_ms))
        })
        .await
    }
    /// Fine where it is attached to this one, refused where it is attached to another.
    pub(crate) async fn attach_disk(&self, region: &str, id: &str, instance: &str, expect: Option<u64>) -> Result<Shown<Disk>, Refusal> {
        self.write(Action::AttachDisk, region, |r, draw| {
            let item = disk_of(r, id)?;
            expect_version(item, expect)?;
            match &item.body.attachment {
                Some(now) if now.instance == instance => return Ok((Shown::written(Arc::clone(item), draw.now_ms), Vec::new())),
                Some(now) => return Err(Refusal::new(Code::DiskAttached, format!("{id} is attached to {}: detach it first", now.instance))),
                None => {}
            }
            let device = device(r, draw.now_ms, &item.body.zone, instance)?;
            let attachment = Some(Attachment { instance: instance.to_owned(), device });
            Ok(put(changed(item, Disk { attachment, ..item.body.clone() }), draw.now_ms))
        })
        .await
    }
    /// Fine where it is attached to nothing.
    pub(crate) async fn detach_disk(&self, region: &str, id: &str, expect: Option<u64>) -> Result<Shown<Disk>, Refusal> {
        self.write(Action::DetachDisk, region, |r, draw| {
            let item = disk_of(r, id)?;
            expect_version(item, expect)?;
            Ok(put(changed(item, Disk { attachment: None, ..item.body.clone() }), draw.now_ms))
        })
        .await
    }
    pub(crate) async fn tag_disk(&self, region: &str, id: &str, tags: Tags, expect: Option<u64>) -> Result<Shown<Disk>, Refusal> {
        self.write(Action::TagDisk, region, |r, draw| {
            let item = disk_of(r, id)?;
            expect_version(item, expect)?;
            Ok(put(Item { tags, ..changed(item, item.body.clone()) }, draw.now_ms))
        })
        .await
    }
    /// Refused while it is attached.
    pub(crate) async fn delete_disk(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.write(Action::DeleteDisk, region, |r, _| deleted(r, id)).await
    }
    pub(crate) async fn dry_delete_disk(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.dry_run(region, |r, _| deleted(r, id)).await
    }
}

fn created(region: &Region, draw: &mut Draw<'_>, DiskRequest { new, token }: DiskRequest) -> Result<(Shown<Disk>, Vec<Edit>), Refusal> {
    let asked = blake3::hash(format!("{new:?}").as_bytes()).to_hex()[..16].to_owned();
    if let Some(item) = token.as_ref().and_then(|t| region.tokens.get(t)).and_then(|id| region.disks.get(id)) {
        if item.body.asked != asked {
            return Err(Refusal::new(Code::IdempotentParameterMismatch, "the token was used before with another request"));
        }
        return Ok((Shown::written(Arc::clone(item), draw.now_ms), Vec::new()));
    }
    if !Config::zones(draw.region).contains(&new.zone) {
        return Err(Refusal::new(Code::InvalidZone, format!("{} has the zones {}, not {:?}", draw.region, Config::zones(draw.region).join(", "), new.zone)));
    }
    draw.has_room(region, &quotas::DISKS)?;
    let (disk_type, performance) = new.edit.settled()?;
    let body = Disk {
        disk_type: disk_type.to_owned(),
        performance,
        zone: new.zone,
        size_gib: new.size_gib,
        encrypted: new.encrypted.unwrap_or(false),
        encryption_key: new.encryption_key,
        attachment: None,
        token,
        asked,
    };
    Ok(put(draw.item(new.tags, body), draw.now_ms))
}
/// What a disk of this zone would be called in an instance.
fn device(region: &Region, now_ms: u64, zone: &str, instance: &str) -> Result<String, Refusal> {
    let item = instance_of(region, instance, now_ms)?;
    if item.body.goal == Condition::Gone {
        return Err(Refusal::new(Code::IncorrectState, format!("{instance} is being deleted")));
    }
    if item.body.zone != zone {
        return Err(Refusal::new(Code::InstanceOfAnotherZone, format!("{instance} is in {}, and the disk in {zone}", item.body.zone)));
    }
    let is_free = |device: &String| region.disks.children(instance).all(|disk| disk.body.attachment.as_ref().is_none_or(|a| a.device != *device));
    let free = DEVICES.map(|letter| format!("/dev/sd{letter}")).find(is_free);
    free.ok_or_else(|| Refusal::new(Code::QuotaExceeded, format!("{instance} has as many disks as it can have")))
}
fn deleted(region: &Region, id: &str) -> Result<((), Vec<Edit>), Refusal> {
    match &disk_of(region, id)?.body.attachment {
        Some(at) => Err(Refusal::new(Code::DependencyViolation, format!("{id} is attached to {}", at.instance))),
        None => removed(region, id),
    }
}
/// Whatever it is attached to.
pub(super) fn removed(region: &Region, id: &str) -> Result<((), Vec<Edit>), Refusal> {
    disk_of(region, id)?;
    Ok(((), vec![Edit::RemoveDisk(id.to_owned())]))
}
/// The disks of an instance that goes.
pub(super) fn let_go(region: &Region, instance: &str) -> impl Iterator<Item = Edit> {
    region.disks.children(instance).map(|item| Edit::PutDisk(Box::new(changed(item, Disk { attachment: None, ..item.body.clone() }))))
}
