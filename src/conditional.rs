//! Writes that depend on what is there. They read under the shard lock, from memory.
//!
//! A conditional write that changes nothing still waits, under `Sync`, for the durability of what it saw: its answer must not
//! be undone by a crash.

use crate::error::Result;
use crate::expiry::Expiry;
use crate::options::WriteOptions;
use crate::shard::{Shard, ShardState};
use crate::store::UpdateMark;
use crate::table::Table;
use crate::write::Obstacle;
use slotcask_fixed::SlotMeta;
use slotcask_format::mutants;
use slotcask_format::record::record_size;
use slotcask_log::{Guard, Urgency};

/// What a conditional write decided under the lock.
pub(crate) enum Outcome<T> {
    /// Written, with this sequence.
    Wrote(T, u64),
    /// Nothing written; the sequence is that of what was seen.
    Saw(T, u64),
}

impl<T> Outcome<T> {
    /// The answer and the sequence to wait for. Who wrote is slowed down if it is its turn.
    pub(crate) fn paced(self, shard: &Shard, cask: bool) -> (T, u64) {
        match self {
            Self::Wrote(answer, sequence) => {
                shard.pace_if_due(cask);
                (answer, sequence)
            }
            Self::Saw(answer, sequence) => (answer, sequence),
        }
    }
}

/// The value as it was found, for whoever decides. One whose deadline has passed is not there, but its slot is.
struct Seen {
    slot: Option<u32>,
    meta: Option<SlotMeta>,
    value: Option<Vec<u8>>,
}

