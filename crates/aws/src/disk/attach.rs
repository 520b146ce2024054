//! A volume and the instance that it is attached to.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachVolume.html> needs a device name, which the machine itself may call otherwise.

use super::state_name;
use crate::{
    client::Region,
    error, instance,
    resource::Kept as _,
    step::{answered, told},
};
use aws_sdk_ec2::types::{Instance as Ec2Instance, Volume};
use std::collections::BTreeSet;
use welkin_core::{Cx, DiskSpec, Effect, Error, ErrorKind, Instance, Reason, Result};

/// The names that AWS recommends for data volumes, and then those that it allows
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html>).
pub(crate) const LETTERS: &str = "fghijklmnopqrstuvwxyzbcde";

/// Where a volume is attached, or on its way to or from.
pub(super) struct Attached<'a> {
    pub(super) instance: &'a str,
    pub(super) device: &'a str,
    pub(super) state: &'a str,
}
impl<'a> Attached<'a> {
    /// Of a volume with several, the first.
    pub(super) fn of(volume: &'a Volume) -> Option<Self> {
        let all = volume.attachments().iter().filter_map(|a| {
            let state = a.state().map_or("", |s| s.as_str());
            let attached = Self { instance: told(a.instance_id())?, device: a.device().unwrap_or_default(), state };
            (state != "detached").then_some(attached)
        });
        all.min_by_key(|a| a.instance)
    }
    pub(super) fn is_between(&self) -> bool {
        matches!(self.state, "attaching" | "detaching" | "busy")
    }
    /// Asks for it to be detached; done where it is on its way.
    pub(super) async fn detach(&self, region: &Region, cx: &Cx, volume: &Volume) -> Result<()> {
        if matches!(self.state, "detaching" | "busy") {
            return Ok(());
        }
        let call = region.ec2.detach_volume().volume_id(answered(volume.volume_id(), "VolumeId")?).instance_id(self.instance);
        match region.ec2.write(cx, "DetachVolume", call.send()).await {
            // It is detached, and was shown a moment too long.
            Err(e) if !(error::is(&e, &["IncorrectState", "InvalidAttachment.NotFound"]) && e.effect() == Effect::None) => Err(e),
            _ => Ok(()),
        }
    }
}

/// Refuses to take it from one instance to another: what the machine still writes would be lost.
pub(super) fn refuse_to_move(volume: &Volume, desired: &DiskSpec) -> Result<()> {
    let (Some(attached), Some(wanted)) = (Attached::of(volume), &desired.instance) else { return Ok(()) };
    if attached.instance == wanted.vendor_id()?.as_str() {
        return Ok(());
    }
    let why = format!("it is attached to {}; detach it there first", attached.instance);
    Err(Error::new(ErrorKind::FailedPrecondition, Reason::InUse, why).with_field("instance").with_resource(attached.instance))
}
/// Refuses an instance that the volume cannot be attached to.
pub(super) async fn refuse_other_zone(region: &Region, cx: &Cx, instance: &str, zone: Option<&str>) -> Result<()> {
    found(region, cx, instance, zone).await.map(drop)
}
async fn found(region: &Region, cx: &Cx, instance: &str, zone: Option<&str>) -> Result<Ec2Instance> {
    let found = instance::referred(region, cx, instance).await?;
    let there = found.placement().and_then(|p| told(p.availability_zone()));
    match (zone, there) {
        (Some(zone), Some(there)) if zone != there => Err(Error::invalid("instance", format!("{instance} is in {there}, and the disk in {zone}"))),
        _ => Ok(found),
    }
}

/// How far a volume is on its way to or from an instance.
pub(super) enum Way {
    /// It is there, at this device; at none where it is detached.
    Is(String),
    /// EC2 was asked for it just now: from now on that may lag.
    Asked(String),
    Waits(String),
}

