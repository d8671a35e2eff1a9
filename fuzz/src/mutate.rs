//! Changes an input a little. Works in place and allocates only when an input grows.

use crate::rng::Rng;
use slotcask_format::layout::Layout;

/// Longest input: growth stops there.
const LEN_MAX: usize = 64 << 10;
/// Inputs longer than this are mostly changed near their front, where the numbers are.
const FRONT: usize = 384;

/// Applies one to four changes to `data`. `other` is a second input to take bytes from.
pub fn mutate(rng: &mut Rng, data: &mut Vec<u8>, other: &[u8], layout: Option<&Layout>) {
    let rounds = 1 + rng.below(4);
    for _ in 0..rounds {
        let fields = layout.filter(|layout| data.len() >= layout.size);
        match fields {
            Some(layout) if rng.next() & 1 == 0 => change_field(rng, data, layout),
            _ => change(rng, data, other),
        }
    }
}

fn change_field(rng: &mut Rng, data: &mut [u8], layout: &Layout) {
    let field = &layout.fields[rng.below(layout.fields.len())];
    let value = number(rng, data.len());
    let bytes = &mut data[field.offset..field.offset + field.size];
    match rng.below(4) {
        0 => add(rng, bytes),
        1 => {
            let at = rng.below(bytes.len());
            bytes[at] ^= 1 << rng.below(8);
        }
        _ => put(bytes, value),
    }
}

fn change(rng: &mut Rng, data: &mut Vec<u8>, other: &[u8]) {
    if data.is_empty() {
        data.push(rng.next() as u8);
        return;
    }
    let len = data.len();
    let at = position(rng, len);
    let near = (1 + rng.below(32)).min(len - at);
    match rng.below(16) {
        0..=2 => data[at] ^= 1 << rng.below(8),
        // Names hold numbers in decimal: a digit stays one.
        3 if data[at].is_ascii_digit() => data[at] = b'0' + rng.below(10) as u8,
        3 | 4 => data[at] = rng.next() as u8,
        5 => put(&mut data[at..at + 1], number(rng, len)),
        6 => put(&mut data[at..(at + 2).min(len)], number(rng, len)),
        7 | 8 => put(&mut data[at..(at + 4).min(len)], number(rng, len)),
        9 | 10 => put(&mut data[at..(at + 8).min(len)], number(rng, len)),
        11 => add(rng, &mut data[at..(at + 4).min(len)]),
        12 => data[at..at + near].fill(0),
        13 => {
            let from = position(rng, len).min(len - near);
            data.copy_within(from..from + near, at);
        }
        14 => {
            let end = (at + near).min(other.len());
            if at < end {
                data[at..end].copy_from_slice(&other[at..end]);
            }
        }
        _ => resize(rng, data, at, near),
    }
}

/// Cuts, extends, inserts or removes.
fn resize(rng: &mut Rng, data: &mut Vec<u8>, at: usize, near: usize) {
    match rng.below(8) {
        0 => data.truncate(at),
        1 | 2 if data.len() + near <= LEN_MAX => data.resize(data.len() + near, 0),
        3 | 4 if data.len() + near <= LEN_MAX => {
            let byte = rng.next() as u8;
            data.splice(at..at, std::iter::repeat_n(byte, near));
        }
        5 => data.truncate(data.len() - near),
        _ => {
            data.drain(at..at + near);
        }
    }
}

fn position(rng: &mut Rng, len: usize) -> usize {
    if len > FRONT && rng.next() & 7 != 0 { rng.below(FRONT) } else { rng.below(len) }
}

fn put(bytes: &mut [u8], value: u64) {
    let value = value.to_le_bytes();
    let len = bytes.len().min(8);
    bytes[..len].copy_from_slice(&value[..len]);
}

/// Adds a small number, up or down.
fn add(rng: &mut Rng, bytes: &mut [u8]) {
    let mut word = [0; 8];
    let len = bytes.len().min(8);
    word[..len].copy_from_slice(&bytes[..len]);
    let step = 1 + rng.below(16) as u64;
    let value = u64::from_le_bytes(word);
    let value =
        if rng.next() & 1 == 0 { value.wrapping_add(step) } else { value.wrapping_sub(step) };
    put(bytes, value);
}

/// A number that code often gets wrong.
fn number(rng: &mut Rng, len: usize) -> u64 {
    match rng.below(8) {
        0 => rng.below(16) as u64,
        1 => u64::MAX - rng.below(3) as u64,
        2 => (len as u64).wrapping_add(rng.below(17) as u64).wrapping_sub(8),
        3 => 4096_u64.wrapping_mul(rng.below(5) as u64),
        4 => (1 << rng.below(64)) - 1,
        5 => rng.next() >> rng.below(64),
        _ => 1 << rng.below(64),
    }
}
