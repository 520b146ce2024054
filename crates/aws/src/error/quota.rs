//! Which quota is used up, by its name in Service Quotas and the id that `Quota` has of it or, where it is not one quota of the account's, by what it limits.
//!
//! <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html>, <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-resource-quotas.html>,
//! <https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html>, <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html>,
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-limits.html>

/// Code and quota.
static QUOTAS: &[(&str, &str)] = &[
    ("VpcLimitExceeded", "\"VPCs per Region\" (vpc.L-F678F1CE)"),
    ("SubnetLimitExceeded", "\"Subnets per VPC\" (vpc.L-407747CB)"),
    ("CidrLimitExceeded", "\"IPv4 CIDR blocks per VPC\" (vpc.L-83CA0A9D)"),
    ("InternetGatewayLimitExceeded", "\"Internet gateways per Region\" (vpc.L-A4707A72)"),
    ("RouteTableLimitExceeded", "\"Route tables per VPC\" (vpc.L-589F43AA)"),
    ("RouteLimitExceeded", "\"Routes per route table\" (vpc.L-93826ACB)"),
    ("ResourceCountLimitExceeded", "\"Routes per route table\" (vpc.L-93826ACB)"),
    ("NatGatewayLimitExceeded", "\"NAT gateways per Availability Zone\" (vpc.L-FE5A380F)"),
    ("SecurityGroupLimitExceeded", "\"VPC security groups per Region\" (vpc.L-E79EC296)"),
    ("RulesPerSecurityGroupLimitExceeded", "\"Inbound or outbound rules per security group\" (vpc.L-0EA8095F)"),
    ("SecurityGroupsPerInterfaceLimitExceeded", "\"Security groups per network interface\" (vpc.L-2AFB9258)"),
    ("SecurityGroupsPerInstanceLimitExceeded", "\"Security groups per network interface\" (vpc.L-2AFB9258)"),
    ("NetworkInterfaceLimitExceeded", "\"Network interfaces per Region\" (vpc.L-DF5E4CA3)"),
    ("AddressLimitExceeded", "\"EC2-VPC Elastic IPs\" (ec2.L-0263D0A3)"),
    ("VcpuLimitExceeded", "\"Running On-Demand instances\" of this family, in vCPUs,"),
    ("InstanceLimitExceeded", "\"Running On-Demand instances\" of this family"),
    ("MaxSpotInstanceCountExceeded", "\"Spot Instance Requests\" of this family, in vCPUs,"),
    ("VolumeLimitExceeded", "\"Storage\" for volumes of this type, in TiB,"),
    ("VolumeModificationSizeLimitExceeded", "\"Storage modifications\" for volumes of this type, in TiB,"),
    ("MaxIOPSLimitExceeded", "\"IOPS\" for volumes of this type"),
    ("VolumeIOPSLimit", "what one volume of this type can have of IOPS"),
    ("SnapshotLimitExceeded", "\"Snapshots per Region\" (ebs.L-309BACF6)"),
    ("KeyPairLimitExceeded", "the number of key pairs in the region"),
    ("TagLimitExceeded", "the number of tags on one resource"),
    ("AttachmentLimitExceeded", "the number of volumes that this instance can have attached"),
    ("TooManyHostedZones", "\"Hosted zones\" (route53.L-4EA4796A)"),
    ("DelegationSetNotAvailable", "the number of hosted zones of one name"),
    ("LimitsExceeded", "\"VPCs per hosted zone\" (route53.L-84B40094)"),
    ("TooManyLoadBalancers", "\"Network Load Balancers per Region\" (elasticloadbalancing.L-69A177A2)"),
    ("TooManyTargetGroups", "\"Target Groups per Region\" (elasticloadbalancing.L-B22855CB)"),
    ("TooManyUniqueTargetGroupsPerLoadBalancer", "the number of target groups of one load balancer"),
    ("TargetGroupAssociationLimit", "the number of load balancers of one target group"),
    ("TooManyListeners", "\"Listeners per Network Load Balancer\" (elasticloadbalancing.L-57A373D6)"),
    ("TooManyCertificates", "\"Certificates per Network Load Balancer\" (elasticloadbalancing.L-52964454)"),
    ("TooManyTargets", "\"Targets per Network Load Balancer\" or \"Targets per Target Group per Region\""),
    ("TooManyRegistrationsForTargetId", "the number of times that one target can be registered"),
    ("LimitExceeded", "\"Auto Scaling groups per region\" (autoscaling.L-CDE20ADC)"),
    ("TooManyTags", "the number of tags on one resource"),
    ("InsufficientFreeAddressesInSubnet", "the subnet's range of addresses"),
    ("InvalidSubnet", "the subnet's range of addresses"),
    ("PrivateIpAddressLimitExceeded", "the number of addresses that an interface of this machine type can have"),
    ("InvalidInterface.IpAddressLimitExceeded", "the number of addresses that an interface of this machine type can have"),
];

/// The quota behind a code, as the subject of a sentence.
pub(super) fn named(code: &str) -> String {
    QUOTAS.iter().find(|(c, _)| *c == code).map_or_else(|| format!("a quota of AWS ({code})"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::code::{CODES, TEXTS};
    use welkin_core::Reason;

    #[test]
    fn every_quota_of_the_table_has_a_name() {
        // What these are about only their text says.
        let unnamed = ["ResourceCountExceeded", "ResourceLimitExceeded", "RequestResourceCountExceeded"];
        for (code, meaning, _) in CODES {
            let named = QUOTAS.iter().filter(|(c, _)| c == code).count();
            let is_by_text = TEXTS.iter().any(|(c, _, meaning, _)| c == code && meaning.reason == Reason::QuotaExceeded);
            let expected = usize::from(is_by_text || meaning.reason == Reason::QuotaExceeded && !unnamed.contains(code));
            assert_eq!(named, expected, "{code}");
        }
        assert!(named("Other").contains("Other"));
    }
}
