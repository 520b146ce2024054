//! Load balancers: a load balancer of the vendor with its listeners, a pool with its targets, a security group of its own, and rules in the groups of its
//! backends. The group is made first and is found again by its marks; the pool and the load balancer have names that follow from the uid, under which the
//! vendor makes each once.

mod opening;

use crate::{
    Sim, error, mark,
    resource::{Found, Fragment, Kept, Rows, all_pages, by_vendor_id, expected, is_adopted, or_gone, rows},
    vendor::{
        self, Action, Answer, Balanced, BalancerSettings, Check, Cloud, Code, Filter, Health, MOST_TARGETS_A_CALL, NewLoadBalancer, NewPool, NewSecurityGroup, Pool, PoolSettings,
        Shown, Tags, VendorListener, Wanted,
    },
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::IpAddr, time::Duration};
use welkin_core::{
    Address, Backend, BackendChanges, BackendsChanged, Change, Cx, Driver, Error, ErrorKind, FieldPath, HealthCheck, HealthProtocol, Instance, InstanceGroup, Kind, Listener,
    ListenerChanges, ListenerProtocol, LoadBalancer, LoadBalancerAction, LoadBalancerQuestion, LoadBalancerSpec, LoadBalancerState, LoadBalancerStatus, LoadBalancerWish,
    LocationName, Name, Network, Object, Past, Reader, Reason, Ref, ResourceId, Result, Resume, Scheme, Step, Subnet, Target, TargetHealth, TargetState, Verb, Violation,
};

pub(crate) use crate::mark::PART;

/// What a create has made so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    group: String,
    /// Everything is there but time.
    load_balancer: Option<String>,
}
/// What its own rules are known by.
struct Ours<'a> {
    group: &'a str,
    uid: &'a str,
}

fn changes(there: &Pool, backends: &[Backend]) -> Result<BackendChanges> {
    BackendChanges::between(there.targets.iter().filter(|t| t.drains_until_ms.is_none()).map(|t| t.id.as_str()), backends)
}

/// What the vendor chooses where it is left open.
const IDLE_TIMEOUT_S: u32 = 350;
const INTERVAL_S: u32 = 10;
const THRESHOLD: u32 = 3;

#[async_trait]
impl Kept for LoadBalancer {
    type Row = Balanced;
    const READ: Action = Action::DescribeLoadBalancers;
    const REMOVE: Action = Action::DeleteLoadBalancer;
    const UNKNOWN: Code = Code::LoadBalancerNotFound;
    const HOLDS_PARTS: bool = true;

