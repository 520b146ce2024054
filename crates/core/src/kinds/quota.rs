//! How much of something an account may have.

use super::kind;
use crate::{LocationName, ResourceId};
use serde::{Deserialize, Serialize};

kind! {
    /// A bound that the vendor sets to an account, in a region, or in `global` for what lies in none.
    Quota at "quotas" in LocationName, id ResourceId, spec QuotaSpec, status QuotaStatus,
    fields &[],
    input_only &[],
    reader |p| p.quotas(),
    zone |_, _| None,
    condition |_| crate::Condition::Usable,
    refs |_| Vec::new()
}

/// A quota is not made by anybody.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct QuotaSpec {}

/// What a quota says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct QuotaStatus {
    /// The vendor's name for people: `VPCs per Region`.
    pub display_name: String,
    /// The vendor's service that has it, in its own word: `vpc`.
    pub service: String,
    /// The collection of what it bounds, or of what has the parts that `unit` counts: `networks`. Empty where that is none of our kinds.
    pub collection: String,
    /// The collection of what has this bound each: `networks` for the subnets of a network; `zones` where every zone has it. Empty where the location has it once.
    pub per: String,
    /// At most this much; a part of one is left out. Not set where there is no bound, or where `unknown_reason` says why it is not known.
    pub limit: Option<u64>,
    /// So much of it is used, where the vendor tells. A part of one counts as one.
    pub used: Option<u64>,
    /// What is counted: `TiB`, `vCPU`, `target groups`; empty for the things themselves. In the vendor's word, where it has one.
    pub unit: String,
    /// Why the vendor cannot tell the limit at the moment, in its words; empty where it told.
    pub unknown_reason: String,
    /// Can the account ask for more?
    pub adjustable: bool,
}
