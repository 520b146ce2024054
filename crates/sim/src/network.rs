//! Networks: a network of the vendor, and a gateway where there is internet access.

use crate::{
    Sim, mark,
    resource::{Found, Fragment, Kept, Rows, all_pages, expected, is_adopted, or_gone, rows},
    vendor::{self, Action, Answer, Cloud, Code, Filter, NewNetwork, Shown, Tags},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};
use welkin_core::{
    Change, Cx, Driver, Error, ErrorKind, FieldPath, LocationName, Network, NetworkSpec, NetworkState, NetworkStatus, NoAction, Object, Reason, Result, Resume, Step, Target, Verb,
};

/// What a create or an update has made so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    network: Option<String>,
    gateway: Option<String>,
}

#[async_trait]
impl Kept for Network {
    type Row = Shown<vendor::Network>;
    const READ: Action = Action::DescribeNetworks;
    const REMOVE: Action = Action::DeleteNetwork;
    const UNKNOWN: Code = Code::NetworkNotFound;

    async fn one(cloud: &Cloud, region: &str, id: &str) -> Answer<Option<Self::Row>> {
        cloud.network(region, id).await
    }
    async fn many(cloud: &Cloud, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Answer<Rows<Self::Row>> {
        cloud.networks(region, filter, after, size).await.map(|l| (l.items, l.next))
    }
    async fn remove(cloud: &Cloud, region: &str, id: &str) -> Answer<()> {
        cloud.delete_network(region, id).await
    }
    async fn free(_: &Sim, _: &Cx, _: &str, _: &Self::Row) -> Result<()> {
        Ok(())
    }
    fn is_leaving(_: &Self::Row) -> bool {
        false
    }
    async fn shows_parts(sim: &Sim, cx: &Cx, region: &str, row: &Self::Row) -> Result<bool> {
        let Some(gateway) = &row.body().gateway else { return Ok(true) };
        Ok(sim.settled_gateway(cx, region, gateway).await?.is_some())
    }
    async fn fragments(sim: &Sim, cx: &Cx, region: &str, marks: &[(&str, &str)]) -> Result<Vec<Fragment>> {
        let gateways = all_pages(async |after| {
            let call = sim.cloud.gateways(region, Filter { tags: marks, ids: &[] }, after.as_deref(), usize::MAX);
            sim.call(cx, Action::DescribeGateways, region, call).await.map(rows)
        });
        Ok(gateways.await?.iter().map(Fragment::of).collect())
    }
    async fn remove_fragment(sim: &Sim, cx: &Cx, region: &str, id: &str) -> Result<()> {
        let removed = sim.call(cx, Action::DeleteGateway, region, sim.cloud.delete_gateway(region, id)).await;
        removed.or_else(|e| if crate::error::is(&e, Code::GatewayNotFound) { Ok(()) } else { Err(e) })
    }
    fn incomplete() -> NetworkStatus {
        NetworkStatus { state: NetworkState::Incomplete, cidrs: Vec::new() }
    }
    fn told(_: &LocationName, row: &Self::Row, tags: &Tags) -> Result<(NetworkSpec, NetworkStatus)> {
        let (body, wants) = (row.body(), tags.contains_key(mark::INTERNET));
        let spec = NetworkSpec {
            cidrs: body.cidrs.clone(),
            assign_ipv6_cidr: body.assigned.is_some(),
            internet_access: wants || body.gateway.is_some(),
            labels: mark::labels(tags),
            provider_config: None,
        };
        let state = if wants && body.gateway.is_none() { NetworkState::Incomplete } else { NetworkState::Available };
        Ok((spec, NetworkStatus { state, cidrs: body.cidrs.iter().chain(&body.assigned).copied().collect() }))
    }
    fn place(location: &LocationName, _: &Self::Row) -> String {
        location.id.to_string()
    }
}

fn wanted(cx: &Cx, change: &Change<Network>, spec: &NetworkSpec) -> Result<NewNetwork> {
    let internet: &[_] = if spec.internet_access { &[(mark::INTERNET, "true".to_owned())] } else { &[] };
    Ok(NewNetwork { cidrs: spec.cidrs.clone(), assign_ipv6: spec.assign_ipv6_cidr, tags: mark::main_tags(cx, change, &spec.labels, internet)? })
}
/// The marks of what a network is, with the labels and the wish for internet access that it should have.
fn retagged(tags: &Tags, spec: &NetworkSpec) -> Tags {
    let mut tags = mark::relabelled(tags, &spec.labels);
    if spec.internet_access {
        tags.insert(mark::INTERNET.to_owned(), "true".to_owned());
    } else {
        tags.remove(mark::INTERNET);
    }
    tags
}

impl Sim {
    /// Our gateway, made where it is missing. The one unkeyed write of a step: after it the answer is None, and the handle keeps what was made.
    async fn gateway(&self, cx: &Cx, change: &Change<Network>, made: &mut Made) -> Result<Option<String>> {
        let region = change.target.parent().id.as_str();
        if let Some(id) = &made.gateway {
            return Ok(Some(id.clone()));
        }
        let call = self.cloud.create_gateway(region, mark::fragment_tags(cx, change)?);
        made.gateway = Some(self.call(cx, Action::CreateGateway, region, call).await?.id().to_owned());
        Ok(None)
    }
    async fn attached(&self, cx: &Cx, region: &str, gateway: &str, network: &str) -> Result<Shown<vendor::Network>> {
        self.call(cx, Action::AttachGateway, region, self.cloud.attach_gateway(region, gateway, network)).await
    }
    /// The gateway, unless the cloud does not show it or its tags yet.
    async fn settled_gateway(&self, cx: &Cx, region: &str, id: &str) -> Result<Option<Shown<vendor::Gateway>>> {
        let only = [id];
        let call = self.cloud.gateways(region, Filter { tags: &[], ids: &only }, None, 1);
        Ok(self.call(cx, Action::DescribeGateways, region, call).await?.items.pop().filter(|g| !self.is_young(g)))
    }
    /// Removes the gateway of a network, where it is ours. False: the cloud does not show yet whose it is.
    async fn cut_off(&self, cx: &Cx, change: &Change<Network>, gateway: &str) -> Result<bool> {
        let region = change.target.parent().id.as_str();
        let Some(shown) = self.settled_gateway(cx, region, gateway).await? else { return Ok(false) };
        if shown.tags().and_then(|t| mark::mark(cx, t)).is_none_or(|m| m.uid != change.uid) {
            let text = format!("the gateway {gateway} is not Welkin's: detach it before internet access can end");
            return Err(Error::new(ErrorKind::FailedPrecondition, Reason::NotOwned, text).with_field("internet_access"));
        }
        Network::remove_fragment(self, cx, region, gateway).await?;
        Ok(true)
    }
}

#[async_trait]
impl Driver<Network> for Sim {
    async fn check(&self, cx: &Cx, change: &Change<Network>) -> Result<()> {
        let region = change.target.parent().id.as_str();
        match &change.verb {
            Verb::Create { spec, .. } => self.call(cx, Action::DryRun, region, self.cloud.dry_create_network(region, wanted(cx, change, spec)?)).await,
            Verb::Update { .. } => self.present(cx, change).await?.map(drop).ok_or_else(|| Error::not_found(&change.target)),
            Verb::Delete => match self.present(cx, change).await? {
                Some(row) => self.call(cx, Action::DryRun, region, self.cloud.dry_delete_network(region, row.id())).await,
                None => Ok(()),
            },
            Verb::Act(action) => match *action {},
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<Network>, spec: &NetworkSpec, resume: &Resume) -> Result<Step<Object<Network>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let (made, resume) = &resume.read::<Made>();
        let (new, mut made) = (wanted(cx, change, spec)?, made.clone().unwrap_or_default());
        if self.must_look(resume) {
            if made.network.is_none() {
                made.network = self.made(cx, change).await?.map(|row| row.id().to_owned());
            }
            if spec.internet_access && made.gateway.is_none() {
                let marks = [(mark::OWNER, cx.owner.as_str()), (mark::UID, change.uid.as_str())];
                made.gateway = Network::fragments(self, cx, region, &marks).await?.into_iter().next().map(|f| f.id);
            }
            let is_whole = made.network.is_some() && (made.gateway.is_some() || !spec.internet_access);
            if !is_whole && !resume.is_past(self.horizon()) {
                return Ok(Step::look_again(self.pause(), "looking for what an interrupted call has made"));
            }
        }
        let tags = new.tags.clone();
        let Some(network) = made.network.clone() else {
            let row = self.call(cx, Action::CreateNetwork, region, self.cloud.create_network(region, new)).await?;
            if !spec.internet_access {
                return Ok(Step::Done(Self::object::<Network>(cx, location, &row, Some(&tags))?));
            }
            made.network = Some(row.id().to_owned());
            return Step::wait(&made, Duration::ZERO, "made the network");
        };
        if spec.internet_access {
            let Some(gateway) = self.gateway(cx, change, &mut made).await? else { return Step::wait(&made, Duration::ZERO, "made the gateway") };
            let row = self.attached(cx, region, &gateway, &network).await?;
            return Ok(Step::Done(Self::object::<Network>(cx, location, &row, Some(&tags))?));
        }
        // Found again after an interruption.
        match self.call(cx, Action::DescribeNetworks, region, self.cloud.network(region, &network)).await? {
            Some(row) => Ok(Step::Done(Self::object::<Network>(cx, location, &row, Some(&tags))?)),
            None => Ok(Step::look_again(self.pause(), "waiting for the cloud to show the network")),
        }
    }

