//! Load balancers are network load balancers: the load balancer itself with its listeners, target groups that these lead to, a security group of its own, and
//! rules in the groups of its backends.
//!
//! All of it is known by name: load balancer, target groups and security group have names that follow from the uid ([`wanted::Names`]), under which
//! Elastic Load Balancing and EC2 make each of them once
//! (<https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html>: "This operation is idempotent"). So what does not
//! depend on something else is made at once, nothing has to be waited for before it is repeated, and whatever is lost is found again.
//!
//! A security group is always given: none can be added later
//! (<https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_SetSecurityGroups.html>).

mod beyond;
mod leave;
mod opening;
mod placement;
mod read;
mod wanted;
mod write;

use crate::{
    Aws,
    client::{AT_ONCE, Region},
    error, owned,
    page::At,
    resource::{Looking, Pieces, copies, is_adopted, is_mine, not_owned, not_yet_shown},
    step::{age, now_ms, pace, unresolved_ms},
};
use async_trait::async_trait;
use futures::future::{join_all, try_join, try_join4};
use opening::{Openings, Own, Rules, doors, still_led};
use placement::Placement;
use read::{Around, MOST_TAGGED, Row, fragment, networks};
pub(crate) use read::{GONE, WHOLE};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use wanted::{Names, Wanted};
use welkin_core::{
    BackendsChanged, Change, Cursor, Cx, Driver, Effect, Error, ErrorKind, FieldPath, LoadBalancer, LoadBalancerAction, LoadBalancerQuestion, LoadBalancerSpec, LoadBalancerWish,
    Object, Page, Past, Query, Reader, Reason, Result, Resume, Shard, Step, Target, TargetHealth, Verb,
};
use write::{Asks, Building, Targets, There, arn, remove_groups};

/// What its ARN begins with; what is left of one that is gone has other ids.
const PREFIX: &str = "arn:";

/// What a create has made: everything, or nothing that a look does not find by its name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Made {
    id: String,
    group: String,
    opened: Vec<String>,
    since_ms: u64,
}
impl Pieces for Made {
    fn ids(&self) -> impl Iterator<Item = &String> {
        [&self.id, &self.group].into_iter()
    }
    fn is_whole(&self) -> bool {
        true
    }
}

/// Fields of the parts, which nobody knows of what was adopted.
const OF_PARTS: [&str; 7] = ["listeners", "backends", "health_check", "source_ranges", "client_ip_affinity", "preserve_client_ip", "proxy_protocol"];

fn refused_as_protected(e: Error) -> Error {
    e.reclassified(ErrorKind::FailedPrecondition, Reason::DeletionProtected)
}
fn protected(target: &Target<LoadBalancer>) -> Error {
    Error::new(ErrorKind::FailedPrecondition, Reason::DeletionProtected, format!("{target} is protected from deletion: set deletion_protection to false first"))
}

