//! What an instance becomes where there is a choice, and what keeps it.

use crate::{
    cloud::Fault,
    journal::{World, create, instance, then},
};
use std::collections::BTreeSet;
use welkin_core::*;

fn with(change: impl FnOnce(InstanceSpec) -> InstanceSpec) -> Change<Instance> {
    let Verb::Create { spec, .. } = instance("i", true).verb else { panic!() };
    create("i", change(spec))
}
fn choice() -> Change<Instance> {
    let other = |machine_type: &str| Alternative { machine_type: machine_type.into(), ..Default::default() };
    with(|s| InstanceSpec { alternatives: vec![other("t3.medium"), other("t3.large")], ..s })
}
fn update(desired: InstanceSpec, path: &str) -> Verb<Instance> {
    Verb::Update { desired, paths: [FieldPath::from(path)].into() }
}

#[tokio::test]
async fn the_first_with_capacity_is_taken_and_nothing_is_left_of_the_others() {
    let world = World::with(50).await;
    world.cloud.script(|s| s.short = ["t3.small", "t3.medium"].into());
    let made = world.run(&choice()).await.unwrap().object();
    assert_eq!((made.spec.machine_type.as_str(), world.cloud.ids("i").len()), ("t3.large", 1));
    // Each under a token of its own: the same one with other parameters would be refused.
    let tokens: BTreeSet<String> =
        world.cloud.bodies().iter().filter(|b| !b.contains("DryRun")).filter_map(|b| Some(b.split("ClientToken=").nth(1)?.split('&').next()?.to_owned())).collect();
    assert_eq!(tokens, ["token-i", "token-i-1", "token-i-2"].map(str::to_owned).into());
}
#[tokio::test]
async fn no_capacity_anywhere_says_so_and_leaves_nothing() {
    let world = World::with(50).await;
    world.cloud.script(|s| s.short = ["t3.small", "t3.medium", "t3.large"].into());
    let refused = world.run_and_clean(&choice()).await;
    assert_eq!((refused.reason(), refused.kind()), (Reason::Capacity, ErrorKind::Unavailable), "{refused}");
    assert_eq!(world.cloud.items().iter().map(|i| i.kind).collect::<Vec<_>>(), [""; 0]);
}
#[tokio::test]
async fn a_lost_reply_of_a_later_one_launches_nothing_twice() {
    let world = World::with(100).await;
    world.cloud.script(|s| s.short = ["t3.small"].into());
    // Of the dry run, of the first and of the second, the last is lost.
    world.cloud.fault("RunInstances", Fault::Lost, 3);
    world.run(&choice()).await.unwrap();
    assert_eq!(world.cloud.ids("i").len(), 1);
}

#[tokio::test]
async fn what_is_protected_is_kept_until_it_is_not() {
    let world = World::with(50).await;
    let change = with(|s| InstanceSpec { deletion_protection: true, ssh_key: None, ..s });
    let made = world.run(&change).await.unwrap().object();
    assert!(made.spec.deletion_protection);
    let delete = then(&change, made.vendor_id.as_str(), Verb::Delete);
    for refused in [world.check(&delete).await.unwrap_err(), world.run(&delete).await.unwrap_err()] {
        assert_eq!((refused.kind(), refused.reason()), (ErrorKind::FailedPrecondition, Reason::DeletionProtected), "{refused}");
    }
    let off = update(InstanceSpec { deletion_protection: false, ..made.spec.clone() }, "deletion_protection");
    world.run(&then(&change, made.vendor_id.as_str(), off)).await.unwrap();
    assert!(!world.get(&then(&change, made.vendor_id.as_str(), Verb::Delete).target).await.unwrap().spec.deletion_protection);
    world.run(&delete).await.unwrap();
    assert_eq!(world.cloud.ids("i"), [""; 0]);
}
#[tokio::test]
async fn what_was_to_be_protected_is_cleaned_up_all_the_same() {
    let world = World::with(50).await;
    let change = with(|s| InstanceSpec { deletion_protection: true, ..s });
    let made = world.run(&change).await.unwrap().object();
    world.run_from(&then(&change, made.vendor_id.as_str(), Verb::Delete), Resume { cleans_up: true, ..Resume::default() }).await.unwrap();
    assert_eq!(world.cloud.items().len(), 0);
}

#[tokio::test]
async fn groups_and_type_are_changed_in_place() {
    let world = World::with(50).await;
    let group = |id: &str| Ref::<SecurityGroup>::resolved(crate::journal::name("g"), id.parse().unwrap());
    let default = world.cloud.plant("sg", &[("vpc", "vpc-1"), ("name", "default")], &[]);
    let change = with(|s| InstanceSpec { security_groups: vec![group("sg-1")], ssh_key: None, ..s });
    let made = world.run(&change).await.unwrap().object();
    let now = |verb| then(&change, made.vendor_id.as_str(), verb);
    let groups = |o: &Object<Instance>| o.spec.security_groups.iter().map(|r| r.vendor_id.as_ref().unwrap().to_string()).collect::<Vec<_>>();
    assert_eq!(groups(&made), ["sg-1"]);
    // None is the network's default group.
    world.run(&now(update(InstanceSpec { security_groups: vec![], ..made.spec.clone() }, "security_groups"))).await.unwrap();
    assert_eq!(groups(&world.get(&now(Verb::Delete).target).await.unwrap()), [default]);
    let larger = now(update(InstanceSpec { machine_type: "t3.large".into(), ..made.spec.clone() }, "machine_type"));
    for refused in [world.check(&larger).await.unwrap_err(), world.run(&larger).await.unwrap_err()] {
        assert_eq!((refused.reason(), refused.violations()[0].field.as_str()), (Reason::WrongState, "machine_type"), "{refused}");
    }
    world.run(&now(Verb::Act(InstanceAction::Stop))).await.unwrap();
    assert_eq!(world.run(&larger).await.unwrap().object().spec.machine_type, "t3.large");
}
