//! fjall 3: one keyspace with defaults; `persist(SyncData)` after each insert in sync rows.

use crate::engine::{Engine, Mode, Outcome, Reader};
use crate::workload::{Key, Value};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::path::Path;

/// One database with one keyspace.
pub struct Fjall {
    database: Database,
    keyspace: Keyspace,
    mode: Mode,
}

impl Reader for &Fjall {
    #[inline(always)]
    fn get(&self, key: &Key) -> Outcome<Option<Value>> {
        match self.keyspace.get(key)? {
            Some(found) => Ok(Some(Value::try_from(&*found)?)),
            None => Ok(None),
        }
    }
}

impl Engine for Fjall {
    const NAME: &'static str = "fjall";
    const SHARE: u64 = 4;
    type Reader<'a> = &'a Self;

    fn open(dir: &Path, mode: Mode) -> Outcome<Self> {
        let database = Database::builder(dir).open()?;
        let keyspace = database.keyspace("bench", KeyspaceCreateOptions::default)?;
        Ok(Self { database, keyspace, mode })
    }

    fn reader(&self) -> Outcome<&Self> {
        Ok(self)
    }

    #[inline]
    fn put(&self, key: &Key, value: &Value) -> Outcome<()> {
        self.keyspace.insert(key, value)?;
        if self.mode == Mode::Sync {
            self.database.persist(PersistMode::SyncData)?;
        }
        Ok(())
    }

    fn settle(&self) -> Outcome<()> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    fn close(self) -> Outcome<()> {
        self.settle()
    }
}
