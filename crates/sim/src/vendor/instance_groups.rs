//! What can be asked of a group; what happens to it by itself is in `scaling`.

use super::{
    cloud::{Action, Cloud, Draw, changed},
    instances::{instance_of, members_of, moved},
    item::{Condition, GroupSettings, Instance, InstanceGroup, Item, LaunchSpec, Member, Refresh, RefreshState, Shown, Tags},
    networks::expect_version,
    pools, quotas,
    refusal::{Code, Refusal},
    state::{Edit, Region},
    subnets::subnet_of,
    table::{Filter, Listed},
    templates::{template_of, version_of},
};
use std::{collections::BTreeSet, sync::Arc};

/// Whose an instance is, as a tag that only the vendor writes.
pub(crate) const GROUP_TAG: &str = "sim:instance-group";

/// Is it the id of a group?
pub(crate) fn is_group(id: &str) -> bool {
    id.starts_with(<InstanceGroup as super::Body>::PREFIX)
}

/// What a new group should be.
#[derive(Debug, Clone)]
pub(crate) struct NewInstanceGroup {
    /// The same again is the same group.
    pub(crate) name: String,
    pub(crate) template: Option<String>,
    pub(crate) subnets: Vec<String>,
    pub(crate) settings: GroupSettings,
    /// What its instances are tagged with.
    pub(crate) propagated: Tags,
    pub(crate) tags: Tags,
}
/// What a group is to be from now on; what is None stays as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct GroupEdit {
    pub(crate) version: Option<u32>,
    pub(crate) subnets: Option<Vec<String>>,
    pub(crate) settings: Option<GroupSettings>,
    pub(crate) propagated: Option<Tags>,
}
/// What is told with a group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GroupAround {
    /// What new instances are made as.
    pub(crate) launch: Option<LaunchSpec>,
    /// Is its template there?
    pub(crate) is_whole: bool,
    pub(crate) zones: Vec<String>,
    pub(crate) running: u32,
    pub(crate) pending: u32,
    pub(crate) out_of_date: u32,
}
pub(crate) type Grouped = (Shown<InstanceGroup>, GroupAround);

/// An instance of a group, as it is now.
#[derive(Debug, Clone)]
pub(crate) struct GroupInstance {
    pub(crate) member: Member,
    pub(crate) instance: Arc<Item<Instance>>,
    pub(crate) is_out_of_date: bool,
    pub(crate) at_ms: u64,
}
impl GroupInstance {
    pub(crate) fn leaves(&self) -> bool {
        self.instance.body.goal == Condition::Gone
    }
}

pub(super) fn group_of<'a>(region: &'a Region, id: &str) -> Result<&'a Arc<Item<InstanceGroup>>, Refusal> {
    region.instance_groups.get(id).ok_or_else(|| unknown(id))
}
fn unknown(id: &str) -> Refusal {
    Refusal::new(Code::InstanceGroupNotFound, format!("there is no instance group {id:?}"))
}
/// The members that are there, each with its instance.
pub(super) fn instances<'a>(region: &'a Region, group: &'a InstanceGroup, now_ms: u64) -> impl Iterator<Item = (&'a Member, &'a Arc<Item<Instance>>)> {
    group.members.iter().filter_map(move |m| Some((m, region.instances.get(&m.instance).filter(|i| !i.body.is_gone(now_ms))?)))
}
/// What new instances are made as.
pub(super) fn launch_of<'a>(region: &'a Region, group: &InstanceGroup) -> Option<&'a LaunchSpec> {
    version_of(&region.templates.get(group.template.as_ref()?)?.body, group.version)
}
fn told(region: &Region, shown: Shown<InstanceGroup>) -> Grouped {
    let (body, now) = (shown.body(), shown.at_ms);
    let zones: BTreeSet<String> = body.subnets.iter().filter_map(|id| Some(region.subnets.get(id)?.body.zone.clone())).collect();
    let (mut running, mut pending, mut out_of_date) = (0, 0, 0);
    for (member, instance) in instances(region, body, now).filter(|(_, i)| i.body.goal == Condition::Running) {
        *(if instance.body.has_settled(now) { &mut running } else { &mut pending }) += 1;
        out_of_date += u32::from(member.version != body.version);
    }
    let launch = launch_of(region, body).cloned();
    let is_whole = body.template.is_some() == launch.is_some();
    (shown, GroupAround { launch, is_whole, zones: zones.into_iter().collect(), running, pending, out_of_date })
}
fn put(region: &Region, item: Item<InstanceGroup>, now_ms: u64) -> (Grouped, Vec<Edit>) {
    (told(region, Shown::written(Arc::new(item.clone()), now_ms)), vec![Edit::PutInstanceGroup(Box::new(item))])
}

