//! The service of a kind: which method is which handler.

use super::{
    Shared,
    call::{Call, Methods},
    change, read,
};
use crate::convert::{Mutable, Resource};
use std::{marker::PhantomData, sync::Arc};
use tonic::body::Body;

/// The service of a kind that is only read.
#[derive(Debug, Clone)]
pub(super) struct Catalogue<K>(PhantomData<K>);
impl<K: Resource> Methods for Catalogue<K> {
    const SERVICE: &'static str = K::SERVICE;
    async fn answer(shared: Arc<Shared>, call: Call) -> http::Response<Body> {
        match Read::of::<K>(call.method()) {
            Some(Read::Get) => call.unary(&shared, |r| read::get::<K>(&shared, r)).await,
            // In a box of its own: a call is as large as the largest of its ways, and of all calls most get one resource.
            Some(Read::List) => Box::pin(call.unary(&shared, |r| read::list::<K>(&shared, r))).await,
            None => call.unimplemented(),
        }
    }
}

/// The service of a kind that can be changed.
#[derive(Debug, Clone)]
pub(super) struct Managed<K>(PhantomData<K>);
impl<K: Mutable> Methods for Managed<K> {
    const SERVICE: &'static str = K::SERVICE;
    async fn answer(shared: Arc<Shared>, call: Call) -> http::Response<Body> {
        if Read::of::<K>(call.method()).is_some() {
            return Catalogue::<K>::answer(shared, call).await;
        }
        if let Some((_, question)) = K::QUESTIONS.iter().find(|(method, _)| *method == call.method()) {
            return Box::pin(call.unary(&shared, |r| read::ask::<K>(&shared, r, question.clone()))).await;
        }
        Box::pin(Self::change(shared, call)).await
    }
}
impl<K: Mutable> Managed<K> {
    async fn change(shared: Arc<Shared>, call: Call) -> http::Response<Body> {
        match Change::of::<K>(call.method()) {
            Some(Change::Create) => call.unary(&shared, |r| change::create::<K>(&shared, r)).await,
            Some(Change::Update) => call.unary(&shared, |r| change::update::<K>(&shared, r)).await,
            Some(Change::Delete) => call.unary(&shared, |r| change::delete::<K>(&shared, r)).await,
            Some(Change::Act(action)) => call.unary(&shared, |r| change::act::<K>(&shared, r, action.clone())).await,
            None => call.unimplemented(),
        }
    }
}

enum Read {
    Get,
    List,
}
impl Read {
    /// `GetInstance`, `ListInstances`.
    fn of<K: Resource>(method: &str) -> Option<Self> {
        if method.strip_prefix("Get") == Some(K::KIND) {
            return Some(Self::Get);
        }
        // A service is named by its kind's plural.
        (method.strip_prefix("List") == K::SERVICE.rsplit('.').next()).then_some(Self::List)
    }
}

enum Change<A> {
    Create,
    Update,
    Delete,
    Act(A),
}
impl<A: Clone> Change<A> {
    /// `CreateInstance`, `UpdateInstance`, `DeleteInstance`, and the kind's own verbs.
    fn of<K: Mutable<Action = A>>(method: &str) -> Option<Self> {
        match method.strip_suffix(K::KIND)? {
            "Create" => Some(Self::Create),
            "Update" => Some(Self::Update),
            "Delete" => Some(Self::Delete),
            _ => K::ACTIONS.iter().find(|(name, _)| *name == method).map(|(_, action)| Self::Act(action.clone())),
        }
    }
}
