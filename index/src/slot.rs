//! The words of one slot, and the sequence lock that guards them.
//!
//! The first word is the version word. Its low bits (how many depends on the size of the table, at least 32) count changes, odd
//! while one goes on; the bits above remember the hash of the key, so that a split of a bucket need not hash
//! keys. The protocol is the one of H. Boehm, Can Seqlocks Get Along With Programming Language Memory Models, 2012.

use crate::copy;
use crate::geometry::{Geometry, HEADER_WORDS};
use crate::sync::{AtomicU64, Ordering, fence};
use slotcask_format::slot::SlotKind;
use std::mem::MaybeUninit;

const VERSION: usize = 0;
const SEQUENCE: usize = 1;
const EPOCH_AND_KIND: usize = 2;

/// What a slot says beside its key and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotMeta {
    /// Sequence of the record that wrote the slot; 0 when it never was written.
    pub sequence: u64,
    /// Epoch of that record.
    pub epoch: u32,
    /// State.
    pub kind: SlotKind,
    /// Deadline in milliseconds since 1970; 0 for none.
    pub deadline_ms: u64,
}

/// What a reader found in a slot.
pub(crate) enum Probe<T> {
    /// The key, alive, and what was read beside it.
    Hit(T),
    /// Something else, at a moment within the call.
    Other,
    /// A change was going on, so nothing is known.
    Busy,
}

/// One slot.
#[derive(Clone, Copy)]
pub(crate) struct Slot<'a> {
    pub(crate) words: &'a [AtomicU64],
}

impl<'a> Slot<'a> {
    /// The slot with this number.
    ///
    /// # Panics
    /// When the arena has no such slot.
    #[inline(always)]
    pub(crate) fn new(arena: &'a [AtomicU64], geometry: &Geometry, slot: u32) -> Self {
        let first = geometry.word_of(slot);
        Self { words: &arena[first..first + geometry.slot_words] }
    }

