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
/// of these, the SDK's default chain (environment, shared files, web identity of the environment, container and instance metadata). A
/// `role_arn` without a token file is assumed with whichever of these it is.
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
    /// A role to assume: `arn:aws:iam::123456789012:role/welkin`.
    pub role_arn: Option<String>,
    /// What the account that owns the role asks of others who assume it; not with a web identity, which STS takes none of.
    pub external_id: Option<String>,
    /// How the role's sessions show in CloudTrail. Default `welkin`.
    pub session_name: Option<String>,
    /// For how many seconds the role is assumed, 900 to 43200 and at most what the role allows; an hour where not set. A role that is
    /// assumed with another role's credentials can have an hour at most.
    pub session_duration_s: Option<u32>,
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
    /// Where to ask for the role instead of at the region's STS: a VPC endpoint, or a test's. Where not set, `endpoint` serves if that is set.
    pub sts_endpoint: Option<String>,
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
        self.check_role(&mut say);
        let sources = [self.access_key_id.is_some(), self.profile.is_some(), self.web_identity_token_file.is_some()];
        if sources.iter().filter(|set| **set).count() > 1 {
            say("profile", "name one of access_key_id, profile and web_identity_token_file");
        }
        for (key, endpoint) in [("endpoint", &self.endpoint), ("sts_endpoint", &self.sts_endpoint)] {
            if endpoint.as_ref().is_some_and(|e| !(e.starts_with("http://") || e.starts_with("https://"))) {
                say(key, "needs http:// or https:// in front");
            }
        }
        for (key, value) in [("consistency_horizon_s", self.consistency_horizon_s), ("connect_timeout_s", self.connect_timeout_s), ("call_timeout_s", self.call_timeout_s)] {
            if value.is_some_and(|v| !(0.0..=86_400.0).contains(&v)) {
                say(key, "needs a number of seconds between 0 and 86400");
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Error::violated(Reason::Configuration, wrong)) }
    }
    /// The bounds are STS's (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>).
    fn check_role(&self, say: &mut impl FnMut(&str, &str)) {
        let made_of =
            |text: &str, least: usize, most: usize, others: &str| (least..=most).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c));
        match &self.role_arn {
            Some(arn) if !(arn.starts_with("arn:") && arn.contains(":role/")) => say("role_arn", "a role looks like arn:aws:iam::123456789012:role/welkin"),
            None if self.web_identity_token_file.is_some() => say("role_arn", "a web identity needs the role it stands for"),
            _ => {}
        }
        if let Some(id) = &self.external_id {
            if self.web_identity_token_file.is_some() {
                say("external_id", "STS takes no external id with a web identity");
            } else if !made_of(id, 2, 1224, "_+=,.@:/-") {
                say("external_id", "needs 2 to 1224 letters, digits and _+=,.@:/-");
            }
        }
        if self.session_name.as_ref().is_some_and(|name| !made_of(name, 2, 64, "_+=,.@-")) {
            say("session_name", "needs 2 to 64 letters, digits and _+=,.@-");
        }
        if self.session_duration_s.is_some_and(|s| !(900..=43_200).contains(&s)) {
            say("session_duration_s", "needs 900 to 43200 seconds");
        }
        let of_the_role = [
            ("external_id", self.external_id.is_some()),
            ("session_name", self.session_name.is_some()),
            ("session_duration_s", self.session_duration_s.is_some()),
            ("sts_endpoint", self.sts_endpoint.is_some()),
        ];
        for (key, _) in of_the_role.into_iter().filter(|(_, is_set)| *is_set && self.role_arn.is_none()) {
            say(key, "is about a role, and role_arn is not set");
        }
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
    fn what_is_said_of_a_role_is_what_sts_takes() {
        let role = |more: &str| wrong(&format!("regions = [\"a-1\"]\nrole_arn = \"arn:aws:iam::1:role/r\"\n{more}"));
        assert!(role("external_id = \"a/b:c\"\nsession_name = \"we@lkin\"\nsession_duration_s = 900\nsts_endpoint = \"https://sts\"").is_empty());
        assert_eq!(role("external_id = \"a b\"\nsession_name = \"a\"\nsession_duration_s = 60"), ["external_id", "session_name", "session_duration_s"]);
        assert_eq!(role("external_id = \"ab\"\nweb_identity_token_file = \"f\""), ["external_id"]);
        assert_eq!(wrong("regions = [\"a-1\"]\nrole_arn = \"welkin\"\nsts_endpoint = \"sts\""), ["role_arn", "sts_endpoint"]);
        assert_eq!(wrong("regions = [\"a-1\"]\nexternal_id = \"ab\"\nsession_duration_s = 900"), ["external_id", "session_duration_s"]);
    }
    #[test]
    fn unknown_keys_are_refused_and_secrets_are_not_shown() {
        assert!(toml::from_str::<AwsConfig>("region = \"a\"").unwrap_err().to_string().contains("unknown field"));
        let config: AwsConfig = toml::from_str("regions = [\"a-1\"]\naccess_key_id = \"A\"\nsecret_access_key = \"hush\"").unwrap();
        assert!(!format!("{config:?}").contains("hush"));
    }
}
