//! Aliases to load balancers against a small Route 53 and a small Elastic Load Balancing: what leads where, and what it costs to know.

use crate::{
    cloud::Fault,
    journal::World,
    records::{batch, change, listed, next, planted, record, routed, sets, target, to, values, world, writes, zone_name},
    specification::say,
};
use welkin_core::*;

/// As Route 53 shows it.
pub fn xml(dns_name: &str, check: bool) -> String {
    format!("<AliasTarget><HostedZoneId>ZELB</HostedZoneId><DNSName>{dns_name}</DNSName><EvaluateTargetHealth>{check}</EvaluateTargetHealth></AliasTarget>")
}
fn balancer(world: &World, name: &str) -> String {
    world.cloud.script(|s| s.balancing.plant("network", name))
}
/// Called as a user calls it: drivers answer it called by the vendor's id.
fn alias_of(arn: &str, check_health: bool) -> RecordAlias {
    let name = "locations/eu-west-1/loadBalancers/of-ours".parse().unwrap();
    RecordAlias { load_balancer: Some(Ref::resolved(name, arn.parse().unwrap())), check_health }
}
pub fn alias(arn: &str, check_health: bool) -> RecordSetSpec {
    RecordSetSpec { alias: alias_of(arn, check_health), ..RecordSetSpec::default() }
}
fn asked(world: &World) -> usize {
    world.cloud.calls("DescribeLoadBalancers")
}

