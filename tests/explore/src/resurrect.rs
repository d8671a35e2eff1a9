//! Nothing that was overwritten or deleted comes back: every order of a few steps on one key of a cask table and one of a fixed table,
//! both ordered, each step in a segment of its own, then every way to reopen, with hints as they are, without them, and with damaged ones.
//!
//! What can bring a key back is an older version in a data file whose tombstone went too early, or a hint that lists it.

use crate::life::{ROOT, options};
use slotcask::{CaskOptions, Result, Store, TableOptions, WriteOptions};
use slotcask_io::sim::{CrashPlan, SimClock, env_of};
use slotcask_io::{Env, SimDisk, SimOptions};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const KEY: &[u8; 8] = b"the key ";
/// What a range delete removes: the key, and another one that merges bring back, so that one of the two may need it longer.
const RANGE: &[u8; 4] = b"the ";
const OTHER: &[u8; 9] = b"the other";
const FIXED_LEN: usize = 16;

/// What is done to the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is put.
    Overwrite,
    /// It is deleted.
    Delete,
    /// It is put, and its time comes.
    Expire,
    /// The range that it lies in is deleted.
    RangeDelete,
    /// Another key of the range is put, and data files are merged.
    Merge,
}

/// All of them.
pub const STEPS: [Step; 5] =
    [Step::Overwrite, Step::Delete, Step::Expire, Step::RangeDelete, Step::Merge];

/// Sequences of one to `longest` steps.
#[must_use]
pub const fn sequences(longest: u32) -> u64 {
    let (mut count, mut len) = (0, 1);
    while len <= longest {
        count += (STEPS.len() as u64).pow(len);
        len += 1;
    }
    count
}

/// Sequence number `number`, shorter ones first.
#[must_use]
pub fn sequence(mut number: u64) -> Vec<Step> {
    let kinds = STEPS.len() as u64;
    let mut len = 1;
    while number >= kinds.pow(len) {
        number -= kinds.pow(len);
        len += 1;
    }
    (0..len)
        .map(|_| {
            let step = STEPS[(number % kinds) as usize];
            number /= kinds;
            step
        })
        .collect()
}

/// The numbers under the key and under the other one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Expected {
    key: Option<u64>,
    other: Option<u64>,
}

/// How hints are found at an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hints {
    Present,
    Absent,
    Damaged,
}

struct World {
    disk: SimDisk,
    clock: Arc<SimClock>,
}

impl World {
    fn open(&self, disk: &SimDisk) -> Result<Store> {
        let env = Env { clock: self.clock.clone(), ..env_of(1, disk) };
        options(false).open_in(env, ROOT)
    }
}

fn fixed_value(number: u64) -> [u8; FIXED_LEN] {
    let mut value = [7; FIXED_LEN];
    value[..8].copy_from_slice(&number.to_le_bytes());
    value
}

fn cask_value(number: u64) -> Vec<u8> {
    let mut value = number.to_le_bytes().to_vec();
    value.resize(8 + (number as usize * 131) % 700, number as u8);
    value
}

/// Plays sequence `number` and looks at all ends; gives how many openings were judged.
///
/// # Errors
/// Says what came back, was lost, or failed.
pub fn play(number: u64) -> std::result::Result<u64, String> {
    let steps = sequence(number);
    let world =
        World { disk: SimDisk::new(SimOptions::default()), clock: Arc::new(SimClock::new()) };
    let told = |what: String| format!("sequence {number} {steps:?}: {what}");
    let (expected, unclean, clean) =
        perform(&world, &steps).map_err(|error| told(error.to_string()))?;
    let mut judged = 0;
    let unsynced = unclean.crash(&mut CrashPlan::keep_none());
    // Without data files nothing could come back, and nothing would be proved.
    if hints_in(&clean) == 0 || (steps.len() > 1 && hints_in(&unclean) == 0) {
        return Err(told("no segment became a data file".to_owned()));
    }
    let ends = [("closed", clean), ("killed", unclean.after_kill()), ("without power", unsynced)];
    for (end, image) in ends {
        for hints in [Hints::Present, Hints::Absent, Hints::Damaged] {
            let disk = image.fork();
            spoil(&disk, hints);
            reopened(&world, &disk, expected)
                .map_err(|what| told(format!("{end}, hints {hints:?}: {what}")))?;
            judged += 1;
        }
    }
    Ok(judged)
}

