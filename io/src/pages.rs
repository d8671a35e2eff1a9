//! Memory by the page: mappings that begin at a huge page.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// Size and alignment of a huge page, bytes.
pub(crate) const STEP: usize = 2 << 20;

/// Zeroed memory that takes pages as they are touched.
pub(crate) struct Pages {
    mapping: NonNull<libc::c_void>,
    mapping_len: usize,
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone and is bound to no thread. Shared access goes through atomics (`words`), or through a
// `PageBuf`, which gives out references as its own borrow allows.
unsafe impl Send for Pages {}
// SAFETY: see above; `madvise` may be called by any thread at any time.
unsafe impl Sync for Pages {}

impl Pages {
    /// Maps `len` bytes, a multiple of 8; `None` when the system has none.
    pub(crate) fn map(len: usize) -> Option<Self> {
        debug_assert!(len.is_multiple_of(8));
        // One step more, because the system aligns to small pages only.
        let mapping_len = len.checked_next_multiple_of(STEP)?.checked_add(STEP)?;
        // SAFETY: a new private anonymous mapping at an address of the system's choice touches no memory that exists.
        let mapping = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapping_len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if mapping == libc::MAP_FAILED {
            return None;
        }
        let mapping = NonNull::new(mapping)?;
        let start = mapping.addr().get();
        // SAFETY: the next multiple of a step is less than a step away, and the mapping is a step longer than `len`.
        let base = unsafe { mapping.cast::<u8>().add(start.next_multiple_of(STEP) - start) };
        Some(Self { mapping, mapping_len, base, len })
    }

    /// All of it as words. Whoever uses this uses nothing else.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: `len` bytes from `base` are mapped, readable and writable for as long as `self` lives, and `base` is aligned to more than 8; memory
        // of an anonymous mapping is initialised, and every bit pattern is an `AtomicU64`. `Words` makes references of no other type.
        unsafe { std::slice::from_raw_parts(self.base.cast().as_ptr(), self.len / 8) }
    }

    /// Asks for huge pages wherever nothing was touched yet. What the system answers does not matter: small pages are slower and right.
    pub(crate) fn advise_huge(&self) {
        #[cfg(target_os = "linux")]
        self.advise(self.len.next_multiple_of(STEP), libc::MADV_HUGEPAGE);
    }

    /// Has what lies in the first `len` bytes moved to huge pages, as far as these are whole ones. Takes some hundred microseconds a page.
    fn collapse(&self, len: usize) {
        #[cfg(target_os = "linux")]
        self.advise(len / STEP * STEP, libc::MADV_COLLAPSE);
        #[cfg(not(target_os = "linux"))]
        let _ = len;
    }

    /// Makes zeros of everything and gives the memory back; false when the system does not. All that borrows it are words.
    pub(crate) fn give_back(&self) -> bool {
        // Elsewhere the advice may leave what was there.
        cfg!(target_os = "linux") && self.advise(self.len, libc::MADV_DONTNEED)
    }

    fn advise(&self, len: usize, advice: libc::c_int) -> bool {
        debug_assert!(len <= self.len.next_multiple_of(STEP));
        // SAFETY: the range is within the mapping, which goes on to the next multiple of a step. HUGEPAGE and COLLAPSE keep what every page holds. DONTNEED makes zeros of it, and is only asked for by
        // `give_back`, where all that borrows it are atomic words, for which any value is valid at any time.
        let result = unsafe { libc::madvise(self.base.as_ptr().cast(), len, advice) };
        result == 0
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: `mapping` and `mapping_len` are what mmap gave; references into it borrow from `self`, so none is left.
        let result = unsafe { libc::munmap(self.mapping.as_ptr(), self.mapping_len) };
        debug_assert_eq!(result, 0);
    }
}

/// Bytes, zero at first, that take memory as they are touched: small pages at first, huge ones when that is asked for.
pub struct PageBuf(Pages);

impl PageBuf {
    /// A buffer of `len` bytes, a multiple of 8; `None` when the system has no address space for it.
    #[must_use]
    pub fn new(len: usize) -> Option<Self> {
        Pages::map(len).map(Self)
    }

    /// From now on takes huge pages; what was touched is moved to them as far as it lies in the first `used` bytes. Takes some hundred
    /// microseconds for each two MiB of those.
    pub fn use_huge_pages(&mut self, used: usize) {
        self.0.advise_huge();
        self.0.collapse(used.min(self.0.len).next_multiple_of(STEP));
    }
}

impl Deref for PageBuf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes from `base` are mapped, readable and initialised for as long as `self` lives; a `PageBuf` never gives out words, so that
        // they change only through `deref_mut`, which borrows exclusively.
        unsafe { std::slice::from_raw_parts(self.0.base.as_ptr(), self.0.len) }
    }
}

impl DerefMut for PageBuf {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and writable; `&mut self` is the only borrow.
        unsafe { std::slice::from_raw_parts_mut(self.0.base.as_ptr(), self.0.len) }
    }
}

impl fmt::Debug for PageBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageBuf").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_when_pages_become_huge() {
        let mut buf = PageBuf::new(5 << 20).unwrap();
        assert!(buf.len() == 5 << 20 && buf.iter().all(|byte| *byte == 0));
        for (at, byte) in buf[..3 << 20].iter_mut().enumerate() {
            *byte = (at % 251) as u8;
        }
        buf.use_huge_pages(3 << 20);
        buf[4 << 20] = 9;
        let wanted = |(at, byte): (usize, &u8)| *byte == (at % 251) as u8;
        assert!(buf[..3 << 20].iter().enumerate().all(wanted));
        assert!(buf[4 << 20] == 9 && buf[3 << 20..4 << 20].iter().all(|byte| *byte == 0));
        assert!(PageBuf::new(usize::MAX - 7).is_none());
    }
}
