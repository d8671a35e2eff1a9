//! Tables come and go: across reopening and crashes at any call, on all shards or on none, and an id is never used twice.

mod common;

use common::{ROOT, b, crash, crash_keeping_all, files_named, reopen, store, table, tiny, world};
use slotcask::{CaskOptions, Error, Store, TableOptions, WriteOptions};
use slotcask_io::SimDisk;
use slotcask_io::sim::{CrashPlan, env_of};
use std::time::Duration;

fn names(store: &Store) -> Vec<String> {
    store.tables().unwrap().into_iter().map(|table| table.name).collect()
}

#[test]
fn tables_are_created_dropped_and_listed_and_ids_are_not_used_again() {
    let (first, mut disk) = store(1, 2);
    drop(first);
    let mut last = 0;
    for round in 0..6 {
        let store = reopen(&disk, 2).unwrap();
        let t = store.create_table("t", TableOptions::fixed(8, 8)).unwrap();
        assert!(t.info().id > last, "round {round}");
        last = t.info().id;
        assert!(t.is_empty());
        t.put(b(1), b(round)).unwrap();
        assert!(matches!(
            store.create_table("t", TableOptions::fixed(8, 8)),
            Err(Error::TableExists { .. })
        ));
        store.drop_table("t").unwrap();
        assert!(matches!(t.get(b(1)), Err(Error::TableDropped { .. })));
        assert!(matches!(t.put(b(1), b(1)), Err(Error::TableDropped { .. })));
        assert!(matches!(t.iter().next(), Some(Err(Error::TableDropped { .. }))));
        assert!(matches!(store.drop_table("t"), Err(Error::NoSuchTable { .. })));
        assert!(matches!(store.clear_table("t"), Err(Error::NoSuchTable { .. })));
        for shard in 0..2 {
            assert!(files_named(&disk, shard, "table-").is_empty(), "files stay after a drop");
        }
        if round % 2 == 0 {
            disk = crash(&disk);
        } else {
            store.close().unwrap();
        }
    }
}

#[test]
fn schemas_are_checked() {
    let (store, _disk) = store(2, 2);
    for options in [
        TableOptions::fixed(0, 8),
        TableOptions::fixed(4097, 8),
        TableOptions::fixed(8, (1 << 20) + 1),
        TableOptions::fixed(8, 8).pinned(2),
        TableOptions::fixed(8, 8).slot_count_max(0),
    ] {
        let error = store.create_table("t", options).map(drop).unwrap_err();
        assert!(matches!(error, Error::Schema { .. }), "{error}");
    }
    for name in ["", &"x".repeat(10_000)] {
        assert!(store.create_table(name, TableOptions::fixed(8, 8)).is_err());
    }
    store.fixed_map::<u64, u64>("m").unwrap();
    let error = store.fixed_map::<u64, u32>("m").map(drop).unwrap_err();
    assert!(matches!(&error, Error::SchemaMismatch { .. }));
    common::assert_says(&error, &["m", "value length", "4", "8"]);
    assert_eq!(names(&store), ["m"]);
}

#[test]
fn pinned_tables_live_on_one_shard() {
    let (store, disk) = store(3, 3);
    let t = store.create_table("t", TableOptions::fixed(8, 8).pinned(2)).unwrap();
    let mut batch = store.batch();
    for n in 0..20 {
        batch.put(&t, b(n), b(n)).unwrap();
    }
    batch.commit().unwrap();
    assert!(
        files_named(&disk, 0, "table-").is_empty() && !files_named(&disk, 2, "table-").is_empty()
    );
    let store = reopen(&crash(&disk), 3).unwrap();
    let t = store.open_table("t").unwrap();
    assert_eq!(t.len(), 20);
    store.clear_table("t").unwrap();
    assert!(t.is_empty());
}

#[test]
fn a_clear_survives_and_takes_only_what_was_there() {
    let (store, disk) = store(4, 2);
    let t = table(&store, "t");
    for n in 0..100 {
        t.put(b(n), b(n)).unwrap();
    }
    store.checkpoint().unwrap();
    for n in 100..150 {
        t.put(b(n), b(n)).unwrap();
    }
    store.clear_table("t").unwrap();
    assert!(t.is_empty());
    for n in 50..60 {
        t.put(b(n), b(n + 1)).unwrap();
    }
    let check = |store: &Store| {
        let t = store.open_table("t").unwrap();
        let mut keys: Vec<u64> =
            t.iter().map(|pair| u64::from_le_bytes(pair.unwrap().0.try_into().unwrap())).collect();
        keys.sort_unstable();
        assert_eq!(keys, (50..60).collect::<Vec<_>>());
    };
    check(&store);
    check(&reopen(&crash(&disk), 2).unwrap());
    store.checkpoint().unwrap();
    check(&reopen(&crash(&disk), 2).unwrap());
    store.close().unwrap();
    check(&reopen(&crash(&disk), 2).unwrap());
}

