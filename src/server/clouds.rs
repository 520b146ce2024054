//! The service of the configured clouds.

use super::{
    Shared,
    call::{Call, Methods, Reply},
    read,
};
use crate::{
    api::v1::{self, cloud::VendorCalls},
    convert::{capability, error::to_status, split_name},
};
use std::sync::Arc;
use tonic::body::Body;
use welkin_core::{Error, ErrorKind, Reason};
use welkin_engine::Account;

/// `welkin.v1.Clouds`.
#[derive(Debug, Clone)]
pub(super) struct Clouds;
impl Methods for Clouds {
    const SERVICE: &'static str = "welkin.v1.Clouds";
    async fn answer(shared: Arc<Shared>, call: Call) -> http::Response<Body> {
        match call.method() {
            "ListClouds" => call.unary(&shared, async |r| list(&shared, &r)).await,
            "GetCloud" => call.unary(&shared, async |r| get(&shared, &r)).await,
            "GetCapabilities" => call.unary(&shared, async |r| capabilities(&shared, &r)).await,
            _ => call.unimplemented(),
        }
    }
}

fn encode(account: &Account) -> v1::Cloud {
    v1::Cloud { name: format!("clouds/{}", account.cloud()), vendor: account.capabilities().vendor.to_owned(), owner: account.owner().to_string(), vendor_calls: Vec::new() }
}

fn list(shared: &Shared, request: &v1::ListCloudsRequest) -> Reply<v1::ListCloudsResponse> {
    let size = read::page_size(request.page_size).map_err(|v| to_status(&Error::violated(Reason::InvalidField, vec![v]), None))?;
    // A token is the last name that was answered, and names are sorted.
    let mut clouds: Vec<_> = shared.engine.accounts().filter(|a| &**a.cloud() > request.page_token.as_str()).map(|a| encode(a)).collect();
    let more = clouds.len() > size;
    clouds.truncate(size);
    let next = clouds.last().filter(|_| more).map(|c| c.name.trim_start_matches("clouds/").to_owned());
    Ok(v1::ListCloudsResponse { clouds, next_page_token: next.unwrap_or_default() })
}

fn get(shared: &Shared, request: &v1::GetCloudRequest) -> Reply<v1::Cloud> {
    let account = account(shared, &request.name, "")?;
    let calls = account.vendor_calls().into_iter();
    let vendor_calls = calls.map(|(api, count)| VendorCalls { family: api.family.into(), action: api.action.into(), region: api.region, write: api.write, count });
    Ok(v1::Cloud { vendor_calls: vendor_calls.collect(), ..encode(account) })
}

fn capabilities(shared: &Shared, request: &v1::GetCapabilitiesRequest) -> Reply<v1::Capabilities> {
    let account = account(shared, &request.name, "capabilities")?;
    Ok(capability::encode(account.cloud(), account.capabilities()))
}

/// The account of a name that goes on with `below`.
fn account<'a>(shared: &'a Shared, name: &str, below: &str) -> Reply<&'a Arc<Account>> {
    let found = split_name(name).and_then(|(cloud, rest)| {
        if rest == below {
            return shared.engine.account(cloud);
        }
        let form = if below.is_empty() { "clouds/{cloud}".to_owned() } else { format!("clouds/{{cloud}}/{below}") };
        Err(Error::new(ErrorKind::InvalidArgument, Reason::InvalidName, format!("{name:?} has not the form {form}")))
    });
    found.map_err(|e| to_status(&e.with_field("name"), None))
}
