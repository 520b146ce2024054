use super::{
    cloud::{Action, Cloud, Draw, changed},
    item::{Item, Network, Shown, Tags},
    quotas,
    refusal::{Code, Refusal},
    state::{Edit, Region},
    table::{Filter, Listed},
};
use ipnet::{IpNet, Ipv6Net};
use std::{net::Ipv6Addr, sync::Arc};

/// What a new network should be.
#[derive(Debug, Clone)]
pub(crate) struct NewNetwork {
    pub(crate) cidrs: Vec<IpNet>,
    pub(crate) assign_ipv6: bool,
    pub(crate) tags: Tags,
}

pub(super) fn network_of<'a>(region: &'a Region, id: &str) -> Result<&'a Arc<Item<Network>>, Refusal> {
    region.networks.get(id).ok_or_else(|| Refusal::new(Code::NetworkNotFound, format!("there is no network {id:?}")))
}

impl Cloud {
    pub(crate) async fn create_network(&self, region: &str, new: NewNetwork) -> Result<Shown<Network>, Refusal> {
        self.write(Action::CreateNetwork, region, |r, draw| created(r, draw, new)).await
    }
    pub(crate) async fn dry_create_network(&self, region: &str, new: NewNetwork) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| created(r, draw, new)).await
    }
    pub(crate) fn plant_network(&self, region: &str, new: NewNetwork) -> Result<String, Refusal> {
        self.plant(region, |r, draw| {
            let (_, mut edits) = created(r, draw, new)?;
            let Some(Edit::PutNetwork(item)) = edits.first_mut() else { return Ok((String::new(), edits)) };
            (item.visible_ms, item.tagged_ms) = (draw.now_ms, draw.now_ms);
            Ok((item.id.clone(), edits))
        })
    }
    pub(crate) async fn network(&self, region: &str, id: &str) -> Result<Option<Shown<Network>>, Refusal> {
        self.read(Action::DescribeNetworks, region, |r, now| Ok(r.networks.show(id, now))).await
    }
    pub(crate) async fn networks(&self, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Result<Listed<Network>, Refusal> {
        let size = size.min(self.config().page_size);
        self.read(Action::DescribeNetworks, region, |r, now| r.networks.list(&filter, after, size, now, |_| true)).await
    }
    /// Refused while there are subnets in it. A gateway on it is detached and stays.
    pub(crate) async fn delete_network(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.write(Action::DeleteNetwork, region, |r, _| deleted(r, id)).await
    }
    pub(crate) async fn dry_delete_network(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.dry_run(region, |r, _| deleted(r, id)).await
    }
    pub(crate) async fn tag_network(&self, region: &str, id: &str, tags: Tags, expect: Option<u64>) -> Result<Shown<Network>, Refusal> {
        self.write(Action::TagNetwork, region, |r, draw| {
            let item = network_of(r, id)?;
            expect_version(item, expect)?;
            let new = Item { tags, ..changed(item, item.body.clone()) };
            Ok((Shown::written(Arc::new(new.clone()), draw.now_ms), vec![Edit::PutNetwork(Box::new(new))]))
        })
        .await
    }
}

/// Optimistic concurrency, where the caller wants it.
pub(super) fn expect_version<T>(item: &Item<T>, expect: Option<u64>) -> Result<(), Refusal> {
    match expect {
        Some(version) if version != item.version => Err(Refusal::new(Code::VersionMismatch, format!("{} is at version {}, not {version}", item.id, item.version))),
        _ => Ok(()),
    }
}

fn created(region: &Region, draw: &mut Draw<'_>, new: NewNetwork) -> Result<(Shown<Network>, Vec<Edit>), Refusal> {
    draw.has_room(region, &quotas::NETWORKS)?;
    if new.cidrs.is_empty() {
        return Err(Refusal::new(Code::InvalidAddressRange, "a network needs a range"));
    }
    let assigned = new.assign_ipv6.then(|| assigned_range(draw));
    let item = draw.item(new.tags, Network { cidrs: new.cidrs, assigned, gateway: None });
    Ok((Shown::written(Arc::new(item.clone()), draw.now_ms), vec![Edit::PutNetwork(Box::new(item))]))
}
/// A /56 of the range for documentation (RFC 3849), so that nobody takes it for a real one.
fn assigned_range(draw: &mut Draw<'_>) -> IpNet {
    let [.., a, b, c] = draw.random().to_be_bytes();
    let bits = (0x2001_0db8_u128 << 96) | (u128::from(a) << 88) | (u128::from(b) << 80) | (u128::from(c) << 72);
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from(bits), 56).trunc())
}
pub(super) fn deleted(region: &Region, id: &str) -> Result<((), Vec<Edit>), Refusal> {
    let item = network_of(region, id)?;
    let subnets: Vec<&str> = region.subnets.children(id).map(|s| s.id.as_str()).take(4).collect();
    if !subnets.is_empty() {
        return Err(Refusal::new(Code::DependencyViolation, format!("{id} has subnets: {}", subnets.join(", "))));
    }
    let groups: Vec<&str> = region.security_groups.children(id).map(|g| g.id.as_str()).take(4).collect();
    if !groups.is_empty() {
        return Err(Refusal::new(Code::DependencyViolation, format!("{id} has security groups: {}", groups.join(", "))));
    }
    if let Some(table) = region.route_tables.children(id).next() {
        return Err(Refusal::new(Code::DependencyViolation, format!("{id} has the route table {}", table.id)));
    }
    if let Some(pool) = region.pools.children(id).next() {
        return Err(Refusal::new(Code::DependencyViolation, format!("{id} has the pool {}", pool.id)));
    }
    let mut edits = vec![Edit::RemoveNetwork(id.to_owned())];
    if let Some(gateway) = item.body.gateway.as_ref().and_then(|g| region.gateways.get(g)) {
        edits.push(Edit::PutGateway(Box::new(changed(gateway, super::Gateway { network: None }))));
    }
    Ok(((), edits))
}
