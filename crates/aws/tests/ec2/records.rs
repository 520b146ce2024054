//! Record sets against a small Route 53: every change is made against exactly what was there, and what nobody can say is shown and left.

use crate::{
    cloud::Fault,
    document::elements,
    journal::{World, unresolved},
    specification::{Origin, say},
    zones::recorded,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};
use welkin_core::*;

pub const ZONE: &str = "example.com";

pub fn zone_name(zone: &str) -> Name<DnsZone> {
    Name::new(LocationName::of("global").unwrap(), ResourceId::of_vendor(zone).unwrap())
}
pub fn target(zone: &str, id: &str) -> Target<RecordSet> {
    Target::named(Name::new(zone_name(zone), id.parse().unwrap()))
}
/// A create, as an engine hands it on.
pub fn record(zone: &str, id: &str, mut spec: RecordSetSpec) -> Change<RecordSet> {
    assert_eq!(RecordSet::canonical(&id.parse().unwrap(), &mut spec), []);
    let verb = Verb::Create { spec, digest: "v1-digest".parse().unwrap() };
    Change { target: target(zone, id), uid: "uid-of-r".parse().unwrap(), token: "token-r".into(), expect: None, past: Vec::new(), verb }
}
/// A change of what was read.
pub fn next(object: &Object<RecordSet>, verb: Verb<RecordSet>) -> Change<RecordSet> {
    let of = record(&object.name.parent.id.decoded(), &object.name.id.to_string(), object.spec.clone());
    Change { expect: object.revision.clone(), verb, ..of }
}
pub fn to(object: &Object<RecordSet>, desired: RecordSetSpec) -> Change<RecordSet> {
    next(object, Verb::Update { desired: spec_of(&object.name.id.to_string(), desired), paths: [FieldPath::from("values")].into() })
}
pub fn spec_of(id: &str, spec: RecordSetSpec) -> RecordSetSpec {
    match record("Z", id, spec).verb {
        Verb::Create { spec, .. } => spec,
        other => panic!("{other:?}"),
    }
}
pub fn values(all: &[&str]) -> RecordSetSpec {
    RecordSetSpec { values: all.iter().map(|v| (*v).to_owned()).collect(), ..RecordSetSpec::default() }
}
/// Three items of a policy, with everything that it knows.
pub fn routed(routing: Routing) -> RecordSetSpec {
    let item = |n: u8| {
        let mut item = RecordItem { id: format!("item {n} & <more>"), values: vec![format!("192.0.2.{n}")], health_check: Some(format!("check-{n}")), ..RecordItem::default() };
        match routing {
            Routing::Weighted => item.weight = Some(u32::from(n) * 100),
            Routing::NearestRegion => item.region = Some(["eu-west-1", "us-east-1"][usize::from(n)].into()),
            Routing::Country => item.country = Some(["*", "DE"][usize::from(n)].into()),
            Routing::Failover => item.failover = [FailoverRole::Primary, FailoverRole::Secondary][usize::from(n)],
            _ => {}
        }
        item
    };
    RecordSetSpec { ttl_s: Some(30), routing, items: (0..2).map(item).collect(), ..RecordSetSpec::default() }
}
pub const POLICIES: [Routing; 5] = [Routing::Weighted, Routing::NearestRegion, Routing::Country, Routing::Failover, Routing::Multivalue];

pub async fn world(horizon_ms: u64) -> (World, String) {
    let world = World::with(horizon_ms).await;
    let zone = world.cloud.script(|s| s.route53.plant(ZONE, "theirs"));
    (world, zone)
}
/// The same where everything answers, however busy the machine is.
pub const PATIENCE_S: f64 = 4.0;
pub async fn patient() -> (World, String) {
    let world = World::within(100, PATIENCE_S).await;
    let zone = world.cloud.script(|s| s.route53.plant(ZONE, "theirs"));
    (world, zone)
}
pub fn writes(world: &World) -> usize {
    world.cloud.calls("ChangeResourceRecordSets ")
}
pub fn sets(world: &World, name: &str) -> Vec<String> {
    world.cloud.script(|s| s.route53.zones[0].sets.iter().filter(|set| set.name == name).map(|set| set.rest.clone()).collect())
}
fn simple(value: &str) -> String {
    format!("<TTL>300</TTL><ResourceRecords><ResourceRecord><Value>{value}</Value></ResourceRecord></ResourceRecords>")
}
pub fn planted(name: &str, of: &str, rest: &str) -> String {
    format!("<Name>{name}</Name><Type>{of}</Type>{rest}")
}
pub async fn listed(world: &World, query: &Query<RecordSet>) -> Vec<Object<RecordSet>> {
    let reader = RecordSet::reader(&world.aws).unwrap();
    let shard = reader.shards(query).remove(0);
    let (mut all, mut from) = (Vec::new(), None);
    loop {
        let page = reader.list(&world.cx(), query, &shard, from.as_ref()).await.unwrap();
        all.extend(page.items);
        from = page.next;
        if from.is_none() {
            return all;
        }
    }
}

