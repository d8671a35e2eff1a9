//! Everything at once for a moment, on the machine's own disk: writers, readers, checkpoints, and other tables that come and go.

#![expect(clippy::disallowed_methods, reason = "this test runs for a second of real time")]

mod common;

use common::b;
use slotcask::{Durability, Error, Options, TableOptions, WriteOptions};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[test]
fn writers_readers_checkpoints_and_changes_of_the_catalogue() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        || Options::new().shards(2).segment_size(64 << 10).log_size(1 << 20).huge_pages(false);
    let newest: Vec<AtomicU64> = (0..4).map(|_| AtomicU64::new(0)).collect();
    {
        let store = options().open(dir.path()).unwrap();
        let table = store.create_table("t", TableOptions::fixed(8, 16)).unwrap();
        let stop = AtomicBool::new(false);
        let running = || !stop.load(Ordering::Relaxed);
        std::thread::scope(|scope| {
            for (writer, newest) in newest.iter().enumerate() {
                let (table, running) = (table.clone(), &running);
                scope.spawn(move || {
                    let buffered = WriteOptions::new().durability(Durability::Buffered);
                    let mut n = 0_u64;
                    while running() {
                        n += 1;
                        let mut value = [0; 16];
                        value[..8].copy_from_slice(&b(n));
                        value[8..].copy_from_slice(&b(!n));
                        let key = b(writer as u64 * 1000 + n % 100);
                        if n.is_multiple_of(50) {
                            table.put(key, value).unwrap();
                            newest.store(n, Ordering::SeqCst);
                        } else {
                            table.put_with(key, value, &buffered).unwrap();
                        }
                    }
                });
            }
            for _ in 0..2 {
                let (table, running) = (table.clone(), &running);
                scope.spawn(move || {
                    while running() {
                        for key in 0..4000 {
                            if let Some(value) = table.get(b(key)).unwrap() {
                                let (left, right) = value.split_at(8);
                                assert!(left.iter().zip(right).all(|(l, r)| *l == !r), "torn");
                            }
                        }
                        let _ = table.iter().count();
                    }
                });
            }
            scope.spawn(|| {
                while running() {
                    store.checkpoint().unwrap();
                }
            });
            scope.spawn(|| {
                let mut round = 0;
                while running() {
                    round += 1;
                    let other = store.create_table("other", TableOptions::fixed(8, 8)).unwrap();
                    for n in 0..50 {
                        drop(other.write(b(n), b(n)).unwrap());
                    }
                    store.clear_table("other").unwrap();
                    assert!(other.is_empty());
                    other.put(b(1), b(round)).unwrap();
                    store.drop_table("other").unwrap();
                    assert!(matches!(other.put(b(1), b(1)), Err(Error::TableDropped { .. })));
                }
            });
            let end = Instant::now() + Duration::from_secs(1);
            while Instant::now() < end {
                assert!(store.stats().unwrap().shards.iter().all(|shard| shard.poisoned.is_none()));
                std::thread::yield_now();
            }
            stop.store(true, Ordering::Relaxed);
        });
        store.close().unwrap();
    }
    let store = options().open(dir.path()).unwrap();
    assert!(store.recovery().clean);
    let table = store.open_table("t").unwrap();
    for (writer, newest) in newest.iter().enumerate() {
        let newest = newest.load(Ordering::SeqCst);
        assert!(newest > 0);
        let value = table.get(b(writer as u64 * 1000 + newest % 100)).unwrap().unwrap();
        assert!(u64::from_le_bytes(value[..8].try_into().unwrap()) >= newest);
    }
}
