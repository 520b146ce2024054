//! Everything that was recorded of EC2 goes through the SDK's parser and our own decoders, and comes to what it says.

use crate::{
    document::{Element, elements, with, without},
    recorded::{Recorded, every_kind, rows, text},
    replay::Replay,
    specification::{Answer, Model, Origin, ask, model, say},
};
use serde_json::Value;
use std::{collections::BTreeMap, ffi::OsString};
use welkin_core::*;

/// The answer with its n-th row alone.
pub fn alone<K: Recorded>(xml: &str, n: usize) -> String {
    let all: Vec<Element> = elements(xml).into_iter().filter(|e| e.path == K::WIRE).collect();
    without(xml, |e| e.path == K::WIRE && e.whole != all[n].whole)
}
pub fn target<K: Recorded>(id: &str) -> Target<K> {
    Target::Vendor { parent: LocationName::of("eu-west-1").unwrap(), vendor_id: id.parse().unwrap() }
}
fn report(operation: &str, counts: &BTreeMap<Origin, (usize, usize)>) {
    let of = |origin| counts.get(&origin).copied().unwrap_or_default();
    let ((answers, rows), (samples, of_samples)) = (of(Origin::Recording), of(Origin::Sample));
    say(&format!("{operation}: {answers} recordings with {rows} objects, {samples} samples with {of_samples}"));
}

mod each {
    use super::*;
    every_kind!(comes_to_what_it_says);

    /// By the list, and each row once more by `get`.
    async fn comes_to_what_it_says<K: Recorded>() {
        let Some(model) = model() else { return };
        let (replay, mut counts) = (Replay::start().await, BTreeMap::<_, (usize, usize)>::new());
        for answer in model.answers(K::OPERATION) {
            let source = &answer.source;
            replay.answers(K::OPERATION, 200, &answer.xml);
            let rows = rows(&answer.answer, K::ROWS);
            let objects = replay.list(&K::query()).await.unwrap_or_else(|e| panic!("{source}: {e}"));
            // A list of instances leaves terminated ones out by EC2's own filter, which answers here nothing else: so none is left out.
            assert_eq!(objects.len(), rows.len(), "{source}");
            for (n, (row, object)) in rows.iter().zip(&objects).enumerate() {
                let id = text(row, &format!("/{}", K::ID)).unwrap();
                assert_eq!((object.vendor_id.as_str(), &object.mark, object.name.id.decoded().as_str()), (id, &None, id), "{source}");
                assert_eq!(object.provider_id.to_string(), format!("aws:///{}/{id}", K::placed_in(row).unwrap_or("eu-west-1")), "{source}");
                assert_eq!(K::shown(object), K::said(row), "{source} {id}");
                replay.answers(K::OPERATION, 200, &alone::<K>(&answer.xml, n));
                match replay.get(&target::<K>(id)).await {
                    Ok(got) => assert_eq!((&got, K::is_over(row)), (object, false), "{source} {id}"),
                    Err(e) => assert!(K::is_over(row) && matches!(e.kind(), ErrorKind::NotFound | ErrorKind::FailedPrecondition), "{source} {id}: {e}"),
                }
            }
            let count = counts.entry(answer.origin()).or_default();
            *count = (count.0 + 1, count.1 + rows.len());
        }
        report(K::OPERATION, &counts);
    }
}

mod words {
    use super::*;
    every_kind!(every_word_means_something);

    /// Every value that the model knows of an enumeration that we translate.
    async fn every_word_means_something<K: Recorded>() {
        let Some(model) = model() else { return };
        let replay = Replay::start().await;
        let specimen = specimen(model, K::OPERATION);
        for (shape, below) in K::MEANT {
            let known: BTreeMap<String, Vec<String>> = ask("enums", [OsString::from(shape)], "").unwrap();
            for word in known[*shape].iter().map(String::as_str).chain(["never-heard-of"]) {
                let path = format!("{}/{below}", K::WIRE);
                let edits = elements(&specimen.xml).into_iter().filter(|e| e.path == path).map(|e| (e.inner, word.to_owned()));
                replay.answers(K::OPERATION, 200, &with(&specimen.xml, edits.collect()));
                for object in replay.list(&K::query()).await.unwrap() {
                    let is_meant = !serde_json::to_string(&object.status).unwrap().contains("UNSPECIFIED");
                    assert_eq!(is_meant, word != "never-heard-of", "{shape} {word}");
                }
            }
        }
    }
}
pub fn specimen<'a>(model: &'a Model, operation: &str) -> &'a Answer {
    model.answers(operation).find(|a| a.origin() == Origin::Specimen).unwrap()
}

