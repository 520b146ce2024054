//! The routes in a table: what a specification can say of them, and how they become what it says.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Route.html>: a route carries no tags and has one target, and one that leads to an instance shows
//! that instance and its interface; of an instance that was terminated the interface alone is left.

use crate::{client::Region, error, single::by_vendor_id, step::told};
use aws_sdk_ec2::types::{Route as Ec2Route, RouteTable as Ec2RouteTable};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use welkin_core::{Cx, Error, ErrorKind, Reason, Result, Route, RouteChanges};

/// Where a route comes from, and whether somebody wrote it: the others are EC2's own, and stay.
static ORIGINS: &[(&str, bool)] = &[("CreateRouteTable", false), ("CreateRoute", true), ("EnableVgwRoutePropagation", false), ("Advertisement", false)];
/// A route's states, and whether what is sent there is lost.
static STATES: &[(&str, bool)] = &[("active", false), ("blackhole", true), ("filtered", false)];
/// The target of what stays in the network.
const LOCAL: &str = "local";
const INTERNET_GATEWAY: &str = "igw-";
/// Of a gateway endpoint, which puts its routes there and takes them away itself.
const ENDPOINT: &str = "vpce-";

/// What a table has.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Shown {
    /// What a specification can say.
    pub(super) routes: Vec<Route>,
    others: Vec<Other>,
    lost: BTreeSet<IpNet>,
    /// The internet gateways that `routes` lead to, by destination: the one that is attached may be another by now.
    gateways: BTreeMap<IpNet, String>,
}
/// A route that a specification cannot say.
#[derive(Debug, Clone, PartialEq)]
struct Other {
    destination: Option<IpNet>,
    /// Somebody wrote it: a table that is ours has what its specification says, so that it goes when the routes are changed next.
    is_written: bool,
    /// What it stands for is the network's own.
    is_local: bool,
    words: String,
}

/// The writes of one step to a table.
pub(super) struct Writing<'a> {
    pub(super) region: &'a Region,
    pub(super) cx: &'a Cx,
    pub(super) table: &'a str,
    /// From now on reads may lag once more.
    pub(super) has_written: bool,
}

impl Shown {
    pub(super) fn of(region: &Region, table: &Ec2RouteTable) -> Result<Self> {
        let mut shown = Self::default();
        for route in table.routes() {
            let destination = destination(route);
            if is_lost(route) {
                shown.lost.extend(destination);
            }
            match said(region, route)? {
                Some(said) => {
                    if let (true, Some(net), Some(id)) = (said.internet, destination, told(route.gateway_id())) {
                        shown.gateways.insert(net, id.to_owned());
                    }
                    shown.routes.push(said);
                }
                None => shown.others.push(Other { destination, is_written: is_written(route), is_local: told(route.gateway_id()) == Some(LOCAL), words: in_words(route) }),
            }
        }
        Ok(shown)
    }
    pub(super) fn blackholes(&self) -> Vec<IpNet> {
        self.lost.iter().copied().collect()
    }
    pub(super) fn other_routes(&self) -> Vec<String> {
        self.others.iter().map(|o| o.words.clone()).collect()
    }
    /// Every route that somebody wrote, `gateway` being the network's way to the internet. What leads elsewhere than a specification can say has no target
    /// here, so that it differs from whatever is wanted.
    fn written(&self, gateway: Option<&str>) -> Vec<Route> {
        let plain = |net: IpNet| Route { destination: Some(net), ..Route::default() };
        let is_led_astray = |route: &Route| route.destination.and_then(|net| self.gateways.get(&net)).is_some_and(|id| gateway.is_some_and(|g| g != id));
        let ours = self.routes.iter().map(|route| if is_led_astray(route) { Route { internet: false, ..route.clone() } } else { route.clone() });
        ours.chain(self.others.iter().filter(|o| o.is_written).filter_map(|o| o.destination).map(plain)).collect()
    }

