//! The same as `absent.rs` of Route 53: its model says of a few members that they must be there, and the SDK puts something else in their place where they
//! are not.

use crate::{
    absent::{CASES, Case, cases, edited},
    document::{Element, elements, with, without},
    journal::World,
    records,
    specification::{Answer, Member, ask, say},
    zones::{by_id, recorded},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
};
use welkin_core::*;

const ZONES: &str = "HostedZones/HostedZone";
const SETS: &str = "ResourceRecordSets/ResourceRecordSet";

/// What the model knows of the members of an answer; None where it cannot be asked.
fn members(operation: &str) -> Option<Vec<Member>> {
    ask::<BTreeMap<String, Vec<Member>>>("zone-members", [OsString::from(operation)], "")?.remove(operation)
}
fn inner<'a>(xml: &'a str, all: &[Element], row: &Element, path: &str) -> Option<&'a str> {
    all.iter().find(|e| e.path == path && row.whole.contains(&e.whole.start)).map(|e| xml[e.inner.clone()].trim()).filter(|text| !text.is_empty())
}
/// With a reference of ours in each of its zones.
fn ours(xml: &str) -> String {
    let all = elements(xml).into_iter().filter(|e| e.path.ends_with("HostedZone/CallerReference"));
    with(xml, all.enumerate().map(|(n, e)| (e.inner, format!("welkin:me:uid-of-z{n}"))).collect())
}
/// As they are and as ours: what is in them, with the tags that ours have.
async fn planted(answers: &[Answer]) -> (World, Vec<String>) {
    let world = World::within(0, records::PATIENCE_S).await;
    let all: Vec<String> = answers.iter().flat_map(|a| [a.xml.clone(), ours(&a.xml)]).collect();
    let ids: BTreeSet<String> = all.iter().flat_map(|xml| elements(xml).into_iter().filter(|e| e.path.ends_with("HostedZone/Id")).map(|e| xml[e.inner].to_owned())).collect();
    world.cloud.script(|s| {
        for id in ids {
            let planted = s.route53.plant("example.com", "theirs");
            let zone = s.route53.zone(&planted);
            zone.id = id.trim_start_matches("/hostedzone/").to_owned();
            zone.tags.insert("welkin.dev/id".into(), "z".into());
            zone.tags.insert("welkin.dev/digest".into(), "v1-digest".into());
        }
    });
    (world, all)
}
/// Refused for a part of the answer that was taken away, with what holds it or by itself.
fn assert_is_told(e: &Error, case: &Case, parts: &[&str]) {
    assert_eq!((e.kind(), e.reason(), e.effect()), (ErrorKind::Unavailable, Reason::CloudAnswer, Effect::None), "{:?}: {e}", case.edits);
    let is_named = |part: &&&str| e.message().ends_with(&format!(" has no {}", part.rsplit('/').next().unwrap()));
    assert!(parts.iter().filter(is_named).any(|part| case.edits.iter().any(|(path, _)| part.starts_with(path.as_str()))), "{:?}: {e}", case.edits);
}
async fn list(world: &World) -> Result<Vec<Object<DnsZone>>> {
    let reader = DnsZone::reader(&world.aws).unwrap();
    reader.list(&world.cx(), &Query::all(100), &Shard("global".into()), None).await.map(|page| page.items)
}
/// Tells the list, and each of its zones by itself.
fn tell(world: &World, xml: &str) {
    world.cloud.script(|s| {
        s.route53.told = vec![("ListHostedZones", xml.to_owned())];
        for row in elements(xml).into_iter().filter(|e| e.path == ZONES) {
            s.route53.told.push(("GetHostedZone", format!("<GetHostedZoneResponse xmlns=\"x\">{}</GetHostedZoneResponse>", &xml[row.whole])));
        }
    });
}

