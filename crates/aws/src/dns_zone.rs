//! Zones are Route 53's hosted zones: one object of the account, and the VPCs that a private one is answered for.
//!
//! <https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateHostedZone.html> takes one VPC; every other one is associated by itself. Tags come
//! in a call of their own, so owner and uid stand in the CallerReference, which is there from the beginning, is shown by every read and cannot be
//! changed: a zone of ours is known by that, and its tags say only what it is called.

mod reference;
mod write;

use crate::{
    Aws,
    client::{GLOBAL, Global},
    error,
    mark::Tags,
    owned,
    page::At,
    record_set::check_lengths,
    resource::{Found, Leaving, Looking, Pieces, SHOWN_TOO_LONG, copies, reference_lags},
    step::{Look, age, answered, look, look_again, now_ms, pace, told, unresolved_ms},
};
use async_trait::async_trait;
use aws_sdk_route53::types::{HostedZone, TagResourceType, Vpc, VpcRegion};
use reference::Reference;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};
use welkin_core::{
    Change, Cursor, Cx, DnsName, DnsZone, DnsZoneAction, DnsZoneSpec, DnsZoneState, DnsZoneStatus, Driver, Effect, Error, ErrorKind, FieldPath, Kind, LocationName, Mark, Name,
    Network, NoAction, Object, Owner, Page, Past, ProviderId, Query, Reader, Reason, RecordOutcomes, Ref, ResourceId, Result, Resume, Shard, Step, Target, Uid, VendorId, Verb,
};
use write::Wanted;

pub(crate) use write::MAX_LABELS;

/// What Route 53 answers where it does not know the id.
pub(crate) const GONE: &[&str] = &["NoSuchHostedZone"];
/// What it answers while a VPC is not known to it yet.
const REFERENCES: &[&str] = &["InvalidVPCId"];
/// The most that one list shows (<https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListHostedZones.html>).
const WHOLE: i32 = 100;
/// Zones a page of ours. Tags are told of ten zones in one call, VPCs and name servers of one only, and the account has five calls a second
/// (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html>).
const PAGE: usize = 10;
/// SOA and NS, which every zone has and which go with it.
const OWN_RECORDS: i64 = 2;

/// A zone as one read shows it.
#[derive(Debug, Clone)]
struct Row {
    id: VendorId,
    zone: HostedZone,
    vpcs: Vec<Vpc>,
    name_servers: Vec<String>,
    tags: Tags,
}
impl Row {
    fn reference(&self) -> Option<Reference> {
        Reference::of(self.zone.caller_reference())
    }
    /// Another service of AWS runs it, and nobody else can change it.
    fn service(&self) -> Option<&str> {
        self.zone.linked_service().map(|s| told(s.service_principal()).unwrap_or("another service of AWS"))
    }
    fn comment(&self) -> Option<&str> {
        told(self.zone.config().and_then(|c| c.comment()))
    }
    /// How many records it has that do not go with it.
    fn records(&self) -> i64 {
        self.zone.resource_record_set_count().unwrap_or_default() - OWN_RECORDS
    }
}

/// What a create has made so far, since when.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Made {
    id: Option<String>,
    since_ms: u64,
    /// Route 53 says that it is there, so that it is only looked for.
    #[serde(default)]
    is_there: bool,
    /// The last change that its name servers have to learn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    change: Option<String>,
}
impl Pieces for Made {
    fn ids(&self) -> impl Iterator<Item = &String> {
        self.id.iter()
    }
    fn is_whole(&self) -> bool {
        self.id.is_some()
    }
}
impl Made {
    fn wait<T>(&self, progress: &str) -> Result<Step<T>> {
        Step::wait(self, pace(self.since_ms), progress)
    }
}
/// What an update waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Changing {
    #[serde(flatten)]
    looking: Looking,
    change: String,
    /// When it was written.
    since_ms: u64,
}

/// Refuses what would be lost among the others, or whose mark would.
fn check_told(zone: &HostedZone) -> Result<()> {
    answered(told(Some(bare_id(zone.id()))), "Id")?;
    answered(zone.name().parse::<DnsName>().ok(), "Name")?;
    answered(told(Some(zone.caller_reference())), "CallerReference").map(drop)
}
/// The part of `/hostedzone/Z1` that is the id.
pub(crate) fn bare_id(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}
/// What the zone that a change is about is called. What was adopted has no name.
fn called(change: &Change<DnsZone>) -> Option<(&ResourceId, &Uid)> {
    change.target.name().ok().map(|n| (&n.id, &change.uid))
}
fn elsewhere(location: &LocationName) -> Error {
    Error::invalid("parent", format!("a zone lies in locations/{GLOBAL}, not in {location}"))
}

