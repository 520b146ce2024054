//! The layers between an account and its driver: one request type for each verb, one value that serves every kind.
//!
//! A stack reads from the outside in: tracing, then the repetition of reads, then the time-out of each attempt, then the driver. No layer knows
//! a kind.

use futures::FutureExt as _;
use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tracing::Instrument;
use welkin_core::{Change, CloudProvider, Cursor, Cx, Effect, Error, ErrorKind, Kind, Managed, Object, Page, Query, Reason, Result, Resume, Retry, Shard, Step, Target, Verb};

type Answering<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// May a layer repeat it?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Yes.
    Read,
    /// No: only the journalled loop repeats changes.
    Change,
}

/// A request to a driver, whatever its kind.
pub trait Request: Clone + Send + Sync + 'static {
    /// The verb, for traces.
    const VERB: &'static str;
    /// What layers may do with it.
    const CLASS: Class;
    /// Its kind.
    type Kind: Kind;
    /// What it answers.
    type Answer: Send + 'static;
}
/// Read one.
#[derive(Debug, Clone)]
pub struct Get<K: Kind>(pub Target<K>);
/// Read one page of one shard.
#[derive(Debug, Clone)]
pub struct List<K: Kind> {
    /// What is asked for.
    pub query: Query<K>,
    /// Where.
    pub shard: Shard,
    /// From here on.
    pub from: Option<Cursor>,
}
/// Ask a question about one.
#[derive(Debug, Clone)]
pub struct Ask<K: Managed> {
    /// Of whom.
    pub target: Target<K>,
    /// What.
    pub question: K::Question,
}
/// Take one step.
#[derive(Debug, Clone)]
pub struct Advance<K: Managed> {
    /// Of this change.
    pub change: Arc<Change<K>>,
    /// From here on.
    pub resume: Resume,
}
/// Run the checks of a change.
#[derive(Debug, Clone)]
pub struct Check<K: Managed>(pub Arc<Change<K>>);
/// What a finished change came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Changed<K: Managed> {
    /// This object.
    Is(Box<Object<K>>),
    /// Nothing is left.
    Gone,
    /// The action's answer.
    Acted(K::Outcome),
}
impl<K: Kind> Request for Get<K> {
    const VERB: &'static str = "get";
    const CLASS: Class = Class::Read;
    type Kind = K;
    type Answer = Object<K>;
}
impl<K: Kind> Request for List<K> {
    const VERB: &'static str = "list";
    const CLASS: Class = Class::Read;
    type Kind = K;
    type Answer = Page<K>;
}
impl<K: Managed> Request for Ask<K> {
    const VERB: &'static str = "ask";
    const CLASS: Class = Class::Read;
    type Kind = K;
    type Answer = K::Answer;
}
impl<K: Managed> Request for Advance<K> {
    const VERB: &'static str = "advance";
    const CLASS: Class = Class::Change;
    type Kind = K;
    type Answer = Step<Changed<K>>;
}
impl<K: Managed> Request for Check<K> {
    const VERB: &'static str = "check";
    const CLASS: Class = Class::Read;
    type Kind = K;
    type Answer = ();
}

/// A request on its way through the layers.
#[derive(Debug, Clone)]
pub struct Call<R> {
    /// Deadline, owner, gate.
    pub cx: Cx,
    /// The request.
    pub request: R,
}

/// The innermost service: the provider itself.
#[derive(Debug, Clone)]
pub struct DriverService(pub Arc<dyn CloudProvider>);

fn panicked<R: Request>() -> Error {
    let effect = if R::CLASS == Class::Read { Effect::None } else { Effect::Unknown };
    Error::internal(format!("the driver of {} failed unexpectedly in {}", R::Kind::COLLECTION, R::VERB)).with_effect(effect)
}
fn unsupported<K: Kind>() -> Error {
    Error::unsupported_kind(K::COLLECTION)
}
macro_rules! serve {
    ($(<$k:ident: $bound:ident> $request:ty => |$provider:ident, $cx:ident, $q:ident| $body:expr;)*) => {$(
        impl<$k: $bound> Service<Call<$request>> for DriverService {
            type Response = <$request as Request>::Answer;
            type Error = Error;
            type Future = Answering<Self::Response>;
            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> { Poll::Ready(Ok(())) }
            fn call(&mut self, Call { cx: $cx, request: $q }: Call<$request>) -> Self::Future {
                let provider = Arc::clone(&self.0);
                let answer = async move { let $provider = &*provider; $body };
                // A defect in one driver must take neither an operation nor a connection with it.
                Box::pin(AssertUnwindSafe(answer).catch_unwind().map(|r| r.unwrap_or_else(|_| Err(panicked::<$request>()))))
            }
        }
    )*}
}
serve! {
    <K: Kind> Get<K> => |p, cx, q| K::reader(p).ok_or_else(unsupported::<K>)?.get(&cx, &q.0).await;
    <K: Kind> List<K> => |p, cx, q| K::reader(p).ok_or_else(unsupported::<K>)?.list(&cx, &q.query, &q.shard, q.from.as_ref()).await;
    <K: Managed> Ask<K> => |p, cx, q| K::driver(p).ok_or_else(unsupported::<K>)?.ask(&cx, &q.target, &q.question).await;
    <K: Managed> Check<K> => |p, cx, q| K::driver(p).ok_or_else(unsupported::<K>)?.check(&cx, &q.0).await;
    <K: Managed> Advance<K> => |p, cx, q| {
        let (driver, change, resume) = (K::driver(p).ok_or_else(unsupported::<K>)?, &*q.change, &q.resume);
        Ok(match &change.verb {
            Verb::Create { spec, .. } => driver.create(&cx, change, spec, resume).await?.map(|o| Changed::Is(Box::new(o))),
            Verb::Update { desired, paths } => driver.update(&cx, change, desired, paths, resume).await?.map(|o| Changed::Is(Box::new(o))),
            Verb::Delete => driver.delete(&cx, change, resume).await?.map(|()| Changed::Gone),
            Verb::Act(action) => driver.act(&cx, change, action, resume).await?.map(Changed::Acted),
        })
    };
}

