//! The engine's own trials: names, idempotency, recovery, cancel, lists. Over the simulated cloud, under paused time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::{collections::BTreeSet, sync::Arc, time::Duration};
use welkin_core::{Effect, ErrorKind, Instance, InstanceAction, InstanceSpec, InstanceState, LocationName, Name, Network, NetworkSpec, Reason, Ref, Result, Subnet, SubnetSpec};
use welkin_engine::{Account, Engine, ListRequest, MemoryJournal, Operation, Options, Outcome, Phase, Settings};
use welkin_sim::{Config, Fault, FaultKind, FaultRates, Planted, Sim};

fn at() -> LocationName {
    LocationName::of("sim-1").unwrap()
}
fn network(id: &str) -> Name<Network> {
    Name::new(at(), id.parse().unwrap())
}
fn subnet(id: &str) -> Name<Subnet> {
    Name::new(at(), id.parse().unwrap())
}
fn instance(id: &str) -> Name<Instance> {
    Name::new(at(), id.parse().unwrap())
}
fn net_spec() -> NetworkSpec {
    NetworkSpec { cidrs: vec!["10.0.0.0/16".parse().unwrap()], internet_access: true, ..Default::default() }
}
fn sub_spec() -> SubnetSpec {
    SubnetSpec { network: Some(Ref::to(network("n1"))), cidrs: vec!["10.0.1.0/24".parse().unwrap()], ..Default::default() }
}
fn web_spec() -> InstanceSpec {
    InstanceSpec { machine_type: "small".into(), image: Some(Ref::to(Name::new(at(), "debian-12".parse().unwrap()))), subnet: Some(Ref::to(subnet("s1"))), ..Default::default() }
}
fn request(id: &str) -> Options {
    Options { request_id: Some(id.into()), ..Default::default() }
}

struct Lab {
    sim: Arc<Sim>,
    journal: MemoryJournal,
    engine: Engine,
}
impl Lab {
    async fn open(config: Config) -> Self {
        Self::with(Sim::open(config, None).unwrap(), MemoryJournal::new(), Settings::default()).await
    }
    async fn with(sim: Arc<Sim>, journal: MemoryJournal, settings: Settings) -> Self {
        let engine = Engine::builder().journal(journal.clone()).settings(settings).cloud("lab", sim.clone()).open().await.unwrap();
        Self { sim, journal, engine }
    }
    /// The process dies: nothing is finished, nothing is told.
    async fn crash(self) -> Self {
        let Self { sim, journal, engine } = self;
        drop(engine);
        tokio::task::yield_now().await;
        Self::with(sim, journal, Settings::default()).await
    }
    fn account(&self) -> Arc<Account> {
        Arc::clone(self.engine.account("lab").unwrap())
    }
    async fn end(&self, operation: Operation) -> Operation {
        if operation.is_done() { operation } else { self.account().wait(&operation.id, Duration::from_secs(600)).await.unwrap() }
    }
    async fn network(&self) -> Operation {
        let op = self.account().create(network("n1"), net_spec(), Options::default()).await.unwrap();
        self.end(op).await
    }
    async fn subnet(&self) {
        assert!(matches!(self.network().await.end, Some(Ok(_))));
        let op = self.account().create(subnet("s1"), sub_spec(), Options::default()).await.unwrap();
        assert!(matches!(self.end(op).await.end, Some(Ok(_))));
    }
    fn count(&self, object_type: &str) -> usize {
        self.sim.inventory().iter().filter(|o| o.object_type == object_type).count()
    }
    fn calls(&self, action: &str) -> u64 {
        self.account().vendor_calls().iter().filter(|(api, _)| api.action == action).map(|(_, n)| n).sum()
    }
    fn writes(&self) -> u64 {
        self.account().vendor_calls().iter().filter(|(api, _)| api.write).map(|(_, n)| n).sum()
    }
}
fn failure(op: &Operation) -> welkin_core::Error {
    op.end.clone().unwrap().unwrap_err()
}
fn refused<T: std::fmt::Debug>(r: Result<T>) -> (ErrorKind, Reason) {
    let e = r.unwrap_err();
    (e.kind(), e.reason())
}

#[tokio::test(start_paused = true)]
async fn a_create_makes_its_objects_and_looks_for_nothing() {
    let lab = Lab::open(Config::default()).await;
    let op = lab.network().await;
    let object = op.object::<Network>().unwrap();
    assert_eq!((object.name, op.phase, op.verb.as_str()), (network("n1"), Phase::Ended, "create"));
    assert_eq!((lab.count("network"), lab.count("gateway")), (1, 1));
    assert_eq!(lab.calls("DescribeNetworks"), 1, "the engine's one check of the name: {:?}", lab.account().vendor_calls());
    // The gate saw exactly what reached the vendor.
    let seen: u64 = lab.account().vendor_calls().values().sum();
    assert_eq!(seen, lab.sim.calls().values().sum::<u64>());
    let before = lab.account().vendor_calls().values().sum::<u64>();
    lab.account().get(&network("n1")).await.unwrap();
    println!("get = {}", lab.account().vendor_calls().values().sum::<u64>() - before);
}

