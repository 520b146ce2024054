//! Instance groups are Auto Scaling groups, each with a launch template of its own and, where an ssh key is given, a key pair.
//!
//! Group, template and key pair have names that follow from the uid, under which AWS makes each once
//! (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html>: "The name of the Auto Scaling group. This name must be unique
//! per Region per account"). So nothing has to be waited for before it is repeated, and whatever is lost is found again.
//!
//! A group's id is its ARN: names can be taken again by somebody else once a group is gone.

mod action;
mod failure;
mod lead;
mod leave;
mod read;
mod template;
mod write;

pub(crate) use lead::Led;

use crate::{
    Aws,
    client::{AT_ONCE, Region},
    error, mark, owned,
    page::At,
    resource::{Looking, copies, is_adopted, is_mine, names, not_owned, not_yet_shown},
    step::{age, now_ms, pace, unresolved_ms},
};
use async_trait::async_trait;
use futures::future::join_all;
use read::{Around, MAX_RECORDS, Made, Row, Version, fragment, is_gone, name_in};
use std::collections::BTreeSet;
use template::{Launch, one_network};
use welkin_core::{
    Change, Cursor, Cx, Driver, Effect, Error, ErrorKind, FieldPath, GroupMember, InstanceGroup, InstanceGroupAction, InstanceGroupQuestion, InstanceGroupSpec, InstanceOutcomes,
    Object, Page, Past, Query, Reader, Reason, Result, Resume, Shard, Step, Target, Uid, Verb,
};
use write::{Building, Edit, FIRST};

/// What its id begins with; what is left of one that is gone has other ids.
const PREFIX: &str = "arn:";

/// An error about an instance that the template describes, in the group's words.
fn of_group(e: Error) -> Error {
    error::of_template(e)
}

impl Aws {
    /// None where there is none.
    async fn group_at(&self, cx: &Cx, target: &Target<InstanceGroup>, uid: Option<&Uid>) -> Result<Option<Row>> {
        let region = self.region(target.parent())?;
        let arn = target.vendor_id().map(|id| id.as_str()).filter(|id| id.starts_with(PREFIX));
        match (arn, target, uid) {
            // Another one may be called so by now.
            (Some(arn), ..) => match name_in(arn) {
                Some(name) => Ok(region.scaling_group(cx, name).await?.filter(|row| row.id.as_str() == arn)),
                None => Ok(None),
            },
            (None, Target::Named { .. }, Some(uid)) => region.scaling_group(cx, &write::name(uid)).await,
            (None, Target::Named { name, .. }, None) => {
                let tags = [(mark::OWNER, cx.owner.as_str()), (mark::ID, name.id.as_str())];
                let mut found = region.every_scaling_group(cx, &tags).await?;
                found.retain(|row| row.mark(&cx.owner).is_some_and(|(id, _)| id == name.id));
                if found.len() > 1 {
                    return Err(copies(target, found.iter().map(|row| row.id.as_str()).collect()));
                }
                Ok(found.pop())
            }
            (None, Target::Vendor { .. }, _) => Ok(None),
        }
    }
    /// The group that a change is about, or since when it is looked for.
    async fn group_located(&self, cx: &Cx, change: &Change<InstanceGroup>, looking: &Looking) -> Result<std::result::Result<Row, Looking>> {
        match self.group_at(cx, &change.target, Some(&change.uid)).await? {
            Some(row) if row.is_leaving() => Err(Error::not_found(&change.target)),
            Some(row) if is_mine(cx, change, &row.tags) => Ok(Ok(row)),
            Some(row) if self.may_yet_be_marked(&row.tags, row.created_ms()) => Ok(Err(*looking)),
            Some(row) => Err(not_owned(&change.target, row.id.as_str())),
            None if looking.age() < self.horizon => Ok(Err(*looking)),
            None => Err(Error::not_found(&change.target)),
        }
    }
}

#[async_trait]
impl Reader<InstanceGroup> for Aws {
    fn shards(&self, query: &Query<InstanceGroup>) -> Vec<Shard> {
        self.regional_shards(query.parent.as_ref())
    }

