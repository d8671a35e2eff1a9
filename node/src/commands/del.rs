//! `del`: deletes one row, or a range of them.

use super::put::{bytes, fitted_key};
use crate::commands::scan::RangeArgs;
use crate::errors::{Exit, Failure};
use crate::opening::{self, AnyTable, Selection, TableArgs};
use crate::output::Output;
use crate::text::count;
use serde_json::json;
use std::ffi::OsString;

const EXAMPLES: &str = "\
The deletion is durable when the command ends. The exit code is 1 when there was no such key. Ranges of keys are \
deleted from ordered tables only, whole on each shard; without --yes their rows are counted, and the exit code is 1 when there are any.

Examples:
  slotcask del db users alice --pad
  slotcask del db events --prefix 2025- --yes
  slotcask del db events --from 2025-01 --to 2025-03 --yes
  slotcask --hex del db users 00010203";

/// Arguments of `del`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DelArgs {
    #[command(flatten)]
    at: TableArgs,
    /// The key: text, or hex digits with --hex
    #[arg(required_unless_present_any = ["prefix", "from", "to"], conflicts_with_all = ["prefix", "from", "to", "yes"])]
    key: Option<OsString>,
    /// Fill a shorter key with zeros
    #[arg(long, requires = "key")]
    pad: bool,
    /// Delete all keys that begin with this (ordered tables)
    #[arg(long, value_name = "KEY", conflicts_with_all = ["from", "to"])]
    prefix: Option<OsString>,
    #[command(flatten)]
    range: RangeArgs,
    /// Delete the range; without this its rows are only counted
    #[arg(long)]
    yes: bool,
}

/// Deletes the row.
pub fn run(args: &DelArgs, output: &mut Output) -> Result<Exit, Failure> {
    let Some(key) = &args.key else { return run_range(args, output) };
    let key = bytes(key, output, "key")?;
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

/// Deletes a range, or says how many rows it has.
fn run_range(args: &DelArgs, output: &mut Output) -> Result<Exit, Failure> {
    let keys = match &args.prefix {
        Some(prefix) => Selection::Prefix(bytes(prefix, output, "prefix")?),
        None => Selection::Range(args.range.bounds(output)?),
    };
    let store = if args.yes {
        opening::for_writing(&args.at.dir, output.wait())?
    } else {
        opening::for_reading(&args.at.dir, output.wait())?
    };
    let table = AnyTable::open(&store, &args.at.table)?;
    let rows = if args.yes { table.delete_selected(&keys)? } else { table.count(&keys)? };
    store.close()?;
    let text = if args.yes {
        format!("deleted {}", count(rows, "row"))
    } else {
        format!("{} would be deleted; --yes does it", count(rows, "row"))
    };
    let deleted = if args.yes { rows } else { 0 };
    output.result(&json!({ "deleted": deleted, "rows": rows }), &text)?;
    Ok(if args.yes || rows == 0 { Exit::Done } else { Exit::No })
}
