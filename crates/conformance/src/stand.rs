//! Where one trial happens: it makes things, reads them with patience, and everything is removed again when it is over.

use crate::{
    Plant, WorldObject,
    report::Mishaps,
    runner::{Driven, End, Manner, backoff, context, drive},
    specimen::{Chosen as _, Home, Specimen, differences},
    subject::Subject,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::Instant;
use welkin_core::{
    Api, Change, Digest, DnsZone, Driver, Error, FieldCapability, Gate, Image, Kind, KindCapabilities, Location, Mark, Mutability, Name, Object, OpenGate, Page, Past, Permit,
    Query, Reason, Ref, Result as Outcome, Resume, Support, Target, Uid, VendorId, Verb, VerbName, changed_paths, set_fields, unix_millis, with_kind,
};

/// Why a trial ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    Failed(String),
    Skipped(String),
}
impl From<Error> for Stop {
    fn from(e: Error) -> Self {
        Self::Failed(format!("{e} ({:?}, effect {:?}, retry {:?}, of {:?})", e.kind(), e.effect(), e.retry(), e.operation()))
    }
}
pub(crate) type Verdict<T = ()> = Result<T, Stop>;

pub(crate) fn failed<T>(why: impl fmt::Display) -> Verdict<T> {
    Err(Stop::Failed(why.to_string()))
}
pub(crate) fn skipped<T>(why: impl fmt::Display) -> Verdict<T> {
    Err(Stop::Skipped(why.to_string()))
}
/// Ends the trial as failed unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($why:tt)*) => {
        if !$condition {
            return Err($crate::stand::Stop::Failed(format!($($why)*)));
        }
    };
}
pub(crate) use ensure;

/// What has to be deleted when the trial is over.
#[derive(Debug, Clone)]
struct Made {
    collection: &'static str,
    name: String,
    uid: Uid,
    token: String,
    vendor_id: Option<VendorId>,
    left: Resume,
}

/// How long reads may take to show what was done beyond the declared horizon.
const GRACE: Duration = Duration::from_secs(5);
/// How long until it is worth looking again.
const LOOK: Duration = Duration::from_millis(50);

/// Refuses every write: for what must not make any.
#[derive(Debug)]
struct ReadOnly;
#[async_trait]
impl Gate for ReadOnly {
    async fn admit(&self, api: &Api) -> Outcome<Permit> {
        if api.write { Err(Error::internal(format!("what only looks wants to write: {} {}", api.family, api.action))) } else { Ok(Permit(0)) }
    }
    fn settle(&self, _: Permit, _: &Api, _: Duration, _: Option<&Error>) {}
}

#[derive(Debug)]
pub(crate) struct Stand<'a> {
    pub(crate) subject: &'a Subject,
    prefix: String,
    state: Mutex<State>,
    before: BTreeSet<String>,
}
#[derive(Debug, Default)]
struct State {
    count: u32,
    made: Vec<Made>,
    planted: Vec<String>,
    shown: BTreeSet<String>,
    notes: Vec<String>,
    mishaps: Mishaps,
    /// How things were before their updates, as an engine knows it: by uid.
    pasts: BTreeMap<Uid, serde_json::Value>,
    dns_zone: Option<Name<DnsZone>>,
    /// Whose what carries no mark is, as an engine knows it: by name.
    known: BTreeMap<String, Mark>,
}

impl<'a> Stand<'a> {
    pub(crate) async fn new(subject: &'a Subject, prefix: String) -> Verdict<Self> {
        let before = ids(&subject.world.inventory().await?);
        Ok(Self { subject, prefix, state: Mutex::default(), before })
    }

    // What the provider says that it can do.

