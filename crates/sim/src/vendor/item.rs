//! What the vendor keeps: an item is one of its objects with id, tags and times.

use ipnet::IpNet;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fmt::Debug,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

pub(crate) type Tags = BTreeMap<String, String>;

/// What makes one type of object different from another.
pub(crate) trait Body: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Ids begin with it.
    const PREFIX: &'static str;
    /// The object that it lies in or hangs on.
    fn parent(&self) -> Option<&str>;
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item<T> {
    pub(crate) id: String,
    pub(crate) tags: Tags,
    pub(crate) created_ms: u64,
    /// Reads do not show it before.
    pub(crate) visible_ms: u64,
    /// Reads do not show its tags before.
    pub(crate) tagged_ms: u64,
    /// Counts its changes.
    pub(crate) version: u64,
    pub(crate) body: T,
}

/// An item as a read shows it, without tags while those lag.
#[derive(Debug, Clone)]
pub(crate) struct Shown<T> {
    item: Arc<Item<T>>,
    tagged: bool,
    /// When it was read.
    pub(crate) at_ms: u64,
}
impl<T> Shown<T> {
    pub(crate) fn new(item: Arc<Item<T>>, at_ms: u64) -> Self {
        let tagged = item.tagged_ms <= at_ms;
        Self { item, tagged, at_ms }
    }
    /// The answer to a write shows what was written.
    pub(crate) fn written(item: Arc<Item<T>>, at_ms: u64) -> Self {
        Self { item, tagged: true, at_ms }
    }
    pub(crate) fn id(&self) -> &str {
        &self.item.id
    }
    pub(crate) fn tags(&self) -> Option<&Tags> {
        self.tagged.then_some(&self.item.tags)
    }
    pub(crate) fn body(&self) -> &T {
        &self.item.body
    }
    pub(crate) fn created_ms(&self) -> u64 {
        self.item.created_ms
    }
    pub(crate) fn version(&self) -> u64 {
        self.item.version
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Network {
    pub(crate) cidrs: Vec<IpNet>,
    /// Assigned by the vendor.
    pub(crate) assigned: Option<IpNet>,
    /// Attached to it.
    pub(crate) gateway: Option<String>,
}
impl Body for Network {
    const PREFIX: &'static str = "net-";
    fn parent(&self) -> Option<&str> {
        None
    }
}

/// A way to the internet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gateway {
    /// What it is attached to.
    pub(crate) network: Option<String>,
}
impl Body for Gateway {
    const PREFIX: &'static str = "gw-";
    fn parent(&self) -> Option<&str> {
        self.network.as_deref()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Subnet {
    pub(crate) network: String,
    pub(crate) zone: String,
    pub(crate) cidrs: Vec<IpNet>,
    pub(crate) assigned: Option<IpNet>,
    pub(crate) public_ips: bool,
}
impl Body for Subnet {
    const PREFIX: &'static str = "subnet-";
    fn parent(&self) -> Option<&str> {
        Some(&self.network)
    }
}
impl Subnet {
    pub(crate) fn ranges(&self) -> impl Iterator<Item = &IpNet> {
        self.cidrs.iter().chain(&self.assigned)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SecurityGroup {
    pub(crate) network: String,
    pub(crate) description: String,
    pub(crate) restrict_egress: bool,
    pub(crate) rules: Vec<GroupRule>,
}
impl Body for SecurityGroup {
    const PREFIX: &'static str = "sg-";
    fn parent(&self) -> Option<&str> {
        Some(&self.network)
    }
}
/// Traffic of one peer that is let through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GroupRule {
    /// Empty on one that is not there yet.
    pub(crate) id: String,
    pub(crate) is_egress: bool,
    pub(crate) protocol: String,
    pub(crate) ports: Option<(u16, u16)>,
    pub(crate) peer: GroupPeer,
    pub(crate) description: String,
    pub(crate) tags: Tags,
}
impl GroupRule {
    /// Whatever it is called and whoever made it.
    pub(crate) fn lets_through_what(&self, other: &Self) -> bool {
        (self.is_egress, &self.protocol, self.ports, &self.peer) == (other.is_egress, &other.protocol, other.ports, &other.peer)
    }
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GroupPeer {
    Cidr(IpNet),
    Group(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) subnet: String,
    pub(crate) zone: String,
    pub(crate) machine_type: String,
    pub(crate) image: String,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) public_ip: Option<Ipv4Addr>,
    pub(crate) wants_ipv6: bool,
    pub(crate) identity: Option<String>,
    pub(crate) disk_gib: u32,
    pub(crate) disk_type: String,
    pub(crate) disk_encrypted: bool,
    pub(crate) forwards: bool,
    /// Security groups of the subnet's network.
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    /// Cannot be deleted.
    #[serde(default)]
    pub(crate) protected: bool,
    #[serde(default)]
    pub(crate) spot: bool,
    /// Who asked: the idempotency token.
    pub(crate) token: Option<String>,
    /// What `token` asked for, as a hash, so that the same token with another request is refused.
    pub(crate) asked: String,
    pub(crate) reboots: u64,
    /// What it has written on its console, the newest last.
    #[serde(default)]
    pub(crate) console: Vec<ConsoleLine>,
    /// Where it is going.
    pub(crate) goal: Condition,
    /// When it arrives there.
    pub(crate) settles_ms: u64,
}
/// A line on a console.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConsoleLine {
    pub(crate) at_ms: u64,
    pub(crate) text: String,
}
impl Body for Instance {
    const PREFIX: &'static str = "i-";
    fn parent(&self) -> Option<&str> {
        Some(&self.subnet)
    }
}

/// A public address that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) ip: Ipv4Addr,
    /// Where it leads: an instance, and which of its private addresses.
    pub(crate) leads_to: Option<(String, Ipv4Addr)>,
}
impl Body for Address {
    const PREFIX: &'static str = "addr-";
    fn parent(&self) -> Option<&str> {
        self.leads_to.as_ref().map(|(instance, _)| instance.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Disk {
    pub(crate) zone: String,
    pub(crate) size_gib: u32,
    pub(crate) disk_type: String,
    /// Of types that take numbers.
    pub(crate) performance: Option<Performance>,
    pub(crate) encrypted: bool,
    pub(crate) encryption_key: Option<String>,
    pub(crate) attachment: Option<Attachment>,
    /// Who asked, and for what: as of an instance.
    pub(crate) token: Option<String>,
    pub(crate) asked: String,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Performance {
    pub(crate) iops: u32,
    pub(crate) throughput_mibps: u32,
}
/// Where a disk is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) instance: String,
    /// What it is called there.
    pub(crate) device: String,
}
impl Body for Disk {
    const PREFIX: &'static str = "disk-";
    fn parent(&self) -> Option<&str> {
        self.attachment.as_ref().map(|a| a.instance.as_str())
    }
}

/// Stands in a subnet and speaks for others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NatGateway {
    pub(crate) subnet: String,
    /// What a public one is seen as, and how that reads.
    pub(crate) address: Option<(String, Ipv4Addr)>,
    /// In the subnet; one that failed has none.
    pub(crate) private_ip: Option<Ipv4Addr>,
    /// Why it fails, once it has settled.
    pub(crate) failure: Option<String>,
    /// Who asked, and for what: as of an instance.
    pub(crate) token: Option<String>,
    pub(crate) asked: String,
    /// Is it on its way out?
    pub(crate) leaves: bool,
    /// When it is ready, has failed or is gone.
    pub(crate) settles_ms: u64,
}
impl Body for NatGateway {
    const PREFIX: &'static str = "nat-";
    fn parent(&self) -> Option<&str> {
        Some(&self.subnet)
    }
}
impl NatGateway {
    pub(crate) fn has_settled(&self, now_ms: u64) -> bool {
        self.settles_ms <= now_ms
    }
    pub(crate) fn is_gone(&self, now_ms: u64) -> bool {
        self.leaves && self.has_settled(now_ms)
    }
    /// Does it keep its subnet and its address from their ends?
    pub(crate) fn holds(&self, now_ms: u64) -> bool {
        self.failure.is_none() && !self.is_gone(now_ms)
    }
}

/// Where the traffic of subnets goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RouteTable {
    pub(crate) network: String,
    pub(crate) routes: Vec<VendorRoute>,
    /// Routes that the vendor puts there itself, by their destinations.
    pub(crate) propagated: Vec<IpNet>,
    /// What it is for; no subnet is in two.
    pub(crate) subnets: Vec<String>,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct VendorRoute {
    pub(crate) destination: IpNet,
    pub(crate) way: Way,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    Internet,
    Instance(String),
    NatGateway(String),
}
impl Body for RouteTable {
    const PREFIX: &'static str = "rtb-";
    fn parent(&self) -> Option<&str> {
        Some(&self.network)
    }
}

/// Spreads connections over the targets of a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LoadBalancer {
    /// No other one of the region has it.
    pub(crate) name: String,
    /// What was asked for under that name, as a hash.
    pub(crate) asked: String,
    pub(crate) network: String,
    pub(crate) is_public: bool,
    pub(crate) places: Vec<Place>,
    /// The security group that it is in.
    pub(crate) group: Option<String>,
    pub(crate) pool: Option<String>,
    pub(crate) listeners: Vec<VendorListener>,
    pub(crate) dual_stack: bool,
    pub(crate) settings: BalancerSettings,
    /// Is it on its way out?
    pub(crate) leaves: bool,
    /// When it is ready or gone.
    pub(crate) settles_ms: u64,
}
/// What of a load balancer can be switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BalancerSettings {
    pub(crate) cross_zone: bool,
    pub(crate) idle_timeout_s: u32,
    /// Cannot be deleted.
    pub(crate) protected: bool,
}
/// Where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) subnet: String,
    pub(crate) private_ips: Vec<IpAddr>,
    /// Of a public one.
    pub(crate) public_ip: Option<Ipv4Addr>,
    /// Where that is a kept address.
    pub(crate) address: Option<String>,
}
/// No two of one protocol and port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VendorListener {
    pub(crate) protocol: String,
    pub(crate) port: u16,
    pub(crate) target_port: u16,
}
impl Body for LoadBalancer {
    const PREFIX: &'static str = "lb-";
    fn parent(&self) -> Option<&str> {
        Some(&self.network)
    }
}
impl LoadBalancer {
    pub(crate) fn has_settled(&self, now_ms: u64) -> bool {
        self.settles_ms <= now_ms
    }
    pub(crate) fn is_gone(&self, now_ms: u64) -> bool {
        self.leaves && self.has_settled(now_ms)
    }
}

