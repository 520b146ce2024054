//! Load balancers.

use super::{Head, Mutable, Resource, Scope, field, head, message, name_and_etag, pack, unpack, vendor_config};
use crate::{
    api::v1::{self, load_balancer, load_balancer_target_health},
    wire,
};
use prost_types::Any;
use welkin_core::{
    Backend, BackendDelta, BackendsChanged, HealthCheck, HealthProtocol, Listener, ListenerProtocol, LoadBalancer, LoadBalancerAction, LoadBalancerQuestion, LoadBalancerSpec,
    LoadBalancerState, LoadBalancerStatus, Managed, Object, Result, Scheme, TargetHealth, TargetState,
};

impl Resource for LoadBalancer {
    type Message = v1::LoadBalancer;
    const SERVICE: &'static str = "welkin.v1.LoadBalancers";

    fn encode(cloud: &str, object: Object<Self>) -> Result<v1::LoadBalancer> {
        let (h, spec, status) = Head::split(cloud, object);
        Ok(message!(LoadBalancer of h {
            state: status.state as i32,
            state_reason: status.state_reason,
            dns_name: status.dns_name,
            ip_addresses: field::texts(&status.ip_addresses),
            opened_security_groups: status.opened_security_groups,
            ..Self::encode_spec(cloud, spec)?
        }))
    }
    fn decode(cloud: &str, mut m: v1::LoadBalancer) -> Result<Object<Self>> {
        let status = LoadBalancerStatus {
            state: field::value(LoadBalancerState::ALL, m.state),
            state_reason: std::mem::take(&mut m.state_reason),
            dns_name: std::mem::take(&mut m.dns_name),
            ip_addresses: field::parsed("ip_addresses", std::mem::take(&mut m.ip_addresses))?,
            opened_security_groups: std::mem::take(&mut m.opened_security_groups),
        };
        let head = head!(m);
        let spec = Scope::answer(cloud, &head.name, |scope| Self::decode_spec(m, scope))?;
        head.join(cloud, spec, status)
    }
}

impl Mutable for LoadBalancer {
    const ACTIONS: &'static [(&'static str, LoadBalancerAction)] =
        &[("ChangeBackendsLoadBalancer", LoadBalancerAction::ChangeBackends(BackendDelta { add: Vec::new(), remove: Vec::new() }))];
    type Arguments = wire::ChangeBackends;

    fn with_arguments(_: LoadBalancerAction, arguments: wire::ChangeBackends, scope: &mut Scope<'_, Self>) -> LoadBalancerAction {
        LoadBalancerAction::ChangeBackends(BackendDelta { add: decode_backends(&arguments.add, "add", scope), remove: decode_backends(&arguments.remove, "remove", scope) })
    }
    fn arguments(cloud: &str, LoadBalancerAction::ChangeBackends(delta): &LoadBalancerAction) -> Result<wire::ChangeBackends> {
        let encode = |backends: &[Backend]| backends.iter().map(|backend| encode_backend(cloud, backend.clone())).collect();
        Ok(wire::ChangeBackends { add: encode(&delta.add), remove: encode(&delta.remove) })
    }
    fn encode_outcome(_: &str, outcome: BackendsChanged) -> Option<Any> {
        Some(pack(&v1::ChangeBackendsLoadBalancerResponse { backends: outcome.backends }))
    }
    fn decode_outcome(any: &Any) -> Result<BackendsChanged> {
        let m: v1::ChangeBackendsLoadBalancerResponse = unpack(any, "a change of backends")?;
        Ok(BackendsChanged { backends: m.backends, left: None })
    }
    const QUESTIONS: &'static [(&'static str, LoadBalancerQuestion)] = &[("GetLoadBalancerTargetHealth", LoadBalancerQuestion::TargetHealth)];
    type AnswerMessage = v1::LoadBalancerTargetHealth;
    const ID_FIELD: &'static str = "load_balancer_id";

    name_and_etag!();

    /// The order of listeners and backends means nothing, so it is not part of what was asked for. What is wrong is told by the caller's order.
    fn decode_spec(m: v1::LoadBalancer, scope: &mut Scope<'_, Self>) -> LoadBalancerSpec {
        let mut spec = LoadBalancerSpec {
            network: scope.refer("network", &m.network),
            subnets: scope.refer_all("subnets", &m.subnets),
            scheme: field::value(Scheme::ALL, m.scheme),
            listeners: m.listeners.into_iter().enumerate().map(|(i, listener)| decode_listener(listener, &format!("listeners[{i}]"), scope)).collect(),
            backends: decode_backends(&m.backends, "backends", scope),
            health_check: decode_health_check(m.health_check.unwrap_or_default(), scope),
            source_ranges: scope.parse_all("source_ranges", "a range of addresses such as 10.0.1.0/24", m.source_ranges),
            client_ip_affinity: m.client_ip_affinity,
            preserve_client_ip: m.preserve_client_ip,
            proxy_protocol: m.proxy_protocol,
            cross_zone: m.cross_zone,
            idle_timeout_s: m.idle_timeout_s,
            addresses: scope.refer_all("addresses", &m.addresses),
            dual_stack: m.dual_stack,
            deletion_protection: m.deletion_protection,
            labels: m.labels,
            provider_config: scope.vendor_config(m.provider_config),
        };
        if Self::violations(&spec).is_empty() {
            spec.settle();
        }
        spec
    }
    fn encode_spec(cloud: &str, spec: LoadBalancerSpec) -> Result<v1::LoadBalancer> {
        let has_check = spec.health_check != HealthCheck::default();
        Ok(v1::LoadBalancer {
            network: field::reference(cloud, spec.network),
            subnets: field::references(cloud, spec.subnets),
            scheme: spec.scheme as i32,
            listeners: spec.listeners.into_iter().map(encode_listener).collect(),
            backends: spec.backends.into_iter().map(|backend| encode_backend(cloud, backend)).collect(),
            health_check: has_check.then(|| encode_health_check(spec.health_check)),
            source_ranges: field::texts(&spec.source_ranges),
            client_ip_affinity: spec.client_ip_affinity,
            preserve_client_ip: spec.preserve_client_ip,
            proxy_protocol: spec.proxy_protocol,
            cross_zone: spec.cross_zone,
            idle_timeout_s: spec.idle_timeout_s,
            addresses: field::references(cloud, spec.addresses),
            dual_stack: spec.dual_stack,
            deletion_protection: spec.deletion_protection,
            labels: spec.labels,
            provider_config: vendor_config::encode(spec.provider_config)?,
            ..Default::default()
        })
    }
    fn encode_answer(answer: Vec<TargetHealth>) -> v1::LoadBalancerTargetHealth {
        let target = |t: TargetHealth| load_balancer_target_health::Target {
            backend: t.backend,
            protocol: t.protocol as i32,
            port: t.port.map(u32::from),
            state: t.state as i32,
            reason: t.reason,
        };
        v1::LoadBalancerTargetHealth { targets: answer.into_iter().map(target).collect() }
    }
    fn decode_answer(m: v1::LoadBalancerTargetHealth) -> Vec<TargetHealth> {
        let target = |t: load_balancer_target_health::Target| TargetHealth {
            backend: t.backend,
            protocol: field::value(ListenerProtocol::ALL, t.protocol),
            port: t.port.and_then(|port| u16::try_from(port).ok()),
            state: field::value(TargetState::ALL, t.state),
            reason: t.reason,
        };
        m.targets.into_iter().map(target).collect()
    }
}

