//! AWS, as moto plays it: the provider without an engine, under exactly the policy that its docs give.

use crate::{
    moto::Moto,
    proxy::{Fault, Proxy},
};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};
use welkin::{
    Address, Disk, Error, ErrorKind, Instance, Kind, LocationName, Network, Reason, Result, SecurityGroup, Subnet, VendorConfig,
    aws::{Aws, AwsConfig},
};
use welkin_conformance::{Abilities, FaultPoint, Plant, Planted, Subject, World, WorldObject};

const COLLECTIONS: [&str; 6] = [Network::COLLECTION, Subnet::COLLECTION, SecurityGroup::COLLECTION, Instance::COLLECTION, Address::COLLECTION, Disk::COLLECTION];

/// What moto has, as its own client sees it, and the proxy that the provider goes through.
#[derive(Debug)]
struct MotoWorld {
    moto: Arc<Moto>,
    proxy: Proxy,
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
}

/// How many motos share the trials: most of the time goes into waiting.
const MOTOS: usize = 3;

#[tokio::test]
async fn conformance_of_aws() {
    let dirs = [(); MOTOS].map(|()| tempfile::tempdir().unwrap());
    let mut alike = Vec::new();
    for dir in &dirs {
        let Some(subject) = subject(dir.path()).await else { return };
        alike.push(subject);
    }
    super::fidelity::keep("aws-moto", &super::good_shared(&alike).await);
}

async fn subject(dir: &Path) -> Option<Subject> {
    let moto = Moto::start(dir)?;
    let proxy = Proxy::start(moto.port()).await;
    let config = AwsConfig { consistency_horizon_s: Some(0.1), call_timeout_s: Some(1.0), ..toml::from_str(&moto.keys_at(proxy.port())).unwrap() };
    let world = MotoWorld { moto: Arc::new(moto), proxy };
    let aws = Arc::new(Aws::connect(&config).await.unwrap());
    let subject = Subject::new("aws on moto through the fault proxy", aws, Arc::new(world), "conformance".parse().unwrap(), LocationName::of("eu-west-1").unwrap());
    let extension = VendorConfig { type_name: "welkin.provider.aws.v1.InstanceConfig".into(), body: json!({"metadata_hop_limit": 2}) };
    let mut subject = Subject {
        machine_types: ["t3.small".into(), "t3.medium".into()],
        identity: Some("welkin-test".into()),
        disk_type: Some("gp3".into()),
        encryption_key: Some("arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab".into()),
        provider_configs: [(Instance::COLLECTION.to_owned(), extension)].into(),
        not_refused: [
            ("a group of another network", "moto takes any group for a peer"),
            ("a security group of another network", "moto takes any group for an instance"),
            ("an unknown machine type", "moto takes any text for an instance type"),
            ("an unknown disk type", "moto takes any text for a volume type"),
            ("an address in use", "moto breaks over it and answers 500 without a code"),
            ("an address outside of the subnet", "moto breaks over it and answers 500 without a code"),
        ]
        .map(|(what, why)| (what.to_owned(), why.to_owned()))
        .into(),
        longest_wait: Duration::from_millis(80),
        patience: Duration::from_secs(60),
        ..subject
    };
    subject = super::declared(subject).skipping("instances.assign_ipv6", "moto gives instances no IPv6 address");
    for claim in ["capacity", "alternatives", "alternatives.machine_type", "alternatives.subnet", "alternatives.zone"] {
        subject = subject.skipping(format!("instances.{claim}"), "moto has capacity for everything");
    }
    subject = subject.skipping("disks.snapshot", "the trials make no snapshots");
    subject = subject.with_gap("instances.ends", "moto leaves an address with an instance that is terminated");
    for kind in [Network::COLLECTION, Subnet::COLLECTION] {
        subject = subject.with_gap(format!("{kind}.check"), "moto ignores DryRun here and does what it should only check");
    }
    Some(subject)
}
