use super::{Depth, Plausible, Reached, Specimen, Unchangeable, Wrong, host, labelled, net, security_group, subnet_range, to, wrong_labels};
use crate::{
    Planted,
    runner::Manner,
    stand::{Stand, Verdict},
};
use async_trait::async_trait;
use std::{collections::BTreeMap, net::IpAddr};
use welkin_core::{
    Address, AddressSpec, Backend, HealthCheck, HealthProtocol, Instance, InstanceSpec, Kind, Listener, ListenerProtocol, LoadBalancer, LoadBalancerAction, LoadBalancerQuestion,
    LoadBalancerSpec, LoadBalancerState, LoadBalancerStatus, Network, NetworkSpec, Object, Reason, Ref, Scheme, SecurityGroup, SecurityGroupSpec, Subnet, SubnetSpec, TargetHealth,
    TargetState,
};

/// What load balancers stand in and lead to.
#[derive(Debug)]
pub(crate) struct Farm {
    pub(crate) network: Object<Network>,
    /// Each in a zone of its own, where subnets lie in one.
    pub(crate) subnets: Vec<Object<Subnet>>,
    /// Where the trial needs them: two instances, each in a group of its own that load balancers may open.
    pub(crate) machines: Vec<(Object<Instance>, Object<SecurityGroup>)>,
    /// One for each subnet, where the trial needs them.
    pub(crate) addresses: Vec<Object<Address>>,
}

