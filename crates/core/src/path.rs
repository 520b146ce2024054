//! Paths of fields, generic over the serde form of a specification: one vocabulary for protobuf, serde and capabilities.

use crate::{Data, Error, ErrorKind, Kind, Reason, Violation};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A field's path: `root_disk.size_gib`. Items of a list share their list's path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FieldPath(pub String);
impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl From<&str> for FieldPath {
    fn from(s: &str) -> Self {
        Self(s.into())
    }
}

fn value(data: &impl Data) -> Result<Value, Error> {
    serde_json::to_value(data).map_err(|e| Error::internal("a specification does not serialise").with_source(e))
}
/// These hold a user's own keys, or another vocabulary, and count as one field.
fn is_leaf(path: &str) -> bool {
    matches!(path, "labels" | "provider_config")
}

/// Every field that differs from its default, by path; for enums and texts also as `path=VALUE`, because a capability may exclude one value.
#[must_use]
pub fn set_fields<K: Kind>(spec: &K::Spec) -> BTreeSet<String> {
    fn walk(at: &str, v: &Value, default: Option<&Value>, out: &mut BTreeSet<String>) {
        if Some(v) == default || v.is_null() {
            return;
        }
        if !at.is_empty() {
            out.insert(at.to_owned());
        }
        match v {
            Value::Object(fields) if !is_leaf(at) && !is_ref(fields) => {
                for (k, v) in fields {
                    let below = if at.is_empty() { k.clone() } else { format!("{at}.{k}") };
                    walk(&below, v, default.and_then(|d| d.get(k)), out);
                }
            }
            Value::Array(items) => {
                for item in items {
                    walk(at, item, None, out);
                }
            }
            Value::String(s) => {
                // Ranges and addresses: a capability speaks of their family.
                let family = if s.parse::<ipnet::IpNet>().is_ok_and(|n| n.addr().is_ipv4()) || s.parse::<std::net::Ipv4Addr>().is_ok() {
                    Some("IPV4")
                } else if s.parse::<ipnet::IpNet>().is_ok() || s.parse::<std::net::Ipv6Addr>().is_ok() {
                    Some("IPV6")
                } else {
                    None
                };
                out.insert(format!("{at}={}", family.unwrap_or(s)));
            }
            _ => {}
        }
    }
    let mut out = BTreeSet::new();
    if let (Ok(v), Ok(d)) = (value(spec), value(&K::Spec::default())) {
        walk("", &v, Some(&d), &mut out);
    }
    out
}
fn is_ref(fields: &serde_json::Map<String, Value>) -> bool {
    fields.contains_key("name") && fields.keys().all(|k| k == "name" || k == "vendor_id")
}

/// The paths of `K::FIELDS` at which the two differ, the deepest that tells it. References count as equal when their names are, and lists of
/// references in any order.
///
/// # Errors
/// `Internal` where a specification does not serialise.
pub fn changed_paths<K: Kind>(a: &K::Spec, b: &K::Spec) -> Result<BTreeSet<FieldPath>, Error> {
    let (a, b) = (flat::<K>(&value(a)?), flat::<K>(&value(b)?));
    Ok(a.iter().filter(|(path, v)| b.get(*path) != Some(v)).map(|(path, _)| FieldPath(path.clone())).collect())
}
fn flat<K: Kind>(spec: &Value) -> BTreeMap<String, Value> {
    let is_parent = |path: &str| K::FIELDS.iter().any(|other| is_below(other, path));
    K::FIELDS
        .iter()
        .filter(|path| list_around::<K>(path, spec).is_none() && (!is_parent(path) || spec.pointer(&pointer(path)).is_some_and(Value::is_array)))
        .map(|path| {
            let mut v = spec.pointer(&pointer(path)).cloned().unwrap_or(Value::Null);
            forget_vendor_ids(&mut v);
            sort_refs(&mut v);
            ((*path).to_owned(), v)
        })
        .collect()
}
fn is_below(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'))
}
/// The list whose items have this field. They share one path, so they are compared and replaced together.
fn list_around<K: Kind>(path: &str, spec: &Value) -> Option<&'static str> {
    K::FIELDS.iter().copied().find(|other| is_below(path, other) && spec.pointer(&pointer(other)).is_some_and(Value::is_array))
}
fn forget_vendor_ids(v: &mut Value) {
    match v {
        Value::Object(fields) => {
            if is_ref(fields) {
                fields.remove("vendor_id");
            }
            fields.values_mut().for_each(forget_vendor_ids);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_vendor_ids),
        _ => {}
    }
}
/// The order of a list of references means nothing.
fn sort_refs(v: &mut Value) {
    let name = |r: &Value| r.get("name").map(Value::to_string);
    if let Value::Array(items) = v
        && items.iter().all(|i| i.as_object().is_some_and(is_ref))
    {
        items.sort_by_key(name);
    }
}
fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

