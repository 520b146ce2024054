//! What a run came to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

/// How often it happened to each verb (`create`, or a field that was changed) that something went wrong at a write, and the verb ended well.
pub type Mishaps = BTreeMap<String, BTreeMap<String, u64>>;

/// How one trial ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not, or was declared as a gap and holds.
    Failed(String),
    /// It was not tried: the subject cannot do it.
    Skipped(String),
    /// It fails, as declared.
    KnownGap {
        /// The declared reason.
        reason: String,
        /// How it failed.
        failure: String,
    },
}

/// One trial of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The trial's name: `networks.life`.
    pub trial: String,
    /// What it proves.
    pub proves: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, by the wall.
    pub took: Duration,
    /// What was counted on the way: `12 faults fired`.
    pub notes: Vec<String>,
    /// What went wrong on purpose.
    pub mishaps: Mishaps,
}

/// The result of a run. Its text is a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose.
    pub subject: String,
    /// Every trial.
    pub lines: Vec<Line>,
    /// What is wrong with the run as a whole: a skip without a declared reason, a claim that no trial has shown, a declaration for nothing.
    pub complaints: Vec<String>,
    /// How many claims of the capabilities were shown.
    pub claims_shown: usize,
}
impl Report {
    /// How many passed, failed and were skipped; a known gap counts as skipped, because it proves nothing.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |is: fn(&Outcome) -> bool| self.lines.iter().filter(|l| is(&l.outcome)).count();
        let skipped = count(|o| matches!(o, Outcome::Skipped(_) | Outcome::KnownGap { .. }));
        (count(|o| *o == Outcome::Passed), count(|o| matches!(o, Outcome::Failed(_))), skipped)
    }
    /// Did nothing fail, and is there nothing to complain about?
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.counts().1 == 0 && self.complaints.is_empty()
    }
    /// A row for each verb of each trial, a column for each mishap of any.
    fn mishaps(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = || self.lines.iter().flat_map(|l| l.mishaps.iter().map(move |(verb, cells)| (format!("{}: {verb}", l.trial), cells)));
        let columns: BTreeSet<&String> = all().flat_map(|(_, cells)| cells.keys()).collect();
        let width = all().map(|(row, _)| row.len()).max().unwrap_or(0);
        if columns.is_empty() {
            return Ok(());
        }
        writeln!(f, "  {:width$}  {}", "went wrong, and ended well", columns.iter().map(|c| format!(" {c:>13}")).collect::<String>())?;
        for (row, cells) in all() {
            let cell = |c: &&String| cells.get(*c).map_or_else(String::new, u64::to_string);
            writeln!(f, "  {row:width$}  {}", columns.iter().map(|c| format!(" {:>13}", cell(c))).collect::<String>())?;
        }
        Ok(())
    }
}
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "conformance of {}", self.subject)?;
        let width = self.lines.iter().map(|l| l.trial.len()).max().unwrap_or(0);
        for line in &self.lines {
            let (word, why) = match &line.outcome {
                Outcome::Passed => ("passed ", String::new()),
                Outcome::Failed(why) => ("FAILED ", format!(": {why}")),
                Outcome::Skipped(why) => ("skipped", format!(": {why}")),
                Outcome::KnownGap { reason, failure } => ("gap    ", format!(": {reason} [{failure}]")),
            };
            let notes = if line.notes.is_empty() { String::new() } else { format!(" ({})", line.notes.join(", ")) };
            writeln!(f, "  {word} {:6.1} s  {:width$}  {}{notes}{why}", line.took.as_secs_f64(), line.trial, line.proves)?;
        }
        self.mishaps(f)?;
        for complaint in &self.complaints {
            writeln!(f, "  COMPLAINT {complaint}")?;
        }
        let (passed, failed, skipped) = self.counts();
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped; {} claims shown, {} complaints", self.claims_shown, self.complaints.len())
    }
}
