//! The definitions in `proto/` against the core and against the requests that are written once.

use crate::{
    api::{FILE_DESCRIPTOR_SET, descriptor_pool},
    convert::{Mutable, Resource},
    wire,
};
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind as Type, MessageDescriptor, Value};
use prost_types::{DescriptorProto, FieldMask, FileDescriptorProto, FileDescriptorSet};
use std::collections::{BTreeMap, BTreeSet};
use welkin_core::{
    AddressState, Architecture, ChangeMode, Connectivity, Direction, DiskState, DnsZoneState, FailoverRole, HealthProtocol, HealthSource, InstanceGroupState, InstanceState,
    ListenerProtocol, LoadBalancerState, MemberState, NatGatewayState, NetworkState, RouteTableState, Routing, Scheme, SecurityGroupState, SubnetState, TargetState, kinds,
};

const REQUIRED: i32 = 2;
const OUTPUT_ONLY: i32 = 3;
const INPUT_ONLY: i32 = 4;
const IDENTIFIER: i32 = 8;

fn message(name: &str) -> MessageDescriptor {
    descriptor_pool().get_message_by_name(&format!("welkin.v1.{name}")).unwrap_or_else(|| panic!("no message {name}"))
}
fn behavior(field: &FieldDescriptor) -> BTreeSet<i32> {
    let extension = descriptor_pool().get_extension_by_name("google.api.field_behavior").unwrap();
    let options = field.options();
    let value = options.get_extension(&extension);
    value.as_list().unwrap().iter().map(|v| v.as_enum_number().unwrap()).collect()
}
/// The paths of what a caller can set, and those of them that are never answered.
fn settable(message: &MessageDescriptor, at: &str, paths: &mut BTreeSet<String>, input_only: &mut BTreeSet<String>) {
    for field in message.fields() {
        let path = if at.is_empty() { field.name().to_owned() } else { format!("{at}.{}", field.name()) };
        let behavior = behavior(&field);
        assert!(!behavior.is_empty(), "{} {path} has no field_behavior", message.full_name());
        if behavior.contains(&OUTPUT_ONLY) || behavior.contains(&IDENTIFIER) || path == "etag" {
            continue;
        }
        if behavior.contains(&INPUT_ONLY) {
            input_only.insert(path.clone());
        }
        if let Type::Message(inner) = field.kind()
            && !field.is_map()
            && inner.full_name().starts_with("welkin.")
        {
            settable(&inner, &path, paths, input_only);
        }
        paths.insert(path);
    }
}

fn same_vocabulary<K: Resource>() {
    let (mut paths, mut input_only) = (BTreeSet::new(), BTreeSet::new());
    settable(&message(K::KIND), "", &mut paths, &mut input_only);
    assert_eq!(paths, K::FIELDS.iter().map(|s| (*s).to_owned()).collect(), "{}", K::KIND);
    assert_eq!(input_only, K::INPUT_ONLY.iter().map(|s| (*s).to_owned()).collect(), "{}", K::KIND);
    let resource = descriptor_pool().get_extension_by_name("google.api.resource").unwrap();
    let options = message(K::KIND).options();
    let resource = options.get_extension(&resource);
    let text = |field: &str| resource.as_message().unwrap().get_field_by_name(field).unwrap().as_str().unwrap().to_owned();
    assert_eq!((text("type"), text("plural")), (format!("welkin.dev/{}", K::KIND), K::COLLECTION.to_owned()));
    assert!(descriptor_pool().get_service_by_name(K::SERVICE).is_some(), "{}", K::SERVICE);
}

