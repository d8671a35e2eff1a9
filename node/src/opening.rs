//! Opening stores and tables for the verbs.

use crate::errors::Failure;
use slotcask::{Error, Options, Store, Table};
use slotcask_io::{Env, OsOptions};
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

/// Opens a store that is there, for reading: without writing to it where that can be done, with a recovery when it was
/// not closed cleanly.
///
/// # Errors
/// As the store says.
pub fn for_reading(dir: &Path, wait: Duration) -> Result<Store, Failure> {
    match Options::new().create(false).read_only(true).lock_timeout(wait).open(dir) {
        Err(Error::ReadOnlyNeedsCleanStore { .. }) => for_writing(dir, wait),
        other => Ok(other?),
    }
}

/// The world of the offline tools: the operating system's disk and clock.
pub fn environment() -> Env {
    Env::system(OsOptions::default())
}

/// Lengths of a table, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// Of a key.
    pub key: usize,
    /// Of a value.
    pub value: usize,
}

impl Lengths {
    /// Of this table.
    pub fn of(table: &Table) -> Self {
        let info = table.info();
        Self { key: info.key_len, value: info.value_len }
    }
}
