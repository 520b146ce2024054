//! Clients of the gRPC service, in the types of the core.

mod remote;
#[cfg(test)]
#[cfg(feature = "sim")]
mod tests;

use crate::{
    api::{google::longrunning as lro, v1},
    convert::{self, Mutable, Resource, capability, error::from_status, full_name, operation, proto_duration},
    wire,
};
use http::uri::PathAndQuery;
use prost::Message;
use prost_types::FieldMask;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::Instant;
use tonic::{
    Request,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;
use welkin_core::{Capabilities, Effect, Error, ErrorKind, FieldPath, Name, Object, Reason, Result, Retry};
use welkin_engine::{Operation, Options};

pub use remote::Remote;

/// How long one call may take, unless said otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long one WaitOperation waits at the server.
const WAIT: Duration = Duration::from_secs(60);
/// The largest answer that is taken: a full page of large resources.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// What every path of the operations' service begins with.
const OPERATIONS: &str = "google.longrunning.Operations";
/// And of the clouds'.
const CLOUDS: &str = "welkin.v1.Clouds";

/// A connection to a server. Cloning is cheap.
///
/// ```no_run
/// use std::time::Duration;
/// use welkin::{Instance, InstanceAction, Name, Result, client::Client, engine::Options};
/// # async fn run() -> Result<()> {
/// let cloud = Client::connect("http://127.0.0.1:7750").await?.cloud("sim");
/// let web: Name<Instance> = "locations/sim-1/instances/web".parse()?;
/// let stopping = cloud.act(&web, InstanceAction::Stop, Options::default()).await?;
/// cloud.wait(stopping, Duration::from_secs(60)).await?;
/// println!("{:?}", cloud.get(&web).await?.status.state);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    timeout: Duration,
}

impl Client {
    /// Connects to `http://host:port`.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no such address, `Unavailable` where nobody answers there.
    pub async fn connect(endpoint: impl Into<String>) -> Result<Self> {
        let text = endpoint.into();
        let bad = |e: tonic::transport::Error| Error::invalid("endpoint", format!("{text:?} is not an address such as http://127.0.0.1:7750")).with_source(e);
        let endpoint = Endpoint::from_shared(text.clone()).map_err(bad)?.connect_timeout(Duration::from_secs(10)).tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|e| {
            Error::new(ErrorKind::Unavailable, Reason::CloudUnavailable, format!("no server answers at {text}")).with_retry(Retry::After(Duration::ZERO)).with_source(e)
        })?;
        Ok(Self::over(channel))
    }
    /// Speaks over a channel that exists already.
    #[must_use]
    pub fn over(channel: Channel) -> Self {
        Self { channel, timeout: TIMEOUT }
    }
    /// How long one call may take; 30 seconds unless said otherwise. Waiting for an operation has its own limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
    /// The clouds that the server is configured with, sorted by name.
    ///
    /// # Errors
    /// The server's, or `Unavailable`.
    pub async fn clouds(&self) -> Result<Vec<v1::Cloud>> {
        let (mut clouds, mut page_token) = (Vec::new(), String::new());
        loop {
            let page: v1::ListCloudsResponse = self.call(CLOUDS, "ListClouds", v1::ListCloudsRequest { page_size: 1000, page_token }, Write::No).await?;
            clouds.extend(page.clouds);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(clouds);
            }
        }
    }
    /// One of the clouds. No call is made.
    #[must_use]
    pub fn cloud(&self, name: &str) -> Cloud {
        Cloud { client: self.clone(), name: name.into() }
    }

    async fn call<Q: Message + 'static, A: Message + Default + 'static>(&self, service: &str, method: &str, request: Q, write: Write) -> Result<A> {
        self.call_within(service, method, request, write, self.timeout).await
    }
    async fn call_within<Q: Message + 'static, A: Message + Default + 'static>(&self, service: &str, method: &str, request: Q, write: Write, limit: Duration) -> Result<A> {
        let path = PathAndQuery::try_from(format!("/{service}/{method}")).map_err(|e| Error::internal("a method's path is none").with_source(e))?;
        let mut request = Request::new(request);
        request.set_timeout(limit);
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER);
        let answer = async {
            grpc.ready().await.map_err(|e| unreachable_server(Effect::None).with_source(e))?;
            let answer = grpc.unary(request, path, ProstCodec::<Q, A>::default()).await;
            answer.map(tonic::Response::into_inner).map_err(|status| failed(&status, write))
        };
        // The server keeps the same limit; this one is for a server that does not answer at all.
        tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(overdue(method, write)))
    }
}