    async fn update(&self, cx: &Cx, change: &Change<Network>, desired: &NetworkSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<Network>>> {
        let location = change.target.parent();
        let region = location.id.as_str();
        let mut row = match self.located(cx, change, resume).await? {
            Found::Here(row) => row,
            Found::NotYet(looking) => return Step::wait(&looking, self.pause(), "waiting for the cloud to show the network"),
            Found::Gone => return Err(Error::not_found(&change.target)),
        };
        let mut expect = expected(change, resume);
        let changes_access = paths.contains(&FieldPath::from("internet_access"));
        if changes_access && is_adopted(&change.target) {
            let text = format!("{} was adopted without what is attached to it: a gateway would not go with it again", change.target);
            return Err(Error::new(ErrorKind::FailedPrecondition, Reason::NotOwned, text).with_field("internet_access"));
        }
        let (id, tags) = (row.id().to_owned(), row.tags().cloned().unwrap_or_default());
        let mut goal = desired.clone();
        if !changes_access {
            goal.internet_access = tags.contains_key(mark::INTERNET);
        }
        let wish = retagged(&tags, &goal);
        // The wish is written before access ends and after it has begun: in between the network is never shown as a fragment of itself.
        if changes_access && desired.internet_access && row.body().gateway.is_none() {
            let (made, resume) = resume.read::<Made>();
            let mut made = made.unwrap_or_default();
            if made.gateway.is_none() {
                let marks = [(mark::OWNER, cx.owner.as_str()), (mark::UID, change.uid.as_str())];
                made.gateway = Network::fragments(self, cx, region, &marks).await?.into_iter().next().map(|f| f.id);
                if made.gateway.is_none() && self.must_look(&resume) && !resume.is_past(self.horizon()) {
                    return Ok(Step::look_again(self.pause(), "looking for what an interrupted call has made"));
                }
            }
            let Some(gateway) = self.gateway(cx, change, &mut made).await? else { return Step::wait(&made, Duration::ZERO, "made the gateway") };
            row = self.attached(cx, region, &gateway, &id).await?;
            expect = None;
        }
        if wish != tags {
            let call = self.cloud.tag_network(region, &id, wish.clone(), expect);
            row = or_gone(&change.target, self.call(cx, Action::TagNetwork, region, call).await)?;
        }
        if changes_access
            && !desired.internet_access
            && let Some(gateway) = row.body().gateway.clone()
        {
            if !self.cut_off(cx, change, &gateway).await? {
                return Ok(Step::look_again(self.pause(), "waiting for the cloud to show whose the gateway is"));
            }
            let now = self.call(cx, Action::DescribeNetworks, region, self.cloud.network(region, &id)).await?;
            row = now.ok_or_else(|| Error::not_found(&change.target))?;
        }
        Ok(Step::Done(Self::object::<Network>(cx, location, &row, Some(&wish))?))
    }

    async fn delete(&self, cx: &Cx, change: &Change<Network>, resume: &Resume) -> Result<Step<()>> {
        self.erased(cx, change, resume).await
    }

    async fn act(&self, _: &Cx, _: &Change<Network>, action: &NoAction, _: &Resume) -> Result<Step<()>> {
        match *action {}
    }

    async fn ask(&self, _: &Cx, _: &Target<Network>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}
