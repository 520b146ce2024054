//! One cloud account: the only way to it in this process.

use crate::{
    clock::Clock,
    gate::AccountGate,
    intent::Digester,
    journal::{Journal, NameChange, NameRow},
    layer::{self, Ask, Get, RetryLayer, Stack, TimeoutLayer},
    open::Open,
    past::Pasts,
};
use parking_lot::{Mutex, RwLock};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use welkin_core::{
    Api, Capabilities, CloudProvider, Cx, Error, ErrorKind, Gate, Kind, Managed, Mark, Name, Object, Owner, Parent as _, Reason, ResourceId, Result, Retry, Target, Uid, VendorId,
    VerbName,
};

/// How an engine behaves. The defaults suit a server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// One attempt of a read.
    pub read_timeout: Duration,
    /// A read with all its repetitions.
    pub read_deadline: Duration,
    /// How often a read is tried.
    pub read_attempts: u32,
    /// One step of a change.
    pub step_timeout: Duration,
    /// The first wait after a step that failed; it doubles up to `backoff_max`.
    pub backoff: Duration,
    /// The longest wait after a step that failed.
    pub backoff_max: Duration,
    /// How long a mutation's caller waits for an operation that may end soon.
    pub short_bound: Duration,
    /// Attempts end after this; cleaning never does.
    pub max_age: Duration,
    /// How long an ended operation can be read. Its request id stays taken for another 7 days.
    pub retention: Duration,
    /// How many operations of one account take a step at once.
    pub concurrent_steps: usize,
    /// The share of a zone's record sets, in percent, that one request may remove without saying how many.
    pub most_deleted_percent: u32,
}
impl Default for Settings {
    fn default() -> Self {
        Self {
            read_timeout: Duration::from_secs(10),
            read_deadline: Duration::from_secs(25),
            read_attempts: 4,
            step_timeout: Duration::from_secs(60),
            backoff: Duration::from_millis(200),
            backoff_max: Duration::from_secs(30),
            short_bound: Duration::from_millis(200),
            max_age: Duration::from_secs(3600),
            retention: Duration::from_secs(7 * 24 * 3600),
            concurrent_steps: 64,
            most_deleted_percent: 30,
        }
    }
}

/// How work ends: first no new step, then, for a step that takes too long, not even the rest of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    pub(crate) stop: CancellationToken,
    pub(crate) abort: CancellationToken,
}
impl Stop {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }
    pub(crate) fn now(&self) {
        self.stop.cancel();
        self.abort.cancel();
    }
}

/// What stands behind the names of ours, found by name, and by the name that the vendor's id would be.
#[derive(Debug, Default)]
pub(crate) struct Names {
    rows: HashMap<String, NameRow>,
    by_vendor_id: HashMap<String, String>,
}
impl Names {
    pub(crate) fn get(&self, name: &str) -> Option<&NameRow> {
        self.rows.get(name)
    }
    /// Also where it is called by the vendor's id.
    pub(crate) fn find(&self, name: &str) -> Option<&NameRow> {
        self.rows.get(name).or_else(|| self.rows.get(self.by_vendor_id.get(name)?))
    }
    /// The name that we have for what is called `name` or anything else beside it, by its vendor's id.
    fn of_vendor_id(&self, name: &str, vendor_id: &VendorId) -> Option<&str> {
        let (collection, _) = name.rsplit_once('/')?;
        let id = ResourceId::of_vendor(vendor_id.as_str()).ok()?;
        self.by_vendor_id.get(&format!("{collection}/{id}")).map(String::as_str)
    }
    fn set(&mut self, row: NameRow) {
        self.remove(&row.name);
        if let Some(alias) = alias(&row) {
            self.by_vendor_id.insert(alias, row.name.clone());
        }
        self.rows.insert(row.name.clone(), row);
    }
    fn remove(&mut self, name: &str) {
        if let Some(alias) = self.rows.remove(name).as_ref().and_then(alias) {
            self.by_vendor_id.remove(&alias);
        }
    }
}
fn alias(row: &NameRow) -> Option<String> {
    let (collection, _) = row.name.rsplit_once('/')?;
    let id = ResourceId::of_vendor(row.vendor_id.as_str()).ok()?;
    Some(format!("{collection}/{id}"))
}

/// One of ours as the store knows it.
pub(crate) struct Known<K: Kind> {
    /// What was adopted is called by the vendor's id: it carries no mark.
    pub(crate) target: Target<K>,
    pub(crate) uid: Uid,
    /// Since when; None for what was there before it was known.
    since_ms: Option<u64>,
}

