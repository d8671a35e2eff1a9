//! Tools on the directory of a store that is not open for writing: check, dump, repair.

mod check;
mod dump;
mod repair;

pub use check::{CheckReport, Finding, Severity, check};
pub use dump::{dump_log, dump_manifest, dump_slots};
pub use repair::{RepairPlan, repair};

use crate::error::{Error, Result};
use slotcask_format::{BLOCK_SIZE, Reason};
use slotcask_io::{AlignedBuf, File};
use std::path::Path;

/// Reads a small file whole, the one of that path.
///
/// # Errors
/// [`Error::Corrupt`] when it is longer than `size_max`: nobody asks for as much memory as a damaged length says.
pub(crate) fn read_whole(file: &dyn File, path: &Path, size_max: u64) -> Result<AlignedBuf> {
    let found = file.size()?;
    if found > size_max {
        let what = "bytes of the file";
        return Err(refuse(path, 0, Reason::Range { what, found, max: size_max }));
    }
    read_front(file, size_max)
}

/// Reads whole blocks from the front of a file, up to `size_max` bytes.
pub(crate) fn read_front(file: &dyn File, size_max: u64) -> Result<AlignedBuf> {
    let size = file.size()?.min(size_max);
    let whole = usize::try_from(size).unwrap_or(usize::MAX) / BLOCK_SIZE * BLOCK_SIZE;
    let mut bytes = AlignedBuf::zeroed(whole.max(BLOCK_SIZE));
    if whole == 0 {
        bytes.set_len(0);
    } else {
        file.read_at(0, &mut bytes)?;
    }
    Ok(bytes)
}

/// The error for a file that is not what it should be.
pub(crate) fn refuse(path: &Path, at: u64, reason: Reason) -> Error {
    match reason {
        Reason::Version { .. } | Reason::Unknown { what: "required features", .. } => {
            Error::NewerFormat { path: path.to_owned(), reason: reason.to_string() }
        }
        Reason::Magic { .. } => {
            let reason = format!(
                "the file {:?} is not slotcask's ({reason})",
                path.file_name().unwrap_or_default()
            );
            Error::NotAStore { path: path.parent().unwrap_or(path).to_owned(), reason }
        }
        reason => Error::corrupt(path, at, reason.to_string()),
    }
}
