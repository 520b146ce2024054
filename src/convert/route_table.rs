//! Route tables.

use super::{Head, Mutable, Resource, Scope, field, head, message, name_and_etag, no_arguments, no_questions, vendor_config};
use crate::api::v1::{self, route_table};
use welkin_core::{Managed, NoAction, Object, Result, Route, RouteTable, RouteTableSpec, RouteTableState, RouteTableStatus};

impl Resource for RouteTable {
    type Message = v1::RouteTable;
    const SERVICE: &'static str = "welkin.v1.RouteTables";

    fn encode(cloud: &str, object: Object<Self>) -> Result<v1::RouteTable> {
        let (h, spec, status) = Head::split(cloud, object);
        Ok(message!(RouteTable of h {
            state: status.state as i32,
            blackholes: field::texts(&status.blackholes),
            other_routes: status.other_routes,
            ..Self::encode_spec(cloud, spec)?
        }))
    }
    fn decode(cloud: &str, mut m: v1::RouteTable) -> Result<Object<Self>> {
        let status = RouteTableStatus {
            state: field::value(RouteTableState::ALL, m.state),
            blackholes: field::parsed("blackholes", std::mem::take(&mut m.blackholes))?,
            other_routes: std::mem::take(&mut m.other_routes),
        };
        let head = head!(m);
        let spec = Scope::answer(cloud, &head.name, |scope| Self::decode_spec(m, scope))?;
        head.join(cloud, spec, status)
    }
}

impl Mutable for RouteTable {
    const ACTIONS: &'static [(&'static str, NoAction)] = &[];
    const ID_FIELD: &'static str = "route_table_id";
    name_and_etag!();
    no_arguments!();
    no_questions!();

    /// The order of routes and subnets means nothing, so it is not part of what was asked for. What is wrong is told by the caller's order.
    fn decode_spec(m: v1::RouteTable, scope: &mut Scope<'_, Self>) -> RouteTableSpec {
        let mut spec = RouteTableSpec {
            network: scope.refer("network", &m.network),
            routes: m.routes.into_iter().enumerate().map(|(i, route)| decode_route(route, &format!("routes[{i}]"), scope)).collect(),
            subnets: scope.refer_all("subnets", &m.subnets),
            labels: m.labels,
            provider_config: scope.vendor_config(m.provider_config),
        };
        if Self::violations(&spec).is_empty() {
            spec.sort();
        }
        spec
    }
    fn encode_spec(cloud: &str, spec: RouteTableSpec) -> Result<v1::RouteTable> {
        Ok(v1::RouteTable {
            network: field::reference(cloud, spec.network),
            routes: spec.routes.into_iter().map(|route| encode_route(cloud, route)).collect(),
            subnets: field::references(cloud, spec.subnets),
            labels: spec.labels,
            provider_config: vendor_config::encode(spec.provider_config)?,
            ..Default::default()
        })
    }
}

fn decode_route(route: route_table::Route, at: &str, scope: &mut Scope<'_, RouteTable>) -> Route {
    Route {
        destination: scope.parse(&format!("{at}.destination"), "a range of addresses such as 10.0.1.0/24", &route.destination),
        internet: route.internet,
        instance: scope.refer(&format!("{at}.instance"), &route.instance),
        nat_gateway: scope.refer(&format!("{at}.nat_gateway"), &route.nat_gateway),
        peering: field::text(route.peering),
    }
}
fn encode_route(cloud: &str, route: Route) -> route_table::Route {
    route_table::Route {
        destination: route.destination.map(|net| net.to_string()).unwrap_or_default(),
        internet: route.internet,
        instance: field::reference(cloud, route.instance),
        nat_gateway: field::reference(cloud, route.nat_gateway),
        peering: field::or_empty(route.peering),
    }
}
