//! The table of codes.
//!
//! Codes and their meanings are those of <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>. Fields are an instance's
//! where several kinds have the like; `field.rs` says what they are called elsewhere. Those of Elastic Load Balancing are of botocore's model of it, and of
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/CommonErrors.html>. Route 53's codes are those of botocore's model of it, which its
//! reference repeats call by call: <https://docs.aws.amazon.com/Route53/latest/APIReference/API_Operations_Amazon_Route_53.html>.

use std::time::Duration;
use welkin_core::{Effect, ErrorKind, Reason, Retry};

/// What a code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) kind: ErrorKind,
    pub(super) reason: Reason,
    pub(super) retry: Retry,
    /// Of a write; a read has none.
    pub(super) effect: Effect,
}
/// The call was refused and the same call will be refused again.
const fn refused(kind: ErrorKind, reason: Reason) -> Meaning {
    Meaning { kind, reason, retry: Retry::Never, effect: Effect::None }
}
/// The call was refused; later it may not be.
const fn later(kind: ErrorKind, reason: Reason, seconds: u64) -> Meaning {
    Meaning { kind, reason, retry: Retry::After(Duration::from_secs(seconds)), effect: Effect::None }
}

const FIELD: Meaning = refused(ErrorKind::InvalidArgument, Reason::InvalidField);
const UNSUPPORTED: Meaning = refused(ErrorKind::InvalidArgument, Reason::CapabilityUnsupported);
const RANGE: Meaning = refused(ErrorKind::FailedPrecondition, Reason::RangeConflict);
const TOKEN: Meaning = refused(ErrorKind::InvalidArgument, Reason::InvalidPageToken);
const REFERENCE: Meaning = refused(ErrorKind::FailedPrecondition, Reason::ReferenceNotFound);
const IMAGE: Meaning = refused(ErrorKind::FailedPrecondition, Reason::ImageNotFound);
const MACHINE: Meaning = refused(ErrorKind::InvalidArgument, Reason::MachineTypeNotFound);
const STATE: Meaning = refused(ErrorKind::FailedPrecondition, Reason::WrongState);
const IN_USE: Meaning = refused(ErrorKind::FailedPrecondition, Reason::InUse);
const TAKEN: Meaning = refused(ErrorKind::AlreadyExists, Reason::NameTaken);
const QUOTA: Meaning = refused(ErrorKind::ResourceExhausted, Reason::QuotaExceeded);
/// Waiting may help, but for how long nobody knows, and another zone or type may help at once: so the caller decides.
const CAPACITY: Meaning = refused(ErrorKind::Unavailable, Reason::Capacity);
const CREDENTIALS: Meaning = refused(ErrorKind::FailedPrecondition, Reason::CloudCredentials);
const PERMISSION: Meaning = refused(ErrorKind::FailedPrecondition, Reason::CloudPermission);
const ACCOUNT: Meaning = refused(ErrorKind::FailedPrecondition, Reason::CloudAccount);
const REFUSED: Meaning = refused(ErrorKind::FailedPrecondition, Reason::CloudRefused);
/// A request that we built wrongly.
const DEFECT: Meaning = refused(ErrorKind::Internal, Reason::Internal);
const THROTTLED: Meaning = later(ErrorKind::ResourceExhausted, Reason::Throttled, 2);
const BUSY: Meaning = later(ErrorKind::Aborted, Reason::OperationInProgress, 2);
/// Snapshots that are still being made are too many, or were begun too fast: "wait at least 15 seconds".
const SNAPSHOTS: Meaning = later(ErrorKind::ResourceExhausted, Reason::Throttled, 15);
/// The server failed: whether it acted before it failed is not known.
const DOWN: Meaning = Meaning { kind: ErrorKind::Unavailable, reason: Reason::CloudUnavailable, retry: Retry::After(Duration::from_secs(2)), effect: Effect::Unknown };
/// The thing was made and is no more.
const ENDED: Meaning = Meaning { kind: ErrorKind::FailedPrecondition, reason: Reason::CreationFailed, retry: Retry::Never, effect: Effect::Applied };

