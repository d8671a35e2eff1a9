//! A process without descriptors to spare: what a store has opened once goes on working.
//! The limit covers every test of a process, so a child takes it.

use slotcask_io::{Disk, IoErrorKind, OpenMode, OsDisk};
use std::fs::File;
use std::process::Command;

const CHILD: &str = "SLOTCASK_TEST_DESCRIPTORS";
const LIMIT: u64 = 64;

/// Runs the test `name` in a child with a low limit.
fn limited(name: &str, test: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        let limit = libc::rlimit { rlim_cur: LIMIT, rlim_max: LIMIT };
        // SAFETY: `limit` is a valid rlimit that outlives the call.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
        return test();
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = [child.stdout, child.stderr]
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .concat();
    assert!(child.status.success() && said.contains("1 passed"), "{}: {said}", child.status);
}

/// All descriptors that are left.
fn hold_all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn a_directory_that_was_synced_once_needs_no_descriptor() {
    limited("a_directory_that_was_synced_once_needs_no_descriptor", || {
        let root = tempfile::tempdir().unwrap();
        let shard = root.path().join("shard");
        let disk = OsDisk::default();
        let lock = disk.lock(&root.path().join("LOCK")).unwrap();
        disk.create_dir(&shard).unwrap();
        disk.sync_dir(&shard).unwrap();
        disk.sync_dir(root.path()).unwrap();
        let held = hold_all();
        assert_eq!(
            disk.open(&shard.join("a"), OpenMode::Create).unwrap_err().kind,
            IoErrorKind::NoDescriptors
        );
        disk.sync_dir(&shard).unwrap();
        disk.sync_dir(root.path()).unwrap();
        drop(held);
        // Another directory takes the name: it is the one that is synced.
        std::fs::rename(&shard, root.path().join("old")).unwrap();
        assert_eq!(disk.sync_dir(&shard).unwrap_err().kind, IoErrorKind::NotFound);
        disk.create_dir(&shard).unwrap();
        disk.sync_dir(&shard).unwrap();
        // The lock goes, and with it what was kept.
        let before = hold_all().len();
        drop(lock);
        assert_eq!(hold_all().len(), before + 3);
    });
}
