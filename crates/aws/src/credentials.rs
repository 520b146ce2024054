//! Where credentials come from, and that they are fetched once for all who wait.
//!
//! The SDK's cache asks once more for every waiter where a fetch fails, gives up credentials that are still good where their renewal fails, and ends
//! a fetch with the caller who happened to begin it. So ours keeps them.

use crate::{AwsConfig, error};
use aws_config::{SdkConfig, profile::ProfileFileCredentialsProvider, provider_config::ProviderConfig};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use welkin_core::{Error, ErrorKind, Reason, Result, Retry};

/// They are renewed this long before they expire, while calls go on with the old ones. Instance metadata has new ones for at least that long
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html>).
const AHEAD: Duration = Duration::from_secs(300);
/// This long before they expire nothing is signed with them any more.
const MARGIN: Duration = Duration::from_secs(10);
/// A renewal ahead of time is not tried again sooner.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);
/// Where there are none, all who ask this soon after a fetch get its answer.
const PAUSE: Duration = Duration::from_secs(1);

/// The credentials of a connection. `shared` knows the SDK's default chain.
pub(crate) fn of(config: &AwsConfig, shared: &SdkConfig) -> Result<SharedCredentialsProvider> {
    // So that a waiter is told before its own call has to end.
    let deadline = config.call_timeout() / 2;
    let Some(arn) = &config.role_arn else { return base(config, shared, deadline) };
    // A web identity is asked for without any.
    let base = if config.web_identity_token_file.is_none() { Some(base(config, shared, deadline)?) } else { None };
    Ok(kept(Source::Role(Role::new(arn, config, shared, base)), deadline))
}
/// Without a role: what the configuration itself names, else the SDK's chain.
fn base(config: &AwsConfig, shared: &SdkConfig, deadline: Duration) -> Result<SharedCredentialsProvider> {
    if let Some(id) = &config.access_key_id {
        let token = config.session_token.as_ref().map(|t| t.expose_secret().to_owned());
        let secret =
            secret(config)?.ok_or_else(|| Error::new(ErrorKind::InvalidArgument, Reason::Configuration, "the access key has no secret").with_field("secret_access_key"))?;
        return Ok(SharedCredentialsProvider::new(Credentials::new(id, secret.expose_secret(), token, None, "configuration")));
    }
    if let Some(profile) = &config.profile {
        // Not through the chain, in which the environment comes first: two connections with two profiles are two.
        let conf = ProviderConfig::default().with_region(shared.region().cloned());
        return Ok(kept(Source::Chain(SharedCredentialsProvider::new(ProfileFileCredentialsProvider::builder().configure(&conf).profile_name(profile).build())), deadline));
    }
    let none = || Error::new(ErrorKind::Internal, Reason::Internal, "the SDK has no chain of credentials");
    Ok(kept(Source::Chain(shared.credentials_provider().ok_or_else(none)?), deadline))
}
fn secret(config: &AwsConfig) -> Result<Option<SecretString>> {
    let Some(file) = &config.secret_access_key_file else { return Ok(config.secret_access_key.clone()) };
    let text = std::fs::read_to_string(file)
        .map_err(|e| Error::new(ErrorKind::InvalidArgument, Reason::Configuration, format!("{} cannot be read: {e}", file.display())).with_field("secret_access_key_file"))?;
    Ok(Some(SecretString::from(text.trim_end_matches(['\r', '\n']))))
}
fn kept(source: Source, deadline: Duration) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Kept { source: Arc::new(source), deadline, state: Mutex::default() })
}

/// Where they are fetched.
enum Source {
    Chain(SharedCredentialsProvider),
    Role(Role),
}
impl Source {
    async fn fetch(&self) -> Result<Credentials> {
        match self {
            Self::Chain(chain) => chain.provide_credentials().await.map_err(error::no_credentials),
            Self::Role(role) => role.assume().await,
        }
    }
}