#[tokio::test]
async fn listed_zones_are_whole_or_refused_by_name() {
    let (Some(answers), Some(members)) = (recorded("ListHostedZones"), members("ListHostedZones")) else { return };
    let (world, all) = planted(&answers).await;
    let mut marks = Vec::new();
    for xml in &all {
        tell(&world, xml);
        let shown = list(&world).await.unwrap();
        marks.push(shown.into_iter().map(|o| (o.vendor_id, o.mark)).collect::<BTreeMap<_, _>>());
    }
    let is_marked = |all: &BTreeMap<VendorId, Option<Mark>>| all.values().all(Option::is_some);
    assert_eq!(marks.iter().filter(|all| is_marked(all)).count(), answers.len());
    let parts = ["Id", "Name", "CallerReference"].map(|part| format!("{ZONES}/{part}"));
    let (mut refused, mut tried) = (0, 0);
    for (answer, picks) in cases() {
        let n = answer.index(all.len());
        let case = edited(&members, (ZONES, &parts[0]), &all[n], &picks);
        tell(&world, &case.xml);
        tried += case.edits.len();
        match list(&world).await {
            Err(e) => {
                refused += 1;
                assert_is_told(&e, &case, &parts.each_ref().map(String::as_str));
            }
            Ok(objects) => {
                assert_eq!((objects.len(), case.is_nameless), (case.rows, false), "{:?}", case.edits);
                assert!(objects.iter().all(|o| o.mark == marks[n][&o.vendor_id] && !o.etag().0.is_empty()), "{:?}", case.edits);
            }
        }
    }
    say(&format!("ListHostedZones: {CASES} answers with {tried} edits, {refused} refused by the name of the member"));
    assert!(refused > 0);
}
#[tokio::test]
async fn a_zone_is_whole_or_refused_by_name() {
    let (Some(answers), Some(members)) = (recorded("GetHostedZone"), members("GetHostedZone")) else { return };
    let (world, all) = planted(&answers).await;
    let parts = ["HostedZone/Id", "HostedZone/Name", "HostedZone/CallerReference", "DelegationSet/NameServers/NameServer", "VPCs/VPC/VPCId", "VPCs/VPC/VPCRegion"];
    let (mut refused, mut tried) = (0, 0);
    for (answer, picks) in cases() {
        let whole = &all[answer.index(all.len())];
        let case = edited(&members, ("", parts[0]), whole, &picks);
        let id = elements(whole).into_iter().find(|e| e.path == parts[0]).map(|e| whole[e.inner].trim_start_matches("/hostedzone/").to_owned()).unwrap();
        let mut shown = Vec::new();
        for xml in [whole, &case.xml] {
            world.cloud.script(|s| s.route53.told = vec![("GetHostedZone", xml.clone())]);
            shown.push(world.get(&by_id(&id)).await);
        }
        tried += case.edits.len();
        let (after, before) = (shown.remove(1), shown.remove(0).unwrap());
        match after {
            Err(e) => {
                refused += 1;
                assert_is_told(&e, &case, &parts);
            }
            Ok(object) => {
                assert_eq!((&object.vendor_id, &object.mark, &object.spec.dns_name), (&before.vendor_id, &before.mark, &before.spec.dns_name), "{:?}", case.edits);
                assert!(object.spec.private || object.spec.networks.is_empty(), "{:?}", case.edits);
                let left = |path: &str| elements(&case.xml).iter().filter(|e| e.path == path).count();
                assert_eq!(object.spec.networks.len(), left("VPCs/VPC"), "{:?}", case.edits);
                assert!(object.spec.private || object.status.name_servers.len() == left(parts[3]), "{:?}", case.edits);
            }
        }
    }
    say(&format!("GetHostedZone: {CASES} answers with {tried} edits, {refused} refused by the name of the member"));
    assert!(refused > 0);
}

