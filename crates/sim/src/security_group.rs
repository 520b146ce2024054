//! Security groups: one object of the vendor, and its rules, each with a mark of its own so that others' are told apart.

use crate::{
    Sim, mark,
    resource::{Begun, Found, Fragment, Kept, Rows, expected, is_adopted, or_gone, rows},
    vendor::{self, Action, Answer, Cloud, Code, Filter, GroupPeer, GroupRule, NewSecurityGroup, Shown, Tags},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};
use welkin_core::{
    Change, Cx, Direction, Driver, Error, FieldPath, Kind, LocationName, Name, Network, NoAction, Object, Peer, PeerRule, Ref, ResourceId, Result, Resume, SecurityGroup,
    SecurityGroupSpec, SecurityGroupState, SecurityGroupStatus, SecurityRule, Step, Target, Verb,
};

type Row = Shown<vendor::SecurityGroup>;

/// What a create has made so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    group: String,
}

#[async_trait]
impl Kept for SecurityGroup {
    type Row = Row;
    const READ: Action = Action::DescribeSecurityGroups;
    const REMOVE: Action = Action::DeleteSecurityGroup;
    const UNKNOWN: Code = Code::SecurityGroupNotFound;

    async fn one(cloud: &Cloud, region: &str, id: &str) -> Answer<Option<Row>> {
        cloud.security_group(region, id).await
    }
    async fn many(cloud: &Cloud, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Answer<Rows<Row>> {
        cloud.security_groups(region, filter, after, size).await.map(rows)
    }
    async fn remove(cloud: &Cloud, region: &str, id: &str) -> Answer<()> {
        cloud.delete_security_group(region, id).await
    }
    async fn free(_: &Sim, _: &Cx, _: &str, _: &Self::Row) -> Result<()> {
        Ok(())
    }
    fn is_leaving(_: &Row) -> bool {
        false
    }
    async fn shows_parts(_: &Sim, _: &Cx, _: &str, _: &Row) -> Result<bool> {
        Ok(true)
    }
    async fn fragments(_: &Sim, _: &Cx, _: &str, _: &[(&str, &str)]) -> Result<Vec<Fragment>> {
        Ok(Vec::new())
    }
    async fn remove_fragment(_: &Sim, _: &Cx, _: &str, _: &str) -> Result<()> {
        Ok(())
    }
    fn incomplete() -> SecurityGroupStatus {
        SecurityGroupStatus { state: SecurityGroupState::Incomplete, ..SecurityGroupStatus::default() }
    }
    fn told(location: &LocationName, row: &Row, tags: &Tags) -> Result<(SecurityGroupSpec, SecurityGroupStatus)> {
        let body = row.body();
        let network = match tags.get(mark::NETWORK).and_then(|id| id.parse::<ResourceId>().ok()) {
            Some(id) => id,
            None => Network::foreign_id(&body.network)?,
        };
        let (ours, others): (Vec<_>, Vec<_>) = body.rules.iter().partition(|rule| is_ours(rule, tags));
        let spec = SecurityGroupSpec {
            network: Some(Ref::resolved(Name::new(location.clone(), network), body.network.parse()?)),
            description: Some(body.description.clone()).filter(|d| !d.is_empty()),
            restrict_egress: body.restrict_egress,
            rules: PeerRule::gathered(ours.into_iter().map(|rule| peer_rule(location, row.id(), rule)).collect::<Result<Vec<_>>>()?),
            labels: mark::labels(tags),
            provider_config: None,
            allow_load_balancer_rules: allows_load_balancer_rules(tags),
        };
        let other_rules = others.into_iter().map(in_words).collect();
        Ok((spec, SecurityGroupStatus { state: SecurityGroupState::Available, other_rules }))
    }
    fn place(location: &LocationName, _: &Row) -> String {
        location.id.to_string()
    }
}

const ALLOWS: &str = "allow_load_balancer_rules";
/// May load balancers put rules of their own into a group with these tags? One without a mark, of which nobody has said so, they may not.
pub(crate) fn allows_load_balancer_rules(tags: &Tags) -> bool {
    tags.contains_key(mark::UID) && mark::is_asked(tags, ALLOWS)
}
fn asked(allows: bool) -> &'static [&'static str] {
    if allows { &[ALLOWS] } else { &[] }
}
/// In a group of ours every rule with its uid; in one without a mark those without.
fn is_ours(rule: &GroupRule, group: &Tags) -> bool {
    group.get(mark::UID).map_or_else(|| !rule.tags.contains_key(mark::OWNER), |uid| rule.tags.get(mark::UID) == Some(uid))
}
fn in_words(rule: &GroupRule) -> String {
    let (way, peer) = match (&rule.peer, rule.is_egress) {
        (GroupPeer::Cidr(net), true) => ("to", net.to_string()),
        (GroupPeer::Cidr(net), false) => ("from", net.to_string()),
        (GroupPeer::Group(id), true) => ("to", id.clone()),
        (GroupPeer::Group(id), false) => ("from", id.clone()),
    };
    let ports = rule.ports.map(|(from, to)| format!(" {from}-{to}")).unwrap_or_default();
    format!("{}: {}{ports} {way} {peer}", rule.id, rule.protocol)
}
fn peer_rule(location: &LocationName, group: &str, rule: &GroupRule) -> Result<PeerRule> {
    let peer = match &rule.peer {
        GroupPeer::Cidr(net) => Peer::Cidr(*net),
        GroupPeer::Group(id) if id == group => Peer::SameGroup,
        GroupPeer::Group(id) => {
            let named = rule.tags.get(mark::GROUP).and_then(|id| id.parse().ok());
            let name = match named {
                Some(id) => id,
                None => SecurityGroup::foreign_id(id)?,
            };
            Peer::Group(Ref::resolved(Name::new(location.clone(), name), id.parse()?))
        }
    };
    let bare = SecurityRule {
        direction: if rule.is_egress { Direction::Egress } else { Direction::Ingress },
        protocol: Some(rule.protocol.parse()?),
        from_port: rule.ports.map(|p| p.0),
        to_port: rule.ports.map(|p| p.1),
        description: rule.description.clone(),
        ..SecurityRule::default()
    };
    Ok(PeerRule { rule: bare, peer })
}
/// The rule as the vendor takes it; `group` is where it goes.
fn vendor_rule(cx: &Cx, change: &Change<SecurityGroup>, group: &str, PeerRule { rule, peer }: &PeerRule) -> Result<GroupRule> {
    let is_marked = !is_adopted(&change.target);
    let mut tags = if is_marked { mark::fragment_tags(cx, change)? } else { Tags::new() };
    let peer = match peer {
        Peer::Cidr(net) => GroupPeer::Cidr(*net),
        Peer::SameGroup => GroupPeer::Group(group.to_owned()),
        Peer::Group(r) if !is_marked => GroupPeer::Group(r.vendor_id()?.to_string()),
        Peer::Group(r) => {
            tags.insert(mark::GROUP.to_owned(), r.name.id.to_string());
            GroupPeer::Group(r.vendor_id()?.to_string())
        }
    };
    Ok(GroupRule {
        id: String::new(),
        is_egress: rule.direction == Direction::Egress,
        protocol: rule.protocol.map(|p| p.to_string()).unwrap_or_default(),
        ports: rule.from_port.zip(rule.to_port),
        peer,
        description: rule.description.clone(),
        tags,
    })
}

