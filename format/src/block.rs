//! The unit of every read and write.

/// Size and alignment, in bytes, of every read and write that the engine issues.
pub const BLOCK_SIZE: usize = 4096;

/// The unit, in bytes, that a device is assumed to write whole or not at all (see `docs/MEDIA.md`).
pub const SECTOR_SIZE: usize = 512;

/// `len` rounded up to whole blocks.
#[must_use]
pub const fn round_up(len: usize) -> usize {
    len.div_ceil(BLOCK_SIZE) * BLOCK_SIZE
}

/// `len` rounded up to a multiple of 8, the alignment of records and of slot fields.
#[must_use]
pub const fn round_up_8(len: usize) -> usize {
    len.div_ceil(8) * 8
}
