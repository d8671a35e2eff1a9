//! Reads a sample as its owner would, and repairs the checksums of a changed one.

use super::{
    FLUSH_OFFSET, GENERATION, HINT, MANIFEST_OFFSET, MAP_BLOCK, SEGMENT_SIZE, SHARD, SLOT,
};
use super::{STORE, TABLE, slot_file_header, slot_layout};
use slotcask_format::checksum::{Seed, StoreId};
use slotcask_format::double_write::{self, DoubleWriteHeader, double_write_seed};
use slotcask_format::flush::{FlushHeader, flush_seed};
use slotcask_format::hint::{HINT_MAGIC, HintHeader, decode_hint};
use slotcask_format::history::{HISTORY_MAGIC, History};
use slotcask_format::manifest::{
    MANIFEST_MAGIC, ManifestHeader, ManifestRecordHeader, ManifestState, decode_record,
    manifest_seed,
};
use slotcask_format::page_map::{decode_map_block, map_seed};
use slotcask_format::range_delete::RangeDelete;
use slotcask_format::record::{self, RecordHeader, deadline_of, record_seed};
use slotcask_format::schema::{Ddl, TableSchema};
use slotcask_format::segment::{SEGMENT_MAGIC, SegmentHeader};
use slotcask_format::slot::{decode_slot, slot_seed};
use slotcask_format::slot_file::{MAP_FILE_MAGIC, SLOT_FILE_MAGIC, SlotFileHeader};
use slotcask_format::superblock::{STORE_MAGIC, Superblock};
use slotcask_format::{BLOCK_SIZE, Reason, compressed};
use std::fmt::Debug;
use zerocopy::{FromBytes, IntoBytes};

/// What the sample `name` says, as text, or why it says nothing.
pub fn decode(name: &str, bytes: &[u8]) -> Result<String, Reason> {
    match name {
        "superblock" => show(Superblock::decode_file(bytes).map(|(block, _)| block)),
        "history" => show(History::decode_file(bytes, STORE, 3)),
        "segment_header" => {
            let header = SegmentHeader::decode(bytes)?;
            owned(header.foreign(STORE, SHARD, GENERATION), header)
        }
        "flush" => flush(bytes),
        "record" => show(record::decode(record_seed(STORE, SHARD), bytes)),
        "range_delete" | "range_delete_slots" => show(RangeDelete::decode(bytes)),
        "extension" => show(deadline_of(bytes)),
        "manifest_header" => show(ManifestHeader::decode(bytes, STORE, SHARD, GENERATION)),
        "manifest_record" => {
            let seed = manifest_seed(STORE, SHARD, GENERATION);
            let (header, state, size) = decode_record(seed, MANIFEST_OFFSET, bytes)?;
            show(Ok((header, ManifestState::decode(state)?, size)))
        }
        "manifest_state" | "manifest_data" => show(ManifestState::decode(bytes)),
        "hint" => show(decode_hint(&HINT, bytes)),
        "compressed_value" => show(compressed::split(bytes)),
        "schema" | "cask_schema" | "compressed_schema" | "ordered_schema" => {
            show(TableSchema::decode(bytes))
        }
        "ddl" => show(Ddl::decode(bytes)),
        "slot_file_header" => slot_file(SLOT_FILE_MAGIC, bytes),
        "map_file_header" => slot_file(MAP_FILE_MAGIC, bytes),
        "slot" => slots(bytes),
        "page_map_block" => show(decode_map_block(map_seed(STORE, SHARD, TABLE), MAP_BLOCK, bytes)),
        "double_write" => {
            let seed = double_write_seed(STORE, SHARD);
            let area = double_write::decode(seed, bytes)?;
            // Images are long: their checksum stands for them.
            let images = seed.checksum(area.images);
            Ok(format!("{:?} {images:x}", double_write::DoubleWrite { images: &[], ..area }))
        }
        name => panic!("no decoder for {name}"),
    }
}

fn show<T: Debug>(decoded: Result<T, Reason>) -> Result<String, Reason> {
    decoded.map(|value| format!("{value:?}"))
}

fn owned<T: Debug>(foreign: Option<Reason>, value: T) -> Result<String, Reason> {
    foreign.map_or_else(|| show(Ok(value)), Err)
}

fn slot_file(magic: u32, bytes: &[u8]) -> Result<String, Reason> {
    let header = SlotFileHeader::decode(magic, bytes)?;
    owned(header.foreign(&slot_file_header(magic)), header)
}

fn slots(bytes: &[u8]) -> Result<String, Reason> {
    let size = slot_layout().slot_size;
    let seed = slot_seed(STORE, SHARD, TABLE);
    let mut out = String::new();
    for number in 0..3 {
        let slot = bytes.get(number * size..).unwrap_or_default();
        let slot = slot.get(..size).unwrap_or(slot);
        out += &show(decode_slot(seed, SLOT + number as u32, slot))?;
    }
    Ok(out)
}

