//! Buffers that O_DIRECT accepts.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Alignment and granularity, bytes.
const ALIGN: usize = 4096;

/// A byte buffer of fixed capacity, aligned to 4096 bytes, with a length. Capacity is whole blocks. Bytes between
/// length and capacity are zero or what was there before.
pub struct AlignedBuf {
    data: *mut u8,
    capacity: usize,
    len: usize,
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
        let layout =
            Layout::from_size_align(capacity, ALIGN).expect("a buffer is smaller than isize::MAX");
        // SAFETY: `layout` has a size above zero: capacity is at least one block.
        let data = unsafe { alloc_zeroed(layout) };
        if data.is_null() {
            handle_alloc_error(layout);
        }
        Self { data, capacity, len: 0 }
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
        // SAFETY: `data` points to `capacity` initialised bytes (alloc_zeroed) that live as long as `self`;
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
        let layout = Layout::from_size_align(self.capacity, ALIGN).expect("checked at allocation");
        // SAFETY: `data` was allocated with exactly this layout and is freed once.
        unsafe { dealloc(self.data, layout) }
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
