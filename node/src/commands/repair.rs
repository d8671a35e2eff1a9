//! `repair`: says what can be done about damage, and does it with `--yes`.

use crate::errors::{Exit, Failure};
use crate::opening::{environment, patiently};
use crate::output::Output;
use crate::text::count;
use serde_json::json;
use slotcask::{Options, tools};
use std::path::{Path, PathBuf};
use std::time::Duration;

const EXAMPLES: &str = "\
Without --yes nothing is changed: the actions are printed, and the exit code is 1 when there are any. \
A repair mends what can be mended without guessing and never drops what was acknowledged; \
damage beyond that is listed, and the exit code is 3. Keep a copy of the directory anyway. \
--adopt is for a directory that was copied from another store, or lost its lock file: it gets an \
identity of its own, so that the two are never taken for one. No process may have it open.

Examples:
  slotcask repair db
  slotcask repair db --yes
  slotcask repair copy-of-db --adopt --yes";

/// Arguments of `repair`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct RepairArgs {
    /// Directory of the store
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Do it; without this the actions are only printed
    #[arg(long)]
    yes: bool,
    /// Make a copied directory a store of its own; no process may have it open
    #[arg(long)]
    adopt: bool,
}

/// Repairs, or says what a repair would do.
pub fn run(args: &RepairArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (actions, beyond) = if args.adopt {
        (adopt(&args.dir, args.yes, output.wait())?, Vec::new())
    } else {
        let env = environment();
        let plan = patiently(output.wait(), || tools::repair(&env, &args.dir, !args.yes))?;
        (plan.actions, plan.beyond_repair)
    };
    let is_done = args.yes || actions.is_empty();
    let object = json!({ "actions": actions, "done": is_done, "beyond_repair": beyond });
    output.result(&object, &text(&actions, &beyond, args.yes))?;
    if !beyond.is_empty() {
        return Err(Failure::new(
            Exit::Corrupt,
            format!("{} beyond repair", count(beyond.len() as u64, "damage")),
            "restore the store from a copy; nothing that was acknowledged is dropped to make it open",
        ));
    }
    Ok(if is_done { Exit::Done } else { Exit::No })
}

fn text(actions: &[String], beyond: &[String], yes: bool) -> String {
    let mut lines = Vec::new();
    if !actions.is_empty() {
        lines.push(if yes { "done:" } else { "would do (give --yes to do it):" }.to_owned());
        lines.extend(actions.iter().map(|action| format!("  {action}")));
    }
    if !beyond.is_empty() {
        lines.push("beyond repair:".to_owned());
        lines.extend(beyond.iter().map(|damage| format!("  {damage}")));
    }
    if lines.is_empty() {
        lines.push("nothing to repair".to_owned());
    }
    lines.join("\n")
}

fn adopt(dir: &Path, yes: bool, wait: Duration) -> Result<Vec<String>, Failure> {
    if yes {
        Options::new().create(false).adopt_copy(true).lock_timeout(wait).open(dir)?.close()?;
    }
    Ok(vec![format!(
        "give the store in {} a new node identity and begin an epoch of kind restored",
        dir.display()
    )])
}
