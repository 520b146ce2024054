//! Zones against a small Route 53: what was made with one reference is found by it, networks come and go one by one, and nothing is done before its time.

use crate::{
    cloud::Fault,
    document::elements,
    journal::{World, then, unresolved},
    specification::{Answer, Origin, ask, fixtures, say},
};
use serde_json::Value;
use std::{collections::BTreeSet, ffi::OsString, time::Duration};
use welkin_core::*;

/// A create; with networks it is private.
pub fn zone(id: &str, dns_name: &str, vpcs: &[&str]) -> Change<DnsZone> {
    let spec = DnsZoneSpec { dns_name: Some(dns_name.parse().unwrap()), private: !vpcs.is_empty(), networks: networks(vpcs), ..DnsZoneSpec::default() };
    let name = Name::new(LocationName::of("global").unwrap(), id.parse().unwrap());
    let verb = Verb::Create { spec, digest: "v1-digest".parse().unwrap() };
    Change { target: Target::named(name), uid: format!("uid-of-{id}").parse().unwrap(), token: format!("token-{id}"), expect: None, past: Vec::new(), verb }
}
fn networks(vpcs: &[&str]) -> Vec<Ref<Network>> {
    let name = |id: &str| Name::new(LocationName::of("eu-west-1").unwrap(), id.parse().unwrap());
    vpcs.iter().map(|id| Ref::resolved(name(id), id.parse().unwrap())).collect()
}
fn update(made: &Change<DnsZone>, object: &Object<DnsZone>, paths: &[&'static str], edit: impl FnOnce(&mut DnsZoneSpec)) -> Change<DnsZone> {
    let mut desired = object.spec.clone();
    edit(&mut desired);
    then(made, object.vendor_id.as_str(), Verb::Update { desired, paths: paths.iter().map(|p| FieldPath::from(*p)).collect() })
}
pub fn by_id(id: &str) -> Target<DnsZone> {
    Target::Vendor { parent: LocationName::of("global").unwrap(), vendor_id: id.parse().unwrap() }
}
/// What was recorded of Route 53 and is no error, or None where that cannot be read.
pub fn recorded(operation: &str) -> Option<Vec<Answer>> {
    let found: Vec<Answer> = ask("zones", [fixtures()?.into(), OsString::from(operation)], "")?;
    let found: Vec<Answer> = found.into_iter().filter(|a| a.status < 300).collect();
    say(&format!("{} answers of {operation}: {:?}", found.len(), found.iter().map(|a| &a.source).collect::<Vec<_>>()));
    Some(found)
}

/// Every recorded zone goes through the SDK's parser and our decoder, by the list and by itself, and comes to what it says.
#[tokio::test]
async fn recorded_zones_come_to_what_they_say() {
    let Some(answers) = recorded("ListHostedZones") else { return };
    for answer in &answers {
        let world = World::with(0).await;
        let rows = answer.answer["HostedZones"].as_array().unwrap();
        world.cloud.script(|s| s.route53.told.push(("ListHostedZones", answer.xml.clone())));
        for element in elements(&answer.xml).into_iter().filter(|e| e.path == "HostedZones/HostedZone") {
            let zone = format!("<GetHostedZoneResponse xmlns=\"x\">{}</GetHostedZoneResponse>", &answer.xml[element.whole]);
            world.cloud.script(|s| s.route53.told.push(("GetHostedZone", zone)));
        }
        let objects = listed(&world, &Query::all(100)).await;
        assert_eq!(objects.len(), rows.len(), "{}", answer.source);
        for (object, row) in objects.iter().zip(rows) {
            let text = |path: &str| row.pointer(path).and_then(Value::as_str);
            let said = (text("/Id").unwrap().trim_start_matches("/hostedzone/"), text("/Name").unwrap().trim_end_matches('.'), text("/Config/Comment"));
            let shown = (object.vendor_id.as_str(), object.spec.dns_name.as_ref().unwrap().as_str(), object.spec.description.as_deref());
            assert_eq!(shown, said, "{}", answer.source);
            assert_eq!((object.spec.private, &object.mark), (row.pointer("/Config/PrivateZone") == Some(&Value::Bool(true)), &None), "{}", answer.source);
        }
    }
    assert!(answers.iter().any(|a| a.origin() == Origin::Recording));
}
#[tokio::test]
async fn recorded_tags_are_labels_and_recorded_refusals_are_read() {
    let Some(answers) = recorded("ListTagsForResources") else { return };
    for answer in answers {
        for set in answer.answer["ResourceTagSets"].as_array().unwrap() {
            let id = set["ResourceId"].as_str().unwrap();
            let world = World::with(0).await;
            world.cloud.script(|s| {
                let planted = s.route53.plant("example.com", "theirs");
                s.route53.zone(&planted).id = id.to_owned();
                s.route53.told.push(("ListTagsForResources", answer.xml.clone()));
            });
            let labels: Labels = set["Tags"].as_array().unwrap().iter().map(|t| (t["Key"].as_str().unwrap().into(), t["Value"].as_str().unwrap().into())).collect();
            assert_eq!(world.get(&by_id(id)).await.unwrap().spec.labels, labels, "{}", answer.source);
        }
    }
    let refused: Vec<Answer> = ask("zones", [fixtures().unwrap().into(), OsString::from("DeleteHostedZone")], "").unwrap();
    let mut refusals = 0;
    for answer in refused.iter().filter(|a| a.status >= 400) {
        let world = World::with(100).await;
        let change = zone("z", "example.com", &[]);
        let made = world.run(&change).await.unwrap().object();
        world.cloud.script(|s| s.route53.refused.push((answer.status, answer.xml.clone())));
        let e = world.run(&then(&change, made.vendor_id.as_str(), Verb::Delete)).await.unwrap_err();
        assert_eq!(
            (e.reason(), e.vendor().map(|v| (v.code.as_str(), v.message.as_str()))),
            (Reason::InUse, answer.answer["Code"].as_str().zip(answer.answer["Message"].as_str().map(str::trim)))
        );
        refusals += 1;
    }
    assert_eq!(refusals, 1);
}

/// The whole list.
pub async fn listed(world: &World, query: &Query<DnsZone>) -> Vec<Object<DnsZone>> {
    let reader = DnsZone::reader(&world.aws).unwrap();
    let shard = reader.shards(query).remove(0);
    let (mut all, mut from) = (Vec::new(), None);
    loop {
        let page = reader.list(&world.cx(), query, &shard, from.as_ref()).await.unwrap();
        assert!(page.items.len() <= query.page_size);
        all.extend(page.items);
        from = page.next;
        if from.is_none() {
            return all;
        }
    }
}
fn labelled(n: usize) -> Labels {
    (0..n).map(|i| (format!("k{i}"), format!("v{i}"))).collect()
}
/// The ids of its networks, sorted.
fn vpcs(world: &World) -> Vec<String> {
    let mut all: Vec<String> = world.cloud.script(|s| s.route53.zones[0].vpcs.iter().map(|(_, id)| id.clone()).collect());
    all.sort_unstable();
    all
}

#[tokio::test]
async fn a_zone_is_made_once_its_name_servers_have_learned_it() {
    let world = World::with(5000).await;
    world.cloud.script(|s| s.route53.sync_lag = Duration::from_millis(100));
    let change = zone("z", "example.com", &[]);
    let began = std::time::Instant::now();
    let made = world.run(&change).await.unwrap().object();
    assert!(began.elapsed() >= Duration::from_millis(100) && world.cloud.calls("GetChange ") > 1);
    assert_eq!((world.cloud.calls("CreateHostedZone "), world.cloud.calls("ChangeTagsForResource ")), (1, 1));
    let mark = made.mark.clone().unwrap();
    assert_eq!((made.name.to_string().as_str(), &mark.uid, mark.digest.unwrap().as_str()), ("locations/global/dnsZones/z", &change.uid, "v1-digest"));
    assert_eq!(made.status.name_servers.iter().map(DnsName::as_str).collect::<Vec<_>>(), ["ns-1.awsdns-00.com", "ns-2.awsdns-00.net"]);
    assert_eq!(made.provider_id.to_string(), format!("aws:///global/{}", made.vendor_id));
    // By its name as the store knows it, by its name alone, and by the vendor's id.
    for target in [then(&change, made.vendor_id.as_str(), Verb::Delete).target, change.target.clone(), by_id(made.vendor_id.as_str())] {
        assert_eq!(world.get(&target).await.unwrap(), made);
    }
}
#[tokio::test]
async fn a_private_zone_gets_its_networks_one_by_one() {
    let world = World::with(5000).await;
    let change = zone("z", "example.com", &["vpc-a", "vpc-b", "vpc-c"]);
    let made = world.run(&change).await.unwrap().object();
    assert_eq!((vpcs(&world), world.cloud.calls("AssociateVPCWithHostedZone ")), (vec!["vpc-a".into(), "vpc-b".into(), "vpc-c".into()], 2));
    assert!(made.spec.private && made.status.name_servers.is_empty());
    // All at once to others: the last is never taken away before the first new one is there.
    let moved = world.run(&update(&change, &made, &["networks"], |s| s.networks = networks(&["vpc-d", "vpc-c"]))).await.unwrap().object();
    assert_eq!((vpcs(&world), moved.spec.networks), (vec!["vpc-c".into(), "vpc-d".into()], networks(&["vpc-d", "vpc-c"])));
    assert_eq!(world.cloud.calls("DisassociateVPCFromHostedZone "), 2);
    // What is so already is not written.
    let writes = world.cloud.calls("associatevpc");
    world.run(&update(&change, &made, &["networks"], |s| s.networks = networks(&["vpc-c", "vpc-d"]))).await.unwrap();
    assert_eq!(world.cloud.calls("associatevpc"), writes);
}
#[tokio::test]
async fn a_lost_reply_is_found_by_its_reference() {
    for fault in [Fault::Lost, Fault::Cut, Fault::Broken, Fault::Garbled] {
        let world = World::with(400).await;
        world.cloud.script(|s| s.read_lag = Duration::from_millis(100));
        world.cloud.fault("CreateHostedZone", fault, 1);
        let made = world.run(&zone("z", "example.com", &["vpc-a", "vpc-b"])).await.unwrap().object();
        assert_eq!((world.cloud.calls("CreateHostedZone "), world.cloud.script(|s| s.route53.zones.len())), (1, 1), "{fault:?}");
        assert_eq!((vpcs(&world).len(), made.mark.unwrap().uid.as_str()), (2, "uid-of-z"), "{fault:?}");
    }
}
/// Where reads lag longer than we believe, the reference itself keeps a second zone from being made.
#[tokio::test]
async fn a_second_create_is_refused_by_its_reference_and_looked_for() {
    let world = World::with(150).await;
    world.cloud.script(|s| s.read_lag = Duration::from_millis(250));
    world.cloud.fault("CreateHostedZone", Fault::Lost, 1);
    world.run(&zone("z", "example.com", &[])).await.unwrap();
    assert_eq!((world.cloud.calls("CreateHostedZone "), world.cloud.script(|s| s.route53.zones.len())), (2, 1));
}
/// Without its handle after every write: nothing is made twice, and what a read does not show yet is not written again.
#[tokio::test]
async fn a_forgotten_association_is_no_conflict() {
    let world = World::with(5000).await;
    let change = zone("z", "example.com", &["vpc-a", "vpc-b"]);
    let made = world.run(&change).await.unwrap().object();
    let more = update(&change, &made, &["networks"], |s| s.networks = networks(&["vpc-a", "vpc-b", "vpc-c"]));
    world.cloud.fault("AssociateVPCWithHostedZone", Fault::Lost, 1);
    world.run(&more).await.unwrap();
    assert_eq!((vpcs(&world).len(), world.cloud.calls("AssociateVPCWithHostedZone ")), (3, 2));
    world.cloud.fault("AssociateVPCWithHostedZone", Fault::Refuse("ConflictingDomainExists", 400), 1);
    let again = update(&change, &made, &["networks"], |s| s.networks = networks(&["vpc-a", "vpc-d"]));
    world.run_from(&again, unresolved()).await.unwrap();
    assert_eq!(vpcs(&world), ["vpc-a", "vpc-d"]);
}
#[tokio::test]
async fn a_refused_network_is_named_and_nothing_is_left() {
    let world = World::with(100).await;
    world.run(&zone("a", "example.com", &["vpc-b"])).await.unwrap();
    // At the creation, and when the zone is there already and carries no tags.
    for vpcs in [&["vpc-b"][..], &["vpc-c", "vpc-b"]] {
        let e = world.run_and_clean(&zone("z", "example.com", vpcs)).await;
        assert_eq!((e.reason(), e.violations()[0].field.as_str()), (Reason::InUse, "networks"), "{e}");
        assert_eq!(world.cloud.script(|s| s.route53.zones.len()), 1);
    }
    world.cloud.fault("CreateHostedZone", Fault::Refuse("InvalidVPCId", 400), 50);
    let e = world.run_and_clean(&zone("z", "other.example", &["vpc-x"])).await;
    assert_eq!((e.reason(), e.violations()[0].field.as_str()), (Reason::ReferenceNotFound, "networks"));
}
/// Before its tags are written only its reference says whose it is.
#[tokio::test]
async fn what_has_no_tags_yet_is_removed_by_its_reference() {
    let world = World::with(100).await;
    let change = zone("z", "example.com", &[]);
    world.cloud.fault("ChangeTagsForResource", Fault::Refuse("InvalidInput", 400), 1);
    let e = world.run_and_clean(&change).await;
    assert_eq!((e.reason(), world.cloud.script(|s| s.route53.zones.len())), (Reason::InvalidField, 0));
    // The same by whoever has lost everything but the uid.
    world.cloud.script(|s| s.route53.plant("example.com", "welkin:me:uid-of-z"));
    world.run_from(&Change { verb: Verb::Delete, ..change }, unresolved()).await.unwrap();
    assert_eq!(world.cloud.script(|s| s.route53.zones.len()), 0);
}
#[tokio::test]
async fn a_zone_with_records_stays() {
    let world = World::with(100).await;
    let change = zone("z", "example.com", &[]);
    let made = world.run(&change).await.unwrap().object();
    let id = made.vendor_id.as_str();
    let delete = then(&change, id, Verb::Delete);
    world.cloud.script(|s| s.route53.zone(id).records = 3);
    assert_eq!(world.check(&delete).await.unwrap_err().reason(), Reason::InUse);
    assert_eq!(world.run(&delete).await.unwrap_err().reason(), Reason::InUse);
    assert_eq!(world.cloud.calls("DeleteHostedZone "), 0);
    world.cloud.script(|s| s.route53.zone(id).records = 2);
    // One that came between the read and the delete.
    world.cloud.fault("DeleteHostedZone", Fault::Refuse("HostedZoneNotEmpty", 400), 1);
    assert_eq!(world.run(&delete).await.unwrap_err().reason(), Reason::InUse);
    world.check(&delete).await.unwrap();
    world.cloud.fault("DeleteHostedZone", Fault::Lost, 1);
    world.run(&delete).await.unwrap();
    assert!(world.get(&delete.target).await.unwrap_err().is_not_found());
    // What somebody else has removed is gone once that is certain.
    world.run(&delete).await.unwrap();
}
#[tokio::test]
async fn what_is_not_ours_is_not_changed() {
    let world = World::with(100).await;
    let theirs = world.cloud.script(|s| s.route53.plant("example.com", "terraform-1"));
    let service = world.cloud.script(|s| s.route53.plant("local", "cloudmap-1"));
    world.cloud.script(|s| s.route53.zone(&service).service = Some("servicediscovery.amazonaws.com".into()));
    let others = world.cloud.script(|s| s.route53.plant("example.net", "welkin:you:uid-of-z"));
    let made = zone("z", "example.org", &[]);
    for id in [&theirs, &service, &others] {
        let object = world.get(&by_id(id)).await.unwrap();
        assert_eq!((object.mark.as_ref(), object.name.id.decoded().as_str()), (None, id.as_str()));
        for verb in [update(&made, &object, &["description"], |s| s.description = Some("x".into())).verb, Verb::Delete] {
            let change = then(&made, id, verb);
            assert_eq!(world.check(&change).await.unwrap_err().reason(), Reason::NotOwned, "{id}");
            assert_eq!(world.run(&change).await.unwrap_err().reason(), Reason::NotOwned, "{id}");
        }
    }
    // Adopted: only what neither a service nor another Welkin has made.
    for (id, can) in [(&theirs, true), (&service, false), (&others, false)] {
        let verb = Verb::Update { desired: world.get(&by_id(id)).await.unwrap().spec, paths: BTreeSet::new() };
        let adopted = Change { target: by_id(id), verb, ..made.clone() };
        assert_eq!(world.check(&adopted).await.map_err(|e| e.reason()), if can { Ok(()) } else { Err(Reason::NotOwned) }, "{id}");
    }
    let object = world.get(&by_id(&theirs)).await.unwrap();
    let Change { verb, .. } = update(&made, &object, &["labels", "description"], |s| (s.labels, s.description) = (labelled(10), Some("ours".into())));
    let changed = world.run(&Change { target: by_id(&theirs), verb, ..made.clone() }).await.unwrap().object();
    assert_eq!((changed.spec.labels, changed.mark), (labelled(10), None));
    assert_eq!(world.cloud.script(|s| s.route53.zone(&theirs).tags.clone()), labelled(10));
}
#[tokio::test]
async fn labels_and_comment_are_replaced_within_ten_tags() {
    let world = World::with(100).await;
    let change = zone("z", "example.com", &[]);
    let Verb::Create { spec, .. } = &change.verb else { panic!() };
    let with = |n| Change {
        verb: Verb::Create { spec: DnsZoneSpec { labels: labelled(n), description: Some("a".into()), ..spec.clone() }, digest: "v1-d".parse().unwrap() },
        ..change.clone()
    };
    let e = world.check(&with(9)).await.unwrap_err();
    assert_eq!((e.kind(), e.violations()[0].field.as_str()), (ErrorKind::InvalidArgument, "labels"));
    let made = world.run(&with(8)).await.unwrap().object();
    assert_eq!((&made.spec.labels, made.spec.description.as_deref()), (&labelled(8), Some("a")));
    let other: Labels = (0..8).map(|i| (format!("Name{i}"), "z".into())).collect();
    let next = update(&change, &made, &["labels", "description"], |s| (s.labels, s.description) = (other.clone(), None));
    let after = world.run(&next).await.unwrap().object();
    assert_eq!((&after.spec.labels, &after.spec.description), (&other, &None));
    let read = world.get(&next.target).await.unwrap();
    assert_eq!((read.spec, read.mark), (after.spec, made.mark.clone()));
    let e = world.check(&update(&change, &made, &["labels"], |s| s.labels = labelled(9))).await.unwrap_err();
    assert_eq!(e.violations()[0].field, "labels");
}
#[tokio::test]
async fn a_list_shows_every_zone_once() {
    let world = World::with(100).await;
    world.cloud.script(|s| {
        for n in 0..23 {
            let id = s.route53.plant(&format!("z{n}.example"), if n % 3 == 0 { "theirs" } else { "others" });
            if n % 5 == 0 {
                s.route53.zone(&id).reference = format!("welkin:me:uid-of-z{n}");
                s.route53.zone(&id).tags.insert("welkin.dev/id".into(), format!("z{n}"));
            }
        }
    });
    for (size, page) in [(1, 0), (7, 0), (100, 0), (100, 3)] {
        world.cloud.script(|s| s.page = page);
        let mut names: Vec<String> = listed(&world, &Query::all(size)).await.iter().map(|z| z.spec.dns_name.as_ref().unwrap().to_string()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 23, "{size}");
        let ours = listed(&world, &Query { owned_only: true, ..Query::all(size) }).await;
        assert_eq!(ours.iter().map(|z| z.name.id.to_string()).collect::<Vec<_>>(), ["z0", "z5", "z10", "z15", "z20"], "{size}");
    }
    let two = Query { vendor_ids: ["Z00000003", "Z00000009", "Z99"].map(|id| id.parse().unwrap()).to_vec(), ..Query::all(10) };
    assert_eq!(listed(&world, &two).await.len(), 2);
    // By name alone, which only its tags tell.
    assert_eq!(world.get(&zone("z10", "z10.example", &[]).target).await.unwrap().vendor_id.as_str(), "Z00000011");
    assert!(world.get(&zone("z11", "z11.example", &[]).target).await.unwrap_err().is_not_found());
    // Nothing lies in a region.
    let region = Query::<DnsZone>::below(LocationName::of("eu-west-1").unwrap(), 10);
    assert!(listed(&world, &region).await.is_empty());
}
#[tokio::test]
async fn a_zone_lies_nowhere_else() {
    let world = World::with(100).await;
    let there = |location: &str| Target::<DnsZone>::named(Name::new(LocationName::of(location).unwrap(), "z".parse().unwrap()));
    assert!(world.get(&there("eu-west-1")).await.unwrap_err().is_not_found());
    assert_eq!(world.get(&there("us-east-1")).await.unwrap_err().reason(), Reason::LocationUnknown);
    let e = world.check(&Change { target: there("eu-west-1"), ..zone("z", "example.com", &[]) }).await.unwrap_err();
    assert_eq!((e.kind(), e.violations()[0].field.as_str()), (ErrorKind::InvalidArgument, "parent"));
}
#[tokio::test]
async fn haste_is_refused_and_tried_again() {
    let world = World::with(5000).await;
    for (action, code) in [
        ("CreateHostedZone", "Throttling: Rate exceeded"),
        ("GetHostedZone", "Throttling"),
        ("ListTagsForResources", "ThrottlingException"),
        ("ChangeTagsForResource", "PriorRequestNotComplete"),
    ] {
        world.cloud.fault(action, Fault::Refuse(code, 400), 1);
    }
    world.run(&zone("z", "example.com", &["vpc-a"])).await.unwrap();
    assert_eq!((world.cloud.calls("CreateHostedZone "), world.cloud.script(|s| s.faults.len())), (2, 0));
    for (fault, reason) in [(Fault::Cut, Reason::CloudAnswer), (Fault::Bare(503), Reason::CloudUnavailable), (Fault::Refuse("AccessDenied", 403), Reason::CloudPermission)] {
        world.cloud.fault("ListHostedZones", fault, 1);
        let e = world.get(&zone("y", "example.com", &[]).target).await.unwrap_err();
        assert_eq!((e.reason(), e.effect()), (reason, Effect::None), "{fault:?}: {e}");
    }
}
