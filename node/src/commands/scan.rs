//! `scan`: prints rows of a table.

use super::put::bytes;
use crate::errors::{Exit, Failure};
use crate::opening::{self, AnyTable, Bounds, Selection, TableArgs};
use crate::output::Output;
use crate::rows::{Layout, RowFormat, RowWriter};
use std::ffi::OsString;
use std::ops::Bound;

const EXAMPLES: &str = "\
One line a row: key, tab, value. Rows of an ordered table come by their keys; --from, --to and --reverse are for such \
tables only. Of other tables rows come in no particular order, and --prefix reads the whole table.

Examples:
  slotcask scan db events --from 2026-01 --to 2026-02 --reverse --limit 10
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
    #[arg(long, value_name = "KEY", conflicts_with_all = ["from", "to"])]
    prefix: Option<OsString>,
    #[command(flatten)]
    range: RangeArgs,
    /// Begin with the highest key (ordered tables)
    #[arg(long)]
    reverse: bool,
    /// Print keys and values without the zeros at their ends
    #[arg(long)]
    unpad: bool,
}

/// A range of keys.
#[derive(Debug, clap::Args)]
pub struct RangeArgs {
    /// Begin with this key, or the first behind it: text, or hex digits with --hex (ordered tables)
    #[arg(long, value_name = "KEY")]
    from: Option<OsString>,
    /// End before this key (ordered tables)
    #[arg(long, value_name = "KEY")]
    to: Option<OsString>,
}

impl RangeArgs {
    /// True when there is a bound.
    pub fn is_given(&self) -> bool {
        self.from.is_some() || self.to.is_some()
    }

    /// The bounds as bytes.
    ///
    /// # Errors
    /// A usage error.
    pub fn bounds(&self, output: &Output) -> Result<Bounds, Failure> {
        let from = self.from.as_ref().map(|key| bytes(key, output, "first key")).transpose()?;
        let to = self.to.as_ref().map(|key| bytes(key, output, "end of the range")).transpose()?;
        let from = from.map_or(Bound::Unbounded, Bound::Included);
        Ok((from, to.map_or(Bound::Unbounded, Bound::Excluded)))
    }
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
    let bounds = args.range.bounds(output)?;
    let is_range = args.range.is_given() || args.reverse;
    let found = match (&args.prefix, table.is_ordered() || is_range) {
        (Some(_), true) => table.select(&Selection::Prefix(prefix.clone()), args.reverse)?,
        (None, true) => table.select(&Selection::Range(bounds), args.reverse)?,
        (_, false) => table.rows(),
    };
    let mut rows = RowWriter::begin(output, format).map_err(|error| Failure::stdout(&error))?;
    for row in found {
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
