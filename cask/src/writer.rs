//! Writing the output of a merge.

use crate::CaskIdent;
use crate::error::CaskError;
use crate::error::Result;
use crate::hints::{open_data, write_hint};
use crate::listing::Listing;
use crate::load::FileFigures;
use crate::location::Location;
use slotcask_format::file_name::{MERGE_RESERVE, ShardFile, TEMPORARY};
use slotcask_format::flush::{FLUSH_MAGIC, FLUSH_MERGED, FlushHeader, flush_seed};
use slotcask_format::manifest::{DataFileState, DataOrigin};
use slotcask_format::record::Record;
use slotcask_format::segment::{SEGMENT_DATA_OFFSET, SegmentHeader};
use slotcask_format::{BLOCK_SIZE, FORMAT_VERSION, mutants, round_up};
use slotcask_io::{AlignedBuf, Env, File, OpenMode};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

/// Bytes of a frame, unless one record is larger.
const FRAME_SIZE: usize = 256 << 10;

/// A data file that was written, synced and named; the manifest does not know it yet.
#[derive(Debug)]
pub struct Output {
    /// What the manifest will say.
    pub state: DataFileState,
    /// What it holds.
    pub figures: FileFigures,
    /// The file, open for reading.
    pub file: Arc<dyn File>,
}

/// A data file in the making.
pub(crate) struct DataWriter<'a> {
    env: &'a Env,
    ident: &'a CaskIdent,
    generation: u64,
    temporary: PathBuf,
    /// It is written in space that was held for it.
    reserved: bool,
    file: Arc<dyn File>,
    hash_seed: u64,
    listing: Listing,
    offset: u64,
    frame: AlignedBuf,
    used: usize,
    count: u32,
    sequence_min: u64,
    epoch_max: u32,
    previous: u64,
}

impl<'a> DataWriter<'a> {
    pub(crate) fn create(
        env: &'a Env,
        ident: &'a CaskIdent,
        generation: u64,
        hash_seed: u64,
    ) -> Result<Self> {
        let temporary = temporary_of(ident, generation);
        let file = env.disk.open(&temporary, OpenMode::Create)?;
        Ok(Self::of(env, ident, generation, hash_seed, (temporary, file)))
    }

    /// As [`DataWriter::create`], in the space that the shard holds for merges on a full disk. The file has a name of its own meanwhile:
    /// whoever else looks for space finds none held.
    pub(crate) fn in_reserve(
        env: &'a Env,
        ident: &'a CaskIdent,
        generation: u64,
        hash_seed: u64,
    ) -> Result<Self> {
        let temporary = temporary_of(ident, generation);
        env.disk.rename(&ident.dir.join(MERGE_RESERVE), &temporary)?;
        let opened = env.disk.open(&temporary, OpenMode::ReadWrite);
        let file = opened.inspect_err(|_| give_reserve_back(env, ident, &temporary))?;
        let writer = Self::of(env, ident, generation, hash_seed, (temporary, file));
        Ok(Self { reserved: true, ..writer })
    }

    fn of(
        env: &'a Env,
        ident: &'a CaskIdent,
        generation: u64,
        hash_seed: u64,
        (temporary, file): (PathBuf, Arc<dyn File>),
    ) -> Self {
        Self {
            env,
            ident,
            generation,
            temporary,
            reserved: false,
            file,
            hash_seed,
            listing: Listing::new(generation, DataOrigin::Merged),
            offset: SEGMENT_DATA_OFFSET,
            frame: AlignedBuf::with_capacity(FRAME_SIZE),
            used: FlushHeader::SIZE,
            count: 0,
            sequence_min: u64::MAX,
            epoch_max: 0,
            previous: 0,
        }
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.offset + round_up(self.used) as u64
    }

    /// Appends a record as its bytes, and gives its place.
    pub(crate) fn append(&mut self, record: &Record<'_>, bytes: &[u8]) -> Result<Location> {
        if self.count > 0 && self.used + bytes.len() > FRAME_SIZE {
            self.write_frame()?;
        }
        let end = self.used + bytes.len();
        if end > self.frame.capacity() {
            self.frame = AlignedBuf::with_capacity(end);
        }
        self.frame.set_len(self.frame.capacity());
        self.frame[self.used..end].copy_from_slice(bytes);
        let offset = self.offset + self.used as u64;
        self.used = end;
        self.count += 1;
        self.sequence_min = self.sequence_min.min(record.sequence);
        self.epoch_max = self.epoch_max.max(record.epoch);
        self.listing.add(record, offset, bytes.len(), self.hash_seed)?;
        let (generation, size) = (self.generation, bytes.len());
        Location::new(generation, offset, size).ok_or(CaskError::Place { generation, offset, size })
    }

