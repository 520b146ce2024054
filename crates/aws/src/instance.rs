//! Instances are EC2 instances with their root disk, network interface and, where an ssh key is given, a key pair of their own.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html> takes a client token; all the same an unresolved launch is looked
//! for by its tags first, so that recovery does not hang on the token alone.

mod launch;
mod object;

pub use launch::InstanceConfig;

use crate::{
    Aws,
    client::Region,
    error,
    mark::{self, Tags, filter, of_id, of_owner, of_uid},
    only, owned,
    page::{At, MAX_RESULTS},
    step::{Look, age, answered, judge, look_again, now_ms, pace, vendor_id},
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{AttributeBooleanValue, Filter, Instance as Ec2Instance, Volume};
use object::{object, state_name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use welkin_core::{
    Change, Cursor, Cx, Driver, Effect, Error, ErrorKind, FieldPath, Instance, InstanceAction, InstanceSpec, InstanceState, Name, Object, Page, ProviderId, Query, Reader, Reason,
    Result, Resume, Shard, Step, Target, Uid, VendorId, Verb,
};

const GONE: &[&str] = &["InvalidInstanceID.NotFound"];
/// Every state but `terminated`: such an instance is still described for about an hour and is no more
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html>).
const ALIVE: [&str; 5] = ["pending", "running", "shutting-down", "stopping", "stopped"];

/// What a create has made so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Made {
    instance: String,
    since_ms: u64,
}
/// What a delete, start or stop waits for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Asked {
    since_ms: u64,
}

#[async_trait]
impl Reader<Instance> for Aws {
    fn shards(&self, query: &Query<Instance>) -> Vec<Shard> {
        self.regional_shards(query.parent.as_ref())
    }

    /// One call; a second one, for a key pair that is left over, only where a name has no instance.
    async fn get(&self, cx: &Cx, target: &Target<Instance>) -> Result<Object<Instance>> {
        let region = self.region(target.parent())?;
        if let Some(found) = find(region, cx, target).await? {
            return object(region, &cx.owner, &found);
        }
        match target {
            Target::Named { name, uid, .. } => fragment(region, cx, name, uid.as_ref()).await?.ok_or_else(|| Error::not_found(target)),
            Target::Vendor { .. } => Err(Error::not_found(target)),
        }
    }

    async fn list(&self, cx: &Cx, query: &Query<Instance>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<Instance>> {
        let region = self.shard(shard)?;
        let at = At::read(from)?;
        let mut filters = vec![alive()];
        if query.owned_only {
            filters.push(of_owner(&cx.owner));
        }
        if !query.vendor_ids.is_empty() {
            filters.push(filter("instance-id", query.vendor_ids.iter().map(VendorId::as_str)));
        }
        let size = i32::try_from(query.page_size.clamp(MAX_RESULTS.0, MAX_RESULTS.1)).unwrap_or(5);
        let call = region.ec2.describe_instances().set_filters(Some(filters)).max_results(size).set_next_token(at.token.clone());
        let answer = region.read(cx, "DescribeInstances", call.send()).await?;
        let found = answer.reservations.unwrap_or_default().into_iter().flat_map(|r| r.instances.unwrap_or_default()).collect();
        let (found, next) = at.cut(found, answer.next_token, query.page_size, |i: &Ec2Instance| i.instance_id().unwrap_or_default().to_owned())?;
        let items = found.iter().map(|i| object(region, &cx.owner, i)).collect::<Result<_>>()?;
        Ok(Page { items, next, unreachable: Vec::new() })
    }
}

#[async_trait]
impl Driver<Instance> for Aws {
    async fn check(&self, cx: &Cx, change: &Change<Instance>) -> Result<()> {
        let region = self.region(change.target.parent())?;
        if let Verb::Create { spec, .. } = &change.verb {
            return launch::check(region, cx, change, spec).await;
        }
        let object = self.get(cx, &change.target).await?;
        owned(&change.target, &change.uid, &object)?;
        let id = object.vendor_id.as_str();
        match &change.verb {
            Verb::Delete if !id.starts_with("i-") => Ok(()),
            Verb::Delete => region.dry_run(cx, "TerminateInstances", region.ec2.terminate_instances().instance_ids(id).dry_run(true).send()).await,
            Verb::Act(InstanceAction::Start) => region.dry_run(cx, "StartInstances", region.ec2.start_instances().instance_ids(id).dry_run(true).send()).await,
            Verb::Act(InstanceAction::Stop) => region.dry_run(cx, "StopInstances", region.ec2.stop_instances().instance_ids(id).dry_run(true).send()).await,
            Verb::Act(InstanceAction::Reboot) => region.dry_run(cx, "RebootInstances", region.ec2.reboot_instances().instance_ids(id).dry_run(true).send()).await,
            Verb::Create { .. } | Verb::Update { .. } => Ok(()),
        }
    }

