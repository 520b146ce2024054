//! The client's commands.

use crate::program::{Ran, Server, welkin};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::Stdio,
};

const INSTANCE: &str = "create instance web --subnet s1 --image debian-12 --machine-type small";

fn with_subnet(server: &Server) {
    server.run("create network n1 --cidr 10.0.0.0/16").ok();
    server.run("create subnet s1 --network n1 --cidr 10.0.1.0/24").ok();
}
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn many_records_are_changed_at_once() {
    let server = Server::start();
    server.run("create dns-zone example --dns-name example.com").ok();
    // The command runs in a folder of its own.
    let records = std::fs::canonicalize("../../examples/records.yaml").unwrap();
    let said = server.run_words(&["change-records", "dns-zone", "example", "-f", records.to_str().unwrap()]).ok();
    assert!(said.lines().count() == 4 && said.contains("www.example.com~A") && said.contains("mail.example.com~MX"), "{said}");
    assert_eq!(server.run("get record-sets --in example -o name").ok().lines().count(), 2);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("some.yaml");
    std::fs::write(
        &file,
        "mode: MODE_BEST_EFFORT\nchanges:\n- {record_set_id: www.elsewhere.example~A, record_set: {values: [192.0.2.1]}}\n- {record_set_id: www.example.com~A}\n",
    )
    .unwrap();
    server.run_words(&["change-records", "dns-zone", "example", "-f", file.to_str().unwrap()]).fails(1, &["1 of 2 were refused"]);
    assert_eq!(server.run("get record-sets --in example -o name").ok(), "clouds/sim/locations/global/dnsZones/example/recordSets/mail.example.com~MX\n");
    server.run("change-records dns-zone example").fails(1, &["--change", "1 to 10000 changes"]);
    let gone = ["change-records", "dns-zone", "example", "--mode", "atomic", "--change", "record-set-id=mail.example.com~MX", "--deletes", "1", "--dry-run"];
    server.run_words(&gone).ok();
    server.run("delete dns-zone example").fails(1, &["IN_USE", "delete what uses it first"]);
}

#[test]
fn a_record_set_is_an_alias_of_a_load_balancer() {
    let server = Server::start();
    with_subnet(&server);
    server.run("create load-balancer web --network n1 --subnet s1 --scheme internal --listener protocol=tcp,port=80 --backend address=10.0.1.9").ok();
    server.run("create dns-zone example --dns-name example.com").ok();
    let create = "create record-set example.com~A --in example --alias-load-balancer";
    // It lies in a region and the record set in none, so it is named in full.
    server.run(&format!("{create} web")).fails(1, &["--alias-load-balancer", "locations/LOCATION/loadBalancers/ID"]);
    server.run(&format!("{create} locations/sim-1/loadBalancers/nobody")).fails(1, &["REFERENCE_NOT_FOUND", "--alias-load-balancer"]);
    server.run(&format!("{create} locations/sim-1/loadBalancers/web --value 192.0.2.1")).fails(1, &["alias: values are answered"]);
    server.run(&format!("{create} locations/sim-1/loadBalancers/web --alias-check-health")).ok();
    let show = || json(&server.run("get record-set example.com~A --in example -o json").ok());
    let full = "clouds/sim/locations/sim-1/loadBalancers/web";
    assert_eq!((show()["alias"]["loadBalancer"].as_str(), show()["alias"]["checkHealth"].as_bool(), show()["ttlS"].as_u64()), (Some(full), Some(true), None));
    // The same again is no change.
    server.run(&format!("{create} {full} --alias-check-health")).ok();

    let dir = tempfile::tempdir().unwrap();
    let change = |of: &str| {
        let file = dir.path().join("some.yaml");
        fs::write(&file, format!("changes:\n- {{record_set_id: www.example.com~A, record_set: {{alias: {{load_balancer: {of}}}}}}}\n")).unwrap();
        server.run_words(&["change-records", "dns-zone", "example", "-f", file.to_str().unwrap()])
    };
    change("locations/sim-1/loadBalancers/nobody").fails(1, &["REFERENCE_NOT_FOUND", "--change"]);
    change("web").fails(1, &["--change", "does not say where it is"]);
    change("locations/sim-1/loadBalancers/web").ok();
    let table = server.run("get record-sets --in example").ok();
    assert_eq!(table.lines().filter(|line| line.split_whitespace().any(|word| word == "web")).count(), 2, "{table}");

    // Where it has gone the aliases stay, and can be changed and deleted.
    server.run("delete load-balancer web").ok();
    assert!(show()["alias"]["loadBalancer"].as_str().is_some_and(|of| of.starts_with("clouds/sim/locations/sim-1/loadBalancers/lb-")), "{}", show());
    let values = dir.path().join("values.yaml");
    fs::write(&values, "ttl_s: 60\nvalues: [192.0.2.1]\n").unwrap();
    server.run_words(&["update", "record-set", "example.com~A", "--in", "example", "-f", values.to_str().unwrap()]).fails(1, &["INVALID_FIELD"]);
    server
        .run_words(&["update", "record-set", "example.com~A", "--in", "example", "-f", values.to_str().unwrap(), "--clear", "alias-load-balancer", "--clear", "alias-check-health"])
        .ok();
    assert_eq!((show()["values"][0].as_str(), show()["alias"].is_null()), (Some("192.0.2.1"), true));
    server.run("delete record-set www.example.com~A --in example").ok();
}

