//! Which traffic instances accept and send.

use super::{Labels, api_enum, kind, label_violations, word_violation};
use crate::{
    Change, CloudProvider, Condition, Driver, Error, ErrorKind, FieldPath, LocationName, Managed, Network, NoAction, Reason, Ref, ResourceId, Target, VendorConfig, Violation,
};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{collections::BTreeSet, fmt, str::FromStr};

kind! {
    /// Which traffic the instances in it accept and send. It is stateful: the answers to what is let through are let through.
    SecurityGroup at "securityGroups" in LocationName, id ResourceId, spec SecurityGroupSpec, status SecurityGroupStatus,
    fields &["network", "description", "restrict_egress", "rules", "rules.direction", "rules.protocol", "rules.from_port", "rules.to_port", "rules.cidrs",
        "rules.groups", "rules.same_group", "rules.description", "labels", "provider_config", "allow_load_balancer_rules"],
    input_only &[],
    reader |p| p.security_groups().map(|d| d as &dyn crate::Reader<Self>),
    zone |_, _| None,
    condition |status| match status.state {
        SecurityGroupState::Unspecified | SecurityGroupState::Available => Condition::Usable,
        SecurityGroupState::Deleting => Condition::Leaving,
        SecurityGroupState::Incomplete => Condition::Incomplete,
    },
    refs |spec| {
        let groups = spec.rules.iter_mut().enumerate();
        let groups = groups.flat_map(|(i, rule)| rule.groups.iter_mut().enumerate().map(move |(j, r)| r.any(format!("rules[{i}].groups[{j}]"))));
        spec.network.iter_mut().map(|r| r.any("network")).chain(groups).collect()
    }
}

/// What a security group should be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityGroupSpec {
    /// The network whose instances can be in it. Required.
    pub network: Option<Ref<Network>>,
    /// What it is for, at most 255 characters.
    pub description: Option<String>,
    /// Only what an egress rule allows goes out. Without it everything does, and there are no egress rules.
    pub restrict_egress: bool,
    /// What is let through; nothing else comes in. No two of them have the same direction, protocol, ports and description.
    pub rules: Vec<SecurityRule>,
    /// A user's own labels.
    pub labels: Labels,
    /// The vendor's extension.
    pub provider_config: Option<VendorConfig>,
    /// Load balancers may put rules of their own into it, which let their connections in: whoever makes the group says who else writes into it.
    pub allow_load_balancer_rules: bool,
}
impl SecurityGroupSpec {
    /// Puts rules and what is in them in order, so that two that mean the same are the same. What a driver answers is in this order.
    pub fn sort(&mut self) {
        for rule in &mut self.rules {
            rule.cidrs.sort_unstable();
            rule.groups.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        }
        self.rules.sort_by(|a, b| a.key().cmp(&b.key()));
    }
}

/// Traffic that is let through: of this protocol and to these ports, with any of the peers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityRule {
    /// To the instances, or from them. Required.
    pub direction: Direction,
    /// Of which protocol. Required.
    pub protocol: Option<Protocol>,
    /// The first port, of TCP and UDP. Neither: every port.
    pub from_port: Option<u16>,
    /// The last port.
    pub to_port: Option<u16>,
    /// Peers by address, of both families.
    pub cidrs: Vec<IpNet>,
    /// Peers by the group that they are in, of the same network.
    pub groups: Vec<Ref<SecurityGroup>>,
    /// The other instances of this very group are peers.
    pub same_group: bool,
    /// What it is for, at most 255 characters.
    pub description: String,
}
impl SecurityRule {
    /// What tells one rule from another: vendors keep one rule for each peer, and those that agree in this are one of ours.
    #[must_use]
    pub fn key(&self) -> (Direction, Option<Protocol>, Option<u16>, Option<u16>, &str) {
        (self.direction, self.protocol, self.from_port, self.to_port, &self.description)
    }
}

