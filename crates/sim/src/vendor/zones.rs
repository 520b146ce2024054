//! Zones of the domain name system: modelled on Route 53's hosted zones. They belong to no region, and several can have one DNS name.

use super::{
    cloud::{Action, Cloud, Draw, GLOBAL, changed},
    item::{Item, Shown, Tags, Zone, ZoneNetwork},
    networks::expect_version,
    quotas,
    refusal::{Code, Refusal},
    state::{Edit, Region},
    table::{Filter, Listed},
};
use std::sync::Arc;

/// What a new zone should be: private where it is for networks.
#[derive(Debug, Clone)]
pub(crate) struct NewZone {
    pub(crate) dns_name: String,
    pub(crate) networks: Vec<ZoneNetwork>,
    pub(crate) comment: String,
    pub(crate) tags: Tags,
}

pub(super) fn zone_of<'a>(region: &'a Region, id: &str) -> Result<&'a Arc<Item<Zone>>, Refusal> {
    region.zones.get(id).ok_or_else(|| Refusal::new(Code::ZoneNotFound, format!("there is no zone {id:?}")))
}
fn put(item: Item<Zone>, now_ms: u64) -> (Shown<Zone>, Vec<Edit>) {
    (Shown::written(Arc::new(item.clone()), now_ms), vec![Edit::PutZone(Box::new(item))])
}

