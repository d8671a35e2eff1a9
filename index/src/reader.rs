//! Lock-free reading.
//!
//! One lookup, in order:
//!  1. load the number of buckets (Acquire), which says the bucket of the hash;
//!  2. load the version of that bucket (Acquire); odd: over again;
//!  3. load its tags; for each that matches, load the slot number and probe the slot under the slot's own version. A slot in change:
//!     over again;
//!  4. before any answer, hit or miss: the number of buckets (Acquire) must still lead the hash to the same bucket, else
//!     over again;
//!  5. after that, and before a link is followed: fence, then the version of the *head* must be the one of step 2, else
//!     over again. This comes last: the table may have been cleared, and have grown again to a count that leads here; then this bucket
//!     was begun anew before that count was public.
//!
//! Why a miss is right: by 4 and 5 the chain did not change between two moments within the call, and was the
//! place of this hash; a key that was in the index all the time was therefore in this chain, in a place that was
//! examined; its slot held the key (only a change of the index may take a live key out of its slot), so it was a hit.
//! Why a hit is right: key and value were copied under one version of the slot, and the entry was in the index
//! before and after. The second half is needed: a late reader with an old entry could otherwise see a key that is written to a reused slot
//! but not in the index yet, and whoever asks next would miss it.

use crate::bucket::{Bucket, tag_of};
use crate::copy;
use crate::geometry::Geometry;
use crate::mapping::{BUCKETS_MIN, Extent};
use crate::memory::Memory;
use crate::prefetch;
use crate::slot::{Probe, Slot, SlotMeta};
use crate::sync::{AtomicU32, AtomicU64, Backoff, Ordering};
use slotcask_format::slot::SlotLayout;
use std::mem::MaybeUninit;
use zerocopy::FromBytes;

/// What changes with each insert: on lines of its own, away from what every lookup reads.
#[repr(align(128))]
pub(crate) struct Counters {
    pub(crate) len: AtomicU64,
    pub(crate) slot_count: AtomicU32,
    /// Slots that ever were in use; as many have been touched in memory.
    pub(crate) slots_touched: AtomicU32,
    pub(crate) overflow_touched: AtomicU32,
    pub(crate) buckets_touched: AtomicU32,
}

/// The number of buckets. Changes with each split.
#[repr(align(128))]
pub(crate) struct BucketCount(AtomicU64);

impl BucketCount {
    fn new(bucket_count: u32) -> Self {
        Self(AtomicU64::new(Extent::new(bucket_count).word()))
    }

    #[inline(always)]
    pub(crate) fn extent(&self, ordering: Ordering) -> Extent {
        Extent::from_word(self.0.load(ordering))
    }

    #[inline(always)]
    pub(crate) fn load(&self, ordering: Ordering) -> u32 {
        self.extent(ordering).count()
    }

    pub(crate) fn store(&self, bucket_count: u32, ordering: Ordering) {
        self.0.store(Extent::new(bucket_count).word(), ordering);
    }
}

/// Reads a table without locks, from any number of threads, while one [`SlotWriter`](crate::SlotWriter) changes it.
///
/// A call returns what was true at some moment between its begin and its end. It waits only while the writer
/// is in the middle of a change of the very bucket or slot it needs.
pub struct SlotReader {
    pub(crate) memory: Memory,
    pub(crate) geometry: Geometry,
    layout: SlotLayout,
    pub(crate) bucket_count: BucketCount,
    pub(crate) counters: Counters,
}

#[cfg(not(loom))]
const _: () = {
    const fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<SlotReader>();
};

impl SlotReader {
    pub(crate) fn new(layout: SlotLayout, geometry: Geometry, memory: Memory) -> Self {
        // What `slot_checked` relies on. A model's memory ends within a page, and is checked at each access.
        let words = geometry.pages_for(geometry.slot_max) as usize * geometry.page_words;
        assert!(cfg!(loom) || words <= memory.arena().len());
        Self {
            memory,
            geometry,
            layout,
            bucket_count: BucketCount::new(BUCKETS_MIN),
            counters: Counters {
                len: AtomicU64::new(0),
                slot_count: AtomicU32::new(0),
                slots_touched: AtomicU32::new(0),
                overflow_touched: AtomicU32::new(0),
                buckets_touched: AtomicU32::new(BUCKETS_MIN),
            },
        }
    }

