//! What holds the upkeep of a shard, or fails in it, keeps nothing else from being done for longer than it must.

mod common;

use common::{ROOT, b, crash_keeping_all, files_named, table, tiny, world};
use slotcask::{CaskOptions, Durability, Error, Options, Store, TableOptions, WriteOptions};
use slotcask_format::BLOCK_SIZE;
use slotcask_io::sim::{Fault, FaultError, OpFilter, OpKind, SimClock, env_of};
use slotcask_io::{SimDisk, SimOptions, sim_env};
use std::sync::Arc;
use std::time::Duration;

/// Keys that a small table takes when a large one beside it has filled the disk.
fn small_beside_large(large_first: bool) -> u64 {
    let options = SimOptions { capacity_bytes: Some(4 << 20), ..SimOptions::default() };
    let (env, _disk) = sim_env(1, options);
    let store = tiny(1).open_in(env, ROOT).unwrap();
    let make = |name: &str| store.create_table(name, TableOptions::fixed(8, 2000)).unwrap();
    let names = if large_first { ["large", "small"] } else { ["small", "large"] };
    let [first, second] = names.map(make);
    let (large, small) = if large_first { (first, second) } else { (second, first) };
    small.put(b(0), vec![0; 2000]).unwrap();
    let is_full = |n| large.put(b(n), vec![1; 2000]).is_err();
    assert!((0..100_000).any(is_full));
    let refused = (1..100_000).find(|n| small.put(b(*n), vec![2; 2000]).is_err()).unwrap();
    // And not for the sake of the other table, which would be over when it is tried again.
    assert!(small.put(b(refused), vec![2; 2000]).is_err());
    small.len()
}

#[test]
fn a_table_that_cannot_grow_keeps_no_other_from_growing() {
    assert_eq!(small_beside_large(false), small_beside_large(true));
}

fn fill_two_pages(store: &Store, table: &slotcask::Table) {
    table.put(b(0), b(0)).unwrap();
    // Into the third page of four: a table of a tiny store grows when less than two are left.
    let slot = store.stats().unwrap().tables.iter().map(|table| table.slot_size).max().unwrap();
    for n in 0..(2 * BLOCK_SIZE / slot + 20) as u64 {
        table.put(b(n), b(n)).unwrap();
    }
    store.sync().unwrap();
}

#[test]
fn rounds_flush_where_they_cannot_make_room() {
    for of_slots in [true, false] {
        let (env, disk) = world(2);
        let store = tiny(1).durability(Durability::Buffered).open_in(env, ROOT).unwrap();
        let table = table(&store, "t");
        let (kind, path) = if of_slots {
            fill_two_pages(&store, &table);
            (OpKind::Allocate, "slots")
        } else {
            table.put(b(0), b(0)).unwrap();
            store.poll().unwrap();
            store.sync().unwrap();
            store.rotate().unwrap();
            (OpKind::Create, "spare")
        };
        disk.inject(Fault::forever(OpFilter::Kind(kind), 0, FaultError::Eio).on_path(path));
        table.put(b(1), b(77)).unwrap();
        assert!(matches!(store.poll(), Err(Error::Io(_))));
        let image = crash_keeping_all(&disk);
        let again = tiny(1).open_in(env_of(3, &image), ROOT).unwrap();
        let found = again.open_table("t").unwrap().get(b(1)).unwrap();
        assert_eq!(found, Some(b(77).to_vec()), "of slots {of_slots}");
    }
}

