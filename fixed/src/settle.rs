//! The end of loading: what redo did not explain is corruption; then the index and the allocator.

use crate::error::{Corruption, FixedError, Result};
use crate::files::Place;
use crate::loading::{LoadReport, Loading};
use crate::page_set::PageSet;
use crate::recovery::{PageDecision, SlotCase, SlotDecision, decide_page, decide_slot};
use crate::table::{FixedTable, order};
use slotcask_format::slot::SlotKind;
use slotcask_ordered::{Order, compare};
use std::collections::VecDeque;
use std::sync::Arc;

/// Findings that are told one by one.
const FINDINGS_MAX: usize = 1000;

impl Loading {
    /// Judges what was loaded, builds index and allocator. `log_end` is the last sequence of the log; `valid` says whether a
    /// slot of that epoch and sequence is part of the history, and must be so for all lower sequences of an epoch when it is
    /// for a higher one; `hash` is the hash that callers pass to the table.
    ///
    /// # Errors
    /// [`FixedError::Corrupt`], the first finding; [`FixedError::Io`] when room for what was redone cannot be reserved.
    pub fn finish(
        self,
        log_end: u64,
        valid: &dyn Fn(u32, u64) -> bool,
        hash: impl Fn(&[u8]) -> u64,
    ) -> Result<(FixedTable, LoadReport)> {
        let (env, writable) = (self.env.clone(), self.writable);
        let (mut table, report) = self.finish_reading(log_end, valid, hash)?;
        if writable {
            table.begin_writing(&env)?;
        }
        Ok((table, report))
    }

    /// As [`Loading::finish`], but writes nothing: [`FixedTable::begin_writing`] comes before anything else is done with the
    /// table, once it is clear that the whole store can be taken.
    ///
    /// # Errors
    /// As [`Loading::finish`].
    pub fn finish_reading(
        mut self,
        log_end: u64,
        valid: &dyn Fn(u32, u64) -> bool,
        hash: impl Fn(&[u8]) -> u64,
    ) -> Result<(FixedTable, LoadReport)> {
        self.settle(log_end, valid, hash);
        match self.findings.first() {
            Some(first) => Err(FixedError::Corrupt(first.clone())),
            None => self.into_table(),
        }
    }

    /// Like [`Loading::finish`], but gives all findings (the first thousand of them) and no table.
    #[must_use]
    pub fn check(
        mut self,
        log_end: u64,
        valid: &dyn Fn(u32, u64) -> bool,
        hash: impl Fn(&[u8]) -> u64,
    ) -> (Vec<Corruption>, LoadReport) {
        self.settle(log_end, valid, hash);
        (self.findings, self.report)
    }

    fn settle(
        &mut self,
        log_end: u64,
        valid: &dyn Fn(u32, u64) -> bool,
        hash: impl Fn(&[u8]) -> u64,
    ) {
        self.judge_bad_slots();
        self.judge_suspects();
        let outside =
            |(epoch, highest): &(u32, u64)| *highest > log_end || !valid(*epoch, *highest);
        if self.seen.epochs.iter().any(outside) {
            self.judge_sequences(log_end, valid);
        }
        let mut duplicates = Vec::new();
        self.writer.index_all(hash, &mut duplicates);
        for (first, second) in duplicates {
            let reason = format!("slot {first} holds the same key");
            self.find(self.place.bad_slots("slot", second, reason));
        }
        self.report.keys = self.seen.live;
    }

