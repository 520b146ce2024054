//! A change of the backend set by what is added and what taken away, whatever else is in it.

use super::{
    Backend, BackendChanges, LoadBalancer, LoadBalancerSpec,
    violations::{MAX_BACKENDS, backend_violations},
};
use crate::{AnyRef, Error, Managed as _, Reason, VerbName, Violation};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// What can be done with a load balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum LoadBalancerAction {
    /// Adds backends and takes some away.
    ChangeBackends(BackendDelta),
}
impl fmt::Display for LoadBalancerAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChangeBackends(_) => f.write_str(VerbName::ChangeBackends.as_str()),
        }
    }
}

/// Backends that are added and taken away. What is one already, or is none, is fine: the same again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BackendDelta {
    /// To be led to.
    pub add: Vec<Backend>,
    /// To be led to no longer. What a reference leads to may be gone.
    pub remove: Vec<Backend>,
}

/// What became of the set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BackendsChanged {
    /// How many there are now.
    pub backends: u32,
    /// The specification afterwards, for the engine alone.
    #[serde(skip)]
    pub left: Option<Box<LoadBalancerSpec>>,
}
impl BackendsChanged {
    /// So it is afterwards.
    #[must_use]
    pub fn to(left: LoadBalancerSpec) -> Self {
        Self { backends: left.backends.len().try_into().unwrap_or(u32::MAX), left: Some(Box::new(left)) }
    }
}

