//! Server CPU of one unary Get, against a bare tonic server that echoes the same message.
//!
//! Both servers run as processes of their own with the same HTTP/2 settings; their CPU time is read from `/proc`. Rounds are interleaved and
//! the median of the ratios is printed, because the machine is shared: a ratio within one run says more than any absolute figure. Also printed:
//! what a server that answers a fixed message to the same small request costs, which is the stricter baseline.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use http::{Request, Response, uri::PathAndQuery};
use std::{
    convert::Infallible,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tonic::{
    Status,
    body::Body,
    client::Grpc,
    codegen::{BoxFuture, Service, StdError},
    server::{NamedService, UnaryService},
    transport::Channel,
};
use tonic_prost::ProstCodec;
use welkin::{api::v1, server::Limits};

const ROUNDS: usize = 7;
const LOADS: [(usize, usize); 2] = [(8, 16), (1, 1)];
const ROUND: Duration = Duration::from_secs(2);
const GET: &str = "/welkin.v1.Instances/GetInstance";
const ECHO: &str = "/bench.Bare/Echo";
const FIXED: &str = "/bench.Bare/Fixed";

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("--bare-server") {
        let bytes: Vec<u8> = serde_json::from_str(&args.next().ok_or("no message")?)?;
        // The runtime of `welkin` itself: as many threads as there are cores.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        return runtime.block_on(bare_server(prost::Message::decode(bytes.as_slice())?));
    }
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(measure())
}
/// The command with nothing of the caller's own configuration, and so with the default tracing.
fn welkin_command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_welkin"));
    command.current_dir(folder);
    for name in ["ENDPOINT", "CLOUD", "LOCATION", "CONFIG", "DATA_DIR", "LOG"] {
        command.env_remove(format!("WELKIN_{name}"));
    }
    command
}

/// The whole of what tonic itself needs for a unary call.
#[derive(Clone)]
struct Bare(v1::Instance);
impl NamedService for Bare {
    const NAME: &'static str = "bench.Bare";
}
struct EchoCall;
impl UnaryService<v1::Instance> for EchoCall {
    type Response = v1::Instance;
    type Future = BoxFuture<tonic::Response<v1::Instance>, Status>;
    fn call(&mut self, request: tonic::Request<v1::Instance>) -> Self::Future {
        Box::pin(async move { Ok(tonic::Response::new(request.into_inner())) })
    }
}
struct FixedCall(v1::Instance);
impl UnaryService<v1::GetInstanceRequest> for FixedCall {
    type Response = v1::Instance;
    type Future = BoxFuture<tonic::Response<v1::Instance>, Status>;
    fn call(&mut self, _: tonic::Request<v1::GetInstanceRequest>) -> Self::Future {
        let answer = self.0.clone();
        Box::pin(async move { Ok(tonic::Response::new(answer)) })
    }
}
impl Service<Request<Body>> for Bare {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let fixed = (request.uri().path() == FIXED).then(|| self.0.clone());
        Box::pin(async move {
            Ok(match fixed {
                Some(answer) => tonic::server::Grpc::new(ProstCodec::default()).unary(FixedCall(answer), request).await,
                None => tonic::server::Grpc::new(ProstCodec::default()).unary(EchoCall, request).await,
            })
        })
    }
}
async fn bare_server(message: v1::Instance) -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    let mut server = Limits::default().apply(tonic::transport::Server::builder());
    Ok(server.add_service(Bare(message)).serve_with_incoming(incoming).await?)
}
/// A process that is ended with the bench.
struct Server {
    child: Child,
    endpoint: String,
}
impl Server {
    fn start(command: &mut Command) -> Result<Self, Failure> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let out = child.stdout.take().ok_or("no standard output")?;
        let endpoint = BufReader::new(out)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.split_whitespace().find(|w| w.starts_with("http://127.0.0.1:")).map(str::to_owned))
            .ok_or("the server did not tell its address")?;
        Ok(Self { child, endpoint })
    }
    /// User and system time in clock ticks of 10 ms (proc(5)).
    fn cpu(&self) -> Result<Duration, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit_once(')').ok_or("stat")?.1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(Duration::from_millis(ticks * 10))
    }
    fn resident_kib(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).ok_or("VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("VmRSS")?.parse()?)
    }
}
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn channel(endpoint: &str) -> Result<Channel, Failure> {
    Ok(tonic::transport::Endpoint::new(endpoint.to_owned())?.tcp_nodelay(true).connect().await?)
}
async fn unary<Q: prost::Message + 'static, A: prost::Message + Default + 'static>(grpc: &mut Grpc<Channel>, path: &'static str, request: Q) -> Result<A, Failure> {
    grpc.ready().await.map_err(StdError::from)?;
    Ok(grpc.unary(tonic::Request::new(request), PathAndQuery::from_static(path), ProstCodec::<Q, A>::default()).await?.into_inner())
}

