//! A copied directory is not taken for its original until it is adopted.

use crate::common::{Place, slotcask};
use std::process::Command;

#[test]
fn a_copy_is_refused_until_it_is_adopted() {
    let place = Place::with_table(4, 4);
    slotcask(&["put", &place.db(), "t", "abcd", "efgh"]).exits(0);
    let copy = place.path("copy");
    assert!(Command::new("cp").args(["-r", &place.db(), &copy]).status().unwrap().success());
    slotcask(&["put", &copy, "t", "abcd", "0000"]).fails(2).says("--adopt");
    slotcask(&["repair", &copy, "--adopt"]).exits(1).prints("--yes");
    slotcask(&["repair", &copy, "--adopt", "--yes"]).exits(0);
    slotcask(&["put", &copy, "t", "abcd", "0000"]).exits(0);
    assert_eq!(slotcask(&["get", &place.db(), "t", "abcd"]).exits(0).stdout, "efgh\n");
    assert_eq!(slotcask(&["get", &copy, "t", "abcd"]).exits(0).stdout, "0000\n");
}

#[test]
fn a_lock_file_that_was_removed_is_missed() {
    let place = Place::with_table(4, 4);
    let db = place.db();
    slotcask(&["put", &db, "t", "abcd", "efgh"]).exits(0);
    let lock = std::path::Path::new(&db).join("LOCK");
    std::fs::remove_file(&lock).unwrap();
    for verb in [
        vec!["put", &db, "t", "abcd", "0000"],
        vec!["get", &db, "t", "abcd"],
        vec!["repair", &db, "--yes"],
    ] {
        slotcask(&verb)
            .fails(2)
            .says("lock file of this store is missing")
            .says("no process has the store open");
        assert!(!lock.exists(), "{verb:?}");
    }
    slotcask(&["check", &db]).exits(0);
    slotcask(&["repair", &db, "--adopt", "--yes"]).exits(0);
    assert_eq!(slotcask(&["get", &db, "t", "abcd"]).exits(0).stdout, "efgh\n");
}

#[test]
fn a_sound_store_needs_no_repair() {
    let place = Place::with_table(4, 4);
    slotcask(&["repair", &place.db()]).exits(0).prints("nothing to repair");
    slotcask(&["repair", &place.db(), "--yes"]).exits(0).prints("nothing to repair");
}
