//! What each kind must come to, said a second time and from boto3's form: the drivers read the wire.
//!
//! A further kind is an `impl Recorded`, its line in `recorded_kinds!`, and its table in `members.rs`.

use serde_json::{Value, json};
use std::{collections::BTreeSet, net::IpAddr};
use welkin_core::*;

/// A kind of which one row of a list is one object.
pub trait Recorded: Kind<Parent = LocationName, Id = ResourceId> {
    const OPERATION: &'static str;
    /// Where the rows of an answer are, in the model and on the wire.
    const ROWS: &'static str;
    const WIRE: &'static str;
    /// The member that is the id.
    const ID: &'static str;
    /// Enumerations of the model, and where on the wire below a row their values stand, of which every one must mean something.
    const MEANT: &'static [(&'static str, &'static str)];
    /// The list that shows every row of an answer.
    fn query() -> Query<Self> {
        Query::all(1000)
    }
    /// What the row says.
    fn said(row: &Value) -> Value;
    /// The same of the object.
    fn shown(object: &Object<Self>) -> Value;
    /// The zone that Kubernetes' form of the id names.
    fn placed_in(_: &Value) -> Option<&str> {
        None
    }
    /// Is it no more, although it is still described?
    fn is_over(_: &Value) -> bool {
        false
    }
}
/// The kinds that are recorded.
macro_rules! recorded_kinds {
    ($then:ident, $($given:tt)*) => {
        crate::recorded::$then! { [networks Network, subnets Subnet, instances Instance, addresses Address, disks Disk, nat_gateways NatGateway, route_tables RouteTable, images Image, machine_types MachineType] $($given)* }
    };
}
/// `$test::<Kind>` as a test of its own for every kind.
macro_rules! test_every_kind {
    ([$($name:ident $kind:ident),+] $test:ident) => {
        $(#[tokio::test] async fn $name() { $test::<welkin_core::$kind>().await; })+
    };
    ($test:ident) => {
        crate::recorded::recorded_kinds!(test_every_kind, $test);
    };
}
/// `for_every_kind!(K, { ... })`, one after another.
macro_rules! for_every_kind {
    ([$($name:ident $kind:ident),+] $k:ident, $body:block) => {
        $({ type $k = welkin_core::$kind; $body })+
    };
    ($k:ident, $body:block) => {
        crate::recorded::recorded_kinds!(for_every_kind, $k, $body)
    };
}
pub(crate) use {for_every_kind, recorded_kinds, test_every_kind};

/// The rows of an answer, in its order.
pub fn rows<'a>(answer: &'a Value, path: &str) -> Vec<&'a Value> {
    path.split('.').fold(vec![answer], |at, list| {
        let name = list.trim_end_matches("[]");
        at.iter().filter_map(|v| v.get(name)?.as_array()).flatten().collect()
    })
}
pub fn text<'a>(row: &'a Value, path: &str) -> Option<&'a str> {
    row.pointer(path)?.as_str()
}
fn list<'a>(row: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    row.get(member).and_then(Value::as_array).into_iter().flatten()
}
fn labels(row: &Value) -> Value {
    let plain = list(row, "Tags").filter(|t| !text(t, "/Key").unwrap().starts_with("aws:"));
    plain.map(|t| (text(t, "/Key").unwrap().to_owned(), t["Value"].clone())).collect::<serde_json::Map<_, _>>().into()
}
/// One of libcloud's samples has an IPv4 range of 64 bits, which is none.
fn range(text: &str) -> Option<&str> {
    let (address, bits) = text.split_once('/')?;
    let is_v4 = address.parse::<IpAddr>().ok()?.is_ipv4();
    (bits.parse::<u8>().ok()? <= if is_v4 { 32 } else { 128 }).then_some(text)
}
/// Some recordings are masked with empty texts.
fn words<T: ToString>(all: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    all.into_iter().map(|t| t.to_string()).filter(|t| !t.is_empty()).collect()
}

