//! The manifest file of a shard: reading it, appending to it, replacing it.

use crate::config::LogIdent;
use crate::error::{LogError, Result};
use crate::segments::lending;
use slotcask_format::checksum::Seed;
use slotcask_format::file_name::{ShardFile, TEMPORARY};
use slotcask_format::manifest::{
    MANIFEST_DATA_OFFSET, MANIFEST_FILE_SIZE_MAX, ManifestHeader, ManifestRecordHeader,
    ManifestState, NUMBER_MAX, decode_record, encode_record, manifest_seed,
};
use slotcask_format::{BLOCK_SIZE, Reason};
use slotcask_io::{AlignedBuf, Env, File, IoErrorKind, OpenMode};
use std::path::PathBuf;
use std::sync::Arc;
use zerocopy::IntoBytes;

/// The file that the next manifest is written to, if it is there: the manifest before the newest one, so that a full disk
/// does not keep a shard from replacing its manifest.
pub(crate) const MANIFEST_SPARE: &str = "manifest-spare.tmp";

/// The manifest that is being appended to.
#[derive(Debug)]
pub(crate) struct Manifest {
    file: Arc<dyn File>,
    generation: u64,
    seed: Seed,
    offset: u64,
    size: u64,
    size_min: u64,
    pub sequence: u64,
    previous: u64,
}

/// What reading a manifest found.
#[derive(Debug, Clone)]
pub struct ManifestScan {
    /// Generation of the file.
    pub generation: u64,
    /// Its path.
    pub path: PathBuf,
    /// The state in the last valid record.
    pub state: ManifestState,
    /// Number of that record.
    pub sequence: u64,
    /// Offset behind it.
    pub end: u64,
    /// True when something stands behind it that is no valid record: a record that was being written.
    pub torn: bool,
    /// Older manifests that were left behind.
    pub older: Vec<PathBuf>,
}

/// One valid record, for those who want to see them all.
pub(crate) type Listener<'a> = dyn FnMut(&ManifestRecordHeader, u64, &ManifestState) + 'a;

impl ManifestScan {
    /// Reads the newest manifest of a shard. `generations` are the ones in its directory.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] when there is none, or a valid record stands behind a damaged one.
    pub fn read(env: &Env, ident: &LogIdent, generations: &[u64]) -> Result<Self> {
        Self::read_with(env, ident, generations, &mut |_, _, _| {})
    }

