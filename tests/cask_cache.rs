//! The cache of values: what was read is not read from disk again, whatever a merge or a put does to its record.

mod common;

use common::{ROOT, tiny};
use slotcask::{CaskOptions, CaskTable, Store, WriteOptions};
use slotcask_io::sim::{OpFilter, OpKind, env_of};
use slotcask_io::{SimDisk, SimOptions};
use std::time::Duration;

/// The value of a key, and how many times the disk was read for it.
fn get(disk: &SimDisk, table: &CaskTable, key: &[u8]) -> (Option<Vec<u8>>, u64) {
    let before = disk.op_count(OpFilter::Kind(OpKind::Read));
    let value = table.get(key).unwrap();
    (value, disk.op_count(OpFilter::Kind(OpKind::Read)) - before)
}

fn store_with_old_values(disk: &SimDisk, options: &CaskOptions) -> (Store, CaskTable) {
    let store = tiny(1).open_in(env_of(1, disk), ROOT).unwrap();
    let table = store.create_cask("c", options).unwrap();
    for number in 0..200_u8 {
        table.put([number], [number; 300]).unwrap();
    }
    store.close().unwrap();
    let store = tiny(1).open_in(env_of(1, disk), ROOT).unwrap();
    let table = store.open_cask("c").unwrap();
    (store, table)
}

#[test]
fn a_value_that_was_read_stays_cached_through_merges() {
    let disk = SimDisk::new(SimOptions::default());
    let (store, table) = store_with_old_values(&disk, &CaskOptions::new());
    assert!(get(&disk, &table, &[7]).1 > 0, "nothing is cached after an opening");
    assert_eq!(get(&disk, &table, &[7]), (Some(vec![7; 300]), 0));
    // Deletes make every file worth a merge.
    for number in (0..200_u8).filter(|number| number % 8 != 7) {
        table.delete([number]).unwrap();
    }
    store.merge().unwrap();
    assert!(store.stats().unwrap().shards[0].merge_bytes_written > 0, "nothing was merged");
    assert_eq!(get(&disk, &table, &[7]), (Some(vec![7; 300]), 0));
    assert!(get(&disk, &table, &[15]).0.is_some());
}

#[test]
fn a_value_that_was_read_stays_cached_when_it_is_put_again() {
    for compressed in [false, cfg!(feature = "lz4")] {
        let disk = SimDisk::new(SimOptions::default());
        let mut options = CaskOptions::new();
        if compressed {
            options = options.compression(slotcask::Compression::Lz4);
        }
        let (store, table) = store_with_old_values(&disk, &options);
        get(&disk, &table, &[7]);
        table.put([7], [9; 400]).unwrap();
        let soon = WriteOptions::default().ttl(Duration::from_secs(3600));
        table.put_with([8], [9; 400], &soon).unwrap();
        store.sync().unwrap();
        assert_eq!(get(&disk, &table, &[7]), (Some(vec![9; 400]), 0));
        assert!(get(&disk, &table, &[8]).1 > 0, "what nobody reads is not cached");
        // The copy in the cache has the deadline of its record.
        table.put_with([8], [10; 10], &soon).unwrap();
        store.sync().unwrap();
        assert_eq!(get(&disk, &table, &[8]), (Some(vec![10; 10]), 0));
        assert!(matches!(table.expiry([8]).unwrap(), Some(slotcask::Expiry::At { .. })));
        assert!(table.delete([7]).unwrap());
        assert_eq!(get(&disk, &table, &[7]).0, None);
    }
}
