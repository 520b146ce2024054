//! The answers of EC2's lists, cut into their items. moto's documents have elements and text, and no attribute below the root, so an item is a
//! stretch of the text.

use super::message::Call;
use std::iter;

/// A list of EC2, as botocore's model has it.
#[derive(Debug)]
pub(super) struct List {
    pub(super) action: &'static str,
    /// The element that holds the items.
    set: &'static str,
    /// Where an item's object is; empty where it is the item itself. Each reservation that we make has one instance.
    object: &'static [&'static str],
    /// The parameter that asks for some by their ids, and the element with the id.
    by_id: &'static str,
    id: &'static str,
    /// What the ids begin with.
    prefix: &'static str,
    /// What EC2 answers where it does not know one (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>).
    pub(super) unknown: &'static str,
    /// What answers the ids of new ones.
    made_by: &'static [&'static str],
}

const fn list(action: &'static str, set: &'static str, [by_id, id, prefix]: [&'static str; 3], unknown: &'static str, made_by: &'static [&'static str]) -> List {
    List { action, set, object: &[], by_id, id, prefix, unknown, made_by }
}
const LISTS: [List; 13] = [
    list("DescribeVpcs", "vpcSet", ["VpcId", "vpcId", "vpc-"], "InvalidVpcID.NotFound", &["CreateVpc"]),
    list("DescribeSubnets", "subnetSet", ["SubnetId", "subnetId", "subnet-"], "InvalidSubnetID.NotFound", &["CreateSubnet"]),
    list("DescribeSecurityGroups", "securityGroupInfo", ["GroupId", "groupId", "sg-"], "InvalidGroup.NotFound", &["CreateSecurityGroup"]),
    list(
        "DescribeSecurityGroupRules",
        "securityGroupRuleSet",
        ["SecurityGroupRuleId", "securityGroupRuleId", "sgr-"],
        "InvalidSecurityGroupRuleId.NotFound",
        &["AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress"],
    ),
    List { object: &["instancesSet", "item"], ..list("DescribeInstances", "reservationSet", ["InstanceId", "instanceId", "i-"], "InvalidInstanceID.NotFound", &["RunInstances"]) },
    list("DescribeInternetGateways", "internetGatewaySet", ["InternetGatewayId", "internetGatewayId", "igw-"], "InvalidInternetGatewayID.NotFound", &["CreateInternetGateway"]),
    list("DescribeRouteTables", "routeTableSet", ["RouteTableId", "routeTableId", "rtb-"], "InvalidRouteTableID.NotFound", &["CreateRouteTable"]),
    list(
        "DescribeNetworkInterfaces",
        "networkInterfaceSet",
        ["NetworkInterfaceId", "networkInterfaceId", "eni-"],
        "InvalidNetworkInterfaceID.NotFound",
        &["CreateNetworkInterface", "RunInstances"],
    ),
    list("DescribeVolumes", "volumeSet", ["VolumeId", "volumeId", "vol-"], "InvalidVolume.NotFound", &["CreateVolume", "RunInstances"]),
    list("DescribeAddresses", "addressesSet", ["AllocationId", "allocationId", "eipalloc-"], "InvalidAllocationID.NotFound", &["AllocateAddress"]),
    list("DescribeNatGateways", "natGatewaySet", ["NatGatewayId", "natGatewayId", "nat-"], "NatGatewayNotFound", &["CreateNatGateway"]),
    list("DescribeLaunchTemplates", "launchTemplates", ["LaunchTemplateId", "launchTemplateId", "lt-"], "InvalidLaunchTemplateId.NotFound", &["CreateLaunchTemplate"]),
    list("DescribeKeyPairs", "keySet", ["KeyPairId", "keyPairId", "key-"], "InvalidKeyPair.NotFound", &["ImportKeyPair", "CreateKeyPair"]),
];

