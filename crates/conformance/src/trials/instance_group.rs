//! What only instance groups have: instances that are theirs, which are made, replaced and deleted by themselves and on request.

use super::mishap::{Mishap, everywhere};
use crate::{
    runner::{End, Manner},
    specimen::{Depth, Specimen},
    stand::{Stand, Verdict, ensure, failed, foreign, minted, skipped},
    trial::Trial,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;
use welkin_core::{
    ChosenInstances, ErrorKind, GroupMember, Instance, InstanceGroup, InstanceGroupAction, InstanceGroupQuestion, InstanceGroupSpec, InstanceOutcomes, Kind, Managed, MemberState,
    Object, Query, Reason, Replacement, Resume, Subnet, Target, Verb,
};

pub(super) fn all() -> Vec<Trial> {
    let c = InstanceGroup::COLLECTION;
    vec![
        super::trial!(c, "members", "its instances are spread over zones and types as asked for, shown as its own, and touched by nothing but the group", members),
        super::trial!(c, "short", "where there is no capacity the others go on, and it is told why what is missing is", short),
        super::trial!(c, "chosen", "chosen instances go and the size falls by as many, once each whatever is lost, and never below the smallest", chosen),
        super::trial!(c, "replaced", "what is out of date is replaced a few at a time, with progress, whatever is lost, and not beyond its end", replaced),
        super::trial!(c, "healed", "an instance that breaks or is gone is replaced", healed),
    ]
}

/// How long a group may take to become what it should.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(100);

async fn asked(stand: &Stand<'_>, group: &Object<InstanceGroup>) -> Verdict<Vec<GroupMember>> {
    stand.eventually_asked::<InstanceGroup>(&Target::named(group.name.clone()), &InstanceGroupQuestion::Members).await
}
/// Those that are not on their way out.
fn staying(all: &[GroupMember]) -> impl Iterator<Item = &GroupMember> {
    all.iter().filter(|m| !matches!(m.state, MemberState::Deleting | MemberState::Failed))
}
fn ids<'a>(all: impl IntoIterator<Item = &'a GroupMember>) -> BTreeSet<String> {
    all.into_iter().map(|m| m.instance.clone()).collect()
}
/// Asks until its members are so.
async fn becomes(stand: &Stand<'_>, group: &Object<InstanceGroup>, what: &str, wanted: impl Fn(&[GroupMember]) -> bool) -> Verdict<Vec<GroupMember>> {
    let begin = Instant::now();
    loop {
        let all = asked(stand, group).await?;
        if wanted(&all) {
            return Ok(all);
        }
        ensure!(begin.elapsed() < PATIENCE, "{} does not come to {what}: {all:?}", group.name);
        tokio::time::sleep(LOOK).await;
    }
}
/// Until that many run and no other is there.
async fn settled(stand: &Stand<'_>, group: &Object<InstanceGroup>, size: usize) -> Verdict<Vec<GroupMember>> {
    let is_so = |all: &[GroupMember]| {
        let there: Vec<_> = all.iter().filter(|m| m.state != MemberState::Failed).collect();
        there.len() == size && there.iter().all(|m| m.state == MemberState::Running)
    };
    Ok(becomes(stand, group, &format!("{size} that run"), is_so).await?.into_iter().filter(|m| m.state == MemberState::Running).collect())
}
/// As it is now, to be changed.
async fn now(stand: &Stand<'_>, group: &Object<InstanceGroup>) -> Verdict<Object<InstanceGroup>> {
    stand.eventually(&Target::named(group.name.clone())).await
}
async fn resized(stand: &Stand<'_>, group: &Object<InstanceGroup>, size: u32) -> Verdict<Object<InstanceGroup>> {
    let group = now(stand, group).await?;
    if group.spec.size == Some(size) {
        return Ok(group);
    }
    stand.update(&group, InstanceGroupSpec { size: Some(size), ..group.spec.clone() }, Manner::PLAIN).await
}
/// What an engine makes of it before a driver sees it.
fn act(stand: &Stand<'_>, group: &Object<InstanceGroup>, mut action: InstanceGroupAction) -> Verdict<welkin_core::Change<InstanceGroup>> {
    stand.needs_verb::<InstanceGroup>(&action)?;
    let wrong = InstanceGroup::known(&mut action, &group.name, &|_| false, 100);
    ensure!(wrong.is_empty(), "{wrong:?}");
    stand.change_of(group, Verb::Act(action))
}
fn delete_of<'a>(stand: &Stand<'_>, group: &Object<InstanceGroup>, instances: impl IntoIterator<Item = &'a str>) -> Verdict<welkin_core::Change<InstanceGroup>> {
    act(stand, group, InstanceGroupAction::DeleteInstances(ChosenInstances { instances: instances.into_iter().map(ToOwned::to_owned).collect() }))
}
fn mishaps(stand: &Stand<'_>) -> Vec<Mishap> {
    let points = stand.subject.fault_points.iter().copied().map(Mishap::Fault);
    Mishap::CRASHES.into_iter().chain(points.filter(|_| stand.subject.world.abilities().faults)).collect()
}

