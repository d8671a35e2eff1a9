//! The system calls that std does not offer, wrapped so that callers need no unsafe code.

use super::lock::Mode;
use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Mode of new files: a store holds its users' data and a secret.
const FILE_MODE: libc::c_uint = 0o600;

/// Turns -1 into the error that the call left behind.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn count(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn signed(offset: u64) -> io::Result<libc::off_t> {
    libc::off_t::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))
}

/// Opens `path` with `flags` and O_CLOEXEC.
pub(super) fn open(path: &Path, flags: libc::c_int) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: `path` is a string that ends in zero and outlives the call.
    let fd = check(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, FILE_MODE) })?;
    // SAFETY: `fd` was just opened and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Turns O_DIRECT on for an open file; EINVAL when its file system has none.
pub(super) fn set_direct(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: F_GETFL takes no argument and `fd` is open.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: F_SETFL takes an int and `fd` is open.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_DIRECT) })?;
    Ok(())
}

/// The largest alignment that direct I/O on `fd` asks for, bytes; `None` when the kernel does not say. 0 means that the
/// file takes no direct I/O at all.
pub(super) fn direct_alignment(fd: BorrowedFd<'_>) -> Option<u32> {
    let mut stat = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is an empty string that ends in zero, AT_EMPTY_PATH makes the call look at `fd` itself, and
    // `stat` has room for one statx.
    let result = unsafe {
        libc::statx(
            fd.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_DIOALIGN,
            stat.as_mut_ptr(),
        )
    };
    if result != 0 {
        return None;
    }
    // SAFETY: it was zeroed, which is a valid statx (integers only), and the call filled it in.
    let stat = unsafe { stat.assume_init() };
    if stat.stx_mask & libc::STATX_DIOALIGN == 0 {
        return None;
    }
    if stat.stx_dio_offset_align == 0 || stat.stx_dio_mem_align == 0 {
        return Some(0);
    }
    Some(stat.stx_dio_offset_align.max(stat.stx_dio_mem_align))
}

/// pread(2).
pub(super) fn pread(fd: BorrowedFd<'_>, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    let offset = signed(offset)?;
    // SAFETY: `buf` is valid for writes of `buf.len()` bytes for the length of the call.
    count(unsafe { libc::pread(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len(), offset) })
}

/// pwrite(2). The caller has looked at [`size_limit`]: a write past it would kill the process.
pub(super) fn pwrite(fd: BorrowedFd<'_>, offset: u64, data: &[u8]) -> io::Result<usize> {
    let offset = signed(offset)?;
    // SAFETY: `data` is valid for reads of `data.len()` bytes for the length of the call.
    count(unsafe { libc::pwrite(fd.as_raw_fd(), data.as_ptr().cast(), data.len(), offset) })
}

/// fdatasync(2).
pub(super) fn fdatasync(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes no pointers and `fd` is open.
    check(unsafe { libc::fdatasync(fd.as_raw_fd()) }).map(drop)
}

/// fsync(2).
pub(super) fn fsync(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes no pointers and `fd` is open.
    check(unsafe { libc::fsync(fd.as_raw_fd()) }).map(drop)
}

/// fallocate(2), mode 0, from the start of the file.
pub(super) fn fallocate(fd: BorrowedFd<'_>, size: u64) -> io::Result<()> {
    let size = signed(size)?;
    // SAFETY: the call takes no pointers and `fd` is open.
    check(unsafe { libc::fallocate(fd.as_raw_fd(), 0, 0, size) }).map(drop)
}

/// ftruncate(2).
pub(super) fn ftruncate(fd: BorrowedFd<'_>, size: u64) -> io::Result<()> {
    let size = signed(size)?;
    // SAFETY: the call takes no pointers and `fd` is open.
    check(unsafe { libc::ftruncate(fd.as_raw_fd(), size) }).map(drop)
}

/// Bytes that the file system at `path` gives to who is not root.
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let mut stat = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` is a string that ends in zero and outlives the call, `stat` has room for one statvfs.
    check(unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) })?;
    // SAFETY: the call has filled it.
    let stat = unsafe { stat.assume_init() };
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// (device, inode, size) of an open file.
pub(super) fn identity(fd: BorrowedFd<'_>) -> io::Result<(u64, u64, u64)> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` has room for one stat.
    check(unsafe { libc::fstat(fd.as_raw_fd(), stat.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it filled in all of it.
    let stat = unsafe { stat.assume_init() };
    Ok((stat.st_dev, stat.st_ino, u64::try_from(stat.st_size).unwrap_or(0)))
}

/// flock(2) for this open file alone, or together with others, without waiting; EWOULDBLOCK when another holds it.
pub(super) fn flock_at_once(fd: BorrowedFd<'_>, mode: Mode) -> io::Result<()> {
    let operation = match mode {
        Mode::Alone => libc::LOCK_EX,
        Mode::Shared => libc::LOCK_SH,
    };
    // SAFETY: the call takes no pointers and `fd` is open.
    check(unsafe { libc::flock(fd.as_raw_fd(), operation | libc::LOCK_NB) }).map(drop)
}

/// Gives back a lock of [`flock_at_once`].
pub(super) fn flock_release(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes no pointers and `fd` is open.
    check(unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_UN) }).map(drop)
}

/// The largest file that this process may write (RLIMIT_FSIZE), bytes. A write past it raises SIGXFSZ, whose default
/// is to kill the process, so it is asked for before every write rather than found out.
pub(super) fn size_limit() -> u64 {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: `limit` has room for one rlimit.
    if unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, limit.as_mut_ptr()) } != 0 {
        return u64::MAX;
    }
    // SAFETY: the call succeeded, so it filled in all of it.
    unsafe { limit.assume_init() }.rlim_cur
}

/// How many descriptors this process may have (RLIMIT_NOFILE, the soft limit).
pub(super) fn descriptor_limit() -> u64 {
    descriptor_limits().map_or(1024, |limits| limits.rlim_cur)
}

/// Raises the soft limit on descriptors to the hard one.
pub(super) fn raise_descriptor_limit() -> io::Result<()> {
    let mut limits = descriptor_limits()?;
    if limits.rlim_cur == limits.rlim_max {
        return Ok(());
    }
    limits.rlim_cur = limits.rlim_max;
    // SAFETY: `limits` is valid for reads for the length of the call.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits) }).map(drop)
}

fn descriptor_limits() -> io::Result<libc::rlimit> {
    let mut limits = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: `limits` has room for one rlimit.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, limits.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it filled in all of it.
    Ok(unsafe { limits.assume_init() })
}

/// sched_setscheduler(2) for the calling thread: SCHED_BATCH, unless somebody chose a policy for it.
pub(super) fn schedule_as_batch() -> io::Result<()> {
    // SAFETY: the call takes no pointers.
    if check(unsafe { libc::sched_getscheduler(0) })? != libc::SCHED_OTHER {
        return Ok(());
    }
    // SAFETY: all of it is integers, for which zeros are valid. A batch thread's priority is 0.
    let param = unsafe { MaybeUninit::<libc::sched_param>::zeroed().assume_init() };
    // SAFETY: `param` is valid for reads for the length of the call, which acts on the calling thread alone.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const param) }).map(drop)
}
