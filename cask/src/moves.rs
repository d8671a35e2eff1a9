//! What a merge moved, in a few bytes a record: there may be hundreds of thousands of them, until the keydirs are told.

use crate::hash::KeyHash;
use crate::location::Location;
use std::fmt;
use std::num::NonZeroU64;

/// A record that has another place now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Table.
    pub table: u32,
    /// Hash of its key.
    pub hash: KeyHash,
    /// Where it stood.
    pub from: Location,
    /// Where it stands.
    pub to: Location,
    /// When it vanishes, if it does.
    pub deadline_ms: Option<NonZeroU64>,
}

/// Moves in the order in which they were made. Each is kept as what differs from the one before, in groups of 7 bits (LEB128), and
/// the hash of its key: records are read and written one after the other, so that it takes 16 to 19 bytes, and a few more with a deadline.
#[derive(Default)]
pub struct Moves {
    bytes: Vec<u8>,
    len: usize,
    last: [u64; FIELDS],
}

/// Table, both places, deadline.
const FIELDS: usize = 4;

impl Moves {
    /// Adds a move.
    pub(crate) fn push(&mut self, moved: &Move) {
        let deadline = moved.deadline_ms.map_or(0, NonZeroU64::get);
        let fields = [u64::from(moved.table), moved.from.bits(), moved.to.bits(), deadline];
        for (field, last) in fields.iter().zip(self.last) {
            let change = field.wrapping_sub(last) as i64;
            // Small changes of either sign are small numbers.
            let mut left = (change << 1 ^ change >> 63) as u64;
            while left >= 0x80 {
                self.bytes.push(left as u8 | 0x80);
                left >>= 7;
            }
            self.bytes.push(left as u8);
        }
        self.bytes.extend_from_slice(&moved.hash.stripe.to_le_bytes());
        self.bytes.extend_from_slice(&moved.hash.stored.to_le_bytes());
        self.last = fields;
        self.len += 1;
    }

    /// All moves.
    pub fn iter(&self) -> impl Iterator<Item = Move> {
        let (mut bytes, mut fields) = (self.bytes.as_slice(), [0_u64; FIELDS]);
        // One that was lost would leave a key at a file that is about to be removed.
        let read =
            move |_| next(&mut bytes, &mut fields).expect("moves are read as they were written");
        (0..self.len).map(read)
    }
}

/// The first move of `bytes`, which follows on one with these `fields`; None where there is none.
fn next(bytes: &mut &[u8], fields: &mut [u64; FIELDS]) -> Option<Move> {
    for field in fields.iter_mut() {
        let (mut number, mut shift) = (0_u64, 0);
        loop {
            let (byte, rest) = bytes.split_first()?;
            *bytes = rest;
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        *field = field.wrapping_add(number >> 1 ^ (number & 1).wrapping_neg());
    }
    let (stripe, rest) = bytes.split_first_chunk()?;
    let (stored, rest) = rest.split_first_chunk()?;
    *bytes = rest;
    let (stripe, stored) = (u16::from_le_bytes(*stripe), u64::from_le_bytes(*stored));
    let [table, from, to, deadline] = *fields;
    Some(Move {
        table: table as u32,
        hash: KeyHash { stripe, stored },
        from: Location::from_bits(from)?,
        to: Location::from_bits(to)?,
        deadline_ms: NonZeroU64::new(deadline),
    })
}

impl fmt::Debug for Moves {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::GENERATION_MAX;

    fn at(generation: u64, offset: u64, size: usize) -> Location {
        Location::new(generation, offset, size).expect("the place fits")
    }

    #[test]
    fn moves_come_back_as_they_were_added() {
        let extremes = [
            at(1, 0, 8),
            at(GENERATION_MAX, (1 << 30) - 8, 16 << 20),
            at(1, 4096, 136),
            at(GENERATION_MAX / 2, 8, 24),
        ];
        let deadlines = [0, 1, u64::MAX, 1 << 63, 1_700_000_000_000];
        let mut moves = Moves::default();
        assert!(moves.iter().next().is_none());
        let mut all = Vec::new();
        for (number, from) in (0_u64..).zip(extremes) {
            for to in extremes {
                for (table, deadline) in [0, u32::MAX, 7, 1 << 31, 8].into_iter().zip(deadlines) {
                    let stored = number.wrapping_sub(1).rotate_left(17);
                    let hash = KeyHash { stripe: (deadline % 1024) as u16, stored };
                    let deadline_ms = NonZeroU64::new(deadline);
                    all.push(Move { table, hash, from, to, deadline_ms });
                    moves.push(&all[all.len() - 1]);
                }
            }
        }
        assert!(moves.iter().eq(all));
    }

    #[test]
    fn moves_of_a_merge_take_few_bytes() {
        let mut moves = Moves::default();
        for number in 0..1000_u64 {
            let hash = KeyHash { stripe: number as u16, stored: number.wrapping_mul(0x9e37_79b9) };
            let (from, to) = (at(8, 4096 + number * 544, 136), at(9, 4096 + number * 136, 136));
            moves.push(&Move { table: 1, hash, from, to, deadline_ms: None });
        }
        assert!(moves.bytes.len() <= 17 * 1000 + 64, "{}", moves.bytes.len());
    }
}
