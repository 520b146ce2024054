//! Instances are EC2 instances with their root disk, network interface and, where an ssh key is given, a key pair of their own.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html> takes a client token; all the same an unresolved launch is looked
//! for by its tags first, so that recovery does not hang on the token alone.

mod console;
mod launch;
mod object;
mod update;

pub use launch::InstanceConfig;
pub(crate) use launch::{profile, root_device};
pub(crate) use object::nic_address;

use crate::{
    Aws,
    client::Region,
    error,
    mark::{Tags, filter, of_id, of_uid},
    owned,
    resource::{self, Found, Kept, Left, Looking, Pieces, SHOWN_TOO_LONG, millis},
    step::{Look, age, answered, look, look_again, now_ms, pace, told, unresolved_ms, vendor_id},
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{Filter, Instance as Ec2Instance, Tag, Volume};
use object::{created_ms, object, state_name};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};
use welkin_core::{
    Change, ConsoleOutput, Cursor, Cx, Disk, Driver, Effect, Error, ErrorKind, FieldPath, Instance, InstanceAction, InstanceQuestion, InstanceSpec, InstanceState, Name, Object,
    Page, ProviderId, Query, Reader, Reason, Result, Resume, Shard, Step, Target, Uid, VendorError, VendorId, Verb,
};

/// Every state but `terminated`: such an instance is still described for about an hour and is no more
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html>).
const ALIVE: [&str; 5] = ["pending", "running", "shutting-down", "stopping", "stopped"];

/// For how long an instance that EC2 agreed to start may still be shown as stopped. It is shown as pending at once, apart from reads that lag.
const FALLEN_BACK: Duration = Duration::from_secs(60);

/// What a create has made so far, since when: at first since its first try, then since the key pair was imported, then since it was launched.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Made {
    /// The name of the key pair, once it is imported.
    key: Option<String>,
    instance: Option<String>,
    since_ms: u64,
}
/// What a start or stop waits for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Asked {
    since_ms: u64,
    /// When EC2 agreed to it.
    agreed_ms: Option<u64>,
}

impl Pieces for Made {
    fn ids(&self) -> impl Iterator<Item = &String> {
        self.instance.iter().chain(&self.key)
    }
    fn is_whole(&self) -> bool {
        self.instance.is_some()
    }
}

#[async_trait]
impl Kept for Instance {
    type Made = Made;
    type Row = Ec2Instance;
    const PREFIX: &'static str = "i-";
    const BY_ID: &'static str = "instance-id";
    const GONE: &'static [&'static str] = &["InvalidInstanceID.NotFound"];

    async fn one(region: &Region, cx: &Cx, id: &str) -> Result<Option<Ec2Instance>> {
        let answer = region.ec2.read(cx, "DescribeInstances", region.ec2.describe_instances().instance_ids(id).send()).await?;
        Ok(answer.reservations.unwrap_or_default().into_iter().flat_map(|r| r.instances.unwrap_or_default()).next())
    }
    async fn page(region: &Region, cx: &Cx, filters: Vec<Filter>, size: i32, token: Option<String>) -> Result<(Option<Vec<Ec2Instance>>, Option<String>)> {
        let call = region.ec2.describe_instances().set_filters(Some(filters)).max_results(size).set_next_token(token);
        let answer = region.ec2.read(cx, "DescribeInstances", call.send()).await?;
        Ok((Some(answer.reservations.unwrap_or_default().into_iter().flat_map(|r| r.instances.unwrap_or_default()).collect()), answer.next_token))
    }
    fn id(instance: &Ec2Instance) -> Option<&str> {
        instance.instance_id()
    }
    fn tags(instance: &Ec2Instance) -> &[Tag] {
        instance.tags()
    }
    fn created_ms(instance: &Ec2Instance) -> Option<u64> {
        created_ms(instance)
    }
    fn is_over(instance: &Ec2Instance) -> bool {
        state_name(instance) == "terminated"
    }
}

#[async_trait]
impl Reader<Instance> for Aws {
    fn shards(&self, query: &Query<Instance>) -> Vec<Shard> {
        self.regional_shards(query.parent.as_ref())
    }

    /// One call; further ones, for what is left over, only where a name has no instance.
    async fn get(&self, cx: &Cx, target: &Target<Instance>) -> Result<Object<Instance>> {
        let region = self.region(target.parent())?;
        if let Some(found) = self.seen(cx, target).await? {
            return object(region, &cx.owner, &found, None);
        }
        match target {
            Target::Named { name, uid, .. } => fragment(region, cx, name, uid.as_ref()).await?.ok_or_else(|| Error::not_found(target)),
            Target::Vendor { .. } => Err(Error::not_found(target)),
        }
    }

