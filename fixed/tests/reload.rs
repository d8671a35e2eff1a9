//! What a checkpoint wrote comes back without a record of the log, and allocation goes on where it stopped.

mod common;

use common::{Rig, options, schema};
use slotcask_io::sim::Profile;

#[test]
fn everything_comes_back_without_redo() {
    for (key_len, value_len) in [(16, 64), (5, 900), (13, 0), (16, 9000), (1, 1), (4096, 0)] {
        let mut rig = Rig::new(Profile::Sector512, schema(key_len, value_len, 5000), options());
        for number in 0..200 {
            rig.put(number, number).unwrap();
        }
        for number in (0..200).step_by(3) {
            rig.delete(number);
        }
        rig.checkpoint().unwrap();
        assert!(!rig.table.has_dirty());
        let (rig, report) = rig.close().open_and_compare("reload");
        assert_eq!(report.records_redone + report.records_known, 0);
        assert!(!rig.table.has_dirty(), "a clean table asks for a checkpoint");
    }
}

#[test]
fn an_idle_checkpoint_writes_nothing_and_keeps_its_root() {
    let mut rig = Rig::small();
    rig.put(1, 1).unwrap();
    rig.checkpoint().unwrap();
    let (before, events) = (rig.state.checkpoint, rig.disk.io_count());
    rig.checkpoint().unwrap();
    assert_eq!(rig.state.checkpoint, before);
    assert_eq!(rig.disk.io_count(), events);
    rig.close().open_and_compare("idle");
}

#[test]
fn the_slot_that_was_freed_first_is_used_first_also_after_reopening() {
    let mut rig = Rig::small();
    let slots: Vec<u32> = (0..10).map(|number| rig.put(number, 0).unwrap()).collect();
    for number in [7, 2, 5] {
        assert!(rig.delete(number));
    }
    rig.checkpoint().unwrap();
    let (mut rig, _) = rig.close().open_and_compare("freed");
    assert_eq!(rig.put(100, 0).unwrap(), slots[7]);
    assert_eq!(rig.put(101, 0).unwrap(), slots[2]);
    assert_eq!(rig.put(102, 0).unwrap(), slots[5]);
    assert_eq!(rig.put(103, 0).unwrap(), 10);
}

#[test]
fn a_slot_given_back_is_given_out_next() {
    let mut rig = Rig::small();
    let first = rig.reserve().unwrap();
    let second = rig.reserve().unwrap();
    assert_ne!(first, second);
    rig.table.unreserve(second);
    rig.table.unreserve(first);
    assert_eq!(rig.put(1, 1).unwrap(), first);
    assert_eq!(rig.put(2, 2).unwrap(), second);
}

#[test]
fn pages_that_were_handed_out_and_never_put_leave_no_hole() {
    let mut rig = Rig::small();
    let per_page = rig.layout().slots_per_page;
    let slots: Vec<u32> = (0..3 * per_page).map(|_| rig.reserve().unwrap()).collect();
    let last = *slots.last().unwrap();
    for slot in &slots[..slots.len() - 1] {
        rig.table.unreserve(*slot);
    }
    rig.table.unreserve(last);
    // Only the last page gets a key.
    rig.put(1, 1).unwrap();
    rig.checkpoint().unwrap();
    assert_eq!(rig.state.checkpoint.pages, 3);
    let (rig, report) = rig.close().open_and_compare("hole");
    assert_eq!((report.slots_damaged, report.pages_unexpected), (0, 0));
    assert_eq!(rig.state.checkpoint.pages, 3);
}

#[test]
fn redo_alone_builds_a_table_that_no_checkpoint_has() {
    let mut rig = Rig::small();
    for number in 0..100 {
        rig.put(number, number).unwrap();
    }
    let (mut rig, report) = rig.close().open_and_compare("redo");
    assert_eq!(report.records_redone, 100);
    rig.checkpoint().unwrap();
    let (_, report) = rig.close().open_and_compare("after redo");
    assert_eq!(report.records_redone, 0);
}
