//! Errors come back.

use crate::api::google::rpc::{ErrorInfo, Status};
use crate::convert::error::{DOMAIN, from_proto, from_status, to_proto, to_status};
use prost::Message;
use std::time::Duration;
use welkin_core::{Effect, Error, ErrorKind, Reason, Retry, VendorError, Violation};

const KINDS: [ErrorKind; 16] = [
    ErrorKind::Cancelled,
    ErrorKind::Unknown,
    ErrorKind::InvalidArgument,
    ErrorKind::DeadlineExceeded,
    ErrorKind::NotFound,
    ErrorKind::AlreadyExists,
    ErrorKind::PermissionDenied,
    ErrorKind::ResourceExhausted,
    ErrorKind::FailedPrecondition,
    ErrorKind::Aborted,
    ErrorKind::OutOfRange,
    ErrorKind::Unimplemented,
    ErrorKind::Internal,
    ErrorKind::Unavailable,
    ErrorKind::DataLoss,
    ErrorKind::Unauthenticated,
];
const RETRIES: [Retry; 3] = [Retry::Never, Retry::After(Duration::from_millis(1500)), Retry::Exhausted];
const EFFECTS: [Effect; 3] = [Effect::None, Effect::Unknown, Effect::Applied];

fn full(kind: ErrorKind, reason: Reason, retry: Retry, effect: Effect) -> Error {
    Error::new(kind, reason, "what happened, and what to do")
        .with_retry(retry)
        .with_effect(effect)
        .with_resource("locations/r/instances/web")
        .with_operation("ec2:RunInstances")
        .with_vendor(VendorError { code: "Boom".into(), message: "the vendor's words".into(), request_id: Some("r-1".into()) })
        .with_violations(vec![Violation::new("cidrs[1]", "too wide"), Violation::new("zone", "unknown")])
}

#[test]
fn every_error_comes_back() {
    for kind in KINDS {
        for reason in Reason::ALL {
            for retry in RETRIES {
                for effect in EFFECTS {
                    let e = full(kind, *reason, retry, effect);
                    assert_eq!(from_proto(&to_proto(&e, Some("prod"))), e);
                    let status = to_status(&e, Some("prod"));
                    assert_eq!(status.code() as i32, to_proto(&e, None).code);
                    assert_eq!(from_status(&status), e);
                    let bare = Error::new(kind, *reason, "bare").with_retry(retry).with_effect(effect);
                    assert_eq!(from_status(&to_status(&bare, None)), bare);
                }
            }
        }
    }
}
#[test]
fn a_class_is_a_code() {
    let codes: std::collections::BTreeSet<i32> = KINDS.iter().map(|k| to_proto(&Error::new(*k, Reason::Internal, ""), None).code).collect();
    assert_eq!(codes, (1..=16).collect());
}
#[test]
fn the_details_are_those_of_aip_193() {
    let e = full(ErrorKind::FailedPrecondition, Reason::InUse, Retry::After(Duration::from_secs(1)), Effect::None);
    let proto = to_proto(&e, Some("prod"));
    let types: Vec<&str> = proto.details.iter().map(|d| d.type_url.as_str()).collect();
    let expected = ["ErrorInfo", "RetryInfo", "BadRequest", "PreconditionFailure", "ResourceInfo"].map(|t| format!("type.googleapis.com/google.rpc.{t}"));
    assert_eq!(types, expected);
    let info = ErrorInfo::decode(proto.details[0].value.as_slice()).unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("IN_USE", DOMAIN));
    let metadata: Vec<(&str, &str)> = info.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let expected =
        [("cloud", "prod"), ("effect", "NONE"), ("operation", "ec2:RunInstances"), ("vendor_code", "Boom"), ("vendor_message", "the vendor's words"), ("vendor_request_id", "r-1")];
    assert_eq!(metadata, expected);
    let quota = to_proto(&full(ErrorKind::ResourceExhausted, Reason::QuotaExceeded, Retry::Never, Effect::None), Some("prod"));
    assert!(quota.details.iter().any(|d| d.type_url.ends_with("QuotaFailure")));
}
#[test]
fn a_status_fits_the_headers_of_every_client() {
    let many = (0..500).map(|i| Violation::new(format!("cidrs[{i}]"), "ä".repeat(700))).collect();
    let e = Error::violated(Reason::InvalidField, many).with_vendor(VendorError { code: "C".into(), message: "x".repeat(9000), request_id: None });
    let status = to_status(&e, Some("prod"));
    // The details are encoded in base64, the message in percent escapes.
    let size = status.details().len() * 4 / 3 + status.message().len() * 3 / 2 * 3 / 2;
    assert!(size < 8 * 1024, "{size}");
    let back = from_status(&status);
    assert!(back.violations().len() >= 2 && back.violations().last().unwrap().description.starts_with("and "), "{:?}", back.violations());
}
#[test]
fn what_others_send_keeps_its_class() {
    let e = from_proto(&Status { code: 14, message: "connection refused".into(), details: Vec::new() });
    assert_eq!((e.kind(), e.reason(), e.message()), (ErrorKind::Unavailable, Reason::CloudUnavailable, "connection refused"));
    let e = from_proto(&Status { code: 99, message: String::new(), details: Vec::new() });
    assert_eq!(e.kind(), ErrorKind::Unknown);
}
