//! A small Elastic Load Balancing over HTTP beside the small EC2: what is made under a name is made once, and what holds something keeps it.

use crate::cloud::Pairs;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};
use tokio::time::Instant;

/// Of its API, by which its calls are told from EC2's.
pub const VERSION: &str = "2015-12-01";
const NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";

#[derive(Debug, Clone)]
pub struct Thing {
    pub arn: String,
    /// The parameters of its create.
    pub is: Pairs,
    pub tags: Pairs,
    pub attributes: Pairs,
    pub targets: BTreeSet<String>,
    made: Instant,
}
impl Thing {
    pub fn name(&self) -> &str {
        self.is.get("Name").map_or("", String::as_str)
    }
    fn is(&self, key: &str) -> &str {
        self.is.get(key).map_or("", String::as_str)
    }
}
#[derive(Debug, Default)]
pub struct Balancing {
    pub balancers: Vec<Thing>,
    pub groups: Vec<Thing>,
    pub listeners: Vec<Thing>,
    /// How long a load balancer is being made.
    pub settles: Duration,
    /// Where they all are, if not in `vpc-1`.
    pub vpc: Option<String>,
    /// Subnets that have no range of IPv6, and zones of those that are not in `z`.
    pub without_ipv6: BTreeSet<&'static str>,
    pub zones: BTreeMap<&'static str, &'static str>,
    /// The state of targets, where they are not healthy.
    pub health: Option<(&'static str, &'static str)>,
    made: usize,
}

type Answer = Result<String, &'static str>;
const NO_BALANCER: &str = "LoadBalancerNotFound";
const NO_GROUP: &str = "TargetGroupNotFound";
const NO_IPV6: &str = "ValidationError: You must specify subnets with an associated IPv6 CIDR block.";
/// Which subnets there are and what is in them, among the parameters.
const STANDS: [&str; 2] = ["Subnets.", "SubnetMappings."];

/// A whole answer.
pub fn whole(action: &str, inner: &str) -> String {
    format!("<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result>{inner}</{action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>")
}
/// `A.member.1`, `A.member.2` and so on.
fn listed<'a>(p: &'a Pairs, name: &'a str) -> Vec<&'a str> {
    (1..).map_while(|n| p.get(&format!("{name}.member.{n}"))).map(String::as_str).collect()
}
/// `A.member.1.Key` with `A.member.1.Value` and so on.
fn paired(p: &Pairs, name: &str) -> Pairs {
    let at = |n: usize, part: &str| p.get(&format!("{name}.member.{n}.{part}")).cloned();
    (1..).map_while(|n| Some((at(n, "Key")?, at(n, "Value").unwrap_or_default()))).collect()
}
fn told(element: &str, value: &str) -> String {
    if value.is_empty() { String::new() } else { format!("<{element}>{value}</{element}>") }
}
fn page<'a>(all: Vec<&'a Thing>, p: &Pairs) -> (Vec<&'a Thing>, String) {
    let from: usize = p.get("Marker").map_or(0, |m| m.parse().unwrap());
    let size: usize = p.get("PageSize").map_or(400, |n| n.parse().unwrap());
    let next = if from + size < all.len() { format!("<NextMarker>{}</NextMarker>", from + size) } else { String::new() };
    (all.into_iter().skip(from).take(size).collect(), next)
}

