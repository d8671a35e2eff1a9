//! Files grow ahead of use. A disk that is full refuses before anything has changed, and a table that is full says so.

mod common;

use common::{IDENT, Rig, TABLE, hash, options, schema};
use slotcask_fixed::{FixedError, FixedTable, SlotBudget};
use slotcask_io::IoErrorKind;
use slotcask_io::sim::{Fault, FaultError, OpFilter, OpKind, Profile};

#[test]
fn a_new_table_has_no_room_and_says_how_much_it_needs() {
    let mut rig = Rig::small();
    match rig.table.reserve() {
        Err(FixedError::NoRoom { table, needed }) => {
            assert_eq!((table, needed), (TABLE, 8192 + 4096))
        }
        other => panic!("{other:?}"),
    }
    let plan = rig.table.grow_plan().unwrap();
    assert_eq!(plan.bytes(), 8192 + (16 << 10));
    let grown = plan.execute().unwrap();
    rig.table.grown(grown);
    assert_eq!(rig.table.room().allocated_pages, 4);
    assert_eq!(rig.table.reserve().unwrap(), 0);
}

#[test]
fn a_plan_comes_before_room_runs_out() {
    let mut rig = Rig::small();
    rig.put(0, 0).unwrap();
    assert!(rig.table.grow_plan().is_none(), "there is room enough");
    let per_page = rig.layout().slots_per_page as u64;
    for number in 1..3 * per_page {
        rig.put(number, 0).unwrap();
    }
    assert!(rig.table.grow_plan().is_some(), "less than half a step is left");
}

#[test]
fn a_full_disk_changes_nothing() {
    let mut rig = Rig::small();
    rig.put(0, 0).unwrap();
    rig.disk.inject(Fault::forever(OpFilter::Kind(OpKind::Allocate), 0, FaultError::Enospc));
    let mut refused = None;
    for number in 1..1000 {
        if let Err(error) = rig.put(number, number) {
            refused = Some(error);
            break;
        }
    }
    match refused {
        Some(FixedError::Io(error)) => assert_eq!(error.kind, IoErrorKind::DiskFull),
        other => panic!("{other:?}"),
    }
    // Reads, updates, deletes and checkpoints go on; a freed slot is room.
    rig.put(0, 5).unwrap();
    assert!(rig.delete(1));
    rig.put(5000, 1).unwrap();
    rig.checkpoint().unwrap();
    rig.disk.clear_faults();
    rig.put(6000, 1).unwrap();
    rig.close().open_and_compare("space came back");
}

#[test]
fn all_shards_together_have_as_many_slots_as_the_schema_says() {
    let schema = schema(16, 64, 100);
    let mut rig = Rig::new(Profile::Sector512, schema.clone(), options());
    let dir = std::path::PathBuf::from("/other");
    rig.env.disk.create_dir(&dir).unwrap();
    let budget: SlotBudget = rig.budget.clone();
    let mut other =
        FixedTable::create(&rig.env, &dir, IDENT, TABLE, &schema, budget, options()).unwrap();
    for number in 0..60 {
        rig.put(number, 0).unwrap();
    }
    let grown = other.grow_plan().unwrap().execute().unwrap();
    other.grown(grown);
    let mut got = 0;
    let refused = loop {
        match other.reserve() {
            Ok(_) => got += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(got, 40);
    match refused {
        FixedError::SlotsExhausted { slot_count_max, .. } => assert_eq!(slot_count_max, 100),
        other => panic!("{other}"),
    }
    assert!(rig.put(1000, 0).is_err());
    rig.put(5, 1).unwrap();
    let key = rig.key(5);
    assert!(rig.table.find(hash(&key), &key).is_some());
}

#[test]
fn growth_stops_at_the_maximum() {
    let mut rig = Rig::new(Profile::Sector512, schema(16, 64, 50), options());
    for number in 0..50 {
        rig.put(number, 0).unwrap();
    }
    assert_eq!(rig.table.room().allocated_pages, 2);
    assert!(rig.table.grow_plan().is_none());
    rig.checkpoint().unwrap();
    let (rig, _) = rig.close().open_and_compare("at the maximum");
    assert!(rig.table.grow_plan().is_none());
}
