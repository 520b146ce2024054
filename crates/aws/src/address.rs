//! Addresses are Elastic IP addresses of a VPC: one object, which its allocation id names.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AllocateAddress.html> takes no client token: a lost reply is resolved by the tags.
//! To associate one address with what has another takes that other away without a word
//! (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateAddress.html>), so the instance is looked at first.

use crate::{
    Aws,
    client::Region,
    error,
    instance::{self, nic_address},
    mark::{self, Asked, Tags, filter},
    owned,
    resource::{Found, Kept, Looking, is_adopted},
    single::{Begun, Head, One, Single, by_vendor_id, in_use, marked},
    step::{age, answered, made_id, told},
};
use async_trait::async_trait;
use aws_sdk_ec2::{
    operation::allocate_address::builders::AllocateAddressFluentBuilder,
    types::{Address as Ec2Address, DomainType, Filter, ResourceType, Tag},
};
use std::collections::BTreeSet;
use welkin_core::{
    Address, AddressSpec, AddressState, AddressStatus, Change, Cursor, Cx, Driver, Effect, Error, ErrorKind, FieldPath, NoAction, Object, Owner, Page, Query, Reader, Reason,
    Result, Resume, Shard, Step, Target, Verb,
};

/// In the note of what was asked for: which address of the instance.
const ASKED_IP: &str = "ip";

#[async_trait]
impl Kept for Address {
    type Made = One;
    type Row = Ec2Address;
    const PREFIX: &'static str = "eipalloc-";
    const BY_ID: &'static str = "allocation-id";
    const GONE: &'static [&'static str] = &["InvalidAllocationID.NotFound"];

    async fn one(region: &Region, cx: &Cx, id: &str) -> Result<Option<Ec2Address>> {
        Ok(region.ec2.read(cx, "DescribeAddresses", region.ec2.describe_addresses().allocation_ids(id).send()).await?.addresses.unwrap_or_default().pop())
    }
    /// This list is never cut into pages (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAddresses.html>).
    async fn page(region: &Region, cx: &Cx, filters: Vec<Filter>, _: i32, _: Option<String>) -> Result<(Option<Vec<Ec2Address>>, Option<String>)> {
        let call = region.ec2.describe_addresses().set_filters(Some(filters));
        Ok((region.ec2.read(cx, "DescribeAddresses", call.send()).await?.addresses, None))
    }
    fn id(address: &Ec2Address) -> Option<&str> {
        address.allocation_id()
    }
    fn tags(address: &Ec2Address) -> &[Tag] {
        address.tags()
    }
    fn created_ms(_: &Ec2Address) -> Option<u64> {
        None
    }
    fn is_over(_: &Ec2Address) -> bool {
        false
    }
}

#[async_trait]
impl Single for Address {
    const WHAT: &'static str = "address";
    const REFERENCES: &'static [&'static str] = &["InvalidInstanceID.NotFound", "InvalidAssociationID.NotFound", "InvalidIPAddress.InUse"];

    async fn make(region: &Region, cx: &Cx, change: &Change<Self>, spec: &AddressSpec) -> Result<String> {
        let answer = region.ec2.write(cx, "AllocateAddress", allocate(region, cx, change, spec)?.send()).await?;
        made_id(answer.allocation_id(), "AllocationId")
    }
    async fn let_go(region: &Region, cx: &Cx, address: &Ec2Address, cleans_up: bool) -> Result<Option<String>> {
        let Some(association) = told(address.association_id()) else { return Ok(None) };
        if cleans_up {
            disassociate(region, cx, association).await?;
            return Ok(Some("the address is being taken off its instance".into()));
        }
        let id = answered(address.allocation_id(), "AllocationId")?;
        in_use("address", id, vec![user(address).to_owned()], "take it off first").map(|()| None)
    }
    async fn remove(region: &Region, cx: &Cx, id: &str) -> Result<()> {
        region.ec2.write(cx, "ReleaseAddress", region.ec2.release_address().allocation_id(id).send()).await.map(|_| ())
    }
}

#[async_trait]
impl Reader<Address> for Aws {
    fn shards(&self, query: &Query<Address>) -> Vec<Shard> {
        self.regional_shards(query.parent.as_ref())
    }

