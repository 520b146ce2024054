//! The security groups that let a load balancer's connections through: its own, which lets in whom it is for, and those of its backends, which let in its
//! own. In those of its backends it writes rules with its own mark and no others, and only where the group says that it may.
//!
//! A group that refers to the load balancer's lets its connections in also where the client's address is preserved
//! (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-security-groups.html>). No two load balancers' rules are the same, because
//! each refers to its own group, so that none has to look at what the others have opened.

use crate::{
    client::Region,
    error,
    mark::{self, Tags, filter, of_owner, of_uid},
    page::{WHOLE, all_pages},
    resource::{Kept, not_shown},
    security_group::allows_load_balancer_rules,
    step::{answered, made_id, told},
};
use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroup as Ec2Group, SecurityGroupRule, UserIdGroupPair};
use futures::future::join_all;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use welkin_core::{Backend, Change, Cx, Error, ErrorKind, Instance, LoadBalancer, LoadBalancerSpec, Mark, Owner, Protocol, Reason, ResourceId, Result, SecurityGroup, Uid};

/// For whom there are no ranges, there are these, so described.
const EVERYBODY: [&str; 2] = ["0.0.0.0/0", "::/0"];
const OF_EVERYBODY: &str = "everybody";

/// Who is let in where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Opening {
    protocol: String,
    port: u16,
    /// A range, or a group's id.
    from: String,
    is_everybodys: bool,
}
/// The rules with one load balancer's mark.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    /// By the group that they are in: id and what it lets in. One that our terms have no words for, somebody has changed.
    all: BTreeMap<String, Vec<(String, Option<Opening>)>>,
}
fn opening(rule: &SecurityGroupRule) -> Option<Opening> {
    let from = rule.cidr_ipv4().or(rule.cidr_ipv6()).or_else(|| rule.referenced_group_info().and_then(|g| g.group_id()))?;
    let port = rule.from_port().filter(|port| rule.to_port() == Some(*port))?;
    let is_everybodys = rule.description() == Some(OF_EVERYBODY);
    Some(Opening { protocol: rule.ip_protocol()?.to_owned(), port: port.try_into().ok()?, from: from.to_owned(), is_everybodys }).filter(|_| rule.is_egress() != Some(true))
}
impl Rules {
    pub(super) async fn of(region: &Region, cx: &Cx, uid: &Uid) -> Result<Self> {
        let filters = of_uid(&cx.owner, uid);
        let found = all_pages(async |token| {
            let call = region.ec2.describe_security_group_rules().set_filters(Some(filters.clone())).max_results(WHOLE).set_next_token(token);
            region.ec2.read(cx, "DescribeSecurityGroupRules", call.send()).await.map(|a| (a.security_group_rules, a.next_token))
        });
        let mut all = BTreeMap::<String, Vec<_>>::new();
        for rule in found.await? {
            if let (Some(group), Some(id)) = (rule.group_id(), rule.security_group_rule_id()) {
                all.entry(group.to_owned()).or_default().push((id.to_owned(), opening(&rule)));
            }
        }
        Ok(Self { all })
    }
    fn of_group(&self, group: &str) -> &[(String, Option<Opening>)] {
        self.all.get(group).map_or(&[], Vec::as_slice)
    }
    /// The groups of backends: its own refers to none.
    pub(super) fn opened(&self) -> Vec<String> {
        let refers = |rules: &Vec<(String, Option<Opening>)>| rules.iter().any(|(_, o)| o.as_ref().is_some_and(|o| o.from.parse::<IpNet>().is_err()));
        self.all.iter().filter(|(_, rules)| refers(rules)).map(|(group, _)| group.clone()).collect()
    }
    /// None where it is for everybody.
    pub(super) fn source_ranges(&self) -> Vec<IpNet> {
        let openings = self.all.values().flatten().filter_map(|(_, o)| o.as_ref()).filter(|o| !o.is_everybodys);
        openings.filter_map(|o| o.from.parse().ok()).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// Its own group.
#[derive(Debug, Clone)]
pub(super) struct Own {
    pub(super) id: String,
    tags: Tags,
}
impl Own {
    fn of(group: &Ec2Group) -> Result<Self> {
        Ok(Self { id: answered(told(group.group_id()), "GroupId")?.to_owned(), tags: Tags::of(group.tags()) })
    }
    pub(super) fn mark(&self, owner: &Owner) -> Option<Mark> {
        let uid = self.tags.get(mark::UID)?.parse().ok()?;
        Some(Mark { owner: owner.clone(), uid, digest: None }).filter(|_| self.tags.get(mark::OWNER) == Some(owner.as_str()))
    }
    /// By its uid, or by what its load balancer is called.
    pub(super) async fn find(region: &Region, cx: &Cx, id: &ResourceId, uid: Option<&Uid>) -> Result<Option<Self>> {
        let mut filters = vec![of_owner(&cx.owner), filter(&format!("tag:{}", mark::PART), [id.as_str()])];
        filters.extend(uid.map(|uid| filter(&format!("tag:{}", mark::UID), [uid.as_str()])));
        SecurityGroup::many(region, cx, filters).await?.first().map(Self::of).transpose()
    }
    /// Makes it: its name can be taken once in a VPC, so that a second call finds it taken by the first.
    pub(super) async fn make(region: &Region, cx: &Cx, change: &Change<LoadBalancer>, name: &str, vpc: &str) -> Result<Self> {
        let id = &change.target.name()?.id;
        let tags = Tags::part(&mark::of_change(cx, change), id);
        let call = region.ec2.create_security_group().group_name(name).description(format!("load-balancer:{id}")).vpc_id(vpc);
        match region.ec2.write(cx, "CreateSecurityGroup", call.tag_specifications(tags.on(ResourceType::SecurityGroup)).send()).await {
            Ok(answer) => Ok(Self { id: made_id(answer.group_id(), "GroupId")?, tags }),
            Err(e) if error::is(&e, &["InvalidGroup.Duplicate"]) => {
                let own = Self::find(region, cx, id, Some(&change.uid)).await?;
                own.ok_or_else(|| not_shown(name))
            }
            Err(e) => Err(e),
        }
    }
}

/// The rules of its own group.
pub(super) fn own_openings(spec: &LoadBalancerSpec) -> BTreeSet<Opening> {
    let ranges: Vec<String> = if spec.source_ranges.is_empty() { EVERYBODY.map(ToOwned::to_owned).to_vec() } else { spec.source_ranges.iter().map(ToString::to_string).collect() };
    let taken = spec.listeners.iter().filter_map(|l| Some((l.protocol.transport()?, l.port?)));
    let one = |(protocol, port): (Protocol, u16), from: &String| Opening { protocol: protocol.to_string(), port, from: from.clone(), is_everybodys: spec.source_ranges.is_empty() };
    taken.flat_map(|at| ranges.iter().map(move |from| one(at, from))).collect()
}
/// The rules of its backends' groups.
pub(super) fn door_openings(spec: &LoadBalancerSpec, own: &str) -> BTreeSet<Opening> {
    let one = |(protocol, port): (Protocol, u16)| Opening { protocol: protocol.to_string(), port, from: own.to_owned(), is_everybodys: false };
    spec.openings().into_iter().map(one).collect()
}
/// As EC2 takes them: those of one port share a permission.
fn permissions(openings: &[&Opening]) -> Vec<IpPermission> {
    let mut by_port = BTreeMap::<(&str, u16), Vec<&Opening>>::new();
    for o in openings {
        by_port.entry((&o.protocol, o.port)).or_default().push(o);
    }
    let one = |((protocol, port), from): ((&str, u16), Vec<&Opening>)| {
        let mut permission = IpPermission::builder().ip_protocol(protocol).from_port(port.into()).to_port(port.into());
        for o in from {
            let description = o.is_everybodys.then_some(OF_EVERYBODY.to_owned());
            permission = match o.from.parse::<IpNet>() {
                Ok(IpNet::V4(net)) => permission.ip_ranges(IpRange::builder().cidr_ip(net.to_string()).set_description(description).build()),
                Ok(IpNet::V6(net)) => permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(net.to_string()).set_description(description).build()),
                Err(_) => permission.user_id_group_pairs(UserIdGroupPair::builder().group_id(&o.from).build()),
            };
        }
        permission.build()
    };
    by_port.into_iter().map(one).collect()
}
/// What an error about rules is about in a load balancer.
fn about(field: &'static str) -> impl Fn(Error) -> Error {
    move |e| if e.violations().iter().any(|v| v.field == "rules") { e.with_violations(Vec::new()).with_field(field) } else { e }
}

/// What its groups let in, and by which rules.
pub(super) struct Openings<'a> {
    pub(super) region: &'a Region,
    pub(super) cx: &'a Cx,
    pub(super) change: &'a Change<LoadBalancer>,
    pub(super) own: &'a str,
    pub(super) there: &'a Rules,
}
impl Openings<'_> {
    /// Lets in what is missing, in each group by one call. What lets in the same range under another description has to go first, which `ruled` does.
    async fn open(&self, group: &str, wanted: &BTreeSet<Opening>, field: &'static str) -> Result<()> {
        let there = self.there.of_group(group);
        let same_traffic = |a: &Opening, b: &Opening| (&a.protocol, a.port, &a.from) == (&b.protocol, b.port, &b.from);
        let missing: Vec<&Opening> = wanted.iter().filter(|o| !there.iter().filter_map(|(_, t)| t.as_ref()).any(|t| same_traffic(t, o))).collect();
        self.authorize(group, &missing, field).await
    }
    async fn authorize(&self, group: &str, openings: &[&Opening], field: &'static str) -> Result<()> {
        if openings.is_empty() {
            return Ok(());
        }
        let parts = Mark { digest: None, ..mark::of_change(self.cx, self.change) };
        let tags = Tags::ours(&parts, &self.change.target.name()?.id).on(ResourceType::SecurityGroupRule);
        let call = self.region.ec2.authorize_security_group_ingress().group_id(group).set_ip_permissions(Some(permissions(openings))).tag_specifications(tags);
        match self.region.ec2.write(self.cx, "AuthorizeSecurityGroupIngress", call.send()).await {
            // One that a step before this one has written is not shown yet.
            Err(e) if error::is(&e, &["InvalidPermission.Duplicate"]) => Err(not_shown(&format!("the rules of {group}"))),
            answer => answer.map(drop).map_err(about(field)),
        }
    }
    async fn revoke(&self, group: &str, ids: Vec<String>) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let call = self.region.ec2.revoke_security_group_ingress().group_id(group).set_security_group_rule_ids(Some(ids));
        match self.region.ec2.write(self.cx, "RevokeSecurityGroupIngress", call.send()).await {
            Err(e) if error::is(&e, SecurityGroup::GONE) || error::is(&e, &["InvalidSecurityGroupRuleId.NotFound", "InvalidPermission.NotFound"]) => Ok(()),
            answer => answer.map(drop),
        }
    }
    /// Lets into its own group whom it is for.
    pub(super) async fn own_opened(&self, spec: &LoadBalancerSpec) -> Result<()> {
        self.open(self.own, &own_openings(spec), "source_ranges").await
    }
    /// Lets its connections through these doors, each for itself.
    pub(super) async fn doors_opened(&self, doors: &BTreeSet<String>, spec: &LoadBalancerSpec) -> Result<()> {
        let wanted = door_openings(spec, self.own);
        join_all(doors.iter().map(|door| self.open(door, &wanted, "backends"))).await.into_iter().collect()
    }
    /// Shuts its own group to everybody else. EC2 takes no two rules for the same traffic, so that one which is only described otherwise is replaced here.
    pub(super) async fn own_ruled(&self, spec: &LoadBalancerSpec) -> Result<()> {
        let wanted = own_openings(spec);
        let there = self.there.of_group(self.own);
        self.revoke(self.own, surplus(there, &wanted)).await?;
        let is_described_anew = |o: &&Opening| {
            there.iter().filter_map(|(_, t)| t.as_ref()).any(|t| t.is_everybodys != o.is_everybodys && Opening { is_everybodys: o.is_everybodys, ..t.clone() } == **o)
        };
        self.authorize(self.own, &wanted.iter().filter(is_described_anew).collect::<Vec<_>>(), "source_ranges").await
    }
    /// Takes its rules away wherever they let in more than is led through these doors.
    pub(super) async fn doors_closed(&self, doors: &BTreeSet<String>, spec: &LoadBalancerSpec) -> Result<()> {
        let (led, none) = (door_openings(spec, self.own), BTreeSet::new());
        let others = self.there.all.iter().filter(|(group, _)| *group != self.own);
        let closed = others.map(|(group, rules)| self.revoke(group, surplus(rules, if doors.contains(group) { &led } else { &none })));
        join_all(closed).await.into_iter().collect()
    }
    /// Takes all of its rules out of others' groups.
    pub(super) async fn shut(&self) -> Result<()> {
        self.doors_closed(&BTreeSet::new(), &LoadBalancerSpec::default()).await
    }
}
fn surplus(there: &[(String, Option<Opening>)], wanted: &BTreeSet<Opening>) -> Vec<String> {
    there.iter().filter(|(_, o)| o.as_ref().is_none_or(|o| !wanted.contains(o))).map(|(id, _)| id.clone()).collect()
}

