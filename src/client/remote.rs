//! A server's cloud as a provider: the contract over a wire.

use super::{Client, Cloud};
use crate::convert::{Mutable, Resource, split_name};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, future::Future, time::Duration};
use welkin_core::{
    Api, Capabilities, Change, CloudProvider, Condition, Cursor, Cx, Driver, Error, FieldPath, Kind, Name, Object, Page, Query, Reader, Reason, Result, Resume, Retry, Shard, Step,
    Target, VendorId, Verb, kinds,
};
use welkin_engine::{Operation, Options, Outcome, Phase};

/// How long until a server's operation is looked at again.
const POLL: Duration = Duration::from_millis(200);
/// The server's part in the names of calls at the gate.
const FAMILY: &str = "welkin";

/// One cloud of a server as a [`CloudProvider`].
///
/// The change's token is the request id (with the verb in front, because a create and the delete that cleans up after it are two requests), and the
/// handle is the server's operation. The server has its own journal: it goes on by itself, gives its own uids and digests, and cleans up after what
/// fails. So there is nothing to look up when a write is unresolved: sending it again joins the first.
///
/// The server has other callers too, and a name that this one has made may be another's by now. So changes call what is there by the vendor's id, and
/// a delete that does not know it removes, or cancels, only what the create of its token has made, or what has its uid at the server.
///
/// The server cleans up after those of its creates that do not end well. One that has ended well there has made a resource like any other: a delete that
/// cleans up after it (`Resume::cleans_up`) is refused while the resource is protected or in use.
///
/// What the server owns counts as ours, whatever its owner is called there.
#[derive(Debug)]
pub struct Remote {
    cloud: Cloud,
    capabilities: Capabilities,
}

impl Remote {
    /// A provider for a cloud of the server, with the capabilities that it has now.
    ///
    /// # Errors
    /// `NotFound` where the server has no such cloud; `Unavailable`.
    pub async fn new(client: &Client, cloud: &str) -> Result<Self> {
        let cloud = client.cloud(cloud);
        let capabilities = cloud.capabilities().await?;
        Ok(Self { cloud, capabilities })
    }
    /// The typed client that it speaks through.
    #[must_use]
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    fn offers<K: Kind>(&self) -> Option<&Self> {
        self.capabilities.kinds.contains_key(K::COLLECTION).then_some(self)
    }

    /// Starts the server's operation, or looks at the one that was started.
    async fn advance<F: Future<Output = Result<Operation>> + Send>(
        &self,
        cx: &Cx,
        action: &'static str,
        resume: &Resume,
        send: impl FnOnce() -> F + Send,
    ) -> Result<Step<Operation>> {
        let started = match resume.data::<Begun>().filter(|b| b.action == action) {
            Some(begun) => match cx.call(Api::read(FAMILY, "GetOperation", self.cloud.name()), self.cloud.operation(&begun.operation)).await {
                // Its record has expired, but its request id is still taken: sending it again tells the end.
                Err(e) if e.reason() == Reason::OperationNotFound => None,
                found => Some(found?),
            },
            None => None,
        };
        let operation = match started {
            Some(operation) => operation,
            None => cx.call(Api::write(FAMILY, action, self.cloud.name()), send()).await?,
        };
        match &operation.end {
            Some(Ok(_)) => Ok(Step::Done(operation)),
            Some(Err(e)) => Err(ended(e.clone())),
            None => {
                let progress = if operation.progress.is_empty() { format!("{} at the server", operation.verb) } else { operation.progress.clone() };
                Step::wait(&Begun { action: action.to_owned(), operation: operation.id }, POLL, progress)
            }
        }
    }

    /// What the create of a delete's token has made. Where it is still being made, it is told to end.
    async fn made<K: Mutable>(&self, cx: &Cx, change: &Change<K>, resume: &Resume) -> Result<Made> {
        let request_id = request_id("create", &change.token);
        let filter = format!("request_id = {request_id}");
        let found = cx.call(Api::read(FAMILY, "ListOperations", self.cloud.name()), self.cloud.operations(&filter, 1, "")).await?;
        let Some(create) = found.0.into_iter().next() else {
            return self.of_uid(cx, change, resume).await;
        };
        match &create.end {
            // Another caller's request began it, and ours only was answered with it: it is that caller's to end.
            _ if create.request_id.as_ref() != Some(&request_id) => Ok(Made::Nothing),
            None => {
                if create.phase == Phase::Running {
                    cx.call(Api::write(FAMILY, "CancelOperation", self.cloud.name()), self.cloud.cancel(&create.id)).await?;
                }
                Ok(Made::Open("the create is ending at the server"))
            }
            Some(Err(_)) => Ok(Made::Nothing),
            Some(Ok(_)) => {
                let object = create.object::<K>()?;
                // A create that was answered with what exists has made nothing.
                let is_its_own = object.mark.is_some_and(|m| Some(m.uid) == create.uid);
                Ok(if is_its_own { Made::This(object.vendor_id) } else { Made::Nothing })
            }
        }
    }

