//! The gates of the engine: one for the account, which counts, and one for each operation, which journals every write before it leaves.

use async_trait::async_trait;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use welkin_core::{Api, Effect, Error, Gate, Permit, Result};

/// Counts every call of an account. The budget will be charged here.
#[derive(Debug, Default)]
pub(crate) struct AccountGate {
    calls: Mutex<BTreeMap<Api, u64>>,
    permits: AtomicU64,
}
impl AccountGate {
    pub(crate) fn calls(&self) -> BTreeMap<Api, u64> {
        self.calls.lock().clone()
    }
    fn permit(&self) -> Permit {
        Permit(self.permits.fetch_add(1, Ordering::Relaxed))
    }
    fn count(&self, api: &Api) {
        let mut calls = self.calls.lock();
        match calls.get_mut(api) {
            Some(n) => *n += 1,
            None => {
                calls.insert(api.clone(), 1);
            }
        }
    }
}
#[async_trait]
impl Gate for AccountGate {
    /// For reads and checks: what writes belongs to an operation, whose gate has a journal.
    async fn admit(&self, api: &Api) -> Result<Permit> {
        if api.write {
            return Err(Error::internal(format!("{} {} would write outside any operation", api.family, api.action)));
        }
        self.count(api);
        Ok(self.permit())
    }
    fn settle(&self, _: Permit, api: &Api, took: Duration, error: Option<&Error>) {
        tracing::debug!(family = api.family, action = api.action, region = api.region, write = api.write, ?took, error = error.map(tracing::field::display), "vendor call");
    }
}

/// Keeps the marks of one operation's writes.
#[async_trait]
pub(crate) trait Marks: std::fmt::Debug + Send + Sync {
    /// A write is about to leave: durable when this returns.
    async fn mark(&self, permit: Permit) -> Result<()>;
    /// The vendor refused it: it never happened.
    fn clear(&self, permit: Permit);
    /// The vendor did it.
    fn acknowledge(&self, permit: Permit);
}

/// Journals writes before they leave.
#[derive(Debug)]
pub(crate) struct StepGate {
    pub(crate) account: Arc<AccountGate>,
    pub(crate) marks: Arc<dyn Marks>,
}
#[async_trait]
impl Gate for StepGate {
    async fn admit(&self, api: &Api) -> Result<Permit> {
        let permit = self.account.permit();
        if api.write {
            self.marks.mark(permit).await?;
        }
        self.account.count(api);
        Ok(permit)
    }
    fn settle(&self, permit: Permit, api: &Api, took: Duration, error: Option<&Error>) {
        if api.write {
            // A refusal clears its own mark only: writes beside it may have happened.
            match error.map(Error::effect) {
                Some(Effect::None) => self.marks.clear(permit),
                Some(Effect::Unknown) => {}
                Some(Effect::Applied) | None => self.marks.acknowledge(permit),
            }
        }
        self.account.settle(permit, api, took, error);
    }
}