/// Instances or addresses, and how it is found out which of them work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pool {
    /// As of a load balancer.
    pub(crate) name: String,
    pub(crate) asked: String,
    pub(crate) network: String,
    pub(crate) settings: PoolSettings,
    pub(crate) targets: Vec<PoolTarget>,
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PoolSettings {
    pub(crate) check: Check,
    pub(crate) affinity: bool,
    pub(crate) preserve_client_ip: bool,
    pub(crate) proxy_protocol: bool,
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Check {
    pub(crate) protocol: String,
    /// None: the one that a listener leads to.
    pub(crate) port: Option<u16>,
    pub(crate) path: Option<String>,
    pub(crate) interval_s: u32,
    pub(crate) healthy_threshold: u32,
    pub(crate) unhealthy_threshold: u32,
}
/// An instance by its id, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PoolTarget {
    pub(crate) id: String,
    pub(crate) since_ms: u64,
    /// Until when one that was taken away keeps its connections.
    pub(crate) drains_until_ms: Option<u64>,
}
impl PoolTarget {
    pub(crate) fn is_there(&self, now_ms: u64) -> bool {
        self.drains_until_ms.is_none_or(|until| until > now_ms)
    }
}
impl Body for Pool {
    const PREFIX: &'static str = "pool-";
    fn parent(&self) -> Option<&str> {
        Some(&self.network)
    }
}

