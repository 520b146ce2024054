//! Running the program.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};
use tempfile::TempDir;

/// The program, in `folder` and with nothing of the caller's own configuration.
pub(crate) fn welkin(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_welkin"));
    command.current_dir(folder).env("HOME", folder).env_remove("XDG_DATA_HOME").stdin(Stdio::null());
    for name in ["ENDPOINT", "CLOUD", "LOCATION", "CONFIG", "DATA_DIR", "LOG"] {
        command.env_remove(format!("WELKIN_{name}"));
    }
    command
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}
impl Ran {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { status: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
    /// Its output, where it succeeded.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.status, 0, "{self:?}");
        self.out
    }
    /// Its errors, where it failed with this status and said these things.
    pub(crate) fn fails(self, status: i32, words: &[&str]) -> String {
        assert_eq!(self.status, status, "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in: {}", self.err);
        }
        self.err
    }
}

/// Says that a test did not run for want of something. `cargo xtask test`, which names an interpreter, has everything: there it fails.
pub(crate) fn skipped(why: &str) {
    use std::io::Write as _;
    assert!(std::env::var_os("WELKIN_TEST_PYTHON").is_none(), "{why}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// A server in a folder of its own, on a free port. Dropping it kills it.
pub(crate) struct Server {
    pub(crate) folder: TempDir,
    pub(crate) endpoint: String,
    pub(crate) greeting: String,
    child: Child,
    _stdout: BufReader<ChildStdout>,
}
impl Server {
    /// Started without a configuration.
    pub(crate) fn start() -> Self {
        Self::configured("")
    }
    /// Started with this configuration; none where it is empty.
    pub(crate) fn configured(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        if !config.is_empty() {
            std::fs::write(folder.path().join("welkin.toml"), config).unwrap();
        }
        Self::started_in(folder)
    }
    /// Started in a folder that may hold what an earlier server left.
    pub(crate) fn started_in(folder: TempDir) -> Self {
        Self::started_at(folder, "127.0.0.1:0")
    }
    /// The same at an address.
    pub(crate) fn started_at(folder: TempDir, address: &str) -> Self {
        let mut child = Self::listening(folder.path(), address).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (mut greeting, mut line) = (String::new(), String::new());
        while stdout.read_line(&mut line).unwrap() > 0 && !line.contains("get networks") {
            greeting.push_str(&std::mem::take(&mut line));
        }
        greeting.push_str(&line);
        let endpoint = greeting.split_ascii_whitespace().find(|w| w.starts_with("http://"));
        let Some(endpoint) = endpoint.map(str::to_owned) else {
            let mut err = String::new();
            child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
            panic!("the server does not start: {err}");
        };
        Self { folder, endpoint, greeting, child, _stdout: stdout }
    }
    /// A server for this folder, not started.
    pub(crate) fn command(folder: &Path) -> Command {
        Self::listening(folder, "127.0.0.1:0")
    }
    fn listening(folder: &Path, address: &str) -> Command {
        let mut command = welkin(folder);
        command.args(["serve", "--listen", address, "--data-dir", "data"]);
        command
    }
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
    /// Runs a command against it. Words are split at white space.
    pub(crate) fn run(&self, line: &str) -> Ran {
        self.run_words(&line.split_ascii_whitespace().collect::<Vec<_>>())
    }
    pub(crate) fn run_words(&self, words: &[&str]) -> Ran {
        Ran::of(welkin(self.folder.path()).args(words).env("WELKIN_ENDPOINT", &self.endpoint))
    }
    /// Asks it to end, and waits.
    pub(crate) fn stop(mut self, signal: &str) -> (ExitStatus, TempDir) {
        assert!(Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        (status, std::mem::replace(&mut self.folder, TempDir::new().unwrap()))
    }
}
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
