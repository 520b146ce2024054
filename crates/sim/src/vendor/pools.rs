use super::{
    cloud::{Action, Cloud, Draw, changed},
    instance_groups::{group_of, is_group},
    instances::instance_of,
    item::{Item, Pool, PoolSettings, PoolTarget, Shown, Tags},
    networks::network_of,
    refusal::{Code, Refusal},
    state::{Edit, Region},
    subnets::subnet_of,
    table::{Filter, Listed},
};
use std::{net::IpAddr, sync::Arc};

/// Targets that are added or taken away together.
pub(crate) const MOST_TARGETS_A_CALL: usize = 100;

/// What a new pool should be. It has no targets at first; they are only tried out with it.
#[derive(Debug, Clone)]
pub(crate) struct NewPool {
    /// The same again is the same pool.
    pub(crate) name: String,
    pub(crate) network: String,
    pub(crate) settings: PoolSettings,
    pub(crate) targets: Vec<String>,
    pub(crate) tags: Tags,
}

fn pool_of<'a>(region: &'a Region, id: &str) -> Result<&'a Arc<Item<Pool>>, Refusal> {
    region.pools.get(id).ok_or_else(|| Refusal::new(Code::TargetPoolNotFound, format!("there is no pool {id:?}")))
}
/// An item with the edit that keeps it.
fn put(item: Item<Pool>, now_ms: u64) -> (Shown<Pool>, Vec<Edit>) {
    (Shown::written(Arc::new(item.clone()), now_ms), vec![Edit::PutPool(Box::new(item))])
}

impl Cloud {
    /// Fine where it was made before by the same request.
    pub(crate) async fn create_pool(&self, region: &str, new: NewPool) -> Result<Shown<Pool>, Refusal> {
        self.write(Action::CreatePool, region, |r, draw| created(r, draw, new)).await
    }
    pub(crate) async fn dry_create_pool(&self, region: &str, new: NewPool) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| {
            new.targets.iter().try_for_each(|target| fits(r, &new.network, target, draw.now_ms))?;
            created(r, draw, new)
        })
        .await
    }
    pub(crate) async fn pools(&self, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Result<Listed<Pool>, Refusal> {
        let size = size.min(self.config().page_size);
        self.read(Action::DescribePools, region, |r, now| r.pools.list(&filter, after, size, now, |_| true)).await
    }
    pub(crate) async fn modify_pool(&self, region: &str, id: &str, settings: PoolSettings) -> Result<Shown<Pool>, Refusal> {
        self.write(Action::ModifyPool, region, |r, draw| {
            let item = pool_of(r, id)?;
            Ok(put(changed(item, Pool { settings, ..item.body.clone() }), draw.now_ms))
        })
        .await
    }
    /// All of them or none; those that are targets already are fine.
    pub(crate) async fn register_targets(&self, region: &str, id: &str, targets: &[String]) -> Result<Shown<Pool>, Refusal> {
        self.write(Action::RegisterTargets, region, |r, draw| {
            let item = pool_of(r, id)?;
            few_enough(targets)?;
            let mut body = item.body.clone();
            for target in targets {
                fits(r, &body.network, target, draw.now_ms)?;
                if body.targets.iter().any(|t| t.id == *target && t.drains_until_ms.is_none()) {
                    continue;
                }
                body.targets.retain(|t| t.id != *target);
                body.targets.push(PoolTarget { id: target.clone(), since_ms: draw.now_ms, drains_until_ms: None });
            }
            Ok(put(changed(item, body), draw.now_ms))
        })
        .await
    }
    /// They keep the connections that they have for a while. Those that are none are fine.
    pub(crate) async fn deregister_targets(&self, region: &str, id: &str, targets: &[String]) -> Result<Shown<Pool>, Refusal> {
        let drains_ms = self.config().transition_time_ms;
        self.write(Action::DeregisterTargets, region, |r, draw| {
            let item = pool_of(r, id)?;
            few_enough(targets)?;
            let mut body = item.body.clone();
            for target in body.targets.iter_mut().filter(|t| t.drains_until_ms.is_none() && targets.contains(&t.id)) {
                target.drains_until_ms = Some(draw.now_ms + drains_ms);
            }
            body.targets.retain(|t| t.is_there(draw.now_ms));
            Ok(put(changed(item, body), draw.now_ms))
        })
        .await
    }
    /// Refused while a load balancer leads to it.
    pub(crate) async fn delete_pool(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.write(Action::DeletePool, region, |r, draw| deleted(r, id, draw.now_ms)).await
    }
}

fn few_enough(targets: &[String]) -> Result<(), Refusal> {
    match targets.len() {
        n if n > MOST_TARGETS_A_CALL => Err(Refusal::new(Code::TooManyTargets, format!("a call takes at most {MOST_TARGETS_A_CALL} targets, not {n}"))),
        _ => Ok(()),
    }
}
fn created(region: &Region, draw: &mut Draw<'_>, new: NewPool) -> Result<(Shown<Pool>, Vec<Edit>), Refusal> {
    let asked = blake3::hash(format!("{:?}", (&new.network, &new.settings, &new.tags)).as_bytes()).to_hex()[..16].to_owned();
    if let Some(id) = region.names.get(&new.name) {
        return match region.pools.get(id).filter(|item| item.body.asked == asked) {
            Some(item) => Ok((Shown::written(Arc::clone(item), draw.now_ms), Vec::new())),
            None => Err(Refusal::new(Code::NameTaken, format!("{} is the name of {id}", new.name))),
        };
    }
    network_of(region, &new.network)?;
    let body = Pool { name: new.name, asked, network: new.network, settings: new.settings, targets: Vec::new() };
    Ok(put(draw.item(new.tags, body), draw.now_ms))
}
/// An instance of the network, a group that makes them there, or an address in one of its ranges.
fn fits(region: &Region, network: &str, target: &str, now_ms: u64) -> Result<(), Refusal> {
    let is_inside = match target.parse::<IpAddr>() {
        Ok(ip) => {
            let body = &network_of(region, network)?.body;
            body.cidrs.iter().chain(&body.assigned).any(|range| range.contains(&ip))
        }
        Err(_) if is_group(target) => group_of(region, target)?.body.subnets.iter().all(|id| region.subnets.get(id).is_some_and(|s| s.body.network == network)),
        Err(_) => subnet_of(region, &instance_of(region, target, now_ms)?.body.subnet)?.body.network == network,
    };
    if is_inside { Ok(()) } else { Err(Refusal::new(Code::TargetOutsideNetwork, format!("{target} is not in {network}"))) }
}
pub(super) fn deleted(region: &Region, id: &str, now_ms: u64) -> Result<((), Vec<Edit>), Refusal> {
    let network = &pool_of(region, id)?.body.network;
    match region.load_balancers.children(network).find(|b| b.body.pool.as_deref() == Some(id) && !b.body.is_gone(now_ms)) {
        Some(balancer) => Err(Refusal::new(Code::DependencyViolation, format!("the load balancer {} leads to {id}", balancer.id))),
        None => Ok(((), vec![Edit::RemovePool(id.to_owned())])),
    }
}
/// The pools of an instance or a group that goes.
pub(super) fn let_go<'a>(region: &'a Region, instance: &'a str) -> impl Iterator<Item = Edit> + 'a {
    region.pools.iter().filter(move |pool| pool.body.targets.iter().any(|t| t.id == instance)).map(move |pool| {
        let mut body = pool.body.clone();
        body.targets.retain(|t| t.id != instance);
        Edit::PutPool(Box::new(changed(pool, body)))
    })
}
