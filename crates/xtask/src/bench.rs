//! `cargo xtask bench`: figures that are measured and printed, and gate nothing but their own command.

use crate::{Outcome, process::Run, workspace::Workspace};

/// One figure: its name, and what measures it.
type Figure = (&'static str, fn(&Workspace) -> Outcome);

/// Every figure. A new one is one line here and a module beside this one.
const FIGURES: &[Figure] = &[("unary-get", |_| Run::cargo(["bench", "--locked", "-p", "welkin-cli", "--bench", "unary_get"]).finish())];

/// Measures the figures of these names, or all of them.
pub(crate) fn run(workspace: &Workspace, only: &[&str]) -> Outcome {
    if let Some(unknown) = only.iter().find(|name| !FIGURES.iter().any(|f| f.0 == **name)) {
        return Err(format!("no such figure: {unknown}"));
    }
    FIGURES.iter().filter(|f| only.is_empty() || only.contains(&f.0)).try_for_each(|(name, measure)| {
        eprintln!("\n== {name}");
        measure(workspace)
    })
}
