//! Directories that are not what they should be: each is refused by name, and nothing in it changes.

mod common;

use common::{ROOT, assert_says, b, files_named, picture, reopen, store, table, tiny, world};
use slotcask::{Error, Options, Store, StoreId};
use slotcask_format::checksum::Seed;
use slotcask_format::history::HISTORY_FILE_SIZE_MAX;
use slotcask_format::manifest::MANIFEST_FILE_SIZE_MAX;
use slotcask_format::superblock::{STORE_MAGIC, SUPERBLOCK_FILE_SIZE, Superblock};
use slotcask_io::sim::{CrashPlan, Fault, FaultError, OpFilter, OpKind, env_of};
use slotcask_io::{Disk, OpenMode, SimDisk};
use std::path::{Path, PathBuf};
use zerocopy::IntoBytes;

/// A store of two shards with some data, checkpointed and closed.
fn closed_store(seed: u64) -> SimDisk {
    let (store, disk) = store(seed, 2);
    let t = table(&store, "t");
    for n in 0..100 {
        t.put(b(n), b(n)).unwrap();
    }
    store.close().unwrap();
    disk
}

/// Opening is refused, and the disk is as it was but for a lock file.
fn refused(disk: &SimDisk, options: Options) -> Error {
    let before = picture(disk);
    let error = options.open_in(env_of(99, disk), ROOT).map(drop).unwrap_err();
    let lock = Path::new(ROOT).join(slotcask_format::file_name::LOCK);
    let after: Vec<_> = picture(disk).into_iter().filter(|(path, _)| *path != lock).collect();
    let before: Vec<_> = before.into_iter().filter(|(path, _)| *path != lock).collect();
    assert!(before == after, "the disk changed under {error}");
    error
}

fn superblock(disk: &SimDisk) -> Superblock {
    let bytes = disk.read_all(&Path::new(ROOT).join("store")).unwrap();
    Superblock::decode_file(&bytes).unwrap().0
}

fn put_superblock(disk: &SimDisk, block: &Superblock) {
    disk.put_file(&Path::new(ROOT).join("store"), &block.encode_file());
}

#[test]
fn foreign_directories_are_no_stores() {
    let (_, disk) = world(1);
    disk.put_file(&Path::new(ROOT).join("letter.txt"), b"dear reader");
    let error = refused(&disk, tiny(1));
    assert!(matches!(&error, Error::NotAStore { path, .. } if path == Path::new(ROOT)), "{error}");
    assert_says(&error, &[ROOT, "letter.txt"]);

    let (_, disk) = world(2);
    disk.put_file(Path::new(ROOT), b"a file");
    assert!(matches!(refused(&disk, tiny(1)), Error::NotAStore { .. }));

    let (env, disk) = world(3);
    let error = tiny(1).create(false).open_in(env, ROOT).map(drop).unwrap_err();
    assert!(matches!(error, Error::NotAStore { .. }), "{error}");
    assert!(disk.files().is_empty());
}

#[test]
fn an_interrupted_creation_is_named_and_creating_again_works() {
    let (env, disk) = world(4);
    drop(tiny(2).open_in(env, ROOT).unwrap());
    let whole = disk.io_count();
    let mut half = 0;
    for stop in 0..whole {
        let (env, disk) = world(4);
        disk.stop_after(stop);
        let _ = tiny(2).open_in(env, ROOT).map(drop);
        for plan in [CrashPlan::keep_none(), CrashPlan::keep_all(), CrashPlan::random(stop)] {
            let image = disk.crash(&mut plan.clone());
            match tiny(2).create(false).open_in(env_of(1, &image.fork()), ROOT).map(drop) {
                Ok(()) | Err(Error::NotAStore { .. }) => {}
                Err(Error::HalfCreated { path }) => {
                    assert_eq!(path, Path::new(ROOT));
                    half += 1;
                }
                Err(error) => panic!("stop {stop}: {error}"),
            }
            let store = tiny(2).open_in(env_of(1, &image), ROOT);
            let store = store.unwrap_or_else(|error| panic!("stop {stop}: {error}"));
            table(&store, "t").put(b(1), b(1)).unwrap();
            store.close().unwrap();
            drop(store);
            let store = reopen(&image, 2).unwrap();
            assert_eq!(store.open_table("t").unwrap().get(b(1)).unwrap().unwrap(), b(1));
        }
    }
    assert!(half > 10, "{half}");
}

