//! The disk that the engine is written against.
//!
//! Rules of every implementation
//!  - Offsets and lengths are whole blocks (4096 bytes) and buffers are aligned to blocks ([`crate::AlignedBuf`]), so that
//!    any file can be opened with O_DIRECT. Implementations assert it.
//!  - A write that returns an error leaves the bytes of its range unknown.
//!  - Written bytes are durable after [`File::sync`]; names after [`Disk::sync_dir`] of their directory.
//!  - Interrupted and short calls are retried inside; callers never see them.

use crate::error::Result;
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; it must be there.
    Read,
    /// For reading, one of many; it must be there, and stay as long as it is. The disk may close its descriptor between reads and open
    /// it again by name, so that there may be more such files than descriptors. One that is removed or renamed stays readable.
    Pooled,
    /// As `Pooled`, through the page cache, in memory, where the disk can: a file that gets
    /// shorter, or a device that fails to read, may end the process.
    Map,
    /// For reading and writing; it must be there.
    ReadWrite,
    /// For reading and writing; it must not be there yet.
    Create,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Bytes.
    pub len: u64,
    /// True for a directory.
    pub is_dir: bool,
    /// Number that tells this file from its copies (the inode).
    pub identity: u64,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name, without the directory. Names that are not UTF-8 are given lossily.
    pub name: String,
    /// What it stands for.
    pub stat: Stat,
}

/// One write of [`File::write_many`].
#[derive(Debug, Clone, Copy)]
pub struct Write<'a> {
    /// Where, bytes.
    pub offset: u64,
    /// What; aligned, whole blocks.
    pub data: &'a [u8],
}

/// What is done with the bytes that have arrived so far.
pub type Arrived<'a> = dyn FnMut(&mut [u8]) -> ControlFlow<()> + 'a;

/// A held lock on a file; released when dropped (and by the kernel when the process ends).
pub trait FileLock: Send + Sync + Debug {
    /// The name that was locked. It does not keep the lock.
    fn name(&self) -> Arc<dyn LockedName>;
}

/// The name of a file that was locked.
pub trait LockedName: Send + Sync + Debug {
    /// Makes sure that the name still is that of the file that was locked.
    ///
    /// # Errors
    /// Kind `Moved` when it is not; otherwise as the operating system says.
    fn verify(&self) -> Result<()>;

    /// Makes sure that `dir`, the directory of the lock or one below it, is the one that had this name at the first call, for as long as the
    /// lock is held. A disk whose directories nobody else moves has nothing to compare.
    ///
    /// # Errors
    /// As [`LockedName::verify`].
    fn verify_dir(&self, _dir: &Path) -> Result<()> {
        Ok(())
    }
}

/// Files and directories.
pub trait Disk: Send + Sync + Debug {
    /// Opens a file.
    ///
    /// # Errors
    /// As the operating system says; kinds `NotFound`, `AlreadyExists`, `PermissionDenied`, `NoDescriptors` above all.
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>>;

    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// As the operating system says.
    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>>;

    /// What `path` stands for; `None` when there is nothing.
    ///
    /// # Errors
    /// As the operating system says.
    fn stat(&self, path: &Path) -> Result<Option<Stat>>;

    /// Creates one directory; its parent must be there.
    ///
    /// # Errors
    /// As the operating system says.
    fn create_dir(&self, dir: &Path) -> Result<()>;

    /// Renames a file, replacing what has the new name.
    ///
    /// # Errors
    /// As the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Removes a file. Whoever has it open goes on reading it.
    ///
    /// # Errors
    /// As the operating system says. Kind `NoDescriptors` when too many files that were removed are held open.
    fn remove(&self, path: &Path) -> Result<()>;

    /// Makes the names in `dir` durable.
    ///
    /// # Errors
    /// As the operating system says.
    fn sync_dir(&self, dir: &Path) -> Result<()>;

    /// Locks the file `path` (made if it is not there) for this process alone.
    ///
    /// # Errors
    /// Kind `Locked` when another open of the same file holds it; otherwise as the operating system says.
    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>>;

    /// The path that `path` stands for, whatever the working directory will be.
    ///
    /// # Errors
    /// When the working directory cannot be had.
    fn absolute(&self, path: &Path) -> Result<PathBuf> {
        Ok(path.to_owned())
    }

    /// Locks the file `path`, which must be there, together with others who do the same: no [`Disk::lock`] is held at the same time. A disk that
    /// has no such lock gives the other one.
    ///
    /// # Errors
    /// As [`Disk::lock`]; kind `NotFound`.
    fn lock_shared(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        self.lock(path)
    }

    /// Bytes that files under `dir` may still take, where that is known.
    fn free_bytes(&self, _dir: &Path) -> Option<u64> {
        None
    }

    /// What this disk had to do without (O_DIRECT, io_uring, ...), one sentence each with what to do about it.
    fn fallbacks(&self) -> Vec<String>;
}

/// An open file. All methods may be called from several threads.
pub trait File: Send + Sync + Debug {
    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// Kind `UnexpectedEof` when the file is shorter; otherwise as the operating system says.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()>;

    /// Fills `buf` from `offset` in pieces of `piece_len` bytes (whole blocks; the last may be shorter) and calls `arrived` after each
    /// with all of `buf` that is there by then. Further pieces are read meanwhile where the disk can. Ends early when `arrived`
    /// breaks; what lies behind the bytes that it was given last is unknown then.
    ///
    /// # Errors
    /// As [`File::read_at`], when the piece is due that could not be read.
    fn read_in_pieces(
        &self,
        offset: u64,
        buf: &mut [u8],
        piece_len: usize,
        arrived: &mut Arrived<'_>,
    ) -> Result<()>;

    /// Writes all of `data` at `offset`.
    ///
    /// # Errors
    /// As the operating system says.
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()>;

    /// Does all writes, in any order, many at once where the disk can; returns when all are done.
    ///
    /// # Errors
    /// The first error; then any of the writes may or may not have happened.
    fn write_many(&self, writes: &[Write<'_>]) -> Result<()>;

    /// Makes what was written (and the size needed to read it) durable.
    ///
    /// # Errors
    /// As the operating system says. A later success proves nothing about what was written before a failure.
    fn sync(&self) -> Result<()>;

    /// Size in bytes.
    ///
    /// # Errors
    /// As the operating system says.
    fn size(&self) -> Result<u64>;

    /// Makes the file at least `size` bytes long with space reserved for all of it; new bytes read as zeros.
    /// Not to be called while another thread writes behind the end of the file: a refusal cuts the file back to its size before.
    ///
    /// # Errors
    /// Kinds `DiskFull` and `FileTooLarge` when there is no room; nothing that was there is changed.
    fn allocate(&self, size: u64) -> Result<()>;

    /// Cuts the file to `size` bytes, which gives back the space behind them. A crash before the next sync may leave it as long as it was.
    /// Not to be called while others read or write behind `size`.
    ///
    /// # Errors
    /// As the operating system says.
    fn truncate(&self, size: u64) -> Result<()>;
}
