//! Rules of a group, one for each peer.

use crate::{
    client::Region,
    error,
    mark::{self, Tags},
    resource::is_adopted,
};
use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroupRule, TagSpecification, UserIdGroupPair};
use std::collections::BTreeMap;
use welkin_core::{Change, Cx, Direction, Error, Name, Peer, PeerRule, Protocol, Ref, ResourceId, Result, SecurityGroup, SecurityGroupSpec, SecurityRule, Uid};

/// Every protocol.
const ALL: &str = "-1";
/// Every ICMP type; of a protocol without ports also what stands in their place.
const ANY_TYPE: i32 = -1;
const LAST_PORT: i32 = 65_535;
const ANYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// Is it what EC2 gives to a new group?
pub(super) fn lets_everything_out(rule: &SecurityGroupRule) -> bool {
    let peer = rule.cidr_ipv4().or(rule.cidr_ipv6());
    rule.is_egress() == Some(true) && rule.ip_protocol() == Some(ALL) && peer.is_some_and(|p| ANYWHERE.contains(&p)) && !is_marked(rule)
}
/// By any Welkin.
pub(super) fn is_marked(rule: &SecurityGroupRule) -> bool {
    Tags::of(rule.tags()).get(mark::OWNER).is_some()
}
pub(super) fn is_of(rule: &SecurityGroupRule, uid: &Uid) -> bool {
    Tags::of(rule.tags()).get(mark::UID) == Some(uid.as_str())
}
pub(super) fn in_words(rule: &SecurityGroupRule) -> String {
    let peer = rule.cidr_ipv4().or(rule.cidr_ipv6()).or(rule.prefix_list_id()).or_else(|| rule.referenced_group_info().and_then(|g| g.group_id())).unwrap_or("?");
    let ports = match (rule.from_port(), rule.to_port()) {
        (Some(from), Some(to)) if from != ANY_TYPE => format!(" {from}-{to}"),
        _ => String::new(),
    };
    let way = if rule.is_egress() == Some(true) { "to" } else { "from" };
    let protocol = rule.ip_protocol().map_or("?", |p| if p == ALL { "all" } else { p });
    format!("{}: {protocol}{ports} {way} {peer}", rule.security_group_rule_id().unwrap_or("?"))
}
/// None where our terms have no words for it: a prefix list, some types of ICMP, a group of another account.
pub(super) fn peer_rule(region: &Region, group: &str, rule: &SecurityGroupRule) -> Option<PeerRule> {
    let protocol = match rule.ip_protocol()? {
        ALL => Protocol::All,
        text => text.parse().ok()?,
    };
    let has_types = protocol == Protocol::ICMP || protocol == Protocol::ICMPV6;
    let ports = match (rule.from_port(), rule.to_port()) {
        // EC2 lets every port of other protocols through, whatever stands there.
        _ if !protocol.has_ports() && !has_types => None,
        (Some(from), Some(to)) if protocol.has_ports() => Some((from, to)).filter(|ports| *ports != (0, LAST_PORT)),
        (from, to) if !protocol.has_ports() && [from, to].into_iter().flatten().all(|n| n == ANY_TYPE) => None,
        _ => return None,
    };
    let ports = match ports {
        Some((from, to)) => Some((u16::try_from(from).ok()?, u16::try_from(to).ok()?)),
        None => None,
    };
    let peer = match (rule.cidr_ipv4().or(rule.cidr_ipv6()), rule.referenced_group_info()) {
        (Some(net), _) => Peer::Cidr(net.parse().ok()?),
        (None, Some(other)) if other.vpc_peering_connection_id().is_none() => {
            let id = other.group_id()?;
            let named = Tags::of(rule.tags()).get(mark::GROUP).and_then(|text| text.parse().ok());
            if id == group { Peer::SameGroup } else { Peer::Group(Ref::resolved(named.map_or_else(|| foreign(region, id), Some)?, id.parse().ok()?)) }
        }
        _ => return None,
    };
    let bare = SecurityRule {
        direction: if rule.is_egress()? { Direction::Egress } else { Direction::Ingress },
        protocol: Some(protocol),
        from_port: ports.map(|p| p.0),
        to_port: ports.map(|p| p.1),
        description: rule.description().unwrap_or_default().to_owned(),
        ..SecurityRule::default()
    };
    Some(PeerRule { rule: bare, peer })
}
fn foreign(region: &Region, id: &str) -> Option<Name<SecurityGroup>> {
    Some(Name::new(region.name.clone(), ResourceId::of_vendor(id).ok()?))
}
/// As EC2 takes it; `group` is where it goes.
fn permission(group: &str, PeerRule { rule, peer }: &PeerRule) -> Result<IpPermission> {
    let protocol = rule.protocol.unwrap_or(Protocol::All);
    let name = if protocol == Protocol::All { ALL.to_owned() } else { protocol.to_string() };
    let builder = IpPermission::builder().ip_protocol(name);
    let builder = match rule.from_port.zip(rule.to_port) {
        Some((from, to)) => builder.from_port(from.into()).to_port(to.into()),
        None if protocol.has_ports() => builder.from_port(0).to_port(LAST_PORT),
        None if protocol == Protocol::All => builder,
        None => builder.from_port(ANY_TYPE).to_port(ANY_TYPE),
    };
    let description = Some(rule.description.clone()).filter(|d| !d.is_empty());
    let pair = |id: &str| UserIdGroupPair::builder().group_id(id).set_description(description.clone()).build();
    Ok(match peer {
        Peer::Cidr(net) if net.addr().is_ipv4() => builder.ip_ranges(IpRange::builder().cidr_ip(net.to_string()).set_description(description).build()),
        Peer::Cidr(net) => builder.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(net.to_string()).set_description(description).build()),
        Peer::SameGroup => builder.user_id_group_pairs(pair(group)),
        Peer::Group(r) => builder.user_id_group_pairs(pair(r.vendor_id()?.as_str())),
    }
    .build())
}

