//! The soak: a store under a steady mix of writes, deletes, expiry, scans and merges, whose memory and disk must stay flat.
//!
//! One thread overwrites a fixed table; one overwrites, deletes and lets vanish values of 100 to 4096 bytes in a cask table;
//! one scans both and asks for merges. Memory (resident) and disk (blocks of all files) are sampled each second. The first
//! fifth warms up; then the most in the second half of the rest is compared with the most in its first half.
//!
//! The last part holds the log to its bound: fixed traffic as fast as `RATE_MAX` allows, with one cask put in each segment.

use crate::engine::Outcome;
use crate::workload::{Random, key, value};
use serde_json::json;
use slotcask::{CaskTable, Durability, FixedMap, Options, Store, TableOptions, WriteOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bytes of log records a second of the last part, at most.
const RATE_MAX: u64 = 250_000_000;
/// Bytes that a put of the fixed workload appends to a log.
const RECORD: u64 = 120;
/// How much more the second half may use than the first.
const GROWTH_MAX: f64 = 1.05;

/// What to run.
#[derive(Debug, Clone)]
pub struct Soak {
    /// Length of the mixed part; the last part takes a tenth of it more.
    pub time: Duration,
    /// Keys of the fixed table; the cask table has a tenth as many.
    pub keys: u64,
    /// Where the store is made, in a subdirectory that is removed again.
    pub dir: PathBuf,
    /// Pause between two samples.
    pub sample: Duration,
}

/// What came of it.
#[derive(Debug, Default, Clone)]
pub struct Found {
    /// Samples of the mixed part: seconds, resident bytes, bytes on disk, bytes of log.
    pub samples: Vec<[u64; 4]>,
    /// Most bytes of log in the last part, of all shards, and what they may be.
    pub log_most: u64,
    /// Sum of the shards' bounds.
    pub log_bound: u64,
    /// Bytes of records a second in the last part.
    pub log_rate: u64,
    /// Operations of the mixed part: fixed puts, cask puts, deletes, values that vanished, keys scanned, merges.
    pub counts: [u64; 6],
}

impl Found {
    /// The most of one column in the first and in the second half behind the warm-up.
    #[must_use]
    pub fn halves(&self, column: usize) -> (u64, u64) {
        let warm = &self.samples[self.samples.len() / 5..];
        let (first, second) = warm.split_at(warm.len() / 2);
        let most = |half: &[[u64; 4]]| half.iter().map(|sample| sample[column]).max().unwrap_or(0);
        (most(first), most(second))
    }

    /// Why this is not flat, if it is not.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (column, what) in [(1, "memory"), (2, "disk")] {
            let (first, second) = self.halves(column);
            if second as f64 > first as f64 * GROWTH_MAX {
                faults.push(format!("{what} grew from {first} to {second} bytes"));
            }
        }
        if self.log_most > self.log_bound {
            faults.push(format!("the log took {} bytes of {}", self.log_most, self.log_bound));
        }
        faults
    }

    /// All of it.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let [fixed_puts, cask_puts, deletes, expired, scanned, merges] = self.counts;
        let (memory, disk) = (self.halves(1), self.halves(2));
        json!({
            "memory_bytes": { "first_half": memory.0, "second_half": memory.1 },
            "disk_bytes": { "first_half": disk.0, "second_half": disk.1 },
            "log_bytes": { "most": self.log_most, "bound": self.log_bound, "rate": self.log_rate },
            "fixed_puts": fixed_puts, "cask_puts": cask_puts, "deletes": deletes, "expired": expired,
            "scanned": scanned, "merges": merges,
            "samples": self.samples, "faults": self.faults(),
        })
    }
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