/// What instances can be made from, in versions that stay as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Template {
    /// As of a load balancer.
    pub(crate) name: String,
    pub(crate) asked: String,
    pub(crate) versions: Vec<LaunchSpec>,
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LaunchSpec {
    /// The preferred one first.
    pub(crate) machine_types: Vec<String>,
    pub(crate) image: String,
    /// Hashes of a key and of user data: nothing boots, but another text is another version.
    pub(crate) ssh_key: Option<String>,
    pub(crate) user_data: Option<String>,
    pub(crate) identity: Option<String>,
    pub(crate) disk_gib: Option<u32>,
    pub(crate) disk_type: Option<String>,
    pub(crate) disk_encrypted: Option<bool>,
    pub(crate) disks: Vec<FurtherDisk>,
    pub(crate) groups: Vec<String>,
    pub(crate) public_ip: Option<bool>,
}
/// A part of an instance, like the disk that it starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FurtherDisk {
    pub(crate) size_gib: u32,
    pub(crate) disk_type: Option<String>,
    pub(crate) encrypted: Option<bool>,
}
impl Body for Template {
    const PREFIX: &'static str = "tmpl-";
    fn parent(&self) -> Option<&str> {
        None
    }
}

/// Keeps a number of instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct InstanceGroup {
    /// As of a load balancer.
    pub(crate) name: String,
    pub(crate) asked: String,
    /// What instances are made from, and which version of it.
    pub(crate) template: Option<String>,
    pub(crate) version: u32,
    /// Where they are made.
    pub(crate) subnets: Vec<String>,
    pub(crate) settings: GroupSettings,
    /// What they are tagged with.
    pub(crate) propagated: Tags,
    pub(crate) members: Vec<Member>,
    /// What could not be made of late, the newest first.
    pub(crate) failures: Vec<Failure>,
    /// How many attempts failed since the last that did not.
    pub(crate) failed: u32,
    /// No instance is made before.
    pub(crate) retry_ms: u64,
    /// The last replacement of its instances.
    pub(crate) refresh: Option<Refresh>,
    /// Is it on its way out?
    pub(crate) leaves: bool,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct GroupSettings {
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) size: u32,
    pub(crate) on_demand_base: u32,
    pub(crate) spot_percent: u32,
    pub(crate) grace_s: u32,
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) instance: String,
    /// Of the template that it was made from.
    pub(crate) version: u32,
    pub(crate) since_ms: u64,
}
/// Why an instance was not made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) zone: String,
    pub(crate) machine_type: String,
    pub(crate) spot: bool,
    pub(crate) at_ms: u64,
}
/// Instances of earlier versions are replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refresh {
    pub(crate) id: String,
    pub(crate) max_unavailable: u32,
    pub(crate) max_surge: u32,
    /// How many there were at its beginning.
    pub(crate) total: u32,
    pub(crate) state: RefreshState,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefreshState {
    InProgress,
    Successful,
    Cancelled,
}
impl Body for InstanceGroup {
    const PREFIX: &'static str = "grp-";
    fn parent(&self) -> Option<&str> {
        self.template.as_deref()
    }
}

