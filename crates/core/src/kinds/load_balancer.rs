//! What spreads connections over many machines, without looking into them.

mod delta;
mod wish;
pub use delta::{BackendDelta, BackendsChanged, LoadBalancerAction};
pub use wish::LoadBalancerWish;

use super::{Labels, api_enum, kind, label_violations, word_violation};
use crate::{
    Address, AnyRef, CloudProvider, Condition, Driver, Instance, InstanceGroup, LocationName, Managed, Name, Network, Protocol, Ref, ResourceId, Subnet, VendorConfig, Violation,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};

kind! {
    /// Spreads connections over many machines (layer 4): of each listener over all of its backends that are healthy.
    LoadBalancer at "loadBalancers" in LocationName, id ResourceId, spec LoadBalancerSpec, status LoadBalancerStatus,
    fields &["network", "subnets", "scheme", "listeners", "listeners.protocol", "listeners.port", "listeners.target_port", "listeners.certificate",
        "backends", "backends.instance", "backends.instance_group", "backends.address", "health_check", "health_check.protocol", "health_check.port", "health_check.path",
        "health_check.interval_s", "health_check.healthy_threshold", "health_check.unhealthy_threshold", "source_ranges", "client_ip_affinity",
        "preserve_client_ip", "proxy_protocol", "cross_zone", "idle_timeout_s", "addresses", "dual_stack", "deletion_protection", "labels", "provider_config"],
    input_only &[],
    reader |p| p.load_balancers().map(|d| d as &dyn crate::Reader<Self>),
    zone |_, _| None,
    condition |status| match status.state {
        LoadBalancerState::Unspecified | LoadBalancerState::Provisioning | LoadBalancerState::Active => Condition::Usable,
        LoadBalancerState::Deleting => Condition::Leaving,
        LoadBalancerState::Failed => Condition::Failed,
        LoadBalancerState::Incomplete => Condition::Incomplete,
    },
    refs |spec| {
        let subnets = spec.subnets.iter_mut().enumerate().map(|(i, r)| r.any(format!("subnets[{i}]")));
        let backends = spec.backends.iter_mut().enumerate().flat_map(|(i, b)| b.refs(format!("backends[{i}]")));
        let addresses = spec.addresses.iter_mut().enumerate().map(|(i, r)| r.any(format!("addresses[{i}]")));
        spec.network.iter_mut().map(|r| r.any("network")).chain(subnets).chain(backends).chain(addresses).collect()
    }
}

