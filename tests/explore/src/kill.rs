//! Real processes on the real disk, killed under load.
//!
//! The child writes increasing numbers and says on its standard output what was acknowledged (`Sync`) or flushed (`Buffered`). After
//! the kill everything that it said is there, and on each shard what is there is a prefix of what was written.

use crate::model::value;
use crate::random::Random;
use slotcask::{CaskOptions, Durability, Options, Store, TableOptions};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// What was tried.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Kills.
    pub cycles: u64,
    /// Numbers that were acknowledged or flushed before a kill.
    pub acknowledged: u64,
    /// Of all cycles, those in which something unacknowledged was lost, as is its right.
    pub lost_tails: u64,
    /// Violations.
    pub violations: Vec<String>,
}

/// Cycles on one store before a fresh one is taken.
const CYCLES_PER_STORE: u64 = 25;

/// A child is killed when it has said fewer lines than this: one for each sync, or for every 16 buffered writes.
const LINES_MAX: u64 = 200;
/// A child that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Key of what only takes room.
const BALLAST: &str = "ballast";

/// Length of a value of the cask table.
const fn cask_len(n: u64) -> usize {
    8 + (n % 700) as usize
}

/// Opens the store; a killed process holds its lock until the kernel has done the last writes, some milliseconds.
fn open(dir: &Path, durability: Durability) -> slotcask::Result<Store> {
    Options::new()
        .durability(durability)
        .flush_interval(Duration::from_millis(5))
        .lock_timeout(Duration::from_secs(10))
        .open(dir)
}

/// The child: writes from `from` on until it is killed.
///
/// # Errors
/// The store's.
pub fn child(dir: &Path, from: u64, is_sync: bool) -> slotcask::Result<()> {
    let durability = if is_sync { Durability::Sync } else { Durability::Buffered };
    let store = open(dir, durability)?;
    let table = store.open_table("t")?;
    let cask = store.open_cask("c").ok();
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "ready");
    for n in from.. {
        match &cask {
            Some(cask) if n % 2 == 0 => {
                cask.put(n.to_le_bytes(), value(n, cask_len(n)))?;
                // Dies with the next one, so that files are merged.
                cask.put(BALLAST, vec![1; 2000])?;
            }
            _ => table.put(n.to_le_bytes(), value(n, 24))?,
        }
        if is_sync {
            let _ = writeln!(out, "{n}");
        } else if n % 512 == 0 {
            store.sync()?;
            let _ = writeln!(out, "{n}");
        } else if n % 16 == 0 {
            // Accepted, and no more than that.
            let _ = writeln!(out, "on");
        }
    }
    Ok(())
}

/// Kills `cycles` children, which write a fixed table, and every other number to a cask table if there is to be one.
///
/// # Errors
/// When the machine refuses a process or a directory.
pub fn run(cycles: u64, seed: u64, cask: bool) -> std::io::Result<Tally> {
    let mut tally = Tally::default();
    let mut random = Random(seed);
    while tally.cycles < cycles && tally.violations.is_empty() {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("store");
        let created = Options::new().shards(2).log_size(2 << 20).open(&path).and_then(|store| {
            store.create_table("t", TableOptions::fixed(8, 24))?;
            if cask {
                store.create_cask("c", &CaskOptions::new())?;
            }
            store.close()
        });
        created.map_err(|error| std::io::Error::other(error.to_string()))?;
        let mut present = BTreeSet::new();
        for _ in 0..CYCLES_PER_STORE.min(cycles - tally.cycles) {
            let from = present.last().map_or(1, |last| last + 1);
            let is_sync = random.below(2) == 0;
            let said = kill_one(&path, from, is_sync, random.below(LINES_MAX))?;
            tally.cycles += 1;
            tally.acknowledged += said.saturating_sub(from - 1);
            match verify(&path, from, said, &present) {
                Ok((now, complete)) => {
                    tally.lost_tails += u64::from(!complete);
                    present = now;
                }
                Err(what) => {
                    tally
                        .violations
                        .push(format!("cycle {}, sync {is_sync}: {what}", tally.cycles));
                    break;
                }
            }
        }
    }
    Ok(tally)
}

/// Runs a child until it has said `count` lines, and kills it. Gives the highest number that it said; it goes on while it is killed.
fn kill_one(dir: &Path, from: u64, is_sync: bool, count: u64) -> std::io::Result<u64> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("kill-child")
        .arg(dir)
        .args(["--from", &from.to_string()])
        .args(is_sync.then_some("--sync"))
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().expect("it was asked for"));
    let (tell, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|len| len > 0) && line.ends_with('\n') {
            let _ = tell.send(line.trim().parse().ok());
            line.clear();
        }
    });
    let mut said = from - 1;
    let mut silent = false;
    // That it is ready is said before.
    for _ in 0..=count {
        match heard.recv_timeout(PATIENCE) {
            Ok(number) => said = number.unwrap_or(said),
            Err(error) => {
                silent = error == mpsc::RecvTimeoutError::Timeout;
                break;
            }
        }
    }
    child.kill()?;
    child.wait()?;
    if silent {
        return Err(std::io::Error::other(format!("a child said nothing for {PATIENCE:?}")));
    }
    Ok(heard.iter().flatten().last().unwrap_or(said))
}

fn verify(
    dir: &Path,
    from: u64,
    said: u64,
    before: &BTreeSet<u64>,
) -> Result<(BTreeSet<u64>, bool), String> {
    let store =
        open(dir, Durability::Sync).map_err(|error| format!("refused after a kill: {error}"))?;
    let table = store.open_table("t").map_err(|error| error.to_string())?;
    let mut now = BTreeSet::new();
    for pair in table.iter() {
        let (key, bytes) = pair.map_err(|error| error.to_string())?;
        let n = u64::from_le_bytes(key.try_into().map_err(|_| "a key of a wrong length")?);
        if bytes != value(n, 24) {
            return Err(format!("a torn value under {n}"));
        }
        now.insert(n);
    }
    if let Ok(cask) = store.open_cask("c") {
        for pair in cask.iter() {
            let (key, bytes) = pair.map_err(|error| error.to_string())?;
            if key == BALLAST.as_bytes() {
                continue;
            }
            let n = u64::from_le_bytes(key.try_into().map_err(|_| "a key of a wrong length")?);
            if bytes != value(n, cask_len(n)) {
                return Err(format!("a torn value under {n} of the cask table"));
            }
            now.insert(n);
        }
    }
    if let Some(lost) = before.iter().find(|n| !now.contains(n)) {
        return Err(format!("{lost} was there before this cycle and is lost"));
    }
    if let Some(lost) = (from..=said).find(|n| !now.contains(n)) {
        return Err(format!("{lost} was acknowledged (up to {said}) and is lost"));
    }
    let last = now.last().copied().unwrap_or(0);
    let shard_of = |n: u64| store.shard_of(&n.to_le_bytes()) as usize;
    let mut ends = [0; 2];
    for n in now.range(from..) {
        ends[shard_of(*n)] = *n;
    }
    let mut complete = true;
    for n in from..=last {
        if !now.contains(&n) {
            complete = false;
            if n < ends[shard_of(n)] {
                return Err(format!(
                    "{n} is lost, but {} of the same shard is there",
                    ends[shard_of(n)]
                ));
            }
        }
    }
    store.close().map_err(|error| error.to_string())?;
    Ok((now, complete))
}