/// A zone of the domain name system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Zone {
    pub(crate) dns_name: String,
    /// Those that a private zone is answered for; a public one has none.
    pub(crate) networks: Vec<ZoneNetwork>,
    pub(crate) comment: String,
    pub(crate) name_servers: Vec<String>,
}
/// A network of whatever region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ZoneNetwork {
    pub(crate) region: String,
    pub(crate) id: String,
}
impl Body for Zone {
    const PREFIX: &'static str = "zone-";
    fn parent(&self) -> Option<&str> {
        None
    }
}

/// A state that an instance can stay in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Condition {
    Running,
    Stopped,
    Gone,
}
impl Instance {
    pub(crate) fn has_settled(&self, now_ms: u64) -> bool {
        self.settles_ms <= now_ms
    }
    pub(crate) fn is_gone(&self, now_ms: u64) -> bool {
        self.goal == Condition::Gone && self.has_settled(now_ms)
    }
    /// Writes a line on its console, where the oldest goes when there are too many.
    pub(crate) fn write(&mut self, at_ms: u64, text: impl Into<String>) {
        const MOST_LINES: usize = 100;
        let too_many = (self.console.len() + 1).saturating_sub(MOST_LINES);
        self.console.drain(..too_many);
        self.console.push(ConsoleLine { at_ms, text: text.into() });
    }
}
