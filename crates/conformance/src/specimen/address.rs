use super::{Depth, Plausible, Reached, Specimen, Unchangeable, Wrong, host, instance, labelled, to, wrong_labels};
use crate::{
    Planted,
    runner::Manner,
    stand::{Stand, Verdict},
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};
use welkin_core::{Address, AddressSpec, AddressState, AddressStatus, Instance, Kind, NoAction, Object, Reason};

#[async_trait(?Send)]
impl Specimen for Address {
    /// Two instances that it can lead to; a plain one leads nowhere and needs none.
    type Ground = Vec<Object<Instance>>;
    async fn ground(stand: &Stand<'_>, depth: Depth) -> Verdict<Self::Ground> {
        if stand.honours::<Self>("instance") { instance::pair(stand, depth).await } else { Ok(Vec::new()) }
    }
    fn plain(_: &Stand<'_>, _: &Self::Ground, _: u8) -> AddressSpec {
        AddressSpec::default()
    }
    fn variants(stand: &Stand<'_>, machines: &Self::Ground) -> Verdict<Vec<(&'static str, AddressSpec)>> {
        let everything = AddressSpec {
            instance: machines.first().map(to),
            private_ip: if stand.honours::<Self>("private_ip") { machines.first().and_then(last_private_ip) } else { None },
            labels: labelled(&[("team", "a"), ("Name", "of-its-own")]),
            provider_config: stand.subject.provider_configs.get(Self::COLLECTION).cloned(),
        };
        let mut out = vec![("everything", everything)];
        if let Some(second) = machines.get(1) {
            out.push(("for an instance", leading_to(second)));
        }
        Ok(out)
    }
    fn changes(stand: &Stand<'_>, machines: &Self::Ground, now: &AddressSpec) -> Vec<(&'static str, AddressSpec)> {
        let mut out = Vec::new();
        if stand.changes::<Self>("labels") {
            out.push(("labels", AddressSpec { labels: labelled(&[("team", "b"), ("new", "")]), ..now.clone() }));
        }
        if let (true, [first, second]) = (stand.changes::<Self>("instance"), &**machines) {
            let with = |spec: AddressSpec| AddressSpec { labels: now.labels.clone(), provider_config: now.provider_config.clone(), ..spec };
            // To one, at once on to the other, and away from it.
            out.push(("instance", with(leading_to(second))));
            out.push(("instance", with(leading_to(first))));
            if stand.changes::<Self>("private_ip") {
                out.push(("private_ip", with(AddressSpec { private_ip: last_private_ip(first), ..leading_to(first) })));
            }
            out.push(("instance", with(AddressSpec::default())));
        }
        out
    }
    fn goes_back(_: &str) -> bool {
        true
    }
    async fn before_change(_: &Stand<'_>, _: &Object<Self>, _: &'static str) -> Verdict {
        Ok(())
    }
    fn malformed(stand: &Stand<'_>, plain: &AddressSpec) -> Vec<Wrong<Self>> {
        let mut out = wrong_labels(plain);
        if stand.honours::<Self>("private_ip") {
            let private_ip = Some(Ipv4Addr::new(10, 20, 0, 30));
            out.push(Wrong::new("a private address of no instance", AddressSpec { private_ip, ..plain.clone() }, "private_ip"));
        }
        out
    }
    async fn refused(stand: &Stand<'_>, machines: &Self::Ground, _: &AddressSpec) -> Verdict<Vec<Wrong<Self>>> {
        let [first, second] = &**machines else { return Ok(Vec::new()) };
        stand.create::<Self>(leading_to(first)).await?;
        Ok(wrong_goals(stand, first, second))
    }
    async fn refused_changes(stand: &Stand<'_>, machines: &Self::Ground) -> Verdict<Option<Unchangeable<Self>>> {
        let ([first, second], true) = (&**machines, stand.changes::<Self>("instance")) else { return Ok(None) };
        stand.create::<Self>(leading_to(first)).await?;
        let made = stand.create::<Self>(AddressSpec::default()).await?;
        Ok(Some((made, wrong_goals(stand, first, second))))
    }
    async fn let_go(stand: &Stand<'_>, object: &Object<Self>) -> Verdict {
        if object.spec.instance.is_some() {
            stand.update(object, AddressSpec { instance: None, private_ip: None, ..object.spec.clone() }, Manner::PLAIN).await?;
        }
        Ok(())
    }
    fn comparable(asked: &AddressSpec, _: &AddressSpec) -> AddressSpec {
        asked.clone()
    }
    fn is_ready(status: &AddressStatus) -> bool {
        let in_use = !status.user.is_empty();
        status.ip.is_some() && status.state == if in_use { AddressState::InUse } else { AddressState::Available }
    }
    fn addresses(status: &AddressStatus) -> Vec<IpAddr> {
        status.ip.into_iter().collect()
    }
    async fn occupied(stand: &Stand<'_>) -> Verdict<Option<Object<Self>>> {
        let machines = Self::ground(stand, Depth::Whole).await?;
        match machines.first() {
            Some(first) => stand.create(leading_to(first)).await.map(Some),
            None => Ok(None),
        }
    }
    fn planted(_: &Self::Ground) -> Verdict<Planted> {
        Ok(Planted::Address)
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
    fn labels(spec: &mut AddressSpec) -> Option<&mut BTreeMap<String, String>> {
        Some(&mut spec.labels)
    }
}

fn leading_to(instance: &Object<Instance>) -> AddressSpec {
    AddressSpec { instance: Some(to(instance)), ..AddressSpec::default() }
}
fn last_private_ip(instance: &Object<Instance>) -> Option<Ipv4Addr> {
    let v4 = |ip: &IpAddr| if let IpAddr::V4(ip) = ip { Some(*ip) } else { None };
    instance.status.private_ips.iter().filter_map(v4).next_back()
}
/// Where it cannot lead: the first instance has another address.
fn wrong_goals(stand: &Stand<'_>, first: &Object<Instance>, second: &Object<Instance>) -> Vec<Wrong<Address>> {
    let mut out = vec![Wrong::new("an instance that has another address", leading_to(first), "instance").with(Reason::InUse)];
    if let (true, IpAddr::V4(nobodys)) = (stand.honours::<Address>("private_ip"), host(0, 99)) {
        let wrong = AddressSpec { private_ip: Some(nobodys), ..leading_to(second) };
        out.push(Wrong::new("a private address that the instance does not have", wrong, "private_ip"));
    }
    out
}
