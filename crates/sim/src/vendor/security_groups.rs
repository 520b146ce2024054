use super::{
    cloud::{Action, Cloud, Draw, changed},
    item::{GroupPeer, GroupRule, Item, SecurityGroup, Shown, Tags},
    networks::{expect_version, network_of},
    quotas,
    refusal::{Code, Refusal},
    state::{Edit, Region},
    table::{Filter, Listed},
};
use std::sync::Arc;

/// What a new group should be. It has no rules at first.
#[derive(Debug, Clone)]
pub(crate) struct NewSecurityGroup {
    pub(crate) network: String,
    pub(crate) description: String,
    pub(crate) restrict_egress: bool,
    pub(crate) tags: Tags,
}

fn group_of<'a>(region: &'a Region, id: &str) -> Result<&'a Arc<Item<SecurityGroup>>, Refusal> {
    region.security_groups.get(id).ok_or_else(|| Refusal::new(Code::SecurityGroupNotFound, format!("there is no security group {id:?}")))
}
/// An item with the edit that keeps it.
fn put(item: Item<SecurityGroup>, now_ms: u64) -> (Shown<SecurityGroup>, Vec<Edit>) {
    (Shown::written(Arc::new(item.clone()), now_ms), vec![Edit::PutSecurityGroup(Box::new(item))])
}

impl Cloud {
    pub(crate) async fn create_security_group(&self, region: &str, new: NewSecurityGroup) -> Result<Shown<SecurityGroup>, Refusal> {
        self.write(Action::CreateSecurityGroup, region, |r, draw| created(r, draw, new)).await
    }
    pub(crate) async fn dry_create_security_group(&self, region: &str, new: NewSecurityGroup, rules: Vec<GroupRule>) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| {
            let network = new.network.clone();
            rules.iter().try_for_each(|rule| fits(r, &network, rule))?;
            created(r, draw, new)
        })
        .await
    }
    pub(crate) fn plant_security_group(&self, region: &str, new: NewSecurityGroup) -> Result<String, Refusal> {
        self.plant(region, |r, draw| {
            let (_, mut edits) = created(r, draw, new)?;
            let Some(Edit::PutSecurityGroup(item)) = edits.first_mut() else { return Ok((String::new(), edits)) };
            (item.visible_ms, item.tagged_ms) = (draw.now_ms, draw.now_ms);
            Ok((item.id.clone(), edits))
        })
    }
    /// A rule of somebody else's in a group, whoever's that is.
    pub(crate) fn plant_rule(&self, region: &str, group: &str, rule: GroupRule) -> Result<(), Refusal> {
        self.plant(region, |r, draw| authorized(r, draw, group, vec![rule], None).map(|(_, edits)| ((), edits)))
    }
    pub(crate) async fn security_group(&self, region: &str, id: &str) -> Result<Option<Shown<SecurityGroup>>, Refusal> {
        self.read(Action::DescribeSecurityGroups, region, |r, now| Ok(r.security_groups.show(id, now))).await
    }
    pub(crate) async fn security_groups(&self, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Result<Listed<SecurityGroup>, Refusal> {
        let size = size.min(self.config().page_size);
        self.read(Action::DescribeSecurityGroups, region, |r, now| r.security_groups.list(&filter, after, size, now, |_| true)).await
    }
    /// Those with a rule whose peer is this group.
    pub(crate) async fn groups_open_to(&self, region: &str, group: &str, after: Option<&str>, size: usize) -> Result<Listed<SecurityGroup>, Refusal> {
        let size = size.min(self.config().page_size);
        self.read(Action::DescribeSecurityGroups, region, |r, now| r.security_groups.list(&Filter::default(), after, size, now, |g| speaks_of(&g.body, group))).await
    }
    pub(crate) async fn modify_security_group(&self, region: &str, id: &str, restrict_egress: bool, expect: Option<u64>) -> Result<Shown<SecurityGroup>, Refusal> {
        self.write(Action::ModifySecurityGroup, region, |r, draw| {
            let item = group_of(r, id)?;
            expect_version(item, expect)?;
            Ok(put(changed(item, SecurityGroup { restrict_egress, ..item.body.clone() }), draw.now_ms))
        })
        .await
    }
    /// All of them or none.
    pub(crate) async fn authorize_rules(&self, region: &str, id: &str, rules: Vec<GroupRule>, expect: Option<u64>) -> Result<Shown<SecurityGroup>, Refusal> {
        self.write(Action::AuthorizeRules, region, |r, draw| authorized(r, draw, id, rules, expect)).await
    }
    /// All of them or none; those that are not there are fine.
    pub(crate) async fn revoke_rules(&self, region: &str, id: &str, rules: &[String], expect: Option<u64>) -> Result<Shown<SecurityGroup>, Refusal> {
        self.write(Action::RevokeRules, region, |r, draw| {
            let item = group_of(r, id)?;
            expect_version(item, expect)?;
            let mut body = item.body.clone();
            body.rules.retain(|rule| !rules.contains(&rule.id));
            Ok(put(changed(item, body), draw.now_ms))
        })
        .await
    }
    pub(crate) async fn tag_security_group(&self, region: &str, id: &str, tags: Tags, expect: Option<u64>) -> Result<Shown<SecurityGroup>, Refusal> {
        self.write(Action::TagSecurityGroup, region, |r, draw| {
            let item = group_of(r, id)?;
            expect_version(item, expect)?;
            Ok(put(Item { tags, ..changed(item, item.body.clone()) }, draw.now_ms))
        })
        .await
    }
    /// Refused while a rule of another group speaks of it or an instance is in it.
    pub(crate) async fn delete_security_group(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.write(Action::DeleteSecurityGroup, region, |r, draw| deleted(r, id, draw.now_ms)).await
    }
    pub(crate) async fn dry_delete_security_group(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| deleted(r, id, draw.now_ms)).await
    }
}

