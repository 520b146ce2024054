//! What reads show of a load balancer: itself, its tags, what belongs to it, and what all of that says in our terms.

use super::{
    opening::{self, Rules},
    wanted::{AFFINITY, CROSS_ZONE, Check, Front, IDLE, Names, PRESERVES, PROTECTED, PROXY, Pool, Wanted},
};
use crate::{
    client::{AT_ONCE, Region},
    error,
    instance_group::Led,
    mark::{self, Tags},
    page::all_pages,
    single::by_vendor_id,
    step::{answered, told, unix_ms},
    subnet::referred,
};
use aws_sdk_elasticloadbalancingv2::types::{
    IpAddressType, Listener as Front2, LoadBalancer as Vendors, LoadBalancerSchemeEnum, LoadBalancerTypeEnum, ProtocolEnum, TargetGroup, TargetGroupIpAddressTypeEnum,
    TargetHealthDescription, TargetTypeEnum,
};
use futures::future::{join_all, try_join, try_join3, try_join4};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use welkin_core::{
    Backend, Cx, HealthCheck, Listener, ListenerProtocol, LoadBalancer, LoadBalancerSpec, LoadBalancerState, LoadBalancerStatus, Mark, Name, Object, Owner, ProviderId, Ref,
    ResourceId, Result, Scheme, TargetHealth, TargetState, VendorId,
};

/// What Elastic Load Balancing answers where it does not know the load balancer.
pub(crate) const GONE: &[&str] = &["LoadBalancerNotFound"];
/// Where it does not know the target group, or a load balancer has none.
pub(super) const NO_POOL: &[&str] = &["TargetGroupNotFound"];
/// The tags of so many are told by one call (<https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTags.html>).
pub(super) const MOST_TAGGED: usize = 20;
/// The largest page (<https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeLoadBalancers.html>).
pub(crate) const WHOLE: i32 = 400;

pub(super) type Told = BTreeMap<String, String>;

/// A load balancer with its tags.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: VendorId,
    pub(super) vendors: Vendors,
    pub(super) tags: Tags,
}
impl Row {
    pub(super) fn created_ms(&self) -> Option<u64> {
        unix_ms(self.vendors.created_time())
    }
    pub(super) fn mark(&self, owner: &Owner) -> Option<(ResourceId, Mark)> {
        self.tags.mark(owner)
    }
    pub(super) fn state(&self) -> &str {
        self.vendors.state().and_then(|s| s.code()).map_or("", |code| code.as_str())
    }
    pub(super) fn reason(&self) -> &str {
        self.vendors.state().and_then(|s| told(s.reason())).unwrap_or_default()
    }
}

/// A target group and what it is to us.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) pool: Pool,
    pub(super) check: Check,
}
impl Group {
    pub(super) fn of(group: &TargetGroup) -> Result<Self> {
        let number = |n: Option<i32>| n.unwrap_or_default();
        Ok(Self {
            arn: answered(told(group.target_group_arn()), "TargetGroupArn")?.to_owned(),
            name: group.target_group_name().unwrap_or_default().to_owned(),
            pool: Pool {
                protocol: group.protocol().cloned().unwrap_or(ProtocolEnum::Tcp),
                port: group.port().and_then(|port| port.try_into().ok()).unwrap_or_default(),
                kind: group.target_type().cloned().unwrap_or(TargetTypeEnum::Instance),
                follows: group.target_group_name().is_some_and(Names::follows),
                is_v6: group.ip_address_type() == Some(&TargetGroupIpAddressTypeEnum::Ipv6),
            },
            check: Check {
                protocol: group.health_check_protocol().cloned().unwrap_or(ProtocolEnum::Tcp),
                port: group.health_check_port().unwrap_or_default().to_owned(),
                path: told(group.health_check_path()).map(ToOwned::to_owned),
                interval_s: number(group.health_check_interval_seconds()),
                timeout_s: number(group.health_check_timeout_seconds()),
                healthy: number(group.healthy_threshold_count()),
                unhealthy: number(group.unhealthy_threshold_count()),
            },
        })
    }
    /// A path that no check asks for is none.
    pub(super) fn checks(&self, check: &Check) -> bool {
        let path = if check.path.is_some() { self.check.path.clone() } else { None };
        Check { path, ..self.check.clone() } == *check
    }
}

