//! Blocks of content, shared until written.

use super::rng::{Rng, mix};
use crate::retry::BLOCK;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes in a sector.
pub(super) const SECTOR: usize = 512;
/// Sectors in a block.
pub(super) const SECTORS: usize = BLOCK / SECTOR;

/// Hash of a block of zeros.
pub(super) const ZEROS: u64 = 1;

/// 4096 bytes with their hash, which is worked out when it is first asked for.
#[derive(Debug)]
pub(super) struct Block {
    bytes: [u8; BLOCK],
    /// 0 when not known.
    hash: AtomicU64,
}

impl Clone for Block {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes, hash: AtomicU64::new(self.hash.load(Ordering::Relaxed)) }
    }
}

/// A block; `None` is all zeros and costs nothing.
pub(super) type BlockRef = Option<Arc<Block>>;

impl Block {
    pub(super) const fn bytes(&self) -> &[u8; BLOCK] {
        &self.bytes
    }

    /// Hash of the bytes; [`ZEROS`] when all are zero, so that a block of zeros hashes like one that is not there.
    pub(super) fn hash(&self) -> u64 {
        let known = self.hash.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        let hash = if is_zero(&self.bytes) { ZEROS } else { hash_of(&self.bytes) };
        self.hash.store(hash, Ordering::Relaxed);
        hash
    }
}

fn hash_of(bytes: &[u8; BLOCK]) -> u64 {
    xxh3_64(bytes).max(ZEROS + 1)
}

fn is_zero(bytes: &[u8]) -> bool {
    // One comparison of memory; a loop over bytes is many times slower.
    const NOTHING: [u8; BLOCK] = [0; BLOCK];
    *bytes == NOTHING
}

/// Hash of a block.
pub(super) fn hash(block: &BlockRef) -> u64 {
    block.as_ref().map_or(ZEROS, |block| block.hash())
}

/// A block that holds a copy of `bytes`.
pub(super) fn of_bytes(bytes: &[u8]) -> BlockRef {
    assert_eq!(bytes.len(), BLOCK);
    if is_zero(bytes) {
        return None;
    }
    let mut block = Block { bytes: [0; BLOCK], hash: AtomicU64::new(0) };
    block.bytes.copy_from_slice(bytes);
    Some(Arc::new(block))
}

/// The bytes of `block` for writing; a shared block is copied first.
pub(super) fn bytes_mut(block: &mut BlockRef) -> &mut [u8; BLOCK] {
    let block =
        block.get_or_insert_with(|| Arc::new(Block { bytes: [0; BLOCK], hash: AtomicU64::new(0) }));
    let block = Arc::make_mut(block);
    *block.hash.get_mut() = 0;
    &mut block.bytes
}

/// Copies the sectors named in `mask` (bit i = sector i) from `source` to `target`.
pub(super) fn merge(target: &mut BlockRef, source: &BlockRef, mask: u8) {
    match mask {
        0 => {}
        u8::MAX => target.clone_from(source),
        _ => {
            let bytes = bytes_mut(target);
            for sector in (0..SECTORS).filter(|sector| mask & (1 << sector) != 0) {
                let range = sector * SECTOR..(sector + 1) * SECTOR;
                match source {
                    Some(source) => {
                        bytes[range.clone()].copy_from_slice(&source.bytes()[range]);
                    }
                    None => bytes[range].fill(0),
                }
            }
        }
    }
}

/// A block of garbage that depends on `seed` alone.
pub(super) fn garbage(seed: u64) -> BlockRef {
    let mut block = None;
    Rng::new(mix(seed)).fill(bytes_mut(&mut block));
    block
}
