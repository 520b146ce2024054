//! A way out for instances that have no public address.

use super::{Labels, api_enum, kind, label_violations};
use crate::{Address, CloudProvider, Condition, Driver, LocationName, Managed, NoAction, Ref, ResourceId, Subnet, VendorConfig, Violation};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

kind! {
    /// A gateway through which instances reach others from its address and cannot be reached. What goes through it is said by the routes that lead to it.
    NatGateway at "natGateways" in LocationName, id ResourceId, spec NatGatewaySpec, status NatGatewayStatus,
    fields &["subnet", "connectivity", "address", "labels", "provider_config"],
    input_only &[],
    reader |p| p.nat_gateways().map(|d| d as &dyn crate::Reader<Self>),
    zone |_, _| None,
    condition |status| match status.state {
        NatGatewayState::Unspecified | NatGatewayState::Pending | NatGatewayState::Available => Condition::Usable,
        NatGatewayState::Deleting => Condition::Leaving,
        NatGatewayState::Failed => Condition::Failed,
        NatGatewayState::Incomplete => Condition::Incomplete,
    },
    refs |spec| spec.subnet.iter_mut().map(|r| r.any("subnet")).chain(spec.address.iter_mut().map(|r| r.any("address"))).collect()
}

/// What a NAT gateway should be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatGatewaySpec {
    /// The subnet that it stands in, which is not the one of the instances that it is for. Required.
    pub subnet: Option<Ref<Subnet>>,
    /// Where it leads to. Required.
    pub connectivity: Connectivity,
    /// What a public one is seen as from outside; nothing else can use the address meanwhile. A private one has none.
    pub address: Option<Ref<Address>>,
    /// A user's own labels.
    pub labels: Labels,
    /// The vendor's extension.
    pub provider_config: Option<VendorConfig>,
}

api_enum! {
    /// Where a NAT gateway leads to.
    Connectivity {
        /// To the internet, as its public address.
        Public = "PUBLIC",
        /// To other networks, as its private address.
        Private = "PRIVATE",
    }
}

api_enum! {
    /// Where a NAT gateway is in its life.
    NatGatewayState {
        /// Being made.
        Pending = "PENDING",
        /// Usable.
        Available = "AVAILABLE",
        /// Being removed: it still holds its address and its place in the subnet.
        Deleting = "DELETING",
        /// The cloud says that it failed.
        Failed = "FAILED",
        /// A part is missing: it can only be deleted.
        Incomplete = "INCOMPLETE",
    }
}

/// What a NAT gateway is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NatGatewayStatus {
    /// Its state.
    pub state: NatGatewayState,
    /// Why it failed, in the cloud's words.
    pub state_reason: String,
    /// What it is seen as from outside of the network; only a public one has it.
    pub public_ip: Option<IpAddr>,
    /// Its address in the subnet.
    pub private_ip: Option<IpAddr>,
}

impl Managed for NatGateway {
    type Action = NoAction;
    type Outcome = ();
    type Question = NoAction;
    type Answer = ();
    fn driver(p: &dyn CloudProvider) -> Option<&dyn Driver<Self>> {
        p.nat_gateways()
    }
    fn label(id: &ResourceId) -> Option<&ResourceId> {
        Some(id)
    }
    fn zone_mut(_: &mut NatGatewaySpec) -> Option<&mut Option<String>> {
        None
    }
    fn violations(spec: &NatGatewaySpec) -> Vec<Violation> {
        let mut out = Vec::new();
        if spec.subnet.is_none() {
            out.push(Violation::new("subnet", "a NAT gateway needs the subnet that it stands in"));
        }
        match spec.connectivity {
            Connectivity::Unspecified => out.push(Violation::new("connectivity", "a NAT gateway leads to the internet or to other networks: PUBLIC or PRIVATE")),
            Connectivity::Public if spec.address.is_none() => out.push(Violation::new("address", "a public NAT gateway needs the address that it is seen as")),
            Connectivity::Private if spec.address.is_some() => out.push(Violation::new("address", "a private NAT gateway has no public address")),
            Connectivity::Public | Connectivity::Private => {}
        }
        label_violations(&spec.labels, &mut out);
        out
    }
}
