//! File names: built and parsed, both ways.

use slotcask_format::file_name::{ShardFile, parse_shard_dir, shard_dir};

#[test]
fn every_name_parses_to_what_it_was_built_from() {
    let numbers = [0, 1, 9, 10, 99_999_999, 10_u64.pow(16) - 1, 10_u64.pow(16), u64::MAX];
    let tables = [0, 1, 42, 99_999_999, 100_000_000, u32::MAX];
    let mut files = vec![ShardFile::DoubleWrite, ShardFile::Temporary];
    for number in numbers {
        files.extend([
            ShardFile::Segment(number),
            ShardFile::Spare(number),
            ShardFile::Manifest(number),
        ]);
    }
    for table in tables {
        files.extend([ShardFile::Slots(table), ShardFile::Map(table)]);
    }
    for file in &files {
        assert_eq!(ShardFile::parse(&file.name()), Some(*file), "{}", file.name());
    }
    let mut names: Vec<String> = files.iter().map(ShardFile::name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), files.len(), "two files have one name");
}

#[test]
fn names_sort_by_number() {
    let mut names: Vec<String> = [7, 1_000, 3, 99].map(|n| ShardFile::Segment(n).name()).into();
    names.sort();
    assert_eq!(names, [3, 7, 99, 1_000].map(|n| ShardFile::Segment(n).name()));
}

#[test]
fn other_names_are_not_ours() {
    for name in [
        "",
        "log-",
        "log-.segment",
        "log-1.segment",
        "log-00000000000000001.segment",
        "log-000000000000000a.segment",
        "log-+000000000000001.segment",
        "log--000000000000001.segment",
        "log-0000000000000001.segment ",
        "log-0000000000000001.SEGMENT",
        "log-0000000000000001.slots",
        "log-99999999999999999999.segment",
        "manifest-1",
        "manifest-0000000000000001.old",
        "table-1.slots",
        "table-00000001",
        "table-4294967296.slots",
        "table-00000001.segment",
        "double-write2",
        "LOCK",
        "store",
        "log-００００００００００００００００.segment",
    ] {
        assert_eq!(ShardFile::parse(name), None, "{name}");
    }
}

#[test]
fn whatever_is_being_made_is_temporary() {
    for name in [".tmp", "manifest-0000000000000001.tmp", "anything.tmp"] {
        assert_eq!(ShardFile::parse(name), Some(ShardFile::Temporary), "{name}");
    }
}

#[test]
fn shard_directories_parse_to_their_shard() {
    for shard in 0..=u8::MAX {
        assert_eq!(parse_shard_dir(&shard_dir(shard)), Some(shard));
    }
    for name in ["shard-", "shard-1", "shard-0001", "shard-256", "shard-+01", "shards-001", "001"] {
        assert_eq!(parse_shard_dir(name), None, "{name}");
    }
}
