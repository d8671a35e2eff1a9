//! The flush that is being gathered: records appended one behind the other into an aligned buffer.

use parking_lot::RwLock;
use slotcask_format::checksum::Seed;
use slotcask_format::flush::FlushHeader;
use slotcask_format::record::Record;
use slotcask_format::round_up;
use slotcask_io::{AlignedBuf, File};
use std::sync::Arc;

/// A flush in the making. Its place in the log is decided when it begins, so that accepting a record can never fail later
/// for want of room.
#[derive(Debug)]
pub(crate) struct Gather {
    buf: AlignedBuf,
    used: usize,
    limit: usize,
    pub first_sequence: u64,
    pub count: u32,
    pub generation: u64,
    pub offset: u64,
    pub file: Arc<dyn File>,
    pub epoch: u32,
    pub flags: u16,
}

/// Where a flush goes.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub generation: u64,
    pub file: Arc<dyn File>,
    pub offset: u64,
    /// Bytes from `offset` to the end of the segment.
    pub room: usize,
}

impl Gather {
    pub(crate) fn begin(
        mut buf: AlignedBuf,
        place: &Place,
        first_sequence: u64,
        epoch: u32,
    ) -> Self {
        buf.set_len(buf.capacity());
        Self {
            limit: place.room,
            used: FlushHeader::SIZE,
            buf,
            first_sequence,
            count: 0,
            generation: place.generation,
            offset: place.offset,
            file: place.file.clone(),
            epoch,
            flags: 0,
        }
    }

    /// True when `size` more bytes fit, in the segment and in a flush of at most `cap` bytes.
    #[inline]
    pub(crate) fn fits(&self, size: usize, cap: usize) -> bool {
        let end = self.used + size;
        end <= self.limit && end <= cap && end <= self.buf.capacity()
    }

    /// True when `size` more bytes fit in the segment; the buffer is made larger if need be.
    pub(crate) fn fits_grown(&mut self, size: usize) -> bool {
        let end = self.used + size;
        if end > self.limit {
            return false;
        }
        if end > self.buf.capacity() {
            let mut larger = AlignedBuf::zeroed(end);
            larger.set_len(larger.capacity());
            larger[..self.used].copy_from_slice(&self.buf[..self.used]);
            self.buf = larger;
        }
        true
    }

    #[inline]
    pub(crate) fn append(&mut self, seed: Seed, record: &Record<'_>) {
        debug_assert_eq!(record.sequence, self.first_sequence + u64::from(self.count));
        self.used += record.encode(seed, &mut self.buf[self.used..]);
        self.count += 1;
    }

    /// Appends a record that is bytes already.
    pub(crate) fn append_encoded(&mut self, bytes: &[u8]) {
        self.buf[self.used..][..bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
        self.count += 1;
    }

    /// Where the next record will stand in the segment.
    #[inline]
    pub(crate) fn end_offset(&self) -> u64 {
        self.offset + self.used as u64
    }

    /// The bytes from `offset` in the segment, `len` of them or as many as there are; `None` when they are not in this flush.
    pub(crate) fn bytes_at(&self, generation: u64, offset: u64, len: usize) -> Option<&[u8]> {
        bytes_at(&self.buf, self.used, (self.generation, self.offset), generation, offset, len)
    }

    pub(crate) fn last_sequence(&self) -> u64 {
        self.first_sequence + u64::from(self.count) - 1
    }

    /// Bytes on disk.
    pub(crate) fn size(&self) -> usize {
        round_up(self.used)
    }

    pub(crate) fn into_buf(self) -> AlignedBuf {
        self.buf
    }

    /// The flush as it is written: its bytes can be read by others meanwhile.
    pub(crate) fn into_flight(self) -> Flight {
        Flight {
            size: self.size(),
            used: self.used,
            first_sequence: self.first_sequence,
            count: self.count,
            generation: self.generation,
            offset: self.offset,
            file: self.file,
            epoch: self.epoch,
            flags: self.flags,
            buf: RwLock::new(self.buf),
        }
    }
}

/// A flush that is being written. Its buffer is locked exclusively only while padding and header are put in.
#[derive(Debug)]
pub(crate) struct Flight {
    buf: RwLock<AlignedBuf>,
    used: usize,
    /// Bytes on disk.
    pub size: usize,
    pub first_sequence: u64,
    pub count: u32,
    pub generation: u64,
    pub offset: u64,
    pub file: Arc<dyn File>,
    pub epoch: u32,
    pub flags: u16,
}

impl Flight {
    /// Bytes of records.
    pub(crate) fn payload_len(&self) -> usize {
        self.used - FlushHeader::SIZE
    }

    pub(crate) fn last_sequence(&self) -> u64 {
        self.first_sequence + u64::from(self.count) - 1
    }

    /// Zeroes the padding and lets `seal` put the header in front of the whole flush.
    pub(crate) fn seal(&self, seal: impl FnOnce(&mut [u8])) {
        let mut buf = self.buf.write();
        buf[self.used..self.size].fill(0);
        seal(&mut buf[..self.size]);
    }

    /// Gives the bytes to `write`.
    pub(crate) fn with_bytes<T>(&self, write: impl FnOnce(&[u8]) -> T) -> T {
        write(&self.buf.read()[..self.size])
    }

    /// As [`Gather::bytes_at`], copied to `out`; false when they are not in this flush.
    pub(crate) fn copy_at(
        &self,
        generation: u64,
        offset: u64,
        len: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        let buf = self.buf.read();
        let found =
            bytes_at(&buf, self.used, (self.generation, self.offset), generation, offset, len);
        out.extend_from_slice(found.unwrap_or_default());
        found.is_some()
    }

    pub(crate) fn into_buf(self) -> AlignedBuf {
        self.buf.into_inner()
    }
}

/// The part of a flush's buffer, `used` bytes of it at `place` (generation and offset), that begins at `offset`.
pub(crate) fn bytes_at(
    buf: &[u8],
    used: usize,
    place: (u64, u64),
    generation: u64,
    offset: u64,
    len: usize,
) -> Option<&[u8]> {
    let at = usize::try_from(offset.checked_sub(place.1)?).ok()?;
    if generation != place.0 || at < FlushHeader::SIZE || at >= used {
        return None;
    }
    Some(&buf[at..used.min(at.saturating_add(len))])
}
