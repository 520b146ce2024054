//! What the drivers of all managed kinds have in common: finding, reading, listing and deleting.

use crate::{
    Sim, error,
    mark::{ID, OWNER, UID, mark},
    vendor::{Action, Answer, Cloud, Code, Filter, GROUP_TAG, Listed, Shown, Tags},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use welkin_core::{
    Change, Cursor, Cx, Error, ErrorKind, Kind, LocationName, Managed, Mark, Name, Object, Page, ProviderId, Query, Reason, Ref, ResourceId, Result, Resume, Retry, Revision,
    Shard, Step, Target, Uid, VendorId,
};

/// The vendor's row of one main object.
pub(crate) trait Row: Send + Sync {
    type Body;
    fn shown(&self) -> &Shown<Self::Body>;
}
impl<T: Send + Sync> Row for Shown<T> {
    type Body = T;
    fn shown(&self) -> &Shown<T> {
        self
    }
}
/// With what the vendor tells beside it: a subnet's addresses in use, what hangs on an instance.
impl<T: Send + Sync, More: Send + Sync> Row for (Shown<T>, More) {
    type Body = T;
    fn shown(&self) -> &Shown<T> {
        &self.0
    }
}
/// What can be left of a resource without its main object.
#[derive(Debug)]
pub(crate) struct Fragment {
    pub(crate) id: String,
    uid: Option<Uid>,
}
impl Fragment {
    pub(crate) fn of<T>(shown: &Shown<T>) -> Self {
        Self { id: shown.id().to_owned(), uid: shown.tags().and_then(|t| t.get(UID)).and_then(|uid| uid.parse().ok()) }
    }
}
/// A page, and where it goes on.
pub(crate) type Rows<R> = (Vec<R>, Option<String>);
/// Every page of a list that is needed whole: each call goes on where the one before it ended.
pub(crate) async fn all_pages<T, F>(mut page: impl FnMut(Option<String>) -> F + Send) -> Result<Vec<T>>
where
    T: Send,
    F: Future<Output = Result<Rows<T>>> + Send,
{
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (rows, next) = page(after).await?;
        all.extend(rows);
        after = next;
        if after.is_none() {
            return Ok(all);
        }
    }
}
/// The vendor's own form of one.
pub(crate) fn rows<T>(page: Listed<T>) -> Rows<Shown<T>> {
    (page.items, page.next)
}

/// How a kind is kept at the vendor.
#[async_trait]
pub(crate) trait Kept: Managed<Parent = LocationName, Id = ResourceId> {
    type Row: Row;
    /// The read that shows it, and the write that removes it.
    const READ: Action;
    const REMOVE: Action;
    /// What the vendor answers where it does not know the id.
    const UNKNOWN: Code;
    /// Is what the removal is refused for a part of it, which goes with it?
    const IS_FREED: bool = false;
    /// Can other objects with its marks be removed only after it?
    const HOLDS_PARTS: bool = false;

    async fn one(cloud: &Cloud, region: &str, id: &str) -> Answer<Option<Self::Row>>;
    async fn many(cloud: &Cloud, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Answer<Rows<Self::Row>>;
    async fn remove(cloud: &Cloud, region: &str, id: &str) -> Answer<()>;
    /// Ends what the vendor would refuse the removal for. Only for what a create has left, and for what is a part of it: of anything else it is
    /// a reason to refuse.
    async fn free(sim: &Sim, cx: &Cx, region: &str, row: &Self::Row) -> Result<()>;
    /// Is it on its way out already?
    fn is_leaving(row: &Self::Row) -> bool;
    /// Does the cloud show whose the parts are that hang on it? Once it is gone nobody could tell any more which parts those were.
    async fn shows_parts(sim: &Sim, cx: &Cx, region: &str, row: &Self::Row) -> Result<bool>;
    /// Other objects with these marks.
    async fn fragments(sim: &Sim, cx: &Cx, region: &str, marks: &[(&str, &str)]) -> Result<Vec<Fragment>>;
    /// Removes one of them.
    async fn remove_fragment(sim: &Sim, cx: &Cx, region: &str, id: &str) -> Result<()>;
    /// What is shown where only fragments are left.
    fn incomplete() -> Self::Status;
    /// The row in Welkin's terms.
    fn told(location: &LocationName, row: &Self::Row, tags: &Tags) -> Result<(Self::Spec, Self::Status)>;
    /// Where it lies, for its provider id.
    fn place(location: &LocationName, row: &Self::Row) -> String;
}

/// What was looked for is there, or not yet, or not at all.
pub(crate) enum Found<R> {
    Here(R),
    /// Look again: the data keeps since when.
    NotYet(Looking),
    Gone,
}

/// Where a create stands that may have been interrupted.
pub(crate) enum Begun<R> {
    /// Its main object is made.
    Here(R),
    /// Nothing is.
    Nothing,
    /// It cannot be told yet: look again.
    NotYet(String),
}

/// Since when something is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Looking {
    looking_since_ms: u64,
}
/// Until when something of a deleted resource may still appear.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Leaving {
    leaving_until_ms: u64,
}

