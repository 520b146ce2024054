//! Why instances of a group were not made: Auto Scaling tells it as text alone.

use aws_sdk_autoscaling::types::{Activity, ScalingActivityStatusCode};
use std::time::Duration;
use welkin_core::{GroupMember, MemberState, Reason};

use crate::step::{age, told, unix_ms};

/// What is older tells nothing of how things are.
const LATELY: Duration = Duration::from_hours(1);

/// Parts of messages in lower case, and what they mean. The first that fits counts. They are those of
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-capacity.html> and
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-instancelaunchfailure.html>, and EC2's codes, which some messages have.
static REASONS: &[(&str, Reason)] = &[
    ("do not have sufficient", Reason::Capacity),
    ("insufficientinstancecapacity", Reason::Capacity),
    ("insufficient capacity", Reason::Capacity),
    ("unfulfillablecapacity", Reason::Capacity),
    ("no spot capacity", Reason::Capacity),
    ("spotmaxpricetoolow", Reason::Capacity),
    ("vcpulimitexceeded", Reason::QuotaExceeded),
    ("vcpu limit", Reason::QuotaExceeded),
    ("maxspotinstancecountexceeded", Reason::QuotaExceeded),
    ("max spot instance count exceeded", Reason::QuotaExceeded),
    ("your quota allows", Reason::QuotaExceeded),
    ("limitexceeded", Reason::QuotaExceeded),
    ("enough free addresses", Reason::QuotaExceeded),
    ("not authorized", Reason::CloudPermission),
    ("the image id", Reason::ImageNotFound),
    ("ami cannot be described", Reason::ImageNotFound),
    ("is not supported", Reason::CapabilityUnsupported),
    ("not currently supported", Reason::CapabilityUnsupported),
    ("currently not supported", Reason::CapabilityUnsupported),
    ("does not exist", Reason::ReferenceNotFound),
    ("invalid device name", Reason::InvalidField),
];
fn reason(message: &str) -> Reason {
    let message = message.to_lowercase();
    REASONS.iter().find(|(part, _)| message.contains(part)).map_or(Reason::CreationFailed, |(_, reason)| *reason)
}

/// An attempt at making an instance that has come to its end.
struct Attempt<'a> {
    activity: &'a Activity,
    is_failed: bool,
}
/// "Launching a new EC2 instance: i-0", newest first.
fn attempts(activities: &[Activity]) -> impl Iterator<Item = Attempt<'_>> {
    let launches = activities.iter().filter(|a| a.description().is_some_and(|d| d.starts_with("Launching")));
    launches.filter_map(|activity| match activity.status_code() {
        Some(ScalingActivityStatusCode::Failed | ScalingActivityStatusCode::Cancelled) => Some(Attempt { activity, is_failed: true }),
        Some(ScalingActivityStatusCode::Successful) => Some(Attempt { activity, is_failed: false }),
        _ => None,
    })
}
/// How many have failed since the last that did not, and what the newest of them says.
pub(super) fn since_success(activities: &[Activity]) -> (u32, String) {
    let failed: Vec<_> = attempts(activities).take_while(|a| a.is_failed).collect();
    let newest = failed.first().and_then(|a| told(a.activity.status_message())).unwrap_or_default().to_owned();
    (failed.len().try_into().unwrap_or(u32::MAX), newest)
}
/// Those of the last hour, as members without an instance.
pub(super) fn members(activities: &[Activity], template_version: &str) -> Vec<GroupMember> {
    let failed = attempts(activities).filter(|a| a.is_failed);
    let lately = failed.filter(|a| started_ms(a.activity).is_none_or(|at| age(at) < LATELY));
    lately.map(|a| member(a.activity, template_version)).collect()
}
fn member(activity: &Activity, template_version: &str) -> GroupMember {
    let message = told(activity.status_message()).unwrap_or_default();
    GroupMember {
        state: MemberState::Failed,
        zone: zone(activity).unwrap_or_default(),
        template_version: template_version.to_owned(),
        failure: reason(message).to_string(),
        reason: message.to_owned(),
        time_ms: started_ms(activity),
        ..GroupMember::default()
    }
}
fn started_ms(activity: &Activity) -> Option<u64> {
    unix_ms(activity.start_time())
}
/// Its details are JSON: `{"Subnet ID":"subnet-1","Availability Zone":"eu-west-1a"}`.
fn zone(activity: &Activity) -> Option<String> {
    let details: serde_json::Value = serde_json::from_str(activity.details()?).ok()?;
    Some(details.get("Availability Zone")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(description: &str, status: ScalingActivityStatusCode, message: &str) -> Activity {
        Activity::builder().description(description).status_code(status).status_message(message).details(r#"{"Availability Zone":"eu-west-1a"}"#).build()
    }
    #[test]
    fn messages_have_reasons() {
        for (message, expected) in [
            ("We currently do not have sufficient t2.micro capacity in the Availability Zone you requested (us-east-1b). Launching EC2 instance failed.", Reason::Capacity),
            ("Could not launch Spot Instances. InsufficientInstanceCapacity - There is no capacity.", Reason::Capacity),
            ("You have requested more vCPU capacity than your current vCPU limit of 32 allows", Reason::QuotaExceeded),
            ("Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count exceeded.", Reason::QuotaExceeded),
            ("4 instance(s) are already running. Launching EC2 instance failed. Your quota allows for 0 more running instance(s).", Reason::QuotaExceeded),
            ("The security group 'sg-1' does not exist. Launching EC2 instance failed.", Reason::ReferenceNotFound),
            ("The image id '[ami-1]' does not exist. Launching EC2 instance failed.", Reason::ImageNotFound),
            ("The requested configuration is currently not supported. Launching EC2 instance failed.", Reason::CapabilityUnsupported),
            ("You are not authorized to perform this operation. Launching EC2 instance failed.", Reason::CloudPermission),
            ("Something else", Reason::CreationFailed),
        ] {
            assert_eq!(reason(message), expected, "{message}");
        }
        for (n, (part, _)) in REASONS.iter().enumerate() {
            assert_eq!(*part, part.to_lowercase());
            assert!(REASONS[..n].iter().all(|(before, _)| !part.contains(before)), "{part} is never reached");
        }
    }
    #[test]
    fn what_failed_since_the_last_success_counts() {
        use ScalingActivityStatusCode::{Cancelled, Failed, InProgress, Successful};
        let all = [
            activity("Launching a new EC2 instance", InProgress, ""),
            activity("Launching a new EC2 instance.  Status Reason: x", Failed, "We currently do not have sufficient capacity"),
            activity("Terminating EC2 instance: i-1", Failed, "not a launch"),
            activity("Launching a new EC2 instance", Cancelled, "second"),
            activity("Launching a new EC2 instance: i-2", Successful, ""),
            activity("Launching a new EC2 instance", Failed, "before"),
        ];
        assert_eq!(since_success(&all), (2, "We currently do not have sufficient capacity".to_owned()));
        assert_eq!(since_success(&all[4..]), (0, String::new()));
        let told = members(&all, "3");
        assert_eq!(
            told.iter().map(|m| (m.failure.as_str(), m.zone.as_str(), m.template_version.as_str())).collect::<Vec<_>>(),
            [("CAPACITY", "eu-west-1a", "3"), ("CREATION_FAILED", "eu-west-1a", "3"), ("CREATION_FAILED", "eu-west-1a", "3")]
        );
    }
}
