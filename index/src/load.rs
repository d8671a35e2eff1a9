//! The one writer: filling the table from a slot file, before anybody reads it.

use crate::copy;
use crate::mapping::buckets_for;
use crate::memory::ARENA;
use crate::prefetch;
use crate::reader::SlotReader;
use crate::sync::Ordering;
use crate::writer::SlotWriter;
use slotcask_format::slot::SlotKind;
use std::sync::Arc;

/// Slots whose buckets are asked for together.
const GROUP: usize = 32;
/// Slots between the one whose key is read and the one that is asked for.
const AHEAD: u32 = 24;

/// Replaces the checksum that a file has in front of a slot by the first version word.
///
/// # Panics
/// When `slot` is shorter than a slot's header.
#[inline]
pub fn adopt_slot(slot: &mut [u8]) {
    slot[..8].fill(0);
}

impl SlotWriter {
    /// The memory of some pages, to read them from a file into it. It starts at a block's boundary. What is read must be
    /// verified, and then [`adopt_slot`] called for each slot, before [`finish_load`](Self::finish_load).
    ///
    /// # Panics
    /// When there are readers, or the table has not so many pages.
    pub fn load_pages(&mut self, first_page: u32, pages: u32) -> &mut [u8] {
        let shared =
            Arc::get_mut(&mut self.shared).expect("nobody reads a table that is being loaded");
        let geometry = shared.geometry;
        let page_max = geometry.pages_for(geometry.slot_max);
        let end = u64::from(first_page) + u64::from(pages);
        assert!(end <= u64::from(page_max), "{end} pages of {page_max}");
        let slots = (end * u64::from(geometry.slots_per_page)).min(u64::from(geometry.slot_max));
        let touched = &shared.counters.slots_touched;
        if slots as u32 > touched.load(Ordering::Relaxed) {
            touched.store(slots as u32, Ordering::Relaxed);
            let used = shared.arena_used();
            if shared.memory.is_advice_due(ARENA, used) {
                shared.memory.advise(ARENA);
            }
        }
        let page_size = geometry.page_words * 8;
        &mut shared.memory.arena_bytes()[first_page as usize * page_size..]
            [..pages as usize * page_size]
    }

    /// Hands out the slots that were loaded.
    ///
    /// # Panics
    /// When the table holds fewer, or fewer were loaded.
    pub fn finish_load(&mut self, slot_count: u32) {
        let counters = &self.shared.counters;
        assert!(slot_count <= counters.slots_touched.load(Ordering::Relaxed));
        counters.slot_count.store(slot_count, Ordering::Release);
    }

    /// Builds the index over all live slots. The index is empty before. Two live slots with the same key are reported as (first, second); the
    /// second is not in the index.
    ///
    /// # Panics
    /// When the index is not empty.
    pub fn index_all(&mut self, hash_of: impl Fn(&[u8]) -> u64, duplicates: &mut Vec<(u32, u32)>) {
        let shared = Arc::clone(&self.shared);
        self.presize(buckets_for(u64::from(shared.slot_count())));
        // The buckets of one group arrive while the keys of the next are hashed.
        let (mut group, mut next) = (Group::new(&shared), Group::new(&shared));
        let mut slot = 0;
        loop {
            slot = next.fill(&shared, slot, &hash_of);
            for (key, &(hash, slot)) in group.entries() {
                if let Some(first) = self.add_unless_known(hash, slot, key) {
                    duplicates.push((first, slot));
                }
            }
            if next.count == 0 {
                return;
            }
            std::mem::swap(&mut group, &mut next);
        }
    }
}

/// Live slots whose buckets are asked for together.
struct Group {
    keys: Vec<u8>,
    key_len: usize,
    /// Hash and number.
    slots: [(u64, u32); GROUP],
    count: usize,
}

impl Group {
    fn new(table: &SlotReader) -> Self {
        let key_len = table.geometry.key_len;
        Self { keys: vec![0; GROUP * key_len], key_len, slots: [(0, 0); GROUP], count: 0 }
    }

    /// Takes the next live slots from number `slot` on; returns where to go on.
    fn fill(&mut self, table: &SlotReader, mut slot: u32, hash_of: impl Fn(&[u8]) -> u64) -> u32 {
        let (geometry, slot_count) = (&table.geometry, table.slot_count());
        self.count = 0;
        while slot < slot_count && self.count < GROUP {
            if let Some(ahead) = table.slot_checked(slot.saturating_add(AHEAD)) {
                prefetch::line(&ahead.words[0]);
            }
            let words = table.slot(slot);
            if words.meta(geometry).kind == SlotKind::Live {
                let key = &mut self.keys[self.count * self.key_len..][..self.key_len];
                copy::load(&words.words[geometry.key_word..], copy::as_uninit(key));
                let hash = hash_of(key);
                words.remember(geometry, hash);
                prefetch::line(table.bucket_for(hash));
                self.slots[self.count] = (hash, slot);
                self.count += 1;
            }
            slot += 1;
        }
        slot
    }

    fn entries(&self) -> impl Iterator<Item = (&[u8], &(u64, u32))> {
        // Not by `chunks`, which refuses an empty key.
        let key = |at| &self.keys[at * self.key_len..][..self.key_len];
        self.slots[..self.count].iter().enumerate().map(move |(at, slot)| (key(at), slot))
    }
}