/// What lets everything out, as rules of ours would be.
fn anywhere() -> Vec<PeerRule> {
    let rule = SecurityRule { direction: Direction::Egress, protocol: Some(Protocol::All), ..SecurityRule::default() };
    ANYWHERE.iter().filter_map(|net| net.parse().ok()).map(|net| PeerRule { rule: rule.clone(), peer: Peer::Cidr(net) }).collect()
}

/// The rules that a group has.
pub(super) struct Ruled<'a> {
    region: &'a Region,
    group: &'a str,
    /// Ours, with their ids.
    ours: Vec<(String, PeerRule)>,
    /// Ours, and changed by somebody into what our terms have no words for: nothing that was asked for.
    strange: Vec<(Direction, String)>,
    /// Without any tag: somebody else's, or ours and not shown as such yet.
    bare: Vec<PeerRule>,
    /// Marked by another Welkin.
    others: Vec<PeerRule>,
    /// Those that let everything out, by where to, with their ids.
    open: BTreeMap<&'static str, String>,
}
impl<'a> Ruled<'a> {
    pub(super) fn of(change: &Change<SecurityGroup>, region: &'a Region, group: &'a str, rules: &[SecurityGroupRule]) -> Self {
        // In an adopted group, which has no marks, what carries nobody's.
        let is_ours = |rule: &SecurityGroupRule| if is_adopted(&change.target) { !is_marked(rule) } else { is_of(rule, &change.uid) };
        let mut ruled = Self { region, group, ours: Vec::new(), strange: Vec::new(), bare: Vec::new(), others: Vec::new(), open: BTreeMap::new() };
        for rule in rules {
            let id = rule.security_group_rule_id().unwrap_or_default().to_owned();
            match peer_rule(region, group, rule) {
                _ if lets_everything_out(rule) => {
                    let peer = rule.cidr_ipv4().or(rule.cidr_ipv6());
                    ruled.open.extend(ANYWHERE.into_iter().find(|net| peer == Some(*net)).map(|net| (net, id)));
                }
                Some(peer) if is_ours(rule) => ruled.ours.push((id, peer)),
                None if !is_adopted(&change.target) && is_ours(rule) => {
                    ruled.strange.push((if rule.is_egress() == Some(true) { Direction::Egress } else { Direction::Ingress }, id));
                }
                Some(peer) if rule.tags().is_empty() => ruled.bare.push(peer),
                Some(peer) if is_marked(rule) => ruled.others.push(peer),
                _ => {}
            }
        }
        ruled
    }
    /// Is there one that may turn out to be ours and would have to go?
    pub(super) fn may_hide(&self, desired: &SecurityGroupSpec) -> bool {
        !PeerRule::difference(&self.asked(desired), &self.bare).1.is_empty()
    }
    /// Writes what is missing and removes what is ours and not wanted. What stays is not touched, nor is anybody else's. What lets more through comes
    /// first, so that what both the old and the new rules let through is never cut; only where a rule for the same traffic is there already (with another
    /// description, or the one that lets everything out), EC2 wants that gone before. Every write can be repeated.
    ///
    /// `egress`: is it asked whether everything goes out? What an update does not name stays.
    pub(super) async fn become_what(&self, desired: &SecurityGroupSpec, egress: bool, cx: &Cx, change: &Change<SecurityGroup>) -> Result<()> {
        let asked = self.asked(desired);
        let there: Vec<PeerRule> = self.ours.iter().map(|(_, r)| r.clone()).chain(self.bare.iter().cloned()).collect();
        let (missing, surplus) = PeerRule::difference(&asked, &there);
        let surplus: Vec<&(String, PeerRule)> = surplus.iter().filter_map(|i| self.ours.get(*i)).collect();
        let traffic = |r: &PeerRule| PeerRule { rule: SecurityRule { description: String::new(), ..r.rule.clone() }, peer: r.peer.clone() };
        let anywhere = anywhere();
        let mut gone: Vec<PeerRule> = surplus.iter().map(|(_, r)| traffic(r)).collect();
        let is_held = PeerRule::difference(&gone, &anywhere).0.len() < gone.len();
        let (must_close, must_open) = (egress && desired.restrict_egress, egress && !desired.restrict_egress && !self.open.contains_key(ANYWHERE[0]));
        if must_close {
            gone.extend(anywhere);
        }
        let (mut later, now): (Vec<PeerRule>, Vec<PeerRule>) =
            missing.iter().filter_map(|i| asked.get(*i).cloned()).partition(|r| PeerRule::difference(&[traffic(r)], &gone).0.is_empty());
        match self.authorize(&now, cx, change).await {
            // There is no room for the old and the new ones beside each other.
            Err(e) if error::is(&e, &["RulesPerSecurityGroupLimitExceeded"]) && !surplus.is_empty() => later.extend(now),
            authorized => authorized?,
        }
        if must_open && !is_held {
            self.open_egress(cx).await?;
        }
        for direction in [Direction::Ingress, Direction::Egress] {
            let ids: Vec<String> = surplus.iter().filter(|(_, r)| r.rule.direction == direction).map(|(id, _)| id.clone()).collect();
            let ids = ids.into_iter().chain(self.strange.iter().filter(|(d, _)| *d == direction).map(|(_, id)| id.clone())).collect();
            self.revoke(direction, ids, cx).await?;
        }
        if must_close {
            self.revoke(Direction::Egress, self.open.values().cloned().collect(), cx).await?;
            self.close_unseen(&asked, cx).await?;
        }
        self.authorize(&later, cx, change).await?;
        if must_open && is_held {
            self.open_egress(cx).await?;
        }
        Ok(())
    }
    /// The rules that are wanted, each traffic once: the group itself may be called by its name, and a peer by two.
    fn asked(&self, desired: &SecurityGroupSpec) -> Vec<PeerRule> {
        let mut asked: Vec<PeerRule> = Vec::new();
        for mut rule in PeerRule::each(&desired.rules) {
            if matches!(&rule.peer, Peer::Group(r) if r.vendor_id.as_ref().is_some_and(|id| id.as_str() == self.group)) {
                rule.peer = Peer::SameGroup;
            }
            if !PeerRule::difference(std::slice::from_ref(&rule), &asked).0.is_empty() {
                asked.push(rule);
            }
        }
        asked
    }
    /// EC2 may not show its own rules of a new group yet: they are named by what they let through. Not where ours or another's would go
    /// with them.
    async fn close_unseen(&self, asked: &[PeerRule], cx: &Cx) -> Result<()> {
        for rule in anywhere() {
            let is_among = |these: &[PeerRule]| PeerRule::difference(std::slice::from_ref(&rule), these).0.is_empty();
            if is_among(asked) || is_among(&self.others) || matches!(&rule.peer, Peer::Cidr(net) if self.open.contains_key(net.to_string().as_str())) {
                continue;
            }
            let call = self.region.ec2.revoke_security_group_egress().group_id(self.group).ip_permissions(permission(self.group, &rule)?);
            match self.region.ec2.write(cx, "RevokeSecurityGroupEgress", call.send()).await {
                Err(e) if !error::is(&e, &["InvalidPermission.NotFound"]) => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
    /// Those of one direction and with one peer's name share a call, because their tags are the same.
    async fn authorize(&self, rules: &[PeerRule], cx: &Cx, change: &Change<SecurityGroup>) -> Result<()> {
        let mut calls: BTreeMap<(Direction, String), Vec<IpPermission>> = BTreeMap::new();
        for rule in rules {
            let peer = if let Peer::Group(r) = &rule.peer { r.name.to_string() } else { String::new() };
            calls.entry((rule.rule.direction, peer)).or_default().push(permission(self.group, rule)?);
        }
        for ((direction, peer), permissions) in calls {
            let parts = welkin_core::Mark { digest: None, ..mark::of_change(cx, change) };
            let marked = |name: &Name<SecurityGroup>| Tags::ours(&parts, &name.id).with(mark::GROUP, &peer).on(ResourceType::SecurityGroupRule);
            let tags = if is_adopted(&change.target) { None } else { Some(marked(change.target.name()?)) };
            self.let_through(direction, permissions, tags, cx).await.map_err(|e| if e.violations().is_empty() { e.with_field("rules") } else { e })?;
        }
        Ok(())
    }
    /// As EC2 itself does for a new group: without tags.
    async fn open_egress(&self, cx: &Cx) -> Result<()> {
        let is_open = |rule: &PeerRule| matches!(&rule.peer, Peer::Cidr(net) if self.open.contains_key(net.to_string().as_str()));
        let permissions = anywhere().iter().filter(|rule| !is_open(rule)).map(|rule| permission(self.group, rule)).collect::<Result<_>>()?;
        self.let_through(Direction::Egress, permissions, None, cx).await
    }
    async fn let_through(&self, direction: Direction, permissions: Vec<IpPermission>, tags: Option<TagSpecification>, cx: &Cx) -> Result<()> {
        let (ec2, permissions, tags) = (&self.region.ec2, Some(permissions), tags.map(|t| vec![t]));
        match direction {
            Direction::Egress => {
                let call = ec2.authorize_security_group_egress().group_id(self.group).set_ip_permissions(permissions).set_tag_specifications(tags);
                self.region.ec2.write(cx, "AuthorizeSecurityGroupEgress", call.send()).await.map(drop)
            }
            Direction::Ingress => {
                let call = ec2.authorize_security_group_ingress().group_id(self.group).set_ip_permissions(permissions).set_tag_specifications(tags);
                self.region.ec2.write(cx, "AuthorizeSecurityGroupIngress", call.send()).await.map(drop)
            }
            Direction::Unspecified => Err(Error::internal("a rule without a direction")),
        }
    }
    async fn revoke(&self, direction: Direction, ids: Vec<String>, cx: &Cx) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let (ec2, ids) = (&self.region.ec2, Some(ids));
        if direction == Direction::Egress {
            let call = ec2.revoke_security_group_egress().group_id(self.group).set_security_group_rule_ids(ids);
            return self.region.ec2.write(cx, "RevokeSecurityGroupEgress", call.send()).await.map(drop);
        }
        let call = ec2.revoke_security_group_ingress().group_id(self.group).set_security_group_rule_ids(ids);
        self.region.ec2.write(cx, "RevokeSecurityGroupIngress", call.send()).await.map(drop)
    }
}
