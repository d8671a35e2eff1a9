//! Descriptors of the directories of a store, kept while its lock is held.
//!
//! A sync of a directory needs a descriptor. A process that has none left could not make names durable that it has changed
//! already, which nobody can tell from a sync that failed. So a directory that was synced once stays open.
//!
//! One that is in use also stays open so that it can be told from another one of its name: a file system may give the inode of what is gone to
//! the next that is made, and some number anew what nobody has open.

use super::calls;
use super::pool::with_descriptor;
use crate::retry::uninterrupted;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An open directory, and which one it is: device and inode.
#[derive(Debug)]
struct Dir {
    fd: OwnedFd,
    id: (u64, u64),
}

impl Dir {
    fn is(&self, found: &Metadata) -> bool {
        (found.dev(), found.ino()) == self.id
    }
}

/// The open directories of a disk.
#[derive(Debug, Default)]
pub(super) struct Dirs {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Directories with a held lock: they and those below them are kept.
    roots: Vec<PathBuf>,
    open: BTreeMap<PathBuf, Arc<Dir>>,
}

impl Dirs {
    /// From now on `root` and what lies below it is kept open once it was synced.
    pub(super) fn keep(&self, root: &Path) {
        self.state.lock().roots.push(root.to_owned());
    }

    /// Closes what was kept for `root`.
    pub(super) fn forget(&self, root: &Path) {
        let mut state = self.state.lock();
        if let Some(at) = state.roots.iter().position(|kept| kept == root) {
            state.roots.swap_remove(at);
        }
        state.open.retain(|path, _| !path.starts_with(root));
    }

    /// fsync(2) of the directory that has this name now.
    pub(super) fn sync(&self, path: &Path) -> io::Result<()> {
        let dir = self.get(path)?;
        uninterrupted(|| calls::fsync(dir.fd.as_fd()))
    }

    fn get(&self, path: &Path) -> io::Result<Arc<Dir>> {
        // Another directory may have taken the name. Asked by name, which takes no descriptor.
        let found = uninterrupted(|| std::fs::metadata(path));
        let mut state = self.state.lock();
        if let Some(dir) = state.open.get(path) {
            if found.as_ref().is_ok_and(|found| dir.is(found)) {
                return Ok(Arc::clone(dir));
            }
            state.open.remove(path);
        }
        found?;
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let fd = with_descriptor(|| calls::open(path, flags))?;
        let (device, inode, _) = calls::identity(fd.as_fd())?;
        let dir = Arc::new(Dir { fd, id: (device, inode) });
        if state.roots.iter().any(|root| path.starts_with(root)) {
            state.open.insert(path.to_owned(), Arc::clone(&dir));
        }
        Ok(dir)
    }
}

/// The directories that the holder of a lock uses, each as it was when it was used first.
#[derive(Debug, Default)]
pub(super) struct UsedDirs {
    dirs: Mutex<BTreeMap<PathBuf, Arc<Dir>>>,
}

impl UsedDirs {
    /// False when `path` is not the directory that it was when this was asked first. What was no directory then may become one: the call that
    /// follows says what is there.
    pub(super) fn is_same(&self, path: &Path, dirs: &Dirs) -> io::Result<bool> {
        let used = self.dirs.lock().get(path).cloned();
        let Some(used) = used else {
            return match dirs.get(path) {
                Ok(dir) => {
                    self.dirs.lock().entry(path.to_owned()).or_insert(dir);
                    Ok(true)
                }
                Err(error) if is_gone(&error) => Ok(true),
                Err(error) => Err(error),
            };
        };
        match uninterrupted(|| std::fs::metadata(path)) {
            Ok(found) => Ok(used.is(&found)),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// True when the name leads to no directory.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