impl Balancing {
    /// Somebody else's.
    pub fn plant(&mut self, kind: &str, name: &str) -> String {
        let is = [("Name", name), ("Type", kind), ("Scheme", "internal"), ("Subnets.member.1", "subnet-1"), ("vpc", "vpc-1")];
        self.make("balancers", is.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }
    fn make(&mut self, kind: &str, is: Pairs) -> String {
        self.made += 1;
        let name = is.get("Name").cloned().unwrap_or_default();
        let word = match kind {
            "balancers" => "loadbalancer/net",
            "groups" => "targetgroup",
            _ => "listener/net",
        };
        let arn = format!("arn:aws:elasticloadbalancing:eu-west-1:1:{word}/{name}/{:016x}", self.made);
        let thing = Thing { arn: arn.clone(), tags: paired(&is, "Tags"), is, attributes: Pairs::new(), targets: BTreeSet::new(), made: Instant::now() };
        match kind {
            "balancers" => self.balancers.push(thing),
            "groups" => self.groups.push(thing),
            _ => self.listeners.push(thing),
        }
        arn
    }
    pub fn balancer(&mut self, arn: &str) -> Result<&mut Thing, &'static str> {
        self.balancers.iter_mut().find(|b| b.arn == arn).ok_or(NO_BALANCER)
    }
    fn group(&mut self, arn: &str) -> Result<&mut Thing, &'static str> {
        self.groups.iter_mut().find(|g| g.arn == arn).ok_or(NO_GROUP)
    }
    fn listener(&mut self, arn: &str) -> Result<&mut Thing, &'static str> {
        self.listeners.iter_mut().find(|l| l.arn == arn).ok_or("ListenerNotFound")
    }
    fn balancer_xml(&self, b: &Thing) -> String {
        let state = if b.made.elapsed() < self.settles { "provisioning" } else { "active" };
        let zones = self.zones_xml(&b.is);
        let groups: String = listed(&b.is, "SecurityGroups").into_iter().map(|g| format!("<member>{g}</member>")).collect();
        format!(
            "<member><LoadBalancerArn>{}</LoadBalancerArn><LoadBalancerName>{}</LoadBalancerName><DNSName>{1}-0123.elb.eu-west-1.amazonaws.com</DNSName><CanonicalHostedZoneId>ZELB</CanonicalHostedZoneId><Scheme>{}</Scheme><VpcId>{}</VpcId>\
             <State><Code>{state}</Code></State><Type>{}</Type><AvailabilityZones>{zones}</AvailabilityZones><SecurityGroups>{groups}</SecurityGroups>\
             <IpAddressType>{}</IpAddressType>{}</member>",
            b.arn,
            b.name(),
            b.is("Scheme"),
            self.vpc.as_deref().unwrap_or("vpc-1"),
            b.is("Type"),
            if Self::is_dual(b) { "dualstack" } else { "ipv4" },
            told("EnablePrefixForIpv6SourceNat", b.is("EnablePrefixForIpv6SourceNat")),
        )
    }
    fn is_dual(b: &Thing) -> bool {
        b.is("IpAddressType") == "dualstack"
    }
    /// Its subnets, each with its kept address.
    fn stands(is: &Pairs) -> BTreeMap<String, Option<String>> {
        let mapping = |n: usize, part: &str| is.get(&format!("SubnetMappings.member.{n}.{part}")).cloned();
        let mapped = (1..).map_while(|n| Some((mapping(n, "SubnetId")?, mapping(n, "AllocationId"))));
        listed(is, "Subnets").into_iter().map(|s| (s.to_owned(), None)).chain(mapped).collect()
    }
    fn zones_xml(&self, is: &Pairs) -> String {
        let prefixes = if is.get("EnablePrefixForIpv6SourceNat").is_some_and(|on| on == "on") {
            "<SourceNatIpv6Prefixes><member>2001:db8:0:0:1::/80</member></SourceNatIpv6Prefixes>"
        } else {
            ""
        };
        let zone = |s: &str| self.zones.get(s).copied().unwrap_or("z");
        let one = |(s, at): (String, Option<String>)| {
            let at = told("AllocationId", &at.unwrap_or_default());
            format!("<member><ZoneName>{}</ZoneName><SubnetId>{s}</SubnetId><LoadBalancerAddresses><member>{at}</member></LoadBalancerAddresses>{prefixes}</member>", zone(&s))
        };
        Self::stands(is).into_iter().map(one).collect()
    }
    /// What the documentation says of subnets, families and listeners together
    /// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/availability-zones.html> and the pages of IP address types).
    fn may_stand(&self, was: Option<&Pairs>, is: &Pairs) -> Result<(), &'static str> {
        let stands = Self::stands(is);
        let is_dual = is.get("IpAddressType").is_some_and(|t| t == "dualstack");
        let zone = |s: &String| self.zones.get(s.as_str()).copied().unwrap_or("z");
        if stands.is_empty() || stands.keys().map(zone).collect::<BTreeSet<_>>().len() != stands.len() {
            return Err("InvalidConfigurationRequest: one subnet of each zone");
        }
        if is_dual && stands.keys().any(|s| self.without_ipv6.contains(s.as_str())) {
            return Err(NO_IPV6);
        }
        let translates = is.get("EnablePrefixForIpv6SourceNat").is_some_and(|on| on == "on");
        let mapped = (1..).map_while(|n| is.get(&format!("SubnetMappings.member.{n}.SubnetId")).map(|_| n));
        let ranges = mapped.filter(|n| is.contains_key(&format!("SubnetMappings.member.{n}.SourceNatIpv6Prefix"))).count();
        if translates && (!is_dual || ranges != stands.len()) || !translates && ranges > 0 {
            return Err("InvalidConfigurationRequest: prefixes for source NAT are of dualstack, and of all subnets");
        }
        let was = was.map(Self::stands).unwrap_or_default();
        let gone: BTreeSet<_> = was.keys().filter(|s| !stands.contains_key(*s)).map(zone).collect();
        if stands.iter().any(|(s, at)| was.get(s).is_some_and(|then| then != at) || !was.contains_key(s) && gone.contains(zone(s))) {
            return Err("InvalidConfigurationRequest: what stays keeps its address, and a zone its subnet");
        }
        Ok(())
    }
    /// Whether a listener of this protocol can lead there.
    fn may_lead(&self, balancer: &str, protocol: &str, group: &str) -> Result<(), &'static str> {
        let (Some(b), Some(g)) = (self.balancers.iter().find(|b| b.arn == balancer), self.groups.iter().find(|g| g.arn == group)) else { return Ok(()) };
        let (is_udp, is_v6) = (protocol.contains("UDP"), g.is("IpAddressType") == "ipv6");
        if is_v6 && !Self::is_dual(b) || is_udp && Self::is_dual(b) && (!is_v6 || b.is("EnablePrefixForIpv6SourceNat") != "on") {
            return Err("InvalidConfigurationRequest: the families of the load balancer and the target group do not go together");
        }
        Ok(())
    }
    fn all_lead(&self, balancer: &str) -> Result<(), &'static str> {
        let led = self.listeners.iter().filter(|l| l.is("LoadBalancerArn") == balancer);
        led.into_iter().try_for_each(|l| self.may_lead(balancer, l.is("Protocol"), l.is("DefaultActions.member.1.TargetGroupArn")))
    }
    /// As a create or an update asked, and as it was before: refused where the one does not follow from the other.
    fn stood(&mut self, arn: &str, change: impl FnOnce(&mut Pairs)) -> Result<(), &'static str> {
        let before = self.balancer(arn)?.is.clone();
        let mut after = before.clone();
        change(&mut after);
        self.may_stand(Some(&before), &after)?;
        self.balancer(arn)?.is = after;
        self.all_lead(arn).inspect_err(|_| {
            if let Ok(b) = self.balancer(arn) {
                b.is = before;
            }
        })
    }
    fn group_xml(&self, g: &Thing) -> String {
        const KEYS: [&str; 11] = [
            "Protocol",
            "Port",
            "VpcId",
            "HealthCheckProtocol",
            "HealthCheckPort",
            "HealthCheckPath",
            "HealthCheckIntervalSeconds",
            "HealthCheckTimeoutSeconds",
            "HealthyThresholdCount",
            "UnhealthyThresholdCount",
            "IpAddressType",
        ];
        let all: String = KEYS.iter().map(|key| told(key, g.is(key))).collect();
        format!("<member><TargetGroupArn>{}</TargetGroupArn><TargetGroupName>{}</TargetGroupName><TargetType>{}</TargetType>{all}</member>", g.arn, g.name(), g.is("TargetType"))
    }
    fn listener_xml(l: &Thing) -> String {
        let certificate = l.is("Certificates.member.1.CertificateArn");
        let certificates =
            if certificate.is_empty() { String::new() } else { format!("<Certificates><member><CertificateArn>{certificate}</CertificateArn></member></Certificates>") };
        format!(
            "<member><ListenerArn>{}</ListenerArn><Protocol>{}</Protocol><Port>{}</Port>{certificates}<DefaultActions><member><Type>forward</Type>\
             <TargetGroupArn>{}</TargetGroupArn></member></DefaultActions></member>",
            l.arn,
            l.is("Protocol"),
            l.is("Port"),
            l.is("DefaultActions.member.1.TargetGroupArn")
        )
    }
    fn leads(&self, balancer: &str, group: &str) -> bool {
        self.listeners.iter().any(|l| (balancer.is_empty() || l.is("LoadBalancerArn") == balancer) && l.is("DefaultActions.member.1.TargetGroupArn") == group)
    }
    fn attributes(of: &Pairs) -> String {
        let all: String = of.iter().map(|(k, v)| format!("<member><Key>{k}</Key><Value>{v}</Value></member>")).collect();
        format!("<Attributes>{all}</Attributes>")
    }

    pub fn act(&mut self, action: &str, p: &Pairs, read_lag: Duration) -> Answer {
        let seen = |t: &&Thing| t.made.elapsed() >= read_lag;
        let of = |key: &str| p.get(key).map_or("", String::as_str);
        let settings: Pairs = p.iter().filter(|(k, _)| !["Action", "Version"].contains(&k.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
        match action {
            "CreateLoadBalancer" => {
                if let Some(there) = self.balancers.iter().find(|b| b.name() == of("Name")) {
                    return if there.is == settings { Ok(format!("<LoadBalancers>{}</LoadBalancers>", self.balancer_xml(there))) } else { Err("DuplicateLoadBalancerName") };
                }
                self.may_stand(None, &settings)?;
                let arn = self.make("balancers", settings);
                let made = self.balancer(&arn)?.clone();
                Ok(format!("<LoadBalancers>{}</LoadBalancers>", self.balancer_xml(&made)))
            }
            "SetSubnets" => {
                let arn = of("LoadBalancerArn").to_owned();
                let stands = |key: &str| STANDS.iter().any(|of| key.starts_with(of));
                self.stood(&arn, |is| {
                    is.retain(|key, _| !stands(key));
                    is.extend(p.iter().filter(|(key, _)| stands(key) || *key == "EnablePrefixForIpv6SourceNat").map(|(k, v)| (k.clone(), v.clone())));
                })?;
                let is = self.balancer(&arn)?.is.clone();
                Ok(format!("<AvailabilityZones>{}</AvailabilityZones>", self.zones_xml(&is)))
            }
            "SetIpAddressType" => {
                self.stood(of("LoadBalancerArn"), |is| drop(is.insert("IpAddressType".into(), of("IpAddressType").to_owned())))?;
                Ok(format!("<IpAddressType>{}</IpAddressType>", of("IpAddressType")))
            }
            "DescribeLoadBalancers" => {
                let (arns, names) = (listed(p, "LoadBalancerArns"), listed(p, "Names"));
                let all: Vec<&Thing> = self.balancers.iter().filter(seen).collect();
                if !arns.iter().all(|arn| all.iter().any(|b| b.arn == *arn)) || !names.iter().all(|name| all.iter().any(|b| b.name() == *name)) {
                    return Err(NO_BALANCER);
                }
                let is_asked = |b: &&Thing| (arns.is_empty() || arns.contains(&b.arn.as_str())) && (names.is_empty() || names.contains(&b.name()));
                let (shown, next) = page(all.into_iter().filter(is_asked).collect(), p);
                Ok(format!("<LoadBalancers>{}</LoadBalancers>{next}", shown.iter().map(|b| self.balancer_xml(b)).collect::<String>()))
            }
            "DeleteLoadBalancer" => {
                if self.balancer(of("LoadBalancerArn")).is_ok_and(|b| b.attributes.get("deletion_protection.enabled").is_some_and(|v| v == "true")) {
                    return Err("OperationNotPermitted: the load balancer cannot be deleted because deletion protection is enabled");
                }
                self.balancers.retain(|b| b.arn != of("LoadBalancerArn"));
                self.listeners.retain(|l| l.is("LoadBalancerArn") != of("LoadBalancerArn"));
                Ok(String::new())
            }
            "CreateTargetGroup" => {
                if let Some(there) = self.groups.iter().find(|g| g.name() == of("Name")) {
                    return if there.is == settings { Ok(format!("<TargetGroups>{}</TargetGroups>", self.group_xml(there))) } else { Err("DuplicateTargetGroupName") };
                }
                let arn = self.make("groups", settings);
                let made = self.group(&arn)?.clone();
                Ok(format!("<TargetGroups>{}</TargetGroups>", self.group_xml(&made)))
            }
            "DescribeTargetGroups" => {
                let is_asked = |g: &&Thing| of("LoadBalancerArn").is_empty() || self.leads(of("LoadBalancerArn"), &g.arn);
                let (shown, next) = page(self.groups.iter().filter(seen).filter(is_asked).collect(), p);
                Ok(format!("<TargetGroups>{}</TargetGroups>{next}", shown.iter().map(|g| self.group_xml(g)).collect::<String>()))
            }
            "ModifyTargetGroup" => {
                let group = self.group(of("TargetGroupArn"))?;
                group.is.extend(settings);
                Ok("<TargetGroups/>".into())
            }
            "DeleteTargetGroup" if self.leads("", of("TargetGroupArn")) => Err("ResourceInUse"),
            "DeleteTargetGroup" => {
                self.groups.retain(|g| g.arn != of("TargetGroupArn"));
                Ok(String::new())
            }
            "RegisterTargets" | "DeregisterTargets" => {
                let beyond = |n: usize| p.get(&format!("Targets.member.{n}.AvailabilityZone")).is_some_and(|zone| zone == "all");
                let is_v6 = self.group(of("TargetGroupArn"))?.is("IpAddressType") == "ipv6";
                for (n, ip) in (1..).map_while(|n| Some((n, p.get(&format!("Targets.member.{n}.Id"))?))).filter_map(|(n, id)| Some((n, id.parse::<IpAddr>().ok()?))) {
                    let is_inside = matches!(ip, IpAddr::V4(ip) if ip.octets()[..2] == [10, 0]) || ip.is_ipv6();
                    if ip.is_ipv6() != is_v6 || action == "RegisterTargets" && is_inside == beyond(n) {
                        return Err("InvalidTarget");
                    }
                }
                let ids: Vec<String> = (1..).map_while(|n| p.get(&format!("Targets.member.{n}.Id")).cloned()).collect();
                let targets = &mut self.group(of("TargetGroupArn"))?.targets;
                if action == "RegisterTargets" {
                    targets.extend(ids);
                } else {
                    targets.retain(|t| !ids.contains(t));
                }
                Ok(String::new())
            }
            "DescribeTargetHealth" => {
                let (state, reason) = self.health.unwrap_or(("healthy", ""));
                let one = |id: &String| format!("<member><Target><Id>{id}</Id></Target><TargetHealth><State>{state}</State>{}</TargetHealth></member>", told("Reason", reason));
                Ok(format!("<TargetHealthDescriptions>{}</TargetHealthDescriptions>", self.group(of("TargetGroupArn"))?.targets.iter().map(one).collect::<String>()))
            }
            "CreateListener" => {
                self.balancer(of("LoadBalancerArn"))?;
                self.group(of("DefaultActions.member.1.TargetGroupArn"))?;
                self.may_lead(of("LoadBalancerArn"), of("Protocol"), of("DefaultActions.member.1.TargetGroupArn"))?;
                if let Some(there) = self.listeners.iter().find(|l| l.is("LoadBalancerArn") == of("LoadBalancerArn") && l.is("Port") == of("Port")) {
                    return if there.is == settings { Ok(format!("<Listeners>{}</Listeners>", Self::listener_xml(there))) } else { Err("DuplicateListener") };
                }
                let arn = self.make("listeners", settings);
                Ok(format!("<Listeners>{}</Listeners>", Self::listener_xml(self.listener(&arn)?)))
            }
            "ModifyListener" => {
                self.group(of("DefaultActions.member.1.TargetGroupArn"))?;
                let there = self.listener(of("ListenerArn"))?.is.clone();
                let protocol = if of("Protocol").is_empty() { &there["Protocol"] } else { of("Protocol") };
                self.may_lead(&there["LoadBalancerArn"], protocol, of("DefaultActions.member.1.TargetGroupArn"))?;
                self.listener(of("ListenerArn"))?.is.extend(settings);
                Ok("<Listeners/>".into())
            }
            "DeleteListener" => {
                self.listener(of("ListenerArn"))?;
                self.listeners.retain(|l| l.arn != of("ListenerArn"));
                Ok(String::new())
            }
            "DescribeListeners" => {
                self.balancer(of("LoadBalancerArn"))?;
                let (shown, next) = page(self.listeners.iter().filter(|l| l.is("LoadBalancerArn") == of("LoadBalancerArn")).collect(), p);
                Ok(format!("<Listeners>{}</Listeners>{next}", shown.into_iter().map(Self::listener_xml).collect::<String>()))
            }
            "DescribeTags" => {
                let mut out = String::new();
                for arn in listed(p, "ResourceArns") {
                    let unknown = if arn.contains(":targetgroup/") { NO_GROUP } else { NO_BALANCER };
                    let thing = self.balancers.iter().chain(&self.groups).find(|t| t.arn == arn).ok_or(unknown)?;
                    let tags: String = thing.tags.iter().map(|(k, v)| format!("<member><Key>{k}</Key><Value>{v}</Value></member>")).collect();
                    out += &format!("<member><ResourceArn>{arn}</ResourceArn><Tags>{tags}</Tags></member>");
                }
                Ok(format!("<TagDescriptions>{out}</TagDescriptions>"))
            }
            "AddTags" => {
                let arn = listed(p, "ResourceArns")[0].to_owned();
                self.balancer(&arn)?.tags.extend(paired(p, "Tags"));
                Ok(String::new())
            }
            "RemoveTags" => {
                let (arn, keys) = (listed(p, "ResourceArns")[0].to_owned(), listed(p, "TagKeys"));
                self.balancer(&arn)?.tags.retain(|k, _| !keys.contains(&k.as_str()));
                Ok(String::new())
            }
            "ModifyLoadBalancerAttributes" | "DescribeLoadBalancerAttributes" => {
                let thing = self.balancer(of("LoadBalancerArn"))?;
                thing.attributes.extend(paired(p, "Attributes"));
                let all: Pairs =
                    [("deletion_protection.enabled", "false"), ("load_balancing.cross_zone.enabled", "false")].into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
                Ok(Self::attributes(&all.into_iter().chain(thing.attributes.clone()).collect()))
            }
            "ModifyTargetGroupAttributes" | "DescribeTargetGroupAttributes" => {
                let thing = self.group(of("TargetGroupArn"))?;
                thing.attributes.extend(paired(p, "Attributes"));
                Ok(Self::attributes(&thing.attributes))
            }
            "ModifyListenerAttributes" | "DescribeListenerAttributes" => {
                let thing = self.listener(of("ListenerArn"))?;
                thing.attributes.extend(paired(p, "Attributes"));
                let mut all = thing.attributes.clone();
                all.entry("tcp.idle_timeout.seconds".into()).or_insert_with(|| "350".into());
                Ok(Self::attributes(&all))
            }
            other => panic!("{other} is not of the small Elastic Load Balancing"),
        }
    }
}
