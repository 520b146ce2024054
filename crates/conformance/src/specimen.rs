//! Of each kind: specifications that work, changes of them, and specifications that have to be refused.

mod address;
mod disk;
mod dns_zone;
mod instance;
mod instance_group;
mod load_balancer;
mod nat_gateway;
mod network;
mod record_set;
mod route_table;
mod security_group;
mod subnet;

use crate::{
    Planted,
    stand::{Stand, Stop, Verdict},
};
use async_trait::async_trait;
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use welkin_core::{
    DnsZone, FieldPath, IdShape, Kind, LocationName, Managed, Name, Object, Parent, Reason, RecordId, Ref, ResourceId, Scope, Segment, VendorId, changed_paths, rename,
};

pub(crate) use instance::Site;
pub(crate) use load_balancer::{Farm, listener, machine, to_instance};
pub(crate) use record_set::named;

/// A specification that must not be made.
#[derive(Debug, Clone)]
pub(crate) struct Wrong<K: Kind> {
    /// For the report.
    pub(crate) what: &'static str,
    pub(crate) spec: K::Spec,
    pub(crate) field: &'static str,
    /// What it has to be refused for; None where any reason will do.
    pub(crate) reason: Option<Reason>,
}
impl<K: Kind> Wrong<K> {
    fn new(what: &'static str, spec: K::Spec, field: &'static str) -> Self {
        Self { what, spec, field, reason: None }
    }
    fn with(self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self }
    }
}

/// Does a status say that an action has led to its state?
pub(crate) type Reached<K> = fn(&<K as Kind>::Status) -> bool;

/// Is it an answer as it should be?
pub(crate) type Plausible<K> = fn(&<K as Managed>::Answer) -> bool;

/// How much of its ground a trial needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What [`Specimen::plain`] names.
    Plain,
    /// What the variants and the changes name too.
    Whole,
}

/// What has to be refused as a change, and what it would change.
pub(crate) type Unchangeable<K> = (Object<K>, Vec<Wrong<K>>);

