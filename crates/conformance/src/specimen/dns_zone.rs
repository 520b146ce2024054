use super::{Depth, Plausible, Reached, Specimen, Unchangeable, Wrong, id_of_nothing, labelled, to, wrong_labels};
use crate::{
    Planted,
    stand::{Stand, Verdict},
};
use async_trait::async_trait;
use std::{collections::BTreeMap, net::IpAddr};
use welkin_core::{DnsName, DnsZone, DnsZoneAction, DnsZoneSpec, DnsZoneState, DnsZoneStatus, Kind, Name, Network, NoAction, Object, Reason, RecordSet, Ref};

#[async_trait(?Send)]
impl Specimen for DnsZone {
    /// Two networks that a private zone can be answered for; a plain zone is public and needs none.
    type Ground = Vec<Object<Network>>;
    async fn ground(stand: &Stand<'_>, depth: Depth) -> Verdict<Self::Ground> {
        let mut out = Vec::new();
        if depth == Depth::Whole && stand.honours::<Self>("networks") {
            for number in 0..2 {
                out.push(stand.create(Network::plain(stand, &(), number)).await?);
            }
        }
        Ok(out)
    }
    fn plain(_: &Stand<'_>, _: &Self::Ground, number: u8) -> DnsZoneSpec {
        DnsZoneSpec { dns_name: named(&format!("z{number}.conformance.example")), ..DnsZoneSpec::default() }
    }
    fn variants(stand: &Stand<'_>, networks: &Self::Ground) -> Verdict<Vec<(&'static str, DnsZoneSpec)>> {
        let everything = DnsZoneSpec {
            // In one canonical form, whatever the vendor makes of it.
            dns_name: named("_A-1.xn--bcher-kva.conformance.example."),
            private: !networks.is_empty(),
            networks: networks.first().map(to).into_iter().collect(),
            description: stand.honours::<Self>("description").then(|| "Of the trials".into()),
            labels: labelled(&[("team", "a"), ("Name", "of-its-own")]),
            provider_config: stand.subject.provider_configs.get(Self::COLLECTION).cloned(),
        };
        Ok(vec![("everything", everything), ("a public zone", Self::plain(stand, networks, 20))])
    }
    fn changes(stand: &Stand<'_>, networks: &Self::Ground, now: &DnsZoneSpec) -> Vec<(&'static str, DnsZoneSpec)> {
        let mut out = Vec::new();
        let mut now = now.clone();
        if stand.changes::<Self>("labels") {
            now.labels = labelled(&[("team", "b"), ("new", "")]);
            out.push(("labels", now.clone()));
        }
        if stand.changes::<Self>("description") {
            for description in [Some("Of other trials".to_owned()), None] {
                now.description = description;
                out.push(("description", now.clone()));
            }
        }
        if let (true, true, [first, second]) = (now.private, stand.changes::<Self>("networks"), &**networks) {
            // One more, the other alone, and at once from one to the other.
            for networks in [vec![first, second], vec![second], vec![first]] {
                now.networks = networks.into_iter().map(to).collect();
                out.push(("networks", now.clone()));
            }
        }
        out
    }
    fn goes_back(_: &str) -> bool {
        true
    }
    async fn before_change(_: &Stand<'_>, _: &Object<Self>, _: &'static str) -> Verdict {
        Ok(())
    }
    fn malformed(_: &Stand<'_>, plain: &DnsZoneSpec) -> Vec<Wrong<Self>> {
        let mut out = wrong_labels(plain);
        out.push(Wrong::new("no name", DnsZoneSpec { dns_name: None, ..plain.clone() }, "dns_name").with(Reason::FieldRequired));
        out.push(Wrong::new("the root", DnsZoneSpec { dns_name: named("."), ..plain.clone() }, "dns_name"));
        out.push(Wrong::new("a private zone for nobody", DnsZoneSpec { private: true, ..plain.clone() }, "networks"));
        out.push(Wrong::new("an overlong description", DnsZoneSpec { description: Some("x".repeat(257)), ..plain.clone() }, "description"));
        out
    }
    async fn refused(stand: &Stand<'_>, networks: &Self::Ground, plain: &DnsZoneSpec) -> Verdict<Vec<Wrong<Self>>> {
        let Some(first) = networks.first() else { return Ok(Vec::new()) };
        let private = DnsZoneSpec { private: true, networks: vec![to(first)], ..plain.clone() };
        stand.create::<Self>(private.clone()).await?;
        let nowhere = DnsZoneSpec { networks: vec![nowhere(stand, first)?], dns_name: named("nowhere.conformance.example"), ..private.clone() };
        Ok(vec![
            Wrong::new("a second private zone of one name in one network", private, "networks").with(Reason::InUse),
            Wrong::new("a network that is not there", nowhere, "networks").with(Reason::ReferenceNotFound),
        ])
    }
    async fn refused_changes(stand: &Stand<'_>, networks: &Self::Ground) -> Verdict<Option<Unchangeable<Self>>> {
        let (true, [first, second]) = (stand.changes::<Self>("networks"), &**networks) else { return Ok(None) };
        let private = |network| DnsZoneSpec { private: true, networks: vec![to(network)], ..Self::plain(stand, networks, 0) };
        stand.create::<Self>(private(second)).await?;
        let made = stand.create::<Self>(private(first)).await?;
        let taken = DnsZoneSpec { networks: vec![to(first), to(second)], ..made.spec.clone() };
        let nowhere = DnsZoneSpec { networks: vec![to(first), nowhere(stand, first)?], ..made.spec.clone() };
        let wrong = vec![
            Wrong::new("the network of another private zone of one name", taken, "networks").with(Reason::InUse),
            Wrong::new("a network that is not there", nowhere, "networks").with(Reason::ReferenceNotFound),
        ];
        Ok(Some((made, wrong)))
    }
    async fn let_go(_: &Stand<'_>, _: &Object<Self>) -> Verdict {
        Ok(())
    }
    fn comparable(asked: &DnsZoneSpec, _: &DnsZoneSpec) -> DnsZoneSpec {
        asked.clone()
    }
    fn is_ready(status: &DnsZoneStatus) -> bool {
        status.state == DnsZoneState::Available
    }
    fn addresses(_: &DnsZoneStatus) -> Vec<IpAddr> {
        Vec::new()
    }
    async fn occupied(stand: &Stand<'_>) -> Verdict<Option<Object<Self>>> {
        if stand.capabilities::<RecordSet>().is_err() {
            return Ok(None);
        }
        let ground = RecordSet::ground(stand, Depth::Plain).await?;
        stand.create::<RecordSet>(RecordSet::plain(stand, &ground, 1)).await?;
        Ok(Some(ground))
    }
    fn planted(_: &Self::Ground) -> Verdict<Planted> {
        Ok(Planted::DnsZone { dns_name: "planted.conformance.example".into() })
    }
    fn fixed_points() -> Vec<(DnsZoneAction, Reached<Self>)> {
        Vec::new()
    }
    fn once() -> Option<DnsZoneAction> {
        None
    }
    fn questions() -> Vec<(NoAction, Plausible<Self>)> {
        Vec::new()
    }
    fn labels(spec: &mut DnsZoneSpec) -> Option<&mut BTreeMap<String, String>> {
        Some(&mut spec.labels)
    }
}

fn named(text: &str) -> Option<DnsName> {
    text.parse().ok()
}
/// A network beside this one that is not there.
fn nowhere(stand: &Stand<'_>, beside: &Object<Network>) -> Verdict<Ref<Network>> {
    let nothing = id_of_nothing::<Network>(stand);
    Ok(Ref::resolved(Name::new(beside.name.parent.clone(), Network::foreign_id(&nothing)?), nothing.parse()?))
}
