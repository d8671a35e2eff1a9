//! Keys and values of a wrong length are refused; `--pad` fills shorter ones.

use crate::common::{Place, slotcask};

#[test]
fn put_get_and_del_check_lengths() {
    let place = Place::with_table(4, 4);
    let db = place.db();
    slotcask(&["put", &db, "t", "abc", "defg"]).fails(2).says("the key has 3 bytes");
    slotcask(&["put", &db, "t", "abcd", "efghi"]).fails(2).says("the value has 5 bytes");
    slotcask(&["put", &db, "t", "abcde", "f", "--pad"]).fails(2).says("the key has 5 bytes");
    slotcask(&["get", &db, "t", "abc"]).fails(2);
    slotcask(&["del", &db, "t", "abc"]).fails(2);
}

#[test]
fn padded_rows_are_found_and_deleted() {
    let place = Place::with_table(4, 4);
    let db = place.db();
    slotcask(&["put", &db, "t", "k", "v", "--pad"]).exits(0);
    assert_eq!(slotcask(&["get", &db, "t", "k", "--pad"]).exits(0).stdout, "v\\0\\0\\0\n");
    assert_eq!(slotcask(&["get", &db, "t", "k", "--pad", "--unpad"]).exits(0).stdout, "v\n");
    assert_eq!(slotcask(&["get", &db, "t", "k", "--pad", "--raw"]).exits(0).stdout, "v\0\0\0");
    assert_eq!(slotcask(&["--hex", "get", &db, "t", "6b000000"]).exits(0).stdout, "76000000\n");
    slotcask(&["del", &db, "t", "k", "--pad"]).exits(0);
    slotcask(&["del", &db, "t", "k", "--pad"]).exits(1);
    slotcask(&["get", &db, "t", "k", "--pad"]).exits(1);
}

#[test]
fn hex_that_is_none_is_refused() {
    let place = Place::with_table(4, 4);
    slotcask(&["--hex", "get", &place.db(), "t", "6b0"]).fails(2).says("odd number");
    slotcask(&["--hex", "get", &place.db(), "t", "zz"]).fails(2).says("is not a hex digit");
}
