//! What a power loss may do to the content and the size of files (rules R1, R2, R3, R6 of the simulated disk).

mod common;

use common::{B, B64, after, blocks, disk, disk_4k, durable_file, sectors};
use slotcask_io::sim::{CrashPlan, NamePlan, Others, SizePlan, WritePlan};
use slotcask_io::{Disk, OpenMode};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn synced_content_survives_every_crash() {
    let disk = disk(1);
    durable_file(&disk, "/file", 3, 7);
    for seed in 0..100 {
        let found = after(&disk, CrashPlan::random(seed), "/file").unwrap();
        assert!(found == blocks(3, 7)[..]);
    }
}

#[test]
fn r1_sectors_of_512_bytes_are_old_or_new_each_on_its_own() {
    let disk = disk(1);
    let file = durable_file(&disk, "/file", 1, 1);
    file.write_at(0, &blocks(1, 2)).unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..4000 {
        let found = sectors(&after(&disk, CrashPlan::random(seed), "/file").unwrap());
        assert!(found.iter().all(|sector| *sector == 1 || *sector == 2), "{found:?}");
        seen.insert(found);
    }
    // 256 subsets; chance must find nearly all.
    assert!(seen.len() > 250, "{} of 256 subsets", seen.len());
}

#[test]
fn r1_in_profile_4k_a_block_is_old_or_new_or_garbage() {
    let disk = disk_4k(1);
    let file = durable_file(&disk, "/file", 1, 1);
    file.write_at(0, &blocks(1, 2)).unwrap();
    let mut counts = [0; 3];
    for seed in 0..300 {
        let found = after(&disk, CrashPlan::random(seed), "/file").unwrap();
        let kind = match found {
            found if found == blocks(1, 1)[..] => 0,
            found if found == blocks(1, 2)[..] => 1,
            _ => 2,
        };
        counts[kind] += 1;
    }
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
}

#[test]
fn r2_a_sector_written_twice_holds_any_version() {
    let disk = disk(1);
    let file = durable_file(&disk, "/file", 1, 1);
    file.write_at(0, &blocks(1, 2)).unwrap();
    file.write_at(0, &blocks(1, 3)).unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        seen.extend(sectors(&after(&disk, CrashPlan::random(seed), "/file").unwrap()));
    }
    assert_eq!(seen, BTreeSet::from([1, 2, 3]));
}

#[test]
fn r2_writes_reach_the_medium_in_any_order() {
    let disk = disk(1);
    let file = durable_file(&disk, "/file", 2, 0);
    file.write_at(0, &blocks(1, 1)).unwrap();
    file.write_at(B64, &blocks(1, 2)).unwrap();
    let found = |plan| {
        let found = after(&disk, plan, "/file").unwrap();
        [found[0], found[B]]
    };
    assert_eq!(found(CrashPlan::keep_none()), [0, 0]);
    assert_eq!(found(CrashPlan::keep_only(0)), [1, 0]);
    assert_eq!(found(CrashPlan::keep_only(1)), [0, 2]);
    assert_eq!(found(CrashPlan::drop_only(0)), [0, 2]);
    assert_eq!(found(CrashPlan::drop_only(1)), [1, 0]);
    assert_eq!(found(CrashPlan::keep_all()), [1, 2]);
}

#[test]
fn a_torn_write_keeps_one_side_of_the_tear() {
    let disk = disk(1);
    let file = durable_file(&disk, "/file", 1, 1);
    file.write_at(0, &blocks(1, 2)).unwrap();
    for units in 0..=8 {
        let found = sectors(&after(&disk, CrashPlan::tear_write(0, units), "/file").unwrap());
        assert_eq!(found, [vec![2; units], vec![1; 8 - units]].concat());
        let found = sectors(&after(&disk, CrashPlan::tear_suffix(0, units), "/file").unwrap());
        assert_eq!(found, [vec![1; units], vec![2; 8 - units]].concat());
    }
}

#[test]
fn garbage_hits_the_unit_that_it_is_told() {
    let disk = disk_4k(1);
    let file = durable_file(&disk, "/file", 3, 1);
    file.write_at(0, &blocks(3, 2)).unwrap();
    let found = after(&disk, CrashPlan::garbage_unit(0, 1, 5), "/file").unwrap();
    assert!(found[..B] == blocks(1, 2)[..] && found[2 * B..] == blocks(1, 2)[..]);
    assert!(found[B..2 * B] != blocks(1, 1)[..] && found[B..2 * B] != blocks(1, 2)[..]);
}

