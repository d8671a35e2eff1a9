//! Scans of a range of keys.

use crate::error::Result;
use crate::iter::Ended;
use crate::ordered::cursor::Cursor;
use crate::ordered::tables::OrderedTable;
use std::ops::{Bound, RangeBounds};

/// How many values ahead memory is asked for.
const AHEAD: usize = 8;
/// How many values ahead memory is asked for whose place had to be found first.
const SOON: usize = 4;
/// Keys of which something is known: those ahead, and the one that the scan stands at.
const KNOWN: usize = 16;
const _: () = assert!(AHEAD < KNOWN && SOON <= AHEAD);

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// The pairs of an ordered table whose keys lie in a range, in the order of the bytes of the keys.
///
/// Weakly consistent: each pair was there at some moment of the scan; what is put or deleted meanwhile may or may not show; no key
/// comes twice. No lock is held between two calls. Values that have vanished do not show.
#[derive(Debug)]
pub struct Range<T: OrderedTable> {
    table: T,
    cursor: Cursor,
    value: Vec<u8>,
    /// What is known of keys ahead, by the last bits of their number in the cursor.
    known: [Option<T::Prepared>; KNOWN],
    pub(crate) ended: Ended,
}

/// The keys of a range, without reading values; see [`Range::keys`].
#[derive(Debug)]
pub struct Keys<T: OrderedTable> {
    range: Range<T>,
}

/// Some pairs of a range, and where to go on; see [`Range::page`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The pairs, in the order of the scan.
    pub pairs: Vec<Pair>,
    /// Where the next page begins, for [`Range::after`]: the last key of this one. `None` when the range has no more;
    /// a page with as many pairs as were asked for may be the last all the same.
    pub next: Option<Vec<u8>>,
}

impl<T: OrderedTable> Range<T> {
    pub(crate) fn new<K: AsRef<[u8]>>(table: &T, bounds: impl RangeBounds<K>) -> Result<Self> {
        let owned = |bound: Bound<&K>| bound.map(|key| key.as_ref().to_vec());
        let (from, to) = (owned(bounds.start_bound()), owned(bounds.end_bound()));
        let cursor = Cursor::new(table.sources()?, from, to);
        let (table, ended) = (table.clone(), Ended::default());
        Ok(Self { table, cursor, value: Vec::new(), known: [None; KNOWN], ended })
    }

    pub(crate) fn of_prefix(table: &T, prefix: &[u8]) -> Result<Self> {
        let end = prefix_end(prefix).map_or(Bound::Unbounded, Bound::Excluded);
        Self::new::<Vec<u8>>(table, (Bound::Included(prefix.to_vec()), end))
    }

    /// From the other end: the highest key first.
    #[must_use]
    pub fn descending(mut self) -> Self {
        self.cursor.turn();
        self
    }

    /// Behind `key`, in the direction of the scan; so say the direction first. The key need not be there.
    #[must_use]
    pub fn after(mut self, key: impl AsRef<[u8]>) -> Self {
        self.cursor.skip_to(key.as_ref());
        self
    }

    /// The keys only. Of fixed tables no slot is read, unless they have room for deadlines; of cask tables nothing is read
    /// but where a value may have vanished.
    #[must_use]
    pub fn keys(self) -> Keys<T> {
        Keys { range: self }
    }

    /// The next `limit` pairs, and where the page behind them begins: a position that writes do not disturb, and that outlives
    /// the store's handle.
    ///
    /// # Errors
    /// As [`crate::Table::get`] and [`crate::CaskTable::get`].
    pub fn page(mut self, limit: usize) -> Result<Page> {
        let mut pairs = Vec::new();
        while pairs.len() < limit {
            match self.next_ref()? {
                Some((key, value)) => pairs.push((key.to_vec(), value.to_vec())),
                None => return Ok(Page { pairs, next: None }),
            }
        }
        let next = pairs.last().map(|(key, _)| key.clone());
        Ok(Page { pairs, next })
    }

    /// The next pair, lent: no allocation for each.
    ///
    /// # Errors
    /// As [`crate::Table::get`] and [`crate::CaskTable::get`].
    pub fn next_ref(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        Ok(self.advance(true)?.then(|| (self.cursor.key(), self.value.as_slice())))
    }

    /// Has memory that is needed soon come to the cache.
    #[inline]
    fn look_ahead(&mut self) {
        let (first, soon) = if self.cursor.is_fresh() { (0, 0) } else { (AHEAD, SOON) };
        let number = self.cursor.number();
        for steps in first..=AHEAD {
            let Some(hit) = self.cursor.ahead(steps) else { break };
            self.known[(number + steps) % KNOWN] = Some(self.table.prepare(hit));
        }
        for steps in soon..=SOON {
            let Some(hit) = self.cursor.ahead(steps) else { break };
            if let Some(known) = &mut self.known[(number + steps) % KNOWN] {
                self.table.prepare_more(hit, known);
            }
        }
    }

    fn advance(&mut self, with_value: bool) -> Result<bool> {
        self.table.check_readable()?;
        while self.cursor.advance() {
            if with_value {
                self.look_ahead();
            }
            let hit = self.cursor.hit();
            let is_there = if with_value {
                let known = self.known[self.cursor.number() % KNOWN].take();
                self.table.fetch(hit, known, &mut self.value)?
            } else {
                self.table.is_there(hit)?
            };
            if is_there {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl<T: OrderedTable> Iterator for Range<T> {
    type Item = Result<Pair>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_ref();
        let next = next.map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())));
        self.ended.item(next)
    }
}

impl<T: OrderedTable> Keys<T> {
    /// The next key, lent: no allocation for each.
    ///
    /// # Errors
    /// As [`Range::next_ref`].
    pub fn next_ref(&mut self) -> Result<Option<&[u8]>> {
        Ok(self.range.advance(false)?.then(|| self.range.cursor.key()))
    }
}

impl<T: OrderedTable> Iterator for Keys<T> {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_ref().map(|key| key.map(<[u8]>::to_vec));
        self.range.ended.item(next)
    }
}

/// The first key behind all that begin with `prefix`; `None` when there is none.
pub(crate) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix[..=kept].to_vec();
    end[kept] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_the_next_one() {
        assert_eq!(prefix_end(b"ab").as_deref(), Some(&b"ac"[..]));
        assert_eq!(prefix_end(b"a\xff\xff").as_deref(), Some(&b"b"[..]));
        assert_eq!(prefix_end(b"\xff\xff"), None);
        assert_eq!(prefix_end(b""), None);
    }
}
