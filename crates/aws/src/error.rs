//! What AWS's errors mean: a table, then families of codes, then the status.
//!
//! That something does not exist is `ReferenceNotFound` here; only a reader that asked for this very object makes it `NotFound`.

mod code;
mod field;
mod quota;

use crate::answer::bare_refusal;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::{error::ProvideErrorMetadata, operation::RequestId};
use aws_sdk_sts::operation::{assume_role::AssumeRoleError, assume_role_with_web_identity::AssumeRoleWithWebIdentityError};
use aws_smithy_runtime_api::client::{
    orchestrator::HttpResponse,
    result::{SdkError, ServiceError},
};
use std::{error::Error as StdError, io, time::Duration};
use welkin_core::{Effect, Error, ErrorKind, Reason, Retry, VendorError, Violation};

/// The service that roles are asked of.
const STS: &str = "sts";

/// An error that AWS answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusal<'a> {
    /// As IAM calls the service: `ec2`.
    pub(crate) family: &'a str,
    pub(crate) action: &'a str,
    pub(crate) write: bool,
    pub(crate) status: u16,
    pub(crate) code: &'a str,
    pub(crate) text: &'a str,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) retry_after: Option<Duration>,
}
impl Refusal<'_> {
    /// What it says, and which field of ours it is about.
    fn meaning(&self) -> (code::Meaning, &'static str) {
        let (meaning, field) = code::meaning(self.code, self.text, self.status);
        match field::named(self.action, field) {
            "" if meaning.kind == ErrorKind::InvalidArgument && self.write => (meaning, field::spoken_of(self.action, plain(self.text))),
            field => (meaning, field),
        }
    }
    pub(crate) fn error(&self) -> Error {
        let (meaning, field) = self.meaning();
        let text = plain(self.text);
        let message = match meaning.reason {
            Reason::CloudPermission => format!("the credentials lack the permission {}: {text}", permission(text, self.code, self.family, self.action)),
            Reason::QuotaExceeded => format!("{} is used up: {text}", quota::named(self.code)),
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
fn permission(text: &str, code: &str, family: &str, action: &str) -> String {
    let named = text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric())).find(|word| {
        let is_word = |part: &str, others: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c));
        // Nothing else that is said has one colon and a capital behind it: an ARN has five.
        word.split_once(':').is_some_and(|(service, action)| is_word(service, "-") && is_word(action, "") && action.starts_with(|c: char| c.is_ascii_uppercase()))
    });
    let refused = || match action {
        // For spot instances (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html>).
        _ if code == "AuthFailure.ServiceLinkedRoleCreationNotPermitted" => "iam:CreateServiceLinkedRole".to_owned(),
        _ => format!("{family}:{action}"),
    };
    named.map_or_else(refused, ToOwned::to_owned)
}

fn answered<E: ProvideErrorMetadata>(family: &str, action: &str, write: bool, refusal: &ServiceError<E, HttpResponse>) -> Error {
    let raw = refusal.raw();
    let retry_after = raw.headers().get("retry-after").and_then(|v| v.parse().ok()).map(Duration::from_secs);
    let meta = refusal.err().meta();
    let bare = if meta.code().is_none() { raw.body().bytes().and_then(|body| bare_refusal(&String::from_utf8_lossy(body))) } else { None };
    let (code, text) = match &bare {
        Some((code, text)) => (code.as_str(), text.as_str()),
        None => (meta.code().unwrap_or_default(), meta.message().unwrap_or_default()),
    };
    Refusal { family, action, write, status: raw.status().as_u16(), code, text, request_id: meta.request_id(), retry_after }.error()
}

