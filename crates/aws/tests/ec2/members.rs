//! What becomes of every member of the answers that the drivers read.
//!
//! Each is shown, read for something else, or ignored on purpose; that shown members show and ignored ones do not is tried by taking them out of the
//! answers. A member that is new in botocore's model is only reported, unless it was recorded.

use crate::{
    balanced,
    document::{elements, with, without},
    recorded::{Recorded, for_every_kind},
    recordings::specimen,
    replay::Replay,
    scaled,
    specification::{Member, Model, Origin, model, say},
};
use std::collections::{BTreeMap, BTreeSet};
use welkin_core::*;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Role {
    /// Part of an object that a read shows.
    Shown,
    /// What steps and look-ups decide by.
    Read,
    Ignored,
}
/// Reasons with the members that they stand for: below a row, or below the answer where they are not part of one. A member stands for all below it.
pub type Reasons = &'static [(&'static str, &'static [&'static str])];
pub struct Members {
    pub operation: &'static str,
    pub rows: &'static str,
    pub shown: &'static [&'static str],
    pub read: Reasons,
    pub ignored: Reasons,
}

static MEMBERS: &[Members] = &[
    Members {
        operation: "DescribeVpcs",
        rows: "Vpcs[]",
        shown: &[
            "VpcId",
            "State",
            "CidrBlock",
            "CidrBlockAssociationSet[].CidrBlock",
            "CidrBlockAssociationSet[].CidrBlockState.State",
            "Ipv6CidrBlockAssociationSet[].Ipv6CidrBlock",
            "Ipv6CidrBlockAssociationSet[].Ipv6CidrBlockState.State",
            "Tags",
        ],
        read: &[("pages", &["NextToken"])],
        ignored: &[
            ("the range itself stands for it", &["CidrBlockAssociationSet[]", "Ipv6CidrBlockAssociationSet[]"]),
            ("the account is the connection's", &["OwnerId"]),
            ("not in the API", &["InstanceTenancy", "IsDefault", "DhcpOptionsId", "EncryptionControl", "BlockPublicAccessStates"]),
        ],
    },
    Members {
        operation: "DescribeSubnets",
        rows: "Subnets[]",
        shown: &[
            "SubnetId",
            "State",
            "VpcId",
            "CidrBlock",
            "AvailableIpAddressCount",
            "AvailabilityZone",
            "MapPublicIpOnLaunch",
            "Ipv6CidrBlockAssociationSet[].Ipv6CidrBlock",
            "Ipv6CidrBlockAssociationSet[].Ipv6CidrBlockState.State",
            "Tags",
        ],
        read: &[("pages", &["NextToken"])],
        ignored: &[
            ("the range itself stands for it", &["Ipv6CidrBlockAssociationSet[]"]),
            ("the account is the connection's", &["OwnerId"]),
            ("its name stands for it", &["AvailabilityZoneId", "SubnetArn"]),
            ("an instance asks for its address itself", &["AssignIpv6AddressOnCreation"]),
            (
                "not in the API",
                &[
                    "EnableLniAtDeviceIndex",
                    "MapCustomerOwnedIpOnLaunch",
                    "CustomerOwnedIpv4Pool",
                    "OutpostArn",
                    "EnableDns64",
                    "Ipv6Native",
                    "PrivateDnsNameOptionsOnLaunch",
                    "BlockPublicAccessStates",
                    "Type",
                    "DefaultForAz",
                ],
            ),
        ],
    },
    Members {
        operation: "DescribeInstances",
        rows: "Reservations[].Instances[]",
        shown: &[
            "InstanceId",
            "State.Name",
            "StateReason.Message",
            "ImageId",
            "SubnetId",
            "InstanceType",
            "LaunchTime",
            "Placement.AvailabilityZone",
            "PrivateIpAddress",
            "PublicIpAddress",
            "Ipv6Address",
            "SourceDestCheck",
            "IamInstanceProfile.Arn",
            "KeyName",
            "MetadataOptions.HttpTokens",
            "MetadataOptions.HttpPutResponseHopLimit",
            "NetworkInterfaces[].Association.PublicIp",
            "NetworkInterfaces[].Attachment.AttachTime",
            "NetworkInterfaces[].Attachment.DeviceIndex",
            "NetworkInterfaces[].Ipv6Addresses[].Ipv6Address",
            "NetworkInterfaces[].PrivateIpAddresses[].PrivateIpAddress",
            "NetworkInterfaces[].PrivateIpAddresses[].Association.PublicIp",
            "SecurityGroups[].GroupId",
            "InstanceLifecycle",
            "BlockDeviceMappings[].DeviceName",
            "BlockDeviceMappings[].Ebs.VolumeId",
            "RootDeviceName",
            "Tags",
        ],
        read: &[
            ("pages", &["NextToken"]),
            ("why a launch or a start ended", &["StateReason.Code"]),
            ("which volumes outlive the instance", &["BlockDeviceMappings[].Ebs.DeleteOnTermination"]),
            ("which of its addresses is the main one", &["NetworkInterfaces[].PrivateIpAddresses[].Primary"]),
            ("where its default group is", &["VpcId"]),
        ],
        ignored: &[
            ("we launch one instance with each reservation", &["Reservations[].ReservationId", "Reservations[].Groups", "AmiLaunchIndex"]),
            ("the account is the connection's", &["Reservations[].OwnerId", "Reservations[].RequesterId"]),
            ("the name stands for it", &["State.Code", "Placement.AvailabilityZoneId", "IamInstanceProfile.Id"]),
            ("the message says more", &["StateTransitionReason"]),
            ("addresses stand for it", &["PrivateDnsName", "PublicDnsName", "PrivateDnsNameOptions"]),
            ("a disk says the rest itself", &["BlockDeviceMappings[]", "RootDeviceType", "EbsOptimized"]),
            ("the id stands for it", &["SecurityGroups[].GroupName"]),
            ("an interface is part of its instance", &["NetworkInterfaces[]", "SecondaryInterfaces"]),
            ("the token only counts at the launch", &["ClientToken"]),
            (
                "the image says so",
                &[
                    "Architecture",
                    "Platform",
                    "PlatformDetails",
                    "UsageOperation",
                    "UsageOperationUpdateTime",
                    "ProductCodes",
                    "KernelId",
                    "RamdiskId",
                    "VirtualizationType",
                    "BootMode",
                    "CurrentInstanceBootMode",
                    "TpmSupport",
                    "EnaSupport",
                    "SriovNetSupport",
                ],
            ),
            ("the machine type says so", &["Hypervisor", "CpuOptions", "ElasticGpuAssociations", "ElasticInferenceAcceleratorAssociations", "NetworkPerformanceOptions"]),
            (
                "not in the API",
                &[
                    "SpotInstanceRequestId",
                    "CapacityBlockId",
                    "CapacityReservationId",
                    "CapacityReservationSpecification",
                    "HibernationOptions",
                    "EnclaveOptions",
                    "Licenses",
                    "MaintenanceOptions",
                    "MetadataOptions",
                    "Monitoring",
                    "Operator",
                    "OutpostArn",
                    "Placement",
                ],
            ),
        ],
    },
    Members {
        operation: "DescribeAddresses",
        rows: "Addresses[]",
        shown: &["AllocationId", "PublicIp", "InstanceId", "NetworkInterfaceId", "Tags"],
        read: &[
            ("whether it leads to the address that was asked for", &["PrivateIpAddress"]),
            ("the address of a Wavelength Zone, which has no public one", &["CarrierIp"]),
            ("what it is taken off by, and that it is in use where nothing else says so", &["AssociationId"]),
        ],
        ignored: &[
            ("what uses it stands for it", &["NetworkInterfaceOwnerId", "SubnetId", "ServiceManaged"]),
            ("the region is the connection's", &["NetworkBorderGroup"]),
            ("not in the API", &["Domain", "PublicIpv4Pool", "CustomerOwnedIp", "CustomerOwnedIpv4Pool"]),
        ],
    },
    Members {
        operation: "DescribeVolumes",
        rows: "Volumes[]",
        shown: &[
            "VolumeId",
            "State",
            "AvailabilityZone",
            "Size",
            "VolumeType",
            "Iops",
            "Throughput",
            "Encrypted",
            "KmsKeyId",
            "SnapshotId",
            "CreateTime",
            "Attachments[].InstanceId",
            "Attachments[].Device",
            "Attachments[].State",
            "Tags",
        ],
        read: &[("pages", &["NextToken"])],
        ignored: &[
            ("the account is the connection's", &["OwnerId"]),
            ("its name stands for it", &["AvailabilityZoneId", "VolumeArn"]),
            ("only the instance and the device are in the API", &["Attachments[]"]),
            ("not in the API", &["OutpostArn", "SourceVolumeId", "FastRestored", "MultiAttachEnabled", "SseType", "Operator", "VolumeInitializationRate"]),
        ],
    },
    Members {
        operation: "DescribeNatGateways",
        rows: "NatGateways[]",
        shown: &[
            "NatGatewayId",
            "State",
            "FailureCode",
            "FailureMessage",
            "ConnectivityType",
            "SubnetId",
            "CreateTime",
            "NatGatewayAddresses[].AllocationId",
            "NatGatewayAddresses[].PublicIp",
            "NatGatewayAddresses[].PrivateIp",
            "Tags",
        ],
        read: &[("pages", &["NextToken"]), ("which of its addresses was asked for", &["NatGatewayAddresses[].IsPrimary"])],
        ignored: &[
            ("the subnet stands for it", &["VpcId"]),
            ("the state stands for it", &["DeleteTime"]),
            ("only the addresses themselves are in the API", &["NatGatewayAddresses[]"]),
            ("reserved by AWS", &["ProvisionedBandwidth"]),
            ("gateways of a whole region are shown and not made", &["AvailabilityMode", "AutoScalingIps", "AutoProvisionZones", "RouteTableId"]),
            ("not in the API", &["AttachedAppliances"]),
        ],
    },
    Members {
        operation: "DescribeRouteTables",
        rows: "RouteTables[]",
        shown: &[
            "RouteTableId",
            "VpcId",
            "Associations[].SubnetId",
            "Associations[].AssociationState.State",
            "Routes[].DestinationCidrBlock",
            "Routes[].DestinationIpv6CidrBlock",
            "Routes[].DestinationPrefixListId",
            "Routes[].GatewayId",
            "Routes[].InstanceId",
            "Routes[].NetworkInterfaceId",
            "Routes[].NatGatewayId",
            "Routes[].VpcPeeringConnectionId",
            "Routes[].TransitGatewayId",
            "Routes[].EgressOnlyInternetGatewayId",
            "Routes[].LocalGatewayId",
            "Routes[].CarrierGatewayId",
            "Routes[].CoreNetworkArn",
            "Routes[].OdbNetworkArn",
            "Routes[].Origin",
            "Routes[].State",
            "Tags",
        ],
        read: &[
            ("pages", &["NextToken"]),
            ("what it is taken off a subnet by", &["Associations[].RouteTableAssociationId"]),
            ("whether it is EC2's own, which goes with the network", &["Associations[].Main"]),
        ],
        ignored: &[
            ("it is the table's own", &["Associations[].RouteTableId"]),
            ("why an association failed does not bring it back", &["Associations[].AssociationState.StatusMessage"]),
            ("only subnets are in the API", &["Associations[].GatewayId", "Associations[].PublicIpv4Pool"]),
            ("the routes that they put there are shown", &["PropagatingVgws"]),
            ("the account is the connection's", &["OwnerId"]),
            ("what it leads to stands for it", &["Routes[].InstanceOwnerId", "Routes[].IpAddress"]),
        ],
    },
    Members {
        operation: "DescribeImages",
        rows: "Images[]",
        shown: &["ImageId", "Name", "OwnerId", "Architecture", "RootDeviceName", "BlockDeviceMappings[].DeviceName", "BlockDeviceMappings[].Ebs.VolumeSize"],
        read: &[("pages", &["NextToken"]), ("whether it can be used", &["State"]), ("which build is the newest", &["CreationDate"])],
        ignored: &[
            ("the name and the owner's account stand for it", &["ImageLocation", "ImageOwnerAlias", "Description", "Public"]),
            ("images are not ours to mark", &["Tags"]),
            ("only its size bounds a disk", &["BlockDeviceMappings[]"]),
            (
                "not in the API",
                &[
                    "PlatformDetails",
                    "UsageOperation",
                    "EnaSupport",
                    "Hypervisor",
                    "RootDeviceType",
                    "SriovNetSupport",
                    "StateReason",
                    "VirtualizationType",
                    "BootMode",
                    "TpmSupport",
                    "DeprecationTime",
                    "ImdsSupport",
                    "SourceInstanceId",
                    "DeregistrationProtection",
                    "LastLaunchedTime",
                    "ImageAllowed",
                    "SourceImageId",
                    "SourceImageRegion",
                    "FreeTierEligible",
                    "PublicSsmParameterName",
                    "ImageWatermarks",
                    "ScanResults",
                    "ProductCodes",
                    "ImageType",
                    "InstanceTypeSpecification",
                    "KernelId",
                    "RamdiskId",
                    "Platform",
                ],
            ),
        ],
    },
    Members {
        operation: "DescribeInstanceTypes",
        rows: "InstanceTypes[]",
        shown: &[
            "InstanceType",
            "ProcessorInfo.SupportedArchitectures",
            "VCpuInfo.DefaultVCpus",
            "MemoryInfo.SizeInMiB",
            "GpuInfo.Gpus[].Count",
            "NetworkInfo.NetworkCards[].PeakBandwidthInGbps",
            "NetworkInfo.NetworkCards[].BaselineBandwidthInGbps",
        ],
        read: &[("pages", &["NextToken"])],
        ignored: &[
            ("the vCPUs stand for it", &["VCpuInfo", "ProcessorInfo"]),
            ("only their number is in the API", &["GpuInfo"]),
            ("only what its cards carry is in the API", &["NetworkInfo"]),
            ("other accelerators are not in the API", &["FpgaInfo", "InferenceAcceleratorInfo", "MediaAcceleratorInfo", "NeuronInfo"]),
            ("disks and interfaces have no bounds in the API", &["InstanceStorageSupported", "InstanceStorageInfo", "EbsInfo"]),
            (
                "not in the API",
                &[
                    "CurrentGeneration",
                    "FreeTierEligible",
                    "SupportedUsageClasses",
                    "SupportedRootDeviceTypes",
                    "SupportedVirtualizationTypes",
                    "BareMetal",
                    "Hypervisor",
                    "PlacementGroupInfo",
                    "HibernationSupported",
                    "BurstablePerformanceSupported",
                    "DedicatedHostsSupported",
                    "AutoRecoverySupported",
                    "SupportedBootModes",
                    "NitroEnclavesSupport",
                    "NitroTpmSupport",
                    "NitroTpmInfo",
                    "PhcSupport",
                    "RebootMigrationSupport",
                    "SupportedInRegion",
                ],
            ),
        ],
    },
    Members {
        operation: "DescribeAvailabilityZones",
        rows: "AvailabilityZones[]",
        shown: &["ZoneName", "GroupLongName"],
        read: &[("which zones can be used", &["OptInStatus", "ZoneType"])],
        ignored: &[
            ("the list asks for available ones only", &["State", "Messages"]),
            ("the region is the connection's", &["RegionName", "Geography", "SubGeography"]),
            ("the name stands for it", &["ZoneId", "GroupName", "NetworkBorderGroup"]),
            ("zones of that sort are left out", &["ParentZoneName", "ParentZoneId"]),
        ],
    },
    Members { operation: "GetConsoleOutput", rows: "", shown: &["Output", "Timestamp"], read: &[], ignored: &[("it is the one that was asked for", &["InstanceId"])] },
];

