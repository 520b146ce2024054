//! Everything that was recorded of Auto Scaling groups goes through the SDK's parser and our own decoders, and comes to what it says.
//!
//! Of the template that a group names nothing was recorded: a version that stands for any is answered.

use crate::{
    document::{Element, elements, without},
    members::Members,
    recorded::{rows, text},
    recordings::Counts,
    replay::Replay,
    specification::{Answer, Model},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use welkin_core::*;

pub const OPERATION: &str = "DescribeAutoScalingGroups";
pub const ROWS: &str = "DescribeAutoScalingGroupsResult/AutoScalingGroups/member";
/// The version of the template, and its machine type.
const VERSION: &str = "7";
const TYPE: &str = "t3.small";

pub static MEMBERS: &[Members] = &[Members {
    operation: OPERATION,
    rows: "AutoScalingGroups[]",
    shown: &[
        "AutoScalingGroupARN",
        "LaunchConfigurationName",
        "MixedInstancesPolicy.LaunchTemplate.Overrides[].InstanceType",
        "MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity",
        "MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity",
        "MinSize",
        "MaxSize",
        "DesiredCapacity",
        "AvailabilityZones",
        "HealthCheckType",
        "HealthCheckGracePeriod",
        "Instances[].LifecycleState",
        "Instances[].HealthStatus",
        "CreatedTime",
        "VPCZoneIdentifier",
        "Status",
        "Tags[].Key",
        "Tags[].Value",
    ],
    read: &[
        ("pages", &["NextToken"]),
        ("what it is called by", &["AutoScalingGroupName"]),
        ("which template, and which version of it", &["LaunchTemplate", "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification", "Instances[].LaunchTemplate"]),
        ("the group's members are asked for by themselves", &["Instances[].InstanceId", "Instances[].InstanceType", "Instances[].AvailabilityZone"]),
    ],
    ignored: &[
        ("its name stands for it", &["AvailabilityZoneIds", "Instances[].AvailabilityZoneId"]),
        ("the tag is the group's own", &["Tags[].ResourceId", "Tags[].ResourceType"]),
        ("which of the tags are labels of instances only a change has to know", &["Tags[].PropagateAtLaunch"]),
        ("what a group of ours never has", &["MixedInstancesPolicy.LaunchTemplate.Overrides[]", "MixedInstancesPolicy.InstancesDistribution"]),
        ("load balancers know whom they lead to", &["LoadBalancerNames", "TargetGroupARNs", "TrafficSources"]),
        ("the template says so", &["Instances[].LaunchConfigurationName", "Instances[].ImageId"]),
        (
            "not in the API",
            &[
                "PredictedCapacity",
                "DefaultCooldown",
                "Instances[].ProtectedFromScaleIn",
                "Instances[].WeightedCapacity",
                "SuspendedProcesses",
                "PlacementGroup",
                "EnabledMetrics",
                "TerminationPolicies",
                "NewInstancesProtectedFromScaleIn",
                "ServiceLinkedRoleARN",
                "MaxInstanceLifetime",
                "CapacityRebalance",
                "WarmPoolConfiguration",
                "WarmPoolSize",
                "Context",
                "DesiredCapacityType",
                "DefaultInstanceWarmup",
                "InstanceMaintenancePolicy",
                "DeletionProtection",
                "AvailabilityZoneDistribution",
                "AvailabilityZoneImpairmentPolicy",
                "CapacityReservationSpecification",
                "InstanceLifecyclePolicy",
                "Operator",
            ],
        ),
    ],
}];

/// Tells everything that a group is read by.
pub fn stand(replay: &Replay, xml: &str) {
    let data = format!("<launchTemplateData><imageId>ami-1</imageId><instanceType>{TYPE}</instanceType></launchTemplateData>");
    let version = format!("<launchTemplateVersionSet><item><versionNumber>{VERSION}</versionNumber>{data}</item></launchTemplateVersionSet>");
    let root = "DescribeLaunchTemplateVersionsResponse";
    replay.answers("DescribeLaunchTemplateVersions", 200, &format!("<{root}>{version}</{root}>"));
    replay.answers(OPERATION, 200, xml);
}
/// Everything that reads show of this answer.
pub async fn see(replay: &Replay, xml: &str) -> String {
    stand(replay, xml);
    replay.list(&Query::<InstanceGroup>::all(100)).await.map_or_else(|e| e.to_string(), |objects| format!("{objects:?}"))
}
/// The answer with its n-th row alone.
pub fn alone(xml: &str, n: usize) -> String {
    let all: Vec<Element> = elements(xml).into_iter().filter(|e| e.path == ROWS).collect();
    without(xml, |e| e.path == ROWS && e.whole != all[n].whole)
}
pub fn target(id: &str) -> Target<InstanceGroup> {
    Target::Vendor { parent: LocationName::of("eu-west-1").unwrap(), vendor_id: id.parse().unwrap() }
}

/// The table of docs/fidelity.md.
pub async fn come_to_what_they_say(model: &Model) -> String {
    let (replay, mut counts) = (Replay::start().await, Counts::default());
    for answer in model.answers(OPERATION) {
        counts.passed(answer, groups(&replay, answer).await);
    }
    counts.line(model, OPERATION, InstanceGroup::COLLECTION)
}
/// By the list, and each row once more by `get` and with its members.
async fn groups(replay: &Replay, answer: &Answer) -> usize {
    let (source, rows) = (&answer.source, rows(&answer.answer, "AutoScalingGroups[]"));
    stand(replay, &answer.xml);
    let objects = replay.list(&Query::<InstanceGroup>::all(100)).await.unwrap_or_else(|e| panic!("{source}: {e}"));
    assert_eq!(objects.len(), rows.len(), "{source}");
    for (n, (row, object)) in rows.iter().zip(&objects).enumerate() {
        let id = text(row, "/AutoScalingGroupARN").unwrap();
        assert_eq!((object.vendor_id.as_str(), &object.mark, object.name.id.decoded().as_str()), (id, &None, id), "{source}");
        assert_eq!(shown(object), said(row), "{source} {id}");
        stand(replay, &alone(&answer.xml, n));
        assert_eq!(&replay.get(&target(id)).await.unwrap(), object, "{source} {id}");
        let members = replay.aws.instance_groups().unwrap().ask(&replay.cx(), &target(id), &InstanceGroupQuestion::Members).await.unwrap();
        let told: BTreeSet<String> = members.iter().map(|m| json!([m.instance, m.zone, m.machine_type, m.state]).to_string()).collect();
        let members_said = |m: &Value| json!([m["InstanceId"], m["AvailabilityZone"], m.get("InstanceType").unwrap_or(&json!("")), state(m)]).to_string();
        assert_eq!(told, row["Instances"].as_array().unwrap().iter().map(members_said).collect(), "{source} {id}");
    }
    rows.len()
}
/// Said a second time: the words that were recorded.
fn state(member: &Value) -> &'static str {
    match (text(member, "/LifecycleState").unwrap(), text(member, "/HealthStatus").unwrap_or_default()) {
        ("InService" | "Standby", "Unhealthy") => "UNHEALTHY",
        ("InService" | "Standby", _) => "RUNNING",
        (word, _) if word.starts_with("Terminat") => "DELETING",
        _ => "PENDING",
    }
}
fn said(row: &Value) -> Value {
    let list = |member: &str| row.get(member).and_then(Value::as_array).cloned().unwrap_or_default();
    let in_state = |wanted: &str| list("Instances").iter().filter(|m| state(m) == wanted).count();
    let policy = |path: &str| row.pointer(&format!("/MixedInstancesPolicy/{path}")).cloned();
    let overrides: Vec<Value> =
        policy("LaunchTemplate/Overrides").and_then(|o| o.as_array().cloned()).unwrap_or_default().iter().filter_map(|o| o.get("InstanceType").cloned()).collect();
    let has_template = row.get("LaunchTemplate").is_some() || row.get("MixedInstancesPolicy").is_some();
    let types = if overrides.is_empty() { vec![json!(TYPE)] } else { overrides };
    let spot = policy("InstancesDistribution/OnDemandPercentageAboveBaseCapacity").and_then(|n| n.as_u64()).map_or(0, |n| 100_u64.saturating_sub(n));
    json!({
        "sizes": [row["MinSize"], row["MaxSize"], row["DesiredCapacity"]],
        "zones": list("AvailabilityZones").iter().map(|z| z.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(),
        "grace": row["HealthCheckGracePeriod"],
        "health": if text(row, "/HealthCheckType").unwrap().contains("ELB") { "LOAD_BALANCER" } else { "INSTANCE" },
        "created": row["CreatedTime"],
        "subnets": text(row, "/VPCZoneIdentifier").unwrap_or_default().split(',').filter(|s| !s.is_empty()).map(ToOwned::to_owned).collect::<BTreeSet<_>>(),
        "state": if text(row, "/Status").is_some() { "DELETING" } else { "ACTIVE" },
        "running": in_state("RUNNING"),
        "pending": in_state("PENDING"),
        "version": if has_template { Some(VERSION) } else { text(row, "/LaunchConfigurationName") },
        "types": if has_template { types } else { Vec::new() },
        "mixture": [policy("InstancesDistribution/OnDemandBaseCapacity").unwrap_or(json!(0)), json!(spot)],
        "labels": list("Tags").iter().map(|t| (text(t, "/Key").unwrap().to_owned(), text(t, "/Value").unwrap_or_default().to_owned())).filter(|(k, _)| !k.starts_with("aws:")).collect::<Labels>(),
    })
}
fn shown(object: &Object<InstanceGroup>) -> Value {
    let (spec, status) = (&object.spec, &object.status);
    json!({
        "sizes": [Some(spec.min_size), spec.max_size, spec.size],
        "zones": status.effective_zones,
        "grace": spec.health.grace_period_s,
        "health": spec.health.source,
        "created": object.created_ms,
        "subnets": spec.subnets.iter().map(|s| s.vendor_id.clone().unwrap().to_string()).collect::<BTreeSet<_>>(),
        "state": status.state,
        "running": status.running_instances,
        "pending": status.pending_instances,
        "version": Some(status.template_version.as_str()),
        "types": spec.template.machine_types,
        "mixture": [spec.on_demand_base, spec.spot_percent],
        "labels": spec.labels,
    })
}