#[test]
fn r3_the_size_is_anything_from_synced_to_current() {
    let disk = disk(1);
    let file = durable_file(&disk, "/file", 1, 1);
    file.allocate(4 * B64).unwrap();
    let mut sizes = BTreeSet::new();
    let mut contents = BTreeSet::new();
    for seed in 0..200 {
        let found = after(&disk, CrashPlan::random(seed), "/file").unwrap();
        assert!(found[..B] == blocks(1, 1)[..], "what was synced is there");
        sizes.insert(found.len() / B);
        contents.insert(found[B..].iter().any(|byte| *byte != 0));
    }
    assert_eq!(sizes, BTreeSet::from([1, 2, 3, 4]));
    assert_eq!(contents, BTreeSet::from([false, true]), "grown space is zeros or garbage");
    file.sync().unwrap();
    let found = after(&disk, CrashPlan::keep_none(), "/file").unwrap();
    assert_eq!(found.len(), 4 * B);
    assert!(found[B..].iter().all(|byte| *byte == 0), "synced growth is zeros");
}

#[test]
fn r3_a_kept_write_behind_the_size_is_cut_off() {
    let disk = disk(1);
    let file = durable_file(&disk, "/file", 1, 1);
    file.write_at(2 * B64, &blocks(1, 2)).unwrap();
    let plan = |sizes| CrashPlan::new(WritePlan::All, NamePlan::All, sizes, 0);
    assert_eq!(after(&disk, plan(SizePlan::Durable), "/file").unwrap().len(), B);
    let found = after(&disk, plan(SizePlan::Fitting), "/file").unwrap();
    assert_eq!([found.len(), found[B].into(), found[2 * B].into()], [3 * B, 0, 2]);
}

#[test]
fn each_file_is_synced_on_its_own() {
    let disk = disk(1);
    let a = durable_file(&disk, "/a", 1, 1);
    let b = durable_file(&disk, "/b", 1, 1);
    a.write_at(0, &blocks(1, 2)).unwrap();
    b.write_at(0, &blocks(1, 2)).unwrap();
    a.sync().unwrap();
    assert_eq!(after(&disk, CrashPlan::keep_none(), "/a").unwrap()[0], 2);
    assert_eq!(after(&disk, CrashPlan::keep_none(), "/b").unwrap()[0], 1);
}

#[test]
fn r6_a_crashed_disk_crashes_again() {
    let first = disk(1);
    let file = durable_file(&first, "/file", 1, 1);
    file.write_at(0, &blocks(1, 2)).unwrap();
    let second = first.crash(&mut CrashPlan::tear_write(0, 4));
    assert_eq!(second.io_count(), 0);
    assert!(second.pending_summary().writes.is_empty(), "what was kept is durable");
    let file = second.open(Path::new("/file"), OpenMode::ReadWrite).unwrap();
    file.write_at(0, &blocks(1, 3)).unwrap();
    let found = sectors(&after(&second, CrashPlan::tear_write(0, 2), "/file").unwrap());
    assert_eq!(found, [3, 3, 2, 2, 1, 1, 1, 1]);
}

#[test]
fn the_summary_names_what_a_crash_decides() {
    let disk = disk(1);
    let a = durable_file(&disk, "/a", 1, 1);
    let b = disk.open(Path::new("/b"), OpenMode::Create).unwrap();
    b.write_at(0, &blocks(2, 2)).unwrap();
    a.write_at(0, &blocks(1, 2)).unwrap();
    b.allocate(8 * B64).unwrap();
    let summary = disk.pending_summary();
    let writes: Vec<(&str, u64, usize)> =
        summary.writes.iter().map(|write| (&*write.path, write.offset, write.units)).collect();
    assert_eq!(writes, [("b", 0, 16), ("a", 0, 8)]);
    assert_eq!(summary.names, ["b".into()]);
    assert_eq!(summary.sizes, 1);
    // The places in the summary are the indexes that plans use, over files.
    let others = Others::None;
    let writes = WritePlan::Tear { index: 1, units: 1, suffix: false, others };
    let plan = CrashPlan::new(writes, NamePlan::None, SizePlan::Durable, 0);
    assert_eq!(sectors(&after(&disk, plan, "/a").unwrap()), [2, 1, 1, 1, 1, 1, 1, 1]);
}
