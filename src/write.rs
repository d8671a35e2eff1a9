//! Puts and deletes.
//!
//! A write takes the shard lock, makes sure of room in the log and of a slot, appends its record, changes the slot, releases
//! the lock, and only then waits for what its durability asks.

use crate::error::{Error, Result};
use crate::options::{Durability, WriteOptions};
use crate::shard::{Shard, ShardState};
use crate::store::StoreInner;
use crate::table::{GROUP, Route, Table};
use crate::ticket::Ticket;
use slotcask_fixed::{FixedError, FixedTable, SlotMeta};
use slotcask_format::record::{RecordKind, record_size};
use slotcask_format::slot::SlotKind;
use slotcask_log::{Append, Guard, Refusal, Urgency};
use std::sync::Arc;
use std::time::Duration;

/// Inserts between two looks at whether a table has to grow.
const INSERTS_PER_LOOK: u32 = 256;

/// Why a write could not go on under the lock.
pub(crate) enum Obstacle {
    /// The log has no room; the number of segments that were prepared is given.
    Log(Refusal, usize),
    /// The slot file of this table has no room; the pages that it had room for are given.
    Slots(u32, u32),
    /// The epoch of this opening has not begun.
    Epoch,
    /// The write cannot be.
    Error(Error),
}

impl Table {
    /// Stores `value` under `key`, replacing what was there, its deadline included.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::ValueLength`], [`Error::DiskFull`], [`Error::SlotsExhausted`], [`Error::Poisoned`],
    /// [`Error::TableDropped`], [`Error::ReadOnly`], [`Error::Closed`], [`Error::Reentered`].
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.put_with(key, value, &WriteOptions::default())
    }

    /// As [`Table::put`], with options.
    ///
    /// # Errors
    /// As [`Table::put`], and [`Error::TimedOut`]; [`Error::Deadline`] when the time to live is zero, in the past or beyond what fits,
    /// [`Error::Options`] when there is one and the table has no room for deadlines.
    pub fn put_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: &WriteOptions,
    ) -> Result<()> {
        let (key, value) = (key.as_ref(), value.as_ref());
        let vanishes_ms = self.deadline_ms(options)?;
        let deadline = self.deadline(options);
        let (shard, sequence) = self.put_accept(key, value, vanishes_ms, deadline, true)?;
        self.finish(shard, sequence, options, deadline)
    }

    /// Stores `value` under `key` and returns at once with a ticket that tells when it is durable. Waits only for room in
    /// the log.
    ///
    /// # Errors
    /// As [`Table::put`].
    pub fn write(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Ticket> {
        let (shard, sequence) = self.put_accept(key.as_ref(), value.as_ref(), 0, None, true)?;
        Ok(Ticket::new(self.store.shards[shard].clone(), sequence))
    }

    /// As [`Table::write`], but never waits for room, in the log or in the table's file. The first write of an opening begins an epoch, which
    /// syncs a file, and a writer may wait for the shard's lock.
    ///
    /// # Errors
    /// As [`Table::put`], and [`Error::WouldBlock`].
    pub fn try_write(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Ticket> {
        let (shard, sequence) = self.put_accept(key.as_ref(), value.as_ref(), 0, None, false)?;
        Ok(Ticket::new(self.store.shards[shard].clone(), sequence))
    }

    /// Removes `key`; true when it was there.
    ///
    /// # Errors
    /// As [`Table::put`].
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.delete_with(key, &WriteOptions::default())
    }

    /// As [`Table::delete`], with options.
    ///
    /// # Errors
    /// As [`Table::put`], and [`Error::TimedOut`].
    pub fn delete_with(&self, key: impl AsRef<[u8]>, options: &WriteOptions) -> Result<bool> {
        let deadline = self.deadline(options);
        let (shard, sequence, existed) = self.delete_accept(key.as_ref(), deadline)?;
        self.finish(shard, sequence, options, deadline)?;
        Ok(existed)
    }

    /// Removes `key` and returns at once with a ticket that tells when that is durable.
    ///
    /// # Errors
    /// As [`Table::put`].
    pub fn write_delete(&self, key: impl AsRef<[u8]>) -> Result<Ticket> {
        let (shard, sequence, _) = self.delete_accept(key.as_ref(), None)?;
        Ok(Ticket::new(self.store.shards[shard].clone(), sequence))
    }

    /// Stores many pairs. Each is atomic by itself; all are durable when this returns, if that was asked for. Faster than as many
    /// puts: locks are taken and memory is fetched for many at once.
    ///
    /// # Errors
    /// As [`Table::put`]; lengths are checked before the first pair is stored, and pairs before a later failure stay stored.
    pub fn put_many<K: AsRef<[u8]>, V: AsRef<[u8]>>(&self, pairs: &[(K, V)]) -> Result<()> {
        self.put_many_with(pairs, &WriteOptions::default())
    }

    /// As [`Table::put_many`], with options.
    ///
    /// # Errors
    /// As [`Table::put_many`], and as [`Table::put_with`].
    pub fn put_many_with<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        pairs: &[(K, V)],
        options: &WriteOptions,
    ) -> Result<()> {
        let vanishes_ms = self.deadline_ms(options)?;
        for (key, value) in pairs {
            self.check_key(key.as_ref())?;
            self.check_value(value.as_ref())?;
        }
        self.check_readable()?;
        self.store.check_writable("put")?;
        let deadline = self.deadline(options);
        let mut last = [None; 256];
        for group in pairs.chunks(GROUP) {
            let mut routes = [Route { shard: 0, hash: 0 }; GROUP];
            for (route, (key, _)) in routes.iter_mut().zip(group) {
                *route = self.route(key.as_ref());
            }
            let routes = &routes[..group.len()];
            self.prefetch(routes);
            let mut done = [false; GROUP];
            for at in 0..group.len() {
                if !done[at] {
                    let shard = routes[at].shard;
                    let times = (vanishes_ms, deadline);
                    last[shard] = Some(self.put_group(shard, group, routes, &mut done, times)?);
                }
            }
        }
        for (shard, sequence) in last.iter().enumerate() {
            if let Some(sequence) = sequence {
                self.finish(shard, *sequence, options, deadline)?;
            }
        }
        Ok(())
    }

    /// Stores the pairs of one group that lie on `shard`, under one holding of its lock if nothing is in the way.
    fn put_group<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        shard_at: usize,
        group: &[(K, V)],
        routes: &[Route],
        done: &mut [bool; GROUP],
        (vanishes_ms, deadline): (u64, Option<Duration>),
    ) -> Result<u64> {
        let shard = &self.store.shards[shard_at];
        let mut sequence = 0;
        loop {
            let mut obstacle = None;
            {
                let mut guard = shard.lock();
                for (at, (key, value)) in group.iter().enumerate() {
                    if done[at] || routes[at].shard != shard_at {
                        continue;
                    }
                    let (hash, key, value) = (routes[at].hash, key.as_ref(), value.as_ref());
                    match self.put_or_put_until(&mut guard, hash, key, value, vanishes_ms) {
                        Ok(given) => {
                            sequence = given;
                            done[at] = true;
                        }
                        Err(found) => {
                            obstacle = Some(found);
                            break;
                        }
                    }
                }
            }
            match obstacle {
                None => {
                    shard.pace_if_due(false);
                    return Ok(sequence);
                }
                Some(found) => self.store.overcome(shard, found, deadline)?,
            }
        }
    }

    /// When this call has to be over, in the time of the store's clock.
    pub(crate) fn deadline(&self, options: &WriteOptions) -> Option<Duration> {
        self.store.deadline(options)
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
        vanishes_ms: u64,
        deadline: Option<Duration>,
        may_wait: bool,
    ) -> Result<(usize, u64)> {
        self.check_key(key)?;
        self.check_value(value)?;
        self.check_readable()?;
        self.store.check_writable("put")?;
        let route = self.route(key);
        let shard = &self.store.shards[route.shard];
        self.reader(route.shard).prefetch(route.hash);
        loop {
            let outcome = {
                let mut guard = shard.lock();
                self.put_or_put_until(&mut guard, route.hash, key, value, vanishes_ms)
            };
            match outcome {
                Ok(sequence) => {
                    if may_wait {
                        shard.pace_if_due(false);
                    }
                    return Ok((route.shard, sequence));
                }
                Err(
                    Obstacle::Log(Refusal::NoSegment | Refusal::QueueFull, _) | Obstacle::Slots(..),
                ) if !may_wait => {
                    shard.bell.ring();
                    return Err(Error::WouldBlock);
                }
                Err(obstacle) => self.store.overcome(shard, obstacle, deadline)?,
            }
        }
    }

    /// Stores a pair under the lock; it stays when `vanishes_ms` is 0.
    #[inline]
    fn put_or_put_until(
        &self,
        guard: &mut Guard<'_, ShardState>,
        hash: u64,
        key: &[u8],
        value: &[u8],
        vanishes_ms: u64,
    ) -> std::result::Result<u64, Obstacle> {
        if vanishes_ms == 0 {
            self.put_locked(guard, hash, key, value)
        } else {
            self.put_until(guard, hash, key, value, vanishes_ms)
        }
    }

    /// Stores a pair under the lock.
    #[inline]
    pub(crate) fn put_locked(
        &self,
        guard: &mut Guard<'_, ShardState>,
        hash: u64,
        key: &[u8],
        value: &[u8],
    ) -> std::result::Result<u64, Obstacle> {
        let found = self.table_of(guard)?.find(hash, key);
        self.put_found(guard, hash, key, value, found.map(|(slot, _)| slot))
    }

    /// Stores a pair under the lock, in the slot where the key was found, or in a free one.
    #[inline]
    pub(crate) fn put_found(
        &self,
        guard: &mut Guard<'_, ShardState>,
        hash: u64,
        key: &[u8],
        value: &[u8],
        found: Option<u32>,
    ) -> std::result::Result<u64, Obstacle> {
        self.reserve(guard, record_size(0, key.len(), value.len()), Urgency::Normal)?;
        let slot = match found {
            Some(slot) => slot,
            None => self.reserve_slot(guard)?,
        };
        Ok(self.put_reserved(guard, hash, key, value, slot, found.is_some(), 0))
    }

    /// Appends the record and changes the slot; room was reserved for both.
    #[inline]
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn put_reserved(
        &self,
        guard: &mut Guard<'_, ShardState>,
        hash: u64,
        key: &[u8],
        value: &[u8],
        slot: u32,
        existed: bool,
        flags: u8,
    ) -> u64 {
        let id = self.shared.id;
        let sequence = guard.append(Append {
            table: id,
            slot,
            kind: RecordKind::Put,
            flags,
            extension: &[],
            key,
            value,
        });
        let epoch = guard.epoch();
        let state = guard.state();
        state.counters.puts += 1;
        let table =
            state.tables[id as usize].as_mut().expect("the table was there under this lock");
        let meta = SlotMeta { sequence, epoch, kind: SlotKind::Live, deadline_ms: 0 };
        table.put(hash, slot, existed, meta, key, value);
        sequence
    }

    /// A free slot for a new key.
    #[inline]
    pub(crate) fn reserve_slot(
        &self,
        guard: &mut Guard<'_, ShardState>,
    ) -> std::result::Result<u32, Obstacle> {
        let state = guard.state();
        state.inserts += 1;
        let look = state.inserts == INSERTS_PER_LOOK;
        let id = self.shared.id;
        let table =
            state.tables[id as usize].as_mut().expect("the table was there under this lock");
        let slot = table.reserve().map_err(|error| match error {
            FixedError::NoRoom { .. } => Obstacle::Slots(id, table.room().allocated_pages),
            error => Obstacle::Error(Error::of_fixed(error, 0, self.name())),
        })?;
        if look {
            let short = table.grow_plan().is_some();
            if short {
                self.ring(guard);
            } else {
                guard.state().inserts = 0;
            }
        }
        Ok(slot)
    }

    #[cold]
    fn ring(&self, guard: &Guard<'_, ShardState>) {
        guard.kick();
    }

    /// The table behind the lock, if writes may go there.
    #[inline]
    pub(crate) fn table_of<'a>(
        &self,
        guard: &'a mut Guard<'_, ShardState>,
    ) -> std::result::Result<&'a mut FixedTable, Obstacle> {
        let state = guard.state();
        if !state.epoch_open || state.closed {
            return Err(if state.closed {
                Obstacle::Error(Error::Closed)
            } else {
                Obstacle::Epoch
            });
        }
        match state.tables.get_mut(self.shared.id as usize) {
            Some(Some(table)) if state.interrupted != self.shared.id => Ok(table),
            _ => Err(Obstacle::Error(self.dropped())),
        }
    }

    /// Room in the log for `size` bytes.
    #[inline]
    pub(crate) fn reserve(
        &self,
        guard: &mut Guard<'_, ShardState>,
        size: usize,
        urgency: Urgency,
    ) -> std::result::Result<(), Obstacle> {
        match guard.reserve(size, urgency) {
            Ok(()) => Ok(()),
            Err(refusal) => Err(Obstacle::Log(refusal, guard.prepared())),
        }
    }

    fn delete_accept(&self, key: &[u8], deadline: Option<Duration>) -> Result<(usize, u64, bool)> {
        self.check_key(key)?;
        self.check_readable()?;
        self.store.check_writable("delete")?;
        let route = self.route(key);
        let shard = &self.store.shards[route.shard];
        loop {
            let outcome = {
                let mut guard = shard.lock();
                self.delete_locked(&mut guard, route.hash, key)
            };
            match outcome {
                Ok(Some(sequence)) => return Ok((route.shard, sequence, true)),
                // A delete that finds nothing is durable when what it saw is.
                Ok(None) => return Ok((route.shard, shard.lock().last_sequence(), false)),
                Err(obstacle) => self.store.overcome(shard, obstacle, deadline)?,
            }
        }
    }

    /// Removes a key under the lock; None when it is not there.
    pub(crate) fn delete_locked(
        &self,
        guard: &mut Guard<'_, ShardState>,
        hash: u64,
        key: &[u8],
    ) -> std::result::Result<Option<u64>, Obstacle> {
        let found = self.table_of(guard)?.find(hash, key);
        let Some((slot, _)) = found.filter(|(_, meta)| !self.is_over(meta)) else {
            return Ok(None);
        };
        // Deletes give space back: they may use the last segment.
        self.reserve(guard, record_size(0, key.len(), 0), Urgency::Reserve)?;
        Ok(Some(self.delete_reserved(guard, hash, key, slot, 0)))
    }

    /// Appends the record and frees the slot; room was reserved.
    pub(crate) fn delete_reserved(
        &self,
        guard: &mut Guard<'_, ShardState>,
        hash: u64,
        key: &[u8],
        slot: u32,
        flags: u8,
    ) -> u64 {
        let id = self.shared.id;
        let sequence = guard.append(Append {
            table: id,
            slot,
            kind: RecordKind::Delete,
            flags,
            extension: &[],
            key,
            value: &[],
        });
        let epoch = guard.epoch();
        let state = guard.state();
        state.counters.deletes += 1;
        let table =
            state.tables[id as usize].as_mut().expect("the table was there under this lock");
        table.delete(
            hash,
            slot,
            SlotMeta { sequence, epoch, kind: SlotKind::Tombstone, deadline_ms: 0 },
        );
        sequence
    }
}

