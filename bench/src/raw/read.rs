//! Raw reads with O_DIRECT: random ones of whole blocks, and sequential ones of a megabyte.

use super::disk::BLOCK;
use crate::engine::Outcome;
use crate::measure::rate_by_threads;
use crate::workload::mix;
use slotcask_io::AlignedBuf;
use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes written, and read in sequence, at once.
const CHUNK: usize = 1 << 20;
/// Threads of a sequential read beside an opening: as many as the default store has shards on two processors.
pub const SEQUENTIAL_THREADS: u64 = 2;

/// A file of random bytes, opened with O_DIRECT where the file system takes it.
#[derive(Debug)]
pub struct ReadFile {
    file: File,
    size: u64,
}

impl ReadFile {
    /// Writes at least `size` random bytes to `path`, syncs them, and opens the file.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn create(path: &Path, size: u64) -> Outcome<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        let file = match options.clone().custom_flags(libc::O_DIRECT).open(path) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => options.open(path)?,
            opened => opened?,
        };
        let mut chunk = AlignedBuf::zeroed(CHUNK);
        for (number, word) in chunk.chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&mix(number as u64).to_le_bytes());
        }
        let mut offset = 0;
        while offset < size {
            chunk[..8].copy_from_slice(&offset.to_le_bytes());
            file.write_all_at(&chunk, offset)?;
            offset += CHUNK as u64;
        }
        file.sync_all()?;
        Ok(Self { file, size: offset })
    }

    /// Reads of `len` bytes, rounded up to whole blocks, at random blocks by `depth` threads for `time`; reads a second.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn rate(&self, depth: u64, len: usize, seed: u64, time: Duration) -> Outcome<f64> {
        thread_local! {
            static BUF: RefCell<AlignedBuf> = RefCell::new(AlignedBuf::zeroed(CHUNK));
        }
        let len = len.next_multiple_of(BLOCK);
        let places = (self.size - len as u64) / BLOCK as u64 + 1;
        rate_by_threads(depth, seed, time, |_, random| {
            let offset = random.below(places) * BLOCK as u64;
            BUF.with_borrow_mut(|buf| self.file.read_exact_at(&mut buf[..len], offset))?;
            Ok(())
        })
    }

    /// Reads the whole file once in sequence, each of `threads` threads its part; bytes a second.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn sequential(&self, threads: u64) -> Outcome<f64> {
        let chunks = self.size / CHUNK as u64;
        let start = Instant::now();
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..threads)
                .map(|thread| {
                    scope.spawn(move || -> std::io::Result<()> {
                        let mut buf = AlignedBuf::zeroed(CHUNK);
                        for chunk in chunks * thread / threads..chunks * (thread + 1) / threads {
                            self.file.read_exact_at(&mut buf, chunk * CHUNK as u64)?;
                        }
                        Ok(())
                    })
                })
                .collect();
            for reader in readers {
                reader.join().map_err(|_| "a reading thread panicked")??;
            }
            Ok(self.size as f64 / start.elapsed().as_secs_f64())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = ReadFile::create(&dir.path().join("raw"), 3 << 20).unwrap();
        assert!(file.sequential(2).unwrap() > 0.0);
        assert!(file.rate(2, 100, 1, Duration::from_millis(5)).unwrap() > 0.0);
    }
}
