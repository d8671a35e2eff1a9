//! What can go wrong with a log.

use slotcask_io::{IoError, IoErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Result of an operation on a log.
pub type Result<T> = std::result::Result<T, LogError>;

/// The error that poisoned a shard.
pub type Cause = Arc<str>;

/// An error of the log.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// An operation on the disk failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// An earlier write or sync failed: the shard accepts no more writes until it is opened again.
    #[error("the shard is poisoned by an earlier failure: {cause}")]
    Poisoned {
        /// The failure.
        cause: Cause,
    },
    /// The files contradict each other or their checksums.
    #[error("{} is corrupt at byte {at}: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Offset in bytes.
        at: u64,
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
    /// Waiting took longer than allowed.
    #[error("timed out waiting for the log")]
    TimedOut,
}

impl LogError {
    /// A corruption at a place of a file.
    #[must_use]
    pub fn corrupt(path: &Path, at: u64, reason: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), at, reason: reason.into() }
    }

    /// True for a state that passes when space comes back.
    #[must_use]
    pub fn is_out_of_resources(&self) -> bool {
        matches!(self, Self::Io(error) if error.is_out_of_resources())
    }

    /// True when a file that must be there is not.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind == IoErrorKind::NotFound)
    }
}

/// Why a write was not accepted. Nothing has changed.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// No segment is ready: a checkpoint or a new segment has to come first.
    NoSegment,
    /// Too much waits to be flushed.
    QueueFull,
    /// The shard is poisoned.
    Poisoned(Cause),
}
