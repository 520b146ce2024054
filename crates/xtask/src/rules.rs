//! The rules that only this project has: which crate may know which, and what a source file may not have.

use crate::{
    Outcome,
    workspace::{Package, Workspace},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// At most this many lines in a source file.
const MAX_LINES: usize = 700;

/// Whom each of our crates may know. A crate that is not here is a provider and may know the contract alone.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("welkin-core", &[]),
    ("welkin-engine", &["welkin-core"]),
    ("welkin-conformance", &["welkin-core"]),
    ("welkin", &["welkin-core", "welkin-engine"]),
    ("welkin-kubernetes", &["welkin"]),
    ("welkin-cli", &["welkin"]),
    ("xtask", &[]),
];
/// These re-export or register providers, each behind a feature.
const KNOW_PROVIDERS: &[&str] = &["welkin", "welkin-cli"];

/// Texts that no source file may have, in two halves so that this one does not have them either, and what to do instead.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("#[", "ignore", "a test that does not run proves nothing: fix it or remove it"),
    ("allow(", "dead_code", "remove what nobody uses"),
    ("expect(", "dead_code", "remove what nobody uses"),
];

/// Checks every rule, and names every breach at once.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let mut breaches = directions(&workspace.packages);
    let mut files = Vec::new();
    for folder in ["src", "crates", "tests", "examples"] {
        sources(&workspace.root.join(folder), &mut files)?;
    }
    files.push(workspace.root.join("build.rs"));
    for file in files.iter().filter(|f| f.exists()) {
        let text = fs::read_to_string(file).map_err(|e| format!("{} cannot be read: {e}", file.display()))?;
        breaches.extend(contents(file.strip_prefix(&workspace.root).unwrap_or(file), &text));
    }
    eprintln!("{} packages and {} source files looked at", workspace.packages.len(), files.len());
    if breaches.is_empty() { Ok(()) } else { Err(format!("these rules are broken:\n  {}", breaches.join("\n  "))) }
}

fn directions(packages: &[Package]) -> Vec<String> {
    let is_provider = |name: &str| MAY_KNOW.iter().all(|(known, _)| *known != name);
    let mut breaches = Vec::new();
    for package in packages {
        let allowed = MAY_KNOW.iter().find(|(name, _)| *name == package.name).map_or(&["welkin-core"][..], |(_, allowed)| allowed);
        for other in &package.needs {
            let as_provider = is_provider(&other.name) && KNOW_PROVIDERS.contains(&package.name.as_str());
            if as_provider && !other.optional {
                breaches.push(format!("{} needs the provider {} without a feature", package.name, other.name));
            } else if !as_provider && !allowed.contains(&other.name.as_str()) {
                breaches.push(format!("{} may not depend on {}: ARCHITECTURE.md has the directions", package.name, other.name));
            }
        }
    }
    breaches
}

fn contents(file: &Path, text: &str) -> Vec<String> {
    let shown = file.display();
    let mut breaches = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        breaches.push(format!("{shown} has {lines} lines, more than {MAX_LINES}: split it by what it is about"));
    }
    for (number, line) in text.lines().enumerate() {
        for (first, second, advice) in FORBIDDEN {
            if line.contains(&format!("{first}{second}")) {
                breaches.push(format!("{shown}:{}: {first}{second}: {advice}", number + 1));
            }
        }
    }
    breaches
}

/// Every Rust file below `folder`, sorted.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    let mut paths = entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(|e| format!("{} cannot be read: {e}", folder.display()))?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, needs: &[(&str, bool)]) -> Package {
        Package { name: name.into(), needs: needs.iter().map(|(n, optional)| Dependency { name: (*n).into(), optional: *optional }).collect() }
    }
    #[test]
    fn crates_know_each_other_in_one_direction_only() {
        let good = [
            package("welkin-core", &[]),
            package("welkin-aws", &[("welkin-core", false)]),
            package("welkin", &[("welkin-core", false), ("welkin-engine", false), ("welkin-aws", true)]),
            package("welkin-cli", &[("welkin", false), ("welkin-aws", true)]),
        ];
        assert_eq!(directions(&good), Vec::<String>::new());
        for (bad, word) in [
            (package("welkin-core", &[("welkin-engine", false)]), "may not depend on welkin-engine"),
            (package("welkin-engine", &[("welkin-aws", false)]), "may not depend on welkin-aws"),
            (package("welkin-aws", &[("welkin-sim", false)]), "may not depend on welkin-sim"),
            (package("welkin", &[("welkin-aws", false)]), "without a feature"),
        ] {
            let breaches = directions(&[bad]);
            assert!(breaches.len() == 1 && breaches[0].contains(word), "{breaches:?}");
        }
    }
    #[test]
    fn forbidden_texts_and_long_files_are_named_with_their_place() {
        let text = format!("fn a() {{}}\n{}{}]\nfn b() {{}}\n", FORBIDDEN[0].0, FORBIDDEN[0].1);
        let breaches = contents(Path::new("x.rs"), &text);
        assert!(breaches.len() == 1 && breaches[0].starts_with("x.rs:2: "), "{breaches:?}");
        assert_eq!(contents(Path::new("x.rs"), &"\n".repeat(MAX_LINES)), Vec::<String>::new());
        assert_eq!(contents(Path::new("x.rs"), &"\n".repeat(MAX_LINES + 1)).len(), 1);
    }
}
