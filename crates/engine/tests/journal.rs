//! The same trials over both journals, and what only the one on disk has to prove.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::{fs, path::Path};
use welkin_core::{Error, Reason};
use welkin_engine::{
    Journal, KeySource, MemoryJournal, Outcome, Phase, SqliteJournal,
    journal::{Confidential, NameChange, NameRow, Progress, Row},
};

fn row(id: &str, request_id: Option<&str>) -> Row {
    Row {
        id: id.into(),
        cloud: "lab".into(),
        collection: "networks".into(),
        verb: "create".into(),
        target: format!("locations/r/networks/{id}"),
        uid: Some("0123456789".parse().unwrap()),
        request_id: request_id.map(Into::into),
        created_ms: 1_000,
        change: Some(Confidential("{\"user_data\":\"hunter2hunter2\"}".into())),
        progress: Progress::new(1_000),
    }
}
fn name(n: &str) -> NameRow {
    NameRow { name: n.into(), uid: "0123456789".parse().unwrap(), vendor_id: "net-1".parse().unwrap(), zone: Some("r-a".into()), since_ms: 5, unsettled_ms: Some(7), adopted: true }
}
async fn sqlite(dir: &Path) -> welkin_core::Result<SqliteJournal> {
    SqliteJournal::open(&dir.join("welkin.db"), &KeySource::File(dir.join("welkin.key"))).await
}

async fn trials(journal: &dyn Journal) {
    // A request id is taken once in a cloud, for as long as its row is there.
    assert!(journal.insert(&row("a", Some("req")), "p").await.unwrap());
    assert!(!journal.insert(&row("b", Some("req")), "p").await.unwrap());
    assert!(journal.insert(&row("b", None), "p").await.unwrap());
    assert_eq!(journal.by_request("lab", "req").await.unwrap().unwrap().0.id, "a");
    assert_eq!(journal.by_request("other", "req").await.unwrap(), None);
    // Another request that was answered with the same operation has an id and a payload of its own.
    assert!(journal.join("lab", "second", "q", "a").await.unwrap());
    assert!(!journal.join("lab", "second", "r", "b").await.unwrap());
    assert!(!journal.insert(&row("c", Some("second")), "p").await.unwrap());
    let (joined, payload) = journal.by_request("lab", "second").await.unwrap().unwrap();
    assert_eq!((joined.id.as_str(), joined.request_id.as_deref(), payload.as_str()), ("a", Some("req"), "q"));
    assert!(journal.join("lab", "third", "p", "b").await.unwrap());

    // What a restart finds is what was saved.
    let mut progress = Progress { phase: Phase::Running, prepared: true, unresolved_ms: Some(7), last_write_ms: Some(7), ..Progress::new(2_000) };
    progress.handle = Some(welkin_core::Handle::pack(&"signed-url-token".to_owned()).unwrap());
    journal.resolve("a", "locations/r/networks/other", &Confidential("resolved".into()), &progress).await.unwrap();
    let open = journal.open_rows().await.unwrap();
    assert_eq!(open.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((open[0].target.as_str(), &open[0].uid), ("locations/r/networks/other", &row("a", None).uid));
    assert_eq!((open[0].change.as_ref().unwrap().0.as_str(), &open[0].progress), ("resolved", &progress));
    progress.steps = 3;
    journal.save("a", &progress).await.unwrap();
    assert_eq!(journal.load("lab", "a").await.unwrap().unwrap().progress, progress);
    assert_eq!(journal.load("other", "a").await.unwrap(), None);

    // The end erases the change and the handle, and sets the name in the same step.
    let ended = Progress { phase: Phase::Ended, handle: None, end: Some(Ok(Outcome::Deleted)), ..progress };
    journal.finish("a", "lab", &ended, &NameChange::Set(name("n"))).await.unwrap();
    let a = journal.load("lab", "a").await.unwrap().unwrap();
    assert_eq!((a.change, &a.progress.end, &a.progress.handle), (None, &ended.end, &None));
    assert_eq!(journal.names("lab").await.unwrap(), [name("n")]);
    assert_eq!(journal.names("other").await.unwrap(), []);
    // A writer that comes late changes nothing of what has ended.
    let late = Progress { end: None, cancel: true, ..ended.clone() };
    journal.save("a", &late).await.unwrap();
    journal.resolve("a", "locations/r/networks/other", &Confidential("late".into()), &late).await.unwrap();
    journal.finish("a", "lab", &late, &NameChange::Remove("n".into())).await.unwrap();
    journal.withdraw("a").await.unwrap();
    assert_eq!(journal.load("lab", "a").await.unwrap().unwrap().progress.end, ended.end);
    assert_eq!(journal.names("lab").await.unwrap(), [name("n")]);

    // A refused intent leaves nothing.
    journal.withdraw("b").await.unwrap();
    assert_eq!(journal.load("lab", "b").await.unwrap(), None);
    assert_eq!(journal.by_request("lab", "third").await.unwrap(), None);
    assert_eq!(journal.open_rows().await.unwrap().len(), 0);

    // Pages go backwards.
    for id in ["c", "d", "e"] {
        journal.insert(&row(id, None), "p").await.unwrap();
    }
    let ids = |rows: Vec<Row>| rows.into_iter().map(|r| r.id).collect::<Vec<_>>();
    assert_eq!(ids(journal.page("lab", None, 2).await.unwrap()), ["e", "d"]);
    assert_eq!(ids(journal.page("lab", Some("d"), 9).await.unwrap()), ["c", "a"]);

    // Hidden is gone for readers and keeps its request id; open ones can be neither hidden nor expired.
    assert!(!journal.hide("lab", "c").await.unwrap());
    assert!(journal.hide("lab", "a").await.unwrap());
    assert_eq!(journal.load("lab", "a").await.unwrap(), None);
    assert_eq!(journal.by_request("lab", "req").await.unwrap().unwrap().0.id, "a");
    journal.expire(u64::MAX / 4, 1).await.unwrap();
    assert_eq!(journal.by_request("lab", "req").await.unwrap().unwrap().0.id, "a");
    journal.expire(u64::MAX / 4, u64::MAX / 4).await.unwrap();
    for request in ["req", "second"] {
        assert_eq!(journal.by_request("lab", request).await.unwrap(), None);
    }
    assert_eq!(journal.open_rows().await.unwrap().len(), 3);

    // The first value of a setting stays.
    assert_eq!(journal.setting("k", "one").await.unwrap(), "one");
    assert_eq!(journal.setting("k", "two").await.unwrap(), "one");
    journal.set_name("lab", &NameChange::Remove("n".into())).await.unwrap();
    assert_eq!(journal.names("lab").await.unwrap(), []);
}

#[tokio::test]
async fn memory() {
    trials(&MemoryJournal::new()).await;
}
#[tokio::test]
async fn on_disk() {
    let dir = tempfile::tempdir().unwrap();
    trials(&sqlite(dir.path()).await.unwrap()).await;
}

#[tokio::test]
async fn secrets_are_never_in_clear_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let journal = sqlite(dir.path()).await.unwrap();
    journal.insert(&row("a", None), "p").await.unwrap();
    let mut progress = Progress::new(1);
    progress.handle = Some(welkin_core::Handle::pack(&"signed-url-token".to_owned()).unwrap());
    journal.save("a", &progress).await.unwrap();
    for file in fs::read_dir(dir.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        for secret in ["hunter2", "signed-url"] {
            assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()));
        }
    }
    assert_eq!(journal.load("lab", "a").await.unwrap().unwrap().progress.handle, progress.handle);
}

