//! What happens when nothing goes wrong.

use crate::{
    runner::Manner,
    specimen::{Depth, Specimen, differences},
    stand::{Stand, Verdict, census, ensure, failed, skipped},
};
use welkin_core::{Change, Object, Query, Resume, Target, Verb, VerbName, changed_paths};

pub(super) async fn life<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    stand.needs::<K>(VerbName::Create)?;
    stand.needs::<K>(VerbName::Delete)?;
    stand.needs::<K>(VerbName::Get)?;
    stand.needs::<K>(VerbName::List)?;
    let ground = K::ground(stand, Depth::Plain).await?;
    let spec = K::plain(stand, &ground, 1);
    let change = stand.create_of::<K>(spec.clone())?;
    let before = stand.inventory().await?;
    let made = stand.drive(&change, Manner::PLAIN).await.object()?;
    ensure!(made.name == *change.target.name()?, "asked for {} and got {}", change.target, made.name);
    ensure!(K::is_ready(&made.status), "done, and not ready: {:?}", made.status);
    ensure!(made.mark.as_ref().is_some_and(|m| m.owner == stand.subject.owner), "not marked as ours: {:?}", made.mark);
    stand.echoes(&spec, &made)?;
    let new = stand.new_since(&before).await?;
    ensure!(census(&new).get(K::COLLECTION) == Some(&1), "one was asked for, and the vendor has {new:?}");

    let by_name = stand.eventually(&Target::named(made.name.clone())).await?;
    same(&made, &by_name, "by name")?;
    let by_id = stand.eventually(&Target::Vendor { parent: stand.place::<K>()?, vendor_id: made.vendor_id.clone() }).await?;
    same(&made, &by_id, "by the vendor's id")?;
    let listed = stand.eventually_listed(&made).await?;
    same(&made, &listed, "in the list")?;

    stand.delete(&made, Manner::PLAIN).await?;
    stand.eventually_gone(&Target::named(made.name.clone())).await?;
    stand.eventually_gone::<K>(&Target::Vendor { parent: stand.place::<K>()?, vendor_id: made.vendor_id.clone() }).await?;
    let left = stand.new_since(&before).await?;
    ensure!(left.is_empty(), "the vendor still has {left:?}");
    stand.settle().await;
    let listed = stand.list(&Query::<K>::below(stand.place::<K>()?, 100)).await?;
    ensure!(!listed.iter().any(|o| o.vendor_id == made.vendor_id), "it is still listed");
    Ok(())
}

pub(super) async fn check<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    let ground = K::ground(stand, Depth::Whole).await?;
    let before = stand.inventory().await?;
    let create = stand.create_of::<K>(K::plain(stand, &ground, 1))?;
    stand.check(&create).await?;
    let new = stand.new_since(&before).await?;
    if !new.is_empty() {
        stand.clean(&create, Resume::default()).await?;
        return failed(format!("the check of a create made {new:?}"));
    }
    let made = stand.drive(&create, Manner::PLAIN).await.object()?;
    let before = stand.inventory().await?;
    stand.check(&stand.change_of(&made, Verb::Delete)?).await?;
    for (what, desired) in K::changes(stand, &ground, &made.spec) {
        K::before_change(stand, &made, what).await?;
        stand.check(&stand.update_of(&made, desired)?).await?;
    }
    for (action, _) in K::fixed_points() {
        stand.check(&stand.change_of(&made, Verb::Act(action))?).await?;
    }
    let now = stand.inventory().await?;
    ensure!(now == before, "after checks there is {now:?} instead of {before:?}");
    let seen = stand.eventually(&Target::named(made.name.clone())).await?;
    same(&made, &seen, "after checks")
}

/// One resource, whichever way it was read.
fn same<K: Specimen>(a: &Object<K>, b: &Object<K>, how: &str) -> Verdict {
    let paths = changed_paths::<K>(&a.spec, &b.spec)?;
    ensure!(a.name == b.name && a.vendor_id == b.vendor_id && a.provider_id == b.provider_id, "{how} it is another: {a:?} and {b:?}");
    ensure!(a.mark.as_ref().map(|m| &m.uid) == b.mark.as_ref().map(|m| &m.uid), "{how} it has another mark: {a:?} and {b:?}");
    ensure!(paths.is_empty(), "{how} {paths:?} differ: {:?} and {:?}", a.spec, b.spec);
    ensure!(a.etag() == b.etag() || a.revision != b.revision, "{how} it has another etag: {a:?} and {b:?}");
    Ok(())
}

