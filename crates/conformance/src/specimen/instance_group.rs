use super::{Depth, Plausible, Reached, Specimen, Unchangeable, Wrong, labelled, net, security_group, subnet_range, to, wrong_labels};
use crate::{
    Planted,
    specimen::instance::SSH_KEY,
    stand::{Stand, Verdict},
};
use async_trait::async_trait;
use std::{collections::BTreeMap, net::IpAddr};
use welkin_core::{
    GroupHealth, GroupMember, HealthSource, Image, Instance, InstanceGroup, InstanceGroupAction, InstanceGroupQuestion, InstanceGroupSpec, InstanceGroupState, InstanceGroupStatus,
    InstanceSpec, InstanceTemplate, Kind, MemberState, Network, NetworkSpec, Object, Reason, Ref, RootDisk, Secret, SecurityGroup, Subnet, SubnetSpec, TemplateDisk,
};

/// What groups make their instances in.
#[derive(Debug)]
pub(crate) struct Field {
    /// Each in a zone of its own, where subnets lie in one.
    pub(crate) subnets: Vec<Object<Subnet>>,
    pub(crate) image: Ref<Image>,
    /// In the same network, where the trial needs them.
    groups: Vec<Object<SecurityGroup>>,
}
impl Field {
    fn template(&self, stand: &Stand<'_>) -> InstanceTemplate {
        InstanceTemplate { machine_types: vec![stand.subject.machine_types[0].clone()], image: Some(self.image.clone()), ..InstanceTemplate::default() }
    }
}