impl Aws {
    /// None where there is none; with its tags.
    async fn balancer_at(&self, cx: &Cx, target: &Target<LoadBalancer>, uid: Option<&welkin_core::Uid>) -> Result<Option<Row>> {
        let region = self.region(target.parent())?;
        let found = match (target.vendor_id().filter(|id| id.as_str().starts_with(PREFIX)), target, uid) {
            (Some(id), ..) => region.balancer(cx, id.as_str()).await?,
            (None, Target::Named { name, .. }, Some(uid)) => region.balancer_named(cx, Names::of(&cx.owner, name, uid).balancer()).await?,
            (None, Target::Named { name, .. }, None) => return self.balancer_called(cx, region, name, target).await,
            (None, Target::Vendor { .. }, _) => None,
        };
        Ok(region.tagged(cx, found.into_iter().collect()).await?.pop())
    }
    /// The one that is called so, whatever its uid.
    async fn balancer_called(&self, cx: &Cx, region: &Region, name: &welkin_core::Name<LoadBalancer>, target: &Target<LoadBalancer>) -> Result<Option<Row>> {
        let under = Names::under(&cx.owner, &name.id);
        let mut found = networks(region.every_balancer(cx).await?)?;
        found.retain(|b| b.load_balancer_name().is_some_and(|n| n.starts_with(&under)));
        let mut rows = region.tagged(cx, found).await?;
        rows.retain(|row| row.mark(&cx.owner).is_some_and(|(id, _)| id == name.id));
        if rows.len() > 1 {
            return Err(copies(target, rows.iter().map(|row| row.id.as_str()).collect()));
        }
        Ok(rows.pop())
    }
    /// It and what belongs to it; None where there is none. Its marks are shown, where the target says whose it is.
    async fn balancer_whole(&self, cx: &Cx, target: &Target<LoadBalancer>) -> Result<Option<(Row, Around)>> {
        let uid = if let Target::Named { uid, .. } = target { uid.as_ref() } else { None };
        let Some(row) = self.balancer_at(cx, target, uid).await? else { return Ok(None) };
        if uid.is_some() && self.is_hidden(&row) {
            return Err(not_yet_shown(&format!("AWS does not show the tags of {target} yet"), target));
        }
        let around = self.region(target.parent())?.around(cx, &row).await.map_err(|e| if error::is(&e, GONE) { Error::not_found(target) } else { e })?;
        Ok(Some((row, around)))
    }
    /// What is left of one that is gone.
    async fn balancer_left(&self, cx: &Cx, target: &Target<LoadBalancer>) -> Result<Object<LoadBalancer>> {
        let (region, Ok(name)) = (self.region(target.parent())?, target.name()) else { return Err(Error::not_found(target)) };
        let uid = if let Target::Named { uid, .. } = target { uid.as_ref() } else { None };
        match Own::find(region, cx, &name.id, uid).await? {
            Some(left) => fragment(region, &cx.owner, name, &left),
            None => Err(Error::not_found(target)),
        }
    }
    fn is_hidden(&self, row: &Row) -> bool {
        self.may_yet_be_marked(&row.tags, row.created_ms())
    }
    /// What of it was made so far, by name.
    async fn balancer_parts(&self, cx: &Cx, change: &Change<LoadBalancer>, names: &Names) -> Result<There> {
        let region = self.region(change.target.parent())?;
        let (own, balancer, groups, rules) = Box::pin(try_join4(
            Own::find(region, cx, &change.target.name()?.id, Some(&change.uid)),
            region.balancer_named(cx, names.balancer()),
            region.groups_named(cx, names),
            Rules::of(region, cx, &change.uid),
        ))
        .await?;
        let (listeners, attributes) = match &balancer {
            Some(balancer) => Box::pin(try_join(region.listeners(cx, arn(balancer)?), region.balancer_attributes(cx, arn(balancer)?))).await?,
            None => Default::default(),
        };
        Ok(There { own, balancer, listeners, attributes, groups, rules })
    }
}

#[async_trait]
impl Reader<LoadBalancer> for Aws {
    fn shards(&self, query: &Query<LoadBalancer>) -> Vec<Shard> {
        self.regional_shards(query.parent.as_ref())
    }

    /// Itself and its tags, then what belongs to it, at once: nine calls, however many listeners and target groups there are.
    async fn get(&self, cx: &Cx, target: &Target<LoadBalancer>) -> Result<Object<LoadBalancer>> {
        match self.balancer_whole(cx, target).await? {
            Some((row, around)) => row.object(self.region(target.parent())?, &cx.owner, &around),
            None => self.balancer_left(cx, target).await,
        }
    }

