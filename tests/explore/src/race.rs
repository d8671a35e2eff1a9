//! One thread writes while another merges: what was written last is what is read.
//!
//! The threads are real ones, so a violation is not replayed; the window is the whole of a merge.

use crate::life::options;
use crate::model::value;
use crate::random::Random;
use slotcask::{CaskOptions, CaskTable, Store};
use slotcask_io::sim::env_of;
use slotcask_io::{SimDisk, SimOptions};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const ROOT: &str = "/s";
/// Many more than are written during a merge, so that most of what is merged is live.
const KEYS: u64 = 2000;
/// Writes between two merges.
const PAUSE: u64 = 200;
const VALUE: usize = 300;

/// Writes `writes` times beside merges, each after some writes; gives the number of merges, and the first violation.
#[must_use]
pub fn run(writes: u64, seed: u64) -> (u64, Option<String>) {
    let disk = SimDisk::new(SimOptions { seed, ..SimOptions::default() });
    let mut expected = vec![0; KEYS as usize];
    let mut merges = 0;
    let raced = (|| -> Result<(), String> {
        let text = |error: slotcask::Error| error.to_string();
        let store = options(false).open_in(env_of(seed, &disk), ROOT).map_err(text)?;
        let table = store.create_cask("c", &CaskOptions::new()).map_err(text)?;
        for (key, number) in (0..).zip(&mut expected) {
            *number = key + 1;
            put(&table, key, *number)?;
        }
        let (done, written) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let merger = scope.spawn(|| {
                let mut at_merge = 0;
                while !done.load(Ordering::Acquire) {
                    if written.load(Ordering::Acquire) < at_merge + PAUSE {
                        std::thread::yield_now();
                        continue;
                    }
                    at_merge = written.load(Ordering::Acquire);
                    merges += 1;
                    merge(&store)?;
                }
                Ok(())
            });
            let mut random = Random(seed);
            let wrote = (|| {
                for number in KEYS + 1..=KEYS + writes {
                    let key = random.below(KEYS);
                    expected[key as usize] = number;
                    put(&table, key, number)?;
                    written.fetch_add(1, Ordering::Release);
                    let key = random.below(KEYS);
                    check(&table, key, expected[key as usize])?;
                }
                Ok(())
            })();
            done.store(true, Ordering::Release);
            let merged: Result<(), String> =
                merger.join().map_err(|_| "the merge panicked".to_owned())?;
            wrote.and(merged)
        })?;
        let check_all = |table: &CaskTable| {
            (0..).zip(&expected).try_for_each(|(key, number)| check(table, key, *number))
        };
        check_all(&table)?;
        drop(table);
        store.close().map_err(text)?;
        let store = options(false).open_in(env_of(seed, &disk), ROOT).map_err(text)?;
        check_all(&store.open_cask("c").map_err(text)?)
    })();
    (merges, raced.err().map(|what| format!("a writer beside merges, seed {seed}: {what}")))
}

fn put(table: &CaskTable, key: u64, number: u64) -> Result<(), String> {
    let written = table.write(key.to_le_bytes(), value(number, VALUE));
    written.map(drop).map_err(|error| format!("a write failed: {error}"))
}

fn check(table: &CaskTable, key: u64, number: u64) -> Result<(), String> {
    match table.get(key.to_le_bytes()) {
        Ok(Some(found)) if found == value(number, VALUE) => Ok(()),
        Ok(found) => {
            let found =
                found.and_then(|bytes| bytes.first_chunk().copied()).map(u64::from_le_bytes);
            Err(format!("key {key} holds {found:?}, {number} was written last"))
        }
        Err(error) => Err(format!("key {key} cannot be read: {error}")),
    }
}

fn merge(store: &Store) -> Result<(), String> {
    let merged = store
        .rotate()
        .and_then(|()| store.checkpoint())
        .and_then(|()| store.checkpoint())
        .and_then(|()| store.merge().map(drop));
    merged.map_err(|error| format!("a merge failed: {error}"))
}
