//! Brings everything that a load balancer is to what is wanted, and touches nothing that is so already. Every object has a name, under which AWS makes it once,
//! or is a set that is added to and taken from, so that each write can be repeated.

use super::{
    beyond::Beyond,
    opening::{Openings, Own, Rules},
    placement::Placement,
    read::{Group, Row, Told, leads_to},
    wanted::{AFFINITY, Attributes, Front, IDLE, IDLE_S, Names, Pool, Wanted, balancer_defaults},
};
use crate::{
    client::{AT_ONCE, Region},
    error,
    instance_group::Led,
    mark::{self, Tags},
    resource::not_shown,
    single::marked,
    step::{answered, made_id, told},
};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, Certificate, IpAddressType, Listener as Front2, ListenerAttribute, LoadBalancer as Vendors, LoadBalancerAttribute, LoadBalancerSchemeEnum,
    LoadBalancerTypeEnum, ProtocolEnum, TargetDescription, TargetGroupAttribute, TargetGroupIpAddressTypeEnum,
};
use futures::future::{join, join_all, join3};
use std::collections::{BTreeMap, BTreeSet};
use welkin_core::{BackendChanges, Change, Cx, Error, LoadBalancer, Mark, Result};

/// Targets of one call. AWS does not say how many it takes; as many as its own controller sends
/// (<https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/targetgroupbinding/targets_manager.go>).
const MOST_TARGETS: usize = 200;

/// What a create that was interrupted has made, as far as it is seen.
#[derive(Debug, Default)]
pub(super) struct There {
    pub(super) own: Option<Own>,
    pub(super) balancer: Option<Vendors>,
    pub(super) listeners: Vec<Front2>,
    pub(super) attributes: Told,
    pub(super) groups: Vec<Group>,
    pub(super) rules: Rules,
}
/// Of which properties of what is there already it is asked whether they are as wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asks<'a> {
    pub(super) check: bool,
    pub(super) attributes: bool,
    pub(super) targets: Targets<'a>,
}
impl Asks<'_> {
    pub(super) const ALL: Self = Self { check: true, attributes: true, targets: Targets::All };
}
/// What becomes of the targets of what is there already.
#[derive(Debug, Clone, Copy)]
pub(super) enum Targets<'a> {
    /// They stay.
    Stay,
    /// They become those that are wanted.
    All,
    /// These are written, whatever is seen.
    Delta(&'a BackendChanges),
}

pub(super) struct Building<'a> {
    pub(super) region: &'a Region,
    pub(super) cx: &'a Cx,
    pub(super) change: &'a Change<LoadBalancer>,
    pub(super) names: &'a Names,
    pub(super) wanted: &'a Wanted<'a>,
}

