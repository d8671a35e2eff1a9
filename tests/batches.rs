//! Batches: all of a batch or nothing of it, whatever it holds and wherever the power fails.

mod common;

use common::{ROOT, b, crash, crash_keeping_all, reopen, store, table, tiny, world};
use slotcask::{Error, TableOptions, WriteOptions};
use slotcask_io::sim::{CrashPlan, SimClock, env_of};
use std::time::Duration;

#[test]
fn a_batch_does_its_operations_in_order() {
    let (store, disk) = store(1, 1);
    let (t, u) = (table(&store, "t"), store.create_table("u", TableOptions::fixed(4, 0)).unwrap());
    t.put(b(1), b(1)).unwrap();
    let mut batch = store.batch();
    batch.put(&t, b(1), b(2)).unwrap().delete(&t, b(1)).unwrap().put(&t, b(1), b(3)).unwrap();
    batch.put(&t, b(2), b(1)).unwrap().put(&t, b(2), b(2)).unwrap();
    batch.put(&t, b(3), b(3)).unwrap().delete(&t, b(3)).unwrap().delete(&t, b(3)).unwrap();
    batch.delete(&t, b(99)).unwrap().put(&u, [7; 4], []).unwrap();
    assert_eq!(batch.len(), 10);
    batch.commit().unwrap();
    let check = |store: &slotcask::Store| {
        let (t, u) = (store.open_table("t").unwrap(), store.open_table("u").unwrap());
        assert_eq!(t.get(b(1)).unwrap().unwrap(), b(3));
        assert_eq!(t.get(b(2)).unwrap().unwrap(), b(2));
        assert_eq!(t.get(b(3)).unwrap(), None);
        assert_eq!((t.len(), u.len()), (2, 1));
        assert!(u.contains([7; 4]).unwrap());
    };
    check(&store);
    check(&reopen(&crash(&disk), 1).unwrap());
}

#[test]
fn batches_of_nothing_are_fine() {
    let (store, _disk) = store(2, 1);
    let t = table(&store, "t");
    store.batch().commit().unwrap();
    let mut batch = store.batch();
    batch.delete(&t, b(1)).unwrap().delete(&t, b(2)).unwrap();
    batch.commit().unwrap();
    assert!(t.is_empty());
}

#[test]
fn a_batch_survives_a_crash_at_any_call_whole_or_not_at_all() {
    for stop in 0..200 {
        let (env, disk) = world(3);
        let store = tiny(1).open_in(env, ROOT).unwrap();
        let t = table(&store, "t");
        for n in 0..20 {
            t.put(b(n), b(n)).unwrap();
        }
        disk.stop_after(disk.io_count() + stop);
        let mut acknowledged = 0;
        for round in 1..4_u64 {
            let mut batch = store.batch();
            for n in 0..40 {
                if n % 7 == 3 {
                    batch.delete(&t, b(n)).unwrap();
                } else {
                    batch.put(&t, b(n), b(1000 * round)).unwrap();
                }
            }
            if batch.commit().is_err() {
                break;
            }
            acknowledged = round;
            let _ = store.checkpoint();
        }
        let images =
            [crash(&disk), crash_keeping_all(&disk), disk.crash(&mut CrashPlan::random(stop))];
        for image in images {
            let store = tiny(1).open_in(env_of(5, &image), ROOT).unwrap();
            let t = store.open_table("t").unwrap();
            let seen: Vec<Option<u64>> = (0..40)
                .map(|n| t.get(b(n)).unwrap().map(|v| u64::from_le_bytes(v.try_into().unwrap())))
                .collect();
            let round = seen[0].unwrap() / 1000;
            assert!(round >= acknowledged, "stop {stop}: {round} after {acknowledged}");
            for (n, seen) in seen.iter().enumerate() {
                let expected = match round {
                    0 => (n < 20).then_some(n as u64),
                    _ => (n % 7 != 3).then_some(1000 * round),
                };
                assert_eq!(*seen, expected, "stop {stop}, key {n}, round {round}");
            }
        }
        if acknowledged == 3 {
            return;
        }
    }
    panic!("three batches never came through");
}

#[test]
fn batches_that_cannot_be_are_refused_and_change_nothing() {
    let (store, _disk) = store(4, 2);
    let t = table(&store, "t");
    let other = (0..).map(b).find(|key| store.shard_of(key) != store.shard_of(&b(0))).unwrap();
    let mut batch = store.batch();
    batch.put(&t, b(0), b(0)).unwrap();
    let error = batch.put(&t, other, b(0)).unwrap_err();
    assert!(matches!(error, Error::BatchOverShards { .. }));
    common::assert_says(&error, &["shards", "0", "1"]);
    assert!(matches!(batch.put(&t, [0; 3], b(0)), Err(Error::KeyLength { .. })));
    assert!(matches!(batch.put(&t, b(0), [0; 3]), Err(Error::ValueLength { .. })));
    assert_eq!(batch.len(), 1);
    drop(batch);
    assert!(t.is_empty());

    let big = store.create_table("big", TableOptions::fixed(8, 4096).pinned(0)).unwrap();
    let mut batch = store.batch();
    for n in 0..4 {
        batch.put(&big, b(n), [1; 4096]).unwrap();
    }
    let error = batch.commit().unwrap_err();
    assert!(matches!(error, Error::BatchTooLarge { found, max } if found > max), "{error}");
    assert!(big.is_empty());

    let (elsewhere, _other_disk) = common::store(5, 2);
    let foreign = table(&elsewhere, "t");
    assert!(matches!(store.batch().put(&foreign, b(0), b(0)), Err(Error::Options { .. })));
}

