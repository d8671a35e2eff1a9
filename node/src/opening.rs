//! Opening stores and tables for the verbs.

use crate::errors::Failure;
use slotcask::{Error, Options, Store, Table};
use slotcask_io::{Env, OsOptions};
use std::path::{Path, PathBuf};

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

/// Opens a store that is there, for writing.
///
/// # Errors
/// As the store says.
pub fn for_writing(dir: &Path) -> Result<Store, Failure> {
    Ok(Options::new().create(false).open(dir)?)
}

/// Opens a store that is there, for reading: without writing to it where that can be done, with a recovery when it was
/// not closed cleanly.
///
/// # Errors
/// As the store says.
pub fn for_reading(dir: &Path) -> Result<Store, Failure> {
    match Options::new().create(false).read_only(true).open(dir) {
        Err(Error::ReadOnlyNeedsCleanStore { .. }) => for_writing(dir),
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
