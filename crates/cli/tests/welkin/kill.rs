//! The server is killed at random moments, again and again, while instances are created. In the end there is exactly one vendor object for each
//! of them, every operation has ended, and nothing else is left.
//!
//! SIGKILL ends the process and nothing more: what the operating system has taken over it still writes. These trials say nothing about loss of
//! power.

use http::uri::PathAndQuery;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tonic::{Code, Request, Status, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;
use welkin::api::{google::longrunning as lro, v1};

/// Random numbers that can be repeated: splitmix64.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);
impl Random {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// The server's process, on a port that stays the same over restarts.
struct Server {
    dir: PathBuf,
    child: Child,
    port: u16,
    starts: usize,
    /// From the kill to the next server's readiness, the longest.
    longest_restart: Duration,
}
impl Server {
    fn start(dir: &Path) -> Self {
        let mut server = Self { dir: dir.into(), child: Self::spawn(dir, 0, 0), port: 0, starts: 1, longest_restart: Duration::ZERO };
        server.port = server.ready();
        server
    }
    fn spawn(dir: &Path, port: u16, n: usize) -> Child {
        let log = File::create(dir.join(format!("log-{n}"))).unwrap();
        Command::new(env!("CARGO_BIN_EXE_welkin"))
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--config"])
            .arg(dir.join("welkin.toml"))
            .arg("--data-dir")
            .arg(dir.join("data"))
            .env("WELKIN_LOG", "welkin_engine=info")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap()
    }
    fn ready(&mut self) -> u16 {
        let mut lines = BufReader::new(self.child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|l| l.split_whitespace().find_map(|w| w.strip_prefix("http://127.0.0.1:").map(str::to_owned)));
        let log = || std::fs::read_to_string(self.dir.join(format!("log-{}", self.starts - 1))).unwrap_or_default();
        address.unwrap_or_else(|| panic!("the server did not start:\n{}", log())).parse().unwrap()
    }
    fn kill_and_restart(&mut self) {
        let begin = Instant::now();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::spawn(&self.dir, self.port, self.starts);
        self.starts += 1;
        self.ready();
        self.longest_restart = self.longest_restart.max(begin.elapsed());
    }
    /// Ends it as an operator would.
    fn stop(mut self) -> PathBuf {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success() && self.child.wait().unwrap().success());
        self.dir.clone()
    }
    /// What each start took up, and how much of it was unresolved.
    fn recoveries(&self) -> Vec<(usize, usize)> {
        let log = |n: usize| std::fs::read_to_string(self.dir.join(format!("log-{n}"))).unwrap();
        let recovered = |text: &str| text.lines().filter(|l| l.contains("recovered")).map(|l| usize::from(l.contains("unresolved=true"))).collect::<Vec<_>>();
        (1..self.starts).map(|n| recovered(&log(n))).map(|found| (found.len(), found.iter().sum())).collect()
    }
}
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that sends the same request until it is answered.
#[derive(Clone)]
struct Client(Channel);
impl Client {
    fn new(port: u16) -> Self {
        let endpoint = tonic::transport::Endpoint::new(format!("http://127.0.0.1:{port}")).unwrap();
        Self(endpoint.connect_timeout(Duration::from_secs(2)).timeout(Duration::from_secs(30)).connect_lazy())
    }
    async fn once<Q: prost::Message + 'static, A: prost::Message + Default + 'static>(&self, path: &'static str, request: Q) -> Result<A, Status> {
        let mut grpc = Grpc::new(self.0.clone());
        grpc.ready().await.map_err(|e| Status::unavailable(e.to_string()))?;
        Ok(grpc.unary(Request::new(request), PathAndQuery::from_static(path), ProstCodec::default()).await?.into_inner())
    }
    async fn call<Q: prost::Message + Clone + 'static, A: prost::Message + Default + 'static>(&self, path: &'static str, request: Q) -> A {
        let end = Instant::now() + Duration::from_secs(600);
        loop {
            match self.once(path, request.clone()).await {
                Ok(answer) => return answer,
                // The server is away, or went away with the call. (hyper tells some broken connections as UNKNOWN or CANCELLED.)
                Err(s) if matches!(s.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded) && Instant::now() < end => {}
                Err(s) => panic!("{path}: {s:?}"),
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
    async fn finish(&self, mut op: lro::Operation) -> lro::Operation {
        while !op.done {
            tokio::time::sleep(Duration::from_millis(40)).await;
            op = self.call("/google.longrunning.Operations/GetOperation", lro::GetOperationRequest { name: op.name.clone() }).await;
        }
        op
    }
}

struct Plan {
    cloud: &'static str,
    location: &'static str,
    machine_type: &'static str,
    instances: usize,
    workers: usize,
    kills: usize,
    /// The pause before each kill lies between these, in milliseconds.
    pause_ms: (u64, u64),
    seed: u64,
}

struct Outcome {
    errors: Vec<String>,
    recoveries: Vec<(usize, usize)>,
    server: Server,
    client: Client,
}

async fn run(dir: &Path, plan: &Plan) -> Outcome {
    let parent = format!("clouds/{}/locations/{}", plan.cloud, plan.location);
    let mut server = Server::start(dir);
    let client = Client::new(server.port);
    let network = v1::Network { cidrs: vec!["10.0.0.0/16".into()], internet_access: true, ..Default::default() };
    let request = v1::CreateNetworkRequest { parent: parent.clone(), network_id: "n1".into(), network: Some(network), request_id: "network".into(), ..Default::default() };
    ended(&client.finish(client.call("/welkin.v1.Networks/CreateNetwork", request).await).await).unwrap();
    let subnet = v1::Subnet { network: "n1".into(), cidrs: vec!["10.0.0.0/20".into()], ..Default::default() }; // the zone is the engine's to choose
    let request = v1::CreateSubnetRequest { parent: parent.clone(), subnet_id: "s1".into(), subnet: Some(subnet), request_id: "subnet".into(), ..Default::default() };
    ended(&client.finish(client.call("/welkin.v1.Subnets/CreateSubnet", request).await).await).unwrap();

    let wanted: Arc<Mutex<VecDeque<usize>>> = Arc::new(Mutex::new((0..plan.instances).collect()));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..plan.workers {
        let (client, wanted, parent, machine_type) = (client.clone(), Arc::clone(&wanted), parent.clone(), plan.machine_type.to_owned());
        workers.spawn(async move {
            let mut errors = Vec::new();
            loop {
                let Some(i) = wanted.lock().unwrap().pop_front() else { return errors };
                let instance = v1::Instance { subnet: "s1".into(), image: "debian-12".into(), machine_type: machine_type.clone(), ..Default::default() };
                let request = v1::CreateInstanceRequest {
                    parent: parent.clone(),
                    instance_id: format!("web-{i}"),
                    instance: Some(instance),
                    request_id: format!("create-{i}"),
                    ..Default::default()
                };
                let op = client.call("/welkin.v1.Instances/CreateInstance", request).await;
                if let Err(e) = ended(&client.finish(op).await) {
                    errors.push(format!("web-{i}: {e}"));
                }
            }
        });
    }
    let mut random = Random(plan.seed);
    let (low, high) = plan.pause_ms;
    for _ in 0..plan.kills {
        tokio::time::sleep(Duration::from_millis(low + random.below(high - low))).await;
        tokio::task::block_in_place(|| server.kill_and_restart());
    }
    let mut errors = Vec::new();
    while let Some(worker) = workers.join_next().await {
        errors.extend(worker.unwrap());
    }
    Outcome { errors, recoveries: server.recoveries(), server, client }
}

fn ended(op: &lro::Operation) -> Result<(), String> {
    match &op.result {
        Some(lro::operation::Result::Response(_)) => Ok(()),
        Some(lro::operation::Result::Error(e)) => Err(e.message.clone()),
        None => Err("not ended".into()),
    }
}

impl Outcome {
    /// Prints the figures and checks what must hold on any cloud.
    fn check(&self, plan: &Plan) {
        let (taken_up, unresolved): (usize, usize) = self.recoveries.iter().fold((0, 0), |sum, r| (sum.0 + r.0, sum.1 + r.1));
        println!(
            "{}: seed {}, {} instances, {} kills, {taken_up} operations taken up, {unresolved} of them unresolved; the longest restart took {} ms",
            plan.cloud,
            plan.seed,
            plan.instances,
            plan.kills,
            self.server.longest_restart.as_millis()
        );
        assert_eq!(self.errors, Vec::<String>::new());
        // A kill that comes before anybody has found the restarted server hits nothing.
        let hits = self.recoveries.iter().filter(|(open, _)| *open > 0).count();
        assert!(hits >= 20, "{hits} kills hit open operations: {:?}", self.recoveries);
    }
    /// Every instance that the API shows, and every operation that it knows.
    async fn read(&self, plan: &Plan) -> BTreeSet<String> {
        let (mut ids, mut page_token) = (BTreeSet::new(), String::new());
        loop {
            let request = v1::ListInstancesRequest { parent: format!("clouds/{}/locations/-", plan.cloud), page_size: 1000, page_token, ..Default::default() };
            let page: v1::ListInstancesResponse = self.client.call("/welkin.v1.Instances/ListInstances", request).await;
            assert_eq!(page.unreachable, Vec::<String>::new());
            for instance in page.instances {
                assert_eq!(instance.state(), v1::instance::State::Running, "{}", instance.name);
                assert!(ids.insert(instance.name.rsplit('/').next().unwrap().to_owned()), "{} is there twice", instance.name);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let mut page_token = String::new();
        loop {
            let request = lro::ListOperationsRequest { name: format!("clouds/{}", plan.cloud), page_size: 1000, page_token, ..Default::default() };
            let page: lro::ListOperationsResponse = self.client.call("/google.longrunning.Operations/ListOperations", request).await;
            assert!(page.operations.iter().all(|op| op.done), "every operation has ended");
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return ids;
            }
        }
    }
}

fn wanted(plan: &Plan) -> BTreeSet<String> {
    (0..plan.instances).map(|i| format!("web-{i}")).collect()
}

mod on_sim {
    use super::*;
    use welkin::sim::{Config, Sim};

    /// Tags lag for longer than a restart takes, the vendor knows no token, replies and requests are lost.
    const TAG_LAG: Duration = Duration::from_millis(1500);
    const CLOUD: &str = "provider = \"sim\"\nlatency_ms = 30\ncreation_time_ms = 700\nclient_tokens = false\n";
    const FAULTS: &str = "[clouds.lab.faults]\nlose_reply_rate = 0.15\nlose_request_rate = 0.03\nrefuse_rate = 0.05\n";

    fn configure(dir: &Path, seed: u64, more: &str) {
        std::fs::write(dir.join("welkin.toml"), format!("[clouds.lab]\n{CLOUD}tag_lag_ms = {}\nseed = {seed}\n{more}{FAULTS}", TAG_LAG.as_millis())).unwrap();
    }
    /// The vendor's own books, read when the server is gone.
    fn inventory(dir: &Path, seed: u64) -> BTreeMap<&'static str, usize> {
        let cloud = Sim::open(Config { seed, ..Config::default() }, Some(&dir.join("data").join("clouds").join("lab"))).unwrap();
        cloud.inventory().iter().fold(BTreeMap::new(), |mut counts, o| {
            *counts.entry(o.object_type).or_default() += 1;
            counts
        })
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_hundred_instances_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan { cloud: "lab", location: "sim-1", machine_type: "small", instances: 200, workers: 12, kills: 24, pause_ms: (150, 600), seed: 20_261_123 };
        configure(dir.path(), plan.seed, "");
        let outcome = run(dir.path(), &plan).await;
        outcome.check(&plan);
        let unresolved: usize = outcome.recoveries.iter().map(|r| r.1).sum();
        assert!(unresolved >= 10, "only {unresolved} recoveries were unresolved");
        // Else a new server would see what the old one did, and the trial would not be about looking before tags are visible.
        assert!(outcome.server.longest_restart < TAG_LAG, "a restart took {:?}, longer than tags lag", outcome.server.longest_restart);
        // The newest ones are listed under the vendor's ids for as long as their tags lag.
        tokio::time::sleep(TAG_LAG + Duration::from_millis(100)).await;
        assert_eq!(outcome.read(&plan).await, wanted(&plan));
        let dir = outcome.server.stop();
        assert_eq!(inventory(&dir, plan.seed), [("gateway", 1), ("instance", 200), ("network", 1), ("subnet", 1)].into());
    }

    /// The trial can fail: a driver that never looks makes machines twice.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn without_looking_there_are_duplicates() {
        // Whether a kill falls between a launch and its record is chance, which a few tries make certain.
        for seed in 7..13 {
            let dir = tempfile::tempdir().unwrap();
            let plan = Plan { cloud: "lab", location: "sim-1", machine_type: "small", instances: 60, workers: 12, kills: 4, pause_ms: (150, 400), seed };
            configure(dir.path(), plan.seed, "unsafe_skip_look_up = true\n");
            let folder = dir.path().to_owned();
            // A lost reply can hit the subnet too, which is then made again blindly and refused: that run shows nothing.
            let Ok((outcome, plan)) = tokio::spawn(async move { (run(&folder, &plan).await, plan) }).await else { continue };
            let dir = outcome.server.stop();
            let instances = inventory(&dir, plan.seed)["instance"];
            println!("with look-ups switched off: {instances} machines for {} instances", plan.instances);
            if instances > plan.instances {
                return;
            }
        }
        panic!("nothing was made twice");
    }
}

/// Through the proxy: the answer to one in ten writes is lost, and a launch with the same ClientToken is the same.
#[cfg(feature = "aws")]
mod on_moto {
    use super::*;
    use crate::proxy::Proxy;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_hundred_instances_and_no_more_on_ec2() {
        let dir = tempfile::tempdir().unwrap();
        let Some(moto) = crate::moto::Moto::start(dir.path()) else { return };
        let plan = Plan { cloud: "prod", location: "eu-west-1", machine_type: "t3.small", instances: 200, workers: 6, kills: 40, pause_ms: (50, 700), seed: 20_261_124 };
        let proxy = Proxy::start(moto.port()).await;
        std::fs::write(dir.path().join("welkin.toml"), moto.configuration_at(proxy.port())).unwrap();
        proxy.lose_answers(plan.seed, 10);
        let begin = Instant::now();
        let outcome = run(dir.path(), &plan).await;
        outcome.check(&plan);
        let lost = proxy.settle();
        println!("{:?}; {lost} answers to writes were lost, {} launches were answered again by their token", begin.elapsed(), proxy.replayed());
        assert!(lost >= 10, "only {lost} answers were lost");
        assert_eq!(outcome.read(&plan).await, wanted(&plan));
        outcome.server.stop();
        assert_eq!(moto.inventory(), [1, 1, 1, 200, 0]);
    }
}
