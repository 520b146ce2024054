//! What cargo knows of the workspace.

use crate::{Outcome, process::Run};
use serde_json::Value;
use std::path::PathBuf;

/// The workspace, as `cargo metadata` describes it.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Its folder.
    pub(crate) root: PathBuf,
    /// The build directory.
    pub(crate) target: PathBuf,
    /// Its own packages.
    pub(crate) packages: Vec<Package>,
}

/// One of our packages.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Names of our packages that it needs to be built, tests apart.
    pub(crate) needs: Vec<Dependency>,
}

#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Behind a feature.
    pub(crate) optional: bool,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn find() -> Outcome<Self> {
        let text = Run::cargo(["metadata", "--format-version", "1", "--no-deps", "--locked"]).output()?;
        let metadata: Value = serde_json::from_str(&text).map_err(|e| format!("cargo metadata cannot be read: {e}"))?;
        Ok(Self { root: path(&metadata, "workspace_root")?, target: path(&metadata, "target_directory")?, packages: packages(&metadata) })
    }
}

fn path(metadata: &Value, key: &str) -> Outcome<PathBuf> {
    metadata.get(key).and_then(Value::as_str).map(PathBuf::from).ok_or_else(|| format!("cargo metadata does not tell {key}"))
}

fn packages(metadata: &Value) -> Vec<Package> {
    let list = |v: &Value, key: &str| v.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |v: &Value, key: &str| v.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    list(metadata, "packages")
        .iter()
        .map(|p| Package {
            name: text(p, "name"),
            needs: list(p, "dependencies")
                .iter()
                // Only ours have a path; tests may use what they like.
                .filter(|d| d.get("path").is_some_and(Value::is_string) && text(d, "kind") != "dev")
                .map(|d| Dependency { name: text(d, "name"), optional: d.get("optional") == Some(&Value::Bool(true)) })
                .collect(),
        })
        .collect()
}
