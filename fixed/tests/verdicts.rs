//! What opening says about slots that cannot be: beyond the log, cut from history, twice the same key, in records that do not fit.

mod common;

use common::{Rig, TABLE, hash};
use slotcask_fixed::{FixedError, SlotMeta};
use slotcask_format::record::{Record, RecordKind};
use slotcask_format::slot::SlotKind;

#[test]
fn a_slot_beyond_the_log_is_corruption() {
    let mut rig = Rig::small();
    rig.put(1, 1).unwrap();
    let slot = rig.put(2, 2).unwrap();
    rig.checkpoint().unwrap();
    let mut wreck = rig.close();
    wreck.log.truncate(1);
    wreck.redo = 2;
    let corruption = wreck.corruption();
    assert_eq!((corruption.what, corruption.at), ("slot", u64::from(slot)));
    assert!(corruption.reason.contains("beyond the end of the log"), "{corruption}");
}

#[test]
fn a_slot_cut_from_history_is_free_and_counted() {
    let mut rig = Rig::small();
    rig.put(1, 1).unwrap();
    let cut = rig.put(2, 2).unwrap();
    rig.put(3, 3).unwrap();
    rig.delete(3);
    rig.checkpoint().unwrap();
    let wreck = rig.close();
    let (_, _, loading) = wreck.loading(true).unwrap();
    // A later epoch began behind sequence 1.
    let (table, report) =
        loading.finish(wreck.log_end(), &|_, sequence| sequence <= 1, hash).unwrap();
    assert_eq!((report.slots_void, report.keys, table.len()), (2, 1, 1));
    assert_eq!(table.room().used_pages, 1);
    let mut table = table;
    assert_eq!(table.reserve().unwrap(), cut, "its slot is handed out again");
}

#[test]
fn a_slot_of_an_epoch_that_the_history_does_not_have_is_corruption() {
    let mut rig = Rig::small();
    let slot = rig.put(1, 1).unwrap();
    rig.checkpoint().unwrap();
    let wreck = rig.close();
    let (_, _, mut loading) = wreck.loading(true).unwrap();
    // A history from before the first epoch, which holds nothing.
    loading.set_epoch_last(0);
    match loading.finish(wreck.log_end(), &|_, _| false, hash) {
        Err(FixedError::Corrupt(corruption)) => {
            assert_eq!((corruption.what, corruption.at), ("slot", u64::from(slot)));
            assert!(corruption.reason.contains("the history ends at epoch 0"), "{corruption}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_key_in_two_slots_is_corruption() {
    let mut rig = Rig::small();
    let first = rig.put(1, 1).unwrap();
    let second = rig.reserve().unwrap();
    let (key, value) = (rig.key(1), rig.value(2));
    let meta = SlotMeta { sequence: 2, epoch: 1, kind: SlotKind::Live, deadline_ms: 0 };
    rig.table.put(hash(&key), second, false, meta, &key, &value);
    rig.log.push(common::Entry {
        sequence: 2,
        epoch: 1,
        kind: Some(RecordKind::Put),
        slot: second,
        key,
        value,
        deadline_ms: 0,
    });
    rig.checkpoint().unwrap();
    let corruption = rig.close().corruption();
    assert_eq!((corruption.what, corruption.at), ("slot", u64::from(second)));
    assert!(corruption.reason.contains(&format!("slot {first} holds the same key")));
}

#[test]
fn records_that_do_not_fit_are_corruption() {
    let rig = Rig::small();
    let wreck = rig.close();
    let (key, value) = ([1; 16], [2; 64]);
    let good = Record {
        sequence: 1,
        epoch: 1,
        table: TABLE,
        slot: 0,
        kind: RecordKind::Put,
        flags: 0,
        extension: &[],
        key: &key,
        value: &value,
    };
    let bad = [
        Record { slot: u32::MAX, ..good },
        Record { slot: 100_000, ..good },
        Record { key: &key[..15], ..good },
        Record { value: &value[..63], ..good },
        Record { extension: &[1, 8, 0], ..good },
        Record { extension: &[1, 8, 1, 0, 0, 0, 0, 0, 0, 0], ..good },
    ];
    for record in bad {
        let (_, _, mut loading) = wreck.loading(true).unwrap();
        match loading.apply(&record) {
            Err(FixedError::Corrupt(corruption)) => assert_eq!(corruption.what, "record"),
            other => panic!("{other:?}"),
        }
    }
    let (_, _, mut loading) = wreck.loading(true).unwrap();
    loading.apply(&good).unwrap();
}
