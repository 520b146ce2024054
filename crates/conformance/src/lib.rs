#![doc = include_str!("../README.md")]

mod report;
mod runner;
mod specimen;
mod stand;
mod subject;
mod trial;
mod trials;
mod world;

pub use report::{Line, Mishaps, Outcome, Report};
pub use subject::Subject;
pub use trial::{Trial, list as trials, run, run_shared, run_some};
pub use world::{Abilities, Adoption, FaultPoint, Plant, PlantMark, Planted, World, WorldObject};
