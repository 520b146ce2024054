//! The `welkin` command as people type it: the built program, its output and its exit status, with the simulated cloud.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod client;
mod examples;
mod program;
mod server;
