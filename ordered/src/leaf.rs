//! A leaf: some keys in a row, and what belongs to them.

use crate::keys::{Keys, grow, shrink};

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
        self.len() + other.len() <= LEAF_KEYS_MAX * 7 / 8
            && self.keys.bytes_len() + other.keys.bytes_len() <= LEAF_BYTES_MAX * 7 / 8
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
        self.keys.append(&right.keys);
        grow(&mut self.slots, right.slots.len());
        self.slots.extend_from_slice(&right.slots);
    }

    pub(crate) fn push(&mut self, key: &[u8], slot: Option<u32>, mark: bool) {
        self.marks |= u64::from(mark) << self.len();
        self.keys.push(key);
        self.slots.extend(slot);
    }

    pub(crate) fn is_marked(&self, at: usize) -> bool {
        self.marks >> at & 1 != 0
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