impl Cloud {
    pub(crate) async fn create_zone(&self, new: NewZone) -> Result<Shown<Zone>, Refusal> {
        let known = self.known_networks(&new.networks);
        self.write(Action::CreateZone, GLOBAL, |r, draw| known.and_then(|()| created(r, draw, new))).await
    }
    pub(crate) async fn dry_create_zone(&self, new: NewZone) -> Result<(), Refusal> {
        let known = self.known_networks(&new.networks);
        self.dry_run_global(|r, draw| known.and_then(|()| created(r, draw, new))).await
    }
    pub(crate) fn plant_zone(&self, new: NewZone) -> Result<String, Refusal> {
        self.plant(GLOBAL, |r, draw| {
            let (_, mut edits) = created(r, draw, new)?;
            let Some(Edit::PutZone(item)) = edits.first_mut() else { return Ok((String::new(), edits)) };
            (item.visible_ms, item.tagged_ms) = (draw.now_ms, draw.now_ms);
            Ok((item.id.clone(), edits))
        })
    }
    pub(crate) async fn zone(&self, region: &str, id: &str) -> Result<Option<Shown<Zone>>, Refusal> {
        self.read(Action::DescribeZones, region, |r, now| Ok(r.zones.show(id, now))).await
    }
    pub(crate) async fn zones(&self, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Result<Listed<Zone>, Refusal> {
        let size = size.min(self.config().page_size);
        self.read(Action::DescribeZones, region, |r, now| r.zones.list(&filter, after, size, now, |_| true)).await
    }
    /// Fine where it is associated. Refused for a public zone, and where another private zone of the name is associated with the network.
    pub(crate) async fn associate_network(&self, id: &str, network: &ZoneNetwork, expect: Option<u64>) -> Result<Shown<Zone>, Refusal> {
        let known = self.known_networks(std::slice::from_ref(network));
        self.write(Action::AssociateNetwork, GLOBAL, |r, draw| {
            let item = zone_of(r, id)?;
            expect_version(item, expect)?;
            known?;
            if item.body.networks.is_empty() {
                return Err(Refusal::new(Code::ZoneIsPublic, format!("{id} is a public zone")));
            }
            check_conflict(r, Some(id), &item.body.dns_name, network)?;
            let mut body = item.body.clone();
            if !body.networks.contains(network) {
                body.networks.push(network.clone());
            }
            Ok(put(changed(item, body), draw.now_ms))
        })
        .await
    }
    /// Fine where it is not associated. Refused for the last one.
    pub(crate) async fn disassociate_network(&self, id: &str, network: &ZoneNetwork, expect: Option<u64>) -> Result<Shown<Zone>, Refusal> {
        self.write(Action::DisassociateNetwork, GLOBAL, |r, draw| {
            let item = zone_of(r, id)?;
            expect_version(item, expect)?;
            let mut body = item.body.clone();
            body.networks.retain(|n| n != network);
            if body.networks.is_empty() {
                return Err(Refusal::new(Code::LastNetwork, format!("{} is the last network of {id}", network.id)));
            }
            Ok(put(changed(item, body), draw.now_ms))
        })
        .await
    }
    pub(crate) async fn comment_zone(&self, id: &str, comment: String, expect: Option<u64>) -> Result<Shown<Zone>, Refusal> {
        self.write(Action::CommentZone, GLOBAL, |r, draw| {
            let item = zone_of(r, id)?;
            expect_version(item, expect)?;
            Ok(put(changed(item, Zone { comment, ..item.body.clone() }), draw.now_ms))
        })
        .await
    }
    pub(crate) async fn tag_zone(&self, id: &str, tags: Tags, expect: Option<u64>) -> Result<Shown<Zone>, Refusal> {
        self.write(Action::TagZone, GLOBAL, |r, draw| {
            let item = zone_of(r, id)?;
            expect_version(item, expect)?;
            Ok(put(Item { tags, ..changed(item, item.body.clone()) }, draw.now_ms))
        })
        .await
    }
    pub(crate) async fn delete_zone(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.write(Action::DeleteZone, region, |r, _| deleted(r, id)).await
    }
    pub(crate) async fn dry_delete_zone(&self, id: &str) -> Result<(), Refusal> {
        self.dry_run_global(|r, _| deleted(r, id)).await
    }
    /// Zones lie in no region, networks do: this is looked at before the call takes the table of zones.
    fn known_networks(&self, networks: &[ZoneNetwork]) -> Result<(), Refusal> {
        let missing = networks.iter().find(|n| !self.has_network(&n.region, &n.id));
        missing.map_or(Ok(()), |n| Err(Refusal::new(Code::ZoneNetworkNotFound, format!("there is no network {:?} in {}", n.id, n.region))))
    }
}

fn created(region: &Region, draw: &mut Draw<'_>, new: NewZone) -> Result<(Shown<Zone>, Vec<Edit>), Refusal> {
    draw.has_room(region, &quotas::ZONES)?;
    new.networks.iter().try_for_each(|network| check_conflict(region, None, &new.dns_name, network))?;
    let name_servers = if new.networks.is_empty() { name_servers(draw.random()) } else { Vec::new() };
    let body = Zone { dns_name: new.dns_name, networks: new.networks, comment: new.comment, name_servers };
    Ok(put(draw.item(new.tags, body), draw.now_ms))
}
/// Four of many, in a domain that can never exist (RFC 6761).
fn name_servers(random: u64) -> Vec<String> {
    random.to_be_bytes().chunks(2).enumerate().map(|(i, n)| format!("ns-{}.sim-dns-{i}.invalid", n.iter().fold(0_u32, |n, b| n * 256 + u32::from(*b)))).collect()
}
/// A network would not know which of two zones of one name to ask.
fn check_conflict(region: &Region, own: Option<&str>, dns_name: &str, network: &ZoneNetwork) -> Result<(), Refusal> {
    let conflicts = |z: &&Arc<Item<Zone>>| own != Some(z.id.as_str()) && z.body.dns_name == dns_name && z.body.networks.contains(network);
    match region.zones.iter().find(conflicts) {
        Some(other) => Err(Refusal::new(Code::ZoneConflict, format!("{} has another private zone of the name {dns_name}: {}", network.id, other.id))),
        None => Ok(()),
    }
}
pub(super) fn deleted(region: &Region, id: &str) -> Result<((), Vec<Edit>), Refusal> {
    zone_of(region, id)?;
    if let Some((first, _)) = region.records.get(id).and_then(|records| records.first_key_value()) {
        return Err(Refusal::new(Code::ZoneNotEmpty, format!("{id} has records: {first}")));
    }
    Ok(((), vec![Edit::RemoveZone(id.to_owned())]))
}