    pub(crate) fn capabilities<K: Kind>(&self) -> Verdict<&KindCapabilities> {
        match self.subject.provider.capabilities().of::<K>() {
            Ok(caps) => Ok(caps),
            Err(_) => skipped(format!("the provider does not offer {}", K::COLLECTION)),
        }
    }
    pub(crate) fn needs<K: Kind>(&self, verb: VerbName) -> Verdict {
        if self.capabilities::<K>()?.verbs.contains(&verb) {
            self.show::<K>(verb.as_str());
            return Ok(());
        }
        skipped(format!("the provider cannot {} {}", verb.as_str(), K::COLLECTION))
    }
    /// How the provider honours a field, or a value of it.
    pub(crate) fn field<K: Kind>(&self, path: &str) -> Option<&FieldCapability> {
        let fields = &self.subject.provider.capabilities().kinds.get(K::COLLECTION)?.fields;
        let base = path.split('=').next().unwrap_or(path);
        // What is declared as not shown is not asked for.
        if self.subject.expected_skips.contains_key(&format!("{}.{base}", K::COLLECTION)) {
            return None;
        }
        fields.get(path).or_else(|| fields.get(base)).filter(|f| f.support != Support::Unsupported)
    }
    /// Does it say that it refuses this field or value?
    pub(crate) fn is_refused<K: Kind>(&self, path: &str) -> bool {
        let fields = self.subject.provider.capabilities().kinds.get(K::COLLECTION).map(|k| &k.fields);
        fields.and_then(|f| f.get(path)).is_some_and(|f| f.support == Support::Unsupported)
    }
    pub(crate) fn honours<K: Kind>(&self, path: &str) -> bool {
        self.field::<K>(path).is_some()
    }
    pub(crate) fn changes<K: Kind>(&self, path: &str) -> bool {
        self.field::<K>(path).is_some_and(|f| f.mutability == Mutability::Mutable)
    }
    pub(crate) fn horizon<K: Kind>(&self) -> Duration {
        self.subject.provider.capabilities().of::<K>().map_or(Duration::ZERO, |c| c.horizon)
    }
    /// This claim of the capabilities has been shown to hold, if the trial passes.
    pub(crate) fn show<K: Kind>(&self, claim: &str) {
        self.state.lock().shown.insert(format!("{}.{claim}", K::COLLECTION));
    }
    pub(crate) fn note(&self, text: impl Into<String>) {
        self.state.lock().notes.push(text.into());
    }
    /// This went wrong that often, and ended well.
    pub(crate) fn happened(&self, verb: &str, mishap: String, times: u64) {
        *self.state.lock().mishaps.entry(verb.into()).or_default().entry(mishap).or_default() += times;
    }
    pub(crate) fn results(&self) -> (BTreeSet<String>, Vec<String>, Mishaps) {
        let state = self.state.lock();
        (state.shown.clone(), state.notes.clone(), state.mishaps.clone())
    }

    /// The verb of an action or a question.
    pub(crate) fn needs_verb<K: Specimen>(&self, verb: &impl fmt::Display) -> Verdict {
        let name = verb.to_string();
        match self.capabilities::<K>()?.verbs.iter().find(|v| v.as_str() == name) {
            Some(verb) => self.needs::<K>(*verb),
            None => skipped(format!("the provider cannot {name} {}", K::COLLECTION)),
        }
    }
    /// Is it declared that the vendor does not refuse this, although it should?
    pub(crate) fn is_gap(&self, what: &str) -> bool {
        let gap = self.subject.not_refused.get(what);
        if let Some(why) = gap {
            self.note(format!("gap: {what}: {why}"));
        }
        gap.is_some()
    }
    /// Does a specification set this field?
    pub(crate) fn asks<K: Kind>(spec: &K::Spec, path: &str) -> bool {
        set_fields::<K>(spec).contains(path)
    }

    // Names and changes.

