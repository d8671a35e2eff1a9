//! redb 4: one table, one commit a put; `Durability::None` in buffered rows.

use crate::engine::{Engine, Mode, Outcome, Reader};
use crate::workload::{Key, Value};
use redb::{Database, Durability, ReadOnlyTable, ReadableDatabase, TableDefinition};
use std::path::Path;

const TABLE: TableDefinition<'static, &Key, &Value> = TableDefinition::new("bench");

/// One database with one table.
pub struct Redb {
    database: Database,
    mode: Mode,
}

/// A table in one read transaction: a thread opens it once, which is the cheapest way to read.
pub struct RedbReader(ReadOnlyTable<&'static Key, &'static Value>);

impl Reader for RedbReader {
    #[inline(always)]
    fn get(&self, key: &Key) -> Outcome<Option<Value>> {
        Ok(self.0.get(key)?.map(|found| *found.value()))
    }
}

impl Redb {
    fn commit(&self, put: Option<(&Key, &Value)>, durability: Durability) -> Outcome<()> {
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

impl Engine for Redb {
    const NAME: &'static str = "redb";
    const SHARE: u64 = 4;
    type Reader<'a> = RedbReader;

    fn open(dir: &Path, mode: Mode) -> Outcome<Self> {
        let opened = Self { database: Database::create(dir.join("bench.redb"))?, mode };
        if opened.database.begin_read()?.open_table(TABLE).is_err() {
            opened.commit(None, Durability::Immediate)?;
        }
        Ok(opened)
    }

    fn reader(&self) -> Outcome<RedbReader> {
        Ok(RedbReader(self.database.begin_read()?.open_table(TABLE)?))
    }

    #[inline]
    fn put(&self, key: &Key, value: &Value) -> Outcome<()> {
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
