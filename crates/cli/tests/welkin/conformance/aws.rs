//! AWS, as moto plays it: the provider without an engine, under exactly the policy that its docs give.

use crate::{
    moto::Moto,
    proxy::{Fault, Lag, Proxy},
};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use welkin::{
    Address, Disk, DnsZone, Error, ErrorKind, Instance, InstanceGroup, Kind, LoadBalancer, LocationName, NatGateway, Network, Reason, RecordSet, Result, RouteTable, SecurityGroup,
    Subnet, VendorConfig,
    aws::{Aws, AwsConfig},
};
use welkin_conformance::{Abilities, FaultPoint, Plant, Planted, Subject, World, WorldObject};

const COLLECTIONS: [&str; 12] = [
    Network::COLLECTION,
    Subnet::COLLECTION,
    SecurityGroup::COLLECTION,
    Instance::COLLECTION,
    Address::COLLECTION,
    Disk::COLLECTION,
    NatGateway::COLLECTION,
    RouteTable::COLLECTION,
    DnsZone::COLLECTION,
    RecordSet::COLLECTION,
    LoadBalancer::COLLECTION,
    InstanceGroup::COLLECTION,
];

/// What moto has, as its own client sees it, and the proxy that the provider goes through.
#[derive(Debug)]
struct MotoWorld {
    moto: Arc<Moto>,
    proxy: Arc<Proxy>,
}
impl MotoWorld {
    async fn ask(&self, wish: Value) -> Result<Value> {
        let moto = Arc::clone(&self.moto);
        let answer = tokio::task::spawn_blocking(move || moto.ask(&wish)).await.map_err(|e| Error::internal(e.to_string()))?;
        answer.map_err(|e| Error::new(ErrorKind::Unknown, Reason::CloudRefused, e))
    }
}

#[async_trait]
impl World for MotoWorld {
    fn abilities(&self) -> Abilities {
        Abilities { plants: true, removes: true, faults: true, counts_reboots: false, runs_short: false }
    }
    async fn inventory(&self) -> Result<Vec<WorldObject>> {
        let rows = self.ask(json!({"do": "inventory"})).await?;
        let object = |row: &Value| WorldObject {
            vendor_id: row["id"].as_str().unwrap_or_default().to_owned(),
            collection: COLLECTIONS.into_iter().find(|c| row["collection"].as_str() == Some(c)),
            uid: row["uid"].as_str().map(str::to_owned),
            reboots: None,
        };
        Ok(rows.as_array().into_iter().flatten().map(object).collect())
    }
    async fn plant(&self, plant: Plant) -> Result<String> {
        let tags: BTreeMap<&str, String> = plant
            .mark
            .map_or_else(BTreeMap::new, |m| [("welkin.dev/owner", m.owner.to_string()), ("welkin.dev/id", m.id.to_string()), ("welkin.dev/uid", m.uid.to_string())].into());
        let wish = match plant.what {
            Planted::Network { cidr } => json!({"do": "plant", "what": "network", "tags": tags, "cidr": cidr}),
            Planted::Subnet { network, cidr } => json!({"do": "plant", "what": "subnet", "tags": tags, "network": network, "cidr": cidr}),
            Planted::SecurityGroup { network } => json!({"do": "plant", "what": "security-group", "tags": tags, "network": network}),
            Planted::Instance { subnet, image } => json!({"do": "plant", "what": "instance", "tags": tags, "subnet": subnet, "image": image}),
            Planted::Address => json!({"do": "plant", "what": "elastic-ip", "tags": tags}),
            Planted::Disk { zone } => json!({"do": "plant", "what": "volume", "tags": tags, "zone": zone}),
            Planted::DnsZone { dns_name } => json!({"do": "plant", "what": "hostedzone", "tags": tags, "dns_name": dns_name}),
            Planted::RecordSet { zone, id, address } => json!({"do": "plant", "what": "records", "zone": zone, "dns_name": id, "address": address}),
            Planted::LoadBalancer { subnet } => json!({"do": "plant", "what": "balancer", "tags": tags, "subnet": subnet}),
            Planted::InstanceGroup { subnet, image } => json!({"do": "plant", "what": "scaling-group", "tags": tags, "subnet": subnet, "image": image}),
            Planted::RouteTable { network } => json!({"do": "plant", "what": "route-table", "tags": tags, "network": network}),
            Planted::NatGateway { subnet } => json!({"do": "plant", "what": "natgateway", "tags": tags, "subnet": subnet}),
        };
        let made = self.ask(wish).await?;
        Ok(made.as_str().unwrap_or_default().to_owned())
    }
    async fn remove(&self, vendor_id: &str) -> Result<()> {
        self.ask(json!({"do": "remove", "id": vendor_id})).await.map(drop)
    }
    async fn run_short(&self, machine_type: &str, _: Option<&str>) -> Result<()> {
        Err(Error::new(ErrorKind::Unimplemented, Reason::VerbUnsupported, format!("moto always has a {machine_type}")))
    }
    async fn restock(&self) {}
    async fn inject(&self, point: FaultPoint, after: u32) -> Result<()> {
        let fault = match point {
            FaultPoint::Refused => Fault::Unavailable,
            FaultPoint::Throttled => Fault::Throttled,
            FaultPoint::BeforeEffect => Fault::ResetBefore,
            FaultPoint::AfterEffect => Fault::ResetAfter,
            FaultPoint::Hangs => Fault::Hang,
            FaultPoint::Truncated => Fault::Truncated,
        };
        self.proxy.inject(fault, after);
        Ok(())
    }
    async fn settle_faults(&self) -> u64 {
        self.proxy.settle()
    }
    fn calls(&self) -> Option<u64> {
        None
    }
}

