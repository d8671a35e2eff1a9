//! Cask tables at their edges: conditional writes beside a key that comes and goes, timeouts without an end, ranges up to the longest
//! keys, data files that were cut short.

mod common;

use common::{ROOT, store, tiny, world};
use slotcask::{CaskOptions, CaskTable, Durability, Error, Options, Store, WriteOptions};
use slotcask_io::{Clock, Env};
use std::cell::RefCell;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

thread_local! {
    /// The table whose key is deleted as soon as this thread has read a value that may vanish.
    static DELETES: RefCell<Option<CaskTable>> = const { RefCell::new(None) };
}

/// A read asks for the time between finding a value and giving it.
#[derive(Debug)]
struct DeletingClock;

impl Clock for DeletingClock {
    fn monotonic(&self) -> Duration {
        if let Some(table) = DELETES.take() {
            assert!(table.delete(b"key").unwrap());
        }
        Duration::from_secs(1)
    }

    fn wall_ms(&self) -> u64 {
        1_700_000_000_000
    }
}

/// A key that was not there, was put, seen, and deleted again: what was seen must not be swapped.
#[test]
fn a_swap_undoes_no_delete() {
    let (env, _disk) = world(1);
    let env = Env { clock: Arc::new(DeletingClock), ..env };
    let store = tiny(1).durability(Durability::Buffered).open_in(env, ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    let may_vanish = WriteOptions::new().ttl(Duration::from_secs(3600));
    let (asked, done) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if asked.swap(false, Ordering::AcqRel) {
                    table.put_with(b"key", b"put", &may_vanish).unwrap();
                }
                std::thread::yield_now();
            }
        });
        let mut undone = 0;
        for _ in 0..100 {
            asked.store(true, Ordering::Release);
            let mut deleted = false;
            while !deleted {
                DELETES.set(Some(table.clone()));
                let answer = table.compare_and_swap(b"key", Some(b"put"), Some(b"swapped"));
                undone += usize::from(answer.unwrap().is_ok());
                deleted = DELETES.take().is_none();
            }
            let _ = table.delete(b"key").unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert_eq!(undone, 0, "a swap brought back what was deleted");
    });
}

/// Files of the log are used again: where a record is not flushed yet, a whole one stands that was there in an earlier life of the file.
#[test]
fn iteration_passes_over_what_stood_in_a_file_before() {
    let (env, _disk) = world(3);
    let store = tiny(1).durability(Durability::Buffered).open_in(env, ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    for round in 0..1500_u32 {
        table.put((round % 40).to_le_bytes(), [round as u8; 300]).unwrap();
        if round % 7 == 0 {
            store.sync().unwrap();
        }
        let mut values: Vec<_> = table.iter().map(|pair| pair.unwrap().1[0]).collect();
        values.sort_unstable();
        let mut expected: Vec<_> = (round.saturating_sub(39)..=round).map(|n| n as u8).collect();
        expected.sort_unstable();
        assert_eq!(values, expected, "round {round}");
    }
}

#[test]
fn batches_and_range_deletes_may_wait_for_ever() {
    let (store, _disk) = store(1, 1);
    let table = store.create_cask("c", &CaskOptions::new().ordered(true)).unwrap();
    let options = WriteOptions::new().timeout(Duration::MAX);
    let mut batch = store.batch();
    batch.put(&table, b"a", b"1").unwrap().put(&table, b"b", b"2").unwrap();
    batch.commit_with(&options).unwrap();
    assert_eq!(table.delete_range_with::<&[u8]>(.., &options).unwrap(), 2);
}

#[test]
fn ranges_begin_and_end_at_the_longest_keys() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new().shards(1).log_size(8 << 20).durability(Durability::Buffered);
    let store = options.open(dir.path()).unwrap();
    let shape = CaskOptions::new().key_len_max(65_535).ordered(true);
    let table = store.create_cask("c", &shape).unwrap();
    let (middle, last) = ([&[1; 65_534][..], &[7]].concat(), vec![255_u8; 65_535]);
    let fill = || {
        for key in [&[1_u8][..], &middle, &[2], &last] {
            table.put(key, b"value").unwrap();
        }
    };
    let left = || table.scan().unwrap().map(|pair| pair.unwrap().0).collect::<Vec<_>>();
    fill();
    assert_eq!(table.delete_range(..=middle.clone()).unwrap(), 2);
    assert_eq!(left(), [vec![2], last.clone()]);
    fill();
    let behind = |key: &Vec<u8>| (Bound::Excluded(key.clone()), Bound::Unbounded);
    assert_eq!(table.delete_range(behind(&last)).unwrap(), 0);
    assert_eq!(table.delete_range(behind(&middle)).unwrap(), 2);
    assert_eq!(left(), [vec![1], middle.clone()]);
    fill();
    assert_eq!(table.delete_range(vec![2]..=last.clone()).unwrap(), 2);
    assert_eq!(left(), [vec![1], middle.clone()]);
    let too_long = vec![0; 65_536];
    let error = table.delete_range(..too_long).unwrap_err();
    assert!(matches!(error, Error::KeyTooLong { found: 65_536, .. }), "{error}");
}