/// What a load balancer should be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadBalancerSpec {
    /// The network that it and its backends are in. Required.
    pub network: Option<Ref<Network>>,
    /// Where it stands in that network. Required: at least one, on zonal clouds one of each zone that it serves.
    pub subnets: Vec<Ref<Subnet>>,
    /// For whom it is. Required.
    pub scheme: Scheme,
    /// What it takes. Required: at least one, no two for one port and protocol.
    pub listeners: Vec<Listener>,
    /// Over what it spreads that. Required: at least one; all of them instances, or instance groups, or addresses.
    pub backends: Vec<Backend>,
    /// How it finds out which of them work.
    pub health_check: HealthCheck,
    /// Whose connections it takes. None: everybody's.
    pub source_ranges: Vec<IpNet>,
    /// All connections of one client go to one backend, for as long as that works.
    pub client_ip_affinity: bool,
    /// The backends see the client's address as the sender. What is left open is the cloud's choice.
    pub preserve_client_ip: Option<bool>,
    /// The backends are told the client's address by a header of PROXY protocol version 2 before everything else.
    pub proxy_protocol: bool,
    /// Each of its zones serves the backends of all of them.
    pub cross_zone: bool,
    /// A connection on which nothing goes for this long is forgotten.
    pub idle_timeout_s: Option<u32>,
    /// Kept addresses that it is reached at, where it is public; as many as the cloud wants (AWS: one for each subnet). None: the cloud's own.
    pub addresses: Vec<Ref<Address>>,
    /// It is reached at IPv6 addresses too.
    pub dual_stack: bool,
    /// A delete is refused, by the cloud itself.
    pub deletion_protection: bool,
    /// A user's own labels.
    pub labels: Labels,
    /// The vendor's extension.
    pub provider_config: Option<VendorConfig>,
}
impl LoadBalancerSpec {
    /// Puts what has no order in order, and leaves out what says nothing, so that two that mean the same are the same. What a driver answers is so.
    pub fn settle(&mut self) {
        for listener in &mut self.listeners {
            listener.target_port = listener.target_port.filter(|target| Some(*target) != listener.port);
        }
        self.listeners.sort_by_key(Listener::key);
        self.backends.sort_unstable();
        self.source_ranges.sort_unstable();
        self.subnets.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.addresses.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    }
    /// Which kept address it is reached at in each subnet, by the vendor's ids, where `there` is how that is now: empty of a new one. A subnet that stays keeps
    /// its own, because no cloud moves one; new subnets and new addresses meet in the order in which they are named.
    ///
    /// # Errors
    /// `InvalidArgument` with `addresses` where these cannot be theirs; `Internal` where nobody resolved what it refers to.
    pub fn places(&self, there: &BTreeMap<String, Option<String>>) -> Result<BTreeMap<String, Option<String>>, crate::Error> {
        let subnets = self.subnets.iter().map(|r| r.vendor_id().map(ToString::to_string)).collect::<Result<Vec<_>, _>>()?;
        let addresses = self.addresses.iter().map(|r| r.vendor_id().map(ToString::to_string)).collect::<Result<Vec<_>, _>>()?;
        let (stay, new): (Vec<String>, Vec<String>) = subnets.into_iter().partition(|subnet| there.contains_key(subnet));
        let mut places: BTreeMap<_, _> = stay.into_iter().filter_map(|subnet| there.get(&subnet).cloned().map(|at| (subnet, at))).collect();
        let kept: BTreeSet<&String> = places.values().flatten().collect();
        let left: Vec<&String> = addresses.iter().filter(|at| !kept.contains(at)).collect();
        if kept.iter().any(|at| !addresses.contains(at)) || left.len() != if addresses.is_empty() { 0 } else { new.len() } {
            return Err(crate::Error::invalid("addresses", "a subnet that stays keeps its address, or none: each new one takes one of the others, where there are any"));
        }
        let mut left = left.into_iter().cloned();
        places.extend(new.into_iter().map(|subnet| (subnet, left.next())));
        Ok(places)
    }
    /// What its backends have to let in from it, each once: what listeners lead there, and the checks, which are TCP whatever the listener takes.
    #[must_use]
    pub fn openings(&self) -> BTreeSet<(Protocol, u16)> {
        let led = self.listeners.iter().filter_map(|l| Some((l.protocol.transport()?, l.leads_to()?)));
        led.flat_map(|(transport, port)| [(transport, port), (Protocol::TCP, self.health_check.port.unwrap_or(port))]).collect()
    }
}

/// Connections that are taken, and where on a backend they lead.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listener {
    /// Of which protocol. Required. One port can have a listener for TCP and one for UDP.
    pub protocol: ListenerProtocol,
    /// At which port. Required.
    pub port: Option<u16>,
    /// The port of the backends; None: the same one.
    pub target_port: Option<u16>,
    /// With which certificate TLS ends here, by the vendor's id.
    pub certificate: Option<String>,
}
impl Listener {
    /// What tells one listener from another.
    #[must_use]
    pub fn key(&self) -> (ListenerProtocol, Option<u16>) {
        (self.protocol, self.port)
    }
    /// The port of the backends.
    #[must_use]
    pub fn leads_to(&self) -> Option<u16> {
        self.target_port.or(self.port)
    }
}

