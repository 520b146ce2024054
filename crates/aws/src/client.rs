//! The SDK's clients, over one set of credentials: those of EC2, Elastic Load Balancing, Auto Scaling and Service Quotas for each region, and those of Route 53 and of
//! its quotas for the account.

use crate::{AwsConfig, answer::Whole, credentials, error};
use aws_config::{BehaviorVersion, identity::IdentityCache, retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig};
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use parking_lot::Mutex;
use std::{collections::BTreeMap, error::Error as StdError, fmt, ops::Deref, sync::Arc};
use welkin_core::{Api, Cx, DnsName, LocationName, Result};

/// So many calls at once: AWS counts them by the second.
pub(crate) const AT_ONCE: usize = 8;
/// The location of what belongs to no region.
pub(crate) const GLOBAL: &str = "global";

/// One service of AWS in one place, which derefs to the SDK's client of it: every call passes the gate.
#[derive(Clone)]
pub(crate) struct Service<C> {
    sdk: C,
    /// What IAM calls it.
    family: &'static str,
    place: String,
}
impl<C> Deref for Service<C> {
    type Target = C;
    fn deref(&self) -> &C {
        &self.sdk
    }
}

type Answer<T, E> = std::result::Result<T, SdkError<E, HttpResponse>>;

impl<C> Service<C> {
    /// A call that changes nothing.
    pub(crate) async fn read<T, E>(&self, cx: &Cx, action: &'static str, call: impl Future<Output = Answer<T, E>> + Send) -> Result<T>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        gated(cx, Api::read(self.family, action, &self.place), call).await
    }
    /// A call that may change something.
    pub(crate) async fn write<T, E>(&self, cx: &Cx, action: &'static str, call: impl Future<Output = Answer<T, E>> + Send) -> Result<T>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        gated(cx, Api::write(self.family, action, &self.place), call).await
    }
}
impl Service<aws_sdk_ec2::Client> {
    /// A call with `DryRun`: it changes nothing, and its success is the error `DryRunOperation`.
    pub(crate) async fn dry_run<T, E>(&self, cx: &Cx, action: &'static str, call: impl Future<Output = Answer<T, E>> + Send) -> Result<()>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let api = Api::read(self.family, action, &self.place);
        let (family, call) = (self.family, Box::pin(call));
        cx.call(api, async move {
            match call.await {
                Ok(_) => Ok(()),
                Err(e) if e.code() == Some("DryRunOperation") => Ok(()),
                Err(e) => Err(error::of_sdk(family, action, false, e)),
            }
        })
        .await
    }
}

/// What IAM calls Service Quotas.
const QUOTAS: &str = "servicequotas";
/// One region's services.
#[derive(Clone)]
pub(crate) struct Region {
    pub(crate) name: LocationName,
    pub(crate) ec2: Service<aws_sdk_ec2::Client>,
    pub(crate) elb: Service<aws_sdk_elasticloadbalancingv2::Client>,
    pub(crate) scaling: Service<aws_sdk_autoscaling::Client>,
    pub(crate) quotas: Service<aws_sdk_servicequotas::Client>,
}
/// The clients' own Debug text is long and holds nothing that helps.
impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Region").field(&self.id()).finish()
    }
}
impl Region {
    fn of(
        id: &str,
        ec2: aws_sdk_ec2::Client,
        elb: aws_sdk_elasticloadbalancingv2::Client,
        scaling: aws_sdk_autoscaling::Client,
        quotas: aws_sdk_servicequotas::Client,
    ) -> Result<Self> {
        let place = id.to_owned();
        Ok(Self {
            name: LocationName::of(id)?,
            ec2: Service { sdk: ec2, family: "ec2", place: place.clone() },
            elb: Service { sdk: elb, family: "elasticloadbalancing", place: place.clone() },
            scaling: Service { sdk: scaling, family: "autoscaling", place: place.clone() },
            quotas: Service { sdk: quotas, family: QUOTAS, place },
        })
    }
    pub(crate) fn id(&self) -> &str {
        self.name.id.as_str()
    }
}