    pub(crate) fn read_with(
        env: &Env,
        ident: &LogIdent,
        generations: &[u64],
        listener: &mut Listener<'_>,
    ) -> Result<Self> {
        let path_of = |generation| ident.dir.join(ShardFile::Manifest(generation).name());
        let Some(&generation) = generations.iter().max() else {
            return Err(LogError::corrupt(
                &ident.dir,
                0,
                "no manifest is there: it was removed, or the shard's directory replaced",
            ));
        };
        let path = path_of(generation);
        let file = env.disk.open(&path, OpenMode::Read)?;
        let found = file.size()?;
        if found > MANIFEST_FILE_SIZE_MAX {
            let what = "bytes of a manifest file";
            let reason = Reason::Range { what, found, max: MANIFEST_FILE_SIZE_MAX };
            return Err(LogError::corrupt(&path, 0, reason.to_string()));
        }
        let size = found / BLOCK_SIZE as u64 * BLOCK_SIZE as u64;
        let mut bytes = AlignedBuf::zeroed(usize::try_from(size).unwrap_or(usize::MAX));
        file.read_at(0, &mut bytes)?;
        let bad = |at: u64, reason: Reason| match reason {
            Reason::Version { supported, found } => {
                LogError::Newer { path: path.clone(), found, supported }
            }
            reason => LogError::corrupt(&path, at, reason.to_string()),
        };
        ManifestHeader::decode(&bytes, ident.store, ident.shard, generation)
            .map_err(|reason| bad(0, reason))?;
        let seed = manifest_seed(ident.store, ident.shard, generation);
        let mut offset = MANIFEST_DATA_OFFSET as usize;
        let mut last: Option<(ManifestRecordHeader, ManifestState)> = None;
        let mut stopped = None;
        while offset < bytes.len() {
            match decode_record(seed, offset as u64, &bytes[offset..]) {
                Ok((header, state, size)) => {
                    let found = header.sequence.get();
                    if found > NUMBER_MAX {
                        let what = "manifest record number";
                        return Err(bad(
                            offset as u64,
                            Reason::Range { what, found, max: NUMBER_MAX },
                        ));
                    }
                    let (sequence, previous) =
                        last.as_ref().map_or((header.sequence.get(), 0), |(last, _)| {
                            (last.sequence.get() + 1, last.checksum.get())
                        });
                    for (what, expected, found) in [
                        ("manifest record number", sequence, header.sequence.get()),
                        ("checksum of the record before", previous, header.previous.get()),
                    ] {
                        if expected != found {
                            return Err(bad(
                                offset as u64,
                                Reason::Mismatch { what, expected, found },
                            ));
                        }
                    }
                    let state = ManifestState::decode(state)
                        .map_err(|reason| bad(offset as u64, reason))?;
                    if let Some(reason) = state.invalid() {
                        return Err(bad(offset as u64, reason));
                    }
                    listener(&header, offset as u64, &state);
                    last = Some((header, state));
                    offset += size;
                }
                Err(reason @ Reason::Version { .. }) => return Err(bad(offset as u64, reason)),
                Err(reason) => {
                    stopped = Some(reason);
                    break;
                }
            }
        }
        let Some((header, state)) = last else {
            let reason =
                stopped.map_or_else(|| "it is empty".to_owned(), |reason| reason.to_string());
            return Err(LogError::corrupt(&path, MANIFEST_DATA_OFFSET, reason));
        };
        // One record is in flight at most: a valid one further on proves that the damaged one was durable.
        let mut beyond = offset + BLOCK_SIZE;
        while beyond < bytes.len() {
            if decode_record(seed, beyond as u64, &bytes[beyond..]).is_ok() {
                let reason = stopped.map_or_else(String::new, |reason| reason.to_string());
                return Err(LogError::corrupt(
                    &path,
                    offset as u64,
                    format!("{reason}, yet a valid record stands behind it at {beyond}"),
                ));
            }
            beyond += BLOCK_SIZE;
        }
        // Blocks are compared as a whole, which takes a fraction of the time of a loop over bytes.
        let rest = &bytes[offset.min(bytes.len())..];
        let torn = rest.chunks(BLOCK_SIZE).any(|block| *block != [0; BLOCK_SIZE][..block.len()]);
        let older = generations
            .iter()
            .filter(|other| **other != generation)
            .map(|other| path_of(*other))
            .collect();
        Ok(Self {
            generation,
            sequence: header.sequence.get(),
            end: offset as u64,
            torn,
            older,
            state,
            path,
        })
    }
}

/// Bytes of the record of a state.
fn record_len(state: &ManifestState) -> u64 {
    slotcask_format::round_up(ManifestRecordHeader::SIZE + state.encode().len()) as u64
}

impl Manifest {
    /// Writes a manifest of a new generation that holds `state` as record `sequence`, and makes it the newest.
    ///
    /// # Errors
    /// When the disk fails; the manifests that were there stay as they are.
    pub(crate) fn create(
        env: &Env,
        ident: &LogIdent,
        generation: u64,
        sequence: u64,
        state: &ManifestState,
        size_min: u64,
    ) -> Result<Self> {
        // The next state may be a block longer.
        let room = record_len(state) + BLOCK_SIZE as u64;
        Self::create_named(env, ident, generation, sequence, state, (size_min, room))
            .map_err(|(error, _)| error)
    }

