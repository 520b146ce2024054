//! Networks are VPCs; `internet_access` adds an internet gateway, its attachment and the default routes of the main route table.
//!
//! Calls: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpc.html>, `CreateInternetGateway`, `AttachInternetGateway`,
//! `CreateRoute`, `AssociateVpcCidrBlock`. None of the first two takes a client token, so a lost reply is resolved by the tags.

use crate::{
    Aws,
    client::Region,
    error,
    mark::{self, Asked, Tags, filter, of_id, of_uid},
    owned,
    page::{WHOLE, all_pages},
    resource::{self, Found, Kept, Left, Looking, Pieces},
    route_table, security_group,
    step::{Look, age, answered, look, look_again, made_id, now_ms, pace, unresolved_ms, vendor_id},
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{Filter, InternetGateway, ResourceType, Tag, Vpc};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use welkin_core::{
    Change, Cursor, Cx, Driver, Error, ErrorKind, FieldPath, Name, Network, NetworkSpec, NetworkState, NetworkStatus, NoAction, Object, Owner, Page, ProviderId, Query, Reader,
    Reason, ResourceId, Result, Resume, Shard, Step, Subnet, Target, Verb, Violation,
};

const GATEWAY: &str = "igw-";
const GATEWAY_GONE: &[&str] = &["InvalidInternetGatewayID.NotFound"];
/// What a part of a network answers while another part, made a moment ago, is not known everywhere.
const NOT_YET: &[&str] = &["InvalidVpcID.NotFound", "InvalidInternetGatewayID.NotFound", "InvalidGatewayID.NotFound", "Gateway.NotAttached", "InvalidRouteTableID.NotFound"];
/// Everything, for the default routes.
const ANY_V4: &str = "0.0.0.0/0";
const ANY_V6: &str = "::/0";
/// In the note of what was asked for.
const ASKED_INTERNET: &str = "internet";

/// What a create has made so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Made {
    vpc: Option<String>,
    gateway: Option<String>,
    /// Gateway attached and routes there.
    wired: bool,
    /// Further ranges that were asked for.
    ranges: BTreeSet<IpNet>,
    since_ms: u64,
}

impl Pieces for Made {
    fn ids(&self) -> impl Iterator<Item = &String> {
        self.vpc.iter().chain(&self.gateway)
    }
    fn is_whole(&self) -> bool {
        self.vpc.is_some() && self.gateway.is_some()
    }
}

#[async_trait]
impl Kept for Network {
    type Made = Made;
    type Row = Vpc;
    const PREFIX: &'static str = "vpc-";
    const BY_ID: &'static str = "vpc-id";
    const GONE: &'static [&'static str] = &["InvalidVpcID.NotFound"];

    async fn one(region: &Region, cx: &Cx, id: &str) -> Result<Option<Vpc>> {
        Ok(region.ec2.read(cx, "DescribeVpcs", region.ec2.describe_vpcs().vpc_ids(id).send()).await?.vpcs.unwrap_or_default().pop())
    }
    async fn page(region: &Region, cx: &Cx, filters: Vec<Filter>, size: i32, token: Option<String>) -> Result<(Option<Vec<Vpc>>, Option<String>)> {
        let call = region.ec2.describe_vpcs().set_filters(Some(filters)).max_results(size).set_next_token(token);
        region.ec2.read(cx, "DescribeVpcs", call.send()).await.map(|a| (a.vpcs, a.next_token))
    }
    fn id(vpc: &Vpc) -> Option<&str> {
        vpc.vpc_id()
    }
    fn tags(vpc: &Vpc) -> &[Tag] {
        vpc.tags()
    }
    fn created_ms(_: &Vpc) -> Option<u64> {
        None
    }
    fn is_over(_: &Vpc) -> bool {
        false
    }
}

#[async_trait]
impl Reader<Network> for Aws {
    fn shards(&self, query: &Query<Network>) -> Vec<Shard> {
        self.regional_shards(query.parent.as_ref())
    }

