//! The vendor's codes and what they mean, row by row.

use crate::vendor::{Code, Refusal};
use std::time::Duration;
use welkin_core::{Effect, Error, ErrorKind, Reason, Retry, VendorError};

/// Is it worth repeating, and when?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Never,
    Soon,
}
/// What the code says of the effect of a write; a read never has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Did {
    Nothing,
    Perhaps,
}
struct Row {
    code: Code,
    kind: ErrorKind,
    reason: Reason,
    again: Again,
    did: Did,
    field: Option<&'static str>,
}
const fn row(code: Code, kind: ErrorKind, reason: Reason, again: Again, did: Did, field: Option<&'static str>) -> Row {
    Row { code, kind, reason, again, did, field }
}
/// The request is wrong in this field.
const fn wrong(code: Code, reason: Reason, field: &'static str) -> Row {
    row(code, ErrorKind::InvalidArgument, reason, Again::Never, Did::Nothing, Some(field))
}
/// The state of the cloud forbids it.
const fn state(code: Code, reason: Reason, field: Option<&'static str>) -> Row {
    row(code, ErrorKind::FailedPrecondition, reason, Again::Never, Did::Nothing, field)
}

const SOON: Duration = Duration::from_millis(100);

const TABLE: &[Row] = &[
    wrong(Code::AddressCount, Reason::InvalidField, "addresses"),
    state(Code::AddressAssociated, Reason::InUse, Some("instance")),
    state(Code::AddressHeld, Reason::InUse, Some("address")),
    state(Code::AddressInUse, Reason::RangeConflict, Some("private_ips")),
    state(Code::AddressNotFound, Reason::ReferenceNotFound, None),
    wrong(Code::AddressOutOfRange, Reason::InvalidField, "private_ips"),
    state(Code::AliasTargetNotFound, Reason::ReferenceNotFound, Some("alias.load_balancer")),
    state(Code::BelowMinimum, Reason::WrongState, Some("instances")),
    row(Code::ConnectionLost, ErrorKind::Unavailable, Reason::CloudUnavailable, Again::Soon, Did::Perhaps, None),
    state(Code::DeletionProtected, Reason::DeletionProtected, Some("deletion_protection")),
    state(Code::DependencyViolation, Reason::InUse, None),
    state(Code::DiskAttached, Reason::InUse, Some("instance")),
    state(Code::DiskNotFound, Reason::ReferenceNotFound, None),
    wrong(Code::DiskNumbersNotTaken, Reason::InvalidField, "disk_type"),
    wrong(Code::DiskShrinks, Reason::InvalidField, "size_gib"),
    wrong(Code::DiskTooSmall, Reason::InvalidField, "root_disk.size_gib"),
    wrong(Code::DiskTypeNotFound, Reason::InvalidField, "disk_type"),
    state(Code::GatewayAlreadyAttached, Reason::WrongState, Some("internet_access")),
    state(Code::GatewayNotFound, Reason::WrongState, Some("internet_access")),
    state(Code::GroupNotFound, Reason::ReferenceNotFound, Some("security_groups")),
    wrong(Code::GroupOfAnotherNetwork, Reason::InvalidField, "security_groups"),
    state(Code::DuplicateRule, Reason::WrongState, Some("rules")),
    row(Code::IdempotentParameterMismatch, ErrorKind::Internal, Reason::Internal, Again::Never, Did::Nothing, None),
    wrong(Code::ImageArchitecture, Reason::InvalidField, "image"),
    wrong(Code::ImageNotFound, Reason::ImageNotFound, "image"),
    state(Code::IncorrectState, Reason::WrongState, None),
    state(Code::InstanceGroupNotFound, Reason::ReferenceNotFound, None),
    state(Code::InstanceNotFound, Reason::ReferenceNotFound, None),
    wrong(Code::InstanceOfAnotherZone, Reason::InvalidField, "instance"),
    row(Code::InsufficientCapacity, ErrorKind::Unavailable, Reason::Capacity, Again::Never, Did::Nothing, Some("machine_type")),
    wrong(Code::InvalidAddressRange, Reason::InvalidField, "cidrs"),
    row(Code::InvalidNextToken, ErrorKind::InvalidArgument, Reason::InvalidPageToken, Again::Never, Did::Nothing, None),
    wrong(Code::InvalidZone, Reason::InvalidField, "zone"),
    state(Code::LastNetwork, Reason::InUse, Some("networks")),
    state(Code::ListenerExists, Reason::WrongState, Some("listeners")),
    state(Code::ListenerNotFound, Reason::WrongState, Some("listeners")),
    state(Code::LoadBalancerNotFound, Reason::ReferenceNotFound, None),
    wrong(Code::MachineTypeNotFound, Reason::MachineTypeNotFound, "machine_type"),
    row(Code::NameTaken, ErrorKind::Internal, Reason::Internal, Again::Never, Did::Nothing, None),
    state(Code::NatGatewayNotFound, Reason::ReferenceNotFound, None),
    state(Code::NetworkNotFound, Reason::ReferenceNotFound, Some("network")),
    state(Code::NotAMember, Reason::NotOwned, Some("instances")),
    state(Code::NoWayToTheInternet, Reason::WrongState, Some("routes")),
    state(Code::PeerNotFound, Reason::ReferenceNotFound, Some("rules")),
    wrong(Code::PeerOfAnotherNetwork, Reason::InvalidField, "rules"),
    wrong(Code::PrivateAddressNotFound, Reason::InvalidField, "private_ip"),
    row(Code::QuotaExceeded, ErrorKind::ResourceExhausted, Reason::QuotaExceeded, Again::Never, Did::Nothing, None),
    state(Code::RangeConflict, Reason::RangeConflict, Some("cidrs")),
    state(Code::RangeExhausted, Reason::RangeConflict, None),
    wrong(Code::RangeOutsideNetwork, Reason::InvalidField, "cidrs"),
    state(Code::RecordConflict, Reason::InUse, Some("record_set_id")),
    state(Code::RecordExists, Reason::NotOwned, Some("record_set_id")),
    row(Code::RecordMismatch, ErrorKind::Aborted, Reason::EtagMismatch, Again::Never, Did::Nothing, None),
    wrong(Code::RecordMisplaced, Reason::InvalidField, "record_set_id"),
    row(Code::RecordNotFound, ErrorKind::Aborted, Reason::EtagMismatch, Again::Never, Did::Nothing, None),
    row(Code::RefreshInProgress, ErrorKind::Aborted, Reason::WrongState, Again::Soon, Did::Nothing, None),
    state(Code::RouteExists, Reason::WrongState, Some("routes")),
    state(Code::RouteNotFound, Reason::WrongState, Some("routes")),
    state(Code::RouteTableNotFound, Reason::ReferenceNotFound, None),
    state(Code::RouteTargetNotFound, Reason::ReferenceNotFound, Some("routes")),
    wrong(Code::RouteTargetOfAnotherNetwork, Reason::InvalidField, "routes"),
    state(Code::SecurityGroupNotFound, Reason::ReferenceNotFound, None),
    row(Code::ServiceUnavailable, ErrorKind::Unavailable, Reason::CloudUnavailable, Again::Soon, Did::Nothing, None),
    row(Code::StorageFailure, ErrorKind::Unavailable, Reason::CloudUnavailable, Again::Soon, Did::Perhaps, None),
    wrong(Code::SizeOutOfRange, Reason::InvalidField, "size"),
    state(Code::SubnetAssociated, Reason::InUse, Some("subnets")),
    state(Code::SubnetNotFound, Reason::ReferenceNotFound, Some("subnet")),
    wrong(Code::SubnetOfAnotherNetwork, Reason::InvalidField, "subnets"),
    wrong(Code::SubnetsShareZone, Reason::InvalidField, "subnets"),
    wrong(Code::TargetOutsideNetwork, Reason::InvalidField, "backends"),
    state(Code::TargetPoolNotFound, Reason::ReferenceNotFound, None),
    state(Code::TemplateNotFound, Reason::ReferenceNotFound, None),
    row(Code::TooManyTargets, ErrorKind::Internal, Reason::Internal, Again::Never, Did::Nothing, None),
    row(Code::Throttling, ErrorKind::ResourceExhausted, Reason::Throttled, Again::Soon, Did::Nothing, None),
    wrong(Code::TooManyValues, Reason::InvalidField, "values"),
    row(Code::UnknownRegion, ErrorKind::InvalidArgument, Reason::LocationUnknown, Again::Never, Did::Nothing, None),
    row(Code::VersionMismatch, ErrorKind::Aborted, Reason::EtagMismatch, Again::Never, Did::Nothing, None),
    state(Code::ZoneConflict, Reason::InUse, Some("networks")),
    wrong(Code::ZoneIsPublic, Reason::InvalidField, "networks"),
    wrong(Code::ZoneMismatch, Reason::InvalidField, "zone"),
    state(Code::ZoneNetworkNotFound, Reason::ReferenceNotFound, Some("networks")),
    state(Code::ZoneNotEmpty, Reason::InUse, None),
    state(Code::ZoneNotFound, Reason::ReferenceNotFound, None),
];

