//! `rotate` ends the segment that is written to, or says why it does not.

mod common;

use common::{b, reopen, store, table};
use slotcask::{Durability, Error, WriteOptions};
use slotcask_io::sim::{Fault, FaultError, OpFilter, OpKind};
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn what_is_written_next_goes_to_a_fresh_segment() {
    let (store, _disk) = store(1, 2);
    let t = table(&store, "t");
    let segments = || -> Vec<u64> {
        store.stats().unwrap().shards.iter().map(|shard| shard.segment).collect()
    };
    // More often than the log has segments: room has to be made on the way.
    for n in 0..40 {
        for key in 0..16 {
            t.put(b(key), b(n)).unwrap();
        }
        let before = segments();
        store.rotate().unwrap();
        let after = segments();
        assert!(before.iter().zip(&after).all(|(before, after)| before < after), "round {n}");
        store.rotate().unwrap();
        assert_eq!(segments(), after, "a fresh segment is left");
    }
}

#[test]
fn under_writers_it_ends_a_segment_each_time() {
    let (store, _disk) = store(2, 1);
    let t = table(&store, "t");
    let done = AtomicBool::new(false);
    let buffered = WriteOptions::new().durability(Durability::Buffered);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while !done.load(Ordering::Relaxed) {
                t.put_with(b(n % 50), b(n), &buffered).unwrap();
                n += 1;
            }
        });
        for n in 0..200 {
            t.put(b(60), b(n)).unwrap();
            let before = store.stats().unwrap().shards[0].segment;
            t.put_with(b(60), b(n), &buffered).unwrap();
            store.rotate().unwrap();
            assert!(store.stats().unwrap().shards[0].segment > before, "round {n}");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_poisoned_shard_is_not_said_to_have_rotated() {
    let (store, disk) = store(3, 1);
    let t = table(&store, "t");
    t.put(b(1), b(0)).unwrap();
    while t.put(b(1), b(1)).is_ok() {
        disk.inject(Fault::once(OpFilter::Kind(OpKind::Sync), 0, FaultError::Eio));
    }
    let before = store.stats().unwrap().shards[0].segment;
    let answer = store.rotate();
    assert!(matches!(answer, Err(Error::Poisoned { .. })), "{answer:?}");
    assert_eq!(store.stats().unwrap().shards[0].segment, before);
}

#[test]
fn a_full_disk_is_said_to_be_full() {
    let (store, disk) = store(4, 1);
    let t = table(&store, "t");
    t.put(b(1), b(1)).unwrap();
    while store.poll().unwrap() {}
    disk.inject(Fault::forever(OpFilter::Kind(OpKind::Allocate), 0, FaultError::Enospc));
    let buffered = WriteOptions::new().durability(Durability::Buffered);
    let rotate = || {
        t.put_with(b(1), b(1), &buffered).unwrap();
        let before = store.stats().unwrap().shards[0].segment;
        let answer = store.rotate();
        let after = store.stats().unwrap().shards[0].segment;
        assert_eq!(answer.is_ok(), before < after, "{answer:?}");
        answer
    };
    // Segments go round without new space.
    for _ in 0..20 {
        rotate().unwrap();
    }
    disk.inject(Fault::forever(OpFilter::Kind(OpKind::Rename), 0, FaultError::Enospc));
    let error = (0..20).find_map(|_| rotate().err()).expect("segments came from nowhere");
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    common::assert_says(&error, &["a new log segment was refused"]);
    disk.inject(Fault::forever(OpFilter::Kind(OpKind::Create), 0, FaultError::Enospc));
    let error = store.create_table("u", slotcask::TableOptions::fixed(8, 8)).map(drop).unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    common::assert_says(&error, &["a new table was refused"]);
    disk.clear_faults();
    drop((store, t));
    assert_eq!(reopen(&disk, 1).unwrap().open_table("t").unwrap().len(), 1);
}
