//! Every request that the drivers send, judged by botocore's model: the operation, required members, names, ranges, patterns, enumerations.

use crate::{
    cloud::Fault,
    journal::{World, create, instance, name, network, rules, security_group, then},
    replay::Replay,
    specification::{ask, say},
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use welkin_core::*;

#[derive(Debug, Deserialize)]
struct Judged {
    action: String,
    wrong: Vec<String>,
}
fn judge(bodies: &[String]) -> Option<Vec<Judged>> {
    ask("requests", [], &bodies.iter().map(|b| format!("{b}\n")).collect::<String>())
}

/// Every operation that a driver may send: what the policy of our documentation allows of EC2.
fn operations() -> BTreeSet<String> {
    let policy: serde_json::Value = serde_json::from_str(include_str!("../../policy.json")).unwrap();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let actions = statements.flat_map(|s| s["Action"].as_array().cloned().unwrap_or_else(|| vec![s["Action"].clone()]));
    actions.filter_map(|a| a.as_str()?.strip_prefix("ec2:").map(ToOwned::to_owned)).collect()
}

#[tokio::test]
async fn every_request_is_what_the_model_allows() {
    let mut bodies = Vec::new();
    for sent in [networks().await, subnets().await, security_groups().await, instances().await, addresses().await, disks().await, reads().await] {
        bodies.extend(sent);
    }
    let Some(judged) = judge(&bodies) else { return };
    let mut counts = BTreeMap::<&str, usize>::new();
    for (body, judged) in bodies.iter().zip(&judged) {
        assert!(judged.wrong.is_empty(), "{}: {:?} in {body}", judged.action, judged.wrong);
        *counts.entry(&judged.action).or_default() += 1;
    }
    say(&format!("{} requests of {} operations fit the model: {counts:?}", judged.len(), counts.len()));
    let untried: Vec<String> = operations().into_iter().filter(|o| !counts.contains_key(o.as_str())).collect();
    assert!(untried.is_empty(), "the policy allows what no request was judged of: {untried:?}");
}

/// The life of one object with every field, and a refusal of each verb's first step.
async fn life<K: Managed>(world: &World, change: &Change<K>, verbs: impl FnOnce(&K::Spec) -> Vec<Verb<K>>) {
    let Verb::Create { spec, .. } = &change.verb else { panic!() };
    world.check(change).await.unwrap();
    let made = world.run(change).await.unwrap().object();
    world.get(&change.target).await.unwrap();
    for verb in verbs(spec).into_iter().chain([Verb::Delete]) {
        let next = then(change, made.vendor_id.as_str(), verb);
        world.check(&next).await.unwrap();
        world.run(&next).await.unwrap();
    }
    assert!(world.get(&change.target).await.unwrap_err().is_not_found());
}
fn labelled<K: Managed>(desired: K::Spec) -> Verb<K> {
    Verb::Update { desired, paths: BTreeSet::from([FieldPath::from("labels")]) }
}
fn labels(key: &str) -> Labels {
    Labels::from([(key.into(), "a b=c/ü".into())])
}

async fn networks() -> Vec<String> {
    let world = World::with(0).await;
    let cidrs = ["10.0.0.0/16", "10.1.0.0/16"].map(|c| c.parse().unwrap()).to_vec();
    let spec = NetworkSpec { cidrs, assign_ipv6_cidr: true, internet_access: true, labels: labels("one"), provider_config: None };
    life(&world, &create::<Network>("n", spec), |s| vec![labelled(NetworkSpec { labels: labels("two"), ..s.clone() })]).await;
    // What is looked for after a lost reply, and what a delete finds of it.
    for action in ["CreateVpc", "CreateInternetGateway"] {
        world.cloud.fault(action, Fault::Lost, 1);
    }
    let change = network("m", true);
    let made = world.run(&change).await.unwrap().object();
    world.run(&then(&change, made.vendor_id.as_str(), Verb::Delete)).await.unwrap();
    world.cloud.bodies()
}
async fn subnets() -> Vec<String> {
    let world = World::with(0).await;
    let dual = NetworkSpec { cidrs: vec!["10.0.0.0/16".parse().unwrap()], assign_ipv6_cidr: true, ..NetworkSpec::default() };
    let vpc = world.run(&create::<Network>("n", dual)).await.unwrap().object().vendor_id;
    let network = Some(Ref::resolved(name("n"), vpc));
    let cidrs = ["10.0.1.0/24", "2001:db8::/64"].map(|c| c.parse().unwrap()).to_vec();
    let spec = SubnetSpec { network, cidrs, zone: Some("eu-west-1a".into()), assign_public_ip: true, labels: labels("one"), ..SubnetSpec::default() };
    life(&world, &create::<Subnet>("s", spec.clone()), |s| vec![labelled(SubnetSpec { labels: labels("two"), ..s.clone() })]).await;
    let open = SubnetSpec { assign_ipv6_cidr: true, cidrs: vec!["10.0.2.0/24".parse().unwrap()], ..spec };
    life(&world, &create::<Subnet>("t", open), |_| Vec::new()).await;
    world.cloud.bodies()
}
async fn security_groups() -> Vec<String> {
    let world = World::with(0).await;
    let Verb::Create { spec, .. } = security_group("g", "vpc-1", &[22]).verb else { panic!() };
    let peer = Ref::resolved(name("p"), "sg-99999999".parse().unwrap());
    let out = SecurityRule { direction: Direction::Egress, protocol: Some(Protocol::All), from_port: None, to_port: None, ..rules(&[1]).remove(0) };
    let ping = SecurityRule { protocol: Some(Protocol::ICMPV6), from_port: None, to_port: None, cidrs: vec!["::/0".parse().unwrap()], ..rules(&[1]).remove(0) };
    let peers = SecurityRule { groups: vec![peer], same_group: true, description: "members (1)".into(), ..rules(&[443]).remove(0) };
    let spec = SecurityGroupSpec { rules: vec![out, ping, peers], description: Some("web, all of it".into()), labels: labels("one"), ..spec };
    life(&world, &create::<SecurityGroup>("g", spec), |s| {
        let desired = SecurityGroupSpec { rules: rules(&[80]), restrict_egress: false, labels: labels("two"), ..s.clone() };
        vec![Verb::Update { desired, paths: ["labels", "rules", "restrict_egress"].map(FieldPath::from).into() }]
    })
    .await;
    world.cloud.bodies()
}
async fn instances() -> Vec<String> {
    let world = World::with(0).await;
    world.cloud.plant("sg", &[("vpc", "vpc-1"), ("name", "default")], &[]);
    let Verb::Create { spec, .. } = instance("i", true).verb else { panic!() };
    let extension = serde_json::json!({ "metadata_tokens_optional": true, "metadata_hop_limit": 2 });
    let spec = InstanceSpec {
        zone: Some("eu-west-1a".into()),
        private_ips: ["10.0.0.4", "2001:db8::4", "10.0.0.5"].map(|ip| ip.parse().unwrap()).to_vec(),
        security_groups: vec![Ref::resolved(name("g"), "sg-99999999".parse().unwrap())],
        deletion_protection: true,
        spot: true,
        alternatives: vec![Alternative { machine_type: "t3.large".into(), ..Default::default() }],
        assign_public_ip: Some(true),
        user_data: Some(Secret::new("#!/bin/sh\necho ü\n")),
        identity: Some("arn:aws:iam::1:instance-profile/web".into()),
        root_disk: RootDisk { size_gib: Some(20), disk_type: Some("gp3".into()), encrypted: Some(true) },
        ip_forwarding: true,
        labels: labels("one"),
        provider_config: Some(VendorConfig { type_name: "welkin.provider.aws.v1.InstanceConfig".into(), body: extension }),
        ..spec
    };
    life(&world, &create::<Instance>("i", spec.clone()), |s| {
        let desired = InstanceSpec { ip_forwarding: false, deletion_protection: false, security_groups: Vec::new(), labels: labels("two"), ..s.clone() };
        let update = Verb::Update { desired, paths: ["labels", "ip_forwarding", "deletion_protection", "security_groups"].map(FieldPath::from).into() };
        let other = Verb::Update { desired: InstanceSpec { machine_type: "t3.medium".into(), ..s.clone() }, paths: [FieldPath::from("machine_type")].into() };
        vec![update, Verb::Act(InstanceAction::Reboot), Verb::Act(InstanceAction::Stop), other, Verb::Act(InstanceAction::Start)]
    })
    .await;
    let plain = InstanceSpec { private_ips: Vec::new(), assign_ipv6: true, identity: Some("web".into()), root_disk: RootDisk::default(), ssh_key: None, ..spec };
    life(&world, &create::<Instance>("j", plain), |_| Vec::new()).await;
    let theirs = Target::Vendor { parent: LocationName::of("eu-west-1").unwrap(), vendor_id: world.cloud.plant("i", &[("state", "running")], &[]).parse().unwrap() };
    world.ask::<Instance>(&theirs, InstanceQuestion::ConsoleOutput).await.unwrap();
    world.cloud.bodies()
}
async fn addresses() -> Vec<String> {
    let world = World::with(0).await;
    let i = world.cloud.plant("i", &[("state", "running")], &[]);
    let instance = Some(Ref::resolved(name("i"), i.parse().unwrap()));
    let spec = AddressSpec { instance, private_ip: Some([10, 0, 0, 5].into()), labels: labels("one"), ..Default::default() };
    life(&world, &create::<Address>("a", spec), |s| {
        let off = AddressSpec { instance: None, private_ip: None, labels: labels("two"), ..s.clone() };
        vec![Verb::Update { desired: off, paths: ["instance", "private_ip", "labels"].map(FieldPath::from).into() }]
    })
    .await;
    world.cloud.bodies()
}
async fn disks() -> Vec<String> {
    let world = World::with(0).await;
    let i = world.cloud.plant("i", &[("state", "running")], &[]);
    let spec = DiskSpec {
        zone: Some("eu-west-1a".into()),
        size_gib: Some(10),
        disk_type: Some("gp3".into()),
        iops: Some(4000),
        throughput_mibps: Some(200),
        encrypted: Some(true),
        encryption_key: Some("alias/web".into()),
        snapshot: Some("snap-1".into()),
        instance: Some(Ref::resolved(name("i"), i.parse().unwrap())),
        labels: labels("one"),
        provider_config: None,
    };
    life(&world, &create::<Disk>("d", spec), |s| {
        let larger = DiskSpec { size_gib: Some(20), labels: labels("two"), ..s.clone() };
        let off = DiskSpec { instance: None, ..larger.clone() };
        vec![
            Verb::Update { desired: larger, paths: ["size_gib", "labels"].map(FieldPath::from).into() },
            Verb::Update { desired: off, paths: [FieldPath::from("instance")].into() },
        ]
    })
    .await;
    world.cloud.bodies()
}
/// Lists of every kind, whole and narrowed, with pages of every size, and the catalogue.
async fn reads() -> Vec<String> {
    async fn each<K: Kind<Parent = LocationName>>(replay: &Replay, id: &str) {
        for page_size in [1, 50, 5000] {
            for (vendor_ids, owned_only) in [(vec![], false), (vec![id.parse().unwrap()], true)] {
                replay.list(&Query::<K> { vendor_ids, owned_only, ..Query::all(page_size) }).await.unwrap();
            }
        }
        let target = Target::<K>::Vendor { parent: LocationName::of("eu-west-1").unwrap(), vendor_id: id.parse().unwrap() };
        assert_eq!(replay.get(&target).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    let replay = Replay::start().await;
    each::<Network>(&replay, "vpc-1").await;
    each::<Subnet>(&replay, "subnet-1").await;
    each::<SecurityGroup>(&replay, "sg-1").await;
    each::<Instance>(&replay, "i-1").await;
    each::<Address>(&replay, "eipalloc-1").await;
    each::<Disk>(&replay, "vol-1").await;
    each::<Image>(&replay, "ami-1").await;
    each::<Image>(&replay, "debian-12").await;
    each::<MachineType>(&replay, "t3.small").await;
    replay.list(&Query::<Location>::all(10)).await.unwrap();
    replay.requests()
}

/// The judge itself: one request of every sort that must not pass.
#[test]
fn what_the_model_does_not_allow_is_seen() {
    let bad = [
        ("Action=DescribeNothing", "this operation"),
        ("Action=DeleteVpc", "VpcId: required"),
        ("Action=DeleteVpc&VpcId=vpc-1&Force=true", "Force: the model does not know it"),
        ("Action=DescribeVpcs&MaxResults=4", "MaxResults: 4 is out of range"),
        ("Action=DescribeVpcs&MaxResults=many", "is no integer"),
        ("Action=DescribeVpcs&DryRun=yes", "is no boolean"),
        ("Action=DescribeVpcs&Filter.2.Name=a", "no list that counts from 1"),
        ("Action=DescribeVpcs&Filter.1=a", "Filter.1: no structure"),
        ("Action=RunInstances&MinCount=1&MaxCount=1&InstanceType=t9.none", "none of the enumerated values"),
        ("Action=ImportKeyPair&KeyName=a&PublicKeyMaterial=%21", "no base64"),
    ];
    let bodies: Vec<String> = bad.iter().map(|(body, _)| format!("{body}&Version=2016-11-15")).collect();
    let Some(judged) = judge(&bodies) else { return };
    for ((body, why), judged) in bad.iter().zip(&judged) {
        assert!(judged.wrong.len() == 1 && judged.wrong[0].contains(why), "{body}: {judged:?}");
    }
    assert!(judge(&["Action=DeleteVpc&Version=2016-11-15&VpcId=vpc-1".into()]).unwrap()[0].wrong.is_empty());
}
