//! Instance groups.

use super::{Head, Mutable, Resource, Scope, error, field, head, message, millis, name_and_etag, pack, timestamp, unpack, vendor_config};
use crate::{
    api::v1::{self, delete_instances_instance_group_response::Outcome, instance_group, instance_group_members},
    wire,
};
use prost_types::Any;
use welkin_core::{
    ChosenInstances, GroupHealth, GroupMember, HealthSource, InstanceGroup, InstanceGroupAction, InstanceGroupQuestion, InstanceGroupSpec, InstanceGroupState, InstanceGroupStatus,
    InstanceOutcome, InstanceOutcomes, InstanceTemplate, MemberState, Object, Replacement, Result, RootDisk, Secret, TemplateDisk,
};

impl Resource for InstanceGroup {
    type Message = v1::InstanceGroup;
    const SERVICE: &'static str = "welkin.v1.InstanceGroups";

    fn encode(cloud: &str, object: Object<Self>) -> Result<v1::InstanceGroup> {
        let (h, mut spec, status) = Head::split(cloud, object);
        // Input only: not answered, whatever a provider may have put there.
        (spec.template.ssh_key, spec.template.user_data) = (None, None);
        Ok(message!(InstanceGroup of h {
            state: status.state as i32,
            state_reason: status.state_reason,
            effective_zones: status.effective_zones,
            running_instances: status.running_instances,
            pending_instances: status.pending_instances,
            failed_launches: status.failed_launches,
            out_of_date_instances: status.out_of_date_instances,
            template_version: status.template_version,
            is_replacing: status.is_replacing,
            ..Self::encode_spec(cloud, spec)?
        }))
    }
    fn decode(cloud: &str, mut m: v1::InstanceGroup) -> Result<Object<Self>> {
        let status = InstanceGroupStatus {
            state: field::value(InstanceGroupState::ALL, m.state),
            state_reason: std::mem::take(&mut m.state_reason),
            effective_zones: std::mem::take(&mut m.effective_zones),
            running_instances: m.running_instances,
            pending_instances: m.pending_instances,
            failed_launches: m.failed_launches,
            out_of_date_instances: m.out_of_date_instances,
            template_version: std::mem::take(&mut m.template_version),
            is_replacing: m.is_replacing,
        };
        let head = head!(m);
        let spec = Scope::answer(cloud, &head.name, |scope| Self::decode_spec(m, scope))?;
        head.join(cloud, spec, status)
    }
}