    async fn get(&self, cx: &Cx, target: &Target<Address>) -> Result<Object<Address>> {
        let found = self.seen(cx, target).await?.ok_or_else(|| Error::not_found(target))?;
        object(self.region(target.parent())?, &cx.owner, &found, None)
    }

    async fn list(&self, cx: &Cx, query: &Query<Address>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<Address>> {
        let (region, found, next) = self.listed(cx, query, shard, from, Vec::new()).await?;
        let items = found.iter().map(|a| object(region, &cx.owner, a, None)).collect::<Result<_>>()?;
        Ok(Page { items, next, unreachable: Vec::new() })
    }
}

#[async_trait]
impl Driver<Address> for Aws {
    async fn check(&self, cx: &Cx, change: &Change<Address>) -> Result<()> {
        self.check_adopted(cx, change).await?;
        let region = self.region(change.target.parent())?;
        match &change.verb {
            Verb::Create { spec, .. } => {
                if let Some(to) = Wanted::of(spec)? {
                    to.spot(region, cx, None).await?;
                }
                region.ec2.dry_run(cx, "AllocateAddress", allocate(region, cx, change, spec)?.dry_run(true).send()).await
            }
            Verb::Update { desired, paths } => {
                let object = self.get(cx, &change.target).await?;
                owned(&change.target, &change.uid, &object)?;
                match Wanted::of(desired)?.filter(|_| moves(paths)) {
                    Some(to) => to.spot(region, cx, Some(object.vendor_id.as_str())).await.map(drop),
                    None => Ok(()),
                }
            }
            Verb::Delete => {
                let found = self.seen(cx, &change.target).await?.ok_or_else(|| Error::not_found(&change.target))?;
                let object = object(region, &cx.owner, &found, None)?;
                owned(&change.target, &change.uid, &object)?;
                Address::let_go(region, cx, &found, false).await?;
                region.ec2.dry_run(cx, "ReleaseAddress", region.ec2.release_address().allocation_id(object.vendor_id.as_str()).dry_run(true).send()).await
            }
            Verb::Act(action) => match *action {},
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<Address>, spec: &AddressSpec, resume: &Resume) -> Result<Step<Object<Address>>> {
        let region = self.region(change.target.parent())?;
        let (address, made) = match self.begun(cx, change, spec, resume).await? {
            Begun::Here(address, made) => (address, made),
            Begun::NotYet(step) => return Ok(*step),
        };
        // What somebody else may have led it to meanwhile is left alone where nothing is asked for.
        if spec.instance.is_some() {
            match lead(region, cx, &address, spec).await {
                Err(e) if may_pass(&e) && age(made.since_ms) < self.horizon => return made.wait("waiting for the address and the instance to be known everywhere"),
                led => led?,
            }
        }
        let object = object(region, &cx.owner, &address, Some(&tags(cx, change, spec)?))?;
        Ok(Step::Done(led_as(object, spec)))
    }

    async fn update(&self, cx: &Cx, change: &Change<Address>, desired: &AddressSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<Address>>> {
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
        let now = Tags::of(found.tags());
        if paths.contains(&FieldPath::from("labels")) {
            if let Err(refusal) = mark::relabel(region, cx, change, id.as_str(), &now, &desired.labels).await {
                return self.refused::<Address, _>(resume, refusal);
            }
            object.spec.labels = desired.labels.clone();
        }
        if moves(paths) {
            let looking = Looking::of(resume);
            let noted = async {
                lead(region, cx, &found, desired).await?;
                if is_adopted(&change.target) { Ok(()) } else { mark::note(region, cx, id.as_str(), &now, asked(desired)).await }
            };
            match noted.await {
                Err(e) if may_pass(&e) && looking.age() < self.horizon => return looking.step(),
                led => led?,
            }
            object = led_as(object, desired);
        }
        Ok(Step::Done(object))
    }

    async fn delete(&self, cx: &Cx, change: &Change<Address>, resume: &Resume) -> Result<Step<()>> {
        self.ended(cx, change, resume).await
    }

    async fn act(&self, _: &Cx, _: &Change<Address>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }

    async fn ask(&self, _: &Cx, _: &Target<Address>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}

/// May this refusal pass? The address or the instance is not known everywhere yet, or what was written a moment ago is not shown yet.
fn may_pass(refusal: &Error) -> bool {
    let all = [Address::GONE, Address::REFERENCES, &["Resource.AlreadyAssociated"]];
    refusal.effect() == Effect::None && all.iter().any(|codes| error::is(refusal, codes))
}

/// Is it about where the address leads?
fn moves(paths: &BTreeSet<FieldPath>) -> bool {
    ["instance", "private_ip"].iter().any(|p| paths.contains(&FieldPath::from(*p)))
}

/// Where an address is to lead.
struct Wanted<'a> {
    instance: &'a str,
    private_ip: Option<String>,
}
impl<'a> Wanted<'a> {
    fn of(spec: &'a AddressSpec) -> Result<Option<Self>> {
        let Some(instance) = &spec.instance else { return Ok(None) };
        Ok(Some(Self { instance: instance.vendor_id()?.as_str(), private_ip: spec.private_ip.map(|ip| ip.to_string()) }))
    }
    /// The private address that it is to lead to, at which no other address than `ours` may be. A public address that came with the instance is Amazon's, and
    /// goes when an Elastic IP address comes.
    async fn spot(&self, region: &Region, cx: &Cx, ours: Option<&str>) -> Result<String> {
        let found = instance::referred(region, cx, self.instance).await?;
        let Some(address) = nic_address(&found, self.private_ip.as_deref()) else {
            let (field, why) = match &self.private_ip {
                Some(ip) => ("private_ip", format!("{} does not have the address {ip}", self.instance)),
                None => ("instance", format!("{} has no private address", self.instance)),
            };
            return Err(Error::invalid(field, why));
        };
        let at = answered(address.private_ip_address(), "PrivateIpAddress")?;
        let there = Address::many(region, cx, vec![filter("instance-id", [self.instance]), filter("private-ip-address", [at])]).await?;
        match there.iter().find(|other| other.allocation_id() != ours) {
            Some(other) => {
                let ip = other.public_ip().unwrap_or_default();
                let why = format!("{} has the address {ip} at {at} already; take that off first", self.instance);
                Err(Error::new(ErrorKind::FailedPrecondition, Reason::InUse, why).with_field("instance").with_resource(self.instance))
            }
            None => Ok(at.to_owned()),
        }
    }
}

/// Leads the address to where it is wanted, or takes it off. All of it names what it is about, so it can be repeated.
async fn lead(region: &Region, cx: &Cx, address: &Ec2Address, desired: &AddressSpec) -> Result<()> {
    let Some(to) = Wanted::of(desired)? else {
        return match (told(address.association_id()), told(address.instance_id())) {
            (Some(association), Some(_)) => disassociate(region, cx, association).await,
            // What a load balancer or a gateway uses is theirs.
            _ => Ok(()),
        };
    };
    let private_ip = to.spot(region, cx, address.allocation_id()).await?;
    if told(address.instance_id()) == Some(to.instance) && told(address.private_ip_address()) == Some(&private_ip) {
        return Ok(());
    }
    if told(address.association_id()).is_some() && told(address.instance_id()).is_none() {
        let id = answered(address.allocation_id(), "AllocationId")?;
        return in_use("address", id, vec![user(address).to_owned()], "take it off first").map_err(|e| e.with_field("instance"));
    }
    let call = region.ec2.associate_address().allocation_id(answered(address.allocation_id(), "AllocationId")?).instance_id(to.instance).private_ip_address(private_ip);
    // From an instance that it was seen at it is moved in one write; from anything else it is not taken away.
    let call = call.allow_reassociation(told(address.association_id()).is_some());
    region.ec2.write(cx, "AssociateAddress", call.send()).await.map(|_| ())
}
async fn disassociate(region: &Region, cx: &Cx, association: &str) -> Result<()> {
    region.ec2.write(cx, "DisassociateAddress", region.ec2.disassociate_address().association_id(association).send()).await.map(|_| ())
}

/// What was read before it was led elsewhere, as it is now.
fn led_as(mut object: Object<Address>, desired: &AddressSpec) -> Object<Address> {
    if let Some(instance) = &desired.instance {
        (object.status.state, object.status.user) = (AddressState::InUse, instance.vendor_id.as_ref().map(ToString::to_string).unwrap_or_default());
    } else if object.spec.instance.is_some() {
        (object.status.state, object.status.user) = (AddressState::Available, String::new());
    }
    (object.spec.instance, object.spec.private_ip) = (desired.instance.clone(), desired.private_ip);
    object
}

fn asked(spec: &AddressSpec) -> Asked {
    Asked::default().note(ASKED_IP, spec.private_ip)
}
fn tags(cx: &Cx, change: &Change<Address>, spec: &AddressSpec) -> Result<Tags> {
    Ok(marked(cx, change, &spec.labels)?.with(mark::ASKED, &asked(spec).text()))
}
fn allocate(region: &Region, cx: &Cx, change: &Change<Address>, spec: &AddressSpec) -> Result<AllocateAddressFluentBuilder> {
    Ok(region.ec2.allocate_address().domain(DomainType::Vpc).tag_specifications(tags(cx, change, spec)?.on(ResourceType::ElasticIp)))
}

/// By the vendor's id; empty where nothing uses it.
fn user(address: &Ec2Address) -> &str {
    told(address.instance_id()).or(told(address.network_interface_id())).or(told(address.association_id())).unwrap_or_default()
}

/// `written`: the tags that we wrote, where EC2 may not show them yet.
fn object(region: &Region, owner: &Owner, address: &Ec2Address, written: Option<&Tags>) -> Result<Object<Address>> {
    let head = Head::of::<Address>(owner, address, "AllocationId", written)?;
    let instance = match told(address.instance_id()) {
        Some(id) => Some(by_vendor_id(region, id)?),
        None => None,
    };
    let asked = if head.mark.is_some() { Asked::of(&head.tags).get(ASKED_IP) } else { None };
    let at = told(address.private_ip_address()).and_then(|ip| ip.parse().ok());
    let spec = AddressSpec { private_ip: asked.filter(|_| instance.is_some()).filter(|ip| at == Some(*ip)), instance, labels: head.tags.labels(), provider_config: None };
    let user = user(address).to_owned();
    let state = if user.is_empty() { AddressState::Available } else { AddressState::InUse };
    // Of a Local or Wavelength Zone it has another member.
    let ip = told(address.public_ip()).or(told(address.carrier_ip())).and_then(|ip| ip.parse().ok());
    head.object(region, None, None, spec, AddressStatus { state, ip, user })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region() -> Region {
        Region::of_trials()
    }

    #[test]
    fn what_uses_it_is_told_and_a_noted_address_only_while_it_leads_there() {
        let owner: Owner = "me".parse().unwrap();
        let mark = welkin_core::Mark { owner: owner.clone(), uid: "0123456789".parse().unwrap(), digest: None };
        let noted = Tags::ours(&mark, &"web".parse().unwrap()).with(mark::ASKED, &Asked::default().note(ASKED_IP, Some("10.0.0.5")).text());
        let row = Ec2Address::builder().allocation_id("eipalloc-1").public_ip("198.51.100.1").set_tags(Some(noted.on(ResourceType::ElasticIp).tags().to_vec()));
        let free = object(&region(), &owner, &row.clone().build(), None).unwrap();
        assert_eq!((free.status.state, free.status.user.as_str(), free.spec.private_ip), (AddressState::Available, "", None));
        let led = row.clone().association_id("eipassoc-1").instance_id("i-1").private_ip_address("10.0.0.5").build();
        let led = object(&region(), &owner, &led, None).unwrap();
        assert_eq!((led.status.state, led.status.user.as_str(), led.spec.private_ip), (AddressState::InUse, "i-1", Some([10, 0, 0, 5].into())));
        let elsewhere = row.clone().association_id("eipassoc-1").instance_id("i-1").private_ip_address("10.0.0.6").build();
        assert_eq!(object(&region(), &owner, &elsewhere, None).unwrap().spec.private_ip, None);
        let gateway = row.association_id("eipassoc-1").network_interface_id("eni-1").private_ip_address("10.0.0.5").build();
        let gateway = object(&region(), &owner, &gateway, None).unwrap();
        assert_eq!((gateway.status.state, gateway.status.user.as_str(), gateway.spec.instance), (AddressState::InUse, "eni-1", None));
    }
}
