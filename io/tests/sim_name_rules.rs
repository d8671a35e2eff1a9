//! What a power loss may do to names (rule R4 of the simulated disk).

mod common;

use common::{after, blocks, disk, durable_file};
use slotcask_io::sim::{CrashPlan, NamePlan, SizePlan, WritePlan};
use slotcask_io::{Disk, OpenMode, SimDisk};
use std::collections::BTreeSet;
use std::path::Path;

fn names(plan: NamePlan) -> CrashPlan {
    CrashPlan::new(WritePlan::All, plan, SizePlan::Current, 0)
}

/// Every set of (path, first byte) that random crashes leave.
fn states(disk: &SimDisk) -> BTreeSet<Vec<(String, u8)>> {
    (0..200)
        .map(|seed| {
            let mut plan =
                CrashPlan::new(WritePlan::All, NamePlan::Random, SizePlan::Current, seed);
            let image = disk.crash(&mut plan);
            let file = |(path, _): (std::path::PathBuf, u64)| {
                let byte = image.read_all(&path).unwrap().first().copied().unwrap_or(0);
                (path.to_string_lossy().into_owned(), byte)
            };
            image.files().into_iter().map(file).collect()
        })
        .collect()
}

fn state(files: &[(&str, u8)]) -> Vec<(String, u8)> {
    files.iter().map(|(path, byte)| ((*path).to_owned(), *byte)).collect()
}

#[test]
fn a_synced_file_without_a_synced_name_vanishes() {
    let disk = disk(1);
    let file = disk.open(Path::new("/file"), OpenMode::Create).unwrap();
    file.write_at(0, &blocks(1, 1)).unwrap();
    file.sync().unwrap();
    assert_eq!(after(&disk, CrashPlan::keep_none(), "/file"), None);
    assert!(after(&disk, names(NamePlan::All), "/file").is_some(), "but it need not");
    disk.sync_dir(Path::new("/")).unwrap();
    assert!(after(&disk, CrashPlan::keep_none(), "/file").is_some());
}

#[test]
fn a_synced_name_does_not_make_content_durable() {
    let disk = disk(1);
    let file = disk.open(Path::new("/file"), OpenMode::Create).unwrap();
    file.write_at(0, &blocks(1, 1)).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    assert_eq!(after(&disk, CrashPlan::keep_none(), "/file"), Some(Vec::new()));
}

#[test]
fn syncing_one_directory_leaves_the_others() {
    let disk = disk(1);
    for dir in ["/a", "/b"] {
        disk.create_dir(Path::new(dir)).unwrap();
    }
    disk.sync_dir(Path::new("/")).unwrap();
    for path in ["/a/file", "/b/file"] {
        disk.open(Path::new(path), OpenMode::Create).unwrap();
    }
    disk.sync_dir(Path::new("/a")).unwrap();
    assert!(after(&disk, CrashPlan::keep_none(), "/a/file").is_some());
    assert!(after(&disk, CrashPlan::keep_none(), "/b/file").is_none());
}

#[test]
fn a_directory_that_was_not_synced_takes_what_is_in_it_along() {
    let disk = disk(1);
    disk.create_dir(Path::new("/store")).unwrap();
    durable_file(&disk, "/store/file", 1, 1);
    assert_eq!(after(&disk, CrashPlan::keep_none(), "/store/file"), None);
    assert!(!disk.crash(&mut CrashPlan::keep_none()).has_dir(Path::new("/store")));
    disk.sync_dir(Path::new("/")).unwrap();
    assert!(after(&disk, CrashPlan::keep_none(), "/store/file").is_some());
}

#[test]
fn a_removed_file_may_come_back_until_its_directory_is_synced() {
    let disk = disk(1);
    durable_file(&disk, "/file", 1, 1);
    disk.remove(Path::new("/file")).unwrap();
    assert_eq!(states(&disk), BTreeSet::from([state(&[]), state(&[("/file", 1)])]));
    disk.sync_dir(Path::new("/")).unwrap();
    assert_eq!(states(&disk), BTreeSet::from([state(&[])]));
}

#[test]
fn a_rename_is_old_or_new_and_never_neither() {
    let disk = disk(1);
    durable_file(&disk, "/new", 1, 2);
    durable_file(&disk, "/old", 1, 1);
    disk.rename(Path::new("/new"), Path::new("/old")).unwrap();
    let before = state(&[("/new", 2), ("/old", 1)]);
    let behind = state(&[("/old", 2)]);
    assert_eq!(states(&disk), BTreeSet::from([before, behind.clone()]));
    disk.sync_dir(Path::new("/")).unwrap();
    assert_eq!(states(&disk), BTreeSet::from([behind]));
}

