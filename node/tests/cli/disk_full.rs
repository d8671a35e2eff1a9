//! No room: the load ends with exit code 4 and says what is durable. With room again it completes.

use crate::common::{Place, slotcask, slotcask_after, sorted, tsv};

#[test]
fn a_limit_on_file_sizes_is_no_room() {
    let place = Place::with_table(8, 16);
    let db = place.db();
    let text = tsv(200_000);
    let file = place.file("rows.tsv", text.as_bytes());
    // Blocks of 512 bytes in a POSIX shell: 4 MiB, under the table's 12 MB or more.
    let run = slotcask_after("ulimit -f 8192", &["--json", "load", &db, "t", &file]).fails(4);
    let report = run.json();
    assert!(report["acknowledged"].as_u64().unwrap() < 200_000);

    slotcask(&["check", &db]).exits(0);
    let again = slotcask(&["load", &db, "t", &file]).exits(0);
    again.prints("the table holds 200,000 rows");
    let export = slotcask(&["export", &db, "t"]).exits(0);
    assert_eq!(sorted(&export.stdout), sorted(&text));
}
