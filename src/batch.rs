//! Atomic batches on one shard, over all its tables.

use crate::error::{Error, Result};
use crate::options::WriteOptions;
use crate::shard::ShardState;
use crate::store::{Store, StoreInner};
use crate::table::Table;
use crate::write::Obstacle;
use slotcask_format::mutants;
use slotcask_format::record::{FLAG_BATCH, FLAG_BATCH_FIRST, FLAG_BATCH_LAST, record_size};
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
}

#[derive(Debug)]
struct Operation {
    table: Table,
    hash: u64,
    key: Vec<u8>,
    /// None deletes.
    value: Option<Vec<u8>>,
}

/// What an operation will do, decided before any of them is done.
enum Step {
    Put { at: usize, slot: u32, existed: bool },
    Delete { at: usize, slot: u32 },
}

impl Store {
    /// An empty batch.
    pub fn batch(&self) -> Batch {
        Batch { store: self.inner.clone(), shard: None, operations: Vec::new(), size: 0 }
    }
}

impl Batch {
    /// Adds a put.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::ValueLength`], [`Error::BatchOverShards`]; the batch stays as it was.
    pub fn put(
        &mut self,
        table: &Table,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<&mut Self> {
        table.check_value(value.as_ref())?;
        self.add(table, key.as_ref(), Some(value.as_ref()))
    }

    /// Adds a delete.
    ///
    /// # Errors
    /// As [`Batch::put`].
    pub fn delete(&mut self, table: &Table, key: impl AsRef<[u8]>) -> Result<&mut Self> {
        self.add(table, key.as_ref(), None)
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

    /// As [`Batch::commit`], with options.
    ///
    /// # Errors
    /// As [`Batch::commit`], and [`Error::TimedOut`].
    pub fn commit_with(self, options: &WriteOptions) -> Result<()> {
        self.store.check_writable("commit a batch")?;
        let Some(at) = self.shard else { return Ok(()) };
        let shard = &self.store.shards[at];
        let max = shard.log.config().batch_len_max();
        if self.size > max {
            return Err(Error::BatchTooLarge { found: self.size, max });
        }
        let table = &self.operations[0].table;
        for operation in &self.operations {
            operation.table.check_readable()?;
        }
        let deadline = table.deadline(options);
        let sequence = loop {
            let outcome = {
                let mut guard = shard.lock();
                self.apply(&mut guard)
            };
            match outcome {
                Ok(sequence) => break sequence,
                Err(obstacle) => table.overcome(shard, obstacle, deadline)?,
            }
        };
        table.finish(at, sequence, options, deadline)
    }

    fn add(&mut self, table: &Table, key: &[u8], value: Option<&[u8]>) -> Result<&mut Self> {
        table.check_key(key)?;
        if !Arc::ptr_eq(&table.store, &self.store) {
            return Err(Error::Options {
                option: "batch",
                reason: "the table belongs to another store".to_owned(),
            });
        }
        self.store.check_writable("write")?;
        let route = table.route(key);
        match self.shard {
            Some(first) if first != route.shard => {
                return Err(Error::BatchOverShards {
                    first: first as u32,
                    second: route.shard as u32,
                });
            }
            _ => self.shard = Some(route.shard),
        }
        self.size += record_size(0, key.len(), value.map_or(0, <[u8]>::len));
        let value = value.map(<[u8]>::to_vec);
        self.operations.push(Operation {
            table: table.clone(),
            hash: route.hash,
            key: key.to_vec(),
            value,
        });
        Ok(self)
    }

    fn apply(&self, guard: &mut Guard<'_, ShardState>) -> std::result::Result<u64, Obstacle> {
        let first = &self.operations[0].table;
        for operation in &self.operations {
            operation.table.table_of(guard)?;
        }
        // All records of a batch go into one flush.
        first.reserve(guard, self.size, Urgency::Normal)?;
        let mut reserved: Vec<(usize, u32)> = Vec::new();
        let steps = match self.plan(guard, &mut reserved) {
            Ok(steps) => steps,
            Err(obstacle) => {
                // Back in reverse order, so that the free list is as it was.
                for (at, slot) in reserved.into_iter().rev() {
                    if let Ok(table) = self.operations[at].table.table_of(guard) {
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
                let _ = first.reserve(guard, self.size, Urgency::Reserve);
            }
            match *step {
                Step::Put { at, slot, existed } => {
                    let operation = &self.operations[at];
                    let value = operation.value.as_deref().unwrap_or_default();
                    sequence = operation.table.put_reserved(
                        guard,
                        operation.hash,
                        &operation.key,
                        value,
                        slot,
                        existed,
                        flags,
                    );
                }
                Step::Delete { at, slot } => {
                    let operation = &self.operations[at];
                    sequence = operation.table.delete_reserved(
                        guard,
                        operation.hash,
                        &operation.key,
                        slot,
                        flags,
                    );
                }
            }
        }
        Ok(sequence)
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
