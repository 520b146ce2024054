//! Many changes of a zone in as few of the vendor's as its limits allow, and what is refused found by halving.
//!
//! Nothing is called here: a driver asks what to send, sends it and tells what came of it, and keeps this in its handle meanwhile.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How much of a vendor's limits something takes, or how much they allow.
///
/// Route 53 counts 1,000 values and 32,000 characters of values in a change, and what replaces something counts twice:
/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html#limits-api-requests-changeresourcerecordsets>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BatchSize {
    /// Values of records; an alias counts as one.
    pub values: u64,
    /// Characters of all values together.
    pub characters: u64,
}
impl BatchSize {
    pub(super) fn and(self, other: Self) -> Self {
        Self { values: self.values.saturating_add(other.values), characters: self.characters.saturating_add(other.characters) }
    }
    fn fits(self, limit: Self) -> bool {
        self.values <= limit.values && self.characters <= limit.characters
    }
}

/// Items that are done together or not at all, by their places among all.
type Group = Vec<usize>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Batch {
    groups: Vec<Group>,
    /// The second half of what was refused, while nothing is known of the first: if that one is done, this one is to blame.
    is_other_half: bool,
    is_to_blame: bool,
}
impl Batch {
    fn new(groups: Vec<Group>) -> Self {
        Self { groups, is_other_half: false, is_to_blame: false }
    }
}

