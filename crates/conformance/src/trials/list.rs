//! Lists.

use crate::{
    Plant,
    runner::Manner,
    specimen::{Depth, Specimen},
    stand::{Stand, Verdict, ensure, skipped},
};
use std::collections::BTreeMap;
use welkin_core::{Object, Query, VendorId, VerbName};

/// How many are there throughout.
const STEADY: u8 = 7;

pub(super) async fn list<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    stand.needs::<K>(VerbName::List)?;
    let Some(reader) = K::reader(&*stand.subject.provider) else { return skipped("the provider does not offer the kind") };
    let ground = K::ground(stand, Depth::Plain).await?;
    let mut steady: BTreeMap<VendorId, u32> = BTreeMap::new();
    for number in 0..STEADY {
        let made = stand.create::<K>(K::plain(stand, &ground, number)).await?;
        stand.eventually_listed(&made).await?;
        steady.insert(made.vendor_id, 0);
    }
    for page_size in [1, 2, 5, 100] {
        let query = Query::<K>::below(stand.place::<K>()?, page_size);
        let (mut coming, mut pages): (Option<Object<K>>, u32) = (None, 0);
        for shard in reader.shards(&query) {
            let mut from = None;
            loop {
                let page = stand.page(&query, &shard, from.as_ref()).await?;
                ensure!(page.unreachable.is_empty() && page.items.len() <= page_size, "asked for {page_size}, got {} and {:?}", page.items.len(), page.unreachable);
                for item in page.items {
                    if let Some(count) = steady.get_mut(&item.vendor_id) {
                        *count += 1;
                    }
                }
                pages += 1;
                // One more comes and the one before it goes.
                if page_size < usize::from(STEADY) && pages < 4 {
                    if let Some(gone) = coming.take() {
                        stand.delete(&gone, Manner::PLAIN).await?;
                    }
                    coming = Some(stand.create::<K>(K::plain(stand, &ground, STEADY + u8::try_from(pages).unwrap_or_default())).await?);
                }
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
        }
        if let Some(gone) = coming.take() {
            stand.delete(&gone, Manner::PLAIN).await?;
        }
        let wrong: Vec<_> = steady.iter().filter(|(_, count)| **count != 1).collect();
        ensure!(wrong.is_empty(), "in pages of {page_size} these were not shown exactly once: {wrong:?}");
        steady.values_mut().for_each(|count| *count = 0);
    }
    Ok(())
}

pub(super) async fn filters<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    stand.needs::<K>(VerbName::List)?;
    let ground = K::ground(stand, Depth::Plain).await?;
    let mut made = Vec::new();
    for number in 0..3 {
        let one = stand.create::<K>(K::plain(stand, &ground, number)).await?;
        stand.eventually_listed(&one).await?;
        made.push(one);
    }
    let foreign = if stand.subject.world.abilities().plants { Some(stand.plant(Plant { what: K::planted(&ground)?, mark: None }).await?) } else { None };
    let ids = |objects: &[Object<K>]| objects.iter().map(|o| o.vendor_id.to_string()).collect::<Vec<_>>();
    for parent in [None, Some(stand.place::<K>()?)] {
        let all = Query { parent, ..Query::<K>::all(2) };
        let listed = ids(&stand.list(&all).await?);
        let missing: Vec<_> = ids(&made).into_iter().chain(foreign.clone()).filter(|id| !listed.contains(id)).collect();
        ensure!(missing.is_empty(), "with {all:?} these are missing: {missing:?}");

        let owned = stand.list(&Query { owned_only: true, ..all.clone() }).await?;
        ensure!(!K::IS_MARKED || owned.iter().all(|o| o.mark.is_some()), "asked for ours only and got {owned:?}");
        ensure!(made.iter().all(|m| owned.iter().any(|o| o.vendor_id == m.vendor_id)), "asked for ours and some are missing: {owned:?}");

        let wanted: Vec<VendorId> = made.iter().skip(1).map(|o| o.vendor_id.clone()).collect();
        let mut some = ids(&stand.list(&Query { vendor_ids: wanted.clone(), ..all.clone() }).await?);
        some.sort_unstable();
        let mut wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        wanted.sort_unstable();
        ensure!(some == wanted, "asked for {wanted:?} and got {some:?}");
    }
    Ok(())
}
