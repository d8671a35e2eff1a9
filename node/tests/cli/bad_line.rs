//! A line that is no row ends the load: it is named with file, line and reason, and all rows before it are durable.

use crate::common::{Place, slotcask, slotcask_with_input, tsv};

#[test]
fn names_the_line_and_keeps_the_rows_before_it() {
    let place = Place::with_table(8, 16);
    let text = tsv(1500) + "no tab here\n" + &tsv(2000);
    let file = place.file("rows.tsv", text.as_bytes());
    let run = slotcask(&["--json", "load", &place.db(), "t", &file]).fails(2);
    let report = run.json();
    run.says("rows.tsv line 1501: it has no tab");
    assert_eq!(report["acknowledged"], 1500);
    assert_eq!(report["durable"], 1500);
    assert_eq!(report["stopped"]["line"], 1501);
    slotcask(&["get", &place.db(), "t", "k0001499"]).exits(0).prints("value-0000001499");
    slotcask(&["get", &place.db(), "t", "k0001500"]).exits(1);
}

#[test]
fn a_wrong_length_is_a_bad_line() {
    let place = Place::with_table(8, 16);
    let load = ["load", &place.db(), "t"];
    let short = slotcask_with_input(&load, b"short\tvalue-0000000000\n").fails(2);
    short.says("standard input line 1: the key has 5 bytes, the table takes 8").says("--pad");
    let long = slotcask_with_input(&load, b"k0000000\tvalue-00000000001\n").fails(2);
    long.says("the value has 17 bytes, the table takes 16");
    let padded = ["load", &place.db(), "t", "--pad"];
    slotcask_with_input(&padded, b"k00000000\tv\n").fails(2).says("the key has 9 bytes");
}

#[test]
fn a_line_without_end_is_refused_in_bounded_memory() {
    let place = Place::with_table(8, 16);
    let endless = vec![b'x'; 1 << 20];
    let run = slotcask_with_input(&["load", &place.db(), "t", "--pad"], &endless).fails(2);
    run.says("line 1: it has over 97 bytes");
}

#[test]
fn a_missing_file_is_bad_input() {
    let place = Place::with_table(8, 16);
    slotcask(&["load", &place.db(), "t", &place.path("nowhere")]).fails(2).says("nowhere");
    slotcask(&["load", &place.db(), "t", &place.db()]).fails(2).says("is a directory");
}

/// A value that fits the table and no segment of the log.
#[test]
fn a_row_too_long_for_the_log_is_named_and_the_rows_before_it_are_loaded() {
    let place = Place::new();
    let log = ["create", &place.db(), "--shards", "2", "--log-size", "1M"];
    slotcask(&[&log[..], &["--table", "c", "--kind", "cask"]].concat()).exits(0);
    let input = format!("row1\tvalue\nrow2\tvalue\nbig\t{}\nrow4\tvalue\n", "x".repeat(100_000));
    let run = slotcask_with_input(&["load", &place.db(), "c"], input.as_bytes()).fails(2);
    run.says("standard input line 3: ").says("100000");
    slotcask(&["get", &place.db(), "c", "row2"]).exits(0).prints("value");
    slotcask(&["get", &place.db(), "c", "row4"]).exits(1);
}
