//! From an intent to a change: is the name free, whose is the object, what do references and open fields mean?
//!
//! Reads only. It runs after the intent is durable and before the first write, and again from the start after a crash in between.

use crate::{
    account::Account,
    intent::{Intent, Wish},
    journal::{NameChange, NameRow},
    layer::{self, Get},
    live::Live,
    operation::Outcome,
};
use std::time::Duration;
use welkin_core::{
    AnyRef, Change, Condition, Digest, Error, ErrorKind, Etag, Kind, Location, Managed, Name, Object, Past, Reason, Result, Retry, Revision, Target, Uid, VendorId, Verb,
    Violation, changed_paths, merge,
};

/// What an intent came to.
#[derive(Debug)]
pub(crate) enum Prepared<K: Managed> {
    /// Something has to be done.
    Change(Change<K>),
    /// It is so already.
    Answer(Outcome, NameChange),
}

/// Whom a change is about, its uid, and of a kind without marks the version that must still be there.
type Addressed<K> = (Target<K>, Uid, Option<Revision>);

/// What a reference means.
struct Resolved {
    vendor_id: VendorId,
    zone: Option<String>,
}

impl Account {
    pub(crate) async fn prepare<K: Managed>(&self, intent: Intent<K>) -> Result<Prepared<K>> {
        if !matches!(intent.wish, Wish::Delete { release: true, .. }) {
            self.check_parent(&intent.name).await?;
        }
        Ok(match self.prepare_here(intent).await? {
            Prepared::Change(change) => Prepared::Change(Change { target: self.outward_target(change.target).await?, ..change }),
            answer @ Prepared::Answer(..) => answer,
        })
    }
    async fn prepare_here<K: Managed>(&self, intent: Intent<K>) -> Result<Prepared<K>> {
        let Intent { name, uid, token, etag, wish } = intent;
        match wish {
            Wish::Create { spec, digest } => self.prepare_create(name, uid, token, spec, digest).await,
            Wish::Update { patch, paths } => {
                let (current, mut past) = self.current(&name, etag.as_ref()).await?;
                let mut merged = merge::<K>(&current.spec, &patch, &paths)?;
                refuse_wrong(K::canonical(&name.id, &mut merged))?;
                let changed = changed_paths::<K>(&current.spec, &merged)?;
                self.capabilities().check_update::<K>(&changed)?;
                if changed.is_empty() {
                    return Ok(Prepared::Answer(Outcome::Object(stored_object(current)?), NameChange::Keep));
                }
                self.capabilities().check_changed::<K>(&merged, &changed)?;
                let (mut desired, revision) = (merged, current.revision.clone());
                self.resolve_refs(K::refs(&mut desired)).await?;
                past.push(Past::of_update(current.spec.clone(), changed.clone()));
                let (target, uid, _) = self.owned_target(current)?;
                Ok(Prepared::Change(Change { target, uid, token, expect: revision, past, verb: Verb::Update { desired, paths: changed } }))
            }
            Wish::Adopt { id } => Box::pin(self.prepare_adopt(name, uid, token, &id)).await,
            Wish::Delete { allow_missing, release: true } => Box::pin(self.prepare_release(name, etag.as_ref(), allow_missing)).await,
            Wish::Delete { allow_missing, release: false } => self.prepare_delete(name, token, etag.as_ref(), allow_missing).await,
            Wish::Act(mut action) => {
                let (target, uid, expect) = match self.known_target(&name, etag.as_ref())? {
                    Some(known) => known,
                    None => self.owned_target(self.own(&name, etag.as_ref()).await?)?,
                };
                // It may have been called by the vendor's id.
                let name = self.name_of(&target).parse()?;
                refuse_wrong(K::known(&mut action, &name, &|child| self.names.read().get(child).is_some(), self.settings.most_deleted_percent))?;
                self.resolve_refs(K::action_refs(&mut action)).await?;
                let past = self.past::<K>(&uid)?;
                Ok(Prepared::Change(Change { target, uid, token, expect, past, verb: Verb::Act(action) }))
            }
        }
    }

