use super::{
    cloud::{Action, Cloud, Draw, changed},
    instances::instance_of,
    item::{Item, RouteTable, Shown, Tags, VendorRoute, Way},
    networks::{expect_version, network_of},
    quotas,
    refusal::{Code, Refusal},
    state::{Edit, Region},
    subnets::subnet_of,
    table::{Filter, Listed},
};
use ipnet::IpNet;
use std::sync::Arc;

/// Routes in one table.
pub(crate) const MOST_ROUTES: usize = 50;

/// With the destinations whose target has gone.
pub(crate) type Traced = (Shown<RouteTable>, Vec<IpNet>);

/// What a new route table should be; routes and subnets are only tried out with it.
#[derive(Debug, Clone)]
pub(crate) struct NewRouteTable {
    pub(crate) network: String,
    pub(crate) routes: Vec<VendorRoute>,
    pub(crate) subnets: Vec<String>,
    pub(crate) tags: Tags,
}

fn table_of<'a>(region: &'a Region, id: &str) -> Result<&'a Arc<Item<RouteTable>>, Refusal> {
    region.route_tables.get(id).ok_or_else(|| Refusal::new(Code::RouteTableNotFound, format!("there is no route table {id:?}")))
}
fn traced(region: &Region, table: Shown<RouteTable>, now_ms: u64) -> Traced {
    let lost = table.body().routes.iter().filter(|route| leads(region, &table.body().network, &route.way, now_ms).is_err());
    let lost = lost.map(|route| route.destination).collect();
    (table, lost)
}
/// An item with the edit that keeps it.
fn put(region: &Region, item: Item<RouteTable>, now_ms: u64) -> (Traced, Vec<Edit>) {
    (traced(region, Shown::written(Arc::new(item.clone()), now_ms), now_ms), vec![Edit::PutRouteTable(Box::new(item))])
}

impl Cloud {
    pub(crate) async fn create_route_table(&self, region: &str, new: NewRouteTable) -> Result<Traced, Refusal> {
        self.write(Action::CreateRouteTable, region, |r, draw| created(r, draw, new)).await
    }
    pub(crate) async fn dry_create_route_table(&self, region: &str, new: NewRouteTable) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| {
            for route in &new.routes {
                leads(r, &new.network, &route.way, draw.now_ms)?;
            }
            for subnet in &new.subnets {
                is_free(r, &new.network, "", subnet)?;
            }
            created(r, draw, new)
        })
        .await
    }
    pub(crate) fn plant_route_table(&self, region: &str, new: NewRouteTable) -> Result<String, Refusal> {
        self.plant(region, |r, draw| {
            let (_, mut edits) = created(r, draw, new)?;
            let Some(Edit::PutRouteTable(item)) = edits.first_mut() else { return Ok((String::new(), edits)) };
            (item.visible_ms, item.tagged_ms) = (draw.now_ms, draw.now_ms);
            Ok((item.id.clone(), edits))
        })
    }
    /// A route that the vendor puts there itself.
    pub(crate) fn plant_route(&self, region: &str, id: &str, destination: IpNet) -> Result<(), Refusal> {
        self.plant(region, |r, _| {
            let item = table_of(r, id)?;
            let mut body = item.body.clone();
            body.propagated.push(destination);
            Ok(((), vec![Edit::PutRouteTable(Box::new(changed(item, body)))]))
        })
    }
    pub(crate) async fn route_table(&self, region: &str, id: &str) -> Result<Option<Traced>, Refusal> {
        self.read(Action::DescribeRouteTables, region, |r, now| Ok(r.route_tables.show(id, now).map(|t| traced(r, t, now)))).await
    }
    pub(crate) async fn route_tables(&self, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Result<(Vec<Traced>, Option<String>), Refusal> {
        let size = size.min(self.config().page_size);
        self.read(Action::DescribeRouteTables, region, |r, now| {
            let Listed { items, next } = r.route_tables.list(&filter, after, size, now, |_| true)?;
            Ok((items.into_iter().map(|t| traced(r, t, now)).collect(), next))
        })
        .await
    }
    async fn edit_table(
        &self,
        action: Action,
        region: &str,
        id: &str,
        expect: Option<u64>,
        edit: impl FnOnce(&Region, u64, &str, &mut RouteTable) -> Result<(), Refusal>,
    ) -> Result<Traced, Refusal> {
        self.write(action, region, |r, draw| {
            let item = table_of(r, id)?;
            expect_version(item, expect)?;
            let mut body = item.body.clone();
            edit(r, draw.now_ms, id, &mut body)?;
            if body == item.body {
                return Ok((traced(r, Shown::written(Arc::clone(item), draw.now_ms), draw.now_ms), Vec::new()));
            }
            Ok(put(r, changed(item, body), draw.now_ms))
        })
        .await
    }
    /// Fine where it is there so; refused where there is another to this destination.
    pub(crate) async fn create_route(&self, region: &str, id: &str, route: VendorRoute, expect: Option<u64>) -> Result<Traced, Refusal> {
        self.edit_table(Action::CreateRoute, region, id, expect, |r, now_ms, _, table| {
            leads(r, &table.network, &route.way, now_ms)?;
            match table.routes.iter().find(|there| there.destination == route.destination) {
                Some(there) if *there == route => return Ok(()),
                Some(_) => return Err(Refusal::new(Code::RouteExists, format!("there is a route to {} already", route.destination))),
                None if table.routes.len() >= MOST_ROUTES => return Err(Refusal::new(Code::QuotaExceeded, format!("a route table may hold {MOST_ROUTES} routes"))),
                None => table.routes.push(route),
            }
            Ok(())
        })
        .await
    }
    pub(crate) async fn replace_route(&self, region: &str, id: &str, route: VendorRoute, expect: Option<u64>) -> Result<Traced, Refusal> {
        self.edit_table(Action::ReplaceRoute, region, id, expect, |r, now_ms, _, table| {
            leads(r, &table.network, &route.way, now_ms)?;
            let there = table.routes.iter_mut().find(|there| there.destination == route.destination);
            let there = there.ok_or_else(|| Refusal::new(Code::RouteNotFound, format!("there is no route to {}", route.destination)))?;
            *there = route;
            Ok(())
        })
        .await
    }
    /// Fine where there is none.
    pub(crate) async fn delete_route(&self, region: &str, id: &str, destination: IpNet, expect: Option<u64>) -> Result<Traced, Refusal> {
        self.edit_table(Action::DeleteRoute, region, id, expect, |_, _, _, table| {
            table.routes.retain(|route| route.destination != destination);
            Ok(())
        })
        .await
    }
    /// Fine where it is in it, refused where another table is for it.
    pub(crate) async fn associate_route_table(&self, region: &str, id: &str, subnet: &str, expect: Option<u64>) -> Result<Traced, Refusal> {
        self.edit_table(Action::AssociateRouteTable, region, id, expect, |r, _, id, table| {
            is_free(r, &table.network, id, subnet)?;
            if !table.subnets.iter().any(|s| s == subnet) {
                table.subnets.push(subnet.to_owned());
            }
            Ok(())
        })
        .await
    }
    /// Fine where it is not in it.
    pub(crate) async fn disassociate_route_table(&self, region: &str, id: &str, subnet: &str, expect: Option<u64>) -> Result<Traced, Refusal> {
        self.edit_table(Action::DisassociateRouteTable, region, id, expect, |_, _, _, table| {
            table.subnets.retain(|s| s != subnet);
            Ok(())
        })
        .await
    }
    pub(crate) async fn tag_route_table(&self, region: &str, id: &str, tags: Tags, expect: Option<u64>) -> Result<Traced, Refusal> {
        self.write(Action::TagRouteTable, region, |r, draw| {
            let item = table_of(r, id)?;
            expect_version(item, expect)?;
            Ok(put(r, Item { tags, ..changed(item, item.body.clone()) }, draw.now_ms))
        })
        .await
    }
    /// Refused while it is for a subnet.
    pub(crate) async fn delete_route_table(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.write(Action::DeleteRouteTable, region, |r, _| match table_of(r, id)?.body.subnets.first() {
            Some(subnet) => Err(Refusal::new(Code::DependencyViolation, format!("{id} is for {subnet}"))),
            None => removed(r, id),
        })
        .await
    }
    /// As if it were for no subnet.
    pub(crate) async fn dry_delete_route_table(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.dry_run(region, |r, _| removed(r, id)).await
    }
}

