//! Many instances that are made from one template and kept at a number.

use super::{Labels, Secret, api_enum, instance, kind, label_violations, word_violation};
use crate::{
    CloudProvider, Condition, Driver, Error, ErrorKind, Image, LocationName, Managed, Name, Reason, Ref, ResourceId, RootDisk, SecurityGroup, Subnet, VendorConfig, VerbName,
    Violation,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

kind! {
    /// Keeps a number of instances that are made from one template: an Auto Scaling group with its launch template on AWS, a managed instance group with its
    /// instance template on GCP, a virtual machine scale set on Azure. Its instances are the group's: nothing else changes or deletes them.
    InstanceGroup at "instanceGroups" in LocationName, id ResourceId, spec InstanceGroupSpec, status InstanceGroupStatus,
    fields &["template", "template.machine_types", "template.image", "template.ssh_key", "template.user_data", "template.identity", "template.root_disk",
        "template.root_disk.size_gib", "template.root_disk.disk_type", "template.root_disk.encrypted", "template.disks", "template.disks.size_gib",
        "template.disks.disk_type", "template.disks.encrypted", "template.security_groups", "template.assign_public_ip", "subnets", "zones", "min_size", "max_size",
        "size", "on_demand_base", "spot_percent", "health", "health.source", "health.grace_period_s", "labels", "provider_config"],
    input_only &["template.ssh_key", "template.user_data"],
    reader |p| p.instance_groups().map(|d| d as &dyn crate::Reader<Self>),
    zone |_, _| None,
    condition |status| match status.state {
        InstanceGroupState::Unspecified | InstanceGroupState::Active => Condition::Usable,
        InstanceGroupState::Deleting => Condition::Leaving,
        InstanceGroupState::Incomplete => Condition::Incomplete,
    },
    refs |spec| {
        let subnets = spec.subnets.iter_mut().enumerate().map(|(i, r)| r.any(format!("subnets[{i}]")));
        let groups = spec.template.security_groups.iter_mut().enumerate().map(|(i, r)| r.any(format!("template.security_groups[{i}]")));
        subnets.chain(spec.template.image.iter_mut().map(|r| r.any("template.image"))).chain(groups).collect()
    }
}

/// What an instance group should be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstanceGroupSpec {
    /// What new instances are. A change of it touches none that is there: they are out of date until they are replaced.
    pub template: InstanceTemplate,
    /// The subnets that instances are made in, spread evenly over their zones. Required: at least one. Their order means nothing.
    pub subnets: Vec<Ref<Subnet>>,
    /// The zones, where a subnet spans several. Where subnets lie in one they follow from the subnets.
    pub zones: Vec<String>,
    /// The size never falls below it.
    pub min_size: u32,
    /// The size never rises above it. Required.
    pub max_size: Option<u32>,
    /// How many instances there should be; what is left open begins as the smallest.
    pub size: Option<u32>,
    /// So many of them are never spot instances.
    pub on_demand_base: u32,
    /// Of those above that base so many in a hundred are spot instances, which are cheaper and which the cloud may take back at any time.
    pub spot_percent: u32,
    /// When an instance is taken for broken, and replaced.
    pub health: GroupHealth,
    /// A user's own labels; instances get them too.
    pub labels: Labels,
    /// The vendor's extension.
    pub provider_config: Option<VendorConfig>,
}
impl InstanceGroupSpec {
    /// How many instances there should be at the beginning.
    #[must_use]
    pub fn first_size(&self) -> u32 {
        self.size.unwrap_or(self.min_size)
    }
}

/// What the instances of a group are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstanceTemplate {
    /// The ids of machine types, the preferred one first; the next where the cloud has no capacity for it. Required: at least one.
    pub machine_types: Vec<String>,
    /// The image: a vendor's id or a portable family such as `debian-12`. Required. What is read back is the vendor's id.
    pub image: Option<Ref<Image>>,
    /// A public key in OpenSSH form for the image's default user. Input only.
    pub ssh_key: Option<String>,
    /// What the image runs at its first start, as text of at most 16 KiB. Input only, secret.
    pub user_data: Option<Secret>,
    /// As whom the machines call their cloud, as of an instance.
    pub identity: Option<String>,
    /// The disk that each starts from.
    pub root_disk: RootDisk,
    /// Further disks, new ones for each instance, which go with it.
    pub disks: Vec<TemplateDisk>,
    /// What their traffic is let through by. Their order means nothing.
    pub security_groups: Vec<Ref<SecurityGroup>>,
    /// A public IPv4 address for each; None leaves it to the subnet.
    pub assign_public_ip: Option<bool>,
}

