//! What is in a shard's directory.

use crate::config::{LogConfig, LogIdent};
use crate::error::{LogError, Result};
use crate::manifest::{Listener, MANIFEST_SPARE, ManifestScan};
use crate::recovery::scan::ScanEnd;
use slotcask_format::file_name::{MERGE_RESERVE, ShardFile};
use slotcask_format::manifest::{DataOrigin, ManifestState, NUMBER_MAX};
use slotcask_format::mutants;
use slotcask_format::segment::SegmentHeader;
use slotcask_format::{BLOCK_SIZE, Reason};
use slotcask_io::{AlignedBuf, Env, File, IoErrorKind, OpenMode};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// A segment file that belongs to the log.
#[derive(Debug, Clone)]
pub(crate) struct FoundSegment {
    pub generation: u64,
    pub path: PathBuf,
    pub file: Arc<dyn File>,
    /// First sequence in it, once scanned.
    pub first_sequence: Option<u64>,
}

/// The log of a shard while it is being opened.
#[derive(Debug)]
pub struct Opening {
    pub(crate) env: Env,
    pub(crate) ident: LogIdent,
    pub(crate) config: LogConfig,
    pub(crate) manifest: ManifestScan,
    pub(crate) segments: Vec<FoundSegment>,
    pub(crate) spares: Vec<u64>,
    /// Generations of segment files that are no part of the log, and whether they have the size of one.
    pub(crate) stale: Vec<(u64, bool)>,
    /// Files that were being made. No record of the manifest names them, whichever of them a crash leaves as the last.
    pub(crate) leftovers: Vec<PathBuf>,
    /// Files that the last record does not name and one before it does.
    pub(crate) forgotten: Vec<PathBuf>,
    pub(crate) generation_highest: u64,
    /// The newest manifest record that the header of a segment names.
    pub(crate) manifest_named: u64,
    pub(crate) end: Option<ScanEnd>,
}

/// Generation of the manifest that a creation writes: each opening for writing has one of its own.
pub const FIRST_MANIFEST: u64 = 1;