/// Bytes of the blocks of all files below `dir`.
fn on_disk(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => on_disk(&entry.path()),
        Ok(data) => data.blocks() * 512,
        // It went meanwhile.
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

fn log_of(store: &Store) -> Outcome<(u64, u64)> {
    let shards = store.stats()?.shards;
    let sum = |of: fn(&slotcask::ShardStats) -> u64| shards.iter().map(of).sum();
    Ok((sum(|shard| shard.log_bytes), sum(|shard| shard.log_capacity)))
}

struct Tables {
    store: Store,
    fixed: FixedMap<crate::workload::Key, crate::workload::Value>,
    cask: CaskTable,
}

/// Runs it; `tell` gets a line a sample.
///
/// # Errors
/// The engine's.
pub fn run(soak: &Soak, mut tell: impl FnMut(&str)) -> Outcome<Found> {
    let dir = soak.dir.join("soak");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&soak.dir)?;
    let store = Options::new().durability(Durability::Buffered).open(&dir)?;
    let fixed_options = TableOptions::fixed(16, 64).deadlines(true);
    let fixed = FixedMap::of(store.create_table("fixed", fixed_options)?)?;
    let cask = store.create_cask("cask", &slotcask::CaskOptions::default())?;
    let tables = Tables { store, fixed, cask };
    for number in 0..soak.keys {
        tables.fixed.put(&key(number), &value(number, 0))?;
    }
    let mut found = Found::default();
    mixed(soak, &dir, &tables, &mut found, &mut tell)?;
    bounded(soak, &tables, &mut found, &mut tell)?;
    tables.store.close()?;
    std::fs::remove_dir_all(&dir)?;
    Ok(found)
}

fn mixed(
    soak: &Soak,
    dir: &Path,
    tables: &Tables,
    found: &mut Found,
    tell: &mut impl FnMut(&str),
) -> Outcome<()> {
    let stop = AtomicBool::new(false);
    let counts: [AtomicU64; 4] = std::array::from_fn(|_| AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (stop, counts) = (&stop, &counts);
        let threads = [
            scope.spawn(move || until(stop, || overwrite_fixed(soak, tables, &counts[0], stop))),
            scope.spawn(move || until(stop, || change_cask(soak, tables, counts, stop))),
            scope.spawn(move || until(stop, || scan(tables, &counts[3], stop))),
        ];
        let start = Instant::now();
        let mut result = Ok(());
        while start.elapsed() < soak.time && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(soak.sample);
            let log = match log_of(&tables.store) {
                Ok((bytes, _)) => bytes,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            };
            let sample = [start.elapsed().as_secs(), resident(), on_disk(dir), log];
            let [seconds, memory, disk, log] = sample;
            tell(&format!("{seconds} s: memory {memory}, disk {disk}, log {log}"));
            found.samples.push(sample);
        }
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            let ended = thread.join().expect("a thread of the soak panicked");
            if result.is_ok() {
                result = ended;
            }
        }
        result
    })?;
    let shards = tables.store.stats()?.shards;
    let count = |at: usize| counts[at].load(Ordering::Relaxed);
    found.counts = [
        count(0),
        count(1),
        count(2),
        shards.iter().map(|shard| shard.expired).sum(),
        count(3),
        shards.iter().map(|shard| shard.merges).sum(),
    ];
    Ok(())
}

/// Ends the soak when a thread fails.
fn until(stop: &AtomicBool, work: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
    let result = work();
    stop.store(true, Ordering::Relaxed);
    result
}

