//! The same cloud through a server: `welkin::client::Remote` is a provider like any other, and the engine answers for names.

use super::sim::{SimWorld, location, with_fields};
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;
use welkin::{
    client::{Client, Remote},
    engine::{Engine, Settings},
    server::{Limits, Server},
    sim::{Config, Sim},
};
use welkin_conformance::Subject;

#[tokio::test]
async fn conformance_of_a_server() {
    // The network is real, so time cannot be paused: everything is short.
    let config = Config { seed: 3, creation_time_ms: 30, transition_time_ms: 20, read_lag_ms: 10, tag_lag_ms: 25, page_size: 3, client_tokens: false, ..Config::default() };
    let sim = Sim::open(config, None).unwrap();
    let owner = "conformance".parse().unwrap();
    let settings = Settings { step_timeout: Duration::from_millis(500), backoff: Duration::from_millis(10), ..Settings::default() };
    let engine = Arc::new(Engine::builder().cloud("lab", Arc::clone(&sim) as _).settings(settings).open().await.unwrap());
    let server = Server::bind(Arc::clone(&engine), ([127, 0, 0, 1], 0).into(), Limits::default()).await.unwrap();
    let client = Client::connect(format!("http://{}", server.address())).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(server.serve(async {
        let _ = stopped.await;
    }));
    let remote = Arc::new(Remote::new(&client, "lab").await.unwrap());
    let subject = Subject::new("sim through a server", remote, SimWorld::new(sim), owner, location().unwrap());
    let subject = super::declared(Subject { served: true, ..with_fields(subject) });
    let report = super::good(&subject).await;
    drop(stop);
    server.await.unwrap().unwrap();
    engine.shutdown().await;
    super::fidelity::keep("server", &report);
}
