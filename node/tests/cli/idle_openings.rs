//! A store is opened for writing and closed again without a write, many times. It stays sound: an opening that writes
//! nothing is the most common one of all.

use crate::common::{Place, slotcask};

#[test]
fn leave_the_store_sound() {
    let place = Place::with_table(4, 4);
    let db = place.db();
    for _ in 0..5 {
        slotcask(&["put", &db, "t", "wrong length", "efgh"]).fails(2);
        slotcask(&["del", &db, "t", "none"]).exits(1);
        slotcask(&["check", &db]).exits(0).prints("no damage");
    }
    slotcask(&["put", &db, "t", "abcd", "efgh"]).exits(0);
    for _ in 0..5 {
        slotcask(&["del", &db, "t", "none"]).exits(1);
        slotcask(&["get", &db, "t", "abcd"]).exits(0).prints("efgh");
    }
}
