//! What the tests of this room share.
#![allow(dead_code)]

use slotcask_format::slot::SlotKind;
use slotcask_index::SlotMeta;

/// A small generator of random numbers (xorshift, G. Marsaglia 2003).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }
}

/// A hash of some bytes, good enough to spread.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0x9e37_79b9_7f4a_7c15_u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        hash ^= hash >> 32;
    }
    hash.wrapping_mul(0xd6e8_feb8_6659_fd93) ^ (hash >> 29)
}

/// The meta of a live slot.
pub fn live(sequence: u64) -> SlotMeta {
    SlotMeta { sequence, epoch: 1, kind: SlotKind::Live, deadline_ms: 0 }
}

/// The meta of a slot that is no longer live.
pub fn gone(sequence: u64, kind: SlotKind) -> SlotMeta {
    SlotMeta { sequence, epoch: 1, kind, deadline_ms: 0 }
}
