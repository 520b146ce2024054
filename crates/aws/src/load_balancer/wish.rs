//! What is asked for of a load balancer that is there: fields of its specification, or backends that come and go.

use super::after;
use crate::resource::names;
use std::collections::BTreeSet;
use welkin_core::{Backend, BackendDelta, FieldPath, LoadBalancerSpec, Result};

#[derive(Debug, Clone, Copy)]
pub(super) enum Wish<'a> {
    Fields(&'a LoadBalancerSpec, &'a BTreeSet<FieldPath>),
    Backends(&'a BackendDelta),
}
impl<'a> Wish<'a> {
    pub(super) fn has(&self, field: &str) -> bool {
        match self {
            Self::Fields(_, paths) => names(paths, field),
            Self::Backends(_) => field == "backends",
        }
    }
    /// What it is afterwards, from what it is.
    pub(super) fn after(&self, before: &LoadBalancerSpec) -> Result<LoadBalancerSpec> {
        match self {
            Self::Fields(desired, paths) => Ok(after(before, desired, paths)),
            Self::Backends(delta) => delta.applied(before),
        }
    }
    /// The backends that have to be let in, with the field that names them.
    pub(super) fn let_in(&self, asked: &'a LoadBalancerSpec) -> (&'static str, &'a [Backend]) {
        match self {
            Self::Fields(..) => ("backends", &asked.backends),
            Self::Backends(delta) => ("add", &delta.add),
        }
    }
}
