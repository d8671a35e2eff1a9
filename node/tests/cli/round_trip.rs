//! What is loaded is exported, byte for byte: plain lines, padded ones, hex digits, and bytes that lines cannot hold.

use crate::common::{Place, slotcask, slotcask_with_input, sorted, tsv};

#[test]
fn plain_lines_come_back() {
    let place = Place::with_table(8, 16);
    let text = tsv(5000);
    let file = place.file("rows.tsv", text.as_bytes());
    slotcask(&["load", &place.db(), "t", &file]).exits(0).prints("5,000 rows").prints("durable");
    let export = slotcask(&["export", &place.db(), "t"]).exits(0);
    assert_eq!(sorted(&export.stdout), sorted(&text));
}

#[test]
fn loading_twice_changes_nothing() {
    let place = Place::with_table(8, 16);
    let text = tsv(100);
    for _ in 0..2 {
        let run = slotcask_with_input(&["--json", "load", &place.db(), "t"], text.as_bytes());
        let report = run.exits(0).json();
        assert_eq!(report["acknowledged"], 100);
        assert_eq!(report["durable"], 100);
        assert_eq!(report["table_rows"], 100);
    }
}

#[test]
fn padded_lines_come_back_unpadded() {
    let place = Place::with_table(8, 16);
    let text = "a\t1\nbb\t\ncccccccc\t1234567890123456\n";
    slotcask_with_input(&["load", &place.db(), "t", "-", "--pad"], text.as_bytes()).exits(0);
    let export = slotcask(&["export", &place.db(), "t", "--unpad"]).exits(0);
    assert_eq!(sorted(&export.stdout), sorted(text));
}

#[test]
fn any_bytes_survive_export_and_load() {
    let place = Place::with_table(2, 256);
    let value: Vec<u8> = (0..=255).collect();
    let mut store_digits = String::new();
    value.iter().for_each(|byte| store_digits.push_str(&format!("{byte:02x}")));
    slotcask(&["--hex", "put", &place.db(), "t", "090a", &store_digits]).exits(0);

    let export = slotcask(&["export", &place.db(), "t"]).exits(0);
    assert_eq!(export.stdout.lines().count(), 1);
    let lengths = ["--key-len", "2", "--value-len", "256"];
    let load = ["load", &place.db(), "copy", "--escaped"];
    slotcask_with_input(&[&load[..], &lengths[..]].concat(), export.stdout.as_bytes()).exits(0);
    let got = slotcask(&["--hex", "get", &place.db(), "copy", "090a"]).exits(0);
    assert_eq!(got.stdout.trim_end(), store_digits);
}

#[test]
fn hex_lines_come_back() {
    let place = Place::with_table(2, 3);
    let text = "0001\tff00ff\nfffe\t000000\n";
    slotcask_with_input(&["--hex", "load", &place.db(), "t"], text.as_bytes()).exits(0);
    let export = slotcask(&["--hex", "export", &place.db(), "t"]).exits(0);
    assert_eq!(sorted(&export.stdout), sorted(text));
}

#[test]
fn a_file_is_written_whole_and_never_over_another() {
    let place = Place::with_table(8, 16);
    let text = tsv(10);
    slotcask_with_input(&["load", &place.db(), "t"], text.as_bytes()).exits(0);
    let out = place.path("out.tsv");
    let export = ["export", &place.db(), "t", "--output", &out];
    slotcask(&export).exits(0).prints("wrote 10 rows");
    assert_eq!(sorted(&std::fs::read_to_string(&out).unwrap()), sorted(&text));
    slotcask(&export).fails(2).says("exists");
}
