//! Create, Update, Delete and the kinds' own verbs, for every kind.
//!
//! Everything that can be wrong with a request is looked for before anything happens, and answered at once.

use super::{Shared, call::Reply};
use crate::{
    api::google::longrunning::Operation,
    convert::{Mutable, Scope, error::to_status, is_wild, one_name, operation, split_name},
    wire,
};
use prost_types::FieldMask;
use std::{collections::BTreeSet, sync::Arc};
use tonic::Status;
use welkin_core::{Error, Etag, FieldPath, Name, Reason, Result, Violation, changed_paths, check_chosen_id};
use welkin_engine::{Account, Options};

/// The longest request id (google.aip.dev/155 suggests a UUID, which has 36).
const MAX_REQUEST_ID: usize = 64;
/// The longest etag that can be one of ours.
const MAX_ETAG: usize = 128;

/// The longest provider id: Azure's have some 200 characters.
const MAX_PROVIDER_ID: usize = 512;

/// What is wrong with a request so far.
#[derive(Default)]
struct Wrong {
    reason: Option<Reason>,
    fields: Vec<Violation>,
}
impl Wrong {
    fn add(&mut self, reason: Reason, fields: impl IntoIterator<Item = Violation>) {
        let before = self.fields.len();
        self.fields.extend(fields);
        if self.fields.len() > before {
            // One word for all of it, so two different ones are the general one.
            self.reason = Some(if self.reason.is_none_or(|r| r == reason) { reason } else { Reason::InvalidField });
        }
    }
    fn field(&mut self, reason: Reason, field: &str, why: impl Into<String>) {
        self.add(reason, [Violation::new(field, why)]);
    }
    /// The value, or one more thing that is wrong.
    fn check<T>(&mut self, field: &str, result: Result<T>) -> Option<T> {
        result.map_err(|e| self.field(e.reason(), field, e.message())).ok()
    }
    fn found(&self) -> bool {
        !self.fields.is_empty()
    }
    fn into_result(self) -> Result<()> {
        match self.reason {
            None => Ok(()),
            Some(reason) => Err(Error::violated(reason, self.fields)),
        }
    }
}

/// The cloud's account, and what stands below the cloud in the name.
fn account<'a>(shared: &'a Shared, field: &str, name: &'a str) -> Reply<(&'a Arc<Account>, &'a str)> {
    let found = split_name(name).and_then(|(cloud, below)| Ok((shared.engine.account(cloud)?, below)));
    found.map_err(|e| to_status(&e.with_field(field), None))
}
fn status_of(account: &Account) -> impl Fn(Error) -> Status {
    |e| to_status(&e, Some(account.cloud()))
}
fn answer(account: &Account, operation: Result<welkin_engine::Operation>) -> Reply<Operation> {
    operation.and_then(|o| operation::encode(&o)).map_err(status_of(account))
}

/// What comes with every mutation.
fn options(request_id: String, etag: &str, validate_only: bool, wrong: &mut Wrong) -> Options {
    if request_id.len() > MAX_REQUEST_ID || !request_id.bytes().all(|c| c.is_ascii_graphic()) {
        wrong.field(Reason::InvalidField, "request_id", format!("at most {MAX_REQUEST_ID} printable ASCII characters without spaces"));
    }
    if etag.len() > MAX_ETAG || !etag.bytes().all(|c| c.is_ascii_graphic()) {
        wrong.field(Reason::InvalidField, "etag", "it is not an etag of this API");
    }
    Options { request_id: (!request_id.is_empty()).then_some(request_id), etag: (!etag.is_empty()).then(|| Etag(etag.to_owned())), validate_only, ..Default::default() }
}

