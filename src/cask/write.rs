//! Puts and deletes of cask tables.
//!
//! As in fixed tables a write takes the shard lock, makes sure of room in the log, appends its record, points the keydir to
//! it, releases the lock, and only then waits for what its durability asks. What has to look at the disk first does so
//! before it takes the lock, and looks again under it whether that still holds.

use crate::cask::read::Found;
use crate::cask::shared::{CaskRoute, CaskTable};
use crate::error::{Error, Result};
use crate::options::WriteOptions;
use crate::shard::ShardState;
use crate::ticket::Ticket;
use crate::write::Obstacle;
use slotcask_cask::{CacheKey, Listed, Location};
use slotcask_format::mutants;
use slotcask_format::record::{
    FLAG_LZ4, Record, RecordKind, SLOT_NONE, deadline_extension, record_size,
};
use slotcask_log::{Append, Guard, Refusal, Urgency};
use std::time::Duration;

/// A value on its way into a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'a> {
    key: &'a [u8],
    /// As it was given.
    value: &'a [u8],
    /// As it is stored.
    stored: &'a [u8],
    deadline_ms: Option<u64>,
    /// Of the record, for compression.
    flags: u8,
}

impl<'a> Pair<'a> {
    /// A pair whose value is stored as `packed`, if that is given.
    pub(crate) fn new(
        key: &'a [u8],
        value: &'a [u8],
        packed: Option<&'a [u8]>,
        deadline_ms: Option<u64>,
    ) -> Self {
        let hides = deadline_ms.is_some() && mutants::active("compression_not_flagged");
        let flags = if packed.is_some() && !hides { FLAG_LZ4 } else { 0 };
        Self { key, value, stored: packed.unwrap_or(value), deadline_ms, flags }
    }

    pub(crate) fn size(&self) -> usize {
        let extension = if self.deadline_ms.is_some() { deadline_extension(0).len() } else { 0 };
        record_size(extension, self.key.len(), self.stored.len())
    }
}

