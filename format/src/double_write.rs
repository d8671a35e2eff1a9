//! The double-write area: pages are written here and synced before they are written in place
//! (`torn_page_protection`, for devices that may destroy a block that was in flight at power loss).
//!
//! Block 0 is the header with the page numbers behind it (as many blocks as they need), then the page images.

use crate::block::{BLOCK_SIZE, round_up};
use crate::checksum::{Seed, StoreId};
use crate::layout::layout;
use crate::reason::Reason;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// Magic of a double-write area.
pub const DOUBLE_WRITE_MAGIC: u32 = u32::from_le_bytes(*b"SCDW");

layout! {
    /// Header of the double-write area; the page numbers (4 bytes each) follow.
    DoubleWriteHeader = 48 {
        checksum: U64 = "XXH3-64 of bytes 8 to 48 and of the page numbers; seed: store, shard",
        magic: U32 = "`SCDW`",
        version: U16 = "format version",
        reserved: U16 = "zero",
        table: U32 = "table of the pages",
        count: U32 = "pages",
        page_size: U32 = "bytes of a page",
        reserved2: U32 = "zero",
        batch: U64 = "number of the batch, counting up",
        pages_checksum: U64 = "XXH3-64 of all page images; same seed",
    }
}

/// The seed of the double-write area of one shard.
#[must_use]
pub fn double_write_seed(store: StoreId, shard: u8) -> Seed {
    Seed::store(store).narrow(DOUBLE_WRITE_MAGIC, u64::from(shard))
}

/// Bytes of header and page numbers for `count` pages, whole blocks.
#[must_use]
pub const fn index_size(count: usize) -> usize {
    round_up(DoubleWriteHeader::SIZE + 4 * count)
}

/// Encodes header and page numbers, padded to whole blocks. `images` are all pages, one behind the other.
///
/// # Panics
/// When `images` is not `pages.len()` pages long.
#[must_use]
pub fn encode_index(
    seed: Seed,
    table: u32,
    batch: u64,
    page_size: usize,
    pages: &[u32],
    images: &[u8],
) -> Vec<u8> {
    assert_eq!(images.len(), pages.len() * page_size);
    let mut out = vec![0; index_size(pages.len())];
    let header = DoubleWriteHeader {
        checksum: U64::ZERO,
        magic: U32::new(DOUBLE_WRITE_MAGIC),
        version: U16::new(crate::FORMAT_VERSION),
        reserved: U16::ZERO,
        table: U32::new(table),
        count: U32::new(pages.len() as u32),
        page_size: U32::new(page_size as u32),
        reserved2: U32::ZERO,
        batch: U64::new(batch),
        pages_checksum: U64::new(seed.checksum(images)),
    };
    out[..DoubleWriteHeader::SIZE].copy_from_slice(header.as_bytes());
    for (at, page) in out[DoubleWriteHeader::SIZE..].chunks_exact_mut(4).zip(pages) {
        at.copy_from_slice(&page.to_le_bytes());
    }
    let end = DoubleWriteHeader::SIZE + 4 * pages.len();
    let checksum = seed.checksum(&out[8..end]);
    out[..8].copy_from_slice(&checksum.to_le_bytes());
    out
}

/// What a double-write area holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubleWrite<'a> {
    /// Table of the pages.
    pub table: u32,
    /// Number of the batch.
    pub batch: u64,
    /// Bytes of a page.
    pub page_size: usize,
    /// Page numbers.
    pub pages: Vec<u32>,
    /// Page images, one behind the other.
    pub images: &'a [u8],
}

/// Reads a whole double-write area.
///
/// # Errors
/// The first reason why no complete batch stands there: after a crash that is an ordinary state.
pub fn decode(seed: Seed, bytes: &[u8]) -> Result<DoubleWrite<'_>, Reason> {
    let short =
        |expected: usize| Reason::Short { expected: expected as u64, found: bytes.len() as u64 };
    let Ok((header, rest)) = DoubleWriteHeader::read_from_prefix(bytes) else {
        return Err(short(DoubleWriteHeader::SIZE));
    };
    if header.magic.get() != DOUBLE_WRITE_MAGIC {
        return Err(Reason::Magic { expected: DOUBLE_WRITE_MAGIC, found: header.magic.get() });
    }
    let count = header.count.get() as usize;
    if count > rest.len() / 4 {
        return Err(Reason::Range {
            what: "pages",
            found: count as u64,
            max: (rest.len() / 4) as u64,
        });
    }
    let end = DoubleWriteHeader::SIZE + 4 * count;
    if seed.checksum(&bytes[8..end]) != header.checksum.get() {
        return Err(Reason::Checksum { what: "double-write header" });
    }
    if let Some(reason) = Reason::of_version(header.version.get()) {
        return Err(reason);
    }
    if header.reserved.get() != 0 || header.reserved2.get() != 0 {
        return Err(Reason::Reserved { what: "double-write header" });
    }
    let page_size = header.page_size.get() as usize;
    if page_size == 0 || !page_size.is_multiple_of(BLOCK_SIZE) {
        return Err(Reason::Mismatch {
            what: "page size",
            expected: BLOCK_SIZE as u64,
            found: page_size as u64,
        });
    }
    let from = index_size(count);
    let Some(to) = count.checked_mul(page_size).and_then(|len| len.checked_add(from)) else {
        return Err(short(usize::MAX));
    };
    if bytes.len() < to {
        return Err(short(to));
    }
    let images = &bytes[from..to];
    if seed.checksum(images) != header.pages_checksum.get() {
        return Err(Reason::Checksum { what: "double-write pages" });
    }
    let pages = rest[..4 * count]
        .chunks_exact(4)
        .map(|chunk| {
            let mut word = [0; 4];
            word.copy_from_slice(chunk);
            u32::from_le_bytes(word)
        })
        .collect();
    Ok(DoubleWrite {
        table: header.table.get(),
        batch: header.batch.get(),
        page_size,
        pages,
        images,
    })
}