fn created(region: &Region, draw: &mut Draw<'_>, new: NewRouteTable) -> Result<(Traced, Vec<Edit>), Refusal> {
    network_of(region, &new.network)?;
    draw.has_room(region, &quotas::ROUTE_TABLES)?;
    let body = RouteTable { network: new.network, routes: Vec::new(), propagated: Vec::new(), subnets: Vec::new() };
    Ok(put(region, draw.item(new.tags, body), draw.now_ms))
}
/// Does it lead anywhere, within the table's network?
fn leads(region: &Region, network: &str, way: &Way, now_ms: u64) -> Result<(), Refusal> {
    let subnet = match way {
        Way::Internet => {
            return match network_of(region, network)?.body.gateway {
                Some(_) => Ok(()),
                None => Err(Refusal::new(Code::NoWayToTheInternet, format!("{network} has no gateway to the internet attached"))),
            };
        }
        Way::Instance(id) => instance_of(region, id, now_ms).ok().map(|i| &i.body.subnet),
        Way::NatGateway(id) => region.nat_gateways.get(id).filter(|g| g.body.holds(now_ms)).map(|g| &g.body.subnet),
    };
    let subnet = subnet.ok_or_else(|| Refusal::new(Code::RouteTargetNotFound, format!("there is no {way:?}")))?;
    match subnet_of(region, subnet)?.body.network == network {
        true => Ok(()),
        false => Err(Refusal::new(Code::RouteTargetOfAnotherNetwork, format!("{way:?} is not in {network}"))),
    }
}
/// Is no other table for this subnet, which has to be in the network?
fn is_free(region: &Region, network: &str, table: &str, subnet: &str) -> Result<(), Refusal> {
    if subnet_of(region, subnet)?.body.network != network {
        return Err(Refusal::new(Code::SubnetOfAnotherNetwork, format!("{subnet} is not in {network}")));
    }
    match region.route_tables.children(network).find(|other| other.id != table && other.body.subnets.iter().any(|s| s == subnet)) {
        Some(other) => Err(Refusal::new(Code::SubnetAssociated, format!("{} is for {subnet} already", other.id))),
        None => Ok(()),
    }
}
/// Whatever it is for.
pub(super) fn removed(region: &Region, id: &str) -> Result<((), Vec<Edit>), Refusal> {
    table_of(region, id)?;
    Ok(((), vec![Edit::RemoveRouteTable(id.to_owned())]))
}
/// The table of a subnet that goes, as on EC2.
pub(super) fn let_go<'a>(region: &'a Region, network: &'a str, subnet: &'a str) -> impl Iterator<Item = Edit> + 'a {
    region.route_tables.children(network).filter(move |t| t.body.subnets.iter().any(|s| s == subnet)).map(move |table| {
        let mut body = table.body.clone();
        body.subnets.retain(|s| s != subnet);
        Edit::PutRouteTable(Box::new(changed(table, body)))
    })
}
