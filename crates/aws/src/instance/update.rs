//! What of an instance can be changed in place
//! (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html>: one attribute a call).

use super::{launch, object::state_name};
use crate::{
    client::Region,
    error,
    mark::{self, Asked, Tags, filter},
    resource::{Kept as _, is_adopted},
    step::answered,
};
use aws_sdk_ec2::{
    operation::modify_instance_attribute::builders::ModifyInstanceAttributeFluentBuilder,
    types::{AttributeBooleanValue, AttributeValue, Instance as Ec2Instance},
};
use std::collections::BTreeSet;
use welkin_core::{Change, Cx, Effect, Error, ErrorKind, FieldPath, Instance, InstanceSpec, Reason, Result, SecurityGroup};

/// Refuses what EC2 would refuse, before anything is done.
pub(super) fn refuse(found: &Ec2Instance, desired: &InstanceSpec, paths: &BTreeSet<FieldPath>) -> Result<()> {
    let state = state_name(found);
    let becomes = Some(desired.machine_type.as_str()).filter(|_| paths.contains(&FieldPath::from("machine_type")));
    match becomes {
        Some(becomes) if found.instance_type().map(|t| t.as_str()) != Some(becomes) && state != "stopped" => {
            let why = format!("the machine type can be changed while the instance is stopped, and it is {state}");
            Err(Error::new(ErrorKind::FailedPrecondition, Reason::WrongState, why).with_field("machine_type"))
        }
        _ => Ok(()),
    }
}

/// Makes the instance what is desired. Each write says what shall be, so it can be repeated.
pub(super) async fn bring(region: &Region, cx: &Cx, change: &Change<Instance>, found: &Ec2Instance, desired: &InstanceSpec, paths: &BTreeSet<FieldPath>) -> Result<()> {
    let id = answered(found.instance_id(), "InstanceId")?;
    let changed = |path: &str| paths.contains(&FieldPath::from(path));
    let now = Tags::of(found.tags());
    if changed("labels") {
        mark::relabel(region, cx, change, id, &now, &desired.labels).await?;
    }
    if changed("ip_forwarding") {
        forward(region, cx, id, desired.ip_forwarding).await?;
    }
    if changed("security_groups") {
        let groups = match launch::group_ids(desired)? {
            // EC2 knows no instance without a group.
            none if none.is_empty() => vec![default_group(region, cx, answered(found.vpc_id(), "VpcId")?).await?],
            groups => groups,
        };
        modify(region, cx, id, |call| call.set_groups(Some(groups))).await?;
    }
    if changed("machine_type") && found.instance_type().map(|t| t.as_str()) != Some(desired.machine_type.as_str()) {
        modify(region, cx, id, |call| call.instance_type(AttributeValue::builder().value(&desired.machine_type).build())).await?;
    }
    if changed("deletion_protection") {
        protect(region, cx, id, desired.deletion_protection).await?;
        // No list of instances tells it, so it is noted; on what was adopted nothing is written, and it is not shown.
        if !is_adopted(&change.target) {
            mark::note(region, cx, id, &now, Asked::of(&now).with(launch::PROTECTED, desired.deletion_protection)).await?;
        }
    }
    Ok(())
}
/// The specification that was read before, as it is now.
pub(super) fn as_desired(spec: &mut InstanceSpec, desired: &InstanceSpec, paths: &BTreeSet<FieldPath>) {
    let changed = |path: &str| paths.contains(&FieldPath::from(path));
    if changed("labels") {
        spec.labels.clone_from(&desired.labels);
    }
    if changed("ip_forwarding") {
        spec.ip_forwarding = desired.ip_forwarding;
    }
    if changed("security_groups") {
        spec.security_groups.clone_from(&desired.security_groups);
        spec.security_groups.sort_by(|a, b| a.vendor_id.cmp(&b.vendor_id));
    }
    if changed("machine_type") {
        spec.machine_type.clone_from(&desired.machine_type);
    }
    if changed("deletion_protection") {
        spec.deletion_protection = desired.deletion_protection;
    }
}
/// May this refusal pass? A group is not known everywhere yet.
pub(super) fn may_pass(refusal: &Error) -> bool {
    refusal.effect() == Effect::None && error::is(refusal, SecurityGroup::GONE)
}

async fn modify(region: &Region, cx: &Cx, id: &str, what: impl FnOnce(ModifyInstanceAttributeFluentBuilder) -> ModifyInstanceAttributeFluentBuilder + Send) -> Result<()> {
    region.ec2.write(cx, "ModifyInstanceAttribute", what(region.ec2.modify_instance_attribute().instance_id(id)).send()).await.map(|_| ())
}
fn flag(on: bool) -> AttributeBooleanValue {
    AttributeBooleanValue::builder().value(on).build()
}
/// EC2 checks that a machine is the source or the destination of what it sends: forwarding is that check switched off.
pub(super) async fn forward(region: &Region, cx: &Cx, id: &str, on: bool) -> Result<()> {
    modify(region, cx, id, |call| call.source_dest_check(flag(!on))).await
}
async fn protect(region: &Region, cx: &Cx, id: &str, on: bool) -> Result<()> {
    modify(region, cx, id, |call| call.disable_api_termination(flag(on))).await
}

/// Did EC2 refuse to end it because it is protected
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_ChangingDisableAPITermination.html>)?
pub(super) fn is_protection(refusal: &Error) -> bool {
    refusal.effect() == Effect::None && error::is(refusal, &["OperationNotPermitted"]) && refusal.message().contains("disableApiTermination")
}
pub(super) fn protected(target: &str) -> Error {
    Error::new(ErrorKind::FailedPrecondition, Reason::DeletionProtected, format!("{target} is protected from deletion: set deletion_protection to false first"))
        .with_resource(target)
}
/// Lets those be ended of which a create is cleaned up.
pub(super) async fn unprotect(region: &Region, cx: &Cx, instances: &[Ec2Instance]) -> Result<()> {
    for instance in instances {
        protect(region, cx, answered(instance.instance_id(), "InstanceId")?, false).await?;
    }
    Ok(())
}

/// The group that an instance of this network has where none is asked for
/// (<https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html>).
async fn default_group(region: &Region, cx: &Cx, vpc: &str) -> Result<String> {
    let found = SecurityGroup::many(region, cx, vec![filter("vpc-id", [vpc]), filter("group-name", ["default"])]).await?;
    answered(found.into_iter().find_map(|g| g.group_id), "GroupId")
}