/// What a creation was to sweep away is only what it made itself.
#[test]
fn files_of_others_that_look_like_a_begun_store_are_kept() {
    let root = Path::new(ROOT);
    for (path, is_ours) in [
        ("shard-0/data.db", false),
        ("shard-000/notes", false),
        ("shard-a/x", false),
        ("history", false),
        ("report.tmp", false),
        ("history.tmp", false),
        ("store.tmp", false),
        ("shard-000/manifest-0000000000000001.old", false),
        ("shard-000/manifest-0000000000000002", true),
        ("shard-000/data-0000000000000007.cask", true),
        ("shard-000/data-0000000000000007.hint", true),
        ("shard-000/log-0000000000000001.spare", true),
    ] {
        let (_, disk) = world(40);
        disk.put_file(&root.join("LOCK"), b"");
        disk.put_file(&root.join(path), b"precious");
        let error = refused(&disk, tiny(1));
        match is_ours {
            true => assert!(matches!(error, Error::Corrupt { .. }), "{path}: {error}"),
            false => assert!(matches!(error, Error::NotAStore { .. }), "{path}: {error}"),
        }
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        assert_says(
            &error,
            &[if path.starts_with("shard-000") || !path.contains('/') { name } else { "shard-" }],
        );
    }
}

/// A copy that is still under way may have everything but the superblock, in any order.
#[test]
fn a_part_of_a_copied_store_is_kept() {
    let whole = closed_store(41);
    let files = whole.files();
    assert!(files.len() > 8);
    let superblock = Path::new(ROOT).join("store");
    for (only, _) in files.iter().filter(|(path, _)| *path != superblock) {
        let (_, disk) = world(42);
        disk.put_file(&Path::new(ROOT).join("LOCK"), b"");
        disk.put_file(only, &whole.read_all(only).unwrap());
        if only.ends_with("LOCK") {
            continue;
        }
        let error = refused(&disk, tiny(2));
        assert!(matches!(error, Error::Corrupt { .. }), "{}: {error}", only.display());
        assert_says(&error, &["put it back, or finish copying"]);
    }
}

#[test]
fn newer_superblocks_are_refused() {
    for change in
        [(|block: &mut Superblock| block.version.set(99)) as fn(&mut Superblock), |block| {
            block.features_required.set(1 << 60)
        }]
    {
        let disk = closed_store(5);
        let mut block = superblock(&disk);
        change(&mut block);
        let (version, features) = (block.version, block.features_required);
        block.seal();
        (block.version, block.features_required) = (version, features);
        let seed = Seed::store(StoreId([0; 16])).narrow(STORE_MAGIC, 0);
        block.checksum.set(seed.checksum(&block.as_bytes()[8..]));
        put_superblock(&disk, &block);
        let error = refused(&disk, tiny(2));
        assert!(matches!(error, Error::NewerFormat { .. }), "{error}");
        assert_says(&error, &["newer"]);
    }
}

#[test]
fn a_damaged_superblock_copy_is_survived_two_are_not() {
    let disk = closed_store(6);
    let path = Path::new(ROOT).join("store");
    disk.flip_bit(&path, 8 * 40);
    let opened = reopen(&disk, 2).unwrap();
    assert!(opened.recovery().warnings.iter().any(|warning| warning.contains("superblock")));
    drop(opened);
    disk.flip_bit(&path, 8 * (SUPERBLOCK_FILE_SIZE as u64 / 2 + 40));
    let error = refused(&disk, tiny(2));
    assert!(matches!(&error, Error::Corrupt { path: found, .. } if *found == path), "{error}");
}

#[test]
fn other_options_than_at_creation_are_refused() {
    let disk = closed_store(7);
    for (options, word) in [
        (tiny(3), "shards"),
        (tiny(2).shard_prefix_bits(8), "shard_prefix_bits"),
        (tiny(2).torn_page_protection(true), "torn_page_protection"),
        (tiny(2).log_size(2 * 7 * (16 << 10)), "log_size"),
        (tiny(2).log_size(2 * 7 * (32 << 10)).segment_size(32 << 10), "segment_size"),
    ] {
        let error = refused(&disk, options);
        assert!(matches!(error, Error::Options { .. }), "{error}");
        assert_says(&error, &[word]);
    }
    for same in [
        Options::new().log_size(2 * 6 * (16 << 10)),
        Options::new().segment_size(16 << 10),
        Options::new().shards(2),
    ] {
        let opened = same.background(false).huge_pages(false).open_in(env_of(99, &disk), ROOT);
        opened.unwrap().close().unwrap();
    }
    for options in [tiny(0).shards(0), tiny(1).shards(256), tiny(1).segment_size(5000)] {
        assert!(matches!(refused(&disk, options), Error::Options { .. }));
    }
}

#[test]
fn files_of_another_store_are_refused_whichever_they_are() {
    let other = closed_store(8);
    for part in [".segment", "manifest", ".slots", ".map"] {
        for shard in 0..2 {
            let disk = closed_store(9);
            let ours: PathBuf = files_named(&disk, shard, part).into_iter().next_back().unwrap();
            let theirs = files_named(&other, shard, part).into_iter().next_back().unwrap();
            disk.put_file(&ours, &other.read_all(&theirs).unwrap());
            let error = refused(&disk, tiny(2));
            assert!(error.is_corruption(), "{part}: {error}");
            assert_says(&error, &[ours.file_name().unwrap().to_str().unwrap()]);
        }
    }
    let disk = closed_store(9);
    let history = Path::new(ROOT).join("history");
    disk.put_file(&history, &other.read_all(&history).unwrap());
    assert!(refused(&disk, tiny(2)).is_corruption());
}

