//! Instance groups: what a create, an update and a delete cost at the wire, what is found again after a lost answer, and that no size falls twice.

use crate::{
    cloud::{Fault, scaling::Group},
    journal::{World, create, name, then},
};
use std::{collections::BTreeSet, time::Duration};
use welkin_core::*;

/// Writes of a create, in their order.
const CREATES: [&str; 3] = ["ImportKeyPair", "CreateLaunchTemplate", "CreateAutoScalingGroup"];
const KEY: &str = "ssh-ed25519 AAAA";

pub fn spec(size: u32) -> InstanceGroupSpec {
    let image = Name::<Image>::new(LocationName::of("eu-west-1").unwrap(), "ami-1".parse().unwrap());
    InstanceGroupSpec {
        template: InstanceTemplate { machine_types: vec!["t3.small".into()], image: Some(Ref::resolved(image, "ami-1".parse().unwrap())), ..InstanceTemplate::default() },
        subnets: vec![Ref::resolved(name("s"), "subnet-1".parse().unwrap())],
        size: Some(size),
        max_size: Some(5),
        labels: [("team".to_owned(), "a".to_owned())].into(),
        ..InstanceGroupSpec::default()
    }
}
fn with_key(size: u32) -> InstanceGroupSpec {
    let spec = spec(size);
    InstanceGroupSpec { template: InstanceTemplate { ssh_key: Some(KEY.into()), ..spec.template }, ..spec }
}
fn of_types(spec: &InstanceGroupSpec, types: &[&str]) -> InstanceGroupSpec {
    let machine_types = types.iter().map(|t| (*t).to_owned()).collect();
    InstanceGroupSpec { template: InstanceTemplate { machine_types, ..spec.template.clone() }, ..spec.clone() }
}
pub fn update(made: &Change<InstanceGroup>, id: &VendorId, desired: InstanceGroupSpec, paths: &[&'static str]) -> Change<InstanceGroup> {
    let change = then(made, id.as_str(), Verb::Update { desired, paths: paths.iter().map(|p| FieldPath::from(*p)).collect() });
    // Each change has a token of its own.
    Change { token: format!("{}-{}", change.token, paths.join("-")), ..change }
}
fn act(made: &Change<InstanceGroup>, id: &VendorId, action: InstanceGroupAction) -> Change<InstanceGroup> {
    then(made, id.as_str(), Verb::Act(action))
}
fn deletes(instances: &[String]) -> InstanceGroupAction {
    InstanceGroupAction::DeleteInstances(ChosenInstances { instances: instances.to_vec() })
}
/// All calls, and the writes among them, since the last look. A dry run is none.
fn counted(world: &World) -> (usize, usize) {
    let calls = world.cloud.script(|s| s.counted());
    (calls.len(), calls.iter().filter(|c| !c.starts_with("Describe") && !c.contains("\"DryRun\": \"true\"")).count())
}
fn group(world: &World) -> Group {
    world.cloud.script(|s| s.scaling.groups.first().unwrap().clone())
}
fn members(world: &World) -> Vec<String> {
    group(world).members.into_iter().map(|m| m.instance).collect()
}
fn is_clean(world: &World) {
    assert_eq!(world.cloud.script(|s| s.scaling.groups.len()), 0);
    for kind in ["lt", "key", "i"] {
        assert_eq!(world.cloud.ids(kind), [""; 0], "{kind}");
    }
}

#[tokio::test]
async fn what_it_costs_is_counted_at_the_wire() {
    let world = World::with(200).await;
    let change = create::<InstanceGroup>("web", spec(2));
    // The dry run, the template, the group, and a look at it.
    let made = world.run(&change).await.unwrap().object();
    assert_eq!(counted(&world), (4, 2));
    assert_eq!((made.spec.size, made.spec.template.machine_types.as_slice(), made.status.state), (Some(2), ["t3.small".to_owned()].as_slice(), InstanceGroupState::Active));
    // The group and its template.
    let seen = world.get(&change.target).await.unwrap();
    assert_eq!((counted(&world), seen.status.running_instances), ((2, 0), 2));
    let by_id = world.get(&Target::Vendor { parent: LocationName::of("eu-west-1").unwrap(), vendor_id: made.vendor_id.clone() }).await.unwrap();
    assert_eq!((by_id, counted(&world)), (seen.clone(), (2, 0)));

    // The same again writes nothing, whatever it names.
    let every = ["template", "subnets", "min_size", "max_size", "size", "on_demand_base", "spot_percent", "health", "labels"];
    let now = world.run(&update(&change, &made.vendor_id, seen.spec.clone(), &every)).await.unwrap().object();
    assert_eq!((counted(&world), now), ((2, 0), seen.clone()));
    // Sizes are one write, and so is another list of types; what a template says is a version more. Where instances become something else EC2 is asked
    // before whether there could be such: by a dry run, and where there are several types by their names.
    world.run(&update(&change, &made.vendor_id, InstanceGroupSpec { size: Some(3), min_size: 1, ..seen.spec.clone() }, &["size", "min_size"])).await.unwrap();
    assert_eq!(counted(&world), (3, 1));
    let more = of_types(&seen.spec, &["t3.small", "t3.large"]);
    let now = world.run(&update(&change, &made.vendor_id, more.clone(), &["template.machine_types"])).await.unwrap().object();
    assert_eq!((counted(&world), now.status.out_of_date_instances, now.status.template_version.as_str()), ((5, 1), 0, "1"));
    let larger = InstanceTemplate { assign_public_ip: Some(true), ..more.template.clone() };
    let now = world.run(&update(&change, &made.vendor_id, InstanceGroupSpec { template: larger, ..more }, &["template.assign_public_ip"])).await.unwrap().object();
    assert_eq!((counted(&world), now.status.out_of_date_instances, now.status.template_version.as_str()), ((6, 2), 3, "2"));
    assert_eq!(world.get(&change.target).await.unwrap().spec.template, now.spec.template);

    world.run(&then(&change, made.vendor_id.as_str(), Verb::Delete)).await.unwrap();
    is_clean(&world);
}

/// Whatever answer is lost, there is one of each, and a delete leaves none.
#[tokio::test]
async fn what_answers_are_lost_of_is_made_once() {
    for lost in CREATES {
        for fault in [Fault::Lost, Fault::Broken, Fault::Bare(503)] {
            let world = World::with(200).await;
            world.cloud.script(|s| s.read_lag = Duration::from_millis(30));
            world.cloud.fault(lost, fault, 1);
            let change = create::<InstanceGroup>("web", with_key(1));
            let made = world.run(&change).await.unwrap().object();
            let counts = (world.cloud.script(|s| s.scaling.groups.len()), world.cloud.ids("lt").len(), world.cloud.ids("key").len());
            assert_eq!(counts, (1, 1, 1), "{lost} {fault:?}");
            world.cloud.fault("DeleteAutoScalingGroup", fault, 1);
            world.cloud.fault("DeleteLaunchTemplate", fault, 1);
            world.cloud.script(|s| s.scaling.ends = Duration::from_millis(30));
            world.run(&then(&change, made.vendor_id.as_str(), Verb::Delete)).await.unwrap();
            is_clean(&world);
        }
        // Refused in the middle, nothing is left of it.
        let world = World::with(200).await;
        world.cloud.fault(lost, Fault::Refuse("UnauthorizedOperation", 403), 1);
        let e = world.run_and_clean(&create::<InstanceGroup>("web", with_key(1))).await;
        assert_eq!((e.kind(), e.reason()), (ErrorKind::FailedPrecondition, Reason::CloudPermission), "{lost}: {e}");
        is_clean(&world);
    }
}

#[tokio::test]
async fn instances_get_the_labels_and_no_mark() {
    let world = World::with(200).await;
    let change = create::<InstanceGroup>("web", spec(1));
    let made = world.run(&change).await.unwrap().object();
    world.get(&change.target).await.unwrap();
    let Group { tags, propagated, .. } = group(&world);
    assert_eq!((propagated.as_slice(), tags["welkin.dev/id"].as_str(), tags["Name"].as_str()), (["team".to_owned()].as_slice(), "web", "web"));
    let id = members(&world).remove(0);
    let target = Target::<Instance>::Vendor { parent: LocationName::of("eu-west-1").unwrap(), vendor_id: id.parse().unwrap() };
    let shown = world.get(&target).await.unwrap();
    assert!(shown.mark.is_none() && made.vendor_id.as_str().ends_with(&format!("/{}", shown.status.instance_group)), "{shown:?}");
    assert_eq!(shown.spec.labels, [("team".to_owned(), "a".to_owned())].into());
    // It is the group's, and nobody else's to have.
    let adopt = Change { target, verb: Verb::Update { desired: shown.spec, paths: BTreeSet::new() }, ..create::<Instance>("x", InstanceSpec::default()) };
    assert_eq!(world.check(&adopt).await.unwrap_err().reason(), Reason::NotOwned);
    assert_eq!(world.run(&Change { verb: Verb::Delete, ..adopt }).await.unwrap_err().reason(), Reason::NotOwned);
    assert_eq!(members(&world), [id]);

    // Other labels are for what is made from now on.
    let desired = InstanceGroupSpec { labels: [("tier".to_owned(), "b".to_owned()), ("Name".to_owned(), "x".to_owned())].into(), ..made.spec.clone() };
    let now = world.run(&update(&change, &made.vendor_id, desired.clone(), &["labels"])).await.unwrap().object();
    assert_eq!((&now.spec.labels, &world.get(&change.target).await.unwrap().spec.labels), (&desired.labels, &desired.labels));
    let Group { tags, mut propagated, .. } = group(&world);
    propagated.retain(|key| tags.contains_key(key));
    propagated.sort();
    assert_eq!((propagated, tags["welkin.dev/uid"].as_str()), (vec!["Name".to_owned(), "tier".to_owned()], "uid-of-web"));
}

/// The size falls with each call whatever instance it names, so that none may be sent twice.
#[tokio::test]
async fn a_chosen_instance_is_asked_for_once() {
    for (fault, lag) in [(None, 0), (None, 150), (Some(Fault::Lost), 0), (Some(Fault::Lost), 150), (Some(Fault::Broken), 150), (Some(Fault::Bare(503)), 0)] {
        let world = World::with(300).await;
        let change = create::<InstanceGroup>("web", spec(4));
        let made = world.run(&change).await.unwrap().object();
        world.get(&change.target).await.unwrap();
        world.cloud.script(|s| (s.scaling.lag, s.scaling.ends) = (Duration::from_millis(lag), Duration::from_millis(lag + 20)));
        let all = members(&world);
        if let Some(fault) = fault {
            world.cloud.fault("TerminateInstanceInAutoScalingGroup", fault, 1);
        }
        let deletion = act(&change, &made.vendor_id, deletes(&all[..2]));
        world.check(&deletion).await.unwrap();
        world.run(&deletion).await.unwrap();
        assert_eq!((group(&world).is["DesiredCapacity"].as_str(), members(&world)), ("2", all[2..].to_vec()), "{fault:?} {lag}");
    }
}
#[tokio::test]
async fn no_instance_goes_where_the_group_would_become_too_small() {
    let world = World::with(200).await;
    let change = create::<InstanceGroup>("web", InstanceGroupSpec { min_size: 1, ..spec(2) });
    let made = world.run(&change).await.unwrap().object();
    world.get(&change.target).await.unwrap();
    let all = members(&world);
    let deletion = act(&change, &made.vendor_id, deletes(&all));
    for e in [world.check(&deletion).await.unwrap_err(), world.run(&deletion).await.unwrap_err()] {
        assert_eq!((e.reason(), e.violations()[0].field.as_str()), (Reason::WrongState, "instances"));
    }
    assert_eq!(members(&world), all);
    // Somebody raises the smallest size while it goes on.
    world.cloud.fault(
        "TerminateInstanceInAutoScalingGroup",
        Fault::Refuse("ValidationError: Currently, desiredSize equals minSize (2). It will violate group's min size constraint.", 400),
        1,
    );
    let e = world.run(&act(&change, &made.vendor_id, deletes(&all[..1]))).await.unwrap_err();
    assert_eq!((e.kind(), e.reason(), e.violations()[0].field.as_str()), (ErrorKind::FailedPrecondition, Reason::WrongState, "instances"));
}

#[tokio::test]
async fn what_is_out_of_date_is_replaced_once() {
    let world = World::with(200).await;
    let change = create::<InstanceGroup>("web", spec(3));
    let made = world.run(&change).await.unwrap().object();
    world.get(&change.target).await.unwrap();
    let replace = |max_unavailable| act(&change, &made.vendor_id, InstanceGroupAction::ReplaceInstances(Replacement { max_unavailable, max_surge: None }));
    counted(&world);
    world.run(&replace(None)).await.unwrap();
    assert_eq!(counted(&world), (2, 0), "nothing was out of date");
    for (fault, other) in [(Fault::Passes, "t3.large"), (Fault::Lost, "t3.medium"), (Fault::Broken, "t3.small")] {
        let before = members(&world);
        let now = world.run(&update(&change, &made.vendor_id, of_types(&made.spec, &[other]), &["template"])).await.unwrap().object();
        assert_eq!(now.status.out_of_date_instances, 3);
        world.cloud.fault("StartInstanceRefresh", fault, 1);
        world.run(&replace(Some(1))).await.unwrap();
        let seen = world.get(&change.target).await.unwrap();
        assert_eq!((seen.status.out_of_date_instances, seen.status.is_replacing, seen.spec.size), (0, false, Some(3)), "{fault:?}");
        assert!(members(&world).iter().all(|id| !before.contains(id)), "{fault:?}");
    }
    let begun = world.cloud.bodies().into_iter().filter(|b| b.contains("Action=StartInstanceRefresh")).collect::<Vec<_>>();
    assert!(
        begun
            .iter()
            .all(|b| b.contains("Preferences.SkipMatching=true") && b.contains("Preferences.MinHealthyPercentage=67") && b.contains("Preferences.MaxHealthyPercentage=100"))
    );
}
#[tokio::test]
async fn a_replacement_that_somebody_stops_is_told() {
    let world = World::with(200).await;
    let change = create::<InstanceGroup>("web", spec(5));
    let made = world.run(&change).await.unwrap().object();
    world.get(&change.target).await.unwrap();
    world.run(&update(&change, &made.vendor_id, of_types(&made.spec, &["t3.large"]), &["template"])).await.unwrap();
    world.cloud.script(|s| s.scaling.ends = Duration::from_secs(5));
    let replace = act(&change, &made.vendor_id, InstanceGroupAction::ReplaceInstances(Replacement::default()));
    let stop = act(&change, &made.vendor_id, InstanceGroupAction::StopReplacement);
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        world.run(&stop).await.unwrap();
    };
    let (replaced, ()) = tokio::join!(world.run(&replace), stopping);
    let e = replaced.unwrap_err();
    assert_eq!((e.kind(), e.reason(), e.effect()), (ErrorKind::Aborted, Reason::WrongState, Effect::Applied), "{e}");
    // Where none is under way there is nothing to stop.
    world.run(&stop).await.unwrap();
    assert_eq!(world.cloud.calls("CancelInstanceRefresh"), 1);
}

