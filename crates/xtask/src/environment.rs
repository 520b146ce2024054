//! What the tests need beyond the toolchains: moto as AWS, a gRPC client that is not ours, and buf. All of it in the build directory.

use crate::{Outcome, process::Run, workspace::Workspace};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The Python packages, all of them pinned.
const REQUIREMENTS: &str = include_str!("../requirements.txt");
/// The linter of proto files; its npm package brings the program itself, which needs no network.
const BUF: &str = "@bufbuild/buf@1.75.0";

/// Where things are.
#[derive(Debug)]
pub(crate) struct Environment {
    /// The interpreter of the test environment.
    pub(crate) python: PathBuf,
    /// The linter of proto files.
    pub(crate) buf: PathBuf,
}

/// Installs what is missing or has another version than ours.
pub(crate) fn install(workspace: &Workspace) -> Outcome<Environment> {
    let base = workspace.target.join("welkin-env");
    let (python, node) = (base.join("python"), base.join("node"));
    once(&python, REQUIREMENTS, || install_python(&python))?;
    once(&node, BUF, || Run::new("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]).arg(&node).arg(BUF).finish())?;
    let scripts = if cfg!(windows) { "Scripts" } else { "bin" };
    Ok(Environment { python: python.join(scripts).join("python"), buf: node.join("node_modules").join(".bin").join("buf") })
}

fn install_python(folder: &Path) -> Outcome {
    Run::new("python3", ["-m", "venv"]).arg(folder).finish()?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).map_err(|e| format!("{} cannot be written: {e}", requirements.display()))?;
    let python = folder.join("bin").join("python");
    Run::new(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"]).arg(&requirements).finish()
}

/// Fills `folder` afresh unless it was completely filled for the same pins.
fn once(folder: &Path, pins: &str, fill: impl FnOnce() -> Outcome) -> Outcome {
    let marker = folder.join(".pins");
    if fs::read_to_string(&marker).is_ok_and(|was| was == pins) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|e| format!("{} cannot be emptied: {e}", folder.display()))?;
    }
    fs::create_dir_all(folder).map_err(|e| format!("{} cannot be made: {e}", folder.display()))?;
    fill()?;
    // Last, so that an interrupted installation starts again.
    fs::write(&marker, pins).map_err(|e| format!("{} cannot be written: {e}", marker.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_filled_once_and_again_after_a_failure_or_other_pins() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("env");
        let count = std::cell::Cell::new(0);
        let fill = |answer: Outcome| {
            count.set(count.get() + 1);
            answer
        };
        assert!(once(&folder, "a==1", || fill(Err("no network".into()))).is_err());
        once(&folder, "a==1", || fill(Ok(()))).unwrap();
        once(&folder, "a==1", || fill(Ok(()))).unwrap();
        assert_eq!(count.get(), 2);
        fs::write(folder.join("old"), "").unwrap();
        once(&folder, "a==2", || fill(Ok(()))).unwrap();
        assert_eq!((count.get(), folder.join("old").exists()), (3, false));
    }
    #[test]
    fn every_package_is_pinned() {
        for line in REQUIREMENTS.lines().filter(|l| !l.starts_with('#')) {
            assert!(line.contains("=="), "{line}");
        }
    }
}
