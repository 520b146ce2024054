//! The items of one type in one region, and the indexes that reads need: a get must not become slower with ten thousand items.

use super::{
    item::{Body, Item, Shown},
    refusal::{Code, Refusal},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};

type Ids = BTreeSet<Arc<str>>;

#[derive(Debug)]
pub(crate) struct Table<T> {
    items: BTreeMap<Arc<str>, Arc<Item<T>>>,
    by_tag: HashMap<String, HashMap<String, Ids>>,
    by_parent: HashMap<String, Ids>,
}
impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { items: BTreeMap::new(), by_tag: HashMap::new(), by_parent: HashMap::new() }
    }
}

/// Which items a read is about. Every condition must hold.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Filter<'a> {
    pub(crate) tags: &'a [(&'a str, &'a str)],
    pub(crate) ids: &'a [&'a str],
}

/// One page.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    pub(crate) items: Vec<Shown<T>>,
    /// Goes on after this id.
    pub(crate) next: Option<String>,
}

impl<T: Body> Table<T> {
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }
    pub(crate) fn get(&self, id: &str) -> Option<&Arc<Item<T>>> {
        self.items.get(id)
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Item<T>>> {
        self.items.values()
    }
    pub(crate) fn children<'a>(&'a self, parent: &str) -> impl Iterator<Item = &'a Arc<Item<T>>> + 'a {
        self.by_parent.get(parent).into_iter().flatten().filter_map(|id| self.items.get(id))
    }
    pub(crate) fn put(&mut self, item: Item<T>) {
        self.remove(&item.id);
        let id: Arc<str> = item.id.as_str().into();
        for (k, v) in &item.tags {
            self.by_tag.entry(k.clone()).or_default().entry(v.clone()).or_default().insert(Arc::clone(&id));
        }
        if let Some(parent) = item.body.parent() {
            self.by_parent.entry(parent.to_owned()).or_default().insert(Arc::clone(&id));
        }
        self.items.insert(id, Arc::new(item));
    }
    pub(crate) fn remove(&mut self, id: &str) -> Option<Arc<Item<T>>> {
        let item = self.items.remove(id)?;
        for (k, v) in &item.tags {
            let Some(values) = self.by_tag.get_mut(k) else { continue };
            if values.get_mut(v).is_some_and(|ids| ids.remove(id) && ids.is_empty()) {
                values.remove(v);
            }
        }
        if let Some(parent) = item.body.parent()
            && self.by_parent.get_mut(parent).is_some_and(|ids| ids.remove(id) && ids.is_empty())
        {
            self.by_parent.remove(parent);
        }
        Some(item)
    }

    /// What a read shows of one item.
    pub(crate) fn show(&self, id: &str, now_ms: u64) -> Option<Shown<T>> {
        self.items.get(id).filter(|i| i.visible_ms <= now_ms).map(|i| Shown::new(Arc::clone(i), now_ms))
    }
    /// One page of what a read shows, in the order of ids: an item that is there throughout is in exactly one page.
    pub(crate) fn list(&self, filter: &Filter<'_>, after: Option<&str>, size: usize, now_ms: u64, keep: impl Fn(&Item<T>) -> bool) -> Result<Listed<T>, Refusal> {
        if after.is_some_and(|a| !a.starts_with(T::PREFIX)) {
            return Err(Refusal::new(Code::InvalidNextToken, "the token is not one of this list"));
        }
        let mut out = Listed { items: Vec::new(), next: None };
        for item in self.candidates(filter, after) {
            if item.visible_ms > now_ms || !matches(&item, filter, now_ms) || !keep(&item) {
                continue;
            }
            if out.items.len() == size {
                out.next = out.items.last().map(|last| last.id().to_owned());
                break;
            }
            out.items.push(Shown::new(item, now_ms));
        }
        Ok(out)
    }
    /// In order, from the smallest set that holds everything asked for.
    fn candidates<'a>(&'a self, filter: &Filter<'_>, after: Option<&str>) -> Box<dyn Iterator<Item = Arc<Item<T>>> + 'a> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        if !filter.ids.is_empty() {
            let ids: BTreeSet<&str> = filter.ids.iter().copied().collect();
            let items: Vec<_> = ids.range::<str, _>((from, Bound::Unbounded)).filter_map(|id| self.items.get(*id).cloned()).collect();
            return Box::new(items.into_iter());
        }
        let sets: Option<Vec<&Ids>> = filter.tags.iter().map(|(k, v)| self.by_tag.get(*k).and_then(|values| values.get(*v))).collect();
        let Some(sets) = sets else { return Box::new(std::iter::empty()) };
        match sets.into_iter().min_by_key(|ids| ids.len()) {
            Some(ids) => Box::new(ids.range::<str, _>((from, Bound::Unbounded)).filter_map(|id| self.items.get(id).cloned())),
            None => Box::new(self.items.range::<str, _>((from, Bound::Unbounded)).map(|(_, item)| Arc::clone(item))),
        }
    }
}

/// A tag that is not visible yet does not match.
fn matches<T>(item: &Item<T>, filter: &Filter<'_>, now_ms: u64) -> bool {
    filter.tags.is_empty() || (item.tagged_ms <= now_ms && filter.tags.iter().all(|(k, v)| item.tags.get(*k).is_some_and(|have| have == v)))
}