impl StoreInner {
    /// Waits for durability if it was asked for.
    #[inline]
    pub(crate) fn finish(
        &self,
        shard: usize,
        sequence: u64,
        options: &WriteOptions,
        deadline: Option<Duration>,
    ) -> Result<()> {
        match options.durability.unwrap_or(self.durability) {
            Durability::Buffered => Ok(()),
            Durability::Sync => self.shards[shard].wait_durable(sequence, deadline),
        }
    }

    /// Does, without the lock, what a write has to wait for. The write is tried again then.
    #[cold]
    pub(crate) fn overcome(
        &self,
        shard: &Arc<Shard>,
        obstacle: Obstacle,
        deadline: Option<Duration>,
    ) -> Result<()> {
        match obstacle {
            Obstacle::Error(error) => Err(error),
            Obstacle::Epoch => self.begin_epoch(),
            Obstacle::Slots(table, pages) => shard.grow(table, pages, deadline),
            Obstacle::Log(refusal, prepared) => shard.relieve(refusal, prepared, deadline),
        }
    }
}

impl Shard {
    /// Does what a writer that the log refused has to wait for.
    pub(crate) fn relieve(
        &self,
        refusal: Refusal,
        prepared: usize,
        deadline: Option<Duration>,
    ) -> Result<()> {
        match refusal {
            Refusal::Poisoned(cause) => Err(self.poisoned(&cause)),
            Refusal::QueueFull => {
                let next = self.log.durable() + 1;
                if self.lock().last_sequence() < next {
                    // The queue was emptied meanwhile: nothing is left whose flush could be waited for.
                    return Ok(());
                }
                match self.wait_durable(next, deadline) {
                    Err(Error::TimedOut { .. }) => Err(Error::TimedOut { accepted: false }),
                    result => result,
                }
            }
            Refusal::NoSegment => {
                self.make_room(prepared, deadline)?;
                match self.log.refusal() {
                    // Room could not be made, and nothing else will make it.
                    Some(error) if self.lock().prepared() <= prepared => {
                        Err(Error::of_log(error, self.id()))
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}
