//! The manifest of a shard: append-only records, each the whole state of the shard; the last valid one counts.
//!
//! One record commits a checkpoint. Records lie at block boundaries and are never rewritten; each names the
//! checksum of the record before it. Flush headers carry the number of the newest durable record, so that a
//! manifest that lost records is told from one whose last record was torn.

use crate::block::{BLOCK_SIZE, round_up};
use crate::bytes::{Reader, Writer};
use crate::checksum::{Seed, StoreId};
use crate::layout::layout;
use crate::reason::Reason;
use crate::schema::{Ddl, TableSchema};
use crate::superblock::SEGMENT_SIZE_MAX;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// Magic of a manifest file.
pub const MANIFEST_MAGIC: u32 = u32::from_le_bytes(*b"SCMA");
/// Magic of a manifest record.
pub const MANIFEST_RECORD_MAGIC: u32 = u32::from_le_bytes(*b"SCMR");
/// Offset of the first record.
pub const MANIFEST_DATA_OFFSET: u64 = BLOCK_SIZE as u64;
/// Highest sequence, generation or number of a checkpoint in a manifest.
pub const NUMBER_MAX: u64 = u64::MAX >> 1;
/// Longest state, in bytes.
pub const MANIFEST_STATE_LEN_MAX: usize = 64 << 20;
/// Longest manifest file, in bytes: one is made with room for four times its header and the longest record.
pub const MANIFEST_FILE_SIZE_MAX: u64 =
    4 * (BLOCK_SIZE + round_up(ManifestRecordHeader::SIZE + MANIFEST_STATE_LEN_MAX)) as u64;

layout! {
    /// First block of a manifest file.
    ManifestHeader = 64 {
        checksum: U64 = "XXH3-64 of bytes 8 to 64; seed: magic",
        magic: U32 = "`SCMA`",
        version: U16 = "format version",
        shard: U16 = "shard",
        store: [u8; 16] = "store id",
        generation: U64 = "number of the file; the highest counts",
        reserved: [u8; 24] = "zero",
    }
}

layout! {
    /// Header of a manifest record, at a block boundary; the state follows, padded with zeros to a block.
    ManifestRecordHeader = 56 {
        checksum: U64 = "XXH3-64 of bytes 8 to 56; seed: store, shard, generation, offset",
        body_checksum: U64 = "XXH3-64 of everything behind the header up to the padded end; same seed",
        magic: U32 = "`SCMR`",
        version: U16 = "format version",
        kind: U16 = "1 whole state; 0 is reserved",
        sequence: U64 = "number of the record, dense over all manifests of the shard",
        previous: U64 = "checksum of the record before it in this file, or 0",
        length: U32 = "bytes of state",
        reserved: U32 = "zero",
        offset: U64 = "offset of this header in the file, bytes",
    }
}

/// Where a checkpoint left one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableCheckpoint {
    /// Pages of the slot file that hold something: the ones before this number are read at recovery.
    pub pages: u32,
    /// Checksum over the checksums of all page map blocks.
    pub map_root: u64,
}

/// One table in the state of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableState {
    /// Id; never used twice.
    pub table: u32,
    /// What it is.
    pub schema: TableSchema,
    /// Slots and records up to this sequence are void (the table was cleared); 0 for never.
    pub clear_sequence: u64,
    /// Where the checkpoint left it.
    pub checkpoint: TableCheckpoint,
}

/// The end of the log at a clean close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanEnd {
    /// Generation of the last segment.
    pub generation: u64,
    /// Offset behind the last flush.
    pub offset: u64,
    /// Last sequence.
    pub sequence: u64,
    /// Checksum of the last flush header.
    pub flush_checksum: u64,
}

/// Where a data file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DataOrigin {
    /// A segment of the log, which keeps its name.
    Sealed = 1,
    /// A merge, or the evacuation of segments.
    Merged = 2,
}

/// A file of cask records that is not part of the log any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataFileState {
    /// Number of the file, of the segment that it was.
    pub generation: u64,
    /// Where it comes from.
    pub origin: DataOrigin,
    /// Offset behind its last frame.
    pub end: u64,
    /// Checksum of the header of its last frame.
    pub frame_checksum: u64,
    /// Records of cask tables in it.
    pub records: u64,
    /// Lowest sequence of them.
    pub sequence_min: u64,
    /// Highest sequence of them.
    pub sequence_max: u64,
    /// Lowest epoch of them.
    pub epoch_min: u32,
    /// Highest epoch of them.
    pub epoch_max: u32,
}

impl DataFileState {
    const SIZE: usize = 8 + 1 + 5 * 8 + 2 * 4;

