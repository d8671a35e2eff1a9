//! A process runs out of descriptors while it writes: what needs one is refused, nothing is poisoned, and writes work again when
//! descriptors come back. Files of a reader that gave theirs, and that a writer removed meanwhile, are no errors of the disk.

#![expect(clippy::disallowed_methods, reason = "descriptors of the process are held by real files")]

use slotcask::{CaskTable, Durability, Error, Options};
use slotcask_io::{
    DirEntry, Disk, Env, FileLock, IoError, OpenMode, OsDisk, OsOptions, Result, Stat,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const CHILD: &str = "SLOTCASK_TEST_DESCRIPTORS";

/// Runs the test `name` in a child that may have 100 descriptors.
fn limited(name: &str, test: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return test();
    }
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 100; exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = [child.stdout, child.stderr]
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .concat();
    assert!(child.status.success() && said.contains("1 passed"), "{}: {said}", child.status);
}

#[test]
fn writes_work_again_when_descriptors_come_back() {
    limited("writes_work_again_when_descriptors_come_back", || {
        for (free, background) in [(0, true), (0, false), (1, true), (1, false), (2, false)] {
            refused_for_a_while(free, background);
        }
    });
}

/// Writes many times the log with `free` descriptors left.
fn refused_for_a_while(free: usize, background: bool) {
    let dir = tempfile::tempdir().unwrap();
    let options = || {
        let options = Options::new().shards(1).segment_size(64 << 10).log_size(512 << 10);
        options.background(background)
    };
    let store = options().open(dir.path()).unwrap();
    let cask = store.cask("c").unwrap();
    let mut model = BTreeMap::new();
    let mut held: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    held.truncate(held.len() - free);
    for n in 0..300_u64 {
        let (key, value) = (n % 50, vec![n as u8; 10_000]);
        match cask.put(key.to_le_bytes(), &value) {
            Ok(()) => drop(model.insert(key, value)),
            Err(error) => {
                assert!(error.is_out_of_resources(), "{free} free: {error}");
                let said = error.to_string();
                assert!(said.contains("ulimit -n") && !said.contains("space"), "{said}");
            }
        }
    }
    drop(held);
    cask.put("after", "x").unwrap_or_else(|error| panic!("{free} free, {background}: {error}"));
    drop(cask);
    store.close().unwrap();
    let cask = options().open(dir.path()).unwrap().cask("c").unwrap();
    for (key, value) in &model {
        assert_eq!(cask.get(key.to_le_bytes()).unwrap().as_deref(), Some(&value[..]), "{key}");
    }
}

#[test]
fn data_files_are_more_than_descriptors() {
    limited("data_files_are_more_than_descriptors", || {
        for map in [false, true] {
            more_files_than_descriptors(map);
        }
    });
}

/// Writes some 200 data files, reads all of them, iterates while a merge removes them, and opens the store again.
fn more_files_than_descriptors(map: bool) {
    const KEYS: u64 = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let options = || {
        let options = Options::new().shards(1).segment_size(64 << 10).log_size(512 << 10);
        options.durability(Durability::Buffered).value_cache(0).map_data_files(map)
    };
    let value = |key: u64| vec![key as u8; 1000];
    let store = options().open(dir.path()).unwrap();
    let cask = store.cask("c").unwrap();
    for key in 0..KEYS {
        cask.put(key.to_le_bytes(), value(key)).unwrap();
    }
    store.checkpoint().unwrap();
    let check = |cask: &CaskTable| {
        for key in (0..KEYS / 5).map(|n| n * 7919 % KEYS) {
            assert_eq!(cask.get(key.to_le_bytes()).unwrap(), Some(value(key)), "{key}");
        }
    };
    check(&cask);
    let files = std::fs::read_dir(dir.path().join("shard-000")).unwrap().count();
    assert!(files > 120, "{files} files");
    drop(cask);
    store.close().unwrap();
    let store = options().open(dir.path()).unwrap();
    let cask = store.cask("c").unwrap();
    check(&cask);
    for key in (0..KEYS).filter(|key| key % 4 == 0) {
        assert!(cask.delete(key.to_le_bytes()).unwrap());
    }
    let mut iter = cask.iter();
    let mut found: u64 = iter.by_ref().take(100).map(|row| row.unwrap().1.len() as u64).sum();
    store.merge().unwrap();
    found += iter.map(|row| row.unwrap().1.len() as u64).sum::<u64>();
    assert_eq!(found, KEYS / 4 * 3 * 1000);
    drop(cask);
    store.close().unwrap();
}

/// A disk on which the lock file may not be opened.
#[derive(Debug)]
struct WithoutLock(OsDisk);

impl Disk for WithoutLock {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn slotcask_io::File>> {
        self.0.open(path, mode)
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>> {
        self.0.list(dir)
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        self.0.stat(path)
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        self.0.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.0.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.0.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        let denied = std::io::ErrorKind::PermissionDenied.into();
        Err(IoError::from_os("lock", path, &denied))
    }

    fn absolute(&self, path: &Path) -> Result<PathBuf> {
        self.0.absolute(path)
    }

    fn fallbacks(&self) -> Vec<String> {
        self.0.fallbacks()
    }
}

#[test]
fn a_file_that_a_writer_removed_is_no_error_of_the_disk() {
    limited("a_file_that_a_writer_removed_is_no_error_of_the_disk", || {
        const KEYS: u64 = 5000;
        let dir = tempfile::tempdir().unwrap();
        let options = || {
            let options = Options::new().shards(1).segment_size(64 << 10).log_size(384 << 10);
            options.background(false).durability(Durability::Buffered).value_cache(0)
        };
        let store = options().open(dir.path()).unwrap();
        let cask = store.cask("c").unwrap();
        let fill = |version: u8| {
            for key in 0..KEYS {
                cask.put(key.to_le_bytes(), vec![version; 1000]).unwrap();
            }
        };
        fill(1);
        store.sync().unwrap();
        let system = Env::system(OsOptions { direct: false, uring: false });
        let disk = OsDisk::new(OsOptions { direct: false, uring: false });
        let env = Env { disk: Arc::new(WithoutLock(disk)), ..system };
        let reader = options().read_only(true).open_in(env, dir.path()).unwrap();
        let read = reader.open_cask("c").unwrap();
        fill(2);
        store.merge().unwrap();
        let mut locked = 0;
        for key in 0..KEYS {
            match read.get(key.to_le_bytes()) {
                Ok(value) => assert_eq!(value, Some(vec![1; 1000]), "{key}"),
                Err(Error::Locked { path }) => {
                    assert_eq!(path, dir.path());
                    locked += 1;
                }
                Err(error) => panic!("{key}: {error}"),
            }
        }
        assert!(locked > KEYS / 2, "{locked}");
        assert!(read.iter().any(|row| matches!(row, Err(Error::Locked { .. }))));
    });
}
