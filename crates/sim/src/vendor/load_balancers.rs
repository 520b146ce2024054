use super::{
    addresses,
    cloud::{Action, Cloud, Draw, changed},
    instance_groups, instances,
    item::{BalancerSettings, Condition, GroupPeer, Instance, Item, LoadBalancer, Place, Pool, PoolTarget, SecurityGroup, Shown, Tags, VendorListener},
    networks::{expect_version, network_of},
    quotas,
    refusal::{Code, Refusal},
    security_groups::speaks_of,
    state::{Edit, Region},
    subnets::subnet_of,
    table::{Filter, Listed},
};
use ipnet::IpNet;
use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

/// What a new load balancer should be. Listeners come afterwards.
#[derive(Debug, Clone)]
pub(crate) struct NewLoadBalancer {
    /// The same again is the same load balancer.
    pub(crate) name: String,
    pub(crate) network: String,
    pub(crate) is_public: bool,
    pub(crate) subnets: Vec<String>,
    /// One for each subnet, or none.
    pub(crate) addresses: Vec<String>,
    pub(crate) group: Option<String>,
    pub(crate) pool: Option<String>,
    pub(crate) dual_stack: bool,
    pub(crate) settings: BalancerSettings,
    pub(crate) tags: Tags,
}
/// What is told with a load balancer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Around {
    /// What it leads to, with targets that are not draining.
    pub(crate) pool: Option<Pool>,
    /// The ranges that its group lets in, but for those of everybody.
    pub(crate) ranges: BTreeSet<IpNet>,
    /// Groups in which rules let it in.
    pub(crate) opened: Vec<String>,
    /// Are its pool and its group there?
    pub(crate) is_whole: bool,
}
pub(crate) type Balanced = (Shown<LoadBalancer>, Around);
/// A subnet, and the kept address that it should be reached at there.
pub(crate) type Wanted = (String, Option<String>);

/// What a load balancer thinks of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) target: String,
    /// None where nothing leads there.
    pub(crate) listener: Option<(String, u16)>,
    pub(crate) state: &'static str,
    pub(crate) reason: String,
}

fn balancer_of<'a>(region: &'a Region, id: &str, now_ms: u64) -> Result<&'a Arc<Item<LoadBalancer>>, Refusal> {
    region.load_balancers.get(id).filter(|b| !b.body.is_gone(now_ms)).ok_or_else(|| unknown(id))
}
fn unknown(id: &str) -> Refusal {
    Refusal::new(Code::LoadBalancerNotFound, format!("there is no load balancer {id:?}"))
}
fn told(region: &Region, shown: Shown<LoadBalancer>) -> Balanced {
    let body = shown.body();
    let pool = body.pool.as_ref().and_then(|id| region.pools.get(id)).map(|pool| {
        let targets = pool.body.targets.iter().filter(|t| t.drains_until_ms.is_none()).cloned().collect();
        Pool { targets, ..pool.body.clone() }
    });
    let own = body.group.as_ref().and_then(|id| region.security_groups.get(id));
    let ranges = own.into_iter().flat_map(|g| &g.body.rules).filter(|rule| rule.description.is_empty());
    let ranges = ranges.filter_map(|rule| if let GroupPeer::Cidr(net) = rule.peer { Some(net) } else { None }).collect();
    let opened = body.group.as_ref().map_or_else(Vec::new, |id| {
        let others = region.security_groups.children(&body.network).filter(|g| g.id != *id && speaks_of(&g.body, id));
        others.map(|g| g.id.clone()).collect()
    });
    let is_whole = body.pool.is_some() == pool.is_some() && body.group.is_some() == own.is_some();
    (shown, Around { pool, ranges, opened, is_whole })
}
fn put(region: &Region, item: Item<LoadBalancer>, now_ms: u64) -> (Balanced, Vec<Edit>) {
    (told(region, Shown::written(Arc::new(item.clone()), now_ms)), vec![Edit::PutLoadBalancer(Box::new(item))])
}