    fn encode(&self, out: &mut Writer) {
        out.u64(self.generation).u8(self.origin as u8).u64(self.end).u64(self.frame_checksum);
        out.u64(self.records).u64(self.sequence_min).u64(self.sequence_max);
        out.u32(self.epoch_min).u32(self.epoch_max);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Reason> {
        let generation = reader.u64()?;
        let origin = match reader.u8()? {
            1 => DataOrigin::Sealed,
            2 => DataOrigin::Merged,
            found => {
                return Err(Reason::Unknown { what: "data file origin", found: u64::from(found) });
            }
        };
        Ok(Self {
            generation,
            origin,
            end: reader.u64()?,
            frame_checksum: reader.u64()?,
            records: reader.u64()?,
            sequence_min: reader.u64()?,
            sequence_max: reader.u64()?,
            epoch_min: reader.u32()?,
            epoch_max: reader.u32()?,
        })
    }
}

/// Everything that a shard needs to know before it reads its log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ManifestState {
    /// Segments that must be there, by generation, oldest first.
    pub segments: Vec<u64>,
    /// First sequence that the log must hold.
    pub floor_sequence: u64,
    /// Checksum of the last flush header before the floor, 0 at the start of the log.
    pub floor_previous: u64,
    /// Number of the newest checkpoint.
    pub checkpoint: u64,
    /// Number of the newest checkpoint that has begun to write pages; above `checkpoint` when it was not committed.
    pub checkpoint_begun: u64,
    /// First sequence that recovery redoes.
    pub redo_sequence: u64,
    /// Highest sequence known to be durable when this was written.
    pub durable_sequence: u64,
    /// Highest generation ever given to a segment.
    pub generation_last: u64,
    /// Time by which values vanish, milliseconds since 1970, never going back.
    pub time_floor_ms: u64,
    /// Newest epoch of the shard.
    pub epoch: u32,
    /// Set by a clean close.
    pub clean: Option<CleanEnd>,
    /// Newest change of the catalogue that this shard applied, with its bytes: recovery completes it elsewhere.
    pub ddl: Option<Ddl>,
    /// Highest table id ever given.
    pub table_last: u32,
    /// Tables, by id: ascending, none above `table_last`.
    pub tables: Vec<TableState>,
    /// Data files of cask tables: ascending by generation, none above `generation_last`, none of them in `segments`.
    pub data: Vec<DataFileState>,
}

