#![doc = include_str!("../README.md")]

mod account;
mod admission;
mod adopt;
mod clock;
mod engine;
mod filter;
mod gate;
mod intent;
pub mod journal;
pub mod layer;
mod listing;
mod live;
mod open;
mod operation;
mod operations;
mod parent;
mod past;
mod prepare;
mod run;

pub use account::{Account, Settings};
pub use engine::{Engine, EngineBuilder};
pub use filter::Filter;
pub use journal::{Journal, KeySource, MemoryJournal, SealKey, SqliteJournal};
pub use listing::{ListAnswer, ListRequest};
pub use operation::{Operation, Options, Outcome, Phase};
