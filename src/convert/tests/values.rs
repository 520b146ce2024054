//! Values come back.

use crate::{
    api::{v1, welkin::provider::aws::v1::InstanceConfig},
    convert::{Mutable, Resource, Scope, capability, full_name, operation, split_name},
};
use ipnet::IpNet;
use proptest::{
    collection::{btree_set, vec},
    option,
    prelude::*,
};
use prost::Message;
use prost_types::Any;
use serde_json::json;
use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};
use welkin_core::*;
use welkin_engine::{Operation, Outcome, Phase};

fn label() -> impl Strategy<Value = String> {
    "[a-z]([a-z0-9-]{0,10}[a-z0-9])?"
}
fn location() -> impl Strategy<Value = LocationName> {
    "[a-z]{2}-[a-z]{3,6}-[1-9]".prop_map(|id| LocationName::of(&id).unwrap())
}
fn name<K: Kind<Parent = LocationName, Id = ResourceId>>() -> impl Strategy<Value = Name<K>> {
    (location(), prop_oneof![label().prop_map(|l| l.parse().unwrap()), "\\PC{1,12}".prop_map(|raw| ResourceId::of_vendor(&raw).unwrap())]).prop_map(|(l, id)| Name::new(l, id))
}
fn reference<K: Kind<Parent = LocationName, Id = ResourceId>>() -> impl Strategy<Value = Option<Ref<K>>> {
    option::of(name::<K>().prop_map(Ref::to))
}
fn net() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        (any::<[u8; 4]>(), 0u8..=32).prop_map(|(a, p)| IpNet::new(a.into(), p).unwrap()),
        (any::<[u8; 16]>(), 0u8..=128).prop_map(|(a, p)| IpNet::new(a.into(), p).unwrap())
    ]
}
fn ip() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>()
}
fn labels() -> impl Strategy<Value = Labels> {
    proptest::collection::btree_map("\\PC{1,8}", "\\PC{0,8}", 0..4)
}
fn text() -> impl Strategy<Value = Option<String>> {
    option::of("\\PC{1,10}")
}
fn vendor_config() -> impl Strategy<Value = Option<VendorConfig>> {
    option::of((any::<bool>(), 1u32..64, "[a-z]{1,8}").prop_map(|(tokens, hops, key)| {
        let mut body = json!({ "metadata_hop_limit": hops, "key_name": key });
        if tokens {
            body["metadata_tokens_optional"] = json!(true);
        }
        VendorConfig { type_name: "welkin.provider.aws.v1.InstanceConfig".into(), body }
    }))
}
prop_compose! {
    fn network()(cidrs in vec(net(), 0..4), assign_ipv6_cidr in any::<bool>(), internet_access in any::<bool>(), labels in labels(), provider_config in vendor_config()) -> NetworkSpec {
        NetworkSpec { cidrs, assign_ipv6_cidr, internet_access, labels, provider_config }
    }
}
prop_compose! {
    fn subnet()(network in reference(), cidrs in vec(net(), 0..3), assign_ipv6_cidr in any::<bool>(), zone in text(), assign_public_ip in any::<bool>(), labels in labels(),
                provider_config in vendor_config()) -> SubnetSpec {
        SubnetSpec { network, cidrs, assign_ipv6_cidr, zone, assign_public_ip, labels, provider_config }
    }
}
fn security_rule() -> impl Strategy<Value = SecurityRule> {
    let ports = option::of((any::<u16>(), any::<u16>()));
    let protocol = option::of(prop_oneof![Just(Protocol::All), any::<u8>().prop_map(Protocol::Number)]);
    (0usize..Direction::ALL.len(), protocol, ports, vec(net(), 0..3), vec(name::<SecurityGroup>().prop_map(Ref::to), 0..3), any::<bool>(), "\\PC{0,8}").prop_map(
        |(direction, protocol, ports, cidrs, groups, same_group, description)| {
            let (from_port, to_port) = ports.unzip();
            SecurityRule { direction: Direction::ALL[direction], protocol, from_port, to_port, cidrs, groups, same_group, description }
        },
    )
}
prop_compose! {
    fn security_group()(network in reference(), description in text(), restrict_egress in any::<bool>(), rules in vec(security_rule(), 0..4), labels in labels(),
                        provider_config in vendor_config(), allow_load_balancer_rules in any::<bool>()) -> SecurityGroupSpec {
        let mut spec = SecurityGroupSpec { network, description, restrict_egress, rules, labels, provider_config, allow_load_balancer_rules };
        spec.sort();
        spec
    }
}
prop_compose! {
    fn root_disk()(size_gib in option::of(any::<u32>()), disk_type in text(), encrypted in option::of(any::<bool>())) -> RootDisk {
        RootDisk { size_gib, disk_type, encrypted }
    }
}
prop_compose! {
    fn instance()((zone, machine_type, image, subnet, private_ips) in (text(), "\\PC{0,10}", reference(), reference(), vec(ip(), 0..3)),
                  (assign_public_ip, assign_ipv6, ip_forwarding) in (option::of(any::<bool>()), any::<bool>(), any::<bool>()),
                  (ssh_key, user_data, identity) in (text(), text(), text()), root_disk in root_disk(), labels in labels(), provider_config in vendor_config(),
                  (security_groups, deletion_protection, spot, alternatives) in (groups(), any::<bool>(), any::<bool>(), vec(alternative(), 0..3))) -> InstanceSpec {
        InstanceSpec { zone, machine_type, image, subnet, private_ips, assign_public_ip, assign_ipv6, ssh_key, user_data: user_data.map(Secret::new), identity, root_disk,
                       ip_forwarding, labels, provider_config, security_groups, deletion_protection, spot, alternatives }
    }
}
fn alternative() -> impl Strategy<Value = Alternative> {
    ("[a-z]{0,8}", reference(), text()).prop_map(|(machine_type, subnet, zone)| Alternative { machine_type, subnet, zone })
}
/// In order and without doubles, as a server has them.
fn groups() -> impl Strategy<Value = Vec<Ref<SecurityGroup>>> {
    btree_set(name::<SecurityGroup>().prop_map(Ref::to), 0..3).prop_map(|all| all.into_iter().collect())
}
prop_compose! {
    fn address()(instance in reference(), private_ip in option::of(any::<Ipv4Addr>()), labels in labels(), provider_config in vendor_config()) -> AddressSpec {
        AddressSpec { instance, private_ip, labels, provider_config }
    }
}
prop_compose! {
    fn disk()((zone, disk_type, encryption_key, snapshot) in (text(), text(), text(), text()), (size_gib, iops, throughput_mibps) in (number(), number(), number()),
              encrypted in option::of(any::<bool>()), instance in reference(), labels in labels(), provider_config in vendor_config()) -> DiskSpec {
        DiskSpec { zone, size_gib, disk_type, iops, throughput_mibps, encrypted, encryption_key, snapshot, instance, labels, provider_config }
    }
}
prop_compose! {
    fn nat_gateway()(subnet in reference(), connectivity in 0usize..Connectivity::ALL.len(), address in reference(), labels in labels(), provider_config in vendor_config()) -> NatGatewaySpec {
        NatGatewaySpec { subnet, connectivity: Connectivity::ALL[connectivity], address, labels, provider_config }
    }
}
prop_compose! {
    fn route()(destination in option::of(net()), internet in any::<bool>(), instance in reference(), nat_gateway in reference(), peering in text()) -> Route {
        Route { destination, internet, instance, nat_gateway, peering }
    }
}
fn zone() -> impl Strategy<Value = Name<DnsZone>> {
    "[a-z]{1,8}".prop_map(|id| format!("locations/global/dnsZones/{id}").parse().unwrap())
}
fn record_id() -> impl Strategy<Value = RecordId> {
    (dns_name(), 0..RecordType::ALL.len()).prop_map(|(name, t)| RecordId { name, record_type: RecordType::ALL[t] })
}
prop_compose! {
    fn record_alias()(load_balancer in reference(), check_health in any::<bool>()) -> RecordAlias {
        RecordAlias { load_balancer, check_health }
    }
}
prop_compose! {
    fn record_item()(id in "\\PC{0,8}", values in vec("\\PC{0,8}", 0..3), alias in record_alias(), weight in option::of(any::<u32>()), region in text(), country in text(),
                     failover in 0usize..FailoverRole::ALL.len(), health_check in text()) -> RecordItem {
        RecordItem { id, values, alias, weight, region, country, failover: FailoverRole::ALL[failover], health_check }
    }
}
prop_compose! {
    fn record_set()(ttl_s in option::of(any::<u32>()), values in vec("\\PC{0,8}", 0..3), alias in record_alias(), routing in 0usize..Routing::ALL.len(),
                    items in vec(record_item(), 0..3), provider_config in vendor_config()) -> RecordSetSpec {
        RecordSetSpec { ttl_s, values, alias, routing: Routing::ALL[routing], items, provider_config }
    }
}
prop_compose! {
    fn route_table()(network in reference(), routes in vec(route(), 0..4), subnets in btree_set(name::<Subnet>().prop_map(Ref::to), 0..3), labels in labels(),
                     provider_config in vendor_config()) -> RouteTableSpec {
        RouteTableSpec { network, routes, subnets: subnets.into_iter().collect(), labels, provider_config }
    }
}
fn of_enum<T: Copy + std::fmt::Debug>(all: &'static [T]) -> impl Strategy<Value = T> {
    (0..all.len()).prop_map(|i| all[i])
}
prop_compose! {
    fn listener()(protocol in of_enum(ListenerProtocol::ALL), port in any::<Option<u16>>(), target_port in any::<Option<u16>>(), certificate in text()) -> Listener {
        Listener { protocol, port, target_port, certificate }
    }
}
prop_compose! {
    fn backend()(instance in reference(), instance_group in reference(), address in option::of(ip())) -> Backend {
        Backend { instance, instance_group, address }
    }
}
prop_compose! {
    fn health_check()(protocol in of_enum(HealthProtocol::ALL), port in any::<Option<u16>>(), path in text(), numbers in any::<[Option<u32>; 3]>()) -> HealthCheck {
        let [interval_s, healthy_threshold, unhealthy_threshold] = numbers;
        HealthCheck { protocol, port, path, interval_s, healthy_threshold, unhealthy_threshold }
    }
}
prop_compose! {
    fn load_balancer()(network in reference(), subnets in btree_set(name::<Subnet>().prop_map(Ref::to), 0..3), scheme in of_enum(Scheme::ALL), listeners in vec(listener(), 0..3),
                       backends in vec(backend(), 0..3), health_check in health_check(), source_ranges in vec(net(), 0..3), flags in any::<[bool; 5]>(),
                       preserve_client_ip in any::<Option<bool>>(), idle_timeout_s in any::<Option<u32>>(), addresses in btree_set(name::<Address>().prop_map(Ref::to), 0..3),
                       labels in labels(), provider_config in vendor_config()) -> LoadBalancerSpec {
        let [client_ip_affinity, proxy_protocol, cross_zone, dual_stack, deletion_protection] = flags;
        let (subnets, addresses) = (subnets.into_iter().collect(), addresses.into_iter().collect());
        let mut spec = LoadBalancerSpec { network, subnets, scheme, listeners, backends, health_check, source_ranges, client_ip_affinity, preserve_client_ip, proxy_protocol, cross_zone,
            idle_timeout_s, addresses, dual_stack, deletion_protection, labels, provider_config };
        // As it is read where nothing is wrong with it.
        if LoadBalancer::violations(&spec).is_empty() {
            spec.settle();
        }
        spec
    }
}
prop_compose! {
    fn template_disk()(size_gib in any::<Option<u32>>(), disk_type in text(), encrypted in any::<Option<bool>>()) -> TemplateDisk {
        TemplateDisk { size_gib, disk_type, encrypted }
    }
}
prop_compose! {
    fn template()(machine_types in vec("[a-z]{1,5}", 0..3), image in reference(), ssh_key in text(), user_data in text(), identity in text(), root in template_disk(), disks in vec(template_disk(), 0..3),
                  security_groups in btree_set(name::<SecurityGroup>().prop_map(Ref::to), 0..3), assign_public_ip in any::<Option<bool>>()) -> InstanceTemplate {
        let root_disk = RootDisk { size_gib: root.size_gib, disk_type: root.disk_type, encrypted: root.encrypted };
        InstanceTemplate { machine_types, image, ssh_key, user_data: user_data.map(Secret::new), identity, root_disk, disks, security_groups: security_groups.into_iter().collect(), assign_public_ip }
    }
}
prop_compose! {
    fn instance_group()(template in template(), subnets in btree_set(name::<Subnet>().prop_map(Ref::to), 0..3), zones in vec("[a-z]{1,5}", 0..3), numbers in any::<[u32; 3]>(),
                        open in any::<[Option<u32>; 3]>(), source in of_enum(HealthSource::ALL), labels in labels(), provider_config in vendor_config()) -> InstanceGroupSpec {
        let ([min_size, on_demand_base, spot_percent], [max_size, size, grace_period_s]) = (numbers, open);
        InstanceGroupSpec { template, subnets: subnets.into_iter().collect(), zones, min_size, max_size, size, on_demand_base, spot_percent,
            health: GroupHealth { source, grace_period_s }, labels, provider_config }
    }
}
fn dns_name() -> impl Strategy<Value = DnsName> {
    "[a-z0-9_*-]{1,10}(\\.[a-z]{1,10}){0,3}".prop_map(|name| name.parse().unwrap())
}
prop_compose! {
    fn dns_zone()(dns_name in option::of(dns_name()), private in any::<bool>(), networks in btree_set(name::<Network>().prop_map(Ref::to), 0..3), description in text(),
                  labels in labels(), provider_config in vendor_config()) -> DnsZoneSpec {
        DnsZoneSpec { dns_name, private, networks: networks.into_iter().collect(), description, labels, provider_config }
    }
}
fn number() -> impl Strategy<Value = Option<u32>> {
    option::of(any::<u32>())
}
fn mark() -> impl Strategy<Value = Option<Mark>> {
    option::of(("[a-z0-9]{8,32}", label(), option::of("v1-[a-f0-9]{16}")).prop_map(|(uid, owner, digest)| Mark {
        owner: owner.parse().unwrap(),
        uid: uid.parse().unwrap(),
        digest: digest.map(|d| d.parse().unwrap()),
    }))
}
fn object<K: Kind<Parent = LocationName, Id = ResourceId>>(spec: impl Strategy<Value = K::Spec>, status: impl Strategy<Value = K::Status>) -> impl Strategy<Value = Object<K>> {
    object_of(name::<K>(), spec, status)
}
fn object_of<K: Kind>(name: impl Strategy<Value = Name<K>>, spec: impl Strategy<Value = K::Spec>, status: impl Strategy<Value = K::Status>) -> impl Strategy<Value = Object<K>> {
    (name, "[a-z]{1,4}-[0-9a-f]{17}", mark(), option::of("[a-z0-9]{1,8}".prop_map(Revision)), option::of(0u64..4_000_000_000_000), spec, status).prop_map(
        |(name, vendor_id, mark, revision, created_ms, spec, status)| Object {
            name,
            provider_id: ProviderId::new("sim", "", &["zone", &vendor_id]).unwrap(),
            vendor_id: vendor_id.parse().unwrap(),
            mark,
            revision,
            created_ms,
            spec,
            status,
        },
    )
}

