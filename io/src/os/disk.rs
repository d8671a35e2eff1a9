//! Files and directories of the operating system.

use super::dirs::{Dirs, UsedDirs};
use super::file::OsRaw;
use super::lock::{Mode, OsLock, OsLockedName};
use super::pool::{Names, with_descriptor};
use super::pooled::PooledRaw;
use super::ring::Rings;
use super::{calls, lock};
use crate::disk::{DirEntry, Disk, File, FileLock, LockedName, OpenMode, Stat};
use crate::error::{IoError, Result};
use crate::retry::{BLOCK, RetryFile, uninterrupted};
use parking_lot::Mutex;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// Mode of new directories.
const DIR_MODE: u32 = 0o700;

/// What an [`OsDisk`] may use. All on by default; what the machine lacks is done without and said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OsOptions {
    /// Open files with O_DIRECT, past the page cache.
    pub direct: bool,
    /// Do many writes at once by io_uring.
    pub uring: bool,
}

impl Default for OsOptions {
    fn default() -> Self {
        Self { direct: true, uring: true }
    }
}

/// The operating system's disk. Thread-safe; cheap to clone, clones share their rings.
#[derive(Debug, Clone)]
pub struct OsDisk {
    shared: Arc<Shared>,
}

/// What all files of a disk share.
#[derive(Debug)]
pub(super) struct Shared {
    direct: bool,
    pub(super) rings: Option<Rings>,
    /// What was done without, and the sentence about it.
    fallbacks: Mutex<Vec<(&'static str, String)>>,
    dirs: Dirs,
    names: Names,
}

/// Names a fallback, so that it is said once.
pub(super) const RING_FAILED: &str = "io_uring";
const NO_DIRECT: &str = "O_DIRECT";
pub(super) const NO_MAP: &str = "mmap";

impl Shared {
    /// Records and says once that `what` is done without.
    pub(super) fn fall_back(&self, what: &'static str, sentence: impl FnOnce() -> String) {
        let mut fallbacks = self.fallbacks.lock();
        if fallbacks.iter().all(|(known, _)| *known != what) {
            let sentence = sentence();
            tracing::warn!("{sentence}");
            fallbacks.push((what, sentence));
        }
    }

    /// Turns O_DIRECT on where the file takes it.
    fn go_direct(&self, fd: BorrowedFd<'_>, path: &Path) -> io::Result<bool> {
        if !self.direct {
            return Ok(false);
        }
        let why = match calls::direct_alignment(fd) {
            Some(0) => "its file system has none".to_owned(),
            Some(align) if align > BLOCK as u32 => {
                format!("it needs an alignment of {align} bytes")
            }
            _ => match uninterrupted(|| calls::set_direct(fd)) {
                Ok(()) => return Ok(true),
                Err(error)
                    if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP)) =>
                {
                    "its file system has none".to_owned()
                }
                Err(error) => return Err(error),
            },
        };
        self.fall_back(NO_DIRECT, || {
            format!(
                "{} is read and written through the page cache instead of O_DIRECT ({why}): memory is used twice and \
                 syncs take longer; put the store on ext4 or xfs",
                path.display()
            )
        });
        Ok(false)
    }
}

/// The sentence for a missing or failed ring.
pub(super) fn ring_sentence(error: &io::Error) -> String {
    format!(
        "io_uring cannot be used ({error}): checkpoints write one page at a time and take longer; allow io_uring in the \
         container's seccomp profile and in kernel.io_uring_disabled, or raise the limit on locked memory"
    )
}

impl OsDisk {
    /// A disk that uses what `options` allows and the machine has.
    #[must_use]
    pub fn new(options: OsOptions) -> Self {
        let probed = options.uring.then(Rings::probe);
        let (rings, refused) = match probed {
            None => (None, None),
            Some(Ok(rings)) => (Some(rings), None),
            Some(Err(error)) => (None, Some(error)),
        };
        let shared = Shared {
            direct: options.direct,
            rings,
            fallbacks: Mutex::default(),
            dirs: Dirs::default(),
            names: Names::default(),
        };
        if let Some(error) = refused {
            shared.fall_back(RING_FAILED, || ring_sentence(&error));
        }
        Self { shared: Arc::new(shared) }
    }

    fn open_pooled(
        &self,
        path: &Path,
        mode: OpenMode,
        open: impl FnOnce() -> io::Result<(OwnedFd, bool)>,
    ) -> io::Result<PooledRaw> {
        let (fd, direct) = self.shared.names.open(path, open)?;
        let raw = PooledRaw::new(fd, direct, Arc::clone(&self.shared))?;
        Ok(if mode == OpenMode::Map { raw.mapped(path) } else { raw })
    }
}

impl Default for OsDisk {
    fn default() -> Self {
        Self::new(OsOptions::default())
    }
}

/// The empty path, which is the parent of a relative name, stands for the working directory.
fn dir_path(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() { Path::new(".") } else { dir }
}

