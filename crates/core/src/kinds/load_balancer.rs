//! What spreads connections over many machines, without looking into them.

mod delta;
mod difference;
mod specification;
mod violations;
mod wish;
pub use delta::{BackendDelta, BackendsChanged, LoadBalancerAction};
pub use difference::{BackendChanges, ListenerChanges};
pub use specification::{Backend, HealthCheck, HealthProtocol, Listener, ListenerProtocol, LoadBalancerSpec, Scheme};
pub use wish::LoadBalancerWish;

use super::{api_enum, kind};
use crate::{AnyRef, CloudProvider, Condition, Driver, LocationName, Managed, Name, ResourceId, Violation};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

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
        violations::of(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        violations::{MAX_BACKENDS, MAX_PATH},
        *,
    };
    use crate::{Protocol, Ref};
    use std::collections::BTreeMap;

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
