//! What makes a group, changes it and takes it apart. Template, group and key pair have names that follow from the uid, under which each is made once.

use super::{
    of_group,
    read::{NO_TEMPLATE, Row, Version, is_gone},
    subnets_of,
    template::Launch,
};
use crate::{
    client::Region,
    error,
    mark::{self, Tags, filter, of_uid},
    resource::{not_owned, not_shown},
    single::marked,
    step::{made_id, told},
};
use aws_sdk_autoscaling::types::{InstancesDistribution, LaunchTemplate, LaunchTemplateOverrides, LaunchTemplateSpecification, MixedInstancesPolicy, Tag};
use aws_sdk_ec2::types::ResourceType;
use aws_smithy_types::Blob;
use welkin_core::{Change, Cx, GroupHealth, HealthSource, InstanceGroup, InstanceGroupSpec, Labels, ResourceId, Result, Uid};

/// What Auto Scaling calls the kind of thing that its tags are on.
const TAGGED: &str = "auto-scaling-group";
/// The versions of a template begin with it.
pub(super) const FIRST: &str = "1";

/// The group and its template are called so.
pub(super) fn name(uid: &Uid) -> String {
    format!("welkin-{uid}")
}
/// Another key is another key pair.
pub(super) fn key_name(uid: &Uid, key: &str) -> String {
    format!("{}-{}", name(uid), &blake3::hash(key.trim().as_bytes()).to_hex()[..8])
}
fn number(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// From what, from which types in which order, and how many of them as spot instances. The types are always the group's own list, which can be changed
/// without a version, and of which Auto Scaling tries one after another.
pub(super) fn policy(template: &str, version: &str, types: &[String], on_demand_base: u32, spot_percent: u32) -> MixedInstancesPolicy {
    let overrides = types.iter().map(|t| LaunchTemplateOverrides::builder().instance_type(t).build()).collect();
    let source = LaunchTemplateSpecification::builder().launch_template_id(template).version(version).build();
    let distribution = InstancesDistribution::builder()
        .on_demand_allocation_strategy("prioritized")
        .on_demand_base_capacity(number(on_demand_base))
        .on_demand_percentage_above_base_capacity(number(100_u32.saturating_sub(spot_percent)))
        .spot_allocation_strategy("capacity-optimized-prioritized");
    MixedInstancesPolicy::builder()
        .launch_template(LaunchTemplate::builder().launch_template_specification(source).set_overrides(Some(overrides)).build())
        .instances_distribution(distribution.build())
        .build()
}
/// "EC2 is the default health check and cannot be disabled."
fn health(health: &GroupHealth) -> Option<&'static str> {
    match health.source {
        HealthSource::LoadBalancer => Some("ELB"),
        HealthSource::Instance => Some("EC2"),
        HealthSource::Unspecified => None,
    }
}
/// Instances get the labels, and never a mark: they are the group's and no resources of ours.
fn tags(group: &str, tags: &Tags, labels: &Labels) -> Vec<Tag> {
    let one = |(key, value): (&str, &str)| {
        let builder = Tag::builder().resource_id(group).resource_type(TAGGED).key(key).value(value);
        builder.propagate_at_launch(labels.get(key).is_some_and(|label| label == value)).build()
    };
    tags.iter().map(one).collect()
}

/// What is to be changed of a group, and nothing else: other hands set its size.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Edit {
    pub(super) policy: Option<MixedInstancesPolicy>,
    pub(super) subnets: Option<Vec<String>>,
    min: Option<u32>,
    max: Option<u32>,
    size: Option<u32>,
    health: Option<&'static str>,
    grace_s: Option<u32>,
}
impl Edit {
    /// What differs, without the policy. `before`: as a read shows it.
    pub(super) fn between(row: &Row, before: &InstanceGroupSpec, desired: &InstanceGroupSpec, has: impl Fn(&str) -> bool) -> Result<Self> {
        let mut subnets = subnets_of(desired)?;
        let mut there = row.subnets();
        subnets.sort_unstable();
        there.sort_unstable();
        let differs = |asked: Option<u32>, now: Option<u32>| asked.filter(|_| asked != now);
        Ok(Self {
            policy: None,
            subnets: Some(subnets).filter(|subnets| has("subnets") && *subnets != there),
            min: differs(Some(desired.min_size), Some(before.min_size)).filter(|_| has("min_size")),
            max: differs(desired.max_size, before.max_size).filter(|_| has("max_size")),
            size: differs(Some(desired.first_size()), before.size).filter(|_| has("size")),
            health: health(&desired.health).filter(|_| has("health") && desired.health.source != before.health.source),
            grace_s: differs(desired.health.grace_period_s, before.health.grace_period_s).filter(|_| has("health")),
        })
    }
    /// The group as it is then.
    pub(super) fn applied(&self, row: &mut Row) {
        let group = &mut row.vendors;
        if let Some(policy) = &self.policy {
            (group.mixed_instances_policy, group.launch_template) = (Some(policy.clone()), None);
        }
        if let Some(subnets) = &self.subnets {
            group.vpc_zone_identifier = Some(subnets.join(","));
        }
        group.min_size = self.min.map(number).or(group.min_size);
        group.max_size = self.max.map(number).or(group.max_size);
        group.desired_capacity = self.size.map(number).or(group.desired_capacity);
        group.health_check_type = self.health.map(ToOwned::to_owned).or(group.health_check_type.take());
        group.health_check_grace_period = self.grace_s.map(number).or(group.health_check_grace_period);
    }
}

