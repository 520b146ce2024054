#![doc = include_str!("../docs.md")]

mod address;
mod capability;
mod config;
mod disk;
mod dns_zone;
mod error;
mod image;
mod instance;
mod instance_group;
mod inventory;
mod load_balancer;
mod location;
mod machine_type;
mod mark;
mod nat_gateway;
mod network;
mod provider;
mod quota;
mod record_set;
mod resource;
mod route_table;
mod security_group;
mod subnet;
mod vendor;

pub use config::{Config, FaultRates, Quotas, Throttle};
pub use inventory::{Planted, VendorObject};
pub use provider::Sim;
pub use vendor::{Fault, FaultKind};