/// The driver of instances reads volumes where a name has no instance: what is left of one.
#[tokio::test]
async fn volumes_are_what_is_left_of_an_instance() {
    let Some(model) = model() else { return };
    let (replay, mut counts) = (Replay::start().await, BTreeMap::<_, (usize, usize)>::new());
    let name = Name::<Instance>::new(LocationName::of("eu-west-1").unwrap(), "i".parse().unwrap());
    for answer in model.answers("DescribeVolumes") {
        replay.answers("DescribeVolumes", 200, &answer.xml);
        let rows = rows(&answer.answer, "Volumes[]");
        let left = rows.iter().filter(|v| !matches!(text(v, "/State"), Some("deleting" | "deleted"))).find_map(|v| text(v, "/VolumeId"));
        match (replay.get(&Target::named(name.clone())).await, left) {
            (Ok(found), Some(id)) => assert_eq!((found.vendor_id.as_str(), found.status.state), (id, InstanceState::Incomplete), "{}", answer.source),
            (Err(e), None) => assert!(e.is_not_found(), "{}: {e}", answer.source),
            (got, left) => panic!("{}: {left:?} came to {got:?}", answer.source),
        }
        let count = counts.entry(answer.origin()).or_default();
        *count = (count.0 + 1, count.1 + rows.len());
    }
    report("DescribeVolumes", &counts);
}

#[tokio::test]
async fn zones_are_what_a_location_has() {
    let Some(model) = model() else { return };
    let (replay, mut counts) = (Replay::start().await, BTreeMap::<_, (usize, usize)>::new());
    for answer in model.answers("DescribeAvailabilityZones") {
        replay.answers("DescribeAvailabilityZones", 200, &answer.xml);
        let rows = rows(&answer.answer, "AvailabilityZones[]");
        let usable = |z: &&&Value| text(z, "/OptInStatus") != Some("not-opted-in") && text(z, "/ZoneType").is_none_or(|t| t == "availability-zone");
        let mut zones: Vec<&str> = rows.iter().filter(usable).filter_map(|z| text(z, "/ZoneName")).collect();
        zones.sort_unstable();
        let found = replay.list(&Query::<Location>::all(1000)).await.unwrap();
        assert_eq!((found.len(), &found[0].status.zones), (1, &zones.iter().map(|z| (*z).to_owned()).collect()), "{}", answer.source);
        let count = counts.entry(answer.origin()).or_default();
        *count = (count.0 + 1, count.1 + rows.len());
    }
    report("DescribeAvailabilityZones", &counts);
}

/// What EC2 answered where something was not there.
#[tokio::test]
async fn recorded_refusals_keep_ec2s_code() {
    let Some(model) = model() else { return };
    let replay = Replay::start().await;
    let name = Name::<Instance>::new(LocationName::of("eu-west-1").unwrap(), "i".parse().unwrap());
    let refusals: Vec<&Answer> = model.answers.iter().filter(|a| a.status != 200).collect();
    for answer in &refusals {
        replay.answers(&answer.operation, answer.status, &answer.xml);
        let code = text(&answer.answer, "/Code").unwrap();
        let e = match answer.operation.as_str() {
            "DescribeSubnets" => replay.get(&target::<Subnet>("subnet-0123")).await.unwrap_err(),
            "DescribeVolumes" => replay.get(&Target::named(name.clone())).await.unwrap_err(),
            other => panic!("{other} is not tried"),
        };
        if answer.operation == "DescribeSubnets" {
            // The one thing that means: it is not there.
            assert!(e.is_not_found(), "{}: {e}", answer.source);
        } else {
            assert_eq!(e.vendor().map(|v| v.code.as_str()), Some(code), "{}: {e}", answer.source);
        }
    }
    say(&format!("{} recorded refusals", refusals.len()));
    for left in &model.left_out {
        say(&format!("left out: {}: {}", left.source, left.left_out));
    }
}
