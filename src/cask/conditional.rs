//! Writes of cask tables that depend on what is there. They read before they take the shard lock, and start over when the
//! key has changed by the time they have it.
//!
//! A conditional write that changes nothing still waits, under `Sync`, for the durability of what it saw: its answer must not
//! be undone by a crash.

use crate::cask::read::Found;
use crate::cask::shared::{CaskRoute, CaskTable};
use crate::cask::write::{Pair, reserve};
use crate::conditional::Outcome;
use crate::error::Result;
use crate::expiry::Expiry;
use crate::options::WriteOptions;
use crate::shard::ShardState;
use crate::store::UpdateMark;
use crate::write::Obstacle;
use slotcask_format::mutants;
use slotcask_format::record::{RecordKind, record_size};
use slotcask_log::{Guard, Urgency};

impl CaskTable {
    /// Stores `value` if `key` is not there; true when it was stored.
    ///
    /// # Errors
    /// As [`CaskTable::put`] and [`CaskTable::get`].
    pub fn put_if_absent(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<bool> {
        let (key, value) = (key.as_ref(), value.as_ref());
        self.check_pair(key, value)?;
        let packed = self.pack(value);
        let pair = Pair::new(key, value, packed.as_deref(), None);
        self.decide(key, |table, guard, route, found| {
            if found.is_some() {
                return Ok(Outcome::Saw(false, seen(guard, found)));
            }
            Ok(Outcome::Wrote(true, table.put_locked(guard, route, &pair)?))
        })
    }

    /// Replaces the value of `key` by `new` if it is `expected`; `None` stands for a key that is not there. Answers with the
    /// value that is there instead, if it is another one. The new value stays: a deadline of the old one goes with it.
    ///
    /// # Errors
    /// As [`CaskTable::put`] and [`CaskTable::get`].
    #[allow(clippy::type_complexity)]
    pub fn compare_and_swap(
        &self,
        key: impl AsRef<[u8]>,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<std::result::Result<(), Option<Vec<u8>>>> {
        let key = key.as_ref();
        self.check_pair(key, new.unwrap_or_default())?;
        let packed = new.and_then(|value| self.pack(value));
        let pair = new.map(|value| Pair::new(key, value, packed.as_deref(), None));
        self.decide(key, |table, guard, route, found| {
            let value = found.map(|found| found.record.value());
            if value != expected {
                return Ok(Outcome::Saw(Err(value.map(<[u8]>::to_vec)), seen(guard, found)));
            }
            Ok(match table.replace(guard, route, key, found, pair.as_ref())? {
                Some(sequence) => Outcome::Wrote(Ok(()), sequence),
                None => Outcome::Saw(Ok(()), seen(guard, found)),
            })
        })
    }

    /// Replaces the value of `key` by what `f` makes of it; `None` stands for a key that is not there, before and after. Gives
    /// the new value. `f` runs under the shard lock: it must be short, and must not write to this store. If it panics nothing is
    /// written. It is called again when the log had no room for what it gave. What it gives is compressed under that lock, if the table
    /// compresses.
    ///
    /// The new value stays: a deadline of the old one goes with it.
    ///
    /// # Errors
    /// As [`CaskTable::put`] and [`CaskTable::get`]; [`crate::Error::Reentered`] from calls that `f` attempts.
    pub fn update(
        &self,
        key: impl AsRef<[u8]>,
        mut f: impl FnMut(Option<&[u8]>) -> Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>> {
        let key = key.as_ref();
        self.decide(key, |table, guard, route, found| {
            let new = {
                let _mark = UpdateMark::set();
                f(found.map(|found| found.record.value()))
            };
            table.check_pair(key, new.as_deref().unwrap_or_default()).map_err(Obstacle::Error)?;
            let packed = new.as_deref().and_then(|value| table.pack(value));
            let pair = new.as_deref().map(|value| Pair::new(key, value, packed.as_deref(), None));
            Ok(match table.replace(guard, route, key, found, pair.as_ref())? {
                Some(sequence) => Outcome::Wrote(new, sequence),
                None => Outcome::Saw(new, seen(guard, found)),
            })
        })
    }

    /// Puts, deletes, or leaves a key that is missing and shall be.
    fn replace(
        &self,
        guard: &mut Guard<'_, ShardState>,
        route: CaskRoute,
        key: &[u8],
        found: Option<&Found>,
        new: Option<&Pair<'_>>,
    ) -> std::result::Result<Option<u64>, Obstacle> {
        match (new, found) {
            (Some(pair), _) => self.put_locked(guard, route, pair).map(Some),
            (None, Some(_)) => {
                reserve(guard, record_size(0, key.len(), 0), Urgency::Reserve)?;
                self.delete_reserved(guard, route, key, RecordKind::Delete, 0).map(Some)
            }
            (None, None) => Ok(None),
        }
    }

    /// Gives the value of a key a deadline, or none. Answers with what held before.
    pub(super) fn redate(&self, key: &[u8], deadline_ms: Option<u64>) -> Result<Option<Expiry>> {
        // Compressed before the lock is taken, and again under it only when another value stands there by then.
        let mut packed = None;
        if self.shared.schema.compression.is_some() {
            let found = self.find(self.route(key), key)?;
            packed = found.map(|found| (found.at, self.pack(found.record.value())));
        }
        self.decide(key, |table, guard, route, found| {
            let Some(found) = found else { return Ok(Outcome::Saw(None, guard.last_sequence())) };
            let record = &found.record;
            let before = Some(table.expiry_of(found));
            let is_kept = deadline_ms.is_none() && mutants::active("cask_deadline_not_cleared");
            if record.deadline_ms() == deadline_ms || is_kept {
                return Ok(Outcome::Saw(before, record.sequence()));
            }
            if packed.as_ref().is_none_or(|(at, _)| *at != found.at) {
                packed = Some((found.at, table.pack(record.value())));
            }
            let bytes = packed.as_ref().and_then(|(_, bytes)| bytes.as_deref());
            let pair = Pair::new(key, record.value(), bytes, deadline_ms);
            Ok(Outcome::Wrote(before, table.put_locked(guard, route, &pair)?))
        })
    }

    fn decide<T>(
        &self,
        key: &[u8],
        mut decide: impl FnMut(
            &Self,
            &mut Guard<'_, ShardState>,
            CaskRoute,
            Option<&Found>,
        ) -> std::result::Result<Outcome<T>, Obstacle>,
    ) -> Result<T> {
        self.check_key(key)?;
        self.check_readable()?;
        self.store.check_writable("write")?;
        let route = self.route(key);
        let shard = self.shard(route.shard);
        loop {
            let before = self.keydir(route.shard).get(route.hash);
            let found = self.find(route, key)?;
            let outcome = {
                let mut guard = shard.lock();
                // What was read counts as well: a key that was not there, was put, read, and is gone again stands as it stood before.
                let seen = found.as_ref().map_or(before, |found| Some(found.at));
                if self.keydir(route.shard).get(route.hash) != seen {
                    // Somebody was faster: over again with what is there now.
                    continue;
                }
                // Its time may have come since it was read.
                let found = found.as_ref().filter(|found| !self.is_over(found));
                self.check_locked(&mut guard).and_then(|()| decide(self, &mut guard, route, found))
            };
            match outcome {
                Ok(outcome) => {
                    let (answer, sequence) = outcome.paced(shard, true);
                    self.finish(route.shard, sequence, &WriteOptions::default(), None)?;
                    return Ok(answer);
                }
                Err(obstacle) => self.store.overcome(shard, obstacle, None)?,
            }
        }
    }
}

/// What has to be durable for an answer to stand: the record that was seen, or everything, for a missing key.
fn seen(guard: &Guard<'_, ShardState>, found: Option<&Found>) -> u64 {
    found.map_or_else(|| guard.last_sequence(), |found| found.record.sequence())
}