impl Cloud {
    /// Fine where it was made before by the same request.
    pub(crate) async fn create_load_balancer(&self, region: &str, new: NewLoadBalancer) -> Result<Balanced, Refusal> {
        self.write(Action::CreateLoadBalancer, region, |r, draw| created(r, draw, new)).await
    }
    pub(crate) async fn dry_create_load_balancer(&self, region: &str, new: NewLoadBalancer) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| created(r, draw, new)).await
    }
    pub(crate) fn plant_load_balancer(&self, region: &str, subnet: &str, tags: Tags) -> Result<String, Refusal> {
        self.plant(region, |r, draw| {
            let network = subnet_of(r, subnet)?.body.network.clone();
            let settings = BalancerSettings { cross_zone: false, idle_timeout_s: 350, protected: false };
            let (name, subnets) = (draw.id("planted-"), vec![subnet.to_owned()]);
            let new = NewLoadBalancer { name, network, is_public: false, subnets, addresses: Vec::new(), group: None, pool: None, dual_stack: false, settings, tags };
            let (_, mut edits) = created(r, draw, new)?;
            let Some(Edit::PutLoadBalancer(item)) = edits.first_mut() else { return Ok((String::new(), edits)) };
            (item.visible_ms, item.tagged_ms, item.body.settles_ms) = (draw.now_ms, draw.now_ms, draw.now_ms);
            Ok((item.id.clone(), edits))
        })
    }
    pub(crate) async fn load_balancer(&self, region: &str, id: &str) -> Result<Option<Balanced>, Refusal> {
        self.read(Action::DescribeLoadBalancers, region, |r, now| Ok(r.load_balancers.show(id, now).filter(|b| !b.body().is_gone(now)).map(|b| told(r, b)))).await
    }
    pub(crate) async fn load_balancers(&self, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Result<(Vec<Balanced>, Option<String>), Refusal> {
        let size = size.min(self.config().page_size);
        self.read(Action::DescribeLoadBalancers, region, |r, now| {
            let Listed { items, next } = r.load_balancers.list(&filter, after, size, now, |b| !b.body.is_gone(now))?;
            Ok((items.into_iter().map(|b| told(r, b)).collect(), next))
        })
        .await
    }
    /// Of every target of every listener.
    pub(crate) async fn target_health(&self, region: &str, id: &str) -> Result<Vec<Health>, Refusal> {
        let starts_ms = self.config().creation_time_ms;
        self.read(Action::DescribeTargetHealth, region, |r, now| {
            let shown = r.load_balancers.show(id, now).filter(|b| !b.body().is_gone(now)).ok_or_else(|| unknown(id))?;
            let pool = shown.body().pool.as_ref().and_then(|id| r.pools.get(id));
            let targets = pool.into_iter().flat_map(|pool| pool.body.targets.iter().map(move |t| (&pool.body, t))).filter(|(_, t)| t.is_there(now));
            let targets = targets.flat_map(|(pool, target)| members_of(r, target, now).into_iter().map(move |target| (pool, target)));
            Ok(targets.flat_map(|(pool, target)| health(r, shown.body(), pool, &target, now, starts_ms)).collect())
        })
        .await
    }
    async fn edit_balancer(
        &self,
        action: Action,
        region: &str,
        id: &str,
        expect: Option<u64>,
        edit: impl FnOnce(&mut LoadBalancer) -> Result<(), Refusal>,
    ) -> Result<Balanced, Refusal> {
        self.write(action, region, |r, draw| {
            let item = balancer_of(r, id, draw.now_ms)?;
            expect_version(item, expect)?;
            let mut body = item.body.clone();
            edit(&mut body)?;
            Ok(put(r, changed(item, body), draw.now_ms))
        })
        .await
    }
    pub(crate) async fn modify_load_balancer(&self, region: &str, id: &str, settings: BalancerSettings, expect: Option<u64>) -> Result<Balanced, Refusal> {
        self.edit_balancer(Action::ModifyLoadBalancer, region, id, expect, |body| {
            body.settings = settings;
            Ok(())
        })
        .await
    }
    /// Has it stand in these subnets, each with the kept address that it is reached at there, and with both families or IPv4 alone. What stays keeps its
    /// addresses.
    pub(crate) async fn place_load_balancer(&self, region: &str, id: &str, wanted: &[Wanted], dual_stack: bool, expect: Option<u64>) -> Result<Balanced, Refusal> {
        self.write(Action::PlaceLoadBalancer, region, |r, draw| placed(r, draw, id, wanted, dual_stack, expect)).await
    }
    pub(crate) async fn dry_place_load_balancer(&self, region: &str, id: &str, wanted: &[Wanted], dual_stack: bool) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| placed(r, draw, id, wanted, dual_stack, None)).await
    }
    /// Fine where it is there so; refused where there is another for this protocol and port.
    pub(crate) async fn create_listener(&self, region: &str, id: &str, listener: VendorListener, expect: Option<u64>) -> Result<Balanced, Refusal> {
        self.edit_balancer(Action::CreateListener, region, id, expect, |body| match found(body, &listener) {
            Some(there) if *there == listener => Ok(()),
            Some(there) => Err(Refusal::new(Code::ListenerExists, format!("there is a listener for {} at {} already", there.protocol, there.port))),
            None => {
                body.listeners.push(listener);
                Ok(())
            }
        })
        .await
    }
    pub(crate) async fn modify_listener(&self, region: &str, id: &str, listener: VendorListener, expect: Option<u64>) -> Result<Balanced, Refusal> {
        self.edit_balancer(Action::ModifyListener, region, id, expect, |body| {
            let none = || Refusal::new(Code::ListenerNotFound, format!("there is no listener for {} at {}", listener.protocol, listener.port));
            *found(body, &listener).ok_or_else(none)? = listener.clone();
            Ok(())
        })
        .await
    }
    /// Fine where there is none.
    pub(crate) async fn delete_listener(&self, region: &str, id: &str, protocol: &str, port: u16, expect: Option<u64>) -> Result<Balanced, Refusal> {
        self.edit_balancer(Action::DeleteListener, region, id, expect, |body| {
            body.listeners.retain(|l| (l.protocol.as_str(), l.port) != (protocol, port));
            Ok(())
        })
        .await
    }
    pub(crate) async fn tag_load_balancer(&self, region: &str, id: &str, tags: Tags, expect: Option<u64>) -> Result<Balanced, Refusal> {
        self.write(Action::TagLoadBalancer, region, |r, draw| {
            let item = balancer_of(r, id, draw.now_ms)?;
            expect_version(item, expect)?;
            Ok(put(r, Item { tags, ..changed(item, item.body.clone()) }, draw.now_ms))
        })
        .await
    }
    /// Fine where it is on its way out. It takes its time, and until then it holds what it has; its pool and its group stay.
    pub(crate) async fn delete_load_balancer(&self, region: &str, id: &str) -> Result<(), Refusal> {
        let takes = self.config().transition_time_ms;
        self.write(Action::DeleteLoadBalancer, region, |r, draw| deleted(r, id, draw.now_ms, takes)).await
    }
    pub(crate) async fn dry_delete_load_balancer(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| deleted(r, id, draw.now_ms, 0)).await
    }
}

