//! Pages that rot while the store is open are found and written again from memory, when asked and by the store's threads.

mod common;

use common::{ROOT, b, files_named, reopen, table, tiny, world};
use slotcask::{Error, Store, Table, TableOptions};
use slotcask_io::sim::{Fault, FaultError, OpFilter, OpKind, env_of};
use slotcask_io::{Env, SimDisk, SystemClock};
use std::sync::Arc;
use std::time::Duration;

const KEYS: u64 = 300;

fn filled(env: Env) -> (Store, Table) {
    let store = tiny(2).open_in(env, ROOT).unwrap();
    let t = table(&store, "t");
    let pairs: Vec<_> = (0..KEYS).map(|n| (b(n), b(n))).collect();
    t.put_many(&pairs).unwrap();
    store.checkpoint().unwrap();
    (store, t)
}

fn rot(disk: &SimDisk, shard: u8) {
    let file = files_named(disk, shard, ".slots").pop().unwrap();
    disk.flip_bit(&file, 8 * (8192 + 100));
}

#[test]
fn a_sound_store_is_read_whole_and_found_sound() {
    let (env, _disk) = world(1);
    let (store, t) = filled(env);
    let report = store.scrub().unwrap();
    assert!(report.pages >= 4 && report.bytes >= 4 * report.pages && report.damaged == 0);
    // What changed since the checkpoint is not taken for damage, nor what grew, was cleared, or never was checkpointed.
    for n in 0..KEYS {
        t.put(b(n % 7), b(n)).unwrap();
        if n % 50 == 0 {
            assert_eq!(store.scrub().unwrap().damaged, 0);
        }
    }
    table(&store, "u").put(b(1), b(1)).unwrap();
    store.clear_table("t").unwrap();
    t.put(b(1), b(1)).unwrap();
    assert_eq!(store.scrub().unwrap().damaged, 0);
    let stats = store.stats().unwrap();
    assert!(stats.shards.iter().all(|shard| shard.scrub_passes >= 2 && shard.scrub_damaged == 0));
}

#[test]
fn a_rotten_page_is_written_again() {
    let (env, disk) = world(2);
    let (store, t) = filled(env);
    rot(&disk, 0);
    rot(&disk, 1);
    let broken = disk.fork();
    let report = store.scrub().unwrap();
    assert_eq!(report.damaged, 2);
    assert_eq!(store.scrub().unwrap().damaged, 0, "it was mended");
    assert_eq!(store.stats().unwrap().shards[1].scrub_damaged, 1);
    let refused = |store: &Store| {
        t.update(b(1), |value| {
            assert!(matches!(store.scrub(), Err(Error::Reentered)));
            value.map(<[u8]>::to_vec)
        })
        .unwrap();
    };
    refused(&store);
    // Without a close: what the scrub wrote stands by itself.
    let crashed = common::crash(&disk);
    let again = reopen(&crashed, 2).unwrap();
    assert_eq!(again.open_table("t").unwrap().len(), KEYS);
    // Had it not, the next opening would have refused.
    let error = tiny(2).open_in(env_of(3, &common::crash(&broken)), ROOT).map(drop).unwrap_err();
    assert!(error.is_corruption(), "{error}");
    store.close().unwrap();
    assert!(matches!(store.scrub(), Err(Error::Closed)));
}

#[test]
fn a_page_that_cannot_be_read_is_written_again() {
    let (env, disk) = world(3);
    let (store, _t) = filled(env);
    disk.inject(Fault::once(OpFilter::Kind(OpKind::Read), 0, FaultError::Eio));
    assert_eq!(store.scrub().unwrap().damaged, 1);
    assert_eq!(store.scrub().unwrap().damaged, 0);
}

#[test]
fn pages_of_any_size_are_read() {
    let (env, _disk) = world(4);
    let store = tiny(1).segment_size(4 << 20).log_size(24 << 20).open_in(env, ROOT).unwrap();
    let t = store.create_table("t", TableOptions::fixed(8, 1 << 20).slot_count_max(16)).unwrap();
    t.put(b(1), vec![7; 1 << 20]).unwrap();
    t.put(b(2), vec![8; 1 << 20]).unwrap();
    store.checkpoint().unwrap();
    let report = store.scrub().unwrap();
    assert!(report.bytes >= 2 << 20 && report.damaged == 0, "{report:?}");
}

#[test]
fn the_threads_of_an_idle_store_find_it_by_themselves() {
    let (mut env, disk) = world(5);
    drop(filled(env.clone()));
    // In the time of this machine: the threads wait in it.
    env.clock = Arc::new(SystemClock::new());
    let store = tiny(2)
        .background(true)
        .flush_interval(Duration::from_millis(1))
        .open_in(env, ROOT)
        .unwrap();
    let passes = || store.stats().unwrap().shards.iter().map(|s| s.scrub_passes).min().unwrap();
    while passes() < 1 {
        std::thread::yield_now();
    }
    rot(&disk, 1);
    while store.stats().unwrap().shards[1].scrub_damaged == 0 {
        std::thread::yield_now();
    }
    assert_eq!(store.scrub().unwrap().damaged, 0);
    store.close().unwrap();
    assert_eq!(reopen(&disk, 2).unwrap().open_table("t").unwrap().len(), KEYS);
}
