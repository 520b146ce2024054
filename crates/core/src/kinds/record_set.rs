//! A record set of a zone: what is answered for one name and one type.

use super::{api_enum, kind};
use crate::{
    AnyRef, Change, CloudProvider, Condition, DnsName, DnsZone, Driver, Error, ErrorKind, Kind, LoadBalancer, Managed, Name, NoAction, Object, ProviderId, Reason, RecordData,
    RecordId, RecordType, Ref, ResourceId, Revision, Target, VendorConfig, Violation,
};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeSet};

kind! {
    /// All records of one name and type in a zone, with its routing policy. Its id is that name and type: `www.example.com~A`.
    ///
    /// Records carry no mark. A record set is ours by its row in the store, and any other only once it was adopted; every change is made against exactly
    /// what was there before.
    RecordSet at "recordSets" in Name<DnsZone>, id RecordId, spec RecordSetSpec, status RecordSetStatus,
    fields &["ttl_s", "values", "alias", "alias.load_balancer", "alias.check_health", "routing", "items", "items.id", "items.values", "items.alias", "items.alias.load_balancer",
        "items.alias.check_health", "items.weight", "items.region", "items.country", "items.failover", "items.health_check", "provider_config"],
    input_only &[],
    reader |p| p.record_sets().map(|d| d as &dyn crate::Reader<Self>),
    zone |_, _| None,
    condition |_| Condition::Usable,
    refs |spec| spec.refs(),
    marked false
}

api_enum! {
    /// How it is decided which of several items of a record set is answered.
    Routing {
        /// There is one item, which is the record set's own values.
        Simple = "SIMPLE",
        /// By chance, in the proportion of their weights.
        Weighted = "WEIGHTED",
        /// That of the region nearest to who asks, in time.
        NearestRegion = "NEAREST_REGION",
        /// By the country of who asks.
        Country = "COUNTRY",
        /// The primary one while it is healthy.
        Failover = "FAILOVER",
        /// Some of those that are healthy.
        Multivalue = "MULTIVALUE",
    }
}
api_enum! {
    /// When an item of a failover policy is answered.
    FailoverRole {
        /// While it is healthy.
        Primary = "PRIMARY",
        /// While the primary one is not.
        Secondary = "SECONDARY",
    }
}

/// What a record set should be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordSetSpec {
    /// For how many seconds an answer may be kept: 300 where it is left open. What is nothing but aliases has none.
    pub ttl_s: Option<u32>,
    /// What is answered where there is no policy: each value as [`RecordData`] reads it. Their order means nothing.
    pub values: Vec<String>,
    /// Whose addresses are answered instead of values, where there is no policy.
    pub alias: RecordAlias,
    /// The policy; simple where it is left open.
    pub routing: Routing,
    /// What is answered by a policy. Their order means nothing.
    pub items: Vec<RecordItem>,
    /// The vendor's extension.
    pub provider_config: Option<VendorConfig>,
}

