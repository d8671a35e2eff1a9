//! The structures that stand in `format/golden/`: one of each layout, with values that are easy to see in a dump.
//!
//! Shared by the tests and by `examples/golden.rs`, which writes the files. A golden file is never changed
//! once a version is released: a new version adds `<name>_v2.bin` beside it.

#![allow(dead_code, reason = "each user of this module needs a part of it")]

pub mod decode;
pub mod dump;
pub mod page;

use slotcask_format::block::BLOCK_SIZE;
use slotcask_format::checksum::StoreId;
use slotcask_format::compressed::CompressedHeader;
use slotcask_format::double_write::{self, DoubleWriteHeader};
use slotcask_format::flush::{FLUSH_MAGIC, FLUSH_RESTART, FlushHeader, flush_seed};
use slotcask_format::hint::{HintEntry, HintHeader, HintIdent, HintTable, encode_hint};
use slotcask_format::history::{Epoch, EpochKind, History, HistoryHeader};
use slotcask_format::layout::Layout;
use slotcask_format::manifest::{
    CleanEnd, DataFileState, DataOrigin, ManifestHeader, ManifestRecordHeader, ManifestState,
    TableCheckpoint, TableState, encode_record, manifest_seed,
};
use slotcask_format::page_map::{MapBlockHeader, encode_map_block, map_seed};
use slotcask_format::range_delete::{KeyMark, RangeDelete, RangeDeleteHeader, Removed};
use slotcask_format::record::{
    FLAG_BATCH, FLAG_BATCH_FIRST, FLAG_BATCH_LAST, Record, RecordHeader, RecordKind, SLOT_NONE,
    deadline_extension, record_seed,
};
use slotcask_format::schema::{
    CASK_SLOT_COUNT, COMPRESSION_LZ4, Ddl, DdlAction, Placement, TableKind, TableSchema,
};
use slotcask_format::segment::SegmentHeader;
use slotcask_format::slot::{
    SlotHeader, SlotImage, SlotKind, SlotLayout, encode_slot, seal_slot, slot_seed,
};
use slotcask_format::slot_file::{MAP_FILE_MAGIC, SLOT_FILE_MAGIC, SlotFileHeader};
use slotcask_format::superblock::{FEATURE_TORN_PAGE_PROTECTION, Superblock};
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

/// Store of all samples.
pub const STORE: StoreId = StoreId(*b"golden-store-id!");
/// Shard of all samples.
pub const SHARD: u8 = 2;
/// Table of all samples.
pub const TABLE: u32 = 7;
/// Generation of the segment and of the manifest.
pub const GENERATION: u64 = 5;
/// Size of the segment.
pub const SEGMENT_SIZE: u64 = 1 << 20;
/// Where the flush stands in its segment.
pub const FLUSH_OFFSET: u64 = 8192;
/// Where the manifest record stands in its file.
pub const MANIFEST_OFFSET: u64 = 4096;
/// Number of the slot that stands first in the sample page.
pub const SLOT: u32 = 31;
/// Number of the map block.
pub const MAP_BLOCK: u32 = 3;
/// A time in milliseconds since 1970: 2026-01-01.
pub const TIME_MS: u64 = 1_767_225_600_000;

/// One golden file.
pub struct Golden {
    /// Name without version and ending.
    pub name: &'static str,
    /// What the file shows.
    pub about: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Layouts in it, with their offsets.
    pub parts: Vec<(usize, Layout)>,
}

