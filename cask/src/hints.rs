//! Hints: read, written, made anew.

use crate::CaskIdent;
use crate::data::{Frames, name_of, path_of, walk};
use crate::error::{CaskError, Result};
use crate::listing::Listing;
use slotcask_format::file_name::{ShardFile, TEMPORARY};
use slotcask_format::hint::{HintBytes, HintEntry, HintIdent, HintTables, decode_hint};
use slotcask_format::manifest::DataFileState;
use slotcask_format::record::Record;
use slotcask_io::{AlignedBuf, Env, File, IoError, IoErrorKind, OpenMode};
use std::path::Path;

/// Bytes of a hint that are written at once, whole blocks.
const PIECE_SIZE: usize = 512 << 10;

/// What the hint of a data file has to say of itself.
#[must_use]
pub fn hint_of(ident: &CaskIdent, file: &DataFileState) -> HintIdent {
    HintIdent {
        store: ident.store,
        shard: ident.shard,
        generation: file.generation,
        data_end: file.end,
        data_checksum: file.frame_checksum,
    }
}

/// The hint of a data file; `None`, with a line in the log, when there is none that can be read and believed.
///
/// # Errors
/// When descriptors run out, or the file may not be opened.
pub fn read_hint(env: &Env, ident: &CaskIdent, file: &DataFileState) -> Result<Option<HintTables>> {
    let path = ident.dir.join(ShardFile::Hint(file.generation).name());
    let bytes = match read_whole(env, &path, file) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        // The medium fails there, and all that the hint says stands in the data file.
        Err(error) if matches!(error.kind, IoErrorKind::Other | IoErrorKind::UnexpectedEof) => {
            tracing::warn!(path = %path.display(), %error, "a hint that cannot be read is made anew");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    match decode_hint(&hint_of(ident, file), &bytes) {
        Ok(tables) => Ok(Some(tables)),
        Err(reason) => {
            tracing::warn!(path = %path.display(), %reason, "a hint that cannot be believed is made anew");
            Ok(None)
        }
    }
}

/// The bytes of a hint, if there is one of a size that a hint can have.
fn read_whole(
    env: &Env,
    path: &Path,
    file: &DataFileState,
) -> std::result::Result<Option<AlignedBuf>, IoError> {
    let hint = match env.disk.open(path, OpenMode::Read) {
        Ok(hint) => hint,
        Err(error) if error.kind == IoErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let size = hint.size()?;
    // A hint is never much larger than what it lists: records, and what range deletes removed.
    let size_max = (file.records + 64) * 2 * HintEntry::SIZE as u64 + file.end * 4 + (1 << 20);
    if size == 0 || size > size_max || !size.is_multiple_of(4096) {
        tracing::warn!(path = %path.display(), size, "a hint of an impossible size is made anew");
        return Ok(None);
    }
    let mut bytes = AlignedBuf::zeroed(size as usize);
    hint.read_at(0, &mut bytes)?;
    Ok(Some(bytes))
}

/// Writes the hint of a data file under its name; the caller syncs the directory.
///
/// # Errors
/// When the disk fails. What a failure leaves behind is removed here or at the next opening.
pub fn write_hint(
    env: &Env,
    ident: &CaskIdent,
    file: &DataFileState,
    tables: &HintTables,
) -> Result<()> {
    let of_file = hint_of(ident, file);
    let hint = HintBytes::of(&of_file, tables);
    let mut piece = AlignedBuf::zeroed(hint.size().min(PIECE_SIZE));
    let name = ShardFile::Hint(file.generation).name();
    let temporary = ident.dir.join(format!("{name}{TEMPORARY}"));
    let mut written = || -> Result<()> {
        if env.disk.stat(&temporary)?.is_some() {
            env.disk.remove(&temporary)?;
        }
        let out = env.disk.open(&temporary, OpenMode::Create)?;
        out.allocate(hint.size() as u64)?;
        hint.write_in(&mut piece, |offset, bytes| out.write_at(offset, bytes))?;
        out.sync()?;
        Ok(())
    };
    if let Err(error) = written() {
        let _ = env.disk.remove(&temporary);
        return Err(error);
    }
    env.disk.rename(&temporary, &ident.dir.join(name))?;
    Ok(())
}

/// Lists the records of a data file by reading all of it into `buf`, piece by piece. `holds` tells which records count; others are passed over.
///
/// # Errors
/// As [`walk`].
pub fn rebuild_hint(
    ident: &CaskIdent,
    frames: Frames<'_>,
    buf: &mut AlignedBuf,
    hash_seed: u64,
    mut holds: impl FnMut(&Record<'_>) -> bool,
) -> Result<(DataFileState, HintTables)> {
    let mut listing = Listing::new(frames.generation, frames.origin);
    let walked = walk(ident, frames, buf, |record, offset, bytes| {
        if holds(record) { listing.add(record, offset, bytes.len(), hash_seed) } else { Ok(()) }
    })?;
    Ok(listing.finish(frames.end, walked.frame_checksum))
}

/// Removes a data file and its hint, under whichever name it has.
///
/// # Errors
/// When the disk fails; what is not there is no failure.
pub fn remove_data(env: &Env, ident: &CaskIdent, file: &DataFileState) -> Result<()> {
    remove_hint(env, ident, file.generation)?;
    remove(env, ident, name_of(file.generation, file.origin))
}

/// Removes the hint of a data file.
///
/// # Errors
/// As [`remove_data`].
pub fn remove_hint(env: &Env, ident: &CaskIdent, generation: u64) -> Result<()> {
    remove(env, ident, ShardFile::Hint(generation))
}

fn remove(env: &Env, ident: &CaskIdent, file: ShardFile) -> Result<()> {
    match env.disk.remove(&ident.dir.join(file.name())) {
        Err(error) if error.kind != IoErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Opens a data file.
///
/// # Errors
/// When it is not there, which is corruption; errors of the disk.
pub fn open_data(
    env: &Env,
    ident: &CaskIdent,
    file: &DataFileState,
) -> Result<std::sync::Arc<dyn File>> {
    let path = path_of(ident, file.generation, file.origin);
    let mode = if ident.map { OpenMode::Map } else { OpenMode::Pooled };
    match env.disk.open(&path, mode) {
        Ok(file) => Ok(file),
        Err(error) if error.kind == IoErrorKind::NotFound => Err(CaskError::corrupt(
            &path,
            0,
            "the manifest lists this data file and it is not there: put it back, or restore the store",
        )),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotcask_format::StoreId;
    use slotcask_format::manifest::DataOrigin;
    use slotcask_io::SimDisk;
    use slotcask_io::sim::{SimOptions, env_of};

    #[test]
    fn a_hint_of_many_pieces_is_read_again() {
        let env = env_of(1, &SimDisk::new(SimOptions::default()));
        let dir = Path::new("/shard").to_owned();
        env.disk.create_dir(&dir).unwrap();
        let ident = CaskIdent { store: StoreId([3; 16]), shard: 0, dir, map: false };
        let entry = |number: u64| HintEntry {
            stored: (number << 20).into(),
            sequence: number.into(),
            deadline_ms: HintEntry::NO_DEADLINE.into(),
            offset_8: (number as u32).into(),
            stripe: 0.into(),
            kind: 1,
            size_code: 4,
        };
        let tables: HintTables = vec![(1, (1..50_000).map(entry).collect())];
        let file = DataFileState {
            generation: 4,
            origin: DataOrigin::Merged,
            end: 1 << 24,
            frame_checksum: 11,
            records: 50_000,
            sequence_min: 1,
            sequence_max: 50_000,
            epoch_min: 1,
            epoch_max: 1,
        };
        assert!(HintBytes::of(&hint_of(&ident, &file), &tables).size() > 3 * PIECE_SIZE);
        write_hint(&env, &ident, &file, &tables).unwrap();
        assert!(read_hint(&env, &ident, &file).unwrap() == Some(tables));
    }
}
