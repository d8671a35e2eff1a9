//! The two copies of a page map block: the committed one counts, whatever a crash left in the other.

mod common;

use common::Rig;
use slotcask_format::BLOCK_SIZE;
use slotcask_format::page_map::map_block_offset;

#[test]
fn a_copy_of_a_checkpoint_that_was_cut_short_is_passed_over_and_overwritten() {
    let mut rig = Rig::small();
    rig.put(1, 1).unwrap();
    rig.checkpoint().unwrap();
    rig.put(1, 2).unwrap();
    let (mut checkpoint, _) = rig.begin();
    while rig.batch(&mut checkpoint).unwrap() {}
    let _not_committed = checkpoint.finish().unwrap();
    let mut wreck = rig.close();
    // Its number is given again. Even when redo has nothing to say, its copy must not come to count.
    wreck.log.truncate(1);
    let path = wreck.dir().join("table-00000007.slots");
    let page = wreck.disk.read_raw(&path, 8192, BLOCK_SIZE);
    let (mut rig, _) = {
        // The pages as checkpoint 1 had them: what the cut-short checkpoint wrote is undone.
        let mut first = Rig::small();
        first.put(1, 1).unwrap();
        first.checkpoint().unwrap();
        let old = first.disk.read_raw(&path, 8192, BLOCK_SIZE);
        assert_ne!(old, page);
        wreck.disk.write_raw(&path, 8192, &old);
        wreck.open_and_compare("cut short")
    };
    assert!(rig.table.has_dirty(), "the stale copy is written over");
    rig.checkpoint().unwrap();
    assert_eq!(rig.number, 2);
    rig.close().open_and_compare("the number was given again");
}

#[test]
fn damage_to_the_committed_copy_is_corruption_and_to_the_other_is_nothing() {
    let mut rig = Rig::small();
    rig.put(1, 1).unwrap();
    rig.checkpoint().unwrap();
    rig.put(2, 2).unwrap();
    rig.checkpoint().unwrap();
    let path = rig.map_path();
    let copies = [0, 1].map(|copy| map_block_offset(0, copy));
    // The second checkpoint wrote copy 1.
    rig.disk.flip_bit(&path, (copies[0] + 100) * 8);
    let (rig, _) = rig.close().open_and_compare("old copy");
    rig.disk.flip_bit(&path, (copies[1] + 100) * 8);
    let corruption = rig.close().corruption();
    assert_eq!((corruption.what, corruption.at), ("map block", 0));
}

#[test]
fn a_committed_copy_that_is_lost_is_corruption_though_the_older_one_is_whole() {
    let mut rig = Rig::small();
    rig.put(1, 1).unwrap();
    rig.checkpoint().unwrap();
    rig.put(2, 2).unwrap();
    rig.checkpoint().unwrap();
    let zeros = vec![0; BLOCK_SIZE];
    rig.disk.write_raw(&rig.map_path(), map_block_offset(0, 1), &zeros);
    assert_eq!(rig.close().corruption().what, "page map");
}

#[test]
fn many_blocks() {
    let mut rig = Rig::new(
        slotcask_io::sim::Profile::Sector512,
        common::schema(16, 3000, 3000),
        common::options(),
    );
    for number in 0..1200 {
        rig.put(number, number).unwrap();
    }
    rig.checkpoint().unwrap();
    assert_eq!(rig.state.checkpoint.pages, 1200);
    for number in [0, 600, 1199] {
        rig.put(number, 9).unwrap();
        rig.checkpoint().unwrap();
    }
    rig.close().open_and_compare("three blocks");
}
