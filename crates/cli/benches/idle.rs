//! How soon a server is ready, and how much memory it holds while nobody asks it for anything: with an empty simulated cloud, and with many
//! instances in it.
//!
//! The instances are made through the API, so that store and cloud hold what they would hold of a user's; then the server is started again. On a
//! machine that has other work the time of the processor until the server is ready says more than the time of the clock.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod server;

use server::{Failure, Server, channel, make, serve_command, unary};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tonic::client::Grpc;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus};
use welkin::api::{google::longrunning as lro, v1};

const INSTANCES: usize = 10_000;
/// Creates under way at once.
const WORKERS: usize = 32;
const STARTS: usize = 5;
const IDLE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    println!("empty: {}", started(folder.path()).await?);
    let begin = Instant::now();
    fill(folder.path()).await?;
    println!("{INSTANCES} instances made in {:.0} s", begin.elapsed().as_secs_f64());
    for start in 1..=STARTS {
        println!("with {INSTANCES} instances, start {start} of {STARTS}: {} (goal 300 ms, 60 MiB)", started(folder.path()).await?);
    }
    Ok(())
}

/// Starts a server, waits until it says that it serves, and leaves it alone for a while.
async fn started(folder: &Path) -> Result<String, Failure> {
    let begin = Instant::now();
    let server = Server::start(&mut serve_command(folder))?;
    let mut grpc = Grpc::new(channel(&server.endpoint).await?);
    let health: HealthCheckResponse = unary(&mut grpc, "/grpc.health.v1.Health/Check", HealthCheckRequest::default()).await?;
    let (ready, cpu) = (begin.elapsed(), server.cpu()?);
    if health.status() != ServingStatus::Serving {
        return Err(format!("the server is {:?}", health.status()).into());
    }
    drop(grpc);
    tokio::time::sleep(IDLE).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id()))?;
    let mib = |key: &str| -> Result<f64, Failure> {
        let line = status.lines().find_map(|l| l.strip_prefix(key)).ok_or_else(|| format!("no {key} in the status"))?;
        Ok(line.split_whitespace().next().ok_or("no figure")?.parse::<f64>()? / 1024.0)
    };
    let (resident, highest) = (mib("VmRSS:")?, mib("VmHWM:")?);
    Ok(format!(
        "ready after {} ms ({} ms of CPU); {resident:.1} MiB resident after {} s of idleness, {highest:.1} MiB at the most",
        ready.as_millis(),
        cpu.as_millis(),
        IDLE.as_secs()
    ))
}

/// Makes all instances in one subnet, and waits until each is there.
async fn fill(folder: &Path) -> Result<(), Failure> {
    let server = Server::start(&mut serve_command(folder))?;
    make(folder, &server, "create network n1 --cidr 10.0.0.0/16")?;
    make(folder, &server, "create subnet s1 --network n1 --cidr 10.0.0.0/17")?;
    let channel = channel(&server.endpoint).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (mut grpc, next) = (Grpc::new(channel.clone()), Arc::clone(&next));
        workers.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= INSTANCES {
                    return Ok::<_, Failure>(());
                }
                let instance = v1::Instance {
                    subnet: "s1".into(),
                    image: "debian-12".into(),
                    machine_type: "small".into(),
                    labels: [("team".to_owned(), "web".to_owned())].into(),
                    ..Default::default()
                };
                let request =
                    v1::CreateInstanceRequest { parent: "clouds/sim/locations/sim-1".into(), instance_id: format!("web-{n}"), instance: Some(instance), ..Default::default() };
                let mut operation: lro::Operation = unary(&mut grpc, "/welkin.v1.Instances/CreateInstance", request).await?;
                while !operation.done {
                    let wait = lro::WaitOperationRequest { name: operation.name, ..Default::default() };
                    operation = unary(&mut grpc, "/google.longrunning.Operations/WaitOperation", wait).await?;
                }
                if let Some(lro::operation::Result::Error(e)) = operation.result {
                    return Err(format!("web-{n}: {}", e.message).into());
                }
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}