#[test]
fn the_log_that_an_opening_finds_counts_when_a_checkpoint_is_due() {
    let (env, disk) = world(4);
    let options = tiny(1).log_size(12 * (16 << 10)).durability(Durability::Buffered);
    let store = options.clone().open_in(env, ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    let shard = |store: &Store| store.stats().unwrap().shards[0].clone();
    let mut key = 0;
    while shard(&store).log_bytes < 5 * (16 << 10) {
        table.put(b(key), [1; 1000]).unwrap();
        key += 1;
    }
    store.sync().unwrap();
    assert_eq!(shard(&store).checkpoints, 0);
    let killed = disk.after_kill();
    std::mem::forget((table, store));
    let store = options.open_in(env_of(5, &killed), ROOT).unwrap();
    store.poll().unwrap();
    assert_eq!(shard(&store).checkpoints, 0, "nothing was written");
    let table = store.open_cask("c").unwrap();
    while shard(&store).log_bytes < 8 * (16 << 10) {
        table.put(b(key), [1; 1000]).unwrap();
        key += 1;
    }
    store.poll().unwrap();
    assert_eq!(shard(&store).checkpoints, 1);
}

/// Slots run out before the log does.
fn roomy() -> Options {
    tiny(1).segment_size(64 << 10).log_size(6 * (64 << 10)).durability(Durability::Buffered)
}

fn slots_of_four_pages(store: &Store) -> u64 {
    let slot = store.stats().unwrap().tables.iter().map(|table| table.slot_size).max().unwrap();
    (4 * (BLOCK_SIZE / slot)) as u64
}

#[test]
fn who_may_not_wait_does_not_wait_for_slots() {
    let (env, _disk) = world(6);
    let store = roomy().open_in(env, ROOT).unwrap();
    let table = table(&store, "t");
    store.poll().unwrap();
    let refused = (0..10_000).find_map(|n| Some((n, table.try_write(b(n), b(n)).err()?)));
    let (key, error) = refused.unwrap();
    assert!(matches!(error, Error::WouldBlock), "{error}");
    assert_eq!(key, slots_of_four_pages(&store), "the log has room for more");
    store.poll().unwrap();
    drop(table.try_write(b(key), b(key)).unwrap());
}

/// What becomes of a batch of two new keys where one slot is left.
fn a_batch_of_two_in_one_slot(
    fault: Option<FaultError>,
    left_is_given_back: bool,
) -> Option<Error> {
    let (env, disk) = world(10);
    let store = roomy().open_in(env, ROOT).unwrap();
    let table = table(&store, "t");
    store.poll().unwrap();
    let slots = slots_of_four_pages(&store);
    let fill = if left_is_given_back { slots } else { slots - 1 };
    (0..fill).for_each(|n| drop(table.try_write(b(n), b(n)).unwrap()));
    if left_is_given_back {
        table.delete(b(0)).unwrap();
    }
    if let Some(error) = fault {
        disk.inject(Fault::forever(OpFilter::Kind(OpKind::Allocate), 0, error).on_path("slots"));
    }
    let mut batch = store.batch();
    batch.put(&table, b(slots), b(1)).unwrap();
    batch.put(&table, b(slots + 1), b(2)).unwrap();
    // Without an answer the test ends all the same.
    let (tell, told) = std::sync::mpsc::channel();
    let commit = move || drop(tell.send(batch.commit().err()));
    drop(std::thread::Builder::new().spawn(commit).unwrap());
    let error = told.recv_timeout(Duration::from_secs(60)).expect("the batch does not end");
    let both = [slots, slots + 1].map(|n| table.get(b(n)).unwrap().is_some());
    assert_eq!(both, [error.is_none(); 2]);
    error
}

#[test]
fn a_batch_that_needs_more_slots_than_are_left_has_them_made() {
    for left_is_given_back in [false, true] {
        let error = a_batch_of_two_in_one_slot(None, left_is_given_back);
        assert!(error.is_none(), "{error:?}");
        let error = a_batch_of_two_in_one_slot(Some(FaultError::Enospc), left_is_given_back);
        assert!(matches!(error, Some(Error::DiskFull { .. })), "{error:?}");
    }
}

/// A store with a table that has no slot left, and data files that are worth a merge.
fn without_slots(clock: Arc<SimClock>) -> (Store, SimDisk, slotcask::Table, u64) {
    let (mut env, disk) = world(7);
    env.clock = clock;
    let store = roomy().open_in(env, ROOT).unwrap();
    let fixed = store.create_table("f", TableOptions::fixed(8, 8).deadlines(true)).unwrap();
    let cask = store.create_cask("c", &CaskOptions::new()).unwrap();
    for round in 0..3 {
        for key in 0..25_u64 {
            cask.put(b(round * 25 + key), [1; 1600]).unwrap();
        }
        store.rotate().unwrap();
    }
    store.checkpoint().unwrap();
    for key in (0..75_u64).step_by(2) {
        cask.delete(b(key)).unwrap();
    }
    let soon = WriteOptions::new().ttl(Duration::from_secs(60));
    fixed.put_with(b(0), b(0), &soon).unwrap();
    let slots = slots_of_four_pages(&store);
    (1..slots).for_each(|n| drop(fixed.try_write(b(n), b(n)).unwrap()));
    (store, disk, fixed, slots)
}

/// Has `f` run in the middle of a merge.
fn in_a_merge(store: &Store, disk: &SimDisk, f: impl FnOnce() + Send + 'static) {
    let before = disk.calls();
    disk.pause_at(before + 6, f);
    assert!(store.merge().unwrap());
    assert!(!disk.unpause(), "the merge was too short");
}

#[test]
fn who_waits_for_slots_keeps_to_the_timeout() {
    let (store, disk, fixed, key) = without_slots(Arc::new(SimClock::new()));
    let at_once = WriteOptions::new().timeout(Duration::ZERO);
    in_a_merge(&store, &disk, move || {
        let other = std::thread::Builder::new();
        let put = other.spawn(move || fixed.put_with(b(key), b(key), &at_once)).unwrap();
        let error = put.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::TimedOut { accepted: false }), "{error}");
    });
}

