//! The values that pass between engine and driver.

use crate::{Data, Digest, Error, FieldPath, Kind, LocationName, Managed, Name, Owner, ProviderId, ResourceId, Uid, VendorId, changed_paths, rename, unresolve};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, time::Duration};
use tokio::time::Instant;

/// What Welkin writes on every vendor object that it makes: tags, labels, or the nearest that the vendor allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Which Welkin made it.
    pub owner: Owner,
    /// For which resource.
    pub uid: Uid,
    /// From which specification, on the main object.
    pub digest: Option<Digest>,
}

/// The vendor's own version of an object, where it has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision(pub String);

/// A resource as the cloud shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Object<K: Kind> {
    /// Its name. What we did not make is named by the vendor's id.
    pub name: Name<K>,
    /// The vendor's id of the main object.
    pub vendor_id: VendorId,
    /// The same in the form that Kubernetes uses.
    pub provider_id: ProviderId,
    /// Our mark; None on what is foreign, another owner's too.
    pub mark: Option<Mark>,
    /// The vendor's version.
    pub revision: Option<Revision>,
    /// When it was created, in milliseconds since 1970, where the vendor tells.
    pub created_ms: Option<u64>,
    /// What it is asked to be, as far as the vendor shows it.
    pub spec: K::Spec,
    /// What it is.
    pub status: K::Status,
}
impl<K: Kind> Object<K> {
    /// A hash that changes whenever the specification, the vendor's object or the vendor's version of it do, and only then. References count by
    /// their names, so that it is the same over a wire, which does not carry what they were resolved to.
    #[must_use]
    pub fn etag(&self) -> Etag {
        self.clone().take_etag()
    }
    /// The same of an object that is on its way out: it loses what its references were resolved to, and no copy is needed.
    pub fn take_etag(&mut self) -> Etag {
        unresolve::<K>(&mut self.spec);
        // A struct serialises in the order of its fields and a map is a BTreeMap, so this is canonical. Data cannot fail to serialise. It is
        // hashed in one piece, because every read needs it and a hasher is slow in small ones.
        let mut canonical = Vec::with_capacity(1024);
        let _ = serde_json::to_writer(&mut canonical, &(&self.spec, &self.vendor_id, &self.revision));
        let mut text = String::with_capacity(34);
        text.push('"');
        text.push_str(&blake3::hash(&canonical).to_hex()[..32]);
        text.push('"');
        Etag(text)
    }
}

/// See google.aip.dev/154: opaque, quoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Etag(pub String);
impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which object is meant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Target<K: Kind> {
    /// One of ours, by name; uid and vendor id where the engine knows them.
    Named {
        /// Its name.
        name: Name<K>,
        /// Its uid.
        uid: Option<Uid>,
        /// The vendor's id, which spares the look-up by mark.
        vendor_id: Option<VendorId>,
    },
    /// Any, by the vendor's id.
    Vendor {
        /// Where it is.
        parent: K::Parent,
        /// The vendor's id.
        vendor_id: VendorId,
    },
}
impl<K: Kind> Target<K> {
    /// One of ours, of which only the name is known.
    pub fn named(name: Name<K>) -> Self {
        Self::Named { name, uid: None, vendor_id: None }
    }
    /// Where it lives.
    pub fn parent(&self) -> &K::Parent {
        match self {
            Self::Named { name, .. } => &name.parent,
            Self::Vendor { parent, .. } => parent,
        }
    }
    /// The vendor's id, where it is known.
    pub fn vendor_id(&self) -> Option<&VendorId> {
        match self {
            Self::Named { vendor_id, .. } => vendor_id.as_ref(),
            Self::Vendor { vendor_id, .. } => Some(vendor_id),
        }
    }
    /// The name, for those that have one.
    ///
    /// # Errors
    /// `Internal` for a target by vendor id.
    pub fn name(&self) -> Result<&Name<K>, Error> {
        match self {
            Self::Named { name, .. } => Ok(name),
            Self::Vendor { vendor_id, .. } => Err(Error::internal(format!("{vendor_id} has no name"))),
        }
    }
}
impl<K: Kind> fmt::Display for Target<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { name, .. } => name.fmt(f),
            Self::Vendor { parent, vendor_id } => write!(f, "{parent}/{}/{vendor_id}", K::COLLECTION),
        }
    }
}