fn found<'a>(body: &'a mut LoadBalancer, listener: &VendorListener) -> Option<&'a mut VendorListener> {
    body.listeners.iter_mut().find(|l| (&l.protocol, l.port) == (&listener.protocol, listener.port))
}
fn created(region: &Region, draw: &mut Draw<'_>, new: NewLoadBalancer) -> Result<(Balanced, Vec<Edit>), Refusal> {
    let asked = blake3::hash(format!("{new:?}").as_bytes()).to_hex()[..16].to_owned();
    if let Some(id) = region.names.get(&new.name) {
        return match region.load_balancers.get(id).filter(|item| item.body.asked == asked && !item.body.leaves) {
            Some(item) => Ok((told(region, Shown::written(Arc::clone(item), draw.now_ms)), Vec::new())),
            None => Err(Refusal::new(Code::NameTaken, format!("{} is the name of {id}", new.name))),
        };
    }
    network_of(region, &new.network)?;
    draw.has_room(region, &quotas::LOAD_BALANCERS)?;
    if !new.addresses.is_empty() && new.addresses.len() != new.subnets.len() {
        return Err(Refusal::new(Code::AddressCount, format!("one address for each subnet or none: {} for {}", new.addresses.len(), new.subnets.len())));
    }
    let wanted: Vec<Wanted> = new.subnets.into_iter().enumerate().map(|(i, subnet)| (subnet, new.addresses.get(i).cloned())).collect();
    let mut body = LoadBalancer {
        name: new.name,
        asked,
        network: new.network,
        is_public: new.is_public,
        places: Vec::new(),
        group: new.group,
        pool: new.pool,
        listeners: Vec::new(),
        dual_stack: new.dual_stack,
        settings: new.settings,
        leaves: false,
        settles_ms: draw.now_ms + draw.config.creation_time_ms,
    };
    body.places = places(region, draw, &body, &wanted)?;
    Ok(put(region, draw.item(new.tags, body), draw.now_ms))
}
fn placed(region: &Region, draw: &mut Draw<'_>, id: &str, wanted: &[Wanted], dual_stack: bool, expect: Option<u64>) -> Result<(Balanced, Vec<Edit>), Refusal> {
    let item = balancer_of(region, id, draw.now_ms)?;
    expect_version(item, expect)?;
    let mut body = LoadBalancer { dual_stack, ..item.body.clone() };
    body.places = places(region, draw, &body, wanted)?;
    Ok(put(region, changed(item, body), draw.now_ms))
}
/// Where one stands then. One of its places that stays loses and gets nothing but what the change of the families takes and gives.
fn places(region: &Region, draw: &mut Draw<'_>, body: &LoadBalancer, wanted: &[Wanted]) -> Result<Vec<Place>, Refusal> {
    let (mut places, mut zones) = (Vec::new(), BTreeSet::new());
    for (id, address) in wanted {
        let subnet = subnet_of(region, id)?;
        if subnet.body.network != body.network {
            return Err(Refusal::new(Code::SubnetOfAnotherNetwork, format!("{id} is not in {}", body.network)));
        }
        if !zones.insert(&subnet.body.zone) {
            return Err(Refusal::new(Code::SubnetsShareZone, format!("another subnet is in {} too", subnet.body.zone)));
        }
        let place = match body.places.iter().find(|p| p.subnet == *id) {
            Some(there) if there.address != *address => return Err(Refusal::new(Code::AddressCount, format!("what stands in {id} keeps its address"))),
            Some(there) => {
                let mut private_ips = there.private_ips.clone();
                private_ips.retain(|ip| ip.is_ipv4() || body.dual_stack);
                if body.dual_stack && !private_ips.iter().any(IpAddr::is_ipv6) {
                    private_ips.extend(instances::addresses(region, subnet, &[], true)?.into_iter().filter(IpAddr::is_ipv6));
                }
                Place { private_ips, ..there.clone() }
            }
            None => {
                let address = match address {
                    Some(id) => Some(addresses::free(region, id, draw.now_ms)?),
                    None => None,
                };
                let public_ip = match address {
                    Some(address) => Some(address.body.ip),
                    None if body.is_public => Some(instances::public_ip(region, draw)?),
                    None => None,
                };
                let private_ips = instances::addresses(region, subnet, &[], body.dual_stack)?;
                Place { subnet: id.clone(), private_ips, public_ip, address: address.map(|a| a.id.clone()) }
            }
        };
        places.push(place);
    }
    Ok(places)
}
fn deleted(region: &Region, id: &str, now_ms: u64, takes_ms: u64) -> Result<((), Vec<Edit>), Refusal> {
    let item = balancer_of(region, id, now_ms)?;
    if item.body.leaves {
        return Ok(((), Vec::new()));
    }
    if item.body.settings.protected {
        return Err(Refusal::new(Code::DeletionProtected, format!("{id} is protected from deletion: take the protection off first")));
    }
    if takes_ms == 0 {
        return removed(region, id);
    }
    // A state is no part of what it is asked to be, so this is not a new version.
    let body = LoadBalancer { leaves: true, settles_ms: now_ms + takes_ms, ..item.body.clone() };
    Ok(((), vec![Edit::PutLoadBalancer(Box::new(Item { body, ..Item::clone(item) }))]))
}
/// At once, and whatever protects it.
pub(super) fn removed(region: &Region, id: &str) -> Result<((), Vec<Edit>), Refusal> {
    region.load_balancers.get(id).ok_or_else(|| unknown(id))?;
    Ok(((), vec![Edit::RemoveLoadBalancer(id.to_owned())]))
}
/// One that stands in a subnet.
pub(super) fn standing_in<'a>(region: &'a Region, network: &str, subnet: &str, now_ms: u64) -> Option<&'a str> {
    let stands = |b: &&Arc<Item<LoadBalancer>>| !b.body.is_gone(now_ms) && b.body.places.iter().any(|p| p.subnet == subnet);
    region.load_balancers.children(network).find(stands).map(|b| b.id.as_str())
}
/// The one that is reached at a kept address.
pub(super) fn reached_at(region: &Region, address: &str, now_ms: u64) -> Option<String> {
    let is_reached = |b: &&Arc<Item<LoadBalancer>>| !b.body.is_gone(now_ms) && b.body.places.iter().any(|p| p.address.as_deref() == Some(address));
    region.load_balancers.iter().find(is_reached).map(|b| b.id.clone())
}

