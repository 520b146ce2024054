//! Actions that wait for their turn: changes of one zone's records, and of one load balancer's backends.

use crate::lab::*;
use futures::future::join_all;
use std::time::Duration;
use welkin_core::{
    Backend, BackendDelta, ChangeMode, DnsZone, DnsZoneAction, DnsZoneSpec, ErrorKind, Instance, InstanceSpec, Listener, ListenerProtocol, LoadBalancer, LoadBalancerAction,
    LoadBalancerSpec, LocationName, Name, Object, Reason, RecordChange, RecordChanges, RecordSet, RecordSetSpec, Ref, Scheme, SecurityGroup, SecurityGroupSpec,
};
use welkin_engine::{MemoryJournal, Operation, Options, Outcome, Phase, Settings};
use welkin_sim::{Config, Sim};

fn zone() -> Name<DnsZone> {
    Name::new(LocationName::of("global").unwrap(), "z1".parse().unwrap())
}
fn www(value: &str) -> DnsZoneAction {
    named("www.example.com~A", value)
}
fn named(id: &str, value: &str) -> DnsZoneAction {
    let desired = Some(RecordSetSpec { values: vec![value.into()], ..RecordSetSpec::default() });
    let changes = vec![RecordChange { id: id.parse().unwrap(), desired, owned: false }];
    DnsZoneAction::ChangeRecords(RecordChanges { mode: ChangeMode::Atomic, changes, ..RecordChanges::default() })
}
/// Every call takes a second, so that nothing ends at once.
fn slow() -> Config {
    Config { latency_ms: 1000, ..Config::default() }
}
impl Lab {
    async fn change(&self, action: DnsZoneAction, options: Options) -> Operation {
        self.account().act(zone(), action, options).await.unwrap()
    }
    async fn answered(&self) -> Vec<String> {
        let name: Name<RecordSet> = Name::new(zone(), "www.example.com~A".parse().unwrap());
        self.account().get(&name).await.unwrap().spec.values
    }
}

