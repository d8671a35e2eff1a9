//! The exit codes that `--help` promises, and the two lines that go with them.

use crate::common::{Place, slotcask};

#[test]
fn not_a_store_is_2() {
    let place = Place::new();
    slotcask(&["get", &place.db(), "t", "k"]).fails(2).says("slotcask create");
    let file = place.file("file", b"text");
    slotcask(&["stat", &file]).fails(2);
    slotcask(&["create", &file]).fails(2).says("empty");
    slotcask(&["create", &place.path("file/below")]).fails(2).says("a part of it is a file");
    std::fs::create_dir(place.path("empty")).unwrap();
    slotcask(&["check", &place.path("empty")]).fails(2);
    slotcask(&["dump", "log", &place.path("empty")]).fails(2);
    slotcask(&["repair", &place.path("empty")]).fails(2);
    assert_eq!(std::fs::read_dir(place.path("empty")).unwrap().count(), 0);
}

#[test]
fn no_such_table_is_2() {
    let place = Place::with_table(4, 4);
    slotcask(&["get", &place.db(), "other", "abcd"]).fails(2).says("other");
    slotcask(&["dump", "slots", &place.db(), "other"]).fails(2).says("other");
}

#[test]
fn no_such_key_is_1_without_a_word() {
    let place = Place::with_table(4, 4);
    let run = slotcask(&["get", &place.db(), "t", "abcd"]).exits(1);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
}

#[test]
fn locked_is_5() {
    let place = Place::with_table(4, 4);
    let held = slotcask::Options::new().create(false).open(place.db()).unwrap();
    let db = place.db();
    let verbs: [&[&str]; 8] = [
        &["put", &db, "t", "abcd", "abcd"],
        &["get", &db, "t", "abcd"],
        &["load", &db, "t"],
        &["stat", &db],
        &["check", &db],
        &["dump", "log", &db],
        &["repair", &db],
        &["create", &db, "--table", "u", "--key-len", "1", "--value-len", "1"],
    ];
    for verb in verbs {
        slotcask(&[&["--wait", "0"], verb].concat()).fails(5).says("open already");
    }
    held.close().unwrap();
    slotcask(&["put", &place.db(), "t", "abcd", "abcd"]).exits(0);
}

#[test]
fn commands_that_read_run_side_by_side() {
    let place = Place::with_table(4, 4);
    let db = place.db();
    slotcask(&["put", &db, "t", "abcd", "efgh"]).exits(0);
    let held = slotcask::Options::new().read_only(true).open(&db).unwrap();
    let readers: [&[&str]; 6] = [
        &["get", &db, "t", "abcd"],
        &["scan", &db, "t"],
        &["stat", &db],
        &["check", &db],
        &["dump", "log", &db],
        &["repair", &db],
    ];
    for verb in readers {
        slotcask(&[&["--wait", "0"], verb].concat()).exits(0);
    }
    for verb in [&["put", &db, "t", "abcd", "abcd"][..], &["repair", &db, "--yes"]] {
        slotcask(&[&["--wait", "0"], verb].concat()).fails(5).says("open already");
    }
    held.close().unwrap();
}

#[test]
fn a_lock_that_goes_in_time_is_waited_for() {
    let place = Place::with_table(4, 4);
    let held = slotcask::Options::new().create(false).open(place.db()).unwrap();
    let db = place.db();
    let child = crate::common::spawn(&["--wait", "600", "put", &db, "t", "abcd", "abcd"]);
    held.close().unwrap();
    crate::common::finish(child).exits(0);
}

#[test]
fn a_full_standard_output_is_4() {
    let place = Place::with_table(4, 4);
    slotcask(&["put", &place.db(), "t", "abcd", "abcd"]).exits(0);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output =
        crate::common::command(&["get", &place.db(), "t", "abcd"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("slotcask: standard output: "));
}

#[test]
fn json_says_failures_too() {
    let place = Place::new();
    let run = slotcask(&["--json", "get", &place.db(), "t", "k"]).fails(2);
    let object = run.json();
    assert_eq!(object["error"]["exit"], 2);
    assert!(object["error"]["help"].as_str().unwrap().contains("slotcask create"));
    let usage = slotcask(&["put", &place.db(), "t", "--json"]).fails(2);
    assert!(usage.json()["error"]["what"].as_str().unwrap().contains("<KEY> <VALUE>"));
    let after_the_options = slotcask(&["put", &place.db(), "t", "--", "--json"]).fails(2);
    assert_eq!(after_the_options.stdout, "");
}