    /// There is no such create: what has the name is meant only where it has the uid, which then is the server's own.
    async fn of_uid<K: Mutable>(&self, cx: &Cx, change: &Change<K>, resume: &Resume) -> Result<Made> {
        match cx.call(Api::read(FAMILY, "Get", self.cloud.name()), self.cloud.get(&name_of(&change.target)?)).await {
            Ok(object) if object.mark.as_ref().is_some_and(|m| m.uid == change.uid) => return Ok(Made::This(object.vendor_id)),
            Err(e) if !e.is_not_found() => return Err(e),
            _ => {}
        }
        // For so long after it was sent it may come in: as long as its call may take.
        Ok(if resume.is_past(self.cloud.client.timeout) { Made::Nothing } else { Made::Open("the create may still come in at the server") })
    }

    /// The main object is gone; where only fragments are left, the server shows the name as incomplete.
    async fn fragments<K: Mutable>(&self, cx: &Cx, target: &Target<K>) -> Result<Step<()>> {
        let Target::Named { name, .. } = target else { return Ok(Step::Done(())) };
        let left = match cx.call(Api::read(FAMILY, "Get", self.cloud.name()), self.cloud.get(name)).await {
            Err(e) if e.is_not_found() => return Ok(Step::Done(())),
            left => left?,
        };
        if K::condition(&left.status) != Condition::Incomplete {
            return Ok(Step::Done(()));
        }
        // The etag: nothing else than what was seen.
        let options = Options { etag: Some(left.etag()), allow_missing: true, ..Default::default() };
        match cx.call(Api::write(FAMILY, "Delete", self.cloud.name()), self.cloud.delete(name, options)).await {
            Err(e) if !matches!(e.reason(), Reason::OperationInProgress | Reason::EtagMismatch) => Err(e),
            _ => Ok(Step::look_again(POLL, "fragments are being removed at the server")),
        }
    }
}

/// The operation that does a change. A delete may get the one of the create that it cleans up after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Begun {
    action: String,
    operation: String,
}

/// What a create has come to at the server.
enum Made {
    This(VendorId),
    /// Nothing that is its own.
    Nothing,
    /// It has not ended.
    Open(&'static str),
}

/// The server has repeated it as often as it may, and would answer the same again for the same request id.
fn ended(error: Error) -> Error {
    match error.retry() {
        Retry::After(_) => error.with_retry(Retry::Exhausted),
        Retry::Never | Retry::Exhausted => error,
    }
}
fn request_id(verb: &str, token: &str) -> String {
    format!("{verb}-{token}")
}
fn options(verb: &str, token: &str) -> Options {
    Options { request_id: Some(request_id(verb, token)), ..Default::default() }
}
/// With the mark as ours, and in the parent as its caller calls it: the server knows that by a name of its own.
fn ours<K: Kind>(cx: &Cx, parent: Option<&K::Parent>, mut object: Object<K>) -> Object<K> {
    if let Some(parent) = parent {
        object.name.parent = parent.clone();
    }
    if let Some(mark) = &mut object.mark {
        mark.owner = cx.owner.clone();
    }
    object
}
fn name_of<K: Kind>(target: &Target<K>) -> Result<Name<K>> {
    match target {
        Target::Named { name, .. } => Ok(name.clone()),
        Target::Vendor { parent, vendor_id } => Ok(Name::new(parent.clone(), K::foreign_id(vendor_id.as_str())?)),
    }
}

/// Whom a change means: by the vendor's id where that is known, because a name can be another resource's by now.
fn changed<K: Kind>(target: &Target<K>) -> Result<Name<K>> {
    match target.vendor_id() {
        Some(id) => Ok(Name::new(target.parent().clone(), K::foreign_id(id.as_str())?)),
        None => name_of(target),
    }
}

#[async_trait]
impl<K: Resource> Reader<K> for Remote {
    fn shards(&self, _: &Query<K>) -> Vec<Shard> {
        // The server divides it further.
        vec![Shard("-".into())]
    }
    async fn get(&self, cx: &Cx, target: &Target<K>) -> Result<Object<K>> {
        let name = name_of(target)?;
        let object = cx.call(Api::read(FAMILY, "Get", self.cloud.name()), self.cloud.get(&name)).await?;
        Ok(ours(cx, Some(target.parent()), object))
    }
    async fn list(&self, cx: &Cx, query: &Query<K>, _: &Shard, from: Option<&Cursor>) -> Result<Page<K>> {
        let token = from.map_or("", |c| c.0.as_str());
        let page = self.cloud.list::<K>(query.parent.as_ref(), "", query.page_size.max(1), token);
        let page = cx.call(Api::read(FAMILY, "List", self.cloud.name()), page).await?;
        let wanted = |o: &Object<K>| (query.vendor_ids.is_empty() || query.vendor_ids.contains(&o.vendor_id)) && (!query.owned_only || o.mark.is_some());
        Ok(Page {
            items: page.items.into_iter().filter(wanted).map(|o| ours(cx, query.parent.as_ref(), o)).collect(),
            next: (!page.next_page_token.is_empty()).then(|| Cursor(page.next_page_token.clone())),
            unreachable: page.unreachable.iter().map(|name| split_name(name)?.1.parse()).collect::<Result<_>>()?,
        })
    }
}

#[async_trait]
impl<K: Mutable> Driver<K> for Remote {
    async fn check(&self, cx: &Cx, change: &Change<K>) -> Result<()> {
        let name = changed(&change.target)?;
        let options = Options { validate_only: true, ..Default::default() };
        let checked = async {
            match &change.verb {
                Verb::Create { spec, .. } => self.cloud.create(&name, spec.clone(), options).await,
                Verb::Update { desired, paths } => self.cloud.update(&name, desired.clone(), paths, options).await,
                Verb::Delete => self.cloud.delete(&name, options).await,
                Verb::Act(action) => self.cloud.act(&name, action.clone(), options).await,
            }
        };
        cx.call(Api::read(FAMILY, "Validate", self.cloud.name()), checked).await.map(|_| ())
    }

