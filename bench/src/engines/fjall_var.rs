//! fjall 3 with key-value separation: values from 1 KiB go to blob files; `persist(SyncData)` after each insert in sync rows.

use crate::cask::{CaskEngine, CaskReader, Setup};
use crate::engine::{Mode, Outcome};
use crate::ordered::RangeReader;
use crate::workload::Key;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use std::path::Path;

/// One database with one keyspace.
pub struct FjallVar {
    database: Database,
    keyspace: Keyspace,
    mode: Mode,
}

impl CaskReader for &FjallVar {
    #[inline]
    fn get_with<T>(&self, key: &Key, f: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(self.keyspace.get(key)?.map(|found| f(&found)))
    }
}

impl RangeReader for &FjallVar {
    #[inline]
    fn keys(&self, from: &Key, to: &Key, mut each: impl FnMut(&[u8])) -> Outcome<()> {
        for found in self.keyspace.range(*from..=*to) {
            each(&found.key()?);
        }
        Ok(())
    }

    #[inline]
    fn pairs(&self, from: &Key, to: &Key, mut each: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        for found in self.keyspace.range(*from..=*to) {
            let (key, value) = found.into_inner()?;
            each(&key, &value);
        }
        Ok(())
    }
}

impl CaskEngine for FjallVar {
    const NAME: &'static str = "fjall";
    const SHARE: u64 = 4;
    type Reader<'a> = &'a Self;

    fn open(dir: &Path, setup: Setup) -> Outcome<Self> {
        let mut builder = Database::builder(dir);
        if let Some(bytes) = setup.cache {
            builder = builder.cache_size(bytes);
        }
        let database = builder.open()?;
        let keyspace = database.keyspace("bench", || {
            KeyspaceCreateOptions::default()
                .with_kv_separation(Some(KvSeparationOptions::default()))
        })?;
        Ok(Self { database, keyspace, mode: setup.mode })
    }

    fn reader(&self) -> Outcome<&Self> {
        Ok(self)
    }

    #[inline]
    fn put(&self, key: &Key, value: &[u8]) -> Outcome<()> {
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