impl CaskTable {
    /// Stores `value` under `key`, replacing what was there, its deadline included.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`], [`Error::ValueTooLong`], [`Error::DiskFull`], [`Error::Poisoned`], [`Error::TableDropped`],
    /// [`Error::ReadOnly`], [`Error::Closed`], [`Error::Reentered`].
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.put_with(key, value, &WriteOptions::default())
    }

    /// As [`CaskTable::put`], with options.
    ///
    /// # Errors
    /// As [`CaskTable::put`], and [`Error::TimedOut`]; [`Error::Deadline`] when the time to live is zero, in the past or beyond what fits.
    pub fn put_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: &WriteOptions,
    ) -> Result<()> {
        let deadline = self.deadline(options);
        let (shard, sequence) =
            self.put_accept(key.as_ref(), value.as_ref(), options, deadline, true)?;
        self.finish(shard, sequence, options, deadline)
    }

    /// Stores `value` under `key` and returns at once with a ticket that tells when it is durable. Waits only for room in
    /// the log.
    ///
    /// # Errors
    /// As [`CaskTable::put`].
    pub fn write(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Ticket> {
        let options = WriteOptions::default();
        let (shard, sequence) =
            self.put_accept(key.as_ref(), value.as_ref(), &options, None, true)?;
        Ok(Ticket::new(self.shard(shard).clone(), sequence))
    }

    /// As [`CaskTable::write`], but never waits for room in the log, nor is it slowed down when merges fall behind: who writes by nothing else
    /// heeds `merge_behind_permille` of [`Store::stats`](crate::Store::stats), or the store takes more space than its bound. The first write of an opening begins an epoch, which syncs a file, and a
    /// writer may wait for the shard's lock.
    ///
    /// # Errors
    /// As [`CaskTable::put`], and [`Error::WouldBlock`].
    pub fn try_write(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Ticket> {
        let options = WriteOptions::default();
        let (shard, sequence) =
            self.put_accept(key.as_ref(), value.as_ref(), &options, None, false)?;
        Ok(Ticket::new(self.shard(shard).clone(), sequence))
    }

    /// Removes `key`; true when it was there.
    ///
    /// # Errors
    /// As [`CaskTable::put`], and as [`CaskTable::get`]: the key is compared first.
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.delete_with(key, &WriteOptions::default())
    }

    /// As [`CaskTable::delete`], with options.
    ///
    /// # Errors
    /// As [`CaskTable::delete`], and [`Error::TimedOut`].
    pub fn delete_with(&self, key: impl AsRef<[u8]>, options: &WriteOptions) -> Result<bool> {
        let deadline = self.deadline(options);
        let (shard, sequence, existed) = self.delete_accept(key.as_ref(), deadline)?;
        self.finish(shard, sequence, options, deadline)?;
        Ok(existed)
    }

    /// Removes `key` and returns at once with a ticket that tells when that is durable.
    ///
    /// # Errors
    /// As [`CaskTable::delete`].
    pub fn write_delete(&self, key: impl AsRef<[u8]>) -> Result<Ticket> {
        let (shard, sequence, _) = self.delete_accept(key.as_ref(), None)?;
        Ok(Ticket::new(self.shard(shard).clone(), sequence))
    }

    /// Waits for durability if it was asked for.
    #[inline]
    pub(crate) fn finish(
        &self,
        shard: usize,
        sequence: u64,
        options: &WriteOptions,
        deadline: Option<Duration>,
    ) -> Result<()> {
        self.store.finish(shard, sequence, options, deadline)
    }

    fn put_accept(
        &self,
        key: &[u8],
        value: &[u8],
        options: &WriteOptions,
        deadline: Option<Duration>,
        may_wait: bool,
    ) -> Result<(usize, u64)> {
        self.check_pair(key, value)?;
        self.check_readable()?;
        self.store.check_writable("put")?;
        let deadline_ms = self.deadline_ms(options)?;
        let packed = self.pack(value);
        let pair = Pair::new(key, value, packed.as_deref(), deadline_ms);
        let route = self.route(key);
        let shard = self.shard(route.shard);
        // It arrives while the record is appended.
        self.prefetch_put(route);
        loop {
            let outcome = {
                let mut guard = shard.lock();
                self.put_locked(&mut guard, route, &pair)
            };
            match outcome {
                Ok(sequence) => {
                    if may_wait {
                        shard.pace_if_due(true);
                    }
                    return Ok((route.shard, sequence));
                }
                Err(Obstacle::Log(Refusal::NoSegment | Refusal::QueueFull, _)) if !may_wait => {
                    shard.bell.ring();
                    return Err(Error::WouldBlock);
                }
                Err(obstacle) => self.store.overcome(shard, obstacle, deadline)?,
            }
        }
    }

    /// Stores a pair under the lock.
    pub(crate) fn put_locked(
        &self,
        guard: &mut Guard<'_, ShardState>,
        route: CaskRoute,
        pair: &Pair<'_>,
    ) -> std::result::Result<u64, Obstacle> {
        self.check_locked(guard)?;
        reserve(guard, pair.size(), Urgency::Normal)?;
        self.put_reserved(guard, route, pair, 0)
    }

    /// Appends the record and points the keydir to it; room was reserved.
    pub(crate) fn put_reserved(
        &self,
        guard: &mut Guard<'_, ShardState>,
        route: CaskRoute,
        pair: &Pair<'_>,
        flags: u8,
    ) -> std::result::Result<u64, Obstacle> {
        let at = place(guard, pair.size())?;
        let deadline = pair.deadline_ms.map(deadline_extension);
        let extension = deadline.as_ref().map_or(&[][..], |bytes| &bytes[..]);
        let (table, slot, kind, key) = (self.shared.id, SLOT_NONE, RecordKind::Put, pair.key);
        let (epoch, flags) = (guard.epoch(), flags | pair.flags);
        let sequence =
            guard.append(Append { table, slot, kind, flags, extension, key, value: pair.stored });
        let keydir = self.keydir(route.shard);
        let old = keydir.put(route.hash, at);
        keydir.note_put(pair.key, old.is_some(), pair.deadline_ms.is_some());
        let state = guard.state();
        state.counters.puts += 1;
        let (hashes, deadline_ms) = (&[route.hash], pair.deadline_ms);
        state.usage.appended(&Listed { table, kind, sequence, epoch, hashes, deadline_ms, at });
        if let Some(old) = old {
            state.usage.dead(old);
            // A value that was read is read again.
            let cache_key = CacheKey::new(table, route.hash);
            let (epoch, flags, value) = (0, 0, pair.value);
            let record =
                Record { sequence, epoch, table, slot, kind, flags, extension, key, value };
            self.store.shelves[route.shard].cache.follow(cache_key, old, at, Some(&record));
        }
        if let Some(deadline_ms) = pair.deadline_ms {
            state.expiry.add(deadline_ms, at);
        }
        Ok(sequence)
    }

    fn delete_accept(&self, key: &[u8], deadline: Option<Duration>) -> Result<(usize, u64, bool)> {
        self.check_key(key)?;
        self.check_readable()?;
        self.store.check_writable("delete")?;
        let route = self.route(key);
        let shard = self.shard(route.shard);
        loop {
            let found = self.find(route, key)?;
            let outcome = {
                let mut guard = shard.lock();
                self.delete_locked(&mut guard, route, key, found.as_ref())
            };
            match outcome {
                Ok(Deletion::Done(sequence)) => return Ok((route.shard, sequence, true)),
                // A delete that finds nothing is durable when what it saw is.
                Ok(Deletion::Nothing(sequence)) => return Ok((route.shard, sequence, false)),
                Ok(Deletion::Changed) => {}
                Err(obstacle) => self.store.overcome(shard, obstacle, deadline)?,
            }
        }
    }

    /// Removes a key under the lock, if it still stands where it was found.
    fn delete_locked(
        &self,
        guard: &mut Guard<'_, ShardState>,
        route: CaskRoute,
        key: &[u8],
        found: Option<&Found>,
    ) -> std::result::Result<Deletion, Obstacle> {
        self.check_locked(guard)?;
        let Some(found) = found else {
            return Ok(Deletion::Nothing(guard.last_sequence()));
        };
        if self.keydir(route.shard).get(route.hash) != Some(found.at) {
            return Ok(Deletion::Changed);
        }
        // Deletes give space back: they may use the last segment.
        reserve(guard, record_size(0, key.len(), 0), Urgency::Reserve)?;
        self.delete_reserved(guard, route, key, RecordKind::Delete, 0).map(Deletion::Done)
    }

    /// Appends the record of a delete or an expiry and takes the key out of the keydir; room was reserved.
    pub(crate) fn delete_reserved(
        &self,
        guard: &mut Guard<'_, ShardState>,
        route: CaskRoute,
        key: &[u8],
        kind: RecordKind,
        flags: u8,
    ) -> std::result::Result<u64, Obstacle> {
        let at = place(guard, record_size(0, key.len(), 0))?;
        let (table, epoch) = (self.shared.id, guard.epoch());
        let sequence = guard.append(Append {
            table,
            slot: SLOT_NONE,
            kind,
            flags,
            extension: &[],
            key,
            value: &[],
        });
        let keydir = self.keydir(route.shard);
        let old = keydir.remove(route.hash);
        keydir.note_removed(key);
        let state = guard.state();
        state.counters.deletes += 1;
        let (hashes, deadline_ms) = (&[route.hash], None);
        state.usage.appended(&Listed { table, kind, sequence, epoch, hashes, deadline_ms, at });
        if let Some(old) = old {
            state.usage.dead(old);
        }
        Ok(sequence)
    }

    /// When a value that is written with these options is to vanish.
    pub(crate) fn deadline_ms(&self, options: &WriteOptions) -> Result<Option<u64>> {
        options.vanishes_at(|| self.store.now_ms())
    }
}

/// What became of a delete under the lock.
enum Deletion {
    /// Logged, with this sequence.
    Done(u64),
    /// Nothing to delete; the sequence that has to be durable for that to stand.
    Nothing(u64),
    /// The key changed since it was looked at.
    Changed,
}

/// Room in the log for `size` bytes.
pub(crate) fn reserve(
    guard: &mut Guard<'_, ShardState>,
    size: usize,
    urgency: Urgency,
) -> std::result::Result<(), Obstacle> {
    match guard.reserve(size, urgency) {
        Ok(()) => Ok(()),
        Err(refusal) => Err(Obstacle::Log(refusal, guard.prepared())),
    }
}

/// The place of the next record, which has `size` bytes.
pub(crate) fn place(
    guard: &Guard<'_, ShardState>,
    size: usize,
) -> std::result::Result<Location, Obstacle> {
    let (generation, offset) = guard.next_place();
    Location::new(generation, offset, size).ok_or_else(|| {
        let reason = format!("segment {generation} is beyond what a keydir can point to");
        Obstacle::Error(Error::Limit { reason })
    })
}