/// All golden files of this version.
pub fn all() -> Vec<Golden> {
    let golden = |name, about, bytes, parts: &[(usize, Layout)]| Golden {
        name,
        about,
        bytes,
        parts: parts.to_vec(),
    };
    vec![
        golden(
            "superblock",
            "the file `store`: the superblock twice",
            superblock().encode_file(),
            &[(0, Superblock::LAYOUT), (BLOCK_SIZE, Superblock::LAYOUT)],
        ),
        golden(
            "history",
            "the file `history` of a store with 3 shards and 2 epochs",
            history().encode_file(STORE, 3),
            &[(0, HistoryHeader::LAYOUT)],
        ),
        golden(
            "segment_header",
            "the first block of a segment, without its zeros",
            SegmentHeader::new(STORE, SHARD, GENERATION, SEGMENT_SIZE, 0).as_bytes().to_vec(),
            &[(0, SegmentHeader::LAYOUT)],
        ),
        golden(
            "flush",
            "a flush at offset 8192 that holds one batch of three records",
            flush(),
            &[(0, FlushHeader::LAYOUT), (FlushHeader::SIZE, RecordHeader::LAYOUT)],
        ),
        golden("record", "a put with a deadline", encode(&put()), &[(0, RecordHeader::LAYOUT)]),
        golden(
            "extension",
            "a record extension: a deadline",
            deadline_extension(TIME_MS).to_vec(),
            &[],
        ),
        golden(
            "compressed_value",
            "a value of 64 bytes, `slotcask` eight times",
            compressed_value(),
            &[(0, CompressedHeader::LAYOUT)],
        ),
        golden(
            "manifest_header",
            "the first block of a manifest, without its zeros",
            ManifestHeader::new(STORE, SHARD, GENERATION).as_bytes().to_vec(),
            &[(0, ManifestHeader::LAYOUT)],
        ),
        golden(
            "manifest_record",
            "a manifest record at offset 4096",
            manifest_record(),
            &[(0, ManifestRecordHeader::LAYOUT)],
        ),
        golden("manifest_state", "the state in that record", manifest_state().encode(), &[]),
        golden("schema", "the schema of a pinned table with deadlines", schema().encode(), &[]),
        golden("ddl", "the creation of that table", ddl().encode(), &[]),
        golden(
            "slot_file_header",
            "the first block of a slot file, without its zeros",
            slot_file_header(SLOT_FILE_MAGIC).as_bytes().to_vec(),
            &[(0, SlotFileHeader::LAYOUT)],
        ),
        golden(
            "map_file_header",
            "the first block of a page map, without its zeros",
            slot_file_header(MAP_FILE_MAGIC).as_bytes().to_vec(),
            &[(0, SlotFileHeader::LAYOUT)],
        ),
        golden(
            "slot",
            "three slots in a row: live with a deadline, tombstone, free",
            slots(),
            &[
                (0, SlotHeader::LAYOUT),
                (slot_layout().slot_size, SlotHeader::LAYOUT),
                (2 * slot_layout().slot_size, SlotHeader::LAYOUT),
            ],
        ),
        golden(
            "page_map_block",
            "block 3 of a page map with four checksums",
            map_block(),
            &[(0, MapBlockHeader::LAYOUT)],
        ),
        golden(
            "double_write",
            "a double-write area with two pages",
            double_write(),
            &[(0, DoubleWriteHeader::LAYOUT)],
        ),
        golden("cask_schema", "the schema of a cask table", cask_schema().encode(), &[]),
        golden(
            "compressed_schema",
            "the schema of a cask table whose values are compressed",
            TableSchema { compression: Some(COMPRESSION_LZ4.to_owned()), ..cask_schema() }.encode(),
            &[],
        ),
        golden(
            "ordered_schema",
            "the schema of an ordered cask table",
            TableSchema { ordered: true, ..cask_schema() }.encode(),
            &[],
        ),
        golden(
            "range_delete",
            "the value of a range delete of a cask table, up to `user:2`: two keys went",
            RangeDelete { end: Some(b"user:2"), removed: Removed::Keys(&KEY_MARKS) }.encode(),
            &[
                (0, RangeDeleteHeader::LAYOUT),
                (RangeDeleteHeader::SIZE + 6, KeyMark::LAYOUT),
                (RangeDeleteHeader::SIZE + 6 + KeyMark::SIZE, KeyMark::LAYOUT),
            ],
        ),
        golden(
            "range_delete_slots",
            "the value of a range delete of a fixed table, without an end: three slots went",
            RangeDelete { end: None, removed: Removed::Slots(&SLOTS_REMOVED) }.encode(),
            &[(0, RangeDeleteHeader::LAYOUT)],
        ),
        golden(
            "manifest_data",
            "the state of a shard with two data files",
            manifest_data().encode(),
            &[],
        ),
        golden(
            "hint",
            "the hint of a data file with records of two tables",
            hint(),
            &[
                (0, HintHeader::LAYOUT),
                (HintHeader::SIZE, HintTable::LAYOUT),
                (HintHeader::SIZE + HintTable::SIZE, HintTable::LAYOUT),
                (HintHeader::SIZE + 2 * HintTable::SIZE, HintEntry::LAYOUT),
            ],
        ),
    ]
}