#[tokio::test(start_paused = true)]
async fn the_same_create_is_the_same_resource() {
    let lab = Lab::open(Config::default()).await;
    let first = lab.network().await.object::<Network>().unwrap();
    let again = lab.network().await;
    assert_eq!(again.object::<Network>().unwrap().vendor_id, first.vendor_id);
    let other = NetworkSpec { internet_access: false, ..net_spec() };
    assert_eq!(refused(lab.account().create(network("n1"), other, Options::default()).await), (ErrorKind::AlreadyExists, Reason::NameTaken));
    assert_eq!(lab.count("network"), 1);
    // Also for an engine whose store knows nothing, as long as it is the same owner with the same key: here another owner, so it is foreign.
    let stranger = Lab::with(lab.sim.clone(), MemoryJournal::new(), Settings::default()).await;
    assert_eq!(refused(stranger.account().delete(network("n1"), Options::default()).await).0, ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn creates_at_the_same_time_join() {
    let lab = Lab::open(Config { latency_ms: 50, ..Default::default() }).await;
    let account = lab.account();
    let all = futures::future::join_all((0..5).map(|_| account.create(network("n1"), net_spec(), Options::default()))).await;
    let ids: BTreeSet<String> = all.into_iter().map(|op| op.unwrap().id).collect();
    assert_eq!(ids.len(), 1);
    account.wait(ids.first().unwrap(), Duration::from_secs(60)).await.unwrap();
    assert_eq!((lab.count("network"), lab.count("gateway")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_request_id_stands_for_one_request() {
    let lab = Lab::open(Config::default()).await;
    let account = lab.account();
    let first = account.create(network("n1"), net_spec(), request("r1")).await.unwrap();
    let first = lab.end(first).await;
    assert_eq!(account.create(network("n1"), net_spec(), request("r1")).await.unwrap().id, first.id);
    let e = account.delete(network("n1"), request("r1")).await.unwrap_err();
    assert_eq!((e.reason(), e.violations()[0].field.as_str()), (Reason::RequestIdReused, "request_id"));
    // Also when the record is no longer shown, and after a restart.
    account.forget(&first.id).await.unwrap();
    assert_eq!(refused(account.operation(&first.id).await), (ErrorKind::NotFound, Reason::OperationNotFound));
    drop(account);
    let lab = lab.crash().await;
    assert_eq!(lab.account().create(network("n1"), net_spec(), request("r1")).await.unwrap().id, first.id);
    // A delete that was done stays done, whatever came after it.
    let gone = lab.account().delete(network("n1"), request("r2")).await.unwrap();
    lab.end(gone).await;
    lab.network().await;
    assert_eq!(lab.account().delete(network("n1"), request("r2")).await.unwrap().end, Some(Ok(Outcome::Deleted)));
    assert_eq!(lab.count("network"), 1);
}

#[tokio::test(start_paused = true)]
async fn one_operation_at_a_time_on_a_name() {
    let lab = Lab::open(Config { latency_ms: 400, ..Default::default() }).await;
    let account = lab.account();
    let op = account.create(network("n1"), net_spec(), Options::default()).await.unwrap();
    assert!(!op.is_done());
    assert_eq!(refused(account.delete(network("n1"), Options::default()).await), (ErrorKind::Aborted, Reason::OperationInProgress));
    assert_eq!(refused(account.forget(&op.id).await), (ErrorKind::FailedPrecondition, Reason::OperationOpen));
    // What is still being made cannot be referred to; the error says so and names the field.
    let e = account.create(subnet("s1"), sub_spec(), Options::default()).await.unwrap_err();
    assert_eq!((e.reason(), e.violations()[0].field.as_str()), (Reason::OperationInProgress, "network"));
    lab.end(op).await;
    lab.subnet().await;
}

#[tokio::test(start_paused = true)]
async fn cancel_removes_what_was_made() {
    for wait_ms in [0_u64, 250, 350, 450, 650, 900] {
        let lab = Lab::open(Config { latency_ms: 200, tag_lag_ms: 300, ..Default::default() }).await;
        let op = lab.account().create(network("n1"), net_spec(), Options::default()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        lab.account().cancel(&op.id).await.unwrap();
        let op = lab.end(op).await;
        match op.end.clone().unwrap() {
            Err(e) => {
                assert_eq!((e.reason(), e.effect()), (Reason::OperationCancelled, Effect::None));
                tokio::time::sleep(Duration::from_secs(5)).await;
                assert_eq!(lab.sim.inventory(), [], "cancelled after {wait_ms} ms");
            }
            Ok(_) => assert_eq!((lab.count("network"), lab.count("gateway")), (1, 1)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_create_leaves_nothing_and_says_why() {
    let lab = Lab::open(Config { out_of_capacity: vec![("small".into(), "sim-1a".into())], ..Default::default() }).await;
    lab.subnet().await;
    let op = lab.account().create(instance("web"), web_spec(), Options::default()).await.unwrap();
    let op = lab.end(op).await;
    assert_eq!((failure(&op).kind(), failure(&op).reason()), (ErrorKind::Unavailable, Reason::Capacity));
    assert_eq!(lab.count("instance"), 0);
    // The name is free again.
    let zone = SubnetSpec { zone: Some("sim-1b".into()), cidrs: vec!["10.0.2.0/24".parse().unwrap()], ..sub_spec() };
    let op = lab.account().create(subnet("s2"), zone, Options::default()).await.unwrap();
    lab.end(op).await;
    let op = lab.account().create(instance("web"), InstanceSpec { subnet: Some(Ref::to(subnet("s2"))), ..web_spec() }, Options::default()).await.unwrap();
    let web = lab.end(op).await.object::<Instance>().unwrap();
    assert_eq!((web.status.state, web.spec.zone.as_deref()), (InstanceState::Running, Some("sim-1b")));
}

#[tokio::test(start_paused = true)]
async fn it_ends_at_its_maximum_age_and_still_cleans_up() {
    let sim = Sim::open(Config { creation_time_ms: 3_600_000, ..Default::default() }, None).unwrap();
    let lab = Lab::with(sim, MemoryJournal::new(), Settings { max_age: Duration::from_secs(30), ..Default::default() }).await;
    lab.subnet().await;
    let op = lab.account().create(instance("web"), web_spec(), Options::default()).await.unwrap();
    let op = lab.end(op).await;
    assert_eq!(failure(&op).reason(), Reason::OperationExpired);
    assert_eq!(lab.count("instance"), 0);
}

/// The process dies at any moment of a create, again and again, while replies are lost and tags lag. Answers what there is in the end after a
/// first crash at each moment, and how many crashes hit the create.
async fn crashes(unsafe_skip_look_up: bool) -> (Vec<(usize, usize)>, u64) {
    let (mut counts, mut crashes) = (Vec::new(), 0);
    for crash_ms in (0..1500).step_by(23) {
        let config = Config {
            seed: crash_ms,
            latency_ms: 40,
            creation_time_ms: 100,
            tag_lag_ms: 500,
            client_tokens: false,
            faults: FaultRates { lose_reply_rate: 0.2, lose_request_rate: 0.05, refuse_rate: 0.1 },
            unsafe_skip_look_up,
            ..Default::default()
        };
        let mut lab = Lab::open(config).await;
        for crash in 0..40 {
            let account = lab.account();
            let patience = Duration::from_millis(crash_ms + 7 * crash);
            if tokio::time::timeout(patience, persistent_create(&account)).await.is_ok() {
                break;
            }
            drop(account);
            crashes += 1;
            lab = lab.crash().await;
        }
        persistent_create(&lab.account()).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        counts.push((lab.count("network"), lab.count("gateway")));
        let op = lab.account().delete(network("n1"), Options::default()).await.unwrap();
        assert_eq!(lab.end(op).await.end, Some(Ok(Outcome::Deleted)));
        assert_eq!(lab.sim.inventory(), [], "a delete takes every fragment with it");
    }
    (counts, crashes)
}
/// Like a client that sends the same request until it is answered, and then waits for the end.
async fn persistent_create(account: &Arc<Account>) {
    let op = loop {
        match account.create(network("n1"), net_spec(), request("n")).await {
            Ok(op) => break op,
            Err(e) => assert_ne!(e.kind(), ErrorKind::Internal, "{e}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    while !account.operation(&op.id).await.unwrap().is_done() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_neither_loses_nor_doubles() {
    let (counts, crashes) = crashes(false).await;
    assert!(counts.iter().all(|c| *c == (1, 1)), "{counts:?}");
    assert!(crashes > 50, "only {crashes} crashes hit the create");
}
/// The trial above can fail.
#[tokio::test(start_paused = true)]
async fn a_driver_that_does_not_look_doubles() {
    let (counts, _) = crashes(true).await;
    assert!(counts.iter().any(|(networks, gateways)| networks + gateways > 2), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_goes_away_changes_nothing() {
    let lab = Lab::open(Config { latency_ms: 100, ..Default::default() }).await;
    let account = lab.account();
    // Dropped while the name is being checked, before there is an answer.
    assert!(tokio::time::timeout(Duration::from_millis(10), account.create(network("n1"), net_spec(), Options::default())).await.is_err());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((lab.count("network"), lab.count("gateway")), (1, 1));
    let (operations, _) = account.operations(10, "").await.unwrap();
    assert!(matches!(operations[0].end, Some(Ok(Outcome::Object(_)))));
}

#[tokio::test(start_paused = true)]
async fn updates_take_the_mask_and_the_etag() {
    let lab = Lab::open(Config::default()).await;
    let before = lab.network().await.object::<Network>().unwrap();
    let account = lab.account();
    let current = account.get(&network("n1")).await.unwrap();
    assert_eq!(current.etag(), before.etag());
    let patch = NetworkSpec { labels: [("a".to_owned(), "b".to_owned())].into(), ..Default::default() };
    let stale = Options { etag: Some(welkin_core::Etag("\"0\"".into())), ..Default::default() };
    assert_eq!(refused(account.update(network("n1"), patch.clone(), ["labels".into()].into(), stale).await), (ErrorKind::Aborted, Reason::EtagMismatch));
    let fresh = Options { etag: Some(current.etag()), ..Default::default() };
    let op = account.update(network("n1"), patch.clone(), ["labels".into()].into(), fresh).await.unwrap();
    let after = lab.end(op).await.object::<Network>().unwrap();
    assert_eq!((after.spec.labels, after.spec.cidrs, after.spec.internet_access), (patch.labels.clone(), before.spec.cidrs.clone(), true));
    // What is so already needs no write; what cannot be changed is named.
    let writes = lab.writes();
    let op = account.update(network("n1"), patch, ["labels".into()].into(), Options::default()).await.unwrap();
    assert!(op.is_done());
    assert_eq!(lab.writes(), writes);
    let e = account.update(network("n1"), NetworkSpec::default(), ["cidrs".into()].into(), Options::default()).await.unwrap_err();
    assert_eq!((e.reason(), e.violations()[0].field.as_str()), (Reason::FieldImmutable, "cidrs"));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_is_not_touched() {
    let lab = Lab::open(Config::default()).await;
    let id = lab.sim.plant("sim-1", Planted::Network { cidr: "10.9.0.0/16".parse().unwrap() }, [("Name".to_owned(), "n1".to_owned())].into()).unwrap();
    let foreign = Name::<Network>::new(at(), id.parse().unwrap());
    let seen = lab.account().get(&foreign).await.unwrap();
    assert_eq!((seen.mark, seen.name), (None, foreign.clone()));
    assert_eq!(refused(lab.account().delete(foreign.clone(), Options::default()).await), (ErrorKind::FailedPrecondition, Reason::NotOwned));
    assert_eq!(refused(lab.account().create(foreign, net_spec(), Options::default()).await), (ErrorKind::InvalidArgument, Reason::InvalidField));
    assert_eq!(lab.count("network"), 1);
}

#[tokio::test(start_paused = true)]
async fn bad_input_is_named_before_anything_happens() {
    let lab = Lab::open(Config::default()).await;
    let account = lab.account();
    let spec = InstanceSpec { machine_type: String::new(), ..web_spec() };
    let e = account.create(instance("web"), InstanceSpec { subnet: None, ..spec }, Options::default()).await.unwrap_err();
    let fields: Vec<_> = e.violations().iter().map(|v| v.field.clone()).collect();
    assert_eq!((e.kind(), fields), (ErrorKind::InvalidArgument, vec!["machine_type".to_owned(), "subnet".to_owned()]));
    assert_eq!(account.vendor_calls().len(), 0);
    let e = account.create(instance("web"), web_spec(), Options::default()).await.unwrap_err();
    assert_eq!((e.reason(), e.violations()[0].field.as_str()), (Reason::ReferenceNotFound, "subnet"));
    assert_eq!(lab.writes(), 0);
    assert_eq!(account.operations(10, "").await.unwrap().0, []);
}

#[tokio::test(start_paused = true)]
async fn validation_leaves_nothing() {
    let lab = Lab::open(Config::default()).await;
    let only = || Options { validate_only: true, ..Default::default() };
    assert_eq!(lab.account().create(network("n1"), net_spec(), only()).await.unwrap().end, Some(Ok(Outcome::Validated)));
    assert_eq!((lab.writes(), lab.sim.inventory().len()), (0, 0));
    assert_eq!(refused(lab.account().delete(network("n1"), only()).await).0, ErrorKind::NotFound);
    assert_eq!(lab.account().operations(10, "").await.unwrap().0, []);
    // Nor does it take anything away: what the store knows of a name that the cloud has lost.
    use welkin_engine::Journal as _;
    lab.network().await;
    for gone in ["gateway", "network"] {
        let id = lab.sim.inventory().iter().find(|o| o.object_type == gone).unwrap().id.clone();
        lab.sim.uproot("sim-1", &id).unwrap();
    }
    let known = lab.journal.names("lab").await.unwrap();
    assert_eq!(lab.account().create(network("n1"), net_spec(), only()).await.unwrap().end, Some(Ok(Outcome::Validated)));
    assert_eq!((known.len(), lab.journal.names("lab").await.unwrap()), (1, known));
}

#[tokio::test(start_paused = true)]
async fn just_made_and_not_shown_is_not_missing() {
    let lab = Lab::open(Config { read_lag_ms: 2_000, consistency_horizon_ms: Some(3_000), ..Default::default() }).await;
    lab.network().await;
    assert_eq!(refused(lab.account().get(&network("n1")).await), (ErrorKind::Unavailable, Reason::NotYetVisible));
    // Removed behind our back and past the horizon it is missing, and its name can be used again.
    tokio::time::sleep(Duration::from_secs(10)).await;
    for gone in ["gateway", "network"] {
        let id = lab.sim.inventory().iter().find(|o| o.object_type == gone).unwrap().id.clone();
        lab.sim.uproot("sim-1", &id).unwrap();
    }
    assert_eq!(refused(lab.account().get(&network("n1")).await), (ErrorKind::NotFound, Reason::ResourceNotFound));
    lab.network().await.object::<Network>().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reboot_whose_fate_is_unknown_is_not_sent_again() {
    let lab = Lab::open(Config::default()).await;
    lab.subnet().await;
    let op = lab.account().create(instance("web"), web_spec(), Options::default()).await.unwrap();
    lab.end(op).await;
    lab.sim.inject(Fault { action: Some("RebootInstance".into()), after: 0, kind: FaultKind::ReplyLost });
    let op = lab.account().act(instance("web"), InstanceAction::Reboot, Options::default()).await.unwrap();
    let e = failure(&lab.end(op).await);
    assert_eq!((e.reason(), e.effect()), (Reason::EffectUnknown, Effect::Unknown));
    assert_eq!(lab.sim.inventory().iter().map(|o| o.reboots).sum::<u64>(), 1);
}

#[tokio::test(start_paused = true)]
async fn secrets_do_not_come_back() {
    let lab = Lab::open(Config::default()).await;
    lab.subnet().await;
    let spec = InstanceSpec { user_data: Some(welkin_core::Secret::new("hunter2")), ..web_spec() };
    let op = lab.account().create(instance("web"), spec, Options::default()).await.unwrap();
    let op = lab.end(op).await;
    assert!(!format!("{op:?} {:?}", lab.journal).contains("hunter2"));
    assert_eq!(op.object::<Instance>().unwrap().spec.user_data, None);
}

async fn pages(lab: &Lab, size: usize, filter: &str) -> (Vec<String>, BTreeSet<String>) {
    let mut ask = ListRequest::<Network> { cloud: None, parent: None, filter: filter.into(), page_size: size, page_token: String::new() };
    let (mut names, mut unreachable) = (Vec::new(), BTreeSet::new());
    loop {
        let page = lab.engine.list(ask.clone()).await.unwrap();
        assert!(page.items.len() <= size);
        names.extend(page.items.into_iter().map(|(_, o)| o.name.to_string()));
        unreachable.extend(page.unreachable);
        if page.next_page_token.is_empty() {
            return (names, unreachable);
        }
        ask.page_token = page.next_page_token;
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_goes_over_every_shard_to_its_end() {
    let config = Config { regions: ["r-1", "r-2", "r-3"].map(Into::into).into(), page_size: 4, latency_ms: 100, ..Default::default() };
    let sim = Sim::open(config, None).unwrap();
    let lab = Lab::with(sim, MemoryJournal::new(), Settings { read_attempts: 1, ..Default::default() }).await;
    let mut expected = BTreeSet::new();
    for (region, n) in [("r-1", 7), ("r-2", 1), ("r-3", 11)] {
        for i in 0..n {
            let id = lab.sim.plant(region, Planted::Network { cidr: format!("10.{i}.0.0/16").parse().unwrap() }, Default::default()).unwrap();
            expected.insert(format!("locations/{region}/networks/{id}"));
        }
    }
    for size in [1, 2, 3, 5, 7, 1000] {
        let (names, unreachable) = pages(&lab, size, "").await;
        assert_eq!((names.len(), names.into_iter().collect::<BTreeSet<_>>(), unreachable.len()), (expected.len(), expected.clone(), 0), "pages of {size}");
    }
    let (names, _) = pages(&lab, 3, "cidrs : 10.0.0.0/16").await;
    assert_eq!(names.len(), 3);
    // One page of three regions takes as long as the slowest, not as all of them.
    let start = tokio::time::Instant::now();
    let ask = ListRequest::<Network> { cloud: None, parent: None, filter: String::new(), page_size: 12, page_token: String::new() };
    let page = lab.engine.list(ask.clone()).await.unwrap();
    assert_eq!((start.elapsed(), page.items.len()), (Duration::from_millis(100), 9));
    // A token answers only the question that it came from.
    let other = ListRequest { filter: "name : x".into(), page_token: page.next_page_token, ..ask.clone() };
    assert_eq!(refused(lab.engine.list(other).await), (ErrorKind::InvalidArgument, Reason::InvalidPageToken));
    assert_eq!(refused(lab.engine.list(ListRequest { page_token: "garbage".into(), ..ask.clone() }).await), (ErrorKind::InvalidArgument, Reason::InvalidPageToken));
    // A region that fails is named, and the others are there; alone it fails the list.
    lab.sim.inject(Fault { action: Some("DescribeNetworks".into()), after: 0, kind: FaultKind::Refused });
    let page = lab.engine.list(ask.clone()).await.unwrap();
    assert_eq!(page.unreachable.len(), 1);
    assert!(page.unreachable[0].starts_with("clouds/lab/locations/r-"), "{:?}", page.unreachable);
    lab.sim.inject(Fault { action: Some("DescribeNetworks".into()), after: 0, kind: FaultKind::Refused });
    let single = ListRequest { cloud: Some("lab".into()), parent: Some(LocationName::of("r-1").unwrap()), ..ask };
    assert_eq!(refused(lab.engine.list(single).await).0, ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_list_goes_over_every_cloud() {
    let (one, two) = (Sim::open(Config::default(), None).unwrap(), Sim::open(Config { seed: 2, page_size: 2, ..Default::default() }, None).unwrap());
    let engine = Engine::builder().cloud("one", one.clone()).cloud("two", two.clone()).open().await.unwrap();
    let mut expected = BTreeSet::new();
    for (cloud, sim, n) in [("one", &one, 3), ("two", &two, 5)] {
        for i in 0..n {
            let id = sim.plant("sim-1", Planted::Network { cidr: format!("10.{i}.0.0/16").parse().unwrap() }, Default::default()).unwrap();
            expected.insert(format!("clouds/{cloud}/locations/sim-1/networks/{id}"));
        }
    }
    for (size, filter) in [(1, ""), (3, ""), (1000, ""), (2, "name : clouds/two/")] {
        let mut ask = ListRequest::<Network> { cloud: None, parent: Some(at()), filter: filter.into(), page_size: size, page_token: String::new() };
        let mut names = Vec::new();
        loop {
            let page = engine.list(ask.clone()).await.unwrap();
            assert!(page.items.len() <= size && page.unreachable.is_empty());
            names.extend(page.items.into_iter().map(|(cloud, o)| format!("clouds/{cloud}/{}", o.name)));
            ask.page_token = page.next_page_token;
            if ask.page_token.is_empty() {
                break;
            }
        }
        let expected: BTreeSet<_> = expected.iter().filter(|n| filter.is_empty() || n.contains("/two/")).cloned().collect();
        assert_eq!((names.len(), names.into_iter().collect::<BTreeSet<_>>()), (expected.len(), expected), "pages of {size} {filter}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_id_that_joined_stands_for_its_request_too() {
    let lab = Lab::open(Config { latency_ms: 50, ..Default::default() }).await;
    let account = lab.account();
    let (first, second) = tokio::join!(account.create(network("n1"), net_spec(), request("r1")), account.create(network("n1"), net_spec(), request("r2")));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((&second.id, second.request_id.as_deref()), (&first.id, Some("r1")));
    lab.end(first.clone()).await;
    let gone = account.delete(network("n1"), Options::default()).await.unwrap();
    lab.end(gone).await;
    drop(account);
    let lab = lab.crash().await;
    assert_eq!(lab.account().create(network("n1"), net_spec(), request("r2")).await.unwrap().id, first.id, "not a second machine");
    assert_eq!(lab.account().operation_of("r2").await.unwrap().unwrap().id, first.id);
    assert_eq!(refused(lab.account().delete(network("n1"), request("r2")).await).1, Reason::RequestIdReused);
    assert_eq!(lab.count("network"), 0);
}

#[tokio::test(start_paused = true)]
async fn the_vendors_id_is_no_second_place() {
    let lab = Lab::open(Config { latency_ms: 400, ..Default::default() }).await;
    let id = lab.network().await.object::<Network>().unwrap().vendor_id;
    let by_id = || network(id.as_str());
    assert_eq!(lab.account().get(&by_id()).await.unwrap().name, network("n1"));
    let patch = NetworkSpec { labels: [("a".to_owned(), "b".to_owned())].into(), ..Default::default() };
    let updating = lab.account().update(network("n1"), patch.clone(), ["labels".into()].into(), Options::default()).await.unwrap();
    assert!(!updating.is_done());
    let e = lab.account().delete(by_id(), Options::default()).await.unwrap_err();
    assert_eq!((e.kind(), e.reason(), e.operation()), (ErrorKind::Aborted, Reason::OperationInProgress, Some(updating.id.as_str())));
    lab.end(updating).await;
    // The other way round, and after a restart.
    let deleting = lab.account().delete(by_id(), Options::default()).await.unwrap();
    assert!(!deleting.is_done());
    assert_eq!(deleting.target, network("n1").to_string());
    let lab = lab.crash().await;
    assert_eq!(refused(lab.account().update(network("n1"), patch, ["labels".into()].into(), Options::default()).await).1, Reason::OperationInProgress);
    lab.end(lab.account().operation(&deleting.id).await.unwrap()).await.end.unwrap().unwrap();
    assert_eq!(lab.sim.inventory(), []);
    // Both places are free again.
    lab.network().await.object::<Network>().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_leaving_is_no_answer_to_a_create() {
    let sim = Sim::open(Config { transition_time_ms: 20_000, ..Default::default() }, None).unwrap();
    let owner = || "team".parse().unwrap();
    let ours = Engine::builder().cloud_owned_by("lab", sim.clone(), owner()).open().await.unwrap();
    let lab = Lab { sim: sim.clone(), journal: MemoryJournal::new(), engine: ours };
    lab.subnet().await;
    let op = lab.account().create(instance("web"), web_spec(), Options::default()).await.unwrap();
    lab.end(op).await.object::<Instance>().unwrap();
    // Another process of the same owner removes it.
    let other = Engine::builder().cloud_owned_by("lab", sim, owner()).open().await.unwrap();
    let deleting = other.account("lab").unwrap().delete(instance("web"), Options::default()).await.unwrap();
    let e = lab.account().create(instance("web"), web_spec(), Options::default()).await.unwrap_err();
    assert_eq!((e.kind(), e.reason(), e.retry_after().is_some()), (ErrorKind::Aborted, Reason::WrongState, true));
    other.account("lab").unwrap().wait(&deleting.id, Duration::from_secs(600)).await.unwrap();
    let op = lab.account().create(instance("web"), web_spec(), Options::default()).await.unwrap();
    assert_eq!(lab.end(op).await.object::<Instance>().unwrap().status.state, InstanceState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_keeps_its_owner_and_its_vendor() {
    #[derive(Debug)]
    struct Moved(Arc<Sim>, welkin_core::Capabilities);
    impl welkin_core::CloudProvider for Moved {
        fn capabilities(&self) -> &welkin_core::Capabilities {
            &self.1
        }
        fn networks(&self) -> Option<&dyn welkin_core::Driver<Network>> {
            self.0.networks()
        }
        fn subnets(&self) -> Option<&dyn welkin_core::Driver<Subnet>> {
            None
        }
        fn instances(&self) -> Option<&dyn welkin_core::Driver<Instance>> {
            None
        }
        fn locations(&self) -> Option<&dyn welkin_core::Reader<welkin_core::Location>> {
            None
        }
        fn machine_types(&self) -> Option<&dyn welkin_core::Reader<welkin_core::MachineType>> {
            None
        }
        fn images(&self) -> Option<&dyn welkin_core::Reader<welkin_core::Image>> {
            None
        }
    }
    let (sim, journal) = (Sim::open(Config::default(), None).unwrap(), MemoryJournal::new());
    let builder = || Engine::builder().journal(journal.clone());
    let first = builder().cloud_owned_by("lab", sim.clone(), "a".parse().unwrap()).open().await.unwrap();
    let op = first.account("lab").unwrap().create(network("n1"), net_spec(), Options::default()).await.unwrap();
    first.account("lab").unwrap().wait(&op.id, Duration::from_secs(60)).await.unwrap();
    drop(first);
    let e = builder().cloud_owned_by("lab", sim.clone(), "b".parse().unwrap()).open().await.unwrap_err();
    assert_eq!((e.reason(), e.violations()[0].field.as_str()), (Reason::Configuration, "clouds.lab.owner"));
    assert!(e.message().contains("clouds.lab.owner"), "{e}");
    let moved = Moved(sim.clone(), welkin_core::Capabilities { vendor: "other", ..welkin_core::CloudProvider::capabilities(&*sim).clone() });
    let e = builder().cloud("lab", Arc::new(moved)).open().await.unwrap_err();
    assert_eq!((e.reason(), e.violations()[0].field.as_str()), (Reason::Configuration, "clouds.lab.provider"));
    // Without a word it is the one that the store has.
    let again = builder().cloud("lab", sim).open().await.unwrap();
    assert_eq!(again.account("lab").unwrap().owner().as_str(), "a");
    assert!(again.account("lab").unwrap().get(&network("n1")).await.unwrap().mark.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_stops_everything() {
    use welkin_engine::journal::{Confidential, Journal, Progress, Row};
    let (sim, journal) = (Sim::open(Config { latency_ms: 100, ..Default::default() }, None).unwrap(), MemoryJournal::new());
    let lab = Lab::with(sim.clone(), journal.clone(), Settings::default()).await;
    lab.account().create(network("n1"), net_spec(), Options::default()).await.unwrap();
    drop(lab);
    let broken = Row {
        id: "~".into(),
        cloud: "lab".into(),
        collection: "networks".into(),
        verb: "create".into(),
        target: network("n2").to_string(),
        uid: None,
        request_id: None,
        created_ms: 0,
        change: Some(Confidential("{".into())),
        progress: Progress::new(0),
    };
    journal.insert(&broken, "").await.unwrap();
    tokio::task::yield_now().await;
    let calls = sim.calls();
    let e = Engine::builder().journal(journal).cloud("lab", sim.clone()).open().await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::DataLoss);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(sim.calls(), calls, "nothing goes on behind the refusal");
}

#[tokio::test(start_paused = true)]
async fn an_intent_goes_on_after_a_crash() {
    let lab = Lab::open(Config { latency_ms: 200, ..Default::default() }).await;
    let account = lab.account();
    // The name is still being checked.
    assert!(tokio::time::timeout(Duration::from_millis(50), account.create(network("n1"), net_spec(), request("r1"))).await.is_err());
    drop(account);
    let lab = lab.crash().await;
    assert_eq!(lab.writes(), 0);
    let op = lab.account().create(network("n1"), net_spec(), request("r1")).await.unwrap();
    lab.end(op).await.object::<Network>().unwrap();
    assert_eq!((lab.count("network"), lab.account().operations(10, "").await.unwrap().0.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn downtime_alone_destroys_nothing() {
    use welkin_engine::Journal as _;
    let settings = || Settings { max_age: Duration::from_secs(30), ..Default::default() };
    let lab = Lab::with(Sim::open(Config { creation_time_ms: 20_000, ..Default::default() }, None).unwrap(), MemoryJournal::new(), settings()).await;
    lab.subnet().await;
    let op = lab.account().create(instance("web"), web_spec(), Options::default()).await.unwrap();
    assert!(!op.is_done());
    let Lab { sim, journal, engine } = lab;
    drop(engine);
    tokio::time::sleep(Duration::from_secs(600)).await;
    // A restart takes the time of day anew, which does not stand still: so the record is what gets older.
    let aged = MemoryJournal::new();
    aged.setting("owner/lab", &journal.setting("owner/lab", "").await.unwrap()).await.unwrap();
    let mut row = journal.open_rows().await.unwrap().remove(0);
    row.created_ms -= 600_000;
    aged.insert(&row, "").await.unwrap();
    // The cloud cannot be asked at first.
    for _ in 0..3 {
        sim.inject(Fault { action: Some("DescribeInstances".into()), after: 0, kind: FaultKind::Refused });
    }
    let lab = Lab::with(sim, aged, settings()).await;
    let op = lab.end(lab.account().operation(&op.id).await.unwrap()).await;
    assert_eq!((lab.sim.faults_fired(), op.object::<Instance>().unwrap().status.state), (3, InstanceState::Running));
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_hangs_or_is_slow_has_its_time() {
    for kind in [FaultKind::HangsBefore, FaultKind::HangsAfter] {
        let lab = Lab::open(Config { tag_lag_ms: 500, ..Default::default() }).await;
        lab.sim.inject(Fault { action: Some("CreateNetwork".into()), after: 0, kind });
        let start = tokio::time::Instant::now();
        assert!(matches!(lab.network().await.end, Some(Ok(_))));
        assert!(start.elapsed() >= Settings::default().step_timeout, "{:?}", start.elapsed());
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!((lab.count("network"), lab.count("gateway")), (1, 1), "{kind:?}");
    }
    // Slower than a read may be: the caller has an answer at the deadline, and nothing was begun.
    let lab = Lab::open(Config { latency_ms: 60_000, ..Default::default() }).await;
    let start = tokio::time::Instant::now();
    let e = lab.account().create(network("n1"), net_spec(), Options::default()).await.unwrap_err();
    assert_eq!((e.reason(), e.effect()), (Reason::CloudTimeout, Effect::None));
    assert!(start.elapsed() <= Settings::default().read_deadline + Duration::from_secs(1));
    assert_eq!((lab.writes(), lab.account().operations(10, "").await.unwrap().0.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_read_is_repeated_and_then_given_up() {
    let lab = Lab::open(Config::default()).await;
    lab.network().await;
    let refuse = |n| (0..n).for_each(|_| lab.sim.inject(Fault { action: Some("DescribeNetworks".into()), after: 0, kind: FaultKind::Refused }));
    let before = lab.calls("DescribeNetworks");
    refuse(3);
    lab.account().get(&network("n1")).await.unwrap();
    assert_eq!(lab.calls("DescribeNetworks") - before, 4);
    lab.sim.clear_faults();
    refuse(20);
    let e = lab.account().get(&network("n1")).await.unwrap_err();
    assert_eq!((e.reason(), e.retry()), (Reason::CloudUnavailable, welkin_core::Retry::Exhausted));
    assert_eq!(lab.calls("DescribeNetworks") - before, 8);
}

#[tokio::test(start_paused = true)]
async fn a_callers_vendor_ids_count_for_nothing() {
    let lab = Lab::open(Config::default()).await;
    lab.network().await;
    let wrong = |spec: SubnetSpec| SubnetSpec { network: Some(Ref::resolved(network("n1"), "net-00000000000000000".parse().unwrap())), ..spec };
    let op = lab.account().create(subnet("s1"), wrong(sub_spec()), Options::default()).await.unwrap();
    let made = lab.end(op).await.object::<Subnet>().unwrap();
    let op = lab.account().create(subnet("s1"), sub_spec(), Options::default()).await.unwrap();
    assert_eq!(op.object::<Subnet>().unwrap().vendor_id, made.vendor_id, "the same specification");
}

#[tokio::test(start_paused = true)]
async fn an_update_is_judged_by_what_it_changes() {
    let lab = Lab::open(Config::default()).await;
    let account = lab.account();
    // As a vendor may show it: made by other means, or by older rules.
    let shown = InstanceSpec { machine_type: "x".repeat(300), ..web_spec() };
    account.capabilities().check_changed::<Instance>(&shown, &["labels".into()].into()).unwrap();
    let e = account.capabilities().check_changed::<Instance>(&shown, &["machine_type".into()].into()).unwrap_err();
    assert_eq!(e.violations()[0].field, "machine_type");
}

#[tokio::test(start_paused = true)]
async fn operations_can_be_read_page_by_page() {
    let lab = Lab::open(Config::default()).await;
    for i in 0..5 {
        let spec = NetworkSpec { cidrs: vec![format!("10.{i}.0.0/16").parse().unwrap()], ..Default::default() };
        let op = lab.account().create(network(&format!("n{i}")), spec, Options::default()).await.unwrap();
        lab.end(op).await;
    }
    let (mut targets, mut token) = (Vec::new(), String::new());
    loop {
        let (page, next) = lab.account().operations(2, &token).await.unwrap();
        targets.extend(page.into_iter().map(|o| o.target));
        token = next;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(targets, (0..5).rev().map(|i| format!("locations/sim-1/networks/n{i}")).collect::<Vec<_>>());
    assert_eq!(refused(lab.account().operations(2, "nonsense").await), (ErrorKind::InvalidArgument, Reason::InvalidPageToken));
}
