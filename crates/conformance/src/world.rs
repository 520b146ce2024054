//! What the provider acts on, as seen and touched behind its back.

use async_trait::async_trait;
use ipnet::IpNet;
use std::fmt::Debug;
use std::net::IpAddr;
use welkin_core::{Owner, Result, Uid};

/// What a world can do. What it cannot leads to skipped trials, each of which needs a declared reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities {
    /// It can make objects that Welkin knows nothing of.
    pub plants: bool,
    /// It can remove objects.
    pub removes: bool,
    /// It can let calls go wrong.
    pub faults: bool,
    /// It counts reboots.
    pub counts_reboots: bool,
    /// It can be short of a machine type.
    pub runs_short: bool,
}

/// An object of the vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldObject {
    /// The vendor's id.
    pub vendor_id: String,
    /// The collection of the kind whose main object it can be; None for what can only be a fragment, such as a gateway.
    pub collection: Option<&'static str>,
    /// The uid in its mark, whoever's.
    pub uid: Option<String>,
    /// How often it was rebooted, where that is counted.
    pub reboots: Option<u64>,
}

/// What a test makes behind the provider's back.
#[derive(Debug, Clone)]
pub struct Plant {
    /// What.
    pub what: Planted,
    /// With the mark of some Welkin, in the provider's own form; None for none at all.
    pub mark: Option<PlantMark>,
}
/// See [`Plant`].
#[derive(Debug, Clone)]
pub enum Planted {
    /// A network.
    Network {
        /// Its range.
        cidr: IpNet,
    },
    /// A subnet.
    Subnet {
        /// The vendor's id of the network.
        network: String,
        /// Its range.
        cidr: IpNet,
    },
    /// A security group without rules.
    SecurityGroup {
        /// The vendor's id of the network.
        network: String,
    },
    /// An instance of any type.
    Instance {
        /// The vendor's id of the subnet.
        subnet: String,
        /// The vendor's id of the image.
        image: String,
    },
    /// A public address that leads nowhere.
    Address,
    /// A disk of the smallest size, attached to nothing.
    Disk {
        /// The zone, where disks lie in one.
        zone: Option<String>,
    },
    /// A route table without routes.
    RouteTable {
        /// The vendor's id of the network.
        network: String,
    },
    /// An internal load balancer without listeners, which leads nowhere.
    LoadBalancer {
        /// The vendor's id of the subnet.
        subnet: String,
    },
    /// An instance group without instances.
    InstanceGroup {
        /// The vendor's id of the subnet.
        subnet: String,
        /// The vendor's id of the image that its template names, where it needs one.
        image: String,
    },
    /// A private NAT gateway.
    NatGateway {
        /// The vendor's id of the subnet.
        subnet: String,
    },
    /// Records of type A. They are called by their id.
    RecordSet {
        /// The vendor's id of the zone.
        zone: String,
        /// Their id: `www.example.com~A`.
        id: String,
        /// Their value.
        address: IpAddr,
    },
    /// A public zone of the domain name system.
    DnsZone {
        /// Its name.
        dns_name: String,
    },
}
/// A mark to plant.
#[derive(Debug, Clone)]
pub struct PlantMark {
    /// Whose.
    pub owner: Owner,
    /// The resource's id.
    pub id: String,
    /// Its uid.
    pub uid: Uid,
}

/// Where a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// The vendor answers a server error and does nothing.
    Refused,
    /// The vendor says that there were too many calls, and does nothing.
    Throttled,
    /// The connection breaks before the effect.
    BeforeEffect,
    /// The connection breaks after the effect.
    AfterEffect,
    /// The call has its effect and never answers.
    Hangs,
    /// The call has its effect and the connection breaks in the middle of the answer.
    Truncated,
}
impl FaultPoint {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Refused, Self::Throttled, Self::BeforeEffect, Self::AfterEffect, Self::Hangs, Self::Truncated];
}

/// The vendor's side of a subject. None of this passes the provider, is throttled, or goes wrong by chance.
#[async_trait]
pub trait World: Debug + Send + Sync {
    /// What it can do. No call is made.
    fn abilities(&self) -> Abilities;
    /// Every object of the kinds under trial that exists now, fragments too, whether or not a read shows it yet. Without this no leak can be
    /// seen, so every world has it. What is being removed for good (a terminated instance that is still described) does not exist.
    ///
    /// # Errors
    /// Where the vendor cannot be asked.
    async fn inventory(&self) -> Result<Vec<WorldObject>>;
    /// Makes an object, visible at once, and answers its vendor id.
    ///
    /// # Errors
    /// `Unimplemented` where it cannot.
    async fn plant(&self, plant: Plant) -> Result<String>;
    /// Removes an object, also one that Welkin has made, whatever uses it or protects it.
    ///
    /// # Errors
    /// `Unimplemented` where it cannot.
    async fn remove(&self, vendor_id: &str) -> Result<()>;
    /// Has no capacity for a machine type any more, in a zone or in all of them.
    ///
    /// # Errors
    /// `Unimplemented` where it cannot.
    async fn run_short(&self, machine_type: &str, zone: Option<&str>) -> Result<()>;
    /// Has capacity for everything again.
    async fn restock(&self);
    /// Lets a write go wrong: the one after the next `after` writes.
    ///
    /// # Errors
    /// `Unimplemented` where it cannot.
    async fn inject(&self, point: FaultPoint, after: u32) -> Result<()>;
    /// How many faults have happened; forgets what was injected and has not.
    async fn settle_faults(&self) -> u64;
    /// How many calls the vendor has had, reads too; None where nobody counts them.
    fn calls(&self) -> Option<u64>;
}

/// The engine in front of a subject, for what a provider knows nothing of.
#[async_trait]
pub trait Adoption: Debug + Send + Sync {
    /// Puts a vendor's object under management, by its provider id or the vendor's id.
    ///
    /// # Errors
    /// The engine's own refusals.
    async fn adopt(&self, collection: &str, name: &str, id: &str) -> Result<()>;
    /// Manages it no longer.
    ///
    /// # Errors
    /// The engine's own refusals.
    async fn release(&self, collection: &str, name: &str) -> Result<()>;
}
