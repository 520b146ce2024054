//! Machine types.

use super::{Head, Resource, catalogue_head, field};
use crate::api::v1;
use welkin_core::{Architecture, MachineType, MachineTypeSpec, MachineTypeStatus, Object, Result};

impl Resource for MachineType {
    type Message = v1::MachineType;
    const SERVICE: &'static str = "welkin.v1.MachineTypes";

    fn encode(cloud: &str, object: Object<Self>) -> Result<v1::MachineType> {
        let (h, MachineTypeSpec {}, status) = Head::split(cloud, object);
        Ok(v1::MachineType {
            name: h.name,
            vendor_id: h.vendor_id,
            provider_id: h.provider_id,
            etag: h.etag,
            create_time: h.create_time,
            revision: h.revision,
            vcpus: status.vcpus,
            memory_mib: status.memory_mib,
            architectures: status.architectures.iter().map(|a| *a as i32).collect(),
            gpus: status.gpus,
            network_mbps: status.network_mbps,
            network_baseline_mbps: status.network_baseline_mbps,
            zones: status.zones,
        })
    }
    fn decode(cloud: &str, mut m: v1::MachineType) -> Result<Object<Self>> {
        let status = MachineTypeStatus {
            vcpus: m.vcpus,
            memory_mib: m.memory_mib,
            architectures: m.architectures.iter().map(|n| field::value(Architecture::ALL, *n)).collect(),
            gpus: m.gpus,
            network_mbps: m.network_mbps,
            network_baseline_mbps: m.network_baseline_mbps,
            zones: std::mem::take(&mut m.zones),
        };
        catalogue_head!(m).join(cloud, MachineTypeSpec {}, status)
    }
}