fn health(region: &Region, balancer: &LoadBalancer, pool: &Pool, target: &PoolTarget, now_ms: u64, starts_ms: u64) -> Vec<Health> {
    let told = |listener: Option<&VendorListener>, state, reason: &str| Health {
        target: target.id.clone(),
        listener: listener.map(|l| (l.protocol.clone(), l.port)),
        state,
        reason: reason.to_owned(),
    };
    if balancer.listeners.is_empty() {
        return vec![told(None, "unused", "no listener leads to it")];
    }
    let judge = |listener: &VendorListener| {
        let port = pool.settings.check.port.unwrap_or(listener.target_port);
        match instance_at(region, &target.id, now_ms) {
            _ if target.drains_until_ms.is_some() => told(Some(listener), "draining", "it was taken away"),
            None => told(Some(listener), "unhealthy", "nothing answers there"),
            Some(i) if i.body.goal != Condition::Running || !i.body.has_settled(now_ms) => told(Some(listener), "unhealthy", "the instance does not run"),
            Some(i) if !lets_in(region, &i.body, balancer, port) => told(Some(listener), "unhealthy", "no security group of the instance lets the check in"),
            Some(_) if target.since_ms + starts_ms > now_ms => told(Some(listener), "initial", "not enough checks were made"),
            Some(_) => told(Some(listener), "healthy", ""),
        }
    };
    balancer.listeners.iter().map(judge).collect()
}
/// Of a group its instances, each since it is there; of anything else itself.
fn members_of(region: &Region, target: &PoolTarget, now_ms: u64) -> Vec<PoolTarget> {
    let Some(group) = region.instance_groups.get(&target.id) else { return vec![target.clone()] };
    let there = instance_groups::instances(region, &group.body, now_ms).filter(|(_, i)| i.body.goal != Condition::Gone);
    there.map(|(m, i)| PoolTarget { id: m.instance.clone(), since_ms: i.body.settles_ms.max(target.since_ms), ..target.clone() }).collect()
}
fn instance_at<'a>(region: &'a Region, target: &str, now_ms: u64) -> Option<&'a Arc<Item<Instance>>> {
    match target.parse::<IpAddr>() {
        Ok(ip) => region.instances.iter().find(|i| i.body.addresses.contains(&ip) && !i.body.is_gone(now_ms)),
        Err(_) => region.instances.get(target).filter(|i| !i.body.is_gone(now_ms)),
    }
}
/// One without groups lets everything in.
fn lets_in(region: &Region, instance: &Instance, balancer: &LoadBalancer, port: u16) -> bool {
    let from = |peer: &GroupPeer| match peer {
        GroupPeer::Group(id) => balancer.group.as_ref() == Some(id),
        GroupPeer::Cidr(net) => balancer.places.iter().flat_map(|p| &p.private_ips).any(|ip| net.contains(ip)),
    };
    let opens = |group: &Arc<Item<SecurityGroup>>| {
        let ingress = group.body.rules.iter().filter(|r| !r.is_egress && matches!(r.protocol.as_str(), "tcp" | "all") && from(&r.peer));
        ingress.into_iter().any(|r| r.ports.is_none_or(|(first, last)| (first..=last).contains(&port)))
    };
    instance.groups.is_empty() || instance.groups.iter().filter_map(|id| region.security_groups.get(id)).any(opens)
}