fn refused(result: welkin_core::Result<SqliteJournal>, words: &str) {
    let e: Error = result.unwrap_err();
    assert_eq!(e.reason(), Reason::Store);
    assert!(e.message().contains(words), "{e}");
}

#[tokio::test]
async fn a_store_is_opened_by_one_process_only() {
    let dir = tempfile::tempdir().unwrap();
    let first = sqlite(dir.path()).await.unwrap();
    refused(sqlite(dir.path()).await, "in use by another server");
    drop(first);
    sqlite(dir.path()).await.unwrap();
}

#[tokio::test]
async fn a_damaged_newer_or_foreign_store_is_refused_and_left_alone() {
    for (damage, words) in [("garbage", "not a store"), ("newer", "tables of version 99"), ("foreign", "not Welkin's"), ("wild", "not Welkin's")] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("welkin.db");
        let journal = sqlite(dir.path()).await.unwrap();
        journal.close().await;
        drop(journal);
        match damage {
            "garbage" => {
                for extra in ["welkin.db-wal", "welkin.db-shm"] {
                    let _ = fs::remove_file(dir.path().join(extra));
                }
                fs::write(&path, b"this is no database at all, and longer than a header of one would be").unwrap();
            }
            "wild" => {
                fs::remove_file(&path).unwrap();
                sql(&path, "CREATE TABLE theirs (a)").await;
            }
            "newer" => sql(&path, "PRAGMA user_version = 99").await,
            _ => sql(&path, "PRAGMA application_id = 7").await,
        }
        let before = fs::read(&path).unwrap();
        refused(sqlite(dir.path()).await, words);
        assert_eq!(fs::read(&path).unwrap(), before, "{damage}");
    }
}
#[tokio::test]
async fn what_a_crash_left_before_there_was_anything_is_new() {
    for empty in ["welkin.db", "welkin.key"] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(empty), b"").unwrap();
        drop(sqlite(dir.path()).await.unwrap());
        drop(sqlite(dir.path()).await.unwrap());
    }
    // In WAL mode the file has a page before it has a table.
    let dir = tempfile::tempdir().unwrap();
    sql(&dir.path().join("welkin.db"), "PRAGMA journal_mode = WAL").await;
    assert!(fs::metadata(dir.path().join("welkin.db")).unwrap().len() > 0);
    sqlite(dir.path()).await.unwrap();
}
async fn sql(path: &Path, statement: &'static str) {
    use sqlx::{Connection as _, Executor as _};
    let mut c = sqlx::SqliteConnection::connect_with(&sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true)).await.unwrap();
    c.execute(statement).await.unwrap();
    c.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
    c.close().await.unwrap();
}

#[tokio::test]
async fn the_key_is_needed_and_kept_from_others() {
    let dir = tempfile::tempdir().unwrap();
    drop(sqlite(dir.path()).await.unwrap());
    let key = dir.path().join("welkin.key");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        refused(sqlite(dir.path()).await, "others can read the key file");
    }
    fs::remove_file(&key).unwrap();
    refused(sqlite(dir.path()).await, "is missing");
}
