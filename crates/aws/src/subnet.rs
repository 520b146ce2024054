//! Subnets are EC2 subnets: one object, in one zone.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSubnet.html> takes no client token: a lost reply is resolved by the tags.

use crate::{
    Aws,
    client::Region,
    error,
    mark::{self, Asked, Tags, filter},
    owned,
    page::{WHOLE, all_pages},
    resource::{Found, Kept, Looking},
    single::{Begun, Head, One, Single, in_use, marked},
    step::{age, answered, made_id, told},
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{AttributeBooleanValue, Filter, NetworkInterface, ResourceType, Subnet as Ec2Subnet, Tag};
use ipnet::{IpNet, Ipv6Net};
use std::{collections::BTreeSet, time::Duration};
use welkin_core::{
    Change, Cursor, Cx, Driver, Error, ErrorKind, FieldPath, Kind, Name, Network, NoAction, Object, Owner, Page, Query, Reader, Reason, ResourceId, Result, Resume, Retry, Shard,
    Step, Subnet, SubnetSpec, SubnetState, SubnetStatus, Target, VendorId, Verb, Violation,
};

/// In the note of what was asked for.
const ASKED_IPV6: &str = "ipv6";
/// A subnet's IPv6 range, where AWS's VPC range is a /56 (<https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html>).
const IPV6_PREFIX: u8 = 64;

#[async_trait]
impl Kept for Subnet {
    type Made = One;
    type Row = Ec2Subnet;
    const PREFIX: &'static str = "subnet-";
    const BY_ID: &'static str = "subnet-id";
    const GONE: &'static [&'static str] = &["InvalidSubnetID.NotFound", "InvalidSubnetId.NotFound"];

    async fn one(region: &Region, cx: &Cx, id: &str) -> Result<Option<Ec2Subnet>> {
        Ok(region.ec2.read(cx, "DescribeSubnets", region.ec2.describe_subnets().subnet_ids(id).send()).await?.subnets.unwrap_or_default().pop())
    }
    async fn page(region: &Region, cx: &Cx, filters: Vec<Filter>, size: i32, token: Option<String>) -> Result<(Option<Vec<Ec2Subnet>>, Option<String>)> {
        let call = region.ec2.describe_subnets().set_filters(Some(filters)).max_results(size).set_next_token(token);
        region.ec2.read(cx, "DescribeSubnets", call.send()).await.map(|a| (a.subnets, a.next_token))
    }
    fn id(subnet: &Ec2Subnet) -> Option<&str> {
        subnet.subnet_id()
    }
    fn tags(subnet: &Ec2Subnet) -> &[Tag] {
        subnet.tags()
    }
    fn created_ms(_: &Ec2Subnet) -> Option<u64> {
        None
    }
    fn is_over(_: &Ec2Subnet) -> bool {
        false
    }
}

#[async_trait]
impl Single for Subnet {
    const WHAT: &'static str = "subnet";
    const REFERENCES: &'static [&'static str] = Network::GONE;

    async fn make(region: &Region, cx: &Cx, change: &Change<Self>, spec: &SubnetSpec) -> Result<String> {
        let ipv6 = assigned_range(region, cx, spec).await?;
        let call = create_subnet(region, spec, ipv6)?.tag_specifications(tags(cx, change, spec)?.on(ResourceType::Subnet));
        let answer = region.ec2.write(cx, "CreateSubnet", call.send()).await.map_err(|e| {
            // Another subnet took the same free range between our look and our call. A range that the caller chose conflicts for good.
            if ipv6.is_some() && error::is(&e, &["InvalidSubnet.Conflict"]) && e.message().contains(':') { e.with_retry(Retry::After(Duration::from_secs(1))) } else { e }
        })?;
        made_id(answer.subnet.as_ref().and_then(Ec2Subnet::subnet_id), "SubnetId")
    }
    async fn let_go(region: &Region, cx: &Cx, subnet: &Ec2Subnet, _: bool) -> Result<Option<String>> {
        refuse_if_used(region, cx, answered(subnet.subnet_id(), "SubnetId")?).await.map(|()| None)
    }
    async fn remove(region: &Region, cx: &Cx, id: &str) -> Result<()> {
        region.ec2.write(cx, "DeleteSubnet", region.ec2.delete_subnet().subnet_id(id).send()).await.map(|_| ())
    }
}

#[async_trait]
impl Reader<Subnet> for Aws {
    fn shards(&self, query: &Query<Subnet>) -> Vec<Shard> {
        self.regional_shards(query.parent.as_ref())
    }

    async fn get(&self, cx: &Cx, target: &Target<Subnet>) -> Result<Object<Subnet>> {
        let found = self.seen(cx, target).await?.ok_or_else(|| Error::not_found(target))?;
        object(self.region(target.parent())?, &cx.owner, &found, None)
    }

