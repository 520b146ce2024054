//! What this cloud can do.

use crate::{Config, vendor::MOST_ROUTES};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use welkin_core::{
    Address, Capabilities, Disk, DnsZone, FieldCapability as Field, IdShape, Image, Instance, InstanceGroup, Kind, KindCapabilities, LoadBalancer, Location, MachineType,
    Mutability, NatGateway, Network, Quota, RecordSet, RouteTable, Scope, SecurityGroup, Subnet, Support, VerbName,
};

const EMULATED: Field = Field { support: Support::Emulated, ..Field::NATIVE };
const MUTABLE_REQUIRED: Field = Field { mutability: Mutability::Mutable, ..Field::REQUIRED };

const NETWORK: &[(&str, Field)] = &[
    ("cidrs", Field::REQUIRED.between(8, 29).at_most(5)),
    ("assign_ipv6_cidr", Field::NATIVE),
    ("internet_access", Field::MUTABLE),
    ("labels", Field::MUTABLE),
    ("provider_config", Field::UNSUPPORTED),
];
const SUBNET: &[(&str, Field)] = &[
    ("network", Field::REQUIRED),
    ("cidrs", Field::NATIVE.between(8, 29).at_most(2)),
    ("assign_ipv6_cidr", Field::NATIVE),
    ("zone", Field::REQUIRED),
    ("assign_public_ip", Field::MUTABLE),
    ("labels", Field::MUTABLE),
    ("provider_config", Field::UNSUPPORTED),
];
const SECURITY_GROUP: &[(&str, Field)] = &[
    ("network", Field::REQUIRED),
    ("description", Field::NATIVE),
    ("restrict_egress", Field::MUTABLE),
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
    ("allow_load_balancer_rules", Field::MUTABLE),
];
const INSTANCE: &[(&str, Field)] = &[
    ("zone", Field::NATIVE),
    ("machine_type", MUTABLE_REQUIRED),
    ("image", Field::REQUIRED),
    ("subnet", Field::REQUIRED),
    ("private_ips", Field::NATIVE.at_most(32)),
    ("assign_public_ip", Field::NATIVE),
    ("assign_ipv6", Field::NATIVE),
    ("ssh_key", Field::NATIVE),
    ("user_data", Field::NATIVE),
    ("identity", Field::NATIVE),
    ("root_disk", Field::NATIVE),
    ("root_disk.size_gib", Field::NATIVE.between(8, 16 * 1024)),
    ("root_disk.disk_type", Field::NATIVE),
    ("root_disk.encrypted", Field::NATIVE),
    ("ip_forwarding", Field::MUTABLE),
    ("labels", Field::MUTABLE),
    ("provider_config", Field::UNSUPPORTED),
    ("security_groups", Field::MUTABLE.at_most(16)),
    ("deletion_protection", Field::MUTABLE),
    ("spot", Field::NATIVE),
    ("alternatives", EMULATED.at_most(16)),
    ("alternatives.machine_type", EMULATED),
    ("alternatives.subnet", EMULATED),
    ("alternatives.zone", EMULATED),
];
const ADDRESS: &[(&str, Field)] = &[("instance", Field::MUTABLE), ("private_ip", Field::MUTABLE), ("labels", Field::MUTABLE), ("provider_config", Field::UNSUPPORTED)];
const DISK: &[(&str, Field)] = &[
    ("zone", Field::REQUIRED),
    ("size_gib", MUTABLE_REQUIRED.between(1, 16 * 1024)),
    ("disk_type", Field::MUTABLE),
    ("iops", Field::MUTABLE.between(100, 64_000)),
    ("throughput_mibps", Field::MUTABLE.between(1, 1000)),
    ("encrypted", Field::NATIVE),
    ("encryption_key", Field::NATIVE),
    ("snapshot", Field::UNSUPPORTED),
    ("instance", Field::MUTABLE),
    ("labels", Field::MUTABLE),
    ("provider_config", Field::UNSUPPORTED),
];
const NAT_GATEWAY: &[(&str, Field)] =
    &[("subnet", Field::REQUIRED), ("connectivity", Field::REQUIRED), ("address", Field::NATIVE), ("labels", Field::MUTABLE), ("provider_config", Field::UNSUPPORTED)];
