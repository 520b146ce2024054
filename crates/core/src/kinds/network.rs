//! A private network.

use super::{CidrBounds, Labels, api_enum, cidr_violations, kind, label_violations};
use crate::{CloudProvider, Condition, Driver, LocationName, Managed, NoAction, ResourceId, VendorConfig, Violation};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

kind! {
    /// A private network: a VPC on AWS and GCP, a virtual network on Azure.
    Network at "networks" in LocationName, id ResourceId, spec NetworkSpec, status NetworkStatus,
    fields &["cidrs", "assign_ipv6_cidr", "internet_access", "labels", "provider_config"],
    input_only &[],
    reader |p| p.networks().map(|d| d as &dyn crate::Reader<Self>),
    zone |_, _| None,
    condition |status| match status.state {
        NetworkState::Unspecified | NetworkState::Pending | NetworkState::Available => Condition::Usable,
        NetworkState::Deleting => Condition::Leaving,
        NetworkState::Incomplete => Condition::Incomplete,
    },
    refs |_| Vec::new()
}

/// What a network should be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSpec {
    /// Its address ranges, IPv4 and IPv6, in canonical form and without overlap. At least one, unless the cloud's networks have none.
    pub cidrs: Vec<IpNet>,
    /// Let the cloud assign an IPv6 range of its own; it appears in the status.
    pub assign_ipv6_cidr: bool,
    /// A way to and from the internet for what has a public address.
    pub internet_access: bool,
    /// A user's own labels.
    pub labels: Labels,
    /// The vendor's extension.
    pub provider_config: Option<VendorConfig>,
}

api_enum! {
    /// Where a network is in its life.
    NetworkState {
        /// Being made.
        Pending = "PENDING",
        /// Usable.
        Available = "AVAILABLE",
        /// Being removed.
        Deleting = "DELETING",
        /// A part is missing: it can only be deleted.
        Incomplete = "INCOMPLETE",
    }
}

/// What a network is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkStatus {
    /// Its state.
    pub state: NetworkState,
    /// Every range it has, the assigned ones too.
    #[serde(rename = "effective_cidrs")]
    pub cidrs: Vec<IpNet>,
}

impl Managed for Network {
    type Action = NoAction;
    type Outcome = ();
    type Question = NoAction;
    type Answer = ();
    fn driver(p: &dyn CloudProvider) -> Option<&dyn Driver<Self>> {
        p.networks()
    }
    fn label(id: &ResourceId) -> Option<&ResourceId> {
        Some(id)
    }
    fn zone_mut(_: &mut NetworkSpec) -> Option<&mut Option<String>> {
        None
    }
    fn violations(spec: &NetworkSpec) -> Vec<Violation> {
        let mut out = Vec::new();
        cidr_violations(&spec.cidrs, CidrBounds { v4: (8, 29), v6: (32, 64) }, &mut out);
        label_violations(&spec.labels, &mut out);
        out
    }
}
