use super::{
    cloud::{Action, Cloud, Draw, changed},
    item::{Item, Network, Shown, Subnet, Tags},
    load_balancers,
    networks::{expect_version, network_of},
    quotas,
    refusal::{Code, Refusal},
    route_tables,
    state::{Edit, Region},
    table::{Filter, Listed},
};
use crate::Config;
use ipnet::IpNet;
use std::{net::IpAddr, sync::Arc};

/// What a new subnet should be.
#[derive(Debug, Clone)]
pub(crate) struct NewSubnet {
    pub(crate) network: String,
    pub(crate) zone: String,
    pub(crate) cidrs: Vec<IpNet>,
    pub(crate) assign_ipv6: bool,
    pub(crate) public_ips: bool,
    pub(crate) tags: Tags,
}

pub(super) fn subnet_of<'a>(region: &'a Region, id: &str) -> Result<&'a Arc<Item<Subnet>>, Refusal> {
    region.subnets.get(id).ok_or_else(|| Refusal::new(Code::SubnetNotFound, format!("there is no subnet {id:?}")))
}
/// The network's own addresses: the first four and the last, as on AWS.
pub(crate) const RESERVED: u64 = 5;

impl Cloud {
    pub(crate) async fn create_subnet(&self, region: &str, new: NewSubnet) -> Result<Shown<Subnet>, Refusal> {
        self.write(Action::CreateSubnet, region, |r, draw| created(r, draw, new)).await
    }
    pub(crate) async fn dry_create_subnet(&self, region: &str, new: NewSubnet) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| created(r, draw, new)).await
    }
    pub(crate) fn plant_subnet(&self, region: &str, new: NewSubnet) -> Result<String, Refusal> {
        self.plant(region, |r, draw| {
            let (_, mut edits) = created(r, draw, new)?;
            let Some(Edit::PutSubnet(item)) = edits.first_mut() else { return Ok((String::new(), edits)) };
            (item.visible_ms, item.tagged_ms) = (draw.now_ms, draw.now_ms);
            Ok((item.id.clone(), edits))
        })
    }
    /// With the number of addresses in use.
    pub(crate) async fn subnet(&self, region: &str, id: &str) -> Result<Option<(Shown<Subnet>, usize)>, Refusal> {
        self.read(Action::DescribeSubnets, region, |r, now| Ok(r.subnets.show(id, now).map(|s| counted(r, s)))).await
    }
    pub(crate) async fn subnets(&self, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Result<(Vec<(Shown<Subnet>, usize)>, Option<String>), Refusal> {
        let size = size.min(self.config().page_size);
        self.read(Action::DescribeSubnets, region, |r, now| {
            let Listed { items, next } = r.subnets.list(&filter, after, size, now, |_| true)?;
            Ok((items.into_iter().map(|s| counted(r, s)).collect(), next))
        })
        .await
    }
    pub(crate) async fn modify_subnet(&self, region: &str, id: &str, public_ips: bool, expect: Option<u64>) -> Result<(), Refusal> {
        self.write(Action::ModifySubnet, region, |r, _| {
            let item = subnet_of(r, id)?;
            expect_version(item, expect)?;
            Ok(((), vec![Edit::PutSubnet(Box::new(changed(item, Subnet { public_ips, ..item.body.clone() })))]))
        })
        .await
    }
    pub(crate) async fn tag_subnet(&self, region: &str, id: &str, tags: Tags, expect: Option<u64>) -> Result<(), Refusal> {
        self.write(Action::TagSubnet, region, |r, _| {
            let item = subnet_of(r, id)?;
            expect_version(item, expect)?;
            Ok(((), vec![Edit::PutSubnet(Box::new(Item { tags, ..changed(item, item.body.clone()) }))]))
        })
        .await
    }
    /// Refused while there are instances or NAT gateways in it.
    pub(crate) async fn delete_subnet(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.write(Action::DeleteSubnet, region, |r, draw| deleted(r, id, draw.now_ms)).await
    }
    pub(crate) async fn dry_delete_subnet(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| deleted(r, id, draw.now_ms)).await
    }
}

fn counted(region: &Region, subnet: Shown<Subnet>) -> (Shown<Subnet>, usize) {
    let used = region.taken.get(subnet.id()).map_or(0, super::state::Taken::count_v4);
    (subnet, used)
}

