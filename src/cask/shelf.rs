//! Reading records by their place: from flushes that are not written yet, from the cache, from files.

use crate::error::{Error, Result};
use crate::shard::ShardState;
use crate::store::ManifestWitness;
use slotcask_cask::{Cache, CacheKey, CachedRecord, CaskError, Location};
use slotcask_format::checksum::Seed;
use slotcask_format::file_name::ShardFile;
use slotcask_format::record::{self, RecordKind};
use slotcask_io::Disk;
use slotcask_log::{Files, ShardLog};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the records of one shard's cask tables are read.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub shard: u32,
    pub dir: PathBuf,
    pub disk: Arc<dyn Disk>,
    pub files: Arc<Files>,
    pub seed: Seed,
    pub cache: Cache,
    /// In a store that is open for reading, which a writer may not have been kept out of.
    pub witness: Option<ManifestWitness>,
}

impl Shelf {
    /// The record at `at`, or None when its file is gone: then the keydir knows a newer place.
    pub(crate) fn read(
        &self,
        log: Option<&ShardLog<ShardState>>,
        key: CacheKey,
        at: Location,
    ) -> Result<Option<CachedRecord>> {
        if let Some(found) = self.cache.get(key, at) {
            return Ok(Some(found));
        }
        let found = self.read_uncached(log, at)?;
        if let Some((found, true)) = &found {
            self.cache.insert(key, at, found);
        }
        Ok(found.map(|(found, _)| found))
    }

    /// As [`Shelf::read`], of a record that nobody will ask for again; with whether it was on disk.
    pub(crate) fn read_uncached(
        &self,
        log: Option<&ShardLog<ShardState>>,
        at: Location,
    ) -> Result<Option<(CachedRecord, bool)>> {
        if let Some(found) = self.read_unflushed(log, at)? {
            return Ok(Some((found, false)));
        }
        let Some(file) = self.files.get(at.generation()) else { return Ok(None) };
        let found = slotcask_cask::read_record(&*file, at, self.seed)
            .map_err(|error| self.error(at, error))?;
        if !self.files.can_hold(at.generation(), found.sequence()) {
            let reason =
                format!("a record of sequence {}, which is not of this file", found.sequence());
            return Err(self.corrupt(at, at.offset(), reason));
        }
        Ok(Some((found, true)))
    }

    /// The record at `at` if it is not on disk yet.
    pub(crate) fn read_unflushed(
        &self,
        log: Option<&ShardLog<ShardState>>,
        at: Location,
    ) -> Result<Option<CachedRecord>> {
        let Some(log) = log else { return Ok(None) };
        let mut bytes = Vec::new();
        if log.read_unflushed(at.generation(), at.offset(), at.size_max(), &mut bytes) {
            return self.decode(at, &bytes).map(Some);
        }
        Ok(None)
    }

    fn decode(&self, at: Location, bytes: &[u8]) -> Result<CachedRecord> {
        let corrupt = |reason: String| self.corrupt(at, at.offset(), reason);
        let (found, _) = record::decode(self.seed, bytes)
            .map_err(|reason| corrupt(format!("a record in memory: {reason}")))?;
        if found.kind != RecordKind::Put {
            return Err(corrupt(format!("a record of kind {:?} instead of a value", found.kind)));
        }
        CachedRecord::of(&found, bytes).map_err(|reason| corrupt(reason.to_string()))
    }

    /// A good record that is not the one that was written there.
    #[cold]
    pub(crate) fn misplaced(&self, at: Location) -> Error {
        let reason = "a record stands here that was written elsewhere".to_owned();
        self.corrupt(at, at.offset(), reason)
    }

    /// A record whose file went although its key still points there.
    #[cold]
    pub(crate) fn absent(&self, at: Location) -> Error {
        self.corrupt(at, at.offset(), "the file is not there".to_owned())
    }

    /// A record that is not what it should be: damage, or a file that a writer whom no lock kept out has used again.
    #[cold]
    fn corrupt(&self, at: Location, offset: u64, reason: String) -> Error {
        self.overtaken().unwrap_or_else(|| Error::corrupt(&self.path(at), offset, reason))
    }

    /// What a read that failed answers when a writer whom no lock kept out has written since.
    fn overtaken(&self) -> Option<Error> {
        let witness = self.witness.as_ref().filter(|witness| witness.has_changed())?;
        Some(Error::Locked { path: witness.root.clone() })
    }

    /// The file's path, asked for only by errors.
    pub(crate) fn path(&self, at: Location) -> PathBuf {
        let merged = self.dir.join(ShardFile::Data(at.generation()).name());
        match self.disk.stat(&merged) {
            Ok(Some(_)) => merged,
            _ => self.dir.join(ShardFile::Segment(at.generation()).name()),
        }
    }

    pub(crate) fn error(&self, at: Location, error: CaskError) -> Error {
        match error {
            CaskError::Corrupt { offset, reason, .. } => self.corrupt(at, offset, reason),
            error => {
                let error = Error::of_cask(error, self.shard).refusing("a read");
                // A file without a descriptor is opened again by its name, which a writer may have taken away or given to another.
                let passes = error.is_out_of_resources();
                if passes { error } else { self.overtaken().unwrap_or(error) }
            }
        }
    }
}
