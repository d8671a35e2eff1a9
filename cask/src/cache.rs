//! Values that were read from disk, up to a number of bytes. The policy is that of `quick_cache` (S3-FIFO).

use crate::location::Location;
use crate::record::CachedRecord;
use quick_cache::Weighter;
use std::fmt;
use std::sync::Arc;

#[derive(Debug, Clone, Copy)]
struct Bytes;

impl Weighter<u64, Arc<CachedRecord>> for Bytes {
    fn weight(&self, _: &u64, record: &Arc<CachedRecord>) -> u64 {
        record.weight()
    }
}

/// A bounded cache of records by their place. A place never holds another record, so nothing is ever invalidated.
pub struct Cache {
    records: Option<quick_cache::sync::Cache<u64, Arc<CachedRecord>, Bytes>>,
}

impl Cache {
    /// A cache of `capacity` bytes; none for 0.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let items = usize::try_from(capacity / 512).unwrap_or(usize::MAX).max(16);
        let make = || quick_cache::sync::Cache::with_weighter(items, capacity, Bytes);
        Self { records: (capacity > 0).then(make) }
    }

    /// The record at a place, if it is cached.
    #[must_use]
    #[inline]
    pub fn get(&self, at: Location) -> Option<Arc<CachedRecord>> {
        self.records.as_ref()?.get(&at.bits())
    }

    /// Keeps a record for as long as there is room.
    pub fn insert(&self, at: Location, record: Arc<CachedRecord>) {
        if let Some(records) = &self.records {
            records.insert(at.bits(), record);
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
