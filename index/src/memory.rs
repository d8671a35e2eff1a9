//! The memory of one table: one reservation of address space, in which nothing ever moves.
//!
//! It holds three regions, each aligned to a huge page: the arena of slots, the buckets, the overflow
//! buckets. Only pages that were touched cost memory. Memory that never was touched reads as zeros: an unused
//! slot, an empty bucket.

use crate::bucket::Bucket;
use crate::error::IndexError;
use crate::sync::AtomicU64;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Size and alignment of a huge page, and the step of faulting in ahead, bytes.
pub(crate) const STEP: usize = 2 << 20;
/// Bytes behind what is in use that stay when the rest is given back: what comes next needs them, and less is not worth a call.
const TRIM_SLACK: usize = 64 << 10;
/// Size of a small page, or a multiple of it.
const SMALL_PAGE: usize = 4096;
/// A region that uses less gets small pages: a store with little in it must be cheap.
const HUGE_FROM: usize = 1 << 20;

/// A part of the reservation.
struct Region {
    base: NonNull<u8>,
    /// Bytes that may be used; the reservation goes on to the next multiple of [`STEP`].
    len: usize,
    is_advised: AtomicBool,
    /// Bytes that were faulted in ahead of use.
    populated: AtomicUsize,
    /// Bytes in use when [`Memory::trim`] last looked, and when it last gave anything back.
    seen: AtomicUsize,
    trimmed: AtomicUsize,
}

/// See the head of this file. Regions are named by their index.
pub(crate) struct Memory {
    mapping: NonNull<libc::c_void>,
    mapping_len: usize,
    regions: [Region; 3],
    huge_pages: bool,
}

/// The region of slots.
pub(crate) const ARENA: usize = 0;
/// The region of buckets.
pub(crate) const BUCKETS: usize = 1;
/// The region of overflow buckets.
pub(crate) const OVERFLOW: usize = 2;

// SAFETY: the mapping belongs to this value alone and is bound to no thread. Shared access goes through
// atomics (`arena`, `buckets`, `overflow`) or through `&mut self` (`arena_bytes`).
unsafe impl Send for Memory {}
// SAFETY: see above; `madvise` may be called by any thread at any time.
unsafe impl Sync for Memory {}

impl Memory {
    /// Reserves room for that many words and buckets, all zero.
    pub(crate) fn reserve(
        arena_words: u64,
        bucket_max: u32,
        overflow_max: u32,
        huge_pages: bool,
    ) -> Result<Self, (u64, std::io::Error)> {
        let bucket_size = std::mem::size_of::<Bucket>() as u64;
        let lens = [
            arena_words.saturating_mul(8),
            u64::from(bucket_max) * bucket_size,
            u64::from(overflow_max) * bucket_size,
        ];
        let step = STEP as u64;
        // One step more, because the system aligns to small pages only.
        let total = lens.iter().fold(step, |sum, &len| {
            sum.saturating_add(len.checked_next_multiple_of(step).unwrap_or(u64::MAX))
        });
        // More than this is no address space at all, and every sum below fits.
        if total > 1 << 56 {
            return Err((total, std::io::Error::from(std::io::ErrorKind::OutOfMemory)));
        }
        let mapping_len = total as usize;
        // SAFETY: a new private anonymous mapping at an address of the system's choice touches no memory that
        // exists. NORESERVE: the size is a limit, not a claim.
        let mapping = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapping_len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if mapping == libc::MAP_FAILED {
            return Err((total, std::io::Error::last_os_error()));
        }
        let mapping = NonNull::new(mapping).expect("the system maps nothing at address 0");
        let mut at = mapping.cast::<u8>().addr().get().next_multiple_of(STEP)
            - mapping.cast::<u8>().addr().get();
        let regions = lens.map(|len| {
            let len = len as usize;
            // SAFETY: `at` is at most one step plus the regions before, and `total` counts all regions and one
            // step: `at + len` is within the mapping, which is smaller than `isize::MAX`.
            let base = unsafe { mapping.cast::<u8>().add(at) };
            at += len.next_multiple_of(STEP);
            Region {
                base,
                len,
                is_advised: AtomicBool::new(false),
                populated: AtomicUsize::new(0),
                seen: AtomicUsize::new(0),
                trimmed: AtomicUsize::new(0),
            }
        });
        Ok(Self { mapping, mapping_len, regions, huge_pages })
    }

    /// The words of all slots.
    #[inline(always)]
    pub(crate) fn arena(&self) -> &[AtomicU64] {
        let region = &self.regions[ARENA];
        // SAFETY: the region is mapped, readable and writable for as long as `self` lives, `len` bytes long,
        // and aligned to more than 8. Every bit pattern is an `AtomicU64`. Nothing but atomics accesses it
        // while a shared borrow of `self` lives: `arena_bytes` borrows exclusively.
        unsafe { std::slice::from_raw_parts(region.base.cast().as_ptr(), region.len / 8) }
    }

    /// All buckets.
    #[inline(always)]
    pub(crate) fn buckets(&self) -> &[Bucket] {
        self.bucket_region(BUCKETS)
    }

    /// All overflow buckets.
    #[inline(always)]
    pub(crate) fn overflow(&self) -> &[Bucket] {
        self.bucket_region(OVERFLOW)
    }

