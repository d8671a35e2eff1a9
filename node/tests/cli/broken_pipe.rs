//! A reader that closes standard output early ends the command without a word.

use crate::common::{Place, finish, slotcask_with_input, spawn, tsv};
use std::io::Read;

#[test]
fn export_into_a_closed_pipe_is_quiet() {
    let place = Place::with_table(8, 16);
    slotcask_with_input(&["load", &place.db(), "t"], tsv(50_000).as_bytes()).exits(0);
    for arguments in [&["export"][..], &["scan"], &["--json", "export"], &["--hex", "scan"]] {
        let mut child = spawn(&[arguments, &[&place.db(), "t"]].concat());
        let mut stdout = child.stdout.take().unwrap();
        let mut first = [0; 1];
        stdout.read_exact(&mut first).unwrap();
        drop(stdout);
        let run = finish(child).exits(0);
        assert_eq!(run.stderr, "", "{arguments:?}");
    }
}
