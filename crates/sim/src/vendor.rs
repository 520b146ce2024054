//! The vendor's side: a cloud with an API of its own, which knows nothing of Welkin. The drivers reach it only by the calls here, each through
//! the gate, so that they are bound by the same laws as those of a real cloud.
//!
//! Modelled on EC2: ids are random, tags are visible late, only instances, disks and NAT gateways have an idempotency token, load
//! balancers and pools have names of which there is only one, a deletion is refused while something
//! depends on the object, lists have pages.

mod addresses;
mod catalogue;
mod clock;
mod cloud;
mod disks;
mod fault;
mod gateways;
mod instance_groups;
mod instances;
mod item;
mod load_balancers;
mod log;
mod nat_gateways;
mod networks;
mod pools;
mod quotas;
mod records;
mod refusal;
mod route_tables;
mod scaling;
mod security_groups;
mod state;
mod subnets;
mod table;
mod templates;
mod zones;

pub(crate) use addresses::NewAddress;
pub(crate) use catalogue::{CpuType, ImageItem, Machine};
pub(crate) use cloud::{Action, Cloud, GLOBAL};
pub(crate) use disks::{DEFAULT_PERFORMANCE, DEFAULT_TYPE, DiskEdit, DiskRequest, NewDisk};
pub use fault::{Fault, FaultKind};
pub(crate) use instance_groups::{GROUP_TAG, GroupEdit, GroupInstance, Grouped, NewInstanceGroup, is_group};
pub(crate) use instances::{Hung, InstanceEdit, LaunchRequest, NewInstance};
pub(crate) use item::{
    Address, BalancerSettings, Body, Check, Condition, Disk, Failure, FurtherDisk, Gateway, GroupPeer, GroupRule, GroupSettings, Instance, Item, LaunchSpec, LoadBalancer,
    NatGateway, Network, Pool, PoolSettings, RefreshState, SecurityGroup, Shown, Subnet, Tags, VendorListener, VendorRoute, Way, Zone, ZoneNetwork,
};
pub(crate) use load_balancers::{Balanced, Health, NewLoadBalancer, Wanted};
pub(crate) use nat_gateways::{NatGatewayRequest, NewNatGateway};
pub(crate) use networks::NewNetwork;
pub(crate) use pools::{MOST_TARGETS_A_CALL, NewPool};
pub(crate) use quotas::Quota;
pub(crate) use records::{AtName, MOST_VALUES, RecordChange};
pub(crate) use refusal::{Code, Refusal};
pub(crate) use route_tables::{MOST_ROUTES, NewRouteTable, Traced};
pub(crate) use security_groups::NewSecurityGroup;

pub(crate) use subnets::{NewSubnet, RESERVED};
pub(crate) use table::{Filter, Listed};
pub(crate) use templates::NewTemplate;
pub(crate) use zones::NewZone;

/// What the vendor answers.
pub(crate) type Answer<T> = Result<T, Refusal>;