    async fn create(&self, cx: &Cx, change: &Change<Instance>, spec: &InstanceSpec, resume: &Resume) -> Result<Step<Object<Instance>>> {
        let region = self.region(change.target.parent())?;
        let made = match resume.data::<Made>() {
            Some(made) => made,
            None => {
                let found = if resume.is_unresolved() { first(&instances(region, cx, of_uid(&cx.owner, &change.uid)).await?) } else { None };
                match judge(found, resume, self.horizon) {
                    Look::Found(instance) => Made { instance, since_ms: now_ms() },
                    Look::Wait(after) => return Ok(look_again(after, "instance")),
                    Look::Write => {
                        let id = Box::pin(launch::launch(region, cx, change, spec)).await?;
                        return Step::wait(&Made { instance: id.to_string(), since_ms: now_ms() }, pace(now_ms()), "the instance is launched");
                    }
                }
            }
        };
        let found = match instance_by_id(region, cx, &made.instance).await {
            Ok(Some(found)) => found,
            Err(e) if !error::is(&e, GONE) => return Err(e),
            _ if age(made.since_ms) < self.horizon => return Step::wait(&made, pace(made.since_ms), "waiting for the instance to be known everywhere"),
            _ => {
                let why = format!("{} is not there any more", made.instance);
                return Err(Error::new(ErrorKind::Aborted, Reason::CreationFailed, why).with_resource(change.target.to_string()));
            }
        };
        match state_name(&found) {
            "shutting-down" | "terminated" => {
                let why = found.state_reason();
                let (code, text) = (why.and_then(|r| r.code()).unwrap_or_default(), why.and_then(|r| r.message()).unwrap_or_default());
                Err(error::creation_failed(code, text).with_resource(change.target.to_string()))
            }
            // User data may have stopped it already; it did run.
            "running" | "stopping" | "stopped" => {
                let mut object = object(region, &cx.owner, &found)?;
                if spec.ip_forwarding && !object.spec.ip_forwarding {
                    forward(region, cx, &made.instance, true).await?;
                    object.spec.ip_forwarding = true;
                }
                Ok(Step::Done(object))
            }
            state => Step::wait(&made, pace(made.since_ms), format!("the instance is {state}")),
        }
    }

    async fn update(&self, cx: &Cx, change: &Change<Instance>, desired: &InstanceSpec, paths: &BTreeSet<FieldPath>, _: &Resume) -> Result<Step<Object<Instance>>> {
        let (region, found, mut object) = self.mine(cx, change).await?;
        let id = object.vendor_id.clone();
        if paths.contains(&FieldPath::from("labels")) {
            mark::relabel(region, cx, id.as_str(), &Tags::of(found.tags()), &desired.labels, &change.target.name()?.id).await?;
            object.spec.labels = desired.labels.clone();
        }
        if paths.contains(&FieldPath::from("ip_forwarding")) {
            forward(region, cx, id.as_str(), desired.ip_forwarding).await?;
            object.spec.ip_forwarding = desired.ip_forwarding;
        }
        Ok(Step::Done(object))
    }

