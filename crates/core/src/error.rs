//! One error type that says what to do: may the caller repeat the call, and did the cloud act?

use serde::{Deserialize, Serialize};
use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

/// What every call of the contract answers.
pub type Result<T> = std::result::Result<T, Error>;

/// The class of an error, one to one with `google.rpc.Code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorKind {
    /// The call was cancelled by its caller.
    Cancelled,
    /// Nothing better is known.
    Unknown,
    /// The request is wrong whatever the state of the cloud.
    InvalidArgument,
    /// The deadline passed first.
    DeadlineExceeded,
    /// The vendor said, in a complete and successful read, that this resource does not exist.
    NotFound,
    /// The name is taken by something else.
    AlreadyExists,
    /// The caller may not do this.
    PermissionDenied,
    /// Throttled, or a quota is used up.
    ResourceExhausted,
    /// The request is right but the state of the cloud forbids it.
    FailedPrecondition,
    /// Lost against a concurrent change.
    Aborted,
    /// Past the end, for example an expired watch token.
    OutOfRange,
    /// This cloud, or this version, cannot do it.
    Unimplemented,
    /// A defect, ours or the vendor's.
    Internal,
    /// Try again later.
    Unavailable,
    /// Stored data cannot be read.
    DataLoss,
    /// We do not know who our caller is.
    Unauthenticated,
}

/// Whether repeating the very same call can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Retry {
    /// No: the same call fails the same way.
    Never,
    /// Yes, not before this long from now.
    After(Duration),
    /// It was repeated as often as allowed and still failed.
    Exhausted,
}

/// Did the vendor act?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Effect {
    /// No: the call was refused, or never left.
    None,
    /// It may have: the reply is missing.
    Unknown,
    /// Yes, although the call ended in an error.
    Applied,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)*) => {
        /// Why, as a word that programs can compare: the `reason` of `google.rpc.ErrorInfo` in the domain `welkin.dev`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)* }
        impl Reason {
            /// Every reason there is, in the order of this list.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $text,)* } }
            /// What it means, for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str { match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)* } }
        }
        impl std::str::FromStr for Reason {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                match text { $($text => Ok(Self::$name),)* _ => Err(Error::new(ErrorKind::Internal, Self::Internal, format!("unknown reason {text:?}"))) }
            }
        }
    };
}

reasons! {
    /// A field's value is malformed, out of range or contradicts another field.
    InvalidField = "INVALID_FIELD",
    /// A required field is not set.
    FieldRequired = "FIELD_REQUIRED",
    /// The field cannot be changed after creation.
    FieldImmutable = "FIELD_IMMUTABLE",
    /// A resource name, id or provider id does not parse.
    InvalidName = "INVALID_NAME",
    /// A page token is not one of ours, or belongs to another query.
    InvalidPageToken = "INVALID_PAGE_TOKEN",
    /// A filter does not parse.
    InvalidFilter = "INVALID_FILTER",
    /// A field mask names an unknown field.
    InvalidFieldMask = "INVALID_FIELD_MASK",
    /// The request id was used before with another request.
    RequestIdReused = "REQUEST_ID_REUSED",
    /// No cloud of this name is configured.
    CloudUnknown = "CLOUD_UNKNOWN",
    /// The cloud has no such location.
    LocationUnknown = "LOCATION_UNKNOWN",
    /// The cloud does not offer this kind.
    KindUnsupported = "KIND_UNSUPPORTED",
    /// The cloud cannot honour this field or value.
    CapabilityUnsupported = "CAPABILITY_UNSUPPORTED",
    /// The cloud cannot do this verb on this kind.
    VerbUnsupported = "VERB_UNSUPPORTED",
    /// The resource does not exist.
    ResourceNotFound = "RESOURCE_NOT_FOUND",
    /// A resource that this one refers to does not exist.
    ReferenceNotFound = "REFERENCE_NOT_FOUND",
    /// The operation does not exist, or its record has expired.
    OperationNotFound = "OPERATION_NOT_FOUND",
    /// The name is taken by a resource with another specification.
    NameTaken = "NAME_TAKEN",
    /// The resource is not Welkin's: it was neither made nor adopted by it, or carries another owner's mark.
    NotOwned = "NOT_OWNED",
    /// What is to be adopted is managed already, under another name or because Welkin has made it.
    AlreadyManaged = "ALREADY_MANAGED",
    /// What is to be released was not adopted.
    NotAdopted = "NOT_ADOPTED",
    /// Another operation is changing this resource.
    OperationInProgress = "OPERATION_IN_PROGRESS",
    /// The operation is not finished.
    OperationOpen = "OPERATION_OPEN",
    /// The etag is not the current one.
    EtagMismatch = "ETAG_MISMATCH",
    /// More of a zone's record sets would be removed than may be without saying how many.
    DeletesNotStated = "DELETES_NOT_STATED",
    /// The resource is still used by something else.
    InUse = "IN_USE",
    /// The address range overlaps another one.
    RangeConflict = "RANGE_CONFLICT",
    /// The resource is protected from deletion.
    DeletionProtected = "DELETION_PROTECTED",
    /// The resource is in a state that forbids this.
    WrongState = "WRONG_STATE",
    /// The cloud has no such image.
    ImageNotFound = "IMAGE_NOT_FOUND",
    /// The cloud has no such machine type, or not here.
    MachineTypeNotFound = "MACHINE_TYPE_NOT_FOUND",
    /// The vendor throttles our calls.
    Throttled = "THROTTLED",
    /// A quota or limit of the account is used up.
    QuotaExceeded = "QUOTA_EXCEEDED",
    /// The vendor has no capacity for this now.
    Capacity = "CAPACITY",
    /// The vendor refuses our credentials.
    CloudCredentials = "CLOUD_CREDENTIALS",
    /// Our credentials at the vendor lack a permission.
    CloudPermission = "CLOUD_PERMISSION",
    /// The vendor account cannot be used: blocked, not subscribed or not verified.
    CloudAccount = "CLOUD_ACCOUNT",
    /// The vendor cannot be reached or answers with a server error.
    CloudUnavailable = "CLOUD_UNAVAILABLE",
    /// The vendor did not answer in time.
    CloudTimeout = "CLOUD_TIMEOUT",
    /// The vendor refused the request for a reason that is not in our table.
    CloudRefused = "CLOUD_REFUSED",
    /// The vendor's answer cannot be understood.
    CloudAnswer = "CLOUD_ANSWER",
    /// The vendor created the resource and then let it fail.
    CreationFailed = "CREATION_FAILED",
    /// Known to exist but not seen: the vendor's reads lag behind.
    NotYetVisible = "NOT_YET_VISIBLE",
    /// Whether the action happened cannot be known, and repeating it could do it twice.
    EffectUnknown = "EFFECT_UNKNOWN",
    /// Cancelled on request.
    OperationCancelled = "OPERATION_CANCELLED",
    /// The operation reached its maximum age.
    OperationExpired = "OPERATION_EXPIRED",
    /// A deadline passed.
    Deadline = "DEADLINE",
    /// The server is shutting down.
    ShuttingDown = "SHUTTING_DOWN",
    /// The store cannot be read or written.
    Store = "STORE",
    /// The configuration is wrong.
    Configuration = "CONFIGURATION",
    /// A defect in Welkin.
    Internal = "INTERNAL",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}
impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        // A newer version may have stored a word that this one does not know.
        Ok(text.parse().unwrap_or(Self::Internal))
    }
}

/// One field that is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The field's path in the request's resource, for example `cidrs[1]`.
    pub field: String,
    /// What is wrong with it, and what would be right.
    pub description: String,
}

impl Violation {
    /// A violation of `field`.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

/// What the vendor itself said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VendorError {
    /// The vendor's code, verbatim.
    pub code: String,
    /// The vendor's message, verbatim but for secrets.
    pub message: String,
    /// The id to quote to the vendor's support.
    pub request_id: Option<String>,
}

/// Every failure of the contract.
///
/// ```
/// use welkin_core::{Error, ErrorKind, Reason, Retry, Effect};
/// let e = Error::invalid("cidrs[0]", "10.0.0.1/16 has bits set beyond its prefix; did you mean 10.0.0.0/16?");
/// assert_eq!((e.kind(), e.retry(), e.effect()), (ErrorKind::InvalidArgument, Retry::Never, Effect::None));
/// assert_eq!(e.violations()[0].field, "cidrs[0]");
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct Error(Box<Inner>);

#[derive(Clone, Serialize, Deserialize)]
struct Inner {
    kind: ErrorKind,
    reason: Reason,
    message: String,
    retry: Retry,
    effect: Effect,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vendor: Option<VendorError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    violations: Vec<Violation>,
    #[serde(skip)]
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error that is not worth repeating and had no effect; the `with_` methods say otherwise.
    pub fn new(kind: ErrorKind, reason: Reason, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            reason,
            message: message.into(),
            retry: Retry::Never,
            effect: Effect::None,
            vendor: None,
            operation: None,
            resource: None,
            violations: Vec::new(),
            source: None,
        }))
    }
    /// One wrong field.
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::violated(Reason::InvalidField, vec![Violation::new(field, description)])
    }
    /// Several wrong fields, all named at once.
    #[must_use]
    pub fn violated(reason: Reason, violations: Vec<Violation>) -> Self {
        let message = violations.iter().map(|v| format!("{}: {}", v.field, v.description)).collect::<Vec<_>>().join("; ");
        let mut e = Self::new(ErrorKind::InvalidArgument, reason, message);
        e.0.violations = violations;
        e
    }
    /// The resource does not exist: only after a complete, successful read of the vendor said so.
    pub fn not_found(resource: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, Reason::ResourceNotFound, format!("{resource} does not exist")).with_resource(resource.to_string())
    }
    /// The cloud has no such kind.
    #[must_use]
    pub fn unsupported_kind(collection: &str) -> Self {
        Self::new(ErrorKind::Unimplemented, Reason::KindUnsupported, format!("this cloud does not offer {collection}"))
    }
    /// A defect of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, Reason::Internal, message)
    }

    /// Sets the advice on repeating.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }
    /// Sets whether the vendor acted.
    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.0.effect = effect;
        self
    }
    /// Adds what the vendor said.
    #[must_use]
    pub fn with_vendor(mut self, vendor: VendorError) -> Self {
        self.0.vendor = Some(vendor);
        self
    }
    /// Names the vendor's or our operation.
    #[must_use]
    pub fn with_operation(mut self, operation: impl Into<String>) -> Self {
        self.0.operation = Some(operation.into());
        self
    }
    /// Names the resource that the error is about.
    #[must_use]
    pub fn with_resource(mut self, resource: impl Into<String>) -> Self {
        self.0.resource = Some(resource.into());
        self
    }
    /// Names a field that the error is about, with the error's own message.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        let description = self.0.message.clone();
        self.0.violations.push(Violation::new(field, description));
        self
    }
    /// Replaces the violations.
    #[must_use]
    pub fn with_violations(mut self, violations: Vec<Violation>) -> Self {
        self.0.violations = violations;
        self
    }
    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }
    /// Changes the class and the reason, keeping what is known of the cause.
    #[must_use]
    pub fn reclassified(mut self, kind: ErrorKind, reason: Reason) -> Self {
        (self.0.kind, self.0.reason) = (kind, reason);
        self
    }

    /// The class.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
    /// The word that programs compare.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }
    /// For people: what happened and what to do.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// May it be repeated?
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.0.retry
    }
    /// Did the vendor act?
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.0.effect
    }
    /// What the vendor said.
    #[must_use]
    pub fn vendor(&self) -> Option<&VendorError> {
        self.0.vendor.as_ref()
    }
    /// The operation, vendor's or ours.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }
    /// The resource.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.0.resource.as_deref()
    }
    /// The fields that are wrong.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }
    /// Can it be repeated, and after how long?
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.retry {
            Retry::After(d) => Some(d),
            Retry::Never | Retry::Exhausted => None,
        }
    }
    /// Did the vendor itself say that the resource is not there? That its cloud or its location is not there says nothing of it.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.0.kind == ErrorKind::NotFound && self.0.reason == Reason::ResourceNotFound
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.reason, self.0.message)?;
        if let Some(v) = &self.0.vendor {
            write!(f, " [{}", v.code)?;
            if let Some(id) = &v.request_id {
                write!(f, ", request {id}")?;
            }
            write!(f, "]")?;
        }
        Ok(())
    }
}
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let i = &*self.0;
        let mut d = f.debug_struct("Error");
        d.field("kind", &i.kind).field("reason", &i.reason).field("message", &i.message).field("retry", &i.retry).field("effect", &i.effect);
        if let Some(v) = &i.vendor {
            d.field("vendor", v);
        }
        if let Some(v) = &i.operation {
            d.field("operation", v);
        }
        if let Some(v) = &i.resource {
            d.field("resource", v);
        }
        if !i.violations.is_empty() {
            d.field("violations", &i.violations);
        }
        if let Some(v) = &i.source {
            d.field("source", v);
        }
        d.finish()
    }
}
impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}
/// Everything that the contract says of an error; the cause behind it is not compared.
impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&*self.0, &*other.0);
        (a.kind, a.reason, a.retry, a.effect) == (b.kind, b.reason, b.retry, b.effect)
            && (&a.message, &a.vendor, &a.operation, &a.resource, &a.violations) == (&b.message, &b.vendor, &b.operation, &b.resource, &b.violations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_upper_snake_and_round_trip() {
        for r in Reason::ALL {
            assert!(r.as_str().chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{r}");
            assert_eq!(r.as_str().parse::<Reason>().unwrap(), *r);
            assert!(!r.meaning().is_empty());
        }
    }
    #[test]
    fn only_the_resource_itself_is_not_found() {
        assert!(Error::not_found("x").is_not_found());
        assert!(!Error::new(ErrorKind::NotFound, Reason::CloudUnknown, "no cloud").is_not_found());
        assert!(!Error::new(ErrorKind::NotFound, Reason::OperationNotFound, "no operation").is_not_found());
    }
    #[test]
    fn an_error_survives_the_journal() {
        let e = Error::invalid("cidrs[0]", "bad").with_retry(Retry::After(Duration::from_millis(1500))).with_effect(Effect::Unknown).with_vendor(VendorError {
            code: "Boom".into(),
            message: "m".into(),
            request_id: Some("r".into()),
        });
        let back: Error = serde_json::from_str(&serde_json::to_string(&e).unwrap()).unwrap();
        assert_eq!(back, e);
    }
}
