//! Route tables of a VPC: one object, its routes, and its associations with subnets.
//!
//! Calls: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateRouteTable.html>, which takes a client token, `CreateRoute`, `ReplaceRoute`,
//! `DeleteRoute`, `AssociateRouteTable`, `DisassociateRouteTable`. Of routes and associations neither has tags: those in a table that is ours are the table's.
//! A VPC's main table is EC2's own, and that of the subnets that no other is for
//! (<https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Route_Tables.html>).

mod route;

use crate::{
    Aws,
    client::Region,
    error,
    mark::{self, Tags, filter},
    network, owned,
    resource::{Found, Kept, Looking, SHOWN_TOO_LONG},
    single::{Begun, Head, One, Single, by_vendor_id, in_use, marked},
    step::{answered, made_id, now_ms, told},
};
use async_trait::async_trait;
use aws_sdk_ec2::{
    operation::create_route_table::builders::CreateRouteTableFluentBuilder,
    types::{Filter, ResourceType, RouteTable as Ec2RouteTable, RouteTableAssociation, Tag},
};
use route::{Shown, Writing, no_way_out};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use welkin_core::{
    Change, Cursor, Cx, Driver, Effect, Error, ErrorKind, FieldPath, Network, NoAction, Object, Owner, Page, Query, Reader, Reason, Ref, Result, Resume, RouteTable,
    RouteTableSpec, RouteTableState, RouteTableStatus, Shard, Step, Subnet, Target, Verb, Violation,
};

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRouteTables.html>
const MAX_RESULTS: i32 = 100;
/// An association's states, and whether it is there
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RouteTableAssociationState.html>). Once none said what it was.
static STATES: &[(&str, bool)] = &[("associating", true), ("associated", true), ("disassociating", false), ("disassociated", false), ("failed", false)];
/// What EC2 answers where it does not know yet what it was asked to lead to, or not yet that this was done already.
const NOT_YET: &[&str] = &[
    "InvalidRouteTableID.NotFound",
    "InvalidRouteTableId.NotFound",
    "InvalidGatewayID.NotFound",
    "InvalidInternetGatewayID.NotFound",
    "Gateway.NotAttached",
    "InvalidInstanceID.NotFound",
    "InvalidNatGatewayID.NotFound",
    "NatGatewayNotFound",
    "InvalidVpcPeeringConnectionID.NotFound",
    "InvalidSubnetID.NotFound",
    "InvalidSubnetId.NotFound",
    "RouteAlreadyExists",
    "InvalidRoute.NotFound",
    TAKEN,
];
/// The subnet is in some table already, perhaps in this one.
const TAKEN: &str = "Resource.AlreadyAssociated";

#[async_trait]
impl Kept for RouteTable {
    type Made = One;
    type Row = Ec2RouteTable;
    const PREFIX: &'static str = "rtb-";
    const BY_ID: &'static str = "route-table-id";
    const GONE: &'static [&'static str] = &["InvalidRouteTableID.NotFound", "InvalidRouteTableId.NotFound"];

    async fn one(region: &Region, cx: &Cx, id: &str) -> Result<Option<Ec2RouteTable>> {
        Ok(region.ec2.read(cx, "DescribeRouteTables", region.ec2.describe_route_tables().route_table_ids(id).send()).await?.route_tables.unwrap_or_default().pop())
    }
    async fn page(region: &Region, cx: &Cx, filters: Vec<Filter>, size: i32, token: Option<String>) -> Result<(Option<Vec<Ec2RouteTable>>, Option<String>)> {
        let call = region.ec2.describe_route_tables().set_filters(Some(filters)).max_results(size.min(MAX_RESULTS)).set_next_token(token);
        region.ec2.read(cx, "DescribeRouteTables", call.send()).await.map(|a| (a.route_tables, a.next_token))
    }
    fn id(table: &Ec2RouteTable) -> Option<&str> {
        table.route_table_id()
    }
    fn tags(table: &Ec2RouteTable) -> &[Tag] {
        table.tags()
    }
    fn created_ms(_: &Ec2RouteTable) -> Option<u64> {
        None
    }
    fn is_over(_: &Ec2RouteTable) -> bool {
        false
    }
}