    fn write_frame(&mut self) -> Result<()> {
        let size = round_up(self.used);
        self.frame.set_len(self.frame.capacity());
        self.frame[self.used..size].fill(0);
        let mut header = FlushHeader {
            checksum: U64::ZERO,
            body_checksum: U64::ZERO,
            magic: U32::new(FLUSH_MAGIC),
            version: U16::new(FORMAT_VERSION),
            flags: U16::new(FLUSH_MERGED),
            generation: U64::new(self.generation),
            offset: U64::new(self.offset),
            first_sequence: U64::new(self.sequence_min),
            count: U32::new(self.count),
            length: U32::new((self.used - FlushHeader::SIZE) as u32),
            epoch: U32::new(self.epoch_max),
            reserved: U32::ZERO,
            durable_sequence: U64::new(self.sequence_min - 1),
            manifest_sequence: U64::ZERO,
            previous: U64::new(self.previous),
            time_floor_ms: U64::ZERO,
        };
        let seed = flush_seed(self.ident.store, self.ident.shard, self.generation);
        header.seal(seed, &self.frame[FlushHeader::SIZE..size]);
        self.frame[..FlushHeader::SIZE].copy_from_slice(header.as_bytes());
        self.file.allocate(self.offset + size as u64)?;
        self.file.write_at(self.offset, &self.frame[..size])?;
        self.offset += size as u64;
        self.previous = header.checksum.get();
        self.used = FlushHeader::SIZE;
        self.count = 0;
        self.sequence_min = u64::MAX;
        Ok(())
    }

    /// Writes what is left, syncs the file and gives it its name, with its hint. The caller syncs the directory. After an error nothing
    /// is left of it.
    pub(crate) fn finish(mut self) -> Result<Output> {
        match self.complete() {
            Ok(()) => Ok(self.named()),
            Err(error) => {
                self.discard();
                Err(error)
            }
        }
    }

    /// Up to and with the name.
    fn complete(&mut self) -> Result<()> {
        if self.count > 0 {
            self.write_frame()?;
        }
        let mut block = AlignedBuf::zeroed(BLOCK_SIZE);
        let header =
            SegmentHeader::new(self.ident.store, self.ident.shard, self.generation, self.offset, 0);
        block[..SegmentHeader::SIZE].copy_from_slice(header.as_bytes());
        self.file.write_at(0, &block)?;
        if self.reserved {
            // What it did not need, and what stood there before.
            self.file.truncate(self.offset)?;
        }
        if !mutants::active("merge_skips_sync") {
            self.file.sync()?;
        }
        let name = self.ident.dir.join(ShardFile::Data(self.generation).name());
        Ok(self.env.disk.rename(&self.temporary, &name)?)
    }

    /// What it came to, once it has its name.
    fn named(self) -> Output {
        let (state, hint) = self.listing.finish(self.offset, self.previous);
        if let Err(error) = write_hint(self.env, self.ident, &state, &hint) {
            // Derived: the next opening makes it anew.
            tracing::warn!(%error, "a hint could not be written");
        }
        let file = open_data(self.env, self.ident, &state).unwrap_or_else(|error| {
            tracing::warn!(%error, "a data file keeps the descriptor that it was written with");
            self.file
        });
        let figures = FileFigures::of(self.generation, &hint);
        Output { state, figures, file }
    }

    /// Removes what was written.
    pub(crate) fn discard(self) {
        if self.reserved {
            give_reserve_back(self.env, self.ident, &self.temporary);
            return;
        }
        if let Err(error) = self.env.disk.remove(&self.temporary) {
            tracing::warn!(%error, "the output of a merge could not be removed; the next opening does");
        }
    }
}

fn temporary_of(ident: &CaskIdent, generation: u64) -> PathBuf {
    ident.dir.join(format!("{}{TEMPORARY}", ShardFile::Data(generation).name()))
}

/// The file goes on holding the space.
fn give_reserve_back(env: &Env, ident: &CaskIdent, temporary: &Path) {
    if let Err(error) = env.disk.rename(temporary, &ident.dir.join(MERGE_RESERVE)) {
        tracing::warn!(%error, "the space for merges on a full disk is not held");
    }
}
