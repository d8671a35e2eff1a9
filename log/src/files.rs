//! The files that records can be read from, by generation: segments of the log, and what the rooms above keep of them.

use parking_lot::RwLock;
use slotcask_io::File;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Open files by generation. Whoever reads from one holds it open; a segment that somebody reads from is not used again.
#[derive(Debug, Default)]
pub struct Files {
    by_generation: RwLock<BTreeMap<u64, Entry>>,
    /// Everything in the log before this place is on disk: generation and offset as one number.
    flushed: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    file: Arc<dyn File>,
    sequences: RangeInclusive<u64>,
}

/// Bits of a place that are the offset in units of 8 bytes: segments are at most 1 GiB.
const OFFSET_BITS: u32 = 28;

const fn place(generation: u64, offset: u64) -> u64 {
    generation << OFFSET_BITS | offset >> 3
}

impl Files {
    /// The file, if it is one of the shard's.
    #[must_use]
    pub fn get(&self, generation: u64) -> Option<Arc<dyn File>> {
        self.by_generation.read().get(&generation).map(|entry| entry.file.clone())
    }

    /// True when a record with this sequence can stand in the file: records that were there in an earlier life of the file
    /// have lower ones.
    #[must_use]
    pub fn can_hold(&self, generation: u64, sequence: u64) -> bool {
        let files = self.by_generation.read();
        files.get(&generation).is_none_or(|entry| entry.sequences.contains(&sequence))
    }

    /// Adds a file that holds records with these sequences.
    pub fn insert(&self, generation: u64, file: Arc<dyn File>, sequences: RangeInclusive<u64>) {
        self.by_generation.write().insert(generation, Entry { file, sequences });
    }

    /// The same file, read in another way from now on. What it can hold stays as it is: records that count no more, of tables that were
    /// cleared, are asked for by those who found them before.
    pub fn replace(&self, generation: u64, file: Arc<dyn File>) {
        if let Some(entry) = self.by_generation.write().get_mut(&generation) {
            entry.file = file;
        }
    }

    /// Says which sequences a file holds.
    pub(crate) fn set_sequences(&self, generation: u64, sequences: RangeInclusive<u64>) {
        if let Some(entry) = self.by_generation.write().get_mut(&generation) {
            entry.sequences = sequences;
        }
    }

    /// Takes a file out. Who reads from it goes on reading.
    pub fn remove(&self, generation: u64) -> Option<Arc<dyn File>> {
        self.by_generation.write().remove(&generation).map(|entry| entry.file)
    }

    /// The generations, ascending.
    #[must_use]
    pub fn generations(&self) -> Vec<u64> {
        self.by_generation.read().keys().copied().collect()
    }

    pub(crate) fn set_flushed(&self, generation: u64, offset: u64) {
        self.flushed.store(place(generation, offset), Ordering::Release);
    }

    pub(crate) fn is_flushed(&self, generation: u64, offset: u64) -> bool {
        place(generation, offset) < self.flushed.load(Ordering::Acquire)
    }
}
