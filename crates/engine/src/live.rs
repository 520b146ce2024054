//! An operation that has not ended: its record, the marks of its writes, and who waits for it.

use crate::{
    clock::Clock,
    gate::Marks,
    journal::{Journal, NameChange, Progress, Row},
    operation::{Operation, Outcome, Phase},
};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use welkin_core::{Digest, Effect, Error, Handle, Permit, Result, Resume};

/// How far a waiting caller is concerned.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// Names and references are being checked: it may still be refused.
    Checking,
    /// It is an operation.
    Accepted,
    /// It never became one.
    Refused(Error),
    /// It is over.
    Ended,
}

#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: String,
    cloud: Arc<str>,
    journal: Arc<dyn Journal>,
    clock: Clock,
    taken_up: Instant,
    answered: AtomicBool,
    /// Of a create: to tell whether another create means the same.
    pub(crate) digest: Option<Digest>,
    record: Mutex<Record>,
    /// Held from the look at the record to the end of its writing, so that an older record never replaces a newer one. Asynchronous, because it is
    /// held across that write.
    writing: tokio::sync::Mutex<()>,
    stage: watch::Sender<Stage>,
    /// Wakes the loop from its wait.
    pub(crate) poke: Notify,
}

/// The record with what is only in memory.
#[derive(Debug)]
struct Record {
    row: Row,
    /// The progress as it was last made durable.
    saved: Progress,
    /// From earlier steps.
    unresolved: Option<Instant>,
    last_write: Option<Instant>,
    /// The reply to a write of an earlier step is missing, and no handle accounts for it.
    lost: bool,
    /// Of this step.
    marks: BTreeMap<Permit, Mark>,
}

/// A write that was let out and not refused.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Instant,
    at_ms: u64,
    /// The vendor has said that it did it.
    answered: bool,
}

