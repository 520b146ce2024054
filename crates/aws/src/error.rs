//! What AWS's errors mean: a table, then families of codes, then the status.
//!
//! Codes and their meanings are those of <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>. That something does not
//! exist is `ReferenceNotFound` here; only a reader that asked for this very object makes it `NotFound`.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::{error::ProvideErrorMetadata, operation::RequestId};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use std::{error::Error as StdError, io, time::Duration};
use welkin_core::{Effect, Error, ErrorKind, Reason, Retry, VendorError, Violation};

/// What a code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meaning {
    kind: ErrorKind,
    reason: Reason,
    retry: Retry,
    /// Of a write; a read has none.
    effect: Effect,
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
/// The server failed: whether it acted before it failed is not known.
const DOWN: Meaning = Meaning { kind: ErrorKind::Unavailable, reason: Reason::CloudUnavailable, retry: Retry::After(Duration::from_secs(2)), effect: Effect::Unknown };
/// The thing was made and is no more.
const ENDED: Meaning = Meaning { kind: ErrorKind::FailedPrecondition, reason: Reason::CreationFailed, retry: Retry::Never, effect: Effect::Applied };

/// Code, meaning, and the field of ours that it is about.
static CODES: &[(&str, Meaning, &str)] = &[
    // Common client errors.
    ("AuthFailure", CREDENTIALS, ""),
    ("Blocked", ACCOUNT, ""),
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
    ("ExpiredTokenException", CREDENTIALS, ""),
    ("InvalidAccessKeyId", CREDENTIALS, ""),
    ("InvalidIdentityToken", CREDENTIALS, ""),
    ("InvalidSecurity.RequestHasExpired", CREDENTIALS, ""),
    ("SignatureDoesNotMatch", CREDENTIALS, ""),
    ("UnrecognizedClientException", CREDENTIALS, ""),
    ("DeclarativePoliciesAccessDeniedException", PERMISSION, ""),
    ("UnknownPrincipalType.Unsupported", PERMISSION, ""),
    ("AccountDisabled", ACCOUNT, ""),
    // Networks, subnets, gateways, routes.
    ("DependencyViolation", IN_USE, ""),
    ("CannotDelete", IN_USE, ""),
    ("Gateway.NotAttached", STATE, ""),
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
    ("InvalidRoute.InvalidState", STATE, ""),
    ("RouteAlreadyExists", TAKEN, ""),
    ("Resource.AlreadyAssociated", IN_USE, ""),
    ("Resource.AlreadyAssigned", IN_USE, "private_ips"),
    ("LegacySecurityGroup", STATE, ""),
    ("VPCIdNotSpecified", FIELD, "network"),
    ("VPCResourceNotSpecified", FIELD, "subnet"),
    ("VpcLimitExceeded", QUOTA, ""),
    ("SubnetLimitExceeded", QUOTA, ""),
    ("InternetGatewayLimitExceeded", QUOTA, "internet_access"),
    ("RouteLimitExceeded", QUOTA, "internet_access"),
    ("ResourceCountLimitExceeded", QUOTA, "internet_access"),
    ("RouteTableLimitExceeded", QUOTA, ""),
    // Instances, images, disks, keys, interfaces.
    ("BootForVolumeTypeUnsupported", FIELD, "root_disk.disk_type"),
    ("UnknownVolumeType", FIELD, "root_disk.disk_type"),
    ("VolumeTypeNotAvailableInZone", FIELD, "root_disk.disk_type"),
    ("EncryptedVolumesNotSupported", UNSUPPORTED, "root_disk.encrypted"),
    ("CustomerKeyHasBeenRevoked", REFUSED, "root_disk.encrypted"),
    ("InvalidBlockDeviceMapping", FIELD, "root_disk"),
    ("InvalidVolume.NotFound", REFERENCE, ""),
    ("VolumeInUse", IN_USE, ""),
    ("VolumeIOPSLimit", QUOTA, "root_disk"),
    ("VolumeLimitExceeded", QUOTA, "root_disk"),
    ("MaxIOPSLimitExceeded", QUOTA, "root_disk"),
    ("IdempotentInstanceTerminated", ENDED, ""),
    ("InvalidClientToken", DEFECT, ""),
    ("IncorrectInstanceState", STATE, ""),
    ("InvalidInstanceState", STATE, ""),
    ("IncorrectState", STATE, ""),
    ("InvalidState", STATE, ""),
    ("OperationNotPermitted", REFUSED, ""),
    ("InstanceLimitExceeded", QUOTA, ""),
    ("VcpuLimitExceeded", QUOTA, "machine_type"),
    ("ResourceCountExceeded", QUOTA, ""),
    ("ResourceLimitExceeded", QUOTA, ""),
    ("AttachmentLimitExceeded", QUOTA, ""),
    ("NetworkInterfaceLimitExceeded", QUOTA, ""),
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
    ("InvalidInstanceAttributeValue", FIELD, "machine_type"),
    ("Unsupported", UNSUPPORTED, "machine_type"),
    ("InvalidInstanceID.NotFound", REFERENCE, ""),
    ("InvalidInstanceID", FIELD, ""),
    ("InvalidIamInstanceProfileArn.Malformed", FIELD, "identity"),
    ("InvalidKey.Format", FIELD, "ssh_key"),
    ("InvalidKeyPair.Format", FIELD, "ssh_key"),
    ("InvalidKeyPair.Duplicate", TAKEN, "ssh_key"),
    ("InvalidKeyPair.NotFound", REFERENCE, "provider_config"),
    ("InvalidUserData.Malformed", FIELD, "user_data"),
    ("InvalidTagKey.Malformed", FIELD, "labels"),
    ("InvalidGroup.NotFound", REFERENCE, ""),
    ("InvalidSecurityGroupID.NotFound", REFERENCE, ""),
    ("InvalidGroup.Duplicate", TAKEN, ""),
    ("InvalidGroup.InUse", IN_USE, ""),
    ("InvalidGroup.Reserved", FIELD, ""),
    ("InvalidGroupId.Malformed", FIELD, ""),
    ("InvalidPermission.Duplicate", STATE, "rules"),
    ("InvalidPermission.Malformed", FIELD, "rules"),
    ("InvalidPermission.NotFound", STATE, "rules"),
    ("InvalidSecurityGroupRuleId.NotFound", STATE, "rules"),
    ("RulesPerSecurityGroupLimitExceeded", QUOTA, "rules"),
    ("SecurityGroupLimitExceeded", QUOTA, ""),
    ("InvalidNetworkInterfaceID.NotFound", REFERENCE, ""),
    ("NonEBSInstance", UNSUPPORTED, "image"),
    ("UnsupportedTenancy", UNSUPPORTED, ""),
    ("ZonesMismatched", FIELD, "zone"),
    ("InsufficientCapacityOnHost", CAPACITY, ""),
    ("IncompatibleHostRequirements", CAPACITY, ""),
    ("UnavailableHostRequirements", CAPACITY, ""),
    ("UnfulfillableCapacity", CAPACITY, ""),
    ("ReservationCapacityExceeded", CAPACITY, ""),
    ("ConcurrentTagAccess", BUSY, ""),
    ("CreditSpecificationUpdateInProgress", BUSY, ""),
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
    ("InsufficientVolumeCapacity", CAPACITY, "root_disk"),
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
static TEXTS: &[(&str, &str, Meaning, &str)] = &[
    ("AuthFailure", "images", IMAGE, "image"),
    ("InvalidParameterValue", "instancetype", MACHINE, "machine_type"),
    ("InvalidParameterValue", "instance type", MACHINE, "machine_type"),
    ("InvalidParameterValue", "availability zone", FIELD, "zone"),
    ("InvalidParameterValue", "availabilityzone", FIELD, "zone"),
    ("InvalidParameterValue", "instance profile", REFERENCE, "identity"),
    ("InvalidParameterValue", "instanceprofile", REFERENCE, "identity"),
    ("InvalidParameterValue", "cidr", FIELD, "cidrs"),
    ("InvalidParameterValue", "address", FIELD, "private_ips"),
    ("InvalidParameterValue", "volume type", FIELD, "root_disk.disk_type"),
    ("InvalidParameterValue", "volume", FIELD, "root_disk"),
    ("InvalidParameterCombination", "instance type", MACHINE, "machine_type"),
    ("UnsupportedOperation", "instance type", UNSUPPORTED, "machine_type"),
];

fn meaning(code: &str, text: &str, status: u16) -> (Meaning, &'static str) {
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

/// An error that AWS answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusal<'a> {
    pub(crate) action: &'a str,
    pub(crate) write: bool,
    pub(crate) status: u16,
    pub(crate) code: &'a str,
    pub(crate) text: &'a str,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) retry_after: Option<Duration>,
}
impl Refusal<'_> {
    pub(crate) fn error(&self) -> Error {
        let (meaning, field) = meaning(self.code, self.text, self.status);
        let text = plain(self.text);
        let message = match meaning.reason {
            Reason::CloudPermission => format!("the credentials lack the permission {}: {text}", permission(text, self.action)),
            Reason::CloudCredentials => format!("AWS refuses the credentials: {text}"),
            Reason::Throttled => format!("AWS throttles {}: {text}", self.action),
            _ if text.is_empty() => format!("AWS answers {} to {}", self.code, self.action),
            _ => text.to_owned(),
        };
        let retry = match (meaning.retry, self.retry_after) {
            (Retry::After(_), Some(longer)) => Retry::After(longer),
            (retry, _) => retry,
        };
        let vendor = VendorError { code: self.code.into(), message: text.into(), request_id: self.request_id.map(Into::into) };
        let effect = if self.write { meaning.effect } else { Effect::None };
        let error = Error::new(meaning.kind, meaning.reason, message).with_retry(retry).with_effect(effect).with_vendor(vendor);
        if field.is_empty() { error } else { error.with_field(field) }
    }
}

