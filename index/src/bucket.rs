//! A bucket of the index: one cache line with 12 places.
//!
//! A place is a tag (8 bits of the hash) and a slot number. Tag 0 is an empty place. Tag 255 may stand in the last place only: the
//! slot number there is then the number of an overflow bucket, which continues this one.
//! Everything in a chain is guarded by the version of its head.

use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// Places in a bucket.
pub(crate) const PLACES: usize = 12;
/// The place that a link takes.
pub(crate) const LINK_PLACE: usize = PLACES - 1;

const TAG_EMPTY: u8 = 0;
const TAG_LINK: u8 = 255;
const TAGS_LOW: usize = 4;
const EACH: u64 = 0x0101_0101_0101_0101;

/// See the head of this file.
#[repr(C, align(64))]
pub(crate) struct Bucket {
    version: AtomicU32,
    tags_low: AtomicU32,
    tags_high: AtomicU64,
    slots: [AtomicU32; PLACES],
}

#[cfg(not(loom))]
const _: () = assert!(std::mem::size_of::<Bucket>() == 64);

/// The tag of a hash: never one of the two that mean something else.
#[inline(always)]
pub(crate) const fn tag_of(hash: u64) -> u8 {
    // 256 values onto 254, without a branch.
    ((hash >> 56) as u32 * 254 / 256 + 1) as u8
}

/// A copy of the twelve tags.
#[derive(Clone, Copy)]
pub(crate) struct Tags {
    low: u32,
    high: u64,
}

/// Places, as a set that is iterated in no particular order.
#[derive(Clone, Copy)]
pub(crate) struct Places(u64);

impl Iterator for Places {
    type Item = usize;
    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        // Bit 8k + 7 is place 4 + k, bit 8k + 6 is place k.
        Some(bit / 8 + if bit & 1 == 1 { TAGS_LOW } else { 0 })
    }
}

/// Sets bit 7 of each byte of `word` that equals `tag`, exactly.
#[inline(always)]
const fn bytes_equal(word: u64, tag: u8) -> u64 {
    let differs = word ^ (EACH * tag as u64);
    let low_bits = 0x7f * EACH;
    !(((differs & low_bits) + low_bits) | differs | low_bits)
}

impl Tags {
    /// The places that hold this tag.
    #[inline(always)]
    pub(crate) const fn places_of(self, tag: u8) -> Places {
        // The upper half of the low word are no tags.
        let low = bytes_equal(self.low as u64, tag) & 0x8080_8080;
        Places(bytes_equal(self.high, tag) | (low >> 1))
    }

    /// A place that holds nothing.
    #[inline(always)]
    pub(crate) fn free_place(self) -> Option<usize> {
        self.places_of(TAG_EMPTY).next()
    }

    #[inline(always)]
    pub(crate) const fn has_link(self) -> bool {
        (self.high >> 56) as u8 == TAG_LINK
    }

    #[inline]
    pub(crate) const fn tag(self, place: usize) -> u8 {
        if place < TAGS_LOW {
            (self.low >> (8 * place)) as u8
        } else {
            (self.high >> (8 * (place - TAGS_LOW))) as u8
        }
    }

    /// The places that hold entries.
    pub(crate) fn entries(self) -> impl Iterator<Item = usize> {
        (0..PLACES).filter(move |&place| !matches!(self.tag(place), TAG_EMPTY | TAG_LINK))
    }
}

/// What stands before the slot numbers of a bucket: its version and a copy of its tags.
#[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
#[derive(Clone, Copy)]
pub(crate) struct Front {
    version: u32,
    tags: Tags,
}

#[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
impl Front {
    #[inline(always)]
    fn load(bucket: &Bucket) -> Self {
        Self { version: bucket.version.load(Ordering::Acquire), tags: bucket.tags() }
    }

    /// Odd while the chain is being changed.
    #[inline(always)]
    pub(crate) fn version(self) -> u32 {
        self.version
    }