    #[inline(always)]
    fn bucket_region(&self, region: usize) -> &[Bucket] {
        let region = &self.regions[region];
        let count = region.len / std::mem::size_of::<Bucket>();
        // SAFETY: as in `arena`; a `Bucket` is nothing but atomics, without padding, and its alignment (64)
        // divides that of the region. Nothing ever makes a reference to these bytes of another type.
        unsafe { std::slice::from_raw_parts(region.base.cast().as_ptr(), count) }
    }

    /// The bytes of all slots, for whoever reads a file into them. There is no other access meanwhile.
    pub(crate) fn arena_bytes(&mut self) -> &mut [u8] {
        let region = &self.regions[ARENA];
        // SAFETY: mapped, initialised (anonymous memory reads as zeros) and writable as in `arena`; `&mut self` is
        // the only borrow of this value, so no other reference into the region exists while this one does.
        unsafe { std::slice::from_raw_parts_mut(region.base.as_ptr(), region.len) }
    }

    /// Bytes of a region from which on it uses huge pages, and whether it does not yet though `used` bytes are.
    #[inline]
    pub(crate) fn is_advice_due(&self, region: usize, used: usize) -> bool {
        self.huge_pages
            && used >= HUGE_FROM
            && !self.regions[region].is_advised.load(Ordering::Relaxed)
    }

    /// Asks for huge pages wherever the region was not touched yet. What the system answers does not matter:
    /// small pages are slower and right.
    #[cold]
    pub(crate) fn advise(&self, region: usize) {
        let region = &self.regions[region];
        if !region.is_advised.swap(true, Ordering::Relaxed) {
            region.madvise(0, region.len.next_multiple_of(STEP), libc::MADV_HUGEPAGE);
        }
    }

    /// Faults in what comes next behind `used` bytes of a region. True when it did something.
    pub(crate) fn populate(&self, region: usize, used: usize) -> bool {
        if used < HUGE_FROM {
            return false;
        }
        let huge_pages = self.huge_pages;
        let is_first = self.is_advice_due(region, used);
        if is_first {
            self.advise(region);
        }
        let region = &self.regions[region];
        // One whole step ahead of the one in use.
        let target = (used.next_multiple_of(STEP) + STEP).min(region.len.next_multiple_of(STEP));
        let done = region.populated.load(Ordering::Relaxed);
        if done >= target {
            return false;
        }
        region.populated.fetch_max(target, Ordering::Relaxed);
        if done == 0 && huge_pages {
            // What was touched before the advice lies on small pages.
            region.madvise(0, used / STEP * STEP + STEP, libc::MADV_COLLAPSE);
        }
        let from = done.max(used / STEP * STEP);
        region.madvise(from, target - from, libc::MADV_POPULATE_WRITE);
        true
    }

    /// Gives back what lies behind the `used` bytes of a region, if there are as many as at the last call: the rest of a huge page, and what
    /// was faulted in ahead. Nothing behind them was ever written, nor is being written. True when it did something.
    pub(crate) fn trim(&self, region: usize, used: usize) -> bool {
        let region = &self.regions[region];
        let grew = region.seen.swap(used, Ordering::Relaxed) != used;
        if grew || used < HUGE_FROM || region.trimmed.load(Ordering::Relaxed) == used {
            return false;
        }
        region.trimmed.store(used, Ordering::Relaxed);
        let from = (used + TRIM_SLACK).next_multiple_of(SMALL_PAGE);
        let populated = region.populated.load(Ordering::Relaxed);
        let to = used.next_multiple_of(STEP).max(populated).min(region.len.next_multiple_of(STEP));
        if from + TRIM_SLACK > to {
            return false;
        }
        region.populated.store(from, Ordering::Relaxed);
        // What was zeros reads as zeros again, from pages that are made when they are touched.
        region.madvise(from, to - from, libc::MADV_DONTNEED);
        true
    }
}

impl Region {
    /// Advice about `len` bytes from `offset`, of a kind that never changes what is read, or about bytes that are zeros. An error means that the
    /// kernel does not know the advice, or has no memory right now: then pages come as they are touched.
    fn madvise(&self, offset: usize, len: usize, advice: libc::c_int) {
        debug_assert!(offset + len <= self.len.next_multiple_of(STEP));
        // SAFETY: the range is within the region with its slack, all of it mapped by `reserve`. HUGEPAGE, COLLAPSE and
        // POPULATE_WRITE keep the contents of every page, also under concurrent access. DONTNEED makes zeros of the range: all that
        // borrows it are atomic words, for which any value is valid at any time, and `trim` passes only bytes that were zeros.
        unsafe {
            libc::madvise(self.base.as_ptr().add(offset).cast(), len, advice);
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: `mapping` and `mapping_len` are what mmap gave; references into it borrow from `self`, so none is left.
        let result = unsafe { libc::munmap(self.mapping.as_ptr(), self.mapping_len) };
        debug_assert_eq!(result, 0);
    }
}

/// The error of [`Memory::reserve`], with what was to be held.
pub(crate) fn refused(
    (bytes, source): (u64, std::io::Error),
    slot_max: u32,
    slot_size: usize,
) -> IndexError {
    IndexError::Memory { bytes, slot_max, slot_size, source }
}