/// Without the encoded blob that AWS appends where a permission is missing: it is long, and only the account's owner can read it.
fn plain(text: &str) -> &str {
    text.split("Encoded authorization failure message").next().unwrap_or(text).trim()
}
/// The permission that AWS names, else the action that it refused.
fn permission(text: &str, action: &str) -> String {
    let named = text.split("perform: ").nth(1).and_then(|rest| rest.split_whitespace().next());
    named.map_or_else(|| format!("ec2:{action}"), |n| n.trim_end_matches(['.', ',']).to_owned())
}

/// What the SDK's failure of `action` means.
pub(crate) fn of_sdk<E>(action: &'static str, write: bool, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    if let SdkError::ServiceError(refusal) = &error {
        let raw = refusal.raw();
        let retry_after = raw.headers().get("retry-after").and_then(|v| v.parse().ok()).map(Duration::from_secs);
        let meta = refusal.err().meta();
        let code = meta.code().unwrap_or_default();
        let text = meta.message().unwrap_or_default();
        return Refusal { action, write, status: raw.status().as_u16(), code, text, request_id: meta.request_id(), retry_after }.error();
    }
    let unknown = if write { Effect::Unknown } else { Effect::None };
    if let Some(why) = cause::<CredentialsError>(&error) {
        return no_credentials(why, &chain(&error)).with_source(error);
    }
    let soon = Retry::After(Duration::from_secs(1));
    let (kind, reason, retry, effect, what) = match &error {
        SdkError::ConstructionFailure(_) => (ErrorKind::Internal, Reason::Internal, Retry::Never, Effect::None, "the request could not be built"),
        SdkError::TimeoutError(_) => (ErrorKind::DeadlineExceeded, Reason::CloudTimeout, soon, unknown, "AWS did not answer in time"),
        SdkError::DispatchFailure(f) if f.is_timeout() => (ErrorKind::DeadlineExceeded, Reason::CloudTimeout, soon, unknown, "AWS did not answer in time"),
        // Nobody listened, so nothing left.
        SdkError::DispatchFailure(_) if was_refused(&error) => (ErrorKind::Unavailable, Reason::CloudUnavailable, soon, Effect::None, "AWS cannot be reached"),
        SdkError::DispatchFailure(_) => (ErrorKind::Unavailable, Reason::CloudUnavailable, soon, unknown, "AWS cannot be reached, or the connection broke"),
        SdkError::ResponseError(r) if r.raw().status().as_u16() >= 500 => (ErrorKind::Unavailable, Reason::CloudUnavailable, soon, unknown, "AWS answers with a server error"),
        _ => (ErrorKind::Unavailable, Reason::CloudAnswer, soon, unknown, "AWS's answer cannot be read"),
    };
    Error::new(kind, reason, format!("{action}: {what}: {}", chain(&error))).with_retry(retry).with_effect(effect).with_source(error)
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e| {
        let e: &'a (dyn StdError + 'static) = *e;
        e.source()
    })
}
fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    causes(error).find_map(|e| e.downcast_ref())
}
/// The call never left. Only what the caller must mend lasts; the others are a time-out or a failure on the way to where credentials come from.
fn no_credentials(why: &CredentialsError, text: &str) -> Error {
    match why {
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
            Error::new(ErrorKind::FailedPrecondition, Reason::CloudCredentials, format!("there are no usable credentials for AWS: {text}"))
        }
        _ => Error::new(ErrorKind::Unavailable, Reason::CloudUnavailable, format!("the credentials for AWS cannot be fetched: {text}"))
            .with_retry(Retry::After(Duration::from_secs(1))),
    }
}
fn was_refused(error: &(dyn StdError + 'static)) -> bool {
    causes(error).filter_map(|e| e.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}
/// Every cause's text below the SDK's own, once.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut texts: Vec<String> = causes(error).skip(1).map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

/// Did AWS answer with one of these codes?
pub(crate) fn is(error: &Error, codes: &[&str]) -> bool {
    error.vendor().is_some_and(|v| codes.contains(&v.code.as_str()))
}

/// An instance that EC2 made and let fail, by its `StateReason` (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html>):
/// the code is one of the error codes behind `Client.` or `Server.`.
pub(crate) fn creation_failed(code: &str, text: &str) -> Error {
    let bare = code.strip_prefix("Client.").or_else(|| code.strip_prefix("Server.")).unwrap_or(code);
    let (meaning, field) = meaning(bare, "", 0);
    let (kind, reason) = match meaning.reason {
        Reason::QuotaExceeded | Reason::Capacity => (meaning.kind, meaning.reason),
        _ => (ErrorKind::FailedPrecondition, Reason::CreationFailed),
    };
    let message = if text.is_empty() { format!("EC2 ended the instance at once: {code}") } else { format!("EC2 ended the instance at once: {text}") };
    let error = Error::new(kind, reason, &message).with_effect(Effect::Applied).with_vendor(VendorError { code: code.into(), message: text.into(), request_id: None });
    if field.is_empty() || reason == Reason::CreationFailed { error } else { error.with_violations(vec![Violation::new(field, message)]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: &str, text: &str, status: u16, write: bool) -> Error {
        Refusal { action: "RunInstances", write, status, code, text, request_id: Some("req-1"), retry_after: None }.error()
    }
    #[test]
    fn every_row_is_what_it_says() {
        for (code, m, field) in CODES {
            let e = said(code, "no particular text", 400, true);
            assert_eq!((e.kind(), e.reason(), e.retry(), e.effect()), (m.kind, m.reason, m.retry, m.effect), "{code}");
            assert_eq!(e.vendor().map(|v| (v.code.as_str(), v.request_id.as_deref())), Some((*code, Some("req-1"))));
            let fields: Vec<&str> = e.violations().iter().map(|v| v.field.as_str()).collect();
            assert_eq!(fields, if field.is_empty() { vec![] } else { vec![*field] }, "{code}");
            assert_eq!(said(code, "", 400, false).effect(), Effect::None, "{code}: a read has no effect");
            assert_ne!(e.kind(), ErrorKind::NotFound, "{code}: only a reader may say that something is not there");
        }
    }
    #[test]
    fn no_code_is_there_twice() {
        let mut codes: Vec<_> = CODES.iter().map(|(c, ..)| c).collect();
        codes.sort_unstable();
        let all = codes.len();
        codes.dedup();
        assert_eq!(all, codes.len());
    }
    /// The expectations that other parts rely on, written out.
    #[test]
    fn known_codes() {
        use ErrorKind as K;
        for (code, text, status, kind, reason, effect) in [
            ("RequestLimitExceeded", "", 503, K::ResourceExhausted, Reason::Throttled, Effect::None),
            ("InsufficientInstanceCapacity", "", 500, K::Unavailable, Reason::Capacity, Effect::None),
            ("InternalError", "", 500, K::Unavailable, Reason::CloudUnavailable, Effect::Unknown),
            ("SomethingNew", "", 503, K::Unavailable, Reason::CloudUnavailable, Effect::Unknown),
            ("SomethingNew", "", 400, K::FailedPrecondition, Reason::CloudRefused, Effect::None),
            ("VpcLimitExceeded", "", 400, K::ResourceExhausted, Reason::QuotaExceeded, Effect::None),
            ("NatGatewayLimitExceeded", "", 400, K::ResourceExhausted, Reason::QuotaExceeded, Effect::None),
            ("DependencyViolation", "", 400, K::FailedPrecondition, Reason::InUse, Effect::None),
            ("UnauthorizedOperation", "", 403, K::FailedPrecondition, Reason::CloudPermission, Effect::None),
            ("AuthFailure", "", 401, K::FailedPrecondition, Reason::CloudCredentials, Effect::None),
            ("AuthFailure", "Not authorized for images: [ami-1]", 401, K::FailedPrecondition, Reason::ImageNotFound, Effect::None),
            ("InvalidParameterValue", "Invalid value 'x' for InstanceType.", 400, K::InvalidArgument, Reason::MachineTypeNotFound, Effect::None),
            ("InvalidLaunchTemplateName.AlreadyExistsException", "", 400, K::AlreadyExists, Reason::NameTaken, Effect::None),
            ("InvalidHostID.NotFound", "", 400, K::FailedPrecondition, Reason::ReferenceNotFound, Effect::None),
            ("InvalidHostID.Malformed", "", 400, K::InvalidArgument, Reason::InvalidField, Effect::None),
            ("InvalidSnapshot.InUse", "", 400, K::FailedPrecondition, Reason::InUse, Effect::None),
            ("UnsupportedHostConfiguration", "", 400, K::InvalidArgument, Reason::CapabilityUnsupported, Effect::None),
        ] {
            let e = said(code, text, status, true);
            assert_eq!((e.kind(), e.reason(), e.effect()), (kind, reason, effect), "{code} {text}");
        }
    }
    #[test]
    fn a_missing_permission_is_named() {
        let text = "You are not authorized to perform this operation. User: arn:aws:iam::1:user/u is not authorized to perform: ec2:CreateVpc on resource: \
                    arn:aws:ec2:eu-west-1:1:vpc/* because no identity-based policy allows the ec2:CreateVpc action. Encoded authorization failure message: AbCd";
        let e = said("UnauthorizedOperation", text, 403, true);
        assert!(e.message().starts_with("the credentials lack the permission ec2:CreateVpc:"), "{e}");
        assert!(!e.message().contains("AbCd"));
        assert!(said("UnauthorizedOperation", "You are not authorized.", 403, true).message().contains("ec2:RunInstances"));
    }
    #[test]
    fn the_vendor_says_how_long_to_wait() {
        let e = Refusal { code: "RequestLimitExceeded", status: 503, retry_after: Some(Duration::from_secs(9)), ..Refusal::default() }.error();
        assert_eq!(e.retry(), Retry::After(Duration::from_secs(9)));
        let e = Refusal { code: "VpcLimitExceeded", status: 400, retry_after: Some(Duration::from_secs(9)), ..Refusal::default() }.error();
        assert_eq!(e.retry(), Retry::Never);
    }
    #[test]
    fn only_missing_credentials_last() {
        let lost = || io::Error::other("lost");
        for (why, kind, repeated) in [
            (CredentialsError::not_loaded("none"), ErrorKind::FailedPrecondition, false),
            (CredentialsError::invalid_configuration(lost()), ErrorKind::FailedPrecondition, false),
            (CredentialsError::provider_timed_out(Duration::from_secs(1)), ErrorKind::Unavailable, true),
            (CredentialsError::provider_error(lost()), ErrorKind::Unavailable, true),
            (CredentialsError::unhandled(lost()), ErrorKind::Unavailable, true),
        ] {
            let e = no_credentials(&why, &why.to_string());
            assert_eq!((e.kind(), e.retry_after().is_some(), e.effect()), (kind, repeated, Effect::None), "{why}");
        }
    }
    #[test]
    fn an_instance_that_failed() {
        for (code, reason) in [
            ("Client.VolumeLimitExceeded", Reason::QuotaExceeded),
            ("Server.InsufficientInstanceCapacity", Reason::Capacity),
            ("Server.InternalError", Reason::CreationFailed),
            ("Client.InternalError", Reason::CreationFailed),
            ("Client.InvalidSnapshot.NotFound", Reason::CreationFailed),
            ("Client.UserInitiatedShutdown", Reason::CreationFailed),
        ] {
            let e = creation_failed(code, "why");
            assert_eq!((e.reason(), e.effect(), e.retry()), (reason, Effect::Applied, Retry::Never), "{code}");
        }
    }
}
