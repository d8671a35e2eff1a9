//! `bench`: measures this machine and directory.

use crate::bench;
use crate::errors::{Exit, Failure};
use crate::output::Output;
use crate::text::parse_size;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Makes a store of its own under DIR, measures, and removes it. The phases: plain writes of one block \
with a sync each (what the device can do), filling, buffered puts, durable puts by 1, 16 and 64 \
threads, gets. Keys and values are pseudo-random with a fixed seed. Needs room for the log and for \
the rows.

Examples:
  slotcask bench .
  slotcask bench /mnt/nvme --seconds 10 --keys 1000000
  slotcask --json bench . --seconds 1 --keys 10000 --value-len 1000";

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// Directory to measure; not that of a store
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Seconds for each phase
    #[arg(long, value_name = "N", default_value_t = 3.0, value_parser = parse_seconds, allow_negative_numbers = true)]
    pub seconds: f64,
    /// Number of rows
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub keys: u64,
    /// Length of a key, bytes
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(8..=512))]
    pub key_len: u32,
    /// Length of a value, bytes
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub value_len: u32,
    /// Number of shards [default: the store's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=255))]
    pub shards: Option<u32>,
    /// Disk space for the logs of all shards together
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = parse_size)]
    pub log_size: u64,
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 86_400.0 => Ok(seconds),
        _ => Err("a number of seconds above 0, at most 86400".to_owned()),
    }
}

/// Measures.
pub fn run(args: &BenchArgs, output: &mut Output) -> Result<Exit, Failure> {
    bench::run(args, output)
}
