//! One API over every cloud.
//!
//! A program in Rust has three ways in, which share the types of the contract (re-exported here: [`Instance`], [`Name`], [`Error`] and so on):
//!
//! * **In process**: an [`engine::Engine`] over providers, without any server. See below.
//! * **As a client** of a server: [`client::Client`], in the same types; [`client::Remote`] is a server's cloud as a provider.
//! * **As a server**: [`server::Server`] serves an engine over gRPC.
//!
//! The providers come with features: `sim` (the default) and `aws`.
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use std::time::Duration;
//! use welkin::{Name, Network, NetworkSpec, NetworkState, Result, engine::{Engine, Options}, sim::{Config, Sim}};
//!
//! async fn run() -> Result<()> {
//!     let engine = Engine::builder().cloud("lab", Sim::open(Config::default(), None)?).open().await?;
//!     let lab = engine.account("lab")?;
//!     let name: Name<Network> = "locations/sim-1/networks/n1".parse()?;
//!     let spec = NetworkSpec { cidrs: vec!["10.0.0.0/16".parse().expect("a range")], ..Default::default() };
//!
//!     let operation = lab.create(name.clone(), spec, Options::default()).await?;
//!     let operation = if operation.is_done() { operation } else { lab.wait(&operation.id, Duration::from_secs(60)).await? };
//!     let network = operation.object::<Network>()?;
//!     assert_eq!(network.status.state, NetworkState::Available);
//!     assert_eq!(lab.get(&name).await?.vendor_id, network.vendor_id);
//!
//!     engine.shutdown().await;
//!     Ok(())
//! }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
//! # }
//! ```

pub mod api;
pub mod client;
pub mod convert;
pub mod server;
pub mod wire;

#[cfg(feature = "aws")]
pub use welkin_aws as aws;
pub use welkin_core::*;
pub use welkin_engine as engine;
#[cfg(feature = "sim")]
pub use welkin_sim as sim;
