//! Cask tables fill their own disk. Deletes go on to the last key, one by one, and give the space back; puts go on then without a new
//! opening; and a store that was closed or killed on a full disk opens there.

mod common;

use common::{ROOT, b, crash, tiny};
use slotcask::{CaskOptions, CaskTable, Error, Options, Store};
use slotcask_io::sim::env_of;
use slotcask_io::{Env, OpenMode, SimDisk, SimOptions, sim_env};
use std::collections::BTreeMap;
use std::path::Path;

type Model = BTreeMap<u64, Vec<u8>>;

const SHARDS: u32 = 2;

fn full_world(seed: u64, blocks: u64) -> (Env, SimDisk) {
    let options = SimOptions { capacity_bytes: Some(blocks << 12), ..SimOptions::default() };
    sim_env(seed, options)
}

fn value(key: u64, len: usize) -> Vec<u8> {
    vec![key as u8; len]
}

/// Puts until one is refused for want of space.
fn fill(table: &CaskTable, len: usize, model: &mut Model) {
    for key in 0..100_000 {
        match table.put(b(key), value(key, len)) {
            Ok(()) => model.insert(key, value(key, len)),
            Err(error) => {
                assert!(matches!(error, Error::DiskFull { .. }), "{error}");
                assert!(model.len() > 50, "{} were stored", model.len());
                return;
            }
        };
    }
    panic!("the disk never became full");
}

/// Somebody else takes the last blocks.
fn fill_the_rest(env: &Env) {
    let file = env.disk.open(Path::new("/other"), OpenMode::Create).unwrap();
    let mut size = 4096;
    while file.allocate(size).is_ok() {
        size += 4096;
    }
}

fn check(table: &CaskTable, model: &Model) {
    assert_eq!(table.len(), model.len() as u64);
    for (key, value) in model {
        assert_eq!(table.get(b(*key)).unwrap().as_deref(), Some(&value[..]), "{key}");
    }
}

/// Keys in an order that has nothing to do with where they stand.
fn scattered(model: &Model) -> Vec<u64> {
    let mut keys: Vec<u64> = model.keys().copied().collect();
    keys.sort_unstable_by_key(|key| key.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    keys
}

fn delete_all(table: &CaskTable, model: &mut Model, keys: &[u64]) {
    let count = keys.len();
    for (at, key) in keys.iter().enumerate() {
        match table.delete(b(*key)) {
            Ok(existed) => assert!(existed, "{key}"),
            Err(error) => panic!("delete {at} of {count}: {error}"),
        }
        model.remove(key);
        if at % (count / 8 + 1) == 0 {
            check(table, model);
        }
    }
}

fn puts_go_on(table: &CaskTable, model: &mut Model, len: usize) {
    for key in 1_000_000..1_000_150 {
        table.put(b(key), value(key, len)).unwrap();
        model.insert(key, value(key, len));
    }
    check(table, model);
}

fn reopened(seed: u64, disk: &SimDisk) -> (Store, CaskTable) {
    let quiet = Options::new().background(false).huge_pages(false).checkpoint_batch(64 << 10);
    let store = quiet.open_in(env_of(seed, disk), ROOT).unwrap();
    let table = store.open_cask("c").unwrap();
    (store, table)
}

fn fill_delete_put(seed: u64, len: usize, segment: u64, order: impl Fn(&Model) -> Vec<u64>) {
    let (env, disk) = full_world(seed, segment / 4096 * 150);
    let options = tiny(SHARDS).segment_size(segment).log_size(u64::from(SHARDS) * 6 * segment);
    let store = options.open_in(env.clone(), ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    let mut model = Model::new();
    fill(&table, len, &mut model);
    fill_the_rest(&env);
    check(&table, &model);
    let keys = order(&model);
    delete_all(&table, &mut model, &keys);
    puts_go_on(&table, &mut model, len);
    check(&reopened(seed + 1, &crash(&disk)).1, &model);
    store.close().unwrap();
    drop((table, store));
    check(&reopened(seed + 2, &disk).1, &model);
}

#[test]
fn every_key_can_be_deleted_in_order() {
    fill_delete_put(100, 2000, 16 << 10, |model| model.keys().copied().collect());
}

#[test]
fn every_key_can_be_deleted_in_any_order() {
    fill_delete_put(110, 2000, 16 << 10, scattered);
    fill_delete_put(120, 6000, 64 << 10, scattered);
}

#[test]
fn small_values_can_be_deleted_too() {
    fill_delete_put(129, 400, 64 << 10, scattered);
    fill_delete_put(130, 100, 64 << 10, |model| model.keys().copied().collect());
}

#[test]
fn a_store_that_was_closed_on_a_full_disk_opens_there() {
    let (env, disk) = full_world(200, 600);
    let store = tiny(SHARDS).open_in(env.clone(), ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    let mut model = Model::new();
    fill(&table, 2000, &mut model);
    fill_the_rest(&env);
    store.close().unwrap();
    drop((table, store));
    for round in 0..10 {
        let (store, table) = reopened(201 + round, &disk);
        check(&table, &model);
        store.close().unwrap();
    }
    let (_store, table) = reopened(220, &disk);
    let keys = scattered(&model);
    delete_all(&table, &mut model, &keys);
    puts_go_on(&table, &mut model, 2000);
    check(&reopened(221, &crash(&disk)).1, &model);
}

#[test]
fn a_store_that_is_killed_again_and_again_on_a_full_disk_opens_there() {
    let (env, disk) = full_world(300, 600);
    let store = tiny(SHARDS).open_in(env.clone(), ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    let mut model = Model::new();
    fill(&table, 2000, &mut model);
    fill_the_rest(&env);
    let mut keys = scattered(&model);
    let mut image = crash(&disk);
    drop((table, store));
    for round in 0..8 {
        let (store, table) = reopened(301 + round, &image);
        check(&table, &model);
        let rest = keys.split_off(keys.len().min(10));
        delete_all(&table, &mut model, &keys);
        keys = rest;
        image = crash(&image);
        drop((table, store));
    }
    let (_store, table) = reopened(320, &image);
    delete_all(&table, &mut model, &keys);
    puts_go_on(&table, &mut model, 2000);
}

#[test]
fn a_merge_on_a_full_disk_gives_space_back() {
    let (env, _disk) = full_world(400, 600);
    let store = tiny(SHARDS).open_in(env.clone(), ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    let mut model = Model::new();
    fill(&table, 2000, &mut model);
    fill_the_rest(&env);
    let half: Vec<u64> = model.keys().copied().filter(|key| key % 2 == 0).collect();
    delete_all(&table, &mut model, &half);
    store.merge().unwrap();
    puts_go_on(&table, &mut model, 200);
}
