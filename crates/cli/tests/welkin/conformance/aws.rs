//! AWS, as moto plays it: the provider without an engine, under exactly the policy that its docs give.

use crate::moto::Moto;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use welkin::{
    Error, ErrorKind, Instance, Kind, LocationName, Network, Reason, Result, SecurityGroup, Subnet, VendorConfig,
    aws::{Aws, AwsConfig},
};
use welkin_conformance::{Abilities, FaultPoint, Plant, Planted, Subject, World, WorldObject};

const COLLECTIONS: [&str; 4] = [Network::COLLECTION, Subnet::COLLECTION, SecurityGroup::COLLECTION, Instance::COLLECTION];

/// What moto has, as its own client sees it.
#[derive(Debug)]
struct MotoWorld(Moto);
impl MotoWorld {
    fn ask(&self, wish: &Value) -> Result<Value> {
        self.0.ask(wish).map_err(|e| Error::new(ErrorKind::Unknown, Reason::CloudRefused, e))
    }
}
fn unable<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unimplemented, Reason::VerbUnsupported, "moto cannot do this"))
}

#[async_trait]
impl World for MotoWorld {
    fn abilities(&self) -> Abilities {
        Abilities { plants: true, removes: true, faults: false, counts_reboots: false }
    }
    async fn inventory(&self) -> Result<Vec<WorldObject>> {
        let rows = self.ask(&json!({"do": "inventory"}))?;
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
        let made = self.ask(&match plant.what {
            Planted::Network { cidr } => json!({"do": "plant", "what": "network", "tags": tags, "cidr": cidr}),
            Planted::Subnet { network, cidr } => json!({"do": "plant", "what": "subnet", "tags": tags, "network": network, "cidr": cidr}),
            Planted::SecurityGroup { network } => json!({"do": "plant", "what": "security-group", "tags": tags, "network": network}),
            Planted::Instance { subnet, image } => json!({"do": "plant", "what": "instance", "tags": tags, "subnet": subnet, "image": image}),
        })?;
        Ok(made.as_str().unwrap_or_default().to_owned())
    }
    async fn remove(&self, vendor_id: &str) -> Result<()> {
        self.ask(&json!({"do": "remove", "id": vendor_id})).map(drop)
    }
    async fn inject(&self, _: FaultPoint, _: u32) -> Result<()> {
        unable()
    }
    async fn settle_faults(&self) -> u64 {
        0
    }
}

#[tokio::test]
async fn conformance_of_aws() {
    let dir = tempfile::tempdir().unwrap();
    let Some(moto) = Moto::start(dir.path()) else { return };
    let config = AwsConfig { consistency_horizon_s: Some(0.3), ..toml::from_str(&moto.keys()).unwrap() };
    let aws = Arc::new(Aws::connect(&config).await.unwrap());
    let subject = Subject::new("aws on moto", aws, Arc::new(MotoWorld(moto)), "conformance".parse().unwrap(), LocationName::of("eu-west-1").unwrap());
    let extension = VendorConfig { type_name: "welkin.provider.aws.v1.InstanceConfig".into(), body: json!({"metadata_hop_limit": 2}) };
    let mut subject = Subject {
        machine_types: ["t3.small".into(), "t3.medium".into()],
        identity: Some("welkin-test".into()),
        disk_type: Some("gp3".into()),
        provider_configs: [(Instance::COLLECTION.to_owned(), extension)].into(),
        not_refused: [
            ("a group of another network", "moto takes any group for a peer"),
            ("an unknown machine type", "moto takes any text for an instance type"),
            ("an address in use", "moto breaks over it and answers 500 without a code"),
            ("an address outside of the subnet", "moto breaks over it and answers 500 without a code"),
        ]
        .map(|(what, why)| (what.to_owned(), why.to_owned()))
        .into(),
        patience: Duration::from_secs(60),
        ..subject
    };
    subject = super::declared(subject).skipping("instances.assign_ipv6", "moto gives instances no IPv6 address");
    for kind in COLLECTIONS {
        subject = subject.skipping(format!("{kind}.faults"), "moto has no faults; the fault proxy is to come");
    }
    for kind in [Network::COLLECTION, Subnet::COLLECTION] {
        subject = subject.with_gap(format!("{kind}.check"), "moto ignores DryRun here and does what it should only check");
    }
    super::fidelity::keep("aws-moto", &super::good(&subject).await);
}