/// `current` with the fields named by `paths` taken from `patch` (google.aip.dev/134). The single path `*` stands for all of them. An unset
/// field in `patch` clears the field.
///
/// # Errors
/// `InvalidArgument` for a path that is not a field of the kind, or that can only be set at creation.
pub fn merge<K: Kind>(current: &K::Spec, patch: &K::Spec, paths: &BTreeSet<FieldPath>) -> Result<K::Spec, Error> {
    if paths.len() == 1 && paths.iter().all(|p| p.0 == "*") {
        return Ok(patch.clone());
    }
    let (mut merged, patch, default) = (value(current)?, value(patch)?, value(&K::Spec::default())?);
    let unfit = |p: &FieldPath| match list_around::<K>(&p.0, &default) {
        _ if !K::FIELDS.contains(&p.0.as_str()) => Some(format!("{p} is not a field of {} that can be set; its fields are {}", K::KIND, K::FIELDS.join(", "))),
        Some(list) => Some(format!("{p} is a field of each of the {list}, which are replaced together: name {list}")),
        None => None,
    };
    let unknown: Vec<Violation> = paths.iter().filter_map(|p| Some(Violation::new("update_mask", unfit(p)?))).collect();
    if !unknown.is_empty() {
        return Err(Error::violated(Reason::InvalidFieldMask, unknown));
    }
    for path in paths {
        let at = pointer(&path.0);
        let Some(slot) = merged.pointer_mut(&at) else {
            return Err(Error::internal(format!("{path} is listed as a field of {} and is not there", K::KIND)));
        };
        *slot = patch.pointer(&at).or_else(|| default.pointer(&at)).cloned().unwrap_or(Value::Null);
    }
    serde_json::from_value(merged).map_err(|e| Error::new(ErrorKind::InvalidArgument, Reason::InvalidFieldMask, format!("the mask's fields do not fit together: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Address, AddressSpec, Alternative, Backend, Connectivity, Direction, Disk, DiskSpec, DnsZone, DnsZoneSpec, FailoverRole, GroupHealth, HealthCheck, HealthProtocol,
        HealthSource, Image, Instance, InstanceGroup, InstanceGroupSpec, InstanceSpec, InstanceTemplate, Listener, ListenerProtocol, LoadBalancer, LoadBalancerSpec, LocationName,
        Name, NatGateway, NatGatewaySpec, Network, NetworkSpec, Protocol, RecordAlias, RecordItem, RecordSet, RecordSetSpec, Ref, RootDisk, Route, RouteTable, RouteTableSpec,
        Routing, Scheme, SecurityGroup, SecurityGroupSpec, SecurityRule, Subnet, SubnetSpec, TemplateDisk, VendorConfig,
    };

    fn full() -> InstanceSpec {
        let image = Name::<Image>::new(LocationName::of("r").unwrap(), "debian-12".parse().unwrap());
        InstanceSpec {
            zone: Some("r-a".into()),
            machine_type: "small".into(),
            image: Some(Ref::to(image)),
            subnet: Some(Ref::to("locations/r/subnets/s".parse().unwrap())),
            private_ips: vec!["10.0.0.4".parse().unwrap(), "2001:db8::4".parse().unwrap()],
            assign_public_ip: Some(true),
            assign_ipv6: true,
            ssh_key: Some("ssh-ed25519 A".into()),
            user_data: Some(crate::Secret::new("#!")),
            identity: Some("p".into()),
            root_disk: RootDisk { size_gib: Some(8), disk_type: Some("gp3".into()), encrypted: Some(true) },
            ip_forwarding: true,
            labels: [("a".to_owned(), "b".to_owned())].into(),
            provider_config: Some(VendorConfig { type_name: "t".into(), body: Value::Null }),
            security_groups: vec![group("a"), group("b")],
            deletion_protection: true,
            spot: true,
            alternatives: vec![Alternative { machine_type: "large".into(), subnet: Some(Ref::to("locations/r/subnets/t".parse().unwrap())), zone: Some("r-b".into()) }],
        }
    }
    fn full_load_balancer() -> LoadBalancerSpec {
        let text = || Some("t".to_owned());
        LoadBalancerSpec {
            network: Some(Ref::to("locations/r/networks/n".parse().unwrap())),
            subnets: vec![Ref::to("locations/r/subnets/s".parse().unwrap())],
            scheme: Scheme::Public,
            listeners: vec![Listener { protocol: ListenerProtocol::Tls, port: Some(443), target_port: Some(80), certificate: text() }],
            backends: vec![Backend {
                instance: Some(Ref::to("locations/r/instances/i".parse().unwrap())),
                instance_group: Some(Ref::to("locations/r/instanceGroups/g".parse().unwrap())),
                address: Some([10, 0, 0, 1].into()),
            }],
            health_check: HealthCheck {
                protocol: HealthProtocol::Http,
                port: Some(80),
                path: text(),
                interval_s: Some(1),
                healthy_threshold: Some(1),
                unhealthy_threshold: Some(1),
            },
            source_ranges: vec!["::/0".parse().unwrap()],
            client_ip_affinity: true,
            preserve_client_ip: Some(true),
            proxy_protocol: true,
            cross_zone: true,
            idle_timeout_s: Some(60),
            addresses: vec![Ref::to("locations/r/addresses/a".parse().unwrap())],
            dual_stack: true,
            deletion_protection: true,
            labels: full().labels,
            provider_config: full().provider_config,
        }
    }
    fn full_instance_group() -> InstanceGroupSpec {
        let (text, whole) = (|| Some("t".to_owned()), full());
        InstanceGroupSpec {
            template: InstanceTemplate {
                machine_types: vec!["small".into()],
                image: whole.image,
                ssh_key: whole.ssh_key,
                user_data: whole.user_data,
                identity: text(),
                root_disk: whole.root_disk,
                disks: vec![TemplateDisk { size_gib: Some(1), disk_type: text(), encrypted: Some(true) }],
                security_groups: vec![group("a")],
                assign_public_ip: Some(true),
            },
            subnets: vec![Ref::to("locations/r/subnets/s".parse().unwrap())],
            zones: vec!["r-a".into()],
            min_size: 1,
            max_size: Some(2),
            size: Some(1),
            on_demand_base: 1,
            spot_percent: 1,
            health: GroupHealth { source: HealthSource::Instance, grace_period_s: Some(1) },
            labels: whole.labels,
            provider_config: whole.provider_config,
        }
    }
    fn group(id: &str) -> Ref<SecurityGroup> {
        Ref::to(format!("locations/r/securityGroups/{id}").parse().unwrap())
    }
    #[test]
    fn the_order_of_references_means_nothing() {
        let turned = InstanceSpec { security_groups: vec![group("b"), Ref { vendor_id: Some("sg-1".parse().unwrap()), ..group("a") }], ..full() };
        assert_eq!(changed_paths::<Instance>(&full(), &turned).unwrap(), BTreeSet::new());
        let other = InstanceSpec { security_groups: vec![group("a"), group("c")], ..full() };
        assert_eq!(changed_paths::<Instance>(&full(), &other).unwrap(), [FieldPath::from("security_groups")].into());
    }
    #[test]
    fn references_are_shown_by_the_names_that_are_known() {
        let mut spec = full();
        spec.security_groups[1].vendor_id = Some("sg-1".parse().unwrap());
        spec.alternatives[0].subnet.as_mut().unwrap().vendor_id = Some("subnet-1".parse().unwrap());
        let known = |at: &str, id: &crate::VendorId| (id.as_str() == "sg-1").then(|| format!("{}/web", at.rsplit_once('/').unwrap().0));
        crate::rename::<Instance>(&mut spec, known).unwrap();
        let names: Vec<String> = spec.security_groups.iter().map(|r| r.name.to_string()).collect();
        assert_eq!(names, ["locations/r/securityGroups/a", "locations/r/securityGroups/web"]);
        assert_eq!(spec.alternatives[0].subnet.as_ref().unwrap().name.id.as_str(), "t");
        // A store that has another kind's name for it is wrong, and says so.
        assert!(crate::rename::<Instance>(&mut spec, |_, _| Some("locations/r/subnets/s".into())).is_err());
    }
    #[test]
    fn every_field_is_listed_and_no_other() {
        let set: BTreeSet<_> = set_fields::<Instance>(&full()).into_iter().filter(|p| !p.contains('=')).collect();
        assert_eq!(set, Instance::FIELDS.iter().map(|s| (*s).to_owned()).collect());
        let network = NetworkSpec {
            cidrs: vec!["10.0.0.0/16".parse().unwrap(), "2001:db8::/48".parse().unwrap()],
            assign_ipv6_cidr: true,
            internet_access: true,
            labels: full().labels,
            provider_config: full().provider_config,
        };
        let instance = Some(Ref::to("locations/r/instances/i".parse().unwrap()));
        let address = AddressSpec { instance: instance.clone(), private_ip: Some([10, 0, 0, 1].into()), labels: full().labels, provider_config: full().provider_config };
        let set: BTreeSet<_> = set_fields::<Address>(&address).into_iter().filter(|p| !p.contains('=')).collect();
        assert_eq!(set, Address::FIELDS.iter().map(|s| (*s).to_owned()).collect());
        let text = || Some("t".to_owned());
        let disk = DiskSpec {
            zone: text(),
            size_gib: Some(1),
            disk_type: text(),
            iops: Some(1),
            throughput_mibps: Some(1),
            encrypted: Some(true),
            encryption_key: text(),
            snapshot: text(),
            instance,
            labels: full().labels,
            provider_config: full().provider_config,
        };
        let set: BTreeSet<_> = set_fields::<Disk>(&disk).into_iter().filter(|p| !p.contains('=')).collect();
        assert_eq!(set, Disk::FIELDS.iter().map(|s| (*s).to_owned()).collect());
        let zone = DnsZoneSpec {
            dns_name: Some("example.com".parse().unwrap()),
            private: true,
            networks: vec![Ref::to("locations/r/networks/n".parse().unwrap())],
            description: text(),
            labels: full().labels,
            provider_config: full().provider_config,
        };
        let set: BTreeSet<_> = set_fields::<DnsZone>(&zone).into_iter().filter(|p| !p.contains('=')).collect();
        assert_eq!(set, DnsZone::FIELDS.iter().map(|s| (*s).to_owned()).collect());
        let alias = RecordAlias { load_balancer: Some(Ref::to("locations/r/loadBalancers/l".parse().unwrap())), check_health: true };
        let record_set = RecordSetSpec {
            ttl_s: Some(60),
            values: vec!["192.0.2.1".into()],
            alias: alias.clone(),
            routing: Routing::Weighted,
            items: vec![RecordItem {
                id: "a".into(),
                values: vec!["192.0.2.1".into()],
                alias,
                weight: Some(1),
                region: text(),
                country: text(),
                failover: FailoverRole::Primary,
                health_check: text(),
            }],
            provider_config: full().provider_config,
        };
        let set: BTreeSet<_> = set_fields::<RecordSet>(&record_set).into_iter().filter(|p| !p.contains('=')).collect();
        assert_eq!(set, RecordSet::FIELDS.iter().map(|s| (*s).to_owned()).collect());
        let nat_gateway = NatGatewaySpec {
            subnet: Some(Ref::to("locations/r/subnets/s".parse().unwrap())),
            connectivity: Connectivity::Public,
            address: Some(Ref::to("locations/r/addresses/a".parse().unwrap())),
            labels: full().labels,
            provider_config: full().provider_config,
        };
        let set: BTreeSet<_> = set_fields::<NatGateway>(&nat_gateway).into_iter().filter(|p| !p.contains('=')).collect();
        assert_eq!(set, NatGateway::FIELDS.iter().map(|s| (*s).to_owned()).collect());
        let route = Route {
            destination: Some("::/0".parse().unwrap()),
            internet: true,
            instance: Some(Ref::to("locations/r/instances/i".parse().unwrap())),
            nat_gateway: Some(Ref::to("locations/r/natGateways/n".parse().unwrap())),
            peering: text(),
        };
        let route_table = RouteTableSpec {
            network: Some(Ref::to("locations/r/networks/n".parse().unwrap())),
            routes: vec![route],
            subnets: vec![Ref::to("locations/r/subnets/s".parse().unwrap())],
            labels: full().labels,
            provider_config: full().provider_config,
        };
        let set: BTreeSet<_> = set_fields::<RouteTable>(&route_table).into_iter().filter(|p| !p.contains('=')).collect();
        assert_eq!(set, RouteTable::FIELDS.iter().map(|s| (*s).to_owned()).collect());
        let set: BTreeSet<_> = set_fields::<LoadBalancer>(&full_load_balancer()).into_iter().filter(|p| !p.contains('=')).collect();
        assert_eq!(set, LoadBalancer::FIELDS.iter().map(|s| (*s).to_owned()).collect());
        let set: BTreeSet<_> = set_fields::<InstanceGroup>(&full_instance_group()).into_iter().filter(|p| !p.contains('=')).collect();
        assert_eq!(set, InstanceGroup::FIELDS.iter().map(|s| (*s).to_owned()).collect());
        let set = set_fields::<Network>(&network);
        assert!(set.contains("cidrs=IPV6") && set.contains("cidrs=IPV4"), "{set:?}");
        assert_eq!(set.into_iter().filter(|p| !p.contains('=')).collect::<BTreeSet<_>>(), Network::FIELDS.iter().map(|s| (*s).to_owned()).collect());
        let subnet = SubnetSpec {
            network: Some(Ref::to("locations/r/networks/n".parse().unwrap())),
            cidrs: network.cidrs,
            assign_ipv6_cidr: true,
            zone: Some("z".into()),
            assign_public_ip: true,
            labels: full().labels,
            provider_config: full().provider_config,
        };
        assert_eq!(set_fields::<Subnet>(&subnet).into_iter().filter(|p| !p.contains('=')).collect::<BTreeSet<_>>(), Subnet::FIELDS.iter().map(|s| (*s).to_owned()).collect());
    }
    #[test]
    fn merge_takes_exactly_the_mask() {
        let patch = InstanceSpec { machine_type: "large".into(), root_disk: RootDisk { size_gib: Some(20), ..Default::default() }, ..Default::default() };
        let merged = merge::<Instance>(&full(), &patch, &["machine_type".into(), "root_disk.size_gib".into(), "labels".into()].into()).unwrap();
        let expected = InstanceSpec { machine_type: "large".into(), root_disk: RootDisk { size_gib: Some(20), ..full().root_disk }, labels: Default::default(), ..full() };
        assert_eq!(merged, expected);
        let changed = changed_paths::<Instance>(&full(), &merged).unwrap();
        assert_eq!(changed, ["machine_type".into(), "root_disk.size_gib".into(), "labels".into()].into());
        assert_eq!(merge::<Instance>(&full(), &patch, &["*".into()].into()).unwrap(), patch);
        let e = merge::<Instance>(&full(), &patch, &["nonsense".into()].into()).unwrap_err();
        assert_eq!((e.reason(), e.violations()[0].field.as_str()), (Reason::InvalidFieldMask, "update_mask"));
    }
    /// A list of messages is one field, whatever its items are called by.
    #[test]
    fn items_are_compared_and_replaced_together() {
        let group = |port, resolved: bool| {
            let mut peer = Ref::to("locations/r/securityGroups/g".parse().unwrap());
            peer.vendor_id = resolved.then(|| "sg-1".parse().unwrap());
            let rule =
                SecurityRule { direction: Direction::Ingress, protocol: Some(Protocol::TCP), from_port: Some(port), to_port: Some(port), groups: vec![peer], ..Default::default() };
            SecurityGroupSpec { rules: vec![rule], ..Default::default() }
        };
        assert_eq!(changed_paths::<SecurityGroup>(&group(1, false), &group(1, true)).unwrap(), BTreeSet::new());
        assert_eq!(changed_paths::<SecurityGroup>(&group(1, false), &group(2, false)).unwrap(), ["rules".into()].into());
        assert_eq!(changed_paths::<SecurityGroup>(&group(1, false), &SecurityGroupSpec::default()).unwrap(), ["rules".into()].into());
        assert_eq!(merge::<SecurityGroup>(&group(1, false), &group(2, false), &["rules".into()].into()).unwrap(), group(2, false));
        let e = merge::<SecurityGroup>(&group(1, false), &group(2, false), &["rules.from_port".into()].into()).unwrap_err();
        assert!(e.violations()[0].description.contains("name rules"), "{e:?}");
        let full = SecurityGroupSpec {
            network: Some(Ref::to("locations/r/networks/n".parse().unwrap())),
            description: Some("d".into()),
            restrict_egress: true,
            labels: full().labels,
            provider_config: full().provider_config,
            allow_load_balancer_rules: true,
            rules: vec![SecurityRule { to_port: Some(2), cidrs: vec!["::/0".parse().unwrap()], same_group: true, description: "d".into(), ..group(1, true).rules.remove(0) }],
        };
        let set: BTreeSet<_> = set_fields::<SecurityGroup>(&full).into_iter().filter(|p| !p.contains('=')).collect();
        assert_eq!(set, SecurityGroup::FIELDS.iter().map(|s| (*s).to_owned()).collect());
    }
    #[test]
    fn a_resolved_reference_is_the_same_reference() {
        let mut resolved = full();
        resolved.subnet.as_mut().unwrap().vendor_id = Some("subnet-1".parse().unwrap());
        assert_eq!(changed_paths::<Instance>(&full(), &resolved).unwrap(), BTreeSet::new());
    }
}
