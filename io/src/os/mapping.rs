//! A file in memory, for reading.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

/// The first bytes of a file as the page cache has them.
#[derive(Debug)]
pub(super) struct Mapping {
    base: NonNull<libc::c_void>,
    len: usize,
}

// SAFETY: the mapping is read only, its address and length never change, and any thread may unmap it.
unsafe impl Send for Mapping {}
// SAFETY: as above; reads of it do not write.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of a file. It must stay as long as it is: where a file ends before its mapping does, and where the device
    /// cannot read, the kernel ends the process (SIGBUS).
    pub(super) fn new(fd: BorrowedFd<'_>, len: u64) -> io::Result<Self> {
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        // SAFETY: a new mapping at an address of the system's choice touches no memory that exists.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base).expect("the system maps nothing at address 0");
        // Records are read one here, one there. A hint; what it answers changes nothing.
        // SAFETY: the mapping was just made and is `len` bytes long.
        unsafe { libc::madvise(base.as_ptr(), len, libc::MADV_RANDOM) };
        Ok(Self { base, len })
    }

    /// Copies what is mapped from `offset` on to the front of `buf`; gives the number of bytes.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let at = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len);
        let count = buf.len().min(self.len - at);
        // SAFETY: `at + count` is within the mapping, which is readable for as long as `self` lives, and `buf` has room for `count` bytes;
        // they do not overlap, as nobody is given a reference into the mapping. Another process that changes the file meanwhile changes
        // which bytes are copied, no more: no reference to them is made, and whoever reads them compares checksums.
        unsafe {
            std::ptr::copy_nonoverlapping(
                self.base.as_ptr().cast::<u8>().add(at),
                buf.as_mut_ptr(),
                count,
            );
        }
        count
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new`, is `len` bytes long, and nobody has a reference into it.
        let result = unsafe { libc::munmap(self.base.as_ptr(), self.len) };
        debug_assert_eq!(result, 0);
    }
}
