//! What the simulated cloud itself promises: durability, lag, limits, faults, and the same again for the same seed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;
use welkin_core::*;
use welkin_sim::{Config, Fault, FaultKind, FaultRates, Quotas, Sim, Throttle};

/// Notes which calls were made.
#[derive(Debug, Default)]
struct Noting(Mutex<Vec<Api>>);
#[async_trait::async_trait]
impl Gate for Noting {
    async fn admit(&self, api: &Api) -> Result<Permit> {
        self.0.lock().unwrap().push(api.clone());
        Ok(Permit(0))
    }
    fn settle(&self, _: Permit, _: &Api, _: Duration, _: Option<&Error>) {}
}
impl Noting {
    fn actions(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().drain(..).map(|a| a.action).collect()
    }
}

fn cx() -> Cx {
    Cx { deadline: Instant::now() + Duration::from_secs(30), owner: "test".parse().unwrap(), gate: Arc::new(OpenGate) }
}
fn open(config: Config) -> Arc<Sim> {
    Sim::open(config, None).unwrap()
}
fn on_disk(config: &Config, dir: &Path) -> Arc<Sim> {
    Sim::open(config.clone(), Some(dir)).unwrap()
}
fn create<K: Managed + Kind<Parent = LocationName, Id = ResourceId>>(id: &str, spec: K::Spec) -> Change<K> {
    let name = Name::new(LocationName::of("sim-1").unwrap(), id.parse().unwrap());
    let digest: Digest = "v1-digest".parse().unwrap();
    Change {
        target: Target::named(name),
        uid: format!("uid-of-{id}").parse().unwrap(),
        token: format!("token-{id}"),
        expect: None,
        past: Vec::new(),
        verb: Verb::Create { spec, digest },
    }
}
async fn make<K: Managed>(sim: &Sim, change: &Change<K>) -> Result<Object<K>> {
    let Verb::Create { spec, .. } = &change.verb else { panic!("no create") };
    let mut resume = Resume::default();
    loop {
        match K::driver(sim).unwrap().create(&cx(), change, spec, &resume).await? {
            Step::Done(object) => return Ok(object),
            Step::Wait { handle, after, .. } => {
                resume.handle = handle.or(resume.handle);
                tokio::time::sleep(after.max(Duration::from_millis(1))).await;
            }
        }
    }
}
fn network(id: &str, internet_access: bool) -> Change<Network> {
    create(id, NetworkSpec { cidrs: vec!["10.0.0.0/16".parse().unwrap()], internet_access, labels: [("team".to_owned(), "a".to_owned())].into(), ..Default::default() })
}
fn subnet(id: &str, network: &Object<Network>, cidr: &str) -> Change<Subnet> {
    let network = Some(Ref::resolved(network.name.clone(), network.vendor_id.clone()));
    create(id, SubnetSpec { network, cidrs: vec![cidr.parse().unwrap()], zone: Some("sim-1a".into()), ..Default::default() })
}
async fn image(sim: &Sim) -> Ref<Image> {
    let name: Name<Image> = "locations/sim-1/images/debian-12".parse().unwrap();
    let found = sim.images().unwrap().get(&cx(), &Target::named(name.clone())).await.unwrap();
    Ref::resolved(name, found.vendor_id)
}
async fn instance(sim: &Sim, id: &str, subnet: &Object<Subnet>) -> Change<Instance> {
    let subnet = Some(Ref::resolved(subnet.name.clone(), subnet.vendor_id.clone()));
    create(id, InstanceSpec { machine_type: "small".into(), image: Some(image(sim).await), subnet, ..Default::default() })
}

