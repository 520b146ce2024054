//! What AWS's errors mean: a table, then families of codes, then the status.
//!
//! That something does not exist is `ReferenceNotFound` here; only a reader that asked for this very object makes it `NotFound`.

mod code;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::{error::ProvideErrorMetadata, operation::RequestId};
use aws_sdk_sts::operation::{assume_role::AssumeRoleError, assume_role_with_web_identity::AssumeRoleWithWebIdentityError};
use aws_smithy_runtime_api::client::{
    orchestrator::HttpResponse,
    result::{SdkError, ServiceError},
};
use code::meaning;
use std::{error::Error as StdError, io, time::Duration};
use welkin_core::{Effect, Error, ErrorKind, Reason, Retry, VendorError, Violation};

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
/// The permission that AWS names, else the action that it refused. `perform: ec2:RunInstances on resource: ..`, `perform sts:AssumeRole`,
/// `no identity-based policy allows the ec2:RunInstances action`
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>).
fn permission(text: &str, action: &str) -> String {
    let named = text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric())).find(|word| {
        let is_word = |part: &str, others: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c));
        // Nothing else that is said has one colon and a capital behind it: an ARN has five.
        word.split_once(':').is_some_and(|(service, action)| is_word(service, "-") && is_word(action, "") && action.starts_with(|c: char| c.is_ascii_uppercase()))
    });
    let service = if action.starts_with("AssumeRole") { "sts" } else { "ec2" };
    named.map_or_else(|| format!("{service}:{action}"), ToOwned::to_owned)
}

fn answered<E: ProvideErrorMetadata>(action: &str, write: bool, refusal: &ServiceError<E, HttpResponse>) -> Error {
    let raw = refusal.raw();
    let retry_after = raw.headers().get("retry-after").and_then(|v| v.parse().ok()).map(Duration::from_secs);
    let meta = refusal.err().meta();
    let code = meta.code().unwrap_or_default();
    let text = meta.message().unwrap_or_default();
    Refusal { action, write, status: raw.status().as_u16(), code, text, request_id: meta.request_id(), retry_after }.error()
}

/// What the SDK's failure of `action` means.
pub(crate) fn of_sdk<E>(action: &'static str, write: bool, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    if let SdkError::ServiceError(refusal) = &error {
        return answered(action, write, refusal);
    }
    // Of our own credentials: the call never left.
    if let Some(why) = cause::<Error>(&error) {
        return why.clone();
    }
    let unknown = if write { Effect::Unknown } else { Effect::None };
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
/// What it means that the SDK's chain has no credentials. Only what the caller must mend lasts, and what STS refuses; the others are a time-out
/// or a failure on the way to where credentials come from.
pub(crate) fn no_credentials(why: CredentialsError) -> Error {
    fn refusal<E: ProvideErrorMetadata + StdError + 'static>(why: &CredentialsError, action: &str) -> Option<Error> {
        match cause::<SdkError<E, HttpResponse>>(why)? {
            SdkError::ServiceError(refusal) => Some(not_the_role(action, answered(action, false, refusal))),
            _ => None,
        }
    }
    let refused = refusal::<AssumeRoleError>(&why, "AssumeRole").or_else(|| refusal::<AssumeRoleWithWebIdentityError>(&why, "AssumeRoleWithWebIdentity"));
    if let Some(refused) = refused {
        return refused.with_source(why);
    }
    let text = format!("{why}: {}", chain(&why));
    let text = text.trim_end_matches([' ', ':']);
    let error = match why {
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
            Error::new(ErrorKind::FailedPrecondition, Reason::CloudCredentials, format!("there are no usable credentials for AWS: {text}"))
        }
        _ => Error::new(ErrorKind::Unavailable, Reason::CloudUnavailable, format!("the credentials for AWS cannot be fetched: {text}"))
            .with_retry(Retry::After(Duration::from_secs(1))),
    };
    error.with_source(why)
}
/// What the failure of a call to STS means.
pub(crate) fn of_sts<E>(action: &'static str, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    not_the_role(action, of_sdk(action, false, error))
}
/// Whatever STS refuses for good, for the caller of EC2 it is that there are no credentials.
fn not_the_role(action: &str, refusal: Error) -> Error {
    match refusal.vendor() {
        Some(vendor) if refusal.retry() == Retry::Never && refusal.reason() != Reason::CloudCredentials => {
            let message = format!("STS refuses {action}: {}", refusal.message());
            Error::new(ErrorKind::FailedPrecondition, Reason::CloudCredentials, message).with_vendor(vendor.clone())
        }
        _ => refusal,
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
        for (code, m, field) in code::CODES {
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
        let mut codes: Vec<_> = code::CODES.iter().map(|(c, ..)| c).collect();
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
            let text = why.to_string();
            let e = no_credentials(why);
            assert_eq!((e.kind(), e.retry_after().is_some(), e.effect()), (kind, repeated, Effect::None), "{text}");
            assert!(e.message().contains(&text), "{e}");
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