#[async_trait]
impl Single for RouteTable {
    const WHAT: &'static str = "route table";
    const REFERENCES: &'static [&'static str] = Network::GONE;

    async fn make(region: &Region, cx: &Cx, change: &Change<Self>, spec: &RouteTableSpec) -> Result<String> {
        let call = create_table(region, cx, change, spec)?.client_token(&change.token);
        let answer = region.ec2.write(cx, "CreateRouteTable", call.send()).await?;
        made_id(answer.route_table().and_then(Ec2RouteTable::route_table_id), "RouteTableId")
    }
    /// Its subnets go back to the main table.
    async fn let_go(region: &Region, cx: &Cx, table: &Ec2RouteTable, _: bool) -> Result<Option<String>> {
        refuse_if_main(table)?;
        for association in associations(table).filter_map(|a| told(a.route_table_association_id())) {
            disassociate(region, cx, association).await?;
        }
        Ok(None)
    }
    async fn remove(region: &Region, cx: &Cx, id: &str) -> Result<()> {
        region.ec2.write(cx, "DeleteRouteTable", region.ec2.delete_route_table().route_table_id(id).send()).await.map(|_| ())
    }
}

#[async_trait]
impl Reader<RouteTable> for Aws {
    fn shards(&self, query: &Query<RouteTable>) -> Vec<Shard> {
        self.regional_shards(query.parent.as_ref())
    }

    async fn get(&self, cx: &Cx, target: &Target<RouteTable>) -> Result<Object<RouteTable>> {
        let found = self.seen(cx, target).await?.ok_or_else(|| Error::not_found(target))?;
        object(self.region(target.parent())?, &cx.owner, &found, None)
    }

    async fn list(&self, cx: &Cx, query: &Query<RouteTable>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<RouteTable>> {
        let (region, found, next) = self.listed(cx, query, shard, from, Vec::new()).await?;
        let items = found.iter().map(|t| object(region, &cx.owner, t, None)).collect::<Result<_>>()?;
        Ok(Page { items, next, unreachable: Vec::new() })
    }
}

#[async_trait]
impl Driver<RouteTable> for Aws {
    async fn check(&self, cx: &Cx, change: &Change<RouteTable>) -> Result<()> {
        self.check_adopted(cx, change).await?;
        let region = self.region(change.target.parent())?;
        if let Verb::Create { spec, .. } = &change.verb {
            region.ec2.dry_run(cx, "CreateRouteTable", create_table(region, cx, change, spec)?.dry_run(true).send()).await?;
            return refuse_if_impossible(region, cx, network_of(spec)?, None, spec).await;
        }
        let table = self.seen(cx, &change.target).await?.ok_or_else(|| Error::not_found(&change.target))?;
        owned(&change.target, &change.uid, &object(region, &cx.owner, &table, None)?)?;
        let (id, vpc) = (answered(told(table.route_table_id()), "RouteTableId")?, told(table.vpc_id()).unwrap_or_default());
        match &change.verb {
            Verb::Update { desired, paths } => refuse_if_impossible(region, cx, vpc, Some(id), &of_paths(desired, paths)).await,
            Verb::Act(action) => match *action {},
            Verb::Create { .. } | Verb::Delete => {
                refuse_if_main(&table)?;
                region.ec2.dry_run(cx, "DeleteRouteTable", region.ec2.delete_route_table().route_table_id(id).dry_run(true).send()).await
            }
        }
    }

    /// Once the table is made every write is named: a route by its destination, an association by its subnet.
    async fn create(&self, cx: &Cx, change: &Change<RouteTable>, spec: &RouteTableSpec, resume: &Resume) -> Result<Step<Object<RouteTable>>> {
        let region = self.region(change.target.parent())?;
        // What is read tells how things were when it was asked for, however slowly EC2 answers.
        let began_ms = now_ms();
        let (table, made) = match self.begun(cx, change, spec, resume).await? {
            Begun::Here(table, made) => (table, made),
            Begun::NotYet(step) => return Ok(*step),
        };
        let marks = tags(cx, change, spec)?;
        let mut writing = Writing { region, cx, table: answered(told(table.route_table_id()), "RouteTableId")?, has_written: false };
        let arranged = arranged(&mut writing, &table, spec, &BTreeSet::from(ARRANGED.map(FieldPath::from)), Some(&marks)).await;
        let made = if writing.has_written { One { since_ms: now_ms(), ..made } } else { made };
        match arranged {
            Err(e) if may_pass(&e, Duration::from_millis(began_ms.saturating_sub(made.since_ms)), self.horizon) => {
                made.wait(format!("waiting for what the route table leads to: {}", e.message()))
            }
            arranged => arranged.map(Step::Done),
        }
    }

