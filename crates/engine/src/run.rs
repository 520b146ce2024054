//! Driving an operation to its end: the one place where changes are repeated.

use crate::{
    account::Account,
    gate::StepGate,
    intent::{Intent, Stored, Wish},
    journal::{NameChange, NameRow, Row},
    layer::{self, Advance, Changed},
    live::{Live, Stage},
    operation::Outcome,
    prepare::{Prepared, name_row, stored_object},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tracing::Instrument as _;
use welkin_core::{Change, Child, Cx, Effect, Error, ErrorKind, Gate, Handle, Managed, Mark, Object, Reason, Result, Retry, Step, Target, Verb};

/// What one turn of the loop came to.
enum Turn<K: Managed> {
    /// Go on with this change, not before that long.
    Again(Arc<Change<K>>, Duration),
    /// It is over.
    End(std::result::Result<Outcome, Error>, NameChange),
}

impl Account {
    /// Reads what the journal says was open; calling the answer takes it up.
    pub(crate) fn recovered(self: &Arc<Self>, row: Row) -> Result<Box<dyn FnOnce() + Send>> {
        let unknown = Err(Error::new(ErrorKind::DataLoss, Reason::Store, format!("operation {} is on {}, which this Welkin does not know", row.id, row.collection)));
        welkin_core::with_kind!(row.collection.clone().as_str(), K => self.recovered_as::<K>(row), else unknown)
    }
    fn recovered_as<K: Managed>(self: &Arc<Self>, row: Row) -> Result<Box<dyn FnOnce() + Send>> {
        let stored = Stored::<K>::read(&row)?;
        let account = Arc::clone(self);
        Ok(Box::new(move || {
            let digest = match &stored {
                Stored::Intent(Intent { wish: Wish::Create { digest, .. }, .. }) | Stored::Resolved(Change { verb: Verb::Create { digest, .. }, .. }) => Some(digest.clone()),
                _ => None,
            };
            let unresolved = row.progress.unresolved_ms.is_some();
            tracing::info!(operation = row.id, verb = row.verb, target = row.target, unresolved, "recovered");
            let live = Live::new(row.clone(), Arc::clone(&account.cloud), digest, Arc::clone(&account.journal), account.clock);
            account.open.lock().register(&live, &row, None);
            account.spawn_run(live, stored);
        }))
    }

    pub(crate) fn spawn_run<K: Managed>(self: &Arc<Self>, live: Arc<Live>, stored: Stored<K>) {
        let account = Arc::clone(self);
        let row = live.row();
        // Not a part of the request that began it, which it outlives.
        let span = tracing::info_span!(parent: None, "operation", id = row.id, cloud = row.cloud, verb = row.verb, target = row.target);
        let run = async move {
            let abort = account.stop.abort.clone();
            // A step that is dropped here is what a crash would have made of it.
            tokio::select! { () = abort.cancelled() => {} () = account.run(live, stored) => {} }
        };
        self.tasks.spawn(run.instrument(span));
    }

    async fn run<K: Managed>(self: &Arc<Self>, live: Arc<Live>, stored: Stored<K>) {
        let mut change = match stored {
            Stored::Resolved(change) => {
                // Taken up again: nobody else has got these places.
                if let Err(error) = self.claim_children(&live, &change) {
                    tracing::error!(operation = live.id, %error, "a place that an operation holds is another's");
                }
                Arc::new(change)
            }
            Stored::Intent(intent) => {
                let prepared = match self.in_turn(&live).await {
                    Ok(true) => self.claimed(&live, intent).await,
                    Ok(false) => return,
                    Err(e) => Err(e),
                };
                match prepared {
                    Ok(Prepared::Change(change)) => {
                        let text = match Stored::Resolved(change.clone()).write() {
                            Ok(text) => text,
                            Err(e) => return self.refuse(&live, e).await,
                        };
                        let accepted = async {
                            self.settle(&live, &change).await?;
                            live.accept(text).await
                        };
                        if let Err(e) = accepted.await {
                            return self.refuse(&live, e).await;
                        }
                        live.announce(Stage::Accepted);
                        Arc::new(change)
                    }
                    Ok(Prepared::Answer(outcome, name)) => return self.end(&live, Ok(outcome), name).await,
                    Err(e) => return self.refuse(&live, e).await,
                }
            }
        };
        if live.failure().is_some() {
            change = Arc::new(cleaning(&change));
        }
        let mut failures = 0;
        while !self.stop.is_stopping() {
            match self.turn(&live, change, &mut failures).await {
                Turn::End(outcome, name) => return self.end(&live, outcome, name).await,
                Turn::Again(next, after) => {
                    change = next;
                    let poked = live.poke.notified();
                    tokio::select! { () = tokio::time::sleep(after) => {} () = poked => {} () = self.stop.stop.cancelled() => {} }
                }
            }
        }
    }

    /// Waits for its turn, where it has to. False where the process ends before.
    async fn in_turn(&self, live: &Live) -> Result<bool> {
        if !live.is_queued() {
            return Ok(true);
        }
        live.announce(Stage::Accepted);
        loop {
            if let Some(error) = self.over(live) {
                return Err(error.with_effect(Effect::None));
            }
            if self.open.lock().has_turn(live) {
                return Ok(true);
            }
            let left = self.settings.max_age.saturating_sub(Duration::from_millis(live.age_ms()));
            tokio::select! {
                () = live.poke.notified() => {}
                // Nothing of it has begun that could have gone well meanwhile.
                () = tokio::time::sleep(left + Duration::from_millis(1)) => live.note_answered(),
                () = self.stop.stop.cancelled() => return Ok(false),
            }
        }
    }
    async fn claimed<K: Managed>(&self, live: &Live, intent: Intent<K>) -> Result<Prepared<K>> {
        self.claim_adopted(live, &intent)?;
        let prepared = self.prepare(intent).await?;
        if let Prepared::Change(change) = &prepared {
            self.claim_children(live, change)?;
        }
        Ok(prepared)
    }
    /// Holds the places of what an action is about in its target.
    fn claim_children<K: Managed>(&self, live: &Live, change: &Change<K>) -> Result<()> {
        let Verb::Act(action) = &change.verb else { return Ok(()) };
        let name = self.name_of(&change.target).parse()?;
        K::children(&name, action).iter().try_for_each(|child| self.claim(live, child))
    }

    /// One step, and what follows from it.
    async fn turn<K: Managed>(&self, live: &Arc<Live>, change: Arc<Change<K>>, failures: &mut u32) -> Turn<K> {
        let is_cleaning = live.failure().is_some();
        if !is_cleaning && let Some(error) = self.over(live) {
            return self.give_up(live, change, error).await;
        }
        match self.step(live, &change).await {
            Ok(Step::Done(Changed::Gone)) if is_cleaning => {
                let error = live.failure().unwrap_or_else(|| Error::internal("cleaning without a failure"));
                // Whatever it did is undone.
                Turn::End(Err(error.with_effect(Effect::None)), NameChange::Remove(self.name_of(&change.target)))
            }
            Ok(Step::Done(Changed::Acted(_))) if is_cleaning => {
                let error = live.failure().unwrap_or_else(|| Error::internal("cleaning without a failure"));
                Turn::End(Err(error), NameChange::Keep)
            }
            Ok(Step::Done(done)) => self.done(&change, done),
            Ok(Step::Wait { handle, after, progress }) => {
                *failures = 0;
                live.note_answered();
                live.waited(handle, progress);
                // Without the record a restart only knows less; it then looks.
                if let Err(error) = live.save().await {
                    tracing::warn!(%error, operation = live.id, "progress not recorded");
                }
                Turn::Again(change, after)
            }
            // Nothing is left to stop, or it cannot be.
            Err(error) if is_cleaning && matches!(change.verb, Verb::Act(_)) && error.retry_after().is_none() && !is_ours_to_mend(&error) => {
                tracing::info!(operation = live.id, %error, "what was begun could not be stopped");
                Turn::End(Err(live.failure().unwrap_or(error)), NameChange::Keep)
            }
            Err(error) if is_cleaning || error.retry_after().is_some() || (live.has_written() && is_ours_to_mend(&error)) => {
                live.failed(error.to_string());
                tracing::info!(operation = live.id, %error, "step failed, to be repeated");
                let after = error.retry_after().unwrap_or_default().max(self.backoff(*failures));
                *failures += 1;
                Turn::Again(change, after)
            }
            Err(error) => self.give_up(live, change, error).await,
        }
    }

    /// Is it to end before its goal?
    fn over(&self, live: &Live) -> Option<Error> {
        if live.is_cancelled() {
            return Some(Error::new(ErrorKind::Cancelled, Reason::OperationCancelled, "cancelled on request"));
        }
        let expired = u128::from(live.age_ms()) > self.settings.max_age.as_millis();
        // The time that the process was down counts too. But a create that went well meanwhile is not removed before the cloud was asked.
        let expired = expired && (live.was_answered() || live.taken_up() > self.settings.max_age);
        expired.then(|| Error::new(ErrorKind::DeadlineExceeded, Reason::OperationExpired, format!("not reached within {} s", self.settings.max_age.as_secs())))
    }

    /// No more attempts. What a create made is removed before it ends, and an action that goes on at the vendor is stopped; of anything else only the
    /// steps stop.
    async fn give_up<K: Managed>(&self, live: &Arc<Live>, change: Arc<Change<K>>, error: Error) -> Turn<K> {
        let error = if error.effect() == Effect::None { error.with_effect(live.effect()) } else { error };
        let leaves_something = match &change.verb {
            Verb::Create { .. } => true,
            Verb::Act(action) => K::undo(action).is_some(),
            Verb::Update { .. } | Verb::Delete => false,
        };
        if !leaves_something || !live.has_written() {
            return Turn::End(Err(error), self.unsettled(live, &change));
        }
        live.begin_cleaning(error, if matches!(change.verb, Verb::Act(_)) { "stopping what was begun" } else { "removing what was made" });
        let change = Arc::new(cleaning(&change));
        // A restart that reads the old record gives up again, for the same reason or a later one, and cleans up too.
        if let Err(error) = live.save().await {
            tracing::warn!(%error, operation = live.id, "the failure is not recorded");
        }
        Turn::Again(change, Duration::ZERO)
    }

    /// An update that did not come to its end may have made something that is seen later: whoever deletes the resource has to know.
    fn unsettled<K: Managed>(&self, live: &Live, change: &Change<K>) -> NameChange {
        if let Verb::Act(action) = &change.verb {
            return self.children(change, action, None, live.handle().as_ref());
        }
        let known = self.names.read().get(&self.name_of(&change.target)).cloned();
        match known.zip(live.last_write_ms()) {
            Some((row, at)) if matches!(change.verb, Verb::Update { .. }) => NameChange::Set(NameRow { unsettled_ms: Some(at), ..row }),
            _ => NameChange::Keep,
        }
    }

    /// What an action has made of the resources in its target: the row is all that makes one of them ours.
    fn children<K: Managed>(&self, change: &Change<K>, action: &K::Action, outcome: Option<&K::Outcome>, handle: Option<&Handle>) -> NameChange {
        let name = match self.name_of(&change.target).parse() {
            Ok(name) => name,
            Err(error) => {
                tracing::error!(target = %change.target, %error, "what an action has made is not known by its name");
                return NameChange::Keep;
            }
        };
        let mut all = Vec::new();
        for child in K::left(&name, action, outcome, handle) {
            let is_known = self.names.read().get(&child.name).is_some();
            match (child.exists, is_known) {
                (true, false) => match self.child_row(child) {
                    Ok(row) => all.push(NameChange::Set(row)),
                    Err(error) => tracing::error!(%error, "what an action has made cannot be kept"),
                },
                (false, true) => all.push(NameChange::Remove(child.name)),
                _ => {}
            }
        }
        if all.is_empty() { NameChange::Keep } else { NameChange::Many(all) }
    }
    fn child_row(&self, child: Child) -> Result<NameRow> {
        let uid = uuid::Uuid::new_v4().simple().to_string().parse()?;
        Ok(NameRow { name: child.name, uid, vendor_id: child.vendor_id.parse()?, zone: None, since_ms: self.clock.now_ms(), unsettled_ms: None, adopted: false })
    }

    fn done<K: Managed>(&self, change: &Change<K>, done: Changed<K>) -> Turn<K> {
        match done {
            Changed::Gone => Turn::End(Ok(Outcome::Deleted), NameChange::Remove(self.name_of(&change.target))),
            Changed::Acted(outcome) => {
                let names = if let Verb::Act(action) = &change.verb { self.children(change, action, Some(&outcome), None) } else { NameChange::Keep };
                if let Some(left) = K::left_so(&outcome)
                    && let Err(error) = self.note_past(change, left)
                {
                    tracing::error!(target = %change.target, %error, "how it was before is not known to the next change");
                }
                match serde_json::to_value(outcome) {
                    Ok(value) => Turn::End(Ok(Outcome::Acted(value)), names),
                    Err(e) => Turn::End(Err(Error::internal("an outcome does not serialise").with_source(e).with_effect(Effect::Applied)), names),
                }
            }
            Changed::Is(object) => {
                let object = self.as_changed(change, *object);
                if let Err(error) = self.note_past(change, &object.spec) {
                    tracing::error!(name = %object.name, %error, "how it was before is not known to the next change");
                }
                let mut row = name_row(&object, &change.uid, self.clock.now_ms());
                if let Some(known) = self.names.read().get(&row.name) {
                    (row.since_ms, row.adopted) = (known.since_ms, known.adopted);
                }
                match stored_object(object) {
                    Ok(value) => Turn::End(Ok(Outcome::Object(value)), NameChange::Set(row)),
                    Err(e) => Turn::End(Err(e.with_effect(Effect::Applied)), NameChange::Set(row)),
                }
            }
        }
    }

    /// What the driver answered under the name and the mark that the change gave it: those that a vendor shows can lag behind, and a name that is
    /// stored wrong makes the next create a second one.
    fn as_changed<K: Managed>(&self, change: &Change<K>, mut object: Object<K>) -> Object<K> {
        if let Target::Named { name, .. } = &change.target
            && object.name != *name
        {
            tracing::error!(%name, answered = %object.name, vendor_id = %object.vendor_id, "a driver answered a change with another name");
            object.name = name.clone();
        }
        if let Ok(name) = self.name_of(&change.target).parse() {
            object.name = name;
        }
        let digest = match &change.verb {
            Verb::Create { digest, .. } => Some(digest.clone()).filter(|_| K::IS_MARKED),
            _ => object.mark.take().and_then(|m| m.digest),
        };
        object.mark = Some(Mark { owner: self.owner.clone(), uid: change.uid.clone(), digest });
        if let Err(error) = self.recognise(&mut object) {
            tracing::error!(name = %object.name, %error, "what an answer refers to is not known by its name");
        }
        object
    }

    async fn step<K: Managed>(&self, live: &Arc<Live>, change: &Arc<Change<K>>) -> Result<Step<Changed<K>>> {
        let _turn = self.steps.acquire().await.map_err(|e| Error::internal("no more steps").with_source(e))?;
        let resume = live.begin_step(self.written_before(change));
        let gate: Arc<dyn Gate> = Arc::new(StepGate { account: Arc::clone(&self.gate), marks: Arc::<Live>::clone(live) });
        let cx = Cx { deadline: Instant::now() + self.settings.step_timeout, owner: self.owner.clone(), gate };
        layer::ask(&self.stack, cx, Advance { change: Arc::clone(change), resume }).await
    }

    /// For a delete: when an update that did not come to its end made its last write.
    fn written_before<K: Managed>(&self, change: &Change<K>) -> Option<Instant> {
        if !matches!(change.verb, Verb::Delete) {
            return None;
        }
        let at = self.names.read().get(&self.name_of(&change.target))?.unsettled_ms?;
        Instant::now().checked_sub(Duration::from_millis(self.clock.now_ms().saturating_sub(at)))
    }

    fn backoff(&self, failures: u32) -> Duration {
        self.settings.backoff.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(self.settings.backoff_max)
    }

    /// Ends it durably, however often that has to be tried.
    async fn end(&self, live: &Arc<Live>, outcome: std::result::Result<Outcome, Error>, name: NameChange) {
        let mut tries = 0;
        while let Err(error) = live.end(outcome.clone(), &name).await {
            tracing::error!(%error, operation = live.id, "the end of an operation is not recorded, trying again");
            tokio::time::sleep(self.backoff(tries)).await;
            tries += 1;
        }
        // The name is known before its place is given back, so that the next operation on it sees what this one did.
        self.note_name(&name);
        match &outcome {
            Ok(_) => tracing::debug!(operation = live.id, "done"),
            Err(error) => tracing::info!(operation = live.id, %error, "ended"),
        }
        self.release(live, Stage::Ended);
    }

    /// It never became an operation; one that was told to wait for its turn has ended.
    async fn refuse(&self, live: &Arc<Live>, error: Error) {
        if live.is_queued() {
            return self.end(live, Err(error), NameChange::Keep).await;
        }
        let mut tries = 0;
        while let Err(e) = live.withdraw().await {
            tracing::error!(error = %e, operation = live.id, "a refused request is not withdrawn, trying again");
            tokio::time::sleep(self.backoff(tries)).await;
            tries += 1;
        }
        self.release(live, Stage::Refused(error));
    }
}

/// Errors that are not the operation's: of the configuration or the account. Who mends them finds what was begun as it was.
fn is_ours_to_mend(error: &Error) -> bool {
    let theirs = matches!(error.reason(), Reason::CloudCredentials | Reason::CloudPermission | Reason::CloudAccount | Reason::LocationUnknown);
    theirs && error.effect() == Effect::None
}

/// The delete that follows a failed create: of its own uid, whatever its name stands for; without marks, of what is exactly so as it was to be. Or
/// what stops an action.
fn cleaning<K: Managed>(change: &Change<K>) -> Change<K> {
    if let Verb::Act(action) = &change.verb
        && let Some(undo) = K::undo(action)
    {
        return Change { expect: None, verb: Verb::Act(undo), ..change.clone() };
    }
    let target = match &change.target {
        Target::Named { name, .. } => Target::Named { name: name.clone(), uid: Some(change.uid.clone()), vendor_id: None },
        vendor @ Target::Vendor { .. } => vendor.clone(),
    };
    let expect = if let Verb::Create { spec, .. } = &change.verb { K::version(spec) } else { None };
    Change { target, uid: change.uid.clone(), token: change.token.clone(), expect, past: Vec::new(), verb: Verb::Delete }
}

/// For errors of a caller who waits.
pub(crate) fn still_open(id: &str) -> Error {
    Error::new(ErrorKind::FailedPrecondition, Reason::OperationOpen, format!("operation {id} is not finished: cancel it first")).with_retry(Retry::Never)
}
