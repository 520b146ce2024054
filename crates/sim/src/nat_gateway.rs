//! NAT gateways: one object of the vendor, made under an idempotency token where the cloud knows them, which takes its time to come and to go.

use crate::{
    Sim, error, mark,
    resource::{Begun, Found, Fragment, Kept, Rows, by_vendor_id, expected, or_gone, rows},
    vendor::{self, Action, Answer, Cloud, Code, Filter, NatGatewayRequest, NewNatGateway, Shown, Tags},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::IpAddr};
use welkin_core::{
    Change, Connectivity, Cx, Driver, Effect, Error, ErrorKind, FieldPath, Kind, LocationName, Name, NatGateway, NatGatewaySpec, NatGatewayState, NatGatewayStatus, NoAction,
    Object, Reason, Ref, ResourceId, Result, Resume, Step, Subnet, Target, Verb,
};

type Row = Shown<vendor::NatGateway>;

/// What a create has made so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    nat_gateway: String,
}

#[async_trait]
impl Kept for NatGateway {
    type Row = Row;
    const READ: Action = Action::DescribeNatGateways;
    const REMOVE: Action = Action::DeleteNatGateway;
    const UNKNOWN: Code = Code::NatGatewayNotFound;

    async fn one(cloud: &Cloud, region: &str, id: &str) -> Answer<Option<Row>> {
        cloud.nat_gateway(region, id).await
    }
    async fn many(cloud: &Cloud, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Answer<Rows<Row>> {
        cloud.nat_gateways(region, filter, after, size).await.map(rows)
    }
    async fn remove(cloud: &Cloud, region: &str, id: &str) -> Answer<()> {
        cloud.delete_nat_gateway(region, id).await
    }
    async fn free(_: &Sim, _: &Cx, _: &str, _: &Row) -> Result<()> {
        Ok(())
    }
    fn is_leaving(row: &Row) -> bool {
        row.body().leaves
    }
    async fn shows_parts(_: &Sim, _: &Cx, _: &str, _: &Row) -> Result<bool> {
        Ok(true)
    }
    async fn fragments(_: &Sim, _: &Cx, _: &str, _: &[(&str, &str)]) -> Result<Vec<Fragment>> {
        Ok(Vec::new())
    }
    async fn remove_fragment(_: &Sim, _: &Cx, _: &str, _: &str) -> Result<()> {
        Ok(())
    }
    fn incomplete() -> NatGatewayStatus {
        NatGatewayStatus { state: NatGatewayState::Incomplete, ..NatGatewayStatus::default() }
    }
    fn told(location: &LocationName, row: &Row, tags: &Tags) -> Result<(NatGatewaySpec, NatGatewayStatus)> {
        let body = row.body();
        let subnet = match tags.get(mark::SUBNET).and_then(|id| id.parse::<ResourceId>().ok()) {
            Some(id) => id,
            None => Subnet::foreign_id(&body.subnet)?,
        };
        let spec = NatGatewaySpec {
            subnet: Some(Ref::resolved(Name::new(location.clone(), subnet), body.subnet.parse()?)),
            connectivity: if body.address.is_some() { Connectivity::Public } else { Connectivity::Private },
            address: body.address.as_ref().map(|(id, _)| by_vendor_id(location, id)).transpose()?,
            labels: mark::labels(tags),
            provider_config: None,
        };
        let state = state(row);
        let status = NatGatewayStatus {
            state,
            state_reason: body.failure.clone().filter(|_| state == NatGatewayState::Failed).unwrap_or_default(),
            public_ip: body.address.as_ref().map(|(_, ip)| IpAddr::V4(*ip)),
            private_ip: body.private_ip.map(IpAddr::V4),
        };
        Ok((spec, status))
    }
    fn place(location: &LocationName, _: &Row) -> String {
        location.id.to_string()
    }
}

fn state(row: &Row) -> NatGatewayState {
    match row.body() {
        body if body.leaves => NatGatewayState::Deleting,
        body if !body.has_settled(row.at_ms) => NatGatewayState::Pending,
        body if body.failure.is_some() => NatGatewayState::Failed,
        _ => NatGatewayState::Available,
    }
}
fn wanted(cx: &Cx, change: &Change<NatGateway>, spec: &NatGatewaySpec) -> Result<NewNatGateway> {
    let subnet = spec.subnet.as_ref().ok_or_else(|| Error::invalid("subnet", "a NAT gateway needs the subnet that it stands in"))?;
    let address = spec.address.as_ref().map(|r| Ok::<_, Error>(r.vendor_id()?.to_string())).transpose()?;
    let tags = mark::main_tags(cx, change, &spec.labels, &[(mark::SUBNET, subnet.name.id.to_string())])?;
    Ok(NewNatGateway { subnet: subnet.vendor_id()?.to_string(), address, tags })
}
/// The vendor's code alone does not tell that it is about this field.
fn of_address(e: Error) -> Error {
    if error::is(&e, Code::AddressNotFound) { e.with_field("address") } else { e }
}

#[async_trait]
impl Driver<NatGateway> for Sim {
    async fn check(&self, cx: &Cx, change: &Change<NatGateway>) -> Result<()> {
        let region = change.target.parent().id.as_str();
        match &change.verb {
            Verb::Create { spec, .. } => {
                let call = self.cloud.dry_create_nat_gateway(region, wanted(cx, change, spec)?);
                self.call(cx, Action::DryRun, region, call).await.map_err(of_address)
            }
            Verb::Update { .. } => self.present(cx, change).await?.map(drop).ok_or_else(|| Error::not_found(&change.target)),
            Verb::Delete => match self.present(cx, change).await? {
                Some(row) => self.call(cx, Action::DryRun, region, self.cloud.dry_delete_nat_gateway(region, row.id())).await,
                None => Ok(()),
            },
            Verb::Act(action) => match *action {},
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<NatGateway>, spec: &NatGatewaySpec, resume: &Resume) -> Result<Step<Object<NatGateway>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let (made, resume) = resume.read::<Made>();
        let new = wanted(cx, change, spec)?;
        let tags = new.tags.clone();
        let token = self.config().client_tokens.then(|| change.token.clone());
        let found = match self.begun(cx, change, made.as_ref().map(|m| m.nat_gateway.as_str()), token.is_some(), &resume, "NAT gateway").await? {
            Begun::Here(row) => Some(row),
            Begun::Nothing => None,
            Begun::NotYet(why) => return Ok(Step::look_again(self.pause(), why)),
        };
        let row = match found {
            Some(row) => row,
            None => {
                let call = self.cloud.create_nat_gateway(region, NatGatewayRequest { new, token });
                self.call(cx, Action::CreateNatGateway, region, call).await.map_err(of_address)?
            }
        };
        match state(&row) {
            NatGatewayState::Pending => Step::wait(&Made { nat_gateway: row.id().to_owned() }, self.pause(), "waiting for the NAT gateway to be ready"),
            NatGatewayState::Failed => {
                let why = format!("the NAT gateway failed: {}", row.body().failure.as_deref().unwrap_or_default());
                let error = Error::new(ErrorKind::FailedPrecondition, Reason::CreationFailed, why).with_effect(Effect::Applied);
                Err(error.with_field("subnet").with_resource(change.target.to_string()))
            }
            _ => Ok(Step::Done(Self::object::<NatGateway>(cx, location, &row, Some(&tags))?)),
        }
    }

    async fn update(&self, cx: &Cx, change: &Change<NatGateway>, desired: &NatGatewaySpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<NatGateway>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let mut row = match self.located(cx, change, resume).await? {
            Found::Here(row) => row,
            Found::NotYet(looking) => return Step::wait(&looking, self.pause(), "waiting for the cloud to show the NAT gateway"),
            Found::Gone => return Err(Error::not_found(&change.target)),
        };
        let tags = mark::relabelled(row.tags().unwrap_or(&Tags::new()), &desired.labels);
        if paths.contains(&FieldPath::from("labels")) && row.tags() != Some(&tags) {
            let call = self.cloud.tag_nat_gateway(region, row.id(), tags, expected(change, resume));
            row = or_gone(&change.target, self.call(cx, Action::TagNatGateway, region, call).await)?;
        }
        Ok(Step::Done(Self::object::<NatGateway>(cx, location, &row, None)?))
    }

    async fn delete(&self, cx: &Cx, change: &Change<NatGateway>, resume: &Resume) -> Result<Step<()>> {
        self.erased(cx, change, resume).await
    }

    async fn act(&self, _: &Cx, _: &Change<NatGateway>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }

    async fn ask(&self, _: &Cx, _: &Target<NatGateway>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}
