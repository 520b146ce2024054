//! The model says of hardly any member that it must be there, and of no enumeration that it is complete: answers with members taken out, emptied, or
//! with words that nobody knows.

use crate::{
    balanced,
    document::{Element, elements, with},
    members::{marked, parted},
    recorded::{Recorded, test_every_kind, text},
    recordings::{alone, target},
    replay::Replay,
    scaled,
    specification::{Member, Model, model, say},
};
use proptest::{
    collection::vec,
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::collections::{BTreeMap, BTreeSet};
use welkin_core::*;

pub const CASES: usize = 200;
/// Of each answer about load balancers, of which every read asks for many.
const OF_MANY: usize = 50;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    Absent,
    /// Of a text only.
    Empty,
    /// Of an enumeration only.
    Unknown,
}
/// What was done to an answer.
pub struct Case {
    pub xml: String,
    /// How many rows are left.
    pub rows: usize,
    /// What was edited, for the report.
    pub edits: Vec<(String, Way)>,
    /// Ids of the rows whose tags were touched.
    retagged: BTreeSet<String>,
    /// May the id of a row be missing?
    pub is_nameless: bool,
}

/// `wire`: where the rows are; `id`: where their ids are.
fn edit(model: &Model, operation: &str, at: (&str, &str), xml: &str, picks: &Picks) -> Case {
    edited(&model.members[operation], at, xml, picks)
}
pub fn edited(members: &[Member], (wire, id): (&str, &str), xml: &str, picks: &Picks) -> Case {
    let kinds: BTreeMap<&str, &str> = members.iter().map(|m| (m.wire.as_str(), m.kind.as_str())).collect();
    let all = elements(xml);
    let rows: Vec<&Element> = all.iter().filter(|e| e.path == wire).collect();
    let inside: Vec<&Element> = all.iter().filter(|e| e.path.starts_with(wire)).collect();
    let id_of = |row: &Element| all.iter().find(|e| e.path == id && row.whole.contains(&e.whole.start)).map(|e| xml[e.inner.clone()].to_owned());
    let mut case = Case { xml: String::new(), rows: rows.len(), edits: Vec::new(), retagged: BTreeSet::new(), is_nameless: false };
    let mut edits = Vec::new();
    for (pick, way) in picks.iter().filter(|_| !inside.is_empty()) {
        let element = inside[pick.index(inside.len())];
        let kind = kinds.get(element.path.as_str()).copied();
        match (way, kind) {
            (Way::Absent, _) => edits.push((element.whole.clone(), String::new())),
            (Way::Empty, Some("string" | "enum")) => edits.push((element.inner.clone(), String::new())),
            (Way::Unknown, Some("enum")) => edits.push((element.inner.clone(), "never-heard-of".into())),
            _ => continue,
        }
        case.edits.push((element.path.clone(), *way));
        if element.path.contains("tagSet")
            && let Some(row) = rows.iter().find(|row| row.whole.contains(&element.whole.start))
        {
            case.retagged.extend(id_of(row));
        }
    }
    case.xml = with(xml, edits);
    let left = elements(&case.xml);
    let ids = left.iter().filter(|e| e.path == id && !e.inner.is_empty() && &case.xml[e.inner.clone()] != "never-heard-of").count();
    case.rows = left.iter().filter(|e| e.path == wire).count();
    case.is_nameless = ids < case.rows;
    case
}
fn id_wire<'a>(model: &'a Model, operation: &str, rows: &str, id: &str) -> &'a str {
    let path = format!("{rows}.{id}");
    &model.members[operation].iter().find(|m| m.path == path).unwrap().wire
}

pub type Picks = [(prop::sample::Index, Way)];
/// One of the answers and what to do to it, the same in every run.
pub fn cases() -> impl Iterator<Item = (prop::sample::Index, Vec<(prop::sample::Index, Way)>)> {
    let ways = prop_oneof![3 => Just(Way::Absent), 1 => Just(Way::Empty), 1 => Just(Way::Unknown)];
    let strategy = (any::<prop::sample::Index>(), vec((any::<prop::sample::Index>(), ways), 1..8));
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    (0..CASES).map(move |_| strategy.new_tree(&mut runner).unwrap().current())
}

mod each {
    use super::*;
    test_every_kind!(is_unset_or_named);

