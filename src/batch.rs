//! Atomic batches on one shard, over all its tables.

use crate::cask::{CaskOperation, CaskTable, place, reserve};
use crate::error::{Error, Result};
use crate::options::WriteOptions;
use crate::shard::ShardState;
use crate::store::{Store, StoreInner};
use crate::table::Table;
use crate::write::Obstacle;
use slotcask_format::mutants;
use slotcask_format::record::{
    FLAG_BATCH, FLAG_BATCH_FIRST, FLAG_BATCH_LAST, deadline_extension, record_size,
};
use slotcask_log::{Guard, Urgency};
use std::collections::HashMap;
use std::sync::Arc;

/// Writes that happen together or not at all: after a crash either all of them are there or none is. All keys must lie on
/// one shard: pin the tables, or give the keys a common prefix. Readers without a lock may see some of the writes before others.
#[derive(Debug)]
#[must_use = "a batch does nothing until it is committed"]
pub struct Batch {
    store: Arc<StoreInner>,
    shard: Option<usize>,
    operations: Vec<Operation>,
    size: usize,
    /// When what it puts vanishes; set when it is committed.
    vanishes_ms: Option<u64>,
}

#[derive(Debug)]
enum Operation {
    Fixed(FixedOperation),
    Cask(CaskOperation),
}

#[derive(Debug)]
struct FixedOperation {
    table: Table,
    hash: u64,
    key: Vec<u8>,
    /// None deletes.
    value: Option<Vec<u8>>,
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::table::Table {}
    impl Sealed for crate::cask::CaskTable {}
}

/// A table that batches can write to: [`Table`] or [`CaskTable`].
pub trait BatchTable: sealed::Sealed {
    #[doc(hidden)]
    fn stage(&self, batch: &mut Batch, key: &[u8], value: Option<&[u8]>) -> Result<()>;
    #[doc(hidden)]
    fn read(&self, batch: &Batch, key: &[u8]) -> Result<Option<Vec<u8>>>;
}

impl BatchTable for Table {
    fn stage(&self, batch: &mut Batch, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        self.check_key(key)?;
        if let Some(value) = value {
            self.check_value(value)?;
        }
        let route = self.route(key);
        batch.join(&self.store, route.shard)?;
        batch.size += record_size(0, key.len(), value.map_or(0, <[u8]>::len));
        batch.operations.push(Operation::Fixed(FixedOperation {
            table: self.clone(),
            hash: route.hash,
            key: key.to_vec(),
            value: value.map(<[u8]>::to_vec),
        }));
        Ok(())
    }

    fn read(&self, batch: &Batch, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match batch.staged(&self.store, self.shared.id, key) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => self.get(key),
        }
    }
}

impl BatchTable for CaskTable {
    fn stage(&self, batch: &mut Batch, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let operation = CaskOperation::new(self, key, value)?;
        batch.join(&self.store, operation.route.shard)?;
        batch.size += operation.size(None);
        batch.operations.push(Operation::Cask(operation));
        Ok(())
    }

    fn read(&self, batch: &Batch, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match batch.staged(&self.store, self.shared.id, key) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => self.get(key),
        }
    }
}

impl Operation {
    fn table(&self) -> u32 {
        match self {
            Self::Fixed(operation) => operation.table.shared.id,
            Self::Cask(operation) => operation.table.shared.id,
        }
    }

    fn key(&self) -> &[u8] {
        match self {
            Self::Fixed(operation) => &operation.key,
            Self::Cask(operation) => &operation.key,
        }
    }

    fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Fixed(operation) => operation.value.as_deref(),
            Self::Cask(operation) => operation.value.as_deref(),
        }
    }

    /// Bytes of its record, if what it puts vanishes then.
    fn size(&self, vanishes_ms: Option<u64>) -> usize {
        match self {
            Self::Fixed(FixedOperation { key, value, .. }) => {
                let extension = vanishes_ms.filter(|_| value.is_some()).map(deadline_extension);
                let extension_len = extension.map_or(0, |bytes| bytes.len());
                record_size(extension_len, key.len(), value.as_ref().map_or(0, Vec::len))
            }
            Self::Cask(operation) => operation.size(vanishes_ms),
        }
    }

    /// Refuses options that a put of its table would refuse.
    fn check_options(&self, options: &WriteOptions) -> Result<()> {
        match self {
            Self::Fixed(operation) if operation.value.is_some() => {
                operation.table.deadline_ms(options).map(drop)
            }
            _ => Ok(()),
        }
    }

    fn check_readable(&self) -> Result<()> {
        match self {
            Self::Fixed(operation) => operation.table.check_readable(),
            Self::Cask(operation) => operation.table.check_readable(),
        }
    }

    fn check_locked(&self, guard: &mut Guard<'_, ShardState>) -> std::result::Result<(), Obstacle> {
        match self {
            Self::Fixed(operation) => operation.table.table_of(guard).map(drop),
            Self::Cask(operation) => operation.table.check_locked(guard),
        }
    }
}

