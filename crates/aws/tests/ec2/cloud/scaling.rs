//! A small Auto Scaling over HTTP beside the small EC2: groups that keep their number of instances, and replace them.

use super::{Pairs, Script, pairs};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;

/// Of its API, by which its calls are told from EC2's.
pub const VERSION: &str = "2011-01-01";
const NAMESPACE: &str = "http://autoscaling.amazonaws.com/doc/2011-01-01/";
const TEMPLATE: &str = "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification";
const NO_GROUP: &str = "ValidationError: AutoScalingGroup name not found - null";

#[derive(Debug, Clone)]
pub struct Member {
    pub instance: String,
    version: String,
    machine_type: String,
    /// Since when it is on its way out.
    leaves: Option<Instant>,
}
#[derive(Debug, Clone)]
pub struct Group {
    pub arn: String,
    /// The parameters of its create and of its updates.
    pub is: Pairs,
    pub tags: Pairs,
    /// The keys of those that instances get.
    pub propagated: Vec<String>,
    pub members: Vec<Member>,
    /// The target groups that are told of them.
    pub leads: BTreeSet<String>,
    /// Is it being deleted?
    ends: bool,
    made: Instant,
    created: String,
}
impl Group {
    pub fn name(&self) -> &str {
        &self.is["AutoScalingGroupName"]
    }
    fn of(&self, key: &str) -> String {
        self.is.get(key).cloned().unwrap_or_default()
    }
    fn number(&self, key: &str) -> usize {
        self.of(key).parse().unwrap_or_default()
    }
    fn types(&self) -> Vec<String> {
        (1..).map_while(|n| self.is.get(&format!("MixedInstancesPolicy.LaunchTemplate.Overrides.member.{n}.InstanceType")).cloned()).collect()
    }
    fn is_old(&self, member: &Member) -> bool {
        member.version != self.of(&format!("{TEMPLATE}.Version")) || !self.types().contains(&member.machine_type)
    }
}
#[derive(Debug, Clone)]
struct Refresh {
    id: String,
    group: String,
    status: &'static str,
}
#[derive(Debug, Default)]
pub struct Scaling {
    pub groups: Vec<Group>,
    /// How long instances take to go.
    pub ends: Duration,
    /// How long one that was asked to go is still shown in service.
    pub lag: Duration,
    /// What a launch comes to instead of an instance.
    pub fails: Option<&'static str>,
    activities: Vec<(String, &'static str, String)>,
    refreshes: Vec<Refresh>,
    made: usize,
}

type Answer = Result<String, &'static str>;

/// A whole answer.
pub fn whole(action: &str, inner: &str) -> String {
    format!("<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result>{inner}</{action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>")
}
fn tagged(p: &Pairs) -> impl Iterator<Item = (String, String, bool)> {
    let at = |n: usize, part: &str| p.get(&format!("Tags.member.{n}.{part}")).cloned();
    (1..).map_while(move |n| Some((at(n, "Key")?, at(n, "Value").unwrap_or_default(), at(n, "PropagateAtLaunch").is_some_and(|v| v == "true"))))
}
fn told(element: &str, value: &str) -> String {
    if value.is_empty() { String::new() } else { format!("<{element}>{value}</{element}>") }
}

impl Script {
    /// Somebody else's, without a template.
    pub fn plant_group(&mut self, name: &str, tags: &[(&str, &str)]) -> String {
        let is = [("AutoScalingGroupName", name), ("MinSize", "0"), ("MaxSize", "1"), ("DesiredCapacity", "0"), ("VPCZoneIdentifier", "subnet-1")];
        self.make_group(pairs(&is), pairs(tags), Vec::new())
    }
    fn make_group(&mut self, is: Pairs, tags: Pairs, propagated: Vec<String>) -> String {
        self.scaling.made += 1;
        let arn = format!("arn:aws:autoscaling:eu-west-1:1:autoScalingGroup:{:08}:autoScalingGroupName/{}", self.scaling.made, is["AutoScalingGroupName"]);
        self.scaling.groups.push(Group { arn: arn.clone(), is, tags, propagated, members: Vec::new(), leads: BTreeSet::new(), ends: false, made: Instant::now(), created: now() });
        arn
    }
    /// What has happened by itself since the last call.
    fn pass(&mut self) {
        let ends = self.scaling.ends;
        let mut groups = std::mem::take(&mut self.scaling.groups);
        for group in &mut groups {
            let gone = |m: &mut Member| m.leaves.is_some_and(|at| at.elapsed() >= ends);
            for member in group.members.extract_if(.., gone) {
                self.edit(&member.instance, "state", "terminated");
            }
            // A replacement replaces one, then the next.
            let refresh = self.scaling.refreshes.iter_mut().find(|r| r.group == group.name() && r.status == "InProgress");
            if let Some(refresh) = refresh
                && group.members.iter().all(|m| m.leaves.is_none())
            {
                match group.members.iter().position(|m| m.leaves.is_none() && group.is_old(m)) {
                    Some(at) => group.members[at].leaves = Some(Instant::now()),
                    None => refresh.status = "Successful",
                }
            }
            if let Some(refresh) = self.scaling.refreshes.iter_mut().find(|r| r.group == group.name() && r.status == "Cancelling") {
                refresh.status = "Cancelled";
            }
            while !group.ends && group.members.iter().filter(|m| m.leaves.is_none()).count() < group.number("DesiredCapacity") {
                if let Some(why) = self.scaling.fails {
                    self.scaling.activities.push((group.name().to_owned(), "Failed", why.to_owned()));
                    break;
                }
                let machine_type = group.types().first().cloned().unwrap_or_default();
                let mut tags: Pairs = group.tags.iter().filter(|(k, _)| group.propagated.contains(k)).map(|(k, v)| (k.clone(), v.clone())).collect();
                tags.insert("aws:autoscaling:groupName".into(), group.name().to_owned());
                let instance = self.make("i", pairs(&[("state", "running"), ("type", &machine_type)]), tags);
                self.scaling.activities.push((group.name().to_owned(), "Successful", String::new()));
                group.members.push(Member { instance, version: group.of(&format!("{TEMPLATE}.Version")), machine_type, leaves: None });
            }
        }
        groups.retain(|g| !g.ends || !g.members.is_empty());
        for target in self.balancing.groups.iter_mut().filter(|t| t.name().ends_with("-g")) {
            let leading = groups.iter().filter(|g| g.leads.contains(&target.arn));
            target.targets = leading.flat_map(|g| &g.members).filter(|m| m.leaves.is_none()).map(|m| m.instance.clone()).collect();
        }
        self.scaling.groups = groups;
    }
    fn group(&mut self, name: &str) -> Result<&mut Group, &'static str> {
        self.scaling.groups.iter_mut().find(|g| g.name() == name).ok_or(NO_GROUP)
    }

