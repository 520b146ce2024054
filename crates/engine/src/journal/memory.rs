//! A journal in memory: for use in process, and for tests under paused time.

use super::{Confidential, Journal, NameChange, NameRow, Progress, Row};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use welkin_core::Result;

/// Keeps everything until the last clone is dropped; an engine that is opened again over the same value recovers from it.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<String, Row>,
    hidden: BTreeSet<String>,
    /// Cloud and request id to payload and operation.
    requests: BTreeMap<(String, String), (String, String)>,
    names: BTreeMap<(String, String), NameRow>,
    settings: BTreeMap<String, String>,
}
impl State {
    /// What has ended is not changed any more.
    fn open(&mut self, id: &str) -> Option<&mut Row> {
        self.rows.get_mut(id).filter(|r| r.progress.end.is_none())
    }
    fn request(&mut self, cloud: &str, id: &str, payload: &str, operation: &str) -> bool {
        let key = (cloud.to_owned(), id.to_owned());
        let is_free = !self.requests.contains_key(&key);
        if is_free {
            self.requests.insert(key, (payload.to_owned(), operation.to_owned()));
        }
        is_free
    }
    fn forget_requests(&mut self) {
        let Self { rows, requests, .. } = self;
        requests.retain(|_, (_, operation)| rows.contains_key(operation));
    }
    fn rename(&mut self, cloud: &str, change: &NameChange) {
        match change {
            NameChange::Keep => {}
            NameChange::Set(row) => {
                self.names.insert((cloud.to_owned(), row.name.clone()), row.clone());
            }
            NameChange::Remove(name) => {
                self.names.remove(&(cloud.to_owned(), name.clone()));
            }
            NameChange::Many(all) => all.iter().for_each(|one| self.rename(cloud, one)),
        }
    }
}

impl MemoryJournal {
    /// An empty journal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn insert(&self, row: &Row, payload: &str) -> Result<bool> {
        let mut state = self.0.lock();
        if let Some(request_id) = &row.request_id
            && !state.request(&row.cloud, request_id, payload, &row.id)
        {
            return Ok(false);
        }
        state.rows.insert(row.id.clone(), row.clone());
        Ok(true)
    }
    async fn join(&self, cloud: &str, request_id: &str, payload: &str, operation: &str) -> Result<bool> {
        Ok(self.0.lock().request(cloud, request_id, payload, operation))
    }
    async fn resolve(&self, id: &str, target: &str, change: &Confidential, progress: &Progress) -> Result<()> {
        if let Some(row) = self.0.lock().open(id) {
            row.target = target.to_owned();
            row.change = Some(change.clone());
            row.progress = progress.clone();
        }
        Ok(())
    }
    async fn save(&self, id: &str, progress: &Progress) -> Result<()> {
        if let Some(row) = self.0.lock().open(id) {
            row.progress = progress.clone();
        }
        Ok(())
    }
    async fn finish(&self, id: &str, cloud: &str, progress: &Progress, name: &NameChange) -> Result<()> {
        let mut state = self.0.lock();
        if let Some(row) = state.open(id) {
            row.change = None;
            row.progress = progress.clone();
            row.progress.handle = None;
            state.rename(cloud, name);
        }
        Ok(())
    }
    async fn withdraw(&self, id: &str) -> Result<()> {
        let mut state = self.0.lock();
        if state.open(id).is_some() {
            state.rows.remove(id);
            state.forget_requests();
        }
        Ok(())
    }
    async fn open_rows(&self) -> Result<Vec<Row>> {
        Ok(self.0.lock().rows.values().filter(|r| r.progress.end.is_none()).cloned().collect())
    }
    async fn load(&self, cloud: &str, id: &str) -> Result<Option<Row>> {
        let state = self.0.lock();
        Ok(state.rows.get(id).filter(|r| r.cloud == cloud && !state.hidden.contains(id)).cloned())
    }
    async fn by_request(&self, cloud: &str, request_id: &str) -> Result<Option<(Row, String)>> {
        let state = self.0.lock();
        let found = state.requests.get(&(cloud.to_owned(), request_id.to_owned()));
        Ok(found.and_then(|(payload, operation)| Some((state.rows.get(operation)?.clone(), payload.clone()))))
    }
    async fn page(&self, cloud: &str, before: Option<&str>, limit: usize) -> Result<Vec<Row>> {
        let state = self.0.lock();
        let below = state.rows.values().rev().filter(|r| r.cloud == cloud && before.is_none_or(|b| r.id.as_str() < b) && !state.hidden.contains(&r.id));
        Ok(below.take(limit).cloned().collect())
    }
    async fn hide(&self, cloud: &str, id: &str) -> Result<bool> {
        let mut state = self.0.lock();
        let found = state.rows.get(id).is_some_and(|r| r.cloud == cloud && r.progress.end.is_some()) && !state.hidden.contains(id);
        if found {
            state.hidden.insert(id.to_owned());
        }
        Ok(found)
    }
    async fn expire(&self, hide_ms: u64, forget_ms: u64) -> Result<()> {
        let mut state = self.0.lock();
        let State { rows, hidden, .. } = &mut *state;
        rows.retain(|_, r| r.progress.end.is_none() || r.progress.updated_ms >= forget_ms);
        hidden.extend(rows.values().filter(|r| r.progress.end.is_some() && r.progress.updated_ms < hide_ms).map(|r| r.id.clone()));
        hidden.retain(|id| rows.contains_key(id));
        state.forget_requests();
        Ok(())
    }
    async fn names(&self, cloud: &str) -> Result<Vec<NameRow>> {
        Ok(self.0.lock().names.iter().filter(|((c, _), _)| c == cloud).map(|(_, r)| r.clone()).collect())
    }
    async fn set_name(&self, cloud: &str, name: &NameChange) -> Result<()> {
        self.0.lock().rename(cloud, name);
        Ok(())
    }
    async fn setting(&self, key: &str, fresh: &str) -> Result<String> {
        Ok(self.0.lock().settings.entry(key.to_owned()).or_insert_with(|| fresh.to_owned()).clone())
    }
    /// Nothing to do: another engine may recover from it.
    async fn close(&self) {}
}
