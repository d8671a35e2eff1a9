//! Data files and hints of another store or another file, cut short, or gone: a hint is made anew, a data file is refused by name or answers with
//! a corruption; nothing is answered with a wrong value.

mod common;

use common::{ROOT, assert_says, b, files_named, picture, tiny, world};
use slotcask::{CaskOptions, Durability, Error, Options, Store};
use slotcask_format::StoreId;
use slotcask_format::history::{Epoch, EpochKind, History};
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
            let before = picture(&image);
            match open(&image) {
                Ok(store) => {
                    assert!(has_hint, "{what}: it has to be read");
                    assert!(refused_gets(&store, 0) > 0, "{what}");
                }
                Err(error) => {
                    assert!(error.is_corruption(), "{what}: {error}");
                    assert_says(&error, &[name(&paths[0])]);
                    assert_eq!(picture(&image), before, "{what}");
                }
            }
        }
    }
}

/// An opening removes files that the manifest does not list: not before it knows that it has those that are listed.
#[test]
fn a_data_file_under_another_name_is_missed_and_kept() {
    let disk = closed(4, 0);
    let path = &files(&disk, ".cask")[0];
    let other = path.with_file_name("data-0000000000009999.cask");
    for (with_hint, read_only) in [(true, false), (false, false), (true, true), (false, true)] {
        let image = disk.fork();
        let moves = [(path.clone(), other.clone()), (hint_of(path), hint_of(&other))];
        let moves = &moves[..if with_hint { 2 } else { 1 }];
        for (from, to) in moves {
            image.put_file(to, &image.read_all(from).unwrap());
            image.delete_file(from);
        }
        let before = picture(&image);
        let options = options().create(false).read_only(read_only);
        let error = options.open_in(env_of(99, &image), ROOT).unwrap_err();
        assert_says(&error, &[name(path), "is not there"]);
        assert_eq!(picture(&image), before);
        for (from, to) in moves {
            image.put_file(from, &image.read_all(to).unwrap());
            image.delete_file(to);
        }
        assert_eq!(refused_gets(&open(&image).unwrap(), 0), 0);
    }
}

/// What a merge left that was not committed.
#[test]
fn files_that_the_manifest_does_not_list_are_removed() {
    let disk = closed(5, 0);
    let before = (files(&disk, ".cask"), files(&disk, ".hint"));
    let other = before.0[0].with_file_name("data-0000000000009999.cask");
    disk.put_file(&other, &disk.read_all(&before.0[0]).unwrap());
    disk.put_file(&hint_of(&other), &disk.read_all(&before.1[0]).unwrap());
    // Reading removes nothing.
    options().read_only(true).open_in(env_of(99, &disk), ROOT).unwrap().close().unwrap();
    assert!(disk.read_all(&other).is_some());
    let store = open(&disk).unwrap();
    assert_eq!(refused_gets(&store, 0), 0);
    store.close().unwrap();
    assert_eq!((files(&disk, ".cask"), files(&disk, ".hint")), before);
}

/// An epoch that began below the end of a data file: its records behind that are no part of the store, whatever its hint lists.
#[test]
fn records_that_a_later_epoch_cut_off_are_left_out() {
    let disk = closed(6, 0);
    let path = Path::new(ROOT).join("history");
    let bytes = disk.read_all(&path).unwrap();
    let store = StoreId(<[u8; 16]>::try_from(&bytes[16..32]).unwrap());
    let mut history = History::decode_file(&bytes, store, 1).unwrap();
    let (number, cuts) = (history.last() + 1, vec![40]);
    let (kind, id, time_ms) = (EpochKind::Recovered, [1; 16], 1);
    history.epochs.push(Epoch { number, kind, id, time_ms, cuts });
    put_in_place(&disk, &path, Some(history.encode_file(store, 1)));
    let store = open(&disk).unwrap();
    let table = store.open_cask("c").unwrap();
    let left: Vec<u64> = (0..KEYS).filter(|key| table.contains(b(*key)).unwrap()).collect();
    // Of even keys the newest record came later, and the others were merged away.
    assert!(left.len() > 10 && left.iter().all(|key| key % 2 == 1 && *key < 40), "{left:?}");
    assert_eq!(table.len(), left.len() as u64);
    assert!(left.iter().all(|key| table.get(b(*key)).unwrap() == Some(value(*key, 0))));
}

fn hint_of(path: &Path) -> PathBuf {
    path.with_extension("hint")
}

#[test]
fn a_table_of_the_other_kind_is_refused_by_name() {
    let disk = closed(3, 0);
    let store = open(&disk).unwrap();
    let refused = store.open_table("c").unwrap_err();
    assert!(matches!(refused, Error::TableKind { found: "cask", .. }), "{refused}");
}
