//! Reads of EC2 that go wrong: each is an error or its answer is whole. A list with a page that is missing is never a shorter list, and what could
//! not be read is never absent.

use crate::{
    moto::Moto,
    proxy::{Fault, Proxy},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::task::JoinSet;
use welkin::{
    Instance, Kind, LocationName, Name, Network, ResourceId,
    aws::{Aws, AwsConfig},
    engine::{Engine, ListRequest, Settings},
};

const FAULTS: [Fault; 6] = [Fault::Unavailable, Fault::Throttled, Fault::ResetBefore, Fault::ResetAfter, Fault::Hang, Fault::Truncated];
/// EC2's smallest page.
const PAGE: usize = 5;

/// An engine in front of moto, with a proxy of its own between.
struct Front {
    engine: Engine,
    proxy: Proxy,
}
impl Front {
    async fn new(moto: &Moto, read_attempts: u32) -> Self {
        let proxy = Proxy::start(moto.port()).await;
        let config = AwsConfig { call_timeout_s: Some(2.0), ..toml::from_str(&moto.keys_at(proxy.port())).unwrap() };
        let aws = Arc::new(Aws::connect(&config).await.unwrap());
        let settings = Settings { read_attempts, ..Settings::default() };
        let engine = Engine::builder().cloud_owned_by("prod", aws, "tests".parse().unwrap()).settings(settings).open().await.unwrap();
        Self { engine, proxy }
    }
    /// Ours, by its name. What could not be read must not be absent.
    async fn get(&self) -> Result<BTreeSet<String>, String> {
        let name: Name<Network> = Name::new(place(), "n1".parse::<ResourceId>().unwrap());
        match self.engine.account("prod").unwrap().get(&name).await {
            Ok(object) => Ok([object.vendor_id.to_string()].into()),
            Err(e) if e.is_not_found() => panic!("{e}"),
            Err(e) => Err(e.to_string()),
        }
    }
    async fn list<K: Kind<Parent = LocationName>>(&self) -> Result<BTreeSet<String>, String> {
        let mut ask = ListRequest::<K> { cloud: Some("prod".into()), parent: Some(place()), filter: String::new(), page_size: PAGE, page_token: String::new() };
        let mut ids = BTreeSet::new();
        loop {
            let page = self.engine.list(ask.clone()).await.map_err(|e| e.to_string())?;
            if !page.unreachable.is_empty() {
                return Err(page.unreachable.join(" "));
            }
            for (_, object) in page.items {
                assert!(ids.insert(object.vendor_id.to_string()), "{} is listed twice", object.name);
            }
            ask.page_token = page.next_page_token;
            if ask.page_token.is_empty() {
                return Ok(ids);
            }
        }
    }
    /// The ids that a read shows, or what went wrong on the way.
    async fn read(&self, what: Read) -> Result<BTreeSet<String>, String> {
        match what {
            Read::Networks => self.list::<Network>().await,
            Read::Instances => self.list::<Instance>().await,
            Read::One => self.get().await,
        }
    }
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Read {
    Networks,
    Instances,
    One,
}
/// Each with the calls that it takes. A list of networks asks for the gateways of a page too, and so does a get, where there should be some.
const READS: [(Read, u32); 3] = [(Read::Networks, 4), (Read::Instances, 2), (Read::One, 2)];

fn place() -> LocationName {
    LocationName::of("eu-west-1").unwrap()
}

/// Three pages of networks, one of which is ours and has a gateway to be asked for, and two of instances. Answers what each read has to show.
fn furnish(moto: &Moto) -> BTreeMap<Read, BTreeSet<String>> {
    let plant = |wish| moto.ask(&wish).unwrap().as_str().unwrap().to_owned();
    let mark = json!({"welkin.dev/owner": "tests", "welkin.dev/id": "n1", "welkin.dev/uid": "0123456789", "welkin.dev/asked": "internet=true"});
    let ours = plant(json!({"do": "plant", "what": "network", "cidr": "10.0.0.0/16", "tags": mark}));
    for _ in 0..11 {
        moto.plant();
    }
    let subnet = plant(json!({"do": "plant", "what": "subnet", "network": ours, "cidr": "10.0.1.0/24"}));
    for _ in 0..7 {
        plant(json!({"do": "plant", "what": "instance", "subnet": subnet, "image": "ami-0123456789abcdef0"}));
    }
    let inventory = moto.ask(&json!({"do": "inventory"})).unwrap();
    let all = |prefix: &str| inventory.as_array().unwrap().iter().map(|o| o["id"].as_str().unwrap().to_owned()).filter(|id| id.starts_with(prefix)).collect();
    [(Read::Networks, all("vpc-")), (Read::Instances, all("i-")), (Read::One, [ours].into())].into()
}

/// Each read is sent once: at whichever of its calls something happens, it fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_is_not_repeated_fails_or_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let Some(moto) = Moto::start(dir.path()) else { return };
    let whole = Arc::new(furnish(&moto));
    let mut runs = JoinSet::new();
    for fault in FAULTS {
        let (front, whole) = (Front::new(&moto, 1).await, Arc::clone(&whole));
        runs.spawn(async move {
            for (read, calls) in READS {
                for call in 0..calls {
                    front.proxy.inject_into_read(fault, call);
                    let answer = front.read(read).await;
                    assert!(answer.is_err(), "{fault:?} at call {call} of {read:?}: {answer:?}");
                    assert_eq!(front.proxy.settle(), 1, "{fault:?} at call {call} of {read:?}");
                }
                front.proxy.inject_into_read(fault, calls);
                assert_eq!(front.read(read).await.as_ref(), Ok(&whole[&read]), "{fault:?}");
                assert_eq!(front.proxy.settle(), 0, "{read:?} has more calls than {calls}");
            }
        });
    }
    while let Some(run) = runs.join_next().await {
        run.unwrap();
    }
}

/// A page that goes wrong once is asked for again, and the list is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_is_repeated_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let Some(moto) = Moto::start(dir.path()) else { return };
    let whole = Arc::new(furnish(&moto));
    let mut runs = JoinSet::new();
    for fault in FAULTS {
        let (front, whole) = (Front::new(&moto, 3).await, Arc::clone(&whole));
        runs.spawn(async move {
            for (read, calls) in READS {
                front.proxy.inject_into_read(fault, calls - 1);
                assert_eq!(front.read(read).await.as_ref(), Ok(&whole[&read]), "{fault:?}");
                assert_eq!(front.proxy.settle(), 1, "{fault:?} in {read:?}");
            }
        });
    }
    while let Some(run) = runs.join_next().await {
        run.unwrap();
    }
}
