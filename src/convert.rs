//! Between the API's messages and the types of the core, one file a kind.

mod address;
pub mod capability;
mod disk;
mod dns_zone;
pub mod error;
mod field;
mod image;
mod instance;
mod instance_group;
mod load_balancer;
mod location;
mod machine_type;
mod nat_gateway;
mod network;
pub mod operation;
mod quota;
mod record_set;
mod route_table;
mod security_group;
mod subnet;
#[cfg(test)]
mod tests;
mod vendor_config;

use crate::wire::Body;
use prost::Message;
use prost_types::{Any, Timestamp};
use std::{fmt::Display, time::Duration};
use welkin_core::{Digest, Error, Kind, Managed, Mark, Name, Object, Result, Revision, VendorId, Violation};

pub use vendor_config::Extensions;

/// A kind that the API serves.
pub trait Resource: Kind {
    /// Its message.
    type Message: Body;
    /// Its service: `welkin.v1.Instances`.
    const SERVICE: &'static str;
    /// What stands in place of a parent that is left open: `locations/-`, or nothing for what lives directly below a cloud.
    const ANY_PARENT: &'static str = "locations/-";
    /// The message of what a read has shown.
    ///
    /// # Errors
    /// `Internal` for a vendor configuration that is none of the API's messages.
    fn encode(cloud: &str, object: Object<Self>) -> Result<Self::Message>;
    /// The object of a message that a server has sent.
    ///
    /// # Errors
    /// `Internal` for a message that no server of this API sends.
    fn decode(cloud: &str, message: Self::Message) -> Result<Object<Self>>;
}

/// A kind that can be changed through the API.
pub trait Mutable: Resource + Managed {
    /// Its verbs, by the names of their methods, without what a request says beside the resource: `StartInstance`.
    const ACTIONS: &'static [(&'static str, Self::Action)];
    /// What requests of its verbs say beside that: a message with numbers from 7 on, and nothing for most.
    type Arguments: Message + Default + Clone + PartialEq + 'static;
    /// An action with its arguments. What is wrong goes to `scope`.
    fn with_arguments(action: Self::Action, arguments: Self::Arguments, scope: &mut Scope<'_, Self>) -> Self::Action;
    /// The arguments of an action.
    ///
    /// # Errors
    /// `InvalidArgument` for a vendor configuration that is none of the API's messages.
    fn arguments(cloud: &str, action: &Self::Action) -> Result<Self::Arguments>;
    /// The message that an operation of a verb ends with; None where that is the empty one.
    fn encode_outcome(cloud: &str, outcome: Self::Outcome) -> Option<Any>;
    /// The outcome of that message.
    ///
    /// # Errors
    /// `Internal` for what no server of this API sends.
    fn decode_outcome(any: &Any) -> Result<Self::Outcome>;
    /// What can be asked of it beyond a read, by the names of the methods: `GetInstanceConsoleOutput`.
    const QUESTIONS: &'static [(&'static str, Self::Question)];
    /// The message of an answer to such a question.
    type AnswerMessage: Message + Default + 'static;
    /// The field of its id in a create request: `instance_id`.
    const ID_FIELD: &'static str;
    /// The name and the etag in a message.
    fn name_and_etag(message: &Self::Message) -> (&str, &str);
    /// Puts them there.
    fn set_name_and_etag(message: &mut Self::Message, name: String, etag: String);
    /// The specification in a message. What is wrong goes to `scope`, and the field is then left out.
    fn decode_spec(message: Self::Message, scope: &mut Scope<'_, Self>) -> Self::Spec;
    /// The message that asks for a specification.
    ///
    /// # Errors
    /// `InvalidArgument` for a vendor configuration that is none of the API's messages.
    fn encode_spec(cloud: &str, spec: Self::Spec) -> Result<Self::Message>;
    /// The message of an answer.
    fn encode_answer(answer: Self::Answer) -> Self::AnswerMessage;
    /// The answer of a message.
    fn decode_answer(message: Self::AnswerMessage) -> Self::Answer;
}

/// Where a specification is being read, and what is wrong with it.
#[derive(Debug)]
pub struct Scope<'a, K: Kind> {
    /// The cloud that is asked.
    pub cloud: &'a str,
    /// Where the resource is, for references that are given short.
    pub parent: &'a K::Parent,
    /// Every field that is wrong.
    pub wrong: Vec<Violation>,
}

/// The full name in the API: `clouds/prod/locations/r/instances/web`.
pub fn full_name(cloud: &str, below: &impl Display) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(96);
    text.push_str("clouds/");
    text.push_str(cloud);
    text.push('/');
    // Writing to a String cannot fail.
    let _ = write!(text, "{below}");
    text
}

