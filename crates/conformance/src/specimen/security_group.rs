use super::{Depth, Plausible, Reached, Specimen, Unchangeable, Wrong, labelled, net, to, wrong_labels};
use crate::{
    Planted,
    stand::{Stand, Verdict},
};
use async_trait::async_trait;
use std::{collections::BTreeMap, net::IpAddr};
use welkin_core::{Direction, Kind, Network, NetworkSpec, NoAction, Object, Protocol, SecurityGroup, SecurityGroupSpec, SecurityGroupState, SecurityGroupStatus, SecurityRule};

#[async_trait(?Send)]
impl Specimen for SecurityGroup {
    /// A network, and another group in it to be a peer.
    type Ground = (Object<Network>, Object<SecurityGroup>);
    async fn ground(stand: &Stand<'_>, _: Depth) -> Verdict<Self::Ground> {
        let network = stand.create(Network::plain(stand, &(), 0)).await?;
        let peer = stand.create(group_in(&network)).await?;
        Ok((network, peer))
    }
    fn plain(_: &Stand<'_>, (network, _): &Self::Ground, _: u8) -> SecurityGroupSpec {
        group_in(network)
    }
    fn variants(stand: &Stand<'_>, ground: &Self::Ground) -> Verdict<Vec<(&'static str, SecurityGroupSpec)>> {
        let plain = Self::plain(stand, ground, 0);
        let https = SecurityRule { cidrs: vec![net("10.0.0.0/8")?, net("2001:db8::/32")?], description: "web".into(), ..rule(Protocol::TCP, Some((443, 8443)))? };
        let members = SecurityRule { cidrs: Vec::new(), same_group: true, ..members_of(&ground.1)? };
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
        let open = SecurityGroupSpec { allow_load_balancer_rules: true, ..everything.clone() };
        Ok([("everything", everything)].into_iter().chain(stand.honours::<Self>("allow_load_balancer_rules").then_some(("open to load balancers", open))).collect())
    }
    fn changes(stand: &Stand<'_>, _: &Self::Ground, now: &SecurityGroupSpec) -> Vec<(&'static str, SecurityGroupSpec)> {
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
        if stand.changes::<Self>("allow_load_balancer_rules") {
            out.push(("allow_load_balancer_rules", SecurityGroupSpec { allow_load_balancer_rules: !now.allow_load_balancer_rules, ..now.clone() }));
        }
        out
    }
    fn goes_back(_: &str) -> bool {
        true
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
        let rule = members_of(&elsewhere(stand).await?)?;
        Ok(vec![Wrong::new("a group of another network", SecurityGroupSpec { rules: vec![rule], ..plain.clone() }, "rules")])
    }
    async fn refused_changes(stand: &Stand<'_>, ground: &Self::Ground) -> Verdict<Option<Unchangeable<Self>>> {
        if !stand.changes::<Self>("rules") {
            return Ok(None);
        }
        let made = stand.create::<Self>(Self::plain(stand, ground, 0)).await?;
        let wrong = SecurityGroupSpec { rules: vec![members_of(&elsewhere(stand).await?)?], ..made.spec.clone() };
        Ok(Some((made, vec![Wrong::new("a group of another network", wrong, "rules")])))
    }
    async fn let_go(_: &Stand<'_>, _: &Object<Self>) -> Verdict {
        Ok(())
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
        let (network, used) = Self::ground(stand, Depth::Plain).await?;
        stand.create::<Self>(SecurityGroupSpec { rules: vec![members_of(&used)?], ..group_in(&network) }).await?;
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
    fn questions() -> Vec<(NoAction, Plausible<Self>)> {
        Vec::new()
    }
    fn labels(spec: &mut SecurityGroupSpec) -> Option<&mut BTreeMap<String, String>> {
        Some(&mut spec.labels)
    }
}
pub(super) fn group_in(network: &Object<Network>) -> SecurityGroupSpec {
    SecurityGroupSpec { network: Some(to(network)), ..SecurityGroupSpec::default() }
}
/// A group of another network than all others of the trial.
pub(super) async fn elsewhere(stand: &Stand<'_>) -> Verdict<Object<SecurityGroup>> {
    let network = stand.create(NetworkSpec { cidrs: vec![net("10.30.0.0/16")?], ..NetworkSpec::default() }).await?;
    stand.create(group_in(&network)).await
}
/// Lets in what the members of a group send, beside the range that every rule here has.
fn members_of(group: &Object<SecurityGroup>) -> Verdict<SecurityRule> {
    Ok(SecurityRule { groups: vec![to(group)], ..rule(Protocol::TCP, None)? })
}
fn rule(protocol: Protocol, ports: Option<(u16, u16)>) -> Verdict<SecurityRule> {
    let (from_port, to_port) = ports.unzip();
    Ok(SecurityRule { direction: Direction::Ingress, protocol: Some(protocol), from_port, to_port, cidrs: vec![net("192.0.2.0/24")?], ..SecurityRule::default() })
}
