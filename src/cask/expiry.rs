//! Expiry of cask tables: records whose deadline has passed are followed by logged ones that say so.

use crate::cask::write::reserve;
use crate::error::{Error, Result};
use crate::shard::{DUE, EXPIRE_AT_ONCE, Shard, Taken};
use crate::write::Obstacle;
use slotcask_cask::{CachedRecord, KeyHash, Listed, Location};
use slotcask_format::record::{RecordKind, SLOT_NONE, record_size};
use slotcask_log::{Append, Urgency};

/// A record that could not be read is looked at again after this many milliseconds.
const AGAIN_MS: u64 = 60_000;

impl Shard {
    /// Takes keys out whose deadline has passed, each by a logged record; with the first failure, which keeps none of the others in. The
    /// upkeep lock is held.
    pub(crate) fn expire_casks(&self, now: u64) -> (Taken, Result<()>) {
        let mut due = {
            let mut guard = self.lock();
            let state = guard.state();
            if !state.epoch_open || state.closed {
                return (Taken::All(0), Ok(()));
            }
            state.expiry.take_due(now, EXPIRE_AT_ONCE)
        };
        let (mut taken, mut first) = (0, Ok(()));
        while let Some(at) = due.pop() {
            let expired = match self.shelf.read_uncached(Some(&self.log), at) {
                Ok(Some((record, _)))
                    if record.deadline_ms().is_some_and(|deadline| deadline <= now) =>
                {
                    self.expire(at, &record)
                }
                // One that was overwritten may be in a file that is gone.
                Ok(_) => Ok(()),
                Err(error) => Err(Obstacle::Error(error)),
            };
            let Err(obstacle) = expired else {
                taken += 1;
                continue;
            };
            let mut guard = self.lock();
            let listed = &mut guard.state().expiry;
            if let Obstacle::Error(error) = obstacle {
                listed.add(now + AGAIN_MS, at);
                first = first.and(Err(error));
                continue;
            }
            // No room now: reads hide it all the same, and the next round or a merge takes it out.
            due.into_iter().chain([at]).for_each(|at| listed.add(DUE, at));
            return (Taken::Refused(taken), first);
        }
        (Taken::All(taken), first)
    }

    fn expire(&self, at: Location, record: &CachedRecord) -> std::result::Result<(), Obstacle> {
        let hash = KeyHash::of(self.hash_seed, record.key());
        let mut guard = self.lock();
        let Some(keydir) = guard.state().casks.get(&record.table()).cloned() else {
            return Ok(());
        };
        if keydir.get(hash) != Some(at) && !slotcask_format::mutants::active("expire_blindly") {
            return Ok(());
        }
        let size = record_size(0, record.key().len(), 0);
        reserve(&mut guard, size, Urgency::Reserve)?;
        let (generation, offset) = guard.next_place();
        let Some(tombstone) = Location::new(generation, offset, size) else {
            let reason = format!("segment {generation} is beyond what a keydir can point to");
            return Err(Obstacle::Error(Error::Limit { reason }));
        };
        let (table, kind, epoch) = (record.table(), RecordKind::Expire, guard.epoch());
        let sequence = guard.append(Append {
            table,
            slot: SLOT_NONE,
            kind,
            flags: 0,
            extension: &[],
            key: record.key(),
            value: &[],
        });
        keydir.remove(hash);
        keydir.note_removed(record.key());
        let state = guard.state();
        state.usage.dead(at);
        let (hashes, deadline_ms, at) = (&[hash], None, tombstone);
        state.usage.appended(&Listed { table, kind, sequence, epoch, hashes, deadline_ms, at });
        state.counters.expired += 1;
        Ok(())
    }
}
