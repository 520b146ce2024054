//! The embedded journal: SQLite in WAL mode with full sync.
//!
//! What is durable is so against the death of the process; against loss of power only as far as the disk keeps what it acknowledged.

use super::{
    Confidential, Journal, NameChange, NameRow, Progress, Row,
    seal::{Seal, random},
};
use async_trait::async_trait;
use futures::TryStreamExt as _;
use sqlx::{
    ConnectOptions as _, Connection as _, Row as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};
use welkin_core::{Error, ErrorKind, Handle, Reason, Result, Retry, Uid};

/// "WLKN": a file with another id is somebody else's database.
const APPLICATION_ID: i64 = 0x574c_4b4e;
/// The version of the tables; a store with a higher one belongs to a newer Welkin.
const SCHEMA_VERSION: i64 = 4;
const SCHEMA: &str = "
CREATE TABLE operations (
    id TEXT PRIMARY KEY,
    cloud TEXT NOT NULL,
    collection TEXT NOT NULL,
    verb TEXT NOT NULL,
    target TEXT NOT NULL,
    uid TEXT,
    request_id TEXT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    ended INTEGER NOT NULL,
    hidden INTEGER NOT NULL DEFAULT 0,
    progress TEXT NOT NULL,
    change_sealed BLOB,
    handle_sealed BLOB
);
CREATE INDEX operations_open ON operations (id) WHERE ended = 0;
CREATE INDEX operations_cloud ON operations (cloud, id);
CREATE TABLE requests (
    cloud TEXT NOT NULL,
    request_id TEXT NOT NULL,
    payload TEXT NOT NULL,
    operation TEXT NOT NULL REFERENCES operations (id) ON DELETE CASCADE,
    PRIMARY KEY (cloud, request_id)
);
CREATE INDEX requests_operation ON requests (operation);
CREATE TABLE names (
    cloud TEXT NOT NULL,
    name TEXT NOT NULL,
    uid TEXT NOT NULL,
    vendor_id TEXT NOT NULL,
    zone TEXT,
    since_ms BIGINT NOT NULL,
    unsettled_ms BIGINT,
    adopted INTEGER NOT NULL,
    PRIMARY KEY (cloud, name)
);
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
";

/// Where the key for the sealed parts comes from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A file of 32 bytes with mode 0600, outside the store; made where there is none and the store is new.
    File(PathBuf),
    /// The key itself.
    Key(SealKey),
}

/// 256 bits that do not show in Debug.
#[derive(Clone)]
pub struct SealKey(pub [u8; 32]);
impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(..)")
    }
}

