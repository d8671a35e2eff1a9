//! `merge`: gives the space of dead records back.

use crate::errors::{Exit, Failure};
use crate::opening;
use crate::output::Output;
use crate::text::display_size;
use serde_json::json;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Merges all data files of cask tables that hold dead records: overwritten, deleted or expired. A running \
store does it by itself as they fill; this does all of it at once.

Examples:
  slotcask merge db
  slotcask --json merge db";

/// Arguments of `merge`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct MergeArgs {
    /// Directory of the store
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Merges.
pub fn run(args: &MergeArgs, output: &mut Output) -> Result<Exit, Failure> {
    let store = opening::for_writing(&args.dir, output.wait())?;
    // What is in the log becomes data files first.
    store.rotate()?;
    store.checkpoint()?;
    store.checkpoint()?;
    store.merge()?;
    let stats = store.stats()?;
    let sum = |of: fn(&slotcask::ShardStats) -> u64| stats.shards.iter().map(of).sum::<u64>();
    let (read, written) =
        (sum(|shard| shard.merge_bytes_read), sum(|shard| shard.merge_bytes_written));
    let dead = sum(|shard| shard.cask_dead_bytes);
    store.close()?;
    let object = json!({ "bytes_read": read, "bytes_written": written, "dead_bytes_left": dead });
    let text = format!(
        "read {}, wrote {}, {} of dead records are left",
        display_size(read),
        display_size(written),
        display_size(dead)
    );
    output.result(&object, &text)?;
    Ok(Exit::Done)
}