/// Plays all sequences up to `longest` steps, or one; gives sequences, openings judged, violations.
#[must_use]
pub fn run(longest: u32, threads: u64, only: Option<u64>) -> (u64, u64, Vec<String>) {
    if let Some(number) = only {
        return match play(number) {
            Ok(judged) => (1, judged, Vec::new()),
            Err(what) => (1, 0, vec![what]),
        };
    }
    let (tried, judged) = (AtomicU64::new(0), AtomicU64::new(0));
    let violations = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..threads.max(1) {
            let (tried, judged, violations) = (&tried, &judged, &violations);
            scope.spawn(move || {
                for number in (thread..sequences(longest)).step_by(threads.max(1) as usize) {
                    tried.fetch_add(1, Ordering::Relaxed);
                    match play(number) {
                        Ok(count) => drop(judged.fetch_add(count, Ordering::Relaxed)),
                        Err(what) => {
                            let mut violations = violations.lock().expect("no holder panics");
                            violations
                                .push(format!("{what}; again: resurrect --reproduce {number}"));
                            if violations.len() >= 10 {
                                return;
                            }
                        }
                    }
                }
            });
        }
    });
    (tried.into_inner(), judged.into_inner(), violations.into_inner().expect("no holder panics"))
}

/// The numbers under the keys, the disk of the running store, everything synced, and the disk after its close.
fn perform(world: &World, steps: &[Step]) -> Result<(Expected, SimDisk, SimDisk)> {
    let store = world.open(&world.disk)?;
    let cask = store.create_cask("c", &CaskOptions::new().ordered(true))?;
    let fixed =
        store.create_table("f", TableOptions::fixed(8, FIXED_LEN).deadlines(true).ordered(true))?;
    let mut number = 1;
    cask.put(KEY, cask_value(number))?;
    cask.put(OTHER, cask_value(number))?;
    fixed.put(KEY, fixed_value(number))?;
    let mut expected = Expected { key: Some(number), other: Some(number) };
    for (at, step) in steps.iter().enumerate() {
        // Bytes that live on, so that the segment becomes a data file, and bytes that die, so that it is worth a merge.
        // Of two segments one is mostly live, and sealed; some range deletes stand alone, and are evacuated.
        let ballast = if at % 2 == 0 { 15_500 } else { 5000 };
        if *step != Step::RangeDelete || at % 2 == 0 {
            cask.put(format!("ballast-{at}"), vec![1; ballast])?;
            cask.put("dying ballast", vec![2; 3000])?;
        }
        number += 1;
        match step {
            Step::Overwrite => {
                cask.put(KEY, cask_value(number))?;
                fixed.put(KEY, fixed_value(number))?;
                expected.key = Some(number);
            }
            Step::Delete => {
                cask.delete(KEY)?;
                fixed.delete(KEY)?;
                expected.key = None;
            }
            Step::Expire => {
                let brief = WriteOptions::new().ttl(Duration::from_millis(1));
                cask.put_with(KEY, cask_value(number), &brief)?;
                fixed.put_with(KEY, fixed_value(number), &brief)?;
                world.clock.advance(Duration::from_secs(1));
                expected.key = None;
            }
            Step::RangeDelete => {
                cask.delete_prefix(RANGE)?;
                fixed.delete_prefix(RANGE)?;
                expected = Expected::default();
            }
            Step::Merge => {
                cask.put(OTHER, cask_value(number))?;
                expected.other = Some(number);
                store.sync()?;
                store.merge()?;
            }
        }
        store.rotate()?;
        store.checkpoint()?;
        // Takes out what is over.
        while store.poll()? {}
    }
    store.sync()?;
    let running = world.disk.fork();
    store.close()?;
    Ok((expected, running, world.disk.fork()))
}