    /// The instance, then what EC2 does not take with it: volumes that the image wants kept, and the key pair.
    async fn delete(&self, cx: &Cx, change: &Change<Instance>, resume: &Resume) -> Result<Step<()>> {
        let region = self.region(change.target.parent())?;
        let since_ms = resume.data::<Asked>().map_or_else(now_ms, |a| a.since_ms);
        let alive = self.alive(cx, region, change).await?;
        if !alive.is_empty() {
            let ids: Vec<String> = alive.iter().filter(|i| state_name(i) != "shutting-down").filter_map(|i| i.instance_id.clone()).collect();
            if !ids.is_empty() {
                let answer = region.write(cx, "TerminateInstances", region.ec2.terminate_instances().set_instance_ids(Some(ids)).send()).await;
                if let Err(e) = answer
                    && !error::is(&e, GONE)
                {
                    return Err(e);
                }
            }
            return Step::wait(&Asked { since_ms }, pace(since_ms), "the instance is being terminated");
        }
        let volumes = region.read(cx, "DescribeVolumes", region.ec2.describe_volumes().set_filters(Some(of_uid(&cx.owner, &change.uid))).send()).await?;
        if delete_volumes(region, cx, volumes.volumes()).await? {
            return Step::wait(&Asked { since_ms }, pace(since_ms), "the instance's volumes are being deleted");
        }
        // Deleting a key pair that is not there is fine, so there is no look first.
        let answer = region.write(cx, "DeleteKeyPair", region.ec2.delete_key_pair().key_name(launch::key_name(&change.uid)).send()).await;
        if let Err(e) = answer
            && !error::is(&e, &["InvalidKeyPair.NotFound"])
        {
            return Err(e);
        }
        match judge(None::<()>, resume, self.horizon) {
            Look::Wait(after) => Ok(Step::look_again(after, "looking for what is left of the instance")),
            _ => Ok(Step::Done(())),
        }
    }

