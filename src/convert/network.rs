//! Networks.

use super::{Head, Mutable, Resource, Scope, field, head, message, name_and_etag, no_arguments, no_questions, vendor_config};
use crate::api::v1;
use welkin_core::{Network, NetworkSpec, NetworkState, NetworkStatus, NoAction, Object, Result};

impl Resource for Network {
    type Message = v1::Network;
    const SERVICE: &'static str = "welkin.v1.Networks";

    fn encode(cloud: &str, object: Object<Self>) -> Result<v1::Network> {
        let (h, spec, status) = Head::split(cloud, object);
        Ok(message!(Network of h {
            state: status.state as i32,
            effective_cidrs: field::texts(&status.cidrs),
            ..Self::encode_spec(cloud, spec)?
        }))
    }
    fn decode(cloud: &str, mut m: v1::Network) -> Result<Object<Self>> {
        let status = NetworkStatus { state: field::value(NetworkState::ALL, m.state), cidrs: field::parsed("effective_cidrs", std::mem::take(&mut m.effective_cidrs))? };
        let head = head!(m);
        let spec = Scope::answer(cloud, &head.name, |scope| Self::decode_spec(m, scope))?;
        head.join(cloud, spec, status)
    }
}

impl Mutable for Network {
    const ACTIONS: &'static [(&'static str, NoAction)] = &[];
    const ID_FIELD: &'static str = "network_id";

    name_and_etag!();
    no_arguments!();
    no_questions!();

    fn decode_spec(m: v1::Network, scope: &mut Scope<'_, Self>) -> NetworkSpec {
        NetworkSpec {
            cidrs: scope.parse_all("cidrs", "a range of addresses such as 10.0.0.0/16", m.cidrs),
            assign_ipv6_cidr: m.assign_ipv6_cidr,
            internet_access: m.internet_access,
            labels: m.labels,
            provider_config: scope.vendor_config(m.provider_config),
        }
    }
    fn encode_spec(_: &str, spec: NetworkSpec) -> Result<v1::Network> {
        Ok(v1::Network {
            cidrs: field::texts(&spec.cidrs),
            assign_ipv6_cidr: spec.assign_ipv6_cidr,
            internet_access: spec.internet_access,
            labels: spec.labels,
            provider_config: vendor_config::encode(spec.provider_config)?,
            ..Default::default()
        })
    }
}
