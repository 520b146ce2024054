//! Where resources can be.

use super::kind;
use crate::{LocationId, Result, Root};
use serde::{Deserialize, Serialize};

kind! {
    /// A region, or `global`. Its zones are values of fields, never part of a name.
    Location at "locations" in Root, id LocationId, spec LocationSpec, status LocationStatus,
    fields &[],
    input_only &[],
    reader |p| p.locations(),
    zone |_, _| None,
    condition |_| crate::Condition::Usable,
    refs |_| Vec::new()
}
impl LocationId {
    /// A location is named as its vendor names it.
    ///
    /// # Errors
    /// `InvalidArgument` where it is not a location id.
    pub fn of_vendor(raw: &str) -> Result<Self> {
        raw.parse()
    }
}

/// A location is not made by anybody.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LocationSpec {}

/// What a location is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LocationStatus {
    /// The vendor's name for people: `Europe (Ireland)`.
    pub display_name: String,
    /// Its zones that can be used, sorted.
    pub zones: Vec<String>,
}
