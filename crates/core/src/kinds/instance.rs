//! A virtual machine.

use super::{Labels, Secret, api_enum, kind, label_violations, word_violation};
use crate::{CloudProvider, Condition, Driver, Image, LocationName, Managed, Ref, ResourceId, SecurityGroup, Subnet, VendorConfig, Violation};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

kind! {
    /// A virtual machine.
    Instance at "instances" in LocationName, id ResourceId, spec InstanceSpec, status InstanceStatus,
    fields &["zone", "machine_type", "image", "subnet", "private_ips", "assign_public_ip", "assign_ipv6", "ssh_key", "user_data", "identity",
        "root_disk", "root_disk.size_gib", "root_disk.disk_type", "root_disk.encrypted", "ip_forwarding", "labels", "provider_config", "security_groups",
        "deletion_protection", "spot", "alternatives", "alternatives.machine_type", "alternatives.subnet", "alternatives.zone"],
    input_only &["ssh_key", "user_data", "alternatives"],
    reader |p| p.instances().map(|d| d as &dyn crate::Reader<Self>),
    zone |spec, _| spec.zone.clone(),
    condition |status| match status.state {
        InstanceState::Unspecified | InstanceState::Pending | InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped => Condition::Usable,
        InstanceState::Deleting => Condition::Leaving,
        InstanceState::Failed => Condition::Failed,
        InstanceState::Incomplete => Condition::Incomplete,
    },
    // The subnet comes first: the zone follows from it.
    refs |spec| {
        let groups = spec.security_groups.iter_mut().enumerate().map(|(i, r)| r.any(format!("security_groups[{i}]")));
        let others = spec.alternatives.iter_mut().enumerate().filter_map(|(i, other)| Some(other.subnet.as_mut()?.any(format!("alternatives[{i}].subnet"))));
        spec.subnet.iter_mut().map(|r| r.any("subnet")).chain(spec.image.iter_mut().map(|r| r.any("image"))).chain(groups).chain(others).collect()
    }
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
    /// Addresses in the subnet, the first of each family its main one; the cloud chooses what is left open.
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
    /// What its traffic is let through by. Their order means nothing. None: the cloud's default for the network.
    pub security_groups: Vec<Ref<SecurityGroup>>,
    /// A delete is refused, by the cloud itself.
    pub deletion_protection: bool,
    /// Cheaper, and the cloud may take it back at any time.
    pub spot: bool,
    /// What to try, one after another, where the cloud has no capacity for this machine type in this zone. Input only: what is read back is what it became.
    pub alternatives: Vec<Alternative>,
}

/// Where else an instance can be made, or as what else. What is left open is as in the specification itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alternative {
    /// The id of a machine type; empty: the same.
    pub machine_type: String,
    /// The subnet, of the same network.
    pub subnet: Option<Ref<Subnet>>,
    /// The zone; with another subnet it follows from that where subnets are zonal.
    pub zone: Option<String>,
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
    /// Every disk that is attached to it, by the vendor's id, the one that it starts from too where the vendor has it as a disk.
    pub disk_ids: Vec<String>,
    /// The instance group that has made it, as the vendor calls it, and that alone may change or delete it: by its id, or by the end of that (AWS: the group's name). Empty for none.
    pub instance_group: String,
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

/// What can be asked of an instance beyond what a read shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceQuestion {
    /// What it has last written on its console.
    ConsoleOutput,
}
impl fmt::Display for InstanceQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConsoleOutput => "console_output",
        })
    }
}