#[test]
fn a_rename_may_be_durable_before_the_content_that_it_publishes() {
    let disk = disk(1);
    let file = disk.open(Path::new("/tmp"), OpenMode::Create).unwrap();
    file.write_at(0, &blocks(1, 1)).unwrap();
    disk.rename(Path::new("/tmp"), Path::new("/file")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    assert_eq!(after(&disk, CrashPlan::keep_none(), "/file"), Some(Vec::new()));
}

#[test]
fn dropping_a_create_drops_the_rename_that_follows() {
    let disk = disk(1);
    disk.open(Path::new("/tmp"), OpenMode::Create).unwrap();
    disk.rename(Path::new("/tmp"), Path::new("/file")).unwrap();
    assert!(disk.crash(&mut names(NamePlan::Except(0))).files().is_empty());
    assert!(disk.crash(&mut names(NamePlan::Only(0))).read_all(Path::new("/tmp")).is_some());
    assert!(disk.crash(&mut names(NamePlan::Prefix(2))).read_all(Path::new("/file")).is_some());
}

#[test]
fn a_rename_over_directories_keeps_a_name_whichever_is_synced() {
    for synced in ["/a", "/b"] {
        let disk = disk(1);
        for dir in ["/a", "/b"] {
            disk.create_dir(Path::new(dir)).unwrap();
        }
        disk.sync_dir(Path::new("/")).unwrap();
        durable_file(&disk, "/a/file", 1, 1);
        disk.rename(Path::new("/a/file"), Path::new("/b/file")).unwrap();
        disk.sync_dir(Path::new(synced)).unwrap();
        let states = states(&disk);
        assert!(states.contains(&state(&[("/b/file", 1)])), "{states:?}");
        let both = state(&[("/a/file", 1), ("/b/file", 1)]);
        assert_eq!(states.contains(&both), synced == "/b", "{states:?}");
        assert!(states.iter().all(|state| !state.is_empty()));
    }
}

#[test]
fn a_name_that_is_used_again_is_the_first_the_second_or_no_file() {
    let disk = disk(1);
    durable_file(&disk, "/file", 1, 1);
    disk.remove(Path::new("/file")).unwrap();
    let file = disk.open(Path::new("/file"), OpenMode::Create).unwrap();
    file.write_at(0, &blocks(1, 2)).unwrap();
    file.sync().unwrap();
    let expected = BTreeSet::from([state(&[]), state(&[("/file", 1)]), state(&[("/file", 2)])]);
    assert_eq!(states(&disk), expected);
}

#[test]
fn locks_end_with_the_power() {
    let disk = disk(1);
    let _held = disk.lock(Path::new("/LOCK")).unwrap();
    disk.lock(Path::new("/LOCK")).unwrap_err();
    let image = disk.crash(&mut CrashPlan::keep_all());
    drop(image.lock(Path::new("/LOCK")).unwrap());
    drop(image.lock(Path::new("/LOCK")).unwrap());
}

#[test]
fn a_file_with_two_names_stays_until_it_loses_both() {
    // The new name is durable, the removal of the old one is lost: both are there after the crash.
    let first = disk(1);
    for dir in ["/a", "/b"] {
        first.create_dir(Path::new(dir)).unwrap();
    }
    first.sync_dir(Path::new("/")).unwrap();
    durable_file(&first, "/a/file", 1, 1);
    first.rename(Path::new("/a/file"), Path::new("/b/file")).unwrap();
    first.sync_dir(Path::new("/b")).unwrap();
    let disk = first.crash(&mut CrashPlan::keep_none());
    assert_eq!(disk.files().len(), 2);
    disk.remove(Path::new("/a/file")).unwrap();
    disk.sync_dir(Path::new("/a")).unwrap();
    assert_eq!(after(&disk, CrashPlan::keep_none(), "/b/file").unwrap()[0], 1);
    disk.remove(Path::new("/b/file")).unwrap();
    assert_eq!(after(&disk, CrashPlan::keep_none(), "/b/file").unwrap()[0], 1);
    disk.sync_dir(Path::new("/b")).unwrap();
    assert!(disk.crash(&mut CrashPlan::keep_all()).files().is_empty());
}
