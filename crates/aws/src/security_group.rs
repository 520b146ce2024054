//! Security groups are those of a VPC: one object under a name that holds our uid, and its rules, each with a mark of its own.
//!
//! Rules are read from <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroupRules.html>, which tells one for each peer,
//! with its id and its tags. EC2 itself lets everything out of a new group by rules without tags, of IPv6 too where the VPC has a range of it
//! (<https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html>): these stand for a group that does not restrict egress.

mod rule;

use crate::{
    Aws,
    client::Region,
    error,
    mark::{self, Asked, Tags, filter},
    owned,
    page::{WHOLE, all_pages},
    resource::{Found, Kept, Looking},
    single::{Begun, Head, One, Single, in_use, marked},
    step::{age, answered, made_id},
    subnet::in_use_by_interfaces,
};
use async_trait::async_trait;
use aws_sdk_ec2::{
    operation::create_security_group::builders::CreateSecurityGroupFluentBuilder,
    types::{Filter, ResourceType, SecurityGroup as Ec2Group, SecurityGroupRule, Tag},
};
use rule::Ruled;
use std::collections::BTreeSet;
use welkin_core::{
    Change, Cursor, Cx, Driver, Error, FieldPath, Network, NoAction, Object, Owner, Page, PeerRule, Query, Reader, Reason, Result, Resume, SecurityGroup, SecurityGroupSpec,
    SecurityGroupState, SecurityGroupStatus, Shard, Step, Target, Verb, Violation,
};

/// EC2 wants a description; this one stands for none.
const NO_DESCRIPTION: &str = "welkin.dev";
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html>
const DESCRIPTIONS: &str = "AWS takes letters, digits, spaces and ._-:/()#,@[]+=&;{}!$* in a description";
fn can_be_described(c: char) -> bool {
    c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c)
}
/// In the note of what was asked for: load balancers may write into it.
const ASKED_OPEN: &str = "load-balancers";
/// The group that every VPC has and nobody can delete.
const DEFAULT_GROUP: &str = "default";

#[async_trait]
impl Kept for SecurityGroup {
    type Made = One;
    type Row = Ec2Group;
    const PREFIX: &'static str = "sg-";
    const BY_ID: &'static str = "group-id";
    const GONE: &'static [&'static str] = &["InvalidGroup.NotFound", "InvalidSecurityGroupID.NotFound"];

    async fn one(region: &Region, cx: &Cx, id: &str) -> Result<Option<Ec2Group>> {
        Ok(region.ec2.read(cx, "DescribeSecurityGroups", region.ec2.describe_security_groups().group_ids(id).send()).await?.security_groups.unwrap_or_default().pop())
    }
    async fn page(region: &Region, cx: &Cx, filters: Vec<Filter>, size: i32, token: Option<String>) -> Result<(Option<Vec<Ec2Group>>, Option<String>)> {
        let call = region.ec2.describe_security_groups().set_filters(Some(filters)).max_results(size).set_next_token(token);
        region.ec2.read(cx, "DescribeSecurityGroups", call.send()).await.map(|a| (a.security_groups, a.next_token))
    }
    fn id(group: &Ec2Group) -> Option<&str> {
        group.group_id()
    }
    fn tags(group: &Ec2Group) -> &[Tag] {
        group.tags()
    }
    fn created_ms(_: &Ec2Group) -> Option<u64> {
        None
    }
    fn is_over(_: &Ec2Group) -> bool {
        false
    }
}

#[async_trait]
impl Single for SecurityGroup {
    const WHAT: &'static str = "security group";
    const REFERENCES: &'static [&'static str] = Network::GONE;

    async fn make(region: &Region, cx: &Cx, change: &Change<Self>, spec: &SecurityGroupSpec) -> Result<String> {
        let answer = region.ec2.write(cx, "CreateSecurityGroup", create_group(region, cx, change, spec)?.send()).await?;
        made_id(answer.group_id(), "GroupId")
    }
    async fn let_go(region: &Region, cx: &Cx, group: &Ec2Group, _: bool) -> Result<Option<String>> {
        refuse_if_used(region, cx, answered(group.group_id(), "GroupId")?).await.map(|()| None)
    }
    async fn remove(region: &Region, cx: &Cx, id: &str) -> Result<()> {
        region.ec2.write(cx, "DeleteSecurityGroup", region.ec2.delete_security_group().group_id(id).send()).await.map(|_| ())
    }
}

