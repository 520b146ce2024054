//! The client against the server, over the simulated cloud. What belongs to the contract is tried by the conformance suite.

use super::{Client, Remote};
use crate::{
    api::google::longrunning as lro,
    engine::{Engine, Operation, Options, Outcome},
    server::{Limits, Server},
    sim::{Config, Sim},
    wire,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};
use welkin_core::*;

const SOON: Duration = Duration::from_secs(20);

/// A server with one simulated cloud, and a client of it.
struct World {
    client: Client,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<Result<()>>,
    engine: Arc<Engine>,
}
impl World {
    async fn new(config: Config) -> Self {
        Self::over(Sim::open(config, None).unwrap()).await
    }
    async fn over(provider: Arc<dyn CloudProvider>) -> Self {
        let engine = Arc::new(Engine::builder().cloud("lab", provider).open().await.unwrap());
        let server = Server::bind(Arc::clone(&engine), ([127, 0, 0, 1], 0).into(), Limits::default()).await.unwrap();
        let client = format!("http://{}", server.address());
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(server.serve(async {
            let _ = stopped.await;
        }));
        Self { client: Client::connect(client).await.unwrap(), stop: Some(stop), server, engine }
    }
    fn cloud(&self) -> super::Cloud {
        self.client.cloud("lab")
    }
    async fn done(&self, operation: Result<Operation>) -> Operation {
        let operation = self.cloud().wait(operation.unwrap(), SOON).await.unwrap();
        assert!(matches!(operation.end, Some(Ok(_))), "{operation:?}");
        operation
    }
    async fn with_subnet(&self) {
        self.done(self.cloud().create(&network("n1"), a_network(), Options::default()).await).await;
        self.done(self.cloud().create(&subnet("s1"), a_subnet(), Options::default()).await).await;
    }
    async fn end(mut self) {
        drop(self.stop.take());
        self.server.await.unwrap().unwrap();
        self.engine.shutdown().await;
    }
}
fn network(id: &str) -> Name<Network> {
    format!("locations/sim-1/networks/{id}").parse().unwrap()
}
fn subnet(id: &str) -> Name<Subnet> {
    format!("locations/sim-1/subnets/{id}").parse().unwrap()
}
fn instance(id: &str) -> Name<Instance> {
    format!("locations/sim-1/instances/{id}").parse().unwrap()
}
fn a_network() -> NetworkSpec {
    NetworkSpec { cidrs: vec!["10.0.0.0/16".parse().unwrap()], ..Default::default() }
}
fn a_subnet() -> SubnetSpec {
    SubnetSpec { network: Some(Ref::to(network("n1"))), cidrs: vec!["10.0.1.0/24".parse().unwrap()], zone: Some("sim-1a".into()), ..Default::default() }
}
fn an_instance() -> InstanceSpec {
    let image = "locations/sim-1/images/debian-12".parse().unwrap();
    InstanceSpec { machine_type: "small".into(), image: Some(Ref::to(image)), subnet: Some(Ref::to(subnet("s1"))), ..Default::default() }
}
fn request(id: &str) -> Options {
    Options { request_id: Some(id.into()), ..Default::default() }
}