    /// Layout of the slots.
    #[must_use]
    pub fn layout(&self) -> &SlotLayout {
        &self.layout
    }

    /// Looks a key up and copies its value. After `None`, `value` may hold anything.
    ///
    /// # Panics
    /// When `key` or `value` has not the length of the layout.
    #[inline]
    pub fn get(&self, hash: u64, key: &[u8], value: &mut [u8]) -> Option<(u32, SlotMeta)> {
        assert_eq!(value.len(), self.geometry.value_len);
        self.lookup_meta(hash, key, copy::as_uninit(value))
    }

    /// Looks a key up and gives its value as a `V`, and what else the slot says.
    ///
    /// # Panics
    /// When `key` has not the length of the layout, or `V` not the size of a value.
    #[inline]
    pub fn get_into<V: FromBytes>(&self, hash: u64, key: &[u8]) -> Option<(V, SlotMeta)> {
        self.value_and(hash, key, |slot, geometry| slot.meta(geometry))
    }

    /// Looks a key up and gives its value as a `V`, copied once, if `is_wanted` agrees to its deadline (milliseconds since 1970, 0 for
    /// none).
    ///
    /// # Panics
    /// When `key` has not the length of the layout, or `V` not the size of a value.
    #[inline(always)]
    pub fn value_if<V: FromBytes>(
        &self,
        hash: u64,
        key: &[u8],
        is_wanted: impl FnOnce(u64) -> bool,
    ) -> Option<V> {
        let (value, deadline_ms) =
            self.value_and(hash, key, |slot, geometry| slot.deadline_ms(geometry))?;
        is_wanted(deadline_ms).then_some(value)
    }

