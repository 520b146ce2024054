//! The cloud's memory: a log of records, one line each, on disk before the vendor answers.
//!
//! A line is a checksum, a space and JSON. The last line may be torn, because a crash can interrupt its writing: it is cut off, and its call
//! was never answered. Any other damage is refused, because a cloud that forgets objects would hide exactly what this simulation is for.

use super::state::{Record, State};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{BufRead, BufReader, BufWriter, ErrorKind as IoKind, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};
use welkin_core::{Error, ErrorKind, Reason, Result};

const FILE: &str = "cloud.log";
const NEW: &str = "cloud.log.new";
const LOCK: &str = "cloud.lock";
/// The first line says what follows.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    welkin_sim: u32,
    seed: u64,
}
const VERSION: u32 = 1;

/// The open log. Only one process has it.
#[derive(Debug)]
pub(crate) struct Log {
    file: Arc<File>,
    path: PathBuf,
    /// After a failed write nothing may follow: it would be appended to half a line.
    is_broken: bool,
    _lock: File,
}
impl Log {
    /// Opens the log in `dir` and reads it. Where half of it is obsolete it is written anew without that: always would cost every start as much again.
    ///
    /// # Errors
    /// `FailedPrecondition` where another process has it, `DataLoss` where it is damaged or of a newer version.
    pub(crate) fn open(dir: &Path, seed: u64) -> Result<(Self, State)> {
        std::fs::create_dir_all(dir).map_err(|e| io(dir, "cannot be made", e))?;
        let lock_path = dir.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(|e| io(&lock_path, "cannot be opened", e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(ErrorKind::FailedPrecondition, Reason::Store, format!("another process runs the simulated cloud in {}", dir.display())));
            }
            Err(TryLockError::Error(e)) => return Err(io(&lock_path, "cannot be locked", e)),
        }
        let path = dir.join(FILE);
        let (file, state) = match File::open(&path) {
            Ok(file) => {
                let Kept { state, edits, whole } = read(BufReader::new(file), seed, &path)?;
                let file = if edits < 2 * state.len() { cut(&path, whole) } else { rewrite(dir, seed, &state) };
                (file?, state)
            }
            Err(e) if e.kind() == IoKind::NotFound => (rewrite(dir, seed, &State::default())?, State::default()),
            Err(e) => return Err(io(&path, "cannot be read", e)),
        };
        Ok((Self { file: Arc::new(file), path, is_broken: false, _lock: lock }, state))
    }
    /// Appends one record. It is durable only once the returned file is synced, which can be done without holding up others.
    pub(crate) fn append(&mut self, record: &Record) -> Result<Arc<File>> {
        if self.is_broken {
            return Err(Error::new(ErrorKind::Unavailable, Reason::Store, format!("{} could not be written before; restart the server", self.path.display())));
        }
        let text = line(record)?;
        (&*self.file).write_all(text.as_bytes()).map_err(|e| {
            self.is_broken = true;
            io(&self.path, "cannot be written", e)
        })?;
        Ok(Arc::clone(&self.file))
    }
}

fn io(path: &Path, what: &str, e: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, Reason::Store, format!("{} {what}: {e}", path.display())).with_source(e)
}
fn checksum(json: &str) -> String {
    blake3::hash(json.as_bytes()).to_hex()[..8].to_owned()
}
fn line(data: &impl Serialize) -> Result<String> {
    let json = serde_json::to_string(data).map_err(|e| Error::internal("a record does not serialise").with_source(e))?;
    Ok(format!("{} {json}\n", checksum(&json)))
}

/// What a log holds.
#[derive(Debug, Default)]
struct Kept {
    state: State,
    /// How many led to it; what is beyond one for each item is obsolete.
    edits: usize,
    /// Bytes up to the end of the last whole line.
    whole: u64,
}
fn read(mut log: impl BufRead, seed: u64, path: &Path) -> Result<Kept> {
    let damaged = |n: usize, why: &str| {
        let text = format!(
            "line {} of {} {why}; the simulated cloud is not started, so that nothing is overwritten: restore the file, or remove it to begin with an empty cloud",
            n + 1,
            path.display()
        );
        Error::new(ErrorKind::DataLoss, Reason::Store, text)
    };
    let (mut kept, mut raw) = (Kept::default(), Vec::new());
    for n in 0.. {
        raw.clear();
        let length = log.read_until(b'\n', &mut raw).map_err(|e| io(path, "cannot be read", e))?;
        // The end, or a torn line.
        let Some(whole) = raw.strip_suffix(b"\n") else { break };
        let text = std::str::from_utf8(whole).map_err(|_| damaged(n, "is not text"))?;
        kept.whole += length as u64;
        let json = text.split_once(' ').filter(|(sum, json)| *sum == checksum(json)).map(|(_, json)| json).ok_or_else(|| damaged(n, "is damaged"))?;
        if n == 0 {
            let header: Header = serde_json::from_str(json).map_err(|_| damaged(n, "is not the beginning of a simulated cloud"))?;
            if header.welkin_sim != VERSION {
                return Err(damaged(n, &format!("is of version {}, and this program knows only version {VERSION}", header.welkin_sim)));
            }
            if header.seed != seed {
                let text = format!("{} was made with seed {}, and the configuration says {seed}", path.display(), header.seed);
                return Err(Error::new(ErrorKind::FailedPrecondition, Reason::Configuration, text).with_field("seed"));
            }
            continue;
        }
        let record: Record = serde_json::from_str(json).map_err(|e| damaged(n, &format!("cannot be understood ({e})")))?;
        kept.edits += record.edits.len();
        kept.state.apply(record);
    }
    Ok(kept)
}

