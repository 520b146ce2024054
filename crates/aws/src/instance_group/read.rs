//! What reads show of a group: itself, the version of the template that it makes instances from, what it failed at, whether it is replacing instances, and
//! what all of that says in our terms.

use super::{failure, template::Launch};
use crate::{
    client::Region,
    error,
    mark::{GROUP_OF, Tags, filter},
    page::all_pages,
    resource::{Kept as _, Pieces},
    single::by_vendor_id,
    step::{answered, told, unix_ms},
};
use aws_sdk_autoscaling::types::{Activity, AutoScalingGroup, Filter, Instance as Member, InstanceRefresh, InstanceRefreshStatus, LaunchTemplateSpecification, LifecycleState};
use aws_sdk_ec2::types::{Instance as Ec2Instance, LaunchTemplate};
use futures::future::try_join;
use serde::{Deserialize, Serialize};
use welkin_core::{
    Cx, Error, GroupHealth, GroupMember, HealthSource, Instance, InstanceGroup, InstanceGroupSpec, InstanceGroupState, InstanceGroupStatus, Mark, MemberState, Name, Object, Owner,
    ProviderId, ResourceId, Result, Subnet, VendorId,
};

/// The largest page (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html>).
pub(super) const MAX_RECORDS: usize = 100;
/// What an ARN ends with, before the name.
const NAME: &str = ":autoScalingGroupName/";
/// What EC2 answers where it does not know the template.
pub(super) const NO_TEMPLATE: &[&str] = &["InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateName.NotFoundException", "InvalidLaunchTemplateId.VersionNotFound"];

/// What a create has made: everything, or nothing that a look does not find by its name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Made {
    /// The launch template.
    pub(super) template: String,
    pub(super) made_since_ms: u64,
}
impl Pieces for Made {
    fn ids(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.template)
    }
    fn is_whole(&self) -> bool {
        true
    }
}

/// Auto Scaling calls a group by its name; which of those that were ever called so it is, its ARN says.
pub(super) fn name_in(arn: &str) -> Option<&str> {
    arn.split_once(NAME).map(|(_, name)| name)
}

/// A group with its tags.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: VendorId,
    pub(super) name: String,
    pub(super) vendors: AutoScalingGroup,
    pub(super) tags: Tags,
}
/// The version of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Version {
    pub(super) number: String,
    pub(super) launch: Launch,
}
/// What belongs to a group.
#[derive(Debug, Clone, Default)]
pub(super) struct Around {
    /// None where it is gone, or makes its instances from a launch configuration.
    pub(super) version: Option<Version>,
    pub(super) activities: Vec<Activity>,
    pub(super) refresh: Option<InstanceRefresh>,
}

impl Row {
    pub(super) fn of(vendors: AutoScalingGroup) -> Result<Self> {
        let id = answered(vendors.auto_scaling_group_arn().and_then(|id| id.parse::<VendorId>().ok()), "AutoScalingGroupARN")?;
        let name = answered(told(vendors.auto_scaling_group_name()), "AutoScalingGroupName")?.to_owned();
        let tags = vendors.tags().iter().filter_map(|t| Some((t.key()?, t.value().unwrap_or_default()))).collect();
        Ok(Self { id, name, vendors, tags })
    }
    pub(super) fn created_ms(&self) -> Option<u64> {
        unix_ms(self.vendors.created_time())
    }
    pub(super) fn mark(&self, owner: &Owner) -> Option<(ResourceId, Mark)> {
        self.tags.mark(owner)
    }
    /// "The current state of the group when the DeleteAutoScalingGroup operation is in progress."
    pub(super) fn is_leaving(&self) -> bool {
        told(self.vendors.status()).is_some()
    }
    /// What new instances are made from; None of a launch configuration.
    pub(super) fn source(&self) -> Option<&LaunchTemplateSpecification> {
        let mixed = self.vendors.mixed_instances_policy().and_then(|p| p.launch_template()).and_then(|t| t.launch_template_specification());
        mixed.or(self.vendors.launch_template())
    }
    /// The types that it tries, where it has a list of its own.
    pub(super) fn types(&self) -> Vec<String> {
        let overrides = self.vendors.mixed_instances_policy().and_then(|p| p.launch_template()).map(|t| t.overrides()).unwrap_or_default();
        overrides.iter().filter_map(|o| told(o.instance_type()).map(ToOwned::to_owned)).collect()
    }
    pub(super) fn size(&self) -> u32 {
        number(self.vendors.desired_capacity())
    }
    pub(super) fn min(&self) -> u32 {
        number(self.vendors.min_size())
    }
    pub(super) fn subnets(&self) -> Vec<String> {
        let all = self.vendors.vpc_zone_identifier().unwrap_or_default();
        all.split(',').map(str::trim).filter(|id| !id.is_empty()).map(ToOwned::to_owned).collect()
    }
    pub(super) fn members(&self) -> &[Member] {
        self.vendors.instances()
    }
    /// Was it made from an earlier version, or is it of a type that is not asked for any more? Of a launch configuration nobody can tell.
    fn is_out_of_date(&self, member: &Member, version: Option<&Version>) -> bool {
        let (Some(version), Some(source)) = (version, self.source()) else { return false };
        let made_from = member.launch_template();
        let is_other = made_from.and_then(|t| told(t.launch_template_id())).is_some_and(|id| told(source.launch_template_id()).is_some_and(|now| now != id));
        let types = self.types();
        let is_other_type = !types.is_empty() && told(member.instance_type()).is_some_and(|t| !types.iter().any(|known| known == t));
        is_other || is_other_type || made_from.and_then(|t| told(t.version())).is_some_and(|v| v != version.number)
    }
    pub(super) fn out_of_date(&self, version: Option<&Version>) -> u32 {
        count(self.members().iter().filter(|m| !leaves(m) && self.is_out_of_date(m, version)))
    }
    /// Fewer run than should.
    fn is_short(&self) -> bool {
        count(self.members().iter().filter(|m| state(m) == MemberState::Running)) < self.size()
    }

