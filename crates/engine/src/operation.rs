//! What a mutation looks like from outside.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use welkin_core::{Error, Kind, Object, Result, Uid};

/// Where an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Phase {
    /// Recorded; names and references are being checked.
    Pending,
    /// Steps are being taken.
    Running,
    /// It failed or was cancelled, and what it made is being removed.
    Cleaning,
    /// Over.
    Ended,
}

/// What a successful operation came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The resource as it is now: an `Object<K>` of the operation's collection.
    Object(serde_json::Value),
    /// It is gone.
    Deleted,
    /// The action's own answer.
    Acted(serde_json::Value),
    /// Nothing was asked for but the checks, and they passed.
    Validated,
}

/// A mutation, from its acceptance to the end of its retention.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its id in its cloud; empty for a validation, which leaves no record.
    pub id: String,
    /// The cloud.
    pub cloud: Arc<str>,
    /// The kind's collection.
    pub collection: String,
    /// `create`, `adopt`, `update`, `delete`, `release`, or the kind's own verb.
    pub verb: String,
    /// The resource's name, below the cloud.
    pub target: String,
    /// The id of the request that it began with. Others may have been answered with it too.
    pub request_id: Option<String>,
    /// Of a create: the uid of what it makes. Where the create was answered with what exists, that has another one.
    pub uid: Option<Uid>,
    /// Where it is.
    pub phase: Phase,
    /// How many steps were taken.
    pub steps: u32,
    /// What it is waiting for, for people.
    pub progress: String,
    /// When it was accepted, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it last changed.
    pub updated_ms: u64,
    /// How it ended; None while it is open.
    pub end: Option<Result<Outcome>>,
}

impl Operation {
    /// Is it over?
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.end.is_some()
    }
    /// The resource that a create or an update ended with.
    ///
    /// # Errors
    /// The operation's own error; `FailedPrecondition` while it is open; `Internal` where the outcome is no object of `K`.
    pub fn object<K: Kind>(&self) -> Result<Object<K>> {
        match &self.end {
            Some(Ok(Outcome::Object(v))) => Object::deserialize(v).map_err(|e| Error::internal(format!("the outcome of {} cannot be read", self.id)).with_source(e)),
            Some(Ok(other)) => Err(Error::internal(format!("the outcome of {} is {other:?}, not an object", self.id))),
            Some(Err(e)) => Err(e.clone()),
            None => Err(Error::new(welkin_core::ErrorKind::FailedPrecondition, welkin_core::Reason::OperationOpen, format!("operation {} is not finished", self.id))),
        }
    }
}

/// What comes with every mutation.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The caller's id of this very request: sending it again answers the first operation.
    pub request_id: Option<String>,
    /// The version that must still be current.
    pub etag: Option<welkin_core::Etag>,
    /// For create: do not make it, but put this under our management as it is, by its provider id (`aws:///eu-west-1a/i-0abc`) or the vendor's id.
    pub adopt: Option<String>,
    /// For delete: leave the object as it is, and only manage it no longer. It must have been adopted.
    pub release: bool,
    /// For delete: nothing there is fine.
    pub allow_missing: bool,
    /// Run the checks only.
    pub validate_only: bool,
}