/// Code, meaning, and the field of ours that it is about.
pub(super) static CODES: &[(&str, Meaning, &str)] = &[
    // Common client errors.
    ("AuthFailure", CREDENTIALS, ""),
    ("AuthFailure.ServiceLinkedRoleCreationNotPermitted", PERMISSION, "spot"),
    ("Blocked", ACCOUNT, ""),
    ("ClientInvalidParameterValue", FIELD, ""),
    ("DryRunOperation", REFUSED, ""),
    ("IdempotentParameterMismatch", REFUSED, ""),
    ("IncompleteSignature", CREDENTIALS, ""),
    ("InvalidAction", DEFECT, ""),
    ("InvalidCharacter", FIELD, ""),
    ("InvalidClientTokenId", CREDENTIALS, ""),
    ("InvalidPaginationToken", TOKEN, "page_token"),
    ("InvalidNextToken", TOKEN, "page_token"),
    ("InvalidParameter", FIELD, ""),
    ("InvalidParameterCombination", FIELD, ""),
    ("InvalidParameterDependency", FIELD, ""),
    ("InvalidParameterValue", FIELD, ""),
    ("InvalidQueryParameter", DEFECT, ""),
    ("MalformedQueryString", DEFECT, ""),
    ("MissingAction", DEFECT, ""),
    ("MissingAuthenticationToken", CREDENTIALS, ""),
    ("MissingParameter", FIELD, ""),
    ("OptInRequired", ACCOUNT, ""),
    ("PendingVerification", ACCOUNT, ""),
    ("RequestExpired", CREDENTIALS, ""),
    ("TagPolicyViolation", FIELD, "labels"),
    ("UnauthorizedOperation", PERMISSION, ""),
    ("UnknownParameter", DEFECT, ""),
    ("UnsupportedInstanceAttribute", UNSUPPORTED, ""),
    ("UnsupportedOperation", UNSUPPORTED, ""),
    ("UnsupportedProtocol", DEFECT, ""),
    ("ValidationError", FIELD, ""),
    // What the signing layer and IAM say in other services' words (https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html).
    ("AccessDenied", PERMISSION, ""),
    ("AccessDeniedException", PERMISSION, ""),
    ("ExpiredToken", CREDENTIALS, ""),
    ("IDPCommunicationError", later(ErrorKind::Unavailable, Reason::CloudUnavailable, 2), ""),
    ("IDPRejectedClaim", CREDENTIALS, ""),
    ("ExpiredTokenException", CREDENTIALS, ""),
    ("InvalidAccessKeyId", CREDENTIALS, ""),
    ("InvalidIdentityToken", CREDENTIALS, ""),
    ("InvalidSecurity.RequestHasExpired", CREDENTIALS, ""),
    ("SignatureDoesNotMatch", CREDENTIALS, ""),
    ("UnrecognizedClientException", CREDENTIALS, ""),
    ("DeclarativePoliciesAccessDeniedException", PERMISSION, ""),
    ("UnknownPrincipalType.Unsupported", PERMISSION, ""),
    ("AccountDisabled", ACCOUNT, ""),
    // And in those of services that speak JSON (https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/CommonErrors.html).
    ("IncompleteSignatureException", CREDENTIALS, ""),
    ("InvalidSignatureException", CREDENTIALS, ""),
    ("MissingAuthenticationTokenException", CREDENTIALS, ""),
    ("SubscriptionRequiredException", ACCOUNT, ""),
    ("ValidationException", FIELD, ""),
    // Networks, subnets, gateways, routes.
    ("DependencyViolation", IN_USE, ""),
    ("CannotDelete", IN_USE, ""),
    ("Gateway.NotAttached", STATE, "instance"),
    ("InvalidVpcID.NotFound", REFERENCE, "network"),
    ("InvalidVpcID.Malformed", FIELD, "network"),
    ("InvalidVpcRange", FIELD, "cidrs"),
    ("InvalidVpc.Range", FIELD, "cidrs"),
    ("InvalidVpcState", STATE, ""),
    ("VpcCidrConflict", RANGE, "cidrs"),
    ("CidrConflict", RANGE, "cidrs"),
    ("CidrLimitExceeded", QUOTA, "cidrs"),
    ("InvalidSubnet", REFERENCE, "subnet"),
    ("InvalidSubnet.Conflict", RANGE, "cidrs"),
    ("InvalidSubnet.Range", FIELD, "cidrs"),
    ("InvalidSubnetID.NotFound", REFERENCE, "subnet"),
    ("InvalidSubnetId.NotFound", REFERENCE, "subnet"),
    ("InvalidSubnetID.Malformed", FIELD, "subnet"),
    ("InvalidZone.NotFound", FIELD, "zone"),
    ("InvalidAvailabilityZone", FIELD, "zone"),
    ("InvalidInternetGatewayID.NotFound", REFERENCE, ""),
    ("InvalidGatewayID.NotFound", REFERENCE, ""),
    ("InvalidRouteTableID.NotFound", REFERENCE, ""),
    ("InvalidRouteTableId.NotFound", REFERENCE, ""),
    ("InvalidRoute.InvalidState", STATE, "routes"),
    ("InvalidRoute.Malformed", FIELD, "routes"),
    ("InvalidRoute.NotFound", STATE, "routes"),
    ("RouteAlreadyExists", RANGE, "routes"),
    ("InvalidNatGatewayID.NotFound", REFERENCE, "routes"),
    ("InvalidVpcPeeringConnectionID.NotFound", REFERENCE, "routes"),
    ("InvalidVpcPeeringConnectionId.Malformed", FIELD, "routes"),
    ("Resource.AlreadyAssociated", IN_USE, "instance"),
    ("Resource.AlreadyAssigned", IN_USE, "private_ips"),
    ("LegacySecurityGroup", STATE, ""),
    ("VPCIdNotSpecified", FIELD, "network"),
    ("VPCResourceNotSpecified", FIELD, "subnet"),
    ("VpcLimitExceeded", QUOTA, ""),
    ("SubnetLimitExceeded", QUOTA, ""),
    ("InternetGatewayLimitExceeded", QUOTA, "internet_access"),
    ("RouteLimitExceeded", QUOTA, "routes"),
    ("ResourceCountLimitExceeded", QUOTA, "routes"),
    ("RouteTableLimitExceeded", QUOTA, ""),
    ("NatGatewayLimitExceeded", QUOTA, ""),
    // Instances, images, disks, keys, interfaces.
    ("BootForVolumeTypeUnsupported", FIELD, "root_disk.disk_type"),
    ("UnknownVolumeType", FIELD, "root_disk.disk_type"),
    ("VolumeTypeNotAvailableInZone", FIELD, "root_disk.disk_type"),
    ("EncryptedVolumesNotSupported", UNSUPPORTED, "root_disk.encrypted"),
    ("CustomerKeyHasBeenRevoked", REFUSED, "root_disk.encryption_key"),
    ("InvalidBlockDeviceMapping", FIELD, "root_disk"),
    ("InvalidVolume.NotFound", REFERENCE, "disk"),
    ("VolumeInUse", IN_USE, "instance"),
    ("VolumeIOPSLimit", QUOTA, "root_disk.iops"),
    ("VolumeLimitExceeded", QUOTA, "root_disk.size_gib"),
    ("MaxIOPSLimitExceeded", QUOTA, "root_disk.iops"),
    ("VolumeModificationSizeLimitExceeded", QUOTA, "root_disk.size_gib"),
    // Once in six hours (<https://docs.aws.amazon.com/ebs/latest/userguide/modify-volume-requirements.html>): the caller decides whether to wait.
    ("VolumeModificationRateExceeded", STATE, "root_disk.size_gib"),
    ("IncorrectModificationState", STATE, "root_disk.size_gib"),
    ("InvalidVolume.ZoneMismatch", FIELD, "instance"),
    ("InvalidVolumeID.ZoneMismatch", FIELD, "instance"),
    ("InvalidAttachment.NotFound", STATE, "instance"),
    ("InvalidSnapshot.NotFound", REFERENCE, "root_disk.snapshot"),
    ("InvalidSnapshotID.Malformed", FIELD, "root_disk.snapshot"),
    ("SnapshotLimitExceeded", QUOTA, ""),
    ("PendingSnapshotLimitExceeded", SNAPSHOTS, ""),
    ("ConcurrentSnapshotLimitExceeded", SNAPSHOTS, ""),
    ("SnapshotCreationPerVolumeRateExceeded", SNAPSHOTS, ""),
    ("IdempotentInstanceTerminated", ENDED, ""),
    ("InvalidClientToken", DEFECT, ""),
    ("IncorrectInstanceState", STATE, "instance"),
    ("InvalidInstanceState", STATE, "instance"),
    ("IncorrectState", STATE, ""),
    ("InvalidState", STATE, ""),
    ("OperationNotPermitted", REFUSED, ""),
    ("InstanceLimitExceeded", QUOTA, ""),
    ("VcpuLimitExceeded", QUOTA, "machine_type"),
    ("ResourceCountExceeded", QUOTA, ""),
    ("ResourceLimitExceeded", QUOTA, ""),
    ("AttachmentLimitExceeded", QUOTA, "instance"),
    ("NetworkInterfaceLimitExceeded", QUOTA, ""),
    ("MaxSpotInstanceCountExceeded", QUOTA, "spot"),
    ("RequestResourceCountExceeded", QUOTA, "spot"),
    // Another type or zone may cost less, as it may have room.
    ("SpotMaxPriceTooLow", CAPACITY, "spot"),
    ("IncorrectSpotRequestState", STATE, "spot"),
    ("SecurityGroupsPerInstanceLimitExceeded", QUOTA, "security_groups"),
    ("SecurityGroupsPerInterfaceLimitExceeded", QUOTA, "security_groups"),
    ("InvalidNetworkInterface.InUse", IN_USE, ""),
    ("KeyPairLimitExceeded", QUOTA, "ssh_key"),
    ("TagLimitExceeded", QUOTA, "labels"),
    ("InsufficientFreeAddressesInSubnet", refused(ErrorKind::ResourceExhausted, Reason::QuotaExceeded), "subnet"),
    ("PrivateIpAddressLimitExceeded", QUOTA, "private_ips"),
    ("InvalidInterface.IpAddressLimitExceeded", QUOTA, "private_ips"),
    ("InvalidIPAddress.InUse", IN_USE, "private_ips"),
    ("InvalidAddress.Malformed", FIELD, "private_ips"),
    ("InvalidAMIID.NotFound", IMAGE, "image"),
    ("InvalidAMIID.Unavailable", IMAGE, "image"),
    ("InvalidAMIID.Malformed", refused(ErrorKind::InvalidArgument, Reason::ImageNotFound), "image"),
    ("InvalidManifest", IMAGE, "image"),
    ("InvalidInstanceType", MACHINE, "machine_type"),
    ("InvalidInstanceFamily", MACHINE, "machine_type"),
    ("InvalidInstanceAttributeValue", MACHINE, "machine_type"),
    ("Unsupported", UNSUPPORTED, "machine_type"),
    ("InvalidInstanceID.NotFound", REFERENCE, "instance"),
    ("InvalidInstanceID", FIELD, "instance"),
    ("InvalidIamInstanceProfileArn.Malformed", FIELD, "identity"),
    ("InvalidKey.Format", FIELD, "ssh_key"),
    ("InvalidKeyPair.Format", FIELD, "ssh_key"),
    ("InvalidKeyPair.Duplicate", TAKEN, "ssh_key"),
    ("InvalidKeyPair.NotFound", REFERENCE, "provider_config"),
    ("InvalidUserData.Malformed", FIELD, "user_data"),
    ("InvalidTagKey.Malformed", FIELD, "labels"),
    ("InvalidGroup.NotFound", REFERENCE, "security_groups"),
    ("InvalidSecurityGroupID.NotFound", REFERENCE, "security_groups"),
    ("InvalidGroup.Duplicate", TAKEN, ""),
    ("InvalidGroup.InUse", IN_USE, ""),
    ("InvalidGroup.Reserved", FIELD, ""),
    ("InvalidGroupId.Malformed", FIELD, "security_groups"),
    ("InvalidPermission.Duplicate", STATE, "rules"),
    ("InvalidPermission.Malformed", FIELD, "rules"),
    ("InvalidPermission.NotFound", STATE, "rules"),
    ("InvalidSecurityGroupRuleId.NotFound", STATE, "rules"),
    ("RulesPerSecurityGroupLimitExceeded", QUOTA, "rules"),
    ("SecurityGroupLimitExceeded", QUOTA, ""),
    ("InvalidNetworkInterfaceID.NotFound", REFERENCE, "instance"),
    ("NonEBSInstance", UNSUPPORTED, "image"),
    ("UnsupportedTenancy", UNSUPPORTED, ""),
    ("ZonesMismatched", FIELD, "zone"),
    ("InsufficientCapacityOnHost", CAPACITY, ""),
    ("IncompatibleHostRequirements", CAPACITY, ""),
    ("UnavailableHostRequirements", CAPACITY, ""),
    ("UnfulfillableCapacity", CAPACITY, ""),
    ("ReservationCapacityExceeded", CAPACITY, ""),
    // Elastic IP addresses.
    ("AddressLimitExceeded", QUOTA, ""),
    ("InvalidAddress.Locked", STATE, ""),
    ("InvalidAddress.NotFound", REFERENCE, ""),
    ("InvalidAddressID.NotFound", REFERENCE, ""),
    ("InvalidAllocationID.NotFound", REFERENCE, ""),
    ("InvalidAssociationID.NotFound", STATE, "instance"),
    ("ConcurrentTagAccess", BUSY, ""),
    ("CreditSpecificationUpdateInProgress", BUSY, ""),
    // Zones of the domain name system.
    ("InvalidDomainName", FIELD, "dns_name"),
    ("HostedZoneAlreadyExists", TAKEN, ""),
    ("TooManyHostedZones", QUOTA, ""),
    // "There is a limit to the number of hosted zones that have the same name."
    ("DelegationSetNotAvailable", QUOTA, "dns_name"),
    ("ConflictingDomainExists", IN_USE, "networks"),
    ("InvalidVPCId", REFERENCE, "networks"),
    ("LimitsExceeded", QUOTA, "networks"),
    ("NotAuthorizedException", REFUSED, "networks"),
    ("PublicZoneVPCAssociation", STATE, "networks"),
    ("LastVPCAssociation", STATE, "networks"),
    ("VPCAssociationNotFound", STATE, "networks"),
    ("HostedZoneNotEmpty", IN_USE, ""),
    ("NoSuchHostedZone", REFERENCE, ""),
    ("NoSuchChange", REFERENCE, ""),
    // Records: what it says decides more (record_set.rs).
    ("InvalidChangeBatch", FIELD, ""),
    ("NoSuchHealthCheck", REFERENCE, "items.health_check"),
    // "Wait, in intervals of increasing duration."
    ("PriorRequestNotComplete", BUSY, ""),
    // Load balancers.
    ("DuplicateLoadBalancerName", TAKEN, ""),
    ("DuplicateTargetGroupName", TAKEN, ""),
    ("DuplicateListener", RANGE, "listeners"),
    ("DuplicateTagKeys", DEFECT, ""),
    ("LoadBalancerNotFound", REFERENCE, ""),
    ("TargetGroupNotFound", REFERENCE, ""),
    ("ListenerNotFound", REFERENCE, ""),
    ("SubnetNotFound", REFERENCE, "subnet"),
    ("AllocationIdNotFound", REFERENCE, "addresses"),
    ("CertificateNotFound", REFERENCE, "listeners"),
    ("InvalidSecurityGroup", REFERENCE, ""),
    ("InvalidScheme", FIELD, "scheme"),
    // "Does not exist, is not in the same VPC as the target group, or has an unsupported instance type."
    ("InvalidTarget", STATE, "backends"),
    ("InvalidConfigurationRequest", FIELD, ""),
    ("InvalidLoadBalancerAction", DEFECT, ""),
    ("IncompatibleProtocols", FIELD, "listeners"),
    ("AvailabilityZoneNotSupported", UNSUPPORTED, "subnet"),
    ("ResourceInUse", IN_USE, ""),
    ("TooManyLoadBalancers", QUOTA, ""),
    ("TooManyTargetGroups", QUOTA, ""),
    ("TooManyUniqueTargetGroupsPerLoadBalancer", QUOTA, "listeners"),
    ("TargetGroupAssociationLimit", QUOTA, "listeners"),
    ("TooManyListeners", QUOTA, "listeners"),
    ("TooManyCertificates", QUOTA, "listeners"),
    ("TooManyTargets", QUOTA, "backends"),
    ("TooManyRegistrationsForTargetId", QUOTA, "backends"),
    ("TooManyTags", QUOTA, "labels"),
    // Auto Scaling.
    ("AlreadyExists", TAKEN, ""),
    ("LimitExceeded", QUOTA, ""),
    ("ResourceContention", BUSY, ""),
    ("ScalingActivityInProgress", BUSY, ""),
    ("InstanceRefreshInProgress", BUSY, ""),
    ("ActiveInstanceRefreshNotFound", STATE, ""),
    // "The service-linked role is not yet ready for use."
    ("ServiceLinkedRoleFailure", later(ErrorKind::Unavailable, Reason::CloudUnavailable, 5), ""),
    ("InvalidLaunchTemplateName.AlreadyExistsException", TAKEN, ""),
    ("InvalidLaunchTemplateName.MalformedException", DEFECT, ""),
    ("InvalidLaunchTemplateName.NotFoundException", REFERENCE, ""),
    ("InvalidLaunchTemplateId.Malformed", FIELD, ""),
    ("InvalidLaunchTemplateId.NotFound", REFERENCE, ""),
    ("InvalidLaunchTemplateId.VersionNotFound", REFERENCE, ""),
    ("HealthUnavailable", later(ErrorKind::Unavailable, Reason::CloudUnavailable, 2), ""),
    // Quotas.
    ("NoSuchResourceException", REFERENCE, ""),
    ("IllegalArgumentException", FIELD, ""),
    ("InvalidPaginationTokenException", TOKEN, "page_token"),
    ("TooManyRequestsException", THROTTLED, ""),
    ("ServiceException", DOWN, ""),
    // Lists.
    ("FilterLimitExceeded", DEFECT, ""),
    ("InvalidFilter", DEFECT, ""),
    ("InvalidMaxResults", DEFECT, ""),
    ("InvalidID", FIELD, ""),
    ("InvalidInput", FIELD, ""),
    ("InvalidRequest", FIELD, ""),
    ("InvalidRegion", refused(ErrorKind::InvalidArgument, Reason::LocationUnknown), "parent"),
    ("MissingInput", FIELD, ""),
    ("NoSuchVersion", DEFECT, ""),
    ("RetryableError", later(ErrorKind::Unavailable, Reason::CloudUnavailable, 2), ""),
    // Server errors. Those that name a shortage or the rate of calls are refusals.
    ("BandwidthLimitExceeded", later(ErrorKind::ResourceExhausted, Reason::Throttled, 5), ""),
    ("InsufficientAddressCapacity", CAPACITY, ""),
    ("InsufficientCapacity", CAPACITY, ""),
    ("InsufficientInstanceCapacity", CAPACITY, ""),
    ("InsufficientHostCapacity", CAPACITY, ""),
    ("InsufficientReservedInstanceCapacity", CAPACITY, ""),
    ("InsufficientReservedInstancesCapacity", CAPACITY, ""),
    ("InsufficientVolumeCapacity", CAPACITY, "root_disk.disk_type"),
    ("RequestLimitExceeded", THROTTLED, ""),
    ("Throttling", THROTTLED, ""),
    ("ThrottlingException", THROTTLED, ""),
    ("RequestThrottled", THROTTLED, ""),
    ("InternalError", DOWN, ""),
    ("InternalFailure", DOWN, ""),
    ("ServerInternal", DOWN, ""),
    ("ServiceUnavailable", DOWN, ""),
    ("Unavailable", DOWN, ""),
];

