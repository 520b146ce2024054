//! A server's cloud as a provider: the contract over a wire.

use super::{Client, Cloud};
use crate::convert::{Mutable, Resource, split_name};
use async_trait::async_trait;
use std::{collections::BTreeSet, future::Future, time::Duration};
use welkin_core::{
    Api, Capabilities, Change, CloudProvider, Cursor, Cx, Driver, Error, FieldPath, Kind, Name, Object, Page, Query, Reader, Reason, Result, Resume, Retry, Shard, Step, Target,
    Verb, kinds,
};
use welkin_engine::{Operation, Options, Outcome};

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
        let started = match resume.data::<String>() {
            Some(id) => match cx.call(Api::read(FAMILY, "GetOperation", self.cloud.name()), self.cloud.operation(&id)).await {
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
                Step::wait(&operation.id, POLL, progress)
            }
        }
    }

    /// Where another operation of the server is in the way of a delete: a create is told to end, and either is waited for.
    async fn make_way<K: Mutable>(&self, cx: &Cx, name: &Name<K>, error: &Error) -> Result<Step<()>> {
        if let Some(id) = error.operation().and_then(|o| o.rsplit('/').next())
            && let Ok(other) = cx.call(Api::read(FAMILY, "GetOperation", self.cloud.name()), self.cloud.operation(id)).await
            && other.verb == "create"
            && other.target == name.to_string()
            && !other.is_done()
        {
            cx.call(Api::write(FAMILY, "CancelOperation", self.cloud.name()), self.cloud.cancel(id)).await?;
        }
        Ok(Step::look_again(POLL, "another operation is ending at the server"))
    }
}

/// The server has repeated it as often as it may, and would answer the same again for the same request id.
fn ended(error: Error) -> Error {
    match error.retry() {
        Retry::After(_) => error.with_retry(Retry::Exhausted),
        Retry::Never | Retry::Exhausted => error,
    }
}
fn request_id(verb: &str, token: &str) -> Options {
    Options { request_id: Some(format!("{verb}-{token}")), ..Default::default() }
}
fn ours<K: Kind>(cx: &Cx, mut object: Object<K>) -> Object<K> {
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

#[async_trait]
impl<K: Resource> Reader<K> for Remote {
    fn shards(&self, _: &Query<K>) -> Vec<Shard> {
        // The server divides it further.
        vec![Shard("-".into())]
    }
    async fn get(&self, cx: &Cx, target: &Target<K>) -> Result<Object<K>> {
        let name = name_of(target)?;
        let object = cx.call(Api::read(FAMILY, "Get", self.cloud.name()), self.cloud.get(&name)).await?;
        Ok(ours(cx, object))
    }
    async fn list(&self, cx: &Cx, query: &Query<K>, _: &Shard, from: Option<&Cursor>) -> Result<Page<K>> {
        let token = from.map_or("", |c| c.0.as_str());
        let page = self.cloud.list::<K>(query.parent.as_ref(), "", query.page_size.max(1), token);
        let page = cx.call(Api::read(FAMILY, "List", self.cloud.name()), page).await?;
        let wanted = |o: &Object<K>| (query.vendor_ids.is_empty() || query.vendor_ids.contains(&o.vendor_id)) && (!query.owned_only || o.mark.is_some());
        Ok(Page {
            items: page.items.into_iter().filter(wanted).map(|o| ours(cx, o)).collect(),
            next: (!page.next_page_token.is_empty()).then(|| Cursor(page.next_page_token.clone())),
            unreachable: page.unreachable.iter().map(|name| split_name(name)?.1.parse()).collect::<Result<_>>()?,
        })
    }
}

#[async_trait]
impl<K: Mutable> Driver<K> for Remote {
    async fn check(&self, cx: &Cx, change: &Change<K>) -> Result<()> {
        let name = name_of(&change.target)?;
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
        let name = name_of(&change.target)?;
        let step = self.advance(cx, "Create", resume, || self.cloud.create(&name, spec.clone(), request_id("create", &change.token))).await?;
        object(cx, step)
    }

    async fn update(&self, cx: &Cx, change: &Change<K>, desired: &K::Spec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<K>>> {
        let name = name_of(&change.target)?;
        let step = self.advance(cx, "Update", resume, || self.cloud.update(&name, desired.clone(), paths, request_id("update", &change.token))).await?;
        object(cx, step)
    }

    async fn delete(&self, cx: &Cx, change: &Change<K>, resume: &Resume) -> Result<Step<()>> {
        let name = name_of(&change.target)?;
        let options = Options { allow_missing: true, ..request_id("delete", &change.token) };
        match self.advance(cx, "Delete", resume, || self.cloud.delete(&name, options)).await {
            Err(e) if e.reason() == Reason::OperationInProgress => self.make_way(cx, &name, &e).await,
            step => Ok(step?.map(|_| ())),
        }
    }

    async fn act(&self, cx: &Cx, change: &Change<K>, action: &K::Action, resume: &Resume) -> Result<Step<K::Outcome>> {
        let name = name_of(&change.target)?;
        let verb = action.to_string();
        match self.advance(cx, "Act", resume, || self.cloud.act(&name, action.clone(), request_id(&verb, &change.token))).await? {
            Step::Done(Operation { end: Some(Ok(Outcome::Acted(value))), .. }) => {
                serde_json::from_value(value).map(Step::Done).map_err(|e| Error::internal("an action's outcome cannot be read").with_source(e))
            }
            Step::Done(other) => Err(Error::internal(format!("operation {} did not end as an action", other.id))),
            Step::Wait { handle, after, progress } => Ok(Step::Wait { handle, after, progress }),
        }
    }
}

fn object<K: Mutable>(cx: &Cx, step: Step<Operation>) -> Result<Step<Object<K>>> {
    match step {
        Step::Done(operation) => Ok(Step::Done(ours(cx, operation.object()?))),
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
