//! What can go wrong with a file, sorted by what the caller can do about it.

use std::path::{Path, PathBuf};

/// Result of an operation on a disk.
pub type Result<T> = std::result::Result<T, IoError>;

/// What a failed operation means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IoErrorKind {
    /// Nothing has that name.
    NotFound,
    /// Something has that name already.
    AlreadyExists,
    /// The user may not do this.
    PermissionDenied,
    /// The file system is mounted read-only.
    ReadOnly,
    /// No space or no quota left (ENOSPC, EDQUOT).
    DiskFull,
    /// Larger than the file system or a limit of the process allows (EFBIG).
    FileTooLarge,
    /// No file descriptors left (EMFILE, ENFILE).
    NoDescriptors,
    /// Another process holds the lock.
    Locked,
    /// The lock file of a directory in use is not the one that was locked: directory moved or replaced, or lock file removed. Or a
    /// directory below it is another one than it was.
    Moved,
    /// The file ends before the bytes asked for.
    UnexpectedEof,
    /// Anything else; EIO above all.
    Other,
}

/// A failed operation: what, on which path, why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{op} {}: {message}", path.display())]
pub struct IoError {
    /// What was attempted.
    pub op: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// What it means.
    pub kind: IoErrorKind,
    /// Number of the error of the operating system, if it came from there.
    pub os_error: Option<i32>,
    /// The operating system's words, and what to do where that is not in them.
    pub message: String,
}

impl IoError {
    /// An error that did not come from the operating system.
    #[must_use]
    pub fn new(
        op: &'static str,
        path: &Path,
        kind: IoErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self { op, path: path.to_owned(), kind, os_error: None, message: message.into() }
    }

    /// An error of the operating system.
    #[must_use]
    pub fn from_os(op: &'static str, path: &Path, error: &std::io::Error) -> Self {
        let kind = kind_of(error);
        let message = match kind {
            IoErrorKind::NoDescriptors => {
                format!("{error}, no file descriptors are left: raise `ulimit -n`")
            }
            _ => error.to_string(),
        };
        Self { op, path: path.to_owned(), kind, os_error: error.raw_os_error(), message }
    }

    /// The lock file at `path` is not the one that was locked.
    #[must_use]
    pub fn moved(path: &Path) -> Self {
        let message = "this directory was moved or replaced, or its lock file removed, while the store was open; this process stops \
                       writing to it: close the store, and open it where it is now";
        Self::new("verify the lock", path, IoErrorKind::Moved, message)
    }

    /// The directory at `path`, below one that is locked, is not the one that it was.
    #[must_use]
    pub fn moved_below(path: &Path) -> Self {
        let message = "this directory was moved or replaced while the store was open; this process stops writing to the store: close it, put \
                       the directory back that was here, which has what was written since, or a link to it, and open the store again";
        Self::new("verify the directory", path, IoErrorKind::Moved, message)
    }

    /// True when space, quota, size limit or descriptors ran out: a state that passes.
    #[must_use]
    pub const fn is_out_of_resources(&self) -> bool {
        matches!(
            self.kind,
            IoErrorKind::DiskFull | IoErrorKind::FileTooLarge | IoErrorKind::NoDescriptors
        )
    }
}

fn kind_of(error: &std::io::Error) -> IoErrorKind {
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => IoErrorKind::DiskFull,
        Some(libc::EFBIG) => IoErrorKind::FileTooLarge,
        Some(libc::EMFILE | libc::ENFILE) => IoErrorKind::NoDescriptors,
        Some(libc::EROFS) => IoErrorKind::ReadOnly,
        _ => match error.kind() {
            std::io::ErrorKind::NotFound => IoErrorKind::NotFound,
            std::io::ErrorKind::AlreadyExists => IoErrorKind::AlreadyExists,
            std::io::ErrorKind::PermissionDenied => IoErrorKind::PermissionDenied,
            std::io::ErrorKind::UnexpectedEof => IoErrorKind::UnexpectedEof,
            _ => IoErrorKind::Other,
        },
    }
}
