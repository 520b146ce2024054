//! The proxy does what it says. What it makes of documents and of time is tried without moto.

use super::{
    Fault, Lag, Lagged, Proxy,
    document::{Item, List, Page},
    message::{self, Call, Service},
    replica::Replica,
};
use crate::moto::Moto;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::advance;

fn call(action: &str, params: &[(&str, &str)]) -> Call {
    Call { params: params.iter().copied().chain([("Action", action)]).map(|(k, v)| (k.to_owned(), v.to_owned())).collect(), service: Service::Ec2 }
}
fn filtered(action: &str, name: &str, value: &str) -> Call {
    call(action, &[("Filter.1.Name", name), ("Filter.1.Value.1", value)])
}
fn list(action: &str) -> &'static List {
    List::of(action).unwrap()
}
fn ids(page: &Page) -> Vec<&str> {
    page.items.iter().map(|i| i.id.as_str()).collect()
}

const VPC: &str = "vpc-0000000a";
const SUBNETS: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<DescribeSubnetsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15\"><subnetSet>\
    <item><tagSet><item><key>a&amp;b</key><value>1&lt;2</value></item><item><key>b</key><value/></item></tagSet><subnetArn>arn:aws:ec2:eu-west-1:1:subnet/subnet-0000000a</subnetArn>\
    <subnetId>subnet-0000000a</subnetId><vpcId>vpc-0000000a</vpcId></item><item><tagSet/><subnetId>subnet-0000000b</subnetId><vpcId>vpc-0000000b</vpcId></item></subnetSet>\
    <requestId>request-id</requestId><nextToken>more</nextToken></DescribeSubnetsResponse>";
const RESERVATIONS: &str = "<DescribeInstancesResponse><reservationSet><item><reservationId>r-0000000a</reservationId><groupSet/><instancesSet><item>\
    <networkInterfaceSet><item><groupSet><item><groupId>sg-0000000b</groupId></item></groupSet></item></networkInterfaceSet><groupSet><item><groupId>sg-0000000a</groupId></item></groupSet>\
    <instanceId>i-0000000a</instanceId><instanceState><code>16</code><name>running</name></instanceState></item></instancesSet></item></reservationSet><nextToken/></DescribeInstancesResponse>";
const RULES: &str = "<DescribeSecurityGroupRulesResponse><securityGroupRuleSet><item><securityGroupRuleId>sgr-0000000a</securityGroupRuleId><groupId>sg-0000000a</groupId>\
    <referencedGroupInfo><groupId>sg-0000000b</groupId></referencedGroupInfo></item></securityGroupRuleSet></DescribeSecurityGroupRulesResponse>";

#[test]
fn an_answer_is_cut_into_what_it_shows() {
    let subnets = list("DescribeSubnets").read(SUBNETS);
    assert_eq!((ids(&subnets), subnets.next.as_deref()), (vec!["subnet-0000000a", "subnet-0000000b"], Some("more")));
    let text: String = subnets.items.iter().map(|i| i.text.as_str()).collect();
    assert!(SUBNETS.contains(&format!("<subnetSet>{text}</subnetSet>")), "{text}");
    assert_eq!(list("DescribeSubnets").read(&list("DescribeSubnets").write(&subnets)), subnets);
    let instances = list("DescribeInstances").read(RESERVATIONS);
    assert_eq!((ids(&instances), &instances.next), (vec!["i-0000000a"], &None));
}

