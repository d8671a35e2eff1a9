//! Opening stores and tables for the verbs.

use crate::errors::Failure;
use slotcask::{
    CaskTable, Error, Expiry, Options, OrderedTable, Range, Store, Table, TableInfo, WriteOptions,
};
use slotcask_io::{Env, OsOptions};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The table that a verb works on.
#[derive(Debug, Clone, clap::Args)]
pub struct TableArgs {
    /// Directory of the store
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Name of the table
    #[arg(value_name = "TABLE")]
    pub table: String,
}

/// Time between two attempts to use a tool on a store that is locked.
const ATTEMPT_EVERY: Duration = Duration::from_millis(10);

/// Uses a tool, which takes the lock of the directory at once or not at all, again and again for `wait` while the store is
/// locked; as an opening does by itself.
///
/// # Errors
/// As the tool says.
pub fn patiently<T>(
    wait: Duration,
    mut tool: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let start = Instant::now();
    loop {
        match tool() {
            Err(Error::Locked { .. }) if start.elapsed() < wait => {
                std::thread::sleep(ATTEMPT_EVERY);
            }
            other => return other,
        }
    }
}

/// Opens a store that is there, for writing.
///
/// # Errors
/// As the store says.
pub fn for_writing(dir: &Path, wait: Duration) -> Result<Store, Failure> {
    Ok(Options::new().create(false).lock_timeout(wait).open(dir)?)
}

/// Opens a store for writing, and creates it with default options where there is none and it may.
///
/// # Errors
/// As the store says.
pub fn for_loading(dir: &Path, may_create: bool, wait: Duration) -> Result<Store, Failure> {
    Ok(Options::new().create(may_create).lock_timeout(wait).open(dir)?)
}

/// Opens a store that is there, for reading: nothing is written to it, also when it was not closed cleanly.
///
/// # Errors
/// As the store says.
pub fn for_reading(dir: &Path, wait: Duration) -> Result<Store, Failure> {
    Ok(Options::new().create(false).read_only(true).lock_timeout(wait).open(dir)?)
}

/// The world of the offline tools: the operating system's disk and clock.
pub fn environment() -> Env {
    Env::system(OsOptions::default())
}

/// A table of either kind.
#[derive(Debug, Clone)]
pub enum AnyTable {
    /// With slots.
    Fixed(Table),
    /// With keys and values of any length.
    Cask(CaskTable),
}

/// The scan of a selection.
macro_rules! range_of {
    ($table:expr, $keys:expr) => {
        match $keys {
            Selection::Range(bounds) => $table.range(bounds.clone())?,
            Selection::Prefix(prefix) => $table.prefix(prefix)?,
        }
    };
}

/// What a verb does with a table, whatever its kind.
impl AnyTable {
    /// Opens a table.
    ///
    /// # Errors
    /// As the store says.
    pub fn open(store: &Store, name: &str) -> Result<Self, Error> {
        match store.open_table(name) {
            Ok(table) => Ok(Self::Fixed(table)),
            Err(Error::TableKind { .. }) => store.open_cask(name).map(Self::Cask),
            Err(error) => Err(error),
        }
    }

    /// What it is.
    pub fn info(&self) -> TableInfo {
        match self {
            Self::Fixed(table) => table.info(),
            Self::Cask(table) => table.info(),
        }
    }

    /// What it takes.
    pub fn lengths(&self) -> Lengths {
        let (info, exact) = (self.info(), matches!(self, Self::Fixed(_)));
        Lengths { key: info.key_len, value: info.value_len, exact }
    }

    /// Rows.
    pub fn len(&self) -> u64 {
        match self {
            Self::Fixed(table) => table.len(),
            Self::Cask(table) => table.len(),
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// As the table says.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Fixed(table) => table.get(key),
            Self::Cask(table) => table.get(key),
        }
    }

    /// Says of a pair whose lengths fit the table whether it fits the store.
    ///
    /// # Errors
    /// As the table says.
    pub fn check_pair(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        match self {
            // The store looked at that when the table was created.
            Self::Fixed(_) => Ok(()),
            Self::Cask(table) => table.check_pair(key, value),
        }
    }

    /// Stores a pair.
    ///
    /// # Errors
    /// As the table says.
    pub fn put(&self, key: &[u8], value: &[u8], options: &WriteOptions) -> Result<(), Error> {
        match self {
            Self::Fixed(table) => table.put_with(key, value, options),
            Self::Cask(table) => table.put_with(key, value, options),
        }
    }

    /// When the value of a key vanishes.
    ///
    /// # Errors
    /// As the table says.
    pub fn expiry(&self, key: &[u8]) -> Result<Option<Expiry>, Error> {
        match self {
            Self::Fixed(table) => table.expiry(key),
            Self::Cask(table) => table.expiry(key),
        }
    }

    /// Has the value of a key vanish, or stay; tells whether there is one.
    ///
    /// # Errors
    /// As the table says.
    pub fn set_expiry(&self, key: &[u8], vanish: Vanish) -> Result<bool, Error> {
        let before = match (self, vanish) {
            (Self::Fixed(table), Vanish::In(ttl)) => table.expire_in(key, ttl),
            (Self::Cask(table), Vanish::In(ttl)) => table.expire_in(key, ttl),
            (Self::Fixed(table), Vanish::At(deadline_ms)) => table.expire_at(key, deadline_ms),
            (Self::Cask(table), Vanish::At(deadline_ms)) => table.expire_at(key, deadline_ms),
            (Self::Fixed(table), Vanish::Never) => table.persist(key),
            (Self::Cask(table), Vanish::Never) => table.persist(key),
        };
        Ok(before?.is_some())
    }

