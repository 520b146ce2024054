//! What can be done with a group: chosen instances are deleted, and those from an earlier template replaced.

use super::{
    of_group,
    read::{Row, is_gone, is_under_way, leaves},
};
use crate::{
    Aws, error,
    resource::Looking,
    step::{PACE, age, look_again, made_id, now_ms, pace, told},
};
use aws_sdk_autoscaling::types::{InstanceRefresh, InstanceRefreshStatus, RefreshPreferences, RefreshStrategy};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use welkin_core::{Change, ChosenInstances, Cx, Effect, Error, ErrorKind, InstanceGroup, InstanceOutcomes, Reason, Replacement, Result, Resume, Step};

/// Which instances were to go and were none of the group's when that began, and since when Auto Scaling knows that others go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deleting {
    deleting_no_members: BTreeSet<String>,
    asked_ms: BTreeMap<String, u64>,
}
/// The vendor's replacement that is waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replacing {
    refresh: String,
    replacing_since_ms: u64,
}
/// Since when a replacement is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stopping {
    stopping_since_ms: u64,
}

/// What is chosen, by where it stands.
struct Chosen {
    stay: Vec<String>,
    /// On their way out, whoever asked for it.
    leave: usize,
    /// No instances of the group.
    other: BTreeSet<String>,
}
impl Chosen {
    fn of(row: &Row, chosen: &ChosenInstances) -> Self {
        let mut out = Self { stay: Vec::new(), leave: 0, other: BTreeSet::new() };
        for instance in &chosen.instances {
            match row.members().iter().find(|m| m.instance_id() == Some(instance)) {
                Some(member) if leaves(member) => out.leave += 1,
                Some(_) => out.stay.push(instance.clone()),
                None => _ = out.other.insert(instance.clone()),
            }
        }
        out
    }
    /// Of a deletion that has not begun; refused as a whole where the group would become too small.
    fn allowed(row: &Row, chosen: &ChosenInstances) -> Result<Self> {
        let found = Self::of(row, chosen);
        let (size, min, going) = (row.size(), row.min(), u32::try_from(found.stay.len()).unwrap_or(u32::MAX));
        if size.checked_sub(going).is_none_or(|left| left < min) {
            let why = format!("the group has {size} instances: without {going} it would fall below its smallest size, which is {min}");
            return Err(Error::new(ErrorKind::FailedPrecondition, Reason::WrongState, why).with_field("instances"));
        }
        Ok(found)
    }
}
pub(super) fn check(row: &Row, chosen: &ChosenInstances) -> Result<()> {
    Chosen::allowed(row, chosen).map(drop)
}

/// How many of the group must run, and how many there may be, in percent of its size, as Auto Scaling takes it. It never goes beyond what is asked
/// for: "setting the minimum healthy percentage to 100 percent limits the rate of replacement to one instance at a time"
/// (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html>).
fn percentages(size: u32, replacement: &Replacement) -> (u32, u32) {
    let (missing, more) = replacement.bounds();
    let size = size.max(1);
    let healthy = (u64::from(size.saturating_sub(missing)) * 100).div_ceil(u64::from(size));
    let most = (u64::from(size) + u64::from(more)) * 100 / u64::from(size);
    // "The difference between them cannot be greater than 100."
    let most = most.clamp(100, 200).min(healthy + 100);
    (healthy.try_into().unwrap_or(100), most.try_into().unwrap_or(100))
}

impl Aws {
    async fn group_to_act_on(&self, cx: &Cx, change: &Change<InstanceGroup>, resume: &Resume) -> Result<std::result::Result<Row, Looking>> {
        self.group_located(cx, change, &Looking::of(resume)).await
    }

