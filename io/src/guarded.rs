//! The disk of whoever holds the lock of a directory.
//!
//! Names lead to files anew each time. When the directory is moved while a store is open in it and another store takes its
//! place, the same names lead to the files of the other one. So whatever goes by name first compares the lock file with
//! the one that was locked, and the directory of the name with what it was when it was used first: one below the lock may be moved
//! alone, and a copy take its place. Open files need no such look: they stay what they are, wherever their directory went.

use crate::disk::{DirEntry, Disk, File, FileLock, LockedName, OpenMode, Stat};
use crate::error::{IoError, IoErrorKind, Result};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// What is told that the directory is lost.
type Lost = Box<dyn Fn(&IoError) + Send + Sync>;

/// A disk that opens files and changes names only while a lock file is the one that was locked, and the directory is the one that it
/// was. Kind `Moved` otherwise.
///
/// Between the look and what follows a moment passes: whoever moves the directory then is not noticed before the next call, if this one does
/// not fail.
pub struct GuardedDisk {
    disk: Arc<dyn Disk>,
    name: Arc<dyn LockedName>,
    lost: OnceLock<Lost>,
}

impl GuardedDisk {
    /// `disk` for as long as the name that `lock` locked is the file that it locked. The lock itself is not held.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, lock: &dyn FileLock) -> Self {
        Self { disk, name: lock.name(), lost: OnceLock::new() }
    }

    /// Has `lost` called, by the thread that notices, each time that the lock file or a directory is another one. It may hold locks of its
    /// caller. A second call changes nothing.
    pub fn when_lost(&self, lost: impl Fn(&IoError) + Send + Sync + 'static) {
        let _ = self.lost.set(Box::new(lost));
    }

    /// Does `call`, which goes by names in `dir`.
    fn within<T>(&self, dir: &Path, call: impl FnOnce() -> Result<T>) -> Result<T> {
        self.verify(dir)?;
        call().map_err(|error| match self.verify(dir) {
            // It went in between, and the call failed because of that.
            Err(moved) if moved.kind == IoErrorKind::Moved => moved,
            _ => error,
        })
    }

    fn verify(&self, dir: &Path) -> Result<()> {
        self.name.verify().and_then(|()| self.name.verify_dir(dir)).inspect_err(|error| {
            if error.kind == IoErrorKind::Moved
                && let Some(lost) = self.lost.get()
            {
                lost(error);
            }
        })
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

impl fmt::Debug for GuardedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedDisk")
            .field("disk", &self.disk)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Disk for GuardedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>> {
        self.within(parent(path), || self.disk.open(path, mode))
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        self.disk.stat(path)
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        self.within(parent(dir), || self.disk.create_dir(dir))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let rename = || self.within(parent(from), || self.disk.rename(from, to));
        if parent(from) == parent(to) { rename() } else { self.within(parent(to), rename) }
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.within(parent(path), || self.disk.remove(path))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.within(dir, || self.disk.sync_dir(dir))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        self.disk.lock(path)
    }

    fn lock_shared(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        self.disk.lock_shared(path)
    }

    fn absolute(&self, path: &Path) -> Result<PathBuf> {
        self.disk.absolute(path)
    }

    fn free_bytes(&self, dir: &Path) -> Option<u64> {
        self.disk.free_bytes(dir)
    }

    fn fallbacks(&self) -> Vec<String> {
        self.disk.fallbacks()
    }
}
