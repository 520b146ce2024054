//! Lists over every shard of one or all clouds.
//!
//! The open shards are read at once, each with its part of the page. A page token is what is left of them, so a list can go on in another
//! process; it also holds a hash of the question, because a token answers only the question that it came from.

use crate::{
    account::Account,
    engine::Engine,
    filter::Filter,
    layer::{self, List},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::time::Instant;
use welkin_core::{Cursor, Error, ErrorKind, Kind, LocationId, Object, Page, Query, Reason, Result, Shard};

/// As many as one page can have.
const MAX_PAGE: usize = 1000;
/// How many shards are read at once.
const CONCURRENT_SHARDS: usize = 16;

/// A list as its caller asks for it.
#[derive(Debug, Clone)]
pub struct ListRequest<K: Kind> {
    /// One cloud, or None for all.
    pub cloud: Option<String>,
    /// One parent, or None for all.
    pub parent: Option<K::Parent>,
    /// See [`Filter`].
    pub filter: String,
    /// At most this many; 1 to 1000.
    pub page_size: usize,
    /// Empty for the first page.
    pub page_token: String,
}

/// One page.
#[derive(Debug, Clone)]
pub struct ListAnswer<K: Kind> {
    /// The objects, each with its cloud.
    pub items: Vec<(Arc<str>, Object<K>)>,
    /// Empty at the end.
    pub next_page_token: String,
    /// What could not be read: `clouds/prod/locations/eu-west-1`.
    pub unreachable: Vec<String>,
}

/// Where a list goes on in one shard.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Position {
    cloud: String,
    shard: Shard,
    from: Option<Cursor>,
}
#[derive(Serialize, Deserialize)]
struct Token {
    question: String,
    left: Vec<Position>,
}

impl Engine {
    /// One page of a list. Fewer items than asked for, even none, are no sign of the end; an empty token is.
    ///
    /// # Errors
    /// `InvalidArgument` for a filter or token that is not understood, and the error of a single named parent that cannot be read. What cannot
    /// be read of several is named in `unreachable`.
    pub async fn list<K: Kind>(&self, request: ListRequest<K>) -> Result<ListAnswer<K>> {
        let filter = Filter::parse::<K>(&request.filter)?;
        let size = request.page_size.clamp(1, MAX_PAGE);
        let mut left = self.positions(&request).await?;
        let (mut items, mut unreachable) = (Vec::new(), Vec::new());
        let end = self.accounts().next().map_or_else(Instant::now, |a| Instant::now() + a.settings.read_deadline);
        // A single named parent that is down fails as a whole (google.aip.dev/217), and so does a cloud of which nothing answers.
        let is_one = request.cloud.is_some() && request.page_token.is_empty();
        let mut refusal = None;
        let mut any = false;
        loop {
            let round = left.len().min(size - items.len()).min(CONCURRENT_SHARDS);
            if round == 0 {
                break;
            }
            let share = (size - items.len()).div_euclid(round).max(1);
            let batch: Vec<Position> = left.drain(..round).collect();
            let pages = stream::iter(batch).map(|at| self.page(&request, at, share)).buffered(CONCURRENT_SHARDS).collect::<Vec<_>>().await;
            for (at, page) in pages {
                match page {
                    Ok((page, next)) => {
                        any = true;
                        let cloud = Arc::clone(self.account(&at.cloud)?.cloud());
                        unreachable.extend(page.unreachable.iter().map(|l| format!("clouds/{}/{l}", at.cloud)));
                        items.extend(page.items.into_iter().filter(|o| filter.matches(&cloud, o)).map(|o| (Arc::clone(&cloud), o)));
                        left.extend(next);
                    }
                    Err(e) if e.kind() == ErrorKind::InvalidArgument => return Err(e),
                    Err(e) => {
                        tracing::warn!(cloud = at.cloud, shard = at.shard.0, error = %e, "a part of a list cannot be read");
                        unreachable.push(shard_name(&at));
                        refusal.get_or_insert(e);
                    }
                }
            }
            // With something in hand the caller need not wait for the rest.
            if !items.is_empty() || Instant::now() >= end {
                break;
            }
        }
        if let Some(e) = refusal.filter(|_| is_one && !any && left.is_empty()) {
            return Err(e);
        }
        unreachable.sort();
        unreachable.dedup();
        Ok(ListAnswer { items, next_page_token: write_token(&request, left)?, unreachable })
    }