#[tokio::test]
async fn an_instance_lives_over_the_wire() {
    let world = World::new(Config::default()).await;
    world.with_subnet().await;
    let (cloud, web) = (world.cloud(), instance("web"));
    let made = world.done(cloud.create(&web, an_instance(), request("r1")).await).await;
    assert_eq!(made.object::<Instance>().unwrap().status.state, InstanceState::Running);
    assert_eq!(cloud.create(&web, an_instance(), request("r1")).await.unwrap().id, made.id, "the same request joins the first");
    let seen = cloud.get(&web).await.unwrap();
    assert_eq!(seen, world.engine.account("lab").unwrap().get(&web).await.map(without_vendor_ids).unwrap());
    assert!(seen.mark.is_some());
    let foreign = instance(seen.provider_id.last());
    assert_eq!(cloud.get(&foreign).await.unwrap().vendor_id, seen.vendor_id, "by the vendor's id");

    world.done(cloud.act(&web, InstanceAction::Stop, Options::default()).await).await;
    assert_eq!(cloud.get(&web).await.unwrap().status.state, InstanceState::Stopped);
    let stale = Options { etag: Some(Etag("\"no\"".into())), ..Default::default() };
    assert_eq!(cloud.act(&web, InstanceAction::Start, stale).await.unwrap_err().reason(), Reason::EtagMismatch);
    world.done(cloud.act(&web, InstanceAction::Start, Options::default()).await).await;

    let told = cloud.ask(&web, InstanceQuestion::ConsoleOutput).await.unwrap();
    assert!(told.text.expose().ends_with("] started\n") && told.time_ms.is_some(), "{}", told.text.expose());
    for name in [&web, &foreign] {
        assert_eq!(world.engine.account("lab").unwrap().ask(name, InstanceQuestion::ConsoleOutput).await.unwrap(), told);
        assert_eq!(cloud.ask(name, InstanceQuestion::ConsoleOutput).await.unwrap(), told);
    }

    let patch = InstanceSpec { labels: [("a".to_owned(), "b".to_owned())].into(), ..Default::default() };
    let just_read = Options { etag: Some(cloud.get(&web).await.unwrap().etag()), ..Default::default() };
    let updated = world.done(cloud.update(&web, patch.clone(), &Default::default(), just_read).await).await;
    assert_eq!(updated.object::<Instance>().unwrap().spec.labels, patch.labels);

    let listed = cloud.list::<Instance>(None, "state = RUNNING", 0, "").await.unwrap();
    assert_eq!(listed.items.iter().map(|o| o.name.to_string()).collect::<Vec<_>>(), [web.to_string()]);
    assert!(listed.next_page_token.is_empty() && listed.unreachable.is_empty());
    assert_eq!(cloud.list::<Location>(None, "", 0, "").await.unwrap().items.len(), 1);
    assert!(cloud.operations("done = true", 0, "").await.unwrap().0.iter().any(|o| o.id == made.id));

    let gone = world.done(cloud.delete(&web, Options::default()).await).await;
    assert_eq!(gone.end, Some(Ok(Outcome::Deleted)));
    let error = cloud.get(&web).await.unwrap_err();
    assert_eq!((error.kind(), error.reason(), error.resource()), (ErrorKind::NotFound, Reason::ResourceNotFound, Some("locations/sim-1/instances/web")));
    let error = cloud.ask(&web, InstanceQuestion::ConsoleOutput).await.unwrap_err();
    assert_eq!((error.kind(), error.reason(), error.resource()), (ErrorKind::NotFound, Reason::ResourceNotFound, Some("locations/sim-1/instances/web")));
    world.end().await;
}
/// References are answered by name; what the vendor calls them stays at the server.
fn without_vendor_ids(mut object: Object<Instance>) -> Object<Instance> {
    unresolve::<Instance>(&mut object.spec);
    object
}

#[tokio::test]
async fn everything_wrong_is_answered_at_once() {
    let world = World::new(Config::default()).await;
    let create = wire::Create {
        parent: "clouds/lab/locations/sim-1".into(),
        id: "Web".into(),
        resource: Some(crate::api::v1::Subnet { cidrs: vec!["10.0.0.0/33".into(), "10.0.0.1/24".into()], ..Default::default() }),
        request_id: "x".repeat(65),
        validate_only: false,
        adopt: String::new(),
    };
    let error = world.client.call::<_, lro::Operation>("welkin.v1.Subnets", "CreateSubnet", create, super::Write::Yes).await.unwrap_err();
    let fields: Vec<&str> = error.violations().iter().map(|v| v.field.as_str()).collect();
    assert_eq!((error.kind(), fields), (ErrorKind::InvalidArgument, vec!["request_id", "subnet_id", "cidrs[0]", "network"]));

    for (parent, page_size, field) in [("clouds/nope/locations/-", 0, "parent"), ("locations/-", 0, "parent"), ("clouds/lab/locations/sim-1", -1, "page_size")] {
        let list = wire::List { parent: parent.into(), page_size, ..Default::default() };
        let error = world.client.call::<_, wire::Listed<crate::api::v1::Network>>("welkin.v1.Networks", "ListNetworks", list, super::Write::No).await.unwrap_err();
        assert_eq!(error.violations()[0].field, field, "{parent} {error}");
    }
    for (name, kind) in [
        ("clouds/nope/locations/sim-1/networks/n", ErrorKind::NotFound),
        ("clouds/lab/locations/-/networks/n", ErrorKind::InvalidArgument),
        ("networks/n", ErrorKind::InvalidArgument),
        ("clouds/lab", ErrorKind::InvalidArgument),
        ("", ErrorKind::InvalidArgument),
    ] {
        let get = wire::Get { name: name.into() };
        let error = world.client.call::<_, crate::api::v1::Network>("welkin.v1.Networks", "GetNetwork", get, super::Write::No).await.unwrap_err();
        assert_eq!((error.kind(), error.violations()[0].field.as_str()), (kind, "name"), "{name}");
    }
    let mask = ["state".into(), "*".into()].into();
    let error = world.cloud().update(&network("n"), a_network(), &mask, Options::default()).await.unwrap_err();
    assert_eq!((error.reason(), error.violations().len()), (Reason::InvalidFieldMask, 2));
    let error = world.client.call::<_, lro::Operation>("welkin.v1.Networks", "StartNetwork", wire::Get::default(), super::Write::No).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unimplemented);
    let error = world.cloud().operation("0190").await.unwrap_err();
    assert_eq!(error.reason(), Reason::OperationNotFound);
    world.end().await;
}

