//! Disks are EBS volumes of their own: one object, in one zone.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html> takes a client token; all the same an unresolved write is looked for by
//! its tags first. The volumes of an instance carry the instance's mark without a digest, and are no disks of ours.

mod attach;
mod modify;

use crate::{
    Aws,
    client::Region,
    error,
    mark::{self, DIGEST, OWNER, Tags},
    owned,
    resource::{Found, Kept, Looking},
    single::{Begun, Head, One, Single, by_vendor_id, in_use, marked},
    step::{age, answered, made_id, now_ms, told, unix_ms},
};
use async_trait::async_trait;
use attach::{Attached, Way};
pub(crate) use attach::{LETTERS, letter};
use aws_sdk_ec2::{
    operation::create_volume::builders::CreateVolumeFluentBuilder,
    types::{Filter, ResourceType, Tag, Volume, VolumeType},
};
use modify::Modified;
use std::collections::BTreeSet;
use welkin_core::{
    Change, Cursor, Cx, Disk, DiskSpec, DiskState, DiskStatus, Driver, Error, FieldPath, Instance, NoAction, Object, Owner, Page, Query, Reader, Result, Resume, Shard, Step,
    Target, Verb,
};

#[async_trait]
impl Kept for Disk {
    type Made = One;
    type Row = Volume;
    const PREFIX: &'static str = "vol-";
    const BY_ID: &'static str = "volume-id";
    const GONE: &'static [&'static str] = &["InvalidVolume.NotFound"];

    async fn one(region: &Region, cx: &Cx, id: &str) -> Result<Option<Volume>> {
        Ok(region.ec2.read(cx, "DescribeVolumes", region.ec2.describe_volumes().volume_ids(id).send()).await?.volumes.unwrap_or_default().pop())
    }
    async fn page(region: &Region, cx: &Cx, filters: Vec<Filter>, size: i32, token: Option<String>) -> Result<(Option<Vec<Volume>>, Option<String>)> {
        let call = region.ec2.describe_volumes().set_filters(Some(filters)).max_results(size).set_next_token(token);
        region.ec2.read(cx, "DescribeVolumes", call.send()).await.map(|a| (a.volumes, a.next_token))
    }
    fn id(volume: &Volume) -> Option<&str> {
        volume.volume_id()
    }
    fn tags(volume: &Volume) -> &[Tag] {
        volume.tags()
    }
    fn created_ms(volume: &Volume) -> Option<u64> {
        unix_ms(volume.create_time())
    }
    /// What is being deleted cannot be kept any more.
    fn is_over(volume: &Volume) -> bool {
        matches!(state_name(volume), "deleting" | "deleted")
    }
    fn is_part(tags: &Tags) -> bool {
        tags.get(OWNER).is_some() && tags.get(DIGEST).is_none()
    }
}

#[async_trait]
impl Single for Disk {
    const WHAT: &'static str = "volume";
    const REFERENCES: &'static [&'static str] = &["InvalidInstanceID.NotFound", "VolumeInUse"];

    async fn make(region: &Region, cx: &Cx, change: &Change<Self>, spec: &DiskSpec) -> Result<String> {
        let answer = region.ec2.write(cx, "CreateVolume", create_volume(region, cx, change, spec)?.client_token(&change.token).send()).await?;
        made_id(answer.volume_id(), "VolumeId")
    }
    async fn let_go(region: &Region, cx: &Cx, volume: &Volume, cleans_up: bool) -> Result<Option<String>> {
        if state_name(volume) == "creating" {
            return Ok(Some("the volume is still being made".into()));
        }
        let Some(attached) = Attached::of(volume) else { return Ok(None) };
        if cleans_up {
            attached.detach(region, cx, volume).await?;
            return Ok(Some(format!("the volume is being detached from {}", attached.instance)));
        }
        let id = answered(volume.volume_id(), "VolumeId")?;
        in_use("volume", id, vec![attached.instance.to_owned()], "detach it first").map(|()| None)
    }
    async fn remove(region: &Region, cx: &Cx, id: &str) -> Result<()> {
        region.ec2.write(cx, "DeleteVolume", region.ec2.delete_volume().volume_id(id).send()).await.map(|_| ())
    }
}

