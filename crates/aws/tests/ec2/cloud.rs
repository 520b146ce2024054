//! A small EC2 over HTTP: it answers the query protocol for what the drivers call, with tags and reads that lag, pages, and faults by script.

mod rule;
pub mod scaling;
mod shown;
mod template;
mod volume;

use crate::{
    balancing::{self, Balancing},
    http,
    route53::{self, Call, Route53},
};
use scaling::Scaling;
use shown::filters;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::Instant};

pub type Pairs = BTreeMap<String, String>;

/// What happens to a call, once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// An error with this code and status; nothing happens.
    Refuse(&'static str, u16),
    /// It happens, and the next fault is for the next call.
    Passes,
    /// It happens and the connection breaks.
    Lost,
    /// It never answers.
    Hang,
    /// A status without a body; nothing happens.
    Bare(u16),
    /// It happens and the answer is half of what it should be, as if that were all.
    Cut,
    /// It happens and the connection breaks in the middle of the answer.
    Broken,
    /// It happens and the answer ends as it should, and is no XML.
    Garbled,
}

#[derive(Debug, Clone)]
pub struct Item {
    pub kind: &'static str,
    pub id: String,
    /// `state`, `vpc`, `subnet`, `instance`.
    pub is: Pairs,
    pub tags: Pairs,
    made: Instant,
}
#[derive(Debug, Default)]
pub struct Script {
    pub tag_lag: Duration,
    pub read_lag: Duration,
    /// Items a page; 0 for all. A page is cut before it is filtered, so that it can be empty and not the last.
    pub page: usize,
    pub faults: VecDeque<(&'static str, Fault)>,
    /// What a started instance is stopped again for.
    pub falls_back: Option<&'static str>,
    /// Of these machine types there is no capacity.
    pub short: BTreeSet<&'static str>,
    pub route53: Route53,
    pub balancing: Balancing,
    pub scaling: Scaling,
    items: Vec<Item>,
    calls: Vec<String>,
    told: usize,
    bodies: Vec<String>,
    ids: u32,
}
#[derive(Debug, Clone)]
pub struct Cloud {
    script: Arc<Mutex<Script>>,
    pub endpoint: String,
}

/// Refused with this code.
struct Refusal(&'static str);
type Answer = Result<String, Refusal>;
/// The main route table of every VPC.
const MAIN: &str = "rtb-1";
const OK: &str = "<return>true</return>";

/// Kind, what its describe call and its set in the answer are called, the word for its id, and what is said where it is not there.
const KINDS: [(&str, &str, &str, &str, &str); 13] = [
    ("vpc", "DescribeVpcs", "vpcSet", "VpcId", "InvalidVpcID.NotFound"),
    ("igw", "DescribeInternetGateways", "internetGatewaySet", "InternetGatewayId", "InvalidInternetGatewayID.NotFound"),
    ("subnet", "DescribeSubnets", "subnetSet", "SubnetId", "InvalidSubnetID.NotFound"),
    ("sg", "DescribeSecurityGroups", "securityGroupInfo", "GroupId", "InvalidGroup.NotFound"),
    ("sgr", "DescribeSecurityGroupRules", "securityGroupRuleSet", "SecurityGroupRuleId", "InvalidSecurityGroupRuleId.NotFound"),
    ("i", "DescribeInstances", "reservationSet", "InstanceId", "InvalidInstanceID.NotFound"),
    ("vol", "DescribeVolumes", "volumeSet", "VolumeId", "InvalidVolume.NotFound"),
    ("eipalloc", "DescribeAddresses", "addressesSet", "AllocationId", "InvalidAllocationID.NotFound"),
    ("nat", "DescribeNatGateways", "natGatewaySet", "NatGatewayId", "NatGatewayNotFound"),
    ("rtb", "DescribeRouteTables", "routeTableSet", "RouteTableId", "InvalidRouteTableID.NotFound"),
    ("lt", "DescribeLaunchTemplates", "launchTemplates", "LaunchTemplateId", "InvalidLaunchTemplateId.NotFound"),
    ("key", "DescribeKeyPairs", "keySet", "KeyPairId", "InvalidKeyPair.NotFound"),
    ("eni", "DescribeNetworkInterfaces", "networkInterfaceSet", "NetworkInterfaceId", "InvalidNetworkInterfaceID.NotFound"),
];

impl Cloud {
    pub async fn start() -> Self {
        let script = Arc::<Mutex<Script>>::default();
        let served = Arc::clone(&script);
        Self { script, endpoint: http::listen(move |stream| serve(Arc::clone(&served), stream)).await }
    }
    pub fn script<T>(&self, f: impl FnOnce(&mut Script) -> T) -> T {
        f(&mut self.script.lock().unwrap())
    }
    pub fn fault(&self, action: &'static str, fault: Fault, times: usize) {
        self.script(|s| s.faults.extend(std::iter::repeat_n((action, fault), times)));
    }
    pub fn plant(&self, kind: &'static str, is: &[(&str, &str)], tags: &[(&str, &str)]) -> String {
        self.script(|s| s.make(kind, pairs(is), pairs(tags)))
    }
    /// The same under an id that was chosen.
    pub fn plant_as(&self, id: &str, kind: &'static str, is: &[(&str, &str)]) {
        let made = self.plant(kind, is, &[]);
        self.script(|s| s.items.iter_mut().filter(|i| i.id == made).for_each(|i| i.id = id.into()));
    }
    pub fn remove(&self, id: &str) {
        self.script(|s| s.items.retain(|i| i.id != id));
    }
    /// Everything that exists, without what is terminated.
    pub fn items(&self) -> Vec<Item> {
        self.script(|s| s.items.iter().filter(|i| i.is["state"] != "terminated").cloned().collect())
    }
    pub fn ids(&self, kind: &str) -> Vec<String> {
        self.items().into_iter().filter(|i| i.kind == kind).map(|i| i.id).collect()
    }
    /// Every request as it came.
    pub fn bodies(&self) -> Vec<String> {
        self.script(|s| s.bodies.clone())
    }
    /// How often a call with this in its text came: the action, then its parameters.
    pub fn calls(&self, text: &str) -> usize {
        self.script(|s| s.calls.iter().filter(|c| c.contains(text)).count())
    }
}

async fn serve(script: Arc<Mutex<Script>>, mut stream: TcpStream) {
    let Some(request) = http::read(&mut stream).await else { return };
    if let Some(call) = Call::of(&request) {
        return serve_route53(script, stream, call).await;
    }
    let body = request.body;
    let params: Pairs = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let action = params["Action"].clone();
    match params["Version"].as_str() {
        balancing::VERSION => {
            let act = |s: &mut Script, action: &str, p: &Pairs| s.balancing.act(action, p, s.read_lag);
            return serve_members(script, stream, body, params, act, balancing::whole).await;
        }
        scaling::VERSION => return serve_members(script, stream, body, params, Script::scale, scaling::whole).await,
        _ => {}
    }
    let (fault, answer) = {
        let mut s = script.lock().unwrap();
        s.calls.push(format!("{action} {params:?}"));
        s.bodies.push(body.clone());
        let fault = s.strike(&action);
        let answer = if Script::is_spared(fault) { Ok(String::new()) } else { s.act(&action, &params) };
        (fault, answer)
    };
    let answer = match answer {
        Ok(text) => Ok((200, format!("<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>{text}</{action}Response>"))),
        Err(Refusal(code)) => Err((code, 400)),
    };
    reply(stream, fault, answer, refusal).await;
}
async fn serve_route53(script: Arc<Mutex<Script>>, stream: TcpStream, call: Call) {
    let (fault, answer) = {
        let mut s = script.lock().unwrap();
        s.calls.push(format!("{} {} {}", call.action, call.path, call.body));
        s.bodies.push(call.line());
        let fault = s.strike(call.action);
        let (read_lag, page) = (s.read_lag, s.page);
        let answer = if Script::is_spared(fault) { Ok((200, String::new())) } else { s.route53.act(&call, read_lag, page) };
        (fault, answer)
    };
    reply(stream, fault, answer, route53::refusal).await;
}
/// Of a service whose lists are of `member`.
async fn serve_members(
    script: Arc<Mutex<Script>>,
    stream: TcpStream,
    body: String,
    params: Pairs,
    act: fn(&mut Script, &str, &Pairs) -> Result<String, &'static str>,
    whole: fn(&str, &str) -> String,
) {
    let action = params["Action"].clone();
    let (fault, answer) = {
        let mut s = script.lock().unwrap();
        s.calls.push(format!("{action} {params:?}"));
        s.bodies.push(body);
        let fault = s.strike(&action);
        let answer = if Script::is_spared(fault) { Ok(String::new()) } else { act(&mut s, &action, &params) };
        (fault, answer)
    };
    reply(stream, fault, answer.map(|text| (200, whole(&action, &text))).map_err(|code| (code, 400)), route53::refusal).await;
}
async fn reply(mut stream: TcpStream, fault: Option<Fault>, answer: Result<(u16, String), (&'static str, u16)>, refusal: fn(&str) -> String) {
    let (status, text) = match (fault, answer) {
        (Some(Fault::Hang), _) => return std::future::pending().await,
        (Some(Fault::Lost), _) => return,
        (Some(Fault::Bare(status)), _) => (status, String::new()),
        (Some(Fault::Refuse(code, status)), _) => (status, refusal(code)),
        (_, Err((code, status))) => (status, refusal(code)),
        (fault, Ok((status, mut text))) => {
            if fault == Some(Fault::Cut) {
                text.truncate(text.len() / 2);
            }
            if fault == Some(Fault::Garbled) {
                let root = text.find(" xmlns").unwrap();
                let inside = root + text[root..].find('>').unwrap() + 1;
                text.insert_str(inside, "<& ");
            }
            (status, text)
        }
    };
    let length = text.len();
    let text = if fault == Some(Fault::Broken) { &text[..length / 2] } else { &text };
    let head = format!("HTTP/1.1 {status} x\r\nContent-Type: text/xml\r\nx-amzn-RequestId: r\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(format!("{head}{text}").as_bytes()).await;
}

fn refusal(code: &str) -> String {
    let (code, text) = code.split_once(": ").unwrap_or((code, "as scripted"));
    format!("<Response><Errors><Error><Code>{code}</Code><Message>{text}</Message></Error></Errors><RequestID>r</RequestID></Response>")
}
fn pairs(of: &[(&str, &str)]) -> Pairs {
    of.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// `A.1`, `A.2` and so on.
fn listed<'a>(params: &'a Pairs, name: &'a str) -> Vec<&'a str> {
    (1..).map_while(|n| params.get(&format!("{name}.{n}"))).map(String::as_str).collect()
}
/// The tags that a create gives to one kind.
fn tags(params: &Pairs, kind: &str) -> Pairs {
    let Some(n) = (1..9).find(|n| params.get(&format!("TagSpecification.{n}.ResourceType")).is_some_and(|k| k == kind)) else { return Pairs::new() };
    let at = |m: usize, part: &str| params.get(&format!("TagSpecification.{n}.Tag.{m}.{part}")).cloned();
    (1..).map_while(|m| Some((at(m, "Key")?, at(m, "Value")?))).collect()
}

impl Script {
    /// What happens to this call.
    fn strike(&mut self, action: &str) -> Option<Fault> {
        let at = self.faults.iter().position(|(a, _)| *a == action)?;
        self.faults.remove(at).map(|(_, fault)| fault)
    }
    /// Does nothing happen?
    fn is_spared(fault: Option<Fault>) -> bool {
        matches!(fault, Some(Fault::Refuse(..) | Fault::Hang | Fault::Bare(_)))
    }
    fn make(&mut self, kind: &'static str, mut is: Pairs, tags: Pairs) -> String {
        self.ids += 1;
        let id = format!("{kind}-{:08}", self.ids);
        is.entry("state".into()).or_insert_with(|| "available".into());
        self.items.push(Item { kind, id: id.clone(), is, tags, made: Instant::now() });
        id
    }
    /// Behind the drivers' backs.
    pub fn edit(&mut self, id: &str, key: &str, value: &str) {
        self.items.iter_mut().filter(|i| i.id == id).for_each(|i| _ = i.is.insert(key.into(), value.into()));
    }
    pub fn tag(&mut self, id: &str, key: &str, value: &str) {
        self.items.iter_mut().filter(|i| i.id == id).for_each(|i| _ = i.tags.insert(key.into(), value.into()));
    }
    /// The calls since it was asked the last time.
    pub fn counted(&mut self) -> Vec<String> {
        let from = std::mem::replace(&mut self.told, self.calls.len());
        self.calls[from..].to_vec()
    }
    fn of(&mut self, id: &str, unknown: &'static str) -> Result<&mut Item, Refusal> {
        self.items.iter_mut().find(|i| i.id == id).ok_or(Refusal(unknown))
    }
    fn end(&mut self, id: &str, unknown: &'static str) -> Answer {
        self.of(id, unknown)?;
        if self.items.iter().any(|i| i.is["state"] != "terminated" && (i.is.get("vpc").is_some_and(|v| v == id) || i.is.get("subnet").is_some_and(|s| s == id))) {
            return Err(Refusal("DependencyViolation"));
        }
        self.items.retain(|i| i.id != id);
        Ok(OK.into())
    }

    fn act(&mut self, action: &str, p: &Pairs) -> Answer {
        if p.get("DryRun").is_some_and(|d| d == "true") {
            return Err(Refusal("DryRunOperation"));
        }
        // The one that comes with a VPC.
        if action == "DescribeRouteTables" && filters(p).any(|(name, _)| name == "association.main") {
            return Ok(format!("<routeTableSet><item><routeTableId>{MAIN}</routeTableId></item></routeTableSet>"));
        }
        if let Some(kind) = KINDS.iter().find(|k| k.1 == action) {
            return self.describe(kind, p);
        }
        match action {
            "CreateVpc" => {
                let v6 = p.get("AmazonProvidedIpv6CidrBlock").map_or("", |_| "2001:db8::/56");
                let id = self.make("vpc", pairs(&[("cidr", &p["CidrBlock"]), ("ipv6", v6)]), tags(p, "vpc"));
                Ok(format!("<vpc><vpcId>{id}</vpcId></vpc>"))
            }
            "CreateInternetGateway" => {
                let id = self.make("igw", Pairs::new(), tags(p, "internet-gateway"));
                Ok(format!("<internetGateway><internetGatewayId>{id}</internetGatewayId></internetGateway>"))
            }
            "CreateSubnet" => {
                let id = self.make("subnet", pairs(&[("vpc", &p["VpcId"]), ("cidr", &p["CidrBlock"])]), tags(p, "subnet"));
                Ok(format!("<subnet><subnetId>{id}</subnetId></subnet>"))
            }
            "CreateSecurityGroup" => {
                let is = pairs(&[("vpc", &p["VpcId"]), ("called", &p["GroupName"])]);
                if self.items.iter().any(|i| i.kind == "sg" && is.iter().all(|(k, v)| i.is.get(k) == Some(v))) {
                    return Err(Refusal("InvalidGroup.Duplicate"));
                }
                let id = self.make("sg", is, tags(p, "security-group"));
                // Of an IPv4 network: everything goes out of a new group.
                self.make("sgr", pairs(&[("group", &id), ("egress", "true"), ("protocol", "-1"), ("cidr", "0.0.0.0/0")]), Pairs::new());
                Ok(format!("<return>true</return><groupId>{id}</groupId>"))
            }
            "AuthorizeSecurityGroupIngress" | "AuthorizeSecurityGroupEgress" => self.authorize(action, p),
            "RevokeSecurityGroupIngress" | "RevokeSecurityGroupEgress" => {
                for id in listed(p, "SecurityGroupRuleId") {
                    self.end(id, "InvalidSecurityGroupRuleId.NotFound")?;
                }
                if let Some(protocol) = p.get("IpPermissions.1.IpProtocol") {
                    let cidr = p.get("IpPermissions.1.IpRanges.1.CidrIp").cloned().unwrap_or_default();
                    let is = |i: &Item, key: &str, value: &str| i.is.get(key).is_some_and(|v| v == value);
                    let before = self.items.len();
                    self.items.retain(|i| i.kind != "sgr" || !is(i, "group", &p["GroupId"]) || !is(i, "egress", "true") || !is(i, "protocol", protocol) || !is(i, "cidr", &cidr));
                    if self.items.len() == before {
                        return Err(Refusal("InvalidPermission.NotFound"));
                    }
                }
                Ok(OK.into())
            }
            "DeleteSecurityGroup" => {
                self.items.retain(|i| i.is.get("group") != p.get("GroupId"));
                self.end(&p["GroupId"], "InvalidGroup.NotFound")
            }
            "AttachInternetGateway" => {
                self.of(&p["VpcId"], "InvalidVpcID.NotFound")?;
                self.of(&p["InternetGatewayId"], "InvalidInternetGatewayID.NotFound")?.is.insert("vpc".into(), p["VpcId"].clone());
                Ok(OK.into())
            }
            "DetachInternetGateway" => {
                self.of(&p["InternetGatewayId"], "InvalidInternetGatewayID.NotFound")?.is.remove("vpc").ok_or(Refusal("Gateway.NotAttached"))?;
                Ok(OK.into())
            }
            "CreateRouteTable" | "CreateRoute" | "ReplaceRoute" | "DeleteRoute" | "AssociateRouteTable" | "DisassociateRouteTable" | "DeleteRouteTable" => {
                self.route_table(action, p)
            }
            "ModifySubnetAttribute" | "RebootInstances" => Ok(OK.into()),
            "ModifyInstanceAttribute" => {
                let item = self.of(&p["InstanceId"], "InvalidInstanceID.NotFound")?;
                for (word, value) in [("type", "InstanceType.Value"), ("protected", "DisableApiTermination.Value"), ("group", "GroupId.1")] {
                    if let Some(value) = p.get(value) {
                        item.is.insert(word.into(), value.clone());
                    }
                }
                Ok(OK.into())
            }
            "GetConsoleOutput" => {
                let id = &p["InstanceId"];
                let output = self.of(id, "InvalidInstanceID.NotFound")?.is.get("console").map(aws_smithy_types::base64::encode).unwrap_or_default();
                Ok(format!("<instanceId>{id}</instanceId><timestamp>2026-01-02T03:04:05.000Z</timestamp><output>{output}</output>"))
            }
            "AllocateAddress" | "AssociateAddress" | "DisassociateAddress" | "ReleaseAddress" => self.address(action, p),
            "CreateVolume" | "AttachVolume" | "DetachVolume" | "ModifyVolume" | "DescribeVolumesModifications" => self.volume(action, p),
            "CreateNatGateway" => {
                let of = |word: &str| p.get(word).map_or("", String::as_str);
                let is = [("subnet", of("SubnetId")), ("connectivity", of("ConnectivityType")), ("address", of("AllocationId"))];
                let id = self.make("nat", pairs(&is), tags(p, "natgateway"));
                Ok(format!("<natGateway><natGatewayId>{id}</natGatewayId><state>pending</state></natGateway>"))
            }
            // It stays described.
            "DeleteNatGateway" => {
                let gateway = self.of(&p["NatGatewayId"], "NatGatewayNotFound")?;
                gateway.is.insert("state".into(), "deleted".into());
                gateway.is.remove("subnet");
                Ok(OK.into())
            }
            "CreateTags" => {
                let at = |m: usize, part: &str| p.get(&format!("Tag.{m}.{part}")).cloned();
                let more: Pairs = (1..).map_while(|m| Some((at(m, "Key")?, at(m, "Value")?))).collect();
                self.of(&p["ResourceId.1"], "InvalidID")?.tags.extend(more);
                Ok(OK.into())
            }
            "DeleteTags" => {
                let gone: Vec<String> = (1..).map_while(|m| p.get(&format!("Tag.{m}.Key")).cloned()).collect();
                self.of(&p["ResourceId.1"], "InvalidID")?.tags.retain(|k, _| !gone.contains(k));
                Ok(OK.into())
            }
            "AssociateVpcCidrBlock" => {
                self.of(&p["VpcId"], "InvalidVpcID.NotFound")?.is.insert("more".into(), p["CidrBlock"].clone());
                Ok(OK.into())
            }
            "CreateLaunchTemplate" | "CreateLaunchTemplateVersion" | "DescribeLaunchTemplateVersions" | "DeleteLaunchTemplate" => self.template(action, p),
            "DescribeInstanceTypes" => Ok("<instanceTypeSet/>".into()),
            "DescribeImages" => Ok("<imagesSet><item><imageId>ami-1</imageId><rootDeviceName>/dev/xvda</rootDeviceName></item></imagesSet>".into()),
            "DescribeAvailabilityZones" => Ok("<availabilityZoneInfo><item><zoneName>eu-west-1a</zoneName><regionName>eu-west-1</regionName></item></availabilityZoneInfo>".into()),
            "DeleteVpc" => self.end(&p["VpcId"], "InvalidVpcID.NotFound"),
            "DeleteSubnet" => self.end(&p["SubnetId"], "InvalidSubnetID.NotFound"),
            "DeleteInternetGateway" => self.end(&p["InternetGatewayId"], "InvalidInternetGatewayID.NotFound"),
            "DeleteVolume" => {
                if self.of(&p["VolumeId"], "InvalidVolume.NotFound")?.is.contains_key("attached") {
                    return Err(Refusal("VolumeInUse"));
                }
                self.end(&p["VolumeId"], "InvalidVolume.NotFound")
            }
            "ImportKeyPair" if self.items.iter().any(|i| i.kind == "key" && i.is.get("name") == p.get("KeyName")) => Err(Refusal("InvalidKeyPair.Duplicate")),
            "ImportKeyPair" => {
                let id = self.make("key", pairs(&[("name", &p["KeyName"])]), tags(p, "key-pair"));
                Ok(format!("<keyPairId>{id}</keyPairId>"))
            }
            "DeleteKeyPair" => {
                // It answers the id of what it deletes, and without an error nothing where there is no such name.
                let gone = self.items.extract_if(.., |i| i.is.get("name") == p.get("KeyName")).map(|i| format!("<keyPairId>{}</keyPairId>", i.id)).collect::<String>();
                Ok(format!("{OK}{gone}"))
            }
            "RunInstances" => {
                if self.short.contains(p["InstanceType"].as_str()) {
                    return Err(Refusal("InsufficientInstanceCapacity"));
                }
                let of = |word: &str| p.get(word).map_or("", String::as_str);
                let is = [
                    ("state", "running"),
                    ("subnet", of("NetworkInterface.1.SubnetId")),
                    ("type", of("InstanceType")),
                    ("group", of("NetworkInterface.1.SecurityGroupId.1")),
                    ("protected", of("DisableApiTermination")),
                    ("lifecycle", of("InstanceMarketOptions.MarketType")),
                ];
                let id = self.make("i", pairs(&is), tags(p, "instance"));
                // The image has a second volume that stays.
                self.make("vol", pairs(&[("instance", &id), ("state", "in-use")]), tags(p, "volume"));
                Ok(format!("<instancesSet><item><instanceId>{id}</instanceId></item></instancesSet>"))
            }
            "TerminateInstances" | "StartInstances" | "StopInstances" => {
                for id in listed(p, "InstanceId") {
                    let fallen = self.falls_back.filter(|_| action == "StartInstances");
                    let item = self.of(id, "InvalidInstanceID.NotFound")?;
                    if action == "TerminateInstances" && item.is.get("protected").is_some_and(|p| p == "true") {
                        return Err(Refusal("OperationNotPermitted: The instance may not be terminated. Modify its 'disableApiTermination' instance attribute and try again."));
                    }
                    let state = match action {
                        "TerminateInstances" => "terminated",
                        "StartInstances" if fallen.is_none() => "running",
                        _ => "stopped",
                    };
                    item.is.insert("state".into(), state.into());
                    item.is.insert("reason".into(), fallen.unwrap_or_default().into());
                    if state == "terminated" {
                        let volumes = self.items.iter_mut().filter(|v| v.is.get("instance").is_some_and(|i| i == id));
                        volumes.for_each(|v| _ = v.is.insert("state".into(), "available".into()));
                    }
                }
                Ok(OK.into())
            }
            other => panic!("{other} is not written"),
        }
    }

    fn address(&mut self, action: &str, p: &Pairs) -> Answer {
        const UNKNOWN: &str = "InvalidAllocationID.NotFound";
        if action == "AllocateAddress" {
            let ip = format!("198.51.100.{}", self.ids);
            let id = self.make("eipalloc", pairs(&[("ip", &ip)]), tags(p, "elastic-ip"));
            return Ok(format!("<publicIp>{ip}</publicIp><domain>vpc</domain><allocationId>{id}</allocationId>"));
        }
        let id = match p.get("AssociationId") {
            Some(association) => association.replace("eipassoc", "eipalloc"),
            None => p["AllocationId"].clone(),
        };
        let at = self.of(&id, UNKNOWN)?.is.get("at").cloned();
        match (action, at) {
            ("ReleaseAddress", None) => return self.end(&id, UNKNOWN),
            ("ReleaseAddress", Some(_)) => return Err(Refusal("InvalidIPAddress.InUse")),
            ("DisassociateAddress", None) => return Err(Refusal("InvalidAssociationID.NotFound")),
            ("AssociateAddress", Some(_)) if p.get("AllowReassociation").is_none_or(|a| a != "true") => return Err(Refusal("Resource.AlreadyAssociated")),
            _ => {}
        }
        self.of(&id, UNKNOWN)?.is.remove("at");
        if action == "AssociateAddress" {
            self.of(&p["InstanceId"], "InvalidInstanceID.NotFound")?;
            // Whatever was there is taken away without a word.
            let is_there = |i: &&mut Item| i.is.get("at") == p.get("InstanceId") && i.is.get("private") == p.get("PrivateIpAddress");
            self.items.iter_mut().filter(is_there).for_each(|i| _ = i.is.remove("at"));
            self.of(&id, UNKNOWN)?.is.extend(pairs(&[("at", &p["InstanceId"]), ("private", &p["PrivateIpAddress"])]));
        }
        Ok(OK.into())
    }
    /// A route is `to DESTINATION`, where it leads; an association is `for SUBNET`, its id.
    fn route_table(&mut self, action: &str, p: &Pairs) -> Answer {
        const UNKNOWN: &str = "InvalidRouteTableID.NotFound";
        const TARGETS: [&str; 4] = ["GatewayId", "InstanceId", "NatGatewayId", "VpcPeeringConnectionId"];
        match action {
            "CreateRouteTable" => {
                let same = |i: &&Item| i.kind == "rtb" && i.is.get("token") == p.get("ClientToken");
                let id = match self.items.iter().find(same) {
                    Some(there) => there.id.clone(),
                    None => self.make("rtb", pairs(&[("vpc", &p["VpcId"]), ("token", &p["ClientToken"])]), tags(p, "route-table")),
                };
                return Ok(format!("<routeTable><routeTableId>{id}</routeTableId></routeTable>"));
            }
            "DisassociateRouteTable" => {
                let tables = self.items.iter_mut().filter(|i| i.kind == "rtb");
                let mut before = tables.filter(|i| i.is.values().any(|v| *v == p["AssociationId"]));
                before.next().ok_or(Refusal("InvalidAssociationID.NotFound"))?.is.retain(|_, v| *v != p["AssociationId"]);
                return Ok(OK.into());
            }
            "AssociateRouteTable" => {
                let key = format!("for {}", p["SubnetId"]);
                let holder = self.items.iter().find(|i| i.kind == "rtb" && i.is.contains_key(&key));
                if holder.is_some_and(|i| i.id != p["RouteTableId"]) {
                    return Err(Refusal("Resource.AlreadyAssociated"));
                }
                let association = format!("rtbassoc-{}", p["SubnetId"]);
                self.of(&p["RouteTableId"], UNKNOWN)?.is.insert(key, association.clone());
                return Ok(format!("<associationId>{association}</associationId>"));
            }
            "DeleteRouteTable" if self.of(&p["RouteTableId"], UNKNOWN)?.is.keys().any(|k| k.starts_with("for ")) => return Err(Refusal("DependencyViolation")),
            "DeleteRouteTable" => return self.end(&p["RouteTableId"], UNKNOWN),
            _ if p["RouteTableId"] == MAIN => return Ok(OK.into()),
            _ => {}
        }
        let to = p.get("DestinationCidrBlock").or(p.get("DestinationIpv6CidrBlock")).unwrap();
        let by = TARGETS.iter().find_map(|t| Some(format!("{t} {}", p.get(*t)?)));
        let table = self.of(&p["RouteTableId"], UNKNOWN)?;
        match (action, table.is.contains_key(&format!("to {to}"))) {
            ("CreateRoute", true) => return Err(Refusal("RouteAlreadyExists")),
            ("ReplaceRoute", false) => return Err(Refusal("InvalidParameterValue: There is no route defined for it in the route table. Use CreateRoute instead.")),
            ("DeleteRoute", false) => return Err(Refusal("InvalidRoute.NotFound")),
            ("DeleteRoute", true) => _ = table.is.remove(&format!("to {to}")),
            _ => _ = table.is.insert(format!("to {to}"), by.unwrap()),
        }
        Ok(OK.into())
    }
}