impl Table {
    /// Stores `value` if `key` is not there; true when it was stored.
    ///
    /// # Errors
    /// As [`Table::put`].
    pub fn put_if_absent(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<bool> {
        let (key, value) = (key.as_ref(), value.as_ref());
        self.check_value(value)?;
        self.decide(key, |table, guard, hash, seen| {
            if seen.value.is_some() {
                return Ok(Outcome::Saw(false, seen.sequence(guard)));
            }
            let sequence = table.put_found(guard, hash, key, value, seen.slot)?;
            Ok(Outcome::Wrote(true, sequence))
        })
    }

    /// Replaces the value of `key` by `new` if it is `expected`; `None` stands for a key that is not there. Answers with the
    /// value that is there instead, if it is another one. The new value stays: a deadline of the old one goes with it.
    ///
    /// # Errors
    /// As [`Table::put`].
    #[allow(clippy::type_complexity)]
    pub fn compare_and_swap(
        &self,
        key: impl AsRef<[u8]>,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<std::result::Result<(), Option<Vec<u8>>>> {
        let key = key.as_ref();
        for value in [expected, new].into_iter().flatten() {
            self.check_value(value)?;
        }
        self.decide(key, |table, guard, hash, seen| {
            if seen.value.as_deref() != expected {
                let sequence = seen.sequence(guard);
                return Ok(Outcome::Saw(Err(seen.value.clone()), sequence));
            }
            let written = table.replace(guard, hash, key, seen, new)?;
            Ok(match written {
                Some(sequence) => Outcome::Wrote(Ok(()), sequence),
                None => Outcome::Saw(Ok(()), seen.sequence(guard)),
            })
        })
    }

    /// Replaces the value of `key` by what `f` makes of it; `None` stands for a key that is not there, before and after. Gives
    /// the new value. `f` runs under the shard lock: it must be short, and must not write to this store. If it panics nothing is
    /// written. It is called again if the log had no room the first time.
    ///
    /// The new value stays: a deadline of the old one goes with it.
    ///
    /// # Errors
    /// As [`Table::put`]; [`crate::Error::ValueLength`] when `f` gives a value of a wrong length; [`crate::Error::Reentered`] from writes
    /// that `f` attempts.
    pub fn update(
        &self,
        key: impl AsRef<[u8]>,
        mut f: impl FnMut(Option<&[u8]>) -> Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>> {
        let key = key.as_ref();
        self.decide(key, |table, guard, hash, seen| {
            // Room comes first, so that `f` runs once unless the table has to grow.
            table.reserve(
                guard,
                record_size(0, key.len(), table.shared.layout.value_len),
                Urgency::Normal,
            )?;
            let new = {
                let _mark = UpdateMark::set();
                f(seen.value.as_deref())
            };
            if let Some(new) = &new {
                table.check_value(new).map_err(Obstacle::Error)?;
            }
            let written = table.replace(guard, hash, key, seen, new.as_deref())?;
            Ok(match written {
                Some(sequence) => Outcome::Wrote(new, sequence),
                None => Outcome::Saw(new, seen.sequence(guard)),
            })
        })
    }

    /// Puts, deletes, or leaves a key that is missing and shall be.
    fn replace(
        &self,
        guard: &mut Guard<'_, ShardState>,
        hash: u64,
        key: &[u8],
        seen: &Seen,
        new: Option<&[u8]>,
    ) -> std::result::Result<Option<u64>, Obstacle> {
        match (new, &seen.value) {
            (Some(value), _) => self.put_found(guard, hash, key, value, seen.slot).map(Some),
            (None, Some(_)) => self.delete_locked(guard, hash, key),
            (None, None) => Ok(None),
        }
    }

    /// Gives the value of a key a deadline, or none (0). Answers with what held before.
    pub(crate) fn redate(&self, key: &[u8], deadline_ms: u64) -> Result<Option<Expiry>> {
        self.decide(key, |table, guard, hash, seen| {
            let (Some(meta), Some(value)) = (&seen.meta, &seen.value) else {
                return Ok(Outcome::Saw(None, seen.sequence(guard)));
            };
            let before = Some(table.expiry_of(meta));
            let is_kept = deadline_ms == 0 && mutants::active("deadline_not_cleared");
            if meta.deadline_ms == deadline_ms || is_kept {
                return Ok(Outcome::Saw(before, meta.sequence));
            }
            let sequence = if deadline_ms == 0 {
                table.put_found(guard, hash, key, value, seen.slot)?
            } else {
                table.put_until(guard, hash, key, value, deadline_ms)?
            };
            Ok(Outcome::Wrote(before, sequence))
        })
    }

    fn decide<T>(
        &self,
        key: &[u8],
        mut decide: impl FnMut(
            &Self,
            &mut Guard<'_, ShardState>,
            u64,
            &Seen,
        ) -> std::result::Result<Outcome<T>, Obstacle>,
    ) -> Result<T> {
        self.check_key(key)?;
        self.check_readable()?;
        self.store.check_writable("write")?;
        let route = self.route(key);
        let shard = &self.store.shards[route.shard];
        loop {
            let outcome = {
                let mut guard = shard.lock();
                self.see(&mut guard, route.hash, key)
                    .and_then(|seen| decide(self, &mut guard, route.hash, &seen))
            };
            match outcome {
                Ok(outcome) => {
                    let (answer, sequence) = outcome.paced(shard, false);
                    self.finish(route.shard, sequence, &WriteOptions::default(), None)?;
                    return Ok(answer);
                }
                Err(obstacle) => self.store.overcome(shard, obstacle, None)?,
            }
        }
    }

    fn see(
        &self,
        guard: &mut Guard<'_, ShardState>,
        hash: u64,
        key: &[u8],
    ) -> std::result::Result<Seen, Obstacle> {
        let table = self.table_of(guard)?;
        let Some((slot, meta)) = table.find(hash, key) else {
            return Ok(Seen { slot: None, meta: None, value: None });
        };
        if self.is_over(&meta) {
            return Ok(Seen { slot: Some(slot), meta: None, value: None });
        }
        let mut value = vec![0; self.shared.layout.value_len];
        table.value_of(slot, &mut value);
        Ok(Seen { slot: Some(slot), meta: Some(meta), value: Some(value) })
    }
}

impl Seen {
    /// What has to be durable for the answer to stand: the record that wrote the slot, or everything, for a missing key.
    fn sequence(&self, guard: &Guard<'_, ShardState>) -> u64 {
        self.meta.map_or_else(|| guard.last_sequence(), |meta| meta.sequence)
    }
}
