//! Get, List and the kinds' questions, for every kind.

use super::{Shared, call::Reply};
use crate::{
    convert::{Mutable, Resource, error::to_status, is_wild, one_name, split_name},
    wire,
};
use std::sync::Arc;
use welkin_core::{Error, Name, ProviderId, Reason, Result, Violation};
use welkin_engine::{Account, ListRequest};

/// The page size where none is asked for.
const DEFAULT_PAGE: usize = 50;
/// The largest page.
const MAX_PAGE: usize = 1000;

/// `Get{Kind}`.
pub(super) async fn get<K: Resource>(shared: &Shared, request: wire::Get) -> Reply<K::Message> {
    let (account, below) = account(shared, &request.name)?;
    let read = async {
        let name = named::<K>(below).map_err(|e| e.with_field("name"))?;
        K::encode(account.cloud(), account.get(&name).await?)
    };
    read.await.map_err(|e| to_status(&e, Some(account.cloud())))
}
/// `Get{Kind}{Noun}`.
pub(super) async fn ask<K: Mutable>(shared: &Shared, request: wire::Get, question: K::Question) -> Reply<K::AnswerMessage> {
    let (account, below) = account(shared, &request.name)?;
    let read = async {
        let name = named::<K>(below).map_err(|e| e.with_field("name"))?;
        account.ask(&name, question).await.map(K::encode_answer)
    };
    read.await.map_err(|e| to_status(&e, Some(account.cloud())))
}
fn account<'a>(shared: &'a Shared, name: &'a str) -> Reply<(&'a Arc<Account>, &'a str)> {
    let found = split_name(name).and_then(|(cloud, below)| Ok((shared.engine.account(cloud)?, below)));
    found.map_err(|e| to_status(&e.with_field("name"), None))
}

/// A name, whose id may also be a provider id, percent-encoded as every id: `aws%3A%2F%2F%2Feu-west-1a%2Fi-0abc`.
fn named<K: Resource>(below: &str) -> Result<Name<K>> {
    let name = one_name::<K>(below)?;
    match below.rsplit('/').next() {
        Some(id) if id.contains("%3A%2F%2F") => {
            let raw: welkin_core::ResourceId = id.parse()?;
            let provider_id: ProviderId = raw.decoded().parse()?;
            Ok(Name::new(name.parent, K::foreign_id(provider_id.last())?))
        }
        _ => Ok(name),
    }
}

/// The page size that a request means.
pub(super) fn page_size(asked: i32) -> std::result::Result<usize, Violation> {
    match usize::try_from(asked) {
        Ok(0) => Ok(DEFAULT_PAGE),
        Ok(n) => Ok(n.min(MAX_PAGE)),
        Err(_) => Err(Violation::new("page_size", format!("{asked} is less than 0; 0 leaves it to the server, which takes {DEFAULT_PAGE}"))),
    }
}

/// The cloud and the parent of a list; None for all of them.
fn parent<K: Resource>(text: &str) -> Result<(Option<String>, Option<K::Parent>)> {
    let (cloud, below) = split_name(text)?;
    let cloud = (cloud != "-").then(|| cloud.to_owned());
    if below == K::ANY_PARENT {
        return Ok((cloud, None));
    }
    let parent: K::Parent = below.parse().map_err(Into::into)?;
    Ok((cloud, if is_wild::<K>(&parent) { None } else { Some(parent) }))
}

/// `List{Kinds}`.
pub(super) async fn list<K: Resource>(shared: &Shared, request: wire::List) -> Reply<wire::Listed<K::Message>> {
    let mut wrong = Vec::new();
    let size = page_size(request.page_size).map_err(|v| wrong.push(v)).unwrap_or(DEFAULT_PAGE);
    let parent = parent::<K>(&request.parent).map_err(|e| wrong.push(Violation::new("parent", e.message())));
    let Ok((cloud, parent)) = parent else {
        return Err(to_status(&Error::violated(Reason::InvalidName, wrong), None));
    };
    if !wrong.is_empty() {
        return Err(to_status(&Error::violated(Reason::InvalidField, wrong), cloud.as_deref()));
    }
    if let Some(cloud) = &cloud {
        shared.engine.account(cloud).map_err(|e| to_status(&e.with_field("parent"), None))?;
    }
    let status = |cloud: Option<&str>, e: &Error| to_status(e, cloud);
    let ask = ListRequest { cloud: cloud.clone(), parent, filter: request.filter, page_size: size, page_token: request.page_token };
    let answer = shared.engine.list::<K>(ask).await.map_err(|e| status(cloud.as_deref(), &e))?;
    let items = answer.items.into_iter().map(|(cloud, object)| K::encode(&cloud, object).map_err(|e| status(Some(&cloud), &e))).collect::<Reply<_>>()?;
    Ok(wire::Listed { items, next_page_token: answer.next_page_token, unreachable: answer.unreachable })
}
