//! A record that was read, by itself.

use crate::compression::decompress;
use slotcask_format::Reason;
use slotcask_format::record::{FLAG_LZ4, Record, deadline_of};

/// Key and value of a put, with what belongs to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedRecord {
    table: u32,
    key_len: u32,
    sequence: u64,
    deadline_ms: u64,
    bytes: Box<[u8]>,
}

impl CachedRecord {
    /// A copy of a record, its value decompressed.
    ///
    /// # Errors
    /// When its extension is none, or its value cannot be decompressed.
    pub fn of(record: &Record<'_>) -> Result<Self, Reason> {
        let mut bytes = Vec::with_capacity(record.key.len() + record.value.len());
        bytes.extend_from_slice(record.key);
        if record.flags & FLAG_LZ4 == 0 {
            bytes.extend_from_slice(record.value);
        } else {
            decompress(record.value, &mut bytes)?;
        }
        Ok(Self {
            table: record.table,
            key_len: record.key.len() as u32,
            sequence: record.sequence,
            deadline_ms: deadline_of(record.extension)?.unwrap_or(u64::MAX),
            bytes: bytes.into(),
        })
    }

    /// Table.
    #[must_use]
    pub fn table(&self) -> u32 {
        self.table
    }

    /// Key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.bytes[..self.key_len as usize]
    }

    /// Value.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.bytes[self.key_len as usize..]
    }

    /// Sequence that wrote it.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When it vanishes, milliseconds since 1970.
    #[must_use]
    pub fn deadline_ms(&self) -> Option<u64> {
        (self.deadline_ms != u64::MAX).then_some(self.deadline_ms)
    }

    /// Bytes of memory.
    #[must_use]
    pub fn weight(&self) -> u64 {
        (size_of::<Self>() + self.bytes.len() + 48) as u64
    }
}
