//! One flush: a block-aligned, padded run of records that is written once and then synced.
//!
//! Invariants
//!  - a flush lies within one segment and is never rewritten.
//!  - `checksum` covers the header, `body_checksum` every byte after it, padding included: stale sectors
//!    of an earlier flush cannot complete a new header.
//!  - `durable_sequence` is the watermark: what was known to be durable when the flush was written.

use crate::block::{BLOCK_SIZE, round_up};
use crate::checksum::{Seed, StoreId};
use crate::layout::layout;
use crate::reason::Reason;
use crate::record::RecordHeader;
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

/// Magic of a flush header.
pub const FLUSH_MAGIC: u32 = u32::from_le_bytes(*b"SCFL");
/// Most bytes of a flush that gathers independent records.
pub const FLUSH_SIZE_MAX: usize = 4 << 20;
/// Most bytes of a flush that holds one atomic batch (or one record).
pub const BATCH_LEN_MAX: usize = 32 << 20;

/// The first flush after an opening: it repeats what was accepted above the watermark.
pub const FLUSH_RESTART: u16 = 1;
/// Holds no records: proves the flush before it.
pub const FLUSH_IDLE: u16 = 2;
/// Written by a clean close.
pub const FLUSH_CLOSE: u16 = 4;
/// Written by a merge: its records are copies, their sequences not dense.
pub const FLUSH_MERGED: u16 = 8;
const FLAGS_KNOWN: u16 = FLUSH_RESTART | FLUSH_IDLE | FLUSH_CLOSE | FLUSH_MERGED;

layout! {
    /// Header of a flush, at a block boundary.
    FlushHeader = 96 {
        checksum: U64 = "XXH3-64 of bytes 8 to 96; seed: store, shard, generation, offset",
        body_checksum: U64 = "XXH3-64 of everything behind the header up to the padded end; same seed",
        magic: U32 = "`SCFL`",
        version: U16 = "format version",
        flags: U16 = "1 restart, 2 idle, 4 close, 8 merged",
        generation: U64 = "generation of the segment",
        offset: U64 = "offset of this header in the segment, bytes",
        first_sequence: U64 = "sequence of the first record, or of the next one when there is none",
        count: U32 = "records",
        length: U32 = "bytes of records, without padding",
        epoch: U32 = "epoch of the writer",
        reserved: U32 = "zero",
        durable_sequence: U64 = "watermark: highest sequence known to be durable",
        manifest_sequence: U64 = "highest manifest record known to be durable",
        previous: U64 = "checksum of the flush header before this one",
        time_floor_ms: U64 = "time of the writer, by which values vanish: milliseconds since 1970, never going back",
    }
}

/// Seed of the flushes of one segment.
#[must_use]
pub fn flush_seed(store: StoreId, shard: u8, generation: u64) -> Seed {
    Seed::store(store).narrow(FLUSH_MAGIC, u64::from(shard)).narrow(FLUSH_MAGIC, generation)
}

impl FlushHeader {
    /// Bytes that the flush takes on disk, padding included.
    #[must_use]
    pub fn size(&self) -> usize {
        round_up(Self::SIZE + self.length.get() as usize)
    }

    /// Sequence after the last record. Stops at `u64::MAX` in a header that [`FlushHeader::invalid`] refuses.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.first_sequence.get().saturating_add(u64::from(self.count.get()))
    }

    /// Fills both checksums. `body` is everything behind the header, padding included.
    pub fn seal(&mut self, segment_seed: Seed, body: &[u8]) {
        let seed = segment_seed.at(self.offset.get());
        self.body_checksum = U64::new(seed.checksum(body));
        self.checksum = U64::new(seed.checksum(&self.as_bytes()[8..]));
    }

    /// First reason why this is not a flush header at `offset` of the segment with this seed, whose size is `segment_size`.
    #[must_use]
    pub fn invalid(
        &self,
        segment_seed: Seed,
        generation: u64,
        offset: u64,
        segment_size: u64,
    ) -> Option<Reason> {
        if self.magic.get() != FLUSH_MAGIC {
            return Some(Reason::Magic { expected: FLUSH_MAGIC, found: self.magic.get() });
        }
        if segment_seed.at(offset).checksum(&self.as_bytes()[8..]) != self.checksum.get() {
            return Some(Reason::Checksum { what: "flush header" });
        }
        if let Some(reason) = Reason::of_version(self.version.get()) {
            return Some(reason);
        }
        if self.flags.get() & !FLAGS_KNOWN != 0 {
            return Some(Reason::Unknown {
                what: "flush flags",
                found: u64::from(self.flags.get()),
            });
        }
        if self.reserved.get() != 0 {
            return Some(Reason::Reserved { what: "flush header" });
        }
        if self.generation.get() != generation {
            return Some(Reason::Mismatch {
                what: "segment generation",
                expected: generation,
                found: self.generation.get(),
            });
        }
        if self.offset.get() != offset {
            return Some(Reason::Mismatch {
                what: "flush offset",
                expected: offset,
                found: self.offset.get(),
            });
        }
        if !offset.is_multiple_of(BLOCK_SIZE as u64) {
            return Some(Reason::Range {
                what: "flush offset",
                found: offset,
                max: offset / BLOCK_SIZE as u64 * BLOCK_SIZE as u64,
            });
        }
        let end = offset.saturating_add(self.size() as u64);
        if end > segment_size {
            return Some(Reason::Range { what: "flush end", found: end, max: segment_size });
        }
        // A count may be believed only as far as its records could fit.
        let (count, length) = (self.count.get(), self.length.get());
        let count_max = length / RecordHeader::SIZE as u32;
        if count > count_max {
            return Some(Reason::Range {
                what: "flush records",
                found: u64::from(count),
                max: u64::from(count_max),
            });
        }
        if count == 0 && length != 0 {
            return Some(Reason::Mismatch {
                what: "flush length",
                expected: 0,
                found: u64::from(length),
            });
        }
        if self.first_sequence.get() == 0
            || self.first_sequence.get().checked_add(u64::from(self.count.get())).is_none()
        {
            return Some(Reason::Range {
                what: "first sequence",
                found: self.first_sequence.get(),
                max: u64::MAX,
            });
        }
        if self.durable_sequence.get() >= self.first_sequence.get() {
            return Some(Reason::Range {
                what: "watermark",
                found: self.durable_sequence.get(),
                max: self.first_sequence.get() - 1,
            });
        }
        None
    }

    /// True when `body`, everything behind the header up to the padded end, is what was written.
    #[must_use]
    pub fn body_is_valid(&self, segment_seed: Seed, body: &[u8]) -> bool {
        segment_seed.at(self.offset.get()).checksum(body) == self.body_checksum.get()
    }
}
