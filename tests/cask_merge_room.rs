//! Merges of cask tables that find little room or none: nothing is lost, nothing is left behind, and nobody tries without end.

mod common;

use common::ROOT;
use slotcask::{CaskOptions, CaskTable, Durability, Error, Options, Store};
use slotcask_io::sim::{Fault, FaultError, OpFilter, OpKind, env_of};
use slotcask_io::{Env, OpenMode, SimDisk, SimOptions, sim_env};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

const SEGMENT: u64 = (1 << 20) - 4096;

fn shard() -> PathBuf {
    Path::new(ROOT).join("shard-000")
}

fn world() -> (Env, SimDisk) {
    sim_env(7, SimOptions { capacity_bytes: Some(60 << 20), ..SimOptions::default() })
}

fn store_in(env: &Env) -> Store {
    let options = Options::new().shards(1).segment_size(SEGMENT).log_size(12 * SEGMENT);
    let quiet = options.background(false).huge_pages(false).checkpoint_batch(64 << 10);
    quiet.durability(Durability::Buffered).open_in(env.clone(), ROOT).unwrap()
}

/// Somebody else leaves so many bytes.
fn leave_free(env: &Env, free: u64) {
    let path = Path::new("/other");
    let file = env.disk.open(path, OpenMode::Create).unwrap();
    let mut size = 0;
    for step in [1 << 20, 64 << 10, 4096] {
        while file.allocate(size + step).is_ok() {
            size += step;
        }
    }
    file.truncate(size - free).unwrap();
}

fn temporaries(env: &Env) -> Vec<String> {
    let entries = env.disk.list(&shard()).unwrap();
    entries.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(".cask.tmp")).collect()
}

fn put(table: &CaskTable, key: u64) {
    table.put(key.to_le_bytes(), value(key)).unwrap();
}

fn value(key: u64) -> Vec<u8> {
    vec![key as u8; (56 << 10) - 100]
}

/// Merges into the space that is held, while a manifest that no longer fits its spare asks for space too.
fn merge_beside_a_growing_manifest(tables: usize, records: usize, free: u64) -> bool {
    let (env, disk) = world();
    let store = store_in(&env);
    for number in 0..tables {
        store.create_cask(&format!("{number:0>240}"), &CaskOptions::new()).unwrap();
    }
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    for keys in [0..18, 100..118] {
        store.rotate().unwrap();
        keys.for_each(|key| put(&table, key));
    }
    store.rotate().unwrap();
    (0..54).for_each(|_| put(&table, 999));
    store.rotate().unwrap();
    store.checkpoint().unwrap();
    for key in (100..118).chain([0, 999_u64]) {
        table.delete(key.to_le_bytes()).unwrap();
    }
    store.sync().unwrap();
    for number in 0..records {
        store.create_cask(&format!("x{number:0>239}"), &CaskOptions::new()).unwrap();
        store.checkpoint().unwrap();
    }
    store.rotate().unwrap();
    // As deletes on a full disk leave it.
    let reserve = env.disk.open(&shard().join("merge-reserve.tmp"), OpenMode::ReadWrite).unwrap();
    reserve.truncate(reserve.size().unwrap().min(SEGMENT)).unwrap();
    leave_free(&env, free);
    let merged = store.merge().is_ok_and(|done| done);
    let check = |table: &CaskTable| {
        for key in 1..18_u64 {
            assert_eq!(table.get(key.to_le_bytes()).unwrap(), Some(value(key)), "{key}");
        }
        assert_eq!(table.get(100_u64.to_le_bytes()).unwrap(), None);
    };
    check(&table);
    drop((table, store));
    let quiet = Options::new().background(false).huge_pages(false);
    if let Ok(store) = quiet.open_in(env_of(9, &disk), ROOT) {
        check(&store.open_cask("c").unwrap());
    }
    merged
}

#[test]
fn nobody_takes_the_space_that_a_merge_writes_to() {
    let mut merged = 0;
    for tables in [200, 204, 208, 212] {
        for records in 0..5 {
            merged += u32::from(merge_beside_a_growing_manifest(tables, records, 200 << 10));
        }
    }
    assert!(merged > 10, "{merged} merges found room");
}

/// Twelve files of which half is dead, and nothing held for merges.
fn half_dead(env: &Env) -> (Store, CaskTable) {
    let (store, table) = half_dead_with_reserve(env);
    env.disk.remove(&shard().join("merge-reserve.tmp")).unwrap();
    (store, table)
}

fn half_dead_with_reserve(env: &Env) -> (Store, CaskTable) {
    let store = store_in(env);
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    for round in 0..9 {
        (0..18).for_each(|key| put(&table, round * 18 + key));
        store.rotate().unwrap();
    }
    store.checkpoint().unwrap();
    for key in (0..9 * 18_u64).step_by(2) {
        table.delete(key.to_le_bytes()).unwrap();
    }
    store.sync().unwrap();
    store.rotate().unwrap();
    store.rotate().unwrap();
    (store, table)
}

