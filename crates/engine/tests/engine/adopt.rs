//! Adopting what Welkin did not make, and releasing it.

use crate::lab::{Lab, at, failure, instance, net_spec, network, refused, request, sub_spec, subnet};
use std::time::Duration;
use welkin_core::{ErrorKind, InstanceAction, InstanceSpec, InstanceState, Name, Network, NetworkSpec, Reason, Ref, Subnet, SubnetSpec};
use welkin_engine::{Journal as _, ListRequest, Operation, Options, Outcome};
use welkin_sim::{Config, Planted};

fn adopting(id: &str) -> Options {
    Options { adopt: Some(id.into()), ..Default::default() }
}
fn releasing() -> Options {
    Options { release: true, ..Default::default() }
}
fn labelled(key: &str) -> NetworkSpec {
    NetworkSpec { labels: [(key.to_owned(), "1".to_owned())].into(), ..Default::default() }
}
impl Lab {
    fn plant(&self, tags: &[(&str, &str)]) -> String {
        let tags = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self.sim.plant("sim-1", Planted::Network { cidr: "10.9.0.0/16".parse().unwrap() }, tags).unwrap()
    }
    async fn adopted(&self, name: &str, id: &str) -> welkin_core::Object<Network> {
        let op = self.account().create(network(name), NetworkSpec::default(), adopting(id)).await.unwrap();
        self.end(op).await.object().unwrap()
    }
    async fn relabelled(&self, name: &str, key: &str) -> Operation {
        let op = self.account().update(network(name), labelled(key), ["labels".into()].into(), Options::default()).await.unwrap();
        self.end(op).await
    }
    fn tags(&self, id: &str) -> Vec<String> {
        self.sim.inventory().iter().find(|o| o.id == id).unwrap().tags.keys().cloned().collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_object_gets_a_name_and_nothing_is_written() {
    let lab = Lab::open(Config::default()).await;
    let id = lab.plant(&[("Name", "corp")]);
    let foreign = lab.account().get(&network(&id)).await.unwrap();
    assert_eq!(foreign.mark, None);
    for called in [id.clone(), foreign.provider_id.to_string()] {
        let made = lab.adopted("n1", &called).await;
        assert_eq!((made.name, made.vendor_id.as_str()), (network("n1"), id.as_str()));
    }
    let seen = lab.account().get(&network("n1")).await.unwrap();
    let mark = seen.mark.clone().unwrap();
    assert_eq!((&seen.name, &mark.owner, mark.digest), (&network("n1"), lab.account().owner(), None));
    assert_eq!(lab.account().get(&network(&id)).await.unwrap(), seen, "by the vendor's id it is the same one");
    let list = ListRequest::<Network> { cloud: None, parent: None, filter: "id = n1 AND owned = true".into(), page_size: 10, page_token: String::new() };
    assert_eq!(lab.engine.list(list).await.unwrap().items[0].1, seen);
    assert_eq!((lab.writes(), lab.tags(&id)), (0, vec!["Name".to_owned()]));
    let (operations, _) = lab.account().operations(10, "").await.unwrap();
    assert_eq!(operations.iter().map(|o| (o.verb.as_str(), o.uid.clone())).collect::<Vec<_>>(), [("adopt", None), ("adopt", None)]);
    // A restart knows it too.
    let lab = lab.crash().await;
    assert_eq!(lab.account().get(&network("n1")).await.unwrap(), seen);
}

#[tokio::test(start_paused = true)]
async fn what_was_adopted_is_changed_and_deleted_alone() {
    for tag_lag_ms in [0, 500] {
        let lab = Lab::open(Config { tag_lag_ms, latency_ms: 20, ..Default::default() }).await;
        let (id, other) = (lab.plant(&[("Name", "corp")]), lab.plant(&[]));
        tokio::time::sleep(Duration::from_secs(5)).await;
        let uid = lab.adopted("n1", &id).await.mark.unwrap().uid;
        let changed = lab.relabelled("n1", "a").await.object::<Network>().unwrap();
        assert_eq!((changed.name, changed.mark.unwrap().uid, changed.spec.labels), (network("n1"), uid, labelled("a").labels));
        assert_eq!(lab.tags(&id), ["a"], "labels are written, marks are not");
        // It is adopted still.
        let lab = lab.crash().await;
        let op =
            lab.account().update(network("n1"), NetworkSpec { internet_access: true, ..Default::default() }, ["internet_access".into()].into(), Options::default()).await.unwrap();
        assert_eq!(failure(&lab.end(op).await).reason(), Reason::NotOwned, "nothing of ours is attached to it");
        // Ours can stand in it.
        let op = lab.account().create(subnet("s1"), SubnetSpec { cidrs: vec!["10.9.1.0/24".parse().unwrap()], ..sub_spec() }, Options::default()).await.unwrap();
        assert_eq!(lab.end(op).await.object::<Subnet>().unwrap().spec.network.unwrap().name, network("n1"));
        let op = lab.account().delete(network("n1"), Options::default()).await.unwrap();
        assert_eq!(failure(&lab.end(op).await).reason(), Reason::InUse);
        let op = lab.account().delete(subnet("s1"), Options::default()).await.unwrap();
        lab.end(op).await.end.unwrap().unwrap();
        // By its vendor's id, over a restart.
        let op = lab.account().delete(network(&id), Options::default()).await.unwrap();
        assert_eq!(op.target, network("n1").to_string());
        let lab = lab.crash().await;
        lab.end(lab.account().operation(&op.id).await.unwrap()).await.end.unwrap().unwrap();
        assert_eq!(lab.sim.inventory().iter().map(|o| o.id.clone()).collect::<Vec<_>>(), [other]);
        assert_eq!(lab.journal.names("lab").await.unwrap(), []);
        assert_eq!(refused(lab.account().get(&network("n1")).await).0, ErrorKind::NotFound);
    }
}

#[tokio::test(start_paused = true)]
async fn children_stay_foreign() {
    let lab = Lab::open(Config::default()).await;
    let id = lab.plant(&[]);
    let child = lab.sim.plant("sim-1", Planted::Subnet { network: id.clone(), cidr: "10.9.1.0/24".parse().unwrap() }, [].into()).unwrap();
    lab.adopted("n1", &id).await;
    assert_eq!(refused(lab.account().delete(subnet(&child), Options::default()).await).1, Reason::NotOwned);
    let op = lab.account().delete(network("n1"), Options::default()).await.unwrap();
    assert_eq!(failure(&lab.end(op).await).reason(), Reason::InUse);
    assert_eq!((lab.count("network"), lab.count("subnet")), (1, 1));
    lab.relabelled("n1", "still").await.object::<Network>().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_adopted_with_its_actions() {
    let lab = Lab::open(Config { transition_time_ms: 300, ..Default::default() }).await;
    lab.subnet().await;
    let in_subnet = lab.account().get(&subnet("s1")).await.unwrap().vendor_id.to_string();
    let image = lab.account().get(&Name::<welkin_core::Image>::new(at(), "debian-12".parse().unwrap())).await.unwrap().vendor_id.to_string();
    let id = lab.sim.plant("sim-1", Planted::Instance { subnet: in_subnet, image }, [].into()).unwrap();
    let foreign = lab.account().get(&instance(&id)).await.unwrap();
    let op = lab.account().create(instance("web"), InstanceSpec::default(), adopting(&foreign.provider_id.to_string())).await.unwrap();
    lab.end(op).await.object::<welkin_core::Instance>().unwrap();
    for (action, state) in [(InstanceAction::Stop, InstanceState::Stopped), (InstanceAction::Start, InstanceState::Running)] {
        let op = lab.account().act(instance("web"), action, Options::default()).await.unwrap();
        lab.end(op).await.end.unwrap().unwrap();
        assert_eq!(lab.account().get(&instance("web")).await.unwrap().status.state, state);
    }
    let op = lab.account().delete(instance("web"), Options::default()).await.unwrap();
    lab.end(op).await.end.unwrap().unwrap();
    assert_eq!((lab.count("instance"), lab.count("subnet"), lab.count("network")), (0, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_released_object_is_foreign_again() {
    let lab = Lab::open(Config::default()).await;
    let id = lab.plant(&[("Name", "corp")]);
    lab.adopted("n1", &id).await;
    let stale = Options { etag: Some(welkin_core::Etag("\"0\"".into())), ..releasing() };
    assert_eq!(refused(lab.account().delete(network("n1"), stale).await).1, Reason::EtagMismatch);
    let only = Options { validate_only: true, ..releasing() };
    assert_eq!(lab.account().delete(network("n1"), only).await.unwrap().end, Some(Ok(Outcome::Validated)));
    let lab = lab.crash().await;
    // By either name.
    for name in ["n1", &id] {
        lab.adopted("n1", &id).await;
        let op = lab.account().delete(network(name), Options { request_id: Some(format!("release-{}", &name[..2])), ..releasing() }).await.unwrap();
        assert_eq!((op.verb.as_str(), op.target.clone()), ("release", network("n1").to_string()));
        assert_eq!(lab.end(op).await.end, Some(Ok(Outcome::Deleted)));
        assert_eq!(lab.account().get(&network(&id)).await.unwrap().mark, None);
        assert_eq!(refused(lab.account().get(&network("n1")).await).0, ErrorKind::NotFound);
        assert_eq!(refused(lab.account().delete(network(&id), Options::default()).await).1, Reason::NotOwned);
    }
    assert_eq!((lab.writes(), lab.tags(&id)), (0, vec!["Name".to_owned()]));
    // What is not adopted cannot be released.
    assert_eq!(refused(lab.account().delete(network(&id), releasing()).await), (ErrorKind::FailedPrecondition, Reason::NotAdopted));
    lab.network().await;
    assert_eq!(refused(lab.account().delete(network("n1"), releasing()).await), (ErrorKind::FailedPrecondition, Reason::NotAdopted));
    assert_eq!(refused(lab.account().delete(network("none"), releasing()).await).0, ErrorKind::NotFound);
    lab.account().delete(network("none"), Options { allow_missing: true, ..releasing() }).await.unwrap();
    // What has gone behind our back can be released.
    lab.adopted("n2", &id).await;
    lab.sim.uproot("sim-1", &id).unwrap();
    let op = lab.account().delete(network("n2"), releasing()).await.unwrap();
    lab.end(op).await.end.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_adopted_is_refused() {
    let lab = Lab::open(Config::default()).await;
    let ours = lab.network().await.object::<Network>().unwrap();
    let theirs = lab.plant(&[("welkin.dev/owner", "somebody-else"), ("welkin.dev/id", "n9"), ("welkin.dev/uid", "0123456789")]);
    let free = lab.plant(&[]);
    let operations = lab.account().operations(100, "").await.unwrap().0.len();
    let names = lab.journal.names("lab").await.unwrap();
    let adopt = async |name: &str, id: &str| {
        let e = lab.account().create(network(name), NetworkSpec::default(), adopting(id)).await.unwrap_err();
        (e.kind(), e.reason(), e.violations().first().map(|v| v.field.clone()).unwrap_or_default())
    };
    let about = |kind, reason| (kind, reason, "adopt".to_owned());
    assert_eq!(adopt("n2", &theirs).await, about(ErrorKind::FailedPrecondition, Reason::NotOwned));
    assert_eq!(adopt("n2", ours.vendor_id.as_str()).await, about(ErrorKind::AlreadyExists, Reason::AlreadyManaged));
    assert_eq!(adopt("n1", ours.vendor_id.as_str()).await, about(ErrorKind::AlreadyExists, Reason::AlreadyManaged));
    assert_eq!(adopt("n1", &free).await, (ErrorKind::AlreadyExists, Reason::NameTaken, String::new()));
    assert_eq!(adopt("n2", "net-00000000000000000").await, about(ErrorKind::NotFound, Reason::ResourceNotFound));
    assert_eq!(adopt("n2", &format!("sim:///sim-2/{free}")).await, about(ErrorKind::NotFound, Reason::ResourceNotFound));
    for nonsense in ["sim://", ""] {
        assert_eq!(adopt("n2", nonsense).await.0, ErrorKind::InvalidArgument, "{nonsense:?}");
    }
    assert_eq!(adopt(&free, &free).await.0, ErrorKind::InvalidArgument, "an id of the vendor's shape is no name of ours");
    let e = lab.account().create(network("n2"), net_spec(), adopting(&free)).await.unwrap_err();
    let fields: Vec<_> = e.violations().iter().map(|v| v.field.as_str()).collect();
    assert_eq!((e.reason(), fields), (Reason::InvalidField, vec!["cidrs", "internet_access"]));
    // Nothing of that left anything behind, and a check neither.
    let only = Options { validate_only: true, ..adopting(&free) };
    assert_eq!(lab.account().create(network("n2"), NetworkSpec::default(), only).await.unwrap().end, Some(Ok(Outcome::Validated)));
    assert_eq!((lab.account().operations(100, "").await.unwrap().0.len(), lab.journal.names("lab").await.unwrap()), (operations, names));
    // Managed under one name only.
    lab.adopted("n2", &free).await;
    assert_eq!(adopt("n3", &free).await, about(ErrorKind::AlreadyExists, Reason::AlreadyManaged));
    // And a create does not take what was adopted for its own.
    assert_eq!(refused(lab.account().create(network("n2"), net_spec(), Options::default()).await), (ErrorKind::AlreadyExists, Reason::NameTaken));
}

#[tokio::test(start_paused = true)]
async fn an_adoption_can_be_asked_for_twice() {
    let lab = Lab::open(Config { latency_ms: 50, ..Default::default() }).await;
    let id = lab.plant(&[]);
    let adopt = |name: &str, options: Options| {
        let (account, name) = (lab.account(), network(name));
        async move { account.create(name, NetworkSpec::default(), options).await }
    };
    // At once, under two names: one object, one name.
    let (a, b) = tokio::join!(adopt("n1", adopting(&id)), adopt("n2", adopting(&id)));
    let lost = if a.is_ok() { b } else { a };
    assert_eq!(refused(lost).1, Reason::OperationInProgress);
    let names = lab.journal.names("lab").await.unwrap();
    assert_eq!(names.len(), 1);
    let op = lab.account().delete::<Network>(names[0].name.parse().unwrap(), releasing()).await.unwrap();
    lab.end(op).await;
    // With a request id: the same operation, also after a crash; another request is refused.
    let first = adopt("n3", Options { adopt: Some(id.clone()), ..request("r1") }).await.unwrap();
    let lab = lab.crash().await;
    let again = lab.account().create(network("n3"), NetworkSpec::default(), Options { adopt: Some(id.clone()), ..request("r1") }).await.unwrap();
    assert_eq!(again.id, first.id);
    let uid = lab.end(again).await.object::<Network>().unwrap().mark.unwrap().uid;
    assert_eq!(refused(lab.account().create(network("n4"), NetworkSpec::default(), Options { adopt: Some(id.clone()), ..request("r1") }).await).1, Reason::RequestIdReused);
    // Without one the same again answers what is there.
    assert_eq!(lab.adopted("n3", &id).await.mark.unwrap().uid, uid);
}

/// What an update in flight knows at its end is not undone by it.
#[tokio::test(start_paused = true)]
async fn a_release_waits_its_turn() {
    let lab = Lab::open(Config { latency_ms: 400, ..Default::default() }).await;
    let id = lab.plant(&[]);
    lab.adopted("n1", &id).await;
    let updating = lab.account().update(network("n1"), labelled("a"), ["labels".into()].into(), Options::default()).await.unwrap();
    assert!(!updating.is_done());
    for name in ["n1", &id] {
        assert_eq!(refused(lab.account().delete(network(name), releasing()).await).1, Reason::OperationInProgress);
    }
    lab.end(updating).await.object::<Network>().unwrap();
    let op = lab.account().delete(network("n1"), releasing()).await.unwrap();
    lab.end(op).await.end.unwrap().unwrap();
    let in_it = SubnetSpec { network: Some(Ref::to(network(&id))), cidrs: vec!["10.9.1.0/24".parse().unwrap()], ..Default::default() };
    let op = lab.account().create(subnet("s1"), in_it, Options::default()).await.unwrap();
    lab.end(op).await.object::<Subnet>().unwrap();
}

/// An adopted group has no marks, so every rule that carries nobody's is its own, and what is released is as anybody would have made it.
#[tokio::test(start_paused = true)]
async fn the_rules_of_an_adopted_group_are_its_own() {
    use welkin_core::{Direction, Protocol, SecurityGroup, SecurityGroupSpec, SecurityRule};
    let lab = Lab::open(Config::default()).await;
    let in_network = lab.network().await.object::<Network>().unwrap().vendor_id.to_string();
    let id = lab.sim.plant("sim-1", Planted::SecurityGroup { network: in_network }, [].into()).unwrap();
    for (port, tags) in [(22, [].into()), (80, [("welkin.dev/owner".to_owned(), "another".to_owned())].into())] {
        lab.sim.plant("sim-1", Planted::Rule { group: id.clone(), port, cidr: "10.0.0.0/8".parse().unwrap() }, tags).unwrap();
    }
    let name = Name::<SecurityGroup>::new(at(), "g1".parse().unwrap());
    let op = lab.account().create(name.clone(), SecurityGroupSpec::default(), adopting(&id)).await.unwrap();
    lab.end(op).await.object::<SecurityGroup>().unwrap();
    let cidrs = vec!["10.0.0.0/8".parse().unwrap()];
    let https = SecurityRule { direction: Direction::Ingress, protocol: Some(Protocol::TCP), from_port: Some(443), to_port: Some(443), cidrs, ..Default::default() };
    let patch = SecurityGroupSpec { rules: vec![https], ..Default::default() };
    let op = lab.account().update(name.clone(), patch, ["rules".into()].into(), Options::default()).await.unwrap();
    lab.end(op).await.object::<SecurityGroup>().unwrap();
    let ports = lab.account().get(&name).await.unwrap().spec.rules.into_iter().map(|r| r.from_port.unwrap()).collect::<Vec<_>>();
    assert_eq!(ports, [443], "22 was its own");
    assert_eq!(lab.account().get(&name).await.unwrap().status.other_rules.len(), 1, "80 is another's");
    let op = lab.account().delete(name, Options { release: true, ..Default::default() }).await.unwrap();
    lab.end(op).await.end.unwrap().unwrap();
    assert!(lab.sim.inventory().iter().any(|o| o.id == id && o.tags.is_empty()));
}