impl Live {
    /// `recovered`: after a restart the horizon of an unresolved write runs anew, because the clock that measured it is gone.
    pub(crate) fn new(row: Row, cloud: Arc<str>, digest: Option<Digest>, journal: Arc<dyn Journal>, clock: Clock) -> Arc<Self> {
        let now = Instant::now();
        let stage = if row.progress.prepared { Stage::Accepted } else { Stage::Checking };
        Arc::new(Self {
            id: row.id.clone(),
            cloud,
            journal,
            clock,
            taken_up: now,
            answered: AtomicBool::new(false),
            digest,
            record: Mutex::new(Record {
                unresolved: row.progress.unresolved_ms.map(|_| now),
                last_write: row.progress.last_write_ms.map(|_| now),
                lost: row.progress.unresolved_ms.is_some(),
                marks: BTreeMap::new(),
                saved: row.progress.clone(),
                row,
            }),
            writing: tokio::sync::Mutex::default(),
            stage: watch::Sender::new(stage),
            poke: Notify::new(),
        })
    }
    pub(crate) fn subscribe(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }
    pub(crate) fn announce(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }
    pub(crate) fn row(&self) -> Row {
        self.record.lock().row.clone()
    }
    pub(crate) fn operation(&self) -> Operation {
        operation(&self.record.lock().row, &self.cloud)
    }
    pub(crate) fn retarget(&self, target: &str) {
        self.record.lock().row.target = target.to_owned();
    }
    /// Was it told as an operation before it had its turn?
    pub(crate) fn is_queued(&self) -> bool {
        self.record.lock().row.progress.queued
    }
    pub(crate) fn is_cancelled(&self) -> bool {
        self.record.lock().row.progress.cancel
    }
    pub(crate) fn age_ms(&self) -> u64 {
        self.clock.now_ms().saturating_sub(self.record.lock().row.created_ms)
    }
    /// For how long this process has worked on it.
    pub(crate) fn taken_up(&self) -> Duration {
        self.taken_up.elapsed()
    }
    /// A step of this process came to a wait: the cloud was asked.
    pub(crate) fn note_answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }
    pub(crate) fn was_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }
    /// What its writes have done so far.
    pub(crate) fn effect(&self) -> Effect {
        let r = self.record.lock();
        if r.lost || r.marks.values().any(|m| !m.answered) {
            Effect::Unknown
        } else if r.last_write.is_some() || !r.marks.is_empty() {
            Effect::Applied
        } else {
            Effect::None
        }
    }
    pub(crate) fn has_written(&self) -> bool {
        let r = self.record.lock();
        r.last_write.is_some() || !r.marks.is_empty()
    }

    /// What the driver's last step left.
    pub(crate) fn handle(&self) -> Option<Handle> {
        self.record.lock().row.progress.handle.clone()
    }
    /// When the last write left.
    pub(crate) fn last_write_ms(&self) -> Option<u64> {
        self.record.lock().row.progress.last_write_ms
    }

    /// What the journal proves, for the next step. `before`: when an earlier operation wrote something that may be seen later.
    pub(crate) fn begin_step(&self, before: Option<Instant>) -> Resume {
        let mut r = self.record.lock();
        r.row.progress.steps += 1;
        r.row.progress.updated_ms = self.clock.now_ms();
        Resume { handle: r.row.progress.handle.clone(), unresolved: r.unresolved, written: r.last_write.or(before), cleans_up: r.row.progress.failure.is_some() }
    }
    /// Writes that were not refused are of unknown fate until a handle accounts for them.
    fn fold_marks(r: &mut Record) {
        if let Some(last) = r.marks.values().max_by_key(|m| m.at).copied() {
            r.lost |= r.marks.values().any(|m| !m.answered);
            r.unresolved = Some(last.at);
            r.last_write = Some(last.at);
            (r.row.progress.unresolved_ms, r.row.progress.last_write_ms) = (Some(last.at_ms), Some(last.at_ms));
        } else {
            // A mark that was cleared may still be in the record.
            if r.unresolved.is_none() {
                r.row.progress.unresolved_ms = None;
            }
            if r.last_write.is_none() {
                r.row.progress.last_write_ms = None;
            }
        }
        r.marks.clear();
    }
    /// The step came to a wait: with a handle everything so far is accounted for.
    pub(crate) fn waited(&self, handle: Option<Handle>, note: String) {
        let mut r = self.record.lock();
        Self::fold_marks(&mut r);
        if handle.is_some() {
            r.row.progress.handle = handle;
            r.lost = false;
            r.unresolved = None;
            r.row.progress.unresolved_ms = None;
        }
        r.row.progress.note = note;
    }
    /// The step failed in a way that can be repeated.
    pub(crate) fn failed(&self, note: String) {
        let mut r = self.record.lock();
        Self::fold_marks(&mut r);
        r.row.progress.note = note;
    }
    /// From here on its own uid is being removed, beginning with what the handle and the marks say.
    pub(crate) fn begin_cleaning(&self, why: Error, note: &str) {
        let mut r = self.record.lock();
        Self::fold_marks(&mut r);
        let p = &mut r.row.progress;
        p.failure = Some(why);
        p.phase = Phase::Cleaning;
        p.note = note.into();
    }
    pub(crate) fn failure(&self) -> Option<Error> {
        self.record.lock().row.progress.failure.clone()
    }

    /// Makes the resolved change durable: from here on it is an operation.
    pub(crate) async fn accept(&self, change: crate::journal::Confidential) -> Result<()> {
        let _turn = self.writing.lock().await;
        let (target, progress) = {
            let mut r = self.record.lock();
            r.row.progress.prepared = true;
            if r.row.progress.phase == Phase::Pending {
                r.row.progress.phase = Phase::Running;
            }
            r.row.progress.updated_ms = self.clock.now_ms();
            r.row.change = Some(change.clone());
            (r.row.target.clone(), r.row.progress.clone())
        };
        self.journal.resolve(&self.id, &target, &change, &progress).await?;
        let mut r = self.record.lock();
        r.saved = progress;
        Ok(())
    }
    /// Makes the progress durable where anything changed that a restart has to know.
    pub(crate) async fn save(&self) -> Result<()> {
        let _turn = self.writing.lock().await;
        self.save_in_turn().await
    }
    async fn save_in_turn(&self) -> Result<()> {
        let progress = {
            let r = self.record.lock();
            let (now, saved) = (&r.row.progress, &r.saved);
            let same = now.handle == saved.handle
                && (now.unresolved_ms, now.last_write_ms, now.cancel, now.phase) == (saved.unresolved_ms, saved.last_write_ms, saved.cancel, saved.phase);
            if same {
                return Ok(());
            }
            now.clone()
        };
        self.journal.save(&self.id, &progress).await?;
        self.record.lock().saved = progress;
        Ok(())
    }
    /// Notes the wish to cancel, durably.
    pub(crate) async fn cancel(&self) -> Result<()> {
        let _turn = self.writing.lock().await;
        {
            let mut r = self.record.lock();
            if r.row.progress.end.is_some() {
                return Ok(());
            }
            r.row.progress.cancel = true;
        }
        self.save_in_turn().await?;
        self.poke.notify_one();
        Ok(())
    }
    /// Ends it, durably. Nobody is told before that.
    pub(crate) async fn end(&self, end: std::result::Result<Outcome, Error>, name: &NameChange) -> Result<()> {
        let _turn = self.writing.lock().await;
        let progress = {
            let r = self.record.lock();
            let mut p = r.row.progress.clone();
            p.phase = Phase::Ended;
            p.prepared = true;
            p.handle = None;
            p.note = String::new();
            p.updated_ms = self.clock.now_ms();
            p.end = Some(end);
            p
        };
        self.journal.finish(&self.id, &self.cloud, &progress, name).await?;
        let mut r = self.record.lock();
        r.row.progress = progress;
        r.row.change = None;
        Ok(())
    }
    pub(crate) async fn withdraw(&self) -> Result<()> {
        self.journal.withdraw(&self.id).await
    }
}

