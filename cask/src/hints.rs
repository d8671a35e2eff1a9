//! Hints: read, written, made anew.

use crate::CaskIdent;
use crate::data::{Frames, name_of, path_of, walk};
use crate::error::{CaskError, Result};
use crate::hash::{KeyHash, STRIPE_BITS};
use crate::location::Location;
use crate::sorting::Sorting;
use slotcask_format::file_name::{ShardFile, TEMPORARY};
use slotcask_format::hint::{
    HintEntry, HintIdent, HintTables, decode_hint, encode_hint_in, hint_size,
};
use slotcask_format::manifest::{DataFileState, DataOrigin};
use slotcask_format::mutants;
use slotcask_format::record::{Record, RecordKind, deadline_of};
use slotcask_io::{AlignedBuf, Env, File, IoErrorKind, OpenMode};
use std::collections::BTreeMap;

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

/// The hint of a data file; `None`, with a line in the log, when there is none that can be believed.
///
/// # Errors
/// When the disk fails.
pub fn read_hint(env: &Env, ident: &CaskIdent, file: &DataFileState) -> Result<Option<HintTables>> {
    let path = ident.dir.join(ShardFile::Hint(file.generation).name());
    let hint = match env.disk.open(&path, OpenMode::Read) {
        Ok(hint) => hint,
        Err(error) if error.kind == IoErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
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
    match decode_hint(&hint_of(ident, file), &bytes) {
        Ok(tables) => Ok(Some(tables)),
        Err(reason) => {
            tracing::warn!(path = %path.display(), %reason, "a hint that cannot be believed is made anew");
            Ok(None)
        }
    }
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
    let mut bytes = AlignedBuf::zeroed(hint_size(tables));
    encode_hint_in(&hint_of(ident, file), tables, &mut bytes);
    let name = ShardFile::Hint(file.generation).name();
    let temporary = ident.dir.join(format!("{name}{TEMPORARY}"));
    let written = || -> Result<()> {
        if env.disk.stat(&temporary)?.is_some() {
            env.disk.remove(&temporary)?;
        }
        let out = env.disk.open(&temporary, OpenMode::Create)?;
        out.allocate(bytes.len() as u64)?;
        out.write_at(0, &bytes)?;
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

/// Lists the records of a data file by reading all of it. `is_cask` tells which tables are cask tables; records of others are passed over.
///
/// # Errors
/// As [`walk`].
pub fn rebuild_hint(
    ident: &CaskIdent,
    frames: Frames<'_>,
    hash_seed: u64,
    mut holds: impl FnMut(&Record<'_>) -> bool,
) -> Result<(DataFileState, HintTables)> {
    let mut listing = Listing::new(frames.generation, frames.origin);
    let walked = walk(ident, frames, |record, offset, bytes| {
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

/// Gathers what a hint and a manifest say about a data file.
#[derive(Debug)]
pub(crate) struct Listing {
    state: DataFileState,
    tables: BTreeMap<u32, Vec<HintEntry>>,
}

impl Listing {
    pub(crate) fn new(generation: u64, origin: DataOrigin) -> Self {
        let state = DataFileState {
            generation,
            origin,
            end: 0,
            frame_checksum: 0,
            records: 0,
            sequence_min: u64::MAX,
            sequence_max: 0,
            epoch_min: u32::MAX,
            epoch_max: 0,
        };
        Self { state, tables: BTreeMap::new() }
    }

    pub(crate) fn add(
        &mut self,
        record: &Record<'_>,
        offset: u64,
        size: usize,
        hash_seed: u64,
    ) -> Result<()> {
        let generation = self.state.generation;
        let at = Location::new(generation, offset, size).ok_or(CaskError::Place {
            generation,
            offset,
            size,
        })?;
        let corrupt = |reason| CaskError::corrupt(std::path::Path::new(""), offset, reason);
        let one = [KeyHash::of(hash_seed, record.key)];
        let many: Vec<KeyHash>;
        let hashes = match record.kind {
            RecordKind::RangeDelete if mutants::active("hint_omits_range_deletes") => {
                return Ok(());
            }
            RecordKind::Put | RecordKind::Delete | RecordKind::Expire => &one[..],
            RecordKind::RangeDelete => match KeyHash::removed_by(record).map_err(corrupt)? {
                Some(removed) => {
                    many = removed.collect();
                    &many
                }
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        let deadline = deadline_of(record.extension).map_err(corrupt)?;
        let state = &mut self.state;
        state.records += 1;
        state.sequence_min = state.sequence_min.min(record.sequence);
        state.sequence_max = state.sequence_max.max(record.sequence);
        state.epoch_min = state.epoch_min.min(record.epoch);
        state.epoch_max = state.epoch_max.max(record.epoch);
        self.tables.entry(record.table).or_default().extend(hashes.iter().map(|hash| HintEntry {
            stored: hash.stored.into(),
            sequence: record.sequence.into(),
            deadline_ms: deadline.unwrap_or(HintEntry::NO_DEADLINE).into(),
            offset_8: ((offset / 8) as u32).into(),
            stripe: hash.stripe.into(),
            kind: record.kind as u8,
            size_code: at.code(),
        }));
        Ok(())
    }

    pub(crate) fn finish(mut self, end: u64, frame_checksum: u64) -> (DataFileState, HintTables) {
        self.state.end = end;
        self.state.frame_checksum = frame_checksum;
        if self.state.records == 0 {
            self.state.sequence_min = 0;
            self.state.epoch_min = 0;
        }
        let mut sorting = Sorting::default();
        let bits = |entry: &HintEntry| {
            u64::from(entry.stripe.get()) << (u64::BITS - STRIPE_BITS)
                | entry.stored.get() >> STRIPE_BITS
        };
        let sorted = self.tables.into_iter().map(|(table, mut entries)| {
            sorting.sort(&mut entries, bits, HintEntry::rank);
            (table, entries)
        });
        (self.state, sorted.collect())
    }
}
