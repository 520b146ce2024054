//! What can be done with a group: chosen instances are deleted, and those from an earlier template replaced.

use crate::{
    Sim,
    resource::{Found, or_gone},
    vendor::{Action, Grouped, RefreshState},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};
use welkin_core::{Change, ChosenInstances, Cx, Effect, Error, ErrorKind, InstanceGroup, InstanceOutcomes, Reason, Replacement, Result, Resume, Step};

/// Which instances were to go, and which were none of the group's when that began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deleting {
    deleting_no_members: BTreeSet<String>,
}
/// The vendor's replacement that is waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replacing {
    refresh: String,
}

/// What is chosen, by where it stands.
pub(super) struct Chosen {
    /// Not asked for yet.
    stay: Vec<String>,
    /// On their way out, whoever asked for it.
    leave: usize,
    /// No instances of the group.
    other: BTreeSet<String>,
}

impl Sim {
    async fn chosen(&self, cx: &Cx, region: &str, id: &str, chosen: &ChosenInstances) -> Result<Chosen> {
        let there = self.group_instances(cx, region, id).await?;
        let mut out = Chosen { stay: Vec::new(), leave: 0, other: BTreeSet::new() };
        for instance in &chosen.instances {
            match there.iter().find(|g| g.member.instance == *instance) {
                Some(member) if member.leaves() => out.leave += 1,
                Some(_) => out.stay.push(instance.clone()),
                None => _ = out.other.insert(instance.clone()),
            }
        }
        Ok(out)
    }
    /// What of a deletion that has not begun is to be done; refused as a whole where the group would become too small.
    pub(super) async fn to_delete(&self, cx: &Cx, region: &str, (row, _): &Grouped, chosen: &ChosenInstances) -> Result<Chosen> {
        let found = self.chosen(cx, region, row.id(), chosen).await?;
        let (settings, going) = (row.body().settings, u32::try_from(found.stay.len()).unwrap_or(u32::MAX));
        if settings.size.checked_sub(going).is_none_or(|left| left < settings.min) {
            let why = format!("the group has {} instances: without {going} it would fall below its smallest size, which is {}", settings.size, settings.min);
            return Err(Error::new(ErrorKind::FailedPrecondition, Reason::WrongState, why).with_field("instances"));
        }
        Ok(found)
    }
    async fn grouped(&self, cx: &Cx, change: &Change<InstanceGroup>) -> Result<Grouped> {
        match self.located(cx, change, &Resume::default()).await? {
            Found::Here(row) => Ok(row),
            Found::NotYet(_) => Err(self.not_yet_visible(&change.target)),
            Found::Gone => Err(Error::not_found(&change.target)),
        }
    }

    /// One write a step, and before each a look at what is there: the vendor lowers the size once more for each call, whatever instance it names.
    pub(super) async fn chosen_deleted(&self, cx: &Cx, change: &Change<InstanceGroup>, chosen: &ChosenInstances, resume: &Resume) -> Result<Step<InstanceOutcomes>> {
        let region = change.target.parent().id.as_str();
        let row = self.grouped(cx, change).await?;
        let (begun, rest) = resume.read::<Deleting>();
        let id = row.0.id();
        let (begun, found) = match begun {
            Some(begun) => (begun, self.chosen(cx, region, id, chosen).await?),
            // What is not there may have been deleted by a step that is forgotten.
            None if rest.written.is_some() => (Deleting { deleting_no_members: BTreeSet::new() }, self.chosen(cx, region, id, chosen).await?),
            None => {
                let found = self.to_delete(cx, region, &row, chosen).await?;
                (Deleting { deleting_no_members: found.other.clone() }, found)
            }
        };
        let all = chosen.instances.len() - begun.deleting_no_members.len();
        if let Some(next) = found.stay.first() {
            let call = self.cloud.terminate_group_instance(region, id, next);
            or_gone(&change.target, self.call(cx, Action::TerminateGroupInstance, region, call).await)?;
            return Step::wait(&begun, Duration::ZERO, format!("asked the cloud to delete {} of {all}", all + 1 - found.stay.len()));
        }
        if found.leave > 0 {
            return Step::wait(&begun, self.pause(), format!("{} of {all} are gone", all - found.leave));
        }
        Ok(Step::Done(InstanceOutcomes::of(chosen, &begun.deleting_no_members)))
    }

    /// The vendor replaces by itself; one that runs already, whoever began it, is waited for.
    pub(super) async fn replaced(&self, cx: &Cx, change: &Change<InstanceGroup>, replacement: &Replacement, resume: &Resume) -> Result<Step<()>> {
        let region = change.target.parent().id.as_str();
        let (row, around) = self.grouped(cx, change).await?;
        let begun = resume.data::<Replacing>();
        let refresh = row.body().refresh.as_ref();
        if let Some(refresh) = refresh.filter(|refresh| refresh.state == RefreshState::InProgress) {
            let left = around.out_of_date.min(refresh.total);
            let progress = format!("{} of {} replaced, {} being made", refresh.total - left, refresh.total, around.pending);
            return Step::wait(&Replacing { refresh: refresh.id.clone() }, self.pause(), progress);
        }
        if around.out_of_date == 0 {
            return Ok(Step::Done(()));
        }
        if begun.is_some_and(|begun| refresh.is_some_and(|refresh| refresh.id == begun.refresh && refresh.state == RefreshState::Cancelled)) {
            let why = format!("somebody stopped it with {} instances left", around.out_of_date);
            return Err(Error::new(ErrorKind::Aborted, Reason::WrongState, why).with_effect(Effect::Applied));
        }
        let (max_unavailable, max_surge) = replacement.bounds();
        let call = self.cloud.start_refresh(region, row.id(), max_unavailable, max_surge);
        let refresh = or_gone(&change.target, self.call(cx, Action::StartInstanceRefresh, region, call).await)?;
        Step::wait(&Replacing { refresh }, Duration::ZERO, format!("0 of {} replaced", around.out_of_date))
    }

    pub(super) async fn replacement_stopped(&self, cx: &Cx, change: &Change<InstanceGroup>) -> Result<Step<()>> {
        let region = change.target.parent().id.as_str();
        let (row, _) = self.grouped(cx, change).await?;
        if row.body().refresh.as_ref().is_some_and(|refresh| refresh.state == RefreshState::InProgress) {
            or_gone(&change.target, self.call(cx, Action::CancelInstanceRefresh, region, self.cloud.cancel_refresh(region, row.id())).await)?;
        }
        Ok(Step::Done(()))
    }
}
