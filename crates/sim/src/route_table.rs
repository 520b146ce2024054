//! Route tables: one object of the vendor, its routes, and the subnets that it is for.

use crate::{
    Sim, error, mark,
    resource::{Begun, Found, Fragment, Kept, Rows, by_vendor_id, expected, or_gone},
    vendor::{Action, Answer, Cloud, Code, Filter, NewRouteTable, Tags, Traced, VendorRoute, Way},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};
use welkin_core::{
    Change, Cx, Driver, Error, FieldPath, Instance, Kind, LocationName, Name, NatGateway, Network, NoAction, Object, Ref, ResourceId, Result, Resume, Route, RouteChanges,
    RouteTable, RouteTableSpec, RouteTableState, RouteTableStatus, Step, Subnet, Target, Verb,
};

/// What a create has made so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    route_table: String,
}

#[async_trait]
impl Kept for RouteTable {
    type Row = Traced;
    const READ: Action = Action::DescribeRouteTables;
    const REMOVE: Action = Action::DeleteRouteTable;
    const UNKNOWN: Code = Code::RouteTableNotFound;
    const IS_FREED: bool = true;

    async fn one(cloud: &Cloud, region: &str, id: &str) -> Answer<Option<Traced>> {
        cloud.route_table(region, id).await
    }
    async fn many(cloud: &Cloud, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Answer<Rows<Traced>> {
        cloud.route_tables(region, filter, after, size).await
    }
    async fn remove(cloud: &Cloud, region: &str, id: &str) -> Answer<()> {
        cloud.delete_route_table(region, id).await
    }
    async fn free(sim: &Sim, cx: &Cx, region: &str, (row, _): &Traced) -> Result<()> {
        for subnet in &row.body().subnets {
            let free = sim.call(cx, Action::DisassociateRouteTable, region, sim.cloud.disassociate_route_table(region, row.id(), subnet, None)).await;
            free.map(drop).or_else(|e| if error::is(&e, Self::UNKNOWN) { Ok(()) } else { Err(e) })?;
        }
        Ok(())
    }
    fn is_leaving(_: &Traced) -> bool {
        false
    }
    async fn shows_parts(_: &Sim, _: &Cx, _: &str, _: &Traced) -> Result<bool> {
        Ok(true)
    }
    async fn fragments(_: &Sim, _: &Cx, _: &str, _: &[(&str, &str)]) -> Result<Vec<Fragment>> {
        Ok(Vec::new())
    }
    async fn remove_fragment(_: &Sim, _: &Cx, _: &str, _: &str) -> Result<()> {
        Ok(())
    }
    fn incomplete() -> RouteTableStatus {
        RouteTableStatus { state: RouteTableState::Incomplete, ..RouteTableStatus::default() }
    }
    fn told(location: &LocationName, (row, lost): &Traced, tags: &Tags) -> Result<(RouteTableSpec, RouteTableStatus)> {
        let body = row.body();
        let network = match tags.get(mark::NETWORK).and_then(|id| id.parse::<ResourceId>().ok()) {
            Some(id) => id,
            None => Network::foreign_id(&body.network)?,
        };
        let mut spec = RouteTableSpec {
            network: Some(Ref::resolved(Name::new(location.clone(), network), body.network.parse()?)),
            routes: body.routes.iter().map(|route| route_of(location, route)).collect::<Result<_>>()?,
            subnets: body.subnets.iter().map(|id| by_vendor_id::<Subnet>(location, id)).collect::<Result<_>>()?,
            labels: mark::labels(tags),
            provider_config: None,
        };
        spec.sort();
        let other_routes = body.propagated.iter().map(|net| format!("{net}: propagated")).collect();
        let mut blackholes = lost.clone();
        blackholes.sort_unstable();
        Ok((spec, RouteTableStatus { state: RouteTableState::Available, blackholes, other_routes }))
    }
    fn place(location: &LocationName, _: &Traced) -> String {
        location.id.to_string()
    }
}

fn route_of(location: &LocationName, VendorRoute { destination, way }: &VendorRoute) -> Result<Route> {
    let route = Route { destination: Some(*destination), ..Route::default() };
    Ok(match way {
        Way::Internet => Route { internet: true, ..route },
        Way::Instance(id) => Route { instance: Some(by_vendor_id::<Instance>(location, id)?), ..route },
        Way::NatGateway(id) => Route { nat_gateway: Some(by_vendor_id::<NatGateway>(location, id)?), ..route },
    })
}
fn vendor_route(route: &Route) -> Result<VendorRoute> {
    let destination = route.destination.ok_or_else(|| Error::invalid("routes", "a route needs a destination"))?;
    let way = match (&route.instance, &route.nat_gateway) {
        (Some(instance), _) => Way::Instance(instance.vendor_id()?.to_string()),
        (None, Some(gateway)) => Way::NatGateway(gateway.vendor_id()?.to_string()),
        (None, None) => Way::Internet,
    };
    Ok(VendorRoute { destination, way })
}
fn wanted(cx: &Cx, change: &Change<RouteTable>, spec: &RouteTableSpec) -> Result<NewRouteTable> {
    let network = spec.network.as_ref().ok_or_else(|| Error::invalid("network", "a route table needs the network that it is for"))?;
    Ok(NewRouteTable {
        network: network.vendor_id()?.to_string(),
        routes: spec.routes.iter().map(vendor_route).collect::<Result<_>>()?,
        subnets: spec.subnets.iter().map(|r| r.vendor_id().map(ToString::to_string)).collect::<Result<_>>()?,
        tags: mark::main_tags(cx, change, &spec.labels, &[(mark::NETWORK, network.name.id.to_string())])?,
    })
}
/// The vendor's code alone does not tell that it is about this field.
fn of_subnets(e: Error) -> Error {
    if error::is(&e, Code::SubnetNotFound) { e.with_field("subnets") } else { e }
}

impl Sim {
    /// Brings the routes to what is asked for and touches none that is so already. What is to go goes last, so that what both the old and the new ones
    /// lead anywhere is never cut.
    async fn routed(&self, cx: &Cx, change: &Change<RouteTable>, routes: &[Route], mut row: Traced, expect: &mut Option<u64>) -> Result<Traced> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let id = row.0.id().to_owned();
        let there = row.0.body().routes.iter().map(|route| route_of(location, route)).collect::<Result<Vec<_>>>()?;
        let changes = RouteChanges::between(&there, routes);
        for route in changes.missing {
            let call = self.cloud.create_route(region, &id, vendor_route(route)?, expect.take());
            row = or_gone(&change.target, self.call(cx, Action::CreateRoute, region, call).await)?;
        }
        for route in changes.other {
            let call = self.cloud.replace_route(region, &id, vendor_route(route)?, expect.take());
            row = or_gone(&change.target, self.call(cx, Action::ReplaceRoute, region, call).await)?;
        }
        for destination in changes.surplus {
            let call = self.cloud.delete_route(region, &id, destination, expect.take());
            row = or_gone(&change.target, self.call(cx, Action::DeleteRoute, region, call).await)?;
        }
        Ok(row)
    }
    /// The table, for these subnets and no others.
    async fn associated(&self, cx: &Cx, change: &Change<RouteTable>, subnets: &[Ref<Subnet>], mut row: Traced, expect: &mut Option<u64>) -> Result<Traced> {
        let region = change.target.parent().id.as_str();
        let id = row.0.id().to_owned();
        let there: BTreeSet<String> = row.0.body().subnets.iter().cloned().collect();
        let asked = subnets.iter().map(|r| r.vendor_id().map(ToString::to_string)).collect::<Result<BTreeSet<_>>>()?;
        for subnet in asked.difference(&there) {
            let call = self.cloud.associate_route_table(region, &id, subnet, expect.take());
            row = or_gone(&change.target, self.call(cx, Action::AssociateRouteTable, region, call).await).map_err(of_subnets)?;
        }
        for subnet in there.difference(&asked) {
            let call = self.cloud.disassociate_route_table(region, &id, subnet, expect.take());
            row = or_gone(&change.target, self.call(cx, Action::DisassociateRouteTable, region, call).await)?;
        }
        Ok(row)
    }
}