    async fn one(cloud: &Cloud, region: &str, id: &str) -> Answer<Option<Balanced>> {
        cloud.load_balancer(region, id).await
    }
    async fn many(cloud: &Cloud, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Answer<Rows<Balanced>> {
        cloud.load_balancers(region, filter, after, size).await
    }
    async fn remove(cloud: &Cloud, region: &str, id: &str) -> Answer<()> {
        cloud.delete_load_balancer(region, id).await
    }
    async fn free(sim: &Sim, cx: &Cx, region: &str, (row, _): &Balanced) -> Result<()> {
        let settings = row.body().settings;
        if settings.protected {
            let call = sim.cloud.modify_load_balancer(region, row.id(), BalancerSettings { protected: false, ..settings }, None);
            let open = sim.call(cx, Action::ModifyLoadBalancer, region, call).await;
            open.map(drop).or_else(|e| if error::is(&e, Self::UNKNOWN) { Ok(()) } else { Err(e) })?;
        }
        Ok(())
    }
    fn is_leaving((row, _): &Balanced) -> bool {
        row.body().leaves
    }
    /// The parts were made before it, and what was made lately is looked for until the horizon.
    async fn shows_parts(_: &Sim, _: &Cx, _: &str, _: &Balanced) -> Result<bool> {
        Ok(true)
    }
    async fn fragments(sim: &Sim, cx: &Cx, region: &str, marks: &[(&str, &str)]) -> Result<Vec<Fragment>> {
        let pools = all_pages(async |after| {
            let call = sim.cloud.pools(region, Filter { tags: marks, ids: &[] }, after.as_deref(), usize::MAX);
            sim.call(cx, Action::DescribePools, region, call).await.map(rows)
        });
        let pools = pools.await?;
        // Under the mark of a part: it is no security group of its own.
        let marks: Vec<_> = marks.iter().map(|(key, value)| (if *key == mark::ID { PART } else { *key }, *value)).collect();
        let groups = all_pages(async |after| {
            let call = sim.cloud.security_groups(region, Filter { tags: &marks, ids: &[] }, after.as_deref(), usize::MAX);
            sim.call(cx, Action::DescribeSecurityGroups, region, call).await.map(rows)
        });
        let groups = groups.await?;
        let parts = groups.iter().filter(|g| g.tags().is_some_and(|tags| tags.contains_key(PART)));
        Ok(pools.iter().map(Fragment::of).chain(parts.map(Fragment::of)).collect())
    }
    async fn remove_fragment(sim: &Sim, cx: &Cx, region: &str, id: &str) -> Result<()> {
        let removed = if id.starts_with(<Pool as vendor::Body>::PREFIX) {
            sim.call(cx, Action::DeletePool, region, sim.cloud.delete_pool(region, id)).await
        } else {
            sim.shut(cx, region, id).await?;
            sim.call(cx, Action::DeleteSecurityGroup, region, sim.cloud.delete_security_group(region, id)).await
        };
        removed.or_else(|e| if [Code::TargetPoolNotFound, Code::SecurityGroupNotFound].iter().any(|code| error::is(&e, *code)) { Ok(()) } else { Err(e) })
    }
    fn incomplete() -> LoadBalancerStatus {
        LoadBalancerStatus { state: LoadBalancerState::Incomplete, ..LoadBalancerStatus::default() }
    }
    fn told(location: &LocationName, (row, around): &Balanced, tags: &Tags) -> Result<(LoadBalancerSpec, LoadBalancerStatus)> {
        let body = row.body();
        let network = match tags.get(mark::NETWORK).and_then(|id| id.parse::<ResourceId>().ok()) {
            Some(id) => id,
            None => Network::foreign_id(&body.network)?,
        };
        let pool = around.pool.as_ref();
        let settings = pool.map(|p| &p.settings);
        let mut spec = LoadBalancerSpec {
            network: Some(Ref::resolved(Name::new(location.clone(), network), body.network.parse()?)),
            subnets: body.places.iter().map(|p| by_vendor_id::<Subnet>(location, &p.subnet)).collect::<Result<_>>()?,
            scheme: if body.is_public { Scheme::Public } else { Scheme::Internal },
            listeners: body.listeners.iter().map(listener_of).collect(),
            backends: pool.into_iter().flat_map(|p| &p.targets).map(|t| backend_of(location, &t.id)).collect::<Result<_>>()?,
            health_check: settings.map(|s| check_of(&s.check)).unwrap_or_default(),
            source_ranges: around.ranges.iter().copied().collect(),
            client_ip_affinity: settings.is_some_and(|s| s.affinity),
            preserve_client_ip: settings.map(|s| s.preserve_client_ip),
            proxy_protocol: settings.is_some_and(|s| s.proxy_protocol),
            cross_zone: body.settings.cross_zone,
            idle_timeout_s: Some(body.settings.idle_timeout_s),
            addresses: body.places.iter().filter_map(|p| p.address.as_ref()).map(|id| by_vendor_id::<Address>(location, id)).collect::<Result<_>>()?,
            dual_stack: body.dual_stack,
            deletion_protection: body.settings.protected,
            labels: mark::labels(tags),
            provider_config: None,
        };
        spec.settle();
        let state = match () {
            () if body.leaves => LoadBalancerState::Deleting,
            () if !around.is_whole => LoadBalancerState::Incomplete,
            () if !body.has_settled(row.at_ms) => LoadBalancerState::Provisioning,
            () => LoadBalancerState::Active,
        };
        let public = body.places.iter().filter_map(|p| p.public_ip).map(IpAddr::V4);
        let private = body.places.iter().flat_map(|p| &p.private_ips).copied().filter(|ip| ip.is_ipv6() || !body.is_public);
        let status = LoadBalancerStatus {
            state,
            state_reason: String::new(),
            dns_name: format!("{}.{}.lb.sim.invalid", row.id(), location.id),
            ip_addresses: public.chain(private).collect(),
            opened_security_groups: around.opened.clone(),
        };
        Ok((spec, status))
    }
    fn place(location: &LocationName, _: &Balanced) -> String {
        location.id.to_string()
    }
}

fn named<T: Copy + ToString + Default>(all: &[T], name: &str) -> T {
    all.iter().find(|v| v.to_string() == name).copied().unwrap_or_default()
}
fn listener_of(listener: &VendorListener) -> Listener {
    Listener { protocol: named(ListenerProtocol::ALL, &listener.protocol), port: Some(listener.port), target_port: Some(listener.target_port), certificate: None }
}
fn vendor_listener(listener: &Listener) -> Result<VendorListener> {
    let (Some(port), Some(target_port)) = (listener.port, listener.leads_to()) else { return Err(Error::invalid("listeners", "a listener needs a port")) };
    Ok(VendorListener { protocol: listener.protocol.to_string(), port, target_port })
}
fn backend_of(location: &LocationName, id: &str) -> Result<Backend> {
    Ok(match id.parse() {
        Ok(ip) => Backend { address: Some(ip), ..Backend::default() },
        Err(_) if vendor::is_group(id) => Backend { instance_group: Some(by_vendor_id::<InstanceGroup>(location, id)?), ..Backend::default() },
        Err(_) => Backend { instance: Some(by_vendor_id::<Instance>(location, id)?), ..Backend::default() },
    })
}
fn check_of(check: &Check) -> HealthCheck {
    HealthCheck {
        protocol: named(HealthProtocol::ALL, &check.protocol),
        port: check.port,
        path: check.path.clone(),
        interval_s: Some(check.interval_s),
        healthy_threshold: Some(check.healthy_threshold),
        unhealthy_threshold: Some(check.unhealthy_threshold),
    }
}
fn pool_settings(spec: &LoadBalancerSpec) -> PoolSettings {
    let check = &spec.health_check;
    let protocol = if check.protocol == HealthProtocol::Unspecified { HealthProtocol::Tcp } else { check.protocol };
    let path = check.path.clone().or_else(|| (protocol != HealthProtocol::Tcp).then(|| "/".to_owned()));
    let check = Check {
        protocol: protocol.to_string(),
        port: check.port,
        path,
        interval_s: check.interval_s.unwrap_or(INTERVAL_S),
        healthy_threshold: check.healthy_threshold.unwrap_or(THRESHOLD),
        unhealthy_threshold: check.unhealthy_threshold.unwrap_or(THRESHOLD),
    };
    PoolSettings { check, affinity: spec.client_ip_affinity, preserve_client_ip: spec.preserve_client_ip.unwrap_or(true), proxy_protocol: spec.proxy_protocol }
}
fn balancer_settings(spec: &LoadBalancerSpec) -> BalancerSettings {
    BalancerSettings { cross_zone: spec.cross_zone, idle_timeout_s: spec.idle_timeout_s.unwrap_or(IDLE_TIMEOUT_S), protected: spec.deletion_protection }
}
fn network(spec: &LoadBalancerSpec) -> Result<&Ref<Network>> {
    spec.network.as_ref().ok_or_else(|| Error::invalid("network", "a load balancer needs the network that it is in"))
}
/// The same uid has the same names.
fn name(change: &Change<LoadBalancer>) -> String {
    format!("welkin-{}", change.uid)
}
fn new_group(cx: &Cx, change: &Change<LoadBalancer>, spec: &LoadBalancerSpec) -> Result<NewSecurityGroup> {
    let mut tags = mark::fragment_tags(cx, change)?;
    let id = tags.remove(mark::ID).unwrap_or_default();
    let description = format!("of the load balancer {id}");
    tags.insert(PART.to_owned(), id);
    Ok(NewSecurityGroup { network: network(spec)?.vendor_id()?.to_string(), description, restrict_egress: false, tags })
}
fn new_pool(cx: &Cx, change: &Change<LoadBalancer>, spec: &LoadBalancerSpec) -> Result<NewPool> {
    Ok(NewPool {
        name: format!("{}-pool", name(change)),
        network: network(spec)?.vendor_id()?.to_string(),
        settings: pool_settings(spec),
        targets: spec.backends.iter().map(Backend::vendor_id).collect::<Result<_>>()?,
        tags: mark::fragment_tags(cx, change)?,
    })
}
fn new_load_balancer(cx: &Cx, change: &Change<LoadBalancer>, spec: &LoadBalancerSpec) -> Result<NewLoadBalancer> {
    let network = network(spec)?;
    Ok(NewLoadBalancer {
        name: name(change),
        network: network.vendor_id()?.to_string(),
        is_public: spec.scheme == Scheme::Public,
        subnets: spec.subnets.iter().map(|r| r.vendor_id().map(ToString::to_string)).collect::<Result<_>>()?,
        addresses: spec.addresses.iter().map(|r| r.vendor_id().map(ToString::to_string)).collect::<Result<_>>()?,
        group: None,
        pool: None,
        dual_stack: spec.dual_stack,
        settings: balancer_settings(spec),
        tags: mark::main_tags(cx, change, &spec.labels, &[(mark::NETWORK, network.name.id.to_string())])?,
    })
}
/// Where it should stand, if that is elsewhere or with other families than now.
fn moves(there: &vendor::LoadBalancer, desired: &LoadBalancerSpec, wish: LoadBalancerWish<'_>) -> Result<Option<Vec<Wanted>>> {
    if !["subnets", "addresses", "dual_stack"].into_iter().any(|field| wish.has(field)) {
        return Ok(None);
    }
    let now = there.places.iter().map(|p| (p.subnet.clone(), p.address.clone())).collect();
    let wanted = desired.places(&now)?;
    Ok((wanted != now || desired.dual_stack != there.dual_stack).then(|| wanted.into_iter().collect()))
}
/// The vendor's code alone does not tell which field of a load balancer it is about.
fn of_load_balancer(e: Error) -> Error {
    const FIELDS: [(Code, &str); 7] = [
        (Code::SubnetNotFound, "subnets"),
        (Code::AddressNotFound, "addresses"),
        (Code::AddressHeld, "addresses"),
        (Code::InstanceNotFound, "backends"),
        (Code::InstanceGroupNotFound, "backends"),
        (Code::AddressOutOfRange, "dual_stack"),
        (Code::RangeExhausted, "subnets"),
    ];
    match FIELDS.iter().find(|(code, _)| error::is(&e, *code)) {
        Some((_, field)) => {
            let why = e.message().to_owned();
            e.with_violations(vec![Violation::new(*field, why)])
        }
        None => e,
    }
}
fn health_of(health: Health) -> TargetHealth {
    let (protocol, port) = health.listener.map_or((ListenerProtocol::Unspecified, None), |(protocol, port)| (named(ListenerProtocol::ALL, &protocol), Some(port)));
    TargetHealth { backend: health.target, protocol, port, state: named(TargetState::ALL, &health.state.to_uppercase()), reason: health.reason }
}

impl Sim {
    /// Its own group, of a create of unknown fate.
    async fn group_of(&self, cx: &Cx, change: &Change<LoadBalancer>) -> Result<Option<String>> {
        let region = change.target.parent().id.as_str();
        let marks = [(mark::OWNER, cx.owner.as_str()), (mark::UID, change.uid.as_str())];
        let parts = LoadBalancer::fragments(self, cx, region, &marks).await?;
        Ok(parts.into_iter().map(|part| part.id).find(|id| !id.starts_with(<Pool as vendor::Body>::PREFIX)))
    }
    /// Adds and takes away targets in batches. New ones come first, so that there always are some.
    async fn targeted(&self, cx: &Cx, region: &str, pool: &str, changes: &BackendChanges) -> Result<()> {
        for batch in changes.missing.chunks(MOST_TARGETS_A_CALL) {
            self.call(cx, Action::RegisterTargets, region, self.cloud.register_targets(region, pool, batch)).await.map_err(of_load_balancer)?;
        }
        for batch in changes.surplus.chunks(MOST_TARGETS_A_CALL) {
            self.call(cx, Action::DeregisterTargets, region, self.cloud.deregister_targets(region, pool, batch)).await?;
        }
        Ok(())
    }
    /// Brings the listeners to what is asked for, and touches none that is so already.
    async fn listening(&self, cx: &Cx, change: &Change<LoadBalancer>, row: &Shown<vendor::LoadBalancer>, listeners: &[Listener], expect: &mut Option<u64>) -> Result<()> {
        let region = change.target.parent().id.as_str();
        let there: Vec<Listener> = row.body().listeners.iter().map(listener_of).collect();
        let changes = ListenerChanges::between(&there, listeners);
        for listener in changes.missing {
            let call = self.cloud.create_listener(region, row.id(), vendor_listener(listener)?, expect.take());
            or_gone(&change.target, self.call(cx, Action::CreateListener, region, call).await)?;
        }
        for listener in changes.other {
            let call = self.cloud.modify_listener(region, row.id(), vendor_listener(listener)?, expect.take());
            or_gone(&change.target, self.call(cx, Action::ModifyListener, region, call).await)?;
        }
        for listener in changes.surplus {
            let VendorListener { protocol, port, .. } = vendor_listener(&listener)?;
            let call = self.cloud.delete_listener(region, row.id(), &protocol, port, expect.take());
            or_gone(&change.target, self.call(cx, Action::DeleteListener, region, call).await)?;
        }
        Ok(())
    }
    /// Is it there to become what is wished?
    async fn may_become(&self, cx: &Cx, change: &Change<LoadBalancer>, wish: LoadBalancerWish<'_>) -> Result<()> {
        let location = change.target.parent();
        let row = self.present(cx, change).await?.ok_or_else(|| Error::not_found(&change.target))?;
        let after = wish.after(&Self::object::<LoadBalancer>(cx, location, &row, None)?.spec)?;
        if let Some(wanted) = moves(row.0.body(), &after, wish)? {
            let region = location.id.as_str();
            let call = self.cloud.dry_place_load_balancer(region, row.0.id(), &wanted, after.dual_stack);
            self.call(cx, Action::DryRun, region, call).await.map_err(of_load_balancer)?;
        }
        if wish.has("backends") { self.doors(cx, location.id.as_str(), &row.0.body().network, wish.let_in(&after)).await.map(drop) } else { Ok(()) }
    }
    async fn become_as(&self, cx: &Cx, change: &Change<LoadBalancer>, wish: LoadBalancerWish<'_>, resume: &Resume) -> Result<Step<Object<LoadBalancer>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let (row, around) = match self.located(cx, change, resume).await? {
            Found::Here(row) => row,
            Found::NotYet(looking) => return Step::wait(&looking, self.pause(), "waiting for the cloud to show the load balancer"),
            Found::Gone => return Err(Error::not_found(&change.target)),
        };
        let has = |field: &str| wish.has(field);
        let before = Self::object::<LoadBalancer>(cx, location, &(row.clone(), around.clone()), None)?.spec;
        if Past::is_any_shown(&change.past, &before, self.now_ms(), self.horizon())? {
            return Ok(Step::look_again(self.pause(), "waiting for the cloud to show what was changed last"));
        }
        let desired = &wish.after(&before)?;
        let of_parts = ["listeners", "backends", "health_check", "source_ranges", "client_ip_affinity", "preserve_client_ip", "proxy_protocol"];
        let parts = match (&row.body().group, &row.body().pool, &around.pool) {
            (Some(group), Some(pool), Some(there)) if !is_adopted(&change.target) => Some((group, pool, there)),
            _ => None,
        };
        if let (None, Some(field)) = (parts, of_parts.iter().find(|field| has(field))) {
            let why = format!("{} was adopted without its pool and its group, or they are gone: what is theirs cannot be changed", change.target);
            return Err(Error::new(ErrorKind::FailedPrecondition, Reason::NotOwned, why).with_field(*field));
        }
        let (mut expect, id) = (expected(change, resume), row.id().to_owned());
        let (is_let_in, is_led) = (has("source_ranges") || has("listeners"), has("listeners") || has("backends") || has("health_check"));
        let tags = if parts.is_some() { mark::fragment_tags(cx, change)? } else { Tags::new() };
        let mut doors = Vec::new();
        if let Some(wanted) = moves(row.body(), desired, wish)? {
            let call = self.cloud.place_load_balancer(region, &id, &wanted, desired.dual_stack, expect.take());
            or_gone(&change.target, self.call(cx, Action::PlaceLoadBalancer, region, call).await.map_err(of_load_balancer))?;
        }
        // What is new is let in before it is led anywhere, and what is old is shut out after that.
        if let Some((group, pool, there)) = parts {
            if is_led {
                doors = self.doors(cx, region, &row.body().network, wish.let_in(desired)).await?;
                self.opened(cx, change, group, &doors, desired).await?;
            }
            if is_let_in {
                self.own_group_ruled(cx, region, &Ours { group, uid: change.uid.as_str() }, opening::own_rules(desired, &tags), false).await?;
            }
            let settings = pool_settings(desired);
            if settings != there.settings {
                self.call(cx, Action::ModifyPool, region, self.cloud.modify_pool(region, pool, settings)).await?;
            }
            if has("backends") {
                let changes = match wish.changes()? {
                    Some(all) => all,
                    None => changes(there, &desired.backends)?,
                };
                self.targeted(cx, region, pool, &changes).await?;
            }
        }
        if has("listeners") {
            self.listening(cx, change, &row, &desired.listeners, &mut expect).await?;
        }
        if balancer_settings(desired) != row.body().settings {
            let call = self.cloud.modify_load_balancer(region, &id, balancer_settings(desired), expect.take());
            or_gone(&change.target, self.call(cx, Action::ModifyLoadBalancer, region, call).await)?;
        }
        let labelled = mark::relabelled(row.tags().unwrap_or(&Tags::new()), &desired.labels);
        if has("labels") && row.tags() != Some(&labelled) {
            let call = self.cloud.tag_load_balancer(region, &id, labelled.clone(), expect.take());
            or_gone(&change.target, self.call(cx, Action::TagLoadBalancer, region, call).await)?;
        }
        if let Some((group, _, _)) = parts {
            if is_let_in {
                self.own_group_ruled(cx, region, &Ours { group, uid: change.uid.as_str() }, opening::own_rules(desired, &tags), true).await?;
            }
            let led = match wish {
                LoadBalancerWish::Fields(..) => is_led.then_some(doors),
                LoadBalancerWish::Backends(delta) if delta.remove.is_empty() => None,
                LoadBalancerWish::Backends(_) => {
                    let looking = self.later::<()>(resume);
                    match (self.still_led(cx, region, &desired.backends, matches!(looking, Found::Gone)).await?, looking) {
                        (None, Found::NotYet(looking)) => return Step::wait(&looking, self.pause(), "waiting for the cloud to show what is still led to"),
                        (led, _) => led,
                    }
                }
            };
            if let Some(led) = led {
                self.closed(cx, region, &Ours { group, uid: change.uid.as_str() }, &led, desired).await?;
            }
        }
        let row = self.call(cx, Action::DescribeLoadBalancers, region, self.cloud.load_balancer(region, &id)).await?;
        let row = row.ok_or_else(|| Error::not_found(&change.target))?;
        Ok(Step::Done(Self::object::<LoadBalancer>(cx, location, &row, Some(&labelled))?))
    }
    /// Everything that a load balancer is beside its group. All of it has a name or is there already, so it can be repeated.
    async fn built(&self, cx: &Cx, change: &Change<LoadBalancer>, spec: &LoadBalancerSpec, group: &str) -> Result<String> {
        let region = change.target.parent().id.as_str();
        self.own_group_ruled(cx, region, &Ours { group, uid: change.uid.as_str() }, opening::own_rules(spec, &mark::fragment_tags(cx, change)?), false).await?;
        let call = self.cloud.create_pool(region, new_pool(cx, change, spec)?);
        let pool = self.call(cx, Action::CreatePool, region, call).await?;
        let new = NewLoadBalancer { group: Some(group.to_owned()), pool: Some(pool.id().to_owned()), ..new_load_balancer(cx, change, spec)? };
        let (row, _) = self.call(cx, Action::CreateLoadBalancer, region, self.cloud.create_load_balancer(region, new)).await.map_err(of_load_balancer)?;
        self.targeted(cx, region, pool.id(), &changes(pool.body(), &spec.backends)?).await?;
        let doors = self.doors(cx, region, network(spec)?.vendor_id()?.as_str(), ("backends", &spec.backends)).await?;
        self.opened(cx, change, group, &doors, spec).await?;
        self.listening(cx, change, &row, &spec.listeners, &mut None).await?;
        Ok(row.id().to_owned())
    }
}

