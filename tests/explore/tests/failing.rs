//! What a shard that failed leaves behind, and what merges do with the deletes of one key.

use slotcask::{CaskOptions, CaskTable, Durability, Error, Store, TableOptions, WriteOptions};
use slotcask_explore::life::{ROOT, options};
use slotcask_io::sim::{CrashPlan, Fault, FaultError, OpFilter, OpKind, env_of};
use slotcask_io::{SimDisk, SimOptions};

fn open(disk: &SimDisk) -> Store {
    options(false).open_in(env_of(1, disk), ROOT).unwrap()
}

fn durable() -> WriteOptions {
    WriteOptions::new().durability(Durability::Sync)
}

fn seal(store: &Store) {
    for _ in 0..3 {
        store.rotate().unwrap();
        store.checkpoint().unwrap();
    }
}

/// A store with something to merge.
fn wasteful(disk: &SimDisk) -> (Store, CaskTable) {
    let store = open(disk);
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    for n in 0..60_u32 {
        table.put(n.to_le_bytes(), vec![1; 1000]).unwrap();
    }
    seal(&store);
    for n in 0..10_u32 {
        table.put(n.to_le_bytes(), vec![2; 10]).unwrap();
    }
    store.sync().unwrap();
    (store, table)
}

/// Everything is there after the failure, and the store can be written and opened again, twice.
fn goes_on(disk: &SimDisk) {
    disk.clear_faults();
    let disk = disk.after_kill();
    for opening in 0..3 {
        let store = open(&disk);
        let table = store.open_cask("c").unwrap();
        for n in 0..60_u32 {
            let expected = if n < 10 { vec![2; 10] } else { vec![1; 1000] };
            assert_eq!(table.get(n.to_le_bytes()).unwrap(), Some(expected), "{n}");
        }
        table.put_with(format!("new {opening}"), "value", &durable()).unwrap();
        store.merge().unwrap();
        seal(&store);
        store.close().unwrap();
    }
}

#[test]
fn a_merge_of_a_shard_whose_flush_failed_leaves_nothing_that_stops_the_next_opening() {
    let disk = SimDisk::new(SimOptions::default());
    let (store, table) = wasteful(&disk);
    disk.inject(Fault::once(OpFilter::Kind(OpKind::Sync), 0, FaultError::Eio));
    table.put_with("x", "y", &durable()).unwrap_err();
    assert!(matches!(store.merge(), Err(Error::Poisoned { .. })));
    goes_on(&disk);
}

#[test]
fn a_shard_that_could_not_make_a_segment_commits_no_merge() {
    let disk = SimDisk::new(SimOptions::default());
    let (store, _table) = wasteful(&disk);
    disk.inject(Fault::once(OpFilter::Kind(OpKind::SyncDir), 0, FaultError::Eio));
    (0..4).try_for_each(|_| store.rotate()).unwrap_err();
    disk.clear_faults();
    assert!(store.stats().unwrap().shards[0].poisoned.is_some());
    assert!(matches!(store.merge(), Err(Error::Poisoned { .. })));
    goes_on(&disk);
}

#[test]
fn one_failed_shard_does_not_keep_others_from_being_flushed() {
    for polls in [false, true] {
        let disk = SimDisk::new(SimOptions::default());
        let open = |disk: &SimDisk| {
            let options = options(false).shards(3).log_size(768 << 10);
            options.open_in(env_of(1, disk), ROOT).unwrap()
        };
        let store = open(&disk);
        let pinned = |shard| TableOptions::fixed(8, 8).pinned(shard);
        let failing = store.create_table("failing", pinned(0)).unwrap();
        let healthy = store.create_table("healthy", pinned(2)).unwrap();
        // The epoch begins with the first write.
        failing.put_with([0; 8], [0; 8], &durable()).unwrap();
        let fault = Fault::forever(OpFilter::Kind(OpKind::Sync), 0, FaultError::Eio);
        disk.inject(fault.on_path("shard-000"));
        failing.put_with([1; 8], [1; 8], &durable()).unwrap_err();
        healthy.write([2; 8], [2; 8]).map(drop).unwrap();
        if polls {
            store.poll().unwrap_err();
        } else {
            store.sync().unwrap_err();
        }
        let store = open(&disk.crash(&mut CrashPlan::keep_none()));
        let healthy = store.open_table("healthy").unwrap();
        assert_eq!(healthy.get([2; 8]).unwrap(), Some(vec![2; 8]), "polls {polls}");
    }
}

#[test]
fn deletes_of_one_key_do_not_pile_up() {
    let disk = SimDisk::new(SimOptions::default());
    let store = open(&disk);
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    // The first record of the key lies in a file that stays as it is.
    for n in 0..100_u32 {
        table.put(n.to_le_bytes(), vec![1; 1200]).unwrap();
        if n == 50 {
            table.put("lock", "x").unwrap();
        }
        if n % 8 == 7 {
            store.poll().unwrap();
        }
    }
    seal(&store);
    for n in 0..5_u32 {
        table.put(n.to_le_bytes(), vec![1; 1200]).unwrap();
    }
    seal(&store);
    store.merge().unwrap();
    let mut sizes = Vec::new();
    for _ in 0..8 {
        for n in 0..1500 {
            table.put("lock", "x").unwrap();
            table.delete("lock").unwrap();
            if n % 100 == 99 {
                store.poll().unwrap();
            }
        }
        seal(&store);
        for _ in 0..6 {
            store.poll().unwrap();
        }
        let merges = store.stats().unwrap().shards[0].merges;
        for _ in 0..10 {
            store.poll().unwrap();
        }
        assert_eq!(store.stats().unwrap().shards[0].merges, merges, "there is nothing to win");
        let data = |path: &std::path::Path| path.to_string_lossy().contains("data-");
        let files = disk.files();
        sizes.push(files.iter().filter(|(path, _)| data(path)).map(|(_, len)| len).sum::<u64>());
    }
    assert!(sizes[7] < sizes[1] + (64 << 10), "{sizes:?}");
    assert_eq!(table.len(), 100);
}
