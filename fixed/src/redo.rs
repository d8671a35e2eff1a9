//! Redo: records of the log onto slots, in order of sequence.

use crate::error::{FixedError, Result};
use crate::loading::Loading;
use crate::recovery::{RedoDecision, SlotCase, SlotDecision, decide_redo, decide_slot};
use slotcask_format::Reason;
use slotcask_format::mutants;
use slotcask_format::range_delete::{RangeDelete, Removed};
use slotcask_format::record::{Record, RecordKind, deadline_of};
use slotcask_format::slot::SlotKind;
use slotcask_index::SlotMeta;
use zerocopy::little_endian::U32;

impl Loading {
    /// Applies a record of this table from the redo range: put, delete, range delete or expire. Call it for each of them, in order of
    /// sequence; other kinds are not for here. A page that a record touches is excused if it is not as the checkpoint wrote
    /// it, and is written again by the next one.
    ///
    /// # Errors
    /// [`FixedError::Corrupt`] when the record cannot be one of this table; [`FixedError::Memory`].
    ///
    /// # Panics
    /// With a record of another table or another kind.
    pub fn apply(&mut self, record: &Record<'_>) -> Result<()> {
        assert_eq!(record.table, self.place.table, "a record of another table");
        let kind = match record.kind {
            RecordKind::RangeDelete => return self.apply_range_delete(record),
            RecordKind::Put => SlotKind::Live,
            RecordKind::Delete | RecordKind::Expire => SlotKind::Tombstone,
            other => panic!("a record of kind {other:?} is not redone on slots"),
        };
        let deadline_ms = match self.check_record(record, kind) {
            Ok(deadline) => deadline,
            Err(reason) => {
                let bad = self.place.bad_slots("record", record.sequence, reason);
                return Err(FixedError::Corrupt(bad));
            }
        };
        let slot = record.slot;
        self.writer.extend(slot + 1)?;
        self.seen.high_water = self.seen.high_water.max(slot + 1);
        let page = self.place.layout.page_of(slot);
        self.dirty.insert(page);
        let before = self.writer.meta(slot);
        if kind == SlotKind::Tombstone && mutants::active("redo_forgets_deletes") {
            return Ok(());
        }
        let was_bad = !self.seen.bad.is_empty() && self.seen.bad.remove(slot);
        if decide_redo(!was_bad, before.sequence, record.sequence) == RedoDecision::Leave {
            self.report.records_known += 1;
            return Ok(());
        }
        let meta = SlotMeta { sequence: record.sequence, epoch: record.epoch, kind, deadline_ms };
        self.writer.write(slot, meta, record.key, record.value);
        self.seen.live += u64::from(kind == SlotKind::Live);
        self.seen.live -= u64::from(before.kind == SlotKind::Live);
        self.report.records_redone += 1;
        Ok(())
    }

    /// Asks for the memory of a slot that a record will be applied to soon. A hint.
    #[inline]
    pub fn expect(&self, slot: u32) {
        self.writer.prefetch_write(slot);
    }

    /// A range delete names the slots that it freed, so that it explains them as a delete does, and touches none that was given
    /// to a key of the range later.
    fn apply_range_delete(&mut self, record: &Record<'_>) -> Result<()> {
        let checked = RangeDelete::decode(record.value).and_then(|value| self.check_slots(&value));
        let slots = checked.map_err(|reason| {
            FixedError::Corrupt(self.place.bad_slots("record", record.sequence, reason))
        })?;
        if mutants::active("redo_forgets_range_deletes") {
            return Ok(());
        }
        let mut key = vec![0; self.place.layout.key_len];
        for slot in slots {
            let slot = slot.get();
            self.writer.extend(slot + 1)?;
            self.seen.high_water = self.seen.high_water.max(slot + 1);
            self.dirty.insert(self.place.layout.page_of(slot));
            let before = self.writer.meta(slot);
            let was_bad = !self.seen.bad.is_empty() && self.seen.bad.remove(slot);
            if decide_redo(!was_bad, before.sequence, record.sequence) == RedoDecision::Leave {
                self.report.records_known += 1;
                continue;
            }
            // Of a damaged slot the key is not known; a tombstone needs none.
            self.writer.key_of(slot, &mut key);
            let meta = SlotMeta {
                sequence: record.sequence,
                epoch: record.epoch,
                kind: SlotKind::Tombstone,
                deadline_ms: 0,
            };
            self.writer.write(slot, meta, &key, &[]);
            self.seen.live -= u64::from(before.kind == SlotKind::Live);
            self.report.records_redone += 1;
        }
        Ok(())
    }

