//! Every request that the drivers send, judged by botocore's model: the operation, required members, names, ranges, patterns, enumerations.

mod balancers;
mod groups;
mod zones;
pub use balancers::{adopts_balancers, load_balancers, load_balancers_over_groups};
pub use groups::{adopts_groups, instance_groups};
pub use zones::{adopts_records, adopts_zones, dns_zones, record_sets};

use crate::{
    balancing,
    cloud::{Fault, scaling},
    journal::{World, create, instance, name, network, rules, security_group, then},
    policy::FEATURES,
    quotas,
    replay::Replay,
    route53::Call,
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

#[tokio::test]
async fn every_request_is_what_the_model_allows() {
    let mut bodies = Vec::new();
    for feature in FEATURES {
        bodies.extend((feature.drive)().await.bodies);
    }
    let Some(judged) = judge(&bodies) else { return };
    let mut counts = BTreeMap::<&str, usize>::new();
    for (body, judged) in bodies.iter().zip(&judged) {
        assert!(judged.wrong.is_empty(), "{}: {:?} in {body}", judged.action, judged.wrong);
        *counts.entry(&judged.action).or_default() += 1;
    }
    say(&format!("{} requests of {} operations fit the model: {counts:?}", judged.len(), counts.len()));
}

/// What the driving of one feature has sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// As EC2 got it; of Route 53 and of Service Quotas the whole request, as JSON.
    pub bodies: Vec<String>,
    /// As IAM calls it: `ec2:CreateVpc`.
    pub actions: BTreeSet<String>,
}
impl Sent {
    /// `seen`: the names at the gate, which are written by hand beside each call. What came over the wire has to be the same.
    fn of(bodies: Vec<String>, seen: BTreeSet<String>) -> Self {
        let wire: BTreeSet<String> = bodies.iter().map(|b| action(b)).collect();
        assert_eq!(seen, wire, "the gate was told of other calls than AWS got");
        Self { bodies, actions: seen }
    }
    fn and(mut self, other: Self) -> Self {
        self.bodies.extend(other.bodies);
        self.actions.extend(other.actions);
        self
    }
    /// Those that were asked for as a dry run.
    pub fn dry_runs(&self) -> BTreeSet<String> {
        self.bodies.iter().filter(|b| parameter(b, "DryRun").as_deref() == Some("true")).filter_map(|b| parameter(b, "Action")).map(|a| format!("ec2:{a}")).collect()
    }
}
/// As IAM calls it.
fn action(body: &str) -> String {
    let Some(action) = parameter(body, "Action") else { return quotas::action(body).unwrap_or_else(|| format!("route53:{}", Call::of_line(body).action)) };
    let family = match parameter(body, "Version").as_deref() {
        Some(balancing::VERSION) => "elasticloadbalancing",
        Some(scaling::VERSION) => "autoscaling",
        _ => "ec2",
    };
    format!("{family}:{action}")
}
fn parameter(body: &str, key: &str) -> Option<String> {
    form_urlencoded::parse(body.as_bytes()).find(|(k, _)| k == key).map(|(_, v)| v.into_owned())
}
fn sent(world: &World) -> Sent {
    Sent::of(world.cloud.bodies(), world.seen.actions())
}