/// Where connections are led: exactly one of the three.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backend {
    /// To an instance of the network.
    pub instance: Option<Ref<Instance>>,
    /// To whatever instances a group has.
    pub instance_group: Option<Ref<InstanceGroup>>,
    /// To an address that the network leads to.
    pub address: Option<IpAddr>,
}
impl Backend {
    /// What it refers to, as the item at `path`.
    fn refs(&mut self, path: String) -> impl Iterator<Item = AnyRef<'_>> {
        let group = self.instance_group.iter_mut().map({
            let path = format!("{path}.instance_group");
            move |r| r.any(path.clone())
        });
        self.instance.iter_mut().map(move |r| r.any(format!("{path}.instance"))).chain(group)
    }
    /// What it is at the vendor: an instance's or a group's id, or an address.
    ///
    /// # Errors
    /// `Internal` where nobody resolved what it refers to; `InvalidArgument` where it is nothing.
    pub fn vendor_id(&self) -> Result<String, crate::Error> {
        match (&self.instance, &self.instance_group, self.address) {
            (Some(instance), _, _) => instance.vendor_id().map(ToString::to_string),
            (None, Some(group), _) => group.vendor_id().map(ToString::to_string),
            (None, None, Some(ip)) => Ok(ip.to_string()),
            (None, None, None) => Err(crate::Error::invalid("backends", "a backend is an instance, an instance group or an address")),
        }
    }
}

/// How it is found out which backends work. What is left open is the cloud's choice.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthCheck {
    /// By a connection, or by a request over HTTP or HTTPS.
    pub protocol: HealthProtocol,
    /// At which port; None: the one that the listener leads to.
    pub port: Option<u16>,
    /// What is requested, over HTTP and HTTPS.
    pub path: Option<String>,
    /// How often.
    pub interval_s: Option<u32>,
    /// After how many that went well a backend works again.
    pub healthy_threshold: Option<u32>,
    /// After how many that failed it works no longer.
    pub unhealthy_threshold: Option<u32>,
}

api_enum! {
    /// For whom a load balancer is.
    Scheme {
        /// For the internet, at public addresses.
        Public = "PUBLIC",
        /// For its network and what is connected to that, at private addresses.
        Internal = "INTERNAL",
    }
}
api_enum! {
    /// What a listener takes.
    ListenerProtocol {
        /// TCP.
        Tcp = "TCP",
        /// UDP.
        Udp = "UDP",
        /// TLS over TCP, which ends at the load balancer.
        Tls = "TLS",
    }
}
impl ListenerProtocol {
    /// What a packet of it is on the wire.
    #[must_use]
    pub const fn transport(self) -> Option<Protocol> {
        match self {
            Self::Unspecified => None,
            Self::Tcp | Self::Tls => Some(Protocol::TCP),
            Self::Udp => Some(Protocol::UDP),
        }
    }
}
api_enum! {
    /// How a backend is asked whether it works.
    HealthProtocol {
        /// It takes a connection.
        Tcp = "TCP",
        /// It answers a request over HTTP well.
        Http = "HTTP",
        /// It answers a request over HTTPS well.
        Https = "HTTPS",
    }
}
api_enum! {
    /// Where a load balancer is in its life.
    LoadBalancerState {
        /// Being made.
        Provisioning = "PROVISIONING",
        /// It takes connections.
        Active = "ACTIVE",
        /// Being removed.
        Deleting = "DELETING",
        /// The cloud says that it failed.
        Failed = "FAILED",
        /// A part is missing: it can only be deleted.
        Incomplete = "INCOMPLETE",
    }
}
api_enum! {
    /// What a load balancer thinks of a backend.
    TargetState {
        /// It is new, and not enough checks were made.
        Initial = "INITIAL",
        /// It gets connections.
        Healthy = "HEALTHY",
        /// Its checks fail: it gets none while there are others.
        Unhealthy = "UNHEALTHY",
        /// It is no backend any more, and keeps the connections that it has for a while.
        Draining = "DRAINING",
        /// Nothing leads to it: no check is made.
        Unused = "UNUSED",
    }
}

/// What a load balancer is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadBalancerStatus {
    /// Its state.
    pub state: LoadBalancerState,
    /// Why it is in this state, in the cloud's words, where it tells.
    pub state_reason: String,
    /// The name that it is reached under, where the cloud gives it one.
    pub dns_name: String,
    /// The addresses that it is reached at, where the cloud shows them.
    pub ip_addresses: Vec<IpAddr>,
    /// The security groups in which rules of its own let its connections in, by the vendor's ids.
    pub opened_security_groups: Vec<String>,
}

/// What can be asked of a load balancer beyond what a read shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadBalancerQuestion {
    /// Which of its backends work.
    TargetHealth,
}
impl fmt::Display for LoadBalancerQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TargetHealth => "target_health",
        })
    }
}

