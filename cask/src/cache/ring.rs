//! Entries one behind the other in a part of a buffer, around and around: first in, first out.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What stands before the bytes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Header {
    pub hash: u64,
    /// Place of the record, as bits.
    pub at: u64,
    /// Bytes behind the header.
    pub len: u32,
    pub kind: u32,
}

/// Kinds of entries: a record, and nothing but the rest of the ring.
const RECORD: u32 = 0;
const FILLER: u32 = 1;

/// Where a ring of entries lies, and its ends. Sizes are multiples of 8.
#[derive(Debug, Default)]
pub(super) struct Ring {
    start: usize,
    size: usize,
    /// Bytes that ever went in and out.
    head: u64,
    tail: u64,
}

impl Header {
    pub(super) const SIZE: usize = size_of::<Self>();

    pub(super) fn new(hash: u64, at: u64, len: u32) -> Self {
        Self { hash, at, len, kind: RECORD }
    }

    /// The header at an offset.
    #[inline]
    pub(super) fn read(buf: &[u8], offset: usize) -> Self {
        let bytes = &buf[offset..offset + Self::SIZE];
        Self::read_from_bytes(bytes).expect("as many bytes as a header has")
    }

    pub(super) fn write(self, buf: &mut [u8], offset: usize) {
        buf[offset..offset + Self::SIZE].copy_from_slice(self.as_bytes());
    }

    /// Bytes of the whole entry.
    pub(super) const fn size(&self) -> usize {
        size_of_entry(self.len as usize)
    }
}

/// Bytes of an entry with so many behind its header.
pub(super) const fn size_of_entry(len: usize) -> usize {
    Header::SIZE + len.next_multiple_of(8)
}

impl Ring {
    pub(super) fn new(start: usize, size: usize) -> Self {
        Self { start, size, head: 0, tail: 0 }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Bytes in use.
    pub(super) fn used(&self) -> usize {
        (self.head - self.tail) as usize
    }

    /// Bytes that were ever in use.
    pub(super) fn touched(&self) -> usize {
        usize::try_from(self.head).unwrap_or(usize::MAX).min(self.size)
    }

    /// Bytes from `at` to the end of the ring's memory.
    fn rest(&self, at: u64) -> usize {
        self.size - (at % self.size.max(1) as u64) as usize
    }

    /// Bytes that an entry of that size takes now: with the rest of the memory, if it does not fit there.
    fn needed(&self, size: usize) -> usize {
        let rest = self.rest(self.head);
        if rest < size { rest + size } else { size }
    }

    /// True when an entry of that size can go in.
    pub(super) fn has_room(&self, size: usize) -> bool {
        self.used() + self.needed(size) <= self.size
    }

    /// Whether it holds an entry of that size, and others beside it.
    pub(super) fn can_hold(&self, size: usize) -> bool {
        size <= self.size / 2
    }

    /// Puts an entry in, for which there is room; gives its offset. Its bytes are to be written.
    pub(super) fn push(&mut self, buf: &mut [u8], header: Header) -> usize {
        debug_assert!(self.has_room(header.size()));
        let rest = self.rest(self.head);
        if rest < header.size() {
            if rest >= Header::SIZE {
                let len = (rest - Header::SIZE) as u32;
                let filler = Header { hash: 0, at: 0, len, kind: FILLER };
                filler.write(buf, self.start + self.size - rest);
            }
            self.head += rest as u64;
        }
        let offset = self.start + (self.head % self.size as u64) as usize;
        header.write(buf, offset);
        self.head += header.size() as u64;
        offset
    }

    /// Takes the oldest entry out: its offset, where it can be read until something goes in, and its header.
    pub(super) fn pop(&mut self, buf: &[u8]) -> Option<(usize, Header)> {
        while self.tail < self.head {
            let rest = self.rest(self.tail);
            if rest < Header::SIZE {
                self.tail += rest as u64;
                continue;
            }
            let offset = self.start + self.size - rest;
            let header = Header::read(buf, offset);
            self.tail += header.size() as u64;
            if header.kind != FILLER {
                return Some((offset, header));
            }
        }
        None
    }

    /// Offsets and headers of all entries.
    #[cfg(test)]
    pub(super) fn entries(&self, buf: &[u8]) -> Vec<(usize, Header)> {
        let mut copy = Self { ..*self };
        std::iter::from_fn(|| copy.pop(buf)).collect()
    }
}
