//! How every call of the vendor's API runs: time, throttling, faults, the effect, the disk, time again.

use super::{
    addresses,
    catalogue::{CpuType, ImageItem, MACHINES, Machine, images},
    clock::Clock,
    disks,
    fault::{FaultKind, Faults},
    gateways, instance_groups, instances,
    item::{Body, Condition, Item, Tags},
    load_balancers,
    log::Log,
    nat_gateways, networks, pools, records,
    refusal::{Code, Refusal},
    route_tables, security_groups,
    state::{Edit, Record, Region, State},
    subnets, templates, zones,
};
use crate::Config;
use parking_lot::{Mutex, RwLock};
use std::{
    collections::BTreeMap,
    future::pending,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::Instant;
use welkin_core::Result as Outcome;

/// Where the vendor keeps what lies in no region.
pub(crate) const GLOBAL: &str = "global";

macro_rules! actions {
    (reads { $($r:ident,)* } writes { $($w:ident,)* }) => {
        /// The vendor's calls.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Action { $($r,)* $($w,)* }
        impl Action {
            const ALL: &'static [Self] = &[$(Self::$r,)* $(Self::$w,)*];
            pub(crate) const fn as_str(self) -> &'static str { match self { $(Self::$r => stringify!($r),)* $(Self::$w => stringify!($w),)* } }
            pub(crate) const fn is_write(self) -> bool { match self { $(Self::$r => false,)* $(Self::$w => true,)* } }
        }
    };
}
actions! {
    reads {
        DescribeRegions, DescribeMachineTypes, DescribeImages, DescribeNetworks, DescribeGateways, DescribeSubnets, DescribeSecurityGroups, DescribeInstances, GetConsoleOutput,
        DescribeAddresses, DescribeDisks, DescribeZones, DescribeNatGateways, DescribeRouteTables, DescribeQuotas,
        DescribeLoadBalancers, DescribePools, DescribeRecords, DescribeTargetHealth,
        DescribeTemplates, DescribeInstanceGroups, DescribeGroupInstances,
        DryRun,
    }
    writes {
        CreateNetwork, DeleteNetwork, TagNetwork, CreateGateway, AttachGateway, DeleteGateway, CreateSubnet, ModifySubnet, DeleteSubnet, TagSubnet,
        CreateSecurityGroup, ModifySecurityGroup, AuthorizeRules, RevokeRules, DeleteSecurityGroup, TagSecurityGroup,
        LaunchInstance, ModifyInstance, StartInstance, StopInstance, RebootInstance, DeleteInstance, TagInstance,
        AllocateAddress, AssociateAddress, DisassociateAddress, ReleaseAddress, TagAddress,
        CreateDisk, ModifyDisk, AttachDisk, DetachDisk, DeleteDisk, TagDisk,
        CreateZone, AssociateNetwork, DisassociateNetwork, CommentZone, DeleteZone, TagZone,
        ChangeRecords,
        CreateNatGateway, DeleteNatGateway, TagNatGateway,
        CreateRouteTable, CreateRoute, ReplaceRoute, DeleteRoute, AssociateRouteTable, DisassociateRouteTable, DeleteRouteTable, TagRouteTable,
        CreatePool, ModifyPool, RegisterTargets, DeregisterTargets, DeletePool,
        CreateLoadBalancer, ModifyLoadBalancer, PlaceLoadBalancer, CreateListener, ModifyListener, DeleteListener, DeleteLoadBalancer, TagLoadBalancer,
        CreateTemplate, CreateTemplateVersion, DeleteTemplate,
        CreateInstanceGroup, ModifyInstanceGroup, TerminateGroupInstance, StartInstanceRefresh, CancelInstanceRefresh, DeleteInstanceGroup, TagInstanceGroup,
    }
}

impl Action {
    /// Is it about what lies in no region?
    const fn is_global(self) -> bool {
        let is_zone =
            matches!(self, Self::DescribeZones | Self::CreateZone | Self::AssociateNetwork | Self::DisassociateNetwork | Self::CommentZone | Self::DeleteZone | Self::TagZone);
        is_zone || matches!(self, Self::DescribeRecords | Self::ChangeRecords)
    }
}

/// What a call may draw on beside its region.
#[derive(Debug)]
pub(crate) struct Draw<'a> {
    pub(crate) config: &'a Config,
    pub(crate) region: &'a str,
    pub(crate) now_ms: u64,
    drawn: u64,
}
impl Draw<'_> {
    /// A random number that follows from the seed.
    pub(crate) fn random(&mut self) -> u64 {
        self.drawn += 1;
        let mut h = blake3::Hasher::new();
        h.update(&self.config.seed.to_le_bytes()).update(&self.drawn.to_le_bytes()).update(self.region.as_bytes());
        let hash = h.finalize();
        hash.as_bytes().iter().take(8).fold(0, |n, b| (n << 8) | u64::from(*b))
    }
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        let (high, low) = (self.random() & 0xf, self.random());
        format!("{prefix}{high:x}{low:016x}")
    }
    /// A new item, late for reads as the configuration wants it.
    pub(crate) fn item<T: Body>(&mut self, tags: Tags, body: T) -> Item<T> {
        let visible_ms = self.now_ms + self.config.read_lag_ms;
        Item { id: self.id(T::PREFIX), tags, created_ms: self.now_ms, visible_ms, tagged_ms: visible_ms.max(self.now_ms + self.config.tag_lag_ms), version: 1, body }
    }
}

