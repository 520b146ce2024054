//! The client in Rust: a whole life of an instance through a server.
//!
//! ```text
//! cargo run -- serve                    # in another terminal
//! cargo run -p welkin --example client [http://127.0.0.1:7750]
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;
use welkin::{
    Error, Instance, InstanceAction, InstanceSpec, LocationName, Name, Network, NetworkSpec, Ref, Result, Subnet, SubnetSpec,
    client::{Client, Cloud},
    engine::{Operation, Options},
};

#[tokio::main]
async fn main() -> Result<()> {
    life(&std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:7750".into())).await
}

async fn finish(cloud: &Cloud, operation: Operation) -> Result<Operation> {
    let operation = cloud.wait(operation, Duration::from_secs(120)).await?;
    match &operation.end {
        Some(Err(error)) => Err(error.clone()),
        _ => Ok(operation),
    }
}
fn range(text: &str) -> Result<ipnet::IpNet> {
    text.parse().map_err(|e| Error::invalid("cidrs", format!("{text}: {e}")))
}

/// Makes a network, a subnet and an instance, stops it, and removes everything again.
async fn life(endpoint: &str) -> Result<()> {
    let cloud = Client::connect(endpoint.to_owned()).await?.cloud("sim");
    let at = LocationName::of("sim-1")?;
    let (network, subnet, web) =
        (Name::<Network>::new(at.clone(), "rust-net".parse()?), Name::<Subnet>::new(at.clone(), "rust-sub".parse()?), Name::<Instance>::new(at.clone(), "rust-web".parse()?));
    let spec = NetworkSpec { cidrs: vec![range("10.8.0.0/16")?], ..NetworkSpec::default() };
    finish(&cloud, cloud.create(&network, spec, Options::default()).await?).await?;
    let spec = SubnetSpec { network: Some(Ref::to(network.clone())), cidrs: vec![range("10.8.1.0/24")?], ..SubnetSpec::default() };
    finish(&cloud, cloud.create(&subnet, spec, Options::default()).await?).await?;
    let spec =
        InstanceSpec { machine_type: "small".into(), image: Some(Ref::to(Name::new(at, "debian-12".parse()?))), subnet: Some(Ref::to(subnet.clone())), ..InstanceSpec::default() };
    let made = finish(&cloud, cloud.create(&web, spec, Options::default()).await?).await?.object::<Instance>()?;
    println!("{} is {} at {}", made.name, made.status.state, made.provider_id);

    finish(&cloud, cloud.act(&web, InstanceAction::Stop, Options::default()).await?).await?;
    println!("{web} is {}", cloud.get(&web).await?.status.state);

    finish(&cloud, cloud.delete(&web, Options::default()).await?).await?;
    finish(&cloud, cloud.delete(&subnet, Options::default()).await?).await?;
    finish(&cloud, cloud.delete(&network, Options::default()).await?).await?;
    match cloud.get(&web).await {
        Err(e) if e.is_not_found() => Ok(()),
        other => Err(Error::internal(format!("it should be gone: {other:?}"))),
    }
}
