//! One checkpoint of one table: dirty pages from memory to the slot file, their checksums to the page map.
//!
//! Three rules order the steps, and the caller keeps the first with us.
//!  1. A page image is written only when the log is durable through the highest sequence in it (and through the last
//!     clear): [`Checkpoint::seal_batch`] names that sequence. Otherwise a crash would leave a slot from a future that
//!     the log never had.
//!  2. The device reads a copy, made under the shard's lock, never the memory that writers change.
//!  3. The map is written after the pages are synced, to the copies that are not committed; the manifest record that
//!     names its root commits both.

use crate::double_write::Area;
use crate::error::Result;
use crate::files::{Files, Place};
use crate::map::{PageMap, seed_of};
use crate::page_set::PageSet;
use crate::table::FixedTable;
use slotcask_format::manifest::TableCheckpoint;
use slotcask_format::mutants;
use slotcask_format::slot::{seal_slot, slot_seed};
use slotcask_format::{BLOCK_SIZE, Seed};
use slotcask_io::{AlignedBuf, Write};
use std::sync::Arc;

/// Longest single write, bytes.
const WRITE_LEN_MAX: usize = 256 << 10;

/// Longest run of clean pages that is written so that the dirty ones on its sides go out in one write. Without such runs a table
/// of which most pages are dirty takes four times as many writes, whose completions interrupt writers.
const BRIDGE_MAX: u32 = 4;

/// A checkpoint that runs. `copy_batch` needs the shard's lock, all else works without it. Give it back to the table:
/// through [`Checkpoint::finish`] and [`FixedTable::checkpoint_done`], or by [`FixedTable::checkpoint_failed`].
#[derive(Debug)]
pub struct Checkpoint {
    parts: Parts,
    place: Arc<Place>,
    files: Arc<Files>,
    area: Option<Arc<Area>>,
    slot_seed: Seed,
    map_seed: Seed,
    number: u64,
    life: u64,
    /// The table was cleared meanwhile: what is left of this checkpoint is void.
    cleared: bool,
    /// Sequence of the last clear that it knows of.
    clear_sequence: u64,
    /// Pages in use when it began.
    pages: u32,
    next: Option<u32>,
    /// Pages before this one are written even when they are clean.
    bridge_end: u32,
    /// Dirty pages, and clean ones, that were written since the last gap.
    run_dirty: u32,
    run_clean: u32,
    batch: Vec<u32>,
    batch_pages_max: usize,
    /// Pages at the front of the batch that have their checksums.
    sealed_pages: usize,
    /// Highest sequence in them.
    highest: u64,
    sealed: bool,
    done: u64,
    batches: u64,
    bytes_written: u64,
}

/// What a checkpoint borrows from its table.
#[derive(Debug, Default)]
pub struct Parts {
    dirty: PageSet,
    map: Option<PageMap>,
    buf: Option<AlignedBuf>,
    life: u64,
    /// Pages were written and not synced.
    unsynced: bool,
}

/// A checkpoint whose pages and map are durable. Commit it by a manifest record, then give it to
/// [`FixedTable::checkpoint_done`].
#[derive(Debug)]
#[must_use = "the table must have its page map back"]
pub struct Finished {
    /// What the manifest record says about the table.
    pub checkpoint: TableCheckpoint,
    /// Sequence of the last clear that the checkpoint knows of. It belongs in the same manifest record, and the log must be
    /// durable through it before that record is written: else a crash could lose the clear and keep what follows from it.
    pub clear_sequence: u64,
    /// Pages written.
    pub pages_written: u64,
    /// Bytes written to slot file and map.
    pub bytes_written: u64,
    parts: Parts,
}

impl From<Checkpoint> for Parts {
    fn from(checkpoint: Checkpoint) -> Self {
        checkpoint.parts
    }
}

impl From<Finished> for Parts {
    fn from(finished: Finished) -> Self {
        finished.parts
    }
}

