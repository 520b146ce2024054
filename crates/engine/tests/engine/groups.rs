//! What goes on at the cloud by itself: a replacement of instances tells how far it is, survives a restart, and stops where it is cancelled.

use crate::lab::*;
use std::time::Duration;
use welkin_core::{InstanceGroup, InstanceGroupAction, InstanceGroupSpec, InstanceTemplate, Name, Object, Reason, Ref, Replacement, Secret};
use welkin_engine::{MemoryJournal, Operation, Options, Phase, Settings};
use welkin_sim::{Config, Fault, FaultKind, Sim};

fn group() -> Name<InstanceGroup> {
    Name::new(at(), "g1".parse().unwrap())
}
fn spec() -> InstanceGroupSpec {
    let template =
        InstanceTemplate { machine_types: vec!["small".into()], image: web_spec().image, user_data: Some(Secret::new("#!/bin/sh first")), ..InstanceTemplate::default() };
    InstanceGroupSpec { template, subnets: vec![Ref::to(subnet("s1"))], max_size: Some(3), size: Some(3), ..InstanceGroupSpec::default() }
}

impl Lab {
    async fn group(&self) -> Object<InstanceGroup> {
        self.account().get(&group()).await.unwrap()
    }
    /// Three that run, and are out of date since only the user data has changed.
    async fn outdated(&self) {
        self.subnet().await;
        let made = self.account().create(group(), spec(), Options::default()).await.unwrap();
        assert!(matches!(self.end(made).await.end, Some(Ok(_))));
        while self.group().await.status.running_instances < 3 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mut other = InstanceGroupSpec::default();
        other.template.user_data = Some(Secret::new("#!/bin/sh second"));
        let changed = self.account().update(group(), other, ["template.user_data".into()].into(), Options::default()).await.unwrap();
        assert!(matches!(self.end(changed).await.end, Some(Ok(_))));
        assert_eq!(self.group().await.status.out_of_date_instances, 3);
    }
    async fn replacing(&self) -> Operation {
        let action = InstanceGroupAction::ReplaceInstances(Replacement::default());
        self.account().act(group(), action, Options::default()).await.unwrap()
    }
    /// Until this many are left.
    async fn left(&self, operation: &Operation, left: u32) -> Operation {
        while self.group().await.status.out_of_date_instances > left {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.account().operation(&operation.id).await.unwrap()
    }
}
fn config() -> Config {
    Config { creation_time_ms: 2_000, transition_time_ms: 500, ..Config::default() }
}

#[tokio::test(start_paused = true)]
async fn a_replacement_tells_how_far_it_is_and_goes_on_after_a_restart() {
    let lab = Lab::open(config()).await;
    lab.outdated().await;
    let open = lab.replacing().await;
    let half = lab.left(&open, 2).await;
    assert!(!half.is_done() && half.progress.contains("1 of 3 replaced"), "{half:?}");
    let lab = lab.crash().await;
    let most = lab.left(&half, 1).await;
    assert!(!most.is_done() && most.progress.contains("2 of 3 replaced"), "{most:?}");
    let done = lab.end(most).await;
    assert!(matches!(done.end, Some(Ok(_))), "{done:?}");
    let seen = lab.group().await;
    assert_eq!((seen.status.out_of_date_instances, seen.status.running_instances, seen.spec.size), (0, 3, Some(3)));
    // Begun once, however often the engine was.
    assert_eq!(lab.sim.calls()["StartInstanceRefresh"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_is_cancelled_stops_at_the_cloud_too() {
    for kind in [None, Some(FaultKind::Refused), Some(FaultKind::ReplyLost)] {
        let lab = Lab::open(config()).await;
        lab.outdated().await;
        let open = lab.replacing().await;
        let half = lab.left(&open, 2).await;
        if let Some(kind) = kind {
            lab.sim.inject(Fault { action: Some("CancelInstanceRefresh".into()), after: 0, kind });
        }
        lab.account().cancel(&half.id).await.unwrap();
        let ended = lab.end(half).await;
        assert_eq!((failure(&ended).reason(), ended.phase), (Reason::OperationCancelled, Phase::Ended), "{kind:?}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        let seen = lab.group().await;
        assert!(!seen.status.is_replacing && seen.status.out_of_date_instances > 0 && seen.status.running_instances == 3, "{kind:?}: {seen:?}");
        // And again from there to its end.
        let done = lab.replacing().await;
        assert!(matches!(lab.end(done).await.end, Some(Ok(_))), "{kind:?}");
        assert_eq!(lab.group().await.status.out_of_date_instances, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_is_too_slow_is_stopped_and_one_whose_group_is_gone_ends() {
    let sim = Sim::open(config(), None).unwrap();
    let lab = Lab::with(sim, MemoryJournal::new(), Settings { max_age: Duration::from_secs(3), ..Settings::default() }).await;
    lab.outdated().await;
    let slow = lab.replacing().await;
    let slow = lab.end(slow).await;
    assert_eq!(failure(&slow).reason(), Reason::OperationExpired);
    assert!(!lab.group().await.status.is_replacing);

    let open = lab.replacing().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    lab.sim.uproot("sim-1", lab.group().await.vendor_id.as_str()).unwrap();
    lab.account().cancel(&open.id).await.unwrap();
    let ended = lab.end(open).await;
    assert!(matches!(failure(&ended).reason(), Reason::OperationCancelled | Reason::ResourceNotFound), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_input_only_is_never_answered() {
    let lab = Lab::open(config()).await;
    lab.subnet().await;
    let made = lab.account().create(group(), spec(), Options::default()).await.unwrap();
    let made = lab.end(made).await;
    assert!(!format!("{:?}", made.end).contains("first"));
    assert_eq!(made.object::<InstanceGroup>().unwrap().spec.template.user_data, None);
}
