//! docs/fidelity.md: each run's own part of it is what the run came to. `WELKIN_WRITE_DOCS=1 cargo xtask test` writes them anew.

use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};
use welkin_conformance::{Outcome, Report};

/// The tests run beside each other and share the page.
static PAGE: Mutex<()> = Mutex::new(());

/// Compares the part of the page that belongs to this run, between its two marks.
pub(super) fn keep(key: &str, report: &Report) {
    // A part of the trials says nothing of the whole.
    if std::env::var_os("WELKIN_TRIALS").is_some() {
        return;
    }
    let _one_at_a_time = PAGE.lock();
    let path = Path::new("../../docs/fidelity.md"); // cargo runs tests in the package's folder
    let page = fs::read_to_string(path).unwrap();
    let (begin, end) = (format!("<!-- begin {key} -->\n"), format!("<!-- end {key} -->\n"));
    let (Some(from), Some(to)) = (page.find(&begin).map(|i| i + begin.len()), page.find(&end)) else { panic!("docs/fidelity.md has no part {key}") };
    let wanted = part(report);
    if std::env::var_os("WELKIN_WRITE_DOCS").is_some() {
        return fs::write(path, format!("{}{wanted}{}", &page[..from], &page[to..])).unwrap();
    }
    assert_eq!(&page[from..to], wanted, "docs/fidelity.md says something else of {key}; write it anew with WELKIN_WRITE_DOCS=1");
}

fn part(report: &Report) -> String {
    let mut cells: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let (mut trials, mut kinds, mut reasons) = (Vec::new(), Vec::new(), BTreeMap::<String, BTreeSet<&str>>::new());
    for line in &report.lines {
        let (kind, trial) = line.trial.split_once('.').unwrap();
        for (list, item) in [(&mut trials, trial), (&mut kinds, kind)] {
            if !list.contains(&item) {
                list.push(item);
            }
        }
        let word = match &line.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed(_) => "FAILED",
            Outcome::Skipped(why) => {
                reasons.entry(format!("skipped: {why}")).or_default().insert(&line.trial);
                "skipped"
            }
            Outcome::KnownGap { reason, .. } => {
                reasons.entry(format!("gap: {reason}")).or_default().insert(&line.trial);
                "gap"
            }
        };
        for note in line.notes.iter().filter(|n| n.starts_with("gap: ")) {
            reasons.entry(note.clone()).or_default().insert(&line.trial);
        }
        cells.insert((trial, kind), word);
    }
    let (passed, _, skipped) = report.counts();
    let mut out = format!("{}: {passed} trials passed, {skipped} skipped or gaps, {} claims shown.\n\n", report.subject, report.claims_shown);
    writeln!(out, "| trial | {} |\n|---|{}", kinds.join(" | "), "---|".repeat(kinds.len())).unwrap();
    for trial in trials {
        let row: Vec<&str> = kinds.iter().map(|kind| cells.get(&(trial, *kind)).copied().unwrap_or("")).collect();
        writeln!(out, "| {trial} | {} |", row.join(" | ")).unwrap();
    }
    out.push('\n');
    for (reason, trials) in reasons {
        writeln!(out, "- {reason} ({})", trials.into_iter().collect::<Vec<_>>().join(", ")).unwrap();
    }
    out
}