/// Every field of `ours` is a field of the message, under the same number and type, and the message has no other.
fn same_bytes(name: &str, ours: &impl Message) {
    let bytes = ours.encode_to_vec();
    let theirs = DynamicMessage::decode(message(name), bytes.as_slice()).unwrap();
    assert_eq!(theirs.unknown_fields().count(), 0, "{name}");
    assert_eq!(theirs.encode_to_vec(), bytes, "{name}");
    assert_eq!(theirs.fields().count(), message(name).fields().len(), "{name} has a field that the handlers do not know");
}
fn reads_are_the_same<K: Resource>() {
    let kinds = K::SERVICE.rsplit('.').next().unwrap();
    same_bytes(&format!("Get{}Request", K::KIND), &wire::Get { name: "n".into() });
    same_bytes(&format!("List{kinds}Request"), &wire::List { parent: "p".into(), page_size: 1, page_token: "t".into(), filter: "f".into() });
    same_bytes(&format!("List{kinds}Response"), &wire::Listed { items: vec![K::Message::default()], next_page_token: "t".into(), unreachable: vec!["u".into()] });
}
fn changes_are_the_same<K: Mutable>() {
    let resource = Some(K::Message::default());
    let create = wire::Create { parent: "p".into(), id: "i".into(), resource: resource.clone(), request_id: "r".into(), validate_only: true, adopt: "a".into() };
    same_bytes(&format!("Create{}Request", K::KIND), &create);
    let id = message(&format!("Create{}Request", K::KIND)).get_field(2).unwrap();
    assert_eq!((id.name(), behavior(&id)), (K::ID_FIELD, [REQUIRED].into()));
    let update = wire::Update { resource, update_mask: Some(FieldMask { paths: vec!["a".into()] }), request_id: "r".into(), validate_only: true };
    same_bytes(&format!("Update{}Request", K::KIND), &update);
    let delete = wire::Touch { name: "n".into(), etag: "e".into(), request_id: "r".into(), validate_only: true, allow_missing: true, release: true };
    same_bytes(&format!("Delete{}Request", K::KIND), &delete);
    for (method, action) in K::ACTIONS {
        let touch = wire::Touch { allow_missing: false, release: false, ..delete.clone() };
        same_bytes(&format!("{method}Request"), &wire::Act { touch, arguments: full(method, K::arguments("c", action).unwrap()) });
    }
    for (method, _) in K::QUESTIONS {
        same_bytes(&format!("{method}Request"), &wire::Get { name: "n".into() });
    }
}

/// With every argument set that a verb has.
fn full<A: Message + Default + 'static>(method: &str, arguments: A) -> A {
    let mut all: Box<dyn std::any::Any> = Box::new(arguments);
    if let Some(records) = all.downcast_mut::<wire::ChangeRecords>() {
        (records.changes, records.mode, records.deletes) = (vec![Default::default()], 2, Some(1));
    }
    if let Some(backends) = all.downcast_mut::<wire::ChangeBackends>() {
        (backends.add, backends.remove) = (vec![Default::default()], vec![Default::default()]);
    }
    if let Some(group) = all.downcast_mut::<wire::GroupArguments>() {
        match method {
            "DeleteInstancesInstanceGroup" => group.instances.push("i".into()),
            "ReplaceInstancesInstanceGroup" => (group.max_unavailable, group.max_surge) = (Some(1), Some(1)),
            _ => {}
        }
    }
    *all.downcast::<A>().unwrap()
}

macro_rules! every_kind {
    ([] managed { $($f:ident: $k:ident),* } catalogue { $($g:ident: $c:ident),* }) => {
        $(same_vocabulary::<welkin_core::$k>(); reads_are_the_same::<welkin_core::$k>(); changes_are_the_same::<welkin_core::$k>();)*
        $(same_vocabulary::<welkin_core::$c>(); reads_are_the_same::<welkin_core::$c>();)*
    };
}
#[test]
fn one_vocabulary_and_one_form_of_requests() {
    kinds!(every_kind);
}

