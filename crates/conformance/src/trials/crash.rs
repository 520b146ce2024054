//! The process dies, or is told to give up, at any moment.

use super::mishap::{Mishap, every_verb, everywhere};
use crate::{
    runner::Manner,
    specimen::{Depth, Specimen, differences},
    stand::{Stand, Verdict, census, ensure},
};
use welkin_core::{Change, Resume, Target};

/// No create takes more steps before it is given up.
const MOST_STEPS: u32 = 40;

pub(super) async fn amnesia<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    let ground = K::ground(stand, Depth::Whole).await?;
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
        for (field, desired) in K::changes(stand, &ground, &made.spec) {
            K::before_change(stand, &made, field).await?;
            latest = stand.update(&latest, desired.clone(), Manner::FORGETFUL).await?;
            let wrong = differences::<K>(&desired, &latest.spec)?;
            ensure!(wrong.is_empty(), "{what}, {field}: {wrong:?} is not what was asked for");
        }
        for (action, reached) in K::fixed_points() {
            stand.act(&made, action.clone(), Manner::FORGETFUL).await?;
            stand.eventually_with(&Target::<K>::named(made.name.clone()), |now| reached(&now.status)).await?;
        }
        stand.delete(&latest, Manner::FORGETFUL).await?;
        let left = stand.new_since(&before).await?;
        ensure!(left.is_empty(), "{what}: the vendor still has {left:?}");
    }
    Ok(())
}

pub(super) async fn crash<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    every_verb::<K>(stand, &Mishap::CRASHES).await
}

pub(super) async fn cancel<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    let ground = K::ground(stand, Depth::Whole).await?;
    let spec = K::variants(stand, &ground)?.swap_remove(0).1;
    let before = stand.inventory().await?;
    let gone = async |change: &Change<K>, left: Resume, how: &str| -> Verdict {
        stand.clean(change, left).await?;
        let left = stand.new_since(&before).await?;
        ensure!(left.is_empty(), "given up {how}: there is {left:?}");
        Ok(())
    };
    let mut steps = 0;
    for at_most in 0..MOST_STEPS {
        let mut stopped = false;
        for keeps in [true, false] {
            let change = stand.create_of::<K>(spec.clone())?;
            let driven = stand.drive(&change, Manner { at_most: Some(at_most), ..Manner::PLAIN }).await;
            stopped |= matches!(driven.end?, crate::runner::End::Stopped);
            let left = if keeps { driven.left } else { driven.left.without_handle() };
            gone(&change, left, &format!("after {at_most} steps, with its handle: {keeps}")).await?;
        }
        steps += 1;
        if !stopped {
            break;
        }
    }
    let deaths = everywhere::<K>(
        stand,
        "create, given up",
        &Mishap::CRASHES,
        Manner { stay_dead: true, ..Manner::PLAIN },
        async || stand.create_of(spec.clone()),
        async |how, change, driven| {
            driven.end?;
            gone(change, driven.left, how).await
        },
    )
    .await?;
    stand.note(format!("given up after {steps} numbers of steps and {deaths} crashes"));
    Ok(())
}
