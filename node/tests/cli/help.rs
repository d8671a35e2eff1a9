//! `--help` of every verb shows examples, `--help` of the binary the exit codes; wrong usage is refused in two lines.

use crate::common::slotcask;

const VERBS: [&str; 15] = [
    "create",
    "put",
    "get",
    "ttl",
    "del",
    "scan",
    "load",
    "export",
    "merge",
    "stat",
    "check",
    "dump",
    "repair",
    "bench",
    "completions",
];

#[test]
fn every_verb_shows_examples() {
    for verb in VERBS {
        let help = slotcask(&[verb, "--help"]).exits(0).prints("Examples:");
        assert!(help.stdout.contains(&format!("  slotcask {verb} ")) || verb == "scan", "{verb}");
        assert_eq!(help.stderr, "");
    }
}

#[test]
fn the_binary_shows_its_exit_codes_and_version() {
    let help = slotcask(&["--help"]).exits(0).prints("Exit codes:");
    for verb in VERBS {
        assert!(help.stdout.contains(&format!("\n  {verb} ")), "{verb}");
    }
    let version = slotcask(&["--version"]).exits(0);
    assert_eq!(version.stdout, format!("slotcask {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_2_in_two_lines() {
    slotcask(&["frobnicate"]).fails(2).says("unrecognized subcommand");
    slotcask(&["get", "db"]).fails(2).says("<TABLE> <KEY>");
    slotcask(&["get", "db", "t", "k", "--jso"]).fails(2).says("--json");
    slotcask(&["load", "db", "t", "--key", "0"]).fails(2).says("line-binary");
    slotcask(&["load", "db", "t", "--batch", "0"]).fails(2);
    slotcask(&["bench", "db", "--seconds", "-1"]).fails(2).says("a number of seconds above 0");
    slotcask(&["scan", "db", "t", "--limit", "-1"]).fails(2).says("invalid value '-1'");
    slotcask(&["stat", "db", "--wait", "-1"]).fails(2).says("from 0 to 86400");
    slotcask(&[]).exits(2).says("Usage:");
}
