//! Nothing is left of what is deleted, and nothing else is touched.

use crate::{
    cloud::Fault,
    journal::{MILLISECOND, World, instance, network, subnet, then, unresolved},
};
use std::time::Duration;
use tokio::time::Instant;
use welkin_core::*;

const LAG: Duration = Duration::from_millis(150);
const FOREIGN: [(&str, &str); 3] = [("welkin.dev/owner", "me"), ("welkin.dev/id", "n"), ("welkin.dev/uid", "another-uid")];

/// Makes it and, while `lag` holds, deletes it.
async fn is_erased<K: Managed>(change: &Change<K>, lag: impl FnOnce(&World)) {
    let world = World::with(400).await;
    let made = world.run(change).await.unwrap().object();
    lag(&world);
    world.run(&then(change, made.vendor_id.as_str(), Verb::Delete)).await.unwrap();
    assert!(world.cloud.items().is_empty(), "{}: {:?}", change.target, world.cloud.items());
}
#[tokio::test]
async fn tags_that_lag_hide_nothing_from_a_delete() {
    let lag = |w: &World| w.cloud.script(|s| s.tag_lag = LAG);
    is_erased(&network("n", true), lag).await;
    is_erased(&subnet("s", "vpc-1"), lag).await;
    is_erased(&instance("i", true), lag).await;
}
#[tokio::test]
async fn reads_that_lag_hide_nothing_from_a_delete() {
    let lag = |w: &World| w.cloud.script(|s| s.read_lag = LAG);
    is_erased(&network("n", true), lag).await;
    is_erased(&subnet("s", "vpc-1"), lag).await;
    is_erased(&instance("i", true), lag).await;
}
#[tokio::test]
async fn a_delete_that_is_told_of_nothing_there_looks_again() {
    is_erased(&network("n", false), |w| w.cloud.fault("DeleteVpc", Fault::Refuse("InvalidVpcID.NotFound", 400), 1)).await;
    is_erased(&network("n", true), |w| w.cloud.fault("DeleteInternetGateway", Fault::Refuse("InvalidInternetGatewayID.NotFound", 400), 1)).await;
    is_erased(&subnet("s", "vpc-1"), |w| w.cloud.fault("DeleteSubnet", Fault::Refuse("InvalidSubnetID.NotFound", 400), 1)).await;
    is_erased(&instance("i", false), |w| w.cloud.fault("TerminateInstances", Fault::Refuse("InvalidInstanceID.NotFound", 400), 1)).await;
}
#[tokio::test]
async fn every_refusal_and_lost_reply_is_survived() {
    for action in ["DetachInternetGateway", "DeleteVpc", "DeleteInternetGateway"] {
        for fault in [Fault::Lost, Fault::Refuse("RequestLimitExceeded", 503), Fault::Bare(500)] {
            is_erased(&network("n", true), |w| w.cloud.fault(action, fault, 1)).await;
        }
    }
    for action in ["TerminateInstances", "DeleteVolume", "DeleteKeyPair"] {
        is_erased(&instance("i", true), |w| w.cloud.fault(action, Fault::Lost, 1)).await;
    }
}
#[tokio::test]
async fn the_end_is_quick_where_ec2_accepts_it() {
    let world = World::with(60_000).await;
    let change = network("n", true);
    let made = world.run(&change).await.unwrap().object();
    world.cloud.fault("DeleteInternetGateway", Fault::Refuse("RequestLimitExceeded", 503), 1);
    world.run(&then(&change, made.vendor_id.as_str(), Verb::Delete)).await.unwrap();
    assert!(world.cloud.items().is_empty());
}
#[tokio::test]
async fn what_is_gone_is_believed_after_the_horizon() {
    let world = World::with(200).await;
    let begin = Instant::now();
    world.run(&then(&network("n", false), "vpc-0000", Verb::Delete)).await.unwrap();
    world.run(&then(&instance("i", false), "i-0000", Verb::Delete)).await.unwrap();
    assert!(begin.elapsed() + MILLISECOND * 2 >= world.horizon * 2);
}
#[tokio::test]
async fn what_is_not_ours_is_refused_and_left_alone() {
    let world = World::with(100).await;
    // Another uid is said at once, no tags at all only after the horizon.
    for tags in [&FOREIGN[..], &[]] {
        let vpc = world.cloud.plant("vpc", &[("cidr", "10.0.0.0/16")], tags);
        let sub = world.cloud.plant("subnet", &[("cidr", "10.0.0.0/24")], tags);
        let vm = world.cloud.plant("i", &[("state", "running")], tags);
        let wrong = [
            world.run(&then(&network("n", false), &vpc, Verb::Delete)).await.unwrap_err(),
            world.run(&then(&subnet("n", "vpc-1"), &sub, Verb::Delete)).await.unwrap_err(),
            world.run(&then(&instance("n", false), &vm, Verb::Delete)).await.unwrap_err(),
        ];
        assert!(wrong.iter().all(|e| e.reason() == Reason::NotOwned), "{wrong:?}");
    }
    assert_eq!(world.cloud.items().len(), 6);
    assert_eq!((world.cloud.calls("DeleteVpc"), world.cloud.calls("DeleteSubnet"), world.cloud.calls("TerminateInstances")), (0, 0, 0));
}
/// A create is cleaned up while the instance that its last call made is not shown yet: by uid alone.
#[tokio::test]
async fn cleaning_waits_for_what_may_still_appear_and_ends() {
    let world = World::with(400).await;
    world.cloud.script(|s| (s.read_lag, s.tag_lag) = (LAG, LAG));
    let change = instance("i", true);
    world.cloud.fault("RunInstances", Fault::Lost, 1);
    world.run(&change).await.unwrap();
    let cleaning = Change { target: change.target.clone(), verb: Verb::Delete, ..change };
    world.cloud.script(|s| (s.read_lag, s.tag_lag) = (2 * LAG, 2 * LAG));
    let begin = Instant::now();
    world.run_from(&cleaning, unresolved()).await.unwrap();
    assert!(begin.elapsed() + MILLISECOND >= world.horizon);
    assert!(world.cloud.items().is_empty(), "{:?}", world.cloud.items());
    assert_eq!(world.cloud.calls("DeleteKeyPair"), 1);
}