#[test]
fn an_item_fits_what_is_asked_for() {
    let fitting = |document, call: &Call| {
        let list = list(call.action());
        list.read(document).items.into_iter().filter(|i| list.fits(call, i)).map(|i| i.id).collect::<Vec<_>>().join(" ")
    };
    let cases = [
        (SUBNETS, filtered("DescribeSubnets", "vpc-id", VPC), "subnet-0000000a"),
        (SUBNETS, filtered("DescribeSubnets", "tag:a&b", "1<2"), "subnet-0000000a"),
        (SUBNETS, filtered("DescribeSubnets", "tag:a&b", "1"), ""),
        (SUBNETS, filtered("DescribeSubnets", "tag:b", ""), "subnet-0000000a"),
        (SUBNETS, call("DescribeSubnets", &[("SubnetId.1", "subnet-0000000b")]), "subnet-0000000b"),
        (SUBNETS, call("DescribeSubnets", &[]), "subnet-0000000a subnet-0000000b"),
        (SUBNETS, call("DescribeSubnets", &[("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", "vpc-0000000b"), ("Filter.1.Value.2", VPC)]), "subnet-0000000a subnet-0000000b"),
        (RESERVATIONS, filtered("DescribeInstances", "instance-state-name", "running"), "i-0000000a"),
        (RESERVATIONS, filtered("DescribeInstances", "instance-state-name", "16"), ""),
        (RESERVATIONS, filtered("DescribeInstances", "group-id", "sg-0000000a"), "i-0000000a"),
        (RULES, filtered("DescribeSecurityGroupRules", "group-id", "sg-0000000a"), "sgr-0000000a"),
        (RULES, filtered("DescribeSecurityGroupRules", "group-id", "sg-0000000b"), ""),
    ];
    for (document, call, expected) in cases {
        assert_eq!(fitting(document, &call), expected, "{call:?}");
    }
}

#[test]
#[should_panic(expected = "the filter colour is not in the proxy's table")]
fn a_filter_that_is_not_known_is_not_passed_over() {
    let subnets = list("DescribeSubnets").read(SUBNETS);
    list("DescribeSubnets").fits(&filtered("DescribeSubnets", "colour", "red"), &subnets.items[0]);
}

#[test]
fn pages_show_everything_once_while_others_come_and_go() {
    let mut all: Vec<Item> = (10..22).rev().map(|n| vpc(&format!("vpc-000000{n}"), "")).collect();
    let (mut seen, mut token, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let asked = call("DescribeVpcs", &[("MaxResults", "5")].into_iter().chain(token.as_deref().map(|t| ("NextToken", t))).collect::<Vec<_>>());
        let page = Page { items: all.clone(), next: None }.cut(&asked);
        assert!(page.items.len() <= 5);
        seen.extend(page.items.iter().map(|i| i.id.clone()));
        (token, pages) = (page.next, pages + 1);
        all.retain(|i| i.id != "vpc-00000014"); // what the token of the first page stands on
        all.push(vpc("vpc-00000001", ""));
        if token.is_none() {
            break;
        }
    }
    assert_eq!((pages, seen), (3, (10..22).map(|n| format!("vpc-000000{n}")).collect()));
    let whole = Page { items: all, next: None };
    assert_eq!(whole.clone().cut(&call("DescribeVpcs", &[])), whole);
}

fn vpc(id: &str, value: &str) -> Item {
    let text = format!("<item><vpcId>{id}</vpcId><tagSet><item><key>k</key><value>{value}</value></item></tagSet></item>");
    Item { id: id.into(), text }
}
const LAG: Lag = Lag { by: Duration::from_secs(10), percent: 100, seed: 1 };
const ASK: &str = "DescribeVpcs";

