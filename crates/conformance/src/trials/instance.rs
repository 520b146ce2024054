//! What only instances have: protection, capacity that runs short, and what outlives them.

use super::mishap::{Mishap, everywhere};
use crate::{
    runner::Manner,
    specimen::{Depth, Site, Specimen},
    stand::{Stand, Verdict, census, ensure, failed, skipped},
    trial::Trial,
};
use std::net::IpAddr;
use welkin_core::{
    Address, AddressSpec, AddressState, Alternative, Disk, DiskSpec, DiskState, Error, ErrorKind, Instance, InstanceSpec, Kind, Object, Reason, Ref, Subnet, SubnetSpec, Target,
    Verb,
};

pub(super) fn all() -> Vec<Trial> {
    let c = Instance::COLLECTION;
    vec![
        Trial::new(c, "protected", "what is protected is not deleted, and what was given up is, for all its protection", |stand| Box::pin(protected(stand))),
        Trial::new(c, "capacity", "where capacity is short an instance becomes the first alternative that there is; where there is none, nothing is left", |stand| {
            Box::pin(capacity(stand))
        }),
        Trial::new(c, "spot", "a spot instance is made, says that it is one, and is deleted", |stand| Box::pin(spot(stand))),
        Trial::new(c, "ends", "disks and addresses outlive their instance, and serve the next one", |stand| Box::pin(ends(stand))),
    ]
}

async fn protected(stand: &Stand<'_>) -> Verdict {
    if !stand.honours::<Instance>("deletion_protection") {
        return skipped("instances cannot be protected");
    }
    let site = Instance::ground(stand, Depth::Plain).await?;
    let spec = InstanceSpec { deletion_protection: true, ..Instance::plain(stand, &site, 0) };
    let before = stand.inventory().await?;
    let made = stand.create::<Instance>(spec.clone()).await?;
    stand.echoes(&spec, &made)?;
    let by_name = Target::named(made.name.clone());
    let seen = stand.eventually(&by_name).await?;
    stand.echoes(&spec, &seen)?;
    let there = stand.inventory().await?;
    let is_protected = |e: &Error| e.reason() == Reason::DeletionProtected && e.kind() == ErrorKind::FailedPrecondition && e.retry_after().is_none();
    let delete = stand.change_of(&made, Verb::Delete)?;
    match stand.check(&delete).await {
        Err(e) if is_protected(&e) => {}
        other => return failed(format!("the check of its delete: {other:?}")),
    }
    match stand.drive(&delete, Manner::PLAIN).await.end {
        Err(e) if is_protected(&e) => {}
        other => return failed(format!("its delete: {other:?}")),
    }
    let (now, still) = (stand.inventory().await?, stand.eventually(&by_name).await?);
    ensure!(now == there && (&still.spec, &still.status) == (&seen.spec, &seen.status), "refused, and {seen:?} became {still:?}");
    let open = stand.update(&made, InstanceSpec { deletion_protection: false, ..made.spec.clone() }, Manner::PLAIN).await?;
    ensure!(!open.spec.deletion_protection, "its protection was taken off, and it is {:?}", open.spec);
    stand.drive(&stand.change_of(&open, Verb::Delete)?, Manner::PLAIN).await.end?;
    if stand.subject.served {
        // A server cleans up after its own creates; what has ended well there is an instance like any other.
        return Ok(());
    }
    for memory in [Manner::PLAIN, Manner::FORGETFUL] {
        for at_most in 0..4 {
            let create = stand.create_of::<Instance>(spec.clone())?;
            let driven = stand.drive(&create, Manner { at_most: Some(at_most), ..memory }).await;
            driven.end?;
            stand.clean(&create, driven.left).await?;
            let left = stand.new_since(&before).await?;
            ensure!(left.is_empty(), "protected and given up after {at_most} steps: there is {left:?}");
        }
    }
    Ok(())
}

/// A specification with alternatives, and what has to be short so that only the last of them is left.
struct Choice {
    what: &'static str,
    spec: InstanceSpec,
    short: Vec<(String, Option<String>)>,
    became: fn(&InstanceSpec) -> (&str, Option<&str>),
    expected: (String, Option<String>),
}