    async fn update(&self, cx: &Cx, change: &Change<RouteTable>, desired: &RouteTableSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<RouteTable>>> {
        let region = self.region(change.target.parent())?;
        let looking = Looking::of(resume);
        let age = looking.age();
        let table = match self.located(cx, change, resume).await? {
            Found::Here(table) => table,
            Found::NotYet(looking) => return looking.step(),
        };
        if self.is_old(change, &object(region, &cx.owner, &table, None)?.spec)? {
            return looking.step();
        }
        let mut writing = Writing { region, cx, table: answered(told(table.route_table_id()), "RouteTableId")?, has_written: false };
        let arranged = arranged(&mut writing, &table, desired, paths, None).await;
        let (looking, age) = if writing.has_written { (Looking::from_now(), Duration::ZERO) } else { (looking, age) };
        let mut object = match arranged {
            Err(e) if may_pass(&e, age, self.horizon) => return looking.waits(format!("waiting for what the route table leads to: {}", e.message())),
            arranged => arranged?,
        };
        if paths.contains(&FieldPath::from("labels")) {
            if let Err(refusal) = mark::relabel(region, cx, change, object.vendor_id.as_str(), &Tags::of(table.tags()), &desired.labels).await {
                return self.refused::<RouteTable, _>(resume, refusal);
            }
            object.spec.labels = desired.labels.clone();
        }
        Ok(Step::Done(object))
    }

    async fn delete(&self, cx: &Cx, change: &Change<RouteTable>, resume: &Resume) -> Result<Step<()>> {
        self.ended(cx, change, resume).await
    }

    async fn act(&self, _: &Cx, _: &Change<RouteTable>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }

    async fn ask(&self, _: &Cx, _: &Target<RouteTable>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}

/// What is written after the table itself.
const ARRANGED: [&str; 2] = ["routes", "subnets"];

/// The table with these fields as they should be. `written`: the tags that we wrote, where EC2 may not show them yet.
async fn arranged(writing: &mut Writing<'_>, table: &Ec2RouteTable, spec: &RouteTableSpec, paths: &BTreeSet<FieldPath>, written: Option<&Tags>) -> Result<Object<RouteTable>> {
    let Writing { region, cx, .. } = *writing;
    let mut object = object(region, &cx.owner, table, written)?;
    let spec = of_paths(spec, paths);
    if paths.contains(&FieldPath::from("routes")) {
        let gateway = way_out(region, cx, told(table.vpc_id()).unwrap_or_default(), &spec).await?;
        let mut shown = Shown::of(region, table)?;
        shown.become_what(writing, &spec.routes, gateway.as_deref()).await?;
        (object.status.blackholes, object.status.other_routes) = (shown.blackholes(), shown.other_routes());
        object.spec.routes = shown.routes;
    }
    if paths.contains(&FieldPath::from("subnets")) {
        associate(writing, table, &spec.subnets).await?;
        object.spec.subnets = spec.subnets.iter().map(|r| by_vendor_id(region, r.vendor_id()?.as_str())).collect::<Result<_>>()?;
    }
    object.spec.sort();
    Ok(object)
}
/// Routes and subnets where they are meant.
fn of_paths(spec: &RouteTableSpec, paths: &BTreeSet<FieldPath>) -> RouteTableSpec {
    let has = |path: &str| paths.contains(&FieldPath::from(path));
    RouteTableSpec { routes: if has("routes") { spec.routes.clone() } else { Vec::new() }, subnets: if has("subnets") { spec.subnets.clone() } else { Vec::new() }, ..spec.clone() }
}

/// May this refusal pass? Something is not known everywhere yet, or, for a shorter time, what stands in the way was shown too long.
fn may_pass(refusal: &Error, age: Duration, horizon: Duration) -> bool {
    let is_judged_by_a_read = refusal.vendor().is_none() && matches!(refusal.reason(), Reason::InUse | Reason::WrongState);
    let is_lost_sight_of = error::is(refusal, &["InvalidParameterValue"]) && refusal.message().contains("no route defined");
    match refusal.effect() {
        Effect::None if is_judged_by_a_read => age < horizon.min(SHOWN_TOO_LONG),
        Effect::None => age < horizon && (error::is(refusal, NOT_YET) || is_lost_sight_of),
        Effect::Unknown | Effect::Applied => false,
    }
}

/// The internet gateway of the network, where a route leads there.
async fn way_out(region: &Region, cx: &Cx, vpc: &str, spec: &RouteTableSpec) -> Result<Option<String>> {
    if !spec.routes.iter().any(|r| r.internet) {
        return Ok(None);
    }
    network::gateway_of(region, cx, vpc).await?.ok_or_else(no_way_out).map(Some)
}

fn is_there(state: Option<&str>) -> bool {
    state.and_then(|state| STATES.iter().find(|(name, _)| *name == state)).is_none_or(|(_, is_there)| *is_there)
}
fn associations(table: &Ec2RouteTable) -> impl Iterator<Item = &RouteTableAssociation> {
    table.associations().iter().filter(|a| is_there(a.association_state().and_then(|s| s.state()).map(|s| s.as_str())))
}
/// The subnets that it is for, and the associations' ids.
fn subnets(table: &Ec2RouteTable) -> BTreeMap<&str, Option<&str>> {
    associations(table).filter_map(|a| Some((told(a.subnet_id())?, told(a.route_table_association_id())))).collect()
}
fn is_main(table: &Ec2RouteTable) -> bool {
    table.associations().iter().any(|a| a.main() == Some(true))
}
fn refuse_if_main(table: &Ec2RouteTable) -> Result<()> {
    let users = if is_main(table) { vec![table.vpc_id().unwrap_or_default().to_owned()] } else { Vec::new() };
    in_use("route table", table.route_table_id().unwrap_or_default(), users, "it is the main one there, which goes with the network")
}

/// The table, for these subnets and no others.
async fn associate(writing: &mut Writing<'_>, table: &Ec2RouteTable, asked: &[Ref<Subnet>]) -> Result<()> {
    let Writing { region, cx, table: id, .. } = *writing;
    let there = subnets(table);
    let wanted = asked.iter().map(|r| r.vendor_id().map(|id| id.as_str())).collect::<Result<BTreeSet<_>>>()?;
    for subnet in wanted.iter().filter(|s| !there.contains_key(*s)) {
        let call = region.ec2.associate_route_table().route_table_id(id).subnet_id(*subnet);
        match region.ec2.write(cx, "AssociateRouteTable", call.send()).await {
            Err(e) if error::is(&e, &[TAKEN]) => taken(region, cx, id, subnet, e).await?,
            answer => drop(answer?),
        }
        writing.has_written = true;
    }
    for association in there.iter().filter(|(subnet, _)| !wanted.contains(*subnet)).map(|(_, association)| association) {
        disassociate(region, cx, answered(*association, "RouteTableAssociationId")?).await?;
        writing.has_written = true;
    }
    Ok(())
}
/// EC2 does not say by which table. Where none is shown that will change.
async fn taken(region: &Region, cx: &Cx, id: &str, subnet: &str, refusal: Error) -> Result<()> {
    match by_subnet(region, cx, &[subnet]).await?.get(subnet) {
        Some(other) if other == id => Ok(()),
        Some(other) => Err(is_for(other, subnet)),
        None => {
            let violation = Violation::new("subnets", refusal.message());
            Err(refusal.with_violations(vec![violation]))
        }
    }
}
fn is_for(table: &str, subnet: &str) -> Error {
    let why = format!("the subnet {subnet} is associated with {table}; take it out of that first");
    Error::new(ErrorKind::FailedPrecondition, Reason::InUse, why).with_field("subnets").with_resource(table)
}
/// The table that each of these subnets is associated with, where it is.
async fn by_subnet(region: &Region, cx: &Cx, ids: &[&str]) -> Result<BTreeMap<String, String>> {
    let mut out = BTreeMap::new();
    // A filter takes at most 200 values (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html).
    for some in ids.chunks(200) {
        for table in RouteTable::many(region, cx, vec![filter("association.subnet-id", some.iter().copied())]).await? {
            out.extend(subnets(&table).into_keys().map(|subnet| (subnet.to_owned(), table.route_table_id().unwrap_or_default().to_owned())));
        }
    }
    Ok(out)
}
async fn disassociate(region: &Region, cx: &Cx, association: &str) -> Result<()> {
    match region.ec2.write(cx, "DisassociateRouteTable", region.ec2.disassociate_route_table().association_id(association).send()).await {
        // It has gone, and was shown a moment too long.
        Err(e) if !error::is(&e, &["InvalidAssociationID.NotFound"]) => Err(e),
        _ => Ok(()),
    }
}

/// What would be refused once it is written, as far as reads tell. `id`: of the table, where it is there.
async fn refuse_if_impossible(region: &Region, cx: &Cx, vpc: &str, id: Option<&str>, spec: &RouteTableSpec) -> Result<()> {
    way_out(region, cx, vpc, spec).await?;
    let wanted = spec.subnets.iter().map(|r| r.vendor_id().map(|id| id.as_str())).collect::<Result<Vec<_>>>()?;
    let taken = by_subnet(region, cx, &wanted).await?;
    match wanted.iter().find_map(|s| Some((taken.get(*s).filter(|table| Some(table.as_str()) != id)?, s))) {
        Some((other, subnet)) => Err(is_for(other, subnet)),
        None => Ok(()),
    }
}

/// Those of a VPC that it does not take with it.
pub(crate) async fn in_vpc(region: &Region, cx: &Cx, vpc: &str) -> Result<Vec<Ec2RouteTable>> {
    let mut tables = RouteTable::many(region, cx, vec![filter("vpc-id", [vpc])]).await?;
    tables.retain(|t| !is_main(t));
    Ok(tables)
}
/// The one that EC2 has made with it; None where it is not shown yet.
pub(crate) async fn main_of(region: &Region, cx: &Cx, vpc: &str) -> Result<Option<String>> {
    let found = RouteTable::many(region, cx, vec![filter("vpc-id", [vpc]), filter("association.main", ["true"])]).await?;
    Ok(found.into_iter().find_map(|t| t.route_table_id))
}

fn tags(cx: &Cx, change: &Change<RouteTable>, spec: &RouteTableSpec) -> Result<Tags> {
    let network = spec.network.as_ref().map(|r| r.name.to_string()).unwrap_or_default();
    Ok(marked(cx, change, &spec.labels)?.with(mark::NETWORK, &network))
}
fn network_of(spec: &RouteTableSpec) -> Result<&str> {
    let required = || Error::violated(Reason::FieldRequired, vec![Violation::new("network", "a route table needs the network that it is for")]);
    Ok(spec.network.as_ref().ok_or_else(required)?.vendor_id()?.as_str())
}
fn create_table(region: &Region, cx: &Cx, change: &Change<RouteTable>, spec: &RouteTableSpec) -> Result<CreateRouteTableFluentBuilder> {
    Ok(region.ec2.create_route_table().vpc_id(network_of(spec)?).tag_specifications(tags(cx, change, spec)?.on(ResourceType::RouteTable)))
}

/// `written`: the tags that we wrote, where EC2 may not show them yet.
fn object(region: &Region, owner: &Owner, table: &Ec2RouteTable, written: Option<&Tags>) -> Result<Object<RouteTable>> {
    let head = Head::of::<RouteTable>(owner, table, "RouteTableId", written)?;
    let shown = Shown::of(region, table)?;
    let status = RouteTableStatus { state: RouteTableState::Available, blackholes: shown.blackholes(), other_routes: shown.other_routes() };
    let mut spec = RouteTableSpec {
        network: head.refer(region, mark::NETWORK, told(table.vpc_id()))?,
        routes: shown.routes,
        subnets: subnets(table).into_keys().map(|id| by_vendor_id(region, id)).collect::<Result<_>>()?,
        labels: head.tags.labels(),
        provider_config: None,
    };
    spec.sort();
    head.object(region, None, None, spec, status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::RouteTableAssociationStateCode;

    #[test]
    fn every_state_of_an_association_has_a_meaning() {
        for known in RouteTableAssociationStateCode::values() {
            assert_eq!(STATES.iter().filter(|(name, _)| name == known).count(), 1, "{known}");
        }
        assert_eq!([None, Some("associating"), Some("disassociating"), Some("failed"), Some("new")].map(is_there), [true, true, false, false, true]);
    }
    #[test]
    fn what_a_read_has_judged_passes_sooner_than_what_ec2_does_not_know() {
        let day = Duration::from_secs(86_400);
        for (refusal, grace) in [
            (is_for("rtb-1", "subnet-1"), SHOWN_TOO_LONG),
            (no_way_out(), SHOWN_TOO_LONG),
            (error::Refusal { action: "CreateRoute", write: true, status: 400, code: "RouteAlreadyExists", ..error::Refusal::default() }.error(), day),
            (error::Refusal { action: "CreateRoute", write: true, status: 400, code: "RouteLimitExceeded", ..error::Refusal::default() }.error(), Duration::ZERO),
        ] {
            let just = grace.saturating_sub(Duration::from_millis(1));
            assert_eq!((may_pass(&refusal, just, day), may_pass(&refusal, grace, day)), (grace > Duration::ZERO, false), "{refusal}");
        }
    }
}
