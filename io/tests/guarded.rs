//! Whatever goes by name stops when the lock file is not the one that was locked, or a directory not the one that was used.

use slotcask_io::{Disk, FileLock, GuardedDisk, IoErrorKind, OpenMode, OsDisk, Result, SimDisk};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A guarded disk on `disk`, how often it said that it was lost, and the lock of `root`.
fn guarded(disk: Arc<dyn Disk>, root: &Path) -> (GuardedDisk, Arc<AtomicU32>, Box<dyn FileLock>) {
    let lock = disk.lock(&root.join("LOCK")).unwrap();
    let guarded = GuardedDisk::new(disk, &*lock);
    let lost = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&lost);
    guarded.when_lost(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    (guarded, lost, lock)
}

/// All that changes names, or opens what has one.
fn try_all(disk: &GuardedDisk, root: &Path) -> Vec<Result<()>> {
    vec![
        disk.open(&root.join("new"), OpenMode::Create).map(drop),
        disk.open(&root.join("old"), OpenMode::ReadWrite).map(drop),
        disk.open(&root.join("old"), OpenMode::Read).map(drop),
        disk.rename(&root.join("old"), &root.join("renamed")),
        disk.remove(&root.join("renamed")),
        disk.create_dir(&root.join("dir")),
        disk.sync_dir(root),
    ]
}

#[test]
fn a_directory_that_was_replaced_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let (root, moved) = (dir.path().join("db"), dir.path().join("db.old"));
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("old"), "ours").unwrap();
    let (disk, lost, lock) = guarded(Arc::new(OsDisk::default()), &root);
    let file = disk.open(&root.join("old"), OpenMode::Read).unwrap();
    std::fs::rename(&root, &moved).unwrap();
    for replaced in [false, true] {
        if replaced {
            std::fs::create_dir(&root).unwrap();
            std::fs::write(root.join("old"), "theirs").unwrap();
            drop(OsDisk::default().lock(&root.join("LOCK")).unwrap());
        }
        lost.store(0, Ordering::Relaxed);
        for result in try_all(&disk, &root) {
            assert_eq!(result.unwrap_err().kind, IoErrorKind::Moved);
        }
        assert_eq!(lost.load(Ordering::Relaxed), 7);
    }
    let mut names: Vec<_> =
        std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["LOCK", "old"]);
    assert_eq!(file.size().unwrap(), 4, "an open file is what it was");
    // A file instead of the directory.
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::write(&root, "").unwrap();
    assert_eq!(disk.sync_dir(&root).unwrap_err().kind, IoErrorKind::Moved);
    std::fs::remove_file(&root).unwrap();
    std::fs::rename(&moved, &root).unwrap();
    for result in try_all(&disk, &root) {
        result.unwrap();
    }
    drop(lock);
    drop(OsDisk::default().lock(&root.join("LOCK")).unwrap());
}

#[test]
fn a_lock_file_that_was_removed_protects_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let worlds: [(Arc<dyn Disk>, &Path); 2] = [
        (Arc::new(OsDisk::default()), dir.path()),
        (Arc::new(SimDisk::new(slotcask_io::SimOptions::default())), Path::new("/db")),
    ];
    for (disk, root) in worlds {
        let _ = disk.create_dir(root);
        drop(disk.open(&root.join("old"), OpenMode::Create).unwrap());
        let (guarded, _, lock) = guarded(Arc::clone(&disk), root);
        disk.remove(&root.join("LOCK")).unwrap();
        drop(disk.open(&root.join("LOCK"), OpenMode::Create).unwrap());
        for result in try_all(&guarded, root) {
            assert_eq!(result.unwrap_err().kind, IoErrorKind::Moved);
        }
        drop(lock);
    }
}

/// All that changes names in `dir`, from where to where, or opens what has one.
fn try_below(disk: &GuardedDisk, dir: &Path, root: &Path) -> Vec<Result<()>> {
    vec![
        disk.open(&dir.join("new"), OpenMode::Create).map(drop),
        disk.open(&dir.join("old"), OpenMode::Read).map(drop),
        disk.open(&dir.join("old"), OpenMode::Pooled).map(drop),
        disk.rename(&dir.join("old"), &dir.join("renamed")),
        disk.rename(&dir.join("renamed"), &root.join("away")),
        disk.rename(&root.join("away"), &dir.join("old")),
        disk.remove(&dir.join("old")),
        disk.create_dir(&dir.join("dir")),
        disk.sync_dir(dir),
    ]
}

#[test]
fn a_directory_below_that_was_replaced_is_not_touched() {
    let home = tempfile::tempdir().unwrap();
    let (root, aside) = (home.path().join("db"), home.path().join("aside"));
    let (below, beside) = (root.join("below"), root.join("beside"));
    std::fs::create_dir(&root).unwrap();
    let (disk, lost, lock) = guarded(Arc::new(OsDisk::default()), &root);
    for dir in [&below, &beside] {
        disk.create_dir(dir).unwrap();
        std::fs::write(dir.join("old"), "ours").unwrap();
        disk.sync_dir(dir).unwrap();
    }
    let theirs = home.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    std::fs::write(theirs.join("old"), "theirs").unwrap();
    std::fs::write(root.join("away"), "ours").unwrap();
    std::fs::rename(&below, &aside).unwrap();
    let link = |to: &Path| std::os::unix::fs::symlink(to, &below).unwrap();
    let replacements: [&dyn Fn(); 4] =
        [&|| {}, &|| std::fs::write(&below, "a file").unwrap(), &|| link(&theirs), &|| {
            link(&home.path().join("nowhere"))
        }];
    for replace in replacements {
        replace();
        lost.store(0, Ordering::Relaxed);
        for result in try_below(&disk, &below, &root) {
            let error = result.unwrap_err();
            assert_eq!((error.kind, &error.path), (IoErrorKind::Moved, &below), "{error}");
        }
        assert_eq!(lost.load(Ordering::Relaxed), 9);
        let _ = std::fs::remove_file(&below);
    }
    assert_eq!(std::fs::read_dir(&theirs).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(&aside).unwrap().count(), 1);
    // The others go on, and so does this one when it is back, or a link leads to it.
    std::fs::remove_file(root.join("away")).unwrap();
    try_below(&disk, &beside, &root).into_iter().for_each(Result::unwrap);
    link(&aside);
    disk.sync_dir(&below).unwrap();
    std::fs::remove_file(&below).unwrap();
    std::fs::rename(&aside, &below).unwrap();
    try_below(&disk, &below, &root).into_iter().for_each(Result::unwrap);
    // Whoever gave the lock back keeps nothing.
    drop(lock);
    std::fs::remove_dir_all(&below).unwrap();
    disk.create_dir(&below).unwrap();
    disk.sync_dir(&below).unwrap();
}

#[test]
fn a_directory_that_was_removed_and_made_again_is_another_one() {
    let root = tempfile::tempdir().unwrap();
    let (disk, _, lock) = guarded(Arc::new(OsDisk::default()), root.path());
    let below = root.path().join("below");
    disk.create_dir(&below).unwrap();
    drop(disk.open(&below.join("file"), OpenMode::Create).unwrap());
    std::fs::remove_dir_all(&below).unwrap();
    // File systems like to give the inode that was freed last.
    std::fs::create_dir(&below).unwrap();
    assert_eq!(disk.sync_dir(&below).unwrap_err().kind, IoErrorKind::Moved);
    drop(lock);
}
