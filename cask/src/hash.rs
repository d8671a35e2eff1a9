//! The hash of a key.

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Stripes of a keydir, and what the first bits of a hash choose among.
pub(crate) const STRIPES: usize = 1 << STRIPE_BITS;
const STRIPE_BITS: u32 = 10;
const _: () = assert!(STRIPES == slotcask_format::hint::HINT_STRIPES as usize);

/// 74 bits of the hash of a key: those that a keydir tells keys apart by. The seed is the store's secret, so that nobody can
/// choose keys that collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash {
    /// The highest 10 bits.
    pub stripe: u16,
    /// The lowest 64 bits.
    pub stored: u64,
}

impl KeyHash {
    /// The hash of `key`.
    #[must_use]
    #[inline]
    pub fn of(seed: u64, key: &[u8]) -> Self {
        let hash = xxh3_128_with_seed(key, seed);
        Self { stripe: (hash >> (u128::BITS - STRIPE_BITS)) as u16, stored: hash as u64 }
    }
}