/// A load balancer whose addresses are answered, as they are at that moment: where the zone begins too. Only of types A and AAAA.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordAlias {
    /// Which, in whatever location. None where this is no alias.
    pub load_balancer: Option<Ref<LoadBalancer>>,
    /// Is it answered only while one of its backends is healthy?
    pub check_health: bool,
}
impl RecordAlias {
    /// An alias of this load balancer.
    #[must_use]
    pub fn of(load_balancer: Ref<LoadBalancer>) -> Self {
        Self { load_balancer: Some(load_balancer), check_health: false }
    }
    /// Is this no alias?
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
    /// As drivers show it: the load balancer is called by the vendor's id.
    fn as_shown(&self) -> Self {
        let shown = |r: &Ref<LoadBalancer>| {
            let called = r.vendor_id.as_ref().and_then(|id| LoadBalancer::foreign_id(id.as_str()).ok());
            Ref { name: called.map_or_else(|| r.name.clone(), |id| Name::new(r.name.parent.clone(), id)), vendor_id: r.vendor_id.clone() }
        };
        Self { load_balancer: self.load_balancer.as_ref().map(shown), check_health: self.check_health }
    }
    fn any(&mut self, path: impl FnOnce() -> Cow<'static, str>) -> Option<AnyRef<'_>> {
        self.load_balancer.as_mut().map(|r| r.any(path()))
    }
}

/// One of the answers of a routing policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordItem {
    /// Its id among them: 1 to 128 printable characters.
    pub id: String,
    /// What it answers.
    pub values: Vec<String>,
    /// Whose addresses it answers instead. It is left out where there is none, so that it does not count as set.
    #[serde(skip_serializing_if = "RecordAlias::is_none")]
    pub alias: RecordAlias,
    /// Of a weighted policy: its share, 0 to 255. Where all are 0, all are answered alike.
    pub weight: Option<u32>,
    /// Of a policy by the nearest region: the cloud's region.
    pub region: Option<String>,
    /// Of a policy by country: two capital letters of ISO 3166-1, or `*` for everybody that no other item is for.
    pub country: Option<String>,
    /// Of a failover policy.
    pub failover: FailoverRole,
    /// The vendor's id of the health check that it depends on.
    pub health_check: Option<String>,
}

/// What a record set is: its id again, for people.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordSetStatus {
    /// The name that is asked for.
    pub dns_name: Option<DnsName>,
    /// And what of it.
    pub record_type: Option<RecordType>,
}
impl RecordSetStatus {
    /// That of this id.
    #[must_use]
    pub fn of(id: &RecordId) -> Self {
        Self { dns_name: Some(id.name.clone()), record_type: Some(id.record_type) }
    }
}

/// What a record set gets that says nothing of it.
const DEFAULT_TTL_S: u32 = 300;
/// RFC 2181, 8: a TTL has 31 bits.
const MAX_TTL_S: u32 = 0x7fff_ffff;
/// Route 53's bound of a weight and of an id, the narrowest among vendors that have them.
/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecordSet.html>
const MAX_WEIGHT: u32 = 255;
const MAX_ITEM_ID: usize = 128;
/// More items than any vendor takes, and few enough to compare with each other.
const MAX_ITEMS: usize = 1000;
const MAX_VALUES: usize = 1000;

