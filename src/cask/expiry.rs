//! Which records vanish when: to be looked at when their time has come.

use crate::cask::write::reserve;
use crate::error::{Error, Result};
use crate::shard::Shard;
use crate::write::Obstacle;
use slotcask_cask::{CachedRecord, KeyHash, Location};
use slotcask_format::record::{RecordKind, SLOT_NONE, record_size};
use slotcask_log::{Append, Urgency};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Deadlines are gathered by intervals of this many milliseconds.
const INTERVAL_MS: u64 = 1024;

/// Places of records by the interval of their deadline, 8 bytes a record. A record that was overwritten stays listed until
/// its time has come; whoever looks then finds that nothing points to it.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    intervals: BTreeMap<u64, Vec<Location>>,
}

impl Expiry {
    /// A record that vanishes.
    pub(crate) fn add(&mut self, deadline_ms: u64, at: Location) {
        self.intervals.entry(deadline_ms / INTERVAL_MS).or_default().push(at);
    }

    /// Takes up to `count` records of intervals that are over at `now_ms`.
    pub(crate) fn take_due(&mut self, now_ms: u64, count: usize) -> Vec<Location> {
        let mut due = Vec::new();
        while due.len() < count {
            let Some(mut first) = self.intervals.first_entry() else { break };
            if (first.key() + 1) * INTERVAL_MS > now_ms {
                break;
            }
            let places = first.get_mut();
            let rest = places.split_off(places.len().min(count - due.len()));
            due.append(places);
            if rest.is_empty() {
                first.remove();
            } else {
                *places = rest;
            }
        }
        due
    }

    /// Bytes of memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let places: usize = self.intervals.values().map(Vec::capacity).sum();
        (places * size_of::<Location>()) as u64
    }
}

/// Records looked at in one round of upkeep.
const EXPIRE_AT_ONCE: usize = 4096;

impl Shard {
    /// Takes keys out whose deadline has passed, each by a logged record. The upkeep lock is held. Returns whether there was anything to do.
    pub(crate) fn expire_due(&self) -> Result<bool> {
        let now = self.timer.now_ms(&self.env);
        let due = {
            let mut guard = self.lock();
            let state = guard.state();
            if !state.epoch_open || state.closed {
                return Ok(false);
            }
            state.expiry.take_due(now, EXPIRE_AT_ONCE)
        };
        for at in &due {
            // One that was overwritten may be in a file that is gone.
            let Some(record) = self.shelf.read(Some(&self.log), *at)? else { continue };
            if record.deadline_ms().is_none_or(|deadline| deadline > now) {
                continue;
            }
            match self.expire(*at, &record) {
                Ok(()) => {}
                Err(Obstacle::Error(error)) => return Err(error),
                // No room now: reads hide it all the same, and a later round or a merge takes it out.
                Err(_) => {
                    let deadline = record.deadline_ms().unwrap_or(now);
                    self.lock().state().expiry.add(deadline, *at);
                }
            }
        }
        Ok(!due.is_empty())
    }

    fn expire(
        &self,
        at: Location,
        record: &Arc<CachedRecord>,
    ) -> std::result::Result<(), Obstacle> {
        let hash = KeyHash::of(self.hash_seed, record.key());
        let mut guard = self.lock();
        let Some(keydir) = guard.state().casks.get(&record.table()).cloned() else {
            return Ok(());
        };
        if keydir.get(hash) != Some(at) {
            return Ok(());
        }
        let size = record_size(0, record.key().len(), 0);
        reserve(&mut guard, size, Urgency::Reserve)?;
        let (generation, offset) = guard.next_place();
        let Some(tombstone) = Location::new(generation, offset, size) else {
            let reason = format!("segment {generation} is beyond what a keydir can point to");
            return Err(Obstacle::Error(Error::Limit { reason }));
        };
        guard.append(Append {
            table: record.table(),
            slot: SLOT_NONE,
            kind: RecordKind::Expire,
            flags: 0,
            extension: &[],
            key: record.key(),
            value: &[],
        });
        keydir.remove(hash);
        let state = guard.state();
        state.usage.tombstone(tombstone);
        state.usage.dead(at);
        state.counters.expired += 1;
        Ok(())
    }
}
