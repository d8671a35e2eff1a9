//! One record of a shard log: header, extension, key, value, zero padding to 8 bytes.
//!
//! Invariants
//!  - `sequence` is never 0 and dense per shard.
//!  - a header that verifies may be believed before its body is read.
//!  - zeroed space never decodes (kind 0 is reserved).
//!  - the same bytes are appended, shipped and evacuated: nothing in a record depends on its file.

use crate::block::round_up_8;
use crate::checksum::{Seed, StoreId};
use crate::layout::layout;
use crate::reason::Reason;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// Names the record stream of a shard in checksum seeds.
pub const RECORD_MAGIC: u32 = u32::from_le_bytes(*b"SCRE");
/// Longest key of any table, in bytes.
pub const KEY_LEN_MAX: usize = 65_535;
/// Longest value of any table, in bytes.
pub const VALUE_LEN_MAX: usize = 16 << 20;
/// Longest extension, in bytes.
pub const EXTENSION_LEN_MAX: usize = 1024;
/// `slot` of a record that names no slot.
pub const SLOT_NONE: u32 = u32::MAX;

/// First record of an atomic batch.
pub const FLAG_BATCH_FIRST: u8 = 1;
/// Last record of an atomic batch.
pub const FLAG_BATCH_LAST: u8 = 2;
/// A record inside an atomic batch, neither first nor last, or either of them.
pub const FLAG_BATCH: u8 = 4;
/// The value of a put of a cask table is compressed: see [`crate::compressed`].
pub const FLAG_LZ4: u8 = 8;
const FLAGS_KNOWN: u8 = FLAG_BATCH_FIRST | FLAG_BATCH_LAST | FLAG_BATCH | FLAG_LZ4;

layout! {
    /// Header of a record.
    RecordHeader = 40 {
        checksum: U32 = "XXH3-64, low half, of bytes 4 to 40; seed: store, shard",
        body_checksum: U32 = "XXH3-64, low half, of extension, key and value; seed: store, shard, sequence",
        sequence: U64 = "position in the shard, dense, from 1",
        epoch: U32 = "epoch that appended it",
        table: U32 = "table, or 0 for records of the store",
        slot: U32 = "slot in a fixed table, or 0xffffffff",
        value_len: U32 = "bytes of value",
        key_len: U16 = "bytes of key",
        extension_len: U16 = "bytes of extension (TLV: expiry and what later versions add)",
        kind: u8 = "what it does; 0 is reserved",
        flags: u8 = "1 first of a batch, 2 last of a batch, 4 in a batch, 8 value compressed with LZ4",
        reserved: U16 = "zero",
    }
}

/// What a record does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// Stores a value.
    Put = 1,
    /// Removes a key.
    Delete = 2,
    /// Removes a range of keys: key is the start, value is [`crate::range_delete::RangeDelete`], with the end and what was removed.
    RangeDelete = 3,
    /// Removes a key whose deadline passed.
    Expire = 4,
    /// Creates a table: value is [`crate::schema::Ddl`].
    CreateTable = 5,
    /// Drops a table.
    DropTable = 6,
    /// Empties a table.
    ClearTable = 7,
    /// A table's file grew.
    Grow = 8,
    /// Resync: what stood here before is void.
    Reset = 9,
    /// Resync: these sequences hold nothing.
    Skip = 10,
}

impl RecordKind {
    /// The kind with this number.
    #[must_use]
    pub const fn from_u8(kind: u8) -> Option<Self> {
        Some(match kind {
            1 => Self::Put,
            2 => Self::Delete,
            3 => Self::RangeDelete,
            4 => Self::Expire,
            5 => Self::CreateTable,
            6 => Self::DropTable,
            7 => Self::ClearTable,
            8 => Self::Grow,
            9 => Self::Reset,
            10 => Self::Skip,
            _ => return None,
        })
    }
}

/// The seed of the records of one shard.
#[must_use]
pub fn record_seed(store: StoreId, shard: u8) -> Seed {
    Seed::store(store).narrow(RECORD_MAGIC, u64::from(shard))
}

