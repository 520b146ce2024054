//! What lives in another resource and carries no mark: record sets of zones.

use crate::lab::Lab;
use welkin_core::{ChangeMode, DnsZone, DnsZoneAction, DnsZoneSpec, LocationName, Name, Object, Reason, RecordChange, RecordChanges, RecordOutcomes, RecordSet, RecordSetSpec};
use welkin_engine::{ListRequest, Operation, Options, Outcome};
use welkin_sim::{Config, Fault, FaultKind, Planted};

fn zone(id: &str) -> Name<DnsZone> {
    Name::new(LocationName::of("global").unwrap(), id.parse().unwrap())
}
fn www(of: &str) -> Name<RecordSet> {
    Name::new(zone(of), "www.example.com~A".parse().unwrap())
}
fn says(value: &str) -> RecordSetSpec {
    RecordSetSpec { values: vec![value.into()], ..RecordSetSpec::default() }
}
impl Lab {
    /// A zone of ours called `z1`, and the vendor's id of it.
    pub(crate) async fn zone(&self) -> String {
        let spec = DnsZoneSpec { dns_name: Some("example.com".parse().unwrap()), ..DnsZoneSpec::default() };
        let op = self.account().create(zone("z1"), spec, Options::default()).await.unwrap();
        self.end(op).await.object::<DnsZone>().unwrap().vendor_id.to_string()
    }
    async fn record(&self, name: Name<RecordSet>, value: &str) -> welkin_core::Result<Object<RecordSet>> {
        let op = self.account().create(name, says(value), Options::default()).await?;
        self.end(op).await.object()
    }
    async fn removed(&self, name: Name<RecordSet>, options: Options) -> welkin_core::Result<Operation> {
        let op = self.account().delete(name, options).await?;
        Ok(self.end(op).await)
    }
}

