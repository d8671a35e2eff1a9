//! A `history` file of an earlier day, as a partial restore leaves it, knows nothing of the epochs after it: what they wrote looks like what
//! history has cut off. The store is refused, with the file to put back, and is whole when that was done.

mod common;

use common::{ROOT, assert_says, b, picture, reopen, store, table, tiny};
use slotcask::tools::{Severity, check};
use slotcask::{CaskOptions, Error};
use slotcask_io::SimDisk;
use slotcask_io::sim::env_of;
use std::path::{Path, PathBuf};

/// How the last epoch before the history went back was written and ended.
#[derive(Debug, Clone, Copy)]
struct Case {
    cask: bool,
    fixed: bool,
    /// Segments became data files, and slots pages.
    checkpointed: bool,
    closed: bool,
}

fn history() -> PathBuf {
    Path::new(ROOT).join("history")
}

/// A store of two epochs with the history of the first, and the right one.
fn two_epochs(case: Case) -> (SimDisk, Vec<u8>) {
    let (first, disk) = store(1, 2);
    if case.cask {
        first.create_cask("c", &CaskOptions::new()).unwrap().put(b(1), b(1)).unwrap();
    }
    if case.fixed {
        table(&first, "f").put(b(1), b(1)).unwrap();
    }
    first.close().unwrap();
    drop(first);
    let older = disk.read_all(&history()).unwrap();
    let second = reopen(&disk, 2).unwrap();
    for key in 1..20 {
        if case.cask {
            second.open_cask("c").unwrap().put(b(key), b(2)).unwrap();
        }
        if case.fixed {
            second.open_table("f").unwrap().put(b(key), b(2)).unwrap();
        }
    }
    if case.checkpointed {
        second.rotate().unwrap();
        second.checkpoint().unwrap();
        second.checkpoint().unwrap();
    }
    let disk = if case.closed {
        second.close().unwrap();
        disk
    } else {
        second.sync().unwrap();
        disk.after_kill()
    };
    let newer = disk.read_all(&history()).unwrap();
    disk.put_file(&history(), &older);
    (disk, newer)
}

/// Openings of any kind are refused and change nothing; `check` says the same of the file.
fn assert_refused(disk: &SimDisk, what: &str) {
    let before = picture(disk);
    for options in [tiny(2), tiny(2).read_only(true)] {
        let error = options.open_in(env_of(7, disk), ROOT).map(drop).expect_err(what);
        assert!(
            matches!(&error, Error::Corrupt { path, .. } if *path == history()),
            "{what}: {error}"
        );
        assert_says(&error, &["epoch 2", "ends at epoch 1", "put back"]);
    }
    let report = check(&env_of(8, disk), Path::new(ROOT), &mut |_, _| {}).unwrap();
    let found = |severity| {
        report.findings.iter().any(|found| found.severity == severity && found.path == history())
    };
    assert!(found(Severity::Damage), "{what}: {report:?}");
    assert!(before == picture(disk), "{what}");
}

#[test]
fn a_history_that_is_older_than_the_shards_is_refused_until_the_right_one_is_back() {
    for bits in 0..12 {
        let (checkpointed, closed) = (bits & 1 != 0, bits & 2 != 0);
        let (cask, fixed) = [(true, false), (false, true), (true, true)][bits / 4];
        let case = Case { cask, fixed, checkpointed, closed };
        let what = format!("{case:?}");
        let (disk, newer) = two_epochs(case);
        assert_refused(&disk, &what);
        disk.put_file(&history(), &newer);
        let store = reopen(&disk, 2).expect(&what);
        for key in 1..20 {
            if cask {
                let found = store.open_cask("c").unwrap().get(b(key)).unwrap();
                assert_eq!(found.as_deref(), Some(&b(2)[..]), "{what}");
            }
            if fixed {
                let found = store.open_table("f").unwrap().get(b(key)).unwrap();
                assert_eq!(found.as_deref(), Some(&b(2)[..]), "{what}");
            }
        }
    }
}
