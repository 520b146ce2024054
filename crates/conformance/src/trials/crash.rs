//! The process dies, or is told to give up, at any moment.

use crate::{
    runner::{Crash, Manner, Memory},
    specimen::Specimen,
    stand::{Stand, Verdict, census, ensure},
};
use tokio::time::Instant;
use welkin_core::{Change, Object, Target, Verb, changed_paths};

/// No change makes more writes than this, so that a driver without an end does not hold a trial up.
const MOST_WRITES: u64 = 40;
/// Nor does it take more steps before it is given up.
const MOST_STEPS: u32 = 40;

/// The specification that is made of the most parts.
fn richest<K: Specimen>(stand: &Stand<'_>, ground: &K::Ground) -> Verdict<K::Spec> {
    Ok(K::variants(stand, ground)?.swap_remove(0).1)
}

pub(super) async fn amnesia<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    let ground = K::ground(stand).await?;
    let before = stand.inventory().await?;
    for (what, spec) in K::variants(stand, &ground)? {
        let plain = stand.create::<K>(spec.clone()).await?;
        let normal = stand.new_since(&before).await?;
        stand.delete(&plain, Manner::PLAIN).await?;

        let change = stand.create_of::<K>(spec)?;
        let made = stand.drive(&change, Manner::FORGETFUL).await.object()?;
        let now = stand.new_since(&before).await?;
        ensure!(census(&now) == census(&normal), "{what}: there is {now:?} instead of {normal:?}");
        let mut latest = made.clone();
        for (field, desired) in K::changes(stand, &made.spec) {
            K::before_change(stand, &made, field).await?;
            latest = stand.update(&latest, desired.clone(), Manner::FORGETFUL).await?;
            let wrong = changed_paths::<K>(&desired, &latest.spec)?;
            ensure!(wrong.is_empty(), "{what}, {field}: {wrong:?} is not what was asked for");
        }
        for (action, reached) in K::fixed_points() {
            stand.act(&made, action.clone(), Manner::FORGETFUL).await?;
            let now = stand.eventually(&Target::named(made.name.clone())).await?;
            ensure!(reached(&now.status), "after {action} it is {:?}", now.status);
        }
        stand.delete(&made, Manner::FORGETFUL).await?;
        let left = stand.new_since(&before).await?;
        ensure!(left.is_empty(), "{what}: the vendor still has {left:?}");
    }
    Ok(())
}

/// Every place to die at, until there is no such write any more: `run` answers whether it died.
async fn everywhere(mut run: impl AsyncFnMut(Manner) -> Verdict<bool>) -> Verdict<u32> {
    let mut deaths = 0;
    for number in 0..MOST_WRITES {
        let mut died = false;
        for crash in [Crash::Before(number), Crash::After(number)] {
            for memory in [Memory::Whole, Memory::LosesHandles] {
                if run(Manner { crash: Some(crash), memory, ..Manner::PLAIN }).await? {
                    died = true;
                    deaths += 1;
                }
            }
        }
        if !died {
            break;
        }
    }
    Ok(deaths)
}

pub(super) async fn crash<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    let ground = K::ground(stand).await?;
    let spec = richest::<K>(stand, &ground)?;
    let before = stand.inventory().await?;
    let plain = stand.create::<K>(spec.clone()).await?;
    let normal = census(&stand.new_since(&before).await?);
    stand.delete(&plain, Manner::PLAIN).await?;

    let created = everywhere(async |manner| {
        let change = stand.create_of::<K>(spec.clone())?;
        let driven = stand.drive(&change, manner).await;
        let died = driven.crashed;
        let made = driven.object()?;
        let now = stand.new_since(&before).await?;
        ensure!(census(&now) == normal, "created with {manner:?}: there is {now:?} instead of {normal:?}");
        stand.delete(&made, Manner::PLAIN).await?;
        Ok(died)
    })
    .await?;
    let deleted = everywhere(async |manner| {
        let made = stand.create::<K>(spec.clone()).await?;
        let change = stand.change_of(&made, Verb::Delete)?;
        let driven = stand.drive(&change, manner).await;
        driven.end?;
        let left = stand.new_since(&before).await?;
        ensure!(left.is_empty(), "deleted with {manner:?}: there is {left:?}");
        Ok(driven.crashed)
    })
    .await?;
    let changed = changed::<K>(stand, &ground).await?;
    stand.note(format!("crashes: {created} of a create, {deleted} of a delete, {changed} of changes and actions"));
    Ok(())
}

async fn changed<K: Specimen>(stand: &Stand<'_>, ground: &K::Ground) -> Verdict<u32> {
    let made = stand.create::<K>(K::plain(stand, ground, 1)).await?;
    let mut deaths = 0;
    for (what, desired) in K::changes(stand, &made.spec) {
        K::before_change(stand, &made, what).await?;
        let original = made.spec.clone();
        deaths += everywhere(async |manner| {
            let back = stand.update(&made, original.clone(), Manner::PLAIN).await?;
            let paths = changed_paths::<K>(&back.spec, &desired)?;
            let change = stand.change_of(&back, Verb::Update { desired: desired.clone(), paths })?;
            let driven = stand.drive(&change, manner).await;
            let died = driven.crashed;
            let wrong = changed_paths::<K>(&desired, &driven.object()?.spec)?;
            ensure!(wrong.is_empty(), "{what} with {manner:?}: {wrong:?} is not what was asked for");
            Ok(died)
        })
        .await?;
    }
    // Every action from the state that the other ones lead to.
    let actions = K::fixed_points();
    for (action, reached) in &actions {
        deaths += everywhere(async |manner| {
            for (other, _) in actions.iter().filter(|(a, _)| a != action) {
                stand.act(&made, other.clone(), Manner::PLAIN).await?;
            }
            let change = stand.change_of(&made, Verb::Act(action.clone()))?;
            let driven = stand.drive(&change, manner).await;
            driven.end?;
            let now: Object<K> = stand.eventually(&Target::named(made.name.clone())).await?;
            ensure!(reached(&now.status), "{action} with {manner:?}: it is {:?}", now.status);
            Ok(driven.crashed)
        })
        .await?;
    }
    Ok(deaths)
}

pub(super) async fn cancel<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    let ground = K::ground(stand).await?;
    let spec = richest::<K>(stand, &ground)?;
    let before = stand.inventory().await?;
    let gone = async |change: &Change<K>, last_write: Option<Instant>, how: &str| -> Verdict {
        stand.clean(change, last_write).await?;
        let left = stand.new_since(&before).await?;
        ensure!(left.is_empty(), "given up {how}: there is {left:?}");
        Ok(())
    };
    let mut steps = 0;
    for at_most in 0..MOST_STEPS {
        let change = stand.create_of::<K>(spec.clone())?;
        let driven = stand.drive(&change, Manner { at_most: Some(at_most), ..Manner::PLAIN }).await;
        let stopped = matches!(driven.end?, crate::runner::End::Stopped);
        gone(&change, driven.last_write, &format!("after {at_most} steps")).await?;
        steps += 1;
        if !stopped {
            break;
        }
    }
    let deaths = everywhere(async |manner| {
        let change = stand.create_of::<K>(spec.clone())?;
        let driven = stand.drive(&change, Manner { stay_dead: true, ..manner }).await;
        driven.end?;
        gone(&change, driven.last_write, &format!("with {manner:?}")).await?;
        Ok(driven.crashed)
    })
    .await?;
    stand.note(format!("given up after {steps} numbers of steps and {deaths} crashes"));
    Ok(())
}
