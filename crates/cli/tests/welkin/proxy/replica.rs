//! What lags in EC2: "you might not see the change immediately" (<https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>).
//!
//! moto shows every write at once. A call that meets the replica is answered as moto would have answered a while ago: what was made since then is
//! not there, and naming it is refused; what was changed or removed since then is shown as it was shown last before that. What nobody was shown
//! before it changed is shown as it is now, which is less lag and never more.

use super::{
    document::{Item, List, Page},
    message::Call,
};
use crate::kill::Random;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;

/// How much lags.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lag {
    /// How far behind the replica is.
    pub(crate) by: Duration,
    /// Of a hundred calls so many meet the replica, so that what is shown once may not be shown the next time.
    pub(crate) percent: u64,
    /// Which of them.
    pub(crate) seed: u64,
}

/// How often the replica made a difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lagged {
    /// Lists that showed something else than moto did.
    pub(crate) lists: u64,
    /// Calls that were refused because of what they name.
    pub(crate) refusals: u64,
}

#[derive(Debug)]
pub(super) struct Replica {
    lag: Lag,
    random: Random,
    /// When what was made was made: by its id, and a key pair by its name too.
    made: BTreeMap<String, Instant>,
    shown: BTreeMap<Key, History>,
    /// What the pages up to the one that begins with this token have shown.
    pages: BTreeMap<String, BTreeSet<String>>,
    /// Writes that have begun, and those that have not ended: what is shown meanwhile may be from before or after them.
    writes: (u64, u64),
    lagged: Lagged,
}
/// A list and an id: some lists show each other's objects in another form.
type Key = (&'static str, String);

/// What is known of an item.
#[derive(Debug, Default)]
struct History {
    /// As it was shown since it was last changed.
    now: Option<Item>,
    /// When something about it was written, and how it was shown before that.
    before: Vec<(Instant, Option<Item>)>,
}
/// An item as of some time ago.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    NotYet,
    Was(Item),
    AsNow,
}

impl Replica {
    pub(super) fn new(lag: Lag) -> Self {
        Self { lag, random: Random(lag.seed), made: BTreeMap::new(), shown: BTreeMap::new(), pages: BTreeMap::new(), writes: (0, 0), lagged: Lagged::default() }
    }
    pub(super) fn lagged(&self) -> Lagged {
        self.lagged
    }
    /// As of when the next call is answered; None: as of now.
    pub(super) fn meet(&mut self) -> Option<Instant> {
        let then = Instant::now().checked_sub(self.lag.by);
        then.filter(|_| self.random.below(100) < self.lag.percent)
    }

    /// What a call is refused with that names what was not there yet. A list may name anything in its filters.
    pub(super) fn refusal(&mut self, call: &Call, then: Instant) -> Option<&'static str> {
        let words: Vec<&str> = match List::of(call.action()) {
            Some(list) => list.asked(call),
            None => call.words().collect(),
        };
        let new = words.into_iter().find(|word| self.is_newer(word, then))?;
        self.lagged.refusals += 1;
        let key_pair = || List::of("DescribeKeyPairs");
        List::of_id(new).or_else(key_pair).map(|list| list.unknown)
    }
    fn is_newer(&self, name: &str, then: Instant) -> bool {
        self.made.get(name).is_some_and(|at| *at > then)
    }

    /// A write is on its way. Whatever it names, and whatever is shown with that, may be another thing from now on.
    pub(super) fn begin(&mut self, call: &Call) -> Instant {
        let now = Instant::now();
        self.writes = (self.writes.0 + 1, self.writes.1 + 1);
        let named: Vec<String> = named(call).map(|name| format!(">{name}<")).collect();
        for history in self.shown.values_mut() {
            history.before.retain(|(at, _)| at.elapsed() <= self.lag.by * 2);
            if history.now.as_ref().is_some_and(|item| named.iter().any(|name| item.text.contains(name))) {
                history.before.push((now, history.now.take()));
            }
        }
        self.shown.retain(|_, history| history.now.is_some() || !history.before.is_empty());
        now
    }
    /// It was answered. What it has made was made when it began: to be late is the replica's business, and not for longer than it says.
    pub(super) fn end(&mut self, call: &Call, answer: &str, begun: Instant) {
        self.writes.1 -= 1;
        let made = words(answer).filter(|word| List::of_id(word).is_some_and(|list| list.is_made_by(call.action())));
        let key_pair = call.param("KeyName").filter(|_| List::of("DescribeKeyPairs").is_some_and(|list| list.is_made_by(call.action())));
        for id in made.chain(key_pair) {
            self.made.entry(id.to_owned()).or_insert(begun);
        }
    }

    /// To be asked before moto is: None while something is being written.
    pub(super) fn calm(&self) -> Option<u64> {
        (self.writes.1 == 0).then_some(self.writes.0)
    }
    /// What moto has just shown is how things are, unless something was written meanwhile.
    pub(super) fn showed(&mut self, list: &'static List, page: &Page, calm: Option<u64>) {
        if calm.is_none() || calm != self.calm() {
            return;
        }
        for item in &page.items {
            self.shown.entry((list.action, item.id.clone())).or_default().now = Some(item.clone());
        }
    }
    /// The page that moto would have answered then instead of this one.
    pub(super) fn page(&mut self, list: &'static List, call: &Call, now: &Page, then: Instant) -> Page {
        let as_of = |item: &Item| match self.as_of(&(list.action, item.id.clone()), then) {
            Then::NotYet => None,
            Then::Was(old) => Some(old).filter(|old| list.fits(call, old)),
            // Without an older form, what speaks of something new is new itself: the route table of a network.
            Then::AsNow => Some(item.clone()).filter(|item| !self.speaks_of_new(item, then)),
        };
        let mut page = Page { items: now.items.iter().filter_map(as_of).collect(), next: now.next.clone() };
        let earlier = call.param("NextToken").and_then(|token| self.pages.get(token)).cloned().unwrap_or_default();
        let here: BTreeSet<String> = now.items.iter().map(|i| i.id.clone()).chain(earlier).collect();
        match &now.next {
            Some(token) => _ = self.pages.insert(token.clone(), here),
            // What is not among them any more.
            None => page.items.extend(self.shown.keys().filter(|key| key.0 == list.action && !here.contains(&key.1)).filter_map(|key| match self.as_of(key, then) {
                Then::Was(old) => Some(old).filter(|old| list.fits(call, old)),
                _ => None,
            })),
        }
        if page != *now {
            self.lagged.lists += 1;
        }
        page
    }
    fn as_of(&self, key: &Key, then: Instant) -> Then {
        if self.is_newer(&key.1, then) {
            return Then::NotYet;
        }
        let before = self.shown.get(key).and_then(|history| history.before.iter().filter(|(at, _)| *at > then).find_map(|(_, before)| before.clone()));
        before.map_or(Then::AsNow, Then::Was)
    }
    fn speaks_of_new(&self, item: &Item, then: Instant) -> bool {
        words(&item.text).any(|word| self.is_newer(word, then))
    }
}

/// Everything that a write names.
fn named(call: &Call) -> impl Iterator<Item = &str> {
    call.words().filter(|word| List::of_id(word).is_some()).chain(call.param("KeyName"))
}
/// The texts of a document.
fn words(document: &str) -> impl Iterator<Item = &str> {
    document.split(['<', '>']).skip(2).step_by(2)
}
