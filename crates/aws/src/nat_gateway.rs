//! NAT gateways of one subnet: one object, which takes a minute or so to come and to go, and stays described for about an hour after that.
//!
//! What is wrong with it, EC2 finds after it has made it: it is FAILED then and says why
//! (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NatGateway.html>).
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNatGateway.html> takes a client token; all the same an unresolved write is looked for by
//! its tags first.

use crate::{
    Aws,
    client::Region,
    mark::{self, SUBNET, Tags},
    owned,
    resource::{Found, Kept, Looking},
    single::{Begun, Head, One, Single, by_vendor_id, marked},
    step::{made_id, told, unix_ms},
};
use async_trait::async_trait;
use aws_sdk_ec2::{
    operation::create_nat_gateway::builders::CreateNatGatewayFluentBuilder,
    types::{ConnectivityType, Filter, NatGateway as Ec2NatGateway, NatGatewayAddress, ResourceType, Tag},
};
use std::{collections::BTreeSet, net::IpAddr};
use welkin_core::{
    Change, Connectivity, Cursor, Cx, Driver, Effect, Error, ErrorKind, FieldPath, NatGateway, NatGatewaySpec, NatGatewayState, NatGatewayStatus, NoAction, Object, Owner, Page,
    Query, Reader, Reason, Result, Resume, Shard, Step, Target, VendorError, Verb,
};

#[async_trait]
impl Kept for NatGateway {
    type Made = One;
    type Row = Ec2NatGateway;
    const PREFIX: &'static str = "nat-";
    const BY_ID: &'static str = "nat-gateway-id";
    const GONE: &'static [&'static str] = &["NatGatewayNotFound"];

    async fn one(region: &Region, cx: &Cx, id: &str) -> Result<Option<Ec2NatGateway>> {
        Ok(region.ec2.read(cx, "DescribeNatGateways", region.ec2.describe_nat_gateways().nat_gateway_ids(id).send()).await?.nat_gateways.unwrap_or_default().pop())
    }
    async fn page(region: &Region, cx: &Cx, filters: Vec<Filter>, size: i32, token: Option<String>) -> Result<(Option<Vec<Ec2NatGateway>>, Option<String>)> {
        let call = region.ec2.describe_nat_gateways().set_filter(Some(filters)).max_results(size).set_next_token(token);
        region.ec2.read(cx, "DescribeNatGateways", call.send()).await.map(|a| (a.nat_gateways, a.next_token))
    }
    fn id(gateway: &Ec2NatGateway) -> Option<&str> {
        gateway.nat_gateway_id()
    }
    fn tags(gateway: &Ec2NatGateway) -> &[Tag] {
        gateway.tags()
    }
    fn created_ms(gateway: &Ec2NatGateway) -> Option<u64> {
        unix_ms(gateway.create_time())
    }
    /// While it is being deleted it still holds its address and its place in the subnet.
    fn is_over(gateway: &Ec2NatGateway) -> bool {
        state_name(gateway) == "deleted"
    }
}

#[async_trait]
impl Single for NatGateway {
    const WHAT: &'static str = "NAT gateway";
    const REFERENCES: &'static [&'static str] = &["InvalidSubnetID.NotFound", "InvalidSubnetId.NotFound", "InvalidSubnet", "InvalidAllocationID.NotFound"];
    const GOES_SLOWLY: bool = true;

    async fn make(region: &Region, cx: &Cx, change: &Change<Self>, spec: &NatGatewaySpec) -> Result<String> {
        let call = create_nat_gateway(region, cx, change, spec)?.client_token(&change.token);
        let answer = region.ec2.write(cx, "CreateNatGateway", call.send()).await.map_err(about_field)?;
        made_id(answer.nat_gateway().and_then(Ec2NatGateway::nat_gateway_id), "NatGatewayId")
    }
    async fn let_go(_: &Region, _: &Cx, gateway: &Ec2NatGateway, _: bool) -> Result<Option<String>> {
        Ok(match state_name(gateway) {
            "pending" => Some("the NAT gateway is still being made".into()),
            "deleting" => Some("the NAT gateway is being deleted".into()),
            _ => None,
        })
    }
    async fn remove(region: &Region, cx: &Cx, id: &str) -> Result<()> {
        region.ec2.write(cx, "DeleteNatGateway", region.ec2.delete_nat_gateway().nat_gateway_id(id).send()).await.map(|_| ())
    }
}

#[async_trait]
impl Reader<NatGateway> for Aws {
    fn shards(&self, query: &Query<NatGateway>) -> Vec<Shard> {
        self.regional_shards(query.parent.as_ref())
    }

    async fn get(&self, cx: &Cx, target: &Target<NatGateway>) -> Result<Object<NatGateway>> {
        let found = self.seen(cx, target).await?.ok_or_else(|| Error::not_found(target))?;
        object(self.region(target.parent())?, &cx.owner, &found, None)
    }