fn created(region: &Region, draw: &mut Draw<'_>, new: NewSecurityGroup) -> Result<(Shown<SecurityGroup>, Vec<Edit>), Refusal> {
    network_of(region, &new.network)?;
    draw.has_room(region, &quotas::SECURITY_GROUPS)?;
    let body = SecurityGroup { network: new.network, description: new.description, restrict_egress: new.restrict_egress, rules: Vec::new() };
    Ok(put(draw.item(new.tags, body), draw.now_ms))
}
fn authorized(region: &Region, draw: &mut Draw<'_>, id: &str, rules: Vec<GroupRule>, expect: Option<u64>) -> Result<(Shown<SecurityGroup>, Vec<Edit>), Refusal> {
    let item = group_of(region, id)?;
    expect_version(item, expect)?;
    let mut body = item.body.clone();
    for rule in rules {
        fits(region, &body.network, &rule)?;
        if body.rules.iter().any(|other| other.lets_through_what(&rule)) {
            return Err(Refusal::new(Code::DuplicateRule, format!("{id} has a rule for {:?} already", rule.peer)));
        }
        body.rules.push(GroupRule { id: draw.id("rule-"), ..rule });
    }
    Ok(put(changed(item, body), draw.now_ms))
}
/// A peer is a group of the same network.
fn fits(region: &Region, network: &str, rule: &GroupRule) -> Result<(), Refusal> {
    let GroupPeer::Group(peer) = &rule.peer else { return Ok(()) };
    let peer = region.security_groups.get(peer).ok_or_else(|| Refusal::new(Code::PeerNotFound, format!("there is no security group {peer:?}")))?;
    if peer.body.network == network {
        return Ok(());
    }
    Err(Refusal::new(Code::PeerOfAnotherNetwork, format!("{} is in {}, not in {network}", peer.id, peer.body.network)))
}
pub(super) fn speaks_of(group: &SecurityGroup, peer: &str) -> bool {
    group.rules.iter().any(|rule| matches!(&rule.peer, GroupPeer::Group(id) if id == peer))
}
pub(super) fn deleted(region: &Region, id: &str, now_ms: u64) -> Result<((), Vec<Edit>), Refusal> {
    group_of(region, id)?;
    let speaks = |g: &&Arc<Item<SecurityGroup>>| g.id != id && speaks_of(&g.body, id);
    let users: Vec<&str> = region.security_groups.iter().filter(speaks).map(|g| g.id.as_str()).take(4).collect();
    let members: Vec<&str> = region.instances.iter().filter(|i| i.body.groups.iter().any(|g| g == id) && !i.body.is_gone(now_ms)).map(|i| i.id.as_str()).take(4).collect();
    if !members.is_empty() {
        return Err(Refusal::new(Code::DependencyViolation, format!("instances are in {id}: {}", members.join(", "))));
    }
    if let Some(balancer) = region.load_balancers.iter().find(|b| b.body.group.as_deref() == Some(id) && !b.body.is_gone(now_ms)) {
        return Err(Refusal::new(Code::DependencyViolation, format!("the load balancer {} is in {id}", balancer.id)));
    }
    if users.is_empty() {
        return Ok(((), vec![Edit::RemoveSecurityGroup(id.to_owned())]));
    }
    Err(Refusal::new(Code::DependencyViolation, format!("rules speak of {id}: of {}", users.join(", "))))
}
