//! The steps of `cargo xtask test`, in their order.

use crate::{
    Outcome,
    environment::{self, Environment},
    process::Run,
    rules,
    workspace::Workspace,
};
use std::time::{Duration, Instant};

/// One feature set for every step: another one would compile the vendors' SDKs again.
const EVERYTHING: [&str; 3] = ["--workspace", "--features", "welkin-cli/aws,welkin/aws"];

/// One thing that must hold.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Workspace, &Environment) -> Outcome,
}

const STEPS: &[Step] = &[
    Step { name: "fmt", about: "the formatting", run: |_, _| Run::cargo(["fmt", "--all", "--check"]).finish() },
    Step { name: "rules", about: "the rules that only this project has", run: |workspace, _| rules::check(workspace) },
    Step { name: "buf-lint", about: "the style of the API", run: |w, env| Run::new(&env.buf, ["lint"]).within(&w.root.join("proto")).finish() },
    Step {
        name: "buf-breaking",
        about: "the API against its committed image",
        run: |w, env| Run::new(&env.buf, ["breaking", "--against", "image.binpb"]).within(&w.root.join("proto")).finish(),
    },
    Step {
        name: "clippy",
        about: "the compiler's and clippy's warnings, denied",
        run: |_, _| Run::cargo(["clippy", "--locked", "--all-targets"]).args(EVERYTHING).args(["--", "--deny", "warnings"]).finish(),
    },
    Step {
        name: "doc",
        about: "the documentation's links",
        // Not of AWS: without dev-dependencies its SDK would have other features, and be compiled once more.
        run: |_, _| {
            Run::cargo(["doc", "--locked", "--no-deps", "-p", "welkin-core", "-p", "welkin-engine", "-p", "welkin-sim", "-p", "welkin"])
                .with("RUSTDOCFLAGS", "--deny warnings")
                .finish()
        },
    },
    Step { name: "test", about: "unit, documentation, conformance and black-box tests", run: test },
];

/// What `cargo xtask lint` runs.
pub(crate) const WITHOUT_TESTS: &[&str] = &["fmt", "rules", "buf-lint", "buf-breaking", "clippy", "doc"];

/// The steps' names, in their order.
pub(crate) fn names() -> Vec<&'static str> {
    STEPS.iter().map(|s| s.name).collect()
}

/// Runs the steps of these names, or all of them, up to the first that fails, and shows how long each took.
pub(crate) fn run(workspace: &Workspace, only: &[&str]) -> Outcome {
    let begin = Instant::now();
    let environment = environment::install(workspace)?;
    let mut done = vec![("setup", begin.elapsed(), true)];
    let mut failure = None;
    for step in STEPS.iter().filter(|s| only.is_empty() || only.contains(&s.name)) {
        eprintln!("\n== {}: {}", step.name, step.about);
        let begin = Instant::now();
        let outcome = (step.run)(workspace, &environment);
        done.push((step.name, begin.elapsed(), outcome.is_ok()));
        if let Err(why) = outcome {
            failure = Some(format!("{} failed: {why}", step.name));
            break;
        }
    }
    eprintln!("\n{}", summary(&done, begin.elapsed()));
    failure.map_or(Ok(()), Err)
}

fn summary(done: &[(&str, Duration, bool)], total: Duration) -> String {
    let line = |name: &str, took: Duration, result: &str| format!("{name:<14}{:>8.1} s  {result}\n", took.as_secs_f64());
    done.iter().map(|(name, took, ok)| line(name, *took, if *ok { "ok" } else { "FAILED" })).chain([line("total", total, "")]).collect()
}

/// Test programs learn from the environment where the interpreter with moto and grpcio is.
fn test(_: &Workspace, environment: &Environment) -> Outcome {
    Run::cargo(["test", "--locked"]).args(EVERYTHING).with("WELKIN_TEST_PYTHON", &environment.python).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lint_runs_everything_but_the_tests() {
        let without: Vec<_> = names().into_iter().filter(|n| *n != "test").collect();
        assert_eq!(WITHOUT_TESTS, without);
    }
    #[test]
    fn a_failed_step_is_seen_in_the_summary() {
        let text = summary(&[("fmt", Duration::from_millis(1500), true), ("clippy", Duration::from_secs(90), false)], Duration::from_secs(92));
        assert_eq!(text, "fmt                1.5 s  ok\nclippy            90.0 s  FAILED\ntotal             92.0 s  \n");
    }
}
