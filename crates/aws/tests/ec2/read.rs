//! Reads and changes of what is there: what lags is neither absent nor foreign.

use crate::{
    cloud::Fault,
    journal::{MILLISECOND, World, instance, network, subnet, then},
};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;
use welkin_core::*;

const LAG: Duration = Duration::from_millis(150);

fn labelled<K: Managed>(change: &Change<K>, label: impl FnOnce(&mut K::Spec)) -> Verb<K> {
    let Verb::Create { spec, .. } = &change.verb else { panic!() };
    let mut desired = spec.clone();
    label(&mut desired);
    Verb::Update { desired, paths: BTreeSet::from([FieldPath::from("labels")]) }
}

#[tokio::test]
async fn a_read_does_not_call_foreign_what_has_no_tags_yet() {
    async fn waits<K: Managed>(change: &Change<K>) {
        let world = World::with(60_000).await;
        let made = world.run(change).await.unwrap().object();
        world.cloud.script(|s| s.tag_lag = Duration::from_secs(3600));
        let delete = then(change, made.vendor_id.as_str(), Verb::Delete);
        for e in [world.get(&delete.target).await.unwrap_err(), world.check(&delete).await.unwrap_err()] {
            assert_eq!((e.kind(), e.reason(), e.retry_after().is_some()), (ErrorKind::Unavailable, Reason::NotYetVisible, true));
        }
        world.cloud.script(|s| s.tag_lag = Duration::ZERO);
        assert_eq!(world.get(&delete.target).await.unwrap().mark.unwrap().uid, change.uid);
    }
    waits(&network("n", false)).await;
    waits(&subnet("s", "vpc-1")).await;
    waits(&instance("i", false)).await;
}
#[tokio::test]
async fn an_instance_that_is_old_and_has_no_tags_is_foreign() {
    let world = World::with(0).await;
    let id = world.cloud.plant("i", &[("state", "running")], &[]);
    let delete = then(&instance("i", false), &id, Verb::Delete);
    assert_eq!(world.get(&delete.target).await.unwrap().mark, None);
    assert_eq!(world.check(&delete).await.unwrap_err().reason(), Reason::NotOwned);
}
#[tokio::test]
async fn a_change_waits_for_tags_and_reads_that_lag() {
    async fn done<K: Managed>(change: &Change<K>, kind: &str, verb: Verb<K>) {
        for (tag_lag, read_lag) in [(LAG, Duration::ZERO), (Duration::ZERO, LAG)] {
            let world = World::with(400).await;
            let made = world.run(change).await.unwrap().object();
            world.cloud.script(|s| (s.tag_lag, s.read_lag) = (tag_lag, read_lag));
            world.run(&then(change, made.vendor_id.as_str(), verb.clone())).await.unwrap();
            let now = world.cloud.items().into_iter().find(|i| i.kind == kind).unwrap();
            assert!(now.tags.contains_key("team") || now.is["state"] == "stopped", "{now:?}");
        }
    }
    let team = |labels: &mut Labels| _ = labels.insert("team".into(), "a".into());
    let (n, s, i) = (network("n", false), subnet("s", "vpc-1"), instance("i", false));
    done(&n, "vpc", labelled(&n, |spec| team(&mut spec.labels))).await;
    done(&s, "subnet", labelled(&s, |spec| team(&mut spec.labels))).await;
    done(&i, "i", labelled(&i, |spec| team(&mut spec.labels))).await;
    done(&i, "i", Verb::Act(InstanceAction::Stop)).await;
}
#[tokio::test]
async fn a_change_of_what_is_not_known_everywhere_is_repeated() {
    let world = World::with(400).await;
    let change = instance("i", false);
    let id = world.run(&change).await.unwrap().object().vendor_id;
    world.cloud.fault("StopInstances", Fault::Refuse("InvalidInstanceID.NotFound", 400), 2);
    world.run(&then(&change, id.as_str(), Verb::Act(InstanceAction::Stop))).await.unwrap();
    world.cloud.fault("CreateTags", Fault::Refuse("InvalidInstanceID.NotFound", 400), 200);
    let update = labelled(&change, |spec| _ = spec.labels.insert("team".into(), "a".into()));
    assert_eq!(world.run(&then(&change, id.as_str(), update)).await.unwrap_err().reason(), Reason::ReferenceNotFound);
}
#[tokio::test]
async fn another_uid_is_foreign_at_once() {
    let world = World::with(60_000).await;
    let id = world.cloud.plant("i", &[("state", "running")], &[("welkin.dev/owner", "you")]);
    let stop = then(&instance("i", false), &id, Verb::Act(InstanceAction::Stop));
    assert_eq!(world.run(&stop).await.unwrap_err().reason(), Reason::NotOwned);
    assert_eq!(world.cloud.calls("StopInstances"), 0);
}

