//! What is true of record sets alone: they carry no mark, and their names have a place in a zone.

use crate::{
    Plant, Planted,
    runner::Manner,
    specimen::{Depth, Specimen, differences, named},
    stand::{Stand, Stop, Verdict, ensure, failed, ids, skipped},
    trial::Trial,
    trials::mishap::{Mishap, everywhere},
};
use welkin_core::{
    Change, ChangeMode, DnsZone, DnsZoneAction, LoadBalancer, Managed as _, Name, Object, Reason, RecordAlias, RecordChange, RecordChanges, RecordId, RecordItem, RecordSet,
    RecordSetSpec, Ref, Resume, Routing, Target, Verb, VerbName,
};

pub(super) fn all() -> Vec<Trial> {
    let c = <RecordSet as welkin_core::Kind>::COLLECTION;
    vec![
        super::trial!(c, "exact", "what is there counts by what it says: somebody else's is neither taken nor changed nor removed", exact),
        super::trial!(c, "batch", "many changes of a zone at once end well whatever goes wrong at any of their writes, and one that is wrong blocks nobody", batch),
        super::trial!(c, "alias", "a load balancer's addresses are answered in the place of values, alone, by a policy and in a batch, and only while it is there", alias),
        super::trial!(c, "places", "every type is answered as asked for, and refused where a zone cannot have it, by the field and before any write", places),
    ]
}

fn says(values: &[&str], id: &RecordId) -> RecordSetSpec {
    let mut spec = RecordSetSpec { values: values.iter().map(|v| (*v).to_owned()).collect(), ..RecordSetSpec::default() };
    RecordSet::canonical(id, &mut spec);
    spec
}
fn create_of(stand: &Stand<'_>, id: &RecordId, spec: RecordSetSpec) -> Verdict<Change<RecordSet>> {
    let name = Name::new(stand.place::<RecordSet>()?, id.clone());
    Ok(Change { target: Target::named(name), ..stand.create_of::<RecordSet>(spec)? })
}

async fn exact(stand: &Stand<'_>) -> Verdict {
    if !stand.subject.world.abilities().plants || !stand.subject.world.abilities().removes {
        return skipped("nothing can be planted");
    }
    let zone = RecordSet::ground(stand, Depth::Plain).await?;
    let (theirs, ours) = (says(&["192.0.2.77"], &named("exact", "A")?), says(&["192.0.2.78"], &named("exact", "A")?));
    let id = named("exact", "A")?;
    let plant = async || {
        let what = Planted::RecordSet { zone: zone.vendor_id.to_string(), id: id.to_string(), address: [192, 0, 2, 77].into() };
        stand.plant(Plant { what, mark: None }).await
    };
    let there = async |after: &str| -> Verdict<Object<RecordSet>> {
        let seen = stand.get(&Target::named(Name::new(stand.place::<RecordSet>()?, id.clone()))).await?;
        ensure!(seen.spec == theirs, "{after}, it is {seen:?}");
        Ok(seen)
    };
    let planted = plant().await?;
    for wanted in [&ours, &theirs] {
        let create = create_of(stand, &id, wanted.clone())?;
        let driven = stand.drive(&create, Manner::PLAIN).await;
        match driven.end {
            Err(e) if e.reason() == Reason::NotOwned => {}
            other => return failed(format!("a create where somebody else's records are: {other:?}")),
        }
        stand.clean(&create, driven.left).await?;
        there("after a create that was refused").await?;
    }
    // One whose fate is not known, and which has made nothing.
    let lost = Resume { unresolved: Some(tokio::time::Instant::now()), ..Resume::default() };
    stand.clean(&create_of(stand, &id, ours.clone())?, lost).await?;
    there("after cleaning up for a create that was lost").await?;
    stand.subject.world.remove(&planted).await?;

    if stand.subject.served {
        // An engine reads what is there before each change.
        return Ok(());
    }
    let made = stand.drive(&create_of(stand, &id, ours.clone())?, Manner::PLAIN).await.object()?;
    stand.subject.world.remove(made.vendor_id.as_str()).await?;
    let planted = plant().await?;
    let desired = says(&["192.0.2.79"], &id);
    for verb in [stand.update_of(&made, desired)?, stand.change_of(&made, Verb::Delete)?] {
        match stand.drive(&verb, Manner::PLAIN).await.end {
            Err(e) if e.reason() == Reason::EtagMismatch => {}
            other => return failed(format!("{} of what somebody else has changed: {other:?}", verb.verb.name())),
        }
        there("after a change of what was there before it").await?;
    }
    ensure!(ids(&stand.inventory().await?).contains(&planted), "it is gone");
    Ok(())
}