/// One file, one process.
#[derive(Debug)]
pub struct SqliteJournal {
    pool: SqlitePool,
    seal: Seal,
    /// Held for as long as the journal lives; the operating system lets go of it when the process dies.
    _lock: File,
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::FailedPrecondition, Reason::Store, message)
}
fn broken(e: sqlx::Error) -> Error {
    Error::new(ErrorKind::Unavailable, Reason::Store, format!("the store cannot be used: {e}")).with_retry(Retry::After(Duration::from_millis(200))).with_source(e)
}
fn unreadable(what: &str, e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::DataLoss, Reason::Store, format!("{what} in the store cannot be read: {e}")).with_source(e)
}
fn number(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
fn millis(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

impl SqliteJournal {
    /// Opens the store at `path`, or makes it.
    ///
    /// # Errors
    /// `FailedPrecondition` where another process has it open, where it is damaged, newer, or somebody else's, and where its key is missing.
    /// It is never overwritten.
    pub async fn open(path: &Path, key: &KeySource) -> Result<Self> {
        let lock = lock(path)?;
        let is_new = is_new(path).await?;
        let key = key_bytes(key, is_new)?;
        let refused = |e: sqlx::Error| damaged(path, e);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
            .busy_timeout(Duration::from_secs(5));
        // SQLite has one writer; more connections would only queue inside it.
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(refused)?;
        if is_new {
            let mut tx = pool.begin().await.map_err(refused)?;
            sqlx::raw_sql(SCHEMA).execute(&mut *tx).await.map_err(refused)?;
            let ours = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};");
            sqlx::raw_sql(sqlx::AssertSqlSafe(ours)).execute(&mut *tx).await.map_err(refused)?;
            tx.commit().await.map_err(refused)?;
        }
        Ok(Self { pool, seal: Seal::new(&key), _lock: lock })
    }

    fn row(&self, row: &SqliteRow) -> Result<Row> {
        let id: String = row.try_get("id").map_err(broken)?;
        let progress: String = row.try_get("progress").map_err(broken)?;
        let mut progress: Progress = serde_json::from_str(&progress).map_err(|e| unreadable(&format!("operation {id}"), e))?;
        if let Some(sealed) = row.try_get::<Option<Vec<u8>>, _>("handle_sealed").map_err(broken)? {
            // An unreadable handle is amnesia; the driver then looks.
            progress.handle = self.seal.open(&id, &sealed).ok().and_then(|text| serde_json::from_str::<Handle>(&text).ok());
        }
        let change = row.try_get::<Option<Vec<u8>>, _>("change_sealed").map_err(broken)?;
        Ok(Row {
            cloud: row.try_get("cloud").map_err(broken)?,
            collection: row.try_get("collection").map_err(broken)?,
            verb: row.try_get("verb").map_err(broken)?,
            target: row.try_get("target").map_err(broken)?,
            uid: row.try_get::<Option<String>, _>("uid").map_err(broken)?.map(|u| u.parse()).transpose().map_err(|e: Error| unreadable(&format!("operation {id}"), e))?,
            request_id: row.try_get("request_id").map_err(broken)?,
            created_ms: millis(row.try_get("created_ms").map_err(broken)?),
            change: change.map(|sealed| self.seal.open(&id, &sealed).map(Confidential)).transpose()?,
            progress,
            id,
        })
    }
    fn progress(&self, id: &str, progress: &Progress) -> Result<(String, Option<Vec<u8>>)> {
        let text = |e| Error::internal("a record does not serialise").with_source(e);
        let handle = progress.handle.as_ref().map(|h| serde_json::to_string(h).map_err(text).and_then(|h| self.seal.seal(id, &h))).transpose()?;
        let open = Progress { handle: None, ..progress.clone() };
        Ok((serde_json::to_string(&open).map_err(text)?, handle))
    }
}

fn damaged(path: &Path, e: sqlx::Error) -> Error {
    configuration(format!("{} is not a store that this Welkin can use: {e}. It was left as it is; move it away to start afresh", path.display())).with_source(e)
}

/// Is there nothing yet? Whatever else is there must be a whole store of ours. Only looks, so that what is refused is left as it is.
async fn is_new(path: &Path) -> Result<bool> {
    let refused = |e: sqlx::Error| damaged(path, e);
    if !path.exists() {
        return Ok(true);
    }
    let mut c = SqliteConnectOptions::new().filename(path).read_only(true).connect().await.map_err(refused)?;
    let check: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut c).await.map_err(refused)?;
    if check != "ok" {
        return Err(configuration(format!("{} is damaged: {check}. It was left as it is", path.display())));
    }
    let application: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut c).await.map_err(refused)?;
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut c).await.map_err(refused)?;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut c).await.map_err(refused)?;
    c.close().await.map_err(refused)?;
    if (application, version, tables) == (0, 0, 0) {
        // What a crash leaves between the making of the file and its tables.
        return Ok(true);
    }
    if application != APPLICATION_ID {
        return Err(configuration(format!("{} is a database, but not Welkin's. It was left as it is", path.display())));
    }
    if version != SCHEMA_VERSION {
        return Err(configuration(format!(
            "{} has tables of version {version} and this Welkin knows version {SCHEMA_VERSION}: use the Welkin that wrote it. It was left as it is",
            path.display()
        )));
    }
    Ok(false)
}

