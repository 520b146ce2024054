//! What a specification is in the terms of Elastic Load Balancing: listeners, of which each port has one, and target groups, each of which any number of
//! them lead to.

use aws_sdk_elasticloadbalancingv2::types::{ProtocolEnum, TargetTypeEnum};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use welkin_core::{Backend, Error, HealthCheck, HealthProtocol, Listener, ListenerProtocol, LoadBalancerSpec, Name, Owner, Reason, ResourceId, Result, Scheme, Uid, Violation};

/// What target groups answer for, and how: `Key` and `Value` of the vendor's attributes.
pub(super) type Attributes = BTreeMap<&'static str, String>;

/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html>
pub(super) const PROTECTED: &str = "deletion_protection.enabled";
pub(super) const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html>
pub(super) const AFFINITY: &str = "stickiness.enabled";
pub(super) const PRESERVES: &str = "preserve_client_ip.enabled";
pub(super) const PROXY: &str = "proxy_protocol_v2.enabled";
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ListenerAttribute.html>
pub(super) const IDLE: &str = "tcp.idle_timeout.seconds";
pub(super) const IDLE_S: u32 = 350;

/// What is left open in a health check (<https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html>).
const INTERVAL_S: u32 = 30;
const HEALTHY: u32 = 5;
const UNHEALTHY: u32 = 2;
/// How long a target has for its answer: over HTTP, and otherwise.
const TIMEOUTS_S: (u32, u32) = (6, 10);
const PATH: &str = "/";
/// The port of a check that is that of the traffic.
const TRAFFIC_PORT: &str = "traffic-port";

/// What all of these names begin with.
const PREFIX: &str = "wk-";
/// What the names of target groups that follow instance groups end with.
const FOLLOWS: char = 'g';
/// The names of what belongs to one load balancer: everything is made once under its name. They have at most 32 letters, digits and hyphens, so that neither
/// uid nor id fit: hashes stand for them. What was adopted has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Names(String);
impl Names {
    /// What the names of all of ours under this id begin with: those that once had it, too.
    pub(super) fn under(owner: &Owner, id: &ResourceId) -> String {
        format!("{PREFIX}{}", hashed(&[owner.as_str(), id.as_str()], 6))
    }
    pub(super) fn of(owner: &Owner, name: &Name<welkin_core::LoadBalancer>, uid: &Uid) -> Self {
        Self(format!("{}{}", Self::under(owner, &name.id), hashed(&[owner.as_str(), uid.as_str()], 10)))
    }
    /// Of the load balancer and of its security group.
    pub(super) fn balancer(&self) -> &str {
        &self.0
    }
    pub(super) fn pool(&self, pool: &Pool) -> String {
        let protocol = match pool.protocol {
            ProtocolEnum::Udp => 'u',
            ProtocolEnum::TcpUdp => 'b',
            _ => 't',
        };
        let kind = match pool.kind {
            TargetTypeEnum::Ip if pool.is_v6 => '6',
            TargetTypeEnum::Ip => 'a',
            _ if pool.follows => FOLLOWS,
            _ => 'i',
        };
        format!("{}-{protocol}-{}-{kind}", self.0, pool.port)
    }
    /// Does a target group of this name follow instance groups?
    pub(super) fn follows(name: &str) -> bool {
        name.starts_with(PREFIX) && name.strip_suffix(FOLLOWS).is_some_and(|rest| rest.ends_with('-'))
    }
    /// Is a target group of this name one of its?
    pub(super) fn has(&self, name: &str) -> bool {
        !self.0.is_empty() && name.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('-'))
    }
}
fn hashed(parts: &[&str], digits: usize) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.as_bytes()).update(&[0]);
    }
    hasher.finalize().to_hex().chars().take(digits).collect()
}

/// A target group: nothing of this can be changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pool {
    pub(super) protocol: ProtocolEnum,
    pub(super) port: u16,
    pub(super) kind: TargetTypeEnum,
    /// Are its targets what instance groups have, which registers them itself?
    pub(super) follows: bool,
    /// Are its targets addresses of IPv6?
    pub(super) is_v6: bool,
}
impl Pool {
    pub(super) fn is_udp(&self) -> bool {
        self.protocol != ProtocolEnum::Tcp
    }
    /// What a new one has (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#client-ip-preservation>).
    pub(super) fn attributes(&self) -> Attributes {
        let preserves = self.is_udp() || self.kind == TargetTypeEnum::Instance;
        [(AFFINITY, false), (PRESERVES, preserves), (PROXY, false)].into_iter().map(|(key, on)| (key, on.to_string())).collect()
    }
}

