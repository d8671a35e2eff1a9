//! A store is closed while others write: what was acknowledged is there afterwards, and the store opens as cleanly closed.

mod common;

use common::b;
use slotcask::{Durability, Error, Options, TableOptions};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[test]
fn closing_among_writers_leaves_a_store_that_opens() {
    for round in 0..12_u64 {
        let dir = tempfile::tempdir().unwrap();
        let options =
            || Options::new().shards(2).log_size(2 << 20).segment_size(64 << 10).huge_pages(false);
        let acknowledged: Vec<AtomicU64> = (0..3).map(|_| AtomicU64::new(0)).collect();
        let started = AtomicBool::new(false);
        {
            let store = options().open(dir.path()).unwrap();
            let table = store.create_table("t", TableOptions::fixed(8, 8)).unwrap();
            std::thread::scope(|scope| {
                for (writer, acknowledged) in acknowledged.iter().enumerate() {
                    let (table, started) = (table.clone(), &started);
                    scope.spawn(move || {
                        for n in 1.. {
                            match table.put(b(writer as u64), b(n)) {
                                Ok(()) => acknowledged.store(n, Ordering::SeqCst),
                                Err(Error::Closed) => break,
                                Err(error) => panic!("{error}"),
                            }
                            started.store(n > round, Ordering::SeqCst);
                        }
                    });
                }
                while !started.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                store.close().unwrap();
            });
        }
        let store = options().open(dir.path()).unwrap_or_else(|error| panic!("{error}"));
        assert!(store.recovery().clean);
        let table = store.open_table("t").unwrap();
        for (writer, acknowledged) in acknowledged.iter().enumerate() {
            let seen = table.get(b(writer as u64)).unwrap();
            let seen = seen.map_or(0, |seen| u64::from_le_bytes(seen.try_into().unwrap()));
            assert!(seen >= acknowledged.load(Ordering::SeqCst));
        }
    }
}

#[test]
fn closing_among_writers_that_wait_for_room_in_the_log() {
    // Whoever waits for a segment while the store is closed gets one afterwards, and must not use it.
    let dir = tempfile::tempdir().unwrap();
    let mut least = [0_u64; 3];
    for round in 1..25_u64 {
        let store = Options::new()
            .shards(1)
            .segment_size(16 << 10)
            .log_size(6 * (16 << 10))
            .durability(Durability::Buffered)
            .background(false)
            .huge_pages(false)
            .open(dir.path())
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert!(store.recovery().clean || round == 1, "round {round}");
        let table = match store.open_table("t") {
            Ok(table) => table,
            Err(_) => store.create_table("t", TableOptions::fixed(8, 1000)).unwrap(),
        };
        let started = AtomicU64::new(0);
        let ended: Vec<u64> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3_u64)
                .map(|writer| {
                    let (table, started) = (table.clone(), &started);
                    let seen = table.get(b(writer)).unwrap();
                    let seen =
                        seen.map_or(0, |seen| u64::from_le_bytes(seen[..8].try_into().unwrap()));
                    assert!(seen >= least[writer as usize], "round {round}");
                    scope.spawn(move || {
                        for n in seen + 1.. {
                            match table.put(b(writer), [b(n); 125].concat()) {
                                Ok(()) => started.fetch_add(1, Ordering::SeqCst),
                                Err(Error::Closed) => return n - 1,
                                Err(error) => panic!("{error}"),
                            };
                        }
                        unreachable!()
                    })
                })
                .collect();
            while started.load(Ordering::SeqCst) < 20 + 7 * round {
                std::thread::yield_now();
            }
            store.close().unwrap();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        least.copy_from_slice(&ended);
    }
}

#[test]
fn a_first_write_that_meets_the_closing_is_refused_or_kept() {
    // The first write of an opening begins an epoch, which takes long enough for a close to come between.
    let dir = tempfile::tempdir().unwrap();
    let options =
        || Options::new().shards(1).log_size(2 << 20).segment_size(64 << 10).huge_pages(false);
    drop(options().open(dir.path()).unwrap().create_table("t", TableOptions::fixed(8, 8)).unwrap());
    let mut kept = 0;
    for round in 0..60_u64 {
        let store = options().open(dir.path()).unwrap_or_else(|error| panic!("{round}: {error}"));
        let table = store.open_table("t").unwrap();
        let seen = table.get(b(0)).unwrap();
        let seen = seen.map_or(0, |seen| u64::from_le_bytes(seen.try_into().unwrap()));
        assert!(seen >= kept, "round {round}");
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| table.put(b(0), b(round + 1)));
            for _ in 0..(round * 400) {
                std::hint::spin_loop();
            }
            store.close().unwrap();
            match writer.join().unwrap() {
                Ok(()) => kept = round + 1,
                Err(Error::Closed) => {}
                Err(error) => panic!("{error}"),
            }
        });
    }
}