pub(super) async fn fields<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    let ground = K::ground(stand, Depth::Whole).await?;
    for (what, spec) in K::variants(stand, &ground)? {
        let made = stand.create::<K>(spec.clone()).await?;
        ensure!(K::is_ready(&made.status), "{what}: done, and not ready: {:?}", made.status);
        stand.echoes(&spec, &made)?;
        let seen = stand.eventually(&Target::named(made.name.clone())).await?;
        stand.echoes(&spec, &seen)?;
        if ["assign_ipv6_cidr", "assign_ipv6"].iter().any(|f| Stand::asks::<K>(&spec, f)) {
            ensure!(K::addresses(&seen.status).iter().any(std::net::IpAddr::is_ipv6), "{what}: an IPv6 range was asked for, and there is {:?}", seen.status);
        }
        stand.delete(&made, Manner::PLAIN).await?;
    }
    Ok(())
}

pub(super) async fn changes<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    stand.needs::<K>(VerbName::Update)?;
    let ground = K::ground(stand, Depth::Whole).await?;
    let made = stand.create::<K>(K::plain(stand, &ground, 1)).await?;
    let mut now = stand.eventually(&Target::named(made.name.clone())).await?;
    let before = stand.inventory().await?;
    for (what, desired) in K::changes(stand, &ground, &now.spec) {
        K::before_change(stand, &now, what).await?;
        // The same again, because a lost reply leads there.
        for again in [false, true] {
            let updated = stand.update(&now, desired.clone(), Manner::PLAIN).await?;
            let wrong = differences::<K>(&desired, &updated.spec)?;
            ensure!(wrong.is_empty(), "{what}{}: {wrong:?} is not what was asked for: {:?}", if again { " again" } else { "" }, updated.spec);
        }
        let seen = stand.eventually_with(&Target::named(made.name.clone()), |o: &Object<K>| differences::<K>(&desired, &o.spec).is_ok_and(|p| p.is_empty())).await?;
        ensure!(seen.etag() != now.etag(), "{what} was changed and the etag was not");
        ensure!(seen.vendor_id == made.vendor_id, "{what} was changed by making it anew");
        now = seen;
    }
    let new = stand.new_since(&before).await?;
    ensure!(new.iter().all(|o| o.collection.is_none()), "changing it made {new:?}");
    Ok(())
}

pub(super) async fn actions<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    let actions = K::fixed_points();
    if actions.is_empty() {
        return skipped("the kind has no such actions");
    }
    let ground = K::ground(stand, Depth::Plain).await?;
    let made = stand.create::<K>(K::plain(stand, &ground, 1)).await?;
    for (action, reached) in actions {
        stand.needs_verb::<K>(&action)?;
        for _ in 0..2 {
            stand.act(&made, action.clone(), Manner::PLAIN).await?;
            let now = stand.eventually_with(&Target::<K>::named(made.name.clone()), |now| reached(&now.status)).await?;
            ensure!(now.vendor_id == made.vendor_id, "{action} made another one");
        }
    }
    if let Some(action) = K::once() {
        stand.needs_verb::<K>(&action)?;
        stand.act(&made, action, Manner::PLAIN).await?;
    }
    Ok(())
}

pub(super) async fn idempotent<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    let ground = K::ground(stand, Depth::Whole).await?;
    let before = stand.inventory().await?;
    let change: Change<K> = stand.create_of(K::variants(stand, &ground)?.swap_remove(0).1)?;
    let first = stand.drive(&change, Manner::PLAIN).await;
    let left = first.left.without_handle();
    let first = first.object()?;
    let new = stand.new_since(&before).await?;
    for _ in 0..2 {
        let again = stand.drive_from(&change, left.clone(), Manner::PLAIN).await.object()?;
        same(&first, &again, "made again")?;
        let now = stand.new_since(&before).await?;
        ensure!(census(&now) == census(&new), "made again, there is {now:?} instead of {new:?}");
    }
    Ok(())
}

pub(super) async fn delete_twice<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    let ground = K::ground(stand, Depth::Plain).await?;
    let before = stand.inventory().await?;
    let never = stand.create_of::<K>(K::plain(stand, &ground, 1))?;
    stand.clean(&never, Resume::default()).await?;
    let made = stand.create::<K>(K::plain(stand, &ground, 2)).await?;
    for _ in 0..2 {
        stand.delete(&made, Manner::PLAIN).await?;
        let left = stand.new_since(&before).await?;
        ensure!(left.is_empty(), "the vendor still has {left:?}");
    }
    // A new life under a name that was deleted is a new one.
    let create = stand.create_of::<K>(K::plain(stand, &ground, 3))?;
    let again = stand.drive(&Change { target: Target::named(made.name.clone()), ..create }, Manner::PLAIN).await.object()?;
    ensure!(again.vendor_id != made.vendor_id || K::label(&made.name.id).is_none(), "what was deleted lives again: {again:?}");
    let seen = stand.eventually_with(&Target::named(made.name.clone()), |o| o.vendor_id == again.vendor_id).await?;
    same(&again, &seen, "under the name of its predecessor")
}
