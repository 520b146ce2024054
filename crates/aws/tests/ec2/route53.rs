//! A small Route 53 over HTTP beside the small EC2: zones, their networks and tags, and changes that name servers learn late.

use crate::{
    cloud::Pairs,
    document::{Element, elements},
    http::Request,
};
use std::{fmt::Write as _, time::Duration};
use tokio::time::Instant;

/// Behind the host's name: the API's version.
const VERSION: &str = "/2013-04-01/";
const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    /// With the query.
    pub path: String,
    pub body: String,
    pub action: &'static str,
    segments: Vec<String>,
}
impl Call {
    /// None where it is not for Route 53.
    pub fn of(request: &Request) -> Option<Self> {
        let mut words = request.head.split_whitespace();
        let (method, path) = (words.next()?, words.next()?);
        let rest = path.strip_prefix(VERSION)?;
        let segments: Vec<String> = rest.split('?').next()?.split('/').filter(|s| !s.is_empty()).map(ToOwned::to_owned).collect();
        let at: Vec<&str> = segments.iter().map(String::as_str).collect();
        let action = match (method, at.as_slice()) {
            ("POST", ["hostedzone"]) => "CreateHostedZone",
            ("GET", ["hostedzone"]) => "ListHostedZones",
            ("GET", ["hostedzone", _]) => "GetHostedZone",
            ("DELETE", ["hostedzone", _]) => "DeleteHostedZone",
            ("POST", ["hostedzone", _]) => "UpdateHostedZoneComment",
            ("POST", ["hostedzone", _, "associatevpc"]) => "AssociateVPCWithHostedZone",
            ("POST", ["hostedzone", _, "disassociatevpc"]) => "DisassociateVPCFromHostedZone",
            ("POST", ["tags", "hostedzone"]) => "ListTagsForResources",
            ("POST", ["tags", "hostedzone", _]) => "ChangeTagsForResource",
            ("GET", ["change", _]) => "GetChange",
            ("GET", ["hostedzone", _, "rrset"]) => "ListResourceRecordSets",
            ("POST", ["hostedzone", _, "rrset"]) => "ChangeResourceRecordSets",
            _ => panic!("{method} {path} is not of the small Route 53"),
        };
        Some(Self { method: method.to_owned(), path: path.to_owned(), body: request.body.clone(), action, segments })
    }
    /// For the judge: one line.
    pub fn line(&self) -> String {
        serde_json::json!({ "method": self.method, "path": self.path, "body": self.body }).to_string()
    }
    /// Of such a line.
    pub fn of_line(line: &str) -> Self {
        let of = serde_json::from_str::<serde_json::Value>(line).unwrap();
        let text = |key: &str| of[key].as_str().unwrap().to_owned();
        Self::of(&Request { head: format!("{} {} HTTP/1.1", text("method"), text("path")), body: text("body") }).unwrap()
    }
    fn query(&self, key: &str) -> Option<String> {
        let query = self.path.split_once('?')?.1;
        form_urlencoded::parse(query.as_bytes()).find(|(k, _)| k == key).map(|(_, v)| v.into_owned())
    }
    /// The texts of the elements at this path below the root, as they are on the wire.
    fn texts(&self, path: &str) -> Vec<String> {
        elements(&self.body).into_iter().filter(|e| e.path == path).map(|e| self.body[e.inner].to_owned()).collect()
    }
    fn text(&self, path: &str) -> Option<String> {
        self.texts(path).pop()
    }
}

