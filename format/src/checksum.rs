//! Checksums: XXH3-64 (Yann Collet), seeded with the place that the bytes belong to.

use std::fmt;
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed};

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

    /// [`Seed::checksum`] of bytes that stand in several places, one after the other.
    #[must_use]
    pub fn checksum_of_parts<'a>(self, parts: impl Iterator<Item = &'a [u8]>) -> u64 {
        let mut hash = Xxh3::with_seed(self.0);
        parts.for_each(|part| hash.update(part));
        hash.digest()
    }

    /// The lower 32 bits of [`Seed::checksum`].
    #[must_use]
    #[inline]
    pub fn checksum_32(self, bytes: &[u8]) -> u32 {
        self.checksum(bytes) as u32
    }

    /// [`Seed::checksum_32`] of the last 36 of the 40 bytes that `words` are in little endian, from registers. A hash of bytes that
    /// were just stored field by field waits until those stores have left for the cache, because its loads span several of them; that
    /// was an eighth of a put.
    #[must_use]
    #[inline]
    pub fn checksum_32_of_words(self, words: [u64; 5]) -> u32 {
        // XXH3-64 of 33 to 64 bytes, with the first eight words of its secret.
        const SECRET: [u64; 8] = [
            0xbe4b_a423_396c_feb8,
            0x1cad_21f7_2c81_017c,
            0xdb97_9083_e96d_d4de,
            0x1f67_b3b7_a4a4_4072,
            0x78e5_c0cc_4ee6_79cb,
            0x2172_ffcc_7dd0_5a82,
            0x8e24_43f7_7446_08b8,
            0x4c26_3a81_e690_35e0,
        ];
        let straddling = |at: usize| words[at] >> 32 | words[at + 1] << 32;
        let mix = |low: u64, high: u64, secret: usize| {
            let low = low ^ SECRET[secret].wrapping_add(self.0);
            let high = high ^ SECRET[secret + 1].wrapping_sub(self.0);
            let product = u128::from(low) * u128::from(high);
            product as u64 ^ (product >> 64) as u64
        };
        let mut hash = 36_u64.wrapping_mul(0x9e37_79b1_85eb_ca87);
        hash = hash.wrapping_add(mix(straddling(2), straddling(3), 4));
        hash = hash.wrapping_add(mix(words[1], words[2], 6));
        hash = hash.wrapping_add(mix(straddling(0), straddling(1), 0));
        hash = hash.wrapping_add(mix(words[3], words[4], 2));
        hash ^= hash >> 37;
        hash = hash.wrapping_mul(0x1656_6791_9e37_79f9);
        (hash ^ hash >> 32) as u32
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_the_checksum_of_their_bytes() {
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state ^ state >> 29
        };
        for round in 0..2000 {
            let words: [u64; 5] = std::array::from_fn(|_| if round % 7 == 0 { 0 } else { next() });
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let seed = Seed(if round % 5 == 0 { 0 } else { next() });
            assert_eq!(seed.checksum_32_of_words(words), seed.checksum_32(&bytes[4..]));
        }
    }
}