/// Cuts the power at every call of `change` on a store of three shards and checks what the next opening finds.
/// Tables with their rows, and which shards lacked the change.
fn seen(store: &Store) -> (Vec<(String, u64)>, Vec<u64>) {
    let tables = store.tables().unwrap();
    let tables = tables.into_iter().map(|table| (table.name, table.len)).collect();
    (tables, store.recovery().shards.iter().map(|shard| shard.ddl_completed).collect())
}

/// What an opening for reading finds, which writes nothing.
fn read_only(image: &SimDisk) -> (Vec<(String, u64)>, Vec<u64>) {
    let before = common::picture(image);
    let store = tiny(3).read_only(true).open_in(env_of(7, image), ROOT).unwrap();
    let seen = seen(&store);
    drop(store);
    assert!(before == common::picture(image));
    seen
}

fn interrupted(
    change: impl Fn(&Store) -> slotcask::Result<()>,
    before: &[u64],
    after: &[u64],
    name: &str,
) {
    let prepared = {
        let (env, disk) = world(5);
        let store = tiny(3).open_in(env, ROOT).unwrap();
        let t = table(&store, "t");
        for n in 0..30 {
            t.put(b(n), b(n)).unwrap();
        }
        store.close().unwrap();
        disk
    };
    let mut completed = 0;
    for stop in 0.. {
        assert!(stop < 400, "the change never came through");
        let disk = prepared.fork();
        let store = tiny(3).open_in(env_of(6, &disk), ROOT).unwrap();
        disk.stop_after(disk.io_count() + stop);
        let result = change(&store);
        let crashes =
            [crash(&disk), crash_keeping_all(&disk), disk.crash(&mut CrashPlan::random(stop))];
        drop(store);
        for (number, image) in crashes.into_iter().enumerate() {
            let seen_in_memory = read_only(&image);
            let store = tiny(3).open_in(env_of(7, &image), ROOT);
            let store = store.unwrap_or_else(|error| panic!("{name} {stop} {number}: {error}"));
            assert_eq!(seen_in_memory, seen(&store), "{name} {stop} {number}");
            completed += store.recovery().shards.iter().map(|s| s.ddl_completed).sum::<u64>();
            let check = |store: &Store| {
                let seen: Vec<u64> =
                    store.tables().unwrap().iter().map(|table| table.len).collect();
                let is_done = seen == after;
                assert!(
                    is_done || (seen == before && result.is_err()),
                    "{name} {stop} {number}: {seen:?}"
                );
                for info in store.tables().unwrap() {
                    let table = store.open_table(&info.name).unwrap();
                    for n in 0..30 {
                        let seen = table.get(b(n)).unwrap();
                        assert_eq!(seen.is_some(), info.len == 30, "{name} {stop} {number}");
                    }
                }
                is_done
            };
            let done = check(&store);
            // Whatever it was, it is final, and changes go on.
            table(&store, "next").put(b(1), b(1)).unwrap();
            store.drop_table("next").unwrap();
            assert_eq!(check(&store), done);
            let store = reopen(&crash(&image), 3).unwrap();
            assert_eq!(check(&store), done);
        }
        if result.is_ok() {
            break;
        }
    }
    assert!(completed > 0, "{name}: no opening had anything to complete");
}

#[test]
fn an_interrupted_creation_is_on_all_shards_or_none() {
    let create = |store: &Store| store.create_table("u", TableOptions::fixed(8, 4)).map(drop);
    interrupted(create, &[30], &[30, 0], "create");
}

#[test]
fn an_interrupted_drop_is_on_all_shards_or_none() {
    interrupted(|store| store.drop_table("t"), &[30], &[], "drop");
}

#[test]
fn an_interrupted_clear_is_on_all_shards_or_none() {
    interrupted(|store| store.clear_table("t"), &[30], &[0], "clear");
}

#[test]
fn a_change_that_failed_on_one_shard_is_completed_in_memory_too() {
    use slotcask_io::sim::{Fault, FaultError, OpFilter, OpKind};
    let (env, disk) = world(8);
    let store = tiny(2).open_in(env, ROOT).unwrap();
    table(&store, "t");
    disk.inject(
        Fault::once(OpFilter::Kind(OpKind::Sync), 0, FaultError::Eio).on_path("shard-001/log"),
    );
    assert!(store.create_table("u", TableOptions::fixed(8, 8)).is_err());
    assert!(matches!(
        store.create_table("v", TableOptions::fixed(8, 8)),
        Err(Error::CatalogueInterrupted { .. })
    ));
    assert!(store.close().is_err());
    drop(store);
    disk.clear_faults();
    let image = crash(&disk);
    let before = common::picture(&image);
    let read_only = tiny(2).read_only(true).open_in(env_of(9, &image), ROOT).unwrap();
    assert_eq!(names(&read_only), ["t", "u"]);
    assert_eq!(read_only.open_table("u").unwrap().get(b(1)).unwrap(), None);
    let completed = |store: &Store| -> Vec<u64> {
        store.recovery().shards.iter().map(|shard| shard.ddl_completed).collect()
    };
    let found = completed(&read_only);
    drop(read_only);
    assert!(before == common::picture(&image));
    let store = reopen(&image, 2).unwrap();
    assert_eq!(found, completed(&store));
    assert_eq!(found.iter().sum::<u64>(), 1);
    assert_eq!(names(&store), ["t", "u"]);
    for n in 0..20 {
        store.open_table("u").unwrap().put(b(n), b(n)).unwrap();
    }
}

