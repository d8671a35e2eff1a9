//! A bit is flipped in a file. `check` finds it and exits with 1, a verb that needs the bytes exits with 3, and nobody
//! panics.

use crate::common::{Place, files_ending, flip, slotcask, slotcask_with_input, tsv};
use std::path::Path;

fn loaded() -> Place {
    let place = Place::with_table(8, 16);
    slotcask_with_input(&["load", &place.db(), "t"], tsv(2000).as_bytes()).exits(0);
    place
}

/// Offset of the first byte that is not zero at or behind `from`.
fn data_behind(path: &Path, from: usize) -> usize {
    let bytes = std::fs::read(path).unwrap();
    from + bytes[from..].iter().position(|byte| *byte != 0).expect("the file holds data")
}

#[test]
fn in_a_log_segment() {
    let place = loaded();
    let segment = files_ending(Path::new(&place.db()), ".segment").pop().expect("there is a log");
    flip(&segment, data_behind(&segment, 4096) + 40);
    let name = segment.file_name().unwrap().to_str().unwrap();
    slotcask(&["check", &place.db()]).exits(1).prints("damage").prints(name);
    let report = slotcask(&["--json", "check", &place.db()]).exits(1).json();
    assert!(report["damage"].as_u64().unwrap() > 0);
}

#[test]
fn in_a_slot_file() {
    let place = loaded();
    let slots = files_ending(Path::new(&place.db()), ".slots").pop().expect("there is a table");
    flip(&slots, data_behind(&slots, 4096) + 40);
    slotcask(&["check", &place.db()]).exits(1).prints(".slots");
    slotcask(&["get", &place.db(), "t", "k0000001"]).fails(3).says("slotcask check");
}

#[test]
fn in_the_superblock() {
    let place = loaded();
    flip(&Path::new(&place.db()).join("store"), 64);
    let run = slotcask(&["stat", &place.db()]);
    assert!(matches!(run.code, Some(2 | 3)), "{run:#?}");
    run.says("  help: ");
}