async fn members(stand: &Stand<'_>) -> Verdict {
    stand.needs_verb::<InstanceGroup>(&InstanceGroupQuestion::Members)?;
    let field = InstanceGroup::ground(stand, Depth::Whole).await?;
    let before = stand.inventory().await?;
    let plain = InstanceGroup::plain(stand, &field, 0);
    let has_spot = stand.honours::<InstanceGroup>("spot_percent");
    let spec = InstanceGroupSpec {
        subnets: field.subnets.iter().map(|s| welkin_core::Ref::resolved(s.name.clone(), s.vendor_id.clone())).collect(),
        size: Some(4),
        max_size: Some(4),
        on_demand_base: u32::from(has_spot),
        spot_percent: if has_spot { 70 } else { 0 },
        labels: [("team".to_owned(), "a".to_owned())].into(),
        ..plain
    };
    let made = stand.create::<InstanceGroup>(spec.clone()).await?;
    let there = settled(stand, &made, 4).await?;
    let seen = now(stand, &made).await?;
    ensure!((seen.status.running_instances, seen.status.pending_instances, seen.status.out_of_date_instances) == (4, 0, 0), "it is {:?}", seen.status);
    if stand.honours::<Subnet>("zone") {
        let zones: BTreeSet<&str> = there.iter().map(|m| m.zone.as_str()).collect();
        ensure!(zones.iter().all(|zone| there.iter().filter(|m| m.zone == *zone).count() == 4 / field.subnets.len()), "they are spread as {zones:?}: {there:?}");
        ensure!(seen.status.effective_zones.iter().map(String::as_str).collect::<BTreeSet<_>>() == zones, "it shows {:?}", seen.status.effective_zones);
    }
    // One in the base, and of three above it 70 in a hundred, which are two.
    ensure!(!has_spot || there.iter().filter(|m| m.spot).count() == 2, "of four two should be spot instances: {there:?}");
    ensure!(there.iter().all(|m| spec.template.machine_types.contains(&m.machine_type) && !m.out_of_date && m.time_ms.is_some()), "{there:?}");

    // Each is an instance too, with the group's labels, and is the group's.
    let listed = stand.list(&Query::<Instance>::below(stand.place::<Instance>()?, 100)).await?;
    for member in &there {
        let Some(shown) = listed.iter().find(|o| o.vendor_id.as_str() == member.instance) else { return failed(format!("{} is not listed", member.instance)) };
        ensure!(shown.mark.is_none() && shown.name == foreign::<Instance>(&stand.place::<Instance>()?, &member.instance)?, "it is shown as {shown:?}");
        let read = stand.eventually::<Instance>(&Target::Vendor { parent: stand.place::<Instance>()?, vendor_id: member.instance.parse()? }).await?;
        // By its id, or by the end of that.
        let of = &read.status.instance_group;
        ensure!(!of.is_empty() && (made.vendor_id.as_str() == of || made.vendor_id.as_str().ends_with(&format!("/{of}"))), "it is shown as of {of:?}");
        ensure!(read.spec.labels == spec.labels, "it has the labels {:?}", read.spec.labels);
    }
    let Some(member) = there.first() else { return failed("four are none") };
    let by_vendor = Target::Vendor { parent: stand.place::<Instance>()?, vendor_id: member.instance.parse()? };
    if let Some(engine) = &stand.subject.adoption {
        let answer = stand.repeated(async || engine.adopt(Instance::COLLECTION, &stand_name(stand)?, &member.instance).await).await;
        ensure!(answer.as_ref().is_err_and(|e| e.reason() == Reason::NotOwned), "an instance of a group was adopted: {answer:?}");
    }
    // As if it had been adopted.
    let answer = stand.drive(&stand.change(by_vendor.clone(), minted()?, Verb::<Instance>::Delete)?, Manner::PLAIN).await.end;
    ensure!(answer.is_err(), "an instance of a group was deleted: {answer:?}");
    ensure!(ids(&settled(stand, &made, 4).await?) == ids(&there), "others are there");

    let answer = stand.drive(&stand.change_of(&seen, Verb::Delete)?, Manner::PLAIN).await.end?;
    ensure!(matches!(answer, End::Deleted), "its delete ended as {answer:?}");
    let left = stand.new_since(&before).await?;
    ensure!(left.is_empty(), "it is gone, and there is still {left:?}");
    Ok(())
}
fn stand_name(stand: &Stand<'_>) -> welkin_core::Result<String> {
    match stand.name::<Instance>() {
        Ok(name) => Ok(name.to_string()),
        Err(stop) => Err(welkin_core::Error::internal(format!("{stop:?}"))),
    }
}

