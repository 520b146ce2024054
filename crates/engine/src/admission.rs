//! How a mutation becomes an operation.
//!
//! The intent is durable first. Then names and references are checked, in a task of the account's, so that a caller who goes away changes
//! nothing. What is refused there never became an operation: its record is withdrawn and every waiting caller gets the error.

use crate::{
    account::Account,
    intent::{Intent, Stored, Wish},
    journal::{Progress, Row},
    layer::{self, Check},
    live::{self, Live, Stage},
    operation::{Operation, Options, Outcome, Phase},
    prepare::{Prepared, refuse_wrong},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use uuid::Uuid;
use welkin_core::{Digest, Error, ErrorKind, FieldPath, Managed, Name, Reason, Result, Retry, check_chosen_id, unresolve};

/// What the book of open operations says of a new one.
enum Place {
    /// It has its place, or one in the line before it; go on.
    Taken(Arc<Live>),
    /// Another request asked for the same.
    Join(Arc<Live>),
    /// This very request is there already.
    Repeated(Arc<Live>),
}

/// At most so many wait before one resource.
const MOST_WAITING: usize = 1000;

impl Account {
    /// Makes a resource, or adopts one. An identical create of what exists, or is being made, answers that.
    ///
    /// With [`Options::adopt`] the specification has to be empty: what is there is taken as it is, under this name. The same adoption again is fine.
    ///
    /// # Errors
    /// `InvalidArgument` naming every wrong field, `AlreadyExists` for another specification, `FailedPrecondition` for what is not ours or a
    /// reference that is not there, `Aborted` while another operation works on the name. Of an adoption: `NotFound` for what is not there,
    /// `AlreadyExists` for what is managed under another name, `FailedPrecondition` for what carries another owner's mark.
    pub async fn create<K: Managed>(self: &Arc<Self>, name: Name<K>, mut spec: K::Spec, options: Options) -> Result<Operation> {
        self.capabilities().check_verb::<K>("create")?;
        unresolve::<K>(&mut spec);
        if let Some(id) = options.adopt.clone() {
            return Box::pin(self.adopt(name, &spec, id, options)).await;
        }
        if let Some(id) = K::label(&name.id) {
            check_chosen_id(id, self.capabilities().of::<K>()?.id_shape, "id")?;
        }
        refuse_wrong(K::canonical(&name.id, &mut spec))?;
        self.capabilities().check_spec::<K>(&spec)?;
        let digest = self.digester.digest::<K>(&spec)?;
        self.admit(name, Wish::Create { spec, digest }, options).await
    }

    /// Changes the fields of `paths` to what `patch` says. Nothing to change is a success without any write.
    ///
    /// # Errors
    /// `InvalidArgument` for unknown and immutable fields, `Aborted` for another etag, and those of [`Account::get`].
    pub async fn update<K: Managed>(self: &Arc<Self>, name: Name<K>, mut patch: K::Spec, paths: BTreeSet<FieldPath>, options: Options) -> Result<Operation> {
        self.capabilities().check_verb::<K>("update")?;
        unresolve::<K>(&mut patch);
        self.admit(name, Wish::Update { patch, paths }, options).await
    }

    /// Removes a resource and every fragment of it; of an adopted one only the object itself. With [`Options::release`] the object stays and is only
    /// managed no longer.
    ///
    /// # Errors
    /// `NotFound` unless missing is allowed, `FailedPrecondition` for what is not ours, and for the release of what was not adopted.
    pub async fn delete<K: Managed>(self: &Arc<Self>, name: Name<K>, options: Options) -> Result<Operation> {
        self.capabilities().check_verb::<K>("delete")?;
        let (allow_missing, release) = (options.allow_missing, options.release);
        self.admit(name, Wish::Delete { allow_missing, release }, options).await
    }

    /// Does one of the kind's own verbs.
    ///
    /// # Errors
    /// `NotFound`, `FailedPrecondition` for what is not ours, `Unimplemented` where the cloud does not have the verb.
    pub async fn act<K: Managed>(self: &Arc<Self>, name: Name<K>, mut action: K::Action, options: Options) -> Result<Operation> {
        self.capabilities().check_verb::<K>(&action.to_string())?;
        K::action_refs(&mut action).into_iter().for_each(|r| *r.vendor_id = None);
        self.admit(name, Wish::Act(action), options).await
    }

    pub(crate) async fn admit<K: Managed>(self: &Arc<Self>, mut name: Name<K>, wish: Wish<K>, options: Options) -> Result<Operation> {
        let id = Uuid::now_v7();
        self.names.read().inward(&mut name)?;
        let payload = self.digester.payload(&name, &wish, options.etag.as_ref())?;
        let queues = matches!(&wish, Wish::Act(action) if K::queues(action));
        if (queues || matches!(wish, Wish::Delete { release: true, .. }))
            && let Some(row) = self.names.read().find(&name.to_string())
        {
            // Of a release nothing is resolved that would move it from the place of the vendor's id to that of the name, and there is one line before a
            // resource, whatever it is called.
            name = row.name.parse()?;
        }
        let digest = if let Wish::Create { digest, .. } = &wish { Some(digest.clone()) } else { None };
        let (verb, target) = (wish.verb(), name.to_string());
        let intent = Intent { name, uid: Uuid::new_v4().simple().to_string().parse()?, token: id.to_string(), etag: options.etag, wish };
        if options.validate_only {
            return Box::pin(self.validate(intent, verb, target)).await;
        }
        let row = Row {
            id: id.to_string(),
            cloud: self.cloud.to_string(),
            collection: K::COLLECTION.to_owned(),
            verb,
            target,
            uid: digest.as_ref().map(|_| intent.uid.clone()),
            request_id: options.request_id,
            created_ms: self.clock.now_ms(),
            change: Some(Stored::Intent(intent.clone()).write()?),
            progress: Progress::new(self.clock.now_ms()),
        };
        // Twice: a repeated request may have ended between the look at the journal and the insertion.
        for _ in 0..2 {
            if let Some(answer) = self.repeated(&row, &payload).await? {
                return Ok(answer);
            }
            let live = match self.take_place(&row, &payload, digest.as_ref(), queues)? {
                Place::Repeated(live) => return self.answer(&live).await,
                Place::Join(live) => match self.join(&live, &row, &payload).await? {
                    Some(answer) => return Ok(answer),
                    None => continue,
                },
                Place::Taken(live) => live,
            };
            // From here on the caller may go away at any await; the task owns the operation and its place.
            let (account, first) = (Arc::clone(self), Arc::clone(&live));
            let (row, payload, intent) = (live.row(), payload.clone(), intent.clone());
            let inserted = self.tasks.spawn(async move {
                let inserted = account.journal.insert(&row, &payload).await;
                match &inserted {
                    Ok(true) => account.spawn_run(first, Stored::Intent(intent)),
                    Ok(false) => account.release(&first, Stage::Refused(handled_elsewhere())),
                    Err(e) => account.release(&first, Stage::Refused(e.clone())),
                }
                inserted
            });
            if inserted.await.map_err(|e| Error::internal("recording the operation failed").with_source(e))?? {
                return self.answer(&live).await;
            }
        }
        Err(handled_elsewhere())
    }

    /// Runs every check and the vendor's dry run, and keeps nothing.
    async fn validate<K: Managed>(&self, intent: Intent<K>, verb: String, target: String) -> Result<Operation> {
        if let Prepared::Change(change) = self.prepare(intent).await? {
            layer::ask(&self.stack, self.cx(), Check(Arc::new(change))).await?;
        }
        let now = self.clock.now_ms();
        Ok(Operation {
            id: String::new(),
            cloud: Arc::clone(&self.cloud),
            collection: K::COLLECTION.to_owned(),
            verb,
            target,
            request_id: None,
            uid: None,
            phase: Phase::Ended,
            steps: 0,
            progress: String::new(),
            created_ms: now,
            updated_ms: now,
            end: Some(Ok(Outcome::Validated)),
        })
    }

    /// Answers with what another request began. From then on this request's id stands for it too: sent again later, it must mean neither a new
    /// resource nor another request. None where the id was taken meanwhile.
    async fn join(&self, live: &Arc<Live>, row: &Row, payload: &str) -> Result<Option<Operation>> {
        // What is refused after all leaves no record that could be joined.
        let answer = self.answer(live).await?;
        let Some(request_id) = &row.request_id else { return Ok(Some(answer)) };
        let joined = self.journal.join(&self.cloud, request_id, payload, &live.id).await?;
        Ok(joined.then_some(answer))
    }

    /// The operation of an earlier request with the same id.
    async fn repeated(self: &Arc<Self>, row: &Row, payload: &str) -> Result<Option<Operation>> {
        let Some(request_id) = &row.request_id else { return Ok(None) };
        let Some((earlier, its_payload)) = self.journal.by_request(&self.cloud, request_id).await? else { return Ok(None) };
        same_request(request_id, (&earlier, &its_payload), payload)?;
        let live = self.open.lock().by_id.get(&earlier.id).cloned();
        match live {
            Some(live) => self.answer(&live).await.map(Some),
            // It may have ended since the journal was asked.
            None if earlier.progress.end.is_none() => Ok(self.journal.by_request(&self.cloud, request_id).await?.map(|(row, _)| live::operation(&row, &self.cloud))),
            None => Ok(Some(live::operation(&earlier, &self.cloud))),
        }
    }

    /// One operation at a time on a name. A create joins the create that means the same, and what can wait for its turn behind its like does.
    fn take_place(&self, row: &Row, payload: &str, digest: Option<&Digest>, queues: bool) -> Result<Place> {
        if self.stop.is_stopping() {
            return Err(Error::new(ErrorKind::Unavailable, Reason::ShuttingDown, "the server is shutting down").with_retry(Retry::After(Duration::from_secs(1))));
        }
        let (mut open, mut row) = (self.open.lock(), row.clone());
        if let Some(request_id) = &row.request_id
            && let Some((id, its_payload)) = open.by_request.get(request_id)
            && let Some(live) = open.by_id.get(id)
        {
            same_request(request_id, (&live.row(), its_payload), payload)?;
            return Ok(Place::Repeated(Arc::clone(live)));
        }
        if let Some(other) = open.by_target.get(&row.target).and_then(|id| open.by_id.get(id)) {
            if digest.is_some() && other.digest.as_ref() == digest && other.failure().is_none() && !other.is_cancelled() {
                return Ok(Place::Join(Arc::clone(other)));
            }
            if !queues || other.row().verb != row.verb || open.waiting(&row.target) >= MOST_WAITING {
                let message = format!("operation {} is working on {}: {}", other.id, row.target, other.row().verb);
                return Err(Error::new(ErrorKind::Aborted, Reason::OperationInProgress, message)
                    .with_retry(Retry::After(Duration::from_secs(1)))
                    .with_resource(&row.target)
                    .with_operation(&other.id));
            }
            row.progress = Progress { queued: true, note: format!("waiting for operation {} to end", other.id), ..row.progress };
        }
        let live = Live::new(row.clone(), Arc::clone(&self.cloud), digest.cloned(), Arc::clone(&self.journal), self.clock);
        open.register(&live, &row, Some(payload));
        Ok(Place::Taken(live))
    }

    /// Gives the place back and tells everybody who waits.
    pub(crate) fn release(&self, live: &Arc<Live>, stage: Stage) {
        self.open.lock().forget(&live.row());
        live.announce(stage);
    }

    /// Waits until it is accepted, and then for as long as something that ends soon may take.
    async fn answer(&self, live: &Arc<Live>) -> Result<Operation> {
        let mut stage = live.subscribe();
        let checked = stage.wait_for(|s| !matches!(s, Stage::Checking));
        let checked = tokio::select! {
            checked = checked => checked.map_err(|e| Error::internal("an operation vanished").with_source(e))?.clone(),
            () = self.stop.stop.cancelled() => return Err(Error::new(ErrorKind::Unavailable, Reason::ShuttingDown, "the server is shutting down; the request is recorded, send it again").with_retry(Retry::After(Duration::from_secs(1)))),
        };
        if let Stage::Refused(error) = checked {
            return Err(error);
        }
        let _ = tokio::time::timeout(self.settings.short_bound, stage.wait_for(|s| matches!(s, Stage::Ended))).await;
        Ok(live.operation())
    }
}

/// Another call has the request id; whoever asks again is told what came of it.
fn handled_elsewhere() -> Error {
    Error::new(ErrorKind::Aborted, Reason::OperationInProgress, "the same request is being handled").with_retry(Retry::After(Duration::from_millis(100)))
}
/// One request id stands for one request.
fn same_request(request_id: &str, (earlier, its_payload): (&Row, &str), payload: &str) -> Result<()> {
    if its_payload == payload {
        return Ok(());
    }
    let message = format!("request id {request_id:?} was used for another request: {} {}", earlier.verb, earlier.target);
    Err(Error::new(ErrorKind::InvalidArgument, Reason::RequestIdReused, message).with_field("request_id"))
}