/// The security groups of backends, as far as they are seen.
struct Secured {
    /// Each backend's VPC and groups.
    members: BTreeMap<String, (String, Vec<String>)>,
    /// Each group's tags and VPC.
    groups: BTreeMap<String, (Tags, String)>,
    /// An instance group that is none of ours.
    foreign: Option<String>,
}
/// The backends that are in security groups, by their ids, each with the field of it.
fn inside(backends: &[Backend]) -> Result<Vec<(String, &'static str)>> {
    let of = |b: &Backend| Ok((b.vendor_id()?, if b.instance.is_some() { "instance" } else { "instance_group" }));
    backends.iter().filter(|b| b.address.is_none()).map(of).collect()
}
/// Two reads, and two for each instance group; none where backends are addresses.
async fn secured(region: &Region, cx: &Cx, network: &str, backends: &[(String, &str)]) -> Result<Secured> {
    let (ids, scaling): (Vec<&str>, Vec<&str>) = {
        let of = |wanted: &str| backends.iter().filter(|(_, word)| *word == wanted).map(|(id, _)| id.as_str()).collect();
        (of("instance"), of("instance_group"))
    };
    let mut members = BTreeMap::<String, (String, Vec<String>)>::new();
    // A filter takes at most 200 values (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html).
    for some in ids.chunks(200) {
        for found in Instance::many(region, cx, vec![filter("instance-id", some.iter().copied())]).await? {
            // Of the interface that load balancers send to (of EC2 the same, moto shows those of a launch here alone).
            let first = found.network_interfaces().iter().filter(|i| i.attachment().and_then(|a| a.device_index()) == Some(0));
            let groups = found.security_groups().iter().chain(first.flat_map(|i| i.groups()));
            let groups: BTreeSet<String> = groups.filter_map(|g| told(g.group_id())).map(ToOwned::to_owned).collect();
            members.insert(answered(<Instance as Kept>::id(&found), "InstanceId")?.to_owned(), (found.vpc_id().unwrap_or_default().to_owned(), groups.into_iter().collect()));
        }
    }
    let scaled = region.secured(cx, &cx.owner, &scaling).await?;
    let foreign = backends.iter().find(|(id, _)| scaled.get(id).is_some_and(|s| !s.is_ours)).map(|(id, _)| id.clone());
    // Of an instance group only its template tells where its instances will be.
    members.extend(scaled.into_iter().map(|(id, s)| (id, (network.to_owned(), s.groups))));
    let wanted: BTreeSet<&str> = members.values().flat_map(|(_, groups)| groups).map(String::as_str).collect();
    let mut groups = BTreeMap::new();
    for some in wanted.into_iter().collect::<Vec<_>>().chunks(200) {
        let found = SecurityGroup::many(region, cx, vec![filter("group-id", some.iter().copied())]).await?;
        groups.extend(found.iter().filter_map(|g| Some((g.group_id()?.to_owned(), (Tags::of(g.tags()), g.vpc_id().unwrap_or_default().to_owned())))));
    }
    Ok(Secured { members, groups, foreign })
}
/// The groups that these backends are in, whatever may be written into them. None where not all of the backends are seen and none may be gone.
pub(super) async fn still_led(region: &Region, cx: &Cx, network: &str, backends: &[Backend], may_be_gone: bool) -> Result<Option<BTreeSet<String>>> {
    let backends = inside(backends)?;
    let seen = secured(region, cx, network, &backends).await?;
    let is_whole = may_be_gone || backends.iter().all(|(id, _)| seen.members.contains_key(id));
    Ok(is_whole.then(|| seen.groups.into_keys().collect()))
}

