//! Opening again and again with a tiny log: whatever happens between two openings, segments do not pile up and the disk
//! does not fill.

mod common;

use common::{ROOT, b, crash, reopen, store, table, tiny};
use slotcask_io::SimDisk;

const SEGMENTS: usize = 6;

fn segments(disk: &SimDisk) -> usize {
    let is_log = |path: &std::path::Path| {
        use slotcask_format::file_name::ShardFile::{Segment, Spare};
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        matches!(slotcask_format::file_name::ShardFile::parse(&name), Some(Segment(_) | Spare(_)))
    };
    disk.files().into_iter().filter(|(path, _)| is_log(path)).count()
}

fn used(disk: &SimDisk) -> u64 {
    disk.files().into_iter().map(|(_, len)| len).sum()
}

#[test]
fn segments_do_not_pile_up_over_clean_cycles_without_writes() {
    let (first, disk) = store(1, 1);
    table(&first, "t").put(b(1), b(1)).unwrap();
    drop(first);
    for cycle in 0..30 {
        let store = reopen(&disk, 1).unwrap();
        assert!(store.recovery().clean);
        assert_eq!(store.open_table("t").unwrap().get(b(1)).unwrap().unwrap(), b(1));
        store.close().unwrap();
        assert!(segments(&disk) <= SEGMENTS + 1, "cycle {cycle}: {}", segments(&disk));
    }
}

#[test]
fn segments_do_not_pile_up_over_cycles_with_a_write_each() {
    let (first, disk) = store(2, 1);
    table(&first, "t").put(b(0), b(0)).unwrap();
    drop(first);
    let mut bound = 0;
    for cycle in 1..60_u64 {
        let store = reopen(&disk, 1).unwrap();
        let t = store.open_table("t").unwrap();
        assert_eq!(t.get(b(0)).unwrap().unwrap(), b(cycle - 1));
        t.put(b(0), b(cycle)).unwrap();
        store.close().unwrap();
        drop((t, store));
        assert!(segments(&disk) <= SEGMENTS + 1, "cycle {cycle}: {}", segments(&disk));
        if cycle == 10 {
            bound = used(&disk);
        }
        assert!(cycle < 10 || used(&disk) <= bound + (64 << 10), "cycle {cycle}: {}", used(&disk));
    }
}

#[test]
fn segments_do_not_pile_up_over_crashes_without_writes() {
    let (first, mut disk) = store(3, 1);
    table(&first, "t").put(b(1), b(1)).unwrap();
    disk = crash(&disk);
    for cycle in 0..30 {
        let store = reopen(&disk, 1).unwrap();
        assert_eq!(store.open_table("t").unwrap().get(b(1)).unwrap().unwrap(), b(1));
        disk = crash(&disk);
        assert!(segments(&disk) <= SEGMENTS + 1, "cycle {cycle}: {}", segments(&disk));
    }
}

#[test]
fn segments_do_not_pile_up_over_crashes_with_a_write_each() {
    let (first, mut disk) = store(4, 1);
    table(&first, "t").put(b(0), b(0)).unwrap();
    disk = crash(&disk);
    for cycle in 1..40_u64 {
        let store = reopen(&disk, 1).unwrap();
        let t = store.open_table("t").unwrap();
        assert_eq!(t.get(b(0)).unwrap().unwrap(), b(cycle - 1));
        t.put(b(0), b(cycle)).unwrap();
        disk = crash(&disk);
        assert!(segments(&disk) <= SEGMENTS + 1, "cycle {cycle}: {}", segments(&disk));
    }
}

#[test]
fn overwrites_without_end_keep_the_disk_bounded() {
    let (store, disk) = store(5, 1);
    let t = table(&store, "t");
    for n in 0..20_000_u64 {
        drop(t.write(b(n % 10), b(n)).unwrap());
        assert!(n % 500 != 0 || segments(&disk) <= SEGMENTS, "{}", segments(&disk));
    }
    assert!(store.stats().unwrap().shards[0].checkpoints > 2);
    drop((t, store));
    let store = tiny(1).open_in(slotcask_io::sim::env_of(1, &disk), ROOT).unwrap();
    let t = store.open_table("t").unwrap();
    for n in 0..10 {
        assert_eq!(t.get(b(n)).unwrap().unwrap(), b(19_990 + n));
    }
}
