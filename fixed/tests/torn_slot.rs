//! A page write is torn at a sector boundary. The slots that it changed are redone; damage that redo does not explain is
//! corruption.

mod common;

use common::{Rig, options, schema};
use slotcask_io::sim::{CrashPlan, Profile};

/// A table of three pages, checkpointed, then changed everywhere, and a checkpoint of that in flight.
fn in_flight(key_len: u32, value_len: u32) -> Rig {
    let mut rig = Rig::new(Profile::Sector512, schema(key_len, value_len, 5000), options());
    let count = 3 * rig.layout().slots_per_page as u64;
    for number in 0..count {
        rig.put(number, number).unwrap();
    }
    rig.checkpoint().unwrap();
    for number in (0..count).step_by(2) {
        rig.put(number, number + 1000).unwrap();
    }
    rig.delete(1);
    let (mut checkpoint, _) = rig.begin();
    while rig.batch(&mut checkpoint).unwrap() {}
    rig
}

#[test]
fn at_every_sector_old_or_new() {
    for (key_len, value_len) in [(16, 64), (5, 900), (16, 9000)] {
        let writes = in_flight(key_len, value_len).disk.pending_summary().writes;
        assert!(!writes.is_empty(), "nothing is in flight");
        for (index, write) in writes.iter().enumerate() {
            for units in 0..=write.units {
                for plan in [CrashPlan::tear_write, CrashPlan::tear_suffix] {
                    let rig = in_flight(key_len, value_len);
                    let disk = rig.disk.crash(&mut plan(index, units));
                    let last = rig.last();
                    let context = format!("value {value_len}, write {index} torn at {units}");
                    rig.wreck(disk, last).open_and_compare(&context);
                }
            }
        }
    }
}

#[test]
fn a_torn_slot_without_a_record_is_corruption() {
    let mut rig = Rig::small();
    let slot = rig.put(1, 1).unwrap();
    rig.put(2, 2).unwrap();
    rig.checkpoint().unwrap();
    let at = rig.slot_at(slot);
    rig.disk.flip_bit(&rig.slots_path(), (at + 40) * 8);
    let corruption = rig.close().corruption();
    assert_eq!((corruption.what, corruption.at), ("slot", u64::from(slot)));
    assert_eq!((corruption.table, corruption.shard), (common::TABLE, common::IDENT.shard));
}

#[test]
fn a_record_for_a_neighbour_does_not_excuse_a_damaged_slot() {
    let mut rig = Rig::small();
    let slot = rig.put(1, 1).unwrap();
    rig.put(2, 2).unwrap();
    rig.checkpoint().unwrap();
    rig.put(2, 3).unwrap();
    rig.disk.flip_bit(&rig.slots_path(), (rig.slot_at(slot) + 40) * 8);
    let corruption = rig.close().corruption();
    assert_eq!((corruption.what, corruption.at), ("slot", u64::from(slot)));
}

#[test]
fn a_record_for_the_damaged_slot_repairs_it_and_the_disk() {
    let mut rig = Rig::small();
    let slot = rig.put(1, 1).unwrap();
    rig.checkpoint().unwrap();
    rig.put(1, 2).unwrap();
    rig.disk.flip_bit(&rig.slots_path(), (rig.slot_at(slot) + 40) * 8);
    let (mut rig, report) = rig.close().open_and_compare("redone");
    assert_eq!((report.slots_damaged, report.records_redone), (1, 1));
    rig.checkpoint().unwrap();
    let (_, report) = rig.close().open_and_compare("repaired");
    assert_eq!(report.slots_damaged, 0);
}