#[test]
fn a_table_whose_records_do_not_fit_the_log_is_not_created() {
    let (store, _disk) = store(1, 1);
    // The largest that is created takes puts, with a deadline too.
    let options = |len| TableOptions::fixed(8, len).deadlines(true);
    let (mut fits, mut too_long) = (1, 1 << 20);
    while fits + 1 < too_long {
        let len = (fits + too_long) / 2;
        match store.create_table("t", options(len)) {
            Ok(_) => {
                store.drop_table("t").unwrap();
                fits = len;
            }
            Err(error) => {
                common::assert_says(&error, &["t", "log", "shards"]);
                assert!(matches!(error, Error::Schema { .. }), "{error}");
                too_long = len;
            }
        }
    }
    assert!(fits > 4096, "{fits}");
    let table = store.create_table("t", options(fits)).unwrap();
    let (key, value) = ([1; 8], vec![2; fits]);
    let hour = WriteOptions::new().ttl(Duration::from_secs(3600));
    for _ in 0..10 {
        table.put(key, &value).unwrap();
        table.put_with(key, &value, &hour).unwrap();
        assert!(table.persist(key).unwrap().is_some());
        assert!(table.expire_in(key, Duration::from_secs(60)).unwrap().is_some());
        table.put_many(&[(key, &value)]).unwrap();
        table.update(key, |_| Some(value.clone())).unwrap();
    }
    assert_eq!(table.get(key).unwrap(), Some(value));
}

#[test]
fn an_iterator_yields_an_error_that_stays_once() {
    for dropped in [true, false] {
        let (store, _disk) = store(2, 2);
        let fixed = store.create_table("f", TableOptions::fixed(8, 8).ordered(true)).unwrap();
        let cask = store.create_cask("c", &CaskOptions::new().ordered(true)).unwrap();
        store.create_table("m", TableOptions::fixed(8, 8).ordered(true)).unwrap();
        let map = store.fixed_map::<u64, u64>("m").unwrap();
        for number in 0..3_u64 {
            fixed.put(number.to_le_bytes(), [1; 8]).unwrap();
            cask.put(number.to_le_bytes(), [1; 30]).unwrap();
            map.put(&number, &number).unwrap();
        }
        let begun = (fixed.iter(), cask.iter(), fixed.scan().unwrap(), cask.scan().unwrap());
        let (map_iter, map_range) = (map.iter(), map.range(..).unwrap());
        let (fixed_keys, cask_keys) = (fixed.scan().unwrap().keys(), cask.scan().unwrap().keys());
        if dropped {
            for name in ["f", "c", "m"] {
                store.drop_table(name).unwrap();
            }
        } else {
            store.close().unwrap();
        }
        let errors = [
            begun.0.take(9).map(|item| item.is_err()).collect::<Vec<_>>(),
            begun.1.take(9).map(|item| item.is_err()).collect(),
            begun.2.take(9).map(|item| item.is_err()).collect(),
            begun.3.take(9).map(|item| item.is_err()).collect(),
            map_iter.take(9).map(|item| item.is_err()).collect(),
            map_range.take(9).map(|item| item.is_err()).collect(),
            fixed_keys.take(9).map(|item| item.is_err()).collect(),
            cask_keys.take(9).map(|item| item.is_err()).collect(),
        ];
        assert_eq!(errors, vec![vec![true]; 8][..], "dropped: {dropped}");
    }
}

/// Address space is reserved for all slots that a table may have, in each shard: large slots may be fewer unless somebody says how many.
#[test]
fn slots_of_any_size_are_had_without_options() {
    for shards in [1, 4, 255] {
        let (env, _disk) = world(70);
        let log_size = u64::from(shards) * (16 << 20);
        let options = tiny(shards).segment_size(2 << 20).log_size(log_size);
        let store = options.open_in(env, ROOT).unwrap();
        for power in (0..=20).step_by(if shards == 255 { 10 } else { 1 }) {
            let name = format!("t{power}");
            let t = store.create_table(&name, TableOptions::fixed(8, 1 << power)).unwrap();
            let max = t.info().slot_count_max;
            assert!(max >= 10_000, "{max} slots of 2^{power}");
            assert!(power > 12 || shards > 4 || max == slotcask::SLOT_COUNT_MAX_DEFAULT);
            store.drop_table(&name).unwrap();
        }
    }
}