    /// One write a step, and before each a look at what is there: Auto Scaling lowers the size once more for each call, whatever instance it names. What
    /// it was asked for is not asked again while reads may lag, and after a call of unknown fate nothing is.
    pub(super) async fn chosen_deleted(&self, cx: &Cx, change: &Change<InstanceGroup>, chosen: &ChosenInstances, resume: &Resume) -> Result<Step<InstanceOutcomes>> {
        let region = self.region(change.target.parent())?;
        let row = match self.group_to_act_on(cx, change, resume).await? {
            Ok(row) => row,
            Err(_) if resume.is_unresolved() => return Ok(look_again(PACE.0, "deletion")),
            Err(looking) => return looking.step(),
        };
        let (begun, rest) = resume.read::<Deleting>();
        let (mut begun, found) = match begun {
            Some(begun) => (begun, Chosen::of(&row, chosen)),
            // What is not there may have been deleted by a step that is forgotten.
            None if rest.written.is_some() => (Deleting::default(), Chosen::of(&row, chosen)),
            None => {
                let found = Chosen::allowed(&row, chosen)?;
                (Deleting { deleting_no_members: found.other.clone(), ..Deleting::default() }, found)
            }
        };
        let all = chosen.instances.len() - begun.deleting_no_members.len();
        if !found.stay.is_empty() && !rest.is_past(self.horizon) {
            let since = rest.unresolved.map(|at| at.elapsed()).unwrap_or_default();
            let after = (since / 4).clamp(PACE.0, PACE.1).min(self.horizon.saturating_sub(since));
            return Ok(Step::look_again(after, "looking whether AWS was asked to delete an instance"));
        }
        let may_lag = |id: &String| begun.asked_ms.get(id).is_some_and(|at| age(*at) < self.horizon);
        if let Some(next) = found.stay.iter().find(|id| !may_lag(id)) {
            let call = region.scaling.terminate_instance_in_auto_scaling_group().instance_id(next).should_decrement_desired_capacity(true);
            match region.scaling.write(cx, "TerminateInstanceInAutoScalingGroup", call.send()).await {
                // It has gone by itself since it was seen.
                Err(e) if is_gone(&e) => {}
                Err(e) if error::is(&e, &["ValidationError"]) && e.message().contains("min size") => {
                    return Err(e.reclassified(ErrorKind::FailedPrecondition, Reason::WrongState).with_violations(Vec::new()).with_field("instances"));
                }
                answer => answer.map(drop).map_err(of_group)?,
            }
            begun.asked_ms.insert(next.clone(), now_ms());
            return Step::wait(&begun, Duration::ZERO, format!("asked AWS to delete {} of {all}", begun.asked_ms.len()));
        }
        let since = begun.asked_ms.values().copied().min().unwrap_or_else(now_ms);
        if found.leave > 0 || !found.stay.is_empty() {
            return Step::wait(&begun, pace(since), format!("{} of {all} are gone", all.saturating_sub(found.leave + found.stay.len())));
        }
        Ok(Step::Done(InstanceOutcomes::of(chosen, &begun.deleting_no_members)))
    }

    /// Auto Scaling replaces by itself; a replacement that runs already, whoever began it, is waited for. After a lost reply one more is begun, and that is
    /// refused where there is one, and replaces nothing where all are as they should be.
    pub(super) async fn replaced(&self, cx: &Cx, change: &Change<InstanceGroup>, replacement: &Replacement, resume: &Resume) -> Result<Step<()>> {
        let region = self.region(change.target.parent())?;
        let row = match self.group_to_act_on(cx, change, resume).await? {
            Ok(row) => row,
            Err(looking) => return looking.step(),
        };
        let begun = resume.data::<Replacing>();
        let around = region.around_group(cx, &row).await?;
        let left = row.out_of_date(around.version.as_ref());
        let refresh = match &begun {
            Some(begun) => region.refreshes(cx, &row.name, Some(&begun.refresh)).await.map_err(of_group)?.pop(),
            None => around.refresh,
        };
        match (&begun, refresh) {
            (_, Some(refresh)) if is_under_way(&refresh) => {
                let id = made_id(refresh.instance_refresh_id(), "InstanceRefreshId")?;
                let replacing = begun.filter(|b| b.refresh == id).unwrap_or_else(|| Replacing { refresh: id, replacing_since_ms: now_ms() });
                let after = pace(replacing.replacing_since_ms);
                Step::wait(&replacing, after, progress(&refresh, left))
            }
            (Some(_), Some(refresh)) => ended(&refresh, left),
            (Some(begun), None) if age(begun.replacing_since_ms) < self.horizon => Step::wait(begun, pace(begun.replacing_since_ms), "waiting for AWS to show the replacement"),
            _ if left == 0 => Ok(Step::Done(())),
            _ => {
                let (healthy, most) = percentages(row.size(), replacement);
                let percent = |n: u32| i32::try_from(n).unwrap_or(100);
                let preferences = RefreshPreferences::builder().skip_matching(true).min_healthy_percentage(percent(healthy)).max_healthy_percentage(percent(most)).build();
                let call = region.scaling.start_instance_refresh().auto_scaling_group_name(&row.name).strategy(RefreshStrategy::Rolling).preferences(preferences);
                let id = match region.scaling.write(cx, "StartInstanceRefresh", call.send()).await {
                    // The next look finds it.
                    Err(e) if error::is(&e, &["InstanceRefreshInProgress"]) => return Looking::of(resume).waits("waiting for a replacement that is under way"),
                    answer => made_id(answer.map_err(of_group)?.instance_refresh_id(), "InstanceRefreshId")?,
                };
                Step::wait(&Replacing { refresh: id, replacing_since_ms: now_ms() }, Duration::ZERO, format!("0 of {left} replaced"))
            }
        }
    }

