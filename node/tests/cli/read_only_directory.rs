//! A directory that may not be written: reading works, writing is refused by name.

use crate::common::{Place, slotcask};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn writing_is_refused() {
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        eprintln!("skipped: root may write anywhere");
        return;
    }
    let place = Place::new();
    let outer = place.path("outer");
    std::fs::create_dir(&outer).unwrap();
    std::fs::set_permissions(&outer, std::fs::Permissions::from_mode(0o555)).unwrap();
    slotcask(&["create", &format!("{outer}/db")]).fails(6).says("ermission denied");
}
