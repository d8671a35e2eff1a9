//! Raw synced writes: one aligned 4 KiB O_DIRECT write and an fdatasync, on a file that was written before.

use crate::engine::Outcome;
use slotcask_io::AlignedBuf;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Bytes of one write.
pub const BLOCK: usize = 4096;
/// Bytes of the file that raw loops go round in.
pub const FILE_SIZE: u64 = 64 << 20;
/// How long the probe rests between two syncs: long enough to leave the device to the engine, short enough to see
/// most of what the device does.
const PROBE_PAUSE: Duration = Duration::from_millis(1);

/// A file whose extents are written, opened with O_DIRECT where the file system takes it.
#[derive(Debug)]
pub struct RawFile {
    file: File,
    size: u64,
    direct: bool,
}

impl RawFile {
    /// Writes `size` bytes of zeros to `path`, syncs them, and opens the file.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn create(path: &Path, size: u64) -> Outcome<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        let (file, direct) = match options.clone().custom_flags(libc::O_DIRECT).open(path) {
            Ok(file) => (file, true),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                (options.open(path)?, false)
            }
            Err(error) => return Err(error.into()),
        };
        let chunk = AlignedBuf::zeroed(size.min(1 << 20) as usize);
        let mut offset = 0;
        while offset < size {
            file.write_all_at(&chunk, offset)?;
            offset += chunk.len() as u64;
        }
        file.sync_all()?;
        Ok(Self { file, size: offset, direct })
    }

    /// Whether O_DIRECT was taken.
    #[must_use]
    pub const fn is_direct(&self) -> bool {
        self.direct
    }

    /// Writes whole blocks at `offset`, taken round the end of the file, and syncs.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn write_and_sync(&self, offset: u64, blocks: &[u8]) -> Outcome<()> {
        let last = self.size - blocks.len() as u64;
        let offset = if last == 0 { 0 } else { offset % (last + 1) / BLOCK as u64 * BLOCK as u64 };
        self.file.write_all_at(blocks, offset)?;
        Ok(self.file.sync_data()?)
    }
}

/// Synced 4 KiB writes, one after the other, for `time`; returns how many a second.
///
/// # Errors
/// As the operating system says.
pub fn sync_loop(file: &RawFile, time: Duration) -> Outcome<f64> {
    let mut block = AlignedBuf::zeroed(BLOCK);
    let start = Instant::now();
    let mut written: u64 = 0;
    while start.elapsed() < time {
        block[..8].copy_from_slice(&written.to_le_bytes());
        file.write_and_sync(written * BLOCK as u64, &block)?;
        written += 1;
    }
    Ok(written as f64 / start.elapsed().as_secs_f64())
}

/// Syncs now and then until `stop`; returns the longest write and sync that it saw, and how many it made.
///
/// # Errors
/// As the operating system says.
pub fn longest_sync(file: &RawFile, stop: &AtomicBool) -> Outcome<(Duration, u64)> {
    let mut block = AlignedBuf::zeroed(BLOCK);
    let mut longest = Duration::ZERO;
    let mut syncs: u64 = 0;
    while !stop.load(Ordering::Relaxed) {
        block[..8].copy_from_slice(&syncs.to_le_bytes());
        let start = Instant::now();
        file.write_and_sync(syncs * BLOCK as u64, &block)?;
        longest = longest.max(start.elapsed());
        syncs += 1;
        std::thread::sleep(PROBE_PAUSE);
    }
    Ok((longest, syncs))
}
