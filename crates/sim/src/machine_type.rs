//! Machine types: the same in every region.

use crate::{
    Sim,
    config::Config,
    location::paged,
    vendor::{Action, CpuType, Machine},
};
use async_trait::async_trait;
use welkin_core::{
    Architecture, Cursor, Cx, Error, LocationName, MachineType, MachineTypeSpec, MachineTypeStatus, Name, Object, Page, ProviderId, Query, Reader, ResourceId, Result, Shard,
    Target,
};

pub(crate) fn architecture(cpu: CpuType) -> Architecture {
    match cpu {
        CpuType::X86 => Architecture::X86_64,
        CpuType::Arm => Architecture::Arm64,
    }
}
fn object(location: &LocationName, machine: &Machine) -> Result<Object<MachineType>> {
    Ok(Object {
        name: Name::new(location.clone(), ResourceId::of_vendor(machine.name)?),
        vendor_id: machine.name.parse()?,
        provider_id: ProviderId::new("sim", "", &[location.id.as_str(), machine.name])?,
        mark: None,
        revision: None,
        created_ms: None,
        spec: MachineTypeSpec {},
        status: MachineTypeStatus {
            vcpus: machine.vcpus,
            memory_mib: machine.memory_mib,
            architectures: vec![architecture(machine.cpu)],
            gpus: 0,
            network_mbps: machine.network_mbps,
            network_baseline_mbps: machine.network_mbps,
            zones: Config::zones(location.id.as_str()).into(),
        },
    })
}

#[async_trait]
impl Reader<MachineType> for Sim {
    fn shards(&self, query: &Query<MachineType>) -> Vec<Shard> {
        self.regions::<MachineType>(query.parent.as_ref())
    }
    async fn get(&self, cx: &Cx, target: &Target<MachineType>) -> Result<Object<MachineType>> {
        let location = target.parent();
        let id = match target {
            Target::Named { name, .. } => name.id.decoded(),
            Target::Vendor { vendor_id, .. } => vendor_id.to_string(),
        };
        let all = self.call(cx, Action::DescribeMachineTypes, location.id.as_str(), self.cloud.describe_machine_types(location.id.as_str())).await?;
        all.iter().find(|m| m.name == id).map(|m| object(location, m)).ok_or_else(|| Error::not_found(target))?
    }
    async fn list(&self, cx: &Cx, query: &Query<MachineType>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<MachineType>> {
        let location = LocationName::of(&shard.0)?;
        let all = self.call(cx, Action::DescribeMachineTypes, &shard.0, self.cloud.describe_machine_types(&shard.0)).await?;
        let rows: Vec<_> = all.iter().filter(|m| query.vendor_ids.is_empty() || query.vendor_ids.iter().any(|v| v.as_str() == m.name)).collect();
        paged(&rows, |m| m.name, query.page_size.min(self.config().page_size), from, |m| object(&location, m))
    }
}
