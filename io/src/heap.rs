//! What the allocator keeps of memory that was freed.

/// From so many bytes of files that were worked through on, what that took for a while is worth giving back.
const WORTH_FROM: u64 = 4 << 20;

/// Gives memory back to the system that was freed, after work that took much of it for a while; `file_bytes` are the bytes of
/// files that went through memory. glibc serves a size from the heap once a block of that size was freed, and keeps its
/// heaps, one for each of some threads, up to twice the largest. With other allocators this changes nothing. Takes
/// some tens of microseconds, and milliseconds when there is much to give back.
pub fn give_back(file_bytes: u64) {
    if file_bytes < WORTH_FROM {
        return;
    }
    #[cfg(all(target_env = "gnu", not(miri)))]
    // SAFETY: malloc_trim takes no pointer and only releases pages of free blocks, under the locks of their heaps; any
    // thread may call it at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