#[async_trait]
impl Driver<RouteTable> for Sim {
    async fn check(&self, cx: &Cx, change: &Change<RouteTable>) -> Result<()> {
        let region = change.target.parent().id.as_str();
        match &change.verb {
            Verb::Create { spec, .. } => {
                let call = self.cloud.dry_create_route_table(region, wanted(cx, change, spec)?);
                self.call(cx, Action::DryRun, region, call).await.map_err(of_subnets)
            }
            Verb::Update { .. } => self.present(cx, change).await?.map(drop).ok_or_else(|| Error::not_found(&change.target)),
            Verb::Delete => match self.present(cx, change).await? {
                Some((row, _)) => self.call(cx, Action::DryRun, region, self.cloud.dry_delete_route_table(region, row.id())).await,
                None => Ok(()),
            },
            Verb::Act(action) => match *action {},
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<RouteTable>, spec: &RouteTableSpec, resume: &Resume) -> Result<Step<Object<RouteTable>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let (made, resume) = resume.read::<Made>();
        let new = wanted(cx, change, spec)?;
        let tags = new.tags.clone();
        let found = match self.begun(cx, change, made.as_ref().map(|m| m.route_table.as_str()), false, &resume, "route table").await? {
            Begun::Here(row) => Some(row),
            Begun::Nothing => None,
            Begun::NotYet(why) => return Ok(Step::look_again(self.pause(), why)),
        };
        let Some(row) = found else {
            let row = self.call(cx, Action::CreateRouteTable, region, self.cloud.create_route_table(region, new)).await?;
            if spec.routes.is_empty() && spec.subnets.is_empty() {
                return Ok(Step::Done(Self::object::<RouteTable>(cx, location, &row, Some(&tags))?));
            }
            return Step::wait(&Made { route_table: row.0.id().to_owned() }, Duration::ZERO, "made the route table");
        };
        let row = self.routed(cx, change, &spec.routes, row, &mut None).await?;
        let row = self.associated(cx, change, &spec.subnets, row, &mut None).await?;
        Ok(Step::Done(Self::object::<RouteTable>(cx, location, &row, Some(&tags))?))
    }

