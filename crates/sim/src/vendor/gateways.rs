use super::{
    cloud::{Action, Cloud, changed},
    item::{Gateway, Network, Shown, Tags},
    networks::network_of,
    refusal::{Code, Refusal},
    state::{Edit, Region},
    table::{Filter, Listed},
};
use std::sync::Arc;

impl Cloud {
    pub(crate) async fn create_gateway(&self, region: &str, tags: Tags) -> Result<Shown<Gateway>, Refusal> {
        self.write(Action::CreateGateway, region, |_, draw| {
            let item = draw.item(tags, Gateway { network: None });
            Ok((Shown::written(Arc::new(item.clone()), draw.now_ms), vec![Edit::PutGateway(Box::new(item))]))
        })
        .await
    }
    /// Doing it again is fine.
    pub(crate) async fn attach_gateway(&self, region: &str, gateway: &str, network: &str) -> Result<Shown<Network>, Refusal> {
        self.write(Action::AttachGateway, region, |r, draw| {
            let net = network_of(r, network)?;
            let gw = r.gateways.get(gateway).ok_or_else(|| Refusal::new(Code::GatewayNotFound, format!("there is no gateway {gateway:?}")))?;
            if net.body.gateway.as_deref() == Some(gateway) {
                return Ok((Shown::written(Arc::clone(net), draw.now_ms), Vec::new()));
            }
            if net.body.gateway.is_some() || gw.body.network.is_some() {
                return Err(Refusal::new(Code::GatewayAlreadyAttached, format!("{network} or {gateway} is attached to another")));
            }
            let net = changed(net, Network { gateway: Some(gateway.to_owned()), ..net.body.clone() });
            let gw = changed(gw, Gateway { network: Some(network.to_owned()) });
            Ok((Shown::written(Arc::new(net.clone()), draw.now_ms), vec![Edit::PutNetwork(Box::new(net)), Edit::PutGateway(Box::new(gw))]))
        })
        .await
    }
    pub(crate) async fn gateways(&self, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Result<Listed<Gateway>, Refusal> {
        let size = size.min(self.config().page_size);
        self.read(Action::DescribeGateways, region, |r, now| r.gateways.list(&filter, after, size, now, |_| true)).await
    }
    /// It is detached first, where it is attached.
    pub(crate) async fn delete_gateway(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.write(Action::DeleteGateway, region, |r, _| deleted(r, id)).await
    }
}

pub(super) fn deleted(region: &Region, id: &str) -> Result<((), Vec<Edit>), Refusal> {
    let gw = region.gateways.get(id).ok_or_else(|| Refusal::new(Code::GatewayNotFound, format!("there is no gateway {id:?}")))?;
    let mut edits = vec![Edit::RemoveGateway(id.to_owned())];
    if let Some(net) = gw.body.network.as_ref().and_then(|n| region.networks.get(n)) {
        edits.push(Edit::PutNetwork(Box::new(changed(net, Network { gateway: None, ..net.body.clone() }))));
    }
    Ok(((), edits))
}
