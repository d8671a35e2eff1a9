//! Data files that are read in memory: the same answers, damage found the same way, across seals, merges and reopenings. On the machine's
//! own disk; the simulated one maps nothing.

use slotcask::{CaskOptions, CaskTable, Durability, Error, Options, Store};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

fn options() -> Options {
    Options::new()
        .shards(1)
        .durability(Durability::Buffered)
        .log_size(8 << 20)
        .value_cache(0)
        .map_data_files(true)
}

fn open(dir: &Path) -> (Store, CaskTable) {
    let store = options().open(dir).unwrap();
    let table = match store.open_cask("c") {
        Ok(table) => table,
        Err(_) => store.create_cask("c", &CaskOptions::new()).unwrap(),
    };
    (store, table)
}

fn value(key: u32, round: u8) -> Vec<u8> {
    vec![key as u8 ^ round; 2000 + key as usize % 3000]
}

fn check(table: &CaskTable, round_of: impl Fn(u32) -> Option<u8>) {
    for key in 0..4000_u32 {
        let wanted = round_of(key).map(|round| value(key, round));
        assert!(table.get(key.to_le_bytes()).unwrap() == wanted, "key {key}");
    }
}

/// True when this process has a file of the store in memory; where that cannot be told, true.
fn is_mapped(dir: &Path) -> bool {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return true };
    maps.lines().any(|line| line.contains(dir.to_str().unwrap()))
}

#[test]
fn mapped_files_answer_like_others() {
    let dir = tempfile::tempdir().unwrap();
    let (store, table) = open(dir.path());
    for round in 0..3 {
        for key in (0..4000_u32).filter(|key| round == 0 || key % 3 == u32::from(round)) {
            table.put(key.to_le_bytes(), value(key, round)).unwrap();
        }
    }
    let round_of = |key: u32| Some((key % 3) as u8);
    check(&table, round_of);
    assert!(is_mapped(dir.path()), "segments that left the log are mapped");
    store.sync().unwrap();
    store.checkpoint().unwrap();
    check(&table, round_of);
    for key in (0..4000_u32).filter(|key| key.is_multiple_of(5)) {
        assert!(table.delete(key.to_le_bytes()).unwrap());
    }
    let round_of = |key: u32| (!key.is_multiple_of(5)).then_some((key % 3) as u8);
    assert!(store.merge().unwrap());
    check(&table, round_of);
    assert_eq!(table.iter().map(Result::unwrap).count(), 3200);
    store.close().unwrap();

    let (store, table) = open(dir.path());
    check(&table, round_of);
    assert!(is_mapped(dir.path()), "data files are mapped by an opening");
    store.close().unwrap();
    let store = options().read_only(true).open(dir.path()).unwrap();
    check(&store.open_cask("c").unwrap(), round_of);
}

#[test]
fn damage_in_a_mapped_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (store, table) = open(dir.path());
    for key in 0..4000_u32 {
        table.put(key.to_le_bytes(), value(key, 0)).unwrap();
    }
    store.checkpoint().unwrap();
    store.merge().unwrap();
    let shard = dir.path().join("shard-000");
    for entry in std::fs::read_dir(&shard).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_data =
            name.ends_with(".segment") || (name.starts_with("data-") && !name.ends_with(".hint"));
        if is_data {
            let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.seek(SeekFrom::Start(20_000)).unwrap();
            file.write_all(&[0xa5; 300]).unwrap();
        }
    }
    let answers: Vec<_> = (0..4000_u32).map(|key| (key, table.get(key.to_le_bytes()))).collect();
    let bad = answers.iter().filter(|(_, answer)| matches!(answer, Err(Error::Corrupt { .. })));
    assert!(bad.count() > 0, "nothing was found to be damaged");
    for (key, answer) in answers {
        match answer {
            Ok(found) => assert_eq!(found, Some(value(key, 0))),
            Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{error}"),
        }
    }
}
