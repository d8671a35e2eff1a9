//! Linear hashing: which bucket a hash belongs to, and when one more bucket is due.
//!
//! With `n` buckets, a hash belongs to the bucket of its low bits under the mask of the next power of two, or, if there is
//! no such bucket yet, under half of that mask (W. Litwin, Linear Hashing, VLDB 1980). One more bucket takes its
//! entries from exactly one other, so growing never pauses.
//!
//! The lowest 8 bits of a hash are left out: the shard may have been chosen by them, and all keys of
//! a shard would then agree in them. The highest 8 are the tag.

/// Buckets of an empty table.
#[cfg(not(loom))]
pub(crate) const BUCKETS_MIN: u32 = 8;
/// A model has one, so that the first splits come early.
#[cfg(loom)]
pub(crate) const BUCKETS_MIN: u32 = 1;

/// Entries over buckets, times ten, above which a bucket is split. Buckets have 12 places; at 5.9 entries the index takes
/// between 10.9 and 11.3 bytes a key, overflow included, and 1.5 % of the keys lie in overflow buckets.
#[cfg(not(loom))]
const LOAD_TIMES_TEN: u64 = 59;
#[cfg(loom)]
const LOAD_TIMES_TEN: u64 = 10;

/// The bits of a hash that choose buckets.
#[inline(always)]
pub(crate) const fn place_of(hash: u64) -> u32 {
    (hash >> 8) as u32
}

/// The bucket of a hash among `bucket_count`, which is not 0.
#[inline(always)]
pub(crate) const fn bucket_of(hash: u64, bucket_count: u32) -> u32 {
    let mask = u32::MAX.unbounded_shr((bucket_count - 1).leading_zeros());
    let bucket = place_of(hash) & mask;
    if bucket >= bucket_count { bucket & (mask >> 1) } else { bucket }
}

/// A number of buckets with the mask that leads hashes to them, in one word, so that a lookup computes neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent(u64);

impl Extent {
    /// `bucket_count` is not 0.
    pub(crate) const fn new(bucket_count: u32) -> Self {
        let mask = u32::MAX.unbounded_shr((bucket_count - 1).leading_zeros());
        Self((mask as u64) << 32 | bucket_count as u64)
    }

    #[inline(always)]
    pub(crate) const fn from_word(word: u64) -> Self {
        Self(word)
    }

    #[inline(always)]
    pub(crate) const fn word(self) -> u64 {
        self.0
    }

    #[inline(always)]
    pub(crate) const fn count(self) -> u32 {
        self.0 as u32
    }

    /// As [`bucket_of`].
    #[inline(always)]
    pub(crate) const fn bucket_of(self, hash: u64) -> u32 {
        let mask = (self.0 >> 32) as u32;
        let bucket = place_of(hash) & mask;
        if bucket >= self.count() { bucket & (mask >> 1) } else { bucket }
    }
}

/// The bucket from which bucket number `bucket_count` takes its entries when it is added.
#[inline]
pub(crate) const fn parent_of(bucket_count: u32) -> u32 {
    bucket_count - (1 << bucket_count.ilog2())
}

/// True when `entries` in `bucket_count` buckets are so many that one more bucket is due.
#[inline]
pub(crate) const fn is_growth_due(entries: u64, bucket_count: u32) -> bool {
    entries * 10 > bucket_count as u64 * LOAD_TIMES_TEN
}

/// Buckets for that many entries.
pub(crate) const fn buckets_for(entries: u64) -> u32 {
    let buckets = entries * 10 / LOAD_TIMES_TEN + 1;
    if buckets < BUCKETS_MIN as u64 { BUCKETS_MIN } else { buckets as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_bucket_takes_only_from_its_parent() {
        let mut state = 1_u64;
        for count in 1..300 {
            for _ in 0..200 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let (before, after) = (bucket_of(state, count), bucket_of(state, count + 1));
                let extent = Extent::from_word(Extent::new(count).word());
                assert_eq!((extent.bucket_of(state), extent.count()), (before, count));
                assert!(before < count);
                if after != before {
                    assert_eq!((after, before), (count, parent_of(count)));
                }
            }
        }
    }

    #[test]
    fn buckets_for_entries_are_enough() {
        for entries in (0..100_000).chain([u64::from(u32::MAX)]) {
            assert!(!is_growth_due(entries, buckets_for(entries)));
        }
    }
}