#[tokio::test(start_paused = true)]
async fn one_get_is_one_call() {
    let sim = open(Config::default());
    let made = make(&sim, &network("n", true)).await.unwrap();
    let gate = Arc::new(Noting::default());
    let cx = Cx { gate: Arc::clone(&gate) as Arc<dyn Gate>, ..cx() };
    let by_name = sim.networks().unwrap().get(&cx, &Target::named(made.name.clone())).await.unwrap();
    assert_eq!(gate.actions(), ["DescribeNetworks"]);
    let by_id = sim.networks().unwrap().get(&cx, &Target::Vendor { parent: made.name.parent.clone(), vendor_id: made.vendor_id.clone() }).await.unwrap();
    assert_eq!(gate.actions(), ["DescribeNetworks"]);
    assert_eq!((&by_name, &by_id), (&made, &made));
    assert_eq!(made.spec.labels, [("team".to_owned(), "a".to_owned())].into());
    let nothing = Target::named("locations/sim-1/networks/none".parse().unwrap());
    assert!(sim.networks().unwrap().get(&cx, &nothing).await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn a_create_that_was_never_interrupted_makes_no_look_up() {
    let sim = open(Config { tag_lag_ms: 500, read_lag_ms: 300, ..Config::default() });
    let gate = Arc::new(Noting::default());
    let (cx, change) = (Cx { gate: Arc::clone(&gate) as Arc<dyn Gate>, ..cx() }, network("n", true));
    let Verb::Create { spec, .. } = &change.verb else { panic!() };
    let mut resume = Resume::default();
    while let Step::Wait { handle, .. } = sim.networks().unwrap().create(&cx, &change, spec, &resume).await.unwrap() {
        resume.handle = handle;
    }
    assert_eq!(gate.actions(), ["CreateNetwork", "CreateGateway", "AttachGateway"]);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_cloud() {
    async fn ids(seed: u64) -> Vec<String> {
        let sim = open(Config { seed, ..Config::default() });
        let n = make(&sim, &network("n", true)).await.unwrap();
        make(&sim, &subnet("s", &n, "10.0.1.0/24")).await.unwrap();
        sim.inventory().into_iter().map(|o| o.id).collect()
    }
    assert_eq!(ids(1).await, ids(1).await);
    assert_ne!(ids(1).await, ids(2).await);
}

#[tokio::test(start_paused = true)]
async fn tags_lag_and_then_appear() {
    let sim = open(Config { tag_lag_ms: 500, ..Config::default() });
    let made = make(&sim, &network("n", false)).await.unwrap();
    let (reader, named) = (sim.networks().unwrap(), Target::named(made.name.clone()));
    let by_id = Target::Vendor { parent: made.name.parent.clone(), vendor_id: made.vendor_id.clone() };
    assert!(reader.get(&cx(), &named).await.unwrap_err().is_not_found(), "the vendor knows no such tag yet");
    let e = reader.get(&cx(), &by_id).await.unwrap_err();
    assert_eq!((e.reason(), e.retry_after().is_some()), (Reason::NotYetVisible, true), "it is seen and nobody can tell whose it is");
    tokio::time::advance(Duration::from_millis(500)).await;
    assert_eq!(reader.get(&cx(), &named).await.unwrap(), made);
    assert_eq!(reader.get(&cx(), &by_id).await.unwrap(), made);
}

#[tokio::test]
async fn the_cloud_and_its_lag_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { seed: 7, tag_lag_ms: 3_600_000, consistency_horizon_ms: Some(0), ..Config::default() };
    let (n, ids) = {
        let sim = on_disk(&config, dir.path());
        let n = make(&sim, &network("n", true)).await.unwrap();
        (n, sim.inventory())
    };
    let sim = on_disk(&config, dir.path());
    assert_eq!(sim.inventory(), ids);
    let named = Target::named(n.name.clone());
    assert!(sim.networks().unwrap().get(&cx(), &named).await.unwrap_err().is_not_found(), "its tags still lag");
    let s = make(&sim, &subnet("s", &n, "10.0.1.0/24")).await.unwrap();
    assert!(ids.iter().all(|o| o.id != s.vendor_id.as_str()), "no id comes twice");
    assert_eq!(Sim::open(config.clone(), Some(dir.path())).unwrap_err().kind(), ErrorKind::FailedPrecondition, "one process at a time");
    drop(sim);
    let prompt = on_disk(&Config { consistency_horizon_ms: None, ..config }, dir.path());
    assert_eq!(prompt.inventory().len(), 3);
}

#[tokio::test]
async fn two_hundred_instances_are_each_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::default();
    {
        let sim = on_disk(&config, dir.path());
        let n = make(&sim, &network("n", false)).await.unwrap();
        let s = make(&sim, &subnet("s", &n, "10.0.0.0/16")).await.unwrap();
        for i in 0..200 {
            make(&sim, &instance(&sim, &format!("i{i}"), &s).await).await.unwrap();
        }
    }
    let sim = on_disk(&config, dir.path());
    assert_eq!(sim.inventory().iter().filter(|o| o.object_type == "instance").count(), 200);
    let s: Name<Subnet> = "locations/sim-1/subnets/s".parse().unwrap();
    assert_eq!(sim.subnets().unwrap().get(&cx(), &Target::named(s)).await.unwrap().status.available_ipv4_addresses, Some(65536 - 5 - 200));
}

#[tokio::test]
async fn what_hangs_on_an_instance_survives_a_restart_and_the_instance() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::default();
    let there = async |sim: &Sim| {
        let disk = Target::named("locations/sim-1/disks/d".parse().unwrap());
        let address = Target::named("locations/sim-1/addresses/a".parse().unwrap());
        (sim.disks().unwrap().get(&cx(), &disk).await.unwrap(), sim.addresses().unwrap().get(&cx(), &address).await.unwrap())
    };
    let (web, disk, address) = {
        let sim = on_disk(&config, dir.path());
        let n = make(&sim, &network("n", false)).await.unwrap();
        let s = make(&sim, &subnet("s", &n, "10.0.1.0/24")).await.unwrap();
        let web = make(&sim, &instance(&sim, "web", &s).await).await.unwrap();
        let at = Some(Ref::resolved(web.name.clone(), web.vendor_id.clone()));
        let disk = create::<Disk>("d", DiskSpec { zone: Some("sim-1a".into()), size_gib: Some(8), instance: at.clone(), ..Default::default() });
        let address = create::<Address>("a", AddressSpec { instance: at, ..Default::default() });
        (web, make(&sim, &disk).await.unwrap(), make(&sim, &address).await.unwrap())
    };
    assert_eq!((disk.status.device.as_str(), address.status.user.as_str()), ("/dev/sdf", web.vendor_id.as_str()));
    let sim = on_disk(&config, dir.path());
    assert_eq!(there(&sim).await, (disk.clone(), address.clone()));
    let shown = sim.instances().unwrap().get(&cx(), &Target::named(web.name.clone())).await.unwrap();
    assert_eq!((shown.status.disk_ids, shown.status.public_ips), (vec![disk.vendor_id.to_string()], vec![address.status.ip.unwrap()]));

    sim.uproot("sim-1", web.vendor_id.as_str()).unwrap();
    drop(sim);
    let (disk, address) = there(&on_disk(&config, dir.path())).await;
    assert_eq!((disk.spec.instance, disk.status.state), (None, DiskState::Available));
    assert_eq!((address.spec.instance, address.status.state), (None, AddressState::Available));
}