async fn short(stand: &Stand<'_>) -> Verdict {
    if !stand.subject.world.abilities().runs_short {
        return skipped("no machine type can run short");
    }
    let field = InstanceGroup::ground(stand, Depth::Whole).await?;
    let [first, second] = &stand.subject.machine_types;
    let (plain, world) = (InstanceGroup::plain(stand, &field, 0), &stand.subject.world);
    let zonal = stand.honours::<Subnet>("zone");
    let zone = field.subnets.first().and_then(|s| s.spec.zone.clone());
    let mut spec = InstanceGroupSpec { size: Some(2), ..plain };
    spec.subnets = field.subnets.iter().map(|s| welkin_core::Ref::resolved(s.name.clone(), s.vendor_id.clone())).collect();

    // One zone is short: the other one has both.
    if zonal {
        world.run_short(first, zone.as_deref()).await?;
        let made = stand.create::<InstanceGroup>(spec.clone()).await?;
        let there = settled(stand, &made, 2).await?;
        ensure!(there.iter().all(|m| Some(&m.zone) != zone.as_ref()), "they are in {there:?}");
        let all = asked(stand, &made).await?;
        ensure!(all.iter().any(|m| m.state == MemberState::Failed && m.failure == Reason::Capacity.to_string() && Some(&m.zone) == zone.as_ref()), "nothing tells why: {all:?}");
        ensure!(now(stand, &made).await?.status.failed_launches == 0, "what was made elsewhere is missed");
        stand.delete(&made, Manner::PLAIN).await?;
        world.restock().await;
    }
    // One type is short everywhere: the next one is taken.
    world.run_short(first, None).await?;
    let mut two = spec.clone();
    two.template.machine_types = vec![first.clone(), second.clone()];
    let made = stand.create::<InstanceGroup>(two.clone()).await?;
    let there = settled(stand, &made, 2).await?;
    ensure!(there.iter().all(|m| m.machine_type == *second), "they are {there:?}");
    // Both are: the group is there, says what is missing and why, and has it when there is capacity again.
    world.run_short(second, None).await?;
    let made = stand.update(&now(stand, &made).await?, InstanceGroupSpec { size: Some(3), ..made.spec.clone() }, Manner::PLAIN).await?;
    let all = becomes(stand, &made, "a failure", |all| all.iter().any(|m| m.state == MemberState::Failed && m.machine_type == *second)).await?;
    ensure!(all.iter().filter(|m| m.state == MemberState::Failed).all(|m| m.failure == Reason::Capacity.to_string() && !m.reason.is_empty()), "{all:?}");
    let seen = now(stand, &made).await?;
    ensure!(seen.status.failed_launches > 0 && !seen.status.state_reason.is_empty() && seen.status.running_instances == 2, "it is {:?}", seen.status);
    ensure!(InstanceGroup::is_ready(&seen.status), "a group that is short is {:?}", seen.status);
    world.restock().await;
    settled(stand, &made, 3).await?;
    Ok(())
}

