//! The engine's own trials, over the simulated cloud, under paused time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod adopt;
mod changes;
mod groups;
mod lab;
mod queue;
mod reads;
mod records;
mod recovery;