    /// The slots of a range delete, if they can be of this table.
    fn check_slots<'r>(&self, value: &RangeDelete<'r>) -> std::result::Result<&'r [U32], Reason> {
        let Removed::Slots(slots) = value.removed else {
            return Err(Reason::Unknown { what: "range delete of a fixed table", found: 2 });
        };
        let last = slots.last().map_or(0, |slot| slot.get());
        if last >= self.schema.slot_count_max || !self.schema.ordered {
            let (found, max) = (u64::from(last), u64::from(self.schema.slot_count_max) - 1);
            return Err(Reason::Range { what: "slot", found, max });
        }
        Ok(slots)
    }

    /// The first reason why a record cannot be one of this table; else its deadline.
    fn check_record(
        &self,
        record: &Record<'_>,
        kind: SlotKind,
    ) -> std::result::Result<u64, Reason> {
        let layout = &self.place.layout;
        if record.slot >= self.schema.slot_count_max {
            let (found, max) = (u64::from(record.slot), u64::from(self.schema.slot_count_max) - 1);
            return Err(Reason::Range { what: "slot", found, max });
        }
        let value_len = if kind == SlotKind::Live { layout.value_len } else { record.value.len() };
        let pairs = [
            ("key length", layout.key_len, record.key.len()),
            ("value length", value_len, record.value.len()),
        ];
        for (what, expected, found) in pairs {
            if expected != found {
                let (expected, found) = (expected as u64, found as u64);
                return Err(Reason::Mismatch { what, expected, found });
            }
        }
        let deadline = deadline_of(record.extension)?.unwrap_or(0);
        if deadline != 0 && layout.deadline_offset.is_none() {
            return Err(Reason::Mismatch { what: "deadline", expected: 0, found: deadline });
        }
        Ok(if mutants::active("redo_forgets_deadlines") { 0 } else { deadline })
    }

    /// Replays a clear of the table: slots up to `sequence` hold nothing. Call it for every clear of the redo range, also
    /// for one that the manifest names already: it excuses what a checkpoint after the clear may have left half written.
    pub fn clear(&mut self, sequence: u64) {
        let cleared = |good| SlotCase { good, cleared: true, ..SlotCase::CHECKPOINTED };
        assert_eq!(decide_slot(cleared(false)), SlotDecision::Free);
        assert_eq!(decide_slot(cleared(true)), SlotDecision::Free);
        self.clear_sequence = self.clear_sequence.max(sequence);
        self.cleared = true;
        self.seen.bad.clear();
        self.seen.suspects.clear();
        self.map.forget_pages();
        self.written_pages = 0;
        let mut high_water = 0;
        for slot in 0..self.writer.reader().slot_count() {
            let meta = self.writer.meta(slot);
            if meta.kind == SlotKind::Free {
                continue;
            }
            if meta.sequence > sequence {
                high_water = slot + 1;
                continue;
            }
            self.free_slot(slot, meta);
        }
        self.seen.high_water = high_water;
    }

    /// Makes a slot hold nothing.
    pub(crate) fn free_slot(&mut self, slot: u32, before: SlotMeta) {
        let free = SlotMeta { sequence: 0, epoch: 0, kind: SlotKind::Free, deadline_ms: 0 };
        self.writer.write(slot, free, &[], &[]);
        self.seen.live -= u64::from(before.kind == SlotKind::Live);
    }
}
