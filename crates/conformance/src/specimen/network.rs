use super::{Depth, Plausible, Reached, Specimen, Unchangeable, Wrong, labelled, net, network_range, wrong_labels};
use crate::{
    Planted,
    stand::{Stand, Verdict},
};
use async_trait::async_trait;
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};
use welkin_core::{Kind, Network, NetworkSpec, NetworkState, NetworkStatus, NoAction, Object, Reason, Subnet};

#[async_trait(?Send)]
impl Specimen for Network {
    type Ground = ();
    async fn ground(_: &Stand<'_>, _: Depth) -> Verdict<()> {
        Ok(())
    }
    fn plain(_: &Stand<'_>, (): &(), _: u8) -> NetworkSpec {
        NetworkSpec { cidrs: vec![network_range()], ..NetworkSpec::default() }
    }
    fn variants(stand: &Stand<'_>, ground: &()) -> Verdict<Vec<(&'static str, NetworkSpec)>> {
        let plain = Self::plain(stand, ground, 0);
        let more = stand.field::<Self>("cidrs").and_then(|f| f.max_items).is_none_or(|n| n > 1);
        let cidrs = if more { vec![network_range(), net("10.21.0.0/16")?] } else { plain.cidrs.clone() };
        let mut out = vec![(
            "everything",
            NetworkSpec {
                cidrs,
                assign_ipv6_cidr: stand.honours::<Self>("assign_ipv6_cidr"),
                internet_access: stand.honours::<Self>("internet_access"),
                labels: labelled(&[("team", "a"), ("Name", "of-its-own")]),
                provider_config: stand.subject.provider_configs.get(Self::COLLECTION).cloned(),
            },
        )];
        if stand.honours::<Self>("cidrs=IPV6") {
            out.push(("a chosen IPv6 range", NetworkSpec { cidrs: vec![network_range(), net("fd00:20::/56")?], ..plain }));
        }
        Ok(out)
    }
    fn changes(stand: &Stand<'_>, _: &Self::Ground, now: &NetworkSpec) -> Vec<(&'static str, NetworkSpec)> {
        let mut out = Vec::new();
        if stand.changes::<Self>("labels") {
            out.push(("labels", NetworkSpec { labels: labelled(&[("team", "b"), ("new", "")]), ..now.clone() }));
        }
        if stand.changes::<Self>("internet_access") {
            out.push(("internet_access", NetworkSpec { internet_access: !now.internet_access, ..now.clone() }));
            out.push(("internet_access", now.clone()));
        }
        out
    }
    fn goes_back(_: &str) -> bool {
        true
    }
    async fn before_change(_: &Stand<'_>, _: &Object<Self>, _: &'static str) -> Verdict {
        Ok(())
    }
    fn malformed(stand: &Stand<'_>, plain: &NetworkSpec) -> Vec<Wrong<Self>> {
        let with = |cidrs: &[&str]| NetworkSpec { cidrs: cidrs.iter().filter_map(|c| c.parse().ok()).collect(), ..plain.clone() };
        let mut out = vec![
            Wrong::new("bits beyond the prefix", with(&["10.20.0.1/16"]), "cidrs[0]"),
            Wrong::new("overlapping ranges", with(&["10.20.0.0/16", "10.20.1.0/24"]), "cidrs[1]"),
            Wrong::new("a range that is too small", with(&["10.20.0.0/31"]), "cidrs[0]"),
            Wrong::new("a range that is too large", with(&["0.0.0.0/1"]), "cidrs[0]"),
        ];
        if stand.field::<Self>("cidrs").is_some_and(|f| f.required) {
            out.push(Wrong::new("no range", with(&[]), "cidrs"));
        }
        if stand.is_refused::<Self>("cidrs=IPV6") {
            out.push(Wrong::new("a chosen IPv6 range", with(&["10.20.0.0/16", "fd00:20::/56"]), "cidrs").with(Reason::CapabilityUnsupported));
        }
        out.extend(wrong_labels(plain));
        out
    }
    async fn refused(_: &Stand<'_>, (): &(), _: &NetworkSpec) -> Verdict<Vec<Wrong<Self>>> {
        // A network stands alone: no cloud refuses a well-formed one but for quotas.
        Ok(Vec::new())
    }
    async fn refused_changes(_: &Stand<'_>, _: &Self::Ground) -> Verdict<Option<Unchangeable<Self>>> {
        Ok(None)
    }
    async fn let_go(_: &Stand<'_>, _: &Object<Self>) -> Verdict {
        Ok(())
    }
    fn comparable(asked: &NetworkSpec, _: &NetworkSpec) -> NetworkSpec {
        asked.clone()
    }
    fn is_ready(status: &NetworkStatus) -> bool {
        status.state == NetworkState::Available
    }
    fn addresses(status: &NetworkStatus) -> Vec<IpAddr> {
        status.cidrs.iter().map(IpNet::addr).collect()
    }
    async fn occupied(stand: &Stand<'_>) -> Verdict<Option<Object<Self>>> {
        let ground = Subnet::ground(stand, Depth::Plain).await?;
        stand.create::<Subnet>(Subnet::plain(stand, &ground, 0)).await?;
        Ok(Some(ground.0))
    }
    fn planted((): &()) -> Verdict<Planted> {
        Ok(Planted::Network { cidr: network_range() })
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
    fn labels(spec: &mut NetworkSpec) -> Option<&mut BTreeMap<String, String>> {
        Some(&mut spec.labels)
    }
}