    async fn prepare_create<K: Managed>(&self, name: Name<K>, uid: Uid, token: String, mut spec: K::Spec, digest: Digest) -> Result<Prepared<K>> {
        match self.get(&name).await {
            Ok(existing) => return self.same_or_taken(existing, &spec, &digest),
            Err(e) if e.is_not_found() => {}
            Err(e) => return Err(e),
        }
        let mut zones = self.resolve_refs(K::refs(&mut spec)).await?;
        let location = location_of(&name.to_string());
        if let Some(zone) = K::zone_mut(&mut spec)
            && zone.is_none()
            && self.capabilities().of::<K>()?.fields.get("zone").is_some_and(|f| f.required)
        {
            if zones.is_empty() {
                zones.extend(self.first_zone(location).await?);
            }
            *zone = zones.into_iter().next();
        }
        Ok(Prepared::Change(Change {
            target: Target::Named { name, uid: Some(uid.clone()), vendor_id: None },
            uid,
            token,
            expect: None,
            past: Vec::new(),
            verb: Verb::Create { spec, digest },
        }))
    }

    /// Gives the resolved change the place of what it is about, before anything is written.
    pub(crate) async fn settle<K: Managed>(&self, live: &Live, change: &Change<K>) -> Result<()> {
        let name = self.name_of(&change.target);
        // One of ours can also be called by the vendor's id, which is another place than its name's.
        if live.row().target != name
            && let Err(other) = self.open.lock().move_to(live, &name)
        {
            return Err(Error::new(ErrorKind::Aborted, Reason::OperationInProgress, format!("operation {other} is working on {name}"))
                .with_retry(Retry::After(Duration::from_secs(1)))
                .with_resource(&name)
                .with_operation(other));
        }
        // The store knew it and the cloud, past its horizon, does not: it was removed behind our back.
        if matches!(change.verb, Verb::Create { .. }) && self.names.read().get(&name).is_some() {
            let gone = NameChange::Remove(name);
            self.journal.set_name(&self.cloud, &gone).await?;
            self.note_name(&gone);
        }
        Ok(())
    }

    /// A create met something under its name.
    fn same_or_taken<K: Managed>(&self, existing: Object<K>, spec: &K::Spec, digest: &Digest) -> Result<Prepared<K>> {
        let name = existing.name.to_string();
        let refuse = |kind, reason, message: String| Err(Error::new(kind, reason, message).with_resource(name.clone()));
        let Some(mark) = existing.mark.clone().filter(|m| m.owner == self.owner) else {
            return refuse(ErrorKind::FailedPrecondition, Reason::NotOwned, format!("{name} exists and was not made by this Welkin"));
        };
        match K::condition(&existing.status) {
            Condition::Usable => {}
            Condition::Leaving => {
                let e = Error::new(ErrorKind::Aborted, Reason::WrongState, format!("{name} is still being deleted"));
                return Err(e.with_retry(Retry::After(Duration::from_secs(1))).with_resource(name));
            }
            Condition::Failed => return refuse(ErrorKind::FailedPrecondition, Reason::WrongState, format!("{name} exists and has failed: delete it first")),
            Condition::Incomplete => return refuse(ErrorKind::FailedPrecondition, Reason::WrongState, format!("{name} exists and is incomplete: delete it first")),
        }
        let is_same = if K::IS_MARKED { mark.digest.as_ref() == Some(digest) } else { changed_paths::<K>(&existing.spec, spec)?.is_empty() };
        if !is_same {
            return refuse(ErrorKind::AlreadyExists, Reason::NameTaken, format!("{name} exists with another specification"));
        }
        if !K::IS_MARKED {
            // Its row is all that makes it ours, so it is there.
            return Ok(Prepared::Answer(Outcome::Object(stored_object(existing)?), NameChange::Keep));
        }
        let row = NameChange::Set(name_row(&existing, &mark.uid, self.clock.now_ms()));
        Ok(Prepared::Answer(Outcome::Object(stored_object(existing)?), row))
    }

