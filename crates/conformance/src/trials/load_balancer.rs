//! What only load balancers have: backends that they share, groups that they open and shut, what they hold, and what they think of their backends.

use super::mishap::{Mishap, everywhere};
use crate::{
    runner::{End, Manner},
    specimen::{Depth, Farm, Specimen, listener, machine, to_instance},
    stand::{Stand, Verdict, ensure, failed, skipped},
    trial::Trial,
};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;
use welkin_core::{
    Address, Backend, BackendDelta, Change, Error, ErrorKind, Instance, InstanceAction, InstanceGroup, InstanceGroupQuestion, InstanceGroupSpec, InstanceTemplate, Kind, Listener,
    ListenerProtocol, LoadBalancer, LoadBalancerAction, LoadBalancerQuestion, LoadBalancerSpec, Managed, MemberState, Name, Object, Reason, Ref, Scheme, SecurityGroup,
    SecurityGroupSpec, Subnet, Target, TargetState, Verb,
};

pub(super) fn all() -> Vec<Trial> {
    let c = LoadBalancer::COLLECTION;
    vec![
        Trial::new(c, "overlapping", "two over the same backends open and shut their groups each for itself, and leave everything else in them alone", |stand| {
            Box::pin(overlapping(stand))
        }),
        Trial::new(c, "health", "backends that run are healthy for each listener, those that do not are not, and those that were taken away are none", |stand| {
            Box::pin(health(stand))
        }),
        super::trial!(c, "backends", "backends come and go by what is added and taken away, and no other is touched, whatever is lost", backends),
        super::trial!(c, "followed", "the instances of a group are led to as they come and go, and what they are in is opened", followed),
        super::trial!(c, "moved", "one that stands elsewhere keeps its address where it stays, and gives back that of where it goes", moved),
        Trial::new(c, "holds", "the subnets, the kept addresses and the groups of one are not deleted under it", |stand| Box::pin(holds(stand))),
        Trial::new(c, "protected", "what is protected is not deleted, and what was given up is, for all its protection", |stand| Box::pin(protected(stand))),
    ]
}

/// How long a backend may take to become what it should.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(100);