#[tokio::test]
async fn what_is_missing_is_told_with_its_reason() {
    let world = World::with(200).await;
    let why = "We currently do not have sufficient t3.small capacity in the Availability Zone you requested (eu-west-1a). Launching EC2 instance failed.";
    world.cloud.script(|s| s.scaling.fails = Some(why));
    let change = create::<InstanceGroup>("web", spec(2));
    world.run(&change).await.unwrap();
    let seen = world.get(&change.target).await.unwrap();
    assert!(seen.status.failed_launches > 0 && seen.status.state == InstanceGroupState::Active && seen.status.state_reason == why, "{seen:?}");
    let told = world.ask(&change.target, InstanceGroupQuestion::Members).await.unwrap();
    assert!(told.iter().all(|m| (m.state, m.failure.as_str(), m.zone.as_str()) == (MemberState::Failed, "CAPACITY", "eu-west-1a")) && !told.is_empty(), "{told:?}");
    world.cloud.script(|s| s.scaling.fails = None);
    world.get(&change.target).await.unwrap();
    let seen = world.get(&change.target).await.unwrap();
    assert_eq!((seen.status.failed_launches, seen.status.running_instances, seen.status.state_reason.as_str()), (0, 2, ""));
    let told = world.ask(&change.target, InstanceGroupQuestion::Members).await.unwrap();
    assert_eq!(told.iter().filter(|m| m.state == MemberState::Running && m.time_ms.is_some() && !m.out_of_date).count(), 2, "{told:?}");
}

