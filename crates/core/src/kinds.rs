//! One file a kind.

pub(crate) mod address;
pub(crate) mod disk;
pub(crate) mod dns_zone;
pub(crate) mod image;
pub(crate) mod instance;
pub(crate) mod instance_group;
pub(crate) mod load_balancer;
pub(crate) mod location;
pub(crate) mod machine_type;
pub(crate) mod nat_gateway;
pub(crate) mod network;
pub(crate) mod quota;
pub(crate) mod record_set;
pub(crate) mod route_table;
pub(crate) mod security_group;
pub(crate) mod subnet;

use crate::Violation;
use ipnet::IpNet;
use secrecy::ExposeSecret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{collections::BTreeMap, fmt};

/// A user's own labels.
pub type Labels = BTreeMap<String, String>;

/// At most this many labels, so that they fit beside our own marks on every cloud (AWS allows 50 tags, GCP 64 labels).
const MAX_LABELS: usize = 32;
/// At most this many ranges: more than any cloud takes, and few enough to be compared with each other.
const MAX_CIDRS: usize = 64;
/// A vendor's own word, such as a zone or a machine type, is at most this long.
const MAX_WORD: usize = 255;
/// Keys below this prefix are ours.
const RESERVED_PREFIX: &str = "welkin.dev/";

/// Labels that fit every cloud.
fn label_violations(labels: &Labels, out: &mut Vec<Violation>) {
    if labels.len() > MAX_LABELS {
        out.push(Violation::new("labels", format!("at most {MAX_LABELS} labels, got {}", labels.len())));
    }
    for (k, v) in labels {
        let field = format!("labels[{k:?}]");
        if k.is_empty() || k.chars().count() > 63 || k.chars().any(char::is_control) {
            out.push(Violation::new(&field, "a label's key needs 1 to 63 characters without control characters"));
        }
        let lower = k.to_ascii_lowercase();
        if lower.starts_with(RESERVED_PREFIX) || lower.starts_with("aws:") {
            out.push(Violation::new(&field, "keys that begin with welkin.dev/ or aws: are reserved"));
        }
        if v.chars().count() > 63 || v.chars().any(char::is_control) {
            out.push(Violation::new(&field, "a label's value has at most 63 characters without control characters"));
        }
    }
}

/// A word of bounded length.
fn word_violation(field: &str, word: Option<&String>, out: &mut Vec<Violation>) {
    let length = word.map_or(0, |w| w.chars().count());
    if length > MAX_WORD {
        out.push(Violation::new(field, format!("at most {MAX_WORD} characters, got {length}")));
    }
}

/// Ranges in canonical form that do not overlap each other.
fn cidr_violations(cidrs: &[IpNet], bounds: CidrBounds, out: &mut Vec<Violation>) {
    if cidrs.len() > MAX_CIDRS {
        return out.push(Violation::new("cidrs", format!("at most {MAX_CIDRS} ranges, got {}", cidrs.len())));
    }
    for (i, net) in cidrs.iter().enumerate() {
        let field = format!("cidrs[{i}]");
        if net.trunc() != *net {
            out.push(Violation::new(&field, format!("{net} has bits set beyond its prefix; did you mean {}?", net.trunc())));
        }
        let range = if net.addr().is_ipv4() { bounds.v4 } else { bounds.v6 };
        if !(range.0..=range.1).contains(&net.prefix_len()) {
            out.push(Violation::new(&field, format!("{net}: the prefix must be between /{} and /{}", range.0, range.1)));
        }
        if let Some(j) = cidrs.iter().take(i).position(|other| other.contains(net) || net.contains(other)) {
            out.push(Violation::new(&field, format!("{net} overlaps cidrs[{j}]")));
        }
    }
}
/// Prefix lengths from the largest range to the smallest.
#[derive(Clone, Copy)]
struct CidrBounds {
    v4: (u8, u8),
    v6: (u8, u8),
}

