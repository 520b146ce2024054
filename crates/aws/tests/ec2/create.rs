//! One object for one create, marked and told as it was asked for, whatever the replies.

use crate::{
    cloud::Fault,
    journal::{MILLISECOND, World, instance, network, subnet, unresolved},
};
use std::time::Duration;
use tokio::time::Instant;
use welkin_core::*;

const LAG: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_create_tells_its_own_name_and_mark_before_ec2_does() {
    async fn told<K: Managed>(change: &Change<K>) {
        let world = World::with(60_000).await;
        world.cloud.script(|s| s.tag_lag = Duration::from_secs(3600));
        let made = world.run(change).await.unwrap().object();
        let mark = made.mark.unwrap();
        assert_eq!((made.name.to_string(), mark.uid, mark.digest.is_some()), (change.target.to_string(), change.uid.clone(), true));
    }
    told(&network("n", true)).await;
    told(&subnet("s", "vpc-1")).await;
    told(&instance("i", true)).await;
}
#[tokio::test]
async fn a_lost_reply_makes_nothing_twice() {
    async fn once<K: Managed>(change: &Change<K>, action: &'static str, kinds: &[&str], page: usize) {
        for fault in [Fault::Lost, Fault::Cut, Fault::Broken] {
            let world = World::with(600).await;
            // Others come first in every list, so that what is looked for is on a later page.
            for kind in ["vpc", "igw", "subnet", "i"] {
                world.cloud.plant(kind, &[("cidr", "10.9.0.0/16"), ("state", "running")], &[]);
            }
            world.cloud.script(|s| (s.tag_lag, s.read_lag, s.page) = (LAG, LAG, page));
            world.cloud.fault(action, fault, 1);
            world.run(change).await.unwrap();
            for kind in kinds {
                assert_eq!(world.cloud.ids(kind).len(), 2, "{action} {fault:?} {kind}");
            }
        }
    }
    for page in [0, 1] {
        once(&network("n", true), "CreateVpc", &["vpc", "igw"], page).await;
        once(&network("n", true), "CreateInternetGateway", &["vpc", "igw"], page).await;
        once(&subnet("s", "vpc-1"), "CreateSubnet", &["subnet"], page).await;
        once(&instance("i", true), "RunInstances", &["i"], page).await;
    }
}
#[tokio::test]
async fn nothing_is_made_again_where_it_was_never_made() {
    let world = World::with(200).await;
    let begin = Instant::now();
    world.run_from(&subnet("s", "vpc-1"), unresolved()).await.unwrap();
    assert!(begin.elapsed() + MILLISECOND >= world.horizon);
    assert_eq!(world.cloud.calls("CreateSubnet"), 1);
}

#[tokio::test]
async fn a_fresh_reference_may_lag() {
    let world = World::with(60_000).await;
    world.cloud.fault("CreateSubnet", Fault::Refuse("InvalidVpcID.NotFound", 400), 2);
    world.run(&subnet("s", "vpc-1")).await.unwrap();
    world.cloud.fault("RunInstances", Fault::Refuse("InvalidSubnetID.NotFound", 400), 2);
    world.run(&instance("i", false)).await.unwrap();
    world.cloud.fault("ModifySubnetAttribute", Fault::Refuse("InvalidSubnetID.NotFound", 400), 1);
    let mut public = subnet("p", "vpc-1");
    if let Verb::Create { spec, .. } = &mut public.verb {
        spec.assign_public_ip = true;
    }
    world.run(&public).await.unwrap();
}
/// The gateway is not as old as its network where its first try was of unknown fate.
#[tokio::test]
async fn a_gateway_that_is_made_late_may_lag() {
    let world = World::with(200).await;
    world.cloud.fault("CreateInternetGateway", Fault::Bare(500), 1);
    world.cloud.fault("AttachInternetGateway", Fault::Refuse("InvalidInternetGatewayID.NotFound", 400), 1);
    let begin = Instant::now();
    world.run(&network("n", true)).await.unwrap();
    assert!(begin.elapsed() + MILLISECOND >= world.horizon);
    assert_eq!((world.cloud.calls("CreateInternetGateway"), world.cloud.ids("igw").len()), (2, 1));
}
#[tokio::test]
async fn a_reference_that_stays_unknown_is_refused_after_the_horizon() {
    let world = World::with(200).await;
    world.cloud.fault("CreateSubnet", Fault::Refuse("InvalidVpcID.NotFound", 400), 200);
    world.cloud.fault("RunInstances", Fault::Refuse("InvalidSubnetID.NotFound", 400), 200);
    let begin = Instant::now();
    let refused = [world.run(&subnet("s", "vpc-1")).await.unwrap_err(), world.run(&instance("i", true)).await.unwrap_err()];
    assert!(refused.iter().all(|e| e.reason() == Reason::ReferenceNotFound && e.retry() == Retry::Never), "{refused:?}");
    assert!(begin.elapsed() + MILLISECOND * 2 >= world.horizon * 2);
}

