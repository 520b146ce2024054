//! An EC2, an Elastic Load Balancing and an Auto Scaling that answer what they were told to, whatever they are asked, and the provider in front of it.

use crate::{
    balancing,
    cloud::scaling,
    http::{self, Request},
    journal::Seen,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::Instant};
use welkin_aws::{Aws, AwsConfig};
use welkin_core::*;

#[derive(Debug, Default)]
struct Told {
    answers: BTreeMap<String, (u16, String)>,
    requests: Vec<String>,
}
#[derive(Debug)]
pub struct Replay {
    told: Arc<Mutex<Told>>,
    pub aws: Aws,
    pub seen: Arc<Seen>,
}

impl Replay {
    pub async fn start() -> Self {
        let told = Arc::<Mutex<Told>>::default();
        let served = Arc::clone(&told);
        let endpoint = http::listen(move |stream| serve(Arc::clone(&served), stream)).await;
        let config = format!("regions = [\"eu-west-1\"]\naccess_key_id = \"A\"\nsecret_access_key = \"S\"\nendpoint = \"{endpoint}\"\nconsistency_horizon_s = 0.0");
        let config: AwsConfig = toml::from_str(&config).unwrap();
        Self { told, aws: Aws::connect(&config).await.unwrap(), seen: Arc::default() }
    }
    pub fn answers(&self, operation: &str, status: u16, xml: &str) {
        self.told.lock().unwrap().answers.insert(operation.into(), (status, xml.into()));
    }
    /// What it answers to this, where it was told.
    pub fn told(&self, operation: &str) -> String {
        self.told.lock().unwrap().answers.get(operation).map(|(_, xml)| xml.clone()).unwrap_or_default()
    }
    /// The bodies of all requests.
    pub fn requests(&self) -> Vec<String> {
        self.told.lock().unwrap().requests.clone()
    }
    pub fn cx(&self) -> Cx {
        Cx { deadline: Instant::now() + Duration::from_secs(5), owner: "me".parse().unwrap(), gate: Arc::clone(&self.seen) as Arc<dyn Gate> }
    }
    /// The whole list, page by page.
    pub async fn list<K: Kind>(&self, query: &Query<K>) -> Result<Vec<Object<K>>> {
        let reader = K::reader(&self.aws).unwrap();
        let shard = reader.shards(query).remove(0);
        let (mut items, mut from) = (Vec::new(), None);
        loop {
            let page = reader.list(&self.cx(), query, &shard, from.as_ref()).await?;
            items.extend(page.items);
            from = page.next;
            if from.is_none() {
                return Ok(items);
            }
        }
    }
    pub async fn get<K: Kind>(&self, target: &Target<K>) -> Result<Object<K>> {
        K::reader(&self.aws).unwrap().get(&self.cx(), target).await
    }
}

/// The page behind a token is empty: nobody recorded it. So is what nothing was told of.
async fn serve(told: Arc<Mutex<Told>>, mut stream: TcpStream) {
    let Some(Request { body, .. }) = http::read(&mut stream).await else { return };
    let of = |key: &str| form_urlencoded::parse(body.as_bytes()).find(|(k, _)| k == key).map(|(_, v)| v.into_owned());
    let action = of("Action").unwrap();
    let empty = match of("Version").as_deref() {
        Some(balancing::VERSION) => balancing::whole(&action, ""),
        Some(scaling::VERSION) => scaling::whole(&action, ""),
        _ => format!("<{action}Response><requestId>r</requestId></{action}Response>"),
    };
    let (status, xml) = {
        let mut told = told.lock().unwrap();
        let answer = told.answers.get(&action).filter(|_| of("NextToken").or_else(|| of("Marker")).is_none()).cloned().unwrap_or((200, empty));
        told.requests.push(body);
        answer
    };
    let head = format!("HTTP/1.1 {status} x\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", xml.len());
    let _ = stream.write_all(format!("{head}{xml}").as_bytes()).await;
}