impl Opening {
    /// Writes the first manifest of a new shard into its directory, which the caller has made.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn create(env: &Env, ident: &LogIdent, config: &LogConfig) -> Result<()> {
        let state = ManifestState {
            floor_sequence: 1,
            redo_sequence: 1,
            time_floor_ms: env.clock.wall_ms(),
            ..ManifestState::default()
        };
        crate::manifest::Manifest::create(
            env,
            ident,
            FIRST_MANIFEST,
            1,
            &state,
            manifest_size(config),
        )?;
        Ok(())
    }

    /// Lists the shard's directory, reads its manifest and checks that the segments which it lists are there.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] when something is missing or is not what its name says.
    pub fn read(env: &Env, ident: &LogIdent, config: &LogConfig) -> Result<Self> {
        Self::read_with(env, ident, config, &mut |_, _, _| {})
    }

    /// As [`Opening::read`]; `listener` gets every manifest record with its offset.
    ///
    /// # Errors
    /// As [`Opening::read`].
    pub fn read_with(
        env: &Env,
        ident: &LogIdent,
        config: &LogConfig,
        listener: &mut Listener<'_>,
    ) -> Result<Self> {
        let mut generations = Vec::new();
        let mut manifests = Vec::new();
        let mut spares = Vec::new();
        let mut leftovers = Vec::new();
        let (mut data, mut hints) = (Vec::new(), Vec::new());
        let entries = match env.disk.list(&ident.dir) {
            Err(error) if error.kind == IoErrorKind::NotFound => {
                let reason =
                    "the directory of this shard is not there: put it back, or restore the store";
                return Err(LogError::corrupt(&ident.dir, 0, reason));
            }
            listed => listed?,
        };
        for entry in entries {
            let parsed = ShardFile::parse(&entry.name);
            if let Some(
                ShardFile::Segment(number) | ShardFile::Manifest(number) | ShardFile::Spare(number),
            ) = parsed
                && number > NUMBER_MAX / 2
            {
                let reason = "no store gives files this number: move the file elsewhere";
                return Err(LogError::corrupt(&ident.dir.join(&entry.name), 0, reason));
            }
            match parsed {
                Some(ShardFile::Segment(generation)) => {
                    generations.push((generation, entry.stat.len))
                }
                Some(ShardFile::Manifest(generation)) => manifests.push(generation),
                Some(ShardFile::Spare(number)) if entry.stat.len == config.segment_size => {
                    spares.push(number)
                }
                // The next manifest is written there; a merge on a full disk here.
                Some(ShardFile::Temporary)
                    if entry.name == MANIFEST_SPARE || entry.name == MERGE_RESERVE => {}
                // A spare of another size was not finished.
                Some(ShardFile::Spare(_) | ShardFile::Temporary) => {
                    leftovers.push(ident.dir.join(&entry.name));
                }
                Some(ShardFile::Data(generation)) => data.push(generation),
                Some(ShardFile::Hint(generation)) => hints.push(generation),
                Some(ShardFile::Slots(_) | ShardFile::Map(_) | ShardFile::DoubleWrite) | None => {}
            }
        }
        generations.sort_unstable();
        let mut named = BTreeSet::new();
        let manifest =
            ManifestScan::read_with(env, ident, &manifests, &mut |header, offset, state| {
                named.extend(state.data.iter().map(|file| file.generation));
                listener(header, offset, state);
            })?;
        // What a merge wrote that the manifest never learned of, or has forgotten.
        let kept = &manifest.state.data;
        let origin_of = |generation| {
            let file = kept.iter().find(|file| file.generation == generation)?;
            Some(file.origin)
        };
        let highest = generations.iter().map(|(generation, _)| generation).chain(&data).max();
        let generation_highest = highest.copied().unwrap_or(0);
        data.retain(|generation| origin_of(*generation) != Some(DataOrigin::Merged));
        hints.retain(|generation| origin_of(*generation).is_none());
        let mut forgotten = Vec::new();
        let data = data.into_iter().map(|number| (number, ShardFile::Data(number)));
        for (number, file) in data.chain(hints.into_iter().map(|n| (n, ShardFile::Hint(n)))) {
            let list = if named.contains(&number) { &mut forgotten } else { &mut leftovers };
            list.push(ident.dir.join(file.name()));
        }
        generations.retain(|(generation, _)| origin_of(*generation) != Some(DataOrigin::Sealed));
        let mut opening = Self {
            env: env.clone(),
            ident: ident.clone(),
            config: config.clone(),
            generation_highest,
            manifest_named: 0,
            segments: Vec::new(),
            spares,
            stale: Vec::new(),
            leftovers,
            forgotten,
            end: None,
            manifest,
        };
        opening.find_segments(&generations)?;
        Ok(opening)
    }

    fn find_segments(&mut self, generations: &[(u64, u64)]) -> Result<()> {
        let listed = self.manifest.state.segments.clone();
        let path_of =
            |ident: &LogIdent, generation| ident.dir.join(ShardFile::Segment(generation).name());
        for generation in &listed {
            if !generations.iter().any(|(found, _)| found == generation)
                && !mutants::active("ignore_missing_segment")
            {
                let path = path_of(&self.ident, *generation);
                return Err(LogError::corrupt(
                    &path,
                    0,
                    "the manifest lists this segment and it is not there: put it back, or restore the store",
                ));
            }
        }
        for &(generation, len) in generations {
            let path = path_of(&self.ident, generation);
            let is_listed = listed.contains(&generation);
            let is_whole = len == self.config.segment_size;
            // Whatever the manifest knows of and does not list has left the log, or never was in it.
            if !is_listed && generation <= self.manifest.state.generation_last {
                self.stale.push((generation, is_whole));
                continue;
            }
            match self.open_segment(generation, len, &path) {
                Ok((file, named)) => {
                    self.manifest_named = self.manifest_named.max(named);
                    let first_sequence = None;
                    self.segments.push(FoundSegment { generation, path, file, first_sequence });
                }
                // A crash between a segment's rename and the manifest record that lists it leaves this.
                Err(LogError::Corrupt { .. }) if !is_listed => {
                    self.stale.push((generation, is_whole));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The file, and the manifest record that its header names.
    fn open_segment(
        &self,
        generation: u64,
        len: u64,
        path: &std::path::Path,
    ) -> Result<(Arc<dyn File>, u64)> {
        if len != self.config.segment_size {
            let reason =
                Reason::Mismatch { what: "bytes", expected: self.config.segment_size, found: len };
            return Err(LogError::corrupt(path, 0, reason.to_string()));
        }
        let file = self.env.disk.open(path, OpenMode::Read)?;
        let mut block = AlignedBuf::zeroed(BLOCK_SIZE);
        file.read_at(0, &mut block)?;
        let mut named = 0;
        let reason = match SegmentHeader::decode(&block) {
            Ok(header) => {
                named = header.manifest_sequence.get();
                header.foreign(self.ident.store, self.ident.shard, generation)
            }
            Err(Reason::Version { supported, found }) => {
                return Err(LogError::Newer { path: path.to_owned(), found, supported });
            }
            Err(reason) => Some(reason),
        };
        match reason {
            None => Ok((file, named)),
            Some(reason) => Err(LogError::corrupt(path, 0, reason.to_string())),
        }
    }

    /// The open segments of the log that hold records, by generation, with the first sequence in each. After the scan.
    pub fn segment_files(&self) -> impl Iterator<Item = (u64, Arc<dyn File>, u64)> + '_ {
        self.segments.iter().filter_map(|segment| {
            Some((segment.generation, segment.file.clone(), segment.first_sequence?))
        })
    }

    /// Bytes of the log, from its oldest segment to its end. After the scan.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        let Some(end) = &self.end else { return 0 };
        let Some((newest, _)) = end.placed.last() else { return 0 };
        let full = (end.placed.len() as u64 - 1) * self.config.segment_size;
        full + end.ends.get(newest).copied().unwrap_or(0)
    }

    /// Segment files of the log, spares included.
    #[must_use]
    pub fn segment_file_count(&self) -> u64 {
        (self.segments.len() + self.spares.len()) as u64
    }

    /// What the manifest says.
    #[must_use]
    pub fn state(&self) -> &ManifestState {
        &self.manifest.state
    }

    /// What reading the manifest found.
    #[must_use]
    pub fn manifest(&self) -> &ManifestScan {
        &self.manifest
    }
}

/// Bytes of a new manifest file: small logs (tests) get small ones, so that replacing them is exercised.
pub(crate) fn manifest_size(config: &LogConfig) -> u64 {
    if config.segment_size < 1 << 20 { 8 * BLOCK_SIZE as u64 } else { 64 * BLOCK_SIZE as u64 }
}
