//! What botocore's model of EC2 says, and what was recorded of EC2, by `model.py` beside this file.
//!
//! Needs an interpreter with botocore in WELKIN_TEST_PYTHON. Recordings lie in WELKIN_FIXTURES, else in `shared/fixtures` beside the repository; they
//! are not part of it.

use crate::members::operations;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A real account answered so.
    Recording,
    /// libcloud's: trimmed or edited by hand, or from the documentation.
    Sample,
    /// Made from the model, with every member.
    Specimen,
}
#[derive(Debug, Deserialize)]
pub struct Answer {
    pub operation: String,
    pub source: String,
    pub status: u16,
    /// As EC2 sends it.
    pub xml: String,
    /// As boto3 decodes it, with times as Unix milliseconds. EC2's error where the status is not 200.
    pub answer: Value,
}
impl Answer {
    pub fn origin(&self) -> Origin {
        match self.source.split('/').next() {
            Some("aws-recorded") => Origin::Recording,
            Some("libcloud") => Origin::Sample,
            _ => Origin::Specimen,
        }
    }
}
#[derive(Debug, Deserialize)]
pub struct LeftOut {
    pub source: String,
    pub left_out: String,
}
#[derive(Debug, Deserialize)]
pub struct Member {
    /// `Vpcs[].Tags[].Key`
    pub path: String,
    /// `vpcSet/item/tagSet/item/key`
    pub wire: String,
    /// `enum`, `string`, `integer` and so on.
    pub kind: String,
}
#[derive(Debug, Deserialize)]
pub struct Model {
    pub botocore: String,
    pub answers: Vec<Answer>,
    pub left_out: Vec<LeftOut>,
    pub members: BTreeMap<String, Vec<Member>>,
}
impl Model {
    /// The answers of one operation that are no errors.
    pub fn answers(&self, operation: &str) -> impl Iterator<Item = &Answer> {
        self.answers.iter().filter(move |a| a.operation == operation && a.status == 200)
    }
}

/// None where it cannot be asked, which is then said.
pub fn model() -> Option<&'static Model> {
    static MODEL: OnceLock<Option<Model>> = OnceLock::new();
    MODEL.get_or_init(|| answers_of(operations())).as_ref()
}
/// The same of these operations.
pub fn answers_of<'a>(operations: impl IntoIterator<Item = &'a str>) -> Option<Model> {
    ask("answers", std::iter::once(fixtures()?.into()).chain(operations.into_iter().map(OsString::from)), "")
}
/// Where the recordings lie; None where there are none, which is then said.
pub fn fixtures() -> Option<PathBuf> {
    // cargo runs tests in the package's folder.
    let folder = std::env::var_os("WELKIN_FIXTURES").map_or_else(|| "../../../shared/fixtures".into(), PathBuf::from);
    if !folder.is_dir() {
        say("SKIPPED: no recordings: WELKIN_FIXTURES names no folder and there is no ../shared/fixtures beside the repository");
        return None;
    }
    Some(folder)
}

/// One question to `model.py`. None where there is no interpreter.
pub fn ask<T: DeserializeOwned>(command: &str, arguments: impl IntoIterator<Item = OsString>, input: &str) -> Option<T> {
    let Some(python) = std::env::var_os("WELKIN_TEST_PYTHON") else {
        say("SKIPPED: WELKIN_TEST_PYTHON names no interpreter with botocore: run `cargo xtask test`");
        return None;
    };
    let mut child = Command::new(python).arg("tests/ec2/model.py").arg(command).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "model.py {command} failed");
    Some(serde_json::from_slice(&out.stdout).unwrap())
}

/// A line of the test's report.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
