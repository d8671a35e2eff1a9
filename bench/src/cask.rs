//! What a row of cask tables needs of an engine: 16-byte keys, values of any length. Rows are generic over it, so that no
//! call in a measured loop is virtual.

use crate::engine::{Mode, Outcome};
use crate::workload::Key;
use std::path::Path;

/// How an engine is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// When puts are acknowledged.
    pub mode: Mode,
    /// Bytes of memory for values or blocks that were read; the engine's default when none.
    pub cache: Option<u64>,
}

impl Setup {
    /// The engine's default cache.
    #[must_use]
    pub const fn of(mode: Mode) -> Self {
        Self { mode, cache: None }
    }

    /// A cache of so many bytes.
    #[must_use]
    pub const fn cached(mode: Mode, bytes: u64) -> Self {
        Self { mode, cache: Some(bytes) }
    }
}

/// What one thread reads through: a snapshot where the engine reads through snapshots, else the engine itself.
pub trait CaskReader {
    /// Lends the value of a key, in the cheapest way that the engine has.
    ///
    /// # Errors
    /// The engine's.
    fn get_with<T>(&self, key: &Key, f: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>>;
}

/// One engine with one table of values of any length.
pub trait CaskEngine: Send + Sync + Sized + 'static {
    /// Its name in reports.
    const NAME: &'static str;
    /// It gets one of so many keys of the workload: 1, or more for an engine that would need minutes.
    const SHARE: u64 = 1;

    /// What a thread reads through.
    type Reader<'a>: CaskReader
    where
        Self: 'a;

    /// Opens the store in `dir`, creating it when the directory is empty.
    ///
    /// # Errors
    /// The engine's.
    fn open(dir: &Path, setup: Setup) -> Outcome<Self>;

    /// A reader of what is there now.
    ///
    /// # Errors
    /// The engine's.
    fn reader(&self) -> Outcome<Self::Reader<'_>>;

    /// Stores a value; returns when the mode that it was opened in says so.
    ///
    /// # Errors
    /// The engine's.
    fn put(&self, key: &Key, value: &[u8]) -> Outcome<()>;

    /// Brings what was put to the device and ends the background work that this caused, as far as the engine lets one.
    ///
    /// # Errors
    /// The engine's.
    fn settle(&self) -> Outcome<()>;

    /// Gives space back, for an engine that does so only when told; called now and then while the space rows write.
    ///
    /// # Errors
    /// The engine's.
    fn give_space_back(&self) -> Outcome<()> {
        Ok(())
    }

    /// Records that this opening read from a log, where the engine tells.
    fn records_recovered(&self) -> u64 {
        0
    }

    /// Closes cleanly.
    ///
    /// # Errors
    /// The engine's.
    fn close(self) -> Outcome<()>;
}

/// One length of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Bytes of a value.
    pub len: usize,
    /// As rows name it.
    pub name: &'static str,
}

/// 100 bytes.
pub const SMALL: Size = Size { len: 100, name: "100 B" };
/// 1 KiB.
pub const MEDIUM: Size = Size { len: 1 << 10, name: "1 KiB" };
/// 16 KiB.
pub const LARGE: Size = Size { len: 16 << 10, name: "16 KiB" };
/// All lengths.
pub const SIZES: [Size; 3] = [SMALL, MEDIUM, LARGE];

/// Bytes of values that a key of `--keys` stands for at most: 1 GiB at 2 million keys.
const VALUE_BYTES_A_KEY: u64 = 512;

impl Size {
    /// How many keys a table of such values gets: `keys`, or fewer, so that large values do not take the whole device.
    #[must_use]
    pub fn keys(&self, keys: u64) -> u64 {
        keys.min(keys * VALUE_BYTES_A_KEY / self.len as u64).max(64)
    }

    /// Bytes of keys and values of `keys` keys.
    #[must_use]
    pub fn live_bytes(&self, keys: u64) -> u64 {
        keys * (self.len + size_of::<Key>()) as u64
    }
}