impl Recorded for Network {
    const OPERATION: &'static str = "DescribeVpcs";
    const ROWS: &'static str = "Vpcs[]";
    const WIRE: &'static str = "vpcSet/item";
    const ID: &'static str = "VpcId";
    const MEANT: &'static [(&'static str, &'static str)] = &[("VpcState", "state")];
    fn said(row: &Value) -> Value {
        let associated = |list: &'static str, cidr: &'static str, state: &'static str| {
            self::list(row, list).filter(move |a| text(a, state) == Some("associated")).filter_map(move |a| text(a, cidr))
        };
        let v4 = associated("CidrBlockAssociationSet", "/CidrBlock", "/CidrBlockState/State");
        let v6 = associated("Ipv6CidrBlockAssociationSet", "/Ipv6CidrBlock", "/Ipv6CidrBlockState/State");
        let primary = text(row, "/CidrBlock").and_then(range);
        json!({
            "state": text(row, "/State").map(str::to_uppercase).unwrap(),
            "first": primary,
            "cidrs": words(primary.into_iter().chain(v4).chain(v6)),
            "labels": labels(row),
        })
    }
    fn shown(object: &Object<Self>) -> Value {
        let cidrs = &object.status.cidrs;
        json!({ "state": object.status.state, "first": cidrs.first(), "cidrs": words(cidrs), "labels": object.spec.labels })
    }
}

impl Recorded for Subnet {
    const OPERATION: &'static str = "DescribeSubnets";
    const ROWS: &'static str = "Subnets[]";
    const WIRE: &'static str = "subnetSet/item";
    const ID: &'static str = "SubnetId";
    const MEANT: &'static [(&'static str, &'static str)] = &[("SubnetState", "state")];
    fn said(row: &Value) -> Value {
        let there = |a: &&Value| !matches!(text(a, "/Ipv6CidrBlockState/State"), Some("disassociated" | "failed"));
        let v6 = list(row, "Ipv6CidrBlockAssociationSet").filter(there).filter_map(|a| text(a, "/Ipv6CidrBlock"));
        let cidrs = words(text(row, "/CidrBlock").and_then(range).into_iter().chain(v6));
        json!({
            "state": match text(row, "/State").unwrap() { "pending" => "PENDING", "available" => "AVAILABLE", _ => "FAILED" },
            "cidrs": cidrs,
            "asked": cidrs,
            "network": row["VpcId"],
            "zone": row["AvailabilityZone"],
            "public": row["MapPublicIpOnLaunch"],
            "free": row["AvailableIpAddressCount"],
            "labels": labels(row),
        })
    }
    fn shown(object: &Object<Self>) -> Value {
        let (spec, status) = (&object.spec, &object.status);
        json!({
            "state": status.state,
            "cidrs": words(&status.cidrs),
            "asked": words(&spec.cidrs),
            "network": spec.network.as_ref().and_then(|r| r.vendor_id.clone()),
            "zone": spec.zone,
            "public": spec.assign_public_ip,
            "free": status.available_ipv4_addresses,
            "labels": spec.labels,
        })
    }
    fn placed_in(row: &Value) -> Option<&str> {
        text(row, "/AvailabilityZone")
    }
}

impl Recorded for Instance {
    const OPERATION: &'static str = "DescribeInstances";
    const ROWS: &'static str = "Reservations[].Instances[]";
    const WIRE: &'static str = "reservationSet/item/instancesSet/item";
    const ID: &'static str = "InstanceId";
    const MEANT: &'static [(&'static str, &'static str)] = &[("InstanceStateName", "instanceState/name")];
    fn said(row: &Value) -> Value {
        let state = match text(row, "/State/Name") {
            Some("shutting-down" | "terminated") => "DELETING".to_owned(),
            known => known.map_or("UNSPECIFIED".into(), str::to_uppercase),
        };
        let nics: Vec<&Value> = list(row, "NetworkInterfaces").collect();
        let addresses: Vec<&Value> = nics.iter().flat_map(|n| list(n, "PrivateIpAddresses")).collect();
        let v6 = nics.iter().flat_map(|n| list(n, "Ipv6Addresses")).filter_map(|a| text(a, "/Ipv6Address")).chain(text(row, "/Ipv6Address"));
        let private = addresses.iter().filter_map(|a| text(a, "/PrivateIpAddress")).chain(text(row, "/PrivateIpAddress")).chain(v6);
        let public = nics.iter().chain(&addresses).filter_map(|a| text(a, "/Association/PublicIp")).chain(text(row, "/PublicIpAddress"));
        let attached = nics.iter().find(|n| n.pointer("/Attachment/DeviceIndex") == Some(&json!(0))).and_then(|n| n.pointer("/Attachment/AttachTime"));
        json!({
            "state": state,
            "reason": text(row, "/StateReason/Message").unwrap_or_default(),
            "zone": row.pointer("/Placement/AvailabilityZone"),
            "type": text(row, "/InstanceType").unwrap_or_default(),
            "image": row.get("ImageId"),
            "subnet": row.get("SubnetId"),
            "main": text(row, "/PrivateIpAddress").filter(|ip| !ip.is_empty()),
            "private": words(private),
            "public": words(public),
            "created": attached.or(row.get("LaunchTime")),
            "forwards": row.get("SourceDestCheck") == Some(&json!(false)),
            "identity": text(row, "/IamInstanceProfile/Arn").and_then(|a| a.rsplit('/').next()),
            "labels": labels(row),
            "groups": words(list(row, "SecurityGroups").filter_map(|g| text(g, "/GroupId"))),
            "spot": text(row, "/InstanceLifecycle") == Some("spot"),
            "disks": words(list(row, "BlockDeviceMappings").filter_map(|m| text(m, "/Ebs/VolumeId"))),
        })
    }
    fn shown(object: &Object<Self>) -> Value {
        let (spec, status) = (&object.spec, &object.status);
        json!({
            "groups": words(spec.security_groups.iter().filter_map(|r| r.vendor_id.as_ref())),
            "spot": spec.spot,
            "disks": words(&status.disk_ids),
            "state": status.state,
            "reason": status.state_reason,
            "zone": spec.zone,
            "type": spec.machine_type,
            "image": spec.image.as_ref().and_then(|r| r.vendor_id.clone()),
            "subnet": spec.subnet.as_ref().and_then(|r| r.vendor_id.clone()),
            "main": status.private_ips.first(),
            "private": words(&status.private_ips),
            "public": words(&status.public_ips),
            "created": object.created_ms,
            "forwards": spec.ip_forwarding,
            "identity": spec.identity,
            "labels": spec.labels,
        })
    }
    fn placed_in(row: &Value) -> Option<&str> {
        text(row, "/Placement/AvailabilityZone")
    }
    fn is_over(row: &Value) -> bool {
        text(row, "/State/Name") == Some("terminated")
    }
}

