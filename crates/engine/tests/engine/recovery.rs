//! Crashes, restarts, age, and what the store holds against them.

use crate::lab::*;
use std::{sync::Arc, time::Duration};
use welkin_core::{ErrorKind, Instance, InstanceState, Network, Reason, Subnet};
use welkin_engine::{Account, Engine, MemoryJournal, Options, Outcome, Settings};
use welkin_sim::{Config, Fault, FaultKind, FaultRates, Sim};

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
        fn security_groups(&self) -> Option<&dyn welkin_core::Driver<welkin_core::SecurityGroup>> {
            None
        }
        fn subnets(&self) -> Option<&dyn welkin_core::Driver<Subnet>> {
            None
        }
        fn instances(&self) -> Option<&dyn welkin_core::Driver<Instance>> {
            None
        }
        fn addresses(&self) -> Option<&dyn welkin_core::Driver<welkin_core::Address>> {
            None
        }
        fn disks(&self) -> Option<&dyn welkin_core::Driver<welkin_core::Disk>> {
            None
        }
        fn nat_gateways(&self) -> Option<&dyn welkin_core::Driver<welkin_core::NatGateway>> {
            None
        }
        fn load_balancers(&self) -> Option<&dyn welkin_core::Driver<welkin_core::LoadBalancer>> {
            None
        }
        fn instance_groups(&self) -> Option<&dyn welkin_core::Driver<welkin_core::InstanceGroup>> {
            None
        }
        fn record_sets(&self) -> Option<&dyn welkin_core::Driver<welkin_core::RecordSet>> {
            None
        }
        fn route_tables(&self) -> Option<&dyn welkin_core::Driver<welkin_core::RouteTable>> {
            None
        }
        fn dns_zones(&self) -> Option<&dyn welkin_core::Driver<welkin_core::DnsZone>> {
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
        fn quotas(&self) -> Option<&dyn welkin_core::Reader<welkin_core::Quota>> {
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