/// The groups of these backends that the load balancer may open: of each instance in any group at least one, and of what an instance group makes. `field`: what
/// names the backends.
pub(super) async fn doors(region: &Region, cx: &Cx, network: &str, (field, backends): (&str, &[Backend])) -> Result<BTreeSet<String>> {
    let backends = inside(backends)?;
    let Secured { members, groups, foreign } = secured(region, cx, network, &backends).await?;
    if let Some((i, (id, _))) = backends.iter().enumerate().find(|(_, (id, _))| foreign.as_ref() == Some(id)) {
        let why = format!("{id} is not Welkin's: nothing is attached to it");
        return Err(Error::new(ErrorKind::FailedPrecondition, Reason::NotOwned, why).with_field(format!("{field}[{i}].instance_group")));
    }
    for (id, _) in &backends {
        match members.get(id) {
            None => return Err(not_shown(id)),
            Some((vpc, _)) if vpc != network => return Err(Error::invalid(field, format!("{id} is in {vpc}, and not in {network}"))),
            Some(_) => {}
        }
    }
    if let Some((id, (_, vpc))) = groups.iter().find(|(_, (_, vpc))| vpc != network) {
        return Err(Error::invalid(field, format!("{id} is in {vpc}, and not in {network}")));
    }
    let is_ours = |id: &String| groups.get(id).is_some_and(|(tags, _)| tags.mark(&cx.owner).is_some());
    let is_open = |id: &String| is_ours(id) && groups.get(id).is_some_and(|(tags, _)| allows_load_balancer_rules(tags));
    for (i, (id, word)) in backends.iter().enumerate() {
        let own = members.get(id).map_or(&[][..], |(_, groups)| groups.as_slice());
        if own.is_empty() || own.iter().any(is_open) {
            continue;
        }
        let (reason, why) = if own.iter().any(is_ours) {
            (Reason::WrongState, format!("none of the security groups of {id} has allow_load_balancer_rules"))
        } else {
            (Reason::NotOwned, format!("the security groups of {id} are not Welkin's: nothing is written into them"))
        };
        return Err(Error::new(ErrorKind::FailedPrecondition, reason, why).with_field(format!("{field}[{i}].{word}")));
    }
    Ok(groups.keys().filter(|id| is_open(id)).cloned().collect())
}
