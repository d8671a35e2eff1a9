//! Values that were read from disk, up to a number of bytes. The policy is that of `quick_cache` (S3-FIFO).

use crate::location::Location;
use crate::record::CachedRecord;
use quick_cache::Weighter;
use quick_cache::sync::DefaultLifecycle;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Clone, Copy)]
struct Bytes;

impl Weighter<u64, CachedRecord> for Bytes {
    fn weight(&self, _: &u64, record: &CachedRecord) -> u64 {
        record.weight()
    }
}

/// Places are the engine's own numbers: no caller can have them collide, so that one multiplication is enough.
#[derive(Debug, Default, Clone, Copy)]
struct PlaceHasher(u64);

impl Hasher for PlaceHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}

type Records = quick_cache::sync::Cache<u64, CachedRecord, Bytes, BuildHasherDefault<PlaceHasher>>;

/// A bounded cache of records by their place. A place never holds another record, so nothing is ever invalidated.
pub struct Cache {
    records: Option<Records>,
    /// Something was kept: before, writes need not look.
    is_used: AtomicBool,
}

impl Cache {
    /// A cache of `capacity` bytes; none for 0.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let items = usize::try_from(capacity / 512).unwrap_or(usize::MAX).max(16);
        let make = || {
            Records::with(
                items,
                capacity,
                Bytes,
                BuildHasherDefault::default(),
                DefaultLifecycle::default(),
            )
        };
        Self { records: (capacity > 0).then(make), is_used: AtomicBool::new(false) }
    }

    /// The record at a place, if it is cached.
    #[must_use]
    #[inline]
    pub fn get(&self, at: Location) -> Option<CachedRecord> {
        self.records.as_ref()?.get(&at.bits())
    }

    /// Keeps a record for as long as there is room.
    pub fn insert(&self, at: Location, record: CachedRecord) {
        if let Some(records) = &self.records {
            records.insert(at.bits(), record);
            if !self.is_used.load(Ordering::Relaxed) {
                self.is_used.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Keeps what `record` gives for `to` if the record at `from`, which is of use no more, was kept: what was read is read again.
    #[inline]
    pub fn follow(
        &self,
        from: Location,
        to: Location,
        record: impl FnOnce(CachedRecord) -> CachedRecord,
    ) {
        if let Some(records) = &self.records
            && self.is_used.load(Ordering::Relaxed)
            && let Some((_, old)) = records.remove(&from.bits())
        {
            records.insert(to.bits(), record(old));
        }
    }

    /// Bytes in use.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.records.as_ref().map_or(0, |records| records.weight())
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}