    async fn positions<K: Kind>(&self, request: &ListRequest<K>) -> Result<Vec<Position>> {
        if !request.page_token.is_empty() {
            return read_token(request);
        }
        let accounts: Vec<&Arc<Account>> = match &request.cloud {
            Some(cloud) => vec![self.account(cloud)?],
            None => self.accounts().filter(|a| a.capabilities().of::<K>().is_ok()).collect(),
        };
        let mut left = Vec::new();
        for account in accounts {
            account.capabilities().check_verb::<K>("list")?;
            let reader = K::reader(&*account.provider).ok_or_else(|| Error::unsupported_kind(K::COLLECTION))?;
            let shards = reader.shards(&query(account, request, MAX_PAGE).await?);
            if shards.is_empty()
                && let (Some(parent), Some(cloud)) = (&request.parent, &request.cloud)
            {
                return Err(Error::new(ErrorKind::NotFound, Reason::LocationUnknown, format!("clouds/{cloud} has no {parent}")).with_field("parent"));
            }
            left.extend(shards.into_iter().map(|shard| Position { cloud: account.cloud.to_string(), shard, from: None }));
        }
        Ok(left)
    }

    /// One page of one shard, and where it goes on.
    async fn page<K: Kind>(&self, request: &ListRequest<K>, at: Position, share: usize) -> (Position, Result<(Page<K>, Option<Position>)>) {
        let answer = async {
            let account = self.account(&at.cloud)?;
            let list = List { query: query(account, request, share).await?, shard: at.shard.clone(), from: at.from.clone() };
            let mut page = layer::ask(&account.stack, account.cx(), list).await?;
            page.items.iter_mut().try_for_each(|o| account.recognise(o))?;
            if page.items.len() > share {
                return Err(Error::internal(format!("the driver of {} answered {} where at most {share} were asked for", K::COLLECTION, page.items.len())));
            }
            let next = page.next.take().map(|from| Position { from: Some(from), ..at.clone() });
            Ok((page, next))
        };
        let answer = answer.await;
        (at, answer)
    }
}

async fn query<K: Kind>(account: &Account, request: &ListRequest<K>, page_size: usize) -> Result<Query<K>> {
    let parent = match &request.parent {
        Some(parent) => Some(account.outward::<K>(parent.clone()).await?),
        None => None,
    };
    Ok(Query { parent, ..Query::all(page_size) })
}

/// A shard of a location, or of a part of one (`eu-west-1/vpc`), is named as the location.
fn shard_name(at: &Position) -> String {
    match at.shard.0.split('/').next().unwrap_or_default().parse::<LocationId>() {
        Ok(location) => format!("clouds/{}/locations/{location}", at.cloud),
        Err(_) => format!("clouds/{}", at.cloud),
    }
}

fn question<K: Kind>(request: &ListRequest<K>) -> String {
    let text = format!("{}\0{:?}\0{:?}\0{}", K::COLLECTION, request.cloud, request.parent.as_ref().map(ToString::to_string), request.filter);
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}
fn write_token<K: Kind>(request: &ListRequest<K>, left: Vec<Position>) -> Result<String> {
    if left.is_empty() {
        return Ok(String::new());
    }
    let token = serde_json::to_vec(&Token { question: question(request), left }).map_err(|e| Error::internal("a page token does not serialise").with_source(e))?;
    Ok(BASE64.encode(token))
}
fn read_token<K: Kind>(request: &ListRequest<K>) -> Result<Vec<Position>> {
    let bad = |why: &str| Error::new(ErrorKind::InvalidArgument, Reason::InvalidPageToken, format!("the page token {why}")).with_field("page_token");
    let bytes = BASE64.decode(&request.page_token).map_err(|_| bad("is not one of ours"))?;
    let token: Token = serde_json::from_slice(&bytes).map_err(|_| bad("is not one of ours"))?;
    if token.question != question(request) {
        return Err(bad("belongs to a list with another parent or filter"));
    }
    Ok(token.left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_named_by_its_location() {
        let named = |shard: &str| shard_name(&Position { cloud: "prod".into(), shard: Shard(shard.into()), from: None });
        assert_eq!(["eu-west-1", "eu-west-1/vpc", "Z0123456789"].map(named), ["clouds/prod/locations/eu-west-1", "clouds/prod/locations/eu-west-1", "clouds/prod"]);
    }
}