async fn places(stand: &Stand<'_>) -> Verdict {
    RecordSet::ground(stand, Depth::Plain).await?;
    let long = "x".repeat(700);
    let good: [(&str, &str, &[&str]); 12] = [
        ("", "A", &["192.0.2.1", "192.0.2.2"]),
        ("", "MX", &["10 Mail.Example.com.", "0 ."]),
        ("", "TXT", &["v=spf1 -all", &long]),
        ("", "CAA", &["0 issue \"ca.example.net\""]),
        ("six", "AAAA", &["2001:db8::1"]),
        ("*", "CNAME", &["elsewhere.example"]),
        (r"a\056b", "TXT", &[r#"a "quoted" text"#]),
        ("_sip._tcp", "SRV", &["10 60 5060 sip.example.com"]),
        ("below", "NS", &["ns1.example.com", "ns2.example.com"]),
        ("Bücher", "PTR", &["host.example.com"]),
        ("phone", "NAPTR", &[r#"100 50 "u" "E2U+sip" "!^.*$!sip:info@example.com!" ."#]),
        ("alias", "CNAME", &["six.records.conformance.example"]),
    ];
    for (label, of, values) in good {
        let id = named(label, of)?;
        let spec = says(values, &id);
        let made = stand.drive(&create_of(stand, &id, spec.clone())?, Manner::PLAIN).await.object()?;
        let seen = stand.eventually(&Target::named(made.name.clone())).await?;
        ensure!(made.spec == spec && seen.spec == spec && seen.status.record_type == Some(id.record_type), "{id}: {spec:?} became {seen:?}");
    }
    let before = stand.inventory().await?;
    let elsewhere: RecordId = "www.elsewhere.example~A".parse()?;
    let bad = [
        ("a CNAME where the zone begins", named("", "CNAME")?, "host.example", Reason::InvalidField),
        ("name servers where the zone begins", named("", "NS")?, "ns.example", Reason::InvalidField),
        ("name servers of a wildcard", named("*.six", "NS")?, "ns.example", Reason::InvalidField),
        ("a name outside the zone", elsewhere, "192.0.2.1", Reason::InvalidField),
        ("a CNAME beside another type", named("six", "CNAME")?, "host.example", Reason::InUse),
        ("another type beside a CNAME", named("alias", "A")?, "192.0.2.1", Reason::InUse),
    ];
    for (what, id, value, reason) in bad {
        let create = create_of(stand, &id, says(&[value], &id))?;
        let driven = stand.drive(&create, Manner::PLAIN).await;
        match driven.end {
            Err(e) if e.reason() == reason && e.violations().iter().any(|v| v.field == "record_set_id") => {}
            other => return failed(format!("{what}: {other:?}")),
        }
        ensure!(stand.subject.served || driven.writes == 0, "{what} was found out by {} writes", driven.writes);
    }
    let now = stand.inventory().await?;
    ensure!(now == before, "there is {now:?} instead of {before:?}");
    Ok(())
}

async fn alias(stand: &Stand<'_>) -> Verdict {
    let zone = RecordSet::ground(stand, Depth::Plain).await?;
    let farm = LoadBalancer::ground(stand, Depth::Plain).await?;
    let balancer = stand.create::<LoadBalancer>(LoadBalancer::plain(stand, &farm, 0)).await?;
    let target = Ref::resolved(balancer.name.clone(), balancer.vendor_id.clone());
    let canonical = |mut spec: RecordSetSpec| -> Verdict<RecordSetSpec> {
        let wrong = RecordSet::canonical(&named("", "A")?, &mut spec);
        ensure!(wrong.is_empty(), "{wrong:?}");
        Ok(spec)
    };
    let of = |check_health| canonical(RecordSetSpec { alias: RecordAlias { load_balancer: Some(target.clone()), check_health }, ..RecordSetSpec::default() });

    // Where the zone begins, where no CNAME can be.
    let created = stand.drive(&create_of(stand, &named("", "A")?, of(true)?)?, Manner::PLAIN).await.object()?;
    let mut made = vec![created.clone()];
    for seen in [created, stand.eventually(&Target::named(made[0].name.clone())).await?, stand.eventually_listed(&made[0]).await?] {
        stand.echoes::<RecordSet>(&of(true)?, &seen)?;
        ensure!(seen.spec.values.is_empty() && seen.spec.ttl_s.is_none(), "an alias has no values: {:?}", seen.spec);
    }
    if stand.changes::<RecordSet>("alias") && stand.changes::<RecordSet>("values") {
        for desired in [of(false)?, says(&["192.0.2.1"], &made[0].name.id), of(true)?] {
            let changed = stand.update(&made[0], desired.clone(), Manner::PLAIN).await?;
            let seen = stand.eventually(&Target::named(changed.name.clone())).await?;
            let differ = differences::<RecordSet>(&desired, &seen.spec)?;
            ensure!(differ.is_empty(), "{desired:?} became {:?}: {differ:?}", seen.spec);
            made[0] = changed;
        }
    }
    if stand.honours::<RecordSet>("items.alias") && stand.honours::<RecordSet>("routing=WEIGHTED") {
        let item = |id: &str| RecordItem { id: id.into(), weight: Some(1), ..RecordItem::default() };
        let items = vec![RecordItem { alias: of(true)?.alias, ..item("a") }, RecordItem { values: vec!["192.0.2.1".into()], ..item("b") }];
        let spec = canonical(RecordSetSpec { ttl_s: Some(30), routing: Routing::Weighted, items, ..RecordSetSpec::default() })?;
        let created = stand.drive(&create_of(stand, &named("shared", "A")?, spec.clone())?, Manner::PLAIN).await.object()?;
        for seen in [created.clone(), stand.eventually(&Target::named(created.name.clone())).await?] {
            stand.echoes::<RecordSet>(&spec, &seen)?;
        }
        made.push(created);
    }

    // In a batch: what is so already is not written again.
    let batch = |desired: [Option<RecordSetSpec>; 2]| -> Verdict<Change<DnsZone>> {
        let change = |(n, desired)| Ok(RecordChange { id: named(&format!("r{n}"), "A")?, desired, owned: false });
        let changes = desired.into_iter().enumerate().map(change).collect::<Verdict<_>>()?;
        let mut action = DnsZoneAction::ChangeRecords(RecordChanges { mode: ChangeMode::Atomic, changes, ..RecordChanges::default() });
        let wrong = DnsZone::known(&mut action, &zone.name, &|_| true, 100);
        ensure!(wrong.is_empty(), "{wrong:?}");
        stand.change_of(&zone, Verb::Act(action))
    };
    let wanted = || Ok::<_, Stop>([Some(of(false)?), Some(says(&["192.0.2.1"], &named("r1", "A")?))]);
    for is_new in [true, false] {
        let driven = stand.drive(&batch(wanted()?)?, Manner::PLAIN).await;
        driven.end?;
        ensure!(stand.subject.served || (driven.writes > 0) == is_new, "{} writes, new: {is_new}", driven.writes);
        let seen = stand.get(&Target::named(Name::<RecordSet>::new(stand.place::<RecordSet>()?, named("r0", "A")?))).await?;
        let differ = differences::<RecordSet>(&of(false)?, &seen.spec)?;
        ensure!(differ.is_empty(), "it became {:?}: {differ:?}", seen.spec);
    }
    stand.drive(&batch([None, None])?, Manner::PLAIN).await.end?;

    for object in &made {
        stand.delete(object, Manner::PLAIN).await?;
    }
    stand.delete(&balancer, Manner::PLAIN).await?;
    let create = create_of(stand, &named("", "A")?, of(false)?)?;
    let driven = stand.drive(&create, Manner::PLAIN).await;
    match driven.end {
        Err(e) if e.reason() == Reason::ReferenceNotFound && e.violations().iter().any(|v| v.field == "alias.load_balancer") => {}
        other => return failed(format!("an alias of a load balancer that is gone: {other:?}")),
    }
    stand.clean(&create, driven.left).await
}

/// Changes of the record sets `r0`, `r1` ... to these values; None removes.
fn changes_of(stand: &Stand<'_>, zone: &Object<DnsZone>, values: &[Option<&str>], is_ours: bool) -> Verdict<Change<DnsZone>> {
    let change = |(n, value): (usize, &Option<&str>)| {
        let id = named(&format!("r{n}"), "A")?;
        let desired = value.map(|value| says(&[value], &id));
        Ok(RecordChange { id, desired, owned: false })
    };
    let changes = values.iter().enumerate().map(change).collect::<Verdict<_>>()?;
    let mut action = DnsZoneAction::ChangeRecords(RecordChanges { mode: ChangeMode::BestEffort, changes, ..RecordChanges::default() });
    // What an engine does.
    let wrong = DnsZone::known(&mut action, &zone.name, &|_| is_ours, 100);
    ensure!(wrong.is_empty(), "{wrong:?}");
    stand.change_of(zone, Verb::Act(action))
}
async fn values_there(stand: &Stand<'_>, count: usize) -> Verdict<Vec<Option<String>>> {
    let mut out = Vec::new();
    for n in 0..count {
        match stand.get(&Target::named(Name::<RecordSet>::new(stand.place::<RecordSet>()?, named(&format!("r{n}"), "A")?))).await {
            Ok(object) => out.push(object.spec.values.first().cloned()),
            Err(e) if e.is_not_found() => out.push(None),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(out)
}

async fn batch(stand: &Stand<'_>) -> Verdict {
    let zone = RecordSet::ground(stand, Depth::Plain).await?;
    stand.needs_verb::<DnsZone>(&VerbName::ChangeRecords.as_str())?;
    let (first, second) = ([Some("192.0.2.1"), Some("192.0.2.2"), Some("192.0.2.3"), None], [Some("192.0.2.11"), Some("192.0.2.2"), None, Some("192.0.2.14")]);
    let nothing = [None; 4];
    let wanted = |values: &[Option<&str>]| values.iter().map(|v| v.map(str::to_owned)).collect::<Vec<_>>();
    let mishaps: Vec<Mishap> = Mishap::CRASHES.into_iter().chain(stand.subject.fault_points.iter().map(|p| Mishap::Fault(*p))).collect();
    everywhere::<DnsZone>(
        stand,
        VerbName::ChangeRecords.as_str(),
        &mishaps,
        Manner::PLAIN,
        async || {
            stand.drive(&changes_of(stand, &zone, &first, true)?, Manner::PLAIN).await.end?;
            changes_of(stand, &zone, &second, true)
        },
        async |how, _, driven| {
            driven.end?;
            let there = values_there(stand, second.len()).await?;
            ensure!(there == wanted(&second), "{how}: there is {there:?}");
            Ok(())
        },
    )
    .await?;
    stand.drive(&changes_of(stand, &zone, &nothing, true)?, Manner::PLAIN).await.end?;
    ensure!(values_there(stand, nothing.len()).await? == wanted(&nothing), "something is left");

    if !stand.subject.world.abilities().plants {
        return Ok(());
    }
    let what = Planted::RecordSet { zone: zone.vendor_id.to_string(), id: named("r1", "A")?.to_string(), address: [192, 0, 2, 77].into() };
    let planted = stand.plant(Plant { what, mark: None }).await?;
    // Somebody else's stays, and the others are done.
    stand.drive(&changes_of(stand, &zone, &[Some("192.0.2.1"), Some("192.0.2.2"), Some("192.0.2.3")], false)?, Manner::PLAIN).await.end?;
    let there = values_there(stand, 3).await?;
    ensure!(there == wanted(&[Some("192.0.2.1"), Some("192.0.2.77"), Some("192.0.2.3")]), "there is {there:?}");
    stand.subject.world.remove(&planted).await?;
    stand.drive(&changes_of(stand, &zone, &nothing, true)?, Manner::PLAIN).await.end?;
    Ok(())
}