#[tokio::test]
async fn a_validation_changes_nothing() {
    let world = World::new(Config::default()).await;
    let only = Options { validate_only: true, ..Default::default() };
    let operation = world.cloud().create(&network("n1"), a_network(), only).await.unwrap();
    assert_eq!((operation.id.as_str(), operation.end), ("", Some(Ok(Outcome::Validated))));
    assert!(world.cloud().get(&network("n1")).await.unwrap_err().is_not_found());
    world.end().await;
}

#[tokio::test]
async fn clouds_tell_what_they_are() {
    let world = World::new(Config::default()).await;
    let clouds = world.client.clouds().await.unwrap();
    assert_eq!(clouds.iter().map(|c| (c.name.as_str(), c.vendor.as_str())).collect::<Vec<_>>(), [("clouds/lab", "sim")]);
    let _ = world.cloud().list::<Network>(None, "", 0, "").await.unwrap();
    assert!(world.cloud().describe().await.unwrap().vendor_calls.iter().any(|c| c.count == 1 && !c.write));
    assert_eq!(&world.cloud().capabilities().await.unwrap(), world.engine.account("lab").unwrap().capabilities());
    assert_eq!(world.client.cloud("nope").capabilities().await.unwrap_err().reason(), Reason::CloudUnknown);
    world.end().await;
}

#[tokio::test]
async fn nobody_is_kept_waiting_at_a_shutdown() {
    let mut world = World::new(Config { creation_time_ms: 60_000, ..Config::default() }).await;
    world.with_subnet().await;
    let cloud = world.cloud();
    let open = cloud.create(&instance("web"), an_instance(), Options::default()).await.unwrap();
    assert!(!open.is_done());
    let name = cloud.operation_name(&open.id);
    let client = world.client.clone();
    let waiting = tokio::spawn(async move {
        let wait = lro::WaitOperationRequest { name, timeout: None };
        client.call_within::<_, lro::Operation>(super::OPERATIONS, "WaitOperation", wait, super::Write::No, Duration::from_secs(100)).await
    });
    // Any later call on the connection is answered after the wait has come in.
    let _ = cloud.get(&network("n1")).await.unwrap();
    let before = Instant::now();
    drop(world.stop.take());
    let answer = waiting.await.unwrap().unwrap();
    assert!(!answer.done && before.elapsed() < SOON);
    world.end().await;
}

