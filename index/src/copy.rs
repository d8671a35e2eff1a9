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
    let (whole, tail) = bytes.as_chunks_mut::<8>();
    let (first, rest) = words.split_at(whole.len());
    for (word, bytes) in first.iter().zip(whole) {
        // Mapping the array compiles to eight stores of a byte.
        let word = word.load(Ordering::Relaxed).to_le_bytes();
        // SAFETY: `bytes` is eight bytes, borrowed exclusively; `[u8; 8]` has its layout and needs no alignment.
        unsafe { bytes.as_mut_ptr().cast::<[u8; 8]>().write(word) };
    }
    if !tail.is_empty() {
        let word = rest[0].load(Ordering::Relaxed).to_le_bytes();
        for (byte, from) in tail.iter_mut().zip(word) {
            byte.write(from);
        }
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
        for len in 0..40_usize {
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