impl Global {
    /// None where Route 53 says that there is none.
    async fn zone(&self, cx: &Cx, id: &str) -> Result<Option<Row>> {
        let answer = match self.route53.read(cx, "GetHostedZone", self.route53.get_hosted_zone().id(id).send()).await {
            Err(e) if error::is(&e, GONE) => return Ok(None),
            answer => answer?,
        };
        let zone = answered(answer.hosted_zone().cloned(), "HostedZone")?;
        self.remember(&zone);
        let name_servers = answer.delegation_set().map(|d| d.name_servers().to_vec()).unwrap_or_default();
        check_told(&zone)?;
        let id = answered(bare_id(zone.id()).parse().ok(), "Id")?;
        Ok(Some(Row { id, vpcs: answer.vpcs.unwrap_or_default(), zone, name_servers, tags: Tags::default() }))
    }
    /// What it is called; None where Route 53 says that there is none.
    pub(crate) async fn zone_name(&self, cx: &Cx, id: &str) -> Result<Option<DnsName>> {
        self.zone(cx, id).await?.map(|row| row.zone.name().parse()).transpose()
    }
    async fn tagged(&self, cx: &Cx, mut rows: Vec<Row>) -> Result<Vec<Row>> {
        for some in rows.chunks_mut(PAGE) {
            let call = self.route53.list_tags_for_resources().resource_type(TagResourceType::Hostedzone);
            let call = call.set_resource_ids(Some(some.iter().map(|r| r.id.to_string()).collect()));
            let answer = self.route53.read(cx, "ListTagsForResources", call.send()).await?;
            for row in some {
                let of = |id: Option<&str>| id.map(bare_id) == Some(row.id.as_str());
                // One that went between the two reads has no tags any more; it is shown as it was.
                let set = answer.resource_tag_sets().iter().find(|set| of(set.resource_id()));
                let tags = set.map(|s| s.tags()).unwrap_or_default();
                row.tags = tags.iter().filter_map(|t| Some((t.key()?, t.value().unwrap_or_default()))).collect();
            }
        }
        Ok(rows)
    }
    /// With its tags.
    async fn whole(&self, cx: &Cx, id: &str) -> Result<Option<Row>> {
        let Some(row) = self.zone(cx, id).await? else { return Ok(None) };
        match self.tagged(cx, vec![row]).await {
            // It went between the two reads.
            Err(e) if error::is(&e, GONE) => Ok(None),
            rows => Ok(rows?.pop()),
        }
    }
    /// One page of the zones as the list shows them, and where the next begins.
    pub(crate) async fn zones_page(&self, cx: &Cx, size: i32, marker: Option<String>) -> Result<(Vec<HostedZone>, Option<String>)> {
        let call = self.route53.list_hosted_zones().max_items(size).set_marker(marker);
        let answer = self.route53.read(cx, "ListHostedZones", call.send()).await?;
        // Where a next page is named there is one, whatever else is not told.
        let next = told(answer.next_marker()).map(ToOwned::to_owned);
        let next = if answer.is_truncated() { Some(answered(next, "NextMarker")?) } else { next };
        answer.hosted_zones().iter().try_for_each(check_told)?;
        answer.hosted_zones().iter().for_each(|zone| self.remember(zone));
        Ok((answer.hosted_zones, next))
    }
    /// What it is called, for whoever has to know that of its records.
    fn remember(&self, zone: &HostedZone) {
        if let Ok(name) = zone.name().parse() {
            self.zone_names.lock().insert(bare_id(zone.id()).to_owned(), name);
        }
    }
    /// The ids of our zones that are wanted, from the list of all.
    async fn ours(&self, cx: &Cx, wanted: impl Fn(&Reference) -> bool + Send) -> Result<Vec<String>> {
        let (mut ids, mut marker) = (Vec::new(), None);
        loop {
            let (zones, next) = self.zones_page(cx, WHOLE, marker).await?;
            let is_ours = |z: &&HostedZone| Reference::of(z.caller_reference()).is_some_and(|r| r.owner == cx.owner && wanted(&r));
            ids.extend(zones.iter().filter(is_ours).map(|z| bare_id(z.id()).to_owned()));
            marker = next;
            if marker.is_none() {
                ids.sort_unstable();
                return Ok(ids);
            }
        }
    }
    /// The zone that a change has made, by what it was made with.
    async fn made(&self, cx: &Cx, change: &Change<DnsZone>) -> Result<Option<String>> {
        let mut ids = self.ours(cx, |r| r.uid == change.uid).await?;
        if ids.len() > 1 {
            // A CallerReference is taken once, so this is a defect of the cloud's.
            let why = format!("{} zones have the CallerReference of {}: {}", ids.len(), change.target, ids.join(", "));
            return Err(Error::new(ErrorKind::FailedPrecondition, Reason::NameTaken, why).with_resource(change.target.to_string()));
        }
        Ok(ids.pop())
    }
    /// Have the name servers learned of this change? One that Route 53 knows no more was long ago.
    pub(crate) async fn is_in_sync(&self, cx: &Cx, change: &str) -> Result<bool> {
        match self.route53.read(cx, "GetChange", self.route53.get_change().id(change).send()).await {
            Err(e) if error::is(&e, &["NoSuchChange"]) => Ok(true),
            answer => Ok(write::is_told(answered(answer?.change_info(), "ChangeInfo")?)),
        }
    }
}

