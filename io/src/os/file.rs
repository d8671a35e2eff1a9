//! One open file of the operating system.

use super::calls;
use super::disk::{RING_FAILED, Shared, ring_sentence};
use super::pieces::Pieces;
use crate::buffer::AlignedBuf;
use crate::disk::{Arrived, Write};
use crate::retry::{BLOCK, Finish, RawFile, uninterrupted};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Zeros are written in pieces of this many bytes where space cannot be reserved.
const ZEROS_LEN: usize = 1 << 20;

/// An open file and what its disk knows.
#[derive(Debug)]
pub(super) struct OsRaw {
    pub(super) fd: OwnedFd,
    pub(super) direct: bool,
    pub(super) shared: Arc<Shared>,
}

/// Refuses a write that ends past the limit of the process, which would raise SIGXFSZ.
fn within_limit(end: u64) -> io::Result<()> {
    if end > calls::size_limit() {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    Ok(())
}

impl OsRaw {
    /// Grows by writing zeros from the end of the file on.
    fn write_zeros(&self, size: u64) -> io::Result<()> {
        let mut at = self.len()?;
        let aligned = at.next_multiple_of(BLOCK as u64);
        if at != aligned && at < size {
            calls::ftruncate(self.fd.as_fd(), aligned)?;
            at = aligned;
        }
        let zeros = AlignedBuf::zeroed(ZEROS_LEN);
        while at < size {
            let len = usize::try_from(size - at).unwrap_or(ZEROS_LEN).min(ZEROS_LEN);
            let count = uninterrupted(|| calls::pwrite(self.fd.as_fd(), at, &zeros[..len]))?;
            let count = count - count % BLOCK;
            if count == 0 {
                return Err(io::Error::from_raw_os_error(libc::ENOSPC));
            }
            at += count as u64;
        }
        Ok(())
    }
}

impl RawFile for OsRaw {
    fn pread(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        calls::pread(self.fd.as_fd(), offset, buf)
    }

    fn pwrite(&self, offset: u64, data: &[u8]) -> io::Result<usize> {
        within_limit(offset.saturating_add(data.len() as u64))?;
        calls::pwrite(self.fd.as_fd(), offset, data)
    }

    fn fdatasync(&self) -> io::Result<()> {
        calls::fdatasync(self.fd.as_fd())
    }

    fn len(&self) -> io::Result<u64> {
        calls::identity(self.fd.as_fd()).map(|(_, _, len)| len)
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        let before = self.len()?;
        if size > before {
            within_limit(size)?;
        }
        if size == 0 {
            return Ok(());
        }
        // Repeated here, not by the caller, so that `before` stays the size before the first try.
        let done = match uninterrupted(|| calls::fallocate(self.fd.as_fd(), size)) {
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL)
                ) =>
            {
                self.write_zeros(size)
            }
            other => other,
        };
        if done.is_err()
            && size > before
            // A file system that runs out half-way may leave the file longer; a refusal changes nothing.
            && let Err(error) = calls::ftruncate(self.fd.as_fd(), before)
        {
            tracing::warn!(%error, "a file that could not be grown could not be cut back either");
        }
        done
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        if self.len()? > size { calls::ftruncate(self.fd.as_fd(), size) } else { Ok(()) }
    }

    fn is_direct(&self) -> bool {
        self.direct
    }

    fn pwrite_each(&self, writes: &[Write<'_>], results: &mut Vec<io::Result<usize>>) {
        let ends = writes.iter().map(|write| write.offset.saturating_add(write.data.len() as u64));
        // One write gains nothing from a ring; one past the limit must be refused before the kernel sees it.
        if writes.len() > 1
            && let Some(rings) = &self.shared.rings
            && within_limit(ends.max().unwrap_or(0)).is_ok()
        {
            match rings.write_each(self.fd.as_fd(), writes, results) {
                Ok(()) => return,
                Err(error) => {
                    self.shared.fall_back(RING_FAILED, || ring_sentence(&error));
                }
            }
        }
        // Writing again what a failed ring has written already changes nothing: same bytes, same place.
        results.extend(writes.iter().map(|write| self.pwrite(write.offset, write.data)));
    }

    fn pread_pieces(
        &self,
        offset: u64,
        buf: &mut [u8],
        piece_len: usize,
        finish: &mut Finish<'_>,
        arrived: &mut Arrived<'_>,
    ) -> io::Result<()> {
        read_pieces(&self.shared, self.fd.as_fd(), offset, buf, piece_len, finish, arrived)
    }
}

/// Reads in pieces, through a ring where there is one.
pub(super) fn read_pieces(
    shared: &Shared,
    fd: BorrowedFd<'_>,
    offset: u64,
    buf: &mut [u8],
    piece_len: usize,
    finish: &mut Finish<'_>,
    arrived: &mut Arrived<'_>,
) -> io::Result<()> {
    let ring = match &shared.rings {
        // One piece gains nothing from a ring.
        Some(rings) if buf.len() > piece_len => rings.take(),
        _ => None,
    };
    let mut pieces = Pieces::new(fd, ring, offset, buf, piece_len);
    let done = pieces.read(finish, arrived);
    let (ring, failed) = pieces.end();
    if let Some(rings) = &shared.rings {
        rings.give_back(ring);
    }
    if let Some(error) = failed {
        shared.fall_back(RING_FAILED, || ring_sentence(&error));
    }
    done
}
