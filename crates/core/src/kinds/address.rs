//! A public address that is kept.

use super::{Labels, api_enum, kind, label_violations};
use crate::{CloudProvider, Condition, Driver, Instance, LocationName, Managed, NoAction, Ref, ResourceId, VendorConfig, Violation};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

kind! {
    /// A public IPv4 address that is kept: an instance that it is taken from, and one that is deleted, leave it as it is.
    Address at "addresses" in LocationName, id ResourceId, spec AddressSpec, status AddressStatus,
    fields &["instance", "private_ip", "labels", "provider_config"],
    input_only &[],
    reader |p| p.addresses().map(|d| d as &dyn crate::Reader<Self>),
    zone |_, _| None,
    condition |status| match status.state {
        AddressState::Unspecified | AddressState::Available | AddressState::InUse | AddressState::Pending => Condition::Usable,
        AddressState::Deleting => Condition::Leaving,
        AddressState::Failed => Condition::Failed,
        AddressState::Incomplete => Condition::Incomplete,
    },
    refs |spec| spec.instance.iter_mut().map(|r| r.any("instance")).collect()
}

/// What an address should be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddressSpec {
    /// The instance that is reached by it; None keeps it for later, or for a load balancer.
    pub instance: Option<Ref<Instance>>,
    /// Which of the instance's private addresses it leads to; None means the first. What is read back names it only where it was asked for.
    pub private_ip: Option<Ipv4Addr>,
    /// A user's own labels.
    pub labels: Labels,
    /// The vendor's extension.
    pub provider_config: Option<VendorConfig>,
}

api_enum! {
    /// Where an address is in its life.
    AddressState {
        /// Usable, and nothing uses it.
        Available = "AVAILABLE",
        /// In use.
        InUse = "IN_USE",
        /// Being made, or on its way to an instance or from one.
        Pending = "PENDING",
        /// Being removed.
        Deleting = "DELETING",
        /// The cloud says that it failed.
        Failed = "FAILED",
        /// A part is missing: it can only be deleted.
        Incomplete = "INCOMPLETE",
    }
}

/// What an address is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AddressStatus {
    /// Its state.
    pub state: AddressState,
    /// The address itself.
    pub ip: Option<IpAddr>,
    /// What uses it, by the vendor's id: an instance, or what a load balancer or gateway has in the network. Empty where nothing does.
    pub user: String,
}

impl Managed for Address {
    type Action = NoAction;
    type Outcome = ();
    type Question = NoAction;
    type Answer = ();
    fn driver(p: &dyn CloudProvider) -> Option<&dyn Driver<Self>> {
        p.addresses()
    }
    fn label(id: &ResourceId) -> Option<&ResourceId> {
        Some(id)
    }
    fn zone_mut(_: &mut AddressSpec) -> Option<&mut Option<String>> {
        None
    }
    fn violations(spec: &AddressSpec) -> Vec<Violation> {
        let mut out = Vec::new();
        if spec.private_ip.is_some() && spec.instance.is_none() {
            out.push(Violation::new("private_ip", "it says which address of an instance is meant: name the instance too"));
        }
        label_violations(&spec.labels, &mut out);
        out
    }
}