    #[inline(always)]
    pub(crate) fn places_of(self, tag: u8) -> impl Iterator<Item = usize> {
        self.tags.places_of(tag)
    }

    #[inline(always)]
    pub(crate) fn has_link(self) -> bool {
        self.tags.has_link()
    }
}

/// What stands before the slot numbers of a bucket, its version and tags, in one register.
#[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
#[derive(Clone, Copy)]
pub(crate) struct Front(std::arch::x86_64::__m128i);

#[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
impl Front {
    #[inline(always)]
    fn load(bucket: &Bucket) -> Self {
        let loaded;
        // SAFETY: the instruction reads the first 16 bytes of the bucket, which is borrowed and aligned to 64, into a register that
        // is declared; SSE2 is part of the architecture. The writer may be storing to these words: to the language an asm block
        // is one read that it does not look into, and for the processor a load that races with stores gives for each word a
        // value that was there; whether they belong together the version tells, which is compared again after the last load. No later
        // load is moved before this one: not by the architecture, and not by the compiler, for which the block may change any memory.
        unsafe {
            std::arch::asm!(
                "movdqa {loaded}, xmmword ptr [{bucket}]",
                bucket = in(reg) std::ptr::from_ref(bucket),
                loaded = lateout(xmm_reg) loaded,
                options(nostack, preserves_flags)
            );
        }
        fence(Ordering::Acquire);
        Self(loaded)
    }

    /// Odd while the chain is being changed.
    #[inline(always)]
    pub(crate) fn version(self) -> u32 {
        // SAFETY: on registers alone; SSE2 is part of the architecture.
        unsafe { std::arch::x86_64::_mm_cvtsi128_si32(self.0) }.cast_unsigned()
    }

    #[inline(always)]
    pub(crate) fn places_of(self, tag: u8) -> impl Iterator<Item = usize> {
        use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set1_epi8};
        // SAFETY: on registers alone; SSE2 is part of the architecture.
        let equal =
            unsafe { _mm_movemask_epi8(_mm_cmpeq_epi8(self.0, _mm_set1_epi8(tag.cast_signed()))) };
        // The first four bytes are the version.
        let mut left = equal.cast_unsigned() >> TAGS_LOW;
        std::iter::from_fn(move || {
            let place = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (place < PLACES).then_some(place)
        })
    }

    #[inline(always)]
    pub(crate) fn has_link(self) -> bool {
        // SAFETY: on registers alone; SSE2 is part of the architecture.
        unsafe { std::arch::x86_64::_mm_extract_epi16::<7>(self.0) >> 8 == i32::from(TAG_LINK) }
    }
}