impl Recorded for Address {
    const OPERATION: &'static str = "DescribeAddresses";
    const ROWS: &'static str = "Addresses[]";
    const WIRE: &'static str = "addressesSet/item";
    const ID: &'static str = "AllocationId";
    const MEANT: &'static [(&'static str, &'static str)] = &[];
    fn said(row: &Value) -> Value {
        let of = |member: &str| text(row, member).filter(|t| !t.is_empty());
        let user = of("/InstanceId").or(of("/NetworkInterfaceId")).or(of("/AssociationId"));
        json!({
            "state": if user.is_some() { "IN_USE" } else { "AVAILABLE" },
            "ip": of("/PublicIp").or(of("/CarrierIp")),
            "user": user.unwrap_or_default(),
            "instance": of("/InstanceId"),
            "labels": labels(row),
        })
    }
    fn shown(object: &Object<Self>) -> Value {
        let (spec, status) = (&object.spec, &object.status);
        let instance = spec.instance.as_ref().and_then(|r| r.vendor_id.clone());
        json!({ "state": status.state, "ip": status.ip, "user": status.user, "instance": instance, "labels": spec.labels })
    }
}

impl Recorded for Disk {
    const OPERATION: &'static str = "DescribeVolumes";
    const ROWS: &'static str = "Volumes[]";
    const WIRE: &'static str = "volumeSet/item";
    const ID: &'static str = "VolumeId";
    const MEANT: &'static [(&'static str, &'static str)] = &[("VolumeState", "status")];
    fn said(row: &Value) -> Value {
        let of = |member: &str| text(row, member).filter(|t| !t.is_empty());
        let attached = list(row, "Attachments").filter(|a| text(a, "/State") != Some("detached") && text(a, "/InstanceId").is_some());
        let attached = attached.min_by_key(|a| text(a, "/InstanceId"));
        let between = text(row, "/State") == Some("in-use") && attached.is_some_and(|a| matches!(text(a, "/State"), Some("attaching" | "detaching" | "busy")));
        json!({
            "state": match text(row, "/State").unwrap() {
                _ if between => "PENDING",
                "creating" => "PENDING",
                "available" => "AVAILABLE",
                "in-use" => "IN_USE",
                "error" => "FAILED",
                "deleting" | "deleted" => "DELETING",
                _ => "UNSPECIFIED",
            },
            "zone": of("/AvailabilityZone"),
            "size": row["Size"],
            "type": of("/VolumeType"),
            "iops": row.get("Iops"),
            "throughput": row.get("Throughput"),
            "encrypted": row.get("Encrypted"),
            "key": of("/KmsKeyId").filter(|_| row.get("Encrypted") == Some(&json!(true))),
            "snapshot": of("/SnapshotId"),
            "instance": attached.and_then(|a| text(a, "/InstanceId")),
            "device": attached.and_then(|a| text(a, "/Device")).unwrap_or_default(),
            "created": row.get("CreateTime"),
            "labels": labels(row),
        })
    }
    fn shown(object: &Object<Self>) -> Value {
        let (spec, status) = (&object.spec, &object.status);
        json!({
            "state": status.state,
            "zone": spec.zone,
            "size": spec.size_gib,
            "type": spec.disk_type,
            "iops": spec.iops,
            "throughput": spec.throughput_mibps,
            "encrypted": spec.encrypted,
            "key": spec.encryption_key,
            "snapshot": spec.snapshot,
            "instance": spec.instance.as_ref().and_then(|r| r.vendor_id.clone()),
            "device": status.device,
            "created": object.created_ms,
            "labels": spec.labels,
        })
    }
    fn placed_in(row: &Value) -> Option<&str> {
        text(row, "/AvailabilityZone").filter(|z| !z.is_empty())
    }
    fn is_over(row: &Value) -> bool {
        matches!(text(row, "/State"), Some("deleting" | "deleted"))
    }
}

