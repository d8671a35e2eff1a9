//! Copying keys out in their order.

use crate::keys::Keys;
use crate::leaf::NONE;
use crate::tree::Tree;
use std::ops::Bound;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the lowest key up.
    Ascending,
    /// From the highest key down.
    Descending,
}

/// Some keys in a row, copied out.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The keys, in the order of the scan.
    pub keys: Keys,
    /// Their slots, where the table has any.
    pub slots: Vec<u32>,
    /// Their marks.
    pub marks: Vec<bool>,
}

impl Chunk {
    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True without keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Forgets all keys.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.slots.clear();
        self.marks.clear();
    }
}

impl Tree {
    /// Appends up to `max` keys of the range to `chunk`.
    pub(crate) fn read(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        max: usize,
        chunk: &mut Chunk,
    ) {
        match direction {
            Direction::Ascending => self.read_up(from, to, max, chunk),
            Direction::Descending => self.read_down(from, to, max, chunk),
        }
    }

    fn copy(&self, leaf: u32, at: usize, chunk: &mut Chunk) {
        let leaf = &self.leaves[leaf as usize];
        chunk.keys.push(leaf.keys.get(at));
        chunk.slots.extend(leaf.slots.get(at));
        chunk.marks.push(leaf.is_marked(at));
    }

    fn read_up(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, max: usize, chunk: &mut Chunk) {
        let (mut leaf, mut at) = match from {
            Bound::Unbounded => (self.first, 0),
            Bound::Included(key) | Bound::Excluded(key) => {
                let leaf = self.leaf_of(key);
                let inclusive = matches!(from, Bound::Excluded(_));
                (leaf, self.leaves[leaf as usize].keys.rank(key, inclusive))
            }
        };
        let mut left = max;
        while leaf != NONE && left > 0 {
            let here = &self.leaves[leaf as usize];
            let end = match to {
                Bound::Unbounded => here.len(),
                Bound::Included(key) => here.keys.rank(key, true),
                Bound::Excluded(key) => here.keys.rank(key, false),
            };
            let stop = end.min(at.saturating_add(left));
            for at in at..stop {
                self.copy(leaf, at, chunk);
            }
            left -= stop.saturating_sub(at);
            if end < here.len() {
                return;
            }
            (leaf, at) = (here.after, 0);
        }
    }

    fn read_down(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, max: usize, chunk: &mut Chunk) {
        let mut leaf = match to {
            Bound::Unbounded => self.last,
            Bound::Included(key) | Bound::Excluded(key) => self.leaf_of(key),
        };
        let mut left = max;
        while leaf != NONE && left > 0 {
            let here = &self.leaves[leaf as usize];
            let end = match to {
                Bound::Unbounded => here.len(),
                Bound::Included(key) => here.keys.rank(key, true),
                Bound::Excluded(key) => here.keys.rank(key, false),
            };
            let start = match from {
                Bound::Unbounded => 0,
                Bound::Included(key) => here.keys.rank(key, false),
                Bound::Excluded(key) => here.keys.rank(key, true),
            };
            let stop = start.max(end.saturating_sub(left));
            for at in (stop..end).rev() {
                self.copy(leaf, at, chunk);
            }
            left -= end.saturating_sub(stop);
            if start > 0 {
                return;
            }
            leaf = here.before;
        }
    }
}