/// What a load balancer thinks of one backend of one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetHealth {
    /// The backend: the instance's vendor id, or the address.
    pub backend: String,
    /// The listener; of what nothing leads to, neither.
    pub protocol: ListenerProtocol,
    /// Its port.
    pub port: Option<u16>,
    /// What it thinks.
    pub state: TargetState,
    /// Why, in the cloud's words, where it tells.
    pub reason: String,
}

/// What has to be done so that the backends are those that are wanted, by what each is at the vendor: no backend that is one already is touched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BackendChanges {
    /// To be added.
    pub missing: Vec<String>,
    /// To be taken away.
    pub surplus: Vec<String>,
}
impl BackendChanges {
    /// From what is there to what is wanted.
    ///
    /// # Errors
    /// Those of [`Backend::vendor_id`].
    pub fn between<'a>(there: impl IntoIterator<Item = &'a str>, wanted: &[Backend]) -> Result<Self, crate::Error> {
        let wanted = wanted.iter().map(Backend::vendor_id).collect::<Result<BTreeSet<_>, _>>()?;
        let there: BTreeSet<String> = there.into_iter().map(ToOwned::to_owned).collect();
        Ok(Self { missing: wanted.difference(&there).cloned().collect(), surplus: there.difference(&wanted).cloned().collect() })
    }
}
/// What has to be done so that the listeners are those that are wanted: none that is so already is touched.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListenerChanges<'a> {
    /// For a port and protocol that has none.
    pub missing: Vec<&'a Listener>,
    /// For one that leads elsewhere, or has another certificate.
    pub other: Vec<&'a Listener>,
    /// That are not wanted.
    pub surplus: Vec<Listener>,
}
impl<'a> ListenerChanges<'a> {
    /// From what is there to what is wanted.
    #[must_use]
    pub fn between(there: &[Listener], wanted: &'a [Listener]) -> Self {
        let (mut changes, is_same) = (Self::default(), |a: &Listener, b: &Listener| a.leads_to() == b.leads_to() && a.certificate == b.certificate);
        for listener in wanted {
            match there.iter().find(|now| now.key() == listener.key()) {
                None => changes.missing.push(listener),
                Some(now) if !is_same(now, listener) => changes.other.push(listener),
                Some(_) => {}
            }
        }
        changes.surplus = there.iter().filter(|now| wanted.iter().all(|l| l.key() != now.key())).cloned().collect();
        changes
    }
}

/// As many as one network load balancer of AWS has
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-limits.html>).
const MAX_LISTENERS: usize = 50;
/// Targets of one network load balancer of AWS, by the same page: 3000 with those of all zones.
const MAX_BACKENDS: usize = 3000;
/// More zones than a region has, and few enough to be compared with each other.
const MAX_SUBNETS: usize = 64;
/// Each is a rule of a security group for every listener; AWS takes 60 in a group by default.
const MAX_SOURCE_RANGES: usize = 64;
/// A path of HTTP begins with a slash, and AWS takes 1024 characters.
const MAX_PATH: usize = 1024;