impl ManifestState {
    /// The state as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u32(self.segments.len() as u32);
        for generation in &self.segments {
            out.u64(*generation);
        }
        out.u64(self.floor_sequence).u64(self.floor_previous);
        out.u64(self.checkpoint).u64(self.checkpoint_begun).u64(self.redo_sequence);
        out.u64(self.durable_sequence).u64(self.generation_last).u64(self.time_floor_ms);
        out.u32(self.epoch);
        match &self.clean {
            None => out.u8(0),
            Some(end) => out
                .u8(1)
                .u64(end.generation)
                .u64(end.offset)
                .u64(end.sequence)
                .u64(end.flush_checksum),
        };
        match &self.ddl {
            None => out.u8(0),
            Some(ddl) => out.u8(1).bytes(&ddl.encode()),
        };
        out.u32(self.table_last);
        out.u32(self.tables.len() as u32);
        for table in &self.tables {
            out.u32(table.table).bytes(&table.schema.encode()).u64(table.clear_sequence);
            out.u32(table.checkpoint.pages).u64(table.checkpoint.map_root);
        }
        out.u32(self.data.len() as u32);
        for file in &self.data {
            file.encode(&mut out);
        }
        out.finish()
    }

    /// Reads a state.
    ///
    /// # Errors
    /// The first reason why `bytes` are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Reason> {
        let mut reader = Reader::new(bytes);
        let count = reader.count("segments", 8)?;
        let mut segments = Vec::with_capacity(count);
        for _ in 0..count {
            segments.push(reader.u64()?);
        }
        let mut state = Self {
            segments,
            floor_sequence: reader.u64()?,
            floor_previous: reader.u64()?,
            checkpoint: reader.u64()?,
            checkpoint_begun: reader.u64()?,
            redo_sequence: reader.u64()?,
            durable_sequence: reader.u64()?,
            generation_last: reader.u64()?,
            time_floor_ms: reader.u64()?,
            epoch: reader.u32()?,
            ..Self::default()
        };
        state.clean = match reader.u8()? {
            0 => None,
            1 => Some(CleanEnd {
                generation: reader.u64()?,
                offset: reader.u64()?,
                sequence: reader.u64()?,
                flush_checksum: reader.u64()?,
            }),
            found => return Err(Reason::Unknown { what: "clean mark", found: u64::from(found) }),
        };
        state.ddl = match reader.u8()? {
            0 => None,
            1 => Some(Ddl::decode(reader.bytes()?)?),
            found => return Err(Reason::Unknown { what: "DDL mark", found: u64::from(found) }),
        };
        state.table_last = reader.u32()?;
        let count = reader.count("tables", 28)?;
        for _ in 0..count {
            let table = reader.u32()?;
            let before = state.tables.last().map_or(0, |table| table.table);
            if table <= before || table > state.table_last {
                return Err(Reason::Range {
                    what: "table id",
                    found: u64::from(table),
                    max: u64::from(state.table_last),
                });
            }
            state.tables.push(TableState {
                table,
                schema: TableSchema::decode(reader.bytes()?)?,
                clear_sequence: reader.u64()?,
                checkpoint: TableCheckpoint { pages: reader.u32()?, map_root: reader.u64()? },
            });
        }
        let count = reader.count("data files", DataFileState::SIZE)?;
        for _ in 0..count {
            let file = DataFileState::decode(&mut reader)?;
            let before = state.data.last().map_or(0, |file| file.generation);
            if file.generation <= before
                || file.generation > state.generation_last
                || state.segments.contains(&file.generation)
            {
                return Err(Reason::Range {
                    what: "data file",
                    found: file.generation,
                    max: state.generation_last,
                });
            }
            state.data.push(file);
        }
        reader.finish()?;
        Ok(state)
    }

    /// First reason why no store wrote this state: numbers that grow by one at a time and have come to half of what fits, so that
    /// whoever adds to them need not look, and sequences out of their order.
    #[must_use]
    pub fn invalid(&self) -> Option<Reason> {
        let clean = self.clean.map_or(0, |end| end.sequence.max(end.generation));
        let segments = self.segments.iter().copied().max().unwrap_or(0);
        let found = [
            self.floor_sequence,
            self.redo_sequence,
            self.durable_sequence,
            self.checkpoint,
            self.checkpoint_begun,
            self.generation_last,
            segments,
            clean,
        ];
        let found = found.into_iter().max().unwrap_or(0);
        if found > NUMBER_MAX {
            return Some(Reason::Range { what: "number in a manifest", found, max: NUMBER_MAX });
        }
        for file in &self.data {
            // No record has less than a byte, and sums over files and hints stay within what fits.
            for (what, found, max) in [
                ("end of a data file", file.end, SEGMENT_SIZE_MAX),
                ("records of a data file", file.records, file.end),
                ("highest sequence of a data file", file.sequence_max, NUMBER_MAX),
                ("lowest sequence of a data file", file.sequence_min, file.sequence_max),
            ] {
                if found > max {
                    return Some(Reason::Range { what, found, max });
                }
            }
        }
        // Sequences begin at 1; the log is kept from before the redo point, and durable up to what was kept.
        for (what, expected, found) in [
            ("first sequence of the log", 1, self.floor_sequence),
            ("redo point", self.floor_sequence, self.redo_sequence),
            ("durable sequence", self.floor_sequence.saturating_sub(1), self.durable_sequence),
        ] {
            if found < expected {
                return Some(Reason::Mismatch { what, expected, found });
            }
        }
        None
    }
}

impl ManifestHeader {
    /// The header of a manifest file.
    #[must_use]
    pub fn new(store: StoreId, shard: u8, generation: u64) -> Self {
        let mut header = Self {
            checksum: U64::ZERO,
            magic: U32::new(MANIFEST_MAGIC),
            version: U16::new(crate::FORMAT_VERSION),
            shard: U16::new(u16::from(shard)),
            store: store.0,
            generation: U64::new(generation),
            reserved: [0; 24],
        };
        header.checksum = U64::new(file_seed().checksum(&header.as_bytes()[8..]));
        header
    }

    /// Reads the header at the front of `bytes` and checks that it is the one of that manifest.
    ///
    /// # Errors
    /// The first reason why it is not.
    pub fn decode(
        bytes: &[u8],
        store: StoreId,
        shard: u8,
        generation: u64,
    ) -> Result<Self, Reason> {
        let Ok((header, _)) = Self::read_from_prefix(bytes) else {
            return Err(Reason::Short { expected: Self::SIZE as u64, found: bytes.len() as u64 });
        };
        if header.magic.get() != MANIFEST_MAGIC {
            return Err(Reason::Magic { expected: MANIFEST_MAGIC, found: header.magic.get() });
        }
        if file_seed().checksum(&header.as_bytes()[8..]) != header.checksum.get() {
            return Err(Reason::Checksum { what: "manifest header" });
        }
        if let Some(reason) = Reason::of_version(header.version.get()) {
            return Err(reason);
        }
        if header.store != store.0 {
            return Err(Reason::Store);
        }
        let pairs = [
            ("shard", u64::from(shard), u64::from(header.shard.get())),
            ("manifest generation", generation, header.generation.get()),
        ];
        for (what, expected, found) in pairs {
            if expected != found {
                return Err(Reason::Mismatch { what, expected, found });
            }
        }
        if header.reserved != [0; 24] {
            return Err(Reason::Reserved { what: "manifest header" });
        }
        Ok(header)
    }
}

