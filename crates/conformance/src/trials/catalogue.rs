//! What there is to choose from.

use crate::{
    runner::Manner,
    specimen::Specimen,
    stand::{Stand, Verdict, ensure, failed, skipped},
    trial::Trial,
};
use std::collections::BTreeSet;
use welkin_core::{Architecture, COLLECTIONS, ErrorKind, Image, Kind, Location, MachineType, Name, Network, Object, Query, Quota, Target, VerbName};

/// A read-only kind as the trials need it.
pub(super) trait Catalogued: Kind {
    /// Everything that a subject's location has of it.
    fn query(stand: &Stand<'_>, page_size: usize) -> Query<Self>;
    /// What the subject says that there is.
    fn known(stand: &Stand<'_>) -> Verdict<Vec<Name<Self>>>;
    /// What there is not.
    fn unknown(stand: &Stand<'_>) -> Verdict<Name<Self>>;
    /// What every one of them says of itself.
    fn is_whole(object: &Object<Self>) -> bool;
}
impl Catalogued for Location {
    fn query(_: &Stand<'_>, page_size: usize) -> Query<Self> {
        Query::all(page_size)
    }
    fn known(stand: &Stand<'_>) -> Verdict<Vec<Name<Self>>> {
        Ok(vec![stand.subject.location.clone()])
    }
    fn unknown(_: &Stand<'_>) -> Verdict<Name<Self>> {
        Ok(welkin_core::LocationName::of("nowhere-1")?)
    }
    fn is_whole(object: &Object<Self>) -> bool {
        !object.status.zones.is_empty() && object.status.zones.is_sorted()
    }
}
impl Catalogued for MachineType {
    fn query(stand: &Stand<'_>, page_size: usize) -> Query<Self> {
        Query::below(stand.subject.location.clone(), page_size)
    }
    fn known(stand: &Stand<'_>) -> Verdict<Vec<Name<Self>>> {
        let name = |id: &String| Ok(Name::new(stand.subject.location.clone(), id.parse()?));
        stand.subject.machine_types.iter().map(name).collect()
    }
    fn unknown(stand: &Stand<'_>) -> Verdict<Name<Self>> {
        Ok(Name::new(stand.subject.location.clone(), "no.such-type".parse()?))
    }
    fn is_whole(object: &Object<Self>) -> bool {
        let is_somewhere = !object.status.zones.is_empty() && object.status.zones.is_sorted();
        is_somewhere && object.status.vcpus > 0 && object.status.memory_mib > 0 && object.status.architectures.iter().any(|a| *a != Architecture::Unspecified)
    }
}
impl Catalogued for Image {
    fn query(stand: &Stand<'_>, page_size: usize) -> Query<Self> {
        Query::below(stand.subject.location.clone(), page_size)
    }
    fn known(stand: &Stand<'_>) -> Verdict<Vec<Name<Self>>> {
        Ok(vec![Name::new(stand.subject.location.clone(), stand.subject.image_family.parse()?)])
    }
    fn unknown(stand: &Stand<'_>) -> Verdict<Name<Self>> {
        Ok(Name::new(stand.subject.location.clone(), "no-such-family-1".parse()?))
    }
    fn is_whole(object: &Object<Self>) -> bool {
        object.status.architecture != Architecture::Unspecified
    }
}

impl Catalogued for Quota {
    fn query(stand: &Stand<'_>, page_size: usize) -> Query<Self> {
        Query::below(stand.subject.location.clone(), page_size)
    }
    fn known(stand: &Stand<'_>) -> Verdict<Vec<Name<Self>>> {
        Ok(vec![Name::new(stand.subject.location.clone(), stand.subject.quota.parse()?)])
    }
    fn unknown(stand: &Stand<'_>) -> Verdict<Name<Self>> {
        Ok(Name::new(stand.subject.location.clone(), "no.such-quota".parse()?))
    }
    fn is_whole(object: &Object<Self>) -> bool {
        let status = &object.status;
        let is_collection = |text: &str| text.is_empty() || COLLECTIONS.contains(&text);
        let says_of_what = !status.display_name.is_empty() && !status.service.is_empty() && is_collection(&status.collection);
        says_of_what && (status.per == "zones" || is_collection(&status.per)) && (status.limit.is_some() || status.used.is_some() || !status.unknown_reason.is_empty())
    }
}

pub(super) fn of<K: Catalogued>() -> Vec<Trial> {
    let c = K::COLLECTION;
    vec![
        Trial::new(c, "known", "what there is can be read by name and is described; a family stands for one image", |stand| Box::pin(known::<K>(stand))),
        Trial::new(c, "listed", "pages of any size list the same, each once, and what is listed can be read", |stand| Box::pin(listed::<K>(stand))),
        Trial::new(c, "absent", "what there is not is NOT_FOUND", |stand| Box::pin(absent::<K>(stand))),
    ]
}

/// What only quotas have.
pub(super) fn all() -> Vec<Trial> {
    vec![Trial::new(Quota::COLLECTION, "counted", "what is used of a quota is what there is, before and after one is made", |stand| Box::pin(counted(stand)))]
}

async fn counted(stand: &Stand<'_>) -> Verdict {
    stand.needs::<Quota>(VerbName::Get)?;
    is_counted(stand).await?;
    let made = stand.create::<Network>(Network::plain(stand, &(), 0)).await?;
    is_counted(stand).await?;
    stand.delete(&made, Manner::PLAIN).await?;
    is_counted(stand).await
}

async fn is_counted(stand: &Stand<'_>) -> Verdict {
    let quota = stand.get(&Target::named(Quota::known(stand)?.remove(0))).await?.status;
    ensure!(quota.collection == Network::COLLECTION, "it is about {:?}", quota.collection);
    let Some(used) = quota.used else { return skipped("the cloud does not tell what is used") };
    let networks: Vec<_> = stand.inventory().await?.into_iter().filter(|o| o.collection == Some(Network::COLLECTION)).collect();
    ensure!(usize::try_from(used) == Ok(networks.len()), "{used} are used, and the vendor has {networks:?}");
    Ok(())
}

async fn known<K: Catalogued>(stand: &Stand<'_>) -> Verdict {
    stand.needs::<K>(VerbName::Get)?;
    for name in K::known(stand)? {
        let first = stand.get(&Target::named(name.clone())).await?;
        let again = stand.get(&Target::named(name)).await?;
        ensure!(K::is_whole(&first), "it says too little of itself: {first:?}");
        ensure!(first == again, "read twice it differs: {first:?} and {again:?}");
    }
    Ok(())
}

/// How many of the listed ones are read, too.
const SAMPLE: usize = 5;

async fn listed<K: Catalogued>(stand: &Stand<'_>) -> Verdict {
    stand.needs::<K>(VerbName::List)?;
    let all = stand.list(&K::query(stand, 1000)).await?;
    let names: BTreeSet<String> = all.iter().map(|o| o.name.to_string()).collect();
    ensure!(!all.is_empty() && names.len() == all.len(), "{} listed under {} names", all.len(), names.len());
    for name in K::known(stand)? {
        // A family is listed as the image that it stands for.
        let found = stand.get(&Target::named(name)).await?;
        ensure!(all.iter().any(|o| o.vendor_id == found.vendor_id), "{} is not listed", found.name);
    }
    for object in all.iter().take(SAMPLE) {
        let read = stand.get(&Target::named(object.name.clone())).await?;
        ensure!(read.vendor_id == object.vendor_id && K::is_whole(&read), "listed as {object:?} and read as {read:?}");
    }
    // Small pages of a long list only say the same slowly.
    let small = all.len().div_ceil(20).max(1);
    let again = stand.list(&K::query(stand, small)).await?;
    let again: BTreeSet<String> = again.iter().map(|o| o.name.to_string()).collect();
    ensure!(again == names, "in pages of {small} other ones are listed: {:?}", again.symmetric_difference(&names).collect::<Vec<_>>());
    Ok(())
}

async fn absent<K: Catalogued>(stand: &Stand<'_>) -> Verdict {
    let name = K::unknown(stand)?;
    match stand.get(&Target::named(name.clone())).await {
        // The reason may say more: IMAGE_NOT_FOUND.
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => failed(format!("{name}: {other:?}")),
    }
}
