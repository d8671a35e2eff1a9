//! slotcask: one ordered table of either kind, otherwise as the tables that are not.

use super::slotcask::open_waiting;
use crate::cask::{CaskEngine, CaskReader, Setup};
use crate::engine::{Engine, Mode, Outcome, Reader};
use crate::ordered::RangeReader;
use crate::workload::{Key, Value};
use slotcask::{CaskOptions, CaskTable, Durability, FixedMap, Options, Range, Store, TableOptions};
use std::path::Path;

/// Name of the table.
const TABLE: &str = "bench";

impl SlotcaskOrdered {
    /// The table.
    #[must_use]
    pub const fn map(&self) -> &FixedMap<Key, Value> {
        &self.map
    }
}

impl SlotcaskOrderedCask {
    /// The table.
    #[must_use]
    pub const fn table(&self) -> &CaskTable {
        &self.table
    }
}

fn options(mode: Mode) -> Options {
    Options::new().durability(match mode {
        Mode::Buffered => Durability::Buffered,
        Mode::Sync => Durability::Sync,
    })
}

fn each_key<T: slotcask::OrderedTable>(
    range: Range<T>,
    mut each: impl FnMut(&[u8]),
) -> Outcome<()> {
    let mut keys = range.keys();
    while let Some(key) = keys.next_ref()? {
        each(key);
    }
    Ok(())
}

fn each_pair<T: slotcask::OrderedTable>(
    mut range: Range<T>,
    mut each: impl FnMut(&[u8], &[u8]),
) -> Outcome<()> {
    while let Some((key, value)) = range.next_ref()? {
        each(key, value);
    }
    Ok(())
}

/// One store with one fixed table.
pub struct SlotcaskOrdered {
    store: Store,
    map: FixedMap<Key, Value>,
}

impl Reader for &SlotcaskOrdered {
    #[inline(always)]
    fn get(&self, key: &Key) -> Outcome<Option<Value>> {
        Ok(self.map.get(key)?)
    }
}

impl RangeReader for &SlotcaskOrdered {
    #[inline]
    fn keys(&self, from: &Key, to: &Key, each: impl FnMut(&[u8])) -> Outcome<()> {
        each_key(self.map.table().range(*from..=*to)?, each)
    }

    #[inline]
    fn pairs(&self, from: &Key, to: &Key, each: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        each_pair(self.map.table().range(*from..=*to)?, each)
    }
}

impl Engine for SlotcaskOrdered {
    const NAME: &'static str = "slotcask";
    type Reader<'a> = &'a Self;

    fn open(dir: &Path, mode: Mode) -> Outcome<Self> {
        let store = open_waiting(&options(mode), dir)?;
        let shape = TableOptions::fixed(size_of::<Key>(), size_of::<Value>()).ordered(true);
        let map = FixedMap::of(store.create_table(TABLE, shape)?)?;
        Ok(Self { store, map })
    }

    fn reader(&self) -> Outcome<&Self> {
        Ok(self)
    }

    #[inline]
    fn put(&self, key: &Key, value: &Value) -> Outcome<()> {
        Ok(self.map.put(key, value)?)
    }

    fn settle(&self) -> Outcome<()> {
        self.store.sync()?;
        Ok(self.store.checkpoint()?)
    }

    fn close(self) -> Outcome<()> {
        Ok(self.store.close()?)
    }
}

/// One store with one cask table.
pub struct SlotcaskOrderedCask {
    store: Store,
    table: CaskTable,
}

impl CaskReader for &SlotcaskOrderedCask {
    #[inline]
    fn get_with<T>(&self, key: &Key, f: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(self.table.get_with(key, f)?)
    }
}

impl RangeReader for &SlotcaskOrderedCask {
    #[inline]
    fn keys(&self, from: &Key, to: &Key, each: impl FnMut(&[u8])) -> Outcome<()> {
        each_key(self.table.range(*from..=*to)?, each)
    }

    #[inline]
    fn pairs(&self, from: &Key, to: &Key, each: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        each_pair(self.table.range(*from..=*to)?, each)
    }
}

impl CaskEngine for SlotcaskOrderedCask {
    const NAME: &'static str = "slotcask";
    type Reader<'a> = &'a Self;

    fn open(dir: &Path, setup: Setup) -> Outcome<Self> {
        let mut options = options(setup.mode);
        if let Some(bytes) = setup.cache {
            options = options.value_cache(bytes);
        }
        let store = open_waiting(&options, dir)?;
        let table = store.create_cask(TABLE, &CaskOptions::new().ordered(true))?;
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

    fn close(self) -> Outcome<()> {
        Ok(self.store.close()?)
    }
}
