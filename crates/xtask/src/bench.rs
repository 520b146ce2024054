//! `cargo xtask bench`: figures that are measured and printed, and gate nothing but their own command.

use crate::{Outcome, process::Run};

/// One figure: its name, and what measures it.
type Figure = (&'static str, fn() -> Outcome);

/// Every figure. A new one is one line here and a module beside this one.
const FIGURES: &[Figure] = &[("unary-get", || bench("unary_get")), ("idle", || bench("idle"))];

fn bench(target: &str) -> Outcome {
    Run::cargo(["bench", "--locked", "-p", "welkin-cli", "--bench", target]).finish()
}

/// The figures' names.
pub(crate) fn names() -> Vec<&'static str> {
    FIGURES.iter().map(|f| f.0).collect()
}

/// Measures the figures of these names, or all of them.
pub(crate) fn run(only: &[&str]) -> Outcome {
    FIGURES.iter().filter(|f| only.is_empty() || only.contains(&f.0)).try_for_each(|(name, measure)| {
        eprintln!("\n== {name}");
        measure()
    })
}
