//! `get`: prints the value of one key.

use super::put::{bytes, fitted_key};
use crate::errors::{Exit, Failure};
use crate::opening::{self, AnyTable, TableArgs};
use crate::output::Output;
use crate::text::unpadded;
use serde_json::json;
use std::ffi::OsString;

const EXAMPLES: &str = "\
The exit code is 1 when there is no such key.

Examples:
  slotcask get db users alice --pad --unpad
  slotcask get db users alice --pad --raw > value.bin
  slotcask --hex get db users 00010203
  slotcask --json get db users alice --pad";

/// Arguments of `get`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct GetArgs {
    #[command(flatten)]
    at: TableArgs,
    /// The key: text, or hex digits with --hex
    key: OsString,
    /// Fill a shorter key with zeros
    #[arg(long)]
    pad: bool,
    /// Print the value without the zeros at its end
    #[arg(long)]
    unpad: bool,
    /// Print the bytes of the value and nothing else, no escapes, no newline
    #[arg(long, conflicts_with_all = ["json", "hex"])]
    raw: bool,
}

/// Prints the value.
pub fn run(args: &GetArgs, output: &mut Output) -> Result<Exit, Failure> {
    let key = bytes(&args.key, output, "key")?;
    let store = opening::for_reading(&args.at.dir, output.wait())?;
    let table = AnyTable::open(&store, &args.at.table)?;
    let key = fitted_key(key, table.lengths(), args.pad)?;
    let value = table.get(&key)?;
    store.close()?;
    let style = output.style();
    let Some(value) = value else {
        if output.is_json() {
            output.json(&json!({ "found": false, "key": style.text(&key), "value": null }))?;
        }
        return Ok(Exit::No);
    };
    let value = if args.unpad { unpadded(&value) } else { &value };
    if args.raw {
        output.bytes(value)?;
        return Ok(Exit::Done);
    }
    let text = style.text(value);
    let object = json!({ "found": true, "key": style.text(&key), "value": text });
    output.result(&object, &text)?;
    Ok(Exit::Done)
}