/// One over the first machine.
fn over_first(stand: &Stand<'_>, farm: &Farm, port: u16) -> LoadBalancerSpec {
    let listeners = vec![Listener { protocol: ListenerProtocol::Tcp, port: Some(port), ..Listener::default() }];
    LoadBalancerSpec { listeners, backends: farm.machines.iter().take(1).map(|(machine, _)| to_instance(machine)).collect(), ..LoadBalancer::plain(stand, farm, 0) }
}
/// Asks until these are the backends and every one is so, told once for each listener.
async fn becomes(stand: &Stand<'_>, balancer: &Object<LoadBalancer>, state: TargetState, backends: &[&Object<Instance>]) -> Verdict {
    let begin = Instant::now();
    let listeners = || balancer.spec.listeners.iter().map(Listener::key);
    let mut wanted: Vec<_> = backends.iter().flat_map(|b| listeners().map(|(protocol, port)| (b.vendor_id.to_string(), protocol, port))).collect();
    wanted.sort_unstable();
    loop {
        let answer = stand.ask::<LoadBalancer>(&Target::named(balancer.name.clone()), &LoadBalancerQuestion::TargetHealth).await;
        let told = answer.as_ref().ok().map(|all| {
            let mut told: Vec<_> = all.iter().map(|t| (t.backend.clone(), t.protocol, t.port)).collect();
            told.sort_unstable();
            told
        });
        match answer {
            Ok(all) if told.as_ref() == Some(&wanted) && all.iter().all(|t| t.state == state) => return Ok(()),
            Err(e) if !e.is_not_found() => return Err(e.into()),
            other if begin.elapsed() > PATIENCE => return failed(format!("the backends of {} do not become {state}, {wanted:?}: {other:?}", balancer.name)),
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}
/// The rules of others in a group: there may be this many for each load balancer.
async fn opened(stand: &Stand<'_>, group: &Object<SecurityGroup>, rules: usize) -> Verdict<Object<SecurityGroup>> {
    let seen = stand.eventually(&Target::named(group.name.clone())).await?;
    ensure!(seen.status.other_rules.len() == rules, "{rules} rules of load balancers should be in {}: {:?}", group.name, seen.status.other_rules);
    Ok(seen)
}

/// Where three machines stand that two load balancers share, and what each of their groups should be like.
struct Overlap<'a> {
    stand: &'a Stand<'a>,
    farm: &'a Farm,
    doors: [&'a Object<SecurityGroup>; 3],
}
impl Overlap<'_> {
    /// One over these machines, and each with the same listener, so that only the peers of the rules differ.
    fn over(&self, machines: [&Object<Instance>; 2]) -> LoadBalancerSpec {
        LoadBalancerSpec { backends: machines.map(to_instance).into(), ..over_first(self.stand, self.farm, 80) }
    }
    /// The rules of others in each group: these many.
    async fn opened(&self, how: &str, rules: [usize; 3]) -> Verdict<[BTreeSet<String>; 3]> {
        let mut seen = [const { BTreeSet::new() }; 3];
        for (door, (seen, rules)) in self.doors.iter().zip(seen.iter_mut().zip(rules)) {
            let now = self.stand.eventually(&Target::named(door.name.clone())).await?.status.other_rules;
            ensure!(now.len() == rules, "{how}: {rules} rules of load balancers should be in {}: {now:?}", door.name);
            seen.extend(now);
        }
        Ok(seen)
    }
}

async fn overlapping(stand: &Stand<'_>) -> Verdict {
    if !stand.honours::<LoadBalancer>("backends.instance") {
        return skipped("instances are no backends");
    }
    let farm = LoadBalancer::ground(stand, Depth::Whole).await?;
    let [(a, a_door), (b, b_door)] = &*farm.machines else { return failed("there should be two machines") };
    let (c, c_door) = &machine(stand, &farm, true).await?;
    let at = Overlap { stand, farm: &farm, doors: [a_door, b_door, c_door] };
    // The one leads to a and b, the other one to b and c.
    let one = stand.create::<LoadBalancer>(at.over([a, b])).await?;
    let of_one = at.opened("the one", [1, 1, 0]).await?;
    let other = stand.create::<LoadBalancer>(at.over([b, c])).await?;
    let both = at.opened("both", [1, 2, 1]).await?;
    let of_other = [BTreeSet::new(), &both[1] - &of_one[1], both[2].clone()];
    ensure!(both[0] == of_one[0] && of_other[1].len() == 1, "the other one has made {both:?} of {of_one:?}");
    let alone = async |how: &str| -> Verdict {
        let now = at.opened(how, [0, 1, 1]).await?;
        ensure!(now == of_other, "{how}: the rules of the other one were {of_other:?} and are {now:?}");
        Ok(())
    };
    for (balancer, led, doors) in [(&one, [a, b], [a_door, b_door]), (&other, [b, c], [b_door, c_door])] {
        becomes(stand, balancer, TargetState::Healthy, &led).await?;
        let opened: BTreeSet<String> = stand.eventually(&Target::named(balancer.name.clone())).await?.status.opened_security_groups.into_iter().collect();
        ensure!(opened == doors.map(|door| door.vendor_id.to_string()).into(), "it opened {opened:?}");
    }

    // The group's own rules come and go beside theirs.
    let mut door = stand.eventually(&Target::named(b_door.name.clone())).await?;
    for rules in [vec![welkin_core::SecurityRule { same_group: true, ..ssh() }], Vec::new()] {
        door = stand.update(&door, SecurityGroupSpec { rules, ..door.spec.clone() }, Manner::PLAIN).await?;
        ensure!(door.status.other_rules.iter().cloned().collect::<BTreeSet<_>>() == both[1], "an update of the group left {:?} of {both:?}", door.status.other_rules);
    }

    // Another port of the one, then one backend fewer: it leaves the group of the one that is the other one's too, which keeps its own rule there.
    let listeners = vec![listener(ListenerProtocol::Tcp, 81, None)];
    let one = stand.update(&one, LoadBalancerSpec { listeners, ..one.spec.clone() }, Manner::PLAIN).await?;
    let now = at.opened("another port", [1, 2, 1]).await?;
    ensure!(now[1].is_superset(&of_other[1]) && now[2] == of_other[2], "another port of the one: of {of_other:?} there is {now:?}");
    becomes(stand, &one, TargetState::Healthy, &[a, b]).await?;
    becomes(stand, &other, TargetState::Healthy, &[b, c]).await?;
    let one = stand.update(&one, LoadBalancerSpec { backends: vec![to_instance(a)], ..one.spec.clone() }, Manner::PLAIN).await?;
    let now = at.opened("without b", [1, 1, 1]).await?;
    ensure!(now[1..] == of_other[1..], "b was taken from the one: the rules of the other one were {of_other:?}, and there is {now:?}");
    becomes(stand, &one, TargetState::Healthy, &[a]).await?;
    becomes(stand, &other, TargetState::Healthy, &[b, c]).await?;

    // Its end, also with the shared backend and wherever it is interrupted: its groups are shut, and the other one's rules stay.
    stand.delete(&one, Manner::PLAIN).await?;
    alone("the one is gone").await?;
    let before = stand.inventory().await?;
    everywhere::<LoadBalancer>(
        stand,
        "delete beside another one",
        &Mishap::CRASHES,
        Manner::PLAIN,
        async || {
            let made = stand.create::<LoadBalancer>(at.over([a, b])).await?;
            at.opened("the one again", [1, 2, 1]).await?;
            stand.change_of(&made, Verb::Delete)
        },
        async |how, _, driven| {
            driven.end?;
            alone(how).await?;
            let left = stand.new_since(&before).await?;
            ensure!(left.is_empty(), "{how}: there is {left:?}");
            Ok(())
        },
    )
    .await?;
    becomes(stand, &other, TargetState::Healthy, &[b, c]).await?;

    // All its backends are replaced: its rules go from their groups into another one. Without it there is none.
    let other = stand.update(&other, LoadBalancerSpec { backends: vec![to_instance(a)], ..other.spec.clone() }, Manner::PLAIN).await?;
    at.opened("replaced", [1, 0, 0]).await?;
    becomes(stand, &other, TargetState::Healthy, &[a]).await?;
    stand.delete(&other, Manner::PLAIN).await?;
    at.opened("both are gone", [0, 0, 0]).await?;
    for door in at.doors {
        let shut = stand.eventually(&Target::named(door.name.clone())).await?;
        ensure!(shut.spec == door.spec, "the group has changed from {:?} to {:?}", door.spec, shut.spec);
    }
    Ok(())
}
fn ssh() -> welkin_core::SecurityRule {
    let protocol = Some(welkin_core::Protocol::TCP);
    welkin_core::SecurityRule { direction: welkin_core::Direction::Ingress, protocol, from_port: Some(22), to_port: Some(22), ..Default::default() }
}

async fn health(stand: &Stand<'_>) -> Verdict {
    stand.needs_verb::<LoadBalancer>(&LoadBalancerQuestion::TargetHealth)?;
    stand.needs_verb::<Instance>(&InstanceAction::Stop)?;
    let farm = LoadBalancer::ground(stand, Depth::Whole).await?;
    let machines: Vec<&Object<Instance>> = farm.machines.iter().map(|(machine, _)| machine).collect();
    let [first, second] = &*machines else { return failed("there should be two machines") };
    let backends = machines.iter().map(|m| to_instance(m)).collect();
    // Told apart by the port, and at one port by the protocol.
    let mut listeners = vec![listener(ListenerProtocol::Tcp, 80, None), listener(ListenerProtocol::Tcp, 53, None)];
    if !stand.is_refused::<LoadBalancer>("listeners.protocol=UDP") {
        listeners.push(listener(ListenerProtocol::Udp, 53, None));
    }
    let made = stand.create::<LoadBalancer>(LoadBalancerSpec { backends, listeners, ..LoadBalancer::plain(stand, &farm, 0) }).await?;
    becomes(stand, &made, TargetState::Healthy, &[first, second]).await?;
    let made = stand.update(&made, LoadBalancerSpec { backends: vec![to_instance(first)], ..made.spec.clone() }, Manner::PLAIN).await?;
    becomes(stand, &made, TargetState::Healthy, &[first]).await?;
    stand.act(first, InstanceAction::Stop, Manner::PLAIN).await?;
    becomes(stand, &made, TargetState::Unhealthy, &[first]).await?;
    stand.act(first, InstanceAction::Start, Manner::PLAIN).await?;
    becomes(stand, &made, TargetState::Healthy, &[first]).await
}

fn change_backends(stand: &Stand<'_>, balancer: &Object<LoadBalancer>, add: Vec<Backend>, remove: Vec<Backend>) -> Verdict<Change<LoadBalancer>> {
    stand.act_of(balancer, LoadBalancerAction::ChangeBackends(BackendDelta { add, remove }))
}
/// How many there are afterwards.
async fn changed(stand: &Stand<'_>, balancer: &Object<LoadBalancer>, add: Vec<Backend>, remove: Vec<Backend>) -> Verdict<u32> {
    let change = change_backends(stand, balancer, add, remove)?;
    stand.check(&change).await?;
    let End::Acted(told) = stand.drive(&change, Manner::PLAIN).await.end? else { return failed("a change of backends without an outcome") };
    Ok(told.backends)
}
async fn backends(stand: &Stand<'_>) -> Verdict {
    if !stand.honours::<LoadBalancer>("backends.instance") {
        return skipped("instances are no backends");
    }
    stand.needs_verb::<LoadBalancer>(&LoadBalancerAction::ChangeBackends(BackendDelta::default()))?;
    let farm = LoadBalancer::ground(stand, Depth::Whole).await?;
    let [(first, door), (second, other_door)] = &*farm.machines else { return failed("there should be two machines") };
    let (one, other) = (|| vec![to_instance(first)], || vec![to_instance(second)]);
    let made = stand.create::<LoadBalancer>(over_first(stand, &farm, 80)).await?;
    let is = async |how: &str, led: &[&Object<Instance>], doors: [usize; 2]| -> Verdict {
        // By the name that a server knows, or by the vendor's id.
        let leads_to = |b: &Backend, m: &Object<Instance>| b.instance.as_ref().is_some_and(|r| r.name == m.name || r.vendor_id.as_ref() == Some(&m.vendor_id));
        let is_so = |o: &Object<LoadBalancer>| o.spec.backends.len() == led.len() && led.iter().all(|m| o.spec.backends.iter().any(|b| leads_to(b, m)));
        let seen = stand.eventually_with(&Target::named(made.name.clone()), is_so).await?;
        ensure!(LoadBalancerSpec { backends: Vec::new(), ..seen.spec.clone() } == LoadBalancerSpec { backends: Vec::new(), ..made.spec.clone() }, "{how}: {seen:?}");
        opened(stand, door, doors[0]).await?;
        opened(stand, other_door, doors[1]).await?;
        Ok(())
    };
    for (how, add, remove, told, led, doors) in [
        ("one more", other(), Vec::new(), 2, vec![first, second], [1, 1]),
        ("the same again", other(), Vec::new(), 2, vec![first, second], [1, 1]),
        ("one less", Vec::new(), one(), 1, vec![second], [0, 1]),
        ("less what is none", Vec::new(), one(), 1, vec![second], [0, 1]),
        ("the last one replaced", one(), other(), 1, vec![first], [1, 0]),
    ] {
        let came = changed(stand, &made, add, remove).await?;
        ensure!(came == told, "{how} came to {came:?} instead of {told:?}");
        is(how, &led, doors).await?;
    }
    becomes(stand, &made, TargetState::Healthy, &[first]).await?;

    // Nothing happens where nothing would be left, or two forms would be together.
    let address = vec![Backend { address: Some(std::net::Ipv4Addr::new(10, 20, 0, 77).into()), ..Backend::default() }];
    for (add, remove, field) in [(Vec::new(), one(), "remove"), (address, Vec::new(), "add")] {
        let change = change_backends(stand, &made, add, remove)?;
        for refused in [stand.check(&change).await.err(), stand.drive(&change, Manner::PLAIN).await.end.err()] {
            let fields = refused.as_ref().map(|e| (e.kind(), e.violations().iter().map(|v| v.field.clone()).collect::<Vec<_>>()));
            ensure!(fields == Some((ErrorKind::InvalidArgument, vec![field.to_owned()])), "{change:?} came to {refused:?}");
        }
    }
    is("refused", &[first], [1, 0]).await?;

    let points = stand.subject.fault_points.iter().copied().map(Mishap::Fault).filter(|_| stand.subject.world.abilities().faults);
    let mishaps: Vec<Mishap> = Mishap::CRASHES.into_iter().chain(points).collect();
    everywhere::<LoadBalancer>(
        stand,
        "change_backends",
        &mishaps,
        Manner::PLAIN,
        async || {
            changed(stand, &made, one(), other()).await?;
            change_backends(stand, &made, other(), one())
        },
        async |how, _, driven| {
            driven.end?;
            is(how, &[second], [0, 1]).await
        },
    )
    .await?;

    // What is gone can be taken away: it is led to no more, and the others stay.
    changed(stand, &made, one(), Vec::new()).await?;
    stand.delete::<Instance>(second, Manner::PLAIN).await?;
    let by_id = Name::new(second.name.parent.clone(), Instance::foreign_id(second.vendor_id.as_str())?);
    let gone = Backend { instance: Some(Ref::resolved(by_id, second.vendor_id.clone())), ..Backend::default() };
    let left = changed(stand, &made, Vec::new(), vec![gone]).await?;
    ensure!(left == 1, "{left} backends are left");
    is("gone", &[first], [1, 0]).await
}

async fn followed(stand: &Stand<'_>) -> Verdict {
    if !stand.honours::<LoadBalancer>("backends.instance_group") {
        return skipped("instance groups are no backends");
    }
    let farm = LoadBalancer::ground(stand, Depth::Whole).await?;
    let [(machine, door), ..] = &*farm.machines else { return failed("there should be two machines") };
    let template = InstanceTemplate {
        machine_types: vec![machine.spec.machine_type.clone()],
        image: machine.spec.image.clone(),
        security_groups: vec![Ref::resolved(door.name.clone(), door.vendor_id.clone())],
        ..InstanceTemplate::default()
    };
    let subnets = farm.subnets.iter().map(|s| Ref::resolved(s.name.clone(), s.vendor_id.clone())).collect();
    let group = stand.create::<InstanceGroup>(InstanceGroupSpec { template, subnets, max_size: Some(3), size: Some(1), ..InstanceGroupSpec::default() }).await?;
    let backends = vec![Backend { instance_group: Some(Ref::resolved(group.name.clone(), group.vendor_id.clone())), ..Backend::default() }];
    let spec = LoadBalancerSpec { backends, ..over_first(stand, &farm, 80) };
    let made = stand.create::<LoadBalancer>(spec.clone()).await?;
    stand.echoes(&spec, &made)?;
    opened(stand, door, 1).await?;
    for size in [1, 3, 0, 2] {
        let now = stand.eventually(&Target::named(group.name.clone())).await?;
        stand.update::<InstanceGroup>(&now, InstanceGroupSpec { size: Some(size), ..now.spec.clone() }, Manner::PLAIN).await?;
        let begin = Instant::now();
        loop {
            let members = stand.eventually_asked::<InstanceGroup>(&Target::named(group.name.clone()), &InstanceGroupQuestion::Members).await?;
            let there: BTreeSet<String> = members.iter().filter(|m| m.state == MemberState::Running).map(|m| m.instance.clone()).collect();
            let health = stand.eventually_asked::<LoadBalancer>(&Target::named(made.name.clone()), &LoadBalancerQuestion::TargetHealth).await?;
            let led: BTreeSet<String> = health.iter().filter(|t| t.state == TargetState::Healthy).map(|t| t.backend.clone()).collect();
            if led == there && u32::try_from(led.len()) == Ok(size) && led.len() == health.len() {
                break;
            }
            ensure!(begin.elapsed() < PATIENCE, "of {members:?} it leads to {health:?}");
            tokio::time::sleep(LOOK).await;
        }
    }
    // One that is gone is led to no more, and what it is in is shut with the load balancer.
    let now = stand.eventually(&Target::named(group.name.clone())).await?;
    stand.delete(&now, Manner::PLAIN).await?;
    let health = stand.eventually_asked::<LoadBalancer>(&Target::named(made.name.clone()), &LoadBalancerQuestion::TargetHealth).await?;
    ensure!(health.is_empty(), "the group is gone, and it leads to {health:?}");
    stand.delete(&made, Manner::PLAIN).await?;
    opened(stand, door, 0).await?;
    Ok(())
}

async fn moved(stand: &Stand<'_>) -> Verdict {
    if !stand.changes::<LoadBalancer>("subnets") || !stand.changes::<LoadBalancer>("addresses") {
        return skipped("a load balancer stays where it is, or has no kept addresses");
    }
    let farm = LoadBalancer::ground(stand, Depth::Whole).await?;
    let ([first, second], [here, there]) = (&*farm.subnets, &*farm.addresses) else { return failed("there should be two subnets and two addresses") };
    let (subnet, address) = (|s: &Object<Subnet>| Ref::resolved(s.name.clone(), s.vendor_id.clone()), |a: &Object<Address>| Ref::resolved(a.name.clone(), a.vendor_id.clone()));
    let mut spec = LoadBalancerSpec { scheme: Scheme::Public, subnets: vec![subnet(first)], addresses: vec![address(here)], ..over_first(stand, &farm, 80) };
    let made = stand.create::<LoadBalancer>(spec.clone()).await?;
    // The address of where it stays cannot become another one, nor can there be one fewer.
    for addresses in [vec![address(there)], Vec::new()] {
        let other = stand.update_of(&made, LoadBalancerSpec { addresses, ..made.spec.clone() })?;
        for refused in [stand.check(&other).await, stand.drive(&other, Manner::PLAIN).await.end.map(drop)] {
            let field = refused.as_ref().err().and_then(|e| Some(e.violations().first()?.field.clone()));
            ensure!(field.as_deref() == Some("addresses"), "another address where it stays: {refused:?}");
        }
    }
    (spec.subnets, spec.addresses) = (vec![subnet(first), subnet(second)], vec![address(here), address(there)]);
    spec.settle();
    let made = stand.update(&made, LoadBalancerSpec { subnets: spec.subnets.clone(), addresses: spec.addresses.clone(), ..made.spec.clone() }, Manner::PLAIN).await?;
    stand.echoes(&spec, &made)?;
    for one in [here, there] {
        let seen = stand.eventually_with(&Target::named(one.name.clone()), |a| !a.status.user.is_empty()).await?;
        ensure!(seen.status.user == made.vendor_id.as_str(), "{} is used by {:?}", one.name, seen.status.user);
        ensure!(seen.status.ip.is_some_and(|ip| made.status.ip_addresses.contains(&ip)), "it is reached at {:?}", made.status.ip_addresses);
    }
    // It goes from where it stood first, whose subnet and address others can have.
    (spec.subnets, spec.addresses) = (vec![subnet(second)], vec![address(there)]);
    let made = stand.update(&made, LoadBalancerSpec { subnets: spec.subnets.clone(), addresses: spec.addresses.clone(), ..made.spec.clone() }, Manner::PLAIN).await?;
    stand.echoes(&spec, &made)?;
    stand.eventually_with(&Target::named(here.name.clone()), |a: &Object<Address>| a.status.user.is_empty()).await?;
    stand.delete::<Address>(here, Manner::PLAIN).await?;
    is_held(stand, second).await?;
    becomes(stand, &made, TargetState::Healthy, &[&farm.machines[0].0]).await
}

async fn holds(stand: &Stand<'_>) -> Verdict {
    let farm = LoadBalancer::ground(stand, Depth::Whole).await?;
    let has_addresses = stand.honours::<LoadBalancer>("addresses");
    let scheme = if has_addresses { Scheme::Public } else { Scheme::Internal };
    let address = farm.addresses.first().filter(|_| has_addresses);
    let addresses = address.iter().map(|a| Ref::resolved(a.name.clone(), a.vendor_id.clone())).collect();
    let made = stand.create::<LoadBalancer>(LoadBalancerSpec { scheme, addresses, ..over_first(stand, &farm, 80) }).await?;
    for subnet in farm.subnets.iter().take(1) {
        is_held(stand, subnet).await?;
    }
    if let Some(address) = address {
        is_held::<Address>(stand, address).await?;
        let seen = stand.eventually_with(&Target::named(address.name.clone()), |a| !a.status.user.is_empty()).await?;
        ensure!(seen.status.user == made.vendor_id.as_str(), "it is used by {:?}", seen.status.user);
        ensure!(seen.status.ip.is_some_and(|ip| made.status.ip_addresses.contains(&ip)), "it is reached at {:?}", made.status.ip_addresses);
    }
    stand.delete(&made, Manner::PLAIN).await?;
    if let Some(address) = address {
        stand.delete::<Address>(address, Manner::PLAIN).await?;
    }
    Ok(())
}
async fn is_held<K: Specimen>(stand: &Stand<'_>, object: &Object<K>) -> Verdict {
    match stand.drive(&stand.change_of(object, Verb::Delete)?, Manner::PLAIN).await.end {
        Err(e) if e.reason() == Reason::InUse && e.kind() == ErrorKind::FailedPrecondition && e.retry_after().is_none() => Ok(()),
        other => failed(format!("{} is deleted under a load balancer: {other:?}", object.name)),
    }
}

async fn protected(stand: &Stand<'_>) -> Verdict {
    if !stand.honours::<LoadBalancer>("deletion_protection") {
        return skipped("load balancers cannot be protected");
    }
    let farm = LoadBalancer::ground(stand, Depth::Whole).await?;
    let spec = LoadBalancerSpec { deletion_protection: true, ..over_first(stand, &farm, 80) };
    ensure!(LoadBalancer::violations(&spec).is_empty(), "{spec:?} should be well-formed");
    let before = stand.inventory().await?;
    let made = stand.create::<LoadBalancer>(spec.clone()).await?;
    let by_name = Target::named(made.name.clone());
    let (seen, there) = (stand.eventually(&by_name).await?, stand.inventory().await?);
    let is_protected = |e: &Error| e.reason() == Reason::DeletionProtected && e.kind() == ErrorKind::FailedPrecondition && e.retry_after().is_none();
    let delete = stand.change_of(&made, Verb::Delete)?;
    match (stand.check(&delete).await, stand.drive(&delete, Manner::PLAIN).await.end) {
        (Err(check), Err(end)) if is_protected(&check) && is_protected(&end) => {}
        other => return failed(format!("its delete, and the check of that: {other:?}")),
    }
    let (now, still) = (stand.inventory().await?, stand.eventually(&by_name).await?);
    ensure!(now == there && (&still.spec, &still.status) == (&seen.spec, &seen.status), "refused, and {seen:?} became {still:?}");
    stand.delete(&made, Manner::PLAIN).await?;
    if stand.subject.served {
        // A server cleans up after its own creates; what has ended well there is a load balancer like any other.
        return Ok(());
    }
    for memory in [Manner::PLAIN, Manner::FORGETFUL] {
        for at_most in 0..5 {
            let create = stand.create_of::<LoadBalancer>(spec.clone())?;
            let driven = stand.drive(&create, Manner { at_most: Some(at_most), ..memory }).await;
            driven.end?;
            stand.clean(&create, driven.left).await?;
            let left = stand.new_since(&before).await?;
            ensure!(left.is_empty(), "protected and given up after {at_most} steps: there is {left:?}");
        }
    }
    Ok(())
}