/// A new version of an item.
pub(crate) fn changed<T: Clone>(item: &Item<T>, body: T) -> Item<T> {
    Item { version: item.version + 1, body, ..item.clone() }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// The vendor.
#[derive(Debug)]
pub(crate) struct Cloud {
    config: Config,
    clock: Clock,
    faults: Faults,
    state: RwLock<State>,
    log: Option<Mutex<Log>>,
    images: BTreeMap<String, Vec<ImageItem>>,
    buckets: Mutex<BTreeMap<String, Bucket>>,
    /// What a test has let run short: machine types, in a zone or in all.
    short: Mutex<Vec<(String, Option<String>)>>,
    calls: Vec<AtomicU64>,
    requests: AtomicU64,
}

impl Cloud {
    pub(crate) fn open(config: Config, dir: Option<&Path>) -> Outcome<Self> {
        config.check()?;
        let (log, mut state) = match dir {
            Some(dir) => Log::open(dir, config.seed).map(|(log, state)| (Some(Mutex::new(log)), state))?,
            None => (None, State::default()),
        };
        for region in config.regions.iter().map(String::as_str).chain([GLOBAL]) {
            state.regions.entry(region.to_owned()).or_default();
        }
        let clock = Clock::start();
        // In memory every run begins the same way; on disk the wall clock tells one start from the next.
        let run = if log.is_some() { clock.now_ms() } else { 0 };
        Ok(Self {
            faults: Faults::new(config.seed, run, config.faults),
            images: config.regions.iter().map(|r| (r.clone(), images(r))).collect(),
            calls: Action::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            buckets: Mutex::default(),
            requests: AtomicU64::new(0),
            state: RwLock::new(state),
            clock,
            log,
            short: Mutex::default(),
            config,
        })
    }
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }
    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }
    /// How often each call was made, those that failed too.
    pub(crate) fn calls(&self) -> BTreeMap<&'static str, u64> {
        Action::ALL.iter().zip(&self.calls).map(|(a, n)| (a.as_str(), n.load(Ordering::Relaxed))).filter(|(_, n)| *n > 0).collect()
    }

    /// A call that changes nothing.
    pub(crate) async fn read<T>(&self, action: Action, region: &str, work: impl FnOnce(&Region, u64) -> Result<T, Refusal>) -> Result<T, Refusal> {
        self.look(action, action.is_global(), region, work).await
    }
    pub(super) async fn look<T>(&self, action: Action, is_global: bool, region: &str, work: impl FnOnce(&Region, u64) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let fault = self.arrive(action, region).await?;
        if let Some(file) = self.happened(region)? {
            synced(file).await?;
        }
        let answer = {
            let state = self.state.read();
            let known = state.regions.get(region).filter(|_| is_global == (region == GLOBAL));
            known.ok_or_else(|| unknown(region)).and_then(|r| work(r, self.clock.now_ms()))
        };
        self.leave(fault, answer).await
    }
    /// A call that may change something: `work` decides, and what it decides is on disk before the answer leaves.
    pub(crate) async fn write<T>(&self, action: Action, region: &str, work: impl FnOnce(&Region, &mut Draw<'_>) -> Result<(T, Vec<Edit>), Refusal>) -> Result<T, Refusal> {
        let fault = self.arrive(action, region).await?;
        let here = if action.is_global() == (region == GLOBAL) { Ok(()) } else { Err(unknown(region)) };
        let answer = match here.and_then(|()| self.commit(region, work)) {
            Ok((answer, file)) => match file {
                Some(file) => synced(file).await.map(|()| answer),
                None => Ok(answer),
            },
            Err(e) => Err(e),
        };
        self.leave(fault, answer).await
    }
    /// Decides a write without doing it.
    pub(crate) async fn dry_run<T>(&self, region: &str, work: impl FnOnce(&Region, &mut Draw<'_>) -> Result<(T, Vec<Edit>), Refusal>) -> Result<(), Refusal> {
        let config = &self.config;
        self.read(Action::DryRun, region, |r, now_ms| work(r, &mut Draw { config, region, now_ms, drawn: 0 }).map(drop)).await
    }
    /// The same of what lies in no region.
    pub(crate) async fn dry_run_global<T>(&self, work: impl FnOnce(&Region, &mut Draw<'_>) -> Result<(T, Vec<Edit>), Refusal>) -> Result<(), Refusal> {
        let config = &self.config;
        self.look(Action::DryRun, true, GLOBAL, |r, now_ms| work(r, &mut Draw { config, region: GLOBAL, now_ms, drawn: 0 }).map(drop)).await
    }
    /// Is there such a network, whether or not a read shows it yet?
    pub(super) fn has_network(&self, region: &str, id: &str) -> bool {
        self.state.read().regions.get(region).is_some_and(|r| r.networks.get(id).is_some())
    }
    /// Is there such a load balancer, whether or not a read shows it yet?
    pub(super) fn has_load_balancer(&self, region: &str, id: &str) -> bool {
        let now_ms = self.clock.now_ms();
        self.state.read().regions.get(region).and_then(|r| r.load_balancers.get(id)).is_some_and(|b| !b.body.is_gone(now_ms))
    }
    /// A test's own doing: no time, no faults, no lag, not counted.
    pub(crate) fn plant<T>(&self, region: &str, work: impl FnOnce(&Region, &mut Draw<'_>) -> Result<(T, Vec<Edit>), Refusal>) -> Result<T, Refusal> {
        let (answer, file) = self.commit(region, work)?;
        match file.map(|f| f.sync_data()) {
            Some(Err(e)) => Err(storage(&e)),
            _ => Ok(answer),
        }
    }
    /// A test's own deletion. What uses an address or a disk and what protects an instance is passed over, what lies in a network is not.
    pub(crate) fn uproot(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.plant(region, |r, draw| match id.split_once('-').map_or("", |(prefix, _)| prefix) {
            "net" => networks::deleted(r, id),
            "gw" => gateways::deleted(r, id),
            "subnet" => subnets::deleted(r, id, draw.now_ms),
            "sg" => security_groups::deleted(r, id, draw.now_ms),
            "addr" => addresses::removed(r, id),
            "disk" => disks::removed(r, id),
            "zone" if id.contains('/') => records::removed(r, id),
            "zone" => zones::deleted(r, id),
            "nat" => nat_gateways::removed(r, id, draw.now_ms),
            "rtb" => route_tables::removed(r, id),
            "lb" => load_balancers::removed(r, id),
            "pool" => pools::deleted(r, id, draw.now_ms),
            "tmpl" => templates::removed(r, id),
            "grp" => instance_groups::removed(r, draw, id),
            _ => instances::moved(r, draw, id, Condition::Gone, 0),
        })
    }
    /// There is no capacity for a machine type any more, in this zone or in all.
    pub(crate) fn run_short(&self, machine_type: &str, zone: Option<&str>) {
        self.short.lock().push((machine_type.to_owned(), zone.map(str::to_owned)));
    }
    /// There is capacity for everything again that the configuration has capacity for.
    pub(crate) fn restock(&self) {
        self.short.lock().clear();
    }
    pub(crate) fn is_short(&self, machine_type: &str, zone: &str) -> bool {
        let config = self.config.out_of_capacity.iter().any(|(t, z)| t == machine_type && z == zone);
        config || self.short.lock().iter().any(|(t, z)| t == machine_type && z.as_ref().is_none_or(|z| z == zone))
    }
    /// Everything, also what no read shows yet.
    pub(crate) fn everything<T>(&self, look: impl Fn(&str, &Region, u64) -> Vec<T>) -> Vec<T> {
        for region in &self.config.regions {
            // What the disk does not take has not happened.
            let _ = self.happened(region);
        }
        let (state, now_ms) = (self.state.read(), self.clock.now_ms());
        state.regions.iter().flat_map(|(name, region)| look(name, region, now_ms)).collect()
    }

    fn commit<T>(&self, region: &str, work: impl FnOnce(&Region, &mut Draw<'_>) -> Result<(T, Vec<Edit>), Refusal>) -> Result<(T, Option<std::sync::Arc<std::fs::File>>), Refusal> {
        if region != GLOBAL && !self.config.regions.iter().any(|r| r == region) {
            return Err(unknown(region));
        }
        let mut state = self.state.write();
        let mut draw = Draw { config: &self.config, region, now_ms: self.clock.now_ms(), drawn: state.drawn };
        // First what is gone by now, because it holds addresses that this call may want.
        let gone = state.regions.entry(region.to_owned()).or_default().swept(draw.now_ms);
        self.keep(&mut state, Record { region: region.to_owned(), drawn: draw.drawn, edits: gone })?;
        self.let_happen(&mut state, &mut draw)?;
        let (answer, edits) = work(state.regions.entry(region.to_owned()).or_default(), &mut draw)?;
        let file = self.keep(&mut state, Record { region: region.to_owned(), drawn: draw.drawn, edits })?;
        Ok((answer, file))
    }
    /// Lets happen in a region what happens by itself and is due. Nothing is, nearly always: then readers do not wait for each other.
    fn happened(&self, region: &str) -> Result<Option<std::sync::Arc<std::fs::File>>, Refusal> {
        let now_ms = self.clock.now_ms();
        let is_due = {
            let state = self.state.read();
            let mut draw = Draw { config: &self.config, region, now_ms, drawn: state.drawn };
            state.regions.get(region).is_some_and(|r| self.due(r, &mut draw).is_some())
        };
        if !is_due {
            return Ok(None);
        }
        let mut state = self.state.write();
        let mut draw = Draw { config: &self.config, region, now_ms, drawn: state.drawn };
        self.let_happen(&mut state, &mut draw)
    }
    fn let_happen(&self, state: &mut State, draw: &mut Draw<'_>) -> Result<Option<std::sync::Arc<std::fs::File>>, Refusal> {
        let mut file = None;
        while let Some(edits) = state.regions.get(draw.region).and_then(|r| self.due(r, draw)) {
            file = self.keep(state, Record { region: draw.region.to_owned(), drawn: draw.drawn, edits })?;
        }
        Ok(file)
    }
    /// On the disk, where there is one, and then in memory.
    fn keep(&self, state: &mut State, record: Record) -> Result<Option<std::sync::Arc<std::fs::File>>, Refusal> {
        if record.edits.is_empty() {
            return Ok(None);
        }
        let file = match &self.log {
            Some(log) => Some(log.lock().append(&record).map_err(|e| storage(&e))?),
            None => None,
        };
        state.apply(record);
        Ok(file)
    }

    /// Everything that happens to a call before its effect.
    async fn arrive(&self, action: Action, region: &str) -> Result<Option<FaultKind>, Refusal> {
        if let Some(n) = Action::ALL.iter().position(|a| *a == action).and_then(|i| self.calls.get(i)) {
            n.fetch_add(1, Ordering::Relaxed);
        }
        self.take_time(self.config.latency_ms / 2).await;
        let fault = self.faults.next(action);
        match fault {
            Some(FaultKind::Refused) => return Err(self.numbered(Refusal::new(Code::ServiceUnavailable, "the service is not available at the moment"))),
            Some(FaultKind::RequestLost) => return Err(self.numbered(lost())),
            Some(FaultKind::HangsBefore) => pending().await,
            Some(FaultKind::ReplyLost | FaultKind::HangsAfter) | None => {}
        }
        self.charge(region).map_err(|e| self.numbered(e))?;
        Ok(fault)
    }
    /// Everything that happens to it afterwards.
    async fn leave<T>(&self, fault: Option<FaultKind>, answer: Result<T, Refusal>) -> Result<T, Refusal> {
        self.take_time(self.config.latency_ms.div_ceil(2)).await;
        match fault {
            Some(FaultKind::ReplyLost) => Err(self.numbered(lost())),
            Some(FaultKind::HangsAfter) => pending().await,
            _ => answer.map_err(|e| self.numbered(e)),
        }
    }
    async fn take_time(&self, ms: u64) {
        if ms > 0 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
    }
    fn numbered(&self, refusal: Refusal) -> Refusal {
        let n = self.requests.fetch_add(1, Ordering::Relaxed);
        Refusal { request_id: Some(format!("req-{n:012x}")), ..refusal }
    }
    fn charge(&self, region: &str) -> Result<(), Refusal> {
        let Some(limit) = self.config.throttle else { return Ok(()) };
        let now = Instant::now();
        let mut buckets = self.buckets.lock();
        let bucket = buckets.entry(region.to_owned()).or_insert(Bucket { tokens: f64::from(limit.burst), at: now });
        bucket.tokens = (bucket.tokens + (now - bucket.at).as_secs_f64() * limit.rate_per_s).min(f64::from(limit.burst));
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let wait = Duration::from_secs_f64(((1.0 - bucket.tokens) / limit.rate_per_s).min(3600.0)).max(Duration::from_millis(1));
        Err(Refusal { retry_after: Some(wait), ..Refusal::new(Code::Throttling, "too many calls") })
    }

    /// The regions and their zones.
    pub(crate) async fn describe_regions(&self) -> Result<Vec<(String, Vec<String>)>, Refusal> {
        let fault = self.arrive(Action::DescribeRegions, "global").await?;
        let mut all: Vec<_> = self.config.regions.iter().map(|r| (r.clone(), Config::zones(r).to_vec())).collect();
        all.sort();
        self.leave(fault, Ok(all)).await
    }
    /// What machines there are.
    pub(crate) async fn describe_machine_types(&self, region: &str) -> Result<&'static [Machine], Refusal> {
        self.read(Action::DescribeMachineTypes, region, |_, _| Ok(MACHINES)).await
    }
    /// What images there are.
    pub(crate) async fn describe_images(&self, region: &str) -> Result<&[ImageItem], Refusal> {
        self.read(Action::DescribeImages, region, |_, _| Ok(())).await?;
        Ok(self.images.get(region).map_or(&[], Vec::as_slice))
    }
    pub(crate) fn publisher() -> &'static str {
        super::catalogue::PUBLISHER
    }
    /// The machine type and the image of a launch, where they fit together.
    pub(crate) fn fitting(&self, region: &str, machine: &str, image: &str) -> Result<(&'static Machine, &ImageItem), Refusal> {
        let machine = MACHINES.iter().find(|m| m.name == machine).ok_or_else(|| {
            let known: Vec<_> = MACHINES.iter().map(|m| m.name).collect();
            Refusal::new(Code::MachineTypeNotFound, format!("there is no machine type {machine:?}; there are {}", known.join(", ")))
        })?;
        let found = self.images.get(region).and_then(|all| all.iter().find(|i| i.id == image));
        let image = found.ok_or_else(|| Refusal::new(Code::ImageNotFound, format!("there is no image {image:?} in {region}")))?;
        if image.cpu != machine.cpu {
            let need = if image.cpu == CpuType::Arm { "ARM" } else { "x86" };
            return Err(Refusal::new(Code::ImageArchitecture, format!("{} needs a machine with an {need} processor, and {} has another", image.name, machine.name)));
        }
        Ok((machine, image))
    }
}

fn unknown(region: &str) -> Refusal {
    Refusal::new(Code::UnknownRegion, format!("there is no region {region:?}"))
}
fn lost() -> Refusal {
    Refusal::new(Code::ConnectionLost, "the connection broke before a reply came")
}
fn storage(e: &impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::StorageFailure, e.to_string())
}
/// In the pool for blocking work, so that a slow disk holds up only the callers that wait for it.
async fn synced(file: std::sync::Arc<std::fs::File>) -> Result<(), Refusal> {
    match tokio::task::spawn_blocking(move || file.sync_data()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(e)) => Err(storage(&e)),
        Err(e) => Err(storage(&e)),
    }
}