async fn choices(stand: &Stand<'_>, site: &Site) -> Verdict<Vec<Choice>> {
    let [first, second] = &stand.subject.machine_types;
    let plain = Instance::plain(stand, site, 0);
    let mut out = Vec::new();
    if stand.honours::<Instance>("alternatives.machine_type") {
        let alternatives = vec![Alternative { machine_type: second.clone(), ..Alternative::default() }];
        let spec = InstanceSpec { alternatives, ..plain.clone() };
        out.push(Choice { what: "another machine type", spec, short: vec![(first.clone(), None)], became: |s| (&s.machine_type, None), expected: (second.clone(), None) });
    }
    let zones = stand.zones().await?;
    if let (true, Some(own), Some(other)) = (stand.honours::<Instance>("alternatives.subnet"), site.subnet.spec.zone.as_ref(), zones.get(1)) {
        let spec = SubnetSpec { cidrs: vec![crate::specimen::subnet_range(61)], zone: Some(other.clone()), ..site.subnet.spec.clone() };
        let there = stand.create::<Subnet>(spec).await?;
        let there = Ref::resolved(there.name, there.vendor_id);
        // A zone that is not the subnet's would be refused, so it is told where it can be.
        let zone = stand.honours::<Instance>("alternatives.zone").then(|| other.clone());
        let mut alternatives = vec![Alternative { subnet: Some(there), zone, ..Alternative::default() }];
        if stand.honours::<Instance>("alternatives.machine_type") {
            // The first alternative is short too: another type in the same zone.
            alternatives.insert(0, Alternative { machine_type: second.clone(), ..Alternative::default() });
        }
        let spec = InstanceSpec { alternatives, ..plain };
        let short = vec![(first.clone(), Some(own.clone())), (second.clone(), Some(own.clone()))];
        let became: fn(&InstanceSpec) -> (&str, Option<&str>) = |s| (&s.machine_type, s.zone.as_deref());
        out.push(Choice { what: "a subnet of another zone", spec, short, became, expected: (first.clone(), Some(other.clone())) });
    }
    Ok(out)
}

async fn capacity(stand: &Stand<'_>) -> Verdict {
    let world = &stand.subject.world;
    if !world.abilities().runs_short {
        return skipped("this cloud has capacity for everything");
    }
    if !stand.honours::<Instance>("alternatives") {
        return skipped("instances have no alternatives");
    }
    let site = Instance::ground(stand, Depth::Plain).await?;
    let choices = choices(stand, &site).await?;
    ensure!(!choices.is_empty(), "alternatives are claimed, and none of their fields is");
    let before = stand.inventory().await?;
    for choice in &choices {
        for (machine_type, zone) in &choice.short {
            world.run_short(machine_type, zone.as_deref()).await?;
        }
        let judge = async |how: &str, made: Object<Instance>| -> Verdict {
            let became = (choice.became)(&made.spec);
            ensure!(became == (choice.expected.0.as_str(), choice.expected.1.as_deref()), "{}, {how}: it became {became:?} instead of {:?}", choice.what, choice.expected);
            ensure!(Instance::is_ready(&made.status), "{}, {how}: it is {:?}", choice.what, made.status);
            let new = stand.new_since(&before).await?;
            ensure!(census(&new).get(Instance::COLLECTION) == Some(&1), "{}, {how}: there is {new:?}", choice.what);
            stand.delete(&made, Manner::PLAIN).await
        };
        for path in welkin_core::set_fields::<Instance>(&choice.spec).iter().filter(|path| path.starts_with("alternatives")) {
            stand.show::<Instance>(path);
        }
        let points = stand.subject.fault_points.iter().copied().map(Mishap::Fault);
        let mishaps: Vec<Mishap> = Mishap::CRASHES.into_iter().chain(points.filter(|_| world.abilities().faults)).collect();
        let ready = async || stand.create_of::<Instance>(choice.spec.clone());
        everywhere::<Instance>(stand, choice.what, &mishaps, Manner::PLAIN, ready, async |how, _, driven| judge(how, driven.object()?).await).await?;
        judge("amnesia", stand.drive(&ready().await?, Manner::FORGETFUL).await.object()?).await?;

        // And none is left.
        for machine_type in &stand.subject.machine_types {
            world.run_short(machine_type, None).await?;
        }
        let create = ready().await?;
        let driven = stand.drive(&create, Manner::PLAIN).await;
        match driven.end {
            Err(e) if e.reason() == Reason::Capacity && e.kind() == ErrorKind::Unavailable => {}
            other => return failed(format!("{}: nothing is left, and the answer is {other:?}", choice.what)),
        }
        stand.clean(&create, driven.left).await?;
        let left = stand.new_since(&before).await?;
        ensure!(left.is_empty(), "{}: nothing was left, and there is {left:?}", choice.what);
        world.restock().await;
    }
    Ok(())
}

