//! A file of the operating system that is read through the pool of descriptors, or in memory.

use super::calls;
use super::disk::{NO_MAP, Shared};
use super::file::read_pieces;
use super::mapping::Mapping;
use super::pool::PooledFd;
use crate::disk::Arrived;
use crate::retry::{Finish, RawFile};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

/// Reads of mapped files up to this length are copies.
const MAP_READ_MAX: usize = 64 << 10;

/// A file that is only read and stays as it is.
#[derive(Debug)]
pub(super) struct PooledRaw {
    fd: Arc<PooledFd>,
    len: u64,
    direct: bool,
    /// The file in memory, if it was opened so.
    map: Option<Mapping>,
    shared: Arc<Shared>,
}

impl PooledRaw {
    pub(super) fn new(fd: Arc<PooledFd>, direct: bool, shared: Arc<Shared>) -> io::Result<Self> {
        let (_, _, len) = calls::identity(fd.borrow()?.as_fd())?;
        Ok(Self { fd, len, direct, map: None, shared })
    }

    /// The file with all of it in memory; as it is where that cannot be.
    pub(super) fn mapped(mut self, path: &Path) -> Self {
        // Nothing cannot be mapped, and has nothing to be read.
        if self.len == 0 {
            return self;
        }
        match self.fd.borrow().and_then(|fd| Mapping::new(fd.as_fd(), self.len)) {
            Ok(map) => self.map = Some(map),
            Err(error) => self.shared.fall_back(NO_MAP, || {
                format!(
                    "{} cannot be mapped ({error}) and is read by system calls: raise vm.max_map_count or the limit on address space",
                    path.display()
                )
            }),
        }
        self
    }
}

fn read_only<T>() -> io::Result<T> {
    Err(io::Error::from_raw_os_error(libc::EBADF))
}

impl RawFile for PooledRaw {
    fn pread(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        match &self.map {
            // Long reads go on from one to the next, which the kernel sees and reads ahead.
            Some(map) if buf.len() <= MAP_READ_MAX => Ok(map.read(offset, buf)),
            _ => calls::pread(self.fd.borrow()?.as_fd(), offset, buf),
        }
    }

    fn pwrite(&self, _offset: u64, _data: &[u8]) -> io::Result<usize> {
        read_only()
    }

    fn fdatasync(&self) -> io::Result<()> {
        calls::fdatasync(self.fd.borrow()?.as_fd())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn allocate(&self, _size: u64) -> io::Result<()> {
        read_only()
    }

    fn truncate(&self, _size: u64) -> io::Result<()> {
        read_only()
    }

    fn is_direct(&self) -> bool {
        self.direct
    }

    fn pread_pieces(
        &self,
        offset: u64,
        buf: &mut [u8],
        piece_len: usize,
        finish: &mut Finish<'_>,
        arrived: &mut Arrived<'_>,
    ) -> io::Result<()> {
        let fd = self.fd.borrow()?;
        read_pieces(&self.shared, fd.as_fd(), offset, buf, piece_len, finish, arrived)
    }
}
