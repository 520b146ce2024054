//! What is not ours, and what somebody else did.

use crate::{
    Plant, PlantMark,
    runner::Manner,
    specimen::{Depth, Specimen, another, differences, id_of_nothing},
    stand::{Stand, Verdict, census, ensure, failed, foreign as foreign_name, ids, minted, skipped},
};
use welkin_core::{Condition, Name, Query, Reason, Resume, Target, Verb, VerbName};

pub(super) async fn foreign<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    if !stand.subject.world.abilities().plants {
        return skipped("nothing can be planted");
    }
    if !K::IS_MARKED {
        return skipped("without marks only an engine knows what is ours; what there is counts by what it says (the trials adopted and exact)");
    }
    for marked in [false, true] {
        let ground = K::ground(stand, Depth::Plain).await?;
        // The very name and uid that a create of ours has: only the owner differs.
        let create = stand.create_of::<K>(K::plain(stand, &ground, 1))?;
        let name = create.target.name()?.clone();
        let mark = if marked { Some(PlantMark { owner: "somebody-else".parse()?, id: name.id.to_string(), uid: create.uid.clone() }) } else { None };
        let planted = stand.plant(Plant { what: K::planted(&ground)?, mark }).await?;
        let before = stand.inventory().await?;
        let there = async |after: &str| -> Verdict {
            let now = stand.inventory().await?;
            ensure!(ids(&now).contains(&planted), "{after}, what was not ours is gone (marked {marked})");
            Ok(())
        };

        let by_id = Target::Vendor { parent: stand.place::<K>()?, vendor_id: planted.parse()? };
        let seen = stand.eventually::<K>(&by_id).await?;
        ensure!(seen.mark.is_none() && seen.name == foreign_name(&stand.place::<K>()?, &planted)?, "it is shown as {seen:?}");
        match stand.get(&Target::named(name.clone())).await {
            Err(e) if e.is_not_found() => {}
            other => return failed(format!("by the name in another owner's mark: {other:?}")),
        }
        let listed = stand.list(&Query::<K>::below(stand.place::<K>()?, 100)).await?;
        ensure!(listed.iter().any(|o| o.vendor_id.as_str() == planted && o.mark.is_none()), "it is not listed as foreign");

        // By name and uid, by its own id, and with its id under our name.
        let targets = [
            Target::Named { name: name.clone(), uid: Some(create.uid.clone()), vendor_id: None },
            Target::Named { name: name.clone(), uid: Some(create.uid.clone()), vendor_id: Some(planted.parse()?) },
            Target::Named { name: seen.name.clone(), uid: Some(create.uid.clone()), vendor_id: Some(planted.parse()?) },
        ];
        for target in &targets {
            let _ = stand.drive(&stand.change(target.clone(), create.uid.clone(), Verb::Delete)?, Manner::PLAIN).await.end;
            there("after a delete").await?;
        }
        let by_vendor = targets.get(1).cloned().unwrap_or(by_id.clone());
        if let Some((_, desired)) = K::changes(stand, &ground, &seen.spec).into_iter().next() {
            let paths = welkin_core::changed_paths::<K>(&seen.spec, &desired)?;
            let answer = stand.drive(&stand.change(by_vendor.clone(), create.uid.clone(), Verb::Update { desired, paths })?, Manner::PLAIN).await.end;
            ensure!(answer.is_err(), "what is not ours was changed: {answer:?}");
        }
        for (action, _) in K::fixed_points() {
            let answer = stand.drive(&stand.change(by_vendor.clone(), create.uid.clone(), Verb::Act(action))?, Manner::PLAIN).await.end;
            ensure!(answer.is_err(), "what is not ours was acted on: {answer:?}");
        }
        let still = stand.eventually::<K>(&by_id).await?;
        ensure!((&still.spec, &still.status) == (&seen.spec, &seen.status), "what is not ours has changed from {seen:?} to {still:?}");

        // Ours, beside it.
        let made = stand.drive_from(&create, Resume { unresolved: Some(tokio::time::Instant::now()), ..Resume::default() }, Manner::PLAIN).await.object()?;
        ensure!(made.vendor_id.as_str() != planted, "a create took what is not ours");
        stand.delete(&made, Manner::PLAIN).await?;
        there("after a life of our own").await?;
        let now = stand.inventory().await?;
        ensure!(census(&now) == census(&before), "there is {now:?} instead of {before:?}");
    }
    Ok(())
}

