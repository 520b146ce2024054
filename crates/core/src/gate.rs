//! What every single call to a vendor passes.

use crate::{Effect, Error, ErrorKind, Owner, Reason, Result, Retry};
use async_trait::async_trait;
use std::{fmt::Debug, sync::Arc, time::Duration};
use tokio::time::Instant;
use tracing::Instrument as _;

/// One call of a vendor's API.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Api {
    /// The vendor's service: `ec2`.
    pub family: &'static str,
    /// The call: `RunInstances`.
    pub action: &'static str,
    /// Where: the region, or `global`.
    pub region: String,
    /// Can it change anything?
    pub write: bool,
}
impl Api {
    /// A call that changes nothing.
    pub fn read(family: &'static str, action: &'static str, region: impl Into<String>) -> Self {
        Self { family, action, region: region.into(), write: false }
    }
    /// A call that may change something.
    pub fn write(family: &'static str, action: &'static str, region: impl Into<String>) -> Self {
        Self { family, action, region: region.into(), write: true }
    }
}

/// Identifies one admitted call to [`Gate::settle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Permit(pub u64);

/// Every call to a vendor is admitted before it leaves and settled when its reply is there.
#[async_trait]
pub trait Gate: Debug + Send + Sync {
    /// Lets the call out. A write is durable in the journal when this returns.
    ///
    /// # Errors
    /// Where the journal cannot be written, or the budget is used up: the call then does not leave.
    async fn admit(&self, api: &Api) -> Result<Permit>;
    /// The reply is there. It is not called where the caller goes away before that: the write then stays of unknown fate.
    fn settle(&self, permit: Permit, api: &Api, took: Duration, error: Option<&Error>);
}

/// A gate that lets everything through and keeps nothing: for reading in process without an engine.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenGate;
#[async_trait]
impl Gate for OpenGate {
    async fn admit(&self, _: &Api) -> Result<Permit> {
        Ok(Permit(0))
    }
    fn settle(&self, _: Permit, _: &Api, _: Duration, _: Option<&Error>) {}
}

/// What a driver needs to know of the call it serves; passed, never global.
#[derive(Debug, Clone)]
pub struct Cx {
    /// When this step must have ended.
    pub deadline: Instant,
    /// Whose marks are ours.
    pub owner: Owner,
    /// What every vendor call passes.
    pub gate: Arc<dyn Gate>,
}

impl Cx {
    /// Makes one vendor call.
    ///
    /// A write whose reply does not come in time has an unknown effect. Dropping the future has the same meaning: the gate has noted the write.
    ///
    /// # Errors
    /// The gate's, the call's own, or `DeadlineExceeded`.
    pub async fn call<T>(&self, api: Api, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let permit = self.gate.admit(&api).await?;
        let start = Instant::now();
        let span = tracing::debug_span!("vendor_call", family = api.family, action = api.action, region = api.region, write = api.write);
        let answer = match tokio::time::timeout_at(self.deadline, call.instrument(span)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(ErrorKind::DeadlineExceeded, Reason::CloudTimeout, format!("{} {} in {} did not answer in time", api.family, api.action, api.region))
                .with_retry(Retry::After(Duration::ZERO))
                .with_effect(if api.write { Effect::Unknown } else { Effect::None })),
        };
        let answer = answer.map_err(|e| if e.operation().is_some() { e } else { e.with_operation(format!("{}:{}", api.family, api.action)) });
        self.gate.settle(permit, &api, start.elapsed(), answer.as_ref().err());
        answer
    }
}
