//! The simulated cloud, driven without an engine, under paused time.

use async_trait::async_trait;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};
use welkin::{
    Address, Disk, DnsZone, Error, ErrorKind, Instance, InstanceGroup, Kind, LoadBalancer, LocationName, NatGateway, Network, Owner, Reason, RecordSet, Result, RouteTable,
    SecurityGroup, Subnet,
    sim::{Config, Fault, FaultKind, Planted as SimPlanted, Sim, Throttle},
};
use welkin_conformance::{Abilities, FaultPoint, Plant, Planted, Subject, World, WorldObject};

pub(super) const REGION: &str = "sim-1";

/// The vendor's side of the simulated cloud.
#[derive(Debug)]
pub(super) struct SimWorld {
    sim: Arc<Sim>,
    /// Faults that were told of already.
    told: Mutex<u64>,
}
impl SimWorld {
    pub(super) fn new(sim: Arc<Sim>) -> Arc<Self> {
        Arc::new(Self { sim, told: Mutex::new(0) })
    }
}

#[async_trait]
impl World for SimWorld {
    fn abilities(&self) -> Abilities {
        Abilities { plants: true, removes: true, faults: true, counts_reboots: true, runs_short: true }
    }
    async fn inventory(&self) -> Result<Vec<WorldObject>> {
        let all = self.sim.inventory().into_iter().map(|o| WorldObject {
            collection: match o.object_type {
                "network" => Some(Network::COLLECTION),
                "subnet" => Some(Subnet::COLLECTION),
                // That of a load balancer is a part of it.
                "security_group" if !o.tags.contains_key("welkin.dev/part-of-load-balancer") => Some(SecurityGroup::COLLECTION),
                // One that a group has made is a part of it.
                "instance" if !o.tags.contains_key("sim:instance-group") => Some(Instance::COLLECTION),
                "address" => Some(Address::COLLECTION),
                "disk" => Some(Disk::COLLECTION),
                "zone" => Some(DnsZone::COLLECTION),
                "records" => Some(RecordSet::COLLECTION),
                "nat_gateway" => Some(NatGateway::COLLECTION),
                "route_table" => Some(RouteTable::COLLECTION),
                "load_balancer" => Some(LoadBalancer::COLLECTION),
                "instance_group" => Some(InstanceGroup::COLLECTION),
                _ => None,
            },
            uid: o.tags.get("welkin.dev/uid").cloned(),
            reboots: Some(o.reboots).filter(|_| o.object_type == "instance"),
            // Records are called by their own id.
            vendor_id: o.id.rsplit('/').next().unwrap_or(&o.id).to_owned(),
        });
        Ok(all.collect())
    }
    async fn plant(&self, plant: Plant) -> Result<String> {
        let tags = plant.mark.map_or_else(BTreeMap::new, |m| {
            [("owner", m.owner.to_string()), ("id", m.id.to_string()), ("uid", m.uid.to_string())].map(|(k, v)| (format!("welkin.dev/{k}"), v)).into()
        });
        let what = match plant.what {
            Planted::Network { cidr } => SimPlanted::Network { cidr },
            Planted::Subnet { network, cidr } => SimPlanted::Subnet { network, cidr },
            Planted::SecurityGroup { network } => SimPlanted::SecurityGroup { network },
            Planted::Instance { subnet, image } => SimPlanted::Instance { subnet, image },
            Planted::Address => SimPlanted::Address,
            Planted::Disk { zone } => SimPlanted::Disk { zone },
            Planted::RecordSet { zone, id, address } => {
                return self.sim.plant(REGION, SimPlanted::Records { zone, id: id.parse()?, values: vec![address.to_string()] }, tags).map(|_| id);
            }
            Planted::DnsZone { dns_name } => SimPlanted::Zone { dns_name },
            Planted::NatGateway { subnet } => SimPlanted::NatGateway { subnet },
            Planted::RouteTable { network } => SimPlanted::RouteTable { network },
            Planted::InstanceGroup { subnet, .. } => SimPlanted::InstanceGroup { subnet },
            Planted::LoadBalancer { subnet } => SimPlanted::LoadBalancer { subnet },
        };
        self.sim.plant(REGION, what, tags)
    }
    async fn remove(&self, vendor_id: &str) -> Result<()> {
        let of_zone = format!("/{vendor_id}");
        match self.sim.inventory().into_iter().find(|o| o.id.ends_with(&of_zone)) {
            Some(records) => self.sim.uproot("global", &records.id),
            None => self.sim.uproot(if vendor_id.starts_with("zone-") { "global" } else { REGION }, vendor_id),
        }
    }
    async fn run_short(&self, machine_type: &str, zone: Option<&str>) -> Result<()> {
        self.sim.run_short(machine_type, zone);
        Ok(())
    }
    async fn restock(&self) {
        self.sim.restock();
    }
    async fn inject(&self, point: FaultPoint, after: u32) -> Result<()> {
        let kind = match point {
            FaultPoint::Refused => FaultKind::Refused,
            FaultPoint::BeforeEffect => FaultKind::RequestLost,
            FaultPoint::AfterEffect => FaultKind::ReplyLost,
            FaultPoint::Hangs => FaultKind::HangsAfter,
            FaultPoint::Throttled | FaultPoint::Truncated => {
                return Err(Error::new(ErrorKind::Unimplemented, Reason::VerbUnsupported, format!("this cloud cannot inject {point:?}")));
            }
        };
        self.sim.inject(Fault { action: None, after, kind });
        Ok(())
    }
    async fn settle_faults(&self) -> u64 {
        self.sim.clear_faults();
        let (all, mut told) = (self.sim.faults_fired(), self.told.lock());
        all - std::mem::replace(&mut *told, all)
    }
    fn calls(&self) -> Option<u64> {
        Some(self.sim.calls().into_values().sum())
    }
}