/// What an instance has last written on its console.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsoleOutput {
    /// The text, empty where there is none yet. Machines write passwords and keys on their consoles.
    pub text: Secret,
    /// When the cloud noted it, in milliseconds since 1970, where it tells.
    pub time_ms: Option<u64>,
}
impl ConsoleOutput {
    /// The text has at most so many bytes: as many as EC2 keeps
    /// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleOutput.html>).
    pub const MAX_BYTES: usize = 64 * 1024;
    /// The newest of `text`.
    #[must_use]
    pub fn newest(text: &str, time_ms: Option<u64>) -> Self {
        let too_many = text.len().saturating_sub(Self::MAX_BYTES);
        let from = (too_many..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        Self { text: Secret::new(&text[from..]), time_ms }
    }
}

/// EC2's limit, the smallest: 16 KB before base64 (Amazon EC2 User Guide, instance user data).
const MAX_USER_DATA: usize = 16 * 1024;
/// At most this many addresses of one family; what a machine type can have is less on most (AWS: 50 on the largest).
const MAX_PRIVATE_IPS: usize = 16;
/// EC2 takes at most 16 groups on an interface, where a quota is raised; five by default
/// (<https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html>).
const MAX_GROUPS: usize = 16;
/// Each is another call where capacity is short.
const MAX_ALTERNATIVES: usize = 16;

impl Managed for Instance {
    type Action = InstanceAction;
    type Outcome = ();
    type Question = InstanceQuestion;
    type Answer = ConsoleOutput;
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
            let count = spec.private_ips.iter().filter(|ip| ip.is_ipv4() == v4).count();
            if count > MAX_PRIVATE_IPS {
                out.push(Violation::new("private_ips", format!("at most {MAX_PRIVATE_IPS} {family} addresses, got {count}")));
            }
        }
        for (i, ip) in spec.private_ips.iter().enumerate().take(2 * MAX_PRIVATE_IPS) {
            if spec.private_ips.iter().take(i).any(|other| other == ip) {
                out.push(Violation::new(format!("private_ips[{i}]"), format!("{ip} is there twice")));
            }
        }
        group_violations("security_groups", &spec.security_groups, &mut out);
        alternative_violations(spec, &mut out);
        start_violations("", spec.ssh_key.as_ref(), spec.user_data.as_ref(), &mut out);
        root_disk_violations("", &spec.root_disk, &mut out);
        let words = [("machine_type", Some(&spec.machine_type)), ("zone", spec.zone.as_ref()), ("identity", spec.identity.as_ref())];
        for (field, word) in words {
            word_violation(field, word, &mut out);
        }
        label_violations(&spec.labels, &mut out);
        out
    }
}

/// Few enough groups, each once.
pub(super) fn group_violations(field: &str, groups: &[Ref<SecurityGroup>], out: &mut Vec<Violation>) {
    if groups.len() > MAX_GROUPS {
        out.push(Violation::new(field, format!("at most {MAX_GROUPS} groups, got {}", groups.len())));
    }
    for (i, group) in groups.iter().enumerate().take(MAX_GROUPS) {
        if groups.iter().take(i).any(|other| other.name == group.name) {
            out.push(Violation::new(format!("{field}[{i}]"), format!("{} is there twice", group.name)));
        }
    }
}
/// What an instance is given at its first start. `at` is what its fields' paths begin with.
pub(super) fn start_violations(at: &str, ssh_key: Option<&String>, user_data: Option<&Secret>, out: &mut Vec<Violation>) {
    if let Some(key) = ssh_key {
        let mut words = key.split_ascii_whitespace();
        let known = words.next().is_some_and(|t| t.starts_with("ssh-") || t.starts_with("ecdsa-sha2-") || t.starts_with("sk-"));
        if !known || words.next().is_none_or(|body| body.len() < 32) || key.trim().lines().count() != 1 {
            out.push(Violation::new(format!("{at}ssh_key"), "not a public key in OpenSSH form: one line such as \"ssh-ed25519 AAAA... comment\""));
        }
    }
    if let Some(data) = user_data
        && data.expose().len() > MAX_USER_DATA
    {
        out.push(Violation::new(format!("{at}user_data"), format!("at most {MAX_USER_DATA} bytes, got {}", data.expose().len())));
    }
}
pub(super) fn root_disk_violations(at: &str, disk: &RootDisk, out: &mut Vec<Violation>) {
    if disk.size_gib == Some(0) {
        out.push(Violation::new(format!("{at}root_disk.size_gib"), "at least 1"));
    }
    word_violation(&format!("{at}root_disk.disk_type"), disk.disk_type.as_ref(), out);
}

