//! What AWS can do, as data.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use welkin_core::{
    Address, Capabilities, Disk, DnsZone, FieldCapability as Field, IdShape, Image, Instance, InstanceGroup, Kind, KindCapabilities, LoadBalancer, Location, MachineType,
    NatGateway, Network, Quota, RecordSet, RouteTable, Scope, SecurityGroup, Subnet, Support, VerbName,
};

use crate::dns_zone::MAX_LABELS;

/// The one vendor extension: how an instance is launched.
pub(crate) const INSTANCE_CONFIG: &str = "welkin.provider.aws.v1.InstanceConfig";

/// VPCs and subnets are `/16` to `/28` (<https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html>).
const PREFIX: (u64, u64) = (16, 28);
/// IPv4 ranges of one VPC, and the other quotas below, which an account can have raised
/// (<https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html>).
const CIDRS_PER_NETWORK: usize = 5;
/// The largest volume of any type is 64 TiB (<https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html>).
const MAX_DISK_GIB: u64 = 65_536;
/// With a raised quota; five by default (<https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups>).
const GROUPS_PER_INTERFACE: usize = 16;

/// With a raised quota more (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html>).
const VPCS_PER_ZONE: usize = 100;

const EMULATED: Field = Field { support: Support::Emulated, ..Field::NATIVE };

pub(crate) fn capabilities(horizon: Duration) -> Capabilities {
    let kinds = [
        (Network::COLLECTION, network(horizon)),
        (Subnet::COLLECTION, subnet(horizon)),
        (SecurityGroup::COLLECTION, security_group(horizon)),
        (Instance::COLLECTION, instance(horizon)),
        (Address::COLLECTION, address(horizon)),
        (Disk::COLLECTION, disk(horizon)),
        (NatGateway::COLLECTION, nat_gateway(horizon)),
        (RouteTable::COLLECTION, route_table(horizon)),
        (DnsZone::COLLECTION, dns_zone(horizon)),
        (RecordSet::COLLECTION, record_set(horizon)),
        (LoadBalancer::COLLECTION, load_balancer(horizon)),
        (InstanceGroup::COLLECTION, instance_group(horizon)),
        (Location::COLLECTION, KindCapabilities { scope: Scope::Global, ..catalogue(IdShape::Other) }),
        (MachineType::COLLECTION, catalogue(IdShape::Other)),
        (Image::COLLECTION, catalogue(IdShape::PrefixedHex("ami-"))),
        (Quota::COLLECTION, catalogue(IdShape::Other)),
    ];
    Capabilities { vendor: "aws", kinds: kinds.into() }
}

const MANAGED: [VerbName; 5] = [VerbName::Get, VerbName::List, VerbName::Create, VerbName::Update, VerbName::Delete];

fn managed(horizon: Duration, prefix: &'static str, fields: BTreeMap<&'static str, Field>) -> KindCapabilities {
    KindCapabilities {
        scope: Scope::Region,
        verbs: MANAGED.into(),
        fields,
        id_shape: IdShape::PrefixedHex(prefix),
        provider_configs: BTreeSet::new(),
        limits: BTreeMap::new(),
        horizon,
    }
}
fn catalogue(id_shape: IdShape) -> KindCapabilities {
    KindCapabilities {
        scope: Scope::Region,
        verbs: [VerbName::Get, VerbName::List].into(),
        fields: BTreeMap::new(),
        id_shape,
        provider_configs: BTreeSet::new(),
        limits: BTreeMap::new(),
        horizon: Duration::ZERO,
    }
}

fn network(horizon: Duration) -> KindCapabilities {
    let fields = [
        ("cidrs", Field::REQUIRED.between(PREFIX.0, PREFIX.1).at_most(CIDRS_PER_NETWORK)),
        // A VPC cannot choose its IPv6 range; `assign_ipv6_cidr` takes one of Amazon's.
        ("cidrs=IPV6", Field::UNSUPPORTED),
        ("assign_ipv6_cidr", Field::NATIVE),
        // An internet gateway, its attachment and two routes.
        ("internet_access", EMULATED),
        ("labels", Field::MUTABLE),
        ("provider_config", Field::UNSUPPORTED),
    ];
    KindCapabilities { limits: [("per_location", 5)].into(), ..managed(horizon, "vpc-", fields.into()) }
}

