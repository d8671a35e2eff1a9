//! A checkpoint step by step: what it asks the log for, what it copies, what is left when it fails.

mod common;

use common::Rig;
use slotcask_io::sim::{Fault, FaultError, OpFilter, OpKind};

#[test]
fn it_asks_for_the_highest_sequence_in_the_batch() {
    let mut rig = Rig::small();
    for number in 0..10 {
        rig.put(number, number).unwrap();
    }
    let (mut checkpoint, _) = rig.begin();
    assert_eq!((checkpoint.pages_total(), checkpoint.pages_done()), (1, 0));
    rig.put(3, 33).unwrap();
    rig.delete(4);
    assert!(!checkpoint.copy_batch(&rig.table, 100));
    rig.put(5, 55).unwrap();
    assert_eq!(checkpoint.seal_batch(), 12, "the copy holds 11 and 12, and not 13");
    checkpoint.write_batch().unwrap();
    assert_eq!(checkpoint.pages_done(), 1);
    assert!(rig.table.has_dirty(), "what was changed meanwhile is for the next checkpoint");
}

#[test]
fn after_a_clear_it_asks_for_the_clear_even_when_no_slot_names_it() {
    let mut rig = Rig::small();
    rig.put(1, 1).unwrap();
    rig.clear();
    let slot = rig.reserve().unwrap();
    rig.table.unreserve(slot);
    let (mut checkpoint, _) = rig.begin();
    checkpoint.copy_batch(&rig.table, 100);
    assert_eq!(checkpoint.seal_batch(), 2);
}

#[test]
fn a_batch_ends_when_the_buffer_is_full() {
    let mut rig = Rig::small();
    for number in 0..10 * rig.layout().slots_per_page as u64 {
        rig.put(number, number).unwrap();
    }
    let (mut checkpoint, redo) = rig.begin();
    assert!(checkpoint.copy_batch(&rig.table, 3) && !checkpoint.batch_is_full());
    assert!(checkpoint.copy_batch(&rig.table, 3) && checkpoint.batch_is_full());
    checkpoint.seal_batch();
    assert_eq!(checkpoint.write_batch().unwrap(), 16 << 10);
    while rig.batch(&mut checkpoint).unwrap() {}
    assert_eq!(checkpoint.pages_done(), 10);
    rig.durable = rig.last();
    rig.commit(&mut checkpoint, redo).unwrap();
    rig.close().open_and_compare("batches");
}

/// Ten pages that were written, some changed since; and the slots of a page.
fn ten_pages_of_which_dirty(dirty: &[u64]) -> (Rig, u64) {
    let mut rig = Rig::small();
    let slots = rig.layout().slots_per_page as u64;
    for number in 0..10 * slots {
        rig.put(number, number).unwrap();
    }
    rig.checkpoint().unwrap();
    for page in dirty {
        rig.put(page * slots, 1000 + page).unwrap();
    }
    (rig, slots)
}

#[test]
fn a_single_clean_page_between_dirty_ones_is_written_with_them() {
    // Page 1 lies alone between two dirty ones, 3 and 4 do not, and 6 and 8 share the clean page 7.
    let (mut rig, slots) = ten_pages_of_which_dirty(&[0, 2, 5, 6, 8]);
    let (mut checkpoint, redo) = rig.begin();
    assert_eq!(checkpoint.pages_total(), 5);
    // A page that was clean when the checkpoint began takes part as it is now.
    rig.put(7 * slots, 2000).unwrap();
    while rig.batch(&mut checkpoint).unwrap() {}
    assert_eq!(checkpoint.pages_done(), 7);
    rig.durable = rig.last();
    rig.commit(&mut checkpoint, redo).unwrap();
    assert!(rig.table.has_dirty(), "page 7 was changed after the redo point");
    rig.close().open_and_compare("a bridge of one page");
}

#[test]
fn a_clean_page_is_not_written_where_nothing_joins_it() {
    // Four pages fill a batch: the clean page 4 would begin the next one.
    let (mut rig, _) = ten_pages_of_which_dirty(&[0, 1, 2, 3, 5]);
    let (mut checkpoint, redo) = rig.begin();
    while rig.batch(&mut checkpoint).unwrap() {}
    assert_eq!(checkpoint.pages_done(), 5);
    rig.durable = rig.last();
    rig.commit(&mut checkpoint, redo).unwrap();
    rig.close().open_and_compare("a batch that ends at a gap");
}

#[test]
fn any_failure_leaves_the_table_as_it_was() {
    for kind in [OpKind::Write, OpKind::Sync] {
        for at in 0..8 {
            let mut rig = Rig::small();
            for number in 0..200 {
                rig.put(number, number).unwrap();
            }
            rig.checkpoint().unwrap();
            for number in 0..200 {
                rig.put(number, number + 5).unwrap();
            }
            rig.disk.inject(Fault::once(OpFilter::Kind(kind), at, FaultError::Eio));
            let (mut checkpoint, redo) = rig.begin();
            let mut result = Ok(true);
            while let Ok(true) = result {
                result = rig.batch(&mut checkpoint);
            }
            if result.and_then(|_| rig.commit(&mut checkpoint, redo)).is_err() {
                rig.table.checkpoint_failed(checkpoint);
                assert!(rig.table.has_dirty());
            }
            rig.disk.clear_faults();
            rig.durable = rig.last();
            rig.checkpoint().unwrap();
            rig.assert_holds(&rig.model(), "memory is right whatever the disk did");
            rig.close().open_and_compare(&format!("{kind:?} {at}"));
        }
    }
}