impl Managed for RecordSet {
    type Action = NoAction;
    type Outcome = ();
    type Question = NoAction;
    type Answer = ();
    fn driver(p: &dyn CloudProvider) -> Option<&dyn Driver<Self>> {
        p.record_sets()
    }
    fn label(_: &RecordId) -> Option<&ResourceId> {
        None
    }
    fn zone_mut(_: &mut RecordSetSpec) -> Option<&mut Option<String>> {
        None
    }
    fn violations(spec: &RecordSetSpec) -> Vec<Violation> {
        let mut out = Vec::new();
        if spec.ttl_s.is_some_and(|ttl| ttl > MAX_TTL_S) {
            out.push(Violation::new("ttl_s", format!("at most {MAX_TTL_S} seconds")));
        }
        let is_simple = spec.is_simple();
        out.extend(spec.contradictions());
        if is_simple && spec.items.is_empty() && spec.values.is_empty() && spec.alias.is_none() {
            // Whichever of the two an update has taken away.
            out.push(Violation::new("values", "a record set says something: give at least one value, or an alias"));
            out.push(Violation::new("alias", "or an alias"));
        }
        if spec.items.len() > MAX_ITEMS {
            out.push(Violation::new("items", format!("at most {MAX_ITEMS}, got {}", spec.items.len())));
            return out;
        }
        let many = |field: &str, values: &[String]| (values.len() > MAX_VALUES).then(|| Violation::new(field, format!("at most {MAX_VALUES} values, got {}", values.len())));
        out.extend(many("values", &spec.values));
        let mut ids = BTreeSet::new();
        let mut places = BTreeSet::new();
        for (i, item) in spec.items.iter().enumerate().filter(|_| !is_simple) {
            let field = |name: &str| format!("items[{i}].{name}");
            if item.id.is_empty() || item.id.chars().count() > MAX_ITEM_ID || item.id.chars().any(char::is_control) {
                out.push(Violation::new(field("id"), format!("an id has 1 to {MAX_ITEM_ID} characters without control characters")));
            } else if !ids.insert(&item.id) {
                out.push(Violation::new(field("id"), format!("{:?} is there twice", item.id)));
            }
            match (item.values.is_empty(), item.alias.is_none()) {
                (true, true) => out.push(Violation::new(field("values"), "an item says something: give at least one value, or an alias")),
                (false, false) => out.push(Violation::new(field("alias"), NOT_BOTH)),
                (true, false) if spec.routing == Routing::Multivalue => out.push(Violation::new(field("alias"), "each answer of this policy is a value of its own")),
                _ => {}
            }
            out.extend(item.alias.violation(&field("alias")));
            out.extend(many(&field("values"), &item.values));
            out.extend(item.policy_violations(spec.routing).into_iter().map(|(name, why)| Violation::new(field(name), why)));
            if let Some((name, place)) = item.place(spec.routing)
                && !places.insert(place.clone())
            {
                out.push(Violation::new(field(name), format!("{place} is there twice")));
            }
        }
        if spec.routing == Routing::Failover && !spec.items.is_empty() && !spec.items.iter().any(|i| i.failover == FailoverRole::Primary) {
            out.push(Violation::new("items", "a failover policy has a primary item"));
        }
        out
    }
    fn canonical(id: &RecordId, spec: &mut RecordSetSpec) -> Vec<Violation> {
        let of = id.record_type;
        let mut out = Vec::new();
        if of == RecordType::Cname && spec.routing == Routing::Multivalue || of == RecordType::Ns && spec.routing != Routing::Simple && spec.routing != Routing::Unspecified {
            out.push(Violation::new("routing", format!("{} is not possible for records of type {of}", spec.routing)));
        }
        // Also of what an update comes to, where neither of two fields that contradict each other may be the one that was changed.
        out.extend(spec.contradictions());
        if spec.has_ttl() {
            spec.ttl_s.get_or_insert(DEFAULT_TTL_S);
        }
        if spec.routing == Routing::Unspecified {
            spec.routing = Routing::Simple;
        }
        out.extend(canonical_values(of, &mut spec.values, "values"));
        out.extend(spec.alias.misplaced(of, "alias"));
        for (i, item) in spec.items.iter_mut().enumerate() {
            out.extend(canonical_values(of, &mut item.values, &format!("items[{i}].values")));
            out.extend(item.alias.misplaced(of, &format!("items[{i}].alias")));
        }
        spec.items.sort();
        out
    }
    fn version(spec: &RecordSetSpec) -> Option<Revision> {
        // Whatever a load balancer is called. Data cannot fail to serialise.
        let RecordSetSpec { ttl_s, values, alias, routing, items, .. } = Self::as_shown(spec);
        let text = serde_json::to_vec(&(ttl_s, values, routing, items, alias)).unwrap_or_default();
        Some(Revision(blake3::hash(&text).to_hex()[..32].to_owned()))
    }
}

