//! What a row needs of an engine. Rows are generic over it, so that no call in a measured loop is virtual.

use crate::workload::{Key, Order, Value, key, value};
use std::path::Path;

/// Any error of any engine.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// Result of a measurement.
pub type Outcome<T> = Result<T, Failure>;

/// When a put is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In memory or in the operating system's cache.
    Buffered,
    /// On the device.
    Sync,
}

/// What one thread reads through: a snapshot where the engine reads through snapshots, else the engine itself.
pub trait Reader {
    /// The value of a key.
    ///
    /// # Errors
    /// The engine's.
    fn get(&self, key: &Key) -> Outcome<Option<Value>>;
}

/// One engine with one table of the workload's keys and values.
pub trait Engine: Send + Sync + Sized + 'static {
    /// Its name in reports.
    const NAME: &'static str;
    /// False when [`Mode::Sync`] would not sync each acknowledged put; such engines are left out of sync rows.
    const SYNCS: bool = true;
    /// It gets one of so many keys of the workload: 1, or more for an engine that would need minutes.
    const SHARE: u64 = 1;

    /// What a thread reads through.
    type Reader<'a>: Reader
    where
        Self: 'a;

    /// Opens the store in `dir`, creating it when the directory is empty.
    ///
    /// # Errors
    /// The engine's.
    fn open(dir: &Path, mode: Mode) -> Outcome<Self>;

    /// A reader of what is there now.
    ///
    /// # Errors
    /// The engine's.
    fn reader(&self) -> Outcome<Self::Reader<'_>>;

    /// Stores a value; returns when the mode that it was opened in says so.
    ///
    /// # Errors
    /// The engine's.
    fn put(&self, key: &Key, value: &Value) -> Outcome<()>;

    /// Brings what was put to the device and ends the background work that this caused, as far as the engine lets one.
    ///
    /// # Errors
    /// The engine's.
    fn settle(&self) -> Outcome<()>;

    /// Closes cleanly.
    ///
    /// # Errors
    /// The engine's.
    fn close(self) -> Outcome<()>;

    /// Updates keys of a loaded table of `keys` until a kill would leave as much to recover as there ever is.
    ///
    /// # Errors
    /// The engine's.
    fn make_dirty(&self, keys: u64, seed: u64) -> Outcome<()> {
        let order = Order::new(keys, seed);
        for &number in order.numbers().iter().take(100_000) {
            self.put(&key(number.into()), &value(number.into(), 1))?;
        }
        Ok(())
    }
}
