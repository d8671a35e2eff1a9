//! Copies and comparisons between bytes and words that others may be reading. Words are relaxed atomics; bytes
//! that do not fill the last word are zero there.

use crate::sync::{AtomicU64, Ordering};
use std::mem::MaybeUninit;

/// Up to seven bytes as the low bytes of a word.
#[inline(always)]
fn tail_word(tail: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..tail.len()].copy_from_slice(tail);
    u64::from_le_bytes(word)
}

#[inline(always)]
fn whole_word(bytes: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*bytes)
}

/// True when the words hold exactly these bytes.
#[inline(always)]
pub(crate) fn is_equal(words: &[AtomicU64], bytes: &[u8]) -> bool {
    let (whole, tail) = bytes.as_chunks::<8>();
    let (first, rest) = words.split_at(whole.len());
    // Without a branch for each word: nearly every comparison is with the right key.
    let mut differs = 0;
    for (word, bytes) in first.iter().zip(whole) {
        differs |= word.load(Ordering::Relaxed) ^ whole_word(bytes);
    }
    if !tail.is_empty() {
        differs |= rest[0].load(Ordering::Relaxed) ^ tail_word(tail);
    }
    differs == 0
}

/// Copies bytes into words; the rest of the last word becomes zero.
#[inline(always)]
pub(crate) fn store(words: &[AtomicU64], bytes: &[u8]) {
    let (whole, tail) = bytes.as_chunks::<8>();
    let (first, rest) = words.split_at(whole.len());
    for (word, bytes) in first.iter().zip(whole) {
        word.store(whole_word(bytes), Ordering::Relaxed);
    }
    if !tail.is_empty() {
        rest[0].store(tail_word(tail), Ordering::Relaxed);
    }
}

/// Sets words to zero.
#[inline]
pub(crate) fn zero(words: &[AtomicU64]) {
    for word in words {
        word.store(0, Ordering::Relaxed);
    }
}

/// Copies words out and fills `bytes`.
#[inline(always)]
pub(crate) fn load(words: &[AtomicU64], bytes: &mut [MaybeUninit<u8>]) {
    let (lines, bytes) = bytes.as_chunks_mut::<64>();
    let (first, words) = words.split_at(8 * lines.len());
    for (words, bytes) in first.as_chunks::<8>().0.iter().zip(lines) {
        load_line(words, bytes);
    }
    let (pairs, bytes) = bytes.as_chunks_mut::<16>();
    let (first, words) = words.split_at(2 * pairs.len());
    for (words, bytes) in first.as_chunks::<2>().0.iter().zip(pairs) {
        load_pair(words, bytes);
    }
    let (whole, tail) = bytes.as_chunks_mut::<8>();
    let (first, rest) = words.split_at(whole.len());
    for (word, bytes) in first.iter().zip(whole) {
        load_word(word, bytes);
    }
    if !tail.is_empty() {
        let word = rest[0].load(Ordering::Relaxed).to_le_bytes();
        for (byte, from) in tail.iter_mut().zip(word) {
            byte.write(from);
        }
    }
}

#[inline(always)]
fn load_word(word: &AtomicU64, bytes: &mut [MaybeUninit<u8>; 8]) {
    // Mapping the array would compile to eight stores of a byte.
    let word = word.load(Ordering::Relaxed).to_le_bytes();
    // SAFETY: `bytes` is eight bytes, exclusively borrowed; `[u8; 8]` has their layout and asks for no alignment.
    unsafe { bytes.as_mut_ptr().cast::<[u8; 8]>().write(word) };
}

