//! Everything that was recorded of Elastic Load Balancing goes through the SDK's parser and our own decoders, and comes to what it says.
//!
//! A load balancer is read by many calls. One answer is tried at a time, and the others are what it has to stand in: made from botocore's model.

use crate::{
    balancing::whole,
    document::{Element, elements, with, without},
    members::Members,
    recorded::{rows, text},
    recordings::{Counts, specimen},
    replay::Replay,
    specification::{Answer, Model},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, net::IpAddr};
use welkin_core::*;

pub static MEMBERS: &[Members] = &[
    Members {
        operation: "DescribeLoadBalancers",
        rows: "LoadBalancers[]",
        shown: &[
            "LoadBalancerArn",
            "DNSName",
            "CreatedTime",
            "Scheme",
            "VpcId",
            "State.Code",
            "State.Reason",
            "Type",
            "AvailabilityZones[].SubnetId",
            "AvailabilityZones[].LoadBalancerAddresses[].IpAddress",
            "AvailabilityZones[].LoadBalancerAddresses[].AllocationId",
            "AvailabilityZones[].LoadBalancerAddresses[].PrivateIPv4Address",
            "AvailabilityZones[].LoadBalancerAddresses[].IPv6Address",
            "IpAddressType",
        ],
        read: &[
            ("pages", &["NextMarker"]),
            ("whose it is, where its id is not known", &["LoadBalancerName"]),
            ("which group is its own", &["SecurityGroups"]),
            ("how it stands before it is changed", &["EnablePrefixForIpv6SourceNat", "AvailabilityZones[].ZoneName", "AvailabilityZones[].SourceNatIpv6Prefixes"]),
        ],
        ignored: &[
            ("the subnet stands for it", &["AvailabilityZones[]"]),
            ("for aliases, which are made by the name that it is reached under", &["CanonicalHostedZoneId"]),
            ("not in the API", &["CustomerOwnedIpv4Pool", "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic", "IpamPools"]),
        ],
    },
    Members { operation: "DescribeTags", rows: "TagDescriptions[]", shown: &["ResourceArn", "Tags[].Key", "Tags[].Value"], read: &[], ignored: &[] },
    Members {
        operation: "DescribeTargetGroups",
        rows: "TargetGroups[]",
        shown: &[
            "TargetGroupArn",
            "Port",
            "HealthCheckProtocol",
            "HealthCheckPort",
            "HealthCheckPath",
            "HealthCheckIntervalSeconds",
            "HealthyThresholdCount",
            "UnhealthyThresholdCount",
        ],
        read: &[
            ("pages", &["NextMarker"]),
            ("whose it is", &["TargetGroupName"]),
            ("which of ours it is", &["Protocol", "TargetType", "IpAddressType"]),
            ("whether its check is the one that is wanted", &["HealthCheckTimeoutSeconds"]),
        ],
        ignored: &[
            ("the load balancer stands for it", &["VpcId", "LoadBalancerArns"]),
            ("a network load balancer always checks", &["HealthCheckEnabled"]),
            ("not in the API", &["Matcher", "ProtocolVersion", "TargetControlPort"]),
        ],
    },
    Members {
        operation: "DescribeTargetHealth",
        rows: "TargetHealthDescriptions[]",
        shown: &["Target.Id", "TargetHealth.State", "TargetHealth.Reason", "TargetHealth.Description"],
        read: &[],
        ignored: &[
            ("the target group says so", &["Target.Port", "HealthCheckPort"]),
            ("not in the API", &["Target.AvailabilityZone", "Target.QuicServerId", "AnomalyDetection", "AdministrativeOverride"]),
        ],
    },
    Members {
        operation: "DescribeListeners",
        rows: "Listeners[]",
        shown: &["Port", "Protocol", "Certificates[].CertificateArn", "DefaultActions[].TargetGroupArn"],
        read: &[
            ("pages", &["NextMarker"]),
            ("what it is changed by", &["ListenerArn"]),
            ("where it leads, if the action itself does not say so", &["DefaultActions[].ForwardConfig.TargetGroups[].TargetGroupArn"]),
        ],
        ignored: &[
            ("it is the one that was asked for", &["LoadBalancerArn"]),
            ("the list has the default one alone", &["Certificates[].IsDefault"]),
            ("one of ours leads to one target group and does nothing else", &["DefaultActions[]"]),
            ("not in the API", &["SslPolicy", "AlpnPolicy", "MutualAuthentication"]),
        ],
    },
    Members { operation: "DescribeLoadBalancerAttributes", rows: "Attributes[]", shown: &["Key", "Value"], read: &[], ignored: &[] },
    Members { operation: "DescribeTargetGroupAttributes", rows: "Attributes[]", shown: &["Key", "Value"], read: &[], ignored: &[] },
    Members { operation: "DescribeListenerAttributes", rows: "Attributes[]", shown: &["Key", "Value"], read: &[], ignored: &[] },
];

