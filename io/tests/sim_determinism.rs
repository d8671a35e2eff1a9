//! The same calls with the same seed are the same run, and a run can be stopped at every event.

mod common;

use common::{B, B64, blocks, disk, durable_file};
use slotcask_io::sim::{CrashPlan, Fault, FaultError, OpFilter, OpKind, SimOptions, is_power_loss};
use slotcask_io::{AlignedBuf, Disk, OpenMode, Result, SimDisk, Write, sim_env};
use std::collections::BTreeSet;
use std::path::Path;

fn traced(seed: u64) -> SimDisk {
    SimDisk::new(SimOptions { seed, trace: true, ..SimOptions::default() })
}

/// A little store: publishes a file by rename, changes it, removes another.
fn run(disk: &SimDisk) -> Result<()> {
    disk.create_dir(Path::new("/store"))?;
    disk.sync_dir(Path::new("/"))?;
    let _lock = disk.lock(Path::new("/store/LOCK"))?;
    let file = disk.open(Path::new("/store/tmp"), OpenMode::Create)?;
    file.allocate(8 * B64)?;
    let data = blocks(1, 1);
    file.write_many(&[0, 2, 5].map(|at| Write { offset: at * B64, data: &data }))?;
    file.sync()?;
    disk.rename(Path::new("/store/tmp"), Path::new("/store/file"))?;
    disk.sync_dir(Path::new("/store"))?;
    file.write_at(0, &blocks(2, 2))?;
    let _ = file.sync();
    disk.open(Path::new("/store/other"), OpenMode::Create)?;
    disk.remove(Path::new("/store/other"))
}

#[test]
fn same_seed_same_trace_and_same_images() {
    let record = |seed: u64| {
        let disk = traced(seed);
        disk.inject(Fault::once(OpFilter::Kind(OpKind::Sync), 1, FaultError::Eio));
        run(&disk).unwrap();
        let images: Vec<u64> =
            (0..20).map(|seed| disk.crash(&mut CrashPlan::random(seed)).image_hash()).collect();
        (disk.trace(), disk.trace_hash(), images)
    };
    assert_eq!(record(1), record(1));
    assert_eq!(record(1).1, record(2).1, "the trace is made of calls, not of chance");
    assert_ne!(record(1).2, record(2).2, "what a failed sync leaves is chance");
}

#[test]
fn events_are_counted_and_traced() {
    let disk = traced(1);
    run(&disk).unwrap();
    let kinds: Vec<String> =
        disk.trace().iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    let expected = "create-dir sync-dir lock create allocate write write write sync rename sync-dir write sync create remove";
    assert_eq!(kinds.join(" "), expected);
    assert_eq!(disk.io_count(), kinds.len() as u64);
    assert_eq!(disk.op_count(OpFilter::Kind(OpKind::Write)), 4);
}

#[test]
fn a_different_byte_is_a_different_trace() {
    let hash = |byte| {
        let disk = disk(1);
        durable_file(&disk, "/file", 1, byte);
        disk.trace_hash()
    };
    assert_ne!(hash(1), hash(2));
}

#[test]
fn the_power_can_fail_at_every_event() {
    let whole = traced(1);
    run(&whole).unwrap();
    let mut images = BTreeSet::new();
    for stop in 0..whole.io_count() {
        let disk = traced(1);
        disk.stop_after(stop);
        // A sync whose error the run ignores is the one event whose failure it does not return at once.
        let error = run(&disk).unwrap_err();
        assert!(is_power_loss(&error), "{error}");
        assert_eq!(disk.io_count(), stop, "the event did not happen");
        assert_eq!(disk.trace(), whole.trace()[..usize::try_from(stop).unwrap()]);
        assert!(is_power_loss(&disk.list(Path::new("/")).unwrap_err()), "reads fail too");
        images.insert(disk.crash(&mut CrashPlan::keep_all()).image_hash());
    }
    assert!(images.len() > 8, "{} images", images.len());
}

#[test]
fn a_fork_goes_its_own_way() {
    let disk = disk(1);
    let file = durable_file(&disk, "/file", 1, 1);
    file.write_at(0, &blocks(1, 2)).unwrap();
    let fork = disk.fork();
    assert_eq!(fork.pending_summary().writes.len(), 1, "pending writes come along");
    let other = fork.open(Path::new("/file"), OpenMode::ReadWrite).unwrap();
    other.write_at(0, &blocks(1, 3)).unwrap();
    other.sync().unwrap();
    let mut read = AlignedBuf::zeroed(B);
    file.read_at(0, &mut read).unwrap();
    assert!(read[..] == blocks(1, 2)[..]);
    assert_eq!(disk.read_durable(Path::new("/file")).unwrap()[0], 1);
    assert_eq!(fork.read_durable(Path::new("/file")).unwrap()[0], 3);
}

#[test]
fn equal_images_hash_equally_however_they_came_about() {
    let a = disk(1);
    let file = durable_file(&a, "/file", 2, 1);
    file.write_at(0, &blocks(1, 0)).unwrap();
    file.write_at(B64, &blocks(1, 5)).unwrap();
    let before = a.image_hash();
    file.sync().unwrap();
    assert_ne!(a.image_hash(), before);
    let b = disk(2);
    let file = durable_file(&b, "/file", 2, 5);
    file.write_at(0, &blocks(1, 0)).unwrap();
    file.sync().unwrap();
    assert_eq!(a.image_hash(), b.image_hash());
    b.rename(Path::new("/file"), Path::new("/name")).unwrap();
    assert_eq!(a.image_hash(), b.image_hash(), "what is pending is not in the image");
    b.sync_dir(Path::new("/")).unwrap();
    assert_ne!(a.image_hash(), b.image_hash());
}

#[test]
fn the_simulated_world_repeats_itself() {
    let record = || {
        let (env, _) = sim_env(9, SimOptions::default());
        let mut bytes = [0; 24];
        env.entropy.fill(&mut bytes);
        (bytes, env.clock.monotonic(), env.clock.monotonic(), env.clock.wall_ms())
    };
    assert_eq!(record(), record());
    assert!(record().1 < record().2, "time moves");
}
