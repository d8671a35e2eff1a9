//! The one writer: slots.

use crate::copy;
use crate::error::IndexError;
use crate::memory::ARENA;
use crate::prefetch;
use crate::reader::SlotReader;
use crate::slot::{Slot, SlotMeta};
use crate::sync::Ordering;
use slotcask_format::slot::SlotKind;
use std::sync::Arc;

/// Changes a table. There is one for each, and `&mut` is the exclusion: whoever shares it holds a lock around it.
///
/// Slots and index are changed by separate calls. A new key: [`write`](Self::write), then [`insert`](Self::insert). A key that goes:
/// [`remove`](Self::remove) and [`write`](Self::write), in any order. A new value: [`write`](Self::write) alone. Readers then see
/// each key either as it was or as it is.
pub struct SlotWriter {
    pub(crate) shared: Arc<SlotReader>,
    /// Overflow buckets that are in no chain.
    pub(crate) overflow_free: Vec<u32>,
    /// Overflow buckets that ever were in a chain since the index was empty.
    pub(crate) overflow_next: u32,
    /// Room for the entries of a chain that is split.
    pub(crate) split: Vec<(u8, u32)>,
    /// The number of buckets for whose next split the slots were asked for.
    pub(crate) split_prefetched: u32,
}

#[cfg(not(loom))]
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<SlotWriter>();
};

impl SlotWriter {
    pub(crate) fn new(shared: Arc<SlotReader>) -> Self {
        Self {
            shared,
            overflow_free: Vec::new(),
            overflow_next: 0,
            split: Vec::new(),
            split_prefetched: 0,
        }
    }

    /// What reads this table.
    #[must_use]
    pub fn reader(&self) -> &Arc<SlotReader> {
        &self.shared
    }

    /// Looks a key up.
    ///
    /// # Panics
    /// When `key` has not the length of the layout.
    #[inline]
    #[must_use]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<(u32, SlotMeta)> {
        self.shared.lookup_meta(hash, key, &mut [])
    }

    /// Asks for the cache line of the bucket of a hash. A hint, to be given well before [`find`](Self::find).
    #[inline]
    pub fn prefetch_find(&self, hash: u64) {
        self.shared.prefetch(hash);
    }

    /// Asks for the cache lines of the slot that probably holds the key of a hash; reads the bucket for it. A hint.
    #[inline]
    pub fn prefetch_slot(&self, hash: u64) {
        self.shared.prefetch_slot(hash);
    }

    /// The slot `slot`, which was handed out.
    #[inline]
    pub(crate) fn slot(&self, slot: u32) -> Slot<'_> {
        let slot_count = self.shared.counters.slot_count.load(Ordering::Relaxed);
        assert!(slot < slot_count, "slot {slot} of {slot_count} was not handed out");
        self.shared.slot(slot)
    }

    /// Copies the value of a slot.
    ///
    /// # Panics
    /// When the slot was not handed out, or `out` has not the length of a value.
    pub fn value_of(&self, slot: u32, out: &mut [u8]) {
        let geometry = &self.shared.geometry;
        assert_eq!(out.len(), geometry.value_len);
        copy::load(&self.slot(slot).words[geometry.value_word..], copy::as_uninit(out));
    }

    /// Copies the key of a slot.
    ///
    /// # Panics
    /// When the slot was not handed out, or `out` has not the length of a key.
    pub fn key_of(&self, slot: u32, out: &mut [u8]) {
        let geometry = &self.shared.geometry;
        assert_eq!(out.len(), geometry.key_len);
        copy::load(&self.slot(slot).words[geometry.key_word..], copy::as_uninit(out));
    }

    /// What a slot says beside key and value. A slot that never was used is free.
    ///
    /// # Panics
    /// When the slot was not handed out.
    #[must_use]
    pub fn meta(&self, slot: u32) -> SlotMeta {
        self.slot(slot).meta(&self.shared.geometry)
    }

    /// Hands out slots until there are `slot_count`; does nothing when there are. New ones are all zero.
    ///
    /// # Errors
    /// When the table was made for fewer.
    pub fn extend(&mut self, slot_count: u32) -> Result<(), IndexError> {
        let shared = &*self.shared;
        let slot_max = shared.geometry.slot_max;
        if slot_count > slot_max {
            return Err(IndexError::SlotMax { asked: slot_count, slot_max });
        }
        let counters = &shared.counters;
        let before = counters.slot_count.load(Ordering::Relaxed);
        if slot_count <= before {
            return Ok(());
        }
        let touched = counters.slots_touched.load(Ordering::Relaxed);
        // Slots of a life before `clear`, or behind the last one of a file.
        for slot in before..slot_count.min(touched) {
            shared.slot(slot).wipe(&shared.geometry);
        }
        if slot_count > touched {
            counters.slots_touched.store(slot_count, Ordering::Relaxed);
            let used = shared.arena_used();
            if shared.memory.is_advice_due(ARENA, used) {
                shared.memory.advise(ARENA);
            }
        }
        counters.slot_count.store(slot_count, Ordering::Release);
        Ok(())
    }

    /// Writes a whole slot. A tombstone has no value and a free slot neither key nor value: what is given for
    /// them is ignored, and zeros stand there.
    ///
    /// # Panics
    /// When the slot was not handed out, or a length does not fit the layout, or there is a deadline and the layout has no place for it.
    #[inline]
    pub fn write(&mut self, slot: u32, meta: SlotMeta, key: &[u8], value: &[u8]) {
        let geometry = &self.shared.geometry;
        assert!(meta.kind == SlotKind::Free || key.len() == geometry.key_len);
        assert!(meta.kind != SlotKind::Live || value.len() == geometry.value_len);
        assert!(meta.deadline_ms == 0 || geometry.deadline_word().is_some());
        self.slot(slot).write(geometry, meta, key, value);
    }

    /// Asks for the lines of a slot that is about to be written. A hint.
    #[inline]
    pub fn prefetch_write(&self, slot: u32) {
        if let Some(slot) = self.shared.slot_checked(slot) {
            prefetch::lines(slot.words);
        }
    }

    /// Copies a page as it goes to disk, with zeros where the checksums of the slots belong.
    ///
    /// # Panics
    /// When the table has no such page, or `out` is not a page long.
    pub fn copy_page(&self, page: u32, out: &mut [u8]) {
        let geometry = &self.shared.geometry;
        assert_eq!(out.len(), geometry.page_words * 8);
        let words = &self.shared.memory.arena()[page as usize * geometry.page_words..];
        copy::load(&words[..geometry.page_words], copy::as_uninit(out));
        let slot_size = geometry.slot_words * 8;
        for slot in out.chunks_exact_mut(slot_size).take(geometry.slots_per_page as usize) {
            slot[..8].fill(0);
        }
    }
}
