//! A record that was read, by itself.

use crate::compression::decompress;
use slotcask_format::Reason;
use slotcask_format::record::{FLAG_LZ4, Record, RecordHeader, deadline_of};
use std::fmt;
use std::sync::Arc;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Bytes of memory that a cached record takes beside its own.
const OVERHEAD: usize = 80;

/// Key and value of a put, with what belongs to them: the bytes of the record, its value decompressed, in one piece of memory. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct CachedRecord {
    image: Arc<[u8]>,
}

impl CachedRecord {
    /// A copy of a record, which was decoded from the front of `bytes`.
    ///
    /// # Errors
    /// When its extension is none, or its value cannot be decompressed.
    ///
    /// # Panics
    /// When `bytes` are shorter than the record.
    pub fn of(record: &Record<'_>, bytes: &[u8]) -> Result<Self, Reason> {
        deadline_of(record.extension)?;
        let value_at = RecordHeader::SIZE + record.extension.len() + record.key.len();
        if record.flags & FLAG_LZ4 == 0 {
            return Ok(Self { image: bytes[..value_at + record.value.len()].into() });
        }
        let mut image = bytes[..value_at].to_vec();
        decompress(record.value, &mut image)?;
        let value_len = (image.len() - value_at) as u32;
        if let Ok((header, _)) = RecordHeader::mut_from_prefix(&mut image) {
            header.value_len.set(value_len);
            header.flags &= !FLAG_LZ4;
        }
        Ok(Self { image: image.into() })
    }

    /// A record that was just written: its fields, with its value as it was given.
    #[must_use]
    pub fn of_parts(record: &Record<'_>) -> Self {
        let header = RecordHeader {
            sequence: record.sequence.into(),
            epoch: record.epoch.into(),
            table: record.table.into(),
            slot: record.slot.into(),
            value_len: (record.value.len() as u32).into(),
            key_len: (record.key.len() as u16).into(),
            extension_len: (record.extension.len() as u16).into(),
            kind: record.kind as u8,
            ..RecordHeader::new_zeroed()
        };
        let parts = [header.as_bytes(), record.extension, record.key, record.value];
        Self { image: parts.concat().into() }
    }

    #[inline]
    fn header(&self) -> &RecordHeader {
        let (header, _) =
            RecordHeader::ref_from_prefix(&self.image).expect("an image begins with a header");
        header
    }

    #[inline]
    fn key_at(&self) -> usize {
        RecordHeader::SIZE + usize::from(self.header().extension_len.get())
    }

    #[inline]
    fn value_at(&self) -> usize {
        self.key_at() + usize::from(self.header().key_len.get())
    }

    /// Table.
    #[must_use]
    #[inline]
    pub fn table(&self) -> u32 {
        self.header().table.get()
    }

    /// Key.
    #[must_use]
    #[inline]
    pub fn key(&self) -> &[u8] {
        &self.image[self.key_at()..self.value_at()]
    }

    /// Value.
    #[must_use]
    #[inline]
    pub fn value(&self) -> &[u8] {
        &self.image[self.value_at()..]
    }

    /// Sequence that wrote it.
    #[must_use]
    #[inline]
    pub fn sequence(&self) -> u64 {
        self.header().sequence.get()
    }

    /// When it vanishes, milliseconds since 1970.
    #[must_use]
    #[inline]
    pub fn deadline_ms(&self) -> Option<u64> {
        if self.header().extension_len.get() == 0 {
            return None;
        }
        deadline_of(&self.image[RecordHeader::SIZE..self.key_at()]).ok().flatten()
    }

    /// Bytes of memory.
    #[must_use]
    #[inline]
    pub fn weight(&self) -> u64 {
        (self.image.len() + OVERHEAD) as u64
    }
}

impl fmt::Debug for CachedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedRecord")
            .field("table", &self.table())
            .field("sequence", &self.sequence())
            .field("key", &self.key())
            .field("value_len", &self.value().len())
            .finish_non_exhaustive()
    }
}