/// Auto Scaling calls a group by its name: another one of the same name is another one.
#[tokio::test]
async fn a_group_is_not_another_of_its_name() {
    let world = World::with(100).await;
    let theirs = world.cloud.script(|s| s.plant_group("corp", &[("team", "x")]));
    let change = create::<InstanceGroup>("g", spec(0));
    let target = |id: &str| Target::<InstanceGroup>::Vendor { parent: LocationName::of("eu-west-1").unwrap(), vendor_id: id.parse().unwrap() };
    let seen = world.get(&target(&theirs)).await.unwrap();
    assert_eq!((seen.mark.is_none(), seen.spec.labels.len(), seen.name.id.decoded()), (true, 1, theirs.clone()));
    // Its sizes can be changed, and what its template is nobody of ours knows.
    let with = |paths: &[&'static str], desired: InstanceGroupSpec| {
        let paths = paths.iter().map(|p| FieldPath::from(*p)).collect();
        Change { target: target(&theirs), verb: Verb::Update { desired, paths }, ..change.clone() }
    };
    world.run(&with(&["max_size"], InstanceGroupSpec { max_size: Some(3), ..seen.spec.clone() })).await.unwrap();
    assert_eq!(group(&world).is["MaxSize"], "3");
    for field in ["template.image", "spot_percent"] {
        let e = world.run(&with(&[field], seen.spec.clone())).await.unwrap_err();
        assert_eq!((e.reason(), e.violations()[0].field.as_str()), (Reason::NotOwned, field.split('.').next().unwrap()));
    }
    world.cloud.script(|s| s.scaling.groups.clear());
    let another = world.cloud.script(|s| s.plant_group("corp", &[]));
    assert!(world.get(&target(&theirs)).await.unwrap_err().is_not_found());
    world.run(&Change { verb: Verb::Delete, ..with(&[], seen.spec) }).await.unwrap();
    assert_eq!(group(&world).arn, another, "another group of the same name was deleted");
    // Nor is one that somebody has made under the name that ours would have.
    world.cloud.script(|s| s.plant_group("welkin-uid-of-mine", &[("team", "x"), ("welkin.dev/owner", "you")]));
    let e = world.run_and_clean(&create::<InstanceGroup>("mine", spec(1))).await;
    assert_eq!(e.reason(), Reason::NotOwned, "{e}");
    assert_eq!((world.cloud.script(|s| s.scaling.groups.len()), world.cloud.ids("lt").len()), (2, 0));
}

