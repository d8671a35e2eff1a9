//! What can go wrong, named for the broken rule, with what to do about it.

use slotcask_cask::CaskError;
use slotcask_fixed::FixedError;
use slotcask_io::{IoError, IoErrorKind};
use slotcask_log::LogError;
use std::path::{Path, PathBuf};

/// Result of an operation on a store.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a store. Unless the text says otherwise nothing has changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key has another length than the table's keys.
    #[error("table {table:?} has keys of {expected} bytes, this one has {found}")]
    KeyLength {
        /// Table.
        table: String,
        /// Length of the table's keys, bytes.
        expected: usize,
        /// Length of this key, bytes.
        found: usize,
    },
    /// A value has another length than the table's values.
    #[error("table {table:?} has values of {expected} bytes, this one has {found}")]
    ValueLength {
        /// Table.
        table: String,
        /// Length of the table's values, bytes.
        expected: usize,
        /// Length of this value, bytes.
        found: usize,
    },
    /// A key is longer than the table's longest.
    #[error("table {table:?} has keys of at most {max} bytes, this one has {found}")]
    KeyTooLong {
        /// Table.
        table: String,
        /// Bytes of the longest key.
        max: usize,
        /// Bytes of this key.
        found: usize,
    },
    /// A value is longer than the table's longest, or than what the log holds beside its key.
    #[error(
        "table {table:?} takes values of at most {max} bytes under this key, this one has {found}; split it, or create the store with larger log segments"
    )]
    ValueTooLong {
        /// Table.
        table: String,
        /// Bytes of the longest value.
        max: usize,
        /// Bytes of this value.
        found: usize,
    },
    /// The table does not know the order of its keys.
    #[error(
        "table {table:?} is not ordered, which ranges, prefixes, first and last need; create a table with TableOptions::ordered or \
         CaskOptions::ordered (`slotcask create --ordered`) and move the rows there"
    )]
    NotOrdered {
        /// Table.
        table: String,
    },
    /// A range delete would remove more keys of a shard than one record of the log can name.
    #[error(
        "the range holds more than {max} keys of table {table:?} on shard {shard}, the most that are deleted at once; delete it in parts, or clear the table"
    )]
    RangeTooLarge {
        /// Table.
        table: String,
        /// Shard.
        shard: u32,
        /// Most keys of a range delete.
        max: usize,
    },
    /// A value was to vanish at once, or at a time that does not fit.
    #[error(
        "a time to live has to be at least a millisecond and end within the next 580 million years: the deadline would be {}, and it is {now_ms} ms since 1970",
        deadline_ms.map_or_else(|| "none".to_owned(), |deadline| format!("{deadline} ms"))
    )]
    Deadline {
        /// The deadline, milliseconds since 1970, if it fits.
        deadline_ms: Option<u64>,
        /// Now.
        now_ms: u64,
    },
    /// A table is of another kind.
    #[error("table {table:?} is a {found} table, not a {expected} table; open it as what it is")]
    TableKind {
        /// Table.
        table: String,
        /// What was asked for.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A limit of the format is reached.
    #[error("{reason}; copy the tables to a new store")]
    Limit {
        /// Which.
        reason: String,
    },
    /// A table is there with another schema.
    #[error(
        "table {table:?} was created with {what} {found}, not {expected}; open it as it is, or create another table"
    )]
    SchemaMismatch {
        /// Table.
        table: String,
        /// Which part of the schema.
        what: &'static str,
        /// What was asked for.
        expected: String,
        /// What the table has.
        found: String,
    },
    /// No table has that name.
    #[error("there is no table {table:?}; create it first")]
    NoSuchTable {
        /// The name.
        table: String,
    },
    /// A table with that name is there.
    #[error("table {table:?} exists already; open it, or choose another name")]
    TableExists {
        /// The name.
        table: String,
    },
    /// The table was dropped while this handle was held.
    #[error("table {table:?} was dropped; this handle is of no use any more")]
    TableDropped {
        /// The name.
        table: String,
    },
    /// A schema that no table can have.
    #[error("table {table:?} cannot be created: {reason}")]
    Schema {
        /// The name.
        table: String,
        /// The broken rule.
        reason: String,
    },
    /// The directory holds no store.
    #[error("{}: {reason}; name the directory of a store, or an empty one to create a store in", path.display())]
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// What is there instead.
        reason: String,
    },
    /// The creation of a store was interrupted.
    #[error("{}: the creation of this store was interrupted; create it again, which starts over", path.display())]
    HalfCreated {
        /// The directory.
        path: PathBuf,
    },
    /// The store was written by a newer slotcask.
    #[error("{}: {reason}; use the slotcask that wrote it, or a newer one", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Which version or feature.
        reason: String,
    },
    /// The store is open elsewhere.
    #[error("{}: this store is open already, here or in another process; close it there first", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The directory is a copy of a store, or somebody put another lock file in the place of its own.
    #[error(
        "{}: this directory was copied or restored from elsewhere, or its lock file was replaced; if no process has it open, and the original is \
         not used any more or the two shall part ways, take it over (`adopt_copy`, on the command line `slotcask repair --adopt --yes`)",
        path.display()
    )]
    CopiedDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The lock file of the store is gone, and with it what keeps a second process out.
    #[error(
        "{}: the lock file of this store is missing: it was removed, or left out of a copy, and the store may be open elsewhere all the \
         same; make sure that no process has it open, then take it over (`adopt_copy`, on the command line `slotcask repair --adopt --yes`)",
        path.display()
    )]
    LockMissing {
        /// The directory.
        path: PathBuf,
    },
    /// The values of the table are compressed by what this build does not have.
    #[error(
        "table {table}: its values are compressed with {name}, which this build of slotcask does not have: build it with the feature `lz4` if \
         that is the name, or use a newer version"
    )]
    Compression {
        /// The table.
        table: String,
        /// What compresses its values.
        name: String,
    },
    /// The store was opened for reading.
    #[error("the store is open for reading only; open it for writing to {what}")]
    ReadOnly {
        /// What was attempted.
        what: &'static str,
    },
    /// Space, quota, file size or descriptors ran out. Reads and deletes go on; writes work again when there is room.
    #[error(
        "shard {shard}: {what} was refused, not accepted, because there is no room: {cause}; make room, or raise the limit, and try again"
    )]
    DiskFull {
        /// What was refused: a write, a new table, a checkpoint, ...
        what: &'static str,
        /// Shard.
        shard: u32,
        /// What the disk said.
        cause: String,
    },
    /// An earlier write or sync of the shard failed. Reads go on; what was durable stays so.
    #[error(
        "shard {shard} accepts no writes since a write or sync failed: {cause}; mend the cause and open the store again"
    )]
    Poisoned {
        /// Shard.
        shard: u32,
        /// The failure.
        cause: String,
    },
    /// The files contradict each other or their checksums.
    #[error("{}: corrupt at {at}: {reason}; run `slotcask check`, restore the store, or see `slotcask repair`", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it: an offset in bytes, or a page or slot as the reason says.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// An option has a value that it cannot have.
    #[error("option {option}: {reason}")]
    Options {
        /// The option.
        option: &'static str,
        /// The broken rule.
        reason: String,
    },
    /// A batch names keys of more than one shard.
    #[error(
        "a batch is atomic on one shard, and its keys lie on shards {first} and {second}; pin the tables to one shard, or \
         give the keys a common prefix (shard_prefix_bits)"
    )]
    BatchOverShards {
        /// Shard of the first key.
        first: u32,
        /// Another shard.
        second: u32,
    },
    /// A batch is larger than a flush can be.
    #[error(
        "a batch of {found} bytes is over the maximum of {max}; make it smaller, or give the store a larger log"
    )]
    BatchTooLarge {
        /// Bytes of its records.
        found: usize,
        /// Most bytes of a batch.
        max: usize,
    },
    /// The table has as many slots as it may have.
    #[error(
        "table {table:?} has used all of its {max} slots (slot_count_max); delete keys, or move to a table with more"
    )]
    SlotsExhausted {
        /// Table.
        table: String,
        /// Its maximum.
        max: u32,
    },
    /// The write would have had to wait.
    #[error("the write would have to wait for room; use put or write, which wait, or try again")]
    WouldBlock,
    /// Time ran out. A write that timed out before it was accepted changed nothing; one that timed out while it waited for
    /// durability is accepted, and may become durable: see `accepted`.
    #[error("timed out (accepted: {accepted})")]
    TimedOut {
        /// True when the write was accepted and is visible.
        accepted: bool,
    },
    /// A call from inside an `update` closure that takes a lock: a write, a wait, a read of a cask table. Or [`Store::close`](crate::Store::close), of any store,
    /// from inside a waker, which is called in the middle of a flush.
    #[error(
        "this call was attempted inside an update closure or a waker, which holds its shard; read before, write after, and return the new value"
    )]
    Reentered,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// Memory could not be had.
    #[error("{reason}")]
    Memory {
        /// What was asked for, and what to do.
        reason: String,
    },
    /// A change of the catalogue failed on the way; the next opening completes it.
    #[error(
        "an earlier change of the catalogue was interrupted ({cause}); open the store again, which completes it"
    )]
    CatalogueInterrupted {
        /// The failure.
        cause: String,
    },
    /// An operation on the disk failed.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl Error {
    pub(crate) fn of_log(error: LogError, shard: u32) -> Self {
        match error {
            LogError::Poisoned { cause } => Self::Poisoned { shard, cause: cause.to_string() },
            LogError::Corrupt { path, at, reason } => Self::Corrupt { path, at, reason },
            LogError::Newer { path, found, supported } => Self::NewerFormat {
                path,
                reason: format!("format version {found} is newer than {supported}"),
            },
            LogError::TimedOut => Self::TimedOut { accepted: true },
            LogError::Io(error) => Self::of_io(error, shard),
            other => Self::Poisoned { shard, cause: other.to_string() },
        }
    }

    pub(crate) fn of_io(error: IoError, shard: u32) -> Self {
        if error.is_out_of_resources() {
            Self::DiskFull { what: "a write", shard, cause: error.to_string() }
        } else {
            Self::Io(error)
        }
    }

    pub(crate) fn of_fixed(error: FixedError, shard: u32, table: &str) -> Self {
        match error {
            FixedError::Io(error) => Self::of_io(error, shard),
            FixedError::Corrupt(found) => Self::Corrupt {
                path: found.path,
                at: found.at,
                reason: format!(
                    "{} {} of table {} : {}",
                    found.what, found.at, found.table, found.reason
                ),
            },
            FixedError::SlotsExhausted { slot_count_max, .. } => {
                Self::SlotsExhausted { table: table.to_owned(), max: slot_count_max }
            }
            FixedError::Foreign { path, reason } => Self::Corrupt { path, at: 0, reason },
            FixedError::Newer { path, reason } => Self::NewerFormat { path, reason },
            other => Self::Memory { reason: other.to_string() },
        }
    }

    pub(crate) fn of_cask(error: CaskError, shard: u32) -> Self {
        match error {
            CaskError::Io(error) => Self::of_io(error, shard),
            CaskError::Corrupt { path, offset, reason } => {
                Self::Corrupt { path, at: offset, reason }
            }
            CaskError::Newer { path, found, supported } => Self::NewerFormat {
                path,
                reason: format!("it has format version {found}, newer than {supported}"),
            },
            CaskError::Interrupted => Self::Closed,
            other => Self::Limit { reason: other.to_string() },
        }
    }

    pub(crate) fn corrupt(path: &Path, at: u64, reason: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), at, reason: reason.into() }
    }

    /// Says what was refused for want of room.
    pub(crate) fn refusing(self, what: &'static str) -> Self {
        match self {
            Self::DiskFull { shard, cause, .. } => Self::DiskFull { what, shard, cause },
            other => other,
        }
    }

    /// True when the error passes once space, quota or descriptors come back.
    #[must_use]
    pub fn is_out_of_resources(&self) -> bool {
        match self {
            Self::DiskFull { .. } => true,
            Self::Io(error) => error.is_out_of_resources(),
            _ => false,
        }
    }

    /// True for damaged files.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    /// True when the path does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind == IoErrorKind::NotFound)
    }
}
