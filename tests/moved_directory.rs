//! The directory of an open store is moved, and another store takes its place; or that of a shard, and a copy takes its place; or the lock file
//! is removed. The store stops writing, by name, and nobody loses anything that was acknowledged.

#![expect(
    clippy::disallowed_methods,
    reason = "somebody moves the real directory behind the store's back"
)]

mod common;

use common::{ROOT, b, picture_of_dir, store, table};
use slotcask::{CaskTable, Error, Options, Store, TableOptions};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const CHILD: &str = "SLOTCASK_TEST_WORKING_DIRECTORY";

fn options(background: bool) -> Options {
    Options::new().shards(2).segment_size(64 << 10).log_size(1 << 20).background(background)
}

/// Puts keys 0 to 99 over and over, enough for several logs, and remembers the last version of each that was acknowledged.
fn fill(cask: &CaskTable, round: u64, model: &mut BTreeMap<u64, u64>) -> Option<Error> {
    let mut refused = None;
    for n in 0..1500 {
        let (key, version) = (n % 100, round * 10_000 + n);
        match cask.put(b(key), [&b(version)[..], &[5; 3000]].concat()) {
            Ok(()) => {
                model.insert(key, version);
            }
            Err(error) => refused = Some(error),
        }
    }
    refused
}

/// Opens the store and compares. A refused version may be there: what was not acknowledged may have come to be durable.
fn check(path: &Path, model: &BTreeMap<u64, u64>) {
    let store = options(false).create(false).open(path).unwrap();
    let cask = store.open_cask("c").unwrap();
    assert_eq!(cask.len(), model.len() as u64);
    let highest = model.values().max().unwrap() / 10_000;
    for (key, version) in model {
        let found = cask.get(b(*key)).unwrap().unwrap();
        let found = u64::from_le_bytes(found[..8].try_into().unwrap());
        assert!(found >= *version && found % 100 == *key && found / 10_000 <= highest, "{key}");
    }
    drop(cask);
    store.close().unwrap();
}

fn assert_stopped(store: &Store, refused: Option<&Error>) {
    let refused = refused.expect("writes went on").to_string();
    assert!(refused.contains("moved or replaced"), "{refused}");
    for shard in store.stats().unwrap().shards {
        assert!(shard.poisoned.unwrap().contains("moved or replaced"), "shard {}", shard.shard);
    }
    assert!(store.create_table("u", TableOptions::fixed(8, 8)).is_err());
}

#[test]
fn a_store_that_takes_the_place_of_an_open_one_is_left_alone() {
    for background in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (root, moved) = (dir.path().join("db"), dir.path().join("db.old"));
        let first = options(background).open(&root).unwrap();
        let cask = first.cask("c").unwrap();
        let (mut model, mut second_model) = (BTreeMap::new(), BTreeMap::new());
        assert!(fill(&cask, 1, &mut model).is_none());
        std::fs::rename(&root, &moved).unwrap();
        let second = options(background).open(&root).unwrap();
        let second_cask = second.cask("c").unwrap();
        assert!(fill(&second_cask, 2, &mut second_model).is_none());
        assert_stopped(&first, fill(&cask, 3, &mut model).as_ref());
        assert!(fill(&second_cask, 4, &mut second_model).is_none());
        assert!(first.close().is_err());
        drop((cask, first));
        assert!(fill(&second_cask, 5, &mut second_model).is_none());
        second.close().unwrap();
        check(&root, &second_model);
        check(&moved, &model);
    }
}

#[test]
fn a_store_whose_lock_file_was_removed_stops() {
    let dir = tempfile::tempdir().unwrap();
    let first = options(true).open(dir.path()).unwrap();
    let cask = first.cask("c").unwrap();
    let mut model = BTreeMap::new();
    assert!(fill(&cask, 1, &mut model).is_none());
    std::fs::remove_file(dir.path().join("LOCK")).unwrap();
    assert_stopped(&first, fill(&cask, 2, &mut model).as_ref());
    assert!(first.close().is_err());
    drop((cask, first));
    let adopted = options(false).adopt_copy(true).open(dir.path()).unwrap();
    adopted.close().unwrap();
    check(dir.path(), &model);
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// What stands in the place of a shard's directory that was moved.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Left {
    Nothing,
    Copy,
    LinkToCopy,
}