    async fn list(&self, cx: &Cx, query: &Query<Instance>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<Instance>> {
        let (region, found, next) = self.listed(cx, query, shard, from, vec![filter("instance-state-name", ALIVE)]).await?;
        let items = found.iter().map(|i| object(region, &cx.owner, i, None)).collect::<Result<_>>()?;
        Ok(Page { items, next, unreachable: Vec::new() })
    }
}

#[async_trait]
impl Driver<Instance> for Aws {
    async fn check(&self, cx: &Cx, change: &Change<Instance>) -> Result<()> {
        self.check_adopted(cx, change).await?;
        let region = self.region(change.target.parent())?;
        if let Verb::Create { spec, .. } = &change.verb {
            return launch::check(region, cx, change, spec).await;
        }
        if let Verb::Update { desired, paths } = &change.verb {
            let found = self.seen(cx, &change.target).await?.ok_or_else(|| Error::not_found(&change.target))?;
            owned(&change.target, &change.uid, &object(region, &cx.owner, &found, None)?)?;
            return update::refuse(&found, desired, paths);
        }
        let object = self.get(cx, &change.target).await?;
        owned(&change.target, &change.uid, &object)?;
        let id = object.vendor_id.as_str();
        match &change.verb {
            Verb::Delete if !id.starts_with("i-") => Ok(()),
            Verb::Delete if object.spec.deletion_protection => Err(update::protected(&change.target.to_string())),
            Verb::Delete => region.ec2.dry_run(cx, "TerminateInstances", region.ec2.terminate_instances().instance_ids(id).dry_run(true).send()).await,
            Verb::Act(InstanceAction::Start) => region.ec2.dry_run(cx, "StartInstances", region.ec2.start_instances().instance_ids(id).dry_run(true).send()).await,
            Verb::Act(InstanceAction::Stop) => region.ec2.dry_run(cx, "StopInstances", region.ec2.stop_instances().instance_ids(id).dry_run(true).send()).await,
            Verb::Act(InstanceAction::Reboot) => region.ec2.dry_run(cx, "RebootInstances", region.ec2.reboot_instances().instance_ids(id).dry_run(true).send()).await,
            Verb::Create { .. } | Verb::Update { .. } => Ok(()),
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<Instance>, spec: &InstanceSpec, resume: &Resume) -> Result<Step<Object<Instance>>> {
        let region = self.region(change.target.parent())?;
        let (made, resume) = &resume.read::<Made>();
        let made = made.clone().unwrap_or_else(|| Made { since_ms: now_ms(), ..Made::default() });
        let made = Made { since_ms: made.since_ms.max(unresolved_ms(resume)), ..made };
        let (id, made) = match &made.instance {
            Some(id) => (id.clone(), made),
            None => {
                let find = async { Ok(resource::first::<Instance>(&Instance::many(region, cx, of_uid(&cx.owner, &change.uid)).await?)) };
                match look(resume, self.horizon, find).await? {
                    Look::Found(id) => (id.clone(), Made { instance: Some(id), since_ms: now_ms(), ..made }),
                    Look::Wait(after) => return Ok(look_again(after, "instance")),
                    Look::Write => return Box::pin(self.launched(cx, change, spec, resume, made)).await,
                }
            }
        };
        let Some(found) = self.shown(cx, change, &id, made.since_ms).await? else {
            return Step::wait(&made, pace(made.since_ms), "waiting for the instance to be known everywhere");
        };
        match state_name(&found) {
            "shutting-down" | "terminated" => {
                let why = found.state_reason();
                let (code, text) = (why.and_then(|r| r.code()).unwrap_or_default(), why.and_then(|r| r.message()).unwrap_or_default());
                Err(error::creation_failed(code, text).with_resource(change.target.to_string()))
            }
            // User data may have stopped it already; it did run.
            "running" | "stopping" | "stopped" => {
                // Of what was tried, what it became.
                let became = launch::candidates(spec).find(|c| c.subnet.as_ref().and_then(|r| r.vendor_id().ok()).map(VendorId::as_str) == found.subnet_id());
                let written = launch::tags(cx, change, became.as_deref().unwrap_or(spec))?;
                let mut object = object(region, &cx.owner, &found, Some(&written))?;
                if spec.ip_forwarding && !object.spec.ip_forwarding {
                    match update::forward(region, cx, &id, true).await {
                        Err(e) if error::is(&e, Instance::GONE) && age(made.since_ms) < self.horizon => {
                            return Step::wait(&made, pace(made.since_ms), "waiting for the instance to be known everywhere");
                        }
                        forwarding => forwarding?,
                    }
                    object.spec.ip_forwarding = true;
                }
                Ok(Step::Done(object))
            }
            state => Step::wait(&made, pace(made.since_ms), format!("the instance is {state}")),
        }
    }

    async fn update(&self, cx: &Cx, change: &Change<Instance>, desired: &InstanceSpec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<Instance>>> {
        let region = self.region(change.target.parent())?;
        let found = match self.located(cx, change, resume).await? {
            Found::Here(found) => found,
            Found::NotYet(looking) => return looking.step(),
        };
        let mut object = object(region, &cx.owner, &found, None)?;
        if self.is_old(change, &object.spec)? {
            return Looking::of(resume).step();
        }
        match update::refuse(&found, desired, paths) {
            // It may have been stopped a moment ago.
            Err(_) if Looking::of(resume).age() < self.horizon.min(SHOWN_TOO_LONG) => return Looking::of(resume).step(),
            fine => fine?,
        }
        match update::bring(region, cx, change, &found, desired, paths).await {
            Ok(()) => {}
            Err(e) if update::may_pass(&e) && Looking::of(resume).age() < self.horizon => return Looking::of(resume).step(),
            Err(refusal) => return self.refused::<Instance, _>(resume, refusal),
        }
        update::as_desired(&mut object.spec, desired, paths);
        Ok(Step::Done(object))
    }

    /// The instance, then what EC2 does not take with it: volumes that the image wants kept, and the key pair.
    async fn delete(&self, cx: &Cx, change: &Change<Instance>, resume: &Resume) -> Result<Step<()>> {
        let region = self.region(change.target.parent())?;
        let Left { rows, over, is_hidden, mut leaving } = self.left(cx, change, resume).await?;
        if is_hidden {
            return leaving.wait("waiting for EC2 to show the instance with its tags");
        }
        // The tags of a volume that outlives its instance may be seen later than those of the instance; what ended by itself no longer tells of its
        // volumes.
        if let Some(made) = rows.iter().filter(|i| keeps_volumes(i)).chain(&over).filter_map(created_ms).max() {
            leaving.look_until(made + millis(self.horizon));
        }
        if !rows.is_empty() {
            let ids: Vec<String> = rows.iter().filter(|i| state_name(i) != "shutting-down").filter_map(|i| i.instance_id.clone()).collect();
            if !ids.is_empty() {
                match region.ec2.write(cx, "TerminateInstances", region.ec2.terminate_instances().set_instance_ids(Some(ids)).send()).await {
                    Ok(_) => leaving.ended(),
                    Err(e) if error::is(&e, Instance::GONE) => leaving.contradicted(self.horizon),
                    Err(e) if update::is_protection(&e) && resume.cleans_up => update::unprotect(region, cx, &rows).await?,
                    Err(e) if update::is_protection(&e) => return Err(e.reclassified(ErrorKind::FailedPrecondition, Reason::DeletionProtected)),
                    Err(e) => return Err(e),
                }
            }
            return leaving.wait("the instance is being terminated");
        }
        let kept = if resource::is_adopted(&change.target) { Vec::new() } else { volumes(region, cx, of_uid(&cx.owner, &change.uid)).await? };
        if delete_volumes(region, cx, &kept).await? {
            return leaving.wait("the instance's volumes are being deleted");
        }
        if leaving.is_past() && !resource::is_adopted(&change.target) {
            // The name says whose it is, and to delete what is not there is fine: no look, and once is enough when nothing else can appear.
            let name = launch::key_name(&change.uid);
            match region.ec2.write(cx, "DeleteKeyPair", region.ec2.delete_key_pair().key_name(&name).send()).await {
                Ok(deleted) if told(deleted.key_pair_id()).is_some() => leaving.removed(&name),
                Err(e) if !error::is(&e, &["InvalidKeyPair.NotFound"]) => return Err(e),
                // What was imported a moment ago may not be known there yet.
                _ if leaving.made(launch::KEY_PREFIX).next().is_some() => leaving.contradicted(self.horizon),
                _ => {}
            }
        }
        leaving.quiet()
    }

    async fn act(&self, cx: &Cx, change: &Change<Instance>, action: &InstanceAction, resume: &Resume) -> Result<Step<()>> {
        if *action == InstanceAction::Reboot && resume.is_unresolved() {
            let why = "whether the instance was rebooted cannot be known; it is not rebooted again";
            return Err(Error::new(ErrorKind::Unknown, Reason::EffectUnknown, why).with_effect(Effect::Unknown).with_resource(change.target.to_string()));
        }
        let found = match self.located(cx, change, resume).await? {
            Found::Here(found) => found,
            Found::NotYet(looking) => return looking.step(),
        };
        let (id, state) = (answered(found.instance_id(), "InstanceId")?, state_name(&found));
        let asked: Asked = resume.data().unwrap_or_else(|| Asked { since_ms: now_ms(), agreed_ms: None });
        // What is shown may be from before the last action: it counts once EC2 was asked, to which it agrees also where it is so already.
        let is_asked = asked.agreed_ms.is_some() || resume.written.is_some();
        match (action, state, asked.agreed_ms) {
            (InstanceAction::Start, "running", _) | (InstanceAction::Stop, "stopped", _) if is_asked => Ok(Step::Done(())),
            (InstanceAction::Start, "stopped", Some(at)) if age(at) >= self.horizon.min(FALLEN_BACK) => Err(fallen_back(change, &found)),
            (InstanceAction::Start, "pending" | "stopping", _) | (InstanceAction::Stop, "pending" | "stopping", _) | (InstanceAction::Start, "stopped", Some(_)) => {
                Step::wait(&asked, pace(asked.since_ms), format!("the instance is {state}"))
            }
            (_, "running", _) | (InstanceAction::Start | InstanceAction::Stop, "stopped", _) => {
                if let Err(refusal) = ask(self.region(change.target.parent())?, cx, id, action).await {
                    return self.refused::<Instance, _>(resume, refusal);
                }
                if *action == InstanceAction::Reboot {
                    return Ok(Step::Done(()));
                }
                Step::wait(&Asked { agreed_ms: Some(now_ms()), ..asked }, pace(asked.since_ms), format!("EC2 is asked to {action} the instance"))
            }
            _ => Err(Error::new(ErrorKind::FailedPrecondition, Reason::WrongState, format!("cannot {action} {id}: it is {state}")).with_resource(change.target.to_string())),
        }
    }

    /// One call where the instance's id is known. EC2 knows a console for at least an hour longer than we know the instance.
    async fn ask(&self, cx: &Cx, target: &Target<Instance>, question: &InstanceQuestion) -> Result<ConsoleOutput> {
        let is_instance = |id: &VendorId| id.as_str().starts_with(Instance::PREFIX);
        let id = match target.vendor_id().filter(|id| is_instance(id)) {
            Some(id) => id.clone(),
            None => self.get(cx, target).await?.vendor_id,
        };
        if !is_instance(&id) {
            return Err(Error::new(ErrorKind::FailedPrecondition, Reason::WrongState, format!("only {id} is left of it")).with_resource(target.to_string()));
        }
        let region = self.region(target.parent())?;
        let answer = match question {
            InstanceQuestion::ConsoleOutput => console::output(region, cx, id.as_str()).await,
        };
        answer.map_err(|e| if error::is(&e, Instance::GONE) { Error::not_found(target) } else { e })
    }
}

impl Aws {
    /// The key pair first and then the instance, each in a step of its own, so that a refusal of the launch leaves nothing unresolved. What is
    /// unresolved already goes in one step: the key's name is ours, so that importing it again is harmless, and a step that did only that could
    /// follow itself for ever where handles are lost.
    async fn launched(&self, cx: &Cx, change: &Change<Instance>, spec: &InstanceSpec, resume: &Resume, made: Made) -> Result<Step<Object<Instance>>> {
        let region = self.region(change.target.parent())?;
        let key = if spec.ssh_key.is_some() && made.key.is_none() { launch::import_key(region, cx, change, spec).await.map(Some) } else { Ok(None) };
        let answer = match key {
            // What may lag from now on is the key pair.
            Ok(Some(key)) if !resume.is_unresolved() => return Step::wait(&Made { key: Some(key), since_ms: now_ms(), ..made }, Duration::ZERO, "the key pair is imported"),
            Ok(_) => launch::launch(region, cx, change, spec).await,
            Err(e) => Err(e),
        };
        match answer {
            Ok(id) => Step::wait(&Made { instance: Some(id), since_ms: now_ms(), ..made }, pace(now_ms()), "the instance is launched"),
            Err(e) if launch::may_pass(&e, spec, made.since_ms, self.horizon) => {
                Step::wait(&made, pace(made.since_ms), "waiting for what the instance refers to to be known everywhere")
            }
            Err(e) => Err(e),
        }
    }
}

async fn ask(region: &Region, cx: &Cx, id: &str, action: &InstanceAction) -> Result<()> {
    match action {
        InstanceAction::Start => region.ec2.write(cx, "StartInstances", region.ec2.start_instances().instance_ids(id).send()).await.map(drop),
        InstanceAction::Stop => region.ec2.write(cx, "StopInstances", region.ec2.stop_instances().instance_ids(id).send()).await.map(drop),
        InstanceAction::Reboot => region.ec2.write(cx, "RebootInstances", region.ec2.reboot_instances().instance_ids(id).send()).await.map(drop),
    }
}
/// The instance that something refers to.
pub(crate) async fn referred(region: &Region, cx: &Cx, id: &str) -> Result<Ec2Instance> {
    let unknown = || Error::new(ErrorKind::FailedPrecondition, Reason::ReferenceNotFound, format!("EC2 does not know {id}")).with_field("instance");
    Instance::one(region, cx, id).await?.ok_or_else(unknown)
}

/// EC2 agreed to start it and then stopped it again, and says why
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html>).
fn fallen_back(change: &Change<Instance>, found: &Ec2Instance) -> Error {
    let reason = found.state_reason();
    let (code, text) = (reason.and_then(|r| r.code()).unwrap_or_default(), reason.and_then(|r| r.message()).unwrap_or_default());
    let why = if text.is_empty() { "EC2 does not say why" } else { text };
    Error::new(ErrorKind::FailedPrecondition, Reason::WrongState, format!("the instance was started and is stopped again: {why}"))
        .with_effect(Effect::Applied)
        .with_vendor(VendorError { code: code.into(), message: text.into(), request_id: None })
        .with_resource(change.target.to_string())
}
/// Does it have a volume that EC2 does not delete with it?
fn keeps_volumes(instance: &Ec2Instance) -> bool {
    instance.block_device_mappings().iter().filter_map(|m| m.ebs()).any(|ebs| ebs.delete_on_termination() == Some(false))
}
async fn volumes(region: &Region, cx: &Cx, filters: Vec<Filter>) -> Result<Vec<Volume>> {
    let mut found = Disk::many(region, cx, filters).await?;
    found.retain(|v| !Disk::is_over(v));
    Ok(found)
}

/// True where there was one left.
async fn delete_volumes(region: &Region, cx: &Cx, volumes: &[Volume]) -> Result<bool> {
    for volume in volumes.iter().filter(|v| matches!(v.state().map(|s| s.as_str()), Some("available" | "error"))) {
        let id = answered(volume.volume_id(), "VolumeId")?;
        match region.ec2.write(cx, "DeleteVolume", region.ec2.delete_volume().volume_id(id).send()).await {
            // A snapshot's restore or a detachment is not through; EC2 shows it as available a moment too early.
            Err(e) if !error::is(&e, &["InvalidVolume.NotFound", "VolumeInUse"]) => return Err(e),
            _ => {}
        }
    }
    Ok(!volumes.is_empty())
}

/// What is left of an instance that is gone: a volume, or the key pair.
async fn fragment(region: &Region, cx: &Cx, name: &Name<Instance>, uid: Option<&Uid>) -> Result<Option<Object<Instance>>> {
    let filters = of_id(&cx.owner, &name.id, uid);
    let mut volumes = volumes(region, cx, filters.clone()).await?;
    // A disk of its own can have the same id.
    volumes.retain(|v| Disk::is_part(&Tags::of(v.tags())));
    if let Some(volume) = volumes.first() {
        return rest(region, cx, name, (volume.volume_id(), "VolumeId"), volume.tags()).map(Some);
    }
    // This list is never cut into pages (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeKeyPairs.html).
    let keys = region.ec2.read(cx, "DescribeKeyPairs", region.ec2.describe_key_pairs().set_filters(Some(filters)).send()).await?;
    keys.key_pairs().first().map(|key| rest(region, cx, name, (key.key_pair_id(), "KeyPairId"), key.tags())).transpose()
}
fn rest(region: &Region, cx: &Cx, name: &Name<Instance>, (id, member): (Option<&str>, &str), tags: &[Tag]) -> Result<Object<Instance>> {
    let id = vendor_id(id, member)?;
    let status = welkin_core::InstanceStatus { state: InstanceState::Incomplete, state_reason: format!("only {id} is left of it"), ..Default::default() };
    Ok(Object {
        name: name.clone(),
        provider_id: ProviderId::new("aws", "", &[region.id(), id.as_str()])?,
        vendor_id: id,
        mark: Tags::of(tags).mark(&cx.owner).map(|(_, m)| m),
        revision: None,
        created_ms: None,
        spec: InstanceSpec::default(),
        status,
    })
}