    /// The group with its instances, then its template; what it fails at and its replacement only where it does not have what it should have.
    async fn get(&self, cx: &Cx, target: &Target<InstanceGroup>) -> Result<Object<InstanceGroup>> {
        let region = self.region(target.parent())?;
        let uid = if let Target::Named { uid, .. } = target { uid.as_ref() } else { None };
        let Some(row) = self.group_at(cx, target, uid).await? else {
            let Ok(name) = target.name() else { return Err(Error::not_found(target)) };
            let mut filters = vec![mark::of_owner(&cx.owner), mark::filter(&format!("tag:{}", mark::PART), [name.id.as_str()])];
            filters.extend(uid.map(|uid| mark::filter(&format!("tag:{}", mark::UID), [uid.as_str()])));
            return match region.templates(cx, filters).await?.first() {
                Some(left) => fragment(region, &cx.owner, name, left),
                None => Err(Error::not_found(target)),
            };
        };
        if uid.is_some() && self.may_yet_be_marked(&row.tags, row.created_ms()) {
            return Err(not_yet_shown(&format!("AWS does not show the tags of {target} yet"), target));
        }
        let around = region.around_group(cx, &row).await?;
        row.object(region, &cx.owner, &around)
    }

    async fn list(&self, cx: &Cx, query: &Query<InstanceGroup>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<InstanceGroup>> {
        let (region, at) = (self.shard(shard)?, At::read(from)?);
        let size = query.page_size.clamp(1, MAX_RECORDS);
        let (found, token) = if query.vendor_ids.is_empty() {
            let ours = [(mark::OWNER, cx.owner.as_str())];
            region.scaling_groups(cx, if query.owned_only { &ours } else { &[] }, size, at.token.clone()).await?
        } else {
            let mut found = Vec::new();
            for (id, name) in query.vendor_ids.iter().filter_map(|id| Some((id, name_in(id.as_str())?))) {
                found.extend(region.scaling_group(cx, name).await?.filter(|row| row.id == *id).map(|row| row.vendors));
            }
            (found, None)
        };
        let (found, next) = at.cut(found, token, size, |g| g.auto_scaling_group_arn().unwrap_or_default().to_owned())?;
        let mut rows = found.into_iter().map(Row::of).collect::<Result<Vec<_>>>()?;
        rows.retain(|row| !query.owned_only || row.mark(&cx.owner).is_some());
        let mut items = Vec::new();
        for some in rows.chunks(AT_ONCE) {
            for (row, around) in some.iter().zip(join_all(some.iter().map(|row| region.around_group(cx, row))).await) {
                items.push(row.object(region, &cx.owner, &around?)?);
            }
        }
        Ok(Page { items, next, unreachable: Vec::new() })
    }
}

#[async_trait]
impl Driver<InstanceGroup> for Aws {
    async fn check(&self, cx: &Cx, change: &Change<InstanceGroup>) -> Result<()> {
        let region = self.region(change.target.parent())?;
        if let Verb::Create { spec, .. } = &change.verb {
            let launch = Launch::wanted(region, cx, &spec.template, None, None).await?;
            return launch.check(region, cx, &spec.template.machine_types, &subnets_of(spec)?).await;
        }
        let Some(row) = self.group_at(cx, &change.target, Some(&change.uid)).await? else {
            // What is left of it can be deleted.
            let object = self.get(cx, &change.target).await?;
            return match change.verb {
                Verb::Delete => owned(&change.target, &change.uid, &object),
                _ => Err(Error::not_found(&change.target)),
            };
        };
        if !is_mine(cx, change, &row.tags) {
            return Err(not_owned(&change.target, row.id.as_str()));
        }
        if self.may_yet_be_marked(&row.tags, row.created_ms()) && is_adopted(&change.target) {
            return Err(not_yet_shown(&format!("{} was made just now, and AWS may not show its tags yet", row.id), &change.target));
        }
        match &change.verb {
            Verb::Update { desired, paths } if !paths.is_empty() => {
                let around = region.around_group(cx, &row).await?;
                refuse_others(change, &row, paths)?;
                let before = row.object(region, &cx.owner, &around)?;
                let asked = after(&before.spec, desired, paths);
                if !names(paths, "template") && !names(paths, "subnets") {
                    return Ok(());
                }
                let launch = launch_after(region, cx, &change.uid, &asked, paths, &around).await?;
                can_be_made(region, cx, &asked, launch.as_ref()).await
            }
            Verb::Act(InstanceGroupAction::DeleteInstances(chosen)) => action::check(&row, chosen),
            _ => Ok(()),
        }
    }

