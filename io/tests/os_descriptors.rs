//! A process without descriptors to spare: what a store has opened once goes on working.
//! The limit covers every test of a process, so a child takes it.

mod child;

use child::in_child;
use slotcask_io::{AlignedBuf, Disk, IoErrorKind, OpenMode, OsDisk};
use std::fs::File;
use std::path::{Path, PathBuf};

const LIMIT: u64 = 64;

/// Runs the test `name` in a child with a low limit.
fn limited(name: &str, test: impl FnOnce()) {
    in_child(name, || {
        let limit = libc::rlimit { rlim_cur: LIMIT, rlim_max: LIMIT };
        // SAFETY: `limit` is a valid rlimit that outlives the call.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
        test();
    });
}

/// All descriptors that are left.
fn hold_all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn a_directory_that_was_synced_once_needs_no_descriptor() {
    limited("a_directory_that_was_synced_once_needs_no_descriptor", || {
        let root = tempfile::tempdir().unwrap();
        let shard = root.path().join("shard");
        let disk = OsDisk::default();
        let lock = disk.lock(&root.path().join("LOCK")).unwrap();
        disk.create_dir(&shard).unwrap();
        disk.sync_dir(&shard).unwrap();
        disk.sync_dir(root.path()).unwrap();
        let held = hold_all();
        assert_eq!(
            disk.open(&shard.join("a"), OpenMode::Create).unwrap_err().kind,
            IoErrorKind::NoDescriptors
        );
        disk.sync_dir(&shard).unwrap();
        disk.sync_dir(root.path()).unwrap();
        drop(held);
        // Another directory takes the name: it is the one that is synced.
        std::fs::rename(&shard, root.path().join("old")).unwrap();
        assert_eq!(disk.sync_dir(&shard).unwrap_err().kind, IoErrorKind::NotFound);
        disk.create_dir(&shard).unwrap();
        disk.sync_dir(&shard).unwrap();
        // The lock goes, and with it what was kept.
        let before = hold_all().len();
        drop(lock);
        assert_eq!(hold_all().len(), before + 3);
    });
}

const FILES: usize = 200;
const B: usize = 4096;

/// Many files of three blocks, each with bytes of its own.
fn many(dir: &Path) -> Vec<PathBuf> {
    (0..FILES)
        .map(|n| {
            let path = dir.join(format!("file-{n}"));
            std::fs::write(&path, vec![n as u8; 3 * B]).unwrap();
            path
        })
        .collect()
}

fn open_count() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn check(file: &dyn slotcask_io::File, n: usize) {
    let mut buf = AlignedBuf::zeroed(2 * B);
    file.read_at(B as u64, &mut buf).unwrap();
    assert!(buf.iter().all(|byte| *byte == n as u8), "file {n}");
}

#[test]
fn there_may_be_more_files_than_descriptors() {
    limited("there_may_be_more_files_than_descriptors", || {
        let dir = tempfile::tempdir().unwrap();
        let paths = many(dir.path());
        for mode in [OpenMode::Pooled, OpenMode::Map] {
            let disk = OsDisk::default();
            let before = open_count();
            let files: Vec<_> = paths.iter().map(|path| disk.open(path, mode).unwrap()).collect();
            assert!(open_count() <= before + 16, "{} are open", open_count());
            std::thread::scope(|scope| {
                for thread in 0..8 {
                    let files = &files;
                    scope.spawn(move || {
                        for n in (0..FILES * 5).map(|n| (n * (2 * thread + 1)) % FILES) {
                            check(&*files[n], n);
                        }
                    });
                }
            });
            assert!(open_count() <= before + 24, "{} are open", open_count());
            for (n, file) in files.iter().enumerate() {
                let mut buf = AlignedBuf::zeroed(3 * B);
                let mut arrived = |there: &mut [u8]| {
                    // Somebody else is read in the middle, which needs descriptors too.
                    check(&*files[(n + 100) % FILES], (n + 100) % FILES);
                    check(&**file, n);
                    assert!(there.iter().all(|byte| *byte == n as u8));
                    std::ops::ControlFlow::Continue(())
                };
                file.read_in_pieces(0, &mut buf, B, &mut arrived).unwrap();
                assert_eq!(file.size().unwrap(), 3 * B as u64);
                assert!(file.write_at(0, &buf).is_err(), "it is for reading");
            }
        }
    });
}

