//! The flush that is being gathered: records appended one behind the other into an aligned buffer.

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

    pub(crate) fn last_sequence(&self) -> u64 {
        self.first_sequence + u64::from(self.count) - 1
    }

    /// Bytes on disk.
    pub(crate) fn size(&self) -> usize {
        round_up(self.used)
    }

    /// Bytes of records.
    pub(crate) fn payload_len(&self) -> usize {
        self.used - FlushHeader::SIZE
    }

    /// Zeroes the padding and gives the whole flush, for its header to be put in front.
    pub(crate) fn padded(&mut self) -> &mut [u8] {
        let size = self.size();
        self.buf[self.used..size].fill(0);
        &mut self.buf[..size]
    }

    pub(crate) fn into_buf(self) -> AlignedBuf {
        self.buf
    }
}