/// One mutation, the same head for every verb.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Change<K: Managed> {
    /// Of what.
    pub target: Target<K>,
    /// The uid that the engine minted when the resource was created.
    pub uid: Uid,
    /// The vendor's idempotency token for this change: the same at every step and after every crash. At most 36 characters of `a-z0-9-`.
    pub token: String,
    /// The vendor's version that must still be current, where the vendor can check it.
    pub expect: Option<Revision>,
    /// How it was before changes of ours that a read may not show yet. Its own beginning, which an update is worked out from, is the last.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<Past<K>>,
    /// What to do.
    pub verb: Verb<K>,
}

/// How something was before a change. A read that still shows it so is older than the change, and what is worked out from such a read is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Past<K: Managed> {
    /// What a read showed before.
    pub spec: K::Spec,
    /// What was changed then.
    pub paths: BTreeSet<FieldPath>,
    /// Of an action in place of both: what it has done, and what a read that is not older shows.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub action: Option<K::Action>,
    /// When that came to its end, in milliseconds since 1970; None while it is under way.
    pub ended_ms: Option<u64>,
}
fn none<T>() -> Option<T> {
    None
}
impl<K: Managed> Past<K> {
    /// Before an update: what a read showed, and what is changed.
    #[must_use]
    pub fn of_update(spec: K::Spec, paths: BTreeSet<FieldPath>) -> Self {
        Self { spec, paths, action: None, ended_ms: None }
    }
    fn is_shown(&self, shown: &K::Spec) -> Result<bool, Error> {
        match &self.action {
            Some(action) => Ok(K::shown(action, shown).as_ref() != Some(action)),
            None => self.shown(shown).map(|paths| !paths.is_empty()),
        }
    }
    /// What of it is shown. References are the same where the vendor's ids are, whatever they are called.
    ///
    /// # Errors
    /// `Internal` where a specification does not serialise.
    pub fn shown(&self, shown: &K::Spec) -> Result<BTreeSet<FieldPath>, Error> {
        let (mut then, mut shown) = (self.spec.clone(), shown.clone());
        for spec in [&mut then, &mut shown] {
            rename::<K>(spec, |name, id| Some(format!("{}/{}", name.rsplit_once('/')?.0, ResourceId::of_vendor(id.as_str()).ok()?)))?;
        }
        let differ = changed_paths::<K>(&then, &shown)?;
        Ok(self.paths.difference(&differ).cloned().collect())
    }
    /// Is this read older than one of these, which ended within the horizon?
    ///
    /// # Errors
    /// Those of [`Past::shown`].
    pub fn is_any_shown(past: &[Self], shown: &K::Spec, now_ms: u64, horizon: Duration) -> Result<bool, Error> {
        for p in past.iter().filter(|p| p.ended_ms.is_some_and(|at| u128::from(now_ms.saturating_sub(at)) < horizon.as_millis())) {
            if p.is_shown(shown)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
impl<K: Managed> Change<K> {
    /// How it was before this change and those before it, now that this one has ended and left `now`. What is so again as it was tells nothing of a
    /// read any more, and what a create leaves unset neither.
    ///
    /// # Errors
    /// Those of [`Past::shown`].
    pub fn past_after(&self, now: &K::Spec, now_ms: u64) -> Result<Vec<Past<K>>, Error> {
        let mut past = self.past.clone();
        if matches!(self.verb, Verb::Create { .. }) {
            // What a create sets after it has made the object is shown later than that.
            let spec = K::Spec::default();
            past.push(Past::of_update(spec.clone(), changed_paths::<K>(&spec, now)?));
        }
        if let Verb::Act(action) = &self.verb {
            past.push(Past { action: Some(action.clone()), ..Past::of_update(K::Spec::default(), BTreeSet::new()) });
        }
        for p in &mut past {
            p.ended_ms.get_or_insert(now_ms);
            match p.action.take() {
                Some(action) => p.action = K::shown(&action, now),
                None => {
                    let again = p.shown(now)?;
                    p.paths.retain(|path| !again.contains(path));
                }
            }
        }
        past.retain(|p| p.action.is_some() || !p.paths.is_empty());
        Ok(past)
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Verb<K: Managed> {
    /// Make it.
    Create {
        /// So.
        spec: K::Spec,
        /// Goes into the mark.
        digest: Digest,
    },
    /// Change it.
    Update {
        /// The full specification afterwards.
        desired: K::Spec,
        /// What the caller changed.
        paths: BTreeSet<FieldPath>,
    },
    /// Remove it and every fragment with its uid.
    Delete,
    /// One of the kind's own verbs.
    Act(K::Action),
}
impl<K: Managed> Verb<K> {
    /// The verb's name, `create`, `update`, `delete` or the action's.
    pub fn name(&self) -> String {
        match self {
            Self::Create { .. } => "create".into(),
            Self::Update { .. } => "update".into(),
            Self::Delete => "delete".into(),
            Self::Act(a) => a.to_string(),
        }
    }
}

/// Where a driver left off: its own data, which the engine keeps and never reads. It may hold signed URLs, so it has no Debug text.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Handle(serde_json::Value);
impl Handle {
    /// Packs a driver's data.
    ///
    /// # Errors
    /// `Internal` where it does not serialise.
    pub fn pack(data: &impl Data) -> Result<Self, Error> {
        serde_json::to_value(data).map(Self).map_err(|e| Error::internal("a handle does not serialise").with_source(e))
    }
    /// Unpacks it. An unreadable handle is amnesia, so there is no error.
    #[must_use]
    pub fn unpack<T: Data>(&self) -> Option<T> {
        T::deserialize(&self.0).ok()
    }
}
impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle(..)")
    }
}

/// What the journal proves about earlier steps of this very change. All empty: nothing was ever written, so no look-up is needed.
///
/// The delete that cleans up after a create goes on from where the create ended: its first step gets the create's handle, which tells a driver that
/// reads it what there is to remove without any look-up by mark.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resume {
    /// What the last step left.
    pub handle: Option<Handle>,
    /// When the last write left that no handle accounts for. Look before writing: by the vendor's token, by a chosen name or by the mark; not
    /// found is an answer only after the vendor's consistency horizon.
    pub unresolved: Option<Instant>,
    /// When the last write left, whether or not the handle accounts for it. Before the first write of a delete: that of an update which did not
    /// come to its end and may have made something.
    pub written: Option<Instant>,
    /// Of a delete: it removes what a create has left that did not come to its end, so that what the specification asked for (protection, something
    /// that uses it) is no reason to refuse.
    pub cleans_up: bool,
}
impl Resume {
    /// The driver's data from the last step.
    #[must_use]
    pub fn data<T: Data>(&self) -> Option<T> {
        self.handle.as_ref().and_then(Handle::unpack)
    }
    /// The same, and what is left to resolve beside it: a handle that cannot be read (another version's, another verb's) accounts for nothing.
    #[must_use]
    pub fn read<T: Data>(&self) -> (Option<T>, Self) {
        let data = self.data();
        let rest = if data.is_none() && self.handle.is_some() { self.without_handle() } else { self.clone() };
        (data, rest)
    }
    /// What is known where the handle is lost: no write is accounted for.
    #[must_use]
    pub fn without_handle(&self) -> Self {
        Self { handle: None, unresolved: self.unresolved.max(self.written), ..self.clone() }
    }
    /// Is there a write of unknown fate?
    #[must_use]
    pub fn is_unresolved(&self) -> bool {
        self.unresolved.is_some()
    }
    /// Has a read had time to show every write of unknown fate? True also where there is none.
    #[must_use]
    pub fn is_past(&self, horizon: Duration) -> bool {
        self.unresolved.is_none_or(|since| since.elapsed() >= horizon)
    }
}

/// What one step of a change came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<T> {
    /// The state is reached.
    Done(T),
    /// Call again.
    Wait {
        /// Accounts for every write so far. None: keep the old one, and what was unresolved stays so.
        handle: Option<Handle>,
        /// Not before this long.
        after: Duration,
        /// What it is waiting for, for people.
        progress: String,
    },
}
impl<T> Step<T> {
    /// Call again after `after`, with this data, which accounts for every write so far.
    ///
    /// # Errors
    /// `Internal` where the data does not serialise.
    pub fn wait(data: &impl Data, after: Duration, progress: impl Into<String>) -> Result<Self, Error> {
        Ok(Self::Wait { handle: Some(Handle::pack(data)?), after, progress: progress.into() })
    }
    /// Call again after `after`: a write of unknown fate may still show up.
    pub fn look_again(after: Duration, progress: impl Into<String>) -> Self {
        Self::Wait { handle: None, after, progress: progress.into() }
    }
    /// The same with another answer.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Step<U> {
        match self {
            Self::Done(t) => Step::Done(f(t)),
            Self::Wait { handle, after, progress } => Step::Wait { handle, after, progress },
        }
    }
}