impl Cloud {
    /// Fine where it was made before by the same request. Its instances follow.
    pub(crate) async fn create_instance_group(&self, region: &str, new: NewInstanceGroup) -> Result<Grouped, Refusal> {
        self.write(Action::CreateInstanceGroup, region, |r, draw| created(r, draw, new, None)).await
    }
    /// As it would be from a template that says so.
    pub(crate) async fn dry_create_instance_group(&self, region: &str, new: NewInstanceGroup, launch: &LaunchSpec) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| created(r, draw, new, Some(launch))).await
    }
    /// Without a template, so without instances.
    pub(crate) fn plant_instance_group(&self, region: &str, subnet: &str, tags: Tags) -> Result<String, Refusal> {
        self.plant(region, |r, draw| {
            let settings = GroupSettings { max: 1, ..GroupSettings::default() };
            let (name, subnets) = (draw.id("planted-"), vec![subnet.to_owned()]);
            let new = NewInstanceGroup { name, template: None, subnets, settings, propagated: Tags::new(), tags };
            let (_, mut edits) = created(r, draw, new, None)?;
            let Some(Edit::PutInstanceGroup(item)) = edits.first_mut() else { return Ok((String::new(), edits)) };
            (item.visible_ms, item.tagged_ms) = (draw.now_ms, draw.now_ms);
            Ok((item.id.clone(), edits))
        })
    }
    pub(crate) async fn instance_group(&self, region: &str, id: &str) -> Result<Option<Grouped>, Refusal> {
        self.read(Action::DescribeInstanceGroups, region, |r, now| Ok(r.instance_groups.show(id, now).map(|g| told(r, g)))).await
    }
    pub(crate) async fn instance_groups(&self, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Result<(Vec<Grouped>, Option<String>), Refusal> {
        let size = size.min(self.config().page_size);
        self.read(Action::DescribeInstanceGroups, region, |r, now| {
            let Listed { items, next } = r.instance_groups.list(&filter, after, size, now, |_| true)?;
            Ok((items.into_iter().map(|g| told(r, g)).collect(), next))
        })
        .await
    }
    /// A page of its instances, in the order of their ids, those that leave too.
    pub(crate) async fn group_instances(&self, region: &str, id: &str, after: Option<&str>) -> Result<(Vec<GroupInstance>, Option<String>), Refusal> {
        let size = self.config().page_size;
        self.read(Action::DescribeGroupInstances, region, |r, now| {
            let shown = r.instance_groups.show(id, now).ok_or_else(|| unknown(id))?;
            let version = shown.body().version;
            let entry = |(m, i): (&Member, &Arc<Item<Instance>>)| GroupInstance { member: m.clone(), instance: Arc::clone(i), is_out_of_date: m.version != version, at_ms: now };
            let mut all: Vec<_> = instances(r, shown.body(), now).map(entry).collect();
            all.sort_by(|a, b| a.member.instance.cmp(&b.member.instance));
            all.retain(|g| after.is_none_or(|after| g.member.instance.as_str() > after));
            let next = if all.len() > size { all.get(size - 1).map(|g| g.member.instance.clone()) } else { None };
            all.truncate(size);
            Ok((all, next))
        })
        .await
    }
    /// All of it or nothing.
    pub(crate) async fn modify_instance_group(&self, region: &str, id: &str, edit: GroupEdit, expect: Option<u64>) -> Result<Grouped, Refusal> {
        self.write(Action::ModifyInstanceGroup, region, |r, draw| {
            let item = group_of(r, id)?;
            expect_version(item, expect)?;
            let mut body = item.body.clone();
            body.version = edit.version.unwrap_or(body.version);
            body.subnets = edit.subnets.unwrap_or(body.subnets);
            body.settings = edit.settings.unwrap_or(body.settings);
            body.propagated = edit.propagated.unwrap_or(body.propagated);
            // What was short may fit now.
            body.retry_ms = 0;
            fits(r, &body, launch_of(r, &body))?;
            Ok(put(r, changed(item, body), draw.now_ms))
        })
        .await
    }
    pub(crate) async fn tag_instance_group(&self, region: &str, id: &str, tags: Tags, expect: Option<u64>) -> Result<Grouped, Refusal> {
        self.write(Action::TagInstanceGroup, region, |r, draw| {
            let item = group_of(r, id)?;
            expect_version(item, expect)?;
            Ok(put(r, Item { tags, ..changed(item, item.body.clone()) }, draw.now_ms))
        })
        .await
    }
    /// Deletes one of its instances and lowers its size, by one for each call: also where the instance is on its way out already, as nothing says that
    /// another call is the same one.
    pub(crate) async fn terminate_group_instance(&self, region: &str, id: &str, instance: &str) -> Result<(), Refusal> {
        let takes = self.config().transition_time_ms;
        self.write(Action::TerminateGroupInstance, region, |r, draw| {
            let item = group_of(r, id)?;
            if !item.body.members.iter().any(|m| m.instance == instance) {
                return Err(Refusal::new(Code::NotAMember, format!("{instance} is no instance of {id}")));
            }
            instance_of(r, instance, draw.now_ms)?;
            let mut body = item.body.clone();
            body.settings.size = body
                .settings
                .size
                .checked_sub(1)
                .filter(|size| *size >= body.settings.min)
                .ok_or_else(|| Refusal::new(Code::BelowMinimum, format!("{id} has {} instances, and its smallest size is {}", body.settings.size, body.settings.min)))?;
            let ((), mut edits) = moved(r, draw, instance, Condition::Gone, takes)?;
            edits.push(Edit::PutInstanceGroup(Box::new(changed(item, body))));
            Ok(((), edits))
        })
        .await
    }
    /// Replaces what was made from an earlier version, by itself. Only one at a time.
    pub(crate) async fn start_refresh(&self, region: &str, id: &str, max_unavailable: u32, max_surge: u32) -> Result<String, Refusal> {
        self.write(Action::StartInstanceRefresh, region, |r, draw| {
            let item = group_of(r, id)?;
            if let Some(running) = item.body.refresh.as_ref().filter(|refresh| refresh.state == RefreshState::InProgress) {
                return Err(Refusal::new(Code::RefreshInProgress, format!("{} of {id} has not ended", running.id)));
            }
            let version = item.body.version;
            let total = instances(r, &item.body, draw.now_ms).filter(|(m, i)| m.version != version && i.body.goal == Condition::Running).count();
            let refresh = Refresh { id: draw.id("refresh-"), max_unavailable, max_surge, total: u32::try_from(total).unwrap_or(u32::MAX), state: RefreshState::InProgress };
            let (id, mut body) = (refresh.id.clone(), item.body.clone());
            body.refresh = Some(refresh);
            // What a group is doing is no part of what it is asked to be, so this is not a new version.
            Ok((id, vec![Edit::PutInstanceGroup(Box::new(Item { body, ..Item::clone(item) }))]))
        })
        .await
    }
    /// Fine where nothing is being replaced.
    pub(crate) async fn cancel_refresh(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.write(Action::CancelInstanceRefresh, region, |r, _| {
            let item = group_of(r, id)?;
            let mut body = item.body.clone();
            let Some(refresh) = body.refresh.as_mut().filter(|refresh| refresh.state == RefreshState::InProgress) else { return Ok(((), Vec::new())) };
            refresh.state = RefreshState::Cancelled;
            Ok(((), vec![Edit::PutInstanceGroup(Box::new(Item { body, ..Item::clone(item) }))]))
        })
        .await
    }
    /// Fine where it is on its way out. Its instances go first, and it with the last of them; its template stays.
    pub(crate) async fn delete_instance_group(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.write(Action::DeleteInstanceGroup, region, |r, _| deleted(r, id)).await
    }
    pub(crate) async fn dry_delete_instance_group(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.dry_run(region, |r, _| deleted(r, id)).await
    }
}