    async fn update(&self, cx: &Cx, change: &Change<RouteTable>, desired: &RouteTableSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<RouteTable>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let mut row = match self.located(cx, change, resume).await? {
            Found::Here(row) => row,
            Found::NotYet(looking) => return Step::wait(&looking, self.pause(), "waiting for the cloud to show the route table"),
            Found::Gone => return Err(Error::not_found(&change.target)),
        };
        let mut expect = expected(change, resume);
        let has = |path: &str| paths.contains(&FieldPath::from(path));
        if has("routes") {
            row = self.routed(cx, change, &desired.routes, row, &mut expect).await?;
        }
        if has("subnets") {
            row = self.associated(cx, change, &desired.subnets, row, &mut expect).await?;
        }
        let tags = mark::relabelled(row.0.tags().unwrap_or(&Tags::new()), &desired.labels);
        if has("labels") && row.0.tags() != Some(&tags) {
            let call = self.cloud.tag_route_table(region, row.0.id(), tags, expect);
            row = or_gone(&change.target, self.call(cx, Action::TagRouteTable, region, call).await)?;
        }
        Ok(Step::Done(Self::object::<RouteTable>(cx, location, &row, None)?))
    }

    async fn delete(&self, cx: &Cx, change: &Change<RouteTable>, resume: &Resume) -> Result<Step<()>> {
        self.erased(cx, change, resume).await
    }

    async fn act(&self, _: &Cx, _: &Change<RouteTable>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }

    async fn ask(&self, _: &Cx, _: &Target<RouteTable>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}