    /// The slot with this number.
    ///
    /// # Safety
    /// The arena has such a slot.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) unsafe fn new_unchecked(
        arena: &'a [AtomicU64],
        geometry: &Geometry,
        slot: u32,
    ) -> Self {
        let first = geometry.word_of(slot);
        debug_assert!(first + geometry.slot_words <= arena.len());
        // SAFETY: by the contract these words are in the arena.
        Self { words: unsafe { arena.get_unchecked(first..first + geometry.slot_words) } }
    }

    /// A word of the header: each slot has `HEADER_WORDS` of them.
    #[inline(always)]
    fn header<const AT: usize>(self) -> &'a AtomicU64 {
        const { assert!(AT < HEADER_WORDS) };
        debug_assert!(self.words.len() >= HEADER_WORDS);
        // SAFETY: a slot has `slot_words` words of a geometry, which has asserted that the header is among them.
        unsafe { self.words.get_unchecked(AT) }
    }

    /// Begins to read: the version to compare with later, unless a change is going on.
    #[inline(always)]
    pub(crate) fn version(self) -> Option<u64> {
        let version = self.header::<VERSION>().load(Ordering::Acquire);
        (version & 1 == 0).then_some(version)
    }

    /// True when what was read since [`version`](Self::version) belongs together.
    #[inline(always)]
    pub(crate) fn is_unchanged(self, version: u64) -> bool {
        // Pairs with the fence of `begin`: if a load before it saw a word of a later change, then the load behind it
        // sees that change's odd version, or one that is later still.
        fence(Ordering::Acquire);
        self.header::<VERSION>().load(Ordering::Relaxed) == version
    }

    /// Looks whether this slot holds the key, and copies its value. `value` is filled after a hit, and may be after others. `read` is
    /// called once; after a hit, what it saw belongs together with key and value.
    ///
    /// # Safety
    /// `key` has the length of a key, and `value` that of a value, or it is empty.
    #[inline(always)]
    pub(crate) unsafe fn probe<T>(
        self,
        geometry: &Geometry,
        key: &[u8],
        value: &mut [MaybeUninit<u8>],
        read: impl FnOnce(Self) -> T,
    ) -> Probe<T> {
        let Some(version) = self.version() else { return Probe::Busy };
        debug_assert!(self.words.len() == geometry.slot_words);
        debug_assert!(key.len() == geometry.key_len);
        debug_assert!(value.is_empty() || value.len() == geometry.value_len);
        let (key_at, value_at) = (geometry.key_word, geometry.value_word);
        // SAFETY: a slot has all words of the geometry that it was made with, which has asserted that key and value lie in them;
        // by the contract `key` and `value` are no longer than those.
        let (key_words, value_words) = unsafe {
            (
                self.words.get_unchecked(key_at..key_at + key.len().div_ceil(8)),
                self.words.get_unchecked(value_at..value_at + value.len().div_ceil(8)),
            )
        };
        if !copy::is_equal(key_words, key) {
            return if self.is_unchanged(version) { Probe::Other } else { Probe::Busy };
        }
        copy::load(value_words, value);
        let is_live = self.is_live();
        let seen = read(self);
        match self.is_unchanged(version) {
            false => Probe::Busy,
            true if is_live => Probe::Hit(seen),
            true => Probe::Other,
        }
    }

    #[inline(always)]
    fn is_live(self) -> bool {
        let word = self.header::<EPOCH_AND_KIND>().load(Ordering::Relaxed);
        (word >> 32) as u8 == SlotKind::Live as u8
    }

    /// The deadline as it stands; 0 for none.
    #[inline(always)]
    pub(crate) fn deadline_ms(self, geometry: &Geometry) -> u64 {
        match geometry.deadline_word() {
            Some(at) => self.words[at].load(Ordering::Relaxed),
            None => 0,
        }
    }

    /// The meta words as they stand.
    #[inline(always)]
    pub(crate) fn meta(self, geometry: &Geometry) -> SlotMeta {
        let word = self.header::<EPOCH_AND_KIND>().load(Ordering::Relaxed);
        SlotMeta {
            sequence: self.header::<SEQUENCE>().load(Ordering::Relaxed),
            epoch: word as u32,
            // 0 is a slot that never was used. Other numbers do not occur: what is loaded was verified.
            kind: SlotKind::from_u8((word >> 32) as u8).unwrap_or(SlotKind::Free),
            deadline_ms: self.deadline_ms(geometry),
        }
    }

    /// Begins a change. Writer only. Gives the version word that ends it.
    #[inline]
    fn begin(self, geometry: &Geometry) -> u64 {
        let version = self.words[VERSION].load(Ordering::Relaxed);
        let mask = geometry.version_mask;
        self.words[VERSION].store(version | 1, Ordering::Relaxed);
        fence(Ordering::Release);
        (version & !mask) | ((version | 1).wrapping_add(1) & mask)
    }

    /// Writes the whole slot. Writer only.
    #[inline]
    pub(crate) fn write(self, geometry: &Geometry, meta: SlotMeta, key: &[u8], value: &[u8]) {
        let kind = meta.kind;
        let after = self.begin(geometry);
        self.words[SEQUENCE].store(meta.sequence, Ordering::Relaxed);
        self.words[EPOCH_AND_KIND]
            .store(u64::from(meta.epoch) | u64::from(kind as u8) << 32, Ordering::Relaxed);
        if let Some(at) = geometry.deadline_word() {
            self.words[at].store(meta.deadline_ms, Ordering::Relaxed);
        }
        if kind == SlotKind::Free {
            copy::zero(&self.words[geometry.key_word..]);
        } else {
            copy::store(&self.words[geometry.key_word..], key);
            if kind == SlotKind::Live {
                copy::store(&self.words[geometry.value_word..], value);
            } else {
                copy::zero(&self.words[geometry.value_word..]);
            }
        }
        self.words[VERSION].store(after, Ordering::Release);
    }

    /// Makes the slot one that never was used. Writer only.
    pub(crate) fn wipe(self, geometry: &Geometry) {
        let after = self.begin(geometry);
        copy::zero(&self.words[SEQUENCE..]);
        self.words[VERSION].store(after, Ordering::Release);
    }

    /// Remembers the hash of the slot's key. Writer only.
    #[inline]
    pub(crate) fn remember(self, geometry: &Geometry, hash: u64) {
        let version = self.words[VERSION].load(Ordering::Relaxed);
        let (mask, bits) = (geometry.version_mask, geometry.hash_bits(hash));
        if version & !mask != bits {
            // One store changes nothing but the version word, so it needs no busy mark. The count goes on all the same.
            let count = version.wrapping_add(2) & mask;
            self.words[VERSION].store(bits | count, Ordering::Release);
        }
    }

    /// What [`remember`](Self::remember) was told: low bits of the hash's place.
    #[inline]
    pub(crate) fn place(self, geometry: &Geometry) -> u32 {
        geometry.place_in(self.words[VERSION].load(Ordering::Relaxed))
    }
}

const _: () = assert!(EPOCH_AND_KIND + 1 == HEADER_WORDS);
const _: () = assert!(
    std::mem::offset_of!(slotcask_format::slot::SlotHeader, kind) == 8 * EPOCH_AND_KIND + 4
);