    async fn act(&self, cx: &Cx, change: &Change<Instance>, action: &InstanceAction, resume: &Resume) -> Result<Step<()>> {
        if *action == InstanceAction::Reboot && resume.is_unresolved() {
            let why = "whether the instance was rebooted cannot be known; it is not rebooted again";
            return Err(Error::new(ErrorKind::Unknown, Reason::EffectUnknown, why).with_effect(Effect::Unknown).with_resource(change.target.to_string()));
        }
        let (region, found, object) = self.mine(cx, change).await?;
        let (id, state) = (object.vendor_id.as_str(), state_name(&found));
        let since_ms = resume.data::<Asked>().map_or_else(now_ms, |a| a.since_ms);
        let wait = |what: &str| Step::wait(&Asked { since_ms }, pace(since_ms), what);
        match (action, state) {
            (InstanceAction::Start, "running") | (InstanceAction::Stop, "stopped") => Ok(Step::Done(())),
            (InstanceAction::Start, "stopped") => {
                region.write(cx, "StartInstances", region.ec2.start_instances().instance_ids(id).send()).await?;
                wait("the instance is starting")
            }
            (InstanceAction::Stop, "running") => {
                region.write(cx, "StopInstances", region.ec2.stop_instances().instance_ids(id).send()).await?;
                wait("the instance is stopping")
            }
            (InstanceAction::Start | InstanceAction::Stop, "pending" | "stopping") => wait(&format!("the instance is {state}")),
            (InstanceAction::Reboot, "running") => region.write(cx, "RebootInstances", region.ec2.reboot_instances().instance_ids(id).send()).await.map(|_| Step::Done(())),
            _ => Err(Error::new(ErrorKind::FailedPrecondition, Reason::WrongState, format!("cannot {action} {id}: it is {state}")).with_resource(change.target.to_string())),
        }
    }
}

impl Aws {
    /// The instance that a change is about, where it is ours.
    async fn mine(&self, cx: &Cx, change: &Change<Instance>) -> Result<(&Region, Ec2Instance, Object<Instance>)> {
        let region = self.region(change.target.parent())?;
        let found = find(region, cx, &change.target).await?.ok_or_else(|| Error::not_found(&change.target))?;
        let object = object(region, &cx.owner, &found)?;
        owned(&change.target, &change.uid, &object)?;
        Ok((region, found, object))
    }
    /// What a delete still has to end: everything with this uid.
    async fn alive(&self, cx: &Cx, region: &Region, change: &Change<Instance>) -> Result<Vec<Ec2Instance>> {
        let mut filters = of_uid(&cx.owner, &change.uid);
        filters.push(alive());
        let mut all = instances(region, cx, filters).await?;
        if let Some(id) = change.target.vendor_id()
            && id.as_str().starts_with("i-")
            && all.is_empty()
        {
            // Tags can lag behind the object itself.
            let found = match instance_by_id(region, cx, id.as_str()).await {
                Err(e) if error::is(&e, GONE) => None,
                found => found?,
            };
            let adopted = matches!(change.target, Target::Vendor { .. });
            let mine = |i: &Ec2Instance| adopted || Tags::of(i.tags()).mark(&cx.owner).is_some_and(|(_, m)| m.uid == change.uid);
            all.extend(found.filter(|i| state_name(i) != "terminated" && mine(i)));
        }
        Ok(all)
    }
}

fn alive() -> Filter {
    filter("instance-state-name", ALIVE)
}

async fn instances(region: &Region, cx: &Cx, filters: Vec<Filter>) -> Result<Vec<Ec2Instance>> {
    let answer = region.read(cx, "DescribeInstances", region.ec2.describe_instances().set_filters(Some(filters)).send()).await?;
    Ok(answer.reservations.unwrap_or_default().into_iter().flat_map(|r| r.instances.unwrap_or_default()).collect())
}
async fn instance_by_id(region: &Region, cx: &Cx, id: &str) -> Result<Option<Ec2Instance>> {
    let answer = region.read(cx, "DescribeInstances", region.ec2.describe_instances().instance_ids(id).send()).await?;
    Ok(answer.reservations.unwrap_or_default().into_iter().flat_map(|r| r.instances.unwrap_or_default()).next())
}
/// One that is not terminated.
async fn find(region: &Region, cx: &Cx, target: &Target<Instance>) -> Result<Option<Ec2Instance>> {
    let found = match (target.vendor_id(), target) {
        (Some(id), _) if id.as_str().starts_with("i-") => match instance_by_id(region, cx, id.as_str()).await.map_err(|e| error::absent(e, target, GONE)) {
            Err(e) if e.is_not_found() => None,
            found => found?,
        },
        (_, Target::Named { name, uid, .. }) => {
            let mut filters = of_id(&cx.owner, &name.id, uid.as_ref());
            filters.push(alive());
            only(target, instances(region, cx, filters).await?, |i| i.instance_id().unwrap_or_default().to_owned())?
        }
        (_, Target::Vendor { .. }) => None,
    };
    Ok(found.filter(|i| state_name(i) != "terminated"))
}
/// The lowest id of those alive, else of all, so that every step takes the same one.
fn first(found: &[Ec2Instance]) -> Option<String> {
    found.iter().filter_map(|i| Some((state_name(i) == "terminated", i.instance_id.clone()?))).min().map(|(_, id)| id)
}

async fn forward(region: &Region, cx: &Cx, id: &str, on: bool) -> Result<()> {
    // EC2 checks that a machine is the source or the destination of what it sends: forwarding is that check switched off.
    let check = AttributeBooleanValue::builder().value(!on).build();
    region.write(cx, "ModifyInstanceAttribute", region.ec2.modify_instance_attribute().instance_id(id).source_dest_check(check).send()).await.map(|_| ())
}

/// True while there is one left.
async fn delete_volumes(region: &Region, cx: &Cx, volumes: &[Volume]) -> Result<bool> {
    let mut left = false;
    for volume in volumes {
        let id = answered(volume.volume_id(), "VolumeId")?;
        match volume.state().map(|s| s.as_str()) {
            Some("deleted" | "deleting") => {}
            Some("available" | "error") => match region.write(cx, "DeleteVolume", region.ec2.delete_volume().volume_id(id).send()).await {
                Err(e) if !error::is(&e, &["InvalidVolume.NotFound"]) => return Err(e),
                _ => left = true,
            },
            _ => left = true,
        }
    }
    Ok(left)
}

/// The key pair that is left of an instance that is gone.
async fn fragment(region: &Region, cx: &Cx, name: &Name<Instance>, uid: Option<&Uid>) -> Result<Option<Object<Instance>>> {
    let call = region.ec2.describe_key_pairs().set_filters(Some(of_id(&cx.owner, &name.id, uid)));
    let keys = region.read(cx, "DescribeKeyPairs", call.send()).await?;
    let Some(key) = keys.key_pairs().first() else { return Ok(None) };
    let id = vendor_id(key.key_pair_id(), "KeyPairId")?;
    let status = welkin_core::InstanceStatus { state: InstanceState::Incomplete, state_reason: "only its key pair is left".into(), ..Default::default() };
    Ok(Some(Object {
        name: name.clone(),
        provider_id: ProviderId::new("aws", "", &[region.id(), id.as_str()])?,
        vendor_id: id,
        mark: Tags::of(key.tags()).mark(&cx.owner).map(|(_, m)| m),
        revision: None,
        created_ms: None,
        spec: InstanceSpec::default(),
        status,
    }))
}