/// Where the rows of an answer are on the wire.
pub fn rows_wire(model: &Model, table: &Members) -> String {
    let row = model.members[table.operation].iter().find(|m| m.path.starts_with(table.rows)).unwrap();
    let below = row.path[table.rows.len()..].split('.').count() - 1;
    let wire: Vec<&str> = row.wire.split('/').collect();
    wire[..wire.len() - below].join("/")
}
const BALANCER: &str = "DescribeLoadBalancersResult/LoadBalancers/member";
const FIRST: &str = "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/net/b0/0123456789abcdef";

fn inner<'a>(xml: &'a str, path: &'a str) -> impl Iterator<Item = &'a str> {
    elements(xml).into_iter().filter(move |e| e.path == path).map(|e| &xml[e.inner])
}
/// How many of an answer's load balancers are network load balancers.
pub fn networks_in(xml: &str) -> usize {
    inner(xml, &format!("{BALANCER}/Type")).filter(|of| *of == "network").count()
}
/// Tells everything that a load balancer is read by. What is tried says whose the rest is: of an answer about load balancers the tags, and the other way round.
pub fn stand(replay: &Replay, model: &Model, operation: &str, xml: &str) {
    for table in MEMBERS {
        replay.answers(table.operation, 200, &specimen(model, table.operation).xml);
    }
    replay.answers(operation, 200, xml);
    if operation == "DescribeLoadBalancers" {
        let described = |arn: &str| format!("<member><ResourceArn>{arn}</ResourceArn><Tags/></member>");
        let tags: String = inner(xml, &format!("{BALANCER}/LoadBalancerArn")).map(described).collect();
        replay.answers("DescribeTags", 200, &whole("DescribeTags", &format!("<TagDescriptions>{tags}</TagDescriptions>")));
    }
    // Whatever they are of: network load balancers with these ids.
    if operation == "DescribeTags" {
        let row = |arn: &str| format!("<member><LoadBalancerArn>{arn}</LoadBalancerArn><VpcId>vpc-1</VpcId><Type>network</Type></member>");
        let balancers: String = inner(xml, "DescribeTagsResult/TagDescriptions/member/ResourceArn").map(row).collect();
        replay.answers("DescribeLoadBalancers", 200, &whole("DescribeLoadBalancers", &format!("<LoadBalancers>{balancers}</LoadBalancers>")));
    }
}
/// Of the first of the specimens.
pub async fn ask(replay: &Replay) -> Result<Vec<TargetHealth>> {
    let target = Target::Vendor { parent: LocationName::of("eu-west-1").unwrap(), vendor_id: FIRST.parse().unwrap() };
    replay.aws.load_balancers().unwrap().ask(&replay.cx(), &target, &LoadBalancerQuestion::TargetHealth).await
}
/// Everything that reads show of this answer.
pub async fn see(replay: &Replay, model: &Model, operation: &str, xml: &str) -> String {
    stand(replay, model, operation, xml);
    let listed = replay.list(&Query::<LoadBalancer>::all(20)).await.map_or_else(|e| e.to_string(), |objects| format!("{objects:?}"));
    format!("{listed} {:?}", ask(replay).await.map_err(|e| e.to_string()))
}

