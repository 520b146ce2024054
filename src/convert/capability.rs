//! What a cloud can do.

use super::{core_duration, proto_duration};
use crate::api::v1::{
    self,
    field_capability::{Mutability as Change, Support as Honour},
    kind_capabilities::Scope as Place,
};
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};
use welkin_core::{Capabilities, Error, FieldCapability, IdShape, KindCapabilities, Mutability, Result, Scope, Support, VerbName};

const SCOPES: &[(Scope, Place)] = &[(Scope::Region, Place::Region), (Scope::Global, Place::Global)];
const SUPPORTS: &[(Support, Honour)] = &[(Support::Native, Honour::Native), (Support::Emulated, Honour::Emulated), (Support::Unsupported, Honour::Unsupported)];
const MUTABILITIES: &[(Mutability, Change)] = &[(Mutability::Immutable, Change::Immutable), (Mutability::Mutable, Change::Mutable)];
const VERBS: &[VerbName] = &[
    VerbName::Get,
    VerbName::List,
    VerbName::Create,
    VerbName::Update,
    VerbName::Delete,
    VerbName::Start,
    VerbName::Stop,
    VerbName::Reboot,
    VerbName::ChangeRecords,
    VerbName::ChangeBackends,
    VerbName::DeleteInstances,
    VerbName::ReplaceInstances,
    VerbName::StopReplacement,
    VerbName::Members,
    VerbName::ConsoleOutput,
    VerbName::TargetHealth,
];

fn out<A: PartialEq, B: Copy + Into<i32>>(table: &[(A, B)], value: &A) -> i32 {
    table.iter().find(|(a, _)| a == value).map_or(0, |(_, b)| (*b).into())
}
fn back<A: Copy, B: Copy + Into<i32>>(table: &[(A, B)], number: i32, what: &str) -> Result<A> {
    let found = table.iter().find(|(_, b)| (*b).into() == number).map(|(a, _)| *a);
    found.ok_or_else(|| Error::internal(format!("the server's capabilities have a {what} that this version does not know: {number}")))
}

/// The message.
#[must_use]
pub fn encode(cloud: &str, capabilities: &Capabilities) -> v1::Capabilities {
    v1::Capabilities {
        name: format!("clouds/{cloud}/capabilities"),
        vendor: capabilities.vendor.to_owned(),
        kinds: capabilities.kinds.iter().map(|(collection, k)| encode_kind(collection, k)).collect(),
    }
}
fn encode_kind(collection: &str, k: &KindCapabilities) -> v1::KindCapabilities {
    v1::KindCapabilities {
        collection: collection.to_owned(),
        scope: out(SCOPES, &k.scope),
        verbs: k.verbs.iter().map(|v| v.as_str().to_owned()).collect(),
        fields: k.fields.iter().map(|(path, f)| encode_field(path, f)).collect(),
        id_prefix: match k.id_shape {
            IdShape::PrefixedHex(prefix) => prefix.to_owned(),
            IdShape::Other => String::new(),
        },
        provider_configs: k.provider_configs.iter().map(|&n| n.to_owned()).collect(),
        limits: k.limits.iter().map(|(&name, n)| (name.to_owned(), *n)).collect(),
        consistency_horizon: Some(proto_duration(k.horizon)),
    }
}
fn encode_field(path: &str, f: &FieldCapability) -> v1::FieldCapability {
    v1::FieldCapability {
        path: path.to_owned(),
        support: out(SUPPORTS, &f.support),
        mutability: out(MUTABILITIES, &f.mutability),
        required: f.required,
        min: f.range.map(|r| r.0),
        max: f.range.map(|r| r.1),
        max_items: f.max_items.map(|n| n as u64),
    }
}

/// The capabilities again.
///
/// # Errors
/// `Internal` for a value that this version does not know.
pub fn decode(message: &v1::Capabilities) -> Result<Capabilities> {
    let kinds = message.kinds.iter().map(|k| Ok((interned(&k.collection), decode_kind(k)?))).collect::<Result<_>>()?;
    Ok(Capabilities { vendor: interned(&message.vendor), kinds })
}
fn decode_kind(k: &v1::KindCapabilities) -> Result<KindCapabilities> {
    Ok(KindCapabilities {
        scope: back(SCOPES, k.scope, "scope")?,
        // A verb that this version does not know cannot be asked for with it either.
        verbs: VERBS.iter().copied().filter(|v| k.verbs.iter().any(|name| name == v.as_str())).collect(),
        fields: k.fields.iter().map(|f| Ok((interned(&f.path), decode_field(f)?))).collect::<Result<_>>()?,
        id_shape: if k.id_prefix.is_empty() { IdShape::Other } else { IdShape::PrefixedHex(interned(&k.id_prefix)) },
        provider_configs: k.provider_configs.iter().map(|n| interned(n)).collect(),
        limits: k.limits.iter().map(|(name, n)| (interned(name), *n)).collect(),
        horizon: k.consistency_horizon.as_ref().map(core_duration).unwrap_or_default(),
    })
}
fn decode_field(f: &v1::FieldCapability) -> Result<FieldCapability> {
    Ok(FieldCapability {
        support: back(SUPPORTS, f.support, "support")?,
        mutability: back(MUTABILITIES, f.mutability, "mutability")?,
        required: f.required,
        range: f.min.zip(f.max),
        max_items: f.max_items.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
    })
}

/// Providers state their capabilities in static text, and so does the core. A remote cloud's are kept for the life of the process, each
/// text once, however often it is connected to: the API's vocabulary bounds them.
fn interned(text: &str) -> &'static str {
    static TEXTS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = texts.get(text) {
        return known;
    }
    let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
    texts.insert(kept);
    kept
}
