//! Memory in use, and memory that will be.

use crate::memory::{ARENA, BUCKETS, OVERFLOW};
use crate::reader::SlotReader;
use crate::sync::{AtomicU32, Ordering};
use crate::writer::SlotWriter;

impl SlotReader {
    pub(crate) fn arena_used(&self) -> usize {
        let slots = self.counters.slots_touched.load(Ordering::Relaxed);
        self.geometry.pages_for(slots) as usize * self.geometry.page_words * 8
    }

    fn buckets_used(&self) -> usize {
        buckets_bytes(&self.counters.buckets_touched)
    }

    fn overflow_used(&self) -> usize {
        buckets_bytes(&self.counters.overflow_touched)
    }

    pub(crate) fn advise_buckets(&self) {
        if self.memory.is_advice_due(BUCKETS, self.buckets_used()) {
            self.memory.advise(BUCKETS);
        }
    }

    pub(crate) fn advise_overflow(&self) {
        if self.memory.is_advice_due(OVERFLOW, self.overflow_used()) {
            self.memory.advise(OVERFLOW);
        }
    }

    /// Bytes of memory in use: slots that ever were handed out, in whole pages, and the index.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.arena_used() as u64 + self.index_bytes()
    }

    /// Bytes of memory that the index uses.
    #[must_use]
    pub fn index_bytes(&self) -> u64 {
        (self.buckets_used() + self.overflow_used()) as u64
    }

    /// Faults in the memory that the next slots and buckets will take, so that no writer does it under its lock. Any thread may
    /// call it, at any time. True when there was something to do.
    pub fn populate_ahead(&self) -> bool {
        let arena = self.memory.populate(ARENA, self.arena_used());
        let buckets = self.memory.populate(BUCKETS, self.buckets_used());
        let overflow = self.memory.populate(OVERFLOW, self.overflow_used());
        arena | buckets | overflow
    }
}

impl SlotWriter {
    /// Gives memory that was faulted in and never used back to the system, where no slot or bucket came into use since the last call.
    /// True when there was some. A table that grows again touches it again, in small pages at first.
    pub fn trim(&mut self) -> bool {
        // Who writes behind what is in use notes it as used first, and needs this `&mut`.
        let shared = &self.shared;
        let arena = shared.memory.trim(ARENA, shared.arena_used());
        let buckets = shared.memory.trim(BUCKETS, shared.buckets_used());
        let overflow = shared.memory.trim(OVERFLOW, shared.overflow_used());
        arena | buckets | overflow
    }
}

fn buckets_bytes(count: &AtomicU32) -> usize {
    count.load(Ordering::Relaxed) as usize * 64
}
