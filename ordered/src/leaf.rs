//! A leaf: some keys in a row, and what belongs to them.

use crate::keys::{Keys, compare, grow, prefetch_all, shrink};
use std::ops::{Bound, Range};

/// Most keys of a leaf: as many as there are bits for marks.
pub(crate) const LEAF_KEYS_MAX: usize = 64;
/// A leaf of more bytes than this is split, unless it has only a few keys.
const LEAF_BYTES_MAX: usize = 2048;
const LEAF_KEYS_MIN: usize = 4;
/// Stands for no leaf.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Leaf {
    pub keys: Keys,
    /// Slots of the keys; empty where the table has none.
    pub slots: Vec<u32>,
    /// Bit n is the mark of key n.
    pub marks: u64,
    pub before: u32,
    pub after: u32,
}

/// The `count` lowest bits; at most 64 of them.
fn low(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

/// `marks` without the `count` lowest.
fn without_low(marks: u64, count: usize) -> u64 {
    if count >= 64 { 0 } else { marks >> count }
}

impl Leaf {
    pub(crate) const fn new(width: usize) -> Self {
        Self { keys: Keys::new(width), slots: Vec::new(), marks: 0, before: NONE, after: NONE }
    }

    /// Asks for the memory of keys and slots.
    #[inline]
    pub(crate) fn prefetch(&self) {
        self.keys.prefetch();
        prefetch_all(&self.slots);
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// True when one more key of `len` bytes asks for another leaf.
    pub(crate) fn is_full(&self, len: usize) -> bool {
        let count = self.len();
        count >= LEAF_KEYS_MAX
            || (count >= LEAF_KEYS_MIN && self.keys.bytes_len() + len > LEAF_BYTES_MAX)
    }

    /// True when the two are one leaf better.
    pub(crate) fn is_to_join(&self, other: &Self) -> bool {
        self.len() + other.len() <= LEAF_KEYS_MAX * 3 / 4
            && self.keys.bytes_len() + other.keys.bytes_len() <= LEAF_BYTES_MAX * 3 / 4
    }

    pub(crate) fn insert(&mut self, at: usize, key: &[u8], slot: Option<u32>, mark: bool) {
        debug_assert!(self.len() < LEAF_KEYS_MAX);
        self.keys.insert(at, key);
        if let Some(slot) = slot {
            grow(&mut self.slots, 1);
            self.slots.insert(at, slot);
        }
        let later = without_low(self.marks, at);
        // `at` is at most 63: there was room for one more key.
        self.marks = (self.marks & low(at)) | u64::from(mark) << at;
        if at < 63 {
            self.marks |= later << (at + 1);
        }
    }

    pub(crate) fn remove(&mut self, at: usize) {
        self.keys.remove(at);
        if !self.slots.is_empty() {
            self.slots.remove(at);
            shrink(&mut self.slots);
        }
        let later = without_low(self.marks, at + 1);
        self.marks = (self.marks & low(at)) | if at < 64 { later << at } else { 0 };
    }

    /// Takes out the keys from `at` on, as a leaf that is linked to none.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        let slots = if self.slots.is_empty() { Vec::new() } else { self.slots.split_off(at) };
        let mut right = Self {
            keys: self.keys.split_off(at),
            slots,
            marks: without_low(self.marks, at),
            before: NONE,
            after: NONE,
        };
        self.marks &= low(at);
        shrink(&mut self.slots);
        right.shrink();
        right
    }

    /// Appends the keys of the leaf behind this one.
    pub(crate) fn append(&mut self, right: &Self) {
        if self.len() < 64 {
            self.marks |= right.marks << self.len();
        }
        self.keys.reserve_exact(&right.keys);
        self.keys.append(&right.keys, 0..right.len());
        self.slots.reserve_exact(right.slots.len());
        self.slots.extend_from_slice(&right.slots);
    }

    pub(crate) fn push(&mut self, key: &[u8], slot: Option<u32>, mark: bool) {
        self.marks |= u64::from(mark) << self.len();
        self.keys.push(key);
        self.slots.extend(slot);
    }

    /// The marks of some keys, that of the first in the lowest bit.
    pub(crate) fn marks_of(&self, range: Range<usize>) -> u64 {
        without_low(self.marks, range.start) & low(range.len())
    }

    /// Number of the first key that is not below a range.
    pub(crate) fn start_of(&self, from: Bound<&[u8]>) -> usize {
        match from {
            Bound::Unbounded => 0,
            Bound::Included(key) => self.keys.rank(key, false),
            Bound::Excluded(key) => self.keys.rank(key, true),
        }
    }

    /// Number of the first key that is beyond a range; that of keys if there is none.
    pub(crate) fn end_of(&self, to: Bound<&[u8]>) -> usize {
        // Most leaves of a range lie in it with all their keys.
        match (to, self.len().checked_sub(1)) {
            (Bound::Unbounded, _) | (_, None) => self.len(),
            (Bound::Included(key) | Bound::Excluded(key), Some(last))
                if compare(self.keys.get(last), key).is_lt() =>
            {
                self.len()
            }
            (Bound::Included(key), _) => self.keys.rank(key, true),
            (Bound::Excluded(key), _) => self.keys.rank(key, false),
        }
    }

    pub(crate) fn shrink(&mut self) {
        self.keys.shrink();
        self.slots.shrink_to_fit();
    }

    /// Bytes of memory beside the struct.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.keys.memory_bytes() + self.slots.capacity() * size_of::<u32>()
    }
}