fn tables() -> impl Iterator<Item = &'static Members> {
    MEMBERS.iter().chain(balanced::MEMBERS).chain(scaled::MEMBERS)
}
/// The operations whose answers go through the decoders.
pub fn operations() -> impl Iterator<Item = &'static str> {
    tables().map(|table| table.operation)
}

impl Members {
    fn entries(&self) -> impl Iterator<Item = (&'static str, Role)> {
        let of = |reasons: Reasons, role| reasons.iter().flat_map(|(_, members)| *members).map(move |m| (*m, role));
        self.shown.iter().map(|m| (*m, Role::Shown)).chain(of(self.read, Role::Read)).chain(of(self.ignored, Role::Ignored))
    }
    /// The entry that is nearest above it.
    fn role(&self, path: &str) -> Option<(&'static str, Role)> {
        let below = path.strip_prefix(self.rows).and_then(|p| p.strip_prefix('.')).unwrap_or(path);
        let covers = |entry: &str| below.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.entries().filter(|(entry, _)| covers(entry)).max_by_key(|(entry, _)| entry.len())
    }
    fn wires<'a>(&self, members: &'a [Member], role: impl Fn(&'static str, Role) -> bool) -> BTreeSet<&'a str> {
        members.iter().filter(|m| self.role(&m.path).is_some_and(|(entry, is)| role(entry, is))).map(|m| m.wire.as_str()).collect()
    }
}

/// The answer with our mark on every row as on what belongs to an instance, which has no digest.
pub fn parted(xml: &str, wire: &str) -> String {
    marked(xml, wire).replace("<item><key>welkin.dev/digest</key><value>v1-digest</value></item>", "")
}
/// The answer with our mark on every row, and a note of what was asked for, so that it is shown.
pub fn marked(xml: &str, wire: &str) -> String {
    let all = elements(xml);
    let ours = ["owner=me", "id=web", "uid=0123456789", "digest=v1-digest", "asked=config=true/ip=true"].map(|t| t.split_once('=').unwrap());
    let ours: String = ours.iter().map(|(k, v)| format!("<item><key>welkin.dev/{k}</key><value>{v}</value></item>")).collect();
    let sets = format!("{wire}/tagSet");
    let mut edits = Vec::new();
    for row in all.iter().filter(|e| e.path == wire && !e.inner.is_empty()) {
        match all.iter().find(|e| e.path == sets && row.inner.contains(&e.whole.start)) {
            Some(tags) => edits.push((tags.whole.clone(), format!("<tagSet>{}{ours}</tagSet>", &xml[tags.inner.clone()]))),
            None => edits.push((row.inner.end..row.inner.end, format!("<tagSet>{ours}</tagSet>"))),
        }
    }
    with(xml, edits)
}

async fn listed<K: Recorded>(replay: &Replay) -> String {
    match replay.list(&K::query()).await {
        Ok(objects) => format!("{objects:?}"),
        Err(e) => e.to_string(),
    }
}
/// Everything that a read shows of this answer.
async fn see(replay: &Replay, model: &Model, operation: &str, xml: &str) -> String {
    if balanced::MEMBERS.iter().any(|table| table.operation == operation) {
        return balanced::see(replay, model, operation, xml).await;
    }
    if operation == scaled::OPERATION {
        return scaled::see(replay, xml).await;
    }
    replay.answers(operation, 200, xml);
    for_every_kind!(K, {
        if operation == K::OPERATION {
            return listed::<K>(replay).await;
        }
    });
    match operation {
        "GetConsoleOutput" => {
            let target = Target::Vendor { parent: LocationName::of("eu-west-1").unwrap(), vendor_id: "i-1".parse().unwrap() };
            let told = replay.aws.instances().unwrap().ask(&replay.cx(), &target, &InstanceQuestion::ConsoleOutput).await;
            told.map_or_else(|e| e.to_string(), |told| format!("{} {:?}", told.text.expose(), told.time_ms))
        }
        "DescribeAvailabilityZones" => replay.list(&Query::<Location>::all(9)).await.map_or_else(|e| e.to_string(), |o| format!("{o:?}")),
        other => panic!("{other} is not tried"),
    }
}

#[tokio::test]
async fn every_member_has_a_role_and_plays_it() {
    let Some(model) = model() else { return };
    for table in tables() {
        let replay = Replay::start().await;
        let members = &model.members[table.operation];
        for (entry, _) in table.entries() {
            assert!(members.iter().any(|m| table.role(&m.path).is_some_and(|(e, _)| e == entry)), "{}: the model has no {entry}", table.operation);
        }
        let recorded = recorded_members(model, table, |origin| origin != Origin::Specimen).len();
        let unknown: Vec<&str> = members.iter().filter(|m| table.role(&m.path).is_none()).map(|m| m.path.as_str()).collect();
        let count = |role| members.iter().filter(|m| table.role(&m.path).is_some_and(|(_, r)| r == role)).count();
        let (shown, read, ignored) = (count(Role::Shown), count(Role::Read), count(Role::Ignored));
        say(&format!("{}: {shown} members shown, {read} read, {ignored} ignored on purpose; {recorded} of them recorded", table.operation));
        if !unknown.is_empty() {
            say(&format!("{}: new in botocore {}, without a role: {}", table.operation, model.botocore, unknown.join(", ")));
        }
        ignored_members_do_not_show(&replay, model, table, members).await;
        shown_members_show(&replay, model, table, members).await;
    }
}
/// Every member that was recorded needs a role.
fn recorded_members<'a>(model: &'a Model, table: &Members, is_counted: impl Fn(Origin) -> bool) -> BTreeMap<&'a str, Role> {
    let by_wire: BTreeMap<&str, &Member> = model.members[table.operation].iter().map(|m| (m.wire.as_str(), m)).collect();
    let mut recorded = BTreeMap::new();
    for answer in model.answers(table.operation).filter(|a| is_counted(a.origin())) {
        for element in elements(&answer.xml) {
            if let Some(member) = by_wire.get(element.path.as_str()) {
                let role = table.role(&member.path).unwrap_or_else(|| panic!("{}: {} is neither mapped nor ignored on purpose", answer.source, member.path));
                recorded.insert(member.path.as_str(), role.1);
            }
        }
    }
    recorded
}
/// How many members the recordings have, by role: shown, read, ignored.
pub fn recorded_roles(model: &Model, operation: &str) -> [usize; 3] {
    let table = tables().find(|t| t.operation == operation).unwrap();
    let recorded = recorded_members(model, table, |origin| origin == Origin::Recording);
    [Role::Shown, Role::Read, Role::Ignored].map(|role| recorded.values().filter(|r| **r == role).count())
}
async fn ignored_members_do_not_show(replay: &Replay, model: &Model, table: &Members, members: &[Member]) {
    let ignored = table.wires(members, |_, role| role == Role::Ignored);
    for answer in model.answers(table.operation) {
        let less = without(&answer.xml, |e| ignored.contains(e.path.as_str()));
        assert_eq!(see(replay, model, table.operation, &answer.xml).await, see(replay, model, table.operation, &less).await, "{}", answer.source);
    }
}
/// In the answer with every member, ours or not, or in any other.
async fn shown_members_show(replay: &Replay, model: &Model, table: &Members, members: &[Member]) {
    let row = members.iter().find(|m| m.path.starts_with(table.rows)).unwrap();
    let depth = row.wire.split('/').count() - row.path[table.rows.len()..].split('.').count() + 1;
    let wire = row.wire.split('/').take(depth).collect::<Vec<_>>().join("/");
    let full = &specimen(model, table.operation).xml;
    // A listener's action can name its target group twice.
    let once = without(full, |e| e.path.ends_with("/ForwardConfig"));
    let answers: Vec<String> = [full.clone(), marked(full, &wire), once].into_iter().chain(model.answers(table.operation).map(|a| a.xml.clone())).collect();
    for entry in table.shown {
        let wires = table.wires(members, |e, _| e == *entry);
        let mut shows = false;
        for xml in &answers {
            let less = without(xml, |e| wires.contains(e.path.as_str()));
            shows |= less != *xml && see(replay, model, table.operation, xml).await != see(replay, model, table.operation, &less).await;
            if shows {
                break;
            }
        }
        assert!(shows, "{} {entry} does not show", table.operation);
    }
}
