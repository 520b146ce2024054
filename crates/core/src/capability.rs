//! What a cloud can do, as data.

use crate::{Error, ErrorKind, FieldPath, IdShape, Kind, Managed, Reason, Result, Violation, set_fields};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How a field is honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Support {
    /// By the vendor's own means.
    Native,
    /// By Welkin, with other means of the vendor.
    Emulated,
    /// Not at all: it is refused.
    Unsupported,
}

/// When a field can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mutability {
    /// Only at creation.
    Immutable,
    /// At any time.
    Mutable,
}

/// Where the resources of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Scope {
    /// In a region.
    Region,
    /// In the location `global`.
    Global,
}

/// The verbs that a kind can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VerbName {
    /// Read one.
    Get,
    /// Read many.
    List,
    /// Make one.
    Create,
    /// Change one.
    Update,
    /// Remove one.
    Delete,
    /// Start one.
    Start,
    /// Stop one.
    Stop,
    /// Reboot one.
    Reboot,
    /// Change record sets in one.
    ChangeRecords,
    /// Add backends of one, and take some away.
    ChangeBackends,
    /// Delete chosen instances of one.
    DeleteInstances,
    /// Replace the instances of one that are out of date.
    ReplaceInstances,
    /// Replace no more instances of one.
    StopReplacement,
    /// Read what one has last written on its console.
    ConsoleOutput,
    /// Read which backends of one work.
    TargetHealth,
    /// Read which instances one has.
    Members,
}
impl VerbName {
    /// Its text: `get`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Reboot => "reboot",
            Self::ChangeRecords => "change_records",
            Self::ChangeBackends => "change_backends",
            Self::DeleteInstances => "delete_instances",
            Self::ReplaceInstances => "replace_instances",
            Self::StopReplacement => "stop_replacement",
            Self::ConsoleOutput => "console_output",
            Self::TargetHealth => "target_health",
            Self::Members => "members",
        }
    }
}

/// What a cloud does with one field, or with one value of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldCapability {
    /// How it is honoured.
    pub support: Support,
    /// When it can be changed.
    pub mutability: Mutability,
    /// Must it be set on this cloud? The engine fills in a zone.
    pub required: bool,
    /// The smallest and the largest number, in the field's unit; for ranges of addresses, the prefix lengths.
    pub range: Option<(u64, u64)>,
    /// At most this many items.
    pub max_items: Option<usize>,
}
impl FieldCapability {
    /// Honoured natively, set at creation only.
    pub const NATIVE: Self = Self { support: Support::Native, mutability: Mutability::Immutable, required: false, range: None, max_items: None };
    /// Honoured natively, can be changed.
    pub const MUTABLE: Self = Self { mutability: Mutability::Mutable, ..Self::NATIVE };
    /// Must be set.
    pub const REQUIRED: Self = Self { required: true, ..Self::NATIVE };
    /// Refused.
    pub const UNSUPPORTED: Self = Self { support: Support::Unsupported, ..Self::NATIVE };
    /// With bounds, both included.
    #[must_use]
    pub const fn between(self, min: u64, max: u64) -> Self {
        Self { range: Some((min, max)), ..self }
    }
    /// With at most this many items.
    #[must_use]
    pub const fn at_most(self, items: usize) -> Self {
        Self { max_items: Some(items), ..self }
    }
}

/// What a cloud can do with one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindCapabilities {
    /// Where it lives.
    pub scope: Scope,
    /// Its verbs.
    pub verbs: BTreeSet<VerbName>,
    /// Every field, and values that are treated otherwise (`cidrs=IPV6`).
    pub fields: BTreeMap<&'static str, FieldCapability>,
    /// What the vendor's ids look like.
    pub id_shape: IdShape,
    /// The vendor's messages that can be the `provider_config`.
    pub provider_configs: BTreeSet<&'static str>,
    /// Named limits: `per_network`.
    pub limits: BTreeMap<&'static str, u64>,
    /// For how long after a write a read may still not show it.
    pub horizon: Duration,
}

/// What a cloud can do, by collection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Capabilities {
    /// The vendor: `aws`.
    pub vendor: &'static str,
    /// The kinds that it offers, by collection.
    pub kinds: BTreeMap<&'static str, KindCapabilities>,
}

