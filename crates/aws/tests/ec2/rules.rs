//! The rules of a security group: no one's own is taken for another's, or another's for its own.

use crate::{
    cloud::Fault,
    journal::{MILLISECOND, World, rules, security_group, then},
};
use std::time::Duration;
use tokio::time::Instant;
use welkin_core::*;

const LAG: Duration = Duration::from_millis(200);

fn to(made: &Change<SecurityGroup>, id: &str, ports: &[u16]) -> Change<SecurityGroup> {
    let Verb::Create { spec, .. } = &made.verb else { panic!() };
    then(made, id, Verb::Update { desired: SecurityGroupSpec { rules: rules(ports), ..spec.clone() }, paths: ["rules".into()].into() })
}
fn ports(world: &World) -> Vec<String> {
    let mut ports: Vec<_> = world.cloud.items().into_iter().filter(|i| i.kind == "sgr").filter_map(|i| i.is.get("from").cloned()).collect();
    ports.sort();
    ports
}

/// A rule whose tags are not shown yet looks like somebody else's, which would stay, and let through what it must not.
#[tokio::test]
async fn a_rule_that_is_not_shown_as_ours_yet_is_taken_away() {
    let world = World::with(1_000).await;
    world.cloud.script(|s| s.tag_lag = LAG);
    let change = security_group("g", "vpc-1", &[22, 443]);
    let made = world.run(&change).await.unwrap().object();
    let now = world.run(&to(&change, made.vendor_id.as_str(), &[443])).await.unwrap().object();
    assert_eq!((now.spec.rules, ports(&world)), (rules(&[443]), vec!["443".to_owned()]));
}
#[tokio::test]
async fn what_stays_is_not_touched_and_anothers_is_left() {
    let world = World::with(200).await;
    let change = security_group("g", "vpc-1", &[22, 443]);
    let id = world.run(&change).await.unwrap().object().vendor_id;
    world.cloud.plant("sgr", &[("group", id.as_str()), ("protocol", "tcp"), ("from", "8080"), ("to", "8080"), ("cidr", "10.0.0.0/8")], &[("owner", "somebody")]);
    world.run(&to(&change, id.as_str(), &[443, 80])).await.unwrap();
    assert_eq!(ports(&world), ["443", "80", "8080"]);
    assert_eq!((world.cloud.calls("AuthorizeSecurityGroupIngress"), world.cloud.calls("RevokeSecurityGroupIngress")), (2, 1));
    let seen = world.get(&then(&change, id.as_str(), Verb::Delete).target).await.unwrap();
    assert_eq!((seen.spec.rules, seen.status.other_rules.len()), (rules(&[80, 443]), 1));
    // The same again writes nothing.
    world.run(&to(&change, id.as_str(), &[80, 443])).await.unwrap();
    assert_eq!((world.cloud.calls("AuthorizeSecurityGroupIngress"), world.cloud.calls("RevokeSecurityGroupIngress")), (2, 1));
    // Rules without any tags can turn out to be ours until the horizon has passed, and then they are somebody else's.
    world.cloud.plant("sgr", &[("group", id.as_str()), ("protocol", "tcp"), ("from", "25"), ("to", "25"), ("cidr", "10.0.0.0/8")], &[]);
    let begin = Instant::now();
    world.run(&to(&change, id.as_str(), &[])).await.unwrap();
    assert!(begin.elapsed() + MILLISECOND >= world.horizon);
    assert_eq!(ports(&world), ["25", "8080"]);
}
/// EC2 takes no two rules for the same traffic, and has one of its own for everything that goes out.
#[tokio::test]
async fn everything_out_can_be_a_rule_of_ours() {
    let world = World::with(400).await;
    let change = security_group("g", "vpc-1", &[22]);
    let id = world.run(&change).await.unwrap().object().vendor_id;
    world.cloud.plant("sgr", &[("group", id.as_str()), ("egress", "true"), ("protocol", "-1"), ("cidr", "0.0.0.0/0")], &[]);
    let out = SecurityRule { direction: Direction::Egress, protocol: Some(Protocol::All), from_port: None, to_port: None, ..rules(&[1]).remove(0) };
    let Verb::Create { spec, .. } = &change.verb else { panic!() };
    for (restrict_egress, rules, open) in [(true, vec![out], 0), (false, vec![], 2)] {
        let desired = SecurityGroupSpec { restrict_egress, rules: rules.clone(), ..spec.clone() };
        let update = then(&change, id.as_str(), Verb::Update { desired, paths: ["rules".into(), "restrict_egress".into()].into() });
        for _ in 0..2 {
            world.run(&update).await.unwrap();
        }
        let seen = world.get(&update.target).await.unwrap();
        assert_eq!((seen.spec.restrict_egress, &seen.spec.rules), (restrict_egress, &rules));
        let all: Vec<_> = world.cloud.items().into_iter().filter(|i| i.kind == "sgr").collect();
        assert_eq!((all.iter().filter(|i| i.tags.is_empty()).count(), all.len()), (open, open + rules.len()));
    }
}
fn open(world: &World) -> usize {
    world.cloud.items().into_iter().filter(|i| i.kind == "sgr" && i.is.get("protocol").is_some_and(|p| p == "-1")).count()
}
/// What lets everything out of a new group is there before it is shown.
#[tokio::test]
async fn a_new_group_that_restricts_egress_is_closed_although_reads_lag() {
    let world = World::with(60_000).await;
    world.cloud.script(|s| s.read_lag = LAG);
    world.run(&security_group("g", "vpc-1", &[22])).await.unwrap();
    assert_eq!((open(&world), ports(&world)), (0, vec!["22".to_owned()]));
}
/// Neither by somebody's tag nor by an update of something else does everything go out.
#[tokio::test]
async fn egress_is_what_was_asked_for_last() {
    let world = World::with(200).await;
    let change = security_group("g", "vpc-1", &[22]);
    let id = world.run(&change).await.unwrap().object().vendor_id;
    let everything = [("group", id.as_str()), ("egress", "true"), ("protocol", "-1"), ("cidr", "0.0.0.0/0")];
    world.cloud.plant("sgr", &everything, &[("team", "x")]);
    let Verb::Create { spec, .. } = &change.verb else { panic!() };
    let seen = world.get(&then(&change, id.as_str(), Verb::Delete).target).await.unwrap();
    assert!(!seen.spec.restrict_egress, "everything goes out, whoever has tagged that rule");
    let to = |restrict_egress, ports: &[u16], path: &str| {
        let desired = SecurityGroupSpec { restrict_egress, rules: rules(ports), ..spec.clone() };
        then(&change, id.as_str(), Verb::Update { desired, paths: [path.into()].into() })
    };
    world.run(&to(true, &[22], "restrict_egress")).await.unwrap();
    assert_eq!(open(&world), 0);
    world.run(&to(false, &[443], "rules")).await.unwrap();
    assert_eq!((open(&world), ports(&world)), (0, vec!["443".to_owned()]), "it was not asked whether everything goes out");
    // Another Welkin's rule for the same is not EC2's own.
    let theirs = world.cloud.plant("sgr", &everything, &[("welkin.dev/owner", "another")]);
    world.run(&to(true, &[443], "restrict_egress")).await.unwrap();
    assert_eq!(open(&world), 1);
    world.cloud.remove(&theirs);
    // No room for the old ones beside the new ones: the old ones go first.
    world.cloud.fault("AuthorizeSecurityGroupIngress", Fault::Refuse("RulesPerSecurityGroupLimitExceeded", 400), 1);
    world.run(&to(true, &[25], "rules")).await.unwrap();
    assert_eq!(ports(&world), ["25"]);
}
#[tokio::test]
async fn every_lost_reply_to_a_rule_is_survived() {
    for fault in [Fault::Lost, Fault::Hang, Fault::Bare(503)] {
        let world = World::with(400).await;
        world.cloud.script(|s| s.tag_lag = LAG);
        world.cloud.fault("AuthorizeSecurityGroupIngress", fault, 1);
        let change = security_group("g", "vpc-1", &[22, 443]);
        let id = world.run(&change).await.unwrap().object().vendor_id;
        world.cloud.fault("RevokeSecurityGroupIngress", fault, 1);
        world.run(&to(&change, id.as_str(), &[443])).await.unwrap();
        assert_eq!(ports(&world), ["443"], "{fault:?}");
        world.run(&then(&change, id.as_str(), Verb::Delete)).await.unwrap();
        assert!(world.cloud.items().is_empty());
    }
}
/// No vendor shows who else may write into a group: our note says so, and only where there is a mark.
#[tokio::test]
async fn whether_load_balancers_may_write_into_it_is_noted_and_changed() {
    const FIELD: &str = "allow_load_balancer_rules";
    let world = World::with(0).await;
    let change = security_group("g", "vpc-1", &[22]);
    let made = world.run(&change).await.unwrap().object();
    let note = || world.cloud.items().into_iter().find(|i| i.kind == "sg").unwrap().tags.get("welkin.dev/asked").cloned();
    assert_eq!((made.spec.allow_load_balancer_rules, note().as_deref()), (true, Some("load-balancers=true")));
    for (allows, is) in [(false, ""), (false, ""), (true, "load-balancers=true")] {
        let desired = SecurityGroupSpec { allow_load_balancer_rules: allows, ..made.spec.clone() };
        let now = world.run(&then(&change, made.vendor_id.as_str(), Verb::Update { desired, paths: [FIELD.into()].into() })).await.unwrap().object();
        let read = world.get(&then(&change, made.vendor_id.as_str(), Verb::Delete).target).await.unwrap();
        assert_eq!((now.spec.allow_load_balancer_rules, &now.spec, note().as_deref()), (allows, &read.spec, Some(is)));
    }
    assert_eq!(world.cloud.calls("CreateTags "), 2, "what is so already is not written");
    // One that was adopted: whatever somebody has noted on it.
    let theirs = world.cloud.plant("sg", &[("vpc", "vpc-1")], &[("welkin.dev/asked", "load-balancers=true")]);
    let target = Target::<SecurityGroup>::Vendor { parent: LocationName::of("eu-west-1").unwrap(), vendor_id: theirs.parse().unwrap() };
    let read = world.get(&target).await.unwrap();
    assert!(!read.spec.allow_load_balancer_rules);
    let open = |allows| {
        let desired = SecurityGroupSpec { allow_load_balancer_rules: allows, ..read.spec.clone() };
        Change { target: target.clone(), verb: Verb::Update { desired, paths: [FIELD.into()].into() }, ..change.clone() }
    };
    for e in [world.check(&open(true)).await.unwrap_err(), world.run(&open(true)).await.unwrap_err()] {
        assert_eq!((e.kind(), e.reason(), e.violations()[0].field.as_str()), (ErrorKind::FailedPrecondition, Reason::NotOwned, FIELD), "{e}");
    }
    // What cannot be is not asked for either way.
    assert_eq!(world.cloud.calls("CreateTags "), 2);
}