impl OsDisk {
    fn lock_as(&self, path: &Path, mode: Mode) -> Result<Box<dyn FileLock>> {
        let root = dir_path(path.parent().unwrap_or(Path::new(""))).to_owned();
        let lock = lock::lock(path, mode)?;
        self.shared.dirs.keep(&root);
        let path = path.to_owned();
        let (used, shared) = (Arc::default(), Arc::clone(&self.shared));
        Ok(Box::new(LockedDir { lock, path, root, used, shared }))
    }
}

/// A held lock, and the directory whose descriptors are kept for as long.
#[derive(Debug)]
struct LockedDir {
    lock: OsLock,
    path: PathBuf,
    root: PathBuf,
    used: Arc<UsedDirs>,
    shared: Arc<Shared>,
}

impl FileLock for LockedDir {
    fn name(&self) -> Arc<dyn LockedName> {
        let (used, shared) = (Arc::downgrade(&self.used), Arc::clone(&self.shared));
        Arc::new(LockedDirName { file: self.lock.name(&self.path), used, shared })
    }
}

/// The name of a lock file, and the directories that its holder uses.
#[derive(Debug)]
struct LockedDirName {
    file: OsLockedName,
    /// Gone with the lock: whoever has given it back keeps nothing open.
    used: Weak<UsedDirs>,
    shared: Arc<Shared>,
}

impl LockedName for LockedDirName {
    fn verify(&self) -> Result<()> {
        self.file.verify()
    }

    fn verify_dir(&self, dir: &Path) -> Result<()> {
        let Some(used) = self.used.upgrade() else { return Ok(()) };
        match used.is_same(dir_path(dir), &self.shared.dirs) {
            Ok(true) => Ok(()),
            Ok(false) => Err(IoError::moved_below(dir)),
            Err(error) => Err(IoError::from_os("verify the directory", dir, &error)),
        }
    }
}

impl Drop for LockedDir {
    fn drop(&mut self) {
        self.shared.dirs.forget(&self.root);
    }
}

fn stat_of(metadata: &std::fs::Metadata) -> Stat {
    Stat { len: metadata.len(), is_dir: metadata.is_dir(), identity: metadata.ino() }
}

impl Disk for OsDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>> {
        let flags = match mode {
            OpenMode::Read | OpenMode::Pooled | OpenMode::Map => libc::O_RDONLY,
            OpenMode::ReadWrite => libc::O_RDWR,
            OpenMode::Create => libc::O_RDWR | libc::O_CREAT | libc::O_EXCL,
        };
        let fail = |error: io::Error| IoError::from_os("open", path, &error);
        let open = || {
            let fd = with_descriptor(|| calls::open(path, flags))?;
            // Set after the open: a file system without O_DIRECT would create the file and then refuse the open.
            let direct = mode != OpenMode::Map && self.shared.go_direct(fd.as_fd(), path)?;
            Ok((fd, direct))
        };
        if matches!(mode, OpenMode::Pooled | OpenMode::Map) {
            let raw = self.open_pooled(path, mode, open).map_err(fail)?;
            return Ok(Arc::new(RetryFile::new(raw, path)));
        }
        let (fd, direct) = open().map_err(fail)?;
        let raw = OsRaw { fd, direct, shared: Arc::clone(&self.shared) };
        Ok(Arc::new(RetryFile::new(raw, path)))
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>> {
        let fail = |error: io::Error| IoError::from_os("list", dir, &error);
        let mut entries = Vec::new();
        for entry in with_descriptor(|| std::fs::read_dir(dir_path(dir))).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Removed since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(fail(error)),
            };
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(DirEntry { name, stat: stat_of(&metadata) });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        match uninterrupted(|| std::fs::metadata(path)) {
            Ok(metadata) => Ok(Some(stat_of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(IoError::from_os("stat", path, &error)),
        }
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        uninterrupted(|| std::fs::DirBuilder::new().mode(DIR_MODE).create(dir))
            .map_err(|error| IoError::from_os("create directory", dir, &error))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.shared
            .names
            .take_away(&[from, to], || std::fs::rename(from, to))
            .map_err(|error| IoError::from_os("rename", from, &error))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.shared
            .names
            .take_away(&[path], || std::fs::remove_file(path))
            .map_err(|error| IoError::from_os("remove", path, &error))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.shared
            .dirs
            .sync(dir_path(dir))
            .map_err(|error| IoError::from_os("sync directory", dir, &error))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        self.lock_as(path, Mode::Alone)
    }

    fn lock_shared(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        self.lock_as(path, Mode::Shared)
    }

    fn absolute(&self, path: &Path) -> Result<PathBuf> {
        std::path::absolute(dir_path(path))
            .map_err(|error| IoError::from_os("make absolute", path, &error))
    }

    fn free_bytes(&self, dir: &Path) -> Option<u64> {
        uninterrupted(|| calls::free_bytes(dir_path(dir))).ok()
    }

    fn fallbacks(&self) -> Vec<String> {
        self.shared.fallbacks.lock().iter().map(|(_, sentence)| sentence.clone()).collect()
    }
}
