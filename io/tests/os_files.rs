//! The operating system's disk keeps what it is given, with and without O_DIRECT and io_uring, and names its errors.

use slotcask_io::{AlignedBuf, Disk, IoErrorKind, OpenMode, OsDisk, OsOptions};
use std::path::Path;

const B: usize = 4096;

fn blocks(count: usize, first: u8) -> AlignedBuf {
    let mut buf = AlignedBuf::zeroed(count * B);
    for (at, block) in buf.chunks_mut(B).enumerate() {
        block.fill(first.wrapping_add(at as u8));
    }
    buf
}

fn every_option() -> [OsOptions; 4] {
    [(true, true), (true, false), (false, true), (false, false)]
        .map(|(direct, uring)| OsOptions { direct, uring })
}

#[test]
fn what_is_written_is_read_back() {
    for options in every_option() {
        let dir = tempfile::tempdir().unwrap();
        let disk = OsDisk::new(options);
        let path = dir.path().join("file");
        let file = disk.open(&path, OpenMode::Create).unwrap();
        file.write_at(2 * B as u64, &blocks(3, 7)).unwrap();
        file.sync().unwrap();
        disk.sync_dir(dir.path()).unwrap();
        assert_eq!(file.size().unwrap(), 5 * B as u64);
        let again = disk.open(&path, OpenMode::Read).unwrap();
        let mut buf = AlignedBuf::zeroed(5 * B);
        again.read_at(0, &mut buf).unwrap();
        assert!(buf[..2 * B].iter().all(|byte| *byte == 0));
        assert_eq!(&buf[2 * B..], &blocks(3, 7)[..]);
    }
}

#[test]
fn reading_past_the_end_is_an_error_of_its_own() {
    for options in every_option() {
        let dir = tempfile::tempdir().unwrap();
        let disk = OsDisk::new(options);
        let path = dir.path().join("file");
        disk.open(&path, OpenMode::Create).unwrap().write_at(0, &blocks(1, 1)).unwrap();
        // A file that was cut in the middle of a block, as only damage does.
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(700).unwrap();
        let file = disk.open(&path, OpenMode::Read).unwrap();
        for offset in [0, B as u64] {
            let mut buf = AlignedBuf::zeroed(B);
            let error = file.read_at(offset, &mut buf).unwrap_err();
            assert_eq!(error.kind, IoErrorKind::UnexpectedEof, "{error}");
        }
    }
}

#[test]
fn errors_have_their_kinds() {
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::default();
    let path = dir.path().join("file");
    let kind = |result: slotcask_io::Result<_>| result.map(drop).unwrap_err().kind;
    assert_eq!(kind(disk.open(&path, OpenMode::Read)), IoErrorKind::NotFound);
    assert_eq!(kind(disk.open(&path, OpenMode::ReadWrite)), IoErrorKind::NotFound);
    disk.open(&path, OpenMode::Create).unwrap();
    assert_eq!(kind(disk.open(&path, OpenMode::Create)), IoErrorKind::AlreadyExists);
    assert_eq!(disk.remove(&dir.path().join("no")).unwrap_err().kind, IoErrorKind::NotFound);
    assert_eq!(disk.create_dir(dir.path()).unwrap_err().kind, IoErrorKind::AlreadyExists);
    assert_eq!(disk.list(&dir.path().join("no")).unwrap_err().kind, IoErrorKind::NotFound);
    assert_eq!(disk.stat(&dir.path().join("no")).unwrap(), None);
}

#[test]
fn a_file_opened_for_reading_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::default();
    let path = dir.path().join("file");
    disk.open(&path, OpenMode::Create).unwrap().write_at(0, &blocks(1, 1)).unwrap();
    let file = disk.open(&path, OpenMode::Read).unwrap();
    let error = file.write_at(0, &blocks(1, 2)).unwrap_err();
    assert_eq!(error.os_error, Some(9), "EBADF, not {error}");
}

#[test]
fn names_are_listed_renamed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::default();
    let at = |name: &str| dir.path().join(name);
    disk.create_dir(&at("sub")).unwrap();
    for name in ["b", "a", "c"] {
        disk.open(&at(name), OpenMode::Create).unwrap();
    }
    let names = |dir: &Path| -> Vec<String> {
        disk.list(dir).unwrap().into_iter().map(|entry| entry.name).collect()
    };
    assert_eq!(names(dir.path()), ["a", "b", "c", "sub"]);
    let identity = disk.stat(&at("a")).unwrap().unwrap().identity;
    disk.rename(&at("a"), &at("b")).unwrap();
    disk.remove(&at("c")).unwrap();
    disk.sync_dir(dir.path()).unwrap();
    assert_eq!(names(dir.path()), ["b", "sub"]);
    assert_eq!(disk.stat(&at("b")).unwrap().unwrap().identity, identity);
    assert!(disk.stat(&at("sub")).unwrap().unwrap().is_dir);
}

#[test]
fn an_open_file_outlives_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::default();
    let path = dir.path().join("file");
    let file = disk.open(&path, OpenMode::Create).unwrap();
    file.write_at(0, &blocks(1, 5)).unwrap();
    disk.remove(&path).unwrap();
    let mut buf = AlignedBuf::zeroed(B);
    file.read_at(0, &mut buf).unwrap();
    assert_eq!(&buf[..], &blocks(1, 5)[..]);
}

#[test]
fn allocated_space_reads_as_zeros_and_keeps_what_was_there() {
    for options in every_option() {
        let dir = tempfile::tempdir().unwrap();
        let disk = OsDisk::new(options);
        let file = disk.open(&dir.path().join("file"), OpenMode::Create).unwrap();
        file.write_at(0, &blocks(1, 9)).unwrap();
        file.allocate(4 * B as u64).unwrap();
        file.allocate(2 * B as u64).unwrap();
        assert_eq!(file.size().unwrap(), 4 * B as u64);
        let mut buf = AlignedBuf::zeroed(4 * B);
        file.read_at(0, &mut buf).unwrap();
        assert_eq!(&buf[..B], &blocks(1, 9)[..]);
        assert!(buf[B..].iter().all(|byte| *byte == 0));
    }
}

#[test]
#[should_panic(expected = "not a whole block")]
fn offsets_inside_blocks_are_a_programmers_error() {
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::new(OsOptions { direct: false, uring: false });
    let file = disk.open(&dir.path().join("file"), OpenMode::Create).unwrap();
    let _ = file.write_at(512, &blocks(1, 1));
}

#[test]
fn a_file_system_without_direct_io_is_used_through_the_page_cache_and_said_once() {
    // procfs has no O_DIRECT on any kernel.
    let disk = OsDisk::new(OsOptions { direct: true, uring: false });
    assert!(disk.fallbacks().is_empty());
    for _ in 0..2 {
        disk.open(Path::new("/proc/self/status"), OpenMode::Read).unwrap();
    }
    let said = disk.fallbacks();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("O_DIRECT") && said[0].contains("put the store on"), "{said:?}");
}
