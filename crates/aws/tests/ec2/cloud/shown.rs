//! What the small EC2 shows of its items: looks by id and by filter, their pages, and each kind as it is in an answer.

use super::{Answer, Item, Pairs, Refusal, Script, listed};
use std::{collections::BTreeSet, time::SystemTime};
use tokio::time::Instant;

impl Script {
    pub(super) fn describe(&self, (kind, _, set, word, unknown): &(&str, &str, &str, &str, &'static str), p: &Pairs) -> Answer {
        let now = Instant::now();
        let ids = listed(p, word);
        let seen: Vec<&Item> = self.items.iter().filter(|i| i.kind == *kind && now >= i.made + self.read_lag).collect();
        if !ids.iter().all(|id| seen.iter().any(|i| i.id == *id)) {
            return Err(Refusal(unknown));
        }
        let from: usize = p.get("NextToken").map_or(0, |t| t.parse().unwrap());
        let is_whole = self.page == 0 || ["key", "eipalloc"].contains(kind);
        let to = if is_whole || !ids.is_empty() { seen.len() } else { (from + self.page).min(seen.len()) };
        let told = |i: &Item| {
            let tags = if now >= i.made + self.tag_lag { i.tags.clone() } else { Pairs::new() };
            let is_for = |subnets: &BTreeSet<&str>| i.is.keys().any(|k| k.strip_prefix("for ").is_some_and(|s| subnets.contains(s)));
            let says = |(name, values): (String, BTreeSet<&str>)| if name == "association.subnet-id" { is_for(&values) } else { values.contains(value(i, &tags, &name).as_str()) };
            let fits = (ids.is_empty() || ids.contains(&i.id.as_str())) && filters(p).all(says);
            fits.then(|| xml(i, &tags))
        };
        let items: String = seen[from..to].iter().filter_map(|i| told(i)).collect();
        let next = if to < seen.len() { format!("<nextToken>{to}</nextToken>") } else { String::new() };
        Ok(format!("<{set}>{items}</{set}>{next}"))
    }
}

pub(super) fn filters(p: &Pairs) -> impl Iterator<Item = (String, BTreeSet<&str>)> {
    (1..).map_while(|n| Some((p.get(&format!("Filter.{n}.Name"))?.clone(), n))).map(|(name, n)| {
        let values = (1..).map_while(|m| p.get(&format!("Filter.{n}.Value.{m}"))).map(String::as_str).collect();
        (name, values)
    })
}
fn value(item: &Item, tags: &Pairs, filter: &str) -> String {
    let found = match filter.strip_prefix("tag:") {
        Some(key) => tags.get(key),
        None if ["instance-state-name", "state"].contains(&filter) => item.is.get("state"),
        None if filter == "instance-id" && item.kind == "i" || filter == "group-id" && item.kind == "sg" => Some(&item.id),
        None if filter == "instance-id" => item.is.get("at"),
        None if filter == "private-ip-address" => item.is.get("private"),
        None if ["group-name", "launch-template-name"].contains(&filter) => item.is.get("name"),
        None if filter == "subnet-id" && item.kind == "subnet" => Some(&item.id),
        None if filter == "subnet-id" => item.is.get("subnet"),
        None if filter == "group-id" => item.is.get("group"),
        None if filter == "internet-gateway-id" => Some(&item.id),
        None => item.is.get("vpc"),
    };
    found.cloned().unwrap_or_default()
}
fn xml(item: &Item, tags: &Pairs) -> String {
    let is = |key: &str| item.is.get(key).cloned().unwrap_or_default();
    let (id, state, vpc) = (&item.id, is("state"), is("vpc"));
    let tags: String = tags.iter().map(|(k, v)| format!("<item><key>{k}</key><value>{v}</value></item>")).collect();
    let tags = format!("<tagSet>{tags}</tagSet>");
    match item.kind {
        "vpc" => {
            let range = |set: &str, word: &str, range: String| if range.is_empty() { range } else { format!("<{set}><item><{word}>{range}</{word}></item></{set}>") };
            let more = range("cidrBlockAssociationSet", "cidrBlock", is("more")) + &range("ipv6CidrBlockAssociationSet", "ipv6CidrBlock", is("ipv6"));
            format!("<item><vpcId>{id}</vpcId><state>{state}</state><cidrBlock>{}</cidrBlock>{more}{tags}</item>", is("cidr"))
        }
        "igw" => {
            let attached = if vpc.is_empty() { String::new() } else { format!("<item><vpcId>{vpc}</vpcId><state>available</state></item>") };
            format!("<item><internetGatewayId>{id}</internetGatewayId><attachmentSet>{attached}</attachmentSet>{tags}</item>")
        }
        "subnet" => {
            let zone = item.is.get("zone").map(|zone| format!("<availabilityZone>{zone}</availabilityZone>")).unwrap_or_default();
            format!("<item><subnetId>{id}</subnetId><vpcId>{vpc}</vpcId><state>{state}</state>{zone}<cidrBlock>{}</cidrBlock>{tags}</item>", is("cidr"))
        }
        "sg" => format!("<item><groupId>{id}</groupId><groupName>{id}</groupName><vpcId>{vpc}</vpcId>{tags}</item>"),
        "sgr" => {
            let told: String = [("ipProtocol", "protocol"), ("fromPort", "from"), ("toPort", "to"), ("cidrIpv4", "cidr"), ("cidrIpv6", "cidr6")]
                .iter()
                .map(|(element, key)| (element, is(key)))
                .filter(|(_, value)| !value.is_empty())
                .map(|(element, value)| format!("<{element}>{value}</{element}>"))
                .collect();
            let (group, is_egress) = (is("group"), is("egress") == "true");
            let peer = item.is.get("peer").map(|id| format!("<referencedGroupInfo><groupId>{id}</groupId></referencedGroupInfo>")).unwrap_or_default();
            let description = item.is.get("description").map(|d| format!("<description>{d}</description>")).unwrap_or_default();
            format!("<item><securityGroupRuleId>{id}</securityGroupRuleId><groupId>{group}</groupId><isEgress>{is_egress}</isEgress>{told}{peer}{description}{tags}</item>")
        }
        "vol" => {
            let told = |element: &str, key: &str| item.is.get(key).filter(|v| !v.is_empty()).map(|v| format!("<{element}>{v}</{element}>")).unwrap_or_default();
            let attached = told("instanceId", "attached");
            let attached = if attached.is_empty() { attached } else { format!("<item>{attached}{}<status>attached</status></item>", told("device", "device")) };
            let all = told("availabilityZone", "zone") + &told("size", "size") + &told("volumeType", "type");
            format!("<item><volumeId>{id}</volumeId><status>{state}</status>{all}<attachmentSet>{attached}</attachmentSet>{tags}</item>")
        }
        "eipalloc" => {
            let at = match item.is.get("at") {
                Some(at) => {
                    format!("<instanceId>{at}</instanceId><associationId>{}</associationId><privateIpAddress>{}</privateIpAddress>", id.replace("alloc", "assoc"), is("private"))
                }
                None => String::new(),
            };
            format!("<item><allocationId>{id}</allocationId><publicIp>{}</publicIp>{at}{tags}</item>", is("ip"))
        }
        "nat" => {
            let at = if is("address").is_empty() { String::new() } else { format!("<allocationId>{}</allocationId><publicIp>198.51.100.7</publicIp>", is("address")) };
            format!(
                "<item><natGatewayId>{id}</natGatewayId><state>{state}</state><subnetId>{}</subnetId><connectivityType>{}</connectivityType>\
                 <natGatewayAddressSet><item>{at}<privateIp>10.0.0.9</privateIp></item></natGatewayAddressSet>{tags}</item>",
                is("subnet"),
                is("connectivity")
            )
        }
        "rtb" => {
            let family = |net: &str| if net.contains(':') { "destinationIpv6CidrBlock" } else { "destinationCidrBlock" };
            let route = |net: &str, by: &str| {
                let (origin, by) = by.split_once(": ").unwrap_or(("CreateRoute", by));
                let (member, id) = by.split_once(' ').unwrap();
                let (element, target) = (family(net), format!("{}{}", member[..1].to_lowercase(), &member[1..]));
                let state = if is("lost") == net { "blackhole" } else { "active" };
                format!("<item><{element}>{net}</{element}><{target}>{id}</{target}><origin>{origin}</origin><state>{state}</state></item>")
            };
            let routes: String = item.is.iter().filter_map(|(k, v)| Some(route(k.strip_prefix("to ")?, v))).collect();
            let association =
                |subnet: &str, id: &str| format!("<item><routeTableAssociationId>{id}</routeTableAssociationId><subnetId>{subnet}</subnetId><main>false</main></item>");
            let associations: String = item.is.iter().filter_map(|(k, v)| Some(association(k.strip_prefix("for ")?, v))).collect();
            let main = if is("main").is_empty() { "" } else { "<item><main>true</main></item>" };
            format!("<item><routeTableId>{id}</routeTableId><vpcId>{vpc}</vpcId><routeSet>{routes}</routeSet><associationSet>{associations}{main}</associationSet>{tags}</item>")
        }
        "lt" => format!("<item><launchTemplateId>{id}</launchTemplateId><launchTemplateName>{}</launchTemplateName>{tags}</item>", is("name")),
        "key" => format!("<item><keyPairId>{id}</keyPairId><keyName>{}</keyName>{tags}</item>", is("name")),
        "eni" => format!(
            "<item><networkInterfaceId>{id}</networkInterfaceId><attachment><instanceId>i-1</instanceId><status>{}</status><deleteOnTermination>true</deleteOnTermination></attachment></item>",
            is("attachment")
        ),
        _ => {
            let subnet = item.is.get("subnet").map(|s| format!("<subnetId>{s}</subnetId>")).unwrap_or_default();
            let lifecycle = if is("lifecycle").is_empty() { String::new() } else { format!("<instanceLifecycle>{}</instanceLifecycle>", is("lifecycle")) };
            let groups = if is("group").is_empty() { String::new() } else { format!("<groupSet><item><groupId>{}</groupId></item></groupSet>", is("group")) };
            let address = "<privateIpAddressesSet><item><privateIpAddress>10.0.0.4</privateIpAddress><primary>true</primary></item>\
                 <item><privateIpAddress>10.0.0.5</privateIpAddress><primary>false</primary></item></privateIpAddressesSet>";
            let devices = item.is.iter().filter(|(k, _)| k.starts_with("/dev/"));
            let devices: String = devices.map(|(k, v)| format!("<item><deviceName>{k}</deviceName><ebs><volumeId>{v}</volumeId></ebs></item>")).collect();
            let age = item.made.elapsed();
            let at = SystemTime::now() - age;
            let at = aws_smithy_types::DateTime::from(at).fmt(aws_smithy_types::date_time::Format::DateTime).unwrap();
            format!(
                "<item><instancesSet><item><instanceId>{id}</instanceId><instanceState><name>{state}</name></instanceState>{subnet}<launchTime>{at}</launchTime>\
                 <stateReason><code>Server.Scripted</code><message>{}</message></stateReason>\
                 <blockDeviceMapping><item><ebs><deleteOnTermination>false</deleteOnTermination></ebs></item>{devices}</blockDeviceMapping>\
                 <instanceType>{}</instanceType>{lifecycle}{groups}<vpcId>{}</vpcId><placement><availabilityZone>eu-west-1a</availabilityZone></placement>\
                 <networkInterfaceSet><item>{address}</item></networkInterfaceSet>{tags}</item></instancesSet></item>",
                is("reason"),
                is("type"),
                item.is.get("vpc").map_or("vpc-1", String::as_str),
            )
        }
    }
}