#[test]
fn a_file_without_a_name_stays_readable() {
    limited("a_file_without_a_name_stays_readable", || {
        let dir = tempfile::tempdir().unwrap();
        let paths = many(dir.path());
        let disk = OsDisk::default();
        let mut files: Vec<_> =
            paths.iter().map(|path| disk.open(path, OpenMode::Pooled).unwrap()).collect();
        disk.remove(&paths[0]).unwrap();
        disk.rename(&paths[1], &dir.path().join("other")).unwrap();
        disk.rename(&paths[2], &paths[3]).unwrap();
        std::fs::write(&paths[0], vec![0xee; 3 * B]).unwrap();
        for round in 0..3 {
            for (n, file) in files.iter().enumerate() {
                check(&**file, n);
            }
            // What nobody reads costs nothing when its name goes.
            if round == 1 {
                let before = open_count();
                for (n, file) in files.drain(100..).enumerate() {
                    drop(file);
                    disk.remove(&paths[100 + n]).unwrap();
                }
                assert!(open_count() <= before);
            }
        }
    });
}

#[test]
fn another_file_of_the_same_name_is_not_read() {
    limited("another_file_of_the_same_name_is_not_read", || {
        let dir = tempfile::tempdir().unwrap();
        let paths = many(dir.path());
        let disk = OsDisk::default();
        let files: Vec<_> =
            paths.iter().map(|path| disk.open(path, OpenMode::Pooled).unwrap()).collect();
        // By somebody else, behind the disk's back.
        std::fs::rename(&paths[7], dir.path().join("away")).unwrap();
        std::fs::write(&paths[7], vec![0xee; 3 * B]).unwrap();
        files.iter().enumerate().skip(8).for_each(|(n, file)| check(&**file, n));
        let error = files[7].read_at(0, &mut AlignedBuf::zeroed(B)).unwrap_err();
        assert_eq!(error.kind, IoErrorKind::Other);
        assert!(error.to_string().contains("another file"), "{error}");
    });
}

#[test]
fn the_pool_gives_descriptors_to_who_needs_them() {
    limited("the_pool_gives_descriptors_to_who_needs_them", || {
        let dir = tempfile::tempdir().unwrap();
        let paths = many(dir.path());
        let disk = OsDisk::default();
        let files: Vec<_> =
            paths.iter().map(|path| disk.open(path, OpenMode::Pooled).unwrap()).collect();
        let held = hold_all();
        let new: Vec<_> = (0..10)
            .map(|n| disk.open(&dir.path().join(format!("new-{n}")), OpenMode::Create).unwrap())
            .collect();
        disk.sync_dir(dir.path()).unwrap();
        assert_eq!(disk.list(dir.path()).unwrap().len(), FILES + 10);
        files.iter().enumerate().for_each(|(n, file)| check(&**file, n));
        drop((held, new));
        files.iter().enumerate().for_each(|(n, file)| check(&**file, n));
    });
}

#[test]
fn a_program_may_raise_its_limit() {
    limited("a_program_may_raise_its_limit", || {
        let low = libc::rlimit { rlim_cur: LIMIT / 2, rlim_max: LIMIT };
        // SAFETY: `low` is a valid rlimit that outlives the call.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const low) }, 0);
        let before = hold_all().len();
        slotcask_io::raise_descriptor_limit();
        assert_eq!(hold_all().len(), before + LIMIT as usize / 2);
    });
}

#[test]
fn files_without_names_leave_descriptors_for_others() {
    limited("files_without_names_leave_descriptors_for_others", || {
        let dir = tempfile::tempdir().unwrap();
        let paths = many(dir.path());
        let disk = OsDisk::default();
        let files: Vec<_> =
            paths.iter().map(|path| disk.open(path, OpenMode::Pooled).unwrap()).collect();
        let removed = paths.iter().take_while(|path| disk.remove(path).is_ok()).count();
        assert_eq!(removed, 16);
        let error = disk.remove(&paths[100]).unwrap_err();
        assert_eq!(error.kind, IoErrorKind::NoDescriptors, "{error}");
        files.iter().enumerate().for_each(|(n, file)| check(&**file, n));
        assert!(open_count() < 48, "{} are open", open_count());
        drop(files);
        disk.remove(&paths[100]).unwrap();
    });
}