/// Attaches it to the instance that is wanted, or detaches it. Both name what they are about, so they can be repeated.
///
/// `may_lag`: what was written a moment ago may not be shown yet.
pub(super) async fn attached(region: &Region, cx: &Cx, volume: &Volume, desired: &DiskSpec, may_lag: bool) -> Result<Way> {
    let now = Attached::of(volume);
    let Some(wanted) = &desired.instance else {
        let Some(now) = now else { return Ok(Way::Is(String::new())) };
        now.detach(region, cx, volume).await?;
        return Ok(Way::Asked(format!("it is being detached from {}", now.instance)));
    };
    let wanted = wanted.vendor_id()?.as_str();
    match now {
        Some(now) if now.instance == wanted && now.state == "attached" => return Ok(Way::Is(now.device.to_owned())),
        Some(now) if now.is_between() => return Ok(Way::Waits(format!("it is {} {}", now.state, now.instance))),
        Some(_) => refuse_to_move(volume, desired)?,
        None if state_name(volume) != "available" => return Ok(Way::Waits(format!("the volume is {}", state_name(volume)))),
        None => {}
    }
    let instance = match found(region, cx, wanted, volume.availability_zone()).await {
        Err(e) if may_lag && error::is(&e, Instance::GONE) => return Ok(Way::Waits("waiting for the instance to be known everywhere".into())),
        instance => instance?,
    };
    let call = region.ec2.attach_volume().volume_id(answered(volume.volume_id(), "VolumeId")?).instance_id(wanted).device(free_device(&instance)?);
    match region.ec2.write(cx, "AttachVolume", call.send()).await {
        Ok(_) => Ok(Way::Asked(format!("it is being attached to {wanted}"))),
        Err(e) if may_lag && may_pass(&e) => Ok(Way::Waits("waiting for what was attached a moment ago to be shown".into())),
        Err(e) => Err(e),
    }
}

/// May this refusal pass? The volume or the instance is not known everywhere yet, or the volume is attached already, or another one has just taken the
/// device.
fn may_pass(refusal: &Error) -> bool {
    let taken = error::is(refusal, &["InvalidParameterValue"]) && refusal.message().contains("already in use");
    refusal.effect() == Effect::None && (taken || error::is(refusal, &["InvalidVolume.NotFound", "InvalidInstanceID.NotFound", "VolumeInUse", "IncorrectState"]))
}

/// The first name that nothing of the instance has. A name is taken in both its forms, `/dev/sdf` and `xvdf`.
fn free_device(instance: &Ec2Instance) -> Result<String> {
    let taken: BTreeSet<char> = instance.block_device_mappings().iter().filter_map(|m| letter(m.device_name()?)).collect();
    let free = LETTERS.chars().find(|c| !taken.contains(c));
    let full = || Error::new(ErrorKind::ResourceExhausted, Reason::QuotaExceeded, "the instance has no device name left").with_field("instance");
    free.map(|c| format!("/dev/sd{c}")).ok_or_else(full)
}
/// The last part of a device name, in either of its forms.
pub(crate) fn letter(device: &str) -> Option<char> {
    let name = device.strip_prefix("/dev/").unwrap_or(device);
    name.strip_prefix("sd").or_else(|| name.strip_prefix("xvd"))?.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::InstanceBlockDeviceMapping;

    #[test]
    fn the_first_free_device_is_taken() {
        let with = |names: &[&str]| {
            let all = names.iter().map(|n| InstanceBlockDeviceMapping::builder().device_name(*n).build()).collect();
            Ec2Instance::builder().set_block_device_mappings(Some(all)).build()
        };
        assert_eq!(free_device(&with(&["/dev/sda1", "/dev/xvda"])).unwrap(), "/dev/sdf");
        assert_eq!(free_device(&with(&["/dev/sdf", "xvdg", "/dev/nvme1n1"])).unwrap(), "/dev/sdh");
        let all: Vec<String> = LETTERS.chars().map(|c| format!("/dev/sd{c}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        assert_eq!(free_device(&with(&all)).unwrap_err().violations()[0].field, "instance");
    }
}