impl Managed for LoadBalancer {
    type Action = LoadBalancerAction;
    type Outcome = BackendsChanged;
    type Question = LoadBalancerQuestion;
    type Answer = Vec<TargetHealth>;
    fn driver(p: &dyn CloudProvider) -> Option<&dyn Driver<Self>> {
        p.load_balancers()
    }
    fn queues(_: &LoadBalancerAction) -> bool {
        true
    }
    fn action_refs(LoadBalancerAction::ChangeBackends(delta): &mut LoadBalancerAction) -> Vec<AnyRef<'_>> {
        delta.refs()
    }
    fn known(LoadBalancerAction::ChangeBackends(delta): &mut LoadBalancerAction, _: &Name<Self>, _: &dyn Fn(&str) -> bool, _: u32) -> Vec<Violation> {
        delta.violations()
    }
    fn left_so(outcome: &BackendsChanged) -> Option<&LoadBalancerSpec> {
        outcome.left.as_deref()
    }
    fn shown(LoadBalancerAction::ChangeBackends(delta): &LoadBalancerAction, spec: &LoadBalancerSpec) -> Option<LoadBalancerAction> {
        delta.shown(spec).map(LoadBalancerAction::ChangeBackends)
    }
    fn label(id: &ResourceId) -> Option<&ResourceId> {
        Some(id)
    }
    fn zone_mut(_: &mut LoadBalancerSpec) -> Option<&mut Option<String>> {
        None
    }
    fn violations(spec: &LoadBalancerSpec) -> Vec<Violation> {
        let mut out = Vec::new();
        let mut needs = |field: &str, is_there: bool, why: &str| {
            if !is_there {
                out.push(Violation::new(field, why));
            }
        };
        needs("network", spec.network.is_some(), "a load balancer needs the network that it is in");
        needs("subnets", !spec.subnets.is_empty(), "a load balancer needs a subnet to stand in");
        needs("scheme", spec.scheme != Scheme::Unspecified, "PUBLIC for the internet, or INTERNAL for the network");
        needs("listeners", !spec.listeners.is_empty(), "a load balancer needs a listener");
        needs("backends", !spec.backends.is_empty(), "a load balancer needs a backend to lead connections to");
        needs("addresses", spec.addresses.is_empty() || spec.scheme != Scheme::Internal, "kept addresses are public: an INTERNAL load balancer has none");
        let bounded = [
            ("subnets", spec.subnets.len(), MAX_SUBNETS),
            ("addresses", spec.addresses.len(), MAX_SUBNETS),
            ("listeners", spec.listeners.len(), MAX_LISTENERS),
            ("backends", spec.backends.len(), MAX_BACKENDS),
            ("source_ranges", spec.source_ranges.len(), MAX_SOURCE_RANGES),
        ];
        for (field, items, most) in bounded {
            if items > most {
                out.push(Violation::new(field, format!("at most {most}, got {items}")));
                return out;
            }
        }
        twice("subnets", &spec.subnets.iter().map(|r| &r.name).collect::<Vec<_>>(), &mut out);
        twice("addresses", &spec.addresses.iter().map(|r| &r.name).collect::<Vec<_>>(), &mut out);
        listener_violations(&spec.listeners, &mut out);
        backend_violations("backends", &spec.backends, &mut out);
        health_violations(&spec.health_check, &mut out);
        for (i, net) in spec.source_ranges.iter().enumerate() {
            if net.trunc() != *net {
                out.push(Violation::new(format!("source_ranges[{i}]"), format!("{net} has bits set beyond its prefix; did you mean {}?", net.trunc())));
            }
        }
        twice("source_ranges", &spec.source_ranges.iter().collect::<Vec<_>>(), &mut out);
        if spec.idle_timeout_s == Some(0) {
            out.push(Violation::new("idle_timeout_s", "at least 1"));
        }
        label_violations(&spec.labels, &mut out);
        out
    }
}

