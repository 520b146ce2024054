//! A zone of the domain name system.

use super::{Labels, api_enum, kind, label_violations};
use crate::{
    AnyRef, Child, CloudProvider, Condition, DnsName, Driver, Handle, Kind, LocationName, Managed, Name, Network, NoAction, RecordChanges, RecordId, RecordOutcome, RecordOutcomes,
    RecordSet, RecordWork, Ref, ResourceId, VendorConfig, VerbName, Violation,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

kind! {
    /// A zone that the cloud's name servers answer for: a hosted zone on AWS, a managed zone on GCP, a DNS zone on Azure. It lies in `global`.
    ///
    /// Vendors let several zones have one DNS name; each has an id of its own here.
    DnsZone at "dnsZones" in LocationName, id ResourceId, spec DnsZoneSpec, status DnsZoneStatus,
    fields &["dns_name", "private", "networks", "description", "labels", "provider_config"],
    input_only &[],
    reader |p| p.dns_zones().map(|d| d as &dyn crate::Reader<Self>),
    zone |_, _| None,
    condition |status| match status.state {
        DnsZoneState::Unspecified | DnsZoneState::Pending | DnsZoneState::Available => Condition::Usable,
        DnsZoneState::Deleting => Condition::Leaving,
        DnsZoneState::Incomplete => Condition::Incomplete,
    },
    refs |spec| spec.networks.iter_mut().map(|r| r.any("networks")).collect()
}

/// What a zone should be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsZoneSpec {
    /// The name that it begins at. Needed.
    pub dns_name: Option<DnsName>,
    /// Answered for the networks alone, instead of for everybody.
    pub private: bool,
    /// The networks that a private zone is answered for, in whatever location: at least one. Their order means nothing.
    pub networks: Vec<Ref<Network>>,
    /// For people; at most 256 characters.
    pub description: Option<String>,
    /// A user's own labels.
    pub labels: Labels,
    /// The vendor's extension.
    pub provider_config: Option<VendorConfig>,
}

api_enum! {
    /// Where a zone is in its life.
    DnsZoneState {
        /// Being made.
        Pending = "PENDING",
        /// Answered for.
        Available = "AVAILABLE",
        /// Being removed.
        Deleting = "DELETING",
        /// A part is missing: it can only be deleted.
        Incomplete = "INCOMPLETE",
    }
}

/// What a zone is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsZoneStatus {
    /// Its state.
    pub state: DnsZoneState,
    /// The name servers to delegate a public zone to. A private zone has none that anybody could ask.
    pub name_servers: Vec<DnsName>,
}

/// The name of a record set in a zone.
fn record(zone: &Name<DnsZone>, id: &RecordId) -> String {
    format!("{zone}/{}/{id}", RecordSet::COLLECTION)
}

/// The shortest bound of a description among vendors: Route 53's `ResourceDescription`.
/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_HostedZoneConfig.html>
const MAX_DESCRIPTION: usize = 256;

/// What can be done with a zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum DnsZoneAction {
    /// Changes record sets in it.
    ChangeRecords(RecordChanges),
}
impl fmt::Display for DnsZoneAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChangeRecords(_) => f.write_str(VerbName::ChangeRecords.as_str()),
        }
    }
}