/// How AWS names most of its other codes: where, what, meaning. The first that fits counts.
static FAMILIES: &[(Place, &str, Meaning)] = &[
    (Place::End, "NotFound", REFERENCE),
    (Place::End, "NotFoundException", REFERENCE),
    (Place::End, ".Unknown", REFERENCE),
    (Place::End, "Malformed", FIELD),
    (Place::End, "MalformedException", FIELD),
    (Place::End, "LimitExceeded", QUOTA),
    (Place::End, "LimitExceededException", QUOTA),
    (Place::End, "CountExceeded", QUOTA),
    (Place::End, "CapacityExceeded", CAPACITY),
    (Place::End, "InUse", IN_USE),
    (Place::End, "InUseException", IN_USE),
    (Place::End, ".Duplicate", TAKEN),
    (Place::End, "AlreadyExists", TAKEN),
    (Place::End, "AlreadyExistsException", TAKEN),
    (Place::End, "NotSupported", UNSUPPORTED),
    (Place::Start, "Unsupported", UNSUPPORTED),
    (Place::Start, "Insufficient", CAPACITY),
    (Place::Start, "Incorrect", STATE),
    (Place::End, "InProgress", BUSY),
    (Place::End, "State", STATE),
    (Place::Start, "Throttl", THROTTLED),
    (Place::Start, "Invalid", FIELD),
    (Place::Start, "Missing", FIELD),
    (Place::Start, "Unknown", FIELD),
];
#[derive(Debug, Clone, Copy)]
enum Place {
    Start,
    End,
}