/// An EC2 with this share of calls that lag, and what moto has.
struct Lab {
    replica: Replica,
    now: Page,
}
impl Lab {
    async fn new(percent: u64) -> Self {
        advance(LAG.by * 2).await; // tokio's clock may begin less than that after the machine's
        Self { replica: Replica::new(Lag { percent, ..LAG }), now: Page::default() }
    }
    fn write(&mut self, write: &Call, answer: &str, now: Vec<Item>) {
        let begun = self.replica.begin(write);
        self.now.items = now;
        self.replica.end(write, answer, begun);
    }
    fn create(&mut self, id: &str, value: &str) {
        let now = [self.now.items.clone(), vec![vpc(id, value)]].concat();
        self.write(&call("CreateVpc", &[]), &format!("<CreateVpcResponse><vpc><vpcId>{id}</vpcId></vpc></CreateVpcResponse>"), now);
    }
    fn tag(&mut self, id: &str, value: &str) {
        let now = self.now.items.iter().map(|i| if i.id == id { vpc(id, value) } else { i.clone() }).collect();
        self.write(&call("CreateTags", &[("ResourceId.1", id)]), "<CreateTagsResponse/>", now);
    }
    fn delete(&mut self, id: &str) {
        let now = self.now.items.iter().filter(|i| i.id != id).cloned().collect();
        self.write(&call("DeleteVpc", &[("VpcId", id)]), "<DeleteVpcResponse/>", now);
    }
    /// The values of the tags that a list shows.
    fn list(&mut self, asked: &Call) -> Vec<String> {
        let fits = |i: &&Item| list(ASK).fits(asked, i);
        let now = Page { items: self.now.items.iter().filter(fits).cloned().collect(), next: None };
        let calm = self.replica.calm();
        self.replica.showed(list(ASK), &now, calm);
        let page = match self.replica.meet() {
            Some(then) => self.replica.page(list(ASK), asked, &now, then),
            None => now,
        };
        page.items.iter().map(|i| i.text.split(['<', '>']).rev().nth(8).unwrap().to_owned()).collect()
    }
    fn refusal(&mut self, call: &Call) -> Option<&'static str> {
        let then = self.replica.meet()?;
        self.replica.refusal(call, then)
    }
}