/// The table of docs/fidelity.md.
pub async fn come_to_what_they_say(model: &Model) -> String {
    let (replay, mut part) = (Replay::start().await, String::new());
    for table in MEMBERS {
        let mut counts = Counts::default();
        for answer in model.answers(table.operation) {
            let rows = rows(&answer.answer, table.rows);
            match table.operation {
                "DescribeLoadBalancers" => balancers(&replay, model, answer, &rows).await,
                "DescribeTags" => tags(&replay, model, answer, &rows).await,
                "DescribeTargetGroups" => groups(&replay, model, answer, &rows).await,
                "DescribeTargetHealth" => health(&replay, model, answer, &rows).await,
                "DescribeListeners" => listeners(&replay, model, answer, &rows).await,
                _ => attributes(&replay, model, answer, &rows).await,
            }
            counts.passed(answer, rows.len());
        }
        part.push_str(&counts.line(model, table.operation, LoadBalancer::COLLECTION));
    }
    part
}
/// The answer with its n-th row alone.
fn alone(xml: &str, wire: &str, n: usize) -> String {
    let all: Vec<Element> = elements(xml).into_iter().filter(|e| e.path == wire).collect();
    without(xml, |e| e.path == wire && e.whole != all[n].whole)
}
async fn listed(replay: &Replay, source: &str) -> Vec<Object<LoadBalancer>> {
    replay.list(&Query::all(20)).await.unwrap_or_else(|e| panic!("{source}: {e}"))
}
/// The first of the specimens, which what is tried belongs to.
async fn first(replay: &Replay, source: &str) -> Object<LoadBalancer> {
    listed(replay, source).await.remove(0)
}