#[async_trait]
impl Reader<Disk> for Aws {
    fn shards(&self, query: &Query<Disk>) -> Vec<Shard> {
        self.regional_shards(query.parent.as_ref())
    }

    async fn get(&self, cx: &Cx, target: &Target<Disk>) -> Result<Object<Disk>> {
        let found = self.seen(cx, target).await?.ok_or_else(|| Error::not_found(target))?;
        object(self.region(target.parent())?, &cx.owner, &found, None)
    }

    /// The volumes of instances too, as what is not ours.
    async fn list(&self, cx: &Cx, query: &Query<Disk>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<Disk>> {
        let (region, mut found, next) = self.listed(cx, query, shard, from, Vec::new()).await?;
        let is_left_out = |v: &Volume| Disk::is_over(v) || (query.owned_only && Disk::is_part(&Tags::of(v.tags())));
        found.retain(|v| !is_left_out(v));
        let items = found.iter().map(|v| object(region, &cx.owner, v, None)).collect::<Result<_>>()?;
        Ok(Page { items, next, unreachable: Vec::new() })
    }
}

#[async_trait]
impl Driver<Disk> for Aws {
    async fn check(&self, cx: &Cx, change: &Change<Disk>) -> Result<()> {
        self.check_adopted(cx, change).await?;
        let region = self.region(change.target.parent())?;
        if let Verb::Create { spec, .. } = &change.verb {
            if let Some(instance) = &spec.instance {
                attach::refuse_other_zone(region, cx, instance.vendor_id()?.as_str(), spec.zone.as_deref()).await?;
            }
            return region.ec2.dry_run(cx, "CreateVolume", create_volume(region, cx, change, spec)?.dry_run(true).send()).await;
        }
        let found = self.seen(cx, &change.target).await?.ok_or_else(|| Error::not_found(&change.target))?;
        owned(&change.target, &change.uid, &object(region, &cx.owner, &found, None)?)?;
        match &change.verb {
            Verb::Update { desired, paths } => {
                modify::refuse_to_shrink(&found, desired, paths)?;
                if !paths.contains(&FieldPath::from("instance")) {
                    return Ok(());
                }
                attach::refuse_to_move(&found, desired)?;
                match &desired.instance {
                    Some(instance) => attach::refuse_other_zone(region, cx, instance.vendor_id()?.as_str(), found.availability_zone()).await,
                    None => Ok(()),
                }
            }
            Verb::Delete => {
                Disk::let_go(region, cx, &found, false).await?;
                region.ec2.dry_run(cx, "DeleteVolume", region.ec2.delete_volume().volume_id(answered(found.volume_id(), "VolumeId")?).dry_run(true).send()).await
            }
            Verb::Act(action) => match *action {},
            Verb::Create { .. } => Ok(()),
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<Disk>, spec: &DiskSpec, resume: &Resume) -> Result<Step<Object<Disk>>> {
        let region = self.region(change.target.parent())?;
        let (volume, made) = match self.begun(cx, change, spec, resume).await? {
            Begun::Here(volume, made) => (volume, made),
            Begun::NotYet(step) => return Ok(*step),
        };
        match state_name(&volume) {
            "available" | "in-use" => {}
            "creating" => return made.wait("the volume is being made"),
            state => {
                return Err(
                    error::creation_failed("", &format!("the volume is {state}: the key that it is encrypted with may not be usable")).with_resource(change.target.to_string())
                );
            }
        }
        let mut object = object(region, &cx.owner, &volume, Some(&marked(cx, change, &spec.labels)?))?;
        // What somebody else may have attached it to meanwhile is left alone where nothing is asked for.
        if spec.instance.is_some() {
            match attach::attached(region, cx, &volume, spec, age(made.since_ms) < self.horizon).await? {
                Way::Is(device) => object = attached_as(object, spec, device),
                Way::Asked(progress) => return One { since_ms: now_ms(), ..made }.wait(progress),
                Way::Waits(progress) => return made.wait(progress),
            }
        }
        Ok(Step::Done(object))
    }

    async fn update(&self, cx: &Cx, change: &Change<Disk>, desired: &DiskSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<Disk>>> {
        let region = self.region(change.target.parent())?;
        let found = match self.located(cx, change, resume).await? {
            Found::Here(found) => found,
            Found::NotYet(looking) => return looking.step(),
        };
        let mut object = object(region, &cx.owner, &found, None)?;
        let id = object.vendor_id.clone();
        let looking = Looking::of(resume);
        if self.is_old(change, &object.spec)? {
            return looking.step();
        }
        if paths.contains(&FieldPath::from("labels")) {
            if let Err(refusal) = mark::relabel(region, cx, change, id.as_str(), &Tags::of(found.tags()), &desired.labels).await {
                return self.refused::<Disk, _>(resume, refusal);
            }
            object.spec.labels = desired.labels.clone();
        }
        // Both are judged before either is begun.
        modify::refuse_to_shrink(&found, desired, paths)?;
        let moves = paths.contains(&FieldPath::from("instance"));
        if moves {
            attach::refuse_to_move(&found, desired)?;
        }
        let may_lag = looking.age() < self.horizon;
        // Without a write of this change whatever is going on is not ours.
        match modify::modified(region, cx, &found, desired, paths, may_lag && resume.written.is_some()).await {
            Ok(Modified::Is) => {}
            Ok(Modified::Asked(progress)) => return Looking::from_now().waits(progress),
            Ok(Modified::Waits(progress)) => return looking.waits(progress),
            Err(refusal) => return self.refused::<Disk, _>(resume, refusal),
        }
        if moves {
            match attach::attached(region, cx, &found, desired, may_lag).await {
                Ok(Way::Is(device)) => object = attached_as(object, desired, device),
                Ok(Way::Asked(progress)) => return Looking::from_now().waits(progress),
                Ok(Way::Waits(progress)) => return looking.waits(progress),
                Err(refusal) => return self.refused::<Disk, _>(resume, refusal),
            }
        }
        Ok(Step::Done(object))
    }

    async fn delete(&self, cx: &Cx, change: &Change<Disk>, resume: &Resume) -> Result<Step<()>> {
        self.ended(cx, change, resume).await
    }

    async fn act(&self, _: &Cx, _: &Change<Disk>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }

    async fn ask(&self, _: &Cx, _: &Target<Disk>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}

/// What was read before it was attached or detached, as it is now.
fn attached_as(mut object: Object<Disk>, desired: &DiskSpec, device: String) -> Object<Disk> {
    object.status.state = if desired.instance.is_some() { DiskState::InUse } else { DiskState::Available };
    object.status.device = device;
    object.spec.instance.clone_from(&desired.instance);
    object
}

fn create_volume(region: &Region, cx: &Cx, change: &Change<Disk>, spec: &DiskSpec) -> Result<CreateVolumeFluentBuilder> {
    let number = |field: &str, n: Option<u32>| n.map(i32::try_from).transpose().map_err(|_| Error::invalid(field, "too large"));
    Ok(region
        .ec2
        .create_volume()
        .set_availability_zone(spec.zone.clone())
        .set_size(number("size_gib", spec.size_gib)?)
        .set_volume_type(spec.disk_type.as_deref().map(VolumeType::from))
        .set_iops(number("iops", spec.iops)?)
        .set_throughput(number("throughput_mibps", spec.throughput_mibps)?)
        .set_encrypted(spec.encrypted)
        .set_kms_key_id(spec.encryption_key.clone())
        .set_snapshot_id(spec.snapshot.clone())
        .tag_specifications(marked(cx, change, &spec.labels)?.on(ResourceType::Volume)))
}

fn state_name(volume: &Volume) -> &str {
    volume.state().map_or("", |s| s.as_str())
}

/// EC2's states (<https://docs.aws.amazon.com/ebs/latest/userguide/ebs-describing-volumes.html>) and ours.
static STATES: &[(&str, DiskState)] = &[
    ("creating", DiskState::Pending),
    ("available", DiskState::Available),
    ("in-use", DiskState::InUse),
    ("deleting", DiskState::Deleting),
    ("deleted", DiskState::Deleting),
    ("error", DiskState::Failed),
];
fn state(name: &str) -> DiskState {
    STATES.iter().find(|(n, _)| *n == name).map_or(DiskState::Unspecified, |(_, s)| *s)
}

/// What is answered of a disk is what it is, also where the specification left that open. `written`: the tags that we wrote, where EC2 may not show them yet.
fn object(region: &Region, owner: &Owner, volume: &Volume, written: Option<&Tags>) -> Result<Object<Disk>> {
    let head = Head::of::<Disk>(owner, volume, "VolumeId", written)?;
    let attached = Attached::of(volume);
    let number = |n: Option<i32>| n.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    let zone = told(volume.availability_zone());
    let text = |t: Option<&str>| told(t).map(ToOwned::to_owned);
    let spec = DiskSpec {
        zone: zone.map(ToOwned::to_owned),
        size_gib: number(volume.size()),
        disk_type: text(volume.volume_type().map(VolumeType::as_str)),
        iops: number(volume.iops()),
        throughput_mibps: number(volume.throughput()),
        encrypted: volume.encrypted(),
        encryption_key: text(volume.kms_key_id()).filter(|_| volume.encrypted() == Some(true)),
        snapshot: text(volume.snapshot_id()),
        instance: match &attached {
            Some(attached) => Some(by_vendor_id::<Instance>(region, attached.instance)?),
            None => None,
        },
        labels: head.tags.labels(),
        provider_config: None,
    };
    let between = attached.as_ref().filter(|a| state_name(volume) == "in-use" && a.is_between());
    let status = DiskStatus {
        state: if between.is_some() { DiskState::Pending } else { state(state_name(volume)) },
        state_reason: between.map(|a| format!("{} {}", a.state, a.instance)).unwrap_or_default(),
        device: attached.as_ref().map(|a| a.device.to_owned()).unwrap_or_default(),
    };
    let created_ms = Disk::created_ms(volume);
    head.object(region, zone, created_ms, spec, status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::{VolumeAttachment, VolumeAttachmentState, VolumeState};

    fn region() -> Region {
        Region::of_trials()
    }

    #[test]
    fn every_state_of_the_model_has_a_meaning() {
        for known in VolumeState::values() {
            assert_ne!(state(known), DiskState::Unspecified, "{known}");
        }
        assert_eq!((state("new"), state("")), (DiskState::Unspecified, DiskState::Unspecified));
    }
    #[test]
    fn a_part_of_an_instance_is_no_disk_of_ours() {
        let owner: Owner = "me".parse().unwrap();
        let mark = |digest| welkin_core::Mark { owner: owner.clone(), uid: "0123456789".parse().unwrap(), digest };
        let row = |digest| {
            let tags = Tags::ours(&mark(digest), &"web".parse().unwrap());
            Volume::builder().volume_id("vol-1").set_tags(Some(tags.on(ResourceType::Volume).tags().to_vec())).build()
        };
        let part = object(&region(), &owner, &row(None), None).unwrap();
        assert_eq!((part.name.id.as_str(), part.mark), ("vol-1", None));
        let disk = object(&region(), &owner, &row(Some("v1-a".parse().unwrap())), None).unwrap();
        assert_eq!((disk.name.id.as_str(), disk.mark.is_some()), ("web", true));
    }
    #[test]
    fn what_is_on_its_way_says_so() {
        let on = |state| VolumeAttachment::builder().instance_id("i-1").device("/dev/sdf").state(state).build();
        let row = |state| Volume::builder().volume_id("vol-1").state(VolumeState::InUse).attachments(on(state)).build();
        let owner: Owner = "me".parse().unwrap();
        let there = object(&region(), &owner, &row(VolumeAttachmentState::Attached), None).unwrap();
        assert_eq!((there.status.state, there.status.device.as_str(), there.spec.instance.is_some()), (DiskState::InUse, "/dev/sdf", true));
        let going = object(&region(), &owner, &row(VolumeAttachmentState::Detaching), None).unwrap();
        assert_eq!((going.status.state, going.status.state_reason.as_str()), (DiskState::Pending, "detaching i-1"));
        let gone = object(&region(), &owner, &row(VolumeAttachmentState::Detached), None).unwrap();
        assert_eq!((gone.spec.instance, gone.status.device.as_str()), (None, ""));
    }
}
