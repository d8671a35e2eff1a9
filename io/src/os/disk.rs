//! Files and directories of the operating system.

use super::file::OsRaw;
use super::lock::Mode;
use super::ring::Rings;
use super::{calls, lock};
use crate::disk::{DirEntry, Disk, File, FileLock, OpenMode, Stat};
use crate::error::{IoError, Result};
use crate::retry::{BLOCK, RetryFile, uninterrupted};
use parking_lot::Mutex;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

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
        let shared = Shared { direct: options.direct, rings, fallbacks: Mutex::default() };
        if let Some(error) = refused {
            shared.fall_back(RING_FAILED, || ring_sentence(&error));
        }
        Self { shared: Arc::new(shared) }
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

fn stat_of(metadata: &std::fs::Metadata) -> Stat {
    Stat { len: metadata.len(), is_dir: metadata.is_dir(), identity: metadata.ino() }
}

impl Disk for OsDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>> {
        let flags = match mode {
            OpenMode::Read | OpenMode::Map => libc::O_RDONLY,
            OpenMode::ReadWrite => libc::O_RDWR,
            OpenMode::Create => libc::O_RDWR | libc::O_CREAT | libc::O_EXCL,
        };
        let fail = |error: io::Error| IoError::from_os("open", path, &error);
        let fd = uninterrupted(|| calls::open(path, flags)).map_err(fail)?;
        if mode == OpenMode::Map {
            let raw = OsRaw { fd, direct: false, map: None, shared: Arc::clone(&self.shared) };
            return Ok(Arc::new(RetryFile::new(raw.mapped(path), path)));
        }
        // Set after the open: a file system without O_DIRECT would create the file and then refuse the open.
        let direct = self.shared.go_direct(fd.as_fd(), path).map_err(fail)?;
        let raw = OsRaw { fd, direct, map: None, shared: Arc::clone(&self.shared) };
        Ok(Arc::new(RetryFile::new(raw, path)))
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>> {
        let fail = |error: io::Error| IoError::from_os("list", dir, &error);
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir_path(dir)).map_err(fail)? {
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
        uninterrupted(|| std::fs::rename(from, to))
            .map_err(|error| IoError::from_os("rename", from, &error))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        uninterrupted(|| std::fs::remove_file(path))
            .map_err(|error| IoError::from_os("remove", path, &error))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let fail = |error: io::Error| IoError::from_os("sync directory", dir, &error);
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let fd = uninterrupted(|| calls::open(dir_path(dir), flags)).map_err(fail)?;
        uninterrupted(|| calls::fsync(fd.as_fd())).map_err(fail)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        lock::lock(path, Mode::Alone)
    }

    fn lock_shared(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        lock::lock(path, Mode::Shared)
    }

    fn fallbacks(&self) -> Vec<String> {
        self.shared.fallbacks.lock().iter().map(|(_, sentence)| sentence.clone()).collect()
    }
}
