#![doc = include_str!("../docs.md")]

mod address;
mod answer;
mod capability;
mod client;
mod config;
mod credentials;
mod disk;
mod dns_zone;
mod error;
mod image;
mod instance;
mod instance_group;
mod load_balancer;
mod location;
mod machine_type;
mod mark;
mod nat_gateway;
mod network;
mod page;
mod quota;
mod record_set;
mod resource;
mod route_table;
mod security_group;
mod single;
mod step;
mod subnet;

pub use config::{AwsConfig, DEFAULT_HORIZON};
pub use instance::InstanceConfig;

use client::{Global, Region};
use std::{collections::BTreeMap, time::Duration};
use welkin_core::{
    Address, Capabilities, CloudProvider, Disk, DnsZone, Driver, Error, ErrorKind, Image, Instance, InstanceGroup, LoadBalancer, Location, LocationName, MachineType, Managed,
    NatGateway, Network, Object, Quota, Reader, Reason, RecordSet, Result, RouteTable, SecurityGroup, Shard, Subnet, Target, Uid,
};

/// One AWS account in its configured regions.
///
/// ```no_run
/// use welkin_aws::{Aws, AwsConfig};
/// use welkin_core::CloudProvider;
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let config: AwsConfig = toml::from_str(r#"regions = ["eu-west-1"]"#)?;
/// let aws = Aws::connect(&config).await?;
/// assert_eq!(aws.capabilities().vendor, "aws");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Aws {
    regions: BTreeMap<String, Region>,
    global: Global,
    capabilities: Capabilities,
    horizon: Duration,
}

impl Aws {
    /// Makes the clients. AWS is not called: credentials are fetched with the first call.
    ///
    /// # Errors
    /// `InvalidArgument`, reason CONFIGURATION, naming every key that is wrong.
    pub async fn connect(config: &AwsConfig) -> Result<Self> {
        let horizon = config.horizon();
        let (regions, global) = client::connect(config).await?;
        Ok(Self { regions, global, capabilities: capability::capabilities(horizon), horizon })
    }
    /// The regions that it serves, sorted.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.regions.keys().map(String::as_str)
    }

    fn region(&self, location: &LocationName) -> Result<&Region> {
        let id = location.id.as_str();
        self.regions.get(id).ok_or_else(|| {
            let known = self.regions.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Error::new(ErrorKind::InvalidArgument, Reason::LocationUnknown, format!("this cloud has no location {id}; its locations are {known}")).with_field("parent")
        })
    }
    fn shard(&self, shard: &Shard) -> Result<&Region> {
        self.region(&LocationName::of(&shard.0)?)
    }
    /// One paged list a region.
    fn regional_shards(&self, parent: Option<&LocationName>) -> Vec<Shard> {
        match parent {
            // A location that is not ours is refused when the shard is read.
            Some(location) => vec![Shard(location.id.to_string())],
            None => self.regions.keys().cloned().map(Shard).collect(),
        }
    }
}

impl CloudProvider for Aws {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }
    fn networks(&self) -> Option<&dyn Driver<Network>> {
        Some(self)
    }
    fn security_groups(&self) -> Option<&dyn Driver<SecurityGroup>> {
        Some(self)
    }
    fn subnets(&self) -> Option<&dyn Driver<Subnet>> {
        Some(self)
    }
    fn instances(&self) -> Option<&dyn Driver<Instance>> {
        Some(self)
    }
    fn addresses(&self) -> Option<&dyn Driver<Address>> {
        Some(self)
    }
    fn dns_zones(&self) -> Option<&dyn Driver<DnsZone>> {
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

/// Refuses to change what does not carry the mark of this very resource. What has no name was adopted, which the engine knows.
fn owned<K: Managed>(target: &Target<K>, uid: &Uid, object: &Object<K>) -> Result<()> {
    let ours = match target {
        Target::Named { .. } => object.mark.as_ref().is_some_and(|m| m.uid == *uid),
        Target::Vendor { .. } => true,
    };
    if ours {
        return Ok(());
    }
    Err(resource::not_owned(target, object.vendor_id.as_str()))
}
