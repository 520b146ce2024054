use super::{
    cloud::{Action, Cloud, Draw, changed},
    instances::{instance_of, public_ip},
    item::{Address, Condition, Item, NatGateway, Shown, Tags},
    load_balancers,
    networks::expect_version,
    quotas,
    refusal::{Code, Refusal},
    state::{Edit, Region},
    table::{Filter, Listed},
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// With the NAT gateway or load balancer that has it.
pub(crate) type Held = (Shown<Address>, Option<String>);

/// Where a new address is to lead, to be tried out with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewAddress {
    pub(crate) instance: Option<String>,
    pub(crate) private_ip: Option<Ipv4Addr>,
    pub(crate) tags: Tags,
}

fn address_of<'a>(region: &'a Region, id: &str) -> Result<&'a Arc<Item<Address>>, Refusal> {
    region.addresses.get(id).ok_or_else(|| Refusal::new(Code::AddressNotFound, format!("there is no address {id:?}")))
}
/// The NAT gateway that is seen as it, or the load balancer that is reached at it.
fn holder(region: &Region, id: &str, now_ms: u64) -> Option<String> {
    let holds = |g: &&Arc<Item<NatGateway>>| g.body.holds(now_ms) && g.body.address.as_ref().is_some_and(|(address, _)| address == id);
    let gateway = region.nat_gateways.iter().find(holds).map(|g| g.id.clone());
    gateway.or_else(|| load_balancers::reached_at(region, id, now_ms))
}
fn held(region: &Region, address: Shown<Address>, now_ms: u64) -> Held {
    let holder = holder(region, address.id(), now_ms);
    (address, holder)
}
/// What nothing uses.
pub(super) fn free<'a>(region: &'a Region, id: &str, now_ms: u64) -> Result<&'a Arc<Item<Address>>, Refusal> {
    let item = address_of(region, id)?;
    match item.body.leads_to.as_ref().map(|(instance, _)| instance.clone()).or_else(|| holder(region, id, now_ms)) {
        Some(user) => Err(Refusal::new(Code::AddressHeld, format!("{id} is used by {user}"))),
        None => Ok(item),
    }
}
/// An item with the edit that keeps it.
fn put(region: &Region, item: Item<Address>, now_ms: u64) -> (Held, Vec<Edit>) {
    (held(region, Shown::written(Arc::new(item.clone()), now_ms), now_ms), vec![Edit::PutAddress(Box::new(item))])
}

impl Cloud {
    pub(crate) async fn allocate_address(&self, region: &str, tags: Tags) -> Result<Held, Refusal> {
        self.write(Action::AllocateAddress, region, |r, draw| allocated(r, draw, tags)).await
    }
    pub(crate) async fn dry_allocate_address(&self, region: &str, new: NewAddress) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| {
            if let Some(instance) = &new.instance {
                goal(r, draw.now_ms, None, instance, new.private_ip)?;
            }
            allocated(r, draw, new.tags)
        })
        .await
    }
    pub(crate) fn plant_address(&self, region: &str, tags: Tags) -> Result<String, Refusal> {
        self.plant(region, |r, draw| {
            let (_, mut edits) = allocated(r, draw, tags)?;
            let Some(Edit::PutAddress(item)) = edits.first_mut() else { return Ok((String::new(), edits)) };
            (item.visible_ms, item.tagged_ms) = (draw.now_ms, draw.now_ms);
            Ok((item.id.clone(), edits))
        })
    }
    pub(crate) async fn address(&self, region: &str, id: &str) -> Result<Option<Held>, Refusal> {
        self.read(Action::DescribeAddresses, region, |r, now| Ok(r.addresses.show(id, now).map(|a| held(r, a, now)))).await
    }
    pub(crate) async fn addresses(&self, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Result<(Vec<Held>, Option<String>), Refusal> {
        let size = size.min(self.config().page_size);
        self.read(Action::DescribeAddresses, region, |r, now| {
            let Listed { items, next } = r.addresses.list(&filter, after, size, now, |_| true)?;
            Ok((items.into_iter().map(|a| held(r, a, now)).collect(), next))
        })
        .await
    }
    /// It leads there from now on, wherever it has led; without a private address to the instance's first. Refused where another one leads there.
    pub(crate) async fn associate_address(&self, region: &str, id: &str, instance: &str, private_ip: Option<Ipv4Addr>, expect: Option<u64>) -> Result<Held, Refusal> {
        self.write(Action::AssociateAddress, region, |r, draw| {
            let item = address_of(r, id)?;
            expect_version(item, expect)?;
            let leads_to = Some((instance.to_owned(), goal(r, draw.now_ms, Some(id), instance, private_ip)?));
            if item.body.leads_to == leads_to {
                return Ok((held(r, Shown::written(Arc::clone(item), draw.now_ms), draw.now_ms), Vec::new()));
            }
            if let Some(gateway) = holder(r, id, draw.now_ms) {
                return Err(Refusal::new(Code::AddressAssociated, format!("{id} is used by {gateway}")));
            }
            Ok(put(r, changed(item, Address { leads_to, ..item.body.clone() }), draw.now_ms))
        })
        .await
    }
    /// Fine where it leads nowhere.
    pub(crate) async fn disassociate_address(&self, region: &str, id: &str, expect: Option<u64>) -> Result<Held, Refusal> {
        self.write(Action::DisassociateAddress, region, |r, draw| {
            let item = address_of(r, id)?;
            expect_version(item, expect)?;
            Ok(put(r, changed(item, Address { leads_to: None, ..item.body.clone() }), draw.now_ms))
        })
        .await
    }
    pub(crate) async fn tag_address(&self, region: &str, id: &str, tags: Tags, expect: Option<u64>) -> Result<Held, Refusal> {
        self.write(Action::TagAddress, region, |r, draw| {
            let item = address_of(r, id)?;
            expect_version(item, expect)?;
            Ok(put(r, Item { tags, ..changed(item, item.body.clone()) }, draw.now_ms))
        })
        .await
    }
    /// Refused while it leads to an instance or a NAT gateway is seen as it.
    pub(crate) async fn release_address(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.write(Action::ReleaseAddress, region, |r, draw| released(r, id, draw.now_ms)).await
    }
    pub(crate) async fn dry_release_address(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| released(r, id, draw.now_ms)).await
    }
}

