//! A virtual machine.

use super::{Labels, Secret, api_enum, kind, label_violations, word_violation};
use crate::{CloudProvider, Condition, Driver, Image, LocationName, Managed, Ref, ResourceId, Subnet, VendorConfig, Violation};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

kind! {
    /// A virtual machine.
    Instance at "instances" in LocationName, id ResourceId, spec InstanceSpec, status InstanceStatus,
    fields &["zone", "machine_type", "image", "subnet", "private_ips", "assign_public_ip", "assign_ipv6", "ssh_key", "user_data", "identity",
        "root_disk", "root_disk.size_gib", "root_disk.disk_type", "root_disk.encrypted", "ip_forwarding", "labels", "provider_config"],
    input_only &["ssh_key", "user_data"],
    reader |p| p.instances().map(|d| d as &dyn crate::Reader<Self>),
    zone |spec, _| spec.zone.clone(),
    condition |status| match status.state {
        InstanceState::Unspecified | InstanceState::Pending | InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped => Condition::Usable,
        InstanceState::Deleting => Condition::Leaving,
        InstanceState::Failed => Condition::Failed,
        InstanceState::Incomplete => Condition::Incomplete,
    },
    refs |spec| spec.subnet.iter_mut().map(|r| r.any("subnet")).chain(spec.image.iter_mut().map(|r| r.any("image"))).collect()
}

/// What an instance should be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstanceSpec {
    /// The zone; follows from the subnet where that is zonal.
    pub zone: Option<String>,
    /// The id of a machine type. Required.
    pub machine_type: String,
    /// The image: a vendor's id or a portable family such as `debian-12`. Required. What is read back is the vendor's id.
    pub image: Option<Ref<Image>>,
    /// The subnet. Required.
    pub subnet: Option<Ref<Subnet>>,
    /// Addresses in the subnet, at most one of each family; the cloud chooses what is left open.
    pub private_ips: Vec<IpAddr>,
    /// A public IPv4 address; None leaves it to the subnet.
    pub assign_public_ip: Option<bool>,
    /// An IPv6 address of the subnet's range.
    pub assign_ipv6: bool,
    /// A public key in OpenSSH form for the image's default user. Input only.
    pub ssh_key: Option<String>,
    /// What the image runs at its first start, as text of at most 16 KiB. Input only, secret.
    pub user_data: Option<Secret>,
    /// As whom the machine calls its cloud: an instance profile (name or ARN) on AWS, a service account on GCP, a managed identity on Azure.
    pub identity: Option<String>,
    /// The disk that it starts from.
    pub root_disk: RootDisk,
    /// May send and receive for addresses that are not its own.
    pub ip_forwarding: bool,
    /// A user's own labels.
    pub labels: Labels,
    /// The vendor's extension.
    pub provider_config: Option<VendorConfig>,
}

/// The disk that an instance starts from. What is left open follows from the image.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RootDisk {
    /// Its size in GiB.
    pub size_gib: Option<u32>,
    /// The vendor's disk type: `gp3`.
    pub disk_type: Option<String>,
    /// Encrypted with the account's default key.
    pub encrypted: Option<bool>,
}

api_enum! {
    /// Where an instance is in its life.
    InstanceState {
        /// Being made, or starting.
        Pending = "PENDING",
        /// Running.
        Running = "RUNNING",
        /// On its way to a stop.
        Stopping = "STOPPING",
        /// Stopped: it keeps its disk and can be started.
        Stopped = "STOPPED",
        /// Being removed.
        Deleting = "DELETING",
        /// The cloud says that it failed.
        Failed = "FAILED",
        /// A part is missing: it can only be deleted.
        Incomplete = "INCOMPLETE",
    }
}

/// What an instance is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceStatus {
    /// Its state.
    pub state: InstanceState,
    /// Why it is in this state, in the cloud's words, where it tells.
    pub state_reason: String,
    /// Every private address, IPv4 and then IPv6.
    #[serde(rename = "effective_private_ips")]
    pub private_ips: Vec<IpAddr>,
    /// Every public IPv4 address.
    pub public_ips: Vec<IpAddr>,
}

/// What can be done to an instance beyond create, update and delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceAction {
    /// Start it; done at once where it runs.
    Start,
    /// Stop it, keeping its disk; done at once where it is stopped.
    Stop,
    /// Reboot it, at most once.
    Reboot,
}
impl fmt::Display for InstanceAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Reboot => "reboot",
        })
    }
}

/// EC2's limit, the smallest: 16 KB before base64 (Amazon EC2 User Guide, instance user data).
const MAX_USER_DATA: usize = 16 * 1024;

impl Managed for Instance {
    type Action = InstanceAction;
    type Outcome = ();
    fn driver(p: &dyn CloudProvider) -> Option<&dyn Driver<Self>> {
        p.instances()
    }
    fn label(id: &ResourceId) -> Option<&ResourceId> {
        Some(id)
    }
    fn zone_mut(spec: &mut InstanceSpec) -> Option<&mut Option<String>> {
        Some(&mut spec.zone)
    }
    fn violations(spec: &InstanceSpec) -> Vec<Violation> {
        let mut out = Vec::new();
        if spec.machine_type.is_empty() {
            out.push(Violation::new("machine_type", "an instance needs a machine type; `welkin get machine-types` lists them"));
        }
        if spec.image.is_none() {
            out.push(Violation::new("image", "an instance needs an image, for example debian-12"));
        }
        if spec.subnet.is_none() {
            out.push(Violation::new("subnet", "an instance needs a subnet"));
        }
        for (v4, family) in [(true, "IPv4"), (false, "IPv6")] {
            if spec.private_ips.iter().filter(|ip| ip.is_ipv4() == v4).count() > 1 {
                out.push(Violation::new("private_ips", format!("at most one {family} address")));
            }
        }
        if let Some(key) = &spec.ssh_key {
            let mut words = key.split_ascii_whitespace();
            let known = words.next().is_some_and(|t| t.starts_with("ssh-") || t.starts_with("ecdsa-sha2-") || t.starts_with("sk-"));
            if !known || words.next().is_none_or(|body| body.len() < 32) || key.trim().lines().count() != 1 {
                out.push(Violation::new("ssh_key", "not a public key in OpenSSH form: one line such as \"ssh-ed25519 AAAA... comment\""));
            }
        }
        if let Some(data) = &spec.user_data
            && data.expose().len() > MAX_USER_DATA
        {
            out.push(Violation::new("user_data", format!("at most {MAX_USER_DATA} bytes, got {}", data.expose().len())));
        }
        if spec.root_disk.size_gib == Some(0) {
            out.push(Violation::new("root_disk.size_gib", "at least 1"));
        }
        let words = [
            ("machine_type", Some(&spec.machine_type)),
            ("zone", spec.zone.as_ref()),
            ("identity", spec.identity.as_ref()),
            ("root_disk.disk_type", spec.root_disk.disk_type.as_ref()),
        ];
        for (field, word) in words {
            word_violation(field, word, &mut out);
        }
        label_violations(&spec.labels, &mut out);
        out
    }
}
