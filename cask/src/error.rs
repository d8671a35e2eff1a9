//! What can go wrong with data files.

use slotcask_io::IoError;
use std::path::{Path, PathBuf};

/// Result of an operation on data files.
pub type Result<T> = std::result::Result<T, CaskError>;

/// An error of data files.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CaskError {
    /// An operation on the disk failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Bytes contradict their checksum, or one file another.
    #[error("{} is corrupt at byte {offset}: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Offset in bytes.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// A file was written by a newer slotcask.
    #[error("{} has format version {found}, newer than {supported}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// Highest version that this build reads.
        supported: u16,
    },
    /// A place that no keydir can point to.
    #[error(
        "a record of {size} bytes at {offset} of file {generation} is beyond what a keydir can point to"
    )]
    Place {
        /// File.
        generation: u64,
        /// Offset in bytes.
        offset: u64,
        /// Bytes of the record.
        size: usize,
    },
    /// The caller asked to stop.
    #[error("interrupted: nothing has changed")]
    Interrupted,
}

impl CaskError {
    pub(crate) fn corrupt(path: &Path, offset: u64, reason: impl ToString) -> Self {
        Self::Corrupt { path: path.to_owned(), offset, reason: reason.to_string() }
    }

    /// True for a state that passes when space comes back.
    #[must_use]
    pub fn is_out_of_resources(&self) -> bool {
        matches!(self, Self::Io(error) if error.is_out_of_resources())
    }
}
