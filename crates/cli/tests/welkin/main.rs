//! The `welkin` command as people type it: the built program, its output and its exit status, with the simulated cloud.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

#[cfg(feature = "aws")]
mod aws;
mod client;
mod conformance;
mod examples;
mod kill;
#[cfg(feature = "aws")]
mod lag;
#[cfg(feature = "aws")]
mod moto;
mod program;
#[cfg(feature = "aws")]
mod proxy;
#[cfg(feature = "aws")]
mod reads;
mod server;
mod watch;
