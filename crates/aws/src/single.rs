//! What is one object at EC2, made in one write and removed in one: the frame of its create and its delete, and the head that every object has.

use crate::{
    Aws,
    client::Region,
    error,
    mark::{self, Tags, of_uid},
    resource::{self, Kept, Left, Pieces, reference_lags},
    step::{Look, answered, look, look_again, now_ms, pace, unresolved_ms, vendor_id},
    subnet::referred,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use welkin_core::{Change, Cx, Error, ErrorKind, Kind, LocationName, Mark, Name, Object, ProviderId, Reason, Ref, ResourceId, Result, Resume, Step, VendorId};

/// What a create has made so far, since when: at first since its first try, then since it was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct One {
    pub(crate) id: Option<String>,
    pub(crate) since_ms: u64,
}

impl Pieces for One {
    fn ids(&self) -> impl Iterator<Item = &String> {
        self.id.iter()
    }
    fn is_whole(&self) -> bool {
        self.id.is_some()
    }
}

/// A kind that is one object.
#[async_trait]
pub(crate) trait Single: Kept<Made = One> {
    /// What people call it.
    const WHAT: &'static str;
    /// What EC2 answers where it does not know yet what it refers to, or no more, or has not yet shown that it is used.
    const REFERENCES: &'static [&'static str];
    /// Is it still there for a while once its removal was accepted?
    const GOES_SLOWLY: bool = false;
    /// The write that makes it, and the id of what it made.
    async fn make(region: &Region, cx: &Cx, change: &Change<Self>, spec: &Self::Spec) -> Result<String>;
    /// May it go now? Names what is in the way, or takes that away where a create is cleaned up after, and then says what is waited for.
    async fn let_go(region: &Region, cx: &Cx, row: &Self::Row, cleans_up: bool) -> Result<Option<String>>;
    /// The write that removes it.
    async fn remove(region: &Region, cx: &Cx, id: &str) -> Result<()>;
}

/// How far a create has come.
pub(crate) enum Begun<K: Single> {
    /// It is made, and seen.
    Here(K::Row, One),
    /// Not yet.
    NotYet(Box<Step<Object<K>>>),
}

impl Aws {
    /// Makes the object, unless it is there, and looks until it is seen.
    pub(crate) async fn begun<K: Single>(&self, cx: &Cx, change: &Change<K>, spec: &K::Spec, resume: &Resume) -> Result<Begun<K>> {
        let region = self.region(change.target.parent())?;
        let (made, resume) = &resume.read::<One>();
        let made = made.clone().unwrap_or_else(|| One { id: None, since_ms: now_ms() });
        let (id, made) = match &made.id {
            Some(id) => (id.clone(), One { since_ms: made.since_ms.max(unresolved_ms(resume)), ..made.clone() }),
            None => {
                let find = async { Ok(resource::first::<K>(&K::many(region, cx, of_uid(&cx.owner, &change.uid)).await?)) };
                match look(resume, self.horizon, find).await? {
                    Look::Found(id) => (id.clone(), One { id: Some(id), since_ms: now_ms() }),
                    Look::Wait(after) => return Ok(Begun::NotYet(Box::new(look_again(after, K::WHAT)))),
                    Look::Write => {
                        let step = match K::make(region, cx, change, spec).await {
                            Ok(id) => Step::wait(&One { id: Some(id), since_ms: now_ms() }, Duration::ZERO, format!("the {} is made", K::WHAT)),
                            Err(e) if reference_lags(&e, K::REFERENCES, made.since_ms, self.horizon) => {
                                Step::wait(&made, pace(made.since_ms), format!("waiting for what the {} refers to to be known everywhere", K::WHAT))
                            }
                            Err(e) => Err(e),
                        };
                        return step.map(Box::new).map(Begun::NotYet);
                    }
                }
            }
        };
        match self.shown(cx, change, &id, made.since_ms).await? {
            Some(row) => Ok(Begun::Here(row, made)),
            None => made.unknown::<K, _>().map(Box::new).map(Begun::NotYet),
        }
    }