/// What belongs to a load balancer, as far as our terms have words for it. Of what is the same for all of its target groups and listeners only the first is
/// asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Around {
    pub(super) listeners: Vec<Front2>,
    /// By what they are.
    pub(super) groups: Vec<Group>,
    pub(super) attributes: Told,
    pub(super) group_attributes: Told,
    pub(super) idle: Option<u32>,
    pub(super) targets: Vec<String>,
    /// The instance groups that are led to, where it is ours and follows any.
    pub(super) led: Led,
    pub(super) rules: Rules,
}

fn pairs<'a, T: 'a>(all: &'a [T], pair: impl Fn(&'a T) -> (Option<&'a str>, Option<&'a str>)) -> Told {
    all.iter().map(pair).filter_map(|(key, value)| Some((key?.to_owned(), value.unwrap_or_default().to_owned()))).collect()
}
/// Where a listener leads, if it leads to one target group as ours do.
pub(super) fn leads_to(listener: &Front2) -> Option<&str> {
    let action = listener.default_actions().first()?;
    let forwards = action.forward_config().map(|f| f.target_groups()).unwrap_or_default();
    told(action.target_group_arn()).or_else(|| forwards.first().and_then(|t| t.target_group_arn()))
}

impl Region {
    /// Those of these names or ids, or all: one page, and where the next begins.
    pub(crate) async fn balancers(&self, cx: &Cx, size: i32, marker: Option<String>) -> Result<(Vec<Vendors>, Option<String>)> {
        let call = self.elb.describe_load_balancers().page_size(size).set_marker(marker);
        self.elb.read(cx, "DescribeLoadBalancers", call.send()).await.map(|a| (a.load_balancers.unwrap_or_default(), a.next_marker))
    }
    pub(super) async fn every_balancer(&self, cx: &Cx) -> Result<Vec<Vendors>> {
        all_pages(async |marker| self.balancers(cx, WHOLE, marker).await.map(|(all, next)| (Some(all), next))).await
    }
    /// None where there is none of this name; what is no network load balancer is none.
    pub(super) async fn balancer_named(&self, cx: &Cx, name: &str) -> Result<Option<Vendors>> {
        self.balancer_of(cx, self.elb.describe_load_balancers().names(name)).await
    }
    pub(super) async fn balancer(&self, cx: &Cx, id: &str) -> Result<Option<Vendors>> {
        self.balancer_of(cx, self.elb.describe_load_balancers().load_balancer_arns(id)).await
    }
    async fn balancer_of(
        &self,
        cx: &Cx,
        call: aws_sdk_elasticloadbalancingv2::operation::describe_load_balancers::builders::DescribeLoadBalancersFluentBuilder,
    ) -> Result<Option<Vendors>> {
        match self.elb.read(cx, "DescribeLoadBalancers", call.send()).await {
            // No id at all, or one of another kind of things.
            Err(e) if error::is(&e, GONE) || error::is(&e, &["ValidationError"]) => Ok(None),
            answer => Ok(networks(answer?.load_balancers.unwrap_or_default())?.into_iter().next()),
        }
    }
    /// With their tags. One that went between the two reads is left out.
    pub(super) async fn tagged(&self, cx: &Cx, all: Vec<Vendors>) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for vendors in all {
            let id = answered(vendors.load_balancer_arn().and_then(|id| id.parse::<VendorId>().ok()), "LoadBalancerArn")?;
            rows.push(Row { id, vendors, tags: Tags::default() });
        }
        let ids: Vec<String> = rows.iter().map(|row| row.id.to_string()).collect();
        let mut tags = self.tags_of(cx, &ids).await?;
        rows.retain_mut(|row| tags.remove(row.id.as_str()).map(|tags| row.tags = tags).is_some());
        Ok(rows)
    }
    /// The tags of each of these that is there.
    pub(super) async fn tags_of(&self, cx: &Cx, ids: &[String]) -> Result<BTreeMap<String, Tags>> {
        let mut all = BTreeMap::new();
        for some in ids.chunks(MOST_TAGGED) {
            match self.tags_of_some(cx, some).await {
                Ok(tags) => all.extend(tags),
                // One of them has gone, and takes the answer about the others with it.
                Err(e) if is_gone(&e) && some.len() > 1 => {
                    for one in some.chunks(1) {
                        all.extend(self.tags_of_some(cx, one).await.or_else(|e| if is_gone(&e) { Ok(BTreeMap::new()) } else { Err(e) })?);
                    }
                }
                Err(e) if is_gone(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(all)
    }
    async fn tags_of_some(&self, cx: &Cx, ids: &[String]) -> Result<BTreeMap<String, Tags>> {
        let call = self.elb.describe_tags().set_resource_arns(Some(ids.to_vec()));
        let answer = self.elb.read(cx, "DescribeTags", call.send()).await?;
        let of = |tags: &[aws_sdk_elasticloadbalancingv2::types::Tag]| tags.iter().filter_map(|t| Some((t.key()?, t.value().unwrap_or_default()))).collect();
        let mut all = BTreeMap::new();
        for described in answer.tag_descriptions() {
            all.insert(answered(told(described.resource_arn()), "ResourceArn")?.to_owned(), of(described.tags()));
        }
        // What has none is described, too: what is not could be ours, and is not seen.
        match ids.iter().find(|id| !all.contains_key(*id)) {
            Some(id) => answered(None, &format!("tags of {id}")),
            None => Ok(all),
        }
    }
    /// The target groups of one load balancer, or of the whole region, by what they are.
    pub(super) async fn groups(&self, cx: &Cx, of: Option<&str>) -> Result<Vec<Group>> {
        let found = all_pages(async |marker| {
            let call = self.elb.describe_target_groups().set_load_balancer_arn(of.map(ToOwned::to_owned)).page_size(WHOLE).set_marker(marker);
            self.elb.read(cx, "DescribeTargetGroups", call.send()).await.map(|a| (a.target_groups, a.next_marker))
        });
        let found = match found.await {
            Err(e) if error::is(&e, NO_POOL) => Vec::new(),
            found => found?,
        };
        let mut groups = found.iter().map(Group::of).collect::<Result<Vec<_>>>()?;
        groups.sort_by(|a, b| (&a.pool, &a.name).cmp(&(&b.pool, &b.name)));
        Ok(groups)
    }
    /// Those that carry these names, whether or not a listener leads to them.
    pub(super) async fn groups_named(&self, cx: &Cx, names: &Names) -> Result<Vec<Group>> {
        let mut all = self.groups(cx, None).await?;
        all.retain(|group| names.has(&group.name));
        Ok(all)
    }
    pub(super) async fn listeners(&self, cx: &Cx, id: &str) -> Result<Vec<Front2>> {
        all_pages(async |marker| {
            let call = self.elb.describe_listeners().load_balancer_arn(id).page_size(WHOLE).set_marker(marker);
            self.elb.read(cx, "DescribeListeners", call.send()).await.map(|a| (a.listeners, a.next_marker))
        })
        .await
    }
    pub(super) async fn balancer_attributes(&self, cx: &Cx, id: &str) -> Result<Told> {
        let call = self.elb.describe_load_balancer_attributes().load_balancer_arn(id);
        self.elb.read(cx, "DescribeLoadBalancerAttributes", call.send()).await.map(|a| pairs(a.attributes(), |a| (a.key(), a.value())))
    }
    /// What is not told is as it is with a new one.
    pub(super) async fn group_attributes(&self, cx: &Cx, group: &Group) -> Result<Told> {
        let call = self.elb.describe_target_group_attributes().target_group_arn(&group.arn);
        let seen = self.elb.read(cx, "DescribeTargetGroupAttributes", call.send()).await.map(|a| pairs(a.attributes(), |a| (a.key(), a.value())))?;
        let mut all: Told = group.pool.attributes().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        all.extend(seen);
        Ok(all)
    }
    /// None where it has none.
    pub(super) async fn idle_timeout(&self, cx: &Cx, listener: &str) -> Result<Option<String>> {
        let call = self.elb.describe_listener_attributes().listener_arn(listener);
        let answer = self.elb.read(cx, "DescribeListenerAttributes", call.send()).await?;
        Ok(answer.attributes().iter().find(|a| a.key() == Some(IDLE)).and_then(|a| a.value().map(ToOwned::to_owned)))
    }
    pub(super) async fn health(&self, cx: &Cx, group: &str) -> Result<Vec<TargetHealthDescription>> {
        let call = self.elb.describe_target_health().target_group_arn(group);
        self.elb.read(cx, "DescribeTargetHealth", call.send()).await.map(|a| a.target_health_descriptions.unwrap_or_default())
    }
    /// Its targets, without those that it has let go.
    pub(super) async fn targets(&self, cx: &Cx, group: &str) -> Result<Vec<String>> {
        let all = self.health(cx, group).await?;
        all.iter().filter(|t| state_of(t) != "draining").map(target_id).collect()
    }
    /// What belongs to one, with what else the caller has read of it already.
    pub(super) async fn around(&self, cx: &Cx, row: &Row) -> Result<Around> {
        let id = row.id.as_str();
        let rules = async {
            match row.mark(&cx.owner) {
                Some((_, mark)) => Rules::of(self, cx, &mark.uid).await,
                None => Ok(Rules::default()),
            }
        };
        let (listeners, groups, attributes, rules) = Box::pin(try_join4(self.listeners(cx, id), self.groups(cx, Some(id)), self.balancer_attributes(cx, id), rules)).await?;
        let first = groups.first();
        let timed = listeners.iter().find(|l| l.protocol().is_some_and(Front::has_idle_timeout)).and_then(Front2::listener_arn);
        let of_group = async {
            match first {
                Some(group) => Box::pin(try_join(self.group_attributes(cx, group), self.targets(cx, &group.arn))).await,
                None => Ok((Told::new(), Vec::new())),
            }
        };
        let idle = async {
            match timed {
                Some(listener) => self.idle_timeout(cx, listener).await,
                None => Ok(None),
            }
        };
        let led = async {
            let following: BTreeSet<&str> = groups.iter().filter(|g| g.pool.follows).map(|g| g.arn.as_str()).collect();
            if following.is_empty() || row.mark(&cx.owner).is_none() { Ok(Led::new()) } else { self.led(cx, &following).await }
        };
        let ((group_attributes, targets), idle, led) = Box::pin(try_join3(of_group, idle, led)).await?;
        let idle = idle.and_then(|s| s.parse().ok());
        Ok(Around { listeners, groups, attributes, group_attributes, idle, targets, led, rules })
    }
    /// Which of the backends work, by listener.
    pub(super) async fn target_health(&self, cx: &Cx, id: &str) -> Result<Vec<TargetHealth>> {
        let (listeners, groups) = Box::pin(try_join(self.listeners(cx, id), self.groups(cx, Some(id)))).await?;
        let mut out = Vec::new();
        for some in groups.chunks(AT_ONCE) {
            let all = join_all(some.iter().map(|group| self.health(cx, &group.arn))).await;
            for (group, targets) in some.iter().zip(all) {
                let led = listeners.iter().filter(|l| leads_to(l) == Some(&group.arn));
                let led: Vec<(ListenerProtocol, Option<u16>)> = led.flat_map(|l| protocols(l.protocol()).iter().map(|p| (*p, port(l)))).collect();
                for target in targets? {
                    let id = target_id(&target)?;
                    out.extend(led.iter().map(|(protocol, port)| TargetHealth {
                        backend: id.clone(),
                        protocol: *protocol,
                        port: *port,
                        state: state(&target),
                        reason: why(&target),
                    }));
                }
            }
        }
        Ok(out)
    }
}
fn is_gone(e: &welkin_core::Error) -> bool {
    error::is(e, GONE) || error::is(e, NO_POOL)
}
/// Those of them that are network load balancers. One that does not say what it is could be.
pub(super) fn networks(all: Vec<Vendors>) -> Result<Vec<Vendors>> {
    let is_one = |b: &Vendors| answered(told(b.r#type().map(LoadBalancerTypeEnum::as_str)), "Type").map(|of| of == LoadBalancerTypeEnum::Network.as_str());
    let mut out = Vec::new();
    for balancer in all {
        if is_one(&balancer)? {
            out.push(balancer);
        }
    }
    Ok(out)
}
/// An address in its one text, which of IPv6 has many.
fn target_id(target: &TargetHealthDescription) -> Result<String> {
    let id = answered(target.target().and_then(|t| told(t.id())), "Id")?;
    Ok(id.parse::<IpAddr>().map_or_else(|_| id.to_owned(), |ip| ip.to_string()))
}
fn state_of(target: &TargetHealthDescription) -> &str {
    target.target_health().and_then(|h| h.state()).map_or("", |s| s.as_str())
}
fn why(target: &TargetHealthDescription) -> String {
    let health = target.target_health();
    let code = health.and_then(|h| h.reason()).map(|r| r.as_str());
    [told(code), health.and_then(|h| told(h.description()))].into_iter().flatten().collect::<Vec<_>>().join(": ")
}
/// The vendor's states (<https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html>), with the reason where that changes
/// what they mean, and ours. The first that fits counts.
static STATES: &[(&str, &str, TargetState)] = &[
    ("initial", "", TargetState::Initial),
    ("healthy", "", TargetState::Healthy),
    ("unhealthy", "", TargetState::Unhealthy),
    ("unhealthy.draining", "", TargetState::Unhealthy),
    // It is stopped: something leads to it, and it does not work.
    ("unused", "Target.InvalidState", TargetState::Unhealthy),
    ("unused", "", TargetState::Unused),
    ("draining", "", TargetState::Draining),
    // Its checks say nothing, or cannot be told.
    ("unavailable", "", TargetState::Initial),
];
fn state(target: &TargetHealthDescription) -> TargetState {
    let reason = target.target_health().and_then(|h| h.reason()).map_or("", |r| r.as_str());
    STATES.iter().find(|(s, r, _)| *s == state_of(target) && (r.is_empty() || *r == reason)).map_or(TargetState::Unspecified, |(.., state)| *state)
}
/// The vendor's states (<https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerState.html>) and ours.
static BALANCER_STATES: &[(&str, LoadBalancerState)] = &[
    ("provisioning", LoadBalancerState::Provisioning),
    ("active", LoadBalancerState::Active),
    // It takes connections, and has not the room that it needs.
    ("active_impaired", LoadBalancerState::Active),
    ("failed", LoadBalancerState::Failed),
];
fn port(listener: &Front2) -> Option<u16> {
    listener.port().and_then(|port| port.try_into().ok())
}
fn protocols(protocol: Option<&ProtocolEnum>) -> &'static [ListenerProtocol] {
    match protocol {
        Some(ProtocolEnum::Tcp) => &[ListenerProtocol::Tcp],
        Some(ProtocolEnum::Udp) => &[ListenerProtocol::Udp],
        Some(ProtocolEnum::TcpUdp) => &[ListenerProtocol::Tcp, ListenerProtocol::Udp],
        Some(ProtocolEnum::Tls) => &[ListenerProtocol::Tls],
        _ => &[],
    }
}
/// What one of the vendor's listeners is of ours.
fn listeners_of(listener: &Front2, groups: &[Group]) -> Vec<Listener> {
    let target_port = leads_to(listener).and_then(|arn| groups.iter().find(|g| g.arn == arn)).map(|g| g.pool.port);
    let certificate = listener.certificates().first().and_then(|c| told(c.certificate_arn())).map(ToOwned::to_owned);
    let one = |protocol: &ListenerProtocol| Listener { protocol: *protocol, port: port(listener), target_port, certificate: certificate.clone() };
    protocols(listener.protocol()).iter().map(one).collect()
}

impl Row {
    /// As reads show it.
    pub(super) fn object(&self, region: &Region, owner: &Owner, around: &Around) -> Result<Object<LoadBalancer>> {
        let is = |told: &Told, key: &str| told.get(key).is_some_and(|value| value == "true");
        let mut backends = Vec::new();
        for group in around.led.keys() {
            backends.push(Backend { instance_group: Some(by_vendor_id(region, group)?), ..Backend::default() });
        }
        let is_led = around.groups.first().is_some_and(|g| g.pool.follows) && self.mark(owner).is_some();
        for target in around.targets.iter().filter(|_| !is_led) {
            backends.push(match target.parse::<IpAddr>() {
                Ok(ip) => Backend { address: Some(ip), ..Backend::default() },
                Err(_) => Backend { instance: Some(by_vendor_id(region, target)?), ..Backend::default() },
            });
        }
        let spec = LoadBalancerSpec {
            listeners: around.listeners.iter().flat_map(|l| listeners_of(l, &around.groups)).collect(),
            backends,
            health_check: around.groups.first().map(|g| g.check.told()).unwrap_or_default(),
            source_ranges: around.rules.source_ranges(),
            client_ip_affinity: is(&around.group_attributes, AFFINITY),
            preserve_client_ip: around.group_attributes.get(PRESERVES).map(|value| value == "true"),
            proxy_protocol: is(&around.group_attributes, PROXY),
            cross_zone: is(&around.attributes, CROSS_ZONE),
            idle_timeout_s: around.idle,
            deletion_protection: is(&around.attributes, PROTECTED),
            labels: self.tags.labels(),
            ..LoadBalancerSpec::default()
        };
        self.told(region, owner, spec, around.rules.opened())
    }
    /// As it is once everything wanted is so.
    pub(super) fn made(&self, region: &Region, owner: &Owner, wanted: &Wanted<'_>, opened: Vec<String>) -> Result<Object<LoadBalancer>> {
        let mut spec = wanted.told();
        for instance in spec.backends.iter_mut().filter_map(|b| b.instance.as_mut()) {
            *instance = by_vendor_id(region, instance.vendor_id()?.as_str())?;
        }
        for group in spec.backends.iter_mut().filter_map(|b| b.instance_group.as_mut()) {
            *group = by_vendor_id(region, group.vendor_id()?.as_str())?;
        }
        self.told(region, owner, spec, opened)
    }
    /// `spec`: of what belongs to it.
    fn told(&self, region: &Region, owner: &Owner, mut spec: LoadBalancerSpec, opened: Vec<String>) -> Result<Object<LoadBalancer>> {
        let (name, mark) = match self.mark(owner) {
            Some((name, mark)) => (name, Some(mark)),
            None => (ResourceId::of_vendor(self.id.as_str())?, None),
        };
        let vpc = answered(told(self.vendors.vpc_id()), "VpcId")?;
        spec.network = Some(Ref::resolved(referred(region, mark.is_some(), &self.tags, mark::NETWORK, vpc)?, vpc.parse()?));
        spec.scheme = match self.vendors.scheme() {
            Some(LoadBalancerSchemeEnum::InternetFacing) => Scheme::Public,
            Some(LoadBalancerSchemeEnum::Internal) => Scheme::Internal,
            _ => Scheme::Unspecified,
        };
        spec.dual_stack = self.vendors.ip_address_type().is_some_and(|t| *t != IpAddressType::Ipv4);
        (spec.subnets, spec.addresses) = (Vec::new(), Vec::new());
        let mut ip_addresses = Vec::new();
        for zone in self.vendors.availability_zones() {
            if let Some(subnet) = told(zone.subnet_id()) {
                spec.subnets.push(by_vendor_id(region, subnet)?);
            }
            for at in zone.load_balancer_addresses() {
                if let Some(id) = told(at.allocation_id()) {
                    spec.addresses.push(by_vendor_id(region, id)?);
                }
                ip_addresses.extend([at.ip_address(), at.private_ipv4_address(), at.ipv6_address()].into_iter().filter_map(|ip| told(ip)?.parse::<IpAddr>().ok()));
            }
        }
        spec.settle();
        let state = BALANCER_STATES.iter().find(|(name, _)| *name == self.state()).map_or(LoadBalancerState::Unspecified, |(_, state)| *state);
        let status = LoadBalancerStatus {
            state,
            state_reason: self.reason().to_owned(),
            dns_name: self.vendors.dns_name().unwrap_or_default().to_owned(),
            ip_addresses,
            opened_security_groups: opened,
        };
        Ok(Object {
            name: Name::new(region.name.clone(), name),
            // An ARN has slashes, which part a provider id.
            provider_id: ProviderId::new("aws", "", &std::iter::once(region.id()).chain(self.id.as_str().split('/')).collect::<Vec<_>>())?,
            vendor_id: self.id.clone(),
            mark,
            revision: None,
            created_ms: self.created_ms(),
            spec,
            status,
        })
    }
}
/// What is left of one that is gone: its security group, which goes last.
pub(super) fn fragment(region: &Region, owner: &Owner, name: &Name<LoadBalancer>, group: &opening::Own) -> Result<Object<LoadBalancer>> {
    let status = LoadBalancerStatus { state: LoadBalancerState::Incomplete, state_reason: format!("only {} is left of it", group.id), ..LoadBalancerStatus::default() };
    Ok(Object {
        name: name.clone(),
        provider_id: ProviderId::new("aws", "", &[region.id(), &group.id])?,
        vendor_id: group.id.parse()?,
        mark: group.mark(owner),
        revision: None,
        created_ms: None,
        spec: LoadBalancerSpec { health_check: HealthCheck::default(), ..LoadBalancerSpec::default() },
        status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_elasticloadbalancingv2::types::{LoadBalancerStateEnum, TargetHealth as Health, TargetHealthReasonEnum, TargetHealthStateEnum};

    #[test]
    fn every_state_of_the_model_has_a_meaning() {
        for known in LoadBalancerStateEnum::values() {
            assert_eq!(BALANCER_STATES.iter().filter(|(name, _)| name == known).count(), 1, "{known}");
        }
        let target = |known: &str, reason: Option<TargetHealthReasonEnum>| {
            let health = Health::builder().state(TargetHealthStateEnum::from(known)).set_reason(reason).build();
            state(&TargetHealthDescription::builder().target_health(health).build())
        };
        for known in TargetHealthStateEnum::values() {
            assert_ne!(target(known, None), TargetState::Unspecified, "{known}");
        }
        assert_eq!(target("unused", Some(TargetHealthReasonEnum::InvalidState)), TargetState::Unhealthy);
        assert_eq!((target("unused", Some(TargetHealthReasonEnum::NotInUse)), target("new", None)), (TargetState::Unused, TargetState::Unspecified));
    }
}
