//! Drivers that do what the simulated cloud's own never does: panic, wait for ever, answer too much or the wrong thing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use async_trait::async_trait;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};
use welkin_core::*;
use welkin_engine::{Account, Engine, ListRequest, MemoryJournal, Operation, Options, Settings};
use welkin_sim::{Config, Sim};

/// What it does instead.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bend {
    Nothing,
    /// Answers a create with an object whose mark is not shown yet.
    ForeignName,
    /// Panics in a step.
    Panic,
    /// Says so once something was written.
    Refuse(Reason),
    /// Never ends a step or a read.
    Hang,
    /// Never comes to an end.
    Wait,
    /// Answers one more than it was asked for.
    OneMore,
    /// Writes while it reads.
    WriteInRead,
}

/// The simulated cloud's networks, and no other kind but locations.
#[derive(Debug)]
struct Bent {
    sim: Arc<Sim>,
    capabilities: Capabilities,
    bend: Mutex<Bend>,
    /// What the first delete began with.
    deletes_from: Mutex<Option<Resume>>,
}
impl Bent {
    fn new(config: Config) -> Arc<Self> {
        let sim = Sim::open(config, None).unwrap();
        let mut capabilities = sim.capabilities().clone();
        capabilities.kinds.retain(|kind, _| ["networks", "locations"].contains(kind));
        Arc::new(Self { sim, capabilities, bend: Mutex::new(Bend::Nothing), deletes_from: Mutex::default() })
    }
    fn set(&self, bend: Bend) {
        *self.bend.lock().unwrap() = bend;
    }
    fn bend(&self) -> Bend {
        *self.bend.lock().unwrap()
    }
    fn driver(&self) -> &dyn Driver<Network> {
        self.sim.networks().unwrap()
    }
    /// In any step.
    async fn step(&self, resume: &Resume) -> Result<()> {
        match self.bend() {
            Bend::Panic => panic!("a defect"),
            Bend::Refuse(reason) if resume.handle.is_some() => Err(Error::new(ErrorKind::FailedPrecondition, reason, "refused")),
            Bend::Hang => std::future::pending().await,
            _ => Ok(()),
        }
    }
}
#[async_trait]
impl Reader<Network> for Bent {
    fn shards(&self, query: &Query<Network>) -> Vec<Shard> {
        self.driver().shards(query)
    }
    async fn get(&self, cx: &Cx, target: &Target<Network>) -> Result<Object<Network>> {
        match self.bend() {
            Bend::WriteInRead => cx.call(Api::write("sim", "Write", "r"), async { Err(Error::internal("it has left")) }).await,
            Bend::Hang => std::future::pending().await,
            _ => self.driver().get(cx, target).await,
        }
    }
    async fn list(&self, cx: &Cx, query: &Query<Network>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<Network>> {
        let more = usize::from(self.bend() == Bend::OneMore);
        self.driver().list(cx, &Query { page_size: query.page_size + more, ..query.clone() }, shard, from).await
    }
}
#[async_trait]
impl Driver<Network> for Bent {
    async fn check(&self, cx: &Cx, change: &Change<Network>) -> Result<()> {
        self.driver().check(cx, change).await
    }
    async fn create(&self, cx: &Cx, change: &Change<Network>, spec: &NetworkSpec, resume: &Resume) -> Result<Step<Object<Network>>> {
        self.step(resume).await?;
        let bend = self.bend();
        let made = self.driver().create(cx, change, spec, resume).await?;
        Ok(made.map(|mut object| {
            if bend == Bend::ForeignName {
                object.name.id = ResourceId::of_vendor(object.vendor_id.as_str()).unwrap();
                object.mark = None;
            }
            object
        }))
    }
    async fn update(&self, cx: &Cx, change: &Change<Network>, desired: &NetworkSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<Network>>> {
        self.step(resume).await?;
        if self.bend() == Bend::Wait {
            cx.call(Api::write("sim", "Write", "r"), async { Ok(()) }).await?;
            return Step::wait(&1, Duration::from_secs(1), "for ever");
        }
        self.driver().update(cx, change, desired, paths, resume).await
    }
    async fn delete(&self, cx: &Cx, change: &Change<Network>, resume: &Resume) -> Result<Step<()>> {
        self.deletes_from.lock().unwrap().get_or_insert_with(|| resume.clone());
        if !matches!(self.bend(), Bend::Refuse(_)) {
            self.step(resume).await?;
        }
        if self.bend() == Bend::Wait {
            cx.call(Api::write("sim", "Write", "r"), async { Ok(()) }).await?;
            return Step::wait(&1, Duration::from_secs(1), "for ever");
        }
        self.driver().delete(cx, change, resume).await
    }
    async fn act(&self, _: &Cx, _: &Change<Network>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }
    async fn ask(&self, _: &Cx, _: &Target<Network>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}
impl CloudProvider for Bent {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }
    fn networks(&self) -> Option<&dyn Driver<Network>> {
        Some(self)
    }
    fn security_groups(&self) -> Option<&dyn Driver<SecurityGroup>> {
        None
    }
    fn subnets(&self) -> Option<&dyn Driver<Subnet>> {
        None
    }
    fn instances(&self) -> Option<&dyn Driver<Instance>> {
        None
    }
    fn addresses(&self) -> Option<&dyn Driver<Address>> {
        None
    }
    fn disks(&self) -> Option<&dyn Driver<Disk>> {
        None
    }
    fn nat_gateways(&self) -> Option<&dyn Driver<NatGateway>> {
        None
    }
    fn record_sets(&self) -> Option<&dyn Driver<RecordSet>> {
        None
    }
    fn route_tables(&self) -> Option<&dyn Driver<RouteTable>> {
        None
    }
    fn load_balancers(&self) -> Option<&dyn Driver<welkin_core::LoadBalancer>> {
        None
    }
    fn instance_groups(&self) -> Option<&dyn Driver<welkin_core::InstanceGroup>> {
        None
    }
    fn dns_zones(&self) -> Option<&dyn Driver<DnsZone>> {
        None
    }
    fn locations(&self) -> Option<&dyn Reader<Location>> {
        self.sim.locations()
    }
    fn machine_types(&self) -> Option<&dyn Reader<MachineType>> {
        None
    }
    fn images(&self) -> Option<&dyn Reader<Image>> {
        None
    }
    fn quotas(&self) -> Option<&dyn Reader<Quota>> {
        None
    }
}

async fn open(bent: &Arc<Bent>, settings: Settings) -> (Engine, Arc<Account>) {
    let engine = Engine::builder().journal(MemoryJournal::new()).settings(settings).cloud("lab", bent.clone()).open().await.unwrap();
    let account = Arc::clone(engine.account("lab").unwrap());
    (engine, account)
}
fn n1() -> Name<Network> {
    "locations/sim-1/networks/n1".parse().unwrap()
}
fn spec() -> NetworkSpec {
    NetworkSpec { cidrs: vec!["10.0.0.0/16".parse().unwrap()], internet_access: true, ..Default::default() }
}
fn labels() -> (NetworkSpec, BTreeSet<FieldPath>) {
    (NetworkSpec { labels: [("a".to_owned(), "b".to_owned())].into(), ..Default::default() }, ["labels".into()].into())
}
async fn create(account: &Arc<Account>) -> Operation {
    account.create(n1(), spec(), Options::default()).await.unwrap()
}
async fn end(account: &Account, op: Operation) -> Operation {
    let op = if op.is_done() { op } else { account.wait(&op.id, Duration::from_secs(100_000)).await.unwrap() };
    assert!(op.is_done(), "{op:?}");
    op
}
fn failure(op: &Operation) -> Error {
    op.end.clone().unwrap().unwrap_err()
}
fn count(bent: &Bent) -> usize {
    bent.sim.inventory().len()
}

#[tokio::test(start_paused = true)]
async fn a_name_is_what_the_change_says() {
    let bent = Bent::new(Config::default());
    let (_engine, account) = open(&bent, Settings::default()).await;
    bent.set(Bend::ForeignName);
    let op = create(&account).await;
    let object = end(&account, op).await.object::<Network>().unwrap();
    assert_eq!((object.name, object.mark.unwrap().owner), (n1(), account.owner().clone()));
    // The name is known with the vendor's id: no look-up by marks that lag behind.
    assert_eq!(account.get(&n1()).await.unwrap().vendor_id, object.vendor_id);
    let op = account.delete(n1(), Options::default()).await.unwrap();
    end(&account, op).await.end.unwrap().unwrap();
    assert_eq!(count(&bent), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_configuration_lacks_destroys_nothing() {
    for reason in [Reason::CloudCredentials, Reason::CloudPermission, Reason::CloudAccount, Reason::LocationUnknown] {
        let bent = Bent::new(Config { latency_ms: 300, ..Default::default() });
        let (_engine, account) = open(&bent, Settings::default()).await;
        bent.set(Bend::Refuse(reason));
        let op = create(&account).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        let now = account.operation(&op.id).await.unwrap();
        assert!(!now.is_done() && now.progress.contains(reason.as_str()), "{now:?}");
        bent.set(Bend::Nothing);
        end(&account, op).await.object::<Network>().unwrap();
        assert_eq!(count(&bent), 2);
    }
    // Any other refusal ends it, and nothing is left.
    let bent = Bent::new(Config::default());
    let (_engine, account) = open(&bent, Settings::default()).await;
    bent.set(Bend::Refuse(Reason::QuotaExceeded));
    let op = create(&account).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    bent.set(Bend::Nothing);
    let e = failure(&end(&account, op).await);
    assert_eq!((e.reason(), e.effect(), count(&bent)), (Reason::QuotaExceeded, Effect::None, 0));
    // What the create kept is where its removal begins, and nothing beside it is open.
    let from = bent.deletes_from.lock().unwrap().take().unwrap();
    assert!(from.handle.is_some() && from.written.is_some() && from.unresolved.is_none(), "{from:?}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_error_of_one_operation() {
    let bent = Bent::new(Config::default());
    let (_engine, account) = open(&bent, Settings::default()).await;
    bent.set(Bend::Panic);
    let op = create(&account).await;
    assert_eq!(failure(&end(&account, op).await).reason(), Reason::Internal);
    bent.set(Bend::Nothing);
    let op = create(&account).await;
    end(&account, op).await.object::<Network>().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_hangs_is_left() {
    let bent = Bent::new(Config::default());
    let (_engine, account) = open(&bent, Settings::default()).await;
    let op = create(&account).await;
    end(&account, op).await;
    bent.set(Bend::Hang);
    let start = tokio::time::Instant::now();
    let e = account.get(&n1()).await.unwrap_err();
    assert_eq!((e.reason(), e.retry()), (Reason::Deadline, Retry::Exhausted));
    assert!(start.elapsed() <= Settings::default().read_deadline + Duration::from_secs(1), "{:?}", start.elapsed());
    let op = account.delete(n1(), Options::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(account.operation(&op.id).await.unwrap().steps > 1, "a step that hangs is given up and taken again");
    bent.set(Bend::Nothing);
    end(&account, op).await.end.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_end_before_the_goal_says_what_was_done() {
    let bent = Bent::new(Config::default());
    let (_engine, account) = open(&bent, Settings { max_age: Duration::from_secs(100), ..Default::default() }).await;
    let op = create(&account).await;
    end(&account, op).await;
    bent.set(Bend::Wait);
    let (patch, paths) = labels();
    for cancel in [true, false] {
        let reason = if cancel { Reason::OperationCancelled } else { Reason::OperationExpired };
        let updating = account.update(n1(), patch.clone(), paths.clone(), Options::default()).await.unwrap();
        if cancel {
            account.cancel(&updating.id).await.unwrap();
        }
        let e = failure(&end(&account, updating).await);
        assert_eq!((e.reason(), e.effect()), (reason, Effect::Applied));
        let deleting = account.delete(n1(), Options::default()).await.unwrap();
        if cancel {
            account.cancel(&deleting.id).await.unwrap();
        }
        let e = failure(&end(&account, deleting).await);
        assert_eq!((e.reason(), e.effect()), (reason, Effect::Applied));
    }
    // And a refusal after the first write.
    let updating = account.update(n1(), patch, paths, Options::default()).await.unwrap();
    bent.set(Bend::Refuse(Reason::WrongState));
    let e = failure(&end(&account, updating).await);
    assert_eq!((e.reason(), e.effect()), (Reason::WrongState, Effect::Applied));
    assert_eq!(count(&bent), 2);
}

#[tokio::test(start_paused = true)]
async fn defects_are_told() {
    let bent = Bent::new(Config::default());
    let (engine, account) = open(&bent, Settings::default()).await;
    let op = create(&account).await;
    end(&account, op).await;
    bent.set(Bend::WriteInRead);
    let e = account.get(&n1()).await.unwrap_err();
    assert!(e.reason() == Reason::Internal && e.message().contains("outside any operation"), "{e}");
    for i in 1..4 {
        bent.sim.plant("sim-1", welkin_sim::Planted::Network { cidr: format!("10.{i}.0.0/16").parse().unwrap() }, Default::default()).unwrap();
    }
    bent.set(Bend::OneMore);
    let parent = Some("locations/sim-1".parse().unwrap());
    let ask = ListRequest::<Network> { cloud: Some("lab".into()), parent, filter: String::new(), page_size: 2, page_token: String::new() };
    assert_eq!(engine.list(ask).await.unwrap_err().reason(), Reason::Internal);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_offered_is_refused() {
    let bent = Bent::new(Config::default());
    let (engine, account) = open(&bent, Settings::default()).await;
    let s1: Name<Subnet> = "locations/sim-1/subnets/s1".parse().unwrap();
    for result in [
        account.get(&s1).await.map(|_| ()),
        account.create(s1.clone(), SubnetSpec::default(), Options::default()).await.map(|_| ()),
        account.delete(s1.clone(), Options::default()).await.map(|_| ()),
    ] {
        let e = result.unwrap_err();
        assert_eq!((e.kind(), e.reason()), (ErrorKind::Unimplemented, Reason::KindUnsupported));
    }
    let ask = |cloud: Option<&str>| ListRequest::<Subnet> { cloud: cloud.map(Into::into), parent: None, filter: String::new(), page_size: 9, page_token: String::new() };
    assert_eq!(engine.list(ask(Some("lab"))).await.unwrap_err().reason(), Reason::KindUnsupported);
    assert_eq!(engine.list(ask(None)).await.unwrap().items.len(), 0);
}
