//! Zones of the domain name system: one object of the vendor, and the networks that it is answered for.

use crate::{
    Sim, mark,
    record_set::record_changes,
    resource::{Begun, Found, Fragment, Kept, Rows, by_vendor_id, expected, or_gone, rows},
    vendor::{self, Action, Answer, Cloud, Code, Filter, GLOBAL, NewZone, Shown, Tags, ZoneNetwork},
};
use async_trait::async_trait;
use std::collections::BTreeSet;
use welkin_core::{
    Change, ChangeMode, Cx, DnsZone, DnsZoneAction, DnsZoneSpec, DnsZoneState, DnsZoneStatus, Driver, Error, FieldPath, LocationName, Network, NoAction, Object, RecordOutcomes,
    Result, Resume, Step, Target, Verb,
};

type Row = Shown<vendor::Zone>;

#[async_trait]
impl Kept for DnsZone {
    type Row = Row;
    const READ: Action = Action::DescribeZones;
    const REMOVE: Action = Action::DeleteZone;
    const UNKNOWN: Code = Code::ZoneNotFound;

    async fn one(cloud: &Cloud, region: &str, id: &str) -> Answer<Option<Row>> {
        cloud.zone(region, id).await
    }
    async fn many(cloud: &Cloud, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Answer<Rows<Row>> {
        cloud.zones(region, filter, after, size).await.map(rows)
    }
    async fn remove(cloud: &Cloud, region: &str, id: &str) -> Answer<()> {
        cloud.delete_zone(region, id).await
    }
    async fn free(_: &Sim, _: &Cx, _: &str, _: &Row) -> Result<()> {
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
    fn incomplete() -> DnsZoneStatus {
        DnsZoneStatus { state: DnsZoneState::Incomplete, ..DnsZoneStatus::default() }
    }
    fn told(_: &LocationName, row: &Row, tags: &Tags) -> Result<(DnsZoneSpec, DnsZoneStatus)> {
        let body = row.body();
        let reference = |n: &ZoneNetwork| by_vendor_id::<Network>(&LocationName::of(&n.region)?, &n.id);
        let spec = DnsZoneSpec {
            dns_name: Some(body.dns_name.parse()?),
            private: !body.networks.is_empty(),
            networks: body.networks.iter().map(reference).collect::<Result<_>>()?,
            description: Some(body.comment.clone()).filter(|c| !c.is_empty()),
            labels: mark::labels(tags),
            provider_config: None,
        };
        let name_servers = body.name_servers.iter().map(|n| n.parse()).collect::<Result<_>>()?;
        Ok((spec, DnsZoneStatus { state: DnsZoneState::Available, name_servers }))
    }
    fn place(location: &LocationName, _: &Row) -> String {
        location.id.to_string()
    }
}

fn networks(spec: &DnsZoneSpec) -> Result<Vec<ZoneNetwork>> {
    spec.networks.iter().map(|r| Ok(ZoneNetwork { region: r.name.parent.id.to_string(), id: r.vendor_id()?.to_string() })).collect()
}
fn wanted(cx: &Cx, change: &Change<DnsZone>, spec: &DnsZoneSpec) -> Result<NewZone> {
    Ok(NewZone {
        dns_name: spec.dns_name.as_ref().map(ToString::to_string).unwrap_or_default(),
        networks: networks(spec)?,
        comment: spec.description.clone().unwrap_or_default(),
        tags: mark::main_tags(cx, change, &spec.labels, &[])?,
    })
}

impl Sim {
    /// The zone answered for these networks: what is new first, because the last one cannot be taken away.
    async fn answered_for(&self, cx: &Cx, change: &Change<DnsZone>, wanted: &[ZoneNetwork], mut row: Row, expect: &mut Option<u64>) -> Result<Row> {
        let has = row.body().networks.clone();
        for network in wanted.iter().filter(|n| !has.contains(n)) {
            let call = self.cloud.associate_network(row.id(), network, expect.take());
            row = or_gone(&change.target, self.call(cx, Action::AssociateNetwork, GLOBAL, call).await)?;
        }
        for network in has.iter().filter(|n| !wanted.contains(n)) {
            let call = self.cloud.disassociate_network(row.id(), network, expect.take());
            row = or_gone(&change.target, self.call(cx, Action::DisassociateNetwork, GLOBAL, call).await)?;
        }
        Ok(row)
    }
}

#[async_trait]
impl Driver<DnsZone> for Sim {
    async fn check(&self, cx: &Cx, change: &Change<DnsZone>) -> Result<()> {
        match &change.verb {
            Verb::Create { spec, .. } => self.call(cx, Action::DryRun, GLOBAL, self.cloud.dry_create_zone(wanted(cx, change, spec)?)).await,
            Verb::Update { .. } => self.present(cx, change).await?.map(drop).ok_or_else(|| Error::not_found(&change.target)),
            Verb::Delete => match self.present(cx, change).await? {
                Some(row) => self.call(cx, Action::DryRun, GLOBAL, self.cloud.dry_delete_zone(row.id())).await,
                None => Ok(()),
            },
            Verb::Act(DnsZoneAction::ChangeRecords(changes)) => match self.present(cx, change).await? {
                Some(row) => {
                    let mut work = self.planned(cx, row.id(), changes, false).await?;
                    match work.next(changes) {
                        Some(edits) if changes.mode != ChangeMode::BestEffort => {
                            self.call(cx, Action::DryRun, GLOBAL, self.cloud.dry_change_records(row.id(), &record_changes(&edits))).await
                        }
                        _ => Ok(()),
                    }
                }
                None => Err(Error::not_found(&change.target)),
            },
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<DnsZone>, spec: &DnsZoneSpec, resume: &Resume) -> Result<Step<Object<DnsZone>>> {
        let location = change.target.parent();
        if location.id.as_str() != GLOBAL {
            // A zone would be made elsewhere than asked for.
            return Err(Error::invalid("parent", format!("a zone lies in locations/{GLOBAL}, not in {location}")));
        }
        let new = wanted(cx, change, spec)?;
        let tags = new.tags.clone();
        let row = match self.begun(cx, change, None, false, resume, "zone").await? {
            Begun::Here(row) => row,
            Begun::NotYet(why) => return Ok(Step::look_again(self.pause(), why)),
            Begun::Nothing => self.call(cx, Action::CreateZone, GLOBAL, self.cloud.create_zone(new)).await?,
        };
        Ok(Step::Done(Self::object::<DnsZone>(cx, location, &row, Some(&tags))?))
    }

    async fn update(&self, cx: &Cx, change: &Change<DnsZone>, desired: &DnsZoneSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<DnsZone>>> {
        let mut row = match self.located(cx, change, resume).await? {
            Found::Here(row) => row,
            Found::NotYet(looking) => return Step::wait(&looking, self.pause(), "waiting for the cloud to show the zone"),
            Found::Gone => return Err(Error::not_found(&change.target)),
        };
        let mut expect = expected(change, resume);
        let changes = |path: &str| paths.contains(&FieldPath::from(path));
        if changes("networks") {
            row = self.answered_for(cx, change, &networks(desired)?, row, &mut expect).await?;
        }
        let comment = desired.description.clone().unwrap_or_default();
        if changes("description") && comment != row.body().comment {
            let call = self.cloud.comment_zone(row.id(), comment, expect.take());
            row = or_gone(&change.target, self.call(cx, Action::CommentZone, GLOBAL, call).await)?;
        }
        let now = row.tags().cloned().unwrap_or_default();
        let tags = if changes("labels") { mark::relabelled(&now, &desired.labels) } else { now.clone() };
        if tags != now {
            let call = self.cloud.tag_zone(row.id(), tags, expect.take());
            row = or_gone(&change.target, self.call(cx, Action::TagZone, GLOBAL, call).await)?;
        }
        Ok(Step::Done(Self::object::<DnsZone>(cx, change.target.parent(), &row, None)?))
    }

    async fn delete(&self, cx: &Cx, change: &Change<DnsZone>, resume: &Resume) -> Result<Step<()>> {
        self.erased(cx, change, resume).await
    }

    async fn act(&self, cx: &Cx, change: &Change<DnsZone>, action: &DnsZoneAction, resume: &Resume) -> Result<Step<RecordOutcomes>> {
        let DnsZoneAction::ChangeRecords(changes) = action;
        let row = match self.located(cx, change, &Resume::default()).await? {
            Found::Here(row) => row,
            Found::NotYet(_) => return Err(self.not_yet_visible(&change.target)),
            Found::Gone => return Err(Error::not_found(&change.target)),
        };
        self.changed_records(cx, row.id(), changes, resume).await
    }

    async fn ask(&self, _: &Cx, _: &Target<DnsZone>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}
