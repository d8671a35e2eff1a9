//! A record or object that is no row ends the load as a bad line of TSV does: named, and the rows before it durable.

use crate::common::{Place, slotcask, slotcask_with_input};

/// Loads a file with one row before the bad one, and asserts what is said and kept.
#[track_caller]
fn refused(format: &str, more: &[&str], text: &[u8], line: u64, why: &str) {
    let place = Place::with_table(4, 8);
    let db = place.db();
    let load = [&["--json", "load", &db, "t", "--pad", "--format", format], more].concat();
    let run = slotcask_with_input(&load, text).fails(2);
    let report = run.json();
    run.says(&format!("standard input line {line}: {why}")).says("the lines before it are loaded");
    assert_eq!(report["acknowledged"], 1);
    assert_eq!(report["durable"], 1);
    assert_eq!(report["stopped"]["line"], line);
    slotcask(&["export", &db, "t", "--unpad"]).exits(0).prints("a\tb\n");
}

#[test]
fn of_csv() {
    let csv = |text: &str, line, why| refused("csv", &[], text.as_bytes(), line, why);
    csv("a,b\n\nonly\n", 3, "it has no comma between key and value");
    csv("a,b\nlonger,c\n", 2, "the key has 6 bytes, the table takes 4");
    csv("\n\r\n\na,b\r\nlonger,\"x\n\n\"\n", 5, "the key has 6 bytes");
    csv("a,b\nk,\"never\nclosed,x\n", 2, "a quote in it is never closed");
    let endless = "a,b\nk,\"".to_owned() + &"x,\n".repeat(1 << 18);
    csv(&endless, 2, "it has over 88 bytes");
    refused("csv", &["--key", "2"], b"b,a\nb\n", 2, "it has 1 column, the key is column 2");
    refused("csv", &["--header"], b"x\na,b\nc\n", 3, "it has no comma");
    refused("csv", &["--hex"], b"61,62\n61,6\n", 2, "the value: 1 hex digits are an odd number");
}

#[test]
fn of_ndjson() {
    let first = "{\"key\":\"a\",\"value\":\"b\"}\n";
    let ndjson = |bad: &str, why| {
        let text = first.to_owned() + "\n" + bad + "\n" + first;
        refused("ndjson", &[], text.as_bytes(), 3, why);
    };
    ndjson("{\"key\":\"a\"}", "it has no field value");
    ndjson("{\"key\":\"a\",\"value\":{}}", "invalid type: map, expected a string (column 19)");
    ndjson("{\"key\":\"a\",\"value\":\"b\",\"x\":1}", "unknown field `x`");
    ndjson("{\"key\":\"a\",\"value\":\"b\"", "EOF while parsing an object");
    ndjson("a\tb", "expected value (column 1)");
    ndjson("{\"key\":\"longer\",\"value\":\"\"}", "the key has 6 bytes, the table takes 4");
    let endless = "[".repeat(1 << 20);
    ndjson(&endless, "it has over 1096 bytes, more than any row of the table");
    let not_text = [first.as_bytes(), b"{\"key\":\"\xff\",\"value\":\"\"}\n"].concat();
    refused("ndjson", &[], &not_text, 2, "invalid unicode code point");
}

#[test]
fn a_time_to_live_where_there_is_none_is_named_with_its_line() {
    let place = Place::with_table(1, 1);
    let lines = b"{\"key\":\"a\",\"value\":\"b\"}\n{\"key\":\"c\",\"value\":\"d\",\"ttl_ms\":5}\n";
    for durability in ["sync", "buffered"] {
        let load = ["--json", "load", &place.db(), "t", "--format", "ndjson", "--durability"];
        let run = slotcask_with_input(&[&load[..], &[durability]].concat(), lines).fails(2);
        let report = run.json();
        run.says("standard input line 2: ");
        assert_eq!(report["acknowledged"], 1);
        assert_eq!(report["stopped"]["line"], 2);
    }
    slotcask(&["get", &place.db(), "t", "a"]).exits(0);
    slotcask(&["get", &place.db(), "t", "c"]).exits(1);
}