    /// One step makes everything, and from then on it is waited for.
    async fn create(&self, cx: &Cx, change: &Change<InstanceGroup>, spec: &InstanceGroupSpec, resume: &Resume) -> Result<Step<Object<InstanceGroup>>> {
        let region = self.region(change.target.parent())?;
        let building = Building { region, cx, change };
        let (made, resume) = resume.read::<Made>();
        let key = spec.template.ssh_key.as_deref().map(|key| write::key_name(&change.uid, key));
        let launch = Launch::wanted(region, cx, &spec.template, key, None).await?;
        let made = match made {
            Some(made) => made,
            None => {
                if !resume.is_unresolved() {
                    launch.check(region, cx, &spec.template.machine_types, &subnets_of(spec)?).await?;
                }
                if let Some(key) = &spec.template.ssh_key {
                    building.key(key).await?;
                }
                let template = building.template(&launch).await?;
                building.group(spec, &template).await?;
                Made { template, made_since_ms: now_ms() }
            }
        };
        let since_ms = made.made_since_ms.max(unresolved_ms(&resume));
        // One that an earlier step made may be shown by now: where every handle is lost, each step begins above.
        match region.scaling_group(cx, &write::name(&change.uid)).await? {
            Some(row) if is_mine(cx, change, &row.tags) => {
                let around = Around { version: Some(Version { number: FIRST.to_owned(), launch }), ..Around::default() };
                Ok(Step::Done(row.object(region, &cx.owner, &around)?))
            }
            Some(row) if !self.may_yet_be_marked(&row.tags, row.created_ms()) => Err(not_owned(&change.target, row.id.as_str())),
            _ if age(since_ms) < self.horizon => Step::wait(&made, pace(since_ms), "waiting for the group to be shown"),
            _ => {
                let why = "the group was deleted while it was being made";
                Err(Error::new(ErrorKind::Aborted, Reason::CreationFailed, why).with_effect(Effect::Applied).with_resource(change.target.to_string()))
            }
        }
    }

    async fn update(
        &self,
        cx: &Cx,
        change: &Change<InstanceGroup>,
        desired: &InstanceGroupSpec,
        paths: &BTreeSet<FieldPath>,
        resume: &Resume,
    ) -> Result<Step<Object<InstanceGroup>>> {
        let region = self.region(change.target.parent())?;
        let looking = Looking::of(resume);
        let mut row = match self.group_located(cx, change, &looking).await? {
            Ok(row) => row,
            Err(looking) => return looking.step(),
        };
        refuse_others(change, &row, paths)?;
        let mut around = region.around_group(cx, &row).await?;
        let before = row.object(region, &cx.owner, &around)?;
        if Past::is_any_shown(&change.past, &before.spec, now_ms(), self.horizon)? {
            return looking.step();
        }
        let has = |field: &str| names(paths, field);
        let building = Building { region, cx, change };
        let asked = after(&before.spec, desired, paths);
        let mut edit = Edit::between(&row, &before.spec, &asked, has)?;
        let launch = launch_after(region, cx, &change.uid, &asked, paths, &around).await?;
        // A version is not looked at when it is made, and a group takes subnets that its template does not go with.
        if !resume.is_unresolved() && (edit.subnets.is_some() || (has("template") && asked.template != before.spec.template)) {
            can_be_made(region, cx, &asked, launch.as_ref()).await?;
        }
        let ssh_key = asked.template.ssh_key.as_deref().filter(|_| has("template"));
        if has("template") || has("on_demand_base") || has("spot_percent") {
            let source = row.source().and_then(|s| s.launch_template_id()).unwrap_or_default().to_owned();
            let (Some(mut version), Some(launch)) = (around.version.take(), launch) else { return Err(without_template(change)) };
            if let Some(key) = ssh_key {
                building.key(key).await?;
            }
            if launch != version.launch {
                version = Box::pin(building.version(&source, launch)).await?;
            }
            let policy = write::policy(&source, &version.number, &asked.template.machine_types, asked.on_demand_base, asked.spot_percent);
            let is_same = |now: &Version, spec: &InstanceGroupSpec| {
                (&now.number, &spec.template.machine_types, spec.on_demand_base, spec.spot_percent)
                    == (&version.number, &asked.template.machine_types, asked.on_demand_base, asked.spot_percent)
            };
            let pinned = row.source().and_then(|s| s.version()).unwrap_or_default().to_owned();
            let now = Version { number: pinned, launch: Launch::default() };
            edit.policy = Some(policy).filter(|_| !is_same(&now, &before.spec));
            around.version = Some(version);
        }
        if edit != Edit::default() {
            match building.edit(&row.name, &edit).await {
                Err(e) if is_gone(&e) && looking.age() < self.horizon => return looking.step(),
                Err(e) if is_gone(&e) => return Err(Error::not_found(&change.target)),
                answer => answer?,
            }
            edit.applied(&mut row);
        }
        if has("labels") {
            building.relabel(&mut row, &asked.labels).await?;
        }
        if ssh_key.is_some() {
            building.other_keys_removed(around.version.as_ref().and_then(|v| v.launch.key.as_deref())).await?;
        }
        Ok(Step::Done(row.object(region, &cx.owner, &around)?))
    }

