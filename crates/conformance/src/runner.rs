//! Takes the steps of a change, as the contract says and no better.

use crate::subject::Subject;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::Notify, time::Instant};
use welkin_core::{Api, Change, Cx, Effect, Error, ErrorKind, Gate, Managed, Object, Permit, Reason, Result, Resume, Step, Verb};

/// No change needs more: a driver that writes without end is not waited for.
const MOST_WRITES: u64 = 200;

/// Does the runner remember?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    /// As the journal of the engine does.
    Whole,
    /// It loses the handle after every step, as a crash at the wrong moment may.
    LosesHandles,
}

/// Where the process dies: the step is dropped there, and nothing that it would have answered is known afterwards. The write is counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The write is noted and does not leave.
    Before(u64),
    /// The write has happened.
    After(u64),
}

/// Notes every write before it leaves, and dies where it is told to.
#[derive(Debug, Default)]
pub(crate) struct MarkingGate {
    marks: Mutex<Marks>,
    dying: Notify,
}
#[derive(Debug, Default)]
struct Marks {
    next: u64,
    writes: u64,
    /// When it left, and the how manieth it was.
    unaccounted: BTreeMap<Permit, (Instant, u64)>,
    last_write: Option<Instant>,
    crash: Option<Crash>,
    is_dead: bool,
}
impl Marks {
    fn die_at(&mut self, here: Crash) -> bool {
        if self.crash == Some(here) {
            self.crash = None;
            self.is_dead = true;
        }
        self.is_dead
    }
}
impl MarkingGate {
    fn that_dies(crash: Option<Crash>) -> Self {
        Self { marks: Mutex::new(Marks { crash, ..Marks::default() }), dying: Notify::new() }
    }
    fn unresolved(&self) -> Option<Instant> {
        self.marks.lock().unaccounted.values().map(|(left, _)| *left).max()
    }
    /// A handle accounts for every write so far.
    fn account(&self) {
        self.marks.lock().unaccounted.clear();
    }
    fn writes(&self) -> u64 {
        self.marks.lock().writes
    }
    fn last_write(&self) -> Option<Instant> {
        self.marks.lock().last_write
    }
    /// Has it died in this step? Then a new process goes on.
    fn revive(&self) -> bool {
        std::mem::take(&mut self.marks.lock().is_dead)
    }
}
#[async_trait]
impl Gate for MarkingGate {
    async fn admit(&self, api: &Api) -> Result<Permit> {
        let (permit, is_dead) = {
            let mut marks = self.marks.lock();
            marks.next += 1;
            let permit = Permit(marks.next);
            if api.write && !marks.is_dead {
                let now = Instant::now();
                marks.last_write = Some(now);
                let number = marks.writes;
                marks.writes += 1;
                marks.unaccounted.insert(permit, (now, number));
                marks.die_at(Crash::Before(number));
            }
            (permit, marks.is_dead)
        };
        if is_dead {
            self.dying.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(permit)
    }
    fn settle(&self, permit: Permit, api: &Api, _: Duration, error: Option<&Error>) {
        if !api.write {
            return;
        }
        let mut marks = self.marks.lock();
        let Some((_, number)) = marks.unaccounted.get(&permit).copied() else { return };
        if marks.die_at(Crash::After(number)) {
            self.dying.notify_one();
        } else if error.is_some_and(|e| e.effect() == Effect::None) {
            // A refusal clears its own mark only.
            marks.unaccounted.remove(&permit);
        }
    }
}

/// How a change ended.
#[derive(Debug)]
pub(crate) enum End<K: Managed> {
    /// Created or updated.
    Object(Box<Object<K>>),
    Deleted,
    /// What its verb answers.
    Acted(K::Outcome),
    /// The runner was told to take no more steps.
    Stopped,
}

/// A change that was driven to its end, or as far as wanted.
#[derive(Debug)]
pub(crate) struct Driven<K: Managed> {
    pub(crate) end: Result<End<K>>,
    pub(crate) writes: u64,
    /// What a step after it would begin with.
    pub(crate) left: Resume,
    /// Did it die where it should?
    pub(crate) crashed: bool,
    /// What its waits told of its progress, the first one first.
    pub(crate) told: Vec<String>,
}
impl<K: Managed> Driven<K> {
    /// The object of a create or an update.
    pub(crate) fn object(self) -> Result<Object<K>> {
        match self.end? {
            End::Object(object) => Ok(*object),
            other => Err(Error::internal(format!("ended as {other:?} instead of an object"))),
        }
    }
}

/// How to drive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) memory: Memory,
    /// Take no more steps than this.
    pub(crate) at_most: Option<u32>,
    /// Die there once.
    pub(crate) crash: Option<Crash>,
    /// After that death take no more steps.
    pub(crate) stay_dead: bool,
}
impl Manner {
    pub(crate) const PLAIN: Self = Self { memory: Memory::Whole, at_most: None, crash: None, stay_dead: false };
    pub(crate) const FORGETFUL: Self = Self { memory: Memory::LosesHandles, ..Self::PLAIN };
}