#[test]
fn a_store_whose_shard_was_moved_stops() {
    let threads_none = [Left::Nothing, Left::Copy, Left::LinkToCopy].map(|left| (false, left));
    for (background, left) in threads_none.into_iter().chain([(true, Left::Copy)]) {
        let home = tempfile::tempdir().unwrap();
        let [root, aside, other] = ["db", "aside", "other"].map(|name| home.path().join(name));
        let shard = root.join("shard-001");
        let store = options(background).open(&root).unwrap();
        let cask = store.cask("c").unwrap();
        let mut model = BTreeMap::new();
        assert!(fill(&cask, 1, &mut model).is_none());
        std::fs::rename(&shard, &aside).unwrap();
        match left {
            Left::Nothing => {}
            Left::Copy => copy_dir(&aside, &shard),
            Left::LinkToCopy => {
                copy_dir(&aside, &other);
                std::os::unix::fs::symlink(&other, &shard).unwrap();
            }
        }
        let copied = (left != Left::Nothing).then(|| picture_of_dir(&shard));
        let refused = fill(&cask, 2, &mut model);
        assert_stopped(&store, refused.as_ref());
        let said = refused.unwrap().to_string();
        assert!(said.contains("shard-001") && said.contains("put the directory back"), "{said}");
        assert!(store.close().is_err());
        drop((cask, store));
        // A thread may have been between its look and what it does by name.
        if let Some(copied) = copied
            && !background
        {
            assert!(copied == picture_of_dir(&shard), "{left:?}");
        }
        match left {
            Left::Nothing => {}
            Left::Copy => std::fs::remove_dir_all(&shard).unwrap(),
            Left::LinkToCopy => std::fs::remove_file(&shard).unwrap(),
        }
        std::fs::rename(&aside, &shard).unwrap();
        check(&root, &model);
    }
}

#[test]
fn a_shard_behind_a_link_is_no_hindrance() {
    let home = tempfile::tempdir().unwrap();
    let (root, other) = (home.path().join("db"), home.path().join("other"));
    let mut model = BTreeMap::new();
    options(false).open(&root).unwrap().close().unwrap();
    std::fs::rename(root.join("shard-000"), &other).unwrap();
    std::os::unix::fs::symlink(&other, root.join("shard-000")).unwrap();
    let store = options(true).open(&root).unwrap();
    let cask = store.cask("c").unwrap();
    assert!(fill(&cask, 1, &mut model).is_none());
    store.close().unwrap();
    check(&root, &model);
}

#[test]
fn the_first_change_that_finds_out_says_so_by_name() {
    let (store, disk) = store(7, 2);
    let t = table(&store, "t");
    t.put(b(1), b(1)).unwrap();
    slotcask_io::Disk::remove(&disk, &Path::new(ROOT).join("LOCK")).unwrap();
    let error = store.create_table("u", TableOptions::fixed(8, 8)).map(drop).unwrap_err();
    assert!(
        matches!(&error, Error::Io(error) if error.kind == slotcask_io::IoErrorKind::Moved),
        "{error}"
    );
    assert!(!error.is_out_of_resources());
    assert!(matches!(t.put(b(2), b(2)), Err(Error::Poisoned { .. })));
    assert_eq!(t.get(b(1)).unwrap().as_deref(), Some(&b(1)[..]));
}

#[test]
fn a_relative_name_is_kept_when_the_working_directory_changes() {
    if std::env::var_os(CHILD).is_some() {
        return change_the_working_directory();
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_relative_name_is_kept_when_the_working_directory_changes"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

/// In a process of its own, as it is the same for all threads.
fn change_the_working_directory() {
    let dir = tempfile::tempdir().unwrap();
    std::env::set_current_dir(dir.path()).unwrap();
    let store = options(true).open("db").unwrap();
    let cask = store.cask("c").unwrap();
    std::env::set_current_dir("/").unwrap();
    let mut model = BTreeMap::new();
    assert!(fill(&cask, 1, &mut model).is_none());
    drop(cask);
    store.close().unwrap();
    check(&dir.path().join("db"), &model);
}