#[tokio::test(start_paused = true)]
async fn a_zone_is_called_by_its_name_or_by_the_vendors_id() {
    let lab = Lab::open(Config::default()).await;
    let id = lab.zone().await;
    let made = lab.record(www("z1"), "192.0.2.1").await.unwrap();
    assert_eq!((&made.name, made.vendor_id.as_str(), made.mark.is_some()), (&www("z1"), "www.example.com~A", true));
    for called in [www("z1"), www(&id)] {
        assert_eq!(lab.account().get(&called).await.unwrap(), made, "{called}");
        // The same again makes nothing, and another one is refused.
        assert_eq!(lab.record(called.clone(), "192.0.2.1").await.unwrap(), made);
        assert_eq!(lab.record(called.clone(), "192.0.2.2").await.unwrap_err().reason(), Reason::NameTaken);
        let op = lab.account().update(called, says("192.0.2.1"), ["values".into()].into(), Options::default()).await.unwrap();
        assert_eq!(lab.end(op).await.object::<RecordSet>().unwrap().name, www("z1"));
    }
    assert_eq!(lab.calls("ChangeRecords"), 1);
    for parent in [None, Some(zone("z1")), Some(zone(&id))] {
        let list = ListRequest::<RecordSet> { cloud: None, parent, filter: "owned = true".into(), page_size: 10, page_token: String::new() };
        assert_eq!(lab.engine.list(list).await.unwrap().items.into_iter().map(|(_, o)| o).collect::<Vec<_>>(), std::slice::from_ref(&made));
    }
    // A restart knows it too.
    let lab = lab.crash().await;
    assert_eq!(lab.account().get(&www(&id)).await.unwrap(), made);
    lab.removed(www(&id), Options::default()).await.unwrap();
    assert!(lab.account().get(&www("z1")).await.unwrap_err().is_not_found());
    assert_eq!(lab.count("records"), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_where_the_zone_is_not_ours() {
    let lab = Lab::open(Config::default()).await;
    let foreign = lab.sim.plant("global", Planted::Zone { dns_name: "example.com".into() }, [].into()).unwrap();
    let refusal = lab.record(www(&foreign), "192.0.2.1").await.unwrap_err();
    assert_eq!((refusal.reason(), refusal.violations()[0].field.as_str()), (Reason::NotOwned, "parent"));
    let missing = lab.record(www("z9"), "192.0.2.1").await.unwrap_err();
    assert_eq!((missing.reason(), missing.violations()[0].field.as_str()), (Reason::ReferenceNotFound, "parent"));
    assert_eq!(lab.writes(), 0);
    // Adopted, it is.
    let adopted = Options { adopt: Some(foreign.clone()), ..Options::default() };
    let op = lab.account().create(zone("z1"), DnsZoneSpec::default(), adopted).await.unwrap();
    lab.end(op).await.object::<DnsZone>().unwrap();
    assert_eq!(lab.record(www(&foreign), "192.0.2.1").await.unwrap().name, www("z1"));
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_records_are_ours_once_they_are_adopted() {
    let lab = Lab::open(Config::default()).await;
    let id = lab.zone().await;
    lab.sim.plant("global", Planted::Records { zone: id, id: "www.example.com~A".parse().unwrap(), values: vec!["192.0.2.7".into()] }, [].into()).unwrap();
    assert_eq!(lab.account().get(&www("z1")).await.unwrap().mark, None);
    // Not even with the very value that is there.
    for value in ["192.0.2.1", "192.0.2.7"] {
        assert_eq!(lab.record(www("z1"), value).await.unwrap_err().reason(), Reason::NotOwned);
    }
    assert_eq!(lab.removed(www("z1"), Options::default()).await.unwrap_err().reason(), Reason::NotOwned);
    let adopt = |id: &str| Options { adopt: Some(id.into()), ..Options::default() };
    let other = lab.account().create(www("z1"), RecordSetSpec::default(), adopt("mail.example.com~A")).await;
    assert_eq!(other.unwrap_err().violations()[0].field, "adopt");
    for _ in 0..2 {
        let op = lab.account().create(www("z1"), RecordSetSpec::default(), adopt("WWW.example.com.~A")).await.unwrap();
        assert!(lab.end(op).await.object::<RecordSet>().unwrap().mark.is_some());
    }
    let release = Options { release: true, ..Options::default() };
    assert!(matches!(lab.removed(www("z1"), release).await.unwrap().end, Some(Ok(Outcome::Deleted))));
    assert_eq!((lab.account().get(&www("z1")).await.unwrap().mark, lab.calls("ChangeRecords"), lab.count("records")), (None, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_has_changed_is_not_removed_unseen() {
    let lab = Lab::open(Config::default()).await;
    let id = lab.zone().await;
    let made = lab.record(www("z1"), "192.0.2.1").await.unwrap();
    lab.sim.uproot("global", &format!("{id}/www.example.com~A")).unwrap();
    lab.sim.plant("global", Planted::Records { zone: id, id: "www.example.com~A".parse().unwrap(), values: vec!["192.0.2.7".into()] }, [].into()).unwrap();
    let at = Options { etag: Some(made.etag()), ..Options::default() };
    assert_eq!(lab.removed(www("z1"), at).await.unwrap_err().reason(), Reason::EtagMismatch);
    assert_eq!(lab.count("records"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_reply_was_lost_is_found_by_what_it_says() {
    let lab = Lab::open(Config::default()).await;
    lab.zone().await;
    lab.sim.inject(Fault { action: Some("ChangeRecords".into()), after: 0, kind: FaultKind::ReplyLost });
    let made = lab.record(www("z1"), "192.0.2.1").await.unwrap();
    assert_eq!((made.mark.is_some(), lab.calls("ChangeRecords"), lab.count("records")), (true, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_zone_with_records_is_not_deleted() {
    let lab = Lab::open(Config::default()).await;
    lab.zone().await;
    lab.record(www("z1"), "192.0.2.1").await.unwrap();
    let op = lab.account().delete(zone("z1"), Options::default()).await.unwrap();
    assert_eq!(crate::lab::failure(&lab.end(op).await).reason(), Reason::InUse);
    lab.removed(www("z1"), Options::default()).await.unwrap();
    let op = lab.account().delete(zone("z1"), Options::default()).await.unwrap();
    assert!(matches!(lab.end(op).await.end, Some(Ok(Outcome::Deleted))));
}

fn change(id: &str, value: Option<&str>) -> RecordChange {
    RecordChange { id: id.parse().unwrap(), desired: value.map(says), owned: false }
}
fn numbered(n: usize) -> String {
    format!("r{n}.example.com~A")
}
impl Lab {
    async fn changed(&self, mode: ChangeMode, changes: Vec<RecordChange>, deletes: Option<u32>) -> welkin_core::Result<Vec<Option<Reason>>> {
        let action = DnsZoneAction::ChangeRecords(RecordChanges { mode, changes, deletes, ..RecordChanges::default() });
        let op = self.account().act(zone("z1"), action, Options::default()).await?;
        match self.end(op).await.end.unwrap()? {
            Outcome::Acted(value) => Ok(serde_json::from_value::<RecordOutcomes>(value).unwrap().0.into_iter().map(|o| o.error.map(|e| e.reason())).collect()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_changes_are_packed_and_one_bad_one_blocks_nobody() {
    let lab = Lab::open(Config::default()).await;
    let id = lab.zone().await;
    let all: Vec<_> = (0..1000).map(|n| change(&numbered(n), Some("192.0.2.1"))).collect();
    assert!(lab.changed(ChangeMode::Atomic, all.clone(), None).await.unwrap().iter().all(Option::is_none));
    assert_eq!((lab.calls("ChangeRecords"), lab.count("records")), (1, 1000));
    // Every one of them twice: the old value and the new one.
    let more: Vec<_> = (0..1000).map(|n| change(&numbered(n), Some("192.0.2.2"))).collect();
    assert_eq!(lab.changed(ChangeMode::Atomic, more.clone(), None).await.unwrap_err().violations()[0].field, "changes");
    assert_eq!(lab.calls("ChangeRecords"), 1);
    assert!(lab.changed(ChangeMode::BestEffort, more.clone(), None).await.unwrap().iter().all(Option::is_none));
    assert_eq!(lab.calls("ChangeRecords"), 3);
    // The same again is so already.
    assert!(lab.changed(ChangeMode::BestEffort, more, None).await.unwrap().iter().all(Option::is_none));
    assert_eq!(lab.calls("ChangeRecords"), 3);
    // Somebody else's, known before any call.
    let theirs = "theirs.example.com~A";
    lab.sim.plant("global", Planted::Records { zone: id, id: theirs.parse().unwrap(), values: vec!["192.0.2.7".into()] }, [].into()).unwrap();
    let mut mixed: Vec<_> = (0..400).map(|n| change(&numbered(n), Some("192.0.2.3"))).collect();
    mixed.insert(7, change(theirs, Some("192.0.2.3")));
    mixed.insert(9, change("elsewhere.example~A", Some("192.0.2.3")));
    let came_to = lab.changed(ChangeMode::BestEffort, mixed.clone(), None).await.unwrap();
    assert_eq!((came_to[7], came_to[9], came_to.iter().filter(|o| o.is_none()).count()), (Some(Reason::NotOwned), Some(Reason::InvalidField), 400));
    assert_eq!(lab.calls("ChangeRecords"), 4);
    let refused = lab.changed(ChangeMode::Atomic, mixed, None).await.unwrap_err();
    assert_eq!((refused.reason(), lab.calls("ChangeRecords")), (Reason::NotOwned, 4));
}

#[tokio::test(start_paused = true)]
async fn what_a_batch_has_made_is_ours_and_what_it_removed_is_not() {
    let lab = Lab::open(Config::default()).await;
    lab.zone().await;
    let made = [change("a.example.com~A", Some("192.0.2.1")), change("b.example.com~CNAME", Some("a.example.com"))];
    assert_eq!(lab.changed(ChangeMode::Atomic, made.to_vec(), None).await.unwrap(), [None, None]);
    let name = |id: &str| Name::<RecordSet>::new(zone("z1"), id.parse().unwrap());
    let lab = lab.crash().await;
    assert!(lab.account().get(&name("a.example.com~A")).await.unwrap().mark.is_some());
    // From one type to the other at once, and the row goes with the record set.
    let swap = [change("b.example.com~CNAME", None), change("b.example.com~A", Some("192.0.2.2"))];
    assert_eq!(lab.changed(ChangeMode::Atomic, swap.to_vec(), None).await.unwrap(), [None, None]);
    assert_eq!(lab.account().get(&name("b.example.com~CNAME")).await.unwrap_err().reason(), Reason::ResourceNotFound);
    lab.removed(name("b.example.com~A"), Options::default()).await.unwrap();
    assert_eq!(lab.count("records"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_ends_well_whatever_happens_to_any_of_its_calls() {
    for kind in [FaultKind::Refused, FaultKind::RequestLost, FaultKind::ReplyLost, FaultKind::HangsAfter] {
        for at in 0..3 {
            let lab = Lab::open(Config::default()).await;
            lab.zone().await;
            let first: Vec<_> = (0..900).map(|n| change(&numbered(n), Some("192.0.2.1"))).collect();
            lab.changed(ChangeMode::Atomic, first, None).await.unwrap();
            lab.sim.inject(Fault { action: Some("ChangeRecords".into()), after: at, kind });
            let second: Vec<_> = (0..900).map(|n| change(&numbered(n), Some("192.0.2.2"))).chain([change("new.example.com~A", Some("192.0.2.2"))]).collect();
            let came_to = lab.changed(ChangeMode::BestEffort, second, None).await.unwrap();
            assert!(came_to.iter().all(Option::is_none), "{kind:?} at {at}: {came_to:?}");
            assert_eq!((lab.sim.faults_fired() > 0, lab.count("records")), (at < 2, 901), "{kind:?} at {at}");
            assert!(lab.account().get(&Name::<RecordSet>::new(zone("z1"), "new.example.com~A".parse().unwrap())).await.unwrap().mark.is_some());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_zone_is_emptied_only_by_who_says_how_much() {
    let lab = Lab::open(Config::default()).await;
    lab.zone().await;
    lab.changed(ChangeMode::Atomic, (0..10).map(|n| change(&numbered(n), Some("192.0.2.1"))).collect(), None).await.unwrap();
    let all: Vec<_> = (0..10).map(|n| change(&numbered(n), None)).collect();
    for deletes in [None, Some(9), Some(11)] {
        let refused = lab.changed(ChangeMode::BestEffort, all.clone(), deletes).await.unwrap_err();
        assert_eq!((refused.reason(), refused.violations()[0].field.as_str(), lab.count("records")), (Reason::DeletesNotStated, "deletes", 10));
    }
    // A part of it is done, and the same is asked for again.
    assert!(lab.changed(ChangeMode::BestEffort, all[..3].to_vec(), None).await.unwrap().iter().all(Option::is_none));
    assert_eq!(lab.changed(ChangeMode::BestEffort, all.clone(), Some(6)).await.unwrap_err().reason(), Reason::DeletesNotStated);
    assert!(lab.changed(ChangeMode::BestEffort, all, Some(10)).await.unwrap().iter().all(Option::is_none));
    assert_eq!(lab.count("records"), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_else_changes_the_record_sets_of_a_batch_meanwhile() {
    let lab = Lab::open(Config { latency_ms: 1000, ..Config::default() }).await;
    lab.zone().await;
    let action = DnsZoneAction::ChangeRecords(RecordChanges { changes: vec![change("www.example.com~A", Some("192.0.2.1"))], ..RecordChanges::default() });
    let open = lab.account().act(zone("z1"), action, Options::default()).await.unwrap();
    assert!(!open.is_done());
    let other = lab.account().create(www("z1"), says("192.0.2.2"), Options::default()).await.unwrap_err();
    assert_eq!((other.reason(), other.retry_after().is_some()), (Reason::OperationInProgress, true));
    lab.end(open).await;
    assert!(lab.account().get(&www("z1")).await.unwrap().mark.is_some());
    lab.removed(www("z1"), Options::default()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_batch_is_refused_before_any_call() {
    let lab = Lab::open(Config::default()).await;
    lab.zone().await;
    let before = lab.account().vendor_calls();
    let wrong = [change("a.example.com~A", Some("nowhere")), change("b.example.com~A", None), change("b.example.com~A", Some("192.0.2.1"))];
    for (changes, fields) in [(wrong.to_vec(), vec!["changes[0].record_set.values[0]", "changes[2].record_set_id"]), (vec![], vec!["changes"])] {
        let refused = lab.changed(ChangeMode::BestEffort, changes, None).await.unwrap_err();
        assert_eq!(refused.violations().iter().map(|v| v.field.as_str()).collect::<Vec<_>>(), fields);
    }
    assert_eq!(lab.account().vendor_calls(), before);
}
