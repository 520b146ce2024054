//! Wall-clock time for the journal, derived from tokio's clock so that it stands still when that does.

use std::time::SystemTime;
use tokio::time::Instant;
use welkin_core::unix_millis;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    wall_ms: u64,
    start: Instant,
}
impl Clock {
    pub(crate) fn start() -> Self {
        Self { wall_ms: unix_millis(SystemTime::now()), start: Instant::now() }
    }
    pub(crate) fn now_ms(&self) -> u64 {
        self.wall_ms.saturating_add(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}