fn differs(now: &Told, wanted: &Attributes) -> Vec<(&'static str, String)> {
    wanted.iter().filter(|(key, value)| now.get(**key) != Some(*value)).map(|(key, value)| (*key, value.clone())).collect()
}
fn owned_keys(all: Attributes) -> Told {
    all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
fn number(port: u16) -> i32 {
    port.into()
}
/// One after the other's error counts only where each has come to its end, so that nothing is under way when a step is over.
async fn all<T, F: Future<Output = Result<T>>>(calls: Vec<F>) -> Result<Vec<T>> {
    let (mut out, mut refused, mut calls) = (Vec::new(), None, calls.into_iter());
    loop {
        let some: Vec<F> = calls.by_ref().take(AT_ONCE).collect();
        if some.is_empty() || refused.is_some() {
            return refused.map_or(Ok(out), Err);
        }
        for answer in join_all(some).await {
            match answer {
                Ok(made) => out.push(made),
                Err(e) => refused = refused.or(Some(e)),
            }
        }
    }
}

impl Building<'_> {
    /// Everything that a create makes; the row of the load balancer, and its group.
    pub(super) async fn built(&self, there: &There, doors: &BTreeSet<String>) -> Result<(Vendors, String)> {
        let network = self.wanted.spec.network.as_ref().ok_or_else(|| Error::invalid("network", "a load balancer needs the network that it is in"))?.vendor_id()?;
        let front = async {
            let own = match &there.own {
                Some(own) => own.id.clone(),
                None => Own::make(self.region, self.cx, self.change, self.names.balancer(), network.as_str()).await?.id,
            };
            let openings = Openings { region: self.region, cx: self.cx, change: self.change, own: &own, there: &there.rules };
            let (opened, led, balancer) =
                Box::pin(join3(openings.own_opened(self.wanted.spec), openings.doors_opened(doors, self.wanted.spec), self.balancer(there.balancer.as_ref(), &own))).await;
            let balancer = balancer?;
            opened?;
            led?;
            let now = if there.balancer.is_some() { there.attributes.clone() } else { owned_keys(balancer_defaults()) };
            self.attributes(arn(&balancer)?, &now).await?;
            Ok::<_, Error>((balancer, own))
        };
        let (front, groups) = join(Box::pin(front), Box::pin(self.groups(&there.groups, Asks::ALL, network.as_str()))).await;
        let ((balancer, own), groups) = (front?, groups?);
        self.followed(&Led::new(), &groups).await?;
        self.listeners(arn(&balancer)?, &there.listeners, &groups, true).await?;
        Ok((balancer, own))
    }

    async fn balancer(&self, there: Option<&Vendors>, own: &str) -> Result<Vendors> {
        if let Some(there) = there {
            return Ok(there.clone());
        }
        let spec = self.wanted.spec;
        let network = spec.network.as_ref().map(|r| r.name.to_string()).unwrap_or_default();
        let tags = marked(self.cx, self.change, &spec.labels)?.with(mark::NETWORK, &network);
        let scheme = if self.wanted.is_public() { LoadBalancerSchemeEnum::InternetFacing } else { LoadBalancerSchemeEnum::Internal };
        let call = self.region.elb.create_load_balancer().name(self.names.balancer()).r#type(LoadBalancerTypeEnum::Network).scheme(scheme);
        let mut call = call.security_groups(own).set_tags(Some(tags.balancing()));
        let placement = Placement::new(spec)?;
        let (subnets, mappings) = placement.mappings();
        call = call.set_subnets(subnets).set_subnet_mappings(mappings).set_enable_prefix_for_ipv6_source_nat(placement.translation());
        if spec.dual_stack {
            call = call.ip_address_type(IpAddressType::Dualstack);
        }
        let answer = self.region.elb.write(self.cx, "CreateLoadBalancer", call.send()).await?;
        let made = answer.load_balancers.unwrap_or_default().pop();
        made_id(made.as_ref().and_then(Vendors::load_balancer_arn), "LoadBalancerArn")?;
        answered(made, "LoadBalancer")
    }
    /// What the load balancer itself answers for, where that is another now.
    pub(super) async fn attributes(&self, balancer: &str, now: &Told) -> Result<()> {
        let changed = differs(now, &self.wanted.balancer_attributes());
        if changed.is_empty() {
            return Ok(());
        }
        let changed = changed.into_iter().map(|(key, value)| LoadBalancerAttribute::builder().key(key).value(value).build()).collect();
        let call = self.region.elb.modify_load_balancer_attributes().load_balancer_arn(balancer).set_attributes(Some(changed));
        self.region.elb.write(self.cx, "ModifyLoadBalancerAttributes", call.send()).await.map(drop)
    }

    /// The target groups that are wanted, by what they are.
    pub(super) async fn groups(&self, there: &[Group], asks: Asks<'_>, vpc: &str) -> Result<BTreeMap<Pool, String>> {
        let beyond = Beyond::of(self.region, self.cx, vpc);
        let one = |pool: &Pool| {
            let (pool, beyond, found) = (pool.clone(), &beyond, there.iter().find(|g| g.pool == *pool && self.names.has(&g.name)));
            Box::pin(async move { self.group(&pool, found, asks, vpc, beyond).await.map(|arn| (pool, arn)) })
        };
        all(self.wanted.pools.iter().map(one).collect()).await.map(|all| all.into_iter().collect())
    }
    async fn group(&self, pool: &Pool, there: Option<&Group>, asks: Asks<'_>, vpc: &str, beyond: &Beyond<'_>) -> Result<String> {
        let (arn, attributes, changes) = match there {
            Some(group) => self.kept(group, asks).await?,
            None => match self.make_group(pool, vpc).await {
                Ok(arn) => (arn, Some(owned_keys(pool.attributes())), self.changes([])?),
                // An earlier step made it, with another check.
                Err(e) if error::is(&e, &["DuplicateTargetGroupName"]) => {
                    let name = self.names.pool(pool);
                    let all = self.region.groups_named(self.cx, self.names).await?;
                    self.kept(all.iter().find(|g| g.name == name).ok_or_else(|| not_shown(&name))?, Asks::ALL).await?
                }
                Err(e) => return Err(e),
            },
        };
        if let Some(now) = attributes {
            self.answer_for(&arn, &differs(&now, &self.wanted.attributes(pool))).await?;
        }
        self.targeted(&arn, &changes, beyond).await?;
        Ok(arn)
    }
    /// What has to be done with the targets of what leads to no instance group, whose targets are its own business.
    fn changes<'t>(&self, there: impl IntoIterator<Item = &'t str>) -> Result<BackendChanges> {
        let follows = self.wanted.pools.iter().any(|pool| pool.follows);
        if follows { Ok(BackendChanges::default()) } else { BackendChanges::between(there, &self.wanted.spec.backends) }
    }
    /// One that is there: its ARN, what it answers for as far as it is asked, and what has to be done with its targets.
    async fn kept(&self, group: &Group, asks: Asks<'_>) -> Result<(String, Option<Told>, BackendChanges)> {
        if asks.check && !group.checks(&self.wanted.check) {
            let check = &self.wanted.check;
            let call = self.region.elb.modify_target_group().target_group_arn(&group.arn).health_check_protocol(check.protocol.clone()).health_check_port(&check.port);
            let call = call.set_health_check_path(check.path.clone()).health_check_interval_seconds(check.interval_s).health_check_timeout_seconds(check.timeout_s);
            let call = call.healthy_threshold_count(check.healthy).unhealthy_threshold_count(check.unhealthy);
            self.region.elb.write(self.cx, "ModifyTargetGroup", call.send()).await?;
        }
        let attributes = if asks.attributes { Some(self.region.group_attributes(self.cx, group).await?) } else { None };
        let changes = match asks.targets {
            Targets::Stay => BackendChanges::default(),
            Targets::All => self.changes(self.region.targets(self.cx, &group.arn).await?.iter().map(String::as_str))?,
            Targets::Delta(_) if group.pool.follows => BackendChanges::default(),
            Targets::Delta(changes) => changes.clone(),
        };
        Ok((group.arn.clone(), attributes, changes))
    }
    async fn make_group(&self, pool: &Pool, vpc: &str) -> Result<String> {
        let (check, parts) = (&self.wanted.check, Mark { digest: None, ..mark::of_change(self.cx, self.change) });
        let tags = Tags::ours(&parts, &self.change.target.name()?.id);
        let call = self.region.elb.create_target_group().name(self.names.pool(pool)).vpc_id(vpc);
        let call = call.protocol(pool.protocol.clone()).port(number(pool.port)).target_type(pool.kind.clone());
        let call = call.set_ip_address_type(pool.is_v6.then_some(TargetGroupIpAddressTypeEnum::Ipv6));
        let call = call.health_check_protocol(check.protocol.clone()).health_check_port(&check.port).set_health_check_path(check.path.clone());
        let call = call.health_check_interval_seconds(check.interval_s).health_check_timeout_seconds(check.timeout_s);
        let call = call.healthy_threshold_count(check.healthy).unhealthy_threshold_count(check.unhealthy).set_tags(Some(tags.balancing()));
        let answer = self.region.elb.write(self.cx, "CreateTargetGroup", call.send()).await?;
        made_id(answer.target_groups().first().and_then(|g| g.target_group_arn()), "TargetGroupArn")
    }
    async fn answer_for(&self, group: &str, changed: &[(&'static str, String)]) -> Result<()> {
        if changed.is_empty() {
            return Ok(());
        }
        let attribute = |key: &str, value: &str| TargetGroupAttribute::builder().key(key).value(value).build();
        let mut all: Vec<TargetGroupAttribute> = changed.iter().map(|(key, value)| attribute(key, value)).collect();
        if changed.iter().any(|(key, value)| *key == AFFINITY && value == "true") {
            all.push(attribute("stickiness.type", "source_ip"));
        }
        let call = self.region.elb.modify_target_group_attributes().target_group_arn(group).set_attributes(Some(all));
        self.region.elb.write(self.cx, "ModifyTargetGroupAttributes", call.send()).await.map(drop)
    }
    /// Adds targets and takes some away, in batches. New ones come first, so that there always are some.
    async fn targeted(&self, group: &str, changes: &BackendChanges, beyond: &Beyond<'_>) -> Result<()> {
        for batch in changes.missing.chunks(MOST_TARGETS) {
            let call = self.region.elb.register_targets().target_group_arn(group).set_targets(Some(beyond.described(batch).await?));
            self.region.elb.write(self.cx, "RegisterTargets", call.send()).await?;
        }
        for batch in changes.surplus.chunks(MOST_TARGETS) {
            match self.taken_away(group, batch).await {
                // Of AWS what is no target is fine (API_DeregisterTargets: "If the specified target does not exist, the action returns successfully"). Moto
                // refuses it, and AWS says so of what it does not know any more: what is a target still is named by itself.
                Err(e) if error::is(&e, &["InvalidTarget"]) => {
                    let there = self.region.targets(self.cx, group).await?;
                    let left: Vec<String> = batch.iter().filter(|id| there.contains(id)).cloned().collect();
                    match left.len() {
                        0 => {}
                        n if n == batch.len() => return Err(e),
                        _ => self.taken_away(group, &left).await?,
                    }
                }
                answer => answer?,
            }
        }
        Ok(())
    }

    /// What is none is fine.
    async fn taken_away(&self, group: &str, ids: &[String]) -> Result<()> {
        let targets = ids.iter().map(|id| TargetDescription::builder().id(id).build()).collect();
        let call = self.region.elb.deregister_targets().target_group_arn(group).set_targets(Some(targets));
        self.region.elb.write(self.cx, "DeregisterTargets", call.send()).await.map(drop)
    }
    /// Has the wanted instance groups register what they have. `there`: what is known to be so; each group is told of all of its target groups at once,
    /// because it takes one change at a time.
    pub(super) async fn followed(&self, there: &Led, groups: &BTreeMap<Pool, String>) -> Result<()> {
        let wanted = self.wanted.followed()?;
        let one = |group: &String| {
            let known = there.get(group);
            let missing: Vec<&str> = groups.values().filter(|arn| known.is_none_or(|known| !known.contains(*arn))).map(String::as_str).collect();
            let group = group.clone();
            Box::pin(async move { self.region.lead(self.cx, &group, &missing).await })
        };
        all(wanted.iter().map(one).collect()).await.map(drop)
    }
    /// Has those that are not wanted any more let go.
    pub(super) async fn let_go(&self, there: &Led, groups: &BTreeMap<Pool, String>) -> Result<()> {
        let wanted = self.wanted.followed()?;
        let stays = |group: &String, target: &String| wanted.contains(group) && groups.values().any(|arn| arn == target);
        let mut calls = Vec::new();
        for (group, led) in there {
            let surplus: Vec<&str> = led.iter().filter(|target| !stays(group, target)).map(String::as_str).collect();
            calls.push(Box::pin(async move { self.region.lead_no_more(self.cx, group, &surplus).await }));
        }
        all(calls).await.map(drop)
    }

    /// Brings the listeners to what is wanted. One that becomes another protocol over the same transport is changed in its place, so that nobody is cut off;
    /// a port has one listener, so that any other has to go before the new one comes.
    pub(super) async fn listeners(&self, balancer: &str, there: &[Front2], groups: &BTreeMap<Pool, String>, asks_idle: bool) -> Result<()> {
        let at = |front: &Front| there.iter().find(|l| l.port() == Some(number(front.port)));
        let gone = |l: &&Front2| self.wanted.fronts.iter().all(|f| l.port() != Some(number(f.port)));
        let others: Vec<&Front2> = self.wanted.fronts.iter().filter_map(|f| at(f).filter(|l| !share(l.protocol(), &f.protocol))).collect();
        all(others.iter().map(|l| Box::pin(self.stop(l))).collect()).await?;
        let mut calls = Vec::new();
        for front in &self.wanted.fronts {
            let group = groups.get(&front.pool).ok_or_else(|| Error::internal("a listener leads to no target group"))?;
            calls.push(Box::pin(self.listener(balancer, front, group, at(front).filter(|l| share(l.protocol(), &front.protocol)), asks_idle)));
        }
        all(calls).await?;
        all(there.iter().filter(gone).map(|l| Box::pin(self.stop(l))).collect()).await.map(drop)
    }
    async fn listener(&self, balancer: &str, front: &Front, group: &str, there: Option<&Front2>, asks_idle: bool) -> Result<()> {
        let action = Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(group).build();
        let certificate = front.certificate.as_ref().map(|arn| vec![Certificate::builder().certificate_arn(arn).build()]);
        let (arn, is_new) = match there {
            None => {
                let call = self.region.elb.create_listener().load_balancer_arn(balancer).protocol(front.protocol.clone()).port(number(front.port));
                let answer = self.region.elb.write(self.cx, "CreateListener", call.default_actions(action).set_certificates(certificate).send()).await?;
                (made_id(answer.listeners().first().and_then(|l| l.listener_arn()), "ListenerArn")?, true)
            }
            Some(listener) => {
                let arn = answered(told(listener.listener_arn()), "ListenerArn")?;
                let other = listener.protocol() != Some(&front.protocol);
                let certified = listener.certificates().first().and_then(|c| told(c.certificate_arn()));
                if other || leads_to(listener) != Some(group) || certified != front.certificate.as_deref() {
                    let call = self.region.elb.modify_listener().listener_arn(arn).set_protocol(other.then(|| front.protocol.clone()));
                    self.region.elb.write(self.cx, "ModifyListener", call.default_actions(action).set_certificates(certificate).send()).await?;
                }
                (arn.to_owned(), false)
            }
        };
        if !Front::has_idle_timeout(&front.protocol) || !(is_new || asks_idle) {
            return Ok(());
        }
        let now = if is_new { IDLE_S.to_string() } else { self.region.idle_timeout(self.cx, &arn).await?.unwrap_or_else(|| IDLE_S.to_string()) };
        if now == self.wanted.idle_s {
            return Ok(());
        }
        let idle = ListenerAttribute::builder().key(IDLE).value(&self.wanted.idle_s).build();
        let call = self.region.elb.modify_listener_attributes().listener_arn(arn).attributes(idle);
        self.region.elb.write(self.cx, "ModifyListenerAttributes", call.send()).await.map(drop)
    }
    async fn stop(&self, listener: &Front2) -> Result<()> {
        let arn = answered(told(listener.listener_arn()), "ListenerArn")?;
        match self.region.elb.write(self.cx, "DeleteListener", self.region.elb.delete_listener().listener_arn(arn).send()).await {
            Err(e) if error::is(&e, &["ListenerNotFound"]) => Ok(()),
            answer => answer.map(drop),
        }
    }
    /// Makes the labels what is desired.
    pub(super) async fn relabel(&self, row: &Row) -> Result<()> {
        // What was adopted has no name.
        let id = self.change.target.name().ok().map(|n| &n.id);
        let (written, removed) = row.tags.relabel(&self.wanted.spec.labels, id);
        if !written.is_empty() {
            let tags = mark::balancing(written.iter().filter_map(|t| Some((t.key()?, t.value().unwrap_or_default()))));
            let call = self.region.elb.add_tags().resource_arns(row.id.as_str()).set_tags(Some(tags));
            self.region.elb.write(self.cx, "AddTags", call.send()).await?;
        }
        if !removed.is_empty() {
            let keys = removed.iter().filter_map(|t| t.key().map(ToOwned::to_owned)).collect();
            let call = self.region.elb.remove_tags().resource_arns(row.id.as_str()).set_tag_keys(Some(keys));
            self.region.elb.write(self.cx, "RemoveTags", call.send()).await?;
        }
        Ok(())
    }
}

/// The target groups go, as far as nothing leads to them any more: whether all have gone.
pub(super) async fn remove_groups(region: &Region, cx: &Cx, groups: &[&Group]) -> Result<bool> {
    let one = |arn: &str| {
        let call = region.elb.delete_target_group().target_group_arn(arn);
        Box::pin(async move {
            match region.elb.write(cx, "DeleteTargetGroup", call.send()).await {
                Err(e) if error::is(&e, &["TargetGroupNotFound"]) => Ok(true),
                Err(e) if error::is(&e, &["ResourceInUse"]) => Ok(false),
                answer => answer.map(|_| true),
            }
        })
    };
    all(groups.iter().map(|g| one(&g.arn)).collect()).await.map(|gone| gone.into_iter().all(|gone| gone))
}

pub(super) fn arn(balancer: &Vendors) -> Result<&str> {
    answered(told(balancer.load_balancer_arn()), "LoadBalancerArn")
}
/// Is there a transport that both take?
fn share(one: Option<&ProtocolEnum>, other: &ProtocolEnum) -> bool {
    let is_udp = |protocol: &ProtocolEnum| *protocol == ProtocolEnum::Udp;
    one.is_some_and(|one| is_udp(one) == is_udp(other) || [one, other].contains(&&ProtocolEnum::TcpUdp))
}
