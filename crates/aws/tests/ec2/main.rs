//! The drivers' steps against a scripted EC2 with tags and reads that lag, lost replies, refusals and pages: what no emulator shows.
//!
//! And the decoders against what was recorded of EC2, and answers and requests against botocore's model: see `recorded.rs`.
//!
//! Time is real here, because HTTP cannot run under paused time, so horizons are short.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, missing_docs, missing_debug_implementations, reason = "a test")]

mod absent;
mod access;
mod adopt;
mod aliases;
mod attach;
mod balanced;
mod balancers;
mod balancing;
mod choice;
mod cloud;
mod create;
mod delete;
mod document;
mod groups;
mod hosted;
mod http;
mod journal;
mod led;
mod members;
mod placed;
mod policy;
mod quotas;
mod read;
mod recorded;
mod recordings;
mod records;
mod replay;
mod requests;
mod route53;
mod routes;
mod rules;
mod scaled;
mod specification;
mod wire;
mod zones;
