//! Load balancers, over instances and over groups of them.

use super::{Sent, action, adopts_groups, labels, life, sent};
use crate::{
    balancers, groups,
    journal::{World, create, name, then},
};
use std::collections::BTreeSet;
use welkin_core::*;

/// Lists of load balancers, whole and narrowed, whether one that somebody else has made could be changed, and what is left of one that is gone.
pub async fn adopts_balancers() -> Sent {
    let world = World::with(0).await;
    let id = world.cloud.script(|s| s.balancing.plant("network", "theirs"));
    assert!(world.get(&Target::<LoadBalancer>::named(name("a"))).await.unwrap_err().is_not_found());
    // One of ours, whose rules and parts are read too.
    world.cloud.plant_as("vpc-1", "vpc", &[("cidr", "10.0.0.0/16")]);
    let change = create::<LoadBalancer>("b", balancers::spec(vec![balancers::listener(ListenerProtocol::Tcp, 80)], vec![balancers::to_address(1)]));
    world.run(&change).await.unwrap();
    let before = world.cloud.bodies().len();
    let target = Target::<LoadBalancer>::Vendor { parent: LocationName::of("eu-west-1").unwrap(), vendor_id: id.parse().unwrap() };
    let verb = Verb::Update { desired: world.get(&target).await.unwrap().spec, paths: BTreeSet::new() };
    world.check(&Change { target, verb, ..change.clone() }).await.unwrap();
    world.get(&change.target).await.unwrap();
    assert!(world.get(&Target::<LoadBalancer>::named(name("a"))).await.unwrap_err().is_not_found());
    for (vendor_ids, owned_only) in [(vec![], false), (vec![id.parse().unwrap()], true)] {
        let query = Query::<LoadBalancer> { vendor_ids, owned_only, ..Query::all(1) };
        LoadBalancer::reader(&world.aws).unwrap().list(&world.cx(), &query, &Shard("eu-west-1".into()), None).await.unwrap();
    }
    world.ask(&change.target, LoadBalancerQuestion::TargetHealth).await.unwrap();
    // What the making of it has asked for is no part of this.
    let bodies = world.cloud.bodies().split_off(before);
    let actions = bodies.iter().map(|b| action(b)).collect();
    Sent::of(bodies, actions)
}
/// Over groups, and over others then.
pub async fn load_balancers_over_groups() -> Sent {
    let world = World::with(0).await;
    let vpc = world.cloud.plant("vpc", &[("cidr", "10.0.0.0/16")], &[("welkin.dev/asked", "internet=true")]);
    world.cloud.script(|s| s.balancing.vpc = Some(vpc.clone()));
    let subnet = world.cloud.plant("subnet", &[("vpc", &vpc), ("cidr", "10.0.0.0/24")], &[]);
    let door = balancers::machine_in(&world, &vpc, true).1;
    let mut made = Vec::new();
    for id in ["a", "b"] {
        let plain = groups::spec(1);
        let template = InstanceTemplate { security_groups: vec![Ref::resolved(name("d"), door.parse().unwrap())], ..plain.template.clone() };
        made.push(world.run(&create::<InstanceGroup>(id, InstanceGroupSpec { template, ..plain })).await.unwrap().object());
    }
    let before = world.cloud.bodies().len();
    let over = |group: &Object<InstanceGroup>| vec![Backend { instance_group: Some(Ref::resolved(group.name.clone(), group.vendor_id.clone())), ..Backend::default() }];
    let spec = LoadBalancerSpec {
        network: Some(Ref::resolved(name("n"), vpc.parse().unwrap())),
        subnets: vec![Ref::resolved(name("s"), subnet.parse().unwrap())],
        ..balancers::spec(vec![balancers::listener(ListenerProtocol::Tcp, 80)], over(&made[0]))
    };
    life(&world, &create::<LoadBalancer>("l", spec), |s| {
        vec![Verb::Update { desired: LoadBalancerSpec { backends: over(&made[1]), ..s.clone() }, paths: [FieldPath::from("backends")].into() }]
    })
    .await;
    // What the making of the groups has asked for is no part of this.
    let bodies = world.cloud.bodies().split_off(before);
    let actions = bodies.iter().map(|b| action(b)).collect();
    load_balancers().await.and(adopts_groups().await).and(Sent::of(bodies, actions))
}
/// One with everything, over instances; then everything changed.
pub async fn load_balancers() -> Sent {
    let world = World::with(0).await;
    let vpc = world.cloud.plant("vpc", &[("cidr", "10.0.0.0/16"), ("ipv6", "2001:db8::/56")], &[("welkin.dev/asked", "internet=true")]);
    world.cloud.script(|s| s.balancing.vpc = Some(vpc.clone()));
    let subnet = world.cloud.plant("subnet", &[("vpc", &vpc), ("cidr", "10.0.0.0/24")], &[]);
    let address = world.cloud.plant("eipalloc", &[("ip", "198.51.100.7")], &[]);
    let machines = [balancers::machine_in(&world, &vpc, true).0, balancers::machine_in(&world, &vpc, true).0];
    let listener = balancers::listener;
    let tls = Listener { certificate: Some("arn:aws:acm:eu-west-1:1:certificate/c".into()), ..listener(ListenerProtocol::Tls, 443) };
    let http = HealthCheck { protocol: HealthProtocol::Http, path: Some("/up".into()), port: Some(81), ..HealthCheck::default() };
    let spec = LoadBalancerSpec {
        network: Some(Ref::resolved(name("n"), vpc.parse().unwrap())),
        subnets: vec![Ref::resolved(name("s"), subnet.parse().unwrap())],
        addresses: vec![Ref::resolved(name("a"), address.parse().unwrap())],
        scheme: Scheme::Public,
        listeners: vec![listener(ListenerProtocol::Tcp, 80), listener(ListenerProtocol::Udp, 80), tls],
        backends: vec![balancers::to_instance(&machines[0])],
        health_check: http,
        source_ranges: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        proxy_protocol: true,
        cross_zone: true,
        idle_timeout_s: Some(60),
        labels: labels("one"),
        ..LoadBalancerSpec::default()
    };
    life(&world, &create::<LoadBalancer>("l", spec), |s| {
        let desired = LoadBalancerSpec {
            listeners: vec![listener(ListenerProtocol::Tcp, 80), listener(ListenerProtocol::Tcp, 81)],
            backends: vec![balancers::to_instance(&machines[1])],
            health_check: HealthCheck { interval_s: Some(10), ..HealthCheck::default() },
            source_ranges: Vec::new(),
            client_ip_affinity: true,
            proxy_protocol: false,
            cross_zone: false,
            idle_timeout_s: Some(120),
            labels: labels("two"),
            ..s.clone()
        };
        let other = LoadBalancerSpec { backends: vec![balancers::to_instance(&machines[0])], health_check: s.health_check.clone(), ..desired.clone() };
        let every = ["listeners", "backends", "health_check", "source_ranges", "client_ip_affinity", "proxy_protocol", "cross_zone", "idle_timeout_s", "labels"];
        let delta = |add: &str, remove: &str| BackendDelta { add: vec![balancers::to_instance(add)], remove: vec![balancers::to_instance(remove)] };
        vec![
            Verb::Update { desired, paths: every.map(FieldPath::from).into() },
            Verb::Update { desired: other, paths: ["backends", "health_check"].map(FieldPath::from).into() },
            Verb::Act(LoadBalancerAction::ChangeBackends(delta(&machines[1], &machines[0]))),
        ]
    })
    .await;
    let asked = LoadBalancerSpec {
        network: Some(Ref::resolved(name("n"), vpc.parse().unwrap())),
        ..balancers::spec(vec![listener(ListenerProtocol::Tcp, 80)], vec![balancers::to_address(1)])
    };
    let asked = create::<LoadBalancer>("m", asked);
    let made = world.run(&asked).await.unwrap().object();
    // Of both families, with UDP, and in another subnet too; then elsewhere.
    let other = world.cloud.plant("subnet", &[("vpc", &vpc), ("cidr", "10.0.1.0/24"), ("zone", "b")], &[]);
    world.cloud.script(|s| s.balancing.zones.insert("subnet-1", "a"));
    let elsewhere = vec![Ref::resolved(name("o"), other.parse().unwrap())];
    let mut spec = LoadBalancerSpec {
        dual_stack: true,
        subnets: [made.spec.subnets.clone(), elsewhere.clone()].concat(),
        listeners: vec![listener(ListenerProtocol::Udp, 80)],
        backends: vec![Backend { address: Some("2001:db8::1".parse().unwrap()), ..Backend::default() }],
        ..made.spec
    };
    let update = |desired: LoadBalancerSpec, paths: &[&'static str]| {
        then(&asked, made.vendor_id.as_str(), Verb::Update { desired, paths: paths.iter().map(|p| FieldPath::from(*p)).collect() })
    };
    world.run(&update(spec.clone(), &["dual_stack", "subnets", "listeners", "backends"])).await.unwrap();
    spec.subnets = elsewhere;
    world.check(&update(spec.clone(), &["subnets"])).await.unwrap();
    world.run(&update(spec, &["subnets"])).await.unwrap();
    world.ask(&asked.target, LoadBalancerQuestion::TargetHealth).await.unwrap();
    sent(&world)
}
