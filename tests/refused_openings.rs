//! An opening that is refused for what one shard holds has written nothing to the others: whatever a recovery would have mended
//! there is still to be mended.

mod common;

use common::{ROOT, b, crash_keeping_all, files_named, picture, table, tiny, world};
use slotcask::{Options, TableOptions};
use slotcask_format::file_name::LOCK;
use slotcask_io::SimDisk;
use slotcask_io::sim::{CrashPlan, env_of};
use std::path::{Path, PathBuf};

/// Loses a file of the last shard, which every recovery of it needs.
fn lose_a_file(disk: &SimDisk, part: &str) {
    let file = files_named(disk, 1, part).into_iter().next_back().unwrap();
    disk.delete_file(&file);
}

fn without_locks(disk: &SimDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let is_lock = |path: &Path| path.file_name().is_some_and(|name| name == LOCK);
    picture(disk).into_iter().filter(|(path, _)| !is_lock(path)).collect()
}

/// The opening is refused, twice with the same words, and changes nothing.
fn refused(disk: &SimDisk, root: &str, options: Options) {
    let before = without_locks(disk);
    let first = options.clone().open_in(env_of(8, disk), root).map(drop).unwrap_err();
    assert!(first.is_corruption(), "{first}");
    assert!(before == without_locks(disk), "the disk changed under {first}");
    let second = options.open_in(env_of(9, disk), root).map(drop).unwrap_err();
    assert_eq!(first.to_string(), second.to_string());
}

#[test]
fn tables_that_only_the_log_knows_are_not_made() {
    let (env, disk) = world(1);
    let store = tiny(2).open_in(env, ROOT).unwrap();
    let t = table(&store, "t");
    let pairs: Vec<_> = (0..200).map(|n| (b(n), b(n))).collect();
    t.put_many(&pairs).unwrap();
    for plan in [CrashPlan::keep_none(), CrashPlan::keep_all()] {
        let image = disk.crash(&mut plan.clone());
        // What a creation may leave of the files.
        for file in files_named(&image, 0, ".map") {
            image.delete_file(&file);
        }
        let whole = image.fork();
        lose_a_file(&image, ".segment");
        refused(&image, ROOT, tiny(2));
        let store = tiny(2).open_in(env_of(3, &whole), ROOT).unwrap();
        assert_eq!(store.open_table("t").unwrap().len(), 200);
    }
}

#[test]
fn files_that_are_too_short_for_the_log_do_not_grow() {
    let (env, disk) = world(2);
    let store = tiny(2).open_in(env, ROOT).unwrap();
    let t = store.create_table("t", TableOptions::fixed(8, 1000)).unwrap();
    t.put(b(0), [0; 1000]).unwrap();
    store.checkpoint().unwrap();
    let short = picture(&disk);
    let pairs: Vec<_> = (0..60).map(|n| (b(n), [1; 1000])).collect();
    t.put_many(&pairs).unwrap();
    let image = crash_keeping_all(&disk);
    for part in [".slots", ".map"] {
        let file = files_named(&image, 0, part).pop().unwrap();
        assert!(part == ".map" || image.read_all(&file).unwrap().len() > short[&file].len());
        image.put_file(&file, &short[&file]);
    }
    let whole = image.fork();
    lose_a_file(&image, "manifest");
    refused(&image, ROOT, tiny(2));
    let store = tiny(2).open_in(env_of(3, &whole), ROOT).unwrap();
    assert_eq!(store.open_table("t").unwrap().len(), 60);
}

#[test]
fn torn_pages_are_not_restored() {
    let mut restored = 0;
    for seed in 0..40 {
        let (env, disk) = world(seed);
        let options = tiny(2).torn_page_protection(true);
        let store = options.clone().open_in(env, ROOT).unwrap();
        let t = table(&store, "t");
        for n in 0..100 {
            t.put(b(n), b(n)).unwrap();
        }
        store.checkpoint().unwrap();
        for n in 0..100 {
            t.put(b(n), b(n + 1)).unwrap();
        }
        let at = disk.io_count();
        store.checkpoint().unwrap();
        let whole = disk.io_count();
        drop((t, store));
        for stop in at..whole {
            let (env, disk) = world(seed);
            disk.stop_after(stop);
            let run = || -> slotcask::Result<()> {
                let store = options.clone().open_in(env, ROOT)?;
                let t = store.create_table("t", TableOptions::fixed(8, 8))?;
                (0..100).try_for_each(|n| t.put(b(n), b(n)))?;
                store.checkpoint()?;
                (0..100).try_for_each(|n| t.put(b(n), b(n + 1)))?;
                store.checkpoint()
            };
            let _ = run();
            let image = disk.crash(&mut CrashPlan::random(seed * 1000 + stop));
            let slots = files_named(&image, 0, ".slots").pop().unwrap();
            // A block that was in flight is garbage.
            if !files_named(&image, 0, "double").is_empty() {
                image.flip_bit(&slots, 8 * (8192 + 100));
            }
            let repaired = image.fork();
            if let Ok(store) = options.clone().open_in(env_of(4, &repaired), ROOT) {
                restored += store.recovery().shards[0].pages_restored;
                assert_eq!(store.open_table("t").unwrap().len(), 100);
            } else {
                continue;
            }
            lose_a_file(&image, ".segment");
            refused(&image, ROOT, options.clone());
        }
        if restored > 5 {
            return;
        }
    }
    panic!("only {restored} pages were there to be restored");
}

#[test]
fn a_copy_that_is_not_whole_is_not_taken_over() {
    let (env, disk) = world(5);
    let store = tiny(2).open_in(env, ROOT).unwrap();
    table(&store, "t").put(b(1), b(1)).unwrap();
    store.close().unwrap();
    for (path, bytes) in picture(&disk) {
        let copy = Path::new("/copy").join(path.strip_prefix(ROOT).unwrap());
        if !copy.to_string_lossy().contains("shard-001/manifest") {
            disk.put_file(&copy, &bytes);
        }
    }
    refused(&disk, "/copy", tiny(2).adopt_copy(true));
}