/// `slotcask` as literals, 51 bytes from 8 bytes before, and the last five as literals, as the format of LZ4 asks for.
pub fn compressed_value() -> Vec<u8> {
    let mut bytes = CompressedHeader::new(64).as_bytes().to_vec();
    bytes.extend_from_slice(b"\x8fslotcask\x08\x00\x20\x50tcask");
    bytes
}

/// What the sample of a range delete of a cask table removed.
pub const KEY_MARKS: [KeyMark; 2] = [
    KeyMark { stripe: U16::new(1), stored: U64::new(0x1111_2222) },
    KeyMark { stripe: U16::new(900), stored: U64::new(5) },
];
/// What the sample of a range delete of a fixed table removed.
pub const SLOTS_REMOVED: [U32; 3] = [U32::new(3), U32::new(31), U32::new(0x0102_0304)];

pub fn cask_schema() -> TableSchema {
    TableSchema {
        name: "blobs".to_owned(),
        kind: TableKind::Cask,
        placement: Placement::Hashed,
        key_len: 65_535,
        value_len: 1 << 20,
        deadlines: false,
        slot_count_max: CASK_SLOT_COUNT,
        compression: None,
        ordered: false,
    }
}

pub fn manifest_data() -> ManifestState {
    let file = |generation, origin| DataFileState {
        generation,
        origin,
        end: 16_384,
        frame_checksum: 0x1234_5678_9abc_def0,
        records: 3,
        sequence_min: 7,
        sequence_max: 44,
        epoch_min: 1,
        epoch_max: 2,
    };
    ManifestState {
        data: vec![file(1, DataOrigin::Sealed), file(2, DataOrigin::Merged)],
        clean: None,
        ddl: None,
        ..manifest_state()
    }
}

pub const HINT: HintIdent = HintIdent {
    store: STORE,
    shard: SHARD,
    generation: GENERATION,
    data_end: 16_384,
    data_checksum: 0x1234_5678_9abc_def0,
};

pub fn hint() -> Vec<u8> {
    let entry = |stripe: u16, stored: u64, sequence: u64, kind| HintEntry {
        stored: stored.into(),
        sequence: sequence.into(),
        deadline_ms: if kind == 1 { TIME_MS } else { HintEntry::NO_DEADLINE }.into(),
        offset_8: (512 + sequence as u32 * 16).into(),
        stripe: stripe.into(),
        kind,
        size_code: 12,
    };
    let first = vec![entry(1, 0x1111_2222, 7, 1), entry(1, 0x1111_2222, 9, 2), entry(900, 5, 8, 1)];
    encode_hint(&HINT, &[(TABLE, first), (TABLE + 2, vec![entry(0, 1, 44, 4)])])
}

