//! A compressed value: how long it was, then one LZ4 block. Stands in a record whose flags say so.
//!
//! The checksum of the record covers these bytes. A length is believed within what the block can hold: LZ4 makes at most 255
//! bytes of one, and no value is longer than [`VALUE_LEN_MAX`].

use crate::layout::layout;
use crate::reason::Reason;
use crate::record::VALUE_LEN_MAX;
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, IntoBytes};

/// Most bytes that one byte of an LZ4 block stands for.
pub const LZ4_RATIO_MAX: usize = 255;

layout! {
    /// What stands before the LZ4 block of a compressed value.
    CompressedHeader = 4 {
        raw_len: U32 = "bytes of the value, more than are stored",
    }
}

impl CompressedHeader {
    /// The header of a value of `raw_len` bytes.
    ///
    /// # Panics
    /// When no value is that long.
    #[must_use]
    pub fn new(raw_len: usize) -> Self {
        assert!(raw_len <= VALUE_LEN_MAX);
        Self { raw_len: (raw_len as u32).into() }
    }

    /// Puts the header to the front of `stored`.
    ///
    /// # Panics
    /// When `stored` is shorter.
    pub fn write(&self, stored: &mut [u8]) {
        stored[..Self::SIZE].copy_from_slice(self.as_bytes());
    }
}

/// Length of the value that `stored` stands for, and the LZ4 block that holds it.
///
/// # Errors
/// The first reason why `stored` is no compressed value. What the block says is not looked at.
pub fn split(stored: &[u8]) -> Result<(usize, &[u8]), Reason> {
    let Ok((header, block)) = CompressedHeader::ref_from_prefix(stored) else {
        let (expected, found) = (CompressedHeader::SIZE as u64, stored.len() as u64);
        return Err(Reason::Short { expected, found });
    };
    let raw_len = header.raw_len.get() as usize;
    let max = VALUE_LEN_MAX.min(block.len().saturating_mul(LZ4_RATIO_MAX));
    if raw_len > max {
        let (found, max) = (raw_len as u64, max as u64);
        return Err(Reason::Range { what: "length of a compressed value", found, max });
    }
    // Values that compression does not make smaller are stored as they are.
    if raw_len <= stored.len() {
        let (expected, found) = (stored.len() as u64 + 1, raw_len as u64);
        return Err(Reason::Mismatch { what: "length of a compressed value", expected, found });
    }
    Ok((raw_len, block))
}
