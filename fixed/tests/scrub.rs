//! The scrub finds a page that rotted while the table was in use, and the next checkpoint repairs it.

mod common;

use common::Rig;
use slotcask_fixed::Verdict;

#[test]
fn a_rotten_page_is_found_and_written_again() {
    let mut rig = Rig::small();
    for number in 0..100 {
        rig.put(number, number).unwrap();
    }
    rig.checkpoint().unwrap();
    rig.put(99, 1).unwrap();
    rig.disk.flip_bit(&rig.slots_path(), (rig.slot_at(0) + 50) * 8);
    let reader = rig.table.page_reader().unwrap();
    let mut buf = reader.buffer();
    let verdicts: Vec<Verdict> = (0..reader.pages)
        .map(|page| {
            reader.read(page, &mut buf).unwrap();
            rig.table.verify_page(&reader, page, &buf)
        })
        .collect();
    assert_eq!(verdicts, [Verdict::Damaged, Verdict::Good, Verdict::Good]);
    rig.table.mark_dirty(0);
    rig.checkpoint().unwrap();
    assert_eq!(rig.table.verify_page(&reader, 0, &buf), Verdict::Unknown, "a checkpoint ran since");
    let (_, report) = rig.close().open_and_compare("repaired");
    assert_eq!(report.pages_unexpected, 0);
}

#[test]
fn nothing_is_said_while_a_checkpoint_runs() {
    let mut rig = Rig::small();
    rig.put(1, 1).unwrap();
    rig.checkpoint().unwrap();
    let reader = rig.table.page_reader().unwrap();
    let mut buf = reader.buffer();
    reader.read(0, &mut buf).unwrap();
    let (checkpoint, _) = rig.begin();
    assert!(rig.table.page_reader().is_none());
    assert_eq!(rig.table.verify_page(&reader, 0, &buf), Verdict::Unknown);
    rig.table.checkpoint_failed(checkpoint);
    assert_eq!(rig.table.verify_page(&reader, 0, &buf), Verdict::Good);
}