/// Where an object says what a filter asks for; `tag:...` apart, which every object says in the same way.
const FILTERS: [(&str, &[&[&str]]); 24] = [
    ("allocation-id", &[&["allocationId"]]),
    ("association.main", &[&["associationSet", "item", "main"]]),
    ("association.subnet-id", &[&["associationSet", "item", "subnetId"]]),
    ("attachment.instance-id", &[&["attachmentSet", "item", "instanceId"], &["attachment", "instanceId"]]),
    ("attachment.vpc-id", &[&["attachmentSet", "item", "vpcId"]]),
    ("egress.ip-permission.group-id", &[&["ipPermissionsEgress", "item", "groups", "item", "groupId"]]),
    // Of the group of a rule and not its peer, and of those that an interface or an instance is in.
    ("group-id", &[&["groupId"], &["groupSet", "item", "groupId"]]),
    ("group-name", &[&["groupName"]]),
    ("instance-id", &[&["instanceId"]]),
    ("instance-state-name", &[&["instanceState", "name"]]),
    ("internet-gateway-id", &[&["internetGatewayId"]]),
    ("ip-permission.group-id", &[&["ipPermissions", "item", "groups", "item", "groupId"]]),
    ("key-name", &[&["keyName"]]),
    ("launch-template-name", &[&["launchTemplateName"]]),
    ("nat-gateway-id", &[&["natGatewayId"]]),
    ("network-interface-id", &[&["networkInterfaceId"]]),
    ("private-ip-address", &[&["privateIpAddress"]]),
    ("public-ip", &[&["publicIp"]]),
    ("route-table-id", &[&["routeTableId"]]),
    ("state", &[&["state"]]),
    ("status", &[&["status"]]),
    ("subnet-id", &[&["subnetId"]]),
    ("volume-id", &[&["volumeId"]]),
    ("vpc-id", &[&["vpcId"]]),
];

/// An item of a list: the id of its object, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) text: String,
}
/// What one answer of a list shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Page {
    pub(super) items: Vec<Item>,
    pub(super) next: Option<String>,
}

impl Page {
    /// The part of the whole list that the call asks for; moto pages instances, and nothing else. A token is the id of the last item before it, so
    /// that nothing is lost or shown twice when others come and go.
    pub(super) fn cut(mut self, call: &Call) -> Self {
        let most: Option<usize> = call.param("MaxResults").map(|n| n.parse().unwrap());
        let after = call.param("NextToken").filter(|token| List::of_id(token).is_some());
        if call.action() == "DescribeInstances" || (after.is_none() && most.is_none_or(|most| self.items.len() <= most)) {
            return self;
        }
        self.items.sort_by(|a, b| a.id.cmp(&b.id));
        self.items.retain(|item| after.is_none_or(|after| item.id.as_str() > after));
        if let Some(most) = most.filter(|most| self.items.len() > *most) {
            self.items.truncate(most);
            self.next = self.items.last().map(|item| item.id.clone());
        }
        self
    }
}
impl List {
    pub(super) fn of(action: &str) -> Option<&'static Self> {
        LISTS.iter().find(|l| l.action == action)
    }
    /// The list that shows what has this id.
    pub(super) fn of_id(id: &str) -> Option<&'static Self> {
        let is = |l: &&Self| id.strip_prefix(l.prefix).is_some_and(|rest| rest.len() >= 8 && rest.bytes().all(|b| b.is_ascii_hexdigit()));
        LISTS.iter().find(is)
    }
    pub(super) fn is_made_by(&self, action: &str) -> bool {
        self.made_by.contains(&action)
    }
    /// The ids that a call asks for.
    pub(super) fn asked<'c>(&self, call: &'c Call) -> Vec<&'c str> {
        call.listed(self.by_id)
    }

    pub(super) fn read(&self, document: &str) -> Page {
        let answer = elements(document).find(|e| e.name == format!("{}Response", self.action)).unwrap_or_else(|| panic!("no answer of {}: {document}", self.action));
        let items = elements(answer.content).filter(|e| e.name == self.set).flat_map(|set| elements(set.content));
        let item = |e: Element<'_>| Item { id: told(self.object(e.whole), &[self.id])[0].to_owned(), text: e.whole.to_owned() };
        let next = told(answer.content, &["nextToken"]).into_iter().find(|token| !token.is_empty());
        Page { items: items.map(item).collect(), next: next.map(str::to_owned) }
    }
    pub(super) fn write(&self, page: &Page) -> String {
        let items: String = page.items.iter().map(|i| i.text.as_str()).collect();
        let next = page.next.as_ref().map_or_else(String::new, |token| format!("<nextToken>{token}</nextToken>"));
        let (action, set) = (self.action, self.set);
        format!("<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>proxy</requestId><{set}>{items}</{set}>{next}</{action}Response>")
    }
    fn object<'t>(&self, item: &'t str) -> &'t str {
        let path = [&["item"], self.object].concat();
        told(item, &path)[0]
    }

    /// Is this item among those that the call asks for?
    pub(super) fn fits(&self, call: &Call, item: &Item) -> bool {
        let asked = self.asked(call);
        (asked.is_empty() || asked.contains(&item.id.as_str()))
            && call.filters().all(|(name, values)| said(self.object(&item.text), name).iter().any(|v| values.contains(&v.as_str())))
    }
}