/// Some codes say only in their text what they are about: code, a part of the text in lower case, meaning, our field.
pub(super) static TEXTS: &[(&str, &str, Meaning, &str)] = &[
    ("AuthFailure", "images", IMAGE, "image"),
    ("AuthFailure", "does not belong to you", REFERENCE, ""),
    ("OperationNotPermitted", "disableapitermination", STATE, "deletion_protection"),
    ("Unsupported", "availability zone", MACHINE, "machine_type"),
    ("InvalidParameterValue", "instancetype", MACHINE, "machine_type"),
    ("InvalidParameterValue", "instance type", MACHINE, "machine_type"),
    ("InvalidParameterValue", "availability zone", FIELD, "zone"),
    ("InvalidParameterValue", "availabilityzone", FIELD, "zone"),
    ("InvalidParameterValue", "instance profile", REFERENCE, "identity"),
    ("InvalidParameterValue", "instanceprofile", REFERENCE, "identity"),
    ("InvalidParameterValue", "device", IN_USE, ""),
    ("InvalidParameterCombination", "instance type", MACHINE, "machine_type"),
    ("UnsupportedOperation", "instance type", UNSUPPORTED, "machine_type"),
    // "Not enough IP space available in subnet-1. ELB requires at least 8 free IP addresses in each subnet."
    // (https://github.com/kubernetes-sigs/aws-load-balancer-controller/pull/1233)
    ("InvalidSubnet", "not enough ip space", QUOTA, "subnet"),
];

/// What a code says, and which field of an instance it is about.
pub(super) fn meaning(code: &str, text: &str, status: u16) -> (Meaning, &'static str) {
    let lower = text.to_ascii_lowercase();
    if let Some((.., m, field)) = TEXTS.iter().find(|(c, part, ..)| *c == code && lower.contains(part)) {
        return (*m, field);
    }
    if let Some((_, m, field)) = CODES.iter().find(|(c, ..)| *c == code) {
        return (*m, field);
    }
    let fits = |(place, part, _): &&(Place, &str, Meaning)| match place {
        Place::Start => code.starts_with(part),
        Place::End => code.ends_with(part),
    };
    let by_status = if status >= 500 { DOWN } else { REFUSED };
    (FAMILIES.iter().find(fits).map_or(by_status, |(.., m)| *m), "")
}
