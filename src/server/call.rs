//! From an HTTP request to a handler and back: what tonic's generated services do, once for all services.

use super::Shared;
use futures::{
    TryFutureExt,
    future::{BoxFuture, MapOk},
};
use prost::Message;
use std::{
    convert::Infallible,
    fmt::Debug,
    future::Future,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};
use tonic::{Request, Response, Status, body::Body, server::Grpc};
use tonic_prost::ProstCodec;
use tower::Service;
use tracing::Instrument;

/// The methods of one service.
pub(super) trait Methods: Debug + Clone + Send + Sync + 'static {
    /// Its full name.
    const SERVICE: &'static str;
    /// Answers a call.
    fn answer(shared: Arc<Shared>, call: Call) -> impl Future<Output = http::Response<Body>> + Send;
}

/// What a handler answers.
pub(super) type Reply<T> = Result<T, Status>;

/// A call that has come in.
#[derive(Debug)]
pub(super) struct Call {
    request: http::Request<Body>,
}
impl Call {
    /// The method's name.
    pub(super) fn method(&self) -> &str {
        self.request.uri().path().rsplit('/').next().unwrap_or_default()
    }
    /// Decodes the request, has it answered, and encodes the answer.
    pub(super) async fn unary<Q, A, F, Fut>(self, shared: &Shared, handler: F) -> http::Response<Body>
    where
        Q: Message + Default + 'static,
        A: Message + 'static,
        F: Fn(Q) -> Fut + Send,
        Fut: Future<Output = Result<A, Status>> + Send,
    {
        let mut grpc = Grpc::new(ProstCodec::<A, Q>::default()).max_decoding_message_size(shared.limits.request).max_encoding_message_size(shared.limits.answer);
        grpc.unary(Handler(handler), self.request).await
    }
    /// There is no such method.
    pub(super) fn unimplemented(self) -> http::Response<Body> {
        Status::unimplemented(format!("there is no method {}", self.request.uri().path())).into_http()
    }
}

struct Handler<F>(F);
impl<Q, A, F, Fut> tonic::server::UnaryService<Q> for Handler<F>
where
    F: Fn(Q) -> Fut,
    Fut: Future<Output = Result<A, Status>>,
{
    type Response = A;
    type Future = MapOk<Fut, fn(A) -> Response<A>>;
    fn call(&mut self, request: Request<Q>) -> Self::Future {
        (self.0)(request.into_inner()).map_ok(Response::new)
    }
}

/// A service as the router takes it.
#[derive(Debug, Clone)]
pub(super) struct Serve<M> {
    shared: Arc<Shared>,
    methods: PhantomData<M>,
}
impl<M: Methods> Serve<M> {
    /// These methods over what they need.
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), methods: PhantomData }
    }
}
impl<M: Methods> tonic::server::NamedService for Serve<M> {
    const NAME: &'static str = M::SERVICE;
}
impl<M: Methods> Service<http::Request<Body>> for Serve<M> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        // At the default level the span is not even made.
        let span = tracing::debug_span!("call", path = request.uri().path());
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { Ok(M::answer(shared, Call { request }).await) }.instrument(span))
    }
}
