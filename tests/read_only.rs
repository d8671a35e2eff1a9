//! A store that was not closed is opened for reading: recovered in memory, with nothing written, to the very contents and report
//! that an opening for writing comes to.

mod common;

use common::{ROOT, assert_says, b, crash, files_named, picture, tiny, world};
use slotcask::{
    CaskOptions, Durability, Error, Options, RecoveryReport, Store, TableOptions, WriteOptions,
};
use slotcask_io::SimDisk;
use slotcask_io::sim::{CrashPlan, Fault, FaultError, OpFilter, OpKind, env_of};
use std::collections::BTreeMap;
use std::time::Duration;

type Contents = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

fn contents(store: &Store) -> Contents {
    let mut all = Contents::new();
    for info in store.tables().unwrap() {
        let rows = match store.open_table(&info.name) {
            Ok(table) => table.iter().map(Result::unwrap).collect(),
            Err(_) => {
                let table = store.open_cask(&info.name).unwrap();
                let rows: BTreeMap<_, _> = table.iter().map(Result::unwrap).collect();
                for (key, value) in &rows {
                    assert_eq!(table.get(key).unwrap().as_ref(), Some(value));
                }
                rows
            }
        };
        all.insert(info.name, rows);
    }
    all
}

/// Report and figures, without what the tail of a log becomes by being written again.
fn figures(store: &Store) -> String {
    let report: &RecoveryReport = store.recovery();
    let shards = store.stats().unwrap().shards;
    assert_eq!(shards.len(), report.shards.len());
    let live: Vec<(u32, u64)> =
        shards.iter().map(|shard| (shard.shard, shard.cask_live_bytes)).collect();
    format!("{:?} {:?} {:?} {live:?}", report.clean, report.epoch, report.shards)
}

/// Opens an image for reading, which must not change it, then for writing, and compares; gives the contents.
fn compare(image: &SimDisk, options: &Options, what: &str) -> Option<Contents> {
    let before = picture(image);
    let read = options.clone().read_only(true).open_in(env_of(7, image), ROOT);
    let read = read.map(|store| (contents(&store), figures(&store)));
    assert!(before == picture(image), "{what}: reading changed the disk");
    let written = options.clone().create(false).open_in(env_of(7, image), ROOT);
    let written = written.map(|store| (contents(&store), figures(&store)));
    match (read, written) {
        (Ok(read), Ok(written)) => {
            assert_eq!(read, written, "{what}");
            Some(read.0)
        }
        (Err(read), Err(written)) => {
            assert_eq!(read.to_string(), written.to_string(), "{what}");
            None
        }
        (read, written) => {
            panic!("{what}: for reading {:?}, for writing {:?}", read.err(), written.err())
        }
    }
}

/// A life with fixed and cask tables, checkpoints, data files, a merge, deadlines and a drop, until the power goes.
fn live(disk: &SimDisk, options: &Options) -> slotcask::Result<()> {
    let store = options.clone().open_in(env_of(1, disk), ROOT)?;
    let t = store.create_table("t", TableOptions::fixed(8, 40))?;
    let c = store.create_cask("c", &CaskOptions::new())?;
    let sync = WriteOptions::new().durability(Durability::Sync);
    let soon = WriteOptions::new().ttl(Duration::from_secs(1_000_000));
    for n in 0..60_u64 {
        t.put_with(b(n % 9), [n as u8; 40], &sync)?;
        c.put(b(n % 13), vec![n as u8; 100 + (n as usize * 97) % 900])?;
        if n % 11 == 3 {
            c.delete(b(n % 13))?;
            t.delete(b(n % 9))?;
            c.put_with(b(100 + n), b"vanishes", &soon)?;
        }
        match n {
            14 | 29 => store.rotate().and_then(|()| store.checkpoint())?,
            30 => store.checkpoint()?,
            40 => drop(store.create_table("gone", TableOptions::fixed(8, 8))?),
            44 => store.drop_table("gone")?,
            48 => drop(store.merge()?),
            52 => store.clear_table("t")?,
            _ => {}
        }
    }
    store.sync()?;
    std::mem::forget(store);
    Ok(())
}

fn images_of_a_life(options: &Options, step: usize) {
    let (_, disk) = world(1);
    live(&disk, options).unwrap();
    let events = disk.io_count();
    let mut opened = 0;
    for stop in (0..=events).step_by(step) {
        let (_, disk) = world(1);
        disk.stop_after(stop);
        let _ = live(&disk, options);
        let plans = [CrashPlan::keep_none(), CrashPlan::keep_all(), CrashPlan::random(stop)];
        for (number, mut plan) in plans.into_iter().enumerate() {
            let image = disk.crash(&mut plan);
            if !image.files().iter().any(|(path, _)| path.ends_with("store/store")) {
                continue;
            }
            let what = format!("cut at {stop} of {events}, {number}");
            opened += usize::from(compare(&image, options, &what).is_some());
        }
    }
    assert!(opened > 30, "{opened}");
}

