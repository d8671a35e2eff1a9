//! Space that a file without content holds, for what has to be written when nothing else is free.

use crate::disk::{Disk, OpenMode};
use crate::error::{IoError, Result};
use std::io;
use std::path::Path;

/// Bytes that the file at `path` holds; 0 when it is not there.
///
/// # Errors
/// As the operating system says.
pub fn held_bytes(disk: &dyn Disk, path: &Path) -> Result<u64> {
    Ok(disk.stat(path)?.map_or(0, |stat| stat.len))
}

/// Makes the file at `path`, or lengthens it, to hold `size` bytes, whole blocks. The caller syncs the directory. Where there is less nothing is
/// tried: a file system may give all it has before it says so, and nobody else finds any meanwhile.
///
/// # Errors
/// As the operating system says; kind `DiskFull` leaves what was held before.
pub fn hold(disk: &dyn Disk, path: &Path, size: u64) -> Result<()> {
    let there = disk.stat(path)?;
    let (is_there, held) = (there.is_some(), there.map_or(0, |stat| stat.len));
    let free = path.parent().and_then(|dir| disk.free_bytes(dir));
    if free.is_some_and(|free| free < size.saturating_sub(held)) {
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        return Err(IoError::from_os("hold space", path, &full));
    }
    let mode = if is_there { OpenMode::ReadWrite } else { OpenMode::Create };
    let file = disk.open(path, mode)?;
    let held = file.allocate(size).and_then(|()| file.sync());
    if held.is_err()
        && !is_there
        && let Err(error) = disk.remove(path)
    {
        tracing::warn!(%error, "a file that was to hold space could not be removed");
    }
    held
}

/// Gives up `bytes` of what the file at `path` holds, whole blocks, or all of it; false when it holds nothing.
///
/// # Errors
/// As the operating system says.
pub fn lend(disk: &dyn Disk, path: &Path, bytes: u64) -> Result<bool> {
    let held = held_bytes(disk, path)?;
    if held == 0 {
        return Ok(false);
    }
    disk.open(path, OpenMode::ReadWrite)?.truncate(held.saturating_sub(bytes))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::{held_bytes, hold, lend};
    use crate::sim::{OpFilter, OpKind};
    use crate::{IoErrorKind, OpenMode, SimOptions, sim_env};
    use std::path::Path;

    #[test]
    fn held_space_is_there_when_nothing_else_is() {
        let options = SimOptions { capacity_bytes: Some(16 << 12), ..SimOptions::default() };
        let (env, sim) = sim_env(1, options);
        let (disk, held) = (&*env.disk, Path::new("/held"));
        assert!(!lend(disk, held, 4096).unwrap());
        hold(disk, held, 8 << 12).unwrap();
        let file = disk.open(Path::new("/file"), OpenMode::Create).unwrap();
        file.allocate(8 << 12).unwrap();
        assert_eq!(file.allocate(9 << 12).unwrap_err().kind, IoErrorKind::DiskFull);
        let tried = || sim.op_count(OpFilter::Kind(OpKind::Allocate));
        let before = tried();
        assert_eq!(hold(disk, held, 9 << 12).unwrap_err().kind, IoErrorKind::DiskFull);
        assert_eq!(tried(), before, "others must not find the disk full meanwhile");
        assert_eq!(held_bytes(disk, held).unwrap(), 8 << 12);
        assert!(lend(disk, held, 4096).unwrap());
        file.allocate(9 << 12).unwrap();
        assert_eq!(held_bytes(disk, held).unwrap(), 7 << 12);
    }
}
