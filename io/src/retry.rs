//! The loops that hide interrupted and short calls, shared by every disk.
//!
//! A disk implements [`RawFile`], whose calls may be interrupted or short as the kernel's are. [`RetryFile`] makes a
//! [`File`] of it. The simulated disk injects EINTR and short counts below this line, so that the loops that run in
//! production are the loops that are tested.

use crate::disk::{Arrived, File, Write};
use crate::error::{IoError, Result};
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

/// Granularity of offsets, lengths and buffer addresses, bytes.
pub(crate) const BLOCK: usize = 4096;

/// How often a call may return without progress before it counts as failed.
const STALLS_MAX: u32 = 1024;

/// One open file, one system call a method: may be interrupted, may do less than asked.
pub(crate) trait RawFile: Send + Sync + Debug {
    /// Reads at `offset`; returns how many bytes were read, 0 at the end of the file.
    fn pread(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
    /// Writes at `offset`; returns how many bytes were written.
    fn pwrite(&self, offset: u64, data: &[u8]) -> io::Result<usize>;
    /// Makes data and size durable.
    fn fdatasync(&self) -> io::Result<()>;
    /// Size in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Grows to at least `size` bytes with space reserved. May be interrupted; may be repeated.
    fn allocate(&self, size: u64) -> io::Result<()>;
    /// Cuts to `size` bytes if it is longer. May be interrupted; may be repeated.
    fn truncate(&self, size: u64) -> io::Result<()>;
    /// True when calls must start at whole blocks (O_DIRECT).
    fn is_direct(&self) -> bool;
    /// Tries each write once; `results` gets one entry a write, in order. No write is in flight on return.
    fn pwrite_each(&self, writes: &[Write<'_>], results: &mut Vec<io::Result<usize>>) {
        results.extend(writes.iter().map(|write| self.pwrite(write.offset, write.data)));
    }
    /// Reads as [`File::read_in_pieces`] says. What a try leaves undone is done by `finish`, which is given the offset and the whole
    /// piece. No read is in flight on return.
    fn pread_pieces(
        &self,
        offset: u64,
        buf: &mut [u8],
        piece_len: usize,
        finish: &mut Finish<'_>,
        arrived: &mut Arrived<'_>,
    ) -> io::Result<()> {
        let mut there = 0;
        while there < buf.len() {
            let end = buf.len().min(there + piece_len);
            finish(offset + there as u64, &mut buf[there..end])?;
            there = end;
            if arrived(&mut buf[..there]).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// Reads a whole piece, with repetitions.
pub(crate) type Finish<'a> = dyn FnMut(u64, &mut [u8]) -> io::Result<()> + 'a;

/// Repeats `call` while it is interrupted.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// How far one transfer of `len` bytes has come.
#[derive(Debug)]
struct Progress {
    len: usize,
    done: usize,
    stalls: u32,
    direct: bool,
}

impl Progress {
    const fn new(len: usize, direct: bool) -> Self {
        Self { len, done: 0, stalls: 0, direct }
    }

    const fn is_done(&self) -> bool {
        self.done >= self.len
    }

    /// Takes in the result of one call that was given everything from `done` on.
    fn step(&mut self, result: io::Result<usize>) -> io::Result<()> {
        let moved = match result {
            Ok(count) => {
                assert!(count <= self.len - self.done, "a call moved more than it was given");
                let reached = self.done + count;
                // O_DIRECT takes whole blocks only, so the piece of a block is done again.
                let reached = if self.direct && reached < self.len {
                    reached - reached % BLOCK
                } else {
                    reached
                };
                let moved = reached > self.done;
                self.done = reached;
                moved
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            // A ring cancels and defers writes for reasons that have nothing to do with them.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ECANCELED)) => {
                std::thread::yield_now();
                self.stall(error)?;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if moved || self.is_done() {
            self.stalls = 0;
            return Ok(());
        }
        self.stall(io::Error::other("the call makes no progress"))
    }

    fn stall(&mut self, error: io::Error) -> io::Result<()> {
        self.stalls += 1;
        if self.stalls > STALLS_MAX { Err(error) } else { Ok(()) }
    }
}

/// An open file whose calls do all of what they are asked for, or fail. Thread-safe when `R` is.
#[derive(Debug)]
pub(crate) struct RetryFile<R> {
    raw: R,
    path: PathBuf,
}

impl<R: RawFile> RetryFile<R> {
    pub(crate) fn new(raw: R, path: &Path) -> Self {
        Self { raw, path: path.to_owned() }
    }

    fn fail(&self, op: &'static str, error: &io::Error) -> IoError {
        IoError::from_os(op, &self.path, error)
    }

    fn read_all(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut progress = Progress::new(buf.len(), self.raw.is_direct());
        while !progress.is_done() {
            let done = progress.done;
            let result = self.raw.pread(offset + done as u64, &mut buf[done..]);
            if let Ok(count) = result
                && count < progress.len - done
                // A short count in the middle of a file is continued; one that reaches the end is the end.
                && offset + (done + count) as u64 >= uninterrupted(|| self.raw.len())?
            {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!(
                        "the file ends {} bytes before the end of what was asked for",
                        progress.len - done - count
                    ),
                ));
            }
            progress.step(result)?;
        }
        Ok(())
    }

    fn write_all(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut progress = Progress::new(data.len(), self.raw.is_direct());
        while !progress.is_done() {
            let done = progress.done;
            progress.step(self.raw.pwrite(offset + done as u64, &data[done..]))?;
        }
        Ok(())
    }

    fn write_each(&self, writes: &[Write<'_>]) -> io::Result<()> {
        let direct = self.raw.is_direct();
        let mut open: Vec<(usize, Progress)> = writes
            .iter()
            .enumerate()
            .map(|(index, write)| (index, Progress::new(write.data.len(), direct)))
            .filter(|(_, progress)| !progress.is_done())
            .collect();
        let mut round = Vec::with_capacity(open.len());
        let mut results = Vec::with_capacity(open.len());
        while !open.is_empty() {
            round.clear();
            round.extend(open.iter().map(|(index, progress)| {
                let write = &writes[*index];
                Write {
                    offset: write.offset + progress.done as u64,
                    data: &write.data[progress.done..],
                }
            }));
            results.clear();
            self.raw.pwrite_each(&round, &mut results);
            assert_eq!(results.len(), open.len(), "one result a write");
            for ((_, progress), result) in open.iter_mut().zip(results.drain(..)) {
                progress.step(result)?;
            }
            open.retain(|(_, progress)| !progress.is_done());
        }
        Ok(())
    }
}

/// Asserts the interface's rule on offsets, lengths and addresses.
fn assert_blocks(offset: u64, bytes: &[u8]) {
    assert!(offset.is_multiple_of(BLOCK as u64), "offset {offset} is not a whole block");
    assert!(bytes.len().is_multiple_of(BLOCK), "length {} is not whole blocks", bytes.len());
    assert!(
        bytes.is_empty() || bytes.as_ptr().addr().is_multiple_of(BLOCK),
        "the buffer is not aligned to blocks"
    );
}

impl<R: RawFile> File for RetryFile<R> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        assert_blocks(offset, buf);
        self.read_all(offset, buf).map_err(|error| self.fail("read", &error))
    }

    fn read_in_pieces(
        &self,
        offset: u64,
        buf: &mut [u8],
        piece_len: usize,
        arrived: &mut Arrived<'_>,
    ) -> Result<()> {
        assert_blocks(offset, buf);
        assert!(
            piece_len > 0 && piece_len.is_multiple_of(BLOCK),
            "{piece_len} is not whole blocks"
        );
        let mut finish = |offset, piece: &mut [u8]| self.read_all(offset, piece);
        self.raw
            .pread_pieces(offset, buf, piece_len, &mut finish, arrived)
            .map_err(|error| self.fail("read", &error))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        assert_blocks(offset, data);
        self.write_all(offset, data).map_err(|error| self.fail("write", &error))
    }

    fn write_many(&self, writes: &[Write<'_>]) -> Result<()> {
        for write in writes {
            assert_blocks(write.offset, write.data);
        }
        let done = match writes {
            [] => return Ok(()),
            [one] => self.write_all(one.offset, one.data),
            many => self.write_each(many),
        };
        done.map_err(|error| self.fail("write", &error))
    }

    fn sync(&self) -> Result<()> {
        uninterrupted(|| self.raw.fdatasync()).map_err(|error| self.fail("sync", &error))
    }

    fn size(&self) -> Result<u64> {
        uninterrupted(|| self.raw.len()).map_err(|error| self.fail("stat", &error))
    }

    fn allocate(&self, size: u64) -> Result<()> {
        assert!(size.is_multiple_of(BLOCK as u64), "size {size} is not whole blocks");
        uninterrupted(|| self.raw.allocate(size)).map_err(|error| self.fail("allocate", &error))
    }

    fn truncate(&self, size: u64) -> Result<()> {
        assert!(size.is_multiple_of(BLOCK as u64), "size {size} is not whole blocks");
        uninterrupted(|| self.raw.truncate(size)).map_err(|error| self.fail("truncate", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Progress};
    use std::io;

    fn errno(code: i32) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(code))
    }

    #[test]
    fn direct_transfers_go_on_at_whole_blocks() {
        let mut progress = Progress::new(3 * BLOCK, true);
        progress.step(Ok(BLOCK + 512)).unwrap();
        assert_eq!(progress.done, BLOCK);
        progress.step(Ok(2 * BLOCK)).unwrap();
        assert!(progress.is_done());
    }

    #[test]
    fn buffered_transfers_go_on_at_the_byte() {
        let mut progress = Progress::new(BLOCK, false);
        progress.step(Ok(100)).unwrap();
        assert_eq!(progress.done, 100);
        progress.step(Ok(BLOCK - 100)).unwrap();
        assert!(progress.is_done());
    }

    #[test]
    fn interruptions_and_cancellations_are_done_again_and_failures_are_not() {
        let mut progress = Progress::new(BLOCK, true);
        for code in [libc::EINTR, libc::EAGAIN, libc::ECANCELED] {
            progress.step(errno(code)).unwrap();
            assert_eq!(progress.done, 0);
        }
        assert_eq!(progress.step(errno(libc::EIO)).unwrap_err().raw_os_error(), Some(libc::EIO));
    }

    #[test]
    fn a_call_that_never_moves_fails_at_last() {
        let mut progress = Progress::new(BLOCK, true);
        let failed = (0..100_000).any(|_| progress.step(Ok(0)).is_err());
        assert!(failed, "zero-byte writes go on for ever");
        let mut progress = Progress::new(BLOCK, true);
        let failed = (0..100_000).any(|_| progress.step(errno(libc::EAGAIN)).is_err());
        assert!(failed, "EAGAIN goes on for ever");
    }
}
