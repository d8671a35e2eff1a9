//! Hints to the cache.

/// Size of a cache line, bytes.
pub(crate) const LINE: usize = 64;

/// Asks for the cache line that holds `target`, on processors where there is a way to.
#[inline(always)]
pub(crate) fn line<T>(target: &T) {
    #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction is a hint, which changes no state that a program can see and faults on
        // no address; SSE, which has it, is part of every x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(target).cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
    let _ = target;
}

/// Asks for all lines of a slot, at most the first eight: of larger ones the processor sees the pattern.
#[inline(always)]
pub(crate) fn lines<T>(words: &[T]) {
    const LINES_MAX: usize = 8;
    let per_line = (LINE / std::mem::size_of::<T>()).max(1);
    for first in words.chunks(per_line).take(LINES_MAX) {
        line(&first[0]);
    }
    // The chunks start at the slot, which need not start a line: its last word may lie in one line more.
    if let Some(last) = words.last() {
        line(last);
    }
}