/// A listener of the vendor's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Front {
    pub(super) port: u16,
    pub(super) protocol: ProtocolEnum,
    pub(super) certificate: Option<String>,
    pub(super) pool: Pool,
}
impl Front {
    /// Only of these the idle time can be chosen (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/update-idle-timeout.html>).
    pub(super) fn has_idle_timeout(protocol: &ProtocolEnum) -> bool {
        matches!(protocol, ProtocolEnum::Tcp | ProtocolEnum::TcpUdp)
    }
}

/// How targets are asked whether they work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) protocol: ProtocolEnum,
    pub(super) port: String,
    pub(super) path: Option<String>,
    pub(super) interval_s: i32,
    pub(super) timeout_s: i32,
    pub(super) healthy: i32,
    pub(super) unhealthy: i32,
}
impl Check {
    pub(super) fn of(check: &HealthCheck) -> Self {
        let (protocol, is_http) = match check.protocol {
            HealthProtocol::Http => (ProtocolEnum::Http, true),
            HealthProtocol::Https => (ProtocolEnum::Https, true),
            HealthProtocol::Tcp | HealthProtocol::Unspecified => (ProtocolEnum::Tcp, false),
        };
        let timeout_s = if protocol == ProtocolEnum::Http { TIMEOUTS_S.0 } else { TIMEOUTS_S.1 };
        let number = |chosen: Option<u32>, default: u32| i32::try_from(chosen.unwrap_or(default)).unwrap_or(i32::MAX);
        let interval_s = number(check.interval_s, INTERVAL_S);
        Self {
            protocol,
            port: check.port.map_or_else(|| TRAFFIC_PORT.to_owned(), |port| port.to_string()),
            path: is_http.then(|| check.path.clone().unwrap_or_else(|| PATH.to_owned())),
            interval_s,
            // It is over before the next one begins.
            timeout_s: number(None, timeout_s).min(interval_s),
            healthy: number(check.healthy_threshold, HEALTHY),
            unhealthy: number(check.unhealthy_threshold, UNHEALTHY),
        }
    }
    /// As a read tells it.
    pub(super) fn told(&self) -> HealthCheck {
        let number = |n: i32| u32::try_from(n).ok();
        HealthCheck {
            protocol: match self.protocol {
                ProtocolEnum::Http => HealthProtocol::Http,
                ProtocolEnum::Https => HealthProtocol::Https,
                ProtocolEnum::Tcp => HealthProtocol::Tcp,
                _ => HealthProtocol::Unspecified,
            },
            port: self.port.parse().ok(),
            path: self.path.clone(),
            interval_s: number(self.interval_s),
            healthy_threshold: number(self.healthy),
            unhealthy_threshold: number(self.unhealthy),
        }
    }
}

