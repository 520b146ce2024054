//! Reading, waiting for, cancelling and forgetting operations.

use crate::{
    account::Account,
    live::{self, Stage},
    operation::Operation,
    run::still_open,
};
use std::{sync::Arc, time::Duration};
use welkin_core::{Error, ErrorKind, Reason, Result};

fn unknown(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, Reason::OperationNotFound, format!("operation {id} does not exist, or its record has expired"))
}

impl Account {
    /// An operation as it is now.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn operation(&self, id: &str) -> Result<Operation> {
        if let Some(live) = self.accepted(id) {
            return Ok(live.operation());
        }
        let row = self.journal.load(&self.cloud, id).await?.filter(|r| r.progress.is_told());
        row.map(|row| live::operation(&row, &self.cloud)).ok_or_else(|| unknown(id))
    }

    /// The operation that answers a request, also one whose checks have not ended.
    ///
    /// # Errors
    /// Those of the journal.
    pub async fn operation_of(&self, request_id: &str) -> Result<Option<Operation>> {
        let Some((row, _)) = self.journal.by_request(&self.cloud, request_id).await? else { return Ok(None) };
        let live = self.open.lock().by_id.get(&row.id).cloned();
        Ok(Some(live.map_or_else(|| live::operation(&row, &self.cloud), |live| live.operation())))
    }

    /// Operations, newest first: one page and the token of the next, which is empty at the end.
    ///
    /// # Errors
    /// `InvalidArgument` for a token that is not one of ours.
    pub async fn operations(&self, page_size: usize, page_token: &str) -> Result<(Vec<Operation>, String)> {
        if !page_token.is_empty() && uuid::Uuid::parse_str(page_token).is_err() {
            return Err(Error::new(ErrorKind::InvalidArgument, Reason::InvalidPageToken, "the page token is not one of ours").with_field("page_token"));
        }
        let before = (!page_token.is_empty()).then_some(page_token);
        let rows = self.journal.page(&self.cloud, before, page_size.max(1)).await?;
        let next = if rows.len() == page_size.max(1) { rows.last().map(|r| r.id.clone()).unwrap_or_default() } else { String::new() };
        let operations = rows.iter().filter(|r| r.progress.is_told()).map(|row| {
            // The journal has what a restart needs; the step count and the note are fresher in memory.
            self.accepted(&row.id).map_or_else(|| live::operation(row, &self.cloud), |l| l.operation())
        });
        Ok((operations.collect(), next))
    }

    /// Waits for the end, at most `timeout`, and answers the operation as it then is.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn wait(&self, id: &str, timeout: Duration) -> Result<Operation> {
        let Some(live) = self.accepted(id) else { return self.operation(id).await };
        let mut stage = live.subscribe();
        let ended = stage.wait_for(|s| matches!(s, Stage::Ended));
        tokio::select! { _ = tokio::time::timeout(timeout, ended) => {} () = self.stop.stop.cancelled() => {} }
        Ok(live.operation())
    }

    /// Asks for the end of an operation. A create then removes what it made; other verbs only stop. One that ended stays as it ended.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn cancel(&self, id: &str) -> Result<()> {
        match self.accepted(id) {
            Some(live) => live.cancel().await,
            None => self.operation(id).await.map(|_| ()),
        }
    }

    /// Forgets an ended operation. Its request id stays taken.
    ///
    /// # Errors
    /// `NotFound`, and `FailedPrecondition` while it is open.
    pub async fn forget(&self, id: &str) -> Result<()> {
        if self.accepted(id).is_some() {
            return Err(still_open(id));
        }
        if self.journal.hide(&self.cloud, id).await? { Ok(()) } else { Err(unknown(id)) }
    }

    fn accepted(&self, id: &str) -> Option<Arc<live::Live>> {
        let live = self.open.lock().by_id.get(id).cloned()?;
        let checking = matches!(*live.subscribe().borrow(), Stage::Checking | Stage::Refused(_));
        (!checking).then_some(live)
    }
}