/// What an operation will do, decided before any of them is done.
enum Step {
    Put {
        at: usize,
        slot: u32,
        existed: bool,
    },
    Delete {
        at: usize,
        slot: u32,
    },
    /// Of a cask table.
    Cask {
        at: usize,
    },
}

impl Store {
    /// An empty batch.
    pub fn batch(&self) -> Batch {
        Batch {
            store: self.inner.clone(),
            shard: None,
            operations: Vec::new(),
            size: 0,
            vanishes_ms: None,
        }
    }
}

impl Batch {
    /// Adds a put.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::ValueLength`], [`Error::KeyTooLong`], [`Error::ValueTooLong`], [`Error::BatchOverShards`]; the batch stays
    /// as it was.
    pub fn put(
        &mut self,
        table: &impl BatchTable,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<&mut Self> {
        table.stage(self, key.as_ref(), Some(value.as_ref()))?;
        Ok(self)
    }

    /// Adds a delete. In a cask table it is logged whether the key is there or not.
    ///
    /// # Errors
    /// As [`Batch::put`].
    pub fn delete(&mut self, table: &impl BatchTable, key: impl AsRef<[u8]>) -> Result<&mut Self> {
        table.stage(self, key.as_ref(), None)?;
        Ok(self)
    }

    /// The value of `key` as it will be: what this batch holds for it, or else what the table holds now.
    ///
    /// # Errors
    /// As [`Table::get`] and [`CaskTable::get`].
    pub fn get(&self, table: &impl BatchTable, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        table.read(self, key.as_ref())
    }

    /// Number of operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// True when there is no operation.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Does all operations, in their order.
    ///
    /// # Errors
    /// As [`Table::put`], and [`Error::BatchTooLarge`]. Then none was done; except that after [`Error::Poisoned`] it is unknown
    /// whether the next opening finds all of them or none.
    pub fn commit(self) -> Result<()> {
        self.commit_with(&WriteOptions::default())
    }

    /// As [`Batch::commit`], with options. A time to live or a deadline is that of all values that the batch puts.
    ///
    /// # Errors
    /// As [`Batch::commit`], [`Error::TimedOut`], [`Error::Deadline`]; [`Error::Options`] when values are to vanish and one of them goes to a fixed table without
    /// room for deadlines.
    pub fn commit_with(mut self, options: &WriteOptions) -> Result<()> {
        self.store.check_writable("commit a batch")?;
        let Some(at) = self.shard else { return Ok(()) };
        for operation in &self.operations {
            operation.check_options(options)?;
        }
        self.vanishes_ms = options.vanishes_at(|| self.store.now_ms())?;
        if self.vanishes_ms.is_some() {
            let sizes = self.operations.iter().map(|operation| operation.size(self.vanishes_ms));
            self.size = sizes.sum();
        }
        let shard = &self.store.shards[at];
        let max = shard.log.config().batch_len_max();
        if self.size > max {
            return Err(Error::BatchTooLarge { found: self.size, max });
        }
        for operation in &self.operations {
            operation.check_readable()?;
        }
        let store = &self.store;
        let deadline = store.deadline(options);
        let sequence = loop {
            let outcome = {
                let mut guard = shard.lock();
                self.apply(&mut guard)
            };
            match outcome {
                Ok(sequence) => break sequence,
                Err(obstacle) => store.overcome(shard, obstacle, deadline)?,
            }
        };
        let is_cask = |operation: &Operation| matches!(operation, Operation::Cask(_));
        shard.pace_if_due(self.operations.iter().any(is_cask));
        store.finish(at, sequence, options, deadline)
    }

    /// Makes sure that a table's key belongs into this batch.
    fn join(&mut self, store: &Arc<StoreInner>, shard: usize) -> Result<()> {
        if !Arc::ptr_eq(store, &self.store) {
            return Err(Error::Options {
                option: "batch",
                reason: "the table belongs to another store".to_owned(),
            });
        }
        self.store.check_writable("write")?;
        match self.shard {
            Some(first) if first != shard => {
                Err(Error::BatchOverShards { first: first as u32, second: shard as u32 })
            }
            _ => {
                self.shard = Some(shard);
                Ok(())
            }
        }
    }

    /// What this batch holds for a key: its last put, or `None` inside for a delete.
    fn staged(&self, store: &Arc<StoreInner>, table: u32, key: &[u8]) -> Option<Option<&[u8]>> {
        if !Arc::ptr_eq(store, &self.store) {
            return None;
        }
        let mut newest = self.operations.iter().rev();
        let found =
            newest.find(|operation| operation.table() == table && operation.key() == key)?;
        Some(found.value())
    }

    fn apply(&self, guard: &mut Guard<'_, ShardState>) -> std::result::Result<u64, Obstacle> {
        for operation in &self.operations {
            operation.check_locked(guard)?;
        }
        // All records of a batch go into one flush.
        reserve(guard, self.size, Urgency::Normal)?;
        // Refused before anything is appended, should the keydirs be unable to point there.
        place(guard, self.size)?;
        let mut reserved: Vec<(usize, u32)> = Vec::new();
        let steps = match self.plan(guard, &mut reserved) {
            Ok(steps) => steps,
            Err(obstacle) => {
                // Back in reverse order, so that the free list is as it was.
                for (at, slot) in reserved.into_iter().rev() {
                    if let Operation::Fixed(operation) = &self.operations[at]
                        && let Ok(table) = operation.table.table_of(guard)
                    {
                        table.unreserve(slot);
                    }
                }
                return Err(obstacle);
            }
        };
        guard.state().counters.batches += 1;
        let mut sequence = guard.last_sequence();
        let last = steps.len().saturating_sub(1);
        for (number, step) in steps.iter().enumerate() {
            let mut flags = if steps.len() == 1 { 0 } else { FLAG_BATCH };
            if steps.len() > 1 && number == 0 {
                flags |= FLAG_BATCH_FIRST;
            }
            if steps.len() > 1 && number == last {
                flags |= FLAG_BATCH_LAST;
            }
            if number > 0 && mutants::active("split_batch") {
                guard.split_flush();
                let _ = reserve(guard, self.size, Urgency::Reserve);
            }
            sequence = self.step(guard, step, flags)?;
        }
        Ok(sequence)
    }

    fn step(
        &self,
        guard: &mut Guard<'_, ShardState>,
        step: &Step,
        flags: u8,
    ) -> std::result::Result<u64, Obstacle> {
        let (Step::Put { at, .. } | Step::Delete { at, .. } | Step::Cask { at }) = *step;
        let operation = match &self.operations[at] {
            Operation::Cask(operation) => return operation.apply(guard, flags, self.vanishes_ms),
            Operation::Fixed(operation) => operation,
        };
        let (table, hash, key) = (&operation.table, operation.hash, &operation.key);
        Ok(match *step {
            Step::Put { slot, existed, .. } => {
                let value = operation.value.as_deref().unwrap_or_default();
                match self.vanishes_ms {
                    None => table.put_reserved(guard, hash, key, value, slot, existed, flags),
                    Some(deadline_ms) => {
                        let found = table.table_of(guard)?.find(hash, key).filter(|_| existed);
                        let before_ms = found.map_or(0, |(_, meta)| meta.deadline_ms);
                        let times = (before_ms, deadline_ms);
                        table.put_reserved_until(
                            guard,
                            hash,
                            key,
                            value,
                            (slot, existed),
                            times,
                            flags,
                        )
                    }
                }
            }
            Step::Delete { slot, .. } => table.delete_reserved(guard, hash, key, slot, flags),
            Step::Cask { .. } => unreachable!("cask operations were applied above"),
        })
    }

    /// Decides what each operation does and reserves its slot. Later operations see earlier ones.
    fn plan(
        &self,
        guard: &mut Guard<'_, ShardState>,
        reserved: &mut Vec<(usize, u32)>,
    ) -> std::result::Result<Vec<Step>, Obstacle> {
        let mut steps = Vec::with_capacity(self.operations.len());
        // Slot of each key as the operations so far leave it.
        let mut overlay: HashMap<(u32, &[u8]), Option<u32>> = HashMap::new();
        for (at, operation) in self.operations.iter().enumerate() {
            let operation = match operation {
                Operation::Fixed(operation) => operation,
                Operation::Cask(_) => {
                    steps.push(Step::Cask { at });
                    continue;
                }
            };
            let table = &operation.table;
            let name = (table.shared.id, operation.key.as_slice());
            let found = match overlay.get(&name) {
                Some(slot) => *slot,
                None => table
                    .table_of(guard)?
                    .find(operation.hash, &operation.key)
                    .map(|(slot, _)| slot),
            };
            match (&operation.value, found) {
                (Some(_), Some(slot)) => {
                    steps.push(Step::Put { at, slot, existed: true });
                    overlay.insert(name, Some(slot));
                }
                (Some(_), None) => {
                    let slot = table.reserve_slot(guard)?;
                    reserved.push((at, slot));
                    steps.push(Step::Put { at, slot, existed: false });
                    overlay.insert(name, Some(slot));
                }
                (None, Some(slot)) => {
                    steps.push(Step::Delete { at, slot });
                    overlay.insert(name, None);
                }
                (None, None) => {}
            }
        }
        Ok(steps)
    }
}
