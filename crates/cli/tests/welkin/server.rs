//! `welkin serve`: starting, stopping, and what it refuses.

use crate::program::{Ran, Server, welkin};
use std::fs;

#[test]
fn it_tells_its_address_and_three_commands_that_work() {
    let several = "[clouds.a]\nprovider = \"sim\"\nregions = [\"r-1\", \"r-2\"]\n[clouds.b]\nprovider = \"sim\"\n";
    for (config, clouds) in [("", "clouds: sim (sim)"), (several, "clouds: a (sim), b (sim)")] {
        let server = Server::configured(config);
        assert!(server.greeting.contains(clouds), "{}", server.greeting);
        let commands: Vec<&str> = server.greeting.lines().filter(|l| l.starts_with("  ")).collect();
        assert_eq!(commands.len(), 3);
        for line in commands {
            let words: Vec<&str> = line.split_ascii_whitespace().skip(1).collect();
            Ran::of(welkin(server.folder.path()).args(&words)).ok();
        }
    }
}

#[test]
fn a_stopped_server_keeps_everything() {
    for signal in ["TERM", "INT"] {
        let server = Server::start();
        server.run("create network n1 --cidr 10.0.0.0/16").ok();
        let before = server.run("get network n1 -o json").ok();
        let (status, folder) = server.stop(signal);
        assert!(status.success(), "{signal}: {status}");
        let again = Server::started_in(folder);
        assert_eq!(again.run("get network n1 -o json").ok(), before);
        again.run("delete network n1").ok();
    }
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let server = Server::start();
    Ran::of(&mut Server::command(server.folder.path())).fails(1, &["in use by another server"]);
    server.run("get networks").ok();
}

#[test]
fn a_damaged_store_is_refused_and_left_as_it_is() {
    let (_, folder) = Server::start().stop("TERM");
    let data = folder.path().join("data");
    for entry in ["store.sqlite-wal", "store.sqlite-shm"] {
        let _ = fs::remove_file(data.join(entry));
    }
    let damaged = b"this is no database, and long enough to be taken for the header of one".repeat(20);
    fs::write(data.join("store.sqlite"), &damaged).unwrap();
    let why = Ran::of(&mut Server::command(folder.path())).fails(1, &["store.sqlite"]);
    assert!(!why.contains("panicked"), "{why}");
    assert_eq!(fs::read(data.join("store.sqlite")).unwrap(), damaged);
}

#[test]
fn a_store_without_its_key_is_refused() {
    let (_, folder) = Server::start().stop("TERM");
    fs::remove_file(folder.path().join("data").join("store.key")).unwrap();
    Ran::of(&mut Server::command(folder.path())).fails(1, &["store.key", "missing"]);
}

#[test]
fn only_the_loopback_interface_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let serve = |address: &str| Ran::of(welkin(folder.path()).args(["serve", "--data-dir", "data", "--listen", address]));
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7750"] {
        serve(address).fails(2, &["--listen", "loopback"]);
    }
    assert!(!folder.path().join("data").exists(), "nothing is made first");
    serve("somewhere").fails(2, &["--listen"]);
}

#[test]
fn a_taken_port_is_told() {
    let server = Server::start();
    let address = server.endpoint.trim_start_matches("http://").to_owned();
    let folder = tempfile::tempdir().unwrap();
    let ran = Ran::of(welkin(folder.path()).args(["serve", "--data-dir", "data", "--listen", &address]));
    ran.fails(1, &["--listen", &address]);
}

#[test]
fn a_wrong_configuration_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let serve = |config: &str| {
        fs::write(folder.path().join("welkin.toml"), config).unwrap();
        Ran::of(&mut Server::command(folder.path()))
    };
    serve("[clouds.lab]\nprovider = \"sim\"\nsede = 1\n").fails(2, &["welkin.toml, line 3", "`sede`"]);
    serve("[clouds.lab]\nprovider = \"simm\"\n").fails(2, &["welkin.toml, line 2", "sim, aws"]);
    serve("[clouds.lab]\nprovider = \"sim\"\nregions = []\n").fails(2, &["clouds.lab.regions: a cloud needs"]);
    serve("[clouds.\"Not A Label\"]\nprovider = \"sim\"\n").fails(2, &["Not A Label"]);
    Ran::of(Server::command(folder.path()).args(["--config", "nowhere.toml"])).fails(2, &["nowhere.toml"]);
    if cfg!(not(feature = "aws")) {
        serve("[clouds.prod]\nprovider = \"aws\"\nregions = [\"eu-west-1\"]\n").fails(2, &["line 2", "--features aws"]);
    }
}

#[test]
fn what_it_keeps_is_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::start();
    let mode = |path: std::path::PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(server.data()), 0o700);
    assert_eq!(mode(server.data().join("store.key")), 0o600);
}
