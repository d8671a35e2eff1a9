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