    async fn prepare_delete<K: Managed>(&self, name: Name<K>, token: String, etag: Option<&Etag>, allow_missing: bool) -> Result<Prepared<K>> {
        let (target, uid, expect) = match self.known_target(&name, etag)? {
            Some(known) => known,
            None => match self.own(&name, etag).await {
                Ok(current) => self.owned_target(current)?,
                Err(e) if e.is_not_found() && allow_missing => return Ok(Prepared::Answer(Outcome::Deleted, NameChange::Remove(name.to_string()))),
                Err(e) => return Err(e),
            },
        };
        Ok(Prepared::Change(Change { target, uid, token, expect, past: Vec::new(), verb: Verb::Delete }))
    }

    /// From the store alone, where neither an etag nor what is there has to be compared.
    fn known_target<K: Managed>(&self, name: &Name<K>, etag: Option<&Etag>) -> Result<Option<Addressed<K>>> {
        if etag.is_some() || !K::IS_MARKED {
            return Ok(None);
        }
        Ok(self.known(name)?.map(|known| (known.target, known.uid, None)))
    }

    /// The object as it is now, refused where it is not ours or not at this version.
    pub(crate) async fn own<K: Managed>(&self, name: &Name<K>, etag: Option<&Etag>) -> Result<Object<K>> {
        let current = self.get(name).await?;
        if current.mark.as_ref().is_none_or(|m| m.owner != self.owner) {
            let message = format!("{name} was not made by this Welkin and was not adopted");
            return Err(Error::new(ErrorKind::FailedPrecondition, Reason::NotOwned, message).with_resource(name.to_string()));
        }
        refuse_other_version(&current, etag)?;
        Ok(current)
    }

    fn owned_target<K: Managed>(&self, object: Object<K>) -> Result<Addressed<K>> {
        let expect = object.revision.clone().filter(|_| !K::IS_MARKED);
        let is_adopted = self.is_adopted(&object);
        let uid = object.mark.map(|m| m.uid).ok_or_else(|| Error::internal("an owned object has a mark"))?;
        if is_adopted {
            return Ok((Target::Vendor { parent: object.name.parent, vendor_id: object.vendor_id }, uid, expect));
        }
        Ok((Target::Named { name: object.name, uid: Some(uid.clone()), vendor_id: Some(object.vendor_id) }, uid, expect))
    }

    /// Puts the vendor's ids into every reference, and answers the zones that the references lie in.
    async fn resolve_refs(&self, refs: Vec<AnyRef<'_>>) -> Result<Vec<String>> {
        let mut zones = Vec::new();
        for r in refs {
            // A caller's own was left out on entry: what is there, a read has just shown.
            if r.vendor_id.is_some() {
                continue;
            }
            if let Some(Resolved { vendor_id, zone }) = self.resolve(&r).await? {
                zones.extend(zone);
                *r.vendor_id = Some(vendor_id);
            }
        }
        Ok(zones)
    }

    /// None only of what may be gone, and is.
    async fn resolve(&self, r: &AnyRef<'_>) -> Result<Option<Resolved>> {
        let name = r.name.to_string();
        if let Some(row) = self.names.read().get(&name) {
            return Ok(Some(Resolved { vendor_id: row.vendor_id.clone(), zone: row.zone.clone() }));
        }
        if let Some(operation) = self.open.lock().by_target.get(&name) {
            let message = format!("{name} is still being made by operation {operation}");
            return Err(Error::new(ErrorKind::FailedPrecondition, Reason::OperationInProgress, message).with_retry(Retry::After(Duration::from_secs(1))).with_field(&*r.path));
        }
        let unknown = Err(Error::internal(format!("{} is no kind", r.collection)));
        welkin_core::with_any_kind!(r.collection, R => self.resolve_as::<R>(r).await, else unknown)
    }

