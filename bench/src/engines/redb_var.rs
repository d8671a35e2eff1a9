//! redb 4 with values of any length: one table, one commit a put; `Durability::None` in buffered rows.

use crate::cask::{CaskEngine, CaskReader, Setup};
use crate::engine::{Mode, Outcome};
use crate::ordered::RangeReader;
use crate::workload::Key;
use redb::{Database, Durability, ReadOnlyTable, ReadableDatabase, TableDefinition};
use std::path::Path;

const TABLE: TableDefinition<'static, &Key, &[u8]> = TableDefinition::new("bench");

/// One database with one table.
pub struct RedbVar {
    database: Database,
    mode: Mode,
}

/// A table in one read transaction: a thread opens it once, which is the cheapest way to read.
pub struct RedbVarReader(ReadOnlyTable<&'static Key, &'static [u8]>);

impl CaskReader for RedbVarReader {
    #[inline]
    fn get_with<T>(&self, key: &Key, f: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(self.0.get(key)?.map(|found| f(found.value())))
    }
}

impl RangeReader for RedbVarReader {
    #[inline]
    fn keys(&self, from: &Key, to: &Key, mut each: impl FnMut(&[u8])) -> Outcome<()> {
        for found in self.0.range::<&Key>(from..=to)? {
            each(found?.0.value());
        }
        Ok(())
    }

    #[inline]
    fn pairs(&self, from: &Key, to: &Key, mut each: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        for found in self.0.range::<&Key>(from..=to)? {
            let (key, value) = found?;
            each(key.value(), value.value());
        }
        Ok(())
    }
}

impl RedbVar {
    fn commit(&self, put: Option<(&Key, &[u8])>, durability: Durability) -> Outcome<()> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability)?;
        {
            let mut table = transaction.open_table(TABLE)?;
            if let Some((key, value)) = put {
                table.insert(key, value)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

impl CaskEngine for RedbVar {
    const NAME: &'static str = "redb";
    const SHARE: u64 = 4;
    type Reader<'a> = RedbVarReader;

    fn open(dir: &Path, setup: Setup) -> Outcome<Self> {
        let mut builder = Database::builder();
        if let Some(bytes) = setup.cache {
            builder.set_cache_size(usize::try_from(bytes)?);
        }
        let opened = Self { database: builder.create(dir.join("bench.redb"))?, mode: setup.mode };
        if opened.database.begin_read()?.open_table(TABLE).is_err() {
            opened.commit(None, Durability::Immediate)?;
        }
        Ok(opened)
    }

    fn reader(&self) -> Outcome<RedbVarReader> {
        Ok(RedbVarReader(self.database.begin_read()?.open_table(TABLE)?))
    }

    #[inline]
    fn put(&self, key: &Key, value: &[u8]) -> Outcome<()> {
        let durability = match self.mode {
            Mode::Buffered => Durability::None,
            Mode::Sync => Durability::Immediate,
        };
        self.commit(Some((key, value)), durability)
    }

    fn settle(&self) -> Outcome<()> {
        self.commit(None, Durability::Immediate)
    }

    fn close(self) -> Outcome<()> {
        self.settle()
    }
}
