//! A store in a directory that one may read and not write: it opens for reading only, and what somebody else does to it meanwhile
//! is noticed, for there is no lock to keep them out.

mod common;

use common::{ROOT, b, picture, store, table, tiny};
use slotcask::{Error, Options, Table, TableOptions};
use slotcask_io::sim::env_of;
use slotcask_io::{
    DirEntry, Disk, Env, File, FileLock, IoError, IoErrorKind, OpenMode, SimDisk, Stat,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

type Result<T> = std::result::Result<T, IoError>;

/// A disk on which the lock file may not be opened. Somebody who may writes to the store when the first slot file is opened.
#[derive(Debug)]
struct Foreign {
    disk: SimDisk,
    writer_comes: AtomicBool,
    /// Writes when the manifest of the first shard is opened for the third time: when it is compared with what it was.
    writer: Mutex<Option<Table>>,
    manifests: AtomicU32,
}

impl Disk for Foreign {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>> {
        assert_eq!(mode, OpenMode::Read, "{path:?} is opened for writing");
        if path.extension().is_some_and(|ending| ending == "slots")
            && self.writer_comes.swap(false, Ordering::SeqCst)
        {
            let store = tiny(2).open_in(env_of(77, &self.disk), ROOT).unwrap();
            store.open_table("t").unwrap().put(b(1), b(2)).unwrap();
            store.close().unwrap();
        }
        let is_manifest = path.starts_with(Path::new(ROOT).join("shard-000"))
            && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("manifest"));
        if is_manifest
            && self.manifests.fetch_add(1, Ordering::SeqCst) == 2
            && let Some(table) = self.writer.lock().unwrap().take()
        {
            table.put(b(1), b(3)).unwrap();
        }
        self.disk.open(path, mode)
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        self.disk.stat(path)
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        Err(denied("create-dir", dir))
    }

    fn rename(&self, from: &Path, _to: &Path) -> Result<()> {
        Err(denied("rename", from))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        Err(denied("remove", path))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        Err(denied("sync-dir", dir))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        Err(denied("lock", path))
    }

    fn fallbacks(&self) -> Vec<String> {
        Vec::new()
    }
}

fn denied(call: &'static str, path: &Path) -> IoError {
    IoError::new(call, path, IoErrorKind::PermissionDenied, "not yours")
}

fn foreign(seed: u64, writer_comes: bool) -> (SimDisk, Env) {
    let (store, disk) = store(seed, 2);
    let t = table(&store, "t");
    for n in 0..50 {
        t.put(b(n), b(n)).unwrap();
    }
    store.close().unwrap();
    let mut env = env_of(9, &disk);
    let writer_comes = AtomicBool::new(writer_comes);
    let (writer, manifests) = (Mutex::default(), AtomicU32::new(0));
    env.disk = Arc::new(Foreign { disk: disk.clone(), writer_comes, writer, manifests });
    (disk, env)
}

#[test]
fn a_writer_that_is_there_and_writes_is_noticed() {
    let (store, disk) = store(4, 2);
    let t = table(&store, "t");
    t.put(b(1), b(1)).unwrap();
    let open = |writer: Option<Table>| {
        let mut env = env_of(9, &disk);
        env.disk = Arc::new(Foreign {
            disk: disk.clone(),
            writer_comes: AtomicBool::new(false),
            writer: Mutex::new(writer),
            manifests: AtomicU32::new(0),
        });
        tiny(2).read_only(true).open_in(env, ROOT)
    };
    let error = open(Some(t)).map(drop).unwrap_err();
    assert!(matches!(&error, Error::Locked { .. }), "{error}");
    // While it is silent, what it made durable is there.
    let read = open(None).unwrap();
    assert!(!read.recovery().clean);
    assert_eq!(read.open_table("t").unwrap().get(b(1)).unwrap().unwrap(), b(3));
}

#[test]
fn a_clean_store_opens_without_the_right_to_lock_it() {
    let (disk, env) = foreign(1, false);
    let before = picture(&disk);
    let error = tiny(2).open_in(env.clone(), ROOT).map(drop).unwrap_err();
    assert!(
        matches!(&error, Error::Io(error) if error.kind == IoErrorKind::PermissionDenied),
        "{error}"
    );
    let store = tiny(2).read_only(true).open_in(env.clone(), ROOT).unwrap();
    assert_eq!(store.open_table("t").unwrap().get(b(7)).unwrap().unwrap(), b(7));
    let warnings = &store.recovery().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("lock")), "{warnings:?}");
    store.close().unwrap();
    let report = slotcask::tools::check(&env, Path::new(ROOT), &mut |_, _| {}).unwrap();
    assert!(report.findings.is_empty() && report.keys == 50, "{report:?}");
    assert!(slotcask::tools::repair(&env, Path::new(ROOT), true).unwrap().actions.is_empty());
    assert!(before == picture(&disk));
}

#[test]
fn a_writer_that_comes_meanwhile_is_noticed() {
    let (_disk, env) = foreign(2, true);
    let error = tiny(2).read_only(true).open_in(env.clone(), ROOT).map(drop).unwrap_err();
    assert!(matches!(&error, Error::Locked { .. }), "{error}");
    let store = tiny(2).read_only(true).open_in(env, ROOT).unwrap();
    assert_eq!(store.open_table("t").unwrap().get(b(1)).unwrap().unwrap(), b(2));
}

#[test]
fn a_real_directory_without_the_right_to_write() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("db");
    let store = Options::new().shards(1).log_size(4 << 20).open(&dir).unwrap();
    let t = store.create_table("t", TableOptions::fixed(8, 8)).unwrap();
    t.put(b(1), b(1)).unwrap();
    store.close().unwrap();
    drop((store, t));
    let set = |path: &Path, readonly: bool| {
        let mut permissions = std::fs::metadata(path).unwrap().permissions();
        permissions.set_readonly(readonly);
        std::fs::set_permissions(path, permissions).unwrap();
    };
    let places = [dir.clone(), dir.join("shard-000"), dir.join("LOCK")];
    places.iter().for_each(|place| set(place, true));
    let may_write = tempfile::tempfile_in(&dir).is_ok();
    let opened = Options::new().read_only(true).open(&dir);
    let value = opened.map(|store| store.open_table("t").unwrap().get(b(1)).unwrap().unwrap());
    places.iter().for_each(|place| set(place, false));
    assert_eq!(value.unwrap(), b(1));
    if may_write {
        eprintln!("skipped in part: this user (root?) may write where nobody may");
    }
}
