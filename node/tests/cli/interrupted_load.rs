//! Ctrl-C during a load: the rows read so far are written and synced, and the report says how many.

use crate::common::{Place, finish, slotcask, spawn, tsv};
use std::io::Write;
use std::process::Command;

#[test]
fn keeps_what_was_read() {
    let place = Place::with_table(8, 16);
    let text = tsv(100_000);
    let mut child = spawn(&["--json", "load", &place.db(), "t"]);
    let mut stdin = child.stdin.take().unwrap();
    // The pipe and the reader's buffer hold 1.1 MiB at most, so that the loop runs when this returns.
    let (first, rest) = text.as_bytes().split_at(1_500_000);
    stdin.write_all(first).unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    // It may have ended already, or need a line to wake up.
    let _ = stdin.write_all(rest);
    drop(stdin);

    let run = finish(child).fails(130);
    let report = run.json();
    let rows = report["acknowledged"].as_u64().unwrap();
    assert!(rows > 0 && rows < 100_000, "{rows}");
    assert_eq!(report["durable"], rows);
    let stat = slotcask(&["--json", "stat", &place.db()]).exits(0).json();
    assert_eq!(stat["tables"][0]["rows"], rows);
}