    #[inline(always)]
    fn value_and<V: FromBytes, T>(
        &self,
        hash: u64,
        key: &[u8],
        read: impl Fn(Slot<'_>, &Geometry) -> T,
    ) -> Option<(V, T)> {
        let size = std::mem::size_of::<V>();
        assert!(size == self.geometry.value_len, "the value has a wrong length");
        let mut value = MaybeUninit::<V>::uninit();
        // SAFETY: the bytes of `value`, exclusively borrowed as long as the slice is used; bytes that need not be
        // initialised have no other requirement.
        let bytes = unsafe { std::slice::from_raw_parts_mut(value.as_mut_ptr().cast(), size) };
        let seen = self.lookup(hash, key, bytes, |_, slot| read(slot, &self.geometry))?;
        // SAFETY: a hit has filled all `size_of::<V>()` bytes, and by `FromBytes` any initialised bytes are a `V`.
        Some((unsafe { value.assume_init() }, seen))
    }

    /// Looks a key up without its value.
    ///
    /// # Panics
    /// When `key` has not the length of the layout.
    #[inline]
    pub fn contains(&self, hash: u64, key: &[u8]) -> Option<SlotMeta> {
        self.lookup_meta(hash, key, &mut []).map(|(_, meta)| meta)
    }

    /// The slot of a key and what it says. `value` as in [`lookup`](Self::lookup).
    #[inline(always)]
    pub(crate) fn lookup_meta(
        &self,
        hash: u64,
        key: &[u8],
        value: &mut [MaybeUninit<u8>],
    ) -> Option<(u32, SlotMeta)> {
        self.lookup(hash, key, value, |number, slot| (number, slot.meta(&self.geometry)))
    }

    /// See the head of this file. `value` has the length of a value, or is empty. What `read` sees of the slot of a hit belongs
    /// together with its value.
    #[inline(always)]
    fn lookup<T>(
        &self,
        hash: u64,
        key: &[u8],
        value: &mut [MaybeUninit<u8>],
        read: impl Fn(u32, Slot<'_>) -> T,
    ) -> Option<T> {
        assert!(key.len() == self.geometry.key_len, "the key has a wrong length");
        match self.attempt_first(hash, key, value, &read) {
            Ok(answer) => answer,
            Err(Undecided) => self.search(hash, key, value, &read),
        }
    }

    /// The first attempt goes no further than the first candidate, which nearly always is the right one: a processor begins the next
    /// lookup while it waits for the memory of this one, if few enough instructions lie between.
    #[inline(always)]
    fn attempt_first<T>(
        &self,
        hash: u64,
        key: &[u8],
        value: &mut [MaybeUninit<u8>],
        read: &impl Fn(u32, Slot<'_>) -> T,
    ) -> Result<Option<T>, Undecided> {
        let extent = self.bucket_count.extent(Ordering::Acquire);
        let head = &self.memory.buckets()[extent.bucket_of(hash) as usize];
        let front = head.front();
        let version = front.version();
        if version & 1 != 0 {
            return Err(Undecided);
        }
        let answer = match front.places_of(tag_of(hash)).next() {
            Some(place) => {
                let number = head.slot(place);
                let Some(slot) = self.slot_checked(number) else { return Err(Undecided) };
                // SAFETY: `lookup` has compared the length of the key, and its callers that of the value.
                let probe =
                    unsafe { slot.probe(&self.geometry, key, value, |slot| read(number, slot)) };
                let Probe::Hit(seen) = probe else { return Err(Undecided) };
                Some(seen)
            }
            None if front.has_link() => return Err(Undecided),
            None => None,
        };
        let is_still = self.bucket_count.extent(Ordering::Acquire) == extent;
        if is_still && head.is_unchanged(version) { Ok(answer) } else { Err(Undecided) }
    }

    /// Attempts that look at all candidates, until nothing changed during one.
    #[cold]
    #[inline(never)]
    fn search<T>(
        &self,
        hash: u64,
        key: &[u8],
        value: &mut [MaybeUninit<u8>],
        read: &impl Fn(u32, Slot<'_>) -> T,
    ) -> Option<T> {
        let mut backoff = Backoff::default();
        loop {
            if let Ok(answer) = self.attempt(hash, key, value, read) {
                return answer;
            }
            backoff.wait();
        }
    }

    /// One attempt at a lookup.
    fn attempt<T>(
        &self,
        hash: u64,
        key: &[u8],
        value: &mut [MaybeUninit<u8>],
        read: &impl Fn(u32, Slot<'_>) -> T,
    ) -> Result<Option<T>, Changed> {
        let tag = tag_of(hash);
        let extent = self.bucket_count.extent(Ordering::Acquire);
        let number = extent.bucket_of(hash);
        let head = &self.memory.buckets()[number as usize];
        let front = head.front();
        let version = front.version();
        if version & 1 != 0 {
            return Err(Changed);
        }
        let answer = 'search: {
            let (mut bucket, mut front) = (head, front);
            loop {
                for place in front.places_of(tag) {
                    let number = bucket.slot(place);
                    // What stands here may be a link by now; the checks below will see that.
                    let Some(slot) = self.slot_checked(number) else { return Err(Changed) };
                    // SAFETY: `lookup` has compared the length of the key, and its callers that of the value.
                    let probe = unsafe {
                        slot.probe(&self.geometry, key, value, |slot| read(number, slot))
                    };
                    match probe {
                        Probe::Hit(seen) => break 'search Some(seen),
                        Probe::Other => {}
                        Probe::Busy => return Err(Changed),
                    }
                }
                if !front.has_link() {
                    break 'search None;
                }
                bucket = self.follow(head, version, bucket)?;
                front = bucket.front();
            }
        };
        if self.is_still(hash, extent, number) && head.is_unchanged(version) {
            Ok(answer)
        } else {
            Err(Changed)
        }
    }

    /// The overflow bucket behind one that has a link. As the chain did not change, it has an end.
    #[cold]
    fn follow(&self, head: &Bucket, version: u32, bucket: &Bucket) -> Result<&Bucket, Changed> {
        let link = bucket.slot(crate::bucket::LINK_PLACE);
        if !head.is_unchanged(version) {
            return Err(Changed);
        }
        self.memory.overflow().get(link as usize).ok_or(Changed)
    }

    #[inline(always)]
    pub(crate) fn bucket_for(&self, hash: u64) -> &Bucket {
        let number = self.bucket_count.extent(Ordering::Acquire).bucket_of(hash);
        &self.memory.buckets()[number as usize]
    }

    /// True when the hash is still led to the bucket to which `extent` led it.
    #[inline(always)]
    fn is_still(&self, hash: u64, extent: Extent, number: u32) -> bool {
        let now = self.bucket_count.extent(Ordering::Acquire);
        now == extent || now.bucket_of(hash) == number
    }

    /// A slot by a number that was read while it may have been changing.
    #[inline(always)]
    pub(crate) fn slot_checked(&self, slot: u32) -> Option<Slot<'_>> {
        if slot >= self.geometry.slot_max {
            return None;
        }
        #[cfg(loom)]
        return Some(self.slot(slot));
        // SAFETY: `new` has asserted that the arena holds all pages of `slot_max` slots, and `slot` is less.
        #[cfg(not(loom))]
        Some(unsafe { Slot::new_unchecked(self.memory.arena(), &self.geometry, slot) })
    }

    #[inline(always)]
    pub(crate) fn slot(&self, slot: u32) -> Slot<'_> {
        Slot::new(self.memory.arena(), &self.geometry, slot)
    }

    /// A consistent copy of whatever a slot holds: its kind is in the answer, and a slot that never was used is free. `None`
    /// when no such slot was handed out.
    ///
    /// # Panics
    /// When `key` or `value` has not the length of the layout.
    pub fn read_slot(&self, slot: u32, key: &mut [u8], value: &mut [u8]) -> Option<SlotMeta> {
        let geometry = &self.geometry;
        assert_eq!((key.len(), value.len()), (geometry.key_len, geometry.value_len));
        let mut backoff = Backoff::default();
        loop {
            if slot >= self.slot_count() {
                return None;
            }
            let slot = self.slot(slot);
            if let Some(version) = slot.version() {
                copy::load(&slot.words[geometry.key_word..], copy::as_uninit(key));
                copy::load(&slot.words[geometry.value_word..], copy::as_uninit(value));
                let meta = slot.meta(geometry);
                if slot.is_unchanged(version) {
                    return Some(meta);
                }
            }
            backoff.wait();
        }
    }

    /// Copies the value of a slot that holds `key`, alive. `None` when it holds something else or is being changed: then
    /// [`SlotReader::get`] knows more. `value` may hold anything after that.
    ///
    /// # Panics
    /// When `key` or `value` has not the length of the layout.
    #[inline]
    pub fn get_in(&self, slot: u32, key: &[u8], value: &mut [u8]) -> Option<SlotMeta> {
        let geometry = &self.geometry;
        assert!(key.len() == geometry.key_len && value.len() == geometry.value_len);
        let slot = self.slot_checked(slot)?;
        // SAFETY: both lengths are those that were asserted.
        match unsafe {
            slot.probe(geometry, key, copy::as_uninit(value), |slot| slot.meta(geometry))
        } {
            Probe::Hit(meta) => Some(meta),
            Probe::Other | Probe::Busy => None,
        }
    }

    /// Asks for the memory of a slot that [`SlotReader::get_in`] will be called for. A hint.
    #[inline]
    pub fn prefetch_in(&self, slot: u32) {
        if let Some(slot) = self.slot_checked(slot) {
            prefetch::lines(slot.words);
        }
    }

    /// Slots handed out so far, free ones and tombstones included.
    #[must_use]
    pub fn slot_count(&self) -> u32 {
        self.counters.slot_count.load(Ordering::Acquire)
    }

    /// Keys in the index.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.counters.len.load(Ordering::Relaxed)
    }

    /// True when the index holds no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks for the cache line of the bucket of a hash. A hint.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        prefetch::line(self.bucket_for(hash));
    }

    /// Asks for the cache lines of the slot that probably holds the key of a hash; reads the bucket for it. A hint.
    #[inline]
    pub fn prefetch_slot(&self, hash: u64) {
        let bucket = self.bucket_for(hash);
        if let Some(place) = bucket.front().places_of(tag_of(hash)).next()
            && let Some(slot) = self.slot_checked(bucket.slot(place))
        {
            prefetch::lines(slot.words);
        }
    }
}

/// Something changed while it was read: over again.
struct Changed;

/// The first candidate was not the key, or there is more to look at, or something changed.
struct Undecided;

impl std::fmt::Debug for SlotReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlotReader").field("len", &self.len()).finish_non_exhaustive()
    }
}
