//! Pages of any size over a vendor's pages of at least five.
//!
//! EC2 takes a `MaxResults` of 5 to 1,000, and an emulator may ignore it altogether. What a page has too much is left for the next one, which
//! reads the same vendor page again: without what was shown already, so that nothing is lost or shown twice when objects come and go.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use welkin_core::{Cursor, Error, ErrorKind, Reason, Result};

/// The smallest and the largest `MaxResults` of most EC2 lists, for example
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>.
pub(crate) const MAX_RESULTS: (usize, usize) = (5, 1000);

/// For lists that are read to their end.
pub(crate) const WHOLE: i32 = 1000;

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct At {
    /// The vendor's token of the page to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// Ids up to this one were shown. Only where one answer held the whole list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// Of this vendor page, these were shown.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    seen: BTreeSet<String>,
}

/// Every page of a list that is needed whole: what a look-up concludes must not hang on where EC2 cuts a page. A page can be empty and not the last.
pub(crate) async fn all_pages<T, F>(mut page: impl FnMut(Option<String>) -> F + Send) -> Result<Vec<T>>
where
    T: Send,
    F: Future<Output = Result<(Option<Vec<T>>, Option<String>)>> + Send,
{
    let (mut all, mut token) = (Vec::new(), None);
    loop {
        let (items, next) = page(token).await?;
        all.extend(items.unwrap_or_default());
        token = next.filter(|t| !t.is_empty());
        if token.is_none() {
            return Ok(all);
        }
    }
}

impl At {
    pub(crate) fn read(cursor: Option<&Cursor>) -> Result<Self> {
        cursor.map_or_else(
            || Ok(Self::default()),
            |c| {
                // A struct would also be read from a list, which no cursor of ours is.
                serde_json::from_str::<serde_json::Map<_, _>>(&c.0)
                    .and_then(|fields| serde_json::from_value(fields.into()))
                    .map_err(|_| Error::new(ErrorKind::InvalidArgument, Reason::InvalidPageToken, "this page token is not one of this list").with_field("page_token"))
            },
        )
    }
    fn write(&self) -> Result<Cursor> {
        serde_json::to_string(self).map(Cursor).map_err(|e| Error::internal("a cursor does not serialise").with_source(e))
    }

    /// One page out of what the vendor answered here; `id` must be a total order without doubles.
    pub(crate) fn cut<T>(self, answer: Vec<T>, vendor_next: Option<String>, size: usize, id: impl Fn(&T) -> String) -> Result<(Vec<T>, Option<Cursor>)> {
        let vendor_next = vendor_next.filter(|t| !t.is_empty());
        let mut items: Vec<T> = answer.into_iter().filter(|t| self.after.as_ref().is_none_or(|a| id(t) > *a) && !self.seen.contains(&id(t))).collect();
        if items.len() <= size {
            let next = vendor_next.map(|token| Self { token: Some(token), after: self.after, seen: BTreeSet::new() });
            return Ok((items, next.map(|n| n.write()).transpose()?));
        }
        let whole = vendor_next.is_none() && self.token.is_none() && self.seen.is_empty();
        if whole {
            items.sort_by_key(|t| id(t));
        }
        items.truncate(size);
        let next = if whole {
            Self { after: items.last().map(&id), ..self }
        } else {
            let seen = self.seen.iter().cloned().chain(items.iter().map(&id)).collect();
            Self { seen, ..self }
        };
        Ok((items, Some(next.write()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vendor with pages of at least `min`; 0 ignores the size.
    fn vendor(all: &[u32], token: Option<&str>, size: usize, min: usize) -> (Vec<u32>, Option<String>) {
        let from: usize = token.map_or(0, |t| t.parse().unwrap());
        let to = if min == 0 { all.len() } else { (from + size.max(min)).min(all.len()) };
        (all[from.min(to)..to].to_vec(), (to < all.len()).then(|| to.to_string()))
    }
    fn walk(size: usize, min: usize, mut change: impl FnMut(&mut Vec<u32>, usize)) -> Vec<u32> {
        let (mut all, mut out, mut cursor) = ((100..123).rev().collect::<Vec<u32>>(), Vec::new(), None);
        for round in 0.. {
            let at = At::read(cursor.as_ref()).unwrap();
            let (answer, next) = vendor(&all, at.token.as_deref(), size, min);
            let (page, next) = at.cut(answer, next, size, u32::to_string).unwrap();
            assert!(page.len() <= size);
            out.extend(page);
            change(&mut all, round);
            match next {
                Some(n) => cursor = Some(n),
                None => break,
            }
        }
        out.sort_unstable();
        out
    }
    #[test]
    fn every_size_shows_everything_once() {
        for size in [1, 2, 3, 5, 7, 23, 100] {
            for min in [0, 5] {
                assert_eq!(walk(size, min, |_, _| {}), (100..123).collect::<Vec<_>>(), "{size} {min}");
            }
        }
    }
    #[test]
    fn what_stays_is_shown_while_others_go() {
        // The vendor's tokens are positions here, so only an object shown already may go without moving the others past a token.
        let out = walk(2, 0, |all, _| all.retain(|n| *n != 101));
        assert_eq!(out, (100..123).collect::<Vec<_>>());
    }
    #[test]
    fn a_foreign_cursor_is_refused() {
        for text in ["", "{", "{\"x\":1}", "[]"] {
            assert_eq!(At::read(Some(&Cursor(text.into()))).unwrap_err().reason(), Reason::InvalidPageToken, "{text}");
        }
    }
}