    /// As [`Manifest::create`]. The flag tells whether the new file may have its name by now: then the next opening may go by it,
    /// and nothing may be appended to the one before.
    fn create_named(
        env: &Env,
        ident: &LogIdent,
        generation: u64,
        sequence: u64,
        state: &ManifestState,
        (size_min, room): (u64, u64),
    ) -> std::result::Result<Self, (LogError, bool)> {
        let path = ident.dir.join(ShardFile::Manifest(generation).name());
        let temporary = path.with_extension(TEMPORARY.trim_start_matches('.'));
        let seed = manifest_seed(ident.store, ident.shard, generation);
        let (record, checksum) =
            encode_record(seed, MANIFEST_DATA_OFFSET, sequence, 0, &state.encode());
        let len = BLOCK_SIZE + record.len();
        let size_least = len as u64 + room;
        let size = size_min.max(4 * len as u64).max(size_least);
        // All of the file is written: a spare holds an old manifest.
        let whole = |size: u64| {
            let mut bytes = AlignedBuf::zeroed(size as usize);
            let header = ManifestHeader::new(ident.store, ident.shard, generation);
            bytes[..ManifestHeader::SIZE].copy_from_slice(header.as_bytes());
            bytes[BLOCK_SIZE..len].copy_from_slice(&record);
            bytes
        };
        let spare = ident.dir.join(MANIFEST_SPARE);
        let recycled = |fits: &dyn Fn(u64) -> bool| -> Result<Option<(Arc<dyn File>, u64)>> {
            match env.disk.open(&spare, OpenMode::ReadWrite) {
                Ok(file) => {
                    let found = file.size()? / BLOCK_SIZE as u64 * BLOCK_SIZE as u64;
                    if found > MANIFEST_FILE_SIZE_MAX || !fits(found) {
                        return Ok(None);
                    }
                    file.write_at(0, &whole(found))?;
                    file.sync()?;
                    Ok(Some((file, found)))
                }
                Err(error) if error.kind == IoErrorKind::NotFound => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        let written = || -> Result<(Arc<dyn File>, u64)> {
            if env.disk.stat(&temporary)?.is_some() {
                env.disk.remove(&temporary)?;
            }
            let file = env.disk.open(&temporary, OpenMode::Create)?;
            file.allocate(size)?;
            file.write_at(0, &whole(size))?;
            file.sync()?;
            Ok((file, size))
        };
        let harmless = |error: LogError| (error, false);
        let ((file, size), made) = match recycled(&|found| found == size).map_err(harmless)? {
            Some(file) => (file, &spare),
            None => match lending(env, ident, size, written) {
                Ok(file) => (file, &temporary),
                Err(error) => {
                    // Nothing names this file: what is left of it is removed now or at the next opening.
                    let _ = env.disk.remove(&temporary);
                    // On a full disk a smaller one does, if the next state fits behind this one.
                    let file = match error.is_out_of_resources() {
                        true => recycled(&|found| found >= size_least).map_err(harmless)?,
                        false => None,
                    };
                    (file.ok_or((error, false))?, &spare)
                }
            },
        };
        env.disk.rename(made, &path).map_err(|error| {
            let named = !error.is_out_of_resources();
            (error.into(), named)
        })?;
        env.disk.sync_dir(&ident.dir).map_err(|error| (error.into(), true))?;
        Ok(Self {
            file,
            generation,
            seed,
            offset: len as u64,
            size,
            size_min,
            sequence,
            previous: checksum,
        })
    }

    /// True when `state` does not fit behind the last record.
    pub(crate) fn is_full_for(&self, state: &ManifestState) -> bool {
        self.offset + record_len(state) > self.size
    }

    /// Replaces this manifest by a new generation that begins with `state`, the one of the last record, and has room for `next`. The flag of a
    /// failure tells whether it has touched anything that counts: if so the shard has to be poisoned.
    pub(crate) fn replace(
        &mut self,
        env: &Env,
        ident: &LogIdent,
        state: &ManifestState,
        next: &ManifestState,
    ) -> std::result::Result<(), (LogError, bool)> {
        let sizes = (self.size_min, record_len(next));
        let old = ident.dir.join(ShardFile::Manifest(self.generation).name());
        let generation = self.generation + 1;
        *self = Self::create_named(env, ident, generation, self.sequence, state, sizes)?;
        // Superseded already: if it cannot be renamed now, the next opening does it. Synced, so that the file is written to again
        // only under its new name.
        if let Err(error) = env.disk.rename(&old, &ident.dir.join(MANIFEST_SPARE)) {
            tracing::warn!(%error, "an old manifest could not be recycled");
        }
        env.disk.sync_dir(&ident.dir).map_err(|error| (error.into(), true))
    }

    /// Appends `state` and syncs. The caller made sure that there is room. After an error the shard is poisoned.
    pub(crate) fn append(&mut self, state: &ManifestState) -> Result<()> {
        let sequence = self.sequence + 1;
        let (bytes, checksum) =
            encode_record(self.seed, self.offset, sequence, self.previous, &state.encode());
        self.file.write_at(self.offset, &AlignedBuf::copy_of(&bytes))?;
        self.file.sync()?;
        self.offset += bytes.len() as u64;
        self.sequence = sequence;
        self.previous = checksum;
        Ok(())
    }
}