/// Values of fields that have a meaning of their own on each cloud.
pub(super) fn with_fields(subject: Subject) -> Subject {
    // Throttling is a mode of this cloud, and an answer of it is not cut: that is a lost reply.
    let fault_points = vec![FaultPoint::Refused, FaultPoint::BeforeEffect, FaultPoint::AfterEffect, FaultPoint::Hangs];
    Subject { identity: Some("builder".into()), disk_type: Some("fast".into()), encryption_key: Some("a-key".into()), fault_points, ..subject }
}
pub(super) fn location() -> Result<LocationName> {
    LocationName::of(REGION)
}

fn in_process(name: &str, config: Config) -> Result<Subject> {
    let sim = Sim::open(config, None)?;
    let owner: Owner = "conformance".parse()?;
    Ok(super::declared(with_fields(Subject::new(name, Arc::clone(&sim) as _, SimWorld::new(sim), owner, location()?))))
}

#[tokio::test(start_paused = true)]
async fn conformance_of_sim() {
    let subject = in_process("sim", Config { seed: 1, ..Config::default() }).unwrap();
    super::fidelity::keep("sim", &super::good(&subject).await);
}

/// Slow, late, throttled, with small pages, and without idempotency tokens.
#[tokio::test(start_paused = true)]
async fn conformance_of_a_difficult_sim() {
    let config = Config {
        seed: 2,
        latency_ms: 4,
        creation_time_ms: 3_000,
        transition_time_ms: 1_500,
        read_lag_ms: 400,
        tag_lag_ms: 900,
        page_size: 3,
        client_tokens: false,
        throttle: Some(Throttle { rate_per_s: 40.0, burst: 15 }),
        ..Config::default()
    };
    let subject = in_process("sim that lags, throttles and has no tokens", config).unwrap();
    super::fidelity::keep("sim-lagging", &super::good(&subject).await);
}

/// A conformance that cannot fail would be worth nothing: without looking up, duplicates are seen.
#[tokio::test(start_paused = true)]
async fn without_look_ups_the_trials_fail() {
    let subject = in_process("sim that never looks", Config { unsafe_skip_look_up: true, tag_lag_ms: 500, client_tokens: false, ..Config::default() }).unwrap();
    let report = welkin_conformance::run_some(&subject, |name| ["networks.crash", "instances.faults_after", "addresses.crash", "disks.faults_hanging"].contains(&name)).await;
    assert_eq!(report.counts(), (0, 4, 0), "{report}");
}