fn twice<T: fmt::Display + Ord>(field: &str, items: &[T], out: &mut Vec<Violation>) {
    let mut seen = BTreeSet::new();
    for (i, item) in items.iter().enumerate() {
        if !seen.insert(item) {
            out.push(Violation::new(format!("{field}[{i}]"), format!("{item} is there twice")));
        }
    }
}
fn listener_violations(listeners: &[Listener], out: &mut Vec<Violation>) {
    let mut seen = BTreeSet::new();
    for (i, listener) in listeners.iter().enumerate() {
        let mut wrong = |field: &str, why: String| out.push(Violation::new(format!("listeners[{i}]{field}"), why));
        let transport = listener.protocol.transport();
        if transport.is_none() {
            wrong(".protocol", "a listener needs a protocol: TCP, UDP or TLS".into());
        }
        match (listener.port, transport) {
            (None, _) => wrong(".port", "a listener needs a port".into()),
            (Some(0), _) => wrong(".port", "ports begin with 1".into()),
            (Some(port), Some(transport)) if !seen.insert((transport, port)) => wrong(".port", format!("another listener takes {transport} at port {port}")),
            _ => {}
        }
        if listener.target_port == Some(0) {
            wrong(".target_port", "ports begin with 1".into());
        }
        if (listener.protocol == ListenerProtocol::Tls) != listener.certificate.is_some() {
            wrong(".certificate", "a listener for TLS needs a certificate, and no other takes one".into());
        }
        word_violation(&format!("listeners[{i}].certificate"), listener.certificate.as_ref(), out);
    }
}
fn backend_violations(field: &str, backends: &[Backend], out: &mut Vec<Violation>) {
    let (mut instances, mut groups, mut addresses) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (i, backend) in backends.iter().enumerate() {
        let mut wrong = |why: String| out.push(Violation::new(format!("{field}[{i}]"), why));
        match (&backend.instance, &backend.instance_group, backend.address) {
            (Some(instance), None, None) if !instances.insert(&instance.name) => wrong(format!("{} is there twice", instance.name)),
            (None, Some(group), None) if !groups.insert(&group.name) => wrong(format!("{} is there twice", group.name)),
            (None, None, Some(ip)) if !addresses.insert(ip) => wrong(format!("{ip} is there twice")),
            (Some(_), None, None) | (None, Some(_), None) | (None, None, Some(_)) => {
                if [instances.is_empty(), groups.is_empty(), addresses.is_empty()].iter().filter(|is_empty| !**is_empty).count() > 1 {
                    wrong("backends are instances, instance groups or addresses, and of one form in one load balancer".into());
                }
            }
            _ => wrong("a backend is exactly one of instance, instance_group and address".into()),
        }
    }
}
fn health_violations(check: &HealthCheck, out: &mut Vec<Violation>) {
    let mut wrong = |field: &str, why: String| out.push(Violation::new(format!("health_check.{field}"), why));
    match &check.path {
        Some(_) if !matches!(check.protocol, HealthProtocol::Http | HealthProtocol::Https) => wrong("path", "only checks over HTTP and HTTPS have a path".into()),
        Some(path) if !path.starts_with('/') || path.chars().any(|c| c.is_control() || c == ' ') => wrong("path", "a path begins with / and has no spaces".into()),
        Some(path) if path.chars().count() > MAX_PATH => wrong("path", format!("at most {MAX_PATH} characters")),
        _ => {}
    }
    if check.port == Some(0) {
        wrong("port", "ports begin with 1".into());
    }
    let numbers = [("interval_s", check.interval_s), ("healthy_threshold", check.healthy_threshold), ("unhealthy_threshold", check.unhealthy_threshold)];
    for (field, _) in numbers.iter().filter(|(_, n)| *n == Some(0)) {
        wrong(field, "at least 1".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(protocol: ListenerProtocol, port: u16, target_port: Option<u16>) -> Listener {
        Listener { protocol, port: Some(port), target_port, certificate: None }
    }
    fn to_instance(id: &str) -> Backend {
        Backend { instance: Some(Ref::resolved("locations/r/instances/i".parse().unwrap(), id.parse().unwrap())), ..Backend::default() }
    }
    fn to_address(last: u8) -> Backend {
        Backend { address: Some([10, 0, 0, last].into()), ..Backend::default() }
    }
    fn plain() -> LoadBalancerSpec {
        LoadBalancerSpec {
            network: Some(Ref::to("locations/r/networks/n".parse().unwrap())),
            subnets: vec![Ref::to("locations/r/subnets/s".parse().unwrap())],
            scheme: Scheme::Internal,
            listeners: vec![listener(ListenerProtocol::Tcp, 80, None)],
            backends: vec![to_address(1)],
            ..LoadBalancerSpec::default()
        }
    }
    fn wrong(spec: &LoadBalancerSpec) -> Vec<String> {
        LoadBalancer::violations(spec).into_iter().map(|v| v.field).collect()
    }

    #[test]
    fn what_is_needed_is_named() {
        assert_eq!(wrong(&plain()), [""; 0]);
        assert_eq!(wrong(&LoadBalancerSpec::default()), ["network", "subnets", "scheme", "listeners", "backends"]);
        let addresses = vec![Ref::to("locations/r/addresses/a".parse().unwrap())];
        assert_eq!(wrong(&LoadBalancerSpec { addresses, ..plain() }), ["addresses"]);
        assert_eq!(wrong(&LoadBalancerSpec { subnets: [plain().subnets, plain().subnets].concat(), ..plain() }), ["subnets[1]"]);
        assert_eq!(wrong(&LoadBalancerSpec { backends: vec![to_address(1); MAX_BACKENDS + 1], ..plain() }), ["backends"]);
        assert_eq!(wrong(&LoadBalancerSpec { source_ranges: vec!["10.0.0.1/8".parse().unwrap()], ..plain() }), ["source_ranges[0]"]);
        assert_eq!(wrong(&LoadBalancerSpec { idle_timeout_s: Some(0), ..plain() }), ["idle_timeout_s"]);
    }
    #[test]
    fn one_port_has_one_listener_of_a_transport() {
        let of = |listeners: Vec<Listener>| wrong(&LoadBalancerSpec { listeners, ..plain() });
        let (tcp, udp) = (listener(ListenerProtocol::Tcp, 53, None), listener(ListenerProtocol::Udp, 53, None));
        assert_eq!(of(vec![tcp.clone(), udp]), [""; 0]);
        assert_eq!(of(vec![tcp.clone(), Listener { target_port: Some(5353), ..tcp.clone() }]), ["listeners[1].port"]);
        let tls = Listener { certificate: Some("c".into()), ..listener(ListenerProtocol::Tls, 53, None) };
        assert_eq!(of(vec![tls.clone(), tcp.clone()]), ["listeners[1].port"]);
        assert_eq!(of(vec![Listener { certificate: None, ..tls }]), ["listeners[0].certificate"]);
        assert_eq!(of(vec![Listener { certificate: Some("c".into()), ..tcp }]), ["listeners[0].certificate"]);
        assert_eq!(of(vec![Listener::default()]), ["listeners[0].protocol", "listeners[0].port"]);
        assert_eq!(of(vec![listener(ListenerProtocol::Tcp, 0, Some(0))]), ["listeners[0].port", "listeners[0].target_port"]);
    }
    #[test]
    fn backends_are_of_one_form() {
        let of = |backends: Vec<Backend>| wrong(&LoadBalancerSpec { backends, ..plain() });
        assert_eq!(of(vec![to_instance("i-1")]), [""; 0]);
        assert_eq!(of(vec![to_instance("i-1"), to_address(1)]), ["backends[1]"]);
        assert_eq!(of(vec![to_address(1), to_address(1)]), ["backends[1]"]);
        assert_eq!(of(vec![to_instance("i-1"), to_instance("i-1")]), ["backends[1]"]);
        let to_group = Backend { instance_group: Some(Ref::resolved("locations/r/instanceGroups/g".parse().unwrap(), "grp-1".parse().unwrap())), ..Backend::default() };
        assert_eq!((of(vec![to_group.clone()]), to_group.vendor_id().unwrap().as_str()), (vec![], "grp-1"));
        assert_eq!(of(vec![to_instance("i-1"), to_group.clone()]), ["backends[1]"]);
        assert_eq!(of(vec![to_group.clone(), to_group]), ["backends[1]"]);
        assert_eq!(of(vec![Backend::default(), Backend { address: Some([10, 0, 0, 1].into()), ..to_instance("i-1") }]), ["backends[0]", "backends[1]"]);
    }
    #[test]
    fn checks_have_a_path_only_over_http() {
        let of = |health_check: HealthCheck| wrong(&LoadBalancerSpec { health_check, ..plain() });
        let http = HealthCheck { protocol: HealthProtocol::Http, path: Some("/healthz?deep=1".into()), ..HealthCheck::default() };
        assert_eq!(of(http.clone()), [""; 0]);
        assert_eq!(of(HealthCheck { protocol: HealthProtocol::Tcp, ..http.clone() }), ["health_check.path"]);
        assert_eq!(of(HealthCheck { path: Some("healthz".into()), ..http }), ["health_check.path"]);
        assert_eq!(of(HealthCheck { path: Some(format!("/{}", "x".repeat(MAX_PATH))), ..http }), ["health_check.path"]);
        let none = HealthCheck { port: Some(0), interval_s: Some(0), healthy_threshold: Some(0), unhealthy_threshold: Some(0), ..HealthCheck::default() };
        assert_eq!(of(none), ["health_check.port", "health_check.interval_s", "health_check.healthy_threshold", "health_check.unhealthy_threshold"]);
    }
    #[test]
    fn two_that_mean_the_same_are_the_same() {
        let (http, dns) = (listener(ListenerProtocol::Tcp, 80, Some(80)), listener(ListenerProtocol::Udp, 53, Some(5353)));
        let mut one = LoadBalancerSpec { listeners: vec![dns.clone(), http], backends: vec![to_address(2), to_address(1)], ..plain() };
        let mut other = LoadBalancerSpec { listeners: vec![listener(ListenerProtocol::Tcp, 80, None), dns], backends: vec![to_address(1), to_address(2)], ..plain() };
        one.settle();
        other.settle();
        assert_eq!(one, other);
        assert_eq!(one.openings(), [(Protocol::TCP, 80), (Protocol::UDP, 5353), (Protocol::TCP, 5353)].into());
        one.health_check.port = Some(8080);
        assert_eq!(one.openings(), [(Protocol::TCP, 80), (Protocol::TCP, 8080), (Protocol::UDP, 5353)].into());
    }
    #[test]
    fn a_subnet_that_stays_keeps_its_address() {
        let subnets = |ids: &[&str]| ids.iter().map(|id| Ref::resolved("locations/r/subnets/s".parse().unwrap(), id.parse().unwrap())).collect();
        let addresses = |ids: &[&str]| ids.iter().map(|id| Ref::resolved("locations/r/addresses/a".parse().unwrap(), id.parse().unwrap())).collect();
        let places = |there: &[(&str, &str)], to: &[&str], at: &[&str]| {
            let there = there.iter().map(|(s, a)| ((*s).to_owned(), (!a.is_empty()).then(|| (*a).to_owned()))).collect();
            let all = LoadBalancerSpec { subnets: subnets(to), addresses: addresses(at), ..plain() }.places(&there);
            let told = |all: BTreeMap<String, Option<String>>| all.into_iter().map(|(s, a)| format!("{s}@{}", a.unwrap_or_default())).collect::<Vec<_>>();
            all.map(told).map_err(|e| e.violations()[0].field.clone())
        };
        let wrong = Err("addresses".to_owned());
        let are = |all: &[&str]| Ok(all.iter().map(|s| (*s).to_owned()).collect());
        assert_eq!(places(&[], &["b", "a"], &[]), are(&["a@", "b@"]));
        assert_eq!(places(&[], &["b", "a"], &["1", "2"]), are(&["a@2", "b@1"]));
        assert_eq!(places(&[], &["b", "a"], &["1"]), wrong);
        assert_eq!(places(&[("a", "1")], &["b", "a"], &["2", "1"]), are(&["a@1", "b@2"]));
        assert_eq!(places(&[("a", "1"), ("b", "2")], &["b", "c"], &["3", "2"]), are(&["b@2", "c@3"]));
        assert_eq!(places(&[("a", ""), ("b", "")], &["b", "c"], &[]), are(&["b@", "c@"]));
        for at in [&[][..], &["2"], &["2", "3"]] {
            assert_eq!(places(&[("a", "1")], &["a"], at), wrong, "{at:?}");
        }
        assert_eq!(places(&[("a", "")], &["a"], &["1"]), wrong);
    }
    #[test]
    fn only_what_differs_is_changed() {
        let there = [listener(ListenerProtocol::Tcp, 80, None), listener(ListenerProtocol::Tcp, 81, None), listener(ListenerProtocol::Udp, 80, None)];
        let wanted = [listener(ListenerProtocol::Tcp, 80, Some(80)), listener(ListenerProtocol::Tcp, 81, Some(8081)), listener(ListenerProtocol::Tcp, 82, None)];
        let changes = ListenerChanges::between(&there, &wanted);
        assert_eq!(changes, ListenerChanges { missing: vec![&wanted[2]], other: vec![&wanted[1]], surplus: vec![there[2].clone()] });
        let changes = BackendChanges::between(["i-1", "i-2"], &[to_instance("i-2"), to_instance("i-3")]).unwrap();
        assert_eq!(changes, BackendChanges { missing: vec!["i-3".into()], surplus: vec!["i-1".into()] });
    }
}
