//! What has to be done of backends and listeners, from what is there to what is wanted.

use super::{Backend, Listener};
use crate::Error;
use std::collections::BTreeSet;

/// What has to be done so that the backends are those that are wanted, by what each is at the vendor: no backend that is one already is touched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BackendChanges {
    /// To be added.
    pub missing: Vec<String>,
    /// To be taken away.
    pub surplus: Vec<String>,
}
impl BackendChanges {
    /// From what is there to what is wanted.
    ///
    /// # Errors
    /// Those of [`Backend::vendor_id`].
    pub fn between<'a>(there: impl IntoIterator<Item = &'a str>, wanted: &[Backend]) -> Result<Self, Error> {
        let wanted = wanted.iter().map(Backend::vendor_id).collect::<Result<BTreeSet<_>, _>>()?;
        let there: BTreeSet<String> = there.into_iter().map(ToOwned::to_owned).collect();
        Ok(Self { missing: wanted.difference(&there).cloned().collect(), surplus: there.difference(&wanted).cloned().collect() })
    }
}
/// What has to be done so that the listeners are those that are wanted: none that is so already is touched.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListenerChanges<'a> {
    /// For a port and protocol that has none.
    pub missing: Vec<&'a Listener>,
    /// For one that leads elsewhere, or has another certificate.
    pub other: Vec<&'a Listener>,
    /// That are not wanted.
    pub surplus: Vec<Listener>,
}
impl<'a> ListenerChanges<'a> {
    /// From what is there to what is wanted.
    #[must_use]
    pub fn between(there: &[Listener], wanted: &'a [Listener]) -> Self {
        let (mut changes, is_same) = (Self::default(), |a: &Listener, b: &Listener| a.leads_to() == b.leads_to() && a.certificate == b.certificate);
        for listener in wanted {
            match there.iter().find(|now| now.key() == listener.key()) {
                None => changes.missing.push(listener),
                Some(now) if !is_same(now, listener) => changes.other.push(listener),
                Some(_) => {}
            }
        }
        changes.surplus = there.iter().filter(|now| wanted.iter().all(|l| l.key() != now.key())).cloned().collect();
        changes
    }
}
