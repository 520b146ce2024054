//! Zones of the domain name system and their records.

use super::{Sent, labels, life, sent};
use crate::{aliases, journal::World, records, zones};
use std::collections::BTreeSet;
use welkin_core::*;

/// Lists of zones, whole and narrowed, and whether one that somebody else has made could be changed.
pub async fn adopts_zones() -> Sent {
    let world = World::with(0).await;
    let id = world.cloud.script(|s| s.route53.plant("example.com", "theirs"));
    assert!(world.get(&zones::zone("a", "example.com", &[]).target).await.unwrap_err().is_not_found());
    let target = Target::<DnsZone>::Vendor { parent: LocationName::of("global").unwrap(), vendor_id: id.parse().unwrap() };
    let verb = Verb::Update { desired: world.get(&target).await.unwrap().spec, paths: BTreeSet::new() };
    world.check(&Change { target, verb, ..zones::zone("a", "example.com", &[]) }).await.unwrap();
    for (vendor_ids, owned_only) in [(vec![], false), (vec![id.parse().unwrap()], true)] {
        zones::listed(&world, &Query::<DnsZone> { vendor_ids, owned_only, ..Query::all(1) }).await;
    }
    sent(&world)
}
/// `networks`: how many it is answered for; none means that it is public.
pub async fn dns_zones(networks: usize) -> Sent {
    let world = World::with(0).await;
    let vpcs: Vec<String> = (0..networks).map(|_| world.cloud.plant("vpc", &[("cidr", "10.0.0.0/16")], &[("welkin.dev/asked", "internet=true")])).collect();
    let vpcs: Vec<&str> = vpcs.iter().map(String::as_str).collect();
    let change = zones::zone("z", "_a-1.xn--bcher-kva.example", &vpcs);
    let Verb::Create { spec, .. } = &change.verb else { panic!() };
    let spec = DnsZoneSpec { description: Some("a & b".into()), labels: labels("one"), ..spec.clone() };
    let change = Change { verb: Verb::Create { spec, digest: "v1-digest".parse().unwrap() }, ..change };
    life(&world, &change, |s| {
        let mut networks = s.networks.clone();
        networks.truncate(1);
        let desired = DnsZoneSpec { description: None, labels: labels("two"), networks, ..s.clone() };
        vec![Verb::Update { desired, paths: ["labels", "description", "networks"].map(FieldPath::from).into() }]
    })
    .await;
    sent(&world)
}
/// Records of somebody else's: read, listed, and whether they could be changed.
pub async fn adopts_records(with_alias: bool) -> Sent {
    let world = World::with(0).await;
    let zone = world.cloud.script(|s| {
        let zone = s.route53.plant(records::ZONE, "theirs");
        if with_alias {
            s.balancing.plant("network", "web");
            s.route53.plant_set(&zone, &records::planted("b.example.com", "A", &aliases::xml("web-0123.elb.eu-west-1.amazonaws.com.", true)));
        }
        s.route53
            .plant_set(&zone, "<Name>a.example.com</Name><Type>A</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords>");
        zone
    });
    reads_zone(&world, &zone).await;
    let target = records::target(&zone, "a.example.com~A");
    let object = world.get(&target).await.unwrap();
    let verb = Verb::Update { desired: object.spec.clone(), paths: BTreeSet::new() };
    world.check(&Change { verb, ..records::record(&zone, "a.example.com~A", object.spec) }).await.unwrap();
    world.cloud.script(|s| s.page = 1);
    for query in [Query::below(records::zone_name(&zone), 1), Query::all(100)] {
        records::listed(&world, &query).await;
    }
    sent(&world)
}
/// What an engine does before it lets anybody write into a zone.
async fn reads_zone(world: &World, zone: &str) {
    world.get(&Target::<DnsZone>::Vendor { parent: LocationName::of("global").unwrap(), vendor_id: zone.parse().unwrap() }).await.unwrap();
}
/// Every policy, and a batch.
pub async fn record_sets(with_alias: bool) -> Sent {
    let world = World::with(0).await;
    let zone = world.cloud.script(|s| s.route53.plant(records::ZONE, "theirs"));
    reads_zone(&world, &zone).await;
    records::listed(&world, &Query::all(100)).await;
    for (spec, other) in records::POLICIES.into_iter().map(|policy| (records::routed(policy), records::values(&["192.0.2.9"]))) {
        let create = records::record(&zone, "_a\\056b.example.com~A", spec);
        let Verb::Create { spec: desired, .. } = records::record(&zone, "_a\\056b.example.com~A", other).verb else { panic!() };
        let update = Verb::Update { desired, paths: [FieldPath::from("routing")].into() };
        world.check(&create).await.unwrap();
        world.run(&create).await.unwrap();
        for verb in [update, Verb::Delete] {
            world.run(&Change { verb, ..create.clone() }).await.unwrap();
        }
    }
    let wanted = |value: RecordSetSpec| [("a.example.com~TXT", Some(records::values(&["a \"quoted\" & <text>"]))), ("b.example.com~A", Some(value))];
    let batch = records::batch(&zone, ChangeMode::Atomic, &wanted(records::values(&["192.0.2.1"])), false);
    world.check(&batch).await.unwrap();
    world.run(&batch).await.unwrap();
    if with_alias {
        let arn = world.cloud.script(|s| s.balancing.plant("network", "web"));
        for check in [true, false] {
            world.run(&records::batch(&zone, ChangeMode::Atomic, &wanted(aliases::alias(&arn, check)), true)).await.unwrap();
        }
    }
    sent(&world)
}
