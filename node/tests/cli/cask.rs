//! Cask tables on the command line: rows of any length, times to live, merge.

use crate::common::{Place, slotcask, sorted, wait_until_gone};

#[test]
fn rows_of_any_length_go_in_and_out() {
    let place = Place::new();
    let db = place.db();
    slotcask(&["create", &db, "--table", "pages", "--kind", "cask"]).exits(0);
    slotcask(&["put", &db, "pages", "/", "<h1>hello</h1>"]).exits(0);
    slotcask(&["put", &db, "pages", "/empty", ""]).exits(0);
    let got = slotcask(&["get", &db, "pages", "/"]).exits(0);
    assert_eq!(got.stdout, "<h1>hello</h1>\n");
    let lines: String = (0..500).map(|n| format!("key-{n}\t{}\n", "v".repeat(n))).collect();
    let file = place.file("rows.tsv", lines.as_bytes());
    slotcask(&["load", &db, "pages", &file]).exits(0);
    slotcask(&["load", &db, "pages", &file]).exits(0);
    slotcask(&["del", &db, "pages", "/empty"]).exits(0);
    let bytes = |name: &str| -> u64 {
        let stat = slotcask(&["--json", "stat", &db]).exits(0).json();
        let shards = stat["shards"].as_array().unwrap();
        assert!(shards.iter().all(|shard| shard["log_bytes"].as_u64().unwrap() > 0), "{stat}");
        shards.iter().map(|shard| shard[name].as_u64().unwrap()).sum()
    };
    // At least the empty value is dead; the record of its delete is not of use, and has to stay.
    let (live, dead) = (bytes("cask_live_bytes"), bytes("cask_dead_bytes"));
    assert!(live > 500 * 250 && dead > 40, "{live} live, {dead} dead");
    assert!((40..200).contains(&bytes("cask_pinned_bytes")));
    slotcask(&["stat", &db]).exits(0).prints(" live, ").prints(" dead, ").prints(" pinned ");
    slotcask(&["merge", &db]).exits(0);
    assert_eq!(bytes("cask_live_bytes"), live);
    assert_eq!(bytes("cask_dead_bytes"), 0);
    let exported = slotcask(&["export", &db, "pages"]).exits(0).stdout;
    assert_eq!(sorted(&exported), sorted(&(lines + "/\t<h1>hello</h1>\n")));
    slotcask(&["stat", &db]).exits(0).prints("cask table pages: 501 rows");
    slotcask(&["check", &db]).exits(0).prints("no damage");
}

#[test]
fn keys_and_values_that_are_too_long_are_refused() {
    let place = Place::new();
    let db = place.db();
    let limits = ["--key-len", "8", "--value-len", "16"];
    slotcask(&[&["create", &db, "--table", "c", "--kind", "cask"], &limits[..]].concat()).exits(0);
    slotcask(&["put", &db, "c", "12345678", "1234567890123456"]).exits(0);
    slotcask(&["put", &db, "c", "123456789", "v"]).fails(2).says("8").says("9");
    slotcask(&["put", &db, "c", "k", "12345678901234567"]).fails(2).says("16").says("17");
    slotcask(&["get", &db, "c", "123456789"]).fails(2);
    let rows = place.file("rows.tsv", b"short\tv\n123456789\tv\n");
    slotcask(&["load", &db, "c", &rows]).fails(2).says("line 2");
    slotcask(&["put", &db, "c", "", "of the empty key"]).exits(0);
    assert_eq!(slotcask(&["get", &db, "c", ""]).exits(0).stdout, "of the empty key\n");
    slotcask(&["check", &db]).exits(0);
}

