//! The gRPC service over an engine: decode, validate, convert; nothing else.
//!
//! There is one set of handlers for all kinds (the module `kind`), registered over the one list of kinds.

mod call;
mod change;
mod clouds;
mod kind;
mod limits;
mod operations;
mod read;

use crate::api::FILE_DESCRIPTOR_SET;
use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    time,
};
use tonic::transport::server::{Router, TcpIncoming};
use welkin_core::{Error, ErrorKind, Reason, Result, kinds};
use welkin_engine::Engine;

pub use limits::Limits;

/// What every handler needs.
#[derive(Debug)]
struct Shared {
    engine: Arc<Engine>,
    /// True from when the server shuts down: nobody is kept waiting then.
    draining: watch::Receiver<bool>,
    limits: Limits,
}

/// A server that listens and does not answer yet.
///
/// ```no_run
/// use std::sync::Arc;
/// use welkin::{Result, engine::Engine, server::{Limits, Server}};
/// # async fn run() -> Result<()> {
/// let engine = Arc::new(Engine::builder().open().await?);
/// let server = Server::bind(Arc::clone(&engine), ([127, 0, 0, 1], 7750).into(), Limits::default()).await?;
/// println!("listening on {}", server.address());
/// server.serve(async { let _ = tokio::signal::ctrl_c().await; }).await?;
/// engine.shutdown().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Server {
    engine: Arc<Engine>,
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
}

impl Server {
    /// Listens on an address of the loopback interface; port 0 takes any free one.
    ///
    /// # Errors
    /// `InvalidArgument` for any other address: there is no TLS and no authentication yet, so nothing may expose it. `Unavailable` where the
    /// address cannot be had.
    pub async fn bind(engine: Arc<Engine>, address: SocketAddr, limits: Limits) -> Result<Self> {
        only_loopback(address)?;
        let listener = TcpListener::bind(address).await.map_err(|e| cannot_listen(address, e))?;
        Self::on(engine, listener, limits)
    }
    /// Takes a listener that exists already, under the same rule.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub fn on(engine: Arc<Engine>, listener: TcpListener, limits: Limits) -> Result<Self> {
        let address = listener.local_addr().map_err(|e| Error::internal("a listener has no address").with_source(e))?;
        only_loopback(address)?;
        Ok(Self { engine, listener, address, limits })
    }
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
    /// Answers until `shutdown` is ready; then takes no new calls, finishes those in flight within [`Limits::drain`], and returns. What is
    /// still in flight then is dropped. The engine goes on: shutting it down is its owner's to do.
    ///
    /// # Errors
    /// `Unavailable` where the transport fails.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> Result<()> {
        let (drain, draining) = watch::channel(false);
        let (stopping, stopped) = oneshot::channel::<()>();
        let (health, health_service) = tonic_health::server::health_reporter();
        for service in services() {
            health.set_service_status(service, tonic_health::ServingStatus::Serving).await;
        }
        let limit = self.limits.drain;
        let shared = Arc::new(Shared { engine: self.engine, draining, limits: self.limits });
        let router = router(&shared)?.add_service(health_service);
        let incoming = TcpIncoming::from(self.listener).with_nodelay(Some(true));
        let serving = router.serve_with_incoming_shutdown(incoming, async move {
            shutdown.await;
            for service in services() {
                health.set_service_status(service, tonic_health::ServingStatus::NotServing).await;
            }
            let _ = drain.send(true);
            let _ = stopping.send(());
        });
        tokio::select! {
            ended = serving => ended.map_err(|e| Error::new(ErrorKind::Unavailable, Reason::Internal, "the server ended").with_source(e)),
            () = overdue(stopped, limit) => {
                tracing::warn!(?limit, "calls in flight did not end in time and are dropped");
                Ok(())
            }
        }
    }
}

/// May a server listen there? [`Server::bind`] asks it too.
///
/// # Errors
/// `InvalidArgument` naming `listen` for what is not a loopback address: until there are TLS and authentication nothing else is served.
pub fn only_loopback(address: SocketAddr) -> Result<()> {
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let why = format!("{address} is not a loopback address: without TLS and authentication this server listens on 127.0.0.1 or [::1] only");
    Err(Error::new(ErrorKind::InvalidArgument, Reason::Configuration, why).with_field("listen"))
}
fn cannot_listen(address: SocketAddr, error: std::io::Error) -> Error {
    let why = format!("cannot listen on {address}: {error}");
    Error::new(ErrorKind::Unavailable, Reason::Configuration, why).with_field("listen").with_source(error)
}
/// Is ready this long after the server began to stop.
async fn overdue(stopped: oneshot::Receiver<()>, limit: Duration) {
    if stopped.await.is_ok() {
        time::sleep(limit).await;
    } else {
        // The server has ended by itself, which the other branch answers.
        std::future::pending::<()>().await;
    }
}

macro_rules! services {
    ([$router:ident, $shared:ident] managed { $($f:ident: $k:ident),* } catalogue { $($g:ident: $c:ident),* }) => {
        $router
            $(.add_service(call::Serve::<kind::Managed<welkin_core::$k>>::new($shared)))*
            $(.add_service(call::Serve::<kind::Catalogue<welkin_core::$c>>::new($shared)))*
    };
}
macro_rules! service_names {
    ([] managed { $($f:ident: $k:ident),* } catalogue { $($g:ident: $c:ident),* }) => {
        [
            "",
            <clouds::Clouds as call::Methods>::SERVICE,
            <operations::Operations as call::Methods>::SERVICE,
            $(<welkin_core::$k as crate::convert::Resource>::SERVICE,)*
            $(<welkin_core::$c as crate::convert::Resource>::SERVICE,)*
        ]
    };
}

/// The services whose health is told; the empty one is the server.
fn services() -> impl Iterator<Item = &'static str> {
    kinds!(service_names).into_iter()
}

fn router(shared: &Arc<Shared>) -> Result<Router> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let broken = |e| Error::internal("the API's descriptors cannot be served").with_source(e);
    // Python's grpcio-reflection and older tools still ask for v1alpha.
    let (reflection, reflection_v1alpha) = (reflection().build_v1().map_err(broken)?, reflection().build_v1alpha().map_err(broken)?);
    let mut builder = shared.limits.apply(tonic::transport::Server::builder());
    let router = builder
        .add_service(reflection)
        .add_service(reflection_v1alpha)
        .add_service(call::Serve::<clouds::Clouds>::new(shared))
        .add_service(call::Serve::<operations::Operations>::new(shared));
    Ok(kinds!(services router, shared))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_exposes_it() {
        for (address, ok) in
            [("127.0.0.1:0", true), ("127.9.9.9:1", true), ("[::1]:0", true), ("[::ffff:127.0.0.1]:0", true), ("0.0.0.0:0", false), ("[::]:0", false), ("10.0.0.1:80", false)]
        {
            let result = only_loopback(address.parse().unwrap());
            assert_eq!(result.is_ok(), ok, "{address}");
            if let Err(e) = result {
                assert_eq!((e.reason(), e.violations()[0].field.as_str()), (Reason::Configuration, "listen"));
            }
        }
    }
}