/// One peer of a rule: the form in which vendors keep rules.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerRule {
    /// Without any peers.
    pub rule: SecurityRule,
    /// The peer.
    pub peer: Peer,
}
/// Who is at the other end.
#[derive(Debug, Clone, PartialEq)]
pub enum Peer {
    /// Whoever has an address of this range.
    Cidr(IpNet),
    /// The instances in this group.
    Group(Ref<SecurityGroup>),
    /// Those in the rule's own group.
    SameGroup,
}
impl PeerRule {
    /// What it lets through, as something that can be compared: a group counts by the vendor's id.
    #[must_use]
    pub fn key(&self) -> impl Ord + '_ {
        let group = match &self.peer {
            Peer::Cidr(net) => (0, Some(*net), None),
            Peer::Group(r) => (1, None, r.vendor_id.as_ref().map(crate::VendorId::as_str)),
            Peer::SameGroup => (2, None, None),
        };
        (self.rule.key(), group)
    }
    /// One for each peer of these rules.
    pub fn each(rules: &[SecurityRule]) -> impl Iterator<Item = Self> {
        rules.iter().flat_map(|rule| {
            let bare = SecurityRule { cidrs: Vec::new(), groups: Vec::new(), same_group: false, ..rule.clone() };
            let peers = rule.cidrs.iter().copied().map(Peer::Cidr).chain(rule.groups.iter().cloned().map(Peer::Group)).chain(rule.same_group.then_some(Peer::SameGroup));
            peers.map(move |peer| Self { rule: bare.clone(), peer })
        })
    }
    /// The rules that have these peers, in order.
    #[must_use]
    pub fn gathered(all: impl IntoIterator<Item = Self>) -> Vec<SecurityRule> {
        let mut rules: Vec<SecurityRule> = Vec::new();
        for Self { rule, peer } in all {
            let at = rules.iter().position(|r| r.key() == rule.key()).unwrap_or_else(|| {
                rules.push(rule);
                rules.len() - 1
            });
            let Some(rule) = rules.get_mut(at) else { continue };
            match peer {
                Peer::Cidr(net) => rule.cidrs.push(net),
                Peer::Group(r) => rule.groups.push(r),
                Peer::SameGroup => rule.same_group = true,
            }
        }
        let mut spec = SecurityGroupSpec { rules, ..SecurityGroupSpec::default() };
        spec.sort();
        spec.rules
    }
    /// What of `wanted` is not there, and what is there and not wanted, by position.
    #[must_use]
    pub fn difference(wanted: &[Self], there: &[Self]) -> (Vec<usize>, Vec<usize>) {
        let missing = |these: &[Self], those: &[Self]| {
            let keys: BTreeSet<_> = those.iter().map(Self::key).collect();
            these.iter().enumerate().filter(|(_, r)| !keys.contains(&r.key())).map(|(i, _)| i).collect()
        };
        (missing(wanted, there), missing(there, wanted))
    }
}

api_enum! {
    /// Which way traffic goes, as its first packet does.
    Direction {
        /// To the instances.
        Ingress = "INGRESS",
        /// From them.
        Egress = "EGRESS",
    }
}

/// A protocol above IP. As text `all`, `tcp`, `udp`, `icmp`, `icmpv6`, or the number of another one
/// (<https://www.iana.org/assignments/protocol-numbers>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Every one.
    All,
    /// By its number: 6 is TCP.
    Number(u8),
}
impl Protocol {
    /// TCP.
    pub const TCP: Self = Self::Number(6);
    /// UDP.
    pub const UDP: Self = Self::Number(17);
    /// ICMP of IPv4.
    pub const ICMP: Self = Self::Number(1);
    /// ICMP of IPv6.
    pub const ICMPV6: Self = Self::Number(58);
    const NAMES: [(Self, &'static str); 5] = [(Self::All, "all"), (Self::TCP, "tcp"), (Self::UDP, "udp"), (Self::ICMP, "icmp"), (Self::ICMPV6, "icmpv6")];

    /// Does it have ports?
    #[must_use]
    pub fn has_ports(self) -> bool {
        self == Self::TCP || self == Self::UDP
    }
}
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (Self::NAMES.iter().find(|(p, _)| p == self), self) {
            (Some((_, name)), _) => f.write_str(name),
            (None, Self::Number(n)) => n.fmt(f),
            (None, Self::All) => f.write_str("all"),
        }
    }
}
impl FromStr for Protocol {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some((protocol, _)) = Self::NAMES.iter().find(|(_, name)| *name == text) {
            return Ok(*protocol);
        }
        let number = text.parse().map(Self::Number);
        number.map_err(|_| Error::invalid("protocol", format!("{text:?} is not a protocol: all, tcp, udp, icmp, icmpv6 or a number from 0 to 255")))
    }
}
impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

