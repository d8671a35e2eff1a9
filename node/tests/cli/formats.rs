//! TSV, CSV and NDJSON: what is exported is loaded again, byte for byte, whatever the bytes.

use crate::common::{Place, command, slotcask, slotcask_with_input, sorted, wait_until_gone};

/// A cask table `t` with bytes that some format has to take care of, in keys and in values.
fn awkward() -> Place {
    let place = Place::new();
    let db = place.db();
    slotcask(&["create", &db, "--shards", "1", "--table", "t", "--kind", "cask"]).exits(0);
    let mut rows: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    rows.extend([0, 9, 10, 13, 32, 34, 44, 92, 239].map(|byte| vec![byte, byte, b'x', byte]));
    rows.push(b"\xef\xbb\xbfmark".to_vec());
    rows.push("gr\u{fc}n \u{1f600} \u{2028}".as_bytes().to_vec());
    rows.push((0..=255).collect());
    rows.push(b"\\x41,\"\"\r\n\t".to_vec());
    rows.push(vec![0; 70]);
    let mut lines = String::new();
    for (index, key) in rows.iter().enumerate() {
        let value = &rows[rows.len() - 1 - index];
        lines.push_str(&format!("{}\t{}\n", digits(key), digits(value)));
    }
    lines.push_str(&format!("{}\t\n", digits(b"empty")));
    lines.push_str(&format!("\t{}\n", digits(b"of the empty key")));
    slotcask_with_input(&["--hex", "load", &db, "t"], lines.as_bytes()).exits(0);
    place
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Standard output of a run, of any bytes.
#[track_caller]
fn bytes_of(arguments: &[&str]) -> Vec<u8> {
    let output = command(arguments).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[track_caller]
fn comes_back(common: &[&str], export: &[&str], load: &[&str]) {
    let place = awkward();
    let db = place.db();
    let file = bytes_of(&[common, &["export", &db, "t"], export].concat());
    let copy = [common, &["load", &db, "copy", "--kind", "cask"], load].concat();
    slotcask_with_input(&copy, &file).exits(0);
    let rows = |table| slotcask(&["--hex", "export", &db, table]).exits(0).stdout;
    let (original, copied) = (rows("t"), rows("copy"));
    assert_eq!(sorted(&copied), sorted(&original));
    assert_eq!(copied.lines().count(), 272);
}

#[test]
fn any_bytes_come_back_from_tsv() {
    comes_back(&[], &[], &["--escaped"]);
    comes_back(&[], &["--header"], &["--escaped", "--header"]);
    comes_back(&["--hex"], &[], &[]);
}

#[test]
fn any_bytes_come_back_from_csv() {
    comes_back(&[], &["--format", "csv"], &["--format", "csv"]);
    comes_back(&[], &["--format", "csv", "--header"], &["--format", "csv", "--header"]);
    comes_back(&["--hex"], &["--format", "csv"], &["--format", "csv"]);
}

#[test]
fn any_bytes_come_back_from_ndjson() {
    comes_back(&[], &["--format", "ndjson"], &["--format", "ndjson"]);
    comes_back(&["--hex"], &["--format", "ndjson"], &["--format", "ndjson"]);
}

#[test]
fn a_mark_of_utf8_at_the_very_beginning_comes_back() {
    let place = Place::new();
    let db = place.db();
    slotcask_with_input(&["load", &db, "t", "--kind", "cask"], b"\xef\xbb\xbfk\tv\n").exits(0);
    let file = bytes_of(&["export", &db, "t", "--format", "csv"]);
    slotcask_with_input(&["load", &db, "u", "--kind", "cask", "--format", "csv"], &file).exits(0);
    assert_eq!(bytes_of(&["export", &db, "u", "--raw"]), b"\xef\xbb\xbfk\tv\n");
}

#[test]
fn the_ending_of_the_file_says_the_format() {
    let place = Place::with_table(4, 8);
    let db = place.db();
    slotcask(&["put", &db, "t", "a,b", "say \"x\"", "--pad"]).exits(0);
    let export = |name: &str, more: &[&str]| {
        let path = place.path(name);
        slotcask(&[&["export", &db, "t", "--unpad", "--output", &path], more].concat())
            .exits(0)
            .prints("wrote 1 row to ");
        std::fs::read_to_string(path).unwrap()
    };
    assert_eq!(export("a.csv", &["--header"]), "key,value\n\"a,b\",\"say \"\"x\"\"\"\n");
    assert_eq!(export("a.tsv", &["--header"]), "key\tvalue\na,b\tsay \"x\"\n");
    assert_eq!(export("a.txt", &[]), "a,b\tsay \"x\"\n");
    assert_eq!(export("a.jsonl", &[]), "{\"key\":\"a,b\",\"value\":\"say \\\"x\\\"\"}\n");
    assert_eq!(export("b.csv", &["--format", "tsv"]), "a,b\tsay \"x\"\n");
    for (name, header) in [("a.csv", true), ("a.tsv", true), ("a.txt", false), ("a.jsonl", false)] {
        slotcask(&["del", &db, "t", "a,b", "--pad"]).exits(0);
        let path = place.path(name);
        let mut load = vec!["load", &db, "t", &path, "--pad"];
        if header {
            load.push("--header");
        }
        slotcask(&load).exits(0).prints("1 row in");
        slotcask(&["get", &db, "t", "a,b", "--pad", "--unpad"]).exits(0).prints("say \"x\"");
    }
}

#[test]
fn keys_of_records_come_from_columns_numbers_and_hashes() {
    let csv = "name,id,note\n\"Ann, of\nX\",7,n1\nBob,8,\"\"\"n2\"\"\"\n";
    let loaded = |from: &str| {
        let place = Place::with_table(4, 32);
        let load =
            ["load", &place.db(), "t", "--format", "csv", "--header", "--pad", "--key", from];
        slotcask_with_input(&load, csv.as_bytes()).exits(0);
        slotcask(&["export", &place.db(), "t", "--unpad"]).exits(0).stdout
    };
    let rows = loaded("2");
    assert_eq!(sorted(&rows), ["7\t\"Ann, of\\nX\",n1", "8\tBob,\"\"\"n2\"\"\""]);
    let rows = loaded("line");
    assert_eq!(sorted(&rows), ["0001\t\"Ann, of\\nX\",7,n1", "0002\tBob,8,\"\"\"n2\"\"\""]);
    assert_eq!(loaded("hash").lines().count(), 2);
    assert_eq!(loaded("hash-hex").lines().count(), 2);

    // One field that is left is the value itself.
    let place = Place::with_table(4, 8);
    let load = ["load", &place.db(), "t", "--format", "csv", "--pad", "--key", "2"];
    slotcask_with_input(&load, b"\"a,b\",k1\n").exits(0);
    slotcask(&["get", &place.db(), "t", "k1", "--pad", "--unpad"]).exits(0).prints("a,b\n");
}

#[test]
fn times_to_live_go_with_ndjson() {
    let place = Place::new();
    let db = place.db();
    let lines = "{\"key\":\"a\",\"value\":\"1\",\"ttl_ms\":3600000}\n{\"key\":\"b\",\"value\":\"2\"}\n\
                 {\"key\":\"c\",\"value\":\"3\",\"ttl_ms\":1}\n\n";
    for durability in ["sync", "buffered"] {
        let load = ["load", &db, "t", "--kind", "cask", "--format", "ndjson", "--durability"];
        let run = slotcask_with_input(&[&load[..], &[durability]].concat(), lines.as_bytes());
        run.exits(0).prints("3 rows").prints("all durable");
    }
    wait_until_gone(&["get", &db, "t", "c"]);

    let exported = slotcask(&["export", &db, "t", "--format", "ndjson"]).exits(0);
    assert_eq!(exported.stderr, "");
    let rows: Vec<serde_json::Value> =
        sorted(&exported.stdout).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    let left = rows[0]["ttl_ms"].as_u64().unwrap();
    assert!((1..=3_600_000).contains(&left), "{left}");
    assert_eq!(rows[1]["ttl_ms"], serde_json::Value::Null);
    for format in ["csv", "tsv"] {
        let run = slotcask(&["export", &db, "t", "--format", format]).exits(0);
        run.says("1 row had a time to live").says("--format ndjson");
    }

    // What was loaded with a time to live vanishes in the copy as well.
    let copy = ["load", &db, "copy", "--kind", "cask", "--format", "ndjson"];
    slotcask_with_input(&copy, exported.stdout.as_bytes()).exits(0);
    let copied = slotcask(&["export", &db, "copy", "--format", "ndjson"]).exits(0).stdout;
    assert!(sorted(&copied)[0].contains("\"ttl_ms\":"), "{copied}");
}

#[test]
fn what_a_format_has_not_is_refused() {
    let place = Place::with_table(4, 4);
    let db = place.db();
    let refused = |arguments: &[&str], why: &str| {
        slotcask(arguments).fails(2).says(why);
    };
    refused(&["load", &db, "t", "--format", "xml"], "possible values: tsv, csv, ndjson");
    refused(&["load", &db, "t", "--format", "ndjson", "--header"], "no header");
    refused(&["load", &db, "t", "--format", "ndjson", "--key", "line"], "--format tsv");
    refused(&["load", &db, "t", "--format", "csv", "--escaped"], "leave out --escaped");
    refused(&["export", &db, "t", "--format", "csv", "--raw"], "leave out --raw");
    refused(&["export", &db, "t", "--format", "ndjson", "--header"], "no header");
    refused(&["--json", "export", &db, "t", "--format", "csv"], "--json prints one array");
    refused(&["--json", "export", &db, "t", "--header"], "no header");
    refused(&["export", &db, "t", "--output", &place.path("a.json")], "--format ndjson");
    assert!(!std::path::Path::new(&place.path("a.json")).exists());

    // The report is JSON, the file is what its ending says.
    let path = place.path("b.csv");
    let report = slotcask(&["--json", "export", &db, "t", "--output", &path]).exits(0).json();
    assert_eq!(report["rows"], 0);
}

#[test]
fn times_to_live_of_fixed_tables_go_with_ndjson() {
    let place = Place::new();
    let db = place.db();
    let shape = ["--key-len", "1", "--value-len", "1", "--expiry"];
    let load = |table: &str, text: &str| {
        let load = ["load", &db, table, "--format", "ndjson"];
        slotcask_with_input(&[&load[..], &shape[..]].concat(), text.as_bytes()).exits(0);
    };
    load(
        "t",
        "{\"key\":\"a\",\"value\":\"1\",\"ttl_ms\":3600000}\n{\"key\":\"b\",\"value\":\"2\"}\n",
    );
    let exported = slotcask(&["export", &db, "t", "--format", "ndjson"]).exits(0).stdout;
    load("copy", &exported);
    let copied = slotcask(&["export", &db, "copy", "--format", "ndjson"]).exits(0).stdout;
    let lines = sorted(&copied);
    assert!(lines[0].contains("\"ttl_ms\":"), "{copied}");
    assert_eq!(lines[1], "{\"key\":\"b\",\"value\":\"2\"}");
    slotcask(&["export", &db, "t"]).exits(0).says("1 row had a time to live");
}