#[async_trait]
impl Driver<LoadBalancer> for Sim {
    async fn check(&self, cx: &Cx, change: &Change<LoadBalancer>) -> Result<()> {
        let region = change.target.parent().id.as_str();
        match &change.verb {
            Verb::Create { spec, .. } => {
                let call = self.cloud.dry_create_load_balancer(region, new_load_balancer(cx, change, spec)?);
                self.call(cx, Action::DryRun, region, call).await.map_err(of_load_balancer)?;
                self.call(cx, Action::DryRun, region, self.cloud.dry_create_pool(region, new_pool(cx, change, spec)?)).await.map_err(of_load_balancer)?;
                self.doors(cx, region, network(spec)?.vendor_id()?.as_str(), ("backends", &spec.backends)).await.map(drop)
            }
            Verb::Update { desired, paths } => self.may_become(cx, change, LoadBalancerWish::Fields(desired, paths)).await,
            Verb::Act(LoadBalancerAction::ChangeBackends(delta)) => self.may_become(cx, change, LoadBalancerWish::Backends(delta)).await,
            Verb::Delete => match self.present(cx, change).await? {
                Some((row, _)) => self.call(cx, Action::DryRun, region, self.cloud.dry_delete_load_balancer(region, row.id())).await,
                None => Ok(()),
            },
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<LoadBalancer>, spec: &LoadBalancerSpec, resume: &Resume) -> Result<Step<Object<LoadBalancer>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let (made, resume) = resume.read::<Made>();
        let made = match made {
            Some(made) => made,
            None => {
                let found = if self.must_look(&resume) { self.group_of(cx, change).await? } else { None };
                match found {
                    Some(group) => Made { group, load_balancer: None },
                    None if self.must_look(&resume) && !resume.is_past(self.horizon()) => {
                        return Ok(Step::look_again(self.pause(), "looking for what an interrupted call has made"));
                    }
                    None => {
                        let call = self.cloud.create_security_group(region, new_group(cx, change, spec)?);
                        let group = self.call(cx, Action::CreateSecurityGroup, region, call).await?.id().to_owned();
                        return Step::wait(&Made { group, load_balancer: None }, Duration::ZERO, "made its security group");
                    }
                }
            }
        };
        let id = match &made.load_balancer {
            Some(id) => id.clone(),
            None => self.built(cx, change, spec, &made.group).await?,
        };
        let row = self.call(cx, Action::DescribeLoadBalancers, region, self.cloud.load_balancer(region, &id)).await?;
        match row.filter(|(row, _)| row.body().has_settled(row.at_ms)) {
            Some(row) => {
                let tags = new_load_balancer(cx, change, spec)?.tags;
                Ok(Step::Done(Self::object::<LoadBalancer>(cx, location, &row, Some(&tags))?))
            }
            None => Step::wait(&Made { load_balancer: Some(id), ..made }, self.pause(), "waiting for the load balancer to be active"),
        }
    }

