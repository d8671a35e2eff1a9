//! Header of a slot file and of a page map: whose it is. Stands twice, in blocks 0 and 1; never rewritten.

use crate::block::BLOCK_SIZE;
use crate::checksum::{Seed, StoreId};
use crate::layout::layout;
use crate::reason::Reason;
use crate::schema::{FIXED_KEY_LEN_MAX, FIXED_VALUE_LEN_MAX};
use crate::slot::SlotLayout;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// Magic of a slot file.
pub const SLOT_FILE_MAGIC: u32 = u32::from_le_bytes(*b"SCSF");
/// Magic of a page map file.
pub const MAP_FILE_MAGIC: u32 = u32::from_le_bytes(*b"SCMF");
/// Offset of the first page (or map block): two header blocks come first.
pub const SLOT_FILE_DATA_OFFSET: u64 = 2 * BLOCK_SIZE as u64;

layout! {
    /// Header of a slot file or page map.
    SlotFileHeader = 64 {
        checksum: U64 = "XXH3-64 of bytes 8 to 64; seed: magic",
        magic: U32 = "`SCSF`, or `SCMF` in a page map",
        version: U16 = "format version",
        shard: U16 = "shard",
        store: [u8; 16] = "store id",
        table: U32 = "table",
        key_len: U32 = "bytes of a key",
        value_len: U32 = "bytes of a value",
        slot_size: U32 = "bytes of a slot",
        page_size: U32 = "bytes of a page",
        deadlines: U32 = "1 when slots have a deadline",
        reserved: [u8; 8] = "zero",
    }
}

impl SlotFileHeader {
    /// The header of a table's file with this magic.
    #[must_use]
    pub fn new(magic: u32, store: StoreId, shard: u8, table: u32, layout: &SlotLayout) -> Self {
        let mut header = Self {
            checksum: U64::ZERO,
            magic: U32::new(magic),
            version: U16::new(crate::FORMAT_VERSION),
            shard: U16::new(u16::from(shard)),
            store: store.0,
            table: U32::new(table),
            key_len: U32::new(layout.key_len as u32),
            value_len: U32::new(layout.value_len as u32),
            slot_size: U32::new(layout.slot_size as u32),
            page_size: U32::new(layout.page_size as u32),
            deadlines: U32::new(u32::from(layout.deadline_offset.is_some())),
            reserved: [0; 8],
        };
        header.checksum = U64::new(seed(magic).checksum(&header.as_bytes()[8..]));
        header
    }

    /// Reads a header with this magic at the front of `bytes`.
    ///
    /// # Errors
    /// The first reason why none stands there.
    pub fn decode(magic: u32, bytes: &[u8]) -> Result<Self, Reason> {
        let Ok((header, _)) = Self::read_from_prefix(bytes) else {
            return Err(Reason::Short { expected: Self::SIZE as u64, found: bytes.len() as u64 });
        };
        if header.magic.get() != magic {
            return Err(Reason::Magic { expected: magic, found: header.magic.get() });
        }
        if seed(magic).checksum(&header.as_bytes()[8..]) != header.checksum.get() {
            return Err(Reason::Checksum { what: "slot file header" });
        }
        if let Some(reason) = Reason::of_version(header.version.get()) {
            return Err(reason);
        }
        if header.reserved != [0; 8] {
            return Err(Reason::Reserved { what: "slot file header" });
        }
        if header.deadlines.get() > 1 {
            return Err(Reason::Unknown {
                what: "deadlines mark",
                found: u64::from(header.deadlines.get()),
            });
        }
        let (key_len, value_len) = (header.key_len.get(), header.value_len.get());
        let lengths = [
            ("key length", key_len, FIXED_KEY_LEN_MAX),
            ("value length", value_len, FIXED_VALUE_LEN_MAX),
        ];
        for (what, found, max) in lengths {
            if found > max {
                return Err(Reason::Range { what, found: u64::from(found), max: u64::from(max) });
            }
        }
        // Sizes follow from lengths: a reader may use either.
        let layout =
            SlotLayout::new(key_len as usize, value_len as usize, header.deadlines.get() == 1);
        let sizes = [
            ("slot size", layout.slot_size, header.slot_size.get()),
            ("page size", layout.page_size, header.page_size.get()),
        ];
        for (what, expected, found) in sizes {
            if expected as u64 != u64::from(found) {
                return Err(Reason::Mismatch {
                    what,
                    expected: expected as u64,
                    found: u64::from(found),
                });
            }
        }
        Ok(header)
    }

    /// First reason why this is not the header that `expected` is.
    #[must_use]
    pub fn foreign(&self, expected: &Self) -> Option<Reason> {
        if self.store != expected.store {
            return Some(Reason::Store);
        }
        let pairs = [
            ("shard", u32::from(expected.shard.get()), u32::from(self.shard.get())),
            ("table", expected.table.get(), self.table.get()),
            ("key length", expected.key_len.get(), self.key_len.get()),
            ("value length", expected.value_len.get(), self.value_len.get()),
            ("slot size", expected.slot_size.get(), self.slot_size.get()),
            ("page size", expected.page_size.get(), self.page_size.get()),
            ("deadlines", expected.deadlines.get(), self.deadlines.get()),
        ];
        pairs.into_iter().find(|(_, want, have)| want != have).map(|(what, want, have)| {
            Reason::Mismatch { what, expected: u64::from(want), found: u64::from(have) }
        })
    }
}

fn seed(magic: u32) -> Seed {
    Seed::store(StoreId([0; 16])).narrow(magic, 0)
}