/// Each service has its own words for the same refusal, and its calls are told apart by the version alone.
#[test]
fn a_request_is_of_the_service_that_its_version_says() {
    let request = |version: &str, action: &str| Call::of(format!("POST / HTTP/1.1\r\n\r\nAction={action}&Version={version}").as_bytes());
    let cases = [
        (request("2016-11-15", "CreateLaunchTemplate"), true, "http/1.1 503", "<Code>RequestLimitExceeded</Code>", "<Response><Errors>"),
        (request("2015-12-01", "CreateLoadBalancer"), true, "http/1.1 400", "<Code>Throttling</Code>", "<ErrorResponse"),
        (request("2011-01-01", "TerminateInstanceInAutoScalingGroup"), true, "http/1.1 400", "<Code>ThrottlingException</Code>", "<ErrorResponse"),
        (request("2011-01-01", "DescribeAutoScalingGroups"), false, "http/1.1 400", "<Code>ThrottlingException</Code>", "<ErrorResponse"),
        (Call::of(b"GET /2013-04-01/hostedzone HTTP/1.1\r\n\r\n"), false, "http/1.1 400", "<Code>Throttling</Code>", "<ErrorResponse"),
    ];
    for (call, writes, status, code, around) in cases {
        let refusal = call.throttled();
        assert!(message::head(&refusal).starts_with(status) && message::text(&refusal).contains(code) && message::text(&refusal).starts_with(around), "{call:?}");
        assert_eq!(call.writes(), writes, "{call:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_new_is_not_there_yet_and_not_known() {
    let mut lab = Lab::new(100).await;
    lab.create(VPC, "a");
    let naming = [
        call(ASK, &[("VpcId.1", VPC)]),
        call("CreateSubnet", &[("VpcId", VPC)]),
        call("CreateTags", &[("ResourceId.1", VPC)]),
        call("RunInstances", &[("NetworkInterface.1.SubnetId", VPC), ("DryRun", "true")]),
    ];
    let everything = call(ASK, &[]);
    for _ in 0..2 {
        assert_eq!(lab.list(&everything), [""; 0]);
        for call in &naming {
            assert_eq!(lab.refusal(call), Some("InvalidVpcID.NotFound"), "{call:?}");
        }
        advance(LAG.by / 3).await;
    }
    // A filter and a tag only ask.
    assert_eq!(lab.refusal(&filtered("DescribeSubnets", "vpc-id", VPC)), None);
    assert_eq!(lab.refusal(&call("CreateVpc", &[("TagSpecification.1.Tag.1.Value", VPC)])), None);
    advance(LAG.by / 3 + Duration::from_millis(5)).await;
    assert_eq!(lab.list(&everything), ["a"]);
    for call in &naming {
        assert_eq!(lab.refusal(call), None, "{call:?}");
    }
    assert_eq!(lab.replica.lagged(), Lagged { lists: 2, refusals: 8 });
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_id_is_refused_by_its_own_code() {
    let mut lab = Lab::new(100).await;
    let cases = [
        ("CreateSubnet", "subnet-0000000a", "InvalidSubnetID.NotFound"),
        ("CreateSecurityGroup", "sg-0000000a", "InvalidGroup.NotFound"),
        ("AuthorizeSecurityGroupEgress", "sgr-0000000a", "InvalidSecurityGroupRuleId.NotFound"),
        ("RunInstances", "i-0000000a", "InvalidInstanceID.NotFound"),
        ("RunInstances", "eni-0000000a", "InvalidNetworkInterfaceID.NotFound"),
        ("RunInstances", "vol-0000000a", "InvalidVolume.NotFound"),
        ("CreateVolume", "vol-0000000b", "InvalidVolume.NotFound"),
        ("CreateInternetGateway", "igw-0000000a", "InvalidInternetGatewayID.NotFound"),
        ("AllocateAddress", "eipalloc-0000000a", "InvalidAllocationID.NotFound"),
        ("CreateLaunchTemplate", "lt-0000000a", "InvalidLaunchTemplateId.NotFound"),
        ("ImportKeyPair", "key-0000000a", "InvalidKeyPair.NotFound"),
    ];
    for (action, id, code) in cases {
        lab.write(&call(action, &[("KeyName", "ours")]), &format!("<{action}Response><id>{id}</id></{action}Response>"), Vec::new());
        assert_eq!(lab.refusal(&call("CreateTags", &[("ResourceId.1", id)])), Some(code));
    }
    assert_eq!(lab.refusal(&call("RunInstances", &[("KeyName", "ours")])), Some("InvalidKeyPair.NotFound"));
    // What an answer only mentions is not made by it.
    lab.write(&call("RunInstances", &[]), "<a><groupId>sg-0000000b</groupId></a>", Vec::new());
    assert_eq!(lab.refusal(&call("CreateTags", &[("ResourceId.1", "sg-0000000b")])), None);
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_or_deleted_is_shown_as_it_was() {
    let mut lab = Lab::new(100).await;
    let everything = call(ASK, &[]);
    lab.create(VPC, "a");
    lab.create("vpc-0000000b", "x");
    advance(LAG.by * 2).await;
    assert_eq!(lab.list(&everything), ["a", "x"]);
    lab.tag(VPC, "b");
    assert_eq!(lab.list(&everything), ["a", "x"]);
    advance(LAG.by / 2).await;
    assert_eq!(lab.list(&everything), ["a", "x"]);
    lab.delete(VPC);
    assert_eq!(lab.list(&everything), ["x", "a"]);
    advance(LAG.by / 2 + Duration::from_millis(5)).await;
    assert_eq!(lab.list(&everything), ["x", "b"], "tagged for longer than the lag, and deleted for less");
    assert_eq!(lab.list(&filtered(ASK, "tag:k", "b")), ["b"]);
    assert_eq!(lab.list(&filtered(ASK, "tag:k", "a")), [""; 0]);
    advance(LAG.by / 2).await;
    assert_eq!(lab.list(&everything), ["x"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_may_find_what_no_longer_fits_and_not_what_does() {
    let mut lab = Lab::new(100).await;
    lab.create(VPC, "a");
    advance(LAG.by * 2).await;
    assert_eq!(lab.list(&filtered(ASK, "tag:k", "a")), ["a"]);
    lab.tag(VPC, "b");
    assert_eq!((lab.list(&filtered(ASK, "tag:k", "a")), lab.list(&filtered(ASK, "tag:k", "b"))), (vec!["a".to_owned()], vec![]));
    advance(LAG.by + Duration::from_millis(5)).await;
    assert_eq!((lab.list(&filtered(ASK, "tag:k", "a")), lab.list(&filtered(ASK, "tag:k", "b"))), (vec![], vec!["b".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_was_shown_while_something_was_written_is_not_taken_for_what_was_before() {
    let mut lab = Lab::new(100).await;
    lab.create(VPC, "a");
    advance(LAG.by * 2).await;
    let everything = call(ASK, &[]);
    lab.list(&everything);
    // A list that began before the write and ends after it shows the old form.
    let (calm, old) = (lab.replica.calm(), lab.now.clone());
    lab.tag(VPC, "b");
    lab.replica.showed(list(ASK), &old, calm);
    advance(LAG.by * 2).await;
    lab.tag(VPC, "c");
    assert_ne!(lab.list(&everything), ["a"], "twice as old as the lag");
}

#[tokio::test(start_paused = true)]
async fn what_speaks_of_something_new_is_new() {
    let mut lab = Lab::new(100).await;
    lab.create(VPC, "a");
    let tables = list("DescribeRouteTables");
    let now = tables.read(&format!(
        "<DescribeRouteTablesResponse><routeTableSet><item><routeTableId>rtb-0000000a</routeTableId><vpcId>{VPC}</vpcId></item></routeTableSet></DescribeRouteTablesResponse>"
    ));
    let asked = filtered("DescribeRouteTables", "vpc-id", VPC);
    let then = lab.replica.meet().unwrap();
    assert_eq!(ids(&lab.replica.page(tables, &asked, &now, then)), [""; 0]);
    advance(LAG.by + Duration::from_millis(5)).await;
    let then = lab.replica.meet().unwrap();
    assert_eq!(lab.replica.page(tables, &asked, &now, then), now);
}

#[tokio::test(start_paused = true)]
async fn only_the_share_of_calls_that_was_asked_for_lags() {
    for (percent, least, most) in [(0, 0, 0), (30, 200, 400), (100, 1000, 1000)] {
        let mut lab = Lab::new(percent).await;
        lab.create(VPC, "a");
        let missed = (0..1000).filter(|_| lab.list(&call(ASK, &[])).is_empty()).count();
        assert!((least..=most).contains(&missed), "{missed} of 1000 at {percent} %");
    }
}

/// The SDK in Python signs these calls, and moto checks them.
fn through(moto: &Moto, proxy: &Proxy, operation: &str, with: &Value) -> Result<Value, String> {
    through_to("ec2", moto, proxy, operation, with)
}
fn through_to(service: &str, moto: &Moto, proxy: &Proxy, operation: &str, with: &Value) -> Result<Value, String> {
    tokio::task::block_in_place(|| moto.ask(&json!({"do": "call", "port": proxy.port(), "service": service, "operation": operation, "with": with})))
}
fn launch(moto: &Moto, proxy: &Proxy, token: &str, machine_type: &str) -> Result<String, String> {
    let wish = json!({"ImageId": "ami-0123456789abcdef0", "MinCount": 1, "MaxCount": 1, "ClientToken": token, "InstanceType": machine_type});
    through(moto, proxy, "run_instances", &wish).map(|a| a["Instances"][0]["InstanceId"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_one_write_and_a_fault_is_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let Some(moto) = Moto::start(dir.path()) else { return };
    let proxy = Proxy::start(moto.port()).await;
    let launch = |token: &str, machine_type: &str| launch(&moto, &proxy, token, machine_type);
    let before = moto.count("i-");

    let launched = launch("one", "t3.small").unwrap();
    assert_eq!(launch("one", "t3.small"), Ok(launched.clone()));
    assert!(launch("one", "t3.medium").unwrap_err().contains("IdempotentParameterMismatch"));
    assert_ne!(launch("two", "t3.small").unwrap(), launched);
    assert_eq!((moto.count("i-") - before, proxy.replayed()), (2, 1));

    let volume = |token: &str, size: u32| {
        let wish = json!({"AvailabilityZone": "eu-west-1a", "Size": size, "ClientToken": token});
        through(&moto, &proxy, "create_volume", &wish).map(|a| a["VolumeId"].as_str().unwrap().to_owned())
    };
    let before = moto.count("vol-");
    let first = volume("three", 1).unwrap();
    assert_eq!(volume("three", 1), Ok(first.clone()));
    assert!(volume("three", 2).unwrap_err().contains("IdempotentParameterMismatch"));
    assert!(volume("one", 1).unwrap_err().contains("IdempotentParameterMismatch"), "the token of a launch");
    assert_ne!(volume("four", 1).unwrap(), first);
    assert_eq!((moto.count("vol-") - before, proxy.replayed()), (2, 2));

    let terminate = || through(&moto, &proxy, "terminate_instances", &json!({"InstanceIds": [launched]}));
    assert_eq!(terminate().unwrap()["TerminatingInstances"], terminate().unwrap()["TerminatingInstances"]);

    // What has an effect has made the instance that the same launch answers afterwards.
    let cases = [
        (Fault::Unavailable, 0, "ServiceUnavailable"),
        (Fault::Throttled, 0, "RequestLimitExceeded"),
        (Fault::ResetBefore, 0, "Connection was closed"),
        (Fault::ResetAfter, 1, "Connection was closed"),
        (Fault::Truncated, 1, "Unable to parse response"),
    ];
    for (fault, made, said) in cases {
        let before = moto.count("i-");
        proxy.inject(fault, 0);
        let token = format!("{fault:?}");
        let refusal = launch(&token, "t3.small").unwrap_err();
        assert!(refusal.contains(said), "{fault:?}: {refusal}");
        assert_eq!((moto.count("i-") - before, proxy.settle()), (made, 1), "{fault:?}");
        launch(&token, "t3.small").unwrap();
        assert_eq!((moto.count("i-") - before, proxy.settle()), (1, 0), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_attached_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let Some(moto) = Moto::start(dir.path()) else { return };
    let proxy = Proxy::start(moto.port()).await;
    let vpc = through(&moto, &proxy, "create_vpc", &json!({"CidrBlock": "10.0.0.0/16"})).unwrap()["Vpc"]["VpcId"].clone();
    let gateway = through(&moto, &proxy, "create_internet_gateway", &json!({})).unwrap()["InternetGateway"]["InternetGatewayId"].clone();
    let both = json!({"VpcId": vpc, "InternetGatewayId": gateway});
    through(&moto, &proxy, "attach_internet_gateway", &both).unwrap();
    let delete = || through(&moto, &proxy, "delete_vpc", &json!({"VpcId": vpc}));
    assert!(delete().unwrap_err().contains("DependencyViolation"));
    through(&moto, &proxy, "detach_internet_gateway", &both).unwrap();
    delete().unwrap();

    let instance = launch(&moto, &proxy, "one", "t3.small").unwrap();
    let volume = through(&moto, &proxy, "create_volume", &json!({"AvailabilityZone": "eu-west-1a", "Size": 1})).unwrap()["VolumeId"].clone();
    let attach = |device: &str| through(&moto, &proxy, "attach_volume", &json!({"VolumeId": volume, "InstanceId": instance, "Device": device}));
    attach("/dev/sdf").unwrap();
    assert!(attach("/dev/sdg").unwrap_err().contains("VolumeInUse"));
    through(&moto, &proxy, "detach_volume", &json!({"VolumeId": volume, "InstanceId": instance})).unwrap();
    attach("/dev/sdg").unwrap();
}

/// Auto Scaling knows no token: whether a write was done is seen by what is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_what_its_calls_have_made_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let Some(moto) = Moto::start(dir.path()) else { return };
    let proxy = Proxy::start(moto.port()).await;
    let ec2 = |operation: &str, with: &Value| through(&moto, &proxy, operation, with).unwrap();
    let scaling = |operation: &str, with: &Value| through_to("autoscaling", &moto, &proxy, operation, with);
    let network = ec2("create_vpc", &json!({"CidrBlock": "10.0.0.0/16"}))["Vpc"]["VpcId"].clone();
    let subnet = ec2("create_subnet", &json!({"VpcId": network, "CidrBlock": "10.0.1.0/24"}))["Subnet"]["SubnetId"].clone();
    let template = json!({"LaunchTemplateName": "ours", "ClientToken": "one", "LaunchTemplateData": {"ImageId": "ami-0123456789abcdef0"}});
    let made = ec2("create_launch_template", &template)["LaunchTemplate"]["LaunchTemplateId"].clone();
    assert_eq!((&ec2("create_launch_template", &template)["LaunchTemplate"]["LaunchTemplateId"], proxy.replayed()), (&made, 1));

    let specification = json!({"LaunchTemplateSpecification": {"LaunchTemplateId": made, "Version": "1"}, "Overrides": [{"InstanceType": "t3.small"}]});
    let policy = json!({"LaunchTemplate": specification, "InstancesDistribution": {"OnDemandBaseCapacity": 1, "OnDemandPercentageAboveBaseCapacity": 0}});
    let group = json!({"AutoScalingGroupName": "ours", "MinSize": 0, "MaxSize": 3, "DesiredCapacity": 3, "VPCZoneIdentifier": subnet, "MixedInstancesPolicy": policy});
    let create = || scaling("create_auto_scaling_group", &group).map(drop);
    for (fault, said) in [(Fault::Throttled, "ThrottlingException"), (Fault::Unavailable, "ServiceUnavailable"), (Fault::ResetAfter, "Connection was closed")] {
        proxy.inject(fault, 0);
        let refusal = create().unwrap_err();
        assert!(refusal.contains(said), "{fault:?}: {refusal}");
    }
    assert!(create().unwrap_err().contains("AlreadyExists"), "the lost answer was that of a group that is there");

    let named = json!({"AutoScalingGroupNames": ["ours"]});
    let shown = || scaling("describe_auto_scaling_groups", &named).unwrap()["AutoScalingGroups"][0].clone();
    let members = || shown()["Instances"].as_array().cloned().unwrap_or_default();
    let first = members()[0]["InstanceId"].clone();
    let chosen = json!({"InstanceId": first, "ShouldDecrementDesiredCapacity": true});
    scaling("terminate_instance_in_auto_scaling_group", &chosen).unwrap();
    let leaving = |m: &Value| m["LifecycleState"] == "Terminating";
    let now = shown();
    let (out, there): (Vec<&Value>, Vec<&Value>) = now["Instances"].as_array().unwrap().iter().partition(|m| leaving(m));
    assert_eq!((out[0]["InstanceId"].clone(), out.len(), there.len(), now["DesiredCapacity"].clone()), (first, 1, 2, json!(2)));
    scaling("update_auto_scaling_group", &json!({"AutoScalingGroupName": "ours", "MinSize": 2})).unwrap();
    assert_eq!(shown()["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"], json!([{"InstanceType": "t3.small"}]), "what an update does not say stays");
    let another = json!({"InstanceId": there[0]["InstanceId"], "ShouldDecrementDesiredCapacity": true});
    assert!(scaling("terminate_instance_in_auto_scaling_group", &another).unwrap_err().contains("violate group's min size"));

    // What was terminated behind its back is replaced.
    ec2("terminate_instances", &json!({"InstanceIds": [there[0]["InstanceId"]]}));
    let staying: Vec<Value> = members().into_iter().filter(|m| !leaving(m)).collect();
    assert!(staying.len() == 2 && staying.iter().all(|m| m["InstanceId"] != there[0]["InstanceId"]), "{staying:?}");
    assert!(scaling("delete_auto_scaling_group", &json!({"AutoScalingGroupName": "ours"})).unwrap_err().contains("ResourceInUse"));
    scaling("delete_auto_scaling_group", &json!({"AutoScalingGroupName": "ours", "ForceDelete": true})).unwrap();
    assert_eq!(shown()["Status"], "Delete in progress");
    while !shown().is_null() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(moto.count("i-"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_goes_wrong_and_the_writes_between_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let Some(moto) = Moto::start(dir.path()) else { return };
    let proxy = Proxy::start(moto.port()).await;
    for _ in 0..7 {
        moto.plant();
    }
    let all = moto.count("vpc-");
    let page = |token: Option<&str>| {
        let wish = token.map_or_else(|| json!({"MaxResults": 5}), |token| json!({"MaxResults": 5, "NextToken": token}));
        through(&moto, &proxy, "describe_vpcs", &wish)
    };
    let first = page(None).unwrap();
    proxy.inject_into_read(Fault::Unavailable, 0);
    through(&moto, &proxy, "create_tags", &json!({"Resources": [first["Vpcs"][0]["VpcId"]], "Tags": [{"Key": "a", "Value": "b"}]})).unwrap();
    let token = first["NextToken"].as_str().unwrap();
    assert!(page(Some(token)).unwrap_err().contains("ServiceUnavailable"));
    assert_eq!(proxy.settle(), 1);
    let second = page(Some(token)).unwrap();
    let count = |page: &Value| page["Vpcs"].as_array().unwrap().len();
    assert_eq!((count(&first), count(&second), &second["NextToken"]), (5, all - 5, &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moto_behind_a_lag_shows_late_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let Some(moto) = Moto::start(dir.path()) else { return };
    let proxy = Proxy::start(moto.port()).await;
    // Longer than the few calls take, and then it passes.
    let by = Duration::from_secs(12);
    proxy.lag(Lag { by, percent: 100, seed: 1 });
    let network = through(&moto, &proxy, "create_vpc", &json!({"CidrBlock": "10.0.0.0/16"})).unwrap()["Vpc"]["VpcId"].clone();
    let listed = || {
        let found = through(&moto, &proxy, "describe_vpcs", &json!({"Filters": [{"Name": "vpc-id", "Values": [network]}]})).unwrap();
        found["Vpcs"].as_array().unwrap().len()
    };
    let by_id = || through(&moto, &proxy, "describe_vpcs", &json!({"VpcIds": [network]})).map(|a| a["Vpcs"].as_array().unwrap().len());
    let subnet = || through(&moto, &proxy, "create_subnet", &json!({"VpcId": network, "CidrBlock": "10.0.1.0/24"}));
    let before = moto.count("subnet-");
    assert_eq!(listed(), 0);
    assert!(by_id().unwrap_err().contains("InvalidVpcID.NotFound"));
    assert!(subnet().unwrap_err().contains("InvalidVpcID.NotFound"));
    assert_eq!(moto.count("subnet-"), before);
    tokio::time::sleep(by).await;
    assert_eq!((listed(), by_id()), (1, Ok(1)));
    through(&moto, &proxy, "delete_vpc", &json!({"VpcId": network})).unwrap();
    assert_eq!((listed(), by_id()), (1, Ok(1)));
    tokio::time::sleep(by).await;
    assert_eq!(listed(), 0);
    assert!(by_id().unwrap_err().contains("InvalidVpcID.NotFound"));
}
