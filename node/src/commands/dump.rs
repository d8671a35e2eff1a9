//! `dump`: the records of a store's files as text.

use crate::errors::{Exit, Failure};
use crate::opening::{environment, patiently};
use crate::output::Output;
use serde_json::Value;
use slotcask::tools;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Reads the files without opening the store and changes nothing. The store must not be open for writing. It ends with exit code 3 where the \
files are damaged; what stands before that was printed. With --json: an array of the lines.

Examples:
  slotcask dump log db --shard 0
  slotcask dump manifest db
  slotcask dump slots db users | head";

/// Arguments of `dump`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DumpArgs {
    #[command(subcommand)]
    what: What,
}

/// What to print.
#[derive(Debug, clap::Subcommand)]
enum What {
    /// The log's flushes and records
    Log(ShardArgs),
    /// The manifest's records
    Manifest(ShardArgs),
    /// The slots of a table
    Slots(SlotsArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct ShardArgs {
    /// Directory of the store
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Only this shard
    #[arg(long, value_name = "SHARD")]
    shard: Option<u32>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct SlotsArgs {
    /// Directory of the store
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Name of the table
    #[arg(value_name = "TABLE")]
    table: String,
}

/// Prints the records.
pub fn run(args: &DumpArgs, output: &mut Output) -> Result<Exit, Failure> {
    let env = environment();
    let wait = output.wait();
    let mut lines = Lines { output, count: 0, failed: None };
    // A store that is locked is found to be so before the first line.
    patiently(wait, || {
        let mut out = |line: &str| lines.push(line);
        match &args.what {
            What::Log(at) => tools::dump_log(&env, &at.dir, at.shard, &mut out),
            What::Manifest(at) => tools::dump_manifest(&env, &at.dir, at.shard, &mut out),
            What::Slots(at) => tools::dump_slots(&env, &at.dir, &at.table, &mut out),
        }
    })?;
    lines.end()?;
    Ok(Exit::Done)
}

/// Passes lines on, and remembers the first failure: whoever produces the lines cannot be stopped by one.
struct Lines<'a> {
    output: &'a mut Output,
    count: u64,
    failed: Option<Failure>,
}

impl Lines<'_> {
    fn push(&mut self, line: &str) {
        if self.failed.is_some() {
            return;
        }
        let written = if self.output.is_json() {
            let separator = if self.count == 0 { "[\n" } else { ",\n" };
            let item = format!("{separator}{}", Value::from(line));
            self.output.bytes(item.as_bytes())
        } else {
            self.output.line(line)
        };
        self.count += 1;
        self.failed = written.err();
    }

    fn end(self) -> Result<(), Failure> {
        if let Some(failure) = self.failed {
            return Err(failure);
        }
        match (self.output.is_json(), self.count) {
            (true, 0) => self.output.bytes(b"[\n]\n"),
            (true, _) => self.output.bytes(b"\n]\n"),
            (false, _) => Ok(()),
        }
    }
}
