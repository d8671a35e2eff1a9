//! A data file of a cask table that cannot be read: its good records are served, the other files are merged, no delete is lost, and nobody
//! tries again and again.

mod common;

use common::ROOT;
use slotcask::{
    CaskOptions, CaskTable, Durability, Error, Options, Store, TableOptions, WriteOptions,
};
use slotcask_format::file_name::{MERGE_RESERVE, ShardFile, shard_dir};
use slotcask_io::sim::{Fault, FaultError, OpFilter, OpKind, SimClock, env_of};
use slotcask_io::{Env, OpenMode, SimDisk, SimOptions, sim_env};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const SEGMENT: u64 = (1 << 20) - 4096;
const FILES: u64 = 9;
const KEYS_EACH: u64 = 18;

fn shard() -> PathBuf {
    Path::new(ROOT).join(shard_dir(0))
}

fn segment(generation: u64) -> PathBuf {
    shard().join(ShardFile::Segment(generation).name())
}

fn options() -> Options {
    let options = Options::new().shards(1).segment_size(SEGMENT).log_size(12 * SEGMENT);
    let quiet = options.background(false).huge_pages(false).checkpoint_batch(64 << 10);
    quiet.durability(Durability::Buffered)
}

fn value(key: u64) -> Vec<u8> {
    vec![key as u8; (56 << 10) - 100]
}

