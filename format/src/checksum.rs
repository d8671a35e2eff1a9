//! Checksums: XXH3-64 (Yann Collet), seeded with the place that the bytes belong to.

use std::fmt;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Names a store for life. Random, written at creation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(pub [u8; 16]);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreId({self})")
    }
}

/// Where some bytes belong, folded into the seed of their checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// The seed of a store.
    #[must_use]
    pub fn store(id: StoreId) -> Self {
        Self(xxh3_64(&id.0))
    }

    /// This seed narrowed to `kind` (a magic number) and a number within it.
    #[must_use]
    pub fn narrow(self, kind: u32, number: u64) -> Self {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&kind.to_le_bytes());
        bytes[4..].copy_from_slice(&number.to_le_bytes());
        Self(xxh3_64_with_seed(&bytes, self.0))
    }

    /// This seed for the item `number` of a long row (a sequence, a slot, a file offset). Cheap.
    #[must_use]
    #[inline]
    pub const fn at(self, number: u64) -> Self {
        Self(self.0 ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Checksum of `bytes` in this place.
    #[must_use]
    #[inline]
    pub fn checksum(self, bytes: &[u8]) -> u64 {
        xxh3_64_with_seed(bytes, self.0)
    }

    /// The lower 32 bits of [`Seed::checksum`].
    #[must_use]
    #[inline]
    pub fn checksum_32(self, bytes: &[u8]) -> u32 {
        self.checksum(bytes) as u32
    }
}

/// Hash that routes a key to a shard. Part of the format: it never changes.
#[must_use]
#[inline]
pub fn route_hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// Hash that routes a key by its first `bits` bits; by the whole key when `bits` is 0 or the key has no more. Bits of the last
/// byte beyond the prefix count as zero.
#[must_use]
#[inline]
pub fn route_hash_prefix(key: &[u8], bits: u32) -> u64 {
    let bits = bits as usize;
    if bits == 0 || key.len() * 8 <= bits {
        return route_hash(key);
    }
    let whole = bits / 8;
    if bits.is_multiple_of(8) {
        return route_hash(&key[..whole]);
    }
    // At most 64 bits: the option is checked.
    let mut prefix = [0; 9];
    prefix[..=whole].copy_from_slice(&key[..=whole]);
    prefix[whole] &= 0xff_u8 << (8 - bits % 8);
    route_hash(&prefix[..=whole])
}
