//! The provider: one value that drives every kind.

use crate::{
    Config, Fault,
    capability::capabilities,
    error::translated,
    inventory::{self, Planted, VendorObject},
    vendor::{Action, Cloud, GLOBAL, Refusal},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};
use welkin_core::{
    Address, Api, Capabilities, CloudProvider, Cx, Disk, DnsZone, Driver, Image, Instance, InstanceGroup, Kind, LoadBalancer, Location, MachineType, NatGateway, Network, Quota,
    Reader, RecordSet, Result, Resume, RouteTable, Scope, SecurityGroup, Subnet,
};

/// A simulated cloud.
#[derive(Debug)]
pub struct Sim {
    pub(crate) cloud: Cloud,
    capabilities: Capabilities,
}

impl Sim {
    /// Opens the cloud: the one in `dir` as it was left, or an empty one in memory.
    ///
    /// # Errors
    /// `InvalidArgument` naming the key of a wrong configuration; `FailedPrecondition` where another process has the folder; `DataLoss` where what
    /// is there is damaged or of a newer version (nothing is overwritten then).
    pub fn open(config: Config, dir: Option<&Path>) -> Result<Arc<Self>> {
        let capabilities = capabilities(&config);
        Ok(Arc::new(Self { cloud: Cloud::open(config, dir)?, capabilities }))
    }
    /// The configuration that it was opened with.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.cloud.config()
    }
    /// Every object of the vendor, also those that no read shows yet, with its true tags.
    #[must_use]
    pub fn inventory(&self) -> Vec<VendorObject> {
        inventory::of(&self.cloud)
    }
    /// Makes an object behind Welkin's back: at once, without lag or fault, and returns its vendor id.
    ///
    /// # Errors
    /// What the vendor refuses.
    pub fn plant(&self, region: &str, planted: Planted, tags: BTreeMap<String, String>) -> Result<String> {
        inventory::plant(&self.cloud, region, planted, tags).map_err(|e| translated(e, true))
    }
    /// Removes an object behind Welkin's back, by its vendor id.
    ///
    /// # Errors
    /// What the vendor refuses.
    pub fn uproot(&self, region: &str, vendor_id: &str) -> Result<()> {
        self.cloud.uproot(region, vendor_id).map_err(|e| translated(e, true))
    }
    /// Has no capacity for a machine type any more, in a zone or in all of them, until [`Sim::restock`].
    pub fn run_short(&self, machine_type: &str, zone: Option<&str>) {
        self.cloud.run_short(machine_type, zone);
    }
    /// Has capacity for everything again that the configuration does not exclude.
    pub fn restock(&self) {
        self.cloud.restock();
    }
    /// Lets one of the next calls go wrong.
    pub fn inject(&self, fault: Fault) {
        self.cloud.faults().inject(fault);
    }
    /// Forgets what was injected and has not happened.
    pub fn clear_faults(&self) {
        self.cloud.faults().clear();
    }
    /// How many faults have happened, injected or by chance.
    #[must_use]
    pub fn faults_fired(&self) -> u64 {
        self.cloud.faults().fired()
    }
    /// How often each call of the vendor was made, whatever it answered.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.cloud.calls()
    }

    /// One call of the vendor, through the gate.
    pub(crate) async fn call<T>(&self, cx: &Cx, action: Action, region: &str, call: impl Future<Output = std::result::Result<T, Refusal>> + Send) -> Result<T> {
        let (name, is_write) = (action.as_str(), action.is_write());
        let api = if is_write { Api::write("sim", name, region) } else { Api::read("sim", name, region) };
        cx.call(api, async { call.await.map_err(|e| translated(e, is_write)) }).await
    }
    pub(crate) fn now_ms(&self) -> u64 {
        self.cloud.clock().now_ms()
    }
    pub(crate) fn horizon(&self) -> Duration {
        self.cloud.config().horizon()
    }
    pub(crate) fn horizon_ms(&self) -> u64 {
        u64::try_from(self.horizon().as_millis()).unwrap_or(u64::MAX)
    }
    /// How long until it is worth looking again.
    pub(crate) fn pause(&self) -> Duration {
        (self.horizon() / 4).clamp(Duration::from_millis(20), Duration::from_secs(1))
    }
    /// Is there a write of unknown fate that must be looked for?
    pub(crate) fn must_look(&self, resume: &Resume) -> bool {
        resume.is_unresolved() && !self.cloud.config().unsafe_skip_look_up
    }
    /// The regions that a list has to ask.
    pub(crate) fn regions<K: Kind>(&self, parent: Option<&welkin_core::LocationName>) -> Vec<welkin_core::Shard> {
        let is_global = self.capabilities.of::<K>().is_ok_and(|c| c.scope == Scope::Global);
        let all: BTreeSet<&str> = match parent {
            Some(location) => [location.id.as_str()].into(),
            None if is_global => [GLOBAL].into(),
            None => self.cloud.config().regions.iter().map(String::as_str).collect(),
        };
        all.into_iter().map(|r| welkin_core::Shard(r.to_owned())).collect()
    }
}

impl CloudProvider for Sim {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }
    fn networks(&self) -> Option<&dyn Driver<Network>> {
        Some(self)
    }
    fn subnets(&self) -> Option<&dyn Driver<Subnet>> {
        Some(self)
    }
    fn security_groups(&self) -> Option<&dyn Driver<SecurityGroup>> {
        Some(self)
    }
    fn instances(&self) -> Option<&dyn Driver<Instance>> {
        Some(self)
    }
    fn addresses(&self) -> Option<&dyn Driver<Address>> {
        Some(self)
    }
    fn disks(&self) -> Option<&dyn Driver<Disk>> {
        Some(self)
    }
    fn nat_gateways(&self) -> Option<&dyn Driver<NatGateway>> {
        Some(self)
    }
    fn load_balancers(&self) -> Option<&dyn Driver<LoadBalancer>> {
        Some(self)
    }
    fn instance_groups(&self) -> Option<&dyn Driver<InstanceGroup>> {
        Some(self)
    }
    fn record_sets(&self) -> Option<&dyn Driver<RecordSet>> {
        Some(self)
    }
    fn route_tables(&self) -> Option<&dyn Driver<RouteTable>> {
        Some(self)
    }
    fn dns_zones(&self) -> Option<&dyn Driver<DnsZone>> {
        Some(self)
    }
    fn locations(&self) -> Option<&dyn Reader<Location>> {
        Some(self)
    }
    fn machine_types(&self) -> Option<&dyn Reader<MachineType>> {
        Some(self)
    }
    fn images(&self) -> Option<&dyn Reader<Image>> {
        Some(self)
    }
    fn quotas(&self) -> Option<&dyn Reader<Quota>> {
        Some(self)
    }
}