    async fn delete(&self, cx: &Cx, change: &Change<InstanceGroup>, resume: &Resume) -> Result<Step<()>> {
        self.group_ended(cx, change, resume).await
    }

    async fn act(&self, cx: &Cx, change: &Change<InstanceGroup>, action: &InstanceGroupAction, resume: &Resume) -> Result<Step<Option<InstanceOutcomes>>> {
        match action {
            InstanceGroupAction::DeleteInstances(chosen) => self.chosen_deleted(cx, change, chosen, resume).await.map(|step| step.map(Some)),
            InstanceGroupAction::ReplaceInstances(replacement) => Box::pin(self.replaced(cx, change, replacement, resume)).await.map(|step| step.map(|()| None)),
            InstanceGroupAction::StopReplacement => self.replacement_stopped(cx, change, resume).await.map(|step| step.map(|()| None)),
        }
    }

    async fn ask(&self, cx: &Cx, target: &Target<InstanceGroup>, question: &InstanceGroupQuestion) -> Result<Vec<GroupMember>> {
        let region = self.region(target.parent())?;
        let uid = if let Target::Named { uid, .. } = target { uid.as_ref() } else { None };
        let row = self.group_at(cx, target, uid).await?.ok_or_else(|| Error::not_found(target))?;
        match question {
            InstanceGroupQuestion::Members => {
                let version = region.version_of(cx, &row).await?;
                let seen = region.group_instances(cx, &row.name).await?;
                let activities = region.activities(cx, &row.name).await?;
                let version = version.as_ref();
                let mut all = row.told_members(&seen, version);
                all.extend(failure::members(&activities, version.map_or("", |v| v.number.as_str())));
                Ok(all)
            }
        }
    }
}

fn subnets_of(spec: &InstanceGroupSpec) -> Result<Vec<String>> {
    spec.subnets.iter().map(|subnet| Ok(subnet.vendor_id()?.to_string())).collect()
}
/// What new instances would be: as asked for, or as they are where the template stays. None of a launch configuration, and where the template is gone.
async fn launch_after(region: &Region, cx: &Cx, uid: &Uid, asked: &InstanceGroupSpec, paths: &BTreeSet<FieldPath>, around: &Around) -> Result<Option<Launch>> {
    match &around.version {
        Some(version) if names(paths, "template") => {
            let key = asked.template.ssh_key.as_deref().map(|key| write::key_name(uid, key));
            Launch::wanted(region, cx, &asked.template, key, Some(&version.launch)).await.map(Some)
        }
        version => Ok(version.as_ref().map(|v| v.launch.clone())),
    }
}
/// Refuses what no instance could be made from or in. Of a launch configuration nobody knows what it says.
async fn can_be_made(region: &Region, cx: &Cx, asked: &InstanceGroupSpec, launch: Option<&Launch>) -> Result<()> {
    let subnets = subnets_of(asked)?;
    match launch {
        Some(launch) => launch.check(region, cx, &asked.template.machine_types, &subnets).await,
        None => one_network(region, cx, &subnets).await,
    }
}
/// What there is, with what is asked for in its place.
fn after(before: &InstanceGroupSpec, desired: &InstanceGroupSpec, paths: &BTreeSet<FieldPath>) -> InstanceGroupSpec {
    let (mut spec, desired) = (before.clone(), desired.clone());
    macro_rules! take {
        ($($field:ident)*) => { $(if names(paths, stringify!($field)) { spec.$field = desired.$field; })* };
    }
    take!(template subnets min_size max_size size on_demand_base spot_percent health labels);
    spec
}
/// What was adopted came without its template, and ours can have been given another: what others make from that nobody knows.
fn refuse_others(change: &Change<InstanceGroup>, row: &Row, paths: &BTreeSet<FieldPath>) -> Result<()> {
    let is_ours = !is_adopted(&change.target) && row.source().and_then(|s| s.launch_template_name()) == Some(&write::name(&change.uid));
    match ["template", "on_demand_base", "spot_percent"].into_iter().find(|field| !is_ours && names(paths, field)) {
        Some(field) => {
            let why = format!("the launch template of {} is not Welkin's: what is made from it cannot be changed", change.target);
            Err(Error::new(ErrorKind::FailedPrecondition, Reason::NotOwned, why).with_field(field))
        }
        None => Ok(()),
    }
}
fn without_template(change: &Change<InstanceGroup>) -> Error {
    let why = format!("the launch template of {} is gone: it can only be deleted", change.target);
    Error::new(ErrorKind::FailedPrecondition, Reason::WrongState, why).with_resource(change.target.to_string())
}