    pub(super) fn scale(&mut self, action: &str, p: &Pairs) -> Answer {
        self.pass();
        let of = |key: &str| p.get(key).map_or("", String::as_str);
        let name = of("AutoScalingGroupName");
        match action {
            "CreateAutoScalingGroup" => {
                if self.group(name).is_ok() {
                    return Err("AlreadyExists: AutoScalingGroup by this name already exists");
                }
                if !self.items.iter().any(|i| i.id == of(&format!("{TEMPLATE}.LaunchTemplateId"))) {
                    return Err("ValidationError: The specified launch template does not exist");
                }
                let all: Vec<_> = tagged(p).collect();
                let propagated = all.iter().filter(|t| t.2).map(|t| t.0.clone()).collect();
                self.make_group(p.clone(), all.into_iter().map(|(k, v, _)| (k, v)).collect(), propagated);
                Ok(String::new())
            }
            "UpdateAutoScalingGroup" => {
                let group = self.group(name)?;
                // A policy is replaced as a whole.
                if p.keys().any(|k| k.starts_with("MixedInstancesPolicy")) {
                    group.is.retain(|k, _| !k.starts_with("MixedInstancesPolicy"));
                }
                group.is.extend(p.clone());
                Ok(String::new())
            }
            "DescribeAutoScalingGroups" => self.describe_groups(p),
            "CreateOrUpdateTags" => {
                let all: Vec<_> = tagged(p).collect();
                let group = self.group(of("Tags.member.1.ResourceId"))?;
                for (key, value, propagates) in all {
                    group.propagated.retain(|k| *k != key);
                    group.propagated.extend(propagates.then(|| key.clone()));
                    group.tags.insert(key, value);
                }
                Ok(String::new())
            }
            "DeleteTags" => {
                let keys: Vec<String> = tagged(p).map(|t| t.0).collect();
                self.group(of("Tags.member.1.ResourceId"))?.tags.retain(|k, _| !keys.contains(k));
                Ok(String::new())
            }
            "DeleteAutoScalingGroup" => {
                let group = self.group(name)?;
                if of("ForceDelete") != "true" && !group.members.is_empty() {
                    return Err("ResourceInUse: You cannot delete an AutoScalingGroup while there are instances still in the group");
                }
                group.ends = true;
                group.members.iter_mut().for_each(|m| m.leaves = m.leaves.or(Some(Instant::now())));
                Ok(String::new())
            }
            "TerminateInstanceInAutoScalingGroup" => {
                let unknown = "ValidationError: Instance Id not found - No managed instance found for instance ID";
                let group = self.scaling.groups.iter_mut().find(|g| g.members.iter().any(|m| m.instance == of("InstanceId"))).ok_or(unknown)?;
                let size = group.number("DesiredCapacity");
                if size <= group.number("MinSize") {
                    return Err("ValidationError: Currently, desiredSize equals minSize. Terminating instance without replacement will violate group's min size constraint.");
                }
                // The size falls with each call, whatever becomes of the instance.
                group.is.insert("DesiredCapacity".into(), (size - 1).to_string());
                group.members.iter_mut().filter(|m| m.instance == of("InstanceId")).for_each(|m| m.leaves = m.leaves.or(Some(Instant::now())));
                Ok("<Activity><ActivityId>a</ActivityId></Activity>".into())
            }
            "AttachLoadBalancerTargetGroups" | "DetachLoadBalancerTargetGroups" => {
                let arns: Vec<String> = (1..).map_while(|n| p.get(&format!("TargetGroupARNs.member.{n}")).cloned()).collect();
                if !arns.iter().all(|arn| self.balancing.groups.iter().any(|g| g.arn == *arn)) {
                    return Err("ValidationError: Provided Target Groups may not be valid");
                }
                let leads = &mut self.group(name)?.leads;
                if action.starts_with("Attach") {
                    leads.extend(arns);
                } else {
                    leads.retain(|arn| !arns.contains(arn));
                }
                self.pass();
                Ok(String::new())
            }
            "DescribeScalingActivities" => {
                self.group(name)?;
                let one = |(_, status, why): &(String, &str, String)| {
                    format!(
                        "<member><ActivityId>a</ActivityId><AutoScalingGroupName>{name}</AutoScalingGroupName><Description>Launching a new EC2 instance</Description>\
                         <Cause>c</Cause><StartTime>{}</StartTime><StatusCode>{status}</StatusCode>{}<Details>{{\"Availability Zone\":\"eu-west-1a\"}}</Details></member>",
                        now(),
                        told("StatusMessage", why)
                    )
                };
                let all: String = self.scaling.activities.iter().rev().filter(|(group, ..)| group == name).map(one).collect();
                Ok(format!("<Activities>{all}</Activities>"))
            }
            "StartInstanceRefresh" => {
                self.group(name)?;
                if self.scaling.refreshes.iter().any(|r| r.group == name && r.status == "InProgress") {
                    return Err("InstanceRefreshInProgress: An Instance Refresh is already in progress");
                }
                let id = format!("refresh-{}", self.scaling.refreshes.len());
                self.scaling.refreshes.push(Refresh { id: id.clone(), group: name.to_owned(), status: "InProgress" });
                Ok(told("InstanceRefreshId", &id))
            }
            "DescribeInstanceRefreshes" => {
                self.group(name)?;
                let ids: Vec<&str> = (1..).map_while(|n| p.get(&format!("InstanceRefreshIds.member.{n}"))).map(String::as_str).collect();
                let asked = self.scaling.refreshes.iter().rev().filter(|r| r.group == name && (ids.is_empty() || ids.contains(&r.id.as_str())));
                let one = |r: &Refresh| format!("<member><InstanceRefreshId>{}</InstanceRefreshId><Status>{}</Status><StartTime>{}</StartTime></member>", r.id, r.status, now());
                Ok(format!("<InstanceRefreshes>{}</InstanceRefreshes>", asked.map(one).collect::<String>()))
            }
            "CancelInstanceRefresh" => {
                let none = "ActiveInstanceRefreshNotFound: No in progress or pending Instance Refresh found";
                let refresh = self.scaling.refreshes.iter_mut().find(|r| r.group == name && r.status == "InProgress").ok_or(none)?;
                refresh.status = "Cancelling";
                Ok(told("InstanceRefreshId", &refresh.id))
            }
            other => panic!("{other} is not of the small Auto Scaling"),
        }
    }
    fn describe_groups(&self, p: &Pairs) -> Answer {
        let names: Vec<&str> = (1..).map_while(|n| p.get(&format!("AutoScalingGroupNames.member.{n}"))).map(String::as_str).collect();
        let filters: Vec<(&str, &str)> = (1..)
            .map_while(|n| Some((p.get(&format!("Filters.member.{n}.Name"))?.strip_prefix("tag:").unwrap(), p[&format!("Filters.member.{n}.Values.member.1")].as_str())))
            .collect();
        let seen = self.scaling.groups.iter().filter(|g| g.made.elapsed() >= self.read_lag);
        let named = seen.filter(|g| names.is_empty() || names.contains(&g.name()));
        let all: Vec<&Group> = named.filter(|g| filters.iter().all(|(key, value)| g.tags.get(*key).is_some_and(|v| v == value))).collect();
        let from: usize = p.get("NextToken").map_or(0, |t| t.parse().unwrap());
        let size: usize = p.get("MaxRecords").map_or(50, |n| n.parse().unwrap());
        let next = if from + size < all.len() { told("NextToken", &(from + size).to_string()) } else { String::new() };
        let shown: String = all.into_iter().skip(from).take(size).map(|g| self.group_xml(g)).collect();
        Ok(format!("<AutoScalingGroups>{shown}</AutoScalingGroups>{next}"))
    }
    fn group_xml(&self, g: &Group) -> String {
        let source = |element: &str, version: &str| {
            let id = g.of(&format!("{TEMPLATE}.LaunchTemplateId"));
            let name = self.items.iter().find(|i| i.id == id).map(|i| i.is["name"].clone()).unwrap_or_default();
            format!("<{element}><LaunchTemplateId>{id}</LaunchTemplateId><LaunchTemplateName>{name}</LaunchTemplateName><Version>{version}</Version></{element}>")
        };
        let member = |m: &Member| {
            let state = if m.leaves.is_some_and(|at| at.elapsed() >= self.scaling.lag) { "Terminating" } else { "InService" };
            format!(
                "<member><InstanceId>{}</InstanceId><InstanceType>{}</InstanceType><AvailabilityZone>eu-west-1a</AvailabilityZone><LifecycleState>{state}</LifecycleState>\
                 <HealthStatus>Healthy</HealthStatus>{}</member>",
                m.instance,
                m.machine_type,
                source("LaunchTemplate", &m.version)
            )
        };
        let overrides: String = g.types().iter().map(|t| format!("<member><InstanceType>{t}</InstanceType></member>")).collect();
        let distribution: String = ["OnDemandBaseCapacity", "OnDemandPercentageAboveBaseCapacity"]
            .into_iter()
            .map(|key| told(key, &g.of(&format!("MixedInstancesPolicy.InstancesDistribution.{key}"))))
            .collect();
        let version = g.of(&format!("{TEMPLATE}.Version"));
        let policy = if version.is_empty() {
            String::new()
        } else {
            format!(
                "<MixedInstancesPolicy><LaunchTemplate>{}<Overrides>{overrides}</Overrides></LaunchTemplate><InstancesDistribution>{distribution}</InstancesDistribution>\
                 </MixedInstancesPolicy>",
                source("LaunchTemplateSpecification", &version)
            )
        };
        let flat: String =
            ["AutoScalingGroupName", "MinSize", "MaxSize", "DesiredCapacity", "VPCZoneIdentifier", "HealthCheckGracePeriod"].into_iter().map(|key| told(key, &g.of(key))).collect();
        let health = if g.of("HealthCheckType").is_empty() { "EC2".to_owned() } else { g.of("HealthCheckType") };
        let tags: String =
            g.tags.iter().map(|(k, v)| format!("<member><Key>{k}</Key><Value>{v}</Value><PropagateAtLaunch>{}</PropagateAtLaunch></member>", g.propagated.contains(k))).collect();
        format!(
            "<member><AutoScalingGroupARN>{}</AutoScalingGroupARN>{flat}<HealthCheckType>{health}</HealthCheckType><CreatedTime>{}</CreatedTime>{}\
             <AvailabilityZones><member>eu-west-1a</member></AvailabilityZones><Instances>{}</Instances>{policy}<TargetGroupARNs>{}</TargetGroupARNs><Tags>{tags}</Tags></member>",
            g.arn,
            g.created,
            if g.ends { "<Status>Delete in progress</Status>" } else { "" },
            g.members.iter().map(member).collect::<String>(),
            g.leads.iter().map(|arn| format!("<member>{arn}</member>")).collect::<String>()
        )
    }
}
fn now() -> String {
    aws_smithy_types::DateTime::from(std::time::SystemTime::now()).fmt(aws_smithy_types::date_time::Format::DateTime).unwrap()
}
