//! With `--json` every verb prints one JSON value with stable keys.

use crate::common::{Place, slotcask};

#[track_caller]
fn keys(value: &serde_json::Value) -> Vec<&str> {
    value.as_object().expect("it is an object").keys().map(String::as_str).collect()
}

#[test]
fn every_verb() {
    let place = Place::with_table(4, 4);
    let db = place.db();
    let json = |arguments: &[&str], code: i32| {
        slotcask(&[&["--json"], arguments].concat()).exits(code).json()
    };

    assert_eq!(json(&["put", &db, "t", "k\"1\t", "v\\", "--pad"], 0)["put"], true);
    let got = json(&["get", &db, "t", "k\"1\t", "--unpad"], 0);
    assert_eq!(got["found"], true);
    assert_eq!(got["key"], "k\"1\\t");
    let missing = json(&["get", &db, "t", "none"], 1);
    assert_eq!(keys(&missing), keys(&got));
    assert_eq!(missing["found"], false);

    let rows = json(&["scan", &db, "t"], 0);
    assert_eq!(keys(&rows[0]), ["key", "value"]);
    assert_eq!(json(&["export", &db, "t"], 0), rows);
    assert_eq!(json(&["scan", &db, "t", "--prefix", "x"], 0), serde_json::json!([]));
    assert_eq!(json(&["--hex", "scan", &db, "t"], 0)[0]["key"], "6b223109");

    let stat = json(&["stat", &db], 0);
    assert_eq!(keys(&stat), ["id", "recovery", "shard_count", "shards", "tables"]);
    assert_eq!(stat["tables"][0]["rows"], 1);
    let check = json(&["check", &db], 0);
    assert_eq!(keys(&check), ["bytes", "damage", "files", "findings", "keys", "records"]);
    assert_eq!(check["damage"], 0);
    let repair = json(&["repair", &db], 0);
    assert_eq!(repair["done"], true);
    assert!(json(&["dump", "log", &db], 0).is_array());
    assert!(json(&["dump", "manifest", &db], 0).is_array());
    assert!(json(&["dump", "slots", &db, "t"], 0).is_array());

    let merged = json(&["merge", &db], 0);
    assert_eq!(keys(&merged), ["bytes_read", "bytes_written", "dead_bytes_left"]);
    let created = json(&["create", &db, "--table", "c", "--kind", "cask"], 0);
    assert_eq!(created["table_created"], "c");
    json(&["put", &db, "c", "k", "v"], 0);
    json(&["put", &db, "c", "k", "v"], 0);
    let merged = json(&["merge", &db], 0);
    assert!(merged["bytes_read"].as_u64().unwrap() > 0, "{merged}");
    assert_eq!(merged["dead_bytes_left"], 0);
    let shown = json(&["ttl", &db, "c", "k"], 0);
    assert_eq!(keys(&shown), ["deadline_ms", "found", "key", "ttl_ms"]);
    let shard = json(&["stat", &db], 0)["shards"][0].clone();
    for figure in ["log_bytes", "cask_live_bytes", "cask_dead_bytes", "cask_pinned_bytes"] {
        assert!(shard[figure].is_u64(), "{figure} in {shard}");
    }

    assert_eq!(json(&["del", &db, "t", "k\"1\t"], 0)["deleted"], true);
    assert_eq!(json(&["del", &db, "t", "k\"1\t"], 1)["deleted"], false);
}