/// One account at one vendor.
///
/// Everything that Welkin does to the account goes through this one value, so that names, tokens and the order of operations are exact.
#[derive(Debug)]
pub struct Account {
    pub(crate) cloud: Arc<str>,
    pub(crate) owner: Owner,
    pub(crate) provider: Arc<dyn CloudProvider>,
    pub(crate) stack: Stack,
    pub(crate) gate: Arc<AccountGate>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) settings: Settings,
    pub(crate) digester: Digester,
    pub(crate) names: RwLock<Names>,
    pub(crate) pasts: Mutex<Pasts>,
    pub(crate) open: Mutex<Open>,
    pub(crate) clock: Clock,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: Stop,
    pub(crate) steps: Semaphore,
}

/// What an account is made of.
pub(crate) struct Parts {
    pub(crate) cloud: Arc<str>,
    pub(crate) owner: Owner,
    pub(crate) provider: Arc<dyn CloudProvider>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) settings: Settings,
    pub(crate) digester: Digester,
    pub(crate) names: Vec<NameRow>,
    pub(crate) stop: Stop,
    pub(crate) tasks: TaskTracker,
}

impl Account {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let s = &parts.settings;
        let stack =
            layer::stack(Arc::clone(&parts.provider), RetryLayer { attempts: s.read_attempts, backoff: s.backoff }, TimeoutLayer { read: s.read_timeout, step: s.step_timeout });
        let mut names = Names::default();
        for row in parts.names {
            names.set(row);
        }
        Arc::new(Self {
            stack,
            gate: Arc::default(),
            names: RwLock::new(names),
            pasts: Mutex::default(),
            open: Mutex::default(),
            clock: Clock::start(),
            steps: Semaphore::new(s.concurrent_steps),
            cloud: parts.cloud,
            owner: parts.owner,
            provider: parts.provider,
            journal: parts.journal,
            settings: parts.settings,
            digester: parts.digester,
            stop: parts.stop,
            tasks: parts.tasks,
        })
    }

    /// The configured name of the cloud.
    #[must_use]
    pub fn cloud(&self) -> &Arc<str> {
        &self.cloud
    }
    /// Whose marks are ours here.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }
    /// What this cloud can do.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        self.provider.capabilities()
    }
    /// How often each vendor call was made since the start, counted at the gate.
    #[must_use]
    pub fn vendor_calls(&self) -> BTreeMap<Api, u64> {
        self.gate.calls()
    }

    /// Reads one resource: one of ours by its name, any other by the vendor's id as its id.
    ///
    /// # Errors
    /// `NotFound` where the vendor says that it is not there; `Unavailable` with reason NOT_YET_VISIBLE where it was just created and is not
    /// shown yet.
    pub async fn get<K: Kind>(&self, name: &Name<K>) -> Result<Object<K>> {
        self.capabilities().check_verb::<K>("get")?;
        let (target, since_ms) = self.target(name)?;
        let target = self.outward_target(target).await?;
        let answer = layer::ask(&self.stack, self.cx(), Get(target)).await;
        match answer {
            Ok(mut object) => self.recognise(&mut object).map(|()| object),
            Err(e) => Err(self.explain_unread(name, since_ms, e)),
        }
    }
    /// Asks a question about one resource, which is named as in [`Account::get`]. The answer is neither kept nor logged: it can hold secrets.
    ///
    /// # Errors
    /// Those of [`Account::get`]; `Unimplemented` where the cloud cannot be asked that.
    pub async fn ask<K: Managed>(&self, name: &Name<K>, question: K::Question) -> Result<K::Answer> {
        self.capabilities().check_verb::<K>(&question.to_string())?;
        let (target, since_ms) = self.target(name)?;
        let target = self.outward_target(target).await?;
        layer::ask(&self.stack, self.cx(), Ask { target, question }).await.map_err(|e| self.explain_unread(name, since_ms, e))
    }

    /// A name that was learned within the horizon is not gone because a read does not show it.
    fn explain_unread<K: Kind>(&self, name: &Name<K>, since_ms: Option<u64>, error: Error) -> Error {
        if !error.is_not_found() {
            return if error.resource().is_some() { error } else { error.with_resource(name.to_string()) };
        }
        if !since_ms.is_some_and(|since| self.is_fresh::<K>(since)) {
            // A driver calls what it lives in otherwise than the caller.
            let is_nested = name.parent.clone().resource().is_some();
            return if is_nested { Error::not_found(Target::named(name.clone())) } else { error };
        }
        Error::new(ErrorKind::Unavailable, Reason::NotYetVisible, format!("{name} was just created and the cloud does not show it yet"))
            .with_retry(Retry::After(Duration::from_secs(1)))
            .with_resource(name.to_string())
    }

    /// Whom a name means, with what the store knows of it and since when.
    pub(crate) fn target<K: Kind>(&self, name: &Name<K>) -> Result<(Target<K>, Option<u64>)> {
        let caps = self.capabilities().of::<K>()?;
        if !caps.verbs.contains(&VerbName::Create) {
            return Ok((Target::named(name.clone()), None));
        }
        if let Some(known) = self.known(name)? {
            return Ok((known.target, known.since_ms));
        }
        let id = name.id.to_string();
        if let Some(id) = foreign_id(&id, caps.id_shape)? {
            return Ok((Target::Vendor { parent: name.parent.clone(), vendor_id: id }, None));
        }
        Ok((Target::named(name.clone()), None))
    }

    /// One of ours as the store knows it, by its name or by the vendor's id.
    pub(crate) fn known<K: Kind>(&self, name: &Name<K>) -> Result<Option<Known<K>>> {
        let names = self.names.read();
        if names.rows.is_empty() {
            return Ok(None);
        }
        let mut name = name.clone();
        names.inward(&mut name)?;
        let text = name.to_string();
        let Some(row) = names.find(&text) else { return Ok(None) };
        let name = if row.name == text { name } else { row.name.parse()? };
        let target = if row.adopted {
            Target::Vendor { parent: name.parent, vendor_id: row.vendor_id.clone() }
        } else {
            Target::Named { name, uid: Some(row.uid.clone()), vendor_id: Some(row.vendor_id.clone()) }
        };
        Ok(Some(Known { target, uid: row.uid.clone(), since_ms: (!row.adopted).then_some(row.since_ms) }))
    }
    /// The name that a target of ours has in the table of names and in the book of open operations.
    pub(crate) fn name_of<K: Kind>(&self, target: &Target<K>) -> String {
        let names = self.names.read();
        let mut called = match target {
            Target::Named { name, .. } => name.clone(),
            Target::Vendor { parent, vendor_id } => match K::foreign_id(vendor_id.as_str()) {
                Ok(id) => Name { parent: parent.clone(), id },
                Err(_) => return target.to_string(),
            },
        };
        if let Err(error) = names.inward(&mut called) {
            tracing::error!(%target, %error, "what it lives in is not known by its name");
        }
        let text = called.to_string();
        if matches!(target, Target::Named { .. }) {
            return text;
        }
        names.find(&text).map_or(text, |row| row.name.clone())
    }

    /// What was adopted, and what the store knows as ours although the cloud does not show its tags yet, is shown under its name, and so is
    /// everything that it refers to.
    pub(crate) fn recognise<K: Kind>(&self, object: &mut Object<K>) -> Result<()> {
        let names = self.names.read();
        if names.rows.is_empty() {
            return Ok(());
        }
        names.inward(&mut object.name)?;
        welkin_core::rename::<K>(&mut object.spec, |name, vendor_id| names.of_vendor_id(name, vendor_id).map(ToOwned::to_owned))?;
        if object.mark.is_some() {
            return Ok(());
        }
        let Some(row) = names.find(&object.name.to_string()).filter(|row| row.vendor_id == object.vendor_id && (row.adopted || !K::IS_MARKED || self.is_fresh::<K>(row.since_ms)))
        else {
            return Ok(());
        };
        object.name = row.name.parse()?;
        object.mark = Some(Mark { owner: self.owner.clone(), uid: row.uid.clone(), digest: None });
        Ok(())
    }
    /// May the cloud not show yet what is known since then?
    fn is_fresh<K: Kind>(&self, since_ms: u64) -> bool {
        let horizon = self.capabilities().of::<K>().map_or(Duration::ZERO, |c| c.horizon);
        u128::from(self.clock.now_ms().saturating_sub(since_ms)) < horizon.as_millis()
    }

    /// For a read: its own deadline, counted, not journalled.
    pub(crate) fn cx(&self) -> Cx {
        let gate: Arc<dyn Gate> = Arc::<AccountGate>::clone(&self.gate);
        Cx { deadline: Instant::now() + self.settings.read_deadline, owner: self.owner.clone(), gate }
    }

    /// Brings the table of names in memory to what the journal has.
    pub(crate) fn note_name(&self, change: &NameChange) {
        match change {
            NameChange::Keep => {}
            NameChange::Set(row) => {
                self.names.write().set(row.clone());
            }
            NameChange::Remove(name) => {
                self.names.write().remove(name);
            }
            NameChange::Many(all) => all.iter().for_each(|one| self.note_name(one)),
        }
    }
}

/// The vendor's id that an id stands for, where it cannot be one of ours.
fn foreign_id(id: &str, shape: welkin_core::IdShape) -> Result<Option<VendorId>> {
    let id: ResourceId = id.parse()?;
    if id.is_label() && !shape.matches(id.as_str()) { Ok(None) } else { id.decoded().parse().map(Some) }
}
