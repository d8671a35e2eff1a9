//! One slot of a fixed table, and how slots lie in pages.
//!
//! Invariants
//!  - a slot never straddles a page; a slot larger than a page takes whole pages.
//!  - free slots and tombstones carry a checksum like live ones; zeroed space never decodes.
//!  - in memory the same bytes stand at the same place, but the first word is the slot's version
//!    (see the `index` room): the checksum is computed when the page is copied out.

use crate::block::{BLOCK_SIZE, round_up, round_up_8};
use crate::checksum::{Seed, StoreId};
use crate::layout::layout;
use crate::reason::Reason;
use crate::schema::TableSchema;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// Names slots in checksum seeds.
pub const SLOT_MAGIC: u32 = u32::from_le_bytes(*b"SCSL");

layout! {
    /// Header of a slot. Behind it: deadline (8 bytes, tables with deadlines only), key, value, each padded with zeros to 8 bytes.
    SlotHeader = 24 {
        checksum: U64 = "XXH3-64 of the slot from byte 8; seed: store, shard, table, slot number",
        sequence: U64 = "sequence of the record that wrote it; 0 for a slot that never was used",
        epoch: U32 = "epoch of that record",
        kind: u8 = "1 free, 2 live, 3 tombstone; 0 is reserved",
        flags: u8 = "zero",
        reserved: U16 = "zero",
    }
}

/// State of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SlotKind {
    /// Holds nothing.
    Free = 1,
    /// Holds a key and a value.
    Live = 2,
    /// Remembers a deleted key.
    Tombstone = 3,
}

impl SlotKind {
    /// The kind with this number.
    #[must_use]
    pub const fn from_u8(kind: u8) -> Option<Self> {
        Some(match kind {
            1 => Self::Free,
            2 => Self::Live,
            3 => Self::Tombstone,
            _ => return None,
        })
    }
}

/// Where the parts of a slot are, and how slots lie in pages. All in bytes unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotLayout {
    /// Length of a key.
    pub key_len: usize,
    /// Length of a value.
    pub value_len: usize,
    /// Offset of the deadline, if slots have one.
    pub deadline_offset: Option<usize>,
    /// Offset of the key; a multiple of 8.
    pub key_offset: usize,
    /// Offset of the value; a multiple of 8.
    pub value_offset: usize,
    /// Size of a slot; a multiple of 8.
    pub slot_size: usize,
    /// Size of a page: the unit of writing, one block, or more for slots that are larger.
    pub page_size: usize,
    /// Slots in a page.
    pub slots_per_page: usize,
}

impl SlotLayout {
    /// The layout for keys and values of these lengths.
    #[must_use]
    pub const fn new(key_len: usize, value_len: usize, has_deadline: bool) -> Self {
        let key_offset = if has_deadline { SlotHeader::SIZE + 8 } else { SlotHeader::SIZE };
        let value_offset = key_offset + round_up_8(key_len);
        let slot_size = value_offset + round_up_8(value_len);
        let (page_size, slots_per_page) = if slot_size <= BLOCK_SIZE {
            (BLOCK_SIZE, BLOCK_SIZE / slot_size)
        } else {
            (round_up(slot_size), 1)
        };
        Self {
            key_len,
            value_len,
            deadline_offset: if has_deadline { Some(SlotHeader::SIZE) } else { None },
            key_offset,
            value_offset,
            slot_size,
            page_size,
            slots_per_page,
        }
    }

    /// The layout of a table's slots.
    #[must_use]
    pub fn of(schema: &TableSchema) -> Self {
        Self::new(schema.key_len as usize, schema.value_len as usize, schema.deadlines)
    }

    /// Page of a slot.
    #[must_use]
    #[inline]
    pub const fn page_of(&self, slot: u32) -> u32 {
        slot / self.slots_per_page as u32
    }

