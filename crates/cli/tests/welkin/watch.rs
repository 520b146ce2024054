//! `get --watch` and `describe`.

use crate::program::{Server, welkin};
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
};

/// A watch that is under way.
struct Watching {
    child: Child,
    out: BufReader<ChildStdout>,
    err: BufReader<ChildStderr>,
}
impl Watching {
    fn start(server: &Server, line: &str) -> Self {
        let mut command = welkin(server.folder.path());
        command.args(line.split_ascii_whitespace()).args(["--watch", "--interval", "1s"]).env("WELKIN_ENDPOINT", &server.endpoint);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (BufReader::new(child.stdout.take().unwrap()), BufReader::new(child.stderr.take().unwrap()));
        Self { child, out, err }
    }
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
    /// Interrupts it as a terminal does.
    fn interrupt(mut self) -> (Option<i32>, String) {
        assert!(Command::new("kill").args(["-s", "INT", &self.child.id().to_string()]).status().unwrap().success());
        let mut said = String::new();
        self.err.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

#[test]
fn a_watch_tells_what_changes() {
    let server = Server::start();
    server.run("create network n1 --cidr 10.0.0.0/16").ok();
    let mut table = Watching::start(&server, "get networks");
    let mut json = Watching::start(&server, "get network -o json");
    let mut one = Watching::start(&server, "get network n1 -o name");
    assert!(table.line().starts_with("NAME"));
    assert!(table.line().starts_with("n1"));
    let event = |line: String| {
        let value: Value = serde_json::from_str(&line).unwrap();
        format!("{} {}", value["event"].as_str().unwrap(), value["resource"]["name"].as_str().unwrap())
    };
    let name = |id: &str| format!("clouds/sim/locations/sim-1/networks/{id}");
    assert_eq!((event(json.line()), one.line()), (format!("present {}", name("n1")), name("n1")));
    server.run("create network n2 --cidr 10.2.0.0/16").ok();
    assert_eq!((table.line(), event(json.line())), (format!("added    {}  AVAILABLE", name("n2")), format!("added {}", name("n2"))));
    server.run("update network n2 --label a=1").ok();
    assert_eq!((table.line(), event(json.line())), (format!("changed  {}  labels: - -> a=1", name("n2")), format!("changed {}", name("n2"))));
    server.run("delete network n1").ok();
    assert_eq!((table.line(), event(json.line()), one.line()), (format!("gone     {}", name("n1")), format!("gone {}", name("n1")), format!("gone {}", name("n1"))));
    for watching in [table, json, one] {
        assert_eq!(watching.interrupt(), (Some(0), String::new()));
    }
}

#[test]
fn a_watch_outlives_a_server_that_is_away_and_ends_with_its_reader() {
    let server = Server::start();
    server.run("create network n1 --cidr 10.0.0.0/16").ok();
    let mut watching = Watching::start(&server, "get networks -o name");
    assert!(watching.line().ends_with("n1"));
    let address = server.endpoint.trim_start_matches("http://").to_owned();
    let (_, folder) = server.stop("TERM");
    let mut said = String::new();
    watching.err.read_line(&mut said).unwrap();
    assert!(said.contains("cannot be reached"), "{said}");
    let server = Server::started_at(folder, &address);
    // Nobody reads what comes next.
    drop(watching.out);
    server.run("delete network n1").ok();
    assert_eq!(watching.child.wait().unwrap().code(), Some(0));
    server.run("get network n1 --watch").fails(3, &["RESOURCE_NOT_FOUND"]);
}

#[test]
fn describe_shows_everything_to_people() {
    let server = Server::start();
    server.run("create network n1 --cidr 10.0.0.0/16 --label team=web").ok();
    let page = server.run("describe network n1").ok();
    for part in
        ["Network n1: ", "Asked for\n", "  CIDRs", "10.0.0.0/16", "AVAILABLE", "At the vendor\n", "Vendor ID", "net-", "sim:///sim-1/net-", "Labels\n", "team", "web", "Digest"]
    {
        assert!(page.contains(part), "{part:?} is not in\n{page}");
    }
    server.run("describe network none").fails(3, &["RESOURCE_NOT_FOUND"]);
    server.run("describe machine-type small").ok();
    server.run("describe network n1 -o json").fails(2, &["--output means nothing to `welkin describe`"]);
}

#[test]
fn the_server_can_be_named_before_the_verb() {
    let server = Server::start();
    let before = |endpoint: &str, rest: &str| crate::program::Ran::of(welkin(server.folder.path()).args(["--endpoint", endpoint]).args(rest.split(' ')));
    before(&server.endpoint, "create network n1 --cidr 10.0.0.0/16").ok();
    assert!(before(&server.endpoint, "-o name get networks").ok().ends_with("networks/n1\n"));
    before("http://127.0.0.1:1", "get networks").fails(4, &["http://127.0.0.1:1"]);
    before(&server.endpoint, "serve").fails(2, &["--endpoint means nothing to `welkin serve`"]);
}
