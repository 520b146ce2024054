//! Errors of the core as `google.rpc.Status` with details, and back (google.aip.dev/193).

use super::{core_duration, full_name, pack, proto_duration, split_name};
use crate::api::google::rpc::{
    BadRequest, ErrorInfo, PreconditionFailure, QuotaFailure, ResourceInfo, RetryInfo, Status, bad_request::FieldViolation, precondition_failure, quota_failure,
};
use prost::{Message, Name};
use std::time::Duration;
use tonic::Code;
use welkin_core::{Effect, Error, ErrorKind, Reason, Result, Retry, VendorError, Violation};

/// The domain of every reason (`google.rpc.ErrorInfo`).
pub const DOMAIN: &str = "welkin.dev";

/// A status travels in HTTP/2 headers, of which gRPC's C core takes 8 KiB by default
/// (<https://grpc.github.io/grpc/core/group__grpc__arg__keys.html>, GRPC_ARG_MAX_METADATA_SIZE), and its details twice encoded.
const MAX_TEXT: usize = 1024;
/// So many bytes of violations fit beside the text.
const MAX_VIOLATIONS: usize = 2048;

/// One row for each kind.
const CODES: &[(ErrorKind, Code)] = &[
    (ErrorKind::Cancelled, Code::Cancelled),
    (ErrorKind::Unknown, Code::Unknown),
    (ErrorKind::InvalidArgument, Code::InvalidArgument),
    (ErrorKind::DeadlineExceeded, Code::DeadlineExceeded),
    (ErrorKind::NotFound, Code::NotFound),
    (ErrorKind::AlreadyExists, Code::AlreadyExists),
    (ErrorKind::PermissionDenied, Code::PermissionDenied),
    (ErrorKind::ResourceExhausted, Code::ResourceExhausted),
    (ErrorKind::FailedPrecondition, Code::FailedPrecondition),
    (ErrorKind::Aborted, Code::Aborted),
    (ErrorKind::OutOfRange, Code::OutOfRange),
    (ErrorKind::Unimplemented, Code::Unimplemented),
    (ErrorKind::Internal, Code::Internal),
    (ErrorKind::Unavailable, Code::Unavailable),
    (ErrorKind::DataLoss, Code::DataLoss),
    (ErrorKind::Unauthenticated, Code::Unauthenticated),
];
const EFFECTS: &[(Effect, &str)] = &[(Effect::None, "NONE"), (Effect::Unknown, "UNKNOWN"), (Effect::Applied, "APPLIED")];

fn code(kind: ErrorKind) -> Code {
    CODES.iter().find(|(k, _)| *k == kind).map_or(Code::Unknown, |(_, c)| *c)
}
fn kind(code: Code) -> ErrorKind {
    CODES.iter().find(|(_, c)| *c == code).map_or(ErrorKind::Unknown, |(k, _)| *k)
}

/// The text, cut where it is too long for a header.
fn bounded(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let mut end = MAX_TEXT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", &text[..end])
}

/// An error's wire form. `cloud` is where it happened, if in one.
#[must_use]
pub fn to_proto(error: &Error, cloud: Option<&str>) -> Status {
    let resource = error.resource().map(|r| match cloud {
        Some(cloud) if !r.starts_with("clouds/") => full_name(cloud, &r),
        _ => r.to_owned(),
    });
    let mut details = vec![pack(&info(error, cloud))];
    if let Some(wait) = error.retry_after() {
        details.push(pack(&RetryInfo { retry_delay: Some(proto_duration(wait)) }));
    }
    if !error.violations().is_empty() {
        details.push(pack(&BadRequest { field_violations: violations(error.violations()) }));
    }
    let subject = || resource.clone().or_else(|| cloud.map(|c| format!("clouds/{c}"))).unwrap_or_default();
    if error.kind() == ErrorKind::FailedPrecondition {
        let violation = precondition_failure::Violation { r#type: error.reason().to_string(), subject: subject(), description: String::new() };
        details.push(pack(&PreconditionFailure { violations: vec![violation] }));
    }
    if error.reason() == Reason::QuotaExceeded {
        let violation = quota_failure::Violation { subject: subject(), description: bounded(error.message()) };
        details.push(pack(&QuotaFailure { violations: vec![violation] }));
    }
    if let Some(name) = resource {
        let kind = name.rsplit('/').nth(1).unwrap_or_default().to_owned();
        details.push(pack(&ResourceInfo { resource_type: kind, resource_name: name, ..Default::default() }));
    }
    Status { code: code(error.kind()) as i32, message: bounded(error.message()), details }
}

fn info(error: &Error, cloud: Option<&str>) -> ErrorInfo {
    let mut info = ErrorInfo { reason: error.reason().to_string(), domain: DOMAIN.into(), ..Default::default() };
    let mut put = |key: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            info.metadata.insert(key.to_owned(), bounded(value));
        }
    };
    put("cloud", cloud);
    put("effect", EFFECTS.iter().find(|(e, _)| *e == error.effect()).map(|(_, text)| *text));
    put("retry", (error.retry() == Retry::Exhausted).then_some("EXHAUSTED"));
    put("operation", error.operation());
    if let Some(vendor) = error.vendor() {
        put("vendor_code", Some(&vendor.code));
        // Most often it is the error's own text already.
        put("vendor_message", (vendor.message != error.message()).then_some(vendor.message.as_str()));
        put("vendor_request_id", vendor.request_id.as_deref());
    }
    info
}