/// Which resources a list is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Query<K: Kind> {
    /// Below this parent; None for all.
    pub parent: Option<K::Parent>,
    /// Only these, where not empty.
    pub vendor_ids: Vec<VendorId>,
    /// Only what carries our mark: lets a vendor filter for us.
    pub owned_only: bool,
    /// At most this many a page; at least one.
    pub page_size: usize,
}
impl<K: Kind> Query<K> {
    /// Everything, in pages of `page_size`.
    #[must_use]
    pub fn all(page_size: usize) -> Self {
        Self { parent: None, vendor_ids: Vec::new(), owned_only: false, page_size }
    }
    /// Everything below one parent.
    #[must_use]
    pub fn below(parent: K::Parent, page_size: usize) -> Self {
        Self { parent: Some(parent), ..Self::all(page_size) }
    }
}

/// What one paged list of the vendor covers: a region on AWS, the whole project on GCP.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shard(pub String);

/// Where a list goes on within a shard: the vendor's own token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor(pub String);
impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cursor(..)")
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<K: Kind> {
    /// In the vendor's order. May be fewer than asked for, even none, while `next` is set.
    pub items: Vec<Object<K>>,
    /// Where it goes on.
    pub next: Option<Cursor>,
    /// What of this shard could not be read.
    pub unreachable: Vec<LocationName>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, AddressSpec, Ref};

    #[test]
    fn a_handle_that_cannot_be_read_accounts_for_nothing() {
        let (early, late) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        let kept = Resume { handle: Handle::pack(&"id".to_owned()).ok(), unresolved: Some(early), written: Some(late), cleans_up: true };
        assert_eq!(kept.read::<String>(), (Some("id".to_owned()), kept.clone()));
        let lost = Resume { handle: None, unresolved: Some(late), written: Some(late), cleans_up: true };
        assert_eq!((kept.read::<u8>(), kept.without_handle()), ((None, lost.clone()), lost));
        // Nothing was ever written, whatever is read.
        assert_eq!(Resume::default().read::<u8>(), (None, Resume::default()));
    }

    fn led(instance: Option<&str>, called: &str, label: &str) -> AddressSpec {
        let to = |id: &str| Ref::resolved(Name::new(LocationName::of("r-1").unwrap(), called.parse().unwrap()), id.parse().unwrap());
        AddressSpec { instance: instance.map(to), labels: [("a".to_owned(), label.to_owned())].into(), ..AddressSpec::default() }
    }
    fn update(past: Vec<Past<Address>>, from: AddressSpec, paths: &[&str]) -> Change<Address> {
        let paths: BTreeSet<FieldPath> = paths.iter().map(|p| FieldPath::from(*p)).collect();
        let target = Target::named(Name::new(LocationName::of("r-1").unwrap(), "web".parse().unwrap()));
        let past = past.into_iter().chain([Past::of_update(from, paths.clone())]).collect();
        Change { target, uid: "0123456789".parse().unwrap(), token: "t".into(), expect: None, past, verb: Verb::Update { desired: AddressSpec::default(), paths } }
    }
    #[test]
    fn a_read_that_shows_what_was_before_is_old() {
        let old = |past: &[Past<Address>], shown: &AddressSpec, now_ms| Past::is_any_shown(past, shown, now_ms, Duration::from_millis(100)).unwrap();
        let first = update(Vec::new(), led(Some("i-1"), "web", "1"), &["instance", "labels"]);
        assert!(!old(&first.past, &led(Some("i-1"), "web", "1"), 0), "nothing has ended");
        let past = first.past_after(&led(None, "web", "2"), 1_000).unwrap();
        // The same instance, whatever it is called, or the same labels.
        assert!(old(&past, &led(Some("i-1"), "i-1", "9"), 1_050) && old(&past, &led(None, "web", "1"), 1_050));
        assert!(!old(&past, &led(Some("i-2"), "web", "2"), 1_050) && !old(&past, &led(Some("i-1"), "web", "1"), 1_100));
        // Where it is again as it was, both reads say the same.
        let past = update(past, led(None, "web", "2"), &["labels"]).past_after(&led(None, "web", "1"), 1_010).unwrap();
        assert!(old(&past, &led(None, "web", "2"), 1_050) && old(&past, &led(Some("i-1"), "web", "1"), 1_050) && !old(&past, &led(None, "web", "1"), 1_050));
        // A create sets some of it after the object was made.
        let made = Change { past: Vec::new(), verb: Verb::Create { spec: led(Some("i-1"), "web", "1"), digest: "v1-a".parse().unwrap() }, ..first };
        let past = made.past_after(&led(Some("i-1"), "web", "1"), 1_000).unwrap();
        assert!(old(&past, &led(None, "web", "1"), 1_050) && !old(&past, &led(Some("i-1"), "web", "1"), 1_050));
    }
}
