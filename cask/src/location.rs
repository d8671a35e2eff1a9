//! The place of a record as one number.

use std::num::NonZeroU64;

/// Highest generation of a file that a keydir can point to.
pub const GENERATION_MAX: u64 = (1 << GENERATION_BITS) - 1;

const GENERATION_BITS: u32 = 29;
const OFFSET_BITS: u32 = 27;
const CODE_BITS: u32 = 8;
const _: () = assert!(GENERATION_BITS + OFFSET_BITS + CODE_BITS == u64::BITS);
/// Sizes below this, in units of 8 bytes, are their own code.
const EXACT: u64 = 32;
const EXACT_LOG: u32 = 5;

/// File, offset and size of a record. The size is rounded up, by an eighth at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location(NonZeroU64);

impl Location {
    /// The place of a record of `size` bytes at `offset`, both multiples of 8, in file `generation`; `None` when it is beyond
    /// what a keydir can point to.
    #[must_use]
    #[inline]
    pub fn new(generation: u64, offset: u64, size: usize) -> Option<Self> {
        Self::with_code(generation, offset, code_of(size)?)
    }

    /// As [`Location::new`], with the code of a size.
    #[must_use]
    #[inline]
    pub fn with_code(generation: u64, offset: u64, code: u8) -> Option<Self> {
        let fits = generation <= GENERATION_MAX
            && offset.is_multiple_of(8)
            && offset / 8 < 1 << OFFSET_BITS;
        let bits = generation << (OFFSET_BITS + CODE_BITS) | (offset / 8) << CODE_BITS;
        NonZeroU64::new(if fits { bits | u64::from(code) } else { 0 }).map(Self)
    }

    /// The place that a keydir keeps as `bits`; `None` for 0.
    #[must_use]
    #[inline]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match NonZeroU64::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// The place as a number.
    #[must_use]
    #[inline]
    pub const fn bits(self) -> u64 {
        self.0.get()
    }

    /// Generation of the file.
    #[must_use]
    #[inline]
    pub const fn generation(self) -> u64 {
        self.bits() >> (OFFSET_BITS + CODE_BITS)
    }

    /// Offset of the record, bytes.
    #[must_use]
    #[inline]
    pub const fn offset(self) -> u64 {
        ((self.bits() >> CODE_BITS) & ((1 << OFFSET_BITS) - 1)) * 8
    }

    /// Code of the size.
    #[must_use]
    #[inline]
    pub const fn code(self) -> u8 {
        self.bits() as u8
    }

    /// Bytes of the record, rounded up.
    #[must_use]
    #[inline]
    pub const fn size_max(self) -> usize {
        size_of_code(self.code())
    }
}

/// The code of the smallest size that holds `size` bytes.
#[inline]
fn code_of(size: usize) -> Option<u8> {
    let units = (size as u64).div_ceil(8);
    if units < EXACT {
        return Some(units as u8);
    }
    let exponent = units.ilog2();
    let mantissa = (units - (1 << exponent)).div_ceil(1 << (exponent - 3));
    u8::try_from(EXACT + u64::from(exponent - EXACT_LOG) * 8 + mantissa).ok()
}

const fn size_of_code(code: u8) -> usize {
    if (code as u64) < EXACT {
        return code as usize * 8;
    }
    let step = code as u32 - EXACT as u32;
    let exponent = EXACT_LOG + step / 8;
    let units = (1_u64 << exponent) + ((step % 8) as u64) * (1 << (exponent - 3));
    (units * 8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_by_an_eighth_at_most() {
        let largest = slotcask_format::record::record_size(1024, 65_535, 16 << 20);
        let mut size = 8;
        while size <= largest {
            let at = Location::new(7, 4096, size).expect("records fit");
            assert!(at.size_max() >= size && at.size_max() - size <= size / 8 + 8, "{size}");
            assert_eq!((at.generation(), at.offset()), (7, 4096));
            size += if size < 4096 { 8 } else { size / 64 / 8 * 8 };
        }
        assert!(Location::new(1, 4096, largest).expect("the largest fits").size_max() >= largest);
    }

    #[test]
    fn places_beyond_the_bits_are_refused() {
        assert!(Location::new(GENERATION_MAX, (1 << 30) - 8, 64).is_some());
        assert!(Location::new(GENERATION_MAX + 1, 4096, 64).is_none());
        assert!(Location::new(1, 1 << 30, 64).is_none());
        assert!(Location::new(1, 4100, 64).is_none());
    }
}
