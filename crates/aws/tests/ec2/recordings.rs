//! Everything that was recorded of EC2 goes through the SDK's parser and our own decoders, and comes to what it says.

use crate::{
    balanced,
    document::{Element, elements, with, without},
    journal::{instance, network, subnet},
    members::recorded_roles,
    recorded::{Recorded, for_every_kind, rows, test_every_kind, text},
    replay::Replay,
    scaled,
    specification::{Answer, Model, Origin, answers_of, ask, model, say},
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
/// What went through: answers and the objects in them.
#[derive(Debug, Default)]
pub struct Counts(BTreeMap<Origin, (usize, usize)>);
impl Counts {
    pub fn passed(&mut self, answer: &Answer, rows: usize) {
        let count = self.0.entry(answer.origin()).or_default();
        *count = (count.0 + 1, count.1 + rows);
    }
    pub fn line(&self, model: &Model, operation: &str, of: &str) -> String {
        let of_origin = |origin| self.0.get(&origin).copied().unwrap_or_default();
        let ((recordings, objects), (samples, others)) = (of_origin(Origin::Recording), of_origin(Origin::Sample));
        let refusals = model.answers.iter().filter(|a| a.operation == operation && a.status != 200).count();
        let [shown, read, ignored] = recorded_roles(model, operation);
        format!("| {of} | {operation} | {recordings} | {objects} | {refusals} | {samples} | {others} | {shown} | {read} | {ignored} |\n")
    }
}

/// And docs/fidelity.md says how much that is.
#[tokio::test]
async fn everything_that_was_recorded_comes_to_what_it_says() {
    let Some(model) = model() else { return };
    let mut part = "| kind | answer | recordings | objects in them | refusals | samples | objects in them | members recorded: shown | read | ignored |\n".to_owned();
    part.push_str("|---|---|---|---|---|---|---|---|---|---|\n");
    for_every_kind!(K, { part.push_str(&rows_are_objects::<K>(model).await) });
    part.push_str(&zones_are_what_a_location_has(model).await);
    part.push_str(&balanced::come_to_what_they_say(model).await);
    part.push_str(&scaled::come_to_what_they_say(model).await);
    part.push_str(&creates_take_the_id_that_ec2_answers().await);
    let mut left_out = BTreeMap::<&str, Vec<&str>>::new();
    for left in &model.left_out {
        left_out.entry(&left.left_out).or_default().push(&left.source);
    }
    for (why, sources) in left_out {
        part.push_str(&format!("\n- left out, {why}: {}\n", sources.join(", ")));
    }
    say(&part);
    if model.answers.iter().any(|a| a.origin() == Origin::Recording) {
        documented("../../docs/fidelity.md", "aws-recordings", &part);
    }
}
/// Compares the part of a page between its two marks; `WELKIN_WRITE_DOCS=1` writes it anew. `path`: from the package's folder, in which cargo runs tests.
pub fn documented(path: &str, key: &str, part: &str) {
    let page = std::fs::read_to_string(path).unwrap();
    let (begin, end) = (format!("<!-- begin {key} -->\n"), format!("<!-- end {key} -->\n"));
    let (from, to) = (page.find(&begin).unwrap() + begin.len(), page.find(&end).unwrap());
    if std::env::var_os("WELKIN_WRITE_DOCS").is_some() {
        return std::fs::write(path, format!("{}{part}{}", &page[..from], &page[to..])).unwrap();
    }
    assert_eq!(&page[from..to], part, "{path} says something else of {key}; write it anew with WELKIN_WRITE_DOCS=1");
}

/// The first write of a create, with what EC2 answered to it.
async fn creates_take_the_id_that_ec2_answers() -> String {
    async fn made<K: Managed>(replay: &Replay, change: &Change<K>, id: &str) {
        let Verb::Create { spec, .. } = &change.verb else { panic!() };
        let step = K::driver(&replay.aws).unwrap().create(&replay.cx(), change, spec, &Resume::default()).await.unwrap();
        let Step::Wait { handle: Some(handle), .. } = step else { panic!("{id}") };
        assert!(handle.unpack::<Value>().unwrap().to_string().contains(id), "{id}");
    }
    let creates = [("CreateVpc", "/Vpc/VpcId"), ("CreateSubnet", "/Subnet/SubnetId"), ("RunInstances", "/Instances/0/InstanceId")];
    let model = answers_of(creates.map(|(operation, _)| operation)).unwrap();
    let (replay, mut part) = (Replay::start().await, "\nThe id that a create was answered is the one that it goes on with:".to_owned());
    for (operation, path) in creates {
        let mut recordings = 0;
        for answer in model.answers(operation) {
            replay.answers(operation, 200, &answer.xml);
            let id = text(&answer.answer, path).unwrap();
            match operation {
                "CreateVpc" => made(&replay, &network("n", false), id).await,
                "CreateSubnet" => made(&replay, &subnet("s", "vpc-1"), id).await,
                _ => made(&replay, &instance("i", false), id).await,
            }
            recordings += usize::from(answer.origin() == Origin::Recording);
        }
        part.push_str(&format!(" {recordings} recordings of {operation},"));
    }
    format!("{}.\n", part.trim_end_matches(','))
}
/// By the list, and each row once more by `get`.
async fn rows_are_objects<K: Recorded>(model: &Model) -> String {
    let (replay, mut counts) = (Replay::start().await, Counts::default());
    for answer in model.answers(K::OPERATION) {
        let source = &answer.source;
        replay.answers(K::OPERATION, 200, &answer.xml);
        let rows = rows(&answer.answer, K::ROWS);
        let objects = replay.list(&K::query()).await.unwrap_or_else(|e| panic!("{source}: {e}"));
        // A list of instances leaves terminated ones out by EC2's own filter, which nothing applies here: so they are shown, and none may be lost.
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
        counts.passed(answer, rows.len());
    }
    counts.line(model, K::OPERATION, K::COLLECTION)
}

mod words {
    use super::*;
    test_every_kind!(every_word_means_something);

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

async fn zones_are_what_a_location_has(model: &Model) -> String {
    let (replay, mut counts) = (Replay::start().await, Counts::default());
    for answer in model.answers("DescribeAvailabilityZones") {
        replay.answers("DescribeAvailabilityZones", 200, &answer.xml);
        let rows = rows(&answer.answer, "AvailabilityZones[]");
        let usable = |z: &&&Value| text(z, "/OptInStatus") != Some("not-opted-in") && text(z, "/ZoneType").is_none_or(|t| t == "availability-zone");
        let mut zones: Vec<&str> = rows.iter().filter(usable).filter_map(|z| text(z, "/ZoneName")).collect();
        zones.sort_unstable();
        let found = replay.list(&Query::<Location>::all(1000)).await.unwrap();
        assert_eq!((found.len(), &found[0].status.zones), (1, &zones.iter().map(|z| (*z).to_owned()).collect()), "{}", answer.source);
        counts.passed(answer, rows.len());
    }
    counts.line(model, "DescribeAvailabilityZones", "locations")
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
            "DescribeAddresses" => replay.get(&target::<Address>("eipalloc-0123")).await.unwrap_err(),
            "DescribeVolumes" => replay.get(&Target::named(name.clone())).await.unwrap_err(),
            other => panic!("{other} is not tried"),
        };
        if answer.operation != "DescribeVolumes" {
            // The one thing that means: it is not there.
            assert!(e.is_not_found(), "{}: {e}", answer.source);
        } else {
            assert_eq!(e.vendor().map(|v| v.code.as_str()), Some(code), "{}: {e}", answer.source);
        }
    }
    say(&format!("{} recorded refusals", refusals.len()));
}
