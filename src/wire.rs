//! The requests that every kind has, as one type each.
//!
//! `GetInstanceRequest` and `GetNetworkRequest` are the same bytes, so the handlers and the client are written once over these. A test compares
//! them, field by field, with the descriptors of every kind.

use crate::api::v1;
use prost::{
    DecodeError, Message,
    bytes::{Buf, BufMut},
    encoding::{DecodeContext, WireType},
};
use prost_types::FieldMask;
use std::fmt::Debug;

/// A resource's message.
pub trait Body: Message + prost::Name + Default + Clone + Debug + PartialEq + 'static {}
impl<T: Message + prost::Name + Default + Clone + Debug + PartialEq + 'static> Body for T {}

/// `Get{Kind}Request`.
#[derive(Clone, PartialEq, Message)]
pub struct Get {
    /// The resource's name.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// `List{Kinds}Request`.
#[derive(Clone, PartialEq, Message)]
pub struct List {
    /// Where; each id in it can be `-`.
    #[prost(string, tag = "1")]
    pub parent: String,
    /// At most this many.
    #[prost(int32, tag = "2")]
    pub page_size: i32,
    /// Where it goes on.
    #[prost(string, tag = "3")]
    pub page_token: String,
    /// Which of them.
    #[prost(string, tag = "4")]
    pub filter: String,
}

/// `List{Kinds}Response`.
#[derive(Clone, PartialEq, Message)]
pub struct Listed<M: Body> {
    /// The resources.
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<M>,
    /// Where it goes on.
    #[prost(string, tag = "2")]
    pub next_page_token: String,
    /// What could not be read.
    #[prost(string, repeated, tag = "3")]
    pub unreachable: Vec<String>,
}

/// `Create{Kind}Request`.
#[derive(Clone, PartialEq, Message)]
pub struct Create<M: Body> {
    /// Where.
    #[prost(string, tag = "1")]
    pub parent: String,
    /// Its id there.
    #[prost(string, tag = "2")]
    pub id: String,
    /// What it should be.
    #[prost(message, optional, tag = "3")]
    pub resource: Option<M>,
    /// The caller's id of this request.
    #[prost(string, tag = "4")]
    pub request_id: String,
    /// Run the checks only.
    #[prost(bool, tag = "5")]
    pub validate_only: bool,
    /// What to adopt instead of making it.
    #[prost(string, tag = "6")]
    pub adopt: String,
}

/// `Update{Kind}Request`.
#[derive(Clone, PartialEq, Message)]
pub struct Update<M: Body> {
    /// Name, new values, etag.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<M>,
    /// Which fields.
    #[prost(message, optional, tag = "2")]
    pub update_mask: Option<FieldMask>,
    /// The caller's id of this request.
    #[prost(string, tag = "3")]
    pub request_id: String,
    /// Run the checks only.
    #[prost(bool, tag = "4")]
    pub validate_only: bool,
}

/// `Delete{Kind}Request`, and `{Verb}{Kind}Request`, which has all but the last two fields.
#[derive(Clone, PartialEq, Message)]
pub struct Touch {
    /// The resource's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The etag that must still be current.
    #[prost(string, tag = "2")]
    pub etag: String,
    /// The caller's id of this request.
    #[prost(string, tag = "3")]
    pub request_id: String,
    /// Run the checks only.
    #[prost(bool, tag = "4")]
    pub validate_only: bool,
    /// Of delete: nothing there is fine.
    #[prost(bool, tag = "5")]
    pub allow_missing: bool,
    /// Of delete: leave the object and only manage it no longer.
    #[prost(bool, tag = "6")]
    pub release: bool,
}

/// `{Verb}{Kind}Request` of a verb with arguments: those of every verb, and the kind's own from number 7 on.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Act<A> {
    /// What every verb has.
    pub touch: Touch,
    /// What this one has beside it.
    pub arguments: A,
}
/// The first number that is not [`Touch`]'s.
const FIRST_ARGUMENT: u32 = 7;
impl<A: Message> Message for Act<A> {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        self.touch.encode_raw(buf);
        self.arguments.encode_raw(buf);
    }
    fn merge_field(&mut self, tag: u32, wire_type: WireType, buf: &mut impl Buf, ctx: DecodeContext) -> Result<(), DecodeError> {
        if tag < FIRST_ARGUMENT { self.touch.merge_field(tag, wire_type, buf, ctx) } else { self.arguments.merge_field(tag, wire_type, buf, ctx) }
    }
    fn encoded_len(&self) -> usize {
        self.touch.encoded_len() + self.arguments.encoded_len()
    }
    fn clear(&mut self) {
        self.touch.clear();
        self.arguments.clear();
    }
}

/// What ChangeBackendsLoadBalancerRequest has beside [`Touch`].
#[derive(Clone, PartialEq, Message)]
pub struct ChangeBackends {
    /// What is added.
    #[prost(message, repeated, tag = "7")]
    pub add: Vec<v1::load_balancer::Backend>,
    /// What is taken away.
    #[prost(message, repeated, tag = "8")]
    pub remove: Vec<v1::load_balancer::Backend>,
}

/// What DeleteInstancesInstanceGroupRequest and ReplaceInstancesInstanceGroupRequest have beside [`Touch`], each its own.
#[derive(Clone, PartialEq, Message)]
pub struct GroupArguments {
    /// Which instances are deleted.
    #[prost(string, repeated, tag = "7")]
    pub instances: Vec<String>,
    /// How many may be missing while they are replaced.
    #[prost(uint32, optional, tag = "8")]
    pub max_unavailable: Option<u32>,
    /// How many more there may be meanwhile.
    #[prost(uint32, optional, tag = "9")]
    pub max_surge: Option<u32>,
}

/// What ChangeRecordsDnsZoneRequest has beside [`Touch`].
#[derive(Clone, PartialEq, Message)]
pub struct ChangeRecords {
    /// The changes.
    #[prost(message, repeated, tag = "7")]
    pub changes: Vec<v1::change_records_dns_zone_request::Change>,
    /// What becomes of the others.
    #[prost(enumeration = "v1::change_records_dns_zone_request::Mode", tag = "8")]
    pub mode: i32,
    /// How many are removed.
    #[prost(uint32, optional, tag = "9")]
    pub deletes: Option<u32>,
}