fn violations(all: &[Violation]) -> Vec<FieldViolation> {
    let mut room = MAX_VIOLATIONS;
    let mut out = Vec::new();
    for (i, v) in all.iter().enumerate() {
        let description = bounded(&v.description);
        let size = v.field.len() + description.len();
        if size > room {
            out.push(FieldViolation { description: format!("and {} more", all.len() - i), ..Default::default() });
            break;
        }
        room -= size;
        out.push(FieldViolation { field: v.field.clone(), description });
    }
    out
}

/// The error of a wire form. What another server, a proxy or the transport has sent keeps its class and its text.
#[must_use]
pub fn from_proto(status: &Status) -> Error {
    let kind = kind(Code::from_i32(status.code));
    let info: Option<ErrorInfo> = detail(status).filter(|i: &ErrorInfo| i.domain == DOMAIN);
    let reason = info.as_ref().and_then(|i| i.reason.parse().ok()).unwrap_or_else(|| fallback(kind));
    let mut error = Error::new(kind, reason, status.message.clone());
    if let Some(retry) = detail::<RetryInfo>(status) {
        error = error.with_retry(Retry::After(retry.retry_delay.as_ref().map_or(Duration::ZERO, core_duration)));
    }
    if let Some(bad) = detail::<BadRequest>(status) {
        error = error.with_violations(bad.field_violations.into_iter().map(|v| Violation::new(v.field, v.description)).collect());
    }
    if let Some(resource) = detail::<ResourceInfo>(status) {
        // The core's names begin below the cloud.
        let below = split_name(&resource.resource_name).map(|(_, below)| below.to_owned());
        error = error.with_resource(below.unwrap_or(resource.resource_name));
    }
    match info {
        Some(info) => with_info(error, info),
        None => error,
    }
}
fn with_info(mut error: Error, mut info: ErrorInfo) -> Error {
    if let Some((effect, _)) = EFFECTS.iter().find(|(_, text)| info.metadata.get("effect").is_some_and(|e| e == text)) {
        error = error.with_effect(*effect);
    }
    if info.metadata.get("retry").is_some_and(|r| r == "EXHAUSTED") {
        error = error.with_retry(Retry::Exhausted);
    }
    if let Some(operation) = info.metadata.remove("operation") {
        error = error.with_operation(operation);
    }
    if let Some(code) = info.metadata.remove("vendor_code") {
        let message = info.metadata.remove("vendor_message").unwrap_or_else(|| error.message().to_owned());
        error = error.with_vendor(VendorError { code, message, request_id: info.metadata.remove("vendor_request_id") });
    }
    error
}

/// What a class most likely means where no reason came with it.
fn fallback(kind: ErrorKind) -> Reason {
    match kind {
        ErrorKind::InvalidArgument => Reason::InvalidField,
        ErrorKind::DeadlineExceeded => Reason::Deadline,
        ErrorKind::Unavailable => Reason::CloudUnavailable,
        ErrorKind::Unimplemented => Reason::VerbUnsupported,
        ErrorKind::Cancelled => Reason::OperationCancelled,
        ErrorKind::ResourceExhausted => Reason::Throttled,
        ErrorKind::Internal => Reason::Internal,
        _ => Reason::CloudRefused,
    }
}

fn detail<M: Message + Name + Default>(status: &Status) -> Option<M> {
    let name = M::full_name();
    status.details.iter().find(|a| a.type_url.rsplit('/').next() == Some(name.as_str())).and_then(|a| M::decode(a.value.as_slice()).ok())
}

/// An error as the answer of a call.
#[must_use]
pub fn to_status(error: &Error, cloud: Option<&str>) -> tonic::Status {
    let proto = to_proto(error, cloud);
    tonic::Status::with_details(code(error.kind()), proto.message.clone(), proto.encode_to_vec().into())
}

/// The error of a call's answer.
#[must_use]
pub fn from_status(status: &tonic::Status) -> Error {
    match Status::decode(status.details()) {
        Ok(proto) if !status.details().is_empty() => from_proto(&proto),
        _ => from_proto(&Status { code: status.code() as i32, message: status.message().to_owned(), details: Vec::new() }),
    }
}

/// Adds to each error of `result` that it is about `field`.
///
/// # Errors
/// The error of `result`.
pub fn in_field<T>(result: Result<T>, field: &str) -> Result<T> {
    result.map_err(|e| if e.violations().is_empty() { e.with_field(field) } else { e })
}
