//! Expiry of a shard: what vanished for readers at its deadline is taken out by logged records, in rounds of the shard's upkeep.

use crate::error::Result;
use crate::shard::{Deadlines, Shard, ShardState, SlotPlace, Upkeep};
use crate::store::index_hash;
use crate::write::Obstacle;
use slotcask_fixed::SlotMeta;
use slotcask_format::record::{RecordKind, record_size};
use slotcask_format::slot::SlotKind;
use slotcask_log::{Append, Guard, Urgency};
use std::sync::atomic::Ordering;

/// Places looked at in one round of upkeep, of cask tables and of fixed tables each.
pub(crate) const EXPIRE_AT_ONCE: usize = 4096;
/// A deadline that has passed.
pub(crate) const DUE: u64 = 0;
/// Slots looked at under one holding of the shard lock.
const SLOTS_PER_HOLD: usize = 64;
/// Places that may be listed for nothing before they are looked for.
const STALE_MIN: usize = 1 << 16;

/// How far a round of expiry came: places that were looked at and done with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Taken {
    /// All of them.
    All(usize),
    /// Those before the log had no room.
    Refused(usize),
}

impl Taken {
    fn count(self) -> usize {
        let (Self::All(count) | Self::Refused(count)) = self;
        count
    }
}

impl Shard {
    /// Takes keys out whose deadline has passed, each by a logged record: work in proportion to what was due. The upkeep lock is
    /// held. Returns whether there was anything to do; a failure is answered with when the others are done.
    pub(crate) fn expire_due(&self, upkeep: &mut Upkeep) -> Result<bool> {
        let now = self.timer.now_ms(&self.env);
        let (casks, first) = self.expire_casks(now);
        let slots = self.expire_slots(now)?;
        let is_refused = matches!((casks, slots), (Taken::Refused(_), _) | (_, Taken::Refused(_)));
        if is_refused && self.checkpoint_would_free(upkeep) {
            // As a writer that finds no room in the log.
            self.trim_log_held(upkeep, &mut || self.between())?;
        }
        let (casks, slots) = (casks.count(), slots.count());
        if casks == EXPIRE_AT_ONCE || slots == EXPIRE_AT_ONCE {
            // There may be more: the next round comes at once.
            self.expire_more.store(true, Ordering::Relaxed);
            if self.options.background {
                self.bell.ring();
            }
        }
        self.forget_stale_slots();
        self.forget_stale_records(now);
        first.map(|()| casks + slots > 0)
    }

    fn expire_slots(&self, now: u64) -> Result<Taken> {
        let mut due = {
            let mut guard = self.lock();
            let state = guard.state();
            if !state.epoch_open || state.closed {
                return Ok(Taken::All(0));
            }
            state.slot_expiry.take_due(now, EXPIRE_AT_ONCE)
        };
        let mut taken = 0;
        while !due.is_empty() {
            let mut guard = self.lock();
            for _ in 0..SLOTS_PER_HOLD {
                let Some(at) = due.pop() else { break };
                let Err(obstacle) = self.expire_slot(&mut guard, at, now) else {
                    taken += 1;
                    continue;
                };
                // No room now: reads hide it all the same, and the next round takes it out.
                let state = guard.state();
                for at in due.drain(..).chain([at]) {
                    state.slot_expiry.add(DUE, at);
                }
                return match obstacle {
                    Obstacle::Error(error) => Err(error),
                    _ => Ok(Taken::Refused(taken)),
                };
            }
        }
        Ok(Taken::All(taken))
    }

