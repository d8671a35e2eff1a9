//! `put`: writes one row.

use crate::errors::{Exit, Failure};
use crate::opening::{self, AnyTable, Lengths, TableArgs};
use crate::output::Output;
use crate::text::{argument, fit, parse_duration};
use serde_json::json;
use slotcask::WriteOptions;
use std::ffi::OsString;
use std::time::Duration;

const EXAMPLES: &str = "\
The row is durable when the command ends. Give -- before a key that begins with a dash.

Examples:
  slotcask put db users alice 'some value' --pad
  slotcask --hex put db users 00010203 ffff0000
  slotcask put db pages /index.html '<h1>hello</h1>' --ttl 24h
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
    /// The value vanishes after this time, such as 500ms, 30s, 10m, 24h or 7d; in cask tables, and in tables created with --expiry
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    ttl: Option<Duration>,
}

/// Writes the row.
pub fn run(args: &PutArgs, output: &mut Output) -> Result<Exit, Failure> {
    let key = bytes(&args.key, output, "key")?;
    let value = bytes(&args.value, output, "value")?;
    let store = opening::for_writing(&args.at.dir, output.wait())?;
    let table = AnyTable::open(&store, &args.at.table)?;
    let lengths = table.lengths();
    let key = fitted_key(key, lengths, args.pad)?;
    let value = fitted(value, lengths.value, lengths.exact, args.pad, "value")?;
    let mut options = WriteOptions::new();
    if let Some(ttl) = args.ttl {
        options = options.ttl(ttl);
    }
    table.put(&key, &value, &options)?;
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

/// A key at the length that the table takes.
pub fn fitted_key(bytes: Vec<u8>, lengths: Lengths, pad: bool) -> Result<Vec<u8>, Failure> {
    fitted(bytes, lengths.key, lengths.exact, pad, "key")
}

fn fitted(
    bytes: Vec<u8>,
    len: usize,
    exact: bool,
    pad: bool,
    what: &str,
) -> Result<Vec<u8>, Failure> {
    fit(bytes, len, exact, pad, what).map_err(|reason| {
        Failure::usage(reason, "`slotcask stat DIR` shows the lengths of the tables")
    })
}