/// What works on one group.
pub(super) struct Building<'a> {
    pub(super) region: &'a Region,
    pub(super) cx: &'a Cx,
    pub(super) change: &'a Change<InstanceGroup>,
}
impl Building<'_> {
    fn id(&self) -> Result<&ResourceId> {
        self.change.target.name().map(|name| &name.id)
    }
    fn part(&self) -> Result<Tags> {
        Ok(Tags::part(&mark::of_change(self.cx, self.change), self.id()?))
    }
    /// Imports the key under a name of ours: what is there already under it is ours.
    pub(super) async fn key(&self, key: &str) -> Result<()> {
        let name = key_name(&self.change.uid, key);
        let call = self.region.ec2.import_key_pair().key_name(&name).public_key_material(Blob::new(key.trim()));
        match self.region.ec2.write(self.cx, "ImportKeyPair", call.tag_specifications(self.part()?.on(ResourceType::KeyPair)).send()).await {
            Err(e) if !error::is(&e, &["InvalidKeyPair.Duplicate"]) => Err(of_group(e)),
            _ => Ok(()),
        }
    }
    /// The template, with its first version.
    pub(super) async fn template(&self, launch: &Launch) -> Result<String> {
        let name = name(&self.change.uid);
        let call = self.region.ec2.create_launch_template().launch_template_name(&name).client_token(&self.change.token).launch_template_data(launch.data());
        let call = call.tag_specifications(self.part()?.on(ResourceType::LaunchTemplate));
        match self.region.ec2.write(self.cx, "CreateLaunchTemplate", Box::pin(call.send())).await {
            // An earlier step made it.
            Err(e) if error::is(&e, &["InvalidLaunchTemplateName.AlreadyExistsException"]) => {
                let found = self.region.templates(self.cx, vec![filter("launch-template-name", [name.as_str()])]).await?;
                let found = found.first().ok_or_else(|| not_shown(&name))?;
                let id = made_id(found.launch_template_id(), "LaunchTemplateId")?;
                let tags = Tags::of(found.tags());
                match tags.get(mark::UID) {
                    Some(uid) if uid == self.change.uid.as_str() => Ok(id),
                    None if !tags.has_ours() => Err(not_shown(&format!("the tags of {id}"))),
                    _ => Err(not_owned(&self.change.target, &id)),
                }
            }
            answer => made_id(answer.map_err(of_group)?.launch_template().and_then(|t| t.launch_template_id()), "LaunchTemplateId"),
        }
    }
    /// Another version of it: the same change makes one.
    pub(super) async fn version(&self, template: &str, launch: Launch) -> Result<Version> {
        let call = self.region.ec2.create_launch_template_version().launch_template_id(template).client_token(&self.change.token);
        let answer = self.region.ec2.write(self.cx, "CreateLaunchTemplateVersion", Box::pin(call.launch_template_data(launch.data()).send())).await.map_err(of_group)?;
        let number = answer.launch_template_version().and_then(|v| v.version_number()).map(|n| n.to_string());
        Ok(Version { number: made_id(number.as_deref(), "VersionNumber")?, launch })
    }
    /// The group. One of this name that is there an earlier step made; whether that is so its mark tells.
    pub(super) async fn group(&self, spec: &InstanceGroupSpec, template: &str) -> Result<()> {
        let name = name(&self.change.uid);
        let subnets = subnets_of(spec)?;
        let all = tags(&name, &marked(self.cx, self.change, &spec.labels)?, &spec.labels);
        let call = self
            .region
            .scaling
            .create_auto_scaling_group()
            .auto_scaling_group_name(&name)
            .mixed_instances_policy(policy(template, FIRST, &spec.template.machine_types, spec.on_demand_base, spec.spot_percent))
            .vpc_zone_identifier(subnets.join(","))
            .min_size(number(spec.min_size))
            .max_size(number(spec.max_size.unwrap_or_default()))
            .desired_capacity(number(spec.first_size()))
            .set_health_check_type(health(&spec.health).filter(|t| *t != "EC2").map(ToOwned::to_owned))
            .set_health_check_grace_period(spec.health.grace_period_s.map(number))
            .set_tags(Some(all));
        match self.region.scaling.write(self.cx, "CreateAutoScalingGroup", Box::pin(call.send())).await {
            Err(e) if error::is(&e, &["AlreadyExists"]) => Ok(()),
            answer => answer.map(drop).map_err(of_group),
        }
    }
    pub(super) async fn edit(&self, name: &str, edit: &Edit) -> Result<()> {
        let call = self
            .region
            .scaling
            .update_auto_scaling_group()
            .auto_scaling_group_name(name)
            .set_mixed_instances_policy(edit.policy.clone())
            .set_vpc_zone_identifier(edit.subnets.as_ref().map(|s| s.join(",")))
            .set_min_size(edit.min.map(number))
            .set_max_size(edit.max.map(number))
            .set_desired_capacity(edit.size.map(number))
            .set_health_check_type(edit.health.map(ToOwned::to_owned))
            .set_health_check_grace_period(edit.grace_s.map(number));
        self.region.scaling.write(self.cx, "UpdateAutoScalingGroup", Box::pin(call.send())).await.map(drop).map_err(of_group)
    }
    /// Makes the labels what is desired: for the group, and for the instances that it makes from now on.
    pub(super) async fn relabel(&self, row: &mut Row, desired: &Labels) -> Result<()> {
        // What was adopted has no name.
        let id = self.change.target.name().ok().map(|n| &n.id);
        let (written, removed) = row.tags.relabel(desired, id);
        if !written.is_empty() {
            let written = Tags::of(&written);
            let call = self.region.scaling.create_or_update_tags().set_tags(Some(tags(&row.name, &written, desired)));
            self.region.scaling.write(self.cx, "CreateOrUpdateTags", call.send()).await.map_err(of_group)?;
        }
        if !removed.is_empty() {
            let call = self.region.scaling.delete_tags().set_tags(Some(tags(&row.name, &Tags::of(&removed), &Labels::new())));
            self.region.scaling.write(self.cx, "DeleteTags", call.send()).await.map_err(of_group)?;
        }
        row.tags = row.tags.relabelled(&written, &removed);
        Ok(())
    }
    /// The key pairs of the group but this one: no version that the group uses names them.
    pub(super) async fn other_keys_removed(&self, current: Option<&str>) -> Result<()> {
        for key in keys(self.region, self.cx, &self.change.uid).await?.iter().filter(|key| Some(key.as_str()) != current) {
            let call = self.region.ec2.delete_key_pair().key_name(key);
            match self.region.ec2.write(self.cx, "DeleteKeyPair", call.send()).await {
                Err(e) if error::is(&e, &["InvalidKeyPair.NotFound"]) => {}
                answer => answer.map(drop)?,
            }
        }
        Ok(())
    }
}

