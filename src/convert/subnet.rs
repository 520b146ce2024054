//! Subnets.

use super::{Head, Mutable, Resource, Scope, field, head, message, name_and_etag, no_arguments, no_questions, vendor_config};
use crate::api::v1;
use welkin_core::{NoAction, Object, Result, Subnet, SubnetSpec, SubnetState, SubnetStatus};

impl Resource for Subnet {
    type Message = v1::Subnet;
    const SERVICE: &'static str = "welkin.v1.Subnets";

    fn encode(cloud: &str, object: Object<Self>) -> Result<v1::Subnet> {
        let (h, spec, status) = Head::split(cloud, object);
        Ok(message!(Subnet of h {
            state: status.state as i32,
            effective_cidrs: field::texts(&status.cidrs),
            available_ipv4_addresses: status.available_ipv4_addresses,
            ..Self::encode_spec(cloud, spec)?
        }))
    }
    fn decode(cloud: &str, mut m: v1::Subnet) -> Result<Object<Self>> {
        let status = SubnetStatus {
            state: field::value(SubnetState::ALL, m.state),
            cidrs: field::parsed("effective_cidrs", std::mem::take(&mut m.effective_cidrs))?,
            available_ipv4_addresses: m.available_ipv4_addresses,
        };
        let head = head!(m);
        let spec = Scope::answer(cloud, &head.name, |scope| Self::decode_spec(m, scope))?;
        head.join(cloud, spec, status)
    }
}

impl Mutable for Subnet {
    const ACTIONS: &'static [(&'static str, NoAction)] = &[];
    const ID_FIELD: &'static str = "subnet_id";

    name_and_etag!();
    no_arguments!();
    no_questions!();

    fn decode_spec(m: v1::Subnet, scope: &mut Scope<'_, Self>) -> SubnetSpec {
        SubnetSpec {
            network: scope.refer("network", &m.network),
            cidrs: scope.parse_all("cidrs", "a range of addresses such as 10.0.1.0/24", m.cidrs),
            assign_ipv6_cidr: m.assign_ipv6_cidr,
            zone: field::text(m.zone),
            assign_public_ip: m.assign_public_ip,
            labels: m.labels,
            provider_config: scope.vendor_config(m.provider_config),
        }
    }
    fn encode_spec(cloud: &str, spec: SubnetSpec) -> Result<v1::Subnet> {
        Ok(v1::Subnet {
            network: field::reference(cloud, spec.network),
            cidrs: field::texts(&spec.cidrs),
            assign_ipv6_cidr: spec.assign_ipv6_cidr,
            zone: field::or_empty(spec.zone),
            assign_public_ip: spec.assign_public_ip,
            labels: spec.labels,
            provider_config: vendor_config::encode(spec.provider_config)?,
            ..Default::default()
        })
    }
}