#[test]
fn a_group_is_made_looked_into_and_its_instances_are_chosen() {
    let server = Server::start();
    with_subnet(&server);
    // The command runs in a folder of its own.
    let example = |name: &str| std::fs::canonicalize(format!("../../examples/{name}.yaml")).unwrap().to_str().unwrap().to_owned();
    let made = server.run_words(&["create", "instance-group", "web", "-f", &example("instance-group")]).ok();
    assert!(made.contains("ACTIVE"), "{made}");
    let members = || -> Vec<String> {
        let told = json(&server.run("members instance-group web -o json").ok());
        told["members"].as_array().unwrap().iter().map(|m| m["instance"].as_str().unwrap().to_owned()).collect()
    };
    let before = members();
    assert_eq!((before.len(), server.run("get instances -o name").ok().lines().count()), (3, 3));
    let table = server.run("members instance-group web").ok();
    assert!(table.starts_with("INSTANCE") && table.lines().count() == 4 && table.contains("RUNNING") && table.trim_end().ends_with('s'), "{table}");
    server.run(&format!("delete instance {}", before[0])).fails(1, &["NOT_OWNED"]);

    let dir = tempfile::tempdir().unwrap();
    let chosen = dir.path().join("chosen.yaml");
    std::fs::write(&chosen, format!("instances: [{}, i-00000000000000000]\n", before[0])).unwrap();
    let words = ["delete-instances", "instance-group", "web", "-f", chosen.to_str().unwrap()];
    let said = server.run_words(&words).fails(1, &["1 of 2 were refused"]);
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(members(), before[1..]);
    let shown = json(&server.run("get instance-group web -o json").ok());
    assert_eq!((shown["size"].as_u64(), shown["runningInstances"].as_u64()), (Some(2), Some(2)), "{shown}");

    server.run("update instance-group web --max-size 5").ok();
    let other = dir.path().join("other.yaml");
    std::fs::write(&other, "template: {machineTypes: [medium]}\n").unwrap();
    server.run_words(&["update", "instance-group", "web", "-f", other.to_str().unwrap()]).ok();
    assert_eq!(json(&server.run("get instance-group web -o json").ok())["outOfDateInstances"].as_u64(), Some(2));
    server.run_words(&["replace-instances", "instance-group", "web", "-f", &example("replacement")]).ok();
    let after = members();
    assert!(after.len() == 2 && after.iter().all(|id| !before.contains(id)), "{before:?} became {after:?}");
    server.run("stop-replacement instance-group web").ok();
    assert!(server.run("delete instance-group web").ok().contains("deleted"));
    assert_eq!(server.run("get instances -o name").ok(), "");
}