/// The life of one object with every field, and a refusal of each verb's first step.
async fn life<K: Managed>(world: &World, change: &Change<K>, verbs: impl FnOnce(&K::Spec) -> Vec<Verb<K>>) {
    let Verb::Create { spec, .. } = &change.verb else { panic!() };
    refer::<K>(world, spec).await;
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
/// What a specification refers to, which the engine reads before a driver hears of it.
async fn refer<K: Managed>(world: &World, spec: &K::Spec) {
    for r in K::refs(&mut spec.clone()) {
        let vendor_id = r.vendor_id.clone().unwrap();
        with_any_kind!(r.collection, R => {
            let Name { parent, .. } = r.name.to_string().parse::<Name<R>>().unwrap();
            world.get(&Target::<R>::Vendor { parent, vendor_id }).await.unwrap();
        }, else panic!("{}", r.collection));
    }
}
fn labelled<K: Managed>(desired: K::Spec) -> Verb<K> {
    Verb::Update { desired, paths: BTreeSet::from([FieldPath::from("labels")]) }
}
fn labels(key: &str) -> Labels {
    Labels::from([(key.into(), "a b=c/ü".into())])
}

/// Lists of one kind, whole and narrowed, with pages of every size, and a look for what is not there.
pub async fn reads<K: Kind<Parent = LocationName>>(id: &str) -> Sent {
    let replay = Replay::start().await;
    for page_size in [1, 50, 5000] {
        for (vendor_ids, owned_only) in [(vec![], false), (vec![id.parse().unwrap()], true)] {
            replay.list(&Query::<K> { vendor_ids, owned_only, ..Query::all(page_size) }).await.unwrap();
        }
    }
    let parent = LocationName::of("eu-west-1").unwrap();
    let target = Target::<K>::Vendor { parent, vendor_id: id.parse().unwrap() };
    assert_eq!(replay.get(&target).await.unwrap_err().kind(), ErrorKind::NotFound);
    Sent::of(replay.requests(), replay.seen.actions())
}
/// Of a kind that can be adopted: also whether the name is free, and whether the object could be changed, which is all that an adoption asks.
pub async fn adopts<K: Managed<Parent = LocationName, Id = ResourceId>>(kind: &'static str) -> Sent {
    let world = World::with(0).await;
    let id = world.cloud.plant(kind, &[("vpc", "vpc-other"), ("cidr", "10.0.0.0/16"), ("state", "running")], &[]);
    assert!(world.get(&Target::<K>::named(name("a"))).await.unwrap_err().is_not_found());
    let target = Target::<K>::Vendor { parent: LocationName::of("eu-west-1").unwrap(), vendor_id: id.parse().unwrap() };
    let verb = Verb::Update { desired: world.get(&target).await.unwrap().spec, paths: BTreeSet::new() };
    world.check(&Change { target, verb, ..create::<K>("a", K::Spec::default()) }).await.unwrap();
    reads::<K>(&id).await.and(sent(&world))
}
pub async fn locations() -> Sent {
    let replay = Replay::start().await;
    replay.list(&Query::<Location>::all(10)).await.unwrap();
    Sent::of(replay.requests(), replay.seen.actions())
}
pub async fn machine_types() -> Sent {
    let replay = Replay::start().await;
    let types = "<DescribeInstanceTypesResponse><instanceTypeSet><item><instanceType>t3.small</instanceType></item></instanceTypeSet></DescribeInstanceTypesResponse>";
    replay.answers("DescribeInstanceTypes", 200, types);
    let offered = |zone: &str| format!("<item><instanceType>t3.small</instanceType><locationType>availability-zone</locationType><location>{zone}</location></item>");
    let offerings = ["eu-west-1c", "eu-west-1a"].map(offered).concat();
    let root = "DescribeInstanceTypeOfferingsResponse";
    replay.answers("DescribeInstanceTypeOfferings", 200, &format!("<{root}><instanceTypeOfferingSet>{offerings}</instanceTypeOfferingSet></{root}>"));
    let listed = replay.list(&Query::<MachineType>::all(50)).await.unwrap();
    assert_eq!((listed.len(), &listed[0].status.zones), (1, &vec!["eu-west-1a".to_owned(), "eu-west-1c".to_owned()]));
    let target = Target::<MachineType>::Vendor { parent: LocationName::of("eu-west-1").unwrap(), vendor_id: "t3.small".parse().unwrap() };
    assert_eq!(replay.get(&target).await.unwrap(), listed[0]);
    reads::<MachineType>("t3.small").await.and(Sent::of(replay.requests(), replay.seen.actions()))
}
pub async fn quotas() -> Sent {
    let told = quotas::Told::start().await;
    for page_size in [1, 1000] {
        told.list(&Query::all(page_size)).await.unwrap();
    }
    for (location, id) in [("eu-west-1", "vpc.L-F678F1CE"), ("eu-west-1", "vpc.L-3248932A"), ("global", "route53.L-4EA4796A")] {
        told.get(location, id).await.unwrap();
    }
    Sent::of(told.requests(), told.seen.actions())
}
pub async fn images() -> Sent {
    reads::<Image>("ami-1").await.and(reads::<Image>("debian-12").await)
}
pub async fn networks(internet_access: bool) -> Sent {
    let world = World::with(0).await;
    let cidrs = ["10.0.0.0/16", "10.1.0.0/16"].map(|c| c.parse().unwrap()).to_vec();
    let spec = NetworkSpec { cidrs, assign_ipv6_cidr: true, internet_access, labels: labels("one"), provider_config: None };
    life(&world, &create::<Network>("n", spec), |s| vec![labelled(NetworkSpec { labels: labels("two"), ..s.clone() })]).await;
    // What is looked for after a lost reply, and what a delete finds of it.
    world.cloud.fault("CreateVpc", Fault::Lost, 1);
    if internet_access {
        world.cloud.fault("CreateInternetGateway", Fault::Lost, 1);
    }
    let change = network("m", internet_access);
    let made = world.run(&change).await.unwrap().object();
    world.run(&then(&change, made.vendor_id.as_str(), Verb::Delete)).await.unwrap();
    sent(&world)
}
pub async fn subnets() -> Sent {
    let world = World::with(0).await;
    // The network has a way to the internet, so that a read of it looks for its gateway too.
    let vpc = world.cloud.plant("vpc", &[("cidr", "10.0.0.0/16"), ("ipv6", "2001:db8::/56")], &[("welkin.dev/asked", "internet=true")]);
    let network = Some(Ref::resolved(name("n"), vpc.parse().unwrap()));
    let cidrs = ["10.0.1.0/24", "2001:db8::/64"].map(|c| c.parse().unwrap()).to_vec();
    let spec = SubnetSpec { network, cidrs, zone: Some("eu-west-1a".into()), assign_public_ip: true, labels: labels("one"), ..SubnetSpec::default() };
    life(&world, &create::<Subnet>("s", spec.clone()), |s| vec![labelled(SubnetSpec { labels: labels("two"), ..s.clone() })]).await;
    let open = SubnetSpec { assign_ipv6_cidr: true, cidrs: vec!["10.0.2.0/24".parse().unwrap()], ..spec };
    life(&world, &create::<Subnet>("t", open), |_| Vec::new()).await;
    // Where no zone is given the engine takes the location's first.
    world.get(&Target::named(LocationName::of("eu-west-1").unwrap())).await.unwrap();
    sent(&world)
}
pub async fn security_groups() -> Sent {
    let world = World::with(0).await;
    let vpc = world.cloud.plant("vpc", &[("cidr", "10.0.0.0/16")], &[("welkin.dev/asked", "internet=true")]);
    let peer = world.cloud.plant("sg", &[("vpc", &vpc)], &[]);
    let Verb::Create { spec, .. } = security_group("g", &vpc, &[22]).verb else { panic!() };
    let peer = Ref::resolved(name("p"), peer.parse().unwrap());
    let out = SecurityRule { direction: Direction::Egress, protocol: Some(Protocol::All), from_port: None, to_port: None, ..rules(&[1]).remove(0) };
    let ping = SecurityRule { protocol: Some(Protocol::ICMPV6), from_port: None, to_port: None, cidrs: vec!["::/0".parse().unwrap()], ..rules(&[1]).remove(0) };
    let peers = SecurityRule { groups: vec![peer], same_group: true, description: "members (1)".into(), ..rules(&[443]).remove(0) };
    let spec = SecurityGroupSpec { rules: vec![out, ping, peers], description: Some("web, all of it".into()), labels: labels("one"), ..spec };
    life(&world, &create::<SecurityGroup>("g", spec), |s| {
        let desired = SecurityGroupSpec { rules: rules(&[80]), restrict_egress: false, allow_load_balancer_rules: false, labels: labels("two"), ..s.clone() };
        vec![Verb::Update { desired, paths: ["labels", "rules", "restrict_egress", "allow_load_balancer_rules"].map(FieldPath::from).into() }]
    })
    .await;
    sent(&world)
}
/// The security group of an instance that has one.
const GROUP: &str = "sg-00000002";
pub async fn grouped_instances() -> Sent {
    instances(|spec| InstanceSpec { security_groups: vec![Ref::resolved(name("g"), GROUP.parse().unwrap())], ..spec }).await
}
/// `with`: what makes it another feature, and needs further permissions.
pub async fn instances(with: fn(InstanceSpec) -> InstanceSpec) -> Sent {
    let world = World::with(0).await;
    let subnet = world.cloud.plant("subnet", &[("vpc", "vpc-1"), ("cidr", "10.0.0.0/24")], &[]);
    assert_eq!(world.cloud.plant("sg", &[("vpc", "vpc-1")], &[]), GROUP);
    world.cloud.plant("sg", &[("vpc", "vpc-1"), ("name", "default")], &[]);
    let Verb::Create { spec, .. } = instance("i", false).verb else { panic!() };
    let extension = serde_json::json!({ "metadata_tokens_optional": true, "metadata_hop_limit": 2 });
    let spec = with(InstanceSpec {
        zone: Some("eu-west-1a".into()),
        subnet: Some(Ref::resolved(name("s"), subnet.parse().unwrap())),
        private_ips: ["10.0.0.4", "2001:db8::4", "10.0.0.5"].map(|ip| ip.parse().unwrap()).to_vec(),
        deletion_protection: true,
        spot: true,
        alternatives: vec![Alternative { machine_type: "t3.large".into(), ..Default::default() }],
        assign_public_ip: Some(true),
        user_data: Some(Secret::new("#!/bin/sh\necho ü\n")),
        root_disk: RootDisk { size_gib: Some(20), disk_type: Some("gp3".into()), encrypted: Some(true) },
        ip_forwarding: true,
        labels: labels("one"),
        provider_config: Some(VendorConfig { type_name: "welkin.provider.aws.v1.InstanceConfig".into(), body: extension }),
        ..spec
    });
    life(&world, &create::<Instance>("i", spec.clone()), |s| {
        let desired = InstanceSpec { ip_forwarding: false, deletion_protection: false, security_groups: Vec::new(), labels: labels("two"), ..s.clone() };
        let paths = ["labels", "ip_forwarding", "deletion_protection"].into_iter().chain((!s.security_groups.is_empty()).then_some("security_groups"));
        let update = Verb::Update { desired, paths: paths.map(FieldPath::from).collect() };
        let other = Verb::Update { desired: InstanceSpec { machine_type: "t3.medium".into(), ..s.clone() }, paths: [FieldPath::from("machine_type")].into() };
        vec![update, Verb::Act(InstanceAction::Reboot), Verb::Act(InstanceAction::Stop), other, Verb::Act(InstanceAction::Start)]
    })
    .await;
    let plain = InstanceSpec { deletion_protection: false, private_ips: Vec::new(), assign_ipv6: true, root_disk: RootDisk::default(), ..spec };
    life(&world, &create::<Instance>("j", plain), |_| Vec::new()).await;
    sent(&world)
}
/// Of anybody's, by its id.
pub async fn consoles() -> Sent {
    let world = World::with(0).await;
    let parent = LocationName::of("eu-west-1").unwrap();
    let theirs = Target::Vendor { parent, vendor_id: world.cloud.plant("i", &[("state", "running")], &[]).parse().unwrap() };
    world.ask::<Instance>(&theirs, InstanceQuestion::ConsoleOutput).await.unwrap();
    sent(&world)
}
/// By name and by ARN.
pub async fn identities() -> Sent {
    let by_arn = instances(|spec| InstanceSpec { identity: Some("arn:aws:iam::1:instance-profile/web".into()), ..spec });
    by_arn.await.and(instances(|spec| InstanceSpec { identity: Some("web".into()), ..spec }).await)
}

pub async fn addresses() -> Sent {
    let world = World::with(0).await;
    let i = world.cloud.plant("i", &[("state", "running")], &[]);
    let instance = Some(Ref::resolved(name("i"), i.parse().unwrap()));
    let spec = AddressSpec { instance, private_ip: Some([10, 0, 0, 5].into()), labels: labels("one"), ..Default::default() };
    life(&world, &create::<Address>("a", spec), |s| {
        let off = AddressSpec { instance: None, private_ip: None, labels: labels("two"), ..s.clone() };
        vec![Verb::Update { desired: off, paths: ["instance", "private_ip", "labels"].map(FieldPath::from).into() }]
    })
    .await;
    sent(&world)
}
/// A public one and a private one.
pub async fn nat_gateways() -> Sent {
    let world = World::with(0).await;
    let vpc = world.cloud.plant("vpc", &[("cidr", "10.0.0.0/16")], &[]);
    let subnet = world.cloud.plant("subnet", &[("vpc", &vpc), ("cidr", "10.0.0.0/24")], &[]);
    let address = world.cloud.plant("eipalloc", &[("ip", "198.51.100.7")], &[]);
    let private = NatGatewaySpec { subnet: Some(Ref::resolved(name("s"), subnet.parse().unwrap())), connectivity: Connectivity::Private, ..Default::default() };
    let public = NatGatewaySpec { connectivity: Connectivity::Public, address: Some(Ref::resolved(name("a"), address.parse().unwrap())), labels: labels("one"), ..private.clone() };
    life(&world, &create::<NatGateway>("n", public), |s| vec![labelled(NatGatewaySpec { labels: labels("two"), ..s.clone() })]).await;
    life(&world, &create::<NatGateway>("m", private), |_| Vec::new()).await;
    sent(&world)
}
/// A route of each sort, of both families, and two subnets; then fewer of them, to elsewhere.
pub async fn route_tables() -> Sent {
    let world = World::with(0).await;
    let vpc = world.cloud.plant("vpc", &[("cidr", "10.0.0.0/16"), ("ipv6", "2001:db8::/56")], &[("welkin.dev/asked", "internet=true")]);
    world.cloud.plant("igw", &[("vpc", &vpc)], &[]);
    let subnets = ["10.0.0.0/24", "10.0.1.0/24"].map(|cidr| world.cloud.plant("subnet", &[("vpc", &vpc), ("cidr", cidr)], &[]));
    let subnets = subnets.map(|id| Ref::resolved(name("s"), id.parse().unwrap())).to_vec();
    let instance = world.cloud.plant("i", &[("state", "running")], &[]);
    let gateway = world.cloud.plant("nat", &[("connectivity", "private")], &[]);
    let to = |destination: &str| Route { destination: Some(destination.parse().unwrap()), ..Route::default() };
    let internet = |destination: &str| Route { internet: true, ..to(destination) };
    let by_instance = |destination: &str| Route { instance: Some(Ref::resolved(name("i"), instance.parse().unwrap())), ..to(destination) };
    let by_gateway = |destination: &str| Route { nat_gateway: Some(Ref::resolved(name("n"), gateway.parse().unwrap())), ..to(destination) };
    let peered = |destination: &str| Route { peering: Some("pcx-0123456789abcdef0".into()), ..to(destination) };
    let routes = vec![internet("0.0.0.0/0"), internet("::/0"), by_instance("10.97.0.0/16"), by_gateway("10.98.0.0/16"), peered("2001:db8:1::/48")];
    let spec = RouteTableSpec { network: Some(Ref::resolved(name("n"), vpc.parse().unwrap())), routes, subnets, labels: labels("one"), ..RouteTableSpec::default() };
    life(&world, &create::<RouteTable>("t", spec), |s| {
        let routes = vec![internet("0.0.0.0/0"), by_instance("::/0"), internet("10.97.0.0/16"), peered("10.98.0.0/16"), by_gateway("10.99.0.0/16")];
        let desired = RouteTableSpec { routes, subnets: vec![s.subnets[1].clone()], labels: labels("two"), ..s.clone() };
        vec![Verb::Update { desired, paths: ["routes", "subnets", "labels"].map(FieldPath::from).into() }]
    })
    .await;
    sent(&world)
}
/// `encryption_key`: a key of the customer's own.
pub async fn disks(encryption_key: Option<&str>) -> Sent {
    let world = World::with(0).await;
    let i = world.cloud.plant("i", &[("state", "running")], &[]);
    let spec = DiskSpec {
        zone: Some("eu-west-1a".into()),
        size_gib: Some(10),
        disk_type: Some("gp3".into()),
        iops: Some(4000),
        throughput_mibps: Some(200),
        encrypted: Some(true),
        encryption_key: encryption_key.map(ToOwned::to_owned),
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
    // Where no zone is given and no instance the engine takes the location's first.
    world.get(&Target::named(LocationName::of("eu-west-1").unwrap())).await.unwrap();
    sent(&world)
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
#[test]
fn what_the_model_of_route_53_does_not_allow_is_seen() {
    let xml = |name: &str, inner: &str| format!("<{name}Request xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">{inner}</{name}Request>");
    let long = "x".repeat(257);
    let bad = [
        ("PUT", "hostedzone", String::new(), "this operation"),
        ("POST", "hostedzone", String::new(), "the body is not there"),
        ("POST", "hostedzone", xml("CreateHostedZone", "<Name>a.</Name>"), "CallerReference: required"),
        ("POST", "hostedzone", xml("CreateHostedZone", "<Name>a.</Name><CallerReference>r</CallerReference><Force>1</Force>"), "Force: the model does not know it"),
        ("POST", "hostedzone/Z1", xml("UpdateHostedZoneComment", &format!("<Comment>{long}</Comment>")), "out of range"),
        ("POST", "hostedzone/Z1/associatevpc", xml("AssociateVPCWithHostedZone", "<VPC><VPCRegion>mars-1</VPCRegion></VPC>"), "enumerated values"),
        ("GET", "hostedzone?maxitems=1&size=2", String::new(), "size: the model does not know it"),
        ("GET", "hostedzone/Z0123456789012345678901234567890123", String::new(), "out of range"),
    ];
    let line = |(method, path, body, _): &(&str, &str, String, &str)| serde_json::json!({ "method": method, "path": format!("/2013-04-01/{path}"), "body": body }).to_string();
    let Some(judged) = judge(&bad.iter().map(line).collect::<Vec<_>>()) else { return };
    for (bad, judged) in bad.iter().zip(&judged) {
        assert!(judged.wrong.iter().any(|w| w.contains(bad.3)), "{bad:?}: {judged:?}");
    }
    let good = ("GET", "hostedzone?maxitems=1&marker=Z1", String::new(), "");
    assert!(judge(&[line(&good)]).unwrap()[0].wrong.is_empty());
}
