//! Zones of the domain name system.

use super::{Head, Mutable, Resource, Scope, field, head, message, name_and_etag, no_questions, vendor_config};
use crate::api::v1;
use welkin_core::{DnsZone, DnsZoneSpec, DnsZoneState, DnsZoneStatus, NoAction, Object, Result};

impl Resource for DnsZone {
    type Message = v1::DnsZone;
    const SERVICE: &'static str = "welkin.v1.DnsZones";

    fn encode(cloud: &str, object: Object<Self>) -> Result<v1::DnsZone> {
        let (h, spec, status) = Head::split(cloud, object);
        Ok(message!(DnsZone of h {
            state: status.state as i32,
            name_servers: field::texts(&status.name_servers),
            ..Self::encode_spec(cloud, spec)?
        }))
    }
    fn decode(cloud: &str, mut m: v1::DnsZone) -> Result<Object<Self>> {
        let status = DnsZoneStatus { state: field::value(DnsZoneState::ALL, m.state), name_servers: field::parsed("name_servers", std::mem::take(&mut m.name_servers))? };
        let head = head!(m);
        let spec = Scope::answer(cloud, &head.name, |scope| Self::decode_spec(m, scope))?;
        head.join(cloud, spec, status)
    }
}

impl Mutable for DnsZone {
    const ACTIONS: &'static [(&'static str, NoAction)] = &[];
    const ID_FIELD: &'static str = "dns_zone_id";
    name_and_etag!();
    no_questions!();

    fn decode_spec(m: v1::DnsZone, scope: &mut Scope<'_, Self>) -> DnsZoneSpec {
        DnsZoneSpec {
            dns_name: scope.parse("dns_name", "a domain name such as example.com", &m.dns_name),
            private: m.private,
            networks: scope.refer_all("networks", &m.networks),
            description: field::text(m.description),
            labels: m.labels,
            provider_config: scope.vendor_config(m.provider_config),
        }
    }
    fn encode_spec(cloud: &str, spec: DnsZoneSpec) -> Result<v1::DnsZone> {
        Ok(v1::DnsZone {
            dns_name: spec.dns_name.map(|n| n.to_string()).unwrap_or_default(),
            private: spec.private,
            networks: field::references(cloud, spec.networks),
            description: field::or_empty(spec.description),
            labels: spec.labels,
            provider_config: vendor_config::encode(spec.provider_config)?,
            ..Default::default()
        })
    }
}
