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
    prepare::Prepared,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use uuid::Uuid;
use welkin_core::{Digest, Error, ErrorKind, FieldPath, Managed, Name, Reason, Result, Retry, check_chosen_id};

/// What the book of open operations says of a new one.
enum Place {
    /// It has its place; go on.
    Taken(Arc<Live>),
    /// Another call started the same.
    Join(Arc<Live>),
}

impl Account {
    /// Makes a resource. An identical create of what exists, or is being made, answers that.
    ///
    /// # Errors
    /// `InvalidArgument` naming every wrong field, `AlreadyExists` for another specification, `FailedPrecondition` for what is not ours or a
    /// reference that is not there, `Aborted` while another operation works on the name.
    pub async fn create<K: Managed>(self: &Arc<Self>, name: Name<K>, spec: K::Spec, options: Options) -> Result<Operation> {
        self.capabilities().check_verb::<K>("create")?;
        if let Some(id) = K::label(&name.id) {
            check_chosen_id(id, self.capabilities().of::<K>()?.id_shape, "id")?;
        }
        self.capabilities().check_spec::<K>(&spec)?;
        let digest = self.digester.digest::<K>(&spec)?;
        self.admit(name, Wish::Create { spec, digest }, options).await
    }

    /// Changes the fields of `paths` to what `patch` says. Nothing to change is a success without any write.
    ///
    /// # Errors
    /// `InvalidArgument` for unknown and immutable fields, `Aborted` for another etag, and those of [`Account::get`].
    pub async fn update<K: Managed>(self: &Arc<Self>, name: Name<K>, patch: K::Spec, paths: BTreeSet<FieldPath>, options: Options) -> Result<Operation> {
        self.capabilities().check_verb::<K>("update")?;
        self.admit(name, Wish::Update { patch, paths }, options).await
    }

    /// Removes a resource and every fragment of it.
    ///
    /// # Errors
    /// `NotFound` unless missing is allowed, `FailedPrecondition` for what is not ours.
    pub async fn delete<K: Managed>(self: &Arc<Self>, name: Name<K>, options: Options) -> Result<Operation> {
        self.capabilities().check_verb::<K>("delete")?;
        let allow_missing = options.allow_missing;
        self.admit(name, Wish::Delete { allow_missing }, options).await
    }

    /// Does one of the kind's own verbs.
    ///
    /// # Errors
    /// `NotFound`, `FailedPrecondition` for what is not ours, `Unimplemented` where the cloud does not have the verb.
    pub async fn act<K: Managed>(self: &Arc<Self>, name: Name<K>, action: K::Action, options: Options) -> Result<Operation> {
        self.capabilities().check_verb::<K>(&action.to_string())?;
        self.admit(name, Wish::Act(action), options).await
    }