/// For drivers.
impl RecordSet {
    /// Whom a target means: the zone by the vendor's id, and the record set's own id.
    ///
    /// # Errors
    /// `InvalidArgument` where the vendor's id is no id of a record set.
    pub fn addressed(target: &Target<Self>) -> Result<(String, RecordId), Error> {
        let id = match target {
            Target::Named { name, .. } => name.id.clone(),
            Target::Vendor { vendor_id, .. } => RecordId::of_vendor(vendor_id.as_str())?,
        };
        Ok((target.parent().id.decoded(), id))
    }
    /// What is wanted as drivers show what is there, so that the two can be compared: each load balancer is called by the vendor's id.
    #[must_use]
    pub fn as_shown(wanted: &RecordSetSpec) -> RecordSetSpec {
        let mut spec = wanted.clone();
        for alias in spec.aliases_mut() {
            *alias = alias.as_shown();
        }
        spec
    }
    /// As a read shows it: its own id is the vendor's.
    ///
    /// # Errors
    /// `Internal` where the cloud's id of it has no form.
    pub fn shown(cloud: &str, location: &str, zone: &Name<DnsZone>, id: RecordId, spec: RecordSetSpec) -> Result<Object<Self>, Error> {
        Ok(Object {
            vendor_id: id.to_string().parse()?,
            provider_id: ProviderId::new(cloud, "", &[location.to_owned(), zone.id.decoded(), id.to_string()])?,
            mark: None,
            revision: Self::version(&spec),
            created_ms: None,
            status: RecordSetStatus::of(&id),
            name: Name::new(zone.clone(), id),
            spec,
        })
    }
    /// Is what is there what the change is to be made from?
    ///
    /// # Errors
    /// `Aborted` (`ETAG_MISMATCH`) where it is not.
    pub fn check_expected(change: &Change<Self>, there: &RecordSetSpec) -> Result<(), Error> {
        if change.expect.is_none() || Self::version(there) == change.expect {
            return Ok(());
        }
        let target = change.target.to_string();
        Err(Error::new(ErrorKind::Aborted, Reason::EtagMismatch, format!("{target} is not as it was: somebody else has changed it")).with_resource(target))
    }
}

/// Why values and an alias do not go together.
const NOT_BOTH: &str = "values are answered, or the addresses of a load balancer: leave one of the two out";

impl RecordAlias {
    /// Why there is no such alias of this type.
    fn misplaced(&self, of: RecordType, field: &str) -> Option<Violation> {
        let has_addresses = matches!(of, RecordType::A | RecordType::Aaaa);
        (!self.is_none() && !has_addresses).then(|| Violation::new(field, format!("a load balancer has addresses: an alias of it is of type A or AAAA, and this is {of}")))
    }
    fn violation(&self, field: &str) -> Option<Violation> {
        (self.check_health && self.load_balancer.is_none()).then(|| Violation::new(format!("{field}.load_balancer"), "an alias is one of a load balancer"))
    }
}
impl RecordSetSpec {
    /// Every load balancer that it is an alias of.
    pub fn aliases(&self) -> impl Iterator<Item = &RecordAlias> {
        std::iter::once(&self.alias).chain(self.items.iter().map(|item| &item.alias)).filter(|alias| !alias.is_none())
    }
    fn aliases_mut(&mut self) -> impl Iterator<Item = &mut RecordAlias> {
        std::iter::once(&mut self.alias).chain(self.items.iter_mut().map(|item| &mut item.alias))
    }
    fn refs(&mut self) -> Vec<AnyRef<'_>> {
        let own = self.alias.any(|| "alias.load_balancer".into());
        let items = self.items.iter_mut().enumerate();
        own.into_iter().chain(items.filter_map(|(i, item)| item.alias.any(|| format!("items[{i}].alias.load_balancer").into()))).collect()
    }
    fn is_simple(&self) -> bool {
        matches!(self.routing, Routing::Unspecified | Routing::Simple)
    }
    /// Is there anything that is kept for a time of its own? What an alias answers is the load balancer's.
    fn has_ttl(&self) -> bool {
        !self.values.is_empty() || self.items.iter().any(|item| !item.values.is_empty()) || self.aliases().next().is_none()
    }
    /// Fields that do not go together.
    fn contradictions(&self) -> Vec<Violation> {
        let mut out = Vec::new();
        let (has_values, is_alias) = (!self.values.is_empty(), !self.alias.is_none());
        match (self.is_simple(), self.items.is_empty()) {
            (true, false) => out.push(Violation::new("items", "only a routing policy has items: choose the routing, or give values instead")),
            (true, true) if has_values && is_alias => out.push(Violation::new("alias", NOT_BOTH)),
            (false, _) if has_values => out.push(Violation::new("values", "with a routing policy each item has values of its own: leave these out")),
            (false, _) if is_alias => out.push(Violation::new("alias", "with a routing policy each item has an alias of its own: leave this out")),
            (false, true) => out.push(Violation::new("items", format!("the policy {} decides between items: give at least one", self.routing))),
            _ => {}
        }
        out.extend(self.alias.violation("alias"));
        if self.ttl_s.is_some() && !self.has_ttl() {
            out.push(Violation::new("ttl_s", "an alias is answered for as long as the load balancer says: leave it out"));
        }
        out
    }
}

