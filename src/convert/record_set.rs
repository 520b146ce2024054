//! Record sets of a zone.

use super::{Head, Mutable, Resource, Scope, field, head, message, name_and_etag, no_arguments, no_questions, vendor_config};
use crate::api::v1::{self, record_set};
use welkin_core::{Error, FailoverRole, LoadBalancer, NoAction, Object, RecordAlias, RecordItem, RecordSet, RecordSetSpec, RecordSetStatus, Result, Routing};

impl Resource for RecordSet {
    type Message = v1::RecordSet;
    const SERVICE: &'static str = "welkin.v1.RecordSets";
    const ANY_PARENT: &'static str = "locations/-/dnsZones/-";

    fn encode(cloud: &str, object: Object<Self>) -> Result<v1::RecordSet> {
        let (h, spec, status) = Head::split(cloud, object);
        Ok(message!(RecordSet of h {
            dns_name: status.dns_name.map(|n| n.to_string()).unwrap_or_default(),
            record_type: status.record_type.map(|t| t.to_string()).unwrap_or_default(),
            ..Self::encode_spec(cloud, spec)?
        }))
    }
    fn decode(cloud: &str, mut m: v1::RecordSet) -> Result<Object<Self>> {
        let sent = |what: &str| Error::internal(format!("the server sent {what:?} of a record set"));
        let status = RecordSetStatus {
            dns_name: field::text(std::mem::take(&mut m.dns_name)).map(|t| t.parse().map_err(|_| sent(&t))).transpose()?,
            record_type: field::text(std::mem::take(&mut m.record_type)).map(|t| t.parse().map_err(|_| sent(&t))).transpose()?,
        };
        let head = head!(m);
        let spec = Scope::answer(cloud, &head.name, |scope| Self::decode_spec(m, scope))?;
        head.join(cloud, spec, status)
    }
}

impl Mutable for RecordSet {
    const ACTIONS: &'static [(&'static str, NoAction)] = &[];
    const ID_FIELD: &'static str = "record_set_id";
    name_and_etag!();
    no_arguments!();
    no_questions!();

    fn decode_spec(m: v1::RecordSet, scope: &mut Scope<'_, Self>) -> RecordSetSpec {
        RecordSetSpec {
            ttl_s: m.ttl_s,
            values: m.values,
            alias: decode_alias(m.alias, "alias", scope),
            routing: field::value(Routing::ALL, m.routing),
            items: m.items.into_iter().enumerate().map(|(i, item)| decode_item(item, &format!("items[{i}]"), scope)).collect(),
            provider_config: scope.vendor_config(m.provider_config),
        }
    }
    fn encode_spec(cloud: &str, spec: RecordSetSpec) -> Result<v1::RecordSet> {
        Ok(v1::RecordSet {
            ttl_s: spec.ttl_s,
            values: spec.values,
            alias: encode_alias(cloud, spec.alias),
            routing: spec.routing as i32,
            items: spec.items.into_iter().map(|item| encode_item(cloud, item)).collect(),
            provider_config: vendor_config::encode(spec.provider_config)?,
            ..Default::default()
        })
    }
}

fn decode_alias(alias: Option<record_set::Alias>, at: &str, scope: &mut Scope<'_, RecordSet>) -> RecordAlias {
    let Some(alias) = alias else { return RecordAlias::default() };
    RecordAlias { load_balancer: scope.refer_elsewhere::<LoadBalancer>(&format!("{at}.load_balancer"), &alias.load_balancer), check_health: alias.check_health }
}
fn encode_alias(cloud: &str, alias: RecordAlias) -> Option<record_set::Alias> {
    let is_one = !alias.is_none();
    is_one.then(|| record_set::Alias { load_balancer: field::reference(cloud, alias.load_balancer), check_health: alias.check_health })
}
fn decode_item(item: record_set::Item, at: &str, scope: &mut Scope<'_, RecordSet>) -> RecordItem {
    RecordItem {
        id: item.id,
        values: item.values,
        alias: decode_alias(item.alias, &format!("{at}.alias"), scope),
        weight: item.weight,
        region: field::text(item.region),
        country: field::text(item.country),
        failover: field::value(FailoverRole::ALL, item.failover),
        health_check: field::text(item.health_check),
    }
}
fn encode_item(cloud: &str, item: RecordItem) -> record_set::Item {
    record_set::Item {
        id: item.id,
        values: item.values,
        alias: encode_alias(cloud, item.alias),
        weight: item.weight,
        region: field::or_empty(item.region),
        country: field::or_empty(item.country),
        failover: item.failover as i32,
        health_check: field::or_empty(item.health_check),
    }
}