    pub(crate) fn number(&self) -> u32 {
        let mut state = self.state.lock();
        state.count += 1;
        state.count
    }
    pub(crate) fn name<K: Specimen>(&self) -> Verdict<Name<K>> {
        Ok(Name::new(self.place::<K>()?, K::Id::from_label(&format!("{}-{}", self.prefix, self.number()))?))
    }
    /// Where resources of this kind are.
    pub(crate) fn place<K: Specimen>(&self) -> Verdict<K::Parent> {
        <K::Parent as Home>::of::<K>(self)
    }
    /// The zone that record sets of this trial are in.
    pub(crate) fn dns_zone(&self) -> Option<Name<DnsZone>> {
        self.state.lock().dns_zone.clone()
    }
    pub(crate) fn keep_dns_zone(&self, zone: &Object<DnsZone>) -> Verdict {
        let id = DnsZone::foreign_id(zone.vendor_id.as_str())?;
        self.state.lock().dns_zone = Some(Name::new(zone.name.parent.clone(), id));
        Ok(())
    }
    pub(crate) fn create_of<K: Specimen>(&self, spec: K::Spec) -> Verdict<Change<K>> {
        let digest: Digest = format!("v1-{}", self.number()).parse()?;
        self.change(Target::named(self.name()?), minted()?, Verb::Create { spec, digest })
    }
    pub(crate) fn change<K: Specimen>(&self, target: Target<K>, uid: Uid, verb: Verb<K>) -> Verdict<Change<K>> {
        Ok(Change { target, uid, token: uuid::Uuid::new_v4().to_string(), expect: None, past: Vec::new(), verb })
    }
    /// A change of something that exists.
    pub(crate) fn change_of<K: Specimen>(&self, object: &Object<K>, verb: Verb<K>) -> Verdict<Change<K>> {
        let Some(mark) = &object.mark else { return failed(format!("{} came back without a mark", object.name)) };
        let target = Target::Named { name: object.name.clone(), uid: Some(mark.uid.clone()), vendor_id: Some(object.vendor_id.clone()) };
        let expect = object.revision.clone().filter(|_| !K::IS_MARKED);
        Ok(Change { expect, ..self.change(target, mark.uid.clone(), verb)? })
    }
    /// What carries no mark is ours because it was made here; a server knows that itself.
    fn recognised<K: Kind>(&self, mut object: Object<K>) -> Object<K> {
        if !K::IS_MARKED && !self.subject.served {
            object.mark = self.state.lock().known.get(&object.name.to_string()).cloned();
        }
        object
    }

    // Doing.

    pub(crate) fn driver<K: Specimen>(&self) -> Outcome<&dyn Driver<K>> {
        K::driver(&*self.subject.provider).ok_or_else(|| Error::unsupported_kind(K::COLLECTION))
    }
    /// All checks of a change and not the change, repeated only as its errors allow. It must not write.
    pub(crate) async fn check<K: Specimen>(&self, change: &Change<K>) -> Outcome<()> {
        let driver = self.driver::<K>()?;
        self.repeated(async || driver.check(&context(self.subject, Arc::new(ReadOnly)), change).await).await
    }

