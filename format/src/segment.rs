//! A log segment: a header block that says whose it is, then flushes.

use crate::block::BLOCK_SIZE;
use crate::checksum::{Seed, StoreId};
use crate::layout::layout;
use crate::reason::Reason;
use crate::superblock::SEGMENT_SIZE_MAX;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// Magic of a segment header.
pub const SEGMENT_MAGIC: u32 = u32::from_le_bytes(*b"SCSG");
/// Offset of the first flush.
pub const SEGMENT_DATA_OFFSET: u64 = BLOCK_SIZE as u64;

layout! {
    /// First block of a segment. Durable before the first flush is written.
    SegmentHeader = 64 {
        checksum: U64 = "XXH3-64 of bytes 8 to 64; seed: magic",
        magic: U32 = "`SCSG`",
        version: U16 = "format version",
        shard: U16 = "shard",
        store: [u8; 16] = "store id",
        generation: U64 = "generation: 1 for the first segment of the shard, never used twice",
        segment_size: U64 = "bytes of the file",
        manifest_sequence: U64 = "number of the newest durable manifest record when this was written; 0 in a data file",
        reserved: [u8; 8] = "zero",
    }
}

impl SegmentHeader {
    /// The header of a segment that was made when the manifest record `manifest_sequence` was the newest.
    #[must_use]
    pub fn new(
        store: StoreId,
        shard: u8,
        generation: u64,
        segment_size: u64,
        manifest_sequence: u64,
    ) -> Self {
        let mut header = Self {
            checksum: U64::ZERO,
            magic: U32::new(SEGMENT_MAGIC),
            version: U16::new(crate::FORMAT_VERSION),
            shard: U16::new(u16::from(shard)),
            store: store.0,
            generation: U64::new(generation),
            segment_size: U64::new(segment_size),
            manifest_sequence: U64::new(manifest_sequence),
            reserved: [0; 8],
        };
        header.checksum = U64::new(seed().checksum(&header.as_bytes()[8..]));
        header
    }

    /// Reads the header at the front of `bytes`.
    ///
    /// # Errors
    /// The first reason why no segment header stands there.
    pub fn decode(bytes: &[u8]) -> Result<Self, Reason> {
        let Ok((header, _)) = Self::read_from_prefix(bytes) else {
            return Err(Reason::Short { expected: Self::SIZE as u64, found: bytes.len() as u64 });
        };
        if header.magic.get() != SEGMENT_MAGIC {
            return Err(Reason::Magic { expected: SEGMENT_MAGIC, found: header.magic.get() });
        }
        if seed().checksum(&header.as_bytes()[8..]) != header.checksum.get() {
            return Err(Reason::Checksum { what: "segment header" });
        }
        if let Some(reason) = Reason::of_version(header.version.get()) {
            return Err(reason);
        }
        if header.reserved != [0; 8] {
            return Err(Reason::Reserved { what: "segment header" });
        }
        let size = header.segment_size.get();
        if !size.is_multiple_of(BLOCK_SIZE as u64) || size <= SEGMENT_DATA_OFFSET {
            return Err(Reason::Range { what: "segment size", found: size, max: SEGMENT_SIZE_MAX });
        }
        Ok(header)
    }

    /// First reason why this is not the header of that segment.
    #[must_use]
    pub fn foreign(&self, store: StoreId, shard: u8, generation: u64) -> Option<Reason> {
        if self.store != store.0 {
            return Some(Reason::Store);
        }
        if self.shard.get() != u16::from(shard) {
            return Some(Reason::Mismatch {
                what: "shard",
                expected: u64::from(shard),
                found: u64::from(self.shard.get()),
            });
        }
        if self.generation.get() != generation {
            return Some(Reason::Mismatch {
                what: "segment generation",
                expected: generation,
                found: self.generation.get(),
            });
        }
        None
    }
}

/// Seeded by the kind alone, so that another store's segment can be told from a damaged one.
fn seed() -> Seed {
    Seed::store(StoreId([0; 16])).narrow(SEGMENT_MAGIC, 0)
}