    /// As reads show it.
    pub(super) fn object(&self, region: &Region, owner: &Owner, around: &Around) -> Result<Object<InstanceGroup>> {
        let (name, mark) = match self.mark(owner) {
            Some((name, mark)) => (name, Some(mark)),
            None => (ResourceId::of_vendor(self.id.as_str())?, None),
        };
        let version = around.version.as_ref();
        let distribution = self.vendors.mixed_instances_policy().and_then(|p| p.instances_distribution());
        // "Default: 100."
        let on_demand = distribution.map_or(100, |d| d.on_demand_percentage_above_base_capacity().unwrap_or(100));
        let by_balancer = self.vendors.health_check_type().unwrap_or_default().split(',').any(|t| t.trim() == "ELB");
        let mut spec = InstanceGroupSpec {
            template: version.map(|v| v.launch.told(region, self.types())).transpose()?.unwrap_or_default(),
            subnets: self.subnets().iter().map(|id| by_vendor_id::<Subnet>(region, id)).collect::<Result<_>>()?,
            zones: Vec::new(),
            min_size: self.min(),
            max_size: Some(number(self.vendors.max_size())),
            size: Some(self.size()),
            on_demand_base: number(distribution.and_then(|d| d.on_demand_base_capacity())),
            spot_percent: 100_u32.saturating_sub(number(Some(on_demand))),
            health: GroupHealth {
                source: if by_balancer { HealthSource::LoadBalancer } else { HealthSource::Instance },
                grace_period_s: self.vendors.health_check_grace_period().map(|s| number(Some(s))),
            },
            labels: self.tags.labels(),
            provider_config: None,
        };
        spec.subnets.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let state_of_group = match () {
            () if self.is_leaving() => InstanceGroupState::Deleting,
            () if self.source().is_some() && version.is_none() => InstanceGroupState::Incomplete,
            () => InstanceGroupState::Active,
        };
        let (failed_launches, why) = if self.is_short() { failure::since_success(&around.activities) } else { Default::default() };
        let in_state = |wanted: MemberState| count(self.members().iter().filter(|m| state(m) == wanted));
        let mut effective_zones = self.vendors.availability_zones().to_vec();
        effective_zones.sort_unstable();
        let status = InstanceGroupStatus {
            state: state_of_group,
            state_reason: why,
            effective_zones,
            running_instances: in_state(MemberState::Running),
            pending_instances: in_state(MemberState::Pending),
            failed_launches,
            out_of_date_instances: self.out_of_date(version),
            template_version: version.map(|v| v.number.clone()).or_else(|| self.vendors.launch_configuration_name().map(ToOwned::to_owned)).unwrap_or_default(),
            is_replacing: around.refresh.as_ref().is_some_and(is_under_way),
        };
        Ok(Object {
            name: Name::new(region.name.clone(), name),
            provider_id: self.provider_id(region)?,
            vendor_id: self.id.clone(),
            mark,
            revision: None,
            created_ms: self.created_ms(),
            spec,
            status,
        })
    }
    /// An ARN has a slash, which parts a provider id.
    fn provider_id(&self, region: &Region) -> Result<ProviderId> {
        ProviderId::new("aws", "", &std::iter::once(region.id()).chain(self.id.as_str().split('/')).collect::<Vec<_>>())
    }
    /// Its instances, as Auto Scaling and EC2 show them.
    pub(super) fn told_members(&self, seen: &[Ec2Instance], version: Option<&Version>) -> Vec<GroupMember> {
        let of = |member: &Member| {
            let id = told(member.instance_id()).unwrap_or_default();
            let instance = seen.iter().find(|i| i.instance_id() == Some(id));
            GroupMember {
                instance: id.to_owned(),
                state: state(member),
                zone: member.availability_zone().unwrap_or_default().to_owned(),
                machine_type: told(member.instance_type()).or(instance.and_then(|i| i.instance_type()).map(|t| t.as_str())).unwrap_or_default().to_owned(),
                spot: instance.and_then(|i| i.instance_lifecycle()).is_some_and(|l| l.as_str() == "spot"),
                template_version: member.launch_template().and_then(|t| told(t.version())).unwrap_or_default().to_owned(),
                out_of_date: self.is_out_of_date(member, version),
                failure: String::new(),
                reason: why(member),
                time_ms: instance.and_then(Instance::created_ms),
            }
        };
        self.members().iter().filter(|m| told(m.instance_id()).is_some()).map(of).collect()
    }
}

