//! Reads and lists.

use crate::lab::*;
use std::{collections::BTreeSet, time::Duration};
use welkin_core::{
    Address, AddressSpec, Effect, ErrorKind, Instance, InstanceAction, InstanceQuestion, InstanceSpec, LocationName, Name, Network, NetworkSpec, Object, Reason, Ref,
};
use welkin_engine::{Engine, ListRequest, MemoryJournal, Options, Settings};
use welkin_sim::{Config, Fault, FaultKind, Planted, Sim};

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
async fn just_made_and_without_tags_is_listed_as_ours() {
    let lab = Lab::open(Config { tag_lag_ms: 2_000, ..Default::default() }).await;
    let made = lab.network().await.object::<Network>().unwrap();
    let foreign = lab.sim.plant("sim-1", Planted::Network { cidr: "10.9.0.0/16".parse().unwrap() }, Default::default()).unwrap();
    let ask = ListRequest::<Network> { cloud: Some("lab".into()), parent: Some(at()), filter: String::new(), page_size: 9, page_token: String::new() };
    let page = lab.engine.list(ask).await.unwrap();
    let seen: BTreeSet<_> = page.items.iter().map(|(_, o)| (o.name.id.to_string(), o.mark.as_ref().map(|m| m.uid.clone()))).collect();
    assert_eq!(seen, [("n1".to_owned(), made.mark.map(|m| m.uid)), (foreign, None)].into());
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

#[tokio::test(start_paused = true)]
async fn a_question_is_a_read_and_nothing_of_it_is_kept() {
    let lab = Lab::open(Config::default()).await;
    let ask = async |id: &str| lab.account().ask(&instance(id), InstanceQuestion::ConsoleOutput).await;
    assert_eq!(refused(ask("web").await), (ErrorKind::NotFound, Reason::ResourceNotFound));
    lab.subnet().await;
    let op = lab.account().create(instance("web"), web_spec(), Options::default()).await.unwrap();
    lab.end(op).await;
    let made = lab.account().get(&instance("web")).await.unwrap();
    let (subnet, image) = (made.spec.subnet.as_ref().unwrap(), made.spec.image.as_ref().unwrap());
    let planted = Planted::Instance { subnet: subnet.vendor_id().unwrap().to_string(), image: image.vendor_id().unwrap().to_string() };
    let foreign = lab.sim.plant("sim-1", planted, Default::default()).unwrap();
    let (writes, before) = (lab.writes(), format!("{:?}", lab.journal));

    // Refused a few times, it is repeated as every read.
    (0..3).for_each(|_| lab.sim.inject(Fault { action: Some("GetConsoleOutput".into()), after: 0, kind: FaultKind::Refused }));
    for id in ["web", made.vendor_id.as_str(), &foreign] {
        let answer = ask(id).await.unwrap();
        assert!(answer.text.expose().contains("] booted "), "{id}: {}", answer.text.expose());
        assert!(answer.time_ms >= made.created_ms && !format!("{answer:?}").contains("booted"), "{answer:?}");
    }
    assert_eq!(lab.calls("GetConsoleOutput"), 3 + 3);
    assert_eq!(refused(ask("i-00000000000000000").await), (ErrorKind::NotFound, Reason::ResourceNotFound));
    assert_eq!((lab.writes(), format!("{:?}", lab.journal)), (writes, before));
    assert_eq!(lab.account().operations(10, "").await.unwrap().0.len(), 3);

    let op = lab.account().act(instance("web"), InstanceAction::Reboot, Options::default()).await.unwrap();
    lab.end(op).await;
    assert!(ask("web").await.unwrap().text.expose().ends_with("] rebooted\n"));
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
    assert_eq!(refused(lab.engine.list(single.clone()).await).0, ErrorKind::Unavailable);
    // So does a single cloud of which nothing answers, and not one of several.
    for (cloud, expected) in [(Some("lab"), None), (None, Some(3))] {
        for _ in 0..3 {
            lab.sim.inject(Fault { action: Some("DescribeNetworks".into()), after: 0, kind: FaultKind::Refused });
        }
        let answer = lab.engine.list(ListRequest { cloud: cloud.map(Into::into), parent: None, ..single.clone() }).await;
        assert_eq!(answer.map(|page| page.unreachable.len()).ok(), expected);
    }
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

/// The cloud knows what an address leads to by its own id; the store knows what we call it.
#[tokio::test(start_paused = true)]
async fn what_is_referred_to_is_shown_by_the_name_that_it_was_given() {
    let lab = Lab::open(Config::default()).await;
    lab.subnet().await;
    let op = lab.account().create(instance("web"), web_spec(), Options::default()).await.unwrap();
    assert!(matches!(lab.end(op).await.end, Some(Ok(_))));
    let name: Name<Address> = Name::new(at(), "entry".parse().unwrap());
    let spec = AddressSpec { instance: Some(Ref::to(instance("web"))), ..Default::default() };
    let op = lab.account().create(name.clone(), spec.clone(), Options::default()).await.unwrap();
    let made = lab.end(op).await.object::<Address>().unwrap();
    let told = |object: &Object<Address>| object.spec.instance.as_ref().map(|r| r.name.clone());
    assert_eq!(told(&made), Some(instance("web")));
    let shown = lab.account().get(&name).await.unwrap();
    assert_eq!(told(&shown), Some(instance("web")));
    let list = lab.engine.list(ListRequest::<Address> { cloud: None, parent: None, filter: String::new(), page_size: 10, page_token: String::new() }).await.unwrap();
    assert_eq!(told(&list.items[0].1), Some(instance("web")));
    // So the same again is no change, and asks for no write.
    let before = lab.writes();
    let op = lab.account().update(name, spec, ["instance".into()].into(), Options::default()).await.unwrap();
    assert!(matches!(lab.end(op).await.end, Some(Ok(_))));
    assert_eq!(lab.writes(), before);
}
