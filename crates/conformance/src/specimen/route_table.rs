use super::{Depth, Plausible, Reached, Specimen, Unchangeable, Wrong, labelled, net, subnet_range, to, wrong_labels};
use crate::{
    Planted,
    stand::{Stand, Verdict},
};
use async_trait::async_trait;
use std::{collections::BTreeMap, net::IpAddr};
use welkin_core::{
    Connectivity, Instance, InstanceSpec, Kind, NatGateway, NatGatewaySpec, Network, NetworkSpec, NoAction, Object, Reason, Route, RouteTable, RouteTableSpec, RouteTableState,
    RouteTableStatus, Subnet, SubnetSpec,
};

/// The network of route tables, and what else the trial needs of it.
#[derive(Debug)]
pub(crate) struct Crossing {
    network: Object<Network>,
    /// Another one, with nothing in it.
    elsewhere: Option<Object<Network>>,
    subnets: Vec<Object<Subnet>>,
    /// Where routes can go, where the provider has such routes.
    targets: Vec<Route>,
}

#[async_trait(?Send)]
impl Specimen for RouteTable {
    type Ground = Crossing;
    async fn ground(stand: &Stand<'_>, depth: Depth) -> Verdict<Crossing> {
        let internet = stand.honours::<Network>("internet_access");
        let network = NetworkSpec { internet_access: internet, assign_ipv6_cidr: stand.honours::<Network>("assign_ipv6_cidr"), ..Network::plain(stand, &(), 0) };
        let network = stand.create(network).await?;
        if depth == Depth::Plain {
            return Ok(Crossing { network, elsewhere: None, subnets: Vec::new(), targets: Vec::new() });
        }
        let subnets = vec![subnet_of(stand, &network, 0).await?, subnet_of(stand, &network, 1).await?];
        let mut targets = Vec::new();
        if internet && stand.honours::<Self>("routes.internet") {
            targets.push(Route { internet: true, ..Route::default() });
        }
        if let (true, Some(subnet)) = (stand.honours::<Self>("routes.instance"), subnets.first()) {
            let spec = InstanceSpec {
                machine_type: stand.subject.machine_types[0].clone(),
                image: Some(stand.image().await?),
                subnet: Some(to(subnet)),
                ip_forwarding: stand.honours::<Instance>("ip_forwarding"),
                ..InstanceSpec::default()
            };
            targets.push(Route { instance: Some(to(&stand.create::<Instance>(spec).await?)), ..Route::default() });
        }
        if let (true, Some(subnet)) = (stand.honours::<Self>("routes.nat_gateway"), subnets.first()) {
            let spec = NatGatewaySpec { subnet: Some(to(subnet)), connectivity: Connectivity::Private, ..NatGatewaySpec::default() };
            targets.push(Route { nat_gateway: Some(to(&stand.create::<NatGateway>(spec).await?)), ..Route::default() });
        }
        let elsewhere = Some(stand.create(NetworkSpec { cidrs: vec![net("10.30.0.0/16")?], ..NetworkSpec::default() }).await?);
        Ok(Crossing { network, elsewhere, subnets, targets })
    }
    fn plain(_: &Stand<'_>, ground: &Crossing, _: u8) -> RouteTableSpec {
        RouteTableSpec { network: Some(to(&ground.network)), ..RouteTableSpec::default() }
    }
    fn variants(stand: &Stand<'_>, ground: &Crossing) -> Verdict<Vec<(&'static str, RouteTableSpec)>> {
        let mut everything = RouteTableSpec {
            routes: ground.targets.iter().zip(["0.0.0.0/0", "10.98.0.0/16", "10.99.0.0/16"]).map(|(target, to)| leading(target, to)).collect::<Verdict<_>>()?,
            subnets: if stand.honours::<Self>("subnets") { ground.subnets.iter().map(to).collect() } else { Vec::new() },
            labels: labelled(&[("team", "a"), ("Name", "of-its-own")]),
            provider_config: stand.subject.provider_configs.get(Self::COLLECTION).cloned(),
            ..Self::plain(stand, ground, 0)
        };
        if let Some(internet) = ground.targets.iter().find(|t| t.internet) {
            everything.routes.push(leading(internet, "::/0")?);
        }
        everything.sort();
        let mut out = vec![("everything", everything)];
        out.extend(ground.elsewhere.iter().map(|network| ("in another network", RouteTableSpec { network: Some(to(network)), ..RouteTableSpec::default() })));
        Ok(out)
    }
    fn changes(stand: &Stand<'_>, ground: &Crossing, now: &RouteTableSpec) -> Vec<(&'static str, RouteTableSpec)> {
        let mut out = Vec::new();
        if stand.changes::<Self>("labels") {
            out.push(("labels", RouteTableSpec { labels: labelled(&[("team", "b"), ("new", "")]), ..now.clone() }));
        }
        if now.network != Some(to(&ground.network)) {
            return out;
        }
        if let (true, [first, .., last]) = (stand.changes::<Self>("routes"), &*ground.targets) {
            let with = |routes: Vec<Verdict<Route>>| {
                let mut spec = RouteTableSpec { routes: routes.into_iter().filter_map(Result::ok).collect(), ..now.clone() };
                spec.sort();
                spec
            };
            out.push(("routes", with(vec![leading(first, "10.97.0.0/16"), leading(first, "10.98.0.0/16")])));
            // One goes, one goes elsewhere, and one is new.
            out.push(("routes", with(vec![leading(last, "10.98.0.0/16"), leading(last, "10.99.0.0/16")])));
        }
        if let (true, [first, second]) = (stand.changes::<Self>("subnets"), &*ground.subnets) {
            let with = |subnets| RouteTableSpec { subnets, ..now.clone() };
            out.push(("subnets", with(vec![to(first)])));
            out.push(("subnets", with(vec![to(second)])));
        }
        out
    }
    fn goes_back(_: &str) -> bool {
        true
    }
    async fn before_change(_: &Stand<'_>, _: &Object<Self>, _: &'static str) -> Verdict {
        Ok(())
    }
    fn malformed(stand: &Stand<'_>, plain: &RouteTableSpec) -> Vec<Wrong<Self>> {
        let mut out = vec![Wrong::new("no network", RouteTableSpec { network: None, ..plain.clone() }, "network")];
        let with = |routes: Vec<Route>| RouteTableSpec { routes, ..plain.clone() };
        let internet = Route { internet: true, ..Route::default() };
        let (Ok(all), Ok(odd)) = (leading(&internet, "0.0.0.0/0"), leading(&internet, "10.0.0.1/8")) else { return out };
        out.extend([
            Wrong::new("bits beyond the prefix", with(vec![odd]), "routes[0].destination"),
            Wrong::new("a route without a destination", with(vec![internet]), "routes[0].destination"),
            Wrong::new("a route without a target", with(vec![Route { internet: false, ..all.clone() }]), "routes[0]"),
            Wrong::new("two routes to one destination", with(vec![all.clone(), all.clone()]), "routes[1].destination"),
        ]);
        if stand.is_refused::<Self>("routes.peering") {
            let peering = Route { internet: false, peering: Some("peering-1".into()), ..all };
            out.push(Wrong::new("a route to a peering", with(vec![peering]), "routes.peering"));
        }
        out.extend(wrong_labels(plain));
        out
    }
    async fn refused(stand: &Stand<'_>, ground: &Crossing, plain: &RouteTableSpec) -> Verdict<Vec<Wrong<Self>>> {
        let mut out = Vec::new();
        if let (true, Some(subnet)) = (stand.honours::<Self>("subnets"), ground.subnets.first()) {
            let used = RouteTableSpec { subnets: vec![to(subnet)], ..plain.clone() };
            stand.create::<Self>(used.clone()).await?;
            out.push(Wrong::new("a subnet that another table is for", used, "subnets").with(Reason::InUse));
        }
        if let (true, Some(elsewhere)) = (stand.honours::<Self>("routes.internet"), &ground.elsewhere) {
            let internet = leading(&Route { internet: true, ..Route::default() }, "0.0.0.0/0")?;
            let shut_in = RouteTableSpec { network: Some(to(elsewhere)), routes: vec![internet], ..RouteTableSpec::default() };
            out.push(Wrong::new("a route to the internet where there is no way there", shut_in, "routes"));
        }
        Ok(out)
    }
    async fn refused_changes(stand: &Stand<'_>, ground: &Crossing) -> Verdict<Option<Unchangeable<Self>>> {
        let (true, Some(subnet)) = (stand.changes::<Self>("subnets"), ground.subnets.first()) else { return Ok(None) };
        let plain = Self::plain(stand, ground, 0);
        stand.create::<Self>(RouteTableSpec { subnets: vec![to(subnet)], ..plain.clone() }).await?;
        let made = stand.create::<Self>(plain).await?;
        let wrong = RouteTableSpec { subnets: vec![to(subnet)], ..made.spec.clone() };
        Ok(Some((made, vec![Wrong::new("a subnet that another table is for", wrong, "subnets").with(Reason::InUse)])))
    }
    async fn let_go(_: &Stand<'_>, _: &Object<Self>) -> Verdict {
        Ok(())
    }
    fn comparable(asked: &RouteTableSpec, _: &RouteTableSpec) -> RouteTableSpec {
        asked.clone()
    }
    fn is_ready(status: &RouteTableStatus) -> bool {
        status.state == RouteTableState::Available && status.blackholes.is_empty()
    }
    fn addresses(_: &RouteTableStatus) -> Vec<IpAddr> {
        Vec::new()
    }
    async fn occupied(_: &Stand<'_>) -> Verdict<Option<Object<Self>>> {
        Ok(None)
    }
    fn planted(ground: &Crossing) -> Verdict<Planted> {
        Ok(Planted::RouteTable { network: ground.network.vendor_id.to_string() })
    }
    fn fixed_points() -> Vec<(NoAction, Reached<Self>)> {
        Vec::new()
    }
    fn once() -> Option<NoAction> {
        None
    }
    fn questions() -> Vec<(NoAction, Plausible<Self>)> {
        Vec::new()
    }
    fn labels(spec: &mut RouteTableSpec) -> Option<&mut BTreeMap<String, String>> {
        Some(&mut spec.labels)
    }
}

fn leading(target: &Route, to: &str) -> Verdict<Route> {
    Ok(Route { destination: Some(net(to)?), ..target.clone() })
}
async fn subnet_of(stand: &Stand<'_>, network: &Object<Network>, number: u8) -> Verdict<Object<Subnet>> {
    let zone = if stand.honours::<Subnet>("zone") { Some(stand.zone().await?) } else { None };
    stand.create(SubnetSpec { network: Some(to(network)), cidrs: vec![subnet_range(number)], zone, ..SubnetSpec::default() }).await
}
