//! Addresses: one object of the vendor, and where it leads.

use crate::{
    Sim, mark,
    resource::{Begun, Found, Fragment, Kept, Rows, by_vendor_id, expected, of_instance, or_gone},
    vendor::{self, Action, Answer, Cloud, Code, Filter, NewAddress, Shown, Tags},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::IpAddr, time::Duration};
use welkin_core::{Address, AddressSpec, AddressState, AddressStatus, Change, Cx, Driver, Error, FieldPath, LocationName, NoAction, Object, Result, Resume, Step, Target, Verb};

type Row = (Shown<vendor::Address>, Option<String>);

/// What a create has made so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    address: String,
}

#[async_trait]
impl Kept for Address {
    type Row = Row;
    const READ: Action = Action::DescribeAddresses;
    const REMOVE: Action = Action::ReleaseAddress;
    const UNKNOWN: Code = Code::AddressNotFound;

    async fn one(cloud: &Cloud, region: &str, id: &str) -> Answer<Option<Row>> {
        cloud.address(region, id).await
    }
    async fn many(cloud: &Cloud, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Answer<Rows<Row>> {
        cloud.addresses(region, filter, after, size).await
    }
    async fn remove(cloud: &Cloud, region: &str, id: &str) -> Answer<()> {
        cloud.release_address(region, id).await
    }
    async fn free(sim: &Sim, cx: &Cx, region: &str, (row, _): &Row) -> Result<()> {
        if row.body().leads_to.is_some() {
            let free = sim.call(cx, Action::DisassociateAddress, region, sim.cloud.disassociate_address(region, row.id(), None)).await;
            free.map(drop).or_else(|e| if crate::error::is(&e, Self::UNKNOWN) { Ok(()) } else { Err(e) })?;
        }
        Ok(())
    }
    fn is_leaving(_: &Row) -> bool {
        false
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
    fn incomplete() -> AddressStatus {
        AddressStatus { state: AddressState::Incomplete, ..AddressStatus::default() }
    }
    fn told(location: &LocationName, (row, holder): &Row, tags: &Tags) -> Result<(AddressSpec, AddressStatus)> {
        let (instance, private_ip) = row.body().leads_to.clone().unzip();
        let spec = AddressSpec {
            instance: instance.as_ref().map(|id| by_vendor_id(location, id)).transpose()?,
            private_ip: private_ip.filter(|_| mark::is_asked(tags, "private_ip")),
            labels: mark::labels(tags),
            provider_config: None,
        };
        let user = instance.or_else(|| holder.clone());
        let state = if user.is_some() { AddressState::InUse } else { AddressState::Available };
        Ok((spec, AddressStatus { state, ip: Some(IpAddr::V4(row.body().ip)), user: user.unwrap_or_default() }))
    }
    fn place(location: &LocationName, _: &Row) -> String {
        location.id.to_string()
    }
}

/// The fields that are shown only where they were asked for.
fn asked(spec: &AddressSpec) -> &'static [&'static str] {
    if spec.private_ip.is_some() { &["private_ip"] } else { &[] }
}
fn wanted(cx: &Cx, change: &Change<Address>, spec: &AddressSpec) -> Result<NewAddress> {
    let instance = spec.instance.as_ref().map(|r| Ok::<_, Error>(r.vendor_id()?.to_string())).transpose()?;
    Ok(NewAddress { instance, private_ip: spec.private_ip, tags: mark::main_tags(cx, change, &spec.labels, &[mark::asked(asked(spec))])? })
}

impl Sim {
    /// The address, leading to where it should. Written also where it seems to lead there: without a private address the vendor knows which one is meant.
    async fn led(&self, cx: &Cx, change: &Change<Address>, spec: &AddressSpec, row: Row, expect: &mut Option<u64>) -> Result<Row> {
        let region = change.target.parent().id.as_str();
        let answer = match &spec.instance {
            Some(instance) => {
                let call = self.cloud.associate_address(region, row.0.id(), instance.vendor_id()?.as_str(), spec.private_ip, expect.take());
                self.call(cx, Action::AssociateAddress, region, call).await.map_err(of_instance)
            }
            None if row.0.body().leads_to.is_none() => return Ok(row),
            None => self.call(cx, Action::DisassociateAddress, region, self.cloud.disassociate_address(region, row.0.id(), expect.take())).await,
        };
        or_gone(&change.target, answer)
    }
}

#[async_trait]
impl Driver<Address> for Sim {
    async fn check(&self, cx: &Cx, change: &Change<Address>) -> Result<()> {
        let region = change.target.parent().id.as_str();
        match &change.verb {
            Verb::Create { spec, .. } => {
                let call = self.cloud.dry_allocate_address(region, wanted(cx, change, spec)?);
                self.call(cx, Action::DryRun, region, call).await.map_err(of_instance)
            }
            Verb::Update { .. } => self.present(cx, change).await?.map(drop).ok_or_else(|| Error::not_found(&change.target)),
            Verb::Delete => match self.present(cx, change).await? {
                Some(row) => self.call(cx, Action::DryRun, region, self.cloud.dry_release_address(region, row.0.id())).await,
                None => Ok(()),
            },
            Verb::Act(action) => match *action {},
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<Address>, spec: &AddressSpec, resume: &Resume) -> Result<Step<Object<Address>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let (made, resume) = resume.read::<Made>();
        let tags = wanted(cx, change, spec)?.tags;
        let found = match self.begun(cx, change, made.as_ref().map(|m| m.address.as_str()), false, &resume, "address").await? {
            Begun::Here(row) => Some(row),
            Begun::Nothing => None,
            Begun::NotYet(why) => return Ok(Step::look_again(self.pause(), why)),
        };
        let row = match found {
            Some(row) => self.led(cx, change, spec, row, &mut None).await?,
            None => {
                let row = self.call(cx, Action::AllocateAddress, region, self.cloud.allocate_address(region, tags.clone())).await?;
                if spec.instance.is_some() {
                    return Step::wait(&Made { address: row.0.id().to_owned() }, Duration::ZERO, "made the address");
                }
                row
            }
        };
        Ok(Step::Done(Self::object::<Address>(cx, location, &row, Some(&tags))?))
    }

    async fn update(&self, cx: &Cx, change: &Change<Address>, desired: &AddressSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<Address>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let mut row = match self.located(cx, change, resume).await? {
            Found::Here(row) => row,
            Found::NotYet(looking) => return Step::wait(&looking, self.pause(), "waiting for the cloud to show the address"),
            Found::Gone => return Err(Error::not_found(&change.target)),
        };
        let mut expect = expected(change, resume);
        if ["instance", "private_ip"].iter().any(|path| paths.contains(&FieldPath::from(*path))) {
            row = self.led(cx, change, desired, row, &mut expect).await?;
        }
        let now = row.0.tags().cloned().unwrap_or_default();
        let labels = if paths.contains(&FieldPath::from("labels")) { desired.labels.clone() } else { mark::labels(&now) };
        let tags = mark::retagged(&now, &labels, asked(desired));
        if tags != now {
            row = or_gone(&change.target, self.call(cx, Action::TagAddress, region, self.cloud.tag_address(region, row.0.id(), tags, expect)).await)?;
        }
        Ok(Step::Done(Self::object::<Address>(cx, location, &row, None)?))
    }

    async fn delete(&self, cx: &Cx, change: &Change<Address>, resume: &Resume) -> Result<Step<()>> {
        self.erased(cx, change, resume).await
    }

    async fn act(&self, _: &Cx, _: &Change<Address>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }

    async fn ask(&self, _: &Cx, _: &Target<Address>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}