#[tokio::test(start_paused = true)]
async fn many_backends_go_in_batches_and_a_load_balancer_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let sim = on_disk(&Config::default(), dir.path());
    let network = make(&sim, &network("n", false)).await.unwrap();
    let subnet = make(&sim, &subnet("s", &network, "10.0.1.0/24")).await.unwrap();
    let backends = |count: u8| (0..count).map(|n| Backend { address: Some([10, 0, 2, n].into()), ..Backend::default() }).collect::<Vec<_>>();
    let spec = LoadBalancerSpec {
        network: Some(Ref::resolved(network.name, network.vendor_id)),
        subnets: vec![Ref::resolved(subnet.name, subnet.vendor_id)],
        scheme: Scheme::Internal,
        listeners: vec![Listener { protocol: ListenerProtocol::Tcp, port: Some(80), ..Listener::default() }],
        backends: backends(250),
        ..LoadBalancerSpec::default()
    };
    let change = create::<LoadBalancer>("lb", spec);
    let made = make(&sim, &change).await.unwrap();
    assert_eq!((&made.spec.backends, sim.calls()["RegisterTargets"]), (&backends(250), 3));

    // Only what differs is sent, and again in batches.
    let (desired, paths) = (LoadBalancerSpec { backends: backends(20), ..made.spec.clone() }, [FieldPath::from("backends")].into());
    let target = Target::Named { name: made.name.clone(), uid: Some(change.uid.clone()), vendor_id: Some(made.vendor_id.clone()) };
    let update = Change { target: target.clone(), verb: Verb::Update { desired: desired.clone(), paths }, ..change };
    let Verb::Update { desired, paths } = &update.verb else { panic!("no update") };
    let Step::Done(less) = sim.load_balancers().unwrap().update(&cx(), &update, desired, paths, &Resume::default()).await.unwrap() else { panic!("not done") };
    assert_eq!((&less.spec.backends, sim.calls()["RegisterTargets"], sim.calls()["DeregisterTargets"]), (&backends(20), 3, 3));

    drop(sim);
    let sim = on_disk(&Config::default(), dir.path());
    let driver = sim.load_balancers().unwrap();
    assert_eq!(driver.get(&cx(), &target).await.unwrap(), less);
    // Nothing runs at these addresses.
    let told = driver.ask(&cx(), &target, &LoadBalancerQuestion::TargetHealth).await.unwrap();
    assert!(told.len() == 20 && told.iter().all(|t| t.state == TargetState::Unhealthy && t.port == Some(80)), "{told:?}");
    // The name is still taken: the same create makes nothing.
    let (before, resume) = (sim.inventory().len(), Resume { unresolved: Some(Instant::now()), ..Resume::default() });
    let again = Change { target: Target::named(made.name.clone()), verb: Verb::Create { spec: made.spec.clone(), digest: "v1-digest".parse().unwrap() }, ..update.clone() };
    let Verb::Create { spec, .. } = &again.verb else { panic!("no create") };
    let Step::Done(same) = driver.create(&cx(), &again, spec, &resume).await.unwrap() else { panic!("not done") };
    assert_eq!((same.vendor_id, sim.inventory().len()), (made.vendor_id, before));
}
#[tokio::test(start_paused = true)]
async fn a_group_tells_of_a_quota_and_survives_a_restart_in_the_middle_of_a_replacement() {
    let config = Config { creation_time_ms: 1000, quotas: Quotas { instances: Some(2), ..Quotas::default() }, ..Config::default() };
    let dir = tempfile::tempdir().unwrap();
    let sim = on_disk(&config, dir.path());
    let network = make(&sim, &network("n", false)).await.unwrap();
    let subnet = make(&sim, &subnet("s", &network, "10.0.1.0/24")).await.unwrap();
    let template = InstanceTemplate { machine_types: vec!["small".into()], image: Some(image(&sim).await), ..InstanceTemplate::default() };
    let subnets = vec![Ref::resolved(subnet.name.clone(), subnet.vendor_id.clone())];
    let change = create::<InstanceGroup>("g", InstanceGroupSpec { template, subnets, max_size: Some(3), size: Some(3), ..InstanceGroupSpec::default() });
    let made = make(&sim, &change).await.unwrap();
    let target = Target::Named { name: made.name.clone(), uid: Some(change.uid.clone()), vendor_id: Some(made.vendor_id.clone()) };
    let members = async |sim: &Sim| sim.instance_groups().unwrap().ask(&cx(), &target, &InstanceGroupQuestion::Members).await.unwrap();
    let shape = |all: &[GroupMember]| all.iter().map(|m| (m.state, m.failure.clone())).collect::<Vec<_>>();
    let failed = (MemberState::Failed, "QUOTA_EXCEEDED".to_owned());
    assert_eq!(shape(&members(&sim).await), [(MemberState::Pending, String::new()), (MemberState::Pending, String::new()), failed.clone()]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(shape(&members(&sim).await), [(MemberState::Running, String::new()), (MemberState::Running, String::new()), failed]);

    let update = |verb| Change { target: target.clone(), verb, ..change.clone() };
    let mut desired = made.spec.clone();
    (desired.size, desired.template.machine_types) = (Some(2), vec!["medium".into()]);
    let paths = ["size".into(), "template.machine_types".into()].into();
    let (driver, resume) = (sim.instance_groups().unwrap(), Resume::default());
    let step = driver.update(&cx(), &update(Verb::Update { desired: desired.clone(), paths: Default::default() }), &desired, &paths, &resume).await.unwrap();
    let Step::Done(now) = step else { panic!("not done") };
    assert_eq!((now.spec.size, now.status.out_of_date_instances), (Some(2), 2));
    let action = InstanceGroupAction::ReplaceInstances(Replacement::default());
    let act = update(Verb::Act(action.clone()));
    let Step::Wait { handle, .. } = driver.act(&cx(), &act, &action, &resume).await.unwrap() else { panic!("done at once") };
    let before = members(&sim).await;

    drop(sim);
    let sim = on_disk(&config, dir.path());
    let mut resume = Resume { handle, ..Resume::default() };
    // The wall clock has not gone as fast as the paused one, so what ran may not run yet, and is replaced first.
    assert_eq!(members(&sim).await.len(), before.len());
    loop {
        match sim.instance_groups().unwrap().act(&cx(), &act, &action, &resume).await.unwrap() {
            Step::Done(outcome) => break assert_eq!(outcome, None),
            Step::Wait { handle, after, .. } => {
                resume.handle = handle.or(resume.handle);
                tokio::time::sleep(after.max(Duration::from_millis(1))).await;
            }
        }
    }
    let after: Vec<GroupMember> = members(&sim).await.into_iter().filter(|m| m.state == MemberState::Running).collect();
    assert!(after.len() == 2 && after.iter().all(|m| m.machine_type == "medium" && m.template_version == "2" && !m.out_of_date), "{after:?}");
}
#[tokio::test(start_paused = true)]
async fn capacity_that_comes_back_makes_no_second_instance() {
    let sim = open(Config::default());
    let n = make(&sim, &network("n", false)).await.unwrap();
    let s = make(&sim, &subnet("s", &n, "10.0.1.0/24")).await.unwrap();
    let change = instance(&sim, "i", &s).await;
    let Verb::Create { spec, .. } = &change.verb else { panic!() };
    let spec = InstanceSpec { alternatives: vec![Alternative { machine_type: "medium".into(), ..Default::default() }], ..spec.clone() };
    sim.run_short("small", None);
    // The second launch is the one that makes it.
    sim.inject(Fault { action: Some("LaunchInstance".into()), after: 1, kind: FaultKind::ReplyLost });
    let driver = sim.instances().unwrap();
    assert_eq!(driver.create(&cx(), &change, &spec, &Resume::default()).await.unwrap_err().effect(), Effect::Unknown);
    sim.restock();
    let resume = Resume { unresolved: Some(Instant::now()), ..Resume::default() };
    let Step::Done(made) = driver.create(&cx(), &change, &spec, &resume).await.unwrap() else { panic!("it runs at once") };
    assert_eq!((made.spec.machine_type.as_str(), sim.inventory().iter().filter(|o| o.object_type == "instance").count()), ("medium", 1));
}

#[tokio::test(start_paused = true)]
async fn a_default_of_a_disk_is_shown_only_where_it_was_asked_for() {
    let sim = open(Config::default());
    let plain = DiskSpec { zone: Some("sim-1a".into()), size_gib: Some(8), ..Default::default() };
    for (id, spec) in [
        ("plain", plain.clone()),
        ("asked", DiskSpec { disk_type: Some("standard".into()), encrypted: Some(false), ..plain.clone() }),
        ("fast", DiskSpec { disk_type: Some("fast".into()), ..plain.clone() }),
        ("numbers", DiskSpec { disk_type: Some("fast".into()), iops: Some(3000), throughput_mibps: Some(125), ..plain.clone() }),
    ] {
        assert_eq!(make(&sim, &create::<Disk>(id, spec.clone())).await.unwrap().spec, spec, "{id}");
    }
    let slow = create::<Disk>("slow", DiskSpec { iops: Some(3000), ..plain });
    assert_eq!(make(&sim, &slow).await.unwrap_err().violations()[0].field, "disk_type");
}

#[tokio::test(start_paused = true)]
async fn limits_say_what_to_do() {
    let quotas = Quotas { networks: Some(1), addresses: Some(1), disks: Some(0), ..Quotas::default() };
    let sim = open(Config { quotas, out_of_capacity: vec![("small".into(), "sim-1a".into())], ..Config::default() });
    let n = make(&sim, &network("n", false)).await.unwrap();
    let e = make(&sim, &network("m", false)).await.unwrap_err();
    assert_eq!((e.kind(), e.reason(), e.effect()), (ErrorKind::ResourceExhausted, Reason::QuotaExceeded, Effect::None));
    make(&sim, &create::<Address>("a", AddressSpec::default())).await.unwrap();
    assert_eq!(make(&sim, &create::<Address>("b", AddressSpec::default())).await.unwrap_err().reason(), Reason::QuotaExceeded);
    let disk = create::<Disk>("d", DiskSpec { zone: Some("sim-1a".into()), size_gib: Some(8), ..Default::default() });
    assert_eq!(make(&sim, &disk).await.unwrap_err().reason(), Reason::QuotaExceeded);
    let s = make(&sim, &subnet("s", &n, "10.0.1.0/24")).await.unwrap();
    let e = make(&sim, &instance(&sim, "i", &s).await).await.unwrap_err();
    assert_eq!((e.kind(), e.reason(), e.violations()[0].field.as_str()), (ErrorKind::Unavailable, Reason::Capacity, "machine_type"));
}

#[tokio::test(start_paused = true)]
async fn quotas_tell_what_is_used() {
    let config = Config { quotas: Quotas { networks: Some(3), instances: Some(1), ..Quotas::default() }, transition_time_ms: 1000, ..Config::default() };
    let sim = open(config);
    let told = async |name: &str| sim.quotas().unwrap().get(&cx(), &Target::named(name.parse().unwrap())).await.map(|q| (q.status.collection, q.status.used, q.status.limit));
    let n = make(&sim, &network("n", false)).await.unwrap();
    let s = make(&sim, &subnet("s", &n, "10.0.1.0/24")).await.unwrap();
    assert_eq!(told("locations/sim-1/quotas/networks").await.unwrap(), ("networks".into(), Some(1), Some(3)));
    assert_eq!(told("locations/sim-1/quotas/nat-gateways").await.unwrap(), ("natGateways".into(), Some(0), None));
    // What lies in no region is told in `global`, and there alone.
    assert_eq!(told("locations/global/quotas/dns-zones").await.unwrap(), ("dnsZones".into(), Some(0), None));
    assert!(told("locations/sim-1/quotas/dns-zones").await.unwrap_err().is_not_found() && told("locations/global/quotas/networks").await.unwrap_err().is_not_found());
    // One that is on its way out counts until it has gone, as it does for the next one.
    let change = instance(&sim, "i", &s).await;
    let made = make(&sim, &change).await.unwrap();
    let delete = Change { target: Target::Named { name: made.name.clone(), uid: None, vendor_id: Some(made.vendor_id.clone()) }, verb: Verb::Delete, ..change };
    let mut resume = Resume::default();
    let mut counted = Vec::new();
    while let Step::Wait { handle, after, .. } = sim.instances().unwrap().delete(&cx(), &delete, &resume).await.unwrap() {
        counted.push(told("locations/sim-1/quotas/instances").await.unwrap().1);
        resume.handle = handle.or(resume.handle);
        tokio::time::sleep(after).await;
    }
    assert_eq!((counted[0], told("locations/sim-1/quotas/instances").await.unwrap().1), (Some(1), Some(0)));
}

#[tokio::test(start_paused = true)]
async fn throttling_tells_when_to_come_back() {
    let sim = open(Config { throttle: Some(Throttle { rate_per_s: 2.0, burst: 3 }), ..Config::default() });
    let (reader, target) = (sim.images().unwrap(), Target::named("locations/sim-1/images/debian-12".parse().unwrap()));
    for _ in 0..3 {
        reader.get(&cx(), &target).await.unwrap();
    }
    let e = reader.get(&cx(), &target).await.unwrap_err();
    assert_eq!((e.kind(), e.reason(), e.effect()), (ErrorKind::ResourceExhausted, Reason::Throttled, Effect::None));
    tokio::time::advance(e.retry_after().unwrap()).await;
    reader.get(&cx(), &target).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_fault_does_what_its_name_says() {
    for (kind, has_effect, told) in [
        (FaultKind::Refused, false, Effect::None),
        (FaultKind::RequestLost, false, Effect::Unknown),
        (FaultKind::ReplyLost, true, Effect::Unknown),
        (FaultKind::HangsBefore, false, Effect::Unknown),
        (FaultKind::HangsAfter, true, Effect::Unknown),
    ] {
        let sim = open(Config::default());
        sim.inject(Fault { action: Some("CreateNetwork".into()), after: 0, kind });
        let e = make(&sim, &network("n", false)).await.unwrap_err();
        assert_eq!((sim.inventory().len() == 1, e.effect(), sim.faults_fired()), (has_effect, told, 1), "{kind:?}");
        assert!(e.retry_after().is_some(), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn faults_by_chance_follow_the_seed() {
    async fn outcomes(seed: u64) -> Vec<bool> {
        let sim = open(Config { seed, faults: FaultRates { refuse_rate: 0.5, ..Default::default() }, ..Config::default() });
        let (reader, target) = (sim.images().unwrap(), Target::named("locations/sim-1/images/debian-12".parse().unwrap()));
        let mut out = Vec::new();
        for _ in 0..40 {
            out.push(reader.get(&cx(), &target).await.is_ok());
        }
        out
    }
    let first = outcomes(3).await;
    assert!(first.contains(&true) && first.contains(&false));
    assert_eq!(first, outcomes(3).await);
    assert_ne!(first, outcomes(4).await);
}

#[tokio::test(start_paused = true)]
async fn a_network_without_its_main_object_is_incomplete_and_can_be_deleted() {
    let sim = open(Config::default());
    let made = make(&sim, &network("n", true)).await.unwrap();
    sim.uproot("sim-1", made.vendor_id.as_str()).unwrap();
    let driver = sim.networks().unwrap();
    let left = driver.get(&cx(), &Target::named(made.name.clone())).await.unwrap();
    assert_eq!(left.status.state, NetworkState::Incomplete);
    let change = Change { verb: Verb::Delete, ..network("n", true) };
    assert!(matches!(driver.delete(&cx(), &change, &Resume::default()).await.unwrap(), Step::Wait { .. }));
    assert!(matches!(driver.delete(&cx(), &change, &Resume::default()).await.unwrap(), Step::Done(())));
    assert_eq!(sim.inventory(), []);
}

#[tokio::test(start_paused = true)]
async fn without_looking_there_is_a_duplicate() {
    for (skips, expected) in [(false, 1), (true, 2)] {
        let sim = open(Config { unsafe_skip_look_up: skips, tag_lag_ms: 200, ..Config::default() });
        let change = network("n", false);
        let Verb::Create { spec, .. } = &change.verb else { panic!() };
        sim.inject(Fault { action: None, after: 0, kind: FaultKind::ReplyLost });
        let driver = sim.networks().unwrap();
        driver.create(&cx(), &change, spec, &Resume::default()).await.unwrap_err();
        let resume = Resume { unresolved: Some(Instant::now()), ..Resume::default() };
        while let Step::Wait { after, .. } = driver.create(&cx(), &change, spec, &resume).await.unwrap() {
            tokio::time::sleep(after).await;
        }
        assert_eq!(sim.inventory().len(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted() {
    let sim = open(Config::default());
    make(&sim, &network("n", true)).await.unwrap();
    assert_eq!(sim.calls(), BTreeMap::from([("AttachGateway", 1), ("CreateGateway", 1), ("CreateNetwork", 1)]));
}
