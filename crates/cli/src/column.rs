//! The columns of each kind's table: the only thing about a kind that is written down here.

/// One column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    /// The path of the field in the message.
    pub(crate) path: &'static str,
    /// Only with `-o wide`.
    pub(crate) wide: bool,
}

const fn always(title: &'static str, path: &'static str) -> Column {
    Column { title, path, wide: false }
}
const fn wide(title: &'static str, path: &'static str) -> Column {
    Column { title, path, wide: true }
}

/// What every table ends with, where the kind has it.
pub(crate) const LAST: &[Column] = &[wide("VENDOR ID", "vendor_id"), wide("PROVIDER ID", "provider_id"), wide("OWNED", "owned"), wide("UID", "uid"), always("AGE", "create_time")];

/// By collection, after name, cloud and location. A kind that is not here shows its state.
const COLUMNS: &[(&str, &[Column])] = &[
    ("networks", &[always("RANGES", "effective_cidrs"), always("STATE", "state"), wide("INTERNET", "internet_access"), wide("LABELS", "labels")]),
    (
        "subnets",
        &[
            always("NETWORK", "network"),
            always("ZONE", "zone"),
            always("RANGES", "effective_cidrs"),
            always("STATE", "state"),
            wide("FREE IPV4", "available_ipv4_addresses"),
            wide("LABELS", "labels"),
        ],
    ),
    (
        "securityGroups",
        &[
            always("NETWORK", "network"),
            always("RESTRICTS EGRESS", "restrict_egress"),
            always("STATE", "state"),
            wide("DESCRIPTION", "description"),
            wide("OPEN TO LOAD BALANCERS", "allow_load_balancer_rules"),
            wide("OTHER RULES", "other_rules"),
            wide("LABELS", "labels"),
        ],
    ),
    (
        "instances",
        &[
            always("STATE", "state"),
            always("ZONE", "zone"),
            always("TYPE", "machine_type"),
            always("PRIVATE IPS", "effective_private_ips"),
            always("PUBLIC IPS", "public_ips"),
            wide("SUBNET", "subnet"),
            wide("SECURITY GROUPS", "security_groups"),
            wide("IMAGE", "image"),
            wide("LABELS", "labels"),
            wide("GROUP", "instance_group"),
            wide("REASON", "state_reason"),
        ],
    ),
    (
        "addresses",
        &[always("IP", "ip"), always("STATE", "state"), always("INSTANCE", "instance"), wide("PRIVATE IP", "private_ip"), wide("USER", "user"), wide("LABELS", "labels")],
    ),
    (
        "disks",
        &[
            always("STATE", "state"),
            always("ZONE", "zone"),
            always("SIZE GIB", "size_gib"),
            always("TYPE", "disk_type"),
            always("INSTANCE", "instance"),
            wide("DEVICE", "device"),
            wide("ENCRYPTED", "encrypted"),
            wide("LABELS", "labels"),
            wide("REASON", "state_reason"),
        ],
    ),
    (
        "natGateways",
        &[
            always("STATE", "state"),
            always("CONNECTIVITY", "connectivity"),
            always("PUBLIC IP", "public_ip"),
            always("PRIVATE IP", "private_ip"),
            wide("SUBNET", "subnet"),
            wide("ADDRESS", "address"),
            wide("LABELS", "labels"),
            wide("REASON", "state_reason"),
        ],
    ),
    ("recordSets", &[always("TTL", "ttl_s"), always("VALUES", "values"), always("ALIAS", "alias.load_balancer"), always("ROUTING", "routing")]),
    (
        "routeTables",
        &[
            always("NETWORK", "network"),
            always("SUBNETS", "subnets"),
            always("STATE", "state"),
            wide("BLACKHOLES", "blackholes"),
            wide("OTHER ROUTES", "other_routes"),
            wide("LABELS", "labels"),
        ],
    ),
    (
        "loadBalancers",
        &[
            always("SCHEME", "scheme"),
            always("STATE", "state"),
            always("DNS NAME", "dns_name"),
            always("IP ADDRESSES", "ip_addresses"),
            wide("NETWORK", "network"),
            wide("SUBNETS", "subnets"),
            wide("OPENED GROUPS", "opened_security_groups"),
            wide("LABELS", "labels"),
            wide("REASON", "state_reason"),
        ],
    ),
    (
        "instanceGroups",
        &[
            always("STATE", "state"),
            always("SIZE", "size"),
            always("RUNNING", "running_instances"),
            always("PENDING", "pending_instances"),
            always("OUT OF DATE", "out_of_date_instances"),
            wide("MIN", "min_size"),
            wide("MAX", "max_size"),
            wide("FAILED", "failed_launches"),
            wide("ZONES", "effective_zones"),
            wide("SUBNETS", "subnets"),
            wide("TEMPLATE", "template_version"),
            wide("REPLACING", "is_replacing"),
            wide("LABELS", "labels"),
            wide("REASON", "state_reason"),
        ],
    ),
    (
        "dnsZones",
        &[
            always("DNS NAME", "dns_name"),
            always("PRIVATE", "private"),
            always("STATE", "state"),
            wide("NETWORKS", "networks"),
            wide("NAME SERVERS", "name_servers"),
            wide("DESCRIPTION", "description"),
            wide("LABELS", "labels"),
        ],
    ),
    ("locations", &[always("ZONES", "zones"), wide("DISPLAY NAME", "display_name")]),
    (
        "machineTypes",
        &[
            always("VCPUS", "vcpus"),
            always("MEMORY MIB", "memory_mib"),
            always("ARCHITECTURES", "architectures"),
            always("GPUS", "gpus"),
            wide("NETWORK MBPS", "network_mbps"),
            wide("ZONES", "zones"),
        ],
    ),
    (
        "images",
        &[
            always("FAMILY", "family"),
            always("ARCHITECTURE", "architecture"),
            wide("PUBLISHER", "publisher"),
            wide("MIN DISK GIB", "min_disk_gib"),
            always("DISPLAY NAME", "display_name"),
        ],
    ),
    (
        "quotas",
        &[
            always("COLLECTION", "collection"),
            always("PER", "per"),
            always("USED", "used"),
            always("LIMIT", "limit"),
            always("UNIT", "unit"),
            wide("ADJUSTABLE", "adjustable"),
            wide("SERVICE", "service"),
            always("NOT TOLD BECAUSE", "unknown_reason"),
            always("DISPLAY NAME", "display_name"),
        ],
    ),
];

/// For kinds without a line above.
const OTHER: &[Column] = &[always("STATE", "state")];

/// The columns of a collection.
pub(crate) fn of(collection: &str) -> &'static [Column] {
    COLUMNS.iter().find(|(c, _)| *c == collection).map_or(OTHER, |(_, columns)| columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kinds;

    #[test]
    fn every_column_shows_a_field_that_exists() {
        let kinds = Kinds::new();
        for (collection, columns) in COLUMNS {
            let kind = kinds.all.iter().find(|k| k.collection == *collection).unwrap();
            for column in *columns {
                assert!(crate::output::field_at(&kind.message, column.path).is_some(), "{collection} has no {}", column.path);
            }
        }
        for kind in &kinds.all {
            assert!(COLUMNS.iter().any(|(c, _)| *c == kind.collection), "{} has no columns", kind.collection);
        }
    }
}
