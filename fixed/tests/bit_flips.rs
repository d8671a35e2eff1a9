//! One bit flipped anywhere in the files of a table: it is reported, or it makes no difference. Never is a wrong answer given.

mod common;

use common::{Rig, model};
use slotcask_fixed::FixedError;

#[test]
fn every_flip_is_reported_or_harmless() {
    let build = || {
        let mut rig = Rig::small();
        for number in 0..50 {
            rig.put(number, number).unwrap();
        }
        rig.delete(3);
        rig.checkpoint().unwrap();
        rig.put(4, 40).unwrap();
        rig.checkpoint().unwrap();
        rig
    };
    let rig = build();
    let wreck = rig.close();
    let pages_end = 8192 + u64::from(wreck.state.checkpoint.pages) * 4096;
    let expected = model(&wreck.log);
    let mut reported = 0;
    for (path, len) in wreck.disk.files() {
        let is_slots = path.ends_with("table-00000007.slots");
        // Every byte of what is in use, a different bit each.
        for byte in 0..len {
            let disk = wreck.disk.fork();
            disk.flip_bit(&path, byte * 8 + byte % 8);
            let flipped = common::Wreck {
                disk,
                schema: wreck.schema.clone(),
                log: wreck.log.clone(),
                state: wreck.state.clone(),
                ..wreck
            };
            match flipped.open() {
                Ok((rig, _)) => {
                    rig.assert_holds(&expected, "flip");
                    let in_page = is_slots && (8192..pages_end).contains(&byte);
                    assert!(!in_page, "byte {byte} of a page in use was not missed");
                }
                Err(FixedError::Corrupt(_) | FixedError::Newer { .. }) => reported += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(reported > 8192, "only {reported} flips were reported");
}
