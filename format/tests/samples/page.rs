//! The parts of `docs/FORMAT.md` that code states: between `<!-- key -->` and `<!-- end -->`.

use super::{Golden, STORE, dump};
use slotcask_format::checksum::Seed;
use slotcask_format::file_name::{DOUBLE_WRITE, HISTORY, LOCK, SUPERBLOCK, ShardFile, shard_dir};
use slotcask_format::slot::SlotLayout;
use slotcask_format::{block, flush, history, layout, manifest, page_map, record, schema};
use slotcask_format::{segment, slot, slot_file, superblock};
use std::fmt::Write;

/// End of a rendered part.
const END: &str = "<!-- end -->";

/// `page` with every rendered part rendered anew.
///
/// # Errors
/// What is wrong with the markers: an unknown key, a missing end, or a key that the page does not hold.
pub fn render(page: &str, goldens: &[Golden]) -> Result<String, String> {
    let mut parts = parts(goldens);
    let mut out = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let key = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
        let Some(key) = key else { continue };
        let at = parts
            .iter()
            .position(|(name, _)| name == key)
            .ok_or_else(|| format!("marker {key} is unknown or stands twice"))?;
        out.push_str(&parts.remove(at).1);
        if !lines.any(|line| line == END) {
            return Err(format!("marker {key} has no end"));
        }
        out.push_str(END);
        out.push('\n');
    }
    match parts.first() {
        Some((key, _)) => Err(format!("marker {key} is missing")),
        None => Ok(out),
    }
}

fn parts(goldens: &[Golden]) -> Vec<(String, String)> {
    let mut parts = vec![
        ("tree".to_owned(), tree()),
        ("limits".to_owned(), limits()),
        ("slots".to_owned(), slots()),
        ("seeds".to_owned(), seeds()),
    ];
    for layout in layout::tables() {
        parts.push((format!("layout:{}", layout.name), layout.markdown()));
    }
    for golden in goldens {
        let text = format!("```text\n{}```\n", dump::text(golden));
        parts.push((format!("golden:{}", golden.name), text));
    }
    parts
}

fn tree() -> String {
    let mut out = String::from("```text\n");
    let mut line = |depth: usize, name: &str, about: &str| {
        let name = format!("{}{name}", "  ".repeat(depth));
        let text = format!("{name:<34}{about}");
        writeln!(out, "{}", text.trim_end()).expect("writing to a string");
    };
    line(0, LOCK, "locked by the process that has the store open, shared by those that only read");
    line(0, SUPERBLOCK, "superblock, twice");
    line(0, HISTORY, "epochs of the store");
    line(0, &format!("{}/", shard_dir(0)), "one directory a shard, from 0");
    line(1, &ShardFile::Manifest(1).name(), "manifest, by generation");
    line(1, &ShardFile::Segment(1).name(), "log segment, by generation");
    line(1, &ShardFile::Spare(2).name(), "file that may become a segment, by number");
    line(1, &ShardFile::Slots(1).name(), "slot file, by table");
    line(1, &ShardFile::Map(1).name(), "page map, by table");
    line(1, &ShardFile::Data(3).name(), "data file of cask tables, by generation");
    line(1, &ShardFile::Hint(3).name(), "hint of a data file");
    line(1, DOUBLE_WRITE, "double-write area (only with torn_page_protection)");
    let held = "holds space for a merge on a full disk (only with cask tables)";
    line(1, slotcask_format::file_name::MERGE_RESERVE, held);
    line(1, &format!("*{}", ShardFile::Temporary.name()), "being made; removed at opening");
    line(0, &format!("{}/", shard_dir(1)), "");
    out.push_str("```\n");
    out
}