fn same_enum<T: Copy + ToString>(name: &str, prefix: &str, all: &[T]) {
    let theirs = descriptor_pool().get_enum_by_name(&format!("welkin.v1.{name}")).unwrap();
    let theirs: Vec<(i32, String)> = theirs.values().map(|v| (v.number(), v.name().to_owned())).collect();
    let ours: Vec<(i32, String)> = all.iter().enumerate().map(|(i, v)| (i as i32, format!("{prefix}_{}", v.to_string()))).collect();
    assert_eq!(theirs, ours);
}
#[test]
fn enums_have_the_numbers_of_the_core() {
    same_enum("Network.State", "STATE", NetworkState::ALL);
    same_enum("Subnet.State", "STATE", SubnetState::ALL);
    same_enum("SecurityGroup.State", "STATE", SecurityGroupState::ALL);
    same_enum("SecurityGroup.Direction", "DIRECTION", Direction::ALL);
    same_enum("Instance.State", "STATE", InstanceState::ALL);
    same_enum("Address.State", "STATE", AddressState::ALL);
    same_enum("Disk.State", "STATE", DiskState::ALL);
    same_enum("DnsZone.State", "STATE", DnsZoneState::ALL);
    same_enum("NatGateway.State", "STATE", NatGatewayState::ALL);
    same_enum("NatGateway.Connectivity", "CONNECTIVITY", Connectivity::ALL);
    same_enum("ChangeRecordsDnsZoneRequest.Mode", "MODE", ChangeMode::ALL);
    same_enum("RecordSet.Routing", "ROUTING", Routing::ALL);
    same_enum("RecordSet.FailoverRole", "FAILOVER_ROLE", FailoverRole::ALL);
    same_enum("RouteTable.State", "STATE", RouteTableState::ALL);
    same_enum("LoadBalancer.State", "STATE", LoadBalancerState::ALL);
    same_enum("LoadBalancer.Scheme", "SCHEME", Scheme::ALL);
    same_enum("LoadBalancer.Protocol", "PROTOCOL", ListenerProtocol::ALL);
    same_enum("LoadBalancer.HealthProtocol", "HEALTH_PROTOCOL", HealthProtocol::ALL);
    same_enum("LoadBalancerTargetHealth.State", "STATE", TargetState::ALL);
    same_enum("InstanceGroup.State", "STATE", InstanceGroupState::ALL);
    same_enum("InstanceGroup.HealthSource", "HEALTH_SOURCE", HealthSource::ALL);
    same_enum("InstanceGroupMembers.State", "STATE", MemberState::ALL);
    same_enum("Architecture", "ARCHITECTURE", Architecture::ALL);
}

/// Every path of the file that needs a comment: messages, fields, oneofs, enums, values, services, methods.
fn documented(file: &FileDescriptorProto) -> Vec<(String, Vec<i32>)> {
    fn of_message(m: &DescriptorProto, at: &[i32], out: &mut Vec<(String, Vec<i32>)>) {
        // The entries of a map are not written by anybody.
        if m.options.as_ref().is_some_and(|o| o.map_entry()) {
            return;
        }
        out.push((m.name().to_owned(), at.to_vec()));
        for (i, f) in m.field.iter().enumerate() {
            out.push((format!("{}.{}", m.name(), f.name()), [at, &[2, i as i32]].concat()));
        }
        for (i, inner) in m.nested_type.iter().enumerate() {
            of_message(inner, &[at, &[3, i as i32]].concat(), out);
        }
        for (i, e) in m.enum_type.iter().enumerate() {
            out.push((format!("{}.{}", m.name(), e.name()), [at, &[4, i as i32]].concat()));
            for (j, v) in e.value.iter().enumerate() {
                out.push((format!("{}.{}", m.name(), v.name()), [at, &[4, i as i32, 2, j as i32]].concat()));
            }
        }
    }
    let mut out = Vec::new();
    for (i, m) in file.message_type.iter().enumerate() {
        of_message(m, &[4, i as i32], &mut out);
    }
    for (i, s) in file.service.iter().enumerate() {
        out.push((s.name().to_owned(), vec![6, i as i32]));
        for (j, m) in s.method.iter().enumerate() {
            out.push((format!("{}.{}", s.name(), m.name()), vec![6, i as i32, 2, j as i32]));
        }
    }
    out
}
#[test]
fn everything_is_documented() {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut seen = 0;
    for file in files.file.iter().filter(|f| !f.package().starts_with("google.protobuf")) {
        let comments: BTreeMap<&[i32], &str> = file.source_code_info.as_ref().unwrap().location.iter().map(|l| (l.path.as_slice(), l.leading_comments())).collect();
        for (name, path) in documented(file) {
            assert!(comments.get(path.as_slice()).is_some_and(|c| !c.trim().is_empty()), "{}: {name} has no comment", file.name());
            seen += 1;
        }
    }
    assert!(seen > 250, "only {seen} things were looked at");
}
#[test]
fn every_mutation_tells_what_its_operation_comes_to() {
    let info = descriptor_pool().get_extension_by_name("google.longrunning.operation_info").unwrap();
    let methods = descriptor_pool().services().filter(|s| s.full_name().starts_with("welkin.")).flat_map(|s| s.methods().collect::<Vec<_>>());
    for method in methods.filter(|m| m.output().full_name() == "google.longrunning.Operation") {
        let options = method.options();
        let Value::Message(info) = options.get_extension(&info).into_owned() else { panic!("{}", method.full_name()) };
        assert_eq!(info.get_field_by_name("metadata_type").unwrap().as_str(), Some("OperationMetadata"), "{}", method.full_name());
    }
}
