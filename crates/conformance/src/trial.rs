//! The list of trials, and running it.

use crate::{
    report::{Line, Mishaps, Outcome, Report},
    stand::{Stand, Stop, Verdict},
    subject::Subject,
    trials,
};
use futures::future::join_all;
use std::{
    cell::RefCell,
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    time::{Duration, Instant},
};
use welkin_core::Support;

/// What a trial comes to, in time. Trials run on one thread: they are made of async closures, which are hardly ever Send.
pub(crate) type Running<'s> = Pin<Box<dyn Future<Output = Verdict> + 's>>;

/// One thing that is tried.
#[derive(Clone)]
pub struct Trial {
    /// `networks.life`: the collection, and what is tried.
    pub name: String,
    /// What it proves.
    pub proves: &'static str,
    run: for<'s> fn(&'s Stand<'s>) -> Running<'s>,
}
impl Trial {
    pub(crate) fn new(collection: &str, what: &str, proves: &'static str, run: for<'s> fn(&'s Stand<'s>) -> Running<'s>) -> Self {
        Self { name: format!("{collection}.{what}"), proves, run }
    }
}
impl std::fmt::Debug for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Trial").field(&self.name).finish()
    }
}

/// Every trial there is, whatever a provider can do.
#[must_use]
pub fn list() -> Vec<Trial> {
    trials::all()
}

/// Runs every trial, one after another, and judges the whole.
pub async fn run(subject: &Subject) -> Report {
    run_some(subject, |_| true).await
}

/// Runs the trials that are wanted. Claims that only the others could show are complained about, so this is for looking closer.
pub async fn run_some(subject: &Subject, wanted: impl Fn(&str) -> bool) -> Report {
    run_shared(std::slice::from_ref(subject), wanted).await
}

/// Each goes through every write of every change.
const LONGEST: [&str; 6] = ["faults_before", "faults_after", "faults_hanging", "crash", "cancel", "amnesia"];

/// The same over several subjects that are alike but for what they act on: each takes the next trial when it has ended its last one. For clouds
/// that keep a trial waiting.
pub async fn run_shared(alike: &[Subject], wanted: impl Fn(&str) -> bool) -> Report {
    let offers = |name: &str| alike.first().is_some_and(|subject| offers(subject, name));
    let mut wanted: Vec<_> = list().into_iter().enumerate().filter(|(_, t)| offers(&t.name) && wanted(&t.name)).collect();
    // Begun last, one of them would go on alone when all others have ended. The later kinds are made of the most parts.
    wanted.sort_by_key(|(number, trial)| (!trial.name.rsplit('.').next().is_some_and(|what| LONGEST.contains(&what)), Reverse(*number)));
    let trials = RefCell::new(wanted.into_iter());
    let tried = join_all(alike.iter().map(async |subject| {
        let mut tried = Vec::new();
        loop {
            let next = trials.borrow_mut().next();
            let Some((number, trial)) = next else { return tried };
            tried.push((number, try_one(subject, number, trial).await));
        }
    }))
    .await;
    let in_order: BTreeMap<usize, Tried> = tried.into_iter().flatten().collect();
    let (mut lines, mut shown) = (Vec::new(), BTreeSet::new());
    for tried in in_order.into_values() {
        lines.push(tried.line);
        shown.extend(tried.shown);
    }
    let Some(subject) = alike.first() else { return Report { subject: String::new(), lines, complaints: Vec::new(), claims_shown: 0 } };
    let complaints = complaints(subject, &shown, &lines);
    Report { subject: subject.name.clone(), lines, complaints, claims_shown: shown.len() }
}

/// A trial that was tried, and the claims that it has shown to hold.
struct Tried {
    line: Line,
    shown: BTreeSet<String>,
}

async fn try_one(subject: &Subject, number: usize, trial: Trial) -> Tried {
    let mut line = Line { trial: trial.name, proves: trial.proves, outcome: Outcome::Passed, took: Duration::ZERO, notes: Vec::new(), mishaps: Mishaps::new() };
    let begin = Instant::now();
    let mut shown = BTreeSet::new();
    let verdict = match Stand::new(subject, format!("c{number}")).await {
        Ok(stand) => {
            let verdict = (trial.run)(&stand).await;
            let cleared = stand.clear().await;
            (shown, line.notes, line.mishaps) = stand.results();
            verdict.and(cleared)
        }
        Err(stop) => Err(stop),
    };
    if verdict.is_err() {
        shown.clear();
    }
    line.took = begin.elapsed();
    line.outcome = judged(subject, &line.trial, verdict);
    Tried { line, shown }
}

fn judged(subject: &Subject, trial: &str, verdict: Verdict) -> Outcome {
    match (verdict, subject.known_gaps.get(trial)) {
        (Ok(()), None) => Outcome::Passed,
        (Ok(()), Some(reason)) => Outcome::Failed(format!("it passes, although it was declared as a gap: {reason}")),
        (Err(Stop::Failed(failure)), Some(reason)) => Outcome::KnownGap { reason: reason.clone(), failure },
        (Err(Stop::Failed(failure)), None) => Outcome::Failed(failure),
        // What was declared says why, and the trial only what is not there.
        (Err(Stop::Skipped(why)), _) => Outcome::Skipped(subject.expected_skips.get(trial).cloned().unwrap_or(why)),
    }
}

/// Has the provider the kind that a trial or a claim is about? One that it does not offer is neither tried nor claimed.
fn offers(subject: &Subject, what: &str) -> bool {
    what.split_once('.').is_some_and(|(collection, _)| subject.provider.capabilities().kinds.contains_key(collection))
}

/// What a provider says that it can do: `networks.create`, `networks.labels`.
fn claims(subject: &Subject) -> BTreeSet<String> {
    let kinds = &subject.provider.capabilities().kinds;
    let of_kind = |(collection, kind): (&&str, &welkin_core::KindCapabilities)| {
        let verbs = kind.verbs.iter().map(|v| v.as_str());
        let fields = kind.fields.iter().filter(|(_, f)| f.support != Support::Unsupported).map(|(path, _)| *path);
        verbs.chain(fields).map(|claim| format!("{collection}.{claim}")).collect::<Vec<_>>()
    };
    kinds.iter().flat_map(of_kind).collect()
}

fn complaints(subject: &Subject, shown: &BTreeSet<String>, lines: &[Line]) -> Vec<String> {
    let (claims, declared) = (claims(subject), &subject.expected_skips);
    let skipped: BTreeSet<&String> = lines.iter().filter(|l| matches!(l.outcome, Outcome::Skipped(_))).map(|l| &l.trial).collect();
    let mut out: Vec<String> = skipped.iter().filter(|t| !declared.contains_key(**t)).map(|t| format!("{t} was skipped, and no reason is declared")).collect();
    out.extend(claims.iter().filter(|c| !shown.contains(*c) && !declared.contains_key(*c)).map(|c| format!("the provider claims {c}, and no passed trial has used it")));
    let is_stale = |what: &String| match claims.contains(what) {
        true => shown.contains(what),
        false => !skipped.contains(what),
    };
    out.extend(declared.keys().filter(|w| offers(subject, w) && is_stale(w)).map(|w| format!("{w} is declared as skipped and was not")));
    let unknown = |gap: &&String| !lines.iter().any(|l| l.trial == **gap);
    out.extend(subject.known_gaps.keys().filter(unknown).map(|gap| format!("{gap} is declared as a gap and is no trial")));
    out
}
