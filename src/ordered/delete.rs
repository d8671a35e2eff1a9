//! Range deletes: one record a shard, which names what it removed.

use crate::cask::{CaskTable, place, reserve};
use crate::error::{Error, Result};
use crate::options::WriteOptions;
use crate::ordered::range::prefix_end;
use crate::ordered::tables::OrderedTable;
use crate::shard::ShardState;
use crate::store::StoreInner;
use crate::table::Table;
use crate::write::Obstacle;
use slotcask_cask::{KeyHash, Listed};
use slotcask_fixed::SlotMeta;
use slotcask_format::mutants;
use slotcask_format::range_delete::{KeyMark, RangeDelete, Removed};
use slotcask_format::record::{KEY_LEN_MAX, RecordKind, SLOT_NONE, VALUE_LEN_MAX, record_size};
use slotcask_format::slot::SlotKind;
use slotcask_log::{Append, Guard, Urgency};
use slotcask_ordered::{CHUNK_BYTES_MAX, Chunk, Direction, Order};
use std::ops::{Bound, RangeBounds};
use zerocopy::little_endian::U32;

/// A range as the log writes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RangeOf {
    /// The first key of it.
    from: Vec<u8>,
    /// The first key behind it.
    to: Option<Vec<u8>>,
}

impl RangeOf {
    pub(crate) fn new<K: AsRef<[u8]>>(
        table: &str,
        record_max: usize,
        bounds: impl RangeBounds<K>,
    ) -> Result<Self> {
        let from = match bounds.start_bound() {
            Bound::Unbounded => Vec::new(),
            Bound::Included(key) => key.as_ref().to_vec(),
            Bound::Excluded(key) => match behind(key.as_ref()) {
                Some(from) => from,
                // Behind the last of all keys: nothing.
                None => return Ok(Self { from: Vec::new(), to: Some(Vec::new()) }),
            },
        };
        let to = match bounds.end_bound() {
            Bound::Unbounded => None,
            Bound::Included(key) => behind(key.as_ref()),
            Bound::Excluded(key) => Some(key.as_ref().to_vec()),
        };
        Self { from, to }.checked(table, record_max)
    }

    pub(crate) fn prefix(table: &str, record_max: usize, prefix: &[u8]) -> Result<Self> {
        Self { from: prefix.to_vec(), to: prefix_end(prefix) }.checked(table, record_max)
    }

    /// Both ends of the range and one key stand in a record, of at most `record_max` bytes.
    fn checked(self, table: &str, record_max: usize) -> Result<Self> {
        let (from, to) = (self.from.len(), self.end().map_or(0, <[u8]>::len));
        let found = from.max(to);
        let size = |from, to| record_size(0, from, RangeDelete::size(to, 1, true)) + 8;
        if found <= KEY_LEN_MAX && size(from, to) <= record_max {
            return Ok(self);
        }
        let max = KEY_LEN_MAX.min(record_max.saturating_sub(size(0, 0)) / 2);
        Err(Error::KeyTooLong { table: table.to_owned(), max, found })
    }

    fn end(&self) -> Option<&[u8]> {
        self.to.as_deref()
    }

    /// The keys of the range on a shard, or `None` when they are more than `max`, or have a gibibyte together.
    fn keys(&self, order: &Order, max: usize) -> Option<Chunk> {
        let mut chunk = order.chunk();
        let mut to = self.end().map_or(Bound::Unbounded, Bound::Excluded);
        if let (Bound::Excluded(end), true) = (to, mutants::active("range_includes_end")) {
            to = Bound::Included(end);
        }
        let from = Bound::Included(self.from.as_slice());
        order.read(from, to, Direction::Ascending, max + 1, &mut chunk);
        let is_whole = chunk.len() <= max && chunk.keys.bytes_len() < CHUNK_BYTES_MAX;
        is_whole.then_some(chunk)
    }

    /// Most keys that a record can name.
    fn count_max(&self, store: &StoreInner, is_cask: bool) -> usize {
        let end_len = self.end().map_or(0, <[u8]>::len);
        let empty = RangeDelete::size(end_len, 0, is_cask);
        let each = RangeDelete::size(end_len, 1, is_cask) - empty;
        let room = store.batch_len_max.saturating_sub(record_size(0, self.from.len(), empty) + 8);
        room.min(VALUE_LEN_MAX - empty) / each
    }

    fn append(&self, guard: &mut Guard<'_, ShardState>, table: u32, value: &[u8]) -> u64 {
        guard.append(Append {
            table,
            slot: SLOT_NONE,
            kind: RecordKind::RangeDelete,
            flags: 0,
            extension: &[],
            key: &self.from,
            value,
        })
    }
}

/// The first key behind `key`; `None` when no key can be.
fn behind(key: &[u8]) -> Option<Vec<u8>> {
    if key.len() == KEY_LEN_MAX {
        // Nothing begins with it but itself.
        return prefix_end(key);
    }
    // No key lies between one and the same with a zero behind it.
    Some([key, &[0]].concat())
}