fn overwrite_fixed(
    soak: &Soak,
    tables: &Tables,
    count: &AtomicU64,
    stop: &AtomicBool,
) -> Outcome<()> {
    let mut random = Random::new(1);
    let brief = WriteOptions::default().ttl(Duration::from_secs(5));
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..1000 {
            let number = random.below(soak.keys);
            match random.below(20) {
                0 => drop(tables.fixed.delete(&key(number))?),
                1 => tables.fixed.put_with(&key(number), &value(number, 1), &brief)?,
                _ => tables.fixed.put(&key(number), &value(number, 2))?,
            }
        }
        count.fetch_add(1000, Ordering::Relaxed);
        // Leaves the processor to the others as well.
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn change_cask(
    soak: &Soak,
    tables: &Tables,
    counts: &[AtomicU64; 4],
    stop: &AtomicBool,
) -> Outcome<()> {
    let mut random = Random::new(2);
    let bytes = [0x5c_u8; 4096];
    let brief = WriteOptions::default().ttl(Duration::from_secs(10));
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..100 {
            let number = random.below((soak.keys / 10).max(1));
            let value = &bytes[..100 + random.below(3997) as usize];
            match random.below(10) {
                0 => {
                    tables.cask.delete(key(number))?;
                    counts[2].fetch_add(1, Ordering::Relaxed);
                }
                1 | 2 => tables.cask.put_with(key(number), value, &brief)?,
                _ => tables.cask.put(key(number), value)?,
            }
        }
        counts[1].fetch_add(100, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn scan(tables: &Tables, count: &AtomicU64, stop: &AtomicBool) -> Outcome<()> {
    let mut rounds = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let mut seen = 0_u64;
        let mut records = tables.cask.iter();
        while records.next_record()?.is_some() && !stop.load(Ordering::Relaxed) {
            seen += 1;
        }
        for row in tables.fixed.table().iter() {
            row?;
            seen += 1;
        }
        count.fetch_add(seen, Ordering::Relaxed);
        rounds += 1;
        if rounds.is_multiple_of(20) {
            tables.store.merge()?;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}

/// One cask put in each segment, and fixed puts.
fn bounded(
    soak: &Soak,
    tables: &Tables,
    found: &mut Found,
    tell: &mut impl FnMut(&str),
) -> Outcome<()> {
    let mut random = Random::new(3);
    let start = Instant::now();
    let (mut puts, mut segments) = (0_u64, vec![0; tables.store.shard_count() as usize]);
    while start.elapsed() < soak.time / 10 {
        for _ in 0..1000 {
            let number = random.below(soak.keys);
            tables.fixed.put(&key(number), &value(number, puts))?;
            puts += 1;
        }
        let shards = tables.store.stats()?.shards;
        for (shard, known) in shards.iter().zip(&mut segments) {
            if shard.segment != *known {
                *known = shard.segment;
                let mine = |number: &u64| tables.store.shard_of(&key(*number)) == shard.shard;
                if let Some(number) = (puts..puts + 1000).find(mine) {
                    tables.cask.put(key(number), b"one in a segment")?;
                }
            }
        }
        found.log_most = found.log_most.max(shards.iter().map(|shard| shard.log_bytes).sum());
        found.log_bound = shards.iter().map(|shard| shard.log_capacity).sum();
        let due = Duration::from_secs_f64((puts * RECORD) as f64 / RATE_MAX as f64);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
    }
    found.log_rate = (puts as f64 * RECORD as f64 / start.elapsed().as_secs_f64()) as u64;
    let Found { log_most, log_bound, log_rate, .. } = found;
    tell(&format!("log: {log_most} of {log_bound} bytes at {log_rate} bytes/s"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_soak_does_everything() {
        let dir = tempfile::tempdir().unwrap();
        let soak = Soak {
            time: Duration::from_millis(1500),
            keys: 2000,
            dir: dir.path().to_owned(),
            sample: Duration::from_millis(50),
        };
        let found = run(&soak, |_| ()).unwrap();
        assert!(found.samples.len() > 5 && found.log_bound > 0);
        assert!(found.log_most <= found.log_bound);
        let [fixed_puts, cask_puts, deletes, _, scanned, _] = found.counts;
        assert!(fixed_puts > 0 && cask_puts > 0 && deletes > 0 && scanned > 0);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn growth_is_a_fault() {
        let grows = |factor: u64| Found {
            samples: (0..100).map(|at| [at, 1000 + at * factor, 5000, 10]).collect(),
            log_bound: 1,
            ..Found::default()
        };
        assert!(grows(0).faults().is_empty());
        assert_eq!(grows(10).faults().len(), 1);
        assert_eq!(Found { log_most: 2, ..grows(0) }.faults().len(), 1);
    }
}