#[test]
fn backends_come_and_go_by_their_flags() {
    let server = Server::start();
    with_subnet(&server);
    server.run("create security-group https --network n1 --allow-load-balancer-rules").ok();
    for id in ["web", "web2"] {
        server.run(&format!("create instance {id} --subnet s1 --image debian-12 --machine-type small --security-group https")).ok();
    }
    server.run("create load-balancer entry --network n1 --subnet s1 --scheme internal --listener protocol=tcp,port=443 --backend instance=web").ok();
    let led =
        || json(&server.run("get load-balancer entry -o json").ok())["backends"].as_array().unwrap().iter().map(|b| b["instance"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let said = server.run("change-backends load-balancer entry --add instance=web2").ok();
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["BACKENDS", "2"]);
    server.run("change-backends load-balancer entry --remove instance=web").ok();
    assert_eq!(led(), ["clouds/sim/locations/sim-1/instances/web2"]);
    for (flags, told) in [
        ("", "--add: name at least one"),
        ("--remove instance=web2", "--remove: nothing would be left"),
        ("--add instance=none", "--add: locations/sim-1/instances/none does not exist"),
        ("--add address=10.0.1.9", "--add: with what is there"),
    ] {
        server.run(&format!("change-backends load-balancer entry {flags}")).fails(1, &[told]);
    }
    server.run("change-backends network n1").fails(2, &["these have: load-balancers"]);
    assert_eq!(led(), ["clouds/sim/locations/sim-1/instances/web2"]);
}

#[test]
fn the_readmes_commands_work_as_typed() {
    let server = Server::start();
    assert!(server.run("create network n1 --cidr 10.0.0.0/16").ok().contains("10.0.0.0/16"));
    assert!(server.run("create subnet s1 --network n1 --cidr 10.0.1.0/24").ok().contains("sim-1a"));
    let https = "create security-group https --network n1 --rule direction=ingress,protocol=tcp,from-port=443,to-port=443,cidr=0.0.0.0/0,cidr=::/0";
    assert!(server.run(https).ok().contains("https"));
    let created = server.run(INSTANCE).ok();
    assert!(created.contains("web") && created.contains("RUNNING"), "{created}");
    let listed = server.run("get instances").ok();
    assert!(listed.starts_with("NAME") && listed.contains("web") && listed.contains("small"), "{listed}");
    assert!(server.run("stop instance web").ok().contains("STOPPED"));
    assert!(server.run("start instance web").ok().contains("RUNNING"));
    assert!(server.run("reboot instance web").ok().contains("RUNNING"));
    let console = server.run("console-output instance web").ok();
    assert!(console.lines().count() == 4 && console.ends_with("] rebooted\n"), "{console}");
    let told = json(&server.run("console-output instance web -o json").ok());
    assert!(told["text"].as_str() == Some(console.as_str()) && told["outputTime"].is_string(), "{told}");
    server.run("console-output instance nowhere").fails(3, &["nowhere"]);
    server.run("console-output network n1").fails(2, &["networks have no console-output; these have: instances"]);
    let shown = json(&server.run("get instance web -o json").ok());
    assert_eq!((shown["name"].as_str(), shown["state"].as_str()), (Some("clouds/sim/locations/sim-1/instances/web"), Some("STATE_RUNNING")));
    for what in ["instance web", "security-group https", "subnet s1", "network n1"] {
        assert!(server.run(&format!("delete {what}")).ok().contains("deleted"));
    }
    assert_eq!(server.run("get instances -o name").ok(), "");
    assert_eq!(server.run("get networks").ok().lines().count(), 1);
}

#[test]
fn rules_are_given_changed_and_refused_by_their_fields() {
    let server = Server::start();
    server.run("create network n1 --cidr 10.0.0.0/16").ok();
    server.run("create security-group nodes --network n1 --rule direction=ingress,protocol=all,same-group").ok();
    let web = "create security-group web --network n1 --rule direction=ingress,protocol=tcp,from-port=80,to-port=80,cidr=::/0 --rule direction=ingress,protocol=icmp,group=nodes";
    server.run(web).ok();
    // The order of peers and rules means nothing.
    server
        .run("create security-group web --network n1 --rule direction=ingress,protocol=icmp,group=nodes --rule direction=ingress,protocol=tcp,from-port=80,to-port=80,cidr=::/0")
        .ok();
    let shown = json(&server.run("get security-group web -o json").ok());
    assert_eq!(shown["rules"].as_array().unwrap().len(), 2);
    assert_eq!(shown["rules"][0]["groups"][0], "clouds/sim/locations/sim-1/securityGroups/nodes");
    let changed = json(&server.run("update security-group web --restrict-egress --rule direction=egress,protocol=udp,from-port=53,to-port=53,cidr=10.0.0.0/8 -o json").ok());
    assert_eq!((changed["rules"][0]["direction"].as_str(), changed["restrictEgress"].as_bool()), (Some("DIRECTION_EGRESS"), Some(true)));
    for (rule, why) in [
        ("direction=ingress,protocol=tcp,from-port=81,to-port=80,cidr=::/0", "81 is above to_port"),
        ("direction=ingress,protocol=icmp,from-port=8,to-port=8,cidr=10.0.0.0/8", "icmp has no ports"),
        ("direction=ingress,protocol=esp,cidr=10.0.0.0/8", "not a protocol"),
        ("direction=ingress,protocol=tcp,from-port=70000,to-port=70000,cidr=::/0", "at most 65535"),
        ("direction=ingress,protocol=tcp,group=none", "does not exist"),
    ] {
        server.run(&format!("create security-group bad --network n1 --rule {rule}")).fails(1, &["--rule", why]);
    }
    server.run("delete network n1").fails(1, &["IN_USE"]);
    for group in ["web", "nodes"] {
        server.run(&format!("delete security-group {group}")).ok();
    }
    server.run("delete network n1").ok();
}

#[test]
fn zones_lie_in_global_and_a_private_one_is_answered_for_networks_of_a_region() {
    let server = Server::start();
    server.run("create network n1 --cidr 10.0.0.0/16").ok();
    server.run("create dns-zone corp --dns-name Corp.Example. --private --network locations/sim-1/networks/n1").ok();
    // Two zones of one name.
    for id in ["front", "back"] {
        server.run(&format!("create dns-zone {id} --dns-name bücher.example")).ok();
    }
    let corp = json(&server.run("get dns-zone corp -o json").ok());
    assert_eq!((corp["name"].as_str(), corp["dnsName"].as_str()), (Some("clouds/sim/locations/global/dnsZones/corp"), Some("corp.example")));
    assert_eq!((&corp["networks"][0], &corp["nameServers"]), (&Value::from("clouds/sim/locations/sim-1/networks/n1"), &Value::Null));
    let front = json(&server.run("get dns-zone front -o json").ok());
    assert_eq!((front["dnsName"].as_str(), front["nameServers"].as_array().map(Vec::len)), (Some("xn--bcher-kva.example"), Some(4)));
    // Whatever region the other kinds are in.
    assert_eq!(server.run("get dns-zones -o name --location sim-1").ok().lines().count(), 3);
    for (zone, why) in [
        ("--dns-name a..b", "not a domain name"),
        ("--dns-name corp.example --private", "at least one"),
        ("--dns-name corp.example --network locations/sim-1/networks/n1", "make it private"),
        ("--dns-name corp.example --private --network locations/sim-1/networks/n1", "another private zone"),
        ("--dns-name b.example --private --network locations/sim-1/networks/none", "does not exist"),
    ] {
        server.run(&format!("create dns-zone bad {zone}")).fails(1, &[why]);
    }
    for id in ["corp", "front", "back"] {
        server.run(&format!("delete dns-zone {id}")).ok();
    }
}

#[test]
fn disks_and_addresses_serve_an_instance_and_outlive_it() {
    let server = Server::start();
    with_subnet(&server);
    server.run("create security-group web --network n1").ok();
    server.run(&format!("{INSTANCE} --security-group web --private-ip 10.0.1.20 --private-ip 10.0.1.21 --deletion-protection")).ok();
    server.run("create disk data --size-gib 8 --instance web").ok();
    server.run("create address front --instance web --private-ip 10.0.1.21").ok();
    let web = json(&server.run("get instance web -o json").ok());
    let disk = json(&server.run("get disk data -o json").ok());
    let address = json(&server.run("get address front -o json").ok());
    // What is referred to is shown by the name that it was given here.
    for of in [&disk, &address] {
        assert_eq!((of["instance"].as_str(), of["state"].as_str()), (web["name"].as_str(), Some("STATE_IN_USE")));
    }
    assert_eq!(web["securityGroups"][0], "clouds/sim/locations/sim-1/securityGroups/web");
    assert_eq!((&web["diskIds"][0], &web["publicIps"][0]), (&disk["vendorId"], &address["ip"]));
    assert_eq!((disk["zone"].as_str(), disk["device"].as_str(), address["privateIp"].as_str()), (Some("sim-1a"), Some("/dev/sdf"), Some("10.0.1.21")));

    for (what, why) in [("disk data", "IN_USE"), ("address front", "IN_USE"), ("security-group web", "IN_USE"), ("instance web", "DELETION_PROTECTED")] {
        server.run(&format!("delete {what}")).fails(1, &[why]);
    }
    server.run("update disk data --size-gib 7").fails(1, &["--size-gib", "cannot become smaller"]);
    server.run("update disk data --size-gib 9").ok();
    server.run("update instance web --deletion-protection=false").ok();
    server.run("delete instance web").ok();
    for what in ["disk data", "address front"] {
        let left = json(&server.run(&format!("get {what} -o json")).ok());
        assert_eq!((left["state"].as_str(), &left["instance"]), (Some("STATE_AVAILABLE"), &Value::Null), "{what}");
        server.run(&format!("delete {what}")).ok();
    }
}

#[test]
fn the_catalogue_is_listed_by_any_word_for_it() {
    let server = Server::start();
    for word in ["machine-types", "machinetype", "machineTypes", "mach"] {
        let listed = server.run(&format!("get {word}")).ok();
        assert!(["small", "medium", "large"].iter().all(|t| listed.contains(t)), "{listed}");
    }
    assert!(server.run("get locations").ok().contains("sim-1a,sim-1b,sim-1c"));
    assert!(server.run("get image debian-12 -o json").ok().contains("debian-12"));
    assert!(server.run("clouds").ok().contains("sim"));
    assert_eq!(server.run("clouds -o name").ok(), "clouds/sim\n");
    let capabilities = server.run("capabilities sim").ok();
    assert!(capabilities.contains("instances") && capabilities.contains("reboot console_output") && capabilities.contains("root_disk.size_gib"), "{capabilities}");
    assert!(server.run("completion bash").ok().contains("--root-disk-size-gib"));
}

#[test]
fn quotas_are_listed_with_what_is_used() {
    let server = Server::configured("[clouds.lab]\nprovider = 'sim'\nquotas.networks = 2\n");
    server.run("create network n1 --cidr 10.0.0.0/16").ok();
    let listed = server.run("get quotas").ok();
    let row = |collection: &str| listed.lines().find(|l| l.contains(collection)).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(row(" networks "), "networks lab sim-1 networks - 1 2 - - Simulated networks -", "{listed}");
    assert_eq!(row("dnsZones"), "dns-zones lab global dnsZones - 0 - - - Simulated dns zones -", "{listed}");
    let narrowed = json(&server.run_words(&["get", "quotas", "--filter", "collection = networks", "-o", "json"]).ok());
    assert_eq!((narrowed["quotas"].as_array().unwrap().len(), &narrowed["quotas"][0]["limit"], &narrowed["quotas"][0]["used"]), (1, &"2".into(), &"1".into()));
    assert_eq!(json(&server.run("get quota networks -o json").ok()), narrowed["quotas"][0]);
    assert!(server.run("get quota dns-zones --location global -o json").ok().contains("dnsZones"));
    server.run("create network n2 --cidr 10.0.0.0/16").ok();
    server.run("create network n3 --cidr 10.0.0.0/16").fails(1, &["QUOTA_EXCEEDED"]);
}

#[test]
fn every_form_of_output_says_the_same() {
    let server = Server::start();
    with_subnet(&server);
    let one = json(&server.run("get network n1 -o json").ok());
    let list = json(&server.run("get networks -o json").ok());
    assert_eq!(list["networks"][0], one);
    let yaml: Value = serde_saphyr::from_str(&server.run("get network n1 -o yaml").ok()).unwrap();
    assert_eq!(yaml, one);
    assert_eq!(server.run("get networks -o name").ok(), "clouds/sim/locations/sim-1/networks/n1\n");
    assert!(server.run("get networks -o wide").ok().contains(one["uid"].as_str().unwrap()));
    // A name that was answered can be asked for, whatever the defaults are.
    server.run("get network clouds/sim/locations/sim-1/networks/n1").ok();
    server.run("get network locations/sim-1/networks/n1").ok();
}

#[test]
fn a_resource_is_made_from_a_file_with_flags_on_top() {
    let server = Server::start();
    let file = server.folder.path().join("n.yaml");
    fs::write(&file, "cidrs:\n  - 10.1.0.0/16\nlabels: {from: file}\n").unwrap();
    server.run("create network n1 -f n.yaml --label also=flag").ok();
    let made = json(&server.run("get network n1 -o json").ok());
    assert_eq!(made["labels"], serde_json::json!({"from": "file", "also": "flag"}));
    // What was answered can be sent back under another name.
    fs::write(&file, r#"{"cidrs": ["10.2.0.0/16"], "name": "clouds/sim/locations/sim-1/networks/n2"}"#).unwrap();
    assert_eq!(server.run("create network -f n.yaml -o name").ok(), "clouds/sim/locations/sim-1/networks/n2\n");
    fs::write(&file, "cidr: [10.3.0.0/16]\n").unwrap();
    server.run("create network n3 -f n.yaml").fails(2, &["n.yaml", "cidr"]);
    server.run("create network n3 -f nowhere.yaml").fails(2, &["nowhere.yaml"]);
}

#[test]
fn an_update_changes_what_is_given_and_nothing_else() {
    let server = Server::start();
    server.run("create network n1 --cidr 10.0.0.0/16 --label a=1 --label b=2").ok();
    let before = json(&server.run("get network n1 -o json").ok());
    server.run("update network n1 --label c=3").ok();
    let after = json(&server.run("get network n1 -o json").ok());
    assert_eq!((&after["labels"], &after["cidrs"]), (&serde_json::json!({"c": "3"}), &before["cidrs"]));
    server.run("update network n1 --clear labels").ok();
    assert_eq!(json(&server.run("get network n1 -o json").ok())["labels"], Value::Null);
    server.run_words(&["update", "network", "n1", "--label", "d=4", "--etag", before["etag"].as_str().unwrap()]).fails(1, &["ETAG_MISMATCH", "get it again"]);
    server.run("update network n1").fails(2, &["nothing to change"]);
    server.run("update network n1 --clear colour").fails(2, &["colour"]);
    server.run("update network n1 --cidr 10.9.0.0/16").fails(1, &["--cidr", "FIELD_IMMUTABLE"]);
}

#[test]
fn a_false_in_a_flag_or_a_file_is_a_change() {
    let server = Server::start();
    with_subnet(&server);
    server.run(&format!("{INSTANCE} --ip-forwarding")).ok();
    let forwards = || json(&server.run("get instance web -o json").ok())["ipForwarding"].as_bool().unwrap_or_default();
    let file = server.folder.path().join("web.yaml");
    fs::write(&file, "ip_forwarding: true\n").unwrap();
    server.run("update instance web -f web.yaml --ip-forwarding=false").ok();
    assert!(!forwards());
    server.run("update instance web -f web.yaml").ok();
    assert!(forwards());
    fs::write(&file, "ip_forwarding: false\n").unwrap();
    server.run("update instance web -f web.yaml").ok();
    assert!(!forwards());
}

#[test]
fn what_a_cloud_does_not_show_yet_can_be_referred_to() {
    let server = Server::configured("[clouds.lab]\nprovider = \"sim\"\nread_lag_ms = 2000\n");
    with_subnet(&server);
}

#[test]
fn a_location_is_not_guessed_where_the_cloud_cannot_be_read() {
    let server = Server::configured("[clouds.lab]\nprovider = \"sim\"\n[clouds.lab.faults]\nrefuse_rate = 1.0\n");
    server.run("delete instance web").fails(1, &["--location"]);
}

#[test]
fn what_is_wrong_is_named_and_the_status_says_which_sort_it_is() {
    let server = Server::start();
    with_subnet(&server);
    server.run("get network none").fails(3, &["RESOURCE_NOT_FOUND"]);
    server.run("delete network none").fails(3, &[]);
    server.run("delete network none --allow-missing").ok();
    server.run("get networks --cloud none --location x").fails(3, &["error: no cloud \"none\"", "CLOUD_UNKNOWN", "`welkin clouds`"]);
    server.run("create network n2 --cidr 10.0.0.1/16").fails(1, &["--cidr", "10.0.0.0/16", "INVALID_FIELD"]);
    server.run("create network n2 --cidr ten").fails(1, &["--cidr"]);
    server.run("create network N_2 --cidr 10.2.0.0/16").fails(1, &["error: ID: \"N_2\""]);
    server.run("create subnet s2 --network n9 --cidr 10.0.2.0/24").fails(3, &["error: --network: ", "n9"]);
    server.run("create subnet s2 --network n1 --cidr 10.0.1.0/25").fails(1, &["RANGE_CONFLICT"]);
    server.run("create network n1 --cidr 10.5.0.0/16").fails(1, &["NAME_TAKEN"]);
    server.run("delete network n1").fails(1, &["IN_USE", "delete what uses it first"]);
    server.run("create instance w --subnet s1 --image nonesuch --machine-type small").fails(1, &["--image"]);
    server.run("create instance w --subnet s1 --image debian-12 --machine-type huge").fails(1, &["--machine-type", "welkin get machine-types"]);
    let several = server.run("create instance w --image debian-12").fails(1, &["--subnet", "--machine-type"]);
    assert!(several.contains("several fields"), "{several}");
    server.run("get volumes").fails(2, &["machine-types"]);
    server.run("get networks --filter state").fails(1, &["error: --filter: "]);
    server.run("create volume v1").fails(2, &["machine-types"]);
    server.run("create image i1").fails(2, &["images have no create", "instances, load-balancers, instance-groups, nat-gateways, networks"]);
    server.run("create NETWORK n2 --cidr 10.2.0.0/16").fails(2, &["write the kind as network"]);
    server.run("create subnet s2 --network networks/n1 --cidr 10.0.2.0/24").fails(2, &["--network", "locations/LOCATION/networks/ID"]);
    server.run("stop network n1").fails(2, &["networks have no stop", "instances"]);
    server.run("create network n2 --colour red").fails(2, &["--colour"]);
    // Nothing of all this left anything behind.
    assert_eq!(server.run("get networks -o name").ok().lines().count(), 1);
    assert_eq!(server.run("get instances -o name").ok(), "");
}

#[test]
fn a_server_that_is_not_there_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let run = |endpoint: &str| Ran::of(welkin(folder.path()).args(["get", "networks", "--endpoint", endpoint]));
    run("http://127.0.0.1:1").fails(4, &["cannot be reached", "welkin serve"]);
    run("http://no such host").fails(2, &["endpoint"]);
    run("https://127.0.0.1:1").fails(2, &["TLS"]);
}

#[test]
fn creating_the_same_again_is_fine() {
    let server = Server::start();
    let create = "create network n1 --cidr 10.0.0.0/16 -o json";
    assert_eq!(json(&server.run(create).ok())["uid"], json(&server.run(create).ok())["uid"]);
    server.run("create network n2 --cidr 10.2.0.0/16 --request-id r1").ok();
    server.run("create network n3 --cidr 10.3.0.0/16 --request-id r1").fails(1, &["REQUEST_ID_REUSED"]);
}

#[test]
fn a_dry_run_checks_and_changes_nothing() {
    let server = Server::start();
    let ran = server.run("create network n1 --cidr 10.0.0.0/16 --dry-run");
    assert!(ran.err.contains("nothing was changed"), "{ran:?}");
    assert_eq!(ran.ok(), "");
    server.run("create network n1 --cidr 10.0.0.1/16 --dry-run").fails(1, &["--cidr"]);
    assert_eq!(server.run("get networks -o name").ok(), "");
}

const SLOW: &str = "[clouds.lab]\nprovider = \"sim\"\ncreation_time_ms = 1500\n";

#[test]
fn an_operation_can_be_left_alone_and_waited_for_later() {
    let server = Server::configured(SLOW);
    with_subnet(&server);
    let name = server.run(&format!("{INSTANCE} --async -o name")).ok();
    let name = name.trim();
    assert!(name.starts_with("clouds/lab/operations/"), "{name}");
    let id = name.rsplit('/').next().unwrap();
    let open = server.run("operations").ok();
    assert!(open.contains(id) && open.contains("RUNNING") && open.contains("instances/web"), "{open}");
    server.run(&format!("operations delete {id}")).fails(1, &["OPERATION_OPEN"]);
    let waited = server.run(&format!("operations wait {id}"));
    assert!(waited.err.contains("create locations/sim-1/instances/web"), "{waited:?}");
    assert!(waited.ok().contains("OK"));
    assert_eq!(json(&server.run(&format!("operations get {name} -o json")).ok())["done"], true);
    server.run(&format!("operations delete {id}")).ok();
    server.run(&format!("operations get {id}")).fails(3, &["OPERATION_NOT_FOUND"]);
}

#[test]
fn waiting_has_an_end_and_the_operation_goes_on() {
    let server = Server::configured(SLOW);
    with_subnet(&server);
    let why = server.run(&format!("{INSTANCE} --wait-timeout 0s")).fails(1, &["goes on in the server", "welkin operations wait clouds/lab/operations/"]);
    let name = why.split('`').nth(1).unwrap().rsplit(' ').next().unwrap();
    server.run(&format!("operations wait {name}")).ok();
    assert!(server.run("get instance web").ok().contains("RUNNING"));
}

const ENDLESS: &str = "[clouds.lab]\nprovider = \"sim\"\ncreation_time_ms = 600000\n";

#[test]
fn a_server_that_ends_under_a_waiting_command_is_told_apart() {
    for signal in ["KILL", "TERM"] {
        let server = Server::configured(ENDLESS);
        with_subnet(&server);
        let mut waiting = welkin(server.folder.path());
        waiting.args(INSTANCE.split(' ')).env("WELKIN_ENDPOINT", &server.endpoint).stderr(Stdio::piped());
        let mut waiting = waiting.spawn().unwrap();
        let (mut err, mut said) = (BufReader::new(waiting.stderr.take().unwrap()), String::new());
        err.read_line(&mut said).unwrap();
        assert!(said.contains("instances/web"), "its progress: {said}");
        server.stop(signal);
        err.read_to_string(&mut said).unwrap();
        assert_eq!(waiting.wait().unwrap().code(), Some(4), "{signal}: {said}");
        assert!(said.contains("cannot be reached") && said.contains("welkin operations wait clouds/lab/operations/"), "{signal}: {said}");
    }
}

#[test]
fn a_cancelled_create_leaves_nothing() {
    let server = Server::configured(ENDLESS);
    with_subnet(&server);
    let name = server.run(&format!("{INSTANCE} --async -o name")).ok();
    let name = name.trim();
    server.run(&format!("operations cancel {name}")).ok();
    let ran = server.run(&format!("operations wait {name}"));
    assert!(ran.out.contains("FAILED"), "{ran:?}");
    ran.fails(1, &["OPERATION_CANCELLED"]);
    assert!(server.run(&format!("operations cancel {name}")).err.contains("has ended"));
    assert_eq!(server.run("get instances -o name").ok(), "");
}

#[test]
fn of_several_clouds_and_regions_one_is_named_and_lists_show_all() {
    let server = Server::configured("[clouds.a]\nprovider = \"sim\"\n[clouds.b]\nprovider = \"sim\"\nregions = [\"r-1\", \"r-2\"]\n");
    server.run("create network n1 --cidr 10.0.0.0/16").fails(2, &["which cloud?", "a, b", "WELKIN_CLOUD"]);
    server.run("create network n1 --cloud b --cidr 10.0.0.0/16").fails(2, &["which location?", "r-1, r-2", "WELKIN_LOCATION"]);
    server.run("create network n1 --cloud a --cidr 10.0.0.0/16").ok();
    server.run("create network n1 --cloud b --location r-2 --cidr 10.0.0.0/16").ok();
    // A short reference stays in its own location.
    server.run("create subnet s1 --cloud b --location r-1 --network n1 --cidr 10.0.1.0/24").fails(3, &["--network"]);
    server.run("create subnet s1 --cloud b --location r-2 --network n1 --cidr 10.0.1.0/24").ok();
    assert_eq!(server.run("get networks -o name").ok().lines().count(), 2);
    assert_eq!(server.run("get networks --cloud b -o name").ok(), "clouds/b/locations/r-2/networks/n1\n");
    assert_eq!(server.run("get networks --location sim-1 --cloud a -o name").ok(), "clouds/a/locations/sim-1/networks/n1\n");
    assert_eq!(server.run("operations").ok().lines().count(), 4);
}

#[test]
fn long_lists_come_to_their_end() {
    let server = Server::configured("[clouds.lab]\nprovider = \"sim\"\npage_size = 3\n");
    for i in 0..10 {
        server.run(&format!("create network n{i} --cidr 10.{i}.0.0/16 --label n={i}")).ok();
    }
    assert_eq!(server.run("get networks -o name").ok().lines().count(), 10);
    assert_eq!(server.run("get networks --filter labels.n=3 -o name").ok(), "clouds/lab/locations/sim-1/networks/n3\n");
}

/// Makes an object in the simulated cloud of a server that is not running.
fn planted(folder: &std::path::Path) -> String {
    let sim = welkin::sim::Sim::open(welkin::sim::Config::default(), Some(&folder.join("data/clouds/sim"))).unwrap();
    sim.plant("sim-1", welkin::sim::Planted::Network { cidr: "10.9.0.0/16".parse().unwrap() }, [("Name".to_owned(), "corp".to_owned())].into()).unwrap()
}

#[test]
fn what_is_there_already_is_adopted_and_released() {
    let (_, folder) = Server::start().stop("TERM");
    let id = planted(folder.path());
    let server = Server::started_in(folder);
    server.run(&format!("delete network {id}")).fails(1, &["NOT_OWNED", "--adopt"]);
    let provider_id = json(&server.run(&format!("get network {id} -o json")).ok())["providerId"].as_str().unwrap().to_owned();
    server.run(&format!("create network corp --adopt {provider_id} --dry-run")).ok();
    server.run("get network corp").fails(3, &[]);
    server.run(&format!("create network corp --adopt {provider_id}")).ok();
    let seen = json(&server.run("get network corp -o json").ok());
    assert_eq!((seen["owned"].as_bool(), seen["vendorId"].as_str(), &seen["digest"]), (Some(true), Some(id.as_str()), &Value::Null));
    server.run(&format!("create network corp2 --adopt {id}")).fails(1, &["error: --adopt: ", "networks/corp", "ALREADY_MANAGED"]);
    server.run(&format!("create network corp2 --adopt {id} --cidr 10.9.0.0/16")).fails(1, &["--cidr", "leave this out"]);
    server.run("create network corp2 --adopt net-00000000000000000").fails(3, &["--adopt", "RESOURCE_NOT_FOUND"]);
    server.run("update network corp --label team=web").ok();
    // The store knows it after a restart; what has been released is foreign.
    let server = Server::started_in(server.stop("TERM").1);
    assert_eq!(json(&server.run("get network corp -o json").ok())["uid"], seen["uid"]);
    assert_eq!(server.run("delete network corp --release").ok(), "clouds/sim/locations/sim-1/networks/corp released\n");
    assert!(server.run("operations").ok().contains("release"));
    let released = json(&server.run(&format!("get network {id} -o json")).ok());
    assert_eq!((&released["owned"], &released["labels"]["team"]), (&Value::Null, &Value::from("web")));
    server.run("delete network corp --release").fails(3, &[]);
    server.run("create network n1 --cidr 10.1.0.0/16").ok();
    server.run("delete network n1 --release").fails(1, &["NOT_ADOPTED"]);
    server.run(&format!("create network corp --adopt {id}")).ok();
    server.run("delete network corp").ok();
    server.run(&format!("get network {id}")).fails(3, &[]);
    server.run("get network n1").ok();
}