impl Sim {
    /// The row in Welkin's terms: `tags` where the vendor does not show them yet and we know them.
    pub(crate) fn object<K: Kept>(cx: &Cx, location: &LocationName, row: &K::Row, tags: Option<&Tags>) -> Result<Object<K>> {
        let (none, shown) = (Tags::new(), row.shown());
        let tags = shown.tags().or(tags).unwrap_or(&none);
        let mark = mark(cx, tags);
        let ours = mark.as_ref().and_then(|_| tags.get(ID)).and_then(|id| id.parse::<ResourceId>().ok()).filter(ResourceId::is_label);
        let id = match ours {
            Some(id) => id,
            None => K::foreign_id(shown.id())?,
        };
        let (spec, status) = K::told(location, row, tags)?;
        Ok(Object {
            name: Name::new(location.clone(), id),
            vendor_id: shown.id().parse()?,
            provider_id: ProviderId::new("sim", "", &[K::place(location, row).as_str(), shown.id()])?,
            mark,
            revision: Some(Revision(shown.version().to_string())),
            created_ms: Some(shown.created_ms()),
            spec,
            status,
        })
    }
    /// May its tags still be on their way?
    pub(crate) fn is_young<R: Row>(&self, row: &R) -> bool {
        let shown = row.shown();
        shown.tags().is_none() && shown.created_ms() + self.horizon_ms() > shown.at_ms
    }
    /// What has no name was adopted: it is ours unless it carries anybody's mark, or is an instance group's.
    fn is_ours<K: Kept>(cx: &Cx, change: &Change<K>, row: &K::Row) -> bool {
        if is_adopted(&change.target) {
            return row.shown().tags().is_none_or(|t| !t.contains_key(OWNER) && !t.contains_key(GROUP_TAG));
        }
        row.shown().tags().and_then(|t| mark(cx, t)).is_some_and(|m| m.uid == change.uid)
    }
    pub(crate) fn not_yet_visible(&self, what: impl std::fmt::Display) -> Error {
        Error::new(ErrorKind::Unavailable, Reason::NotYetVisible, format!("the cloud does not show the tags of {what} yet")).with_retry(Retry::After(self.pause()))
    }