/// What the SDK's failure of `action` means.
pub(crate) fn of_sdk<E>(family: &'static str, action: &'static str, write: bool, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    // An answer that is no error and cannot be read comes as one too.
    if let SdkError::ServiceError(refusal) = &error
        && !refusal.raw().status().is_success()
    {
        return answered(family, action, write, refusal);
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
            SdkError::ServiceError(refusal) => Some(not_the_role(action, answered(STS, action, false, refusal))),
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
    not_the_role(action, of_sdk(STS, action, false, error))
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

/// An error about an instance that a group's template describes, in the group's words.
pub(crate) fn of_template(e: Error) -> Error {
    let of = |v: &Violation| field::in_group(&v.field).map_or_else(|| v.clone(), |ours| Violation::new(ours, &v.description));
    let violations = e.violations().iter().map(of).filter(|v| !v.field.is_empty()).collect();
    e.with_violations(violations)
}

/// An instance that EC2 made and let fail, by its `StateReason` (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html>):
/// the code is one of the error codes behind `Client.` or `Server.`.
pub(crate) fn creation_failed(code: &str, text: &str) -> Error {
    let bare = code.strip_prefix("Client.").or_else(|| code.strip_prefix("Server.")).unwrap_or(code);
    let (meaning, field) = Refusal { action: "RunInstances", code: bare, ..Refusal::default() }.meaning();
    let (kind, reason) = match meaning.reason {
        Reason::QuotaExceeded | Reason::Capacity => (meaning.kind, meaning.reason),
        _ => (ErrorKind::FailedPrecondition, Reason::CreationFailed),
    };
    let why = if text.is_empty() { code } else { text };
    let message = match reason {
        Reason::QuotaExceeded => format!("EC2 ended the instance at once, because {} is used up: {why}", quota::named(bare)),
        _ => format!("EC2 ended the instance at once: {why}"),
    };
    let error = Error::new(kind, reason, &message).with_effect(Effect::Applied).with_vendor(VendorError { code: code.into(), message: text.into(), request_id: None });
    if field.is_empty() || reason == Reason::CreationFailed { error } else { error.with_violations(vec![Violation::new(field, message)]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: &str, text: &str, status: u16, write: bool) -> Error {
        Refusal { family: "ec2", action: "RunInstances", write, status, code, text, request_id: Some("req-1"), retry_after: None }.error()
    }
    #[test]
    fn every_row_is_what_it_says() {
        for (code, m, field) in code::CODES {
            let e = said(code, "no particular text", 400, true);
            assert_eq!((e.kind(), e.reason(), e.retry(), e.effect()), (m.kind, m.reason, m.retry, m.effect), "{code}");
            assert_eq!(e.vendor().map(|v| (v.code.as_str(), v.request_id.as_deref())), Some((*code, Some("req-1"))));
            let fields: Vec<&str> = e.violations().iter().map(|v| v.field.as_str()).collect();
            let field = field::named("RunInstances", field);
            assert_eq!(fields, if field.is_empty() { vec![] } else { vec![field] }, "{code}");
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
    /// As <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html> words it, and EC2 before it told why.
    #[test]
    fn a_missing_permission_is_named() {
        let user = "User: arn:aws:sts::123456789012:assumed-role/w/welkin is not authorized to perform";
        for (code, text, permission) in [
            ("UnauthorizedOperation", "You are not authorized to perform this operation.", "ec2:RunInstances"),
            ("UnauthorizedOperation", "You are not authorized to perform this operation. Encoded authorization failure message: AbCd-ec2:Xy", "ec2:RunInstances"),
            (
                "UnauthorizedOperation",
                &format!(
                    "You are not authorized to perform this operation. {user}: ec2:CreateTags on resource: arn:aws:ec2:eu-west-1:1:vpc/* because no identity-based policy allows the ec2:CreateTags action. Encoded authorization failure message: AbCd"
                ),
                "ec2:CreateTags",
            ),
            (
                "UnauthorizedOperation",
                &format!(
                    "You are not authorized to perform this operation. {user}: ec2:RunInstances on resource: arn:aws:ec2:eu-west-1:1:instance/* with an explicit deny in a permissions boundary: arn:aws:iam::1:policy/b."
                ),
                "ec2:RunInstances",
            ),
            ("UnauthorizedOperation", &format!("{user}: iam:PassRole on resource: arn:aws:iam::1:role/web with an explicit deny in a service control policy"), "iam:PassRole"),
            ("AccessDenied", &format!("{user}: ec2:DescribeVpcs because no session policy allows the ec2:DescribeVpcs action"), "ec2:DescribeVpcs"),
            ("AccessDeniedException", &format!("{user}: ec2:DescribeVpcs because no VPC endpoint policy allows the ec2:DescribeVpcs action"), "ec2:DescribeVpcs"),
            ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithWebIdentity"),
            (
                "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
                "The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances.",
                "iam:CreateServiceLinkedRole",
            ),
        ] {
            let e = said(code, text, 403, true);
            assert_eq!(e.reason(), Reason::CloudPermission);
            assert!(e.message().starts_with(&format!("the credentials lack the permission {permission}:")), "{e}");
            assert!(!e.message().contains("AbCd") && !e.vendor().unwrap().message.contains("AbCd"), "{e}");
        }
        let e = Refusal { family: "route53", action: "GetChange", status: 403, code: "AccessDenied", ..Refusal::default() }.error();
        assert!(e.message().contains("the permission route53:GetChange:"), "{e}");
    }
    #[test]
    fn the_field_is_ours_and_of_the_kind_that_the_call_is_about() {
        for (action, code, text, field) in [
            ("RunInstances", "VolumeLimitExceeded", "", "root_disk.size_gib"),
            ("CreateVolume", "VolumeLimitExceeded", "", "size_gib"),
            ("CreateVolume", "MaxIOPSLimitExceeded", "", "iops"),
            ("RunInstances", "MaxIOPSLimitExceeded", "", "root_disk"),
            ("CreateVolume", "UnknownVolumeType", "", "disk_type"),
            ("CreateVolume", "InvalidSnapshot.NotFound", "", "snapshot"),
            ("CreateVolume", "CustomerKeyHasBeenRevoked", "", "encryption_key"),
            ("CreateVolume", "InvalidParameterValue", "Value (eu-west-1z) for parameter availabilityZone is invalid.", "zone"),
            ("AttachVolume", "VolumeInUse", "vol-1 is already attached to an instance", "instance"),
            ("AttachVolume", "InvalidVolume.ZoneMismatch", "", "instance"),
            ("AttachVolume", "InvalidInstanceID.NotFound", "", "instance"),
            ("ModifyVolume", "IncorrectModificationState", "", "size_gib"),
            ("DeleteVolume", "VolumeInUse", "Volume vol-1 is currently attached to i-1", ""),
            ("AssociateAddress", "Resource.AlreadyAssociated", "resource eipalloc-1 is already associated with associate-id eipassoc-1", "instance"),
            ("AssociateAddress", "InvalidInstanceID.NotFound", "", "instance"),
            ("AssociateAddress", "InvalidParameterValue", "Value (10.0.0.9) for parameter PrivateIpAddress is invalid.", "private_ip"),
            ("ReleaseAddress", "InvalidIPAddress.InUse", "Address 192.0.2.1 is in use.", ""),
            ("RunInstances", "InvalidGroup.NotFound", "", "security_groups"),
            ("AuthorizeSecurityGroupIngress", "InvalidGroup.NotFound", "", "rules"),
            ("ModifyInstanceAttribute", "InvalidInstanceAttributeValue", "Invalid value 'x' for instanceType.", "machine_type"),
            (
                "TerminateInstances",
                "OperationNotPermitted",
                "The instance 'i-1' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.",
                "deletion_protection",
            ),
            ("RunInstances", "SpotMaxPriceTooLow", "Your Spot request price of 0.01 is lower than the minimum required Spot request fulfillment price of 0.02.", "spot"),
            ("RunInstances", "MissingParameter", "The request must contain the parameter imageId", "image"),
            ("CreateVpc", "InvalidParameterValue", "Value (x) for parameter cidrBlock is invalid. This is not a valid CIDR block.", "cidrs"),
            ("CreateInternetGateway", "InternetGatewayLimitExceeded", "", "internet_access"),
            ("CreateHostedZone", "InvalidVPCId", "The VPC: vpc-1 you provided is not authorized to make the association.", "networks"),
            ("CreateHostedZone", "ConflictingDomainExists", "", "networks"),
            ("CreateHostedZone", "InvalidDomainName", "com is reserved by AWS!", "dns_name"),
            ("CreateHostedZone", "InvalidInput", "Member must have length less than or equal to 256, at 'comment'", "description"),
            ("AssociateVPCWithHostedZone", "LimitsExceeded", "", "networks"),
            ("ChangeTagsForResource", "InvalidInput", "Tag keys beginning with 'aws:' are not permitted", "labels"),
            ("DeleteHostedZone", "HostedZoneNotEmpty", "The specified hosted zone contains non-required resource record sets and so cannot be deleted.", ""),
        ] {
            let e = Refusal { action, write: true, status: 400, code, text, ..Refusal::default() }.error();
            assert_eq!(e.violations().iter().map(|v| v.field.as_str()).collect::<String>(), field, "{action}: {code}");
            // What AWS says it is used by is told.
            assert!(e.message().contains(text), "{e}");
        }
    }
    #[test]
    fn the_quota_is_named() {
        for (code, name) in [("AddressLimitExceeded", "\"EC2-VPC Elastic IPs\""), ("VcpuLimitExceeded", "vCPUs"), ("CarrierGatewayLimitExceeded", "CarrierGatewayLimitExceeded")] {
            let e = said(code, "You have requested more.", 400, true);
            assert_eq!((e.kind(), e.retry()), (ErrorKind::ResourceExhausted, Retry::Never));
            assert!(e.message().contains(name) && e.message().contains("You have requested more."), "{e}");
        }
        assert!(creation_failed("Client.VolumeLimitExceeded", "Volume limit exceeded").message().contains("\"Storage\""));
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
