//! Locks on files, between processes and within this one.
//!
//! flock(2) belongs to an open file description, so two opens in one process exclude each other, but not on file systems
//! that emulate it with POSIX locks (NFS). The table below excludes them everywhere.
//!
//! A killed process gives its lock back when the last reference to the lock's open file goes. Writes that it had in
//! a ring may still be running then. So every ring holds a reference to every held lock (see `ring.rs`): the kernel
//! drops the references of a ring only when its last write is done. Because of those references closing the file
//! does not unlock it; the lock is given back by name.

use super::calls;
use super::dirs::is_gone;
use super::pool::with_descriptor;
use crate::disk::LockedName;
use crate::error::{IoError, IoErrorKind, Result};
use crate::retry::uninterrupted;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Device and inode.
type Id = (u64, u64);

/// Who else may hold a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nobody.
    Alone,
    /// Others who share it, in this process by the same open file.
    Shared,
}

/// A lock that this process holds.
struct Holding {
    fd: Arc<OwnedFd>,
    mode: Mode,
    /// How many share it within this process.
    count: usize,
}

/// The locks that this process holds.
static HELD: Mutex<BTreeMap<Id, Holding>> = Mutex::new(BTreeMap::new());

/// Changes whenever `HELD` does; starts at 1 so that a new ring, which starts at 0, looks at `HELD` once.
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// How often the lock file may be replaced under us before we give up.
const ATTEMPTS_MAX: u32 = 16;

/// A held lock.
#[derive(Debug)]
pub(super) struct OsLock {
    id: Id,
    fd: Arc<OwnedFd>,
}

impl OsLock {
    /// Its name, which was `path`.
    pub(super) fn name(&self, path: &Path) -> OsLockedName {
        OsLockedName { path: path.to_owned(), id: self.id }
    }
}

/// The name of a lock file, and which file that was.
#[derive(Debug)]
pub(super) struct OsLockedName {
    path: PathBuf,
    id: Id,
}

impl LockedName for OsLockedName {
    fn verify(&self) -> Result<()> {
        match uninterrupted(|| std::fs::metadata(&self.path)) {
            Ok(found) if (found.dev(), found.ino()) == self.id => Ok(()),
            Ok(_) => Err(IoError::moved(&self.path)),
            Err(error) if is_gone(&error) => Err(IoError::moved(&self.path)),
            Err(error) => Err(IoError::from_os("verify the lock", &self.path, &error)),
        }
    }
}

impl Drop for OsLock {
    fn drop(&mut self) {
        // The table goes last: whoever finds no entry there must find the file unlocked too.
        let mut held = HELD.lock();
        if let Some(holding) = held.get_mut(&self.id) {
            holding.count -= 1;
            if holding.count > 0 {
                return;
            }
        }
        if let Err(error) = calls::flock_release(self.fd.as_fd()) {
            tracing::warn!(%error, "a file lock could not be given back; it goes when the process ends");
        }
        held.remove(&self.id);
        GENERATION.fetch_add(1, Ordering::Release);
    }
}

/// The current generation of the held locks.
pub(super) fn generation() -> u64 {
    GENERATION.load(Ordering::Acquire)
}

/// Calls `with` with the descriptors of all held locks, which stay open for the length of the call, and their generation.
pub(super) fn with_held<T>(with: impl FnOnce(&[RawFd], u64) -> T) -> T {
    let held = HELD.lock();
    let fds: Vec<RawFd> = held.values().map(|holding| holding.fd.as_raw_fd()).collect();
    with(&fds, generation())
}

/// Locks `path`, which is made if it is not there and is to be locked alone.
pub(super) fn lock(path: &Path, mode: Mode) -> Result<OsLock> {
    let fail = |error: &io::Error| IoError::from_os("lock", path, error);
    let locked = |who: &str| {
        IoError::new(
            "lock",
            path,
            IoErrorKind::Locked,
            format!("{who} holds the lock of this file"),
        )
    };
    for _ in 0..ATTEMPTS_MAX {
        let fd = open_lock_file(path, mode).map_err(|error| fail(&error))?;
        let (device, inode, _) = calls::identity(fd.as_fd()).map_err(|error| fail(&error))?;
        let mut held = HELD.lock();
        match held.get_mut(&(device, inode)) {
            Some(holding) if (holding.mode, mode) == (Mode::Shared, Mode::Shared) => {
                holding.count += 1;
                return Ok(OsLock { id: (device, inode), fd: Arc::clone(&holding.fd) });
            }
            Some(_) => return Err(locked("this process")),
            None => {}
        }
        match uninterrupted(|| calls::flock_at_once(fd.as_fd(), mode)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(locked("another process"));
            }
            Err(error) => return Err(fail(&error)),
        }
        // Someone may have replaced the file between open and lock; a lock on a file without a name excludes nobody.
        match std::fs::metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (device, inode) => {}
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(fail(&error)),
        }
        let fd = Arc::new(fd);
        held.insert((device, inode), Holding { fd: Arc::clone(&fd), mode, count: 1 });
        GENERATION.fetch_add(1, Ordering::Release);
        return Ok(OsLock { id: (device, inode), fd });
    }
    Err(IoError::new(
        "lock",
        path,
        IoErrorKind::Other,
        "the lock file is replaced again and again; something removes it",
    ))
}

/// Opens the lock file; on a read-only file system, or to share it, for reading, which flock accepts.
fn open_lock_file(path: &Path, mode: Mode) -> io::Result<OwnedFd> {
    if mode == Mode::Shared {
        return with_descriptor(|| calls::open(path, libc::O_RDONLY));
    }
    match with_descriptor(|| calls::open(path, libc::O_RDWR | libc::O_CREAT)) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EROFS | libc::EACCES)) => {
            with_descriptor(|| calls::open(path, libc::O_RDONLY)).map_err(|_| error)
        }
        other => other,
    }
}