impl Managed for DnsZone {
    type Action = DnsZoneAction;
    type Outcome = RecordOutcomes;
    type Question = NoAction;
    type Answer = ();
    fn driver(p: &dyn CloudProvider) -> Option<&dyn Driver<Self>> {
        p.dns_zones()
    }
    fn queues(_: &DnsZoneAction) -> bool {
        true
    }
    fn action_refs(action: &mut Self::Action) -> Vec<AnyRef<'_>> {
        let DnsZoneAction::ChangeRecords(all) = action;
        all.refs()
    }
    fn children(name: &Name<Self>, action: &Self::Action) -> Vec<String> {
        let DnsZoneAction::ChangeRecords(all) = action;
        all.changes.iter().map(|c| record(name, &c.id)).collect()
    }
    fn known(action: &mut Self::Action, name: &Name<Self>, ours: &dyn Fn(&str) -> bool, most_deleted_percent: u32) -> Vec<Violation> {
        let DnsZoneAction::ChangeRecords(all) = action;
        all.most_deleted_percent = most_deleted_percent;
        all.changes.iter_mut().for_each(|c| c.owned = ours(&record(name, &c.id)));
        all.canonical()
    }
    fn left(name: &Name<Self>, action: &Self::Action, outcome: Option<&RecordOutcomes>, handle: Option<&Handle>) -> Vec<Child> {
        let DnsZoneAction::ChangeRecords(all) = action;
        let so_far = || Some(handle?.unpack::<RecordWork>()?.outcomes(all));
        let outcomes = outcome.cloned().or_else(so_far).unwrap_or_default().0;
        let child = |o: &RecordOutcome| Child { name: record(name, &o.id), vendor_id: o.id.to_string(), exists: o.wanted };
        outcomes.iter().filter(|o| o.error.is_none()).map(child).collect()
    }
    fn label(id: &ResourceId) -> Option<&ResourceId> {
        Some(id)
    }
    fn zone_mut(_: &mut DnsZoneSpec) -> Option<&mut Option<String>> {
        None
    }
    fn violations(spec: &DnsZoneSpec) -> Vec<Violation> {
        let mut out = Vec::new();
        if spec.dns_name.as_ref().is_some_and(DnsName::is_root) {
            out.push(Violation::new("dns_name", "the root belongs to nobody: name a domain"));
        }
        match (spec.private, spec.networks.is_empty()) {
            (true, true) => out.push(Violation::new("networks", "a private zone is answered for networks: name at least one")),
            (false, false) => out.push(Violation::new("networks", "a public zone is answered for everybody: leave the networks out, or make it private")),
            _ => {}
        }
        let mut seen = BTreeSet::new();
        for (i, network) in spec.networks.iter().enumerate().filter(|(_, r)| !seen.insert(&r.name)) {
            out.push(Violation::new(format!("networks[{i}]"), format!("{} is there twice", network.name)));
        }
        let length = spec.description.as_ref().map_or(0, |d| d.chars().count());
        if length > MAX_DESCRIPTION || spec.description.as_ref().is_some_and(|d| d.chars().any(char::is_control)) {
            out.push(Violation::new("description", format!("at most {MAX_DESCRIPTION} characters without control characters, got {length}")));
        }
        label_violations(&spec.labels, &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_cloud_can_do_is_refused_by_its_field() {
        let network = |id: &str| Ref::to(format!("locations/r/networks/{id}").parse().unwrap());
        let public = DnsZoneSpec { dns_name: Some("example.com".parse().unwrap()), ..DnsZoneSpec::default() };
        let private = DnsZoneSpec { private: true, networks: vec![network("a"), network("b")], ..public.clone() };
        for (spec, field) in [
            (DnsZoneSpec { dns_name: Some(".".parse().unwrap()), ..public.clone() }, "dns_name"),
            (DnsZoneSpec { networks: vec![network("a")], ..public.clone() }, "networks"),
            (DnsZoneSpec { private: true, ..public.clone() }, "networks"),
            (DnsZoneSpec { networks: vec![network("a"), network("b"), network("a")], ..private.clone() }, "networks[2]"),
            (DnsZoneSpec { description: Some("x".repeat(257)), ..public.clone() }, "description"),
            (DnsZoneSpec { description: Some("a\nb".into()), ..public.clone() }, "description"),
            (DnsZoneSpec { labels: [(String::new(), String::new())].into(), ..public.clone() }, "labels[\"\"]"),
        ] {
            assert_eq!(DnsZone::violations(&spec).iter().map(|v| v.field.as_str()).collect::<Vec<_>>(), [field]);
        }
        assert_eq!((DnsZone::violations(&public), DnsZone::violations(&private)), (vec![], vec![]));
    }
}
