//! `dump` prints a record a line.

use crate::common::{Place, slotcask};

#[test]
fn log_manifest_and_slots_have_lines() {
    let place = Place::with_table(4, 4);
    slotcask(&["put", &place.db(), "t", "abcd", "efgh"]).exits(0);
    for what in [&["log"][..], &["manifest"]] {
        let dump = slotcask(&[&["dump"], what, &[&place.db(), "--shard", "0"]].concat()).exits(0);
        assert!(!dump.stdout.is_empty(), "{what:?}");
    }
    let slots = slotcask(&["dump", "slots", &place.db(), "t"]).exits(0);
    assert!(!slots.stdout.is_empty());
}

#[test]
fn a_cask_table_has_no_slots() {
    let place = Place::with_table(4, 4);
    slotcask(&["create", &place.db(), "--table", "pages", "--kind", "cask"]).exits(0);
    slotcask(&["dump", "slots", &place.db(), "pages"]).fails(2).says("is a cask table");
}