/// CPU of the server for each call, under a load of so many connections and streams.
async fn load<Q: prost::Message + Clone + 'static>(server: &Server, path: &'static str, request: &Q, (connections, streams): (usize, usize)) -> Result<f64, Failure> {
    let mut channels = Vec::new();
    for _ in 0..connections {
        channels.push(channel(&server.endpoint).await?);
    }
    let (before, end) = (server.cpu()?, Instant::now() + ROUND);
    let mut tasks = tokio::task::JoinSet::new();
    for channel in channels {
        for _ in 0..streams {
            let (mut grpc, request) = (Grpc::new(channel.clone()), request.clone());
            tasks.spawn(async move {
                let mut calls = 0_u64;
                while Instant::now() < end {
                    unary::<Q, v1::Instance>(&mut grpc, path, request.clone()).await?;
                    calls += 1;
                }
                Ok::<_, Failure>(calls)
            });
        }
    }
    let mut calls = 0;
    while let Some(done) = tasks.join_next().await {
        calls += done??;
    }
    Ok((server.cpu()? - before).as_secs_f64() * 1e6 / calls as f64)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn measure() -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let started = Instant::now();
    let welkin = Server::start(welkin_command(dir.path()).args(["serve", "--listen", "127.0.0.1:0", "--data-dir", "data"]))?;
    println!("ready after {} ms, resident {} KiB when idle and empty", started.elapsed().as_millis(), welkin.resident_kib()?);
    let message = make_instance(dir.path(), &welkin.endpoint).await?;
    let bytes = serde_json::to_string(&prost::Message::encode_to_vec(&message))?;
    let bare = Server::start(Command::new(std::env::current_exe()?).args(["--bare-server", &bytes]))?;
    println!("the message has {} bytes; {ROUNDS} interleaved rounds of {} s; CPU of the server in us a call", prost::Message::encoded_len(&message), ROUND.as_secs());
    let get = v1::GetInstanceRequest { name: message.name.clone() };
    for at in LOADS {
        let (mut echo_ratios, mut fixed_ratios, mut us) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let ours = load(&welkin, GET, &get, at).await?;
            let echo = load(&bare, ECHO, &message, at).await?;
            let fixed = load(&bare, FIXED, &get, at).await?;
            echo_ratios.push(ours / echo);
            fixed_ratios.push(ours / fixed);
            us.push((ours, echo, fixed));
        }
        let of = |pick: fn(&(f64, f64, f64)) -> f64| median(us.iter().map(pick).collect());
        println!(
            "{} connections x {:2} streams: get {:.1}, echo {:.1}, fixed reply {:.1}; get/echo {:.2} (goal 1.25), get/fixed {:.2}",
            at.0,
            at.1,
            of(|u| u.0),
            of(|u| u.1),
            of(|u| u.2),
            median(echo_ratios),
            median(fixed_ratios)
        );
    }
    Ok(())
}

/// A network, a subnet and an instance on the simulated cloud, through the command as a user would.
async fn make_instance(folder: &Path, endpoint: &str) -> Result<v1::Instance, Failure> {
    for args in [
        "create network n1 --cidr 10.0.0.0/16",
        "create subnet s1 --network n1 --cidr 10.0.1.0/24",
        "create instance bench --subnet s1 --image debian-12 --machine-type small --label team=web",
    ] {
        let out = welkin_command(folder).args(args.split_whitespace()).env("WELKIN_ENDPOINT", endpoint).output()?;
        if !out.status.success() {
            return Err(format!("welkin {args}: {}", String::from_utf8_lossy(&out.stderr)).into());
        }
    }
    let mut grpc = Grpc::new(channel(endpoint).await?);
    unary(&mut grpc, GET, v1::GetInstanceRequest { name: "clouds/sim/locations/sim-1/instances/bench".into() }).await
}
