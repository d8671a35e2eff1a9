//! A merge holds the upkeep of its shard for as long as it takes. What writers need of it goes on in its middle.

mod common;

use common::{ROOT, b, files_named, reopen, table, tiny, world};
use slotcask::{CaskOptions, CaskTable, Durability, Error, Store};
use slotcask_format::BLOCK_SIZE;
use slotcask_io::SimDisk;
use slotcask_io::sim::{Fault, FaultError, OpFilter, OpKind};

/// Nothing is flushed that is not asked for, so that segments are filled by what is written.
fn store(seed: u64) -> (Store, SimDisk) {
    let (env, disk) = world(seed);
    (tiny(1).durability(Durability::Buffered).open_in(env, ROOT).unwrap(), disk)
}

fn checkpoints(store: &Store) -> u64 {
    store.stats().unwrap().shards[0].checkpoints
}

/// Two data files of which a part is dead, and a log that is full enough for a checkpoint to be due.
fn wasteful(store: &Store) -> CaskTable {
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    for round in 0..2 {
        for key in 0..25_u64 {
            table.put(b(key + round * 25), vec![round as u8; 400]).unwrap();
        }
        store.rotate().unwrap();
        store.checkpoint().unwrap();
        store.checkpoint().unwrap();
    }
    for key in (0..50).filter(|key| key % 3 == 0) {
        table.delete(b(key)).unwrap();
    }
    for key in 100..190_u64 {
        table.put(b(key), vec![9; 400]).unwrap();
    }
    table
}

fn expected(table: &CaskTable) {
    for key in 0..50_u64 {
        let value = (key % 3 != 0).then(|| vec![(key / 25) as u8; 400]);
        assert_eq!(table.get(b(key)).unwrap(), value, "key {key}");
    }
    for key in 100..190_u64 {
        assert_eq!(table.get(b(key)).unwrap(), Some(vec![9; 400]), "key {key}");
    }
}

#[test]
fn checkpoints_go_on_in_the_middle_of_a_merge() {
    let (store, disk) = store(60);
    let table = wasteful(&store);
    let before = checkpoints(&store);
    assert!(store.merge().unwrap());
    assert!(checkpoints(&store) > before);
    expected(&table);
    // What the checkpoint took out of the log is among the data files, and so is what the merge wrote.
    drop((table, store));
    let store = reopen(&disk, 1).unwrap();
    expected(&store.open_cask("c").unwrap());
}

#[test]
fn fixed_tables_grow_in_the_middle_of_a_merge() {
    let (store, disk) = store(61);
    let fixed = table(&store, "f");
    let _cask = wasteful(&store);
    let allocated = || {
        let files = files_named(&disk, 0, "slots");
        files.iter().map(|path| disk.read_all(path).unwrap().len()).sum::<usize>()
    };
    fixed.put(b(0), b(0)).unwrap();
    let before = allocated();
    let slot_size =
        store.stats().unwrap().tables.iter().map(|table| table.slot_size).max().unwrap();
    // Tables of tiny stores grow by four pages; into the third of them, for which nobody makes more room yet.
    for key in 0..(2 * BLOCK_SIZE / slot_size + 20) as u64 {
        fixed.put(b(key), b(key)).unwrap();
    }
    assert_eq!(allocated(), before);
    assert!(store.merge().unwrap());
    assert!(allocated() > before);
}

#[test]
fn a_merge_answers_with_the_checkpoint_that_failed_in_its_middle() {
    let (store, disk) = store(62);
    let fixed = table(&store, "f");
    let _cask = wasteful(&store);
    fixed.put(b(0), b(0)).unwrap();
    disk.inject(Fault::forever(OpFilter::Kind(OpKind::Write), 0, FaultError::Eio).on_path("slots"));
    let error = store.merge().unwrap_err();
    assert!(matches!(error, Error::Poisoned { .. }), "{error}");
}