#[derive(Debug, Clone)]
pub struct Zone {
    pub id: String,
    pub name: String,
    pub reference: String,
    pub comment: Option<String>,
    pub private: bool,
    /// Region and id.
    pub vpcs: Vec<(String, String)>,
    pub tags: Pairs,
    pub records: usize,
    pub service: Option<String>,
    pub sets: Vec<Set>,
    made: Instant,
}
/// One of a zone's records, or one item of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// As it is shown: with a last dot.
    pub name: String,
    pub of: String,
    pub identifier: String,
    /// The elements behind name and type, as they were sent.
    pub rest: String,
}
impl Set {
    /// Of an element's inside.
    pub fn read(xml: &str) -> Self {
        let all = elements(&format!("<R>{xml}</R>"));
        let text = |path: &str| all.iter().find(|e| e.path == path).map(|e| xml[e.inner.start - 3..e.inner.end - 3].to_owned()).unwrap_or_default();
        let rest = all.iter().filter(|e| !e.path.contains('/') && e.path != "Name" && e.path != "Type").map(|e| &xml[e.whole.start - 3..e.whole.end - 3]).collect();
        Self { name: format!("{}.", text("Name").trim_end_matches('.').to_lowercase()), of: text("Type"), identifier: text("SetIdentifier"), rest }
    }
    /// By name with its labels reversed, type and identifier.
    fn place(&self) -> (String, String, String) {
        (reversed(&self.name), self.of.clone(), self.identifier.clone())
    }
    fn xml(&self) -> String {
        format!("<ResourceRecordSet><Name>{}</Name><Type>{}</Type>{}</ResourceRecordSet>", self.name, self.of, self.rest)
    }
}
/// What one change holds: <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html#limits-api-requests-changeresourcerecordsets>.
/// An UPSERT, of which everything counts twice, is not known here at all.
fn beyond(all: &[Element], body: &str) -> Option<String> {
    let values = all.iter().filter(|e| e.path.ends_with("/ResourceRecords/ResourceRecord/Value"));
    let plain = |text: &str| ["&quot;", "&amp;", "&lt;", "&gt;"].iter().fold(text.to_owned(), |text, entity| text.replace(entity, "."));
    let lengths: Vec<usize> = values.map(|e| plain(&body[e.inner.clone()]).len()).collect();
    let (count, characters) = (lengths.len(), lengths.iter().sum::<usize>());
    (count > 1000 || characters > 32_000).then(|| format!("{count} values of {characters} characters are too many for one change"))
}
/// An alias's target is shown in lower case and with a last dot.
fn shown(rest: &str) -> String {
    let Some((before, (name, after))) = rest.split_once("<DNSName>").and_then(|(before, rest)| Some((before, rest.split_once("</DNSName>")?))) else { return rest.to_owned() };
    format!("{before}<DNSName>{}.</DNSName>{after}", name.trim_end_matches('.').to_lowercase())
}
fn reversed(name: &str) -> String {
    name.trim_end_matches('.').split('.').rev().map(|label| format!("{label}.")).collect()
}
#[derive(Debug, Default)]
pub struct Route53 {
    pub zones: Vec<Zone>,
    /// After how long the name servers have learned of a change.
    pub sync_lag: Duration,
    /// Answered to these in place of what is true, each once.
    pub told: Vec<(&'static str, String)>,
    /// Refusals of the next deletes, as they were recorded.
    pub refused: Vec<(u16, String)>,
    /// Refusals of the next changes of records.
    pub unchanged: Vec<String>,
    /// A health check that no record can have.
    pub missing_check: Option<String>,
    changes: Vec<Instant>,
}

/// In the form of its own that `InvalidChangeBatch` has.
pub fn batch_refusal(messages: &[String]) -> (u16, String) {
    let messages: String = messages.iter().map(|m| format!("<Message>{m}</Message>")).collect();
    (400, format!("<?xml version=\"1.0\"?>\n<InvalidChangeBatch xmlns=\"{NAMESPACE}\"><Messages>{messages}</Messages><RequestId>r</RequestId></InvalidChangeBatch>"))
}
pub fn refusal(code: &str) -> String {
    let (code, text) = code.split_once(": ").unwrap_or((code, "as scripted"));
    format!("<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error><RequestId>r</RequestId></ErrorResponse>")
}
/// Code and status.
type Refusal = (&'static str, u16);
const GONE: Refusal = ("NoSuchHostedZone", 404);

impl Zone {
    fn xml(&self) -> String {
        let comment = self.comment.as_ref().map(|c| format!("<Comment>{c}</Comment>")).unwrap_or_default();
        let service = self.service.as_ref().map(|s| format!("<LinkedService><ServicePrincipal>{s}</ServicePrincipal></LinkedService>")).unwrap_or_default();
        let Self { id, name, reference, private, records, .. } = self;
        format!(
            "<HostedZone><Id>/hostedzone/{id}</Id><Name>{name}.</Name><CallerReference>{reference}</CallerReference><Config>{comment}<PrivateZone>{private}</PrivateZone></Config><ResourceRecordSetCount>{records}</ResourceRecordSetCount>{service}</HostedZone>"
        )
    }
    fn servers(&self) -> String {
        if self.private {
            String::new()
        } else {
            "<DelegationSet><NameServers><NameServer>ns-1.awsdns-00.com</NameServer><NameServer>NS-2.awsdns-00.net.</NameServer></NameServers></DelegationSet>".into()
        }
    }
}

/// What Route 53 puts into every zone.
fn own_records(zone: &str) -> Vec<Set> {
    let own = |of: &str, value: &str| {
        let records = format!("<TTL>900</TTL><ResourceRecords><ResourceRecord><Value>{value}</Value></ResourceRecord></ResourceRecords>");
        Set::read(&format!("<Name>{zone}</Name><Type>{of}</Type>{records}"))
    };
    vec![own("NS", "ns-1.awsdns-00.com."), own("SOA", "ns-1.awsdns-00.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400")]
}

impl Route53 {
    /// A record set of somebody else's: what stands in the element.
    pub fn plant_set(&mut self, zone: &str, xml: &str) {
        self.zone(zone).sets.push(Set::read(xml));
    }
    /// All of it or nothing.
    fn change_records(&mut self, zone: &str, body: &str) -> Result<(), Vec<String>> {
        if !self.unchanged.is_empty() {
            return Err(vec![self.unchanged.remove(0)]);
        }
        let all = elements(body);
        let (mut sets, mut wrong) = (self.zone(zone).sets.clone(), Vec::new());
        let inside = |change: &Element, path: &str| {
            let is_its = |e: &&Element| change.whole.start < e.whole.start && e.whole.end < change.whole.end && e.path == path;
            body[all.iter().find(is_its).unwrap().inner.clone()].to_owned()
        };
        for change in all.iter().filter(|e| e.path == "ChangeBatch/Changes/Change") {
            let mut set = Set::read(&inside(change, "ChangeBatch/Changes/Change/ResourceRecordSet"));
            let what = format!("resource record set [name='{}', type='{}']", set.name, set.of);
            let there = sets.iter().position(|s| s.place() == set.place());
            match (inside(change, "ChangeBatch/Changes/Change/Action").as_str(), there) {
                ("CREATE", Some(_)) => wrong.push(format!("Tried to create {what} but it already exists")),
                ("CREATE", None) => {
                    set.rest = shown(&set.rest);
                    sets.push(set);
                }
                ("DELETE", None) => wrong.push(format!("Tried to delete {what} but it was not found")),
                ("DELETE", Some(at)) if sets[at] != set => wrong.push(format!("Tried to delete {what} but the values provided do not match the current values")),
                ("DELETE", Some(at)) => drop(sets.remove(at)),
                (action, _) => panic!("{action}"),
            }
        }
        wrong.extend(beyond(&all, body));
        if let Some(check) = self.missing_check.as_ref().filter(|c| body.contains(&format!("<HealthCheckId>{c}</HealthCheckId>"))) {
            wrong.push(format!("No health check exists with the specified ID. {check}"));
        }
        if wrong.is_empty() {
            self.zone(zone).sets = sets;
            Ok(())
        } else {
            Err(wrong)
        }
    }
    /// A zone that somebody else has made.
    pub fn plant(&mut self, name: &str, reference: &str) -> String {
        self.make(name, reference).id.clone()
    }
    pub fn zone(&mut self, id: &str) -> &mut Zone {
        self.zones.iter_mut().find(|z| z.id == id).unwrap()
    }
    fn make(&mut self, name: &str, reference: &str) -> &mut Zone {
        let id = format!("Z{:08}", self.zones.len() + self.changes.len() + 1);
        let zone = Zone {
            id,
            name: name.trim_end_matches('.').to_owned(),
            reference: reference.to_owned(),
            comment: None,
            private: false,
            vpcs: Vec::new(),
            tags: Pairs::new(),
            records: 2,
            service: None,
            sets: own_records(name),
            made: Instant::now(),
        };
        self.zones.push(zone);
        self.zones.last_mut().unwrap()
    }
    fn change(&mut self) -> String {
        self.changes.push(Instant::now());
        self.info(self.changes.len())
    }
    fn info(&self, n: usize) -> String {
        let status = if self.changes[n - 1].elapsed() < self.sync_lag { "PENDING" } else { "INSYNC" };
        format!("<ChangeInfo><Id>/change/C{n}</Id><Status>{status}</Status><SubmittedAt>2024-02-11T17:38:53.103Z</SubmittedAt></ChangeInfo>")
    }
    fn of(&mut self, id: &str) -> Result<&mut Zone, Refusal> {
        self.zones.iter_mut().find(|z| z.id == id).ok_or(GONE)
    }
    /// Is this network answered for this name by another zone?
    fn is_taken(&self, zone: &str, name: &str, vpc: &(String, String)) -> bool {
        self.zones.iter().any(|z| z.id != zone && z.name == name && z.vpcs.contains(vpc))
    }

    /// `page`: the most that one list shows, 0 for 100.
    pub fn act(&mut self, call: &Call, read_lag: Duration, page: usize) -> Result<(u16, String), Refusal> {
        if let Some(at) = self.told.iter().position(|(action, _)| *action == call.action) {
            return Ok((200, self.told.remove(at).1));
        }
        if call.action == "DeleteHostedZone" && !self.refused.is_empty() {
            return Ok(self.refused.remove(0));
        }
        let id = call.segments.last().cloned().unwrap_or_default();
        let seen = |z: &&Zone| z.made.elapsed() >= read_lag;
        let vpc = || Some((call.text("VPC/VPCRegion")?, call.text("VPC/VPCId")?));
        let (status, inner) = match call.action {
            "CreateHostedZone" => {
                let reference = call.text("CallerReference").unwrap();
                if self.zones.iter().any(|z| z.reference == reference) {
                    return Err(("HostedZoneAlreadyExists", 409));
                }
                let name = call.text("Name").unwrap();
                if vpc().is_some_and(|v| self.is_taken("", name.trim_end_matches('.'), &v)) {
                    return Err(("ConflictingDomainExists", 400));
                }
                let zone = self.make(&name, &reference);
                (zone.comment, zone.private, zone.vpcs) = (call.text("HostedZoneConfig/Comment"), vpc().is_some(), vpc().into_iter().collect());
                let (xml, servers) = (zone.xml(), zone.servers());
                (201, format!("{xml}{}{servers}", self.change()))
            }
            "ListHostedZones" => {
                let most: usize = call.query("maxitems").map_or(100, |n| n.parse().unwrap()).min(if page == 0 { 100 } else { page });
                let from = call.query("marker").unwrap_or_default();
                let all: Vec<&Zone> = self.zones.iter().filter(seen).filter(|z| z.id >= from).collect();
                let next = all.get(most).map(|z| format!("<NextMarker>{}</NextMarker>", z.id)).unwrap_or_default();
                let shown = all.iter().take(most).map(|z| z.xml()).collect::<String>();
                (200, format!("<HostedZones>{shown}</HostedZones><IsTruncated>{}</IsTruncated>{next}<MaxItems>{most}</MaxItems>", all.len() > most))
            }
            "GetHostedZone" => {
                let zone = self.zones.iter().filter(seen).find(|z| z.id == id).ok_or(GONE)?;
                let mut vpcs = String::new();
                for (region, vpc) in &zone.vpcs {
                    write!(vpcs, "<VPC><VPCRegion>{region}</VPCRegion><VPCId>{vpc}</VPCId></VPC>").unwrap();
                }
                let vpcs = if vpcs.is_empty() { vpcs } else { format!("<VPCs>{vpcs}</VPCs>") };
                (200, format!("{}{}{vpcs}", zone.xml(), zone.servers()))
            }
            "DeleteHostedZone" => {
                if self.of(&id)?.records > 2 {
                    return Err(("HostedZoneNotEmpty", 400));
                }
                self.zones.retain(|z| z.id != id);
                (200, self.change())
            }
            "UpdateHostedZoneComment" => {
                let zone = self.of(&id)?;
                zone.comment = call.text("Comment");
                (200, zone.xml())
            }
            "AssociateVPCWithHostedZone" | "DisassociateVPCFromHostedZone" => {
                let (id, vpc) = (call.segments[1].clone(), vpc().unwrap());
                let name = self.of(&id)?.name.clone();
                let is_taken = self.is_taken(&id, &name, &vpc);
                let zone = self.of(&id)?;
                let has = zone.vpcs.contains(&vpc);
                match call.action {
                    _ if !zone.private => return Err(("PublicZoneVPCAssociation", 400)),
                    // As <https://github.com/saltstack/salt/pull/47480> saw it.
                    "AssociateVPCWithHostedZone" if is_taken || has => return Err(("ConflictingDomainExists", 400)),
                    "AssociateVPCWithHostedZone" => zone.vpcs.push(vpc),
                    _ if !has => return Err(("VPCAssociationNotFound", 404)),
                    _ if zone.vpcs.len() == 1 => return Err(("LastVPCAssociation", 400)),
                    _ => zone.vpcs.retain(|v| *v != vpc),
                }
                (200, self.change())
            }
            "ListTagsForResources" => {
                let mut sets = String::new();
                for id in call.texts("ResourceIds/ResourceId") {
                    // Recorded zones are not of this cloud.
                    let Some(zone) = self.zones.iter().find(|z| z.id == id) else { continue };
                    let tags = zone.tags.iter().map(|(k, v)| format!("<Tag><Key>{k}</Key><Value>{v}</Value></Tag>")).collect::<String>();
                    write!(sets, "<ResourceTagSet><ResourceType>hostedzone</ResourceType><ResourceId>{id}</ResourceId><Tags>{tags}</Tags></ResourceTagSet>").unwrap();
                }
                (200, format!("<ResourceTagSets>{sets}</ResourceTagSets>"))
            }
            "ChangeTagsForResource" => {
                let zone = self.of(&id)?;
                for key in call.texts("RemoveTagKeys/Key") {
                    zone.tags.remove(&key);
                }
                zone.tags.extend(call.texts("AddTags/Tag/Key").into_iter().zip(call.texts("AddTags/Tag/Value")));
                if zone.tags.len() > 10 {
                    return Err(("InvalidInput", 400));
                }
                // "Empty response for the request", as its model has it.
                return Ok((200, String::new()));
            }
            "ListResourceRecordSets" => {
                let zone = self.of(&call.segments[1])?;
                let most: usize = call.query("maxitems").map_or(300, |n| n.parse().unwrap()).min(if page == 0 { 300 } else { page });
                let text = |key: &str| call.query(key).unwrap_or_default();
                let from = (reversed(&text("name")), text("type"), text("identifier"));
                let mut all: Vec<&Set> = zone.sets.iter().filter(|s| text("name").is_empty() || s.place() >= from).collect();
                all.sort_by_key(|s| s.place());
                let next = all.get(most).map(|s| {
                    let identifier = if s.identifier.is_empty() { String::new() } else { format!("<NextRecordIdentifier>{}</NextRecordIdentifier>", s.identifier) };
                    format!("<NextRecordName>{}</NextRecordName><NextRecordType>{}</NextRecordType>{identifier}", s.name, s.of)
                });
                let shown: String = all.iter().take(most).map(|s| s.xml()).collect();
                let is_cut = next.is_some();
                (200, format!("<ResourceRecordSets>{shown}</ResourceRecordSets><IsTruncated>{is_cut}</IsTruncated>{}<MaxItems>{most}</MaxItems>", next.unwrap_or_default()))
            }
            "ChangeResourceRecordSets" => {
                let zone = call.segments[1].clone();
                self.of(&zone)?;
                if let Err(wrong) = self.change_records(&zone, &call.body) {
                    return Ok(batch_refusal(&wrong));
                }
                (200, self.change())
            }
            "GetChange" => (200, self.info(id.trim_start_matches('C').parse().unwrap())),
            other => panic!("{other}"),
        };
        Ok((status, format!("<?xml version=\"1.0\"?>\n<{0}Response xmlns=\"{NAMESPACE}\">{inner}</{0}Response>", call.action)))
    }
}