pub(crate) fn context(subject: &Subject, gate: Arc<dyn Gate>) -> Cx {
    Cx { deadline: Instant::now() + subject.step_timeout, owner: subject.owner.clone(), gate }
}

/// Drives one change, from where an earlier one ended.
pub(crate) async fn drive<K: Managed>(subject: &Subject, change: &Change<K>, from: Resume, manner: Manner) -> Driven<K> {
    let gate = Arc::new(MarkingGate::that_dies(manner.crash));
    let (mut left, mut told) = (from, Vec::new());
    let end = steps(subject, change, &mut left, &mut told, manner, &gate).await;
    let crashed = manner.crash.is_some() && gate.marks.lock().crash.is_none();
    left.unresolved = gate.unresolved().max(left.unresolved);
    left.written = gate.last_write().or(left.written);
    Driven { end, writes: gate.writes(), left, crashed, told }
}

/// `before` keeps the handle, and what is known of the writes before this change.
async fn steps<K: Managed>(subject: &Subject, change: &Change<K>, before: &mut Resume, told: &mut Vec<String>, manner: Manner, gate: &Arc<MarkingGate>) -> Result<End<K>> {
    let (begin, mut taken, mut failures) = (Instant::now(), 0, 0);
    let mut last = String::new();
    loop {
        if manner.at_most.is_some_and(|n| taken >= n) {
            return Ok(End::Stopped);
        }
        if gate.writes() > MOST_WRITES {
            return Err(Error::internal(format!("{} has made {} writes and is not done", change.target, gate.writes())));
        }
        if begin.elapsed() > subject.patience {
            return Err(Error::new(
                ErrorKind::DeadlineExceeded,
                Reason::OperationExpired,
                format!("{} is not done after {taken} steps and {:?}: {last}", change.target, begin.elapsed()),
            ));
        }
        taken += 1;
        let resume = Resume {
            handle: before.handle.clone(),
            unresolved: gate.unresolved().max(before.unresolved),
            written: gate.last_write().or(before.written),
            cleans_up: before.cleans_up,
        };
        let cx = context(subject, Arc::clone(gate) as Arc<dyn Gate>);
        let answer = tokio::select! { biased; () = gate.dying.notified() => None, answer = step(subject, &cx, change, &resume) => Some(answer) };
        let died = gate.revive();
        let Some(answer) = answer.filter(|_| !died) else {
            if manner.stay_dead {
                return Ok(End::Stopped);
            }
            continue;
        };
        let (new, after) = match answer {
            Ok(Step::Done(end)) => return Ok(end),
            Ok(Step::Wait { handle, after, progress }) => {
                (failures, last) = (0, progress.clone());
                told.push(progress);
                (handle, after.min(subject.longest_wait))
            }
            Err(e) => match e.retry_after() {
                Some(after) => {
                    failures += 1;
                    last = e.to_string();
                    (None, after.min(subject.longest_wait).max(backoff(failures)))
                }
                None => return Err(e),
            },
        };
        if new.is_some() && manner.memory == Memory::Whole {
            (before.handle, before.unresolved) = (new, None);
            gate.account();
        }
        tokio::time::sleep(after.max(Duration::from_millis(1))).await;
    }
}

/// How long to wait after that many failures in a row. A throttled step of several calls would never get through at the vendor's own pace.
pub(crate) fn backoff(failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(5);
    FIRST.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(LONGEST)
}

async fn step<K: Managed>(subject: &Subject, cx: &Cx, change: &Change<K>, resume: &Resume) -> Result<Step<End<K>>> {
    let driver = K::driver(&*subject.provider).ok_or_else(|| Error::unsupported_kind(K::COLLECTION))?;
    match &change.verb {
        Verb::Create { spec, .. } => Ok(driver.create(cx, change, spec, resume).await?.map(|o| End::Object(Box::new(o)))),
        Verb::Update { desired, paths } => Ok(driver.update(cx, change, desired, paths, resume).await?.map(|o| End::Object(Box::new(o)))),
        Verb::Delete => Ok(driver.delete(cx, change, resume).await?.map(|()| End::Deleted)),
        Verb::Act(action) => Ok(driver.act(cx, change, action, resume).await?.map(End::Acted)),
    }
}
