//! Changes that follow each other at once on an EC2 that lags: each is worked out from what the one before it has left.

use crate::{
    moto::Moto,
    proxy::{Lag, Proxy},
};
use std::{sync::Arc, time::Duration};
use welkin::{
    LocationName, Name, Network, NetworkSpec,
    aws::{Aws, AwsConfig},
    engine::{Account, Engine, Operation, Options, Settings},
};

/// In two reads of three. On a machine so busy that the reads come later than this nothing lags, and the trial shows less.
const LAG: Lag = Lag { by: Duration::from_millis(300), percent: 67, seed: 7 };

async fn front(moto: &Moto, proxy: &Proxy) -> Engine {
    let config = AwsConfig { consistency_horizon_s: Some(1.5), ..toml::from_str(&moto.keys_at(proxy.port())).unwrap() };
    let aws = Arc::new(Aws::connect(&config).await.unwrap());
    let settings = Settings { backoff: Duration::from_millis(20), ..Settings::default() };
    Engine::builder().cloud_owned_by("prod", aws, "tests".parse().unwrap()).settings(settings).open().await.unwrap()
}
async fn end(account: &Account, operation: Operation) {
    let ended = account.wait(&operation.id, Duration::from_secs(60)).await.unwrap();
    ended.object::<Network>().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_at_once_are_all_made() {
    let dir = tempfile::tempdir().unwrap();
    let Some(moto) = Moto::start(dir.path()) else { return };
    let (late, now) = (Proxy::start(moto.port()).await, Proxy::start(moto.port()).await);
    late.lag(LAG);
    let (lagging, current) = (front(&moto, &late).await, front(&moto, &now).await);
    let account = lagging.account("prod").unwrap();
    let name: Name<Network> = Name::new(LocationName::of("eu-west-1").unwrap(), "n1".parse().unwrap());
    let spec = |labels: &[(&str, &str)]| NetworkSpec {
        cidrs: vec!["10.0.0.0/16".parse().unwrap()],
        labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..NetworkSpec::default()
    };
    end(account, account.create(name.clone(), spec(&[("a", "1")]), Options::default()).await.unwrap()).await;
    // Back to what was there before, one more, and that one away again: a read from before would have each of them do nothing, or too little.
    for labels in [&[("a", "2")][..], &[("a", "1")], &[("a", "1"), ("b", "1")], &[("a", "1")], &[]] {
        end(account, account.update(name.clone(), spec(labels), ["labels".into()].into(), Options::default()).await.unwrap()).await;
        let shown = current.account("prod").unwrap().get(&name).await.unwrap().spec.labels;
        assert_eq!(shown, spec(labels).labels, "{:?}", late.lagged());
    }
    println!("{:?}", late.lagged());
}