/// A table whose ranges can be deleted.
pub(crate) trait DeleteRange: OrderedTable {
    fn store(&self) -> &StoreInner;
    /// Removes the range from a shard under its lock; gives the sequence that has to be durable, and the number of keys.
    fn delete_locked(
        &self,
        guard: &mut Guard<'_, ShardState>,
        shard: usize,
        range: &RangeOf,
    ) -> std::result::Result<(u64, u64), Obstacle>;
}

pub(crate) fn delete_range<T: DeleteRange>(
    table: &T,
    range: &RangeOf,
    options: &WriteOptions,
) -> Result<u64> {
    let sources = table.sources()?;
    let store = table.store();
    store.check_writable("delete a range")?;
    let deadline = store.deadline(options);
    let mut removed = 0;
    let mut sequences = Vec::with_capacity(sources.len());
    for (number, _) in sources {
        let shard = &store.shards[number];
        let (sequence, count) = loop {
            let outcome = {
                let mut guard = shard.lock();
                table.delete_locked(&mut guard, number, range)
            };
            match outcome {
                Ok(done) => break done,
                Err(obstacle) => store.overcome(shard, obstacle, deadline)?,
            }
        };
        removed += count;
        sequences.push((number, sequence));
    }
    for (shard, sequence) in sequences {
        store.finish(shard, sequence, options, deadline)?;
    }
    Ok(removed)
}

impl DeleteRange for Table {
    fn store(&self) -> &StoreInner {
        &self.store
    }

    fn delete_locked(
        &self,
        guard: &mut Guard<'_, ShardState>,
        shard: usize,
        range: &RangeOf,
    ) -> std::result::Result<(u64, u64), Obstacle> {
        let table = self.table_of(guard)?;
        let order = table.order().expect("the table is ordered").clone();
        let max = range.count_max(&self.store, false);
        let found = range.keys(&order, max).ok_or_else(|| too_large(self.name(), shard, max))?;
        if found.is_empty() {
            return Ok((guard.last_sequence(), 0));
        }
        let mut slots: Vec<U32> = found.slots.iter().map(|slot| U32::new(*slot)).collect();
        slots.sort_unstable_by_key(|slot| slot.get());
        let removed = Removed::Slots(&slots);
        let value = RangeDelete { end: range.end(), removed }.encode();
        // Deletes give space back: they may use the last segment.
        self.reserve(guard, record_size(0, range.from.len(), value.len()), Urgency::Reserve)?;
        let sequence = range.append(guard, self.shared.id, &value);
        let meta =
            SlotMeta { sequence, epoch: guard.epoch(), kind: SlotKind::Tombstone, deadline_ms: 0 };
        let state = guard.state();
        state.counters.deletes += found.len() as u64;
        let table = state.table(self.shared.id).expect("the table was there under this lock");
        for (key, slot) in found.keys.iter().zip(&found.slots) {
            table.delete(self.route(key).hash, *slot, meta);
        }
        Ok((sequence, found.len() as u64))
    }
}

impl DeleteRange for CaskTable {
    fn store(&self) -> &StoreInner {
        &self.store
    }

    fn delete_locked(
        &self,
        guard: &mut Guard<'_, ShardState>,
        shard: usize,
        range: &RangeOf,
    ) -> std::result::Result<(u64, u64), Obstacle> {
        self.check_locked(guard)?;
        let keydir = self.keydir(shard);
        let order = keydir.order().expect("the table is ordered");
        let max = range.count_max(&self.store, true);
        let found = range.keys(order, max).ok_or_else(|| too_large(self.name(), shard, max))?;
        if found.is_empty() {
            return Ok((guard.last_sequence(), 0));
        }
        let seed = self.store.hash_seed;
        let mut hashes: Vec<KeyHash> =
            found.keys.iter().map(|key| KeyHash::of(seed, key)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let marks: Vec<KeyMark> = hashes.iter().map(|hash| hash.mark()).collect();
        let removed = Removed::Keys(&marks);
        let value = RangeDelete { end: range.end(), removed }.encode();
        let size = record_size(0, range.from.len(), value.len());
        // Deletes give space back: they may use the last segment.
        reserve(guard, size, Urgency::Reserve)?;
        let at = place(guard, size)?;
        let (table, epoch) = (self.shared.id, guard.epoch());
        let sequence = range.append(guard, table, &value);
        let state = guard.state();
        state.counters.deletes += found.len() as u64;
        let (kind, hashes, deadline_ms) = (RecordKind::RangeDelete, &hashes[..], None);
        state.usage.appended(&Listed { table, kind, sequence, epoch, hashes, deadline_ms, at });
        for hash in hashes {
            if let Some(old) = keydir.remove(*hash) {
                state.usage.dead(old);
            }
        }
        for key in found.keys.iter() {
            order.remove(key);
        }
        Ok((sequence, found.len() as u64))
    }
}

#[cold]
fn too_large(table: &str, shard: usize, max: usize) -> Obstacle {
    Obstacle::Error(Error::RangeTooLarge { table: table.to_owned(), shard: shard as u32, max })
}