api_enum! {
    /// Where a security group is in its life.
    SecurityGroupState {
        /// Usable.
        Available = "AVAILABLE",
        /// Being removed.
        Deleting = "DELETING",
        /// A part is missing: it can only be deleted.
        Incomplete = "INCOMPLETE",
    }
}

/// What a security group is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SecurityGroupStatus {
    /// Its state.
    pub state: SecurityGroupState,
    /// Rules in it that are not in the specification, in the cloud's words: somebody else made them, or they are of a form that Welkin does not know.
    /// They are left alone.
    pub other_rules: Vec<String>,
}

/// Clouds keep a rule for each peer; AWS takes 60 in each direction by default, and at most 1000.
const MAX_PEERS: usize = 1000;
/// What it is for.
const MAX_DESCRIPTION: usize = 255;

impl Managed for SecurityGroup {
    type Action = NoAction;
    type Outcome = ();
    type Question = NoAction;
    type Answer = ();
    fn driver(p: &dyn CloudProvider) -> Option<&dyn Driver<Self>> {
        p.security_groups()
    }
    fn label(id: &ResourceId) -> Option<&ResourceId> {
        Some(id)
    }
    fn zone_mut(_: &mut SecurityGroupSpec) -> Option<&mut Option<String>> {
        None
    }
    fn violations(spec: &SecurityGroupSpec) -> Vec<Violation> {
        let mut out = Vec::new();
        if spec.network.is_none() {
            out.push(Violation::new("network", "a security group needs the network that it is for"));
        }
        word_violation("description", spec.description.as_ref(), &mut out);
        let peers: usize = spec.rules.iter().map(|r| r.cidrs.len() + r.groups.len() + usize::from(r.same_group)).sum();
        if peers > MAX_PEERS || spec.rules.len() > MAX_PEERS {
            out.push(Violation::new("rules", format!("at most {MAX_PEERS} peers in all rules, got {}", peers.max(spec.rules.len()))));
            return out;
        }
        let mut keys = BTreeSet::new();
        for (i, rule) in spec.rules.iter().enumerate() {
            let mut wrong = rule_violations(rule, &format!("rules[{i}]"));
            if rule.direction == Direction::Egress && !spec.restrict_egress {
                wrong.push(Violation::new(format!("rules[{i}].direction"), "everything goes out already; an egress rule needs restrict_egress"));
            }
            if !keys.insert(rule.key()) {
                wrong.push(Violation::new(format!("rules[{i}]"), "another rule has the same direction, protocol, ports and description: put the peers of both into one"));
            }
            out.append(&mut wrong);
        }
        if out.is_empty() {
            peer_violations(&spec.rules, &mut out);
        }
        label_violations(&spec.labels, &mut out);
        out
    }
}

impl SecurityGroup {
    /// For a provider that keeps this field in its mark: what was adopted, which is called by the vendor's id, has none.
    ///
    /// # Errors
    /// `FailedPrecondition` (`NotOwned`) where load balancers are to be let into an adopted group.
    pub fn refuse_unmarked(change: &Change<Self>, desired: &SecurityGroupSpec, paths: &BTreeSet<FieldPath>) -> Result<(), Error> {
        let field = "allow_load_balancer_rules";
        if !matches!(change.target, Target::Vendor { .. }) || !desired.allow_load_balancer_rules || !paths.contains(&FieldPath::from(field)) {
            return Ok(());
        }
        let why = format!("{} was adopted: nothing is noted on it, so load balancers cannot be let into it", change.target);
        Err(Error::new(ErrorKind::FailedPrecondition, Reason::NotOwned, why).with_field(field))
    }
}

