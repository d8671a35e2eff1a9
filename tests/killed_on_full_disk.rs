//! A store on a full disk, where somebody else has the last blocks, is killed: between any two calls of the disk, and again and again
//! after it. Each time it opens, without a block more than it has.

mod common;

use common::{ROOT, b, crash, tiny};
use slotcask::{CaskOptions, Durability, Error, Options, Store, TableOptions};
use slotcask_format::file_name::{MERGE_RESERVE, shard_dir};
use slotcask_io::sim::env_of;
use slotcask_io::{Disk, Env, OpenMode, SimDisk, SimOptions, sim_env};
use std::path::Path;
use std::sync::{Arc, Mutex};

const VALUE_LEN: usize = 1000;
const KEYS: u64 = 100;

fn limited(seed: u64, blocks: u64) -> (Env, SimDisk) {
    let options = SimOptions { capacity_bytes: Some(blocks << 12), ..SimOptions::default() };
    sim_env(seed, options)
}

/// Somebody else takes all blocks that are left.
fn take_the_rest(env: &Env) {
    let path = Path::new("/other");
    let mode = match env.disk.stat(path).unwrap() {
        Some(_) => OpenMode::ReadWrite,
        None => OpenMode::Create,
    };
    let file = env.disk.open(path, mode).unwrap();
    let mut size = file.size().unwrap();
    for step in [256 << 10, 4096] {
        while file.allocate(size + step).is_ok() {
            size += step;
        }
    }
}

fn opened(seed: u64, disk: &SimDisk) -> Result<Store, Error> {
    let quiet = Options::new().background(false).huge_pages(false).checkpoint_batch(64 << 10);
    quiet.open_in(env_of(seed, disk), ROOT)
}

fn put_all(store: &Store, round: u8) {
    let table = store.open_table("t").unwrap();
    for key in 0..KEYS {
        table.put(b(key), [round; VALUE_LEN]).unwrap();
    }
}

fn check_round(store: &Store, rounds: [u8; 2]) {
    let table = store.open_table("t").unwrap();
    assert_eq!(table.len(), KEYS);
    for key in 0..KEYS {
        let value = table.get(b(key)).unwrap().unwrap();
        assert!(rounds.contains(&value[0]), "{key} has {}, not one of {rounds:?}", value[0]);
    }
}

/// A store with a fixed table, which holds no space for merges.
fn full_of_slots(seed: u64) -> (Env, SimDisk, Store) {
    let (env, disk) = limited(seed, 4096);
    let store = tiny(1)
        .segment_size(64 << 10)
        .log_size(16 * (64 << 10))
        .durability(Durability::Buffered)
        .open_in(env.clone(), ROOT)
        .unwrap();
    drop(store.create_table("t", TableOptions::fixed(8, VALUE_LEN)).unwrap());
    for round in 0..8 {
        put_all(&store, round);
        store.poll().unwrap();
    }
    take_the_rest(&env);
    (env, disk, store)
}

fn manifests(disk: &SimDisk) -> usize {
    let entries = Disk::list(disk, &Path::new(ROOT).join(shard_dir(0))).unwrap();
    let named = |name: &str| name.starts_with("manifest-") && !name.ends_with(".tmp");
    entries.iter().filter(|entry| named(&entry.name)).count()
}

#[test]
fn between_the_two_renames_of_a_manifest() {
    let (env, disk, store) = full_of_slots(500);
    let cuts: Arc<Mutex<Vec<(SimDisk, u8)>>> = Arc::default();
    for round in 8..60 {
        let seen = cuts.clone();
        disk.watch(move |cut| {
            if manifests(&cut) > 1 {
                seen.lock().unwrap().push((cut, round));
            }
        });
        put_all(&store, round);
        take_the_rest(&env);
        store.poll().unwrap();
        disk.unwatch();
    }
    let cuts = std::mem::take(&mut *cuts.lock().unwrap());
    assert!(cuts.len() > 4, "{} cuts", cuts.len());
    for (cut, round) in cuts {
        for image in [cut.after_kill(), cut.crash(&mut slotcask_io::sim::CrashPlan::keep_all())] {
            let second = image.after_kill();
            let store = opened(501, &image).unwrap_or_else(|error| panic!("{round}: {error}"));
            check_round(&store, [round - 1, round]);
            // The recovery itself, cut short in the same place.
            let windows: Arc<Mutex<Vec<SimDisk>>> = Arc::default();
            let seen = windows.clone();
            second.watch(move |cut| {
                if manifests(&cut) > 1 {
                    seen.lock().unwrap().push(cut.after_kill());
                }
            });
            let store = opened(502, &second).unwrap();
            second.unwatch();
            drop(store);
            let windows = std::mem::take(&mut *windows.lock().unwrap());
            assert!(!windows.is_empty());
            for image in windows {
                check_round(&opened(503, &image).unwrap(), [round - 1, round]);
            }
        }
    }
}

