//! Where the traffic of subnets goes.

use super::{Labels, api_enum, kind, label_violations, word_violation};
use crate::{CloudProvider, Condition, Driver, Instance, LocationName, Managed, NatGateway, Network, NoAction, Ref, ResourceId, Subnet, VendorConfig, VendorId, Violation};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

kind! {
    /// Where the traffic of the subnets in it goes that does not stay in the network. The longest destination that fits counts.
    RouteTable at "routeTables" in LocationName, id ResourceId, spec RouteTableSpec, status RouteTableStatus,
    fields &["network", "routes", "routes.destination", "routes.internet", "routes.instance", "routes.nat_gateway", "routes.peering", "subnets", "labels", "provider_config"],
    input_only &[],
    reader |p| p.route_tables().map(|d| d as &dyn crate::Reader<Self>),
    zone |_, _| None,
    condition |status| match status.state {
        RouteTableState::Unspecified | RouteTableState::Available => Condition::Usable,
        RouteTableState::Deleting => Condition::Leaving,
        RouteTableState::Incomplete => Condition::Incomplete,
    },
    refs |spec| {
        let routes = spec.routes.iter_mut().enumerate().flat_map(|(i, route)| {
            let instance = route.instance.iter_mut().map(move |r| r.any(format!("routes[{i}].instance")));
            instance.chain(route.nat_gateway.iter_mut().map(move |r| r.any(format!("routes[{i}].nat_gateway"))))
        });
        let subnets = spec.subnets.iter_mut().enumerate().map(|(i, r)| r.any(format!("subnets[{i}]")));
        spec.network.iter_mut().map(|r| r.any("network")).chain(routes).chain(subnets).collect()
    }
}

/// What a route table should be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouteTableSpec {
    /// The network whose subnets can be in it. Required.
    pub network: Option<Ref<Network>>,
    /// Where traffic goes, no two for the same destination. What stays in the network needs none.
    pub routes: Vec<Route>,
    /// The subnets that it is for. One that another table is for is refused, not taken away; one that no table is for has the network's own.
    pub subnets: Vec<Ref<Subnet>>,
    /// A user's own labels.
    pub labels: Labels,
    /// The vendor's extension.
    pub provider_config: Option<VendorConfig>,
}
impl RouteTableSpec {
    /// Puts routes and subnets in order, so that two that mean the same are the same. What a driver answers is in this order.
    pub fn sort(&mut self) {
        self.routes.sort_by_key(|r| r.destination);
        self.subnets.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    }
}

/// Traffic to a destination, and where it goes: exactly one of the targets.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// The range of addresses, of either family. Required.
    pub destination: Option<IpNet>,
    /// To the internet, by the network's own way there.
    pub internet: bool,
    /// To an instance that forwards it.
    pub instance: Option<Ref<Instance>>,
    /// To a NAT gateway.
    pub nat_gateway: Option<Ref<NatGateway>>,
    /// To a peered network, by the vendor's id of the peering.
    pub peering: Option<String>,
}
impl Route {
    /// Where it goes, as something that can be compared: what is referred to counts by the vendor's id.
    #[must_use]
    pub fn target(&self) -> impl Ord + '_ {
        let id = |id: &'_ Option<VendorId>| id.as_ref().map(|id| id.as_str().to_owned());
        let (instance, nat_gateway) = (self.instance.as_ref().map(|r| id(&r.vendor_id)), self.nat_gateway.as_ref().map(|r| id(&r.vendor_id)));
        (self.internet, instance, nat_gateway, self.peering.as_deref())
    }
    fn targets(&self) -> usize {
        [self.internet, self.instance.is_some(), self.nat_gateway.is_some(), self.peering.is_some()].into_iter().filter(|is| *is).count()
    }
}

/// What has to be done so that a table has the routes that are wanted: no route that is so already is touched.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RouteChanges<'a> {
    /// To a destination that has none.
    pub missing: Vec<&'a Route>,
    /// To a destination that has one with another target.
    pub other: Vec<&'a Route>,
    /// Destinations that are not wanted.
    pub surplus: Vec<IpNet>,
}
impl<'a> RouteChanges<'a> {
    /// From what is there to what is wanted.
    #[must_use]
    pub fn between(there: &[Route], wanted: &'a [Route]) -> Self {
        let by_destination: BTreeMap<_, _> = there.iter().map(|r| (r.destination, r)).collect();
        let kept: BTreeSet<_> = wanted.iter().map(|r| r.destination).collect();
        let mut changes = Self::default();
        for route in wanted {
            match by_destination.get(&route.destination) {
                None => changes.missing.push(route),
                Some(now) if now.target() != route.target() => changes.other.push(route),
                Some(_) => {}
            }
        }
        changes.surplus = by_destination.into_keys().filter(|d| !kept.contains(d)).flatten().collect();
        changes
    }
}

api_enum! {
    /// Where a route table is in its life.
    RouteTableState {
        /// Usable.
        Available = "AVAILABLE",
        /// Being removed.
        Deleting = "DELETING",
        /// A part is missing: it can only be deleted.
        Incomplete = "INCOMPLETE",
    }
}

