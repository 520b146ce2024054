//! What a record set is to Route 53: one of its own where it is simple, else one for each item of the policy, told apart by their identifiers.
//!
//! <https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecordSet.html>

use super::alias::{Known, Lead, Leads};
use crate::step::{answered, told};
use aws_sdk_route53::{
    error::BuildError,
    types::{AliasTarget, GeoLocation, ResourceRecord, ResourceRecordSet, ResourceRecordSetFailover, ResourceRecordSetRegion, RrType},
};
use std::collections::BTreeMap;
use welkin_core::{DnsName, Error, FailoverRole, Managed as _, RecordAlias, RecordData, RecordId, RecordItem, RecordSet, RecordSetSpec, Result, Routing, Violation};

/// How Route 53 spells values that it keeps in another form than ours: by the form that we know. A delete has to say exactly what is there.
pub(super) type Spelled = BTreeMap<String, String>;

/// One record set as a read shows it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: RecordId,
    /// The vendor's own, at least one.
    pub(super) items: Vec<ResourceRecordSet>,
    pub(super) spec: RecordSetSpec,
    /// What it has that no specification says, so that it is shown and never written.
    pub(super) beyond: Option<String>,
    /// That is no more than an alias whose load balancer has gone, which can be removed as it is.
    pub(super) dangles: bool,
    /// Where its aliases lead, in Route 53's spelling.
    pub(super) leads: Leads,
}

/// What the SDK takes a type for that is not told.
const NO_TYPE: &str = "no value was set";
/// "Not to exceed 4,000 characters": <https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecord.html>
const MAX_VALUE: usize = 4000;

/// The values that Route 53 does not take, as they are sent.
pub(super) fn too_long(spec: &RecordSetSpec) -> Vec<Violation> {
    let items = spec.items.iter().enumerate().map(|(i, item)| (format!("items[{i}].values"), &item.values));
    let all = std::iter::once(("values".to_owned(), &spec.values)).chain(items);
    let long = all.flat_map(|(field, values)| values.iter().enumerate().filter(|(_, v)| v.len() > MAX_VALUE).map(move |(i, v)| (format!("{field}[{i}]"), v.len())));
    long.map(|(field, length)| Violation::new(field, format!("a value has at most {MAX_VALUE} characters on AWS, and this one has {length}"))).collect()
}

