//! Load balancers over instance groups: what the groups have is led to, what it is in is opened, and nothing stays attached.

use crate::{
    balancers::{listener, machine, spec},
    cloud::{Fault, scaling::Group},
    groups,
    journal::{World, create, name, then},
};
use std::collections::BTreeSet;
use welkin_core::*;

const VPC: &str = "vpc-1";

fn to_group(id: &str) -> Backend {
    Backend { instance_group: Some(Ref::resolved(name("g"), id.parse().unwrap())), ..Backend::default() }
}
fn tcp(ports: &[u16]) -> Vec<Listener> {
    ports.iter().map(|port| listener(ListenerProtocol::Tcp, *port)).collect()
}
/// A group of ours, of so many, in a security group that load balancers may open: its id and that one's.
async fn group(world: &World, id: &str, size: u32) -> (String, String) {
    let (_, door) = machine(world, true);
    let plain = groups::spec(size);
    let template = InstanceTemplate { security_groups: vec![Ref::resolved(name("d"), door.parse().unwrap())], ..plain.template.clone() };
    let made = world.run(&create::<InstanceGroup>(id, InstanceGroupSpec { template, ..plain })).await.unwrap().object();
    (made.vendor_id.to_string(), door)
}
fn of(world: &World, arn: &str) -> Group {
    world.cloud.script(|s| s.scaling.groups.iter().find(|g| g.arn == arn).unwrap().clone())
}
fn members(world: &World, arn: &str) -> BTreeSet<String> {
    of(world, arn).members.into_iter().map(|m| m.instance).collect()
}
fn update(made: &Change<LoadBalancer>, id: &VendorId, desired: LoadBalancerSpec, paths: &[&'static str]) -> Change<LoadBalancer> {
    then(made, id.as_str(), Verb::Update { desired, paths: paths.iter().map(|p| FieldPath::from(*p)).collect() })
}
/// Who is led to, by each listener.
async fn led(world: &World, change: &Change<LoadBalancer>) -> BTreeSet<(String, Option<u16>)> {
    let told = world.ask(&change.target, LoadBalancerQuestion::TargetHealth).await.unwrap();
    told.into_iter().map(|t| (t.backend, t.port)).collect()
}
fn rules_in(world: &World, door: &str) -> usize {
    world.cloud.items().iter().filter(|i| i.kind == "sgr" && i.is["group"] == door && i.is.contains_key("peer")).count()
}

#[tokio::test]
async fn what_groups_have_is_led_to() {
    let world = World::with(200).await;
    let (one, door) = group(&world, "one", 2).await;
    let (other, other_door) = group(&world, "other", 1).await;
    let change = create::<LoadBalancer>("web", spec(tcp(&[80, 81]), vec![to_group(&one)]));
    world.check(&change).await.unwrap();
    let made = world.run(&change).await.unwrap().object();
    // One call for the group, whatever the number of listeners.
    assert_eq!((world.cloud.calls("AttachLoadBalancerTargetGroups"), of(&world, &one).leads.len()), (1, 2));
    let both = |ids: &BTreeSet<String>| ids.iter().flat_map(|id| [(id.clone(), Some(80)), (id.clone(), Some(81))]).collect::<BTreeSet<_>>();
    assert_eq!(led(&world, &change).await, both(&members(&world, &one)));
    assert_eq!((rules_in(&world, &door), rules_in(&world, &other_door), made.status.opened_security_groups.as_slice()), (2, 0, std::slice::from_ref(&door)));
    let seen = world.get(&change.target).await.unwrap();
    assert_eq!(
        (&seen.spec.backends, &made.spec.backends),
        (&vec![Backend { instance_group: seen.spec.backends[0].instance_group.clone(), ..Backend::default() }], &seen.spec.backends)
    );
    assert_eq!(seen.spec.backends[0].vendor_id().unwrap(), one);

    // The same again writes nothing.
    let before = world.cloud.calls("");
    world.run(&update(&change, &made.vendor_id, seen.spec.clone(), &["backends", "listeners"])).await.unwrap();
    let calls = world.cloud.script(|s| s.counted()).split_off(before);
    assert!(calls.iter().all(|c| c.starts_with("Describe")), "{calls:?}");

    // Another group beside it, then in its place.
    for (backends, doors) in [(vec![to_group(&one), to_group(&other)], (2, 2)), (vec![to_group(&other)], (0, 2))] {
        let wanted: BTreeSet<String> = backends.iter().flat_map(|b| members(&world, &b.vendor_id().unwrap())).collect();
        let desired = LoadBalancerSpec { backends, ..made.spec.clone() };
        world.run(&update(&change, &made.vendor_id, desired, &["backends"])).await.unwrap();
        assert_eq!((led(&world, &change).await, (rules_in(&world, &door), rules_in(&world, &other_door))), (both(&wanted), doors));
    }
    assert!(of(&world, &one).leads.is_empty());
    // Instances in their place are other target groups; nothing stays attached.
    let (machine, _) = machine(&world, true);
    let desired = LoadBalancerSpec { backends: vec![crate::balancers::to_instance(&machine)], ..made.spec.clone() };
    world.run(&update(&change, &made.vendor_id, desired, &["backends"])).await.unwrap();
    assert!(of(&world, &other).leads.is_empty() && world.cloud.script(|s| s.balancing.groups.len()) == 2);
    assert_eq!(led(&world, &change).await, both(&[machine].into()));
    world.run(&update(&change, &made.vendor_id, LoadBalancerSpec { backends: vec![to_group(&one)], ..made.spec.clone() }, &["backends"])).await.unwrap();
    // A group that has gone is led to no more, and a listener more is told of it before.
    world
        .run(&update(&change, &made.vendor_id, LoadBalancerSpec { listeners: tcp(&[80, 81, 82]), backends: vec![to_group(&one)], ..made.spec.clone() }, &["listeners"]))
        .await
        .unwrap();
    assert_eq!(of(&world, &one).leads.len(), 3);
    world.run(&then(&change, made.vendor_id.as_str(), Verb::Delete)).await.unwrap();
    assert!(of(&world, &one).leads.is_empty() && world.cloud.script(|s| s.balancing.groups.is_empty()));
    assert_eq!((rules_in(&world, &door), rules_in(&world, &other_door)), (0, 0));
}

#[tokio::test]
async fn nothing_stays_attached_whatever_answer_is_lost() {
    for fault in [Fault::Lost, Fault::Broken, Fault::Bare(503), Fault::Refuse("ResourceContention: You already have a pending update", 400)] {
        let world = World::with(100).await;
        let (one, door) = group(&world, "one", 1).await;
        let (other, _) = group(&world, "other", 1).await;
        world.cloud.fault("AttachLoadBalancerTargetGroups", fault, 1);
        let change = create::<LoadBalancer>("web", spec(tcp(&[80]), vec![to_group(&one)]));
        let made = world.run(&change).await.unwrap().object();
        assert_eq!((of(&world, &one).leads.len(), world.cloud.script(|s| s.balancing.groups.len())), (1, 1), "{fault:?}");
        for action in ["AttachLoadBalancerTargetGroups", "DetachLoadBalancerTargetGroups"] {
            world.cloud.fault(action, fault, 1);
        }
        world.run(&update(&change, &made.vendor_id, LoadBalancerSpec { backends: vec![to_group(&other)], ..made.spec.clone() }, &["backends"])).await.unwrap();
        assert_eq!((of(&world, &one).leads.len(), of(&world, &other).leads.len(), rules_in(&world, &door)), (0, 1, 0), "{fault:?}");
        world.cloud.fault("DetachLoadBalancerTargetGroups", fault, 1);
        world.run(&then(&change, made.vendor_id.as_str(), Verb::Delete)).await.unwrap();
        assert!(of(&world, &other).leads.is_empty() && world.cloud.script(|s| s.balancing.groups.is_empty()), "{fault:?}");
    }
}

#[tokio::test]
async fn what_is_not_ours_is_not_led_to() {
    let world = World::with(100).await;
    let theirs = world.cloud.script(|s| s.plant_group("theirs", &[]));
    let (closed, _) = {
        let (_, door) = machine(&world, false);
        let plain = groups::spec(1);
        let template = InstanceTemplate { security_groups: vec![Ref::resolved(name("d"), door.parse().unwrap())], ..plain.template.clone() };
        let made = world.run(&create::<InstanceGroup>("shut", InstanceGroupSpec { template, ..plain })).await.unwrap().object();
        (made.vendor_id.to_string(), door)
    };
    for (id, reason) in [(theirs, Reason::NotOwned), (closed, Reason::WrongState)] {
        let change = create::<LoadBalancer>("web", spec(tcp(&[80]), vec![to_group(&id)]));
        for e in [world.check(&change).await.unwrap_err(), world.run_and_clean(&change).await] {
            assert_eq!((e.kind(), e.reason(), e.violations()[0].field.as_str()), (ErrorKind::FailedPrecondition, reason, "backends[0].instance_group"), "{e}");
        }
    }
    // One whose instances will be in another network.
    let (_, door) = crate::balancers::machine_in(&world, "vpc-2", true);
    let plain = groups::spec(0);
    let template = InstanceTemplate { security_groups: vec![Ref::resolved(name("d"), door.parse().unwrap())], ..plain.template.clone() };
    let made = world.run(&create::<InstanceGroup>("far", InstanceGroupSpec { template, ..plain })).await.unwrap().object();
    let e = world.check(&create::<LoadBalancer>("web", spec(tcp(&[80]), vec![to_group(made.vendor_id.as_str())]))).await.unwrap_err();
    assert_eq!((e.kind(), e.violations()[0].field.as_str()), (ErrorKind::InvalidArgument, "backends"), "{e}");
    assert!(e.message().contains(VPC), "{e}");
    assert_eq!(world.cloud.script(|s| (s.balancing.balancers.len(), s.balancing.groups.len())), (0, 0));
}
