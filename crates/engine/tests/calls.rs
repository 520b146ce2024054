//! Vendor calls counted at the gate, as a table: what each verb costs on the simulated cloud. The same calls are counted at the vendor, so the
//! gate is seen to miss none.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};
use welkin_core::{Instance, InstanceAction, InstanceSpec, LocationName, Name, Network, NetworkSpec, Ref, Subnet, SubnetSpec};
use welkin_engine::{Account, Engine, ListRequest, Operation, Options};
use welkin_sim::{Config, Planted, Sim};

struct Meter {
    sim: Arc<Sim>,
    account: Arc<Account>,
    rows: Vec<(&'static str, String)>,
}
impl Meter {
    fn calls(&self) -> BTreeMap<&'static str, u64> {
        let mut calls = BTreeMap::new();
        for (api, n) in self.account.vendor_calls() {
            *calls.entry(api.action).or_default() += n;
        }
        assert_eq!(calls, self.sim.calls(), "the gate sees every call that reaches the vendor");
        calls
    }
    /// What was called since `before`.
    fn row(&mut self, what: &'static str, before: &BTreeMap<&'static str, u64>) -> BTreeMap<&'static str, u64> {
        let mut since = self.calls();
        since.retain(|action, n| {
            *n -= before.get(action).copied().unwrap_or(0);
            *n > 0
        });
        let text = since.iter().map(|(a, n)| if *n == 1 { (*a).to_owned() } else { format!("{n} {a}") }).collect::<Vec<_>>();
        self.rows.push((what, format!("{:2}  {}", since.values().sum::<u64>(), text.join(", "))));
        since
    }
    async fn change(&mut self, what: &'static str, op: impl Future<Output = welkin_core::Result<Operation>>) -> BTreeMap<&'static str, u64> {
        let before = self.calls();
        let op = op.await.unwrap();
        let op = if op.is_done() { op } else { self.account.wait(&op.id, Duration::from_secs(600)).await.unwrap() };
        op.end.unwrap().unwrap();
        self.row(what, &before)
    }
}
fn total(calls: &BTreeMap<&'static str, u64>) -> u64 {
    calls.values().sum()
}

#[tokio::test(start_paused = true)]
async fn a_table_of_calls() {
    let sim = Sim::open(Config { creation_time_ms: 100, latency_ms: 1, ..Config::default() }, None).unwrap();
    let engine = Engine::builder().cloud("lab", sim.clone()).open().await.unwrap();
    let account = Arc::clone(engine.account("lab").unwrap());
    let mut m = Meter { sim, account: account.clone(), rows: Vec::new() };
    let at = LocationName::of("sim-1").unwrap();
    let (n1, n2, s1, web) = (
        Name::<Network>::new(at.clone(), "n1".parse().unwrap()),
        Name::<Network>::new(at.clone(), "n2".parse().unwrap()),
        Name::<Subnet>::new(at.clone(), "s1".parse().unwrap()),
        Name::<Instance>::new(at.clone(), "web".parse().unwrap()),
    );
    let none = Options::default;
    let net = NetworkSpec { cidrs: vec!["10.0.0.0/16".parse().unwrap()], ..Default::default() };
    let sub = SubnetSpec { network: Some(Ref::to(n1.clone())), cidrs: vec!["10.0.0.0/24".parse().unwrap()], zone: Some("sim-1a".into()), ..Default::default() };
    let image = Some(Ref::to(Name::new(at.clone(), "debian-12".parse().unwrap())));
    let vm = InstanceSpec { machine_type: "small".into(), image, subnet: Some(Ref::to(s1.clone())), ..Default::default() };

    // The engine's one check that the name is free (a network has two kinds of vendor objects to look at), and the vendor's one object.
    let calls = m.change("create network", account.create(n1.clone(), net.clone(), none())).await;
    assert_eq!(calls, [("DescribeNetworks", 1), ("DescribeGateways", 1), ("CreateNetwork", 1)].into());
    m.change("create network with internet access", account.create(n2.clone(), NetworkSpec { internet_access: true, ..net.clone() }, none())).await;
    let calls = m.change("create subnet", account.create(s1.clone(), sub, none())).await;
    assert_eq!(total(&calls), 2, "{calls:?}");
    let calls = m.change("create instance (family resolved, one wait)", Box::pin(account.create(web.clone(), vm.clone(), none()))).await;
    assert_eq!(calls, [("DescribeInstances", 2), ("DescribeImages", 1), ("LaunchInstance", 1)].into());
    m.change("the same create again", Box::pin(account.create(web.clone(), vm, none()))).await;

    let before = m.calls();
    account.get(&web).await.unwrap();
    assert_eq!(total(&m.row("get", &before)), 1);

    let labels = NetworkSpec { labels: [("a".to_owned(), "b".to_owned())].into(), ..Default::default() };
    m.change("update labels", account.update(n1.clone(), labels.clone(), ["labels".into()].into(), none())).await;
    let calls = m.change("update to what is so already", account.update(n1.clone(), labels, ["labels".into()].into(), none())).await;
    assert!(calls.keys().all(|a| a.starts_with("Describe")), "{calls:?}");
    m.change("stop instance", account.act(web.clone(), InstanceAction::Stop, none())).await;
    m.change("start instance", account.act(web.clone(), InstanceAction::Start, none())).await;
    m.change("reboot instance", account.act(web.clone(), InstanceAction::Reboot, none())).await;
    m.change("delete instance", account.delete(web, none())).await;
    m.change("delete subnet", account.delete(s1, none())).await;
    m.change("delete network", account.delete(n1, none())).await;

    for i in 0..1000 {
        let cidr = format!("10.{}.{}.0/24", i / 256, i % 256).parse().unwrap();
        m.sim.plant("sim-1", Planted::Network { cidr }, BTreeMap::new()).unwrap();
    }
    let before = m.calls();
    let ask = ListRequest::<Network> { cloud: None, parent: None, filter: String::new(), page_size: 1000, page_token: String::new() };
    let first = engine.list(ask.clone()).await.unwrap();
    let rest = engine.list(ListRequest { page_token: first.next_page_token, ..ask }).await.unwrap();
    assert_eq!(first.items.len() + rest.items.len(), 1001);
    assert_eq!(total(&m.row("list of 1,001 in pages of 1,000", &before)), 2);

    println!("\ncalls  at the vendor (simulated)");
    for (what, calls) in &m.rows {
        println!("{what:<45} {calls}");
    }
}
