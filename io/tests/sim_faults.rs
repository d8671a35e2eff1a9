//! Calls that fail, or are interrupted, or do half (rule R5 of the simulated disk, and the retry loops of every disk).

mod common;

use common::{B, B64, after, blocks, disk, durable_file};
use slotcask_io::sim::{CrashPlan, Fault, FaultError, OpFilter, OpKind, SimOptions};
use slotcask_io::{AlignedBuf, Disk, IoErrorKind, OpenMode, SimDisk, Write};
use std::collections::BTreeSet;
use std::path::Path;

const WRITE: OpFilter = OpFilter::Kind(OpKind::Write);
const SYNC: OpFilter = OpFilter::Kind(OpKind::Sync);

#[test]
fn interrupted_and_short_calls_are_never_seen() {
    for error in [FaultError::Eintr, FaultError::Short] {
        let disk = disk(1);
        disk.inject(Fault::forever(OpFilter::Any, 0, error));
        disk.create_dir(Path::new("/dir")).unwrap();
        let file = disk.open(Path::new("/dir/file"), OpenMode::Create).unwrap();
        file.allocate(20 * B64).unwrap();
        let mut data = AlignedBuf::zeroed(20 * B);
        for (at, byte) in data.iter_mut().enumerate() {
            *byte = (at / 100) as u8;
        }
        let writes: Vec<Write<'_>> = data
            .chunks(5 * B)
            .enumerate()
            .map(|(at, data)| Write { offset: (at * 5 * B) as u64, data })
            .collect();
        file.write_many(&writes).unwrap();
        file.sync().unwrap();
        let mut read = AlignedBuf::zeroed(20 * B);
        file.read_at(0, &mut read).unwrap();
        assert!(read[..] == data[..]);
        file.write_at(0, &data).unwrap();
        assert_eq!(file.size().unwrap(), 20 * B64);
        disk.rename(Path::new("/dir/file"), Path::new("/dir/name")).unwrap();
        disk.sync_dir(Path::new("/dir")).unwrap();
        drop(disk.lock(Path::new("/LOCK")).unwrap());
        assert_eq!(disk.list(Path::new("/dir")).unwrap().len(), 1);
        disk.remove(Path::new("/dir/name")).unwrap();
        assert!(disk.faults_fired() > 20, "the faults were there");
    }
}

#[test]
fn errors_have_their_kinds() {
    for (error, kind) in [
        (FaultError::Eio, IoErrorKind::Other),
        (FaultError::Enospc, IoErrorKind::DiskFull),
        (FaultError::Edquot, IoErrorKind::DiskFull),
        (FaultError::Efbig, IoErrorKind::FileTooLarge),
        (FaultError::Erofs, IoErrorKind::ReadOnly),
        (FaultError::Emfile, IoErrorKind::NoDescriptors),
    ] {
        let disk = disk(1);
        disk.inject(Fault::once(OpFilter::Kind(OpKind::Create), 1, error).on_path("b"));
        for path in ["/a", "/b1"] {
            disk.open(Path::new(path), OpenMode::Create).unwrap();
        }
        let failed = disk.open(Path::new("/b2"), OpenMode::Create).unwrap_err();
        assert_eq!(failed.kind, kind);
        assert_eq!(disk.stat(Path::new("/b2")).unwrap(), None, "a failed create creates nothing");
        disk.open(Path::new("/b2"), OpenMode::Create).unwrap();
    }
}

#[test]
fn a_fault_for_ever_stays_until_it_is_cleared() {
    let disk = disk(1);
    let file = durable_file(&disk, "/file", 1, 1);
    disk.inject(Fault::forever(WRITE, 1, FaultError::Enospc));
    file.write_at(0, &blocks(1, 2)).unwrap();
    for _ in 0..3 {
        assert_eq!(file.write_at(0, &blocks(1, 2)).unwrap_err().kind, IoErrorKind::DiskFull);
    }
    disk.clear_faults();
    file.write_at(0, &blocks(1, 2)).unwrap();
}