fn limits() -> String {
    let rows = [
        ("block", "`block::BLOCK_SIZE`", block::BLOCK_SIZE as u64),
        ("sector", "`block::SECTOR_SIZE`", block::SECTOR_SIZE as u64),
        ("shards", "`superblock::SHARD_COUNT_MAX`", u64::from(superblock::SHARD_COUNT_MAX)),
        (
            "bits of a key that choose its shard",
            "`superblock::SHARD_PREFIX_BITS_MAX`",
            u64::from(superblock::SHARD_PREFIX_BITS_MAX),
        ),
        ("smallest segment", "`superblock::SEGMENT_SIZE_MIN`", superblock::SEGMENT_SIZE_MIN),
        ("largest segment", "`superblock::SEGMENT_SIZE_MAX`", superblock::SEGMENT_SIZE_MAX),
        (
            "fewest segments of a log",
            "`superblock::SEGMENT_COUNT_MIN`",
            u64::from(superblock::SEGMENT_COUNT_MIN),
        ),
        ("flush of independent records", "`flush::FLUSH_SIZE_MAX`", flush::FLUSH_SIZE_MAX as u64),
        ("flush of one batch", "`flush::BATCH_LEN_MAX`", flush::BATCH_LEN_MAX as u64),
        ("key of a record", "`record::KEY_LEN_MAX`", record::KEY_LEN_MAX as u64),
        ("value of a record", "`record::VALUE_LEN_MAX`", record::VALUE_LEN_MAX as u64),
        ("extension of a record", "`record::EXTENSION_LEN_MAX`", record::EXTENSION_LEN_MAX as u64),
        ("key of a fixed table", "`schema::FIXED_KEY_LEN_MAX`", schema::FIXED_KEY_LEN_MAX.into()),
        (
            "value of a fixed table",
            "`schema::FIXED_VALUE_LEN_MAX`",
            schema::FIXED_VALUE_LEN_MAX.into(),
        ),
        ("name of a table", "`schema::TABLE_NAME_LEN_MAX`", schema::TABLE_NAME_LEN_MAX as u64),
        (
            "state in a manifest record",
            "`manifest::MANIFEST_STATE_LEN_MAX`",
            manifest::MANIFEST_STATE_LEN_MAX as u64,
        ),
        ("manifest file", "`manifest::MANIFEST_FILE_SIZE_MAX`", manifest::MANIFEST_FILE_SIZE_MAX),
        ("history file", "`history::HISTORY_FILE_SIZE_MAX`", history::HISTORY_FILE_SIZE_MAX),
        ("checksums in a map block", "`page_map::MAP_ENTRIES`", page_map::MAP_ENTRIES as u64),
        (
            "first flush in a segment",
            "`segment::SEGMENT_DATA_OFFSET`",
            segment::SEGMENT_DATA_OFFSET,
        ),
        (
            "first record in a manifest",
            "`manifest::MANIFEST_DATA_OFFSET`",
            manifest::MANIFEST_DATA_OFFSET,
        ),
        (
            "first page or map block in a file",
            "`slot_file::SLOT_FILE_DATA_OFFSET`",
            slot_file::SLOT_FILE_DATA_OFFSET,
        ),
    ];
    let mut out = String::from("| what | constant | value |\n| --- | --- | ---: |\n");
    for (what, constant, value) in rows {
        writeln!(out, "| {what} | {constant} | {value} |").expect("writing to a string");
    }
    out
}

fn slots() -> String {
    let mut out = String::from(
        "| key | value | deadlines | slot | slots a page | page | unused in a page |\n\
         | ---: | ---: | --- | ---: | ---: | ---: | ---: |\n",
    );
    let tables = [
        (8, 8, false),
        (8, 20, true),
        (16, 100, false),
        (16, 1024, false),
        (16, 4056, false),
        (16, 4057, false),
        (32, 65_536, true),
    ];
    for (key_len, value_len, deadlines) in tables {
        let layout = SlotLayout::new(key_len, value_len, deadlines);
        let unused = layout.page_size - layout.slots_per_page * layout.slot_size;
        writeln!(
            out,
            "| {key_len} | {value_len} | {} | {} | {} | {} | {unused} |",
            if deadlines { "yes" } else { "no" },
            layout.slot_size,
            layout.slots_per_page,
            layout.page_size,
        )
        .expect("writing to a string");
    }
    out
}

/// One checksum of nothing under each seed of the samples: whoever writes a reader can check their seeds by it.
fn seeds() -> String {
    let (shard, table) = (super::SHARD, super::TABLE);
    let rows: [(&str, Seed); 7] = [
        ("store", Seed::store(STORE)),
        ("record header", record::record_seed(STORE, shard)),
        ("record body, sequence 101", record::record_seed(STORE, shard).at(101)),
        (
            "flush at 8192 of generation 5",
            flush::flush_seed(STORE, shard, super::GENERATION).at(super::FLUSH_OFFSET),
        ),
        (
            "manifest record at 4096 of generation 5",
            manifest::manifest_seed(STORE, shard, super::GENERATION).at(super::MANIFEST_OFFSET),
        ),
        ("slot 31 of table 7", slot::slot_seed(STORE, shard, table).at(super::SLOT.into())),
        ("map block 3 of table 7", page_map::map_seed(STORE, shard, table).at(3)),
    ];
    let mut out = String::from("| seed | XXH3-64 of no bytes |\n| --- | --- |\n");
    for (name, seed) in rows {
        writeln!(out, "| {name} | {:016x} |", seed.checksum(b"")).expect("writing to a string");
    }
    out
}
