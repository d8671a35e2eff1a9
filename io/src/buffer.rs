//! Buffers that O_DIRECT accepts.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::null_mut;

/// Alignment and granularity, bytes.
const ALIGN: usize = 4096;

/// A byte buffer of fixed capacity, aligned to 4096 bytes, with a length. Capacity is whole blocks. Bytes between
/// length and capacity are zero or what was there before.
pub struct AlignedBuf {
    /// What was allocated by [`allocate`] for `capacity`.
    data: *mut u8,
    capacity: usize,
    len: usize,
}

/// From this capacity on a buffer is a mapping of its own: it comes as zeroed pages, what is never used of it is never touched, and the
/// system has all of it back at once when it is dropped, where an allocator would keep it.
const LARGE: usize = 128 << 10;

fn layout(capacity: usize) -> Layout {
    Layout::from_size_align(capacity, ALIGN).expect("a buffer is smaller than isize::MAX")
}

/// `capacity` zeros, aligned; `capacity` is whole blocks and not 0.
fn allocate(capacity: usize) -> *mut u8 {
    let layout = layout(capacity);
    let data = if capacity >= LARGE {
        // SAFETY: a new private anonymous mapping at an address of the system's choice touches no memory that exists.
        let mapped = unsafe {
            libc::mmap(
                null_mut(),
                capacity,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if mapped == libc::MAP_FAILED { null_mut() } else { mapped.cast() }
    } else {
        // SAFETY: `layout` has a size above zero: capacity is at least one block.
        unsafe { alloc_zeroed(layout) }
    };
    if data.is_null() {
        handle_alloc_error(layout);
    }
    data
}

// SAFETY: `data` is owned by this value alone, as a `Box<[u8]>` would own it, and `u8` is Send.
unsafe impl Send for AlignedBuf {}
// SAFETY: shared access only reads through `&self`, exclusive access needs `&mut self`; `u8` is Sync.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// An empty buffer that holds `capacity` bytes, rounded up to blocks.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let capacity = capacity.max(1).next_multiple_of(ALIGN);
        Self { data: allocate(capacity), capacity, len: 0 }
    }

    /// A buffer of `len` zeros.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let mut buf = Self::with_capacity(len);
        buf.len = len;
        buf
    }

    /// A buffer that holds a copy of `bytes`.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut buf = Self::zeroed(bytes.len());
        buf.copy_from_slice(bytes);
        buf
    }

    /// Capacity in bytes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Sets the length. Bytes that come into view are zero or what was there before.
    ///
    /// # Panics
    /// When `len` is over the capacity.
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.capacity);
        self.len = len;
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `data` points to `capacity` initialised bytes (`allocate`) that live as long as `self`;
        // `len <= capacity` is kept by `set_len` and the constructors.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes this the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.data, self.len) }
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        if self.capacity >= LARGE {
            // SAFETY: `data` and `capacity` are those of a mapping that this value alone owns and that goes with it.
            let result = unsafe { libc::munmap(self.data.cast(), self.capacity) };
            debug_assert_eq!(result, 0);
        } else {
            // SAFETY: `data` was allocated with exactly this layout and is freed once.
            unsafe { dealloc(self.data, layout(self.capacity)) }
        }
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuf")
            .field("len", &self.len)
            .field("capacity", &self.capacity)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_of_every_size_are_aligned_and_zero() {
        for capacity in [0, 1, ALIGN, LARGE - ALIGN, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE] {
            let buf = AlignedBuf::zeroed(capacity);
            assert!(buf.data.addr().is_multiple_of(ALIGN));
            assert!(buf.capacity().is_multiple_of(ALIGN) && buf.capacity() >= capacity);
            assert_eq!(buf.len(), capacity);
            assert!(buf.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn a_large_buffer_can_be_written_to_its_last_byte() {
        let mut buf = AlignedBuf::zeroed(LARGE);
        buf.fill(7);
        assert!(buf.iter().all(|byte| *byte == 7));
    }
}