impl FixedTable {
    /// Begins the checkpoint `number` (the manifest's number, growing): takes the dirty pages out. Short; under the lock.
    /// The redo of the record that commits it must start at the first sequence that is not in memory yet.
    ///
    /// # Panics
    /// When a checkpoint of this table runs already, or the table was opened for reading.
    pub fn checkpoint_begin(&mut self, number: u64) -> Checkpoint {
        let map = self.map.take().expect("one checkpoint of a table at a time");
        let files = self.files.as_ref().expect("a table opened for reading has no checkpoints");
        let dirty = std::mem::replace(&mut self.dirty, std::mem::take(&mut self.spare));
        let page_size = self.place.layout.page_size;
        let pages_max = (self.options.batch_bytes / page_size).max(1);
        let bytes = pages_max.min(dirty.len() as usize) * page_size;
        let buf = self.buf.take().filter(|buf| buf.capacity() >= bytes);
        let mut buf = buf.unwrap_or_else(|| AlignedBuf::with_capacity(bytes));
        let batch_pages_max = buf.capacity() / page_size;
        buf.set_len(batch_pages_max * page_size);
        let ident = self.place.ident;
        let pages = self.used_pages();
        Checkpoint {
            place: Arc::clone(&self.place),
            files: Arc::clone(files),
            area: self.area.clone(),
            slot_seed: slot_seed(ident.store, ident.shard, self.place.table),
            map_seed: seed_of(&self.place),
            number,
            life: self.life,
            cleared: false,
            clear_sequence: self.clear_sequence,
            pages,
            next: dirty.next(0),
            bridge_end: 0,
            run_dirty: 0,
            run_clean: 0,
            batch: Vec::with_capacity(batch_pages_max),
            batch_pages_max,
            sealed_pages: 0,
            highest: 0,
            sealed: false,
            done: 0,
            batches: 0,
            bytes_written: 0,
            parts: Parts {
                dirty,
                map: Some(map),
                buf: Some(buf),
                life: self.life,
                unsynced: self.unsynced,
            },
        }
    }

    /// Ends a checkpoint whose manifest record is durable. Under the lock.
    pub fn checkpoint_done(&mut self, finished: Finished) {
        let Finished { checkpoint, parts, .. } = finished;
        let mut map = parts.map.expect("a finished checkpoint has the map");
        map.commit(checkpoint.pages);
        if parts.life != self.life {
            map.forget_pages();
        }
        // Only a checkpoint that began after the last clear holds the present life.
        self.committed_life = parts.life;
        self.checkpoints += 1;
        self.unsynced = false;
        self.take_back(map, parts.dirty, parts.buf);
    }

    /// Ends a checkpoint (or a finished one) that will not be committed: its pages are dirty again. Under the lock.
    pub fn checkpoint_failed(&mut self, failed: impl Into<Parts>) {
        let parts = failed.into();
        let Some(mut map) = parts.map else { return };
        map.abort();
        self.unsynced = parts.unsynced;
        if parts.life == self.life {
            for page in parts.dirty.iter() {
                self.dirty.insert(page);
            }
        } else {
            map.forget_pages();
        }
        self.take_back(map, parts.dirty, parts.buf);
    }

    fn take_back(&mut self, map: PageMap, mut dirty: PageSet, buf: Option<AlignedBuf>) {
        dirty.clear();
        self.spare = dirty;
        self.map = Some(map);
        self.buf = buf;
    }
}

impl Checkpoint {
    /// Number of the checkpoint.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Pages to write in all.
    #[must_use]
    pub fn pages_total(&self) -> u64 {
        self.parts.dirty.len()
    }

    /// Pages written.
    #[must_use]
    pub fn pages_done(&self) -> u64 {
        self.done
    }

    /// True when the buffer holds no further page: seal and write the batch.
    #[must_use]
    pub fn batch_is_full(&self) -> bool {
        self.batch.len() >= self.batch_pages_max
    }

