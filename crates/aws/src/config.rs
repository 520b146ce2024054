//! What a user writes under `[clouds.<name>]` with `provider = "aws"`.

use secrecy::SecretString;
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};
use welkin_core::{Error, LocationName, Reason, Result, Violation};

/// For how long a read may not show what was written: AWS says to look again "starting with a couple of seconds of wait time, and increasing
/// gradually up to" some minutes, five in its own example
/// (<https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>).
pub const DEFAULT_HORIZON: Duration = Duration::from_secs(300);

/// One AWS account in one or more regions. Unknown keys are refused.
///
/// Credentials: an access key with its secret; or a web identity token file with the role it stands for; or a named profile; or, with none
/// of these, the SDK's default chain (environment, shared files, container and instance metadata). A `role_arn` without a token file is
/// assumed with whichever of these it is.
///
/// ```
/// # use welkin_aws::AwsConfig;
/// let config: AwsConfig = toml::from_str(r#"regions = ["eu-west-1", "us-east-1"]"#)?;
/// config.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsConfig {
    /// The regions to serve, at least one: `eu-west-1`.
    #[serde(default)]
    pub regions: Vec<String>,
    /// A role to assume.
    pub role_arn: Option<String>,
    /// A profile of the shared configuration files.
    pub profile: Option<String>,
    /// A file with a token of an OpenID provider, as Kubernetes projects it; needs `role_arn`.
    pub web_identity_token_file: Option<PathBuf>,
    /// An access key id, with `secret_access_key` or `secret_access_key_file`.
    pub access_key_id: Option<String>,
    /// The secret of the access key.
    pub secret_access_key: Option<SecretString>,
    /// A file that holds nothing but the secret of the access key.
    pub secret_access_key_file: Option<PathBuf>,
    /// The token of temporary credentials.
    pub session_token: Option<SecretString>,
    /// Where to send every call instead of to AWS: for tests against an emulator.
    pub endpoint: Option<String>,
    /// For how many seconds a read may not show what was written; [`DEFAULT_HORIZON`] where not set.
    pub consistency_horizon_s: Option<f64>,
    /// For how many seconds to wait for a connection. Default 5.
    pub connect_timeout_s: Option<f64>,
    /// For how many seconds to wait for one call's answer. Default 30.
    pub call_timeout_s: Option<f64>,
}

impl AwsConfig {
    /// Refuses what contradicts itself.
    ///
    /// # Errors
    /// `InvalidArgument`, reason CONFIGURATION, naming every wrong key.
    pub fn check(&self) -> Result<()> {
        let mut wrong = Vec::new();
        let mut say = |key: &str, what: &str| wrong.push(Violation::new(key, what));
        if self.regions.is_empty() {
            say("regions", "name at least one region, for example [\"eu-west-1\"]");
        }
        for (i, region) in self.regions.iter().enumerate() {
            if LocationName::of(region).is_err() || !region.contains('-') {
                say(&format!("regions[{i}]"), &format!("{region:?} is not a region; a region looks like eu-west-1"));
            }
            if self.regions.iter().take(i).any(|r| r == region) {
                say(&format!("regions[{i}]"), &format!("{region} is there twice"));
            }
        }
        let secrets = usize::from(self.secret_access_key.is_some()) + usize::from(self.secret_access_key_file.is_some());
        match (&self.access_key_id, secrets) {
            (None, 0) | (Some(_), 1) => {}
            (None, _) => say("access_key_id", "a secret is there without its access key id"),
            (Some(_), 0) => say("secret_access_key", "the access key needs its secret, here or in secret_access_key_file"),
            (Some(_), _) => say("secret_access_key_file", "give the secret here or in secret_access_key, not in both"),
        }
        if self.session_token.is_some() && self.access_key_id.is_none() {
            say("session_token", "a session token belongs to an access key");
        }
        if self.web_identity_token_file.is_some() && self.role_arn.is_none() {
            say("role_arn", "a web identity needs the role it stands for");
        }
        let sources = [self.access_key_id.is_some(), self.profile.is_some(), self.web_identity_token_file.is_some()];
        if sources.iter().filter(|set| **set).count() > 1 {
            say("profile", "name one of access_key_id, profile and web_identity_token_file");
        }
        if let Some(endpoint) = &self.endpoint
            && !(endpoint.starts_with("http://") || endpoint.starts_with("https://"))
        {
            say("endpoint", "needs http:// or https:// in front");
        }
        for (key, value) in [("consistency_horizon_s", self.consistency_horizon_s), ("connect_timeout_s", self.connect_timeout_s), ("call_timeout_s", self.call_timeout_s)] {
            if value.is_some_and(|v| !(0.0..=86_400.0).contains(&v)) {
                say(key, "needs a number of seconds between 0 and 86400");
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Error::violated(Reason::Configuration, wrong)) }
    }
    /// For how long a read may not show what was written.
    #[must_use]
    pub fn horizon(&self) -> Duration {
        seconds(self.consistency_horizon_s, DEFAULT_HORIZON)
    }
    pub(crate) fn connect_timeout(&self) -> Duration {
        seconds(self.connect_timeout_s, Duration::from_secs(5))
    }
    pub(crate) fn call_timeout(&self) -> Duration {
        seconds(self.call_timeout_s, Duration::from_secs(30))
    }
}

fn seconds(value: Option<f64>, default: Duration) -> Duration {
    value.and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> Vec<String> {
        let config: AwsConfig = toml::from_str(text).unwrap();
        config.check().err().map(|e| e.violations().iter().map(|v| v.field.clone()).collect()).unwrap_or_default()
    }
    #[test]
    fn contradictions_are_named() {
        assert!(wrong(r#"regions = ["eu-west-1"]"#).is_empty());
        assert_eq!(wrong(""), ["regions"]);
        assert_eq!(wrong(r#"regions = ["Europe", "a-1", "a-1"]"#), ["regions[0]", "regions[2]"]);
        assert_eq!(wrong("regions = [\"a-1\"]\naccess_key_id = \"A\""), ["secret_access_key"]);
        assert_eq!(wrong("regions = [\"a-1\"]\nsecret_access_key = \"A\""), ["access_key_id"]);
        assert_eq!(wrong("regions = [\"a-1\"]\nweb_identity_token_file = \"f\""), ["role_arn"]);
        assert_eq!(wrong("regions = [\"a-1\"]\nendpoint = \"localhost\"\nconsistency_horizon_s = -1.0"), ["endpoint", "consistency_horizon_s"]);
    }
    #[test]
    fn unknown_keys_are_refused_and_secrets_are_not_shown() {
        assert!(toml::from_str::<AwsConfig>("region = \"a\"").unwrap_err().to_string().contains("unknown field"));
        let config: AwsConfig = toml::from_str("regions = [\"a-1\"]\naccess_key_id = \"A\"\nsecret_access_key = \"hush\"").unwrap();
        assert!(!format!("{config:?}").contains("hush"));
    }
}