/// Of other kinds there are none: they are neither listed nor got.
async fn balancers(replay: &Replay, model: &Model, answer: &Answer, rows: &[&Value]) {
    let source = &answer.source;
    stand(replay, model, &answer.operation, &answer.xml);
    let objects = listed(replay, source).await;
    let is_network = |row: &Value| text(row, "/Type") == Some("network");
    assert_eq!(objects.len(), rows.iter().filter(|row| is_network(row)).count(), "{source}");
    let mut shown = objects.iter();
    for (n, row) in rows.iter().enumerate() {
        let id = text(row, "/LoadBalancerArn").unwrap();
        let target = Target::<LoadBalancer>::Vendor { parent: LocationName::of("eu-west-1").unwrap(), vendor_id: id.parse().unwrap() };
        stand(replay, model, &answer.operation, &alone(&answer.xml, BALANCER, n));
        let got = replay.get(&target).await;
        if !is_network(row) {
            assert!(got.unwrap_err().is_not_found(), "{source} {id}");
            continue;
        }
        let object = shown.next().unwrap();
        assert_eq!((&got.unwrap(), object.vendor_id.as_str(), &object.mark), (object, id, &None), "{source}");
        let (spec, status) = (&object.spec, &object.status);
        let zones = || row["AvailabilityZones"].as_array().unwrap().iter();
        let addresses = || zones().flat_map(|z| z["LoadBalancerAddresses"].as_array().unwrap());
        let ids = |refs: Vec<Option<VendorId>>| refs.into_iter().map(|id| id.unwrap().to_string()).collect::<BTreeSet<_>>();
        let words = |all: Vec<Option<&str>>| all.into_iter().flatten().map(ToOwned::to_owned).collect::<BTreeSet<_>>();
        let ips: BTreeSet<IpAddr> =
            addresses().flat_map(|a| ["/IpAddress", "/PrivateIPv4Address", "/IPv6Address"].map(|member| text(a, member))).flatten().map(|ip| ip.parse().unwrap()).collect();
        assert_eq!(
            json!({
                "dns": status.dns_name, "state": status.state, "reason": status.state_reason, "created": object.created_ms, "scheme": spec.scheme,
                "network": spec.network.as_ref().and_then(|r| r.vendor_id.clone()), "dual": spec.dual_stack,
            }),
            json!({
                "dns": row["DNSName"], "state": text(row, "/State/Code").unwrap().to_uppercase(), "reason": text(row, "/State/Reason").unwrap_or_default(),
                "created": row["CreatedTime"], "scheme": if text(row, "/Scheme") == Some("internal") { "INTERNAL" } else { "PUBLIC" },
                "network": row["VpcId"], "dual": text(row, "/IpAddressType") != Some("ipv4"),
            }),
            "{source} {id}"
        );
        assert_eq!(ids(spec.subnets.iter().map(|r| r.vendor_id.clone()).collect()), words(zones().map(|z| text(z, "/SubnetId")).collect()), "{source}");
        assert_eq!(ids(spec.addresses.iter().map(|r| r.vendor_id.clone()).collect()), words(addresses().map(|a| text(a, "/AllocationId")).collect()), "{source}");
        assert_eq!(status.ip_addresses.iter().copied().collect::<BTreeSet<_>>(), ips, "{source}");
    }
    assert!(shown.next().is_none());
}
async fn tags(replay: &Replay, model: &Model, answer: &Answer, rows: &[&Value]) {
    stand(replay, model, &answer.operation, &answer.xml);
    let labels: Vec<Labels> = listed(replay, &answer.source).await.into_iter().map(|o| o.spec.labels).collect();
    let said = |row: &&Value| row["Tags"].as_array().unwrap().iter().map(|t| (text(t, "/Key").unwrap().to_owned(), text(t, "/Value").unwrap().to_owned())).collect();
    let plain = |mut all: Labels| {
        all.retain(|key, _| !key.starts_with("aws:"));
        all
    };
    assert_eq!(labels, rows.iter().map(said).map(plain).collect::<Vec<Labels>>(), "{}", answer.source);
}
/// Each behind a listener that leads to it.
async fn groups(replay: &Replay, model: &Model, answer: &Answer, rows: &[&Value]) {
    const ROW: &str = "DescribeTargetGroupsResult/TargetGroups/member";
    for (n, row) in rows.iter().enumerate() {
        stand(replay, model, &answer.operation, &alone(&answer.xml, ROW, n));
        let action = format!("<member><Type>forward</Type><TargetGroupArn>{}</TargetGroupArn></member>", text(row, "/TargetGroupArn").unwrap());
        let listener = format!("<Listeners><member><Port>1</Port><Protocol>TCP</Protocol><DefaultActions>{action}</DefaultActions></member></Listeners>");
        replay.answers("DescribeListeners", 200, &whole("DescribeListeners", &listener));
        let spec = first(replay, &answer.source).await.spec;
        let check = &spec.health_check;
        assert_eq!(
            json!({
                "port": spec.listeners[0].target_port, "protocol": check.protocol, "at": check.port, "path": check.path, "interval": check.interval_s,
                "healthy": check.healthy_threshold, "unhealthy": check.unhealthy_threshold,
            }),
            json!({
                "port": row["Port"], "protocol": text(row, "/HealthCheckProtocol").filter(|p| ["TCP", "HTTP", "HTTPS"].contains(p)).unwrap_or("UNSPECIFIED"), "at": text(row, "/HealthCheckPort").and_then(|p| p.parse::<u16>().ok()),
                "path": row["HealthCheckPath"], "interval": row["HealthCheckIntervalSeconds"], "healthy": row["HealthyThresholdCount"],
                "unhealthy": row["UnhealthyThresholdCount"],
            }),
            "{}",
            answer.source
        );
    }
    if rows.is_empty() {
        stand(replay, model, &answer.operation, &answer.xml);
        let spec = first(replay, &answer.source).await.spec;
        assert!(spec.health_check == HealthCheck::default() && spec.listeners.iter().all(|l| l.target_port.is_none()) && spec.backends.is_empty(), "{}", answer.source);
    }
}
async fn health(replay: &Replay, model: &Model, answer: &Answer, rows: &[&Value]) {
    stand(replay, model, &answer.operation, &answer.xml);
    let told: BTreeSet<_> = ask(replay).await.unwrap().into_iter().map(|t| (t.backend, t.state.to_string(), t.reason)).collect();
    let why = |row: &Value| ["/TargetHealth/Reason", "/TargetHealth/Description"].into_iter().filter_map(|m| text(row, m)).collect::<Vec<_>>().join(": ");
    let one = |row: &&Value| (text(row, "/Target/Id").unwrap().to_owned(), text(row, "/TargetHealth/State").unwrap().to_uppercase(), why(row));
    assert_eq!(told, rows.iter().map(one).collect(), "{}", answer.source);
    let backends: BTreeSet<String> = first(replay, &answer.source).await.spec.backends.iter().map(|b| b.vendor_id().unwrap()).collect();
    assert_eq!(backends, told.into_iter().map(|(id, ..)| id).collect(), "{}", answer.source);
}
/// One of a protocol that is none of ours is not shown; as one for TCP the same says where it leads.
async fn listeners(replay: &Replay, model: &Model, answer: &Answer, rows: &[&Value]) {
    const PROTOCOL: &str = "DescribeListenersResult/Listeners/member/Protocol";
    let over_tcp = with(&answer.xml, elements(&answer.xml).into_iter().filter(|e| e.path == PROTOCOL).map(|e| (e.inner, "TCP".to_owned())).collect());
    for (xml, is_tcp) in [(&answer.xml, false), (&over_tcp, true)] {
        stand(replay, model, &answer.operation, xml);
        let row = |arn: &str| format!("<member><TargetGroupArn>{arn}</TargetGroupArn><Port>8080</Port></member>");
        let leads = |row: &Value| text(row, "/DefaultActions/0/TargetGroupArn").map(ToOwned::to_owned);
        let groups: String = rows.iter().filter_map(|r| leads(r)).map(|arn| row(&arn)).collect();
        replay.answers("DescribeTargetGroups", 200, &whole("DescribeTargetGroups", &format!("<TargetGroups>{groups}</TargetGroups>")));
        let shown: BTreeSet<String> =
            first(replay, &answer.source).await.spec.listeners.iter().map(|l| json!([l.protocol, l.port, l.target_port, l.certificate]).to_string()).collect();
        let is_ours = |row: &&&Value| is_tcp || matches!(text(row, "/Protocol"), Some("TCP" | "UDP" | "TLS"));
        let said = |row: &&Value| {
            let protocol = if is_tcp { "TCP" } else { text(row, "/Protocol").unwrap() };
            json!([protocol, row["Port"], leads(row).map(|_| 8080), row.pointer("/Certificates/0/CertificateArn")]).to_string()
        };
        assert_eq!(shown, rows.iter().filter(is_ours).map(said).collect(), "{}", answer.source);
    }
}
/// By the names that the documentation has for them.
async fn attributes(replay: &Replay, model: &Model, answer: &Answer, rows: &[&Value]) {
    stand(replay, model, &answer.operation, &answer.xml);
    let spec = first(replay, &answer.source).await.spec;
    let value = |key: &str| rows.iter().find(|r| text(r, "/Key") == Some(key)).and_then(|r| text(r, "/Value"));
    let is = |key: &str| value(key) == Some("true");
    match answer.operation.as_str() {
        "DescribeLoadBalancerAttributes" => assert_eq!((spec.deletion_protection, spec.cross_zone), (is("deletion_protection.enabled"), is("load_balancing.cross_zone.enabled"))),
        "DescribeTargetGroupAttributes" => assert_eq!((spec.client_ip_affinity, spec.preserve_client_ip), (is("stickiness.enabled"), Some(is("preserve_client_ip.enabled")))),
        _ => assert_eq!(spec.idle_timeout_s.map(|s| s.to_string()).as_deref(), value("tcp.idle_timeout.seconds")),
    }
}
