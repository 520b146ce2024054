//! What is wrong with a specification in itself, on whatever cloud.

use super::{Backend, HealthCheck, HealthProtocol, Listener, ListenerProtocol, LoadBalancerSpec, Scheme};
use crate::{
    Violation,
    kinds::{label_violations, word_violation},
};
use std::{collections::BTreeSet, fmt};

/// As many as one network load balancer of AWS has
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-limits.html>).
const MAX_LISTENERS: usize = 50;
/// Targets of one network load balancer of AWS, by the same page: 3000 with those of all zones.
pub(super) const MAX_BACKENDS: usize = 3000;
/// More zones than a region has, and few enough to be compared with each other.
const MAX_SUBNETS: usize = 64;
/// Each is a rule of a security group for every listener; AWS takes 60 in a group by default.
const MAX_SOURCE_RANGES: usize = 64;
/// A path of HTTP begins with a slash, and AWS takes 1024 characters.
pub(super) const MAX_PATH: usize = 1024;

pub(super) fn of(spec: &LoadBalancerSpec) -> Vec<Violation> {
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
pub(super) fn backend_violations(field: &str, backends: &[Backend], out: &mut Vec<Violation>) {
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
