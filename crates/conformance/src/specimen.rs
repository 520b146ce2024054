//! Of each kind: specifications that work, changes of them, and specifications that have to be refused.

use crate::{
    Planted,
    runner::Manner,
    stand::{Stand, Stop, Verdict},
};
use async_trait::async_trait;
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};
use welkin_core::{
    Direction, IdShape, Image, Instance, InstanceAction, InstanceSpec, InstanceState, InstanceStatus, Kind, LocationName, Managed, Network, NetworkSpec, NetworkState,
    NetworkStatus, NoAction, Object, Protocol, Reason, Ref, ResourceId, RootDisk, Secret, SecurityGroup, SecurityGroupSpec, SecurityGroupState, SecurityGroupStatus, SecurityRule,
    Subnet, SubnetSpec, SubnetState, SubnetStatus,
};

/// A public key that nobody has the secret of.
const SSH_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGzLxzNnJbGvqTn6Bzxfk0Xg5JYzrBqbBwYvZ7n0S2vQ conformance";

/// A specification that must not be made.
#[derive(Debug, Clone)]
pub(crate) struct Wrong<K: Kind> {
    /// For the report.
    pub(crate) what: &'static str,
    pub(crate) spec: K::Spec,
    pub(crate) field: &'static str,
    /// What it has to be refused for; None where any reason will do.
    pub(crate) reason: Option<Reason>,
}
impl<K: Kind> Wrong<K> {
    fn new(what: &'static str, spec: K::Spec, field: &'static str) -> Self {
        Self { what, spec, field, reason: None }
    }
    fn with(self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self }
    }
}

/// Does a status say that an action has led to its state?
pub(crate) type Reached<K> = fn(&<K as Kind>::Status) -> bool;

