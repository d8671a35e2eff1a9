//! `del`: deletes one row.

use super::put::{bytes, fitted_key};
use crate::errors::{Exit, Failure};
use crate::opening::{self, AnyTable, TableArgs};
use crate::output::Output;
use serde_json::json;
use std::ffi::OsString;

const EXAMPLES: &str = "\
The deletion is durable when the command ends. The exit code is 1 when there was no such key.

Examples:
  slotcask del db users alice --pad
  slotcask --hex del db users 00010203";

/// Arguments of `del`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DelArgs {
    #[command(flatten)]
    at: TableArgs,
    /// The key: text, or hex digits with --hex
    key: OsString,
    /// Fill a shorter key with zeros
    #[arg(long)]
    pad: bool,
}

/// Deletes the row.
pub fn run(args: &DelArgs, output: &mut Output) -> Result<Exit, Failure> {
    let key = bytes(&args.key, output, "key")?;
    let store = opening::for_writing(&args.at.dir, output.wait())?;
    let table = AnyTable::open(&store, &args.at.table)?;
    let key = fitted_key(key, table.lengths(), args.pad)?;
    let deleted = table.delete(&key)?;
    store.close()?;
    if output.is_json() {
        output.json(&json!({ "deleted": deleted }))?;
    }
    Ok(if deleted { Exit::Done } else { Exit::No })
}