fn lock(path: &Path) -> Result<File> {
    let at = path.with_extension("lock");
    let cannot = |e: std::io::Error| configuration(format!("{} cannot be used: {e}", at.display()));
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&at).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(configuration(format!("{} is in use by another server", path.display()))),
        Err(TryLockError::Error(e)) => Err(cannot(e)),
    }
}

fn key_bytes(source: &KeySource, is_new: bool) -> Result<[u8; 32]> {
    let path = match source {
        KeySource::Key(key) => return Ok(key.0),
        KeySource::File(path) => path,
    };
    let cannot = |e: std::io::Error| configuration(format!("the key file {} cannot be used: {e}", path.display()));
    // Empty is what a crash leaves between the making of the file and its content.
    let is_there = std::fs::metadata(path).is_ok_and(|m| !is_new || m.len() > 0);
    if !is_there {
        if !is_new {
            return Err(configuration(format!("the store's key file {} is missing: without it open operations cannot go on", path.display())));
        }
        if path.exists() {
            std::fs::remove_file(path).map_err(cannot)?;
        }
        let key: [u8; 32] = random()?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(cannot)?;
        file.write_all(&key).and_then(|()| file.sync_all()).map_err(cannot)?;
        return Ok(key);
    }
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).map_err(cannot)?.permissions());
        if mode & 0o077 != 0 {
            return Err(configuration(format!("others can read the key file {}: chmod 600 it", path.display())));
        }
    }
    let mut key = Vec::new();
    File::open(path).and_then(|mut f| f.read_to_end(&mut key)).map_err(cannot)?;
    key.try_into().map_err(|_| configuration(format!("the key file {} does not hold 32 bytes", path.display())))
}

const COLUMNS: &str = "SELECT id, cloud, collection, verb, target, uid, request_id, created_ms, progress, change_sealed, handle_sealed FROM operations";

