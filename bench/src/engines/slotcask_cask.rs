//! slotcask: one cask table, all options at their defaults but the durability and the cache that the row names.

use super::slotcask::open_waiting;
use crate::cask::{CaskEngine, CaskReader, Setup};
use crate::engine::{Mode, Outcome};
use crate::workload::Key;
use slotcask::{CaskTable, Durability, Options, Store, WriteOptions};
use std::path::Path;
use std::time::Duration;

/// Name of the table.
const TABLE: &str = "bench";

/// One store with one cask table.
pub struct SlotcaskCask {
    store: Store,
    table: CaskTable,
}

impl CaskReader for &SlotcaskCask {
    #[inline]
    fn get_with<T>(&self, key: &Key, f: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(self.table.get_with(key, f)?)
    }
}

impl SlotcaskCask {
    /// The table.
    #[must_use]
    pub const fn table(&self) -> &CaskTable {
        &self.table
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Puts without waiting for the device, whatever durability the store was opened with.
    ///
    /// # Errors
    /// The engine's.
    #[inline]
    pub fn put_buffered(&self, key: &[u8], value: &[u8], ttl: Option<Duration>) -> Outcome<()> {
        let mut options = WriteOptions::default().durability(Durability::Buffered);
        if let Some(ttl) = ttl {
            options = options.ttl(ttl);
        }
        Ok(self.table.put_with(key, value, &options)?)
    }
}

impl CaskEngine for SlotcaskCask {
    const NAME: &'static str = "slotcask";
    type Reader<'a> = &'a Self;

    fn open(dir: &Path, setup: Setup) -> Outcome<Self> {
        let mut options = Options::new().durability(match setup.mode {
            Mode::Buffered => Durability::Buffered,
            Mode::Sync => Durability::Sync,
        });
        if let Some(bytes) = setup.cache {
            options = options.value_cache(bytes);
        }
        let store = open_waiting(&options, dir)?;
        let table = store.cask(TABLE)?;
        Ok(Self { store, table })
    }

    fn reader(&self) -> Outcome<&Self> {
        Ok(self)
    }

    #[inline]
    fn put(&self, key: &Key, value: &[u8]) -> Outcome<()> {
        Ok(self.table.put(key, value)?)
    }

    fn settle(&self) -> Outcome<()> {
        self.store.sync()?;
        Ok(self.store.checkpoint()?)
    }

    fn records_recovered(&self) -> u64 {
        self.store.recovery().shards.iter().map(|shard| shard.records_read).sum()
    }

    fn close(self) -> Outcome<()> {
        Ok(self.store.close()?)
    }
}