async fn chosen(stand: &Stand<'_>) -> Verdict {
    let field = InstanceGroup::ground(stand, Depth::Plain).await?;
    let made = stand.create::<InstanceGroup>(InstanceGroup::plain(stand, &field, 0)).await?;
    let chosen_of = async |size: u32, count: usize| -> Verdict<(Object<InstanceGroup>, Vec<String>)> {
        let group = resized(stand, &made, size).await?;
        let there = settled(stand, &group, size.try_into().unwrap_or(usize::MAX)).await?;
        Ok((group, there.into_iter().map(|m| m.instance).take(count).collect()))
    };
    let picked = std::cell::RefCell::new(Vec::new());
    everywhere::<InstanceGroup>(
        stand,
        "delete_instances",
        &mishaps(stand),
        Manner::PLAIN,
        async || {
            let (group, instances) = chosen_of(3, 2).await?;
            let change = delete_of(stand, &group, instances.iter().map(String::as_str))?;
            picked.replace(instances);
            Ok(change)
        },
        async |how, _, driven| {
            driven.end?;
            let (seen, all) = (now(stand, &made).await?, asked(stand, &made).await?);
            ensure!(seen.spec.size == Some(1), "{how}: two of three were deleted, and the size is {:?}", seen.spec.size);
            let there = ids(staying(&all));
            ensure!(there.len() == 1 && picked.borrow().iter().all(|id| !there.contains(id)), "{how}: {:?} were to go, and there is {all:?}", picked.borrow());
            Ok(())
        },
    )
    .await?;

    // Each has an outcome; what is none of the group's blocks nobody.
    let (group, instances) = chosen_of(2, 1).await?;
    let other = crate::specimen::id_of_nothing::<Instance>(stand);
    let change = delete_of(stand, &group, instances.iter().map(String::as_str).chain([other.as_str()]))?;
    let End::Acted(Some(InstanceOutcomes(outcomes))) = stand.drive(&change, Manner::PLAIN).await.end? else { return failed("a deletion without outcomes") };
    let told: Vec<_> = outcomes.iter().map(|o| (o.instance.clone(), o.error.as_ref().map(welkin_core::Error::reason))).collect();
    ensure!(told == [(instances[0].clone(), None), (other, Some(Reason::NotOwned))], "it came to {told:?}");
    ensure!(now(stand, &made).await?.spec.size == Some(1), "the size is wrong");

    // Never below the smallest, and nothing of it then.
    let group = now(stand, &made).await?;
    let group = stand.update(&group, InstanceGroupSpec { min_size: 2, size: Some(3), ..group.spec.clone() }, Manner::PLAIN).await?;
    let there = settled(stand, &group, 3).await?;
    let change = delete_of(stand, &group, there.iter().take(2).map(|m| m.instance.as_str()))?;
    for (what, answer) in [("its check", stand.check(&change).await), ("it", stand.drive(&change, Manner::PLAIN).await.end.map(drop))] {
        let is_told =
            |e: &welkin_core::Error| e.kind() == ErrorKind::FailedPrecondition && e.reason() == Reason::WrongState && e.violations().iter().any(|v| v.field == "instances");
        ensure!(answer.as_ref().is_err_and(is_told), "a deletion below the smallest size, {what}: {answer:?}");
    }
    ensure!(now(stand, &made).await?.spec.size == Some(3) && ids(&settled(stand, &group, 3).await?) == ids(&there), "something of it was done");
    Ok(())
}

/// Another template, so that all are out of date.
async fn outdated(stand: &Stand<'_>, group: &Object<InstanceGroup>) -> Verdict<Object<InstanceGroup>> {
    let group = now(stand, group).await?;
    let mut spec = group.spec.clone();
    let other = &stand.subject.machine_types;
    spec.template.machine_types = vec![if spec.template.machine_types.first() == other.first() { other[1].clone() } else { other[0].clone() }];
    let group = stand.update(&group, spec, Manner::PLAIN).await?;
    ensure!(group.status.out_of_date_instances == group.spec.size.unwrap_or_default(), "after a change of the template it is {:?}", group.status);
    Ok(group)
}

