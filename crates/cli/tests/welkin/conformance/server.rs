//! The same cloud through a server: `welkin::client::Remote` is a provider like any other, and the engine answers for names.

use super::sim::{SimWorld, location, with_fields};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;
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

#[tokio::test]
async fn conformance_of_a_server() {
    // The network is real, so time cannot be paused: everything is short.
    let config = Config { seed: 3, creation_time_ms: 30, transition_time_ms: 20, read_lag_ms: 10, tag_lag_ms: 25, page_size: 3, client_tokens: false, ..Config::default() };
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
    let subject = super::declared(Subject { served: true, adoption: Some(adoption), ..with_fields(subject) });
    let report = super::good(&subject).await;
    drop(stop);
    server.await.unwrap().unwrap();
    engine.shutdown().await;
    super::fidelity::keep("server", &report);
}