/// How many motos share the trials: one takes longer and longer to describe what it has, since it forgets nothing that was terminated.
const MOTOS: usize = 6;

/// For how long a read may not show what was written, where EC2 does not lag.
const HORIZON: Duration = Duration::from_millis(100);

#[tokio::test]
async fn conformance_of_aws() {
    let dirs = [(); MOTOS].map(|()| tempfile::tempdir().unwrap());
    let mut alike = Vec::new();
    for dir in &dirs {
        let Some(moto) = Moto::start(dir.path()) else { return };
        let proxy = Proxy::start(moto.port()).await;
        alike.push(subject("aws on moto through the fault proxy", moto, Arc::new(proxy), HORIZON, Duration::from_secs(2)).await);
    }
    super::fidelity::keep("aws-moto", &super::good_shared(&alike).await);
}

/// Two calls in three meet an EC2 that is this far behind: longer than a call takes on a busy machine, or nothing lags.
const LAG: Duration = Duration::from_millis(300);
const LAGGING_PERCENT: u64 = 67;
/// Longer than anything lags, by more than a call takes to arrive: the horizon runs from when a write leaves.
const LATE_HORIZON: Duration = Duration::from_millis(800);
/// The trials for which it matters most: what is made, changed and removed, by whom, and through what mishaps.
const LATE: [&str; 6] = ["life", "amnesia", "crash", "cancel", "faults_after", "foreign"];

#[tokio::test]
async fn conformance_of_a_lagging_aws() {
    if std::env::var_os("WELKIN_LAGGING").is_none() {
        return println!("SKIPPED: AWS on an EC2 that lags: WELKIN_LAGGING is not set (docs/status.md)");
    }
    let dirs = [(); MOTOS].map(|()| tempfile::tempdir().unwrap());
    let (mut alike, mut proxies) = (Vec::new(), Vec::new());
    for (seed, dir) in (1..).zip(&dirs) {
        let Some(moto) = Moto::start(dir.path()) else { return };
        let proxy = Arc::new(Proxy::start(moto.port()).await);
        proxy.lag(Lag { by: LAG, percent: LAGGING_PERCENT, seed });
        let subject = subject("aws on a moto that lags", moto, Arc::clone(&proxy), LATE_HORIZON, Duration::from_secs(10)).await;
        alike.push(Subject { settles: LATE_HORIZON, fault_points: vec![FaultPoint::AfterEffect], ..subject });
        proxies.push(proxy);
    }
    let report = super::good_part(&alike, |name| name.split('.').next_back().is_some_and(|what| LATE.contains(&what))).await;
    let lagged: Vec<_> = proxies.iter().map(|p| p.lagged()).collect();
    println!("{lagged:?}");
    assert!(lagged.iter().any(|l| l.lists > 0) && lagged.iter().any(|l| l.refusals > 0), "nothing lagged: {lagged:?}");
    super::fidelity::keep("aws-lagging", &report);
}

