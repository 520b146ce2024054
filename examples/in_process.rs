//! A provider in process, through the engine with the journal in memory: no server, no network.
//!
//! ```text
//! cargo run -p welkin --example in_process
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{sync::Arc, time::Duration};
use welkin::{
    Instance, InstanceAction, InstanceSpec, LocationName, Name, Network, NetworkSpec, Ref, Result, Subnet, SubnetSpec,
    engine::{Account, Engine, Operation, Options},
    sim::{Config, Sim},
};

/// A mutation is an operation; this waits for its end.
async fn finish(account: &Account, operation: Operation) -> Result<Operation> {
    if operation.is_done() { Ok(operation) } else { account.wait(&operation.id, Duration::from_secs(60)).await }
}

#[tokio::main]
async fn main() -> Result<()> {
    let engine = Engine::builder().cloud("lab", Sim::open(Config::default(), None)?).open().await?;
    let account = Arc::clone(engine.account("lab")?);
    let location = LocationName::of("sim-1")?;

    let network = Name::<Network>::new(location.clone(), "n1".parse()?);
    let spec = NetworkSpec { cidrs: vec!["10.0.0.0/16".parse().map_err(|e| welkin::Error::invalid("cidrs", format!("{e}")))?], ..NetworkSpec::default() };
    let operation = account.create(network.clone(), spec, Options::default()).await?;
    finish(&account, operation).await?.object::<Network>()?;

    let subnet = Name::<Subnet>::new(location.clone(), "s1".parse()?);
    let spec = SubnetSpec {
        network: Some(Ref::to(network.clone())),
        cidrs: vec!["10.0.1.0/24".parse().map_err(|e| welkin::Error::invalid("cidrs", format!("{e}")))?],
        ..SubnetSpec::default()
    };
    let operation = account.create(subnet.clone(), spec, Options::default()).await?;
    finish(&account, operation).await?.object::<Subnet>()?;

    let web = Name::<Instance>::new(location.clone(), "web".parse()?);
    let spec = InstanceSpec {
        machine_type: "small".into(),
        image: Some(Ref::to(Name::new(location, "debian-12".parse()?))),
        subnet: Some(Ref::to(subnet.clone())),
        ..InstanceSpec::default()
    };
    let operation = account.create(web.clone(), spec, Options::default()).await?;
    let instance = finish(&account, operation).await?.object::<Instance>()?;
    println!("{} is {} at {}", instance.name, instance.status.state, instance.provider_id);

    let operation = account.act(web.clone(), InstanceAction::Stop, Options::default()).await?;
    finish(&account, operation).await?;
    println!("{} is {}", web, account.get(&web).await?.status.state);

    let operation = account.delete::<Instance>(web, Options::default()).await?;
    finish(&account, operation).await?;
    let operation = account.delete::<Subnet>(subnet, Options::default()).await?;
    finish(&account, operation).await?;
    let operation = account.delete::<Network>(network, Options::default()).await?;
    finish(&account, operation).await?;
    for (api, n) in account.vendor_calls() {
        println!("{n:3} {}", api.action);
    }
    engine.shutdown().await;
    Ok(())
}