/// The disk of a store that was opened and killed, with `spares` log segments for the next opening on each shard and no space for
/// merges. Nobody has a block left.
fn killed_with(spares: usize, shards: u8, disk: &SimDisk) -> SimDisk {
    let image = disk.after_kill();
    // What was made ready for writers becomes spares.
    let store = opened(90, &image).unwrap();
    let image = image.after_kill();
    drop(store);
    let env = env_of(91, &image);
    for shard in 0..shards {
        let dir = Path::new(ROOT).join(shard_dir(shard));
        let entries = env.disk.list(&dir).unwrap().into_iter().map(|entry| entry.name);
        let (ready, rest): (Vec<String>, Vec<String>) =
            entries.partition(|name| name.ends_with(".spare"));
        assert!(ready.len() >= spares);
        let merges = rest.into_iter().filter(|name| name == MERGE_RESERVE);
        for name in ready.into_iter().skip(spares).chain(merges) {
            env.disk.remove(&dir.join(name)).unwrap();
        }
    }
    take_the_rest(&env);
    image
}

#[test]
fn again_and_again_before_anything_is_written() {
    let (_env, disk, store) = full_of_slots(510);
    let mut image = killed_with(0, 1, &disk);
    drop(store);
    for round in 0..12 {
        let store = opened(511 + round, &image).unwrap_or_else(|error| panic!("{round}: {error}"));
        check_round(&store, [7, 7]);
        image = if round % 2 == 0 { image.after_kill() } else { crash(&image) };
    }
}

#[test]
fn again_and_again_while_it_is_written_to() {
    let (_env, disk, store) = full_of_slots(530);
    let mut image = killed_with(1, 1, &disk);
    // The epochs, which the first write of an opening adds one to, are a block.
    let env = env_of(530, &image);
    let other = env.disk.open(Path::new("/other"), OpenMode::ReadWrite).unwrap();
    other.truncate(other.size().unwrap() - 4096).unwrap();
    drop(store);
    for round in 0..12 {
        let store = opened(531 + round, &image).unwrap_or_else(|error| panic!("{round}: {error}"));
        check_round(&store, [7, 7]);
        store.open_table("t").unwrap().put(b(0), [7; VALUE_LEN]).unwrap();
        store.sync().unwrap();
        image = image.after_kill();
    }
}

#[test]
fn again_and_again_when_the_space_for_merges_is_gone() {
    let (env, disk) = limited(550, 600);
    let store = tiny(2).open_in(env, ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    let mut keys = 0;
    let refused = loop {
        match table.put(b(keys), vec![keys as u8; 2000]) {
            Ok(()) => keys += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::DiskFull { .. }), "{refused}");
    // The last flush is known to be durable, so that no restart has records to write again.
    for _ in 0..4 {
        store.poll().unwrap();
    }
    let mut image = killed_with(0, 2, &disk);
    drop((table, store));
    for round in 0..12 {
        let store = opened(552 + round, &image).unwrap_or_else(|error| panic!("{round}: {error}"));
        let table = store.open_cask("c").unwrap();
        assert_eq!(table.len(), keys);
        for key in 0..keys {
            assert_eq!(table.get(b(key)).unwrap(), Some(vec![key as u8; 2000]), "{key}");
        }
        image = if round % 2 == 0 { image.after_kill() } else { crash(&image) };
        drop((table, store));
    }
}
