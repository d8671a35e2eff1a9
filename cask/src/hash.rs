//! The hash of a key.

use slotcask_format::Reason;
use slotcask_format::range_delete::{KeyMark, RangeDelete, Removed};
use slotcask_format::record::Record;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Stripes of a keydir, and what the first bits of a hash choose among.
pub(crate) const STRIPES: usize = 1 << STRIPE_BITS;
pub(crate) const STRIPE_BITS: u32 = 10;
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

    /// What a range delete removed; `None` if that was slots of a fixed table.
    ///
    /// # Errors
    /// When its value is none of a range delete.
    pub fn removed_by<'a>(
        record: &Record<'a>,
    ) -> Result<Option<impl ExactSizeIterator<Item = Self> + use<'a>>, Reason> {
        Ok(match RangeDelete::decode(record.value)?.removed {
            Removed::Keys(marks) => Some(marks.iter().map(|mark| Self::of_mark(*mark))),
            Removed::Slots(_) => None,
        })
    }

    /// The hash that a mark names.
    #[must_use]
    pub fn of_mark(mark: KeyMark) -> Self {
        Self { stripe: mark.stripe.get(), stored: mark.stored.get() }
    }

    /// The hash as range deletes write it.
    #[must_use]
    pub fn mark(self) -> KeyMark {
        KeyMark { stripe: self.stripe.into(), stored: self.stored.into() }
    }
}