    async fn list(&self, cx: &Cx, query: &Query<Subnet>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<Subnet>> {
        let (region, subnets, next) = self.listed(cx, query, shard, from, Vec::new()).await?;
        let items = subnets.iter().map(|s| object(region, &cx.owner, s, None)).collect::<Result<_>>()?;
        Ok(Page { items, next, unreachable: Vec::new() })
    }
}

#[async_trait]
impl Driver<Subnet> for Aws {
    async fn check(&self, cx: &Cx, change: &Change<Subnet>) -> Result<()> {
        self.check_adopted(cx, change).await?;
        let region = self.region(change.target.parent())?;
        match &change.verb {
            Verb::Create { spec, .. } => {
                let ipv6 = assigned_range(region, cx, spec).await?;
                let call = create_subnet(region, spec, ipv6)?.tag_specifications(tags(cx, change, spec)?.on(ResourceType::Subnet)).dry_run(true);
                region.ec2.dry_run(cx, "CreateSubnet", call.send()).await
            }
            Verb::Update { .. } => self.get(cx, &change.target).await.and_then(|o| owned(&change.target, &change.uid, &o)),
            Verb::Delete => {
                let object = self.get(cx, &change.target).await?;
                owned(&change.target, &change.uid, &object)?;
                refuse_if_used(region, cx, object.vendor_id.as_str()).await?;
                region.ec2.dry_run(cx, "DeleteSubnet", region.ec2.delete_subnet().subnet_id(object.vendor_id.as_str()).dry_run(true).send()).await
            }
            Verb::Act(action) => match *action {},
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<Subnet>, spec: &SubnetSpec, resume: &Resume) -> Result<Step<Object<Subnet>>> {
        let region = self.region(change.target.parent())?;
        let (subnet, made) = match self.begun(cx, change, spec, resume).await? {
            Begun::Here(subnet, made) => (subnet, made),
            Begun::NotYet(step) => return Ok(*step),
        };
        let mut object = object(region, &cx.owner, &subnet, Some(&tags(cx, change, spec)?))?;
        match object.status.state {
            SubnetState::Available if !ipv6_pending(&subnet) => {}
            SubnetState::Failed => return Err(error::creation_failed("", "the subnet failed").with_resource(change.target.to_string())),
            _ => return made.wait("the subnet is becoming available"),
        }
        if object.spec.assign_public_ip != spec.assign_public_ip {
            match set_public_ip(region, cx, object.vendor_id.as_str(), spec.assign_public_ip).await {
                Err(e) if error::is(&e, Subnet::GONE) && age(made.since_ms) < self.horizon => return made.unknown::<Subnet, _>(),
                set => set?,
            }
            object.spec.assign_public_ip = spec.assign_public_ip;
        }
        Ok(Step::Done(object))
    }

    async fn update(&self, cx: &Cx, change: &Change<Subnet>, desired: &SubnetSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<Subnet>>> {
        let region = self.region(change.target.parent())?;
        let found = match self.located(cx, change, resume).await? {
            Found::Here(found) => found,
            Found::NotYet(looking) => return looking.step(),
        };
        let mut object = object(region, &cx.owner, &found, None)?;
        if self.is_old(change, &object.spec)? {
            return Looking::of(resume).step();
        }
        let id = object.vendor_id.clone();
        if paths.contains(&FieldPath::from("labels")) {
            if let Err(refusal) = mark::relabel(region, cx, change, id.as_str(), &Tags::of(found.tags()), &desired.labels).await {
                return self.refused::<Subnet, _>(resume, refusal);
            }
            object.spec.labels = desired.labels.clone();
        }
        if paths.contains(&FieldPath::from("assign_public_ip")) {
            if let Err(refusal) = set_public_ip(region, cx, id.as_str(), desired.assign_public_ip).await {
                return self.refused::<Subnet, _>(resume, refusal);
            }
            object.spec.assign_public_ip = desired.assign_public_ip;
        }
        Ok(Step::Done(object))
    }

    async fn delete(&self, cx: &Cx, change: &Change<Subnet>, resume: &Resume) -> Result<Step<()>> {
        self.ended(cx, change, resume).await
    }

    async fn act(&self, _: &Cx, _: &Change<Subnet>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }

    async fn ask(&self, _: &Cx, _: &Target<Subnet>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}

fn tags(cx: &Cx, change: &Change<Subnet>, spec: &SubnetSpec) -> Result<Tags> {
    let asked = Asked::default().note(ASKED_IPV6, spec.assign_ipv6_cidr.then_some("assigned"));
    let network = spec.network.as_ref().map(|r| r.name.to_string()).unwrap_or_default();
    Ok(marked(cx, change, &spec.labels)?.with(mark::ASKED, &asked.text()).with(mark::NETWORK, &network))
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
    let network = Network::one(region, cx, vpc).await?;
    let whole =
        network.iter().flat_map(|v| v.ipv6_cidr_block_association_set()).filter(|a| a.ipv6_cidr_block_state().and_then(|s| s.state()).is_none_or(|s| s.as_str() == "associated"));
    let whole: Vec<Ipv6Net> = whole.filter_map(|a| a.ipv6_cidr_block()?.parse().ok()).collect();
    if whole.is_empty() {
        return Err(Error::new(ErrorKind::FailedPrecondition, Reason::WrongState, format!("{vpc} has no IPv6 range; make the network with assign_ipv6_cidr"))
            .with_field("assign_ipv6_cidr"));
    }
    let used: Vec<Ipv6Net> = Subnet::many(region, cx, vec![filter("vpc-id", [vpc])]).await?.iter().flat_map(ipv6_ranges).collect();
    let free = free_range(&whole, &used);
    free.map(Some).ok_or_else(|| Error::new(ErrorKind::ResourceExhausted, Reason::QuotaExceeded, format!("every IPv6 range of {vpc} is in use")).with_field("assign_ipv6_cidr"))
}
fn free_range(whole: &[Ipv6Net], used: &[Ipv6Net]) -> Option<Ipv6Net> {
    let overlaps = |net: &Ipv6Net| used.iter().any(|u| u.contains(net) || net.contains(u));
    whole.iter().filter_map(|w| w.subnets(IPV6_PREFIX).ok()).flatten().find(|net| !overlaps(net))
}

async fn set_public_ip(region: &Region, cx: &Cx, id: &str, on: bool) -> Result<()> {
    let value = AttributeBooleanValue::builder().value(on).build();
    region.ec2.write(cx, "ModifySubnetAttribute", region.ec2.modify_subnet_attribute().subnet_id(id).map_public_ip_on_launch(value).send()).await.map(|_| ())
}

async fn refuse_if_used(region: &Region, cx: &Cx, subnet: &str) -> Result<()> {
    in_use("subnet", subnet, in_use_by_interfaces(region, cx, "subnet-id", subnet).await?, "delete them first")
}
/// The instances, or the interfaces without one, that this filter of network interfaces finds; not those that are on their way out.
pub(crate) async fn in_use_by_interfaces(region: &Region, cx: &Cx, by: &str, id: &str) -> Result<Vec<String>> {
    let found = all_pages(|token| {
        let call = region.ec2.describe_network_interfaces().filters(filter(by, [id])).max_results(WHOLE).set_next_token(token);
        async move { region.ec2.read(cx, "DescribeNetworkInterfaces", call.send()).await.map(|a| (a.network_interfaces, a.next_token)) }
    });
    let user = |n: &NetworkInterface| n.attachment().and_then(|a| a.instance_id()).or(n.network_interface_id()).map(ToOwned::to_owned);
    Ok(found.await?.iter().filter(|n| !is_leaving(n)).filter_map(user).collect())
}
/// The interface of an instance that is being terminated goes with it.
fn is_leaving(interface: &NetworkInterface) -> bool {
    let attachment = interface.attachment();
    attachment.is_some_and(|a| a.delete_on_termination() == Some(true) && a.status().is_some_and(|s| matches!(s.as_str(), "detaching" | "detached")))
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

/// `written`: the tags that we wrote, where EC2 may not show them yet.
fn object(region: &Region, owner: &Owner, subnet: &Ec2Subnet, written: Option<&Tags>) -> Result<Object<Subnet>> {
    let head = Head::of::<Subnet>(owner, subnet, "SubnetId", written)?;
    let v4: Option<IpNet> = subnet.cidr_block().and_then(|c| c.parse().ok());
    let v6: Vec<IpNet> = ipv6_ranges(subnet).map(IpNet::V6).collect();
    let assigned = Asked::of(&head.tags).has(ASKED_IPV6);
    let zone = told(subnet.availability_zone());
    let spec = SubnetSpec {
        network: head.refer(region, mark::NETWORK, told(subnet.vpc_id()))?,
        cidrs: v4.into_iter().chain(v6.iter().copied().filter(|_| !assigned)).collect(),
        assign_ipv6_cidr: assigned,
        zone: zone.map(ToOwned::to_owned),
        assign_public_ip: subnet.map_public_ip_on_launch().unwrap_or_default(),
        labels: head.tags.labels(),
        provider_config: None,
    };
    let status = SubnetStatus {
        state: state(subnet.state().map(|s| s.as_str())),
        cidrs: v4.into_iter().chain(v6).collect(),
        available_ipv4_addresses: subnet.available_ip_address_count().and_then(|n| n.try_into().ok()),
    };
    head.object(region, zone, None, spec, status)
}

/// What something of ours refers to, by the name that its creator used; else by the vendor's id.
pub(crate) fn referred<K>(region: &Region, ours: bool, tags: &Tags, key: &str, vendor_id: &str) -> Result<Name<K>>
where
    K: Kind<Parent = welkin_core::LocationName, Id = ResourceId>,
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
