//! What a log segment holds is noted while it is written, so that it need not be read when it becomes a data file: the hint says what the
//! segment says.

mod common;

use common::{ROOT, b, files_named, reopen, table, tiny, world};
use slotcask::{CaskOptions, CaskTable, Durability, Options, Store, WriteOptions};
use slotcask_io::SimDisk;
use slotcask_io::sim::{OpFilter, OpKind, SimClock, env_of};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

fn reads(disk: &SimDisk) -> u64 {
    disk.op_count(OpFilter::Kind(OpKind::Read))
}

fn hints(disk: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    let named = files_named(disk, 0, "hint");
    named.into_iter().map(|path| (path.clone(), disk.read_all(&path).unwrap())).collect()
}

fn put(table: &CaskTable, keys: std::ops::Range<u64>, len: usize) {
    keys.for_each(|key| table.put(b(key), vec![key as u8; len]).unwrap());
}

/// Takes a checkpoint that takes everything that was written so far out of the log; gives the reads that it took.
fn leave(store: &Store, disk: &SimDisk) -> u64 {
    store.rotate().unwrap();
    store.sync().unwrap();
    let before = reads(disk);
    store.checkpoint().unwrap();
    reads(disk) - before
}

/// The hints are those that an opening makes of the data files.
fn assert_true(store: Store, disk: &SimDisk) {
    store.close().unwrap();
    let noted = hints(disk);
    assert!(!noted.is_empty());
    noted.keys().for_each(|path| disk.delete_file(path));
    let options = Options::new().background(false).huge_pages(false);
    let store = options.open_in(env_of(99, disk), ROOT).unwrap();
    assert_eq!(store.recovery().shards[0].hints_rebuilt, noted.len() as u64);
    let mut read = hints(disk);
    read.retain(|path, _| noted.contains_key(path));
    assert!(noted == read, "a hint does not say what its file says");
}

#[test]
fn segments_are_not_read_and_their_hints_are_right() {
    let (mut env, disk) = world(70);
    let clock = Arc::new(SimClock::new());
    env.clock = clock.clone();
    let options = tiny(1).segment_size(256 << 10).log_size(6 * (256 << 10));
    let store = options.durability(Durability::Buffered).open_in(env, ROOT).unwrap();
    let fixed = table(&store, "f");
    let plain = store.create_cask("plain", &CaskOptions::new()).unwrap();
    let ordered = store.create_cask("ordered", &CaskOptions::new().ordered(true)).unwrap();
    put(&plain, 0..40, 1000);
    put(&ordered, 0..40, 1000);
    // All kinds of records, those of a batch and those of a fixed table among them.
    let soon = WriteOptions::new().ttl(Duration::from_secs(5));
    let late = WriteOptions::new().ttl(Duration::from_secs(5000));
    plain.put_with(b(100), [1; 900], &soon).unwrap();
    plain.put_with(b(101), [2; 900], &late).unwrap();
    put(&plain, 10..15, 800);
    plain.delete(b(3)).unwrap();
    assert_eq!(ordered.delete_range(b(20)..b(30)).unwrap(), 10);
    fixed.put(b(1), b(1)).unwrap();
    let mut batch = store.batch();
    batch.put(&fixed, b(2), b(2)).unwrap();
    batch.put(&plain, b(50), [7; 700]).unwrap();
    batch.delete(&plain, b(4)).unwrap();
    batch.commit().unwrap();
    clock.advance(Duration::from_secs(10));
    store.poll().unwrap();
    assert_eq!(leave(&store, &disk), 0, "a segment was read");
    assert_true(store, &disk);
}

#[test]
fn small_records_are_read_again() {
    let (env, disk) = world(71);
    let options = tiny(1).segment_size(256 << 10).log_size(6 * (256 << 10));
    let store = options.durability(Durability::Buffered).open_in(env, ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    put(&table, 0..900, 100);
    assert!(leave(&store, &disk) > 0);
    assert_true(store, &disk);
}

#[test]
fn a_table_that_was_dropped_meanwhile_is_not_listed() {
    let (store, disk, goes) = two_tables();
    drop(goes);
    store.drop_table("goes").unwrap();
    assert!(leave(&store, &disk) > 0);
    assert_true(store, &disk);
}

#[test]
fn a_table_that_was_cleared_meanwhile_is_not_listed() {
    let (store, disk, goes) = two_tables();
    store.clear_table("goes").unwrap();
    assert!(leave(&store, &disk) > 0);
    drop(goes);
    store.close().unwrap();
    let listed = hints(&disk);
    let store = reopen(&disk, 1).unwrap();
    assert_eq!(store.recovery().shards[0].hints_rebuilt, 0);
    assert!(!listed.is_empty());
    assert!(store.open_cask("goes").unwrap().is_empty());
    assert_eq!(store.open_cask("stays").unwrap().len(), 14);
}

fn two_tables() -> (Store, SimDisk, CaskTable) {
    let (env, disk) = world(72);
    let store = tiny(1).durability(Durability::Buffered).open_in(env, ROOT).unwrap();
    let stays = store.create_cask("stays", &CaskOptions::new()).unwrap();
    let goes = store.create_cask("goes", &CaskOptions::new()).unwrap();
    put(&goes, 0..3, 600);
    put(&stays, 0..14, 600);
    (store, disk, goes)
}

#[test]
fn what_an_opening_wrote_again_is_listed() {
    let (env, disk) = world(73);
    let store = tiny(1).durability(Durability::Buffered).open_in(env, ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    put(&table, 0..8, 600);
    store.sync().unwrap();
    drop(table);
    // No flush says that the last one was durable: the next opening writes its records again.
    let killed = disk.after_kill();
    std::mem::forget(store);
    let options = Options::new().background(false).huge_pages(false);
    let options = options.durability(Durability::Buffered);
    let store = options.open_in(env_of(98, &killed), ROOT).unwrap();
    let table = store.open_cask("c").unwrap();
    put(&table, 8..14, 600);
    drop(table);
    assert!(leave(&store, &killed) > 0, "what was noted is a part of it");
    assert_true(store, &killed);
}
