//! A part of a network.

use super::{CidrBounds, Labels, api_enum, cidr_violations, kind, label_violations, word_violation};
use crate::{CloudProvider, Condition, Driver, LocationName, Managed, Network, NoAction, Ref, ResourceId, VendorConfig, Violation};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

kind! {
    /// A part of a network in which instances get their addresses; in one zone where the cloud's subnets are zonal.
    Subnet at "subnets" in LocationName, id ResourceId, spec SubnetSpec, status SubnetStatus,
    fields &["network", "cidrs", "assign_ipv6_cidr", "zone", "assign_public_ip", "labels", "provider_config"],
    input_only &[],
    reader |p| p.subnets().map(|d| d as &dyn crate::Reader<Self>),
    zone |spec, _| spec.zone.clone(),
    condition |status| match status.state {
        SubnetState::Unspecified | SubnetState::Pending | SubnetState::Available => Condition::Usable,
        SubnetState::Deleting => Condition::Leaving,
        SubnetState::Failed => Condition::Failed,
        SubnetState::Incomplete => Condition::Incomplete,
    },
    refs |spec| spec.network.iter_mut().map(|r| r.any("network")).collect()
}

/// What a subnet should be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubnetSpec {
    /// The network it is part of. Required.
    pub network: Option<Ref<Network>>,
    /// Its ranges, inside the network's: at most one of each family, at least one.
    pub cidrs: Vec<IpNet>,
    /// Take the first free /64 of the network's assigned IPv6 range.
    pub assign_ipv6_cidr: bool,
    /// The zone, where the cloud's subnets are zonal.
    pub zone: Option<String>,
    /// Instances get a public IPv4 address unless they say otherwise.
    pub assign_public_ip: bool,
    /// A user's own labels.
    pub labels: Labels,
    /// The vendor's extension.
    pub provider_config: Option<VendorConfig>,
}

api_enum! {
    /// Where a subnet is in its life.
    SubnetState {
        /// Being made.
        Pending = "PENDING",
        /// Usable.
        Available = "AVAILABLE",
        /// Being removed.
        Deleting = "DELETING",
        /// A part is missing: it can only be deleted.
        Incomplete = "INCOMPLETE",
        /// The cloud says that it failed.
        Failed = "FAILED",
    }
}

/// What a subnet is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SubnetStatus {
    /// Its state.
    pub state: SubnetState,
    /// Every range it has, the assigned ones too.
    #[serde(rename = "effective_cidrs")]
    pub cidrs: Vec<IpNet>,
    /// How many IPv4 addresses are free, where the cloud tells.
    pub available_ipv4_addresses: Option<u64>,
}

impl Managed for Subnet {
    type Action = NoAction;
    type Outcome = ();
    type Question = NoAction;
    type Answer = ();
    fn driver(p: &dyn CloudProvider) -> Option<&dyn Driver<Self>> {
        p.subnets()
    }
    fn label(id: &ResourceId) -> Option<&ResourceId> {
        Some(id)
    }
    fn zone_mut(spec: &mut SubnetSpec) -> Option<&mut Option<String>> {
        Some(&mut spec.zone)
    }
    fn violations(spec: &SubnetSpec) -> Vec<Violation> {
        let mut out = Vec::new();
        if spec.network.is_none() {
            out.push(Violation::new("network", "a subnet needs the network that it is part of"));
        }
        if spec.cidrs.is_empty() && !spec.assign_ipv6_cidr {
            out.push(Violation::new("cidrs", "a subnet needs at least one range, for example 10.0.1.0/24"));
        }
        for (v4, family) in [(true, "IPv4"), (false, "IPv6")] {
            if spec.cidrs.iter().filter(|c| c.addr().is_ipv4() == v4).count() > 1 {
                out.push(Violation::new("cidrs", format!("a subnet has at most one {family} range")));
            }
        }
        if spec.assign_ipv6_cidr && spec.cidrs.iter().any(|c| c.addr().is_ipv6()) {
            out.push(Violation::new("assign_ipv6_cidr", "either name an IPv6 range in cidrs or let the cloud assign one"));
        }
        cidr_violations(&spec.cidrs, CidrBounds { v4: (8, 29), v6: (44, 64) }, &mut out);
        word_violation("zone", spec.zone.as_ref(), &mut out);
        label_violations(&spec.labels, &mut out);
        out
    }
}
