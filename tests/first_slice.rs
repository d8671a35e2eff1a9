//! The first thing that anybody does: create a store, write, close, open, read; then without closing.

use slotcask::{Durability, Error, Options, Store, TableOptions};
use slotcask_io::{SimOptions, sim_env};

fn value(n: u64) -> [u8; 16] {
    let mut value = [0; 16];
    value[..8].copy_from_slice(&n.to_le_bytes());
    value
}

#[test]
fn what_was_put_is_there_after_reopening_on_the_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let options = || Options::new().shards(2).log_size(16 << 20).durability(Durability::Buffered);
    {
        let store = options().open(&path).unwrap();
        assert!(store.recovery().created && store.recovery().clean);
        let map = store.fixed_map::<u64, [u8; 16]>("numbers").unwrap();
        for n in 0..50_000_u64 {
            map.put(&n, &value(n)).unwrap();
        }
        for n in (0..50_000_u64).step_by(3) {
            assert!(map.delete(&n).unwrap());
        }
        assert!(matches!(Store::open(&path), Err(Error::Locked { .. })));
        store.close().unwrap();
        assert!(matches!(map.get(&1), Err(Error::Closed)));
    }
    let store = Store::open(&path).unwrap();
    assert!(store.recovery().clean, "{:?}", store.recovery());
    let map = store.fixed_map::<u64, [u8; 16]>("numbers").unwrap();
    for n in 0..50_000_u64 {
        let expected = (n % 3 != 0).then(|| value(n));
        assert_eq!(map.get(&n).unwrap(), expected, "{n}");
    }
    assert_eq!(map.iter().count() as u64, map.len());
}

#[test]
fn sync_writes_survive_a_stop_without_closing_on_the_simulated_disk() {
    let (env, disk) = sim_env(7, SimOptions::default());
    let options = || {
        Options::new()
            .shards(1)
            .segment_size(32 << 10)
            .log_size(256 << 10)
            .background(false)
            .huge_pages(false)
    };
    let store = options().open_in(env, "/store").unwrap();
    let table = store.create_table("t", TableOptions::fixed(8, 16)).unwrap();
    for n in 0..2_000_u64 {
        table.put(n.to_le_bytes(), value(n)).unwrap();
    }
    let image = disk.fork();
    drop(store);
    let image = image.crash(&mut slotcask_io::sim::CrashPlan::keep_none());
    let env = slotcask_io::sim::env_of(8, &image);
    let store = options().open_in(env, "/store").unwrap();
    assert!(!store.recovery().clean);
    let table = store.open_table("t").unwrap();
    assert_eq!(table.len(), 2_000);
    for n in 0..2_000_u64 {
        assert_eq!(table.get(n.to_le_bytes()).unwrap().unwrap(), value(n));
    }
}
