//! The SDK's clients: one for each region, over one set of credentials.

use crate::{AwsConfig, answer::Whole, error};
use aws_config::{BehaviorVersion, provider_config::ProviderConfig, retry::RetryConfig, sts::AssumeRoleProvider, timeout::TimeoutConfig, web_identity_token};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_ec2::{Client, error::ProvideErrorMetadata};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use secrecy::{ExposeSecret, SecretString};
use std::{collections::BTreeMap, error::Error as StdError, fmt};
use welkin_core::{Api, Cx, Error, ErrorKind, LocationName, Reason, Result};

/// How our sessions show in CloudTrail.
const SESSION: &str = "welkin";

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
        .timeout_config(timeouts);
    if let Some(endpoint) = &config.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(profile) = &config.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(credentials) = chosen_credentials(config)? {
        loader = loader.credentials_provider(credentials);
    }
    let mut shared = loader.load().await;
    if let (Some(role), None) = (&config.role_arn, &config.web_identity_token_file) {
        let role = AssumeRoleProvider::builder(role).session_name(SESSION).configure(&shared).build().await;
        shared = shared.into_builder().credentials_provider(SharedCredentialsProvider::new(role)).build();
    }
    let region = |id: &String| -> Result<(String, Region)> {
        let conf = aws_sdk_ec2::config::Builder::from(&shared).region(aws_config::Region::new(id.clone())).interceptor(Whole).build();
        Ok((id.clone(), Region { name: LocationName::of(id)?, ec2: Client::from_conf(conf) }))
    };
    config.regions.iter().map(region).collect()
}

/// The credentials that the configuration itself names; None leaves it to the SDK's chain.
fn chosen_credentials(config: &AwsConfig) -> Result<Option<SharedCredentialsProvider>> {
    if let Some(id) = &config.access_key_id {
        let token = config.session_token.as_ref().map(|t| t.expose_secret().to_owned());
        let secret =
            secret(config)?.ok_or_else(|| Error::new(ErrorKind::InvalidArgument, Reason::Configuration, "the access key has no secret").with_field("secret_access_key"))?;
        return Ok(Some(SharedCredentialsProvider::new(Credentials::new(id, secret.expose_secret(), token, None, "configuration"))));
    }
    if let (Some(file), Some(role)) = (&config.web_identity_token_file, &config.role_arn) {
        let home = config.regions.first().cloned().map(aws_config::Region::new);
        let fixed = web_identity_token::StaticConfiguration { web_identity_token_file: file.clone(), role_arn: role.clone(), session_name: SESSION.into() };
        let provider = web_identity_token::Builder::default().static_configuration(fixed).configure(&ProviderConfig::default().with_region(home)).build();
        return Ok(Some(SharedCredentialsProvider::new(provider)));
    }
    Ok(None)
}

fn secret(config: &AwsConfig) -> Result<Option<SecretString>> {
    let Some(file) = &config.secret_access_key_file else { return Ok(config.secret_access_key.clone()) };
    let text = std::fs::read_to_string(file)
        .map_err(|e| Error::new(ErrorKind::InvalidArgument, Reason::Configuration, format!("{} cannot be read: {e}", file.display())).with_field("secret_access_key_file"))?;
    Ok(Some(SecretString::from(text.trim_end_matches(['\r', '\n']))))
}