fn subnet(horizon: Duration) -> KindCapabilities {
    let fields = [
        ("network", Field::REQUIRED),
        ("cidrs", Field::NATIVE.between(PREFIX.0, PREFIX.1).at_most(2)),
        // Welkin picks the /64; AWS does not.
        ("assign_ipv6_cidr", EMULATED),
        ("zone", Field::REQUIRED),
        ("assign_public_ip", Field::MUTABLE),
        ("labels", Field::MUTABLE),
        ("provider_config", Field::UNSUPPORTED),
    ];
    KindCapabilities { limits: [("per_network", 200)].into(), ..managed(horizon, "subnet-", fields.into()) }
}

/// <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups>
fn security_group(horizon: Duration) -> KindCapabilities {
    let fields = [
        ("network", Field::REQUIRED),
        ("description", Field::NATIVE),
        // The rules that EC2 gives to a new group are taken away or put back.
        ("restrict_egress", Field { support: Support::Emulated, ..Field::MUTABLE }),
        ("rules", Field::MUTABLE),
        ("rules.direction", Field::MUTABLE),
        ("rules.protocol", Field::MUTABLE),
        ("rules.from_port", Field::MUTABLE),
        ("rules.to_port", Field::MUTABLE),
        ("rules.cidrs", Field::MUTABLE),
        ("rules.groups", Field::MUTABLE),
        ("rules.same_group", Field::MUTABLE),
        ("rules.description", Field::MUTABLE),
        ("labels", Field::MUTABLE),
        ("provider_config", Field::UNSUPPORTED),
        // In the note of what was asked for.
        ("allow_load_balancer_rules", Field { support: Support::Emulated, ..Field::MUTABLE }),
    ];
    KindCapabilities { limits: [("per_location", 2500), ("peers_per_direction", 60)].into(), ..managed(horizon, "sg-", fields.into()) }
}

