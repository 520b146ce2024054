//! What must survive a crash, and where it is kept.
//!
//! The journal proves what was written to a vendor: a write is in it before it leaves. Everything else (retrying, waiting, cleaning up) follows
//! from that.

mod memory;
mod seal;
mod sqlite;

pub use memory::MemoryJournal;
pub use sqlite::{KeySource, SealKey, SqliteJournal};

use crate::operation::Phase;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use welkin_core::{Handle, Result, Uid, VendorId};

/// The record of one operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// A version 7 UUID: ids sort by time.
    pub id: String,
    /// The cloud.
    pub cloud: String,
    /// The kind's collection.
    pub collection: String,
    /// The verb's name.
    pub verb: String,
    /// The resource's name.
    pub target: String,
    /// Of a create: the uid of what it makes.
    pub uid: Option<Uid>,
    /// The id of the request that it began with.
    pub request_id: Option<String>,
    /// When it was accepted, in milliseconds since 1970.
    pub created_ms: u64,
    /// What to do, as an intent at first and resolved when `progress.prepared`. It may hold secrets; None once the operation ended.
    pub change: Option<Confidential>,
    /// How far it is.
    pub progress: Progress,
}

/// JSON that may hold secrets: sealed by journals that outlive the process, and without Debug text.
#[derive(Clone, PartialEq, Eq)]
pub struct Confidential(pub String);
impl Debug for Confidential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Confidential(..)")
    }
}

/// The part of a record that changes while the operation runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Where it is.
    pub phase: Phase,
    /// The change is resolved: steps may be taken.
    pub prepared: bool,
    /// It was told to its caller as an operation that waits for its turn, before anything of it was checked.
    #[serde(default)]
    pub queued: bool,
    /// Somebody asked to cancel it.
    pub cancel: bool,
    /// How many steps were taken.
    pub steps: u32,
    /// For people.
    pub note: String,
    /// The driver's own data from the last step.
    pub handle: Option<Handle>,
    /// When the last write left that no handle accounts for, in milliseconds since 1970.
    pub unresolved_ms: Option<u64>,
    /// When the last write of all left.
    pub last_write_ms: Option<u64>,
    /// Why it is being cleaned up.
    pub failure: Option<welkin_core::Error>,
    /// When it last changed.
    pub updated_ms: u64,
    /// How it ended.
    pub end: Option<std::result::Result<crate::operation::Outcome, welkin_core::Error>>,
}
impl Progress {
    /// Does anybody know of it?
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.prepared || self.queued || self.end.is_some()
    }
    /// Nothing happened yet.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self {
            phase: Phase::Pending,
            prepared: false,
            queued: false,
            cancel: false,
            steps: 0,
            note: String::new(),
            handle: None,
            unresolved_ms: None,
            last_write_ms: None,
            failure: None,
            updated_ms: now_ms,
            end: None,
        }
    }
}

/// A name of ours and what stands behind it at the vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameRow {
    /// The resource's name, below the cloud.
    pub name: String,
    /// Its uid.
    pub uid: Uid,
    /// The vendor's id of the main object.
    pub vendor_id: VendorId,
    /// Its zone.
    pub zone: Option<String>,
    /// When it was learned, in milliseconds since 1970.
    pub since_ms: u64,
    /// When the last write of an update left that did not come to its end: what it made may be seen later. None after one that did.
    pub unsettled_ms: Option<u64>,
    /// It was not made by us: the row is all that makes it ours.
    pub adopted: bool,
}

/// What the end of an operation does to the table of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameChange {
    /// Nothing.
    Keep,
    /// The name stands for this from now on.
    Set(NameRow),
    /// The name stands for nothing.
    Remove(String),
    /// All of these.
    Many(Vec<NameChange>),
}

/// Where operations and names are kept. Every method is durable when it returns, as far as the journal is durable at all.
///
/// # Errors
/// All of them: `Unavailable` with reason STORE, worth repeating; `DataLoss` where a record cannot be read.
#[async_trait]
pub trait Journal: Debug + Send + Sync + 'static {
    /// Records an intent. `payload` is a keyed hash of the request, to tell it from another one with the same id. False where the request id is
    /// already taken in this cloud.
    async fn insert(&self, row: &Row, payload: &str) -> Result<bool>;
    /// Records that another request was answered with an operation that is there. False where its id is already taken in this cloud.
    async fn join(&self, cloud: &str, request_id: &str, payload: &str, operation: &str) -> Result<bool>;
    /// Of an operation that has not ended: replaces the change by the resolved one, with the target and the progress.
    async fn resolve(&self, id: &str, target: &str, change: &Confidential, progress: &Progress) -> Result<()>;
    /// Of an operation that has not ended: replaces the progress.
    async fn save(&self, id: &str, progress: &Progress) -> Result<()>;
    /// Ends an operation: progress and name in one transaction, the change and the handle erased. One that has ended stays as it is.
    async fn finish(&self, id: &str, cloud: &str, progress: &Progress, name: &NameChange) -> Result<()>;
    /// Takes back an intent that was refused before anything happened.
    async fn withdraw(&self, id: &str) -> Result<()>;
    /// Every operation that has not ended, oldest first.
    async fn open_rows(&self) -> Result<Vec<Row>>;
    /// One operation of a cloud. Hidden ones are not found.
    async fn load(&self, cloud: &str, id: &str) -> Result<Option<Row>>;
    /// The operation of a request id, hidden or not, and the payload of that request.
    async fn by_request(&self, cloud: &str, request_id: &str) -> Result<Option<(Row, String)>>;
    /// Up to `limit` operations of a cloud with an id below `before`, newest first.
    async fn page(&self, cloud: &str, before: Option<&str>, limit: usize) -> Result<Vec<Row>>;
    /// Hides an ended operation; its request id stays taken until it expires. False where there is no such ended operation.
    async fn hide(&self, cloud: &str, id: &str) -> Result<bool>;
    /// Hides what ended before `hide_ms` and forgets what ended before `forget_ms`. Open operations stay, whatever their age.
    async fn expire(&self, hide_ms: u64, forget_ms: u64) -> Result<()>;
    /// Every name of a cloud.
    async fn names(&self, cloud: &str) -> Result<Vec<NameRow>>;
    /// Sets or removes a name outside an operation.
    async fn set_name(&self, cloud: &str, name: &NameChange) -> Result<()>;
    /// A value kept under `key`, stored as `fresh` where there was none.
    async fn setting(&self, key: &str, fresh: &str) -> Result<String>;
    /// Writes out and closes the store; nothing can be kept afterwards.
    async fn close(&self);
}