/// What an object says to a filter.
fn said(object: &str, filter: &str) -> Vec<String> {
    if let Some(key) = filter.strip_prefix("tag:") {
        let tags = told(object, &["tagSet", "item"]).into_iter().filter(|tag| told(tag, &["key"]).iter().any(|k| plain(k) == key));
        return tags.flat_map(|tag| told(tag, &["value"])).map(plain).collect();
    }
    let (_, paths) = FILTERS.iter().find(|(name, _)| *name == filter).unwrap_or_else(|| panic!("the filter {filter} is not in the proxy's table"));
    paths.iter().flat_map(|path| told(object, path)).map(plain).collect()
}

/// An element: its name, all of it, and what is in it.
#[derive(Debug, Clone, Copy)]
struct Element<'t> {
    name: &'t str,
    whole: &'t str,
    content: &'t str,
}
/// The elements directly in a content.
fn elements(content: &str) -> impl Iterator<Item = Element<'_>> {
    let mut rest = content;
    iter::from_fn(move || {
        loop {
            let begin = rest.find('<')?;
            let inside = begin + rest[begin..].find('>')? + 1;
            let tag = &rest[begin + 1..inside - 1];
            let name = tag.split([' ', '/']).next()?;
            if tag.starts_with('?') {
                rest = &rest[inside..];
                continue;
            }
            let (content, end) = if tag.ends_with('/') { ("", inside) } else { up_to_its_end(rest, name, inside)? };
            let element = Element { name, whole: &rest[begin..end], content };
            rest = &rest[end..];
            return Some(element);
        }
    })
}
/// What is in the element whose content begins at `inside`, and where it ends: those of its name in it end before it.
fn up_to_its_end<'t>(text: &'t str, name: &str, inside: usize) -> Option<(&'t str, usize)> {
    let (opened, closed) = (format!("<{name}>"), format!("</{name}>"));
    let (mut open, mut at) = (1, inside);
    loop {
        let close = at + text[at..].find(&closed)?;
        open += text[at..close].matches(&opened).count();
        open -= 1;
        at = close + closed.len();
        if open == 0 {
            return Some((&text[inside..close], at));
        }
    }
}
/// What is in each of the elements on this path.
fn told<'t>(content: &'t str, path: &[&str]) -> Vec<&'t str> {
    match path.split_first() {
        Some((first, rest)) => elements(content).filter(|e| e.name == *first).flat_map(|e| told(e.content, rest)).collect(),
        None => vec![content],
    }
}
fn plain(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}