/// A kind as the trials need it. A new kind implements this once, and every trial that is generic over kinds runs for it.
#[async_trait(?Send)]
pub(crate) trait Specimen: Managed<Parent: Home, Id: Chosen> {
    /// What resources of this kind stand on.
    type Ground: Send + Sync;
    /// Makes it.
    async fn ground(stand: &Stand<'_>, depth: Depth) -> Verdict<Self::Ground>;
    /// The least that can be made. Those of different numbers can exist beside each other on one ground.
    fn plain(stand: &Stand<'_>, ground: &Self::Ground, number: u8) -> Self::Spec;
    /// Further ones that between them set every field that the provider honours. The first is made of the most parts. They cannot exist beside
    /// each other.
    fn variants(stand: &Stand<'_>, ground: &Self::Ground) -> Verdict<Vec<(&'static str, Self::Spec)>>;
    /// What the existing one can be changed to, one after another, as far as the provider changes those fields and the ground has what they name.
    fn changes(stand: &Stand<'_>, ground: &Self::Ground, now: &Self::Spec) -> Vec<(&'static str, Self::Spec)>;
    /// Can this change be taken back?
    fn goes_back(change: &str) -> bool;
    /// What has to be done before it can be changed so.
    async fn before_change(stand: &Stand<'_>, object: &Object<Self>, change: &'static str) -> Verdict;
    /// Refused by what is known of the kind and the cloud's capabilities, before any call.
    fn malformed(stand: &Stand<'_>, plain: &Self::Spec) -> Vec<Wrong<Self>>;
    /// Well-formed, and refused by the cloud.
    async fn refused(stand: &Stand<'_>, ground: &Self::Ground, plain: &Self::Spec) -> Verdict<Vec<Wrong<Self>>>;
    /// Well-formed changes that the cloud refuses; None where it refuses none.
    async fn refused_changes(stand: &Stand<'_>, ground: &Self::Ground) -> Verdict<Option<Unchangeable<Self>>>;
    /// Ends what its delete is refused for because the specification asks for it.
    async fn let_go(stand: &Stand<'_>, object: &Object<Self>) -> Verdict;
    /// What was asked for, with what the cloud chooses taken from its answer, so that the two can be compared.
    fn comparable(asked: &Self::Spec, answered: &Self::Spec) -> Self::Spec;
    /// Is it what Done promises?
    fn is_ready(status: &Self::Status) -> bool;
    /// Every address and range that it was given.
    fn addresses(status: &Self::Status) -> Vec<IpAddr>;
    /// One that something else stands on; None where nothing can.
    async fn occupied(stand: &Stand<'_>) -> Verdict<Option<Object<Self>>>;
    /// The same, made behind the provider's back.
    fn planted(ground: &Self::Ground) -> Verdict<Planted>;
    /// Actions that can be repeated, each with the state that it leads to.
    fn fixed_points() -> Vec<(Self::Action, Reached<Self>)>;
    /// The action that must not be repeated.
    fn once() -> Option<Self::Action>;
    /// What can be asked of it, each with what every answer has to be.
    fn questions() -> Vec<(Self::Question, Plausible<Self>)>;
    /// The labels, where the kind has them.
    fn labels(spec: &mut Self::Spec) -> Option<&mut BTreeMap<String, String>>;
}

/// A specification that is another one than this.
pub(crate) fn another<K: Specimen>(stand: &Stand<'_>, ground: &K::Ground, spec: &K::Spec) -> K::Spec {
    let mut other = spec.clone();
    match K::labels(&mut other) {
        Some(labels) => {
            labels.insert("team".into(), "another".into());
            other
        }
        None => K::plain(stand, ground, 77),
    }
}

/// The paths at which the answer is not what was asked for, whatever the cloud chose, and whatever the provider calls what is referred to.
pub(crate) fn differences<K: Specimen>(asked: &K::Spec, answered: &K::Spec) -> Verdict<BTreeSet<FieldPath>> {
    let (mut asked, mut answered) = (K::comparable(asked, answered), answered.clone());
    let names: BTreeMap<VendorId, String> = K::refs(&mut answered).into_iter().filter_map(|r| Some((r.vendor_id.clone()?, r.name.to_string()))).collect();
    rename::<K>(&mut asked, |_, id| names.get(id).cloned())?;
    Ok(changed_paths::<K>(&asked, &answered)?)
}

fn to<K: Specimen>(object: &Object<K>) -> Ref<K> {
    Ref::resolved(object.name.clone(), object.vendor_id.clone())
}
fn net(text: &str) -> Verdict<IpNet> {
    text.parse().map_err(|e| Stop::Failed(format!("{text}: {e}")))
}
fn labelled(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}
/// What resources of a kind live in.
pub(crate) trait Home: Parent {
    fn of<K: Kind>(stand: &Stand<'_>) -> Verdict<Self>;
}
impl Home for LocationName {
    /// The subject's region, or `global`.
    fn of<K: Kind>(stand: &Stand<'_>) -> Verdict<Self> {
        match stand.capabilities::<K>()?.scope {
            Scope::Region => Ok(stand.subject.location.clone()),
            Scope::Global => Ok(Self::of("global")?),
        }
    }
}
impl Home for Name<DnsZone> {
    /// The zone that the trial has made, called as drivers call it.
    fn of<K: Kind>(stand: &Stand<'_>) -> Verdict<Self> {
        stand.dns_zone().ok_or_else(|| Stop::Failed("a record set is named before its zone is made".into()))
    }
}
/// An id that nothing has yet.
pub(crate) trait Chosen: Segment {
    fn from_label(label: &str) -> Verdict<Self>;
    /// Of something that is not there, as the vendor could have given it.
    fn of_nothing(shape: Option<IdShape>) -> String;
}
impl Chosen for ResourceId {
    fn from_label(label: &str) -> Verdict<Self> {
        Ok(label.parse()?)
    }
    fn of_nothing(shape: Option<IdShape>) -> String {
        match shape {
            Some(IdShape::PrefixedHex(prefix)) => format!("{prefix}{:017x}", 0),
            _ => "no-such-thing".to_owned(),
        }
    }
}
impl Chosen for RecordId {
    fn from_label(label: &str) -> Verdict<Self> {
        Ok(format!("{label}.{}~A", record_set::ZONE).parse()?)
    }
    fn of_nothing(_: Option<IdShape>) -> String {
        format!("no-such-thing.{}~A", record_set::ZONE)
    }
}
/// An id as the vendor could have given it, of something that is not there.
pub(crate) fn id_of_nothing<K: Kind<Id: Chosen>>(stand: &Stand<'_>) -> String {
    K::Id::of_nothing(stand.subject.provider.capabilities().kinds.get(K::COLLECTION).map(|c| c.id_shape))
}
/// What is wrong with labels on every kind.
fn wrong_labels<K: Specimen>(plain: &K::Spec) -> Vec<Wrong<K>> {
    let with = |labels: BTreeMap<String, String>| {
        let mut spec = plain.clone();
        if let Some(all) = K::labels(&mut spec) {
            *all = labels;
        }
        spec
    };
    vec![
        Wrong::new("a reserved label", with(labelled(&[("welkin.dev/owner", "me")])), "labels[\"welkin.dev/owner\"]"),
        Wrong::new("a label without a key", with(labelled(&[("", "x")])), "labels[\"\"]"),
        Wrong::new("too many labels", with((0..100).map(|n| (format!("k{n}"), String::new())).collect()), "labels"),
    ]
}

/// The range that every network of the trials has, and its first subnets.
const RANGE: [u8; 2] = [10, 20];
pub(crate) fn subnet_range(number: u8) -> IpNet {
    ipnet::Ipv4Net::new_assert([RANGE[0], RANGE[1], number, 0].into(), 24).into()
}
fn host(number: u8, last: u8) -> IpAddr {
    [RANGE[0], RANGE[1], number, last].into()
}
fn network_range() -> IpNet {
    ipnet::Ipv4Net::new_assert([RANGE[0], RANGE[1], 0, 0].into(), 16).into()
}
