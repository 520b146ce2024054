//! Development commands: `cargo xtask test`, `lint`, `bench` and `setup`.
//!
//! `test` is what continuous integration runs. It needs the toolchains only and installs the rest into the build directory.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what a development command prints is what it is for")]

mod bench;
mod environment;
mod process;
mod rules;
mod steps;
mod workspace;

use std::process::ExitCode;
use workspace::Workspace;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  test [--only STEP]...  install what the tests need, then run every step (or only these) and stop at the first that fails
  lint                   the steps that run no tests
  bench [FIGURE]...      the figures that are measured, not tested
  setup                  only install what the tests need
  help                   this
";

/// What goes wrong is shown to a developer and ends the command.
type Outcome<T = ()> = Result<T, String>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(why)) => {
            eprint!("{why}\n\n{}", usage());
            ExitCode::from(2)
        }
        Err(Failure::Step(why)) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> String {
    format!("{USAGE}\nSteps:   {}\nFigures: {}\n", steps::names().join(", "), bench::names().join(", "))
}

enum Failure {
    Usage(String),
    Step(String),
}
impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::Step(why)
    }
}

fn run(args: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test", rest @ ..] => Ok(steps::run(&Workspace::find()?, &only(rest)?)?),
        ["lint"] => Ok(steps::run(&Workspace::find()?, steps::WITHOUT_TESTS)?),
        ["bench", rest @ ..] => match rest.iter().find(|name| !bench::names().contains(*name)) {
            Some(unknown) => Err(Failure::Usage(format!("no such figure: {unknown}"))),
            None => Ok(bench::run(rest)?),
        },
        ["setup"] => Ok(environment::install(&Workspace::find()?).map(|_| ())?),
        ["help" | "-h" | "--help"] => {
            print!("{}", usage());
            Ok(())
        }
        [] => Err(Failure::Usage("say which command".into())),
        other => Err(Failure::Usage(format!("no such command: {}", other.join(" ")))),
    }
}

/// The steps asked for; all of them where none is named.
fn only<'a>(args: &[&'a str]) -> Result<Vec<&'a str>, Failure> {
    let mut wanted = Vec::new();
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        let step = match word.strip_prefix("--only") {
            Some("") => rest.next().copied(),
            Some(step) => step.strip_prefix('='),
            None => None,
        };
        match step {
            Some(step) if steps::names().contains(&step) => wanted.push(step),
            Some(step) => return Err(Failure::Usage(format!("no such step: {step}"))),
            None => return Err(Failure::Usage(format!("not understood: {word}"))),
        }
    }
    Ok(wanted)
}