/// Clouds take no two rules for the same traffic, whatever they are called.
fn peer_violations(rules: &[SecurityRule], out: &mut Vec<Violation>) {
    let mut seen = BTreeSet::new();
    for (i, rule) in rules.iter().enumerate() {
        let cidrs = rule.cidrs.iter().enumerate().map(|(j, net)| (format!("rules[{i}].cidrs[{j}]"), net.to_string()));
        let groups = rule.groups.iter().enumerate().map(|(j, group)| (format!("rules[{i}].groups[{j}]"), group.name.to_string()));
        let same = rule.same_group.then(|| (format!("rules[{i}].same_group"), String::new()));
        for (field, peer) in cidrs.chain(groups).chain(same) {
            if !seen.insert((rule.direction, rule.protocol, rule.from_port, rule.to_port, peer)) {
                out.push(Violation::new(field, "another rule lets the same traffic through"));
            }
        }
    }
}

fn rule_violations(rule: &SecurityRule, at: &str) -> Vec<Violation> {
    let mut out = Vec::new();
    let mut wrong = |field: &str, why: String| out.push(Violation::new(format!("{at}.{field}"), why));
    if rule.direction == Direction::Unspecified {
        wrong("direction", "a rule needs a direction: INGRESS or EGRESS".into());
    }
    let Some(protocol) = rule.protocol else {
        wrong("protocol", "a rule needs a protocol: all, tcp, udp, icmp, icmpv6 or a number".into());
        return out;
    };
    match (rule.from_port, rule.to_port) {
        (None, None) => {}
        _ if !protocol.has_ports() => wrong("from_port", format!("{protocol} has no ports")),
        (Some(0), Some(u16::MAX)) => wrong("from_port", "0 to 65535 is every port: leave both open".into()),
        (Some(from), Some(to)) if from <= to => {}
        (Some(from), Some(to)) => wrong("from_port", format!("{from} is above to_port, which is {to}")),
        (Some(_), None) => wrong("to_port", "give both ports of a range, or neither for every port".into()),
        (None, Some(_)) => wrong("from_port", "give both ports of a range, or neither for every port".into()),
    }
    if rule.cidrs.is_empty() && rule.groups.is_empty() && !rule.same_group {
        wrong("cidrs", "a rule needs a peer: a range, a group, or same_group".into());
    }
    for (j, net) in rule.cidrs.iter().enumerate() {
        if net.trunc() != *net {
            wrong(&format!("cidrs[{j}]"), format!("{net} has bits set beyond its prefix; did you mean {}?", net.trunc()));
        }
        if (protocol == Protocol::ICMP && !net.addr().is_ipv4()) || (protocol == Protocol::ICMPV6 && net.addr().is_ipv4()) {
            wrong(&format!("cidrs[{j}]"), format!("{net} is of the other family than {protocol}"));
        }
        if rule.cidrs.iter().take(j).any(|other| other == net) {
            wrong(&format!("cidrs[{j}]"), format!("{net} is there twice"));
        }
    }
    for (j, group) in rule.groups.iter().enumerate() {
        if rule.groups.iter().take(j).any(|other| other.name == group.name) {
            wrong(&format!("groups[{j}]"), format!("{} is there twice", group.name));
        }
    }
    let length = rule.description.chars().count();
    if length > MAX_DESCRIPTION {
        wrong("description", format!("at most {MAX_DESCRIPTION} characters, got {length}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(protocol: Protocol, ports: Option<(u16, u16)>) -> SecurityRule {
        let cidrs = vec!["10.0.0.0/8".parse().unwrap()];
        SecurityRule { direction: Direction::Ingress, protocol: Some(protocol), from_port: ports.map(|p| p.0), to_port: ports.map(|p| p.1), cidrs, ..Default::default() }
    }
    fn wrong(rules: Vec<SecurityRule>) -> Vec<String> {
        let network = Some(Ref::to("locations/r/networks/n".parse().unwrap()));
        SecurityGroup::violations(&SecurityGroupSpec { network, rules, ..Default::default() }).into_iter().map(|v| v.field).collect()
    }

    #[test]
    fn protocols_come_back_as_they_went() {
        for text in ["all", "tcp", "udp", "icmp", "icmpv6", "50", "0"] {
            assert_eq!(text.parse::<Protocol>().unwrap().to_string(), text);
        }
        assert_eq!("6".parse::<Protocol>().unwrap().to_string(), "tcp");
        assert!(["", "TCP", "256", "-1", "esp"].iter().all(|t| t.parse::<Protocol>().is_err()));
    }
    #[test]
    fn what_is_wrong_with_a_rule_is_named() {
        assert_eq!(wrong(vec![rule(Protocol::TCP, Some((80, 80))), rule(Protocol::ICMP, None), rule(Protocol::All, None), rule(Protocol::Number(50), None)]), [""; 0]);
        assert_eq!(wrong(vec![rule(Protocol::TCP, Some((81, 80)))]), ["rules[0].from_port"]);
        assert_eq!(wrong(vec![rule(Protocol::ICMP, Some((8, 8)))]), ["rules[0].from_port"]);
        assert_eq!(wrong(vec![SecurityRule { to_port: None, ..rule(Protocol::UDP, Some((1, 2))) }]), ["rules[0].to_port"]);
        assert_eq!(wrong(vec![rule(Protocol::TCP, None), rule(Protocol::TCP, None)]), ["rules[1]"]);
        assert_eq!(wrong(vec![SecurityRule { cidrs: vec![], ..rule(Protocol::TCP, None) }]), ["rules[0].cidrs"]);
        assert_eq!(wrong(vec![rule(Protocol::TCP, None), SecurityRule { description: "b".into(), ..rule(Protocol::TCP, None) }]), ["rules[1].cidrs[0]"]);
        assert_eq!(wrong(vec![SecurityRule { cidrs: vec!["::/0".parse().unwrap()], ..rule(Protocol::ICMP, None) }]), ["rules[0].cidrs[0]"]);
        assert_eq!(wrong(vec![SecurityRule { cidrs: vec!["10.0.0.1/8".parse().unwrap()], ..rule(Protocol::TCP, None) }]), ["rules[0].cidrs[0]"]);
        assert_eq!(wrong(vec![SecurityRule { direction: Direction::Egress, ..rule(Protocol::TCP, None) }]), ["rules[0].direction"]);
        assert_eq!(wrong(vec![SecurityRule::default()]), ["rules[0].direction", "rules[0].protocol"]);
    }
    #[test]
    fn rules_come_back_from_their_peers() {
        let group = |id: &str| Ref::resolved(format!("locations/r/securityGroups/{id}").parse().unwrap(), format!("sg-{id}").parse().unwrap());
        let mut spec = SecurityGroupSpec {
            rules: vec![SecurityRule { groups: vec![group("a"), group("b")], same_group: true, ..rule(Protocol::TCP, Some((1, 2))) }, rule(Protocol::All, None)],
            ..Default::default()
        };
        spec.sort();
        let peers: Vec<_> = PeerRule::each(&spec.rules).collect();
        assert_eq!((peers.len(), PeerRule::gathered(peers.iter().rev().cloned())), (5, spec.rules.clone()));
        let mut other = peers.clone();
        other.remove(0);
        assert_eq!(PeerRule::difference(&peers, &other), (vec![0], vec![]));
        assert_eq!(PeerRule::difference(&other, &peers), (vec![], vec![0]));
        // A group is the vendor's, whatever it is called.
        other[0] = PeerRule { peer: Peer::Group(group("a")), ..peers[1].clone() };
        let renamed = Ref::resolved("locations/r/securityGroups/x".parse().unwrap(), "sg-a".parse().unwrap());
        assert_eq!(PeerRule::difference(&other[..1], &[PeerRule { peer: Peer::Group(renamed), ..other[0].clone() }]), (vec![], vec![]));
    }
    #[test]
    fn the_order_does_not_count() {
        let [a, b] = [rule(Protocol::UDP, None), rule(Protocol::TCP, None)];
        let mut one = SecurityGroupSpec { rules: vec![a.clone(), b.clone()], ..Default::default() };
        let mut other = SecurityGroupSpec { rules: vec![b, a], ..Default::default() };
        one.sort();
        other.sort();
        assert_eq!(one, other);
    }
}
