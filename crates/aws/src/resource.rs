//! What the drivers of all managed kinds share: finding an object although reads and tags lag behind writes.
//!
//! EC2 shows what was written, and its tags, only some time later, and may show it, then not, then again
//! (<https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>). So what is not seen, or seen without any tag, counts as absent
//! or as foreign only when the provider's horizon has passed.

use crate::{
    Aws,
    client::Region,
    error,
    mark::{GROUP_OF, OWNER, Tags, filter, of_id, of_owner, of_uid},
    page::{At, MAX_RESULTS, WHOLE, all_pages},
    step::{age, answered, now_ms, pace, told, unresolved_ms},
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{Filter, Tag};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};
use welkin_core::{
    Change, Cursor, Cx, Data, Effect, Error, ErrorKind, FieldPath, Kind, LocationName, Managed, Past, Query, Reason, ResourceId, Result, Resume, Retry, Shard, Step, Target,
    VendorId,
};

/// For how long something may be seen in use, or running, before what that forbids is refused: what was deleted or stopped just before may still be
/// shown. The whole horizon would keep those waiting who have to do something about it.
pub(crate) const SHOWN_TOO_LONG: Duration = Duration::from_secs(5);

/// What a create has made so far.
pub(crate) trait Pieces: Data {
    /// The ids of all of it.
    fn ids(&self) -> impl Iterator<Item = &String>;
    /// Is there nothing else that a later write of the create makes?
    fn is_whole(&self) -> bool;
}

/// How a kind is kept at EC2.
#[async_trait]
pub(crate) trait Kept: Managed<Parent = LocationName, Id = ResourceId> {
    type Row: Send + Sync;
    /// What its ids begin with; what is left of it has other ids.
    const PREFIX: &'static str;
    /// The filter by ids.
    const BY_ID: &'static str;
    /// What EC2 answers where it does not know the id.
    const GONE: &'static [&'static str];
    /// What its create keeps between steps, and the delete that cleans up after it begins with.
    type Made: Pieces;

    /// One call, by id.
    async fn one(region: &Region, cx: &Cx, id: &str) -> Result<Option<Self::Row>>;
    /// One page of those that the filters let through, whatever their state, and where the next begins.
    async fn page(region: &Region, cx: &Cx, filters: Vec<Filter>, size: i32, token: Option<String>) -> Result<(Option<Vec<Self::Row>>, Option<String>)>;
    /// Every one of them.
    async fn many(region: &Region, cx: &Cx, filters: Vec<Filter>) -> Result<Vec<Self::Row>> {
        all_pages(|token| Self::page(region, cx, filters.clone(), WHOLE, token)).await
    }
    fn id(row: &Self::Row) -> Option<&str>;
    fn tags(row: &Self::Row) -> &[Tag];
    /// When it was made, where EC2 tells.
    fn created_ms(row: &Self::Row) -> Option<u64>;
    /// Is it still described and yet no more?
    fn is_over(row: &Self::Row) -> bool;
    /// Does it belong to something of another kind, whose id it carries? Only of volumes: an instance's carry its mark, without a digest.
    fn is_part(_: &Tags) -> bool {
        false
    }
}

/// An object that a change is about.
#[derive(Debug)]
pub(crate) enum Found<R> {
    Here(R),
    /// Look again: the data keeps since when.
    NotYet(Looking),
}
/// Since when something is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Looking {
    looking_since_ms: u64,
}
impl Looking {
    pub(crate) fn of(resume: &Resume) -> Self {
        let kept = resume.data::<Self>().map(|l| Self { looking_since_ms: l.looking_since_ms.max(unresolved_ms(resume)) });
        kept.unwrap_or_else(Self::from_now)
    }
    pub(crate) fn from_now() -> Self {
        Self { looking_since_ms: now_ms() }
    }
    pub(crate) fn age(&self) -> Duration {
        age(self.looking_since_ms)
    }
    pub(crate) fn step<T>(&self) -> Result<Step<T>> {
        self.waits("waiting for EC2 to show it with its tags")
    }
    pub(crate) fn waits<T>(&self, progress: impl Into<String>) -> Result<Step<T>> {
        Step::wait(self, pace(self.looking_since_ms), progress)
    }
}