    async fn list(&self, cx: &Cx, query: &Query<LoadBalancer>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<LoadBalancer>> {
        let (region, at) = (self.shard(shard)?, At::read(from)?);
        let size = query.page_size.clamp(1, MOST_TAGGED);
        let (found, marker) = if query.vendor_ids.is_empty() {
            region.balancers(cx, i32::try_from(size).unwrap_or(1), at.token.clone()).await?
        } else {
            let mut found = Vec::new();
            for id in query.vendor_ids.iter().filter(|id| id.as_str().starts_with(PREFIX)) {
                found.extend(region.balancer(cx, id.as_str()).await?);
            }
            (found, None)
        };
        let (found, next) = at.cut(found, marker, size, |b| b.load_balancer_arn().unwrap_or_default().to_owned())?;
        let mut rows = region.tagged(cx, networks(found)?).await?;
        rows.retain(|row| !query.owned_only || row.mark(&cx.owner).is_some());
        let mut items = Vec::new();
        for some in rows.chunks(AT_ONCE) {
            for (row, around) in some.iter().zip(join_all(some.iter().map(|row| region.around(cx, row))).await) {
                match around {
                    Ok(around) => items.push(row.object(region, &cx.owner, &around)?),
                    // It went between the two reads.
                    Err(e) if error::is(&e, GONE) => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(Page { items, next, unreachable: Vec::new() })
    }
}

#[async_trait]
impl Driver<LoadBalancer> for Aws {
    async fn check(&self, cx: &Cx, change: &Change<LoadBalancer>) -> Result<()> {
        let region = self.region(change.target.parent())?;
        match &change.verb {
            Verb::Create { spec, .. } => {
                Wanted::of(spec)?;
                doors(region, cx, network(spec)?, ("backends", &spec.backends)).await.map(drop)
            }
            Verb::Update { desired, paths } => self.may_become(cx, change, LoadBalancerWish::Fields(desired, paths)).await,
            Verb::Act(LoadBalancerAction::ChangeBackends(delta)) => self.may_become(cx, change, LoadBalancerWish::Backends(delta)).await,
            Verb::Delete => {
                let Some((row, around)) = self.balancer_whole(cx, &change.target).await? else {
                    return owned(&change.target, &change.uid, &self.balancer_left(cx, &change.target).await?);
                };
                let object = row.object(region, &cx.owner, &around)?;
                self.may_be_changed(cx, change, &row, &object)?;
                if object.spec.deletion_protection { Err(protected(&change.target)) } else { Ok(()) }
            }
        }
    }

    /// One step makes everything, and from then on it is waited for.
    async fn create(&self, cx: &Cx, change: &Change<LoadBalancer>, spec: &LoadBalancerSpec, resume: &Resume) -> Result<Step<Object<LoadBalancer>>> {
        let region = self.region(change.target.parent())?;
        let wanted = Wanted::of(spec)?;
        let (made, resume) = resume.read::<Made>();
        let (made, found) = if let Some(made) = made {
            let found = region.balancer(cx, &made.id).await?;
            (made, found)
        } else {
            let names = Names::of(&cx.owner, change.target.name()?, &change.uid);
            let there = if resume.is_unresolved() { self.balancer_parts(cx, change, &names).await? } else { There::default() };
            let doors = doors(region, cx, network(spec)?, ("backends", &spec.backends)).await?;
            let building = Building { region, cx, change, names: &names, wanted: &wanted };
            let (balancer, group) = Box::pin(building.built(&there, &doors)).await?;
            let made = Made { id: arn(&balancer)?.to_owned(), group, opened: doors.into_iter().collect(), since_ms: now_ms() };
            // One that an earlier step made may be active by now: where every handle is lost, each step begins here.
            (made, Some(balancer))
        };
        let since_ms = made.since_ms.max(unresolved_ms(&resume));
        let Some(vendors) = found else {
            if age(since_ms) < self.horizon {
                return Step::wait(&made, pace(since_ms), "waiting for the load balancer to be shown");
            }
            let why = format!("{} was deleted while it was being made", made.id);
            return Err(Error::new(ErrorKind::Aborted, Reason::CreationFailed, why).with_effect(Effect::Applied).with_resource(change.target.to_string()));
        };
        let called = spec.network.as_ref().map(|r| r.name.to_string()).unwrap_or_default();
        let tags = crate::single::marked(cx, change, &spec.labels)?.with(crate::mark::NETWORK, &called);
        let row = Row { id: made.id.parse()?, vendors, tags };
        match row.state() {
            "active" | "active_impaired" => Ok(Step::Done(row.made(region, &cx.owner, &wanted, made.opened)?)),
            "failed" => {
                let why = format!("AWS made the load balancer and let it fail: {}", row.reason());
                Err(Error::new(ErrorKind::FailedPrecondition, Reason::CreationFailed, why).with_effect(Effect::Applied).with_resource(change.target.to_string()))
            }
            _ => Step::wait(&made, pace(since_ms), "waiting for the load balancer to be active"),
        }
    }

    async fn update(&self, cx: &Cx, change: &Change<LoadBalancer>, desired: &LoadBalancerSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<LoadBalancer>>> {
        Box::pin(self.become_as(cx, change, LoadBalancerWish::Fields(desired, paths), resume)).await
    }

    async fn delete(&self, cx: &Cx, change: &Change<LoadBalancer>, resume: &Resume) -> Result<Step<()>> {
        self.balancer_ended(cx, change, resume).await
    }

    async fn act(&self, cx: &Cx, change: &Change<LoadBalancer>, LoadBalancerAction::ChangeBackends(delta): &LoadBalancerAction, resume: &Resume) -> Result<Step<BackendsChanged>> {
        Ok(Box::pin(self.become_as(cx, change, LoadBalancerWish::Backends(delta), resume)).await?.map(|after| BackendsChanged::to(after.spec)))
    }

    async fn ask(&self, cx: &Cx, target: &Target<LoadBalancer>, question: &LoadBalancerQuestion) -> Result<Vec<TargetHealth>> {
        let region = self.region(target.parent())?;
        let uid = if let Target::Named { uid, .. } = target { uid.as_ref() } else { None };
        let id = match target.vendor_id() {
            Some(id) => id.clone(),
            None => self.balancer_at(cx, target, uid).await?.ok_or_else(|| Error::not_found(target))?.id,
        };
        match question {
            LoadBalancerQuestion::TargetHealth => region.target_health(cx, id.as_str()).await.map_err(|e| if error::is(&e, GONE) { Error::not_found(target) } else { e }),
        }
    }
}

impl Aws {
    /// Is it there, ours, and can it become what is wished?
    async fn may_become(&self, cx: &Cx, change: &Change<LoadBalancer>, wish: LoadBalancerWish<'_>) -> Result<()> {
        let region = self.region(change.target.parent())?;
        let (row, around) = self.balancer_whole(cx, &change.target).await?.ok_or_else(|| Error::not_found(&change.target))?;
        let before = row.object(region, &cx.owner, &around)?;
        self.may_be_changed(cx, change, &row, &before)?;
        let (before, has) = (before.spec, |field: &str| wish.has(field));
        let asked = wish.after(&before)?;
        Wanted::after(&asked, &has)?;
        refuse_unknown_parts(change, wish)?;
        let stands = Placement::shown(&row.vendors);
        stands.refuse(&stands.after(&asked, &has)?, region, cx, &row.vendors, (&before.listeners, &asked.listeners)).await?;
        if !wish.has("backends") {
            return Ok(());
        }
        doors(region, cx, network(&before)?, wish.let_in(&asked)).await.map(drop)
    }
    async fn become_as(&self, cx: &Cx, change: &Change<LoadBalancer>, wish: LoadBalancerWish<'_>, resume: &Resume) -> Result<Step<Object<LoadBalancer>>> {
        let region = self.region(change.target.parent())?;
        let looking = Looking::of(resume);
        refuse_unknown_parts(change, wish)?;
        let mut row = match self.balancer_at(cx, &change.target, Some(&change.uid)).await? {
            Some(row) if is_mine(cx, change, &row.tags) => row,
            Some(row) if self.is_hidden(&row) => return looking.step(),
            Some(row) => return Err(not_owned(&change.target, row.id.as_str())),
            None if looking.age() < self.horizon => return looking.step(),
            None => return Err(Error::not_found(&change.target)),
        };
        let around = region.around(cx, &row).await?;
        let before = row.object(region, &cx.owner, &around)?;
        if Past::is_any_shown(&change.past, &before.spec, now_ms(), self.horizon)? {
            return looking.step();
        }
        let has = |field: &str| wish.has(field);
        let asked = wish.after(&before.spec)?;
        let delta = wish.changes()?;
        let wanted = Wanted::after(&asked, &has)?;
        let stands = Placement::shown(&row.vendors);
        let placed = stands.after(&asked, &has)?;
        if !resume.is_unresolved() {
            stands.refuse(&placed, region, cx, &row.vendors, (&before.spec.listeners, &asked.listeners)).await?;
        }
        let (is_let_in, is_led) = (has("source_ranges") || has("listeners"), has("listeners") || has("backends") || has("health_check"));
        let is_answered_for = ["client_ip_affinity", "preserve_client_ip", "proxy_protocol"].into_iter().any(has);
        let names = match change.target.name() {
            Ok(name) => Some(Names::of(&cx.owner, name, &change.uid)),
            Err(_) => None,
        };
        let unnamed = Names::default();
        let building = Building { region, cx, change, names: names.as_ref().unwrap_or(&unnamed), wanted: &wanted };
        let mut opened = before.status.opened_security_groups.clone();
        let mut all = around.groups.clone();
        if resume.is_unresolved() && names.is_some() && is_led {
            all = region.groups_named(cx, building.names).await?;
        }
        let own = row.vendors.security_groups().first().cloned().unwrap_or_default();
        let openings = Openings { region, cx, change, own: &own, there: &around.rules };
        let vpc = &row.vendors.vpc_id().unwrap_or_default().to_owned();
        let mut led = if is_led { doors(region, cx, vpc, wish.let_in(&asked)).await? } else { BTreeSet::new() };
        // What is new is let in before it is led anywhere, and what is old is shut out after that.
        if is_led {
            openings.doors_opened(&led, &asked).await?;
        }
        if is_let_in {
            openings.own_opened(&asked).await?;
        }
        // A family is there before anything of it is led to, and goes when nothing is any more.
        if !stands.gives_up(&placed) {
            Box::pin(stands.becomes(&placed, region, cx, &mut row.vendors)).await?;
        }
        if is_led || is_answered_for {
            let targets = match &delta {
                Some(changes) => Targets::Delta(changes),
                None if has("backends") => Targets::All,
                None => Targets::Stay,
            };
            let asks = Asks { check: has("health_check"), attributes: is_answered_for, targets };
            let groups = Box::pin(building.groups(&all, asks, vpc)).await?;
            if is_led {
                Box::pin(building.followed(&around.led, &groups)).await?;
            }
            Box::pin(building.listeners(row.id.as_str(), &around.listeners, &groups, has("idle_timeout_s"))).await?;
            if is_led {
                Box::pin(building.let_go(&around.led, &groups)).await?;
            }
        } else if has("idle_timeout_s") {
            let groups = all.iter().map(|g| (g.pool.clone(), g.arn.clone())).collect();
            Box::pin(building.listeners(row.id.as_str(), &around.listeners, &groups, true)).await?;
        }
        if stands.gives_up(&placed) {
            Box::pin(stands.becomes(&placed, region, cx, &mut row.vendors)).await?;
        }
        if has("cross_zone") || has("deletion_protection") {
            building.attributes(row.id.as_str(), &around.attributes).await?;
        }
        if has("labels") {
            building.relabel(&row).await?;
        }
        if is_let_in {
            openings.own_ruled(&asked).await?;
        }
        let is_shut = is_led && delta.as_ref().is_none_or(|changes| !changes.surplus.is_empty());
        if is_shut && delta.is_some() {
            match still_led(region, cx, vpc, &asked.backends, looking.age() >= self.horizon).await? {
                Some(still) => led = still,
                None => return looking.waits("waiting for EC2 to show what is still led to"),
            }
        }
        if is_shut {
            openings.doors_closed(&led, &asked).await?;
        }
        if is_led {
            opened = led.into_iter().collect();
            let surplus: Vec<_> = all.iter().filter(|g| building.names.has(&g.name) && !wanted.pools.contains(&g.pool)).collect();
            if !remove_groups(region, cx, &surplus).await? {
                return looking.waits("waiting for the listeners to let go of their target groups");
            }
        }
        let mut object = row.made(region, &cx.owner, &wanted, opened)?;
        object.spec.labels.clone_from(&asked.labels);
        Ok(Step::Done(object))
    }
    /// For a check: it is ours, or adopted and nobody's.
    fn may_be_changed(&self, cx: &Cx, change: &Change<LoadBalancer>, row: &Row, object: &Object<LoadBalancer>) -> Result<()> {
        owned(&change.target, &change.uid, object)?;
        match is_adopted(&change.target) {
            true if !is_mine(cx, change, &row.tags) => Err(not_owned(&change.target, row.id.as_str())),
            true if self.is_hidden(row) => Err(not_yet_shown(&format!("{} was made just now, and AWS may not show its tags yet", row.id), &change.target)),
            _ => Ok(()),
        }
    }
}

/// Its target groups, its security group and their rules are not known to be its own.
fn refuse_unknown_parts(change: &Change<LoadBalancer>, wish: LoadBalancerWish<'_>) -> Result<()> {
    match OF_PARTS.into_iter().find(|field| is_adopted(&change.target) && wish.has(field)) {
        Some(field) => {
            let why = format!("{} was adopted without its target groups and its security group: what is theirs cannot be changed", change.target);
            Err(Error::new(ErrorKind::FailedPrecondition, Reason::NotOwned, why).with_field(field))
        }
        None => Ok(()),
    }
}
fn network(spec: &LoadBalancerSpec) -> Result<&str> {
    spec.network.as_ref().ok_or_else(|| Error::invalid("network", "a load balancer needs the network that it is in"))?.vendor_id().map(|id| id.as_str())
}
