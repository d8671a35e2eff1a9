//! The place that all inputs claim to come from: that of the golden files.

use slotcask_format::Seed;
use slotcask_format::checksum::StoreId;

pub const STORE: StoreId = StoreId(*b"golden-store-id!");
pub const SHARD: u8 = 2;
pub const SHARD_COUNT: u8 = 3;
pub const TABLE: u32 = 7;
pub const GENERATION: u64 = 5;
pub const SEGMENT_SIZE: u64 = 1 << 20;
pub const FLUSH_OFFSET: u64 = 8192;
pub const MANIFEST_OFFSET: u64 = 4096;
pub const SLOT: u32 = 31;
pub const MAP_BLOCK: u32 = 3;

/// Seed of the structures that are sealed by their magic alone.
pub fn kind_seed(magic: u32) -> Seed {
    Seed::store(StoreId([0; 16])).narrow(magic, 0)
}

/// Writes the checksum of `bytes[8..]` into the first 8 bytes; leaves shorter inputs alone.
pub fn seal(seed: Seed, bytes: &mut [u8]) {
    if let Some((sum, rest)) = bytes.split_first_chunk_mut::<8>() {
        *sum = seed.checksum(rest).to_le_bytes();
    }
}

/// Like [`seal`], of the first `size` bytes; leaves shorter inputs alone.
pub fn seal_front(seed: Seed, bytes: &mut [u8], size: usize) {
    if let Some(front) = bytes.get_mut(..size) {
        seal(seed, front);
    }
}