/// Bytes that must not be seen: not in Debug, logs, errors or answers. They serialise, because the journal has to seal them; nothing else
/// may serialise a specification that holds one.
#[derive(Clone)]
pub struct Secret(secrecy::SecretString);
impl Secret {
    /// Hides `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(secrecy::SecretString::from(text.into()))
    }
    /// The text, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.expose())
    }
}
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d).map(Self::new)
    }
}

/// Declares the marker type of a kind and its `Kind` implementation; what differs from kind to kind stays visible at its use.
macro_rules! kind {
    ($(#[$doc:meta])* $k:ident at $collection:literal in $parent:ty, id $id:ty, spec $spec:ty, status $status:ty, fields $fields:expr, input_only $input:expr, reader $reader:expr, zone $zone:expr, condition $condition:expr, refs $refs:expr $(, marked $marked:expr)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $k {}
        impl $crate::Kind for $k {
            const COLLECTION: &'static str = $collection;
            const KIND: &'static str = stringify!($k);
            const FIELDS: &'static [&'static str] = $fields;
            const INPUT_ONLY: &'static [&'static str] = $input;
            $(const IS_MARKED: bool = $marked;)?
            type Parent = $parent;
            type Id = $id;
            type Spec = $spec;
            type Status = $status;
            fn reader(provider: &dyn $crate::CloudProvider) -> Option<&dyn $crate::Reader<Self>> {
                let pick: fn(&dyn $crate::CloudProvider) -> Option<&dyn $crate::Reader<Self>> = $reader;
                pick(provider)
            }
            fn foreign_id(vendor_id: &str) -> $crate::Result<Self::Id> { <$id>::of_vendor(vendor_id) }
            fn zone(spec: &Self::Spec, status: &Self::Status) -> Option<String> {
                let pick: fn(&$spec, &$status) -> Option<String> = $zone;
                pick(spec, status)
            }
            fn condition(status: &Self::Status) -> $crate::Condition {
                let ask: fn(&$status) -> $crate::Condition = $condition;
                ask(status)
            }
            fn refs(spec: &mut Self::Spec) -> Vec<$crate::AnyRef<'_>> {
                let all: fn(&mut $spec) -> Vec<$crate::AnyRef<'_>> = $refs;
                all(spec)
            }
        }
    };
}
pub(crate) use kind;

/// An enum of the API: its serde form is the protobuf value's name without the prefix. The first value is the default: nothing is known.
macro_rules! api_enum {
    ($(#[$doc:meta])* $t:ident { $($(#[$vdoc:meta])* $v:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
        pub enum $t {
            /// The cloud did not tell, or tells something newer than this version.
            #[default]
            #[serde(rename = "UNSPECIFIED")]
            Unspecified,
            $($(#[$vdoc])* #[serde(rename = $text)] $v,)*
        }
        impl $t {
            /// Every value, in the order of their protobuf numbers.
            pub const ALL: &'static [Self] = &[Self::Unspecified, $(Self::$v,)*];
            /// The text without a prefix: `RUNNING`.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { Self::Unspecified => "UNSPECIFIED", $(Self::$v => $text,)* } }
        }
        impl std::fmt::Display for $t {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
    };
}
pub(crate) use api_enum;

#[cfg(test)]
mod tests {
    use crate::{Instance, InstanceSpec, Managed, Network, NetworkSpec, RootDisk};

    #[test]
    fn what_is_far_too_much_is_refused_at_once() {
        // Every pair of these overlaps; they are not compared.
        let cidrs = vec!["10.0.0.0/16".parse().unwrap(); 10_000];
        let wrong = Network::violations(&NetworkSpec { cidrs, ..Default::default() });
        assert_eq!(wrong.iter().map(|v| v.field.as_str()).collect::<Vec<_>>(), ["cidrs"]);

        let long = || Some("x".repeat(256));
        let spec =
            InstanceSpec { machine_type: "x".repeat(256), zone: long(), identity: long(), root_disk: RootDisk { disk_type: long(), ..Default::default() }, ..Default::default() };
        let wrong = Instance::violations(&spec);
        for field in ["machine_type", "zone", "identity", "root_disk.disk_type"] {
            assert!(wrong.iter().any(|v| v.field == field), "{field}: {wrong:?}");
        }
    }
}
