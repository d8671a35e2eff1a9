//! A checkpoint step by step: what it asks the log for, what it copies, what is left when it fails.

mod common;

use common::{Rig, options, schema};
use slotcask_fixed::FixedOptions;
use slotcask_io::sim::{Fault, FaultError, OpFilter, OpKind, Profile};

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
    pages_of_which_dirty(Rig::small(), 10, dirty)
}

fn pages_of_which_dirty(mut rig: Rig, count: u64, dirty: &[u64]) -> (Rig, u64) {
    let slots = rig.layout().slots_per_page as u64;
    for number in 0..count * slots {
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

/// How many pages a checkpoint writes when these of 40 are dirty and a batch holds 36.
fn written(dirty: impl IntoIterator<Item = u64>) -> u64 {
    let options = FixedOptions { batch_bytes: 36 << 12, ..options() };
    let rig = Rig::new(Profile::Sector512, schema(16, 64, 100_000), options);
    let (mut rig, _) = pages_of_which_dirty(rig, 40, &dirty.into_iter().collect::<Vec<_>>());
    let (mut checkpoint, redo) = rig.begin();
    while rig.batch(&mut checkpoint).unwrap() {}
    let pages = checkpoint.pages_done();
    rig.durable = rig.last();
    rig.commit(&mut checkpoint, redo).unwrap();
    rig.close().open_and_compare("bridges");
    pages
}

#[test]
fn up_to_four_clean_pages_are_written_where_twice_as_many_are_dirty() {
    assert_eq!(written((0..8).chain(12..20)), 20);
    assert_eq!(
        written((0..7).chain(11..20)),
        16,
        "seven dirty pages are too few for a bridge of four"
    );
    assert_eq!(written((0..20).chain(25..30)), 25, "five are too many");
    // What was bridged before counts, until there is a gap.
    assert_eq!(written((0..8).chain(12..16).chain([18])), 8 + 4 + 4 + 2 + 1);
    assert_eq!(written((0..8).chain(12..16).chain([19])), 8 + 4 + 4 + 1);
    assert_eq!(written((0..8).chain(13..17).chain([19])), 8 + 4 + 2 + 1);
    assert_eq!(written((0..8).chain(12..19).chain([23])), 8 + 4 + 7 + 1, "15 dirty, 8 clean");
    assert_eq!(written((0..8).chain(12..20).chain([24])), 8 + 4 + 8 + 4 + 1);
    // A bridge does not reach into the next batch.
    assert_eq!(written((0..33).chain([35])), 36);
    assert_eq!(written((0..34).chain([36])), 35);
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
