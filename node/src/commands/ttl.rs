//! `ttl`: shows when a value vanishes, sets that, or lets it stay.

use super::put::{bytes, fitted_key};
use crate::errors::{Exit, Failure};
use crate::opening::{self, AnyTable, TableArgs, Vanish};
use crate::output::Output;
use crate::text::parse_duration;
use serde_json::json;
use slotcask::Expiry;
use std::ffi::OsString;
use std::time::Duration;

const EXAMPLES: &str = "\
Prints the milliseconds that are left and the deadline in milliseconds since 1970, or never. The exit code is 1 when there is no such \
key. What is set or cleared is durable when the command ends. Values vanish in cask tables, and in fixed tables created with --expiry.

Examples:
  slotcask ttl db sessions alice --pad
  slotcask ttl db sessions alice --pad --set 24h
  slotcask ttl db sessions alice --pad --at 1798761600000
  slotcask ttl db sessions alice --pad --clear";

/// Arguments of `ttl`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct TtlArgs {
    #[command(flatten)]
    at: TableArgs,
    /// The key: text, or hex digits with --hex
    key: OsString,
    /// Fill a shorter key with zeros
    #[arg(long)]
    pad: bool,
    /// The value vanishes after this time, such as 500ms, 30s, 10m, 24h or 7d
    #[arg(long, value_name = "TIME", value_parser = parse_duration, conflicts_with_all = ["at_ms", "clear"])]
    set: Option<Duration>,
    /// The value vanishes at this time, milliseconds since 1970
    #[arg(long = "at", value_name = "MS", conflicts_with = "clear")]
    at_ms: Option<u64>,
    /// The value stays
    #[arg(long)]
    clear: bool,
}

impl TtlArgs {
    fn change(&self) -> Option<Vanish> {
        let set = self.set.map(Vanish::In).or(self.at_ms.map(Vanish::At));
        set.or(self.clear.then_some(Vanish::Never))
    }
}

/// Shows, after a change if one is asked for, when the value vanishes.
pub fn run(args: &TtlArgs, output: &mut Output) -> Result<Exit, Failure> {
    let key = bytes(&args.key, output, "key")?;
    let change = args.change();
    let store = match change {
        Some(_) => opening::for_writing(&args.at.dir, output.wait())?,
        None => opening::for_reading(&args.at.dir, output.wait())?,
    };
    let table = AnyTable::open(&store, &args.at.table)?;
    let key = fitted_key(key, table.lengths(), args.pad)?;
    if let Some(vanish) = change {
        table.set_expiry(&key, vanish)?;
    }
    let expiry = table.expiry(&key)?;
    store.close()?;
    let deadline_ms = expiry.and_then(|expiry| expiry.deadline_ms());
    let left_ms = expiry.and_then(|expiry| expiry.left()).map(|left| left.as_millis());
    let left_ms = left_ms.map(|left| u64::try_from(left).unwrap_or(u64::MAX));
    let text = match expiry {
        None => String::new(),
        Some(Expiry::Never) => "never".to_owned(),
        Some(Expiry::At { deadline_ms, .. }) => {
            format!("{} ms left, until {deadline_ms}", left_ms.unwrap_or(0))
        }
    };
    let object = json!({
        "found": expiry.is_some(),
        "key": output.style().text(&key),
        "ttl_ms": left_ms,
        "deadline_ms": deadline_ms,
    });
    if expiry.is_none() {
        if output.is_json() {
            output.json(&object)?;
        }
        return Ok(Exit::No);
    }
    output.result(&object, &text)?;
    Ok(Exit::Done)
}