async fn subject(name: &str, moto: Moto, proxy: Arc<Proxy>, horizon: Duration, call_timeout: Duration) -> Subject {
    let config =
        AwsConfig { consistency_horizon_s: Some(horizon.as_secs_f64()), call_timeout_s: Some(call_timeout.as_secs_f64()), ..toml::from_str(&moto.keys_at(proxy.port())).unwrap() };
    let world = MotoWorld { moto: Arc::new(moto), proxy };
    let aws = Arc::new(Aws::connect(&config).await.unwrap());
    let subject = Subject::new(name, aws, Arc::new(world), "conformance".parse().unwrap(), LocationName::of("eu-west-1").unwrap());
    let extension = VendorConfig { type_name: "welkin.provider.aws.v1.InstanceConfig".into(), body: json!({"metadata_hop_limit": 2}) };
    let mut subject = Subject {
        machine_types: ["t3.small".into(), "t3.medium".into()],
        quota: "vpc.L-F678F1CE".into(),
        identity: Some("welkin-test".into()),
        disk_type: Some("gp3".into()),
        encryption_key: Some("arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab".into()),
        provider_configs: [(Instance::COLLECTION.to_owned(), extension)].into(),
        not_refused: [
            ("a group of another network", "moto takes any group for a peer"),
            ("a security group of another network", "moto takes any group for an instance"),
            ("an unknown disk type", "moto takes any text for a volume type"),
            ("an unknown zone for a disk", "moto takes any text for the zone of a volume"),
            ("a network without a way to the internet", "moto takes any subnet for a public NAT gateway"),
            ("a second private zone of one name in one network", "moto takes any number of them"),
            ("the network of another private zone of one name", "moto takes any number of them"),
            ("a network that is not there", "moto takes any text for the VPC of a zone"),
            ("an address that another one is reached at", "moto notes no address of a load balancer"),
            ("two subnets of one zone", "moto takes any subnets for a load balancer"),
            ("both stacks in a subnet without IPv6", "moto takes any subnets for a load balancer"),
            ("an address in use", "moto breaks over it and answers 500 without a code"),
            ("an address outside of the subnet", "moto breaks over it and answers 500 without a code"),
        ]
        .map(|(what, why)| (what.to_owned(), why.to_owned()))
        .into(),
        // moto gives an interface the first one alone.
        several_private_ips: false,
        longest_wait: Duration::from_millis(80),
        patience: Duration::from_secs(300),
        ..subject
    };
    subject = super::declared(subject).skipping("instances.assign_ipv6", "moto gives instances no IPv6 address");
    for claim in ["capacity", "alternatives", "alternatives.machine_type", "alternatives.subnet", "alternatives.zone"] {
        subject = subject.skipping(format!("instances.{claim}"), "moto has capacity for everything");
    }
    subject = subject.skipping("instanceGroups.short", "moto has capacity for everything");
    subject = subject.skipping("instances.security_groups", "moto shows the groups of a launch on the interface alone, and those of a change on the instance alone");
    subject = subject.skipping("instances.deletion_protection", "moto lets a protected instance be terminated");
    subject = subject.skipping("disks.snapshot", "the trials make no snapshots");
    subject = subject.skipping("routeTables.routes.peering", "the trials make no peerings");
    subject = subject.skipping("recordSets.items.health_check", "the trials make no health checks");
    subject = subject.skipping("quotas.counted", "Service Quotas does not tell what is used");
    subject = subject.skipping("instances.protected", "moto lets a protected instance be terminated");
    subject = subject.with_gap("instances.ends", "moto leaves an address with an instance that is terminated");
    subject = subject.skipping("loadBalancers.listeners.certificate", "the trials make no certificates");
    subject = subject.skipping("loadBalancers.addresses", "moto notes no address of a load balancer");
    subject = subject.skipping("loadBalancers.moved", "moto notes no address of a load balancer");
    for kind in [Network::COLLECTION, Subnet::COLLECTION, NatGateway::COLLECTION, RouteTable::COLLECTION] {
        subject = subject.with_gap(format!("{kind}.check"), "moto ignores DryRun here and does what it should only check");
    }
    subject
}