#[tokio::test]
async fn an_ordinary_refusal_is_told_before_a_key_is_imported() {
    let world = World::with(60_000).await;
    world.cloud.fault("RunInstances", Fault::Refuse("InvalidAMIID.NotFound", 400), 1);
    assert_eq!(world.run(&instance("i", true)).await.unwrap_err().reason(), Reason::ImageNotFound);
    assert_eq!((world.cloud.items().len(), world.cloud.calls("ImportKeyPair"), world.cloud.calls("RunInstances")), (0, 0, 1));
}
/// Neither a throttled launch nor a key pair that is not known yet leaves anything to look for.
#[tokio::test]
async fn a_refused_launch_is_repeated_at_once() {
    for code in ["RequestLimitExceeded", "InvalidKeyPair.NotFound"] {
        let world = World::with(60_000).await;
        world.cloud.fault("RunInstances", Fault::Refuse("DryRunOperation", 412), 1);
        world.cloud.fault("RunInstances", Fault::Refuse(code, 503), 2);
        world.run(&instance("i", true)).await.unwrap();
        assert_eq!((world.cloud.calls("ImportKeyPair"), world.cloud.calls("Filter.1.Name"), world.cloud.ids("i").len()), (1, 0, 1), "{code}");
        // The dry run has a token of its own.
        assert_eq!((world.cloud.calls("RunInstances"), world.cloud.calls("\"ClientToken\": \"token-i\"")), (4, 3));
    }
}
/// What a create has made is known by its ids when it is refused: its removal waits for no horizon, however much lags.
#[tokio::test]
async fn what_was_made_before_a_refusal_is_removed_at_once() {
    let world = World::with(60_000).await;
    world.cloud.fault("RunInstances", Fault::Refuse("DryRunOperation", 412), 1);
    world.cloud.fault("RunInstances", Fault::Refuse("InstanceLimitExceeded", 400), 1);
    assert_eq!(world.run_and_clean(&instance("i", true)).await.reason(), Reason::QuotaExceeded);
    assert_eq!((world.cloud.items().len(), world.cloud.calls("DeleteKeyPair")), (0, 1));

    world.cloud.script(|s| (s.read_lag, s.tag_lag) = (LAG, 3 * LAG));
    for (call, code, reason) in [("CreateInternetGateway", "InternetGatewayLimitExceeded", Reason::QuotaExceeded), ("CreateRoute", "RouteLimitExceeded", Reason::QuotaExceeded)] {
        world.cloud.fault(call, Fault::Refuse(code, 400), 1);
        assert_eq!(world.run_and_clean(&network("n", true)).await.reason(), reason);
        assert!(world.cloud.items().is_empty(), "{call}: {:?}", world.cloud.items());
    }
    world.cloud.fault("ModifySubnetAttribute", Fault::Refuse("InvalidParameterValue", 400), 1);
    let Change { verb: Verb::Create { spec, digest }, .. } = subnet("s", "vpc-1") else { panic!() };
    let spec = SubnetSpec { assign_public_ip: true, ..spec };
    assert_eq!(world.run_and_clean(&Change { verb: Verb::Create { spec, digest }, ..subnet("s", "vpc-1") }).await.kind(), ErrorKind::InvalidArgument);
    assert!(world.cloud.items().is_empty());
}
#[tokio::test]
async fn a_key_pair_of_the_callers_own_is_not_waited_for() {
    let world = World::with(60_000).await;
    world.cloud.fault("RunInstances", Fault::Refuse("InvalidKeyPair.NotFound", 400), 1);
    assert_eq!(world.run(&instance("i", false)).await.unwrap_err().reason(), Reason::ReferenceNotFound);
}
