//! The scrub: pages read back while the table is in use, compared with the page map. Memory is right; a page that differs
//! is written again by the next checkpoint.

use crate::error::Result;
use crate::files::{Files, Place};
use crate::map::seed_of;
use crate::table::FixedTable;
use slotcask_io::AlignedBuf;
use std::sync::Arc;

/// What the page map says about bytes read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As the last checkpoint wrote them.
    Good,
    /// They are being replaced, or a checkpoint ran since they were read: nothing can be said.
    Unknown,
    /// Not what the last checkpoint wrote: call [`FixedTable::mark_dirty`] and count it.
    Damaged,
}

/// Reads pages of one table without the shard's lock.
#[derive(Debug, Clone)]
pub struct PageReader {
    files: Arc<Files>,
    place: Arc<Place>,
    checkpoints: u64,
    life: u64,
    /// Pages that can be read.
    pub pages: u32,
}

impl PageReader {
    /// A buffer for one page.
    #[must_use]
    pub fn buffer(&self) -> AlignedBuf {
        AlignedBuf::zeroed(self.place.layout.page_size)
    }

    /// Reads a page from the slot file into `buf`, which is one page long.
    ///
    /// # Errors
    /// [`crate::FixedError::Io`]. An error on one page says as much as a damaged page does.
    pub fn read(&self, page: u32, buf: &mut AlignedBuf) -> Result<()> {
        self.files.slots.read_at(self.place.page_offset(page), buf)?;
        Ok(())
    }
}

impl FixedTable {
    /// A reader of the pages that the last checkpoint left on the disk. `None` while a checkpoint runs, and in a table that was
    /// opened for reading. Under the lock.
    #[must_use]
    pub fn page_reader(&self) -> Option<PageReader> {
        let map = self.map.as_ref()?;
        Some(PageReader {
            files: Arc::clone(self.files.as_ref()?),
            place: Arc::clone(&self.place),
            checkpoints: self.checkpoints,
            life: self.life,
            pages: map.len().min(self.used_pages()),
        })
    }

    /// Compares bytes that `reader` read with the page map. Under the lock; about 150 ns for a page of 4 KiB.
    #[must_use]
    pub fn verify_page(&self, reader: &PageReader, page: u32, bytes: &[u8]) -> Verdict {
        let Some(map) = &self.map else { return Verdict::Unknown };
        if reader.checkpoints != self.checkpoints || reader.life != self.life {
            return Verdict::Unknown;
        }
        match map.entry(page) {
            Some(checksum) if page < self.used_pages() => {
                if seed_of(&self.place).at(u64::from(page)).checksum(bytes) == checksum {
                    Verdict::Good
                } else if self.dirty.contains(page) {
                    Verdict::Unknown
                } else {
                    Verdict::Damaged
                }
            }
            _ => Verdict::Unknown,
        }
    }
}
