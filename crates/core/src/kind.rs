//! What a kind of resource is.

use crate::{CloudProvider, Driver, Error, Handle, Location, Name, Reader, ResourceId, Revision, Root, VendorId, Violation};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    borrow::Cow,
    fmt::{self, Debug, Display},
    hash::Hash,
    str::FromStr,
};

/// Plain data that the journal can keep.
pub trait Data: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {}
impl<T: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static> Data for T {}

/// A part of a name: text that comes back as it went.
pub trait Segment: Data + Eq + Ord + Hash + Display + FromStr<Err: Into<Error> + Debug> {}
impl<T: Data + Eq + Ord + Hash + Display + FromStr<Err: Into<Error> + Debug>> Segment for T {}

/// What something lives in: the cloud itself, a location, or another resource.
pub trait Parent: Segment {
    /// The resource that it is, as collection and name, where it is one that a caller can have named: whoever calls the vendor has to find its
    /// vendor's id first. None for the cloud and its locations, whose ids are the vendor's own.
    fn resource(&mut self) -> Option<(&'static str, &mut dyn AnyName)>;
}

/// A kind of resource, as a type without values. Everything that is not particular to one kind is written once, over `K: Kind`.
pub trait Kind: Clone + Debug + Eq + Ord + Hash + Send + Sync + 'static {
    /// The collection in names and in the API: `instances`, `machineTypes`.
    const COLLECTION: &'static str;
    /// The kind's name in the API: `Instance`.
    const KIND: &'static str;
    /// The path of every field of `Spec`, as in protobuf, serde and capabilities. Items of a list share one path.
    const FIELDS: &'static [&'static str];
    /// Fields that are sent and never answered, because the vendor does not tell (or must not).
    const INPUT_ONLY: &'static [&'static str];
    /// Do the vendor's objects carry our mark? What carries none is ours by its row in the store alone, and every change of it is made against exactly
    /// what was there before ([`Managed::version`]).
    const IS_MARKED: bool = true;
    /// What it lives in. Where that is a resource, engine and callers call it as they do everywhere; drivers get it, and answer it, called by the
    /// vendor's id ([`Kind::foreign_id`]), so that no driver has to look for it.
    type Parent: Parent;
    /// Its id there.
    type Id: Segment;
    /// What a caller asks for. Its serde form is its canonical form.
    type Spec: Data + Default;
    /// What the cloud says. Its serde form has the API's names.
    type Status: Data + Default;
    /// This kind's reader, where the cloud offers the kind.
    fn reader(provider: &dyn CloudProvider) -> Option<&dyn Reader<Self>>;
    /// The id under which the vendor's object appears where it is not ours.
    ///
    /// # Errors
    /// `InvalidArgument` where the text cannot be an id.
    fn foreign_id(vendor_id: &str) -> Result<Self::Id, Error>;
    /// The zone it lies in, where it lies in one.
    fn zone(spec: &Self::Spec, status: &Self::Status) -> Option<String>;
    /// What can be done with it, whatever its kind.
    fn condition(status: &Self::Status) -> Condition;
    /// Every reference in the specification, for the engine to resolve.
    fn refs(spec: &mut Self::Spec) -> Vec<AnyRef<'_>>;
}

impl Parent for Root {
    fn resource(&mut self) -> Option<(&'static str, &mut dyn AnyName)> {
        None
    }
}
impl<K: Kind> Parent for Name<K> {
    fn resource(&mut self) -> Option<(&'static str, &mut dyn AnyName)> {
        if K::COLLECTION == Location::COLLECTION { None } else { Some((K::COLLECTION, self)) }
    }
}

/// What can be done with a resource, whatever its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It is there, or on its way to be; the cloud has told nothing worse.
    Usable,
    /// It is being removed.
    Leaving,
    /// The cloud says that it failed.
    Failed,
    /// A part is missing: it can only be deleted.
    Incomplete,
}

/// Takes the vendor's ids out of every reference.
pub fn unresolve<K: Kind>(spec: &mut K::Spec) {
    for r in K::refs(spec) {
        *r.vendor_id = None;
    }
}

/// Shows every reference under the name that `known` has for it; what it knows none for, and what was not resolved, stays as it is.
///
/// Drivers name what they read by the vendor's id, unless the caller's own name for it is noted at the vendor; the engine knows the names of ours.
///
/// # Errors
/// `Internal` where a known name is none of the reference's kind.
pub fn rename<K: Kind>(spec: &mut K::Spec, known: impl Fn(&str, &VendorId) -> Option<String>) -> Result<(), Error> {
    for r in K::refs(spec) {
        let Some(vendor_id) = r.vendor_id.as_ref() else { continue };
        if let Some(name) = known(&r.name.to_string(), vendor_id) {
            r.name.set(&name).map_err(|e| Error::internal(format!("{} cannot be called {name}", r.path)).with_source(e))?;
        }
    }
    Ok(())
}

