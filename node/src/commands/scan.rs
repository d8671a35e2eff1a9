//! `scan`: prints rows of a table.

use super::put::bytes;
use crate::errors::{Exit, Failure};
use crate::opening::{self, AnyTable, TableArgs};
use crate::output::Output;
use crate::rows::{Layout, RowFormat, RowWriter};
use std::ffi::OsString;

const EXAMPLES: &str = "\
One line a row: key, tab, value. Rows come in no particular order; --prefix reads the whole table.

Examples:
  slotcask scan db users --limit 10 --unpad
  slotcask scan db users --prefix al
  slotcask --json --hex scan db users --limit 1";

/// Arguments of `scan`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ScanArgs {
    #[command(flatten)]
    at: TableArgs,
    /// Print at most this many rows
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    limit: Option<u64>,
    /// Print only keys that begin with this: text, or hex digits with --hex
    #[arg(long, value_name = "KEY")]
    prefix: Option<OsString>,
    /// Print keys and values without the zeros at their ends
    #[arg(long)]
    unpad: bool,
}

/// Prints the rows.
pub fn run(args: &ScanArgs, output: &mut Output) -> Result<Exit, Failure> {
    let prefix = match &args.prefix {
        Some(prefix) => bytes(prefix, output, "prefix")?,
        None => Vec::new(),
    };
    let store = opening::for_reading(&args.at.dir, output.wait())?;
    let table = AnyTable::open(&store, &args.at.table)?;
    let layout = if output.is_json() { Layout::Array } else { Layout::Tsv };
    let format = RowFormat { layout, header: false, style: output.style(), unpad: args.unpad };
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut rows = RowWriter::begin(output, format).map_err(|error| Failure::stdout(&error))?;
    for row in table.rows() {
        if left == 0 {
            break;
        }
        let row = row?;
        if row.key.starts_with(&prefix) {
            rows.row(&row).map_err(|error| Failure::stdout(&error))?;
            left -= 1;
        }
    }
    rows.end().map_err(|error| Failure::stdout(&error))?;
    store.close()?;
    Ok(Exit::Done)
}
