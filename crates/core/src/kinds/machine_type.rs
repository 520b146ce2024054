//! What machines there are.

use super::{api_enum, kind};
use crate::{LocationName, ResourceId};
use serde::{Deserialize, Serialize};

kind! {
    /// A size of machine.
    MachineType at "machineTypes" in LocationName, id ResourceId, spec MachineTypeSpec, status MachineTypeStatus,
    fields &[],
    input_only &[],
    reader |p| p.machine_types(),
    zone |_, _| None,
    condition |_| crate::Condition::Usable,
    refs |_| Vec::new()
}

/// A machine type is not made by anybody.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MachineTypeSpec {}

api_enum! {
    /// A processor's instruction set.
    Architecture {
        /// 64-bit x86.
        X86_64 = "X86_64",
        /// 64-bit ARM.
        Arm64 = "ARM64",
        /// 32-bit x86.
        I386 = "I386",
    }
}

/// What a machine type is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineTypeStatus {
    /// How many virtual processors.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// What images it can run, the preferred one first.
    pub architectures: Vec<Architecture>,
    /// How many GPUs.
    pub gpus: u32,
    /// What its network carries at most, in Mbit/s, all its interfaces together; 0 where the cloud does not tell.
    pub network_mbps: u64,
    /// What it always carries; 0 where the cloud does not tell.
    pub network_baseline_mbps: u64,
    /// The zones where it is offered, sorted.
    pub zones: Vec<String>,
}
