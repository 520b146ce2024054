//! Disks of their own.

use super::{Head, Mutable, Resource, Scope, field, head, message, name_and_etag, no_arguments, no_questions, vendor_config};
use crate::api::v1;
use welkin_core::{Disk, DiskSpec, DiskState, DiskStatus, NoAction, Object, Result};

impl Resource for Disk {
    type Message = v1::Disk;
    const SERVICE: &'static str = "welkin.v1.Disks";

    fn encode(cloud: &str, object: Object<Self>) -> Result<v1::Disk> {
        let (h, spec, status) = Head::split(cloud, object);
        Ok(message!(Disk of h {
            state: status.state as i32,
            state_reason: status.state_reason,
            device: status.device,
            ..Self::encode_spec(cloud, spec)?
        }))
    }
    fn decode(cloud: &str, mut m: v1::Disk) -> Result<Object<Self>> {
        let status = DiskStatus { state: field::value(DiskState::ALL, m.state), state_reason: std::mem::take(&mut m.state_reason), device: std::mem::take(&mut m.device) };
        let head = head!(m);
        let spec = Scope::answer(cloud, &head.name, |scope| Self::decode_spec(m, scope))?;
        head.join(cloud, spec, status)
    }
}

impl Mutable for Disk {
    const ACTIONS: &'static [(&'static str, NoAction)] = &[];
    const ID_FIELD: &'static str = "disk_id";
    name_and_etag!();
    no_arguments!();
    no_questions!();

    fn decode_spec(m: v1::Disk, scope: &mut Scope<'_, Self>) -> DiskSpec {
        DiskSpec {
            zone: field::text(m.zone),
            size_gib: m.size_gib,
            disk_type: field::text(m.disk_type),
            iops: m.iops,
            throughput_mibps: m.throughput_mibps,
            encrypted: m.encrypted,
            encryption_key: field::text(m.encryption_key),
            snapshot: field::text(m.snapshot),
            instance: scope.refer("instance", &m.instance),
            labels: m.labels,
            provider_config: scope.vendor_config(m.provider_config),
        }
    }
    fn encode_spec(cloud: &str, spec: DiskSpec) -> Result<v1::Disk> {
        Ok(v1::Disk {
            zone: field::or_empty(spec.zone),
            size_gib: spec.size_gib,
            disk_type: field::or_empty(spec.disk_type),
            iops: spec.iops,
            throughput_mibps: spec.throughput_mibps,
            encrypted: spec.encrypted,
            encryption_key: field::or_empty(spec.encryption_key),
            snapshot: field::or_empty(spec.snapshot),
            instance: field::reference(cloud, spec.instance),
            labels: spec.labels,
            provider_config: vendor_config::encode(spec.provider_config)?,
            ..Default::default()
        })
    }
}