impl Aws {
    pub(crate) fn zones(&self, location: &LocationName) -> Result<&Global> {
        if location == &self.global.name { Ok(&self.global) } else { Err(elsewhere(location)) }
    }
    /// For a read: None where it does not exist.
    async fn zone_seen(&self, cx: &Cx, target: &Target<DnsZone>) -> Result<Option<Row>> {
        let global = match self.zones(target.parent()) {
            Ok(global) => global,
            // Nothing lies there; a location that is not ours is refused.
            Err(_) => return self.region(target.parent()).map(|_| None),
        };
        let (name, uid) = match target {
            Target::Vendor { vendor_id, .. } | Target::Named { vendor_id: Some(vendor_id), .. } => return global.whole(cx, vendor_id.as_str()).await,
            Target::Named { name, uid, .. } => (name, uid),
        };
        let mut found = Vec::new();
        for id in global.ours(cx, |r| uid.as_ref().is_none_or(|uid| r.uid == *uid)).await? {
            found.extend(global.zone(cx, &id).await?);
        }
        let mut found = global.tagged(cx, found).await?;
        found.retain(|row| uid.is_some() || row.tags.id().as_ref() == Some(&name.id));
        if found.len() > 1 {
            return Err(copies(target, found.iter().map(|r| r.id.as_str()).collect()));
        }
        Ok(found.pop())
    }
    /// May this refusal pass? The zone or a VPC is not known everywhere yet, or a read does not show yet that a step before this one has associated it.
    fn may_pass(&self, refusal: &Error, age: Duration, resume: &Resume) -> bool {
        let is = |codes: &[&str]| refusal.effect() == Effect::None && error::is(refusal, codes);
        (is(GONE) || is(REFERENCES)) && age < self.horizon || is(&["ConflictingDomainExists"]) && resume.is_unresolved() && age < self.horizon.min(SHOWN_TOO_LONG)
    }
    /// For a check: it must be there, and ours or adopted.
    async fn zone_to_change(&self, cx: &Cx, change: &Change<DnsZone>) -> Result<Row> {
        let row = self.zone_seen(cx, &change.target).await?.ok_or_else(|| Error::not_found(&change.target))?;
        row.check_owned(cx, change)?;
        Ok(row)
    }
    /// For a step of a change of what is there: it must be ours.
    async fn zone_located(&self, cx: &Cx, change: &Change<DnsZone>, looking: &Looking) -> Result<Found<Row>> {
        let global = self.zones(change.target.parent())?;
        let id = match change.target.vendor_id() {
            Some(id) => Some(id.to_string()),
            None => global.made(cx, change).await?,
        };
        let row = match &id {
            Some(id) => global.whole(cx, id).await?,
            None => None,
        };
        match row {
            Some(row) => row.check_owned(cx, change).map(|()| Found::Here(row)),
            None if looking.age() < self.horizon => Ok(Found::NotYet(*looking)),
            None => Err(Error::not_found(&change.target)),
        }
    }
}