fn wanted(cx: &Cx, change: &Change<SecurityGroup>, spec: &SecurityGroupSpec) -> Result<NewSecurityGroup> {
    let network = spec.network.as_ref().ok_or_else(|| Error::invalid("network", "a security group needs the network that it is for"))?;
    let asked = mark::asked(asked(spec.allow_load_balancer_rules));
    let tags = mark::main_tags(cx, change, &spec.labels, &[(mark::NETWORK, network.name.id.to_string()), asked])?;
    Ok(NewSecurityGroup { network: network.vendor_id()?.to_string(), description: spec.description.clone().unwrap_or_default(), restrict_egress: spec.restrict_egress, tags })
}

impl Sim {
    /// Brings the rules of ours in a group to what is asked for, and touches no other and none that is so already. New ones come first, so that what
    /// both the old and the new ones let through is never cut; the vendor takes no two for the same traffic, so one with another description comes
    /// after the old one went. None where nothing was to be done.
    async fn ruled(&self, cx: &Cx, change: &Change<SecurityGroup>, rules: &[SecurityRule], row: &Row, expect: &mut Option<u64>) -> Result<Option<Row>> {
        let location = change.target.parent();
        let (region, id) = (location.id.as_str(), row.id());
        let uid = change.uid.as_str();
        // In an adopted group, which has no marks, what carries nobody's.
        let is_ours = |r: &&GroupRule| if is_adopted(&change.target) { !r.tags.contains_key(mark::OWNER) } else { r.tags.get(mark::UID).is_some_and(|u| u == uid) };
        let ours: Vec<&GroupRule> = row.body().rules.iter().filter(is_ours).collect();
        let there = ours.iter().map(|rule| peer_rule(location, id, rule)).collect::<Result<Vec<_>>>()?;
        let asked: Vec<PeerRule> = PeerRule::each(rules).collect();
        let (missing, surplus) = PeerRule::difference(&asked, &there);
        let missing = missing.iter().filter_map(|i| asked.get(*i)).map(|rule| vendor_rule(cx, change, id, rule)).collect::<Result<Vec<_>>>()?;
        let (after, before): (Vec<_>, Vec<_>) = missing.into_iter().partition(|rule| ours.iter().any(|old| old.lets_through_what(rule)));
        let mut now = None;
        if !before.is_empty() {
            let call = self.cloud.authorize_rules(region, id, before, expect.take());
            now = Some(or_gone(&change.target, self.call(cx, Action::AuthorizeRules, region, call).await)?);
        }
        if !surplus.is_empty() {
            let ids: Vec<String> = surplus.iter().filter_map(|i| ours.get(*i)).map(|r| r.id.clone()).collect();
            let call = self.cloud.revoke_rules(region, id, &ids, expect.take());
            now = Some(or_gone(&change.target, self.call(cx, Action::RevokeRules, region, call).await)?);
        }
        if !after.is_empty() {
            let call = self.cloud.authorize_rules(region, id, after, expect.take());
            now = Some(or_gone(&change.target, self.call(cx, Action::AuthorizeRules, region, call).await)?);
        }
        Ok(now)
    }
}