/// What a delete keeps between its steps. The deadline is kept because the engine's own note of an unresolved write is renewed by every write of
/// the delete itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Leaving {
    leaving_since_ms: u64,
    /// Until when something of it may still appear.
    leaving_until_ms: u64,
    /// EC2 has accepted the end of the main object, so that not to see it means that it is gone.
    is_ended: bool,
    /// What a create that is cleaned up after has made: ours, whatever is seen of it and its tags.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    made: BTreeSet<String>,
    /// When this step began. What it saw tells how things were then, however slowly EC2 has answered.
    #[serde(skip)]
    now_ms: u64,
}
impl Leaving {
    /// With what is left to resolve.
    pub(crate) fn of<P: Pieces>(resume: &Resume, horizon: Duration) -> (Self, Resume) {
        let now = now_ms();
        let (kept, resume) = match resume.data::<P>() {
            Some(made) => {
                let unresolved = resume.unresolved.filter(|_| !made.is_whole());
                let leaving = Self { leaving_since_ms: now, made: made.ids().cloned().collect(), ..Self::default() };
                (Some(leaving), Resume { unresolved, ..resume.clone() })
            }
            None => resume.read(),
        };
        let mut leaving = Self { now_ms: now, ..kept.unwrap_or_else(|| Self { leaving_since_ms: now, ..Self::default() }) };
        if let Some(since) = resume.unresolved {
            leaving.look_until(now + millis(horizon.saturating_sub(since.elapsed())));
        }
        (leaving, resume)
    }
    /// Was the main object's end accepted?
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended
    }
    /// The ids with this prefix that the create made and that are not known to have gone.
    pub(crate) fn made(&self, prefix: &'static str) -> impl Iterator<Item = &str> {
        self.made.iter().map(String::as_str).filter(move |id| id.starts_with(prefix))
    }
    /// It has gone.
    pub(crate) fn removed(&mut self, id: &str) {
        self.made.remove(id);
    }
    pub(crate) fn look_until(&mut self, until_ms: u64) {
        self.leaving_until_ms = self.leaving_until_ms.max(until_ms);
    }
    /// The main object's end was accepted.
    pub(crate) fn ended(&mut self) {
        self.is_ended = true;
    }
    /// EC2 did not know what it had just shown. Which of the two lags only time tells.
    pub(crate) fn contradicted(&mut self, horizon: Duration) {
        self.look_until(self.leaving_since_ms + millis(horizon));
    }
    pub(crate) fn is_early(&self, horizon: Duration) -> bool {
        u128::from(self.now_ms.saturating_sub(self.leaving_since_ms)) < horizon.as_millis()
    }
    /// EC2 lets go of what was in it only some time after that was deleted.
    pub(crate) fn may_settle(&self, refusal: &Error, horizon: Duration) -> bool {
        error::is(refusal, &["DependencyViolation"]) && self.is_early(horizon)
    }
    /// What seems to use it may have gone a moment ago.
    pub(crate) fn may_be_free(&self, refusal: &Error, horizon: Duration) -> bool {
        refusal.reason() == Reason::InUse && refusal.effect() == Effect::None && self.is_early(horizon.min(SHOWN_TOO_LONG))
    }
    /// What uses it was shown too early or too long.
    pub(crate) fn may_lag(&self, refusal: &Error, codes: &[&str], horizon: Duration) -> bool {
        reference_lags(refusal, codes, self.leaving_since_ms, horizon)
    }
    /// Can nothing of it appear any more?
    pub(crate) fn is_past(&self) -> bool {
        self.leaving_until_ms <= self.now_ms
    }
    /// Something is left.
    pub(crate) fn wait(&self, what: &str) -> Result<Step<()>> {
        Step::wait(self, pace(self.leaving_since_ms), what)
    }
    /// Nothing is left: over, unless something can still appear.
    pub(crate) fn quiet(&self) -> Result<Step<()>> {
        if self.is_past() {
            return Ok(Step::Done(()));
        }
        let left = Duration::from_millis(self.leaving_until_ms.saturating_sub(now_ms()));
        Step::wait(self, pace(self.leaving_since_ms).min(left), "waiting until nothing of it can appear any more")
    }
}
/// What a delete finds.
pub(crate) struct Left<R> {
    /// Ours.
    pub(crate) rows: Vec<R>,
    /// Main objects that are no more and that this delete has not ended.
    pub(crate) over: Vec<R>,
    /// There is one that may turn out to be ours, or that was made and is not seen yet.
    pub(crate) is_hidden: bool,
    pub(crate) leaving: Leaving,
}