fn alternative_violations(spec: &InstanceSpec, out: &mut Vec<Violation>) {
    if spec.alternatives.len() > MAX_ALTERNATIVES {
        return out.push(Violation::new("alternatives", format!("at most {MAX_ALTERNATIVES}, got {}", spec.alternatives.len())));
    }
    for (i, other) in spec.alternatives.iter().enumerate() {
        let mut wrong = |field: &str, why: &str| out.push(Violation::new(format!("alternatives[{i}]{field}"), why));
        if *other == Alternative::default() {
            wrong("", "it has to differ in something: the machine type, the subnet or the zone");
        }
        if other.subnet.is_some() && !spec.private_ips.is_empty() {
            wrong(".subnet", "private_ips are addresses of one subnet: leave them open where there is a choice");
        }
        word_violation(&format!("alternatives[{i}].machine_type"), Some(&other.machine_type), out);
        word_violation(&format!("alternatives[{i}].zone"), other.zone.as_ref(), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(spec: InstanceSpec) -> Vec<String> {
        let base = InstanceSpec { machine_type: "small".into(), image: "locations/r/images/i".parse().ok().map(Ref::to), subnet: subnet("s"), ..spec };
        Instance::violations(&base).into_iter().map(|v| v.field).collect()
    }
    fn subnet(id: &str) -> Option<Ref<Subnet>> {
        Some(Ref::to(format!("locations/r/subnets/{id}").parse().unwrap()))
    }
    fn ips(count: u8) -> Vec<IpAddr> {
        (0..count).map(|n| IpAddr::from([10, 0, 0, n])).collect()
    }

    #[test]
    fn what_is_there_twice_or_too_often_is_named() {
        assert_eq!(wrong(InstanceSpec { private_ips: ips(16), ..Default::default() }), [""; 0]);
        assert_eq!(wrong(InstanceSpec { private_ips: ips(17), ..Default::default() }), ["private_ips"]);
        assert_eq!(wrong(InstanceSpec { private_ips: [ips(1), ips(1)].concat(), ..Default::default() }), ["private_ips[1]"]);
        let group: Ref<SecurityGroup> = Ref::to("locations/r/securityGroups/g".parse().unwrap());
        assert_eq!(wrong(InstanceSpec { security_groups: vec![group.clone(), group], ..Default::default() }), ["security_groups[1]"]);
    }
    #[test]
    fn of_the_console_the_newest_is_kept_and_nothing_shown() {
        let output = |text: &str| ConsoleOutput::newest(text, Some(1));
        assert_eq!((output("").text.expose(), output("login: ").text.expose()), ("", "login: "));
        let whole = "x".repeat(ConsoleOutput::MAX_BYTES);
        assert_eq!(output(&format!("old{whole}")).text.expose(), whole);
        // The cut falls into the first letter, which goes as a whole.
        let cut = output(&format!("ü{}", &whole[1..]));
        assert_eq!(cut.text.expose(), &whole[1..]);
        assert_eq!(format!("{:?}", output("hunter2")), "ConsoleOutput { text: Secret(..), time_ms: Some(1) }");
    }
    #[test]
    fn an_alternative_differs_and_leaves_addresses_open() {
        let other = |subnet| Alternative { subnet, ..Default::default() };
        assert_eq!(wrong(InstanceSpec { alternatives: vec![other(subnet("t"))], ..Default::default() }), [""; 0]);
        assert_eq!(wrong(InstanceSpec { alternatives: vec![other(None)], ..Default::default() }), ["alternatives[0]"]);
        assert_eq!(wrong(InstanceSpec { alternatives: vec![other(subnet("t"))], private_ips: ips(1), ..Default::default() }), ["alternatives[0].subnet"]);
        assert_eq!(wrong(InstanceSpec { alternatives: vec![other(subnet("t")); 17], ..Default::default() }), ["alternatives"]);
    }
}
