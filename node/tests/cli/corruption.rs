//! A bit is flipped in a file. `check` finds it and exits with 1, a verb that needs the bytes exits with 3, `repair` mends
//! what has a whole copy and refuses to drop the rest, and nobody panics.

use crate::common::{Place, files_ending, flip, slotcask, slotcask_with_input, tsv};
use std::path::{Path, PathBuf};

const BLOCK: usize = 4096;

fn loaded() -> Place {
    let place = Place::with_table(8, 16);
    slotcask_with_input(&["load", &place.db(), "t"], tsv(2000).as_bytes()).exits(0);
    place
}

/// A file with this ending that holds `bytes`, and the first offset of them.
fn found(place: &Place, ending: &str, bytes: &[u8]) -> (PathBuf, usize) {
    files_ending(Path::new(&place.db()), ending)
        .into_iter()
        .find_map(|path| {
            let held = std::fs::read(&path).unwrap();
            let at = held.windows(bytes.len()).position(|window| window == bytes)?;
            Some((path, at))
        })
        .expect("a file holds the bytes")
}

#[test]
fn in_a_log_segment() {
    let place = loaded();
    let (segment, at) = found(&place, ".segment", b"k0000007");
    flip(&segment, at);
    let name = segment.file_name().unwrap().to_str().unwrap();
    slotcask(&["check", &place.db()]).exits(1).prints("damage: ").prints(name);
    let report = slotcask(&["--json", "check", &place.db()]).exits(1).json();
    assert!(report["damage"].as_u64().unwrap() > 0);
    slotcask(&["dump", "log", &place.db()]).fails(3);
}

#[test]
fn in_a_slot_file() {
    let place = loaded();
    let (slots, at) = found(&place, ".slots", b"k0000007");
    flip(&slots, at);
    slotcask(&["check", &place.db()]).exits(1).prints(".slots");
    slotcask(&["get", &place.db(), "t", "k0000001"]).fails(3).says("slotcask check");
    slotcask(&["repair", &place.db(), "--yes"]).fails(3).prints("beyond repair").says("restore");
    slotcask(&["check", &place.db()]).exits(1).prints(".slots");
}

#[test]
fn in_one_copy_of_the_superblock() {
    let place = loaded();
    flip(&Path::new(&place.db()).join("store"), 64);
    slotcask(&["check", &place.db()]).exits(0).prints("notice: ").prints("no damage");
    slotcask(&["get", &place.db(), "t", "k0000001"]).exits(0);
    slotcask(&["repair", &place.db()]).exits(1).prints("--yes");
    slotcask(&["repair", &place.db(), "--yes"]).exits(0).prints("done:");
    slotcask(&["repair", &place.db()]).exits(0).prints("nothing to repair");
}

#[test]
fn in_both_copies_of_the_superblock() {
    let place = loaded();
    let superblock = Path::new(&place.db()).join("store");
    flip(&superblock, 64);
    flip(&superblock, 64 + BLOCK);
    for verb in ["stat", "check", "repair"] {
        slotcask(&[verb, &place.db()]).fails(3);
    }
}