    /// Offset of a slot from the start of the pages.
    #[must_use]
    #[inline]
    pub const fn offset_of(&self, slot: u32) -> usize {
        let page = slot as usize / self.slots_per_page;
        let within = slot as usize % self.slots_per_page;
        page * self.page_size + within * self.slot_size
    }
}

/// The seed of the slots of one table on one shard.
#[must_use]
pub fn slot_seed(store: StoreId, shard: u8, table: u32) -> Seed {
    Seed::store(store).narrow(SLOT_MAGIC, (u64::from(shard) << 32) | u64::from(table))
}

/// Writes the checksum of the slot `number` whose bytes are `slot`. A slot that never was used becomes a free one.
#[inline]
pub fn seal_slot(seed: Seed, number: u32, slot: &mut [u8]) {
    if slot[KIND_OFFSET] == 0 {
        slot[KIND_OFFSET] = SlotKind::Free as u8;
    }
    let checksum = seed.at(u64::from(number)).checksum(&slot[8..]);
    slot[..8].copy_from_slice(&checksum.to_le_bytes());
}

const KIND_OFFSET: usize = std::mem::offset_of!(SlotHeader, kind);

/// Reads the header of the slot `number` and checks the slot against its checksum.
///
/// # Errors
/// The first reason why these bytes are not that slot.
#[inline]
pub fn decode_slot(seed: Seed, number: u32, slot: &[u8]) -> Result<(SlotHeader, SlotKind), Reason> {
    let Ok((header, _)) = SlotHeader::read_from_prefix(slot) else {
        return Err(Reason::Short { expected: SlotHeader::SIZE as u64, found: slot.len() as u64 });
    };
    if seed.at(u64::from(number)).checksum(&slot[8..]) != header.checksum.get() {
        return Err(Reason::Checksum { what: "slot" });
    }
    let Some(kind) = SlotKind::from_u8(header.kind) else {
        return Err(Reason::Unknown { what: "slot kind", found: u64::from(header.kind) });
    };
    if header.flags != 0 || header.reserved.get() != 0 {
        return Err(Reason::Reserved { what: "slot header" });
    }
    Ok((header, kind))
}

/// Encodes a whole slot into `out`, which is exactly one slot long.
///
/// # Panics
/// When a length does not fit the layout.
pub fn encode_slot(
    layout: &SlotLayout,
    seed: Seed,
    number: u32,
    slot: &SlotImage<'_>,
    out: &mut [u8],
) {
    assert_eq!(out.len(), layout.slot_size);
    assert!(slot.key.len() == layout.key_len || slot.kind == SlotKind::Free);
    // Longer ones would fit into the padding and come back cut off.
    assert!(slot.key.len() <= layout.key_len && slot.value.len() <= layout.value_len);
    out.fill(0);
    let header = SlotHeader {
        checksum: U64::ZERO,
        sequence: U64::new(slot.sequence),
        epoch: U32::new(slot.epoch),
        kind: slot.kind as u8,
        flags: 0,
        reserved: U16::ZERO,
    };
    out[..SlotHeader::SIZE].copy_from_slice(header.as_bytes());
    if let Some(at) = layout.deadline_offset {
        out[at..at + 8].copy_from_slice(&slot.deadline_ms.to_le_bytes());
    }
    out[layout.key_offset..layout.key_offset + slot.key.len()].copy_from_slice(slot.key);
    out[layout.value_offset..layout.value_offset + slot.value.len()].copy_from_slice(slot.value);
    seal_slot(seed, number, out);
}

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotImage<'a> {
    /// Sequence of the record that wrote it.
    pub sequence: u64,
    /// Epoch of that record.
    pub epoch: u32,
    /// State.
    pub kind: SlotKind,
    /// Deadline in milliseconds since 1970, or 0 for none.
    pub deadline_ms: u64,
    /// Key.
    pub key: &'a [u8],
    /// Value; empty in tombstones and free slots.
    pub value: &'a [u8],
}