const ROUTE_TABLE: &[(&str, Field)] = &[
    ("network", Field::REQUIRED),
    ("routes", Field::MUTABLE.at_most(MOST_ROUTES)),
    ("routes.destination", Field::MUTABLE),
    ("routes.internet", Field::MUTABLE),
    ("routes.instance", Field::MUTABLE),
    ("routes.nat_gateway", Field::MUTABLE),
    ("routes.peering", Field::UNSUPPORTED),
    ("subnets", Field::MUTABLE),
    ("labels", Field::MUTABLE),
    ("provider_config", Field::UNSUPPORTED),
];
const LOAD_BALANCER: &[(&str, Field)] = &[
    ("network", Field::REQUIRED),
    ("subnets", MUTABLE_REQUIRED),
    ("scheme", Field::REQUIRED),
    ("listeners", MUTABLE_REQUIRED.at_most(50)),
    ("listeners.protocol", Field::MUTABLE),
    ("listeners.protocol=TLS", Field::UNSUPPORTED),
    ("listeners.port", Field::MUTABLE),
    ("listeners.target_port", Field::MUTABLE),
    ("listeners.certificate", Field::UNSUPPORTED),
    ("backends", MUTABLE_REQUIRED.at_most(1000)),
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
    ("source_ranges", Field::MUTABLE),
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

const INSTANCE_GROUP: &[(&str, Field)] = &[
    ("template", MUTABLE_REQUIRED),
    ("template.machine_types", MUTABLE_REQUIRED.at_most(40)),
    ("template.image", MUTABLE_REQUIRED),
    ("template.ssh_key", Field::MUTABLE),
    ("template.user_data", Field::MUTABLE),
    ("template.identity", Field::MUTABLE),
    ("template.root_disk", Field::MUTABLE),
    ("template.root_disk.size_gib", Field::MUTABLE.between(8, 16 * 1024)),
    ("template.root_disk.disk_type", Field::MUTABLE),
    ("template.root_disk.encrypted", Field::MUTABLE),
    ("template.disks", Field::MUTABLE),
    ("template.disks.size_gib", Field::MUTABLE),
    ("template.disks.disk_type", Field::MUTABLE),
    ("template.disks.encrypted", Field::MUTABLE),
    ("template.security_groups", Field::MUTABLE.at_most(16)),
    ("template.assign_public_ip", Field::MUTABLE),
    ("subnets", MUTABLE_REQUIRED),
    // They follow from the subnets, each of which lies in one.
    ("zones", Field::UNSUPPORTED),
    ("min_size", Field::MUTABLE),
    ("max_size", MUTABLE_REQUIRED),
    ("size", Field::MUTABLE),
    ("on_demand_base", Field::MUTABLE),
    ("spot_percent", Field::MUTABLE.between(0, 100)),
    ("health", Field::MUTABLE),
    ("health.source", Field::MUTABLE),
    ("health.source=LOAD_BALANCER", Field::UNSUPPORTED),
    ("health.grace_period_s", Field::MUTABLE.between(0, 7200)),
    ("labels", Field::MUTABLE),
    ("provider_config", Field::UNSUPPORTED),
];

const DNS_ZONE: &[(&str, Field)] = &[
    ("dns_name", Field::REQUIRED),
    ("private", Field::NATIVE),
    ("networks", Field::MUTABLE.at_most(100)),
    ("description", Field::MUTABLE),
    ("labels", Field::MUTABLE),
    ("provider_config", Field::UNSUPPORTED),
];

const RECORD_SET: &[(&str, Field)] = &[
    ("ttl_s", Field::MUTABLE),
    ("values", Field::MUTABLE.at_most(400)),
    ("alias", Field::MUTABLE),
    ("alias.load_balancer", Field::MUTABLE),
    ("alias.check_health", Field::MUTABLE),
    ("routing", Field::MUTABLE),
    ("items", Field::MUTABLE),
    ("items.id", Field::MUTABLE),
    ("items.values", Field::MUTABLE),
    ("items.alias", Field::MUTABLE),
    ("items.alias.load_balancer", Field::MUTABLE),
    ("items.alias.check_health", Field::MUTABLE),
    ("items.weight", Field::MUTABLE),
    ("items.region", Field::MUTABLE),
    ("items.country", Field::MUTABLE),
    ("items.failover", Field::MUTABLE),
    ("items.health_check", Field::UNSUPPORTED),
    ("provider_config", Field::UNSUPPORTED),
];

const MANAGE_ZONES: &[VerbName] = &[VerbName::Get, VerbName::List, VerbName::Create, VerbName::Update, VerbName::Delete, VerbName::ChangeRecords];
const READ: &[VerbName] = &[VerbName::Get, VerbName::List];
const MANAGE: &[VerbName] = &[VerbName::Get, VerbName::List, VerbName::Create, VerbName::Update, VerbName::Delete];
const BALANCE: &[VerbName] = &[VerbName::Get, VerbName::List, VerbName::Create, VerbName::Update, VerbName::Delete, VerbName::ChangeBackends, VerbName::TargetHealth];
const GROUP: &[VerbName] = &[
    VerbName::Get,
    VerbName::List,
    VerbName::Create,
    VerbName::Update,
    VerbName::Delete,
    VerbName::DeleteInstances,
    VerbName::ReplaceInstances,
    VerbName::StopReplacement,
    VerbName::Members,
];
const OPERATE: &[VerbName] =
    &[VerbName::Get, VerbName::List, VerbName::Create, VerbName::Update, VerbName::Delete, VerbName::Start, VerbName::Stop, VerbName::Reboot, VerbName::ConsoleOutput];

fn kind(scope: Scope, verbs: &[VerbName], fields: &[(&'static str, Field)], id_shape: IdShape, horizon: Duration) -> KindCapabilities {
    KindCapabilities {
        scope,
        verbs: verbs.iter().copied().collect(),
        fields: fields.iter().cloned().collect(),
        id_shape,
        provider_configs: BTreeSet::new(),
        limits: BTreeMap::new(),
        horizon,
    }
}
fn limited(mut kind: KindCapabilities, limit: &'static str, quota: Option<usize>) -> KindCapabilities {
    if let Some(n) = quota.and_then(|n| u64::try_from(n).ok()) {
        kind.limits.insert(limit, n);
    }
    kind
}

pub(crate) fn capabilities(config: &Config) -> Capabilities {
    let (horizon, quotas) = (config.horizon(), config.quotas);
    let region = |verbs, fields, prefix, quota| limited(kind(Scope::Region, verbs, fields, IdShape::PrefixedHex(prefix), horizon), "per_region", quota);
    let kinds = [
        (Network::COLLECTION, region(MANAGE, NETWORK, "net-", quotas.networks)),
        (Subnet::COLLECTION, region(MANAGE, SUBNET, "subnet-", quotas.subnets)),
        (SecurityGroup::COLLECTION, region(MANAGE, SECURITY_GROUP, "sg-", quotas.security_groups)),
        (Instance::COLLECTION, region(OPERATE, INSTANCE, "i-", quotas.instances)),
        (Address::COLLECTION, region(MANAGE, ADDRESS, "addr-", quotas.addresses)),
        (Disk::COLLECTION, region(MANAGE, DISK, "disk-", quotas.disks)),
        (DnsZone::COLLECTION, limited(kind(Scope::Global, MANAGE_ZONES, DNS_ZONE, IdShape::PrefixedHex("zone-"), horizon), "per_account", quotas.dns_zones)),
        (NatGateway::COLLECTION, region(MANAGE, NAT_GATEWAY, "nat-", quotas.nat_gateways)),
        (RouteTable::COLLECTION, region(MANAGE, ROUTE_TABLE, "rtb-", quotas.route_tables)),
        (LoadBalancer::COLLECTION, region(BALANCE, LOAD_BALANCER, "lb-", quotas.load_balancers)),
        (InstanceGroup::COLLECTION, region(GROUP, INSTANCE_GROUP, "grp-", quotas.instance_groups)),
        (RecordSet::COLLECTION, kind(Scope::Global, MANAGE, RECORD_SET, IdShape::Other, Duration::ZERO)),
        (Location::COLLECTION, kind(Scope::Global, READ, &[], IdShape::Other, Duration::ZERO)),
        (MachineType::COLLECTION, kind(Scope::Region, READ, &[], IdShape::Other, Duration::ZERO)),
        (Image::COLLECTION, kind(Scope::Region, READ, &[], IdShape::PrefixedHex("img-"), Duration::ZERO)),
        (Quota::COLLECTION, kind(Scope::Region, READ, &[], IdShape::Other, Duration::ZERO)),
    ];
    Capabilities { vendor: "sim", kinds: kinds.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_declared_and_no_other() {
        let caps = capabilities(&Config::default());
        let kinds = [
            (Network::COLLECTION, Network::FIELDS),
            (Subnet::COLLECTION, Subnet::FIELDS),
            (SecurityGroup::COLLECTION, SecurityGroup::FIELDS),
            (Instance::COLLECTION, Instance::FIELDS),
            (Address::COLLECTION, Address::FIELDS),
            (Disk::COLLECTION, Disk::FIELDS),
            (DnsZone::COLLECTION, DnsZone::FIELDS),
            (NatGateway::COLLECTION, NatGateway::FIELDS),
            (RouteTable::COLLECTION, RouteTable::FIELDS),
            (LoadBalancer::COLLECTION, LoadBalancer::FIELDS),
            (InstanceGroup::COLLECTION, InstanceGroup::FIELDS),
            (RecordSet::COLLECTION, RecordSet::FIELDS),
        ];
        for (collection, fields) in kinds {
            let declared = caps.kinds[collection].fields.keys().copied().filter(|path| !path.contains('='));
            assert_eq!(declared.collect::<BTreeSet<_>>(), fields.iter().copied().collect(), "{collection}");
        }
    }
}
