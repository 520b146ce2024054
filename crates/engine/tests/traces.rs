//! What a trace shows of an operation.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::BTreeSet,
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};
use welkin_core::{Name, Network, NetworkSpec};
use welkin_engine::{Engine, Options};
use welkin_sim::{Config, Sim};

/// Keeps every span as its way from the outermost one, and the fields.
#[derive(Debug, Clone, Default)]
struct Spans(Arc<Mutex<BTreeSet<(String, String)>>>);
#[derive(Default)]
struct Fields(String);
impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}
impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let way: Vec<_> = context.span(id).unwrap().scope().from_root().map(|s| s.name()).collect();
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        self.0.lock().unwrap().insert((way.join("/"), fields.0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_call_is_seen_inside_its_operation() {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
    let engine = Engine::builder().cloud("lab", Sim::open(Config::default(), None).unwrap()).open().await.unwrap();
    let n1: Name<Network> = "locations/sim-1/networks/n1".parse().unwrap();
    let spec = NetworkSpec { cidrs: vec!["10.0.0.0/16".parse().unwrap()], ..Default::default() };
    let account = engine.account("lab").unwrap();
    // The request's own span ends before the operation does.
    let op = tracing::Instrument::instrument(account.create(n1, spec, Options::default()), tracing::info_span!("request")).await.unwrap();
    account.wait(&op.id, Duration::from_secs(60)).await.unwrap();
    let spans = spans.0.lock().unwrap();
    let seen = |way: &str, words: &[&str]| spans.iter().any(|(w, fields)| w == way && words.iter().all(|word| fields.contains(word)));
    assert!(seen("operation", &[&format!("id={:?}", op.id), "cloud=\"lab\"", "verb=\"create\"", "target=\"locations/sim-1/networks/n1\""]), "{spans:#?}");
    assert!(seen("operation/driver/vendor_call", &["action=\"CreateNetwork\"", "region=\"sim-1\"", "write=true"]), "{spans:#?}");
    assert!(seen("operation/driver/vendor_call", &["action=\"DescribeNetworks\"", "write=false"]), "{spans:#?}");
}
