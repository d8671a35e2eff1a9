//! A store that was closed keeps nothing: no file, no ring, no memory. Alone in its process, so that what is open is its own.

#![cfg(target_os = "linux")]

use slotcask::{CaskOptions, Options, TableOptions, Ticket};
use std::path::Path;

/// What the process has open, deleted files too.
fn open_now() -> impl Iterator<Item = String> {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = links.filter_map(|link| std::fs::read_link(link.unwrap().path()).ok());
    targets.map(|target| target.to_string_lossy().into_owned())
}

/// What it has open in `dir`.
fn open_in(dir: &Path) -> Vec<String> {
    open_now().filter(|name| name.starts_with(&*dir.to_string_lossy())).collect()
}

fn rings() -> usize {
    open_now().filter(|name| name.contains("io_uring")).count()
}

/// Bytes of memory of the process.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn a_closed_store_keeps_no_file_no_ring_and_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = std::fs::canonicalize(dir.path()).unwrap().join("store");
    let value = vec![7; 1000];
    let mut after_some = 0;
    for cycle in 0..24_u64 {
        let store = Options::new().shards(2).log_size(16 << 20).open(&path).unwrap();
        let fixed = store.create_table("t", TableOptions::fixed(8, 1000));
        let fixed = fixed.or_else(|_| store.open_table("t")).unwrap();
        let cask = store.create_cask("c", &CaskOptions::new());
        let cask = cask.or_else(|_| store.open_cask("c")).unwrap();
        let tickets: Vec<Ticket> = (0..1000_u64)
            .map(|number| {
                cask.put(number.to_le_bytes(), &value).map(drop).unwrap();
                fixed.write(number.to_le_bytes(), &value).unwrap()
            })
            .collect();
        tickets.into_iter().for_each(|ticket| ticket.wait().unwrap());
        assert!(!open_in(&path).is_empty(), "the files of an open store are seen");
        if cycle % 2 == 0 {
            store.close().unwrap();
        }
        drop((store, fixed, cask));
        let reader = Options::new().read_only(true).open(&path).unwrap();
        assert_eq!(
            reader.open_cask("c").unwrap().get(7_u64.to_le_bytes()).unwrap(),
            Some(value.clone())
        );
        drop(reader);
        assert_eq!(open_in(&path), Vec::<String>::new(), "cycle {cycle}");
        if cycle == 7 {
            after_some = memory();
        }
    }
    // 16 stores of some megabytes each.
    let grown = memory().saturating_sub(after_some);
    assert!(grown < 24 << 20, "{grown} bytes more after 16 openings");
    // Rings of threads that ended are kept for a while, some of them.
    assert!(rings() <= 64, "{} rings", rings());
}