impl Mutable for InstanceGroup {
    const ACTIONS: &'static [(&'static str, InstanceGroupAction)] = &[
        ("DeleteInstancesInstanceGroup", InstanceGroupAction::DeleteInstances(ChosenInstances { instances: Vec::new() })),
        ("ReplaceInstancesInstanceGroup", InstanceGroupAction::ReplaceInstances(Replacement { max_unavailable: None, max_surge: None })),
        ("StopReplacementInstanceGroup", InstanceGroupAction::StopReplacement),
    ];
    type Arguments = wire::GroupArguments;

    fn with_arguments(action: InstanceGroupAction, arguments: wire::GroupArguments, _: &mut Scope<'_, Self>) -> InstanceGroupAction {
        match action {
            InstanceGroupAction::DeleteInstances(_) => InstanceGroupAction::DeleteInstances(ChosenInstances { instances: arguments.instances }),
            InstanceGroupAction::ReplaceInstances(_) => {
                InstanceGroupAction::ReplaceInstances(Replacement { max_unavailable: arguments.max_unavailable, max_surge: arguments.max_surge })
            }
            InstanceGroupAction::StopReplacement => InstanceGroupAction::StopReplacement,
        }
    }
    fn arguments(_: &str, action: &InstanceGroupAction) -> Result<wire::GroupArguments> {
        Ok(match action {
            InstanceGroupAction::DeleteInstances(chosen) => wire::GroupArguments { instances: chosen.instances.clone(), ..wire::GroupArguments::default() },
            InstanceGroupAction::ReplaceInstances(r) => wire::GroupArguments { max_unavailable: r.max_unavailable, max_surge: r.max_surge, ..wire::GroupArguments::default() },
            InstanceGroupAction::StopReplacement => wire::GroupArguments::default(),
        })
    }
    fn encode_outcome(cloud: &str, outcome: Option<InstanceOutcomes>) -> Option<Any> {
        let encode = |o: InstanceOutcome| Outcome { instance: o.instance, error: o.error.map(|e| error::to_proto(&e, Some(cloud))) };
        Some(pack(&v1::DeleteInstancesInstanceGroupResponse { outcomes: outcome?.0.into_iter().map(encode).collect() }))
    }
    fn decode_outcome(any: &Any) -> Result<Option<InstanceOutcomes>> {
        let message: v1::DeleteInstancesInstanceGroupResponse = unpack(any, "a deletion of chosen instances")?;
        let decode = |o: Outcome| InstanceOutcome { instance: o.instance, error: o.error.as_ref().map(error::from_proto) };
        Ok(Some(InstanceOutcomes(message.outcomes.into_iter().map(decode).collect())))
    }
    const QUESTIONS: &'static [(&'static str, InstanceGroupQuestion)] = &[("GetInstanceGroupMembers", InstanceGroupQuestion::Members)];
    type AnswerMessage = v1::InstanceGroupMembers;
    const ID_FIELD: &'static str = "instance_group_id";

    name_and_etag!();

    fn decode_spec(m: v1::InstanceGroup, scope: &mut Scope<'_, Self>) -> InstanceGroupSpec {
        let health = m.health.unwrap_or_default();
        InstanceGroupSpec {
            template: decode_template(m.template.unwrap_or_default(), scope),
            subnets: scope.refer_all("subnets", &m.subnets),
            zones: m.zones,
            min_size: m.min_size,
            max_size: m.max_size,
            size: m.size,
            on_demand_base: m.on_demand_base,
            spot_percent: m.spot_percent,
            health: GroupHealth { source: field::value(HealthSource::ALL, health.source), grace_period_s: health.grace_period_s },
            labels: m.labels,
            provider_config: scope.vendor_config(m.provider_config),
        }
    }
    fn encode_spec(cloud: &str, spec: InstanceGroupSpec) -> Result<v1::InstanceGroup> {
        let has_health = spec.health != GroupHealth::default();
        let has_template = spec.template != InstanceTemplate::default();
        Ok(v1::InstanceGroup {
            template: has_template.then(|| encode_template(cloud, spec.template)),
            subnets: field::references(cloud, spec.subnets),
            zones: spec.zones,
            min_size: spec.min_size,
            max_size: spec.max_size,
            size: spec.size,
            on_demand_base: spec.on_demand_base,
            spot_percent: spec.spot_percent,
            health: has_health.then_some(instance_group::Health { source: spec.health.source as i32, grace_period_s: spec.health.grace_period_s }),
            labels: spec.labels,
            provider_config: vendor_config::encode(spec.provider_config)?,
            ..Default::default()
        })
    }
    fn encode_answer(answer: Vec<GroupMember>) -> v1::InstanceGroupMembers {
        let member = |m: GroupMember| instance_group_members::Member {
            instance: m.instance,
            state: m.state as i32,
            zone: m.zone,
            machine_type: m.machine_type,
            spot: m.spot,
            template_version: m.template_version,
            out_of_date: m.out_of_date,
            failure: m.failure,
            reason: m.reason,
            time: m.time_ms.map(timestamp),
        };
        v1::InstanceGroupMembers { members: answer.into_iter().map(member).collect() }
    }
    fn decode_answer(m: v1::InstanceGroupMembers) -> Vec<GroupMember> {
        let member = |m: instance_group_members::Member| GroupMember {
            instance: m.instance,
            state: field::value(MemberState::ALL, m.state),
            zone: m.zone,
            machine_type: m.machine_type,
            spot: m.spot,
            template_version: m.template_version,
            out_of_date: m.out_of_date,
            failure: m.failure,
            reason: m.reason,
            time_ms: m.time.as_ref().map(millis),
        };
        m.members.into_iter().map(member).collect()
    }
}

fn decode_template(m: instance_group::Template, scope: &mut Scope<'_, InstanceGroup>) -> InstanceTemplate {
    let root = m.root_disk.unwrap_or_default();
    let disk = |d: instance_group::template::Disk| TemplateDisk { size_gib: d.size_gib, disk_type: field::text(d.disk_type), encrypted: d.encrypted };
    InstanceTemplate {
        machine_types: m.machine_types,
        image: scope.refer("template.image", &m.image),
        ssh_key: field::text(m.ssh_key),
        user_data: field::text(m.user_data).map(Secret::new),
        identity: field::text(m.identity),
        root_disk: RootDisk { size_gib: root.size_gib, disk_type: field::text(root.disk_type), encrypted: root.encrypted },
        disks: m.disks.into_iter().map(disk).collect(),
        security_groups: scope.refer_all("template.security_groups", &m.security_groups),
        assign_public_ip: m.assign_public_ip,
    }
}
fn encode_template(cloud: &str, template: InstanceTemplate) -> instance_group::Template {
    let root = template.root_disk;
    let has_root = root != RootDisk::default();
    let disk = |d: TemplateDisk| instance_group::template::Disk { size_gib: d.size_gib, disk_type: field::or_empty(d.disk_type), encrypted: d.encrypted };
    instance_group::Template {
        machine_types: template.machine_types,
        image: field::reference(cloud, template.image),
        ssh_key: field::or_empty(template.ssh_key),
        user_data: template.user_data.map(|d| d.expose().to_owned()).unwrap_or_default(),
        identity: field::or_empty(template.identity),
        root_disk: has_root.then(|| instance_group::template::RootDisk { size_gib: root.size_gib, disk_type: field::or_empty(root.disk_type), encrypted: root.encrypted }),
        disks: template.disks.into_iter().map(disk).collect(),
        security_groups: field::references(cloud, template.security_groups),
        assign_public_ip: template.assign_public_ip,
    }
}
