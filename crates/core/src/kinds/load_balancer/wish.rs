//! What is asked for of a load balancer that is there.

use super::{Backend, BackendChanges, BackendDelta, LoadBalancer, LoadBalancerSpec};
use crate::{Error, FieldPath, merge};
use std::collections::BTreeSet;

/// What a load balancer that is there should become: an update and an action say so in two ways, and a driver does the same for both.
#[derive(Debug, Clone, Copy)]
pub enum LoadBalancerWish<'a> {
    /// These fields are to be as this specification has them.
    Fields(&'a LoadBalancerSpec, &'a BTreeSet<FieldPath>),
    /// Backends come and go.
    Backends(&'a BackendDelta),
}
impl<'a> LoadBalancerWish<'a> {
    /// Is this field, or a part of it, to be changed?
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        match self {
            Self::Fields(_, paths) => paths.iter().any(|path| path.0.split('.').next() == Some(field)),
            Self::Backends(_) => field == "backends",
        }
    }
    /// What it is afterwards, from what it is: what is not asked for stays as it is seen now.
    ///
    /// # Errors
    /// Those of [`merge`] and of [`BackendDelta::applied`].
    pub fn after(&self, before: &LoadBalancerSpec) -> Result<LoadBalancerSpec, Error> {
        match self {
            Self::Fields(desired, paths) => merge::<LoadBalancer>(before, desired, paths),
            Self::Backends(delta) => delta.applied(before),
        }
    }
    /// What has to be written of backends whatever is seen of them; None where only what differs is.
    ///
    /// # Errors
    /// Those of [`BackendDelta::changes`].
    pub fn changes(&self) -> Result<Option<BackendChanges>, Error> {
        match self {
            Self::Fields(..) => Ok(None),
            Self::Backends(delta) => delta.changes().map(Some),
        }
    }
    /// The backends that have to be let in, with the field that names them. `after`: what [`Self::after`] says.
    #[must_use]
    pub fn let_in(&self, after: &'a LoadBalancerSpec) -> (&'static str, &'a [Backend]) {
        match self {
            Self::Fields(..) => ("backends", &after.backends),
            Self::Backends(delta) => ("add", &delta.add),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HealthCheck;

    fn to(last: u8) -> Backend {
        Backend { address: Some([10, 0, 0, last].into()), ..Backend::default() }
    }

    #[test]
    fn what_is_not_asked_for_stays_as_it_is() {
        let before = LoadBalancerSpec { backends: vec![to(1), to(2)], cross_zone: true, idle_timeout_s: Some(60), ..LoadBalancerSpec::default() };
        let health_check = HealthCheck { port: Some(80), interval_s: Some(5), ..HealthCheck::default() };
        let desired = LoadBalancerSpec { backends: vec![to(3)], health_check, ..LoadBalancerSpec::default() };
        let paths = ["health_check.port".into(), "idle_timeout_s".into()].into();
        let fields = LoadBalancerWish::Fields(&desired, &paths);
        let after = fields.after(&before).unwrap();
        let health_check = HealthCheck { port: Some(80), ..HealthCheck::default() };
        assert_eq!(after, LoadBalancerSpec { health_check, idle_timeout_s: None, ..before.clone() });
        assert_eq!(["health_check", "idle_timeout_s", "backends", "port"].map(|field| fields.has(field)), [true, true, false, false]);
        // Where listeners change, all backends that stay have to be let in.
        assert_eq!((fields.let_in(&after), fields.changes().unwrap()), (("backends", &*before.backends), None));

        let delta = BackendDelta { add: vec![to(3)], remove: vec![to(1)] };
        let backends = LoadBalancerWish::Backends(&delta);
        let after = backends.after(&before).unwrap();
        assert_eq!(after, LoadBalancerSpec { backends: vec![to(2), to(3)], ..before });
        assert_eq!(["backends", "listeners"].map(|field| backends.has(field)), [true, false]);
        assert_eq!((backends.let_in(&after), backends.changes().unwrap()), (("add", &*delta.add), Some(delta.changes().unwrap())));
    }
}