/// What a refusal means to Welkin.
pub(crate) fn translated(refusal: Refusal, is_write: bool) -> Error {
    let vendor = VendorError { code: refusal.code.as_str().to_owned(), message: refusal.message.clone(), request_id: refusal.request_id };
    let Some(row) = TABLE.iter().find(|r| r.code == refusal.code) else {
        return Error::new(ErrorKind::Unknown, Reason::CloudRefused, refusal.message).with_vendor(vendor);
    };
    let retry = match (row.again, refusal.retry_after) {
        (Again::Never, _) => Retry::Never,
        (Again::Soon, after) => Retry::After(after.unwrap_or(SOON)),
    };
    let effect = if is_write && row.did == Did::Perhaps { Effect::Unknown } else { Effect::None };
    let e = Error::new(row.kind, row.reason, refusal.message).with_retry(retry).with_effect(effect).with_vendor(vendor);
    match row.field {
        Some(field) => e.with_field(field),
        None => e,
    }
}
/// What a code that the vendor has kept means to Welkin.
pub(crate) fn reason_of(code: &str) -> Reason {
    TABLE.iter().find(|row| row.code.as_str() == code).map_or(Reason::CloudRefused, |row| row.reason)
}
/// Did the vendor refuse with this code?
pub(crate) fn is(e: &Error, code: Code) -> bool {
    e.vendor().is_some_and(|v| v.code == code.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_exactly_one_row() {
        for code in Code::ALL {
            assert_eq!(TABLE.iter().filter(|r| r.code == *code).count(), 1, "{code:?}");
        }
    }
    #[test]
    fn every_row_says_what_to_do() {
        for row in TABLE {
            let e = translated(Refusal::new(row.code, "why"), true);
            assert_eq!((e.kind(), e.reason()), (row.kind, row.reason), "{:?}", row.code);
            assert_ne!(e.kind(), ErrorKind::NotFound, "no refusal means that the resource itself is gone");
            assert_eq!(e.retry_after().is_some(), row.again == Again::Soon);
            assert_eq!(e.effect() == Effect::Unknown, row.did == Did::Perhaps);
            assert_eq!(e.violations().first().map(|v| v.field.as_str()), row.field);
            assert_eq!(e.vendor().unwrap().code, row.code.as_str());
            assert_eq!(translated(Refusal::new(row.code, "why"), false).effect(), Effect::None, "a read has no effect");
        }
    }
}
