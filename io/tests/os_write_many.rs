//! Many writes at once leave the same bytes, whether a ring or a loop does them.

use slotcask_io::{AlignedBuf, Disk, OpenMode, OsDisk, OsOptions, Write};
use std::ops::ControlFlow;

const B: usize = 4096;

/// Writes of one to three blocks in a scattered order, none over another.
fn scattered() -> Vec<(u64, AlignedBuf)> {
    (0..140_u64)
        .map(|at| {
            let place = at * 7919 % 140;
            let mut buf = AlignedBuf::zeroed((1 + place as usize % 3) * B);
            buf.fill(place as u8 ^ 0x5A);
            (place * 4 * B as u64, buf)
        })
        .collect()
}

fn content(options: OsOptions) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::new(options);
    let path = dir.path().join("file");
    let file = disk.open(&path, OpenMode::Create).unwrap();
    file.write_many(&[]).unwrap();
    let parts = scattered();
    let writes: Vec<Write<'_>> =
        parts.iter().map(|(offset, data)| Write { offset: *offset, data }).collect();
    file.write_many(&writes).unwrap();
    file.write_many(&writes[..1]).unwrap();
    file.sync().unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn ring_and_loop_write_the_same() {
    let mut expected = vec![0; 140 * 4 * B];
    for (offset, data) in scattered() {
        expected[offset as usize..][..data.len()].copy_from_slice(&data);
    }
    expected.truncate((139 * 4 + 1 + 139 % 3) * B);
    for (direct, uring) in [(true, true), (true, false), (false, true), (false, false)] {
        assert!(content(OsOptions { direct, uring }) == expected, "direct {direct} uring {uring}");
    }
}

#[test]
fn threads_share_a_disk() {
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::default();
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let (disk, dir) = (&disk, dir.path());
            scope.spawn(move || {
                let path = dir.join(format!("file{thread}"));
                let file = disk.open(&path, OpenMode::Create).unwrap();
                for round in 0..3_u8 {
                    let mut buf = AlignedBuf::zeroed(100 * B);
                    buf.fill(thread * 3 + round);
                    let writes: Vec<Write<'_>> = buf
                        .chunks(B)
                        .enumerate()
                        .map(|(at, data)| Write { offset: (at * B) as u64, data })
                        .collect();
                    file.write_many(&writes).unwrap();
                    let mut read = AlignedBuf::zeroed(100 * B);
                    file.read_at(0, &mut read).unwrap();
                    assert!(read[..] == buf[..]);
                }
            });
        }
    });
}

#[test]
fn threads_come_and_go() {
    // More threads than rings are kept, and one that stays: each writes through a ring of its own.
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::default();
    let file = disk.open(&dir.path().join("file"), OpenMode::Create).unwrap();
    let write = |fill: u8| {
        let mut buf = AlignedBuf::zeroed(2 * B);
        buf.fill(fill);
        let writes = [0, 1].map(|at| Write { offset: (at * B) as u64, data: &buf[at * B..][..B] });
        file.write_many(&writes).unwrap();
        let mut read = AlignedBuf::zeroed(2 * B);
        file.read_in_pieces(0, &mut read, B, &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(read[..] == buf[..], "round {fill}");
    };
    for round in 0..100 {
        std::thread::scope(|scope| scope.spawn(|| write(round)).join().unwrap());
        write(round + 100);
    }
    assert_eq!(disk.fallbacks(), OsDisk::default().fallbacks());
}

#[test]
fn an_error_inside_a_batch_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::default();
    let path = dir.path().join("file");
    disk.open(&path, OpenMode::Create).unwrap();
    let file = disk.open(&path, OpenMode::Read).unwrap();
    let buf = AlignedBuf::zeroed(B);
    let writes = [0, 1, 2].map(|at| Write { offset: at * B as u64, data: &buf });
    let error = file.write_many(&writes).unwrap_err();
    assert_eq!(error.os_error, Some(9), "EBADF, not {error}");
    assert_eq!(
        disk.fallbacks(),
        OsDisk::default().fallbacks(),
        "an EBADF is no reason to give up the ring"
    );
}

#[test]
fn rings_hold_the_locks_of_the_process() {
    // The first batch finds one lock, the second another, the third none: registration follows each time.
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::default();
    let file = disk.open(&dir.path().join("file"), OpenMode::Create).unwrap();
    let buf = AlignedBuf::zeroed(B);
    let writes = [0, 1].map(|at| Write { offset: at * B as u64, data: &buf });
    let first = disk.lock(&dir.path().join("lock1")).unwrap();
    file.write_many(&writes).unwrap();
    let second = disk.lock(&dir.path().join("lock2")).unwrap();
    drop(first);
    file.write_many(&writes).unwrap();
    drop(second);
    // The ring may still refer to the lock files; they are unlocked all the same.
    drop(disk.lock(&dir.path().join("lock1")).unwrap());
    drop(disk.lock(&dir.path().join("lock2")).unwrap());
    file.write_many(&writes).unwrap();
    assert_eq!(disk.fallbacks(), OsDisk::default().fallbacks());
}
