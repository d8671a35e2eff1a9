//! The one writer: filling the table from a slot file, before anybody reads it.

use crate::copy;
use crate::mapping::buckets_for;
use crate::memory::ARENA;
use crate::prefetch;
use crate::sync::Ordering;
use crate::writer::SlotWriter;
use slotcask_format::slot::SlotKind;
use std::sync::Arc;

/// Slots whose buckets are asked for together.
const GROUP: usize = 32;

impl SlotWriter {
    /// The memory of some pages, to read them from a file into it. It starts at a block's boundary. What is read must be
    /// verified, and then [`adopt_page`](Self::adopt_page) called for each page, before [`finish_load`](Self::finish_load).
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

    /// Replaces the checksums of a page's slots by version words.
    ///
    /// # Panics
    /// When the table has no such page.
    pub fn adopt_page(&mut self, page: u32) {
        let geometry = &self.shared.geometry;
        let words = &self.shared.memory.arena()[page as usize * geometry.page_words..];
        for slot in words[..geometry.page_words]
            .chunks_exact(geometry.slot_words)
            .take(geometry.slots_per_page as usize)
        {
            crate::slot::Slot { words: slot }.adopt();
        }
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
        let geometry = &shared.geometry;
        let slot_count = shared.slot_count();
        self.presize(buckets_for(u64::from(slot_count)));
        let mut keys = vec![0; GROUP * geometry.key_len];
        let mut group = [(0, 0); GROUP];
        let mut slot = 0;
        while slot < slot_count {
            let mut count = 0;
            while slot < slot_count && count < GROUP {
                let words = shared.slot(slot);
                if words.meta(geometry).kind == SlotKind::Live {
                    let key = &mut keys[count * geometry.key_len..][..geometry.key_len];
                    copy::load(&words.words[geometry.key_word..], copy::as_uninit(key));
                    let hash = hash_of(key);
                    words.remember(geometry, hash);
                    prefetch::line(shared.bucket_for(hash));
                    group[count] = (hash, slot);
                    count += 1;
                }
                slot += 1;
            }
            for (at, &(hash, slot)) in group[..count].iter().enumerate() {
                let key = &keys[at * geometry.key_len..][..geometry.key_len];
                match self.find(hash, key) {
                    Some((first, _)) => duplicates.push((first, slot)),
                    None => self.add_entry(hash, slot),
                }
            }
        }
    }
}