#[test]
fn missing_files_are_refused_by_name() {
    for part in [".segment", "manifest", ".slots", ".map"] {
        for shard in 0..2 {
            let disk = closed_store(10);
            let ours = files_named(&disk, shard, part).into_iter().next_back().unwrap();
            disk.delete_file(&ours);
            let error = refused(&disk, tiny(2));
            assert!(error.is_corruption(), "{part}: {error}");
        }
    }
    for name in ["store", "history"] {
        let disk = closed_store(10);
        disk.delete_file(&Path::new(ROOT).join(name));
        let error = refused(&disk, tiny(2));
        assert!(error.is_corruption(), "{name}: {error}");
        assert_says(&error, &[name]);
    }
}

/// No length of a file, however it came to be, decides how much memory is asked for.
#[test]
fn files_that_are_longer_than_the_format_makes_them_are_refused_unread() {
    let limits = [
        ("store", SUPERBLOCK_FILE_SIZE as u64),
        ("history", HISTORY_FILE_SIZE_MAX),
        ("shard-001/manifest-", MANIFEST_FILE_SIZE_MAX),
    ];
    for (name, size_max) in limits {
        let disk = closed_store(16);
        let prefix = format!("{ROOT}/{name}");
        let path = disk.files().into_iter().map(|(path, _)| path).find(|path| {
            let path = path.to_string_lossy();
            path.starts_with(&prefix) && !path.ends_with("tmp")
        });
        let path = path.unwrap();
        disk.open(&path, OpenMode::ReadWrite).unwrap().allocate(size_max + 4096).unwrap();
        let found = (size_max + 4096).to_string();
        for options in [tiny(2), tiny(2).read_only(true)] {
            let error = options.open_in(env_of(99, &disk), ROOT).map(drop).unwrap_err();
            assert!(matches!(&error, Error::Corrupt { path: at, .. } if *at == path), "{error}");
            assert_says(&error, &[&found, &size_max.to_string()]);
        }
        let checked = slotcask::tools::check(&env_of(13, &disk), Path::new(ROOT), &mut |_, _| {});
        match checked {
            Ok(report) => {
                assert!(report.findings.iter().any(|found| found.path == path), "{report:?}")
            }
            Err(error) => assert_says(&error, &[&found]),
        }
    }
}

#[test]
fn a_spare_manifest_that_is_too_long_is_not_used() {
    let disk = closed_store(17);
    let spare = Path::new(ROOT).join("shard-000/manifest-spare.tmp");
    disk.put_file(&spare, &[]);
    let file = disk.open(&spare, OpenMode::ReadWrite).unwrap();
    file.allocate(MANIFEST_FILE_SIZE_MAX + 4096).unwrap();
    drop(file);
    let fault = Fault::forever(OpFilter::Kind(OpKind::Create), 0, FaultError::Enospc);
    disk.inject(fault.on_path("manifest-"));
    // A smaller manifest would do on a full disk, and this one is larger than any.
    let opened = reopen(&disk, 2).map(drop);
    assert!(matches!(&opened, Err(error) if error.is_out_of_resources()), "{opened:?}");
}

#[test]
fn a_store_without_its_lock_file_is_no_copy() {
    let disk = closed_store(12);
    let lock = Path::new(ROOT).join("LOCK");
    disk.delete_file(&lock);
    for options in [tiny(2), tiny(2).create(false), tiny(2).read_only(true)] {
        let error = refused(&disk, options);
        assert!(
            matches!(&error, Error::LockMissing { path } if path == Path::new(ROOT)),
            "{error}"
        );
        assert_says(&error, &[ROOT, "lock file", "missing", "no process has it open", "adopt"]);
        assert!(disk.read_all(&lock).is_none(), "a second attempt has to say the same");
    }
    for plan_only in [true, false] {
        let repaired = slotcask::tools::repair(&env_of(13, &disk), Path::new(ROOT), plan_only);
        assert!(matches!(repaired, Err(Error::LockMissing { .. })), "{repaired:?}");
    }
    tiny(2).adopt_copy(true).open_in(env_of(13, &disk), ROOT).unwrap().close().unwrap();
    reopen(&disk, 2).unwrap();
}

