//! The book of open operations: who works on what, and who waits for its turn.

use crate::{journal::Row, live::Live};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// The operations of an account that have not ended.
#[derive(Debug, Default)]
pub(crate) struct Open {
    pub(crate) by_id: HashMap<String, Arc<Live>>,
    pub(crate) by_target: HashMap<String, String>,
    /// Further places that an operation holds: of what it adopts, of what lives in its target.
    pub(crate) claimed: HashMap<String, Vec<String>>,
    /// Who waits for its turn, by the place.
    waiting: HashMap<String, VecDeque<String>>,
    /// Request id to operation and payload.
    pub(crate) by_request: HashMap<String, (String, String)>,
}

impl Open {
    /// `payload` where the request has come to this process: the journal knows those of before.
    pub(crate) fn register(&mut self, live: &Arc<Live>, row: &Row, payload: Option<&str>) {
        self.by_id.insert(row.id.clone(), Arc::clone(live));
        if row.progress.queued && self.by_target.contains_key(&row.target) {
            self.waiting.entry(row.target.clone()).or_default().push_back(row.id.clone());
        } else {
            self.by_target.insert(row.target.clone(), row.id.clone());
        }
        if let (Some(request), Some(payload)) = (&row.request_id, payload) {
            self.by_request.insert(request.clone(), (row.id.clone(), payload.to_owned()));
        }
    }
    /// Moves an operation to the place of what its target turned out to be. The other operation where that place is taken.
    pub(crate) fn move_to(&mut self, live: &Live, target: &str) -> std::result::Result<(), String> {
        match self.by_target.get(target) {
            Some(other) if *other != live.id => return Err(other.clone()),
            _ => {}
        }
        let before = live.row().target;
        self.by_target.remove(&before);
        self.by_target.insert(target.to_owned(), live.id.clone());
        live.retarget(target);
        // The line moves with it.
        let line = self.waiting.remove(&before).unwrap_or_default();
        line.iter().filter_map(|id| self.by_id.get(id)).for_each(|waiting| waiting.retarget(target));
        if !line.is_empty() {
            self.waiting.entry(target.to_owned()).or_default().extend(line);
        }
        Ok(())
    }
    /// Gives an operation a second place. The other operation where that place is taken.
    pub(crate) fn claim(&mut self, id: &str, place: &str) -> std::result::Result<(), String> {
        match self.by_target.get(place) {
            Some(other) if other != id => return Err(other.clone()),
            _ => {}
        }
        self.by_target.insert(place.to_owned(), id.to_owned());
        self.claimed.entry(id.to_owned()).or_default().push(place.to_owned());
        Ok(())
    }
    /// How many wait before a place.
    pub(crate) fn waiting(&self, place: &str) -> usize {
        self.waiting.get(place).map_or(0, VecDeque::len)
    }
    /// Has it got its place?
    pub(crate) fn has_turn(&self, live: &Live) -> bool {
        self.by_target.get(&live.row().target) == Some(&live.id)
    }
    /// The next one in the line gets the place.
    fn promote(&mut self, place: &str) {
        let Some(line) = self.waiting.get_mut(place) else { return };
        let next = line.pop_front();
        if line.is_empty() {
            self.waiting.remove(place);
        }
        if let Some(live) = next.and_then(|id| self.by_id.get(&id)) {
            self.by_target.insert(place.to_owned(), live.id.clone());
            live.poke.notify_one();
        }
    }
    pub(crate) fn forget(&mut self, row: &Row) {
        self.by_id.remove(&row.id);
        if let Some(line) = self.waiting.get_mut(&row.target) {
            line.retain(|id| *id != row.id);
        }
        for place in self.claimed.remove(&row.id).unwrap_or_default() {
            self.by_target.remove(&place);
        }
        if self.by_target.get(&row.target) == Some(&row.id) {
            self.by_target.remove(&row.target);
            self.promote(&row.target);
        }
        if let Some(request) = &row.request_id
            && self.by_request.get(request).is_some_and(|(id, _)| *id == row.id)
        {
            self.by_request.remove(request);
        }
    }
}
