//! Cask tables through the public face: what is written is read, across checkpoints, merges, reopenings and crashes.

mod common;

use common::{ROOT, tiny};
use slotcask::{CaskOptions, Error, Options, Store, TableOptions, WriteOptions};
use slotcask_io::sim::{CrashPlan, SimClock, env_of};
use slotcask_io::{Env, SimDisk, SimOptions};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

fn open(disk: &SimDisk) -> Store {
    tiny(1).open_in(env_of(1, disk), ROOT).unwrap()
}

fn world() -> SimDisk {
    SimDisk::new(SimOptions::default())
}

/// Reproducible numbers.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

fn contents(table: &slotcask::CaskTable) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut all = BTreeMap::new();
    for pair in table.iter() {
        let (key, value) = pair.unwrap();
        assert_eq!(table.get(&key).unwrap().as_ref(), Some(&value));
        assert!(all.insert(key, value).is_none(), "a key came twice");
    }
    all
}

#[test]
fn keys_and_values_of_any_length_are_kept() {
    let disk = world();
    let store = open(&disk);
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    let pairs = [
        (Vec::new(), b"the empty key".to_vec()),
        (b"empty value".to_vec(), Vec::new()),
        (vec![7; 3000], vec![8; 9000]),
        (b"k".to_vec(), b"v".to_vec()),
    ];
    for (key, value) in &pairs {
        table.put(key, value).unwrap();
        assert_eq!(table.get(key).unwrap().as_ref(), Some(value));
    }
    assert_eq!(table.len(), 4);
    store.close().unwrap();
    let store = open(&disk);
    let table = store.open_cask("c").unwrap();
    for (key, value) in &pairs {
        assert_eq!(table.get(key).unwrap().as_ref(), Some(value));
    }
    assert_eq!(contents(&table), pairs.into_iter().collect());
}

#[test]
fn a_long_life_is_like_a_map() {
    let disk = world();
    let mut store = open(&disk);
    let mut table = store.create_cask("c", &CaskOptions::new()).unwrap();
    let mut fixed = store.create_table("f", TableOptions::fixed(8, 64)).unwrap();
    let mut model = BTreeMap::new();
    let mut state = 5;
    for round in 0..6000_u64 {
        let key = format!("key-{}", next(&mut state) % 300).into_bytes();
        match next(&mut state) % 100 {
            0..60 => {
                let value = vec![round as u8; (next(&mut state) % 700) as usize];
                table.put(&key, &value).unwrap();
                model.insert(key, value);
            }
            60..75 => {
                assert_eq!(table.delete(&key).unwrap(), model.remove(&key).is_some());
            }
            75..80 => {
                let old = model.get(&key).cloned();
                let new = table
                    .update(&key, |value| {
                        assert_eq!(value, old.as_deref());
                        value.map(|value| [value, b"+"].concat())
                    })
                    .unwrap();
                if let Some(new) = new {
                    model.insert(key, new);
                }
            }
            80..85 => {
                let stored = table.put_if_absent(&key, b"first").unwrap();
                assert_eq!(stored, !model.contains_key(&key));
                model.entry(key).or_insert_with(|| b"first".to_vec());
            }
            85..97 => fixed.put((round % 50).to_le_bytes(), [1; 64]).unwrap(),
            97 => assert_eq!(table.get(&key).unwrap(), model.get(&key).cloned()),
            98 => {
                store.poll().unwrap();
            }
            _ => {
                if round % 3 == 0 {
                    store.checkpoint().unwrap();
                }
            }
        }
        if round % 1500 == 1499 {
            store.merge().unwrap();
            assert_eq!(contents(&table), model);
            store.close().unwrap();
            store = open(&disk);
            table = store.open_cask("c").unwrap();
            fixed = store.open_table("f").unwrap();
            assert_eq!(contents(&table), model);
            assert_eq!(table.len(), model.len() as u64);
        }
    }
    let stats = store.stats().unwrap();
    assert!(stats.shards[0].log_bytes <= stats.shards[0].log_capacity);
}