    /// One call; a second one for the gateway where the network was made with `internet_access`, or where it is not there at all.
    async fn get(&self, cx: &Cx, target: &Target<Network>) -> Result<Object<Network>> {
        let region = self.region(target.parent())?;
        match (self.seen(cx, target).await?, target) {
            (Some(vpc), _) => {
                let gateways = if wants_internet(&vpc) { attached_to(region, cx, &[vpc.vpc_id().unwrap_or_default()]).await? } else { BTreeSet::new() };
                object(region, &cx.owner, &vpc, Some(&gateways), None)
            }
            (None, Target::Named { name, uid, .. }) => {
                let left = gateways(region, cx, of_id(&cx.owner, &name.id, uid.as_ref())).await?;
                left.first().map_or_else(|| Err(Error::not_found(target)), |g| fragment(region, &cx.owner, name, g))
            }
            (None, Target::Vendor { .. }) => Err(Error::not_found(target)),
        }
    }

    async fn list(&self, cx: &Cx, query: &Query<Network>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<Network>> {
        let (region, vpcs, next) = self.listed(cx, query, shard, from, Vec::new()).await?;
        let wired: Vec<&str> = vpcs.iter().filter(|v| wants_internet(v)).filter_map(Vpc::vpc_id).collect();
        let gateways = if wired.is_empty() { BTreeSet::new() } else { attached_to(region, cx, &wired).await? };
        let items = vpcs.iter().map(|v| object(region, &cx.owner, v, Some(&gateways), None)).collect::<Result<_>>()?;
        Ok(Page { items, next, unreachable: Vec::new() })
    }
}

#[async_trait]
impl Driver<Network> for Aws {
    async fn check(&self, cx: &Cx, change: &Change<Network>) -> Result<()> {
        self.check_adopted(cx, change).await?;
        let region = self.region(change.target.parent())?;
        match &change.verb {
            Verb::Create { spec, .. } => {
                let call = create_vpc(region, spec)?.tag_specifications(tags(cx, change, spec)?.on(ResourceType::Vpc)).dry_run(true);
                region.ec2.dry_run(cx, "CreateVpc", call.send()).await
            }
            Verb::Update { .. } => self.get(cx, &change.target).await.and_then(|o| owned(&change.target, &change.uid, &o)),
            Verb::Delete => {
                let object = self.get(cx, &change.target).await?;
                owned(&change.target, &change.uid, &object)?;
                if object.status.state == NetworkState::Incomplete && !object.vendor_id.as_str().starts_with("vpc-") {
                    return Ok(());
                }
                refuse_if_used(region, cx, object.vendor_id.as_str()).await?;
                region.ec2.dry_run(cx, "DeleteVpc", region.ec2.delete_vpc().vpc_id(object.vendor_id.as_str()).dry_run(true).send()).await
            }
            Verb::Act(action) => match *action {},
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<Network>, spec: &NetworkSpec, resume: &Resume) -> Result<Step<Object<Network>>> {
        let region = self.region(change.target.parent())?;
        let (made, resume) = &resume.read::<Made>();
        let mut made = made.clone().unwrap_or_default();
        made.since_ms = made.since_ms.max(unresolved_ms(resume));
        let marks = tags(cx, change, spec)?;
        if made.vpc.is_none() {
            let find = async { Ok(resource::first::<Network>(&Network::many(region, cx, of_uid(&cx.owner, &change.uid)).await?)) };
            match look(resume, self.horizon, find).await? {
                Look::Found(id) => made = Made { vpc: Some(id), since_ms: now_ms(), ..made },
                Look::Wait(after) => return Ok(look_again(after, "VPC")),
                Look::Write => {
                    let call = create_vpc(region, spec)?.tag_specifications(marks.on(ResourceType::Vpc));
                    let vpc = region.ec2.write(cx, "CreateVpc", call.send()).await?.vpc;
                    let id = made_id(vpc.as_ref().and_then(Vpc::vpc_id), "VpcId")?;
                    return Step::wait(&Made { vpc: Some(id), since_ms: now_ms(), ..made }, Duration::ZERO, "the VPC is made");
                }
            }
        }
        if spec.internet_access && made.gateway.is_none() {
            let find = Box::pin(async { Ok(first(&gateways(region, cx, of_uid(&cx.owner, &change.uid)).await?)) });
            match look(resume, self.horizon, find).await? {
                // It may not be known everywhere yet, however long ago the VPC was made.
                Look::Found(id) => made = Made { gateway: Some(id), since_ms: now_ms(), ..made },
                Look::Wait(after) => return Ok(look_again(after, "internet gateway")),
                Look::Write => {
                    let call = region.ec2.create_internet_gateway().tag_specifications(marks.on(ResourceType::InternetGateway));
                    let gateway = region.ec2.write(cx, "CreateInternetGateway", call.send()).await?.internet_gateway;
                    let id = made_id(gateway.as_ref().and_then(InternetGateway::internet_gateway_id), "InternetGatewayId")?;
                    return Step::wait(&Made { gateway: Some(id), since_ms: now_ms(), ..made }, Duration::ZERO, "the internet gateway is made");
                }
            }
        }
        self.finish(cx, change, spec, made, &marks).await
    }

    async fn update(&self, cx: &Cx, change: &Change<Network>, desired: &NetworkSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<Network>>> {
        let region = self.region(change.target.parent())?;
        let vpc = match self.located(cx, change, resume).await? {
            Found::Here(vpc) => vpc,
            Found::NotYet(looking) => return looking.step(),
        };
        let id = answered(vpc.vpc_id(), "VpcId")?;
        let gateways = if wants_internet(&vpc) { attached_to(region, cx, &[id]).await? } else { BTreeSet::new() };
        let mut object = object(region, &cx.owner, &vpc, Some(&gateways), None)?;
        if self.is_old(change, &object.spec)? {
            return Looking::of(resume).step();
        }
        if paths.contains(&FieldPath::from("labels")) {
            if let Err(refusal) = mark::relabel(region, cx, change, id, &Tags::of(vpc.tags()), &desired.labels).await {
                return self.refused::<Network, _>(resume, refusal);
            }
            object.spec.labels = desired.labels.clone();
        }
        Ok(Step::Done(object))
    }

    /// Subnets first: nothing of a network that is in use is touched. The gateway goes last, so that it can be put back where AWS still
    /// refuses to delete the VPC.
    async fn delete(&self, cx: &Cx, change: &Change<Network>, resume: &Resume) -> Result<Step<()>> {
        let region = self.region(change.target.parent())?;
        let Left { rows, is_hidden, mut leaving, .. } = self.left(cx, change, resume).await?;
        if is_hidden {
            return leaving.wait("waiting for EC2 to show the VPC with its tags");
        }
        let is_alone = resource::is_adopted(&change.target);
        let mut gates = if is_alone { Vec::new() } else { gateways(region, cx, of_uid(&cx.owner, &change.uid)).await? };
        let made: Vec<String> = leaving.made(GATEWAY).filter(|id| !gates.iter().any(|g| g.internet_gateway_id() == Some(id))).map(str::to_owned).collect();
        if !made.is_empty() {
            let found = gateways(region, cx, vec![filter("internet-gateway-id", made.iter().map(String::as_str))]).await?;
            if found.len() < made.len() && leaving.is_early(self.horizon) {
                return leaving.wait("waiting for EC2 to show the internet gateway");
            }
            gates.extend(found);
        }
        for vpc in &rows {
            let id = answered(vpc.vpc_id(), "VpcId")?;
            match refuse_if_used(region, cx, id).await {
                Err(e) if leaving.may_be_free(&e, self.horizon) => return leaving.wait(e.message()),
                free => free?,
            }
            if !is_alone && wants_internet(vpc) && gates.is_empty() {
                // Its tags may be seen later than those of the VPC.
                gates = gateways(region, cx, vec![filter("attachment.vpc-id", [id])]).await?;
                if gates.iter().any(|g| g.tags().is_empty()) && leaving.is_early(self.horizon) {
                    return leaving.wait("waiting for EC2 to show the tags of the internet gateway");
                }
                gates.retain(|g| Tags::of(g.tags()).mark(&cx.owner).is_some_and(|(_, m)| m.uid == change.uid));
            }
        }
        for vpc in &rows {
            match delete_vpc(region, cx, answered(vpc.vpc_id(), "VpcId")?, &gates).await {
                Ok(()) => leaving.ended(),
                Err(e) if leaving.may_settle(&e, self.horizon) => return leaving.wait("waiting for EC2 to let go of what was in the VPC"),
                Err(e) if error::is(&e, Network::GONE) => {
                    leaving.contradicted(self.horizon);
                    return leaving.wait("EC2 shows the VPC and does not know it");
                }
                Err(e) => return Err(e),
            }
        }
        if !rows.is_empty() && !gates.is_empty() {
            // A step of its own, so that no refusal of it makes the end of the VPC uncertain.
            return Step::wait(&leaving, Duration::ZERO, "the internet gateway is left");
        }
        for gate in &gates {
            match delete_gateway(region, cx, gate).await {
                Err(e) if leaving.may_settle(&e, self.horizon) => return leaving.wait("waiting for the internet gateway to be detached"),
                Err(e) if error::is(&e, GATEWAY_GONE) => {
                    leaving.contradicted(self.horizon);
                    return leaving.wait("EC2 shows the internet gateway and does not know it");
                }
                deleted => deleted?,
            }
            leaving.removed(gate.internet_gateway_id().unwrap_or_default());
        }
        leaving.quiet()
    }

    async fn act(&self, _: &Cx, _: &Change<Network>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }

    async fn ask(&self, _: &Cx, _: &Target<Network>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}

impl Aws {
    /// Wires the gateway, adds further ranges, and waits until all is available. Every write here can be repeated.
    async fn finish(&self, cx: &Cx, change: &Change<Network>, spec: &NetworkSpec, mut made: Made, marks: &Tags) -> Result<Step<Object<Network>>> {
        let region = self.region(change.target.parent())?;
        let id = answered(made.vpc.clone(), "VPC")?;
        if let (Some(gateway), false) = (made.gateway.clone(), made.wired) {
            match wire(region, cx, &id, &gateway, spec.assign_ipv6_cidr).await {
                Ok(true) => made.wired = true,
                Ok(false) => return Step::wait(&made, pace(made.since_ms), "waiting for the main route table"),
                Err(e) if error::is(&e, NOT_YET) && age(made.since_ms) < self.horizon => {
                    return Step::wait(&made, pace(made.since_ms), "waiting for the gateway to be known everywhere");
                }
                Err(e) => return Err(e),
            }
        }
        let Some(vpc) = self.shown(cx, change, &id, made.since_ms).await? else {
            return Step::wait(&made, pace(made.since_ms), "waiting for the VPC to be known everywhere");
        };
        let there: Vec<IpNet> = ranges(&vpc).map(|(net, _)| net).collect();
        if let Some(net) = spec.cidrs.iter().find(|c| !there.contains(c) && !made.ranges.contains(c)) {
            // The same range cannot be there twice, so its name is the range itself.
            match region.ec2.write(cx, "AssociateVpcCidrBlock", region.ec2.associate_vpc_cidr_block().vpc_id(&id).cidr_block(net.to_string()).send()).await {
                Err(e) if error::is(&e, NOT_YET) && age(made.since_ms) < self.horizon => {
                    return Step::wait(&made, pace(made.since_ms), "waiting for the VPC to be known everywhere");
                }
                associated => associated?,
            };
            made.ranges.insert(*net);
            return Step::wait(&made, Duration::ZERO, format!("the range {net} is added"));
        }
        let pending = ranges(&vpc).any(|(_, state)| state == "associating") || made.ranges.iter().any(|r| !there.contains(r));
        if let Some((net, _)) = ranges(&vpc).find(|(_, state)| matches!(*state, "failed" | "failing")) {
            return Err(Error::new(ErrorKind::FailedPrecondition, Reason::CreationFailed, format!("EC2 could not add the range {net}")).with_field("cidrs"));
        }
        let gateways = made.gateway.iter().map(|_| id.clone()).collect();
        let object = object(region, &cx.owner, &vpc, Some(&gateways), Some(marks))?;
        if pending || object.status.state != NetworkState::Available || (spec.assign_ipv6_cidr && !object.status.cidrs.iter().any(|c| c.addr().is_ipv6())) {
            return Step::wait(&made, pace(made.since_ms), "the VPC is becoming available");
        }
        Ok(Step::Done(object))
    }
}

fn tags(cx: &Cx, change: &Change<Network>, spec: &NetworkSpec) -> Result<Tags> {
    let id = &change.target.name()?.id;
    let asked = Asked::default().note(ASKED_INTERNET, spec.internet_access.then_some(true));
    Ok(Tags::ours(&mark::of_change(cx, change), id).with_labels(&spec.labels, id).with(mark::ASKED, &asked.text()))
}

fn create_vpc(region: &Region, spec: &NetworkSpec) -> Result<aws_sdk_ec2::operation::create_vpc::builders::CreateVpcFluentBuilder> {
    let first = spec.cidrs.first().ok_or_else(|| Error::violated(Reason::FieldRequired, vec![Violation::new("cidrs", "a VPC needs at least one IPv4 range")]))?;
    let call = region.ec2.create_vpc().cidr_block(first.to_string());
    Ok(if spec.assign_ipv6_cidr { call.amazon_provided_ipv6_cidr_block(true) } else { call })
}

async fn gateways(region: &Region, cx: &Cx, filters: Vec<Filter>) -> Result<Vec<InternetGateway>> {
    all_pages(|token| {
        let call = region.ec2.describe_internet_gateways().set_filters(Some(filters.clone())).max_results(WHOLE).set_next_token(token);
        async move { region.ec2.read(cx, "DescribeInternetGateways", call.send()).await.map(|a| (a.internet_gateways, a.next_token)) }
    })
    .await
}
/// Which of these VPCs have an internet gateway.
async fn attached_to(region: &Region, cx: &Cx, vpcs: &[&str]) -> Result<BTreeSet<String>> {
    let mut out = BTreeSet::new();
    // A filter takes at most 200 values (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html).
    for some in vpcs.chunks(200) {
        let found = gateways(region, cx, vec![filter("attachment.vpc-id", some.iter().copied())]).await?;
        out.extend(found.iter().flat_map(|g| g.attachments()).filter_map(|a| a.vpc_id().map(ToOwned::to_owned)));
    }
    Ok(out)
}
/// The one that is attached to this VPC: there can be no other.
pub(crate) async fn gateway_of(region: &Region, cx: &Cx, vpc: &str) -> Result<Option<String>> {
    gateways(region, cx, vec![filter("attachment.vpc-id", [vpc])]).await.map(|found| first(&found))
}
/// The lowest id, so that every step takes the same one.
fn first(found: &[InternetGateway]) -> Option<String> {
    found.iter().filter_map(|g| g.internet_gateway_id.clone()).min()
}

/// Attaches the gateway and makes the default routes; false where the main route table is not visible yet.
async fn wire(region: &Region, cx: &Cx, vpc: &str, gateway: &str, ipv6: bool) -> Result<bool> {
    attach(region, cx, vpc, gateway).await?;
    let Some(table) = route_table::main_of(region, cx, vpc).await? else { return Ok(false) };
    let v4 = region.ec2.create_route().route_table_id(&table).gateway_id(gateway).destination_cidr_block(ANY_V4);
    unless(region.ec2.write(cx, "CreateRoute", v4.send()).await.map_err(of_access), &["RouteAlreadyExists"])?;
    if ipv6 {
        let v6 = region.ec2.create_route().route_table_id(table).gateway_id(gateway).destination_ipv6_cidr_block(ANY_V6);
        unless(region.ec2.write(cx, "CreateRoute", v6.send()).await.map_err(of_access), &["RouteAlreadyExists"])?;
    }
    Ok(true)
}
/// A route of ours that no specification asks for: what a route table calls `routes` is the way to the internet here.
fn of_access(refusal: Error) -> Error {
    if refusal.violations().is_empty() {
        return refusal;
    }
    let violation = Violation::new("internet_access", refusal.message());
    refusal.with_violations(vec![violation])
}
/// The gateway is ours and made for this VPC, so that it is attached already can only mean: to this one.
async fn attach(region: &Region, cx: &Cx, vpc: &str, gateway: &str) -> Result<()> {
    let call = region.ec2.attach_internet_gateway().internet_gateway_id(gateway).vpc_id(vpc);
    unless(region.ec2.write(cx, "AttachInternetGateway", call.send()).await, &["Resource.AlreadyAssociated"])
}
/// Fine, also where AWS answers with one of `codes`.
fn unless<T>(answer: Result<T>, codes: &[&str]) -> Result<()> {
    match answer {
        Err(e) if !error::is(&e, codes) => Err(e),
        _ => Ok(()),
    }
}

async fn refuse_if_used(region: &Region, cx: &Cx, vpc: &str) -> Result<()> {
    let subnets = Subnet::many(region, cx, vec![filter("vpc-id", [vpc])]).await?;
    let groups = security_group::in_vpc(region, cx, vpc).await?;
    let tables = route_table::in_vpc(region, cx, vpc).await?;
    let (groups_and_tables, subnet_ids) =
        (groups.iter().filter_map(|g| g.group_id()).chain(tables.iter().filter_map(|t| t.route_table_id())), subnets.iter().filter_map(|s| s.subnet_id()));
    let mut ids: Vec<&str> = subnet_ids.chain(groups_and_tables).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let more = if ids.len() > 5 { ", ..." } else { "" };
    ids.truncate(5);
    let (subnets, groups, tables) = (subnets.len(), groups.len(), tables.len());
    let why = format!("the network {vpc} still has {subnets} subnets, {groups} security groups and {tables} route tables: {}{more}; delete them first", ids.join(", "));
    Err(Error::new(ErrorKind::FailedPrecondition, Reason::InUse, why).with_resource(vpc))
}

async fn delete_vpc(region: &Region, cx: &Cx, id: &str, gates: &[InternetGateway]) -> Result<()> {
    // A read that lags shows one without its attachment, or with one that has gone: only what is attached elsewhere is left alone.
    let gates: Vec<&str> = gates.iter().filter(|g| g.attachments().iter().all(|a| a.vpc_id() == Some(id))).filter_map(|g| g.internet_gateway_id()).collect();
    for gate in &gates {
        let call = region.ec2.detach_internet_gateway().internet_gateway_id(*gate).vpc_id(id);
        unless(region.ec2.write(cx, "DetachInternetGateway", call.send()).await, &["Gateway.NotAttached", "InvalidInternetGatewayID.NotFound"])?;
    }
    let answer = region.ec2.write(cx, "DeleteVpc", region.ec2.delete_vpc().vpc_id(id).send()).await;
    if let (Err(refusal), Some(gate)) = (&answer, gates.first())
        && error::is(refusal, &["DependencyViolation"])
    {
        // Something that is not ours is still in it. Its way to the internet comes back: the routes are still there. A gateway that is not known
        // everywhere yet was not detached either.
        unless(attach(region, cx, id, gate).await, GATEWAY_GONE)?;
    }
    answer.map(drop)
}
async fn delete_gateway(region: &Region, cx: &Cx, gate: &InternetGateway) -> Result<()> {
    let id = answered(gate.internet_gateway_id(), "InternetGatewayId")?;
    let call = region.ec2.delete_internet_gateway().internet_gateway_id(id);
    region.ec2.write(cx, "DeleteInternetGateway", call.send()).await.map(drop)
}

fn asked_internet(tags: &Tags) -> bool {
    Asked::of(tags).has(ASKED_INTERNET)
}
fn wants_internet(vpc: &Vpc) -> bool {
    asked_internet(&Tags::of(vpc.tags()))
}
/// Every range that is or will be there, IPv4 first and the primary one before all others, with its state.
pub(crate) fn ranges(vpc: &Vpc) -> impl Iterator<Item = (IpNet, &str)> {
    let v4 = vpc.cidr_block_association_set().iter().map(|a| (a.cidr_block(), a.cidr_block_state().and_then(|s| s.state()).map_or("associated", |s| s.as_str())));
    let v6 = vpc.ipv6_cidr_block_association_set().iter().map(|a| (a.ipv6_cidr_block(), a.ipv6_cidr_block_state().and_then(|s| s.state()).map_or("associated", |s| s.as_str())));
    let primary = std::iter::once((vpc.cidr_block(), "associated"));
    let mut seen = BTreeMap::new();
    primary
        .chain(v4)
        .chain(v6)
        .filter(|(_, state)| !matches!(*state, "disassociated" | "disassociating"))
        .filter_map(|(text, state)| Some((text?.parse().ok()?, state)))
        .filter(move |(net, _): &(IpNet, &str)| seen.insert(*net, ()).is_none())
}

/// `gateways`: the VPCs that have one, where it was looked for. `written`: the tags that we wrote, where EC2 may not show them yet.
fn object(region: &Region, owner: &Owner, vpc: &Vpc, gateways: Option<&BTreeSet<String>>, written: Option<&Tags>) -> Result<Object<Network>> {
    let id = vendor_id(vpc.vpc_id(), "VpcId")?;
    let tags = Tags::of(vpc.tags()).or(written);
    let (name, mark) = match tags.mark(owner) {
        Some((name, mark)) => (name, Some(mark)),
        None => (ResourceId::of_vendor(id.as_str())?, None),
    };
    let internet_access = asked_internet(&tags);
    let missing = internet_access && gateways.is_some_and(|g| !g.contains(id.as_str()));
    let state = match vpc.state().map(|s| s.as_str()) {
        _ if missing => NetworkState::Incomplete,
        Some("available") => NetworkState::Available,
        Some("pending") => NetworkState::Pending,
        Some("deleting") => NetworkState::Deleting,
        _ => NetworkState::Unspecified,
    };
    let cidrs: Vec<IpNet> = ranges(vpc).filter(|(_, state)| *state == "associated").map(|(net, _)| net).collect();
    let spec = NetworkSpec {
        cidrs: ranges(vpc).map(|(net, _)| net).filter(|c| c.addr().is_ipv4()).collect(),
        assign_ipv6_cidr: vpc.ipv6_cidr_block_association_set().iter().any(|a| a.ipv6_cidr_block_state().and_then(|s| s.state()).is_none_or(|s| s.as_str() != "disassociated")),
        internet_access,
        labels: tags.labels(),
        provider_config: None,
    };
    Ok(Object {
        name: Name::new(region.name.clone(), name),
        provider_id: ProviderId::new("aws", "", &[region.id(), id.as_str()])?,
        vendor_id: id,
        mark,
        revision: None,
        created_ms: None,
        spec,
        status: NetworkStatus { state, cidrs },
    })
}

/// What is left of a network whose VPC is gone.
fn fragment(region: &Region, owner: &Owner, name: &Name<Network>, gate: &InternetGateway) -> Result<Object<Network>> {
    let id = vendor_id(gate.internet_gateway_id(), "InternetGatewayId")?;
    Ok(Object {
        name: name.clone(),
        provider_id: ProviderId::new("aws", "", &[region.id(), id.as_str()])?,
        vendor_id: id,
        mark: Tags::of(gate.tags()).mark(owner).map(|(_, m)| m),
        revision: None,
        created_ms: None,
        spec: NetworkSpec { internet_access: true, ..NetworkSpec::default() },
        status: NetworkStatus { state: NetworkState::Incomplete, cidrs: Vec::new() },
    })
}
