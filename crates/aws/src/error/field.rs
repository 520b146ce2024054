//! Which field of ours an error is about, where AWS speaks of its own parameters.

/// Whose fields a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Network,
    NatGateway,
    RouteTable,
    Subnet,
    SecurityGroup,
    Instance,
    Disk,
    Address,
    DnsZone,
    LoadBalancer,
    InstanceGroup,
}
fn of(action: &str) -> Of {
    let has = |part: &str| action.contains(part);
    if ["AutoScaling", "LaunchTemplate", "InstanceRefresh"].into_iter().any(has) || ["CreateOrUpdateTags", "DescribeScalingActivities"].contains(&action) {
        Of::InstanceGroup
    } else if ["LoadBalancer", "TargetGroup", "Targets", "Listener"].into_iter().any(has) || ["AddTags", "RemoveTags", "SetSubnets", "SetIpAddressType"].contains(&action) {
        Of::LoadBalancer
    } else if has("HostedZone") || has("TagsForResource") {
        Of::DnsZone
    } else if has("NatGateway") {
        Of::NatGateway
    } else if has("Route") {
        Of::RouteTable
    } else if has("SecurityGroup") {
        Of::SecurityGroup
    } else if has("Subnet") {
        Of::Subnet
    } else if has("Vpc") || has("Gateway") {
        Of::Network
    } else if has("Volume") || has("Snapshot") {
        Of::Disk
    } else if has("Address") {
        Of::Address
    } else {
        Of::Instance
    }
}

/// What an instance's field is called in a call about another kind; empty where that kind has none like it.
static NAMES: &[(Of, &str, &str)] = &[
    (Of::Instance, "instance", ""),
    (Of::Instance, "disk", ""),
    (Of::Instance, "root_disk.iops", "root_disk"),
    (Of::Instance, "root_disk.encryption_key", "root_disk.encrypted"),
    (Of::Instance, "root_disk.snapshot", "root_disk"),
    (Of::Disk, "root_disk", ""),
    (Of::Disk, "root_disk.size_gib", "size_gib"),
    (Of::Disk, "root_disk.disk_type", "disk_type"),
    (Of::Disk, "root_disk.iops", "iops"),
    (Of::Disk, "root_disk.encrypted", "encrypted"),
    (Of::Disk, "root_disk.encryption_key", "encryption_key"),
    (Of::Disk, "root_disk.snapshot", "snapshot"),
    (Of::Disk, "disk", ""),
    (Of::Disk, "machine_type", "instance"),
    (Of::Address, "private_ips", "private_ip"),
    (Of::Address, "machine_type", "instance"),
    (Of::SecurityGroup, "security_groups", "rules"),
    (Of::SecurityGroup, "cidrs", "rules"),
    (Of::NatGateway, "instance", ""),
    (Of::RouteTable, "instance", "routes"),
    (Of::RouteTable, "cidrs", "routes"),
    (Of::RouteTable, "subnet", "subnets"),
    (Of::DnsZone, "instance", ""),
    (Of::LoadBalancer, "instance", "backends"),
    (Of::LoadBalancer, "subnet", "subnets"),
    (Of::InstanceGroup, "instance", ""),
    (Of::InstanceGroup, "disk", "template.disks"),
    (Of::InstanceGroup, "private_ips", ""),
    (Of::InstanceGroup, "zone", "subnets"),
    (Of::InstanceGroup, "subnet", "subnets"),
    (Of::InstanceGroup, "spot", "spot_percent"),
    (Of::InstanceGroup, "machine_type", "template.machine_types"),
    (Of::InstanceGroup, "image", "template.image"),
    (Of::InstanceGroup, "identity", "template.identity"),
    (Of::InstanceGroup, "ssh_key", "template.ssh_key"),
    (Of::InstanceGroup, "user_data", "template.user_data"),
    (Of::InstanceGroup, "security_groups", "template.security_groups"),
    (Of::InstanceGroup, "assign_public_ip", "template.assign_public_ip"),
    (Of::InstanceGroup, "root_disk", "template.root_disk"),
    (Of::InstanceGroup, "root_disk.size_gib", "template.root_disk.size_gib"),
    (Of::InstanceGroup, "root_disk.disk_type", "template.root_disk.disk_type"),
    (Of::InstanceGroup, "root_disk.iops", "template.root_disk"),
    (Of::InstanceGroup, "root_disk.encrypted", "template.root_disk.encrypted"),
    (Of::InstanceGroup, "root_disk.encryption_key", "template.root_disk.encrypted"),
    (Of::InstanceGroup, "root_disk.snapshot", "template.root_disk"),
    (Of::Network, "instance", ""),
    (Of::Subnet, "instance", ""),
];