/// A disk that is made with each instance.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TemplateDisk {
    /// Its size in GiB. Required.
    pub size_gib: Option<u32>,
    /// The vendor's disk type.
    pub disk_type: Option<String>,
    /// Encrypted with the account's default key.
    pub encrypted: Option<bool>,
}

/// When an instance is taken for broken.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupHealth {
    /// Who says so. What is left open is the cloud's choice.
    pub source: HealthSource,
    /// For so long after its start that counts for nothing.
    pub grace_period_s: Option<u32>,
}

api_enum! {
    /// Who says that an instance is broken.
    HealthSource {
        /// The cloud, where the machine itself does not run.
        Instance = "INSTANCE",
        /// A load balancer too, where its checks of the instance fail.
        LoadBalancer = "LOAD_BALANCER",
    }
}
api_enum! {
    /// Where an instance group is in its life. It is there whether or not it has all of its instances.
    InstanceGroupState {
        /// It keeps its number of instances, as far as the cloud lets it.
        Active = "ACTIVE",
        /// It and its instances are being removed.
        Deleting = "DELETING",
        /// A part is missing: it can only be deleted.
        Incomplete = "INCOMPLETE",
    }
}
api_enum! {
    /// Where an instance of a group is in its life.
    MemberState {
        /// Being made, or starting.
        Pending = "PENDING",
        /// Running, and one of the group's number.
        Running = "RUNNING",
        /// It is taken for broken, and will be replaced.
        Unhealthy = "UNHEALTHY",
        /// Being removed.
        Deleting = "DELETING",
        /// The cloud did not make it: it has no id.
        Failed = "FAILED",
    }
}

/// What an instance group is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceGroupStatus {
    /// Its state.
    pub state: InstanceGroupState,
    /// Why it does not have what it should have, in the cloud's words, where it tells.
    pub state_reason: String,
    /// The zones that its instances are spread over.
    pub effective_zones: Vec<String>,
    /// How many instances run.
    pub running_instances: u32,
    /// How many are being made.
    pub pending_instances: u32,
    /// How many attempts at making one have failed since the last that did not.
    pub failed_launches: u32,
    /// How many run or are being made from an earlier template.
    pub out_of_date_instances: u32,
    /// Which template new instances are made from, in the cloud's words.
    pub template_version: String,
    /// Are instances being replaced?
    pub is_replacing: bool,
}

/// What can be asked of an instance group beyond what a read shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceGroupQuestion {
    /// Its instances, and what the cloud could not make.
    Members,
}
impl fmt::Display for InstanceGroupQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Members => VerbName::Members.as_str(),
        })
    }
}

/// An instance of a group, or an attempt at making one that failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupMember {
    /// The instance's vendor id; empty of what was not made.
    pub instance: String,
    /// Where it is in its life.
    pub state: MemberState,
    /// Its zone.
    pub zone: String,
    /// Its machine type.
    pub machine_type: String,
    /// Is it a spot instance?
    pub spot: bool,
    /// Which template it was made from, in the cloud's words.
    pub template_version: String,
    /// Is that an earlier one?
    pub out_of_date: bool,
    /// Why it was not made, as errors say it: `CAPACITY`, `QUOTA_EXCEEDED`. Empty of what was made.
    pub failure: String,
    /// Why it is in this state, in the cloud's words, where it tells.
    pub reason: String,
    /// Since when it is there, or when it failed, in milliseconds since 1970.
    pub time_ms: Option<u64>,
}

/// Instances that are to go, and to be missed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ChosenInstances {
    /// By the vendor's ids.
    pub instances: Vec<String>,
}

/// How instances from an earlier template are replaced.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Replacement {
    /// So many may be missing meanwhile; one, where neither is said.
    pub max_unavailable: Option<u32>,
    /// So many more there may be meanwhile.
    pub max_surge: Option<u32>,
}
impl Replacement {
    /// How many may be missing, and how many too many.
    #[must_use]
    pub fn bounds(&self) -> (u32, u32) {
        match (self.max_unavailable, self.max_surge) {
            (None, None) => (1, 0),
            (missing, more) => (missing.unwrap_or(0), more.unwrap_or(0)),
        }
    }
}