/// Everything that a specification asks for beside its security group's rules.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted<'a> {
    pub(super) spec: &'a LoadBalancerSpec,
    /// By port.
    pub(super) fronts: Vec<Front>,
    pub(super) pools: BTreeSet<Pool>,
    pub(super) check: Check,
    pub(super) idle_s: String,
}
impl<'a> Wanted<'a> {
    /// # Errors
    /// `InvalidArgument` with every field that AWS would not take. Nothing is called.
    pub(super) fn of(spec: &'a LoadBalancerSpec) -> Result<Self> {
        Self::after(spec, &|_| true)
    }
    /// The same of what an update has asked for in these fields. What it leaves as it was may have been the vendor's choice, and is no wish that could be wrong.
    pub(super) fn after(spec: &'a LoadBalancerSpec, asks: &(dyn Fn(&str) -> bool + Sync)) -> Result<Self> {
        let mut wrong = violations(spec);
        wrong.retain(|v| !["preserve_client_ip", "idle_timeout_s"].contains(&v.field.as_str()) || asks(&v.field));
        wrong.extend(misplaced(spec, asks));
        if !wrong.is_empty() {
            return Err(Error::violated(Reason::InvalidField, wrong));
        }
        let kind = if spec.backends.iter().any(|b| b.address.is_some()) { TargetTypeEnum::Ip } else { TargetTypeEnum::Instance };
        let follows = spec.backends.iter().any(|b| b.instance_group.is_some());
        let is_v6 = spec.backends.iter().any(is_of_ipv6);
        let mut fronts = BTreeMap::<u16, Front>::new();
        for listener in &spec.listeners {
            let (Some(port), Some(leads_to)) = (listener.port, listener.leads_to()) else { continue };
            let (protocol, carried) = match listener.protocol {
                ListenerProtocol::Udp => (ProtocolEnum::Udp, ProtocolEnum::Udp),
                // It ends at the load balancer.
                ListenerProtocol::Tls => (ProtocolEnum::Tls, ProtocolEnum::Tcp),
                ListenerProtocol::Tcp | ListenerProtocol::Unspecified => (ProtocolEnum::Tcp, ProtocolEnum::Tcp),
            };
            let pool = Pool { protocol: carried, port: leads_to, kind: kind.clone(), follows, is_v6 };
            let front = Front { port, protocol, certificate: listener.certificate.clone(), pool };
            fronts.entry(port).and_modify(|both| (both.protocol, both.pool.protocol) = (ProtocolEnum::TcpUdp, ProtocolEnum::TcpUdp)).or_insert(front);
        }
        let fronts: Vec<Front> = fronts.into_values().collect();
        let pools = fronts.iter().map(|f| f.pool.clone()).collect();
        Ok(Self { spec, fronts, pools, check: Check::of(&spec.health_check), idle_s: spec.idle_timeout_s.unwrap_or(IDLE_S).to_string() })
    }
    pub(super) fn is_public(&self) -> bool {
        self.spec.scheme == Scheme::Public
    }
    /// What a target group has to answer for. What is left open is as it is with a new one.
    pub(super) fn attributes(&self, pool: &Pool) -> Attributes {
        let mut all = pool.attributes();
        all.insert(AFFINITY, self.spec.client_ip_affinity.to_string());
        all.insert(PROXY, self.spec.proxy_protocol.to_string());
        if let Some(preserves) = self.spec.preserve_client_ip.filter(|_| !pool.is_udp()) {
            all.insert(PRESERVES, preserves.to_string());
        }
        all
    }
    pub(super) fn balancer_attributes(&self) -> Attributes {
        [(PROTECTED, self.spec.deletion_protection), (CROSS_ZONE, self.spec.cross_zone)].into_iter().map(|(key, on)| (key, on.to_string())).collect()
    }
    /// The groups whose instances are led to.
    pub(super) fn followed(&self) -> Result<BTreeSet<String>> {
        self.spec.backends.iter().filter(|b| b.instance_group.is_some()).map(Backend::vendor_id).collect()
    }
    /// As a read tells it once this is so.
    pub(super) fn told(&self) -> LoadBalancerSpec {
        let has_idle_timeout = self.fronts.iter().any(|f| Front::has_idle_timeout(&f.protocol));
        let preserves = self.pools.first().map(|pool| self.attributes(pool)[PRESERVES] == "true");
        let mut spec = LoadBalancerSpec {
            health_check: self.check.told(),
            preserve_client_ip: preserves,
            idle_timeout_s: if has_idle_timeout { self.idle_s.parse().ok() } else { None },
            ..self.spec.clone()
        };
        spec.settle();
        spec
    }
}
/// What a new load balancer has.
pub(super) fn balancer_defaults() -> Attributes {
    [PROTECTED, CROSS_ZONE].into_iter().map(|key| (key, false.to_string())).collect()
}

