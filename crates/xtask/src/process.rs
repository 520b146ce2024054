//! Commands, printed as they run.

use crate::Outcome;
use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::{Command, Stdio},
};

/// A command that is about to run.
pub(crate) struct Run(Command);

impl Run {
    /// A program with its arguments.
    pub(crate) fn new<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = S>) -> Self {
        let mut command = Command::new(program);
        command.args(args);
        Self(command)
    }
    /// The cargo that runs us.
    pub(crate) fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")), args)
    }
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.0.arg(arg);
        self
    }
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.0.args(args);
        self
    }
    pub(crate) fn within(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }
    pub(crate) fn with(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(key, value);
        self
    }
    /// Runs it with our own output and waits.
    pub(crate) fn finish(mut self) -> Outcome {
        eprintln!("$ {}", self.shown());
        let status = self.0.status().map_err(|e| format!("{} cannot be started: {e}", self.program()))?;
        if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", self.program())) }
    }
    /// Runs it quietly and answers what it wrote.
    pub(crate) fn output(mut self) -> Outcome<String> {
        let output = self.0.stderr(Stdio::inherit()).output().map_err(|e| format!("{} cannot be started: {e}", self.program()))?;
        if !output.status.success() {
            return Err(format!("`{}` ended with {}", self.shown(), output.status));
        }
        String::from_utf8(output.stdout).map_err(|_| format!("{} wrote what is not text", self.program()))
    }
    fn program(&self) -> String {
        Path::new(self.0.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
    fn shown(&self) -> String {
        let args = self.0.get_args().map(|a| a.to_string_lossy().into_owned());
        std::iter::once(self.program()).chain(args).collect::<Vec<_>>().join(" ")
    }
}
