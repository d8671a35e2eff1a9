//! Data files and hints of another store or another file, cut short, or gone: a hint is made anew, a data file is refused by name or answers with
//! a corruption; nothing is answered with a wrong value.

mod common;

use common::{ROOT, assert_says, b, files_named, tiny, world};
use slotcask::{CaskOptions, Durability, Error, Options, Store};
use slotcask_io::SimDisk;
use slotcask_io::sim::env_of;
use std::path::{Path, PathBuf};

const KEYS: u64 = 200;

fn value(key: u64, salt: u8) -> Vec<u8> {
    vec![key as u8 ^ salt; 300]
}

fn options() -> Options {
    tiny(1).durability(Durability::Buffered)
}

/// A closed store with several merged files.
fn closed(seed: u64, salt: u8) -> SimDisk {
    let (env, disk) = world(seed);
    let store = options().open_in(env, ROOT).unwrap();
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    for round in 0..3 {
        for key in (0..KEYS).filter(|key| round == 0 || key % 2 == 0) {
            table.put(b(key), value(key, salt)).unwrap();
            store.poll().unwrap();
        }
        store.rotate().unwrap();
        store.checkpoint().unwrap();
        while store.merge().unwrap() {}
    }
    drop(table);
    store.close().unwrap();
    disk
}

fn open(disk: &SimDisk) -> slotcask::Result<Store> {
    options().create(false).open_in(env_of(99, disk), ROOT)
}

/// Gets that were refused; all others give what was put.
fn refused_gets(store: &Store, salt: u8) -> u64 {
    let table = store.open_cask("c").unwrap();
    let mut refused = 0;
    for key in 0..KEYS {
        match table.get(b(key)) {
            Ok(found) => assert_eq!(found, Some(value(key, salt)), "{key}"),
            Err(error) => {
                assert!(error.is_corruption(), "{key}: {error}");
                refused += 1;
            }
        }
    }
    refused
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// What may stand in place of a file.
fn replacements(ours: &[u8], twin: &[u8], theirs: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let cut = |len: usize| Some(ours[..len.min(ours.len())].to_vec());
    vec![
        ("of another store", Some(theirs.to_vec())),
        ("of another file", Some(twin.to_vec())),
        ("missing", None),
        ("empty", cut(0)),
        ("cut to an odd length", cut(ours.len() - 1001)),
        ("cut by a block", cut(ours.len() - 4096)),
    ]
}

fn put_in_place(disk: &SimDisk, path: &Path, bytes: Option<Vec<u8>>) {
    disk.delete_file(path);
    if let Some(bytes) = bytes {
        disk.put_file(path, &bytes);
    }
}

fn files(disk: &SimDisk, part: &str) -> Vec<PathBuf> {
    let named = files_named(disk, 0, part);
    assert!(named.len() >= 2, "{named:?}");
    named
}

#[test]
fn a_hint_that_is_not_of_its_file_is_made_anew() {
    let (disk, other) = (closed(1, 0), closed(2, 0x55));
    let paths = files(&disk, ".hint");
    let read = |disk: &SimDisk, path: &PathBuf| disk.read_all(path).unwrap();
    let theirs = read(&other, &files(&other, ".hint")[0]);
    for (what, bytes) in replacements(&read(&disk, &paths[0]), &read(&disk, &paths[1]), &theirs) {
        let image = disk.fork();
        put_in_place(&image, &paths[0], bytes);
        let store = open(&image).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(store.recovery().shards[0].hints_rebuilt, 1, "{what}");
        assert_eq!(refused_gets(&store, 0), 0, "{what}");
        store.close().unwrap();
        assert_eq!(open(&image).unwrap().recovery().shards[0].hints_rebuilt, 0, "{what}");
    }
}

#[test]
fn a_data_file_that_is_not_the_one_is_refused() {
    let (disk, other) = (closed(1, 0), closed(2, 0x55));
    let paths = files(&disk, ".cask");
    let read = |disk: &SimDisk, path: &PathBuf| disk.read_all(path).unwrap();
    let theirs = read(&other, &files(&other, ".cask")[0]);
    for has_hint in [true, false] {
        for (what, bytes) in replacements(&read(&disk, &paths[0]), &read(&disk, &paths[1]), &theirs)
        {
            let image = disk.fork();
            put_in_place(&image, &paths[0], bytes);
            if !has_hint {
                image.delete_file(&paths[0].with_extension("hint"));
            }
            match open(&image) {
                Ok(store) => {
                    assert!(has_hint, "{what}: it has to be read");
                    assert!(refused_gets(&store, 0) > 0, "{what}");
                }
                Err(error) => {
                    assert!(error.is_corruption(), "{what}: {error}");
                    assert_says(&error, &[name(&paths[0])]);
                }
            }
        }
    }
}

#[test]
fn a_table_of_the_other_kind_is_refused_by_name() {
    let disk = closed(3, 0);
    let store = open(&disk).unwrap();
    let refused = store.open_table("c").unwrap_err();
    assert!(matches!(refused, Error::TableKind { found: "cask", .. }), "{refused}");
}