/// Takes a full name apart: the cloud, and what stands below it (empty for the cloud itself).
///
/// # Errors
/// `InvalidArgument` where it does not begin with a cloud.
pub fn split_name(text: &str) -> Result<(&str, &str)> {
    let shape =
        || Error::new(welkin_core::ErrorKind::InvalidArgument, welkin_core::Reason::InvalidName, format!("{text:?} is not a name: it begins with clouds/ and the name of a cloud"));
    let rest = text.strip_prefix("clouds/").ok_or_else(shape)?;
    let (cloud, below) = match rest.split_once('/') {
        Some((_, "")) => return Err(shape()),
        Some(parts) => parts,
        None => (rest, ""),
    };
    if cloud.is_empty() { Err(shape()) } else { Ok((cloud, below)) }
}

/// The name of a resource below its cloud.
///
/// # Errors
/// `InvalidArgument` where it is none, or stands for many.
pub fn one_name<K: Resource>(below: &str) -> Result<Name<K>> {
    let name: Name<K> = below.parse()?;
    if is_wild::<K>(&name.parent) {
        return Err(Error::new(
            welkin_core::ErrorKind::InvalidArgument,
            welkin_core::Reason::InvalidName,
            format!("{below:?} does not name one resource: \"-\" stands for any location"),
        ));
    }
    Ok(name)
}
/// Does a parent stand for all of them?
pub(crate) fn is_wild<K: Resource>(parent: &K::Parent) -> bool {
    !K::ANY_PARENT.is_empty() && parent.to_string() == K::ANY_PARENT
}

/// The fields that every resource has.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) vendor_id: String,
    pub(crate) provider_id: String,
    pub(crate) etag: String,
    pub(crate) create_time: Option<Timestamp>,
    pub(crate) owned: bool,
    pub(crate) owner: String,
    pub(crate) digest: String,
    pub(crate) revision: String,
}
impl Head {
    /// The head of an object, and what is left of it.
    fn split<K: Kind>(cloud: &str, mut object: Object<K>) -> (Self, K::Spec, K::Status) {
        let etag = object.take_etag().0;
        let owned = object.mark.is_some();
        let (uid, owner, digest) = match object.mark {
            Some(mark) => (mark.uid.as_str().to_owned(), mark.owner.as_str().to_owned(), mark.digest.map(|d| d.as_str().to_owned()).unwrap_or_default()),
            None => Default::default(),
        };
        let head = Self {
            name: full_name(cloud, &object.name),
            uid,
            vendor_id: object.vendor_id.as_str().to_owned(),
            provider_id: object.provider_id.to_string(),
            etag,
            create_time: object.created_ms.map(timestamp),
            owned,
            owner,
            digest,
            revision: object.revision.map(|r| r.0).unwrap_or_default(),
        };
        (head, object.spec, object.status)
    }
    /// The object again.
    fn join<K: Kind>(self, cloud: &str, spec: K::Spec, status: K::Status) -> Result<Object<K>> {
        let (of, below) = split_name(&self.name)?;
        if of != cloud {
            return Err(Error::internal(format!("asked for a resource of {cloud} and got {}", self.name)));
        }
        let mark = if self.owned {
            let digest = if self.digest.is_empty() { None } else { Some(self.digest.parse::<Digest>()?) };
            Some(Mark { owner: self.owner.parse()?, uid: self.uid.parse()?, digest })
        } else {
            None
        };
        Ok(Object {
            name: below.parse::<Name<K>>()?,
            vendor_id: self.vendor_id.parse::<VendorId>()?,
            provider_id: self.provider_id.parse()?,
            mark,
            revision: (!self.revision.is_empty()).then_some(Revision(self.revision)),
            created_ms: self.create_time.as_ref().map(millis),
            spec,
            status,
        })
    }
}

