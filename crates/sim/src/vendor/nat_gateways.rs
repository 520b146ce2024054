use super::{
    addresses,
    cloud::{Action, Cloud, Draw, changed},
    instances,
    item::{Item, NatGateway, Shown, Tags},
    networks::{expect_version, network_of},
    quotas,
    refusal::{Code, Refusal},
    state::{Edit, Region},
    subnets::subnet_of,
    table::{Filter, Listed},
};
use std::{net::IpAddr, sync::Arc};

/// What a new NAT gateway should be: with an address it is a public one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewNatGateway {
    pub(crate) subnet: String,
    pub(crate) address: Option<String>,
    pub(crate) tags: Tags,
}
/// With an idempotency token, where the cloud knows them.
#[derive(Debug, Clone)]
pub(crate) struct NatGatewayRequest {
    pub(crate) new: NewNatGateway,
    pub(crate) token: Option<String>,
}

fn nat_gateway_of<'a>(region: &'a Region, id: &str, now_ms: u64) -> Result<&'a Arc<Item<NatGateway>>, Refusal> {
    let found = region.nat_gateways.get(id).filter(|g| !g.body.is_gone(now_ms));
    found.ok_or_else(|| Refusal::new(Code::NatGatewayNotFound, format!("there is no NAT gateway {id:?}")))
}
/// An item with the edit that keeps it.
fn put(item: Item<NatGateway>, now_ms: u64) -> (Shown<NatGateway>, Vec<Edit>) {
    (Shown::written(Arc::new(item.clone()), now_ms), vec![Edit::PutNatGateway(Box::new(item))])
}

impl Cloud {
    pub(crate) async fn create_nat_gateway(&self, region: &str, request: NatGatewayRequest) -> Result<Shown<NatGateway>, Refusal> {
        self.write(Action::CreateNatGateway, region, |r, draw| created(r, draw, request)).await
    }
    pub(crate) async fn dry_create_nat_gateway(&self, region: &str, new: NewNatGateway) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| created(r, draw, NatGatewayRequest { new, token: None })).await
    }
    pub(crate) fn plant_nat_gateway(&self, region: &str, new: NewNatGateway) -> Result<String, Refusal> {
        self.plant(region, |r, draw| {
            let (_, mut edits) = created(r, draw, NatGatewayRequest { new, token: None })?;
            let Some(Edit::PutNatGateway(item)) = edits.first_mut() else { return Ok((String::new(), edits)) };
            (item.visible_ms, item.tagged_ms, item.body.settles_ms) = (draw.now_ms, draw.now_ms, draw.now_ms);
            Ok((item.id.clone(), edits))
        })
    }
    pub(crate) async fn nat_gateway(&self, region: &str, id: &str) -> Result<Option<Shown<NatGateway>>, Refusal> {
        self.read(Action::DescribeNatGateways, region, |r, now| Ok(r.nat_gateways.show(id, now).filter(|g| !g.body().is_gone(now)))).await
    }
    pub(crate) async fn nat_gateways(&self, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Result<Listed<NatGateway>, Refusal> {
        let size = size.min(self.config().page_size);
        self.read(Action::DescribeNatGateways, region, |r, now| r.nat_gateways.list(&filter, after, size, now, |g| !g.body.is_gone(now))).await
    }
    pub(crate) async fn tag_nat_gateway(&self, region: &str, id: &str, tags: Tags, expect: Option<u64>) -> Result<Shown<NatGateway>, Refusal> {
        self.write(Action::TagNatGateway, region, |r, draw| {
            let item = nat_gateway_of(r, id, draw.now_ms)?;
            expect_version(item, expect)?;
            Ok(put(Item { tags, ..changed(item, item.body.clone()) }, draw.now_ms))
        })
        .await
    }
    /// Fine where it is on its way out. It takes its time, and until then it holds what it has.
    pub(crate) async fn delete_nat_gateway(&self, region: &str, id: &str) -> Result<(), Refusal> {
        let takes = self.config().transition_time_ms;
        self.write(Action::DeleteNatGateway, region, |r, draw| deleted(r, id, draw.now_ms, takes)).await
    }
    pub(crate) async fn dry_delete_nat_gateway(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| deleted(r, id, draw.now_ms, 0)).await
    }
}

/// As on EC2, one that cannot work is made all the same, and fails a while later.
fn created(region: &Region, draw: &mut Draw<'_>, NatGatewayRequest { new, token }: NatGatewayRequest) -> Result<(Shown<NatGateway>, Vec<Edit>), Refusal> {
    let asked = blake3::hash(format!("{new:?}").as_bytes()).to_hex()[..16].to_owned();
    if let Some(item) = token.as_ref().and_then(|t| region.tokens.get(t)).and_then(|id| region.nat_gateways.get(id)) {
        if item.body.asked != asked {
            return Err(Refusal::new(Code::IdempotentParameterMismatch, "the token was used before with another request"));
        }
        return Ok((Shown::written(Arc::clone(item), draw.now_ms), Vec::new()));
    }
    let subnet = subnet_of(region, &new.subnet)?;
    let address = match new.address {
        Some(id) => Some(addresses::free(region, &id, draw.now_ms).map(|item| (id, item.body.ip))?),
        None => None,
    };
    draw.has_room(region, &quotas::NAT_GATEWAYS)?;
    let network = network_of(region, &subnet.body.network)?;
    let failure = (address.is_some() && network.body.gateway.is_none()).then(|| format!("network {} has no gateway to the internet attached", network.id));
    let private_ip = match failure {
        Some(_) => None,
        None => instances::addresses(region, subnet, &[], false)?.into_iter().find_map(|ip| if let IpAddr::V4(ip) = ip { Some(ip) } else { None }),
    };
    let settles_ms = draw.now_ms + draw.config.creation_time_ms;
    let body = NatGateway { subnet: new.subnet, address, private_ip, failure, token, asked, leaves: false, settles_ms };
    Ok(put(draw.item(new.tags, body), draw.now_ms))
}
fn deleted(region: &Region, id: &str, now_ms: u64, takes_ms: u64) -> Result<((), Vec<Edit>), Refusal> {
    let item = nat_gateway_of(region, id, now_ms)?;
    if item.body.leaves {
        return Ok(((), Vec::new()));
    }
    if takes_ms == 0 {
        return removed(region, id, now_ms);
    }
    // A state is no part of what it is asked to be, so this is not a new version.
    let body = NatGateway { leaves: true, settles_ms: now_ms + takes_ms, ..item.body.clone() };
    Ok(((), vec![Edit::PutNatGateway(Box::new(Item { body, ..Item::clone(item) }))]))
}
/// At once.
pub(super) fn removed(region: &Region, id: &str, now_ms: u64) -> Result<((), Vec<Edit>), Refusal> {
    nat_gateway_of(region, id, now_ms)?;
    Ok(((), vec![Edit::RemoveNatGateway(id.to_owned())]))
}
