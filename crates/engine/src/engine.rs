//! All accounts over one journal.

use crate::{
    account::{Account, Parts, Settings, Stop},
    intent::Digester,
    journal::{Journal, MemoryJournal},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio_util::task::TaskTracker;
use uuid::Uuid;
use welkin_core::{CloudProvider, Error, ErrorKind, Owner, Reason, Result, Violation};

/// How long a request id outlives its operation's record.
const REQUEST_ID_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
/// What a step that is under way gets at shutdown.
const LAST_STEPS: Duration = Duration::from_secs(10);
/// How often ended operations are looked through.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(3600);

/// Every configured cloud. Dropping it stops its work where it is; the journal knows how to go on.
#[derive(Debug)]
pub struct Engine {
    accounts: BTreeMap<String, Arc<Account>>,
    journal: Arc<dyn Journal>,
    stop: Stop,
    tasks: TaskTracker,
}

/// Puts an [`Engine`] together.
#[derive(Debug)]
pub struct EngineBuilder {
    journal: Arc<dyn Journal>,
    clouds: Vec<(String, Arc<dyn CloudProvider>, Option<Owner>)>,
    settings: Settings,
}
impl EngineBuilder {
    /// Where operations are kept; in memory unless said otherwise.
    #[must_use]
    pub fn journal(mut self, journal: impl Journal) -> Self {
        self.journal = Arc::new(journal);
        self
    }
    /// A cloud, marked with an owner that is generated once and kept in the journal.
    #[must_use]
    pub fn cloud(mut self, name: impl Into<String>, provider: Arc<dyn CloudProvider>) -> Self {
        self.clouds.push((name.into(), provider, None));
        self
    }
    /// A cloud, marked with this owner. It is kept in the journal too, and cannot be changed afterwards.
    #[must_use]
    pub fn cloud_owned_by(mut self, name: impl Into<String>, provider: Arc<dyn CloudProvider>, owner: Owner) -> Self {
        self.clouds.push((name.into(), provider, Some(owner)));
        self
    }
    /// How it behaves.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }
    /// Opens every account and takes up what the journal says is open.
    ///
    /// # Errors
    /// `InvalidArgument` for a cloud's name that is not a label or there twice; `FailedPrecondition` with reason CONFIGURATION where the journal knows
    /// the cloud with another owner or vendor; the journal's own. Nothing has begun to run then.
    pub async fn open(self) -> Result<Engine> {
        let (stop, tasks) = (Stop::default(), TaskTracker::new());
        let journal = self.journal;
        let digester = Digester::new(&journal.setting("digest_key", &fresh_secret()).await?);
        let mut accounts = BTreeMap::new();
        for (name, provider, owner) in self.clouds {
            // A cloud's name has the form of an owner: a label.
            let _: Owner =
                name.parse().map_err(|_| Error::invalid("clouds", format!("{name:?} is not a name for a cloud: it needs 1 to 63 of a-z, 0-9 and '-', a letter first")))?;
            let owner = kept_owner(&*journal, &name, owner).await?;
            keep_vendor(&*journal, &name, provider.capabilities().vendor).await?;
            let account = Account::new(Parts {
                cloud: Arc::from(name.as_str()),
                owner,
                provider,
                names: journal.names(&name).await?,
                journal: Arc::clone(&journal),
                settings: self.settings.clone(),
                digester: digester.clone(),
                stop: stop.clone(),
                tasks: tasks.clone(),
            });
            if accounts.insert(name.clone(), account).is_some() {
                return Err(Error::invalid("clouds", format!("{name:?} is there twice")));
            }
        }
        recover(&*journal, &accounts).await?;
        tasks.spawn(expire(Arc::clone(&journal), self.settings.retention, stop.clone()));
        Ok(Engine { accounts, journal, stop, tasks })
    }
}

/// For the key of digests. It is as secret as the store; the sealed parts have a key of their own.
fn fresh_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// Whose marks are ours in a cloud: once and for all. Under another owner nothing that was made would be ours any more, and what an open operation
/// has written could not be found.
async fn kept_owner(journal: &dyn Journal, cloud: &str, configured: Option<Owner>) -> Result<Owner> {
    let fresh = configured.as_ref().map_or_else(|| format!("w{}", &Uuid::new_v4().simple().to_string()[..15]), ToString::to_string);
    let kept: Owner = journal.setting(&format!("owner/{cloud}"), &fresh).await?.parse()?;
    match configured {
        Some(other) if other != kept => {
            let message = format!(
                "this store knows the cloud as {kept:?}, and what {kept:?} has made would not be found as {other:?}: take {kept:?}, or give the cloud another name",
                kept = kept.as_str(),
                other = other.as_str()
            );
            Err(misconfigured(&format!("clouds.{cloud}.owner"), &message))
        }
        _ => Ok(kept),
    }
}
/// A name of a cloud stays with its vendor: ids that the store holds mean nothing to another one.
async fn keep_vendor(journal: &dyn Journal, cloud: &str, vendor: &str) -> Result<()> {
    let kept = journal.setting(&format!("vendor/{cloud}"), vendor).await?;
    if kept == vendor {
        return Ok(());
    }
    let message = format!("this store knows the cloud as one of {kept}, and now it is one of {vendor}: give it another name");
    Err(misconfigured(&format!("clouds.{cloud}.provider"), &message))
}
fn misconfigured(key: &str, message: &str) -> Error {
    Error::new(ErrorKind::FailedPrecondition, Reason::Configuration, format!("{key}: {message}")).with_violations(vec![Violation::new(key, message)])
}

/// Every record is read before the first operation goes on: a store that cannot be read is refused, and nothing drives a cloud behind that refusal.
async fn recover(journal: &dyn Journal, accounts: &BTreeMap<String, Arc<Account>>) -> Result<()> {
    let mut starts = Vec::new();
    let mut rows = journal.open_rows().await?;
    // Who has its place takes it before those who wait for it.
    rows.sort_by_key(|row| row.progress.queued && !row.progress.prepared);
    for row in rows {
        match accounts.get(&row.cloud) {
            Some(account) => starts.push(account.recovered(row)?),
            None => tracing::warn!(operation = row.id, cloud = row.cloud, "an open operation waits for its cloud to be configured again"),
        }
    }
    for start in starts {
        start();
    }
    Ok(())
}

async fn expire(journal: Arc<dyn Journal>, retention: Duration, stop: Stop) {
    let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    loop {
        let now = welkin_core::unix_millis(std::time::SystemTime::now());
        let hide = now.saturating_sub(ms(retention));
        if let Err(error) = journal.expire(hide, hide.saturating_sub(ms(REQUEST_ID_RETENTION))).await {
            tracing::warn!(%error, "ended operations are not expired");
        }
        tokio::select! { () = stop.stop.cancelled() => return, () = tokio::time::sleep(EXPIRY_INTERVAL) => {} }
    }
}

impl Engine {
    /// An engine to be put together.
    #[must_use]
    pub fn builder() -> EngineBuilder {
        EngineBuilder { journal: Arc::new(MemoryJournal::new()), clouds: Vec::new(), settings: Settings::default() }
    }
    /// The account of a cloud.
    ///
    /// # Errors
    /// `NotFound` with reason CLOUD_UNKNOWN.
    pub fn account(&self, cloud: &str) -> Result<&Arc<Account>> {
        self.accounts.get(cloud).ok_or_else(|| {
            let known: Vec<&str> = self.accounts.keys().map(String::as_str).collect();
            Error::new(ErrorKind::NotFound, Reason::CloudUnknown, format!("no cloud {cloud:?} is configured; there is {}", known.join(", ")))
        })
    }
    /// Every account, by name.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts.values()
    }
    /// Takes no more steps and lets nobody wait; steps that are under way get a few seconds. Open operations stay in the journal.
    pub async fn shutdown(&self) {
        self.stop.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(LAST_STEPS, self.tasks.wait()).await.is_err() {
            self.stop.now();
            self.tasks.wait().await;
        }
        self.journal.close().await;
    }
}
impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.now();
    }
}
