//! Pseudo-random numbers, keys and values with a fixed seed (SplitMix64, Steele, Lea and Flood, 2014).

/// The seed of all phases.
pub const SEED: u64 = 0x5107_ca5c;

/// A sequence of pseudo-random numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each `stream`.
    pub const fn new(stream: u64) -> Self {
        Self(mix(SEED ^ mix(stream)))
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// The next number below `bound`, which is above 0; evenly spread to one part in 2^64 / bound.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Writes the key of row `index` into `key`, at least 8 bytes. Two rows never have the same: the mix is a bijection.
pub fn key_of(index: u64, key: &mut [u8]) {
    let word = mix(index).to_le_bytes();
    for (position, byte) in key.iter_mut().enumerate() {
        *byte = word[position % 8];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_differ() {
        let keys: HashSet<[u8; 8]> = (0..10_000)
            .map(|index| {
                let mut key = [0; 8];
                key_of(index, &mut key);
                key
            })
            .collect();
        assert_eq!(keys.len(), 10_000);
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut random = Random::new(1);
        assert!((0..1000).all(|_| random.below(7) < 7));
        assert!((0..1000).all(|_| random.below(1) == 0));
    }
}
