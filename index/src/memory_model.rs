//! The memory of a table in a loom model: the same words and buckets, from the heap and few.

use crate::bucket::Bucket;
use crate::error::IndexError;
use crate::sync::AtomicU64;

pub(crate) const ARENA: usize = 0;
pub(crate) const BUCKETS: usize = 1;
pub(crate) const OVERFLOW: usize = 2;

pub(crate) struct Memory {
    arena: Box<[AtomicU64]>,
    buckets: Box<[Bucket]>,
    overflow: Box<[Bucket]>,
}

impl Memory {
    pub(crate) fn reserve(
        arena_words: u64,
        bucket_max: u32,
        overflow_max: u32,
        _huge_pages: bool,
    ) -> Result<Self, (u64, std::io::Error)> {
        // Loom counts its atomics: a model asks for few slots, of which it needs the first ones only.
        const WORDS_MAX: u64 = 64;
        const BUCKETS_MAX: u32 = 3;
        Ok(Self {
            arena: (0..arena_words.min(WORDS_MAX)).map(|_| AtomicU64::new(0)).collect(),
            buckets: (0..bucket_max.min(BUCKETS_MAX)).map(|_| Bucket::new()).collect(),
            overflow: (0..overflow_max.min(1)).map(|_| Bucket::new()).collect(),
        })
    }

    pub(crate) fn arena(&self) -> &[AtomicU64] {
        &self.arena
    }

    pub(crate) fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    pub(crate) fn overflow(&self) -> &[Bucket] {
        &self.overflow
    }

    pub(crate) fn arena_bytes(&mut self) -> &mut [u8] {
        unreachable!("models load no files")
    }

    pub(crate) fn is_advice_due(&self, _region: usize, _used: usize) -> bool {
        false
    }

    pub(crate) fn advise(&self, _region: usize) {}

    pub(crate) fn populate(&self, _region: usize, _used: usize) -> bool {
        false
    }

    pub(crate) fn trim(&self, _region: usize, _used: usize) -> bool {
        false
    }
}

pub(crate) fn refused(
    (bytes, source): (u64, std::io::Error),
    slot_max: u32,
    slot_size: usize,
) -> IndexError {
    IndexError::Memory { bytes, slot_max, slot_size, source }
}
