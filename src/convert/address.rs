//! Addresses that are kept.

use super::{Head, Mutable, Resource, Scope, field, head, message, name_and_etag, no_arguments, no_questions, vendor_config};
use crate::api::v1;
use welkin_core::{Address, AddressSpec, AddressState, AddressStatus, NoAction, Object, Result};

impl Resource for Address {
    type Message = v1::Address;
    const SERVICE: &'static str = "welkin.v1.Addresses";

    fn encode(cloud: &str, object: Object<Self>) -> Result<v1::Address> {
        let (h, spec, status) = Head::split(cloud, object);
        Ok(message!(Address of h {
            state: status.state as i32,
            ip: status.ip.map(|ip| ip.to_string()).unwrap_or_default(),
            user: status.user,
            ..Self::encode_spec(cloud, spec)?
        }))
    }
    fn decode(cloud: &str, mut m: v1::Address) -> Result<Object<Self>> {
        let ip = field::text(std::mem::take(&mut m.ip)).into_iter().collect();
        let status = AddressStatus { state: field::value(AddressState::ALL, m.state), ip: field::parsed("ip", ip)?.pop(), user: std::mem::take(&mut m.user) };
        let head = head!(m);
        let spec = Scope::answer(cloud, &head.name, |scope| Self::decode_spec(m, scope))?;
        head.join(cloud, spec, status)
    }
}

impl Mutable for Address {
    const ACTIONS: &'static [(&'static str, NoAction)] = &[];
    const ID_FIELD: &'static str = "address_id";
    name_and_etag!();
    no_arguments!();
    no_questions!();

    fn decode_spec(m: v1::Address, scope: &mut Scope<'_, Self>) -> AddressSpec {
        AddressSpec {
            instance: scope.refer("instance", &m.instance),
            private_ip: scope.parse("private_ip", "an IPv4 address such as 10.0.1.4", &m.private_ip),
            labels: m.labels,
            provider_config: scope.vendor_config(m.provider_config),
        }
    }
    fn encode_spec(cloud: &str, spec: AddressSpec) -> Result<v1::Address> {
        Ok(v1::Address {
            instance: field::reference(cloud, spec.instance),
            private_ip: spec.private_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            labels: spec.labels,
            provider_config: vendor_config::encode(spec.provider_config)?,
            ..Default::default()
        })
    }
}