pub fn superblock() -> Superblock {
    let mut block = Superblock {
        checksum: U64::ZERO,
        magic: U32::ZERO,
        version: U16::ZERO,
        reserved: U16::ZERO,
        features_required: U64::new(FEATURE_TORN_PAGE_PROTECTION),
        features_optional: U64::new(2),
        store: STORE.0,
        node: *b"golden-node-id-1",
        secret: *b"32-bytes-of-a-golden-secret-here",
        shard_count: U32::new(4),
        shard_prefix_bits: U32::new(16),
        segment_size: U64::new(SEGMENT_SIZE),
        segment_count: U32::new(16),
        reserved2: U32::ZERO,
        lock_identity: U64::new(0x1122_3344),
        created_ms: U64::new(TIME_MS),
        tail: [0; 24],
    };
    block.seal();
    block
}

pub fn history() -> History {
    let epoch = |number, kind, id: &[u8; 16], cuts: &[u64]| Epoch {
        number,
        kind,
        id: *id,
        time_ms: TIME_MS,
        cuts: cuts.to_vec(),
    };
    History {
        epochs: vec![
            epoch(1, EpochKind::Created, b"first-epoch-id-1", &[0, 0, 0]),
            epoch(3, EpochKind::Recovered, b"third-epoch-id-3", &[100, 0, 250]),
        ],
    }
}

pub fn put() -> Record<'static> {
    // A constant, so that the record can borrow it: TIME_MS in little-endian bytes behind tag and length.
    const DEADLINE: &[u8] = &[1, 8, 0x00, 0xa8, 0xda, 0x76, 0x9b, 0x01, 0, 0];
    Record {
        sequence: 101,
        epoch: 3,
        table: TABLE,
        slot: SLOT,
        kind: RecordKind::Put,
        flags: FLAG_BATCH | FLAG_BATCH_FIRST,
        extension: DEADLINE,
        key: b"key-0001",
        value: b"value-of-the-key",
    }
}

pub fn encode(record: &Record<'_>) -> Vec<u8> {
    let mut out = vec![0xff; record.size()];
    record.encode(record_seed(STORE, SHARD), &mut out);
    out
}

/// The records of the sample flush, with the DDL value that the last one carries.
pub fn flush() -> Vec<u8> {
    let ddl = ddl().encode();
    let delete = Record {
        sequence: 102,
        kind: RecordKind::Delete,
        flags: FLAG_BATCH,
        extension: b"",
        value: b"",
        ..put()
    };
    let create = Record {
        sequence: 103,
        table: 0,
        slot: SLOT_NONE,
        kind: RecordKind::CreateTable,
        flags: FLAG_BATCH | FLAG_BATCH_LAST,
        key: b"",
        extension: b"",
        value: &ddl,
        ..put()
    };
    let records: Vec<u8> = [put(), delete, create].iter().flat_map(encode).collect();
    let mut header = FlushHeader {
        checksum: U64::ZERO,
        body_checksum: U64::ZERO,
        magic: U32::new(FLUSH_MAGIC),
        version: U16::new(slotcask_format::FORMAT_VERSION),
        flags: U16::new(FLUSH_RESTART),
        generation: U64::new(GENERATION),
        offset: U64::new(FLUSH_OFFSET),
        first_sequence: U64::new(101),
        count: U32::new(3),
        length: U32::new(records.len() as u32),
        epoch: U32::new(3),
        reserved: U32::ZERO,
        durable_sequence: U64::new(100),
        manifest_sequence: U64::new(9),
        previous: U64::new(0x0123_4567_89ab_cdef),
        time_floor_ms: U64::new(TIME_MS),
    };
    let mut bytes = vec![0; header.size()];
    bytes[FlushHeader::SIZE..][..records.len()].copy_from_slice(&records);
    header.seal(flush_seed(STORE, SHARD, GENERATION), &bytes[FlushHeader::SIZE..]);
    bytes[..FlushHeader::SIZE].copy_from_slice(header.as_bytes());
    bytes
}

pub fn schema() -> TableSchema {
    TableSchema {
        name: "sessions".to_owned(),
        kind: TableKind::Fixed,
        placement: Placement::Pinned(SHARD),
        key_len: 8,
        value_len: 20,
        deadlines: true,
        slot_count_max: 1_000_000,
        compression: None,
        ordered: false,
    }
}