#[tokio::test(start_paused = true)]
async fn changes_of_one_zone_wait_for_each_other_and_are_done_in_their_order() {
    let lab = Lab::open(slow()).await;
    let id = lab.zone().await;
    let first = lab.change(www("192.0.2.1"), Options::default()).await;
    let second = lab.change(www("192.0.2.2"), request("second")).await;
    // By the vendor's id it is the same line.
    let by_id = Name::<DnsZone>::new(zone().parent, id.parse().unwrap());
    let third = lab.account().act(by_id, www("192.0.2.3"), Options::default()).await.unwrap();
    for (waits, for_whom) in [(&second, &first), (&third, &first)] {
        assert_eq!((waits.phase, waits.is_done()), (Phase::Pending, false));
        assert!(waits.progress.contains(&for_whom.id), "{waits:?}");
        assert_eq!(lab.account().operation(&waits.id).await.unwrap().id, waits.id);
    }
    let listed: Vec<String> = lab.account().operations(3, "").await.unwrap().0.into_iter().map(|o| o.id).collect();
    assert_eq!(listed, [third.id.clone(), second.id.clone(), first.id.clone()]);
    // The same request is the same operation, and what is no such change does not wait.
    assert_eq!(lab.change(www("192.0.2.2"), request("second")).await.id, second.id);
    let other = lab.account().update(zone(), DnsZoneSpec::default(), ["description".into()].into(), Options::default()).await;
    assert_eq!(refused(other), (ErrorKind::Aborted, Reason::OperationInProgress));
    for op in [first, second] {
        assert!(matches!(lab.end(op).await.end, Some(Ok(Outcome::Acted(_)))));
    }
    assert_eq!(lab.answered().await, ["192.0.2.2"]);
    assert!(matches!(lab.end(third).await.end, Some(Ok(Outcome::Acted(_)))));
    assert_eq!((lab.answered().await, lab.calls("ChangeRecords"), lab.count("records")), (vec!["192.0.2.3".to_owned()], 3, 1));
    let op =
        lab.account().update(zone(), DnsZoneSpec { description: Some("free".into()), ..DnsZoneSpec::default() }, ["description".into()].into(), Options::default()).await.unwrap();
    lab.end(op).await.object::<DnsZone>().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_cancelled_without_a_trace_and_what_is_refused_in_its_turn_has_failed() {
    let lab = Lab::open(slow()).await;
    lab.zone().await;
    let first = lab.change(www("192.0.2.1"), Options::default()).await;
    let second = lab.change(named("second.example.com~A", "192.0.2.2"), Options::default()).await;
    let outside = lab.change(named("elsewhere.example~A", "192.0.2.2"), Options::default()).await;
    let last = lab.change(named("last.example.com~A", "192.0.2.2"), Options::default()).await;
    lab.account().cancel(&second.id).await.unwrap();
    let second = lab.end(second).await;
    assert_eq!((failure(&second).reason(), failure(&second).effect()), (Reason::OperationCancelled, welkin_core::Effect::None));
    assert!(!lab.account().operation(&first.id).await.unwrap().is_done(), "it has not waited for the first");
    assert!(matches!(lab.end(last).await.end, Some(Ok(_))));
    assert_eq!(failure(&lab.end(outside).await).reason(), Reason::InvalidField);
    assert!(matches!(lab.end(first).await.end, Some(Ok(_))));
    assert_eq!((lab.calls("ChangeRecords"), lab.count("records")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn what_waits_goes_on_after_a_restart_and_has_an_end() {
    let lab = Lab::open(slow()).await;
    lab.zone().await;
    let mut open = Vec::new();
    for n in 1..=4 {
        open.push(lab.change(www(&format!("192.0.2.{n}")), Options::default()).await);
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let lab = lab.crash().await;
    for (n, op) in open.iter().enumerate() {
        let op = lab.account().wait(&op.id, Duration::from_secs(600)).await.unwrap();
        assert!(matches!(op.end, Some(Ok(Outcome::Acted(_)))), "{n}: {op:?}");
    }
    assert_eq!((lab.answered().await, lab.count("records")), (vec!["192.0.2.4".to_owned()], 1));

    // Whoever waits too long has waited in vain.
    let settings = Settings { max_age: Duration::from_secs(10), ..Settings::default() };
    let sim = Sim::open(Config { latency_ms: 4000, ..Config::default() }, None).unwrap();
    let lab = Lab::with(sim, MemoryJournal::new(), settings).await;
    lab.zone().await;
    let mut open = Vec::new();
    for n in 1..=4 {
        open.push(lab.change(www(&format!("192.0.2.{n}")), Options::default()).await);
    }
    let last = lab.end(open.pop().unwrap()).await;
    assert_eq!((failure(&last).reason(), failure(&last).effect(), last.steps), (Reason::OperationExpired, welkin_core::Effect::None, 0));
}

fn balancer() -> Name<LoadBalancer> {
    Name::new(at(), "lb".parse().unwrap())
}
fn to(id: &str) -> Backend {
    Backend { instance: Some(Ref::to(instance(id))), ..Backend::default() }
}
impl Lab {
    async fn machine(&self, id: &str) -> Object<Instance> {
        let group = Ref::to(Name::new(at(), "g1".parse().unwrap()));
        let op = self.account().create(instance(id), InstanceSpec { security_groups: vec![group], ..web_spec() }, Options::default()).await.unwrap();
        self.end(op).await.object().unwrap()
    }
    /// Two machines that can be opened, and a load balancer over the first.
    async fn balanced(&self) {
        self.subnet().await;
        let spec = SecurityGroupSpec { network: Some(Ref::to(network("n1"))), allow_load_balancer_rules: true, ..SecurityGroupSpec::default() };
        let op = self.account().create(Name::<SecurityGroup>::new(at(), "g1".parse().unwrap()), spec, Options::default()).await.unwrap();
        self.end(op).await.object::<SecurityGroup>().unwrap();
        self.machine("m1").await;
        let spec = LoadBalancerSpec {
            network: Some(Ref::to(network("n1"))),
            subnets: vec![Ref::to(subnet("s1"))],
            scheme: Scheme::Internal,
            listeners: vec![Listener { protocol: ListenerProtocol::Tcp, port: Some(80), ..Listener::default() }],
            backends: vec![to("m1")],
            ..LoadBalancerSpec::default()
        };
        let op = self.account().create(balancer(), spec, Options::default()).await.unwrap();
        self.end(op).await.object::<LoadBalancer>().unwrap();
    }
    async fn backends(&self, add: Vec<Backend>, remove: Vec<Backend>) -> welkin_core::Result<Operation> {
        let op = self.account().act(balancer(), LoadBalancerAction::ChangeBackends(BackendDelta { add, remove }), Options::default()).await?;
        let op = self.end(op).await;
        op.end.clone().unwrap().map(|_| op)
    }
    async fn led(&self) -> Vec<String> {
        let spec = self.account().get(&balancer()).await.unwrap().spec;
        spec.backends.into_iter().map(|b| b.instance.unwrap().name.id.to_string()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn backends_are_named_as_everywhere_and_may_be_gone_when_they_are_taken_away() {
    // Reads lag, and what is worked out from them is right nevertheless.
    let lab = Lab::open(Config { read_lag_ms: 2_000, ..Config::default() }).await;
    lab.balanced().await;
    let second = lab.machine("m2").await;
    for (add, remove, there) in [(vec![to("m2")], Vec::new(), vec!["m1", "m2"]), (vec![to("m1")], vec![to("m2")], vec!["m1"]), (vec![to("m2")], vec![to("m1")], vec!["m2"])] {
        lab.backends(add, remove).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(lab.led().await, there);
    }
    lab.backends(vec![to("m1")], Vec::new()).await.unwrap();
    let op = lab.account().delete(instance("m2"), Options::default()).await.unwrap();
    assert!(matches!(lab.end(op).await.end, Some(Ok(Outcome::Deleted))));
    tokio::time::sleep(Duration::from_secs(60)).await;
    // Its name leads nowhere any more, which is fine; its vendor's id still tells which backend it was.
    lab.backends(Vec::new(), vec![to("m2")]).await.unwrap();
    lab.backends(Vec::new(), vec![to(second.vendor_id.as_str())]).await.unwrap();
    assert_eq!(lab.led().await, ["m1"]);

    let writes = lab.writes();
    for (add, remove, reason, field) in [
        (vec![to("m9")], Vec::new(), Reason::ReferenceNotFound, "add[0].instance"),
        (Vec::new(), vec![to("m1")], Reason::InvalidField, "remove"),
        (Vec::new(), Vec::new(), Reason::InvalidField, "add"),
        (vec![to("m1")], vec![to("m1")], Reason::InvalidField, "remove[0]"),
    ] {
        let e = lab.backends(add, remove).await.unwrap_err();
        assert_eq!((e.reason(), e.violations()[0].field.as_str()), (reason, field), "{e}");
    }
    assert_eq!(lab.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn many_changes_of_backends_at_once_all_count() {
    let lab = Lab::open(Config::default()).await;
    lab.balanced().await;
    let ids: Vec<String> = (2..12).map(|n| format!("m{n}")).collect();
    for id in &ids {
        lab.machine(id).await;
    }
    let all = join_all(ids.iter().map(|id| lab.backends(vec![to(id)], Vec::new()))).await;
    all.into_iter().for_each(|op| drop(op.unwrap()));
    assert_eq!(lab.led().await.len(), 11);
    let all = join_all(ids.iter().map(|id| lab.backends(Vec::new(), vec![to(id)]))).await;
    all.into_iter().for_each(|op| drop(op.unwrap()));
    assert_eq!(lab.led().await, ["m1"]);
}
