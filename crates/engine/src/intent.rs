//! A mutation as its caller sent it, and the hashes by which two of them are compared.

use crate::journal::{Confidential, Row};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use welkin_core::{Change, Digest, Error, ErrorKind, Etag, FieldPath, Managed, Name, Reason, Result, Uid};

/// What the caller asked for, before any look at the cloud.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Intent<K: Managed> {
    pub(crate) name: Name<K>,
    /// For the resource that a create makes.
    pub(crate) uid: Uid,
    pub(crate) token: String,
    pub(crate) etag: Option<Etag>,
    pub(crate) wish: Wish<K>,
}
/// The verb with its argument.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) enum Wish<K: Managed> {
    Create { spec: K::Spec, digest: Digest },
    Update { patch: K::Spec, paths: BTreeSet<FieldPath> },
    Adopt { id: String },
    Delete { allow_missing: bool, release: bool },
    Act(K::Action),
}
impl<K: Managed> Wish<K> {
    pub(crate) fn verb(&self) -> String {
        match self {
            Self::Create { .. } => "create".into(),
            Self::Update { .. } => "update".into(),
            Self::Adopt { .. } => "adopt".into(),
            Self::Delete { release: true, .. } => "release".into(),
            Self::Delete { .. } => "delete".into(),
            Self::Act(action) => action.to_string(),
        }
    }
}

/// What the journal keeps of a mutation: the intent first, the resolved change before the first write.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) enum Stored<K: Managed> {
    Intent(Intent<K>),
    Resolved(Change<K>),
}
impl<K: Managed> Stored<K> {
    pub(crate) fn write(&self) -> Result<Confidential> {
        serde_json::to_string(self).map(Confidential).map_err(|e| Error::internal("a change does not serialise").with_source(e))
    }
    pub(crate) fn read(row: &Row) -> Result<Self> {
        let lost = |message: String| Error::new(ErrorKind::DataLoss, Reason::Store, message);
        let text = row.change.as_ref().ok_or_else(|| lost(format!("operation {} is open and has no change", row.id)))?;
        serde_json::from_str(&text.0).map_err(|e| lost(format!("the change of operation {} cannot be read: {e}", row.id)))
    }
}

/// Keyed hashes: whoever sees one (digests are in tags) cannot try out secrets against it.
#[derive(Clone)]
pub(crate) struct Digester([u8; 32]);
impl std::fmt::Debug for Digester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digester(..)")
    }
}
impl Digester {
    pub(crate) fn new(key: &str) -> Self {
        Self(blake3::derive_key("welkin.dev 2026 digest of specifications", key.as_bytes()))
    }
    fn hash(&self, what: &str, data: &impl Serialize) -> Result<blake3::Hash> {
        let mut h = blake3::Hasher::new_keyed(&self.0);
        h.update(what.as_bytes());
        h.update(&[0]);
        serde_json::to_writer(&mut h, data).map_err(|e| Error::internal("a specification does not serialise").with_source(e))?;
        Ok(h.finalize())
    }
    /// Of a specification as its creator sent it, before anything is resolved.
    pub(crate) fn digest<K: Managed>(&self, spec: &K::Spec) -> Result<Digest> {
        format!("v1-{}", &self.hash(K::COLLECTION, spec)?.to_hex()[..40]).parse()
    }
    /// Of a whole request, to tell a repeated one from another with the same id.
    pub(crate) fn payload<K: Managed>(&self, name: &Name<K>, wish: &Wish<K>, etag: Option<&Etag>) -> Result<String> {
        Ok(self.hash("request", &(name, wish, etag))?.to_hex()[..40].to_owned())
    }
}