#[tokio::test]
async fn every_type_and_policy_is_shown_as_it_was_asked_for() {
    let (world, zone) = world(5000).await;
    world.cloud.script(|s| s.route53.sync_lag = Duration::from_millis(50));
    let long = "x".repeat(700);
    let mut all = vec![
        ("example.com~A", values(&["192.0.2.2", "192.0.2.1"])),
        ("*.example.com~CNAME", values(&["Elsewhere.example."])),
        ("example.com~TXT", values(&["v=spf1 -all", &long, r#"a "quoted" & <text>"#])),
        ("example.com~MX", values(&["10 mail.example.com", "0 ."])),
        ("example.com~CAA", values(&["0 issue \"ca.example.net\""])),
        ("six.example.com~AAAA", values(&["2001:db8::1"])),
        ("_sip._tcp.example.com~SRV", values(&["10 60 5060 sip.example.com"])),
        ("below.example.com~NS", values(&["ns1.example.com", "ns2.example.com"])),
        ("xn--bcher-kva.example.com~PTR", values(&["host.example.com"])),
        ("phone.example.com~NAPTR", values(&[r#"100 50 "u" "E2U+sip" "!^.*$!sip:info@example.com!" ."#])),
    ];
    let names: Vec<String> = POLICIES.iter().map(|p| format!("{}.example.com~A", p.as_str().to_lowercase().replace('_', "-"))).collect();
    all.extend(names.iter().map(String::as_str).zip(POLICIES.map(routed)));
    for (id, spec) in all {
        let create = record(&zone, id, spec);
        let began = std::time::Instant::now();
        let made = world.run(&create).await.unwrap().object();
        assert!(began.elapsed() >= Duration::from_millis(50), "{id} was done before the name servers knew it");
        let Verb::Create { spec, .. } = &create.verb else { panic!() };
        assert_eq!((&made.spec, &world.get(&create.target).await.unwrap()), (spec, &made), "{id}");
        assert_eq!(made.provider_id.to_string(), format!("aws:///global/{zone}/{}", made.vendor_id));
        let changed = world.run(&to(&made, RecordSetSpec { ttl_s: Some(61), ..made.spec.clone() })).await.unwrap().object();
        assert_eq!(changed.spec, RecordSetSpec { ttl_s: Some(61), ..made.spec.clone() });
        world.run(&next(&changed, Verb::Delete)).await.unwrap();
        assert!(world.get(&create.target).await.unwrap_err().is_not_found(), "{id}");
    }
    assert_eq!(world.cloud.script(|s| s.route53.zones[0].sets.len()), 2, "SOA and NS");
    assert_eq!(world.cloud.calls("GetHostedZone "), 1, "a zone's name never changes");
}
/// Each write is refused where it comes second, so one of unknown fate is sent again at once, and is done once.
#[tokio::test]
async fn a_lost_reply_costs_no_waiting() {
    for fault in [Fault::Lost, Fault::Cut, Fault::Broken, Fault::Garbled, Fault::Bare(503)] {
        let (world, zone) = world(60_000).await;
        let lose = || world.cloud.fault("ChangeResourceRecordSets", fault, 1);
        lose();
        let made = world.run(&record(&zone, "www.example.com~A", values(&["192.0.2.1"]))).await.unwrap().object();
        lose();
        let changed = world.run(&to(&made, values(&["192.0.2.2"]))).await.unwrap().object();
        assert_eq!(sets(&world, "www.example.com."), [simple("192.0.2.2")], "{fault:?}");
        lose();
        world.run(&next(&changed, Verb::Delete)).await.unwrap();
        assert_eq!(sets(&world, "www.example.com."), [""; 0], "{fault:?}");
        assert!(writes(&world) <= 6);
    }
}
#[tokio::test]
async fn somebody_elses_records_are_neither_taken_nor_changed_nor_removed() {
    let (world, zone) = world(100).await;
    let plant = |value: &str| world.cloud.script(|s| s.route53.plant_set(&zone, &planted("www.example.com", "A", &simple(value))));
    plant("192.0.2.77");
    for value in ["192.0.2.1", "192.0.2.77"] {
        let create = record(&zone, "www.example.com~A", values(&[value]));
        for e in [world.check(&create).await.unwrap_err(), world.run_and_clean(&create).await] {
            assert_eq!((e.reason(), e.violations()[0].field.as_str()), (Reason::NotOwned, "record_set_id"));
        }
    }
    assert_eq!((writes(&world), sets(&world, "www.example.com.").len()), (0, 1));
    // Changed since it was read: found by our own look, and by Route 53 itself.
    let object = world.get(&target(&zone, "www.example.com~A")).await.unwrap();
    world.cloud.script(|s| s.route53.zones[0].sets.retain(|set| set.name != "www.example.com."));
    plant("192.0.2.78");
    for change in [to(&object, values(&["192.0.2.1"])), next(&object, Verb::Delete)] {
        assert_eq!(world.check(&change).await.unwrap_err().reason(), Reason::EtagMismatch);
        assert_eq!(world.run(&change).await.unwrap_err().reason(), Reason::EtagMismatch);
    }
    assert_eq!((writes(&world), sets(&world, "www.example.com.")), (0, vec![simple("192.0.2.78")]));
    for (said, reason) in [
        ("Tried to delete resource record set [name='a.', type='A'] but the values provided do not match the current values", Reason::EtagMismatch),
        ("Tried to create resource record set [name='a.', type='A'] but it already exists", Reason::NotOwned),
        ("RRSet of type CNAME with DNS name a. is not permitted as it conflicts with other records with the same DNS name in zone b.", Reason::InUse),
        ("RRSet with DNS name a. is not permitted in zone b.", Reason::InvalidField),
    ] {
        world.cloud.script(|s| s.route53.unchanged.push(said.to_owned()));
        let e = world.run(&record(&zone, "new.example.com~A", values(&["192.0.2.1"]))).await.unwrap_err();
        assert_eq!((e.reason(), e.vendor().map(|v| (v.code.as_str(), v.message.as_str()))), (reason, Some(("InvalidChangeBatch", said))));
    }
    // A create of which nothing is known removes nothing that says something else.
    let lost = Change {
        verb: Verb::Delete,
        expect: RecordSet::version(&spec_of("www.example.com~A", values(&["192.0.2.1"]))),
        ..record(&zone, "www.example.com~A", values(&["192.0.2.1"]))
    };
    world.run_from(&lost, Resume { cleans_up: true, ..unresolved() }).await.unwrap();
    assert_eq!(sets(&world, "www.example.com."), [simple("192.0.2.78")]);
}
#[tokio::test]
async fn places_are_judged_before_any_write() {
    let (world, zone) = world(100).await;
    for (name, of, value) in [("six", "AAAA", "2001:db8::1"), ("text", "TXT", "\"x\""), ("below", "NS", "ns.example.")] {
        world.cloud.script(|s| s.route53.plant_set(&zone, &planted(&format!("{name}.example.com"), of, &simple(value))));
    }
    for (id, value, reason) in [
        ("example.com~CNAME", "host.example", Reason::InvalidField),
        ("example.com~NS", "ns.example", Reason::InvalidField),
        ("www.elsewhere.example~A", "192.0.2.1", Reason::InvalidField),
        ("six.example.com~CNAME", "host.example", Reason::InUse),
        ("text.example.com~NS", "ns.example", Reason::InUse),
        ("below.example.com~TXT", "x", Reason::InUse),
    ] {
        let create = record(&zone, id, values(&[value]));
        for e in [world.check(&create).await.unwrap_err(), world.run(&create).await.unwrap_err()] {
            assert_eq!((e.reason(), e.violations()[0].field.as_str()), (reason, "record_set_id"), "{id}");
        }
    }
    let e = world.run(&record("Z404", "a.example.com~A", values(&["192.0.2.1"]))).await.unwrap_err();
    assert_eq!((e.reason(), e.violations()[0].field.as_str(), writes(&world)), (Reason::ReferenceNotFound, "parent", 0));
    assert!(world.get(&target("Z404", "a.example.com~A")).await.unwrap_err().is_not_found());
}
/// However Route 53 spells it: a DELETE says exactly what is there, and by itself it is the same.
#[tokio::test]
async fn a_delete_says_what_is_there_in_its_own_spelling() {
    let (world, zone) = world(100).await;
    let spelled = |name: &str, n: u8| {
        let records = format!("<ResourceRecord><Value>10 Mail{n}.Example.COM.</Value></ResourceRecord><ResourceRecord><Value>5  b.example.com</Value></ResourceRecord>");
        world.cloud.script(|s| s.route53.plant_set(&zone, &planted(name, "MX", &format!("<TTL>60</TTL><ResourceRecords>{records}</ResourceRecords>"))));
    };
    spelled("a.example.com", 1);
    spelled(r"\052.example.com", 2);
    let object = world.get(&target(&zone, "a.example.com~MX")).await.unwrap();
    assert_eq!(object.spec, spec_of("a.example.com~MX", RecordSetSpec { ttl_s: Some(60), ..values(&["10 mail1.example.com", "5 b.example.com"]) }));
    world.run(&to(&object, values(&["1 c.example.com"]))).await.unwrap();
    assert_eq!(sets(&world, "a.example.com."), [simple("1 c.example.com")]);
    assert_eq!(listed(&world, &Query::below(zone_name(&zone), 10)).await.iter().map(|o| o.name.id.to_string()).collect::<Vec<_>>(), ["%2A.example.com~MX", "a.example.com~MX"]);
    // The same in a batch, through its handle.
    spelled("b.example.com", 3);
    change(&world, &zone, ChangeMode::Atomic, &[("b.example.com~MX", Some(values(&["1 c.example.com"])))], true).await.unwrap();
    assert_eq!(sets(&world, "b.example.com."), [simple("1 c.example.com")]);
}
#[tokio::test]
async fn what_cannot_be_said_is_shown_and_left() {
    let (world, zone) = world(100).await;
    let target_of = "<AliasTarget><HostedZoneId>Z2</HostedZoneId><DNSName>lb.example.</DNSName><EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>";
    let routed = |identifier: &str, place: &str, ttl: u32| format!("<SetIdentifier>{identifier}</SetIdentifier>{place}{}", simple("192.0.2.1").replace("300", &ttl.to_string()));
    let all: [(&str, Vec<String>); 7] = [
        ("alias", vec![target_of.to_owned()]),
        ("weighted-alias", vec![format!("<SetIdentifier>a</SetIdentifier><Weight>1</Weight>{target_of}")]),
        ("policy", vec![format!("{}<TrafficPolicyInstanceId>t-1</TrafficPolicyInstanceId>", simple("192.0.2.1"))]),
        ("continent", vec![routed("a", "<GeoLocation><ContinentCode>EU</ContinentCode></GeoLocation>", 300)]),
        ("state", vec![routed("a", "<GeoLocation><CountryCode>US</CountryCode><SubdivisionCode>CA</SubdivisionCode></GeoLocation>", 300)]),
        ("ttls", vec![routed("a", "<Weight>1</Weight>", 300), routed("b", "<Weight>1</Weight>", 60)]),
        ("checked", vec![format!("{}<HealthCheckId>h-1</HealthCheckId>", simple("192.0.2.1"))]),
    ];
    for (label, items) in &all {
        let (name, id) = (format!("{label}.example.com"), format!("{label}.example.com~A"));
        world.cloud.script(|s| items.iter().for_each(|rest| s.route53.plant_set(&zone, &planted(&name, "A", rest))));
        let object = world.get(&target(&zone, &id)).await.unwrap();
        for change in [to(&object, values(&["192.0.2.9"])), next(&object, Verb::Delete)] {
            for e in [world.check(&change).await.unwrap_err(), world.run(&change).await.unwrap_err()] {
                assert_eq!(e.reason(), Reason::WrongState, "{label}: {e}");
            }
        }
        let e = change(&world, &zone, ChangeMode::Atomic, &[(&id, Some(values(&["192.0.2.9"])))], true).await.unwrap_err();
        assert_eq!(e.reason(), Reason::NotOwned, "{label}: {e}");
    }
    assert_eq!((listed(&world, &Query::all(100)).await.len(), writes(&world)), (all.len(), 0));
}
#[tokio::test]
async fn a_list_never_cuts_a_policy() {
    let (world, zone) = world(100).await;
    world.cloud.script(|s| {
        for n in 0..12 {
            for item in 0..=n % 4 {
                let identifier = if n % 4 == 0 { String::new() } else { format!("<SetIdentifier>i{item}</SetIdentifier><Weight>1</Weight>") };
                s.route53.plant_set(&zone, &planted(&format!("r{n}.example.com"), "A", &format!("{identifier}{}", simple("192.0.2.1"))));
            }
        }
        let other = s.route53.plant("example.org", "theirs");
        s.route53.plant("empty.example", "theirs");
        s.route53.plant_set(&other, &planted("www.example.org", "A", &simple("192.0.2.1")));
    });
    for (size, page) in [(1, 0), (2, 0), (5, 0), (100, 0), (100, 3)] {
        world.cloud.script(|s| s.page = page);
        let of_zone = listed(&world, &Query::below(zone_name(&zone), size)).await;
        let names: BTreeSet<_> = of_zone.iter().map(|o| o.name.id.to_string()).collect();
        assert_eq!((of_zone.len(), names.len()), (12, 12), "{size} {page}");
        for object in &of_zone {
            let n: usize = object.name.id.name.as_str()[1..].split('.').next().unwrap().parse().unwrap();
            assert_eq!(object.spec.items.len(), if n.is_multiple_of(4) { 0 } else { n % 4 + 1 }, "{size} {page} {}", object.name);
        }
        let all = listed(&world, &Query::all(size)).await;
        assert_eq!((all.len(), all.iter().filter(|o| o.name.parent == zone_name(&zone)).count()), (13, 12), "{size} {page}");
    }
    assert_eq!(listed(&world, &Query { vendor_ids: vec!["r4.example.com~A".parse().unwrap()], ..Query::below(zone_name(&zone), 10) }).await.len(), 1);
    let e = RecordSet::reader(&world.aws).unwrap().list(&world.cx(), &Query::all(1), &Shard("global".into()), Some(&Cursor("{\"x\":1}".into()))).await.unwrap_err();
    assert_eq!(e.reason(), Reason::InvalidPageToken);
}

/// What a batch comes to. `ours`: whether the engine knows what is there as ours.
pub async fn change(world: &World, zone: &str, mode: ChangeMode, wanted: &[(&str, Option<RecordSetSpec>)], ours: bool) -> Result<()> {
    world.run(&batch(zone, mode, wanted, ours)).await.map(drop)
}
pub fn batch(zone: &str, mode: ChangeMode, wanted: &[(&str, Option<RecordSetSpec>)], ours: bool) -> Change<DnsZone> {
    let of = |(id, spec): &(&str, Option<RecordSetSpec>)| RecordChange { id: id.parse().unwrap(), desired: spec.clone(), owned: ours };
    let mut changes = RecordChanges { mode, changes: wanted.iter().map(of).collect(), deletes: None, most_deleted_percent: 100 };
    assert_eq!(changes.canonical(), []);
    let verb = Verb::Act(DnsZoneAction::ChangeRecords(changes));
    // The zone was adopted.
    let target = Target::Vendor { parent: LocationName::of("global").unwrap(), vendor_id: zone.parse().unwrap() };
    Change { target, uid: "uid-of-z".parse().unwrap(), token: "token-z".into(), expect: None, past: Vec::new(), verb }
}
fn numbered(count: usize, value: &str) -> Vec<(String, Option<RecordSetSpec>)> {
    (0..count).map(|n| (format!("r{n}.example.com~A"), Some(values(&[value])))).collect()
}
fn borrowed(all: &[(String, Option<RecordSetSpec>)]) -> Vec<(&str, Option<RecordSetSpec>)> {
    all.iter().map(|(id, spec)| (id.as_str(), spec.clone())).collect()
}

#[tokio::test]
async fn a_thousand_records_are_one_change() {
    let (world, zone) = patient().await;
    let (first, second) = (numbered(1000, "192.0.2.1"), numbered(1000, "192.0.2.2"));
    change(&world, &zone, ChangeMode::Atomic, &borrowed(&first), false).await.unwrap();
    let new = writes(&world);
    // Is the zone ours, what is there, the change, and whether the name servers know it.
    let calls = ["", "GetHostedZone ", "ListTagsForResources ", "ListResourceRecordSets ", "GetChange "].map(|action| world.cloud.calls(action));
    assert_eq!(calls, [5, 1, 1, 1, 1]);
    change(&world, &zone, ChangeMode::BestEffort, &borrowed(&first), true).await.unwrap();
    let same = writes(&world) - new;
    change(&world, &zone, ChangeMode::BestEffort, &borrowed(&second), true).await.unwrap();
    let replaced = writes(&world) - new - same;
    say(&format!("1,000 new records are {new} change of Route 53, 1,000 replaced ones {replaced}, the same again {same}"));
    assert_eq!((new, same, replaced), (1, 0, 2));
    assert_eq!(world.cloud.script(|s| s.route53.zones[0].sets.iter().filter(|set| set.rest == simple("192.0.2.2")).count()), 1000);
    let e = change(&world, &zone, ChangeMode::Atomic, &borrowed(&first), true).await.unwrap_err();
    assert_eq!((e.violations()[0].field.as_str(), writes(&world)), ("changes", new + replaced), "more than one change is not all or nothing");
}
/// Texts of this many characters as they are sent, one for each name.
fn texts(count: usize, length: usize) -> Vec<(String, Option<RecordSetSpec>)> {
    // Strings of 255 octets each are written in quotation marks, with a space between.
    let octets = (1..length).find(|n| n + 3 * n.div_ceil(255) - 1 == length).unwrap();
    (0..count).map(|n| (format!("t{n}.example.com~TXT"), Some(values(&[&"x".repeat(octets)])))).collect()
}
/// The small Route 53 refuses whatever goes beyond 1,000 values and 32,000 characters in one change.
#[tokio::test]
async fn changes_are_packed_to_the_last_character() {
    for (count, length, changes) in [(1000, 32, 1), (1000, 320, 10), (8, 4000, 1), (9, 4000, 2)] {
        let (world, zone) = patient().await;
        let all = texts(count, length);
        let mode = if changes == 1 { ChangeMode::Atomic } else { ChangeMode::BestEffort };
        change(&world, &zone, mode, &borrowed(&all), false).await.unwrap();
        assert_eq!((writes(&world), world.cloud.script(|s| s.route53.zones[0].sets.len())), (changes, 2 + count), "{count} of {length}");
        if changes > 1 {
            let e = change(&world, &zone, ChangeMode::Atomic, &borrowed(&texts(count, length - 1)), true).await.unwrap_err();
            assert_eq!((e.violations()[0].field.as_str(), writes(&world)), ("changes", changes));
        }
        say(&format!("{count} texts of {length} characters are {changes} changes of Route 53"));
    }
}
/// A removal says what is there as Route 53 spells it, which is longer than our form.
#[tokio::test]
async fn what_is_removed_counts_as_it_is_sent() {
    let (world, zone) = patient().await;
    let label = "x".repeat(60);
    // 64 characters each, and one more as it is there: 500 of them are 32,000 and 500.
    let name = |n: usize| format!("{n:03}.{label}");
    let removals: Vec<(String, Option<RecordSetSpec>)> = (0..500).map(|n| (format!("r{n}.example.com~CNAME"), None)).collect();
    world.cloud.script(|s| (0..500).for_each(|n| s.route53.plant_set(&zone, &planted(&format!("r{n}.example.com"), "CNAME", &simple(&format!("{}.", name(n)))))));
    let e = change(&world, &zone, ChangeMode::Atomic, &borrowed(&removals), true).await.unwrap_err();
    assert_eq!((e.violations()[0].field.as_str(), writes(&world)), ("changes", 0));
    change(&world, &zone, ChangeMode::BestEffort, &borrowed(&removals), true).await.unwrap();
    assert_eq!((writes(&world), world.cloud.script(|s| s.route53.zones[0].sets.len())), (2, 2));
}
/// "Not to exceed 4,000 characters" as they are sent: <https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecord.html>
#[tokio::test]
async fn a_text_that_is_too_long_is_refused_before_any_call() {
    let (world, zone) = world(100).await;
    let of = |length| texts(1, length).remove(0).1.unwrap();
    let (fits, long) = (of(4000), of(4001));
    let both = RecordSetSpec { values: [fits.values.clone(), long.values.clone()].concat(), ..RecordSetSpec::default() };
    let item = |id: &str, spec: &RecordSetSpec| RecordItem { id: id.into(), weight: Some(1), values: spec.values.clone(), ..RecordItem::default() };
    let routed = RecordSetSpec { routing: Routing::Weighted, items: vec![item("a", &fits), item("b", &long)], ..RecordSetSpec::default() };
    for (spec, field) in [(both, "values[1]"), (routed, "items[1].values[0]")] {
        let create = record(&zone, "a.example.com~TXT", spec.clone());
        let update = Change { verb: Verb::Update { desired: spec_of("a.example.com~TXT", spec.clone()), paths: [FieldPath::from("values")].into() }, ..create.clone() };
        for e in [world.check(&create).await.unwrap_err(), world.check(&update).await.unwrap_err()] {
            assert_eq!((e.kind(), e.violations()[0].field.as_str()), (ErrorKind::InvalidArgument, field), "{e}");
        }
        let many = batch(&zone, ChangeMode::BestEffort, &[("b.example.com~TXT", Some(fits.clone())), ("a.example.com~TXT", Some(spec))], false);
        assert_eq!(world.check(&many).await.unwrap_err().violations()[0].field, format!("changes[1].record_set.{field}"));
    }
    assert_eq!(world.cloud.calls(""), 0);
    world.check(&record(&zone, "a.example.com~TXT", fits)).await.unwrap();
}
/// What Route 53 alone finds wrong costs at most 2 log2 n more calls, and everything else is done.
#[tokio::test]
async fn one_refused_record_blocks_nobody() {
    let (world, zone) = world(100).await;
    let count = 256;
    // Of a health check that Route 53 alone knows not to be there.
    let mut all = numbered(count, "192.0.2.1");
    all[77].1 = Some(RecordSetSpec {
        routing: Routing::Multivalue,
        items: vec![RecordItem { id: "a".into(), values: vec!["192.0.2.1".into()], health_check: Some("missing".into()), ..RecordItem::default() }],
        ..RecordSetSpec::default()
    });
    world.cloud.script(|s| s.route53.missing_check = Some("missing".into()));
    change(&world, &zone, ChangeMode::BestEffort, &borrowed(&all), false).await.unwrap();
    let calls = writes(&world);
    say(&format!("one refused record among {count}: {calls} changes"));
    assert!(calls <= 1 + 2 * 8, "{calls}");
    assert_eq!(world.cloud.script(|s| s.route53.zones[0].sets.len()), 2 + count - 1);
    // What is not about one record is not looked for by halving.
    let before = writes(&world);
    world.cloud.fault("ChangeResourceRecordSets", Fault::Refuse("AccessDenied", 403), 1);
    let e = change(&world, &zone, ChangeMode::BestEffort, &borrowed(&numbered(8, "192.0.2.3")), true).await.unwrap_err();
    assert_eq!((e.reason(), writes(&world) - before), (Reason::CloudPermission, 1));
    assert!(e.message().contains("route53:ChangeResourceRecordSets"), "{e}");
}
#[tokio::test]
async fn a_batch_survives_a_lost_reply_and_a_lost_handle() {
    for fault in [Fault::Lost, Fault::Broken, Fault::Bare(503)] {
        let (world, zone) = world(60_000).await;
        let first = numbered(6, "192.0.2.1");
        world.cloud.fault("ChangeResourceRecordSets", fault, 1);
        change(&world, &zone, ChangeMode::BestEffort, &borrowed(&first), false).await.unwrap();
        // The same without its handle: what is exactly so was made by it.
        let again = batch(&zone, ChangeMode::Atomic, &borrowed(&first), false);
        let before = writes(&world);
        world.run_from(&again, unresolved()).await.unwrap();
        assert_eq!((writes(&world) - before, world.cloud.script(|s| s.route53.zones[0].sets.len())), (0, 8), "{fault:?}");
    }
}

/// A value in our form, said a second time.
fn plain(of: RecordType, value: &str) -> String {
    let name = |text: &str| text.trim_end_matches('.').to_ascii_lowercase();
    match of {
        RecordType::A => value.parse::<Ipv4Addr>().unwrap().to_string(),
        RecordType::Aaaa => value.parse::<Ipv6Addr>().unwrap().to_string(),
        RecordType::Cname | RecordType::Ns | RecordType::Ptr => name(value),
        RecordType::Mx | RecordType::Srv => value.rsplit_once(' ').map(|(numbers, last)| format!("{numbers} {}", name(last))).unwrap(),
        // In quotation marks already.
        RecordType::Txt | RecordType::Caa | RecordType::Naptr => value.to_owned(),
    }
}
fn sorted(all: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut all: Vec<Value> = all.collect();
    all.sort_by_key(ToString::to_string);
    all
}
/// What the rows of one name and type say.
fn said(rows: &[&Value], of: RecordType) -> Value {
    let values = |row: &Value| sorted(row["ResourceRecords"].as_array().into_iter().flatten().map(|r| plain(of, r["Value"].as_str().unwrap()).into()));
    let item = |row: &&Value| {
        json!({ "id": row["SetIdentifier"], "values": values(row), "weight": row["Weight"], "region": row["Region"], "country": row.pointer("/GeoLocation/CountryCode"),
            "failover": row["Failover"], "check": row["HealthCheckId"] })
    };
    let is_simple = rows[0].get("SetIdentifier").is_none();
    let policy = ["MultiValueAnswer", "Weight", "Region", "GeoLocation", "Failover"].into_iter().find(|member| rows[0].get(*member).is_some());
    json!({ "ttl": rows[0]["TTL"], "policy": policy, "values": if is_simple { values(rows[0]) } else { Vec::new() },
        "items": sorted(rows.iter().filter(|_| !is_simple).map(item)) })
}
/// The same of what is shown.
fn shown(spec: &RecordSetSpec) -> Value {
    let values = |all: &[String]| sorted(all.iter().map(|v| v.as_str().into()));
    let item = |item: &RecordItem| {
        let failover = (item.failover != FailoverRole::Unspecified).then(|| item.failover.as_str());
        json!({ "id": item.id, "values": values(&item.values), "weight": item.weight, "region": item.region, "country": item.country, "failover": failover,
            "check": item.health_check })
    };
    let policy = match spec.routing {
        Routing::Multivalue => Some("MultiValueAnswer"),
        Routing::Weighted => Some("Weight"),
        Routing::NearestRegion => Some("Region"),
        Routing::Country => Some("GeoLocation"),
        Routing::Failover => Some("Failover"),
        Routing::Simple | Routing::Unspecified => None,
    };
    json!({ "ttl": spec.ttl_s, "policy": policy, "values": values(&spec.values), "items": sorted(spec.items.iter().map(item)) })
}

/// Every recorded record set goes through the SDK's parser and our decoder, and is shown, or is of a type that is not offered.
#[tokio::test]
async fn recorded_records_come_to_what_they_say() {
    let Some(answers) = recorded("ListResourceRecordSets") else { return };
    let mut counts = BTreeMap::<String, usize>::new();
    for answer in &answers {
        let (world, zone) = world(0).await;
        let rows = answer.answer["ResourceRecordSets"].as_array().unwrap();
        let begins = rows.iter().find(|r| r["Type"] == "SOA").map(|r| r["Name"].as_str().unwrap().to_owned());
        world.cloud.script(|s| {
            s.route53.zone(&zone).sets.clear();
            s.route53.zone(&zone).name = begins.clone().unwrap_or_else(|| ZONE.into()).trim_end_matches('.').to_owned();
            for element in elements(&answer.xml).into_iter().filter(|e| e.path == "ResourceRecordSets/ResourceRecordSet") {
                s.route53.plant_set(&zone, &answer.xml[element.inner]);
            }
        });
        let objects = listed(&world, &Query::below(zone_name(&zone), 100)).await;
        for row in rows {
            let (name, of) = (row["Name"].as_str().unwrap(), row["Type"].as_str().unwrap());
            *counts.entry(of.to_owned()).or_default() += 1;
            let is_own = begins.as_deref() == Some(name) && of == "NS";
            let Ok(record_type) = of.parse::<RecordType>() else { continue };
            let found = objects.iter().find(|o| o.name.id == RecordId { name: name.parse().unwrap(), record_type });
            assert_eq!(found.is_none(), is_own, "{}: {name} {of}", answer.source);
            let Some(found) = found else { continue };
            let of_set: Vec<&Value> = rows.iter().filter(|r| r["Name"] == row["Name"] && r["Type"] == row["Type"]).collect();
            assert_eq!(shown(&found.spec), said(&of_set, record_type), "{}: {name} {of}", answer.source);
        }
    }
    say(&format!("recorded record sets: {counts:?}"));
    assert!(answers.iter().any(|a| a.origin() == Origin::Recording) && counts.len() > 2);
}