/// Can a call change anything?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    No,
    Yes,
}
impl Write {
    /// What is known of a call whose answer is missing.
    fn unanswered(self) -> Effect {
        match self {
            Self::No => Effect::None,
            Self::Yes => Effect::Unknown,
        }
    }
}

fn unreachable_server(effect: Effect) -> Error {
    Error::new(ErrorKind::Unavailable, Reason::CloudUnavailable, "the server cannot be reached").with_retry(Retry::After(Duration::ZERO)).with_effect(effect)
}
fn overdue(method: &str, write: Write) -> Error {
    let why = format!("{method} was not answered in time");
    Error::new(ErrorKind::DeadlineExceeded, Reason::Deadline, why).with_retry(Retry::After(Duration::ZERO)).with_effect(write.unanswered())
}
/// An error of the server has details; one without them is the transport's, and tells nothing of what the server did.
fn failed(status: &tonic::Status, write: Write) -> Error {
    let error = from_status(status);
    if !status.details().is_empty() {
        return error;
    }
    match error.kind() {
        ErrorKind::Unavailable => unreachable_server(write.unanswered()).with_source(status.clone()),
        // The limit of a call that passed at the server shows up as its cancellation.
        ErrorKind::Cancelled | ErrorKind::DeadlineExceeded => overdue("the call", write).with_source(status.clone()),
        // A connection that ends midway, in words of the transport.
        ErrorKind::Unknown | ErrorKind::Internal => error.with_retry(Retry::After(Duration::ZERO)).with_effect(write.unanswered()).with_source(status.clone()),
        _ => error,
    }
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Listing<K: Resource> {
    /// The resources.
    pub items: Vec<Object<K>>,
    /// Empty at the end.
    pub next_page_token: String,
    /// What could not be read: `clouds/prod/locations/eu-west-1`.
    pub unreachable: Vec<String>,
}

/// One cloud of a server. Cloning is cheap. Names are those below the cloud, as in the engine.
#[derive(Debug, Clone)]
pub struct Cloud {
    client: Client,
    name: Arc<str>,
}

impl Cloud {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
    /// What it is configured as, with its vendor calls.
    ///
    /// # Errors
    /// The server's, or `Unavailable`.
    pub async fn describe(&self) -> Result<v1::Cloud> {
        self.client.call(CLOUDS, "GetCloud", v1::GetCloudRequest { name: format!("clouds/{}", self.name) }, Write::No).await
    }
    /// What it can do. Every text in it is kept for the life of the process.
    ///
    /// # Errors
    /// The server's, or `Unavailable`.
    pub async fn capabilities(&self) -> Result<Capabilities> {
        let request = v1::GetCapabilitiesRequest { name: format!("clouds/{}/capabilities", self.name) };
        capability::decode(&self.client.call(CLOUDS, "GetCapabilities", request, Write::No).await?)
    }
    /// Reads one resource.
    ///
    /// # Errors
    /// `NotFound` only where the cloud itself said so.
    pub async fn get<K: Resource>(&self, name: &Name<K>) -> Result<Object<K>> {
        let request = wire::Get { name: full_name(&self.name, name) };
        let message = self.client.call(K::SERVICE, &format!("Get{}", K::KIND), request, Write::No).await?;
        K::decode(&self.name, message)
    }
    /// Asks a question about one resource.
    ///
    /// # Errors
    /// As [`Cloud::get`]; `Unimplemented` where the cloud cannot be asked that.
    pub async fn ask<K: Mutable>(&self, name: &Name<K>, question: K::Question) -> Result<K::Answer> {
        let method = K::QUESTIONS.iter().find(|(_, q)| *q == question).map(|(method, _)| *method);
        let method = method.ok_or_else(|| Error::internal(format!("{question} is no method of {}", K::SERVICE)))?;
        let request = wire::Get { name: full_name(&self.name, name) };
        Ok(K::decode_answer(self.client.call(K::SERVICE, method, request, Write::No).await?))
    }
    /// Reads one page of a list; `parent` None for all of them. `page_size` 0 leaves it to the server.
    ///
    /// # Errors
    /// `InvalidArgument` for a filter or token that is not understood.
    pub async fn list<K: Resource>(&self, parent: Option<&K::Parent>, filter: &str, page_size: usize, page_token: &str) -> Result<Listing<K>> {
        let request = wire::List {
            parent: self.parent(&parent.map_or_else(|| K::ANY_PARENT.to_owned(), ToString::to_string)),
            page_size: i32::try_from(page_size).unwrap_or(i32::MAX),
            page_token: page_token.to_owned(),
            filter: filter.to_owned(),
        };
        let kinds = K::SERVICE.rsplit('.').next().unwrap_or_default();
        let page: wire::Listed<K::Message> = self.client.call(K::SERVICE, &format!("List{kinds}"), request, Write::No).await?;
        let items = page.items.into_iter().map(|m| K::decode(&self.name, m)).collect::<Result<_>>()?;
        Ok(Listing { items, next_page_token: page.next_page_token, unreachable: page.unreachable })
    }
    /// Makes a resource, or with [`Options::adopt`] adopts one, and then the specification is empty.
    ///
    /// # Errors
    /// `InvalidArgument` naming every wrong field, `AlreadyExists` where the name is taken.
    pub async fn create<K: Mutable>(&self, name: &Name<K>, spec: K::Spec, options: Options) -> Result<Operation> {
        let request = wire::Create {
            parent: self.parent(&name.parent.to_string()),
            id: name.id.to_string(),
            resource: Some(K::encode_spec(&self.name, spec)?),
            request_id: options.request_id.unwrap_or_default(),
            validate_only: options.validate_only,
            adopt: options.adopt.unwrap_or_default(),
        };
        self.change::<K, _>(&format!("Create{}", K::KIND), request).await
    }
    /// Changes the fields of `paths` to what `patch` says; without paths, every field that is set in it.
    ///
    /// # Errors
    /// `InvalidArgument` for unknown and immutable fields, `Aborted` for another etag.
    pub async fn update<K: Mutable>(&self, name: &Name<K>, patch: K::Spec, paths: &BTreeSet<FieldPath>, options: Options) -> Result<Operation> {
        let mut message = K::encode_spec(&self.name, patch)?;
        K::set_name_and_etag(&mut message, full_name(&self.name, name), options.etag.map(|e| e.0).unwrap_or_default());
        let request = wire::Update {
            resource: Some(message),
            update_mask: (!paths.is_empty()).then(|| FieldMask { paths: paths.iter().map(|p| p.0.clone()).collect() }),
            request_id: options.request_id.unwrap_or_default(),
            validate_only: options.validate_only,
        };
        self.change::<K, _>(&format!("Update{}", K::KIND), request).await
    }
    /// Removes a resource, or with [`Options::release`] only manages it no longer.
    ///
    /// # Errors
    /// `NotFound` unless missing is allowed, `FailedPrecondition` for what is not ours.
    pub async fn delete<K: Mutable>(&self, name: &Name<K>, options: Options) -> Result<Operation> {
        self.change::<K, _>(&format!("Delete{}", K::KIND), self.touch(name, options)).await
    }
    /// Does one of the kind's own verbs.
    ///
    /// # Errors
    /// `NotFound`, `FailedPrecondition` for what is not ours, `Unimplemented` where the cloud does not have the verb.
    pub async fn act<K: Mutable>(&self, name: &Name<K>, action: K::Action, options: Options) -> Result<Operation> {
        let verb = action.to_string();
        let method = K::ACTIONS.iter().find(|(_, a)| a.to_string() == verb).map(|(method, _)| *method);
        let method = method.ok_or_else(|| Error::internal(format!("{action} is no method of {}", K::SERVICE)))?;
        let request = wire::Act { touch: self.touch(name, options), arguments: K::arguments(&self.name, &action)? };
        self.change::<K, _>(method, request).await
    }

    /// An operation as it is now.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn operation(&self, id: &str) -> Result<Operation> {
        let request = lro::GetOperationRequest { name: self.operation_name(id) };
        operation::decode(self.client.call(OPERATIONS, "GetOperation", request, Write::No).await?)
    }
    /// One page of operations, newest first, and the token of the next.
    ///
    /// # Errors
    /// `InvalidArgument` for a token that is not one of the server's.
    pub async fn operations(&self, filter: &str, page_size: usize, page_token: &str) -> Result<(Vec<Operation>, String)> {
        let request = lro::ListOperationsRequest {
            name: format!("clouds/{}", self.name),
            filter: filter.to_owned(),
            page_size: i32::try_from(page_size).unwrap_or(i32::MAX),
            page_token: page_token.to_owned(),
        };
        let page: lro::ListOperationsResponse = self.client.call(OPERATIONS, "ListOperations", request, Write::No).await?;
        Ok((page.operations.into_iter().map(operation::decode).collect::<Result<_>>()?, page.next_page_token))
    }
    /// Waits for the end of an operation, at most `timeout`, and answers it as it then is; one that has ended is answered as it is.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`. The operation's own failure is in the operation.
    pub async fn wait(&self, mut operation: Operation, timeout: Duration) -> Result<Operation> {
        let end = Instant::now() + timeout;
        while !operation.is_done() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let wait = left.min(WAIT);
            let request = lro::WaitOperationRequest { name: self.operation_name(&operation.id), timeout: Some(proto_duration(wait)) };
            let answer = self.client.call_within(OPERATIONS, "WaitOperation", request, Write::No, wait + self.client.timeout).await?;
            operation = convert::operation::decode(answer)?;
        }
        Ok(operation)
    }
    /// Asks for the end of an operation.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn cancel(&self, id: &str) -> Result<()> {
        self.client.call(OPERATIONS, "CancelOperation", lro::CancelOperationRequest { name: self.operation_name(id) }, Write::Yes).await
    }
    /// Forgets an ended operation.
    ///
    /// # Errors
    /// `NotFound`, `FailedPrecondition` while it is open.
    pub async fn forget(&self, id: &str) -> Result<()> {
        self.client.call(OPERATIONS, "DeleteOperation", lro::DeleteOperationRequest { name: self.operation_name(id) }, Write::Yes).await
    }

    async fn change<K: Mutable, Q: Message + 'static>(&self, method: &str, request: Q) -> Result<Operation> {
        operation::decode(self.client.call(K::SERVICE, method, request, Write::Yes).await?)
    }
    fn touch<K: Mutable>(&self, name: &Name<K>, options: Options) -> wire::Touch {
        wire::Touch {
            name: full_name(&self.name, name),
            etag: options.etag.map(|e| e.0).unwrap_or_default(),
            request_id: options.request_id.unwrap_or_default(),
            validate_only: options.validate_only,
            allow_missing: options.allow_missing,
            release: options.release,
        }
    }
    fn parent(&self, below: &str) -> String {
        if below.is_empty() { format!("clouds/{}", self.name) } else { full_name(&self.name, &below) }
    }
    fn operation_name(&self, id: &str) -> String {
        format!("clouds/{}/operations/{id}", self.name)
    }
}