pub fn ddl() -> Ddl {
    Ddl { number: 4, table: TABLE, action: DdlAction::Create(schema()) }
}

pub fn manifest_state() -> ManifestState {
    ManifestState {
        segments: vec![3, 4, 7],
        floor_sequence: 50,
        floor_previous: 0x1111_2222_3333_4444,
        checkpoint: 8,
        checkpoint_begun: 9,
        redo_sequence: 90,
        durable_sequence: 103,
        generation_last: GENERATION,
        time_floor_ms: TIME_MS,
        epoch: 3,
        clean: Some(CleanEnd {
            generation: GENERATION,
            offset: 12_288,
            sequence: 103,
            flush_checksum: 0x5555_6666_7777_8888,
        }),
        ddl: Some(ddl()),
        table_last: 9,
        tables: vec![TableState {
            table: TABLE,
            schema: schema(),
            clear_sequence: 40,
            checkpoint: TableCheckpoint { pages: 12, map_root: 0x9999_aaaa_bbbb_cccc },
        }],
        data: Vec::new(),
    }
}

pub fn manifest_record() -> Vec<u8> {
    let seed = manifest_seed(STORE, SHARD, GENERATION);
    encode_record(seed, MANIFEST_OFFSET, 9, 0, &manifest_state().encode()).0
}

pub fn slot_layout() -> SlotLayout {
    SlotLayout::of(&schema())
}

pub fn slot_file_header(magic: u32) -> SlotFileHeader {
    SlotFileHeader::new(magic, STORE, SHARD, TABLE, &slot_layout())
}

pub fn slots() -> Vec<u8> {
    let layout = slot_layout();
    let seed = slot_seed(STORE, SHARD, TABLE);
    let live = SlotImage {
        sequence: 101,
        epoch: 3,
        kind: SlotKind::Live,
        deadline_ms: TIME_MS,
        key: b"key-0001",
        value: b"value-of-the-key-abc",
    };
    let tombstone = SlotImage {
        sequence: 102,
        kind: SlotKind::Tombstone,
        deadline_ms: 0,
        key: b"key-0002",
        value: b"",
        ..live
    };
    let mut bytes = vec![0; 3 * layout.slot_size];
    let mut slots = bytes.chunks_exact_mut(layout.slot_size);
    encode_slot(&layout, seed, SLOT, &live, slots.next().expect("first"));
    encode_slot(&layout, seed, SLOT + 1, &tombstone, slots.next().expect("second"));
    seal_slot(seed, SLOT + 2, slots.next().expect("third"));
    bytes
}

pub const MAP_CHECKSUMS: [u64; 4] = [0x1111, 0x2222_2222, 0x3333_3333_3333, 0x4444_4444_4444_4444];

pub fn map_block() -> Vec<u8> {
    let mut block = vec![0xff; BLOCK_SIZE];
    encode_map_block(map_seed(STORE, SHARD, TABLE), MAP_BLOCK, 8, &MAP_CHECKSUMS, &mut block);
    block
}

pub const DOUBLE_WRITE_PAGES: [u32; 2] = [4, 11];

pub fn double_write_images() -> Vec<u8> {
    (0..2 * BLOCK_SIZE).map(|at| if at % 512 < 16 { (at / 512) as u8 + 1 } else { 0 }).collect()
}

pub fn double_write() -> Vec<u8> {
    let seed = double_write::double_write_seed(STORE, SHARD);
    let images = double_write_images();
    let mut bytes =
        double_write::encode_index(seed, TABLE, 6, BLOCK_SIZE, &DOUBLE_WRITE_PAGES, &images);
    bytes.extend_from_slice(&images);
    bytes
}

/// The golden file of that name.
pub fn golden(name: &str) -> Golden {
    all().into_iter().find(|golden| golden.name == name).expect("a golden file of that name")
}