    fn find(&mut self, corruption: Corruption) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(corruption);
        }
    }

    /// Damaged slots that no record wrote and no clear freed.
    fn judge_bad_slots(&mut self) {
        let case = SlotCase { good: false, ..SlotCase::CHECKPOINTED };
        let bad = std::mem::take(&mut self.seen.bad);
        for slot in bad.iter().take(FINDINGS_MAX) {
            if decide_slot(case) != SlotDecision::Bad {
                continue;
            }
            let reason = self.seen.reasons.iter().find(|(number, _)| *number == slot);
            let reason = reason
                .map_or("it does not match its checksum".to_owned(), |(_, reason)| {
                    reason.to_string()
                });
            let reason = format!("{reason}, and no record of the log explains it");
            self.find(self.place.bad_slots("slot", slot, reason));
        }
    }

    /// Pages unlike the map.
    fn judge_suspects(&mut self) {
        let suspects = std::mem::take(&mut self.seen.suspects);
        for page in suspects.iter() {
            // Redo explains a page that a checkpoint was writing; when none was, nothing does.
            let touched = self.dirty.contains(page) && !self.at_rest;
            match decide_page(false, touched, false) {
                PageDecision::Keep | PageDecision::Rewrite => {}
                PageDecision::Bad => {
                    let reason = "it is not what the last checkpoint wrote: a write was lost, or went to a \
                                  wrong place, or the page rotted";
                    self.find(self.place.bad_slots("page", page, reason));
                }
            }
        }
    }

    /// Slots beyond the log, and slots that history has cut off. Rare, so slots are visited again.
    fn judge_sequences(&mut self, log_end: u64, valid: &dyn Fn(u32, u64) -> bool) {
        let mut high_water = 0;
        for slot in 0..self.seen.high_water {
            let meta = self.writer.meta(slot);
            if meta.kind == SlotKind::Free {
                continue;
            }
            let case = SlotCase {
                good: true,
                redone: false,
                cleared: false,
                in_log: meta.sequence <= log_end,
                in_epochs: meta.epoch <= self.epoch_last,
                in_history: valid(meta.epoch, meta.sequence),
            };
            match decide_slot(case) {
                SlotDecision::Keep => high_water = slot + 1,
                SlotDecision::Free => {
                    self.free_slot(slot, meta);
                    self.dirty.insert(self.place.layout.page_of(slot));
                    self.report.slots_void += 1;
                }
                SlotDecision::BeyondHistory => {
                    high_water = slot + 1;
                    let reason = format!(
                        "it is of epoch {}, and the history ends at epoch {}: put back the history file that belongs to it",
                        meta.epoch, self.epoch_last
                    );
                    self.find(self.place.bad_slots("slot", slot, reason));
                }
                SlotDecision::Bad | SlotDecision::BeyondLog => {
                    high_water = slot + 1;
                    let sequence = meta.sequence;
                    let reason = format!(
                        "its sequence {sequence} lies beyond the end of the log, {log_end}"
                    );
                    self.find(self.place.bad_slots("slot", slot, reason));
                }
            }
        }
        self.seen.high_water = high_water;
    }

    fn into_table(mut self) -> Result<(FixedTable, LoadReport)> {
        let layout = self.place.layout;
        let high_water = self.seen.high_water;
        let used_pages = high_water.div_ceil(layout.slots_per_page as u32);
        let mut allocated_pages = 0;
        if let Some(files) = &self.files {
            allocated_pages = files.pages_allocated(&self.place)?;
        }
        // Pages that redo reached over, and all pages of a new life, were never written.
        for page in self.written_pages..used_pages {
            self.dirty.insert(page);
        }
        let free = self.free_slots(high_water);
        let order = order(&self.schema);
        if let Some(order) = &order {
            self.load_order(order, high_water);
        }
        // Pages behind the end of use are not written; their slots are handed out afresh.
        let mut dirty = PageSet::default();
        for page in self.dirty.iter().take_while(|page| *page < used_pages) {
            dirty.insert(page);
        }
        self.budget.take_used(high_water);
        let Self { place, files, schema, options, budget, writer, map, writable, .. } = self;
        let Place { layout, .. } = &place;
        let key = vec![0; layout.key_len];
        let table = FixedTable {
            files: files.filter(|_| writable).map(Arc::new),
            area: None,
            schema,
            options,
            budget,
            writer,
            free,
            high_water,
            granted: high_water,
            allocated_pages,
            dirty,
            spare: PageSet::default(),
            map: Some(map),
            buf: None,
            life: u64::from(self.cleared),
            committed_life: 0,
            clear_sequence: self.clear_sequence,
            checkpoints: 0,
            unsynced: false,
            key,
            order,
            place: Arc::new(place),
        };
        Ok((table, self.report))
    }

    /// Sorts the keys of all live slots.
    fn load_order(&self, order: &Order, high_water: u32) {
        let width = self.place.layout.key_len;
        let mut keys = vec![0; width * self.seen.live as usize];
        let mut live: Vec<(u32, u32)> = Vec::with_capacity(self.seen.live as usize);
        for slot in 0..high_water {
            if self.writer.meta(slot).kind == SlotKind::Live {
                let at = live.len();
                self.writer.key_of(slot, &mut keys[at * width..(at + 1) * width]);
                live.push((at as u32, slot));
            }
        }
        let key = |at: u32| &keys[at as usize * width..(at as usize + 1) * width];
        live.sort_unstable_by(|(a, _), (b, _)| compare(key(*a), key(*b)));
        order.load(live.iter().map(|(at, slot)| (key(*at), *slot, false)));
    }

    /// Slots below the end of use that hold no key, longest free first.
    fn free_slots(&self, high_water: u32) -> VecDeque<u32> {
        let count = u64::from(high_water) - self.seen.live;
        let mut free = Vec::with_capacity(count as usize);
        let mut slot = 0;
        while (free.len() as u64) < count {
            let meta = self.writer.meta(slot);
            if meta.kind != SlotKind::Live {
                free.push((meta.sequence, slot));
            }
            slot += 1;
        }
        free.sort_unstable();
        free.into_iter().map(|(_, slot)| slot).collect()
    }
}