/// What AWS would not take, beyond what no cloud takes.
fn violations(spec: &LoadBalancerSpec) -> Vec<Violation> {
    let mut out = Vec::new();
    let mut wrong = |field: String, why: &str| out.push(Violation::new(field, why));
    let is = |protocol: ListenerProtocol| spec.listeners.iter().any(|l| l.protocol == protocol);
    for (i, udp) in spec.listeners.iter().enumerate().filter(|(_, l)| l.protocol == ListenerProtocol::Udp) {
        let beside: Option<&Listener> = spec.listeners.iter().find(|l| l.port == udp.port && l.protocol != ListenerProtocol::Udp);
        match beside {
            Some(other) if other.protocol == ListenerProtocol::Tls => wrong(format!("listeners[{i}].port"), "AWS takes TLS and UDP at one port in no listener"),
            Some(other) if other.leads_to() != udp.leads_to() => {
                wrong(format!("listeners[{i}].target_port"), "TCP and UDP at one port are one listener on AWS (TCP_UDP), which leads to one port");
            }
            _ => {}
        }
    }
    if spec.preserve_client_ip == Some(false) && is(ListenerProtocol::Udp) {
        wrong("preserve_client_ip".into(), "with UDP the client's address is always preserved");
    }
    // https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#sticky-sessions
    if spec.client_ip_affinity && is(ListenerProtocol::Tls) {
        wrong("client_ip_affinity".into(), "there is none with TLS");
    }
    if spec.idle_timeout_s.is_some_and(|s| s != IDLE_S) && !is(ListenerProtocol::Tcp) {
        wrong("idle_timeout_s".into(), "only that of TCP can be chosen");
    }
    out
}
fn is_of_ipv6(backend: &Backend) -> bool {
    backend.address.is_some_and(|ip: IpAddr| ip.is_ipv6())
}
/// What does not go together of where it stands and what it leads to
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-target-groups.html#target-group-ip-address-type>: "You can't use an IPv6
/// target group with an `ipv4` load balancer", "You can't use an IPv4 target group with a UDP listener for a `dualstack` load balancer"), as far as any of it
/// is asked for.
fn misplaced(spec: &LoadBalancerSpec, asks: &(dyn Fn(&str) -> bool + Sync)) -> Vec<Violation> {
    let mut out = Vec::new();
    if (asks("addresses") || asks("subnets")) && !spec.addresses.is_empty() && spec.addresses.len() != spec.subnets.len() {
        out.push(Violation::new("addresses", "AWS wants one for each subnet, or none"));
    }
    let of_both = asks("dual_stack") || asks("backends");
    let v6 = spec.backends.iter().position(is_of_ipv6).filter(|_| of_both);
    let other = spec.backends.iter().position(|b| !is_of_ipv6(b));
    if let (Some(v6), false) = (v6, spec.dual_stack) {
        let field = if asks("backends") { format!("backends[{v6}].address") } else { "dual_stack".to_owned() };
        out.push(Violation::new(field, "IPv6 is led to by a load balancer of both stacks (dual_stack)"));
    } else if let (Some(v6), Some(other)) = (v6, other) {
        out.push(Violation::new(format!("backends[{}].address", v6.max(other)), "addresses are of one family in one load balancer"));
    }
    let udp = spec.listeners.iter().position(|l| l.protocol == ListenerProtocol::Udp);
    if let (Some(udp), true, true) = (udp, spec.dual_stack && other.is_some(), of_both || asks("listeners")) {
        out.push(Violation::new(format!("listeners[{udp}].protocol"), "with both stacks UDP leads to addresses of IPv6 alone"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(protocol: ListenerProtocol, port: u16, target_port: Option<u16>) -> Listener {
        Listener { protocol, port: Some(port), target_port, certificate: (protocol == ListenerProtocol::Tls).then(|| "arn:c".into()) }
    }
    fn spec(listeners: Vec<Listener>) -> LoadBalancerSpec {
        LoadBalancerSpec { listeners, backends: vec![Backend { address: Some([10, 0, 0, 1].into()), ..Backend::default() }], ..LoadBalancerSpec::default() }
    }
    fn names(id: &str, uid: &str) -> Names {
        Names::of(&"me".parse().unwrap(), &format!("locations/r/loadBalancers/{id}").parse().unwrap(), &uid.parse().unwrap())
    }

    #[test]
    fn names_fit_and_tell_uids_apart() {
        let (one, other) = (names("web", "uid-of-one"), names("web", "uid-of-two"));
        let pool = Pool { protocol: ProtocolEnum::TcpUdp, port: 65_535, kind: TargetTypeEnum::Ip, follows: false, is_v6: true };
        assert_ne!(one, other);
        for name in [one.balancer(), &one.pool(&pool)] {
            assert!(name.len() <= 32 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !name.contains("--"), "{name}");
            assert!(name.starts_with(&Names::under(&"me".parse().unwrap(), &"web".parse().unwrap())), "{name}");
        }
        assert!(one.has(&one.pool(&pool)) && !one.has(one.balancer()) && !other.has(&one.pool(&pool)));
        let all = [ProtocolEnum::Tcp, ProtocolEnum::Udp, ProtocolEnum::TcpUdp].into_iter().flat_map(|protocol| {
            let kinds = [(TargetTypeEnum::Ip, false, false), (TargetTypeEnum::Ip, false, true), (TargetTypeEnum::Instance, false, false), (TargetTypeEnum::Instance, true, false)];
            kinds.map(|(kind, follows, is_v6)| (one.pool(&Pool { protocol: protocol.clone(), port: 80, kind, follows, is_v6 }), follows))
        });
        let all: BTreeSet<_> = all.collect();
        assert!(all.len() == 12 && all.iter().all(|(name, follows)| Names::follows(name) == *follows) && !Names::follows("blog"));
    }
    #[test]
    fn tcp_and_udp_at_one_port_are_one_listener() {
        use ListenerProtocol::{Tcp, Tls, Udp};
        let asked = spec(vec![listener(Tcp, 80, Some(8080)), listener(Tls, 443, Some(8080)), listener(Tcp, 53, None), listener(Udp, 53, None)]);
        let wanted = Wanted::of(&asked).unwrap();
        let told: Vec<_> = wanted.fronts.iter().map(|f| (f.port, f.protocol.as_str(), f.pool.protocol.as_str(), f.pool.port)).collect();
        assert_eq!(told, [(53, "TCP_UDP", "TCP_UDP", 53), (80, "TCP", "TCP", 8080), (443, "TLS", "TCP", 8080)]);
        assert_eq!(wanted.pools.len(), 2, "two that lead to one port share its target group");
    }
    #[test]
    fn what_aws_does_not_take_is_refused_with_its_field() {
        use ListenerProtocol::{Tcp, Tls, Udp};
        let plain = || spec(vec![listener(Tcp, 80, None)]);
        let fields = |spec: LoadBalancerSpec| match Wanted::of(&spec) {
            Ok(_) => Vec::new(),
            Err(e) => e.violations().iter().map(|v| v.field.clone()).collect(),
        };
        assert_eq!(fields(plain()), [""; 0]);
        assert_eq!(fields(spec(vec![listener(Tcp, 53, None), listener(Udp, 53, Some(5353))])), ["listeners[1].target_port"]);
        assert_eq!(fields(spec(vec![listener(Udp, 53, None), listener(Tls, 53, None)])), ["listeners[0].port"]);
        assert_eq!(fields(LoadBalancerSpec { preserve_client_ip: Some(false), ..spec(vec![listener(Udp, 53, None)]) }), ["preserve_client_ip"]);
        assert_eq!(fields(LoadBalancerSpec { client_ip_affinity: true, ..spec(vec![listener(Tls, 443, None)]) }), ["client_ip_affinity"]);
        assert_eq!(fields(LoadBalancerSpec { idle_timeout_s: Some(60), ..spec(vec![listener(Udp, 53, None)]) }), ["idle_timeout_s"]);
        let address = welkin_core::Ref::to("locations/r/addresses/a".parse().unwrap());
        assert_eq!(fields(LoadBalancerSpec { addresses: vec![address], ..plain() }), ["addresses"]);
        let v6 = Backend { address: Some("2001:db8::1".parse().unwrap()), ..Backend::default() };
        let to_v6 = |listeners: Vec<Listener>| LoadBalancerSpec { dual_stack: true, backends: vec![v6.clone()], ..spec(listeners) };
        assert_eq!(fields(LoadBalancerSpec { dual_stack: false, ..to_v6(vec![listener(Tcp, 80, None)]) }), ["backends[0].address"]);
        assert_eq!(fields(to_v6(vec![listener(Tcp, 80, None), listener(Udp, 80, None), listener(Udp, 53, None)])), [""; 0]);
        let both = LoadBalancerSpec { backends: [plain().backends, vec![v6.clone()]].concat(), ..to_v6(vec![listener(Tcp, 80, None)]) };
        assert_eq!(fields(both), ["backends[1].address"]);
        assert_eq!(fields(LoadBalancerSpec { dual_stack: true, ..spec(vec![listener(Tcp, 80, None), listener(Udp, 53, None)]) }), ["listeners[1].protocol"]);
        // What an update does not name is no wish.
        let asked = LoadBalancerSpec { dual_stack: false, ..to_v6(vec![listener(Tcp, 80, None)]) };
        let after = |field: &'static str| Wanted::after(&asked, &|asked| asked == field).err().map(|e| e.violations()[0].field.clone());
        assert_eq!((after("dual_stack").as_deref(), after("labels")), (Some("dual_stack"), None));
    }
    #[test]
    fn what_is_left_open_is_told() {
        let asked = spec(vec![listener(ListenerProtocol::Tcp, 80, Some(80))]);
        let told = Wanted::of(&asked).unwrap().told();
        assert_eq!((told.preserve_client_ip, told.idle_timeout_s, told.listeners[0].target_port), (Some(false), Some(350), None));
        assert_eq!((told.health_check.protocol, told.health_check.interval_s, told.health_check.path), (HealthProtocol::Tcp, Some(30), None));
        let http = HealthCheck { protocol: HealthProtocol::Http, interval_s: Some(5), port: Some(81), ..HealthCheck::default() };
        let check = Check::of(&http);
        assert_eq!((check.path.as_deref(), check.timeout_s, check.port.as_str()), (Some("/"), 5, "81"));
        assert_eq!(Check::of(&check.told()), check);
    }
}