    /// Drives a change. What a create makes is remembered for the end of the trial.
    pub(crate) async fn drive<K: Specimen>(&self, change: &Change<K>, manner: Manner) -> Driven<K> {
        self.drive_from(change, Resume::default(), manner).await
    }
    /// The same from where an earlier one ended.
    pub(crate) async fn drive_from<K: Specimen>(&self, change: &Change<K>, from: Resume, manner: Manner) -> Driven<K> {
        let is_create = matches!(change.verb, Verb::Create { .. });
        let driven = drive(self.subject, change, from, manner).await;
        if let (true, Ok(name)) = (is_create, change.target.name()) {
            let vendor_id = match &driven.end {
                Ok(End::Object(o)) => Some(o.vendor_id.clone()),
                _ => None,
            };
            let made = Made { collection: K::COLLECTION, name: name.to_string(), uid: change.uid.clone(), token: change.token.clone(), vendor_id, left: driven.left.clone() };
            self.state.lock().made.push(made);
        }
        let driven = Driven { end: driven.end.map(|end| self.known_by(change, end)), ..driven };
        let left = match &driven.end {
            Ok(End::Object(object)) => Some(&object.spec),
            Ok(End::Acted(outcome)) => K::left_so(outcome),
            _ => None,
        };
        let past = left.map(|left| change.past_after(left, unix_millis(SystemTime::now()))).transpose();
        match past.and_then(|past| past.map(serde_json::to_value).transpose().map_err(|e| Error::internal(e.to_string()))) {
            Ok(past) => {
                past.map(|past| self.state.lock().pasts.insert(change.uid.clone(), past));
                driven
            }
            Err(e) => Driven { end: Err(e), ..driven },
        }
    }
    /// What an engine's store would know after this end.
    fn known_by<K: Specimen>(&self, change: &Change<K>, end: End<K>) -> End<K> {
        match end {
            End::Object(object) if !K::IS_MARKED => {
                let mark = Mark { owner: self.subject.owner.clone(), uid: change.uid.clone(), digest: None };
                self.state.lock().known.entry(object.name.to_string()).or_insert(mark);
                End::Object(Box::new(self.recognised(*object)))
            }
            End::Deleted => {
                self.state.lock().known.remove(&change.target.to_string());
                End::Deleted
            }
            end => end,
        }
    }
    pub(crate) async fn create<K: Specimen>(&self, spec: K::Spec) -> Verdict<Object<K>> {
        let change = self.create_of::<K>(spec)?;
        Ok(self.drive(&change, Manner::PLAIN).await.object()?)
    }
    pub(crate) async fn update<K: Specimen>(&self, object: &Object<K>, desired: K::Spec, manner: Manner) -> Verdict<Object<K>> {
        let change = self.update_of(object, desired)?;
        Ok(self.drive(&change, manner).await.object()?)
    }
    /// Until what was changed is seen everywhere.
    pub(crate) async fn settle(&self) {
        if !self.subject.settles.is_zero() {
            tokio::time::sleep(self.subject.settles).await;
        }
    }
    pub(crate) fn update_of<K: Specimen>(&self, object: &Object<K>, desired: K::Spec) -> Verdict<Change<K>> {
        let paths = changed_paths::<K>(&object.spec, &desired)?;
        let mut change = self.change_of(object, Verb::Update { desired, paths: paths.clone() })?;
        change.past = self.past::<K>(&change.uid)?;
        change.past.push(Past::of_update(object.spec.clone(), paths));
        Ok(change)
    }
    fn past<K: Specimen>(&self, uid: &Uid) -> Verdict<Vec<Past<K>>> {
        let past = self.state.lock().pasts.get(uid).cloned();
        past.map_or_else(|| Ok(Vec::new()), |past| serde_json::from_value(past).map_err(|e| Stop::Failed(e.to_string())))
    }
    pub(crate) fn act_of<K: Specimen>(&self, object: &Object<K>, action: K::Action) -> Verdict<Change<K>> {
        let change = self.change_of(object, Verb::Act(action))?;
        Ok(Change { past: self.past::<K>(&change.uid)?, ..change })
    }
    pub(crate) async fn act<K: Specimen>(&self, object: &Object<K>, action: K::Action, manner: Manner) -> Verdict {
        let change = self.act_of(object, action)?;
        self.drive(&change, manner).await.end?;
        Ok(())
    }
    /// Deletes what nothing holds any more.
    pub(crate) async fn delete<K: Specimen>(&self, object: &Object<K>, manner: Manner) -> Verdict {
        K::let_go(self, object).await?;
        let change = self.change_of(object, Verb::Delete)?;
        self.drive(&change, manner).await.end?;
        Ok(())
    }
    /// What the engine does after a create that failed or was cancelled.
    pub(crate) async fn clean<K: Specimen>(&self, create: &Change<K>, left: Resume) -> Verdict {
        let expect = if let Verb::Create { spec, .. } = &create.verb { K::version(spec) } else { None };
        let change = Change { verb: Verb::Delete, expect, ..create.clone() };
        self.cleaned(&change, left).await
    }
    /// A delete that cleans up.
    async fn cleaned<K: Specimen>(&self, change: &Change<K>, left: Resume) -> Verdict {
        let left = Resume { cleans_up: true, ..left };
        match drive(self.subject, change, left.clone(), Manner::PLAIN).await.end {
            // A server cleans up after those of its own creates that have not ended well; to it this is a delete like any other.
            Err(e) if self.subject.served && matches!(e.reason(), Reason::InUse | Reason::DeletionProtected) => {
                let object = match self.get(&Target::named(change.target.name()?.clone())).await {
                    // It was cleaned up before: the same request is answered with its first end.
                    Err(e) if e.is_not_found() => return Ok(()),
                    found => found?,
                };
                K::let_go(self, &object).await?;
                drive(self.subject, &self.change_of(&object, Verb::Delete)?, left, Manner::PLAIN).await.end?;
                Ok(())
            }
            end => Ok(end.map(drop)?),
        }
    }
    /// How often it was rebooted, where the vendor counts that.
    pub(crate) async fn reboots<K: Kind>(&self, object: &Object<K>) -> Verdict<Option<u64>> {
        let all = self.inventory().await?;
        Ok(all.iter().find(|o| o.vendor_id == object.vendor_id.as_str()).and_then(|o| o.reboots))
    }
    pub(crate) async fn plant(&self, plant: Plant) -> Verdict<String> {
        // So that what it stands on is seen as well.
        self.settle().await;
        let id = self.subject.world.plant(plant).await?;
        self.state.lock().planted.push(id.clone());
        Ok(id)
    }