/// What an answer has of record sets: by name and type, how many items and values. None where a row does not say what it is of.
fn counted(xml: &str, begins: &DnsName) -> Option<BTreeMap<RecordId, (usize, usize)>> {
    let (all, mut counts) = (elements(xml), BTreeMap::new());
    for row in all.iter().filter(|e| e.path == SETS) {
        let text = |member: &str| inner(xml, &all, row, &format!("{SETS}/{member}"));
        let has_policy = all.iter().any(|e| {
            let member = e.path.strip_prefix(SETS).unwrap_or_default();
            row.inner.contains(&e.whole.start) && ["/Weight", "/Region", "/GeoLocation", "/Failover", "/MultiValueAnswer"].contains(&member)
        });
        let (name, of) = (text("Name")?.parse::<DnsName>().unwrap(), text("Type")?);
        if has_policy {
            text("SetIdentifier")?;
        }
        // What is not offered is not shown, as a type that nobody knows is not.
        let Ok(record_type) = of.parse::<RecordType>() else { continue };
        if record_type == RecordType::Ns && name == *begins {
            continue;
        }
        let values = all.iter().filter(|e| e.path == format!("{SETS}/ResourceRecords/ResourceRecord") && row.whole.contains(&e.whole.start)).count();
        let count: &mut (usize, usize) = counts.entry(RecordId { name, record_type }).or_default();
        *count = (count.0 + 1, count.1 + values);
    }
    Some(counts)
}
#[tokio::test]
async fn record_sets_are_whole_or_refused_by_name() {
    let (Some(answers), Some(members)) = (recorded("ListResourceRecordSets"), members("ListResourceRecordSets")) else { return };
    let parts = ["Name", "Type", "SetIdentifier"].map(|part| format!("{SETS}/{part}"));
    let (mut refused, mut tried) = (0, 0);
    for answer in &answers {
        let (world, zone) = records::patient().await;
        let all = elements(&answer.xml);
        let soa = all.iter().filter(|e| e.path == SETS).find(|row| inner(&answer.xml, &all, row, &parts[1]) == Some("SOA"));
        let begins: DnsName = soa.and_then(|row| inner(&answer.xml, &all, row, &parts[0])).unwrap_or(records::ZONE).parse().unwrap();
        world.cloud.script(|s| s.route53.zone(&zone).name = begins.to_string());
        for (_, picks) in cases() {
            let case = edited(&members, (SETS, &parts[0]), &answer.xml, &picks);
            tried += case.edits.len();
            let tell = || world.cloud.script(|s| s.route53.told = vec![("ListResourceRecordSets", case.xml.clone())]);
            tell();
            let query = Query::below(records::zone_name(&zone), 300);
            let listed = RecordSet::reader(&world.aws).unwrap().list(&world.cx(), &query, &Shard("global".into()), None).await;
            let objects = match listed {
                Err(e) => {
                    refused += 1;
                    assert_is_told(&e, &case, &parts.each_ref().map(String::as_str));
                    continue;
                }
                Ok(page) => page.items,
            };
            let counts = counted(&case.xml, &begins).unwrap_or_else(|| panic!("{:?}: nothing was refused", case.edits));
            let shown = |o: &Object<RecordSet>| (o.name.id.clone(), (o.spec.items.len(), o.spec.values.len() + o.spec.items.iter().map(|i| i.values.len()).sum::<usize>()));
            for (id, (items, values)) in objects.iter().map(shown) {
                let told = counts.get(&id).unwrap_or_else(|| panic!("{id} {:?}", case.edits));
                assert_eq!((items == 0 || items == told.0, values), (true, told.1), "{id} {:?}", case.edits);
            }
            assert_eq!(objects.len(), counts.len(), "{:?}", case.edits);
            assert!(objects.iter().all(|o| o.mark.is_none() && !o.etag().0.is_empty()), "{:?}", case.edits);
            if let Some(first) = objects.first() {
                tell();
                assert_eq!(&world.get(&records::target(&zone, &first.name.id.to_string())).await.unwrap(), first, "{:?}", case.edits);
            }
        }
    }
    say(&format!("ListResourceRecordSets: {CASES} times {} answers with {tried} edits, {refused} refused by the name of the member", answers.len()));
    assert!(refused > 0);
}
/// Nor does a list end early where it is not told that it goes on.
#[tokio::test]
async fn a_list_goes_on_where_a_next_page_is_named() {
    let (world, zone) = records::world(0).await;
    let row = |name: &str| {
        let value = "<TTL>60</TTL><ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords>";
        format!("<ResourceRecordSet><Name>{name}.example.com.</Name><Type>A</Type>{value}</ResourceRecordSet>")
    };
    let page =
        |rows: &str, next: &str| format!("<ListResourceRecordSetsResponse xmlns=\"x\"><ResourceRecordSets>{rows}</ResourceRecordSets>{next}</ListResourceRecordSetsResponse>");
    let next = "<IsTruncated>true</IsTruncated><NextRecordName>b.example.com.</NextRecordName><NextRecordType>A</NextRecordType>";
    let cut = without(&page(&row("a"), next), |e| e.path == "IsTruncated");
    world.cloud.script(|s| s.route53.told = [cut, page(&row("b"), "")].map(|xml| ("ListResourceRecordSets", xml)).to_vec());
    assert_eq!(records::listed(&world, &Query::below(records::zone_name(&zone), 100)).await.len(), 2);
    let zone = |n: usize| format!("<HostedZone><Id>/hostedzone/Z{n}</Id><Name>z{n}.example.</Name><CallerReference>r</CallerReference></HostedZone>");
    let zones = |n: usize, next: &str| format!("<ListHostedZonesResponse xmlns=\"x\"><HostedZones>{}</HostedZones>{next}</ListHostedZonesResponse>", zone(n));
    world.cloud.script(|s| {
        s.route53.told = vec![("ListHostedZones", zones(1, "<NextMarker>Z2</NextMarker>")), ("ListHostedZones", zones(2, ""))];
        s.route53.told.extend([1, 2].map(|n| ("GetHostedZone", format!("<GetHostedZoneResponse xmlns=\"x\">{}</GetHostedZoneResponse>", zone(n)))));
    });
    assert_eq!(crate::zones::listed(&world, &Query::all(1)).await.len(), 2);
}