fn spec_comes_back<K: Mutable>(spec: &K::Spec, parent: &K::Parent) {
    let message = K::encode_spec("prod", spec.clone()).unwrap();
    let message = K::Message::decode(message.encode_to_vec().as_slice()).unwrap();
    let mut scope = Scope { cloud: "prod", parent, wrong: Vec::new() };
    assert_eq!(&K::decode_spec(message, &mut scope), spec);
    assert_eq!(scope.wrong, []);
}
fn object_comes_back<K: Resource>(object: &Object<K>) {
    let message = K::encode("prod", object.clone()).unwrap();
    let message = K::Message::decode(message.encode_to_vec().as_slice()).unwrap();
    let back = K::decode("prod", message).unwrap();
    assert_eq!(&back, object);
    assert_eq!(back.etag(), object.etag());
    // What its references were resolved to stays at the server.
    let mut resolved = object.clone();
    for r in K::refs(&mut resolved.spec) {
        *r.vendor_id = Some("vendor-1".parse().unwrap());
    }
    assert_eq!(back.etag(), resolved.etag());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn networks_come_back(spec in network(), at in location()) { spec_comes_back::<Network>(&spec, &at); }
    #[test]
    fn subnets_come_back(spec in subnet(), at in location()) { spec_comes_back::<Subnet>(&spec, &at); }
    #[test]
    fn security_groups_come_back(spec in security_group(), at in location()) { spec_comes_back::<SecurityGroup>(&spec, &at); }
    #[test]
    fn security_group_objects_come_back(o in object::<SecurityGroup>(security_group(), (0usize..SecurityGroupState::ALL.len(), vec("\\PC{1,8}", 0..3))
        .prop_map(|(i, other_rules)| SecurityGroupStatus { state: SecurityGroupState::ALL[i], other_rules }))) {
        object_comes_back(&o);
    }
    #[test]
    fn addresses_come_back(spec in address(), at in location()) { spec_comes_back::<Address>(&spec, &at); }
    #[test]
    fn address_objects_come_back(o in object::<Address>(address(), (0usize..AddressState::ALL.len(), option::of(ip()), "\\PC{0,8}")
        .prop_map(|(i, ip, user)| AddressStatus { state: AddressState::ALL[i], ip, user }))) {
        object_comes_back(&o);
    }
    #[test]
    fn disks_come_back(spec in disk(), at in location()) { spec_comes_back::<Disk>(&spec, &at); }
    #[test]
    fn disk_objects_come_back(o in object::<Disk>(disk(), (0usize..DiskState::ALL.len(), "\\PC{0,8}", "\\PC{0,8}")
        .prop_map(|(i, state_reason, device)| DiskStatus { state: DiskState::ALL[i], state_reason, device }))) {
        object_comes_back(&o);
    }
    #[test]
    fn nat_gateways_come_back(spec in nat_gateway(), at in location()) { spec_comes_back::<NatGateway>(&spec, &at); }
    #[test]
    fn nat_gateway_objects_come_back(o in object::<NatGateway>(nat_gateway(), (0usize..NatGatewayState::ALL.len(), "\\PC{0,8}", option::of(ip()), option::of(ip()))
        .prop_map(|(i, state_reason, public_ip, private_ip)| NatGatewayStatus { state: NatGatewayState::ALL[i], state_reason, public_ip, private_ip }))) {
        object_comes_back(&o);
    }
    #[test]
    fn record_sets_come_back(spec in record_set(), at in zone()) { spec_comes_back::<RecordSet>(&spec, &at); }
    #[test]
    fn record_set_objects_come_back(o in object_of::<RecordSet>((zone(), record_id()).prop_map(|(zone, id)| Name::new(zone, id)), record_set(), record_id().prop_map(|id| RecordSetStatus::of(&id)))) {
        object_comes_back(&o);
    }
    #[test]
    fn route_tables_come_back(spec in route_table(), at in location()) { spec_comes_back::<RouteTable>(&spec, &at); }
    #[test]
    fn route_table_objects_come_back(o in object::<RouteTable>(route_table(), (0usize..RouteTableState::ALL.len(), vec(net(), 0..3), vec("\\PC{1,8}", 0..3))
        .prop_map(|(i, blackholes, other_routes)| RouteTableStatus { state: RouteTableState::ALL[i], blackholes, other_routes }))) {
        object_comes_back(&o);
    }
    #[test]
    fn load_balancers_come_back(spec in load_balancer(), at in location()) { spec_comes_back::<LoadBalancer>(&spec, &at); }
    #[test]
    fn load_balancer_objects_come_back(o in object::<LoadBalancer>(load_balancer(), (of_enum(LoadBalancerState::ALL), "\\PC{0,8}", "\\PC{0,8}", vec(ip(), 0..3), vec("\\PC{1,8}", 0..3))
        .prop_map(|(state, state_reason, dns_name, ip_addresses, opened_security_groups)| LoadBalancerStatus { state, state_reason, dns_name, ip_addresses, opened_security_groups }))) {
        object_comes_back(&o);
    }
    #[test]
    fn target_health_comes_back(all in vec(("\\PC{0,8}", of_enum(ListenerProtocol::ALL), any::<Option<u16>>(), of_enum(TargetState::ALL), "\\PC{0,8}")
        .prop_map(|(backend, protocol, port, state, reason)| TargetHealth { backend, protocol, port, state, reason }), 0..4)) {
        prop_assert_eq!(LoadBalancer::decode_answer(LoadBalancer::encode_answer(all.clone())), all);
    }
    #[test]
    fn instance_groups_come_back(spec in instance_group(), at in location()) { spec_comes_back::<InstanceGroup>(&spec, &at); }
    #[test]
    fn instance_group_objects_come_back_without_their_secrets(o in object::<InstanceGroup>(instance_group(), (of_enum(InstanceGroupState::ALL), "\\PC{0,8}", vec("[a-z]{1,5}", 0..3), any::<[u32; 4]>(), "\\PC{0,8}", any::<bool>())
        .prop_map(|(state, state_reason, effective_zones, [running_instances, pending_instances, failed_launches, out_of_date_instances], template_version, is_replacing)| InstanceGroupStatus {
            state, state_reason, effective_zones, running_instances, pending_instances, failed_launches, out_of_date_instances, template_version, is_replacing }))) {
        let message = InstanceGroup::encode("prod", o.clone()).unwrap();
        prop_assert!(message.template.is_none_or(|t| t.ssh_key.is_empty() && t.user_data.is_empty()));
        let mut o = o;
        (o.spec.template.ssh_key, o.spec.template.user_data) = (None, None);
        object_comes_back(&o);
    }
    #[test]
    fn group_members_come_back(all in vec(("\\PC{0,8}", of_enum(MemberState::ALL), "[a-z]{0,5}", "[a-z]{0,5}", any::<[bool; 2]>(), "\\PC{0,8}", "[A-Z]{0,8}", "\\PC{0,8}", option::of(0..u64::from(u32::MAX)))
        .prop_map(|(instance, state, zone, machine_type, [spot, out_of_date], template_version, failure, reason, time_ms)| GroupMember {
            instance, state, zone, machine_type, spot, template_version, out_of_date, failure, reason, time_ms }), 0..4)) {
        prop_assert_eq!(InstanceGroup::decode_answer(InstanceGroup::encode_answer(all.clone())), all);
    }
    #[test]
    fn dns_zones_come_back(spec in dns_zone(), at in location()) { spec_comes_back::<DnsZone>(&spec, &at); }
    #[test]
    fn dns_zone_objects_come_back(o in object::<DnsZone>(dns_zone(), (0usize..DnsZoneState::ALL.len(), vec(dns_name(), 0..4))
        .prop_map(|(i, name_servers)| DnsZoneStatus { state: DnsZoneState::ALL[i], name_servers }))) {
        object_comes_back(&o);
    }
    #[test]
    fn instances_come_back(spec in instance(), at in location()) { spec_comes_back::<Instance>(&spec, &at); }
    #[test]
    fn network_objects_come_back(o in object::<Network>(network(), (0usize..NetworkState::ALL.len(), vec(net(), 0..3)).prop_map(|(i, cidrs)| NetworkStatus { state: NetworkState::ALL[i], cidrs }))) {
        object_comes_back(&o);
    }
    #[test]
    fn subnet_objects_come_back(o in object::<Subnet>(subnet(), (0usize..SubnetState::ALL.len(), vec(net(), 0..3), option::of(any::<u64>()))
        .prop_map(|(i, cidrs, available_ipv4_addresses)| SubnetStatus { state: SubnetState::ALL[i], cidrs, available_ipv4_addresses }))) {
        object_comes_back(&o);
    }
    #[test]
    fn instance_objects_come_back_without_their_secrets(o in object::<Instance>(instance(), (0usize..InstanceState::ALL.len(), "\\PC{0,8}", vec(ip(), 0..3), vec(ip(), 0..3), vec("\\PC{1,8}", 0..3), "\\PC{0,8}")
        .prop_map(|(i, state_reason, private_ips, public_ips, disk_ids, instance_group)| InstanceStatus { state: InstanceState::ALL[i], state_reason, private_ips, public_ips, disk_ids, instance_group }))) {
        let message = Instance::encode("prod", o.clone()).unwrap();
        prop_assert!(message.ssh_key.is_empty() && message.user_data.is_empty());
        object_comes_back(&Object { spec: InstanceSpec { ssh_key: None, user_data: None, alternatives: Vec::new(), ..o.spec.clone() }, ..o });
    }
    #[test]
    fn images_come_back(o in object::<Image>(Just(ImageSpec {}), (text(), 0usize..Architecture::ALL.len(), any::<u32>()).prop_map(|(t, a, min_disk_gib)| ImageStatus {
        family: t.unwrap_or_default(), display_name: "d".into(), architecture: Architecture::ALL[a], publisher: "p".into(), min_disk_gib }))) {
        object_comes_back(&Object { mark: None, ..o });
    }
    #[test]
    fn machine_types_come_back(o in object::<MachineType>(Just(MachineTypeSpec {}), (any::<u32>(), any::<u64>(), vec(0usize..Architecture::ALL.len(), 0..3)).prop_map(|(vcpus, memory_mib, a)|
        MachineTypeStatus { vcpus, memory_mib, architectures: a.into_iter().map(|i| Architecture::ALL[i]).collect(), gpus: 1, network_mbps: memory_mib, network_baseline_mbps: 7, zones: vec!["a".into()] }))) {
        object_comes_back(&Object { mark: None, ..o });
    }
    #[test]
    fn quotas_come_back(o in object::<Quota>(Just(QuotaSpec {}), (text(), option::of(any::<u64>()), option::of(any::<u64>()), any::<bool>()).prop_map(|(t, limit, used, adjustable)| QuotaStatus {
        display_name: "d".into(), service: "s".into(), collection: "networks".into(), per: "zones".into(), limit, used, unit: "TiB".into(), unknown_reason: t.unwrap_or_default(), adjustable }))) {
        object_comes_back(&Object { mark: None, ..o });
    }
    #[test]
    fn names_come_apart(cloud in label(), name in name::<Instance>()) {
        let (full, below) = (full_name(&cloud, &name), name.to_string());
        prop_assert_eq!(split_name(&full).unwrap(), (cloud.as_str(), below.as_str()));
    }
    #[test]
    fn no_message_makes_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(message) = v1::Instance::decode(bytes.as_slice()) {
            let at = LocationName::of("r").unwrap();
            let _ = Instance::decode_spec(message.clone(), &mut Scope { cloud: "prod", parent: &at, wrong: Vec::new() });
            let _ = Instance::decode("prod", message);
        }
    }
}