/// Header, body, then every record, as the log reads them.
fn flush(bytes: &[u8]) -> Result<String, Reason> {
    let seed = flush_seed(STORE, SHARD, GENERATION);
    let short =
        |expected: usize| Reason::Short { expected: expected as u64, found: bytes.len() as u64 };
    let Ok((header, _)) = FlushHeader::read_from_prefix(bytes) else {
        return Err(short(FlushHeader::SIZE));
    };
    if let Some(reason) = header.invalid(seed, GENERATION, FLUSH_OFFSET, SEGMENT_SIZE) {
        return Err(reason);
    }
    let Some(body) = bytes.get(FlushHeader::SIZE..header.size()) else {
        return Err(short(header.size()));
    };
    if !header.body_is_valid(seed, body) {
        return Err(Reason::Checksum { what: "flush body" });
    }
    let mut out = format!("{header:?}");
    let mut rest = &body[..header.length.get() as usize];
    for _ in 0..header.count.get() {
        let (record, size) = record::decode_vouched(record_seed(STORE, SHARD), rest)?;
        out += &format!("{record:?}");
        rest = &rest[size..];
    }
    Ok(out)
}

/// Repairs the checksums of the sample `name` after its bytes were changed, as a writer of another version would have.
pub fn seal(name: &str, bytes: &mut [u8]) {
    let kind = |magic| Seed::store(StoreId([0; 16])).narrow(magic, 0);
    match name {
        "superblock" => {
            for at in [0, BLOCK_SIZE] {
                header(kind(STORE_MAGIC), &mut bytes[at..at + Superblock::SIZE]);
            }
        }
        "history" => header(kind(HISTORY_MAGIC), bytes),
        "segment_header" => header(kind(SEGMENT_MAGIC), bytes),
        "manifest_header" => header(kind(MANIFEST_MAGIC), bytes),
        "slot_file_header" => header(kind(SLOT_FILE_MAGIC), bytes),
        "map_file_header" => header(kind(MAP_FILE_MAGIC), bytes),
        "record" => {
            let sum = record_seed(STORE, SHARD).checksum_32(&bytes[4..RecordHeader::SIZE]);
            bytes[..4].copy_from_slice(&sum.to_le_bytes());
        }
        "flush" => {
            let (mut sealed, body) =
                FlushHeader::read_from_prefix(bytes).expect("samples hold a whole header");
            // The place is the sample's, whatever the header claims now.
            let seed = flush_seed(STORE, SHARD, GENERATION).at(FLUSH_OFFSET);
            sealed.body_checksum = seed.checksum(body).into();
            sealed.checksum = seed.checksum(&sealed.as_bytes()[8..]).into();
            bytes[..FlushHeader::SIZE].copy_from_slice(sealed.as_bytes());
        }
        "manifest_record" => {
            let seed = manifest_seed(STORE, SHARD, GENERATION).at(MANIFEST_OFFSET);
            let body = seed.checksum(&bytes[ManifestRecordHeader::SIZE..]);
            bytes[8..16].copy_from_slice(&body.to_le_bytes());
            header(seed, &mut bytes[..ManifestRecordHeader::SIZE]);
        }
        "slot" => {
            let seed = slot_seed(STORE, SHARD, TABLE);
            let size = slot_layout().slot_size;
            for (number, slot) in bytes.chunks_exact_mut(size).enumerate() {
                header(seed.at(u64::from(SLOT) + number as u64), slot);
            }
        }
        "page_map_block" => {
            header(map_seed(STORE, SHARD, TABLE).at(MAP_BLOCK.into()), bytes);
        }
        "double_write" => {
            header(double_write_seed(STORE, SHARD), &mut bytes[..DoubleWriteHeader::SIZE + 8]);
        }
        "hint" => {
            let seed = Seed::store(STORE).narrow(HINT_MAGIC, u64::from(SHARD));
            let seed = seed.narrow(HINT_MAGIC, GENERATION);
            let body = seed.checksum(&bytes[HintHeader::SIZE..]);
            bytes[56..64].copy_from_slice(&body.to_le_bytes());
            header(seed, &mut bytes[..HintHeader::SIZE]);
        }
        // The record around it has the checksum.
        "compressed_value" | "range_delete" | "range_delete_slots" => {}
        name => panic!("no checksum in {name}"),
    }
}

fn header(seed: Seed, bytes: &mut [u8]) {
    let sum = seed.checksum(&bytes[8..]);
    bytes[..8].copy_from_slice(&sum.to_le_bytes());
}
