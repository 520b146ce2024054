//! Instance groups.

use super::{Sent, action, labels, refer, sent};
use crate::{
    groups,
    journal::{World, create, name, then},
};
use std::collections::BTreeSet;
use welkin_core::*;

/// Of others', and what is read of one of ours whatever becomes of its instances.
pub async fn adopts_groups() -> Sent {
    let world = World::with(0).await;
    let id = world.cloud.script(|s| s.plant_group("theirs", &[("team", "a")]));
    let change = create::<InstanceGroup>("g", groups::spec(2));
    let made = world.run(&change).await.unwrap().object();
    let desired = InstanceGroupSpec { template: InstanceTemplate { machine_types: vec!["t3.large".into()], ..made.spec.template.clone() }, ..made.spec.clone() };
    world.run(&groups::update(&change, &made.vendor_id, desired, &["template"])).await.unwrap();
    world.cloud.script(|s| s.scaling.fails = Some("no capacity"));
    let larger = InstanceGroupSpec { size: Some(3), ..made.spec.clone() };
    world.run(&groups::update(&change, &made.vendor_id, larger, &["size"])).await.unwrap();
    let before = world.cloud.bodies().len();
    let target = Target::<InstanceGroup>::Vendor { parent: LocationName::of("eu-west-1").unwrap(), vendor_id: id.parse().unwrap() };
    let verb = Verb::Update { desired: world.get(&target).await.unwrap().spec, paths: BTreeSet::new() };
    world.check(&Change { target, verb, ..change.clone() }).await.unwrap();
    world.get(&change.target).await.unwrap();
    assert!(world.get(&Target::<InstanceGroup>::named(name("a"))).await.unwrap_err().is_not_found());
    for (vendor_ids, owned_only) in [(vec![], false), (vec![], true), (vec![id.parse().unwrap()], true)] {
        let query = Query::<InstanceGroup> { vendor_ids, owned_only, ..Query::all(1) };
        InstanceGroup::reader(&world.aws).unwrap().list(&world.cx(), &query, &Shard("eu-west-1".into()), None).await.unwrap();
    }
    world.ask(&change.target, InstanceGroupQuestion::Members).await.unwrap();
    let bodies = world.cloud.bodies().split_off(before);
    let actions = bodies.iter().map(|b| action(b)).collect();
    Sent::of(bodies, actions)
}
/// One with everything; then everything changed, some deleted and the rest replaced.
pub async fn instance_groups(ssh_key: bool, identity: bool) -> Sent {
    let world = World::with(0).await;
    let subnets = ["10.0.0.0/24", "10.0.1.0/24"].map(|cidr| world.cloud.plant("subnet", &[("vpc", "vpc-1"), ("cidr", cidr)], &[]));
    let group = world.cloud.plant("sg", &[("vpc", "vpc-1")], &[]);
    let plain = groups::spec(4);
    let disk = |size_gib| TemplateDisk { size_gib: Some(size_gib), disk_type: Some("gp3".into()), encrypted: Some(true) };
    let template = InstanceTemplate {
        machine_types: vec!["t3.small".into(), "t3.large".into()],
        ssh_key: ssh_key.then(|| "ssh-ed25519 AAAA".into()),
        user_data: Some(Secret::new("#!/bin/sh\necho ü\n")),
        identity: identity.then(|| "arn:aws:iam::1:instance-profile/web".into()),
        root_disk: RootDisk { size_gib: Some(20), disk_type: Some("gp3".into()), encrypted: Some(true) },
        disks: vec![disk(4), disk(8)],
        security_groups: vec![Ref::resolved(name("g"), group.parse().unwrap())],
        assign_public_ip: Some(true),
        ..plain.template.clone()
    };
    let spec = InstanceGroupSpec {
        template,
        subnets: subnets.iter().map(|id| Ref::resolved(name(id), id.parse().unwrap())).collect(),
        on_demand_base: 1,
        spot_percent: 50,
        health: GroupHealth { source: HealthSource::LoadBalancer, grace_period_s: Some(30) },
        labels: labels("one"),
        ..plain
    };
    let change = create::<InstanceGroup>("g", spec.clone());
    refer::<InstanceGroup>(&world, &spec).await;
    world.check(&change).await.unwrap();
    let made = world.run(&change).await.unwrap().object();
    world.get(&change.target).await.unwrap();
    let desired = InstanceGroupSpec {
        template: InstanceTemplate {
            machine_types: vec!["t3.medium".into()],
            disks: Vec::new(),
            ssh_key: ssh_key.then(|| "ssh-ed25519 BBBB".into()),
            ..made.spec.template.clone()
        },
        subnets: spec.subnets[..1].to_vec(),
        min_size: 1,
        size: Some(3),
        spot_percent: 0,
        health: GroupHealth { source: HealthSource::Instance, grace_period_s: Some(60) },
        labels: labels("two"),
        ..made.spec.clone()
    };
    let paths = ["template", "subnets", "min_size", "size", "spot_percent", "health", "labels"];
    let update = groups::update(&change, &made.vendor_id, desired, &paths);
    world.check(&update).await.unwrap();
    world.run(&update).await.unwrap();
    let one = world.cloud.script(|s| s.scaling.groups[0].members[0].instance.clone());
    let act = |action| then(&change, made.vendor_id.as_str(), Verb::Act(action));
    let replace = act(InstanceGroupAction::ReplaceInstances(Replacement { max_unavailable: None, max_surge: Some(1) }));
    for change in [act(InstanceGroupAction::DeleteInstances(ChosenInstances { instances: vec![one] })), replace] {
        world.check(&change).await.unwrap();
        world.run(&change).await.unwrap();
    }
    // A capacity that is missing is asked about, and what is begun can be stopped.
    world.run(&groups::update(&change, &made.vendor_id, spec.clone(), &["template.machine_types"])).await.unwrap();
    world.cloud.script(|s| (s.scaling.fails, s.scaling.ends) = (Some("no capacity"), std::time::Duration::from_millis(200)));
    let begin = act(InstanceGroupAction::ReplaceInstances(Replacement::default()));
    InstanceGroup::driver(&world.aws).unwrap().act(&world.cx(), &begin, begin_action(&begin), &Resume::default()).await.unwrap();
    world.run(&act(InstanceGroupAction::StopReplacement)).await.unwrap();
    world.ask(&change.target, InstanceGroupQuestion::Members).await.unwrap();
    world.run(&then(&change, made.vendor_id.as_str(), Verb::Delete)).await.unwrap();
    sent(&world)
}
fn begin_action(change: &Change<InstanceGroup>) -> &InstanceGroupAction {
    match &change.verb {
        Verb::Act(action) => action,
        _ => panic!(),
    }
}