#[test]
fn a_location_comes_back() {
    object_comes_back::<Location>(&Object {
        name: "locations/eu-west-1".parse().unwrap(),
        vendor_id: "eu-west-1".parse().unwrap(),
        provider_id: "aws:///eu-west-1".parse().unwrap(),
        mark: None,
        revision: None,
        created_ms: None,
        spec: LocationSpec {},
        status: LocationStatus { display_name: "Europe (Ireland)".into(), zones: vec!["eu-west-1a".into()] },
    });
}
#[test]
fn references_can_be_given_short() {
    let at = LocationName::of("r").unwrap();
    for text in ["s1", "locations/r/subnets/s1", "clouds/prod/locations/r/subnets/s1"] {
        let mut scope = Scope::<Instance> { cloud: "prod", parent: &at, wrong: Vec::new() };
        let spec = Instance::decode_spec(v1::Instance { subnet: text.into(), image: "debian-12".into(), ..Default::default() }, &mut scope);
        assert_eq!(spec.subnet.unwrap().name.to_string(), "locations/r/subnets/s1", "{text}");
        assert_eq!(spec.image.unwrap().name.to_string(), "locations/r/images/debian-12");
        assert_eq!(scope.wrong, []);
    }
}
#[test]
fn what_lives_elsewhere_is_named_in_full() {
    let zone = "locations/global/dnsZones/z".parse().unwrap();
    let read = |text: &str| {
        let mut scope = Scope::<RecordSet> { cloud: "prod", parent: &zone, wrong: Vec::new() };
        let alias = |text: &str| Some(v1::record_set::Alias { load_balancer: text.into(), check_health: true });
        let item = v1::record_set::Item { alias: alias(text), ..Default::default() };
        let spec = RecordSet::decode_spec(v1::RecordSet { alias: alias(text), items: vec![item], ..Default::default() }, &mut scope);
        (spec, scope.wrong.into_iter().map(|v| v.field).collect::<Vec<_>>())
    };
    for text in ["locations/eu-west-1/loadBalancers/web", "clouds/prod/locations/eu-west-1/loadBalancers/web"] {
        let (spec, wrong) = read(text);
        let web = RecordAlias { load_balancer: Some(Ref::to("locations/eu-west-1/loadBalancers/web".parse().unwrap())), check_health: true };
        assert_eq!((&spec.alias, &spec.items[0].alias, wrong), (&web, &web, vec![]), "{text}");
    }
    for text in ["web", "clouds/other/locations/eu-west-1/loadBalancers/web", "locations/eu-west-1/instances/web"] {
        assert_eq!(read(text).1, ["alias.load_balancer", "items[0].alias.load_balancer"], "{text}");
    }
}
#[test]
fn all_that_is_wrong_is_named_at_once() {
    let at = LocationName::of("r").unwrap();
    let message = v1::Instance {
        subnet: "clouds/other/locations/r/subnets/s1".into(),
        image: "a b".into(),
        private_ips: vec!["10.0.0.4".into(), "10.0.0.400".into()],
        provider_config: Some(Any { type_url: "type.googleapis.com/welkin.v1.Network".into(), value: Vec::new() }),
        ..Default::default()
    };
    let mut scope = Scope::<Instance> { cloud: "prod", parent: &at, wrong: Vec::new() };
    let _ = Instance::decode_spec(message, &mut scope);
    let fields: Vec<&str> = scope.wrong.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["image", "subnet", "private_ips[1]", "provider_config"]);
}
#[test]
fn a_vendors_message_is_read_by_its_descriptor() {
    let config = InstanceConfig { metadata_tokens_optional: true, metadata_hop_limit: 2, key_name: "k".into() };
    let any = |value: Vec<u8>| Some(Any { type_url: "type.googleapis.com/welkin.provider.aws.v1.InstanceConfig".into(), value });
    let at = LocationName::of("r").unwrap();
    let read = |any| {
        let mut scope = Scope::<Instance> { cloud: "prod", parent: &at, wrong: Vec::new() };
        let spec = Instance::decode_spec(v1::Instance { provider_config: any, ..Default::default() }, &mut scope);
        (spec.provider_config.map(|c| c.body), scope.wrong)
    };
    let body = json!({ "metadata_tokens_optional": true, "metadata_hop_limit": 2, "key_name": "k" });
    assert_eq!(read(any(config.encode_to_vec())), (Some(body), vec![]));
    assert_eq!(read(any(vec![0xff])).1[0].field, "provider_config");
    // Field 99, which the message does not have: a newer client's.
    assert!(read(any(vec![0x98, 0x06, 0x01])).1[0].description.contains("does not have"));
}
#[test]
fn debug_shows_no_secret() {
    let instance = v1::Instance { name: "n".into(), user_data: "hunter2".into(), ssh_key: "ssh-ed25519 hunter2".into(), ..Default::default() };
    let request = v1::CreateInstanceRequest { instance: Some(instance.clone()), ..Default::default() };
    let generic = crate::wire::Create { resource: Some(instance.clone()), ..Default::default() };
    let console = v1::InstanceConsoleOutput { text: "hunter2".into(), output_time: None };
    for text in [format!("{instance:?}"), format!("{request:?}"), format!("{generic:?}"), format!("{console:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}
#[test]
fn capabilities_come_back() {
    let fields = [
        ("cidrs", FieldCapability::MUTABLE.between(16, 28).at_most(5)),
        ("cidrs=IPV6", FieldCapability::UNSUPPORTED),
        ("zone", FieldCapability::REQUIRED),
        ("labels", FieldCapability { support: Support::Emulated, ..FieldCapability::NATIVE }),
    ];
    let network = KindCapabilities {
        scope: welkin_core::Scope::Region,
        verbs: [VerbName::Get, VerbName::List, VerbName::Create, VerbName::Update, VerbName::Delete, VerbName::Start, VerbName::Stop, VerbName::Reboot].into(),
        fields: fields.into(),
        id_shape: IdShape::PrefixedHex("vpc-"),
        provider_configs: ["welkin.provider.aws.v1.InstanceConfig"].into(),
        limits: [("per_region", 5)].into(),
        horizon: Duration::from_millis(2500),
    };
    let image = KindCapabilities {
        scope: welkin_core::Scope::Global,
        verbs: [VerbName::Get].into(),
        fields: Default::default(),
        id_shape: IdShape::Other,
        provider_configs: Default::default(),
        limits: Default::default(),
        horizon: Duration::ZERO,
    };
    let all = Capabilities { vendor: "aws", kinds: [("networks", network), ("images", image)].into() };
    assert_eq!(capability::decode(&capability::encode("prod", &all)).unwrap(), all);
}

#[test]
fn operations_come_back() {
    let object = Object::<Network> {
        name: "locations/r/networks/n1".parse().unwrap(),
        vendor_id: "vpc-1".parse().unwrap(),
        provider_id: "sim:///r/vpc-1".parse().unwrap(),
        mark: None,
        revision: None,
        created_ms: Some(1_700_000_000_123),
        spec: NetworkSpec { cidrs: vec!["10.0.0.0/16".parse().unwrap()], ..Default::default() },
        status: NetworkStatus { state: NetworkState::Available, cidrs: Vec::new() },
    };
    let ends = [
        ("create", None),
        ("create", Some(Ok(Outcome::Object(serde_json::to_value(&object).unwrap())))),
        ("create", Some(Ok(Outcome::Validated))),
        ("delete", Some(Ok(Outcome::Deleted))),
        ("start", Some(Ok(Outcome::Acted(serde_json::Value::Null)))),
        ("create", Some(Err(Error::new(ErrorKind::Unavailable, Reason::Capacity, "none left").with_retry(Retry::After(Duration::from_secs(30)))))),
    ];
    for (verb, end) in ends {
        for phase in [Phase::Pending, Phase::Running, Phase::Cleaning, Phase::Ended] {
            let operation = Operation {
                id: "0190-a".into(),
                cloud: "prod".into(),
                collection: "networks".into(),
                verb: verb.into(),
                target: "locations/r/networks/n1".into(),
                request_id: (verb == "start").then(|| "r1".into()),
                uid: (verb == "create").then(|| "0123456789".parse().unwrap()),
                phase,
                steps: 3,
                progress: "waiting".into(),
                created_ms: 1_700_000_000_001,
                updated_ms: 1_700_000_000_002,
                end: end.clone(),
            };
            assert_eq!(operation::decode(operation::encode(&operation).unwrap()).unwrap(), operation);
        }
    }
}
