//! A volume that grows or becomes another type.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html> goes on in the background: the new values count, and are shown, once it is
//! `optimizing`, and another modification is refused until that has ended, and for six hours after the last one
//! (<https://docs.aws.amazon.com/ebs/latest/userguide/modify-volume-requirements.html>). So it is never asked for again while it may be on its way.

use crate::{client::Region, error, step::answered};
use aws_sdk_ec2::types::{Volume, VolumeModification, VolumeType};
use std::collections::BTreeSet;
use welkin_core::{Cx, DiskSpec, Effect, Error, FieldPath, Result};

/// How far a modification has come.
pub(super) enum Modified {
    /// It is as wanted.
    Is,
    /// EC2 was asked for it just now: from now on that may lag.
    Asked(String),
    /// Not yet: what is waited for.
    Waits(String),
}

/// What of a volume is to become something else.
#[derive(Debug, Clone, PartialEq, Default)]
struct Wanted {
    size: Option<i32>,
    kind: Option<String>,
    iops: Option<i32>,
    throughput: Option<i32>,
}
impl Wanted {
    /// Of what the caller changed, what is not so. What was cleared is left to the cloud.
    fn of(volume: &Volume, desired: &DiskSpec, paths: &BTreeSet<FieldPath>) -> Result<Self> {
        let number = |path: &str, wanted: Option<u32>, now: Option<i32>| -> Result<Option<i32>> {
            let wanted = wanted.filter(|_| paths.contains(&FieldPath::from(path)));
            let wanted = wanted.map(i32::try_from).transpose().map_err(|_| Error::invalid(path, "too large"))?;
            Ok(wanted.filter(|w| now != Some(*w)))
        };
        let kind = desired.disk_type.clone().filter(|_| paths.contains(&FieldPath::from("disk_type")));
        Ok(Self {
            size: number("size_gib", desired.size_gib, volume.size())?,
            kind: kind.filter(|k| volume.volume_type().map(VolumeType::as_str) != Some(k)),
            iops: number("iops", desired.iops, volume.iops())?,
            throughput: number("throughput_mibps", desired.throughput_mibps, volume.throughput())?,
        })
    }
    fn is_of(&self, there: &VolumeModification) -> bool {
        fn fits<T: PartialEq>(wanted: Option<&T>, target: Option<&T>) -> bool {
            wanted.is_none() || wanted == target
        }
        fits(self.size.as_ref(), there.target_size().as_ref())
            && fits(self.kind.as_deref().as_ref(), there.target_volume_type().map(VolumeType::as_str).as_ref())
            && fits(self.iops.as_ref(), there.target_iops().as_ref())
            && fits(self.throughput.as_ref(), there.target_throughput().as_ref())
    }
}

/// EC2 refuses it too, but only after whatever else was asked for.
pub(super) fn refuse_to_shrink(volume: &Volume, desired: &DiskSpec, paths: &BTreeSet<FieldPath>) -> Result<()> {
    let now = volume.size().and_then(|n| u32::try_from(n).ok());
    match (desired.size_gib.filter(|_| paths.contains(&FieldPath::from("size_gib"))), now) {
        (Some(wanted), Some(now)) if wanted < now => Err(Error::invalid("size_gib", format!("it has {now} GiB and cannot shrink to {wanted}"))),
        _ => Ok(()),
    }
}

/// Asks for the modification, unless it is on its way.
///
/// `may_lag`: what was asked for a moment ago may not be shown yet.
pub(super) async fn modified(region: &Region, cx: &Cx, volume: &Volume, desired: &DiskSpec, paths: &BTreeSet<FieldPath>, may_lag: bool) -> Result<Modified> {
    let wanted = Wanted::of(volume, desired, paths)?;
    if wanted == Wanted::default() {
        return Ok(Modified::Is);
    }
    let id = answered(volume.volume_id(), "VolumeId")?;
    let going_on = region.ec2.read(cx, "DescribeVolumesModifications", region.ec2.describe_volumes_modifications().volume_ids(id).send()).await;
    let going_on = match going_on {
        // Of a volume that was never modified EC2 says that there is no modification of it.
        Err(e) if error::is(&e, &["InvalidVolumeModification.NotFound"]) => Vec::new(),
        answer => answer?.volumes_modifications.unwrap_or_default(),
    };
    if let Some(ours) = going_on.iter().filter(|m| m.start_time().is_some()).max_by_key(|m| m.start_time().map(|t| t.as_nanos())).filter(|m| wanted.is_of(m)) {
        match ours.modification_state().map_or("", |s| s.as_str()) {
            "modifying" => return Ok(Modified::Waits(format!("the volume is being modified: {} %", ours.progress().unwrap_or_default()))),
            "optimizing" | "completed" if may_lag => return Ok(Modified::Waits("waiting for EC2 to show the volume as it was modified".into())),
            _ => {}
        }
    }
    let call = region.ec2.modify_volume().volume_id(id).set_size(wanted.size).set_volume_type(wanted.kind.as_deref().map(VolumeType::from));
    match region.ec2.write(cx, "ModifyVolume", call.set_iops(wanted.iops).set_throughput(wanted.throughput).send()).await {
        Ok(_) => Ok(Modified::Asked("the volume is being modified".into())),
        // It is another modification than ours that is on its way, or ours is and is not shown yet. The first takes up to a day, and who asks for this one
        // decides whether to wait.
        Err(e) if e.effect() == Effect::None && error::is(&e, &["IncorrectModificationState"]) => {
            if may_lag {
                return Ok(Modified::Waits("waiting for EC2 to show what the volume is becoming".into()));
            }
            Err(e)
        }
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(all: &[&str]) -> BTreeSet<FieldPath> {
        all.iter().map(|p| FieldPath::from(*p)).collect()
    }

    #[test]
    fn only_what_was_changed_and_differs_is_asked_for() {
        let volume = Volume::builder().volume_id("vol-1").size(8).volume_type(VolumeType::Gp3).iops(3000).throughput(125).build();
        let desired = DiskSpec { size_gib: Some(20), disk_type: Some("gp3".into()), iops: Some(4000), ..Default::default() };
        let wanted = Wanted::of(&volume, &desired, &paths(&["size_gib", "disk_type"])).unwrap();
        assert_eq!(wanted, Wanted { size: Some(20), ..Wanted::default() });
        assert!(wanted.is_of(&VolumeModification::builder().target_size(20).target_iops(3000).build()));
        assert!(!wanted.is_of(&VolumeModification::builder().target_size(30).build()));
        let cleared = DiskSpec { iops: None, ..desired.clone() };
        assert_eq!(Wanted::of(&volume, &cleared, &paths(&["iops"])).unwrap(), Wanted::default());
        let smaller = DiskSpec { size_gib: Some(4), ..desired };
        assert_eq!(refuse_to_shrink(&volume, &smaller, &paths(&["size_gib"])).unwrap_err().violations()[0].field, "size_gib");
        assert!(refuse_to_shrink(&volume, &smaller, &paths(&["labels"])).is_ok());
    }
}