/// Moves the fields that every managed resource has out of a message into a [`Head`].
macro_rules! head {
    ($m:ident) => {
        $crate::convert::Head {
            name: std::mem::take(&mut $m.name),
            uid: std::mem::take(&mut $m.uid),
            vendor_id: std::mem::take(&mut $m.vendor_id),
            provider_id: std::mem::take(&mut $m.provider_id),
            etag: std::mem::take(&mut $m.etag),
            create_time: $m.create_time.take(),
            owned: $m.owned,
            owner: std::mem::take(&mut $m.owner),
            digest: std::mem::take(&mut $m.digest),
            revision: std::mem::take(&mut $m.revision),
        }
    };
}
/// The message of a managed resource: its head, what is said beside the specification, and the specification as a message.
macro_rules! message {
    ($m:ident of $h:ident { $($field:ident: $value:expr,)* ..$spec:expr }) => {
        $crate::api::v1::$m {
            name: $h.name,
            uid: $h.uid,
            vendor_id: $h.vendor_id,
            provider_id: $h.provider_id,
            etag: $h.etag,
            create_time: $h.create_time,
            owned: $h.owned,
            owner: $h.owner,
            digest: $h.digest,
            revision: $h.revision,
            $($field: $value,)*
            ..$spec
        }
    };
}
/// Where a managed resource's message has its name and its etag.
macro_rules! name_and_etag {
    () => {
        fn name_and_etag(m: &Self::Message) -> (&str, &str) {
            (&m.name, &m.etag)
        }
        fn set_name_and_etag(m: &mut Self::Message, name: String, etag: String) {
            (m.name, m.etag) = (name, etag);
        }
    };
}
/// For a kind whose verbs have no arguments and answer nothing of their own.
macro_rules! no_arguments {
    () => {
        type Arguments = ();
        fn with_arguments(action: Self::Action, (): (), _: &mut $crate::convert::Scope<'_, Self>) -> Self::Action {
            action
        }
        fn arguments(_: &str, _: &Self::Action) -> welkin_core::Result<()> {
            Ok(())
        }
        fn encode_outcome(_: &str, (): ()) -> Option<prost_types::Any> {
            None
        }
        fn decode_outcome(any: &prost_types::Any) -> welkin_core::Result<()> {
            Err(welkin_core::Error::internal(format!("a verb ended with a {}", any.type_url)))
        }
    };
}
/// For a kind of which nothing can be asked beyond a read.
macro_rules! no_questions {
    () => {
        const QUESTIONS: &'static [(&'static str, welkin_core::NoAction)] = &[];
        type AnswerMessage = ();
        fn encode_answer((): ()) {}
        fn decode_answer((): ()) {}
    };
}
/// The same for the catalogue, which carries no mark.
macro_rules! catalogue_head {
    ($m:ident) => {
        $crate::convert::Head {
            name: std::mem::take(&mut $m.name),
            vendor_id: std::mem::take(&mut $m.vendor_id),
            provider_id: std::mem::take(&mut $m.provider_id),
            etag: std::mem::take(&mut $m.etag),
            create_time: $m.create_time.take(),
            revision: std::mem::take(&mut $m.revision),
            ..Default::default()
        }
    };
}
use {catalogue_head, head, message, name_and_etag, no_arguments, no_questions};

/// Packs a message in the form that every language's `Any.Pack` writes; prost's own has no host.
fn pack<M: Message + prost::Name>(message: &M) -> Any {
    Any { type_url: format!("type.googleapis.com/{}", M::full_name()), value: message.encode_to_vec() }
}

/// The message that an operation's answer has to be; `what`: the operation, for the error.
fn unpack<M: Message + prost::Name + Default>(any: &Any, what: &str) -> Result<M> {
    if any.type_url.rsplit('/').next() != Some(M::full_name().as_str()) {
        return Err(Error::internal(format!("{what} ended with a {}", any.type_url)));
    }
    M::decode(any.value.as_slice()).map_err(|e| Error::internal(format!("the answer of {what} cannot be read")).with_source(e))
}

/// A time of the core in the API's form.
#[must_use]
pub fn timestamp(ms: u64) -> Timestamp {
    // Below a thousand, times a million: it fits.
    Timestamp { seconds: i64::try_from(ms / 1000).unwrap_or(i64::MAX), nanos: (ms % 1000) as i32 * 1_000_000 }
}
/// And back; what lies before 1970 is 1970.
#[must_use]
pub fn millis(t: &Timestamp) -> u64 {
    u64::try_from(t.seconds).unwrap_or(0).saturating_mul(1000).saturating_add(u64::try_from(t.nanos / 1_000_000).unwrap_or(0))
}
/// A duration of the core in the API's form.
#[must_use]
pub fn proto_duration(d: Duration) -> prost_types::Duration {
    // Less than 10^9 nanoseconds: it fits.
    prost_types::Duration { seconds: i64::try_from(d.as_secs()).unwrap_or(i64::MAX), nanos: d.subsec_nanos() as i32 }
}
/// And back; what is negative is nothing.
#[must_use]
pub fn core_duration(d: &prost_types::Duration) -> Duration {
    match (u64::try_from(d.seconds), u32::try_from(d.nanos)) {
        (Ok(seconds), Ok(nanos)) => Duration::new(seconds, nanos.min(999_999_999)),
        _ => Duration::ZERO,
    }
}