/// A role, and how STS is asked for it (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>,
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>).
struct Role {
    sts: aws_sdk_sts::Client,
    arn: String,
    session_name: String,
    external_id: Option<String>,
    duration_s: Option<i32>,
    token_file: Option<PathBuf>,
}
impl Role {
    fn new(arn: &str, config: &AwsConfig, shared: &SdkConfig, base: Option<SharedCredentialsProvider>) -> Self {
        let mut builder = aws_sdk_sts::config::Builder::from(shared);
        builder.set_credentials_provider(base);
        if let Some(endpoint) = &config.sts_endpoint {
            builder.set_endpoint_url(Some(endpoint.clone()));
        }
        Self {
            sts: aws_sdk_sts::Client::from_conf(builder.build()),
            arn: arn.to_owned(),
            session_name: config.session_name.clone().unwrap_or_else(|| "welkin".to_owned()),
            external_id: config.external_id.clone(),
            duration_s: config.session_duration_s.and_then(|s| s.try_into().ok()),
            token_file: config.web_identity_token_file.clone(),
        }
    }
    async fn assume(&self) -> Result<Credentials> {
        let credentials = match &self.token_file {
            None => {
                let call = self.sts.assume_role().role_arn(&self.arn).role_session_name(&self.session_name).set_external_id(self.external_id.clone());
                call.set_duration_seconds(self.duration_s).send().await.map_err(|e| error::of_sts("AssumeRole", e))?.credentials
            }
            Some(file) => {
                let call = self.sts.assume_role_with_web_identity().role_arn(&self.arn).role_session_name(&self.session_name).web_identity_token(token(file)?);
                call.set_duration_seconds(self.duration_s).send().await.map_err(|e| error::of_sts("AssumeRoleWithWebIdentity", e))?.credentials
            }
        };
        let unread = || Error::new(ErrorKind::Unavailable, Reason::CloudAnswer, "STS's answer holds no credentials").with_retry(Retry::After(PAUSE));
        let c = credentials.ok_or_else(unread)?;
        let expires = SystemTime::try_from(c.expiration).map_err(|_| unread())?;
        Ok(Credentials::new(c.access_key_id, c.secret_access_key, Some(c.session_token), Some(expires), "STS"))
    }
}
/// Read for each fetch: whoever keeps the file puts a new token into it before the old one expires.
fn token(file: &Path) -> Result<String> {
    let unread = |e| Error::new(ErrorKind::FailedPrecondition, Reason::CloudCredentials, format!("the web identity token {} cannot be read: {e}", file.display()));
    Ok(std::fs::read_to_string(file).map_err(unread)?.trim().to_owned())
}

/// Keeps what a source gave, renews it before it expires, and fetches once for all who wait.
struct Kept {
    source: Arc<Source>,
    /// Of one fetch.
    deadline: Duration,
    state: Mutex<State>,
}
/// A fetch's, and when it came.
type Answer = (Instant, Result<Known>);
#[derive(Default)]
struct State {
    known: Option<Known>,
    last: Option<Answer>,
    fetch: Option<Fetch>,
}
#[derive(Clone)]
struct Known {
    credentials: Credentials,
    /// The same as the wall clock's time in the credentials; both count, because either clock can stand still or jump.
    expires: Option<Instant>,
}
impl Known {
    fn new(credentials: Credentials) -> Self {
        let left = credentials.expiry().map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
        Self { credentials, expires: left.and_then(|left| Instant::now().checked_add(left)) }
    }
    fn left(&self) -> Duration {
        let (Some(by_instant), Some(by_wall)) = (self.expires, self.credentials.expiry()) else { return Duration::MAX };
        by_instant.saturating_duration_since(Instant::now()).min(by_wall.duration_since(SystemTime::now()).unwrap_or_default())
    }
}