/// Refuses what would be lost among the others, or taken for another.
pub(super) fn check_told(set: &ResourceRecordSet) -> Result<()> {
    answered(set.name().parse::<DnsName>().ok(), "Name")?;
    answered(told(Some(set.r#type().as_str())).filter(|of| *of != NO_TYPE), "Type")?;
    let has_policy = set.weight().is_some()
        || set.region().is_some()
        || set.geo_location().is_some()
        || set.failover().is_some()
        || set.multi_value_answer() == Some(true)
        || set.cidr_routing_config().is_some()
        || set.geo_proximity_location().is_some();
    if has_policy { answered(told(set.set_identifier()), "SetIdentifier").map(drop) } else { Ok(()) }
}

/// None for what no id of ours can name: SOA, and types that are not offered.
pub(super) fn id_of(set: &ResourceRecordSet) -> Option<RecordId> {
    Some(RecordId { name: set.name().parse().ok()?, record_type: set.r#type().as_str().parse().ok()? })
}

/// One row for each name and type. Route 53 shows what belongs together one after the other.
pub(super) fn rows(sets: Vec<ResourceRecordSet>, known: &Known) -> Vec<Row> {
    let mut groups: Vec<(RecordId, Vec<ResourceRecordSet>)> = Vec::new();
    for set in sets {
        let Some(id) = id_of(&set) else { continue };
        match groups.last_mut() {
            Some((last, items)) if *last == id => items.push(set),
            _ => groups.push((id, vec![set])),
        }
    }
    groups.into_iter().map(|(id, items)| Row::of(id, items, known)).collect()
}

impl Row {
    fn of(id: RecordId, items: Vec<ResourceRecordSet>, known: &Known) -> Self {
        let mut beyond = items.iter().find_map(|set| unsayable(set, known)).map(str::to_owned);
        // An alias has none.
        let ttls: Vec<Option<i64>> = items.iter().filter(|set| set.alias_target().is_none()).map(ResourceRecordSet::ttl).collect();
        if ttls.iter().any(|t| Some(t) != ttls.first()) {
            beyond.get_or_insert_with(|| "items with another TTL each".to_owned());
        }
        let ttl_s = ttls.first().copied().flatten().and_then(|t| u32::try_from(t).ok());
        let routing = items.first().map_or(Routing::Simple, routing);
        if items.len() > 1 && items.iter().any(|set| told(set.set_identifier()).is_none()) {
            beyond.get_or_insert_with(|| "items without an identifier".to_owned());
        }
        let mut spec = RecordSetSpec { ttl_s, routing, ..RecordSetSpec::default() };
        match (routing, items.first()) {
            (Routing::Simple, Some(first)) => (spec.values, spec.alias) = (items.iter().flat_map(values).collect(), alias(first, known)),
            _ => spec.items = items.iter().map(|set| item(set, known)).collect(),
        }
        // What is not of our form stays as it is told.
        if let Some(wrong) = RecordSet::canonical(&id, &mut spec).into_iter().chain(RecordSet::violations(&spec)).next() {
            beyond.get_or_insert_with(|| format!("{}: {}", wrong.field, wrong.description));
        }
        spec.ttl_s = ttl_s;
        let lead = |target: &AliasTarget| Some((known.get(target)?.vendor_id.as_ref()?.to_string(), Lead::of(target)));
        let leads = items.iter().filter_map(ResourceRecordSet::alias_target).filter_map(lead).collect();
        let dangles = |set: &ResourceRecordSet| set.alias_target().is_some_and(|target| known.is_gone(target));
        let dangles = items.iter().any(dangles) && items.iter().all(|set| dangles(set) || unsayable(set, known).is_none());
        Self { id, items, spec, beyond, dangles, leads }
    }
    /// How many characters more Route 53's spelling has, all values together.
    pub(super) fn longer(&self) -> u64 {
        let theirs: usize = self.items.iter().flat_map(values).map(|value| value.len()).sum();
        let ours: usize = self.spec.values.iter().chain(self.spec.items.iter().flat_map(|item| &item.values)).map(String::len).sum();
        theirs.saturating_sub(ours).try_into().unwrap_or(u64::MAX)
    }
    pub(super) fn spelled(&self) -> Spelled {
        let canonical = |value: &str| RecordData::parse(self.id.record_type, value).ok().map(|data| data.to_string());
        self.items.iter().flat_map(values).filter_map(|value| Some((canonical(&value).filter(|c| *c != value)?, value))).collect()
    }
}

fn alias(set: &ResourceRecordSet, known: &Known) -> RecordAlias {
    let to = set.alias_target().and_then(|target| Some((target, known.get(target)?.clone())));
    to.map_or_else(RecordAlias::default, |(target, balancer)| RecordAlias { load_balancer: Some(balancer), check_health: target.evaluate_target_health() })
}
fn values(set: &ResourceRecordSet) -> Vec<String> {
    set.resource_records().iter().map(|r| r.value().to_owned()).collect()
}
fn routing(set: &ResourceRecordSet) -> Routing {
    if told(set.set_identifier()).is_none() {
        Routing::Simple
    } else if set.weight().is_some() {
        Routing::Weighted
    } else if set.region().is_some() {
        Routing::NearestRegion
    } else if set.geo_location().is_some() {
        Routing::Country
    } else if set.failover().is_some() {
        Routing::Failover
    } else {
        Routing::Multivalue
    }
}
/// What this has that a specification has no word for.
fn unsayable(set: &ResourceRecordSet, known: &Known) -> Option<&'static str> {
    let place = set.geo_location();
    let has = [
        (set.alias_target().is_some_and(|target| known.get(target).is_none()), "an alias of what is no load balancer in this cloud's regions"),
        (set.traffic_policy_instance_id().is_some(), "a traffic policy"),
        (set.cidr_routing_config().is_some(), "a policy by the asker's network"),
        (set.geo_proximity_location().is_some(), "a policy by distance"),
        (place.is_some_and(|p| p.continent_code().is_some()), "a continent"),
        (place.is_some_and(|p| p.subdivision_code().is_some()), "a part of a country"),
        (set.set_identifier().is_none() && set.health_check_id().is_some(), "a health check without a policy"),
    ];
    has.into_iter().find(|(is_so, _)| *is_so).map(|(_, what)| what)
}
fn item(set: &ResourceRecordSet, known: &Known) -> RecordItem {
    RecordItem {
        id: set.set_identifier().unwrap_or_default().to_owned(),
        values: values(set),
        alias: alias(set, known),
        weight: set.weight().and_then(|w| u32::try_from(w).ok()),
        region: set.region().map(|r| r.as_str().to_owned()),
        country: set.geo_location().and_then(GeoLocation::country_code).map(ToOwned::to_owned),
        failover: match set.failover() {
            Some(ResourceRecordSetFailover::Primary) => FailoverRole::Primary,
            Some(ResourceRecordSetFailover::Secondary) => FailoverRole::Secondary,
            _ => FailoverRole::Unspecified,
        },
        health_check: set.health_check_id().map(ToOwned::to_owned),
    }
}

/// The vendor's own of what a specification asks for.
pub(super) fn sets(id: &RecordId, spec: &RecordSetSpec, spelled: &Spelled, leads: &Leads) -> Result<Vec<ResourceRecordSet>> {
    if spec.routing == Routing::Simple || spec.routing == Routing::Unspecified {
        return Ok(vec![set(id, spec.ttl_s, &spec.values, &spec.alias, spelled, leads)?]);
    }
    spec.items.iter().map(|item| Ok(routed(set(id, spec.ttl_s, &item.values, &item.alias, spelled, leads)?, spec.routing, item))).collect()
}
fn set(id: &RecordId, ttl_s: Option<u32>, values: &[String], alias: &RecordAlias, spelled: &Spelled, leads: &Leads) -> Result<ResourceRecordSet> {
    let lead = match &alias.load_balancer {
        Some(balancer) => {
            let arn = balancer.vendor_id()?.as_str();
            Some(leads.get(arn).ok_or_else(|| Error::internal(format!("nobody has looked where an alias of {arn} leads")))?)
        }
        None => None,
    };
    let built = || -> std::result::Result<_, BuildError> {
        let set = ResourceRecordSet::builder().name(id.name.as_str()).r#type(RrType::from(id.record_type.as_str()));
        if let Some(lead) = lead {
            let target = AliasTarget::builder().hosted_zone_id(&lead.hosted_zone).dns_name(&lead.dns_name).evaluate_target_health(alias.check_health).build()?;
            return set.alias_target(target).build();
        }
        let record = |value: &String| ResourceRecord::builder().value(spelled.get(value).unwrap_or(value)).build();
        let records = values.iter().map(record).collect::<std::result::Result<_, _>>()?;
        set.set_ttl(ttl_s.map(i64::from)).set_resource_records(Some(records)).build()
    };
    built().map_err(|e| Error::internal(format!("{id} cannot be said to Route 53")).with_source(e))
}
fn routed(mut set: ResourceRecordSet, routing: Routing, item: &RecordItem) -> ResourceRecordSet {
    set.set_identifier = Some(item.id.clone());
    set.weight = item.weight.map(i64::from);
    set.region = item.region.as_deref().map(ResourceRecordSetRegion::from);
    set.geo_location = item.country.as_ref().map(|code| GeoLocation::builder().country_code(code).build());
    set.failover = match item.failover {
        FailoverRole::Primary => Some(ResourceRecordSetFailover::Primary),
        FailoverRole::Secondary => Some(ResourceRecordSetFailover::Secondary),
        FailoverRole::Unspecified => None,
    };
    set.multi_value_answer = (routing == Routing::Multivalue).then_some(true);
    set.health_check_id.clone_from(&item.health_check);
    set
}