/// What a record says, before or after it is bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Position in the shard.
    pub sequence: u64,
    /// Epoch that appended it.
    pub epoch: u32,
    /// Table, or 0.
    pub table: u32,
    /// Slot of a fixed table, or [`SLOT_NONE`].
    pub slot: u32,
    /// What it does.
    pub kind: RecordKind,
    /// Flags: place in a batch, compression.
    pub flags: u8,
    /// TLV extension; empty for most records.
    pub extension: &'a [u8],
    /// Key.
    pub key: &'a [u8],
    /// Value.
    pub value: &'a [u8],
}

/// Size of a record with these lengths, padding included.
#[must_use]
#[inline]
pub const fn record_size(extension_len: usize, key_len: usize, value_len: usize) -> usize {
    round_up_8(RecordHeader::SIZE + extension_len + key_len + value_len)
}

impl Record<'_> {
    /// Size in bytes on disk and on the wire.
    #[must_use]
    #[inline]
    pub const fn size(&self) -> usize {
        record_size(self.extension.len(), self.key.len(), self.value.len())
    }

    /// Writes the record to the front of `out`; returns its size.
    ///
    /// # Panics
    /// When `out` is shorter than [`Record::size`] or a length is over its maximum (callers check both).
    #[inline]
    pub fn encode(&self, seed: Seed, out: &mut [u8]) -> usize {
        assert!(self.sequence != 0);
        assert!(self.key.len() <= KEY_LEN_MAX && self.value.len() <= VALUE_LEN_MAX);
        assert!(self.extension.len() <= EXTENSION_LEN_MAX);
        let size = self.size();
        let (header_bytes, body) = out[..size].split_at_mut(RecordHeader::SIZE);
        let key_at = self.extension.len();
        let value_at = key_at + self.key.len();
        let body_len = value_at + self.value.len();
        body[..key_at].copy_from_slice(self.extension);
        body[key_at..value_at].copy_from_slice(self.key);
        body[value_at..body_len].copy_from_slice(self.value);
        body[body_len..].fill(0);
        let body_checksum = seed.at(self.sequence).checksum_32(&body[..body_len]);
        // The fields of the header as words: see `checksum_32_of_words`.
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let lengths = self.key.len() as u32 | (self.extension.len() as u32) << 16;
        let mut words = [
            pair(0, body_checksum),
            self.sequence,
            pair(self.epoch, self.table),
            pair(self.slot, self.value.len() as u32),
            pair(lengths, u32::from(self.kind as u8) | u32::from(self.flags) << 8),
        ];
        words[0] |= u64::from(seed.checksum_32_of_words(words));
        for (bytes, word) in header_bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        size
    }
}

/// Reads the record at the front of `bytes`; returns it and its size.
///
/// # Errors
/// The first reason why no valid record stands there.
pub fn decode(seed: Seed, bytes: &[u8]) -> Result<(Record<'_>, usize), Reason> {
    let (record, size, body_checksum) = decode_header(seed, bytes)?;
    let body_len = record.extension.len() + record.key.len() + record.value.len();
    let body = &bytes[RecordHeader::SIZE..RecordHeader::SIZE + body_len];
    if seed.at(record.sequence).checksum_32(body) != body_checksum {
        return Err(Reason::Checksum { what: "record body" });
    }
    if bytes[RecordHeader::SIZE + body_len..size].iter().any(|byte| *byte != 0) {
        return Err(Reason::Reserved { what: "record padding" });
    }
    Ok((record, size))
}

/// Like [`decode`], for bytes that a flush checksum already vouches for: bodies are not hashed again.
///
/// # Errors
/// The first reason why no valid record stands there.
pub fn decode_vouched(seed: Seed, bytes: &[u8]) -> Result<(Record<'_>, usize), Reason> {
    let (record, size, _) = decode_header(seed, bytes)?;
    Ok((record, size))
}

