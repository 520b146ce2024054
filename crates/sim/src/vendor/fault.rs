use super::cloud::Action;
use crate::config::FaultRates;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// A server error: nothing happens, and the caller is told so.
    Refused,
    /// The connection breaks before the call has an effect.
    RequestLost,
    /// The call has its effect and the connection breaks before the reply.
    ReplyLost,
    /// The call has no effect and never answers.
    HangsBefore,
    /// The call has its effect and never answers.
    HangsAfter,
}

/// A fault that a test wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Of calls of this name only (`CreateNetwork`); None for any write.
    pub action: Option<String>,
    /// Lets this many such calls through first.
    pub after: u32,
    /// What goes wrong.
    pub kind: FaultKind,
}

/// Where faults come from: chance, drawn from the seed, and what a test has asked for.
#[derive(Debug)]
pub(crate) struct Faults {
    seed: u64,
    run: u64,
    rates: FaultRates,
    drawn: AtomicU64,
    fired: AtomicU64,
    wanted: Mutex<Vec<Fault>>,
}
impl Faults {
    /// `run` differs from one start of the cloud to the next, so that a restart does not meet the same faults at the same places for ever.
    pub(crate) fn new(seed: u64, run: u64, rates: FaultRates) -> Self {
        Self { seed, run, rates, drawn: AtomicU64::new(0), fired: AtomicU64::new(0), wanted: Mutex::default() }
    }
    pub(crate) fn inject(&self, fault: Fault) {
        self.wanted.lock().push(fault);
    }
    pub(crate) fn clear(&self) {
        self.wanted.lock().clear();
    }
    pub(crate) fn fired(&self) -> u64 {
        self.fired.load(Ordering::Relaxed)
    }
    /// What goes wrong with this call.
    pub(crate) fn next(&self, action: Action) -> Option<FaultKind> {
        let kind = self.wanted(action).or_else(|| self.by_chance(action));
        if kind.is_some() {
            self.fired.fetch_add(1, Ordering::Relaxed);
        }
        kind
    }
    fn wanted(&self, action: Action) -> Option<FaultKind> {
        let mut wanted = self.wanted.lock();
        let at = wanted.iter().position(|f| f.action.as_deref().map_or(action.is_write(), |name| name == action.as_str()))?;
        let fault = wanted.get_mut(at)?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        Some(wanted.remove(at).kind)
    }
    fn by_chance(&self, action: Action) -> Option<FaultKind> {
        if self.rates == FaultRates::default() {
            return None;
        }
        let n = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut h = blake3::Hasher::new();
        for part in [self.seed, self.run, n] {
            h.update(&part.to_le_bytes());
        }
        let bytes = h.finalize();
        let bytes = bytes.as_bytes();
        // 32 bits are exact in an f64.
        let chance = f64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])) / f64::from(u32::MAX);
        let mut below = self.rates.refuse_rate;
        if chance < below {
            return Some(FaultKind::Refused);
        }
        if !action.is_write() {
            return None;
        }
        below += self.rates.lose_request_rate;
        if chance < below {
            return Some(FaultKind::RequestLost);
        }
        below += self.rates.lose_reply_rate;
        (chance < below).then_some(FaultKind::ReplyLost)
    }
}