    /// "Cancelling": what is being replaced at that moment comes to its end.
    pub(super) async fn replacement_stopped(&self, cx: &Cx, change: &Change<InstanceGroup>, resume: &Resume) -> Result<Step<()>> {
        let region = self.region(change.target.parent())?;
        let row = match self.group_to_act_on(cx, change, resume).await? {
            Ok(row) => row,
            Err(looking) => return looking.step(),
        };
        let stopping = resume.data::<Stopping>().unwrap_or_else(|| Stopping { stopping_since_ms: now_ms() });
        let Some(refresh) = region.refresh(cx, &row.name).await.map_err(of_group)?.filter(is_under_way) else { return Ok(Step::Done(())) };
        if !matches!(refresh.status(), Some(InstanceRefreshStatus::Cancelling)) {
            let call = region.scaling.cancel_instance_refresh().auto_scaling_group_name(&row.name);
            match region.scaling.write(cx, "CancelInstanceRefresh", call.send()).await {
                Err(e) if error::is(&e, &["ActiveInstanceRefreshNotFound"]) => return Ok(Step::Done(())),
                answer => answer.map(drop).map_err(of_group)?,
            }
        }
        Step::wait(&stopping, pace(stopping.stopping_since_ms), "waiting for what is being replaced to come to its end")
    }
}

fn progress(refresh: &InstanceRefresh, left: u32) -> String {
    let to_update = refresh.instances_to_update().and_then(|n| u32::try_from(n).ok()).unwrap_or(left);
    let percent = refresh.percentage_complete().unwrap_or_default();
    match told(refresh.status_reason()) {
        Some(why) => format!("{to_update} still to be replaced, {percent} % done: {why}"),
        None => format!("{to_update} still to be replaced, {percent} % done"),
    }
}
/// What one that has ended came to.
fn ended(refresh: &InstanceRefresh, left: u32) -> Result<Step<()>> {
    let why = told(refresh.status_reason()).map(|why| format!(": {why}")).unwrap_or_default();
    let failed = |kind, what: &str| Err(Error::new(kind, Reason::WrongState, format!("{what} with {left} instances left{why}")).with_effect(Effect::Applied));
    match refresh.status() {
        Some(InstanceRefreshStatus::Successful) => Ok(Step::Done(())),
        Some(InstanceRefreshStatus::Cancelled) => failed(ErrorKind::Aborted, "somebody stopped it"),
        Some(InstanceRefreshStatus::RollbackSuccessful | InstanceRefreshStatus::RollbackFailed) => failed(ErrorKind::Aborted, "somebody rolled it back"),
        _ => failed(ErrorKind::FailedPrecondition, "AWS gave it up"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_never_go_beyond_the_numbers() {
        let of = |size, missing, more| percentages(size, &Replacement { max_unavailable: missing, max_surge: more });
        assert_eq!((of(4, None, None), of(4, None, Some(1)), of(2, Some(2), None)), ((75, 100), (100, 125), (0, 100)));
        // One of three hundred is less than a percent, and is replaced before it goes.
        assert_eq!((of(300, Some(1), None), of(300, None, Some(1)), of(1, None, Some(5))), ((100, 100), (100, 100), (100, 200)));
        assert_eq!(of(2, Some(2), Some(1)), (0, 100));
        for size in 1..=50_u32 {
            for (missing, more) in (0..=5).flat_map(|missing| (0..=5).map(move |more| (missing, more))).filter(|both| *both != (0, 0)) {
                let (healthy, most) = of(size, Some(missing), Some(more));
                assert!(u64::from(healthy) * u64::from(size) >= 100 * u64::from(size.saturating_sub(missing)), "{size} {missing} {more}");
                assert!(u64::from(most) * u64::from(size) <= 100 * u64::from(size + more), "{size} {missing} {more}");
                assert!(healthy <= 100 && (100..=200).contains(&most) && most - healthy <= 100, "{size} {missing} {more}");
            }
        }
    }
    #[test]
    fn an_end_is_what_auto_scaling_says() {
        for known in InstanceRefreshStatus::values() {
            let refresh = InstanceRefresh::builder().status(InstanceRefreshStatus::from(*known)).status_reason("because").build();
            let is_done = ended(&refresh, 1).is_ok();
            assert_eq!(is_done, *known == "Successful", "{known}");
        }
        let cancelled = InstanceRefresh::builder().status(InstanceRefreshStatus::Cancelled).build();
        assert_eq!(ended(&cancelled, 2).unwrap_err().kind(), ErrorKind::Aborted);
    }
}
