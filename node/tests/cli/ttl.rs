//! Times to live on the command line: put, shown, set and cleared, in tables of both kinds.

use crate::common::{Place, slotcask, wait_until_gone};

#[test]
fn a_time_to_live_is_shown_set_and_cleared() {
    let place = Place::new();
    let db = place.db();
    slotcask(&["create", &db, "--table", "c", "--kind", "cask"]).exits(0);
    let lengths = ["--key-len", "4", "--value-len", "4"];
    slotcask(&[&["create", &db, "--table", "f", "--expiry"], &lengths[..]].concat()).exits(0);
    let json = |arguments: &[&str], code: i32| {
        slotcask(&[&["--json", "ttl", &db], arguments].concat()).exits(code).json()
    };
    for table in ["c", "f"] {
        slotcask(&["put", &db, table, "kept", "some"]).exits(0);
        slotcask(&["put", &db, table, "soon", "some", "--ttl", "1ms"]).exits(0);
        slotcask(&["put", &db, table, "late", "some", "--ttl", "7d"]).exits(0);
        let never = json(&[table, "kept"], 0);
        let expected = serde_json::json!(
            { "found": true, "key": "kept", "ttl_ms": null, "deadline_ms": null }
        );
        assert_eq!(never, expected);
        assert_eq!(slotcask(&["ttl", &db, table, "kept"]).exits(0).stdout, "never\n");
        wait_until_gone(&["get", &db, table, "soon"]);
        assert_eq!(json(&[table, "soon"], 1)["found"], false);
        slotcask(&["get", &db, table, "soon"]).exits(1);
        slotcask(&["ttl", &db, table, "soon", "--set", "1h"]).exits(1);
        slotcask(&["ttl", &db, table, "late"]).exits(0).prints(" ms left, until ");
        let set = json(&[table, "kept", "--set", "1h"], 0);
        let left = set["ttl_ms"].as_u64().unwrap();
        assert!(left > 3_000_000 && left <= 3_600_000, "{left}");
        let deadline = set["deadline_ms"].as_u64().unwrap();
        let moved = (deadline + 1000).to_string();
        assert_eq!(json(&[table, "kept", "--at", &moved], 0)["deadline_ms"], deadline + 1000);
        assert_eq!(json(&[table, "kept", "--clear"], 0), expected);
        assert_eq!(slotcask(&["get", &db, table, "kept"]).exits(0).stdout, "some\n");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let place = Place::with_table(4, 4);
    let db = place.db();
    slotcask(&["put", &db, "t", "kept", "some"]).exits(0);
    slotcask(&["put", &db, "t", "kept", "some", "--ttl", "1s"]).fails(2).says("--expiry");
    slotcask(&["ttl", &db, "t", "kept", "--set", "1s"]).fails(2).says("--expiry");
    slotcask(&["ttl", &db, "t", "kept", "--set", "1s", "--clear"]).fails(2);
    slotcask(&["ttl", &db, "t", "kept"]).exits(0).prints("never");
    slotcask(&["ttl", &db, "t", "none"]).exits(1);
    slotcask(&["create", &db, "--table", "c", "--kind", "cask"]).exits(0);
    slotcask(&["put", &db, "c", "k", "v"]).exits(0);
    slotcask(&["ttl", &db, "c", "k", "--set", "0s"]).fails(2);
    slotcask(&["ttl", &db, "c", "k", "--at", "1000"]).fails(2).says("one that has not passed");
    for time in ["", "soon", "-1s", "1y", "1.5.5s", "s", "99999999999999999999s"] {
        slotcask(&["put", &db, "c", "k", "w", &format!("--ttl={time}")]).fails(2).says("--ttl");
        slotcask(&["ttl", &db, "c", "k", &format!("--set={time}")]).fails(2).says("--set");
    }
    for time in ["", "soon", "-1", "1s", "18446744073709551616"] {
        slotcask(&["ttl", &db, "c", "k", &format!("--at={time}")]).fails(2).says("--at");
    }
    slotcask(&["ttl", &db, "c", "k", "--at", "18446744073709551615"]).fails(2);
    slotcask(&["ttl", &db, "c", "none", "--clear"]).exits(1);
    slotcask(&["ttl", &db, "c", "none", "--set", "1s"]).exits(1);
    assert_eq!(slotcask(&["ttl", &db, "c", "k"]).exits(0).stdout, "never\n");
    assert_eq!(slotcask(&["get", &db, "c", "k"]).exits(0).stdout, "v\n");
}
