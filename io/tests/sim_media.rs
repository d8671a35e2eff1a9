//! Faults of the medium: what is durable and what is read change alike, and nothing else does.

mod common;

use common::{B, after, blocks, disk, durable_file};
use slotcask_io::Disk;
use slotcask_io::sim::CrashPlan;
use std::path::{Path, PathBuf};

const PATH: &str = "/file";

#[test]
fn one_bit_is_flipped_and_flipped_back() {
    let disk = disk(1);
    durable_file(&disk, PATH, 2, 0);
    let hash = disk.image_hash();
    disk.flip_bit(Path::new(PATH), 8 * 5000 + 3);
    let found = after(&disk, CrashPlan::keep_none(), PATH).unwrap();
    let wrong: Vec<(usize, &u8)> =
        found.iter().enumerate().filter(|(_, byte)| **byte != 0).collect();
    assert_eq!(wrong, [(5000, &8)]);
    assert_ne!(disk.image_hash(), hash);
    disk.flip_bit(Path::new(PATH), 8 * 5000 + 3);
    assert_eq!(disk.image_hash(), hash);
}

#[test]
fn a_fork_is_not_hurt() {
    let disk = disk(1);
    durable_file(&disk, PATH, 1, 1);
    let fork = disk.fork();
    disk.flip_bit(Path::new(PATH), 0);
    assert_eq!(fork.read_all(Path::new(PATH)).unwrap()[0], 1);
    assert_eq!(disk.read_all(Path::new(PATH)).unwrap()[0], 0);
}

#[test]
fn pending_writes_stay_pending() {
    let disk = disk(1);
    let file = durable_file(&disk, PATH, 1, 1);
    file.write_at(0, &blocks(1, 2)).unwrap();
    disk.flip_bit(Path::new(PATH), 0);
    assert_eq!(after(&disk, CrashPlan::keep_none(), PATH).unwrap()[0], 0);
    assert_eq!(disk.read_all(Path::new(PATH)).unwrap()[0], 3);
    assert_eq!(disk.pending_summary().writes.len(), 1);
}

#[test]
fn sectors_are_copied_and_zeroed() {
    let disk = disk(1);
    durable_file(&disk, PATH, 1, 1);
    durable_file(&disk, "/other", 1, 2);
    disk.copy_sector(Path::new("/other"), 0, Path::new(PATH), 3);
    disk.zero_sector(Path::new(PATH), 7);
    let found = after(&disk, CrashPlan::keep_none(), PATH).unwrap();
    assert_eq!(common::sectors(&found), [1, 1, 1, 2, 1, 1, 1, 0]);
}

#[test]
fn files_are_cut_removed_and_brought_back() {
    let disk = disk(1);
    durable_file(&disk, PATH, 2, 1);
    let old = disk.read_all(Path::new(PATH)).unwrap();
    disk.truncate(Path::new(PATH), 5000);
    assert_eq!(after(&disk, CrashPlan::keep_none(), PATH).unwrap(), vec![1; 5000]);
    disk.delete_file(Path::new(PATH));
    assert_eq!(after(&disk, CrashPlan::keep_all(), PATH), None);
    disk.put_file(Path::new("/new/dir/file"), &old);
    assert_eq!(disk.files(), [(PathBuf::from("/new/dir/file"), 2 * B as u64)]);
    assert_eq!(after(&disk, CrashPlan::keep_none(), "/new/dir/file").unwrap(), old);
    assert_eq!(disk.list(Path::new("/new")).unwrap().len(), 1);
    disk.write_raw(Path::new("/new/dir/file"), 4090, &[9; 12]);
    assert_eq!(disk.read_raw(Path::new("/new/dir/file"), 4089, 14), {
        let mut expected = vec![9; 14];
        (expected[0], expected[13]) = (1, 1);
        expected
    });
}
