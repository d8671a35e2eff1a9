//! Copying keys out in their order.

use crate::keys::Keys;
use crate::leaf::{Leaf, NONE};
use crate::tree::Tree;
use std::ops::{Bound, Range};

/// Keys that a chunk makes room for at once.
const RESERVED_MAX: usize = 512;

/// A chunk takes no further leaf when its keys have that many bytes.
pub const CHUNK_BYTES_MAX: usize = 1 << 30;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the lowest key up.
    Ascending,
    /// From the highest key down.
    Descending,
}

/// Some keys in a row, copied out. They ascend, whichever way the scan goes.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The keys.
    pub keys: Keys,
    /// Their slots, where the table has any.
    pub slots: Vec<u32>,
    /// Their marks, 64 in a word.
    marks: Vec<u64>,
}

impl Chunk {
    /// No keys of that many bytes each, or of any length for 0.
    pub(crate) const fn new(width: usize) -> Self {
        Self { keys: Keys::new(width), slots: Vec::new(), marks: Vec::new() }
    }

    /// Number of keys.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// True without keys.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The mark of key number `at`.
    #[must_use]
    #[inline]
    pub fn is_marked(&self, at: usize) -> bool {
        self.marks.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 != 0)
    }

    /// Forgets all keys.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.slots.clear();
        self.marks.clear();
    }

    fn reserve(&mut self, count: usize, has_slots: bool) {
        self.keys.reserve(count);
        if has_slots {
            self.slots.reserve(count);
        }
    }

    /// Appends keys of a leaf.
    fn append(&mut self, leaf: &Leaf, range: Range<usize>) {
        let here = self.len();
        let marks = leaf.marks_of(range.clone());
        if marks != 0 {
            // Words that nothing was marked in are not there.
            self.marks.resize(self.marks.len().max((here + range.len()).div_ceil(64)), 0);
            self.marks[here / 64] |= marks << (here % 64);
            if here % 64 + range.len() > 64 {
                self.marks[here / 64 + 1] |= marks >> (64 - here % 64);
            }
        }
        if let Some(slots) = leaf.slots.get(range.clone()) {
            self.slots.extend_from_slice(slots);
        }
        self.keys.append(&leaf.keys, range);
    }
}

impl Tree {
    /// Appends up to `max` keys of the range to `chunk`: the first of them, or, descending, the last.
    pub(crate) fn read(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        max: usize,
        chunk: &mut Chunk,
    ) {
        // A chunk of a usual size is allocated once.
        chunk.reserve(max.min(RESERVED_MAX), self.has_slots);
        match direction {
            Direction::Ascending => self.read_up(from, to, max, chunk),
            Direction::Descending => self.read_down(from, to, max, chunk),
        }
    }

    fn read_up(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, max: usize, chunk: &mut Chunk) {
        let mut leaf = match from {
            Bound::Unbounded => self.first,
            Bound::Included(key) | Bound::Excluded(key) => self.leaf_of(key),
        };
        let mut start = self.leaves[leaf as usize].start_of(from);
        let mut left = max;
        while leaf != NONE && left > 0 && chunk.keys.bytes_len() < CHUNK_BYTES_MAX {
            let here = &self.leaves[leaf as usize];
            if here.after != NONE && here.len() - start < left {
                self.leaves[here.after as usize].prefetch();
            }
            let end = here.end_of(to);
            let stop = end.min(start.saturating_add(left));
            if start < stop {
                chunk.append(here, start..stop);
                left -= stop - start;
            }
            if end < here.len() {
                return;
            }
            (leaf, start) = (here.after, 0);
        }
    }

    fn read_down(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, max: usize, chunk: &mut Chunk) {
        let last = match to {
            Bound::Unbounded => self.last,
            Bound::Included(key) | Bound::Excluded(key) => self.leaf_of(key),
        };
        // Back to where the copy begins, and forward again.
        let (mut leaf, mut left) = (last, max);
        let mut end = self.leaves[last as usize].end_of(to);
        let mut start = loop {
            let here = &self.leaves[leaf as usize];
            let start = here.start_of(from);
            if start > 0 || end >= left || here.before == NONE {
                break start.max(end.saturating_sub(left));
            }
            left -= end;
            leaf = here.before;
            end = self.leaves[leaf as usize].len();
        };
        loop {
            let here = &self.leaves[leaf as usize];
            let end = if leaf == last { here.end_of(to) } else { here.len() };
            if start < end {
                chunk.append(here, start..end);
            }
            if leaf == last {
                return;
            }
            (leaf, start) = (here.after, 0);
        }
    }
}
