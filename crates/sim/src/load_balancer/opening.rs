//! The security groups that let a load balancer's connections through: its own, which lets in whom it is for, and those of its backends, which let in
//! its own. In those of its backends it touches only rules with its own mark, and only where the group says that it may.

use super::{Ours, PART};
use crate::{
    Sim, error, mark,
    resource::{all_pages, rows},
    security_group::allows_load_balancer_rules,
    vendor::{self, Action, Code, Filter, GroupPeer, GroupRule, Shown, Tags},
};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use welkin_core::{Backend, Change, Cx, Error, ErrorKind, LoadBalancer, LoadBalancerSpec, Protocol, Reason, Result, Retry};

type Group = Shown<vendor::SecurityGroup>;

/// What a rule lets in.
type Opening = (Protocol, u16);

/// For whom there are no ranges, there are these.
const EVERYBODY: [IpNet; 2] =
    [IpNet::V4(ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED, 0)), IpNet::V6(ipnet::Ipv6Net::new_assert(std::net::Ipv6Addr::UNSPECIFIED, 0))];

fn rule((protocol, port): Opening, peer: GroupPeer, description: &str, tags: Tags) -> GroupRule {
    GroupRule { id: String::new(), is_egress: false, protocol: protocol.to_string(), ports: Some((port, port)), peer, description: description.to_owned(), tags }
}
/// The rules of its own group.
pub(super) fn own_rules(spec: &LoadBalancerSpec, tags: &Tags) -> Vec<GroupRule> {
    let (ranges, description) = if spec.source_ranges.is_empty() { (&EVERYBODY[..], "everybody") } else { (&*spec.source_ranges, "") };
    let taken: BTreeSet<Opening> = spec.listeners.iter().filter_map(|l| Some((l.protocol.transport()?, l.port?))).collect();
    taken.iter().flat_map(|opening| ranges.iter().map(|net| rule(*opening, GroupPeer::Cidr(*net), description, tags.clone()))).collect()
}
/// What is missing of these rules, and the ids of those that are not among them.
fn difference(there: &[GroupRule], wanted: Vec<GroupRule>) -> (Vec<GroupRule>, Vec<String>) {
    let is = |a: &GroupRule, b: &GroupRule| a.lets_through_what(b) && a.description == b.description;
    let surplus = there.iter().filter(|r| !wanted.iter().any(|w| is(w, r))).map(|r| r.id.clone()).collect();
    (wanted.into_iter().filter(|w| !there.iter().any(|r| is(w, r))).collect(), surplus)
}

/// The backends that are in security groups, by their ids, with the field of each.
fn secured(backends: &[Backend]) -> Result<Vec<(String, &'static str)>> {
    let of = |b: &Backend| Ok((b.vendor_id()?, if b.instance.is_some() { "instance" } else { "instance_group" }));
    backends.iter().filter(|b| b.address.is_none()).map(of).collect()
}

impl Sim {
    /// Its own group with these rules too; what is not among them goes where `closes`. The vendor takes no two rules for the same traffic, so one that is only
    /// described otherwise is there already until then, and is replaced by the next step.
    pub(super) async fn own_group_ruled(&self, cx: &Cx, region: &str, ours: &Ours<'_>, wanted: Vec<GroupRule>, closes: bool) -> Result<()> {
        let group = ours.group;
        let call = self.cloud.security_group(region, group);
        let row = self.call(cx, Action::DescribeSecurityGroups, region, call).await?.ok_or_else(|| self.not_shown(group))?;
        let is_ours = |r: &&GroupRule| r.tags.get(mark::UID).is_some_and(|uid| uid == ours.uid);
        let there: Vec<GroupRule> = row.body().rules.iter().filter(is_ours).cloned().collect();
        let (missing, surplus) = difference(&there, wanted);
        let (after, before): (Vec<_>, Vec<_>) = missing.into_iter().partition(|rule| there.iter().any(|old| old.lets_through_what(rule)));
        if !before.is_empty() {
            self.call(cx, Action::AuthorizeRules, region, self.cloud.authorize_rules(region, group, before, None)).await?;
        }
        if closes && !surplus.is_empty() {
            self.call(cx, Action::RevokeRules, region, self.cloud.revoke_rules(region, group, &surplus, None)).await?;
        }
        if closes && !after.is_empty() {
            self.call(cx, Action::AuthorizeRules, region, self.cloud.authorize_rules(region, group, after, None)).await?;
        }
        Ok(())
    }
    fn not_shown(&self, what: &str) -> Error {
        Error::new(ErrorKind::Unavailable, Reason::NotYetVisible, format!("the cloud does not show {what} yet")).with_retry(Retry::After(self.pause()))
    }