/// AWS's parameters in lower case, and the field that is behind them.
static PARAMETERS: &[(Of, &[&str], &str)] = &[
    (Of::Network, &["cidrblock", "cidr"], "cidrs"),
    (Of::Network, &["amazonprovidedipv6cidrblock"], "assign_ipv6_cidr"),
    (Of::Subnet, &["cidrblock", "ipv6cidrblock", "cidr"], "cidrs"),
    (Of::Subnet, &["availabilityzone", "availabilityzoneid"], "zone"),
    (Of::Subnet, &["vpcid"], "network"),
    (Of::Subnet, &["mappubliciponlaunch"], "assign_public_ip"),
    (Of::NatGateway, &["subnetid", "subnet"], "subnet"),
    (Of::NatGateway, &["allocationid"], "address"),
    (Of::NatGateway, &["connectivitytype"], "connectivity"),
    (Of::RouteTable, &["vpcid"], "network"),
    (Of::RouteTable, &["subnetid", "subnet"], "subnets"),
    (
        Of::RouteTable,
        &["destinationcidrblock", "destinationipv6cidrblock", "cidr", "route", "gatewayid", "instanceid", "instance", "natgatewayid", "vpcpeeringconnectionid"],
        "routes",
    ),
    (Of::DnsZone, &["vpc", "vpcid", "vpcregion"], "networks"),
    (Of::DnsZone, &["comment"], "description"),
    (Of::DnsZone, &["domain", "domainname", "dnsname"], "dns_name"),
    (Of::DnsZone, &["tag", "tags"], "labels"),
    (Of::LoadBalancer, &["subnet", "subnets", "subnetid", "subnetmapping", "subnetmappings"], "subnets"),
    (Of::LoadBalancer, &["allocationid", "allocationids"], "addresses"),
    (Of::LoadBalancer, &["target", "targets", "targetid"], "backends"),
    (Of::LoadBalancer, &["certificate", "certificates", "certificatearn", "listener", "port", "protocol"], "listeners"),
    (Of::LoadBalancer, &["healthcheck", "healthcheckport", "healthcheckpath", "healthcheckprotocol", "healthcheckintervalseconds", "interval"], "health_check"),
    (Of::LoadBalancer, &["scheme"], "scheme"),
    (Of::LoadBalancer, &["ipaddresstype", "ipv6cidr", "dualstack", "enableprefixforipv6sourcenat", "sourcenatipv6prefix"], "dual_stack"),
    (Of::LoadBalancer, &["vpcid", "vpc"], "network"),
    (Of::LoadBalancer, &["stickiness"], "client_ip_affinity"),
    (Of::LoadBalancer, &["tag", "tags", "tagkey"], "labels"),
    (Of::InstanceGroup, &["subnet", "subnets", "subnetid", "vpczoneidentifier", "availabilityzone", "availabilityzones"], "subnets"),
    (Of::InstanceGroup, &["minsize"], "min_size"),
    (Of::InstanceGroup, &["maxsize"], "max_size"),
    (Of::InstanceGroup, &["desiredcapacity", "desiredsize"], "size"),
    (Of::InstanceGroup, &["instancetype", "instancetypes", "overrides"], "template.machine_types"),
    (Of::InstanceGroup, &["imageid", "image", "ami"], "template.image"),
    (Of::InstanceGroup, &["securitygroup", "securitygroups", "groupid"], "template.security_groups"),
    (Of::InstanceGroup, &["iaminstanceprofile", "instanceprofile"], "template.identity"),
    (Of::InstanceGroup, &["userdata"], "template.user_data"),
    (Of::InstanceGroup, &["keyname", "keypair"], "template.ssh_key"),
    (Of::InstanceGroup, &["ondemandbasecapacity"], "on_demand_base"),
    (Of::InstanceGroup, &["ondemandpercentageabovebasecapacity"], "spot_percent"),
    (Of::InstanceGroup, &["healthchecktype", "healthcheckgraceperiod"], "health"),
    (Of::InstanceGroup, &["tag", "tags", "tagkey"], "labels"),
    (Of::SecurityGroup, &["vpcid"], "network"),
    (Of::SecurityGroup, &["groupdescription"], "description"),
    (Of::SecurityGroup, &["ippermissions", "ipprotocol", "fromport", "toport", "port", "cidrip", "cidripv6", "cidr", "icmp", "groupid", "description"], "rules"),
    (Of::Instance, &["instancetype"], "machine_type"),
    (Of::Instance, &["imageid"], "image"),
    (Of::Instance, &["subnetid", "subnet"], "subnet"),
    (Of::Instance, &["availabilityzone"], "zone"),
    (Of::Instance, &["privateipaddress", "privateipaddresses", "ipv6address", "ipv6addresses", "address"], "private_ips"),
    (Of::Instance, &["associatepublicipaddress"], "assign_public_ip"),
    (Of::Instance, &["ipv6addresscount"], "assign_ipv6"),
    (Of::Instance, &["userdata"], "user_data"),
    (Of::Instance, &["iaminstanceprofile"], "identity"),
    (Of::Instance, &["keyname", "publickeymaterial"], "ssh_key"),
    (Of::Instance, &["groupid", "groups", "securitygroup", "securitygroups", "securitygroupid", "securitygroupids"], "security_groups"),
    (Of::Instance, &["volumesize"], "root_disk.size_gib"),
    (Of::Instance, &["volumetype"], "root_disk.disk_type"),
    (Of::Instance, &["encrypted", "kmskeyid"], "root_disk.encrypted"),
    (Of::Instance, &["blockdevicemapping", "volume", "iops", "throughput"], "root_disk"),
    (Of::Instance, &["spotprice", "maxprice", "spotoptions", "instancemarketoptions"], "spot"),
    (Of::Instance, &["disableapitermination"], "deletion_protection"),
    (Of::Instance, &["sourcedestcheck"], "ip_forwarding"),
    (Of::Instance, &["httptokens", "httpputresponsehoplimit", "metadataoptions"], "provider_config"),
    (Of::Disk, &["size", "volumesize"], "size_gib"),
    (Of::Disk, &["volumetype"], "disk_type"),
    (Of::Disk, &["iops"], "iops"),
    (Of::Disk, &["throughput"], "throughput_mibps"),
    (Of::Disk, &["kmskeyid"], "encryption_key"),
    (Of::Disk, &["encrypted", "encryption"], "encrypted"),
    (Of::Disk, &["snapshotid", "snapshot"], "snapshot"),
    (Of::Disk, &["availabilityzone"], "zone"),
    (Of::Disk, &["instanceid", "instance", "device"], "instance"),
    (Of::Address, &["privateipaddress"], "private_ip"),
    (Of::Address, &["instanceid", "instance", "networkinterfaceid", "networkinterface"], "instance"),
];