    async fn update(&self, cx: &Cx, change: &Change<LoadBalancer>, desired: &LoadBalancerSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<LoadBalancer>>> {
        self.become_as(cx, change, LoadBalancerWish::Fields(desired, paths), resume).await
    }

    async fn delete(&self, cx: &Cx, change: &Change<LoadBalancer>, resume: &Resume) -> Result<Step<()>> {
        self.erased(cx, change, resume).await
    }

    async fn act(&self, cx: &Cx, change: &Change<LoadBalancer>, LoadBalancerAction::ChangeBackends(delta): &LoadBalancerAction, resume: &Resume) -> Result<Step<BackendsChanged>> {
        Ok(self.become_as(cx, change, LoadBalancerWish::Backends(delta), resume).await?.map(|after| BackendsChanged::to(after.spec)))
    }

    async fn ask(&self, cx: &Cx, target: &Target<LoadBalancer>, question: &LoadBalancerQuestion) -> Result<Vec<TargetHealth>> {
        let id = match target.vendor_id() {
            Some(id) => id.clone(),
            None => self.get(cx, target).await?.vendor_id,
        };
        let region = target.parent().id.as_str();
        match question {
            LoadBalancerQuestion::TargetHealth => {
                let all = or_gone(target, self.call(cx, Action::DescribeTargetHealth, region, self.cloud.target_health(region, id.as_str())).await)?;
                Ok(all.into_iter().map(health_of).collect())
            }
        }
    }
}