#[async_trait]
impl Marks for Live {
    async fn mark(&self, permit: Permit) -> Result<()> {
        let _turn = self.writing.lock().await;
        let progress = {
            let mut r = self.record.lock();
            let ms = self.clock.now_ms();
            r.marks.insert(permit, Mark { at: Instant::now(), at_ms: ms, answered: false });
            r.row.progress.unresolved_ms = Some(ms);
            r.row.progress.last_write_ms = Some(ms);
            r.row.progress.clone()
        };
        let written = self.journal.save(&self.id, &progress).await;
        let mut r = self.record.lock();
        match written {
            Ok(()) => {
                r.saved = progress;
                Ok(())
            }
            Err(e) => {
                r.marks.remove(&permit);
                Err(e)
            }
        }
    }
    fn clear(&self, permit: Permit) {
        self.record.lock().marks.remove(&permit);
    }
    fn acknowledge(&self, permit: Permit) {
        if let Some(mark) = self.record.lock().marks.get_mut(&permit) {
            mark.answered = true;
        }
    }
}

pub(crate) fn operation(row: &Row, cloud: &Arc<str>) -> Operation {
    let p = &row.progress;
    Operation {
        id: row.id.clone(),
        cloud: Arc::clone(cloud),
        collection: row.collection.clone(),
        verb: row.verb.clone(),
        target: row.target.clone(),
        request_id: row.request_id.clone(),
        uid: row.uid.clone(),
        phase: p.phase,
        steps: p.steps,
        progress: p.note.clone(),
        created_ms: row.created_ms,
        updated_ms: p.updated_ms,
        end: p.end.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Confidential, MemoryJournal, NameRow};

    /// Keeps the first writer waiting until it is told to go on.
    #[derive(Debug, Default)]
    struct Slow {
        journal: MemoryJournal,
        first: Mutex<Option<Arc<Notify>>>,
    }
    #[async_trait]
    impl Journal for Slow {
        async fn save(&self, id: &str, progress: &Progress) -> Result<()> {
            let first = self.first.lock().take();
            if let Some(go) = first {
                go.notified().await;
            }
            self.journal.save(id, progress).await
        }
        async fn insert(&self, row: &Row, payload: &str) -> Result<bool> {
            self.journal.insert(row, payload).await
        }
        async fn load(&self, cloud: &str, id: &str) -> Result<Option<Row>> {
            self.journal.load(cloud, id).await
        }
        async fn join(&self, _: &str, _: &str, _: &str, _: &str) -> Result<bool> {
            unreachable!()
        }
        async fn resolve(&self, _: &str, _: &str, _: &Confidential, _: &Progress) -> Result<()> {
            unreachable!()
        }
        async fn finish(&self, _: &str, _: &str, _: &Progress, _: &NameChange) -> Result<()> {
            unreachable!()
        }
        async fn withdraw(&self, _: &str) -> Result<()> {
            unreachable!()
        }
        async fn open_rows(&self) -> Result<Vec<Row>> {
            unreachable!()
        }
        async fn by_request(&self, _: &str, _: &str) -> Result<Option<(Row, String)>> {
            unreachable!()
        }
        async fn page(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<Row>> {
            unreachable!()
        }
        async fn hide(&self, _: &str, _: &str) -> Result<bool> {
            unreachable!()
        }
        async fn expire(&self, _: u64, _: u64) -> Result<()> {
            unreachable!()
        }
        async fn names(&self, _: &str) -> Result<Vec<NameRow>> {
            unreachable!()
        }
        async fn set_name(&self, _: &str, _: &NameChange) -> Result<()> {
            unreachable!()
        }
        async fn setting(&self, _: &str, _: &str) -> Result<String> {
            unreachable!()
        }
        async fn close(&self) {}
    }

    #[tokio::test]
    async fn a_slow_writer_does_not_take_a_mark_away() {
        let go = Arc::new(Notify::new());
        let journal = Arc::new(Slow { journal: MemoryJournal::new(), first: Mutex::new(Some(Arc::clone(&go))) });
        let row = Row {
            id: "a".into(),
            cloud: "lab".into(),
            collection: "networks".into(),
            verb: "create".into(),
            target: "n".into(),
            uid: None,
            request_id: None,
            created_ms: 0,
            change: None,
            progress: Progress::new(0),
        };
        journal.insert(&row, "").await.unwrap();
        let live = Live::new(row, "lab".into(), None, Arc::clone(&journal) as Arc<dyn Journal>, Clock::start());
        // Whoever cancels has looked at the record and is being kept from writing it, while a write of the operation's is about to leave.
        let writers = async { tokio::join!(live.cancel(), live.mark(Permit(1)), async { go.notify_one() }) };
        let (cancelled, marked, ()) = writers.await;
        cancelled.unwrap();
        marked.unwrap();
        let kept = journal.load("lab", "a").await.unwrap().unwrap().progress;
        assert!(kept.cancel && kept.unresolved_ms.is_some(), "{kept:?}");
    }
}