    /// Touches no route that is wanted as it is. What is to go goes last, so that what both the old and the new ones lead anywhere is never cut. Every write is
    /// named by its destination, so that it can be repeated.
    pub(super) async fn become_what(&mut self, writing: &mut Writing<'_>, wanted: &[Route], gateway: Option<&str>) -> Result<()> {
        let Writing { region, cx, table, .. } = *writing;
        let there = self.written(gateway);
        let changes = RouteChanges::between(&there, wanted);
        let fixed = |net: &IpNet| self.others.iter().any(|o| o.is_local && o.destination.as_ref() == Some(net));
        if let Some(net) = changes.missing.iter().filter_map(|r| r.destination).find(fixed) {
            let why = format!("{net} is the network's own: traffic within it needs no route, and takes no other");
            return Err(Error::new(ErrorKind::FailedPrecondition, Reason::RangeConflict, why).with_field("routes"));
        }
        for route in &changes.missing {
            let Way { v4, v6, gateway, instance, nat_gateway, peering } = Way::of(route, gateway)?;
            let call = region.ec2.create_route().route_table_id(table).set_destination_cidr_block(v4).set_destination_ipv6_cidr_block(v6);
            let call = call.set_gateway_id(gateway).set_instance_id(instance).set_nat_gateway_id(nat_gateway).set_vpc_peering_connection_id(peering);
            region.ec2.write(cx, "CreateRoute", call.send()).await?;
            writing.has_written = true;
        }
        for route in &changes.other {
            let Way { v4, v6, gateway, instance, nat_gateway, peering } = Way::of(route, gateway)?;
            let call = region.ec2.replace_route().route_table_id(table).set_destination_cidr_block(v4).set_destination_ipv6_cidr_block(v6);
            let call = call.set_gateway_id(gateway).set_instance_id(instance).set_nat_gateway_id(nat_gateway).set_vpc_peering_connection_id(peering);
            region.ec2.write(cx, "ReplaceRoute", call.send()).await?;
            writing.has_written = true;
        }
        for net in &changes.surplus {
            let (v4, v6) = by_family(*net);
            let call = region.ec2.delete_route().route_table_id(table).set_destination_cidr_block(v4).set_destination_ipv6_cidr_block(v6);
            match region.ec2.write(cx, "DeleteRoute", call.send()).await {
                // It has gone, and was shown a moment too long.
                Err(e) if error::is(&e, &["InvalidRoute.NotFound"]) => {}
                answer => {
                    answer?;
                    writing.has_written = true;
                }
            }
        }
        let is_written = |net: &IpNet| changes.surplus.contains(net) || changes.other.iter().any(|r| r.destination.as_ref() == Some(net));
        self.lost.retain(|net| !is_written(net));
        self.others.retain(|o| !o.is_written || o.destination.is_none());
        self.routes = wanted.iter().map(|route| as_shown(region, route)).collect::<Result<_>>()?;
        Ok(())
    }
}

/// A route as a call says it.
struct Way {
    v4: Option<String>,
    v6: Option<String>,
    gateway: Option<String>,
    instance: Option<String>,
    nat_gateway: Option<String>,
    peering: Option<String>,
}
impl Way {
    fn of(route: &Route, gateway: Option<&str>) -> Result<Self> {
        let (v4, v6) = by_family(route.destination.ok_or_else(|| Error::invalid("routes", "a route needs a destination"))?);
        let gateway = if route.internet { Some(gateway.ok_or_else(no_way_out)?.to_owned()) } else { None };
        let instance = route.instance.as_ref().map(|r| r.vendor_id().map(ToString::to_string)).transpose()?;
        let nat_gateway = route.nat_gateway.as_ref().map(|r| r.vendor_id().map(ToString::to_string)).transpose()?;
        Ok(Self { v4, v6, gateway, instance, nat_gateway, peering: route.peering.clone() })
    }
}
fn by_family(net: IpNet) -> (Option<String>, Option<String>) {
    match net {
        IpNet::V4(net) => (Some(net.to_string()), None),
        IpNet::V6(net) => (None, Some(net.to_string())),
    }
}
pub(super) fn no_way_out() -> Error {
    let why = "a route leads to the internet, and the network has no internet gateway";
    Error::new(ErrorKind::FailedPrecondition, Reason::WrongState, why).with_field("routes")
}

