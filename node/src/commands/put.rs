//! `put`: writes one row.

use crate::errors::{Exit, Failure};
use crate::opening::{self, Lengths, TableArgs};
use crate::output::Output;
use crate::text::{argument, fit};
use serde_json::json;
use std::ffi::OsString;

const EXAMPLES: &str = "\
The row is durable when the command ends. Give -- before a key that begins with a dash.

Examples:
  slotcask put db users alice 'some value' --pad
  slotcask --hex put db users 00010203 ffff0000
  slotcask put db users --pad -- -dash value";

/// Arguments of `put`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct PutArgs {
    #[command(flatten)]
    at: TableArgs,
    /// The key: text, or hex digits with --hex
    key: OsString,
    /// The value: text, or hex digits with --hex
    value: OsString,
    /// Fill a shorter key or value with zeros
    #[arg(long)]
    pad: bool,
}

/// Writes the row.
pub fn run(args: &PutArgs, output: &mut Output) -> Result<Exit, Failure> {
    let key = bytes(&args.key, output, "key")?;
    let value = bytes(&args.value, output, "value")?;
    let store = opening::for_writing(&args.at.dir, output.wait())?;
    let table = store.open_table(&args.at.table)?;
    let lengths = Lengths::of(&table);
    let key = fitted(key, lengths.key, args.pad, "key")?;
    let value = fitted(value, lengths.value, args.pad, "value")?;
    table.put(&key, &value)?;
    store.close()?;
    if output.is_json() {
        output.json(&json!({ "put": true }))?;
    }
    Ok(Exit::Done)
}

/// The bytes of an argument.
pub fn bytes(text: &OsString, output: &Output, what: &str) -> Result<Vec<u8>, Failure> {
    argument(text, output.is_hex()).map_err(|reason| {
        Failure::usage(format!("the {what}: {reason}"), "with --hex, give two hex digits a byte")
    })
}

/// An argument at the length that the table takes.
pub fn fitted(bytes: Vec<u8>, len: usize, pad: bool, what: &str) -> Result<Vec<u8>, Failure> {
    fit(bytes, len, pad, what).map_err(|reason| {
        Failure::usage(reason, "`slotcask stat DIR` shows the lengths of the tables")
    })
}
