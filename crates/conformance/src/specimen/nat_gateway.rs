use super::{Depth, Plausible, Reached, Specimen, Unchangeable, Wrong, labelled, net, subnet_range, to, wrong_labels};
use crate::{
    Planted,
    stand::{Stand, Verdict},
};
use async_trait::async_trait;
use std::{collections::BTreeMap, net::IpAddr};
use welkin_core::{
    Address, AddressSpec, Connectivity, Kind, NatGateway, NatGatewaySpec, NatGatewayState, NatGatewayStatus, Network, NetworkSpec, NoAction, Object, Reason, Subnet, SubnetSpec,
};

/// What NAT gateways stand in, and what a public one is seen as where the trial needs one.
#[derive(Debug)]
pub(crate) struct Doorstep {
    subnet: Object<Subnet>,
    address: Option<Object<Address>>,
}

#[async_trait(?Send)]
impl Specimen for NatGateway {
    type Ground = Doorstep;
    async fn ground(stand: &Stand<'_>, depth: Depth) -> Verdict<Doorstep> {
        let network = NetworkSpec { internet_access: stand.honours::<Network>("internet_access"), ..Network::plain(stand, &(), 0) };
        let subnet = subnet_of(stand, stand.create(network).await?, subnet_range(0)).await?;
        let address = if depth == Depth::Whole { Some(stand.create(AddressSpec::default()).await?) } else { None };
        Ok(Doorstep { subnet, address })
    }
    fn plain(_: &Stand<'_>, ground: &Doorstep, _: u8) -> NatGatewaySpec {
        NatGatewaySpec { subnet: Some(to(&ground.subnet)), connectivity: Connectivity::Private, ..NatGatewaySpec::default() }
    }
    fn variants(stand: &Stand<'_>, ground: &Doorstep) -> Verdict<Vec<(&'static str, NatGatewaySpec)>> {
        let plain = Self::plain(stand, ground, 0);
        let everything = NatGatewaySpec {
            labels: labelled(&[("team", "a"), ("Name", "of-its-own")]),
            provider_config: stand.subject.provider_configs.get(Self::COLLECTION).cloned(),
            ..public(&ground.subnet, ground.address.as_ref())
        };
        Ok(vec![("everything", everything), ("a private one", plain)])
    }
    fn changes(stand: &Stand<'_>, _: &Doorstep, now: &NatGatewaySpec) -> Vec<(&'static str, NatGatewaySpec)> {
        let labels = NatGatewaySpec { labels: labelled(&[("team", "b"), ("new", "")]), ..now.clone() };
        if stand.changes::<Self>("labels") { vec![("labels", labels)] } else { Vec::new() }
    }
    fn goes_back(_: &str) -> bool {
        true
    }
    async fn before_change(_: &Stand<'_>, _: &Object<Self>, _: &'static str) -> Verdict {
        Ok(())
    }
    fn malformed(_: &Stand<'_>, plain: &NatGatewaySpec) -> Vec<Wrong<Self>> {
        let mut out = vec![
            Wrong::new("no subnet", NatGatewaySpec { subnet: None, ..plain.clone() }, "subnet"),
            Wrong::new("neither public nor private", NatGatewaySpec { connectivity: Connectivity::Unspecified, ..plain.clone() }, "connectivity"),
            Wrong::new("a public one without an address", NatGatewaySpec { connectivity: Connectivity::Public, ..plain.clone() }, "address"),
        ];
        out.extend(wrong_labels(plain));
        out
    }
    async fn refused(stand: &Stand<'_>, ground: &Doorstep, _: &NatGatewaySpec) -> Verdict<Vec<Wrong<Self>>> {
        let used = public(&ground.subnet, ground.address.as_ref());
        stand.create::<Self>(used.clone()).await?;
        let (network, free) = (NetworkSpec { cidrs: vec![net("10.30.0.0/16")?], ..NetworkSpec::default() }, stand.create(AddressSpec::default()).await?);
        let shut_in = subnet_of(stand, stand.create(network).await?, net("10.30.0.0/24")?).await?;
        Ok(vec![
            Wrong::new("an address that another one is seen as", used, "address").with(Reason::InUse),
            Wrong::new("a network without a way to the internet", public(&shut_in, Some(&free)), "subnet"),
        ])
    }
    async fn refused_changes(_: &Stand<'_>, _: &Doorstep) -> Verdict<Option<Unchangeable<Self>>> {
        Ok(None)
    }
    async fn let_go(_: &Stand<'_>, _: &Object<Self>) -> Verdict {
        Ok(())
    }
    fn comparable(asked: &NatGatewaySpec, _: &NatGatewaySpec) -> NatGatewaySpec {
        asked.clone()
    }
    fn is_ready(status: &NatGatewayStatus) -> bool {
        status.state == NatGatewayState::Available && status.private_ip.is_some()
    }
    fn addresses(status: &NatGatewayStatus) -> Vec<IpAddr> {
        status.public_ip.into_iter().chain(status.private_ip).collect()
    }
    async fn occupied(_: &Stand<'_>) -> Verdict<Option<Object<Self>>> {
        Ok(None)
    }
    fn planted(ground: &Doorstep) -> Verdict<Planted> {
        Ok(Planted::NatGateway { subnet: ground.subnet.vendor_id.to_string() })
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
    fn labels(spec: &mut NatGatewaySpec) -> Option<&mut BTreeMap<String, String>> {
        Some(&mut spec.labels)
    }
}

fn public(subnet: &Object<Subnet>, address: Option<&Object<Address>>) -> NatGatewaySpec {
    NatGatewaySpec { subnet: Some(to(subnet)), connectivity: Connectivity::Public, address: address.map(to), ..NatGatewaySpec::default() }
}
async fn subnet_of(stand: &Stand<'_>, network: Object<Network>, range: ipnet::IpNet) -> Verdict<Object<Subnet>> {
    let zone = if stand.honours::<Subnet>("zone") { Some(stand.zone().await?) } else { None };
    stand.create(SubnetSpec { network: Some(to(&network)), cidrs: vec![range], zone, ..SubnetSpec::default() }).await
}
