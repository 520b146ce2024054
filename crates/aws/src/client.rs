//! The SDK's clients: one for each region, over one set of credentials.

use crate::{AwsConfig, answer::Whole, credentials, error};
use aws_config::{BehaviorVersion, identity::IdentityCache, retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig};
use aws_sdk_ec2::{Client, error::ProvideErrorMetadata};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use std::{collections::BTreeMap, error::Error as StdError, fmt};
use welkin_core::{Api, Cx, LocationName, Result};

/// One region's client, through which every call passes the gate.
#[derive(Clone)]
pub(crate) struct Region {
    pub(crate) name: LocationName,
    pub(crate) ec2: Client,
}
/// The client's own Debug text is long and holds nothing that helps.
impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Region").field(&self.id()).finish()
    }
}

type Answer<T, E> = std::result::Result<T, SdkError<E, HttpResponse>>;

impl Region {
    pub(crate) fn id(&self) -> &str {
        self.name.id.as_str()
    }
    /// A call that changes nothing.
    pub(crate) async fn read<T, E>(&self, cx: &Cx, action: &'static str, call: impl Future<Output = Answer<T, E>> + Send) -> Result<T>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        self.call(cx, Api::read("ec2", action, self.id()), call).await
    }
    /// A call that may change something.
    pub(crate) async fn write<T, E>(&self, cx: &Cx, action: &'static str, call: impl Future<Output = Answer<T, E>> + Send) -> Result<T>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        self.call(cx, Api::write("ec2", action, self.id()), call).await
    }
    /// A call with `DryRun`: it changes nothing, and its success is the error `DryRunOperation`.
    pub(crate) async fn dry_run<T, E>(&self, cx: &Cx, action: &'static str, call: impl Future<Output = Answer<T, E>> + Send) -> Result<()>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let api = Api::read("ec2", action, self.id());
        let call = Box::pin(call);
        cx.call(api, async move {
            match call.await {
                Ok(_) => Ok(()),
                Err(e) if e.code() == Some("DryRunOperation") => Ok(()),
                Err(e) => Err(error::of_sdk(action, false, e)),
            }
        })
        .await
    }
    async fn call<T, E>(&self, cx: &Cx, api: Api, call: impl Future<Output = Answer<T, E>> + Send) -> Result<T>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let (action, write) = (api.action, api.write);
        // The SDK's futures are large.
        let call = Box::pin(call);
        cx.call(api, async move { call.await.map_err(|e| error::of_sdk(action, write, e)) }).await
    }
}

/// Makes the clients. No call is made: credentials are fetched with the first call.
pub(crate) async fn connect(config: &AwsConfig) -> Result<BTreeMap<String, Region>> {
    config.check()?;
    let home = config.regions.first().cloned().unwrap_or_default();
    let timeouts = TimeoutConfig::builder().connect_timeout(config.connect_timeout()).operation_timeout(config.call_timeout()).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(aws_config::Region::new(home))
        // One attempt: the engine repeats reads, and changes only through its journal.
        .retry_config(RetryConfig::disabled())
        // Ours keeps them: the SDK's own asks once more for each waiter where a fetch fails.
        .identity_cache(IdentityCache::no_cache())
        // One bound for the whole call, `call_timeout_s`: a busy machine is no stalled stream, and bodies are small.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(timeouts);
    if let Some(endpoint) = &config.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(profile) = &config.profile {
        loader = loader.profile_name(profile);
    }
    let shared = loader.load().await;
    let credentials = credentials::of(config, &shared)?;
    let region = |id: &String| -> Result<(String, Region)> {
        let builder = aws_sdk_ec2::config::Builder::from(&shared).credentials_provider(credentials.clone());
        let conf = builder.region(aws_config::Region::new(id.clone())).interceptor(Whole).build();
        Ok((id.clone(), Region { name: LocationName::of(id)?, ec2: Client::from_conf(conf) }))
    };
    config.regions.iter().map(region).collect()
}