impl Bucket {
    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Self {
            version: AtomicU32::new(0),
            tags_low: AtomicU32::new(0),
            tags_high: AtomicU64::new(0),
            slots: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    /// The version and the tags. Loads that follow are not moved before that of the version.
    #[inline(always)]
    pub(crate) fn front(&self) -> Front {
        Front::load(self)
    }

    /// True when nothing in the chain changed since its head had this version, as far as loads before this
    /// call have seen.
    #[inline(always)]
    pub(crate) fn is_unchanged(&self, version: u32) -> bool {
        // Pairs with the fence of `begin`: if a load before it saw a word of a later change, then the load behind it sees
        // the odd version of that change, or one that is later still.
        fence(Ordering::Acquire);
        self.version.load(Ordering::Relaxed) == version
    }

    #[inline(always)]
    pub(crate) fn tags(&self) -> Tags {
        Tags {
            low: self.tags_low.load(Ordering::Relaxed),
            high: self.tags_high.load(Ordering::Relaxed),
        }
    }

    #[inline(always)]
    pub(crate) fn slot(&self, place: usize) -> u32 {
        self.slots[place].load(Ordering::Relaxed)
    }

    /// Begins a change of the chain whose head this is. Writer only.
    #[inline]
    pub(crate) fn begin(&self) {
        let version = self.version.load(Ordering::Relaxed);
        debug_assert!(version & 1 == 0);
        self.version.store(version | 1, Ordering::Relaxed);
        fence(Ordering::Release);
    }

    /// Ends the change. Writer only.
    #[inline]
    pub(crate) fn end(&self) {
        let version = self.version.load(Ordering::Relaxed);
        debug_assert!(version & 1 == 1);
        self.version.store(version.wrapping_add(1), Ordering::Release);
    }

    /// Empties all places. Writer only, in a change, as are all that follow.
    pub(crate) fn clear(&self) {
        self.tags_low.store(0, Ordering::Relaxed);
        self.tags_high.store(0, Ordering::Relaxed);
    }

    fn set_tag(&self, place: usize, tag: u8) {
        if place < TAGS_LOW {
            let at = 8 * place;
            let word = self.tags_low.load(Ordering::Relaxed) & !(0xff << at);
            self.tags_low.store(word | u32::from(tag) << at, Ordering::Relaxed);
        } else {
            let at = 8 * (place - TAGS_LOW);
            let word = self.tags_high.load(Ordering::Relaxed) & !(0xff << at);
            self.tags_high.store(word | u64::from(tag) << at, Ordering::Relaxed);
        }
    }

    pub(crate) fn set(&self, place: usize, tag: u8, slot: u32) {
        debug_assert!(!matches!(tag, TAG_EMPTY | TAG_LINK));
        self.slots[place].store(slot, Ordering::Relaxed);
        self.set_tag(place, tag);
    }

    pub(crate) fn set_link(&self, overflow: u32) {
        self.slots[LINK_PLACE].store(overflow, Ordering::Relaxed);
        self.set_tag(LINK_PLACE, TAG_LINK);
    }

    pub(crate) fn clear_place(&self, place: usize) {
        self.set_tag(place, TAG_EMPTY);
    }

    /// A place that holds nothing.
    pub(crate) fn free_place(&self) -> Option<usize> {
        self.tags().free_place()
    }

    /// Number of the overflow bucket that continues this one.
    pub(crate) fn link(&self) -> Option<u32> {
        self.tags().has_link().then(|| self.slot(LINK_PLACE))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn matching_is_exact() {
        let mut state = 7_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..20_000 {
            // Few different bytes, so that neighbours of a match differ by one bit often.
            let high = next() & 0x0101_0181_0101_0181;
            let tags = Tags { low: next() as u32 & 0x0181_0101, high };
            for tag in [0, 1, 0x80, 0x81, 255] {
                let mut found: Vec<_> = tags.places_of(tag).collect();
                found.sort_unstable();
                let expected: Vec<_> = (0..PLACES).filter(|&p| tags.tag(p) == tag).collect();
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn a_front_says_what_the_tags_say() {
        let bucket = Bucket {
            version: AtomicU32::new(0x0505_0506),
            tags_low: AtomicU32::new(0),
            tags_high: AtomicU64::new(0),
            slots: std::array::from_fn(|_| AtomicU32::new(0)),
        };
        for seed in 0..2000_u32 {
            for place in 0..PLACES {
                let tag = [5, 6, 0x85, 254][(seed >> (2 * (place % 5))) as usize % 4];
                bucket.set(place, tag, place as u32);
            }
            if seed % 3 == 0 {
                bucket.set_link(9);
            }
            let (front, tags) = (bucket.front(), bucket.tags());
            assert_eq!(front.version(), 0x0505_0506);
            assert_eq!(front.has_link(), tags.has_link());
            for tag in [5, 6, 0x85, 254] {
                let mut expected: Vec<_> = tags.places_of(tag).collect();
                expected.sort_unstable();
                let mut found: Vec<_> = front.places_of(tag).collect();
                found.sort_unstable();
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn tags_never_mean_something_else() {
        for top in 0..=255_u64 {
            assert!(!matches!(tag_of(top << 56), TAG_EMPTY | TAG_LINK));
        }
    }
}