/// A fetch under way: a task of its own, so that it does not end with the caller who began it.
struct Fetch {
    answer: watch::Receiver<Option<Answer>>,
    task: JoinHandle<()>,
}
impl Fetch {
    fn start(source: Arc<Source>, deadline: Duration) -> Self {
        let (tell, answer) = watch::channel(None);
        let task = tokio::spawn(async move {
            let late = |_| error::no_credentials(CredentialsError::provider_timed_out(deadline));
            let answer = tokio::time::timeout(deadline, source.fetch()).await.map_err(late).flatten();
            tell.send_replace(Some((Instant::now(), answer.map(Known::new))));
        });
        Self { answer, task }
    }
}
impl Drop for Fetch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    /// Takes what a fetch has brought.
    fn settle(&mut self) {
        let Some(fetch) = self.fetch.take_if(|f| f.task.is_finished()) else { return };
        let Some(answer) = fetch.answer.borrow().clone() else { return };
        if let Ok(known) = &answer.1 {
            self.known = Some(known.clone());
        }
        self.last = Some(answer);
    }
}
enum Asked {
    Known(Result<Credentials>),
    Fetched(watch::Receiver<Option<Answer>>),
}
impl Kept {
    async fn credentials(&self) -> Result<Credentials> {
        let mut answer = match self.ask() {
            Asked::Known(answer) => return answer,
            Asked::Fetched(answer) => answer,
        };
        let answer = answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
        let ended = || Error::new(ErrorKind::Unavailable, Reason::ShuttingDown, "the fetch of credentials was ended").with_retry(Retry::After(PAUSE));
        Ok(answer.ok_or_else(ended)?.1?.credentials)
    }
    fn ask(&self) -> Asked {
        let mut state = self.state.lock();
        state.settle();
        let left = state.known.as_ref().map_or(Duration::ZERO, Known::left);
        let good = state.known.as_ref().filter(|_| left > MARGIN).map(|k| Ok(k.credentials.clone()));
        if left > AHEAD
            && let Some(good) = good
        {
            return Asked::Known(good);
        }
        let pause = if good.is_some() { RENEWAL_PAUSE } else { PAUSE };
        if let Some((_, answer)) = state.last.as_ref().filter(|(at, _)| at.elapsed() < pause) {
            return Asked::Known(good.unwrap_or_else(|| answer.clone().map(|known| known.credentials)));
        }
        let fetch = state.fetch.get_or_insert_with(|| Fetch::start(Arc::clone(&self.source), self.deadline));
        good.map_or_else(|| Asked::Fetched(fetch.answer.clone()), Asked::Known)
    }
}
impl ProvideCredentials for Kept {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        // The error is found again behind the SDK's own.
        future::ProvideCredentials::new(async { self.credentials().await.map_err(CredentialsError::provider_error) })
    }
}
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::task::JoinSet;
    use welkin_core::Effect;

    const WAITERS: usize = 4000;
    const HOUR: Duration = Duration::from_secs(3600);
    const MINUTE: Duration = Duration::from_secs(60);

    type Failure = fn() -> CredentialsError;
    /// Gives credentials for an hour, named by the number of the fetch, after a second; or fails; or never answers.
    #[derive(Debug, Clone, Default)]
    struct Issuer {
        fetches: Arc<AtomicUsize>,
        fails: Arc<Mutex<Option<Failure>>>,
        hangs: bool,
    }
    impl ProvideCredentials for Issuer {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.fetches.fetch_add(1, Ordering::Relaxed) + 1;
            future::ProvideCredentials::new(async move {
                tokio::time::sleep(if self.hangs { HOUR } else { Duration::from_secs(1) }).await;
                match *self.fails.lock() {
                    Some(why) => Err(why()),
                    None => Ok(Credentials::new(number.to_string(), "s", None, Some(SystemTime::now() + HOUR), "test")),
                }
            })
        }
    }
    fn over(issuer: Issuer) -> (Issuer, Arc<Kept>) {
        let source = Source::Chain(SharedCredentialsProvider::new(issuer.clone()));
        (issuer, Arc::new(Kept { source: Arc::new(source), deadline: Duration::from_secs(15), state: Mutex::default() }))
    }
    /// What all of them get, which is the same for all, and how long it took.
    async fn all(kept: &Arc<Kept>) -> (Result<String>, Duration) {
        let begin = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..WAITERS {
            let kept = Arc::clone(kept);
            tasks.spawn(async move { kept.credentials().await.map(|c| c.access_key_id().to_owned()) });
        }
        let answers = tasks.join_all().await;
        assert!(answers.iter().all(|a| a.as_ref().ok() == answers[0].as_ref().ok()), "they differ");
        (answers[0].clone(), begin.elapsed())
    }
    async fn later(by: Duration) {
        tokio::time::sleep(by).await;
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_share_one_fetch_and_one_renewal() {
        let (issuer, kept) = over(Issuer::default());
        let fetched = || issuer.fetches.load(Ordering::Relaxed);
        let (key, took) = all(&kept).await;
        assert_eq!((key.unwrap().as_str(), took, fetched()), ("1", Duration::from_secs(1), 1));
        later(50 * MINUTE).await;
        assert_eq!((all(&kept).await.0.unwrap().as_str(), fetched()), ("1", 1), "they are good for ten minutes more");
        // Ahead of time nobody waits.
        later(6 * MINUTE).await;
        let (key, took) = all(&kept).await;
        assert_eq!((key.unwrap().as_str(), took), ("1", Duration::ZERO));
        later(2 * MINUTE).await;
        assert_eq!((all(&kept).await.0.unwrap().as_str(), fetched()), ("2", 2));
        // Nobody asked while they could have been renewed.
        later(2 * HOUR).await;
        let (key, took) = all(&kept).await;
        assert_eq!((key.unwrap().as_str(), took, fetched()), ("3", Duration::from_secs(1), 3));
    }
    #[tokio::test(start_paused = true)]
    async fn what_fails_fails_once_for_all() {
        let (issuer, kept) = over(Issuer::default());
        *issuer.fails.lock() = Some(|| CredentialsError::provider_error("lost"));
        let e = all(&kept).await.0.unwrap_err();
        assert_eq!((e.kind(), e.retry(), e.effect(), issuer.fetches.load(Ordering::Relaxed)), (ErrorKind::Unavailable, Retry::After(PAUSE), Effect::None, 1));
        *issuer.fails.lock() = None;
        assert!(all(&kept).await.0.is_err(), "not again at once");
        later(PAUSE).await;
        assert_eq!((all(&kept).await.0.unwrap().as_str(), issuer.fetches.load(Ordering::Relaxed)), ("2", 2));
    }
    #[tokio::test(start_paused = true)]
    async fn a_failed_renewal_leaves_what_is_still_good() {
        let (issuer, kept) = over(Issuer::default());
        all(&kept).await.0.unwrap();
        *issuer.fails.lock() = Some(|| CredentialsError::not_loaded("nobody at home"));
        later(56 * MINUTE).await;
        for n in 2..5 {
            assert_eq!(all(&kept).await, (Ok("1".into()), Duration::ZERO));
            later(Duration::from_secs(5)).await;
            assert_eq!(all(&kept).await.0, Ok("1".into()));
            assert_eq!(issuer.fetches.load(Ordering::Relaxed), n, "once in a while");
            later(Duration::from_secs(10)).await;
        }
        later(4 * MINUTE).await;
        assert_eq!(all(&kept).await.0.unwrap_err().reason(), Reason::CloudCredentials);
    }
    #[tokio::test(start_paused = true)]
    async fn a_fetch_does_not_end_with_who_began_it() {
        let (issuer, kept) = over(Issuer::default());
        tokio::time::timeout(Duration::from_millis(500), kept.credentials()).await.unwrap_err();
        let (key, took) = all(&kept).await;
        assert_eq!((key.unwrap().as_str(), took, issuer.fetches.load(Ordering::Relaxed)), ("1", Duration::from_millis(500), 1));
    }
    #[tokio::test(start_paused = true)]
    async fn a_fetch_has_a_deadline() {
        let (issuer, kept) = over(Issuer { hangs: true, ..Issuer::default() });
        let (e, took) = all(&kept).await;
        let e = e.unwrap_err();
        assert_eq!((e.kind(), e.retry(), took), (ErrorKind::Unavailable, Retry::After(PAUSE), Duration::from_secs(15)));
        assert_eq!(issuer.fetches.load(Ordering::Relaxed), 1);
    }
}