    pub(crate) async fn read<K: Kept>(&self, cx: &Cx, target: &Target<K>) -> Result<Object<K>> {
        let location = target.parent();
        let region = location.id.as_str();
        let row = match target {
            Target::Vendor { vendor_id, .. } | Target::Named { vendor_id: Some(vendor_id), .. } => {
                self.call(cx, K::READ, region, K::one(&self.cloud, region, vendor_id.as_str())).await?
            }
            Target::Named { name, uid, vendor_id: None } => {
                let (owner, id) = (cx.owner.as_str(), name.id.as_str());
                let mut marks = vec![(OWNER, owner), (ID, id)];
                marks.extend(uid.iter().map(|u| (UID, u.as_str())));
                let mut rows = self.marked::<K>(cx, region, &marks).await?;
                // A predecessor of the same name may still be on its way out.
                rows.sort_by_key(|r| (K::is_leaving(r), r.shown().created_ms()));
                rows.into_iter().next()
            }
        };
        match row {
            Some(row) if self.is_young(&row) => Err(self.not_yet_visible(target)),
            Some(row) => Self::object::<K>(cx, location, &row, None),
            None => self.rest::<K>(cx, target).await,
        }
    }
    /// The main object is not there: is anything else of it?
    async fn rest<K: Kept>(&self, cx: &Cx, target: &Target<K>) -> Result<Object<K>> {
        let Target::Named { name, uid, .. } = target else { return Err(Error::not_found(target)) };
        let (owner, id, region) = (cx.owner.as_str(), name.id.as_str(), name.parent.id.as_str());
        let mut marks = vec![(OWNER, owner), (ID, id)];
        marks.extend(uid.iter().map(|u| (UID, u.as_str())));
        let fragments = K::fragments(self, cx, region, &marks).await?;
        let Some(first) = fragments.first() else { return Err(Error::not_found(target)) };
        Ok(Object {
            name: name.clone(),
            vendor_id: first.id.parse()?,
            provider_id: ProviderId::new("sim", "", &[region, first.id.as_str()])?,
            mark: first.uid.clone().map(|uid| Mark { owner: cx.owner.clone(), uid, digest: None }),
            revision: None,
            created_ms: None,
            spec: K::Spec::default(),
            status: K::incomplete(),
        })
    }
    pub(crate) async fn page<K: Kept>(&self, cx: &Cx, query: &Query<K>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<K>> {
        let location = LocationName::of(&shard.0)?;
        let region = location.id.as_str();
        let ids: Vec<&str> = query.vendor_ids.iter().map(VendorId::as_str).collect();
        let owned = [(OWNER, cx.owner.as_str())];
        let filter = Filter { tags: if query.owned_only { &owned } else { &[] }, ids: &ids };
        let call = K::many(&self.cloud, region, filter, from.map(|c| c.0.as_str()), query.page_size.max(1));
        let (rows, next) = self.call(cx, K::READ, region, call).await?;
        let items = rows.iter().map(|row| Self::object::<K>(cx, &location, row, None)).collect::<Result<_>>()?;
        Ok(Page { items, next: next.map(Cursor), unreachable: Vec::new() })
    }

    /// Every main object with these marks.
    async fn marked<K: Kept>(&self, cx: &Cx, region: &str, marks: &[(&str, &str)]) -> Result<Vec<K::Row>> {
        all_pages(async |after| self.call(cx, K::READ, region, K::many(&self.cloud, region, Filter { tags: marks, ids: &[] }, after.as_deref(), usize::MAX)).await).await
    }
    /// The main object of a create of unknown fate.
    pub(crate) async fn made<K: Kept>(&self, cx: &Cx, change: &Change<K>) -> Result<Option<K::Row>> {
        let region = change.target.parent().id.as_str();
        let marks = [(OWNER, cx.owner.as_str()), (UID, change.uid.as_str())];
        Ok(self.marked::<K>(cx, region, &marks).await?.into_iter().next())
    }
    /// What a create has made: `made` is the id that its handle has; without one it is looked for, unless its write `is_keyed`, so that asking again is
    /// looking.
    pub(crate) async fn begun<K: Kept>(&self, cx: &Cx, change: &Change<K>, made: Option<&str>, is_keyed: bool, resume: &Resume, what: &str) -> Result<Begun<K::Row>> {
        let region = change.target.parent().id.as_str();
        if let Some(id) = made {
            let found = self.call(cx, K::READ, region, K::one(&self.cloud, region, id)).await?;
            return Ok(found.map_or_else(|| Begun::NotYet(format!("waiting for the cloud to show the {what}")), Begun::Here));
        }
        if is_keyed || !self.must_look(resume) {
            return Ok(Begun::Nothing);
        }
        Ok(match self.made(cx, change).await? {
            Some(row) => Begun::Here(row),
            None if resume.is_past(self.horizon()) => Begun::Nothing,
            None => Begun::NotYet("looking for what an interrupted call has made".to_owned()),
        })
    }
    /// The main object of a change of what is there, which must be ours.
    pub(crate) async fn located<K: Kept>(&self, cx: &Cx, change: &Change<K>, resume: &Resume) -> Result<Found<K::Row>> {
        let region = change.target.parent().id.as_str();
        let row = match change.target.vendor_id() {
            Some(id) => self.call(cx, K::READ, region, K::one(&self.cloud, region, id.as_str())).await?,
            None => self.made(cx, change).await?,
        };
        match row {
            Some(row) if self.is_young(&row) => Ok(self.later(resume)),
            Some(row) => {
                if !Self::is_ours(cx, change, &row) {
                    return Err(not_ours(&change.target));
                }
                match expected(change, resume) {
                    Some(version) if version != row.shown().version() => {
                        Err(Error::new(ErrorKind::Aborted, Reason::EtagMismatch, format!("{} has changed meanwhile", change.target)))
                    }
                    _ => Ok(Found::Here(row)),
                }
            }
            None => Ok(self.later(resume)),
        }
    }
    /// The same for a check: None where it does not exist.
    pub(crate) async fn present<K: Kept>(&self, cx: &Cx, change: &Change<K>) -> Result<Option<K::Row>> {
        match self.located(cx, change, &Resume::default()).await? {
            Found::Here(row) => Ok(Some(row)),
            Found::NotYet(_) => Err(self.not_yet_visible(&change.target)),
            Found::Gone => Ok(None),
        }
    }
    /// Not seen is not absent before the horizon.
    pub(crate) fn later<R>(&self, resume: &Resume) -> Found<R> {
        let now = self.now_ms();
        let looking = resume.data::<Looking>().unwrap_or(Looking { looking_since_ms: now });
        if looking.looking_since_ms + self.horizon_ms() > now { Found::NotYet(looking) } else { Found::Gone }
    }

    pub(crate) async fn erased<K: Kept>(&self, cx: &Cx, change: &Change<K>, resume: &Resume) -> Result<Step<()>> {
        let region = change.target.parent().id.as_str();
        let (now, horizon) = (self.now_ms(), self.horizon_ms());
        let (leaving, resume) = resume.read::<Leaving>();
        let mut until = leaving.map(|l| l.leaving_until_ms);
        // An update makes things too. Later steps know until when to look.
        let written = resume.written.filter(|_| leaving.is_none());
        if let Some(since) = resume.unresolved.max(written) {
            let left = self.horizon().saturating_sub(since.elapsed());
            until = until.max(Some(now + u64::try_from(left.as_millis()).unwrap_or(u64::MAX)));
        }
        let marks = [(OWNER, cx.owner.as_str()), (UID, change.uid.as_str())];
        // Nothing carries the mark of what was adopted, and nothing but the object itself is meant.
        let is_alone = is_adopted(&change.target);
        let mut rows = if is_alone { Vec::new() } else { self.marked::<K>(cx, region, &marks).await? };
        if rows.is_empty()
            && let Some(id) = change.target.vendor_id()
        {
            match self.call(cx, K::READ, region, K::one(&self.cloud, region, id.as_str())).await? {
                Some(row) if self.is_young(&row) => until = until.max(Some(row.shown().created_ms() + horizon)),
                // Its tags have become visible just now.
                Some(row) if Self::is_ours(cx, change, &row) => rows.push(row),
                Some(_) => return Err(not_ours(&change.target)),
                // The engine knows that it was there. Either it is gone or it is too new to be seen.
                None => until = until.or(Some(now + horizon)),
            }
        }
        let mut is_quiet = rows.is_empty();
        // What has been made lately may have fragments that are seen later than itself.
        until = rows.iter().map(|r| r.shown().created_ms() + horizon).max().max(until);
        for row in rows.iter().filter(|r| !K::is_leaving(r)) {
            if !is_alone && !K::shows_parts(self, cx, region, row).await? {
                return Step::wait(&Leaving { leaving_until_ms: until.unwrap_or(now) }, self.pause(), "waiting for the cloud to show whose its parts are");
            }
            if resume.cleans_up || K::IS_FREED {
                K::free(self, cx, region, row).await?;
            }
            let removed = self.call(cx, K::REMOVE, region, K::remove(&self.cloud, region, row.shown().id())).await;
            removed.or_else(|e| if error::is(&e, K::UNKNOWN) { Ok(()) } else { Err(e) })?;
        }
        let is_held = K::HOLDS_PARTS && !rows.is_empty();
        let fragments = if is_alone || is_held { Vec::new() } else { K::fragments(self, cx, region, &marks).await? };
        for fragment in fragments {
            is_quiet = false;
            match K::remove_fragment(self, cx, region, &fragment.id).await {
                // What holds it may not be seen yet.
                Err(e) if K::HOLDS_PARTS && e.reason() == Reason::InUse && until > Some(now) => {}
                removed => removed?,
            }
        }
        let until = until.unwrap_or(now);
        if is_quiet && until <= now {
            return Ok(Step::Done(()));
        }
        let (after, progress) = if is_quiet {
            (Duration::from_millis(until - now), "waiting until nothing of it can appear any more")
        } else if horizon == 0 && rows.iter().all(|r| !K::is_leaving(r)) {
            (Duration::ZERO, "looking whether everything is gone")
        } else {
            (self.pause(), "waiting for the cloud to remove it")
        };
        Step::wait(&Leaving { leaving_until_ms: until }, after, progress)
    }
}

pub(crate) fn is_adopted<K: Managed>(target: &Target<K>) -> bool {
    matches!(target, Target::Vendor { .. })
}
fn not_ours<K: Managed>(target: &Target<K>) -> Error {
    Error::new(ErrorKind::FailedPrecondition, Reason::NotOwned, format!("{target} is not Welkin's, or no longer")).with_resource(target.to_string())
}
/// The vendor's version that must still be current, where nothing of this change was written yet.
pub(crate) fn expected<K: Managed>(change: &Change<K>, resume: &Resume) -> Option<u64> {
    let is_first = resume.handle.is_none() && resume.unresolved.is_none();
    change.expect.as_ref().filter(|_| is_first).and_then(|r| r.0.parse().ok())
}
/// A write to an id that the vendor no longer knows means that the resource itself is gone.
pub(crate) fn or_gone<K: Kept, T>(target: &Target<K>, answer: Result<T>) -> Result<T> {
    answer.map_err(|e| if error::is(&e, K::UNKNOWN) { Error::not_found(target) } else { e })
}
/// The instance that an address or a disk is for: the vendor's code alone does not tell that it is about this field.
pub(crate) fn of_instance(e: Error) -> Error {
    let is_about = [Code::InstanceNotFound, Code::IncorrectState].iter().any(|code| error::is(&e, *code));
    if is_about { e.with_field("instance") } else { e }
}

/// A reference to what the vendor calls so, beside what is read.
pub(crate) fn by_vendor_id<K: Kind<Parent = LocationName>>(location: &LocationName, id: &str) -> Result<Ref<K>> {
    Ok(Ref::resolved(Name::new(location.clone(), K::foreign_id(id)?), id.parse()?))
}

macro_rules! reader {
    ($k:ty) => {
        #[async_trait]
        impl welkin_core::Reader<$k> for crate::Sim {
            fn shards(&self, query: &Query<$k>) -> Vec<Shard> {
                self.regions::<$k>(query.parent.as_ref())
            }
            async fn get(&self, cx: &Cx, target: &Target<$k>) -> Result<Object<$k>> {
                self.read(cx, target).await
            }
            async fn list(&self, cx: &Cx, query: &Query<$k>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<$k>> {
                self.page(cx, query, shard, from).await
            }
        }
    };
}
reader!(welkin_core::Network);
reader!(welkin_core::Subnet);
reader!(welkin_core::SecurityGroup);
reader!(welkin_core::Instance);
reader!(welkin_core::Address);
reader!(welkin_core::Disk);
reader!(welkin_core::DnsZone);
reader!(welkin_core::NatGateway);
reader!(welkin_core::RouteTable);
reader!(welkin_core::LoadBalancer);
reader!(welkin_core::InstanceGroup);
