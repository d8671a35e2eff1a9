//! Hints to the processor's cache.

/// Asks for the cache line that holds the first byte of `target`, on processors where there is a way to.
#[inline(always)]
pub fn prefetch<T>(target: &T) {
    prefetch_at(std::ptr::from_ref(target));
}

/// As [`prefetch`]; `target` may be any address: nothing is read from it.
#[inline(always)]
pub fn prefetch_at<T>(target: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction is a hint, which changes no state that a program can see and faults on
        // no address; SSE, which has it, is part of every x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(target.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = target;
}