fn number(n: Option<i32>) -> u32 {
    n.and_then(|n| n.try_into().ok()).unwrap_or_default()
}
fn count<T>(all: impl Iterator<Item = T>) -> u32 {
    all.count().try_into().unwrap_or(u32::MAX)
}

/// Auto Scaling's states (<https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html>) and ours. Those of a warm pool are no
/// members until they come into service.
static STATES: &[(LifecycleState, MemberState)] = &[
    (LifecycleState::Pending, MemberState::Pending),
    (LifecycleState::PendingWait, MemberState::Pending),
    (LifecycleState::PendingProceed, MemberState::Pending),
    (LifecycleState::InService, MemberState::Running),
    // Somebody has taken it out of service; it runs, and counts no more among the group's number.
    (LifecycleState::EnteringStandby, MemberState::Running),
    (LifecycleState::Standby, MemberState::Running),
    (LifecycleState::Quarantined, MemberState::Unhealthy),
    (LifecycleState::ReplacingRootVolume, MemberState::Pending),
    (LifecycleState::ReplacingRootVolumeWait, MemberState::Pending),
    (LifecycleState::ReplacingRootVolumeProceed, MemberState::Pending),
    (LifecycleState::RootVolumeReplaced, MemberState::Pending),
    (LifecycleState::Terminating, MemberState::Deleting),
    (LifecycleState::TerminatingWait, MemberState::Deleting),
    (LifecycleState::TerminatingProceed, MemberState::Deleting),
    (LifecycleState::TerminatingRetained, MemberState::Deleting),
    (LifecycleState::Terminated, MemberState::Deleting),
    // It goes on without the group.
    (LifecycleState::Detaching, MemberState::Deleting),
    (LifecycleState::Detached, MemberState::Deleting),
    (LifecycleState::WarmedPending, MemberState::Pending),
    (LifecycleState::WarmedPendingWait, MemberState::Pending),
    (LifecycleState::WarmedPendingProceed, MemberState::Pending),
    (LifecycleState::WarmedPendingRetained, MemberState::Pending),
    (LifecycleState::WarmedHibernated, MemberState::Pending),
    (LifecycleState::WarmedRunning, MemberState::Pending),
    (LifecycleState::WarmedStopped, MemberState::Pending),
    (LifecycleState::WarmedTerminating, MemberState::Deleting),
    (LifecycleState::WarmedTerminatingWait, MemberState::Deleting),
    (LifecycleState::WarmedTerminatingProceed, MemberState::Deleting),
    (LifecycleState::WarmedTerminatingRetained, MemberState::Deleting),
    (LifecycleState::WarmedTerminated, MemberState::Deleting),
];
fn state(member: &Member) -> MemberState {
    let state = STATES.iter().find(|(theirs, _)| member.lifecycle_state() == Some(theirs)).map_or(MemberState::Unspecified, |(_, ours)| *ours);
    match state {
        MemberState::Running if member.health_status().is_some_and(|h| h.eq_ignore_ascii_case("Unhealthy")) => MemberState::Unhealthy,
        state => state,
    }
}
/// Auto Scaling's word, where ours says less.
fn why(member: &Member) -> String {
    let word = member.lifecycle_state().map_or("", LifecycleState::as_str);
    if ["InService", "Pending", "Terminating"].contains(&word) { String::new() } else { word.to_owned() }
}
/// Is it on its way out, whoever asked for it?
pub(super) fn leaves(member: &Member) -> bool {
    state(member) == MemberState::Deleting
}