    /// Stores many pairs.
    ///
    /// # Errors
    /// As the table says.
    pub fn put_many(
        &self,
        pairs: &[(Vec<u8>, Vec<u8>)],
        options: &WriteOptions,
    ) -> Result<(), Error> {
        match self {
            Self::Fixed(table) => table.put_many_with(pairs, options),
            Self::Cask(table) => table.put_many_with(pairs, options),
        }
    }

    /// Removes a key; true when it was there.
    ///
    /// # Errors
    /// As the table says.
    pub fn delete(&self, key: &[u8]) -> Result<bool, Error> {
        match self {
            Self::Fixed(table) => table.delete(key),
            Self::Cask(table) => table.delete(key),
        }
    }

    /// True when it knows the order of its keys.
    pub fn is_ordered(&self) -> bool {
        match self {
            Self::Fixed(table) => table.info().ordered,
            Self::Cask(table) => table.info().ordered,
        }
    }

    /// The rows of some keys, by their keys.
    ///
    /// # Errors
    /// As the table says.
    pub fn select(&self, keys: &Selection, reverse: bool) -> Result<Rows, Error> {
        Ok(match self {
            Self::Fixed(table) => {
                let range = range_of!(table, keys);
                if table.info().deadlines {
                    let lookup = table.clone();
                    rows_of(range, reverse, move |key| lookup.expiry(key))
                } else {
                    rows_of(range, reverse, |_| Ok(Some(Expiry::Never)))
                }
            }
            Self::Cask(table) => {
                let lookup = table.clone();
                rows_of(range_of!(table, keys), reverse, move |key| lookup.expiry(key))
            }
        })
    }

    /// How many rows some keys have.
    ///
    /// # Errors
    /// As the table says.
    pub fn count(&self, keys: &Selection) -> Result<u64, Error> {
        match self {
            Self::Fixed(table) => count_of(range_of!(table, keys).keys()),
            Self::Cask(table) => count_of(range_of!(table, keys).keys()),
        }
    }

    /// Removes some keys; gives their number.
    ///
    /// # Errors
    /// As the table says.
    pub fn delete_selected(&self, keys: &Selection) -> Result<u64, Error> {
        match (self, keys) {
            (Self::Fixed(table), Selection::Range(bounds)) => table.delete_range(bounds.clone()),
            (Self::Cask(table), Selection::Range(bounds)) => table.delete_range(bounds.clone()),
            (Self::Fixed(table), Selection::Prefix(prefix)) => table.delete_prefix(prefix),
            (Self::Cask(table), Selection::Prefix(prefix)) => table.delete_prefix(prefix),
        }
    }

    /// All rows.
    pub fn rows(&self) -> Rows {
        match self {
            Self::Fixed(table) => {
                let deadlines = table.info().deadlines;
                let lookup = table.clone();
                Box::new(table.iter().filter_map(move |pair| {
                    let row = pair.and_then(|(key, value)| {
                        if !deadlines {
                            return Ok(Some(StoredRow { key, value, left: None }));
                        }
                        // A value that vanished since it was read is no row any more.
                        let expiry = lookup.expiry(&key)?;
                        Ok(expiry.map(|expiry| StoredRow { key, value, left: expiry.left() }))
                    });
                    row.transpose()
                }))
            }
            Self::Cask(table) => {
                let mut records = table.iter();
                Box::new(std::iter::from_fn(move || match records.next_record() {
                    Ok(record) => record.map(|record| {
                        let (key, value) = (record.key().to_vec(), record.value().to_vec());
                        Ok(StoredRow { key, value, left: records.expiry(&record).left() })
                    }),
                    Err(error) => Some(Err(error)),
                }))
            }
        }
    }
}

/// Rows as they are read.
pub type Rows = Box<dyn Iterator<Item = Result<StoredRow, Error>>>;

/// A range of keys.
pub type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Some keys of an ordered table.
#[derive(Debug, Clone)]
pub enum Selection {
    /// Those of a range.
    Range(Bounds),
    /// Those that begin so.
    Prefix(Vec<u8>),
}

fn rows_of<T: OrderedTable + 'static>(
    range: Range<T>,
    reverse: bool,
    expiry_of: impl Fn(&[u8]) -> Result<Option<Expiry>, Error> + 'static,
) -> Rows {
    let range = if reverse { range.descending() } else { range };
    Box::new(range.filter_map(move |pair| {
        let row = pair.and_then(|(key, value)| {
            // A value that vanished since it was read is no row any more.
            let expiry = expiry_of(&key)?;
            Ok(expiry.map(|expiry| StoredRow { key, value, left: expiry.left() }))
        });
        row.transpose()
    }))
}

fn count_of<T: OrderedTable>(mut keys: slotcask::Keys<T>) -> Result<u64, Error> {
    let mut count = 0;
    while keys.next_ref()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// When a value is to vanish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vanish {
    /// After this time.
    In(Duration),
    /// At this time, milliseconds since 1970.
    At(u64),
    /// It stays.
    Never,
}

/// A row of a table.
#[derive(Debug, Clone)]
pub struct StoredRow {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// Time that is left to it, by the store's time, if it vanishes.
    pub left: Option<Duration>,
}

impl StoredRow {
    /// The same in milliseconds, at least one: it was there when it was read.
    pub fn ttl_ms(&self) -> Option<u64> {
        let left = self.left?.as_millis();
        Some(u64::try_from(left).unwrap_or(u64::MAX).max(1))
    }
}

/// Lengths of a table, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// Of a key.
    pub key: usize,
    /// Of a value.
    pub value: usize,
    /// Shorter keys and values are refused, or filled with zeros if that is asked for.
    pub exact: bool,
}