    async fn admit<K: Managed>(self: &Arc<Self>, name: Name<K>, wish: Wish<K>, options: Options) -> Result<Operation> {
        let id = Uuid::now_v7();
        let payload = self.digester.payload(&name, &wish, options.etag.as_ref())?;
        let digest = if let Wish::Create { digest, .. } = &wish { Some(digest.clone()) } else { None };
        let (verb, target) = (wish.verb(), name.to_string());
        let intent = Intent { name, uid: Uuid::new_v4().simple().to_string().parse()?, token: id.to_string(), etag: options.etag, wish };
        if options.validate_only {
            return self.validate(intent, verb, target).await;
        }
        let row = Row {
            id: id.to_string(),
            cloud: self.cloud.to_string(),
            collection: K::COLLECTION.to_owned(),
            verb,
            target,
            request_id: options.request_id,
            payload,
            created_ms: self.clock.now_ms(),
            change: Some(Stored::Intent(intent.clone()).write()?),
            progress: Progress::new(self.clock.now_ms()),
        };
        // Twice: a repeated request may have ended between the look at the journal and the insertion.
        for _ in 0..2 {
            if let Some(answer) = self.repeated(&row).await? {
                return Ok(answer);
            }
            let live = match self.take_place(&row, digest.as_ref())? {
                Place::Join(live) => return self.answer(&live).await,
                Place::Taken(live) => live,
            };
            // From here on the caller may go away at any await; the task owns the operation and its place.
            let (account, first) = (Arc::clone(self), Arc::clone(&live));
            let (row, intent) = (row.clone(), intent.clone());
            let inserted = self.tasks.spawn(async move {
                let inserted = account.journal.insert(&row).await;
                match &inserted {
                    Ok(true) => account.spawn_run(first, Stored::Intent(intent)),
                    Ok(false) => account.release(&first, Stage::Refused(Error::internal("the request id was taken meanwhile"))),
                    Err(e) => account.release(&first, Stage::Refused(e.clone())),
                }
                inserted
            });
            if inserted.await.map_err(|e| Error::internal("recording the operation failed").with_source(e))?? {
                return self.answer(&live).await;
            }
        }
        Err(Error::new(ErrorKind::Aborted, Reason::OperationInProgress, "the same request is being handled").with_retry(Retry::After(Duration::from_millis(100))))
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
            phase: Phase::Ended,
            steps: 0,
            progress: String::new(),
            created_ms: now,
            updated_ms: now,
            end: Some(Ok(Outcome::Validated)),
        })
    }

    /// The operation of an earlier request with the same id.
    async fn repeated(self: &Arc<Self>, row: &Row) -> Result<Option<Operation>> {
        let Some(request_id) = &row.request_id else { return Ok(None) };
        let live = {
            let open = self.open.lock();
            open.by_request.get(request_id).and_then(|id| open.by_id.get(id)).cloned()
        };
        let earlier = match &live {
            Some(live) => live.row(),
            None => match self.journal.by_request(&self.cloud, request_id).await? {
                Some(row) => row,
                None => return Ok(None),
            },
        };
        same_request(&earlier, row)?;
        match live {
            Some(live) => self.answer(&live).await.map(Some),
            None => Ok(Some(live::operation(&earlier, &self.cloud))),
        }
    }

    /// One operation at a time on a name. A create joins the create that means the same.
    fn take_place(&self, row: &Row, digest: Option<&Digest>) -> Result<Place> {
        if self.stop.is_stopping() {
            return Err(Error::new(ErrorKind::Unavailable, Reason::ShuttingDown, "the server is shutting down").with_retry(Retry::After(Duration::from_secs(1))));
        }
        let mut open = self.open.lock();
        if let Some(live) = row.request_id.as_ref().and_then(|r| open.by_request.get(r)).and_then(|id| open.by_id.get(id)) {
            same_request(&live.row(), row)?;
            return Ok(Place::Join(Arc::clone(live)));
        }
        if let Some(other) = open.by_target.get(&row.target).and_then(|id| open.by_id.get(id)) {
            if digest.is_some() && other.digest.as_ref() == digest && other.failure().is_none() && !other.is_cancelled() {
                return Ok(Place::Join(Arc::clone(other)));
            }
            let message = format!("operation {} is working on {}: {}", other.id, row.target, other.row().verb);
            return Err(Error::new(ErrorKind::Aborted, Reason::OperationInProgress, message)
                .with_retry(Retry::After(Duration::from_secs(1)))
                .with_resource(&row.target)
                .with_operation(&other.id));
        }
        let live = Live::new(row.clone(), Arc::clone(&self.cloud), digest.cloned(), Arc::clone(&self.journal), self.clock);
        open.register(&live, row);
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

/// One request id stands for one request.
fn same_request(earlier: &Row, row: &Row) -> Result<()> {
    if earlier.payload == row.payload {
        return Ok(());
    }
    let message = format!("request id {:?} was used for another request: {} {}", row.request_id.as_deref().unwrap_or_default(), earlier.verb, earlier.target);
    Err(Error::new(ErrorKind::InvalidArgument, Reason::RequestIdReused, message).with_field("request_id"))
}

impl crate::account::Open {
    pub(crate) fn register(&mut self, live: &Arc<Live>, row: &Row) {
        self.by_id.insert(row.id.clone(), Arc::clone(live));
        self.by_target.insert(row.target.clone(), row.id.clone());
        if let Some(request) = &row.request_id {
            self.by_request.insert(request.clone(), row.id.clone());
        }
    }
    fn forget(&mut self, row: &Row) {
        self.by_id.remove(&row.id);
        if self.by_target.get(&row.target) == Some(&row.id) {
            self.by_target.remove(&row.target);
        }
        if let Some(request) = &row.request_id
            && self.by_request.get(request) == Some(&row.id)
        {
            self.by_request.remove(request);
        }
    }
}