#[test]
fn what_vanished_is_taken_out_in_the_middle_of_a_merge() {
    let clock = Arc::new(SimClock::new());
    let (store, disk, fixed, _) = without_slots(clock.clone());
    let before = fixed.len();
    in_a_merge(&store, &disk, move || clock.advance(Duration::from_secs(90)));
    assert_eq!(store.stats().unwrap().shards[0].expired, 1);
    assert_eq!(fixed.len(), before - 1);
}

#[test]
fn a_merge_gives_back_what_expired_before_the_opening() {
    let (mut env, disk) = world(8);
    let clock = Arc::new(SimClock::new());
    env.clock = clock.clone();
    let store = tiny(1).open_in(env, ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    let soon = WriteOptions::new().ttl(Duration::from_secs(60));
    for key in 0..200_u64 {
        table.put_with(b(key), [1; 400], &soon).unwrap();
    }
    drop(table);
    store.close().unwrap();
    clock.advance(Duration::from_secs(3600));
    let mut env = env_of(9, &disk);
    env.clock = clock;
    let store = Options::new().background(false).open_in(env, ROOT).unwrap();
    let bytes = || {
        let files = ["log-", "data-"].map(|part| files_named(&disk, 0, part)).concat();
        files.iter().map(|path| disk.read_all(path).unwrap().len()).sum::<usize>()
    };
    let before = bytes();
    store.rotate().unwrap();
    store.checkpoint().unwrap();
    assert!(store.merge().unwrap());
    assert!(store.open_cask("c").unwrap().is_empty());
    assert!(bytes() < before / 2, "{before} bytes before, {} after", bytes());
}

/// Writers wait for the end of a merge where no segment can be made: one that was told to go slowly hurries then.
#[test]
fn a_slow_merge_does_not_keep_writers_from_being_refused() {
    let (env, disk) = world(10);
    let options = tiny(1).durability(Durability::Buffered);
    let store = options.clone().open_in(env, ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    for round in 0..6_u8 {
        for key in (0..600).filter(|key| round == 0 || key % 5 != 0) {
            table.put(b(key), [round; 300]).unwrap();
        }
        store.rotate().unwrap();
        store.checkpoint().unwrap();
    }
    assert!(store.stats().unwrap().shards[0].cask_dead_bytes > 100 << 10);
    drop(table);
    store.close().unwrap();
    // A byte a second: the merge that the shard's thread begins would never end.
    let store = options.background(true).merge_rate(1).open_in(env_of(11, &disk), ROOT).unwrap();
    let table = store.open_cask("c").unwrap();
    table.put(b(0), [7; 300]).unwrap();
    let full = Fault::forever(OpFilter::Kind(OpKind::Create), 0, FaultError::Enospc);
    disk.inject(full.on_path("spare"));
    let (sender, ended) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let refused = (0..).find_map(|key| table.put(b(key % 600), [8; 300]).err());
            let _ = sender.send(refused);
        });
        let refused = ended.recv_timeout(Duration::from_secs(60));
        disk.clear_faults();
        if refused.is_err() {
            store.close().unwrap();
        }
        let refused = refused.expect("writers wait for the merge");
        assert!(matches!(refused, Some(Error::DiskFull { .. })), "{refused:?}");
    });
}
