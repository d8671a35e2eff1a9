//! Canaries: one for each way in which an input has to be changed before deep code sees it. Each panics on a valid
//! input that differs from every seed in one number.

use crate::place::{FLUSH_OFFSET, GENERATION, MANIFEST_OFFSET, SEGMENT_SIZE, SHARD, STORE};
use crate::target::{Outcome, Target};
use crate::targets;
use slotcask_format::double_write::{decode, double_write_seed};
use slotcask_format::file_name::ShardFile;
use slotcask_format::flush::{FlushHeader, flush_seed};
use slotcask_format::manifest::{ManifestState, decode_record, manifest_seed};
use slotcask_format::record::{self, RecordKind, record_seed};
use slotcask_format::schema::TableSchema;
use slotcask_format::superblock::{SHARD_COUNT_MAX, Superblock};
use zerocopy::FromBytes;

/// All canaries: a fuzzer that does not find one of them does not test what it claims to test.
pub const CANARIES: &[Target] = &[
    like("schema", "canary_item", item),
    like("file_name", "canary_text", text),
    like("superblock", "canary_header", header),
    like("record", "canary_length", length),
    like("flush", "canary_nested", nested),
    like("manifest_record", "canary_state", state),
    like("double_write", "canary_count", count),
    like("log_scan", "canary_log", log),
    like("slot_load", "canary_load", load),
];

/// A canary that begins with the seeds of the target `of` and is sealed as it is.
const fn like(of: &str, name: &'static str, run: fn(&[u8]) -> Outcome) -> Target {
    let mut at = 0;
    while at < crate::TARGETS.len() {
        let target = crate::TARGETS[at];
        if equal(target.name, of) {
            return Target { name, run, ..target };
        }
        at += 1;
    }
    panic!("no target has this name")
}

const fn equal(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut at = 0;
    while at < left.len() && at < right.len() && left[at] == right[at] {
        at += 1;
    }
    at == left.len() && at == right.len()
}

/// No checksum: one number inside one item.
fn item(data: &[u8]) -> Outcome {
    let Ok(schema) = TableSchema::decode(data) else { return Outcome::Rejected };
    assert!(schema.key_len != 4096, "canary");
    Outcome::Accepted
}

/// Text: digits that stay digits.
fn text(data: &[u8]) -> Outcome {
    let file = std::str::from_utf8(data).ok().and_then(ShardFile::parse);
    assert!(!matches!(file, Some(ShardFile::Map(table)) if table % 100 == 31), "canary");
    targets::file_name::target(data)
}

/// A header with one checksum: a number at its limit.
fn header(data: &[u8]) -> Outcome {
    let Ok((block, None)) = Superblock::decode_file(data) else { return Outcome::Rejected };
    assert!(block.shard_count.get() != SHARD_COUNT_MAX, "canary");
    Outcome::Accepted
}

/// Two checksums, and a length that decides what the second one covers.
fn length(data: &[u8]) -> Outcome {
    let Ok((record, _)) = record::decode(record_seed(STORE, SHARD), data) else {
        return Outcome::Rejected;
    };
    assert!(record.value.len() != 19, "canary");
    Outcome::Accepted
}

/// Checksums inside a body with a checksum, under a header with a checksum.
fn nested(data: &[u8]) -> Outcome {
    let seed = flush_seed(STORE, SHARD, GENERATION);
    let Ok((header, _)) = FlushHeader::read_from_prefix(data) else { return Outcome::Rejected };
    if header.invalid(seed, GENERATION, FLUSH_OFFSET, SEGMENT_SIZE).is_some() {
        return Outcome::Rejected;
    }
    let Some(body) = data.get(FlushHeader::SIZE..header.size()) else { return Outcome::Rejected };
    if !header.body_is_valid(seed, body) {
        return Outcome::Rejected;
    }
    let mut rest = &body[..header.length.get() as usize];
    for _ in 0..header.count.get() {
        let Ok((record, size)) = record::decode_vouched(record_seed(STORE, SHARD), rest) else {
            return Outcome::Rejected;
        };
        assert!(record.kind != RecordKind::Skip, "canary");
        rest = &rest[size..];
    }
    Outcome::Accepted
}

/// A state without checksum inside a record with two.
fn state(data: &[u8]) -> Outcome {
    let seed = manifest_seed(STORE, SHARD, GENERATION);
    let Ok((_, bytes, _)) = decode_record(seed, MANIFEST_OFFSET, data) else {
        return Outcome::Rejected;
    };
    let Ok(state) = ManifestState::decode(bytes) else { return Outcome::Rejected };
    assert!(state.table_last != u32::MAX, "canary");
    Outcome::Accepted
}

/// A count that decides what two checksums cover.
fn count(data: &[u8]) -> Outcome {
    let Ok(area) = decode(double_write_seed(STORE, SHARD), data) else { return Outcome::Rejected };
    assert!(area.pages.len() != 1, "canary");
    Outcome::Accepted
}

/// Records in flushes in segments that a manifest lists, each with checksums that name each other.
fn log(data: &[u8]) -> Outcome {
    let Ok((_, seen, _)) = targets::log_scan::open(&targets::log_scan::disk_of(data)) else {
        return Outcome::Rejected;
    };
    assert!(seen.0.iter().all(|(_, key)| key.first() != Some(&0x7f)), "canary");
    Outcome::Accepted
}

/// A slot on a page that the page map vouches for, whose root the manifest names.
fn load(data: &[u8]) -> Outcome {
    let Some(table) = targets::slot_load::load(data) else { return Outcome::Rejected };
    let reader = table.reader();
    for slot in 0..reader.slot_count() {
        let meta = reader.read_slot(slot, &mut [0; 8], &mut [0; 20]);
        assert!(meta.is_none_or(|meta| meta.deadline_ms == 0), "canary");
    }
    Outcome::Accepted
}
