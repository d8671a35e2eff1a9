//! `repair`: says what can be done about damage, and does it with `--yes`.

use crate::errors::{Exit, Failure};
use crate::opening::environment;
use crate::output::Output;
use serde_json::json;
use slotcask::{Options, tools};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Without --yes nothing is changed: the actions are printed, and the exit code is 1 when there are any. \
Keep a copy of the directory before a repair: what it drops cannot be brought back. \
--adopt is for a directory that was copied from another store: it gets an identity of its own, so \
that the two are never taken for one.

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
    /// Make a copied directory a store of its own
    #[arg(long)]
    adopt: bool,
}

/// Repairs, or says what a repair would do.
pub fn run(args: &RepairArgs, output: &mut Output) -> Result<Exit, Failure> {
    let actions = if args.adopt {
        adopt(&args.dir, args.yes)?
    } else {
        tools::repair(&environment(), &args.dir, !args.yes)?.actions
    };
    let is_done = args.yes || actions.is_empty();
    let text = match (actions.is_empty(), args.yes) {
        (true, _) => "nothing to repair".to_owned(),
        (false, true) => format!("done:\n  {}", actions.join("\n  ")),
        (false, false) => {
            format!("would do (give --yes to do it):\n  {}", actions.join("\n  "))
        }
    };
    output.result(&json!({ "actions": actions, "done": is_done }), &text)?;
    Ok(if is_done { Exit::Done } else { Exit::No })
}

fn adopt(dir: &Path, yes: bool) -> Result<Vec<String>, Failure> {
    if yes {
        Options::new().create(false).adopt_copy(true).open(dir)?.close()?;
    }
    Ok(vec![format!(
        "give the store in {} a new node identity and begin an epoch of kind restored",
        dir.display()
    )])
}
