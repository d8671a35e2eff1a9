//! Whose files these are, and files that are not there.

mod common;

use common::{IDENT, Rig, TABLE, options};
use slotcask_fixed::{FixedError, Loading, ShardIdent, SlotBudget, remove_files};
use slotcask_format::StoreId;

#[test]
fn one_damaged_header_is_counted_and_two_are_corruption() {
    for path in [Rig::slots_path, Rig::map_path] {
        let mut rig = Rig::small();
        rig.put(1, 1).unwrap();
        rig.checkpoint().unwrap();
        let path = path(&rig);
        rig.disk.flip_bit(&path, 20 * 8);
        let (rig, report) = rig.close().open_and_compare("one header");
        assert_eq!(report.headers_damaged, 1);
        rig.disk.flip_bit(&path, (4096 + 20) * 8);
        assert_eq!(rig.close().corruption().what, "header");
    }
}

#[test]
fn a_missing_or_cut_file_is_corruption() {
    for path in [Rig::slots_path, Rig::map_path] {
        for len in [None, Some(0), Some(4096), Some(8192), Some(12288)] {
            let mut rig = Rig::small();
            for number in 0..100 {
                rig.put(number, 1).unwrap();
            }
            rig.checkpoint().unwrap();
            let path = path(&rig);
            match len {
                None => rig.disk.delete_file(&path),
                Some(len) => rig.disk.truncate(&path, len),
            }
            let corruption = rig.close().corruption();
            assert_eq!(corruption.path, path, "{corruption}");
        }
    }
}

#[test]
fn files_of_another_place_are_foreign() {
    let rig = Rig::small();
    let wreck = rig.close();
    let env = slotcask_io::sim::env_of(3, &wreck.disk);
    let other_schema = slotcask_format::manifest::TableState {
        schema: common::schema(16, 72, 100_000),
        ..wreck.state.clone()
    };
    let cases = [
        (ShardIdent { store: StoreId([8; 16]), ..IDENT }, wreck.state.clone()),
        (ShardIdent { shard: 4, ..IDENT }, wreck.state.clone()),
        (IDENT, other_schema),
    ];
    for (ident, state) in cases {
        let budget = SlotBudget::new(&state.schema);
        let dir = wreck.dir();
        match Loading::open(&env, &dir, ident, &state, 0, budget, options(), false) {
            Err(FixedError::Foreign { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_a_crash_left_of_a_creation_is_made_anew() {
    let mut rig = Rig::small();
    rig.put(1, 1).unwrap();
    rig.checkpoint().unwrap();
    let wreck = rig.close();
    let env = slotcask_io::sim::env_of(3, &wreck.disk);
    let (dir, budget) = (wreck.dir(), SlotBudget::new(&wreck.schema));
    let loading =
        Loading::create_missing(&env, &dir, IDENT, TABLE, &wreck.schema, budget, options(), true);
    let (table, report) = loading.unwrap().finish(0, &|_, _| true, common::hash).unwrap();
    assert_eq!((table.len(), report.pages_read), (0, 0));
    drop(table);
    remove_files(&env, &dir, TABLE).unwrap();
    remove_files(&env, &dir, TABLE).unwrap();
    assert!(wreck.disk.files().is_empty());
}