async fn steps<T>(mut step: impl AsyncFnMut(Resume) -> Result<Step<T>>, amnesia: bool) -> Result<T> {
    let mut resume = Resume::default();
    let end = Instant::now() + SOON;
    loop {
        assert!(Instant::now() < end, "it does not end");
        match step(resume.clone()).await? {
            Step::Done(t) => return Ok(t),
            Step::Wait { handle, .. } => resume = if amnesia { Resume { unresolved: Some(Instant::now()), ..Resume::default() } } else { Resume { handle, ..Resume::default() } },
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_servers_cloud_is_a_provider() {
    let world = World::new(Config { creation_time_ms: 300, ..Config::default() }).await;
    world.with_subnet().await;
    let remote = Remote::new(&world.client, "lab").await.unwrap();
    let cx = Cx { deadline: Instant::now() + SOON, owner: "me".parse().unwrap(), gate: Arc::new(OpenGate) };
    let driver = remote.instances().unwrap();
    for amnesia in [false, true] {
        let target = Target::named(instance(if amnesia { "b" } else { "a" }));
        let digest: Digest = "v1-0".parse().unwrap();
        let change = |verb| Change::<Instance> {
            target: target.clone(),
            uid: format!("00000000-{amnesia}").parse().unwrap(),
            token: format!("t-{amnesia}"),
            expect: None,
            past: Vec::new(),
            verb,
        };
        let create = change(Verb::Create { spec: an_instance(), digest });
        driver.check(&cx, &create).await.unwrap();
        let spec = an_instance();
        let made = steps(async |resume| driver.create(&cx, &create, &spec, &resume).await, amnesia).await.unwrap();
        assert_eq!(made.mark.as_ref().unwrap().owner, cx.owner);
        assert_eq!(driver.get(&cx, &target).await.unwrap().vendor_id, made.vendor_id);
        assert_eq!(driver.get(&cx, &Target::Vendor { parent: target.parent().clone(), vendor_id: made.vendor_id.clone() }).await.unwrap().vendor_id, made.vendor_id);
        let query = Query { vendor_ids: vec![made.vendor_id.clone()], ..Query::all(10) };
        let page = driver.list(&cx, &query, &driver.shards(&query)[0], None).await.unwrap();
        assert_eq!(page.items.len(), 1);
        let stop = change(Verb::Act(InstanceAction::Stop));
        steps(async |resume| driver.act(&cx, &stop, &InstanceAction::Stop, &resume).await, amnesia).await.unwrap();
        let delete = change(Verb::Delete);
        for _ in 0..2 {
            steps(async |resume| driver.delete(&cx, &delete, &resume).await, amnesia).await.unwrap();
        }
        assert!(driver.get(&cx, &target).await.unwrap_err().is_not_found());
    }
    world.end().await;
}

/// A client's change of a network, with the uid and the token of its own.
fn change(uid: &str, vendor_id: Option<VendorId>, verb: Verb<Network>) -> Change<Network> {
    let uid: Uid = uid.parse().unwrap();
    Change { target: Target::Named { name: network("n1"), uid: Some(uid.clone()), vendor_id }, token: format!("t-{uid}"), uid, expect: None, past: Vec::new(), verb }
}
fn create_network() -> Verb<Network> {
    Verb::Create { spec: a_network(), digest: "v1-0".parse().unwrap() }
}

#[tokio::test]
async fn a_delete_takes_nothing_that_others_have_made() {
    let world = World::new(Config::default()).await;
    let (cloud, remote) = (world.cloud(), Remote::new(&world.client, "lab").await.unwrap());
    let cx = Cx { deadline: Instant::now() + SOON, owner: "me".parse().unwrap(), gate: Arc::new(OpenGate) };
    let driver = remote.networks().unwrap();
    let delete = async |c: &Change<Network>| steps(async |resume| driver.delete(&cx, c, &resume).await, false).await.unwrap();

    // A create that never came in, one that was answered with what exists, and what is meant is somebody else's.
    let theirs = world.done(cloud.create(&network("n1"), a_network(), Options::default()).await).await.object::<Network>().unwrap();
    delete(&change("11111111", None, Verb::Delete)).await;
    let create = change("22222222", None, create_network());
    let met = steps(async |resume| driver.create(&cx, &create, &a_network(), &resume).await, false).await.unwrap();
    assert_eq!(met.vendor_id, theirs.vendor_id);
    delete(&change("22222222", None, Verb::Delete)).await;
    assert_eq!(cloud.get(&network("n1")).await.unwrap().vendor_id, theirs.vendor_id);
    world.done(cloud.delete(&network("n1"), Options::default()).await).await;

    // What a create has made goes with its token, and what is there with its uid at the server.
    let create = change("33333333", None, create_network());
    let first = steps(async |resume| driver.create(&cx, &create, &a_network(), &resume).await, false).await.unwrap();
    delete(&change("33333333", None, Verb::Delete)).await;
    assert!(cloud.get(&network("n1")).await.unwrap_err().is_not_found());
    let create = change("44444444", None, create_network());
    let second = steps(async |resume| driver.create(&cx, &create, &a_network(), &resume).await, false).await.unwrap();
    delete(&Change { token: "other".into(), ..change(second.mark.unwrap().uid.as_str(), None, Verb::Delete) }).await;
    assert!(cloud.get(&network("n1")).await.unwrap_err().is_not_found());

    // The name is another resource's by now.
    let theirs = world.done(cloud.create(&network("n1"), a_network(), Options::default()).await).await.object::<Network>().unwrap();
    delete(&change("33333333", Some(first.vendor_id), Verb::Delete)).await;
    delete(&Change { token: "again".into(), ..change("33333333", None, Verb::Delete) }).await;
    assert_eq!(cloud.get(&network("n1")).await.unwrap().vendor_id, theirs.vendor_id);
    world.end().await;
}

#[tokio::test]
async fn a_delete_ends_only_its_own_create() {
    let world = World::new(Config { latency_ms: 300, ..Config::default() }).await;
    let (cloud, remote) = (world.cloud(), Remote::new(&world.client, "lab").await.unwrap());
    let cx = Cx { deadline: Instant::now() + SOON, owner: "me".parse().unwrap(), gate: Arc::new(OpenGate) };
    let driver = remote.networks().unwrap();
    let internet = || NetworkSpec { internet_access: true, ..a_network() };
    let delete = async |c: &Change<Network>| steps(async |resume| driver.delete(&cx, c, &resume).await, false).await.unwrap();

    // Joined: somebody else's create goes on.
    let theirs = cloud.create(&network("n1"), internet(), request("theirs")).await.unwrap();
    let create = change("11111111", None, Verb::Create { spec: internet(), digest: "v1-0".parse().unwrap() });
    assert!(matches!(driver.create(&cx, &create, &internet(), &Resume::default()).await.unwrap(), Step::Wait { .. }));
    delete(&change("11111111", None, Verb::Delete)).await;
    world.done(Ok(theirs)).await;
    world.done(cloud.delete(&network("n1"), Options::default()).await).await;

    // Its own is cancelled, and nothing is left.
    let create = change("22222222", None, Verb::Create { spec: internet(), digest: "v1-0".parse().unwrap() });
    assert!(matches!(driver.create(&cx, &create, &internet(), &Resume::default()).await.unwrap(), Step::Wait { .. }));
    delete(&change("22222222", None, Verb::Delete)).await;
    assert!(cloud.get(&network("n1")).await.unwrap_err().is_not_found());
    let (found, _) = cloud.operations("request_id = create-t-22222222", 1, "").await.unwrap();
    assert_eq!(found[0].end.clone().unwrap().unwrap_err().reason(), Reason::OperationCancelled);
    assert_eq!(cloud.operations("request_id = nobody", 1, "").await.unwrap().0, []);
    world.end().await;
}

/// The simulated cloud with some of its kinds only.
#[derive(Debug)]
struct Few(Arc<Sim>, Capabilities);
macro_rules! few {
    ([] managed { $($f:ident: $k:ident),* } catalogue { $($g:ident: $c:ident),* }) => {
        impl CloudProvider for Few {
            fn capabilities(&self) -> &Capabilities {
                &self.1
            }
            $(fn $f(&self) -> Option<&dyn Driver<$k>> {
                self.0.$f().filter(|_| self.1.of::<$k>().is_ok())
            })*
            $(fn $g(&self) -> Option<&dyn Reader<$c>> {
                self.0.$g().filter(|_| self.1.of::<$c>().is_ok())
            })*
        }
    };
}
kinds!(few);

#[tokio::test]
async fn a_kind_that_is_not_offered_is_refused() {
    let sim = Sim::open(Config::default(), None).unwrap();
    let mut capabilities = sim.capabilities().clone();
    capabilities.kinds.remove(Instance::COLLECTION);
    capabilities.kinds.remove(Image::COLLECTION);
    let world = World::over(Arc::new(Few(sim, capabilities))).await;
    let (cloud, web) = (world.cloud(), instance("web"));
    let image: Name<Image> = "locations/sim-1/images/debian-12".parse().unwrap();
    for result in [
        cloud.get(&web).await.map(|_| ()),
        cloud.get(&image).await.map(|_| ()),
        cloud.create(&web, an_instance(), Options::default()).await.map(|_| ()),
        cloud.act(&web, InstanceAction::Start, Options::default()).await.map(|_| ()),
        cloud.delete(&web, Options::default()).await.map(|_| ()),
        cloud.list::<Instance>(None, "", 0, "").await.map(|_| ()),
    ] {
        let e = result.unwrap_err();
        assert_eq!((e.kind(), e.reason()), (ErrorKind::Unimplemented, Reason::KindUnsupported));
    }
    let remote = Remote::new(&world.client, "lab").await.unwrap();
    assert!(remote.instances().is_none() && remote.images().is_none() && remote.networks().is_some());
    world.end().await;
}

#[tokio::test]
async fn nobody_answers() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Client::connect(format!("http://{address}")).await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (ErrorKind::Unavailable, Reason::CloudUnavailable));
    assert_eq!(Client::connect("not an address").await.unwrap_err().kind(), ErrorKind::InvalidArgument);
}