#[test]
fn r5_a_failed_write_leaves_any_mixture() {
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let disk = disk(seed);
        let file = durable_file(&disk, "/file", 1, 1);
        disk.inject(Fault::once(WRITE, 0, FaultError::Eio));
        file.write_at(0, &blocks(1, 2)).unwrap_err();
        file.sync().unwrap();
        let found = after(&disk, CrashPlan::keep_none(), "/file").unwrap();
        let new = common::sectors(&found).iter().filter(|sector| **sector == 2).count();
        seen.insert(new.clamp(0, 8));
    }
    assert!(seen.contains(&0) && seen.contains(&8) && seen.len() > 4, "{seen:?}");
}

#[test]
fn r5_after_a_failed_sync_reads_show_what_no_later_sync_brings_back() {
    let (mut lost, mut landed) = (0, 0);
    for seed in 0..100 {
        let disk = disk(seed);
        let file = durable_file(&disk, "/file", 2, 1);
        file.write_at(0, &blocks(1, 2)).unwrap();
        disk.inject(Fault::once(SYNC, 0, FaultError::Eio));
        file.sync().unwrap_err();
        let mut read = AlignedBuf::zeroed(B);
        file.read_at(0, &mut read).unwrap();
        assert!(read[..] == blocks(1, 2)[..], "reads show the new content");
        // Whatever is written later is durable as ever.
        file.write_at(B64, &blocks(1, 3)).unwrap();
        file.sync().unwrap();
        let found = after(&disk, CrashPlan::keep_all(), "/file").unwrap();
        assert!(found[B..] == blocks(1, 3)[..]);
        if found[..B] == blocks(1, 2)[..] {
            landed += 1;
        } else {
            lost += 1;
        }
    }
    assert!(lost > 30 && landed > 5, "lost {lost}, landed {landed}");
}

#[test]
fn r5_writing_again_after_a_failed_sync_is_what_helps() {
    for seed in 0..50 {
        let disk = disk(seed);
        let file = durable_file(&disk, "/file", 1, 1);
        file.write_at(0, &blocks(1, 2)).unwrap();
        disk.inject(Fault::once(SYNC, 0, FaultError::Eio));
        file.sync().unwrap_err();
        file.write_at(0, &blocks(1, 2)).unwrap();
        file.sync().unwrap();
        assert!(after(&disk, CrashPlan::keep_none(), "/file").unwrap() == blocks(1, 2)[..]);
    }
}

#[test]
fn a_full_disk_refuses_growth_and_takes_it_again_after_a_removal() {
    let options = SimOptions { capacity_bytes: Some(4 * B64), ..SimOptions::default() };
    let disk = SimDisk::new(options);
    let a = durable_file(&disk, "/a", 2, 1);
    durable_file(&disk, "/b", 1, 1);
    assert_eq!(a.allocate(4 * B64).unwrap_err().kind, IoErrorKind::DiskFull);
    assert_eq!(a.write_at(2 * B64, &blocks(2, 2)).unwrap_err().kind, IoErrorKind::DiskFull);
    assert_eq!(a.size().unwrap(), 2 * B64, "a refusal changes nothing");
    a.write_at(0, &blocks(2, 3)).unwrap();
    disk.remove(Path::new("/b")).unwrap();
    a.allocate(4 * B64).unwrap();
    assert!(disk.open(Path::new("/c"), OpenMode::Create).unwrap().allocate(B64).is_err());
}

#[test]
fn removed_files_are_read_by_who_holds_them() {
    let disk = disk(1);
    let file = durable_file(&disk, "/file", 1, 1);
    disk.remove(Path::new("/file")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    let mut read = AlignedBuf::zeroed(B);
    file.read_at(0, &mut read).unwrap();
    assert!(read[..] == blocks(1, 1)[..]);
    let error = file.read_at(B64, &mut read).unwrap_err();
    assert_eq!(error.kind, IoErrorKind::UnexpectedEof);
}
