//! The key of a line: a column, the line's number, the line's hash.

use crate::common::{Place, slotcask, slotcask_with_input, sorted};

fn loaded(key_len: usize, from: &str, text: &str) -> String {
    let place = Place::with_table(key_len, 16);
    let load = ["load", &place.db(), "t", "--pad", "--key", from];
    slotcask_with_input(&load, text.as_bytes()).exits(0);
    slotcask(&["export", &place.db(), "t", "--unpad", "--raw"]).exits(0).stdout
}

#[test]
fn a_column_and_the_rest() {
    assert_eq!(loaded(4, "2", "a\tk\tb\n"), "k\ta\tb\n");
}

#[test]
fn the_number_of_the_line() {
    let text = loaded(4, "line", "first\tx\n\\q\n");
    assert_eq!(sorted(&text), ["0001\tfirst\tx", "0002\t\\q"]);
}

#[test]
fn the_hash_of_the_line() {
    // The key is XXH3-128 of the line, cut to four digits.
    let text = loaded(4, "hash-hex", "\n");
    assert_eq!(text, "99aa\t\n");
}
