//! How much merges leave in data files: writers are told when they are behind, and what they cannot give back they leave alone.

mod common;

use common::{b, store, tiny};
use slotcask::{CaskOptions, CaskTable, Durability, Store};
use slotcask_io::sim::env_of;
use slotcask_io::{SimOptions, sim_env};

fn behind(store: &Store) -> u32 {
    store.stats().unwrap().shards[0].merge_behind_permille
}

/// Overwrites everything again and again, in no order, without a merge.
fn overwrite(store: &Store, table: &CaskTable) {
    for round in 0..4_u64 {
        for number in 0..500_u64 {
            let key = number * 7919 % 500;
            table.put(b(key), [round as u8; 400]).unwrap();
        }
    }
    store.rotate().unwrap();
    store.checkpoint().unwrap();
}

fn come_to_rest(store: &Store) {
    let mut rounds = 0;
    while store.poll().unwrap() {
        rounds += 1;
        assert!(rounds < 100, "the store does not come to rest");
    }
}

#[test]
fn writers_are_slowed_down_while_merges_are_behind() {
    let (store, _disk) = store(50, 1);
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    assert_eq!(behind(&store), 0);
    overwrite(&store, &table);
    // Half of what every segment holds is overwritten by the next ones, which takes no merge.
    for key in (0..500).filter(|key| key % 3 == 0) {
        table.delete(b(key)).unwrap();
    }
    store.checkpoint().unwrap();
    assert!(behind(&store) > 0);
    while store.poll().unwrap() {}
    assert_eq!(behind(&store), 0);
}

#[test]
fn nobody_waits_for_merges_that_were_told_to_go_slowly() {
    let (env, _disk) = sim_env(51, SimOptions::default());
    let store = tiny(1).merge_rate(1 << 20).open_in(env, common::ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    overwrite(&store, &table);
    for key in (0..500).filter(|key| key % 3 == 0) {
        table.delete(b(key)).unwrap();
    }
    store.checkpoint().unwrap();
    assert_eq!(behind(&store), 0);
}

#[test]
fn deletes_that_are_needed_are_not_rewritten_for_ever() {
    let (store, _disk) = store(52, 1);
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    for key in 0..20_000 {
        table.put(b(key), [1; 40]).unwrap();
    }
    store.rotate().unwrap();
    store.checkpoint().unwrap();
    while store.poll().unwrap() {}
    // A fifth of each file: too little for a merge of them.
    for key in (0..20_000).filter(|key| key % 5 == 0) {
        table.delete(b(key)).unwrap();
    }
    store.rotate().unwrap();
    store.checkpoint().unwrap();
    come_to_rest(&store);
    assert_eq!(table.len(), 16_000);
}

/// Every opening begins a segment, and leaves most of it when it writes little: what that takes on disk comes back.
#[test]
fn segments_that_were_left_early_do_not_take_space_for_ever() {
    const SEGMENT: u64 = 256 << 10;
    const PUTS: u64 = 12;
    let (env, disk) = sim_env(53, SimOptions::default());
    let options = || tiny(1).segment_size(SEGMENT).log_size(6 * SEGMENT);
    for opening in 0..60_u64 {
        let store = options().open_in(env.clone(), common::ROOT).unwrap();
        let table = match opening {
            0 => store.create_cask("c", &CaskOptions::new()).unwrap(),
            _ => store.open_cask("c").unwrap(),
        };
        let mut batch = store.batch();
        for key in opening * PUTS..(opening + 1) * PUTS {
            batch.put(&table, b(key), [1; 4000]).unwrap();
        }
        batch.commit().unwrap();
        while store.poll().unwrap() {}
        store.close().unwrap();
    }
    let files = ["log-", "data-"].map(|part| common::files_named(&disk, 0, part)).concat();
    let used: u64 = files.iter().map(|path| disk.read_all(path).unwrap().len() as u64).sum();
    let live = 60 * PUTS * 4040;
    assert!(used < live * 3 / 2 + 7 * SEGMENT, "{used} bytes for {live}");
}

/// What is known of deletes by what was removed in one life of the store is not known in the next.
#[test]
fn deletes_that_nothing_needs_go_in_a_later_life_too() {
    let segment: u64 = 64 << 10;
    let options = || {
        let log_size = 6 * segment;
        tiny(1).segment_size(segment).log_size(log_size).durability(Durability::Buffered)
    };
    let (env, disk) = sim_env(55, SimOptions::default());
    let store = options().open_in(env, common::ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    for key in 0..20_000 {
        table.put(b(key), [1; 40]).unwrap();
    }
    for _ in 0..2 {
        store.rotate().unwrap();
        store.checkpoint().unwrap();
        for key in 0..20_000 {
            table.delete(b(key)).unwrap();
        }
    }
    let mut images = vec![disk.fork()];
    while store.poll().unwrap() {
        images.push(disk.fork());
    }
    assert!(images.len() > 3, "{}", images.len());
    for (at, image) in images.iter().enumerate() {
        let store = options().open_in(env_of(99, image), common::ROOT).unwrap();
        store.rotate().unwrap();
        store.checkpoint().unwrap();
        come_to_rest(&store);
        let shard = &store.stats().unwrap().shards[0];
        let left = shard.cask_dead_bytes + shard.cask_pinned_bytes;
        assert!(left <= segment, "{at}: {left} bytes of deletes are left");
    }
}
