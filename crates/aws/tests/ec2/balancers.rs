//! Load balancers: what a create, an update and a delete cost at the wire, what is found again after a lost answer, and whose rules are left alone.

use crate::{
    balancing::Thing,
    cloud::Fault,
    journal::{Done, World, create, name, then, unresolved},
};
use std::{collections::BTreeSet, time::Duration};
use welkin_core::*;

const VPC: &str = "vpc-1";
const LAG: Duration = Duration::from_millis(40);

pub fn listener(protocol: ListenerProtocol, port: u16) -> Listener {
    Listener { protocol, port: Some(port), ..Listener::default() }
}
fn tcp(ports: impl IntoIterator<Item = u16>) -> Vec<Listener> {
    ports.into_iter().map(|port| listener(ListenerProtocol::Tcp, port)).collect()
}
pub fn to_address(n: u16) -> Backend {
    let [high, low] = n.to_be_bytes();
    Backend { address: Some([10, 0, high, low].into()), ..Backend::default() }
}
pub fn to_instance(id: &str) -> Backend {
    Backend { instance: Some(Ref::resolved(name(id), id.parse().unwrap())), ..Backend::default() }
}
pub fn spec(listeners: Vec<Listener>, backends: Vec<Backend>) -> LoadBalancerSpec {
    LoadBalancerSpec {
        network: Some(Ref::resolved(name("n"), VPC.parse().unwrap())),
        subnets: vec![Ref::resolved(name("s"), "subnet-1".parse().unwrap())],
        scheme: Scheme::Internal,
        listeners,
        backends,
        ..LoadBalancerSpec::default()
    }
}
/// With the network that all of them are in.
pub async fn farm(horizon_ms: u64) -> World {
    let world = World::with(horizon_ms).await;
    world.cloud.plant_as(VPC, "vpc", &[("cidr", "10.0.0.0/16"), ("ipv6", "2001:db8::/56")]);
    world
}
/// An instance in a group of its own that load balancers may open: their ids.
pub fn machine(world: &World, is_open: bool) -> (String, String) {
    machine_in(world, VPC, is_open)
}
pub fn machine_in(world: &World, vpc: &str, is_open: bool) -> (String, String) {
    let asked = ("welkin.dev/asked", if is_open { "load-balancers=true" } else { "" });
    let tags = [("welkin.dev/owner", "me"), ("welkin.dev/id", "g"), ("welkin.dev/uid", "uid-of-g"), asked];
    let group = world.cloud.plant("sg", &[("vpc", vpc)], &tags);
    (world.cloud.plant("i", &[("state", "running"), ("vpc", vpc), ("group", &group)], &[]), group)
}
fn update(made: &Change<LoadBalancer>, id: &VendorId, desired: LoadBalancerSpec, paths: &[&'static str]) -> Change<LoadBalancer> {
    then(made, id.as_str(), Verb::Update { desired, paths: paths.iter().map(|p| FieldPath::from(*p)).collect() })
}
/// All calls, and the writes among them, since the last look.
fn counted(world: &World) -> (usize, usize) {
    let calls = world.cloud.script(|s| s.counted());
    (calls.len(), calls.iter().filter(|c| !c.starts_with("Describe")).count())
}
fn things(world: &World) -> (Vec<Thing>, Vec<Thing>, Vec<Thing>) {
    world.cloud.script(|s| (s.balancing.balancers.clone(), s.balancing.groups.clone(), s.balancing.listeners.clone()))
}
/// Who is let into a group, by the ports.
fn let_in(world: &World, group: &str) -> Vec<(String, String)> {
    let items = world.cloud.items().into_iter().filter(|i| i.kind == "sgr" && i.is["group"] == group && i.is["egress"] == "false");
    let from = |i: &crate::cloud::Item| ["cidr", "cidr6", "peer"].iter().find_map(|k| i.is.get(*k).cloned()).unwrap();
    let mut all: Vec<_> = items.map(|i| (format!("{}/{}", i.is["protocol"], i.is["from"]), from(&i))).collect();
    all.sort();
    all
}
fn is_clean(world: &World) {
    let (balancers, groups, listeners) = things(world);
    assert_eq!((balancers.len(), groups.len(), listeners.len()), (0, 0, 0));
    assert!(world.cloud.items().iter().all(|i| i.kind != "sg" || i.tags.contains_key("welkin.dev/id")), "{:?}", world.cloud.ids("sg"));
    assert_eq!(world.cloud.items().iter().filter(|i| i.kind == "sgr" && i.tags.contains_key("welkin.dev/uid")).count(), 0);
}

/// The figures of docs/figures.md: calls, and the writes among them.
#[tokio::test]
async fn what_it_costs_is_counted_at_the_wire() {
    let world = farm(200).await;
    // As it is on AWS: no load balancer is active at once.
    world.cloud.script(|s| s.balancing.settles = Duration::from_millis(1));
    let machines: Vec<String> = (0..2).map(|_| machine(&world, true).0).collect();
    let backends: Vec<Backend> = machines.iter().map(|id| to_instance(id)).collect();
    counted(&world);

    // A security group and its rules, a rule in each of two groups, the load balancer, and of each listener itself, a target group and its targets.
    let one = create::<LoadBalancer>("one", spec(tcp([80]), backends.clone()));
    let made = world.run(&one).await.unwrap().object();
    assert_eq!(counted(&world), (2 + 8 + 1, 8));
    let ten = create::<LoadBalancer>("ten", spec(tcp(80..90), backends.clone()));
    let made_ten = world.run(&ten).await.unwrap().object();
    assert_eq!(counted(&world), (2 + 5 + 30 + 1, 5 + 30));

    // The same again writes nothing, whatever it names.
    let every = [
        "listeners",
        "backends",
        "health_check",
        "source_ranges",
        "client_ip_affinity",
        "preserve_client_ip",
        "proxy_protocol",
        "cross_zone",
        "idle_timeout_s",
        "deletion_protection",
        "labels",
    ];
    for (change, object, reads) in [(&one, &made, 9 + 2 + 3), (&ten, &made_ten, 9 + 2 + 30)] {
        let now = world.run(&update(change, &object.vendor_id, object.spec.clone(), &every)).await.unwrap().object();
        assert_eq!(counted(&world), (reads, 0));
        assert_eq!(now.spec, object.spec);
        world.run(&update(change, &object.vendor_id, object.spec.clone(), &["labels"])).await.unwrap();
        assert_eq!(counted(&world), (9, 0));
    }

    // A port more: a target group, its targets, a listener, and a rule in its own group and in each of its backends'.
    let desired = LoadBalancerSpec { listeners: tcp([80, 443]), ..made.spec.clone() };
    world.run(&update(&one, &made.vendor_id, desired, &["listeners"])).await.unwrap();
    assert_eq!(counted(&world), (9 + 2 + 6, 6));

    world.run(&then(&one, made.vendor_id.as_str(), Verb::Delete)).await.unwrap();
    assert_eq!(counted(&world), (6 + 1 + 2 + 2 + 1, 6));
    world.run(&then(&ten, made_ten.vendor_id.as_str(), Verb::Delete)).await.unwrap();
    assert_eq!(counted(&world), (6 + 1 + 10 + 2 + 1, 14));
    is_clean(&world);

    // Of 500 backends one more is one write; a create sends them in batches.
    let many: Vec<Backend> = (0..500).map(to_address).collect();
    let wide = create::<LoadBalancer>("wide", spec(tcp([80]), many.clone()));
    let made = world.run(&wide).await.unwrap().object();
    assert_eq!(counted(&world), (1 + 5 + 3 + 1, 5 + 3));
    let desired = LoadBalancerSpec { backends: many.into_iter().chain([to_address(500)]).collect(), ..made.spec.clone() };
    let now = world.run(&update(&wide, &made.vendor_id, desired, &["backends"])).await.unwrap().object();
    assert_eq!((counted(&world), now.spec.backends.len()), ((9 + 1 + 1 + 1, 1), 501));
    assert_eq!(changed(&world, &wide, &made, &[to_address(501)], &[]).await.unwrap(), 502);
    assert_eq!(counted(&world), (9 + 1 + 1, 1));
}

/// How many backends there are after some have come and others gone.
async fn changed(world: &World, made: &Change<LoadBalancer>, object: &Object<LoadBalancer>, add: &[Backend], remove: &[Backend]) -> Result<u32> {
    let delta = BackendDelta { add: add.to_vec(), remove: remove.to_vec() };
    match world.run(&then(made, object.vendor_id.as_str(), Verb::Act(LoadBalancerAction::ChangeBackends(delta)))).await? {
        Done::Acted(told) => Ok(told.backends),
        other => panic!("{other:?}"),
    }
}
#[tokio::test]
async fn backends_come_and_go_one_by_one() {
    let world = farm(60).await;
    let made: Vec<_> = (0..3).map(|_| machine(&world, true)).collect();
    let [(a, at_a), (b, at_b), (c, at_c)] = &*made else { panic!() };
    let change = create::<LoadBalancer>("web", spec(tcp([80]), vec![to_instance(a), to_instance(b)]));
    let object = world.run(&change).await.unwrap().object();
    let own = let_in(&world, at_a);
    let is = async |ids: &[&String], doors: [bool; 3]| {
        let seen = world.get(&change.target).await.unwrap();
        assert_eq!(seen.spec.backends.iter().map(|b| b.vendor_id().unwrap()).collect::<BTreeSet<_>>(), ids.iter().map(|id| (*id).clone()).collect());
        for (door, is_open) in [at_a, at_b, at_c].into_iter().zip(doors) {
            assert_eq!(let_in(&world, door), if is_open { own.clone() } else { Vec::new() }, "{door}");
        }
    };
    is(&[a, b], [true, true, false]).await;
    counted(&world);
    // Of those that stay nobody asks, as long as nothing is shut.
    assert_eq!(changed(&world, &change, &object, &[to_instance(c)], &[]).await.unwrap(), 3);
    assert_eq!(counted(&world), (9 + 2 + 2, 2));
    is(&[a, b, c], [true; 3]).await;
    counted(&world);
    // Once more is once more said: what is seen may be old.
    changed(&world, &change, &object, &[to_instance(c)], &[]).await.unwrap();
    assert_eq!(counted(&world), (9 + 2 + 1, 1));
    assert_eq!(changed(&world, &change, &object, &[], &[to_instance(a)]).await.unwrap(), 2);
    assert_eq!(counted(&world), (9 + 2 + 2, 2));
    is(&[b, c], [false, true, true]).await;

    // One that EC2 does not know any more keeps nobody from going, and is let in nowhere once it is sure to be gone.
    world.cloud.remove(b);
    assert_eq!(changed(&world, &change, &object, &[to_instance(a)], &[to_instance(c)]).await.unwrap(), 2);
    is(&[a, b], [true, false, false]).await;
    // Nor does a group that says no more that it may be opened.
    world.cloud.script(|s| s.tag(at_a, "welkin.dev/asked", ""));
    assert_eq!(changed(&world, &change, &object, &[], &[to_instance(b)]).await.unwrap(), 1);
    is(&[a], [true, false, false]).await;

    let refused = async |add: &[Backend], remove: &[Backend]| changed(&world, &change, &object, add, remove).await.unwrap_err();
    let fields = |e: Error| (e.kind(), e.violations().iter().map(|v| v.field.clone()).collect::<Vec<_>>());
    assert_eq!(fields(refused(&[], &[to_instance(a)]).await), (ErrorKind::InvalidArgument, vec!["remove".to_owned()]));
    assert_eq!(fields(refused(&[to_address(1)], &[]).await), (ErrorKind::InvalidArgument, vec!["add".to_owned()]));
    let (shut, _) = machine(&world, false);
    assert_eq!(fields(refused(&[to_instance(c), to_instance(&shut)], &[]).await), (ErrorKind::FailedPrecondition, vec!["add[1].instance".to_owned()]));
    is(&[a], [true, false, false]).await;
    // The last one of a form is replaced by another.
    assert_eq!(changed(&world, &change, &object, &[to_address(1)], &[to_instance(a)]).await.unwrap(), 1);
    is(&[&"10.0.0.1".to_owned()], [false; 3]).await;
    assert_eq!(things(&world).1.len(), 1, "the target groups of instances have gone");
}

#[tokio::test]
async fn what_is_made_is_what_a_read_shows() {
    let world = farm(200).await;
    let (first, door) = machine(&world, true);
    let plain = spec(Vec::new(), vec![to_instance(&first)]);
    let everything = LoadBalancerSpec {
        scheme: Scheme::Public,
        listeners: vec![
            Listener { target_port: Some(8080), ..listener(ListenerProtocol::Tcp, 80) },
            Listener { target_port: Some(8080), certificate: Some("arn:aws:acm:eu-west-1:1:certificate/c".into()), ..listener(ListenerProtocol::Tls, 443) },
            listener(ListenerProtocol::Tcp, 53),
            listener(ListenerProtocol::Udp, 53),
        ],
        health_check: HealthCheck {
            protocol: HealthProtocol::Http,
            port: Some(8081),
            path: Some("/healthz".into()),
            interval_s: Some(5),
            healthy_threshold: Some(3),
            unhealthy_threshold: Some(3),
        },
        source_ranges: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        preserve_client_ip: Some(true),
        proxy_protocol: true,
        cross_zone: true,
        idle_timeout_s: Some(120),
        addresses: vec![Ref::resolved(name("a"), "eipalloc-1".parse().unwrap())],
        labels: [("team".to_owned(), "a".to_owned()), ("Name".to_owned(), "web".to_owned())].into(),
        ..plain.clone()
    };
    for (id, asked) in [("plain", LoadBalancerSpec { listeners: tcp([80]), ..plain }), ("everything", everything)] {
        let change = create::<LoadBalancer>(id, asked.clone());
        let made = world.run(&change).await.unwrap().object();
        let read = world.get(&change.target).await.unwrap();
        assert_eq!((&made.spec, &made.status, made.etag()), (&read.spec, &read.status, read.etag()), "{id}");
        assert_eq!((read.status.state, read.mark.as_ref().map(|m| &m.uid)), (LoadBalancerState::Active, Some(&change.uid)));
        assert_eq!(read.status.opened_security_groups, std::slice::from_ref(&door));
        let mut settled = asked;
        settled.settle();
        assert_eq!((&read.spec.listeners, &read.spec.source_ranges, &read.spec.labels), (&settled.listeners, &settled.source_ranges, &settled.labels), "{id}");
        assert_eq!((read.spec.proxy_protocol, read.spec.cross_zone), (settled.proxy_protocol, settled.cross_zone));
        let by_name: Target<LoadBalancer> = Target::Named { name: name(id), uid: None, vendor_id: None };
        assert_eq!(world.get(&by_name).await.unwrap().vendor_id, read.vendor_id);
        let health = world.ask(&change.target, LoadBalancerQuestion::TargetHealth).await;
        let health: BTreeSet<_> = world
            .ask(&then(&change, read.vendor_id.as_str(), Verb::Delete).target, LoadBalancerQuestion::TargetHealth)
            .await
            .or(health)
            .unwrap()
            .into_iter()
            .map(|t| (t.protocol.to_string(), t.port, t.state))
            .collect();
        assert_eq!(health.len(), read.spec.listeners.len(), "{health:?}");
        world.run(&then(&change, made.vendor_id.as_str(), Verb::Delete)).await.unwrap();
        assert!(world.get(&change.target).await.unwrap_err().is_not_found());
        is_clean(&world);
        assert_eq!(let_in(&world, &door), []);
    }
}

#[tokio::test]
async fn what_stays_is_not_touched() {
    let world = farm(200).await;
    let ((first, door), (second, other_door)) = (machine(&world, true), machine(&world, true));
    let change = create::<LoadBalancer>("web", spec(tcp([80, 81]), vec![to_instance(&first)]));
    let made = world.run(&change).await.unwrap().object();
    let own = things(&world).0[0].is["SecurityGroups.member.1"].clone();
    assert_eq!(let_in(&world, &own).len(), 4);
    let run = async |desired: LoadBalancerSpec, paths: &[&'static str]| {
        let now = world.run(&update(&change, &made.vendor_id, desired, paths)).await.unwrap().object();
        let read = world.get(&change.target).await.unwrap();
        assert_eq!((&now.spec, &now.status), (&read.spec, &read.status), "{paths:?}");
        now
    };
    let (kept, changed) = (things(&world).2[0].clone(), things(&world).2[1].clone());
    // 80 stays, 81 becomes one for UDP in its place, 82 is new.
    let listeners = vec![listener(ListenerProtocol::Tcp, 80), listener(ListenerProtocol::Tcp, 81), listener(ListenerProtocol::Udp, 81), listener(ListenerProtocol::Tcp, 82)];
    let now = run(LoadBalancerSpec { listeners, ..made.spec.clone() }, &["listeners"]).await;
    let (_, groups, listeners) = things(&world);
    assert!(listeners.iter().any(|l| l.arn == kept.arn && l.is == kept.is));
    assert!(listeners.iter().any(|l| l.arn == changed.arn && l.is["Protocol"] == "TCP_UDP"));
    assert_eq!((listeners.len(), groups.len()), (3, 3), "the target group of before has gone");
    let rules: Vec<String> = let_in(&world, &door).into_iter().map(|(at, _)| at).collect();
    assert_eq!(rules, ["tcp/80", "tcp/81", "tcp/82", "udp/81"]);
    // For UDP alone: nothing of the listener can stay.
    let listeners = vec![listener(ListenerProtocol::Udp, 80)];
    let now = run(LoadBalancerSpec { listeners, ..now.spec.clone() }, &["listeners"]).await;
    assert!(things(&world).2.iter().all(|l| l.arn != kept.arn) && things(&world).2.len() == 1);
    assert_eq!(let_in(&world, &own), [("udp/80".to_owned(), "0.0.0.0/0".to_owned()), ("udp/80".to_owned(), "::/0".to_owned())]);
    // Everybody, by name: the same traffic under another description.
    let now = run(LoadBalancerSpec { source_ranges: vec!["0.0.0.0/0".parse().unwrap()], ..now.spec.clone() }, &["source_ranges"]).await;
    assert_eq!(let_in(&world, &own), [("udp/80".to_owned(), "0.0.0.0/0".to_owned())]);
    // Its backend is replaced: its rules go from the one group into the other.
    let now = run(LoadBalancerSpec { backends: vec![to_instance(&second)], ..now.spec.clone() }, &["backends"]).await;
    assert_eq!((let_in(&world, &door).len(), now.status.opened_security_groups), (0, vec![other_door.clone()]));
    assert!(things(&world).1.iter().all(|g| g.targets.iter().eq([&second])));
    // Addresses in place of instances: other target groups.
    let now = run(LoadBalancerSpec { backends: vec![to_address(9)], ..now.spec.clone() }, &["backends"]).await;
    let (_, groups, listeners) = things(&world);
    assert_eq!((groups.len(), groups[0].is["TargetType"].as_str()), (1, "ip"));
    assert_eq!(listeners[0].is["DefaultActions.member.1.TargetGroupArn"], groups[0].arn);
    assert_eq!(let_in(&world, &other_door), []);
    let check = HealthCheck { protocol: HealthProtocol::Https, path: Some("/up".into()), ..now.spec.health_check.clone() };
    let now = run(LoadBalancerSpec { health_check: check, labels: [("a".to_owned(), "b".to_owned())].into(), ..now.spec.clone() }, &["health_check", "labels"]).await;
    run(
        LoadBalancerSpec { listeners: tcp([80]), idle_timeout_s: Some(60), cross_zone: true, client_ip_affinity: true, ..now.spec.clone() },
        &["listeners", "idle_timeout_s", "cross_zone", "client_ip_affinity"],
    )
    .await;
    world.run(&then(&change, made.vendor_id.as_str(), Verb::Delete)).await.unwrap();
    is_clean(&world);
}

/// Whichever answer is lost, and however late what was made is shown: there is one of everything, and a delete leaves nothing.
#[tokio::test]
async fn a_lost_answer_makes_nothing_twice() {
    let calls = [
        "CreateSecurityGroup",
        "AuthorizeSecurityGroupIngress",
        "CreateTargetGroup",
        "RegisterTargets",
        "CreateLoadBalancer",
        "CreateListener",
        "ModifyTargetGroupAttributes",
        "ModifyLoadBalancerAttributes",
        "ModifyListenerAttributes",
    ];
    for call in calls {
        lost(call, Fault::Lost).await;
    }
    for call in ["CreateLoadBalancer", "CreateTargetGroup"] {
        lost(call, Fault::Cut).await;
        lost(call, Fault::Refuse("Throttling", 400)).await;
    }
}
async fn lost(call: &'static str, fault: Fault) {
    let world = farm(200).await;
    let (first, door) = machine(&world, true);
    tokio::time::sleep(LAG).await;
    world.cloud.script(|s| (s.read_lag, s.tag_lag) = (LAG, LAG));
    world.cloud.fault(call, fault, 1);
    let asked = LoadBalancerSpec { proxy_protocol: true, cross_zone: true, idle_timeout_s: Some(60), ..spec(tcp([80, 81]), vec![to_instance(&first)]) };
    let change = create::<LoadBalancer>("web", asked);
    let made = world.run(&change).await.unwrap().object();
    let (balancers, groups, listeners) = things(&world);
    assert_eq!((balancers.len(), groups.len(), listeners.len(), let_in(&world, &door).len()), (1, 2, 2, 2), "{call} {fault:?}");
    assert!(groups.iter().all(|g| g.targets.len() == 1 && g.attributes["proxy_protocol_v2.enabled"] == "true"), "{call} {fault:?}");
    assert!(listeners.iter().all(|l| l.attributes["tcp.idle_timeout.seconds"] == "60"), "{call} {fault:?}");
    assert_eq!(balancers[0].attributes["load_balancing.cross_zone.enabled"], "true", "{call} {fault:?}");
    assert_eq!(world.cloud.ids("sg").len(), 2, "{call} {fault:?}");
    for end in ["DeleteLoadBalancer", "DeleteTargetGroup", "RevokeSecurityGroupIngress", "DeleteSecurityGroup"] {
        world.cloud.fault(end, fault, 1);
    }
    world.run(&then(&change, made.vendor_id.as_str(), Verb::Delete)).await.unwrap();
    is_clean(&world);
}

/// A create that is refused leaves nothing once it was cleaned up after, and what it asked for does not keep it.
#[tokio::test]
async fn what_was_given_up_is_removed() {
    for (call, code, field) in [
        ("CreateLoadBalancer", "SubnetNotFound", Some("subnets")),
        ("CreateLoadBalancer", "TooManyLoadBalancers", None),
        ("CreateTargetGroup", "TooManyTargetGroups", None),
        ("RegisterTargets", "InvalidTarget", Some("backends")),
        ("CreateListener", "CertificateNotFound", Some("listeners")),
        ("AuthorizeSecurityGroupIngress", "RulesPerSecurityGroupLimitExceeded", Some("source_ranges")),
    ] {
        let world = farm(100).await;
        world.cloud.fault(call, Fault::Refuse(code, 400), 1);
        let asked = LoadBalancerSpec { deletion_protection: true, ..spec(tcp([80]), vec![to_address(1)]) };
        let change = create::<LoadBalancer>("web", asked);
        let e = world.run(&change).await.unwrap_err();
        let resume = Resume { cleans_up: true, ..unresolved() };
        world.run_from(&Change { verb: Verb::Delete, ..change }, resume).await.unwrap();
        assert_eq!((e.vendor().unwrap().code.as_str(), e.violations().first().map(|v| v.field.as_str()), e.retry_after()), (code, field, None), "{e}");
        is_clean(&world);
    }
}

#[tokio::test]
async fn what_is_protected_or_still_held_is_told() {
    let world = farm(200).await;
    let change = create::<LoadBalancer>("web", LoadBalancerSpec { deletion_protection: true, ..spec(tcp([80]), vec![to_address(1)]) });
    let made = world.run(&change).await.unwrap().object();
    let delete = then(&change, made.vendor_id.as_str(), Verb::Delete);
    for e in [world.check(&delete).await.unwrap_err(), world.run(&delete).await.unwrap_err()] {
        assert_eq!((e.kind(), e.reason(), e.retry_after()), (ErrorKind::FailedPrecondition, Reason::DeletionProtected, None), "{e}");
    }
    let desired = LoadBalancerSpec { deletion_protection: false, ..made.spec.clone() };
    world.run(&update(&change, &made.vendor_id, desired, &["deletion_protection"])).await.unwrap();
    // Its listeners and its interfaces are gone only some time after it.
    world.cloud.fault("DeleteTargetGroup", Fault::Refuse("ResourceInUse", 400), 2);
    world.cloud.fault("DeleteSecurityGroup", Fault::Refuse("DependencyViolation", 400), 5);
    world.run(&delete).await.unwrap();
    is_clean(&world);
    // A permission that is missing is named.
    world.cloud.fault("CreateTargetGroup", Fault::Refuse("AccessDenied", 403), 1);
    let e = world.run_and_clean(&create::<LoadBalancer>("other", spec(tcp([80]), vec![to_address(1)]))).await;
    assert_eq!(e.reason(), Reason::CloudPermission);
    assert!(e.message().contains("elasticloadbalancing:CreateTargetGroup"), "{e}");
}

/// One whose parts are all that is left: by the names that follow from its uid, and by their marks.
#[tokio::test]
async fn parts_without_their_load_balancer_are_found_and_removed() {
    let world = farm(100).await;
    let (first, door) = machine(&world, true);
    let change = create::<LoadBalancer>("web", spec(tcp([80]), vec![to_instance(&first)]));
    let made = world.run(&change).await.unwrap().object();
    world.cloud.script(|s| (s.balancing.balancers.clear(), s.balancing.listeners.clear()));
    let left = world.get(&Target::<LoadBalancer>::named(name("web"))).await.unwrap();
    assert_eq!((left.status.state, left.mark.map(|m| m.uid)), (LoadBalancerState::Incomplete, Some(change.uid.clone())));
    // Somebody else's of such a name stays.
    let theirs = world.cloud.script(|s| {
        let mut theirs = s.balancing.groups[0].clone();
        (theirs.arn, theirs.tags) = ("arn:theirs:targetgroup/".into(), [("a".to_owned(), "b".to_owned())].into());
        theirs.is.insert("Name".into(), format!("{}x", theirs.name()));
        s.balancing.groups.push(theirs.clone());
        theirs.arn
    });
    world.run(&then(&change, made.vendor_id.as_str(), Verb::Delete)).await.unwrap();
    let groups = things(&world).1;
    assert_eq!(groups.iter().map(|g| g.arn.clone()).collect::<Vec<_>>(), [theirs]);
    assert_eq!(let_in(&world, &door), []);
    assert_eq!(world.cloud.ids("sg"), [door]);
    assert!(world.get(&change.target).await.unwrap_err().is_not_found());
}

/// Ten at once over the same backends: each writes rules of its own, so that none conflicts with another, and each takes only its own away.
#[tokio::test]
async fn ten_over_the_same_backends_do_not_conflict() {
    let world = farm(200).await;
    let (first, door) = machine(&world, true);
    let changes: Vec<_> = (0..10).map(|n| create::<LoadBalancer>(&format!("lb-{n}"), spec(tcp([80]), vec![to_instance(&first)]))).collect();
    let made = futures::future::join_all(changes.iter().map(|c| world.run(c))).await;
    let made: Vec<_> = made.into_iter().map(|m| m.unwrap().object()).collect();
    assert_eq!((let_in(&world, &door).len(), world.cloud.calls("AuthorizeSecurityGroupIngress")), (10, 20));
    for (left, (change, object)) in (0..10).rev().zip(changes.iter().zip(&made)) {
        world.run(&then(change, object.vendor_id.as_str(), Verb::Delete)).await.unwrap();
        assert_eq!(let_in(&world, &door).len(), left);
    }
    is_clean(&world);
}

#[tokio::test]
async fn a_group_is_opened_only_where_it_says_so() {
    let world = farm(100).await;
    let (shut, _) = machine(&world, false);
    let foreign = world.cloud.plant("sg", &[("vpc", VPC)], &[("welkin.dev/asked", "load-balancers=true")]);
    let theirs = world.cloud.plant("i", &[("state", "running"), ("group", &foreign)], &[]);
    for (backend, reason) in [(shut, Reason::WrongState), (theirs, Reason::NotOwned)] {
        let change = create::<LoadBalancer>("web", spec(tcp([80]), vec![to_instance(&backend)]));
        for e in [world.check(&change).await.unwrap_err(), world.run(&change).await.unwrap_err()] {
            assert_eq!((e.kind(), e.reason(), e.violations()[0].field.as_str()), (ErrorKind::FailedPrecondition, reason, "backends[0].instance"), "{e}");
        }
    }
    // What AWS would not take is refused before any call.
    counted(&world);
    let wrong = LoadBalancerSpec { preserve_client_ip: Some(false), ..spec(vec![listener(ListenerProtocol::Udp, 53)], vec![to_address(1)]) };
    let change = create::<LoadBalancer>("web", wrong);
    for e in [world.check(&change).await.unwrap_err(), world.run(&change).await.unwrap_err()] {
        assert_eq!((e.kind(), e.violations()[0].field.as_str()), (ErrorKind::InvalidArgument, "preserve_client_ip"));
    }
    assert_eq!(counted(&world), (0, 0));
}

/// Others' load balancers, and those that are of another kind.
#[tokio::test]
async fn only_network_load_balancers_are_listed() {
    let world = farm(200).await;
    let change = create::<LoadBalancer>("web", spec(tcp([80]), vec![to_address(1)]));
    let made = world.run(&change).await.unwrap().object();
    let (theirs, application) = world.cloud.script(|s| (s.balancing.plant("network", "theirs"), s.balancing.plant("application", "app")));
    let listed = async |query: Query<LoadBalancer>| {
        let (mut all, mut from) = (Vec::new(), None);
        let reader = LoadBalancer::reader(&world.aws).unwrap();
        loop {
            let page = reader.list(&world.cx(), &query, &Shard("eu-west-1".into()), from.as_ref()).await.unwrap();
            assert!(page.items.len() <= query.page_size);
            all.extend(page.items);
            from = page.next;
            if from.is_none() {
                return all;
            }
        }
    };
    for size in [1, 2, 50] {
        let all: Vec<String> = listed(Query::all(size)).await.into_iter().map(|o| o.vendor_id.to_string()).collect();
        assert_eq!(all, [made.vendor_id.to_string(), theirs.clone()], "{size}");
    }
    let owned = listed(Query { owned_only: true, ..Query::all(10) }).await;
    assert_eq!(owned, [world.get(&change.target).await.unwrap()]);
    let named = listed(Query { vendor_ids: vec![theirs.parse().unwrap(), application.parse().unwrap()], ..Query::all(10) }).await;
    assert_eq!(named.iter().map(|o| o.vendor_id.as_str()).collect::<Vec<_>>(), [theirs.as_str()]);
    // One that somebody else runs is changed only in what nobody has to know its parts for.
    let target = Target::Vendor { parent: LocationName::of("eu-west-1").unwrap(), vendor_id: theirs.parse().unwrap() };
    let spec = world.get(&target).await.unwrap().spec;
    let desired = LoadBalancerSpec { labels: [("a".to_owned(), "b".to_owned())].into(), ..spec };
    let with = |path: &'static str| Change { target: target.clone(), verb: Verb::Update { desired: desired.clone(), paths: [path.into()].into() }, ..change.clone() };
    world.run(&with("labels")).await.unwrap();
    assert_eq!(world.get(&target).await.unwrap().spec.labels, desired.labels);
    let e = world.run(&with("listeners")).await.unwrap_err();
    assert_eq!((e.reason(), e.violations()[0].field.as_str()), (Reason::NotOwned, "listeners"));
    world.run(&Change { verb: Verb::Delete, ..with("labels") }).await.unwrap();
    assert!(world.get(&target).await.unwrap_err().is_not_found());
}