/// The changes of one request, on their way to the vendor.
///
/// A refused change of `n` names in which one name is wrong costs at most `2 log2 n` further calls, and every other name is done.
///
/// ```
/// use welkin_core::{BatchSize, Batches};
/// let one = BatchSize { values: 1, characters: 10 };
/// let mut work = Batches::packed([("a", one), ("b", one), ("a", one)], BatchSize { values: 2, characters: 100 });
/// assert_eq!(work.next(), Some(vec![0, 2]));
/// work.done();
/// assert_eq!(work.next(), Some(vec![1]));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batches {
    /// The next one last.
    left: Vec<Batch>,
    too_large: Vec<usize>,
    outcomes: BTreeMap<usize, Option<Error>>,
}
impl Batches {
    /// Packs items, each with its name and size, in their order. Those of one name stay together, whatever stands between them.
    #[must_use]
    pub fn packed<N: Ord>(items: impl IntoIterator<Item = (N, BatchSize)>, limit: BatchSize) -> Self {
        let (mut places, mut groups): (BTreeMap<N, usize>, Vec<(Group, BatchSize)>) = Default::default();
        for (item, (name, size)) in items.into_iter().enumerate() {
            let place = *places.entry(name).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((group, sum)) => {
                    group.push(item);
                    *sum = sum.and(size);
                }
                None => groups.push((vec![item], size)),
            }
        }
        let (mut left, mut too_large): (Vec<(Vec<Group>, BatchSize)>, Vec<usize>) = Default::default();
        for (group, size) in groups {
            if !size.fits(limit) {
                too_large.extend(group);
                continue;
            }
            match left.last_mut().filter(|(_, sum)| sum.and(size).fits(limit)) {
                Some((batch, sum)) => {
                    batch.push(group);
                    *sum = sum.and(size);
                }
                None => left.push((vec![group], size)),
            }
        }
        Self { left: left.into_iter().rev().map(|(groups, _)| Batch::new(groups)).collect(), too_large, outcomes: BTreeMap::new() }
    }
    /// The items of names that no change of the vendor can hold. They are in no batch.
    #[must_use]
    pub fn too_large(&self) -> &[usize] {
        &self.too_large
    }
    /// Does one change of the vendor hold all of it? Only then can it be all or nothing.
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.left.len() <= 1 && self.too_large.is_empty()
    }
    /// What to send now, in the order of the items. The same until it is told what came of it; None when nothing is left.
    #[expect(clippy::should_implement_trait, reason = "it goes on only when told what came of the last one")]
    pub fn next(&mut self) -> Option<Vec<usize>> {
        // What is known to be refused as a whole is not sent as a whole.
        while self.left.last().is_some_and(|b| b.is_to_blame && b.groups.len() > 1) {
            self.halve();
        }
        let mut items: Vec<usize> = self.left.last()?.groups.iter().flatten().copied().collect();
        items.sort_unstable();
        Some(items)
    }
    /// The vendor did it.
    pub fn done(&mut self) {
        let Some(batch) = self.left.pop() else { return };
        self.outcomes.extend(batch.groups.into_iter().flatten().map(|item| (item, None)));
        if let Some(next) = self.left.last_mut() {
            next.is_to_blame |= std::mem::take(&mut next.is_other_half);
        }
    }
    /// The vendor refused it for what it says, and did nothing of it. Of a single name that is the outcome.
    pub fn refused(&mut self, error: &Error) {
        let before = self.left.len().checked_sub(2).and_then(|i| self.left.get_mut(i));
        if let Some(other) = before {
            other.is_other_half = false;
        }
        match self.left.last() {
            Some(batch) if batch.groups.len() > 1 => self.halve(),
            Some(_) => {
                let items = self.left.pop().into_iter().flat_map(|b| b.groups).flatten();
                self.outcomes.extend(items.map(|item| (item, Some(error.clone()))));
            }
            None => {}
        }
    }
    fn halve(&mut self) {
        let Some(mut batch) = self.left.pop() else { return };
        // The smaller half first: it is the one that can cost two calls.
        let second = batch.groups.split_off(batch.groups.len() / 2);
        self.left.push(Batch { is_other_half: true, ..Batch::new(second) });
        self.left.push(Batch::new(batch.groups));
    }
    /// What came of each item so far; None where it is done.
    #[must_use]
    pub fn outcomes(&self) -> &BTreeMap<usize, Option<Error>> {
        &self.outcomes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};
    use std::collections::BTreeSet;

    const NO_LIMIT: BatchSize = BatchSize { values: u64::MAX, characters: u64::MAX };
    fn size(values: u64, characters: u64) -> BatchSize {
        BatchSize { values, characters }
    }
    /// Drives it against a vendor that refuses whatever holds one of `bad`, and answers what was sent.
    fn driven(work: &mut Batches, bad: &BTreeSet<usize>) -> Vec<Vec<usize>> {
        let mut sent = Vec::new();
        while let Some(items) = work.next() {
            assert_eq!(work.next().as_ref(), Some(&items), "it goes on only when told");
            // As after a restart.
            *work = serde_json::from_str(&serde_json::to_string(work).unwrap()).unwrap();
            if items.iter().any(|i| bad.contains(i)) {
                work.refused(&Error::invalid("values", "bad"));
            } else {
                work.done();
            }
            sent.push(items);
        }
        sent
    }

    #[test]
    fn one_bad_name_costs_little_and_blocks_nobody() {
        for n in [1_usize, 2, 3, 4, 5, 7, 8, 9, 100, 127, 128, 129, 1000] {
            // Of a thousand every eighth: it takes long.
            for bad in (0..n).step_by(n.div_ceil(130)) {
                let mut work = Batches::packed((0..n).map(|i| (i, size(1, 1))), NO_LIMIT);
                let sent = driven(&mut work, &[bad].into());
                let further = (sent.len() - 1) as f64;
                assert!(further <= 2.0 * (n as f64).log2(), "{bad} of {n}: {further} further calls");
                assert_eq!(work.outcomes().iter().filter(|(_, o)| o.is_some()).map(|(i, _)| *i).collect::<Vec<_>>(), [bad]);
                assert_eq!(work.outcomes().len(), n);
            }
        }
    }
    #[test]
    fn names_that_no_change_can_hold_are_told() {
        let work = Batches::packed([("a", size(1, 1)), ("b", size(2, 1)), ("c", size(1, 1)), ("b", size(2, 1))], size(3, 10));
        assert_eq!((work.too_large(), work.is_one()), (&[1, 3][..], false));
        assert!(Batches::packed([("a", size(1, 1)), ("c", size(2, 9))], size(3, 10)).is_one());
        assert!(!Batches::packed([("a", size(1, 1)), ("c", size(2, 10))], size(3, 10)).is_one(), "characters count too");
        assert!(Batches::packed::<u8>([], NO_LIMIT).is_one());
    }
    proptest! {
        #[test]
        fn every_item_is_done_once_with_its_name_and_within_the_limits(items in vec((0u8..12, 1u64..4, 0u64..40), 0..60), bad in vec(0usize..60, 0..5)) {
            let limit = size(6, 60);
            let sizes: Vec<BatchSize> = items.iter().map(|(_, v, c)| size(*v, *c)).collect();
            let mut work = Batches::packed(items.iter().zip(&sizes).map(|((n, ..), s)| (*n, *s)), limit);
            let too_large: BTreeSet<usize> = work.too_large().iter().copied().collect();
            let bad: BTreeSet<usize> = bad.into_iter().filter(|i| *i < items.len() && !too_large.contains(i)).collect();
            let names = &items.iter().map(|(n, ..)| *n).collect::<Vec<u8>>();
            let of_name = |n: u8| (0..names.len()).filter(move |i| names[*i] == n);
            let is_bad = |i: usize| of_name(items[i].0).any(|j| bad.contains(&j));
            let mut done = BTreeSet::new();
            for sent in driven(&mut work, &bad) {
                prop_assert!(sent.iter().map(|i| sizes[*i]).fold(size(0, 0), BatchSize::and).fits(limit));
                prop_assert!(sent.iter().all(|i| of_name(items[*i].0).all(|j| sent.contains(&j))), "{sent:?} splits a name");
                prop_assert!(sent.is_sorted());
                if !sent.iter().any(|i| bad.contains(i)) {
                    prop_assert!(sent.iter().all(|i| done.insert(*i)), "done twice");
                }
            }
            for i in (0..items.len()).filter(|i| !too_large.contains(i)) {
                prop_assert_eq!(work.outcomes()[&i].is_some(), is_bad(i));
                prop_assert_eq!(done.contains(&i), !is_bad(i));
            }
            prop_assert!(too_large.iter().all(|i| !of_name(items[*i].0).map(|j| sizes[j]).fold(size(0, 0), BatchSize::and).fits(limit)));
        }
    }
}