/// What a route table is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteTableStatus {
    /// Its state.
    pub state: RouteTableState,
    /// Destinations of its routes whose target has gone or does not work: what is sent there is lost.
    pub blackholes: Vec<IpNet>,
    /// Routes in it that are not in the specification, in the cloud's words: those within the network, and what the cloud puts there itself. They are left alone.
    pub other_routes: Vec<String>,
}

/// More than any cloud takes in one table (AWS: 1000 with a raised quota), and few enough to be compared with each other.
const MAX_ROUTES: usize = 1000;
/// More subnets than a network has on most clouds.
const MAX_SUBNETS: usize = 1000;

impl Managed for RouteTable {
    type Action = NoAction;
    type Outcome = ();
    type Question = NoAction;
    type Answer = ();
    fn driver(p: &dyn CloudProvider) -> Option<&dyn Driver<Self>> {
        p.route_tables()
    }
    fn label(id: &ResourceId) -> Option<&ResourceId> {
        Some(id)
    }
    fn zone_mut(_: &mut RouteTableSpec) -> Option<&mut Option<String>> {
        None
    }
    fn violations(spec: &RouteTableSpec) -> Vec<Violation> {
        let mut out = Vec::new();
        if spec.network.is_none() {
            out.push(Violation::new("network", "a route table needs the network that it is for"));
        }
        for (field, items, most) in [("routes", spec.routes.len(), MAX_ROUTES), ("subnets", spec.subnets.len(), MAX_SUBNETS)] {
            if items > most {
                out.push(Violation::new(field, format!("at most {most}, got {items}")));
                return out;
            }
        }
        let mut seen = BTreeSet::new();
        for (i, route) in spec.routes.iter().enumerate() {
            let mut wrong = |field: &str, why: String| out.push(Violation::new(format!("routes[{i}]{field}"), why));
            match route.destination {
                None => wrong(".destination", "a route needs a destination: a range of addresses, such as 0.0.0.0/0".into()),
                Some(net) if net.trunc() != net => wrong(".destination", format!("{net} has bits set beyond its prefix; did you mean {}?", net.trunc())),
                Some(net) if !seen.insert(net) => wrong(".destination", format!("another route goes to {net}")),
                Some(_) => {}
            }
            if route.targets() != 1 {
                wrong("", format!("a route goes to exactly one of internet, instance, nat_gateway and peering, not {}", route.targets()));
            }
            word_violation(&format!("routes[{i}].peering"), route.peering.as_ref(), &mut out);
        }
        for (i, subnet) in spec.subnets.iter().enumerate() {
            if spec.subnets.iter().take(i).any(|other| other.name == subnet.name) {
                out.push(Violation::new(format!("subnets[{i}]"), format!("{} is there twice", subnet.name)));
            }
        }
        label_violations(&spec.labels, &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(destination: &str, instance: &str) -> Route {
        let instance = Ref::resolved("locations/r/instances/i".parse().unwrap(), instance.parse().unwrap());
        Route { destination: Some(destination.parse().unwrap()), instance: Some(instance), ..Route::default() }
    }

    #[test]
    fn only_what_differs_is_changed() {
        let there = [route("10.0.0.0/8", "i-1"), route("10.1.0.0/16", "i-1"), route("::/0", "i-1")];
        let wanted = [route("::/0", "i-1"), route("10.1.0.0/16", "i-2"), route("10.2.0.0/16", "i-1")];
        let changes = RouteChanges::between(&there, &wanted);
        assert_eq!(changes, RouteChanges { missing: vec![&wanted[2]], other: vec![&wanted[1]], surplus: vec!["10.0.0.0/8".parse().unwrap()] });
        assert_eq!(RouteChanges::between(&wanted, &wanted), RouteChanges::default());
    }
    #[test]
    fn a_route_has_one_destination_and_one_target() {
        let network = Some(Ref::to("locations/r/networks/n".parse().unwrap()));
        let wrong = |routes: Vec<Route>| {
            let spec = RouteTableSpec { network: network.clone(), routes, ..RouteTableSpec::default() };
            RouteTable::violations(&spec).into_iter().map(|v| v.field).collect::<Vec<_>>()
        };
        let ok = route("10.0.0.0/8", "i-1");
        assert!(wrong(vec![ok.clone()]).is_empty());
        assert_eq!(wrong(vec![Route { internet: true, ..ok.clone() }]), ["routes[0]"]);
        assert_eq!(wrong(vec![Route { instance: None, ..ok.clone() }]), ["routes[0]"]);
        assert_eq!(wrong(vec![Route { destination: None, ..ok.clone() }, ok.clone(), ok.clone()]), ["routes[0].destination", "routes[2].destination"]);
        assert_eq!(wrong(vec![route("10.0.0.1/8", "i-1")]), ["routes[0].destination"]);
        assert_eq!(wrong(vec![ok; MAX_ROUTES + 1]), ["routes"]);
    }
}