/// Through the engine in front: adopted, refused where it may not be, changed, acted on, released, adopted again and deleted.
pub(super) async fn adopted<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    let Some(engine) = &stand.subject.adoption else { return skipped("adoption is the engine's, and there is none in front of this provider") };
    if !stand.subject.world.abilities().plants {
        return skipped("nothing can be planted");
    }
    let ground = K::ground(stand, Depth::Plain).await?;
    let before = stand.inventory().await?;
    let create = stand.create_of::<K>(K::plain(stand, &ground, 1))?;
    let mut name = create.target.name()?.clone();
    let refusal = |answer: welkin_core::Result<()>, reason: Reason| match answer {
        Err(e) if e.reason() == reason => Ok(()),
        other => failed(format!("{other:?} instead of {reason}")),
    };
    let adopt = async |name: &Name<K>, id: &str| stand.repeated(async || engine.adopt(K::COLLECTION, &name.to_string(), id).await).await;
    let nothing = id_of_nothing::<K>(stand);
    if K::IS_MARKED {
        let mark = PlantMark { owner: "somebody-else".parse()?, id: name.id.to_string(), uid: create.uid.clone() };
        let theirs = stand.plant(Plant { what: K::planted(&ground)?, mark: Some(mark) }).await?;
        stand.eventually::<K>(&Target::Vendor { parent: stand.place::<K>()?, vendor_id: theirs.parse()? }).await?;
        refusal(adopt(&name, &theirs).await, Reason::NotOwned)?;
        stand.subject.world.remove(&theirs).await?;
    }
    let is_chosen = K::label(&name.id).is_some();
    let of_nothing = if is_chosen { name.clone() } else { foreign_name(&stand.place::<K>()?, &nothing)? };
    refusal(adopt(&of_nothing, &nothing).await, Reason::ResourceNotFound)?;

    let planted = stand.plant(Plant { what: K::planted(&ground)?, mark: None }).await?;
    let by_id = Target::Vendor { parent: stand.place::<K>()?, vendor_id: planted.parse()? };
    let foreign = stand.eventually::<K>(&by_id).await?;
    if !is_chosen {
        name = foreign.name.clone();
    }
    adopt(&name, &foreign.provider_id.to_string()).await?;
    adopt(&name, &planted).await?;
    refusal(adopt(&stand.name::<K>()?, &planted).await, if is_chosen { Reason::AlreadyManaged } else { Reason::InvalidField })?;
    let mut ours = stand.eventually(&Target::named(name.clone())).await?;
    ensure!(ours.mark.as_ref().is_some_and(|m| m.digest.is_none()) && ours.vendor_id == foreign.vendor_id, "it is shown as {ours:?}");
    ensure!((&ours.spec, &ours.status) == (&foreign.spec, &foreign.status), "adopted, it has changed from {foreign:?} to {ours:?}");
    let listed = stand.list(&Query::<K>::below(stand.place::<K>()?, 100)).await?;
    ensure!(listed.iter().any(|o| o.name == name && o.mark == ours.mark), "it is not listed by its name");
    let desired = another::<K>(stand, &ground, &ours.spec);
    ours = stand.update(&ours, desired.clone(), Manner::PLAIN).await?;
    ensure!(ours.name == name && differences::<K>(&desired, &ours.spec)?.is_empty(), "it was changed to {ours:?}");
    for (action, reached) in K::fixed_points() {
        stand.act(&ours, action, Manner::PLAIN).await?;
        stand.eventually_with(&Target::named(name.clone()), |o| reached(&o.status)).await?;
    }
    let uids = async || -> Verdict<Vec<_>> { Ok(stand.inventory().await?.into_iter().filter(|o| o.vendor_id == planted).map(|o| o.uid).collect()) };
    ensure!(uids().await? == [None], "a mark was written on it");

    engine.release(K::COLLECTION, &name.to_string()).await?;
    if is_chosen {
        stand.eventually_gone(&Target::named(name.clone())).await?;
    }
    let released = stand.eventually::<K>(&by_id).await?;
    ensure!(released.mark.is_none() && uids().await?.len() == 1, "released, it is shown as {released:?}");
    let answer = stand.drive(&stand.change(by_id.clone(), create.uid.clone(), Verb::Delete)?, Manner::PLAIN).await.end;
    ensure!(answer.is_err(), "what was released was deleted: {answer:?}");
    adopt(&name, &planted).await?;
    let ours = stand.eventually(&Target::named(name)).await?;
    stand.delete(&ours, Manner::PLAIN).await?;
    let now = stand.inventory().await?;
    ensure!(ids(&now) == ids(&before), "there is {now:?} instead of {before:?}");
    Ok(())
}

pub(super) async fn removed_elsewhere<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    if !stand.subject.world.abilities().removes {
        return skipped("nothing can be removed behind the provider's back");
    }
    stand.needs::<K>(VerbName::Delete)?;
    let ground = K::ground(stand, Depth::Whole).await?;
    let before = stand.inventory().await?;
    let made = stand.create::<K>(K::variants(stand, &ground)?.swap_remove(0).1).await?;
    let made = stand.eventually::<K>(&Target::named(made.name.clone())).await?;
    stand.subject.world.remove(made.vendor_id.as_str()).await?;
    let fragments = stand.new_since(&before).await?;
    let target = Target::named(made.name.clone());
    if fragments.is_empty() {
        stand.eventually_gone(&target).await?;
    } else {
        let seen = stand.eventually_with(&target, |o| K::condition(&o.status) == Condition::Incomplete).await?;
        ensure!(seen.mark.is_some() && seen.name == made.name, "what is left of it is shown as {seen:?}");
        stand.note(format!("{} fragments left", fragments.len()));
    }
    // An engine knows the resource by that id too, and shows what is left of it.
    if fragments.is_empty() || !stand.subject.served {
        stand.eventually_gone::<K>(&Target::Vendor { parent: stand.place::<K>()?, vendor_id: made.vendor_id.clone() }).await?;
    }
    if let Some((_, desired)) = K::changes(stand, &ground, &made.spec).into_iter().next() {
        let answer = stand.update(&made, desired, Manner::PLAIN).await;
        ensure!(answer.is_err(), "what is not there any more was changed: {answer:?}");
    }
    stand.drive(&stand.change_of(&made, Verb::Delete)?, Manner::PLAIN).await.end?;
    let left = stand.new_since(&before).await?;
    ensure!(left.is_empty(), "deleted, and there is still {left:?}");
    stand.eventually_gone(&target).await?;
    // Nobody else's uid finds anything either.
    let other = stand.change(target, minted()?, Verb::Delete)?;
    stand.drive(&other, Manner::PLAIN).await.end?;
    Ok(())
}
