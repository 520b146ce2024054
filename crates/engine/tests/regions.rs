//! A list over regions that are not equally far away, one of them down: how many calls it makes, and how long it takes.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;
use welkin_core::*;
use welkin_engine::{Engine, ListRequest, Settings};
use welkin_sim::{Config, Planted, Sim};

/// Objects a page: the vendor's, whatever is asked for.
const PAGE: usize = 100;

/// What a region has, and how far away it is.
#[derive(Debug, Clone, Copy)]
struct Region {
    id: &'static str,
    instances: usize,
    ms: u64,
}
impl Region {
    fn pages(&self) -> u64 {
        self.instances.div_ceil(PAGE) as u64
    }
    /// Its pages one after another, as if it were the only one.
    fn alone(&self) -> Duration {
        Duration::from_millis(self.pages() * self.ms)
    }
}

/// The simulated cloud's instances, each region as far away as it is, and one of them perhaps down.
#[derive(Debug)]
struct Regions {
    sim: Arc<Sim>,
    capabilities: Capabilities,
    regions: [Region; 3],
    down: Option<&'static str>,
}
impl Regions {
    fn new(regions: [Region; 3], down: Option<&'static str>) -> Arc<Self> {
        let sim = Sim::open(Config { regions: regions.iter().map(|r| r.id.into()).collect(), page_size: PAGE, ..Config::default() }, None).unwrap();
        let mut capabilities = sim.capabilities().clone();
        capabilities.kinds.retain(|kind, _| ["instances", "locations"].contains(kind));
        Arc::new(Self { sim, capabilities, regions, down })
    }
    /// Instances that somebody made, and all their ids.
    async fn fill(&self) -> BTreeSet<String> {
        let cx = Cx { deadline: Instant::now() + Duration::from_secs(1), owner: "me".parse().unwrap(), gate: Arc::new(OpenGate) };
        let mut ids = BTreeSet::new();
        for region in &self.regions {
            let image = Target::<Image>::named(format!("locations/{}/images/debian-12", region.id).parse().unwrap());
            let image = self.sim.images().unwrap().get(&cx, &image).await.unwrap().vendor_id.to_string();
            let plant = |planted| self.sim.plant(region.id, planted, BTreeMap::new()).unwrap();
            let cidr = "10.0.0.0/16".parse().unwrap();
            let network = plant(Planted::Network { cidr });
            let subnet = plant(Planted::Subnet { network, cidr });
            ids.extend((0..region.instances).map(|_| plant(Planted::Instance { subnet: subnet.clone(), image: image.clone() })));
        }
        ids
    }
    fn driver(&self) -> &dyn Driver<Instance> {
        self.sim.instances().unwrap()
    }
}
#[async_trait]
impl Reader<Instance> for Regions {
    fn shards(&self, query: &Query<Instance>) -> Vec<Shard> {
        self.driver().shards(query)
    }
    async fn get(&self, cx: &Cx, target: &Target<Instance>) -> Result<Object<Instance>> {
        self.driver().get(cx, target).await
    }
    async fn list(&self, cx: &Cx, query: &Query<Instance>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<Instance>> {
        let region = self.regions.iter().find(|r| r.id == shard.0).unwrap();
        tokio::time::sleep(Duration::from_millis(region.ms)).await;
        if self.down == Some(region.id) {
            let down = async { Err(Error::new(ErrorKind::Unavailable, Reason::CloudUnavailable, "it is down")) };
            return cx.call(Api::read("sim", "DescribeInstances", region.id), down).await;
        }
        self.driver().list(cx, query, shard, from).await
    }
}
#[async_trait]
impl Driver<Instance> for Regions {
    async fn check(&self, cx: &Cx, change: &Change<Instance>) -> Result<()> {
        self.driver().check(cx, change).await
    }
    async fn create(&self, cx: &Cx, change: &Change<Instance>, spec: &InstanceSpec, resume: &Resume) -> Result<Step<Object<Instance>>> {
        self.driver().create(cx, change, spec, resume).await
    }
    async fn update(&self, cx: &Cx, change: &Change<Instance>, desired: &InstanceSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<Instance>>> {
        self.driver().update(cx, change, desired, paths, resume).await
    }
    async fn delete(&self, cx: &Cx, change: &Change<Instance>, resume: &Resume) -> Result<Step<()>> {
        self.driver().delete(cx, change, resume).await
    }
    async fn act(&self, cx: &Cx, change: &Change<Instance>, action: &InstanceAction, resume: &Resume) -> Result<Step<()>> {
        self.driver().act(cx, change, action, resume).await
    }
    async fn ask(&self, cx: &Cx, target: &Target<Instance>, question: &InstanceQuestion) -> Result<ConsoleOutput> {
        self.driver().ask(cx, target, question).await
    }
}
impl CloudProvider for Regions {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }
    fn networks(&self) -> Option<&dyn Driver<Network>> {
        None
    }
    fn security_groups(&self) -> Option<&dyn Driver<SecurityGroup>> {
        None
    }
    fn subnets(&self) -> Option<&dyn Driver<Subnet>> {
        None
    }
    fn instances(&self) -> Option<&dyn Driver<Instance>> {
        Some(self)
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

/// What a whole list came to.
struct Listed {
    ids: Vec<String>,
    unreachable: BTreeSet<String>,
    /// At the gate, by region.
    calls: BTreeMap<String, u64>,
    took: Duration,
}
/// The whole list, page by page, as a caller who asks for as much as a page can have.
async fn listed(cloud: &Arc<Regions>, settings: Settings) -> Listed {
    let engine = Engine::builder().settings(settings).cloud("lab", Arc::<Regions>::clone(cloud)).open().await.unwrap();
    let mut ask = ListRequest::<Instance> { cloud: Some("lab".into()), parent: None, filter: String::new(), page_size: 1000, page_token: String::new() };
    let (begin, mut ids, mut unreachable) = (Instant::now(), Vec::new(), BTreeSet::new());
    loop {
        let page = engine.list(ask.clone()).await.unwrap();
        ids.extend(page.items.into_iter().map(|(_, o)| o.vendor_id.to_string()));
        unreachable.extend(page.unreachable);
        if page.next_page_token.is_empty() {
            break;
        }
        ask.page_token = page.next_page_token;
    }
    let calls = engine.account("lab").unwrap().vendor_calls();
    assert!(calls.keys().all(|api| api.action == "DescribeInstances"), "{calls:?}");
    Listed { ids, unreachable, calls: calls.into_iter().map(|(api, n)| (api.region, n)).collect(), took: begin.elapsed() }
}
fn each(regions: &[Region], calls: impl Fn(&Region) -> u64) -> BTreeMap<String, u64> {
    regions.iter().map(|r| (r.id.to_owned(), calls(r))).collect()
}

/// The largest region is the one that is furthest away.
const REGIONS: [Region; 3] = [Region { id: "r-1", instances: 543, ms: 300 }, Region { id: "r-2", instances: 257, ms: 100 }, Region { id: "r-3", instances: 200, ms: 50 }];

#[tokio::test(start_paused = true)]
async fn a_thousand_instances_take_as_long_as_those_of_the_slowest_region() {
    let cloud = Regions::new(REGIONS, None);
    let there = cloud.fill().await;
    let all = listed(&cloud, Settings::default()).await;
    assert_eq!((all.ids.len(), all.ids.iter().cloned().collect::<BTreeSet<_>>(), all.unreachable.len()), (1000, there, 0));
    assert_eq!(all.calls, each(&REGIONS, Region::pages));
    let slowest = REGIONS.iter().map(Region::alone).max().unwrap();
    assert_eq!(all.took, slowest);
    let sum: Duration = REGIONS.iter().map(Region::alone).sum();
    println!("1,000 instances over 3 regions: {} calls, {} ms; one region after another would take {} ms", all.calls.values().sum::<u64>(), all.took.as_millis(), sum.as_millis());
}

/// Each page waits for the regions that are still open, so a small region that is far away is paid for beside the many pages of a near one.
#[tokio::test(start_paused = true)]
async fn each_page_takes_as_long_as_the_slowest_region_that_is_still_open() {
    let regions = [Region { ms: 50, ..REGIONS[0] }, REGIONS[1], Region { ms: 300, ..REGIONS[2] }];
    let cloud = Regions::new(regions, None);
    cloud.fill().await;
    let all = listed(&cloud, Settings::default()).await;
    let page = |n: u64| regions.iter().filter(|r| r.pages() > n).map(|r| r.ms).max();
    let rounds = Duration::from_millis((0..).map_while(page).sum());
    assert_eq!((all.ids.len(), all.took), (1000, rounds));
    println!(
        "the same where the largest is the nearest: {} ms; the slowest region alone {} ms",
        all.took.as_millis(),
        regions.iter().map(Region::alone).max().unwrap().as_millis()
    );
}

#[tokio::test(start_paused = true)]
async fn a_region_that_is_down_is_named_and_the_others_are_whole() {
    for down in REGIONS {
        let cloud = Regions::new(REGIONS, Some(down.id));
        cloud.fill().await;
        let settings = Settings { read_attempts: 1, ..Settings::default() };
        let all = listed(&cloud, settings).await;
        assert_eq!(all.unreachable, [format!("clouds/lab/locations/{}", down.id)].into());
        let unique: BTreeSet<&String> = all.ids.iter().collect();
        assert_eq!((all.ids.len(), unique.len()), (1000 - down.instances, 1000 - down.instances));
        assert_eq!(all.calls, each(&REGIONS, |r| if r.id == down.id { 1 } else { r.pages() }));
        // It is asked once, with the first page; after that the others go on alone.
        let page = |n: u64| REGIONS.iter().filter(|r| if r.id == down.id { n == 0 } else { r.pages() > n }).map(|r| r.ms).max();
        assert_eq!(all.took, Duration::from_millis((0..).map_while(page).sum()), "{}", down.id);
    }
}