async fn spot(stand: &Stand<'_>) -> Verdict {
    if !stand.honours::<Instance>("spot") {
        return skipped("there are no spot instances");
    }
    let site = Instance::ground(stand, Depth::Plain).await?;
    let spec = InstanceSpec { spot: true, ..Instance::plain(stand, &site, 0) };
    let made = stand.create::<Instance>(spec.clone()).await?;
    ensure!(Instance::is_ready(&made.status), "done, and not ready: {:?}", made.status);
    stand.echoes(&spec, &made)?;
    let seen = stand.eventually(&Target::named(made.name.clone())).await?;
    stand.echoes(&spec, &seen)?;
    stand.delete(&made, Manner::PLAIN).await
}

async fn ends(stand: &Stand<'_>) -> Verdict {
    if !stand.honours::<Address>("instance") || !stand.honours::<Disk>("instance") {
        return skipped("neither disks nor addresses of their own");
    }
    let site = Instance::ground(stand, Depth::Plain).await?;
    let plain = Instance::plain(stand, &site, 0);
    let shelf = Disk::ground(stand, Depth::Plain).await?;
    let disk: Object<Disk> = stand.create(Disk::plain(stand, &shelf, 0)).await?;
    let address: Object<Address> = stand.create(AddressSpec::default()).await?;
    let (mut disk, mut address) = (disk, address);
    for _ in 0..2 {
        let machine = stand.create::<Instance>(plain.clone()).await?;
        let instance = Some(Ref::resolved(machine.name.clone(), machine.vendor_id.clone()));
        disk = stand.update(&disk, DiskSpec { instance: instance.clone(), ..disk.spec.clone() }, Manner::PLAIN).await?;
        address = stand.update(&address, AddressSpec { instance, ..address.spec.clone() }, Manner::PLAIN).await?;
        ensure!(disk.status.state == DiskState::InUse && !disk.status.device.is_empty(), "attached, it is {:?}", disk.status);
        ensure!(address.status.state == AddressState::InUse && address.status.user == machine.vendor_id.as_str(), "leading to {}, it is {:?}", machine.name, address.status);
        let reached = |o: &Object<Instance>| {
            let has_ip = address.status.ip.is_some_and(|ip: IpAddr| o.status.public_ips.contains(&ip));
            has_ip && o.status.disk_ids.iter().any(|id| id == disk.vendor_id.as_str())
        };
        stand.eventually_with(&Target::named(machine.name.clone()), reached).await?;

        stand.delete(&machine, Manner::PLAIN).await?;
        disk = stand.eventually_with(&Target::named(disk.name.clone()), |o: &Object<Disk>| o.status.state == DiskState::Available).await?;
        address = stand.eventually_with(&Target::named(address.name.clone()), |o: &Object<Address>| o.status.state == AddressState::Available).await?;
        ensure!(disk.spec.instance.is_none() && disk.status.device.is_empty(), "its instance is gone, and it is {disk:?}");
        ensure!(address.spec.instance.is_none() && address.status.user.is_empty(), "its instance is gone, and it is {address:?}");
    }
    Ok(())
}