fn decode_header(seed: Seed, bytes: &[u8]) -> Result<(Record<'_>, usize, u32), Reason> {
    let Ok((header, rest)) = RecordHeader::ref_from_prefix(bytes) else {
        return Err(Reason::Short {
            expected: RecordHeader::SIZE as u64,
            found: bytes.len() as u64,
        });
    };
    if let Some(reason) = header.invalid(seed) {
        return Err(reason);
    }
    let key_at = usize::from(header.extension_len.get());
    let value_at = key_at + usize::from(header.key_len.get());
    let body_len = value_at + header.value_len.get() as usize;
    let size = round_up_8(RecordHeader::SIZE + body_len);
    if bytes.len() < size {
        return Err(Reason::Short { expected: size as u64, found: bytes.len() as u64 });
    }
    let Some(kind) = RecordKind::from_u8(header.kind) else {
        return Err(Reason::Unknown { what: "record kind", found: u64::from(header.kind) });
    };
    let record = Record {
        sequence: header.sequence.get(),
        epoch: header.epoch.get(),
        table: header.table.get(),
        slot: header.slot.get(),
        kind,
        flags: header.flags,
        extension: &rest[..key_at],
        key: &rest[key_at..value_at],
        value: &rest[value_at..body_len],
    };
    Ok((record, size, header.body_checksum.get()))
}

impl RecordHeader {
    /// First reason why this cannot be the header of a record of the shard with this seed.
    #[must_use]
    pub fn invalid(&self, seed: Seed) -> Option<Reason> {
        if self.kind == 0 {
            return Some(Reason::Unknown { what: "record kind", found: 0 });
        }
        if seed.checksum_32(&self.as_bytes()[4..]) != self.checksum.get() {
            return Some(Reason::Checksum { what: "record header" });
        }
        if RecordKind::from_u8(self.kind).is_none() {
            return Some(Reason::Unknown { what: "record kind", found: u64::from(self.kind) });
        }
        if self.flags & !FLAGS_KNOWN != 0 {
            return Some(Reason::Unknown { what: "record flags", found: u64::from(self.flags) });
        }
        // Values in slots are never compressed.
        let has_value = self.kind == RecordKind::Put as u8 && self.slot.get() == SLOT_NONE;
        if self.flags & FLAG_LZ4 != 0 && !has_value {
            return Some(Reason::Unknown { what: "record flags", found: u64::from(self.flags) });
        }
        if self.reserved.get() != 0 {
            return Some(Reason::Reserved { what: "record header" });
        }
        if self.sequence.get() == 0 {
            return Some(Reason::Range { what: "sequence", found: 0, max: u64::MAX });
        }
        if self.value_len.get() as usize > VALUE_LEN_MAX {
            return Some(Reason::Range {
                what: "value length",
                found: u64::from(self.value_len.get()),
                max: VALUE_LEN_MAX as u64,
            });
        }
        if usize::from(self.extension_len.get()) > EXTENSION_LEN_MAX {
            return Some(Reason::Range {
                what: "extension length",
                found: u64::from(self.extension_len.get()),
                max: EXTENSION_LEN_MAX as u64,
            });
        }
        None
    }
}

/// Tag of the extension item that holds a deadline: milliseconds since 1970, `u64`.
pub const EXTENSION_DEADLINE: u8 = 1;

/// The extension that carries a deadline.
#[must_use]
pub fn deadline_extension(deadline_ms: u64) -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes[0] = EXTENSION_DEADLINE;
    bytes[1] = 8;
    bytes[2..].copy_from_slice(&deadline_ms.to_le_bytes());
    bytes
}

/// The deadline in an extension, if it holds one. Unknown items are passed over.
///
/// # Errors
/// [`Reason`] when the items do not fill the extension exactly, or a deadline is not 8 bytes, or stands there twice.
pub fn deadline_of(extension: &[u8]) -> Result<Option<u64>, Reason> {
    let mut reader = crate::bytes::Reader::new(extension);
    let mut deadline = None;
    while reader.remaining() > 0 {
        let tag = reader.u8()?;
        let len = usize::from(reader.u8()?);
        let item = reader.raw(len)?;
        if tag == EXTENSION_DEADLINE {
            let mut item = crate::bytes::Reader::new(item);
            if deadline.replace(item.u64()?).is_some() {
                return Err(Reason::Mismatch { what: "deadline items", expected: 1, found: 2 });
            }
            item.finish()?;
        }
    }
    Ok(deadline)
}