/// Gives each attempt a time of its own, inside the call's.
#[derive(Debug, Clone, Copy)]
pub struct TimeoutLayer {
    /// For a read.
    pub read: Duration,
    /// For a step.
    pub step: Duration,
}
/// See [`TimeoutLayer`].
#[derive(Debug, Clone)]
pub struct Timeout<S> {
    inner: S,
    limits: TimeoutLayer,
}
impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;
    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout { inner, limits: *self }
    }
}
impl<S, R: Request> Service<Call<R>> for Timeout<S>
where
    S: Service<Call<R>, Response = R::Answer, Error = Error, Future = Answering<R::Answer>>,
{
    type Response = R::Answer;
    type Error = Error;
    type Future = Answering<R::Answer>;
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }
    fn call(&mut self, mut call: Call<R>) -> Self::Future {
        let limit = if R::CLASS == Class::Read { self.limits.read } else { self.limits.step };
        call.cx.deadline = call.cx.deadline.min(Instant::now() + limit);
        // The gate ends each vendor call at the deadline and says what it may have done; this catches a driver that waits for anything else.
        let end = call.cx.deadline + Duration::from_secs(1);
        let answer = self.inner.call(call);
        Box::pin(async move {
            tokio::time::timeout_at(end, answer).await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::DeadlineExceeded, Reason::Deadline, format!("{} {} took too long", R::VERB, R::Kind::COLLECTION))
                    .with_retry(Retry::After(Duration::ZERO))
                    .with_effect(if R::CLASS == Class::Read { Effect::None } else { Effect::Unknown }))
            })
        })
    }
}

/// Repeats reads that the error says may be repeated, while the call's deadline allows.
#[derive(Debug, Clone, Copy)]
pub struct RetryLayer {
    /// How often at most, the first time included.
    pub attempts: u32,
    /// The first wait; it doubles.
    pub backoff: Duration,
}
/// See [`RetryLayer`].
#[derive(Debug, Clone)]
pub struct RetryReads<S> {
    inner: S,
    limits: RetryLayer,
}
impl<S> Layer<S> for RetryLayer {
    type Service = RetryReads<S>;
    fn layer(&self, inner: S) -> RetryReads<S> {
        RetryReads { inner, limits: *self }
    }
}
impl<S, R: Request> Service<Call<R>> for RetryReads<S>
where
    S: Service<Call<R>, Response = R::Answer, Error = Error, Future = Answering<R::Answer>> + Clone + Send + 'static,
{
    type Response = R::Answer;
    type Error = Error;
    type Future = Answering<R::Answer>;
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }
    fn call(&mut self, call: Call<R>) -> Self::Future {
        if R::CLASS == Class::Change {
            return self.inner.call(call);
        }
        let RetryLayer { attempts, mut backoff } = self.limits;
        let clone = self.inner.clone();
        // The service that was polled ready is the one to call (see tower::Service on clones).
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let mut attempt = 1;
            loop {
                let error = match inner.ready().await?.call(call.clone()).await {
                    Ok(answer) => return Ok(answer),
                    Err(e) => e,
                };
                let Some(after) = error.retry_after() else { return Err(error) };
                let wait = after.max(backoff);
                if attempt >= attempts || Instant::now() + wait >= call.cx.deadline {
                    return Err(error.with_retry(Retry::Exhausted));
                }
                tokio::time::sleep(wait).await;
                (attempt, backoff) = (attempt + 1, backoff * 2);
            }
        })
    }
}

/// A span for each request, at debug level: reads are many.
#[derive(Debug, Clone, Copy)]
pub struct TraceLayer;
/// See [`TraceLayer`].
#[derive(Debug, Clone)]
pub struct Trace<S>(S);
impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;
    fn layer(&self, inner: S) -> Trace<S> {
        Trace(inner)
    }
}
impl<S, R: Request> Service<Call<R>> for Trace<S>
where
    S: Service<Call<R>, Response = R::Answer, Error = Error, Future = Answering<R::Answer>>,
{
    type Response = R::Answer;
    type Error = Error;
    type Future = Answering<R::Answer>;
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.0.poll_ready(cx)
    }
    fn call(&mut self, call: Call<R>) -> Self::Future {
        let answer = self.0.call(call);
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return answer;
        }
        let span = tracing::debug_span!("driver", verb = R::VERB, kind = R::Kind::COLLECTION);
        Box::pin(
            async move {
                let answer = answer.await;
                if let Err(error) = &answer {
                    tracing::debug!(%error, "refused");
                }
                answer
            }
            .instrument(span),
        )
    }
}

/// The stack of an account: one concrete value, for every kind and verb.
pub type Stack = Trace<RetryReads<Timeout<DriverService>>>;

/// Builds the stack.
#[must_use]
pub fn stack(provider: Arc<dyn CloudProvider>, retry: RetryLayer, timeout: TimeoutLayer) -> Stack {
    ServiceBuilder::new().layer(TraceLayer).layer(retry).layer(timeout).service(DriverService(provider))
}

/// Sends one request through the stack.
///
/// # Errors
/// The driver's, or `DeadlineExceeded`.
pub async fn ask<R: Request>(stack: &Stack, cx: Cx, request: R) -> Result<R::Answer>
where
    Stack: Service<Call<R>, Response = R::Answer, Error = Error, Future = Answering<R::Answer>>,
{
    stack.clone().oneshot(Call { cx, request }).await
}