#[tokio::test]
async fn ec2_gets_time_to_let_go() {
    is_erased(&network("n", true), |w| w.cloud.fault("DeleteVpc", Fault::Refuse("DependencyViolation", 400), 2)).await;
    is_erased(&subnet("s", "vpc-1"), |w| w.cloud.fault("DeleteSubnet", Fault::Refuse("DependencyViolation", 400), 2)).await;
    // The interface of an instance that is on its way out is no use of the subnet.
    let world = World::with(400).await;
    let change = subnet("s", "vpc-1");
    let made = world.run(&change).await.unwrap().object().vendor_id;
    let interface = world.cloud.plant("eni", &[("subnet", made.as_str()), ("attachment", "detaching")], &[]);
    let delete = then(&change, made.as_str(), Verb::Delete);
    let (deleted, ()) = tokio::join!(world.run(&delete), async {
        tokio::time::sleep(LAG).await;
        world.cloud.remove(&interface);
    });
    deleted.unwrap();
    assert!(world.cloud.items().is_empty());
}
#[tokio::test]
async fn what_ec2_never_lets_go_of_is_in_use_and_keeps_its_gateway() {
    let world = World::with(200).await;
    let change = network("n", true);
    let made = world.run(&change).await.unwrap().object();
    world.cloud.fault("DeleteVpc", Fault::Refuse("DependencyViolation", 400), 200);
    let begin = Instant::now();
    let refused = world.run(&then(&change, made.vendor_id.as_str(), Verb::Delete)).await.unwrap_err();
    assert_eq!((refused.reason(), refused.retry()), (Reason::InUse, Retry::Never));
    assert!(begin.elapsed() + MILLISECOND >= world.horizon);
    assert_eq!(world.get(&then(&change, made.vendor_id.as_str(), Verb::Delete).target).await.unwrap().status.state, NetworkState::Available);

    let change = subnet("s", "vpc-1");
    let made = world.run(&change).await.unwrap().object();
    world.cloud.fault("DeleteSubnet", Fault::Refuse("DependencyViolation", 400), 200);
    assert_eq!(world.run(&then(&change, made.vendor_id.as_str(), Verb::Delete)).await.unwrap_err().reason(), Reason::InUse);
}
/// Also where the list that says so is cut into pages.
#[tokio::test]
async fn a_real_use_is_named_at_once() {
    let world = World::with(60_000).await;
    world.cloud.script(|s| s.page = 1);
    let (net, sub) = (network("n", false), subnet("s", "vpc-1"));
    let vpc = world.run(&net).await.unwrap().object().vendor_id;
    let other = world.cloud.plant("subnet", &[("vpc", "vpc-other"), ("cidr", "10.9.0.0/24")], &[]);
    let used = world.cloud.plant("subnet", &[("vpc", vpc.as_str()), ("cidr", "10.0.0.0/24")], &[]);
    let refused = world.run(&then(&net, vpc.as_str(), Verb::Delete)).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::InUse);
    assert!(refused.message().contains(&used) && !refused.message().contains(&other), "{refused}");

    let made = world.run(&sub).await.unwrap().object().vendor_id;
    world.cloud.plant("eni", &[("subnet", "elsewhere"), ("attachment", "attached")], &[]);
    world.cloud.plant("eni", &[("subnet", made.as_str()), ("attachment", "attached")], &[]);
    let refused = world.run(&then(&sub, made.as_str(), Verb::Delete)).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::InUse);
    assert!(refused.message().contains("i-1"), "{refused}");
    assert_eq!((world.cloud.calls("DeleteVpc"), world.cloud.calls("DeleteSubnet")), (0, 0));
}