fn instance(horizon: Duration) -> KindCapabilities {
    let fields = [
        ("zone", Field::NATIVE),
        // While it is stopped.
        ("machine_type", Field { required: true, ..Field::MUTABLE }),
        ("image", Field::REQUIRED),
        ("subnet", Field::REQUIRED),
        ("private_ips", Field::NATIVE),
        ("assign_public_ip", Field::NATIVE),
        ("assign_ipv6", Field::NATIVE),
        ("ssh_key", Field::NATIVE),
        ("user_data", Field::NATIVE),
        ("identity", Field::NATIVE),
        ("root_disk", Field::NATIVE),
        ("root_disk.size_gib", Field::NATIVE.between(1, MAX_DISK_GIB)),
        ("root_disk.disk_type", Field::NATIVE),
        ("root_disk.encrypted", Field::NATIVE),
        ("ip_forwarding", Field::MUTABLE),
        ("labels", Field::MUTABLE),
        ("provider_config", Field::NATIVE),
        ("security_groups", Field::MUTABLE.at_most(GROUPS_PER_INTERFACE)),
        ("deletion_protection", Field::MUTABLE),
        ("spot", Field::NATIVE),
        // One launch after another.
        ("alternatives", EMULATED),
        ("alternatives.machine_type", EMULATED),
        ("alternatives.subnet", EMULATED),
        ("alternatives.zone", EMULATED),
    ];
    let base = managed(horizon, "i-", fields.into());
    let own = [VerbName::Start, VerbName::Stop, VerbName::Reboot, VerbName::ConsoleOutput];
    KindCapabilities { verbs: MANAGED.into_iter().chain(own).collect(), provider_configs: [INSTANCE_CONFIG].into(), ..base }
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/elastic-ip-addresses-eip.html#using-instance-addressing-limit>
fn address(horizon: Duration) -> KindCapabilities {
    let fields = [("instance", Field::MUTABLE), ("private_ip", Field::MUTABLE), ("labels", Field::MUTABLE), ("provider_config", Field::UNSUPPORTED)];
    KindCapabilities { limits: [("per_location", 5)].into(), ..managed(horizon, "eipalloc-", fields.into()) }
}

/// Sizes, operations and throughput are those of the type that takes the most (<https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html>).
fn disk(horizon: Duration) -> KindCapabilities {
    let fields = [
        ("zone", Field::REQUIRED),
        ("size_gib", Field::MUTABLE.between(1, MAX_DISK_GIB)),
        ("disk_type", Field::MUTABLE),
        ("iops", Field::MUTABLE.between(100, 256_000)),
        ("throughput_mibps", Field::MUTABLE.between(125, 2_000)),
        ("encrypted", Field::NATIVE),
        ("encryption_key", Field::NATIVE),
        ("snapshot", Field::NATIVE),
        ("instance", Field::MUTABLE),
        ("labels", Field::MUTABLE),
        ("provider_config", Field::UNSUPPORTED),
    ];
    managed(horizon, "vol-", fields.into())
}

/// <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-gateways>
fn nat_gateway(horizon: Duration) -> KindCapabilities {
    let fields = [("subnet", Field::REQUIRED), ("connectivity", Field::REQUIRED), ("address", Field::NATIVE), ("labels", Field::MUTABLE), ("provider_config", Field::UNSUPPORTED)];
    KindCapabilities { limits: [("per_zone", 5)].into(), ..managed(horizon, "nat-", fields.into()) }
}

/// With a raised quota, L-93826ACB (<https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-route-tables>).
const ROUTES_PER_TABLE: usize = 1000;

/// What is allowed without asking: <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-route-tables>; of routes 500 since June 2025, and 50
/// before: accounts that have asked for more have what they were given.
fn route_table(horizon: Duration) -> KindCapabilities {
    let fields = [
        ("network", Field::REQUIRED),
        ("routes", Field::MUTABLE.at_most(ROUTES_PER_TABLE)),
        ("routes.destination", Field::MUTABLE),
        ("routes.internet", Field::MUTABLE),
        ("routes.instance", Field::MUTABLE),
        ("routes.nat_gateway", Field::MUTABLE),
        ("routes.peering", Field::MUTABLE),
        ("subnets", Field::MUTABLE),
        ("labels", Field::MUTABLE),
        ("provider_config", Field::UNSUPPORTED),
    ];
    KindCapabilities { limits: [("per_network", 200), ("routes_per_table", 500)].into(), ..managed(horizon, "rtb-", fields.into()) }
}

/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html#limits-api-entities-hosted-zones>
fn dns_zone(horizon: Duration) -> KindCapabilities {
    let fields = [
        ("dns_name", Field::REQUIRED),
        ("private", Field::NATIVE),
        ("networks", Field::MUTABLE.at_most(VPCS_PER_ZONE)),
        ("description", Field::MUTABLE),
        ("labels", Field::MUTABLE),
        ("provider_config", Field::UNSUPPORTED),
    ];
    // Ids are capitals and digits, as no id that anybody can choose.
    let base = KindCapabilities { scope: Scope::Global, id_shape: IdShape::Other, ..managed(horizon, "", fields.into()) };
    let verbs = MANAGED.into_iter().chain([VerbName::ChangeRecords]).collect();
    KindCapabilities { verbs, limits: [("per_account", 500), ("labels", MAX_LABELS as u64)].into(), ..base }
}

/// "The maximum number of records that you can create in a hosted zone", and the values of one record:
/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html#limits-api-entities-records>
fn record_set(horizon: Duration) -> KindCapabilities {
    let fields = [
        ("ttl_s", Field::MUTABLE),
        ("values", Field::MUTABLE.at_most(VALUES_PER_RECORD)),
        ("alias", Field::MUTABLE),
        ("alias.load_balancer", Field::MUTABLE),
        ("alias.check_health", Field::MUTABLE),
        ("routing", Field::MUTABLE),
        ("items", Field::MUTABLE.at_most(ITEMS_PER_RECORD)),
        ("items.id", Field::MUTABLE),
        ("items.values", Field::MUTABLE.at_most(VALUES_PER_RECORD)),
        ("items.alias", Field::MUTABLE),
        ("items.alias.load_balancer", Field::MUTABLE),
        ("items.alias.check_health", Field::MUTABLE),
        ("items.weight", Field::MUTABLE),
        ("items.region", Field::MUTABLE),
        ("items.country", Field::MUTABLE),
        ("items.failover", Field::MUTABLE),
        ("items.health_check", Field::MUTABLE),
        ("provider_config", Field::UNSUPPORTED),
    ];
    let base = KindCapabilities { scope: Scope::Global, id_shape: IdShape::Other, ..managed(horizon, "", fields.into()) };
    KindCapabilities { limits: [("per_zone", 10_000)].into(), ..base }
}
/// "Records in a hosted zone" and "records with the same name and type" of a policy.
const VALUES_PER_RECORD: usize = 400;
const ITEMS_PER_RECORD: usize = 100;
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-limits.html>
const LISTENERS_PER_BALANCER: usize = 50;
/// Of one target group; with a raised quota more.
const TARGETS_PER_GROUP: usize = 1000;

/// Ranges are those of <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html> and
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ListenerAttribute.html>.
fn load_balancer(horizon: Duration) -> KindCapabilities {
    let fields = [
        ("network", Field::REQUIRED),
        ("subnets", Field { required: true, ..Field::MUTABLE }),
        ("scheme", Field::REQUIRED),
        ("listeners", Field { required: true, ..Field::MUTABLE.at_most(LISTENERS_PER_BALANCER) }),
        ("listeners.protocol", Field::MUTABLE),
        ("listeners.port", Field::MUTABLE),
        ("listeners.target_port", Field::MUTABLE),
        ("listeners.certificate", Field::MUTABLE),
        ("backends", Field { required: true, ..Field::MUTABLE.at_most(TARGETS_PER_GROUP) }),
        ("backends.instance", Field::MUTABLE),
        ("backends.instance_group", Field::MUTABLE),
        ("backends.address", Field::MUTABLE),
        ("health_check", Field::MUTABLE),
        ("health_check.protocol", Field::MUTABLE),
        ("health_check.port", Field::MUTABLE),
        ("health_check.path", Field::MUTABLE),
        ("health_check.interval_s", Field::MUTABLE.between(5, 300)),
        ("health_check.healthy_threshold", Field::MUTABLE.between(2, 10)),
        ("health_check.unhealthy_threshold", Field::MUTABLE.between(2, 10)),
        // Rules of a security group of its own.
        ("source_ranges", Field { support: Support::Emulated, ..Field::MUTABLE }),
        ("client_ip_affinity", Field::MUTABLE),
        ("preserve_client_ip", Field::MUTABLE),
        ("proxy_protocol", Field::MUTABLE),
        ("cross_zone", Field::MUTABLE),
        ("idle_timeout_s", Field::MUTABLE.between(60, 6000)),
        ("addresses", Field::MUTABLE),
        ("dual_stack", Field::MUTABLE),
        ("deletion_protection", Field::MUTABLE),
        ("labels", Field::MUTABLE),
        ("provider_config", Field::UNSUPPORTED),
    ];
    // Ids are ARNs, as no id that anybody can choose.
    let base = KindCapabilities { id_shape: IdShape::Other, ..managed(horizon, "", fields.into()) };
    let verbs = MANAGED.into_iter().chain([VerbName::ChangeBackends, VerbName::TargetHealth]).collect();
    KindCapabilities { verbs, limits: [("per_location", 50), ("target_groups_per_location", 3000)].into(), ..base }
}

/// "You can specify up to 40 instance types per Auto Scaling group" (botocore's model, `LaunchTemplateOverrides`).
const MACHINE_TYPES_PER_GROUP: usize = 40;
/// "Auto Scaling groups per region" (<https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-quotas.html>), and what a launch template has room for.
fn instance_group(horizon: Duration) -> KindCapabilities {
    let required = || Field { required: true, ..Field::MUTABLE };
    let fields = [
        ("template", required()),
        ("template.machine_types", required().at_most(MACHINE_TYPES_PER_GROUP)),
        ("template.image", required()),
        ("template.ssh_key", Field::MUTABLE),
        ("template.user_data", Field::MUTABLE),
        ("template.identity", Field::MUTABLE),
        ("template.root_disk", Field::MUTABLE),
        ("template.root_disk.size_gib", Field::MUTABLE.between(1, MAX_DISK_GIB)),
        ("template.root_disk.disk_type", Field::MUTABLE),
        ("template.root_disk.encrypted", Field::MUTABLE),
        ("template.disks", Field::MUTABLE),
        ("template.disks.size_gib", Field::MUTABLE.between(1, MAX_DISK_GIB)),
        ("template.disks.disk_type", Field::MUTABLE),
        ("template.disks.encrypted", Field::MUTABLE),
        ("template.security_groups", Field::MUTABLE.at_most(GROUPS_PER_INTERFACE)),
        ("template.assign_public_ip", Field::MUTABLE),
        ("subnets", required()),
        // They follow from the subnets.
        ("zones", Field::UNSUPPORTED),
        ("min_size", Field::MUTABLE),
        ("max_size", required()),
        ("size", Field::MUTABLE),
        ("on_demand_base", Field::MUTABLE),
        ("spot_percent", Field::MUTABLE.between(0, 100)),
        ("health", Field::MUTABLE),
        ("health.source", Field::MUTABLE),
        ("health.grace_period_s", Field::MUTABLE),
        ("labels", Field::MUTABLE),
        ("provider_config", Field::UNSUPPORTED),
    ];
    // Ids are ARNs, as no id that anybody can choose.
    let base = KindCapabilities { id_shape: IdShape::Other, ..managed(horizon, "", fields.into()) };
    let own = [VerbName::DeleteInstances, VerbName::ReplaceInstances, VerbName::StopReplacement, VerbName::Members];
    KindCapabilities { verbs: MANAGED.into_iter().chain(own).collect(), limits: [("per_location", 500)].into(), ..base }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declares_all<K: Kind>() {
        let caps = capabilities(Duration::ZERO);
        let declared = &caps.of::<K>().unwrap().fields;
        for path in K::FIELDS {
            assert!(declared.contains_key(path), "{} {path}", K::KIND);
        }
        for path in declared.keys() {
            assert!(K::FIELDS.contains(&path.split('=').next().unwrap()), "{} {path}", K::KIND);
        }
    }
    #[test]
    fn every_field_is_declared() {
        declares_all::<Network>();
        declares_all::<Subnet>();
        declares_all::<SecurityGroup>();
        declares_all::<Instance>();
        declares_all::<Address>();
        declares_all::<Disk>();
        let missing: Vec<&str> = welkin_core::COLLECTIONS.iter().copied().filter(|c| !capabilities(Duration::ZERO).kinds.contains_key(c)).collect();
        assert_eq!(missing, [""; 0], "what AWS does not offer");
        declares_all::<NatGateway>();
        declares_all::<RouteTable>();
        declares_all::<DnsZone>();
        declares_all::<RecordSet>();
        declares_all::<LoadBalancer>();
        declares_all::<InstanceGroup>();
    }
    #[test]
    fn a_vpc_cannot_choose_its_ipv6_range() {
        let spec = welkin_core::NetworkSpec { cidrs: vec!["10.0.0.0/16".parse().unwrap(), "2001:db8::/56".parse().unwrap()], ..Default::default() };
        let e = capabilities(Duration::ZERO).check_spec::<Network>(&spec).unwrap_err();
        assert_eq!((e.reason(), e.violations()[0].field.as_str()), (welkin_core::Reason::CapabilityUnsupported, "cidrs"));
    }
}
