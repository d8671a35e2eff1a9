//! A limit on the size of files is an error of its kind. Unasked, the kernel would send SIGXFSZ, which kills a process.
//! The limit covers every file of a process, the one that its output goes to as well, so a child with pipes takes it.

mod child;

use child::in_child;
use slotcask_io::{AlignedBuf, Disk, IoErrorKind, OpenMode, OsDisk, OsOptions, Write};

const B: usize = 4096;

#[test]
fn a_write_past_the_limit_is_refused_and_the_process_lives() {
    in_child("a_write_past_the_limit_is_refused_and_the_process_lives", write_past_the_limit);
}

fn write_past_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let limit = libc::rlimit { rlim_cur: 4 * B as u64 + 100, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` is a valid rlimit that outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) }, 0);
    for (direct, uring) in [(true, true), (false, false)] {
        let disk = OsDisk::new(OsOptions { direct, uring });
        let path = dir.path().join(format!("file{direct}"));
        let file = disk.open(&path, OpenMode::Create).unwrap();
        let buf = AlignedBuf::zeroed(B);
        let writes = [1, 3, 4].map(|at| Write { offset: at * B as u64, data: &buf });
        for error in [
            file.allocate(5 * B as u64).unwrap_err(),
            file.write_at(4 * B as u64, &buf).unwrap_err(),
            file.write_at(3 * B as u64, &AlignedBuf::zeroed(2 * B)).unwrap_err(),
            file.write_many(&writes).unwrap_err(),
        ] {
            assert_eq!(error.kind, IoErrorKind::FileTooLarge, "{error}");
            assert!(error.is_out_of_resources());
        }
        file.allocate(4 * B as u64).unwrap();
        file.write_many(&writes[..2]).unwrap();
        assert_eq!(file.size().unwrap(), 4 * B as u64);
    }
}
