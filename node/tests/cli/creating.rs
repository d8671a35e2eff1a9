//! Stores and tables are created once; what is there already is not touched.

use crate::common::{Place, slotcask};

#[test]
fn a_store_then_a_table() {
    let place = Place::new();
    let db = place.db();
    let made = slotcask(&["--json", "create", &db, "--shards", "2", "--log-size", "16M"]);
    let made = made.exits(0).json();
    assert_eq!(made["store_created"], true);
    assert_eq!(made["shards"], 2);
    let table = ["create", &db, "--table", "t", "--key-len", "4", "--value-len", "4"];
    slotcask(&table).exits(0).prints("created table t");
    slotcask(&table).fails(2);
    slotcask(&["create", &db]).fails(2).says("is a store already");
    slotcask(&["create", &db, "--shards", "3"]).fails(2).says("is a store already");
    let stat = slotcask(&["--json", "stat", &db]).exits(0).json();
    assert_eq!(stat["shard_count"], 2);
    assert_eq!(stat["tables"][0]["name"], "t");
    assert_eq!(stat["tables"][0]["key_len"], 4);
}

#[test]
fn a_store_that_was_made_for_a_table_that_was_not_is_told_of() {
    let place = Place::new();
    let db = place.db();
    let table = ["create", &db, "--table", "t", "--kind", "cask", "--pinned", "5"];
    let both = [&table[..], &["--shards", "2"]].concat();
    slotcask(&both).fails(2).says("the store itself was created");
    slotcask(&[&table[..6], &["--pinned", "1"]].concat()).exits(0).prints("created cask table t");
    let other = Place::new();
    let db = other.db();
    let plain = ["create", &db, "--table", "t", "--kind", "cask", "--pinned", "5"];
    slotcask(&plain).fails(2).says("the store itself was created");
    // It was there before.
    let again = slotcask(&plain).fails(2);
    assert!(!again.stderr.contains("the store itself was created"), "{again:#?}");
}

#[test]
fn options_that_make_no_sense_create_nothing() {
    let place = Place::new();
    let db = place.db();
    slotcask(&["create", &db, "--log-size", "12X"]).fails(2);
    slotcask(&["create", &db, "--shards", "0"]).fails(2);
    slotcask(&["create", &db, "--expiry"]).fails(2).says("what the new table is like");
    slotcask(&["create", &db, "--table", "t"]).fails(2).says("--key-len");
    slotcask(&["create", &db, "--key-len", "4", "--value-len", "4"]).fails(2).says("no name");
    let cask = ["create", &db, "--table", "t", "--kind", "cask"];
    slotcask(&[&cask[..], &["--slot-count-max", "5"]].concat()).fails(2).says("no slots");
    slotcask(&[&cask[..], &["--compression", "zip"]].concat()).fails(2).says("lz4");
    let packed = ["--key-len", "4", "--value-len", "4", "--compression", "lz4"];
    slotcask(&[&cask[..4], &packed].concat()).fails(2).says("--kind cask");
    slotcask(&["create", &db, "--table", "t", "--pinned", "0"]).fails(2).says("--kind cask");
    slotcask(&["create", &db, "--table", "", "--kind", "cask"]).fails(2).says("--table");
    slotcask(&["create", &db, "--table", "t", "--key-len", "0", "--value-len", "1"]).fails(2);
    let long = ["create", &db, "--table", "t", "--key-len", "4097", "--value-len", "1"];
    slotcask(&long).fails(2).says("at most 4096 bytes");
    assert!(!std::path::Path::new(&db).exists());
}

#[test]
fn load_makes_a_table_when_its_lengths_are_given() {
    let place = Place::with_table(4, 4);
    let db = place.db();
    let file = place.file("rows.tsv", b"a\t1\n");
    slotcask(&["load", &db, "new", &file, "--pad"]).fails(2).says("--key-len");
    let load = ["load", &db, "new", &file, "--pad", "--key-len", "4", "--value-len", "4"];
    slotcask(&load).exits(0);
    slotcask(&load).exits(0);
    let other = ["load", &db, "new", &file, "--pad", "--key-len", "5", "--value-len", "4"];
    slotcask(&other).fails(2).says("not 5 and 4");
    let cask = ["load", &db, "new", &file, "--pad", "--kind", "cask"];
    slotcask(&cask).fails(2).says("a fixed table").says("leave out --kind");
    slotcask(&["load", &db, "new", &file, "--kind", "fixed"]).fails(2).says("--key-len");
}
