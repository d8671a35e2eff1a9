//! The command line of `compare`.

use crate::engine::Outcome;
use crate::values::CASK_KEYS;
use crate::workload::{KEYS, SEED};
use std::path::PathBuf;
use std::time::Duration;

/// What `--help` prints.
pub const HELP: &str = "\
Runs one workload over slotcask and its peers, prints ratios and bars, writes JSON.

usage: compare [options]
  --keys N          keys of the data, open, memory and ordered rows, and of the cask rows but those below (default 2000000)
  --stall-keys N    keys of the stalls rows (default ten times --keys)
  --cask-keys N     keys of the cask-open rows; those of cask-memory are 0.6 to 1.6 times as many (default 5000000)
  --rounds N        rounds; figures are medians of them (default 3)
  --only GROUPS     of data, sync, tickets, stalls, open, memory, cask-data, cask-sync, cask-disk, cask-merge,
                    cask-space, cask-memory, cask-open, ordered-scan, ordered-data, ordered-memory; `cask` and `ordered`
                    for all of theirs; commas between (default all)
  --engines LIST    of slotcask, armdb-const, armdb-fixed, armdb-varmap, armdb-vartree, armdb-fixedtree, fjall, redb;
                    commas between (default all that are built in)
  --dir DIR         where stores are made, each in a subdirectory that is removed again (default: compare.tmp)
  --json FILE       where the JSON goes (default: compare.json)
  --seed N          seed of orders and keys to write
  --slice MS        length of one timed slice (default 1000)
  --tiny            some seconds in all: shows that it works, not how fast
  --strict          exit with 1 when a bar is short

Peers are built in with `--features peers`.
";

/// How much to run.
#[derive(Debug, Clone)]
pub struct Args {
    /// Keys of most rows.
    pub keys: u64,
    /// Keys of the stalls rows.
    pub stall_keys: u64,
    /// Keys of the rows about opening and memory of cask tables.
    pub cask_keys: u64,
    /// Rounds.
    pub rounds: u64,
    /// Groups of rows; empty for all.
    pub only: Vec<String>,
    /// Engines; empty for all.
    pub engines: Vec<String>,
    /// Where stores are made.
    pub dir: PathBuf,
    /// Where the JSON goes.
    pub json: PathBuf,
    /// Seed.
    pub seed: u64,
    /// Length of a timed slice; a loop over a counted number of keys ends after two and a half of them.
    pub slice: Duration,
    /// Whether a short bar is a failure of the program.
    pub strict: bool,
    /// Whether help was asked for.
    pub help: bool,
}

impl Args {
    /// What a full run uses.
    #[must_use]
    pub fn full() -> Self {
        Self {
            keys: KEYS,
            stall_keys: 0,
            cask_keys: CASK_KEYS,
            rounds: 3,
            only: Vec::new(),
            engines: Vec::new(),
            dir: PathBuf::from("compare.tmp"),
            json: PathBuf::from("compare.json"),
            seed: SEED,
            slice: Duration::from_secs(1),
            strict: false,
            help: false,
        }
    }

    /// Reads a command line, without the program's name.
    ///
    /// # Errors
    /// Names the argument that is not understood.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Outcome<Self> {
        let mut args = Self::full();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut next = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
            match argument.as_str() {
                "--keys" => args.keys = next()?.parse()?,
                "--stall-keys" => args.stall_keys = next()?.parse()?,
                "--cask-keys" => args.cask_keys = next()?.parse()?,
                "--rounds" => args.rounds = next()?.parse()?,
                "--only" => args.only = next()?.split(',').map(str::to_owned).collect(),
                "--engines" => args.engines = next()?.split(',').map(str::to_owned).collect(),
                "--dir" => args.dir = next()?.into(),
                "--json" => args.json = next()?.into(),
                "--seed" => args.seed = next()?.parse()?,
                "--slice" => args.slice = Duration::from_millis(next()?.parse()?),
                "--tiny" => {
                    args.keys = 10_000;
                    args.cask_keys = 10_000;
                    args.slice = Duration::from_millis(20);
                }
                "--strict" => args.strict = true,
                "--help" | "-h" => args.help = true,
                other => return Err(format!("unknown argument {other}; see --help").into()),
            }
        }
        let sizes = 1..=1 << 31;
        if !sizes.contains(&args.keys) || !sizes.contains(&args.cask_keys) || args.rounds == 0 {
            return Err("--keys, --cask-keys and --rounds are at least 1, keys at most 2^31".into());
        }
        if args.stall_keys == 0 {
            args.stall_keys = args.keys * 10;
        }
        Ok(args)
    }

    /// Whether a group of rows is wanted, by its name or by that before its hyphen.
    #[must_use]
    pub fn wants(&self, group: &str) -> bool {
        let wanted = |only: &String| {
            group
                .strip_prefix(only.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        self.only.is_empty() || self.only.iter().any(wanted)
    }

    /// Longest time of a loop over a counted number of keys.
    #[must_use]
    pub fn time_max(&self) -> Duration {
        self.slice * 5 / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Outcome<Args> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn groups_and_sizes() {
        let args = parse("--only data,sync --keys 500 --rounds 5").unwrap();
        assert!(args.wants("data") && args.wants("sync") && !args.wants("open"));
        assert_eq!((args.keys, args.stall_keys, args.rounds), (500, 5000, 5));
    }

    #[test]
    fn a_word_names_the_groups_that_begin_with_it() {
        let args = parse("--only cask,open").unwrap();
        assert!(args.wants("cask-data") && args.wants("open") && !args.wants("data"));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["--keys", "--keys many", "--keys 0", "--cask-keys 0", "--rounds 0", "fast"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