pub(crate) fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// None where EC2 says that there is none.
pub(crate) async fn by_id<K: Kept>(region: &Region, cx: &Cx, id: &str) -> Result<Option<K::Row>> {
    match K::one(region, cx, id).await {
        Err(e) if error::is(&e, K::GONE) => Ok(None),
        answer => answer,
    }
}
/// The id of what may be the main object of a target.
fn main_id<K: Kept>(target: &Target<K>) -> Option<&VendorId> {
    target.vendor_id().filter(|id| id.as_str().starts_with(K::PREFIX))
}
/// What has no name was adopted: it carries no mark, and nothing else belongs to it.
pub(crate) fn is_adopted<K: Kind>(target: &Target<K>) -> bool {
    matches!(target, Target::Vendor { .. })
}
/// The lowest id of those alive, else of all, so that every step takes the same one.
pub(crate) fn first<K: Kept>(found: &[K::Row]) -> Option<String> {
    found.iter().filter_map(|row| Some((K::is_over(row), K::id(row)?.to_owned()))).min().map(|(_, id)| id)
}
/// The one object that a look-up by mark found.
fn only<K: Kept>(target: &Target<K>, mut found: Vec<K::Row>) -> Result<Option<K::Row>> {
    found.retain(|row| !K::is_over(row));
    if found.len() > 1 {
        return Err(copies(target, found.iter().filter_map(K::id).collect()));
    }
    Ok(found.pop())
}
/// More than one carries the mark that one only can have.
pub(crate) fn copies<K: Kind>(target: &Target<K>, mut ids: Vec<&str>) -> Error {
    ids.sort_unstable();
    let why = format!("{} objects carry the mark of {target}: {}; remove the tags of those that are copies", ids.len(), ids.join(", "));
    Error::new(ErrorKind::FailedPrecondition, Reason::NameTaken, why).with_resource(target.to_string())
}
/// Is what has these tags what the change is about? What was adopted carries nobody's mark, and what an instance group has made is the group's.
pub(crate) fn is_mine<K: Managed>(cx: &Cx, change: &Change<K>, tags: &Tags) -> bool {
    if is_adopted(&change.target) { tags.get(OWNER).is_none() && tags.get(GROUP_OF).is_none() } else { tags.mark(&cx.owner).is_some_and(|(_, m)| m.uid == change.uid) }
}
/// Is this field, or a part of it, to be changed?
pub(crate) fn names(paths: &BTreeSet<FieldPath>, field: &str) -> bool {
    paths.iter().any(|path| path.0.split('.').next() == Some(field))
}
/// What is known to be there a moment ago and is not shown.
pub(crate) fn not_shown(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, Reason::NotYetVisible, format!("AWS does not show {what} yet")).with_retry(Retry::After(Duration::from_secs(1)))
}
/// It may be ours, and may be too new to be seen as it is.
pub(crate) fn not_yet_shown<K: Kind>(why: &str, target: &Target<K>) -> Error {
    Error::new(ErrorKind::Unavailable, Reason::NotYetVisible, why).with_retry(Retry::After(pace(now_ms()))).with_resource(target.to_string())
}
pub(crate) fn not_owned<K: Managed>(target: &Target<K>, vendor_id: &str) -> Error {
    Error::new(ErrorKind::FailedPrecondition, Reason::NotOwned, format!("{vendor_id} does not carry the mark of {target}")).with_resource(target.to_string())
}

