//! A page write was acknowledged and synced and never happened, or went elsewhere. Every slot checksum is right; the page map
//! shows it.

mod common;

use common::Rig;

fn two_pages() -> Rig {
    let mut rig = Rig::small();
    for number in 0..2 * rig.layout().slots_per_page as u64 {
        rig.put(number, number).unwrap();
    }
    rig.checkpoint().unwrap();
    rig
}

#[test]
fn a_lost_write_is_corruption() {
    let mut rig = two_pages();
    let (path, at, page) = (rig.slots_path(), rig.slot_at(0), rig.layout().page_size);
    let old = rig.disk.read_raw(&path, at, page);
    rig.put(0, 77).unwrap();
    rig.checkpoint().unwrap();
    rig.disk.write_raw(&path, at, &old);
    let corruption = rig.close().corruption();
    assert_eq!((corruption.what, corruption.at), ("page", 0));
}

#[test]
fn a_lost_sector_is_corruption() {
    let mut rig = two_pages();
    let (path, at) = (rig.slots_path(), rig.slot_at(0));
    let old = rig.disk.read_raw(&path, at, 512);
    // Slot 0 lies in the first sector alone, so that its old image is whole.
    rig.put(0, 77).unwrap();
    rig.checkpoint().unwrap();
    rig.disk.write_raw(&path, at, &old);
    assert_eq!(rig.close().corruption().what, "page");
}

#[test]
fn a_write_to_the_wrong_page_is_corruption_in_both_places() {
    let rig = two_pages();
    let (path, page) = (rig.slots_path(), rig.layout().page_size);
    let second = rig.slot_at(rig.layout().slots_per_page as u32);
    let bytes = rig.disk.read_raw(&path, rig.slot_at(0), page);
    rig.disk.write_raw(&path, second, &bytes);
    let wreck = rig.close();
    let (_, _, loading) = wreck.loading(false).unwrap();
    let (findings, _) = loading.check(wreck.log_end(), &|_, _| true, common::hash);
    assert!(findings.iter().any(|finding| finding.what == "page" && finding.at == 1));
    let slots = findings.iter().filter(|finding| finding.what == "slot").count();
    assert_eq!(slots, page / 104, "every slot is out of place");
}

#[test]
fn a_page_that_redo_touches_is_excused_and_written_again() {
    let mut rig = two_pages();
    rig.put(0, 77).unwrap();
    let (mut checkpoint, _) = rig.begin();
    while rig.batch(&mut checkpoint).unwrap() {}
    // The pages are on the disk, the checkpoint is not committed.
    let (mut rig, report) = rig.close().open_and_compare("not committed");
    assert_eq!((report.pages_unexpected, report.records_known), (1, 1));
    assert!(rig.table.has_dirty());
    rig.checkpoint().unwrap();
    let (_, report) = rig.close().open_and_compare("committed");
    assert_eq!(report.pages_unexpected, 0);
}