#[test]
fn a_batch_that_finds_no_slot_gives_back_those_it_had() {
    let (store, disk) = store(6, 1);
    let t = store.create_table("t", TableOptions::fixed(8, 8).slot_count_max(64)).unwrap();
    let max = {
        let mut n = 0;
        while t.put(b(n), b(n)).is_ok() {
            n += 1;
        }
        n
    };
    for n in 0..3 {
        assert!(t.delete(b(n)).unwrap());
    }
    let mut batch = store.batch();
    for n in 0..5 {
        batch.put(&t, b(1000 + n), b(n)).unwrap();
    }
    assert!(matches!(batch.commit(), Err(Error::SlotsExhausted { .. })));
    assert_eq!(t.len(), max - 3);
    let mut batch = store.batch();
    for n in 0..3 {
        batch.put(&t, b(1000 + n), b(n)).unwrap();
    }
    batch.commit().unwrap();
    assert_eq!(t.len(), max);
    let store = reopen(&crash(&disk), 1).unwrap();
    assert_eq!(store.open_table("t").unwrap().len(), max);
}

/// Tables of two stores may have the same number.
#[test]
fn a_batch_knows_nothing_of_other_stores() {
    let (ours, _disk) = store(90, 1);
    let (theirs, _other) = store(91, 1);
    let (t, other) = (table(&ours, "t"), table(&theirs, "t"));
    other.put(b(1), b(7)).unwrap();
    let mut batch = ours.batch();
    batch.put(&t, b(1), b(2)).unwrap();
    assert_eq!(batch.get(&t, b(1)).unwrap().unwrap(), b(2));
    assert_eq!(batch.get(&other, b(1)).unwrap().unwrap(), b(7));
}

#[test]
fn a_batch_with_a_time_to_live_puts_values_that_vanish() {
    let (mut env, disk) = world(40);
    let clock = std::sync::Arc::new(SimClock::new());
    env.clock = clock.clone();
    let store = tiny(1).open_in(env.clone(), ROOT).unwrap();
    let slots = store.create_table("slots", TableOptions::fixed(8, 8).deadlines(true)).unwrap();
    let plain = table(&store, "plain");
    let pages = store.cask("pages").unwrap();
    slots.put(b(1), b(1)).unwrap();
    pages.put(b(1), b(1)).unwrap();
    let staged = |with_plain: bool| {
        let mut batch = store.batch();
        batch.put(&slots, b(1), b(2)).unwrap().put(&slots, b(2), b(2)).unwrap();
        batch.put(&slots, b(2), b(3)).unwrap().delete(&slots, b(9)).unwrap();
        batch.put(&pages, b(1), b(2)).unwrap().put(&pages, b(2), [7; 300]).unwrap();
        if with_plain {
            batch.put(&plain, b(1), b(1)).unwrap();
        }
        batch.delete(&plain, b(5)).unwrap();
        batch
    };
    let ttl = |ms| WriteOptions::new().ttl(Duration::from_millis(ms));
    for (batch, options) in [
        (staged(false), ttl(0)),
        (staged(false), WriteOptions::new().deadline_ms(1)),
        (staged(true), ttl(1000)),
    ] {
        let refused = batch.commit_with(&options).unwrap_err();
        assert!(matches!(refused, Error::Deadline { .. } | Error::Options { option: "ttl", .. }));
        assert_eq!(slots.get(b(1)).unwrap().unwrap(), b(1), "nothing was done");
        assert_eq!((slots.len(), pages.len(), plain.len()), (1, 1, 0));
    }
    staged(false).commit_with(&ttl(1000)).unwrap();
    let there = |store: &slotcask::Store| {
        let (slots, pages) =
            (store.open_table("slots").unwrap(), store.open_cask("pages").unwrap());
        let found = [slots.get(b(1)), slots.get(b(2)), pages.get(b(1)), pages.get(b(2))];
        found.map(|value| value.unwrap())
    };
    let values = || [b(2).to_vec(), b(3).to_vec(), b(2).to_vec(), vec![7; 300]].map(Some);
    assert_eq!(there(&store), values());
    clock.advance(Duration::from_millis(999));
    assert_eq!(there(&store), values());
    // Whoever opens it after a crash knows the deadlines.
    let image = crash(&disk);
    let mut env = env_of(41, &image);
    env.clock = clock.clone();
    let again = tiny(1).open_in(env, ROOT).unwrap();
    assert_eq!(there(&again), values());
    clock.advance(Duration::from_millis(1));
    assert_eq!(there(&store), [const { None }; 4]);
    assert_eq!(there(&again), [const { None }; 4]);
    // A batch without one lets them stay.
    staged(false).commit().unwrap();
    clock.advance(Duration::from_secs(3600));
    assert_eq!(there(&store), values());
}