#[tokio::test]
async fn an_alias_leads_where_it_was_asked_to_and_back_to_values() {
    for fault in [None, Some(Fault::Lost), Some(Fault::Cut)] {
        let (world, zone) = world(60_000).await;
        let (web, other) = (balancer(&world, "web"), balancer(&world, "other"));
        let lose = || fault.iter().for_each(|fault| world.cloud.fault("ChangeResourceRecordSets", *fault, 1));
        lose();
        let create = record(&zone, "example.com~A", alias(&web, true));
        world.check(&create).await.unwrap();
        let made = world.run(&create).await.unwrap().object();
        assert_eq!(sets(&world, "example.com.").pop().unwrap(), xml("web-0123.elb.eu-west-1.amazonaws.com.", true));
        let seen = world.get(&create.target).await.unwrap();
        let Verb::Create { spec, .. } = &create.verb else { panic!() };
        assert_eq!((&seen, &seen.spec, seen.spec.ttl_s), (&made, &RecordSet::as_shown(spec), None), "{fault:?}");
        let called = seen.spec.alias.load_balancer.as_ref().unwrap();
        assert_eq!((called.name.id.decoded(), called.vendor_id.as_ref().map(VendorId::as_str)), (web.clone(), Some(web.as_str())));
        let mut now = made;
        for desired in [alias(&other, false), values(&["192.0.2.1"]), alias(&web, true)] {
            lose();
            now = world.run(&to(&now, desired)).await.unwrap().object();
            assert_eq!(world.get(&create.target).await.unwrap(), now, "{fault:?}");
        }
        // The same under another name of the load balancer is no change.
        let before = writes(&world);
        world.run(&to(&now, alias(&web, true))).await.unwrap();
        assert_eq!(writes(&world), before);
        lose();
        world.run(&next(&now, Verb::Delete)).await.unwrap();
        assert_eq!(sets(&world, "example.com.").len(), 2, "SOA and NS");
    }
}
#[tokio::test]
async fn items_of_a_policy_are_aliases_beside_values() {
    let (world, zone) = world(100).await;
    let (web, other) = (balancer(&world, "web"), balancer(&world, "other"));
    for routing in [Routing::Weighted, Routing::NearestRegion, Routing::Country, Routing::Failover] {
        let mut spec = routed(routing);
        (spec.items[0].values, spec.items[0].alias) = (Vec::new(), alias_of(&web, true));
        let made = world.run(&record(&zone, "www.example.com~A", spec.clone())).await.unwrap().object();
        assert_eq!((&world.get(&target(&zone, "www.example.com~A")).await.unwrap(), made.spec.ttl_s), (&made, Some(30)), "{routing}");
        // Where all are aliases there is no TTL.
        (spec.ttl_s, spec.items[1].values, spec.items[1].alias) = (None, Vec::new(), alias_of(&other, false));
        let changed = world.run(&to(&made, spec)).await.unwrap().object();
        assert_eq!((&world.get(&target(&zone, "www.example.com~A")).await.unwrap(), changed.spec.ttl_s), (&changed, None), "{routing}");
        world.run(&next(&changed, Verb::Delete)).await.unwrap();
    }
    assert_eq!(sets(&world, "www.example.com."), [""; 0]);
}
/// A DELETE says exactly what is there, also through the handle of a batch.
#[tokio::test]
async fn an_alias_is_removed_in_route_53s_own_spelling() {
    let (world, zone) = world(100).await;
    let web = balancer(&world, "Web");
    for (name, spelled) in [("a.example.com", "dualstack.web-0123.elb.eu-west-1.amazonaws.com."), ("b.example.com", "WEB-0123.ELB.eu-west-1.amazonaws.com")] {
        world.cloud.script(|s| s.route53.plant_set(&zone, &planted(name, "A", &xml(spelled, false))));
    }
    let object = world.get(&target(&zone, "a.example.com~A")).await.unwrap();
    assert_eq!(object.spec.alias.load_balancer.as_ref().and_then(|r| r.vendor_id.as_ref()).map(VendorId::as_str), Some(web.as_str()));
    world.run(&to(&object, values(&["192.0.2.1"]))).await.unwrap();
    // What is so already stays as it is spelled.
    let wanted = |of| [("b.example.com~A", Some(of))];
    change(&world, &zone, ChangeMode::Atomic, &wanted(alias(&web, false)), true).await.unwrap();
    assert_eq!((writes(&world), sets(&world, "b.example.com.")), (1, vec![xml("WEB-0123.ELB.eu-west-1.amazonaws.com", false)]));
    change(&world, &zone, ChangeMode::Atomic, &wanted(alias(&web, true)), true).await.unwrap();
    assert_eq!(sets(&world, "b.example.com."), [xml("web-0123.elb.eu-west-1.amazonaws.com.", true)]);
}
#[tokio::test]
async fn an_alias_of_anything_else_is_shown_without_values_and_left() {
    let (world, zone) = world(100).await;
    world.cloud.script(|s| s.balancing.plant("application", "app"));
    let elsewhere = xml("web-0123.elb.eu-west-1.amazonaws.com.", false).replace("ZELB", "ZOTHER");
    balancer(&world, "web");
    let all = [
        ("application", xml("app-0123.elb.eu-west-1.amazonaws.com.", false)),
        ("gone", xml("gone-0123.elb.eu-west-1.amazonaws.com.", false)),
        ("region", xml("web-0123.elb.us-east-1.amazonaws.com.", false)),
        ("zone", elsewhere),
        ("cdn", xml("d111111abcdef8.cloudfront.net.", false)),
        ("record", xml("www.example.com.", false)),
    ];
    for (label, rest) in &all {
        let (name, id) = (format!("{label}.example.com"), format!("{label}.example.com~A"));
        world.cloud.script(|s| s.route53.plant_set(&zone, &planted(&name, "A", rest)));
        let object = world.get(&target(&zone, &id)).await.unwrap();
        assert!(object.spec.alias.is_none() && object.spec.values.is_empty(), "{label}: {object:?}");
        // What has led to a load balancer that is gone can go as it is.
        let is_left = !["gone", "zone"].contains(label);
        for (change, is_refused) in [(to(&object, values(&["192.0.2.9"])), true), (next(&object, Verb::Delete), is_left)] {
            let checked = world.check(&change).await.err().map(|e| e.reason());
            assert_eq!(checked, is_refused.then_some(Reason::WrongState), "{label}");
            let reason = world.run(&change).await.err().map(|e| e.reason());
            assert_eq!(reason, is_refused.then_some(Reason::WrongState), "{label}");
        }
        assert_eq!(sets(&world, &format!("{name}.")).is_empty(), !is_left, "{label}");
    }
    assert_eq!((listed(&world, &Query::all(100)).await.len(), writes(&world)), (all.len() - 2, 2));
}
#[tokio::test]
async fn an_alias_that_leads_nowhere_is_refused_by_its_field() {
    let (world, zone) = world(100).await;
    let web = balancer(&world, "web");
    let gone = web.replace("/web/", "/gone/");
    for (arn, reason) in [(gone.clone(), Reason::ReferenceNotFound), (web.replace("eu-west-1", "us-east-1"), Reason::InvalidField)] {
        let e = world.run(&record(&zone, "www.example.com~A", alias(&arn, false))).await.unwrap_err();
        assert_eq!((e.reason(), e.violations()[0].field.as_str(), e.effect()), (reason, "alias.load_balancer", Effect::None), "{e}");
        let mut spec = routed(Routing::Weighted);
        (spec.items[1].values, spec.items[1].alias) = (Vec::new(), alias_of(&arn, false));
        let e = world.run(&record(&zone, "www.example.com~A", spec)).await.unwrap_err();
        assert_eq!((e.reason(), e.violations()[0].field.as_str()), (reason, "items[1].alias.load_balancer"), "{e}");
    }
    assert_eq!(writes(&world), 0);
    // Route 53 itself, of which "was not found" is no DELETE's.
    for said in ["but the alias target name does not lie within the target zone", "but that target was not found"] {
        world.cloud.script(|s| s.route53.unchanged.push(format!("Tried to create an alias that targets web-0123.elb.eu-west-1.amazonaws.com., type A in zone ZELB, {said}")));
        let e = world.run(&record(&zone, "www.example.com~A", alias(&web, false))).await.unwrap_err();
        assert_eq!((e.reason(), e.violations()[0].field.as_str()), (Reason::ReferenceNotFound, "alias.load_balancer"), "{e}");
    }
    // Of a batch only that one is refused, and an atomic one does nothing.
    let wanted: Vec<(String, Option<RecordSetSpec>)> = (0..16).map(|n| (format!("r{n:02}.example.com~A"), Some(alias(if n == 11 { &gone } else { &web }, false)))).collect();
    let wanted: Vec<_> = wanted.iter().map(|(id, spec)| (id.as_str(), spec.clone())).collect();
    let before = writes(&world);
    let e = change(&world, &zone, ChangeMode::Atomic, &wanted, false).await.unwrap_err();
    assert_eq!((e.reason(), e.violations()[0].field.as_str(), writes(&world)), (Reason::ReferenceNotFound, "changes[11].record_set.alias.load_balancer", before));
    change(&world, &zone, ChangeMode::BestEffort, &wanted, false).await.unwrap();
    let there: Vec<bool> = (0..16).map(|n| !sets(&world, &format!("r{n:02}.example.com.")).is_empty()).collect();
    assert_eq!(there, (0..16).map(|n| n != 11).collect::<Vec<_>>());
}
/// Nothing is asked where there are no aliases, and else a region's list once for whatever they lead to.
#[tokio::test]
async fn what_aliases_cost() {
    let (world, zone) = world(100).await;
    let arns: Vec<String> = (0..3).map(|n| balancer(&world, &format!("lb{n}"))).collect();
    let plain = world.run(&record(&zone, "plain.example.com~A", values(&["192.0.2.1"]))).await.unwrap().object();
    // Beside others of the zone, which are not looked for.
    let dns_name = |n: usize| format!("lb{}-0123.elb.eu-west-1.amazonaws.com.", n % 3);
    world.cloud.script(|s| (0..100).for_each(|n| s.route53.plant_set(&zone, &planted(&format!("x{n}.example.com"), "A", &xml(&dns_name(n), false)))));
    world.get(&target(&zone, "plain.example.com~A")).await.unwrap();
    world.run(&to(&plain, values(&["192.0.2.2"]))).await.unwrap();
    assert_eq!(asked(&world), 0);
    let count = || (asked(&world), world.cloud.calls("ListResourceRecordSets "), writes(&world));
    let cost = |before: (usize, usize, usize)| {
        let now = count();
        (now.0 - before.0, now.1 - before.1, now.2 - before.2)
    };
    let before = count();
    world.get(&target(&zone, "x7.example.com~A")).await.unwrap();
    let read = cost(before);
    let before = count();
    assert_eq!(listed(&world, &Query::below(zone_name(&zone), 300)).await.len(), 101);
    let list = cost(before);
    let before = count();
    world.run(&record(&zone, "new.example.com~A", alias(&arns[0], false))).await.unwrap();
    let made = cost(before);
    let wanted: Vec<(String, Option<RecordSetSpec>)> = (0..100).map(|n| (format!("x{n}.example.com~A"), Some(alias(&arns[n % 3], true)))).collect();
    let wanted: Vec<_> = wanted.iter().map(|(id, spec)| (id.as_str(), spec.clone())).collect();
    let before = count();
    world.run(&batch(&zone, ChangeMode::Atomic, &wanted, true)).await.unwrap();
    let all = cost(before);
    say(&format!(
        "aliases, DescribeLoadBalancers + lists of records + changes: one read {read:?}, 100 of 3 load balancers listed {list:?}, one made {made:?}, 100 changed {all:?}"
    ));
    assert_eq!((read, list, made, all), ((1, 1, 0), (1, 1, 0), (1, 1, 1), (4, 1, 1)));
    // What is so already is looked at, and no more.
    let before = count();
    world.run(&batch(&zone, ChangeMode::Atomic, &wanted, true)).await.unwrap();
    assert_eq!(cost(before), (1, 1, 0));
    // More load balancers than one page tells of.
    world.cloud.script(|s| (0..500).for_each(|n| drop(s.balancing.plant("network", &format!("more{n}")))));
    let far = xml("more450-0123.elb.eu-west-1.amazonaws.com.", false);
    world.cloud.script(|s| s.route53.plant_set(&zone, &planted("far.example.com", "A", &far)));
    let before = count();
    assert!(!world.get(&target(&zone, "far.example.com~A")).await.unwrap().spec.alias.is_none());
    assert_eq!(cost(before), (2, 1, 0));
}