fn decode_port(port: Option<u32>, at: &str, scope: &mut Scope<'_, LoadBalancer>) -> Option<u16> {
    let number = port?;
    u16::try_from(number).inspect_err(|_| scope.refuse(at, format!("{number} is not a port: they end with 65535"))).ok()
}
fn decode_listener(listener: load_balancer::Listener, at: &str, scope: &mut Scope<'_, LoadBalancer>) -> Listener {
    Listener {
        protocol: field::value(ListenerProtocol::ALL, listener.protocol),
        port: decode_port(listener.port, &format!("{at}.port"), scope),
        target_port: decode_port(listener.target_port, &format!("{at}.target_port"), scope),
        certificate: field::text(listener.certificate),
    }
}
fn encode_listener(listener: Listener) -> load_balancer::Listener {
    load_balancer::Listener {
        protocol: listener.protocol as i32,
        port: listener.port.map(u32::from),
        target_port: listener.target_port.map(u32::from),
        certificate: field::or_empty(listener.certificate),
    }
}
fn decode_backend(backend: &load_balancer::Backend, at: &str, scope: &mut Scope<'_, LoadBalancer>) -> Backend {
    Backend {
        instance: scope.refer(&format!("{at}.instance"), &backend.instance),
        instance_group: scope.refer(&format!("{at}.instance_group"), &backend.instance_group),
        address: scope.parse(&format!("{at}.address"), "an address such as 10.0.1.4", &backend.address),
    }
}
fn decode_backends(backends: &[load_balancer::Backend], at: &str, scope: &mut Scope<'_, LoadBalancer>) -> Vec<Backend> {
    backends.iter().enumerate().map(|(i, backend)| decode_backend(backend, &format!("{at}[{i}]"), scope)).collect()
}
fn encode_backend(cloud: &str, backend: Backend) -> load_balancer::Backend {
    load_balancer::Backend {
        instance: field::reference(cloud, backend.instance),
        instance_group: field::reference(cloud, backend.instance_group),
        address: backend.address.map(|ip| ip.to_string()).unwrap_or_default(),
    }
}
fn decode_health_check(check: load_balancer::HealthCheck, scope: &mut Scope<'_, LoadBalancer>) -> HealthCheck {
    HealthCheck {
        protocol: field::value(HealthProtocol::ALL, check.protocol),
        port: decode_port(check.port, "health_check.port", scope),
        path: field::text(check.path),
        interval_s: check.interval_s,
        healthy_threshold: check.healthy_threshold,
        unhealthy_threshold: check.unhealthy_threshold,
    }
}
fn encode_health_check(check: HealthCheck) -> load_balancer::HealthCheck {
    load_balancer::HealthCheck {
        protocol: check.protocol as i32,
        port: check.port.map(u32::from),
        path: field::or_empty(check.path),
        interval_s: check.interval_s,
        healthy_threshold: check.healthy_threshold,
        unhealthy_threshold: check.unhealthy_threshold,
    }
}