/// Two words at once. Whoever reads the copy does so by 16 bytes at a time, and a processor that finds two younger stores of
/// 8 bytes under such a load waits until both have left for the cache: behind the cache misses of the lookup.
#[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
#[inline(always)]
fn load_pair(words: &[AtomicU64; 2], bytes: &mut [MaybeUninit<u8>; 16]) {
    use std::arch::x86_64::{__m128i, _mm_storeu_si128};
    let loaded: __m128i;
    // SAFETY: the instruction reads the 16 bytes of `words`, which are borrowed, and writes a register that is declared; SSE2 is
    // part of the architecture. Others may be storing to these words: to the language an asm block is one read that it
    // does not look into, and for the processor a load that races with stores gives for each byte a value that was there. The two
    // may belong to different changes, as with two loads; the versions around tell. Loads are not moved across each other by
    // this architecture, nor by the compiler, for which the block may read any memory and is volatile.
    unsafe {
        std::arch::asm!(
            "movdqu {loaded}, xmmword ptr [{words}]",
            words = in(reg) words.as_ptr(),
            loaded = lateout(xmm_reg) loaded,
            options(nostack, preserves_flags, readonly)
        );
    }
    // SAFETY: `bytes` is sixteen bytes, exclusively borrowed; the store asks for no alignment.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), loaded) };
}

#[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
#[inline(always)]
fn load_pair(words: &[AtomicU64; 2], bytes: &mut [MaybeUninit<u8>; 16]) {
    let (halves, _) = bytes.as_chunks_mut::<8>();
    for (word, bytes) in words.iter().zip(halves) {
        load_word(word, bytes);
    }
}

/// As `load_pair`, four times, with one address.
#[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
#[inline(always)]
fn load_line(words: &[AtomicU64; 8], bytes: &mut [MaybeUninit<u8>; 64]) {
    use std::arch::x86_64::{__m128i, _mm_storeu_si128};
    let (a, b, c, d): (__m128i, __m128i, __m128i, __m128i);
    // SAFETY: the instructions read the 64 bytes of `words`, which are borrowed, and write registers that are declared; all else is
    // as in `load_pair`. No output is written before the last use of the address: it is in a register of another class.
    unsafe {
        std::arch::asm!(
            "movdqu {a}, xmmword ptr [{words}]",
            "movdqu {b}, xmmword ptr [{words} + 16]",
            "movdqu {c}, xmmword ptr [{words} + 32]",
            "movdqu {d}, xmmword ptr [{words} + 48]",
            words = in(reg) words.as_ptr(),
            a = lateout(xmm_reg) a,
            b = lateout(xmm_reg) b,
            c = lateout(xmm_reg) c,
            d = lateout(xmm_reg) d,
            options(nostack, preserves_flags, readonly)
        );
    }
    for (loaded, bytes) in [a, b, c, d].into_iter().zip(bytes.as_chunks_mut::<16>().0) {
        // SAFETY: `bytes` is sixteen bytes, exclusively borrowed; the store asks for no alignment.
        unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), loaded) };
    }
}

#[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
#[inline(always)]
fn load_line(words: &[AtomicU64; 8], bytes: &mut [MaybeUninit<u8>; 64]) {
    let (quarters, _) = bytes.as_chunks_mut::<16>();
    for (words, bytes) in words.as_chunks::<2>().0.iter().zip(quarters) {
        load_pair(words, bytes);
    }
}

/// Initialised bytes as the place for a copy.
#[inline(always)]
pub(crate) fn as_uninit(bytes: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    let len = bytes.len();
    // SAFETY: `MaybeUninit<u8>` has the layout of `u8`, and the result borrows from `bytes` exclusively. Nobody
    // can de-initialise a byte through it: it stays in this crate, where `load` alone writes to it, initialised bytes.
    unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), len) }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_length_survives() {
        for len in 0..150_usize {
            let bytes: Vec<u8> = (1..=len as u8).collect();
            let words: Vec<_> = (0..len.div_ceil(8)).map(|_| AtomicU64::new(u64::MAX)).collect();
            store(&words, &bytes);
            assert!(is_equal(&words, &bytes));
            let mut out = vec![0; len];
            load(&words, as_uninit(&mut out));
            assert_eq!(out, bytes);
            for at in 0..len {
                let mut other = bytes.clone();
                other[at] ^= 0x80;
                assert!(!is_equal(&words, &other));
            }
            if len % 8 != 0 {
                assert_eq!(words[len / 8].load(Ordering::Relaxed) >> (len % 8 * 8), 0);
            }
        }
    }
}
