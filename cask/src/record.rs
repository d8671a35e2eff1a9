//! A record that was read, by itself.

use crate::compression::decompress;
use slotcask_format::Reason;
use slotcask_format::record::{FLAG_LZ4, Record, RecordHeader, deadline_of};
use std::fmt;
use std::sync::Arc;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Key and value of a put, with what belongs to them: the bytes of the record, its value decompressed, in one piece of memory. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct CachedRecord {
    image: Arc<[u8]>,
}

/// A [`CachedRecord`], lent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecordImage<'a>(&'a [u8]);

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

    /// A copy of one that is lent.
    #[must_use]
    pub fn of_image(image: RecordImage<'_>) -> Self {
        Self { image: image.0.into() }
    }

    /// Lends it.
    #[must_use]
    #[inline]
    pub fn image(&self) -> RecordImage<'_> {
        RecordImage(&self.image)
    }

    /// Table.
    #[must_use]
    #[inline]
    pub fn table(&self) -> u32 {
        self.image().table()
    }

    /// Key.
    #[must_use]
    #[inline]
    pub fn key(&self) -> &[u8] {
        self.image().key()
    }

    /// Value.
    #[must_use]
    #[inline]
    pub fn value(&self) -> &[u8] {
        self.image().value()
    }

    /// Sequence that wrote it.
    #[must_use]
    #[inline]
    pub fn sequence(&self) -> u64 {
        self.image().header().sequence.get()
    }

    /// When it vanishes, milliseconds since 1970.
    #[must_use]
    #[inline]
    pub fn deadline_ms(&self) -> Option<u64> {
        self.image().deadline_ms()
    }
}

impl<'a> RecordImage<'a> {
    /// The bytes of one that was written with [`RecordImage::bytes`] or [`RecordImage::write`].
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Bytes of the image of a record.
    pub(crate) fn len_of(record: &Record<'_>) -> usize {
        RecordHeader::SIZE + record.extension.len() + record.key.len() + record.value.len()
    }

    /// Writes the image of a record that was just written, its value as it was given; into exactly as many bytes.
    pub(crate) fn write(record: &Record<'_>, image: &mut [u8]) {
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
        let mut rest = image;
        for part in [header.as_bytes(), record.extension, record.key, record.value] {
            let (here, behind) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = behind;
        }
    }

    #[inline]
    fn header(self) -> &'a RecordHeader {
        let (header, _) =
            RecordHeader::ref_from_prefix(self.0).expect("an image begins with a header");
        header
    }

    #[inline]
    fn key_at(self) -> usize {
        RecordHeader::SIZE + usize::from(self.header().extension_len.get())
    }

    #[inline]
    fn value_at(self) -> usize {
        self.key_at() + usize::from(self.header().key_len.get())
    }

    /// Table.
    #[must_use]
    #[inline]
    pub fn table(self) -> u32 {
        self.header().table.get()
    }

    /// Key.
    #[must_use]
    #[inline]
    pub fn key(self) -> &'a [u8] {
        &self.0[self.key_at()..self.value_at()]
    }

    /// Value.
    #[must_use]
    #[inline]
    pub fn value(self) -> &'a [u8] {
        &self.0[self.value_at()..]
    }

    /// When it vanishes, milliseconds since 1970.
    #[must_use]
    #[inline]
    pub fn deadline_ms(self) -> Option<u64> {
        if self.header().extension_len.get() == 0 {
            return None;
        }
        deadline_of(&self.0[RecordHeader::SIZE..self.key_at()]).ok().flatten()
    }
}

impl fmt::Debug for RecordImage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        CachedRecord::of_image(*self).fmt(f)
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
