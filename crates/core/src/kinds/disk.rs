//! A disk of its own.

use super::{Labels, api_enum, kind, label_violations, word_violation};
use crate::{CloudProvider, Condition, Driver, Instance, LocationName, Managed, NoAction, Ref, ResourceId, VendorConfig, Violation};
use serde::{Deserialize, Serialize};

kind! {
    /// A disk of its own, in one zone: it lives on when an instance that it is attached to goes.
    Disk at "disks" in LocationName, id ResourceId, spec DiskSpec, status DiskStatus,
    fields &["zone", "size_gib", "disk_type", "iops", "throughput_mibps", "encrypted", "encryption_key", "snapshot", "instance", "labels", "provider_config"],
    input_only &[],
    reader |p| p.disks().map(|d| d as &dyn crate::Reader<Self>),
    zone |spec, _| spec.zone.clone(),
    condition |status| match status.state {
        DiskState::Unspecified | DiskState::Pending | DiskState::Available | DiskState::InUse => Condition::Usable,
        DiskState::Deleting => Condition::Leaving,
        DiskState::Failed => Condition::Failed,
        DiskState::Incomplete => Condition::Incomplete,
    },
    refs |spec| spec.instance.iter_mut().map(|r| r.any("instance")).collect()
}

/// What a disk should be. What is left open follows from the cloud's defaults, of which a read may show what they are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskSpec {
    /// The zone; follows from the instance, else it is the first one of the location.
    pub zone: Option<String>,
    /// Its size in GiB. It can grow and not shrink. None takes the snapshot's; without a snapshot it is required.
    pub size_gib: Option<u32>,
    /// The vendor's disk type: `gp3`.
    pub disk_type: Option<String>,
    /// Operations a second, for types that take a number.
    pub iops: Option<u32>,
    /// Throughput in MiB a second, for types that take a number.
    pub throughput_mibps: Option<u32>,
    /// Encrypted; None leaves it to the cloud or the account.
    pub encrypted: Option<bool>,
    /// The vendor's name of the key; None means the account's default key. Only with `encrypted`.
    pub encryption_key: Option<String>,
    /// The vendor's id of a snapshot to begin with.
    pub snapshot: Option<String>,
    /// The instance that it is attached to, in the same zone; None detaches it.
    pub instance: Option<Ref<Instance>>,
    /// A user's own labels.
    pub labels: Labels,
    /// The vendor's extension.
    pub provider_config: Option<VendorConfig>,
}

api_enum! {
    /// Where a disk is in its life.
    DiskState {
        /// Being made, attached or detached.
        Pending = "PENDING",
        /// Usable, and attached to nothing.
        Available = "AVAILABLE",
        /// Attached to an instance.
        InUse = "IN_USE",
        /// Being removed.
        Deleting = "DELETING",
        /// The cloud says that it failed.
        Failed = "FAILED",
        /// A part is missing: it can only be deleted.
        Incomplete = "INCOMPLETE",
    }
}

/// What a disk is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskStatus {
    /// Its state.
    pub state: DiskState,
    /// Why it is in this state, or what is still going on, in the cloud's words, where it tells.
    pub state_reason: String,
    /// What it is called in the machine that it is attached to, as far as the cloud tells: `/dev/sdf`.
    pub device: String,
}

/// An ARN of a key is at most this long, on every cloud with names of keys
/// (<https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html>).
const MAX_KEY_NAME: usize = 2048;

impl Managed for Disk {
    type Action = NoAction;
    type Outcome = ();
    type Question = NoAction;
    type Answer = ();
    fn driver(p: &dyn CloudProvider) -> Option<&dyn Driver<Self>> {
        p.disks()
    }
    fn label(id: &ResourceId) -> Option<&ResourceId> {
        Some(id)
    }
    fn zone_mut(spec: &mut DiskSpec) -> Option<&mut Option<String>> {
        Some(&mut spec.zone)
    }
    fn violations(spec: &DiskSpec) -> Vec<Violation> {
        let mut out = Vec::new();
        if spec.size_gib.is_none() && spec.snapshot.is_none() {
            out.push(Violation::new("size_gib", "a disk needs a size, unless it begins with a snapshot"));
        }
        for (field, number) in [("size_gib", spec.size_gib), ("iops", spec.iops), ("throughput_mibps", spec.throughput_mibps)] {
            if number == Some(0) {
                out.push(Violation::new(field, "at least 1"));
            }
        }
        if spec.encryption_key.is_some() && spec.encrypted != Some(true) {
            out.push(Violation::new("encryption_key", "a key is for a disk that is encrypted: set encrypted too"));
        }
        if spec.encryption_key.as_ref().is_some_and(|k| k.len() > MAX_KEY_NAME) {
            out.push(Violation::new("encryption_key", format!("at most {MAX_KEY_NAME} characters")));
        }
        for (field, word) in [("zone", &spec.zone), ("disk_type", &spec.disk_type), ("snapshot", &spec.snapshot)] {
            word_violation(field, word.as_ref(), &mut out);
        }
        label_violations(&spec.labels, &mut out);
        out
    }
}