/// A store whose keys stand in nine segments that are data files. Some of each were deleted since.
fn with_data_files(
    deleted: impl Fn(u64) -> bool,
) -> (SimDisk, Env, Arc<SimClock>, Store, CaskTable) {
    let world = SimOptions { capacity_bytes: Some(60 << 20), ..SimOptions::default() };
    let (mut env, disk) = sim_env(60, world);
    let clock = Arc::new(SimClock::new());
    env.clock = clock.clone();
    let store = options().open_in(env.clone(), ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    for file in 0..FILES {
        (0..KEYS_EACH).for_each(|key| put(&table, file * KEYS_EACH + key));
        store.rotate().unwrap();
    }
    store.checkpoint().unwrap();
    for key in (0..FILES * KEYS_EACH).filter(|key| deleted(*key)) {
        assert!(table.delete(key.to_le_bytes()).unwrap());
    }
    store.sync().unwrap();
    (disk, env, clock, store, table)
}

fn put(table: &CaskTable, key: u64) {
    table.put(key.to_le_bytes(), value(key)).unwrap();
}

/// Damages the last but one value of a segment.
fn damage(disk: &SimDisk, generation: u64) {
    disk.flip_bit(&segment(generation), 8 * (17 * (56 << 10) - 1000));
}

fn is_even(key: u64) -> bool {
    key.is_multiple_of(2)
}

/// Polls for a minute; gives the errors.
fn a_minute(store: &Store, clock: &SimClock) -> Vec<Error> {
    (0..600)
        .filter_map(|_| {
            clock.advance(Duration::from_millis(100));
            store.poll().err()
        })
        .collect()
}

/// Which of the first segments are there.
fn segments(disk: &SimDisk) -> Vec<u64> {
    let is_there =
        |generation: &u64| disk.files().iter().any(|(path, _)| *path == segment(*generation));
    (1..=FILES).filter(is_there).collect()
}

fn traffic(disk: &SimDisk) -> u64 {
    [OpKind::Read, OpKind::Write].map(|kind| disk.op_count(OpFilter::Kind(kind))).iter().sum()
}

/// Somebody else has the rest of the disk.
fn fill(env: &Env) {
    let file = env.disk.open(Path::new("/other"), OpenMode::Create).unwrap();
    let mut size = 0;
    for step in [1 << 20, 4096] {
        while file.allocate(size + step).is_ok() {
            size += step;
        }
    }
}

/// All keys have their values, but one that is damaged.
fn check(table: &CaskTable, deleted: impl Fn(u64) -> bool) {
    let mut damaged = 0;
    for key in 0..FILES * KEYS_EACH {
        match table.get(key.to_le_bytes()) {
            Ok(found) => assert_eq!(found, (!deleted(key)).then(|| value(key)), "{key}"),
            Err(Error::Corrupt { .. }) => damaged += 1,
            Err(error) => panic!("{key}: {error}"),
        }
    }
    assert!(damaged <= 1);
}

#[test]
fn the_other_files_are_merged() {
    let (disk, _env, clock, store, table) = with_data_files(is_even);
    damage(&disk, 1);
    let errors = a_minute(&store, &clock);
    assert!(
        matches!(&errors[..], [Error::Corrupt { path, .. }] if *path == segment(1)),
        "{errors:?}"
    );
    assert!(disk.files().iter().any(|(path, _)| *path == segment(1)));
    assert!(store.stats().unwrap().shards[0].merges > 0);
    // As many as are wasteful: a third of what is needed may be left.
    assert!(segments(&disk).len() < 5, "{:?}", segments(&disk));
    check(&table, is_even);
    let before = traffic(&disk);
    assert_eq!(a_minute(&store, &clock).len(), 0);
    assert_eq!(traffic(&disk), before, "it is read again and again");
}

#[test]
fn a_merge_of_all_files_merges_the_others_and_says_which_it_could_not_read() {
    let (disk, _env, _clock, store, table) = with_data_files(is_even);
    damage(&disk, 2);
    for _ in 0..2 {
        let error = store.merge().unwrap_err();
        assert!(matches!(&error, Error::Corrupt { path, .. } if *path == segment(2)), "{error}");
        check(&table, is_even);
    }
    assert_eq!(segments(&disk), [2]);
    // Mended, it is merged.
    damage(&disk, 2);
    assert!(store.merge().unwrap());
    assert_eq!(segments(&disk), []);
    check(&table, is_even);
}

#[test]
fn on_a_full_disk_others_give_space_back() {
    let (disk, env, _clock, store, table) = with_data_files(is_even);
    (1..4).for_each(|generation| damage(&disk, generation));
    fill(&env);
    let mut stored = 1000_u64;
    let refused = loop {
        match table.put(stored.to_le_bytes(), value(stored)) {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::DiskFull { .. }), "{refused}");
    assert!(store.stats().unwrap().shards[0].merges > 0);
    for key in (1..FILES * KEYS_EACH).step_by(2).skip(40) {
        assert!(table.delete(key.to_le_bytes()).unwrap(), "{key}");
    }
}

#[test]
fn a_store_opens_on_a_full_disk_beside_it() {
    let (disk, _env, _clock, store, table) = with_data_files(is_even);
    (1..=FILES).for_each(|generation| damage(&disk, generation));
    drop(table);
    // What was made ready for writers becomes spares.
    let image = disk.after_kill();
    drop(store);
    let store = options().open_in(env_of(61, &image), ROOT).unwrap();
    let image = image.after_kill();
    drop(store);
    let env = env_of(62, &image);
    for (path, _) in image.files() {
        if path.ends_with(MERGE_RESERVE) || path.extension().is_some_and(|end| end == "spare") {
            env.disk.remove(&path).unwrap();
        }
    }
    fill(&env);
    let store = options().open_in(env, ROOT).unwrap();
    // The deletes stand in the restart of this opening, so that the segment where they were found serves the next one.
    assert!(store.recovery().warnings.is_empty(), "{:?}", store.recovery().warnings);
    assert_eq!(store.open_cask("c").unwrap().len(), FILES * KEYS_EACH / 2);
    store.close().unwrap();
}

#[test]
fn a_merge_that_cannot_write_is_not_tried_in_every_round() {
    let (disk, _env, clock, store, table) = with_data_files(is_even);
    disk.inject(
        Fault::forever(OpFilter::Kind(OpKind::Write), 0, FaultError::Eio).on_path(".cask.tmp"),
    );
    let errors = a_minute(&store, &clock);
    assert!((1..10).contains(&errors.len()), "{} attempts in a minute", errors.len());
    disk.clear_faults();
    assert_eq!(a_minute(&store, &clock).len(), 0);
    assert!(store.stats().unwrap().shards[0].merges > 0);
    check(&table, is_even);
}

/// A file whose hint is gone and that is damaged may hold what deletes in other files are for.
#[test]
fn deletes_of_what_it_holds_are_kept() {
    // All keys but those of the first file, and half of those.
    let deleted = |key: u64| key >= KEYS_EACH || is_even(key);
    let (disk, _env, clock, store, table) = with_data_files(deleted);
    // Beside what is dead soon, so that they are merged.
    (1000..1017).for_each(|key| put(&table, key));
    store.rotate().unwrap();
    store.checkpoint().unwrap();
    for key in 1000..1017_u64 {
        assert!(table.delete(key.to_le_bytes()).unwrap());
    }
    let hint = shard().join(ShardFile::Hint(1).name());
    let kept = disk.read_all(&hint).unwrap();
    disk.delete_file(&hint);
    damage(&disk, 1);
    let errors = a_minute(&store, &clock);
    assert!(
        errors
            .iter()
            .all(|error| matches!(error, Error::Corrupt { path, .. } if *path == segment(1))),
        "{errors:?}"
    );
    assert_eq!(a_minute(&store, &clock).len(), 0, "it keeps the others from being merged");
    check(&table, deleted);
    drop(table);
    store.close().unwrap();
    drop(store);
    disk.put_file(&hint, &kept);
    let store = options().open_in(env_of(62, &disk), ROOT).unwrap();
    check(&store.open_cask("c").unwrap(), deleted);
}

/// A log segment that cannot be read leaves the log with no checkpoint. What the thread of the shard can do is say so.
#[test]
fn a_checkpoint_that_cannot_read_the_log_is_not_taken_in_every_round() {
    let (disk, _env, clock, store, table) = with_data_files(is_even);
    let slots = store.create_table("f", TableOptions::fixed(8, 1000)).unwrap();
    // Little of it is live: it would be copied.
    let generation = store.stats().unwrap().shards[0].segment;
    for round in 0..138_u64 {
        slots.put(round.to_le_bytes(), [1; 1000]).unwrap();
        put(&table, 1000);
        if round == 60 {
            store.sync().unwrap();
            damage(&disk, generation + 1);
        }
    }
    let writes = || disk.op_count(OpFilter::Kind(OpKind::Write));
    let mut errors = a_minute(&store, &clock);
    assert!(!errors.is_empty(), "no checkpoint was due");
    let before = writes();
    errors.extend(a_minute(&store, &clock));
    assert!(errors.iter().all(Error::is_corruption), "{errors:?}");
    assert!(errors.len() < 15, "{} checkpoints in two minutes", errors.len());
    assert!(writes() - before < 30, "{} writes in a minute", writes() - before);
}

#[test]
fn a_merge_of_all_files_goes_on_with_the_other_shards() {
    let (store, disk) = common::store(63, 2);
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    (0..200).for_each(|key| table.put(common::b(key), [1; 400]).unwrap());
    store.rotate().unwrap();
    store.checkpoint().unwrap();
    for key in (0..200).filter(|key| is_even(*key)) {
        assert!(table.delete(common::b(key)).unwrap());
    }
    let data = ["log-", "data-"].map(|part| common::files_named(&disk, 0, part)).concat();
    for path in data.iter().filter(|path| path.extension().is_none_or(|end| end != "hint")) {
        disk.flip_bit(path, 8 * 5000);
    }
    let error = store.merge().unwrap_err();
    assert!(error.is_corruption(), "{error}");
    assert!(store.stats().unwrap().shards[1].merges > 0);
}

/// The keys of an ordered table stand in its data files alone: without them it would leave keys out of ranges.
#[test]
fn a_store_with_an_ordered_table_is_refused_beside_it() {
    for ordered in [false, true] {
        let (store, disk) = common::store(64, 1);
        let table = store.create_cask("c", &CaskOptions::new().ordered(ordered)).unwrap();
        (0..100).for_each(|key| table.put(common::b(key), [1; 400]).unwrap());
        store.rotate().unwrap();
        store.checkpoint().unwrap();
        drop(table);
        store.close().unwrap();
        let data = common::files_named(&disk, 0, "data-");
        let path = data.iter().find(|path| path.extension().is_none_or(|end| end != "hint"));
        disk.flip_bit(path.unwrap(), 8 * 5000);
        let opened = common::reopen(&disk, 1);
        assert_eq!(opened.is_err_and(|error| error.is_corruption()), ordered);
    }
}

/// Values in it have vanished: none of them can be read to be taken out.
#[test]
fn what_vanished_in_it_does_not_keep_the_others_from_being_merged() {
    let (mut env, disk) = sim_env(65, SimOptions::default());
    let clock = Arc::new(SimClock::new());
    env.clock = clock.clone();
    let store = options().open_in(env, ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    let soon = WriteOptions::new().ttl(Duration::from_secs(30));
    for key in 10_000..10_900_u64 {
        table.put_with(key.to_le_bytes(), [1; 1000], &soon).unwrap();
    }
    store.rotate().unwrap();
    for file in 1..FILES {
        (0..KEYS_EACH).for_each(|key| put(&table, file * KEYS_EACH + key));
        store.rotate().unwrap();
    }
    store.checkpoint().unwrap();
    for key in (KEYS_EACH..FILES * KEYS_EACH).filter(|key| is_even(*key)) {
        assert!(table.delete(key.to_le_bytes()).unwrap());
    }
    store.sync().unwrap();
    clock.advance(Duration::from_secs(60));
    let path = ShardFile::Segment(1).name();
    disk.inject(Fault::forever(OpFilter::Kind(OpKind::Read), 0, FaultError::Eio).on_path(path));
    let errors = a_minute(&store, &clock);
    assert!(!errors.is_empty());
    assert!(store.stats().unwrap().shards[0].merges > 0, "{} rounds failed", errors.len());
}

#[test]
fn a_merge_of_all_files_on_a_full_disk_says_which_it_could_not_read() {
    let (disk, env, _clock, store, table) = with_data_files(is_even);
    damage(&disk, 1);
    fill(&env);
    let error = store.merge().unwrap_err();
    assert!(matches!(&error, Error::Corrupt { path, .. } if *path == segment(1)), "{error}");
    check(&table, is_even);
}

#[test]
fn a_file_that_is_still_open_as_a_segment_is_left_out_too() {
    let (mut env, disk) = sim_env(61, SimOptions::default());
    let clock = Arc::new(SimClock::new());
    env.clock = clock.clone();
    let store = options().open_in(env, ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    for file in 0..FILES {
        (0..KEYS_EACH).for_each(|key| put(&table, file * KEYS_EACH + key));
        store.rotate().unwrap();
    }
    // For a moment no descriptor is left: the segment goes on being read by the one that it was written with.
    let name = ShardFile::Segment(1).name();
    disk.inject(Fault::forever(OpFilter::Kind(OpKind::Open), 0, FaultError::Emfile).on_path(name));
    store.checkpoint().unwrap();
    disk.clear_faults();
    for key in (0..FILES * KEYS_EACH).filter(|key| is_even(*key)) {
        table.delete(key.to_le_bytes()).unwrap();
    }
    store.sync().unwrap();
    for part in ["0000000000000001.segment", "0000000000000001.spare"] {
        let read = OpFilter::Kind(OpKind::Read);
        disk.inject(Fault::forever(read, 0, FaultError::Eio).on_path(part));
    }
    let errors = a_minute(&store, &clock);
    assert!(matches!(&errors[..], [Error::Io(error)] if error.path == segment(1)), "{errors:?}");
    assert!(store.stats().unwrap().shards[0].merges > 0);
}

/// Nothing is in a hint that is not in its data file.
#[test]
fn a_hint_that_cannot_be_read_is_made_anew() {
    let (disk, env, _, store, table) = with_data_files(|_| false);
    drop(table);
    store.close().unwrap();
    disk.inject(Fault::forever(OpFilter::Kind(OpKind::Read), 0, FaultError::Eio).on_path("hint"));
    let store = options().open_in(env.clone(), ROOT).unwrap();
    let rebuilt = |store: &Store| -> u64 {
        store.recovery().shards.iter().map(|shard| shard.hints_rebuilt).sum()
    };
    assert_eq!(rebuilt(&store), FILES);
    let table = store.open_cask("c").unwrap();
    for key in 0..FILES * KEYS_EACH {
        let found = table.get(key.to_le_bytes()).unwrap();
        assert_eq!(found.as_deref(), Some(&value(key)[..]), "{key}");
    }
    drop(table);
    store.close().unwrap();
    disk.clear_faults();
    let store = options().open_in(env, ROOT).unwrap();
    assert_eq!(rebuilt(&store), 0, "what was made anew stays");
}
