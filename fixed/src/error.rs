//! What can go wrong with a fixed table, sorted by what the caller can do about it.

use slotcask_index::IndexError;
use slotcask_io::IoError;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Result of an operation on a fixed table.
pub type Result<T> = std::result::Result<T, FixedError>;

/// Why an operation on a fixed table failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FixedError {
    /// The disk refused.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The disk holds what no crash leaves behind.
    #[error("{0}; restore this shard from a replica or a backup")]
    Corrupt(Corruption),
    /// The table has as many slots as its schema allows.
    #[error(
        "table {table} has used all of its {slot_count_max} slots; delete keys, or create a table with a higher \
         slot_count_max and move the data"
    )]
    SlotsExhausted {
        /// Table.
        table: u32,
        /// Most slots over all shards.
        slot_count_max: u32,
    },
    /// The slot file must grow before a new key fits. Run [`crate::FixedTable::grow_plan`] and try again.
    #[error("the slot file of table {table} must grow to {needed} bytes before it takes a new key")]
    NoRoom {
        /// Table.
        table: u32,
        /// Bytes that the slot file must have.
        needed: u64,
    },
    /// Memory could not be had.
    #[error(transparent)]
    Memory(Arc<IndexError>),
    /// A file belongs to another store, shard or table.
    #[error("{}: {reason}; this file was not made for this place: put the right one back", path.display())]
    Foreign {
        /// File.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A file was written by a newer slotcask.
    #[error("{}: {reason}; open the store with the newer slotcask", path.display())]
    Newer {
        /// File.
        path: PathBuf,
        /// Versions found and supported.
        reason: String,
    },
}

/// One place on the disk that holds what no crash leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corruption {
    /// What kind of thing is bad: "slot", "page", "map block", "key", ...
    pub what: &'static str,
    /// In which file.
    pub path: PathBuf,
    /// Table.
    pub table: u32,
    /// Shard.
    pub shard: u8,
    /// Number of the slot, page or block; 0 for a whole file.
    pub at: u64,
    /// The broken rule.
    pub reason: String,
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} {} of table {} on shard {} is corrupt: {}",
            self.path.display(),
            self.what,
            self.at,
            self.table,
            self.shard,
            self.reason
        )
    }
}

impl From<Corruption> for FixedError {
    fn from(corruption: Corruption) -> Self {
        Self::Corrupt(corruption)
    }
}

impl From<IndexError> for FixedError {
    fn from(error: IndexError) -> Self {
        Self::Memory(Arc::new(error))
    }
}
