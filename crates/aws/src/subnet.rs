//! Subnets are EC2 subnets: one object, in one zone.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSubnet.html> takes no client token: a lost reply is resolved by the tags.

use crate::{
    Aws,
    client::Region,
    error,
    mark::{self, Asked, Tags, filter, of_id, of_owner, of_uid},
    only, owned,
    page::{At, MAX_RESULTS},
    step::{Look, age, answered, judge, look_again, now_ms, pace, vendor_id},
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{AttributeBooleanValue, Filter, ResourceType, Subnet as Ec2Subnet};
use ipnet::{IpNet, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};
use welkin_core::{
    Change, Cursor, Cx, Driver, Error, ErrorKind, FieldPath, Name, NoAction, Object, Owner, Page, ProviderId, Query, Reader, Reason, Ref, ResourceId, Result, Resume, Retry, Shard,
    Step, Subnet, SubnetSpec, SubnetState, SubnetStatus, Target, VendorId, Verb, Violation,
};

const GONE: &[&str] = &["InvalidSubnetID.NotFound", "InvalidSubnetId.NotFound"];
/// In the note of what was asked for.
const ASKED_IPV6: &str = "ipv6";
/// A subnet's IPv6 range, where AWS's VPC range is a /56 (<https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html>).
const IPV6_PREFIX: u8 = 64;

/// What a create has made so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Made {
    subnet: String,
    since_ms: u64,
}

#[async_trait]
impl Reader<Subnet> for Aws {
    fn shards(&self, query: &Query<Subnet>) -> Vec<Shard> {
        self.regional_shards(query.parent.as_ref())
    }

    async fn get(&self, cx: &Cx, target: &Target<Subnet>) -> Result<Object<Subnet>> {
        let region = self.region(target.parent())?;
        let found = find(region, cx, target).await?.ok_or_else(|| Error::not_found(target))?;
        object(region, &cx.owner, &found)
    }