impl Capabilities {
    /// What this cloud can do with `K`.
    ///
    /// # Errors
    /// `Unimplemented` where it does not offer the kind.
    pub fn of<K: Kind>(&self) -> Result<&KindCapabilities> {
        self.kinds.get(K::COLLECTION).ok_or_else(|| Error::unsupported_kind(K::COLLECTION))
    }
    /// Refuses a verb that this cloud does not have for the kind.
    ///
    /// # Errors
    /// `Unimplemented`.
    pub fn check_verb<K: Kind>(&self, verb: &str) -> Result<()> {
        if self.of::<K>()?.verbs.iter().any(|v| v.as_str() == verb) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unimplemented, Reason::VerbUnsupported, format!("this cloud cannot {verb} {}", K::COLLECTION)))
    }
    /// Refuses what this cloud cannot honour, each field by its path, and whatever is wrong with the specification on any cloud.
    ///
    /// # Errors
    /// `InvalidArgument` naming every field.
    pub fn check_spec<K: Managed>(&self, spec: &K::Spec) -> Result<()> {
        self.check_where::<K>(spec, |_| true)
    }
    /// The same for the specification that an update comes to, as far as its caller has changed it: the rest is as the vendor shows it, which the
    /// caller has no hand in.
    ///
    /// # Errors
    /// `InvalidArgument` naming every field.
    pub fn check_changed<K: Managed>(&self, spec: &K::Spec, changed: &BTreeSet<FieldPath>) -> Result<()> {
        self.check_where::<K>(spec, |v| changed.iter().any(|path| root(&path.0) == root(&v.field)))
    }
    fn check_where<K: Managed>(&self, spec: &K::Spec, counts: impl Fn(&Violation) -> bool) -> Result<()> {
        let caps = self.of::<K>()?;
        let mut wrong = K::violations(spec);
        let set = set_fields::<K>(spec);
        let mut unsupported = BTreeSet::new();
        for path in &set {
            if caps.fields.get(path.as_str()).is_some_and(|f| f.support == Support::Unsupported) {
                unsupported.insert(root(path));
                wrong.push(Violation::new(path.split('=').next().unwrap_or(path), format!("{} cannot do {path}", self.vendor)));
            }
        }
        let value = serde_json::to_value(spec).map_err(|e| Error::internal("a specification does not serialise").with_source(e))?;
        for (path, field) in &caps.fields {
            // The engine fills in a zone that is needed and open, so its absence is not the caller's mistake.
            if field.required && *path != "zone" && !set.contains(*path) && !wrong.iter().any(|v| v.field == *path) {
                wrong.push(Violation::new(*path, format!("{} needs it", self.vendor)));
            }
            let Some(at) = value.pointer(&format!("/{}", path.replace('.', "/"))) else { continue };
            if let (Some((min, max)), Some(n)) = (field.range, at.as_u64())
                && !(min..=max).contains(&n)
            {
                wrong.push(Violation::new(*path, format!("must be between {min} and {max}, got {n}")));
            }
            if let (Some((min, max)), Some(items)) = (field.range, at.as_array()) {
                for (i, net) in items.iter().enumerate().filter_map(|(i, v)| Some((i, v.as_str()?.parse::<ipnet::IpNet>().ok()?))) {
                    if net.addr().is_ipv4() && !(min..=max).contains(&u64::from(net.prefix_len())) {
                        wrong.push(Violation::new(format!("{path}[{i}]"), format!("{net}: on {} the prefix must be between /{min} and /{max}", self.vendor)));
                    }
                }
            }
            if let (Some(max), Some(items)) = (field.max_items, at.as_array())
                && items.len() > max
            {
                wrong.push(Violation::new(*path, format!("{} takes at most {max}, got {}", self.vendor, items.len())));
            }
        }
        if let Some(name) = value.pointer("/provider_config/type_name").and_then(|v| v.as_str())
            && !caps.provider_configs.contains(name)
        {
            wrong.push(Violation::new("provider_config", format!("{} does not take a {name} here", self.vendor)));
        }
        wrong.retain(counts);
        if wrong.is_empty() {
            return Ok(());
        }
        let reason = if wrong.iter().any(|v| unsupported.contains(root(&v.field))) {
            Reason::CapabilityUnsupported
        } else if wrong.iter().all(|v| !set.contains(v.field.split('[').next().unwrap_or_default())) {
            Reason::FieldRequired
        } else {
            Reason::InvalidField
        };
        Err(Error::violated(reason, wrong))
    }
    /// Refuses a change of what can only be set at creation.
    ///
    /// # Errors
    /// `InvalidArgument` naming every such field.
    pub fn check_update<K: Managed>(&self, changed: &BTreeSet<FieldPath>) -> Result<()> {
        let caps = self.of::<K>()?;
        let fixed: Vec<Violation> = changed
            .iter()
            .filter(|p| caps.fields.get(p.0.as_str()).is_none_or(|f| f.mutability == Mutability::Immutable))
            .map(|p| Violation::new(&p.0, format!("{} cannot be changed after creation on {}", p, self.vendor)))
            .collect();
        if fixed.is_empty() { Ok(()) } else { Err(Error::violated(Reason::FieldImmutable, fixed)) }
    }
}

