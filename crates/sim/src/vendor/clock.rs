use std::time::SystemTime;
use tokio::time::Instant;
use welkin_core::unix_millis;

/// Wall-clock time that follows tokio's clock: paused tests control it, and after a restart it goes on where the wall is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    wall_ms: u64,
    at: Instant,
}
impl Clock {
    pub(crate) fn start() -> Self {
        Self { wall_ms: unix_millis(SystemTime::now()), at: Instant::now() }
    }
    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.wall_ms.saturating_add(u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}