#[async_trait]
impl Driver<SecurityGroup> for Sim {
    async fn check(&self, cx: &Cx, change: &Change<SecurityGroup>) -> Result<()> {
        let region = change.target.parent().id.as_str();
        match &change.verb {
            Verb::Create { spec, .. } => {
                let rules = PeerRule::each(&spec.rules).filter(|r| r.peer != Peer::SameGroup).map(|r| vendor_rule(cx, change, "", &r)).collect::<Result<_>>()?;
                self.call(cx, Action::DryRun, region, self.cloud.dry_create_security_group(region, wanted(cx, change, spec)?, rules)).await
            }
            Verb::Update { desired, paths } => {
                SecurityGroup::refuse_unmarked(change, desired, paths)?;
                self.present(cx, change).await?.map(drop).ok_or_else(|| Error::not_found(&change.target))
            }
            Verb::Delete => match self.present(cx, change).await? {
                Some(row) => self.call(cx, Action::DryRun, region, self.cloud.dry_delete_security_group(region, row.id())).await,
                None => Ok(()),
            },
            Verb::Act(action) => match *action {},
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<SecurityGroup>, spec: &SecurityGroupSpec, resume: &Resume) -> Result<Step<Object<SecurityGroup>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let (made, resume) = resume.read::<Made>();
        let new = wanted(cx, change, spec)?;
        let tags = new.tags.clone();
        let found = match self.begun(cx, change, made.as_ref().map(|m| m.group.as_str()), false, &resume, "security group").await? {
            Begun::Here(row) => Some(row),
            Begun::Nothing => None,
            Begun::NotYet(why) => return Ok(Step::look_again(self.pause(), why)),
        };
        let Some(row) = found else {
            let row = self.call(cx, Action::CreateSecurityGroup, region, self.cloud.create_security_group(region, new)).await?;
            if spec.rules.is_empty() {
                return Ok(Step::Done(Self::object::<SecurityGroup>(cx, location, &row, Some(&tags))?));
            }
            return Step::wait(&Made { group: row.id().to_owned() }, Duration::ZERO, "made the security group");
        };
        let now = self.ruled(cx, change, &spec.rules, &row, &mut None).await?;
        Ok(Step::Done(Self::object::<SecurityGroup>(cx, location, &now.unwrap_or(row), Some(&tags))?))
    }

    async fn update(
        &self,
        cx: &Cx,
        change: &Change<SecurityGroup>,
        desired: &SecurityGroupSpec,
        paths: &BTreeSet<FieldPath>,
        resume: &Resume,
    ) -> Result<Step<Object<SecurityGroup>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let mut row = match self.located(cx, change, resume).await? {
            Found::Here(row) => row,
            Found::NotYet(looking) => return Step::wait(&looking, self.pause(), "waiting for the cloud to show the security group"),
            Found::Gone => return Err(Error::not_found(&change.target)),
        };
        SecurityGroup::refuse_unmarked(change, desired, paths)?;
        let mut expect = expected(change, resume);
        let has = |path: &str| paths.contains(&FieldPath::from(path));
        // Nothing is let through in between that neither the old rules nor the new ones let through.
        if has("restrict_egress") && desired.restrict_egress && !row.body().restrict_egress {
            row = self.ruled(cx, change, &desired.rules, &row, &mut expect).await?.unwrap_or(row);
        }
        if has("restrict_egress") && row.body().restrict_egress != desired.restrict_egress {
            let call = self.cloud.modify_security_group(region, row.id(), desired.restrict_egress, expect.take());
            row = or_gone(&change.target, self.call(cx, Action::ModifySecurityGroup, region, call).await)?;
        }
        if has("rules") {
            row = self.ruled(cx, change, &desired.rules, &row, &mut expect).await?.unwrap_or(row);
        }
        let now = row.tags().cloned().unwrap_or_default();
        let labels = if has("labels") { desired.labels.clone() } else { mark::labels(&now) };
        let allows = if has(ALLOWS) { desired.allow_load_balancer_rules } else { allows_load_balancer_rules(&now) };
        let tags = mark::retagged(&now, &labels, asked(allows));
        if (has("labels") || has(ALLOWS)) && now != tags {
            let call = self.cloud.tag_security_group(region, row.id(), tags, expect);
            row = or_gone(&change.target, self.call(cx, Action::TagSecurityGroup, region, call).await)?;
        }
        Ok(Step::Done(Self::object::<SecurityGroup>(cx, location, &row, None)?))
    }

    async fn delete(&self, cx: &Cx, change: &Change<SecurityGroup>, resume: &Resume) -> Result<Step<()>> {
        self.erased(cx, change, resume).await
    }

    async fn act(&self, _: &Cx, _: &Change<SecurityGroup>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }

    async fn ask(&self, _: &Cx, _: &Target<SecurityGroup>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}
