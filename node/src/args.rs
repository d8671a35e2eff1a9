//! The command line: what is common to all verbs.

use crate::commands::{
    bench, check, completions, create, del, dump, export, get, load, merge, put, repair, scan,
    stat, ttl,
};
use clap::{Args, Parser, Subcommand};
use std::time::Duration;

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    the answer is no: key not found, damage found, repair has work to do
  2    usage or bad input: options, lengths, a line, no such store or table
  3    stored bytes are damaged and the command could not go on
  4    out of space, quota, file size, descriptors, memory or slots
  5    the store is locked by another process, or too busy
  6    input or output failed, or a shard refuses writes after a failure
  130  interrupted; what was acknowledged is kept

Keys and values are printed as text with the escapes \\t \\n \\r \\0 \\\\ and \\xNN (a byte that is not \
UTF-8), or as hex digits with --hex.

Examples:
  slotcask create db --table users --key-len 16 --value-len 100
  slotcask put db users alice 'some value' --pad
  slotcask get db users alice --pad --unpad
  slotcask load db users rows.tsv --pad
  slotcask check db

The environment variable RUST_LOG sets what is logged on standard error (default: warn).";

/// A sharded key-value engine for NVMe, on a directory.
#[derive(Debug, Parser)]
#[command(name = "slotcask", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// What is common to all verbs.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every verb takes.
#[derive(Debug, Clone, Copy, Args)]
pub struct Global {
    /// Print one JSON object or array on standard output
    #[arg(long, global = true, help_heading = "Common options")]
    pub json: bool,
    /// Keys and values are hex digits, in and out
    #[arg(long, global = true, help_heading = "Common options")]
    pub hex: bool,
    /// Wait this long for a store that is locked; a killed process may hold it until its last writes are done
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        default_value = "2",
        value_parser = parse_wait,
        allow_negative_numbers = true,
        help_heading = "Common options"
    )]
    pub wait: Duration,
}

fn parse_wait(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("a number of seconds from 0 to 86400".to_owned()),
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a store, a table, or both
    Create(create::CreateArgs),
    /// Write one row
    Put(put::PutArgs),
    /// Print the value of one key
    Get(get::GetArgs),
    /// Show, set or clear the time to live of one row
    Ttl(ttl::TtlArgs),
    /// Delete one row
    Del(del::DelArgs),
    /// Print rows of a table
    Scan(scan::ScanArgs),
    /// Write the rows of a file (TSV, CSV, NDJSON) into a table
    Load(load::LoadArgs),
    /// Write all rows of a table as TSV, CSV or NDJSON
    Export(export::ExportArgs),
    /// Give the space of dead records of cask tables back
    Merge(merge::MergeArgs),
    /// Describe a store: tables, shards, last recovery
    Stat(stat::StatArgs),
    /// Verify every checksum, changing nothing
    Check(check::CheckArgs),
    /// Print a log, a manifest or slots, one record a line
    Dump(dump::DumpArgs),
    /// Repair a damaged store, or take over a copied one
    Repair(repair::RepairArgs),
    /// Measure throughput and latency of this machine and directory
    Bench(bench::BenchArgs),
    /// Print the completions of a shell
    Completions(completions::CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_shows_examples() {
        for verb in Cli::command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:"), "{}", verb.get_name());
            assert!(help.contains(&format!("slotcask {}", verb.get_name())), "{}", verb.get_name());
        }
    }
}