async fn replaced(stand: &Stand<'_>) -> Verdict {
    const SIZE: u32 = 2;
    let count = usize::try_from(SIZE).unwrap_or(usize::MAX);
    let field = InstanceGroup::ground(stand, Depth::Plain).await?;
    let made = stand.create::<InstanceGroup>(InstanceGroupSpec { size: Some(SIZE), ..InstanceGroup::plain(stand, &field, 0) }).await?;
    settled(stand, &made, count).await?;
    let replace = |max_unavailable, max_surge| InstanceGroupAction::ReplaceInstances(Replacement { max_unavailable, max_surge });

    // Where nothing is out of date there is nothing to do.
    let group = now(stand, &made).await?;
    let driven = stand.drive(&act(stand, &group, replace(None, None))?, Manner::PLAIN).await;
    driven.end?;
    ensure!(stand.subject.served || driven.writes == 0, "nothing was out of date, and there were {} writes", driven.writes);

    let old = std::cell::RefCell::new(BTreeSet::new());
    everywhere::<InstanceGroup>(
        stand,
        "replace_instances",
        &mishaps(stand),
        Manner::PLAIN,
        async || {
            old.replace(ids(&settled(stand, &made, count).await?));
            let group = outdated(stand, &made).await?;
            act(stand, &group, replace(None, Some(1)))
        },
        async |how, _, driven| {
            driven.end?;
            let (seen, there) = (now(stand, &made).await?, settled(stand, &made, count).await?);
            ensure!(seen.spec.size == Some(SIZE), "{how}: the size is {:?}", seen.spec.size);
            ensure!(seen.status.out_of_date_instances == 0 && !seen.status.is_replacing, "{how}: it is {:?}", seen.status);
            ensure!(ids(&there).is_disjoint(&old.borrow()) && there.iter().all(|m| !m.out_of_date), "{how}: there is {there:?}");
            Ok(())
        },
    )
    .await?;

    // Never fewer run than are to: with a surge all of them, and without one all but one.
    for (action, fewest) in [(replace(None, Some(1)), SIZE), (replace(None, None), SIZE - 1)] {
        let group = outdated(stand, &made).await?;
        let change = act(stand, &group, action.clone())?;
        let watch = async {
            let mut seen = (u32::MAX, 0);
            while now(stand, &made).await?.status.out_of_date_instances > 0 {
                let running = now(stand, &made).await?.status.running_instances;
                seen = (seen.0.min(running), seen.1.max(running));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Verdict::Ok(seen)
        };
        let (driven, watched) = tokio::join!(stand.drive(&change, Manner::PLAIN), watch);
        driven.end?;
        let (least, most) = watched?;
        ensure!(least >= fewest && most <= SIZE + 1, "with {action:?} between {least} and {most} ran");
        settled(stand, &made, count).await?;
    }

    tells_how_far(stand, &made).await?;
    Box::pin(stopped(stand, &made, SIZE)).await
}
/// Has no capacity for anything that is made next, where there are worlds of which that is known.
async fn runs_short(stand: &Stand<'_>) -> Verdict {
    let world = &stand.subject.world;
    for machine_type in stand.subject.machine_types.iter().filter(|_| world.abilities().runs_short) {
        world.run_short(machine_type, None).await?;
    }
    Ok(())
}
/// How far it is stands in what the waits tell: the first number of what is otherwise told in the same words moves in one direction alone.
async fn tells_how_far(stand: &Stand<'_>, made: &Object<InstanceGroup>) -> Verdict {
    let group = outdated(stand, made).await?;
    let change = act(stand, &group, InstanceGroupAction::ReplaceInstances(Replacement::default()))?;
    // It comes to a halt after the first one where what is made can run short, and may be at its end at any time elsewhere.
    runs_short(stand).await?;
    let begun = stand.drive(&change, Manner { at_most: Some(20), ..Manner::PLAIN }).await;
    begun.end?;
    stand.subject.world.restock().await;
    let rest = stand.drive_from(&change, begun.left, Manner::PLAIN).await;
    rest.end?;
    let told = [begun.told, rest.told].concat();
    let mut far = BTreeMap::<String, Vec<u32>>::new();
    for text in &told {
        // What follows is why, or what else there is.
        let clause = text.split([',', ':']).next().unwrap_or_default();
        if let Some(Ok(number)) = clause.split(|c: char| !c.is_ascii_digit()).find(|digits| !digits.is_empty()).map(str::parse) {
            far.entry(clause.replace(|c: char| c.is_ascii_digit(), "")).or_default().push(number);
        }
    }
    ensure!(!far.is_empty() && told.iter().all(|text| !text.is_empty()), "it is not told how far it is: {told:?}");
    ensure!(far.values().all(|numbers| numbers.is_sorted() || numbers.iter().rev().is_sorted()), "it goes back and forth: {told:?}");
    // Where nothing holds it up, and through a server, it may be looked at too seldom to see it move.
    ensure!(stand.subject.served || !stand.subject.world.abilities().runs_short || far.values().any(|numbers| numbers.first() != numbers.last()), "it does not move: {told:?}");
    Ok(())
}
/// Stopped, wherever something goes wrong, what is out of date stays so, until another replacement takes it on.
async fn stopped(stand: &Stand<'_>, made: &Object<InstanceGroup>, size: u32) -> Verdict {
    let count = usize::try_from(size).unwrap_or(usize::MAX);
    let replace = |max_unavailable, max_surge| InstanceGroupAction::ReplaceInstances(Replacement { max_unavailable, max_surge });
    if stand.subject.served || !stand.subject.world.abilities().runs_short {
        // An engine's own operation goes on; and what nothing holds up may be at its end before it is stopped.
        let go_on = |e: welkin_core::Error| if stand.subject.served && e.reason() == Reason::OperationInProgress { Ok(()) } else { Err(e) };
        let group = outdated(stand, made).await?;
        stand.drive(&act(stand, &group, replace(None, None))?, Manner { at_most: Some(1), ..Manner::PLAIN }).await.end?;
        stand.drive(&act(stand, &group, InstanceGroupAction::StopReplacement)?, Manner::PLAIN).await.end.map(drop).or_else(go_on)?;
        let seen = now(stand, made).await?;
        ensure!(stand.subject.served || (!seen.status.is_replacing && seen.spec.size == Some(size)), "stopped, it is {:?}", seen.status);
        stand.drive(&act(stand, &group, replace(Some(1), Some(1)))?, Manner::PLAIN).await.end.map(drop).or_else(go_on)?;
        becomes(stand, made, "none out of date", |all| staying(all).count() == count && staying(all).all(|m| !m.out_of_date)).await?;
        return Ok(());
    }
    everywhere::<InstanceGroup>(
        stand,
        "stop_replacement",
        &mishaps(stand),
        Manner::PLAIN,
        async || {
            let group = outdated(stand, made).await?;
            runs_short(stand).await?;
            // One more is made before one goes: where that is short nothing is replaced before the stop.
            let (change, mut left) = (act(stand, &group, replace(None, Some(1)))?, Resume::default());
            while !now(stand, made).await?.status.is_replacing {
                let begun = stand.drive_from(&change, left, Manner { at_most: Some(1), ..Manner::PLAIN }).await;
                let End::Stopped = begun.end? else { return failed("all was replaced before it could be stopped") };
                left = begun.left;
            }
            act(stand, &group, InstanceGroupAction::StopReplacement)
        },
        async |how, stop, driven| {
            driven.end?;
            stand.subject.world.restock().await;
            settled(stand, made, count).await?;
            let seen = now(stand, made).await?;
            ensure!(!seen.status.is_replacing && seen.status.out_of_date_instances > 0 && seen.spec.size == Some(size), "{how}: it is {:?}", seen.status);
            let again = stand.drive(stop, Manner::PLAIN).await;
            again.end?;
            ensure!(again.writes == 0, "{how}: nothing was being replaced, and a stop made {} writes", again.writes);
            stand.drive(&act(stand, &seen, replace(Some(1), Some(1)))?, Manner::PLAIN).await.end?;
            let there = settled(stand, made, count).await?;
            ensure!(there.iter().all(|m| !m.out_of_date), "{how}, and replaced again: there is {there:?}");
            Ok(())
        },
    )
    .await?;
    Ok(())
}

async fn healed(stand: &Stand<'_>) -> Verdict {
    if !stand.subject.world.abilities().removes {
        return skipped("nothing can be removed behind the provider's back");
    }
    let field = InstanceGroup::ground(stand, Depth::Plain).await?;
    let made = stand.create::<InstanceGroup>(InstanceGroupSpec { size: Some(2), ..InstanceGroup::plain(stand, &field, 0) }).await?;
    let there = settled(stand, &made, 2).await?;
    let Some(first) = there.first() else { return failed("two are none") };
    stand.subject.world.remove(&first.instance).await?;
    let healed = becomes(stand, &made, "two others", |all| !ids(staying(all)).contains(&first.instance) && staying(all).count() == 2).await?;
    ensure!(ids(staying(&healed)).intersection(&ids(&there)).count() == 1, "one was gone, and of {there:?} there is {healed:?}");
    ensure!(now(stand, &made).await?.spec.size == Some(2), "its size has changed");
    Ok(())
}