    async fn create(&self, cx: &Cx, change: &Change<K>, spec: &K::Spec, resume: &Resume) -> Result<Step<Object<K>>> {
        let name = changed(&change.target)?;
        let step = self.advance(cx, "Create", resume, || self.cloud.create(&name, spec.clone(), options("create", &change.token))).await?;
        object(cx, &change.target, step)
    }

    async fn update(&self, cx: &Cx, change: &Change<K>, desired: &K::Spec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<K>>> {
        let name = changed(&change.target)?;
        let step = self.advance(cx, "Update", resume, || self.cloud.update(&name, desired.clone(), paths, options("update", &change.token))).await?;
        object(cx, &change.target, step)
    }

    async fn delete(&self, cx: &Cx, change: &Change<K>, resume: &Resume) -> Result<Step<()>> {
        let name = if change.target.vendor_id().is_some() {
            changed(&change.target)?
        } else {
            match self.made(cx, change, resume).await? {
                Made::This(id) => Name::new(change.target.parent().clone(), K::foreign_id(id.as_str())?),
                Made::Nothing => return Ok(Step::Done(())),
                Made::Open(progress) => return Ok(Step::look_again(POLL, progress)),
            }
        };
        let options = Options { allow_missing: true, ..options("delete", &change.token) };
        match self.advance(cx, "Delete", resume, || self.cloud.delete(&name, options)).await {
            Err(e) if e.reason() == Reason::OperationInProgress => Ok(Step::look_again(POLL, "another operation is ending at the server")),
            Err(e) => Err(e),
            Ok(Step::Done(_)) => self.fragments(cx, &change.target).await,
            Ok(Step::Wait { handle, after, progress }) => Ok(Step::Wait { handle, after, progress }),
        }
    }

    async fn act(&self, cx: &Cx, change: &Change<K>, action: &K::Action, resume: &Resume) -> Result<Step<K::Outcome>> {
        let name = changed(&change.target)?;
        let verb = action.to_string();
        match self.advance(cx, "Act", resume, || self.cloud.act(&name, action.clone(), options(&verb, &change.token))).await? {
            Step::Done(Operation { end: Some(Ok(Outcome::Acted(value))), .. }) => {
                serde_json::from_value(value).map(Step::Done).map_err(|e| Error::internal("an action's outcome cannot be read").with_source(e))
            }
            Step::Done(other) => Err(Error::internal(format!("operation {} did not end as an action", other.id))),
            Step::Wait { handle, after, progress } => Ok(Step::Wait { handle, after, progress }),
        }
    }
    async fn ask(&self, cx: &Cx, target: &Target<K>, question: &K::Question) -> Result<K::Answer> {
        let name = name_of(target)?;
        cx.call(Api::read(FAMILY, "Ask", self.cloud.name()), self.cloud.ask(&name, question.clone())).await
    }
}

fn object<K: Mutable>(cx: &Cx, target: &Target<K>, step: Step<Operation>) -> Result<Step<Object<K>>> {
    match step {
        Step::Done(operation) => Ok(Step::Done(ours(cx, Some(target.parent()), operation.object()?))),
        Step::Wait { handle, after, progress } => Ok(Step::Wait { handle, after, progress }),
    }
}

macro_rules! provider {
    ([] managed { $($f:ident: $k:ident),* } catalogue { $($g:ident: $c:ident),* }) => {
        impl CloudProvider for Remote {
            fn capabilities(&self) -> &Capabilities {
                &self.capabilities
            }
            $(fn $f(&self) -> Option<&dyn Driver<welkin_core::$k>> {
                self.offers::<welkin_core::$k>().map(|r| r as _)
            })*
            $(fn $g(&self) -> Option<&dyn Reader<welkin_core::$c>> {
                self.offers::<welkin_core::$c>().map(|r| r as _)
            })*
        }
    };
}
kinds!(provider);