    async fn list(&self, cx: &Cx, query: &Query<Subnet>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<Subnet>> {
        let region = self.shard(shard)?;
        let at = At::read(from)?;
        let mut filters = Vec::new();
        if query.owned_only {
            filters.push(of_owner(&cx.owner));
        }
        if !query.vendor_ids.is_empty() {
            filters.push(filter("subnet-id", query.vendor_ids.iter().map(VendorId::as_str)));
        }
        let size = i32::try_from(query.page_size.clamp(MAX_RESULTS.0, MAX_RESULTS.1)).unwrap_or(5);
        let call = region.ec2.describe_subnets().set_filters(Some(filters)).max_results(size).set_next_token(at.token.clone());
        let answer = region.read(cx, "DescribeSubnets", call.send()).await?;
        let (subnets, next) = at.cut(answer.subnets.unwrap_or_default(), answer.next_token, query.page_size, |s| s.subnet_id().unwrap_or_default().to_owned())?;
        let items = subnets.iter().map(|s| object(region, &cx.owner, s)).collect::<Result<_>>()?;
        Ok(Page { items, next, unreachable: Vec::new() })
    }
}

#[async_trait]
impl Driver<Subnet> for Aws {
    async fn check(&self, cx: &Cx, change: &Change<Subnet>) -> Result<()> {
        let region = self.region(change.target.parent())?;
        match &change.verb {
            Verb::Create { spec, .. } => {
                let ipv6 = assigned_range(region, cx, spec).await?;
                let call = create_subnet(region, spec, ipv6)?.tag_specifications(tags(cx, change, spec)?.on(ResourceType::Subnet)).dry_run(true);
                region.dry_run(cx, "CreateSubnet", call.send()).await
            }
            Verb::Update { .. } => self.get(cx, &change.target).await.and_then(|o| owned(&change.target, &change.uid, &o)),
            Verb::Delete => {
                let object = self.get(cx, &change.target).await?;
                owned(&change.target, &change.uid, &object)?;
                refuse_if_used(region, cx, object.vendor_id.as_str()).await?;
                region.dry_run(cx, "DeleteSubnet", region.ec2.delete_subnet().subnet_id(object.vendor_id.as_str()).dry_run(true).send()).await
            }
            Verb::Act(action) => match *action {},
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<Subnet>, spec: &SubnetSpec, resume: &Resume) -> Result<Step<Object<Subnet>>> {
        let region = self.region(change.target.parent())?;
        let made: Option<Made> = resume.data();
        let made = match made {
            Some(made) => made,
            None => {
                let found = if resume.is_unresolved() { first(subnets(region, cx, of_uid(&cx.owner, &change.uid)).await?) } else { None };
                match judge(found, resume, self.horizon) {
                    Look::Found(subnet) => Made { subnet, since_ms: now_ms() },
                    Look::Wait(after) => return Ok(look_again(after, "subnet")),
                    Look::Write => return make(region, cx, change, spec).await,
                }
            }
        };
        let subnet = match subnet_by_id(region, cx, &made.subnet).await {
            Ok(Some(subnet)) => subnet,
            Err(e) if !error::is(&e, GONE) => return Err(e),
            _ if age(made.since_ms) < self.horizon => return Step::wait(&made, pace(made.since_ms), "waiting for the subnet to be known everywhere"),
            _ => {
                let why = format!("{} was deleted while it was being made", made.subnet);
                return Err(Error::new(ErrorKind::Aborted, Reason::CreationFailed, why).with_resource(change.target.to_string()));
            }
        };
        let mut object = object(region, &cx.owner, &subnet)?;
        match object.status.state {
            SubnetState::Available if !ipv6_pending(&subnet) => {}
            SubnetState::Failed => return Err(error::creation_failed("", "the subnet failed").with_resource(change.target.to_string())),
            _ => return Step::wait(&made, pace(made.since_ms), "the subnet is becoming available"),
        }
        if object.spec.assign_public_ip != spec.assign_public_ip {
            set_public_ip(region, cx, &made.subnet, spec.assign_public_ip).await?;
            object.spec.assign_public_ip = spec.assign_public_ip;
        }
        Ok(Step::Done(object))
    }

    async fn update(&self, cx: &Cx, change: &Change<Subnet>, desired: &SubnetSpec, paths: &BTreeSet<FieldPath>, _: &Resume) -> Result<Step<Object<Subnet>>> {
        let region = self.region(change.target.parent())?;
        let found = find(region, cx, &change.target).await?.ok_or_else(|| Error::not_found(&change.target))?;
        let mut object = object(region, &cx.owner, &found)?;
        owned(&change.target, &change.uid, &object)?;
        let id = object.vendor_id.clone();
        if paths.contains(&FieldPath::from("labels")) {
            mark::relabel(region, cx, id.as_str(), &Tags::of(found.tags()), &desired.labels, &change.target.name()?.id).await?;
            object.spec.labels = desired.labels.clone();
        }
        if paths.contains(&FieldPath::from("assign_public_ip")) {
            set_public_ip(region, cx, id.as_str(), desired.assign_public_ip).await?;
            object.spec.assign_public_ip = desired.assign_public_ip;
        }
        Ok(Step::Done(object))
    }

    async fn delete(&self, cx: &Cx, change: &Change<Subnet>, resume: &Resume) -> Result<Step<()>> {
        let region = self.region(change.target.parent())?;
        let mut all = subnets(region, cx, of_uid(&cx.owner, &change.uid)).await?;
        if let Some(id) = change.target.vendor_id()
            && !all.iter().any(|s| s.subnet_id() == Some(id.as_str()))
        {
            // Tags can lag behind the object itself.
            let found = match subnet_by_id(region, cx, id.as_str()).await {
                Err(e) if error::is(&e, GONE) => None,
                found => found?,
            };
            let adopted = matches!(change.target, Target::Vendor { .. });
            all.extend(found.filter(|s| adopted || Tags::of(s.tags()).mark(&cx.owner).is_some_and(|(_, m)| m.uid == change.uid)));
        }
        for subnet in &all {
            let id = answered(subnet.subnet_id(), "SubnetId")?;
            refuse_if_used(region, cx, id).await?;
            match region.write(cx, "DeleteSubnet", region.ec2.delete_subnet().subnet_id(id).send()).await {
                // What was in it a moment ago is no longer shown, so EC2 will let go of it soon.
                Err(e) if error::is(&e, &["DependencyViolation"]) => return Err(e.with_retry(Retry::After(Duration::from_secs(5)))),
                Err(e) if !error::is(&e, GONE) => return Err(e),
                _ => {}
            }
        }
        match judge(None::<()>, resume, self.horizon) {
            Look::Wait(after) => Ok(Step::look_again(after, "looking for what is left of the subnet")),
            _ => Ok(Step::Done(())),
        }
    }

    async fn act(&self, _: &Cx, _: &Change<Subnet>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }
}

/// The one write that cannot be repeated.
async fn make(region: &Region, cx: &Cx, change: &Change<Subnet>, spec: &SubnetSpec) -> Result<Step<Object<Subnet>>> {
    let ipv6 = assigned_range(region, cx, spec).await?;
    let call = create_subnet(region, spec, ipv6)?.tag_specifications(tags(cx, change, spec)?.on(ResourceType::Subnet));
    let answer = region.write(cx, "CreateSubnet", call.send()).await.map_err(|e| {
        // Another subnet took the same free range between our look and our call. A range that the caller chose conflicts for good.
        if ipv6.is_some() && error::is(&e, &["InvalidSubnet.Conflict"]) && e.message().contains(':') { e.with_retry(Retry::After(Duration::from_secs(1))) } else { e }
    })?;
    let subnet = vendor_id(answered(answer.subnet, "subnet")?.subnet_id(), "SubnetId")?.to_string();
    Step::wait(&Made { subnet, since_ms: now_ms() }, Duration::ZERO, "the subnet is made")
}

fn tags(cx: &Cx, change: &Change<Subnet>, spec: &SubnetSpec) -> Result<Tags> {
    let id = &change.target.name()?.id;
    let asked = Asked::default().note(ASKED_IPV6, spec.assign_ipv6_cidr.then_some("assigned"));
    let network = spec.network.as_ref().map(|r| r.name.to_string()).unwrap_or_default();
    Ok(Tags::ours(&mark::of_change(cx, change), id).with_labels(&spec.labels, id).with(mark::ASKED, &asked.text()).with(mark::NETWORK, &network))
}

fn network_id(spec: &SubnetSpec) -> Result<&VendorId> {
    let required = || Error::violated(Reason::FieldRequired, vec![Violation::new("network", "a subnet needs the network that it is part of")]);
    spec.network.as_ref().ok_or_else(required)?.vendor_id()
}

fn create_subnet(region: &Region, spec: &SubnetSpec, assigned: Option<Ipv6Net>) -> Result<aws_sdk_ec2::operation::create_subnet::builders::CreateSubnetFluentBuilder> {
    let v4 = spec.cidrs.iter().find(|c| c.addr().is_ipv4());
    let v6 = spec.cidrs.iter().find(|c| c.addr().is_ipv6()).map(ToString::to_string).or_else(|| assigned.map(|a| a.to_string()));
    let call = region.ec2.create_subnet().vpc_id(network_id(spec)?.as_str()).set_availability_zone(spec.zone.clone()).set_ipv6_cidr_block(v6);
    Ok(match v4 {
        Some(v4) => call.cidr_block(v4.to_string()),
        None => call.ipv6_native(true),
    })
}

/// The first free range of the network's own IPv6 range, where one is asked for.
async fn assigned_range(region: &Region, cx: &Cx, spec: &SubnetSpec) -> Result<Option<Ipv6Net>> {
    if !spec.assign_ipv6_cidr {
        return Ok(None);
    }
    let vpc = network_id(spec)?.as_str();
    let vpcs = region.read(cx, "DescribeVpcs", region.ec2.describe_vpcs().vpc_ids(vpc).send()).await?;
    let whole = vpcs
        .vpcs()
        .iter()
        .flat_map(|v| v.ipv6_cidr_block_association_set())
        .filter(|a| a.ipv6_cidr_block_state().and_then(|s| s.state()).is_none_or(|s| s.as_str() == "associated"));
    let whole: Vec<Ipv6Net> = whole.filter_map(|a| a.ipv6_cidr_block()?.parse().ok()).collect();
    if whole.is_empty() {
        return Err(Error::new(ErrorKind::FailedPrecondition, Reason::WrongState, format!("{vpc} has no IPv6 range; make the network with assign_ipv6_cidr"))
            .with_field("assign_ipv6_cidr"));
    }
    let used: Vec<Ipv6Net> = subnets(region, cx, vec![filter("vpc-id", [vpc])]).await?.iter().flat_map(ipv6_ranges).collect();
    let free = free_range(&whole, &used);
    free.map(Some).ok_or_else(|| Error::new(ErrorKind::ResourceExhausted, Reason::QuotaExceeded, format!("every IPv6 range of {vpc} is in use")).with_field("assign_ipv6_cidr"))
}
fn free_range(whole: &[Ipv6Net], used: &[Ipv6Net]) -> Option<Ipv6Net> {
    let overlaps = |net: &Ipv6Net| used.iter().any(|u| u.contains(net) || net.contains(u));
    whole.iter().filter_map(|w| w.subnets(IPV6_PREFIX).ok()).flatten().find(|net| !overlaps(net))
}

async fn subnets(region: &Region, cx: &Cx, filters: Vec<Filter>) -> Result<Vec<Ec2Subnet>> {
    Ok(region.read(cx, "DescribeSubnets", region.ec2.describe_subnets().set_filters(Some(filters)).send()).await?.subnets.unwrap_or_default())
}
async fn subnet_by_id(region: &Region, cx: &Cx, id: &str) -> Result<Option<Ec2Subnet>> {
    Ok(region.read(cx, "DescribeSubnets", region.ec2.describe_subnets().subnet_ids(id).send()).await?.subnets.unwrap_or_default().pop())
}
async fn find(region: &Region, cx: &Cx, target: &Target<Subnet>) -> Result<Option<Ec2Subnet>> {
    match (target.vendor_id(), target) {
        (Some(id), _) => subnet_by_id(region, cx, id.as_str()).await.map_err(|e| error::absent(e, target, GONE)),
        (None, Target::Named { name, uid, .. }) => {
            only(target, subnets(region, cx, of_id(&cx.owner, &name.id, uid.as_ref())).await?, |s| s.subnet_id().unwrap_or_default().to_owned())
        }
        (None, Target::Vendor { .. }) => Ok(None),
    }
}
/// The lowest id, so that every step takes the same one.
fn first(found: Vec<Ec2Subnet>) -> Option<String> {
    found.into_iter().filter_map(|s| s.subnet_id).min()
}

async fn set_public_ip(region: &Region, cx: &Cx, id: &str, on: bool) -> Result<()> {
    let value = AttributeBooleanValue::builder().value(on).build();
    region.write(cx, "ModifySubnetAttribute", region.ec2.modify_subnet_attribute().subnet_id(id).map_public_ip_on_launch(value).send()).await.map(|_| ())
}

async fn refuse_if_used(region: &Region, cx: &Cx, subnet: &str) -> Result<()> {
    let call = region.ec2.describe_network_interfaces().filters(filter("subnet-id", [subnet]));
    let found = region.read(cx, "DescribeNetworkInterfaces", call.send()).await?.network_interfaces.unwrap_or_default();
    if found.is_empty() {
        return Ok(());
    }
    let user = |n: &aws_sdk_ec2::types::NetworkInterface| n.attachment().and_then(|a| a.instance_id()).or(n.network_interface_id()).map(ToOwned::to_owned);
    let ids: Vec<String> = found.iter().filter_map(user).take(5).collect();
    let more = if found.len() > ids.len() { ", ..." } else { "" };
    let why = format!("the subnet {subnet} is used by {}{more}; delete them first", ids.join(", "));
    Err(Error::new(ErrorKind::FailedPrecondition, Reason::InUse, why).with_resource(subnet))
}

fn ipv6_ranges(subnet: &Ec2Subnet) -> impl Iterator<Item = Ipv6Net> {
    let there = |state: &str| !matches!(state, "disassociated" | "failed");
    let all = subnet.ipv6_cidr_block_association_set().iter().filter(move |a| a.ipv6_cidr_block_state().and_then(|s| s.state()).is_none_or(|s| there(s.as_str())));
    all.filter_map(|a| a.ipv6_cidr_block()?.parse().ok())
}
fn ipv6_pending(subnet: &Ec2Subnet) -> bool {
    subnet.ipv6_cidr_block_association_set().iter().any(|a| a.ipv6_cidr_block_state().and_then(|s| s.state()).is_some_and(|s| s.as_str() == "associating"))
}

/// EC2's states (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Subnet.html>) and ours.
fn state(text: Option<&str>) -> SubnetState {
    match text {
        Some("pending") => SubnetState::Pending,
        Some("available") => SubnetState::Available,
        Some("unavailable" | "failed" | "failed-insufficient-capacity") => SubnetState::Failed,
        _ => SubnetState::Unspecified,
    }
}

fn object(region: &Region, owner: &Owner, subnet: &Ec2Subnet) -> Result<Object<Subnet>> {
    let id = vendor_id(subnet.subnet_id(), "SubnetId")?;
    let tags = Tags::of(subnet.tags());
    let (name, mark) = match tags.mark(owner) {
        Some((name, mark)) => (name, Some(mark)),
        None => (ResourceId::of_vendor(id.as_str())?, None),
    };
    let network = match subnet.vpc_id() {
        Some(vpc) => Some(Ref::resolved(referred(region, mark.is_some(), &tags, mark::NETWORK, vpc)?, vpc.parse()?)),
        None => None,
    };
    let v4: Option<IpNet> = subnet.cidr_block().and_then(|c| c.parse().ok());
    let v6: Vec<IpNet> = ipv6_ranges(subnet).map(IpNet::V6).collect();
    let assigned = Asked::of(&tags).has(ASKED_IPV6);
    let zone = subnet.availability_zone().unwrap_or(region.id());
    let spec = SubnetSpec {
        network,
        cidrs: v4.into_iter().chain(v6.iter().copied().filter(|_| !assigned)).collect(),
        assign_ipv6_cidr: assigned,
        zone: subnet.availability_zone().map(ToOwned::to_owned),
        assign_public_ip: subnet.map_public_ip_on_launch().unwrap_or_default(),
        labels: tags.labels(),
        provider_config: None,
    };
    let status = SubnetStatus {
        state: state(subnet.state().map(|s| s.as_str())),
        cidrs: v4.into_iter().chain(v6).collect(),
        available_ipv4_addresses: subnet.available_ip_address_count().and_then(|n| n.try_into().ok()),
    };
    Ok(Object {
        name: Name::new(region.name.clone(), name),
        provider_id: ProviderId::new("aws", "", &[zone, id.as_str()])?,
        vendor_id: id,
        mark,
        revision: None,
        created_ms: None,
        spec,
        status,
    })
}

/// What something of ours refers to, by the name that its creator used; else by the vendor's id.
pub(crate) fn referred<K>(region: &Region, ours: bool, tags: &Tags, key: &str, vendor_id: &str) -> Result<Name<K>>
where
    K: welkin_core::Kind<Parent = welkin_core::LocationName, Id = ResourceId>,
{
    let noted = if ours { tags.get(key).and_then(|text| text.parse().ok()) } else { None };
    match noted {
        Some(name) => Ok(name),
        None => Ok(Name::new(region.name.clone(), ResourceId::of_vendor(vendor_id)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_the_model_has_a_meaning() {
        for known in aws_sdk_ec2::types::SubnetState::values() {
            assert_ne!(state(Some(known)), SubnetState::Unspecified, "{known}");
        }
        assert_eq!((state(Some("new")), state(None)), (SubnetState::Unspecified, SubnetState::Unspecified));
    }
    #[test]
    fn the_first_free_range_is_taken() {
        let net = |t: &str| t.parse::<Ipv6Net>().unwrap();
        let whole = [net("2001:db8:0:100::/56")];
        assert_eq!(free_range(&whole, &[]), Some(net("2001:db8:0:100::/64")));
        assert_eq!(free_range(&whole, &[net("2001:db8:0:100::/64"), net("2001:db8:0:102::/64")]), Some(net("2001:db8:0:101::/64")));
        assert_eq!(free_range(&whole, &whole), None);
        assert_eq!(free_range(&[], &[]), None);
    }
}