/// Is the group replacing instances, or on its way back from that?
pub(super) fn is_under_way(refresh: &InstanceRefresh) -> bool {
    use InstanceRefreshStatus::{Baking, Cancelling, InProgress, Pending, RollbackInProgress};
    matches!(refresh.status(), Some(Pending | InProgress | Baking | Cancelling | RollbackInProgress))
}

/// Of a group that is not there Auto Scaling says so in the text alone.
pub(super) fn is_gone(e: &Error) -> bool {
    error::is(e, &["ValidationError"]) && e.message().to_lowercase().contains("not found")
}

impl Region {
    async fn groups_of(&self, cx: &Cx, filters: Vec<Filter>, size: usize, token: Option<String>) -> Result<(Vec<AutoScalingGroup>, Option<String>)> {
        let call = self.scaling.describe_auto_scaling_groups().max_records(i32::try_from(size).unwrap_or(1)).set_next_token(token);
        let call = call.set_filters(Some(filters).filter(|f| !f.is_empty()));
        self.scaling.read(cx, "DescribeAutoScalingGroups", call.send()).await.map(|a| (a.auto_scaling_groups.unwrap_or_default(), a.next_token))
    }
    /// One page of those that carry these tags.
    pub(super) async fn scaling_groups(&self, cx: &Cx, tags: &[(&str, &str)], size: usize, token: Option<String>) -> Result<(Vec<AutoScalingGroup>, Option<String>)> {
        let filters = tags.iter().map(|(key, value)| Filter::builder().name(format!("tag:{key}")).values(*value).build()).collect();
        self.groups_of(cx, filters, size, token).await
    }
    pub(super) async fn every_scaling_group(&self, cx: &Cx, tags: &[(&str, &str)]) -> Result<Vec<Row>> {
        let found = all_pages(async |token| self.scaling_groups(cx, tags, MAX_RECORDS, token).await.map(|(all, next)| (Some(all), next))).await?;
        found.into_iter().map(Row::of).collect()
    }
    pub(super) async fn scaling_group(&self, cx: &Cx, name: &str) -> Result<Option<Row>> {
        let call = self.scaling.describe_auto_scaling_groups().auto_scaling_group_names(name);
        let answer = self.scaling.read(cx, "DescribeAutoScalingGroups", call.send()).await?;
        answer.auto_scaling_groups.unwrap_or_default().into_iter().find(|g| g.auto_scaling_group_name() == Some(name)).map(Row::of).transpose()
    }
    /// What new instances are made from; None of a launch configuration, and where it is gone.
    pub(super) async fn version_of(&self, cx: &Cx, row: &Row) -> Result<Option<Version>> {
        match row.source() {
            Some(source) => self.version(cx, source).await,
            None => Ok(None),
        }
    }
    /// None where it is gone.
    async fn version(&self, cx: &Cx, source: &LaunchTemplateSpecification) -> Result<Option<Version>> {
        let call = self.ec2.describe_launch_template_versions().versions(told(source.version()).unwrap_or("$Default"));
        let call = match told(source.launch_template_id()) {
            Some(id) => call.launch_template_id(id),
            None => call.set_launch_template_name(source.launch_template_name().map(ToOwned::to_owned)),
        };
        match self.ec2.read(cx, "DescribeLaunchTemplateVersions", call.send()).await {
            Err(e) if error::is(&e, NO_TEMPLATE) => Ok(None),
            answer => {
                let found = answer?.launch_template_versions.unwrap_or_default().pop();
                let of = |v: aws_sdk_ec2::types::LaunchTemplateVersion| Version {
                    number: v.version_number().map(|n| n.to_string()).unwrap_or_default(),
                    launch: v.launch_template_data().map(Launch::of).unwrap_or_default(),
                };
                Ok(found.map(of))
            }
        }
    }
    /// The newest attempts of a group, at most a hundred; none of one that is gone.
    pub(super) async fn activities(&self, cx: &Cx, name: &str) -> Result<Vec<Activity>> {
        let call = self.scaling.describe_scaling_activities().auto_scaling_group_name(name);
        match self.scaling.read(cx, "DescribeScalingActivities", call.send()).await {
            Err(e) if is_gone(&e) => Ok(Vec::new()),
            answer => answer.map(|a| a.activities.unwrap_or_default()),
        }
    }
    /// The one that is under way, else the newest.
    pub(super) async fn refresh(&self, cx: &Cx, name: &str) -> Result<Option<InstanceRefresh>> {
        self.refreshes(cx, name, None).await.map(|all| all.iter().find(|r| is_under_way(r)).cloned().or_else(|| all.into_iter().max_by_key(|r| r.start_time().map(|t| t.secs()))))
    }
    /// The one with this id, or all.
    pub(super) async fn refreshes(&self, cx: &Cx, name: &str, id: Option<&str>) -> Result<Vec<InstanceRefresh>> {
        all_pages(async |token| {
            let call = self.scaling.describe_instance_refreshes().auto_scaling_group_name(name).set_next_token(token);
            let call = call.set_instance_refresh_ids(id.map(|id| vec![id.to_owned()]));
            self.scaling.read(cx, "DescribeInstanceRefreshes", call.send()).await.map(|a| (a.instance_refreshes, a.next_token))
        })
        .await
    }
    /// What belongs to a group: its template, and, only where they can tell something, what it failed at and its replacement.
    pub(super) async fn around_group(&self, cx: &Cx, row: &Row) -> Result<Around> {
        let version = self.version_of(cx, row).await?;
        let members = count(row.members().iter());
        let may_replace = row.out_of_date(version.as_ref()) > 0 || members > row.size();
        let (activities, refresh) = Box::pin(try_join(async { if row.is_short() { self.activities(cx, &row.name).await } else { Ok(Vec::new()) } }, async {
            if may_replace { self.refresh(cx, &row.name).await } else { Ok(None) }
        }))
        .await
        .or_else(|e| if is_gone(&e) { Ok(Default::default()) } else { Err(e) })?;
        Ok(Around { version, activities, refresh })
    }
    /// Its instances at EC2, whatever their state.
    pub(super) async fn group_instances(&self, cx: &Cx, name: &str) -> Result<Vec<Ec2Instance>> {
        Instance::many(self, cx, vec![filter(&format!("tag:{GROUP_OF}"), [name])]).await
    }
    /// Launch templates with these tags.
    pub(super) async fn templates(&self, cx: &Cx, filters: Vec<aws_sdk_ec2::types::Filter>) -> Result<Vec<LaunchTemplate>> {
        all_pages(async |token| {
            let call = self.ec2.describe_launch_templates().set_filters(Some(filters.clone())).set_next_token(token);
            self.ec2.read(cx, "DescribeLaunchTemplates", call.send()).await.map(|a| (a.launch_templates, a.next_token))
        })
        .await
    }
}

