//! NAT gateways.

use super::{Head, Mutable, Resource, Scope, field, head, message, name_and_etag, no_arguments, no_questions, vendor_config};
use crate::api::v1;
use welkin_core::{Connectivity, NatGateway, NatGatewaySpec, NatGatewayState, NatGatewayStatus, NoAction, Object, Result};

impl Resource for NatGateway {
    type Message = v1::NatGateway;
    const SERVICE: &'static str = "welkin.v1.NatGateways";

    fn encode(cloud: &str, object: Object<Self>) -> Result<v1::NatGateway> {
        let (h, spec, status) = Head::split(cloud, object);
        Ok(message!(NatGateway of h {
            state: status.state as i32,
            state_reason: status.state_reason,
            public_ip: status.public_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            private_ip: status.private_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            ..Self::encode_spec(cloud, spec)?
        }))
    }
    fn decode(cloud: &str, mut m: v1::NatGateway) -> Result<Object<Self>> {
        let ip = |name: &str, text: String| Ok::<_, welkin_core::Error>(field::parsed(name, field::text(text).into_iter().collect())?.pop());
        let status = NatGatewayStatus {
            state: field::value(NatGatewayState::ALL, m.state),
            state_reason: std::mem::take(&mut m.state_reason),
            public_ip: ip("public_ip", std::mem::take(&mut m.public_ip))?,
            private_ip: ip("private_ip", std::mem::take(&mut m.private_ip))?,
        };
        let head = head!(m);
        let spec = Scope::answer(cloud, &head.name, |scope| Self::decode_spec(m, scope))?;
        head.join(cloud, spec, status)
    }
}

impl Mutable for NatGateway {
    const ACTIONS: &'static [(&'static str, NoAction)] = &[];
    const ID_FIELD: &'static str = "nat_gateway_id";
    name_and_etag!();
    no_arguments!();
    no_questions!();

    fn decode_spec(m: v1::NatGateway, scope: &mut Scope<'_, Self>) -> NatGatewaySpec {
        NatGatewaySpec {
            subnet: scope.refer("subnet", &m.subnet),
            connectivity: field::value(Connectivity::ALL, m.connectivity),
            address: scope.refer("address", &m.address),
            labels: m.labels,
            provider_config: scope.vendor_config(m.provider_config),
        }
    }
    fn encode_spec(cloud: &str, spec: NatGatewaySpec) -> Result<v1::NatGateway> {
        Ok(v1::NatGateway {
            subnet: field::reference(cloud, spec.subnet),
            connectivity: spec.connectivity as i32,
            address: field::reference(cloud, spec.address),
            labels: spec.labels,
            provider_config: vendor_config::encode(spec.provider_config)?,
            ..Default::default()
        })
    }
}
