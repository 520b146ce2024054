//! An engine over a simulated cloud, and what the tests make with it.

use std::{sync::Arc, time::Duration};
use welkin_core::{ErrorKind, Instance, InstanceSpec, LocationName, Name, Network, NetworkSpec, Reason, Ref, Result, Subnet, SubnetSpec};
use welkin_engine::{Account, Engine, MemoryJournal, Operation, Options, Settings};
use welkin_sim::{Config, Sim};

pub(crate) fn at() -> LocationName {
    LocationName::of("sim-1").unwrap()
}
pub(crate) fn network(id: &str) -> Name<Network> {
    Name::new(at(), id.parse().unwrap())
}
pub(crate) fn subnet(id: &str) -> Name<Subnet> {
    Name::new(at(), id.parse().unwrap())
}
pub(crate) fn instance(id: &str) -> Name<Instance> {
    Name::new(at(), id.parse().unwrap())
}
pub(crate) fn net_spec() -> NetworkSpec {
    NetworkSpec { cidrs: vec!["10.0.0.0/16".parse().unwrap()], internet_access: true, ..Default::default() }
}
pub(crate) fn sub_spec() -> SubnetSpec {
    SubnetSpec { network: Some(Ref::to(network("n1"))), cidrs: vec!["10.0.1.0/24".parse().unwrap()], ..Default::default() }
}
pub(crate) fn web_spec() -> InstanceSpec {
    InstanceSpec { machine_type: "small".into(), image: Some(Ref::to(Name::new(at(), "debian-12".parse().unwrap()))), subnet: Some(Ref::to(subnet("s1"))), ..Default::default() }
}
pub(crate) fn request(id: &str) -> Options {
    Options { request_id: Some(id.into()), ..Default::default() }
}

pub(crate) struct Lab {
    pub(crate) sim: Arc<Sim>,
    pub(crate) journal: MemoryJournal,
    pub(crate) engine: Engine,
}
impl Lab {
    pub(crate) async fn open(config: Config) -> Self {
        Self::with(Sim::open(config, None).unwrap(), MemoryJournal::new(), Settings::default()).await
    }
    pub(crate) async fn with(sim: Arc<Sim>, journal: MemoryJournal, settings: Settings) -> Self {
        let engine = Engine::builder().journal(journal.clone()).settings(settings).cloud("lab", sim.clone()).open().await.unwrap();
        Self { sim, journal, engine }
    }
    /// The process dies: nothing is finished, nothing is told.
    pub(crate) async fn crash(self) -> Self {
        let Self { sim, journal, engine } = self;
        drop(engine);
        tokio::task::yield_now().await;
        Self::with(sim, journal, Settings::default()).await
    }
    pub(crate) fn account(&self) -> Arc<Account> {
        Arc::clone(self.engine.account("lab").unwrap())
    }
    pub(crate) async fn end(&self, operation: Operation) -> Operation {
        if operation.is_done() { operation } else { self.account().wait(&operation.id, Duration::from_secs(600)).await.unwrap() }
    }
    pub(crate) async fn network(&self) -> Operation {
        let op = self.account().create(network("n1"), net_spec(), Options::default()).await.unwrap();
        self.end(op).await
    }
    pub(crate) async fn subnet(&self) {
        assert!(matches!(self.network().await.end, Some(Ok(_))));
        let op = self.account().create(subnet("s1"), sub_spec(), Options::default()).await.unwrap();
        assert!(matches!(self.end(op).await.end, Some(Ok(_))));
    }
    pub(crate) fn count(&self, object_type: &str) -> usize {
        self.sim.inventory().iter().filter(|o| o.object_type == object_type).count()
    }
    pub(crate) fn calls(&self, action: &str) -> u64 {
        self.account().vendor_calls().iter().filter(|(api, _)| api.action == action).map(|(_, n)| n).sum()
    }
    pub(crate) fn writes(&self) -> u64 {
        self.account().vendor_calls().iter().filter(|(api, _)| api.write).map(|(_, n)| n).sum()
    }
}
pub(crate) fn failure(op: &Operation) -> welkin_core::Error {
    op.end.clone().unwrap().unwrap_err()
}
pub(crate) fn refused<T: std::fmt::Debug>(r: Result<T>) -> (ErrorKind, Reason) {
    let e = r.unwrap_err();
    (e.kind(), e.reason())
}