/// Sizes that hold together, subnets of one network, and security groups of that.
fn fits(region: &Region, body: &InstanceGroup, launch: Option<&LaunchSpec>) -> Result<(), Refusal> {
    let GroupSettings { min, max, size, .. } = body.settings;
    if !(min..=max).contains(&size) {
        return Err(Refusal::new(Code::SizeOutOfRange, format!("the size is between {min} and {max}, not {size}")));
    }
    let mut networks = BTreeSet::new();
    for id in &body.subnets {
        let subnet = subnet_of(region, id)?;
        networks.insert(subnet.body.network.as_str());
        if networks.len() > 1 {
            return Err(Refusal::new(Code::SubnetOfAnotherNetwork, format!("{id} is in {}, and others are not", subnet.body.network)));
        }
        members_of(region, subnet, launch.map_or_else(Vec::new, |l| l.groups.clone()))?;
    }
    Ok(())
}
fn created(region: &Region, draw: &mut Draw<'_>, new: NewInstanceGroup, launch: Option<&LaunchSpec>) -> Result<(Grouped, Vec<Edit>), Refusal> {
    let asked = blake3::hash(format!("{new:?}").as_bytes()).to_hex()[..16].to_owned();
    if let Some(id) = region.names.get(&new.name) {
        return match region.instance_groups.get(id).filter(|item| item.body.asked == asked && !item.body.leaves) {
            Some(item) => Ok((told(region, Shown::written(Arc::clone(item), draw.now_ms)), Vec::new())),
            None => Err(Refusal::new(Code::NameTaken, format!("{} is the name of {id}", new.name))),
        };
    }
    draw.has_room(region, &quotas::INSTANCE_GROUPS)?;
    let version = match &new.template {
        Some(id) => u32::try_from(template_of(region, id)?.body.versions.len()).unwrap_or(u32::MAX),
        None => 0,
    };
    let body = InstanceGroup {
        name: new.name,
        asked,
        template: new.template,
        version,
        subnets: new.subnets,
        settings: new.settings,
        propagated: new.propagated,
        members: Vec::new(),
        failures: Vec::new(),
        failed: 0,
        retry_ms: 0,
        refresh: None,
        leaves: false,
    };
    fits(region, &body, launch.or_else(|| launch_of(region, &body)))?;
    Ok(put(region, draw.item(new.tags, body), draw.now_ms))
}
fn deleted(region: &Region, id: &str) -> Result<((), Vec<Edit>), Refusal> {
    let item = group_of(region, id)?;
    if item.body.leaves {
        return Ok(((), Vec::new()));
    }
    // A state is no part of what it is asked to be, so this is not a new version.
    let body = InstanceGroup { leaves: true, ..item.body.clone() };
    Ok(((), vec![Edit::PutInstanceGroup(Box::new(Item { body, ..Item::clone(item) }))]))
}
/// Nothing leads to it any more.
pub(super) fn ended<'a>(region: &'a Region, id: &'a str) -> impl Iterator<Item = Edit> + 'a {
    pools::let_go(region, id).chain([Edit::RemoveInstanceGroup(id.to_owned())])
}
/// At once, with its instances.
pub(super) fn removed(region: &Region, draw: &Draw<'_>, id: &str) -> Result<((), Vec<Edit>), Refusal> {
    let item = group_of(region, id)?;
    let mut edits = Vec::new();
    for (member, instance) in instances(region, &item.body, draw.now_ms) {
        if instance.body.goal == Condition::Gone {
            edits.push(Edit::RemoveInstance(member.instance.clone()));
        } else {
            edits.extend(moved(region, draw, &member.instance, Condition::Gone, 0)?.1);
        }
    }
    edits.extend(ended(region, id));
    Ok(((), edits))
}