    /// Copies up to `pages_max` pages into the buffer, lowest first. Under the lock. False when none is left to copy.
    ///
    /// # Panics
    /// Between `seal_batch` and `write_batch`, or with another table than the one that began it.
    pub fn copy_batch(&mut self, table: &FixedTable, pages_max: usize) -> bool {
        assert!(!self.sealed, "a sealed batch is written before the next page is copied");
        assert!(Arc::ptr_eq(&self.place, &table.place), "the checkpoint is of another table");
        if table.life != self.life {
            self.cleared = true;
            self.clear_sequence = table.clear_sequence;
            self.batch.clear();
            self.sealed_pages = 0;
            self.next = None;
        }
        let page_size = self.place.layout.page_size;
        for _ in 0..pages_max {
            if self.batch.len() >= self.batch_pages_max {
                break;
            }
            let Some(page) = self.next else { break };
            if mutants::active("checkpoint_skips_last_page")
                && self.parts.dirty.len() > 1
                && self.parts.dirty.next(page + 1).is_none()
            {
                self.next = None;
                break;
            }
            let at = self.batch.len() * page_size;
            let buf = self.parts.buf.as_mut().expect("the buffer is here until the end");
            table.writer.copy_page(page, &mut buf[at..at + page_size]);
            self.batch.push(page);
            self.next = self.after(page);
        }
        self.next.is_some()
    }

    /// The page to write after `page`, the last of the batch: the next dirty one, or a clean one on the way to it. One write then does
    /// for what lies on both sides, which costs the device and the processor less than a write of its own.
    fn after(&mut self, page: u32) -> Option<u32> {
        self.run_dirty += u32::from(page >= self.bridge_end);
        if page + 1 < self.bridge_end {
            return Some(page + 1);
        }
        let next = self.parts.dirty.next(page + 1)?;
        let gap = next - page - 1;
        if gap > 0 {
            // A bridge has both ends in one batch, and pages so small that a write costs more than they do. Longer ones only
            // where most pages are dirty, so that little is written for nothing.
            let fits = self.place.layout.page_size == BLOCK_SIZE
                && self.batch.len() + (gap as usize) < self.batch_pages_max;
            let dense =
                gap == 1 || (gap <= BRIDGE_MAX && (self.run_clean + gap) * 2 <= self.run_dirty);
            if fits && dense {
                self.run_clean += gap;
                self.bridge_end = next;
                return Some(page + 1);
            }
            (self.run_dirty, self.run_clean) = (0, 0);
        }
        Some(next)
    }

    /// Computes the checksums of the pages that were copied since the last call. Without the lock: between two holdings of
    /// it, so that writers get in. [`Checkpoint::seal_batch`] does what is left.
    pub fn seal_copied(&mut self) {
        let layout = &self.place.layout;
        let buf = self.parts.buf.as_mut().expect("the buffer is here until the end");
        let map = self.parts.map.as_mut().expect("the map is here until the end");
        let images = buf.chunks_exact_mut(layout.page_size).skip(self.sealed_pages);
        for (page, image) in self.batch[self.sealed_pages..].iter().zip(images) {
            let first = page * layout.slots_per_page as u32;
            let slots = image.chunks_exact_mut(layout.slot_size).take(layout.slots_per_page);
            for (slot, number) in slots.zip(first..) {
                seal_slot(self.slot_seed, number, slot);
                self.highest = self.highest.max(sequence_of(slot));
            }
            map.set(*page, self.map_seed.at(u64::from(*page)).checksum(image));
        }
        self.sealed_pages = self.batch.len();
    }

    /// Ends the batch: all its pages have checksums. Returns the sequence through which the log must be durable before
    /// [`Checkpoint::write_batch`]; 0 for an empty batch. Without the lock.
    pub fn seal_batch(&mut self) -> u64 {
        if self.batch.is_empty() {
            return 0;
        }
        self.seal_copied();
        self.sealed = true;
        self.highest.max(self.clear_sequence)
    }

