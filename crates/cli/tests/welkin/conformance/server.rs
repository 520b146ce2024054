//! The same cloud through a server: `welkin::client::Remote` is a provider like any other, and the engine answers for names.

use super::sim::{SimWorld, location, with_fields};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};
use tokio::{sync::oneshot, task::JoinHandle};
use welkin::{
    Error, Result,
    client::{Client, Cloud, Remote},
    engine::{Engine, Operation, Options, Settings},
    server::{Limits, Server},
    sim::{Config, Sim},
    with_kind,
};
use welkin_conformance::{Adoption, Subject};

/// Adoption as a caller of the API asks for it.
#[derive(Debug)]
struct Front(Cloud);
impl Front {
    async fn ended(&self, operation: Result<Operation>) -> Result<()> {
        let ended = self.0.wait(operation?, Duration::from_mins(1)).await?;
        ended.end.ok_or_else(|| Error::internal("it does not end"))?.map(drop)
    }
}
#[async_trait]
impl Adoption for Front {
    async fn adopt(&self, collection: &str, name: &str, id: &str) -> Result<()> {
        let options = Options { adopt: Some(id.into()), ..Options::default() };
        let operation = with_kind!(collection, K => self.0.create::<K>(&name.parse()?, Default::default(), options).await, else Err(Error::internal("no such kind")));
        self.ended(operation).await
    }
    async fn release(&self, collection: &str, name: &str) -> Result<()> {
        let options = Options { release: true, ..Options::default() };
        let operation = with_kind!(collection, K => self.0.delete::<K>(&name.parse()?, options).await, else Err(Error::internal("no such kind")));
        self.ended(operation).await
    }
}

/// How many servers share the trials: most of the time goes into waiting.
const SERVERS: u64 = 10;

#[tokio::test]
async fn conformance_of_a_server() {
    let (mut alike, mut running) = (Vec::new(), Vec::new());
    for number in 0..SERVERS {
        let (subject, server) = subject(3 + number).await;
        alike.push(subject);
        running.push(server);
    }
    let report = super::good_shared(&alike).await;
    for server in running {
        server.end().await;
    }
    super::fidelity::keep("server", &report);
}

/// A server and what it needs to be ended.
struct Running {
    engine: Arc<Engine>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<()>>,
}
impl Running {
    async fn end(self) {
        drop(self.stop);
        self.server.await.unwrap().unwrap();
        self.engine.shutdown().await;
    }
}

async fn subject(seed: u64) -> (Subject, Running) {
    // The network is real, so time cannot be paused: everything is short.
    let config = Config { seed, creation_time_ms: 30, transition_time_ms: 20, read_lag_ms: 10, tag_lag_ms: 25, page_size: 3, client_tokens: false, ..Config::default() };
    let sim = Sim::open(config, None).unwrap();
    let owner = "conformance".parse().unwrap();
    let settings = Settings { step_timeout: Duration::from_millis(500), backoff: Duration::from_millis(10), ..Settings::default() };
    let engine = Arc::new(Engine::builder().cloud("lab", Arc::clone(&sim) as _).settings(settings).open().await.unwrap());
    let server = Server::bind(Arc::clone(&engine), ([127, 0, 0, 1], 0).into(), Limits::default()).await.unwrap();
    // For so long a create that was given up may still come in, and is waited for: no call takes as long here.
    let client = Client::connect(format!("http://{}", server.address())).await.unwrap().timeout(Duration::from_secs(2));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(server.serve(async {
        let _ = stopped.await;
    }));
    let remote = Arc::new(Remote::new(&client, "lab").await.unwrap());
    let subject = Subject::new("sim through a server", remote, SimWorld::new(sim), owner, location().unwrap());
    let adoption: Arc<dyn Adoption> = Arc::new(Front(client.cloud("lab")));
    // The next look at an operation does not have to wait as long as over a network.
    let longest_wait = Duration::from_millis(40);
    let subject = super::declared(Subject { served: true, adoption: Some(adoption), longest_wait, ..with_fields(subject) });
    (subject, Running { engine, stop, server })
}