fn is_hint(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "hint")
}

fn hints_in(disk: &SimDisk) -> usize {
    disk.files().iter().filter(|(path, _)| is_hint(path)).count()
}

fn spoil(disk: &SimDisk, hints: Hints) {
    for (path, _) in disk.files() {
        if !is_hint(&path) {
            continue;
        }
        match hints {
            Hints::Present => {}
            Hints::Absent => disk.delete_file(&path),
            Hints::Damaged => {
                let mut bytes = disk.read_all(&path).expect("it is listed");
                let at = bytes.len() * 2 / 3;
                bytes[at] ^= 0x10;
                disk.put_file(&path, &bytes);
            }
        }
    }
}

/// Opens, looks, merges, looks, and does it once more.
fn reopened(world: &World, disk: &SimDisk, expected: Expected) -> std::result::Result<(), String> {
    for round in 0..2 {
        let store = world.open(disk).map_err(|error| format!("round {round}: {error}"))?;
        let found = look(&store, expected).and_then(|()| {
            store.sync().and_then(|()| store.merge()).map_err(|error| error.to_string())?;
            look(&store, expected).map_err(|what| format!("after a merge: {what}"))
        });
        found.map_err(|what| format!("round {round}: {what}"))?;
        store.close().map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn look(store: &Store, expected: Expected) -> std::result::Result<(), String> {
    let text = |error: slotcask::Error| error.to_string();
    let cask = store.open_cask("c").map_err(text)?;
    let mut there = Vec::new();
    for (key, number) in [(&KEY[..], expected.key), (&OTHER[..], expected.other)] {
        let name = String::from_utf8_lossy(key);
        let found = cask.get(key).map_err(text)?;
        if found != number.map(cask_value) {
            let found = number_of(&found);
            return Err(format!("the cask table holds {found:?} under {name}, not {number:?}"));
        }
        there.extend(found.map(|value| (key.to_vec(), value)));
    }
    let scanned = cask.prefix(RANGE).and_then(Iterator::collect::<Result<Vec<_>>>).map_err(text)?;
    let all = cask.iter().collect::<Result<Vec<_>>>().map_err(text)?;
    let mut iterated: Vec<_> = all.into_iter().filter(|(key, _)| key.starts_with(RANGE)).collect();
    iterated.sort_unstable();
    for (found, name) in [(scanned, "scan"), (iterated, "iteration")] {
        if found != there {
            let keys: Vec<_> = found.iter().map(|(key, _)| String::from_utf8_lossy(key)).collect();
            return Err(format!("the {name} gives {keys:?}, expected {expected:?}"));
        }
    }
    let fixed = store.open_table("f").map_err(text)?;
    let value = expected.key.map(|number| fixed_value(number).to_vec());
    let scanned = fixed.scan().and_then(Iterator::collect::<Result<Vec<_>>>).map_err(text)?;
    let scanned = scanned.into_iter().map(|(_, value)| value).next();
    for found in [fixed.get(KEY).map_err(text)?, scanned] {
        if found != value {
            let found = number_of(&found);
            return Err(format!("the fixed table holds {found:?}, expected {expected:?}"));
        }
    }
    Ok(())
}

fn number_of(value: &Option<Vec<u8>>) -> Option<u64> {
    let first = value.as_ref()?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_all_there_and_differ() {
        let all: Vec<_> = (0..sequences(3)).map(sequence).collect();
        assert_eq!(all.len(), 5 + 25 + 125);
        assert_eq!((all[0].len(), all[5].len(), all[154].len()), (1, 2, 3));
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one));
        }
    }
}