/// What can be done with an instance group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceGroupAction {
    /// Deletes these instances and lowers the size by as many.
    DeleteInstances(ChosenInstances),
    /// Replaces what was made from an earlier template, a few at a time.
    ReplaceInstances(Replacement),
    /// Replaces no more; what is replaced stays so.
    StopReplacement,
}
impl fmt::Display for InstanceGroupAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeleteInstances(_) => VerbName::DeleteInstances.as_str(),
            Self::ReplaceInstances(_) => VerbName::ReplaceInstances.as_str(),
            Self::StopReplacement => VerbName::StopReplacement.as_str(),
        })
    }
}

/// What the deletion of chosen instances came to, in their order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct InstanceOutcomes(pub Vec<InstanceOutcome>);
impl InstanceOutcomes {
    /// All are gone but those that were none of the group's.
    #[must_use]
    pub fn of(chosen: &ChosenInstances, no_members: &BTreeSet<String>) -> Self {
        let not_its = |instance: &String| Error::new(ErrorKind::FailedPrecondition, Reason::NotOwned, format!("{instance} is no instance of the group"));
        let outcome = |instance: &String| InstanceOutcome { instance: instance.clone(), error: no_members.contains(instance).then(|| not_its(instance)) };
        Self(chosen.instances.iter().map(outcome).collect())
    }
}
/// What it came to for one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceOutcome {
    /// Of which.
    pub instance: String,
    /// Why it is still there.
    pub error: Option<Error>,
}

/// One group of AWS takes at most 40 types (`LaunchTemplateOverrides` in botocore's model of Auto Scaling).
const MAX_MACHINE_TYPES: usize = 40;
/// More zones than a region has, and few enough to be compared with each other.
const MAX_PLACES: usize = 64;
/// More than a machine type takes on most clouds (AWS: about 28 volumes, <https://docs.aws.amazon.com/ebs/latest/userguide/volume_limits.html>).
const MAX_DISKS: usize = 24;
/// GCP's limit for a regional group, the smallest that is a number (<https://cloud.google.com/compute/docs/instance-groups>: 2000 in a region).
const MAX_SIZE: u32 = 2000;
/// Each is a call of its own on AWS.
const MAX_CHOSEN: usize = 1000;

impl Managed for InstanceGroup {
    type Action = InstanceGroupAction;
    /// What only the deletion of chosen instances has.
    type Outcome = Option<InstanceOutcomes>;
    type Question = InstanceGroupQuestion;
    type Answer = Vec<GroupMember>;
    fn driver(p: &dyn CloudProvider) -> Option<&dyn Driver<Self>> {
        p.instance_groups()
    }
    fn label(id: &ResourceId) -> Option<&ResourceId> {
        Some(id)
    }
    fn zone_mut(_: &mut InstanceGroupSpec) -> Option<&mut Option<String>> {
        None
    }
    fn known(action: &mut InstanceGroupAction, _: &Name<Self>, _: &dyn Fn(&str) -> bool, _: u32) -> Vec<Violation> {
        let mut out = Vec::new();
        match action {
            InstanceGroupAction::DeleteInstances(ChosenInstances { instances }) => {
                if instances.is_empty() || instances.len() > MAX_CHOSEN {
                    out.push(Violation::new("instances", format!("1 to {MAX_CHOSEN} instances, got {}", instances.len())));
                    return out;
                }
                twice("instances", instances, &mut out);
                for (i, _) in instances.iter().enumerate().filter(|(_, id)| id.is_empty()) {
                    out.push(Violation::new(format!("instances[{i}]"), "an instance's id, as the group's members show it"));
                }
            }
            InstanceGroupAction::ReplaceInstances(replacement) => {
                if replacement.bounds() == (0, 0) {
                    out.push(Violation::new("max_unavailable", "where none may be missing and none too many, none can be replaced"));
                }
                for (field, _) in [("max_unavailable", replacement.max_unavailable), ("max_surge", replacement.max_surge)].iter().filter(|(_, n)| n.is_some_and(|n| n > MAX_SIZE)) {
                    out.push(Violation::new(*field, format!("at most {MAX_SIZE}")));
                }
            }
            InstanceGroupAction::StopReplacement => {}
        }
        out
    }
    fn undo(action: &InstanceGroupAction) -> Option<InstanceGroupAction> {
        matches!(action, InstanceGroupAction::ReplaceInstances(_)).then_some(InstanceGroupAction::StopReplacement)
    }
    fn violations(spec: &InstanceGroupSpec) -> Vec<Violation> {
        let mut out = Vec::new();
        let template = &spec.template;
        let mut needs = |field: &str, is_there: bool, why: &str| {
            if !is_there {
                out.push(Violation::new(field, why));
            }
        };
        needs("template.machine_types", !template.machine_types.is_empty(), "a group needs a machine type; `welkin get machine-types` lists them");
        needs("template.image", template.image.is_some(), "a group needs an image, for example debian-12");
        needs("subnets", !spec.subnets.is_empty(), "a group needs a subnet to make instances in");
        needs("max_size", spec.max_size.is_some(), "a group needs a size that it never rises above");
        let bounded = [
            ("template.machine_types", template.machine_types.len(), MAX_MACHINE_TYPES),
            ("template.disks", template.disks.len(), MAX_DISKS),
            ("subnets", spec.subnets.len(), MAX_PLACES),
            ("zones", spec.zones.len(), MAX_PLACES),
        ];
        for (field, items, most) in bounded {
            if items > most {
                out.push(Violation::new(field, format!("at most {most}, got {items}")));
                return out;
            }
        }
        template_violations(template, &mut out);
        twice("subnets", &spec.subnets.iter().map(|r| &r.name).collect::<Vec<_>>(), &mut out);
        twice("zones", &spec.zones, &mut out);
        for (i, zone) in spec.zones.iter().enumerate() {
            word_violation(&format!("zones[{i}]"), Some(zone), &mut out);
        }
        size_violations(spec, &mut out);
        label_violations(&spec.labels, &mut out);
        out
    }
}

