//! A table is emptied: nothing of what was there comes back, whenever the power fails.

mod common;

use common::Rig;

fn filled() -> Rig {
    let mut rig = Rig::small();
    for number in 0..300 {
        rig.put(number, number).unwrap();
    }
    rig.checkpoint().unwrap();
    rig
}

#[test]
fn before_a_checkpoint_the_clear_is_replayed() {
    let mut rig = filled();
    rig.clear();
    rig.put(5, 50).unwrap();
    assert_eq!(rig.table.room().used_pages, 1);
    let (rig, _) = rig.close().open_and_compare("replayed");
    assert!(rig.table.has_dirty());
    assert_eq!(rig.budget.taken(), 1);
}

#[test]
fn after_a_checkpoint_of_the_empty_table_nothing_is_read() {
    let mut rig = filled();
    rig.clear();
    assert!(rig.table.has_dirty(), "a cleared table needs a checkpoint");
    rig.checkpoint().unwrap();
    assert_eq!(rig.state.checkpoint.pages, 0);
    let (mut rig, report) = rig.close().open_and_compare("empty");
    assert_eq!(report.pages_read, 0);
    rig.put(1, 1).unwrap();
    rig.checkpoint().unwrap();
    rig.close().open_and_compare("a new life");
}

#[test]
fn a_running_checkpoint_notices_it() {
    let mut rig = filled();
    for number in 0..300 {
        rig.put(number, 9).unwrap();
    }
    let (mut checkpoint, redo) = rig.begin();
    assert!(rig.batch(&mut checkpoint).unwrap());
    rig.clear();
    rig.put(5, 50).unwrap();
    assert!(!rig.batch(&mut checkpoint).unwrap());
    rig.commit(&mut checkpoint, redo).unwrap();
    assert_eq!(rig.state.checkpoint.pages, 0);
    assert!(rig.table.has_dirty());
    let (mut rig, _) = rig.close().open_and_compare("noticed");
    rig.checkpoint().unwrap();
    rig.close().open_and_compare("and then");
}

#[test]
fn one_that_finished_before_it_does_not_hide_it() {
    let mut rig = filled();
    rig.put(1, 9).unwrap();
    let (mut checkpoint, redo) = rig.begin();
    while rig.batch(&mut checkpoint).unwrap() {}
    rig.clear();
    rig.put(5, 50).unwrap();
    rig.commit(&mut checkpoint, redo).unwrap();
    assert!(rig.state.checkpoint.pages > 0);
    assert!(rig.table.has_dirty());
    let (mut rig, _) = rig.close().open_and_compare("not noticed");
    rig.checkpoint().unwrap();
    rig.close().open_and_compare("and then");
}

#[test]
fn slots_and_budget_come_back() {
    let mut rig = Rig::new(
        slotcask_io::sim::Profile::Sector512,
        common::schema(16, 64, 100),
        common::options(),
    );
    for number in 0..100 {
        rig.put(number, number).unwrap();
    }
    assert!(rig.put(100, 0).is_err());
    rig.clear();
    assert_eq!(rig.budget.taken(), 0);
    for number in 0..100 {
        rig.put(number + 1000, number).unwrap();
    }
    rig.close().open_and_compare("refilled");
}
