//! What machines can start from.

use super::kind;
use crate::{Architecture, LocationName, ResourceId};
use serde::{Deserialize, Serialize};

kind! {
    /// An image. Its id is the vendor's; a portable family such as `debian-12` (x86-64) or `debian-12-arm64` can be got by that name and answers
    /// the newest image of the family's publisher.
    Image at "images" in LocationName, id ResourceId, spec ImageSpec, status ImageStatus,
    fields &[],
    input_only &[],
    reader |p| p.images(),
    zone |_, _| None,
    condition |_| crate::Condition::Usable,
    refs |_| Vec::new()
}

/// An image is not made by anybody.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ImageSpec {}

/// What an image is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageStatus {
    /// The portable family that it belongs to, where it does.
    pub family: String,
    /// The vendor's name of it.
    pub display_name: String,
    /// What it runs on.
    pub architecture: Architecture,
    /// The vendor account that publishes it.
    pub publisher: String,
    /// The smallest root disk in GiB, where the vendor tells.
    pub min_disk_gib: u32,
}
