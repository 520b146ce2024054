use super::{Depth, Plausible, Reached, Specimen, Unchangeable, Wrong};
use crate::{
    Planted,
    stand::{Stand, Stop, Verdict},
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};
use welkin_core::{
    DnsZone, DnsZoneSpec, FailoverRole, Managed, NoAction, Object, Reason, RecordAlias, RecordId, RecordItem, RecordSet, RecordSetSpec, RecordSetStatus, Ref, Routing,
};

/// Where the zone of every trial begins.
pub(super) const ZONE: &str = "records.conformance.example";

/// All of the trials' record sets are of type A, so that any specification goes with any name.
#[async_trait(?Send)]
impl Specimen for RecordSet {
    type Ground = Object<DnsZone>;
    async fn ground(stand: &Stand<'_>, _: Depth) -> Verdict<Self::Ground> {
        let zone = stand.create(DnsZoneSpec { dns_name: ZONE.parse().ok(), ..DnsZoneSpec::default() }).await?;
        stand.keep_dns_zone(&zone)?;
        Ok(zone)
    }
    fn plain(_: &Stand<'_>, _: &Self::Ground, number: u8) -> RecordSetSpec {
        canonical(RecordSetSpec { values: vec![address(number).to_string()], ..RecordSetSpec::default() })
    }
    fn variants(stand: &Stand<'_>, _: &Self::Ground) -> Verdict<Vec<(&'static str, RecordSetSpec)>> {
        let several = RecordSetSpec { ttl_s: Some(60), values: (1..4).map(|n| address(n).to_string()).collect(), ..RecordSetSpec::default() };
        let mut out = vec![("several values", canonical(several))];
        out.extend(policies(stand).into_iter().map(|routing| (routing.as_str(), routed(routing))));
        Ok(out)
    }
    fn changes(stand: &Stand<'_>, ground: &Self::Ground, now: &RecordSetSpec) -> Vec<(&'static str, RecordSetSpec)> {
        let mut out = Vec::new();
        let plain = Self::plain(stand, ground, 9);
        if now.routing != Routing::Simple {
            return vec![("routing", plain)];
        }
        if stand.changes::<Self>("ttl_s") {
            out.push(("ttl_s", RecordSetSpec { ttl_s: Some(61), ..now.clone() }));
        }
        if stand.changes::<Self>("values") {
            out.push(("values", RecordSetSpec { ttl_s: Some(61), ..plain }));
        }
        if stand.changes::<Self>("routing") {
            out.extend(policies(stand).into_iter().map(|routing| ("routing", routed(routing))));
        }
        out
    }
    fn goes_back(_: &str) -> bool {
        true
    }
    async fn before_change(_: &Stand<'_>, _: &Object<Self>, _: &'static str) -> Verdict {
        Ok(())
    }
    fn malformed(stand: &Stand<'_>, plain: &RecordSetSpec) -> Vec<Wrong<Self>> {
        let mut out = vec![
            Wrong::new("no value", RecordSetSpec { values: Vec::new(), ..plain.clone() }, "values"),
            Wrong::new("an overlong TTL", RecordSetSpec { ttl_s: Some(u32::MAX), ..plain.clone() }, "ttl_s"),
            Wrong::new("items without a policy", RecordSetSpec { items: routed(Routing::Multivalue).items, ..plain.clone() }, "items"),
        ];
        if stand.honours::<Self>("alias") {
            let nowhere = "locations/nowhere/loadBalancers/nobody".parse().ok().map(Ref::to);
            let alias = RecordSetSpec { values: Vec::new(), ttl_s: None, alias: RecordAlias { load_balancer: nowhere, check_health: true }, ..plain.clone() };
            out.push(Wrong::new("values beside an alias", RecordSetSpec { alias: alias.alias.clone(), ..plain.clone() }, "alias"));
            out.push(Wrong::new("the TTL of an alias", RecordSetSpec { ttl_s: Some(60), ..alias.clone() }, "ttl_s"));
            let of_nothing = RecordAlias { load_balancer: None, ..alias.alias };
            out.push(Wrong::new("an alias of nothing", RecordSetSpec { alias: of_nothing, ..alias }, "alias.load_balancer"));
        }
        if policies(stand).contains(&Routing::Weighted) {
            let mut heavy = routed(Routing::Weighted);
            heavy.items.iter_mut().for_each(|i| i.weight = Some(256));
            out.push(Wrong::new("a weight out of range", heavy, "items[0].weight"));
        }
        if stand.is_refused::<Self>("items.health_check") {
            let mut checked = routed(Routing::Multivalue);
            checked.items.iter_mut().for_each(|i| i.health_check = Some("check-1".into()));
            out.push(Wrong::new("a health check", checked, "items.health_check").with(Reason::CapabilityUnsupported));
        }
        out
    }
    async fn refused(_: &Stand<'_>, _: &Self::Ground, _: &RecordSetSpec) -> Verdict<Vec<Wrong<Self>>> {
        // What a zone refuses depends on the name: the trial `places`.
        Ok(Vec::new())
    }
    async fn refused_changes(_: &Stand<'_>, _: &Self::Ground) -> Verdict<Option<Unchangeable<Self>>> {
        Ok(None)
    }
    async fn let_go(_: &Stand<'_>, _: &Object<Self>) -> Verdict {
        Ok(())
    }
    fn comparable(asked: &RecordSetSpec, _: &RecordSetSpec) -> RecordSetSpec {
        asked.clone()
    }
    fn is_ready(status: &RecordSetStatus) -> bool {
        status.dns_name.is_some() && status.record_type.is_some()
    }
    fn addresses(_: &RecordSetStatus) -> Vec<IpAddr> {
        Vec::new()
    }
    async fn occupied(_: &Stand<'_>) -> Verdict<Option<Object<Self>>> {
        Ok(None)
    }
    fn planted(ground: &Self::Ground) -> Verdict<Planted> {
        Ok(Planted::RecordSet { zone: ground.vendor_id.to_string(), id: format!("planted.{ZONE}~A"), address: address(200) })
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
    fn labels(_: &mut RecordSetSpec) -> Option<&mut BTreeMap<String, String>> {
        None
    }
}

/// Of documentation (RFC 5737).
fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}
pub(crate) fn named(label: &str, of: &str) -> Verdict<RecordId> {
    let id = if label.is_empty() { format!("{ZONE}~{of}") } else { format!("{label}.{ZONE}~{of}") };
    id.parse().map_err(|e| Stop::Failed(format!("{id}: {e}")))
}
/// As an engine hands it to a driver.
fn canonical(mut spec: RecordSetSpec) -> RecordSetSpec {
    if let Ok(id) = named("any", "A") {
        RecordSet::canonical(&id, &mut spec);
    }
    spec
}
/// The policies that the provider honours.
fn policies(stand: &Stand<'_>) -> Vec<Routing> {
    let all = [Routing::Weighted, Routing::NearestRegion, Routing::Country, Routing::Failover, Routing::Multivalue];
    all.into_iter().filter(|r| stand.honours::<RecordSet>(&format!("routing={r}")) && stand.honours::<RecordSet>("items")).collect()
}
/// Two items of a policy.
fn routed(routing: Routing) -> RecordSetSpec {
    let item = |number: u8, id: &str| {
        let mut item = RecordItem { id: id.to_owned(), values: vec![address(number).to_string()], ..RecordItem::default() };
        let is_first = number == 1;
        match routing {
            Routing::Weighted => item.weight = Some(u32::from(number) * 10),
            Routing::NearestRegion => item.region = Some(if is_first { "eu-west-1" } else { "us-east-1" }.to_owned()),
            Routing::Country => item.country = Some(if is_first { "*" } else { "DE" }.to_owned()),
            Routing::Failover => item.failover = if is_first { FailoverRole::Primary } else { FailoverRole::Secondary },
            Routing::Multivalue | Routing::Simple | Routing::Unspecified => {}
        }
        item
    };
    canonical(RecordSetSpec { ttl_s: Some(30), routing, items: vec![item(1, "first"), item(2, "second one")], ..RecordSetSpec::default() })
}
