//! Cask tables in batches.

use crate::cask::shared::{CaskRoute, CaskTable};
use crate::cask::write::Pair;
use crate::error::Result;
use crate::shard::ShardState;
use crate::write::Obstacle;
use slotcask_format::record::{RecordKind, record_size};
use slotcask_log::Guard;

/// A put or delete of a cask table in a batch.
#[derive(Debug)]
pub(crate) struct CaskOperation {
    pub table: CaskTable,
    pub route: CaskRoute,
    pub key: Vec<u8>,
    /// None deletes.
    pub value: Option<Vec<u8>>,
    /// The value compressed, where that makes it shorter.
    packed: Option<Vec<u8>>,
}

impl CaskOperation {
    pub(crate) fn new(table: &CaskTable, key: &[u8], value: Option<&[u8]>) -> Result<Self> {
        table.check_pair(key, value.unwrap_or_default())?;
        Ok(Self {
            table: table.clone(),
            route: table.route(key),
            key: key.to_vec(),
            value: value.map(<[u8]>::to_vec),
            packed: value.and_then(|value| table.pack(value)),
        })
    }

    /// Bytes of its record, if what it puts vanishes then.
    pub(crate) fn size(&self, vanishes_ms: Option<u64>) -> usize {
        match &self.value {
            Some(value) => Pair::new(&self.key, value, self.packed.as_deref(), vanishes_ms).size(),
            None => record_size(0, self.key.len(), 0),
        }
    }

    /// Appends the record; room was reserved, and the table was found to be there under this lock.
    pub(crate) fn apply(
        &self,
        guard: &mut Guard<'_, ShardState>,
        flags: u8,
        vanishes_ms: Option<u64>,
    ) -> std::result::Result<u64, Obstacle> {
        match &self.value {
            Some(value) => {
                let pair = Pair::new(&self.key, value, self.packed.as_deref(), vanishes_ms);
                self.table.put_reserved(guard, self.route, &pair, flags)
            }
            // Deleted whether it is there or not: a batch does not look at the disk.
            None => {
                self.table.delete_reserved(guard, self.route, &self.key, RecordKind::Delete, flags)
            }
        }
    }
}