impl Aws {
    /// May its tags still be on their way? Marks are written with the object itself, so they are seen all or not at all. `since_ms`: since when
    /// this change looks at it, None in a read.
    ///
    /// EC2 does not tell when a VPC or subnet was made. A target with a uid is known to the engine as ours, so one without a single tag more
    /// likely lags than lost them all; a read, which has no memory, then never calls it foreign.
    fn may_lag<K: Kept>(&self, row: &K::Row, since_ms: Option<u64>) -> bool {
        match K::created_ms(row) {
            Some(at) => self.may_yet_be_marked(&Tags::of(K::tags(row)), Some(at)),
            None => K::tags(row).is_empty() && since_ms.is_none_or(|at| age(at) < self.horizon),
        }
    }
    /// Is it without a mark, and so new that one may be on its way? Where nobody tells when it was made, it is not.
    pub(crate) fn may_yet_be_marked(&self, tags: &Tags, created_ms: Option<u64>) -> bool {
        !tags.has_ours() && created_ms.is_some_and(|at| age(at) < self.horizon)
    }
    fn is_mine<K: Kept>(cx: &Cx, change: &Change<K>, row: &K::Row) -> bool {
        is_mine(cx, change, &Tags::of(K::tags(row)))
    }

    /// For a read: None where it does not exist.
    pub(crate) async fn seen<K: Kept>(&self, cx: &Cx, target: &Target<K>) -> Result<Option<K::Row>> {
        let region = self.region(target.parent())?;
        let row = match (main_id(target), target) {
            (Some(id), _) => by_id::<K>(region, cx, id.as_str()).await?.filter(|row| !K::is_over(row)),
            (None, Target::Named { name, uid, .. }) => {
                let mut found = K::many(region, cx, of_id(&cx.owner, &name.id, uid.as_ref())).await?;
                found.retain(|row| !K::is_part(&Tags::of(K::tags(row))));
                only(target, found)?
            }
            (None, Target::Vendor { .. }) => None,
        };
        match row {
            Some(row) if matches!(target, Target::Named { uid: Some(_), .. }) && self.may_lag::<K>(&row, None) => {
                Err(not_yet_shown(&format!("EC2 does not show the tags of {target} yet"), target))
            }
            row => Ok(row),
        }
    }
    /// For a list: one page of those that are not narrowed away, and where it goes on.
    pub(crate) async fn listed<K: Kept>(
        &self,
        cx: &Cx,
        query: &Query<K>,
        shard: &Shard,
        from: Option<&Cursor>,
        mut filters: Vec<Filter>,
    ) -> Result<(&Region, Vec<K::Row>, Option<Cursor>)> {
        let region = self.shard(shard)?;
        let at = At::read(from)?;
        if query.owned_only {
            filters.push(of_owner(&cx.owner));
        }
        if !query.vendor_ids.is_empty() {
            filters.push(filter(K::BY_ID, query.vendor_ids.iter().map(VendorId::as_str)));
        }
        let size = i32::try_from(query.page_size.clamp(MAX_RESULTS.0, MAX_RESULTS.1)).unwrap_or(5);
        let (found, token) = K::page(region, cx, filters, size, at.token.clone()).await?;
        let (found, next) = at.cut(found.unwrap_or_default(), token, query.page_size, |row| K::id(row).unwrap_or_default().to_owned())?;
        Ok((region, found, next))
    }
    /// For a step of a change of what is there: it must be ours.
    pub(crate) async fn located<K: Kept>(&self, cx: &Cx, change: &Change<K>, resume: &Resume) -> Result<Found<K::Row>> {
        let region = self.region(change.target.parent())?;
        let looking = Looking::of(resume);
        let is_early = looking.age() < self.horizon;
        let row = match main_id(&change.target) {
            Some(id) => by_id::<K>(region, cx, id.as_str()).await?,
            None => only(&change.target, K::many(region, cx, of_uid(&cx.owner, &change.uid)).await?)?,
        };
        match row {
            Some(row) if K::is_over(&row) => Err(Error::not_found(&change.target)),
            Some(row) if Self::is_mine(cx, change, &row) => Ok(Found::Here(row)),
            Some(row) if self.may_lag::<K>(&row, Some(looking.looking_since_ms)) => Ok(Found::NotYet(looking)),
            Some(row) => Err(not_owned(&change.target, K::id(&row).unwrap_or_default())),
            None if is_early => Ok(Found::NotYet(looking)),
            None => Err(Error::not_found(&change.target)),
        }
    }
    /// For a check: what is adopted, or to be, must not carry anybody's mark, and must not be so new that it may yet show one.
    pub(crate) async fn check_adopted<K: Kept>(&self, cx: &Cx, change: &Change<K>) -> Result<()> {
        let (true, Some(id)) = (is_adopted(&change.target), main_id(&change.target)) else { return Ok(()) };
        match by_id::<K>(self.region(change.target.parent())?, cx, id.as_str()).await? {
            Some(row) if !Self::is_mine(cx, change, &row) => Err(not_owned(&change.target, id.as_str())),
            Some(row) if K::created_ms(&row).is_some() && self.may_lag::<K>(&row, None) => {
                Err(not_yet_shown(&format!("{id} was made just now, and EC2 may not show its tags yet"), &change.target))
            }
            _ => Ok(()),
        }
    }
    /// Does this read show something of before an update of ours? What would be worked out from it is wrong: look again.
    pub(crate) fn is_old<K: Kept>(&self, change: &Change<K>, shown: &K::Spec) -> Result<bool> {
        Past::is_any_shown(&change.past, shown, now_ms(), self.horizon)
    }
    /// A write to what was found just now is refused: where EC2 does not know it everywhere yet, look again.
    pub(crate) fn refused<K: Kept, T>(&self, resume: &Resume, refusal: Error) -> Result<Step<T>> {
        let looking = Looking::of(resume);
        if error::is(&refusal, K::GONE) && age(looking.looking_since_ms) < self.horizon { looking.step() } else { Err(refusal) }
    }
    /// What a create has made, by its id: None where it is not known everywhere yet.
    pub(crate) async fn shown<K: Kept>(&self, cx: &Cx, change: &Change<K>, id: &str, since_ms: u64) -> Result<Option<K::Row>> {
        let is_late = age(since_ms) >= self.horizon;
        match by_id::<K>(self.region(change.target.parent())?, cx, id).await? {
            None if is_late => {
                let why = format!("{id} was deleted while it was being made");
                Err(Error::new(ErrorKind::Aborted, Reason::CreationFailed, why).with_effect(Effect::Applied).with_resource(change.target.to_string()))
            }
            row => Ok(row),
        }
    }
    /// What a delete still has to end, and until when more of it may appear.
    pub(crate) async fn left<K: Kept>(&self, cx: &Cx, change: &Change<K>, resume: &Resume) -> Result<Left<K::Row>> {
        let region = self.region(change.target.parent())?;
        let (mut leaving, resume) = Leaving::of::<K::Made>(resume, self.horizon);
        // Nothing carries the mark of what was adopted.
        let mut rows = if is_adopted(&change.target) { Vec::new() } else { K::many(region, cx, of_uid(&cx.owner, &change.uid)).await? };
        let mut is_hidden = false;
        let made = leaving.made(K::PREFIX).next().map(str::to_owned);
        if let Some(id) = made.as_deref().or(main_id(&change.target).map(VendorId::as_str))
            && !rows.iter().any(|row| K::id(row) == Some(id))
        {
            match by_id::<K>(region, cx, id).await? {
                Some(row) if made.is_some() || K::is_over(&row) || Self::is_mine(cx, change, &row) => rows.push(row),
                Some(row) if self.may_lag::<K>(&row, Some(leaving.leaving_since_ms)) => is_hidden = true,
                Some(_) => return Err(not_owned(&change.target, id)),
                None if leaving.is_ended => {}
                None if made.is_some() => is_hidden = leaving.is_early(self.horizon),
                // Only what was seen is written to, so until when to look follows from that write, also where the handle is lost.
                None if resume.is_unresolved() => {}
                // The engine knows that it was there: it is gone, or too new to be seen.
                None => leaving.contradicted(self.horizon),
            }
        }
        let (mut over, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(K::is_over);
        if leaving.is_ended {
            over.clear();
        }
        for row in &rows {
            answered(told(K::id(row)), "id")?;
        }
        Ok(Left { rows, over, is_hidden, leaving })
    }
}

/// Was the call refused because something that the engine has resolved is not known everywhere yet? For as long as that can be, it is asked
/// again; then the refusal stands.
pub(crate) fn reference_lags(refusal: &Error, codes: &[&str], since_ms: u64, horizon: Duration) -> bool {
    refusal.effect() == Effect::None && error::is(refusal, codes) && age(since_ms) < horizon
}