#[test]
fn every_cut_of_a_life_reads_as_it_recovers() {
    images_of_a_life(&tiny(2), 7);
}

#[test]
fn with_torn_page_protection_too() {
    images_of_a_life(&tiny(1).torn_page_protection(true), 11);
}

fn dirty(seed: u64) -> SimDisk {
    let (env, disk) = world(seed);
    let store = tiny(2).open_in(env, ROOT).unwrap();
    let t = store.create_table("t", TableOptions::fixed(8, 8)).unwrap();
    let c = store.create_cask("c", &CaskOptions::new()).unwrap();
    for n in 0..50 {
        t.put(b(n), b(n)).unwrap();
        c.put(b(n), b(n)).unwrap();
    }
    store.sync().unwrap();
    crash(&disk)
}

#[test]
fn every_write_is_refused() {
    let disk = dirty(2);
    let before = picture(&disk);
    let store = tiny(2).read_only(true).open_in(env_of(3, &disk), ROOT).unwrap();
    assert!(!store.recovery().clean);
    let (t, c) = (store.open_table("t").unwrap(), store.open_cask("c").unwrap());
    let refused = |result: slotcask::Result<()>| {
        assert!(matches!(result, Err(Error::ReadOnly { .. })), "{result:?}");
    };
    refused(t.put(b(1), b(2)));
    refused(t.write(b(1), b(2)).map(drop));
    refused(t.delete(b(1)).map(drop));
    refused(t.write_delete(b(1)).map(drop));
    refused(t.put_many(&[(b(1), b(2))]));
    refused(t.update(b(1), |_| None).map(drop));
    refused(t.compare_and_swap(b(1), Some(&b(1)), Some(&b(2))).map(drop));
    refused(c.put(b(1), b(2)));
    refused(c.write(b(1), b(2)).map(drop));
    refused(c.delete(b(1)).map(drop));
    refused(c.write_delete(b(1)).map(drop));
    refused(c.put_many(&[(b(1), b(2))]));
    refused(c.update(b(1), |_| None).map(drop));
    refused(c.expire_in(b(1), Duration::from_secs(9)).map(drop));
    refused(c.persist(b(1)).map(drop));
    refused(store.batch().put(&t, b(1), b(2)).map(drop));
    refused(store.batch().put(&c, b(1), b(2)).map(drop));
    refused(store.create_table("u", TableOptions::fixed(8, 8)).map(drop));
    refused(store.create_cask("u", &CaskOptions::new()).map(drop));
    refused(store.drop_table("t"));
    refused(store.clear_table("c"));
    refused(store.checkpoint());
    refused(store.merge().map(drop));
    refused(store.rotate());
    assert_eq!(t.get_durable(b(7)).unwrap().unwrap(), b(7));
    assert_eq!(c.get_durable(b(7)).unwrap().unwrap(), b(7));
    assert!(!store.poll().unwrap());
    store.sync().unwrap();
    store.close().unwrap();
    assert!(matches!(c.get(b(7)), Err(Error::Closed)));
    drop((t, c, store));
    assert!(before == picture(&disk), "reading changed the disk");
}

#[test]
fn a_read_only_file_system_is_no_hindrance() {
    let disk = dirty(4);
    let fault = |filter| disk.inject(Fault::forever(filter, 0, FaultError::Erofs));
    fault(OpFilter::Events);
    fault(OpFilter::Kind(OpKind::Lock));
    let store = tiny(2).read_only(true).open_in(env_of(5, &disk), ROOT).unwrap();
    assert_eq!(contents(&store)["t"].len(), 50);
    assert_eq!(contents(&store)["c"].len(), 50);
}

#[test]
fn without_a_lock_file_none_is_made() {
    let disk = dirty(6);
    disk.delete_file(&std::path::Path::new(ROOT).join("LOCK"));
    let before = picture(&disk);
    let opened = tiny(2).read_only(true).open_in(env_of(7, &disk), ROOT);
    assert!(opened.is_err() || contents(&opened.unwrap())["c"].len() == 50);
    assert!(before == picture(&disk));
}

#[test]
fn damage_is_refused_alike() {
    for (part, at) in [(".segment", 4200), (".segment", 100), ("manifest", 4096)] {
        let disk = dirty(8);
        let files = files_named(&disk, 0, part);
        let path = &files[0];
        let mut bytes = disk.read_all(path).unwrap();
        bytes[at] ^= 1;
        disk.put_file(path, &bytes);
        compare(&disk, &tiny(2), &format!("{path:?} at {at}"));
    }
    let disk = dirty(8);
    let segment = &files_named(&disk, 1, ".segment")[0];
    disk.delete_file(segment);
    let error = tiny(2).read_only(true).open_in(env_of(7, &disk), ROOT).map(drop).unwrap_err();
    assert!(error.is_corruption());
    assert_says(&error, &["shard-001"]);
}