    /// Writes the sealed batch; returns its bytes. Without the lock, and only when the log is durable through what
    /// [`Checkpoint::seal_batch`] returned.
    ///
    /// # Errors
    /// [`crate::FixedError::Io`]; then the checkpoint has failed.
    ///
    /// # Panics
    /// When the batch is not sealed.
    pub fn write_batch(&mut self) -> Result<u64> {
        if self.batch.is_empty() {
            return Ok(0);
        }
        assert!(self.sealed, "a batch is sealed before it is written");
        let page_size = self.place.layout.page_size;
        let bytes = self.batch.len() * page_size;
        let images = &self.parts.buf.as_ref().expect("the buffer is here until the end")[..bytes];
        if let Some(area) = self.area.as_ref().filter(|_| !mutants::active("skip_double_write")) {
            // The area still protects the batch before this one until that one is durable in place.
            if self.parts.unsynced {
                self.files.slots.sync()?;
                self.parts.unsynced = false;
            }
            area.write(
                self.place.table,
                (self.number << 24) | self.batches,
                page_size,
                &self.batch,
                images,
            )?;
        }
        self.files.slots.write_many(&coalesce(&self.place, &self.batch, images))?;
        self.parts.unsynced = true;
        self.batches += 1;
        self.done += self.batch.len() as u64;
        self.bytes_written += bytes as u64;
        self.batch.clear();
        self.sealed_pages = 0;
        self.highest = 0;
        self.sealed = false;
        Ok(bytes as u64)
    }

    /// Makes pages and map durable. Without the lock, after all batches were written. On success nothing is left in
    /// `self`; on failure give it to [`FixedTable::checkpoint_failed`].
    ///
    /// # Errors
    /// [`crate::FixedError::Io`]; then the checkpoint has failed.
    ///
    /// # Panics
    /// When pages are left to copy or to write.
    pub fn finish(&mut self) -> Result<Finished> {
        assert!(self.next.is_none() && self.batch.is_empty(), "pages are left to write");
        if self.parts.unsynced && !mutants::active("checkpoint_without_page_sync") {
            self.files.slots.sync()?;
            self.parts.unsynced = false;
        }
        // When the table was cleared meanwhile, redo replays the clear; there is nothing to keep of the life before.
        let pages = if self.cleared { 0 } else { self.pages };
        let map = self.parts.map.as_mut().expect("a checkpoint finishes once");
        let written = map.write(&self.place, &*self.files.map, self.number, pages)?;
        if written > 0 {
            self.files.map.sync()?;
        }
        let checkpoint = TableCheckpoint { pages, map_root: map.root(&self.place, pages) };
        Ok(Finished {
            checkpoint,
            clear_sequence: self.clear_sequence,
            pages_written: self.done,
            bytes_written: self.bytes_written + written,
            parts: std::mem::take(&mut self.parts),
        })
    }
}

fn sequence_of(slot: &[u8]) -> u64 {
    const AT: usize = std::mem::offset_of!(slotcask_format::slot::SlotHeader, sequence);
    let mut word = [0; 8];
    word.copy_from_slice(&slot[AT..AT + 8]);
    u64::from_le_bytes(word)
}

/// Neighbouring pages become one write.
fn coalesce<'a>(place: &Place, pages: &[u32], images: &'a [u8]) -> Vec<Write<'a>> {
    let page_size = place.layout.page_size;
    let mut writes = Vec::new();
    let mut from = 0;
    for to in 1..=pages.len() {
        let goes_on = to < pages.len()
            && pages[to] == pages[to - 1] + 1
            && (to - from + 1) * page_size <= WRITE_LEN_MAX;
        if !goes_on {
            let offset = place.page_offset(pages[from]);
            writes.push(Write { offset, data: &images[from * page_size..to * page_size] });
            from = to;
        }
    }
    writes
}