#[async_trait]
impl Journal for SqliteJournal {
    async fn insert(&self, row: &Row, payload: &str) -> Result<bool> {
        let (progress, handle) = self.progress(&row.id, &row.progress)?;
        let change = row.change.as_ref().map(|c| self.seal.seal(&row.id, &c.0)).transpose()?;
        let mut tx = self.pool.begin().await.map_err(broken)?;
        sqlx::query(
            "INSERT INTO operations (id, cloud, collection, verb, target, uid, request_id, created_ms, updated_ms, ended, progress, change_sealed, handle_sealed)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(&row.id)
        .bind(&row.cloud)
        .bind(&row.collection)
        .bind(&row.verb)
        .bind(&row.target)
        .bind(row.uid.as_ref().map(Uid::as_str))
        .bind(&row.request_id)
        .bind(number(row.created_ms))
        .bind(number(row.progress.updated_ms))
        .bind(i64::from(row.progress.end.is_some()))
        .bind(progress)
        .bind(change)
        .bind(handle)
        .execute(&mut *tx)
        .await
        .map_err(broken)?;
        if let Some(request_id) = &row.request_id
            && !write_request(&mut tx, &row.cloud, request_id, payload, &row.id).await?
        {
            tx.rollback().await.map_err(broken)?;
            return Ok(false);
        }
        tx.commit().await.map_err(broken)?;
        Ok(true)
    }
    async fn join(&self, cloud: &str, request_id: &str, payload: &str, operation: &str) -> Result<bool> {
        let mut connection = self.pool.acquire().await.map_err(broken)?;
        write_request(&mut connection, cloud, request_id, payload, operation).await
    }
    async fn resolve(&self, id: &str, target: &str, change: &Confidential, progress: &Progress) -> Result<()> {
        let (text, handle) = self.progress(id, progress)?;
        let change = self.seal.seal(id, &change.0)?;
        sqlx::query("UPDATE operations SET target = $2, change_sealed = $3, progress = $4, handle_sealed = $5, updated_ms = $6 WHERE id = $1 AND ended = 0")
            .bind(id)
            .bind(target)
            .bind(change)
            .bind(text)
            .bind(handle)
            .bind(number(progress.updated_ms))
            .execute(&self.pool)
            .await
            .map_err(broken)?;
        Ok(())
    }
    async fn save(&self, id: &str, progress: &Progress) -> Result<()> {
        let (text, handle) = self.progress(id, progress)?;
        sqlx::query("UPDATE operations SET progress = $2, handle_sealed = $3, updated_ms = $4 WHERE id = $1 AND ended = 0")
            .bind(id)
            .bind(text)
            .bind(handle)
            .bind(number(progress.updated_ms))
            .execute(&self.pool)
            .await
            .map_err(broken)?;
        Ok(())
    }
    async fn finish(&self, id: &str, cloud: &str, progress: &Progress, name: &NameChange) -> Result<()> {
        let (text, _) = self.progress(id, progress)?;
        let mut tx = self.pool.begin().await.map_err(broken)?;
        let ended = sqlx::query("UPDATE operations SET progress = $2, handle_sealed = NULL, change_sealed = NULL, ended = 1, updated_ms = $3 WHERE id = $1 AND ended = 0")
            .bind(id)
            .bind(text)
            .bind(number(progress.updated_ms))
            .execute(&mut *tx)
            .await
            .map_err(broken)?;
        if ended.rows_affected() == 1 {
            write_name(&mut tx, cloud, name).await?;
        }
        tx.commit().await.map_err(broken)
    }
    async fn withdraw(&self, id: &str) -> Result<()> {
        sqlx::query("DELETE FROM operations WHERE id = $1 AND ended = 0").bind(id).execute(&self.pool).await.map_err(broken)?;
        Ok(())
    }
    async fn open_rows(&self) -> Result<Vec<Row>> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE ended = 0 ORDER BY id"))).fetch_all(&self.pool).await.map_err(broken)?;
        rows.iter().map(|r| self.row(r)).collect()
    }
    async fn load(&self, cloud: &str, id: &str) -> Result<Option<Row>> {
        let query = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE cloud = $1 AND id = $2 AND hidden = 0"));
        let row = sqlx::query(query).bind(cloud).bind(id).fetch_optional(&self.pool).await.map_err(broken)?;
        row.map(|r| self.row(&r)).transpose()
    }
    async fn by_request(&self, cloud: &str, request_id: &str) -> Result<Option<(Row, String)>> {
        let request = sqlx::query_as("SELECT operation, payload FROM requests WHERE cloud = $1 AND request_id = $2").bind(cloud).bind(request_id);
        let Some((operation, payload)): Option<(String, String)> = request.fetch_optional(&self.pool).await.map_err(broken)? else { return Ok(None) };
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE id = $1"))).bind(operation).fetch_optional(&self.pool).await.map_err(broken)?;
        row.map(|r| Ok((self.row(&r)?, payload))).transpose()
    }
    async fn page(&self, cloud: &str, before: Option<&str>, limit: usize) -> Result<Vec<Row>> {
        // '~' sorts after every id.
        let query = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE cloud = $1 AND id < $2 AND hidden = 0 ORDER BY id DESC LIMIT $3"));
        let rows = sqlx::query(query).bind(cloud).bind(before.unwrap_or("~")).bind(number(limit as u64)).fetch_all(&self.pool).await.map_err(broken)?;
        rows.iter().map(|r| self.row(r)).collect()
    }
    async fn hide(&self, cloud: &str, id: &str) -> Result<bool> {
        let done = sqlx::query("UPDATE operations SET hidden = 1 WHERE cloud = $1 AND id = $2 AND ended = 1 AND hidden = 0")
            .bind(cloud)
            .bind(id)
            .execute(&self.pool)
            .await
            .map_err(broken)?;
        Ok(done.rows_affected() == 1)
    }
    async fn expire(&self, hide_ms: u64, forget_ms: u64) -> Result<()> {
        let mut tx = self.pool.begin().await.map_err(broken)?;
        sqlx::query("DELETE FROM operations WHERE ended = 1 AND updated_ms < $1").bind(number(forget_ms)).execute(&mut *tx).await.map_err(broken)?;
        sqlx::query("UPDATE operations SET hidden = 1 WHERE ended = 1 AND hidden = 0 AND updated_ms < $1").bind(number(hide_ms)).execute(&mut *tx).await.map_err(broken)?;
        tx.commit().await.map_err(broken)
    }
    async fn names(&self, cloud: &str) -> Result<Vec<NameRow>> {
        // One at a time: all rows at once take more memory than what they tell.
        let rows = sqlx::query("SELECT name, uid, vendor_id, zone, since_ms, unsettled_ms, adopted FROM names WHERE cloud = $1").bind(cloud).fetch(&self.pool);
        rows.map_err(broken).and_then(|row| std::future::ready(name_row(&row))).try_collect().await
    }
    async fn set_name(&self, cloud: &str, name: &NameChange) -> Result<()> {
        let mut tx = self.pool.begin().await.map_err(broken)?;
        write_name(&mut tx, cloud, name).await?;
        tx.commit().await.map_err(broken)
    }
    async fn setting(&self, key: &str, fresh: &str) -> Result<String> {
        sqlx::query("INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING").bind(key).bind(fresh).execute(&self.pool).await.map_err(broken)?;
        sqlx::query_scalar("SELECT value FROM settings WHERE key = $1").bind(key).fetch_one(&self.pool).await.map_err(broken)
    }
    async fn close(&self) {
        self.pool.close().await;
    }
}

