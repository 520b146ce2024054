//! Adopting what Welkin did not make, and releasing it again.
//!
//! An adopted object is a row in our store, for that one vendor object: nothing is written to the cloud for it, and what the vendor has made or
//! keeps inside it stays foreign. Its uid is minted at adoption and stands in the row alone; it has no digest, because no specification made it.
//! Drivers meet it as a target by the vendor's id.

use crate::{
    account::Account,
    intent::{Intent, Wish},
    journal::{NameChange, NameRow},
    layer::{self, Check, Get},
    live::Live,
    operation::{Operation, Options, Outcome},
    prepare::{Prepared, name_row, stored_object},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use welkin_core::{
    Change, Condition, Error, ErrorKind, Kind, Managed, Mark, Name, Object, ProviderId, Reason, Result, Retry, Target, Uid, VendorId, Verb, Violation, check_chosen_id, set_fields,
};

/// The field of a create that names what to adopt.
const FIELD: &str = "adopt";

/// What a caller calls the object to adopt.
struct Wanted {
    vendor_id: VendorId,
    /// In the form that Kubernetes uses, where the caller gave it so.
    provider_id: Option<ProviderId>,
}
impl Wanted {
    fn parse<K: Managed>(text: &str) -> Result<Self> {
        let provider_id: Option<ProviderId> = if text.contains("://") { Some(text.parse().map_err(|e: Error| e.with_field(FIELD))?) } else { None };
        let called = provider_id.as_ref().map_or(text, ProviderId::last);
        let id = K::foreign_id(called).map_err(|e| e.with_field(FIELD))?;
        // An id that follows from what it is has one canonical form, in whichever it was written.
        let vendor_id = if K::label(&id).is_some() { called.parse() } else { id.to_string().parse() };
        Ok(Self { vendor_id: vendor_id.map_err(|e: Error| e.with_field(FIELD))?, provider_id })
    }
    /// The name that the object has as a foreign one.
    fn alias<K: Kind>(&self, parent: &K::Parent) -> Result<Name<K>> {
        Ok(Name { parent: parent.clone(), id: K::foreign_id(self.vendor_id.as_str())? })
    }
    /// The last part of a provider id is the vendor's id; the rest has to be right too.
    fn check<K: Kind>(&self, object: &Object<K>) -> Result<()> {
        match &self.provider_id {
            Some(wanted) if *wanted != object.provider_id => {
                Err(Error::new(ErrorKind::NotFound, Reason::ResourceNotFound, format!("{wanted} does not exist here; {} is {}", self.vendor_id, object.provider_id))
                    .with_field(FIELD))
            }
            _ => Ok(()),
        }
    }
}

impl Account {
    pub(crate) async fn adopt<K: Managed>(self: &Arc<Self>, name: Name<K>, spec: &K::Spec, id: String, options: Options) -> Result<Operation> {
        // What cannot be created or deleted is not managed here.
        self.capabilities().check_verb::<K>("delete")?;
        if let Some(label) = K::label(&name.id) {
            check_chosen_id(label, self.capabilities().of::<K>()?.id_shape, "id")?;
        }
        let set = set_fields::<K>(spec);
        let why = "what is adopted stays as it is: leave this out, and update it afterwards";
        let given: Vec<_> = K::FIELDS.iter().filter(|field| set.contains(**field)).map(|field| Violation::new(*field, why)).collect();
        if !given.is_empty() {
            return Err(Error::violated(Reason::InvalidField, given));
        }
        let alias = Wanted::parse::<K>(&id)?.alias::<K>(&name.parent).map_err(|e| e.with_field(FIELD))?;
        if K::label(&name.id).is_none() && alias.id != name.id {
            return Err(Error::invalid(FIELD, format!("what is called {} is that, and not {}: its id follows from what it is", name.id, alias.id)));
        }
        self.admit(name, Wish::Adopt { id }, options).await
    }

    /// Holds the place of the foreign object too, so that it is not adopted twice at once.
    pub(crate) fn claim_adopted<K: Managed>(&self, live: &Live, intent: &Intent<K>) -> Result<()> {
        let Wish::Adopt { id } = &intent.wish else { return Ok(()) };
        let place = Wanted::parse::<K>(id)?.alias::<K>(&intent.name.parent)?.to_string();
        if place == live.row().target {
            return Ok(()); // It is called as it is at the vendor.
        }
        self.claim(live, &place)
    }
    /// Holds one more place.
    pub(crate) fn claim(&self, live: &Live, place: &str) -> Result<()> {
        let Err(other) = self.open.lock().claim(&live.id, place) else { return Ok(()) };
        Err(Error::new(ErrorKind::Aborted, Reason::OperationInProgress, format!("operation {other} is working on {place}"))
            .with_retry(Retry::After(Duration::from_secs(1)))
            .with_resource(place)
            .with_operation(other))
    }

    pub(crate) async fn prepare_adopt<K: Managed>(&self, name: Name<K>, uid: Uid, token: String, id: &str) -> Result<Prepared<K>> {
        let wanted = Wanted::parse::<K>(id)?;
        let alias = wanted.alias::<K>(&name.parent)?.to_string();
        match self.get(&name).await {
            // It is called so as a foreign one.
            Ok(existing) if existing.mark.is_none() && alias == name.to_string() => {}
            Ok(existing) => return self.adopted_already(existing, &wanted),
            Err(e) if e.is_not_found() => {}
            Err(e) => return Err(e),
        }
        if let Some(row) = self.names.read().find(&alias).filter(|row| row.name != name.to_string()) {
            return Err(managed_already(&alias, &row.name));
        }
        let target = self.outward_target(Target::<K>::Vendor { parent: name.parent.clone(), vendor_id: wanted.vendor_id.clone() }).await?;
        let mut object: Object<K> = layer::ask(&self.stack, self.cx(), Get(target.clone())).await.map_err(|e| e.with_field(FIELD))?;
        wanted.check(&object)?;
        if object.mark.is_some() {
            return Err(managed_already(&alias, &object.name.to_string()));
        }
        if K::condition(&object.status) == Condition::Leaving {
            return Err(Error::new(ErrorKind::FailedPrecondition, Reason::WrongState, format!("{alias} is being deleted")).with_field(FIELD).with_resource(alias));
        }
        // The driver tells whether it could change it: not where another Welkin's mark is on it.
        let verb = Verb::Update { desired: object.spec.clone(), paths: BTreeSet::new() };
        let change = Change { target, uid: uid.clone(), token, expect: None, past: Vec::new(), verb };
        layer::ask(&self.stack, self.cx(), Check(Arc::new(change))).await.map_err(|e| e.with_field(FIELD))?;
        object.name = name;
        object.mark = Some(Mark { owner: self.owner.clone(), uid: uid.clone(), digest: None });
        let row = NameRow { adopted: true, ..name_row(&object, &uid, self.clock.now_ms()) };
        Ok(Prepared::Answer(Outcome::Object(stored_object(object)?), NameChange::Set(row)))
    }

    /// An adoption met something under its name.
    fn adopted_already<K: Managed>(&self, existing: Object<K>, wanted: &Wanted) -> Result<Prepared<K>> {
        let name = existing.name.to_string();
        if existing.vendor_id != wanted.vendor_id {
            return Err(Error::new(ErrorKind::AlreadyExists, Reason::NameTaken, format!("{name} exists, and is {}", existing.vendor_id)).with_resource(name));
        }
        wanted.check(&existing)?;
        if !self.is_adopted(&existing) {
            return Err(managed_already(wanted.vendor_id.as_str(), &name));
        }
        Ok(Prepared::Answer(Outcome::Object(stored_object(existing)?), NameChange::Keep))
    }

    /// The row goes, the object stays. The cloud need not be asked: what has gone there can be released too.
    pub(crate) async fn prepare_release<K: Managed>(&self, name: Name<K>, etag: Option<&welkin_core::Etag>, allow_missing: bool) -> Result<Prepared<K>> {
        let text = name.to_string();
        if self.names.read().get(&text).is_some_and(|row| row.adopted) {
            if etag.is_some() {
                self.own(&name, etag).await?;
            }
            return Ok(Prepared::Answer(Outcome::Deleted, NameChange::Remove(text)));
        }
        match self.get(&name).await {
            Err(e) if e.is_not_found() && allow_missing => Ok(Prepared::Answer(Outcome::Deleted, NameChange::Keep)),
            Err(e) => Err(e),
            Ok(_) => Err(Error::new(ErrorKind::FailedPrecondition, Reason::NotAdopted, format!("{text} was not adopted, so it cannot be released")).with_resource(text)),
        }
    }

    /// Is this one that was adopted?
    pub(crate) fn is_adopted<K: Kind>(&self, object: &Object<K>) -> bool {
        self.names.read().get(&object.name.to_string()).is_some_and(|row| row.adopted && row.vendor_id == object.vendor_id)
    }
}

fn managed_already(what: &str, name: &str) -> Error {
    Error::new(ErrorKind::AlreadyExists, Reason::AlreadyManaged, format!("{what} is managed already, as {name}")).with_field(FIELD).with_resource(name)
}