impl Row {
    /// Refuses what is not ours, and what nobody but a service of AWS can change.
    fn check_owned(&self, cx: &Cx, change: &Change<DnsZone>) -> Result<()> {
        let not_owned = |why: String| Err(Error::new(ErrorKind::FailedPrecondition, Reason::NotOwned, why).with_resource(change.target.to_string()));
        if let Some(service) = self.service() {
            return not_owned(format!("{} belongs to {service}, which alone can change it", self.id));
        }
        // What was adopted carries nobody's mark.
        if matches!(change.target, Target::Vendor { .. }) && self.reference().is_some() {
            return not_owned(format!("{} was made by a Welkin already", self.id));
        }
        owned(&change.target, &change.uid, &self.object(&cx.owner, called(change))?)
    }
    /// `called`: what the zone with this uid is called, while its tags do not tell.
    fn object(&self, owner: &Owner, called: Option<(&ResourceId, &Uid)>) -> Result<Object<DnsZone>> {
        let location = LocationName::of(GLOBAL)?;
        let reference = self.reference().filter(|r| r.owner == *owner);
        let ours = reference.and_then(|r| {
            let id = self.tags.id().or_else(|| called.filter(|(_, uid)| **uid == r.uid).map(|(id, _)| id.clone()))?;
            Some((id, Mark { owner: r.owner, uid: r.uid, digest: self.tags.digest() }))
        });
        let (id, mark) = match ours {
            Some((id, mark)) => (id, Some(mark)),
            None => (ResourceId::of_vendor(self.id.as_str())?, None),
        };
        let networks = self.vpcs.iter().map(referred).collect::<Result<_>>()?;
        let spec = DnsZoneSpec {
            dns_name: Some(self.zone.name().parse()?),
            // What networks are answered for is theirs alone, whatever else is not told.
            private: self.zone.config().is_some_and(|c| c.private_zone()) || !self.vpcs.is_empty(),
            networks,
            description: self.comment().map(ToOwned::to_owned),
            labels: self.tags.plain(),
            provider_config: None,
        };
        // A private zone's cannot be asked by anybody (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/hosted-zone-private-considerations.html>).
        let servers = if spec.private { &[] } else { self.name_servers.as_slice() };
        let name_servers = servers.iter().map(|n| answered(n.parse().ok(), "NameServer")).collect::<Result<Vec<DnsName>>>()?;
        Ok(Object {
            name: Name::new(location, id),
            provider_id: ProviderId::new("aws", "", &[GLOBAL, self.id.as_str()])?,
            vendor_id: self.id.clone(),
            mark,
            revision: None,
            created_ms: None,
            spec,
            status: DnsZoneStatus { state: DnsZoneState::Available, name_servers },
        })
    }
}
fn referred(vpc: &Vpc) -> Result<Ref<Network>> {
    let id = answered(told(vpc.vpc_id()), "VPCId")?;
    let region = answered(told(vpc.vpc_region().map(VpcRegion::as_str)), "VPCRegion")?;
    Ok(Ref::resolved(Name::new(LocationName::of(region)?, Network::foreign_id(id)?), id.parse()?))
}

#[async_trait]
impl Reader<DnsZone> for Aws {
    fn shards(&self, query: &Query<DnsZone>) -> Vec<Shard> {
        vec![Shard(query.parent.as_ref().map_or_else(|| GLOBAL.to_owned(), |location| location.id.to_string()))]
    }

    async fn get(&self, cx: &Cx, target: &Target<DnsZone>) -> Result<Object<DnsZone>> {
        let row = self.zone_seen(cx, target).await?.ok_or_else(|| Error::not_found(target))?;
        let called = match target {
            Target::Named { name, uid: Some(uid), .. } => Some((&name.id, uid)),
            _ => None,
        };
        row.object(&cx.owner, called)
    }

