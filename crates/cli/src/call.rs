//! Calls of the API with messages that are known by their descriptors only.

use crate::{
    failure::Failure,
    kind::Kinds,
    message::{text_value, texts, with},
};
use http::uri::PathAndQuery;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, Value};
use std::time::Duration;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one call may take. Mutations answer as soon as they are accepted; a list of a far cloud takes longest.
const CALL_TIMEOUT: Duration = Duration::from_secs(90);
/// A page of a thousand resources with all their labels is below this.
const MAX_MESSAGE: usize = 64 << 20;
/// Items on one page of a list.
const PAGE_SIZE: i32 = 500;

/// A connection to a server.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) endpoint: String,
    pub(crate) kinds: Kinds,
    channel: Channel,
}

impl Api {
    /// Connects.
    pub(crate) async fn connect(endpoint: &str, kinds: Kinds) -> Result<Self, Failure> {
        let url = if endpoint.contains("://") { endpoint.to_owned() } else { format!("http://{endpoint}") };
        if !url.starts_with("http://") {
            // Without TLS it would be sent in clear.
            return Err(Failure::usage(format!("{endpoint:?}: the client has no TLS yet and speaks plain http:// only")));
        }
        let wrong = |e: tonic::transport::Error| Failure::usage(format!("{endpoint:?} is not an endpoint such as http://127.0.0.1:7750: {e}"));
        let channel = Endpoint::from_shared(url.clone())
            .map_err(wrong)?
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .user_agent(concat!("welkin/", env!("CARGO_PKG_VERSION")))
            .map_err(wrong)?;
        let channel = channel.connect().await.map_err(|e| Failure::unreachable(&url, &e))?;
        Ok(Self { endpoint: url, kinds, channel })
    }
    /// A method by its full name: `welkin.v1.Clouds`, `ListClouds`.
    pub(crate) fn method(&self, service: &str, method: &str) -> Result<MethodDescriptor, Failure> {
        let found = self.kinds.pool.get_service_by_name(service).and_then(|s| s.methods().find(|m| m.name() == method));
        found.ok_or_else(|| Failure::failed(format!("the API has no {service}/{method}")))
    }
    /// Makes one call.
    pub(crate) async fn call(&self, method: &MethodDescriptor, request: DynamicMessage) -> Result<DynamicMessage, Failure> {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let path: PathAndQuery = path.parse().map_err(|_| Failure::failed(format!("{path} is not a method")))?;
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        grpc.ready().await.map_err(|e| Failure::unreachable(&self.endpoint, &e))?;
        let answer = grpc.unary(Request::new(request), path, ByDescriptor(method.output())).await;
        answer.map(tonic::Response::into_inner).map_err(|status| Failure::of_status(&self.endpoint, &status))
    }
    /// Lists to the end: the answer's message with the items of every page, and what could not be read.
    pub(crate) async fn list(&self, method: &MethodDescriptor, parent: (&str, &str), filter: &str) -> Result<Listing, Failure> {
        let mut listing = Listing { response: DynamicMessage::new(method.output()), items: Vec::new(), unreachable: Vec::new() };
        let items = method.output().fields().find(|f| f.is_list() && f.kind().as_message().is_some());
        let items = items.ok_or_else(|| Failure::failed(format!("{} is not a list", method.name())))?;
        let mut token = String::new();
        loop {
            let request =
                with(&method.input(), [(parent.0, text_value(parent.1)), ("filter", text_value(filter)), ("page_size", Value::I32(PAGE_SIZE)), ("page_token", text_value(&token))]);
            let mut page = self.call(method, request).await?;
            if let Some(Value::List(more)) = page.take_field(&items) {
                listing.items.extend(more.into_iter().filter_map(|v| v.as_message().cloned()));
            }
            listing.unreachable.extend(texts(&page, "unreachable"));
            let next = crate::message::text(&page, "next_page_token");
            if next.is_empty() {
                break;
            }
            if next == token {
                return Err(Failure::failed("the server's list goes in a circle"));
            }
            token = next;
        }
        listing.unreachable.sort();
        listing.unreachable.dedup();
        listing.response.set_field(&items, Value::List(listing.items.iter().cloned().map(Value::Message).collect()));
        crate::message::set(&mut listing.response, "unreachable", Value::List(listing.unreachable.iter().cloned().map(Value::String).collect()));
        Ok(listing)
    }
}

/// A whole list.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The answer's message, as if it had come in one page.
    pub(crate) response: DynamicMessage,
    pub(crate) items: Vec<DynamicMessage>,
    /// Locations that could not be read.
    pub(crate) unreachable: Vec<String>,
}

/// Messages on the wire, the answer's being of this descriptor.
#[derive(Debug, Clone)]
struct ByDescriptor(MessageDescriptor);

impl Codec for ByDescriptor {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        self.clone()
    }
    fn decoder(&mut self) -> Self {
        self.clone()
    }
}
impl Encoder for ByDescriptor {
    type Item = DynamicMessage;
    type Error = Status;
    fn encode(&mut self, item: DynamicMessage, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(to).map_err(|e| Status::internal(format!("the request cannot be encoded: {e}")))
    }
}
impl Decoder for ByDescriptor {
    type Item = DynamicMessage;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        DynamicMessage::decode(self.0.clone(), from).map(Some).map_err(|e| Status::internal(format!("the answer cannot be decoded: {e}")))
    }
}
