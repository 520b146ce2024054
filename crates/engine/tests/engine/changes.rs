//! Names, requests, and what a change does and refuses.

use crate::lab::*;
use std::{collections::BTreeSet, time::Duration};
use welkin_core::{Effect, ErrorKind, Instance, InstanceAction, InstanceSpec, InstanceState, Name, Network, NetworkSpec, Reason, Ref, Subnet, SubnetSpec};
use welkin_engine::{Engine, MemoryJournal, Options, Outcome, Phase, Settings};
use welkin_sim::{Config, Fault, FaultKind, Planted, Sim};

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

/// An update that is given up between making the gateway and attaching it, and a delete before the gateway's tags are seen.
#[tokio::test(start_paused = true)]
async fn what_a_cancelled_update_made_goes_with_the_resource() {
    let mut given_up = 0;
    for wait_ms in (0..1_000).step_by(100) {
        let lab = Lab::open(Config { latency_ms: 100, tag_lag_ms: 2_000, ..Default::default() }).await;
        let made = lab.account().create(network("n1"), NetworkSpec { internet_access: false, ..net_spec() }, Options::default()).await.unwrap();
        lab.end(made).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        let op = lab.account().update(network("n1"), net_spec(), ["internet_access".into()].into(), Options::default()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        lab.account().cancel(&op.id).await.unwrap();
        given_up += usize::from(lab.end(op).await.end.unwrap().is_err() && lab.count("gateway") == 1);
        let lab = lab.crash().await;
        let op = lab.account().delete(network("n1"), Options::default()).await.unwrap();
        lab.end(op).await.end.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(lab.sim.inventory(), [], "cancelled after {wait_ms} ms");
    }
    assert!(given_up > 0);
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