    async fn resolve_as<R: Kind>(&self, r: &AnyRef<'_>) -> Result<Option<Resolved>> {
        let name: Name<R> = r.name.to_string().parse().map_err(|e: Error| e.with_field(&*r.path))?;
        let (target, _) = self.target(&name)?;
        let target = self.outward_target(target).await.map_err(|e| e.with_field(&*r.path))?;
        if let (Target::Vendor { vendor_id, .. }, true) = (&target, r.may_be_gone) {
            return Ok(Some(Resolved { vendor_id: vendor_id.clone(), zone: None }));
        }
        let found = layer::ask(&self.stack, self.cx(), Get(target)).await;
        if r.may_be_gone && found.as_ref().is_err_and(Error::is_not_found) {
            return Ok(None);
        }
        let object = found.map_err(|e| {
            if e.kind() != ErrorKind::NotFound {
                return e.with_field(&*r.path);
            }
            // NOT_FOUND would say that the resource itself does not exist.
            if !e.is_not_found() {
                let reason = e.reason();
                return e.reclassified(ErrorKind::FailedPrecondition, reason).with_field(&*r.path);
            }
            Error::new(ErrorKind::FailedPrecondition, Reason::ReferenceNotFound, format!("{} does not exist", r.name)).with_field(&*r.path).with_resource(name.to_string())
        })?;
        let why = match R::condition(&object.status) {
            Condition::Usable => None,
            Condition::Leaving => Some("is being deleted"),
            Condition::Failed => Some("has failed: delete it and make it again"),
            Condition::Incomplete => Some("is incomplete: delete it and make it again"),
        };
        if let Some(why) = why.filter(|_| !r.may_be_gone) {
            return Err(Error::new(ErrorKind::FailedPrecondition, Reason::WrongState, format!("{} {why}", r.name)).with_field(&*r.path));
        }
        Ok(Some(Resolved { zone: R::zone(&object.spec, &object.status), vendor_id: object.vendor_id }))
    }

    async fn first_zone(&self, location: Option<Name<Location>>) -> Result<Option<String>> {
        let Some(location) = location else { return Ok(None) };
        Ok(self.get(&location).await?.status.zones.into_iter().next())
    }
}

/// Every wrong field at once, where there is one.
pub(crate) fn refuse_wrong(wrong: Vec<Violation>) -> Result<()> {
    if wrong.is_empty() { Ok(()) } else { Err(Error::violated(Reason::InvalidField, wrong)) }
}

pub(crate) fn refuse_other_version<K: Managed>(current: &Object<K>, etag: Option<&Etag>) -> Result<()> {
    match etag {
        Some(expected) if *expected != current.etag() => {
            let message = format!("{} is at {}, not at {expected}: read it again", current.name, current.etag());
            Err(Error::new(ErrorKind::Aborted, Reason::EtagMismatch, message).with_resource(current.name.to_string()))
        }
        _ => Ok(()),
    }
}

/// The location that a name lies in.
fn location_of(name: &str) -> Option<Name<Location>> {
    let mut parts = name.split('/');
    (parts.next() == Some(Location::COLLECTION)).then(|| parts.next()).flatten().and_then(|id| Name::of(id).ok())
}

/// An object as journal and answer hold it: without what is input only.
pub(crate) fn stored_object<K: Kind>(object: Object<K>) -> Result<serde_json::Value> {
    let mut value = serde_json::to_value(object).map_err(|e| Error::internal("an object does not serialise").with_source(e))?;
    for path in K::INPUT_ONLY {
        let (around, field) = path.rsplit_once('.').map_or((String::new(), *path), |(around, field)| (format!("/{}", around.replace('.', "/")), field));
        if let Some(fields) = value.pointer_mut(&format!("/spec{around}")).and_then(serde_json::Value::as_object_mut) {
            fields.remove(field);
        }
    }
    Ok(value)
}

pub(crate) fn name_row<K: Kind>(object: &Object<K>, uid: &Uid, now_ms: u64) -> NameRow {
    NameRow {
        name: object.name.to_string(),
        uid: uid.clone(),
        vendor_id: object.vendor_id.clone(),
        zone: K::zone(&object.spec, &object.status),
        since_ms: now_ms,
        unsettled_ms: None,
        adopted: false,
    }
}
