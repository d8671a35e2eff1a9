//! What a target is, and the list of all targets.

use crate::targets::{
    compressed, double_write, extension, file_name, flush, hint, history, log_scan, manifest,
    page_map, range_delete, reader, record, schema, segment, slot, slot_file, slot_load,
    superblock,
};
use slotcask_format::layout::Layout;

/// What a decoder made of an input. Tells how deep a run reached, and which inputs to go on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The input was refused.
    Rejected,
    /// The input was decoded as a whole, and all properties were checked.
    Accepted,
}

/// One decoder under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Name on the command line.
    pub name: &'static str,
    /// Decodes any bytes and asserts what must hold. A panic is a finding.
    pub run: fn(&[u8]) -> Outcome,
    /// Valid inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Repairs all checksums, as far as the lengths in the input allow.
    pub reseal: Option<fn(&mut [u8])>,
    /// Layout at the front of the input: its fields are changed as whole numbers.
    pub layout: Option<Layout>,
}

/// Seeds from golden files.
macro_rules! golden {
    ($($name:literal),*) => {
        || vec![$(include_bytes!(concat!("../../format/golden/", $name, "_v1.bin")).to_vec()),*]
    };
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "record",
        run: record::target,
        seeds: golden!("record"),
        reseal: Some(record::reseal),
        layout: Some(slotcask_format::record::RecordHeader::LAYOUT),
    },
    Target {
        name: "extension",
        run: extension::target,
        seeds: golden!("extension"),
        reseal: None,
        layout: None,
    },
    Target {
        name: "compressed_value",
        run: compressed::target,
        seeds: compressed::seeds,
        reseal: None,
        layout: Some(slotcask_format::compressed::CompressedHeader::LAYOUT),
    },
    Target {
        name: "flush",
        run: flush::target,
        seeds: golden!("flush"),
        reseal: Some(flush::reseal),
        layout: Some(slotcask_format::flush::FlushHeader::LAYOUT),
    },
    Target {
        name: "segment_header",
        run: segment::target,
        seeds: golden!("segment_header"),
        reseal: Some(segment::reseal),
        layout: Some(slotcask_format::segment::SegmentHeader::LAYOUT),
    },
    Target {
        name: "manifest_header",
        run: manifest::header,
        seeds: golden!("manifest_header"),
        reseal: Some(manifest::reseal_header),
        layout: Some(slotcask_format::manifest::ManifestHeader::LAYOUT),
    },
    Target {
        name: "manifest_record",
        run: manifest::record,
        seeds: golden!("manifest_record"),
        reseal: Some(manifest::reseal_record),
        layout: Some(slotcask_format::manifest::ManifestRecordHeader::LAYOUT),
    },
    Target {
        name: "manifest_state",
        run: manifest::state,
        seeds: golden!("manifest_state", "manifest_data"),
        reseal: None,
        layout: None,
    },
    Target {
        name: "schema",
        run: schema::schema,
        seeds: golden!("schema", "cask_schema", "compressed_schema", "ordered_schema"),
        reseal: None,
        layout: None,
    },
    Target {
        name: "range_delete",
        run: range_delete::target,
        seeds: golden!("range_delete", "range_delete_slots"),
        reseal: None,
        layout: Some(slotcask_format::range_delete::RangeDeleteHeader::LAYOUT),
    },
    Target { name: "ddl", run: schema::ddl, seeds: golden!("ddl"), reseal: None, layout: None },
    Target {
        name: "slot",
        run: slot::target,
        seeds: slot::seeds,
        reseal: Some(slot::reseal),
        layout: Some(slotcask_format::slot::SlotHeader::LAYOUT),
    },
    Target {
        name: "slot_file_header",
        run: slot_file::slots,
        seeds: golden!("slot_file_header"),
        reseal: Some(slot_file::reseal_slots),
        layout: Some(slotcask_format::slot_file::SlotFileHeader::LAYOUT),
    },
    Target {
        name: "map_file_header",
        run: slot_file::map,
        seeds: golden!("map_file_header"),
        reseal: Some(slot_file::reseal_map),
        layout: Some(slotcask_format::slot_file::SlotFileHeader::LAYOUT),
    },
    Target {
        name: "page_map_block",
        run: page_map::target,
        seeds: golden!("page_map_block"),
        reseal: Some(page_map::reseal),
        layout: Some(slotcask_format::page_map::MapBlockHeader::LAYOUT),
    },
    Target {
        name: "double_write",
        run: double_write::target,
        seeds: golden!("double_write"),
        reseal: Some(double_write::reseal),
        layout: Some(slotcask_format::double_write::DoubleWriteHeader::LAYOUT),
    },
    Target {
        name: "hint",
        run: hint::target,
        seeds: golden!("hint"),
        reseal: Some(hint::reseal),
        layout: Some(slotcask_format::hint::HintHeader::LAYOUT),
    },
    Target {
        name: "superblock",
        run: superblock::target,
        seeds: superblock::seeds,
        reseal: Some(superblock::reseal),
        layout: Some(slotcask_format::superblock::Superblock::LAYOUT),
    },
    Target {
        name: "history",
        run: history::target,
        seeds: golden!("history"),
        reseal: Some(history::reseal),
        layout: Some(slotcask_format::history::HistoryHeader::LAYOUT),
    },
    Target {
        name: "file_name",
        run: file_name::target,
        seeds: file_name::seeds,
        reseal: None,
        layout: None,
    },
    Target {
        name: "reader",
        run: reader::target,
        seeds: reader::seeds,
        reseal: None,
        layout: None,
    },
    Target {
        name: "log_scan",
        run: log_scan::target,
        seeds: log_scan::seeds,
        reseal: Some(log_scan::reseal),
        layout: None,
    },
    Target {
        name: "slot_load",
        run: slot_load::target,
        seeds: slot_load::seeds,
        reseal: Some(slot_load::reseal),
        layout: None,
    },
];

/// The target or canary of that name.
#[must_use]
pub fn find(name: &str) -> Option<Target> {
    TARGETS.iter().chain(crate::CANARIES).find(|target| target.name == name).copied()
}
