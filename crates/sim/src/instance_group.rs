//! Instance groups: a template of the vendor and a group that makes instances from it. Both have names that follow from the uid, under which the vendor makes
//! each once, so nothing has to be looked for. The instances carry the group's tag and no mark: they are the group's.

mod action;

use crate::{
    Sim, error, mark,
    resource::{Found, Fragment, Kept, Rows, all_pages, by_vendor_id, expected, is_adopted, or_gone, rows},
    vendor::{
        Action, Answer, Cloud, Code, Failure, Filter, FurtherDisk, GroupEdit, GroupInstance, GroupSettings, Grouped, LaunchSpec, NewInstanceGroup, NewTemplate, RefreshState, Tags,
    },
};
use async_trait::async_trait;
use std::collections::BTreeSet;
use welkin_core::{
    Change, Cx, Driver, Error, ErrorKind, FieldPath, GroupHealth, GroupMember, HealthSource, InstanceGroup, InstanceGroupAction, InstanceGroupQuestion, InstanceGroupSpec,
    InstanceGroupState, InstanceGroupStatus, InstanceOutcomes, InstanceTemplate, LocationName, MemberState, Object, Reader as _, Reason, Result, Resume, RootDisk, SecurityGroup,
    Step, Subnet, Target, TemplateDisk, Verb, Violation,
};

#[async_trait]
impl Kept for InstanceGroup {
    type Row = Grouped;
    const READ: Action = Action::DescribeInstanceGroups;
    const REMOVE: Action = Action::DeleteInstanceGroup;
    const UNKNOWN: Code = Code::InstanceGroupNotFound;
    const HOLDS_PARTS: bool = true;

