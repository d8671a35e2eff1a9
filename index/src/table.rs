//! Making a table.

use crate::error::IndexError;
use crate::geometry::Geometry;
use crate::mapping::buckets_for;
use crate::memory::{Memory, refused};
use crate::reader::SlotReader;
use crate::writer::SlotWriter;
use slotcask_format::slot::SlotLayout;
use std::sync::Arc;

/// How a table is held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableOptions {
    /// Slots it can ever hold. This much address space is reserved; memory is taken as slots are used.
    pub slot_max: u32,
    /// Ask the system for huge pages, once a table uses more than a mebibyte.
    pub huge_pages: bool,
}

/// An empty table without slots. Readers are had from [`SlotWriter::reader`].
///
/// # Errors
/// When the address space cannot be reserved.
///
/// # Panics
/// When the layout is not one that [`SlotLayout::new`] makes.
pub fn slot_table(layout: SlotLayout, options: TableOptions) -> Result<SlotWriter, IndexError> {
    let TableOptions { slot_max, huge_pages } = options;
    let bucket_max = buckets_for(u64::from(slot_max)) + 1;
    // An overflow bucket continues one that is full: 11 entries and the link.
    let overflow_max = slot_max / 11 + 2;
    let geometry = Geometry::new(&layout, slot_max, bucket_max);
    let pages = u64::from(geometry.pages_for(slot_max));
    let arena_words = pages.saturating_mul(geometry.page_words as u64);
    let memory = Memory::reserve(arena_words, bucket_max, overflow_max, huge_pages)
        .map_err(|error| refused(error, slot_max, layout.slot_size))?;
    Ok(SlotWriter::new(Arc::new(SlotReader::new(layout, geometry, memory))))
}