/// `Create{Kind}`.
pub(super) async fn create<K: Mutable>(shared: &Shared, request: wire::Create<K::Message>) -> Reply<Operation> {
    let (account, below) = account(shared, "parent", &request.parent)?;
    let mut wrong = Wrong::default();
    let mut options = options(request.request_id, "", request.validate_only, &mut wrong);
    if request.adopt.len() > MAX_PROVIDER_ID {
        wrong.field(Reason::InvalidField, "adopt", format!("at most {MAX_PROVIDER_ID} characters"));
    }
    options.adopt = (!request.adopt.is_empty()).then_some(request.adopt);
    let parent = wrong.check("parent", one_parent::<K>(below));
    let id = wrong.check(K::ID_FIELD, chosen::<K>(account, &request.id));
    let asked = request.resource.is_some();
    if !asked && options.adopt.is_none() {
        let field = K::ID_FIELD.trim_end_matches("_id");
        wrong.field(Reason::FieldRequired, field, format!("say what the {field} should be"));
    }
    // Where the parent is wrong, short references are read as if it were right: they are not what is wrong.
    let any = if parent.is_none() { K::ANY_PARENT.parse().ok() } else { None };
    let spec = match (parent.as_ref().or(any.as_ref()), request.resource) {
        (Some(parent), Some(message)) => decode::<K>(account, parent, message, &mut wrong),
        _ => K::Spec::default(),
    };
    if wrong.found() && asked && options.adopt.is_none() {
        also_what_the_cloud_refuses::<K>(account, &spec, &mut wrong);
    }
    wrong.into_result().map_err(status_of(account))?;
    let (Some(parent), Some(id)) = (parent, id) else { return Err(Status::internal("a request that was checked has no name")) };
    answer(account, account.create::<K>(Name::new(parent, id), spec, options).await)
}
fn one_parent<K: Mutable>(below: &str) -> Result<K::Parent> {
    let parent: K::Parent = below.parse().map_err(Into::into)?;
    if is_wild::<K>(&parent) { Err(Error::invalid("parent", "\"-\" stands for any location; name one")) } else { Ok(parent) }
}
fn chosen<K: Mutable>(account: &Account, id: &str) -> Result<K::Id> {
    if id.is_empty() {
        return Err(Error::new(welkin_core::ErrorKind::InvalidArgument, Reason::FieldRequired, "choose an id: 1 to 63 of a-z, 0-9 and '-', a letter first"));
    }
    let id: K::Id = id.parse().map_err(Into::into)?;
    if let (Some(label), Ok(caps)) = (K::label(&id), account.capabilities().of::<K>()) {
        check_chosen_id(label, caps.id_shape, K::ID_FIELD).map_err(|e| {
            let why = e.violations().first().map_or_else(|| e.message().to_owned(), |v| v.description.clone());
            Error::new(e.kind(), Reason::InvalidName, why)
        })?;
    }
    Ok(id)
}
fn decode<K: Mutable>(account: &Account, parent: &K::Parent, message: K::Message, wrong: &mut Wrong) -> K::Spec {
    let mut scope = Scope { cloud: account.cloud(), parent, wrong: Vec::new() };
    let spec = K::decode_spec(message, &mut scope);
    wrong.add(Reason::InvalidField, scope.wrong);
    spec
}
/// The engine asks the cloud's capabilities itself; where a request is refused before it gets there, its caller still gets to know all of it.
fn also_what_the_cloud_refuses<K: Mutable>(account: &Account, spec: &K::Spec, wrong: &mut Wrong) {
    if let Err(e) = account.capabilities().check_spec::<K>(spec) {
        // A field that could not be read counts as open; it is named already.
        let named: BTreeSet<String> = wrong.fields.iter().map(|v| root(&v.field).to_owned()).collect();
        wrong.add(e.reason(), e.violations().iter().filter(|v| !named.contains(root(&v.field))).cloned());
    }
}
fn root(field: &str) -> &str {
    field.split(['[', '.']).next().unwrap_or(field)
}