    async fn one(cloud: &Cloud, region: &str, id: &str) -> Answer<Option<Grouped>> {
        cloud.instance_group(region, id).await
    }
    async fn many(cloud: &Cloud, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Answer<Rows<Grouped>> {
        cloud.instance_groups(region, filter, after, size).await
    }
    async fn remove(cloud: &Cloud, region: &str, id: &str) -> Answer<()> {
        cloud.delete_instance_group(region, id).await
    }
    async fn free(_: &Sim, _: &Cx, _: &str, _: &Grouped) -> Result<()> {
        Ok(())
    }
    fn is_leaving((row, _): &Grouped) -> bool {
        row.body().leaves
    }
    /// The template was made before it, and what was made lately is looked for until the horizon.
    async fn shows_parts(_: &Sim, _: &Cx, _: &str, _: &Grouped) -> Result<bool> {
        Ok(true)
    }
    async fn fragments(sim: &Sim, cx: &Cx, region: &str, marks: &[(&str, &str)]) -> Result<Vec<Fragment>> {
        let templates = all_pages(async |after| {
            let call = sim.cloud.templates(region, Filter { tags: marks, ids: &[] }, after.as_deref(), usize::MAX);
            sim.call(cx, Action::DescribeTemplates, region, call).await.map(rows)
        });
        Ok(templates.await?.iter().map(Fragment::of).collect())
    }
    async fn remove_fragment(sim: &Sim, cx: &Cx, region: &str, id: &str) -> Result<()> {
        let removed = sim.call(cx, Action::DeleteTemplate, region, sim.cloud.delete_template(region, id)).await;
        removed.or_else(|e| if error::is(&e, Code::TemplateNotFound) { Ok(()) } else { Err(e) })
    }
    fn incomplete() -> InstanceGroupStatus {
        InstanceGroupStatus { state: InstanceGroupState::Incomplete, ..InstanceGroupStatus::default() }
    }
    fn told(location: &LocationName, (row, around): &Grouped, tags: &Tags) -> Result<(InstanceGroupSpec, InstanceGroupStatus)> {
        let (body, settings) = (row.body(), row.body().settings);
        let mut spec = InstanceGroupSpec {
            template: around.launch.as_ref().map(|launch| template_of(location, launch)).transpose()?.unwrap_or_default(),
            subnets: body.subnets.iter().map(|id| by_vendor_id::<Subnet>(location, id)).collect::<Result<_>>()?,
            zones: Vec::new(),
            min_size: settings.min,
            max_size: Some(settings.max),
            size: Some(settings.size),
            on_demand_base: settings.on_demand_base,
            spot_percent: settings.spot_percent,
            health: GroupHealth { source: HealthSource::Instance, grace_period_s: Some(settings.grace_s) },
            labels: mark::labels(tags),
            provider_config: None,
        };
        spec.subnets.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let state = match () {
            () if body.leaves => InstanceGroupState::Deleting,
            () if !around.is_whole => InstanceGroupState::Incomplete,
            () => InstanceGroupState::Active,
        };
        let last = body.failures.first().filter(|_| body.failed > 0);
        let status = InstanceGroupStatus {
            state,
            state_reason: last.map(|f| f.message.clone()).unwrap_or_default(),
            effective_zones: around.zones.clone(),
            running_instances: around.running,
            pending_instances: around.pending,
            failed_launches: body.failed,
            out_of_date_instances: around.out_of_date,
            template_version: if around.launch.is_some() { body.version.to_string() } else { String::new() },
            is_replacing: body.refresh.as_ref().is_some_and(|refresh| refresh.state == RefreshState::InProgress),
        };
        Ok((spec, status))
    }
    fn place(location: &LocationName, _: &Grouped) -> String {
        location.id.to_string()
    }
}

fn template_of(location: &LocationName, launch: &LaunchSpec) -> Result<InstanceTemplate> {
    let mut template = InstanceTemplate {
        machine_types: launch.machine_types.clone(),
        image: Some(by_vendor_id(location, &launch.image)?),
        ssh_key: None,
        user_data: None,
        identity: launch.identity.clone(),
        root_disk: RootDisk { size_gib: launch.disk_gib, disk_type: launch.disk_type.clone(), encrypted: launch.disk_encrypted },
        disks: launch.disks.iter().map(|d| TemplateDisk { size_gib: Some(d.size_gib), disk_type: d.disk_type.clone(), encrypted: d.encrypted }).collect(),
        security_groups: launch.groups.iter().map(|id| by_vendor_id::<SecurityGroup>(location, id)).collect::<Result<_>>()?,
        assign_public_ip: launch.public_ip,
    };
    template.security_groups.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(template)
}
fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}
fn launch_of(template: &InstanceTemplate) -> Result<LaunchSpec> {
    let image = template.image.as_ref().ok_or_else(|| Error::invalid("template.image", "a group needs an image"))?;
    Ok(LaunchSpec {
        machine_types: template.machine_types.clone(),
        image: image.vendor_id()?.to_string(),
        ssh_key: template.ssh_key.as_deref().map(hash),
        user_data: template.user_data.as_ref().map(|data| hash(data.expose())),
        identity: template.identity.clone(),
        disk_gib: template.root_disk.size_gib,
        disk_type: template.root_disk.disk_type.clone(),
        disk_encrypted: template.root_disk.encrypted,
        disks: template.disks.iter().map(|d| FurtherDisk { size_gib: d.size_gib.unwrap_or_default(), disk_type: d.disk_type.clone(), encrypted: d.encrypted }).collect(),
        groups: template.security_groups.iter().map(|group| Ok(group.vendor_id()?.to_string())).collect::<Result<_>>()?,
        public_ip: template.assign_public_ip,
    })
}
fn subnets_of(spec: &InstanceGroupSpec) -> Result<Vec<String>> {
    spec.subnets.iter().map(|subnet| Ok(subnet.vendor_id()?.to_string())).collect()
}
fn settings_of(spec: &InstanceGroupSpec) -> GroupSettings {
    GroupSettings {
        min: spec.min_size,
        max: spec.max_size.unwrap_or_default(),
        size: spec.first_size(),
        on_demand_base: spec.on_demand_base,
        spot_percent: spec.spot_percent,
        grace_s: spec.health.grace_period_s.unwrap_or_default(),
    }
}
/// The same uid has the same names.
fn name(change: &Change<InstanceGroup>) -> String {
    format!("welkin-{}", change.uid)
}
fn new_template(cx: &Cx, change: &Change<InstanceGroup>, spec: &InstanceGroupSpec) -> Result<NewTemplate> {
    Ok(NewTemplate { name: format!("{}-template", name(change)), launch: launch_of(&spec.template)?, tags: mark::fragment_tags(cx, change)? })
}
fn new_group(cx: &Cx, change: &Change<InstanceGroup>, spec: &InstanceGroupSpec) -> Result<NewInstanceGroup> {
    Ok(NewInstanceGroup {
        name: name(change),
        template: None,
        subnets: subnets_of(spec)?,
        settings: settings_of(spec),
        propagated: spec.labels.clone(),
        tags: mark::main_tags(cx, change, &spec.labels, &[])?,
    })
}
/// The vendor speaks of an instance and of its subnet; here they are fields of a group.
fn of_group(e: Error) -> Error {
    const FIELDS: [(&str, &str); 5] = [
        ("machine_type", "template.machine_types"),
        ("image", "template.image"),
        ("root_disk.size_gib", "template.root_disk.size_gib"),
        ("security_groups", "template.security_groups"),
        ("subnet", "subnets"),
    ];
    let of = |v: &Violation| FIELDS.iter().find(|(field, _)| v.field == *field).map_or_else(|| v.clone(), |(_, ours)| Violation::new(*ours, &v.description));
    let violations = e.violations().iter().map(of).collect();
    e.with_violations(violations)
}