#[async_trait(?Send)]
impl Specimen for InstanceGroup {
    type Ground = Field;
    async fn ground(stand: &Stand<'_>, depth: Depth) -> Verdict<Field> {
        let network = stand.create(Network::plain(stand, &(), 0)).await?;
        let zones = if stand.honours::<Subnet>("zone") { stand.zones().await?.into_iter().map(Some).collect() } else { vec![None, None] };
        let mut field = Field { subnets: Vec::new(), image: stand.image().await?, groups: Vec::new() };
        let subnets = if depth == Depth::Plain { 1 } else { 2 };
        for (number, zone) in (0..).zip(zones.into_iter().take(subnets)) {
            let spec = SubnetSpec { network: Some(to(&network)), cidrs: vec![subnet_range(number)], zone, ..SubnetSpec::default() };
            field.subnets.push(stand.create(spec).await?);
        }
        if depth == Depth::Whole && stand.honours::<Self>("template.security_groups") {
            field.groups.push(stand.create(security_group::group_in(&network)).await?);
        }
        Ok(field)
    }
    /// Without instances, which it may have up to three of.
    fn plain(stand: &Stand<'_>, field: &Field, _: u8) -> InstanceGroupSpec {
        let subnets = field.subnets.iter().take(1).map(to).collect();
        InstanceGroupSpec { template: field.template(stand), subnets, max_size: Some(3), ..InstanceGroupSpec::default() }
    }
    fn variants(stand: &Stand<'_>, field: &Field) -> Verdict<Vec<(&'static str, InstanceGroupSpec)>> {
        let (plain, subject) = (Self::plain(stand, field, 0), stand.subject);
        let has = |path: &str| stand.honours::<Self>(path);
        let disk_type = || subject.disk_type.clone().filter(|_| has("template.disks.disk_type"));
        let disk = |size_gib| TemplateDisk { size_gib: Some(size_gib), disk_type: disk_type(), encrypted: has("template.disks.encrypted").then_some(true) };
        let template = InstanceTemplate {
            machine_types: subject.machine_types.to_vec(),
            ssh_key: has("template.ssh_key").then(|| SSH_KEY.to_owned()),
            user_data: has("template.user_data").then(|| Secret::new("#!/bin/sh\necho conformance\n")),
            identity: subject.identity.clone().filter(|_| has("template.identity")),
            root_disk: RootDisk {
                size_gib: has("template.root_disk.size_gib").then_some(20),
                disk_type: subject.disk_type.clone().filter(|_| has("template.root_disk.disk_type")),
                encrypted: has("template.root_disk.encrypted").then_some(true),
            },
            disks: if has("template.disks") { vec![disk(4), disk(8)] } else { Vec::new() },
            security_groups: field.groups.iter().map(to).collect(),
            assign_public_ip: has("template.assign_public_ip").then_some(true),
            ..plain.template.clone()
        };
        let everything = InstanceGroupSpec {
            template,
            subnets: field.subnets.iter().map(to).collect(),
            min_size: 1,
            max_size: Some(4),
            size: Some(2),
            on_demand_base: u32::from(has("on_demand_base")),
            spot_percent: if has("spot_percent") { 50 } else { 0 },
            health: GroupHealth {
                source: if has("health.source") { HealthSource::Instance } else { HealthSource::Unspecified },
                grace_period_s: has("health.grace_period_s").then_some(30),
            },
            labels: labelled(&[("team", "a"), ("Name", "of-its-own")]),
            provider_config: subject.provider_configs.get(Self::COLLECTION).cloned(),
            ..plain.clone()
        };
        let inside = InstanceTemplate { assign_public_ip: has("template.assign_public_ip").then_some(false), ..plain.template.clone() };
        Ok(vec![("everything", everything), ("no public address", InstanceGroupSpec { template: inside, size: Some(1), ..plain })])
    }
    fn changes(stand: &Stand<'_>, field: &Field, now: &InstanceGroupSpec) -> Vec<(&'static str, InstanceGroupSpec)> {
        let mut out = Vec::new();
        let mut change = |what: &'static str, set: &dyn Fn(&mut InstanceGroupSpec)| {
            if stand.changes::<Self>(what) {
                let mut spec = now.clone();
                set(&mut spec);
                out.push((what, spec));
            }
        };
        change("labels", &|spec| spec.labels = labelled(&[("team", "b"), ("new", "")]));
        change("size", &|spec| spec.size = Some(2));
        change("min_size", &|spec| (spec.min_size, spec.size) = (1, Some(1)));
        change("max_size", &|spec| spec.max_size = Some(5));
        change("template.machine_types", &|spec| spec.template.machine_types = vec![stand.subject.machine_types[1].clone()]);
        change("template.root_disk.size_gib", &|spec| spec.template.root_disk.size_gib = Some(30));
        change("template.disks", &|spec| spec.template.disks = vec![TemplateDisk { size_gib: Some(2), ..TemplateDisk::default() }]);
        change("template.security_groups", &|spec| spec.template.security_groups = field.groups.iter().map(to).collect());
        change("subnets", &|spec| spec.subnets = field.subnets.iter().map(to).collect());
        change("on_demand_base", &|spec| spec.on_demand_base = 2);
        change("spot_percent", &|spec| spec.spot_percent = 25);
        change("health.grace_period_s", &|spec| spec.health.grace_period_s = Some(60));
        out.retain(|(_, spec)| spec != now);
        out
    }
    fn goes_back(_: &str) -> bool {
        true
    }
    async fn before_change(_: &Stand<'_>, _: &Object<Self>, _: &'static str) -> Verdict {
        Ok(())
    }
    fn malformed(stand: &Stand<'_>, plain: &InstanceGroupSpec) -> Vec<Wrong<Self>> {
        let wrong = |what: &'static str, field: &'static str, set: &dyn Fn(&mut InstanceGroupSpec)| {
            let mut spec = plain.clone();
            set(&mut spec);
            Wrong::new(what, spec, field)
        };
        let mut out = vec![
            wrong("no machine type", "template.machine_types", &|spec| spec.template.machine_types.clear()),
            wrong("a machine type twice", "template.machine_types[1]", &|spec| spec.template.machine_types = vec!["a".into(), "a".into()]),
            wrong("no image", "template.image", &|spec| spec.template.image = None),
            wrong("what is no ssh key", "template.ssh_key", &|spec| spec.template.ssh_key = Some("secret".into())),
            wrong("user data over 16 KiB", "template.user_data", &|spec| spec.template.user_data = Some(Secret::new("x".repeat(16 * 1024 + 1)))),
            wrong("a disk without a size", "template.disks[0].size_gib", &|spec| spec.template.disks = vec![TemplateDisk::default()]),
            wrong("nowhere", "subnets", &|spec| spec.subnets.clear()),
            wrong("a subnet twice", "subnets[1]", &|spec| spec.subnets = [&*spec.subnets, &*spec.subnets].concat()),
            wrong("no largest size", "max_size", &|spec| spec.max_size = None),
            wrong("a smallest size above the largest", "min_size", &|spec| spec.min_size = 4),
            wrong("a size above the largest", "size", &|spec| spec.size = Some(4)),
            wrong("a size below the smallest", "size", &|spec| (spec.min_size, spec.size) = (2, Some(1))),
            wrong("a base above the largest size", "on_demand_base", &|spec| spec.on_demand_base = 4),
            wrong("more than all as spot instances", "spot_percent", &|spec| spec.spot_percent = 101),
        ];
        if stand.is_refused::<Self>("zones") {
            out.push(wrong("zones that follow from the subnets", "zones", &|spec| spec.zones = vec!["a".into()]).with(Reason::CapabilityUnsupported));
        }
        if stand.is_refused::<Self>("health.source=LOAD_BALANCER") {
            out.push(wrong("health by a load balancer", "health.source", &|spec| spec.health.source = HealthSource::LoadBalancer).with(Reason::CapabilityUnsupported));
        }
        out.extend(wrong_labels(plain));
        out
    }
    async fn refused(stand: &Stand<'_>, field: &Field, plain: &InstanceGroupSpec) -> Verdict<Vec<Wrong<Self>>> {
        not_groups(stand, field, plain).await
    }
    async fn refused_changes(stand: &Stand<'_>, field: &Field) -> Verdict<Option<Unchangeable<Self>>> {
        let made = stand.create::<Self>(Self::plain(stand, field, 0)).await?;
        let wrong = not_groups(stand, field, &made.spec).await?;
        Ok(Some((made, wrong)))
    }
    async fn let_go(_: &Stand<'_>, _: &Object<Self>) -> Verdict {
        Ok(())
    }
    fn comparable(asked: &InstanceGroupSpec, answered: &InstanceGroupSpec) -> InstanceGroupSpec {
        // The image and the groups, as of an instance.
        let as_instance = |t: &InstanceTemplate| InstanceSpec { image: t.image.clone(), security_groups: t.security_groups.clone(), ..InstanceSpec::default() };
        let instance = Instance::comparable(&as_instance(&asked.template), &as_instance(&answered.template));
        // What is never answered is not compared.
        let template = InstanceTemplate { image: instance.image, security_groups: instance.security_groups, ssh_key: None, user_data: None, ..asked.template.clone() };
        let health = GroupHealth {
            source: if asked.health.source == HealthSource::Unspecified { answered.health.source } else { asked.health.source },
            grace_period_s: asked.health.grace_period_s.or(answered.health.grace_period_s),
        };
        InstanceGroupSpec { template, health, size: asked.size.or(answered.size), ..asked.clone() }
    }
    fn is_ready(status: &InstanceGroupStatus) -> bool {
        status.state == InstanceGroupState::Active
    }
    fn addresses(_: &InstanceGroupStatus) -> Vec<IpAddr> {
        Vec::new()
    }
    async fn occupied(_: &Stand<'_>) -> Verdict<Option<Object<Self>>> {
        Ok(None)
    }
    fn planted(field: &Field) -> Verdict<Planted> {
        let subnet = field.subnets.first().map(|s| s.vendor_id.to_string()).unwrap_or_default();
        Ok(Planted::InstanceGroup { subnet, image: field.image.vendor_id()?.to_string() })
    }
    fn fixed_points() -> Vec<(InstanceGroupAction, Reached<Self>)> {
        Vec::new()
    }
    fn once() -> Option<InstanceGroupAction> {
        None
    }
    fn questions() -> Vec<(InstanceGroupQuestion, Plausible<Self>)> {
        let is_told = |all: &Vec<GroupMember>| all.iter().all(|m| m.state != MemberState::Unspecified && m.instance.is_empty() == (m.state == MemberState::Failed));
        vec![(InstanceGroupQuestion::Members, is_told)]
    }
    fn labels(spec: &mut InstanceGroupSpec) -> Option<&mut BTreeMap<String, String>> {
        Some(&mut spec.labels)
    }
}