fn allocated(region: &Region, draw: &mut Draw<'_>, tags: Tags) -> Result<(Held, Vec<Edit>), Refusal> {
    draw.has_room(region, &quotas::ADDRESSES)?;
    let ip = public_ip(region, draw)?;
    Ok(put(region, draw.item(tags, Address { ip, leads_to: None }), draw.now_ms))
}
/// The private address that an address can lead to: the instance has it, and no other one than `own` leads there.
fn goal(region: &Region, now_ms: u64, own: Option<&str>, instance: &str, private_ip: Option<Ipv4Addr>) -> Result<Ipv4Addr, Refusal> {
    let item = instance_of(region, instance, now_ms)?;
    if item.body.goal == Condition::Gone {
        return Err(Refusal::new(Code::IncorrectState, format!("{instance} is being deleted")));
    }
    let mut has = item.body.addresses.iter().filter_map(|ip| if let IpAddr::V4(ip) = ip { Some(*ip) } else { None });
    let found = has.find(|ip| private_ip.is_none_or(|wanted| *ip == wanted));
    let wanted = private_ip.map_or_else(|| "IPv4 address".to_owned(), |ip| format!("address {ip}"));
    let found = found.ok_or_else(|| Refusal::new(Code::PrivateAddressNotFound, format!("{instance} has no {wanted}")))?;
    let leads_there = |other: &&Arc<Item<Address>>| own != Some(other.id.as_str()) && other.body.leads_to.as_ref().is_some_and(|(_, ip)| *ip == found);
    match region.addresses.children(instance).find(leads_there) {
        Some(other) => Err(Refusal::new(Code::AddressAssociated, format!("{} leads to {found} of {instance}", other.id))),
        None => Ok(found),
    }
}
fn released(region: &Region, id: &str, now_ms: u64) -> Result<((), Vec<Edit>), Refusal> {
    let leads_to = address_of(region, id)?.body.leads_to.as_ref().map(|(instance, _)| instance.clone());
    match leads_to.or_else(|| holder(region, id, now_ms)) {
        Some(user) => Err(Refusal::new(Code::DependencyViolation, format!("{id} is used by {user}"))),
        None => removed(region, id),
    }
}
/// Whatever uses it.
pub(super) fn removed(region: &Region, id: &str) -> Result<((), Vec<Edit>), Refusal> {
    address_of(region, id)?;
    Ok(((), vec![Edit::RemoveAddress(id.to_owned())]))
}
/// The addresses of an instance that goes.
pub(super) fn let_go(region: &Region, instance: &str) -> impl Iterator<Item = Edit> {
    region.addresses.children(instance).map(|item| Edit::PutAddress(Box::new(changed(item, Address { leads_to: None, ..item.body.clone() }))))
}