fn created(region: &Region, draw: &mut Draw<'_>, new: NewSubnet) -> Result<(Shown<Subnet>, Vec<Edit>), Refusal> {
    let network = network_of(region, &new.network)?;
    draw.has_room(region, &quotas::SUBNETS)?;
    if !Config::zones(draw.region).contains(&new.zone) {
        return Err(Refusal::new(Code::InvalidZone, format!("{} has the zones {}, not {:?}", draw.region, Config::zones(draw.region).join(", "), new.zone)));
    }
    let body = Subnet { network: new.network, zone: new.zone, cidrs: new.cidrs, assigned: None, public_ips: new.public_ips };
    for cidr in &body.cidrs {
        fits(region, network, cidr)?;
    }
    let assigned = if new.assign_ipv6 { Some(assigned_range(region, network)?) } else { None };
    let item = draw.item(new.tags, Subnet { assigned, ..body });
    Ok((Shown::written(Arc::new(item.clone()), draw.now_ms), vec![Edit::PutSubnet(Box::new(item))]))
}
fn fits(region: &Region, network: &Item<Network>, cidr: &IpNet) -> Result<(), Refusal> {
    if !network.body.cidrs.iter().chain(&network.body.assigned).any(|range| range.contains(cidr)) {
        return Err(Refusal::new(Code::RangeOutsideNetwork, format!("{cidr} is not inside {}", network.id)));
    }
    let overlaps = |other: &&IpNet| other.contains(cidr) || cidr.contains(*other);
    for subnet in region.subnets.children(&network.id) {
        if let Some(other) = subnet.body.ranges().find(overlaps) {
            return Err(Refusal::new(Code::RangeConflict, format!("{cidr} overlaps {other} of {}", subnet.id)));
        }
    }
    Ok(())
}
fn assigned_range(region: &Region, network: &Item<Network>) -> Result<IpNet, Refusal> {
    let Some(IpNet::V6(range)) = network.body.assigned else {
        return Err(Refusal::new(Code::InvalidAddressRange, format!("{} has no IPv6 range that the cloud assigned", network.id)));
    };
    let mut free = range.subnets(64).into_iter().flatten().map(IpNet::V6).filter(|net| fits(region, network, net).is_ok());
    free.next().ok_or_else(|| Refusal::new(Code::RangeExhausted, format!("every /64 of {range} is in use")))
}
pub(super) fn deleted(region: &Region, id: &str, now_ms: u64) -> Result<((), Vec<Edit>), Refusal> {
    let network = &subnet_of(region, id)?.body.network;
    let inside: Vec<&str> = region.instances.children(id).filter(|i| !i.body.is_gone(now_ms)).map(|i| i.id.as_str()).take(4).collect();
    if let Some(gateway) = region.nat_gateways.children(id).find(|g| g.body.holds(now_ms)) {
        return Err(Refusal::new(Code::DependencyViolation, format!("{id} has the NAT gateway {}", gateway.id)));
    }
    if let Some(balancer) = load_balancers::standing_in(region, network, id, now_ms) {
        return Err(Refusal::new(Code::DependencyViolation, format!("the load balancer {balancer} stands in {id}")));
    }
    if inside.is_empty() {
        let edits = route_tables::let_go(region, network, id).chain([Edit::RemoveSubnet(id.to_owned())]);
        return Ok(((), edits.collect()));
    }
    Err(Refusal::new(Code::DependencyViolation, format!("{id} has instances: {}", inside.join(", "))))
}

/// Addresses of `range` that an instance can have, from the one after `last` or else from the first.
pub(super) fn hosts(range: &IpNet, last: Option<&IpAddr>) -> impl Iterator<Item = IpAddr> + use<> {
    let number = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    };
    let is_v4 = range.addr().is_ipv4();
    // What RESERVED counts: four at the beginning, one at the end.
    let (first, end) = (number(range.network()) + 4, number(range.broadcast()));
    let from = last.map_or(first, |ip| number(*ip) + 1).max(first);
    (from..end).map(move |n| if is_v4 { IpAddr::from(u32::try_from(n).unwrap_or_default().to_be_bytes()) } else { IpAddr::from(n.to_be_bytes()) })
}