/// The field of the specification that a path begins with.
fn root(path: &str) -> &str {
    path.split(['.', '[', '=']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Listener, ListenerProtocol, LoadBalancer, LoadBalancerSpec, RecordItem, RecordSet, RecordSetSpec, Routing};

    /// A cloud that has every field of a kind but these.
    fn without<K: Managed>(lacks: &[&'static str]) -> Capabilities {
        let fields = K::FIELDS.iter().map(|path| (*path, FieldCapability::MUTABLE)).chain(lacks.iter().map(|path| (*path, FieldCapability::UNSUPPORTED)));
        let kind = KindCapabilities {
            scope: Scope::Region,
            verbs: BTreeSet::new(),
            fields: fields.collect(),
            id_shape: IdShape::Other,
            provider_configs: BTreeSet::new(),
            limits: BTreeMap::new(),
            horizon: Duration::ZERO,
        };
        Capabilities { vendor: "plain", kinds: [(K::COLLECTION, kind)].into() }
    }
    fn refused<K: Managed>(caps: &Capabilities, spec: &K::Spec) -> (Reason, Vec<String>) {
        let e = caps.check_spec::<K>(spec).unwrap_err();
        (e.reason(), e.violations().iter().map(|v| v.field.clone()).collect())
    }

    #[test]
    fn a_policy_that_a_cloud_lacks_is_refused_by_its_field() {
        let caps = without::<RecordSet>(&["routing=NEAREST_REGION"]);
        let item = |region: Option<&str>| RecordItem {
            id: "a".into(),
            values: vec!["192.0.2.1".into()],
            weight: region.is_none().then_some(1),
            region: region.map(Into::into),
            ..Default::default()
        };
        let of = |routing, item| RecordSetSpec { ttl_s: Some(60), routing, items: vec![item], ..RecordSetSpec::default() };
        assert_eq!(refused::<RecordSet>(&caps, &of(Routing::NearestRegion, item(Some("r-1")))), (Reason::CapabilityUnsupported, vec!["routing".to_owned()]));
        caps.check_spec::<RecordSet>(&of(Routing::Weighted, item(None))).unwrap();
    }
    /// Where packets arrive with the port that they were sent to.
    #[test]
    fn a_target_port_is_refused_by_a_cloud_that_translates_none() {
        let caps = without::<LoadBalancer>(&["listeners.target_port"]);
        let of = |target_port| LoadBalancerSpec {
            listeners: vec![Listener { protocol: ListenerProtocol::Tcp, port: Some(443), target_port, certificate: None }],
            ..LoadBalancerSpec::default()
        };
        let (reason, fields) = refused::<LoadBalancer>(&caps, &of(Some(8443)));
        assert!(reason == Reason::CapabilityUnsupported && fields.contains(&"listeners.target_port".to_owned()), "{fields:?}");
        assert!(!refused::<LoadBalancer>(&caps, &of(None)).1.contains(&"listeners.target_port".to_owned()));
    }
}