impl BackendDelta {
    fn sides(&self) -> [(&'static str, &[Backend]); 2] {
        [("add", &self.add), ("remove", &self.remove)]
    }
    pub(super) fn refs(&mut self) -> Vec<AnyRef<'_>> {
        let added = self.add.iter_mut().enumerate().flat_map(|(i, b)| b.refs(format!("add[{i}]")));
        let removed = self.remove.iter_mut().enumerate().flat_map(|(i, b)| b.refs(format!("remove[{i}]"))).map(AnyRef::or_gone);
        added.chain(removed).collect()
    }
    /// What is wrong with it, whatever the set is.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        let mut out = Vec::new();
        if self.add.is_empty() && self.remove.is_empty() {
            out.push(Violation::new("add", "name at least one backend to add or to remove"));
        }
        for (field, backends) in self.sides() {
            if backends.len() > MAX_BACKENDS {
                out.push(Violation::new(field, format!("at most {MAX_BACKENDS}, got {}", backends.len())));
                return out;
            }
            backend_violations(field, backends, &mut out);
        }
        let added: BTreeSet<&Backend> = self.add.iter().collect();
        for (i, _) in self.remove.iter().enumerate().filter(|(_, b)| added.contains(b)) {
            out.push(Violation::new(format!("remove[{i}]"), "it is to be added, too"));
        }
        out
    }
    /// What has to be written, whatever is seen of the set: a read may be old.
    ///
    /// # Errors
    /// `Internal` where nobody resolved what is added.
    pub fn changes(&self) -> Result<BackendChanges, Error> {
        Ok(BackendChanges { missing: self.add.iter().map(Backend::vendor_id).collect::<Result<_, _>>()?, surplus: self.gone().into_iter().collect() })
    }
    /// What is taken away, by its vendor's id. What nobody could resolve is not there.
    fn gone(&self) -> BTreeSet<String> {
        self.remove.iter().filter_map(|b| b.vendor_id().ok()).collect()
    }
    /// As much of it as is so there.
    pub(super) fn shown(&self, spec: &LoadBalancerSpec) -> Option<Self> {
        let there: BTreeSet<String> = spec.backends.iter().filter_map(|b| b.vendor_id().ok()).collect();
        let is_there = |b: &&Backend| b.vendor_id().is_ok_and(|id| there.contains(&id));
        let shown = Self { add: self.add.iter().filter(is_there).cloned().collect(), remove: self.remove.iter().filter(|b| !is_there(b)).cloned().collect() };
        (shown != Self::default()).then_some(shown)
    }
    /// The specification of a load balancer after it.
    ///
    /// # Errors
    /// `InvalidArgument` where backends of two forms would be in the set, where it would be larger than any, or where nothing would be left.
    pub fn applied(&self, before: &LoadBalancerSpec) -> Result<LoadBalancerSpec, Error> {
        let gone = self.gone();
        let mut after = before.clone();
        let mut there = BTreeSet::new();
        for backend in std::mem::take(&mut after.backends).into_iter().chain(self.add.iter().cloned()) {
            let id = backend.vendor_id()?;
            if !gone.contains(&id) && there.insert(id) {
                after.backends.push(backend);
            }
        }
        after.settle();
        if after.backends.is_empty() {
            let why = "nothing would be left: a load balancer needs a backend to lead connections to";
            return Err(Error::violated(Reason::InvalidField, vec![Violation::new("remove", why)]));
        }
        // Of the others nobody asks here.
        let wrong: Vec<Violation> = LoadBalancer::violations(&after).into_iter().filter(|v| v.field.starts_with("backends")).collect();
        match wrong.into_iter().next() {
            Some(first) => Err(Error::violated(Reason::InvalidField, vec![Violation::new("add", format!("with what is there: {}", first.description))])),
            None => Ok(after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, Past, Ref, Target, Verb};

    fn instance(id: &str) -> Backend {
        Backend { instance: Some(Ref::resolved(format!("locations/r/instances/{id}").parse().unwrap(), format!("i-{id}").parse().unwrap())), ..Backend::default() }
    }
    fn unresolved(id: &str) -> Backend {
        Backend { instance: Some(Ref::to(format!("locations/r/instances/{id}").parse().unwrap())), ..Backend::default() }
    }
    fn address(ip: &str) -> Backend {
        Backend { address: Some(ip.parse().unwrap()), ..Backend::default() }
    }
    fn delta(add: &[Backend], remove: &[Backend]) -> BackendDelta {
        BackendDelta { add: add.to_vec(), remove: remove.to_vec() }
    }
    fn with(backends: &[Backend]) -> LoadBalancerSpec {
        LoadBalancerSpec { backends: backends.to_vec(), ..LoadBalancerSpec::default() }
    }
    fn fields(violations: &[Violation]) -> Vec<&str> {
        violations.iter().map(|v| v.field.as_str()).collect()
    }

    #[test]
    fn only_what_is_named_changes() {
        let before = with(&[instance("a"), instance("b")]);
        for (delta, ids) in [
            (delta(&[instance("c")], &[]), vec!["i-a", "i-b", "i-c"]),
            (delta(&[instance("c")], &[instance("a")]), vec!["i-b", "i-c"]),
            // One that is there already, one that is none, and one that nobody knows any more.
            (delta(&[instance("a")], &[instance("c"), unresolved("b")]), vec!["i-a", "i-b"]),
            (delta(&[instance("c")], &[instance("a"), instance("b")]), vec!["i-c"]),
        ] {
            let after = delta.applied(&before).unwrap();
            assert_eq!(after.backends.iter().map(|b| b.vendor_id().unwrap()).collect::<Vec<_>>(), ids);
            // A read that does not show it is older than it.
            assert_eq!(delta.shown(&after).as_ref(), Some(&delta));
            assert!(after == before || delta.shown(&before).as_ref() != Some(&delta));
        }
        // What is written does not follow from what is seen.
        let changes = delta(&[instance("a")], &[instance("c"), unresolved("d")]).changes().unwrap();
        assert_eq!((changes.missing, changes.surplus), (vec!["i-a".to_owned()], vec!["i-c".to_owned()]));
        assert!(delta(&[unresolved("a")], &[]).changes().is_err());
    }
    #[test]
    fn what_was_done_since_tells_nothing_of_a_read() {
        let (name, uid) = ("locations/r/loadBalancers/web".parse().unwrap(), "0123456789".parse().unwrap());
        let act = |past: Vec<Past<LoadBalancer>>, delta| Change {
            target: Target::named(Clone::clone(&name)),
            uid: Clone::clone(&uid),
            token: "t".into(),
            expect: None,
            past,
            verb: Verb::Act(LoadBalancerAction::ChangeBackends(delta)),
        };
        let old = |past: &[Past<LoadBalancer>], shown: &LoadBalancerSpec| Past::is_any_shown(past, shown, 1_050, std::time::Duration::from_millis(100)).unwrap();
        let (a, b, ab) = (with(&[instance("a")]), with(&[instance("b")]), with(&[instance("a"), instance("b")]));
        let past = act(Vec::new(), delta(&[instance("b")], &[])).past_after(&ab, 1_000).unwrap();
        assert!(old(&past, &a) && !old(&past, &ab) && !old(&past, &b));
        // It is taken away again, and so is the other one.
        let past = act(past, delta(&[instance("a")], &[instance("b")])).past_after(&a, 1_010).unwrap();
        assert!(old(&past, &ab) && old(&past, &b) && !old(&past, &a));
    }
    #[test]
    fn what_cannot_be_is_refused_by_its_field() {
        for (delta, field) in [
            (delta(&[], &[]), "add"),
            (delta(&[instance("a"), instance("a")], &[]), "add[1]"),
            (delta(&[instance("a"), address("10.0.0.1")], &[]), "add[1]"),
            (delta(&[Backend::default()], &[]), "add[0]"),
            (delta(&[instance("a")], &[instance("b"), instance("a")]), "remove[1]"),
            (delta(&vec![instance("a"); MAX_BACKENDS + 1], &[]), "add"),
        ] {
            assert_eq!(fields(&delta.violations()), [field]);
        }
        let before = with(&[instance("a")]);
        for (delta, field) in [(delta(&[address("10.0.0.1")], &[]), "add"), (delta(&[], &[instance("a")]), "remove")] {
            assert_eq!(delta.violations(), []);
            assert_eq!(fields(delta.applied(&before).unwrap_err().violations()), [field]);
        }
        // The last of one form can be replaced by another.
        assert!(delta(&[address("10.0.0.1")], &[instance("a")]).applied(&before).is_ok());
    }
    #[test]
    fn only_what_is_taken_away_may_be_gone() {
        let mut both = delta(&[unresolved("a")], &[unresolved("b")]);
        let told: Vec<_> = both.refs().into_iter().map(|r| (r.path.into_owned(), r.may_be_gone)).collect();
        assert_eq!(told, [("add[0].instance".to_owned(), false), ("remove[0].instance".to_owned(), true)]);
    }
}