#[test]
fn nothing_deleted_comes_back_after_merges_in_any_order() {
    // Versions of one key spread over data files, then merged in every order of pairs, reopened cleanly and not.
    for order in 0..24_u64 {
        let disk = world();
        let store = open(&disk);
        let table = store.create_cask("c", &CaskOptions::new()).unwrap();
        let seal = || {
            store.rotate().unwrap();
            store.checkpoint().unwrap();
            store.checkpoint().unwrap();
        };
        // Live bytes, so that the segment becomes a data file as it is.
        let ballast = |at: u64| table.put(format!("ballast-{at}"), vec![1; 9000]).unwrap();
        let steps: [&dyn Fn(); 4] = [
            &|| table.put("k", "one").unwrap(),
            &|| table.put("k", "two").unwrap(),
            &|| assert!(table.delete("k").unwrap()),
            &|| table.put("other", "x").unwrap(),
        ];
        for (at, step) in steps.iter().enumerate() {
            step();
            ballast(at as u64);
            seal();
        }
        // What is dead decides which files are merged: overwrite the ballast in this order.
        let mut left = vec![0, 1, 2, 3];
        let mut rest = order;
        while !left.is_empty() {
            let at = left.remove((rest % left.len() as u64) as usize);
            rest /= left.len().max(1) as u64 + 1;
            table.put(format!("ballast-{at}"), vec![2; 100]).unwrap();
            store.sync().unwrap();
            store.merge().unwrap();
            assert_eq!(table.get("k").unwrap(), None, "order {order}");
            let image = disk.crash(&mut CrashPlan::keep_none());
            let again = open(&image);
            let found = again.open_cask("c").unwrap();
            assert_eq!(found.get("k").unwrap(), None, "order {order}, reopened");
            assert_eq!(found.get("other").unwrap().as_deref(), Some(&b"x"[..]));
        }
        // Without hints everything is read again from the files themselves.
        store.close().unwrap();
        for (path, _) in disk.files() {
            if path.extension().is_some_and(|ending| ending == "hint") {
                disk.delete_file(&path);
            }
        }
        let store = open(&disk);
        assert_eq!(store.open_cask("c").unwrap().get("k").unwrap(), None);
    }
}

#[test]
fn values_vanish_when_their_time_has_come_and_a_plain_put_lets_them_stay() {
    let disk = world();
    let clock = Arc::new(SimClock::new());
    let env = Env { clock: clock.clone(), ..env_of(1, &disk) };
    let store = tiny(1).open_in(env, ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    let ttl = WriteOptions::new().ttl(Duration::from_secs(10));
    for key in 0..100_u32 {
        table.put_with(key.to_le_bytes(), "short", &ttl).unwrap();
    }
    table.put("stays", "x").unwrap();
    table.put_with("kept", "short", &ttl).unwrap();
    table.put("kept", "long").unwrap();
    clock.advance(Duration::from_millis(9_999));
    assert_eq!(table.get(7_u32.to_le_bytes()).unwrap().as_deref(), Some(&b"short"[..]));
    clock.advance(Duration::from_millis(1));
    assert_eq!(table.get(7_u32.to_le_bytes()).unwrap(), None);
    assert!(!table.delete(7_u32.to_le_bytes()).unwrap());
    assert!(table.put_if_absent(8_u32.to_le_bytes(), "again").unwrap());
    assert_eq!(contents(&table).len(), 3);
    // Reclaimed by logged records, in time.
    clock.advance(Duration::from_secs(2));
    while store.poll().unwrap() {}
    assert_eq!(table.len(), 3);
    assert_eq!(store.stats().unwrap().shards[0].expired, 99);
    store.close().unwrap();
    // The clock was set back: what vanished stays away.
    let store = open(&disk);
    let table = store.open_cask("c").unwrap();
    assert_eq!(table.get(9_u32.to_le_bytes()).unwrap(), None);
    assert_eq!(table.get("kept").unwrap().as_deref(), Some(&b"long"[..]));
    let wrong = [WriteOptions::new().ttl(Duration::ZERO), WriteOptions::new().deadline_ms(5)];
    for options in &wrong {
        let error = table.put_with("k", "v", options).unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "{error}");
    }
}

