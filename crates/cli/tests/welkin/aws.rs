//! README's second story: the same commands drive EC2. The cloud is moto in strict mode, an emulator; what it does not show is listed in
//! docs/fidelity.md.

use crate::{moto::Moto, program::Server};
use welkin::{api::v1::cloud::VendorCalls, client::Client};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGzLxzNnJbGvqTn6Bzxfk0Xg5JYzrBqbBwYvZ7n0S2vQ welkin-test";

#[test]
fn a_life_on_ec2() {
    let dir = tempfile::tempdir().unwrap();
    let Some(moto) = Moto::start(dir.path()) else { return };
    let foreign = moto.plant();
    let server = Server::configured(&moto.configuration());

    let network = server.run("create network n1 --cidr 10.0.0.0/16 --internet-access -o json").ok();
    assert!(network.contains("\"vendorId\": \"vpc-"), "{network}");
    server.run("create subnet s1 --network n1 --cidr 10.0.1.0/24 --zone eu-west-1a").ok();
    let create = ["create", "instance", "web", "--subnet", "s1", "--image", "debian-12", "--machine-type", "t3.small", "--ssh-key", KEY, "--label", "team=web", "-o", "json"];
    let web = server.run_words(&create).ok();
    assert!(web.contains("aws:///eu-west-1a/i-") && web.contains("ami-0123456789abcdef0"), "the image of the publisher's account, not the newest of that name: {web}");
    assert_eq!(moto.inventory(), [1, 1, 1, 1, 1]);

    // The same again is the same.
    assert_eq!(server.run_words(&create).ok(), web);
    assert_eq!(moto.inventory(), [1, 1, 1, 1, 1]);
    let listed = server.run("get instances").ok();
    assert!(listed.contains("web") && listed.contains("RUNNING"), "{listed}");
    for (verb, state) in [("stop", "STATE_STOPPED"), ("start", "STATE_RUNNING"), ("reboot", "STATE_RUNNING")] {
        server.run(&format!("{verb} instance web")).ok();
        let now = server.run("get instance web -o json").ok();
        assert!(now.contains(state), "{verb}: {now}");
    }

    // What AWS refuses, and what is not ours.
    server.run("create subnet s2 --network n1 --cidr 10.0.1.0/25 --zone eu-west-1a").fails(1, &["--cidr", "InvalidSubnet.Conflict"]);
    server.run("create instance bad --subnet s1 --image ami-00000000000000000 --machine-type t3.small").fails(1, &["--image"]);
    server.run("delete network n1").fails(1, &["IN_USE"]);
    server.run(&format!("delete network {foreign}")).fails(1, &["NOT_OWNED"]);
    assert_eq!(moto.inventory(), [1, 1, 1, 1, 1]);

    for what in ["instance web", "subnet s1", "network n1"] {
        server.run(&format!("delete {what}")).ok();
    }
    assert_eq!(moto.inventory(), [0, 0, 0, 0, 0]);
    server.run(&format!("get network {foreign}")).ok();
    server.run("get instance web").fails(3, &["web"]);
}

/// Every single request to AWS passes the gate: it is counted, and a write is journalled.
#[test]
fn the_gate_counts_what_aws_receives() {
    let dir = tempfile::tempdir().unwrap();
    let Some(moto) = Moto::start(dir.path()) else { return };
    let before = moto.requests();
    let server = Server::configured(&moto.configuration());
    server.run("create network n1 --cidr 10.0.0.0/16 --internet-access").ok();
    server.run("create subnet s1 --network n1 --cidr 10.0.1.0/24 --zone eu-west-1a").ok();
    server.run_words(&["create", "instance", "web", "--subnet", "s1", "--image", "debian-12", "--machine-type", "t3.small", "--ssh-key", KEY]).ok();
    server.run("create instance no --subnet s1 --image ami-00000000000000000 --machine-type t3.small").fails(1, &["--image"]);
    server.run("get instances").ok();
    server.run("get machine-types").ok();
    server.run("reboot instance web").ok();
    server.run("delete network n1 --dry-run").fails(1, &["IN_USE"]);
    server.run("delete instance web").ok();
    let calls = vendor_calls(&server.endpoint);
    assert_eq!(calls.iter().map(|c| c.count).sum::<u64>(), u64::try_from(moto.requests() - before).unwrap(), "{calls:?}");
}
fn vendor_calls(endpoint: &str) -> Vec<VendorCalls> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { Client::connect(endpoint.to_owned()).await.unwrap().cloud("prod").describe().await.unwrap().vendor_calls })
}

#[test]
fn wrong_credentials_and_a_vendor_that_is_down_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let Some(moto) = Moto::start(dir.path()) else { return };
    let wrong = moto.configuration().replace("secret_access_key = \"", "secret_access_key = \"x");
    let server = Server::configured(&wrong);
    server.run("create network n1 --location eu-west-1 --cidr 10.0.0.0/16").fails(1, &["CLOUD_CREDENTIALS"]);
    assert_eq!(moto.inventory(), [0, 0, 0, 0, 0]);
    let configuration = moto.configuration();
    drop(moto);
    let server = Server::configured(&configuration);
    server.run("create network n1 --location eu-west-1 --cidr 10.0.0.0/16").fails(1, &["CLOUD_UNAVAILABLE"]);
}
