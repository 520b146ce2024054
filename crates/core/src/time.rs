use std::time::{SystemTime, UNIX_EPOCH};

/// Wall-clock milliseconds since 1970; 0 for a clock before that.
#[must_use]
pub fn unix_millis(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