    async fn list(&self, cx: &Cx, query: &Query<DnsZone>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<DnsZone>> {
        let at = At::read(from)?;
        if shard.0 != GLOBAL {
            return self.shard(shard).map(|_| Page { items: Vec::new(), next: None, unreachable: Vec::new() });
        }
        let global = &self.global;
        let size = query.page_size.min(PAGE);
        let (zones, next) = if query.vendor_ids.is_empty() {
            let (zones, marker) = global.zones_page(cx, i32::try_from(size).unwrap_or(1), at.token.clone()).await?;
            at.cut(zones.iter().map(|z| (bare_id(z.id()).to_owned(), Reference::of(z.caller_reference()))).collect(), marker, size, |(id, _)| id.clone())?
        } else {
            at.cut(query.vendor_ids.iter().map(|id| (id.to_string(), None)).collect(), None, size, |(id, _)| id.clone())?
        };
        let is_ours = |r: &Option<Reference>| r.as_ref().is_some_and(|r| r.owner == cx.owner);
        let mut rows = Vec::new();
        for (id, reference) in zones {
            if !query.owned_only || !query.vendor_ids.is_empty() || is_ours(&reference) {
                // One that went between the two reads is none.
                rows.extend(global.zone(cx, &id).await?);
            }
        }
        rows.retain(|row| !query.owned_only || is_ours(&row.reference()));
        let rows = global.tagged(cx, rows).await?;
        Ok(Page { items: rows.iter().map(|row| row.object(&cx.owner, None)).collect::<Result<_>>()?, next, unreachable: Vec::new() })
    }
}

#[async_trait]
impl Driver<DnsZone> for Aws {
    /// Route 53 has no dry run: what it would refuse itself is not told here.
    async fn check(&self, cx: &Cx, change: &Change<DnsZone>) -> Result<()> {
        match &change.verb {
            Verb::Create { spec, .. } => {
                self.zones(change.target.parent())?;
                Wanted::of(cx, change, spec).map(drop)
            }
            Verb::Update { desired, paths } => {
                self.zone_to_change(cx, change).await?;
                if paths.contains(&FieldPath::from("labels")) { write::check_labels(change, &desired.labels) } else { Ok(()) }
            }
            Verb::Delete => self.zone_to_change(cx, change).await?.check_empty(),
            Verb::Act(DnsZoneAction::ChangeRecords(changes)) => {
                check_lengths(changes)?;
                let row = self.zone_to_change(cx, change).await?;
                self.global.check_changes(cx, row.id.as_str(), changes).await
            }
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<DnsZone>, spec: &DnsZoneSpec, resume: &Resume) -> Result<Step<Object<DnsZone>>> {
        let global = self.zones(change.target.parent())?;
        let wanted = Wanted::of(cx, change, spec)?;
        let (made, resume) = &resume.read::<Made>();
        let mut made = made.clone().unwrap_or_else(|| Made { since_ms: now_ms(), ..Made::default() });
        made.since_ms = made.since_ms.max(unresolved_ms(resume));
        let id = match made.id.clone() {
            Some(id) => id,
            None => {
                let found = if made.is_there { global.made(cx, change).await? } else { None };
                let found = match found {
                    Some(id) => Look::Found(id),
                    None if made.is_there && age(made.since_ms) < self.horizon => return made.wait("waiting for Route 53 to show the zone"),
                    // In a box: the futures of whole lists are large.
                    None => look(resume, self.horizon, Box::pin(global.made(cx, change))).await?,
                };
                match found {
                    // Gone on with at once: where every handle is lost, each step begins here.
                    Look::Found(id) => {
                        made = Made { id: Some(id.clone()), since_ms: now_ms(), ..made };
                        id
                    }
                    Look::Wait(after) => return Ok(look_again(after, "zone")),
                    Look::Write => {
                        return match global.make_zone(cx, &wanted).await {
                            Ok((id, change)) => Step::wait(&Made { id: Some(id), since_ms: now_ms(), change, ..made }, Duration::ZERO, "the zone is made"),
                            // Made by this very change before: no other has this reference.
                            Err(e) if error::is(&e, &["HostedZoneAlreadyExists"]) && !made.is_there => {
                                Made { since_ms: now_ms(), is_there: true, ..made }.wait("the zone is there already")
                            }
                            Err(e) if reference_lags(&e, REFERENCES, made.since_ms, self.horizon) => made.wait("waiting for the network to be known everywhere"),
                            Err(e) => Err(e),
                        };
                    }
                }
            }
        };
        let Some(row) = global.whole(cx, &id).await? else {
            if age(made.since_ms) < self.horizon {
                return made.wait("waiting for the zone to be known everywhere");
            }
            let why = format!("{id} was deleted while it was being made");
            return Err(Error::new(ErrorKind::Aborted, Reason::CreationFailed, why).with_effect(Effect::Applied).with_resource(change.target.to_string()));
        };
        match global.complete(cx, &row, &wanted).await {
            Ok(Some(last)) => return Made { change: last.or(made.change), ..made }.wait("the zone is being answered for its networks"),
            Ok(None) => {}
            Err(e) if self.may_pass(&e, age(made.since_ms), resume) => return made.wait("waiting for the zone and its networks to be known everywhere"),
            Err(e) => return Err(e),
        }
        match &made.change {
            Some(last) if !global.is_in_sync(cx, last).await? => made.wait("the name servers are learning the zone"),
            _ => Ok(Step::Done(wanted.shown(row.object(&cx.owner, called(change))?))),
        }
    }

    async fn update(&self, cx: &Cx, change: &Change<DnsZone>, desired: &DnsZoneSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<DnsZone>>> {
        let global = self.zones(change.target.parent())?;
        let changing = resume.data::<Changing>();
        let looking = changing.as_ref().map_or_else(|| Looking::of(resume), |c| c.looking);
        let row = match self.zone_located(cx, change, &looking).await? {
            Found::Here(row) => row,
            Found::NotYet(looking) => return looking.waits("waiting for Route 53 to show the zone"),
        };
        let shown = row.object(&cx.owner, called(change))?;
        if Past::is_any_shown(&change.past, &shown.spec, now_ms(), self.horizon)? {
            return looking.waits("waiting for Route 53 to show what was changed before");
        }
        let written = match global.rewrite(cx, change, &row, desired, paths, changing.is_some()).await {
            Err(e) if self.may_pass(&e, looking.age(), resume) => return looking.waits("waiting for the networks to be known everywhere"),
            written => written?,
        };
        let before = changing.map(|c| (c.change, c.since_ms));
        match written.map(|change| (change, now_ms())).or(before) {
            Some((change, since_ms)) if !global.is_in_sync(cx, &change).await? => {
                Step::wait(&Changing { looking, change, since_ms }, pace(since_ms), "the name servers are learning it")
            }
            _ => Ok(Step::Done(write::updated(shown, desired, paths))),
        }
    }

    async fn delete(&self, cx: &Cx, change: &Change<DnsZone>, resume: &Resume) -> Result<Step<()>> {
        let global = self.zones(change.target.parent())?;
        let (mut leaving, resume) = Leaving::of::<Made>(resume, self.horizon);
        let known = leaving.made("").next().map(str::to_owned).or_else(|| change.target.vendor_id().map(ToString::to_string));
        let id = match known {
            Some(id) => Some(id),
            None => global.made(cx, change).await?,
        };
        let row = match &id {
            Some(id) => global.zone(cx, id).await?,
            None => None,
        };
        let Some(row) = row else {
            // The engine knows that it was there: it is gone, or too new to be seen.
            if id.is_some() && !leaving.is_ended() && !resume.is_unresolved() {
                leaving.contradicted(self.horizon);
            }
            return leaving.quiet();
        };
        if leaving.is_ended() {
            return leaving.wait("the zone is being deleted");
        }
        row.check_owned(cx, change)?;
        row.check_empty()?;
        match global.route53.write(cx, "DeleteHostedZone", global.route53.delete_hosted_zone().id(row.id.as_str()).send()).await {
            Ok(_) => leaving.ended(),
            Err(e) if error::is(&e, GONE) => leaving.contradicted(self.horizon),
            Err(e) => return Err(e),
        }
        leaving.wait("the zone is being deleted")
    }

    async fn act(&self, cx: &Cx, change: &Change<DnsZone>, action: &DnsZoneAction, resume: &Resume) -> Result<Step<RecordOutcomes>> {
        let DnsZoneAction::ChangeRecords(changes) = action;
        let global = self.zones(change.target.parent())?;
        // One that is in the handle was seen as ours before.
        let id = match change.target.vendor_id() {
            Some(id) if resume.handle.is_some() => id.to_string(),
            _ => self.zone_to_change(cx, change).await?.id.to_string(),
        };
        global.changed_records(cx, &id, changes, resume).await
    }

    async fn ask(&self, _: &Cx, _: &Target<DnsZone>, question: &NoAction) -> Result<()> {
        match *question {}
    }
}

impl Row {
    fn check_empty(&self) -> Result<()> {
        if self.records() <= 0 {
            return Ok(());
        }
        let why = format!("the zone {} has {} records besides its own; delete them first", self.id, self.records());
        Err(Error::new(ErrorKind::FailedPrecondition, Reason::InUse, why).with_resource(self.id.to_string()))
    }
}