/// `Update{Kind}`.
pub(super) async fn update<K: Mutable>(shared: &Shared, request: wire::Update<K::Message>) -> Reply<Operation> {
    let field = K::ID_FIELD.trim_end_matches("_id");
    let Some(message) = request.resource else {
        let missing = Violation::new(field, format!("say which {field}, and what it should become"));
        return Err(to_status(&Error::violated(Reason::FieldRequired, vec![missing]), None));
    };
    let (name, etag) = K::name_and_etag(&message);
    let (name, etag) = (name.to_owned(), etag.to_owned());
    let (account, below) = account(shared, "name", &name)?;
    let mut wrong = Wrong::default();
    let options = options(request.request_id, &etag, request.validate_only, &mut wrong);
    let name = wrong.check("name", one_name::<K>(below));
    let any = if name.is_none() { K::ANY_PARENT.parse().ok() } else { None };
    let patch = match name.as_ref().map(|n| &n.parent).or(any.as_ref()) {
        Some(parent) => decode::<K>(account, parent, message, &mut wrong),
        None => K::Spec::default(),
    };
    let paths = mask::<K>(request.update_mask, &patch, &mut wrong);
    wrong.into_result().map_err(status_of(account))?;
    let Some(name) = name else { return Err(Status::internal("a request that was checked has no name")) };
    answer(account, account.update::<K>(name, patch, paths, options).await)
}
/// The fields that an update changes: those of the mask, or without one all that are set (google.aip.dev/134).
fn mask<K: Mutable>(mask: Option<FieldMask>, patch: &K::Spec, wrong: &mut Wrong) -> BTreeSet<FieldPath> {
    let paths = mask.map(|m| m.paths).unwrap_or_default();
    if paths.is_empty() {
        // Data cannot fail to serialise.
        return changed_paths::<K>(&K::Spec::default(), patch).unwrap_or_default();
    }
    for path in &paths {
        if path == "*" && paths.len() > 1 {
            wrong.field(Reason::InvalidFieldMask, "update_mask", "* stands alone");
        } else if path != "*" && !K::FIELDS.contains(&path.as_str()) {
            wrong.field(Reason::InvalidFieldMask, "update_mask", format!("{path:?} is not a field of {} that can be set; its fields are {}", K::KIND, K::FIELDS.join(", ")));
        }
    }
    paths.into_iter().map(FieldPath).collect()
}

/// `Delete{Kind}`.
pub(super) async fn delete<K: Mutable>(shared: &Shared, request: wire::Touch) -> Reply<Operation> {
    let (account, name, mut options) = touched::<K>(shared, &request)?;
    (options.allow_missing, options.release) = (request.allow_missing, request.release);
    answer(account, account.delete::<K>(name, options).await)
}

/// `{Verb}{Kind}`.
pub(super) async fn act<K: Mutable>(shared: &Shared, request: wire::Act<K::Arguments>, action: K::Action) -> Reply<Operation> {
    let (account, name, options) = touched::<K>(shared, &request.touch)?;
    let mut scope = Scope { cloud: account.cloud(), parent: &name.parent, wrong: Vec::new() };
    let action = K::with_arguments(action, request.arguments, &mut scope);
    if !scope.wrong.is_empty() {
        return Err(status_of(account)(Error::violated(Reason::InvalidField, scope.wrong)));
    }
    answer(account, account.act::<K>(name, action, options).await)
}

fn touched<'a, K: Mutable>(shared: &'a Shared, request: &'a wire::Touch) -> Reply<(&'a Arc<Account>, Name<K>, Options)> {
    let (account, below) = account(shared, "name", &request.name)?;
    let mut wrong = Wrong::default();
    let options = options(request.request_id.clone(), &request.etag, request.validate_only, &mut wrong);
    let name = wrong.check("name", one_name::<K>(below));
    wrong.into_result().map_err(status_of(account))?;
    name.map(|name| (account, name, options)).ok_or_else(|| Status::internal("a request that was checked has no name"))
}
