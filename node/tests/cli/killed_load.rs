//! A load is killed in the middle. The store is undamaged, and the same load completes it.

use crate::common::{Place, finish, slotcask, slotcask_with_input, sorted, spawn, tsv};
use std::io::Write;

fn kill_then_load_again(durability: &str) {
    let place = Place::with_table(8, 16);
    let text = tsv(60_000);
    let load = ["load", &place.db(), "t", "--durability", durability];
    let mut child = spawn(&load);
    let mut stdin = child.stdin.take().unwrap();
    // The pipe and the reader's buffer hold 1.1 MiB at most, so that rows were written when this returns.
    stdin.write_all(&text.as_bytes()[..1_500_000]).unwrap();
    child.kill().unwrap();
    assert_eq!(finish(child).code, None);

    slotcask(&["check", &place.db()]).exits(0).prints("no damage");
    slotcask_with_input(&load, text.as_bytes()).exits(0).prints("the table holds 60,000 rows");
    let export = slotcask(&["export", &place.db(), "t"]).exits(0);
    assert_eq!(sorted(&export.stdout), sorted(&text));
    slotcask(&["check", &place.db()]).exits(0).prints("no damage");
}

#[test]
fn buffered() {
    kill_then_load_again("buffered");
}

#[test]
fn sync() {
    kill_then_load_again("sync");
}
