//! How a command fails: what people read, and the exit status that programs read.

use prost_reflect::DynamicMessage;
use std::fmt::{self, Write as _};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It failed.
    Failed = 1,
    /// The command line, or a file that it names, is wrong.
    Usage = 2,
    /// The resource does not exist.
    NotFound = 3,
    /// The server cannot be reached.
    Unreachable = 4,
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    /// The server's reason: `RESOURCE_NOT_FOUND`. Empty where it gave none.
    reason: String,
    /// Fields and what is wrong with them, as they stand in the request.
    pub(crate) fields: Vec<(String, String)>,
    /// What else is known, and what to do.
    notes: Vec<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), reason: String::new(), fields: Vec::new(), notes: Vec::new() }
    }
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }
    pub(crate) fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
    /// Names the field that it is about.
    pub(crate) fn about_field(mut self, field: String) -> Self {
        if self.fields.is_empty() {
            self.fields.push((field, self.message.clone()));
        }
        self
    }
    /// Did the server say that there is no such resource? Any other failure says nothing about it.
    pub(crate) fn says_absent(&self) -> bool {
        self.exit == Exit::NotFound || self.reason == "LOCATION_UNKNOWN"
    }
    /// Names fields by the flags that set them, where there are such flags.
    pub(crate) fn with_flags(mut self, flag_of: impl Fn(&str) -> Option<String>) -> Self {
        for (field, _) in &mut self.fields {
            if let Some(flag) = flag_of(field) {
                *field = flag;
            }
        }
        self
    }
    /// The server could not be asked.
    pub(crate) fn unreachable(endpoint: &str, cause: &dyn std::error::Error) -> Self {
        let causes: Vec<String> = std::iter::successors(Some(cause), |e| e.source()).map(ToString::to_string).collect();
        Self::new(Exit::Unreachable, format!("the server at {endpoint} cannot be reached: {}", causes.last().map_or("no cause is known", String::as_str)))
            .with_note("start one with `welkin serve`, or name another one with --endpoint or WELKIN_ENDPOINT")
    }
    /// What the server answered.
    pub(crate) fn of_status(endpoint: &str, status: &Status) -> Self {
        let details = status.get_error_details();
        // A status that the connection made, not the server, has a cause, and any of several codes. An answer of the server has a reason; what
        // stands in between and says UNAVAILABLE has none.
        if std::error::Error::source(status).is_some() || status.code() == Code::Unavailable && details.error_info().is_none() {
            return Self::unreachable(endpoint, status);
        }
        let exit = if status.code() == Code::NotFound { Exit::NotFound } else { Exit::Failed };
        let mut failure = Self::new(exit, status.message());
        if let Some(bad) = details.bad_request() {
            failure.fields = bad.field_violations.iter().map(|v| (v.field.clone(), v.description.clone())).collect();
        }
        failure.reason = details.error_info().map(|i| i.reason.clone()).unwrap_or_default();
        for (field, _) in &mut failure.fields {
            if matches!(failure.reason.as_str(), "CLOUD_UNKNOWN" | "LOCATION_UNKNOWN") {
                // It was a flag, a variable, a default or a part of a name: what is wrong with it says enough.
                field.clear();
            } else if let Some((_, given_as)) = GIVEN_AS.iter().find(|(name, _)| name == field) {
                *field = (*given_as).to_owned();
            }
        }
        failure.notes = notes(&details, status.code());
        failure
    }
    /// How an operation ended: a google.rpc.Status.
    pub(crate) fn of_operation(endpoint: &str, status: &DynamicMessage) -> Self {
        use prost::Message as _;
        let code = status.get_field_by_name("code").and_then(|v| v.as_i32()).unwrap_or(2);
        let message = status.get_field_by_name("message").and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        Self::of_status(endpoint, &Status::with_details(Code::from_i32(code), message, status.encode_to_vec().into()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The server's message repeats the violations for readers who see only the message.
        match self.fields.as_slice() {
            [] => write!(f, "error: {}", self.message)?,
            [(field, what)] if field.is_empty() => write!(f, "error: {what}")?,
            [(field, what)] => write!(f, "error: {field}: {what}")?,
            several => {
                f.write_str("error: several fields are wrong")?;
                for (field, what) in several {
                    write!(f, "\n  {field}: {what}")?;
                }
            }
        }
        for note in &self.notes {
            write!(f, "\n  {note}")?;
        }
        f.write_char('\n')
    }
}

fn notes(details: &ErrorDetails, code: Code) -> Vec<String> {
    let mut notes = Vec::new();
    let info = details.error_info();
    let metadata = |key: &str| info.and_then(|i| i.metadata.get(key)).filter(|v| !v.is_empty());
    if let Some(info) = info {
        notes.push(format!("reason: {} ({})", info.reason, code_name(code)));
    }
    if let Some(vendor_code) = metadata("vendor_code") {
        let request = metadata("vendor_request_id").map(|id| format!(", request id {id}")).unwrap_or_default();
        notes.push(format!("the cloud's code: {vendor_code}{request}"));
    }
    if let Some(delay) = details.retry_info().and_then(|r| r.retry_delay) {
        let when = if delay.as_millis() == 0 { "now".to_owned() } else { format!("in {:.1} s", delay.as_secs_f64()) };
        notes.push(format!("the same command can be repeated {when}"));
    }
    if metadata("effect").is_some_and(|e| e == "UNKNOWN") {
        notes.push("the cloud may have acted: look with `welkin get` before you repeat it".into());
    }
    if let Some((_, advice)) = info.and_then(|i| ADVICE.iter().find(|(reason, _)| *reason == i.reason)) {
        notes.push((*advice).to_owned());
    }
    notes
}

fn code_name(code: Code) -> String {
    crate::word::snake(&format!("{code:?}")).to_ascii_uppercase()
}

/// Fields of requests that belong to no kind, as the command line has them.
const GIVEN_AS: &[(&str, &str)] =
    &[("name", "ID"), ("parent", "--cloud, --location or --in"), ("filter", "--filter"), ("request_id", "--request-id"), ("etag", "--etag"), ("adopt", "--adopt")];

/// What to do, by reason.
const ADVICE: &[(&str, &str)] = &[
    ("CLOUD_UNKNOWN", "`welkin clouds` lists the clouds that the server is configured with"),
    ("LOCATION_UNKNOWN", "`welkin get locations` lists the locations"),
    ("KIND_UNSUPPORTED", "`welkin capabilities CLOUD` tells what the cloud offers"),
    ("CAPABILITY_UNSUPPORTED", "`welkin capabilities CLOUD` tells what the cloud can do with each field"),
    ("VERB_UNSUPPORTED", "`welkin capabilities CLOUD` tells the verbs"),
    ("FIELD_IMMUTABLE", "delete the resource and create it anew to change this field"),
    ("REFERENCE_NOT_FOUND", "create what it refers to first"),
    ("OPERATION_NOT_FOUND", "`welkin operations` lists those that are still known"),
    ("NAME_TAKEN", "choose another id, or look at what has this one with `welkin get`"),
    ("NOT_OWNED", "Welkin changes only what it created or adopted: `welkin create KIND ID --adopt PROVIDER_ID`"),
    ("ALREADY_MANAGED", "use the name that it has already"),
    ("NOT_ADOPTED", "only what was adopted can be released; `welkin delete` without --release removes it"),
    ("OPERATION_IN_PROGRESS", "`welkin operations` shows the other operation; wait for it and repeat the command"),
    ("OPERATION_OPEN", "wait for it with `welkin operations wait ID`, or cancel it first"),
    ("ETAG_MISMATCH", "somebody changed it: get it again and decide anew"),
    ("DELETES_NOT_STATED", "say how many are to be removed, if that is what is meant"),
    ("IN_USE", "delete what uses it first"),
    ("IMAGE_NOT_FOUND", "`welkin get images` lists the images"),
    ("MACHINE_TYPE_NOT_FOUND", "`welkin get machine-types` lists the machine types"),
    ("THROTTLED", "the cloud limits our calls: wait and repeat the command"),
    ("QUOTA_EXCEEDED", "`welkin get quotas` shows what there may be: delete what is not needed, or ask the vendor for a higher quota"),
    ("CAPACITY", "try another zone or machine type, or later"),
    ("CLOUD_CREDENTIALS", "check this cloud's credentials in the server's configuration"),
    ("CLOUD_PERMISSION", "give the server's credentials this permission; the provider's documentation lists what it needs"),
    ("CLOUD_ACCOUNT", "look at the account in the vendor's console"),
    ("CLOUD_UNAVAILABLE", "check the cloud's endpoint in the server's configuration, and the vendor's status page"),
    ("CLOUD_TIMEOUT", "the cloud did not answer: repeat the command later"),
    ("REQUEST_ID_REUSED", "use a new --request-id for another request"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashMap, time::Duration};

    fn status(code: Code, message: &str, details: ErrorDetails) -> Failure {
        Failure::of_status("http://127.0.0.1:1", &Status::with_error_details(code, message, details))
    }
    fn because(reason: &str) -> ErrorDetails {
        ErrorDetails::with_error_info(reason, "welkin.dev", HashMap::new())
    }
    #[test]
    fn exit_statuses() {
        assert_eq!(status(Code::NotFound, "gone", because("RESOURCE_NOT_FOUND")).exit as u8, 3);
        assert_eq!(status(Code::InvalidArgument, "no", because("INVALID_FIELD")).exit as u8, 1);
        assert_eq!(status(Code::Unavailable, "no room", because("CAPACITY")).exit as u8, 1);
        assert_eq!(status(Code::Unavailable, "connection refused", ErrorDetails::new()).exit as u8, 4);
        assert_eq!(Failure::usage("x").exit as u8, 2);
        let broken = Status::from_error(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
        assert_eq!((broken.code(), Failure::of_status("http://127.0.0.1:1", &broken).exit as u8), (Code::Unknown, 4));
    }
    #[test]
    fn a_wrong_field_is_named_by_its_flag() {
        let mut details = because("INVALID_FIELD");
        details.add_bad_request_violation("cidrs[0]", "is no range");
        let failure = status(Code::InvalidArgument, "cidrs[0]: is no range", details).with_flags(|f| (f == "cidrs[0]").then(|| "--cidr".into()));
        assert_eq!(failure.to_string(), "error: --cidr: is no range\n  reason: INVALID_FIELD (INVALID_ARGUMENT)\n");
    }
    #[test]
    fn the_vendors_words_and_what_to_do_are_shown() {
        let metadata = HashMap::from([("vendor_code".to_owned(), "AuthFailure".to_owned()), ("vendor_request_id".to_owned(), "r-1".to_owned())]);
        let mut details = ErrorDetails::with_error_info("CLOUD_CREDENTIALS", "welkin.dev", metadata);
        details.set_retry_info(Some(Duration::from_millis(1500)));
        let text = status(Code::FailedPrecondition, "refused", details).to_string();
        for part in ["error: refused\n", "the cloud's code: AuthFailure, request id r-1", "in 1.5 s", "credentials in the server's configuration"] {
            assert!(text.contains(part), "{text}");
        }
    }
    #[test]
    fn advice_is_given_for_reasons_that_exist() {
        for (reason, _) in ADVICE {
            assert!(reason.parse::<welkin::Reason>().is_ok(), "{reason}");
        }
    }
}