    async fn is_unset_or_named<K: Recorded>() {
        let Some(model) = model() else { return };
        let replay = Replay::start().await;
        let (mut refused, mut tried) = (0, 0);
        let answers = whole::<K>(model, &replay).await;
        let id = id_wire(model, K::OPERATION, K::ROWS, K::ID);
        for (answer, picks) in cases() {
            let (xml, marks) = answer.get(&answers);
            let case = edit(model, K::OPERATION, (K::WIRE, id), xml, &picks);
            replay.answers(K::OPERATION, 200, &case.xml);
            tried += case.edits.len();
            match replay.list(&K::query()).await {
                Err(e) => {
                    refused += 1;
                    assert!(case.is_nameless && e.message().contains(K::ID), "{:?}: {e}", case.edits);
                    assert_eq!((e.kind(), e.effect()), (ErrorKind::Unavailable, Effect::None), "{:?}: {e}", case.edits);
                }
                Ok(objects) => {
                    assert_eq!((objects.len(), case.is_nameless), (case.rows, false), "{:?}", case.edits);
                    for object in &objects {
                        let (id, before) = (object.vendor_id.as_str(), &marks[object.vendor_id.as_str()]);
                        // A tag of ours that was touched takes the mark away, or the digest alone.
                        let is_less = object.mark.as_ref().is_none_or(|m| m.digest.is_none());
                        assert!(object.mark == *before || (case.retagged.contains(id) && is_less), "{id} {:?}", case.edits);
                        assert!(!object.etag().0.is_empty());
                    }
                    if let Some(first) = objects.first() {
                        gets(&replay, &case, first).await;
                    }
                }
            }
        }
        say(&format!("{}: {CASES} answers with {tried} edits, {refused} refused by the name of the member", K::OPERATION));
    }
    /// Every answer with an object in it, as it is and with our mark on all, and which marks it shows.
    async fn whole<K: Recorded>(model: &Model, replay: &Replay) -> Vec<(String, BTreeMap<String, Option<Mark>>)> {
        let plain: Vec<&str> = model.answers(K::OPERATION).map(|a| a.xml.as_str()).filter(|xml| elements(xml).iter().any(|e| e.path == K::WIRE)).collect();
        let mut out = Vec::new();
        for xml in plain.iter().map(|xml| (*xml).to_owned()).chain(plain.iter().map(|xml| marked(xml, K::WIRE))) {
            replay.answers(K::OPERATION, 200, &xml);
            let marks = replay.list(&K::query()).await.unwrap().into_iter().map(|o| (o.vendor_id.to_string(), o.mark)).collect();
            out.push((xml, marks));
        }
        out
    }
    /// The first row, by its id and, where it is ours, as the engine asks for it.
    async fn gets<K: Recorded>(replay: &Replay, case: &Case, first: &Object<K>) {
        replay.answers(K::OPERATION, 200, &alone::<K>(&case.xml, 0));
        let by_id = target::<K>(first.vendor_id.as_str());
        let ours = first.mark.as_ref().map(|m| Target::Named { name: first.name.clone(), uid: Some(m.uid.clone()), vendor_id: Some(first.vendor_id.clone()) });
        for target in std::iter::once(by_id).chain(ours) {
            match replay.get(&target).await {
                Ok(got) => assert_eq!(got.mark, first.mark, "{:?}", case.edits),
                // Absent is not the same as not seen.
                Err(e) if e.is_not_found() => assert!(text(&serde_json::to_value(&first.status).unwrap(), "/state") == Some("DELETING"), "{:?}: {e}", case.edits),
                Err(e) => assert!(matches!(e.kind(), ErrorKind::FailedPrecondition | ErrorKind::Unavailable), "{:?}: {e}", case.edits),
            }
        }
    }
}

/// What is left of an instance, which the driver finds by its volumes.
#[tokio::test]
async fn volumes() {
    let Some(model) = model() else { return };
    let (operation, wire) = ("DescribeVolumes", "volumeSet/item");
    let id = id_wire(model, operation, "Volumes[]", "VolumeId");
    let (replay, name) = (Replay::start().await, Name::<Instance>::new(LocationName::of("eu-west-1").unwrap(), "web".parse().unwrap()));
    let answers: Vec<String> = model.answers(operation).map(|a| parted(&a.xml, wire)).collect();
    for (answer, picks) in cases() {
        let case = edit(model, operation, (wire, id), &answers[answer.index(answers.len())], &picks);
        replay.answers(operation, 200, &case.xml);
        match replay.get(&Target::named(name.clone())).await {
            Ok(left) => {
                assert_eq!(left.status.state, InstanceState::Incomplete);
                assert!(left.mark.is_some() || case.retagged.contains(left.vendor_id.as_str()), "{:?}", case.edits);
            }
            // What has lost our mark is not a part of ours, nor is what is being deleted.
            Err(e) if e.is_not_found() => assert!(case.rows <= case.retagged.len() + leaving(&case.xml), "{:?}", case.edits),
            Err(e) => assert!(case.is_nameless && e.message().contains("VolumeId") && e.kind() == ErrorKind::Unavailable, "{:?}: {e}", case.edits),
        }
    }
}
fn leaving(xml: &str) -> usize {
    ["deleting", "deleted"].iter().map(|state| xml.matches(&format!("<status>{state}</status>")).count()).sum()
}
#[tokio::test]
async fn zones() {
    let Some(model) = model() else { return };
    let (operation, wire) = ("DescribeAvailabilityZones", "availabilityZoneInfo/item");
    let id = id_wire(model, operation, "AvailabilityZones[]", "ZoneName");
    let replay = Replay::start().await;
    let answers: Vec<String> = model.answers(operation).map(|a| a.xml.clone()).collect();
    for (answer, picks) in cases() {
        let case = edit(model, operation, (wire, id), &answers[answer.index(answers.len())], &picks);
        replay.answers(operation, 200, &case.xml);
        let found = replay.list(&Query::<Location>::all(9)).await.unwrap();
        assert!(found.len() == 1 && found[0].status.zones.len() <= case.rows && !found[0].status.zones.contains(&String::new()), "{:?}", case.edits);
    }
}