    async fn list(&self, cx: &Cx, query: &Query<NatGateway>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<NatGateway>> {
        let there = mark::filter("state", ["pending", "failed", "available", "deleting"]);
        let (region, found, next) = self.listed(cx, query, shard, from, vec![there]).await?;
        let items = found.iter().map(|g| object(region, &cx.owner, g, None)).collect::<Result<_>>()?;
        Ok(Page { items, next, unreachable: Vec::new() })
    }
}

#[async_trait]
impl Driver<NatGateway> for Aws {
    async fn check(&self, cx: &Cx, change: &Change<NatGateway>) -> Result<()> {
        self.check_adopted(cx, change).await?;
        let region = self.region(change.target.parent())?;
        match &change.verb {
            Verb::Create { spec, .. } => region.ec2.dry_run(cx, "CreateNatGateway", create_nat_gateway(region, cx, change, spec)?.dry_run(true).send()).await.map_err(about_field),
            Verb::Update { .. } => self.get(cx, &change.target).await.and_then(|o| owned(&change.target, &change.uid, &o)),
            Verb::Delete => {
                let object = self.get(cx, &change.target).await?;
                owned(&change.target, &change.uid, &object)?;
                region.ec2.dry_run(cx, "DeleteNatGateway", region.ec2.delete_nat_gateway().nat_gateway_id(object.vendor_id.as_str()).dry_run(true).send()).await
            }
            Verb::Act(action) => match *action {},
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<NatGateway>, spec: &NatGatewaySpec, resume: &Resume) -> Result<Step<Object<NatGateway>>> {
        let region = self.region(change.target.parent())?;
        let (gateway, made) = match self.begun(cx, change, spec, resume).await? {
            Begun::Here(gateway, made) => (gateway, made),
            Begun::NotYet(step) => return Ok(*step),
        };
        match state_name(&gateway) {
            "available" => Ok(Step::Done(object(region, &cx.owner, &gateway, Some(&tags(cx, change, spec)?))?)),
            "pending" => made.wait("the NAT gateway is being made"),
            state => Err(failed(&gateway, state).with_resource(change.target.to_string())),
        }
    }

    async fn update(&self, cx: &Cx, change: &Change<NatGateway>, desired: &NatGatewaySpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<NatGateway>>> {
        let region = self.region(change.target.parent())?;
        let found = match self.located(cx, change, resume).await? {
            Found::Here(found) => found,
            Found::NotYet(looking) => return looking.step(),
        };
        let mut object = object(region, &cx.owner, &found, None)?;
        if self.is_old(change, &object.spec)? {
            return Looking::of(resume).step();
        }
        if paths.contains(&FieldPath::from("labels")) {
            if let Err(refusal) = mark::relabel(region, cx, change, object.vendor_id.as_str(), &Tags::of(found.tags()), &desired.labels).await {
                return self.refused::<NatGateway, _>(resume, refusal);
            }
            object.spec.labels = desired.labels.clone();
        }
        Ok(Step::Done(object))
    }

    async fn delete(&self, cx: &Cx, change: &Change<NatGateway>, resume: &Resume) -> Result<Step<()>> {
        self.ended(cx, change, resume).await
    }

    async fn act(&self, _: &Cx, _: &Change<NatGateway>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }

    async fn ask(&self, _: &Cx, _: &Target<NatGateway>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}

fn tags(cx: &Cx, change: &Change<NatGateway>, spec: &NatGatewaySpec) -> Result<Tags> {
    let subnet = spec.subnet.as_ref().map(|r| r.name.to_string()).unwrap_or_default();
    Ok(marked(cx, change, &spec.labels)?.with(SUBNET, &subnet))
}
fn create_nat_gateway(region: &Region, cx: &Cx, change: &Change<NatGateway>, spec: &NatGatewaySpec) -> Result<CreateNatGatewayFluentBuilder> {
    let subnet = spec.subnet.as_ref().ok_or_else(|| Error::invalid("subnet", "a NAT gateway needs the subnet that it stands in"))?;
    let address = match &spec.address {
        Some(address) => Some(address.vendor_id()?.to_string()),
        None => None,
    };
    let connectivity = if spec.connectivity == Connectivity::Private { ConnectivityType::Private } else { ConnectivityType::Public };
    let call = region.ec2.create_nat_gateway().subnet_id(subnet.vendor_id()?.as_str()).connectivity_type(connectivity).set_allocation_id(address);
    Ok(call.tag_specifications(tags(cx, change, spec)?.on(ResourceType::Natgateway)))
}

/// What EC2 says of one that failed (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NatGateway.html>), or refuses at once: what that means, and
/// our field.
static FAILURES: &[(&str, ErrorKind, Reason, &str)] = &[
    ("InsufficientFreeAddressesInSubnet", ErrorKind::ResourceExhausted, Reason::QuotaExceeded, "subnet"),
    ("Gateway.NotAttached", ErrorKind::FailedPrecondition, Reason::CreationFailed, "subnet"),
    ("InvalidSubnetID.NotFound", ErrorKind::FailedPrecondition, Reason::ReferenceNotFound, "subnet"),
    ("InvalidAllocationID.NotFound", ErrorKind::FailedPrecondition, Reason::ReferenceNotFound, "address"),
    ("Resource.AlreadyAssociated", ErrorKind::FailedPrecondition, Reason::InUse, "address"),
];
fn failed(gateway: &Ec2NatGateway, state: &str) -> Error {
    let (code, text) = (told(gateway.failure_code()).unwrap_or_default(), told(gateway.failure_message()).unwrap_or(state));
    let known = FAILURES.iter().find(|(c, ..)| *c == code);
    let (kind, reason) = known.map_or((ErrorKind::FailedPrecondition, Reason::CreationFailed), |(_, kind, reason, _)| (*kind, *reason));
    let vendor = VendorError { code: code.into(), message: text.into(), request_id: None };
    let error = Error::new(kind, reason, format!("EC2 made the NAT gateway and let it fail: {text}")).with_effect(Effect::Applied).with_vendor(vendor);
    match known {
        Some((.., field)) => error.with_field(*field),
        None => error,
    }
}
/// The same of what EC2 refuses at once.
fn about_field(refusal: Error) -> Error {
    let code = refusal.vendor().map(|v| v.code.clone()).unwrap_or_default();
    match FAILURES.iter().find(|(c, ..)| *c == code) {
        Some((.., field)) if !refusal.violations().iter().any(|v| v.field == *field) => refusal.with_field(*field),
        _ => refusal,
    }
}

fn state_name(gateway: &Ec2NatGateway) -> &str {
    gateway.state().map_or("", |s| s.as_str())
}
/// EC2's states (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NatGateway.html>) and ours.
static STATES: &[(&str, NatGatewayState)] = &[
    ("pending", NatGatewayState::Pending),
    ("failed", NatGatewayState::Failed),
    ("available", NatGatewayState::Available),
    ("deleting", NatGatewayState::Deleting),
    ("deleted", NatGatewayState::Deleting),
];
fn state(name: &str) -> NatGatewayState {
    STATES.iter().find(|(n, _)| *n == name).map_or(NatGatewayState::Unspecified, |(_, s)| *s)
}
/// Of several addresses the others are somebody else's doing.
fn primary(gateway: &Ec2NatGateway) -> Option<&NatGatewayAddress> {
    let all = gateway.nat_gateway_addresses();
    all.iter().find(|a| a.is_primary() == Some(true)).or(all.first())
}

/// `written`: the tags that we wrote, where EC2 may not show them yet.
fn object(region: &Region, owner: &Owner, gateway: &Ec2NatGateway, written: Option<&Tags>) -> Result<Object<NatGateway>> {
    let head = Head::of::<NatGateway>(owner, gateway, "NatGatewayId", written)?;
    let at = primary(gateway);
    let ip = |text: Option<&str>| told(text).and_then(|ip| ip.parse::<IpAddr>().ok());
    let spec = NatGatewaySpec {
        subnet: head.refer(region, SUBNET, told(gateway.subnet_id()))?,
        connectivity: match gateway.connectivity_type() {
            Some(ConnectivityType::Private) => Connectivity::Private,
            // Once there were no others, and none said what it was.
            Some(ConnectivityType::Public) | None => Connectivity::Public,
            Some(_) => Connectivity::Unspecified,
        },
        address: match at.and_then(|a| told(a.allocation_id())) {
            Some(id) => Some(by_vendor_id(region, id)?),
            None => None,
        },
        labels: head.tags.labels(),
        provider_config: None,
    };
    let status = NatGatewayStatus {
        state: state(state_name(gateway)),
        state_reason: [gateway.failure_code(), gateway.failure_message()].into_iter().filter_map(told).collect::<Vec<_>>().join(": "),
        public_ip: ip(at.and_then(NatGatewayAddress::public_ip)),
        private_ip: ip(at.and_then(NatGatewayAddress::private_ip)),
    };
    let created_ms = NatGateway::created_ms(gateway);
    head.object(region, None, created_ms, spec, status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::NatGatewayState as Ec2State;

    #[test]
    fn every_state_of_the_model_has_a_meaning() {
        for known in Ec2State::values() {
            assert_ne!(state(known), NatGatewayState::Unspecified, "{known}");
        }
        assert_eq!((state("new"), state("")), (NatGatewayState::Unspecified, NatGatewayState::Unspecified));
    }
    #[test]
    fn one_that_failed_says_why_and_which_field() {
        for (code, reason, field) in [
            ("Gateway.NotAttached", Reason::CreationFailed, Some("subnet")),
            ("Resource.AlreadyAssociated", Reason::InUse, Some("address")),
            ("InsufficientFreeAddressesInSubnet", Reason::QuotaExceeded, Some("subnet")),
            ("InternalError", Reason::CreationFailed, None),
            ("", Reason::CreationFailed, None),
        ] {
            let e = failed(&Ec2NatGateway::builder().state(Ec2State::Failed).failure_code(code).failure_message("why").build(), "failed");
            assert_eq!((e.reason(), e.effect(), e.violations().first().map(|v| v.field.as_str())), (reason, Effect::Applied, field), "{code}");
            assert!(e.message().ends_with("why"), "{e}");
        }
    }
}
