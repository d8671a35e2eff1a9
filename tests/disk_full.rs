//! Space, quota, size limits and descriptors run out: writes that need room are refused before they are accepted, reads and
//! deletes go on, and when room comes back so do writes. Nothing that was acknowledged is lost.

mod common;

use common::{ROOT, b, crash, table, tiny, world};
use slotcask::{Error, Store, Table, TableOptions};
use slotcask_io::sim::{Fault, FaultError, OpFilter, OpKind, env_of};
use slotcask_io::{SimDisk, SimOptions, sim_env};
use std::collections::BTreeMap;

/// Puts keys from `from` on until one is refused; gives the key that was.
fn fill(t: &Table, model: &mut BTreeMap<u64, u64>, from: u64) -> (u64, Error) {
    for n in from..200_000 {
        match t.put(b(n), b(n)) {
            Ok(()) => model.insert(n, n),
            Err(error) => return (n, error),
        };
    }
    panic!("the disk never became full");
}

fn check(t: &Table, model: &BTreeMap<u64, u64>) {
    assert_eq!(t.len(), model.len() as u64);
    for (key, value) in model {
        assert_eq!(t.get(b(*key)).unwrap().as_deref(), Some(&b(*value)[..]), "{key}");
    }
}

#[test]
fn a_full_disk_refuses_inserts_and_serves_the_rest() {
    let options = SimOptions { capacity_bytes: Some(900 << 10), ..SimOptions::default() };
    let (env, disk) = sim_env(1, options);
    let store = tiny(1).open_in(env, ROOT).unwrap();
    let t = table(&store, "t");
    let mut model = BTreeMap::new();
    let (refused, error) = fill(&t, &mut model, 0);
    assert!(matches!(error, Error::DiskFull { shard: 0, .. }), "{error}");
    assert_eq!(t.get(b(refused)).unwrap(), None, "a refused write is visible");
    assert!(store.stats().unwrap().shards[0].poisoned.is_none());
    check(&t, &model);
    // Overwrites go on for as long as segments can be recycled: many times the log.
    for round in 1..200_u64 {
        for key in 0..50 {
            t.put(b(key), b(round)).unwrap_or_else(|error| panic!("{round}: {error}"));
            model.insert(key, round);
        }
    }
    for key in 0..60 {
        assert!(t.delete(b(key)).unwrap());
        model.remove(&key);
    }
    // What was deleted makes room.
    for key in 1_000_000..1_000_050 {
        t.put(b(key), b(key)).unwrap();
        model.insert(key, key);
    }
    check(&t, &model);
    let image = crash(&disk);
    drop((t, store));
    // The machine gets a larger disk.
    let (env, larger) = world(2);
    for (path, _) in image.files() {
        larger.put_file(&path, &image.read_all(&path).unwrap());
    }
    let store = tiny(1).adopt_copy(true).open_in(env, ROOT).unwrap();
    check(&store.open_table("t").unwrap(), &model);
}

fn full_for_a_while(seed: u64, error: FaultError) {
    let (env, disk) = world(seed);
    let store = tiny(1).open_in(env, ROOT).unwrap();
    let t = table(&store, "t");
    let mut model = BTreeMap::new();
    for n in 0..100 {
        t.put(b(n), b(n)).unwrap();
        model.insert(n, n);
    }
    for op in [OpKind::Create, OpKind::Allocate] {
        disk.inject(Fault::forever(OpFilter::Kind(op), 0, error));
    }
    let (refused, found) = fill(&t, &mut model, 100);
    assert!(matches!(found, Error::DiskFull { .. }), "{found}");
    assert!(found.is_out_of_resources());
    assert_eq!(t.get(b(refused)).unwrap(), None);
    assert!(store.stats().unwrap().shards[0].poisoned.is_none());
    for key in 0..10 {
        assert!(t.delete(b(key)).unwrap());
        model.remove(&key);
    }
    let tables = store.create_table("u", TableOptions::fixed(8, 8)).map(drop).unwrap_err();
    assert!(tables.is_out_of_resources(), "{tables}");
    check(&t, &model);
    disk.clear_faults();
    for key in refused..refused + 500 {
        t.put(b(key), b(key)).unwrap();
        model.insert(key, key);
    }
    table(&store, "u").put(b(1), b(1)).unwrap();
    check(&t, &model);
    let image = crash(&disk);
    let store = reopened(&image);
    check(&store.open_table("t").unwrap(), &model);
    assert_eq!(store.open_table("u").unwrap().len(), 1);
}

fn reopened(image: &SimDisk) -> Store {
    tiny(1).open_in(env_of(3, image), ROOT).unwrap()
}

#[test]
fn want_of_space_passes() {
    full_for_a_while(10, FaultError::Enospc);
}

#[test]
fn want_of_quota_passes() {
    full_for_a_while(11, FaultError::Edquot);
}

#[test]
fn a_limit_of_file_sizes_passes() {
    full_for_a_while(12, FaultError::Efbig);
}

#[test]
fn want_of_descriptors_passes() {
    full_for_a_while(13, FaultError::Emfile);
}

#[test]
fn a_catalogue_change_without_room_leaves_the_catalogue_as_it_was() {
    for at in 0..12 {
        let (env, disk) = world(20);
        drop(table(&tiny(3).open_in(env, ROOT).unwrap(), "t"));
        let store = tiny(3).open_in(env_of(21, &disk), ROOT).unwrap();
        let t = store.open_table("t").unwrap();
        // The first change of an opening begins an epoch, which needs a file.
        for op in [OpKind::Create, OpKind::Allocate] {
            disk.inject(Fault::forever(OpFilter::Kind(op), at, FaultError::Enospc));
        }
        let dropped = store.drop_table("t");
        let created = store.create_table("u", TableOptions::fixed(8, 8)).map(drop);
        disk.clear_faults();
        if let Err(error) = dropped {
            assert!(error.is_out_of_resources());
            t.put(b(1), b(1)).unwrap();
            assert!(matches!(
                store.create_table("t", TableOptions::fixed(8, 8)),
                Err(Error::TableExists { .. })
            ));
            store.drop_table("t").unwrap();
        }
        if let Err(error) = created {
            assert!(error.is_out_of_resources());
            table(&store, "u");
        }
        let u = store.open_table("u").unwrap();
        for n in 0..30 {
            u.put(b(n), b(n)).unwrap();
        }
        let image = crash(&disk);
        let store = tiny(3).open_in(env_of(22, &image), ROOT).unwrap();
        assert_eq!(store.tables().unwrap().len(), 1, "at {at}");
        assert_eq!(store.open_table("u").unwrap().len(), 30);
    }
}

#[test]
fn slot_count_max_is_a_limit_that_deletes_relieve() {
    let (store, _disk) = common::store(30, 2);
    let t = store.create_table("t", TableOptions::fixed(8, 8).slot_count_max(500)).unwrap();
    let mut refused = 0;
    let mut stored = Vec::new();
    for n in 0..3000 {
        match t.put(b(n), b(n)) {
            Ok(()) => stored.push(n),
            Err(error) => {
                assert!(matches!(&error, Error::SlotsExhausted { table, .. } if table == "t"));
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && stored.len() as u64 == t.len());
    t.put(b(stored[0]), b(7)).unwrap();
    for n in &stored {
        assert!(t.delete(b(*n)).unwrap());
    }
    t.put(b(5000), b(1)).unwrap();
}