/// Of a load balancer every answer but the one that is edited is whole.
#[tokio::test]
async fn load_balancers() {
    let Some(model) = model() else { return };
    let replay = Replay::start().await;
    for table in balanced::MEMBERS {
        let operation = table.operation;
        let wire = balanced::rows_wire(model, table);
        let answers: Vec<&str> = model.answers(operation).map(|a| a.xml.as_str()).filter(|xml| elements(xml).iter().any(|e| e.path == wire)).collect();
        let (mut refused, mut tried) = (0, 0);
        for (answer, picks) in cases().take(OF_MANY) {
            let whole = answers[answer.index(answers.len())];
            let case = edit(model, operation, (&wire, &wire), whole, &picks);
            balanced::stand(&replay, model, operation, whole);
            replay.answers(operation, 200, &case.xml);
            tried += case.edits.len();
            let listed = replay.list(&Query::<LoadBalancer>::all(20)).await;
            let asked = balanced::ask(&replay).await;
            for e in [listed.as_ref().err(), asked.as_ref().err()].into_iter().flatten() {
                refused += 1;
                assert_eq!((e.kind(), e.reason(), e.effect()), (ErrorKind::Unavailable, Reason::CloudAnswer, Effect::None), "{operation} {:?}: {e}", case.edits);
                // Only for a member that was taken away, with what holds it or by itself.
                let is_named = |path: &str| path.rsplit('.').next().is_some_and(|name| e.message().contains(name.trim_end_matches("[]")));
                let gone = model.members[operation].iter().filter(|m| is_named(&m.path) || e.message().contains("tags of"));
                assert!(gone.into_iter().any(|m| case.edits.iter().any(|(path, _)| m.wire.starts_with(path.as_str()))), "{operation} {:?}: {e}", case.edits);
            }
            if let Ok(objects) = &listed {
                assert_eq!(objects.len(), balanced::networks_in(&replay.told("DescribeLoadBalancers")), "{operation} {:?}", case.edits);
                assert!(objects.iter().all(|o| !o.etag().0.is_empty() && o.spec.backends.iter().all(|b| b.vendor_id().is_ok())), "{:?}", case.edits);
            }
            assert!(asked.is_err() || asked.unwrap().iter().all(|told| !told.backend.is_empty()), "{operation} {:?}", case.edits);
        }
        say(&format!("{operation}: {OF_MANY} answers with {tried} edits, {refused} refused by the name of the member"));
    }
}

/// Of a group only its ARN and its name have to be there.
#[tokio::test]
async fn instance_groups() {
    let Some(model) = model() else { return };
    let replay = Replay::start().await;
    let operation = scaled::OPERATION;
    let id = id_wire(model, operation, "AutoScalingGroups[]", "AutoScalingGroupARN");
    let answers: Vec<&str> = model.answers(operation).map(|a| a.xml.as_str()).filter(|xml| elements(xml).iter().any(|e| e.path == scaled::ROWS)).collect();
    let (mut refused, mut tried) = (0, 0);
    for (answer, picks) in cases() {
        let case = edit(model, operation, (scaled::ROWS, id), answers[answer.index(answers.len())], &picks);
        scaled::stand(&replay, &case.xml);
        tried += case.edits.len();
        let is_without = |part: &str| case.edits.iter().any(|(path, _)| path.ends_with(part));
        match replay.list(&Query::<InstanceGroup>::all(100)).await {
            Err(e) => {
                refused += 1;
                assert_eq!((e.kind(), e.reason(), e.effect()), (ErrorKind::Unavailable, Reason::CloudAnswer, Effect::None), "{:?}: {e}", case.edits);
                let is_told = ["AutoScalingGroupARN", "AutoScalingGroupName"].iter().any(|part| e.message().contains(part) && is_without(part));
                assert!(is_told, "{:?}: {e}", case.edits);
            }
            Ok(objects) => {
                assert_eq!((objects.len(), case.is_nameless), (case.rows, false), "{:?}", case.edits);
                assert!(objects.iter().all(|o| !o.etag().0.is_empty() && o.spec.subnets.iter().all(|s| s.vendor_id().is_ok())), "{:?}", case.edits);
                if let Some(first) = objects.first() {
                    scaled::stand(&replay, &scaled::alone(&case.xml, 0));
                    assert_eq!(&replay.get(&scaled::target(first.vendor_id.as_str())).await.unwrap(), first, "{:?}", case.edits);
                }
            }
        }
    }
    say(&format!("{operation}: {CASES} answers with {tried} edits, {refused} refused by the name of the member"));
}
