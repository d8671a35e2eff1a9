//! The page map: one checksum a page of the slot file, as the last checkpoint wrote it.
//!
//! A page write that was acknowledged and never happened, or went elsewhere, leaves a valid old page behind.
//! Only a witness outside the page can show that. Each map block stands at two places; a checkpoint writes
//! the place that does not hold the newest committed copy, so that a crash never destroys the witness.
//!
//! Block `i`, copy `c` (0 or 1) lies at `SLOT_FILE_DATA_OFFSET + (2 * i + c) * BLOCK_SIZE`.

use crate::block::BLOCK_SIZE;
use crate::checksum::{Seed, StoreId};
use crate::layout::layout;
use crate::reason::Reason;
use crate::slot_file::SLOT_FILE_DATA_OFFSET;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// Magic of a page map block.
pub const MAP_BLOCK_MAGIC: u32 = u32::from_le_bytes(*b"SCMB");
/// Page checksums in a map block.
pub const MAP_ENTRIES: usize = (BLOCK_SIZE - MapBlockHeader::SIZE) / 8;

layout! {
    /// Header of a page map block; 508 checksums of 8 bytes follow.
    MapBlockHeader = 32 {
        checksum: U64 = "XXH3-64 of the block from byte 8; seed: store, shard, table, block number",
        magic: U32 = "`SCMB`",
        version: U16 = "format version",
        reserved: U16 = "zero",
        checkpoint: U64 = "number of the checkpoint that wrote it",
        block: U32 = "block number",
        entries: U32 = "checksums in use",
    }
}
const _: () = assert!(MAP_ENTRIES == 508);

/// The seed of the map blocks of one table on one shard.
#[must_use]
pub fn map_seed(store: StoreId, shard: u8, table: u32) -> Seed {
    Seed::store(store).narrow(MAP_BLOCK_MAGIC, (u64::from(shard) << 32) | u64::from(table))
}

/// Offset in the map file of copy `copy` of block `block`.
#[must_use]
pub const fn map_block_offset(block: u32, copy: u32) -> u64 {
    SLOT_FILE_DATA_OFFSET + (2 * block as u64 + copy as u64) * BLOCK_SIZE as u64
}

/// Writes a map block into `out` (one block); returns its checksum.
///
/// # Panics
/// When there are more than [`MAP_ENTRIES`] checksums or `out` is not one block.
pub fn encode_map_block(
    seed: Seed,
    block: u32,
    checkpoint: u64,
    entries: &[u64],
    out: &mut [u8],
) -> u64 {
    assert!(entries.len() <= MAP_ENTRIES && out.len() == BLOCK_SIZE);
    out.fill(0);
    let header = MapBlockHeader {
        checksum: U64::ZERO,
        magic: U32::new(MAP_BLOCK_MAGIC),
        version: U16::new(crate::FORMAT_VERSION),
        reserved: U16::ZERO,
        checkpoint: U64::new(checkpoint),
        block: U32::new(block),
        entries: U32::new(entries.len() as u32),
    };
    out[..MapBlockHeader::SIZE].copy_from_slice(header.as_bytes());
    for (at, entry) in out[MapBlockHeader::SIZE..].chunks_exact_mut(8).zip(entries) {
        at.copy_from_slice(&entry.to_le_bytes());
    }
    let checksum = seed.at(u64::from(block)).checksum(&out[8..]);
    out[..8].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

/// Reads the map block `block`: its header and its checksums.
///
/// # Errors
/// The first reason why these bytes are not that block.
pub fn decode_map_block(
    seed: Seed,
    block: u32,
    bytes: &[u8],
) -> Result<(MapBlockHeader, Vec<u64>), Reason> {
    if bytes.len() != BLOCK_SIZE {
        return Err(Reason::Short { expected: BLOCK_SIZE as u64, found: bytes.len() as u64 });
    }
    let Ok((header, rest)) = MapBlockHeader::read_from_prefix(bytes) else {
        return Err(Reason::Short { expected: BLOCK_SIZE as u64, found: bytes.len() as u64 });
    };
    if header.magic.get() != MAP_BLOCK_MAGIC {
        return Err(Reason::Magic { expected: MAP_BLOCK_MAGIC, found: header.magic.get() });
    }
    if seed.at(u64::from(block)).checksum(&bytes[8..]) != header.checksum.get() {
        return Err(Reason::Checksum { what: "page map block" });
    }
    if let Some(reason) = Reason::of_version(header.version.get()) {
        return Err(reason);
    }
    if header.block.get() != block {
        return Err(Reason::Mismatch {
            what: "map block",
            expected: u64::from(block),
            found: u64::from(header.block.get()),
        });
    }
    let entries = header.entries.get() as usize;
    if entries > MAP_ENTRIES {
        return Err(Reason::Range {
            what: "map entries",
            found: entries as u64,
            max: MAP_ENTRIES as u64,
        });
    }
    if header.reserved.get() != 0 {
        return Err(Reason::Reserved { what: "page map block" });
    }
    let (used, unused) = rest.split_at(entries * 8);
    if unused.iter().any(|byte| *byte != 0) {
        return Err(Reason::Reserved { what: "page map entries" });
    }
    let checksums = used
        .chunks_exact(8)
        .map(|chunk| {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            u64::from_le_bytes(word)
        })
        .collect();
    Ok((header, checksums))
}
