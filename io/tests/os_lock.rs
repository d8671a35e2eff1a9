//! One holder a lock file, in this process and beyond.

use slotcask_io::{Disk, IoErrorKind, OsDisk};
use std::os::fd::AsRawFd;

#[test]
fn a_second_lock_of_the_same_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("LOCK");
    let held = OsDisk::default().lock(&path).unwrap();
    let error = OsDisk::default().lock(&path).unwrap_err();
    assert_eq!(error.kind, IoErrorKind::Locked, "{error}");
    // Another name of the same file is the same lock.
    std::fs::hard_link(&path, dir.path().join("other")).unwrap();
    let error = OsDisk::default().lock(&dir.path().join("other")).unwrap_err();
    assert_eq!(error.kind, IoErrorKind::Locked, "{error}");
    drop(held);
    drop(OsDisk::default().lock(&path).unwrap());
}

#[test]
fn a_lock_of_somebody_else_is_respected() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("LOCK");
    // An open file description that the library knows nothing of, as in another process.
    let other = std::fs::File::create(&path).unwrap();
    // SAFETY: the call takes no pointers and the descriptor is open.
    assert_eq!(unsafe { libc::flock(other.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }, 0);
    let error = OsDisk::default().lock(&path).unwrap_err();
    assert_eq!(error.kind, IoErrorKind::Locked, "{error}");
    drop(other);
    let held = OsDisk::default().lock(&path).unwrap();
    let other = std::fs::File::open(&path).unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::flock(other.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }, -1);
    drop(held);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::flock(other.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }, 0);
}

#[test]
fn a_lock_needs_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let error = OsDisk::default().lock(&dir.path().join("no/LOCK")).unwrap_err();
    assert_eq!(error.kind, IoErrorKind::NotFound);
}

#[test]
fn readers_share_a_lock_and_keep_others_out() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, path) = (OsDisk::default(), dir.path().join("LOCK"));
    assert_eq!(disk.lock_shared(&path).unwrap_err().kind, IoErrorKind::NotFound);
    assert!(!path.exists());
    drop(disk.lock(&path).unwrap());
    let first = disk.lock_shared(&path).unwrap();
    let second = disk.lock_shared(&path).unwrap();
    // As another process would.
    let other = std::fs::File::open(&path).unwrap();
    // SAFETY: the call takes no pointers and the descriptor is open.
    let flock = |mode| unsafe { libc::flock(other.as_raw_fd(), mode | libc::LOCK_NB) };
    assert_eq!(flock(libc::LOCK_SH), 0);
    for reader in [first, second] {
        assert_eq!(disk.lock(&path).unwrap_err().kind, IoErrorKind::Locked);
        assert_eq!(flock(libc::LOCK_EX), -1);
        assert_eq!(flock(libc::LOCK_SH), 0);
        drop(reader);
    }
    assert_eq!(disk.lock(&path).unwrap_err().kind, IoErrorKind::Locked, "the other one reads");
    assert_eq!(flock(libc::LOCK_EX), 0);
    assert_eq!(disk.lock_shared(&path).unwrap_err().kind, IoErrorKind::Locked);
    assert_eq!(flock(libc::LOCK_UN), 0);
    drop(disk.lock(&path).unwrap());
}