#[async_trait(?Send)]
impl Specimen for LoadBalancer {
    type Ground = Farm;
    async fn ground(stand: &Stand<'_>, depth: Depth) -> Verdict<Farm> {
        let (internet, ipv6) = (stand.honours::<Network>("internet_access"), stand.honours::<Network>("assign_ipv6_cidr"));
        let network = stand.create(NetworkSpec { internet_access: internet, assign_ipv6_cidr: ipv6, ..Network::plain(stand, &(), 0) }).await?;
        let zones = if stand.honours::<Subnet>("zone") { stand.zones().await?.into_iter().map(Some).collect() } else { vec![None, None] };
        let mut farm = Farm { network, subnets: Vec::new(), machines: Vec::new(), addresses: Vec::new() };
        let subnets = if depth == Depth::Plain { 1 } else { 2 };
        for (number, zone) in (0..).zip(zones.into_iter().take(subnets)) {
            let assign_ipv6_cidr = ipv6 && stand.honours::<Subnet>("assign_ipv6_cidr");
            let spec = SubnetSpec { network: Some(to(&farm.network)), cidrs: vec![subnet_range(number)], assign_ipv6_cidr, zone, ..SubnetSpec::default() };
            farm.subnets.push(stand.create(spec).await?);
        }
        if depth == Depth::Plain {
            return Ok(farm);
        }
        for _ in 0..2 {
            let machine = machine(stand, &farm, true).await?;
            farm.machines.push(machine);
        }
        if stand.honours::<Self>("addresses") {
            for _ in &farm.subnets {
                farm.addresses.push(stand.create(AddressSpec::default()).await?);
            }
        }
        Ok(farm)
    }
    fn plain(stand: &Stand<'_>, farm: &Farm, _: u8) -> LoadBalancerSpec {
        let instances = farm.machines.iter().take(1).map(|(machine, _)| to_instance(machine));
        let backends = if stand.honours::<Self>("backends.address") { vec![to_address(10)] } else { instances.collect() };
        LoadBalancerSpec {
            network: Some(to(&farm.network)),
            subnets: farm.subnets.iter().take(1).map(to).collect(),
            scheme: Scheme::Internal,
            listeners: vec![listener(ListenerProtocol::Tcp, 80, None)],
            backends,
            ..LoadBalancerSpec::default()
        }
    }
    fn variants(stand: &Stand<'_>, farm: &Farm) -> Verdict<Vec<(&'static str, LoadBalancerSpec)>> {
        let plain = Self::plain(stand, farm, 0);
        let has = |field: &str| stand.honours::<Self>(field);
        let mut everything = LoadBalancerSpec {
            subnets: farm.subnets.iter().map(to).collect(),
            scheme: Scheme::Public,
            listeners: vec![
                listener(ListenerProtocol::Tcp, 80, has("listeners.target_port").then_some(8080)),
                listener(ListenerProtocol::Tcp, 53, None),
                listener(ListenerProtocol::Udp, 53, None),
            ],
            backends: farm.machines.iter().take(1).map(|(machine, _)| to_instance(machine)).collect(),
            health_check: check(stand, "/healthz", 30),
            source_ranges: if has("source_ranges") { vec![net("192.0.2.0/24")?, net("2001:db8::/32")?] } else { Vec::new() },
            client_ip_affinity: has("client_ip_affinity"),
            preserve_client_ip: has("preserve_client_ip").then_some(true),
            proxy_protocol: has("proxy_protocol"),
            cross_zone: has("cross_zone"),
            idle_timeout_s: has("idle_timeout_s").then_some(120),
            addresses: farm.addresses.iter().map(to).collect(),
            labels: labelled(&[("team", "a"), ("Name", "of-its-own")]),
            provider_config: stand.subject.provider_configs.get(Self::COLLECTION).cloned(),
            ..plain.clone()
        };
        everything.settle();
        let both = LoadBalancerSpec { dual_stack: has("dual_stack"), ..plain.clone() };
        Ok(vec![("everything", everything), ("one of both stacks", both), ("one that is protected", LoadBalancerSpec { deletion_protection: has("deletion_protection"), ..plain })])
    }
    fn changes(stand: &Stand<'_>, farm: &Farm, now: &LoadBalancerSpec) -> Vec<(&'static str, LoadBalancerSpec)> {
        let mut out = Vec::new();
        let mut change = |what: &'static str, set: &dyn Fn(&mut LoadBalancerSpec)| {
            if stand.changes::<Self>(what) {
                let mut spec = now.clone();
                set(&mut spec);
                spec.settle();
                out.push((what, spec));
            }
        };
        change("labels", &|spec| spec.labels = labelled(&[("team", "b"), ("new", "")]));
        // One is added, then one goes, one leads elsewhere and one is for another protocol.
        change("listeners", &|spec| spec.listeners = vec![listener(ListenerProtocol::Tcp, 80, None), listener(ListenerProtocol::Tcp, 81, None)]);
        let elsewhere = stand.honours::<Self>("listeners.target_port").then_some(8080);
        // With both stacks there are clouds on which UDP leads to IPv6 alone.
        let other = if now.dual_stack { ListenerProtocol::Tcp } else { ListenerProtocol::Udp };
        change("listeners", &|spec| spec.listeners = vec![listener(ListenerProtocol::Tcp, 80, elsewhere), listener(other, 81, None)]);
        // Of the form that they have: one is added, then one goes.
        let is_of_instances = now.backends.iter().any(|b| b.instance.is_some());
        let all: Vec<Backend> = if is_of_instances { farm.machines.iter().map(|(machine, _)| to_instance(machine)).collect() } else { vec![to_address(10), to_address(11)] };
        change("backends", &|spec| spec.backends.clone_from(&all));
        change("backends", &|spec| spec.backends = all.iter().skip(1).cloned().collect());
        change("health_check", &|spec| spec.health_check = check(stand, "/up", 20));
        change("source_ranges", &|spec| spec.source_ranges = net("198.51.100.0/24").into_iter().collect());
        change("source_ranges", &|spec| spec.source_ranges = Vec::new());
        change("client_ip_affinity", &|spec| spec.client_ip_affinity = !now.client_ip_affinity);
        change("proxy_protocol", &|spec| spec.proxy_protocol = !now.proxy_protocol);
        // With UDP there are clouds that always preserve it.
        if now.listeners.iter().all(|l| l.protocol != ListenerProtocol::Udp) {
            change("preserve_client_ip", &|spec| spec.preserve_client_ip = Some(false));
        }
        change("cross_zone", &|spec| spec.cross_zone = !now.cross_zone);
        change("idle_timeout_s", &|spec| spec.idle_timeout_s = Some(240));
        change("deletion_protection", &|spec| spec.deletion_protection = true);
        change("deletion_protection", &|spec| spec.deletion_protection = false);
        // Another subnet is added, then the one before goes; and together with the second family. Kept addresses would come and go with them (`moved`).
        let subnets: Vec<Ref<Subnet>> = farm.subnets.iter().map(to).collect();
        let is_free = now.addresses.is_empty() && stand.changes::<Self>("subnets");
        if is_free {
            change("subnets", &|spec| spec.subnets.clone_from(&subnets));
            change("subnets", &|spec| spec.subnets = subnets.iter().skip(1).cloned().collect());
        }
        // Nor does it outlast a change of the families there.
        if now.listeners.iter().all(|l| l.protocol != ListenerProtocol::Udp) {
            change("dual_stack", &|spec| spec.dual_stack = true);
            if is_free {
                change("dual_stack", &|spec| (spec.dual_stack, spec.subnets) = (true, subnets.clone()));
            }
            change("dual_stack", &|spec| spec.dual_stack = false);
        }
        out.retain(|(what, spec)| *what != "backends" || !spec.backends.is_empty());
        out
    }
    fn goes_back(_: &str) -> bool {
        true
    }
    async fn before_change(_: &Stand<'_>, _: &Object<Self>, _: &'static str) -> Verdict {
        Ok(())
    }
    fn malformed(stand: &Stand<'_>, plain: &LoadBalancerSpec) -> Vec<Wrong<Self>> {
        let with = |listeners: Vec<Listener>| LoadBalancerSpec { listeners, ..plain.clone() };
        let tcp = listener(ListenerProtocol::Tcp, 80, None);
        let path = HealthCheck { protocol: HealthProtocol::Tcp, path: Some("/".into()), ..HealthCheck::default() };
        let mut out = vec![
            Wrong::new("no network", LoadBalancerSpec { network: None, ..plain.clone() }, "network"),
            Wrong::new("no subnet", LoadBalancerSpec { subnets: Vec::new(), ..plain.clone() }, "subnets"),
            Wrong::new("for nobody", LoadBalancerSpec { scheme: Scheme::Unspecified, ..plain.clone() }, "scheme"),
            Wrong::new("no listener", with(Vec::new()), "listeners"),
            Wrong::new("two listeners for one port", with(vec![tcp.clone(), Listener { target_port: Some(8080), ..tcp.clone() }]), "listeners[1].port"),
            Wrong::new("a listener without a port", with(vec![Listener { port: None, ..tcp.clone() }]), "listeners[0].port"),
            Wrong::new("a listener without a protocol", with(vec![Listener { protocol: ListenerProtocol::Unspecified, ..tcp.clone() }]), "listeners[0].protocol"),
            Wrong::new("no backend", LoadBalancerSpec { backends: Vec::new(), ..plain.clone() }, "backends"),
            Wrong::new("a backend that is nothing", LoadBalancerSpec { backends: vec![Backend::default()], ..plain.clone() }, "backends[0]"),
            Wrong::new("a backend twice", LoadBalancerSpec { backends: [&*plain.backends, &*plain.backends].concat(), ..plain.clone() }, "backends[1]"),
            Wrong::new("a path over TCP", LoadBalancerSpec { health_check: path, ..plain.clone() }, "health_check.path"),
        ];
        out.extend(
            net("10.0.0.1/8").into_iter().map(|odd| Wrong::new("bits beyond the prefix", LoadBalancerSpec { source_ranges: vec![odd], ..plain.clone() }, "source_ranges[0]")),
        );
        if stand.is_refused::<Self>("listeners.protocol=TLS") {
            let tls = Listener { protocol: ListenerProtocol::Tls, certificate: Some("certificate-1".into()), ..tcp };
            out.push(Wrong::new("a listener for TLS", with(vec![tls]), "listeners.protocol"));
        }
        out.extend(wrong_labels(plain));
        out
    }
    async fn refused(stand: &Stand<'_>, farm: &Farm, plain: &LoadBalancerSpec) -> Verdict<Vec<Wrong<Self>>> {
        let mut out = Vec::new();
        if stand.honours::<Self>("backends.instance") {
            out.extend(not_backends(stand, farm, plain).await?);
        }
        if let (true, [first, ..]) = (stand.honours::<Self>("addresses"), &*farm.addresses) {
            let public = LoadBalancerSpec { scheme: Scheme::Public, addresses: vec![to(first)], ..plain.clone() };
            stand.create::<Self>(public.clone()).await?;
            out.push(Wrong::new("an address that another one is reached at", public, "addresses").with(Reason::InUse));
        }
        if stand.honours::<Subnet>("zone") {
            let zone = farm.subnets.first().and_then(|s| s.spec.zone.clone());
            let beside = SubnetSpec { network: Some(to(&farm.network)), cidrs: vec![subnet_range(62)], zone, ..SubnetSpec::default() };
            let subnets = plain.subnets.iter().cloned().chain([to(&stand.create::<Subnet>(beside).await?)]).collect();
            out.push(Wrong::new("two subnets of one zone", LoadBalancerSpec { subnets, ..plain.clone() }, "subnets"));
        }
        if stand.honours::<Self>("dual_stack") {
            let zone = farm.subnets.first().and_then(|s| s.spec.zone.clone());
            let of_one = SubnetSpec { network: Some(to(&farm.network)), cidrs: vec![subnet_range(61)], zone, ..SubnetSpec::default() };
            let subnets = vec![to(&stand.create::<Subnet>(of_one).await?)];
            out.push(Wrong::new("both stacks in a subnet without IPv6", LoadBalancerSpec { subnets, dual_stack: true, ..plain.clone() }, "dual_stack"));
        }
        Ok(out)
    }
    async fn refused_changes(stand: &Stand<'_>, farm: &Farm) -> Verdict<Option<Unchangeable<Self>>> {
        if !stand.changes::<Self>("backends") || !stand.honours::<Self>("backends.instance") {
            return Ok(None);
        }
        let plain = LoadBalancerSpec { backends: farm.machines.iter().take(1).map(|(m, _)| to_instance(m)).collect(), ..Self::plain(stand, farm, 0) };
        let made = stand.create::<Self>(plain).await?;
        let wrong = not_backends(stand, farm, &made.spec).await?;
        Ok(Some((made, wrong)))
    }
    async fn let_go(stand: &Stand<'_>, object: &Object<Self>) -> Verdict {
        if object.spec.deletion_protection {
            stand.update(object, LoadBalancerSpec { deletion_protection: false, ..object.spec.clone() }, Manner::PLAIN).await?;
        }
        Ok(())
    }
    fn comparable(asked: &LoadBalancerSpec, answered: &LoadBalancerSpec) -> LoadBalancerSpec {
        // The cloud chooses what was left open.
        let (check, chosen) = (&asked.health_check, &answered.health_check);
        let health_check = HealthCheck {
            protocol: if check.protocol == HealthProtocol::Unspecified { chosen.protocol } else { check.protocol },
            port: check.port.or(chosen.port),
            path: check.path.clone().or_else(|| chosen.path.clone()),
            interval_s: check.interval_s.or(chosen.interval_s),
            healthy_threshold: check.healthy_threshold.or(chosen.healthy_threshold),
            unhealthy_threshold: check.unhealthy_threshold.or(chosen.unhealthy_threshold),
        };
        let (preserve_client_ip, idle_timeout_s) = (asked.preserve_client_ip.or(answered.preserve_client_ip), asked.idle_timeout_s.or(answered.idle_timeout_s));
        let mut spec = LoadBalancerSpec { health_check, preserve_client_ip, idle_timeout_s, ..asked.clone() };
        // In the answer's order, where they are the same: it may call an instance otherwise.
        let place = |b: &Backend| answered.backends.iter().position(|a| b.vendor_id().ok() == a.vendor_id().ok());
        spec.backends.sort_by_key(place);
        spec
    }
    fn is_ready(status: &LoadBalancerStatus) -> bool {
        status.state == LoadBalancerState::Active
    }
    fn addresses(status: &LoadBalancerStatus) -> Vec<IpAddr> {
        status.ip_addresses.clone()
    }
    async fn occupied(_: &Stand<'_>) -> Verdict<Option<Object<Self>>> {
        Ok(None)
    }
    fn planted(farm: &Farm) -> Verdict<Planted> {
        let subnet = farm.subnets.first().map(|s| s.vendor_id.to_string()).unwrap_or_default();
        Ok(Planted::LoadBalancer { subnet })
    }
    fn fixed_points() -> Vec<(LoadBalancerAction, Reached<Self>)> {
        Vec::new()
    }
    fn once() -> Option<LoadBalancerAction> {
        None
    }
    fn questions() -> Vec<(LoadBalancerQuestion, Plausible<Self>)> {
        let is_told = |all: &Vec<TargetHealth>| all.iter().all(|t| !t.backend.is_empty() && t.state != TargetState::Unspecified);
        vec![(LoadBalancerQuestion::TargetHealth, is_told)]
    }
    fn labels(spec: &mut LoadBalancerSpec) -> Option<&mut BTreeMap<String, String>> {
        Some(&mut spec.labels)
    }
}