    /// The security groups that each of the backends is in, as far as it is seen, and these groups.
    async fn secured(&self, cx: &Cx, region: &str, backends: &[(String, &str)]) -> Result<(BTreeMap<String, Vec<String>>, Vec<Group>)> {
        let mut members = BTreeMap::new();
        for (id, _) in backends.iter().filter(|(id, _)| vendor::is_group(id)) {
            let row = self.call(cx, Action::DescribeInstanceGroups, region, self.cloud.instance_group(region, id)).await?;
            members.extend(row.map(|(row, around)| (row.id().to_owned(), around.launch.map(|launch| launch.groups).unwrap_or_default())));
        }
        let instances: Vec<&str> = backends.iter().map(|(id, _)| id.as_str()).filter(|id| !vendor::is_group(id)).collect();
        if !instances.is_empty() {
            let found = all_pages(async |after| {
                let call = self.cloud.instances(region, Filter { tags: &[], ids: &instances }, after.as_deref(), usize::MAX);
                self.call(cx, Action::DescribeInstances, region, call).await
            });
            members.extend(found.await?.into_iter().map(|(row, _)| (row.id().to_owned(), row.body().groups.clone())));
        }
        let groups: BTreeSet<&str> = members.values().flatten().map(String::as_str).collect();
        let groups = self.groups(cx, region, &groups.into_iter().collect::<Vec<_>>()).await?;
        Ok((members, groups))
    }
    /// The security groups of these backends that the load balancer may open: of each instance in any at least one, and of what an instance group makes.
    /// `field`: what names the backends.
    pub(super) async fn doors(&self, cx: &Cx, region: &str, network: &str, (field, backends): (&str, &[Backend])) -> Result<Vec<Group>> {
        let ids = secured(backends)?;
        let (members, groups) = self.secured(cx, region, &ids).await?;
        if let Some((id, _)) = ids.iter().find(|(id, _)| !members.contains_key(id)) {
            return Err(self.not_shown(id));
        }
        if let Some(group) = groups.iter().find(|g| g.body().network != network) {
            return Err(Error::invalid(field, format!("{} is of {}, and not of {network}", group.id(), group.body().network)));
        }
        let has = |id: &String, is: &dyn Fn(&Tags) -> bool| groups.iter().any(|g| g.id() == id && g.tags().is_some_and(is));
        let is_ours = |tags: &Tags| mark::mark(cx, tags).is_some();
        let is_open = |tags: &Tags| is_ours(tags) && allows_load_balancer_rules(tags);
        for (i, (id, word)) in ids.iter().enumerate() {
            let own = members.get(id).map_or(&[][..], Vec::as_slice);
            if own.is_empty() || own.iter().any(|g| has(g, &is_open)) {
                continue;
            }
            let (reason, why) = match own.iter().any(|g| has(g, &is_ours)) {
                true => (Reason::WrongState, format!("none of the security groups of {id} has allow_load_balancer_rules")),
                false => (Reason::NotOwned, format!("the security groups of {id} are not Welkin's: nothing is written into them")),
            };
            return Err(Error::new(ErrorKind::FailedPrecondition, reason, why).with_field(format!("{field}[{i}].{word}")));
        }
        Ok(groups.into_iter().filter(|g| g.tags().is_some_and(is_open)).collect())
    }
    /// The groups that these backends are in, whatever may be written into them. None where not all of the backends are seen.
    pub(super) async fn still_led(&self, cx: &Cx, region: &str, backends: &[Backend], may_be_gone: bool) -> Result<Option<Vec<Group>>> {
        let ids = secured(backends)?;
        let (members, groups) = self.secured(cx, region, &ids).await?;
        Ok((may_be_gone || ids.iter().all(|(id, _)| members.contains_key(id))).then_some(groups))
    }
    async fn groups(&self, cx: &Cx, region: &str, ids: &[&str]) -> Result<Vec<Group>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let all = all_pages(async |after| {
            let call = self.cloud.security_groups(region, Filter { tags: &[], ids }, after.as_deref(), usize::MAX);
            self.call(cx, Action::DescribeSecurityGroups, region, call).await.map(rows)
        });
        let all = all.await?;
        match all.iter().find(|g| self.is_young(*g)) {
            Some(young) => Err(self.not_shown(&format!("the tags of {}", young.id()))),
            None => Ok(all),
        }
    }
    /// Lets in through these doors what the specification leads there.
    pub(super) async fn opened(&self, cx: &Cx, change: &Change<LoadBalancer>, group: &str, doors: &[Group], spec: &LoadBalancerSpec) -> Result<()> {
        let region = change.target.parent().id.as_str();
        for door in doors {
            let tags = mark::fragment_tags(cx, change)?;
            let wanted = spec.openings().into_iter().map(|o| rule(o, GroupPeer::Group(group.to_owned()), "", tags.clone())).collect();
            let (missing, _) = difference(&door.body().rules, wanted);
            if !missing.is_empty() {
                self.call(cx, Action::AuthorizeRules, region, self.cloud.authorize_rules(region, door.id(), missing, None)).await?;
            }
        }
        Ok(())
    }
    /// Takes its own rules away wherever they let in more than the specification leads through these doors.
    pub(super) async fn closed(&self, cx: &Cx, region: &str, ours: &Ours<'_>, doors: &[Group], spec: &LoadBalancerSpec) -> Result<()> {
        for (id, rules) in self.openings(cx, region, ours).await? {
            let kept = if doors.iter().any(|door| door.id() == id) { spec.openings() } else { BTreeSet::new() };
            let peer = || GroupPeer::Group(ours.group.to_owned());
            let (_, surplus) = difference(&rules, kept.into_iter().map(|o| rule(o, peer(), "", Tags::new())).collect());
            self.revoked(cx, region, &id, &surplus).await?;
        }
        Ok(())
    }
    /// Takes all of its rules away.
    pub(super) async fn shut(&self, cx: &Cx, region: &str, group: &str) -> Result<()> {
        let row = self.call(cx, Action::DescribeSecurityGroups, region, self.cloud.security_group(region, group)).await?;
        let Some(uid) = row.as_ref().and_then(|row| row.tags()).filter(|tags| tags.contains_key(PART)).and_then(|tags| tags.get(mark::UID)) else { return Ok(()) };
        for (id, rules) in self.openings(cx, region, &Ours { group, uid }).await? {
            let ids: Vec<String> = rules.into_iter().map(|r| r.id).collect();
            self.revoked(cx, region, &id, &ids).await?;
        }
        Ok(())
    }
    async fn revoked(&self, cx: &Cx, region: &str, group: &str, rules: &[String]) -> Result<()> {
        if rules.is_empty() {
            return Ok(());
        }
        let revoked = self.call(cx, Action::RevokeRules, region, self.cloud.revoke_rules(region, group, rules, None)).await;
        revoked.map(drop).or_else(|e| if error::is(&e, Code::SecurityGroupNotFound) { Ok(()) } else { Err(e) })
    }
    /// Its own rules in other groups, by the group.
    async fn openings(&self, cx: &Cx, region: &str, ours: &Ours<'_>) -> Result<Vec<(String, Vec<GroupRule>)>> {
        let is_ours = |r: &&GroupRule| {
            let has = |key: &str, value: &str| r.tags.get(key).is_some_and(|v| v == value);
            matches!(&r.peer, GroupPeer::Group(id) if id == ours.group) && has(mark::UID, ours.uid) && has(mark::OWNER, cx.owner.as_str())
        };
        let all = all_pages(async |after| {
            let call = self.cloud.groups_open_to(region, ours.group, after.as_deref(), usize::MAX);
            self.call(cx, Action::DescribeSecurityGroups, region, call).await.map(rows)
        });
        let all = all.await?;
        let others = all.iter().filter(|g| g.id() != ours.group);
        Ok(others.map(|g| (g.id().to_owned(), g.body().rules.iter().filter(is_ours).cloned().collect())).collect())
    }
}