#[tokio::test]
async fn every_page_is_read_and_what_is_left_is_told() {
    let world = World::with(100).await;
    for n in 0..5 {
        world.cloud.script(|s| s.plant_group(&format!("theirs-{n}"), &[]));
    }
    let change = create::<InstanceGroup>("web", with_key(1));
    let made = world.run(&change).await.unwrap().object();
    let reader = InstanceGroup::reader(&world.aws).unwrap();
    for size in [1, 2, 100] {
        let (mut ids, mut from) = (BTreeSet::new(), None);
        loop {
            let page = reader.list(&world.cx(), &Query::all(size), &Shard("eu-west-1".into()), from.as_ref()).await.unwrap();
            ids.extend(page.items.iter().map(|o| o.vendor_id.to_string()));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(ids.len(), 6, "{size}");
    }
    let query = Query { owned_only: true, ..Query::all(10) };
    let owned = reader.list(&world.cx(), &query, &Shard("eu-west-1".into()), None).await.unwrap().items;
    assert_eq!(owned.iter().map(|o| &o.vendor_id).collect::<Vec<_>>(), [&made.vendor_id]);
    // Another key is another pair, and the earlier one goes.
    let first = world.cloud.ids("key");
    let template = InstanceTemplate { ssh_key: Some("ssh-ed25519 BBBB".into()), ..made.spec.template.clone() };
    world.run(&update(&change, &made.vendor_id, InstanceGroupSpec { template, ..made.spec.clone() }, &["template.ssh_key"])).await.unwrap();
    assert!(world.cloud.ids("key").len() == 1 && world.cloud.ids("key") != first);
    // Without its group it is what is left of it, and can be deleted.
    world.cloud.script(|s| s.scaling.groups.retain(|g| g.name() != "welkin-uid-of-web"));
    world.cloud.ids("i").iter().for_each(|id| world.cloud.remove(id));
    let left = world.get(&change.target).await.unwrap();
    assert_eq!((left.status.state, left.vendor_id.as_str().starts_with("lt-")), (InstanceGroupState::Incomplete, true));
    let delete = then(&change, left.vendor_id.as_str(), Verb::Delete);
    world.check(&delete).await.unwrap();
    world.run(&delete).await.unwrap();
    assert!(world.cloud.ids("lt").is_empty() && world.cloud.ids("key").is_empty());
}
