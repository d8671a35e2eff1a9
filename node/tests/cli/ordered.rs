//! Ordered tables on the command line: scans of ranges, both ways; deletes of ranges, counted first.

use crate::common::{Place, slotcask};

#[test]
fn ranges_are_scanned_and_deleted() {
    for kind in [&["--kind", "cask"][..], &["--key-len", "3", "--value-len", "1"][..]] {
        let place = Place::new();
        let db = place.db();
        let create = [&["create", &db, "--table", "t", "--ordered"][..], kind].concat();
        slotcask(&create).exits(0);
        let lines: String = (0..300).rev().map(|n| format!("{n:03}\tv\n")).collect();
        let file = place.file("rows.tsv", lines.as_bytes());
        slotcask(&["load", &db, "t", &file]).exits(0);
        let scan =
            |more: &[&str]| slotcask(&[&["scan", &db, "t"][..], more].concat()).exits(0).stdout;
        assert_eq!(scan(&["--from", "010", "--to", "012"]), "010\tv\n011\tv\n");
        assert_eq!(scan(&["--reverse", "--limit", "2"]), "299\tv\n298\tv\n");
        assert_eq!(scan(&["--prefix", "00", "--reverse", "--limit", "1"]), "009\tv\n");
        let counted = slotcask(&["del", &db, "t", "--prefix", "1"]).exits(1);
        assert_eq!(counted.stdout, "100 rows would be deleted; --yes does it\n");
        slotcask(&["del", &db, "t", "--prefix", "1", "--yes"]).exits(0).prints("deleted 100 rows");
        slotcask(&["del", &db, "t", "--to", "250", "--from", "2", "--yes"]).exits(0).prints("50");
        slotcask(&["del", &db, "t", "--prefix", "1"]).exits(0);
        assert_eq!(scan(&["--from", "099", "--limit", "2"]), "099\tv\n250\tv\n");
        slotcask(&["del", &db, "t", "250"]).exits(0);
        slotcask(&["check", &db]).exits(0);
    }
}

#[test]
fn a_table_without_an_order_and_half_a_request_are_refused() {
    let place = Place::new();
    let db = place.db();
    slotcask(&["create", &db, "--table", "t", "--kind", "cask"]).exits(0);
    slotcask(&["scan", &db, "t", "--from", "a"]).fails(2);
    slotcask(&["del", &db, "t", "--prefix", "a", "--yes"]).fails(2);
    slotcask(&["del", &db, "t"]).fails(2);
    slotcask(&["del", &db, "t", "a", "--yes"]).fails(2);
    slotcask(&["create", &db, "--ordered"]).fails(2);
}

#[test]
fn rows_by_their_keys_say_when_they_vanish() {
    for kind in [&["--kind", "cask"][..], &["--key-len", "3", "--value-len", "1", "--expiry"][..]] {
        let place = Place::new();
        let db = place.db();
        slotcask(&[&["create", &db, "--table", "t", "--ordered"][..], kind].concat()).exits(0);
        slotcask(&["put", &db, "t", "new", "v"]).exits(0);
        slotcask(&["put", &db, "t", "end", "v", "--ttl", "1h"]).exits(0);
        let rows = slotcask(&["--json", "scan", &db, "t", "--from", "new"]).exits(0).json();
        assert_eq!(rows[0]["ttl_ms"], serde_json::Value::Null);
        let rows = slotcask(&["--json", "scan", &db, "t", "--prefix", "e"]).exits(0).json();
        assert!(rows[0]["ttl_ms"].as_u64().is_some_and(|left| left > 0), "{rows}");
        slotcask(&["stat", &db]).exits(0).prints("ordered ");
    }
}