impl Recorded for NatGateway {
    const OPERATION: &'static str = "DescribeNatGateways";
    const ROWS: &'static str = "NatGateways[]";
    const WIRE: &'static str = "natGatewaySet/item";
    const ID: &'static str = "NatGatewayId";
    const MEANT: &'static [(&'static str, &'static str)] = &[("NatGatewayState", "state")];
    fn said(row: &Value) -> Value {
        let all: Vec<&Value> = list(row, "NatGatewayAddresses").collect();
        let main = all.iter().find(|a| a.get("IsPrimary") == Some(&json!(true))).or(all.first());
        let of = |member: &str| main.and_then(|a| text(a, member)).filter(|t| !t.is_empty());
        let why: Vec<&str> = ["/FailureCode", "/FailureMessage"].into_iter().filter_map(|member| text(row, member)).collect();
        json!({
            "state": match text(row, "/State").unwrap() { "deleted" => "DELETING".into(), known => known.to_uppercase() },
            "reason": why.join(": "),
            "connectivity": text(row, "/ConnectivityType").unwrap_or("public").to_uppercase(),
            "subnet": text(row, "/SubnetId").filter(|t| !t.is_empty()),
            "address": of("/AllocationId"),
            "public": of("/PublicIp").filter(|ip| ip.parse::<IpAddr>().is_ok()),
            "private": of("/PrivateIp").filter(|ip| ip.parse::<IpAddr>().is_ok()),
            "created": row.get("CreateTime"),
            "labels": labels(row),
        })
    }
    fn shown(object: &Object<Self>) -> Value {
        let (spec, status) = (&object.spec, &object.status);
        json!({
            "state": status.state,
            "reason": status.state_reason,
            "connectivity": spec.connectivity,
            "subnet": spec.subnet.as_ref().and_then(|r| r.vendor_id.clone()),
            "address": spec.address.as_ref().and_then(|r| r.vendor_id.clone()),
            "public": status.public_ip,
            "private": status.private_ip,
            "created": object.created_ms,
            "labels": spec.labels,
        })
    }
    fn is_over(row: &Value) -> bool {
        text(row, "/State") == Some("deleted")
    }
}

