//! Options of cask tables, and how a store makes and opens them.

use crate::cask::CaskTable;
use crate::error::{Error, Result};
use crate::store::{Store, refuse_in_update};
use slotcask_format::record::{KEY_LEN_MAX, VALUE_LEN_MAX};
use slotcask_format::schema::{CASK_SLOT_COUNT, Placement, TableKind, TableSchema};

/// Options of a cask table.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CaskOptions {
    placement: Placement,
    key_len_max: usize,
    value_len_max: usize,
    ordered: bool,
}

impl Default for CaskOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl CaskOptions {
    /// Keys of up to 65,535 bytes and values of up to 16 MiB, spread over all shards. Neither may be larger than what a segment of the log holds.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            placement: Placement::Hashed,
            key_len_max: KEY_LEN_MAX,
            value_len_max: VALUE_LEN_MAX,
            ordered: false,
        }
    }

    /// Puts all keys on one shard, so that batches may hold any of them.
    #[must_use]
    pub const fn pinned(mut self, shard: u8) -> Self {
        self.placement = Placement::Pinned(shard);
        self
    }

    /// Longest key, bytes, from 1 to 65,535.
    #[must_use]
    pub const fn key_len_max(mut self, bytes: usize) -> Self {
        self.key_len_max = bytes;
        self
    }

    /// Longest value, bytes, at most 16 MiB.
    #[must_use]
    pub const fn value_len_max(mut self, bytes: usize) -> Self {
        self.value_len_max = bytes;
        self
    }

    /// Has the table know the order of its keys: ranges, prefixes, first and last, range deletes. The keys are in memory then, up to 40 bytes
    /// more for one of 16 bytes, and an opening reads the data files that hold live ones. Default: false.
    #[must_use]
    pub const fn ordered(mut self, yes: bool) -> Self {
        self.ordered = yes;
        self
    }

    fn schema(&self, name: &str) -> Result<TableSchema> {
        let len = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let schema = TableSchema {
            name: name.to_owned(),
            kind: TableKind::Cask,
            placement: self.placement,
            key_len: len(self.key_len_max),
            value_len: len(self.value_len_max),
            deadlines: false,
            slot_count_max: CASK_SLOT_COUNT,
            ordered: self.ordered,
        };
        match schema.invalid() {
            Some(reason) => {
                Err(Error::Schema { table: name.to_owned(), reason: reason.to_string() })
            }
            None => Ok(schema),
        }
    }
}

impl Store {
    /// Creates a cask table. Durable when this returns.
    ///
    /// # Errors
    /// [`Error::TableExists`], [`Error::Schema`], [`Error::ReadOnly`], or what the disk says.
    pub fn create_cask(&self, name: &str, options: &CaskOptions) -> Result<CaskTable> {
        self.inner.check_writable("create a table")?;
        let created = self.inner.create_cask(options.schema(name)?);
        let shared = created.map_err(|error| error.refusing("a new table"))?;
        Ok(CaskTable::new(self.inner.clone(), shared))
    }

    /// Opens a cask table.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`], [`Error::TableKind`] when it is a fixed table, [`Error::Closed`], [`Error::Reentered`].
    pub fn open_cask(&self, name: &str) -> Result<CaskTable> {
        refuse_in_update()?;
        self.inner.check_open()?;
        let catalogue = self.inner.catalogue.lock();
        match catalogue.casks.get(name).cloned() {
            Some(shared) => Ok(CaskTable::new(self.inner.clone(), shared)),
            None if catalogue.tables.contains_key(name) => {
                Err(Error::TableKind { table: name.to_owned(), expected: "cask", found: "fixed" })
            }
            None => Err(Error::NoSuchTable { table: name.to_owned() }),
        }
    }

    /// Opens a cask table, or creates it.
    ///
    /// # Errors
    /// As [`Store::open_cask`] and [`Store::create_cask`].
    pub fn cask(&self, name: &str) -> Result<CaskTable> {
        match self.open_cask(name) {
            Err(Error::NoSuchTable { .. }) => match self.create_cask(name, &CaskOptions::new()) {
                // Somebody else was faster.
                Err(Error::TableExists { .. }) => self.open_cask(name),
                result => result,
            },
            result => result,
        }
    }
}