/// A kind as the trials need it. A new kind implements this once, and every trial that is generic over kinds runs for it.
#[async_trait(?Send)]
pub(crate) trait Specimen: Managed<Parent = LocationName, Id = ResourceId> {
    /// What resources of this kind stand on.
    type Ground: Send + Sync;
    /// Makes it.
    async fn ground(stand: &Stand<'_>) -> Verdict<Self::Ground>;
    /// The least that can be made. Those of different numbers can exist beside each other on one ground.
    fn plain(stand: &Stand<'_>, ground: &Self::Ground, number: u8) -> Self::Spec;
    /// Further ones that between them set every field that the provider honours. The first is made of the most parts. They cannot exist beside
    /// each other.
    fn variants(stand: &Stand<'_>, ground: &Self::Ground) -> Verdict<Vec<(&'static str, Self::Spec)>>;
    /// What the existing one can be changed to, one after another, as far as the provider changes those fields.
    fn changes(stand: &Stand<'_>, now: &Self::Spec) -> Vec<(&'static str, Self::Spec)>;
    /// What has to be done before it can be changed so.
    async fn before_change(stand: &Stand<'_>, object: &Object<Self>, change: &'static str) -> Verdict;
    /// Refused by what is known of the kind and the cloud's capabilities, before any call.
    fn malformed(stand: &Stand<'_>, plain: &Self::Spec) -> Vec<Wrong<Self>>;
    /// Well-formed, and refused by the cloud.
    async fn refused(stand: &Stand<'_>, ground: &Self::Ground, plain: &Self::Spec) -> Verdict<Vec<Wrong<Self>>>;
    /// What was asked for, with what the cloud chooses taken from its answer, so that the two can be compared.
    fn comparable(asked: &Self::Spec, answered: &Self::Spec) -> Self::Spec;
    /// Is it what Done promises?
    fn is_ready(status: &Self::Status) -> bool;
    /// Every address and range that it was given.
    fn addresses(status: &Self::Status) -> Vec<IpAddr>;
    /// One that something else stands on; None where nothing can.
    async fn occupied(stand: &Stand<'_>) -> Verdict<Option<Object<Self>>>;
    /// The same, made behind the provider's back.
    fn planted(ground: &Self::Ground) -> Verdict<Planted>;
    /// Actions that can be repeated, each with the state that it leads to.
    fn fixed_points() -> Vec<(Self::Action, Reached<Self>)>;
    /// The action that must not be repeated.
    fn once() -> Option<Self::Action>;
    /// The labels, which every kind has.
    fn labels(spec: &mut Self::Spec) -> &mut BTreeMap<String, String>;
}

fn net(text: &str) -> Verdict<IpNet> {
    text.parse().map_err(|e| Stop::Failed(format!("{text}: {e}")))
}
fn labelled(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}
/// An id as the vendor could have given it, of something that is not there.
pub(crate) fn id_of_nothing<K: Kind>(stand: &Stand<'_>) -> String {
    match stand.subject.provider.capabilities().kinds.get(K::COLLECTION).map(|c| c.id_shape) {
        Some(IdShape::PrefixedHex(prefix)) => format!("{prefix}{:017x}", 0),
        _ => "no-such-thing".to_owned(),
    }
}
/// What is wrong with labels on every kind.
fn wrong_labels<K: Specimen>(plain: &K::Spec) -> Vec<Wrong<K>> {
    let with = |pairs: &[(&str, &str)]| {
        let mut spec = plain.clone();
        *K::labels(&mut spec) = labelled(pairs);
        spec
    };
    let mut many = plain.clone();
    *K::labels(&mut many) = (0..100).map(|n| (format!("k{n}"), String::new())).collect();
    vec![
        Wrong::new("a reserved label", with(&[("welkin.dev/owner", "me")]), "labels[\"welkin.dev/owner\"]"),
        Wrong::new("a label without a key", with(&[("", "x")]), "labels[\"\"]"),
        Wrong::new("too many labels", many, "labels"),
    ]
}

/// The range that every network of the trials has, and its first subnets.
const RANGE: [u8; 2] = [10, 20];
fn subnet_range(number: u8) -> IpNet {
    ipnet::Ipv4Net::new_assert([RANGE[0], RANGE[1], number, 0].into(), 24).into()
}
fn host(number: u8, last: u8) -> IpAddr {
    [RANGE[0], RANGE[1], number, last].into()
}
fn network_range() -> IpNet {
    ipnet::Ipv4Net::new_assert([RANGE[0], RANGE[1], 0, 0].into(), 16).into()
}

#[async_trait(?Send)]
impl Specimen for Network {
    type Ground = ();
    async fn ground(_: &Stand<'_>) -> Verdict<()> {
        Ok(())
    }
    fn plain(_: &Stand<'_>, (): &(), _: u8) -> NetworkSpec {
        NetworkSpec { cidrs: vec![network_range()], ..NetworkSpec::default() }
    }
    fn variants(stand: &Stand<'_>, ground: &()) -> Verdict<Vec<(&'static str, NetworkSpec)>> {
        let plain = Self::plain(stand, ground, 0);
        let more = stand.field::<Self>("cidrs").and_then(|f| f.max_items).is_none_or(|n| n > 1);
        let cidrs = if more { vec![network_range(), net("10.21.0.0/16")?] } else { plain.cidrs.clone() };
        let mut out = vec![(
            "everything",
            NetworkSpec {
                cidrs,
                assign_ipv6_cidr: stand.honours::<Self>("assign_ipv6_cidr"),
                internet_access: stand.honours::<Self>("internet_access"),
                labels: labelled(&[("team", "a"), ("Name", "of-its-own")]),
                provider_config: stand.subject.provider_configs.get(Self::COLLECTION).cloned(),
            },
        )];
        if stand.honours::<Self>("cidrs=IPV6") {
            out.push(("a chosen IPv6 range", NetworkSpec { cidrs: vec![network_range(), net("fd00:20::/56")?], ..plain }));
        }
        Ok(out)
    }
    fn changes(stand: &Stand<'_>, now: &NetworkSpec) -> Vec<(&'static str, NetworkSpec)> {
        let mut out = Vec::new();
        if stand.changes::<Self>("labels") {
            out.push(("labels", NetworkSpec { labels: labelled(&[("team", "b"), ("new", "")]), ..now.clone() }));
        }
        if stand.changes::<Self>("internet_access") {
            out.push(("internet_access", NetworkSpec { internet_access: !now.internet_access, ..now.clone() }));
            out.push(("internet_access", now.clone()));
        }
        out
    }
    async fn before_change(_: &Stand<'_>, _: &Object<Self>, _: &'static str) -> Verdict {
        Ok(())
    }
    fn malformed(stand: &Stand<'_>, plain: &NetworkSpec) -> Vec<Wrong<Self>> {
        let with = |cidrs: &[&str]| NetworkSpec { cidrs: cidrs.iter().filter_map(|c| c.parse().ok()).collect(), ..plain.clone() };
        let mut out = vec![
            Wrong::new("bits beyond the prefix", with(&["10.20.0.1/16"]), "cidrs[0]"),
            Wrong::new("overlapping ranges", with(&["10.20.0.0/16", "10.20.1.0/24"]), "cidrs[1]"),
            Wrong::new("a range that is too small", with(&["10.20.0.0/31"]), "cidrs[0]"),
            Wrong::new("a range that is too large", with(&["0.0.0.0/1"]), "cidrs[0]"),
        ];
        if stand.field::<Self>("cidrs").is_some_and(|f| f.required) {
            out.push(Wrong::new("no range", with(&[]), "cidrs"));
        }
        if stand.is_refused::<Self>("cidrs=IPV6") {
            out.push(Wrong::new("a chosen IPv6 range", with(&["10.20.0.0/16", "fd00:20::/56"]), "cidrs").with(Reason::CapabilityUnsupported));
        }
        out.extend(wrong_labels(plain));
        out
    }
    async fn refused(_: &Stand<'_>, (): &(), _: &NetworkSpec) -> Verdict<Vec<Wrong<Self>>> {
        // A network stands alone: no cloud refuses a well-formed one but for quotas.
        Ok(Vec::new())
    }
    fn comparable(asked: &NetworkSpec, _: &NetworkSpec) -> NetworkSpec {
        asked.clone()
    }
    fn is_ready(status: &NetworkStatus) -> bool {
        status.state == NetworkState::Available
    }
    fn addresses(status: &NetworkStatus) -> Vec<IpAddr> {
        status.cidrs.iter().map(IpNet::addr).collect()
    }
    async fn occupied(stand: &Stand<'_>) -> Verdict<Option<Object<Self>>> {
        let ground = Subnet::ground(stand).await?;
        stand.create::<Subnet>(Subnet::plain(stand, &ground, 0)).await?;
        Ok(Some(ground.0))
    }
    fn planted((): &()) -> Verdict<Planted> {
        Ok(Planted::Network { cidr: network_range() })
    }
    fn fixed_points() -> Vec<(NoAction, Reached<Self>)> {
        Vec::new()
    }
    fn once() -> Option<Self::Action> {
        None
    }
    fn labels(spec: &mut NetworkSpec) -> &mut BTreeMap<String, String> {
        &mut spec.labels
    }
}

#[async_trait(?Send)]
impl Specimen for Subnet {
    /// A network, and the zone for those that need one.
    type Ground = (Object<Network>, Option<String>);
    async fn ground(stand: &Stand<'_>) -> Verdict<Self::Ground> {
        let spec = NetworkSpec { assign_ipv6_cidr: stand.honours::<Network>("assign_ipv6_cidr"), ..Network::plain(stand, &(), 0) };
        let zone = if stand.honours::<Self>("zone") { Some(stand.zone().await?) } else { None };
        Ok((stand.create(spec).await?, zone))
    }
    fn plain(_: &Stand<'_>, (network, zone): &Self::Ground, number: u8) -> SubnetSpec {
        let network = Some(Ref::resolved(network.name.clone(), network.vendor_id.clone()));
        SubnetSpec { network, cidrs: vec![subnet_range(number)], zone: zone.clone(), ..SubnetSpec::default() }
    }
    fn variants(stand: &Stand<'_>, ground: &Self::Ground) -> Verdict<Vec<(&'static str, SubnetSpec)>> {
        let plain = Self::plain(stand, ground, 0);
        let mut out = vec![(
            "everything",
            SubnetSpec {
                assign_ipv6_cidr: stand.honours::<Self>("assign_ipv6_cidr"),
                assign_public_ip: stand.honours::<Self>("assign_public_ip"),
                labels: labelled(&[("team", "a")]),
                provider_config: stand.subject.provider_configs.get(Self::COLLECTION).cloned(),
                ..plain.clone()
            },
        )];
        let range = ground.0.status.cidrs.iter().find_map(|c| if let IpNet::V6(range) = c { Some(*range) } else { None });
        if let (true, Some(range)) = (stand.honours::<Self>("cidrs=IPV6"), range) {
            let second = range.subnets(64).ok().and_then(|mut all| all.nth(1));
            let Some(second) = second else { return Err(Stop::Failed(format!("{range} has no second /64"))) };
            out.push(("a chosen IPv6 range", SubnetSpec { cidrs: vec![subnet_range(0), second.into()], ..plain }));
        }
        Ok(out)
    }
    fn changes(stand: &Stand<'_>, now: &SubnetSpec) -> Vec<(&'static str, SubnetSpec)> {
        let mut out = Vec::new();
        if stand.changes::<Self>("labels") {
            out.push(("labels", SubnetSpec { labels: labelled(&[("team", "b"), ("new", "")]), ..now.clone() }));
        }
        if stand.changes::<Self>("assign_public_ip") {
            out.push(("assign_public_ip", SubnetSpec { assign_public_ip: !now.assign_public_ip, ..now.clone() }));
            out.push(("assign_public_ip", now.clone()));
        }
        out
    }
    async fn before_change(_: &Stand<'_>, _: &Object<Self>, _: &'static str) -> Verdict {
        Ok(())
    }
    fn malformed(_: &Stand<'_>, plain: &SubnetSpec) -> Vec<Wrong<Self>> {
        let with = |cidrs: &[&str]| SubnetSpec { cidrs: cidrs.iter().filter_map(|c| c.parse().ok()).collect(), ..plain.clone() };
        let mut out = vec![
            Wrong::new("no network", SubnetSpec { network: None, ..plain.clone() }, "network"),
            Wrong::new("no range", with(&[]), "cidrs"),
            Wrong::new("bits beyond the prefix", with(&["10.20.0.1/24"]), "cidrs[0]"),
            Wrong::new("two IPv4 ranges", with(&["10.20.1.0/24", "10.20.2.0/24"]), "cidrs"),
            Wrong::new("both a chosen and an assigned IPv6 range", SubnetSpec { assign_ipv6_cidr: true, ..with(&["10.20.1.0/24", "fd00:20::/64"]) }, "assign_ipv6_cidr"),
        ];
        out.extend(wrong_labels(plain));
        out
    }
    async fn refused(stand: &Stand<'_>, _: &Self::Ground, plain: &SubnetSpec) -> Verdict<Vec<Wrong<Self>>> {
        let there = SubnetSpec { cidrs: vec![subnet_range(40)], ..plain.clone() };
        stand.create::<Self>(there.clone()).await?;
        let inside = SubnetSpec { cidrs: vec![net("10.20.40.128/25")?], ..plain.clone() };
        let outside = SubnetSpec { cidrs: vec![net("192.168.40.0/24")?], ..plain.clone() };
        let mut out = vec![
            Wrong::new("the range of another subnet", there, "cidrs").with(Reason::RangeConflict),
            Wrong::new("a part of another subnet's range", inside, "cidrs").with(Reason::RangeConflict),
            Wrong::new("a range outside of the network", outside, "cidrs"),
        ];
        if plain.zone.is_some() {
            out.push(Wrong::new("an unknown zone", SubnetSpec { zone: Some("nowhere-1z".into()), ..plain.clone() }, "zone"));
        }
        Ok(out)
    }
    fn comparable(asked: &SubnetSpec, _: &SubnetSpec) -> SubnetSpec {
        asked.clone()
    }
    fn is_ready(status: &SubnetStatus) -> bool {
        status.state == SubnetState::Available
    }
    fn addresses(status: &SubnetStatus) -> Vec<IpAddr> {
        status.cidrs.iter().map(IpNet::addr).collect()
    }
    async fn occupied(stand: &Stand<'_>) -> Verdict<Option<Object<Self>>> {
        let site = Instance::ground(stand).await?;
        stand.create::<Instance>(Instance::plain(stand, &site, 0)).await?;
        Ok(Some(site.subnet))
    }
    fn planted((network, _): &Self::Ground) -> Verdict<Planted> {
        Ok(Planted::Subnet { network: network.vendor_id.to_string(), cidr: subnet_range(50) })
    }
    fn fixed_points() -> Vec<(NoAction, Reached<Self>)> {
        Vec::new()
    }
    fn once() -> Option<Self::Action> {
        None
    }
    fn labels(spec: &mut SubnetSpec) -> &mut BTreeMap<String, String> {
        &mut spec.labels
    }
}

#[async_trait(?Send)]
impl Specimen for SecurityGroup {
    /// A network, and another group in it to be a peer.
    type Ground = (Object<Network>, Object<SecurityGroup>);
    async fn ground(stand: &Stand<'_>) -> Verdict<Self::Ground> {
        let network = stand.create(Network::plain(stand, &(), 0)).await?;
        let peer = stand.create(group_in(&network)).await?;
        Ok((network, peer))
    }
    fn plain(_: &Stand<'_>, (network, _): &Self::Ground, _: u8) -> SecurityGroupSpec {
        group_in(network)
    }
    fn variants(stand: &Stand<'_>, ground: &Self::Ground) -> Verdict<Vec<(&'static str, SecurityGroupSpec)>> {
        let plain = Self::plain(stand, ground, 0);
        let groups = vec![Ref::resolved(ground.1.name.clone(), ground.1.vendor_id.clone())];
        let https = SecurityRule { cidrs: vec![net("10.0.0.0/8")?, net("2001:db8::/32")?], description: "web".into(), ..rule(Protocol::TCP, Some((443, 8443)))? };
        let members = SecurityRule { cidrs: Vec::new(), groups, same_group: true, ..rule(Protocol::TCP, None)? };
        let ping = SecurityRule { cidrs: vec![net("::/0")?], ..rule(Protocol::ICMPV6, None)? };
        let out = SecurityRule { direction: Direction::Egress, ..rule(Protocol::All, None)? };
        let mut everything = SecurityGroupSpec {
            description: Some("of-the-trials".into()),
            restrict_egress: true,
            rules: vec![https, members, ping, out, rule(Protocol::UDP, Some((53, 53)))?],
            labels: labelled(&[("team", "a")]),
            provider_config: stand.subject.provider_configs.get(Self::COLLECTION).cloned(),
            ..plain
        };
        everything.sort();
        Ok(vec![("everything", everything)])
    }
    fn changes(stand: &Stand<'_>, now: &SecurityGroupSpec) -> Vec<(&'static str, SecurityGroupSpec)> {
        let mut out = Vec::new();
        let with = |restrict_egress: bool, rules: Vec<SecurityRule>| {
            let mut spec = SecurityGroupSpec { restrict_egress, rules, ..now.clone() };
            spec.sort();
            spec
        };
        if let (true, Ok(ssh), Ok(dns)) = (stand.changes::<Self>("rules"), rule(Protocol::TCP, Some((22, 22))), rule(Protocol::UDP, Some((53, 53)))) {
            out.push(("rules", with(now.restrict_egress, vec![ssh.clone(), dns])));
            // The same traffic under another description, and one less.
            let ssh = SecurityRule { description: "administration".into(), ..ssh };
            out.push(("rules", with(now.restrict_egress, vec![ssh.clone()])));
            if stand.changes::<Self>("restrict_egress") {
                out.push(("restrict_egress", with(true, vec![ssh.clone(), SecurityRule { direction: Direction::Egress, ..ssh }])));
            }
        }
        if stand.changes::<Self>("labels") {
            out.push(("labels", SecurityGroupSpec { labels: labelled(&[("team", "b"), ("new", "")]), ..now.clone() }));
        }
        out
    }
    async fn before_change(_: &Stand<'_>, _: &Object<Self>, _: &'static str) -> Verdict {
        Ok(())
    }
    fn malformed(_: &Stand<'_>, plain: &SecurityGroupSpec) -> Vec<Wrong<Self>> {
        let with = |rules: Vec<SecurityRule>| SecurityGroupSpec { rules, ..plain.clone() };
        let mut out = vec![Wrong::new("no network", SecurityGroupSpec { network: None, ..plain.clone() }, "network")];
        let (Ok(tcp), Ok(icmp)) = (rule(Protocol::TCP, Some((80, 80))), rule(Protocol::ICMP, Some((8, 8)))) else { return out };
        out.extend([
            Wrong::new("ports from the end", with(vec![SecurityRule { from_port: Some(81), ..tcp.clone() }]), "rules[0].from_port"),
            Wrong::new("half a range of ports", with(vec![SecurityRule { to_port: None, ..tcp.clone() }]), "rules[0].to_port"),
            Wrong::new("ICMP with ports", with(vec![icmp]), "rules[0].from_port"),
            Wrong::new("a rule without a peer", with(vec![SecurityRule { cidrs: Vec::new(), ..tcp.clone() }]), "rules[0].cidrs"),
            Wrong::new("a rule without a direction", with(vec![SecurityRule { direction: Direction::Unspecified, ..tcp.clone() }]), "rules[0].direction"),
            Wrong::new("an egress rule where everything goes out", with(vec![SecurityRule { direction: Direction::Egress, ..tcp.clone() }]), "rules[0].direction"),
            Wrong::new("a rule that is there twice", with(vec![tcp.clone(), tcp]), "rules[1]"),
        ]);
        out.extend(wrong_labels(plain));
        out
    }
    async fn refused(stand: &Stand<'_>, _: &Self::Ground, plain: &SecurityGroupSpec) -> Verdict<Vec<Wrong<Self>>> {
        let elsewhere = stand.create(NetworkSpec { cidrs: vec![net("10.30.0.0/16")?], ..NetworkSpec::default() }).await?;
        let peer: Object<Self> = stand.create(group_in(&elsewhere)).await?;
        let rule = SecurityRule { groups: vec![Ref::resolved(peer.name, peer.vendor_id)], ..rule(Protocol::TCP, None)? };
        Ok(vec![Wrong::new("a group of another network", SecurityGroupSpec { rules: vec![rule], ..plain.clone() }, "rules")])
    }
    fn comparable(asked: &SecurityGroupSpec, _: &SecurityGroupSpec) -> SecurityGroupSpec {
        asked.clone()
    }
    fn is_ready(status: &SecurityGroupStatus) -> bool {
        status.state == SecurityGroupState::Available
    }
    fn addresses(_: &SecurityGroupStatus) -> Vec<IpAddr> {
        Vec::new()
    }
    async fn occupied(stand: &Stand<'_>) -> Verdict<Option<Object<Self>>> {
        let (network, used) = Self::ground(stand).await?;
        let rule = SecurityRule { groups: vec![Ref::resolved(used.name.clone(), used.vendor_id.clone())], ..rule(Protocol::TCP, None)? };
        stand.create::<Self>(SecurityGroupSpec { rules: vec![rule], ..group_in(&network) }).await?;
        Ok(Some(used))
    }
    fn planted((network, _): &Self::Ground) -> Verdict<Planted> {
        Ok(Planted::SecurityGroup { network: network.vendor_id.to_string() })
    }
    fn fixed_points() -> Vec<(NoAction, Reached<Self>)> {
        Vec::new()
    }
    fn once() -> Option<Self::Action> {
        None
    }
    fn labels(spec: &mut SecurityGroupSpec) -> &mut BTreeMap<String, String> {
        &mut spec.labels
    }
}
fn group_in(network: &Object<Network>) -> SecurityGroupSpec {
    SecurityGroupSpec { network: Some(Ref::resolved(network.name.clone(), network.vendor_id.clone())), ..SecurityGroupSpec::default() }
}
fn rule(protocol: Protocol, ports: Option<(u16, u16)>) -> Verdict<SecurityRule> {
    let (from_port, to_port) = ports.unzip();
    Ok(SecurityRule { direction: Direction::Ingress, protocol: Some(protocol), from_port, to_port, cidrs: vec![net("192.0.2.0/24")?], ..SecurityRule::default() })
}

/// What instances stand on.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) subnet: Object<Subnet>,
    pub(crate) image: Ref<Image>,
}

#[async_trait(?Send)]
impl Specimen for Instance {
    type Ground = Site;
    async fn ground(stand: &Stand<'_>) -> Verdict<Site> {
        let ground = Subnet::ground(stand).await?;
        let spec = SubnetSpec { assign_ipv6_cidr: stand.honours::<Subnet>("assign_ipv6_cidr"), ..Subnet::plain(stand, &ground, 0) };
        Ok(Site { subnet: stand.create(spec).await?, image: stand.image().await? })
    }
    fn plain(stand: &Stand<'_>, site: &Site, _: u8) -> InstanceSpec {
        let subnet = Ref::resolved(site.subnet.name.clone(), site.subnet.vendor_id.clone());
        InstanceSpec { machine_type: stand.subject.machine_types[0].clone(), image: Some(site.image.clone()), subnet: Some(subnet), ..InstanceSpec::default() }
    }
    fn variants(stand: &Stand<'_>, site: &Site) -> Verdict<Vec<(&'static str, InstanceSpec)>> {
        let (plain, subject) = (Self::plain(stand, site, 0), stand.subject);
        let has = |path: &str| stand.honours::<Self>(path);
        let everything = InstanceSpec {
            zone: site.subnet.spec.zone.clone().filter(|_| has("zone")),
            private_ips: if has("private_ips") { vec![host(0, 77)] } else { Vec::new() },
            assign_public_ip: has("assign_public_ip").then_some(true),
            assign_ipv6: has("assign_ipv6"),
            ssh_key: has("ssh_key").then(|| SSH_KEY.to_owned()),
            user_data: has("user_data").then(|| Secret::new("#!/bin/sh\necho conformance\n")),
            identity: subject.identity.clone().filter(|_| has("identity")),
            root_disk: RootDisk {
                size_gib: has("root_disk.size_gib").then_some(20),
                disk_type: subject.disk_type.clone().filter(|_| has("root_disk.disk_type")),
                encrypted: has("root_disk.encrypted").then_some(true),
            },
            ip_forwarding: has("ip_forwarding"),
            labels: labelled(&[("team", "a"), ("Name", "of-its-own")]),
            ..plain.clone()
        };
        let mut out = vec![("everything", everything)];
        if has("assign_public_ip") {
            out.push(("no public address", InstanceSpec { assign_public_ip: Some(false), ..plain.clone() }));
        }
        if let Some(config) = subject.provider_configs.get(Self::COLLECTION) {
            out.push(("the vendor's extension", InstanceSpec { provider_config: Some(config.clone()), ..plain }));
        }
        Ok(out)
    }
    fn changes(stand: &Stand<'_>, now: &InstanceSpec) -> Vec<(&'static str, InstanceSpec)> {
        let mut out = Vec::new();
        if stand.changes::<Self>("labels") {
            out.push(("labels", InstanceSpec { labels: labelled(&[("team", "b"), ("new", "")]), ..now.clone() }));
        }
        if stand.changes::<Self>("ip_forwarding") {
            out.push(("ip_forwarding", InstanceSpec { ip_forwarding: !now.ip_forwarding, ..now.clone() }));
            out.push(("ip_forwarding", now.clone()));
        }
        if stand.changes::<Self>("machine_type") {
            out.push(("machine_type", InstanceSpec { machine_type: stand.subject.machine_types[1].clone(), ..now.clone() }));
        }
        out
    }
    async fn before_change(stand: &Stand<'_>, object: &Object<Self>, change: &'static str) -> Verdict {
        if change == "machine_type" { stand.act(object, InstanceAction::Stop, Manner::PLAIN).await } else { Ok(()) }
    }
    fn malformed(stand: &Stand<'_>, plain: &InstanceSpec) -> Vec<Wrong<Self>> {
        let mut out = vec![
            Wrong::new("no machine type", InstanceSpec { machine_type: String::new(), ..plain.clone() }, "machine_type"),
            Wrong::new("no image", InstanceSpec { image: None, ..plain.clone() }, "image"),
            Wrong::new("no subnet", InstanceSpec { subnet: None, ..plain.clone() }, "subnet"),
            Wrong::new("an address twice", InstanceSpec { private_ips: vec![host(0, 10), host(0, 10)], ..plain.clone() }, "private_ips[1]"),
            Wrong::new("what is no ssh key", InstanceSpec { ssh_key: Some("secret".into()), ..plain.clone() }, "ssh_key"),
            Wrong::new("user data over 16 KiB", InstanceSpec { user_data: Some(Secret::new("x".repeat(16 * 1024 + 1))), ..plain.clone() }, "user_data"),
            Wrong::new("no room on the root disk", InstanceSpec { root_disk: RootDisk { size_gib: Some(0), ..RootDisk::default() }, ..plain.clone() }, "root_disk.size_gib"),
        ];
        if let Some((_, max)) = stand.field::<Self>("root_disk.size_gib").and_then(|f| f.range) {
            let size_gib = u32::try_from(max).ok().and_then(|max| max.checked_add(1));
            out.push(Wrong::new("a root disk that is too large", InstanceSpec { root_disk: RootDisk { size_gib, ..RootDisk::default() }, ..plain.clone() }, "root_disk.size_gib"));
        }
        out.extend(wrong_labels(plain));
        out
    }
    async fn refused(stand: &Stand<'_>, site: &Site, plain: &InstanceSpec) -> Verdict<Vec<Wrong<Self>>> {
        let nothing = id_of_nothing::<Image>(stand);
        let image = Ref::resolved(site.image.name.clone(), nothing.parse()?);
        // By name too, for who resolves it itself.
        let image = Ref { name: welkin_core::Name::new(site.image.name.parent.clone(), Image::foreign_id(&nothing)?), ..image };
        let mut out = vec![
            Wrong::new("an unknown image", InstanceSpec { image: Some(image), ..plain.clone() }, "image"),
            Wrong::new("an unknown machine type", InstanceSpec { machine_type: "no.such-type".into(), ..plain.clone() }, "machine_type"),
        ];
        if stand.honours::<Self>("private_ips") {
            let taken = InstanceSpec { private_ips: vec![host(0, 99)], ..plain.clone() };
            stand.create::<Self>(taken.clone()).await?;
            out.push(Wrong::new("an address in use", taken, "private_ips"));
            out.push(Wrong::new("an address outside of the subnet", InstanceSpec { private_ips: vec![host(9, 9)], ..plain.clone() }, "private_ips"));
        }
        Ok(out)
    }
    fn comparable(asked: &InstanceSpec, answered: &InstanceSpec) -> InstanceSpec {
        // A family is answered as the image that it stood for.
        let same = |a: &Ref<Image>, b: &Ref<Image>| a.vendor_id.as_ref().is_some_and(|id| b.vendor_id.as_ref() == Some(id) || b.name.id.decoded() == id.as_str());
        let image = match (&asked.image, &answered.image) {
            (Some(a), Some(b)) if same(a, b) => Some(b.clone()),
            (a, _) => a.clone(),
        };
        // The cloud adds the addresses that it chose.
        let kept = asked.private_ips.iter().all(|ip| answered.private_ips.contains(ip));
        let private_ips = if kept { answered.private_ips.clone() } else { asked.private_ips.clone() };
        InstanceSpec { image, private_ips, ..asked.clone() }
    }
    fn is_ready(status: &InstanceStatus) -> bool {
        status.state == InstanceState::Running
    }
    fn addresses(status: &InstanceStatus) -> Vec<IpAddr> {
        status.private_ips.clone()
    }
    async fn occupied(_: &Stand<'_>) -> Verdict<Option<Object<Self>>> {
        Ok(None)
    }
    fn planted(site: &Site) -> Verdict<Planted> {
        Ok(Planted::Instance { subnet: site.subnet.vendor_id.to_string(), image: site.image.vendor_id()?.to_string() })
    }
    fn fixed_points() -> Vec<(InstanceAction, Reached<Self>)> {
        vec![(InstanceAction::Stop, |s| s.state == InstanceState::Stopped), (InstanceAction::Start, |s| s.state == InstanceState::Running)]
    }
    fn once() -> Option<InstanceAction> {
        Some(InstanceAction::Reboot)
    }
    fn labels(spec: &mut InstanceSpec) -> &mut BTreeMap<String, String> {
        &mut spec.labels
    }
}