pub(crate) fn listener(protocol: ListenerProtocol, port: u16, target_port: Option<u16>) -> Listener {
    Listener { protocol, port: Some(port), target_port, certificate: None }
}
pub(crate) fn to_instance(machine: &Object<Instance>) -> Backend {
    Backend { instance: Some(to(machine)), ..Backend::default() }
}
fn to_address(last: u8) -> Backend {
    Backend { address: Some(host(0, last)), ..Backend::default() }
}
fn check(stand: &Stand<'_>, path: &str, interval_s: u32) -> HealthCheck {
    let has = |field: &str| stand.honours::<LoadBalancer>(&format!("health_check.{field}"));
    HealthCheck {
        protocol: if has("path") { HealthProtocol::Http } else { HealthProtocol::Tcp },
        port: has("port").then_some(8081),
        path: has("path").then(|| path.to_owned()),
        interval_s: has("interval_s").then_some(interval_s),
        healthy_threshold: has("healthy_threshold").then_some(4),
        unhealthy_threshold: has("unhealthy_threshold").then_some(2),
    }
}
/// An instance in a group of its own, which load balancers may open or not.
pub(crate) async fn machine(stand: &Stand<'_>, farm: &Farm, is_open: bool) -> Verdict<(Object<Instance>, Object<SecurityGroup>)> {
    let group = stand.create(SecurityGroupSpec { allow_load_balancer_rules: is_open, ..security_group::group_in(&farm.network) }).await?;
    let spec = InstanceSpec {
        machine_type: stand.subject.machine_types[0].clone(),
        image: Some(stand.image().await?),
        subnet: farm.subnets.first().map(to),
        security_groups: vec![to(&group)],
        ..InstanceSpec::default()
    };
    Ok((stand.create(spec).await?, group))
}
/// One whose group stays shut, and one of another network.
async fn not_backends(stand: &Stand<'_>, farm: &Farm, from: &LoadBalancerSpec) -> Verdict<Vec<Wrong<LoadBalancer>>> {
    let (shut, _) = machine(stand, farm, false).await?;
    let network = stand.create(NetworkSpec { cidrs: vec![net("10.30.0.0/16")?], ..NetworkSpec::default() }).await?;
    let zone = farm.subnets.first().and_then(|s| s.spec.zone.clone());
    let subnet = stand.create(SubnetSpec { network: Some(to(&network)), cidrs: vec![net("10.30.0.0/24")?], zone, ..SubnetSpec::default() }).await?;
    let elsewhere = Farm { network, subnets: vec![subnet], machines: Vec::new(), addresses: Vec::new() };
    let (elsewhere, _) = machine(stand, &elsewhere, true).await?;
    let with = |machine| LoadBalancerSpec { backends: vec![to_instance(machine)], ..from.clone() };
    Ok(vec![
        Wrong::new("a backend whose group says nothing of load balancers", with(&shut), "backends[0].instance").with(Reason::WrongState),
        Wrong::new("a backend of another network", with(&elsewhere), "backends"),
    ])
}
