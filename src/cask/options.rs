//! Options of cask tables, and how a store makes and opens them.

use crate::cask::CaskTable;
use crate::error::{Error, Result};
use crate::store::{Store, refuse_in_update};
use slotcask_format::record::{KEY_LEN_MAX, VALUE_LEN_MAX};
use slotcask_format::schema::{
    CASK_SLOT_COUNT, COMPRESSION_LZ4, Placement, TableKind, TableSchema,
};

/// How the values of a cask table are compressed. Recorded at its creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Compression {
    /// They are stored as they are.
    #[default]
    None,
    /// By LZ4, each by itself, where that makes it shorter. Needs the feature `lz4`.
    Lz4,
}

impl Compression {
    /// The name that stands in the schema.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Lz4 => Some(COMPRESSION_LZ4),
        }
    }

    /// The compression of that name, if this build has it.
    pub(crate) fn built_in(name: Option<&str>) -> Option<Self> {
        match name {
            None => Some(Self::None),
            Some(COMPRESSION_LZ4) if slotcask_cask::HAS_LZ4 => Some(Self::Lz4),
            Some(_) => None,
        }
    }
}

/// Options of a cask table.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CaskOptions {
    placement: Placement,
    key_len_max: usize,
    value_len_max: usize,
    compression: Compression,
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
            compression: Compression::None,
            ordered: false,
        }
    }

    /// Puts all keys on one shard, so that batches may hold any of them.
    #[must_use]
    pub const fn pinned(mut self, shard: u8) -> Self {
        self.placement = Placement::Pinned(shard);
        self
    }

    /// Longest key, bytes, from 1 to 65,535. An empty key is a key like any other.
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

    /// How values are compressed. Lengths are limited before that. Default: not at all.
    #[must_use]
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
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
            compression: self.compression.name().map(str::to_owned),
            ordered: self.ordered,
        };
        check_compression(&schema)?;
        match schema.invalid() {
            Some(reason) => {
                Err(Error::Schema { table: name.to_owned(), reason: reason.to_string() })
            }
            None => Ok(schema),
        }
    }
}

/// Refuses a table whose compression this build does not have.
fn check_compression(schema: &TableSchema) -> Result<()> {
    match (&schema.compression, Compression::built_in(schema.compression.as_deref())) {
        (Some(name), None) => {
            Err(Error::Compression { table: schema.name.clone(), name: name.clone() })
        }
        _ => Ok(()),
    }
}

impl Store {
    /// Creates a cask table. Durable when this returns.
    ///
    /// # Errors
    /// [`Error::TableExists`], [`Error::Schema`], [`Error::ReadOnly`], [`Error::Compression`], or what the disk says.
    pub fn create_cask(&self, name: &str, options: &CaskOptions) -> Result<CaskTable> {
        self.inner.check_writable("create a table")?;
        let created = self.inner.create_cask(options.schema(name)?);
        let shared = created.map_err(|error| error.refusing("a new table"))?;
        Ok(CaskTable::new(self.inner.clone(), shared))
    }

    /// Opens a cask table. Does not wait for a change of the catalogue that is under way, as [`Store::open_table`].
    ///
    /// # Errors
    /// [`Error::NoSuchTable`], [`Error::TableKind`] when it is a fixed table, [`Error::Compression`] when this build cannot read its values,
    /// [`Error::Closed`], [`Error::Reentered`].
    pub fn open_cask(&self, name: &str) -> Result<CaskTable> {
        refuse_in_update()?;
        self.inner.check_open()?;
        let names = self.inner.names.read();
        match names.casks.get(name).cloned() {
            Some(shared) => {
                check_compression(&shared.schema)?;
                Ok(CaskTable::new(self.inner.clone(), shared))
            }
            None if names.tables.contains_key(name) => {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use slotcask_io::sim::env_of;
    use slotcask_io::{SimDisk, SimOptions};

    /// A table as a later version might make it.
    #[test]
    fn a_compression_that_is_not_known_refuses_its_table_and_no_other() {
        let disk = SimDisk::new(SimOptions::default());
        let open = || {
            let options = Options::new().shards(1).log_size(1 << 20).background(false);
            options.huge_pages(false).open_in(env_of(1, &disk), "/s").unwrap()
        };
        let store = open();
        store.create_cask("plain", &CaskOptions::new()).unwrap().put("k", "v").unwrap();
        let mut schema = CaskOptions::new().schema("later").unwrap();
        schema.compression = Some("zpaq".to_owned());
        store.inner.create_cask(schema).unwrap();
        store.close().unwrap();
        let store = open();
        assert_eq!(store.tables().unwrap()[0].compression.as_deref(), Some("zpaq"));
        let error = store.open_cask("later").unwrap_err();
        assert!(matches!(&error, Error::Compression { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("table later") && text.contains("zpaq"), "{text}");
        assert_eq!(store.open_cask("plain").unwrap().get("k").unwrap().unwrap(), b"v");
        store.drop_table("later").unwrap();
    }
}