fn twice<T: fmt::Display + Ord>(field: &str, items: &[T], out: &mut Vec<Violation>) {
    let mut seen = BTreeSet::new();
    for (i, item) in items.iter().enumerate() {
        if !seen.insert(item) {
            out.push(Violation::new(format!("{field}[{i}]"), format!("{item} is there twice")));
        }
    }
}
fn template_violations(template: &InstanceTemplate, out: &mut Vec<Violation>) {
    twice("template.machine_types", &template.machine_types, out);
    for (i, machine_type) in template.machine_types.iter().enumerate() {
        let field = format!("template.machine_types[{i}]");
        if machine_type.is_empty() {
            out.push(Violation::new(&field, "a machine type has a name"));
        }
        word_violation(&field, Some(machine_type), out);
    }
    instance::group_violations("template.security_groups", &template.security_groups, out);
    instance::start_violations("template.", template.ssh_key.as_ref(), template.user_data.as_ref(), out);
    instance::root_disk_violations("template.", &template.root_disk, out);
    word_violation("template.identity", template.identity.as_ref(), out);
    for (i, disk) in template.disks.iter().enumerate() {
        if disk.size_gib.is_none_or(|size| size == 0) {
            out.push(Violation::new(format!("template.disks[{i}].size_gib"), "a disk needs a size of at least 1 GiB"));
        }
        word_violation(&format!("template.disks[{i}].disk_type"), disk.disk_type.as_ref(), out);
    }
}
fn size_violations(spec: &InstanceGroupSpec, out: &mut Vec<Violation>) {
    let mut wrong = |field: &str, why: String| out.push(Violation::new(field, why));
    if let Some(max) = spec.max_size {
        if max > MAX_SIZE {
            wrong("max_size", format!("at most {MAX_SIZE}, got {max}"));
        }
        if spec.min_size > max {
            wrong("min_size", format!("{} is above max_size, which is {max}", spec.min_size));
        } else if spec.size.is_some_and(|size| !(spec.min_size..=max).contains(&size)) {
            wrong("size", format!("between min_size and max_size, {} and {max}, got {}", spec.min_size, spec.first_size()));
        }
        if spec.on_demand_base > max {
            wrong("on_demand_base", format!("{} is above max_size, which is {max}", spec.on_demand_base));
        }
    }
    if spec.spot_percent > 100 {
        wrong("spot_percent", format!("a share in percent, got {}", spec.spot_percent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> InstanceGroupSpec {
        InstanceGroupSpec {
            template: InstanceTemplate { machine_types: vec!["small".into()], image: "locations/r/images/i".parse().ok().map(Ref::to), ..Default::default() },
            subnets: vec![Ref::to("locations/r/subnets/s".parse().unwrap())],
            max_size: Some(4),
            ..InstanceGroupSpec::default()
        }
    }
    fn wrong(set: impl FnOnce(&mut InstanceGroupSpec)) -> Vec<String> {
        let mut spec = plain();
        set(&mut spec);
        InstanceGroup::violations(&spec).into_iter().map(|v| v.field).collect()
    }
    fn wrong_action(mut action: InstanceGroupAction) -> Vec<String> {
        InstanceGroup::known(&mut action, &"locations/r/instanceGroups/g".parse().unwrap(), &|_| false, 30).into_iter().map(|v| v.field).collect()
    }

    #[test]
    fn what_is_needed_is_named() {
        assert_eq!(wrong(|_| {}), [""; 0]);
        assert_eq!(wrong(|spec| *spec = InstanceGroupSpec::default()), ["template.machine_types", "template.image", "subnets", "max_size"]);
        assert_eq!(wrong(|spec| spec.template.machine_types = vec!["a".into(), String::new(), "a".into()]), ["template.machine_types[2]", "template.machine_types[1]"]);
        assert_eq!(wrong(|spec| spec.template.disks = vec![TemplateDisk::default()]), ["template.disks[0].size_gib"]);
        assert_eq!(wrong(|spec| spec.template.ssh_key = Some("secret".into())), ["template.ssh_key"]);
        assert_eq!(wrong(|spec| spec.template.user_data = Some(Secret::new("x".repeat(16 * 1024 + 1)))), ["template.user_data"]);
        assert_eq!(wrong(|spec| spec.template.root_disk.size_gib = Some(0)), ["template.root_disk.size_gib"]);
        assert_eq!(wrong(|spec| spec.subnets = [plain().subnets, plain().subnets].concat()), ["subnets[1]"]);
        assert_eq!(wrong(|spec| spec.zones = vec!["a".into(), "a".into()]), ["zones[1]"]);
    }
    #[test]
    fn sizes_hold_together() {
        for (min, size, max, base, fields) in [
            (0, None, 4, 0, &[][..]),
            (4, Some(4), 4, 4, &[]),
            (5, None, 4, 0, &["min_size"]),
            (2, Some(1), 4, 0, &["size"]),
            (0, Some(5), 4, 0, &["size"]),
            (0, None, 4, 5, &["on_demand_base"]),
            (0, None, MAX_SIZE + 1, 0, &["max_size"]),
        ] {
            let set = |spec: &mut InstanceGroupSpec| (spec.min_size, spec.size, spec.max_size, spec.on_demand_base) = (min, size, Some(max), base);
            assert_eq!(wrong(set), fields, "{min}, {size:?}, {max}, {base}");
        }
        assert_eq!(wrong(|spec| spec.spot_percent = 101), ["spot_percent"]);
    }
    #[test]
    fn an_action_says_enough() {
        let delete = |ids: &[&str]| wrong_action(InstanceGroupAction::DeleteInstances(ChosenInstances { instances: ids.iter().map(|id| (*id).to_owned()).collect() }));
        assert_eq!((delete(&["i-1", "i-2"]), delete(&[])), (vec![], vec!["instances".to_owned()]));
        assert_eq!((delete(&["i-1", "i-1"]), delete(&[""])), (vec!["instances[1]".to_owned()], vec!["instances[0]".to_owned()]));
        let replace = |max_unavailable, max_surge| Replacement { max_unavailable, max_surge };
        assert_eq!([replace(None, None).bounds(), replace(None, Some(2)).bounds(), replace(Some(3), None).bounds()], [(1, 0), (0, 2), (3, 0)]);
        assert_eq!(wrong_action(InstanceGroupAction::ReplaceInstances(replace(Some(0), None))), ["max_unavailable"]);
        assert_eq!(wrong_action(InstanceGroupAction::ReplaceInstances(replace(None, Some(MAX_SIZE + 1)))), ["max_surge"]);
        assert_eq!(wrong_action(InstanceGroupAction::StopReplacement), [""; 0]);
    }
    #[test]
    fn what_was_begun_is_stopped() {
        assert_eq!(InstanceGroup::undo(&InstanceGroupAction::ReplaceInstances(Replacement::default())), Some(InstanceGroupAction::StopReplacement));
        assert_eq!(InstanceGroup::undo(&InstanceGroupAction::DeleteInstances(ChosenInstances::default())), None);
    }
}