fn is_written(route: &Ec2Route) -> bool {
    let origin = route.origin().map_or("", |o| o.as_str());
    let is_ec2s = told(route.gateway_id()).is_some_and(|id| id == LOCAL || id.starts_with(ENDPOINT));
    !is_ec2s && ORIGINS.iter().any(|(name, is_written)| *name == origin && *is_written)
}
fn is_lost(route: &Ec2Route) -> bool {
    let state = route.state().map_or("", |s| s.as_str());
    STATES.iter().any(|(name, is_lost)| *name == state && *is_lost)
}
fn destination(route: &Ec2Route) -> Option<IpNet> {
    told(route.destination_cidr_block()).or(told(route.destination_ipv6_cidr_block()))?.parse().ok()
}
/// None where no specification can say it, or nobody wrote it.
fn said(region: &Region, route: &Ec2Route) -> Result<Option<Route>> {
    let (true, Some(net)) = (is_written(route), destination(route)) else { return Ok(None) };
    let plain = Route { destination: Some(net), ..Route::default() };
    let others = [
        route.transit_gateway_id(),
        route.egress_only_internet_gateway_id(),
        route.local_gateway_id(),
        route.carrier_gateway_id(),
        route.core_network_arn(),
        route.odb_network_arn(),
    ];
    if others.into_iter().any(|id| told(id).is_some()) {
        return Ok(None);
    }
    Ok(match (told(route.gateway_id()), told(route.instance_id()), told(route.nat_gateway_id()), told(route.vpc_peering_connection_id())) {
        (Some(id), None, None, None) if id.starts_with(INTERNET_GATEWAY) => Some(Route { internet: true, ..plain }),
        (None, Some(id), None, None) => Some(Route { instance: Some(by_vendor_id(region, id)?), ..plain }),
        (None, None, Some(id), None) => Some(Route { nat_gateway: Some(by_vendor_id(region, id)?), ..plain }),
        (None, None, None, Some(id)) => Some(Route { peering: Some(id.to_owned()), ..plain }),
        _ => None,
    })
}
/// As a read shows it: nobody has noted the names of what it leads to.
fn as_shown(region: &Region, route: &Route) -> Result<Route> {
    let instance = route.instance.as_ref().map(|r| by_vendor_id(region, r.vendor_id()?.as_str())).transpose()?;
    let nat_gateway = route.nat_gateway.as_ref().map(|r| by_vendor_id(region, r.vendor_id()?.as_str())).transpose()?;
    Ok(Route { instance, nat_gateway, ..route.clone() })
}
fn in_words(route: &Ec2Route) -> String {
    let joined = |ids: &[Option<&str>]| {
        let ids: Vec<&str> = ids.iter().filter_map(|id| told(*id)).collect();
        if ids.is_empty() { "?".to_owned() } else { ids.join(" ") }
    };
    let to = joined(&[route.destination_cidr_block(), route.destination_ipv6_cidr_block(), route.destination_prefix_list_id()]);
    let by = joined(&[
        route.gateway_id(),
        route.instance_id(),
        route.network_interface_id(),
        route.nat_gateway_id(),
        route.vpc_peering_connection_id(),
        route.transit_gateway_id(),
        route.egress_only_internet_gateway_id(),
        route.local_gateway_id(),
        route.carrier_gateway_id(),
        route.core_network_arn(),
        route.odb_network_arn(),
    ]);
    match route.origin().map(|o| o.as_str()) {
        Some("EnableVgwRoutePropagation") => format!("{to}: {by}, propagated"),
        Some("Advertisement") => format!("{to}: {by}, advertised"),
        _ => format!("{to}: {by}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::{RouteOrigin, RouteState};

    #[test]
    fn every_origin_and_state_of_the_model_has_a_meaning() {
        for known in RouteOrigin::values() {
            assert_eq!(ORIGINS.iter().filter(|(name, _)| name == known).count(), 1, "{known}");
        }
        for known in RouteState::values() {
            assert_eq!(STATES.iter().filter(|(name, _)| name == known).count(), 1, "{known}");
        }
    }
    #[test]
    fn what_ec2_puts_there_nobody_wrote() {
        let route = |origin: &str, gateway: &str| Ec2Route::builder().destination_cidr_block("10.0.0.0/8").origin(RouteOrigin::from(origin)).gateway_id(gateway).build();
        for (origin, gateway, expected) in [
            ("CreateRoute", "igw-1", true),
            ("CreateRoute", "vgw-1", true),
            ("CreateRoute", "vpce-1", false),
            ("CreateRouteTable", "local", false),
            ("EnableVgwRoutePropagation", "vgw-1", false),
            ("Advertisement", "eni-1", false),
            ("never-heard-of", "igw-1", false),
            ("", "igw-1", false),
        ] {
            assert_eq!(is_written(&route(origin, gateway)), expected, "{origin} {gateway}");
        }
        assert_eq!(in_words(&route("EnableVgwRoutePropagation", "vgw-1")), "10.0.0.0/8: vgw-1, propagated");
        assert_eq!(in_words(&Ec2Route::builder().destination_prefix_list_id("pl-1").build()), "pl-1: ?");
    }
}