/// Where a route can lead, as the model has it.
const TARGETS: [&str; 10] = [
    "/GatewayId",
    "/InstanceId",
    "/NatGatewayId",
    "/VpcPeeringConnectionId",
    "/TransitGatewayId",
    "/EgressOnlyInternetGatewayId",
    "/LocalGatewayId",
    "/CarrierGatewayId",
    "/CoreNetworkArn",
    "/OdbNetworkArn",
];
/// Destination and target of a route that a specification can say.
fn route(row: &Value) -> Option<(String, String)> {
    let net = text(row, "/DestinationCidrBlock").or(text(row, "/DestinationIpv6CidrBlock"))?.parse::<ipnet::IpNet>().ok()?;
    let targets: Vec<(usize, &str)> = TARGETS.iter().enumerate().filter_map(|(n, member)| Some((n, text(row, member)?))).collect();
    let by = match targets[..] {
        [(0, gateway)] => gateway.starts_with("igw-").then_some("internet")?,
        [(1..=3, id)] => id,
        _ => return None,
    };
    (text(row, "/Origin") == Some("CreateRoute")).then(|| (net.to_string(), by.to_owned()))
}
impl Recorded for RouteTable {
    const OPERATION: &'static str = "DescribeRouteTables";
    const ROWS: &'static str = "RouteTables[]";
    const WIRE: &'static str = "routeTableSet/item";
    const ID: &'static str = "RouteTableId";
    // EC2 has no state of one; what those of routes and associations mean is tried where the tables are.
    const MEANT: &'static [(&'static str, &'static str)] = &[];
    fn said(row: &Value) -> Value {
        let routes: std::collections::BTreeMap<String, String> = list(row, "Routes").filter_map(route).collect();
        let others = list(row, "Routes").filter(|r| route(r).is_none()).count();
        let lost = list(row, "Routes").filter(|r| text(r, "/State") == Some("blackhole")).filter_map(|r| text(r, "/DestinationCidrBlock"));
        let there = list(row, "Associations").filter(|a| !matches!(text(a, "/AssociationState/State"), Some("disassociating" | "disassociated" | "failed")));
        json!({
            "network": text(row, "/VpcId"),
            "routes": routes,
            "others": others,
            "lost": lost.collect::<BTreeSet<_>>(),
            "subnets": there.filter_map(|a| text(a, "/SubnetId")).collect::<BTreeSet<_>>(),
            "labels": labels(row),
        })
    }
    fn shown(object: &Object<Self>) -> Value {
        let (spec, status) = (&object.spec, &object.status);
        let id = |id: &Option<VendorId>| id.as_ref().map(ToString::to_string);
        let by = |r: &Route| match r {
            Route { internet: true, .. } => Some("internet".to_owned()),
            Route { instance: Some(instance), .. } => id(&instance.vendor_id),
            Route { nat_gateway: Some(gateway), .. } => id(&gateway.vendor_id),
            Route { peering, .. } => peering.clone(),
        };
        json!({
            "network": spec.network.as_ref().and_then(|r| r.vendor_id.clone()),
            "routes": spec.routes.iter().map(|r| (r.destination.unwrap().to_string(), by(r))).collect::<std::collections::BTreeMap<_, _>>(),
            "others": status.other_routes.len(),
            "lost": status.blackholes.iter().map(ToString::to_string).collect::<BTreeSet<_>>(),
            "subnets": spec.subnets.iter().filter_map(|r| id(&r.vendor_id)).collect::<BTreeSet<_>>(),
            "labels": spec.labels,
        })
    }
}

impl Recorded for Image {
    const OPERATION: &'static str = "DescribeImages";
    const ROWS: &'static str = "Images[]";
    const WIRE: &'static str = "imagesSet/item";
    const ID: &'static str = "ImageId";
    const MEANT: &'static [(&'static str, &'static str)] = &[("ArchitectureValues", "architecture")];
    fn query() -> Query<Self> {
        Query { vendor_ids: vec!["ami-1".parse().unwrap()], ..Query::all(1000) }
    }
    fn said(row: &Value) -> Value {
        let root = list(row, "BlockDeviceMappings").find(|d| d.get("DeviceName") == row.get("RootDeviceName"));
        json!({
            "name": text(row, "/Name").unwrap_or_default(),
            "publisher": row["OwnerId"],
            "architecture": match text(row, "/Architecture").unwrap() { "x86_64" | "x86_64_mac" => "X86_64", "i386" => "I386", _ => "ARM64" },
            "disk": root.and_then(|d| d.pointer("/Ebs/VolumeSize")).unwrap_or(&json!(0)),
        })
    }
    fn shown(object: &Object<Self>) -> Value {
        let status = &object.status;
        json!({ "name": status.display_name, "publisher": status.publisher, "architecture": status.architecture, "disk": status.min_disk_gib })
    }
    fn is_over(row: &Value) -> bool {
        text(row, "/State") != Some("available")
    }
}

impl Recorded for MachineType {
    const OPERATION: &'static str = "DescribeInstanceTypes";
    const ROWS: &'static str = "InstanceTypes[]";
    const WIRE: &'static str = "instanceTypeSet/item";
    const ID: &'static str = "InstanceType";
    const MEANT: &'static [(&'static str, &'static str)] = &[("ArchitectureType", "processorInfo/supportedArchitectures/item")];
    fn said(row: &Value) -> Value {
        let gpus: u64 = row.pointer("/GpuInfo").map_or(0, |g| list(g, "Gpus").filter_map(|g| g["Count"].as_u64()).sum());
        json!({ "vcpus": row.pointer("/VCpuInfo/DefaultVCpus"), "memory": row.pointer("/MemoryInfo/SizeInMiB"), "gpus": gpus, "architectures": 2 })
    }
    fn shown(object: &Object<Self>) -> Value {
        let status = &object.status;
        let known = status.architectures.iter().filter(|a| **a != Architecture::Unspecified).count();
        json!({ "vcpus": status.vcpus, "memory": status.memory_mib, "gpus": status.gpus, "architectures": known })
    }
}