/// A kind that can be created, changed and deleted; the read-only catalogue is only [`Kind`].
pub trait Managed: Kind {
    /// Its verbs beyond create, update and delete.
    type Action: Data + Display;
    /// What such a verb answers.
    type Outcome: Data;
    /// What can be asked of it beyond what a read shows.
    type Question: Data + Display;
    /// What such a question is answered with. It is not [`Data`], because it can hold secrets: what nothing can serialise nothing keeps.
    type Answer: Clone + Debug + PartialEq + Send + Sync + 'static;
    /// This kind's driver, where the cloud offers the kind.
    fn driver(provider: &dyn CloudProvider) -> Option<&dyn Driver<Self>>;
    /// The id as a caller may choose it; None for kinds whose id follows from what they are (a record set).
    fn label(id: &Self::Id) -> Option<&ResourceId>;
    /// The zone field, for the engine to fill in where the cloud needs it and the caller left it open.
    fn zone_mut(spec: &mut Self::Spec) -> Option<&mut Option<String>>;
    /// What is wrong with this specification on any cloud. What depends on the cloud is in its capabilities.
    fn violations(spec: &Self::Spec) -> Vec<Violation>;
    /// Brings what a caller wrote of the resource called `id` into its one canonical form, and tells what is wrong with it under that id.
    fn canonical(_id: &Self::Id, _spec: &mut Self::Spec) -> Vec<Violation> {
        Vec::new()
    }
    /// Can such an action wait for its turn behind its like, and does it mean the same then? Others are refused while anything works on the resource.
    fn queues(_action: &Self::Action) -> bool {
        false
    }
    /// Every reference in the arguments of an action, for the engine to resolve.
    fn action_refs(_action: &mut Self::Action) -> Vec<AnyRef<'_>> {
        Vec::new()
    }
    /// The names of the resources in this one that an action is about: nothing else may work on them meanwhile.
    fn children(_name: &Name<Self>, _action: &Self::Action) -> Vec<String> {
        Vec::new()
    }
    /// Tells an action which of these are ours, and what share of them it may remove unsaid, and brings it into canonical form. What is wrong with it
    /// is answered.
    fn known(_action: &mut Self::Action, _name: &Name<Self>, _ours: &dyn Fn(&str) -> bool, _most_deleted_percent: u32) -> Vec<Violation> {
        Vec::new()
    }
    /// Which of them it has made or kept, and which removed, as far as its outcome tells or, where it did not come to its end, its handle.
    fn left(_name: &Name<Self>, _action: &Self::Action, _outcome: Option<&Self::Outcome>, _handle: Option<&Handle>) -> Vec<Child> {
        Vec::new()
    }
    /// What is left of the specification after an action that has changed it, where its outcome tells.
    fn left_so(_outcome: &Self::Outcome) -> Option<&Self::Spec> {
        None
    }
    /// As much of such an action as a specification shows: all of it unless that is older, or something else was done since. None where it shows nothing.
    fn shown(_action: &Self::Action, _spec: &Self::Spec) -> Option<Self::Action> {
        None
    }
    /// What stops an action that goes on at the vendor by itself: done in its place where it is cancelled or given up.
    fn undo(_action: &Self::Action) -> Option<Self::Action> {
        None
    }
    /// The version of an object that is exactly so, where nothing but what it says is its version: of kinds without a mark.
    fn version(_spec: &Self::Spec) -> Option<Revision> {
        None
    }
}

/// A resource in another one, after an action on that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its name.
    pub name: String,
    /// The vendor's id of it.
    pub vendor_id: String,
    /// Is it there?
    pub exists: bool,
}

/// For a kind without actions, or without questions. (`Infallible` has no serde.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoAction {}
impl Display for NoAction {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

/// A reference in a specification: a name, and the vendor's id once the engine resolved it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Ref<K: Kind> {
    /// Whom it means.
    pub name: Name<K>,
    /// The vendor's id of it. Drivers can rely on it; callers leave it empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<VendorId>,
}
impl<K: Kind> Ref<K> {
    /// An unresolved reference.
    pub fn to(name: Name<K>) -> Self {
        Self { name, vendor_id: None }
    }
    /// A reference to what a read has just shown.
    pub fn resolved(name: Name<K>, vendor_id: VendorId) -> Self {
        Self { name, vendor_id: Some(vendor_id) }
    }
    /// The vendor's id, which the engine has put there before any driver sees it.
    ///
    /// # Errors
    /// `Internal` where nobody resolved it.
    pub fn vendor_id(&self) -> Result<&VendorId, Error> {
        self.vendor_id.as_ref().ok_or_else(|| Error::internal(format!("{} was not resolved", self.name)))
    }
    /// The reference without its kind, at `path` in the specification.
    pub fn any(&mut self, path: impl Into<Cow<'static, str>>) -> AnyRef<'_> {
        AnyRef { path: path.into(), collection: K::COLLECTION, name: &mut self.name, vendor_id: &mut self.vendor_id, may_be_gone: false }
    }
}

/// A name whose kind is known only as text.
pub trait AnyName: Display + Send + Sync {
    /// Makes it another one of the same kind.
    ///
    /// # Errors
    /// `InvalidArgument` for a text that is none.
    fn set(&mut self, text: &str) -> Result<(), Error>;
}
impl<K: Kind> AnyName for Name<K> {
    fn set(&mut self, text: &str) -> Result<(), Error> {
        *self = text.parse()?;
        Ok(())
    }
}

/// A reference whose kind is known only as text. Making one costs nothing, because every read does.
pub struct AnyRef<'a> {
    /// Where it stands in the specification.
    pub path: Cow<'static, str>,
    /// The kind's collection.
    pub collection: &'static str,
    /// The name, below the cloud.
    pub name: &'a mut dyn AnyName,
    /// Where the vendor's id goes.
    pub vendor_id: &'a mut Option<VendorId>,
    /// Is it only named to be taken away? Then it may be in any condition, and where it is not there and its name tells no vendor's id, it stays open.
    pub may_be_gone: bool,
}
impl AnyRef<'_> {
    /// The same of what is only named to be taken away.
    #[must_use]
    pub fn or_gone(self) -> Self {
        Self { may_be_gone: true, ..self }
    }
}
impl Debug for AnyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.path, self.name, self.vendor_id)
    }
}

/// A vendor's own configuration of one resource: a typed message of `welkin.provider.<vendor>.v1`, which only that provider understands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VendorConfig {
    /// The protobuf message's full name.
    pub type_name: String,
    /// The message in its protobuf JSON form, with the names of the proto file.
    pub body: serde_json::Value,
}
