//! Server CPU of one unary Get, against a bare tonic server that echoes the same message.
//!
//! Both servers run as processes of their own with the same HTTP/2 settings; their CPU time is read from `/proc`. Rounds are interleaved and
//! the median of the ratios is printed, because the machine is shared: a ratio within one run says more than any absolute figure. Also printed:
//! what a server that answers a fixed message to the same small request costs, which is the stricter baseline.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod server;

use http::{Request, Response};
use server::{Failure, Server, channel, make, serve_command, unary};
use std::{
    convert::Infallible,
    path::Path,
    process::Command,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tonic::{
    Status,
    body::Body,
    client::Grpc,
    codegen::{BoxFuture, Service},
    server::{NamedService, UnaryService},
};
use tonic_prost::ProstCodec;
use welkin::{api::v1, server::Limits};

const ROUNDS: usize = 7;
const LOADS: [(usize, usize); 2] = [(8, 16), (1, 1)];
const ROUND: Duration = Duration::from_secs(2);
const GET: &str = "/welkin.v1.Instances/GetInstance";
const ECHO: &str = "/bench.Bare/Echo";
const FIXED: &str = "/bench.Bare/Fixed";

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
    let welkin = Server::start(&mut serve_command(dir.path()))?;
    let message = make_instance(dir.path(), &welkin).await?;
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
async fn make_instance(folder: &Path, server: &Server) -> Result<v1::Instance, Failure> {
    make(folder, server, "create network n1 --cidr 10.0.0.0/16")?;
    make(folder, server, "create subnet s1 --network n1 --cidr 10.0.1.0/24")?;
    make(folder, server, "create instance bench --subnet s1 --image debian-12 --machine-type small --label team=web")?;
    let mut grpc = Grpc::new(channel(&server.endpoint).await?);
    unary(&mut grpc, GET, v1::GetInstanceRequest { name: "clouds/sim/locations/sim-1/instances/bench".into() }).await
}
