//! The programs that README points to, run against a real server as a user would run them.

use crate::program::{Server, skipped};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// An example of the root package; `cargo test --workspace` builds them beside the tests.
fn example(name: &str) -> Option<Command> {
    let tests = std::env::current_exe().unwrap();
    let program: PathBuf = tests.parent().and_then(Path::parent).unwrap().join("examples").join(name);
    if !program.exists() {
        skipped(&format!("{} is not built: run `cargo build -p welkin --examples`", program.display()));
        return None;
    }
    Some(Command::new(program))
}
/// What it printed, where it ended well.
fn run(command: &mut Command) -> String {
    let out = command.stdin(Stdio::null()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{stdout}\n{stderr}");
    stdout.into_owned()
}

#[test]
fn rust_through_a_server() {
    let Some(mut client) = example("client") else { return };
    let server = Server::start();
    let said = run(client.arg(&server.endpoint));
    assert!(said.contains("locations/sim-1/instances/rust-web is STOPPED"), "{said}");
    assert_eq!(server.run("get networks -o name").ok(), "");
}

#[test]
fn rust_in_process() {
    let Some(mut program) = example("in_process") else { return };
    let said = run(&mut program);
    assert!(said.contains("locations/sim-1/instances/web is STOPPED") && said.contains("LaunchInstance"), "{said}");
}

/// Needs an interpreter with grpcio and grpcio-reflection; `cargo xtask test` has one and names it.
#[test]
fn python_with_nothing_but_reflection() {
    let Some(python) = std::env::var_os("WELKIN_TEST_PYTHON") else {
        return skipped("WELKIN_TEST_PYTHON names no interpreter with grpcio: run `cargo xtask test`");
    };
    let server = Server::start();
    let said = run(Command::new(python).arg("../../examples/python/instances.py").arg(server.endpoint.trim_start_matches("http://")));
    for line in ["created clouds/sim/locations/sim-1/instances/py-web", "Stop", "-> STATE_STOPPED", "refused:", "deleted clouds/sim/locations/sim-1/networks/py-net"] {
        assert!(said.to_lowercase().contains(&line.to_lowercase()), "{line:?} is not in\n{said}");
    }
    assert_eq!(server.run("get networks -o name").ok(), "");
}
