//! What the scenarios share: small stores on a simulated disk, and pictures of a directory to compare.

#![allow(dead_code)]

use slotcask::{Options, Store, Table, TableOptions};
use slotcask_io::sim::{CrashPlan, env_of};
use slotcask_io::{Env, SimDisk, SimOptions, sim_env};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the stores are.
pub const ROOT: &str = "/store";

/// Options of a store with a tiny log and no threads.
pub fn tiny(shards: u32) -> Options {
    Options::new()
        .shards(shards)
        .segment_size(16 << 10)
        .log_size(u64::from(shards) * 6 * (16 << 10))
        .background(false)
        .huge_pages(false)
        .checkpoint_batch(64 << 10)
}

/// A tiny store in a simulated world of its own.
pub fn store(seed: u64, shards: u32) -> (Store, SimDisk) {
    let (env, disk) = world(seed);
    (tiny(shards).open_in(env, ROOT).unwrap(), disk)
}

/// A simulated world.
pub fn world(seed: u64) -> (Env, SimDisk) {
    sim_env(seed, SimOptions::default())
}

/// Opens the tiny store of a disk.
pub fn reopen(disk: &SimDisk, shards: u32) -> slotcask::Result<Store> {
    tiny(shards).open_in(env_of(99, disk), ROOT)
}

/// A table with keys and values of 8 bytes.
pub fn table(store: &Store, name: &str) -> Table {
    store.create_table(name, TableOptions::fixed(8, 8)).unwrap()
}

/// The disk after a power failure that keeps nothing that was not synced.
pub fn crash(disk: &SimDisk) -> SimDisk {
    disk.fork().crash(&mut CrashPlan::keep_none())
}

/// The disk after a power failure that keeps everything.
pub fn crash_keeping_all(disk: &SimDisk) -> SimDisk {
    disk.fork().crash(&mut CrashPlan::keep_all())
}

/// Every file with its bytes.
pub fn picture(disk: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    disk.files()
        .into_iter()
        .map(|(path, _)| {
            let bytes = disk.read_all(&path).unwrap();
            (path, bytes)
        })
        .collect()
}

/// Every file on the machine's disk under `dir` with its bytes.
pub fn picture_of_dir(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                #[expect(clippy::disallowed_methods, reason = "a test looks at the real files")]
                let bytes = std::fs::read(&path).unwrap();
                files.insert(path, bytes);
            }
        }
    }
    files
}

/// Files of the store whose name begins so, in any shard.
pub fn files_named(disk: &SimDisk, shard: u8, part: &str) -> Vec<PathBuf> {
    let dir = Path::new(ROOT).join(slotcask_format::file_name::shard_dir(shard));
    let named = |path: &PathBuf| {
        path.starts_with(&dir)
            && path.extension().is_none_or(|ending| ending != "tmp")
            && path.file_name().is_some_and(|name| name.to_string_lossy().contains(part))
    };
    disk.files().into_iter().map(|(path, _)| path).filter(named).collect()
}

/// Asserts that an error names all these words.
pub fn assert_says(error: &slotcask::Error, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{text:?} does not say {word:?}");
    }
}

/// Number `n` as a key or value.
pub fn b(n: u64) -> [u8; 8] {
    n.to_le_bytes()
}