fn mapped() -> Options {
    let options = Options::new().shards(1).durability(Durability::Buffered);
    options.log_size(8 << 20).value_cache(0).map_data_files(true)
}

fn data_files(dir: &Path) -> Vec<PathBuf> {
    let paths =
        std::fs::read_dir(dir.join("shard-000")).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "cask")).collect()
}

fn values(store: &Store) -> (usize, usize) {
    let table: CaskTable = store.open_cask("c").unwrap();
    let (mut found, mut corrupt) = (0, 0);
    for key in 0..4000_u32 {
        match table.get(key.to_le_bytes()) {
            Ok(value) => {
                assert_eq!(value, Some(vec![key as u8; 3000]));
                found += 1;
            }
            Err(error) => {
                let Error::Corrupt { path, .. } = &error else { panic!("{error}") };
                assert!(path.exists(), "{error}");
                corrupt += 1;
            }
        }
    }
    (found, corrupt)
}

#[test]
fn a_mapped_file_that_was_cut_short_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = mapped().open(dir.path()).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    for round in 0..2 {
        for key in (0..4000_u32).filter(|key| round == 0 || key % 2 == 0) {
            table.put(key.to_le_bytes(), [key as u8; 3000]).unwrap();
        }
    }
    store.checkpoint().unwrap();
    store.merge().unwrap();
    store.close().unwrap();
    drop((table, store));
    assert!(!data_files(dir.path()).is_empty());
    // To the middle of a block, to a block, to nothing.
    let lens: [fn(u64) -> u64; 3] = [|len| len / 2 + 1, |len| len / 8192 * 4096, |_| 0];
    for (number, len_of) in lens.into_iter().enumerate() {
        for path in data_files(dir.path()) {
            let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(len_of(file.metadata().unwrap().len())).unwrap();
        }
        for read_only in [true, false] {
            let store = mapped().read_only(read_only).open(dir.path()).unwrap();
            let warnings = &store.recovery().warnings;
            assert!(warnings.iter().all(|warning| !warning.contains("mapped")), "{warnings:?}");
            let (_, corrupt) = values(&store);
            assert!(corrupt > 0, "nothing was missing, cut {number}");
        }
    }
}

/// The limits that errors name are the limits.
#[test]
fn what_does_not_fit_a_segment_is_refused_with_the_right_limit() {
    let (store, _disk) = store(1, 1);
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    let Err(Error::KeyTooLong { max, found: 60_000, .. }) = table.put(vec![1; 60_000], b"") else {
        panic!("a key longer than a segment");
    };
    table.put(vec![1; max], b"").unwrap();
    let error = table.put(vec![1; max + 1], b"").unwrap_err();
    assert!(matches!(error, Error::KeyTooLong { .. }), "{error}");
    let Err(Error::ValueTooLong { max, .. }) = table.put(b"key", vec![1; 60_000]) else {
        panic!("a value longer than a segment");
    };
    assert!(table.check_pair(b"key", &vec![1; max]).is_ok());
    let hour = WriteOptions::new().ttl(Duration::from_secs(3600));
    table.put_with(b"key", vec![1; max], &hour).unwrap();
    let error = table.put(b"key", vec![1; max + 1]).unwrap_err();
    assert!(matches!(error, Error::ValueTooLong { found, .. } if found == max + 1), "{error}");
}