    /// Removes the object, and waits until nothing of it can appear any more.
    pub(crate) async fn ended<K: Single>(&self, cx: &Cx, change: &Change<K>, resume: &Resume) -> Result<Step<()>> {
        let region = self.region(change.target.parent())?;
        let Left { rows, is_hidden, mut leaving, .. } = self.left(cx, change, resume).await?;
        if is_hidden {
            return leaving.wait(&format!("waiting for EC2 to show the {} with its tags", K::WHAT));
        }
        for row in &rows {
            let id = answered(K::id(row), "id")?;
            let removed = match K::let_go(region, cx, row, resume.cleans_up).await {
                Ok(Some(progress)) => return leaving.wait(&progress),
                Ok(None) => K::remove(region, cx, id).await,
                Err(e) if leaving.may_be_free(&e, self.horizon) => return leaving.wait(e.message()),
                Err(e) => Err(e),
            };
            match removed {
                Ok(()) => leaving.ended(),
                Err(e) if leaving.may_lag(&e, K::REFERENCES, self.horizon) => return leaving.wait(&format!("waiting for EC2 to show what uses the {}", K::WHAT)),
                Err(e) if leaving.may_settle(&e, self.horizon) => return leaving.wait(&format!("waiting for EC2 to let go of the {}", K::WHAT)),
                Err(e) if error::is(&e, K::GONE) => {
                    leaving.contradicted(self.horizon);
                    return leaving.wait(&format!("EC2 shows the {} and does not know it", K::WHAT));
                }
                Err(e) => return Err(e),
            }
        }
        if K::GOES_SLOWLY && !rows.is_empty() {
            return leaving.wait(&format!("the {} is being deleted", K::WHAT));
        }
        leaving.quiet()
    }
}

impl One {
    /// What EC2 has shown is not known everywhere yet.
    pub(crate) fn unknown<K: Single, T>(&self) -> Result<Step<T>> {
        self.wait(format!("waiting for the {} to be known everywhere", K::WHAT))
    }
    pub(crate) fn wait<T>(&self, progress: impl Into<String>) -> Result<Step<T>> {
        Step::wait(self, pace(self.since_ms), progress)
    }
}

/// What something is used by, so that it cannot be removed; only some are named.
pub(crate) fn in_use(what: &str, id: &str, mut users: Vec<String>, remedy: &str) -> Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    users.sort_unstable();
    users.dedup();
    let more = if users.len() > 5 { ", ..." } else { "" };
    users.truncate(5);
    let why = format!("the {what} {id} is in use by {}{more}; {remedy}", users.join(", "));
    Err(Error::new(ErrorKind::FailedPrecondition, Reason::InUse, why).with_resource(id))
}

/// What every object has: whose it is, and what it is called.
pub(crate) struct Head {
    pub(crate) id: VendorId,
    pub(crate) tags: Tags,
    pub(crate) mark: Option<Mark>,
    name: ResourceId,
}
impl Head {
    /// `written`: the tags that we wrote, where EC2 may not show them yet.
    pub(crate) fn of<K: Kept>(owner: &welkin_core::Owner, row: &K::Row, member: &str, written: Option<&Tags>) -> Result<Self> {
        let id = vendor_id(K::id(row), member)?;
        let tags = Tags::of(K::tags(row)).or(written);
        match tags.mark(owner).filter(|_| !K::is_part(&tags)) {
            Some((name, mark)) => Ok(Self { id, name, mark: Some(mark), tags }),
            None => Ok(Self { name: ResourceId::of_vendor(id.as_str())?, id, mark: None, tags }),
        }
    }
    /// What it refers to, by the name that its creator used, where that is noted under `key`; else by the vendor's id.
    pub(crate) fn refer<K>(&self, region: &Region, key: &str, vendor_id: Option<&str>) -> Result<Option<Ref<K>>>
    where
        K: Kind<Parent = LocationName, Id = ResourceId>,
    {
        let Some(id) = vendor_id else { return Ok(None) };
        Ok(Some(Ref::resolved(referred(region, self.mark.is_some(), &self.tags, key, id)?, id.parse()?)))
    }
    /// The object, in a zone or else in the region.
    pub(crate) fn object<K>(self, region: &Region, zone: Option<&str>, created_ms: Option<u64>, spec: K::Spec, status: K::Status) -> Result<Object<K>>
    where
        K: Kind<Parent = LocationName, Id = ResourceId>,
    {
        Ok(Object {
            name: Name::new(region.name.clone(), self.name),
            provider_id: ProviderId::new("aws", "", &[zone.unwrap_or(region.id()), self.id.as_str()])?,
            vendor_id: self.id,
            mark: self.mark,
            revision: None,
            created_ms,
            spec,
            status,
        })
    }
}

/// A reference to what EC2 shows and nobody has noted a name for.
pub(crate) fn by_vendor_id<K>(region: &Region, id: &str) -> Result<Ref<K>>
where
    K: Kind<Parent = LocationName, Id = ResourceId>,
{
    Ok(Ref::resolved(Name::new(region.name.clone(), ResourceId::of_vendor(id)?), id.parse()?))
}

/// What an object is marked with at its creation: our mark, and the user's labels.
pub(crate) fn marked<K>(cx: &Cx, change: &Change<K>, labels: &welkin_core::Labels) -> Result<Tags>
where
    K: welkin_core::Managed<Id = ResourceId>,
{
    let id = &change.target.name()?.id;
    Ok(Tags::ours(&mark::of_change(cx, change), id).with_labels(labels, id))
}