fn name_row(row: &SqliteRow) -> Result<NameRow> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(broken);
    let name = text("name")?;
    let bad = |e: Error| unreadable(&format!("the name {name}"), e);
    Ok(NameRow {
        uid: text("uid")?.parse().map_err(bad)?,
        vendor_id: text("vendor_id")?.parse().map_err(bad)?,
        zone: row.try_get("zone").map_err(broken)?,
        since_ms: millis(row.try_get("since_ms").map_err(broken)?),
        unsettled_ms: row.try_get::<Option<i64>, _>("unsettled_ms").map_err(broken)?.map(millis),
        adopted: row.try_get("adopted").map_err(broken)?,
        name,
    })
}

/// False where the id is taken.
async fn write_request(at: &mut sqlx::SqliteConnection, cloud: &str, request_id: &str, payload: &str, operation: &str) -> Result<bool> {
    let query = sqlx::query("INSERT INTO requests (cloud, request_id, payload, operation) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING");
    let done = query.bind(cloud).bind(request_id).bind(payload).bind(operation).execute(at).await.map_err(broken)?;
    Ok(done.rows_affected() == 1)
}

async fn write_name(tx: &mut sqlx::SqliteConnection, cloud: &str, name: &NameChange) -> Result<()> {
    match name {
        NameChange::Keep => {}
        NameChange::Set(row) => {
            sqlx::query(
                "INSERT INTO names (cloud, name, uid, vendor_id, zone, since_ms, unsettled_ms, adopted) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                 ON CONFLICT (cloud, name) DO UPDATE SET uid = $3, vendor_id = $4, zone = $5, since_ms = $6, unsettled_ms = $7, adopted = $8",
            )
            .bind(cloud)
            .bind(&row.name)
            .bind(row.uid.as_str())
            .bind(row.vendor_id.as_str())
            .bind(&row.zone)
            .bind(number(row.since_ms))
            .bind(row.unsettled_ms.map(number))
            .bind(row.adopted)
            .execute(tx)
            .await
            .map_err(broken)?;
        }
        NameChange::Remove(name) => {
            sqlx::query("DELETE FROM names WHERE cloud = $1 AND name = $2").bind(cloud).bind(name).execute(tx).await.map_err(broken)?;
        }
        NameChange::Many(all) => {
            for one in all {
                Box::pin(write_name(tx, cloud, one)).await?;
            }
        }
    }
    Ok(())
}
