//! The vendor's side goes wrong.

use crate::{
    FaultPoint,
    runner::{Crash, Manner, Memory},
    specimen::Specimen,
    stand::{Stand, Verdict, census, ensure, skipped},
};
use welkin_core::{Change, Effect, Object, Reason, Target, Verb, changed_paths};

/// No change makes more writes than this.
const MOST_WRITES: u32 = 40;

/// Every kind of fault at every write of a change, until a fault finds no write any more: the number that fired. `ready` makes the change
/// while nothing goes wrong, `judge` looks at how it ended.
async fn everywhere<K: Specimen>(
    stand: &Stand<'_>,
    mut ready: impl AsyncFnMut() -> Verdict<Change<K>>,
    mut judge: impl AsyncFnMut(&str, &Change<K>, crate::runner::Driven<K>) -> Verdict,
) -> Verdict<u64> {
    let (world, mut fired) = (&stand.subject.world, 0);
    for point in &stand.subject.fault_points {
        for memory in [Memory::Whole, Memory::LosesHandles] {
            for after in 0..MOST_WRITES {
                let change = ready().await?;
                world.inject(*point, after).await?;
                let driven = stand.drive(&change, Manner { memory, ..Manner::PLAIN }).await;
                let here = world.settle_faults().await;
                judge(&format!("{} with {point:?} after {after} writes, {memory:?}", change.verb.name()), &change, driven).await?;
                fired += here;
                if here == 0 {
                    break;
                }
            }
        }
    }
    Ok(fired)
}

pub(super) async fn faults<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    if !stand.subject.world.abilities().faults {
        return skipped("no faults can be injected");
    }
    let ground = K::ground(stand).await?;
    let spec = K::variants(stand, &ground)?.swap_remove(0).1;
    let before = stand.inventory().await?;
    let plain = stand.create::<K>(spec.clone()).await?;
    let normal = census(&stand.new_since(&before).await?);
    stand.delete(&plain, Manner::PLAIN).await?;

    let created = everywhere::<K>(
        stand,
        async || stand.create_of(spec.clone()),
        async |how, _, driven| {
            let made = driven.object()?;
            let now = stand.new_since(&before).await?;
            ensure!(census(&now) == normal, "{how}: there is {now:?} instead of {normal:?}");
            stand.delete(&made, Manner::PLAIN).await
        },
    )
    .await?;
    let deleted = everywhere::<K>(
        stand,
        async || {
            let made = stand.create::<K>(spec.clone()).await?;
            stand.change_of(&made, Verb::Delete)
        },
        async |how, _, driven| {
            driven.end?;
            let left = stand.new_since(&before).await?;
            ensure!(left.is_empty(), "{how}: there is {left:?}");
            Ok(())
        },
    )
    .await?;
    let changed = changed::<K>(stand, &ground).await?;
    stand.note(format!("faults: {created} in creates, {deleted} in deletes, {changed} in changes and actions"));
    Ok(())
}

async fn changed<K: Specimen>(stand: &Stand<'_>, ground: &K::Ground) -> Verdict<u64> {
    let made = stand.create::<K>(K::plain(stand, ground, 1)).await?;
    let (original, mut fired) = (made.spec.clone(), 0);
    for (what, desired) in K::changes(stand, &original) {
        K::before_change(stand, &made, what).await?;
        fired += everywhere::<K>(
            stand,
            async || {
                let back = stand.update(&made, original.clone(), Manner::PLAIN).await?;
                let paths = changed_paths::<K>(&back.spec, &desired)?;
                stand.change_of(&back, Verb::Update { desired: desired.clone(), paths })
            },
            async |how, _, driven| {
                let wrong = changed_paths::<K>(&desired, &driven.object()?.spec)?;
                ensure!(wrong.is_empty(), "{what}, {how}: {wrong:?} is not what was asked for");
                Ok(())
            },
        )
        .await?;
    }
    let actions = K::fixed_points();
    for (action, reached) in &actions {
        fired += everywhere::<K>(
            stand,
            async || {
                for (other, _) in actions.iter().filter(|(a, _)| a != action) {
                    stand.act(&made, other.clone(), Manner::PLAIN).await?;
                }
                stand.change_of(&made, Verb::Act(action.clone()))
            },
            async |how, _, driven| {
                driven.end?;
                let now: Object<K> = stand.eventually(&Target::named(made.name.clone())).await?;
                ensure!(reached(&now.status), "{how}: it is {:?}", now.status);
                Ok(())
            },
        )
        .await?;
    }
    Ok(fired)
}

/// How often it must have happened: surely, or at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    AtMostOnce,
}

pub(super) async fn once<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    let Some(action) = K::once() else { return skipped("the kind has no action that must not be repeated") };
    stand.needs_action::<K>(&action)?;
    let ground = K::ground(stand).await?;
    let made = stand.create::<K>(K::plain(stand, &ground, 1)).await?;
    let crash = |crash| Manner { crash: Some(crash), ..Manner::PLAIN };
    once_as(stand, &made, &action, Manner::PLAIN, Times::Once).await?;
    once_as(stand, &made, &action, Manner::FORGETFUL, Times::AtMostOnce).await?;
    once_as(stand, &made, &action, crash(Crash::Before(0)), Times::AtMostOnce).await?;
    once_as(stand, &made, &action, crash(Crash::After(0)), Times::AtMostOnce).await?;
    if stand.subject.world.abilities().faults {
        for point in &stand.subject.fault_points {
            stand.subject.world.inject(*point, 0).await?;
            let times = if *point == FaultPoint::Refused { Times::Once } else { Times::AtMostOnce };
            once_as(stand, &made, &action, Manner::PLAIN, times).await?;
            ensure!(stand.subject.world.settle_faults().await == 1, "{point:?} did not happen");
        }
    }
    Ok(())
}

async fn once_as<K: Specimen>(stand: &Stand<'_>, made: &Object<K>, action: &K::Action, manner: Manner, times: Times) -> Verdict {
    let before = stand.reboots(made).await?;
    let change = stand.change_of(made, Verb::Act(action.clone()))?;
    let driven = stand.drive(&change, manner).await;
    let after = stand.reboots(made).await?;
    let happened = match (before, after) {
        (Some(before), Some(after)) => after - before,
        // Where the vendor does not count, what left is counted: it may have happened as often.
        _ => driven.writes,
    };
    match driven.end {
        Ok(_) => ensure!(happened == 1, "{action} with {manner:?} is done, and happened {happened} times"),
        Err(e) => {
            ensure!(times == Times::AtMostOnce && e.reason() == Reason::EffectUnknown && e.effect() == Effect::Unknown, "{action} with {manner:?}: {e:?}");
            ensure!(happened <= 1, "{action} with {manner:?} happened {happened} times");
        }
    }
    Ok(())
}
