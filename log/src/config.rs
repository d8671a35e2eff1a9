//! What a log is told when it is opened.

use slotcask_format::checksum::{Seed, StoreId};
use slotcask_format::file_name::shard_dir;
use slotcask_format::flush::{BATCH_LEN_MAX, FlushHeader};
use slotcask_format::record::record_seed;
use slotcask_format::segment::SEGMENT_DATA_OFFSET;
use std::path::{Path, PathBuf};

/// Whose log it is and where it lies.
#[derive(Debug, Clone)]
pub struct LogIdent {
    /// Store.
    pub store: StoreId,
    /// Shard.
    pub shard: u8,
    /// Directory of the shard.
    pub dir: PathBuf,
}

impl LogIdent {
    /// The ident of a shard of the store in `root`.
    #[must_use]
    pub fn new(root: &Path, store: StoreId, shard: u8) -> Self {
        Self { store, shard, dir: root.join(shard_dir(shard)) }
    }

    /// Seed of this shard's records.
    #[must_use]
    pub fn record_seed(&self) -> Seed {
        record_seed(self.store, self.shard)
    }
}

/// Sizes of a log.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Bytes of a segment; whole blocks.
    pub segment_size: u64,
    /// Most segments on disk.
    pub segment_count: u32,
    /// Bytes that one flush gathers before the next begins to gather.
    pub gather_size: usize,
    /// Bytes that may wait to be flushed before writers have to flush themselves.
    pub queue_size_max: usize,
}

impl LogConfig {
    /// The configuration for segments of this size and number.
    #[must_use]
    pub fn new(segment_size: u64, segment_count: u32) -> Self {
        let gather_size = (segment_size - SEGMENT_DATA_OFFSET).min(512 << 10) as usize;
        Self { segment_size, segment_count, gather_size, queue_size_max: 16 * gather_size }
    }

    /// Most bytes of records in one atomic batch: the format's maximum, or what a segment holds.
    #[must_use]
    pub fn batch_len_max(&self) -> usize {
        let segment = (self.segment_size - SEGMENT_DATA_OFFSET) as usize - FlushHeader::SIZE;
        segment.min(BATCH_LEN_MAX)
    }

    /// Bytes of log that ordinary writes may fill before they stop: beside the segment for the next opening, one is kept for what
    /// gives space back.
    #[must_use]
    pub fn capacity_of_writes(&self) -> u64 {
        self.segment_size * u64::from(self.segment_count.saturating_sub(2).max(1))
    }

    /// Bytes of log that may be in use before all writes stop; one segment stays free for the next opening.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.segment_size * u64::from(self.segment_count - 1)
    }
}
