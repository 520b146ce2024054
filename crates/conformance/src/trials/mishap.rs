//! One thing goes wrong at one write: at every write of every change there is.

use crate::{
    FaultPoint,
    runner::{Crash, Driven, Manner, Memory},
    specimen::{Depth, Specimen, differences},
    stand::{Stand, Stop, Verdict, census, ensure, failed},
};
use std::cell::RefCell;
use welkin_core::{Change, Target, Verb};

/// No change makes more writes than this, so that a driver without an end does not hold a trial up.
const MOST_WRITES: u32 = 40;

/// What goes wrong at a write.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mishap {
    /// The process dies before it.
    CrashBefore,
    /// The process dies after it.
    CrashAfter,
    /// The vendor's side does this to it.
    Fault(FaultPoint),
}
impl Mishap {
    pub(super) const CRASHES: [Self; 2] = [Self::CrashBefore, Self::CrashAfter];

    fn name(self) -> String {
        match self {
            Self::Fault(point) => format!("{point:?}"),
            crash => format!("{crash:?}"),
        }
    }

    fn crash(self, write: u32) -> Option<Crash> {
        match self {
            Self::CrashBefore => Some(Crash::Before(write.into())),
            Self::CrashAfter => Some(Crash::After(write.into())),
            Self::Fault(_) => None,
        }
    }
}

/// Each of these mishaps at every write of a change, until there is no such write any more. `ready` makes the change while nothing goes wrong,
/// `judge` looks at how it ended. How often it happened is told under `what`, and in all.
pub(super) async fn everywhere<K: Specimen>(
    stand: &Stand<'_>,
    what: &str,
    mishaps: &[Mishap],
    manner: Manner,
    mut ready: impl AsyncFnMut() -> Verdict<Change<K>>,
    mut judge: impl AsyncFnMut(&str, &Change<K>, Driven<K>) -> Verdict,
) -> Verdict<u64> {
    let (world, mut total) = (&stand.subject.world, 0);
    for mishap in mishaps {
        let mut happened = 0;
        for memory in [Memory::Whole, Memory::LosesHandles] {
            for write in 0..MOST_WRITES {
                let change = ready().await?;
                if let Mishap::Fault(point) = mishap {
                    world.inject(*point, write).await?;
                }
                let driven = stand.drive(&change, Manner { memory, crash: mishap.crash(write), ..manner }).await;
                let here = if let Mishap::Fault(_) = mishap { world.settle_faults().await } else { u64::from(driven.crashed) };
                judge(&format!("{what} with {mishap:?} at write {write}, {memory:?}"), &change, driven).await?;
                happened += here;
                if here == 0 {
                    break;
                }
            }
        }
        ensure!(happened > 0, "{what} has no write at which {} could happen", mishap.name());
        stand.happened(what, mishap.name(), happened);
        total += happened;
    }
    Ok(total)
}

/// These mishaps at every write of every verb of a kind, all of which end well: what was made is there once, what was changed is as asked for, what
/// was deleted has gone.
pub(super) async fn every_verb<K: Specimen>(stand: &Stand<'_>, mishaps: &[Mishap]) -> Verdict {
    let ground = K::ground(stand, Depth::Whole).await?;
    let spec = K::variants(stand, &ground)?.swap_remove(0).1;
    let before = stand.inventory().await?;
    let plain = stand.create::<K>(spec.clone()).await?;
    let normal = census(&stand.new_since(&before).await?);
    stand.delete(&plain, Manner::PLAIN).await?;

    everywhere::<K>(
        stand,
        "create",
        mishaps,
        Manner::PLAIN,
        async || stand.create_of(spec.clone()),
        async |how, _, driven| {
            let made = driven.object()?;
            let now = stand.new_since(&before).await?;
            ensure!(census(&now) == normal, "{how}: there is {now:?} instead of {normal:?}");
            stand.delete(&made, Manner::PLAIN).await
        },
    )
    .await?;
    everywhere::<K>(
        stand,
        "delete",
        mishaps,
        Manner::PLAIN,
        async || {
            let made = stand.create::<K>(spec.clone()).await?;
            K::let_go(stand, &made).await?;
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
    changes_and_actions::<K>(stand, &ground, mishaps).await
}

async fn changes_and_actions<K: Specimen>(stand: &Stand<'_>, ground: &K::Ground, mishaps: &[Mishap]) -> Verdict {
    let made = stand.create::<K>(K::plain(stand, ground, 1)).await?;
    let (mut from, latest) = (made.spec.clone(), RefCell::new(made.clone()));
    for (what, desired) in K::changes(stand, ground, &made.spec) {
        K::before_change(stand, &made, what).await?;
        everywhere::<K>(
            stand,
            what,
            mishaps,
            Manner::PLAIN,
            async || {
                let now = latest.borrow().clone();
                let back = if K::goes_back(what) { stand.update(&now, from.clone(), Manner::PLAIN).await? } else { stand.create(from.clone()).await? };
                stand.update_of(&back, desired.clone())
            },
            async |how, _, driven| {
                let changed = driven.object()?;
                let wrong = differences::<K>(&desired, &changed.spec)?;
                ensure!(wrong.is_empty(), "{how}: {wrong:?} is not what was asked for");
                latest.replace(changed);
                Ok(())
            },
        )
        .await?;
        from = desired;
    }
    // Every action from the state that the other ones lead to.
    let actions = K::fixed_points();
    for (action, reached) in &actions {
        everywhere::<K>(
            stand,
            &action.to_string(),
            mishaps,
            Manner::PLAIN,
            async || {
                for (other, _) in actions.iter().filter(|(a, _)| a != action) {
                    stand.act(&made, other.clone(), Manner::PLAIN).await?;
                }
                stand.change_of(&made, Verb::Act(action.clone()))
            },
            async |how, _, driven| {
                driven.end?;
                match stand.eventually_with(&Target::<K>::named(made.name.clone()), |now| reached(&now.status)).await {
                    Err(Stop::Failed(why)) => failed(format!("{how}: {why}")),
                    reached => reached.map(drop),
                }
            },
        )
        .await?;
    }
    Ok(())
}