/// The key pairs of one group.
async fn keys(region: &Region, cx: &Cx, uid: &Uid) -> Result<Vec<String>> {
    let call = region.ec2.describe_key_pairs().set_filters(Some(of_uid(&cx.owner, uid)));
    let answer = region.ec2.read(cx, "DescribeKeyPairs", call.send()).await?;
    Ok(answer.key_pairs().iter().filter_map(|k| told(k.key_name()).map(ToOwned::to_owned)).collect())
}
/// The group and its instances; false where it is not there.
pub(super) async fn end(region: &Region, cx: &Cx, name: &str) -> Result<bool> {
    let call = region.scaling.delete_auto_scaling_group().auto_scaling_group_name(name).force_delete(true);
    match region.scaling.write(cx, "DeleteAutoScalingGroup", call.send()).await {
        Err(e) if is_gone(&e) => Ok(false),
        answer => answer.map(|_| true),
    }
}
pub(super) async fn remove_template(region: &Region, cx: &Cx, id: &str) -> Result<()> {
    let call = region.ec2.delete_launch_template().launch_template_id(id);
    match region.ec2.write(cx, "DeleteLaunchTemplate", call.send()).await {
        Err(e) if error::is(&e, NO_TEMPLATE) => Ok(()),
        answer => answer.map(drop),
    }
}