#[async_trait]
impl Reader<SecurityGroup> for Aws {
    fn shards(&self, query: &Query<SecurityGroup>) -> Vec<Shard> {
        self.regional_shards(query.parent.as_ref())
    }

    /// Two calls: the group, and its rules.
    async fn get(&self, cx: &Cx, target: &Target<SecurityGroup>) -> Result<Object<SecurityGroup>> {
        let region = self.region(target.parent())?;
        let found = self.seen(cx, target).await?.ok_or_else(|| Error::not_found(target))?;
        let rules = rules(region, cx, &[found.group_id().unwrap_or_default()]).await?;
        object(region, &cx.owner, &found, &rules, None)
    }

    async fn list(&self, cx: &Cx, query: &Query<SecurityGroup>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<SecurityGroup>> {
        let (region, groups, next) = self.listed(cx, query, shard, from, Vec::new()).await?;
        let ids: Vec<&str> = groups.iter().filter_map(Ec2Group::group_id).collect();
        let rules = rules(region, cx, &ids).await?;
        let items = groups.iter().map(|g| object(region, &cx.owner, g, &rules, None)).collect::<Result<_>>()?;
        Ok(Page { items, next, unreachable: Vec::new() })
    }
}

#[async_trait]
impl Driver<SecurityGroup> for Aws {
    async fn check(&self, cx: &Cx, change: &Change<SecurityGroup>) -> Result<()> {
        self.check_adopted(cx, change).await?;
        let region = self.region(change.target.parent())?;
        match &change.verb {
            Verb::Create { spec, .. } => region.ec2.dry_run(cx, "CreateSecurityGroup", create_group(region, cx, change, spec)?.dry_run(true).send()).await,
            Verb::Update { desired, paths } => {
                SecurityGroup::refuse_unmarked(change, desired, paths)?;
                self.get(cx, &change.target).await.and_then(|o| owned(&change.target, &change.uid, &o))
            }
            Verb::Delete => {
                let object = self.get(cx, &change.target).await?;
                owned(&change.target, &change.uid, &object)?;
                refuse_if_used(region, cx, object.vendor_id.as_str()).await?;
                region.ec2.dry_run(cx, "DeleteSecurityGroup", region.ec2.delete_security_group().group_id(object.vendor_id.as_str()).dry_run(true).send()).await
            }
            Verb::Act(action) => match *action {},
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<SecurityGroup>, spec: &SecurityGroupSpec, resume: &Resume) -> Result<Step<Object<SecurityGroup>>> {
        let region = self.region(change.target.parent())?;
        let (group, made) = match self.begun(cx, change, spec, resume).await? {
            Begun::Here(group, made) => (group, made),
            Begun::NotYet(step) => return Ok(*step),
        };
        let id = answered(group.group_id(), "GroupId")?;
        let ruled = Ruled::of(change, region, id, &rules(region, cx, &[id]).await?);
        match ruled.become_what(spec, true, cx, change).await {
            Ok(()) => {}
            Err(e) if may_pass(&e) && age(made.since_ms) < self.horizon => {
                return made.wait("waiting for the security group and its peers to be known everywhere");
            }
            Err(e) => return Err(e),
        }
        let object = object(region, &cx.owner, &group, &[], Some(&tags(cx, change, spec)?))?;
        Ok(Step::Done(Object { spec: SecurityGroupSpec { rules: spec.rules.clone(), restrict_egress: spec.restrict_egress, ..object.spec }, ..object }))
    }

    async fn update(
        &self,
        cx: &Cx,
        change: &Change<SecurityGroup>,
        desired: &SecurityGroupSpec,
        paths: &BTreeSet<FieldPath>,
        resume: &Resume,
    ) -> Result<Step<Object<SecurityGroup>>> {
        SecurityGroup::refuse_unmarked(change, desired, paths)?;
        let region = self.region(change.target.parent())?;
        let group = match self.located(cx, change, resume).await? {
            Found::Here(group) => group,
            Found::NotYet(looking) => return looking.step(),
        };
        let id = answered(group.group_id(), "GroupId")?;
        let there = rules(region, cx, &[id]).await?;
        let mut object = object(region, &cx.owner, &group, &there, None)?;
        if self.is_old(change, &object.spec)? {
            return Looking::of(resume).step();
        }
        if ["rules", "restrict_egress"].iter().any(|p| paths.contains(&FieldPath::from(*p))) {
            let (ruled, looking) = (Ruled::of(change, region, id, &there), Looking::of(resume));
            // One of ours may be shown without its tags for a while; taken for somebody else's it would stay.
            if ruled.may_hide(desired) && looking.age() < self.horizon {
                return looking.step();
            }
            match ruled.become_what(desired, paths.contains(&FieldPath::from("restrict_egress")), cx, change).await {
                Ok(()) => {}
                Err(e) if may_pass(&e) && looking.age() < self.horizon => return looking.step(),
                Err(e) => return Err(e),
            }
            (object.spec.rules, object.spec.restrict_egress) = (desired.rules.clone(), desired.restrict_egress);
        }
        if paths.contains(&FieldPath::from("labels")) {
            if let Err(refusal) = mark::relabel(region, cx, change, id, &Tags::of(group.tags()), &desired.labels).await {
                return self.refused::<SecurityGroup, _>(resume, refusal);
            }
            object.spec.labels = desired.labels.clone();
        }
        if object.mark.is_some() && paths.contains(&FieldPath::from("allow_load_balancer_rules")) {
            let now = Tags::of(group.tags());
            if let Err(refusal) = mark::note(region, cx, id, &now, Asked::of(&now).with(ASKED_OPEN, desired.allow_load_balancer_rules)).await {
                return self.refused::<SecurityGroup, _>(resume, refusal);
            }
            object.spec.allow_load_balancer_rules = desired.allow_load_balancer_rules;
        }
        Ok(Step::Done(object))
    }

    async fn delete(&self, cx: &Cx, change: &Change<SecurityGroup>, resume: &Resume) -> Result<Step<()>> {
        self.ended(cx, change, resume).await
    }

    async fn act(&self, _: &Cx, _: &Change<SecurityGroup>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }

    async fn ask(&self, _: &Cx, _: &Target<SecurityGroup>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}

/// May this refusal pass? The group itself or a peer is not known everywhere yet, or a rule that is there already is not shown yet.
fn may_pass(refusal: &Error) -> bool {
    refusal.effect() == welkin_core::Effect::None
        && (error::is(refusal, SecurityGroup::GONE) || error::is(refusal, &["InvalidPermission.Duplicate", "InvalidPermission.NotFound", "InvalidSecurityGroupRuleId.NotFound"]))
}

/// Every rule of these groups.
async fn rules(region: &Region, cx: &Cx, groups: &[&str]) -> Result<Vec<SecurityGroupRule>> {
    let mut out = Vec::new();
    // A filter takes at most 200 values (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html).
    for some in groups.chunks(200) {
        let of_these = [filter("group-id", some.iter().copied())];
        let found = all_pages(|token| {
            let call = region.ec2.describe_security_group_rules().set_filters(Some(of_these.to_vec())).max_results(WHOLE).set_next_token(token);
            async move { region.ec2.read(cx, "DescribeSecurityGroupRules", call.send()).await.map(|a| (a.security_group_rules, a.next_token)) }
        });
        out.extend(found.await?);
    }
    Ok(out)
}

/// Other groups that are in this VPC.
pub(crate) async fn in_vpc(region: &Region, cx: &Cx, vpc: &str) -> Result<Vec<Ec2Group>> {
    let mut groups = SecurityGroup::many(region, cx, vec![filter("vpc-id", [vpc])]).await?;
    groups.retain(|g| g.group_name() != Some(DEFAULT_GROUP));
    Ok(groups)
}

/// Names what is in it or speaks of it: EC2 itself does not say.
async fn refuse_if_used(region: &Region, cx: &Cx, id: &str) -> Result<()> {
    let mut users = Vec::new();
    for direction in ["ip-permission.group-id", "egress.ip-permission.group-id"] {
        let groups = SecurityGroup::many(region, cx, vec![filter(direction, [id])]).await?;
        users.extend(groups.into_iter().filter_map(|g| g.group_id).filter(|other| other != id));
    }
    users.extend(in_use_by_interfaces(region, cx, "group-id", id).await?);
    in_use("security group", id, users, "take it out of them first")
}

fn tags(cx: &Cx, change: &Change<SecurityGroup>, spec: &SecurityGroupSpec) -> Result<Tags> {
    let network = spec.network.as_ref().map(|r| r.name.to_string()).unwrap_or_default();
    let asked = Asked::default().with(ASKED_OPEN, spec.allow_load_balancer_rules);
    Ok(marked(cx, change, &spec.labels)?.with(mark::NETWORK, &network).with(mark::ASKED, &asked.text()))
}
/// May load balancers put rules of their own into a group of ours with these tags?
pub(crate) fn allows_load_balancer_rules(tags: &Tags) -> bool {
    Asked::of(tags).has(ASKED_OPEN)
}

fn create_group(region: &Region, cx: &Cx, change: &Change<SecurityGroup>, spec: &SecurityGroupSpec) -> Result<CreateSecurityGroupFluentBuilder> {
    let required = || Error::violated(Reason::FieldRequired, vec![Violation::new("network", "a security group needs the network that it is for")]);
    let network = spec.network.as_ref().ok_or_else(required)?.vendor_id()?;
    let texts =
        spec.description.iter().map(|d| ("description".to_owned(), d)).chain(spec.rules.iter().enumerate().map(|(i, r)| (format!("rules[{i}].description"), &r.description)));
    let wrong: Vec<Violation> = texts.filter(|(_, text)| !text.chars().all(can_be_described)).map(|(field, _)| Violation::new(field, DESCRIPTIONS)).collect();
    if !wrong.is_empty() {
        return Err(Error::violated(Reason::InvalidField, wrong));
    }
    // A name is taken once in a VPC: with the uid in it, it can only be ours.
    let name = format!("welkin-{}-{}", change.target.name()?.id, change.uid);
    let call = region.ec2.create_security_group().group_name(name).description(spec.description.as_deref().unwrap_or(NO_DESCRIPTION)).vpc_id(network.as_str());
    Ok(call.tag_specifications(tags(cx, change, spec)?.on(ResourceType::SecurityGroup)))
}

/// `rules`: of this group, and perhaps of others. `written`: the tags that we wrote, where EC2 may not show them yet.
fn object(region: &Region, owner: &Owner, group: &Ec2Group, rules: &[SecurityGroupRule], written: Option<&Tags>) -> Result<Object<SecurityGroup>> {
    let head = Head::of::<SecurityGroup>(owner, group, "GroupId", written)?;
    let (mut ours, mut other_rules, mut restrict_egress) = (Vec::new(), Vec::new(), true);
    for found in rules.iter().filter(|r| r.group_id() == Some(head.id.as_str())) {
        if rule::lets_everything_out(found) {
            restrict_egress = false;
            continue;
        }
        let counts = head.mark.as_ref().map_or_else(|| !rule::is_marked(found), |m| rule::is_of(found, &m.uid));
        match rule::peer_rule(region, head.id.as_str(), found).filter(|_| counts) {
            Some(peer) => ours.push(peer),
            None => other_rules.push(rule::in_words(found)),
        }
    }
    let spec = SecurityGroupSpec {
        network: head.refer(region, mark::NETWORK, group.vpc_id())?,
        description: group.description().filter(|d| *d != NO_DESCRIPTION).map(ToOwned::to_owned),
        restrict_egress,
        rules: PeerRule::gathered(ours),
        labels: head.tags.labels(),
        provider_config: None,
        allow_load_balancer_rules: head.mark.is_some() && allows_load_balancer_rules(&head.tags),
    };
    head.object(region, None, None, spec, SecurityGroupStatus { state: SecurityGroupState::Available, other_rules })
}