#[test]
fn a_batch_spans_both_kinds_of_tables_and_reads_what_it_wrote() {
    let disk = world();
    let store = open(&disk);
    let cask = store.create_cask("c", &CaskOptions::new()).unwrap();
    let fixed = store.create_table("f", TableOptions::fixed(4, 4)).unwrap();
    cask.put("gone", "x").unwrap();
    let mut batch = store.batch();
    batch.put(&cask, "k", "v").unwrap().put(&fixed, [1; 4], [2; 4]).unwrap();
    batch.delete(&cask, "gone").unwrap();
    assert_eq!(batch.get(&cask, "k").unwrap().as_deref(), Some(&b"v"[..]));
    assert_eq!(batch.get(&cask, "gone").unwrap(), None);
    assert_eq!(batch.get(&fixed, [1; 4]).unwrap(), Some(vec![2; 4]));
    assert_eq!(cask.get("k").unwrap(), None);
    batch.commit().unwrap();
    let image = disk.crash(&mut CrashPlan::keep_none());
    let store = open(&image);
    let cask = store.open_cask("c").unwrap();
    assert_eq!(cask.get("k").unwrap().as_deref(), Some(&b"v"[..]));
    assert_eq!(cask.get("gone").unwrap(), None);
    assert_eq!(store.open_table("f").unwrap().get([1; 4]).unwrap(), Some(vec![2; 4]));
}

#[test]
fn bad_input_is_named_and_changes_nothing() {
    let disk = world();
    let store = open(&disk);
    let table =
        store.create_cask("c", &CaskOptions::new().key_len_max(10).value_len_max(100)).unwrap();
    store.create_table("f", TableOptions::fixed(4, 4)).unwrap();
    let before = disk.image_hash();
    let key = table.put([1; 11], "v").unwrap_err();
    assert!(matches!(key, Error::KeyTooLong { max: 10, found: 11, .. }), "{key}");
    let value = table.put("k", [1; 101]).unwrap_err();
    assert!(matches!(value, Error::ValueTooLong { max: 100, found: 101, .. }), "{value}");
    assert!(matches!(store.open_cask("f").unwrap_err(), Error::TableKind { .. }));
    assert!(matches!(store.open_table("c").unwrap_err(), Error::TableKind { .. }));
    assert!(matches!(store.open_cask("none").unwrap_err(), Error::NoSuchTable { .. }));
    for name in ["c", "f"] {
        let there = store.create_cask(name, &CaskOptions::new()).unwrap_err();
        assert!(matches!(there, Error::TableExists { .. }), "{there}");
    }
    let long = CaskOptions::new().key_len_max(70_000);
    assert!(matches!(store.create_cask("long", &long).unwrap_err(), Error::Schema { .. }));
    assert_eq!(before, disk.image_hash());
    let large = store.create_cask("large", &CaskOptions::new()).unwrap();
    assert!(matches!(large.put("k", vec![0; 1 << 20]), Err(Error::ValueTooLong { .. })));
    drop(large);
    assert_ne!(before, disk.image_hash(), "only the new table was written");
    let fixed = store.open_table("f").unwrap();
    let ttl = WriteOptions::new().ttl(Duration::from_secs(1));
    assert!(matches!(fixed.put_with([1; 4], [1; 4], &ttl), Err(Error::Options { .. })));
}

#[test]
fn a_clean_store_is_read_without_writing() {
    let disk = world();
    let store = open(&disk);
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    for key in 0..200_u32 {
        table.put(key.to_le_bytes(), vec![3; 500]).unwrap();
    }
    store.checkpoint().unwrap();
    store.close().unwrap();
    let before = disk.image_hash();
    let options = Options::new().read_only(true).background(false);
    let store = options.open_in(env_of(2, &disk), ROOT).unwrap();
    let table = store.open_cask("c").unwrap();
    assert_eq!(contents(&table).len(), 200);
    assert!(matches!(table.put("k", "v"), Err(Error::ReadOnly { .. })));
    drop((table, store));
    assert_eq!(before, disk.image_hash());
}