/// What no instance could be made from.
async fn not_groups(stand: &Stand<'_>, field: &Field, from: &InstanceGroupSpec) -> Verdict<Vec<Wrong<InstanceGroup>>> {
    let network = stand.create(NetworkSpec { cidrs: vec![net("10.30.0.0/16")?], ..NetworkSpec::default() }).await?;
    let zone = field.subnets.first().and_then(|s| s.spec.zone.clone());
    let elsewhere = stand.create(SubnetSpec { network: Some(to(&network)), cidrs: vec![net("10.30.0.0/24")?], zone, ..SubnetSpec::default() }).await?;
    let mut types = from.clone();
    types.template.machine_types = vec!["no.such-type".into()];
    let mut out = vec![
        Wrong::new("an unknown machine type", types, "template.machine_types"),
        Wrong::new("subnets of two networks", InstanceGroupSpec { subnets: [&*from.subnets, &[to(&elsewhere)]].concat(), ..from.clone() }, "subnets"),
    ];
    if stand.honours::<InstanceGroup>("template.security_groups") {
        let group = stand.create(security_group::group_in(&network)).await?;
        let mut shut = from.clone();
        shut.template.security_groups = vec![to(&group)];
        out.push(Wrong::new("a security group of another network", shut, "template.security_groups"));
    }
    Ok(out)
}