fn member_of(group: &GroupInstance) -> GroupMember {
    let (member, body) = (&group.member, &group.instance.body);
    let state = match () {
        () if group.leaves() => MemberState::Deleting,
        () if body.goal == crate::vendor::Condition::Stopped => MemberState::Unhealthy,
        () if body.has_settled(group.at_ms) => MemberState::Running,
        () => MemberState::Pending,
    };
    GroupMember {
        instance: member.instance.clone(),
        state,
        zone: body.zone.clone(),
        machine_type: body.machine_type.clone(),
        spot: body.spot,
        template_version: member.version.to_string(),
        out_of_date: group.is_out_of_date,
        failure: String::new(),
        reason: String::new(),
        time_ms: Some(member.since_ms),
    }
}
fn failed(failure: &Failure, version: u32) -> GroupMember {
    GroupMember {
        state: MemberState::Failed,
        zone: failure.zone.clone(),
        machine_type: failure.machine_type.clone(),
        spot: failure.spot,
        template_version: version.to_string(),
        failure: error::reason_of(&failure.code).to_string(),
        reason: failure.message.clone(),
        time_ms: Some(failure.at_ms),
        ..GroupMember::default()
    }
}

impl Sim {
    /// Every page of its instances.
    async fn group_instances(&self, cx: &Cx, region: &str, id: &str) -> Result<Vec<GroupInstance>> {
        all_pages(async |after| self.call(cx, Action::DescribeGroupInstances, region, self.cloud.group_instances(region, id, after.as_deref())).await).await
    }
    /// A version of the template that says what is asked for. What the vendor does not show stays as it was.
    async fn versioned(&self, cx: &Cx, region: &str, (row, around): &Grouped, desired: &InstanceTemplate, changed: &BTreeSet<&str>) -> Result<u32> {
        let (Some(template), Some(now)) = (&row.body().template, &around.launch) else {
            let why = "its template is not Welkin's, or is gone: what is made from it cannot be changed";
            return Err(Error::new(ErrorKind::FailedPrecondition, Reason::NotOwned, why).with_field("template"));
        };
        let mut launch = launch_of(desired)?;
        for (field, asked, there) in [("template.ssh_key", &mut launch.ssh_key, &now.ssh_key), ("template.user_data", &mut launch.user_data, &now.user_data)] {
            if !changed.contains(field) {
                asked.clone_from(there);
            }
        }
        if launch == *now {
            return Ok(row.body().version);
        }
        let call = self.cloud.create_template_version(region, template, launch);
        self.call(cx, Action::CreateTemplateVersion, region, call).await.map_err(of_group)
    }
}

#[async_trait]
impl Driver<InstanceGroup> for Sim {
    async fn check(&self, cx: &Cx, change: &Change<InstanceGroup>) -> Result<()> {
        let region = change.target.parent().id.as_str();
        match &change.verb {
            Verb::Create { spec, .. } => {
                let template = new_template(cx, change, spec)?;
                let call = self.cloud.dry_create_instance_group(region, new_group(cx, change, spec)?, &template.launch);
                self.call(cx, Action::DryRun, region, call).await.map_err(of_group)?;
                self.call(cx, Action::DryRun, region, self.cloud.dry_create_template(region, template)).await.map_err(of_group)
            }
            Verb::Update { .. } => self.present(cx, change).await?.map(drop).ok_or_else(|| Error::not_found(&change.target)),
            Verb::Delete => match self.present(cx, change).await? {
                Some((row, _)) => self.call(cx, Action::DryRun, region, self.cloud.dry_delete_instance_group(region, row.id())).await,
                None => Ok(()),
            },
            Verb::Act(action) => {
                let row = self.present(cx, change).await?.ok_or_else(|| Error::not_found(&change.target))?;
                match action {
                    InstanceGroupAction::DeleteInstances(chosen) => self.to_delete(cx, region, &row, chosen).await.map(drop),
                    InstanceGroupAction::ReplaceInstances(_) | InstanceGroupAction::StopReplacement => Ok(()),
                }
            }
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<InstanceGroup>, spec: &InstanceGroupSpec, _: &Resume) -> Result<Step<Object<InstanceGroup>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let new = new_group(cx, change, spec)?;
        let call = self.cloud.create_template(region, new_template(cx, change, spec)?);
        let template = self.call(cx, Action::CreateTemplate, region, call).await.map_err(of_group)?;
        let new = NewInstanceGroup { template: Some(template.id().to_owned()), ..new };
        let tags = new.tags.clone();
        let row = self.call(cx, Action::CreateInstanceGroup, region, self.cloud.create_instance_group(region, new)).await.map_err(of_group)?;
        Ok(Step::Done(Self::object::<InstanceGroup>(cx, location, &row, Some(&tags))?))
    }

