//! The double-write area: destroyed pages come back, good ones are never replaced, and what cannot be believed is not used.

mod common;

use common::{IDENT, Rig, options, schema};
use slotcask_fixed::{FixedOptions, restore_double_write};
use slotcask_io::sim::Profile;

fn protected() -> FixedOptions {
    FixedOptions { torn_page_protection: true, ..options() }
}

/// A checkpoint committed, another one whose pages are in place but which is not committed.
fn in_flight() -> Rig {
    let mut rig = Rig::new(Profile::Block4k, schema(16, 64, 5000), protected());
    for number in 0..100 {
        rig.put(number, number).unwrap();
    }
    rig.checkpoint().unwrap();
    for number in 0..100 {
        rig.put(number, number + 7).unwrap();
    }
    let (mut checkpoint, _) = rig.begin();
    while rig.batch(&mut checkpoint).unwrap() {}
    rig
}

fn restore(rig: &Rig) -> slotcask_fixed::Restored {
    restore_double_write(&rig.env, &rig.dir, IDENT, std::slice::from_ref(&rig.state)).unwrap()
}

#[test]
fn a_destroyed_page_comes_back_once() {
    let rig = in_flight();
    let (path, at) = (rig.slots_path(), rig.slot_at(0));
    let image = rig.disk.read_raw(&path, at, 4096);
    rig.disk.write_raw(&path, at, &vec![0xdb; 4096]);
    let restored = restore(&rig);
    assert_eq!((restored.pages_found, restored.pages_restored), (3, 1));
    assert_eq!(rig.disk.read_raw(&path, at, 4096), image);
    let again = restore(&rig);
    assert_eq!((again.pages_found, again.pages_restored), (0, 0), "the area is wiped");
    rig.close().open_and_compare("restored");
}

#[test]
fn a_good_page_is_left_alone() {
    let rig = in_flight();
    let mut other = Rig::new(Profile::Block4k, schema(16, 64, 5000), options());
    for number in 0..100 {
        other.put(number, number + 9).unwrap();
    }
    other.checkpoint().unwrap();
    let (path, at) = (rig.slots_path(), rig.slot_at(0));
    let good = other.disk.read_raw(&path, at, 4096);
    rig.disk.write_raw(&path, at, &good);
    assert_eq!(restore(&rig).pages_restored, 0);
    assert_eq!(rig.disk.read_raw(&path, at, 4096), good);
}

#[test]
fn an_area_that_is_not_whole_restores_nothing() {
    let area = std::path::Path::new("/shard/double-write");
    for byte in [0, 20, 50, 4096, 8000] {
        let rig = in_flight();
        rig.disk.flip_bit(area, byte * 8);
        rig.disk.write_raw(&rig.slots_path(), rig.slot_at(0), &vec![0xdb; 4096]);
        assert_eq!(restore(&rig).pages_restored, 0, "byte {byte}");
    }
}

#[test]
fn opening_for_reading_uses_the_images_and_writes_nothing() {
    let rig = in_flight();
    rig.disk.write_raw(&rig.slots_path(), rig.slot_at(0), &vec![0xdb; 4096]);
    let wreck = rig.close();
    let before = wreck.disk.io_count();
    let image = wreck.disk.image_hash();
    let (_, _, loading) = wreck.loading(false).unwrap();
    let (table, report) = loading.finish(wreck.log_end(), &|_, _| true, common::hash).unwrap();
    assert_eq!((report.pages_overlaid, report.slots_damaged, table.len()), (1, 0, 100));
    assert_eq!((wreck.disk.io_count(), wreck.disk.image_hash()), (before, image));
}

#[test]
fn an_opening_without_protection_leaves_no_image_behind() {
    let mut wreck = in_flight().close();
    wreck.options.torn_page_protection = false;
    let (mut rig, _) = wreck.open_and_compare("protection is off now");
    rig.put(0, 99).unwrap();
    rig.checkpoint().unwrap();
    assert_eq!(restore(&rig).pages_found, 0);
}

#[test]
fn the_area_of_a_table_that_is_gone_is_passed_over() {
    let rig = in_flight();
    let restored = restore_double_write(&rig.env, &rig.dir, IDENT, &[]).unwrap();
    assert_eq!((restored.pages_found, restored.pages_restored), (3, 0));
}
