//! Zones of the domain name system.

use super::{Head, Mutable, Resource, Scope, error, field, head, message, name_and_etag, no_questions, pack, unpack, vendor_config};
use crate::{
    api::v1::{self, change_records_dns_zone_request::Change, change_records_dns_zone_response::Outcome},
    wire,
};
use prost_types::Any;
use welkin_core::{
    ChangeMode, DnsZone, DnsZoneAction, DnsZoneSpec, DnsZoneState, DnsZoneStatus, Error, Name, Object, RecordChange, RecordChanges, RecordOutcome, RecordOutcomes, RecordSet,
    Result,
};

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
    const ACTIONS: &'static [(&'static str, DnsZoneAction)] =
        &[("ChangeRecordsDnsZone", DnsZoneAction::ChangeRecords(RecordChanges { mode: ChangeMode::Unspecified, changes: Vec::new(), deletes: None, most_deleted_percent: 0 }))];
    type Arguments = wire::ChangeRecords;

    fn with_arguments(DnsZoneAction::ChangeRecords(mut all): DnsZoneAction, arguments: wire::ChangeRecords, scope: &mut Scope<'_, Self>) -> DnsZoneAction {
        all.mode = field::value(ChangeMode::ALL, arguments.mode);
        all.deletes = arguments.deletes;
        all.changes = arguments.changes.into_iter().enumerate().filter_map(|(i, change)| decode_change(change, &format!("changes[{i}]"), scope)).collect();
        DnsZoneAction::ChangeRecords(all)
    }
    fn arguments(cloud: &str, DnsZoneAction::ChangeRecords(all): &DnsZoneAction) -> Result<wire::ChangeRecords> {
        let encode = |c: &RecordChange| {
            let record_set = c.desired.clone().map(|spec| RecordSet::encode_spec(cloud, spec)).transpose()?;
            Ok(Change { record_set_id: c.id.to_string(), record_set })
        };
        Ok(wire::ChangeRecords { changes: all.changes.iter().map(encode).collect::<Result<_>>()?, mode: all.mode as i32, deletes: all.deletes })
    }
    fn encode_outcome(cloud: &str, outcome: RecordOutcomes) -> Option<Any> {
        let encode = |o: RecordOutcome| Outcome { record_set_id: o.id.to_string(), wanted: o.wanted, error: o.error.map(|e| error::to_proto(&e, Some(cloud))) };
        Some(pack(&v1::ChangeRecordsDnsZoneResponse { outcomes: outcome.0.into_iter().map(encode).collect() }))
    }
    fn decode_outcome(any: &Any) -> Result<RecordOutcomes> {
        let message: v1::ChangeRecordsDnsZoneResponse = unpack(any, "a change of records")?;
        let decode = |o: Outcome| Ok(RecordOutcome { id: o.record_set_id.parse()?, wanted: o.wanted, error: o.error.as_ref().map(error::from_proto) });
        message.outcomes.into_iter().map(decode).collect::<Result<_>>().map(RecordOutcomes)
    }
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

fn decode_change(change: Change, at: &str, scope: &mut Scope<'_, DnsZone>) -> Option<RecordChange> {
    let id = change.record_set_id.parse().inspect_err(|e: &Error| scope.refuse(format!("{at}.record_set_id"), e.message())).ok();
    // Nothing in a record set is read relative to its zone.
    let zone = Name::new(scope.parent.clone(), "any".parse().ok()?);
    let mut inner = Scope::<RecordSet> { cloud: scope.cloud, parent: &zone, wrong: Vec::new() };
    let desired = change.record_set.map(|message| RecordSet::decode_spec(message, &mut inner));
    for wrong in inner.wrong {
        scope.refuse(format!("{at}.record_set.{}", wrong.field), wrong.description);
    }
    Some(RecordChange { id: id?, desired, owned: false })
}