    // What instances and subnets need.

    pub(crate) async fn image(&self) -> Verdict<Ref<Image>> {
        let name: Name<Image> = Name::new(self.subject.location.clone(), self.subject.image_family.parse()?);
        let found = self.get(&Target::named(name.clone())).await?;
        Ok(Ref::resolved(name, found.vendor_id))
    }
    pub(crate) async fn zones(&self) -> Verdict<Vec<String>> {
        let found: Object<Location> = self.get(&Target::named(self.subject.location.clone())).await?;
        Ok(found.status.zones)
    }
    /// The one that everything of a trial lies in unless it says otherwise.
    pub(crate) async fn zone(&self) -> Verdict<String> {
        self.zones().await?.into_iter().next().ok_or_else(|| Stop::Failed(format!("{} has no zone", self.subject.location)))
    }

    // Reading.

    /// One read, repeated only as its errors allow.
    pub(crate) async fn get<K: Kind>(&self, target: &Target<K>) -> Outcome<Object<K>> {
        let reader = K::reader(&*self.subject.provider).ok_or_else(|| Error::unsupported_kind(K::COLLECTION))?;
        let found = self.repeated(async || reader.get(&context(self.subject, Arc::new(OpenGate)), target).await).await;
        found.map(|object| self.recognised(object))
    }
    /// One question, repeated only as its errors allow. It must not write.
    pub(crate) async fn ask<K: Specimen>(&self, target: &Target<K>, question: &K::Question) -> Outcome<K::Answer> {
        let driver = self.driver::<K>()?;
        self.repeated(async || driver.ask(&context(self.subject, Arc::new(ReadOnly)), target, question).await).await
    }
    /// Asks until what it is asked of is there: that a read has shown it does not say that the next one does.
    pub(crate) async fn eventually_asked<K: Specimen>(&self, target: &Target<K>, question: &K::Question) -> Verdict<K::Answer> {
        let (begin, most) = (Instant::now(), self.horizon::<K>() + GRACE);
        loop {
            match self.ask(target, question).await {
                Err(e) if e.is_not_found() && begin.elapsed() < most => tokio::time::sleep(LOOK).await,
                answer => return Ok(answer?),
            }
        }
    }
    /// Reads until it is there: within the horizon it may not be seen yet.
    pub(crate) async fn eventually<K: Kind>(&self, target: &Target<K>) -> Verdict<Object<K>> {
        self.eventually_with(target, |_| true).await
    }
    /// Reads until it is there and as wanted.
    pub(crate) async fn eventually_with<K: Kind>(&self, target: &Target<K>, wanted: impl Fn(&Object<K>) -> bool) -> Verdict<Object<K>> {
        let (begin, most) = (Instant::now(), self.horizon::<K>() + GRACE);
        loop {
            match self.get(target).await {
                Ok(object) if wanted(&object) => return Ok(object),
                Ok(_) if begin.elapsed() < most => {}
                Ok(object) => return failed(format!("{target} does not become what it should: {object:?}")),
                Err(e) if e.is_not_found() && begin.elapsed() < most => {}
                Err(e) => return Err(e.into()),
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    /// Lists until it is there under its own name.
    pub(crate) async fn eventually_listed<K: Specimen>(&self, object: &Object<K>) -> Verdict<Object<K>> {
        let (begin, most) = (Instant::now(), self.horizon::<K>() + GRACE);
        loop {
            let listed = self.list(&Query::<K>::below(self.place::<K>()?, 100)).await?;
            match listed.into_iter().find(|o| o.vendor_id == object.vendor_id) {
                Some(found) if found.name == object.name => return Ok(found),
                found if begin.elapsed() > most => return failed(format!("{} is listed as {found:?}", object.name)),
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }
    /// Reads until it is not there any more, for at most the horizon.
    pub(crate) async fn eventually_gone<K: Kind>(&self, target: &Target<K>) -> Verdict {
        let (begin, most) = (Instant::now(), self.horizon::<K>() + GRACE);
        loop {
            match self.get(target).await {
                Err(e) if e.is_not_found() => return Ok(()),
                Ok(o) if begin.elapsed() > most => return failed(format!("{target} is still there: {o:?}")),
                Ok(_) => tokio::time::sleep(LOOK).await,
                Err(e) => return Err(e.into()),
            }
        }
    }
    pub(crate) async fn page<K: Kind>(&self, query: &Query<K>, shard: &welkin_core::Shard, from: Option<&welkin_core::Cursor>) -> Outcome<Page<K>> {
        let reader = K::reader(&*self.subject.provider).ok_or_else(|| Error::unsupported_kind(K::COLLECTION))?;
        self.repeated(async || reader.list(&context(self.subject, Arc::new(OpenGate)), query, shard, from).await).await
    }
    /// A call that changes nothing, as often as its errors allow.
    pub(crate) async fn repeated<T>(&self, call: impl AsyncFn() -> Outcome<T>) -> Outcome<T> {
        let (begin, mut failures) = (Instant::now(), 0);
        loop {
            let error = match call().await {
                Err(e) if begin.elapsed() < self.subject.patience => e,
                answer => return answer,
            };
            let Some(after) = error.retry_after() else { return Err(error) };
            failures += 1;
            tokio::time::sleep(after.min(self.subject.longest_wait).max(backoff(failures))).await;
        }
    }
    /// Every shard to its end.
    pub(crate) async fn list<K: Kind>(&self, query: &Query<K>) -> Verdict<Vec<Object<K>>> {
        let Some(reader) = K::reader(&*self.subject.provider) else { return skipped(format!("the provider does not offer {}", K::COLLECTION)) };
        let mut all = Vec::new();
        for shard in reader.shards(query) {
            let mut from = None;
            loop {
                let page = self.page(query, &shard, from.as_ref()).await?;
                ensure!(page.unreachable.is_empty(), "{:?} could not be read", page.unreachable);
                ensure!(page.items.len() <= query.page_size, "a page of {} where {} were asked for", page.items.len(), query.page_size);
                all.extend(page.items.into_iter().map(|object| self.recognised(object)));
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
        }
        Ok(all)
    }

    // Judging.

    /// What was asked for is what is answered, and every field of it has been shown to work.
    pub(crate) fn echoes<K: Specimen>(&self, asked: &K::Spec, got: &Object<K>) -> Verdict {
        let set = set_fields::<K>(asked);
        let differ = differences::<K>(asked, &got.spec)?;
        let hidden =
            |path: &str| path == "provider_config" || K::INPUT_ONLY.iter().any(|only| path.strip_prefix(only).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
        if let Some(path) = differ.iter().find(|p| set.contains(&p.0) && !hidden(&p.0)) {
            return failed(format!("{path} was asked for and is not answered: {asked:?} became {:?}", got.spec));
        }
        for path in set {
            self.show::<K>(&path);
        }
        Ok(())
    }
    pub(crate) async fn inventory(&self) -> Verdict<Vec<WorldObject>> {
        Ok(self.subject.world.inventory().await?)
    }
    /// What the vendor has now that it did not have then.
    pub(crate) async fn new_since(&self, then: &[WorldObject]) -> Verdict<Vec<WorldObject>> {
        let then = ids(then);
        Ok(self.inventory().await?.into_iter().filter(|o| !then.contains(&o.vendor_id)).collect())
    }

    /// Removes everything that the trial made, the last first. What is left after that is a leak.
    pub(crate) async fn clear(&self) -> Verdict {
        self.subject.world.settle_faults().await;
        self.subject.world.restock().await;
        let (made, planted) = {
            let mut state = self.state.lock();
            (std::mem::take(&mut state.made), std::mem::take(&mut state.planted))
        };
        let mut last = None;
        for id in planted.iter().rev() {
            if ids(&self.inventory().await?).contains(id) {
                self.subject.world.remove(id).await?;
            }
        }
        for made in made.iter().rev() {
            let here = ids(&self.inventory().await?);
            if made.vendor_id.as_ref().is_some_and(|v| !here.contains(v.as_str())) {
                continue;
            }
            let done = with_kind!(made.collection, K => self.clear_one::<K>(made).await, else failed(format!("no kind {}", made.collection)));
            last = done.err().or(last);
        }
        if let Some(e) = last {
            return Err(e);
        }
        let left: Vec<_> = self.inventory().await?.into_iter().filter(|o| !self.before.contains(&o.vendor_id)).collect();
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    }
    async fn clear_one<K: Specimen>(&self, made: &Made) -> Verdict {
        let left = if made.vendor_id.is_some() { Resume::default() } else { made.left.clone() };
        let target = Target::Named { name: made.name.parse()?, uid: Some(made.uid.clone()), vendor_id: made.vendor_id.clone() };
        let change = Change::<K> { target, uid: made.uid.clone(), token: made.token.clone(), expect: None, past: Vec::new(), verb: Verb::Delete };
        if !K::IS_MARKED && made.vendor_id.is_some() {
            // Nothing is left of a create that ended well: it is a delete like any other.
            return Ok(drive(self.subject, &change, left, Manner::PLAIN).await.end.map(drop)?);
        }
        self.cleaned(&change, left).await
    }
}

pub(crate) fn minted() -> Verdict<Uid> {
    Ok(uuid::Uuid::new_v4().to_string().parse()?)
}
pub(crate) fn ids(objects: &[WorldObject]) -> BTreeSet<String> {
    objects.iter().map(|o| o.vendor_id.clone()).collect()
}
/// How many there are of each collection; fragments count together.
pub(crate) fn census(objects: &[WorldObject]) -> BTreeMap<&'static str, usize> {
    let mut out = BTreeMap::new();
    for o in objects {
        *out.entry(o.collection.unwrap_or("fragments")).or_insert(0) += 1;
    }
    out
}
/// The id under which a vendor's object that is not ours appears.
pub(crate) fn foreign<K: Specimen>(place: &K::Parent, vendor_id: &str) -> Verdict<Name<K>> {
    Ok(Name::new(place.clone(), K::foreign_id(vendor_id)?))
}