#[test]
fn a_copied_directory_is_refused_until_it_is_adopted() {
    let disk = closed_store(11);
    for (path, bytes) in picture(&disk) {
        let copy = Path::new("/copy").join(path.strip_prefix(ROOT).unwrap());
        disk.put_file(&copy, &bytes);
    }
    let before = picture(&disk);
    let open = |options: Options| options.open_in(env_of(12, &disk), "/copy");
    let error = open(tiny(2)).map(drop).unwrap_err();
    assert!(matches!(&error, Error::CopiedDirectory { path } if path == Path::new("/copy")));
    assert_says(&error, &["/copy", "adopt"]);
    assert!(matches!(open(tiny(2).read_only(true)), Err(Error::CopiedDirectory { .. })));
    assert!(before == picture(&disk));
    let original = superblock(&disk);
    let store = open(tiny(2).adopt_copy(true)).unwrap();
    store.open_table("t").unwrap().put(b(1000), b(1)).unwrap();
    assert_eq!(store.open_table("t").unwrap().len(), 101);
    store.close().unwrap();
    drop(store);
    let bytes = disk.read_all(Path::new("/copy/store")).unwrap();
    let copy = Superblock::decode_file(&bytes).unwrap().0;
    assert_eq!(copy.store, original.store);
    assert_ne!(copy.node, original.node);
    let history = disk.read_all(Path::new("/copy/history")).unwrap();
    let history =
        slotcask_format::history::History::decode_file(&history, slotcask::StoreId(copy.store), 2);
    let last = history.unwrap().epochs.pop().unwrap();
    assert_eq!(last.kind, slotcask_format::history::EpochKind::Restored);
    drop(open(tiny(2)).unwrap());
    assert_eq!(reopen(&disk, 2).unwrap().open_table("t").unwrap().len(), 100);
}

#[test]
fn an_open_store_cannot_be_opened_again() {
    let (store, disk) = store(13, 1);
    let before = picture(&disk);
    let error = reopen(&disk, 1).map(drop).unwrap_err();
    assert!(matches!(&error, Error::Locked { path } if path == Path::new(ROOT)));
    assert!(before == picture(&disk));
    store.close().unwrap();
    reopen(&disk, 1).unwrap();
}

#[test]
fn a_read_only_file_system_is_said_to_be_one() {
    let disk = closed_store(14);
    disk.inject(Fault::forever(OpFilter::Events, 0, FaultError::Erofs));
    disk.inject(Fault::forever(OpFilter::Kind(OpKind::Lock), 0, FaultError::Erofs));
    let error = refused(&disk, tiny(2));
    assert!(
        matches!(&error, Error::Io(io) if io.kind == slotcask_io::IoErrorKind::ReadOnly),
        "{error}"
    );
    let store = tiny(2).read_only(true).open_in(env_of(1, &disk), ROOT).unwrap();
    assert_eq!(store.open_table("t").unwrap().get(b(5)).unwrap().unwrap(), b(5));
}

#[test]
fn reading_only_writes_nothing() {
    let (first, disk) = store(15, 2);
    table(&first, "t").put(b(1), b(1)).unwrap();
    first.close().unwrap();
    drop(first);
    let before = picture(&disk);
    let store: Store = tiny(2).read_only(true).open_in(env_of(1, &disk), ROOT).unwrap();
    let t = store.open_table("t").unwrap();
    assert_eq!(t.get(b(1)).unwrap().unwrap(), b(1));
    assert_eq!(t.get_durable(b(2)).unwrap(), None);
    assert_eq!(t.iter().count(), 1);
    let is_refused = |result: slotcask::Result<()>| {
        assert!(matches!(result, Err(Error::ReadOnly { .. })), "{result:?}");
    };
    is_refused(t.put(b(1), b(2)));
    is_refused(t.delete(b(1)).map(drop));
    is_refused(t.update(b(1), |_| None).map(drop));
    is_refused(store.drop_table("t"));
    is_refused(store.clear_table("t"));
    is_refused(store.checkpoint());
    store.sync().unwrap();
    store.close().unwrap();
    drop((t, store));
    assert!(before == picture(&disk), "reading changed the disk");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "somebody else moves the directory")]
fn a_shard_that_is_not_there_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let store = Options::new().shards(2).log_size(2 << 20).open(&root).unwrap();
    table(&store, "t").put(b(1), b(1)).unwrap();
    store.close().unwrap();
    drop(store);
    std::fs::rename(root.join("shard-001"), dir.path().join("away")).unwrap();
    let error = Store::open(&root).map(drop).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert_says(&error, &["shard-001", "put it back"]);
    let env = slotcask_io::Env::system(slotcask_io::OsOptions::default());
    let report = slotcask::tools::check(&env, &root, &mut |_, _| {}).unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    std::fs::rename(dir.path().join("away"), root.join("shard-001")).unwrap();
    let store = Store::open(&root).unwrap();
    assert_eq!(store.open_table("t").unwrap().get(b(1)).unwrap().unwrap(), b(1));
}
