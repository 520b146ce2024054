use super::{Depth, Plausible, Reached, Specimen, Unchangeable, Wrong, labelled, net, subnet_range, to, wrong_labels};
use crate::{
    Planted,
    stand::{Stand, Stop, Verdict},
};
use async_trait::async_trait;
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};
use welkin_core::{Instance, Kind, Network, NetworkSpec, NoAction, Object, Reason, Subnet, SubnetSpec, SubnetState, SubnetStatus};

#[async_trait(?Send)]
impl Specimen for Subnet {
    /// A network, and the zone for those that need one.
    type Ground = (Object<Network>, Option<String>);
    async fn ground(stand: &Stand<'_>, _: Depth) -> Verdict<Self::Ground> {
        let spec = NetworkSpec { assign_ipv6_cidr: stand.honours::<Network>("assign_ipv6_cidr"), ..Network::plain(stand, &(), 0) };
        let zone = if stand.honours::<Self>("zone") { Some(stand.zone().await?) } else { None };
        Ok((stand.create(spec).await?, zone))
    }
    fn plain(_: &Stand<'_>, (network, zone): &Self::Ground, number: u8) -> SubnetSpec {
        SubnetSpec { network: Some(to(network)), cidrs: vec![subnet_range(number)], zone: zone.clone(), ..SubnetSpec::default() }
    }
    fn variants(stand: &Stand<'_>, ground: &Self::Ground) -> Verdict<Vec<(&'static str, SubnetSpec)>> {
        let plain = Self::plain(stand, ground, 0);
        let mut out = vec![(
            "everything",
            SubnetSpec {
                assign_ipv6_cidr: stand.honours::<Self>("assign_ipv6_cidr"),
                assign_public_ip: stand.honours::<Self>("assign_public_ip"),
                labels: labelled(&[("team", "a")]),
                provider_config: stand.subject.provider_configs.get(Self::COLLECTION).cloned(),
                ..plain.clone()
            },
        )];
        let range = ground.0.status.cidrs.iter().find_map(|c| if let IpNet::V6(range) = c { Some(*range) } else { None });
        if let (true, Some(range)) = (stand.honours::<Self>("cidrs=IPV6"), range) {
            let second = range.subnets(64).ok().and_then(|mut all| all.nth(1));
            let Some(second) = second else { return Err(Stop::Failed(format!("{range} has no second /64"))) };
            out.push(("a chosen IPv6 range", SubnetSpec { cidrs: vec![subnet_range(0), second.into()], ..plain }));
        }
        Ok(out)
    }
    fn changes(stand: &Stand<'_>, _: &Self::Ground, now: &SubnetSpec) -> Vec<(&'static str, SubnetSpec)> {
        let mut out = Vec::new();
        if stand.changes::<Self>("labels") {
            out.push(("labels", SubnetSpec { labels: labelled(&[("team", "b"), ("new", "")]), ..now.clone() }));
        }
        if stand.changes::<Self>("assign_public_ip") {
            out.push(("assign_public_ip", SubnetSpec { assign_public_ip: !now.assign_public_ip, ..now.clone() }));
            out.push(("assign_public_ip", now.clone()));
        }
        out
    }
    fn goes_back(_: &str) -> bool {
        true
    }
    async fn before_change(_: &Stand<'_>, _: &Object<Self>, _: &'static str) -> Verdict {
        Ok(())
    }
    fn malformed(_: &Stand<'_>, plain: &SubnetSpec) -> Vec<Wrong<Self>> {
        let with = |cidrs: &[&str]| SubnetSpec { cidrs: cidrs.iter().filter_map(|c| c.parse().ok()).collect(), ..plain.clone() };
        let mut out = vec![
            Wrong::new("no network", SubnetSpec { network: None, ..plain.clone() }, "network"),
            Wrong::new("no range", with(&[]), "cidrs"),
            Wrong::new("bits beyond the prefix", with(&["10.20.0.1/24"]), "cidrs[0]"),
            Wrong::new("two IPv4 ranges", with(&["10.20.1.0/24", "10.20.2.0/24"]), "cidrs"),
            Wrong::new("both a chosen and an assigned IPv6 range", SubnetSpec { assign_ipv6_cidr: true, ..with(&["10.20.1.0/24", "fd00:20::/64"]) }, "assign_ipv6_cidr"),
        ];
        out.extend(wrong_labels(plain));
        out
    }
    async fn refused(stand: &Stand<'_>, _: &Self::Ground, plain: &SubnetSpec) -> Verdict<Vec<Wrong<Self>>> {
        let there = SubnetSpec { cidrs: vec![subnet_range(40)], ..plain.clone() };
        stand.create::<Self>(there.clone()).await?;
        let inside = SubnetSpec { cidrs: vec![net("10.20.40.128/25")?], ..plain.clone() };
        let outside = SubnetSpec { cidrs: vec![net("192.168.40.0/24")?], ..plain.clone() };
        let mut out = vec![
            Wrong::new("the range of another subnet", there, "cidrs").with(Reason::RangeConflict),
            Wrong::new("a part of another subnet's range", inside, "cidrs").with(Reason::RangeConflict),
            Wrong::new("a range outside of the network", outside, "cidrs"),
        ];
        if plain.zone.is_some() {
            out.push(Wrong::new("an unknown zone", SubnetSpec { zone: Some("nowhere-1z".into()), ..plain.clone() }, "zone"));
        }
        Ok(out)
    }
    async fn refused_changes(_: &Stand<'_>, _: &Self::Ground) -> Verdict<Option<Unchangeable<Self>>> {
        Ok(None)
    }
    async fn let_go(_: &Stand<'_>, _: &Object<Self>) -> Verdict {
        Ok(())
    }
    fn comparable(asked: &SubnetSpec, _: &SubnetSpec) -> SubnetSpec {
        asked.clone()
    }
    fn is_ready(status: &SubnetStatus) -> bool {
        status.state == SubnetState::Available
    }
    fn addresses(status: &SubnetStatus) -> Vec<IpAddr> {
        status.cidrs.iter().map(IpNet::addr).collect()
    }
    async fn occupied(stand: &Stand<'_>) -> Verdict<Option<Object<Self>>> {
        let site = Instance::ground(stand, Depth::Plain).await?;
        stand.create::<Instance>(Instance::plain(stand, &site, 0)).await?;
        Ok(Some(site.subnet))
    }
    fn planted((network, _): &Self::Ground) -> Verdict<Planted> {
        Ok(Planted::Subnet { network: network.vendor_id.to_string(), cidr: subnet_range(50) })
    }
    fn fixed_points() -> Vec<(NoAction, Reached<Self>)> {
        Vec::new()
    }
    fn once() -> Option<Self::Action> {
        None
    }
    fn questions() -> Vec<(NoAction, Plausible<Self>)> {
        Vec::new()
    }
    fn labels(spec: &mut SubnetSpec) -> Option<&mut BTreeMap<String, String>> {
        Some(&mut spec.labels)
    }
}