#[test]
fn a_merge_without_room_leaves_nothing_behind() {
    let (mut done, mut refused) = (0, 0);
    for free in (0..24).map(|step| (step * 48) << 10) {
        let (env, _) = world();
        let (store, _table) = half_dead(&env);
        leave_free(&env, free);
        match store.merge() {
            Ok(_) => done += 1,
            Err(error) => {
                assert!(matches!(error, Error::DiskFull { what: "a merge", .. }), "{error}");
                refused += 1;
            }
        }
        assert_eq!(temporaries(&env), Vec::<String>::new(), "{free} bytes free");
    }
    assert!(done > 0 && refused > 0, "{done} done, {refused} refused");
}

#[test]
fn a_merge_without_room_is_not_tried_in_every_round() {
    let (env, disk) = world();
    let (store, _table) = half_dead(&env);
    leave_free(&env, 20 << 10);
    while store.poll().unwrap() {}
    assert!(store.stats().unwrap().shards[0].merge_refused);
    let calls = || {
        [OpKind::Read, OpKind::Write]
            .map(|kind| disk.op_count(OpFilter::Kind(kind)))
            .iter()
            .sum::<u64>()
    };
    let before = calls();
    for _ in 0..20 {
        assert!(!store.poll().unwrap());
    }
    assert_eq!(calls(), before);
}

#[test]
fn space_that_need_not_be_held_any_more_is_given_back() {
    let (env, _) = world();
    let store = store_in(&env);
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    put(&table, 1);
    store.poll().unwrap();
    let path = shard().join("merge-reserve.tmp");
    let held = || env.disk.stat(&path).unwrap().map_or(0, |stat| stat.len);
    let wanted = held();
    assert!(wanted > SEGMENT);
    env.disk.open(&path, OpenMode::ReadWrite).unwrap().allocate(wanted * 2).unwrap();
    store.poll().unwrap();
    assert_eq!(held(), wanted);
}

/// The first write of an opening needs a block for its epoch, which comes from what is held for merges: whoever merges into that gives it
/// back soon.
#[test]
fn the_first_delete_waits_for_a_merge_that_has_the_space() {
    let (env, disk) = world();
    let (store, table) = half_dead_with_reserve(&env);
    let image = disk.after_kill();
    disk.without_power(|| drop((table, store)));
    let mut beside = 0;
    for call in (0..80).step_by(4) {
        let image = image.after_kill();
        let env = env_of(9, &image);
        let quiet = Options::new().background(false).huge_pages(false);
        let store = quiet.open_in(env.clone(), ROOT).unwrap();
        let table = store.open_cask("c").unwrap();
        leave_free(&env, 0);
        let (sender, deleted) = mpsc::channel();
        image.pause_at(image.calls() + call, move || {
            let (done, is_done) = mpsc::channel();
            #[expect(clippy::disallowed_methods, reason = "a test may start threads")]
            std::thread::spawn(move || {
                let _ = sender.send(table.delete(1_u64.to_le_bytes()));
                let _ = done.send(());
            });
            // It may wait for what this thread holds.
            let _ = is_done.recv_timeout(Duration::from_millis(20));
        });
        store.poll().unwrap();
        if !image.unpause() {
            beside += 1;
            assert!(deleted.recv().unwrap().unwrap(), "{call}");
        }
    }
    assert!(beside > 5, "{beside} deletes beside a merge");
}

#[test]
fn a_merge_that_cannot_be_committed_is_refused_for_want_of_room() {
    let mut refused = 0;
    // Until the manifest is full, and has to be replaced.
    for commits in (30..70).step_by(4) {
        let (env, disk) = world();
        let (store, table) = half_dead_with_reserve(&env);
        (0..commits).for_each(|_| store.checkpoint().unwrap());
        leave_free(&env, 0);
        env.disk.remove(&shard().join("manifest-spare.tmp")).unwrap();
        let allocation = OpFilter::Kind(OpKind::Allocate);
        disk.inject(Fault::forever(allocation, 0, FaultError::Enospc).on_path("manifest-"));
        if let Err(error) = store.merge() {
            assert!(matches!(error, Error::DiskFull { .. }), "{commits}: {error}");
            refused += 1;
        }
        disk.clear_faults();
        assert!(store.merge().unwrap() || refused == 0, "{commits}");
        for key in 0..9 * 18_u64 {
            let expected = (!key.is_multiple_of(2)).then(|| value(key));
            assert_eq!(table.get(key.to_le_bytes()).unwrap(), expected, "{key}");
        }
    }
    assert!(refused > 1, "{refused} merges were refused");
}
