//! The vendor's side goes wrong.

use super::mishap::{Mishap, every_verb};
use crate::{
    FaultPoint,
    runner::{Crash, Manner},
    specimen::{Depth, Specimen},
    stand::{Stand, Verdict, ensure, skipped},
};
use welkin_core::{Effect, Object, Reason, Verb};

/// What has become of a call that went wrong. Each has a trial of its own, which together take every fault: all in one outlast every other trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    WithoutEffect,
    AnswerLost,
    Hanging,
}
impl Fate {
    fn of(point: FaultPoint) -> Self {
        match point {
            FaultPoint::Refused | FaultPoint::Throttled | FaultPoint::BeforeEffect => Self::WithoutEffect,
            FaultPoint::AfterEffect | FaultPoint::Truncated => Self::AnswerLost,
            FaultPoint::Hangs => Self::Hanging,
        }
    }
}

pub(super) async fn before<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    faults::<K>(stand, Fate::WithoutEffect).await
}

pub(super) async fn after<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    faults::<K>(stand, Fate::AnswerLost).await
}

pub(super) async fn hanging<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    faults::<K>(stand, Fate::Hanging).await
}

async fn faults<K: Specimen>(stand: &Stand<'_>, fate: Fate) -> Verdict {
    if !stand.subject.world.abilities().faults {
        return skipped("no faults can be injected");
    }
    let points: Vec<_> = stand.subject.fault_points.iter().copied().filter(|point| Fate::of(*point) == fate).map(Mishap::Fault).collect();
    if points.is_empty() {
        return skipped("no such faults can be injected");
    }
    every_verb::<K>(stand, &points).await
}

/// How often it must have happened: surely, or at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    AtMostOnce,
}

pub(super) async fn once<K: Specimen>(stand: &Stand<'_>) -> Verdict {
    let Some(action) = K::once() else { return skipped("the kind has no action that must not be repeated") };
    stand.needs_verb::<K>(&action)?;
    let ground = K::ground(stand, Depth::Plain).await?;
    let made = stand.create::<K>(K::plain(stand, &ground, 1)).await?;
    let crash = |crash| Manner { crash: Some(crash), ..Manner::PLAIN };
    once_as(stand, &made, &action, Manner::PLAIN, Times::Once, 0).await?;
    once_as(stand, &made, &action, Manner::FORGETFUL, Times::AtMostOnce, 0).await?;
    once_as(stand, &made, &action, crash(Crash::Before(0)), Times::AtMostOnce, 0).await?;
    once_as(stand, &made, &action, crash(Crash::After(0)), Times::AtMostOnce, 0).await?;
    if stand.subject.world.abilities().faults {
        for point in &stand.subject.fault_points {
            stand.subject.world.inject(*point, 0).await?;
            // A server error may not say whether the vendor acted.
            let (times, refused) = if *point == FaultPoint::Throttled { (Times::Once, 1) } else { (Times::AtMostOnce, 0) };
            once_as(stand, &made, &action, Manner::PLAIN, times, refused).await?;
            ensure!(stand.subject.world.settle_faults().await == 1, "{point:?} did not happen");
        }
    }
    Ok(())
}

async fn once_as<K: Specimen>(stand: &Stand<'_>, made: &Object<K>, action: &K::Action, manner: Manner, times: Times, refused: u64) -> Verdict {
    let before = stand.reboots(made).await?;
    let change = stand.change_of(made, Verb::Act(action.clone()))?;
    let driven = stand.drive(&change, manner).await;
    let after = stand.reboots(made).await?;
    let happened = match (before, after) {
        (Some(before), Some(after)) => after - before,
        // Where the vendor does not count, what left is counted: it may have happened as often, but for what was refused.
        _ => driven.writes.saturating_sub(refused),
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