    async fn update(
        &self,
        cx: &Cx,
        change: &Change<InstanceGroup>,
        desired: &InstanceGroupSpec,
        paths: &BTreeSet<FieldPath>,
        resume: &Resume,
    ) -> Result<Step<Object<InstanceGroup>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let mut row = match self.located(cx, change, resume).await? {
            Found::Here(row) => row,
            Found::NotYet(looking) => return Step::wait(&looking, self.pause(), "waiting for the cloud to show the instance group"),
            Found::Gone => return Err(Error::not_found(&change.target)),
        };
        let changed: BTreeSet<&str> = paths.iter().map(|p| p.0.as_str()).collect();
        let has = |field: &str| changed.iter().any(|path| path.split('.').next() == Some(field));
        let (mut expect, id) = (expected(change, resume), row.0.id().to_owned());
        // Only what is changed: whatever else scales the group may have set its size meanwhile.
        let (now, asked) = (row.0.body().settings, settings_of(desired));
        let of = |field: &str, asked: u32, now: u32| if has(field) { asked } else { now };
        let settings = GroupSettings {
            min: of("min_size", asked.min, now.min),
            max: of("max_size", asked.max, now.max),
            size: of("size", asked.size, now.size),
            on_demand_base: of("on_demand_base", asked.on_demand_base, now.on_demand_base),
            spot_percent: of("spot_percent", asked.spot_percent, now.spot_percent),
            grace_s: of("health", asked.grace_s, now.grace_s),
        };
        let version = if has("template") { Some(self.versioned(cx, region, &row, &desired.template, &changed).await?) } else { None };
        let subnets = if has("subnets") { Some(subnets_of(desired)?) } else { None };
        let propagated = has("labels").then(|| desired.labels.clone());
        let body = row.0.body();
        let edit = GroupEdit {
            version: version.filter(|version| *version != body.version),
            subnets: subnets.filter(|subnets| *subnets != body.subnets),
            settings: Some(settings).filter(|settings| *settings != body.settings),
            // Of what was adopted nothing but its own labels is written.
            propagated: propagated.filter(|tags| *tags != body.propagated && !is_adopted(&change.target)),
        };
        if edit != GroupEdit::default() {
            let call = self.cloud.modify_instance_group(region, &id, edit, expect.take());
            row = or_gone(&change.target, self.call(cx, Action::ModifyInstanceGroup, region, call).await).map_err(of_group)?;
        }
        let labelled = mark::relabelled(row.0.tags().unwrap_or(&Tags::new()), &desired.labels);
        if has("labels") && row.0.tags() != Some(&labelled) {
            let call = self.cloud.tag_instance_group(region, &id, labelled, expect.take());
            row = or_gone(&change.target, self.call(cx, Action::TagInstanceGroup, region, call).await)?;
        }
        Ok(Step::Done(Self::object::<InstanceGroup>(cx, location, &row, None)?))
    }

    async fn delete(&self, cx: &Cx, change: &Change<InstanceGroup>, resume: &Resume) -> Result<Step<()>> {
        self.erased(cx, change, resume).await
    }

    async fn act(&self, cx: &Cx, change: &Change<InstanceGroup>, action: &InstanceGroupAction, resume: &Resume) -> Result<Step<Option<InstanceOutcomes>>> {
        match action {
            InstanceGroupAction::DeleteInstances(chosen) => self.chosen_deleted(cx, change, chosen, resume).await.map(|step| step.map(Some)),
            InstanceGroupAction::ReplaceInstances(replacement) => self.replaced(cx, change, replacement, resume).await.map(|step| step.map(|()| None)),
            InstanceGroupAction::StopReplacement => self.replacement_stopped(cx, change).await.map(|step| step.map(|()| None)),
        }
    }

    async fn ask(&self, cx: &Cx, target: &Target<InstanceGroup>, question: &InstanceGroupQuestion) -> Result<Vec<GroupMember>> {
        let id = match target.vendor_id() {
            Some(id) => id.clone(),
            None => self.get(cx, target).await?.vendor_id,
        };
        let region = target.parent().id.as_str();
        match question {
            InstanceGroupQuestion::Members => {
                let row = self.call(cx, Action::DescribeInstanceGroups, region, self.cloud.instance_group(region, id.as_str())).await?;
                let (row, _) = row.ok_or_else(|| Error::not_found(target))?;
                let there = or_gone(target, self.group_instances(cx, region, id.as_str()).await)?;
                let failures = row.body().failures.iter().map(|f| failed(f, row.body().version));
                Ok(there.iter().map(member_of).chain(failures).collect())
            }
        }
    }
}
