//! The SDK's clients: those of EC2 and of Elastic Load Balancing for each region and one of Route 53 for the account, over one set of credentials.

use crate::{AwsConfig, answer::Whole, credentials, error};
use aws_config::{BehaviorVersion, identity::IdentityCache, retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig};
use aws_sdk_ec2::{Client, error::ProvideErrorMetadata};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use parking_lot::Mutex;
use std::{collections::BTreeMap, error::Error as StdError, fmt, sync::Arc};
use welkin_core::{Api, Cx, DnsName, LocationName, Result};

/// What IAM calls Elastic Load Balancing.
const BALANCING: &str = "elasticloadbalancing";
/// The location of what belongs to no region.
pub(crate) const GLOBAL: &str = "global";

/// One region's client, through which every call passes the gate.
#[derive(Clone)]
pub(crate) struct Region {
    pub(crate) name: LocationName,
    pub(crate) ec2: Client,
    pub(crate) elb: aws_sdk_elasticloadbalancingv2::Client,
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
        gated(cx, Api::read("ec2", action, self.id()), call).await
    }
    /// A call that may change something.
    pub(crate) async fn write<T, E>(&self, cx: &Cx, action: &'static str, call: impl Future<Output = Answer<T, E>> + Send) -> Result<T>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        gated(cx, Api::write("ec2", action, self.id()), call).await
    }
    /// A call to Elastic Load Balancing that changes nothing.
    pub(crate) async fn look<T, E>(&self, cx: &Cx, action: &'static str, call: impl Future<Output = Answer<T, E>> + Send) -> Result<T>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        gated(cx, Api::read(BALANCING, action, self.id()), call).await
    }
    /// A call to Elastic Load Balancing that may change something.
    pub(crate) async fn balance<T, E>(&self, cx: &Cx, action: &'static str, call: impl Future<Output = Answer<T, E>> + Send) -> Result<T>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        gated(cx, Api::write(BALANCING, action, self.id()), call).await
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
                Err(e) => Err(error::of_sdk("ec2", action, false, e)),
            }
        })
        .await
    }
}

/// The client of what is one for the whole account, through which every call passes the gate.
#[derive(Clone)]
pub(crate) struct Global {
    pub(crate) name: LocationName,
    pub(crate) route53: aws_sdk_route53::Client,
    /// What each zone that was asked about is called, by its id: neither ever changes.
    pub(crate) zone_names: Arc<Mutex<BTreeMap<String, DnsName>>>,
}
impl fmt::Debug for Global {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Global")
    }
}
impl Global {
    /// A call that changes nothing.
    pub(crate) async fn read<T, E>(&self, cx: &Cx, action: &'static str, call: impl Future<Output = Answer<T, E>> + Send) -> Result<T>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        gated(cx, Api::read("route53", action, GLOBAL), call).await
    }
    /// A call that may change something.
    pub(crate) async fn write<T, E>(&self, cx: &Cx, action: &'static str, call: impl Future<Output = Answer<T, E>> + Send) -> Result<T>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        gated(cx, Api::write("route53", action, GLOBAL), call).await
    }
}

async fn gated<T, E>(cx: &Cx, api: Api, call: impl Future<Output = Answer<T, E>> + Send) -> Result<T>
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let (family, action, write) = (api.family, api.action, api.write);
    // The SDK's futures are large.
    let call = Box::pin(call);
    cx.call(api, async move { call.await.map_err(|e| error::of_sdk(family, action, write, e)) }).await
}

/// Makes the clients. No call is made: credentials are fetched with the first call.
pub(crate) async fn connect(config: &AwsConfig) -> Result<(BTreeMap<String, Region>, Global)> {
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
        let at = aws_config::Region::new(id.clone());
        let builder = aws_sdk_ec2::config::Builder::from(&shared).credentials_provider(credentials.clone());
        let ec2 = Client::from_conf(builder.region(at.clone()).interceptor(Whole).build());
        let builder = aws_sdk_elasticloadbalancingv2::config::Builder::from(&shared).credentials_provider(credentials.clone());
        let elb = aws_sdk_elasticloadbalancingv2::Client::from_conf(builder.region(at).interceptor(Whole).build());
        Ok((id.clone(), Region { name: LocationName::of(id)?, ec2, elb }))
    };
    // Its endpoint, and the region that it is signed for, follow from the partition, which is that of any region of the account
    // (<https://docs.aws.amazon.com/general/latest/gr/r53.html>).
    let builder = aws_sdk_route53::config::Builder::from(&shared).credentials_provider(credentials.clone());
    let route53 = aws_sdk_route53::Client::from_conf(builder.interceptor(Whole).build());
    Ok((config.regions.iter().map(region).collect::<Result<_>>()?, Global { name: LocationName::of(GLOBAL)?, route53, zone_names: Arc::default() }))
}

#[cfg(test)]
impl Region {
    /// One that is never called.
    pub(crate) fn of_trials() -> Self {
        let at = aws_config::Region::new("eu-west-1");
        let ec2 = aws_sdk_ec2::Config::builder().behavior_version(BehaviorVersion::latest()).region(at.clone()).build();
        let elb = aws_sdk_elasticloadbalancingv2::Config::builder().behavior_version(BehaviorVersion::latest()).region(at).build();
        let elb = aws_sdk_elasticloadbalancingv2::Client::from_conf(elb);
        Self { name: LocationName::of("eu-west-1").unwrap(), ec2: Client::from_conf(ec2), elb }
    }
}