/// The log as it is, to go on at its end; a torn line goes.
fn cut(path: &Path, whole: u64) -> Result<File> {
    let mut file = OpenOptions::new().write(true).open(path).map_err(|e| io(path, "cannot be opened", e))?;
    file.set_len(whole).and_then(|()| file.seek(SeekFrom::End(0))).and_then(|_| file.sync_all()).map_err(|e| io(path, "cannot be written", e))?;
    Ok(file)
}

/// Writes beside the old log and then takes its place, so that a crash leaves one or the other.
fn rewrite(dir: &Path, seed: u64, state: &State) -> Result<File> {
    let (new, path) = (dir.join(NEW), dir.join(FILE));
    let cannot = |e| io(&new, "cannot be written", e);
    let mut log = BufWriter::new(OpenOptions::new().create(true).write(true).truncate(true).open(&new).map_err(|e| io(&new, "cannot be made", e))?);
    log.write_all(line(&Header { welkin_sim: VERSION, seed })?.as_bytes()).map_err(cannot)?;
    for record in state.records() {
        log.write_all(line(&record)?.as_bytes()).map_err(cannot)?;
    }
    let file = log.into_inner().map_err(|e| cannot(e.into_error()))?;
    file.sync_all().map_err(cannot)?;
    std::fs::rename(&new, &path).map_err(|e| io(&path, "cannot be replaced", e))?;
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| io(dir, "cannot be synced", e))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::super::{
        item::{Item, Network},
        state::Edit,
    };
    use super::*;

    fn record(n: u64) -> Record {
        let item = Item {
            id: format!("net-{n:017x}"),
            tags: [("k".to_owned(), "v\n".to_owned())].into(),
            created_ms: n,
            visible_ms: n,
            tagged_ms: n + 5,
            version: 1,
            body: Network { cidrs: vec!["10.0.0.0/16".parse().unwrap()], assigned: None, gateway: None },
        };
        Record { region: "r".into(), drawn: n, edits: vec![Edit::PutNetwork(Box::new(item))] }
    }
    fn filled(dir: &Path) -> Vec<u8> {
        let (mut log, state) = Log::open(dir, 1).unwrap();
        assert!(state.regions.is_empty());
        for n in 1..=3 {
            log.append(&record(n)).unwrap().sync_data().unwrap();
        }
        log.append(&Record { region: "r".into(), drawn: 9, edits: vec![Edit::RemoveNetwork(format!("net-{:017x}", 2))] }).unwrap();
        std::fs::read(dir.join(FILE)).unwrap()
    }
    fn left(dir: &Path) -> (usize, u64) {
        let (_, state) = Log::open(dir, 1).unwrap();
        (state.regions["r"].networks.len(), state.drawn)
    }

    #[test]
    fn what_was_written_is_there_again_and_compact() {
        let dir = tempfile::tempdir().unwrap();
        let before = filled(dir.path());
        assert_eq!(left(dir.path()), (2, 9));
        assert!(std::fs::read(dir.path().join(FILE)).unwrap().len() < before.len());
        assert_eq!(left(dir.path()), (2, 9), "reading it again changes nothing");
    }
    #[test]
    fn what_is_compact_stays_and_goes_on_at_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join(FILE);
        let bytes = filled(dir.path());
        let last = bytes[..bytes.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
        // The removal is torn, so that nothing is obsolete.
        std::fs::write(&log, &bytes[..bytes.len() - 3]).unwrap();
        let (mut disk, _) = Log::open(dir.path(), 1).unwrap();
        assert_eq!(std::fs::read(&log).unwrap(), bytes[..last]);
        disk.append(&record(4)).unwrap();
        drop(disk);
        assert_eq!(left(dir.path()), (4, 4));
    }
    #[test]
    fn a_torn_last_line_is_cut_off_at_every_byte() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = filled(dir.path());
        let last = bytes[..bytes.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
        for cut in last..bytes.len() {
            std::fs::write(dir.path().join(FILE), &bytes[..cut]).unwrap();
            assert_eq!(left(dir.path()), (3, 3), "cut at {cut}");
        }
    }
    #[test]
    fn any_other_damage_is_refused_and_nothing_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = filled(dir.path());
        let log = dir.path().join(FILE);
        for at in (0..bytes.len() - 1).step_by(7) {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            std::fs::write(&log, &bad).unwrap();
            let e = Log::open(dir.path(), 1).unwrap_err();
            assert_eq!((e.kind(), e.reason()), (ErrorKind::DataLoss, Reason::Store), "byte {at}");
            assert_eq!(std::fs::read(&log).unwrap(), bad);
        }
    }
    #[test]
    fn newer_versions_and_other_seeds_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), line(&Header { welkin_sim: 2, seed: 1 }).unwrap()).unwrap();
        assert!(Log::open(dir.path(), 1).unwrap_err().message().contains("version 2"));
        std::fs::write(dir.path().join(FILE), line(&Header { welkin_sim: 1, seed: 4 }).unwrap()).unwrap();
        assert_eq!(Log::open(dir.path(), 1).unwrap_err().violations()[0].field, "seed");
    }
    #[test]
    fn a_second_process_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Log::open(dir.path(), 1).unwrap();
        assert_eq!(Log::open(dir.path(), 1).unwrap_err().kind(), ErrorKind::FailedPrecondition);
    }
}