/// Values in their canonical form and order. What is wrong is told by the caller's order.
fn canonical_values(of: RecordType, values: &mut [String], field: &str) -> Vec<Violation> {
    let mut out = Vec::new();
    let mut data = Vec::with_capacity(values.len());
    for (i, value) in values.iter_mut().enumerate() {
        match RecordData::parse(of, value) {
            Ok(read) => {
                *value = read.to_string();
                data.push(read);
            }
            Err(e) => out.push(Violation::new(format!("{field}[{i}]"), e.message())),
        }
    }
    if out.is_empty() && !data.is_empty() {
        out = RecordData::violations(of, &data, field);
    }
    values.sort();
    out
}

impl RecordItem {
    /// Which of the policies' fields are missing, out of bounds or another policy's.
    fn policy_violations(&self, routing: Routing) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        let fields = [
            ("weight", Routing::Weighted, self.weight.is_some()),
            ("region", Routing::NearestRegion, self.region.is_some()),
            ("country", Routing::Country, self.country.is_some()),
            ("failover", Routing::Failover, self.failover != FailoverRole::Unspecified),
        ];
        for (name, of, is_set) in fields {
            match (routing == of, is_set) {
                (true, false) => out.push((name, format!("the policy {of} needs it"))),
                (false, true) => out.push((name, format!("it is of the policy {of}, and this is {routing}"))),
                _ => {}
            }
        }
        if let Some(weight) = self.weight.filter(|w| *w > MAX_WEIGHT) {
            out.push(("weight", format!("must be between 0 and {MAX_WEIGHT}, got {weight}")));
        }
        if let Some(country) = self.country.as_ref().filter(|c| *c != "*" && !(c.len() == 2 && c.bytes().all(|b| b.is_ascii_uppercase()))) {
            out.push(("country", format!("{country:?} is not two capital letters of ISO 3166-1, and not *")));
        }
        if self.region.as_ref().is_some_and(|r| r.is_empty() || r.len() > 64 || r.chars().any(|c| c.is_control() || c.is_whitespace())) {
            out.push(("region", "a region has 1 to 64 characters without spaces".to_owned()));
        }
        if self.health_check.as_ref().is_some_and(|h| h.is_empty() || h.len() > 255 || h.chars().any(char::is_control)) {
            out.push(("health_check", "an id has 1 to 255 characters without control characters".to_owned()));
        }
        out
    }
    /// What no two items of a policy can have in common.
    fn place(&self, routing: Routing) -> Option<(&'static str, String)> {
        match routing {
            Routing::NearestRegion => Some(("region", self.region.clone()?)),
            Routing::Country => Some(("country", self.country.clone()?)),
            Routing::Failover if self.failover != FailoverRole::Unspecified => Some(("failover", self.failover.to_string())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> RecordId {
        text.parse().unwrap()
    }
    fn simple(values: &[&str]) -> RecordSetSpec {
        RecordSetSpec { values: values.iter().map(|v| (*v).to_owned()).collect(), ..RecordSetSpec::default() }
    }
    fn alias_of(name: &str, vendor_id: Option<&str>) -> RecordSetSpec {
        let name = format!("locations/eu-west-1/loadBalancers/{name}").parse().unwrap();
        RecordSetSpec { alias: RecordAlias::of(Ref { name, vendor_id: vendor_id.map(|id| id.parse().unwrap()) }), ..RecordSetSpec::default() }
    }
    fn item(name: &str) -> RecordItem {
        RecordItem { id: name.into(), values: vec!["192.0.2.1".into()], ..RecordItem::default() }
    }
    fn routed(routing: Routing, items: Vec<RecordItem>) -> RecordSetSpec {
        RecordSetSpec { routing, items, ..RecordSetSpec::default() }
    }
    fn fields(violations: &[Violation]) -> Vec<&str> {
        violations.iter().map(|v| v.field.as_str()).collect()
    }

    #[test]
    fn one_record_set_has_one_form() {
        let mut written = simple(&["20 Mail2.Example.com.", "10 mail.example.com"]);
        assert_eq!(RecordSet::canonical(&id("example.com~MX"), &mut written), []);
        assert_eq!(written, RecordSetSpec { ttl_s: Some(300), routing: Routing::Simple, ..simple(&["10 mail.example.com", "20 mail2.example.com"]) });
        let again = &mut written.clone();
        assert!(RecordSet::canonical(&id("example.com~MX"), again).is_empty() && *again == written);
        assert_eq!(RecordSet::version(again), RecordSet::version(&written));
        assert_ne!(RecordSet::version(again), RecordSet::version(&RecordSetSpec { ttl_s: Some(301), ..written }));
        // An alias has no TTL, and it is the same whatever the load balancer is called.
        let mut alias = alias_of("web", Some("lb-1"));
        assert_eq!((RecordSet::canonical(&id("example.com~A"), &mut alias), alias.ttl_s), (vec![], None));
        let called = alias_of("lb-1", Some("lb-1"));
        assert_eq!(RecordSet::as_shown(&alias).alias, called.alias);
        assert_eq!(RecordSet::version(&alias), RecordSet::version(&RecordSetSpec { routing: Routing::Simple, ..called }));
        for other in [alias_of("web", Some("lb-2")), RecordSetSpec { alias: RecordAlias { check_health: true, ..alias.alias.clone() }, ..alias.clone() }] {
            assert_ne!(RecordSet::version(&alias), RecordSet::version(&RecordSetSpec { routing: Routing::Simple, ..other }));
        }
        // Split, not cut.
        let mut long = simple(&[&"x".repeat(300)]);
        assert_eq!(RecordSet::canonical(&id("example.com~TXT"), &mut long), []);
        assert_eq!(long.values[0], format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45)));
    }
    #[test]
    fn what_no_cloud_can_do_is_refused_by_its_field() {
        let weighted = |weight| RecordItem { weight, ..item("a") };
        let role = |name, failover| RecordItem { failover, ..item(name) };
        let country = |name, c: &str| RecordItem { country: Some(c.into()), ..item(name) };
        let alias = || alias_of("web", None);
        let aliased = |weight| RecordItem { values: vec![], alias: alias().alias, ..weighted(weight) };
        for (spec, field) in [
            (RecordSetSpec { values: vec!["192.0.2.1".into()], ..alias() }, "alias"),
            (RecordSetSpec { ttl_s: Some(60), ..alias() }, "ttl_s"),
            (RecordSetSpec { ttl_s: Some(60), ..routed(Routing::Weighted, vec![aliased(Some(1))]) }, "ttl_s"),
            (RecordSetSpec { alias: RecordAlias { load_balancer: None, check_health: true }, ..RecordSetSpec::default() }, "alias.load_balancer"),
            (RecordSetSpec { alias: alias().alias, ..routed(Routing::Weighted, vec![weighted(Some(1))]) }, "alias"),
            (routed(Routing::Weighted, vec![RecordItem { values: vec!["192.0.2.1".into()], ..aliased(Some(1)) }]), "items[0].alias"),
            (routed(Routing::Multivalue, vec![aliased(None)]), "items[0].alias"),
            (RecordSetSpec { ttl_s: Some(u32::MAX), ..simple(&["192.0.2.1"]) }, "ttl_s"),
            (RecordSetSpec { items: vec![item("a")], ..simple(&["192.0.2.1"]) }, "items"),
            (routed(Routing::Weighted, vec![]), "items"),
            (RecordSetSpec { values: vec!["192.0.2.1".into()], ..routed(Routing::Weighted, vec![weighted(Some(1))]) }, "values"),
            (routed(Routing::Weighted, vec![weighted(None)]), "items[0].weight"),
            (routed(Routing::Weighted, vec![weighted(Some(256))]), "items[0].weight"),
            (routed(Routing::Multivalue, vec![weighted(Some(1))]), "items[0].weight"),
            (routed(Routing::Weighted, vec![weighted(Some(1)), weighted(Some(2))]), "items[1].id"),
            (routed(Routing::Multivalue, vec![item("")]), "items[0].id"),
            (routed(Routing::Multivalue, vec![RecordItem { values: vec![], ..item("a") }]), "items[0].values"),
            (routed(Routing::Country, vec![country("a", "de")]), "items[0].country"),
            (routed(Routing::Country, vec![country("a", "DE"), country("b", "DE")]), "items[1].country"),
            (routed(Routing::Failover, vec![role("a", FailoverRole::Secondary)]), "items"),
            (routed(Routing::Failover, vec![role("a", FailoverRole::Primary), role("b", FailoverRole::Primary)]), "items[1].failover"),
        ] {
            assert_eq!(fields(&RecordSet::violations(&spec)), [field], "{spec:?}");
        }
        assert_eq!(fields(&RecordSet::violations(&RecordSetSpec::default())), ["values", "alias"]);
        for spec in [
            simple(&["192.0.2.1"]),
            alias(),
            routed(Routing::Weighted, vec![weighted(Some(0))]),
            RecordSetSpec { ttl_s: Some(60), ..routed(Routing::Weighted, vec![aliased(Some(1)), RecordItem { id: "b".into(), ..weighted(Some(0)) }]) },
            routed(Routing::Country, vec![country("a", "DE"), country("b", "*")]),
            routed(Routing::Failover, vec![role("a", FailoverRole::Primary), role("b", FailoverRole::Secondary)]),
        ] {
            assert_eq!(RecordSet::violations(&spec), []);
        }
    }
    #[test]
    fn every_load_balancer_is_a_reference_with_its_path() {
        let item = |name: &str| RecordItem { values: vec![], alias: alias_of(name, None).alias, ..item(name) };
        let mut spec = RecordSetSpec { items: vec![self::item("none"), item("a")], ..alias_of("b", None) };
        let refs: Vec<_> = RecordSet::refs(&mut spec).iter().map(|r| format!("{} {}", r.path, r.name)).collect();
        let of = |id: &str| format!("locations/eu-west-1/loadBalancers/{id}");
        assert_eq!(refs, [format!("alias.load_balancer {}", of("b")), format!("items[1].alias.load_balancer {}", of("a"))]);
    }
    #[test]
    fn what_does_not_go_under_an_id_is_refused_by_its_field() {
        for (name, mut spec, field) in [
            ("a.example~A", simple(&["192.0.2.1", "nowhere"]), "values[1]"),
            ("a.example~A", simple(&["192.0.2.1", "192.0.2.1"]), "values[1]"),
            ("a.example~CNAME", simple(&["b.example", "c.example"]), "values"),
            ("a.example~CNAME", routed(Routing::Multivalue, vec![RecordItem { values: vec!["b.example".into()], ..item("a") }]), "routing"),
            ("a.example~AAAA", routed(Routing::Multivalue, vec![item("a")]), "items[0].values[0]"),
            ("a.example~TXT", alias_of("web", None), "alias"),
            // What an update came to.
            ("a.example~A", RecordSetSpec { ttl_s: Some(300), ..alias_of("web", None) }, "ttl_s"),
            ("a.example~A", RecordSetSpec { values: vec!["192.0.2.1".into()], ..alias_of("web", None) }, "alias"),
            ("a.example~A", RecordSetSpec { routing: Routing::Weighted, ..simple(&["192.0.2.1"]) }, "values"),
        ] {
            assert_eq!(fields(&RecordSet::canonical(&id(name), &mut spec)), [field], "{name}");
        }
    }
}
