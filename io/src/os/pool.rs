//! Descriptors of files that are read now and then: as many are open as the process can spare.
//!
//! Each file has its descriptor under a lock of its own, which reads share; nothing that all files share is touched by a read whose
//! descriptor is there. The pool is a clock over the files that are open, one for the process, as the limit is. Closing
//! tries the lock of a file and passes by those that are being read, so that it waits for nobody.

use super::calls;
use crate::retry::uninterrupted;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// The pool holds a quarter of what the process may open, and this many at least and at most. Pinned files hold as many again.
const OPEN_MIN: u64 = 16;
const OPEN_MAX: u64 = 8192;

fn open_max() -> usize {
    (calls::descriptor_limit() / 4).clamp(OPEN_MIN, OPEN_MAX) as usize
}

/// How many files are pinned.
static PINNED: AtomicUsize = AtomicUsize::new(0);

static POOL: Pool = Pool { clock: Mutex::new(Clock { open: Vec::new(), hand: 0 }) };

/// Does what needs a descriptor. While there is none, files of the pool give theirs.
pub(super) fn with_descriptor<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match uninterrupted(&mut call) {
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
                    && POOL.give_one() => {}
            other => return other,
        }
    }
}

struct Pool {
    clock: Mutex<Clock>,
}

struct Clock {
    /// Files with a descriptor that can be closed; some were dropped since.
    open: Vec<Weak<PooledFd>>,
    hand: usize,
}

impl Pool {
    /// Counts a file that was opened, and closes others when there are too many.
    fn admit(&self, file: &Arc<PooledFd>) {
        let most = open_max();
        let mut closed = Vec::new();
        let mut clock = self.clock.lock();
        clock.open.push(Arc::downgrade(file));
        // When all are being read there are more for a while.
        while clock.open.len() > most && clock.shorten(&mut closed) {}
    }

    /// Closes a descriptor, if there is one that nobody uses.
    fn give_one(&self) -> bool {
        let mut closed = Vec::new();
        let mut clock = self.clock.lock();
        while closed.is_empty() && clock.shorten(&mut closed) {}
        !closed.is_empty()
    }
}

impl Clock {
    /// Takes one file out: one that is gone, or stays open for good, or was not read for longest, about, whose descriptor comes
    /// to `closed`. False when all are being read.
    fn shorten(&mut self, closed: &mut Vec<OwnedFd>) -> bool {
        // Once around to forget who was read, once to find somebody.
        for _ in 0..2 * self.open.len() {
            self.hand = if self.hand < self.open.len() { self.hand } else { 0 };
            let leaves = match self.open[self.hand].upgrade() {
                None => true,
                Some(file) if file.used.swap(false, Ordering::Relaxed) => false,
                Some(file) => file.leave(closed),
            };
            if leaves {
                self.open.swap_remove(self.hand);
                return true;
            }
            self.hand += 1;
        }
        false
    }
}

/// A descriptor for reading that is opened when it is needed.
#[derive(Debug)]
pub(super) struct PooledFd {
    path: PathBuf,
    /// Device and inode: the name must lead to this file.
    id: (u64, u64),
    direct: bool,
    fd: RwLock<Option<OwnedFd>>,
    /// Held by who opens it.
    opening: Mutex<()>,
    /// Read since the clock came by.
    used: AtomicBool,
    /// Its name goes: the descriptor stays for as long as somebody has the file.
    pinned: AtomicBool,
}

/// A descriptor that stays open for as long as this lives.
pub(super) struct Borrowed<'a>(RwLockReadGuard<'a, Option<OwnedFd>>);

impl AsFd for Borrowed<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_ref().expect("it was open when the lock was taken").as_fd()
    }
}