/// What is left of one that is gone: its template, which goes last.
pub(super) fn fragment(region: &Region, owner: &Owner, name: &Name<InstanceGroup>, template: &LaunchTemplate) -> Result<Object<InstanceGroup>> {
    let id = answered(told(template.launch_template_id()), "LaunchTemplateId")?;
    let tags = Tags::of(template.tags());
    let uid = tags.get(crate::mark::UID).and_then(|uid| uid.parse().ok());
    let status = InstanceGroupStatus { state: InstanceGroupState::Incomplete, state_reason: format!("only {id} is left of it"), ..InstanceGroupStatus::default() };
    Ok(Object {
        name: name.clone(),
        provider_id: ProviderId::new("aws", "", &[region.id(), id])?,
        vendor_id: id.parse()?,
        mark: uid.map(|uid| Mark { owner: owner.clone(), uid, digest: None }),
        revision: None,
        created_ms: None,
        spec: InstanceGroupSpec::default(),
        status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_the_model_has_a_meaning() {
        for known in LifecycleState::values() {
            assert_eq!(STATES.iter().filter(|(name, _)| name.as_str() == *known).count(), 1, "{known}");
        }
        let member = |state: LifecycleState, health: &str| Member::builder().lifecycle_state(state).health_status(health).build();
        assert_eq!(state(&member(LifecycleState::InService, "Healthy")), MemberState::Running);
        assert_eq!(state(&member(LifecycleState::InService, "Unhealthy")), MemberState::Unhealthy);
        assert_eq!(state(&member(LifecycleState::Terminating, "Unhealthy")), MemberState::Deleting);
        assert_eq!(state(&member(LifecycleState::from("New"), "Healthy")), MemberState::Unspecified);
    }
    #[test]
    fn a_name_is_the_end_of_the_arn() {
        assert_eq!(name_in("arn:aws:autoscaling:eu-west-1:1:autoScalingGroup:0-1:autoScalingGroupName/a/b c"), Some("a/b c"));
        assert_eq!(name_in("lt-1"), None);
    }
}