fn file_seed() -> Seed {
    Seed::store(StoreId([0; 16])).narrow(MANIFEST_MAGIC, 0)
}

/// The seed of the records of one manifest file.
#[must_use]
pub fn manifest_seed(store: StoreId, shard: u8, generation: u64) -> Seed {
    Seed::store(store)
        .narrow(MANIFEST_RECORD_MAGIC, u64::from(shard))
        .narrow(MANIFEST_RECORD_MAGIC, generation)
}

/// Encodes a record for `offset`, padded to whole blocks; returns the bytes and the record's checksum.
#[must_use]
pub fn encode_record(
    seed: Seed,
    offset: u64,
    sequence: u64,
    previous: u64,
    state: &[u8],
) -> (Vec<u8>, u64) {
    assert!(state.len() <= MANIFEST_STATE_LEN_MAX);
    let seed = seed.at(offset);
    let mut out = vec![0; round_up(ManifestRecordHeader::SIZE + state.len())];
    out[ManifestRecordHeader::SIZE..][..state.len()].copy_from_slice(state);
    let mut header = ManifestRecordHeader {
        checksum: U64::ZERO,
        body_checksum: U64::new(seed.checksum(&out[ManifestRecordHeader::SIZE..])),
        magic: U32::new(MANIFEST_RECORD_MAGIC),
        version: U16::new(crate::FORMAT_VERSION),
        kind: U16::new(1),
        sequence: U64::new(sequence),
        previous: U64::new(previous),
        length: U32::new(state.len() as u32),
        reserved: U32::ZERO,
        offset: U64::new(offset),
    };
    header.checksum = U64::new(seed.checksum(&header.as_bytes()[8..]));
    out[..ManifestRecordHeader::SIZE].copy_from_slice(header.as_bytes());
    let checksum = header.checksum.get();
    (out, checksum)
}

/// Reads the record at the front of `bytes`, which stand at `offset`; returns header, state and size on disk.
///
/// # Errors
/// The first reason why no valid record stands there.
pub fn decode_record(
    seed: Seed,
    offset: u64,
    bytes: &[u8],
) -> Result<(ManifestRecordHeader, &[u8], usize), Reason> {
    let seed = seed.at(offset);
    let Ok((header, _)) = ManifestRecordHeader::read_from_prefix(bytes) else {
        return Err(Reason::Short {
            expected: ManifestRecordHeader::SIZE as u64,
            found: bytes.len() as u64,
        });
    };
    if header.magic.get() != MANIFEST_RECORD_MAGIC {
        return Err(Reason::Magic { expected: MANIFEST_RECORD_MAGIC, found: header.magic.get() });
    }
    if seed.checksum(&header.as_bytes()[8..]) != header.checksum.get() {
        return Err(Reason::Checksum { what: "manifest record header" });
    }
    if let Some(reason) = Reason::of_version(header.version.get()) {
        return Err(reason);
    }
    if header.kind.get() != 1 {
        return Err(Reason::Unknown {
            what: "manifest record kind",
            found: u64::from(header.kind.get()),
        });
    }
    if header.reserved.get() != 0 {
        return Err(Reason::Reserved { what: "manifest record header" });
    }
    if header.offset.get() != offset {
        return Err(Reason::Mismatch {
            what: "manifest record offset",
            expected: offset,
            found: header.offset.get(),
        });
    }
    let length = header.length.get() as usize;
    if length > MANIFEST_STATE_LEN_MAX {
        return Err(Reason::Range {
            what: "manifest state length",
            found: length as u64,
            max: MANIFEST_STATE_LEN_MAX as u64,
        });
    }
    let size = round_up(ManifestRecordHeader::SIZE + length);
    if bytes.len() < size {
        return Err(Reason::Short { expected: size as u64, found: bytes.len() as u64 });
    }
    if seed.checksum(&bytes[ManifestRecordHeader::SIZE..size]) != header.body_checksum.get() {
        return Err(Reason::Checksum { what: "manifest record" });
    }
    let (state, padding) = bytes[ManifestRecordHeader::SIZE..size].split_at(length);
    if padding.iter().any(|byte| *byte != 0) {
        return Err(Reason::Reserved { what: "manifest record padding" });
    }
    Ok((header, state, size))
}
