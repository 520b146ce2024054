//! What was changed a moment ago: reads that lag still show it as it was.
//!
//! Kept in memory alone. What a restart forgets is judged by what is shown then, and a restart takes about as long as clouds lag.

use crate::{account::Account, prepare::refuse_other_version};
use std::{collections::HashMap, time::Duration};
use welkin_core::{Change, Error, ErrorKind, Etag, Managed, Name, Object, Past, Reason, Result, Retry, Uid};

/// The first and the longest wait before something is read again that shows an older state.
const LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// By resource, with the time from which on no read shows it any more.
#[derive(Debug, Default)]
pub(crate) struct Pasts(HashMap<Uid, (u64, serde_json::Value)>);

impl Account {
    /// The object as it is now, refused where it is not ours or not at this version, and how it was before. A read that shows it so, or does not show
    /// it yet, is repeated.
    pub(crate) async fn current<K: Managed>(&self, name: &Name<K>, etag: Option<&Etag>) -> Result<(Object<K>, Vec<Past<K>>)> {
        let mut wait = LOOK.0;
        loop {
            match self.own(name, None).await {
                Ok(current) => {
                    let past = current.mark.as_ref().map_or_else(|| Ok(Vec::new()), |m| self.past::<K>(&m.uid))?;
                    if !Past::is_any_shown(&past, &current.spec, self.clock.now_ms(), self.capabilities().of::<K>()?.horizon)? {
                        refuse_other_version(&current, etag)?;
                        return Ok((current, past));
                    }
                }
                Err(e) if e.reason() == Reason::NotYetVisible => {}
                Err(e) => return Err(e),
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.stop.cancelled() => {
                    let why = format!("{name} does not show yet what was done last, and the server stops");
                    return Err(Error::new(ErrorKind::Unavailable, Reason::NotYetVisible, why).with_retry(Retry::After(wait)).with_resource(name.to_string()));
                }
            }
            wait = (wait * 2).min(LOOK.1);
        }
    }

    pub(crate) fn past<K: Managed>(&self, uid: &Uid) -> Result<Vec<Past<K>>> {
        let kept = self.pasts.lock().0.get(uid).map(|(_, past)| past.clone());
        kept.map_or_else(|| Ok(Vec::new()), |past| serde_json::from_value(past).map_err(|e| Error::internal("what was before does not deserialise").with_source(e)))
    }

    /// A change came to its end, and left this.
    pub(crate) fn note_past<K: Managed>(&self, change: &Change<K>, left: &K::Spec) -> Result<()> {
        let horizon = u64::try_from(self.capabilities().of::<K>()?.horizon.as_millis()).unwrap_or(u64::MAX);
        if horizon == 0 {
            return Ok(()); // Reads of this cloud do not lag.
        }
        let now = self.clock.now_ms();
        let mut past = change.past_after(left, now)?;
        past.retain(|p| p.ended_ms.is_some_and(|at| at + horizon > now));
        let value = serde_json::to_value(&past).map_err(|e| Error::internal("what was before does not serialise").with_source(e))?;
        let mut pasts = self.pasts.lock();
        pasts.0.retain(|_, (until, _)| *until > now);
        if !past.is_empty() {
            pasts.0.insert(change.uid.clone(), (now + horizon, value));
        }
        Ok(())
    }
}