    fn expire_slot(
        &self,
        guard: &mut Guard<'_, ShardState>,
        at: SlotPlace,
        now: u64,
    ) -> std::result::Result<(), Obstacle> {
        let state = guard.state();
        let Some(deadline_ms) = state.slot_deadline(at).filter(|_| !state.closed) else {
            return Ok(());
        };
        if deadline_ms > now {
            state.slot_expiry.add(deadline_ms, at);
            return Ok(());
        }
        let table = state.table(at.table).expect("a slot of it has a deadline");
        let mut key = vec![0; table.schema().key_len as usize];
        table.writer().key_of(at.slot, &mut key);
        let size = record_size(0, key.len(), 0);
        // As deletes: they may use the last segment.
        guard
            .reserve(size, Urgency::Reserve)
            .map_err(|refusal| Obstacle::Log(refusal, guard.prepared()))?;
        let sequence = guard.append(Append {
            table: at.table,
            slot: at.slot,
            kind: RecordKind::Expire,
            flags: 0,
            extension: &[],
            key: &key,
            value: &[],
        });
        let epoch = guard.epoch();
        let hash = index_hash(self.hash_seed, &key);
        let state = guard.state();
        state.counters.expired += 1;
        let table = state.table(at.table).expect("it was there under this lock");
        let meta = SlotMeta { sequence, epoch, kind: SlotKind::Tombstone, deadline_ms: 0 };
        table.delete(hash, at.slot, meta);
        Ok(())
    }

    /// Keeps the memory of deadlines in proportion to the slots that have one: places that were overwritten, cleared or dropped
    /// are forgotten when they are most of what is listed.
    fn forget_stale_slots(&self) {
        let mut places = {
            let mut guard = self.lock();
            let state = guard.state();
            if state.slot_expiry.len() < stale_from(state.slot_expiry_kept) {
                return;
            }
            state.slot_expiry.take_all()
        };
        // What is written meanwhile lists itself, or relies on a place in this list, which stays if its slot has a deadline.
        places.sort_unstable();
        places.dedup();
        let mut kept = 0;
        for places in places.chunks(SLOTS_PER_HOLD) {
            let mut guard = self.lock();
            let state = guard.state();
            for at in places {
                if let Some(deadline_ms) = state.slot_deadline(*at) {
                    state.slot_expiry.add(deadline_ms, *at);
                    kept += 1;
                }
            }
        }
        self.lock().state().slot_expiry_kept = kept;
    }

    /// Keeps the memory of deadlines of cask tables in proportion to the records on disk: those in files that a merge removed
    /// are forgotten.
    fn forget_stale_records(&self, now: u64) {
        let mut listed = {
            let mut guard = self.lock();
            let state = guard.state();
            if state.expiry.len() < stale_from(state.expiry_kept) {
                return;
            }
            std::mem::replace(&mut state.expiry, Deadlines::new(now))
        };
        let generations = self.shelf.files.generations();
        listed.retain(|at| generations.binary_search(&at.generation()).is_ok());
        let mut guard = self.lock();
        let state = guard.state();
        state.expiry.append(listed);
        state.expiry_kept = state.expiry.len();
    }
}

/// How many places are listed before stale ones are looked for, when so many were kept last.
fn stale_from(kept: usize) -> usize {
    kept.saturating_mul(2).max(STALE_MIN)
}

impl ShardState {
    /// The deadline of what a slot holds; `None` when it holds nothing that vanishes.
    fn slot_deadline(&self, at: SlotPlace) -> Option<u64> {
        let table = self.table_ref(at.table)?;
        // A table that was cleared has fewer slots.
        if at.slot >= table.reader().slot_count() {
            return None;
        }
        let meta = table.writer().meta(at.slot);
        let vanishes = meta.kind == SlotKind::Live && meta.deadline_ms != 0;
        vanishes.then_some(meta.deadline_ms)
    }

    /// Lists the deadlines of all slots of a table: after an opening.
    pub(crate) fn list_deadlines(&mut self, id: u32) {
        let Some(table) = self.table_ref(id).filter(|table| table.schema().deadlines) else {
            return;
        };
        for slot in 0..table.reader().slot_count() {
            let at = SlotPlace { table: id, slot };
            if let Some(deadline_ms) = self.slot_deadline(at) {
                self.slot_expiry.add(deadline_ms, at);
            }
        }
        self.slot_expiry_kept = self.slot_expiry.len();
    }
}