/// What is one for the whole account.
#[derive(Clone)]
pub(crate) struct Global {
    pub(crate) name: LocationName,
    pub(crate) route53: Service<aws_sdk_route53::Client>,
    /// What each zone that was asked about is called, by its id: neither ever changes.
    pub(crate) zone_names: Arc<Mutex<BTreeMap<String, DnsName>>>,
    pub(crate) quotas: Service<aws_sdk_servicequotas::Client>,
    /// Where the load balancers lie that its records lead to.
    pub(crate) regions: BTreeMap<String, Region>,
}
impl fmt::Debug for Global {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Global")
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

/// Where a partition tells the quotas of what lies in no region: "only accessible in us-east-1", of GovCloud in us-gov-west-1
/// (<https://registry.terraform.io/providers/hashicorp/aws/latest/docs/data-sources/servicequotas_service_quota>); that of China is unproved.
fn worldwide(region: &str) -> &str {
    match region.split('-').collect::<Vec<_>>().as_slice() {
        ["cn", ..] => "cn-northwest-1",
        ["us", "gov", ..] => "us-gov-west-1",
        // Of the partitions that are shut off nothing is known.
        [country, part, ..] if country.starts_with("eusc") || part.starts_with("iso") => region,
        _ => "us-east-1",
    }
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
    // The builders of the SDK share no trait.
    macro_rules! client {
        ($sdk:ident $(, $at:expr)?) => {{
            let builder = $sdk::config::Builder::from(&shared).credentials_provider(credentials.clone())$(.region($at))?;
            $sdk::Client::from_conf(builder.interceptor(Whole).build())
        }};
    }
    // Its answers are JSON: of one that is cut off the SDK says so itself, and what is empty has no member that a reader needs.
    let quotas = |at: aws_config::Region| {
        let builder = aws_sdk_servicequotas::config::Builder::from(&shared).credentials_provider(credentials.clone()).region(at);
        aws_sdk_servicequotas::Client::from_conf(builder.build())
    };
    let region = |id: &String| -> Result<(String, Region)> {
        let at = || aws_config::Region::new(id.clone());
        let clients = Region::of(id, client!(aws_sdk_ec2, at()), client!(aws_sdk_elasticloadbalancingv2, at()), client!(aws_sdk_autoscaling, at()), quotas(at()));
        Ok((id.clone(), clients?))
    };
    // Its endpoint, and the region that it is signed for, follow from the partition, which is that of any region of the account
    // (<https://docs.aws.amazon.com/general/latest/gr/r53.html>).
    let route53 = Service { sdk: client!(aws_sdk_route53), family: "route53", place: GLOBAL.to_owned() };
    let quotas =
        Service { sdk: quotas(aws_config::Region::new(worldwide(config.regions.first().map_or("", String::as_str)).to_owned())), family: QUOTAS, place: GLOBAL.to_owned() };
    let regions: BTreeMap<String, Region> = config.regions.iter().map(region).collect::<Result<_>>()?;
    Ok((regions.clone(), Global { name: LocationName::of(GLOBAL)?, route53, zone_names: Arc::default(), quotas, regions }))
}

#[cfg(test)]
impl Region {
    /// One that is never called.
    pub(crate) fn of_trials() -> Self {
        macro_rules! client {
            ($sdk:ident) => {{
                let config = $sdk::Config::builder().behavior_version(BehaviorVersion::latest()).region(aws_config::Region::new("eu-west-1"));
                $sdk::Client::from_conf(config.build())
            }};
        }
        Self::of("eu-west-1", client!(aws_sdk_ec2), client!(aws_sdk_elasticloadbalancingv2), client!(aws_sdk_autoscaling), client!(aws_sdk_servicequotas)).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_tells_the_quotas_of_what_is_everywhere_in_one_region() {
        for (region, at) in [
            ("eu-west-1", "us-east-1"),
            ("us-west-2", "us-east-1"),
            ("us-gov-east-1", "us-gov-west-1"),
            ("cn-north-1", "cn-northwest-1"),
            ("us-iso-east-1", "us-iso-east-1"),
            ("us-isob-east-1", "us-isob-east-1"),
            ("eusc-de-east-1", "eusc-de-east-1"),
        ] {
            assert_eq!(worldwide(region), at);
        }
    }
}