/// An instance's field in the words of the kind that the call is about.
pub(super) fn named(action: &str, field: &'static str) -> &'static str {
    // What is deleted has no fields any more.
    if action.starts_with("Delete") || action.starts_with("Release") {
        return "";
    }
    let of = of(action);
    NAMES.iter().find(|(o, theirs, _)| *o == of && *theirs == field).map_or(field, |(.., ours)| ours)
}
/// An instance's field in the words of a group that makes it.
pub(super) fn in_group(field: &str) -> Option<&'static str> {
    NAMES.iter().find(|(of, theirs, _)| *of == Of::InstanceGroup && *theirs == field).map(|(.., ours)| *ours)
}
/// The field behind the first parameter that the text names: `parameter privateIpAddress is invalid`, `Invalid volume size`.
pub(super) fn spoken_of(action: &str, text: &str) -> &'static str {
    let of = of(action);
    let words: Vec<String> = text.split_whitespace().map(|w| w.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()).collect();
    let known = |word: &str| PARAMETERS.iter().find(|(o, names, _)| *o == of && names.contains(&word)).map(|(.., field)| *field);
    // Two words can be one parameter: "volume size".
    let pairs = words.windows(2).map(|pair| pair.concat());
    pairs.clone().find_map(|pair| known(&pair)).or_else(|| words.iter().find_map(|word| known(word))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_another() {
        for (of, theirs, ours) in NAMES {
            assert_ne!(theirs, ours, "{of:?}");
            assert_eq!(NAMES.iter().filter(|(o, t, _)| o == of && t == theirs).count(), 1, "{of:?} {theirs}");
        }
    }
    #[test]
    fn no_parameter_stands_for_two_fields() {
        let all: Vec<_> = PARAMETERS.iter().flat_map(|(of, names, _)| names.iter().map(move |name| (of, name))).collect();
        for parameter in &all {
            assert_eq!(all.iter().filter(|p| *p == parameter).count(), 1, "{parameter:?}");
        }
    }
    #[test]
    fn aws_speaks_of_its_parameters_and_we_of_our_fields() {
        for (action, text, field) in [
            ("RunInstances", "Value (10.0.0.300) for parameter privateIpAddress is invalid. Invalid IPv4 address", "private_ips"),
            ("RunInstances", "The parameter groupId cannot be used with the parameter subnet", "security_groups"),
            ("RunInstances", "User data is limited to 16384 bytes", "user_data"),
            ("RunInstances", "Volume of size 1GB is smaller than snapshot 'snap-1', expect size >= 8GB", "root_disk"),
            ("RunInstances", "nothing that is known", ""),
            ("CreateVolume", "Iops to volume size ratio of 100.000000 is too high; maximum is 50", "size_gib"),
            ("CreateVolume", "The parameter iops must be specified for io1 volumes.", "iops"),
            ("CreateVolume", "Throughput of 2000 MiBps is too high; maximum is 1000", "throughput_mibps"),
            ("ModifyVolume", "New size cannot be smaller than existing size", "size_gib"),
            ("CreateVpc", "Value (10.0.0.0/8) for parameter cidrBlock is invalid.", "cidrs"),
            ("CreateSubnet", "Value (eu-west-1z) for parameter availabilityZone is invalid.", "zone"),
            ("AuthorizeSecurityGroupIngress", "Invalid value '70000' for port. Must be between -1 and 65535", "rules"),
            ("CreateRoute", "Value (10.0.0.0/99) for parameter destinationCidrBlock is invalid.", "routes"),
            ("CreateAutoScalingGroup", "The subnet ID 'subnet-1' does not exist", "subnets"),
            ("CreateAutoScalingGroup", "Desired capacity:5 must be between the specified min size:1 and max size:4", ""),
            ("UpdateAutoScalingGroup", "Max bound, 1, must be greater than or equal to min bound, 2", ""),
            ("CreateLoadBalancer", "You must specify subnets with an associated IPv6 CIDR block.", "dual_stack"),
            ("SetIpAddressType", "You must specify subnets with an associated IPv6 CIDR block.", "dual_stack"),
            ("SetSubnets", "You can specify only one subnet per Availability Zone", "subnets"),
            ("AssociateAddress", "Value (10.0.0.9) for parameter PrivateIpAddress is invalid.", "private_ip"),
        ] {
            assert_eq!(spoken_of(action, text), field, "{action}: {text}");
        }
    }
}