#[tokio::test]
async fn the_console_of_ours_and_of_others_is_read() {
    let world = World::with(0).await;
    let ask = async |target: &Target<Instance>| world.ask(target, InstanceQuestion::ConsoleOutput).await;
    let by_name = instance("i", false).target;
    assert!(ask(&by_name).await.unwrap_err().is_not_found());
    let ours = [("welkin.dev/owner", "me"), ("welkin.dev/id", "i"), ("welkin.dev/uid", "uid-of-i")];
    let left = world.cloud.plant("vol", &[], &ours);
    assert_eq!(ask(&by_name).await.unwrap_err().reason(), Reason::WrongState);
    world.cloud.remove(&left);
    let said = [("state", "running"), ("console", "login: ")];
    let own = world.cloud.plant("i", &said, &ours);
    let theirs = Target::Vendor { parent: by_name.parent().clone(), vendor_id: world.cloud.plant("i", &said, &[]).parse().unwrap() };
    for target in [&by_name, &then(&instance("i", false), &own, Verb::Delete).target, &theirs] {
        let told = ask(target).await.unwrap();
        assert_eq!((told.text.expose(), told.time_ms), ("login: ", Some(1_767_323_045_000)), "{target}");
    }
    // What is called by its id costs one call.
    assert_eq!((world.cloud.calls("GetConsoleOutput "), world.cloud.calls("DescribeInstances ")), (3, 3));
    world.cloud.remove(theirs.vendor_id().unwrap().as_str());
    assert!(ask(&theirs).await.unwrap_err().is_not_found());
    world.cloud.fault("GetConsoleOutput", Fault::Cut, 1);
    assert!(ask(&by_name).await.is_err());
}

#[tokio::test]
async fn a_start_that_falls_back_ends_with_ec2s_reason() {
    let world = World::with(200).await;
    let change = instance("i", false);
    let id = world.run(&change).await.unwrap().object().vendor_id;
    let act = |action| then(&change, id.as_str(), Verb::Act(action));
    world.run(&act(InstanceAction::Stop)).await.unwrap();
    world.cloud.script(|s| s.falls_back = Some("the key cannot be used"));
    let begin = Instant::now();
    let e = world.run(&act(InstanceAction::Start)).await.unwrap_err();
    assert!(begin.elapsed() + MILLISECOND >= world.horizon);
    assert_eq!((e.kind(), e.retry(), e.vendor().unwrap().code.as_str()), (ErrorKind::FailedPrecondition, Retry::Never, "Server.Scripted"));
    assert!(e.message().contains("the key cannot be used"), "{e}");
    assert_eq!(world.cloud.calls("StartInstances"), 1);
}

#[tokio::test]
async fn a_volume_or_a_key_pair_that_is_left_is_shown() {
    let world = World::with(0).await;
    let ours = [("welkin.dev/owner", "me"), ("welkin.dev/id", "i"), ("welkin.dev/uid", "uid-of-i")];
    let target = instance("i", false).target;
    assert!(world.get(&target).await.unwrap_err().is_not_found());
    for kind in ["vol", "key"] {
        world.cloud.script(|s| s.page = 1);
        world.cloud.plant(kind, &[], &[]);
        let left = world.cloud.plant(kind, &[], &ours);
        let found = world.get(&target).await.unwrap();
        assert_eq!((found.status.state, found.vendor_id.as_str()), (InstanceState::Incomplete, left.as_str()));
        world.cloud.remove(&left);
    }
    let deleting = world.cloud.plant("vol", &[("state", "deleting")], &ours);
    assert!(world.get(&target).await.unwrap_err().is_not_found());
    world.cloud.remove(&deleting);
}
/// A page may be empty and not the last; by name and by what is attached.
#[tokio::test]
async fn a_look_up_reads_every_page() {
    let world = World::with(0).await;
    for kind in ["vpc", "igw", "subnet", "i"] {
        (0..3).for_each(|_| _ = world.cloud.plant(kind, &[("cidr", "10.9.0.0/16"), ("state", "running")], &[]));
    }
    let (n, s, i) = (network("n", true), subnet("s", "vpc-1"), instance("i", false));
    world.run(&n).await.unwrap();
    world.run(&s).await.unwrap();
    world.run(&i).await.unwrap();
    world.cloud.script(|s| s.page = 1);
    assert_eq!(world.get(&n.target).await.unwrap().status.state, NetworkState::Available);
    world.get(&s.target).await.unwrap();
    world.get(&i.target).await.unwrap();
}
#[tokio::test]
async fn only_ec2s_own_word_for_it_means_that_there_is_no_such_machine_type() {
    let world = World::with(0).await;
    let target = Target::<MachineType>::named(Name::new(LocationName::of("eu-west-1").unwrap(), "t9.none".parse().unwrap()));
    for (code, is_absent) in [("InvalidInstanceType", true), ("InvalidParameterValue", false)] {
        world.cloud.fault("DescribeInstanceTypes", Fault::Refuse(code, 400), 1);
        let e = world.aws.machine_types().unwrap().get(&world.cx(), &target).await.unwrap_err();
        assert_eq!(e.kind() == ErrorKind::NotFound, is_absent, "{code}");
    }
}