impl PooledFd {
    /// The descriptor, opened if need be.
    pub(super) fn borrow(self: &Arc<Self>) -> io::Result<Borrowed<'_>> {
        loop {
            // Recursive: a reader may read again while it holds it. Who writes waits for none that found a descriptor.
            let fd = self.fd.read_recursive();
            if fd.is_some() {
                if !self.used.load(Ordering::Relaxed) {
                    self.used.store(true, Ordering::Relaxed);
                }
                return Ok(Borrowed(fd));
            }
            drop(fd);
            self.reopen()?;
        }
    }

    #[cold]
    fn reopen(self: &Arc<Self>) -> io::Result<()> {
        let _opening = self.opening.lock();
        if self.fd.read_recursive().is_some() {
            return Ok(());
        }
        let fd = with_descriptor(|| calls::open(&self.path, libc::O_RDONLY))?;
        let (device, inode, _) = calls::identity(fd.as_fd())?;
        if (device, inode) != self.id {
            return Err(io::Error::other(
                "another file has this name now: the directory was moved or replaced while the store was open",
            ));
        }
        if self.direct {
            uninterrupted(|| calls::set_direct(fd.as_fd()))?;
        }
        self.used.store(true, Ordering::Relaxed);
        // Only opening writes, one at a time, and closing, which only tries: whoever reads here found nothing and goes at once.
        *self.fd.write() = Some(fd);
        POOL.admit(self);
        Ok(())
    }

    /// Keeps it open from now on. One at a time.
    fn pin(self: &Arc<Self>) -> io::Result<()> {
        if self.pinned.load(Ordering::Relaxed) {
            return Ok(());
        }
        // A slow reader of all files must not take the descriptors of everybody else while a merge removes them.
        if PINNED.fetch_add(1, Ordering::Relaxed) >= open_max() {
            PINNED.fetch_sub(1, Ordering::Relaxed);
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        // Before the look: who closes looks at it under the lock that the look takes.
        self.pinned.store(true, Ordering::Release);
        if let Err(error) = self.borrow() {
            self.pinned.store(false, Ordering::Release);
            PINNED.fetch_sub(1, Ordering::Relaxed);
            return Err(error);
        }
        Ok(())
    }

    /// Gives its descriptor to `closed` unless somebody uses it. True when it is none of the clock's any more.
    fn leave(&self, closed: &mut Vec<OwnedFd>) -> bool {
        let Some(mut fd) = self.fd.try_write() else { return false };
        if !self.pinned.load(Ordering::Acquire) {
            closed.extend(fd.take());
        }
        true
    }
}

impl Drop for PooledFd {
    fn drop(&mut self) {
        if *self.pinned.get_mut() {
            PINNED.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The pooled files of a disk by name.
#[derive(Debug, Default)]
pub(super) struct Names {
    files: Mutex<BTreeMap<PathBuf, Vec<Weak<PooledFd>>>>,
}

impl Names {
    /// Opens `path` by `open`, which gives the descriptor and whether it goes past the page cache, which is told.
    pub(super) fn open(
        &self,
        path: &Path,
        open: impl FnOnce() -> io::Result<(OwnedFd, bool)>,
    ) -> io::Result<(Arc<PooledFd>, bool)> {
        // Held over the call: whoever takes the name away meanwhile must find the file.
        let mut files = self.files.lock();
        let (fd, direct) = open()?;
        let (device, inode, _) = calls::identity(fd.as_fd())?;
        let file = Arc::new(PooledFd {
            path: path.to_owned(),
            id: (device, inode),
            direct,
            fd: RwLock::new(Some(fd)),
            opening: Mutex::new(()),
            used: AtomicBool::new(false),
            pinned: AtomicBool::new(false),
        });
        let same = files.entry(path.to_owned()).or_default();
        same.retain(|file| file.strong_count() > 0);
        same.push(Arc::downgrade(&file));
        drop(files);
        POOL.admit(&file);
        Ok((file, direct))
    }

    /// Does what takes these names from their files. Whoever has one of the files goes on reading it; refused when too many such files
    /// are held.
    pub(super) fn take_away<T>(
        &self,
        paths: &[&Path],
        mut take: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut files = self.files.lock();
        for path in paths {
            for file in files.get(*path).into_iter().flatten().filter_map(Weak::upgrade) {
                file.pin()?;
            }
        }
        let taken = uninterrupted(&mut take)?;
        for path in paths {
            files.remove(*path);
        }
        Ok(taken)
    }
}
