//! `policy.json` (EC2) and `policy-services.json` (the other services) allow of each feature what its trials asked for, and nothing else.
//!
//! `WELKIN_WRITE_DOCS=1 cargo test -p welkin-aws --test ec2 policy` writes the part of docs.md that says so.

use crate::{
    access::assumes_a_role,
    recordings::documented,
    requests::{
        Sent, addresses, adopts, adopts_balancers, adopts_groups, adopts_records, adopts_zones, consoles, disks, dns_zones, grouped_instances, identities, images, instance_groups,
        instances, load_balancers, load_balancers_over_groups, locations, machine_types, nat_gateways, networks, quotas, record_sets, route_tables, security_groups, subnets,
    },
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    pin::Pin,
};
use welkin_core::*;

type Driven = Pin<Box<dyn Future<Output = Sent>>>;
type Actions = BTreeSet<String>;

/// Some actions, and on what or why.
type Because = (&'static [&'static str], &'static str);

/// What somebody may want of this provider without wanting the rest.
pub struct Feature {
    name: &'static str,
    /// The statements of the policies that it needs, all of them.
    statements: &'static [&'static str],
    /// What it needs that the policies do not have, because it depends on the account, and on what.
    elsewhere: &'static [Because],
    /// What no trial can see, and why it is needed all the same.
    unseen: &'static [Because],
    /// Uses everything of it, from the reading of what it refers to until nothing is left.
    pub drive: fn() -> Driven,
}
impl Feature {
    const fn of(name: &'static str, statements: &'static [&'static str], drive: fn() -> Driven) -> Self {
        Self { name, statements, elsewhere: &[], unseen: &[], drive }
    }
}

/// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html>
const KMS: &[&str] = &["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"];
/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateHostedZone.html>
const ZONES_NEED: Because = (&["ec2:DescribeVpcs"], "Route 53 wants it of whoever makes a zone, whether or not it is private");
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-service-linked-roles.html>
const BALANCING_ROLE: &[&str] = &["iam:CreateServiceLinkedRole"];
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/autoscaling-service-linked-role.html>, and for the tags
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html>
const SCALING_ROLE: &[&str] = &["iam:CreateServiceLinkedRole"];
const INSTANCES: &[&str] = &["ReadImages", "ReadSubnets", "ReadInstances", "Instances"];

/// Every feature; a new one is an entry here and a statement in one of the policies.
pub const FEATURES: &[Feature] = &[
    Feature::of("locations: read", &["ReadLocations"], || Box::pin(locations())),
    Feature::of("machine types: read", &["ReadMachineTypes"], || Box::pin(machine_types())),
    Feature::of("images: read", &["ReadImages"], || Box::pin(images())),
    Feature::of("quotas: read", &["ReadQuotas"], || Box::pin(quotas())),
    Feature::of("networks: read, adopt", &["ReadNetworks"], || Box::pin(adopts::<Network>("vpc"))),
    Feature::of("networks", &["ReadNetworks", "Networks"], || Box::pin(networks(false))),
    Feature::of("networks with `internet_access`", &["ReadNetworks", "Networks", "InternetAccess"], || Box::pin(networks(true))),
    Feature::of("subnets: read, adopt", &["ReadSubnets"], || Box::pin(adopts::<Subnet>("subnet"))),
    Feature::of("subnets", &["ReadLocations", "ReadNetworks", "ReadSubnets", "Subnets"], || Box::pin(subnets())),
    Feature::of("security groups: read, adopt", &["ReadSecurityGroups"], || Box::pin(adopts::<SecurityGroup>("sg"))),
    Feature::of("security groups", &["ReadNetworks", "ReadSecurityGroups", "SecurityGroups"], || Box::pin(security_groups())),
    Feature::of("instances: read, adopt", &["ReadInstances"], || Box::pin(adopts::<Instance>("i"))),
    Feature::of("instances", INSTANCES, || Box::pin(instances(|spec| spec))),
    Feature::of("instances with `security_groups`", &["ReadImages", "ReadSubnets", "ReadSecurityGroups", "ReadInstances", "Instances"], || Box::pin(grouped_instances())),
    Feature::of("instances with `ssh_key`", &["ReadImages", "ReadSubnets", "ReadInstances", "Instances", "SshKeys"], || {
        Box::pin(instances(|spec| InstanceSpec { ssh_key: Some("ssh-ed25519 AAAA".into()), ..spec }))
    }),
    Feature {
        // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/permission-to-pass-iam-roles.html
        unseen: &[(&["iam:PassRole"], "EC2 asks IAM for it when it is sent RunInstances with an instance profile")],
        ..Feature::of("instances with `identity`", &["ReadImages", "ReadSubnets", "ReadInstances", "Instances", "InstanceProfiles"], || Box::pin(identities()))
    },
    Feature {
        elsewhere: &[(KMS, "that key")],
        unseen: &[(KMS, "EC2 asks KMS for it in the name of who launches or starts the instance, and ends it or stops it again where it is refused")],
        ..Feature::of("instances with volumes encrypted by a key of the customer's own", INSTANCES, || Box::pin(instances(|spec| spec)))
    },
    Feature::of("the console of instances", &["ConsoleOutput"], || Box::pin(consoles())),
    Feature::of("addresses: read, adopt", &["ReadAddresses"], || Box::pin(adopts::<Address>("eipalloc"))),
    Feature::of("addresses", &["ReadAddresses", "Addresses"], || Box::pin(addresses())),
    Feature::of("disks: read, adopt", &["ReadDisks"], || Box::pin(adopts::<Disk>("vol"))),
    Feature::of("disks", &["ReadLocations", "ReadDisks", "Disks"], || Box::pin(disks(None))),
    Feature {
        elsewhere: &[(KMS, "that key")],
        unseen: &[(KMS, "EC2 asks KMS for it in the name of who makes or attaches the disk, and lets it fail where it is refused")],
        ..Feature::of("disks with `encryption_key`", &["ReadLocations", "ReadDisks", "Disks"], || Box::pin(disks(Some("alias/web"))))
    },
    Feature::of("NAT gateways: read, adopt", &["ReadNatGateways"], || Box::pin(adopts::<NatGateway>("nat"))),
    Feature::of("NAT gateways", &["ReadSubnets", "ReadAddresses", "ReadNatGateways", "NatGateways"], || Box::pin(nat_gateways())),
    Feature::of("route tables: read, adopt", &["ReadRouteTables"], || Box::pin(adopts::<RouteTable>("rtb"))),
    Feature::of("route tables", &["ReadNetworks", "ReadSubnets", "ReadNatGateways", "ReadRouteTables", "RouteTables"], || Box::pin(route_tables())),
    Feature::of("DNS zones: read, adopt", &["ReadDnsZones"], || Box::pin(adopts_zones())),
    Feature { unseen: &[ZONES_NEED], ..Feature::of("DNS zones, public", &["ReadDnsZones", "DnsZones"], || Box::pin(dns_zones(0))) },
    Feature::of("DNS zones, public and private", &["ReadNetworks", "ReadDnsZones", "DnsZones", "PrivateDnsZones"], || Box::pin(dns_zones(3))),
    Feature::of("record sets: read, adopt", &["ReadDnsZones", "ReadRecordSets"], || Box::pin(adopts_records(false))),
    Feature::of("record sets with `alias`: read, adopt", &["ReadDnsZones", "ReadRecordSets", "ReadAliases"], || Box::pin(adopts_records(true))),
    Feature::of("record sets", &["ReadDnsZones", "ReadRecordSets", "RecordSets"], || Box::pin(record_sets(false))),
    Feature::of("record sets with `alias`", &["ReadDnsZones", "ReadRecordSets", "ReadAliases", "RecordSets"], || Box::pin(record_sets(true))),
    Feature::of("load balancers: read, adopt", &["ReadLoadBalancers"], || Box::pin(adopts_balancers())),
    Feature {
        elsewhere: &[(BALANCING_ROLE, "the role `AWSServiceRoleForElasticLoadBalancing`, where the account does not have it yet")],
        unseen: &[
            (&["ec2:CreateTags"], "EC2 wants it of whoever makes a security group or a rule with tags"),
            (BALANCING_ROLE, "Elastic Load Balancing asks IAM for it with the account's first load balancer"),
        ],
        ..Feature::of("load balancers", &["ReadNetworks", "ReadSubnets", "ReadAddresses", "ReadLoadBalancers", "LoadBalancers"], || Box::pin(load_balancers()))
    },
    Feature {
        elsewhere: &[(BALANCING_ROLE, "the role `AWSServiceRoleForElasticLoadBalancing`, where the account does not have it yet")],
        unseen: &[(&["ec2:CreateTags"], "as above"), (BALANCING_ROLE, "as above")],
        ..Feature::of(
            "load balancers over `backends.instance_group`",
            &["ReadNetworks", "ReadSubnets", "ReadAddresses", "ReadLoadBalancers", "ReadInstanceGroups", "LoadBalancers", "LoadBalancersOverGroups"],
            || Box::pin(load_balancers_over_groups()),
        )
    },
    Feature::of("instance groups: read, adopt", &["ReadInstanceGroups"], || Box::pin(adopts_groups())),
    Feature {
        elsewhere: &[(SCALING_ROLE, "the role `AWSServiceRoleForAutoScaling`, where the account does not have it yet")],
        unseen: &[
            (&["ec2:CreateTags"], "Auto Scaling wants it of whoever makes a group whose instances get labels"),
            (SCALING_ROLE, "Auto Scaling asks IAM for it with the account's first group"),
        ],
        ..Feature::of("instance groups", &["ReadImages", "ReadSubnets", "ReadSecurityGroups", "ReadInstanceGroups", "InstanceGroups"], || Box::pin(instance_groups(false, false)))
    },
    Feature {
        elsewhere: &[(SCALING_ROLE, "the role `AWSServiceRoleForAutoScaling`, where the account does not have it yet")],
        unseen: &[(&["ec2:CreateTags"], "as above"), (SCALING_ROLE, "as above")],
        ..Feature::of(
            "instance groups with `template.ssh_key`",
            &["ReadImages", "ReadSubnets", "ReadSecurityGroups", "ReadInstanceGroups", "InstanceGroups", "InstanceGroupSshKeys"],
            || Box::pin(instance_groups(true, false)),
        )
    },
    Feature {
        elsewhere: &[(SCALING_ROLE, "the role `AWSServiceRoleForAutoScaling`, where the account does not have it yet")],
        unseen: &[
            (&["ec2:CreateTags"], "as above"),
            (SCALING_ROLE, "as above"),
            (&["iam:PassRole"], "Auto Scaling asks IAM for it when it is sent a template with an instance profile"),
        ],
        ..Feature::of(
            "instance groups with `template.identity`",
            &["ReadImages", "ReadSubnets", "ReadSecurityGroups", "ReadInstanceGroups", "InstanceGroups", "InstanceProfiles"],
            || Box::pin(instance_groups(false, true)),
        )
    },
    Feature { elsewhere: &[(&["sts:AssumeRole"], "the role")], ..Feature::of("`role_arn`, for the credentials that assume it", &[], || Box::pin(assumes_a_role())) },
];

const POLICIES: [&str; 2] = [include_str!("../../policy.json"), include_str!("../../policy-services.json")];
/// The actions of each statement, in the order of the files.
fn statements() -> Vec<(String, Actions)> {
    let policies = POLICIES.map(|text| serde_json::from_str::<Value>(text).unwrap());
    let statements = policies.iter().flat_map(|policy| policy["Statement"].as_array().unwrap());
    statements.map(|s| (s["Sid"].as_str().unwrap().to_owned(), serde_json::from_value(s["Action"].clone()).unwrap())).collect()
}
fn actions(because: &[Because]) -> impl Iterator<Item = String> {
    because.iter().flat_map(|(actions, _)| *actions).map(|action| (*action).to_owned())
}
impl Feature {
    fn policy(&self, statements: &BTreeMap<String, Actions>) -> Actions {
        let allowed = self.statements.iter().flat_map(|sid| statements.get(*sid).unwrap_or_else(|| panic!("{}: no policy has {sid}", self.name)));
        allowed.cloned().chain(actions(self.elsewhere)).collect()
    }
    /// What is wrong between what its trials asked for and what it is allowed.
    fn judge(&self, policy: &Actions, asked: &Actions) -> Vec<String> {
        let unseen: Actions = actions(self.unseen).collect();
        let told = |actions: Vec<&String>, what: &str| actions.into_iter().map(|a| format!("{}: {a} {what}", self.name)).collect::<Vec<_>>();
        let missing = told(asked.difference(policy).collect(), "was asked for and is not allowed");
        let idle = told(policy.iter().filter(|a| !asked.contains(*a) && !unseen.contains(*a)).collect(), "is allowed and was not asked for");
        let seen = told(unseen.iter().filter(|a| asked.contains(*a) || !policy.contains(*a)).collect(), "is said to be unseen, and was asked for or is not allowed");
        [missing, idle, seen].concat()
    }
}

#[tokio::test]
async fn every_feature_is_allowed_what_it_asks_for_and_no_more() {
    let all = statements();
    let by_sid: BTreeMap<String, Actions> = all.iter().cloned().collect();
    assert_eq!(by_sid.len(), all.len(), "IAM wants every Sid once");
    let used: BTreeSet<&str> = FEATURES.iter().flat_map(|f| f.statements.iter().copied()).collect();
    assert_eq!(by_sid.keys().map(String::as_str).collect::<BTreeSet<_>>(), used, "a statement that no feature needs");
    let (mut wrong, mut rows) = (Vec::new(), Vec::new());
    for feature in FEATURES {
        let sent = (feature.drive)().await;
        wrong.extend(feature.judge(&feature.policy(&by_sid), &sent.actions));
        rows.push((feature, sent.dry_runs()));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    documented("docs.md", "policy", &part(&rows, &all));
}

/// Each has to fit a policy that a customer keeps (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>), without its white space.
#[test]
fn each_fits_a_managed_policy() {
    let sizes = POLICIES.map(|text| text.chars().filter(|c| !c.is_whitespace()).count());
    assert!(sizes.iter().all(|size| *size <= 6144), "{sizes:?} characters");
}

/// The judge itself: what must not pass.
#[test]
fn too_much_and_too_little_are_seen() {
    let feature = Feature { name: "f", statements: &["S"], elsewhere: &[(&["sts:E"], "it")], unseen: &[(&["iam:P"], "why")], drive: || Box::pin(async { Sent::default() }) };
    let set = |actions: &[&str]| actions.iter().map(|a| (*a).to_owned()).collect::<Actions>();
    let policy = feature.policy(&BTreeMap::from([("S".to_owned(), set(&["ec2:A", "ec2:B", "iam:P"])), ("T".to_owned(), set(&["ec2:C"]))]));
    assert_eq!(policy, set(&["ec2:A", "ec2:B", "iam:P", "sts:E"]));
    let judged = |asked: &[&str]| feature.judge(&policy, &set(asked));
    assert!(judged(&["ec2:A", "ec2:B", "sts:E"]).is_empty());
    assert_eq!(judged(&["ec2:A", "ec2:B", "ec2:C", "sts:E"]), ["f: ec2:C was asked for and is not allowed"]);
    assert_eq!(judged(&["ec2:A", "sts:E"]), ["f: ec2:B is allowed and was not asked for"]);
    assert_eq!(judged(&["ec2:A", "ec2:B", "sts:E", "iam:P"]), ["f: iam:P is said to be unseen, and was asked for or is not allowed"]);
}

fn code<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ")
}
fn part(rows: &[(&Feature, Actions)], statements: &[(String, Actions)]) -> String {
    let mut out = String::from("| feature | statements | of these its dry runs ask for | besides, depending on the account |\n|---|---|---|---|\n");
    for (feature, dry_runs) in rows {
        let elsewhere: Vec<String> = feature.elsewhere.iter().map(|(actions, place)| format!("{} on {place}", code(actions.iter().copied()))).collect();
        let (sids, dry_runs) = (code(feature.statements.iter().copied()), code(dry_runs.iter().map(String::as_str)));
        writeln!(out, "| {} | {sids} | {dry_runs} | {} |", feature.name, elsewhere.join("; ")).unwrap();
    }
    out.push_str("\n| statement | actions |\n|---|---|\n");
    for (sid, actions) in statements {
        writeln!(out, "| `{sid}` | {} |", code(actions.iter().map(String::as_str))).unwrap();
    }
    out.push_str("\nNeeded, although no trial sees them:\n\n");
    for (actions, why) in rows.iter().flat_map(|(feature, _)| feature.unseen) {
        writeln!(out, "- {}: {why}", code(actions.iter().copied())).unwrap();
    }
    out
}
