//! The service of operations.

use super::{
    Shared,
    call::{Call, Methods, Reply},
    read,
};
use crate::{
    api::google::longrunning as lro,
    convert::{core_duration, error::to_status, operation, split_name},
};
use std::{sync::Arc, time::Duration};
use tonic::body::Body;
use welkin_core::{Error, ErrorKind, Reason, Result};
use welkin_engine::Account;

/// The longest that a caller is kept waiting; it can ask again.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// `google.longrunning.Operations`.
#[derive(Debug, Clone)]
pub(super) struct Operations;
impl Methods for Operations {
    const SERVICE: &'static str = "google.longrunning.Operations";
    async fn answer(shared: Arc<Shared>, call: Call) -> http::Response<Body> {
        match call.method() {
            "GetOperation" => call.unary(&shared, |r| get(&shared, r)).await,
            "ListOperations" => call.unary(&shared, |r| list(&shared, r)).await,
            "WaitOperation" => call.unary(&shared, |r| wait(&shared, r)).await,
            "CancelOperation" => call.unary(&shared, |r| cancel(&shared, r)).await,
            "DeleteOperation" => call.unary(&shared, |r| delete(&shared, r)).await,
            _ => call.unimplemented(),
        }
    }
}

/// The account of an operation, and its id there.
fn named<'a>(shared: &'a Shared, name: &'a str) -> Reply<(&'a Arc<Account>, &'a str)> {
    let found = split_name(name).and_then(|(cloud, below)| match below.strip_prefix("operations/") {
        Some(id) if !id.is_empty() && !id.contains('/') => Ok((shared.engine.account(cloud)?, id)),
        _ => Err(Error::new(ErrorKind::InvalidArgument, Reason::InvalidName, format!("{name:?} is not the name of an operation: clouds/{{cloud}}/operations/{{operation}}"))),
    });
    found.map_err(|e| to_status(&e.with_field("name"), None))
}
fn answer<T>(account: &Account, result: Result<T>) -> Reply<T> {
    result.map_err(|e| to_status(&e, Some(account.cloud())))
}

async fn get(shared: &Shared, request: lro::GetOperationRequest) -> Reply<lro::Operation> {
    let (account, id) = named(shared, &request.name)?;
    answer(account, account.operation(id).await.and_then(|o| operation::encode(&o)))
}

async fn list(shared: &Shared, request: lro::ListOperationsRequest) -> Reply<lro::ListOperationsResponse> {
    let found = split_name(&request.name).and_then(|(cloud, below)| match below {
        // With the collection, as the original service has it, or without.
        "" | "operations" => shared.engine.account(cloud),
        _ => Err(Error::new(ErrorKind::InvalidArgument, Reason::InvalidName, format!("{:?} is not the name of a cloud: clouds/{{cloud}}", request.name))),
    });
    let account = found.map_err(|e| to_status(&e.with_field("name"), None))?;
    let size = read::page_size(request.page_size).map_err(|v| to_status(&Error::violated(Reason::InvalidField, vec![v]), None))?;
    let (operations, next_page_token) = match answer(account, Which::of(&request.filter))? {
        Which::Request(id) => (answer(account, account.operation_of(&id).await)?.into_iter().collect(), String::new()),
        Which::All => answer(account, account.operations(size, &request.page_token).await)?,
        Which::Done(done) => {
            let (mut operations, next) = answer(account, account.operations(size, &request.page_token).await)?;
            // A page may be short.
            operations.retain(|o| o.is_done() == done);
            (operations, next)
        }
    };
    let operations = operations.iter().map(operation::encode).collect::<Result<_>>();
    Ok(lro::ListOperationsResponse { operations: answer(account, operations)?, next_page_token })
}
/// Which operations a filter lets through.
enum Which {
    All,
    Done(bool),
    /// The one that answers this request.
    Request(String),
}
impl Which {
    fn of(text: &str) -> Result<Self> {
        let compact = text.split_whitespace().collect::<String>();
        match (compact.as_str(), compact.strip_prefix("request_id=")) {
            ("", _) => Ok(Self::All),
            ("done=true", _) => Ok(Self::Done(true)),
            ("done=false", _) => Ok(Self::Done(false)),
            (_, Some(id)) if !id.is_empty() => Ok(Self::Request(id.trim_matches('"').to_owned())),
            _ => {
                let message = "operations can be filtered by done = true, done = false, or request_id = ID";
                Err(Error::new(ErrorKind::InvalidArgument, Reason::InvalidFilter, message).with_field("filter"))
            }
        }
    }
}

async fn wait(shared: &Shared, request: lro::WaitOperationRequest) -> Reply<lro::Operation> {
    let (account, id) = named(shared, &request.name)?;
    let timeout = request.timeout.as_ref().map_or(MAX_WAIT, core_duration).min(MAX_WAIT);
    let mut draining = shared.draining.clone();
    let ended = tokio::select! {
        ended = account.wait(id, timeout) => Some(ended),
        _ = draining.wait_for(|d| *d) => None,
    };
    // At a shutdown: whoever waits asks again, then of the next server.
    let now = match ended {
        Some(ended) => ended,
        None => account.operation(id).await,
    };
    answer(account, now.and_then(|o| operation::encode(&o)))
}

async fn cancel(shared: &Shared, request: lro::CancelOperationRequest) -> Reply<()> {
    let (account, id) = named(shared, &request.name)?;
    answer(account, account.cancel(id).await)
}

async fn delete(shared: &Shared, request: lro::DeleteOperationRequest) -> Reply<()> {
    let (account, id) = named(shared, &request.name)?;
    answer(account, account.forget(id).await)
}
