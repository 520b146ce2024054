//! docs/errors.md lists every reason. `WELKIN_WRITE_DOCS=1 cargo test -p welkin-core --test reasons` writes it anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::{fmt::Write as _, fs, path::Path};
use welkin_core::Reason;

#[test]
fn every_reason_is_documented() {
    let path = Path::new("../../docs/errors.md");
    let mut page = String::from(
        "# Errors\n\nEvery error carries a `google.rpc.ErrorInfo` of the domain `welkin.dev` with one of these reasons; its metadata name the cloud, whether the cloud acted\n\
         (`effect`: NONE, UNKNOWN, APPLIED), the vendor's own code and the id to quote to the vendor. `RetryInfo` is there where repeating the same call can help.\n\n\
         This page is written by a test from the list in `crates/core/src/error.rs`.\n\n| reason | meaning |\n|---|---|\n",
    );
    for reason in Reason::ALL {
        writeln!(page, "| `{reason}` | {} |", reason.meaning()).unwrap();
    }
    if std::env::var_os("WELKIN_WRITE_DOCS").is_some() {
        fs::write(path, &page).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap_or_default(), page, "write it anew: WELKIN_WRITE_DOCS=1 cargo test -p welkin-core --test reasons");
}
