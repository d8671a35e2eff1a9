//! Values that were read from disk, up to a number of bytes.
//!
//! A lookup waits for memory twice, for the slot and for the record, and whoever knows the key before the place of its record can have both come
//! at the same time: see `docs/decisions/0005-a-value-cache-of-our-own.md`.

mod part;
mod ring;

use crate::hash::KeyHash;
use crate::location::Location;
use crate::record::{CachedRecord, RecordImage};
use parking_lot::RwLock;
use part::{Part, Slot, home_of};
use slotcask_format::record::Record;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

/// A part has at least so many bytes, where there are as many.
const PART_MIN: u64 = 4 << 20;
const PARTS_MAX: u64 = 256;

/// What finds a record in a [`Cache`]. The place decides whether it is the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheKey {
    stripe: u16,
    hash: u64,
}

impl CacheKey {
    /// For a key of a table.
    #[must_use]
    #[inline]
    pub fn new(table: u32, hash: KeyHash) -> Self {
        // Tables with the same keys do not compete for the same slots.
        let spread = u64::from(table).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { stripe: hash.stripe, hash: hash.stored ^ spread }
    }
}

/// A bounded cache of records, found by their keys and told apart by their places: a place never holds another record, so that what is found
/// is never out of date. May be shared by threads; each part has a lock that is held for some tens of nanoseconds, and while a
/// value is copied.
pub struct Cache {
    /// None when nothing is to be kept.
    parts: Box<[OneLine]>,
    /// Something was kept: before, nobody need look.
    is_used: AtomicBool,
}

/// A part in cache lines of its own: no other part's lock.
#[repr(align(64))]
struct OneLine {
    part: RwLock<Part>,
    /// Where its slots lie, for hints that do not take the lock: they may be out of date.
    slots: AtomicPtr<Slot>,
    slot_count: AtomicUsize,
}

impl OneLine {
    fn new(part: Part) -> Self {
        let (slots, slot_count) = (AtomicPtr::default(), AtomicUsize::new(0));
        Self { part: RwLock::new(part), slots, slot_count }
    }

    /// Changes the part.
    #[inline]
    fn change(&self, f: impl FnOnce(&mut Part)) {
        let mut part = self.part.write();
        f(&mut part);
        let slots = part.slots();
        if slots.len() != self.slot_count.load(Ordering::Relaxed) {
            self.slots.store(slots.as_ptr().cast_mut(), Ordering::Relaxed);
            self.slot_count.store(slots.len(), Ordering::Relaxed);
        }
    }
}

impl Cache {
    /// A cache of `capacity` bytes; none for 0. It has parts of 4 MiB or, from 1 GiB on, of a 256th; a record that takes more than a third of a part is not
    /// kept. With `huge_pages` parts that are worth it ask for them.
    #[must_use]
    pub fn new(capacity: u64, huge_pages: bool) -> Self {
        let most = (capacity / PART_MIN).clamp(1, PARTS_MAX);
        let count = if capacity == 0 { 0 } else { 1 << most.ilog2() };
        let part = |_| OneLine::new(Part::new(capacity / count, huge_pages));
        Self { parts: (0..count).map(part).collect(), is_used: AtomicBool::new(false) }
    }

    #[inline]
    fn part(&self, key: CacheKey) -> Option<&OneLine> {
        let at = usize::from(key.stripe) & self.parts.len().wrapping_sub(1);
        self.parts.get(at)
    }

    /// The part of a key, if anything is kept anywhere.
    #[inline]
    fn used_part(&self, key: CacheKey) -> Option<&OneLine> {
        if self.is_used.load(Ordering::Relaxed) { self.part(key) } else { None }
    }

    /// Asks for the memory where a lookup begins. A hint.
    #[inline]
    pub fn prefetch(&self, key: CacheKey) {
        if let Some(part) = self.used_part(key) {
            let count = part.slot_count.load(Ordering::Relaxed);
            let slots = part.slots.load(Ordering::Relaxed);
            slotcask_io::prefetch_at(slots.wrapping_add(home_of(key.hash, count)));
        }
    }

    /// Asks for the memory of the record of a key; waits for that of the slot. A hint.
    #[inline]
    pub fn prefetch_record(&self, key: CacheKey) {
        if let Some(part) = self.used_part(key) {
            part.part.read().prefetch_record(key.hash);
        }
    }

    /// The record of a key, if the one at this place is cached.
    #[must_use]
    #[inline]
    pub fn get(&self, key: CacheKey, at: Location) -> Option<CachedRecord> {
        self.used_part(key)?.part.read().get(key.hash, at).map(CachedRecord::of_image)
    }

    /// As [`Cache::get`], lent. `f` runs under the lock of a part, so it must not use the cache.
    #[inline]
    pub fn get_with<T>(
        &self,
        key: CacheKey,
        at: Location,
        f: impl FnOnce(RecordImage<'_>) -> T,
    ) -> Option<T> {
        self.used_part(key)?.part.read().get(key.hash, at).map(f)
    }

    /// Keeps the record of a key for as long as there is room.
    pub fn insert(&self, key: CacheKey, at: Location, record: &CachedRecord) {
        if let Some(part) = self.part(key) {
            part.change(|part| part.insert(key.hash, at, record));
            if !self.is_used.load(Ordering::Relaxed) {
                self.is_used.store(true, Ordering::Relaxed);
            }
        }
    }

    /// What is known of the record at `from`, which is of use no more, is known of the one at `to`: what was read is read again. The record at
    /// `to` is `written`, its value as it was given, or else it is the same.
    #[inline]
    pub fn follow(
        &self,
        key: CacheKey,
        from: Location,
        to: Location,
        written: Option<&Record<'_>>,
    ) {
        if let Some(part) = self.used_part(key) {
            part.change(|part| part.follow(key.hash, from, to, written));
        }
    }

    /// Bytes in use.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.part.read().bytes()).sum()
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}