/// `check` names a damaged data file, which an opening with a whole hint does not read.
#[test]
fn check_names_a_damaged_data_file() {
    let place = Place::new();
    let db = place.db();
    slotcask(&["create", &db, "--shards", "1", "--table", "c", "--kind", "cask"]).exits(0);
    let lines: String = (0..500).map(|n| format!("key-{n}\t{}\n", "v".repeat(n))).collect();
    let rows = place.file("rows.tsv", lines.as_bytes());
    slotcask(&["load", &db, "c", &rows]).exits(0);
    slotcask(&["load", &db, "c", &rows]).exits(0);
    slotcask(&["merge", &db]).exits(0);
    slotcask(&["check", &db]).exits(0);
    let shard = std::path::Path::new(&db).join("shard-000");
    let names = std::fs::read_dir(&shard).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    let hint = names.iter().find_map(|name| name.strip_suffix(".hint")?.strip_prefix("data-"));
    // The segment became a data file as it was.
    let name = format!("log-{}.segment", hint.expect("a data file has a hint"));
    let mut file = std::fs::File::options().write(true).open(shard.join(&name)).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(80_000)).unwrap();
    std::io::Write::write_all(&mut file, b"damage").unwrap();
    slotcask(&["check", &db]).exits(1).prints(&name);
    assert_eq!(slotcask(&["get", &db, "c", "key-1"]).exits(0).stdout, "v\n");
    slotcask(&["export", &db, "c"]).exits(3).says(&name);
}

#[test]
fn load_refuses_a_table_that_is_not_as_asked_for() {
    let place = Place::new();
    let db = place.db();
    let file = place.file("rows.tsv", b"a\tb\n");
    slotcask(&["load", &db, "pages", &file, "--kind", "cask"]).exits(0);
    for option in [&["--ordered"][..], &["--compression", "lz4"], &["--expiry"], &["--pinned", "0"]]
    {
        let load = [&["load", &db, "pages", &file, "--kind", "cask"], option].concat();
        let run = slotcask(&load);
        if option[0] == "--expiry" {
            // All cask tables have it.
            run.exits(0);
        } else {
            run.fails(2).says("is there already").says(option[0]);
        }
    }
    slotcask(&["load", &db, "pages", &file, "--kind", "cask", "--compression", "none"]).exits(0);
}

#[test]
fn a_compressed_table_is_named_one_and_reads_as_others() {
    let place = Place::new();
    let db = place.db();
    let create = ["create", &db, "--table", "texts", "--kind", "cask", "--compression", "lz4"];
    slotcask(&create).exits(0);
    let lines: String = (1..200).map(|n| format!("key-{n}\t{}\n", "word ".repeat(n))).collect();
    let file = place.file("rows.tsv", lines.as_bytes());
    slotcask(&["load", &db, "texts", &file]).exits(0);
    slotcask(&["stat", &db]).exits(0).prints("compressed with lz4");
    slotcask(&["--json", "stat", &db]).exits(0).prints("\"compression\":\"lz4\"");
    slotcask(&["check", &db]).exits(0).prints("no damage");
    assert_eq!(sorted(&slotcask(&["export", &db, "texts"]).exits(0).stdout), sorted(&lines));
}

#[test]
fn a_load_creates_the_table_and_a_value_vanishes() {
    let place = Place::new();
    let db = place.db();
    let file = place.file("rows.tsv", b"a\tone\nb\ttwo\n");
    slotcask(&["load", &db, "t", &file, "--kind", "cask"]).exits(0);
    slotcask(&["put", &db, "t", "short", "lived", "--ttl", "1ms"]).exits(0);
    slotcask(&["put", &db, "t", "long", "lived", "--ttl", "7d"]).exits(0);
    wait_until_gone(&["get", &db, "t", "short"]);
    assert_eq!(slotcask(&["get", &db, "t", "long"]).exits(0).stdout, "lived\n");
    slotcask(&["put", &db, "t", "k", "v", "--ttl", "0s"]).fails(2);
    slotcask(&["create", &db, "--table", "u"]).fails(2);
    slotcask(&["create", &db, "--table", "f", "--key-len", "4", "--value-len", "4"]).exits(0);
    slotcask(&["put", &db, "f", "abcd", "efgh", "--ttl", "1s"]).fails(2);
}
